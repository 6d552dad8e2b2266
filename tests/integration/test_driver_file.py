# SPDX-License-Identifier: Apache-2.0
"""The driver file of Open edX, unchanged: an LMS without leases is driven, and every step of it may fail. What Lethe knows of it
stands in its data directory."""
import json
import random
import re
import signal
import threading

import pytest
import yaml

from driver_site import DriverSite, ECOM, FORUM, LMS, STATES, WAY, driver, lms  # noqa: F401
from old_lms import OldLms, erased
from services import HANG_UP
from site_under_test import TIMEOUT, wait_for

def numbered(n):
    return [f"user{i}" for i in range(n)]


# ---- the main job ----

def test_people_are_taken_through_the_pipeline(driver, lms):
    names = numbered(30)
    lms.add(*names)
    done = driver.drive_all()
    assert (done["people"], done["completed"], done["stages"], done["calls"], done["errored"]) == (30, 30, 90, 90, 0)
    for name in names:
        assert lms.moves_of(name) == WAY
        assert [call.path for call in lms.calls_for(name)] == [FORUM, ECOM, LMS]
    assert set(lms.states_of_all().values()) == {"COMPLETE"}
    answers = [json.loads(text) for _, to, text in lms.moves if to == "FORUMS_COMPLETE"]
    assert answers == [{"status": 204, "attempts": 1}] * 30
    keys = [call.key for call in lms.calls]
    assert len(set(keys)) == 90 and not any(name in key for key in keys for name in names)
    assert driver.drive_all()["people"] == 0


def test_a_batch_is_all_that_one_run_takes(driver, lms):
    lms.add(*numbered(12))
    driver.configure(driver={"batch": 5, "max_in_flight": 2, "poll": "100ms"})
    assert driver.drive_all()["completed"] == 5
    assert sorted(lms.states_of_all().values()) == ["COMPLETE"] * 5 + ["PENDING"] * 7
    driver.start_driver()
    wait_for(lambda: set(lms.states_of_all().values()) == {"COMPLETE"})


def test_what_the_lms_is_asked_for(driver, lms):
    driver.drive_all()
    driver.drive_all("--cool-off", "0d")
    driver.drive_all("--cool-off", "36h")
    driver.configure(cool_off="1d")
    driver.drive_all()
    assert {tuple(query["states"]) for query in lms.queries} == {(*STATES[:7], "ERRORED")}
    assert [query["cool_off_days"] for query in lms.queries] == [["7"], ["0"], ["2"], ["1"]]


def test_people_in_the_middle_go_on_where_they_are(driver, lms):
    lms.add("ada", state="FORUMS_COMPLETE")
    lms.add("bob", state="ECOM_COMPLETE")
    lms.add("cyd", state="LMS_COMPLETE")
    driver.drive_all()
    assert set(lms.states_of_all().values()) == {"COMPLETE"} == set(driver.states().values())
    assert lms.moves_of("ada") == WAY[2:]
    assert [call.path for call in lms.calls_for("bob")] == [LMS]
    assert lms.moves_of("cyd") == ["COMPLETE"] and lms.calls_for("cyd") == []


def test_more_people_than_places(driver, lms):
    driver.configure(driver={"max_in_flight": 4})
    lms.add(*numbered(30))
    assert driver.drive_all()["completed"] == 30
    assert len(lms.calls) == 90


def test_a_driver_that_stays(driver, lms):
    driver.configure(driver={"poll": "100ms"})
    process = driver.start("drive")
    lms.add("ada")
    wait_for(lambda: lms.state_of("ada") == "COMPLETE")
    lms.add("bob")
    wait_for(lambda: lms.state_of("bob") == "COMPLETE")
    assert driver.kill(process, signal.SIGTERM) == 0


def test_a_lethe_as_the_lms(site, make_service, tmp_path):
    """Lethe as the LMS: the same file works, and every move is on its record."""
    site.configure(states=STATES)
    site.serve()
    made = site.client("worker", "retirement:read retirement:drive")

    def door(call):
        if not re.search("/retirement_|/update_retirement|/oauth2/", call.path):
            return erased(call)
        answer = site.call(call.method, call.path, raw=call.raw or None, token="", headers={
            k: v for k, v in call.headers.items() if k in ("Authorization", "Content-Type")})
        return answer.status, answer.raw

    (tmp_path / "d").mkdir()
    driver = DriverSite(tmp_path / "d", make_service(script=door))
    driver.configure(client_id=made["client_id"], client_secret=made["client_secret"])
    site.request("ada")
    site.request("bob")
    assert driver.drive_one("ada").code == 0
    assert site.states() == {"ada": "COMPLETE", "bob": "PENDING"}
    assert driver.drive_all("--cool-off", "0d")["completed"] == 1
    assert [to for _, to, _ in site.history("bob")[1:]] == WAY
    driver.check()


def test_a_file_as_it_is_found_in_the_wild(driver, lms):
    """With a document start, anchors, quotes, comments, and the settings of other scripts."""
    lms.add("ada")
    driver.file.write_text(f"""---
# Retirement
client_id: 'worker'
client_secret: "secret"
base_urls: &urls
    lms: {lms.url}/
    ecommerce: {lms.url}
    credentials:
    segment: https://platform.segmentapis.com
retirement_pipeline:
    - ['RETIRING_FORUMS', 'FORUMS_COMPLETE', 'LMS', 'retirement_retire_forum']
    - - RETIRING_ECOM
      - ECOM_COMPLETE
      - ECOMMERCE
      - replace_usernames
    - ["RETIRING_LMS", "LMS_COMPLETE", "LMS", "retirement_lms_retire"]
fetch_ecommerce_segment_id: True
org_partner_mapping: {{ OrgX: ['PartnerX'] }}
s3_archive:
    bucket_name: 'retired'
    region: us-east-1
max_cleanup_batch: 100
""")
    driver.file.chmod(0o600)
    result = driver.lethe("drive", "--once", "--json", "--config", str(driver.file), config=False)
    assert result.code == 0 and result.json["completed"] == 1, result


def test_states_that_the_lms_does_not_know_are_said(driver, lms):
    lms.states = [state for state in STATES if not state.startswith("ECOM")]
    result = driver.drive()
    assert result.code == 2 and "Unknown state" in result.err, result


# ---- failures of a stage ----

def test_a_failure_is_errored_with_what_was_answered(driver, lms):
    lms.meddle = lambda kind, call: (409, "unpaid") if kind == ECOM else None
    lms.add("ada")
    assert driver.drive_all()["errored"] == 1
    assert lms.moves_of("ada") == [*WAY[:3], "ERRORED"]
    failed = json.loads(lms.moves[-1][2])
    assert (failed["stage"], failed["outcome"], failed["status"], failed["answer"]) == ("RETIRING_ECOM", "failed", 409, "unpaid")


def test_after_a_failure_was_mended_it_is_another_attempt(driver, lms):
    lms.meddle = lambda kind, call: lms.calls.append(call) or 409 if kind == ECOM else None
    lms.add("ada")
    driver.drive_all()
    lms.meddle = lambda kind, call: None
    lms.put("ada", "FORUMS_COMPLETE")
    assert driver.drive_all()["completed"] == 1
    first, second = [call.key for call in lms.calls_for("ada") if call.path == ECOM]
    assert first != second
    lms.put("ada", "PENDING")
    assert driver.drive_all()["completed"] == 1
    assert len({call.key for call in lms.calls}) == len(lms.calls) == 6 + 1


def test_people_wait_before_a_service_that_is_down(driver, lms):
    """Its breaker opens; one call at a time tests whether it answers again. No person is ERRORED or left behind."""
    down = threading.Event()
    down.set()
    lms.meddle = lambda kind, call: lms.calls.append(call) or 503 if kind == ECOM and down.is_set() else None
    driver.configure(driver={"poll": "100ms"})
    lms.add(*numbered(60))
    process = driver.start("drive")
    driver.wait_said(process, "service ecommerce fails")
    lms.add("late")
    wait_for(lambda: lms.state_of("late") == "FORUMS_COMPLETE")
    wait_for(lambda: set(lms.states_of_all().values()) == {"FORUMS_COMPLETE", "RETIRING_ECOM"})
    while_down = len([call for call in lms.calls if call.path == ECOM])
    down.clear()
    wait_for(lambda: set(lms.states_of_all().values()) == {"COMPLETE"}, timeout=120)
    assert while_down < 60
    for name in lms.rows:
        assert lms.moves_of(name) == WAY
        keys = {call.key for call in lms.calls_for(name) if call.path == ECOM}
        assert len(keys) == 1, "who is taken up again at the same stage is the same run"
    assert driver.kill(process, signal.SIGTERM) == 0


# ---- other drivers ----

def test_whom_another_driver_has_is_left_alone(driver, lms):
    """Between our look and our move another driver moved the person."""
    def faster(kind, call):
        if kind == "retiring_forums" and call.username == "ada":
            lms.put("ada", "RETIRING_FORUMS")

    lms.meddle = faster
    lms.add("ada", "bob")
    done = driver.drive_all()
    assert (done["completed"], done["errored"]) == (1, 0)
    assert lms.states_of_all() == {"ada": "RETIRING_FORUMS", "bob": "COMPLETE"} == driver.states()
    assert lms.calls_for("ada") == []


def test_people_in_working_states_of_somebody_else_are_left_alone_and_listed(driver, lms):
    lms.add("ada", "bob", state="RETIRING_ECOM")
    done = driver.drive("--json")
    assert done.code == 0 and done.json["people"] == 0
    assert driver.states() == {"ada": "RETIRING_ECOM", "bob": "RETIRING_ECOM"} and lms.moves == []
    assert driver.show("ada")["worked_on_elsewhere"]


def test_whom_somebody_else_moves_meanwhile_is_no_longer_ours(driver, lms):
    def abort(kind, call):
        if kind == ECOM:
            lms.put("ada", "ABORTED")

    lms.meddle = abort
    lms.add("ada")
    done = driver.drive_all()
    assert (done["completed"], done["errored"]) == (0, 0)
    assert lms.state_of("ada") == "ABORTED" and len(lms.calls) == 2


def test_an_lms_without_the_completed_state(driver, lms):
    """The LMS has another list of states, which the first look at its queue shows. Of one person by name it shows when the stage
    is done; the stage is not done a second time."""
    driver.config["retirement_pipeline"][0][1] = "FORUMS_DONE"
    lms.add("ada")
    result = driver.drive()
    assert result.code == 2 and "does the LMS have all states of the stages?" in result.err and lms.moves == []
    result = driver.drive_one("ada")
    assert result.code == 252 and "from RETIRING_FORUMS to FORUMS_DONE (FORUMS_DONE is no state)" in result.err, result
    assert driver.drive_one("ada").code == 253
    assert lms.moves_of("ada") == ["RETIRING_FORUMS"] and len(lms.calls) == 1


# ---- lost replies ----

@pytest.mark.parametrize("lost", [state.lower() for state in WAY] + ["errored"])
def test_the_lost_reply_of_a_move(driver, lms, lost):
    """The repeat gets a 400 from an old LMS. It is never taken for a failure, and nothing is done twice."""
    seen = []

    def lose(kind, call):
        if lost == "errored" and kind == LMS:
            return 409
        if kind == lost and not seen:
            seen.append(call)
            return lms.LOSE
        return None

    lms.meddle = lose
    lms.add("ada")
    done = driver.drive_all()
    assert seen
    if lost == "errored":
        assert (done["errored"], lms.moves_of("ada")) == (1, [*WAY[:5], "ERRORED"])
    else:
        assert (done["completed"], lms.moves_of("ada")) == (1, WAY)
        assert [call.path for call in lms.calls] == [FORUM, ECOM, LMS]


NONSENSE = (200, "<html>", {"Content-Type": "text/html"})  # to a move it would be an answer


@pytest.mark.parametrize("kind, answer", [
    *((kind, answer) for kind in ("token", "queue", "ecom_complete", "retiring_lms") for answer in (HANG_UP, 500, 503, 429)),
    ("token", NONSENSE), ("queue", NONSENSE)])
def test_an_lms_that_fails_for_a_while(driver, lms, kind, answer):
    times = []
    lms.meddle = lambda k, call: times.append(k) or answer if k == kind and times.count(k) < 3 else None
    lms.add("ada")
    assert driver.drive_all()["completed"] == 1
    assert lms.moves_of("ada") == WAY and len(lms.calls) == 3


def test_a_run_that_fails_in_the_end_says_what_it_did(driver, lms):
    """Two people are through, one of them ERRORED, which the LMS does not take."""
    def meddle(kind, call):
        if kind == "errored":
            wait_for(lambda: lms.state_of("ada") == "COMPLETE")
            return 403, {"detail": "no"}
        return (400, "unknown") if kind == ECOM and "bob" in str(call.raw) else None

    lms.meddle = meddle
    lms.add("ada", "bob")
    done = driver.drive()
    assert done.code == 1 and "RETIREMENT_SERVICE_WORKER_USERNAME" in done.err
    assert "2 people in" in done.out and "1 completed, 1 ERRORED" in done.out
    assert "ERRORED in this run:\n1 person: RETIRING_ECOM" in done.out


def test_a_token_is_renewed_once_on_a_401(driver, lms):
    """Every token but the newest is forgotten while the driver works."""
    def forget(kind, call):
        if kind in (ECOM, "retiring_lms") and len(lms.tokens) < 4:
            if call.headers["Authorization"] == lms.tokens[0]:
                return 401
        return None

    lms.meddle = forget
    lms.add("ada")
    done = driver.drive_all()
    assert (done["completed"], done["retries"]) == (1, 0)
    assert lms.moves_of("ada") == WAY


# ---- killed ----

@pytest.mark.parametrize("point", ["retiring_forums", FORUM, "forums_complete", "retiring_ecom", ECOM, LMS,
                                   "lms_complete", "complete"])
@pytest.mark.parametrize("when", ["before", "after"])
def test_a_driver_that_is_killed_goes_on_at_the_same_stage(driver, lms, point, when):
    """Killed during this call, before or after it took effect: the next start finishes the stage, with the same key."""
    reached, killed = threading.Event(), threading.Event()

    def stop_there(kind, call):
        if kind != point or killed.is_set():
            return None
        if when == "after":
            with lms.lock:
                lms.find(call)[1](call)
        reached.set()
        killed.wait(TIMEOUT)
        return HANG_UP

    lms.meddle = stop_there
    lms.add("ada", "bob")
    process = driver.start_once()
    assert reached.wait(TIMEOUT)
    driver.kill(process)
    killed.set()
    driver.let_leases_end()
    done = driver.drive_all()
    assert done["errored"] == 0
    assert set(lms.states_of_all().values()) == {"COMPLETE"}
    for name in ("ada", "bob"):
        assert lms.moves_of(name) == WAY
        keys = {}
        for call in lms.calls_for(name):
            keys.setdefault(call.path, set()).add(call.key)
        assert set(keys) == {FORUM, ECOM, LMS}
        assert all(len(of_stage) == 1 for of_stage in keys.values()), keys


def test_a_driver_that_is_asked_to_stop_and_started_again(driver, lms):
    gate, reached = threading.Event(), threading.Event()

    def wait(kind, call):
        if kind == ECOM:
            reached.set()
            gate.wait(TIMEOUT)

    lms.meddle = wait
    lms.add(*numbered(20))
    process = driver.start("drive")
    assert reached.wait(TIMEOUT)
    process.send_signal(signal.SIGTERM)
    driver.wait_said(process, "stopping")
    gate.set()
    assert process.wait(TIMEOUT) == 0
    assert set(lms.states_of_all().values()) <= {"PENDING", "FORUMS_COMPLETE", "RETIRING_ECOM", "RETIRING_FORUMS",
                                                 "ECOM_COMPLETE"}
    assert driver.drive_all()["errored"] == 0
    assert set(lms.states_of_all().values()) == {"COMPLETE"}
    assert len(lms.calls) == 60


def test_another_file_while_it_runs(driver, lms, make_service):
    """The calls that have begun end where they were made; the next go to the new address, each once."""
    gate, reached = threading.Event(), threading.Event()
    lms.meddle = lambda kind, call: (reached.set(), gate.wait(TIMEOUT), None)[2] if kind == ECOM else None
    names = numbered(20)
    lms.add(*names)
    process = driver.start_driver()
    assert reached.wait(TIMEOUT)
    moved = make_service(script=erased)
    driver.config["base_urls"]["ecommerce"] = moved.url
    driver.reload(process)
    driver.wait_said(process, "stopping")
    gate.set()
    wait_for(lambda: set(lms.states_of_all().values()) == {"COMPLETE"}, "everybody to be through")
    old = {call.username for call in lms.calls if call.path == ECOM}
    assert old and moved.calls and old | set(moved.usernames()) == set(names)
    assert len(moved.calls) + len(lms.calls) == 60
    assert driver.kill(process, signal.SIGTERM) == 0


# ---- the data directory ----

def test_the_data_directory_is_said_and_read_by_the_other_commands(driver, lms):
    lms.meddle = lambda kind, call: (409, "unpaid") if kind == ECOM and call.username == "ada" else None
    lms.add("ada", "bob")
    result = driver.drive()
    assert result.out.splitlines()[0] == f"data directory {driver.folder}/lethe-data", result
    assert driver.states() == {"ada": "ERRORED", "bob": "COMPLETE"}
    assert "409 from ecommerce" in driver.ok("retirement", "failures").out
    assert "its retirement 101" in driver.ok("retirement", "show", "ada").out
    assert "RETIRING_ECOM" in driver.ok("plan").out
    assert "1 errored" in driver.lethe("check").out, "a timer may start the driver: there is no server"
    lms.meddle = lambda kind, call: None
    driver.ok("retirement", "resume", "--all", "--reason", "paid")
    driver.drive_all()
    assert lms.state_of("ada") == "COMPLETE" and driver.lethe("check").code == 0
    assert driver.data_dir.stat().st_mode & 0o777 == 0o700


def test_stages_of_our_own_between_those_of_the_scripts(driver, lms, make_service):
    """They stand in the pipeline as settings in place of a service and a method."""
    lists = make_service()
    driver.service("lists", lists)
    lms.states[1:1] = ["RETIRING_LISTS", "LISTS_COMPLETE"]
    driver.config["retirement_pipeline"].insert(0, ["RETIRING_LISTS", "LISTS_COMPLETE", {
        "http": {"service": "lists", "delete": "/{original_email}"}}])
    lms.add("ada")
    assert driver.drive_all()["completed"] == 1
    assert [call.path for call in lists.calls] == ["/ada%40example.com"]
    assert lms.moves_of("ada") == ["RETIRING_LISTS", "LISTS_COMPLETE", *WAY]


def test_an_edited_pipeline_takes_effect_by_itself(driver, lms):
    lms.add("ada")
    driver.drive_all()
    lms.states[1:1] = ["RETIRING_NOTES", "NOTES_COMPLETE"]
    driver.config["base_urls"]["notes"] = lms.url
    driver.config["retirement_pipeline"].insert(0, ["RETIRING_NOTES", "NOTES_COMPLETE", "LMS", "retirement_retire_notes"])
    lms.add("bob")
    assert driver.drive_all()["completed"] == 1
    assert lms.moves_of("bob") == ["RETIRING_NOTES", "NOTES_COMPLETE", *WAY]


def test_an_edited_pipeline_takes_effect_when_it_is_read_again(driver, lms):
    driver.configure(driver={"poll": "100ms"})
    process = driver.start("drive")
    lms.add("ada")
    wait_for(lambda: lms.state_of("ada") == "COMPLETE")
    lms.states[1:1] = ["RETIRING_NOTES", "NOTES_COMPLETE"]
    driver.config["retirement_pipeline"].insert(0, ["RETIRING_NOTES", "NOTES_COMPLETE", "LMS", "retirement_retire_notes"])
    driver.reload(process)
    lms.add("bob")
    wait_for(lambda: lms.state_of("bob") == "COMPLETE")
    assert lms.moves_of("bob") == ["RETIRING_NOTES", "NOTES_COMPLETE", *WAY]
    assert driver.kill(process, signal.SIGTERM) == 0


def test_stages_that_were_taken_out_while_somebody_was_in_them(driver, lms):
    lms.add("ada")
    reached, killed = threading.Event(), threading.Event()
    lms.meddle = lambda kind, call: (reached.set(), killed.wait(TIMEOUT), HANG_UP)[2] if kind == ECOM and not killed.is_set() else None
    process = driver.start_once()
    assert reached.wait(TIMEOUT)
    driver.kill(process)
    killed.set()
    row = driver.config["retirement_pipeline"].pop(1)
    result = driver.drive()
    assert result.code == 4 and "retirements are in state RETIRING_ECOM, which is about to be removed" in result.err, result
    driver.config["retirement_pipeline"].insert(1, row)
    driver.let_leases_end()
    assert driver.drive_all()["completed"] == 1


def test_a_command_that_has_the_server_ends(driver, lms):
    """Two drivers at one data directory: the first one has the server in it, and the second goes on when the first has ended."""
    gate, reached = threading.Event(), threading.Event()
    lms.meddle = lambda kind, call: (reached.set(), gate.wait(TIMEOUT), None)[2] if kind == ECOM and call.username == "bob" else None
    driver.configure(driver={"poll": "100ms"})
    first = driver.start("drive")
    lms.add("ada")
    wait_for(lambda: lms.state_of("ada") == "COMPLETE")
    second = driver.start("drive")
    lms.add("bob")
    assert reached.wait(TIMEOUT)
    first.send_signal(signal.SIGTERM)
    gate.set()
    assert first.wait(TIMEOUT) == 0
    lms.add("cyd")
    wait_for(lambda: lms.states_of_all() == {"ada": "COMPLETE", "bob": "COMPLETE", "cyd": "COMPLETE"})
    assert driver.kill(second, signal.SIGTERM) == 0


def test_two_drivers_of_one_file_that_are_killed_at_random(driver, lms):
    """One of them has the server inside. Replies are lost, too; each stage is called for under one key, and all people go the whole
    way, state by state."""
    dice = random.Random(1)
    for row in driver.config["retirement_pipeline"]:
        row.append({"timeout": "1s"})
    driver.configure(driver={"poll": "100ms", "lease": "12s", "deaths_max": 50})
    lms.add(*numbered(60))
    lms.meddle = lambda kind, call: lms.LOSE if dice.random() < 0.03 else (500, b"") if dice.random() < 0.05 else None
    running = [driver.start("drive") for _ in range(2)]
    for _ in range(8):
        moved = len(lms.moves)
        wait_for(lambda: len(lms.moves) > moved + 10 or set(lms.states_of_all().values()) == {"COMPLETE"})
        i = dice.randrange(2)
        driver.kill(running[i])
        running[i] = driver.start("drive")
    wait_for(lambda: set(lms.states_of_all().values()) == {"COMPLETE"}, timeout=120)
    assert all(lms.moves_of(name) == WAY for name in lms.rows)
    keys = {}
    for call in lms.calls:
        keys.setdefault((call.username, call.path), set()).add(call.key)
    assert len(keys) == 180 and all(len(of_stage) == 1 for of_stage in keys.values())


# ---- exit codes ----

def test_exit_0_when_the_learner_is_retired(driver, lms):
    lms.add("ada", "bob")
    result = driver.drive_one("ada")
    assert result.code == 0 and "1 person" in result.out
    assert lms.states_of_all() == {"ada": "COMPLETE", "bob": "PENDING"}


@pytest.mark.parametrize("state", ["COMPLETE", "ERRORED", "ABORTED"])
def test_exit_254_in_an_end_state(driver, lms, state):
    lms.add("ada", state=state)
    result = driver.drive_one("ada")
    assert result.code == 254 and f"the retirement is in {state}, which is an end state" in result.err, result
    assert lms.moves == []


def test_exit_253_in_a_working_state(driver, lms):
    lms.add("ada", state="RETIRING_ECOM")
    result = driver.drive_one("ada")
    assert result.code == 253 and "the retirement is in RETIRING_ECOM, a working state" in result.err, result
    assert lms.moves == [] and lms.calls == []


def test_exit_253_when_somebody_else_is_faster(driver, lms):
    lms.meddle = lambda kind, call: lms.put("ada", "RETIRING_FORUMS") if kind == "retiring_forums" else None
    lms.add("ada")
    assert driver.drive_one("ada").code == 253


def test_a_learner_in_our_own_working_state_is_gone_on_with(driver, lms):
    lms.add("ada")
    reached, killed = threading.Event(), threading.Event()
    lms.meddle = lambda kind, call: (reached.set(), killed.wait(TIMEOUT), HANG_UP)[2] if kind == ECOM and not killed.is_set() else None
    process = driver.start("drive", "--username", "ada")
    assert reached.wait(TIMEOUT)
    driver.kill(process)
    killed.set()
    assert lms.state_of("ada") == "RETIRING_ECOM"
    assert driver.drive_one("ada").code == 253, "for all that is known the driver is alive"
    driver.let_leases_end()
    assert driver.drive_one("ada").code == 0
    assert lms.moves_of("ada") == WAY


def test_exit_252_when_it_fails(driver, lms):
    lms.meddle = lambda kind, call: 409 if kind == ECOM else None
    lms.add("ada")
    result = driver.drive_one("ada")
    assert result.code == 252 and lms.state_of("ada") == "ERRORED"


def test_exit_251_when_there_is_no_such_learner(driver, lms):
    lms.add("ada")
    for name in ("bob", "Ada", "../ada", "é"):
        assert driver.drive_one(name).code == 251


def test_exit_250_in_a_state_that_the_pipeline_does_not_have(driver, lms):
    lms.states = [*STATES[:5], "PAUSED", *STATES[5:]]
    lms.add("ada", state="PAUSED")
    result = driver.drive_one("ada")
    assert result.code == 250 and "the retirement is in PAUSED, which the pipeline" in result.err, result


@pytest.mark.parametrize("change", [
    {"retirement_pipeline": [["A", "B", "LMS", "retirement_retire_foren"]]},
    {"retirement_pipeline": [["A", "B", "CREDENTIALS", "retire_learner"]]},
    {"retirement_pipeline": [["A", "B", "ECOMMERCE", "retire_learner"]]},
    {"retirement_pipeline": [["A", "B", "LMS", "retirement_retire_mailings"]]},
    {"retirement_pipeline": None},
    {"client_secret": None},
    {"base_urls": {"ecommerce": "https://shop.example.com"}},
])
def test_exit_249_with_a_bad_configuration(driver, lms, change):
    lms.add("ada")
    driver.configure(**change)
    result = driver.drive_one("ada")
    assert result.code == 249 and "config.yml:" in result.err, result
    assert driver.drive().code == 2, "without --username the codes are those of every command"
    assert lms.service.calls == []


def test_exit_249_with_a_file_that_is_no_yaml(driver):
    driver.write_config()
    driver.file.write_text(driver.file.read_text() + "]: [")
    assert driver.lethe("drive", "--username", "ada", "--config", str(driver.file), config=False).code == 249


def test_exit_249_without_the_file(driver):
    result = driver.lethe("drive", "--username", "ada", "--config", "elsewhere.yml", config=False)
    assert result.code == 249 and "there is no configuration elsewhere.yml" in result.err, result
    assert driver.lethe("drive", "--once", "--config", "elsewhere.yml", config=False).code == 2


def test_exit_255_when_the_credentials_are_wrong(driver, lms):
    lms.add("ada")
    driver.configure(client_secret="not the secret")
    result = driver.drive_one("ada")
    assert result.code == 255 and "no access token: status 401" in result.err


def test_exit_255_without_the_permission(driver, lms):
    lms.add("ada")
    lms.meddle = lambda kind, call: (403, {"detail": "You do not have permission"}) if kind == "status" else None
    result = driver.drive_one("ada")
    assert result.code == 255 and "You do not have permission" in result.err


# ---- the file ----

KNOWN = """amplitude_api_key amplitude_secret_key braze_api_key braze_instance drive_partners_folder hubspot_alert_email
    hubspot_api_key hubspot_aws_region hubspot_from_address org_partner_mapping red_ventures_audience red_ventures_auth_url
    red_ventures_deletion_url red_ventures_password red_ventures_username s3_archive salesforce_assignee salesforce_domain
    salesforce_marketing_cloud_client_id salesforce_marketing_cloud_secret salesforce_marketing_cloud_subdomain
    salesforce_password salesforce_token salesforce_user segment_auth_token segment_workspace_slug"""


def test_keys_of_the_scripts_are_known_by_name(driver, lms):
    lms.add("ada")
    driver.config.update({key: "x" for key in KNOWN.split()})
    driver.config["base_urls"].update(segment="https://a.example", commerce_coordinator="https://b.example",
                                      notes="https://c.example", demographics=None, license_manager="")
    result = driver.drive("--json")
    assert result.code == 0 and result.json["completed"] == 1, result
    assert not any(key in result.err for key in KNOWN.split())
    driver.config["braze_api_kee"] = "x"
    result = driver.drive()
    assert result.code == 2 and "unknown key braze_api_kee: did you mean braze_api_key?" in result.err, result


def test_the_file_can_be_that_of_a_server(driver, lms):
    driver.configure(listen="127.0.0.1:0")
    lms.add("ada")
    process = driver.run_all()
    wait_for(lambda: lms.state_of("ada") == "COMPLETE")
    assert driver.get("/v1/source", token=driver.token("retirement:read")).json["configured"]
    assert driver.kill(process, signal.SIGTERM) == 0


def test_what_is_warned_about(driver, lms):
    driver.write_config()
    driver.file.chmod(0o644)
    result = driver.lethe("drive", "--once", "--config", str(driver.file), config=False)
    assert result.code == 0
    assert "others can read or write it" in result.err and "the secret is too short" in result.err
    assert yaml.safe_load(driver.file.read_text())["client_secret"] == "secret"


def test_two_drivers_on_one_machine(driver, lms):
    gate, reached = threading.Event(), threading.Event()
    lms.meddle = lambda kind, call: (reached.set(), gate.wait(TIMEOUT), None)[2] if kind == ECOM else None
    lms.add("ada")
    first = driver.start_once()
    assert reached.wait(TIMEOUT)
    second = driver.start_once()
    lms.add("bob")
    gate.set()
    assert (first.wait(TIMEOUT), second.wait(TIMEOUT)) == (0, 0)
    assert lms.states_of_all() == {"ada": "COMPLETE", "bob": "COMPLETE"}
    assert len(lms.calls) == 6


def test_two_machines(driver, lms, tmp_path):
    """They know nothing of each other: only the LMS's refusals keep them apart."""
    (tmp_path / "b").mkdir()
    other = DriverSite(tmp_path / "b", lms)
    names = numbered(60)
    lms.add(*names)
    both = [site.start_once() for site in (driver, other)]
    assert [process.wait(TIMEOUT) for process in both] == [0, 0]
    assert set(lms.states_of_all().values()) == {"COMPLETE"}
    for name in names:
        assert lms.moves_of(name) == WAY
        assert [call.path for call in lms.calls_for(name)] == [FORUM, ECOM, LMS]
    other.stop()
    other.check()


def test_exit_255_when_the_lms_cannot_be_reached(driver, lms):
    lms.service.go_down()
    result = driver.drive_one("ada")
    assert result.code == 255 and "the LMS does not answer" in result.err, result


def test_exit_252_when_it_is_stopped_in_the_middle(driver, lms):
    gate, reached = threading.Event(), threading.Event()
    lms.meddle = lambda kind, call: (reached.set(), gate.wait(TIMEOUT), None)[2] if kind == ECOM else None
    lms.add("ada")
    driver.configure(log={"level": "debug"})
    process = driver.start("drive", "--username", "ada")
    assert reached.wait(TIMEOUT)
    process.send_signal(signal.SIGTERM)
    driver.wait_said(process, "stopping")
    gate.set()
    assert process.wait(TIMEOUT) == 252
    assert lms.state_of("ada") == "ECOM_COMPLETE"
