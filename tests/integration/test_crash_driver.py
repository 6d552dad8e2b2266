# SPDX-License-Identifier: Apache-2.0
"""Drivers that are killed, stopped past their lease, or two at once (reliability: what can go wrong).

A lease is at least 10 s and twice the longest time-out: 14 s. So what needs one to run out happens to several
people in the same test.
"""
import signal
import threading
import time

import pytest

from services import Gate, HANG_UP
from site_under_test import TIMEOUT, wait_for

LEASE_S = 14


@pytest.fixture
def crashing(pipeline):
    """The pipeline with a short lease, and a server that goes on running."""
    for stage in pipeline.config["stages"]:
        stage["timeout"] = "2s"
    pipeline.configure(driver={"poll": "100ms", "lease": f"{LEASE_S}s"})
    return pipeline


def people(n):
    return [f"user{i:03}" for i in range(n)]


def expect_once_in_order(site, names):
    """All people are COMPLETE, and each stage took effect once for each person, before the next one was called."""
    assert set(site.states().values()) == {"COMPLETE"}
    for service in site.everywhere:
        assert service.times_erased() == {name: 1 for name in names}
    for name in names:
        first_calls = [service.calls_for(name)[0].at for service in site.everywhere]
        last_calls = [service.calls_for(name)[-1].at for service in site.everywhere]
        assert all(end <= begin for end, begin in zip(last_calls, first_calls[1:]))


def lease_of(site, username):
    row, = [r for r in site.get("/v1/retirements").json["retirements"] if r["original_username"] == username]
    return row["lease"]


def test_a_killed_driver_at_every_point_of_a_stage(crashing):
    """cyd's call was reported and she is at the next stage, bob's was made and not reported, ada's was not made."""
    forum, notes = crashing.forum, crashing.notes
    crashing.config["services"]["forum"]["max_concurrent"] = 1
    at_forum = forum.script = Gate(who={"bob"}, answer=HANG_UP)
    at_notes = notes.script = Gate(who={"cyd"}, answer=HANG_UP)
    crashing.serve()
    for name in ("cyd", "bob", "ada"):
        crashing.request(name)
    claimed_at = time.monotonic()
    driver = crashing.start_driver()
    at_forum.wait_reached()
    at_notes.wait_reached()
    wait_for(lambda: lease_of(crashing, "ada"))
    crashing.kill(driver)
    assert crashing.states() == {"cyd": "RETIRING_NOTES", "bob": "RETIRING_FORUM", "ada": "RETIRING_FORUM"}
    assert (forum.usernames(), notes.usernames()) == (["cyd", "bob"], ["cyd"])

    at_forum.answer = at_notes.answer = 204
    at_forum.open()
    at_notes.open()
    done = crashing.drive_all()  # waits for people that another driver seems to hold
    waited_s = time.monotonic() - claimed_at
    assert (done["people"], done["completed"]) == (3, 3)
    assert waited_s > LEASE_S - 1

    expect_once_in_order(crashing, ["ada", "bob", "cyd"])
    assert sorted(forum.usernames()) == ["ada", "bob", "bob", "cyd"]
    assert sorted(notes.usernames()) == ["ada", "bob", "cyd", "cyd"]
    assert len(set(forum.keys_of("bob"))) == len(set(notes.keys_of("cyd"))) == 1
    assert sorted(crashing.store.usernames()) == ["ada", "bob", "cyd"]


def test_a_driver_that_was_stopped_past_its_lease_starts_nothing_more(crashing):
    """SIGSTOP, another driver takes over, SIGCONT: its reports are refused, its epoch is old, and it does not call."""
    gate = crashing.forum.script = Gate(who={"user000", "user001"})
    crashing.config["services"]["forum"]["max_concurrent"] = 2
    names = people(12)
    crashing.request_all(names)
    crashing.serve()
    sleeper = crashing.start_driver()
    wait_for(lambda: crashing.forum.at_once == 2)
    wait_for(lambda: all(state == "RETIRING_FORUM" for state in crashing.states().values()))
    sleeper.send_signal(signal.SIGSTOP)
    gate.open()  # both answers wait for it; ten people stand before their first call

    assert crashing.drive_all()["completed"] == 12
    expect_once_in_order(crashing, names)
    calls_before = [len(service.calls) for service in crashing.everywhere]
    assert calls_before[0] >= 14 and calls_before[1:] == [12, 12]  # a call that waits for long is made again

    sleeper.send_signal(signal.SIGCONT)
    crashing.wait_said(sleeper, "no longer ours")
    crashing.request("after")
    wait_for(lambda: crashing.states()["after"] == "COMPLETE")  # it goes on, for others
    assert [len(service.calls) for service in crashing.everywhere] == [n + 1 for n in calls_before]
    assert all(len(crashing.history(name)) == 8 for name in names[:3])
    assert crashing.kill(sleeper, signal.SIGTERM) == 0


def test_only_the_person_whom_drivers_die_of_is_errored(crashing):
    """Case 18: one of seven kills the driver. The suspects are found in halving groups; the other six are retired."""
    for stage in crashing.config["stages"]:
        stage["timeout"] = "1s"
    crashing.configure(driver={"poll": "100ms", "lease": "12s", "deaths_max": 1})
    running = []

    def answer(call):
        if call.username != "user002":
            return 204
        running[-1].kill()
        return HANG_UP

    crashing.forum.script = answer
    crashing.request_all(people(7))
    crashing.serve()
    while crashing.states()["user002"] != "ERRORED":
        assert len(running) < 4
        running.append(crashing.start_driver())
        wait_for(lambda: running[-1].poll() is not None or crashing.states()["user002"] == "ERRORED", timeout=60)
    assert len(running) == 4  # it dies with seven, with three, and with the one alone
    crashing.wait_states({name: "ERRORED" if name == "user002" else "COMPLETE" for name in people(7)})
    assert "driver was lost" in crashing.get("/v1/retirements/3/log").json["log"][-1]["response"]


def test_the_lease_is_renewed_while_people_wait_for_a_slow_service(crashing):
    """No other driver may take them meanwhile: all people are completed under the first claim."""
    crashing.forum.script = lambda call: 503
    crashing.config["stages"][0]["retry"] = {"for": "1h", "first": "100ms", "longest": "200ms"}
    crashing.config["services"]["forum"]["breaker"] = "none"
    crashing.request_all(people(20))
    crashing.serve()
    crashing.start_driver()
    crashing.start_driver()
    granted = wait_for(lambda: lease_of(crashing, "user019"))
    wait_for(lambda: lease_of(crashing, "user019")["until"] > granted["until"], "a renewal")
    assert lease_of(crashing, "user019")["driver"] == granted["driver"]
    crashing.forum.script = lambda call: 204
    crashing.wait_states("COMPLETE")
    assert all(entry["epoch"] == 1 for entry in crashing.get("/v1/retirements/20/log").json["log"][1:])
    expect_once_in_order(crashing, people(20))


def test_two_drivers_share_three_hundred_people(crashing):
    """Each stage of each person is done exactly once."""
    crashing.configure(driver={"poll": "100ms", "max_in_flight": 40})
    for stage in crashing.config["stages"]:
        stage["timeout"] = "30s"
    gate = crashing.forum.script = Gate()
    names = people(300)
    crashing.request_all(names)
    crashing.serve()
    done = []
    drivers = [threading.Thread(target=lambda: done.append(crashing.drive_all())) for _ in range(2)]
    for driver in drivers:
        driver.start()
    wait_for(lambda: list(crashing.states().values()).count("RETIRING_FORUM") == 80, "both drivers to have their forty")
    gate.open()
    for driver in drivers:
        driver.join(TIMEOUT)
    assert sum(d["completed"] for d in done) == sum(d["people"] for d in done) == 300
    assert sum(d["calls"] for d in done) == 900 and all(d["people"] > 0 for d in done)
    assert all(sorted(service.usernames()) == names for service in crashing.everywhere)
    expect_once_in_order(crashing, names)


def test_a_driver_with_people_in_flight_ends_before_a_dead_server(crashing):
    """Some wait for another attempt, some for their service, and none can be given back. The sanitizers look at what is freed."""
    crashing.forum.script = lambda call: 503
    crashing.config["services"]["forum"].update(breaker="none", max_concurrent=2)
    server = crashing.serve()
    crashing.request_all(people(20))
    driver = crashing.start_driver()
    wait_for(lambda: len(crashing.forum.calls) > 30, "calls to fail")
    crashing.kill(server)
    driver.send_signal(signal.SIGTERM)
    crashing.wait_said(driver, "stopping")
    assert crashing.kill(driver, signal.SIGTERM) == 0
    crashing.let_leases_end()
    crashing.forum.script = lambda call: 204
    assert crashing.drive_all()["completed"] == 20
