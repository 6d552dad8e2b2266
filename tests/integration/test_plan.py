# SPDX-License-Identifier: Apache-2.0
"""What would be done, for one person and for everybody, and that asking changes nothing."""
import datetime
import sqlite3

import pytest


@pytest.fixture
def planned(pipeline):
    """Three stages by HTTP and one by a program, of which the middle one puts people into the path."""
    pipeline.config["stages"][1]["http"]["post"] = "/notes/{original_email}/{user_id}"
    pipeline.stage("RUNNING", "RUN", exec={"command": ["/bin/true"]})
    return pipeline


def database(site):
    with sqlite3.connect(f"file:{site.data_dir / 'lethe.db'}?mode=ro", uri=True) as db:
        dump = list(db.iterdump())
    db.close()
    return dump


def expect_no_calls(site):
    assert [call for service in site.everywhere for call in service.calls] == []


def test_for_one_person_every_call_in_order_with_masked_values(planned):
    planned.ok("account", "add", "--username", "Ada.Lovelace", "--email", "ada@example.org")
    asked = planned.request("Ada.Lovelace", "ada@example.org")
    said = planned.ok("plan", "Ada.Lovelace").out
    assert f"Retirement {asked['id']} is in PENDING, and is due." in said
    order = [said.index(f"{n}. {name}: ") for n, name in enumerate(
        ("RETIRING_FORUM", "RETIRING_NOTES", "RETIRING_STORE", "RUNNING"), 1)]
    assert order == sorted(order)
    assert f"POST {planned.forum.url}/forum/retire" in said and '{"username":"A..."}' in said
    assert f"POST {planned.notes.url}/notes/a...%40e.../{asked['user']['id']}" in said
    assert "run /bin/true" in said
    for secret in ("Lovelace", "example.org", "ada"):
        assert secret not in said
    expect_no_calls(planned)


def test_a_value_that_is_not_known_is_said(planned):
    """Somebody who was brought along by the request has no number that the services know."""
    planned.request("ada")
    assert "(cannot be made: {user_id} is not known)" in planned.ok("plan", "ada").out


def test_the_same_as_json(planned):
    planned.request("ada")
    plan = planned.ok("plan", "ada", "--json").json
    assert plan["state"] == "PENDING" and plan["why_not"] is None
    assert [step["stage"] for step in plan["steps"]] == ["RETIRING_FORUM", "RETIRING_NOTES", "RETIRING_STORE", "RUNNING"]
    assert plan["steps"][0]["body"] == '{"username":"a..."}' and plan["steps"][3]["body"] is None
    [same] = planned.ok("plan", "--json").json
    assert same == plan


def test_it_says_what_is_skipped_and_why(planned):
    now = datetime.datetime.now()
    planned.config["services"]["store"]["quiet_hours"] = [f"{now - datetime.timedelta(hours=1):%H:%M}-"
                                                          f"{now + datetime.timedelta(hours=1):%H:%M}"]
    planned.serve()
    planned.somebody("FORUM_COMPLETE", name="halfway")
    planned.somebody("RETIRING_NOTES", "ERRORED", name="failed")
    planned.somebody("COMPLETE", name="done")
    planned.somebody(name="held")
    planned.claim(10, stages=["RETIRING_FORUM"])
    said = planned.ok("plan", "halfway").out
    assert "RETIRING_FORUM: done before" in said and "1. RETIRING_NOTES: POST" in said
    assert "not now: quiet hours of store for another" in said
    assert "not now: ERRORED" in planned.ok("plan", "failed").out
    assert "not now: it is over" in planned.ok("plan", "done").out
    assert "not now: worked on by driver until" in planned.ok("plan", "held").out
    everybody = planned.ok("plan").out
    assert "1 person of 3 would be taken up now" in everybody
    assert "RETIRING_NOTES: 1 call to notes\n" in everybody and "RETIRING_FORUM: 0 calls to forum" in everybody
    assert "RETIRING_STORE: 1 call to store; not now: quiet hours" in everybody
    assert planned.lethe("plan", "nobody").code == 3


def test_the_cool_off_is_a_reason(planned):
    planned.configure(cool_off="7d")
    planned.request("ada")
    assert "not now: cooling off until" in planned.ok("plan", "ada").out
    assert "0 people of 1 would be taken up now" in planned.ok("plan").out


def test_it_changes_nothing_with_a_server_and_without(planned):
    planned.request_all(["ada", "bob"])
    before = database(planned)
    for words in (["plan"], ["plan", "ada"], ["plan", "--json"]):
        planned.ok(*words)
        assert database(planned) == before
    planned.serve()
    before = database(planned)
    for words in (["plan"], ["plan", "ada"], ["plan", "--json"]):
        planned.ok(*words)
        assert database(planned) == before
    expect_no_calls(planned)
    planned.kill(planned.processes[-1])
    planned.port = None
    assert planned.drive_all()["calls"] == 8


def test_nobody_is_a_plan_too(planned):
    assert planned.ok("plan").out == "Nobody.\n"
    assert planned.ok("plan", "--json").json == []


def test_without_stages_there_is_nothing_to_plan(site):
    assert "no stages" in site.lethe("plan").err
