# SPDX-License-Identifier: Apache-2.0
"""Servers that are killed, with their drivers or without: acknowledged writes are there, and no stage is done twice."""
import random
import signal
import sqlite3
import time

import pytest

from services import HANG_UP, Gate
from site_under_test import wait_for


@pytest.fixture
def crashing(pipeline):
    pipeline.configure(driver={"poll": "100ms"})
    return pipeline


def people(n):
    return [f"user{i:03}" for i in range(n)]


def wait_for_calls(site, n, names):
    """Waits for n more calls, or until all of these people have been at the last service."""
    def calls():
        return sum(len(service.calls) for service in site.everywhere)

    enough = calls() + n
    wait_for(lambda: calls() >= enough or set(site.store.usernames()) == set(names))


def expect_erased_once(site, names):
    assert set(site.states().values()) == {"COMPLETE"}
    for service in site.everywhere:
        assert service.times_erased() == {name: 1 for name in names}


def test_a_driver_outlives_its_server(crashing):
    """The server is killed while a call is under way: the outcome is reported after its restart, and no call is made twice."""
    gate = crashing.notes.script = Gate()
    server = crashing.serve()
    driver = crashing.start_driver()
    names = people(20)
    crashing.request_all(names)
    gate.wait_reached()
    crashing.kill(server)
    gate.open()
    crashing.wait_said(driver, "the authority does not answer")
    crashing.serve()
    crashing.wait_states("COMPLETE")
    crashing.wait_said(driver, "the authority answers again")
    expect_erased_once(crashing, names)
    assert all(len(service.calls) == 20 for service in crashing.everywhere)


def test_what_was_answered_survives(crashing):
    """I12: each acknowledged request is there after each of five crashes, and none twice."""
    acknowledged = []
    for _ in range(5):
        server = crashing.serve()
        for name in people(100)[len(acknowledged):len(acknowledged) + 20]:
            acknowledged.append(crashing.request(name)["original_username"])
        crashing.kill(server)
    assert sorted(crashing.states()) == sorted(acknowledged) == people(100)


def test_a_server_that_is_killed_again_and_again(crashing):
    """In the middle of everything: 150 people, three stages, a server that lives for some hundredths of a second."""
    seed = random.randrange(1 << 32)
    print("seed", seed)
    chance = random.Random(seed)
    for service in ("forum", "notes", "store"):
        crashing.config["services"][service]["rate"] = "150/s"
    names = people(150)
    crashing.request_all(names)
    server = crashing.serve()
    drivers = [crashing.start_driver(), crashing.start_driver()]
    for _ in range(12):
        wait_for_calls(crashing, chance.randrange(1, 30), names)
        crashing.kill(server)
        server = crashing.serve()
    crashing.wait_states("COMPLETE")
    expect_erased_once(crashing, names)
    assert all(sorted(service.usernames()) == names for service in crashing.everywhere), "nobody was called twice"
    assert all(driver.poll() is None for driver in drivers)


def test_a_server_that_hangs_for_longer_than_a_lease_counts_no_death(site):
    """One death is enough for ERRORED, but no driver could renew its lease meanwhile."""
    site.configure(driver={"deaths_max": 1})
    server = site.serve()
    who = site.somebody()["id"]
    assert len(site.claim(lease_s=1)) == 1
    server.send_signal(signal.SIGSTOP)
    time.sleep(4)  # a server is taken to hang after three seconds
    server.send_signal(signal.SIGCONT)
    [claim] = wait_for(site.claim, "another lease")
    assert claim["id"] == who and site.report(claim, "done")["ok"]


def test_server_and_driver_die_together(crashing):
    """lethe run, killed in the middle of its work and started again: people under a lease are claimed when it has ended."""
    for stage in crashing.config["stages"]:
        stage["timeout"] = "2s"
    crashing.configure(driver={"poll": "100ms", "lease": "14s"})
    gate = crashing.notes.script = Gate(who={"user005"})
    names = people(60)
    crashing.request_all(names)
    process = crashing.run_all()
    gate.wait_reached()
    crashing.kill(process)
    before = crashing.states()
    assert before["user005"] in ("RETIRING_NOTES", "FORUM_COMPLETE")
    gate.open()

    crashing.let_leases_end()
    crashing.run_all()
    crashing.wait_states("COMPLETE")
    expect_erased_once(crashing, names)


def test_people_of_a_killed_fleet_all_reach_the_end(crashing):
    """L1: 200 people, two drivers and a server that are killed at random, and started again."""
    seed = random.randrange(1 << 32)
    print("seed", seed)
    chance = random.Random(seed)
    for stage in crashing.config["stages"]:
        stage["timeout"] = "2s"
        stage["retry"] = {"for": "1h", "first": "10ms", "longest": "100ms"}
    crashing.configure(driver={"poll": "100ms", "lease": "14s", "max_in_flight": 12, "deaths_max": 100})
    for service in crashing.everywhere:
        service.script = lambda call: chance.choice([204, 204, 204, 204, 204, 204, 503, 429, HANG_UP])
    for settings in crashing.config["services"].values():
        settings.update(rate="200/s", max_concurrent=4)
    names = people(200)
    crashing.request_all(names)
    fleet = {"server": crashing.serve(), "one driver": crashing.start_driver(), "other driver": crashing.start_driver()}
    for _ in range(14):
        wait_for_calls(crashing, chance.randrange(1, 30), names)
        victim = chance.choice(list(fleet))
        crashing.kill(fleet[victim])
        fleet[victim] = crashing.serve() if victim == "server" else crashing.start_driver()
    crashing.wait_states("COMPLETE")
    for service in crashing.everywhere:
        assert service.times_erased() == {name: 1 for name in names}, "one key for each, whatever happened"
    assert all(process.poll() is None for process in fleet.values())
    assert "errored" not in crashing.logs()


def names_from_outside(site):
    """The user names that another program reads in the database."""
    with sqlite3.connect(site.data_dir / "lethe.db") as db:
        names = [row[0] for row in db.execute("SELECT username FROM retirement_person ORDER BY retirement_id")]
    db.close()
    return names


def test_who_looks_at_the_database_from_outside_takes_nothing_from_the_server(served):
    served.request("ada")
    assert served.status("ada").status == 200
    assert names_from_outside(served) == ["ada"]
    served.request("bob")
    assert names_from_outside(served) == ["ada", "bob"]
    served.kill(served.processes[0])
    served.serve()
    assert served.status("bob").status == 200
