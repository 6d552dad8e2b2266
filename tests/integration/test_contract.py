# SPDX-License-Identifier: Apache-2.0
"""The calls in data/contract.txt are made and compared. The file can be read beside the contract, section by section."""
import datetime
import json
import os
import re

import pytest
import yaml

from contract import contract
from site_under_test import ALL_SCOPES

FILE = os.path.join(os.path.dirname(__file__), "data", "contract.txt")
EDX = "/api/user/v1/accounts/"
PASSWORD = "correct horse battery"
CALL = re.compile(r"(GET|POST|PUT|PATCH|DELETE) (\S+)(?: (.+?))??(?: as (\S+))? -> (\d{3}) (.+)")


def read_sections():
    sections = {}
    with open(FILE, encoding="utf-8") as f:
        for number, line in enumerate(f, 1):
            line = line.rstrip("\n")
            if line.startswith("== "):
                lines = sections[line[3:]] = []
            elif line and not line.startswith("#"):
                lines.append((number, line))
    return sections


SECTIONS = read_sections()


class Conversation:
    def __init__(self, site):
        self.site = site
        self.numbers = {}
        self.sessions = {}
        self.known = {"today": datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%d")}

    # -- what a line may be --

    def given(self, name, what, orgs):
        site = self.site
        if what == "an account" or orgs:
            account = {"username": name, "email": f"{name}@example.com", "orgs": orgs}
            if what == "an account":
                account["password"] = PASSWORD
            answer = site.post("/v1/accounts", account)
            assert answer.status == 201, answer
            self.known[f"account-{name}"] = str(answer.json["id"])
        if what == "an account":
            answer = site.post("/v1/sessions", {"username": name, "password": PASSWORD}, token="")
            self.sessions[name] = answer.json["token"]
            return
        asked = site.request(name)
        self.numbers[name] = asked["id"]
        self.known[f"retired-{name}"] = asked["retired_username"]
        state = what.removeprefix("in ")
        if state != "PENDING":
            assert site.patch(name, state, extra={"force": True}).status == 204

    def token_of(self, who):
        if who is None:
            return self.site.token(ALL_SCOPES)
        return "" if who == "nobody" else self.sessions.get(who) or self.site.token(who)

    def fill_in(self, text):
        """{ada} by her number; alone between quotation marks, by the number without them."""
        for name, number in self.numbers.items():
            text = text.replace(f'"{{{name}}}"', str(number)).replace(f"{{{name}}}", str(number))
        for name, value in self.known.items():
            text = text.replace(f"{{{name}}}", value)
        return text

    def call(self, method, path, body, who):
        path = self.fill_in(path)
        path = path if path.startswith("/") else EDX + path
        headers = {}
        if body:
            body = self.fill_in(body)
            form = body[0] not in "[{"
            headers["Content-Type"] = "application/x-www-form-urlencoded" if form else "application/json"
        return self.site.call(method, path, raw=body.encode() if body else None, headers=headers, token=self.token_of(who))

    # -- is it the answer? --

    def matches(self, expected, found):
        if expected == "*":
            return True
        if isinstance(expected, dict):
            more = "..." in expected
            keys = [key for key in expected if key != "..."]
            return (isinstance(found, dict) and (more or keys == list(found)) and
                    all(key in found and self.matches(expected[key], found[key]) for key in keys))
        if isinstance(expected, list):
            return (isinstance(found, list) and len(expected) == len(found) and
                    all(self.matches(e, f) for e, f in zip(expected, found)))
        return type(expected) is type(found) and expected == found

    def expect(self, answer, status, form):
        assert answer.status == int(status), answer
        word, _, rest = form.partition(" ")
        if word == "nothing":
            return
        if word == "empty":
            assert answer.raw == b"", answer
        elif word == "says":
            assert isinstance(answer.json, str) and rest in answer.json, answer
        elif word in ("message", "detail"):
            assert list(answer.json) == [word] and rest in answer.json[word], answer
        elif word == "error":
            assert answer.json["error"] == rest, answer
        elif word == "problem":
            assert answer.headers["Content-Type"] == "application/problem+json", answer
            assert rest in ("*", answer.json["code"]) and answer.json["code"], answer
        elif word == "people":
            assert [row["original_username"] for row in answer.json] == rest.split(), answer
        else:
            assert self.matches(json.loads(self.fill_in(form)), answer.json), answer
        if answer.status == 401 and word == "detail":
            assert answer.headers["WWW-Authenticate"], answer

    def expect_state(self, name, state, last):
        who = self.site.status(name).json
        assert who["current_state"]["state_name"] == state, who
        assert last in (None, who["last_state"]["state_name"]), who

    def say(self, line):
        if found := re.fullmatch(r"given (\S+) (an account|in \S+)(?: with orgs (.+))?", line):
            self.given(found[1], found[2], found[3].split(", ") if found[3] else [])
        elif found := re.fullmatch(r"(\S+) is (\S+)(?: after (\S+))?", line):
            self.expect_state(*found.groups())
        else:
            found = CALL.fullmatch(line)
            assert found, "not a line of this file"
            self.expect(self.call(*found.groups()[:4]), found[5], found[6])


@pytest.mark.parametrize("title", SECTIONS)
def test_contract(site, title):
    lines = SECTIONS[title]
    for _, line in lines:
        if line.startswith("with "):
            site.configure(**yaml.safe_load(line.removeprefix("with ")))
    site.serve()
    talk = Conversation(site)
    made = site.client("reader", "retirement:read")
    talk.known.update(made)
    for number, line in lines:
        if line.startswith("with "):
            continue
        try:
            talk.say(line)
        except AssertionError as e:
            raise AssertionError(f"contract.txt:{number}: {line}\n{e}") from None


def test_every_call_of_the_contract_is_in_it():
    """Every call of openapi.yaml; test_routes.c checks that it describes every route."""
    called = {(found[1], found[2]) for lines in SECTIONS.values() for _, line in lines if (found := CALL.fullmatch(line))}
    called = {(method, path if path.startswith("/") else EDX + path) for method, path in called}
    missing = []
    for pattern, path, item in contract.paths:
        for method in item:
            if method in ("get", "post", "put", "patch", "delete") and not any(
                    m.lower() == method and contract.find(m, p) is item[method] for m, p in called):
                missing.append(f"{method.upper()} {path}")
    assert not missing


def test_no_text_of_the_description_is_torn():
    """An unquoted comma ends a text in { }: its rest is then a member without a value."""
    torn, parts = [], [contract.document]
    for part in parts:
        torn += [name for name, value in part.items() if value is None] if isinstance(part, dict) else []
        parts += [value for value in (part.values() if isinstance(part, dict) else part) if isinstance(value, (dict, list))]
    assert torn == []
