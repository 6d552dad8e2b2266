# SPDX-License-Identifier: Apache-2.0
"""An LMS that people come from: a Lethe with its database, whose requests, cool-off and cancels are the LMS's, and which tells
the LMS of every state."""
import gzip
import json
import os
import random
import re
import signal
import sys
import subprocess

import pytest

from old_lms import OldLms
from services import Gate
from site_under_test import Site, wait_for

STATES = ["PENDING", "RETIRING_FORUM", "FORUM_COMPLETE", "RETIRING_LMS", "LMS_COMPLETE", "ERRORED", "ABORTED", "COMPLETE"]
WAY = [*STATES[1:5], "COMPLETE"]
SEEDS = [int(seed) for seed in os.environ.get("LETHE_SEED", "1").split(",")]


@pytest.fixture
def lms(make_service):
    return OldLms(make_service, list(STATES), secret="secret-of-the-worker")


def follow(site, lms, erasing):
    """Its two stages erase at this service; the LMS is the source."""
    site.configure(cool_off=None, identity=None, driver={"poll": "100ms"}, source={"lms": {
        "url": lms.url, "client_id": "worker", "client_secret": "secret-of-the-worker", "cool_off": "0d"}})
    site.service("erasing", erasing, breaker="none")
    for working, completed in (("RETIRING_FORUM", "FORUM_COMPLETE"), ("RETIRING_LMS", "LMS_COMPLETE")):
        site.stage(working, completed, http={"service": "erasing", "post": f"/{working}",
                                             "json": {"username": "{original_username}", "to": "{retired_username}"}},
                   retry={"for": "2s", "first": "20ms", "longest": "100ms"})
    return site


@pytest.fixture
def erasing(make_service):
    return make_service()


@pytest.fixture
def beside(site, lms, erasing):
    return follow(site, lms, erasing)


def test_from_the_queue_to_complete(beside, lms, erasing):
    """Each stage calls while the LMS is in its working state, with the names that the LMS gives."""
    lms.add("ada", "bob")
    seen = []
    erasing.script = lambda call: seen.append((call.username, call.path, lms.state_of(call.username))) or 204
    assert beside.drive_all()["completed"] == 2
    assert lms.moves_of("ada") == WAY and lms.states_of_all() == {"ada": "COMPLETE", "bob": "COMPLETE"}
    assert {(name, path.strip("/")) for name, path, _ in seen} == {(n, s) for n in ("ada", "bob") for s in STATES[1:4:2]}
    assert all(path.strip("/") == state for _, path, state in seen)
    assert {call.json["to"] for call in erasing.calls} == {"retired_101", "retired_102"}
    assert beside.show("ada")["current_state"]["state_name"] == "COMPLETE"
    assert beside.drive_all()["people"] == 0, "once"


def test_the_time_of_the_request_is_the_lms_s(beside, lms, erasing):
    """Days before it came here: for services, in the archive, and for operators."""
    beside.config["stages"][0]["http"]["json"]["at"] = "{requested_at}"
    lms.add("ada")
    assert beside.drive_all()["completed"] == 1
    assert erasing.calls[0].json["at"] == "2020-01-01T00:00:00Z"
    shown = beside.show("ada")
    assert shown["requested_at"] == "2020-01-01T00:00:00.000000Z" < shown["created"]
    assert re.search(r"^  requested +2020-01-01 00:00:00$", beside.ok("retirement", "show", "ada").out, re.M)
    assert " 2020-01-01 00:00:00 " in beside.ok("retirement", "list").out
    archive = beside.data_dir / "archives" / beside.ok("archive", "--older-than", "0d", "--json").json["files"][0]
    assert json.loads(gzip.decompress(archive.read_bytes()))["retirement_request_date"].startswith("2020-01-01")


def test_account_ids_of_thousands_of_digits_are_left_out(beside, lms, erasing):
    """All of them together have more bytes than one request to the Lethe."""
    hostile = [f"user{i}" for i in range(300)]
    lms.add("ada", *hostile)
    digits = sys.get_int_max_str_digits()
    sys.set_int_max_str_digits(0)
    try:
        for name in hostile:
            lms.rows[name]["user"]["id"] = 10**9000
        assert beside.drive_all()["completed"] == 1
    finally:
        sys.set_int_max_str_digits(digits)
    assert lms.state_of("ada") == "COMPLETE" and {call.json["to"] for call in erasing.calls} == {"retired_101"}


def test_a_state_of_a_million_letters_is_none(beside, lms, erasing):
    """What the LMS says of the person before the first stage is no answer, so the stage waits."""
    lms.add("ada")
    asked = []
    lms.meddle = lambda kind, call: asked.append(kind) or (
        200, {**lms.rows["ada"], "current_state": {"state_name": "X" * 2_000_000}}) if kind == "status" and len(asked) < 3 else None
    assert beside.drive_all()["completed"] == 1
    assert lms.moves_of("ada") == WAY and len(erasing.calls) == 2


def test_each_reply_is_lost_once(beside, lms, erasing):
    """The LMS takes each state once, and each stage is called for once."""
    lms.add("ada")
    lost = set()

    def lose(kind, call):
        if kind in lost or kind == "token":
            return None
        lost.add(kind)
        return lms.LOSE

    lms.meddle = lose
    assert beside.drive_all()["completed"] == 1
    assert lost >= {state.lower() for state in WAY} | {"queue", "status"}
    assert lms.moves_of("ada") == WAY and len(erasing.calls) == 2


# ---- who asked, and who took it back ----

@pytest.mark.parametrize("take_back", [lambda lms: lms.cancel("ada"), lambda lms: lms.put("ada", "ABORTED")])
def test_cancelled_immediately_before_the_first_stage(beside, lms, erasing, take_back):
    """The list still had the person; the LMS is asked again before the stage."""
    lms.add("ada", "bob")
    beside.configure(on_cancel=[{"name": "told", "http": {"service": "erasing", "post": "/told", "json": {
        "username": "{original_username}"}}}])
    lms.meddle = lambda kind, call: take_back(lms) if kind == "status" and "/ada/" in call.path and "ada" in lms.rows else None
    assert beside.drive_all()["completed"] == 1
    assert beside.states() == {"ada": "ABORTED", "bob": "COMPLETE"}
    assert [call.path for call in erasing.calls_for("ada")] == ["/told"]
    assert "ada" not in lms.states_of_all() or lms.state_of("ada") == "ABORTED"


@pytest.mark.parametrize("number", [1101, 1102])
def test_cancelled_and_asked_again(beside, lms, erasing, number):
    """The second request has a number and a cool-off of its own: the first one's end does not begin it."""
    lms.add("ada")

    def take_back(kind, call):
        if kind == "status" and lms.rows["ada"]["id"] == 101:
            lms.cancel("ada")
            lms.add("ada")
            lms.rows["ada"]["user"]["id"] = number
        return (200, []) if kind == "queue" and lms.rows["ada"]["id"] == 102 else None

    lms.meddle = take_back
    beside.drive_all()
    assert erasing.calls == [] and lms.state_of("ada") == "PENDING"
    lms.meddle = lambda kind, call: None
    assert beside.drive_all()["completed"] == 1
    assert lms.state_of("ada") == "COMPLETE"


def test_requests_and_cancels_belong_to_the_lms(beside, lms):
    lms.add("ada")
    lms.meddle = lambda kind, call: 503 if kind == "status" else None
    process = beside.run_all()
    beside.wait_states({"ada": "RETIRING_FORUM"})
    asked = beside.post("/v1/retirements", {"username": "bob", "email": "bob@example.com"}, token=beside.token("retirement:request"))
    assert (asked.status, asked.json["code"]) == (409, "has_source")
    lms.meddle = lambda kind, call: None
    beside.wait_states({"ada": "COMPLETE"})
    assert beside.kill(process, signal.SIGTERM) == 0


# ---- ERRORED, and what comes after it, on either side ----

def fail_for(name):
    return lambda call: 422 if call.username == name else 204


def test_errored_here_and_resumed_at_the_lms(beside, lms, erasing):
    lms.add("ada", "bob")
    erasing.script = fail_for("ada")
    beside.drive_all()
    assert lms.states_of_all() == {"ada": "ERRORED", "bob": "COMPLETE"} == beside.states()
    assert "422" in [why for who, to, why in lms.moves if (who, to) == ("ada", "ERRORED")][0]
    assert beside.drive_all()["people"] == 0
    lms.put("ada", "PENDING")
    erasing.script = lambda call: 204
    assert beside.drive_all()["completed"] == 1
    assert lms.state_of("ada") == "COMPLETE"


def test_resumed_here(beside, lms, erasing):
    lms.add("ada")
    erasing.script = lambda call: 422 if call.path == "/RETIRING_LMS" else 204
    beside.drive_all()
    assert lms.state_of("ada") == "ERRORED"
    erasing.script = lambda call: 204
    beside.ok("retirement", "resume", "ada", "--reason", "mended")
    assert beside.drive_all()["completed"] == 1
    assert lms.moves_of("ada") == ["RETIRING_FORUM", "FORUM_COMPLETE", "RETIRING_LMS", "ERRORED", "FORUM_COMPLETE", *WAY[2:]]
    assert len(erasing.calls) == 3


def test_aborted_here(beside, lms, erasing):
    lms.add("ada")
    erasing.script = fail_for("ada")
    beside.drive_all()
    beside.ok("retirement", "move", "ada", "ABORTED", "--reason", "asked to")
    beside.drive_all()
    assert lms.state_of("ada") == "ABORTED"


def test_aborted_there(beside, lms, erasing):
    """Nobody tells of it, and the list lacks the person: the LMS is asked once in a while."""
    lms.add("ada")
    erasing.script = fail_for("ada")
    beside.drive_all()
    lms.put("ada", "ABORTED")
    process = beside.run_all()
    beside.wait_states({"ada": "ABORTED"})
    assert beside.kill(process, signal.SIGTERM) == 0


# ---- an LMS that is down, or that has other states ----

def test_the_lms_is_down_in_the_middle(beside, lms, erasing):
    """The stage under way is finished, no other begins, and what was finished is mirrored later."""
    lms.add("ada", "bob")
    gate = erasing.script = Gate("ada")
    process = beside.run_all()
    gate.wait_reached()
    wait_for(lambda: lms.state_of("bob") == "COMPLETE")
    lms.add("cyd")
    lms.meddle = lambda kind, call: 503
    gate.open()
    beside.wait_said(process, "the LMS does not answer")
    beside.wait_states({"ada": "RETIRING_LMS", "bob": "COMPLETE"})
    assert len(erasing.calls_for("ada")) == 1 and erasing.calls_for("cyd") == []
    assert lms.state_of("ada") == "RETIRING_FORUM"
    lms.meddle = lambda kind, call: None
    wait_for(lambda: set(lms.states_of_all().values()) == {"COMPLETE"})
    assert lms.moves_of("ada") == WAY
    assert len(erasing.calls_for("ada")) == 2
    assert beside.kill(process, signal.SIGTERM) == 0


def test_other_states_at_the_lms(beside, lms, erasing):
    """The LMS refuses to go back. Both states and its words are said, and it is no success; the list knows, too."""
    lms.states[1:5] = STATES[3:5] + STATES[1:3]
    lms.add("ada", state="LMS_COMPLETE")
    lms.put("ada", "FORUM_COMPLETE")
    result = beside.drive()
    assert result.code == 4, result
    assert "from FORUM_COMPLETE to RETIRING_LMS" in result.err and "cannot go there" in result.err, result
    assert "ada" not in result.err, "the LMS names the person, the log does not"
    assert erasing.calls == [] and lms.state_of("ada") == "FORUM_COMPLETE"
    assert beside.drive().code == 4, "as long as it is so"
    shown = beside.show("ada")["source"]
    assert (shown["id"], shown["known"]) == (101, "FORUM_COMPLETE") and "cannot go there" in shown["refused"]
    assert "its retirement 101, last known in FORUM_COMPLETE" in beside.ok("retirement", "show", "ada").out
    beside.serve()
    check = beside.lethe("check")
    assert check.code == 1 and "1 refused by the LMS" in check.out, check


# ---- several programs at one LMS ----

def test_a_driver_that_is_killed_at_every_call(beside, lms, erasing):
    """Whatever the LMS and the service are asked, the driver dies of it once, before the answer or behind it."""
    lms.add("ada")
    died = set()

    def die(kind, call):
        if kind in died or kind == "token":
            return None
        died.add(kind)
        for process in beside.processes:
            if process.poll() is None:
                beside.kill(process)
        return lms.LOSE if len(died) % 2 else (500, b"")

    lms.meddle = die
    erasing.script = lambda call: die(call.path, call) and 500 or 204
    for _ in range(20):
        process = beside.start("drive", "--once")
        if process.wait(60) == 0:
            break
        beside.let_leases_end()
    assert lms.state_of("ada") == "COMPLETE" and beside.states() == {"ada": "COMPLETE"}
    assert lms.moves_of("ada") == WAY
    assert len(died) == len(WAY) + 2 + 2, died


def test_another_program_enters_behind_a_failed_request(beside, lms, erasing):
    """The LMS said after the failure that it had not moved the person, so the failed request has not."""
    lms.add("ada")
    asked = []

    def fail(kind, call):
        asked.append(kind)
        if kind == "status" and asked.count("status") == 3:
            lms.put("ada", "RETIRING_FORUM")
        return (500, b"") if kind == "retiring_forum" and asked.count(kind) == 1 else None

    lms.meddle = fail
    beside.drive_all()
    assert erasing.calls == [] and lms.moves == []
    assert beside.show("ada")["worked_on_elsewhere"]


@pytest.mark.parametrize("modified, days", [("2026-01-01T00:00:00Z", 0), (None, 1)])
def test_another_program_enters_before_or_after_a_driver_that_died(beside, lms, erasing, modified, days):
    """The LMS moved the person before the driver can have asked, or long after it was dead."""
    lms.add("ada")
    lms.meddle = lambda kind, call: [beside.kill(p) for p in beside.processes] and (500, b"") if kind == "retiring_forum" else None
    beside.start("drive", "--once").wait(60)
    beside.age(days)
    beside.let_leases_end()
    lms.put("ada", "RETIRING_FORUM", modified)
    lms.meddle = lambda kind, call: None
    beside.drive_all()
    assert erasing.calls == [] and lms.moves == []
    assert beside.show("ada")["worked_on_elsewhere"]


def test_two_lethes_at_one_lms(tmp_path, make_service, lms):
    """Never both for one person, and everybody is through in the end."""
    lms.add(*(f"user{i}" for i in range(12)))
    sites, erasing = [], make_service()
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        sites.append(follow(Site(tmp_path / name), lms, erasing))
    processes = [(site, site.start("drive", "--once")) for site in sites]
    try:
        for site, process in processes:
            process.wait(60)
        for site in sites:
            site.drive_all()
    finally:
        for site in sites:
            site.stop()
    assert set(lms.states_of_all().values()) == {"COMPLETE"}
    assert all(lms.moves_of(name) == WAY for name in lms.rows)
    called = [(call.username, call.path) for call in erasing.calls]
    assert len(called) == len(set(called)) == 2 * len(lms.rows), "a stage was done by both"


def test_the_data_directory_is_lost(beside, lms, erasing):
    """Those in working states are listed, and left alone; the others go on."""
    lms.add("ada", state="RETIRING_LMS")
    lms.add("bob", state="FORUM_COMPLETE")
    lms.add("cyd", state="ERRORED")
    beside.drive_all()
    assert beside.states() == {"ada": "RETIRING_LMS", "bob": "COMPLETE", "cyd": "ERRORED"} == lms.states_of_all()
    assert {call.username for call in erasing.calls} == {"bob"}
    assert beside.show("ada")["worked_on_elsewhere"]
    lms.put("ada", "LMS_COMPLETE")
    beside.drive_all()
    assert lms.state_of("ada") == "COMPLETE"


def test_more_people_than_a_page(beside, lms, erasing):
    """The fuse knows of all of them before anybody is begun with."""
    beside.config["source"]["lms"]["batch"] = 5
    beside.configure(fuse={"people": 20})
    lms.add(*(f"user{i}" for i in range(30)))
    lms.limits = True
    result = beside.drive()
    assert result.code == 4 and "fuse has blown" in result.err, result
    assert erasing.calls == [] and len(beside.states()) == 30
    beside.ok("fuse", "release", "--reason", "an import")
    assert beside.drive_all()["completed"] == 30
    assert set(lms.states_of_all().values()) == {"COMPLETE"}


def test_the_doctor_asks_the_lms(beside, lms):
    lms.states.remove("LMS_COMPLETE")
    beside.serve()
    found = {(c["check"], c["about"]): (c["level"], c["what"]) for c in beside.lethe("doctor", "--json").json["checks"]}
    assert found["right", "source"][0] == "good"
    assert found["states", "source"] == ("red", "does not know LMS_COMPLETE")
    assert lms.moves == []


def test_one_person_by_name(beside, lms):
    lms.add("ada", "bob")
    beside.ok("drive", "--username", "bob")
    assert lms.states_of_all() == {"ada": "PENDING", "bob": "COMPLETE"}
    assert beside.lethe("drive", "--username", "cyd").code == 3


# ---- everything at once ----

@pytest.mark.parametrize("seed", SEEDS)
def test_at_random(beside, lms, erasing, seed):
    """Replies are lost, calls fail, the LMS is down for a while, drivers are killed, administrators move people at the LMS, and people
    take their requests back and ask anew. No call is made for a person whom the LMS does not have in the stage's state, none is
    made again after it was answered unless a driver was killed or a person was sent back, and in the end both say the same."""
    dice = random.Random(seed)
    names = [f"user{i}" for i in range(8)]
    lms.add(*names)
    wrong, done, allowed, down = [], {}, [0], [False]

    def disturb(kind, call):
        roll = dice.random()
        return 503 if down[0] else lms.LOSE if roll < 0.08 else (500, b"") if roll < 0.16 else None

    def erase(call):
        row = lms.rows.get(call.username)
        state = row["current_state"]["state_name"] if row else "gone"
        key = (row["id"], call.path) if row else None
        if state != call.path.strip("/") or done.get(key) == allowed[0]:
            wrong.append((call.username, call.path, state, done.get(key)))
        answer = dice.choice([204] * 8 + [503, 422])
        if answer == 204:
            done[key] = allowed[0]
        return answer

    def ask_anew(name):
        with lms.lock:
            if lms.state_of(name) == "PENDING":  # later the LMS lets nobody do that
                account = lms.rows[name]["user"]["id"]
                lms.cancel(name)
                lms.add(name)
                lms.rows[name]["user"]["id"] = account

    lms.meddle, erasing.script = disturb, erase
    for _ in range(5):
        down[0] = dice.random() < 0.2
        process = beside.start("drive", "--once")
        try:
            process.wait(dice.uniform(0.05, 0.3))
            down[0] = False
            for name in dice.sample(names, 2):
                ask_anew(name)
            process.wait(dice.uniform(0.1, 0.5))
        except subprocess.TimeoutExpired:
            beside.kill(process, dice.choice([signal.SIGKILL, signal.SIGTERM]))
        beside.let_leases_end()
        allowed[0] += 1
        for name in dice.sample(names, 2):
            if lms.state_of(name) == "ERRORED":  # nobody is at work there
                lms.put(name, dice.choice(["PENDING", "FORUM_COMPLETE"]))
            ask_anew(name)
    lms.meddle, erasing.script, down[0] = lambda kind, call: None, lambda call: 204, False
    for name in names:
        if lms.state_of(name) == "ERRORED":
            lms.put(name, "PENDING")
    for _ in range(3):
        beside.let_leases_end()
        assert beside.drive("--json").code in (0, 4)
    assert wrong == []
    assert beside.states() == lms.states_of_all()
    assert set(lms.states_of_all().values()) <= {"COMPLETE", "ERRORED"}, lms.states_of_all()
    assert beside.lethe("fsck", config=True).code == 0


def test_the_rest_of_lethe(beside, lms, erasing):
    """A stage that people do, a plan, failures that are resumed as a group, metrics, an archive that waits for the LMS."""
    lms.states[3:3] = ["RETIRING_LISTS", "LISTS_COMPLETE"]
    stages = beside.config["stages"]
    beside.configure(stages=[stages[0], {"working": "RETIRING_LISTS", "completed": "LISTS_COMPLETE", "manual": {
        "instructions": "Remove {original_email}."}}, stages[1]])
    lms.add("ada", "bob", "cyd")
    erasing.script = lambda call: 422 if call.path == "/RETIRING_FORUM" and call.username != "ada" else 204
    process = beside.run_all()
    wait_for(lambda: lms.state_of("ada") == "RETIRING_LISTS" and lms.state_of("cyd") == "ERRORED")
    assert "RETIRING_LISTS" in beside.ok("plan").out or "LISTS" in beside.ok("plan").out
    beside.wait_states({"ada": "RETIRING_LISTS", "bob": "ERRORED", "cyd": "ERRORED"})
    assert "2 " in beside.ok("retirement", "failures").out
    erasing.script = lambda call: 204
    beside.ok("retirement", "resume", "--all", "--reason", "mended")
    wait_for(lambda: lms.state_of("bob") == lms.state_of("cyd") == "RETIRING_LISTS")
    for name in ("ada", "bob", "cyd"):
        wait_for(lambda: beside.show(name)["waiting"])
        beside.ok("retirement", "confirm", name, "--note", "removed")
    wait_for(lambda: set(lms.states_of_all().values()) == {"COMPLETE"})
    assert lms.moves_of("ada") == ["RETIRING_FORUM", "FORUM_COMPLETE", "RETIRING_LISTS", "LISTS_COMPLETE", *WAY[2:]]
    metrics = beside.get("/metrics").raw.decode()
    assert "lethe_source_refused 0" in metrics and "lethe_source_look_seconds 0" in metrics
    wait_for(lambda: beside.get("/v1/source", token=beside.token("retirement:read")).json["behind"] == 0)
    assert beside.ok("archive", "--older-than", "0d", "--json").json["people"] == 3
    assert beside.ok("check").code == 0
    assert beside.kill(process, signal.SIGTERM) == 0


def test_a_partner_report_names_the_list_that_has_the_people(beside, lms):
    """Only the LMS knows organisations, so an empty report is no answer."""
    beside.serve()
    result = beside.lethe("partner-report", "--output-dir", str(beside.folder), "--json")
    assert result.code == 0 and result.json["people"] == 0, result
    assert "on the LMS's list, which the script retirement_partner_report reads" in result.err, result


def test_two_drivers_on_other_machines(beside, lms, erasing, tmp_path, make_service):
    """They have the same source, and the Lethe as their authority: each stage is done once."""
    names = [f"user{i}" for i in range(12)]
    lms.add(*names)
    beside.serve()
    client = beside.client("drivers", "retirement:drive")
    drivers = []
    for name in ("left", "right"):
        (tmp_path / name).mkdir()
        site = follow(Site(tmp_path / name), lms, erasing)
        site.configure(listen=None, authority={"url": f"http://127.0.0.1:{beside.port}", "client_id": client["client_id"],
                                               "client_secret": client["client_secret"]})
        drivers.append((site, site.start("drive", "--once")))
    for site, process in drivers:
        assert process.wait(60) == 0, site.logs()
        site.stop()
    assert set(lms.states_of_all().values()) == {"COMPLETE"}
    assert all(lms.moves_of(name) == WAY for name in names)
    assert len(erasing.calls) == len({(call.username, call.path) for call in erasing.calls}) == 2 * len(names)


@pytest.mark.parametrize("seed", SEEDS)
def test_two_lethes_at_random(tmp_path, make_service, lms, seed):
    """The same with two that keep running, are killed and started again."""
    dice = random.Random(seed)
    names = [f"user{i}" for i in range(10)]
    lms.add(*names)
    wrong = []

    def erase(call):
        if lms.state_of(call.username) != call.path.strip("/"):
            wrong.append((call.username, call.path, lms.state_of(call.username)))
        return dice.choice([204] * 10 + [503, 422])

    def disturb(kind, call):
        roll = dice.random()
        return lms.LOSE if roll < 0.05 else (500, b"") if roll < 0.1 else None

    def resume(states):
        for name in names:
            if lms.state_of(name) == "ERRORED":  # nobody is at work there
                lms.put(name, dice.choice(states))

    erasing = make_service(script=erase)
    lms.meddle = disturb
    sites = []
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        sites.append(follow(Site(tmp_path / name), lms, erasing))
    running = {site: site.run_all() for site in sites}
    try:
        for _ in range(6):
            site = dice.choice(sites)
            site.kill(running[site], dice.choice([signal.SIGKILL, signal.SIGTERM]))
            site.let_leases_end()
            resume(["PENDING", "FORUM_COMPLETE", "ABORTED"])
            running[site] = site.run_all()
        lms.meddle, erasing.script = lambda kind, call: None, lambda call: 204
        wait_for(lambda: resume(["PENDING"]) or set(lms.states_of_all().values()) <= {"COMPLETE", "ABORTED"})
        for site in sites:
            wait_for(lambda: all(lms.state_of(name) == state for name, state in site.states().items()))
    finally:
        for site in sites:
            site.stop()
    assert wrong == []


def test_a_driver_without_the_source_calls_nobody(beside, lms, erasing, tmp_path):
    """It says what its configuration lacks, and the people are left to other drivers."""
    lms.add("ada")
    beside.serve()
    client = beside.client("drivers", "retirement:drive")
    beside.post("/v1/source", {"news": [{"id": 101, "state": "PENDING", **{
        key: lms.rows["ada"][key] for key in ("original_username", "original_email", "retired_username", "retired_email")}}]})
    (tmp_path / "other").mkdir()
    other = follow(Site(tmp_path / "other"), lms, erasing)
    other.configure(listen=None, source=None, authority={"url": f"http://127.0.0.1:{beside.port}", "client_id": client["client_id"],
                                                         "client_secret": client["client_secret"]})
    result = other.drive()
    assert result.code == 0 and "this driver's configuration has no source" in result.err, result
    assert erasing.calls == [] and lms.moves == []
