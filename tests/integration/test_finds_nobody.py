# SPDX-License-Identifier: Apache-2.0
"""A stage that finds nobody any more, and found people before: operators are told, and with hold nobody is taken to it."""
import sqlite3

import pytest


def gone(call):
    return 404, {"error_code": "user_not_found"}


@pytest.fixture
def counting(pipeline):
    """The forum says 404 with its own word when it does not know a person; three in a row are suspicious."""
    action = pipeline.config["stages"][0]
    action["http"]["nothing_to_erase"] = [404]
    action["finds_nobody"] = {"after": 3}
    pipeline.configure()
    return pipeline


def people(site, prefix, n):
    site.request_all([f"{prefix}{i}" for i in range(n)])


def stage(site):
    shown, = [s for s in site.ok("stages", "show", "--json").json["stages"] if s["stage"] == "RETIRING_FORUM"]
    return shown


@pytest.mark.parametrize("before, told", [(3, True), (2, False)])
def test_a_service_that_lost_its_people_is_told_of(counting, before, told):
    people(counting, "a", before)
    counting.drive_all()
    counting.forum.script = gone
    people(counting, "b", 4)
    assert counting.drive_all()["completed"] == 4
    assert stage(counting)["finds_nobody"] == ("suspicious" if told else "new")
    assert stage(counting)["in_row"] == 4 and stage(counting)["found_before"] == before
    assert ("SUSPICIOUS" in counting.ok("stages", "show").out) == told
    counting.serve()
    checked = counting.lethe("check")
    assert checked.code == int(told) and ("1 stage finds nobody" in checked.out) == told
    metrics = counting.get("/metrics", token="").raw.decode()
    assert f'lethe_stage_finds_nobody{{stage="RETIRING_FORUM"}} {int(told)}' in metrics


def test_a_shop_that_few_use_is_not_suspicious(counting):
    for n in range(3):
        counting.forum.script = lambda call: 204
        people(counting, f"used{n}", 1)
        counting.drive_all()
        counting.forum.script = gone
        people(counting, f"not{n}", 6)
        counting.drive_all()
    assert stage(counting)["finds_nobody"] == "usual"


def test_held_the_stage_takes_nobody_until_an_operator_says_that_it_is_right(counting):
    counting.config["stages"][0]["finds_nobody"]["hold"] = True
    counting.configure()
    people(counting, "a", 5)
    counting.drive_all()
    counting.forum.script = gone
    people(counting, "b", 3)
    done = counting.drive()
    assert done.code in (0, 4)
    people(counting, "c", 4)
    calls = len(counting.forum.calls)
    done = counting.drive()
    assert done.code == 4 and "a stage is held, because it finds nobody any more" in done.err
    assert len(counting.forum.calls) == calls
    assert [state for name, state in counting.states().items() if name.startswith("c")] == ["PENDING"] * 4
    assert counting.lethe("stages", "release", "RETIRING_NOTES", "--reason", "x").code == 4
    assert counting.lethe("stages", "release", "NO_SUCH", "--reason", "x").code == 3
    assert counting.lethe("stages", "release", "RETIRING_FORUM").code == 2
    assert "ticket 12" in counting.ok("stages", "release", "RETIRING_FORUM", "--reason", "it is empty, ticket 12").out
    assert counting.drive_all()["completed"] == 4
    assert set(counting.states().values()) == {"COMPLETE"}


def test_the_log_and_an_alert_say_so_once(counting, make_service):
    pager = make_service()
    counting.service("pager", pager)
    counting.configure(alerts=[{"name": "pager", "http": {"service": "pager", "post": "/"}}])
    people(counting, "a", 3)
    counting.drive_all()
    counting.forum.script = gone
    people(counting, "b", 5)
    said = counting.drive().err
    assert said.count("the stage finds nobody any more: nothing to erase for") == 1
    counting.drive()
    alert, = [call.json for call in pager.calls]
    assert alert["finding_nobody"] == 1 and alert["fuse_blown"] is False
    assert "RETIRING_FORUM finds nobody any more: nothing to erase for" in alert["text"]
    assert alert["groups"][0]["stage"] == "RETIRING_FORUM" and "b1" not in str(alert)
