# SPDX-License-Identifier: Apache-2.0
"""Thousands of requests that no client would send. Run again with LETHE_TEST_SEED=N of the printed seed."""
import http.client
import json
import os
import random
import sqlite3
import string

from contract import contract
from site_under_test import ALL_SCOPES, TIMEOUT, Answer

REQUESTS = 10000
CALLS = [(method.upper(), path, operation) for path, item in contract.document["paths"].items() for method, operation in item.items()]
FIELDS = ["username", "new_state", "response", "force", "email", "name", "account_id", "orgs", "people", "select", "action", "to", "reason",
          "driver", "limit", "lease_s", "states", "accounts", "scope", "ids", "state", "since", "after", "id", "epoch", "stage", "outcome", "stop"]
STATES = ["PENDING", "RETIRING_FORUMS", "FORUMS_COMPLETE", "RETIRING_LMS", "LMS_COMPLETE", "ERRORED", "ABORTED", "COMPLETE"]
WORDS = STATES + ["move", "resume", "rerun", "done", "failed", "renewed", "released", "person1", "person2", "person3@example.com", "2026-01-01",
                  "retirement:read", "", " ", "true", "-1", "0", "1", "9223372036854775807", "NOWHERE", "a@b", "%00", "\u0000", "é", "\u202e", "'", '"', "x" * 300]


class Hostile:
    """Makes requests of a seed."""

    def __init__(self, seed):
        self.r = random.Random(seed)

    def value(self, depth=0):
        kind = self.r.randrange(12 if depth < 3 else 8)
        if kind < 4:
            return self.r.choice(WORDS)
        if kind == 4:
            return self.r.choice([0, 1, 2, 3, -1, 2**31, 2**63 - 1, -2**63, 2**63, 2**64, 10**30])
        if kind == 5:
            return self.r.choice([True, False, None, 1.5, 1e308, -0.0])
        if kind == 6:
            return "".join(self.r.choice(string.printable + "\u0000\u0085\ufffd😀") for _ in range(self.r.randrange(40)))
        if kind == 7:
            return self.r.choice(STATES)
        if kind < 10:
            return [self.value(depth + 1) for _ in range(self.r.randrange(5))]
        return self.map(depth + 1)

    def map(self, depth=0):
        return {self.r.choice(FIELDS): self.value(depth) for _ in range(self.r.randrange(6))}

    def fitting(self, schema, depth=0):
        """A value of the schema, but for an accident here and there."""
        schema = contract.resolve(schema)
        if self.r.random() < 0.1 or depth > 6:
            return self.value(2)
        if "oneOf" in schema:
            schema = {**schema, **contract.resolve(self.r.choice(schema["oneOf"]))}
        if "properties" in schema:
            wanted = [name for name in schema["properties"] if name in schema.get("required", []) or self.r.random() < 0.4]
            return {name: self.fitting(schema["properties"][name], depth + 1) for name in wanted}
        if "enum" in schema:
            return self.r.choice(schema["enum"])
        if isinstance(schema.get("type"), list):
            schema = {**schema, "type": self.r.choice(schema["type"])}
        return {"array": lambda: [self.fitting(schema.get("items", {}), depth + 1) for _ in range(self.r.randrange(4))],
                "integer": lambda: self.r.randrange(1, 12), "boolean": lambda: self.r.random() < 0.5,
                "string": lambda: self.r.choice(WORDS)}.get(schema.get("type"), self.value)()

    def spoil(self, raw):
        """A body with some bytes changed, lost, or twice."""
        raw = bytearray(raw)
        for _ in range(self.r.randrange(1, 4)):
            if raw:
                at = self.r.randrange(len(raw))
                raw[at:at + self.r.randrange(3)] = self.r.choice([b"", bytes([self.r.randrange(256)]), bytes(raw[at:at + 8]), b"\\u0000", b"\xff"])
        return bytes(raw)

    def path(self, path):
        for name in ("{username}", "{id}", "{name}"):
            path = path.replace(name, self.r.choice(["1", "2", "3", "person1", "x", "0", "99999999999999999999", "%2e%2e", "%00", "a%2fb", "%ff", "é".encode().hex()]))
        if self.r.random() < 0.4:
            pairs = (self.r.choice(["states", "state", "cool_off_days", "limit", "after", "after_id", "start_date", "end_date", "dry_run", "x"]) + "=" +
                     self.r.choice(["PENDING", "PENDING,COMPLETE", "0", "1", "-1", "2026-01-01", "x", "%00", "%", "%ff", "true", ",", "9" * 40])
                     for _ in range(self.r.randrange(5)))
            path += "?" + "&".join(pairs)
        if self.r.random() < 0.05:
            path = self.spoil(path.encode()).decode("latin-1")
            path = "/" + "".join(c for c in path if "!" <= c <= "~")
        return path

    def request(self):
        method, path, operation = self.r.choice(CALLS)
        if self.r.random() < 0.05:
            method = self.r.choice(["GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"])
        content = operation.get("requestBody", {}).get("content", {})
        body = None
        if content:
            schema = next(iter(content.values()))["schema"]
            body = self.fitting(schema) if self.r.random() < 0.75 else self.value()
            body = json.dumps(body, ensure_ascii=self.r.random() < 0.5).encode("utf-8", "surrogatepass")
            if self.r.random() < 0.15:
                body = self.spoil(body)
        return method, self.path(path), body


class Content:
    """All rows of the database, read again only after a commit."""

    def __init__(self, site):
        self.db = sqlite3.connect(f"file:{site.data_dir}/lethe.db?mode=ro", uri=True)
        self.version, self.rows = None, None
        self.has_changed()

    def has_changed(self):
        """Since the last time."""
        version = self.db.execute("PRAGMA data_version").fetchone()
        if version == self.version:
            return False
        before, self.version = self.rows, version
        tables = self.db.execute("SELECT name FROM sqlite_schema WHERE type = 'table' ORDER BY name").fetchall()
        self.rows = {name: sorted(map(repr, self.db.execute(f"SELECT * FROM {name}"))) for name, in tables}
        return self.rows != before


class Storm:
    """Sends requests on one connection, and checks each answer and the database after it."""

    def __init__(self, site):
        self.tokens = {"all": site.token(ALL_SCOPES), "read": site.token("retirement:read"), "none": None, "garbage": "a.b.c"}
        self.connection = http.client.HTTPConnection("127.0.0.1", site.port, timeout=TIMEOUT)
        self.content = Content(site)
        self.seen, self.changes = {}, 0

    def send(self, method, path, body, who):
        token = self.tokens[who]
        self.connection.request(method, path, body, {"Authorization": "JWT " + token} if token else {})
        answer = Answer(self.connection.getresponse())
        assert answer.status < 500 or path.startswith("/readyz"), "the server failed"
        contract.check(method, path, answer)
        self.seen[answer.status] = self.seen.get(answer.status, 0) + 1
        if self.content.has_changed():
            assert who == "all" and answer.status < 400, "what was refused has changed something"
            self.changes += 1
        return answer


def test_a_storm_of_hostile_requests(site):
    """No 500; refused requests and readers change nothing; the server keeps running; and the database satisfies every
    invariant."""
    seed = int(os.environ.get("LETHE_TEST_SEED", random.randrange(10**6)))
    print(f"seed {seed}")
    site.serve()
    for _ in range(6):
        site.somebody()
    storm, hostile = Storm(site), Hostile(seed)
    for n in range(REQUESTS):
        method, path, body = hostile.request()
        who = hostile.r.choice(["all"] * 8 + ["read", "none", "garbage"])
        if path.startswith("/v1/clients/test-"):
            continue
        try:
            storm.send(method, path, body, who)
        except AssertionError as e:
            raise AssertionError(f"seed {seed}, request {n} with {who}: {method} {path} {body!r}") from e
    storm.connection.close()
    storm.content.db.close()
    assert storm.seen.get(200, 0) > REQUESTS // 25 and storm.seen.get(400, 0) > REQUESTS // 10, storm.seen  # else it reached nothing
    assert storm.seen.get(401, 0) > REQUESTS // 50 and storm.seen.get(403, 0) > REQUESTS // 50 and storm.changes > 0, storm.seen
    assert site.get("/healthz").status == 200
    assert site.violations() == []
