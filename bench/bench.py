#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""What Lethe does in a second, as ratios to something measured in the same run on the same machine.

bench.py BUILD_DIR [NAME...]: all measurements, or those named. Exits 1 if one misses its mark.
"""
import contextlib
import http.client
import json
import os
import re
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.parse

import yaml

import endpoints

HERE = os.path.dirname(os.path.abspath(__file__))
BUILD = os.path.abspath(sys.argv[1] if len(sys.argv) > 1 else "build")
LETHE = os.path.join(BUILD, "lethe")
STAGES = ["FORUM", "SHOP", "LISTS", "LMS"]
SECONDS = 5
missed = []


# -- a site ------------------------------------------------------------------------------------------------

def configuration(service_url="http://127.0.0.1:1", at_once=64, in_flight=1000, stage="", driver="", more=""):
    stages = "".join(f"""
  - working: RETIRING_{name}
    completed: {name}_COMPLETE
    http: {{ service: local, post: "/retire/{name.lower()}", json: {{ username: "{{original_username}}" }} }}{stage}"""
                     for name in STAGES)
    return f"""data_dir: data
listen: 127.0.0.1:0
cool_off: 0d
fuse: {{ people: 0, times_usual: 0 }}
log: {{ level: warning }}
identity: {{ salts_file: salts }}
services:
  local: {{ url: "{service_url}", max_concurrent: {at_once} }}
driver: {{ max_in_flight: {in_flight}{driver} }}
stages:{stages}
{more}"""


def write(path, text):
    with open(os.open(path, os.O_CREAT | os.O_WRONLY | os.O_TRUNC, 0o600), "w") as f:
        f.write(text)


class Site:
    """A folder with a configuration, and the server that runs on it."""

    def __init__(self, folder, service_url="http://127.0.0.1:1", **settings):
        self.folder = folder
        os.makedirs(folder, exist_ok=True)
        write(os.path.join(folder, "lethe.yml"), configuration(service_url, **settings))
        write(os.path.join(folder, "salts"), "bench-salt-of-the-past\nbench-salt-of-today\n")
        self.environment = {**os.environ, "LETHE_ALLOW_ROOT": "1"}

    def command(self, *words):
        return [LETHE, *words, "--config", os.path.join(self.folder, "lethe.yml")]

    @contextlib.contextmanager
    def serving(self):
        began = time.monotonic()
        server = subprocess.Popen(self.command("serve"), stdout=subprocess.PIPE, env=self.environment, text=True)
        try:
            line = server.stdout.readline()
            assert line.startswith("ready "), "the server did not start"
            self.ready_after = time.monotonic() - began
            self.pid = server.pid
            self.port = urllib.parse.urlsplit(line.split()[1]).port
            yield self
        finally:
            server.send_signal(signal.SIGTERM)
            server.wait()

    def connect(self):
        connection = http.client.HTTPConnection("local")
        connection.sock = socket.socket(socket.AF_UNIX)
        connection.sock.connect(os.path.join(self.folder, "data", "lethe.sock"))
        return connection

    def call(self, connection, method, path, body=None):
        connection.request(method, path, json.dumps(body) if body is not None else None)
        answer = connection.getresponse()
        data = answer.read()
        assert answer.status < 300, (path, answer.status, data[:300])
        return json.loads(data) if data else None

    def token(self):
        connection = self.connect()
        client = self.call(connection, "POST", "/v1/clients",
                           {"name": f"bench-{time.time_ns()}", "scope": "retirement:read retirement:drive"})
        form = urllib.parse.urlencode({"grant_type": "client_credentials", "client_id": client["client_id"],
                                       "client_secret": client["client_secret"]})
        connection.request("POST", "/oauth2/access_token", form)
        return json.loads(connection.getresponse().read())["access_token"]

    def fill(self, people, **states):
        """So many accounts, each with a request; the first so many in each of the states, the others in PENDING.
        While no server runs."""
        subprocess.run([os.path.join(BUILD, "bench", "fill"), os.path.join(self.folder, "lethe.yml"), str(people),
                        *(f"{name}={count}" for name, count in states.items())], check=True, env=self.environment)

    def resident_mib(self):
        with open(f"/proc/{self.pid}/status") as f:
            return int(re.search(r"VmRSS:\s+(\d+)", f.read())[1]) / 1024


# -- measuring -----------------------------------------------------------------------------------------------

def report(what, figure, mark, held):
    print(f"  {what}: {figure}   (mark: {mark}) {'' if held else '  MISSED'}", flush=True)
    if not held:
        missed.append(what)


def wrk(url, script=None, token=None, seconds=SECONDS):
    """Answers a second, from one thread with 64 connections; anything but success is an error."""
    command = ["wrk", "-t1", "-c64", f"-d{seconds}"]
    if script:
        command += ["-s", script]
    if token:
        command += ["-H", f"Authorization: JWT {token}", "-H", "Content-Type: application/json"]
    out = subprocess.run([*command, url], capture_output=True, text=True, check=True).stdout
    assert "Non-2xx" not in out and "Socket errors" not in out, out
    return float(re.search(r"Requests/sec:\s+([\d.]+)", out)[1])


@contextlib.contextmanager
def constant(threads=1):
    """The same HTTP library with a constant answer."""
    server = subprocess.Popen([os.path.join(BUILD, "bench", "constant"), str(threads)],
                              stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    try:
        yield f"http://127.0.0.1:{server.stdout.readline().split()[1]}"
    finally:
        server.stdin.close()
        server.wait()


def lua(folder, name, text):
    path = os.path.join(folder, name)
    write(path, text)
    return path


# -- the measurements ------------------------------------------------------------------------------------------

def updates_and_reads(folder):
    """PATCH and GET on 100,000 rows, against the store alone and against a constant answer."""
    people = 100_000
    print(f"updates and reads, {people} people", flush=True)
    out = subprocess.run([os.path.join(BUILD, "bench", "transitions"), str(people), "100", folder],
                         capture_output=True, text=True, check=True).stdout
    alone = float(re.search(r"([\d.]+) transitions", out)[1])

    site = Site(os.path.join(folder, "hundred"))
    site.fill(people)
    with site.serving():
        resident = site.resident_mib()
        token = site.token()
        url = f"http://127.0.0.1:{site.port}"
        # A person a request, in an order that jumps about; the next state when all have had their turn.
        patch = lua(folder, "patch.lua", f"""
local i, states = 0, {{"RETIRING_FORUM", "FORUM_COMPLETE", "RETIRING_SHOP", "SHOP_COMPLETE"}}
function request()
  local body = string.format('{{"username":"user%07d","new_state":"%s","response":"moved"}}',
                             (i * 70001) % {people}, states[math.floor(i / {people}) + 1])
  i = i + 1
  return wrk.format("PATCH", "/api/user/v1/accounts/update_retirement_status/", nil, body)
end
""")
        get = lua(folder, "get.lua", f"""
local i = 0
function request()
  i = i + 1
  return wrk.format("GET", string.format("/api/user/v1/accounts/user%07d/retirement_status/", (i * 70001) % {people}))
end
""")
        updates = wrk(url, patch, token)
        reads = wrk(url, get, token)
    with constant() as bare:
        plain = wrk(bare)
    report("durable updates through HTTP",
           f"{updates:,.0f}/s, {updates / alone:.0%} of {alone:,.0f}/s in process at 100 a commit", "60 %",
           updates >= 0.6 * alone)
    report("reading one status", f"{reads:,.0f}/s, {reads / plain:.0%} of {plain:,.0f}/s for a constant answer",
           "25 %", reads >= 0.25 * plain)
    report("server ready on 100,000 rows", f"{site.ready_after * 1000:.0f} ms", "200 ms", site.ready_after <= 0.2)
    report("resident when ready", f"{resident:.0f} MiB", "under 64 MiB", resident < 64)


def whole_job(folder):
    """1,000 people through four HTTP stages against a local service; server and driver apart."""
    people = 1000
    print(f"the whole job, {people} people through {len(STAGES)} HTTP stages", flush=True)
    rates, usage = [], None
    with constant() as service:
        for turn in range(3):
            site = Site(os.path.join(folder, f"job-{turn}"), service)
            site.fill(people)
            with site.serving():
                began = time.monotonic()
                driver = subprocess.Popen(site.command("drive", "--once"), env=site.environment,
                                          stdout=subprocess.DEVNULL)
                _, status, usage = os.wait4(driver.pid, 0)
                rates.append(people / (time.monotonic() - began))
                assert status == 0, "the driver failed"
                counts = {s["name"]: s["count"] for s in site.call(site.connect(), "GET", "/v1/states")["states"]}
                assert counts["COMPLETE"] == people, counts
    rate = statistics.median(rates)
    report("people a second", f"{rate:,.0f} (of {', '.join(f'{r:,.0f}' for r in rates)})", "500", rate >= 500)
    print(f"  the driver: {usage.ru_utime + usage.ru_stime:.2f} s CPU, {usage.ru_maxrss / 1024:.0f} MiB at its peak",
          flush=True)


class SlowService:
    """Takes so long for each call, however many there are. With a gate it answers none before so many are under way, or it
    is opened. `most` is known in the end: how many there were at once."""

    def __init__(self, delay_ms, gate=0):
        self.process = subprocess.Popen([os.path.join(BUILD, "bench", "slow"), str(delay_ms), str(gate)],
                                        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.url = f"http://127.0.0.1:{self.process.stdout.readline().split()[1]}"

    def open(self):
        self.process.stdin.write("open\n")
        self.process.stdin.flush()

    def __enter__(self):
        return self

    def __exit__(self, *what):
        self.process.stdin.close()
        self.most = int(self.process.stdout.read().split()[1])
        self.process.wait()


def peak_mib(process):
    with open(f"/proc/{process.pid}/status", encoding="ascii") as f:
        peak = re.search(r"VmHWM:\s+(\d+)", f.read())
    return int(peak[1]) / 1024 if peak else 0  # it has just ended


def counts_of(site):
    return {s["name"]: s["count"] for s in site.call(site.connect(), "GET", "/v1/states")["states"]}


def drive_all(site, people, watch=lambda: None):
    """Drives all people. Returns the seconds, and the highest memory of the driver, in MiB."""
    began, peak = time.monotonic(), 0
    driver = subprocess.Popen(site.command("drive", "--once"), env=site.environment, stdout=subprocess.DEVNULL)
    while driver.poll() is None:
        peak = max(peak, peak_mib(driver))
        watch()
        time.sleep(0.01)
    took = time.monotonic() - began
    assert driver.returncode == 0, "the driver failed"
    assert counts_of(site)["COMPLETE"] == people, counts_of(site)
    return took, peak


def slow_calls(folder):
    """1,000 people through four HTTP stages against a service that takes 200 ms for each call: the time follows the
    configured concurrency. No less is possible than the calls take one after the other, divided by it; our own work, which
    is measured without the 200 ms, comes on top where there is no time left to do it meanwhile."""
    people, delay_ms = 1000, 200
    print(f"{people} people through {len(STAGES)} stages of {delay_ms} ms", flush=True)
    took = {}
    for at_once, delay in ((200, 0), (50, delay_ms), (200, delay_ms), (800, delay_ms)):
        with SlowService(delay) as service:
            site = Site(os.path.join(folder, f"slow-{at_once}-{delay}"), service.url, at_once=at_once)
            site.fill(people)
            with site.serving():
                took[at_once, delay], _ = drive_all(site, people)
        assert service.most <= at_once, f"{service.most} calls at once"
    own = took.pop((200, 0))
    for (at_once, _), seconds in took.items():
        least = people * len(STAGES) * delay_ms / 1000 / at_once
        report(f"{at_once:3} at once", f"{seconds:.2f} s = {least:.2f} s of calls + {seconds - least:.2f} s",
               f"{1.1 * least + 3 * own:.2f} s, a tenth and three times our own work more",
               seconds <= 1.1 * least + 3 * own)


def beside_an_lms(folder):
    """The driver file of two stages, at an LMS that takes 5 ms for each answer and gets eight calls at once. The bare number of its
    calls takes a while; what Lethe needs besides is the difference."""
    people, delay_ms, at_once = 1000, 5, 8
    print(f"beside an LMS that answers in {delay_ms} ms, {people:,} people through two stages", flush=True)
    os.makedirs(os.path.join(folder, "beside"))
    states = ["PENDING", "RETIRING_FORUMS", "FORUMS_COMPLETE", "RETIRING_LMS", "LMS_COMPLETE", "ERRORED", "ABORTED", "COMPLETE"]
    lms = subprocess.Popen([sys.executable, os.path.join(HERE, "lms.py"), str(people), str(delay_ms), *states],
                           stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    url = f"http://127.0.0.1:{lms.stdout.readline().split()[1]}"
    file = os.path.join(folder, "beside", "config.yml")
    write(file, f"""client_id: worker
client_secret: secret-of-the-worker
base_urls: {{ lms: "{url}" }}
fuse: {{ people: 0 }}
log: {{ level: error }}
retirement_pipeline:
  - [RETIRING_FORUMS, FORUMS_COMPLETE, LMS, retirement_retire_forum]
  - [RETIRING_LMS, LMS_COMPLETE, LMS, retirement_lms_retire]
""")
    done = json.loads(subprocess.run([LETHE, "drive", "--once", "--json", "--config", file], capture_output=True, check=True,
                                     env={**os.environ, "LETHE_ALLOW_ROOT": "1"}).stdout)
    lms.stdin.close()
    said = json.loads(lms.stdout.read())
    lms.wait()
    assert said["states"] == {"COMPLETE": people} and done["completed"] == people, (said, done)
    told = said["calls"] - 2 * people  # the calls that erase go beside the others
    rate, bare = people * 1000 / done["took_ms"], people * 1000 / (told * delay_ms / at_once)
    report("people a second", f"{rate:,.0f}; the {told / people:.1f} calls a person to the LMS alone: {bare:,.0f}",
           "half of that", rate >= bare / 2)


def in_flight(folder):
    """10,000 people in flight: a thousand calls wait for their answers until all people are claimed, the others for their
    turn. And all of them in a call, which is mostly libcurl's memory."""
    people = 10_000
    print(f"{people:,} people in flight", flush=True)
    for at_once, mark in ((1000, 100), (people, None)):
        with SlowService(0, at_once + 1 if mark else people) as service:
            site = Site(os.path.join(folder, f"in-flight-{at_once}"), service.url, at_once=at_once, in_flight=people)
            site.fill(people)

            def open_once_all_are_there():
                if counts_of(site)[f"RETIRING_{STAGES[0]}"] == people:
                    service.open()

            with site.serving():
                took, peak = drive_all(site, people, open_once_all_are_there if mark else lambda: None)
        assert service.most == at_once, f"{service.most} calls at once"
        figure = f"{peak:.0f} MiB at the driver's peak, all done in {took:.1f} s"
        if mark:
            report(f"{at_once:,} calls at once", figure, f"{mark} MiB", peak < mark)
        else:
            print(f"  {at_once:,} calls at once: {figure}", flush=True)


def take_up(folder):
    """Of a driver that was killed: how long until another driver has claimed all of its people (reliability.md, L2). The
    lease of each person ends by then at the latest; it may have been renewed just before the kill."""
    people, lease_s, spare_s = 100, 20, 5
    print(f"{people} people of a driver that is killed, with a lease of {lease_s} s", flush=True)
    settings = {"at_once": people, "stage": "\n    timeout: 5s", "driver": f", lease: {lease_s}s, poll: 1s"}
    with SlowService(0, people + 1) as never, SlowService(0) as service:
        site = Site(os.path.join(folder, "take-up"), never.url, **settings)
        site.fill(people)

        def wait_under_way(wanted):
            while counts_of(site)[f"RETIRING_{STAGES[0]}"] != wanted:
                time.sleep(0.01)

        def start_driver(url):
            write(os.path.join(site.folder, "lethe.yml"), configuration(url, **settings))
            return subprocess.Popen(site.command("drive"), env=site.environment, stdout=subprocess.DEVNULL)

        with site.serving():
            driver = start_driver(never.url)
            wait_under_way(people)
            driver.kill()
            driver.wait()
            killed_at = time.monotonic()
            driver = start_driver(service.url)
            wait_under_way(0)
            took = time.monotonic() - killed_at
            driver.terminate()
            driver.wait()
    report("taken up again", f"the last one {took:.1f} s after", f"{lease_s + spare_s} s", took <= lease_s + spare_s)


def median_ms(site, connection, path, turns=40):
    took = []
    for _ in range(turns):
        began = time.perf_counter()
        rows = site.call(connection, "GET", path)
        took.append((time.perf_counter() - began) * 1000)
    return statistics.median(took), len(rows)


def queue(folder):
    """The queue of 200 people out of 10,000 and out of 1,000,000."""
    print("the queue of 200 people", flush=True)
    some = 200
    paths = {
        "200 of those who are due": f"cool_off_days=0&states=PENDING,FORUM_COMPLETE,SHOP_COMPLETE&limit={some}",
        "the only 200 in their state": "cool_off_days=0&states=LISTS_COMPLETE",
    }
    took = {}
    for people in (10_000, 1_000_000):
        site = Site(os.path.join(folder, f"queue-{people}"))
        site.fill(people, RETIRING_FORUM=people // 2, LISTS_COMPLETE=some)
        with site.serving():
            connection = site.connect()
            for what, query in paths.items():
                ms, rows = median_ms(site, connection, f"/api/user/v1/accounts/retirement_queue/?{query}")
                assert rows == some, (what, rows)
                took[what, people] = ms
    for what in paths:
        few, many = took[what, 10_000], took[what, 1_000_000]
        report(what, f"{many:.2f} ms of 1,000,000 and {few:.2f} ms of 10,000: {many / few:.2f} times", "2 times",
               many <= 2 * few)


def show_endpoint(what, took, few, many):
    """A line of the table; below a fifth of a millisecond it is the socket and this script that are measured."""
    ratio = took[many] / took[few]
    slower = ratio > 2 and took[many] - took[few] > 0.2
    note = endpoints.MEANT.get(what, "MISSED") if slower else ""
    print(f"  {what:72}{took[few]:>8.2f} ms{took[many]:>9.2f} ms{ratio:>8.2f}  {note}", flush=True)
    if slower and what not in endpoints.MEANT:
        missed.append(what)


def routes():
    with open(os.path.join(HERE, "..", "src", "server", "openapi.yaml"), encoding="utf-8") as f:
        return {f"{method.upper()} {path}" for path, item in yaml.safe_load(f)["paths"].items() for method in item}


def every_endpoint(folder):
    """Each route with 10,000 and with 1,000,000 people; what it answers is as long in both."""
    few, many = 10_000, 1_000_000
    print(f"every endpoint with {few:,} and with {many:,} people: the fastest of {endpoints.TURNS} calls, mark: 2 times",
          flush=True)
    sites = {people: Site(os.path.join(folder, f"endpoints-{people}"), more=endpoints.SETTINGS)
             for people in (few, many)}
    for people, site in sites.items():
        site.fill(people, **endpoints.population(people))
    with sites[few].serving(), sites[many].serving():
        took = endpoints.measure(sites)
    for what, times in took.items():
        show_endpoint(what, times, few, many)
    left_out = sorted(routes() - {what.split(":")[0] for what in took})
    report("routes of openapi.yaml that are not measured", ", ".join(left_out) or "none", "none", not left_out)


def connections(folder):
    """600 busy connections for a minute; every request is answered."""
    print("600 busy connections for a minute", flush=True)
    done = subprocess.run([os.path.join(BUILD, "bench", "connections"), "60", "600"], capture_output=True, text=True)
    print("  " + done.stdout.strip().replace("\n", "\n  "), flush=True)
    report("every request answered", "yes" if done.returncode == 0 else "no", "yes", done.returncode == 0)


MEASUREMENTS = {f.__name__: f for f in (updates_and_reads, whole_job, slow_calls, beside_an_lms, in_flight, take_up, queue,
                                        every_endpoint, connections)}


def main():
    chosen = sys.argv[2:] or list(MEASUREMENTS)
    folder = tempfile.mkdtemp(prefix="lethe-bench-")
    try:
        for name in chosen:
            MEASUREMENTS[name](folder)
    finally:
        shutil.rmtree(folder)
    print("all marks held" if not missed else f"missed: {', '.join(missed)}")
    sys.exit(1 if missed else 0)


if __name__ == "__main__":
    main()
