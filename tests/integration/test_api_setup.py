# SPDX-License-Identifier: Apache-2.0
"""Setting up and operating a server: the list of states, accounts, clients, the check of the database, and operations."""
import re
import sqlite3

import pytest
import yaml

from contract import contract
from site_under_test import wait_for
from test_api_retirements import expect

STATES = ["PENDING", "RETIRING_FORUMS", "FORUMS_COMPLETE", "RETIRING_LMS", "LMS_COMPLETE", "ERRORED", "ABORTED",
          "COMPLETE"]
ENDS = ["ERRORED", "ABORTED", "COMPLETE"]


def sync(site, states, dry_run=False):
    return site.put("/v1/states" + ("?dry_run=true" if dry_run else ""), {"states": states})


def names(site):
    return [state["name"] for state in site.get("/v1/states").json["states"]]


# ---- states ----

def test_the_first_start_populates_the_states(served):
    states = served.get("/v1/states").json["states"]
    assert [(s["name"], s["order"]) for s in states] == [(name, 1 + 10 * i) for i, name in enumerate(STATES)]
    assert [s["role"] for s in states] == ["pending", "working", "completed", "working", "completed", "errored", "aborted", "complete"]
    assert {s["count"] for s in states} == {0}
    served.somebody(), served.somebody("RETIRING_LMS"), served.somebody("RETIRING_LMS")
    assert served.counts() == {**dict.fromkeys(STATES, 0), "PENDING": 1, "RETIRING_LMS": 2}


def test_a_list_is_replaced_and_a_dry_run_changes_nothing(served):
    wanted = ["PENDING", "RETIRING_NOTES", "NOTES_COMPLETE", "RETIRING_LMS", "LMS_COMPLETE", *ENDS]
    expected = {"added": ["RETIRING_NOTES", "NOTES_COMPLETE"], "removed": ["RETIRING_FORUMS", "FORUMS_COMPLETE"],
                "remaining": ["PENDING", "RETIRING_LMS", "LMS_COMPLETE", *ENDS],
                "states": [{"name": name, "order": 1 + 10 * i} for i, name in enumerate(wanted)]}
    assert sync(served, wanted, dry_run=True).json == {"dry_run": True, **expected}
    assert names(served) == STATES
    assert sync(served, wanted).json == {"dry_run": False, **expected}
    assert names(served) == wanted
    again = sync(served, wanted).json
    assert again["added"] == again["removed"] == [] and again["remaining"] == wanted


def test_who_is_in_pending_or_at_an_end_follows_the_new_list(served):
    waiting, over = served.somebody(), served.somebody("RETIRING_FORUMS", "ERRORED")
    wanted = ["PENDING", "ERASING", "ERASED", *ENDS]
    assert sync(served, wanted).status == 200
    assert served.patch(waiting["original_username"], "ERASING").status == 204
    assert served.one(over["id"])["last_state"]["state_name"] == "RETIRING_FORUMS"
    assert served.get("/api/user/v1/accounts/retirement_queue/?cool_off_days=0&states=ERASING").json[0]["id"] == waiting["id"]


@pytest.mark.parametrize("states, words", [
    ([], ["list", "empty"]),
    (["PENDING", "ERRORED", "ABORTED"], ["missing", "COMPLETE"]),
    (["A", "B"], ["missing", "PENDING, ERRORED, ABORTED, COMPLETE"]),
    (["PENDING", "ERRORED", "ABORTED", "COMPLETED"], ["COMPLETE, not COMPLETED"]),
    (["A", "PENDING", *ENDS], ["first", "PENDING"]),
    (["PENDING", "ABORTED", "ERRORED", "COMPLETE"], ["last three", "in this order"]),
    (["PENDING", *ENDS, "A", "B"], ["last three", "in this order"]),
    (["PENDING", "A", *ENDS], ["A", "completed state"]),
    (["PENDING", "A", "B", "C", *ENDS], ["C", "completed state"]),
    (["PENDING", "A", "A", *ENDS], ["A", "twice"]),
    (["PENDING", "A", "PENDING", *ENDS], ["PENDING", "twice"]),
    (["PENDING", "X" * 31, "B", *ENDS], ["state 2", "30", "31"]),
    (["PENDING", "a", "B", *ENDS], ["state 2", "A-Z"]),
    (["PENDING", "A", "B C", *ENDS], ["state 3", "A-Z"]),
    (["PENDING", "A", "É", *ENDS], ["state 3", "A-Z"]),
    (["PENDING", "A", "", *ENDS], ["state 3", "empty"]),
    (["PENDING", 1, "B", *ENDS], ["states", "item 2"]),
    ("PENDING", ["states", "array"]),
    ({}, ["states", "array"]),
])
def test_a_list_is_refused(authority, states, words):
    for dry_run in (True, False):
        expect(sync(authority, states, dry_run), 400, "invalid", *words)
    assert names(authority) == STATES


def test_states_are_required(authority):
    expect(authority.put("/v1/states", {}), 400, "invalid", "states")
    expect(authority.put("/v1/states", {"states": None}), 400, "invalid", "states")
    expect(authority.put("/v1/states?dry_run=yes", {"states": STATES}), 400, "invalid", "dry_run")
    expect(authority.put("/v1/states", {"states": STATES, "dry_run": True}), 400, "unknown_field")


@pytest.mark.parametrize("extra", [[], ["ERASING", "ERASED"]])
def test_while_somebody_is_processed_the_list_stays(served, extra):
    who = served.somebody("RETIRING_LMS")
    wanted = ["PENDING", *extra, "RETIRING_LMS", "LMS_COMPLETE", *ENDS]
    for dry_run in (True, False):
        expect(sync(served, wanted, dry_run), 409, "conflict", "being processed", "RETIRING_LMS")
        expect(sync(served, ["PENDING", "A", "B", *ENDS], dry_run), 409, "conflict", "RETIRING_LMS", "removed")
    assert names(served) == STATES and sync(served, STATES).status == 200
    served.patch(who["original_username"], "COMPLETE")
    assert sync(served, wanted).status == 200


def test_the_shortest_and_the_longest_list(served):
    assert sync(served, ["PENDING", *ENDS]).status == 200
    who = served.somebody()
    assert served.patch(who["original_username"], "COMPLETE").status == 204
    pairs = [name for n in range(200) for name in (f"DOING_{n}", f"DONE_{n}")]
    assert sync(served, ["PENDING", *pairs, *ENDS]).status == 200
    expect(sync(served, ["PENDING", *pairs, "A", "B", "C", "D", *ENDS]), 400, "invalid", "at most")
    assert len(names(served)) == 404


# ---- readiness, when the lists differ or are missing ----

def test_a_differing_configuration_is_a_warning(site):
    process = site.serve()
    assert site.get("/readyz").json == {"ready": True, "trouble": None, "warning": None}
    site.kill(process)
    site.configure(states=["PENDING", "ERASING", "ERASED", *ENDS])
    process = site.serve()
    ready = site.get("/readyz")
    assert ready.status == 200 and "states sync" in ready.json["warning"] and ready.json["trouble"] is None
    assert "differ" in site.log(process) and names(site) == STATES
    assert sync(site, site.config["states"]).status == 200
    assert site.get("/readyz").json["warning"] is None


def test_without_states_it_is_not_ready(site):
    site.configure(states=None)
    site.serve()
    ready = site.get("/readyz", token="")
    assert ready.status == 503 and ready.json["ready"] is False and "states sync" in ready.json["trouble"]
    expect(site.get("/v1/states"), 404, "no_states", "states sync")
    expect(site.post("/v1/retirements", {"username": "ada", "email": "a@b"}), 409, "no_states", "states sync")
    expect(site.post("/v1/claims", {"driver": "a", "limit": 1, "lease_s": 1}), 409, "no_states")
    assert site.status("ada").status == 404 and site.patch("ada", "COMPLETE").status == 404
    assert site.get("/api/user/v1/accounts/retirement_queue/?cool_off_days=0&states=PENDING").status == 400
    assert sync(site, ["PENDING", *ENDS]).status == 200
    assert site.get("/readyz").json["ready"] is True
    assert site.request("ada", "a@b")["state"] == "PENDING"


# ---- accounts ----

def test_accounts_one_and_many(authority):
    one = authority.post("/v1/accounts", {"username": "ann", "email": "ann@example.com"})
    assert one.status == 201 and list(one.json) == ["id"]
    many = authority.post("/v1/accounts", {"accounts": [{"username": "Ann", "email": "ann@example.com"},
                                                        {"username": "bea", "email": "b@c", "account_id": 900, "orgs": ["x"], "name": "Bea"}]})
    assert many.status == 201 and many.json["ids"] == [one.json["id"] + 1, one.json["id"] + 2]
    assert authority.post("/v1/accounts", {"accounts": []}).json == {"ids": []}
    expect(authority.post("/v1/accounts", {"username": "ann", "email": "other@example.com"}), 409, "taken")
    expect(authority.post("/v1/accounts", {"username": "cyd", "email": "c@d", "account_id": 900}), 409, "taken")


def test_a_dry_run_adds_no_account(authority):
    people = [{"username": f"dry{n}", "email": f"dry{n}@example.com"} for n in range(3)]
    tried = authority.post("/v1/accounts", {"accounts": people, "dry_run": True})
    assert tried.status == 200 and tried.json == {"ids": []}
    expect(authority.post("/v1/accounts", {"accounts": [*people, people[0]], "dry_run": True}), 409, "taken", "item 4")
    expect(authority.post("/v1/accounts", {"accounts": people, "dry_run": "yes"}), 400, "invalid", "dry_run")
    added = authority.post("/v1/accounts", {"accounts": people, "dry_run": False})
    assert added.status == 201 and len(added.json["ids"]) == 3


def test_of_a_list_of_accounts_all_or_none(authority):
    expect(authority.post("/v1/accounts", {"accounts": [{"username": "dora", "email": "d@e"}, {"username": "dora", "email": "d@e"}]}), 409, "taken", "item 2")
    assert authority.post("/v1/accounts", {"username": "dora", "email": "d@e"}).status == 201


@pytest.mark.parametrize("change, code, words", [
    ({"username": ""}, "invalid", ["username"]), ({"username": "x" * 151}, "invalid", ["username", "150"]), ({"email": "x"}, "invalid", ["email"]),
    ({"name": "x" * 256}, "invalid", ["name", "255"]), ({"account_id": 0}, "invalid", ["account_id"]), ({"account_id": 2**53}, "invalid", ["account_id"]), ({"account_id": "x" * 101}, "invalid", ["account_id"]), ({"account_id": "a\nb"}, "invalid", ["account_id"]), ({"orgs": {}}, "invalid", ["orgs"]),
    ({"orgs": ["x" * 256]}, "invalid", ["orgs", "item 1"]), ({"orgs": ["x"] * 101}, "invalid", ["orgs", "100"]), ({"user": 1}, "unknown_field", ["not known"]),
    ({"username": "a\u0000b"}, "invalid", ["NUL"]), ({"email": "a@b\u202e\u0007"}, "invalid", ["email"]),
])
def test_an_account_is_refused(authority, change, code, words):
    body = {"username": "new.one", "email": "n@o", **change}
    expect(authority.post("/v1/accounts", body), 400, code, *words)
    expect(authority.post("/v1/accounts", {"accounts": [body]}), 400, code, *words)


# ---- clients ----

def test_clients(authority):
    made = authority.post("/v1/clients", {"name": "forum", "scope": "retirement:read  retirement:drive"})
    assert made.status == 201 and list(made.json) == ["client_id", "client_secret", "name", "scope"]
    assert len(made.json["client_secret"]) >= 43  # 256 bits
    listed = authority.get("/v1/clients")
    assert made.json["client_secret"].encode() not in listed.raw
    [mine] = [c for c in listed.json["clients"] if c["name"] == "forum"]
    assert mine["client_id"] == made.json["client_id"] and mine["disabled"] is False
    expect(authority.post("/v1/clients", {"name": "forum", "scope": "retirement:read"}), 409, "taken")
    for _ in range(2):
        answer = authority.post("/v1/clients/forum/disable")
        assert answer.status == 204 and answer.raw == b""
    assert [c["disabled"] for c in authority.get("/v1/clients").json["clients"] if c["name"] == "forum"] == [True]
    expect(authority.post("/v1/clients/nobody/disable"), 404, "not_found")


@pytest.mark.parametrize("body, code, words", [
    ({"scope": "retirement:read"}, "invalid", ["name"]), ({"name": "x"}, "invalid", ["scope"]), ({"name": "", "scope": "retirement:read"}, "invalid", ["name"]),
    ({"name": "x" * 65, "scope": "retirement:read"}, "invalid", ["name", "64"]), ({"name": "a b", "scope": "retirement:read"}, "invalid", ["name"]),
    ({"name": "a/b", "scope": "retirement:read"}, "invalid", ["name"]), ({"name": "é", "scope": "retirement:read"}, "invalid", ["name"]),
    ({"name": "x", "scope": "nonsense"}, "invalid_scope", ["nonsense", "retirement:read"]), ({"name": "x", "scope": " "}, "invalid_scope", ["scope"]),
    ({"name": "x", "scope": ["retirement:read"]}, "invalid", ["scope", "string"]), ({"name": "x", "scope": "retirement:read", "secret": "y"}, "unknown_field", []),
])
def test_a_client_is_refused(authority, body, code, words):
    before = authority.get("/v1/clients").json
    expect(authority.post("/v1/clients", body), 400, code, *words)
    assert authority.get("/v1/clients").json == before


# ---- the check ----

def test_the_check_finds_what_was_spoilt(tmp_path):
    from site_under_test import Site
    site = Site(tmp_path)
    try:
        site.serve()
        who = site.somebody("RETIRING_LMS")
        assert site.violations() == []
        site.kill(site.processes[-1])
        with sqlite3.connect(site.data_dir / "lethe.db") as db:
            db.execute("UPDATE retirement SET state_id = (SELECT id FROM state WHERE name = 'COMPLETE') WHERE id = ?", (who["id"],))
        db.close()
        site.serve()
        found = site.violations()
        assert {v["id"] for v in found} == {who["id"], 0} and "I17" in {v["invariant"] for v in found}
        result = site.lethe("fsck")
        assert result.code == 1 and "I17" in result.out + result.err
    finally:
        site.stop()


# ---- operations ----

def test_health(authority):
    health = authority.get("/healthz", token="").json
    assert health["status"] == "ok" and re.fullmatch(r"\d+\.\d+\.\d+\S*", health["version"])


def test_metrics(authority):
    authority.get("/v1/retirements/424242")
    counted = r'lethe_http_request_seconds_count\{method="GET",route="/v1/retirements/\{id\}",status="4xx"\} [1-9]'
    # A request is counted when its answer has gone out, which the client may hear of first.
    wait_for(lambda: re.search(counted, authority.get("/metrics", token="").raw.decode()), "the request is counted")
    text = authority.get("/metrics", token="").raw.decode()
    for line in text.splitlines():
        assert re.fullmatch(r'# (HELP|TYPE) \w+ .+|\w+(\{(\w+="[^"]*",?)+\})? [0-9.e+-]+(Inf|NaN)?', line), line
    assert "424242" not in text


def test_openapi_is_what_is_in_the_sources(authority):
    answer = authority.get("/openapi.yaml", token="")
    assert yaml.safe_load(answer.raw) == contract.document


def test_every_answer_is_guarded(authority):
    for answer in (authority.get("/healthz"), authority.get("/v1/states"), authority.get("/nowhere"), authority.get("/v1/states", token="")):
        assert answer.headers["X-Content-Type-Options"] == "nosniff" and answer.headers["Cache-Control"] == "no-store"
