# SPDX-License-Identifier: Apache-2.0
"""A site with Lethe: its configuration, its server and driver, its commands and its API, as verbs."""
import http.client
import json
import os
import select
import signal
import subprocess
import time
import urllib.parse

import yaml

LETHE = os.environ.get("LETHE", os.path.join(os.path.dirname(__file__), "..", "..", "build", "lethe"))
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
        self.file.write_text(yaml.safe_dump(self.config, sort_keys=False))

    def configure(self, **settings):
        """Replaces top-level settings; None takes one out."""
        for key, value in settings.items():
            if value is None:
                self.config.pop(key, None)
            else:
                self.config[key] = value

    def stage(self, working, completed, **action):
        """Adds a stage (and so does without the list of states)."""
        self.config.pop("states", None)
        self.config.setdefault("stages", []).append({"working": working, "completed": completed, **action})

    def service(self, name, service, **settings):
        self.config.setdefault("services", {})[name] = {"url": service.url, **settings}

    # -- processes --

    def environment(self):
        return {**os.environ, "LETHE_ALLOW_ROOT": "1"}

    def start(self, *words):
        """A command that goes on running; standard output as a pipe, the log in a file."""
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

    def kill(self, process, how=signal.SIGKILL):
        process.send_signal(how)
        return process.wait(TIMEOUT)

    def stop(self):
        for process in self.processes:
            if process.poll() is None:
                process.terminate()
                try:
                    process.wait(TIMEOUT)
                except subprocess.TimeoutExpired:
                    process.kill()
                    process.wait()
            process.stdout.close()

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

    def request(self, username, email=None, name=None):
        """Somebody asks to be forgotten. Gives the retirement as JSON."""
        body = {"username": username, "email": email or f"{username}@example.com"}
        if name:
            body["name"] = name
        answer = self.post("/v1/retirements", body)
        assert answer.status in (200, 201), answer
        return answer.json

    def drive(self, *words, **options):
        return self.lethe("drive", "--once", *words, **options)

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
            return Answer(connection.getresponse())
        finally:
            connection.close()

    def get(self, path, **options):
        return self.call("GET", path, **options)

    def post(self, path, body=None, **options):
        return self.call("POST", path, body, **options)

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

    # -- credentials --

    def client(self, name, scope):
        return self.ok("client", "add", name, "--scope", scope, "--json").json

    def token(self, scope):
        if scope not in self.tokens:
            made = self.client(f"test-{len(self.tokens)}", scope)
            form = urllib.parse.urlencode({"grant_type": "client_credentials", "client_id": made["client_id"],
                                           "client_secret": made["client_secret"], "token_type": "jwt"})
            answer = self.call("POST", "/oauth2/access_token", token="", raw=form.encode(),
                               headers={"Content-Type": "application/x-www-form-urlencoded"})
            assert answer.status == 200, answer
            self.tokens[scope] = answer.json["access_token"]
        return self.tokens[scope]
