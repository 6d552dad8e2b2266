# SPDX-License-Identifier: Apache-2.0
"""Lethe's own calls about retirements: requesting, importing, reading, and setting states by hand."""
import pytest

from site_under_test import ALL_SCOPES

STATES = ["PENDING", "RETIRING_FORUMS", "FORUMS_COMPLETE", "RETIRING_LMS", "LMS_COMPLETE", "ERRORED", "ABORTED",
          "COMPLETE"]


def expect(answer, status, code, *words):
    """A problem of this code, with these words."""
    assert answer.status == status and answer.headers["Content-Type"] == "application/problem+json", answer
    problem = answer.json
    assert problem["code"] == code and problem["status"] == status and problem["type"] == "about:blank", problem
    assert problem["request"] == answer.headers["X-Request-Id"]
    for word in words:
        assert word in problem["detail"], problem
    return problem


def ask(site, username, email=None, **more):
    return site.post("/v1/retirements", {"username": username, "email": email or f"{username}@example.com", **more})


def pages(site, query, limit):
    """All ids of a list, page by page."""
    seen, after = [], 0
    while after is not None:
        answer = site.get(f"/v1/retirements?limit={limit}&after={after}&{query}")
        assert answer.status == 200, answer
        assert len(answer.json["retirements"]) <= limit
        seen += [r["id"] for r in answer.json["retirements"]]
        after = answer.json["next"]
    return seen


# ---- asking ----

def test_asking_twice_gives_the_live_one(authority):
    first = ask(authority, "ada", name="Ada L.")
    assert first.status == 201
    again = ask(authority, "ada", "ADA@EXAMPLE.COM", name="Somebody Else")
    assert again.status == 200 and again.json == first.json
    assert first.json["state"] == "PENDING" and first.json["lease"] is None and first.json["run"] == 0
    assert authority.moves_of(first.json["id"]) == [(None, "PENDING")]


def test_somebody_unknown_is_brought_along(authority):
    who = ask(authority, "stranger", name="A Stranger", account_id=4711, orgs=["edX", "MITx"]).json
    assert who["user"]["id"] == 4711 and who["original_name"] == "A Stranger"
    assert authority.status("stranger").json["user"]["id"] == 4711


def test_who_was_brought_along_may_have_another_address_by_now(authority):
    first = ask(authority, "mover", "old@example.com").json
    expect(ask(authority, "mover", "new@example.com"), 409, "unknown_pair")  # while that one is under way
    assert authority.post(f"/v1/retirements/{first['id']}/cancel", {}).status == 200
    again = ask(authority, "mover", "new@example.com")
    assert again.status == 201 and again.json["original_email"] == "new@example.com"
    expect(ask(authority, "mover", "old@example.com"), 409, "unknown_pair")


def test_an_account_and_its_address_belong_together(authority):
    assert authority.post("/v1/accounts", {"username": "bob", "email": "bob@example.com", "account_id": 4712}).status == 201
    before = authority.counts()
    expect(ask(authority, "bob", "bobby@example.com"), 409, "unknown_pair", "slips")
    expect(ask(authority, "bob", account_id=4713), 409, "unknown_pair")
    expect(ask(authority, "other", account_id=4712), 409, "taken")
    assert authority.counts() == before
    assert ask(authority, "bob", "Bob@Example.com", account_id=4712).status == 201
    # An earlier request is found by the same rule.
    expect(ask(authority, "bob", "bobby@example.com"), 409, "unknown_pair")


def test_after_the_end_one_may_ask_again(authority):
    first = authority.somebody("COMPLETE")
    again = ask(authority, first["original_username"])
    assert again.status == 201 and again.json["id"] > first["id"]
    assert authority.post("/v1/retirements/search", {"username": first["original_username"]}).json["retirements"][0] == again.json


def test_an_errored_one_is_still_live(authority):
    first = authority.somebody("RETIRING_LMS", "ERRORED")
    assert ask(authority, first["original_username"]).json["id"] == first["id"]


@pytest.mark.parametrize("change, words", [
    ({"username": None}, ["username", "missing"]), ({"username": ""}, ["username", "missing"]), ({"username": 1}, ["username", "string"]),
    ({"username": "x" * 151}, ["username", "150"]), ({"username": "a\nb"}, ["username", "control"]), ({"username": "a\u0085b"}, ["username", "control"]),
    ({"email": None}, ["email", "missing"]), ({"email": "nobody"}, ["email", "address"]), ({"email": "@x"}, ["email", "address"]),
    ({"email": "x@"}, ["email", "address"]), ({"email": "a b@c"}, ["email", "address"]), ({"email": "x@" + "y" * 253}, ["email", "254"]),
    ({"email": ["a@b"]}, ["email", "string"]), ({"email": "a@b\r\nBcc: c@d"}, ["email", "control"]),
    ({"name": 1}, ["name", "string"]), ({"name": "x" * 256}, ["name", "255"]), ({"name": "a\u007f"}, ["name", "control"]),
    ({"account_id": 0}, ["account_id", "from 1 to"]), ({"account_id": -5}, ["account_id"]), ({"account_id": ""}, ["account_id", "integer"]),
    ({"account_id": 1.5}, ["account_id", "integer"]), ({"account_id": True}, ["account_id", "integer"]),
    ({"orgs": "edX"}, ["orgs", "array"]), ({"orgs": [1]}, ["orgs", "item 1"]), ({"orgs": ["x" * 256]}, ["orgs", "255"]),
    ({"orgs": ["x"] * 101}, ["orgs", "100"]),
])
def test_asking_is_refused(authority, change, words):
    before = authority.counts()
    body = {k: v for k, v in {"username": "somebody.new", "email": "new@example.com", **change}.items()}
    expect(authority.post("/v1/retirements", body), 400, "invalid", *words)
    assert authority.counts() == before and authority.status("somebody.new").status == 404


def test_a_field_too_many_is_refused(authority):
    expect(ask(authority, "somebody.new", emial="x@y"), 400, "unknown_field", "did you mean email?")
    assert authority.status("somebody.new").status == 404


@pytest.mark.parametrize("username, email, name", [("x" * 150, "x@" + "y" * 252, "n" * 255), ("é" * 150, "é@" + "日" * 252, "名" * 255)])
def test_limits_are_in_characters(authority, username, email, name):
    assert ask(authority, username, email, name=name).status == 201
    assert authority.status(username).json["original_name"] == name


# ---- importing ----

def test_an_import_is_all_or_nobody(served):
    accounts = [{"username": f"user{n}", "email": f"user{n}@example.com"} for n in range(5)]
    assert served.post("/v1/accounts", {"accounts": accounts}).status == 201
    people = [{"username": f"user{n}", "email": f"user{n}@example.com"} for n in range(3)]
    wrong = people + [{"username": "user3", "email": "user4@example.com"}, {"username": "eve", "email": "eve@example.com"}]

    expect(served.post("/v1/retirements/import", {"people": wrong}), 409, "unknown_pair", "2 of 5")
    assert served.counts()["PENDING"] == 0
    dry = served.post("/v1/retirements/import", {"people": wrong, "dry_run": True}).json["results"]
    assert [row["ok"] for row in dry] == [True] * 3 + [False] * 2 and served.counts()["PENDING"] == 0
    done = served.post("/v1/retirements/import", {"people": wrong, "partial": True}).json["results"]
    assert [row["ok"] for row in done] == [True] * 3 + [False] * 2 and served.counts()["PENDING"] == 3
    assert [row.get("code") for row in done[3:]] == ["unknown_pair"] * 2
    again = served.post("/v1/retirements/import", {"people": people}).json["results"]
    assert [row["id"] for row in again] == [row["id"] for row in done[:3]] and served.counts()["PENDING"] == 3
    assert served.post("/v1/retirements/import", {"people": []}).json == {"results": []}


@pytest.mark.parametrize("body, words", [
    ({}, ["people", "missing"]), ({"people": {}}, ["people", "array"]), ({"people": [1]}, ["item 1"]),
    ({"people": [{"username": "a", "email": "a@b"}, {"username": "a"}]}, ["item 2", "email"]),
    ({"people": [], "dry_run": 1}, ["dry_run"]), ({"people": [], "partial": "no"}, ["partial"]),
    ({"people": [{"username": "a", "email": "a@b"}] * 1001}, ["people", "1000"]),
])
def test_an_import_is_refused(authority, body, words):
    expect(authority.post("/v1/retirements/import", body), 400, "invalid", *words)


def test_an_import_takes_no_number(authority):
    people = [{"username": "ada", "email": "ada@example.com"}, {"username": "bob", "email": "bob@example.com", "account_id": 9}]
    expect(authority.post("/v1/retirements/import", {"people": people}), 400, "unknown_field", "item 2")


# ---- looking ----

def test_lists_come_in_pages(served):
    ids = [served.somebody(*(["RETIRING_LMS"] if n % 3 == 0 else []))["id"] for n in range(13)]
    assert pages(served, "", 5) == pages(served, "", 13) == pages(served, "", 1000) == ids
    assert pages(served, "state=RETIRING_LMS", 2) == ids[::3]
    assert pages(served, "state=RETIRING_LMS&state=PENDING", 4) == pages(served, "state=PENDING,RETIRING_LMS", 1) == ids
    assert pages(served, "state=COMPLETE", 4) == []
    assert pages(served, "created_before=2000-01-01", 4) == [] and pages(served, "created_before=2999-01-01", 4) == ids
    moment = served.one(ids[6])["created"]
    assert pages(served, f"created_before={moment}", 4) == ids[:6]
    assert ids[0] in pages(served, f"modified_before={served.one(ids[-1])['created']}", 4)


@pytest.mark.parametrize("query, code, words", [
    ("limit=0", "invalid", ["limit", "1 to 1000"]), ("limit=1001", "invalid", ["limit"]), ("limit=x", "invalid", ["limit", "integer"]),
    ("after=-1", "invalid", ["after"]), ("state=NOWHERE", "unknown_state", ["NOWHERE"]), ("created_before=soon", "invalid", ["created_before"]),
    ("modified_before=2026-02-30", "invalid", ["modified_before"]), ("created_before=2026-01-01T25:00:00Z", "invalid", ["created_before"]),
    ("q=ada", "invalid", ["q:", "search"]), ("stuck=yes", "invalid", ["stuck", "true or false"]),
    ("overdue=1", "invalid", ["overdue"]), ("stuck=true&overdue=true", "invalid", ["stuck and overdue"]),
    ("stuck=true&state=PENDING", "invalid", ["nothing else"]), ("overdue=true&created_before=2026-01-01", "invalid", ["nothing else"]),
    ("overdue=true&modified_before=2026-01-01", "invalid", ["nothing else"]), ("stuck=true&limit=0", "invalid", ["limit"]),
    ("stukc=true", "unknown_parameter", ["did you mean stuck?"]), ("stat=PENDING", "unknown_parameter", ["did you mean state?"]),
    ("limit=1&=", "unknown_parameter", []), ("State=PENDING", "unknown_parameter", ["did you mean state?"]),
])
def test_a_list_is_refused(authority, query, code, words):
    expect(authority.get(f"/v1/retirements?{query}"), 400, code, *words)


def test_a_call_that_takes_no_parameters_says_so(authority):
    who = authority.somebody()
    for method, path in ("GET", "/v1/states"), ("GET", f"/v1/retirements/{who['id']}"), ("POST", f"/v1/retirements/{who['id']}/resume"):
        expect(authority.call(method, f"{path}?dryrun=true", {} if method == "POST" else None), 400, "unknown_parameter", "takes none")
    expect(authority.put("/v1/states?dryrun=true", {"states": ["PENDING", "ERRORED", "ABORTED", "COMPLETE"]}), 400,
           "unknown_parameter", "did you mean dry_run?")
    assert authority.get("/healthz?x=1").status == 200


def test_a_search_finds_names_exactly_and_addresses_in_any_case(authority):
    first = authority.somebody("ABORTED", name="Grace")
    second = ask(authority, "Grace").json

    def found(**query):
        answer = authority.post("/v1/retirements/search", query)
        assert answer.status == 200 and answer.json["next"] is None, answer
        return [r["id"] for r in answer.json["retirements"]]

    assert found(username="Grace") == found(email="gRACE@Example.com") == [second["id"], first["id"]]
    assert found(uuid=second["uuid"]) == [second["id"]] and found(uuid=first["uuid"][:-1]) == []
    assert found(username="grace") == found(email="grace@example.org") == found(username="%") == []


@pytest.mark.parametrize("body, code", [({}, "invalid"), ({"username": "a", "email": "b@c"}, "invalid"), ({"username": 1}, "invalid"),
                                        ({"email": []}, "invalid"), ({"name": "x"}, "unknown_field")])
def test_a_search_is_refused(authority, body, code):
    expect(authority.post("/v1/retirements/search", body), 400, code)


def test_one_has_its_history(authority):
    who = authority.somebody()
    authority.patch(who["original_username"], "RETIRING_FORUMS", "starting")
    authority.post(f"/v1/retirements/{who['id']}/move", {"state": "PENDING", "reason": "not yet"})
    lines = authority.one(who["id"])["responses"].splitlines()
    assert len(lines) == 3 and "PENDING -> RETIRING_FORUMS by client:test-" in lines[1] and lines[1].endswith(": starting")
    assert lines[2].endswith(": not yet")
    first, second, third = authority.log_of(who["id"])
    assert first["from"] is None and first["to"] == "PENDING" and first["id"] < second["id"] < third["id"]
    assert (second["forced"], third["forced"]) == (False, True)
    assert third["reason"] == "not yet" and third["response"] is None and second["reason"] is None


@pytest.mark.parametrize("id", ["0", "-1", "x", "99999999", "9223372036854775808", "1.0", "1e3", "%20", "''", "00", "1;"])
def test_of_nobody(authority, id):
    for path in (f"/v1/retirements/{id}", f"/v1/retirements/{id}/log"):
        expect(authority.get(path), 404, "not_found")
    expect(authority.post(f"/v1/retirements/{id}/move", {"state": "PENDING", "reason": "x"}), 404, "not_found")
    expect(authority.post(f"/v1/retirements/{id}/resume", {}), 404, "not_found")


def test_who_may_not_look_hears_ids_and_state_alone(authority):
    """The answer to a request, move, resume or cancel has no name and no address."""
    asking, forcing = authority.token("retirement:request"), authority.token("retirement:force")
    body = {"username": "somebody.shy", "email": "shy@example.com"}
    first = authority.post("/v1/retirements", body, token=asking)
    again = authority.post("/v1/retirements", body, token=asking)
    assert (first.status, again.status) == (201, 200)
    assert first.json == again.json == {"id": first.json["id"], "uuid": first.json["uuid"], "state": "PENDING"}
    one = f"/v1/retirements/{first.json['id']}"
    for verb, given, state in ("move", {"state": "ERRORED", "reason": "x"}, "ERRORED"), ("resume", {"reason": "x"}, "PENDING"), ("cancel", {}, "ABORTED"):
        answer = authority.post(f"{one}/{verb}", given, token=forcing)
        assert answer.status == 200 and answer.json == {**first.json, "state": state}, answer
    both = authority.token("retirement:request retirement:read")
    assert authority.post("/v1/retirements", body, token=both).json["original_username"] == "somebody.shy"


# ---- by hand ----

@pytest.mark.parametrize("start", STATES)
@pytest.mark.parametrize("to", STATES)
def test_an_operator_moves_anybody_anywhere(authority, start, to):
    who = authority.somebody(*([] if start == "PENDING" else [start]))
    answer = authority.post(f"/v1/retirements/{who['id']}/move", {"state": to, "reason": "because"})
    assert answer.status == 200 and answer.json["state"] == to
    newest = authority.log_of(who["id"])[-1]
    assert newest == {**newest, "from": start, "to": to, "forced": True, "reason": "because"}


@pytest.mark.parametrize("body, code, words", [
    ({"state": "PENDING"}, "invalid", ["reason", "missing"]), ({"state": "PENDING", "reason": ""}, "invalid", ["reason", "missing"]),
    ({"reason": "x"}, "invalid", ["state", "missing"]), ({"state": "NOWHERE", "reason": "x"}, "unknown_state", ["state"]),
    ({"state": "PENDIN", "reason": "x"}, "unknown_state", ["did you mean PENDING?"]), ({"state": 1, "reason": "x"}, "invalid", ["state", "string"]),
    ({"state": "PENDING", "reason": "x" * 1001}, "invalid", ["reason", "1000"]), ({"state": "PENDING", "reason": "a\nb"}, "invalid", ["reason"]),
    ({"state": "PENDING", "reason": "x", "force": True}, "unknown_field", []),
])
def test_a_move_is_refused(authority, body, code, words):
    who = authority.somebody("RETIRING_LMS")
    expect(authority.post(f"/v1/retirements/{who['id']}/move", body), 400, code, *words)
    assert authority.one(who["id"]) == who


@pytest.mark.parametrize("failed_in, goes_to", [("RETIRING_FORUMS", "PENDING"), ("RETIRING_LMS", "FORUMS_COMPLETE")])
def test_a_resume_goes_before_the_stage_that_failed(authority, failed_in, goes_to):
    who = authority.somebody(failed_in, "ERRORED")
    answer = authority.post(f"/v1/retirements/{who['id']}/resume", {"reason": "mended"})
    assert answer.status == 200 and answer.json["state"] == goes_to and answer.json["run"] == who["run"] + 1
    assert authority.log_of(who["id"])[-1]["reason"] == "mended"
    expect(authority.post(f"/v1/retirements/{who['id']}/resume", {}), 409, "not_errored", "ERRORED")
    assert authority.one(who["id"])["state"] == goes_to


def test_many_at_once(served):
    errored = [served.somebody("RETIRING_LMS", "ERRORED")["id"] for _ in range(3)]
    complete = served.somebody("COMPLETE")["id"]
    waiting = served.somebody()["id"]

    def bulk(select, action, **more):
        answer = served.post("/v1/bulk", {"select": select, "action": action, **more})
        assert answer.status == 200, answer
        return answer.json

    dry = bulk({"state": ["ERRORED"]}, "resume", dry_run=True)
    assert dry["dry_run"] is True and [(r["id"], r["from"], r["state"]) for r in dry["results"]] == \
        [(id, "ERRORED", "FORUMS_COMPLETE") for id in errored]
    assert served.counts()["ERRORED"] == 3
    first = bulk({"state": ["ERRORED"], "limit": 2}, "resume")
    assert [r["id"] for r in first["results"]] == errored[:2] and first["next"] == errored[1]
    rest = bulk({"state": ["ERRORED"], "limit": 2, "after": first["next"]}, "resume")
    assert [r["id"] for r in rest["results"]] == errored[2:] and rest["next"] is None
    mixed = bulk({"ids": [errored[0], complete, waiting, 999]}, "rerun", reason="new stage")["results"]
    assert [r.get("code") for r in mixed] == ["not_complete", None, "not_complete", "not_found"]
    assert served.one(complete)["state"] == "PENDING" and served.one(complete)["run"] == 1
    moved = bulk({"ids": [waiting, complete]}, "move", to="RETIRING_FORUMS", reason="by hand")["results"]
    assert [r["state"] for r in moved] == ["RETIRING_FORUMS"] * 2
    assert bulk({"state": ["PENDING"], "since": "2999-01-01"}, "resume")["results"] == []


def test_many_by_when_they_asked_and_changed(served):
    ids = [served.somebody("RETIRING_LMS")["id"] for _ in range(3)]
    created = [served.one(id)["created"] for id in ids]
    changed = [served.one(id)["modified"] for id in ids]

    def chosen(**times):
        body = {"select": {"state": ["RETIRING_LMS"], **times}, "action": "move", "to": "ERRORED", "reason": "stuck", "dry_run": True}
        answer = served.post("/v1/bulk", body)
        assert answer.status == 200, answer
        return [r["id"] for r in answer.json["results"]]

    assert chosen() == ids
    assert chosen(created_from=created[1]) == ids[1:] and chosen(created_before=created[1]) == ids[:1]
    assert chosen(since=changed[1]) == ids[1:] and chosen(modified_before=changed[1]) == ids[:1]
    assert chosen(created_from=created[1], created_before=created[2]) == ids[1:2]
    assert chosen(created_before="2020-01-01") == []
    assert served.counts()["RETIRING_LMS"] == 3


@pytest.mark.parametrize("body, words", [
    ({"select": {"state": ["PENDING"], "created_from": "now"}, "action": "resume"}, ["created_from"]),
    ({"select": {"state": ["PENDING"], "created_before": 1}, "action": "resume"}, ["created_before", "string"]),
    ({"select": {"state": ["PENDING"], "modified_before": "2026-13-01"}, "action": "resume"}, ["modified_before"]),
    ({}, ["select"]), ({"select": []}, ["select"]), ({"select": {}, "action": "resume"}, ["select"]),
    ({"select": {"ids": [1], "state": ["PENDING"]}, "action": "resume"}, ["select"]), ({"select": {"ids": ["1"]}, "action": "resume"}, ["ids"]),
    ({"select": {"ids": [0]}, "action": "resume"}, ["ids"]), ({"select": {"ids": 1}, "action": "resume"}, ["ids"]),
    ({"select": {"ids": [1] * 1001}, "action": "resume"}, ["ids", "1000"]), ({"select": {"state": "PENDING"}, "action": "resume"}, ["state", "array"]),
    ({"select": {"state": [1]}, "action": "resume"}, ["state"]), ({"select": {"ids": [1]}}, ["action"]),
    ({"select": {"ids": [1]}, "action": "delete"}, ["action"]), ({"select": {"ids": [1]}, "action": "move", "reason": "x"}, ["to"]),
    ({"select": {"ids": [1]}, "action": "resume", "to": "PENDING"}, ["to"]), ({"select": {"ids": [1]}, "action": "resume", "dry_run": 0}, ["dry_run"]),
    ({"select": {"state": ["PENDING"], "since": "now"}, "action": "resume"}, ["since"]), ({"select": {"state": ["PENDING"], "limit": 0}, "action": "resume"}, ["limit"]),
])
def test_a_bulk_is_refused(authority, body, words):
    expect(authority.post("/v1/bulk", body), 400, "invalid", *words)


def test_a_bulk_about_an_unknown_state(authority):
    expect(authority.post("/v1/bulk", {"select": {"state": ["PENDING", "NOWHERE"]}, "action": "resume"}), 400, "unknown_state", "NOWHERE", "there are PENDING")
    expect(authority.post("/v1/bulk", {"select": {"ids": [1], "sate": []}, "action": "resume"}), 400, "unknown_field", "state")


# ---- an abort while a driver is at work ----

@pytest.fixture
def leased(served):
    """A retirement on which a driver has the lease: served.held is the claim."""
    served.somebody()
    [served.held] = served.claim()
    return served


def abort(site, reason):
    return site.post(f"/v1/retirements/{site.held['id']}/move", {"state": "ABORTED", "reason": reason})


def test_an_abort_under_a_lease_waits_and_is_on_record(leased):
    id = leased.held["id"]
    expect(leased.post(f"/v1/retirements/{id}/move", {"state": "PENDING", "reason": "x"}), 409, "leased", "driver")
    for _ in range(2):
        answer = abort(leased, "court order")
        assert answer.status == 202 and answer.json["abort_asked"] is True and answer.json["state"] == "RETIRING_FORUMS"
    entries = leased.log_of(id)
    assert len(entries) == 3 and entries[-1]["reason"] == "court order" and entries[-1]["to"] == "RETIRING_FORUMS"
    renewed = leased.report(leased.held, "renewed", lease_s=60)
    assert renewed["ok"] and renewed["abort"] is True
    released = leased.report(leased.held, "released")
    assert released["ok"] and released["state"] == "ABORTED" and released["next"] is None
    assert leased.one(id)["state"] == "ABORTED" and leased.claim() == []


@pytest.mark.parametrize("outcome", ["done", "failed"])
def test_an_abort_is_final_with_the_report(leased, outcome):
    abort(leased, "court order")
    answer = leased.report(leased.held, outcome, response="too late")
    assert answer["ok"] and answer["state"] == "ABORTED" and answer["next"] is None
    assert leased.report(leased.held, outcome, response="too late") == answer
    assert leased.claim() == []


def test_somebody_without_the_scope_cannot_abort(leased):
    others = " ".join(s for s in ALL_SCOPES.split() if s not in ("retirement:force", "retirement:admin"))
    answer = leased.post(f"/v1/retirements/{leased.held['id']}/move", {"state": "ABORTED", "reason": "x"}, token=leased.token(others))
    expect(answer, 403, "forbidden", "retirement:force")
