# SPDX-License-Identifier: Apache-2.0
"""Lethe as the demo uses it: its commands, as an operator types them, and its API, as an application
calls it."""
import http.client
import json
import re
import subprocess
import sys
from dataclasses import asdict
from urllib.parse import urlencode, urlsplit

from programs import DemoFailed, environment, read_line


class Lethe:
    def __init__(self, binary, config, log_file, programs):
        self.binary = binary
        self.config = config
        self.log_file = log_file
        self.programs = programs

    # ---- commands ----

    def command(self, *words):
        return [self.binary, *words, "--config", self.config]

    def run(self, *words):
        """What the command prints."""
        command = self.command(*words)
        done = subprocess.run(command, env=environment(), capture_output=True, text=True, check=False)
        if done.returncode != 0:
            raise DemoFailed(f"{' '.join(command)} ended with {done.returncode}: {done.stderr.strip()}")
        return done.stdout

    def start(self, word):
        """`lethe serve` or `lethe run`: the process, and where it answers. Errors and the progress bar go to
        the terminal, if there is one."""
        with open(self.log_file, "ab") as log:
            process = self.programs.start(self.command(word), env=environment(), stdin=subprocess.DEVNULL,
                                          stdout=subprocess.PIPE, text=True,
                                          stderr=None if sys.stderr.isatty() else log)
        ready, _, url = read_line(process, f"lethe {word}").partition(" ")
        if ready != "ready":
            raise DemoFailed(f"lethe {word} said {ready} in place of ready")
        return process, url

    def stop(self, process):
        status = self.programs.stop(process)
        process.stdout.close()
        if status != 0:
            raise DemoFailed(f"lethe ended with {status}")


class Api:
    """A client with credentials, as an application is one."""

    def __init__(self, url, client):
        self.connection = http.client.HTTPConnection(urlsplit(url).netloc, timeout=30)
        form = {"grant_type": "client_credentials", "client_id": client["client_id"],
                "client_secret": client["client_secret"], "token_type": "jwt"}
        answer = self.send("POST", "/oauth2/access_token", urlencode(form),
                           {"Content-Type": "application/x-www-form-urlencoded"})
        self.headers = {"Authorization": "JWT " + json.loads(answer)["access_token"],
                        "Content-Type": "application/json"}

    def get(self, path):
        return json.loads(self.send("GET", path, None, self.headers))

    def post(self, path, content):
        return json.loads(self.send("POST", path, json.dumps(content), self.headers))

    def send(self, method, path, body, headers):
        self.connection.request(method, path, body, headers)
        answer = self.connection.getresponse()
        content = answer.read().decode()
        if answer.status >= 300:
            raise DemoFailed(f"{method} {path} was answered with {answer.status}: {content.strip()}")
        return content

    def request_retirement(self, person):
        return self.post("/v1/retirements", asdict(person))

    def count_states(self):
        """How many people are in each state, by its name."""
        return {state["name"]: state["count"] for state in self.get("/v1/states")["states"]}

    def leaves_alone(self, service):
        """Whether the driver has shut the service, because it failed for all people."""
        metrics = self.send("GET", "/metrics", None, {})
        return re.search(rf'^lethe_driver_service_shut{{service="{service}"}} 2$', metrics, re.MULTILINE) is not None

    def get_log(self, number):
        """Every move of one retirement; the driver's reports are JSON in its responses."""
        return self.get(f"/v1/retirements/{number}/log")["log"]
