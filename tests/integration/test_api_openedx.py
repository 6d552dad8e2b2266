# SPDX-License-Identifier: Apache-2.0
"""What unmodified clients of the Open edX LMS see: the object of contract A2, the reading calls and the update of A3."""
import datetime
import http.client
import sqlite3
import urllib.parse

import pytest

from site_under_test import TIMEOUT, Site

EDX = "/api/user/v1/accounts/"
UPDATE = EDX + "update_retirement_status/"
KEYS = ["id", "user", "current_state", "last_state", "created", "modified", "updated", "original_username",
        "original_email", "original_name", "retired_username", "retired_email"]
DAY = 86400 * 1000000
# "learner1" and "a.learner@example.com" under both salts (contract E).
OLD_LEARNER1 = "retired__user_cc00ead876382dbd36373538c66b5d062face6de"
NEW_LEARNER1 = "retired__user_ab727831c5038a2dc4a4d8116ce566401185e0d7"
NEW_A_LEARNER = "retired__user_fcd91a47693ab9b02565bd0a384f24d67fb09708@retired.invalid"


def ids(answer):
    assert answer.status == 200, answer
    return [r["id"] for r in answer.json]


def expect_400(answer, *words):
    assert answer.status == 400 and isinstance(answer.json, str), answer
    for word in words:
        assert word in answer.json, answer
    assert "\ufffd" not in answer.json, "a character was cut in two"


# ---- the object ----

def test_the_object_has_its_fields_in_order(authority):
    account = authority.post("/v1/accounts", {"username": "Learner1", "email": "A.Learner@Example.COM",
                                              "name": "Zoë Learner", "orgs": ["edX"]}).json["id"]
    asked = authority.request("Learner1", "a.learner@example.com")
    answer = authority.status("Learner1")
    who = answer.json
    assert list(who) == KEYS
    assert list(who["user"]) == ["id", "username", "email", "profile"]
    assert list(who["user"]["profile"]) == ["id", "name"]
    for state in (who["current_state"], who["last_state"]):
        assert list(state) == ["id", "state_name", "state_execution_order"]
        assert state["state_name"] == "PENDING" and state["state_execution_order"] == 1
    assert who["id"] == asked["id"]
    assert who["user"] == {"id": account, "username": "Learner1", "email": NEW_A_LEARNER,
                           "profile": {"id": account, "name": "Zoë Learner"}}
    assert who["original_username"] == "Learner1" and who["original_email"] == "A.Learner@Example.COM"
    assert who["original_name"] == "Zoë Learner"
    assert who["retired_username"] == NEW_LEARNER1 and who["retired_email"] == NEW_A_LEARNER
    assert who["created"] == who["modified"] == who["updated"]
    then = datetime.datetime.strptime(who["created"], "%Y-%m-%dT%H:%M:%S.%fZ")
    assert abs(then - datetime.datetime.utcnow()) < datetime.timedelta(minutes=5)
    assert answer.headers["Content-Type"] == "application/json" and answer.headers["Cache-Control"] == "no-store"


def test_the_object_follows_the_moves(authority):
    name = authority.somebody()["original_username"]
    assert authority.patch(name, "RETIRING_FORUMS").status == 204
    who = authority.status(name).json
    assert (who["current_state"]["state_name"], who["current_state"]["state_execution_order"]) == ("RETIRING_FORUMS", 11)
    assert who["last_state"]["state_name"] == "PENDING"
    assert who["modified"] == who["updated"] > who["created"]
    assert "responses" not in who


# ---- status ----

def test_case_matters(authority):
    upper, lower = authority.request("Alice", "one@example.com"), authority.request("alice", "two@example.com")
    assert upper["id"] != lower["id"]
    assert authority.status("Alice").json["id"] == upper["id"] and authority.status("alice").json["id"] == lower["id"]
    assert authority.status("ALICE").status == 404
    assert authority.patch("ALICE", "RETIRING_FORUMS").status == 404
    assert authority.patch("Alice", "RETIRING_FORUMS").status == 204
    assert authority.state_of("alice") == "PENDING"
    assert lower["retired_username"] == upper["retired_username"] + "_2"  # they retire alike
    for who in (upper, lower):
        assert authority.status(who["retired_username"]).json["id"] == who["id"]


def test_a_retired_name_finds_whom_it_belongs_to_under_any_salt(site):
    site.serve()
    who = site.request("Learner1", "x@example.com")
    for name in ("Learner1", OLD_LEARNER1, NEW_LEARNER1):
        assert site.status(name).json["id"] == who["id"], name
    assert site.status(NEW_LEARNER1[:-1] + "0").status == 404
    assert site.patch(NEW_LEARNER1, "RETIRING_FORUMS").status == 404  # the update takes the original name alone


def test_of_several_the_live_one_then_the_newest(authority):
    first = authority.somebody("ABORTED", name="again")
    second = authority.somebody("COMPLETE", name="again")
    assert authority.status("again").json["id"] == second["id"]
    assert authority.patch("again", "PENDING", extra={"force": True}).status == 204
    assert authority.status("again").json["id"] == second["id"]
    assert authority.one(first["id"])["state"] == "ABORTED"


@pytest.mark.parametrize("name", ["a.b", "a@b", "a+b", "a-b", "a_b", "Ünï", "ΟΔΟΣ", "日本", "x" * 150])
def test_names_that_the_path_takes(authority, name):
    who = authority.request(name, "mail@example.com")
    assert authority.status(name).json["id"] == who["id"]


@pytest.mark.parametrize("name", ["nobody", "a b", "a/b", "a:b", "a'b", "..", "%", "retired__user_" + "0" * 40, "x" * 2000])
def test_nobody_is_an_empty_404(authority, name):
    answer = authority.get(f"{EDX}{urllib.parse.quote(name, safe='')}/retirement_status/")
    assert answer.status == 404 and answer.raw == b""


# ---- slashes, methods ----

@pytest.mark.parametrize("path", ["retirement_queue", "retirements_by_status_and_date", "Bob.+@-/retirement_status"])
def test_a_get_without_its_slash_is_sent_to_the_path_with_it(authority, path):
    answer = authority.get(f"{EDX}{path}?states=A&states=B%26c")
    assert answer.status == 301 and answer.raw == b""
    to = urllib.parse.urlsplit(answer.headers["Location"])
    assert urllib.parse.unquote(to.path) == EDX + path + "/"
    assert urllib.parse.parse_qs(to.query) == {"states": ["A", "B&c"]}


def test_a_redirect_leads_nowhere_else(authority):
    for path in ("//evil.example/retirement_status", "/api/user/v1/accounts//evil.example/retirement_status"):
        answer = authority.get(path)
        assert answer.status == 404 and answer.headers["Location"] is None


def test_an_update_without_its_slash_is_served(authority):
    name = authority.somebody()["original_username"]
    body = {"username": name, "new_state": "RETIRING_FORUMS", "response": ""}
    assert authority.call("PATCH", UPDATE.rstrip("/"), body).status == 204
    assert authority.state_of(name) == "RETIRING_FORUMS"


def test_a_slash_too_many_is_no_path(authority):
    for path in (UPDATE + "/", EDX + "/retirement_queue/", EDX):
        assert authority.get(path).status == 404


@pytest.mark.parametrize("method, path, allow", [("POST", "retirement_queue/", "GET, HEAD"), ("PUT", UPDATE[len(EDX):], "PATCH"),
                                                 ("DELETE", "ada/retirement_status/", "GET, HEAD"), ("OPTIONS", UPDATE[len(EDX):], "PATCH")])
def test_other_methods(authority, method, path, allow):
    answer = authority.call(method, EDX + path)
    assert answer.status == 405 and answer.headers["Allow"] == allow and "detail" in answer.json


def test_head_is_a_get_without_its_body(authority):
    name = authority.somebody()["original_username"]
    connection = http.client.HTTPConnection("127.0.0.1", authority.port, timeout=TIMEOUT)
    connection.request("HEAD", f"{EDX}{name}/retirement_status/", headers={"Authorization": "JWT " + authority.token("retirement:read")})
    answer = connection.getresponse()
    assert answer.status == 200 and answer.read() == b""
    assert int(answer.headers["Content-Length"]) == len(authority.status(name).raw)
    connection.close()


# ---- the queue ----

@pytest.fixture(scope="module")
def crowd(tmp_path_factory):
    """Requests in the order of their ids: one 40 days ago, now COMPLETE; one 5 days ago, now
    FORUMS_COMPLETE; three 3, 1 and 0 days ago, now PENDING."""
    s = Site(tmp_path_factory.mktemp("crowd"))
    s.serve()
    s.ids = [s.somebody(*path)["id"] for path in (["COMPLETE"], ["FORUMS_COMPLETE"], [], [], [])]
    tokens = s.tokens
    s.kill(s.processes[0])
    with sqlite3.connect(s.data_dir / "lethe.db") as db:
        for id, days in zip(s.ids, (40, 5, 3, 1, 0)):
            db.execute("UPDATE retirement SET created_at = created_at - ?1, modified_at = modified_at - ?1 / 2 WHERE id = ?2",
                       (days * DAY, id))
            db.execute("UPDATE retirement_log SET at = at - ?1 WHERE retirement_id = ?2", (days * DAY, id))
    db.close()
    s.serve()
    s.tokens = tokens
    yield s
    s.stop()
    s.check()


def queue(site, query):
    return site.get(f"{EDX}retirement_queue/?{query}")


@pytest.mark.parametrize("days, chosen", [(0, [2, 3, 4]), (1, [2, 3]), (2, [2]), (3, [2]), (4, []), (39, []), (40, []), (10**6, []),
                                          (2**63 - 1, [])])
def test_the_queue_waits_for_the_cool_off(crowd, days, chosen):
    assert ids(queue(crowd, f"cool_off_days={days}&states=PENDING")) == [crowd.ids[i] for i in chosen]


@pytest.mark.parametrize("states, chosen", [
    ("states=PENDING&states=FORUMS_COMPLETE", [1, 2, 3, 4]),
    ("states=FORUMS_COMPLETE,PENDING", [1, 2, 3, 4]),
    ("states=%20PENDING%20,%20FORUMS_COMPLETE", [1, 2, 3, 4]),
    ("states=+PENDING+", [2, 3, 4]),
    ("states=PENDING,PENDING,,&states=PENDING", [2, 3, 4]),
    ("states=COMPLETE", [0]),
    ("states=RETIRING_LMS", []),
    ("states=PENDING,FORUMS_COMPLETE,COMPLETE&limit=2", [0, 1]),
    ("states=PENDING&limit=0", []),
    ("states=PENDING&limit=3", [2, 3, 4]),
    ("states=PENDING&limit=9223372036854775807", [2, 3, 4]),
    ("states=PENDING&some=thing&else", [2, 3, 4]),
])
def test_the_queue_by_states(crowd, states, chosen):
    assert ids(queue(crowd, "cool_off_days=0&" + states)) == [crowd.ids[i] for i in chosen]


def test_the_queue_in_pages_and_by_age(crowd):
    seen = []
    while page := ids(queue(crowd, f"cool_off_days=0&states=PENDING,COMPLETE&limit=2&after_id={seen[-1] if seen else 0}")):
        seen += page
    assert seen == [crowd.ids[i] for i in (0, 2, 3, 4)]
    day = (datetime.datetime.utcnow() - datetime.timedelta(days=1)).strftime("%Y-%m-%dT%H:%M:%SZ")
    assert ids(queue(crowd, f"cool_off_days=0&states=PENDING,COMPLETE&modified_before={day}")) == [crowd.ids[i] for i in (0, 2)]


@pytest.mark.parametrize("query, words", [
    ("states=PENDING", ["cool_off_days", "is missing", "number"]),
    ("cool_off_days=&states=PENDING", ["cool_off_days", "integer"]),
    ("cool_off_days=x&states=PENDING", ["cool_off_days", "integer"]),
    ("cool_off_days=1.5&states=PENDING", ["cool_off_days", "integer"]),
    ("cool_off_days=-1&states=PENDING", ["cool_off_days", "0 or more"]),
    ("cool_off_days=%201&states=PENDING", ["cool_off_days", "integer"]),
    ("cool_off_days=0x1&states=PENDING", ["cool_off_days", "integer"]),
    ("cool_off_days=9223372036854775808&states=PENDING", ["cool_off_days", "integer"]),
    ("cool_off_days=1", ["states", "is missing"]),
    ("cool_off_days=1&states=", ["states", "is missing"]),
    ("cool_off_days=1&states=,%20,", ["states", "is missing"]),
    ("cool_off_days=1&states=PENDING,NOWHERE", ["states", "NOWHERE"]),
    ("cool_off_days=1&states=pending", ["states", "pending"]),
    ("cool_off_days=1&states=PENDING%20ERRORED", ["states", "PENDING ERRORED"]),
    ("cool_off_days=1&states=x" + "%C3%A9" * 60, ["states", "xéé"]),
    ("cool_off_days=1&states=PENDING&limit=-1", ["limit", "0 or more"]),
    ("cool_off_days=1&states=PENDING&limit=ten", ["limit", "integer"]),
    ("cool_off_days=1&states=PENDING&limit=", ["limit", "integer"]),
    ("cool_off_days=1&states=PENDING&after_id=-1", ["after_id"]),
    ("cool_off_days=1&states=PENDING&modified_before=yesterday", ["modified_before", "date"]),
])
def test_the_queue_refuses(crowd, query, words):
    expect_400(queue(crowd, query), *words)


# ---- by status and date ----

def today(days_ago=0):
    return (datetime.datetime.utcnow() - datetime.timedelta(days=days_ago)).strftime("%Y-%m-%d")


def by_date(site, start, end, state="PENDING", more=""):
    return site.get(f"{EDX}retirements_by_status_and_date/?start_date={start}&end_date={end}&state={state}{more}")


def test_both_days_are_included(crowd):
    e, d, c, b, a = crowd.ids
    assert ids(by_date(crowd, today(), today())) == [a]
    assert ids(by_date(crowd, today(1), today())) == [b, a]
    assert ids(by_date(crowd, today(3), today(1))) == [c, b]
    assert ids(by_date(crowd, today(2), today(2))) == []
    assert ids(by_date(crowd, "1970-01-01", today(), "COMPLETE")) == [e]
    assert ids(by_date(crowd, today(5), today(5), "FORUMS_COMPLETE")) == [d]
    assert ids(by_date(crowd, today(20), today(20), "COMPLETE", "&date_field=modified")) == [e]
    assert ids(by_date(crowd, today(20), today(20), "COMPLETE", "&date_field=created")) == []


@pytest.mark.parametrize("query, words", [
    ("end_date=2026-01-01&state=PENDING", ["start_date", "missing"]),
    ("start_date=2026-01-01&state=PENDING", ["end_date", "missing"]),
    ("start_date=2026-01-01&end_date=2026-01-01", ["state", "missing"]),
    ("start_date=&end_date=2026-01-01&state=PENDING", ["start_date", "missing"]),
    ("start_date=01/01/2026&end_date=2026-01-01&state=PENDING", ["start_date", "YYYY-MM-DD"]),
    ("start_date=2026-1-1&end_date=2026-01-01&state=PENDING", ["start_date", "YYYY-MM-DD"]),
    ("start_date=2025-02-29&end_date=2026-01-01&state=PENDING", ["start_date", "YYYY-MM-DD"]),
    ("start_date=2026-01-01T00:00:00Z&end_date=2026-01-01&state=PENDING", ["start_date", "YYYY-MM-DD"]),
    ("start_date=2025-01-01&end_date=2025-13-01&state=PENDING", ["end_date", "YYYY-MM-DD"]),
    ("start_date=2025-01-02&end_date=2025-01-01&state=PENDING", ["start_date", "after"]),
    ("start_date=2999-01-01&end_date=2999-01-02&state=PENDING", ["start_date", "future"]),
    ("start_date=2025-01-01&end_date=2999-01-02&state=PENDING", ["end_date", "future"]),
    ("start_date=2025-01-01&end_date=2025-01-01&state=NOWHERE", ["state", "NOWHERE"]),
    ("start_date=2025-01-01&end_date=2025-01-01&state=PENDING,COMPLETE", ["state", "one", "not several"]),
    ("start_date=2025-01-01&end_date=2025-01-01&state=PENDING&state=COMPLETE", ["state", "one", "not several"]),
    ("start_date=2025-01-01&end_date=2025-01-01&state=PENDING&date_field=updated", ["date_field"]),
])
def test_by_date_refuses(crowd, query, words):
    expect_400(crowd.get(f"{EDX}retirements_by_status_and_date/?{query}"), *words)


# ---- the update ----

@pytest.mark.parametrize("body", [{}, {"username": ""}, {"username": None}, {"new_state": "RETIRING_FORUMS", "response": "x"},
                                  {"username": "", "new_state": "NOWHERE", "response": 1, "more": 1}])
def test_without_a_user_name(authority, body):
    answer = authority.call("PATCH", UPDATE, body)
    assert answer.status == 404 and answer.json == {"message": "The user was not specified."}


def test_of_somebody_unknown(authority):
    answer = authority.patch("nobody", "RETIRING_FORUMS")
    assert answer.status == 404 and answer.raw == b""


@pytest.mark.parametrize("change, words", [
    ({"new_state": None}, ["new_state", "missing"]),
    ({"new_state": ""}, ["new_state", "missing"]),
    ({"new_state": 11}, ["new_state", "string", "integer"]),
    ({"new_state": "NOWHERE"}, ["state"]),
    ({"new_state": "retiring_forums"}, ["state"]),
    ({"new_state": "RETIRING_FORUM"}, ["did you mean RETIRING_FORUMS?"]),
    ({"new_state": "COMPLETED"}, ["did you mean COMPLETE?"]),
    ({"username": 1}, ["username", "string"]),
    ({"username": ["x"]}, ["username", "string"]),
    ({"respons": "x"}, ["not known", "did you mean response?"]),
    ({"extra": 1}, ["not known"]),
    ({"force": "yes"}, ["force", "true or false"]),
])
def test_the_update_refuses(authority, change, words):
    who = authority.somebody()
    body = {"username": who["original_username"], "new_state": "RETIRING_FORUMS", "response": "x", **change}
    expect_400(authority.call("PATCH", UPDATE, body), *words)
    assert authority.one(who["id"]) == who


@pytest.mark.parametrize("key", ["new_state", "response"])
def test_the_update_needs(authority, key):
    who = authority.somebody()
    body = {"username": who["original_username"], "new_state": "RETIRING_FORUMS", "response": "x"}
    del body[key]
    expect_400(authority.call("PATCH", UPDATE, body), key, "missing")
    assert authority.one(who["id"]) == who


@pytest.mark.parametrize("response, kept", [("", ""), ("words", "words"), ("é\n\t\"x\"", "é\n\t\"x\""), ({"a": [1, None]}, '{"a":[1,null]}'),
                                            ([], "[]"), (None, "null"), (True, "true"), (12, "12")])
def test_any_response_is_kept(authority, response, kept):
    who = authority.somebody()
    assert authority.patch(who["original_username"], "RETIRING_FORUMS", response).status == 204
    assert (authority.log_of(who["id"])[-1]["response"] or "").replace(" ", "") == kept.replace(" ", "")


def test_nobody_can_be_moved_while_a_driver_has_the_lease(served):
    who = served.somebody()
    [claim] = served.claim()
    expect_400(served.patch(who["original_username"], "FORUMS_COMPLETE"), "a driver is at work on it")
    expect_400(served.patch(who["original_username"], "PENDING", extra={"force": True}), "a driver is at work on it")
    assert served.report(claim, "released")["ok"]
    assert served.patch(who["original_username"], "FORUMS_COMPLETE").status == 204
