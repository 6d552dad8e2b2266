# SPDX-License-Identifier: Apache-2.0
"""Hostile bytes in every place: the right status, a text that helps, never a 500, and nothing has changed."""
import itertools
import json
import os
import re

import pytest

from contract import contract
from site_under_test import ALL_SCOPES, wait_for

UPDATE = "/api/user/v1/accounts/update_retirement_status/"
WITH_BODY = [(method.upper(), path) for path, item in contract.document["paths"].items() for method, operation in item.items()
             if "application/json" in operation.get("requestBody", {}).get("content", {})
             and path != "/v1/accounts/bulk_retire_users"]  # an LMS's call with its own manners: test_partners.py
LISTS = {path for method, path in WITH_BODY
         if contract.find(method, path)["requestBody"]["content"]["application/json"]["schema"].get("type") == "array"}
ITEM_BY_ITEM = {"/v1/progress", "/v1/deliveries/reports"}  # 200, and each item has an answer of its own
# Calls that work without a body, and calls that refuse unknown members. The LMS's own calls ignore them.
OPTIONAL = {(method, path) for method, path in WITH_BODY
            if not contract.document["paths"][path][method.lower()]["requestBody"].get("required")}
CLOSED = [(method, path) for method, path in WITH_BODY
          if path.startswith("/v1/") or path == UPDATE]
ALL = [(method.upper(), path) for path, item in contract.document["paths"].items() for method in item]


@pytest.fixture(scope="module")
def victim(authority):
    """A person whose data must not change."""
    who = authority.somebody("RETIRING_LMS", name="victim")
    return who["id"]


class Seen:
    """What a test must leave as it was, and the log as far as it was read."""

    def __init__(self, site, victim):
        self.site, self.victim = site, victim
        self.said = open(site.processes[0].log_path, encoding="utf-8", errors="replace")
        self.data = self.look()

    def look(self):
        site = self.site
        return site.counts(), site.one(self.victim), site.log_of(self.victim), site.get("/v1/clients").json

    def expect_unchanged(self):
        before, self.data = self.data, self.look()
        assert self.data == before, "something has changed"
        bad = [line for line in self.said if "Sanitizer" in line or re.match(r"\S+ error ", line)]
        assert bad == []


@pytest.fixture(scope="module")
def seen(authority, victim):
    seen = Seen(authority, victim)
    yield seen
    seen.said.close()


@pytest.fixture(autouse=True)
def unchanged(seen):
    yield
    seen.expect_unchanged()


def concrete(path, victim):
    return path.replace("{username}", "victim").replace("{id}", str(victim)).replace("{name}", "nobody")


def is_refused(path, answer, statuses=(400, 404, 409)):
    if path in ITEM_BY_ITEM and answer.status == 200:
        return len(answer.json) == 1 and answer.json[0]["ok"] is False and bool(answer.json[0]["detail"])
    return answer.status in statuses


def words_of(answer):
    body = answer.json
    return body if isinstance(body, str) else body.get("detail") or body.get("message") or body["error_description"]


def status_of(heard):
    """The status of the answer, or None if the server hung up without one."""
    match = re.match(rb"HTTP/1\.[01] (\d\d\d) ", heard)
    return int(match[1]) if match else None


def expect_refused(authority, data, status):
    """One answer, about the first request of these bytes, and the end of the connection."""
    heard = authority.say(data, ends=True)
    head, _, body = heard.partition(b"\r\n\r\n")
    assert status_of(heard) == status and heard.count(b"HTTP/1.1 ") == 1 and b"\r\nConnection: close" in head, heard[:300]
    problem = json.loads(body)
    assert problem["code"] == "malformed" and problem["title"] != "Error"


def request_bytes(authority, start, *headers, body=b""):
    lines = [start, b"Host: x", b"Connection: close", b"Authorization: JWT " + authority.token(ALL_SCOPES).encode(), *headers]
    return b"\r\n".join(lines) + b"\r\n\r\n" + body


# ---- bodies ----

BODIES = {
    "nothing": (b"", ["body", "missing"]),
    "blanks": (b" \n ", ["JSON"]),
    "half": (b'{"username": "vic', ["JSON"]),
    "not JSON": (b"username=victim&new_state=COMPLETE", ["JSON"]),
    "XML": (b"<?xml version='1.0'?><a/>", ["JSON"]),
    "a comment": (b'{} // ok', ["JSON"]),
    "something behind": (b'{} {}', ["JSON", "after"]),
    "single quotes": (b"{'a': 1}", ["JSON"]),
    "not UTF-8": (b'{"username": "\xff\xfe"}', ["UTF-8"]),
    "overlong UTF-8": (b'{"username": "\xc0\xaf"}', ["UTF-8"]),
    "half a surrogate": (b'{"username": "\\ud800"}', ["JSON"]),
    "UTF-16": '{"a": 1}'.encode("utf-16"),
    "a BOM": (b"\xef\xbb\xbf{}", ["JSON"]),
    "NUL in a value": (b'{"username": "a\\u0000b"}', ["NUL"]),
    "NUL in a key": (b'{"user\\u0000name": "a"}', ["NUL"]),
    "a raw NUL": (b'{"username": "a\x00b"}', ["JSON"]),
    "a raw newline": (b'{"username": "a\nb"}', ["JSON"]),
    "a key twice": (b'{"username": "a", "username": "victim"}', ["key twice"]),
    "a key twice, escaped": (b'{"username": "a", "usern\\u0061me": "victim"}', ["key twice"]),
    "deep": (b"[" * 33 + b"]" * 33, ["deeper than 32"]),
    "deeper": (b'{"a":' * 100000 + b"1" + b"}" * 100000, ["deeper than 32"]),
    "unclosed": (b"[" * 100000, ["deeper than 32"]),
    "a number too large": (b'{"limit": 99999999999999999999}', ["too large"]),
    "a number far too large": (b'{"limit": 1' + b"0" * 5000 + b"}", ["too large"]),
    "infinity": (b'{"limit": 1e999}', ["too large"]),
    "NaN": (b'{"limit": NaN}', ["JSON"]),
    "a string": (b'"victim"', ["must be an"]),
    "a number": (b"7", ["must be an"]),
    "null": (b"null", ["must be an"]),
    "true": (b"true", ["must be an"]),
}


def every_pair(paths, bodies):
    """Each path with each body. Without LETHE_WHOLE: each body at one path of an object and at one of a list, and each path with
    one body. A path that needs none also gets none."""
    pairs = [(path, what) for path in paths for what in bodies]
    if not os.environ.get("LETHE_WHOLE"):
        thorough = {next(path for path in paths if path not in OPTIONAL and (path[1] in LISTS) == is_list) for is_list in (True, False)}
        sample = set(zip(paths, itertools.cycle(bodies))) | {(path, "nothing") for path in OPTIONAL}
        pairs = [(path, what) for path, what in pairs if path in thorough or (path, what) in sample]
    return [(*path, what) for path, what in pairs]


@pytest.mark.parametrize("method, path, what", every_pair(WITH_BODY, BODIES))
def test_bodies(authority, victim, method, path, what):
    body, words = BODIES[what] if isinstance(BODIES[what], tuple) else (BODIES[what], ["JSON"])
    answer = authority.call(method, concrete(path, victim), raw=body, headers={"Content-Type": "application/json"})
    if what == "nothing" and (method, path) in OPTIONAL:
        assert answer.status < 500, answer
        return
    assert answer.status == 400, answer
    for word in words:
        assert word in words_of(answer), answer


@pytest.mark.parametrize("method, path", WITH_BODY)
def test_the_wrong_kind_of_body(authority, victim, method, path):
    wrong = [] if path not in LISTS else {}
    answer = authority.call(method, concrete(path, victim), wrong)
    assert answer.status == 400 and "must be an" in words_of(answer), answer


@pytest.mark.parametrize("method, path", CLOSED)
def test_a_field_that_nobody_knows(authority, victim, method, path):
    """Refused, and not quoted back: it could be a name."""
    secret = "ada.lovelace@example.com"
    body = [{secret: 1}] if path in LISTS else {"username": "victim", secret: 1}
    answer = authority.call(method, concrete(path, victim), body)
    assert is_refused(path, answer, (400,)) and b"not known here" in answer.raw and secret.encode() not in answer.raw, answer


@pytest.mark.parametrize("method, path", WITH_BODY + [("POST", "/oauth2/access_token")])
def test_a_body_over_a_mebibyte(authority, victim, method, path):
    path = concrete(path, victim)
    answer = authority.call(method, path, raw=b'{"username": "' + b"x" * (1 << 20) + b'"}')
    assert answer.status == 413 and "too large" in words_of(answer), answer
    exactly = b'{"' + b"x" * ((1 << 20) - 6) + b'":1}'
    assert len(exactly) == 1 << 20
    assert authority.call(method, path, raw=exactly).status in (400, 401, 404)


def test_a_body_that_claims_to_be_huge(authority):
    start = f"PATCH {UPDATE} HTTP/1.1".encode()
    for length in (b"99999999999", b"18446744073709551615"):
        assert status_of(authority.say(request_bytes(authority, start, b"Content-Length: " + length))) == 413
    heard = authority.say(request_bytes(authority, start, b"Content-Length: 99999999", b"Expect: 100-continue"))
    assert status_of(heard) == 413 and b" 100 " not in heard


def test_a_body_in_chunks(authority):
    start = f"PATCH {UPDATE} HTTP/1.1".encode()
    heard = authority.say(request_bytes(authority, start, b"Transfer-Encoding: chunked", body=b"2\r\n{}\r\n0\r\n\r\n"))
    assert status_of(heard) == 404 and b"The user was not specified." in heard
    endless = (b"10000\r\n" + b" " * 0x10000 + b"\r\n") * 20 + b"0\r\n\r\n"
    assert status_of(authority.say(request_bytes(authority, start, b"Transfer-Encoding: chunked", body=endless))) == 413


@pytest.mark.parametrize("headers, status", [
    ([b"Content-Length: 2", b"Content-Length: 3"], 400), ([b"Content-Length: 2", b"Transfer-Encoding: chunked"], 400),
    ([b"Content-Length: -1"], 400), ([b"Content-Length: x"], 400), ([b"Content-Length: 2, 2"], 400), ([b"Content-Length: 0x2"], 400),
    ([b"Content-Length: 18446744073709551616"], 413), ([b"Content-Length : 2"], 400),
    ([b"Transfer-Encoding: gzip, chunked"], 501), ([b"Transfer-Encoding: identity", b"Content-Length: 2"], 501),
])
def test_a_body_whose_length_is_said_in_doubtful_ways(authority, headers, status):
    """A server and a proxy must not disagree whether this is one request or two."""
    second = b"GET /metrics HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
    start = f"PATCH {UPDATE} HTTP/1.1".encode()
    data = request_bytes(authority, start, *headers, body=b"{}" + second).replace(b"Connection: close\r\n", b"", 1)
    expect_refused(authority, data, status)


# ---- headers ----

def test_headers_over_16_kib(authority):
    get = b"GET /v1/states HTTP/1.1"
    assert status_of(authority.say(request_bytes(authority, get, b"X-Long: " + b"x" * 13000))) == 200
    for header in (b"X-Long: " + b"x" * 17000, b"X-Long: " + b"x" * 100000, b"\r\n".join(b"X-%d: y" % n for n in range(3000)),
                   b"Cookie: " + b"a=b; " * 5000):
        assert status_of(authority.say(request_bytes(authority, get, header))) == 431


@pytest.mark.parametrize("headers, status", [
    ([b"X-%d: %s" % (n, b"y" * 140) for n in range(95)], 200), ([b"a: b"] * 94, 200), ([b"a: b"] * 101, 431), ([b"a: b"] * 400, 431),
    ([b"Cookie: a=" + b"b" * 4000], 200), ([b"Cookie: " + b"a=b; " * 90], 200), ([b"Cookie: " + b"a=%s; " % (b"b" * 76) * 50, *[b"X: %s" % (b"y" * 265)] * 42], 200), ([b"Cookie: a=" + b"b" * 4100], 431),
    ([b"Cookie: a=" + b"b" * 3000] * 2, 431), ([b"Cookie: a=" + b"b" * 9000], 431), ([b"Cookie: " + b"a=b; " * 800], 431)])
def test_many_short_headers_and_long_cookies(authority, headers, status):
    """The library would need more memory for them than a connection has, and answer in its own words."""
    data = request_bytes(authority, b"GET /v1/states HTTP/1.1", *headers)
    if status == 431:
        expect_refused(authority, data, 431)
    else:
        assert status_of(authority.say(data)) == status


@pytest.mark.parametrize("start", [b"GET /" + b"x" * 20000 + b" HTTP/1.1", b"GET /v1/states?a=" + b"b" * 20000 + b" HTTP/1.1"])
def test_a_target_that_is_too_long(authority, start):
    expect_refused(authority, request_bytes(authority, start), 431)


@pytest.mark.parametrize("header", [b"X: a\x01b", b"X: a\x7fb", b"X: \xff\xfe", b"X: a\xc2\x85b", b"Host: two"])
def test_headers_with_hostile_characters(authority, header):
    expect_refused(authority, request_bytes(authority, b"GET /v1/states HTTP/1.1", header), 400)


@pytest.mark.parametrize("data, status", [
    (b"\r\n\r\n\r\n", 400), (b"\x00" * 1000, 400), (b"GET\r\n\r\n", 400), (b"GET / HTTP/9.9\r\n\r\n", 505), (b"GET / HTTP/1.1\n\n", 400),
    (b"\x16\x03\x01\x02\x00\x01\x00", 400), (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505), (b"\xff" * 5000 + b"\r\n\r\n", 400),
    (b"GET  /  HTTP/1.1\r\n\r\n", 400), (b"G" * 30000, 431),
    (b"GET http://evil.example/ HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", 400),
    (b"GET * HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", 400)])
def test_what_is_hardly_http(authority, data, status):
    expect_refused(authority, data, status)


# ---- paths and methods ----

@pytest.mark.parametrize("path, status", [
    ("/v1/states%00", 400), ("/%00", 400), ("/v1/retirements/1%00", 400), ("/v1/%zz", 400), ("/v1/%", 400), ("/v1/%f", 400), ("/v1/%ff", 400),
    ("/v1/states%0d%0aX-Injected:%20yes", 400), ("/v1/%c2%85", 400), ("/v1/%c0%af", 400), ("/v1/states?x=%00", 400), ("/v1/states?x=%ff", 400),
    ("/v1/states?%0a=1", 400), ("/v1/states?x=%", 400),
    ("/v1/../v1/states", 404), ("/../../etc/passwd", 404), ("/v1/%2e%2e/v1/states", 404), ("/..%2f..%2fetc%2fpasswd", 404), ("//v1/states", 404),
    ("/v1//states", 404), ("/v1/states/", 404), ("/v1/./states", 404), ("/V1/states", 404), ("/v1/states;x=1", 404), ("/v1%5cstates", 404),
    ("/v1/clients/a%2fb/disable", 404), ("/api/user/v1/accounts/a%2fb/retirement_status/", 404),
    ("/api/user/v1/accounts/%2e%2e/retirement_status/", 404), ("/api/user/v1/accounts//retirement_status/", 404), ("/", 404), ("/v1", 404),
    ("/lethe.db", 404), ("/favicon.ico", 404), ("/" + "x" * 10000, 404), ("/" + "a/" * 5000, 404),
])
def test_paths(authority, path, status):
    answer = authority.get(path)
    assert answer.status == status, answer
    assert answer.headers["X-Injected"] is None and answer.headers["Location"] is None


@pytest.mark.parametrize("method, path", [("GET", "/v1/retirements/x"), ("PATCH", "/v1/accounts/x"), ("POST", "/v1/accounts/0/password-reset"),
                                          ("POST", "/v1/deliveries/-1/retry"), ("POST", "/v1/retirements/1x/move")])
def test_what_is_no_number_is_said(authority, method, path):
    answer = authority.call(method, path, {})
    assert answer.status == 404 and answer.json["code"] == "not_found", answer
    assert "retirement" not in answer.json["detail"] and "number" in answer.json["detail"], answer


@pytest.mark.parametrize("method, path", ALL)
def test_methods(authority, victim, method, path):
    """Methods that a path does not have are refused, and the answer names those it has."""
    path = concrete(path, victim)
    known = {m for m, p in ALL if concrete(p, victim) == path}
    for other in {"GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "CONNECT"} - known:
        if other == "CONNECT":
            continue  # Python's client makes something else of it
        answer = authority.call(other, path)
        assert answer.status in (404, 405), (other, answer)
        assert answer.status == 404 or known <= set(answer.headers["Allow"].split(", ")), (other, answer)


@pytest.mark.parametrize("method", ["FOO", "get", "PROPFIND", "G" * 300])
def test_unknown_methods(authority, method):
    assert authority.call(method, "/v1/states").status == 501


# ---- values ----

HOSTILE = ["' OR '1'='1", "victim'; DROP TABLE retirement; --", "%s%n%s%n", "../../etc/passwd", "<script>alert(1)</script>", "{original_username}",
           "victim\u202e", "\ud7ff\ue000", "x" * 100000, "-1", "NULL", "\\u0000", "\u00a0", "victim ", " victim", "VICTIM", "ｖictim"]


@pytest.mark.parametrize("value", HOSTILE)
def test_hostile_user_names_are_nobody(authority, value):
    for force in ({}, {"extra": {"force": True}}):
        answer = authority.patch(value, "COMPLETE", **force)
        assert answer.status == 404 and answer.raw == b"", answer
    assert authority.post("/v1/retirements/search", {"username": value}).json["retirements"] == []
    assert authority.post("/v1/retirements/search", {"email": value}).json["retirements"] == []
    assert authority.post("/v1/claims", {"driver": "a", "limit": 1, "lease_s": 1, "username": value}).status == 404


@pytest.mark.parametrize("value", HOSTILE)
def test_hostile_states_are_unknown(authority, victim, value):
    assert authority.patch("victim", value).status == 400
    assert authority.post(f"/v1/retirements/{victim}/move", {"state": value, "reason": "x"}).status == 400
    assert authority.post("/v1/progress", [{"id": victim, "epoch": 1, "stage": value, "outcome": "done"}]).json[0]["code"] == "unknown_stage"


@pytest.mark.parametrize("wrong", [None, 1, 1.5, True, [], {}, [[]], ["victim"], {"a": "victim"}])
def test_wrong_types_of_every_field(authority, victim, wrong):
    """Each field in openapi.yaml with a value of each type; if the type fits, the rest of the body is wrong."""
    for method, path in WITH_BODY:
        schema = contract.resolve(contract.find(method, path)["requestBody"]["content"]["application/json"]["schema"])
        if path in LISTS:
            fields = contract.members(schema["items"])
        else:
            fields = contract.members(schema)
        for field in fields or ():
            body = [{field: wrong}] if path in LISTS else {field: wrong}
            answer = authority.call(method, concrete(path, victim), body)
            harmless = path.endswith("/resume") or path in ("/v1/archives", "/v1/audit/verify") or wrong == [] and field in ("accounts", "people", "username_mappings", "usernames")
            assert is_refused(path, answer) or harmless, (method, path, body, answer)
            assert answer.status in (200, 404) or harmless or words_of(answer), answer


def test_a_long_line_in_an_answer_does_not_split_it(authority, victim):
    """Text of the request in an answer is escaped as JSON."""
    answer = authority.get("/v1/retirements?state=%22%7D%2C%22x%22%3A%22")
    assert answer.status == 400 and set(answer.json) == {"type", "title", "status", "detail", "code", "request"}
    json.loads(answer.raw)


def test_a_malformed_query_is_answered_in_the_form_of_its_method(authority):
    """POST of this path is one of the LMS's calls, GET of it one of ours."""
    ours = authority.get("/v1/accounts/bulk_retire_users?x=%")
    assert ours.status == 400 and ours.headers["Content-Type"] == "application/problem+json"
    theirs = authority.post("/v1/accounts/bulk_retire_users?x=%", {"usernames": "a"})
    assert theirs.status == 400 and isinstance(theirs.json, str)


# -- where a request ends: what two parsers may read in two ways hides a second request in the first ----------

HIDDEN = b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n"


@pytest.mark.parametrize("head", [
    b"Transfer-Encoding:\r\n chunked\r\n\r\n0\r\n\r\n", b"Content-Length : %d\r\n\r\n" % len(HIDDEN),
    b"Content-Length: 0\0 %d\r\n\r\n" % len(HIDDEN), b"Content-Length: %d\n\r\n" % len(HIDDEN), b"Content-Length: 0\r\n folded\r\n\r\n",
    b"Transfer-Encoding: chunked\r\n\r\n2\n{}\r\n0\r\n\r\n", b"Transfer-Encoding: chunked\r\n\r\n2;%s\r\n{}\r\n0\r\n\r\n" % (b"a" * 24000)])
def test_a_hidden_request_is_never_answered(authority, head):
    heard = authority.say(b"POST /v1/sessions HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n" + head + HIDDEN)
    assert heard.count(b"HTTP/1.1 ") == 1 and status_of(heard) == 400 and b"\r\nConnection: close\r\n" in heard
    refused = json.loads(heard.partition(b"\r\n\r\n")[2])
    assert refused["code"] == "malformed" and refused["detail"]
    wait_for(lambda: f"request={refused['request']} (no route) 400" in authority.logs(), "the line of the log")
