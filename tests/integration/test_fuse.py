# SPDX-License-Identifier: Apache-2.0
"""The fuse: when far more people are due than usual, no new retirement starts until an operator releases it."""
import datetime
import signal
import sqlite3

import pytest


@pytest.fixture
def fused(pipeline):
    pipeline.configure(fuse={"people": 10, "times_usual": 0})
    return pipeline


def people(prefix, n):
    return [f"{prefix}{i}" for i in range(n)]


def gauge(site):
    lines = site.get("/metrics", token="").raw.decode().splitlines()
    return [float(line.split()[-1]) for line in lines if line.startswith("lethe_fuse_blown")]


def test_up_to_the_limit_nothing_happens(fused):
    fused.request_all(people("a", 10))
    assert fused.drive_all()["completed"] == 10
    assert fused.ok("fuse", "show").out == "The fuse is whole.\n"


def test_over_the_limit_nobody_is_begun_with_until_it_is_released(fused):
    fused.request_all(people("a", 11))
    for _ in range(2):
        done = fused.drive()
        assert done.code == 4 and "the fuse has blown" in done.err
    assert set(fused.states().values()) == {"PENDING"} and fused.forum.calls == []
    shown = fused.ok("fuse", "show").out
    assert "The fuse has blown" in shown and "blew: 11 people due, at most 10 are usual" in shown
    assert fused.lethe("fuse", "release").code == 2
    assert "released for 11 people by local:" in fused.ok("fuse", "release", "--reason", "the import, ticket 12").out
    assert fused.drive_all()["completed"] == 11
    assert "ticket 12" in fused.ok("fuse", "show").out
    assert fused.lethe("fuse", "release", "--reason", "again").code == 4


def test_one_by_name_is_not_begun_with_either(fused):
    fused.request_all(people("a", 11))
    assert fused.lethe("drive", "--username", "a3").code == 4
    assert set(fused.states().values()) == {"PENDING"}


def test_who_is_under_way_goes_on(fused):
    fused.serve()
    for name in people("under", 3):
        fused.somebody("RETIRING_FORUM", "FORUM_COMPLETE", name=name)
    fused.request_all(people("a", 11))
    assert fused.drive().code == 4
    assert sorted(fused.states().values()) == ["COMPLETE"] * 3 + ["PENDING"] * 11


def test_the_whole_queue_is_counted_and_nobody_more_than_asked_is_needed(fused):
    """A driver with few places must not get past it."""
    fused.config["driver"]["max_in_flight"] = 2
    fused.request_all(people("a", 11))
    assert fused.drive().code == 4
    assert set(fused.states().values()) == {"PENDING"}


def test_it_survives_restarts_and_is_seen(fused):
    fused.request_all(people("a", 11))
    fused.serve()
    assert gauge(fused) == [0]
    assert fused.claim(5) == []
    assert gauge(fused) == [1]
    assert "error" in fused.logs() and "the fuse has blown: 11 people are due" in fused.logs()
    fused.kill(fused.processes[-1], signal.SIGKILL)
    fused.configure(fuse={"people": 1000})
    fused.serve()
    ready = fused.get("/readyz", token="")
    assert ready.status == 200 and "the fuse has blown" in ready.json["warning"]
    assert fused.claim(5) == []
    answer = fused.post("/v1/fuse/release", {"reason": "looked at it"})
    assert answer.status == 200 and answer.json["blown"] is False
    assert [entry["blown"] for entry in answer.json["history"]] == [False, True]
    assert answer.json["history"][0]["actor"].startswith("client:")
    assert len(fused.claim(5)) == 5 and gauge(fused) == [0]
    assert fused.get("/readyz", token="").json["warning"] is None
    assert fused.post("/v1/fuse/release", {"reason": "again"}).json["code"] == "not_blown"
    assert fused.post("/v1/fuse/release", {}).status == 400


def test_released_it_blows_again_when_yet_more_come(fused):
    fused.serve()
    fused.request_all(people("a", 11))
    assert fused.claim(1) == []
    fused.post("/v1/fuse/release", {"reason": "an import"})
    assert len(fused.claim(1)) == 1
    fused.request_all(people("b", 11))
    assert len(fused.claim(1)) == 1
    fused.request_all(people("c", 11))
    assert fused.claim(1) == []
    assert fused.get("/v1/fuse").json["blown"] is True


def test_a_queue_that_is_usual_again_ends_the_release(fused):
    fused.serve()
    fused.request_all(people("a", 11))
    assert fused.claim(1) == []
    fused.post("/v1/fuse/release", {"reason": "an import"})
    assert len(fused.claim(100)) == 11
    assert fused.claim(1) == []
    assert fused.get("/v1/fuse").json["history"][0]["reason"] == "the queue is usual again"
    fused.request_all(people("b", 11))
    assert fused.claim(1) == []
    assert fused.get("/v1/fuse").json["blown"] is True


def test_far_more_than_on_a_usual_day(fused):
    """Two a day for a month, then 120 at once: as if each request had been made on its day."""
    fused.configure(fuse={"people": 0, "times_usual": 10})
    fused.request_all(people("day", 60))
    assert fused.drive_all()["completed"] == 60
    fused.request_all(people("mad", 120))
    with sqlite3.connect(fused.data_dir / "lethe.db") as db:
        now = int(datetime.datetime.now().timestamp()) * 1000000
        day = 86400 * 1000000
        db.execute("UPDATE retirement SET created_at = ? - 31 * ? + ? * (id / 2) WHERE id <= 60", (now, day, day))
    db.close()
    done = fused.drive()
    assert done.code == 4, done
    assert "blew: 120 people due, at most 100 are usual" in fused.ok("fuse", "show").out
    assert len(fused.forum.calls) == 60
