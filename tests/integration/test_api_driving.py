# SPDX-License-Identifier: Apache-2.0
"""The calls of drivers: claims, leases, reports, repeats, refusals."""
import sqlite3
import time

import pytest

from site_under_test import wait_for

HOUR = 3600 * 1000000


def expect_refused(answer, code):
    assert answer["ok"] is False and answer["code"] == code and answer["detail"], answer


def expect_400(answer, *words, code="invalid"):
    assert answer.status == 400 and answer.json["code"] == code, answer
    for word in words:
        assert word in answer.json["detail"], answer


def wait_for_the_end_of_the_lease(site, who):
    wait_for(lambda: site.one(who["id"])["lease"] is None, "the lease has run out")


def add_list(site, *names):
    """A newer list; retirements under way keep the old one. Stops the server for it and starts it again."""
    site.kill(site.processes[-1])
    with sqlite3.connect(site.data_dir / "lethe.db") as db:
        [(pipeline,)] = db.execute("INSERT INTO pipeline (stamp, created_at) VALUES (1, 1) RETURNING id").fetchall()
        for position, name in enumerate(names):
            db.execute("INSERT INTO state (name) VALUES (?) ON CONFLICT DO NOTHING", (name,))
            db.execute("INSERT INTO pipeline_state (pipeline_id, position, state_id) SELECT ?, ?, id FROM state WHERE name = ?",
                       (pipeline, position, name))
    db.close()
    site.serve()


# ---- claims ----

def test_nobody_is_taken_to_a_stage_that_is_not_asked_for(served):
    served.somebody(name="first")
    second = served.somebody("RETIRING_FORUMS", "FORUMS_COMPLETE", name="second")
    third = served.somebody("LMS_COMPLETE", name="third")
    before = served.one(second["id"])["modified"]
    assert served.claim(10, stages=[]) == []
    assert served.one(third["id"])["state"] == "COMPLETE"
    assert served.claim(10, stages=["NO_SUCH_STAGE"]) == []
    assert served.one(second["id"])["modified"] == before
    [claim] = served.claim(1, stages=["RETIRING_LMS"])
    assert claim["id"] == second["id"] and claim["stage"] == "RETIRING_LMS"
    assert served.claim(10, stages=["RETIRING_LMS"]) == []
    [claim] = served.claim(10, stages=["RETIRING_FORUMS", "RETIRING_LMS"])
    assert claim["stage"] == "RETIRING_FORUMS"
    for wrong in ("A", [1], {"A": 1}, ["A"] * 500):
        expect_400(served.post("/v1/claims", {"driver": "d", "limit": 1, "lease_s": 5, "stages": wrong}), "stages")


def test_taking_it_up_and_giving_it_back_is_no_change(served):
    who = served.somebody()
    [claim] = served.claim(10)
    begun = served.one(who["id"])["modified"]
    for _ in range(2):
        served.report(claim, "released")
        [claim] = served.claim(10)
    assert claim["epoch"] == 3 and served.one(who["id"])["modified"] == begun


def test_a_claim_says_what_to_do_for_whom(served):
    who = served.somebody(name="Learner1")
    [claim] = served.claim(lease_s=30)
    assert claim == {"id": who["id"], "epoch": 1, "stage": "RETIRING_FORUMS", "run_key": claim["run_key"], "lease_s": 30,
                     "since": None, "memo": None,
                     "user": {"id": None, "original_username": "Learner1", "original_email": "Learner1@example.com",
                              "original_name": "", "retired_username": who["retired_username"], "retired_email": who["retired_email"],
                              "request_uuid": who["uuid"], "requested_at": who["created"], "orgs": []}}
    assert len(claim["run_key"]) >= 16 and "earner" not in claim["run_key"]
    held = served.one(who["id"])
    assert held["state"] == "RETIRING_FORUMS" and held["lease"]["driver"] == "driver"
    assert served.log_of(who["id"])[-1]["epoch"] == 1
    assert served.claim() == []


def test_claims_go_oldest_first_and_count(served):
    ids = [served.somebody()["id"] for _ in range(5)]
    first = served.post("/v1/claims", {"driver": "a", "limit": 2, "lease_s": 60, "count": True}).json
    assert [c["id"] for c in first["claims"]] == ids[:2] and first["due"] == 3 and first["under_way"] == 2
    rest = served.post("/v1/claims", {"driver": "b", "limit": 10, "lease_s": 60}).json
    assert [c["id"] for c in rest["claims"]] == ids[2:] and rest["held"] == 5 and rest["due"] is None
    nobody = served.post("/v1/claims", {"driver": "c", "limit": 10, "lease_s": 60, "count": True}).json
    assert nobody == {"fuse_blown": False, "claims": [], "held": 5, "due": 0, "under_way": 5}


def test_one_can_be_claimed_by_name(served):
    first, second = served.somebody(), served.somebody()
    assert [c["id"] for c in served.claim(limit=10, username=second["original_username"])] == [second["id"]]
    answer = served.post("/v1/claims", {"driver": "a", "limit": 1, "lease_s": 60, "username": "nobody"})
    assert answer.status == 404 and answer.json["code"] == "not_found"
    assert [c["id"] for c in served.claim(limit=10)] == [first["id"]]


def test_the_newest_first(served):
    ids = [served.somebody()["id"] for _ in range(5)] + [served.somebody("RETIRING_FORUMS", "FORUMS_COMPLETE")["id"]]
    assert [c["id"] for c in served.claim(limit=2, order="newest")] == ids[:-3:-1]
    assert [c["id"] for c in served.claim(limit=1, order="oldest")] == ids[:1]
    assert [c["id"] for c in served.claim(limit=9, order="newest")] == ids[3:0:-1]


def test_the_cool_off_is_the_servers_and_can_only_be_lengthened(site):
    site.configure(cool_off="1h")
    site.serve()
    old, young = site.somebody(), site.somebody()
    assert site.claim(limit=10) == [] and site.claim(limit=10, cool_off_s=0) == []
    site.kill(site.processes[-1])
    with sqlite3.connect(site.data_dir / "lethe.db") as db:
        db.execute("UPDATE retirement SET created_at = created_at - ? WHERE id = ?", (2 * HOUR, old["id"]))
    db.close()
    site.serve()
    assert site.claim(limit=10, cool_off_s=3 * 3600) == []
    assert [c["id"] for c in site.claim(limit=10, cool_off_s=60)] == [old["id"]]
    assert site.state_of(young["original_username"]) == "PENDING"


def test_dead_ends_and_other_peoples_work_are_not_claimed(served):
    for path in (["ERRORED"], ["ABORTED"], ["COMPLETE"], ["RETIRING_LMS"]):
        served.somebody(*path)
    assert served.claim(limit=10) == []


def test_who_stands_in_a_completed_state_is_claimed_for_the_next_stage(served):
    served.somebody("FORUMS_COMPLETE")
    assert served.claim()[0]["stage"] == "RETIRING_LMS"


def test_who_an_operator_put_into_a_working_state_is_free_to_be_claimed(served):
    who = served.somebody()
    served.post(f"/v1/retirements/{who['id']}/move", {"state": "RETIRING_LMS", "reason": "by hand"})
    assert served.claim()[0]["stage"] == "RETIRING_LMS"


def test_the_end_needs_no_driver(served):
    """After the last stage nothing is left to do: COMPLETE comes with the report."""
    who = served.somebody()
    [claim] = served.claim()
    assert served.report(claim, "done")["next"] == "RETIRING_LMS"
    last = served.report({**claim, "stage": "RETIRING_LMS"}, "done")
    assert last == {"id": who["id"], "ok": True, "state": "COMPLETE", "next": None, "abort": False}
    assert [to for _, to in served.moves_of(who["id"])] == ["PENDING", "RETIRING_FORUMS", "FORUMS_COMPLETE", "RETIRING_LMS",
                                                            "LMS_COMPLETE", "COMPLETE"]


@pytest.mark.parametrize("change, words", [
    ({"driver": None}, ["driver", "missing"]), ({"driver": ""}, ["driver", "missing"]), ({"driver": "x" * 65}, ["driver", "64"]),
    ({"driver": "a\nb"}, ["driver"]), ({"driver": 7}, ["driver", "string"]), ({"limit": None}, ["limit", "missing"]), ({"limit": 0}, ["limit"]),
    ({"limit": 1001}, ["limit", "1000"]), ({"limit": "1"}, ["limit", "integer"]), ({"lease_s": None}, ["lease_s", "missing"]),
    ({"lease_s": 0}, ["lease_s", "from 1"]), ({"lease_s": 10**9}, ["lease_s"]), ({"lease_s": 1.5}, ["lease_s", "integer"]),
    ({"cool_off_s": -1}, ["cool_off_s"]), ({"cool_off_s": 10**15}, ["cool_off_s"]), ({"username": 5}, ["username", "string"]), ({"count": 1}, ["count"]),
    ({"order": "random"}, ["order", "oldest"]), ({"order": 1}, ["order", "string"]),
])
def test_a_claim_is_refused(authority, change, words):
    expect_400(authority.post("/v1/claims", {"driver": "a", "limit": 1, "lease_s": 60, **change}), *words)


def test_a_claim_with_a_field_too_many(authority):
    expect_400(authority.post("/v1/claims", {"driver": "a", "limit": 1, "lease_s": 60, "coutn": 1}), "did you mean count?", code="unknown_field")
    expect_400(authority.post("/v1/claims", {"ada@example.com": 1}), "; there are driver, limit, lease_s", code="unknown_field")


# ---- reports ----

def test_the_response_is_on_record(served):
    who = served.somebody()
    [claim] = served.claim()
    served.report(claim, "done", response='{"status": 204}')
    done, entered = served.log_of(who["id"])[-2:]
    assert done["to"] == "FORUMS_COMPLETE" and done["response"] == '{"status": 204}' and entered["response"] is None


def test_a_long_response_is_cut_and_marked(served):
    who = served.somebody()
    [claim] = served.claim()
    served.report(claim, "failed", response="日" * 40000)
    kept = served.log_of(who["id"])[-1]["response"]
    assert kept.endswith(" [cut]") and len(kept.encode()) <= 65536 and set(kept.removesuffix(" [cut]")) == {"日"}


def test_a_failure_can_be_resumed(served):
    who = served.somebody()
    [claim] = served.claim()
    failed = served.report(claim, "failed", response="503")
    assert failed == {"id": who["id"], "ok": True, "state": "ERRORED", "next": None, "abort": False}
    errored = served.one(who["id"])
    assert errored["last_state"]["state_name"] == "RETIRING_FORUMS" and errored["resume_state"] == "PENDING" and errored["lease"] is None
    assert served.post(f"/v1/retirements/{who['id']}/resume", {}).status == 200
    [again] = served.claim()
    assert again["stage"] == claim["stage"] and again["epoch"] > claim["epoch"] and again["run_key"] != claim["run_key"]


def test_stop_stays_in_the_completed_state(served):
    who = served.somebody()
    [claim] = served.claim()
    answer = served.report(claim, "done", stop=True)
    assert answer["state"] == "FORUMS_COMPLETE" and answer["next"] is None
    assert served.report(claim, "done", stop=True) == answer
    [again] = served.claim()
    assert again["id"] == who["id"] and again["stage"] == "RETIRING_LMS" and again["run_key"] == claim["run_key"]


@pytest.mark.parametrize("outcome", ["done", "failed", "released"])
def test_a_repeat_gets_the_first_answer(served, outcome):
    who = served.somebody()
    [claim] = served.claim()
    first = served.report(claim, outcome, response="x")
    entries = served.log_of(who["id"])
    for _ in range(3):
        assert served.report(claim, outcome, response="x") == first
    assert served.log_of(who["id"]) == entries


def test_a_late_repeat_gets_the_first_answer_and_no_next_stage(served):
    """A report of an earlier stage, when another driver has the lease: acknowledged, with nothing left to do."""
    served.somebody()
    [claim] = served.claim()
    first = served.report(claim, "done")
    assert first["next"] == "RETIRING_LMS"
    served.report({**claim, "stage": "RETIRING_LMS"}, "released")
    [other] = served.claim(driver="other")
    assert other["stage"] == "RETIRING_LMS" and other["epoch"] > claim["epoch"]
    late = served.report(claim, "done")
    assert late == {**first, "next": None}
    assert served.report({**claim, "stage": "RETIRING_LMS"}, "done")["code"] == "stale_epoch"
    assert served.report(other, "done")["state"] == "COMPLETE"


def test_a_released_one_is_taken_at_the_same_stage_with_the_same_key(served):
    served.somebody()
    [claim] = served.claim()
    assert served.report(claim, "released")["state"] == "RETIRING_FORUMS"
    [again] = served.claim(driver="other")
    assert (again["stage"], again["run_key"], again["epoch"]) == (claim["stage"], claim["run_key"], claim["epoch"] + 1)
    expect_refused(served.report(claim, "done"), "stale_epoch")
    expect_refused(served.report(claim, "renewed", lease_s=60), "stale_epoch")
    assert served.report(again, "done")["ok"]


# ---- later ----

def test_who_is_put_off_comes_back_with_what_the_driver_remembers(served):
    who = served.somebody()
    [claim] = served.claim()
    begun, entries = served.one(who["id"])["modified"], served.log_of(who["id"])
    first = served.report(claim, "later", in_s=2, memo='{"poll": "é\\n"}')
    assert first == {"id": who["id"], "ok": True, "state": "RETIRING_FORUMS", "next": None, "abort": False}
    put_off = served.one(who["id"])
    assert put_off["later"]["since"] == begun < put_off["later"]["until"] and put_off["lease"] is None
    assert served.report(claim, "later", in_s=2, memo='{"poll": "é\\n"}') == first
    assert served.one(who["id"]) == put_off
    [again] = wait_for(lambda: served.claim(driver="other", limit=10), "the time")
    assert again == {**claim, "epoch": 2, "since": begun, "memo": '{"poll": "é\\n"}'}
    assert served.one(who["id"])["later"] is None and served.log_of(who["id"]) == entries
    expect_refused(served.report(claim, "later", in_s=2), "stale_epoch")
    assert served.report(again, "done", stop=True)["ok"]
    [next_stage] = served.claim(stages=["RETIRING_LMS"])
    assert next_stage["since"] is None and next_stage["memo"] is None


def test_nobody_takes_up_who_is_put_off(served):
    who = served.somebody()
    [claim] = served.claim()
    assert served.report(claim, "later", in_s=3600)["ok"]
    nobody = served.post("/v1/claims", {"driver": "d", "limit": 5, "lease_s": 60, "count": True, "waiting": True}).json
    assert nobody == {"fuse_blown": False, "claims": [], "held": 0, "due": 0, "under_way": 1, "waiting": []}
    assert served.claim(username=who["original_username"]) == []
    expect_refused(served.report(claim, "done"), "lease_over")
    shown = served.ok("retirement", "show", "--id", str(who["id"])).out
    assert "put off" in shown and "until " + served.one(who["id"])["later"]["until"][:10] in shown
    assert "RETIRING_FORUMS, put off  " in served.ok("retirement", "list").out
    assert served.get("/v1/retirements?waiting=true").json["retirements"] == []


def test_put_off_survives_the_server(served):
    who, other = served.somebody(), served.somebody()
    claims = served.claim(2)
    served.report(claims[0], "later", in_s=3600, memo="day 2")
    served.report(claims[1], "later", in_s=0, memo="day 3")
    before = served.one(who["id"])
    served.kill(served.processes[-1])
    served.serve()
    assert served.one(who["id"]) == before
    [again] = served.claim(2)
    assert again["id"] == other["id"] and again["memo"] == "day 3"


def test_operators_move_who_is_put_off_as_they_like(served):
    ids = [served.somebody()["id"] for _ in range(3)]
    for claim in served.claim(3):
        assert served.report(claim, "later", in_s=3600, memo="x")["ok"]
    for id, to in zip(ids, ["ABORTED", "RETIRING_FORUMS", "COMPLETE"]):
        answer = served.post(f"/v1/retirements/{id}/move", {"state": to, "reason": "enough"})
        assert answer.status == 200 and answer.json["later"] is None, answer
    [claim] = served.claim(3)
    assert claim["id"] == ids[1] and claim["memo"] == "x" and claim["since"] is None  # what is half done stays half done


def test_an_abort_that_was_asked_for_needs_no_later(served):
    who = served.somebody()
    [claim] = served.claim()
    assert served.post(f"/v1/retirements/{who['id']}/move", {"state": "ABORTED", "reason": "stop"}).status == 202
    answer = served.report(claim, "later", in_s=3600, memo="x")
    assert answer["state"] == "ABORTED" and served.one(who["id"])["later"] is None
    assert served.report(claim, "later", in_s=3600, memo="x") == answer


def test_being_put_off_is_no_death(site):
    site.configure(driver={"deaths_max": 2})
    site.serve()
    who = site.somebody()
    for _ in range(4):
        [claim] = wait_for(site.claim, "the lease to be over")
        assert site.report(claim, "later", in_s=0)["ok"]
        [claim] = site.claim(lease_s=1)
        wait_for_the_end_of_the_lease(site, who)
    assert site.one(who["id"])["state"] == "RETIRING_FORUMS"


@pytest.mark.parametrize("outcome", ["done", "failed", "renewed", "released", "later"])
def test_after_the_lease_nothing_is_accepted(served, outcome):
    who = served.somebody()
    [claim] = served.claim(lease_s=1)
    wait_for_the_end_of_the_lease(served, who)
    before = served.one(who["id"])
    more = {"in_s": 5} if outcome == "later" else {"lease_s": 60}
    expect_refused(served.report(claim, outcome, **more), "lease_over")
    assert served.one(who["id"]) == before
    [again] = served.claim(driver="other")
    assert again["stage"] == claim["stage"] and again["epoch"] == claim["epoch"] + 1
    expect_refused(served.report(claim, outcome, **more), "stale_epoch")


def test_whom_the_rules_refuse_stands_in_nobodys_way(served):
    """25 people are in a state that is a working state in their list, and a completed one in today's list."""
    for _ in range(25):
        served.patch(served.somebody()["original_username"], "RETIRING_FORUMS")
    add_list(served, "PENDING", "CALLING", "RETIRING_FORUMS", "ERRORED", "ABORTED", "COMPLETE")
    who = served.somebody()
    assert [c["id"] for c in served.claim()] == [who["id"]]


def test_a_lease_runs_out_by_the_clock(served):
    served.somebody()
    began = time.monotonic()
    [claim] = served.claim(lease_s=1)
    [again] = wait_for(served.claim, "the lease has run out")
    assert time.monotonic() - began >= 1
    assert again["id"] == claim["id"] and again["epoch"] == claim["epoch"] + 1


def test_a_renewal_lengthens_the_lease(served):
    who = served.somebody()
    [claim] = served.claim(lease_s=60)
    until = served.one(who["id"])["lease"]["until"]
    entries = served.log_of(who["id"])
    assert served.report(claim, "renewed", lease_s=600) == {"id": who["id"], "ok": True, "state": "RETIRING_FORUMS", "next": None, "abort": False}
    assert served.one(who["id"])["lease"]["until"] > until and served.log_of(who["id"]) == entries


def test_who_dies_again_and_again_is_errored(site):
    """A person whose data crashes the driver must not crash it for ever."""
    site.configure(driver={"deaths_max": 2})
    site.serve()
    who = site.somebody()
    claims = 0
    while site.claim(lease_s=1):
        claims += 1
        wait_for_the_end_of_the_lease(site, who)
    assert site.one(who["id"])["state"] == "ERRORED" and claims == 2
    assert "driver was lost" in site.log_of(who["id"])[-1]["response"]


def test_that_the_server_was_away_is_nobodys_death(site):
    """I9: a driver cannot report while there is no server."""
    site.configure(driver={"deaths_max": 2})
    site.serve()
    who = site.somebody()
    for outages in range(4):
        [claim] = site.claim()
        assert claim["epoch"] == outages + 1
        site.be_away_past_all_leases()
        assert site.one(who["id"])["lease"] is None
        expect_refused(site.report(claim, "done"), "lease_over")
    [claim] = site.claim()
    assert site.report(claim, "done")["ok"]


def test_each_report_is_judged_by_itself(served):
    for _ in range(3):
        served.somebody()
    a, b, c = served.claim(limit=3)

    def report(claim, outcome="done", **more):
        return {"id": claim["id"], "epoch": claim["epoch"], "stage": claim["stage"], "outcome": outcome, **more}

    answers = served.post("/v1/progress", [report(c), report({**a, "epoch": 7}), report({**b, "stage": "NOWHERE"}),
                                           report({**a, "id": 999}), report({**b, "stage": "RETIRING_LMS"}), report(a), report(a)]).json
    assert [x["id"] for x in answers] == [c["id"], a["id"], b["id"], 999, b["id"], a["id"], a["id"]]
    assert [x.get("code") for x in answers] == [None, "stale_epoch", "unknown_stage", "not_found", "stale_epoch", None, None]
    assert answers[5] == answers[6]
    assert served.post("/v1/progress", []).json == []


@pytest.mark.parametrize("change, words", [
    ({"id": None}, ["id", "missing"]), ({"id": 0}, ["id"]), ({"id": "1"}, ["id", "integer"]), ({"epoch": None}, ["epoch", "missing"]), ({"epoch": 0}, ["epoch"]),
    ({"epoch": 1.5}, ["epoch"]), ({"stage": None}, ["stage", "missing"]), ({"stage": 1}, ["stage", "string"]), ({"outcome": None}, ["outcome", "missing"]),
    ({"outcome": "finished"}, ["outcome", "renewed"]), ({"outcome": "renewed"}, ["lease_s", "missing"]), ({"outcome": "renewed", "lease_s": 0}, ["lease_s"]),
    ({"response": {}}, ["response", "string"]), ({"stop": "yes"}, ["stop"]), ({"outcome": "later"}, ["in_s", "missing"]),
    ({"outcome": "later", "in_s": -1}, ["in_s"]), ({"outcome": "later", "in_s": 604801}, ["in_s"]), ({"outcome": "later", "in_s": 1.5}, ["in_s"]),
    ({"outcome": "later", "in_s": 1, "memo": {}}, ["memo", "string"]), ({"outcome": "later", "in_s": 1, "memo": "é" * 2049}, ["memo", "4096"]),
    ({"outcome": "released", "in_s": 1}, ["in_s"]), ({"memo": "x"}, ["memo"]),
])
def test_a_malformed_report_is_refused_alone(authority, change, words):
    name = authority.somebody()["original_username"]
    [claim] = authority.claim(username=name)
    good = {"id": claim["id"], "epoch": claim["epoch"], "stage": claim["stage"], "outcome": "done"}
    answer = authority.post("/v1/progress", [{**good, **change}, good, {**good, **change}])
    assert answer.status == 200, answer
    for refused in answer.json[0], answer.json[2]:
        assert not refused["ok"] and refused["code"] == "invalid" and all(word in refused["detail"] for word in words), refused
        assert refused["id"] == (claim["id"] if {**good, **change}["id"] == claim["id"] else None)
    assert answer.json[1] == {"id": claim["id"], "ok": True, "state": "RETIRING_LMS", "next": "RETIRING_LMS", "abort": False}
    assert authority.one(claim["id"])["state"] == "RETIRING_LMS"


def test_reports_that_cannot_be_read_at_all_are_refused_in_their_place(authority):
    name = authority.somebody()["original_username"]
    [claim] = authority.claim(username=name)
    good = {"id": claim["id"], "epoch": claim["epoch"], "stage": claim["stage"], "outcome": "done"}
    answers = authority.post("/v1/progress", [1, [], {}, {**good, "responce": "x"}, good]).json
    assert [(x["id"], x["ok"], x.get("code")) for x in answers] == [
        (None, False, "invalid"), (None, False, "invalid"), (None, False, "invalid"), (claim["id"], False, "unknown_field"),
        (claim["id"], True, None)]
    assert "did you mean response?" in answers[3]["detail"]


@pytest.mark.parametrize("body, words", [({}, "an array"), ("x", "an array"), ([{"id": 1, "epoch": 1, "stage": "X", "outcome": "done"}] * 1001, "1000")])
def test_what_is_no_list_of_reports(authority, body, words):
    expect_400(authority.post("/v1/progress", body), words)
