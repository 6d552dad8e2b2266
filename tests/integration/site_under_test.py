# SPDX-License-Identifier: Apache-2.0
"""A site with Lethe: its configuration, its server and driver, its commands and its API, as verbs."""
import datetime
import http.client
import json
import os
import re
import select
import signal
import socket
import sqlite3
import subprocess
import threading
import time
import urllib.parse

import yaml

from contract import contract

LETHE = os.path.abspath(os.environ.get("LETHE", os.path.join(os.path.dirname(__file__), "..", "..", "build", "lethe")))
TIMEOUT = 60
ALL_SCOPES = ("retirement:read retirement:drive retirement:request retirement:force retirement:partner "
              "retirement:admin accounts:admin")


def wait_for(condition, what="the condition", timeout=TIMEOUT):
    """Waits until condition() gives something true, and returns it."""
    end = time.monotonic() + timeout
    while time.monotonic() < end:
        value = condition()
        if value:
            return value
        time.sleep(0.02)
    raise AssertionError(f"{what} did not come true within {timeout} s")


class Answer:
    """An HTTP answer; .json is its body read as JSON."""

    def __init__(self, response):
        self.status = response.status
        self.headers = response.headers
        self.raw = response.read()

    @property
    def json(self):
        return json.loads(self.raw)

    def __repr__(self):
        return f"<{self.status} {self.raw[:300]!r}>"


class Result:
    """How a command ended."""

    def __init__(self, done):
        self.code, self.out, self.err = done.returncode, done.stdout, done.stderr

    @property
    def json(self):
        return json.loads(self.out)

    def __repr__(self):
        return f"<exit {self.code}\n{self.out}\n{self.err}>"


class Site:
    def __init__(self, folder):
        self.folder = folder
        self.data_dir = folder / "data"
        self.file = folder / "lethe.yml"
        self.processes = []
        self.port = None
        self.tokens = {}
        self.token_lock = threading.Lock()
        self.config = {
            "data_dir": "data",
            "listen": "127.0.0.1:0",
            "cool_off": "0d",
            "identity": {"salts": ["salt-2018-old", "salt-2026-current"]},
            "states": ["PENDING", "RETIRING_FORUMS", "FORUMS_COMPLETE", "RETIRING_LMS", "LMS_COMPLETE", "ERRORED",
                       "ABORTED", "COMPLETE"],
        }

    # -- configuration --

    def write_config(self):
        """Replaces the file in one step: a process that has just been started may be reading it."""
        text = yaml.safe_dump(self.config, sort_keys=False)
        if self.file.exists() and self.file.read_text() == text:
            return
        new = self.folder / "lethe.yml.new"
        new.write_text(text)
        new.chmod(0o600)  # the salts are in it
        new.rename(self.file)

    def configure(self, **settings):
        """Replaces top-level settings; None takes one out."""
        for key, value in settings.items():
            if value is None:
                self.config.pop(key, None)
            else:
                self.config[key] = value

    def stage(self, working, completed, **action):
        """Adds a stage, which replaces the setting `states`."""
        self.config.pop("states", None)
        self.config.setdefault("stages", []).append({"working": working, "completed": completed, **action})

    def service(self, name, service, **settings):
        self.config.setdefault("services", {})[name] = {"url": service.url, **settings}

    def alert_at(self, service):
        """Alerts go to this service, at once."""
        self.service("chat", service, breaker="none")  # so many tries are enough for it
        self.configure(driver={"poll": "100ms"}, alerts=[
            {"name": "chat", "http": {"service": "chat", "post": "/alerts"}, "retry": {"first": "20ms", "longest": "100ms"}}])

    # -- processes --

    def environment(self):
        return {**os.environ, "LETHE_ALLOW_ROOT": "1"}

    def start(self, *words):
        """Starts a command that keeps running; standard output is a pipe, the log a file."""
        self.write_config()
        log = open(self.folder / f"log-{len(self.processes)}.txt", "wb")
        process = subprocess.Popen([LETHE, *words, "--config", str(self.file)], stdout=subprocess.PIPE, stderr=log,
                                   cwd=self.folder, env=self.environment())
        process.log_path = log.name
        log.close()
        self.processes.append(process)
        return process

    def wait_ready(self, process):
        ready, _, _ = select.select([process.stdout], [], [], TIMEOUT)
        line = process.stdout.readline().decode() if ready else ""
        assert line.startswith("ready http"), f"not ready: {line!r}\n{self.log(process)}"
        self.port = urllib.parse.urlsplit(line.split()[1]).port
        return process

    def serve(self):
        return self.wait_ready(self.start("serve"))

    def run_all(self):
        """lethe run: server and driver in one process."""
        return self.wait_ready(self.start("run"))

    def log(self, process):
        with open(process.log_path, encoding="utf-8", errors="replace") as f:
            return f.read()

    def logs(self):
        return "".join(self.log(p) for p in self.processes)

    def start_driver(self):
        """Starts a driver that keeps running, beside a server."""
        return self.start("drive")

    def start_tracer(self, process, *options):
        """Attaches strace with these options to a running process, to inject faults; attached when this returns."""
        tracer = subprocess.Popen(["strace", "-f", "-q", "-e", "trace=fdatasync,fsync", *options, "-p", str(process.pid), "-o",
                                   "/dev/null"], stderr=subprocess.DEVNULL)

        def attached():
            assert tracer.poll() is None, "strace could not attach"
            with open(f"/proc/{process.pid}/status", encoding="utf-8") as f:
                return f"TracerPid:\t{tracer.pid}\n" in f.read()

        wait_for(attached, "strace to attach")
        return tracer

    def wait_said(self, process, words):
        """Waits until the log of the process has these words."""
        wait_for(lambda: words in self.log(process), f"{words!r} in the log")

    def reload(self, process, says="has been read again"):
        """Makes the process read the configuration again, by SIGHUP."""
        said = self.log(process).count(says)
        self.write_config()
        process.send_signal(signal.SIGHUP)
        wait_for(lambda: self.log(process).count(says) > said, f"{says!r} in the log")

    def kill(self, process, how=signal.SIGKILL):
        process.send_signal(how)
        return process.wait(TIMEOUT)

    def stop(self):
        """Stops drivers before the server that they report to."""
        for process in sorted(self.processes, key=lambda p: p.args[1] != "drive"):
            if process.poll() is None:
                process.terminate()
                try:
                    process.wait(TIMEOUT)
                except subprocess.TimeoutExpired:
                    process.kill()
                    process.wait()
            process.stdout.close()

    def check(self):
        """Checks what must hold after every test: the database satisfies every invariant, and no process was ended by a
        sanitizer or an assertion."""
        for words in ("Sanitizer", "runtime error:", "Assertion"):
            assert words not in self.logs(), self.logs()
        if not (self.data_dir / "lethe.db").exists():
            return
        plain = self.folder / "fsck.yml"
        plain.write_text(yaml.safe_dump({"data_dir": "data", "identity": self.config.get("identity", {"salts": ["salt-of-no-site"]}),
                                         "states": ["PENDING", "ERRORED", "ABORTED", "COMPLETE"]}))
        plain.chmod(0o600)
        result = self.lethe("fsck", "--config", str(plain), config=False)
        assert result.code == 0 and "every invariant" in result.out, result

    def let_leases_end(self):
        """While no server runs: every lease of a driver is over, on people, on deliveries and on what an LMS is to be told, and
        so is every time that a stage was put off for."""
        assert all(p.poll() is not None for p in self.processes if "drive" not in p.args), "a server runs"
        with sqlite3.connect(self.data_dir / "lethe.db") as db:
            db.execute("UPDATE retirement SET lease_until = created_at + 2 WHERE lease_until > created_at")
            db.execute("UPDATE retirement SET lease_until = -created_at WHERE lease_until < -1")  # LEASE_PUT_OFF of core.h
            db.execute("UPDATE outbox SET next_at = 1 WHERE state = 0")
            db.execute("UPDATE source SET next_at = 1 WHERE next_at IS NOT NULL")
        db.close()

    def be_away_past_all_leases(self):
        """The server is killed, every lease runs out, and it is started again."""
        [server] = [p for p in self.processes if p.args[1] == "serve" and p.poll() is None]
        self.kill(server)
        self.let_leases_end()
        self.serve()

    def age(self, days):
        """While no server runs: all people are so much older."""
        by = days * 86400 * 1000000
        with sqlite3.connect(self.data_dir / "lethe.db") as db:
            db.execute("UPDATE retirement SET created_at = created_at - $1, modified_at = modified_at - $1", (by,))
            db.execute("UPDATE retirement_log SET at = at - $1", (by,))
        db.close()

    # -- commands --

    def lethe(self, *words, stdin=None, timeout=TIMEOUT, config=True, env=None):
        if config:
            self.write_config()
            words = (*words, "--config", str(self.file))
        done = subprocess.run([LETHE, *words], input=stdin, capture_output=True, text=True, timeout=timeout,
                              cwd=self.folder, env={**self.environment(), **(env or {})})
        return Result(done)

    def ok(self, *words, **options):
        result = self.lethe(*words, **options)
        assert result.code == 0, result
        return result

    def request(self, username, email=None, name=None, account_id=None):
        """Requests a retirement, with a server or without. Returns it as JSON."""
        email = email or f"{username}@example.com"
        if self.port is None:
            number = ("--account-id", str(account_id)) if account_id else ()
            return self.ok("retirement", "request", "--username", username, "--email", email, *number, "--json").json
        body = {"username": username, "email": email}
        if name:
            body["name"] = name
        if account_id:
            body["account_id"] = account_id
        answer = self.post("/v1/retirements", body)
        assert answer.status in (200, 201), answer
        return answer.json

    def request_all(self, names):
        """The same for many, by a file."""
        people = self.folder / "people.csv"
        people.write_text("".join(f"{name},{name}@example.com\n" for name in names))
        self.ok("account", "import", str(people))
        return self.ok("retirement", "import", str(people), "--json").json["ids"]

    def drive(self, *words, **options):
        return self.lethe("drive", "--once", *words, **options)

    def drive_all(self, *words):
        """Drives until no one is due. Returns the summary."""
        return self.ok("drive", "--once", "--json", *words).json

    def show(self, username):
        return self.ok("retirement", "show", username, "--json").json

    def wait_due(self, username):
        """Waits until the time is over that a stage of this person was put off for."""
        until = self.seconds(self.show(username)["later"]["until"])
        time.sleep(max(until - time.time(), 0))

    def states(self):
        """The state of each person, by user name: from the server while one runs, which costs a tenth of a command."""
        rows = self.rows_of_server()
        if rows is None:
            rows = self.ok("retirement", "list", "--json").json
        return {row["original_username"]: row["state"] for row in rows}

    def rows_of_server(self):
        """All retirements, as a server has them; None: no server listens at the socket."""
        connection = http.client.HTTPConnection("local")
        with socket.socket(socket.AF_UNIX) as connection.sock:
            connection.sock.settimeout(TIMEOUT)
            try:
                connection.sock.connect(str(self.data_dir / "lethe.sock"))
            except (FileNotFoundError, ConnectionRefusedError):
                return None
            rows, after = [], 0
            while after is not None:
                connection.request("GET", f"/v1/retirements?limit=1000&after={after}")
                answer = Answer(connection.getresponse())
                assert answer.status == 200, answer
                rows += answer.json["retirements"]
                after = answer.json["next"]
        return rows

    def wait_states(self, expected):
        """Waits until all people are in this state, or each person in the given one."""
        wanted = expected if isinstance(expected, dict) else None

        def arrived():
            states = self.states()
            return states == wanted if wanted else states and set(states.values()) == {expected}

        wait_for(arrived, f"states {expected}")

    def history(self, username):
        """Every move of a person, as (from, to, answer)."""
        moves = []
        for line in self.show(username)["responses"].split("\n"):
            match = re.match(r"\S+ (\S+) -> (\S+) by .*?(?:: (\{.*\}))?$", line)
            if match:
                moves.append((match[1], match[2], json.loads(match[3]) if match[3] else None))
        return moves

    def recorded(self, username, state):
        """The answer that was recorded when the person last entered this state."""
        return [answer for _, to, answer in self.history(username) if to == state][-1]

    # -- the API --

    def call(self, method, path, body=None, token=None, headers=None, raw=None):
        """One request over TCP; token None: with all scopes; "": none at all."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=TIMEOUT)
        send = dict(headers or {})
        if token is None:
            token = self.token(ALL_SCOPES)
        if token:
            send.setdefault("Authorization", f"JWT {token}")
        if raw is None and body is not None:
            raw = json.dumps(body).encode()
            send.setdefault("Content-Type", "application/json")
        try:
            connection.request(method, path, raw, send)
            answer = Answer(connection.getresponse())
        finally:
            connection.close()
        contract.check(method, path, answer)
        return answer

    def say(self, data, timeout=TIMEOUT, ends=False):
        """Sends exactly these bytes on a new connection, and the end of it, if wanted; returns all that comes back until the
        server hangs up."""
        with socket.create_connection(("127.0.0.1", self.port), timeout) as s:
            heard = b""
            try:
                s.sendall(data)
                if ends:
                    s.shutdown(socket.SHUT_WR)
                while more := s.recv(65536):
                    heard += more
            except (ConnectionResetError, BrokenPipeError):
                pass
            return heard

    def get(self, path, **options):
        return self.call("GET", path, **options)

    def post(self, path, body=None, **options):
        return self.call("POST", path, body, **options)

    def put(self, path, body=None, **options):
        return self.call("PUT", path, body, **options)

    def patch(self, username, new_state, response="done", **options):
        """update_retirement_status, as the existing clients call it."""
        body = {"username": username, "new_state": new_state, "response": response}
        body.update(options.pop("extra", {}))
        return self.call("PATCH", "/api/user/v1/accounts/update_retirement_status/", body, **options)

    def status(self, username, **options):
        path = f"/api/user/v1/accounts/{urllib.parse.quote(username)}/retirement_status/"
        return self.get(path, **options)

    def state_of(self, username):
        answer = self.status(username)
        return answer.json["current_state"]["state_name"] if answer.status == 200 else None

    def queue(self, states, cool_off_days=0, **query):
        query = urllib.parse.urlencode({"cool_off_days": cool_off_days, "states": ",".join(states), **query})
        return self.get(f"/api/user/v1/accounts/retirement_queue/?{query}")

    def log_of(self, id):
        """Every move of one retirement, as the log has it."""
        answer = self.get(f"/v1/retirements/{id}/log")
        assert answer.status == 200, answer
        return answer.json["log"]

    def moves_of(self, id):
        return [(entry["from"], entry["to"]) for entry in self.log_of(id)]

    def one(self, id):
        answer = self.get(f"/v1/retirements/{id}")
        assert answer.status == 200, answer
        return answer.json

    def counts(self):
        """The number of people in each state."""
        return {state["name"]: state["count"] for state in self.get("/v1/states").json["states"]}

    def violations(self):
        answer = self.post("/v1/fsck")
        assert answer.status == 200, answer
        return answer.json["violations"]

    def archive(self, older_than="0d", **more):
        answer = self.post("/v1/archives", {"older_than": older_than, **more})
        assert answer.status == 200, answer
        return answer.json

    def somebody(self, *path, name=None):
        """A new person with a retirement that was moved through these states, by force. Returns the
        retirement as it is then."""
        self.people = getattr(self, "people", 0) + 1
        name = name or f"person{self.people}"
        asked = self.request(name)
        for state in path:
            answer = self.patch(name, state, f"led to {state}", extra={"force": True})
            assert answer.status == 204, answer
        return self.one(asked["id"])

    # -- what drivers do --

    def claim(self, limit=1, lease_s=60, driver="driver", **more):
        """Claims retirements; returns the granted ones."""
        answer = self.post("/v1/claims", {"driver": driver, "limit": limit, "lease_s": lease_s, **more})
        assert answer.status == 200, answer
        return answer.json["claims"]

    def report(self, claim, outcome, **more):
        """Sends one report about a claim; returns its answer."""
        report = {"id": claim["id"], "epoch": claim["epoch"], "stage": claim["stage"], "outcome": outcome, **more}
        answer = self.post("/v1/progress", [report])
        assert answer.status == 200, answer
        return answer.json[0]

    # -- credentials --

    def client(self, name, scope):
        return self.ok("client", "add", name, "--scope", scope, "--json").json

    def token(self, scope):
        with self.token_lock:
            if scope not in self.tokens:
                made = self.client(f"test-{len(self.tokens)}", scope)
                self.tokens[scope] = self.token_of(made)
            return self.tokens[scope]

    def token_of(self, made):
        """A token for the client that client() made."""
        answer = self.ask_token(client_id=made["client_id"], client_secret=made["client_secret"], token_type="jwt")
        assert answer.status == 200, answer
        return answer.json["access_token"]

    def ask_token(self, headers=None, grant_type="client_credentials", **form):
        """The token endpoint; None leaves a field out."""
        form = {k: v for k, v in {"grant_type": grant_type, **form}.items() if v is not None}
        return self.call("POST", "/oauth2/access_token", token="", raw=urllib.parse.urlencode(form).encode(),
                         headers={"Content-Type": "application/x-www-form-urlencoded", **(headers or {})})

    @staticmethod
    def seconds(text):
        """A time of the API, as seconds since 1970."""
        return datetime.datetime.fromisoformat(text.replace("Z", "+00:00")).timestamp()
