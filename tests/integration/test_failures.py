# SPDX-License-Identifier: Apache-2.0
"""People with the same failure: groups by stage and cause, and resuming a group."""
import pytest


@pytest.fixture
def failing(pipeline):
    """The forum refuses four people, a program refuses three, and the store is down for two."""
    pipeline.forum.script = lambda call: (502, "no") if call.username.startswith("forum") else 204
    pipeline.notes.script = lambda call: 422 if call.username.startswith("notes") else 204
    pipeline.store.go_down()
    for stage in pipeline.config["stages"]:
        stage["retry"] = "none"
    pipeline.request_all([f"forum{n}" for n in range(4)] + [f"notes{n}" for n in range(3)] + ["store1", "store2"])
    return pipeline


def lines(text):
    return text.strip().split("\n")


def test_they_are_shown_by_stage_and_cause(failing):
    done = failing.drive()
    assert done.code == 0
    shown = [line for line in lines(done.out) if ": RETIRING" in line]
    assert shown[:2] == ["4 people: RETIRING_FORUM, 502 from forum", "3 people: RETIRING_NOTES, 422 from notes"]
    assert shown[2].startswith("2 people: RETIRING_STORE, store: ") and "connect" in shown[2].lower()
    assert lines(failing.ok("retirement", "failures").out) == shown
    groups = failing.ok("retirement", "failures", "--json").json["failures"]
    assert [(g["count"], g["stage"], g["status"]) for g in groups] == [
        (4, "RETIRING_FORUM", 502), (3, "RETIRING_NOTES", 422), (2, "RETIRING_STORE", None)]
    assert all(g["first"] <= g["last"] for g in groups)
    for word in ("forum1", "example.com"):
        assert word not in failing.ok("retirement", "failures", "--json").out


def test_a_group_is_taken_up_again(failing):
    failing.drive_all()
    dry = failing.ok("retirement", "resume", "--stage", "RETIRING_FORUM", "--status", "502", "--dry-run").out
    assert "4 people would be resumed" in dry
    assert set(failing.states().values()) == {"ERRORED"}
    failing.forum.script = lambda call: 204
    failing.store.come_back()
    failing.ok("retirement", "resume", "--stage", "RETIRING_FORUM", "--status", "502", "--reason", "forum repaired")
    assert failing.drive_all()["completed"] == 4
    [notes, store] = failing.ok("retirement", "failures", "--json").json["failures"]
    failing.ok("retirement", "resume", "--cause", store["cause"])
    assert failing.drive_all()["completed"] == 2
    assert sorted(failing.states().values()) == ["COMPLETE"] * 6 + ["ERRORED"] * 3


@pytest.mark.parametrize("words, code", [
    (["--stage", "NO_SUCH_STAGE"], 2), (["--status", "5o2"], 2), (["--status", "1000"], 2), (["--all", "--stage", "A"], 2),
    (["ada", "--stage", "RETIRING_FORUM"], 2), (["ada", "--dry-run"], 2), ([], 2)], ids=str)
def test_what_makes_no_sense_is_refused(failing, words, code):
    failing.drive_all()
    assert failing.lethe("retirement", "resume", *words).code == code
    assert set(failing.states().values()) == {"ERRORED"}


def test_without_a_cause_it_is_a_group_too(site):
    site.serve()
    person = site.somebody("RETIRING_LMS", "ERRORED")
    assert site.get("/v1/failures").json["failures"] == [
        {"count": 1, "stage": "RETIRING_LMS", "status": None, "cause": None, "first": person["modified"],
         "last": person["modified"]}]
    assert "each for a cause of its own" in site.ok("retirement", "failures").out


def test_a_report_says_why(served):
    served.somebody()
    [claim] = served.claim()
    for bad in ({"cause": "x" * 101}, {"cause": "two\nlines"}, {"cause": 5}, {"status": -1}, {"status": 1000}):
        report = {"id": claim["id"], "epoch": 1, "stage": claim["stage"], "outcome": "failed", **bad}
        [answer] = served.post("/v1/progress", [report]).json
        assert not answer["ok"] and next(iter(bad)) in answer["detail"], answer
    done = {"id": claim["id"], "epoch": 1, "stage": claim["stage"], "outcome": "done", "cause": "none"}
    [answer] = served.post("/v1/progress", [done]).json
    assert not answer["ok"] and "cause" in answer["detail"], answer
    assert served.report(claim, "failed", status=0, cause="é" * 100)["ok"]
    [group] = served.get("/v1/failures?limit=1").json["failures"]
    assert (group["status"], group["cause"]) == (0, "é" * 100)
    assert served.get("/v1/failures?limit=0").status == 400


def test_selecting_by_failure_goes_with_a_state(served):
    select = {"ids": [1], "status": 502}
    assert served.post("/v1/bulk", {"select": select, "action": "resume"}).status == 400
