# SPDX-License-Identifier: Apache-2.0
"""An LMS as existing sites have it, scripted: contract A without leases, without limits, and without a memory for
repeated updates."""
import datetime
import json
import threading
import urllib.parse

from services import HANG_UP

BASE = "/api/user/v1/accounts/"


def now():
    return datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def erased(call):
    """What a service of Open edX answers when it has done what it was called for."""
    if call.path.endswith("/replace_usernames/"):
        return 200, {"successful_replacements": [], "failed_replacements": []}
    return (200, []) if call.path.endswith("/unenroll/") else 204


class OldLms:
    """`rows` by user name; `calls` to everything that is no call of contract A; `moves` as they were accepted.

    `meddle(kind, call)` may answer in place of the LMS: kind is "token", "queue", "status", "enter", "complete" and so on
    (the new state, in small letters), or the path of a call to erase something. It returns None to let it happen,
    LOSE to let it happen and hang up, or an answer.
    """

    LOSE = object()

    def __init__(self, make_service, states, secret="secret", client_id="worker"):
        self.states = states
        self.client = (client_id, secret)
        self.rows = {}
        self.added = 0
        self.limits = False
        self.moves = []
        self.calls = []
        self.tokens = []
        self.queries = []
        self.meddle = lambda kind, call: None
        self.lock = threading.RLock()
        self.service = make_service(script=self.answer)
        self.url = self.service.url

    # -- people --

    def add(self, *names, state="PENDING"):
        for name in names:
            self.added += 1
            id = self.added + 100
            self.rows[name] = {
                "id": id, "user": {"id": id + 1000, "username": name, "email": "x", "profile": {"id": 1, "name": ""}},
                "current_state": self.state(state), "last_state": self.state("PENDING"),
                "created": "2020-01-01T00:00:00.000000Z", "modified": "2020-01-01T00:00:00.000000Z",
                "original_username": name, "original_email": f"{name}@example.com", "original_name": f"Name of {name}",
                "retired_username": f"retired_{id}", "retired_email": f"retired_{id}@retired.invalid"}

    def state(self, name):
        return {"id": 1, "state_name": name, "state_execution_order": 10 * self.states.index(name) + 1}

    def put(self, name, state, modified=None):
        """As an administrator or another program does it."""
        with self.lock:
            self.rows[name].update(current_state=self.state(state), modified=modified or now())

    def cancel(self, name):
        """As the support page does it: the row is deleted."""
        with self.lock:
            del self.rows[name]

    def state_of(self, name):
        return self.rows[name]["current_state"]["state_name"]

    def states_of_all(self):
        return {name: self.state_of(name) for name in self.rows}

    def moves_of(self, name):
        return [to for who, to, _ in self.moves if who == name]

    def calls_for(self, name):
        """The calls that erase data of this user name."""
        return [call for call in self.calls if call.username == name]

    # -- answers --

    def answer(self, call):
        with self.lock:
            kind, do = self.find(call)
        meddled = self.meddle(kind, call)
        if meddled is not None and meddled is not self.LOSE:
            return meddled
        with self.lock:
            answer = do(call)
        return HANG_UP if meddled is self.LOSE else answer

    def find(self, call):
        path = urllib.parse.urlsplit(call.path).path
        if path == "/oauth2/access_token":
            return "token", self.give_token
        if path == BASE + "retirement_queue/":
            return "queue", self.checked(self.queue)
        if path.startswith(BASE) and path.endswith("/retirement_status/"):
            return "status", self.checked(self.status)
        if path == BASE + "update_retirement_status/":
            return call.json["new_state"].lower(), self.checked(self.update)
        return path, self.erase

    def checked(self, do):
        def check(call):
            known = call.headers.get("Authorization") in self.tokens
            return do(call) if known else (401, {"detail": "no"}, {"WWW-Authenticate": "JWT"})
        return check

    def give_token(self, call):
        form = dict(urllib.parse.parse_qsl(call.raw.decode()))
        if (form["client_id"], form["client_secret"]) != self.client:
            return 401, {"error": "invalid_client"}
        assert (form["grant_type"], form["token_type"]) == ("client_credentials", "jwt")
        self.tokens.append(f"JWT token-{len(self.tokens)}")
        return 200, {"access_token": self.tokens[-1].split()[1], "expires_in": 3600, "token_type": "JWT", "scope": "x"}

    def queue(self, call):
        query = urllib.parse.parse_qs(urllib.parse.urlsplit(call.path).query)
        self.queries.append(query)
        states = query["states"]
        if not all(state in self.states for state in states):
            return 400, "\"Unknown state. Please check if it exists and is spelled correctly.\""
        rows = [row for row in self.rows.values() if row["current_state"]["state_name"] in states]
        return 200, rows[:int(query["limit"][0])] if self.limits else rows

    def status(self, call):
        name = urllib.parse.unquote(call.path[len(BASE):-len("/retirement_status/")])
        return (200, self.rows[name]) if name in self.rows else (404, b"")

    def update(self, call):
        body = call.json
        forced = body.pop("force", False)
        assert set(body) == {"username", "new_state", "response"} and isinstance(body["response"], str)
        row = self.rows.get(body["username"])
        if row is None:
            return 404, b""
        if body["new_state"] not in self.states:
            return 400, json.dumps(f"{body['new_state']} is no state")
        old, new = (self.states.index(s) for s in (row["current_state"]["state_name"], body["new_state"]))
        ends = len(self.states) - 3
        if not forced and (old >= ends or new <= old):
            return 400, json.dumps(f"{body['username']} cannot go there")
        row["last_state"], row["current_state"] = row["current_state"], self.state(body["new_state"])
        row["modified"] = now()
        self.moves.append((body["username"], body["new_state"], body["response"]))
        return 204

    def erase(self, call):
        assert call.headers.get("Authorization") in self.tokens, "no token"
        self.calls.append(call)
        return erased(call)
