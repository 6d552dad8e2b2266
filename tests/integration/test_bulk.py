# SPDX-License-Identifier: Apache-2.0
"""Many at once: moves by state and by the days of the requests, and resumes to where people failed."""
import datetime
import sqlite3

import pytest

USAGE, REFUSED = 2, 4
DAY = 86400 * 1000000


def asked_days_ago(site, days):
    """Users by name, who requested this many days ago, in this order."""
    for name in sorted(days, key=days.get, reverse=True):
        site.request(name)
    with sqlite3.connect(site.data_dir / "lethe.db") as db:
        for name, ago in days.items():
            row = db.execute("SELECT retirement_id FROM retirement_person WHERE username = ?", (name,)).fetchone()
            db.execute("UPDATE retirement SET created_at = created_at - ?1, modified_at = modified_at - ?1 WHERE id = ?2", (ago * DAY, *row))
            db.execute("UPDATE retirement_log SET at = at - ?1 WHERE retirement_id = ?2", (ago * DAY, *row))
    db.close()


def day(ago):
    return (datetime.datetime.now(datetime.timezone.utc) - datetime.timedelta(days=ago)).strftime("%Y-%m-%d")


@pytest.fixture
def four(site):
    asked_days_ago(site, {"ada": 9, "bob": 6, "cyd": 3, "dan": 0})
    return site


def move(site, *more, to="RETIRING_LMS", state="PENDING", reason="stood still"):
    return site.ok("retirement", "move", "--state", state, "--to", to, "--reason", reason, *more)


# ---- move ----

def test_all_of_a_state(four):
    four.ok("retirement", "move", "dan", "ABORTED", "--reason", "x")
    done = move(four)
    assert done.out == "".join(f"{i}: PENDING -> RETIRING_LMS\n" for i in (1, 2, 3)) + "3 people moved to RETIRING_LMS.\n"
    assert four.states() == {"ada": "RETIRING_LMS", "bob": "RETIRING_LMS", "cyd": "RETIRING_LMS", "dan": "ABORTED"}
    assert "stood still" in four.ok("retirement", "show", "ada").out
    assert move(four).out == "0 people moved to RETIRING_LMS.\n"


@pytest.mark.parametrize("days, who", [
    ((9, 6), {"ada", "bob"}), ((6, 3), {"bob", "cyd"}), ((6, 6), {"bob"}), ((8, 7), set()), ((None, 6), {"ada", "bob"}), ((3, None), {"cyd", "dan"}),
    ((30, 0), {"ada", "bob", "cyd", "dan"}),
])
def test_of_those_who_asked_on_some_days(four, days, who):
    words = [word for name, ago in zip(("--created-from", "--created-to"), days) if ago is not None for word in (name, day(ago))]
    dry = move(four, *words, "--dry-run", "--json").json
    assert len(dry) == len(who) and all(row["ok"] and row["state"] == "RETIRING_LMS" for row in dry)
    assert set(four.states().values()) == {"PENDING"}
    move(four, *words)
    assert {name for name, state in four.states().items() if state == "RETIRING_LMS"} == who


def test_more_than_a_page_of_them(site):
    names = [f"user{i}" for i in range(1003)]
    site.request_all(names)
    dry = move(site, "--dry-run").out
    assert dry.endswith("Dry run, nothing has changed: 1003 people would be moved to RETIRING_LMS.\n")
    assert move(site).out.endswith("1003 people moved to RETIRING_LMS.\n")
    assert set(site.states().values()) == {"RETIRING_LMS"}


def test_those_who_cannot_be_moved_are_told_and_the_others_are(served):
    served.somebody(name="ada")
    served.somebody(name="bob")
    served.claim(1)
    result = served.lethe("retirement", "move", "--state", "RETIRING_FORUMS", "--to", "PENDING", "--reason", "x")
    assert result.code == REFUSED and "1: refused: " in result.out and "1 person could not be moved to PENDING" in result.err
    assert served.one(1)["state"] == "RETIRING_FORUMS"


@pytest.mark.parametrize("words, said", [
    (["--state", "PENDING", "--reason", "x"], "--to"),
    (["--state", "PENDING", "--to", "COMPLETE"], "--reason"),
    (["--state", "NOWHERE", "--to", "COMPLETE", "--reason", "x"], "NOWHERE"),
    (["--state", "PENDING", "--to", "COMPLETE", "--reason", "x", "ada"], "--state is about many"),
    (["--state", "PENDING", "--to", "COMPLETE", "--reason", "x", "--id", "1"], "--state is about many"),
    (["ada", "COMPLETE", "--to", "COMPLETE", "--reason", "x"], "go with --state"),
    (["ada", "COMPLETE", "--created-to", "2026-01-01", "--reason", "x"], "go with --state"),
    (["ada", "COMPLETE", "--dry-run", "--reason", "x"], "go with --state"),
    (["--state", "PENDING", "--to", "COMPLETE", "--reason", "x", "--created-from", "yesterday"], "--created-from"),
    (["--state", "PENDING", "--to", "COMPLETE", "--reason", "x", "--created-to", "2026-02-30"], "--created-to"),
    (["--state", "PENDING", "--to", "COMPLETE", "--reason", "x", "--created-from", "2026-01-02", "--created-to", "2026-01-01"], "is before"),
    (["ada"], "NAME STATE"), ([], "give one of"),
])
def test_what_is_refused(four, words, said):
    result = four.lethe("retirement", "move", *words)
    assert result.code == USAGE and said in result.err, result
    assert set(four.states().values()) == {"PENDING"}


def test_a_state_to_go_to_that_there_is_not(four):
    result = four.lethe("retirement", "move", "--state", "PENDING", "--to", "NOWHERE", "--reason", "x")
    assert result.code != 0 and "NOWHERE" in result.out + result.err or "no such state" in result.out
    assert set(four.states().values()) == {"PENDING"}


# ---- back to where each failed ----

def failed(site, name, stage):
    site.ok("retirement", "move", name, stage, "--reason", "x")
    site.ok("retirement", "move", name, "ERRORED", "--reason", "x")


def test_everybody_goes_back_to_where_they_failed(four):
    failed(four, "ada", "RETIRING_FORUMS")
    failed(four, "bob", "RETIRING_LMS")
    failed(four, "cyd", "RETIRING_LMS")
    assert "2 people would be resumed" in four.ok("retirement", "resume", "--all", "--created-to", day(6), "--dry-run").out
    four.ok("retirement", "resume", "--all", "--created-to", day(6))
    assert four.states() == {"ada": "PENDING", "bob": "FORUMS_COMPLETE", "cyd": "ERRORED", "dan": "PENDING"}
    for stage in ("RETIRING_LMS", "FORUMS_COMPLETE"):
        none = four.ok("retirement", "resume", "--stage", stage, "--created-from", day(2)).out
        assert none.startswith("0 people resumed: no one in ERRORED is meant by that; ") and "retirement failures" in none
    four.ok("retirement", "resume", "--stage", "RETIRING_LMS", "--created-from", day(3))
    assert four.states()["cyd"] == "FORUMS_COMPLETE"


@pytest.mark.parametrize("words", [["ada", "--created-to", "2026-01-01"], ["--id", "1", "--created-from", "2026-01-01"],
                                   ["--all", "--created-from", "x"], ["--created-from", "2026-01-01"]])
def test_days_of_a_resume_that_are_refused(four, words):
    assert four.lethe("retirement", "resume", *words).code == USAGE
