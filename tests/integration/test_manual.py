# SPDX-License-Identifier: Apache-2.0
"""Stages that operators do by hand: retirements wait, are listed, are reminded of, and go on after a confirmation."""
import re

import pytest

from site_under_test import wait_for

NOTE = "removed, ticket 4711"
WORKING = "UNSUBSCRIBING"


@pytest.fixture
def manual(site, make_service):
    """A service, a stage that people do, and a service behind it."""
    site.forum, site.store = make_service(), make_service()
    for name in ("forum", "store"):
        site.service(name, getattr(site, name))
    site.stage("RETIRING_FORUM", "FORUM_COMPLETE",
               http={"service": "forum", "post": "/retire", "json": {"username": "{original_username}"}})
    site.stage(WORKING, "UNSUBSCRIBED",
               manual={"instructions": "Remove {original_email} in the console.\nThen tell {retirement_id}.",
                       "remind": "1s"})
    site.stage("RETIRING_STORE", "STORE_COMPLETE",
               http={"service": "store", "post": "/retire", "json": {"username": "{original_username}"}})
    site.configure(driver={"poll": "100ms"})
    return site


def confirm(site, id, **more):
    return site.post(f"/v1/retirements/{id}/confirm", {"note": NOTE, **more})


def waiting(site):
    return site.ok("retirement", "list", "--waiting", "--json").json


def test_people_wait_until_somebody_confirms(manual):
    ids = manual.request_all(["ada", "bob"])
    done = manual.drive_all()
    assert (done["people"], done["waiting"], done["completed"], done["errored"], done["released"]) == (2, 2, 0, 0, 0)
    assert set(manual.states().values()) == {WORKING}
    assert [row["id"] for row in waiting(manual)] == ids
    row = waiting(manual)[0]
    assert row["waiting"]["instructions"] == f"Remove ada@example.com in the console.\nThen tell {ids[0]}."
    assert row["lease"] is None

    said = manual.ok("retirement", "confirm", "ada", "--note", NOTE).out
    assert "UNSUBSCRIBED" in said
    again = manual.ok("drive", "--once")
    assert "1 person waits for a confirmation" in again.out
    assert manual.states() == {"ada": "COMPLETE", "bob": WORKING}
    assert manual.store.usernames() == ["ada"] and sorted(manual.forum.usernames()) == ["ada", "bob"]
    assert [row["id"] for row in waiting(manual)] == ids[1:]


def test_the_note_and_who_wrote_it_are_on_record(manual):
    manual.request("ada")
    manual.drive_all()
    manual.ok("retirement", "confirm", "ada", "--note", NOTE)
    shown = manual.ok("retirement", "show", "ada").out
    assert NOTE in shown and "Remove ada@example.com" in shown
    manual.serve()
    moves = [m for m in manual.log_of(1) if m["from"] == WORKING]
    assert [m["to"] for m in moves] == [WORKING, "UNSUBSCRIBED"]
    assert moves[0]["response"].startswith("Remove ada@example.com") and moves[0]["actor"] != ""
    assert f'"note":"{NOTE}"' in moves[1]["response"] and moves[1]["actor"].startswith("local")


def test_the_list_says_what_is_to_be_done(manual):
    manual.request("ada")
    manual.drive_all()
    out = manual.ok("retirement", "list", "--waiting").out
    assert "Retirement 1 (ada) waits in UNSUBSCRIBING since" in out and "Remove ada@example.com" in out
    assert "lethe retirement confirm --id 1" in out
    assert "Remove ada@example.com" in manual.ok("retirement", "show", "ada").out
    manual.ok("retirement", "confirm", "--id", "1", "--note", NOTE, "--stage", WORKING)
    assert manual.ok("retirement", "list", "--waiting").out == "No retirements.\n"


def test_a_repeat_changes_nothing_and_confirms_no_later_stage(manual):
    manual.stage("ASKING_AGAIN", "ASKED_AGAIN", manual={"instructions": "And again."})
    manual.request("ada")
    manual.drive_all()
    manual.serve()
    first = confirm(manual, 1, stage=WORKING)
    assert (first.status, first.json["state"]) == (200, "UNSUBSCRIBED")
    assert confirm(manual, 1).status == 200  # the newest move is this one
    manual.drive_all()
    assert manual.state_of("ada") == "ASKING_AGAIN"
    moves = len(manual.log_of(1))
    again = confirm(manual, 1, stage=WORKING)
    assert (again.status, again.json["state"]) == (200, "ASKING_AGAIN")
    assert len(manual.log_of(1)) == moves
    other = manual.post("/v1/retirements/1/confirm", {"note": "another", "stage": WORKING})
    assert (other.status, other.json["code"]) == (409, "not_waiting")
    assert manual.state_of("ada") == "ASKING_AGAIN"


def test_only_who_waits_can_be_confirmed(served):
    id = served.request("ada")["id"]
    assert confirm(served, id).json["code"] == "not_waiting"
    claim = served.claim()[0]
    assert (confirm(served, id).status, confirm(served, id).json["code"]) == (409, "not_waiting")
    assert served.report(claim, "waiting", response="do it")["state"] == "RETIRING_FORUMS"
    assert served.claim() == []
    assert served.report(claim, "done")["code"] == "stale_epoch"
    assert served.report(claim, "waiting", response="do it")["ok"]
    assert confirm(served, 99).status == 404
    assert confirm(served, id, stage="RETIRING_LMS").json["code"] == "not_waiting"
    for body in ({}, {"note": ""}, {"note": 3}, {"note": "a\nb"}, {"note": "x" * 1001}, {"note": "x", "more": 1}):
        assert served.post(f"/v1/retirements/{id}/confirm", body).status == 400
    assert served.get("/v1/retirements?waiting=perhaps").status == 400
    drive_only = served.token("retirement:drive")
    assert served.post(f"/v1/retirements/{id}/confirm", {"note": "x"}, token=drive_only).status == 403
    assert confirm(served, id).status == 200


def test_operators_move_who_waits_as_they_like(manual):
    manual.request_all(["ada", "bob", "cid"])
    manual.drive_all()
    manual.ok("retirement", "move", "ada", "ABORTED", "--reason", "court order")
    manual.ok("retirement", "move", "bob", "UNSUBSCRIBED", "--reason", "known to be done")
    manual.ok("retirement", "move", "cid", WORKING, "--reason", "once more")
    assert manual.lethe("retirement", "cancel", "--id", "3").code == 4
    assert manual.lethe("retirement", "resume", "cid").code == 4
    assert waiting(manual) == []
    done = manual.drive_all()
    assert (done["completed"], done["waiting"]) == (1, 1)
    assert manual.states() == {"ada": "ABORTED", "bob": "COMPLETE", "cid": WORKING}


def test_waiting_survives_restarts_is_counted_and_reminded_of(manual):
    manual.request("ada")
    process = manual.run_all()
    wait_for(lambda: manual.state_of("ada") == WORKING and len(waiting(manual)) == 1, "ada to wait")
    manual.kill(process)
    process = manual.run_all()
    assert "lethe_waiting 1" in manual.get("/metrics").raw.decode()
    manual.wait_said(process, "for a confirmation: lethe")
    line = next(line for line in manual.log(process).splitlines() if "has waited" in line)
    assert "warning" in line and "retirement=1" in line and "UNSUBSCRIBING" in line
    assert confirm(manual, 1).status == 200
    manual.wait_states("COMPLETE")
    assert "lethe_waiting 0" in manual.get("/metrics").raw.decode()
    assert not re.search(r"\bada\b", manual.logs()) and "Remove" not in manual.logs()


def test_instructions_that_cannot_be_made_are_a_failure(site):
    site.stage(WORKING, "UNSUBSCRIBED", manual={"instructions": "Remove {user_id}."})
    site.request("ada")
    done = site.drive()
    assert "1 ERRORED" in done.out and site.states() == {"ada": "ERRORED"}
    assert "user_id" in site.ok("retirement", "failures").out


def test_a_plan_ends_where_somebody_has_to_confirm(manual):
    manual.request("ada")
    plan = manual.ok("plan").out
    assert f"{WORKING}: 1 person begins to wait" in plan and "RETIRING_STORE: 0 calls" in plan
    one = manual.ok("plan", "ada").out
    assert "wait until an operator has done this and confirms" in one and "Remove a...@e..." in one
    manual.drive_all()
    assert "waits for a confirmation since" in manual.ok("plan", "ada").out


def test_a_stage_by_hand_asks_for_no_longer_lease(site):
    """It calls nobody, so there is no time-out that a lease has to be longer than."""
    site.stage("ASKING", "ASKED", manual={"instructions": "Remove {original_email} in the console."})
    site.configure(driver={"lease": "10s"})
    assert "is right" in site.ok("config", "check").out
