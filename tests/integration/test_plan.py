# SPDX-License-Identifier: Apache-2.0
"""What the driver would do, for one person and for all, and that the plan changes nothing."""
import sqlite3

import pytest

from services import quiet_now


@pytest.fixture
def planned(pipeline):
    """Three stages by HTTP and one by a program; the second has the user name in its path."""
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


def test_an_order_that_leaves_data_is_told(site, make_service):
    """By both forms in the same words, which are those of `config check`."""
    site.service("lms", make_service())
    site.stage("RETIRING_LMS", "LMS_COMPLETE", use="LMS.retirement_lms_retire")
    site.stage("RETIRING_FORUMS", "FORUMS_COMPLETE", use="LMS.retirement_retire_forum")
    site.request("ada")
    order = site.ok("plan", "ada", "--json").json["order"]
    assert order[-1].startswith("an order that works: ") and order == site.ok("config", "check", "--json").json["order"]
    assert site.ok("plan", "ada").out.startswith("\n".join(order))


def test_a_value_that_is_not_known_is_said(planned):
    """A person who is known only from a request has no number that the services know."""
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
    planned.config["services"]["store"]["quiet_hours"] = quiet_now()
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


def test_a_blown_fuse_is_a_reason(planned):
    planned.configure(fuse={"people": 1, "times_usual": 0})
    planned.request_all(["ada", "bob"])
    assert "not now: the fuse is going to blow: lethe fuse show" in planned.ok("plan", "ada").out  # before any claim
    assert "0 people of 2 would be taken up now" in planned.ok("plan").out
    assert "going to blow at the next claim: 2 people are due, at most 1 are usual" in planned.ok("fuse", "show").out
    assert planned.drive().code == 4
    assert "not now: the fuse has blown: lethe fuse show" in planned.ok("plan", "ada").out
    assert "0 people of 2 would be taken up now" in planned.ok("plan").out


def test_a_stage_that_is_held_is_a_reason_for_people_before_it(planned):
    forum = planned.config["stages"][0]
    forum["http"]["nothing_to_erase"] = [404]
    forum["finds_nobody"] = {"after": 1, "hold": True}
    planned.request_all(["found"])
    planned.drive_all()
    planned.forum.script = lambda call: (404, {"error_code": "user_not_found"})
    planned.request_all(["gone"])
    planned.drive()
    planned.serve()
    planned.somebody(name="ada")
    planned.somebody("FORUM_COMPLETE", name="bob")
    assert "not now: held, because the stage finds nobody any more" in planned.ok("plan", "ada").out
    assert "held" not in planned.ok("plan", "bob").out
    everybody = planned.ok("plan").out
    assert "1 person of 2 would be taken up now" in everybody
    assert "RETIRING_FORUM: 0 calls to forum; not now: held" in everybody
    first = planned.ok("plan", "ada", "--json").json
    assert first["why_not"] == first["steps"][0]["why_not"] and first["steps"][1]["why_not"] is None


def test_a_client_at_work_is_a_reason(planned):
    planned.serve()
    asked = planned.request("ada")
    assert planned.patch("ada", "RETIRING_FORUM").status == 204
    assert planned.one(asked["id"])["worked_on_elsewhere"]
    assert "not now: a client of the LMS's calls works on it" in planned.ok("plan", "ada").out
    assert "0 people of 1 would be taken up now" in planned.ok("plan").out
    planned.ok("retirement", "move", "ada", "RETIRING_FORUM", "--reason", "a driver goes on")
    assert not planned.one(asked["id"])["worked_on_elsewhere"]
    assert ", and is due." in planned.ok("plan", "ada").out


def test_who_was_put_off_until_now_is_due(planned):
    planned.serve()
    planned.request("ada")
    assert planned.report(planned.claim()[0], "later", in_s=0)["ok"]
    assert ", and is due." in planned.ok("plan", "ada").out


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
    assert planned.ok("plan").out == "No retirements.\n"
    assert planned.ok("plan", "--json").json == []


def test_without_stages_there_is_nothing_to_plan(site):
    assert "no stages" in site.lethe("plan").err


# ---- what probes find ----

@pytest.fixture
def probed(planned):
    """Probes: the forum counts, the notes answer by status, the store is down, and the program might change something."""
    left = {"forum": 3, "notes": 1}

    def forum(call):
        return (200, {"total": left["forum"]}) if call.method == "GET" else 204

    def notes(call):
        return (200 if left["notes"] else 404) if call.method == "GET" else 204

    planned.left = left
    planned.forum.script, planned.notes.script = forum, notes
    planned.store.script = lambda call: 503 if call.method == "GET" else 204
    stages = planned.config["stages"]
    stages[1]["http"]["post"] = "/notes/retire"
    stages[0]["verify"] = {"http": {"service": "forum", "get": "/search?author={original_username}"}, "count": "/total"}
    stages[1]["verify"] = {"http": {"service": "notes", "get": "/people/{original_email}"}, "expect": {"status": [404]}}
    stages[2]["verify"] = {"http": {"service": "store", "get": "/orders?who={original_email}"}, "count": ""}
    stages[3]["verify"] = {"exec": {"command": ["./look"]}}
    look = planned.folder / "look"
    look.write_text("#!/bin/sh\ntouch looked\necho 0\n")
    look.chmod(0o755)
    return planned


def test_probes_count_what_there_is_now(probed):
    probed.request("ada")
    said = probed.ok("plan", "ada", "--probe").out
    assert "3 records in forum now" in said and "1 record in notes now" in said
    assert "not counted: 503 from store" in said
    assert not (probed.folder / "looked").exists(), "nobody said that the program only reads"
    assert "ada" not in said.replace("/search?author=a...", "")
    assert [call.path for call in probed.forum.calls] == ["/search?author=ada"]
    assert [(call.method, call.key) for service in probed.everywhere for call in service.calls] == [("GET", None)] * 3


def test_of_many_retirements_of_a_name_only_the_planned_one_is_looked_at(probed):
    probed.serve()
    probed.request("ada", "first@example.com")
    assert probed.patch("ada", "COMPLETE", extra={"force": True}).status == 204
    second = probed.request("ada", "second@example.com")
    said = probed.ok("plan", "ada", "--probe").out
    assert f"Retirement {second['id']} is in PENDING" in said and "3 records in forum now" in said
    assert [call.path for call in probed.store.calls] == ["/orders?who=second%40example.com"]


def test_what_a_stage_looks_at_is_part_of_its_plan(probed):
    """Also without --probe: they are calls that the driver would make; the plan makes none."""
    probed.config["stages"][1]["verify"]["after"] = ["0s", "2m", "1h"]
    probed.request("ada")
    said = probed.ok("plan", "ada").out
    look = f"then looks whether anything is left: GET {probed.forum.url}/search?author=a..."
    assert look in said and said.index("1. RETIRING_FORUM") < said.index(look) < said.index("2. RETIRING_NOTES")
    assert "at once, 2m after the erasure, 1h after the erasure, until nothing is" in said
    assert "is left: run " in said and "/look, the person on standard input" in said
    assert "ada" not in said
    forum, notes, *_ = probed.ok("plan", "ada", "--json").json["steps"]
    assert forum["verify"] == {"call": f"GET {probed.forum.url}/search?author=a...", "body": None, "after_s": [0]}
    assert notes["verify"]["after_s"] == [0, 120, 3600]
    assert "RETIRING_FORUM: 1 call to forum, then 1 look in forum\n" in probed.ok("plan").out
    expect_no_calls(probed)


def test_quiet_hours_of_who_is_only_looked_at_are_a_reason(probed, make_service):
    index = make_service()
    probed.service("index", index, quiet_hours=quiet_now())
    probed.config["stages"][0]["verify"]["http"]["service"] = "index"
    probed.request("ada")
    assert "not now: quiet hours of index for another" in probed.ok("plan", "ada").out
    assert index.calls == []


def test_hooks_do_not_keep_a_look_waiting(probed):
    probed.config["on_request"] = [{"name": "app", "http": {"service": "store", "post": "/lock"}}]
    probed.request("ada")
    assert "3 records in forum now" in probed.ok("plan", "ada", "--probe").out
    assert [call.path for call in probed.store.calls] == ["/orders?who=ada%40example.com"], "nobody is told by a look"


def test_a_program_that_only_reads_is_asked_too(probed):
    probed.config["stages"][3]["verify"]["read_only"] = True
    probed.config["stages"][0]["verify"]["read_only"] = False
    probed.request("ada")
    said = probed.ok("plan", "ada", "--probe").out
    assert "nothing in" in said and "look now" in said and "in forum now" not in said
    assert probed.forum.calls == []


def test_probes_as_json(probed):
    probed.request("ada")
    plan = probed.ok("plan", "ada", "--probe", "--json").json
    assert plan["probes"] == [
        {"stage": "RETIRING_FORUM", "where": "forum", "left": 3, "why_not": None},
        {"stage": "RETIRING_NOTES", "where": "notes", "left": 1, "why_not": None},
        {"stage": "RETIRING_STORE", "where": "store", "left": None, "why_not": "503 from store"}]
    assert probed.ok("plan", "--probe", "--json").json == [plan]
    assert "probes" not in probed.ok("plan", "ada", "--json").json


def test_probes_of_everybody(probed):
    probed.request_all([f"user{n}" for n in range(5)])
    said = probed.ok("plan", "--probe").out
    assert "RETIRING_FORUM: 5 calls to forum, then 5 looks in forum; 15 records of 5 people in forum now\n" in said
    assert "RETIRING_STORE: 5 calls to store, then 5 looks in store; 0 records of 0 people in store now, 5 people not counted" in said
    assert len(probed.forum.calls) == 5


def test_probes_of_somebody_who_is_through(probed):
    """Has data come back since?"""
    probed.store.script = lambda call: (200, []) if call.method == "GET" else 204
    probed.left.update(forum=0, notes=0)
    probed.request("ada")
    assert probed.drive_all()["completed"] == 1
    probed.left["notes"] = 1
    said = probed.ok("plan", "ada", "--probe").out
    assert "RETIRING_FORUM: done before; nothing in forum now" in said
    assert "RETIRING_NOTES: done before; 1 record in notes now" in said


def test_probes_change_nothing(probed):
    """Not a byte of the database changes, and every call only reads."""
    probed.request_all(["ada", "bob"])
    before = database(probed)
    files = sorted(path.name for path in probed.folder.iterdir())
    for words in (["plan", "--probe"], ["plan", "ada", "--probe"], ["plan", "--probe", "--json"]):
        probed.ok(*words)
        assert database(probed) == before
    probed.serve()
    before = database(probed)
    probed.ok("plan", "--probe")
    assert database(probed) == before
    assert {call.method for service in probed.everywhere for call in service.calls} == {"GET"}
    assert not (probed.folder / "looked").exists()
    made = set(path.name for path in probed.folder.iterdir()) - set(files)
    assert all(name.startswith("log-") for name in made), made


def test_a_service_that_is_down_is_asked_once_for_each(probed):
    probed.store.go_down()
    probed.request("ada")
    said = probed.ok("plan", "ada", "--probe").out
    assert "not counted: store: " in said and "3 records in forum now" in said


def test_in_quiet_hours_nobody_is_asked(probed):
    probed.config["services"]["forum"]["quiet_hours"] = quiet_now()
    probed.request("ada")
    assert "not counted: forum is not called now" in probed.ok("plan", "ada", "--probe").out
    assert probed.forum.calls == []
