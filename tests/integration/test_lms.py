# SPDX-License-Identifier: Apache-2.0
"""An LMS that is out of order: it answers nonsense, lists people whom it does not know, has another order of states,
refuses half of the calls. Each test reads: the kind, what comes in, what is right."""
import json
import random
import signal
import threading
import time

import pytest

from driver_site import FORUM, STATES, WAY, driver, lms  # noqa: F401
from services import HANG_UP, Gate
from site_under_test import TIMEOUT, wait_for

PAGE = "<!DOCTYPE html><html><body>We are back at nine.</body></html>"
HTML = {"Content-Type": "text/html; charset=utf-8"}


def on(kind, answer):
    """This answer to all calls of the kind; what is left out of the name of a state counts as the rest of it."""
    return lambda k, call: answer(call) if k == kind and callable(answer) else answer if k == kind else None


# ---- 19. It answers nonsense with 200 (test_lms.c has all of it, without the time that it takes) ----

def test_nonsense_ends_and_the_driver_goes_on(driver, lms):
    lms.add("ada")
    answers = iter([(200, PAGE, HTML), (200, "[{\"id\": 101, \"original_username\": \"ada\""), 204])
    lms.meddle = lambda kind, call: next(answers, None) if kind == "queue" else None
    assert driver.drive_all()["completed"] == 1


def test_nonsense_for_as_long_as_it_lasts(driver, lms):
    """The pauses grow, so there are some questions in three seconds, and not thirty."""
    driver.configure(driver={"poll": "100ms"})
    lms.meddle = on("queue", (200, PAGE, HTML))
    process = driver.start("drive")
    driver.wait_said(process, "makes no sense")
    time.sleep(3)
    asked = sum("retirement_queue" in call.path for call in lms.service.calls)
    assert driver.kill(process, signal.SIGTERM) == 0
    assert 2 <= asked <= 10 and driver.log(process).count("makes no sense") == 1


def test_a_page_for_a_status_is_no_state(driver, lms):
    lms.add("ada")
    seen = []
    lms.meddle = lambda kind, call: seen.append(1) or (200, PAGE, HTML) if kind == "status" and len(seen) < 2 else None
    assert driver.drive_one("ada").code == 0
    assert lms.moves_of("ada") == WAY


# ---- 22. What it says to a new state ----

@pytest.mark.parametrize("answer", [(200, PAGE, HTML), (200, b""), (200, "[1, 2"), (302, b"", {"Location": "/login"})])
def test_a_page_in_place_of_204_is_no_entering(driver, lms, answer):
    """Nobody is called before the LMS says that the person is in the working state."""
    lms.add("ada")
    times = []
    lms.meddle = lambda kind, call: times.append(kind) or answer if kind == "retiring_forums" and len(times) < 3 else None
    result = driver.drive("--json")
    if answer[0] == 302:
        assert result.code != 0 and "status 302" in result.err and lms.calls == []
    else:
        assert result.code == 0 and result.json["completed"] == 1, result
        assert len(times) == 3 and lms.moves_of("ada") == WAY
        first = next(i for i, call in enumerate(lms.service.calls) if "retire_forum" in call.path)
        assert sum(call.method == "PATCH" for call in lms.service.calls[:first]) == 4


def test_200_with_json_is_an_answer(driver, lms):
    lms.add("ada")

    def say(kind, call):
        if call.method == "PATCH":
            assert lms.update(call) == 204
            return 200, {"state": call.json["new_state"]}
        return None

    lms.meddle = say
    assert driver.drive_all()["completed"] == 1


def other_order(driver, lms):
    rows = driver.config["retirement_pipeline"]
    driver.config["retirement_pipeline"] = [rows[1], rows[0], rows[2]]


def test_a_pipeline_in_another_order(driver, lms):
    """The LMS refuses to go back. Its words and both states are said, and it is no success."""
    other_order(driver, lms)
    lms.add("ada", "bob")
    result = driver.drive()
    assert result.code == 4, result
    for words in ("from ECOM_COMPLETE to RETIRING_FORUMS", "cannot go there", "the same order"):
        assert words in result.err
    assert "ada" not in result.err and "bob" not in result.err, "the LMS names them, the log does not"
    assert "o one is due" not in result.out and "2 people" in result.out
    assert lms.states_of_all() == {"ada": "ECOM_COMPLETE", "bob": "ECOM_COMPLETE"}
    before = len(lms.service.calls)
    assert driver.drive().code == 4, "again, as long as it is so"
    assert len(lms.service.calls) - before < 20


def test_one_person_in_another_order(driver, lms):
    other_order(driver, lms)
    lms.add("ada")
    result = driver.drive_one("ada")
    assert result.code == 252 and "from ECOM_COMPLETE to RETIRING_FORUMS" in result.err, result
    assert "another driver" not in result.err


@pytest.mark.parametrize("name, before", [("RETIRING_FORUMS", "PENDING"), ("RETIRING_LMS", "ECOM_COMPLETE"), ("COMPLETE", "LMS_COMPLETE")])
def test_a_state_that_the_lms_refuses(driver, lms, name, before):
    lms.add("ada")
    lms.meddle = on(name.lower(), (400, json.dumps(f"{name} does not exist")))
    result = driver.drive()
    assert result.code == 4 and f"from {before} to {name} ({name} does not exist)" in result.err, result
    assert lms.state_of("ada") == before


# ---- Updates that fail for some people, always ----

@pytest.mark.parametrize("answer", [500, 503, 429, (200, PAGE, HTML)])
def test_updates_that_fail_for_some_people(driver, lms, answer):
    """Twenty of them, more than there are updates at once: the others are retired meanwhile, and they once it is over."""
    driver.configure(driver={"poll": "100ms"})
    bad = [f"bad{i}" for i in range(20)]
    lms.add(*bad, "ada", "bob", "cyd")
    lms.meddle = lambda kind, call: answer if call.method == "PATCH" and call.username.startswith("bad") else None
    process = driver.start("drive")
    wait_for(lambda: all(lms.state_of(name) == "COMPLETE" for name in ("ada", "bob", "cyd")))
    assert all(lms.state_of(name) == "PENDING" for name in bad)
    driver.wait_said(process, "to RETIRING_FORUMS (status ")
    lms.meddle = lambda kind, call: None
    wait_for(lambda: set(lms.states_of_all().values()) == {"COMPLETE"})
    assert driver.kill(process, 15) == 0


# ---- 23. People whom it lists and does not know ----

@pytest.mark.parametrize("kinds, code, words", [
    (("status", "update"), 0, ""),
    (("update",), 4, "the LMS refuses to move its retirement 102 from PENDING to RETIRING_FORUMS (status 404)"),
])
def test_a_person_who_vanishes(driver, lms, kinds, code, words):
    """404 to an update, and to the question for the state or not: the person is left out, and the others go on. Where the LMS
    still knows the person, it refuses an update, which is no success."""
    lms.add("ada", "bob", "cyd")

    def deny(kind, call):
        is_update = call.method == "PATCH" and call.username == "bob"
        is_status = kind == "status" and "/bob/" in call.path
        return 404 if (is_update and "update" in kinds) or (is_status and "status" in kinds) else None

    lms.meddle = deny
    result = driver.drive("--json")
    assert result.code == code and result.json["completed"] == 2 and words in result.err, result
    assert lms.states_of_all() == {"ada": "COMPLETE", "bob": "PENDING", "cyd": "COMPLETE"}
    assert sum("retirement_queue" in call.path for call in lms.service.calls) <= 5
    assert sum(call.username == "bob" for call in lms.service.calls) <= 2


def test_a_person_who_vanishes_in_the_middle(driver, lms):
    lms.add("ada", "bob")
    gone = []

    def vanish(kind, call):
        if kind == "forums_complete" and call.username == "bob":
            gone.append(lms.rows.pop("bob"))
        return None

    lms.meddle = vanish
    result = driver.drive("--json")
    assert result.code == 0 and result.json["completed"] == 1, result
    assert gone and driver.states() == {"ada": "COMPLETE", "bob": "ERRORED"}
    assert driver.drive_all()["people"] == 0


def test_a_router_that_knows_nobody_is_no_lms(driver, lms):
    """404 with a page, for all: nobody is let go because of it, and the run fails."""
    lms.add("ada", "bob")
    lms.meddle = lambda kind, call: (404, PAGE, HTML) if call.method == "PATCH" or kind == "status" else None
    result = driver.drive()
    assert result.code != 0 and "status 404" in result.err, result
    assert set(lms.states_of_all().values()) == {"PENDING"}


def test_a_person_whom_the_support_page_cancels_in_flight(driver, lms):
    lms.add("ada", "bob")

    def cancel(kind, call):
        if kind == "retiring_ecom" and call.username == "bob":
            lms.put("bob", "ABORTED")
        return None

    lms.meddle = cancel
    done = driver.drive_all()
    assert (done["completed"], done["errored"]) == (1, 0)
    assert lms.state_of("bob") == "ABORTED" and len(lms.calls_for("bob")) == 1


# ---- 20, 52. Rows that cannot be used ----

def text_of(row, **changes):
    return json.dumps({**row, **changes})


BAD_ROWS = {
    "half an emoji": lambda row: text_of(row, original_username="X").replace("X", "\\ud83d"),
    "a NUL in the name": lambda row: text_of(row, original_username="b\0d"),
    "an id over 64 bits": lambda row: text_of(row, id=2**64 - 1),
    "an id that is a text": lambda row: text_of(row, id="102"),
    "no id": lambda row: text_of({k: v for k, v in row.items() if k != "id"}),
    "a negative id": lambda row: text_of(row, id=-1),
    "a long user name": lambda row: text_of(row, original_username="x" * 16000),
    "a user name one too long": lambda row: text_of(row, original_username="x" * 151),
    "a very long name": lambda row: text_of(row, original_name="x" * 2000000),
    "an empty user name": lambda row: text_of(row, original_username=""),
    "no user name": lambda row: text_of({k: v for k, v in row.items() if k != "original_username"}),
    "a user name that is a number": lambda row: text_of(row, original_username=5),
    "an address that is a list": lambda row: text_of(row, original_email=["a"]),
    "no state": lambda row: text_of(row, current_state=None),
    "a state that is a text": lambda row: text_of(row, current_state="PENDING"),
    "an account id of many digits": lambda row: text_of(row, user={"id": 10**100}),
    "an account id that is a text": lambda row: text_of(row, user={"id": "1102"}),
    "two user names": lambda row: text_of(row)[:-1] + ', "original_username": "ada"}',
    "no object": lambda row: "17",
    "null": lambda row: "null",
    "no JSON": lambda row: "{'id': 102}",
    "no UTF-8": lambda row: text_of(row).replace("Name of bad", "\udcff\udcfe"),
    "deep": lambda row: text_of(row, user=0).replace("0", "[" * 5000 + "]" * 5000, 1),
}
NAMED = {"half an emoji", "a NUL in the name", "a long user name", "a user name one too long", "a very long name",
         "an empty user name", "no user name", "a user name that is a number", "an address that is a list", "no state",
         "a state that is a text", "an account id of many digits", "an account id that is a text", "two user names", "no UTF-8"}


@pytest.mark.parametrize("what", BAD_ROWS)
def test_a_row_that_cannot_be_used(driver, lms, what):
    """It is left out, named by its id where it has one, without a word of it; the others go on, after each start."""
    lms.add("ada", "bad", "cyd")

    def spoil(kind, call):
        if kind != "queue":
            return None
        status, rows = lms.queue(call)
        texts = [BAD_ROWS[what](row) if row["original_username"] == "bad" else json.dumps(row) for row in rows]
        return status, ("[" + ", ".join(texts) + "]").encode("utf-8", "surrogateescape")

    lms.meddle = spoil
    result = driver.drive("--json")
    assert result.code == 0 and result.json["completed"] == 2, result
    assert "of the LMS cannot be used" in result.err and "xxxxx" not in result.err
    assert result.err.count("cannot be used") == 1
    if what in NAMED:
        assert "retirement 102 of the LMS" in result.err, result.err
    if "long" in what and what != "a very long name":
        assert "more than 150 characters" in result.err
    lms.add("dan")
    assert driver.drive_all()["completed"] == 1
    assert lms.state_of("bad") == "PENDING" and lms.calls_for("bad") == []


def test_a_list_without_any_retirement_is_nonsense(driver, lms):
    """It is asked again, as another answer that makes no sense, and nobody reads that no one is due."""
    lms.add("ada")
    times = []
    lms.meddle = lambda kind, call: times.append(1) or (200, [17, None, "x", {}]) if kind == "queue" and len(times) < 2 else None
    result = driver.drive("--json")
    assert result.code == 0 and result.json["completed"] == 1 and "no item of its list is a retirement" in result.err, result


GOOD_ROWS = {
    "half an emoji in the name": lambda row: text_of(row, original_name="X").replace("X", "\\ud83d"),
    "a NUL in the name": lambda row: text_of(row, original_name="a\0b"),
    "an account id over 64 bits": lambda row: text_of(row, user={"id": 2**70 + row["id"]}),
    "numbers of every size": lambda row: text_of(row, more=[2**64, -2**63, 1e300, 0.1])[:-1] + ', "most": 1e999}',
    "a key twice": lambda row: text_of(row)[:-1] + ', "note": 1, "note": 2}',
    "no account": lambda row: text_of(row, user=None),
}


@pytest.mark.parametrize("what", GOOD_ROWS)
def test_a_row_whose_odd_part_is_not_needed(driver, lms, what):
    lms.add("ada", "odd")

    def spoil(kind, call):
        if kind != "queue":
            return None
        status, rows = lms.queue(call)
        return status, "[" + ",".join(GOOD_ROWS[what](row) for row in rows) + "]"

    lms.meddle = spoil
    assert driver.drive_all()["completed"] == 2


def test_a_driver_that_stays_says_a_bad_row_once(driver, lms):
    driver.configure(driver={"poll": "100ms"})
    lms.add("bad")
    lms.rows["bad"]["original_email"] = 5
    process = driver.start("drive")
    driver.wait_said(process, "retirement 101 of the LMS cannot be used")
    looks = len(lms.queries)
    wait_for(lambda: len(lms.queries) > looks + 5)
    lms.rows["bad"]["original_email"] = "bad@example.com"
    wait_for(lambda: lms.state_of("bad") == "COMPLETE")
    assert driver.kill(process, 15) == 0
    assert driver.log(process).count("cannot be used") == 1


def test_a_person_who_is_listed_twice(driver, lms):
    lms.add("ada", "bob")

    def twice(kind, call):
        if kind == "queue":
            status, rows = lms.queue(call)
            return status, rows + rows
        return None

    lms.meddle = twice
    done = driver.drive_all()
    assert (done["people"], done["completed"]) == (2, 2)
    assert len(lms.calls) == 6


def test_two_retirements_of_one_user_name(driver, lms):
    """The LMS is told of people by user name: of which of the two, nobody could say."""
    lms.add("ada", "bob")

    def double(kind, call):
        if kind == "queue":
            status, rows = lms.queue(call)
            return status, [*rows, *({**row, "id": 900} for row in rows if row["original_username"] == "bob")]
        return None

    lms.meddle = double
    result = driver.drive("--json")
    assert result.code == 0 and result.json["completed"] == 1, result
    assert "retirement 102 of the LMS" in result.err and "retirement 900 of the LMS" in result.err
    assert lms.states_of_all() == {"ada": "COMPLETE", "bob": "PENDING"}


# ---- 24. A queue of any length ----

def test_a_queue_of_more_than_16_mib(driver, lms):
    """An LMS that ignores `limit` gives all of it; the driver takes as many as it has places, and comes again."""
    driver.configure(driver={"max_in_flight": 10, "batch": 3}, fuse={"people": 0})
    lms.add("ada", "bob", "cyd")
    more = [{**lms.rows["ada"], "id": 1000 + i, "original_username": f"u{i}", "original_email": f"u{i}@example.com", "user": None,
             "note": "x" * 1000} for i in range(20000)]

    def fill(kind, call):
        if kind == "queue":
            status, rows = lms.queue(call)
            return status, rows + more if "PENDING" in call.path else rows
        return None

    lms.meddle = fill
    done = driver.drive_all()
    assert done["completed"] == 3
    assert set(lms.states_of_all().values()) == {"COMPLETE"}


# ---- An LMS that keeps to `limit` ----

@pytest.fixture
def short_pages(lms):
    """It gives the first rows, as many as it was asked for."""
    def cut(kind, call):
        if kind != "queue":
            return None
        status, rows = lms.queue(call)
        return status, rows[:int(lms.queries[-1]["limit"][0])] if "limit" in lms.queries[-1] else rows

    lms.meddle = cut
    return cut


@pytest.mark.parametrize("once", [True, False])
def test_people_before_a_shut_service_hide_no_others(driver, lms, short_pages, once):
    """Thirty wait for a service that fails; those behind them in the list go on."""
    driver.configure(driver={"max_in_flight": 4, "poll": "100ms"}, fuse={"people": 0})
    lms.add(*(f"waits{i}" for i in range(30)), state="FORUMS_COMPLETE")
    lms.add(*(f"goes{i}" for i in range(10)), state="ECOM_COMPLETE")
    lms.meddle = lambda kind, call: 503 if "/user_management/" in kind else short_pages(kind, call)
    lms.add("ada")
    process = driver.start("drive", *(["--once"] if once else []))
    wait_for(lambda: all(lms.state_of(f"goes{i}") == "COMPLETE" for i in range(10)))
    wait_for(lambda: lms.state_of("ada") in ("FORUMS_COMPLETE", "RETIRING_ECOM"))
    assert not any(lms.state_of(f"waits{i}") == "COMPLETE" for i in range(30))
    driver.kill(process, 15)


def test_people_who_are_left_out_hide_no_others(driver, lms, short_pages):
    driver.configure(driver={"max_in_flight": 4}, fuse={"people": 0})
    lms.add(*(f"bad{i}" for i in range(50)), "ada", "bob")
    for i in range(50):
        lms.rows[f"bad{i}"]["original_email"] = 5
    done = driver.drive_all()
    assert (done["completed"], done["set_aside"]) == (2, 50)
    assert len(lms.queries) < 12


def test_people_in_between_hide_no_far_more_than_usual(driver, lms, short_pages):
    """The page is full before those in PENDING are counted: it is asked for again, and the fuse blows."""
    driver.configure(fuse={"people": 20}, driver={"max_in_flight": 5})
    lms.add(*(f"between{i}" for i in range(15)), state="FORUMS_COMPLETE")
    lms.add(*(f"user{i}" for i in range(21)))
    result = driver.drive()
    assert result.code == 4 and "the fuse has blown" in result.err, result
    assert sum(state == "PENDING" for state in lms.states_of_all().values()) == 21
    assert sum(state == "COMPLETE" for state in lms.states_of_all().values()) == 15


# ---- updates only, pages, redirects ----

@pytest.mark.parametrize("status", [401, 403])
def test_updates_are_forbidden(driver, lms, status):
    """Who may read the queue may not always move people: no one is called, and the run says so."""
    lms.add("ada")
    lms.meddle = lambda kind, call: (status, {"detail": "You do not have permission"}) if call.method == "PATCH" else None
    result = driver.drive()
    assert result.code != 0 and "You do not have permission" in result.err and lms.calls == [], result


def test_updates_are_forbidden_to_a_driver_that_stays(driver, lms):
    """It is said once, and does not end; the looks in between that succeed are no answer."""
    driver.configure(driver={"poll": "100ms"})
    lms.add("ada")
    lms.meddle = lambda kind, call: (403, {"detail": "no"}) if call.method == "PATCH" and len(lms.service.calls) < 60 else None
    process = driver.start("drive")
    lms.service.calls.clear()
    wait_for(lambda: sum(call.method == "PATCH" for call in lms.service.calls) >= 4)
    lms.meddle = lambda kind, call: None
    wait_for(lambda: lms.state_of("ada") == "COMPLETE")
    assert driver.kill(process, 15) == 0
    said = driver.log(process)
    assert said.count("(no: is the user of client_id the LMS's") == 1, said


@pytest.mark.parametrize("kind", ["queue", "retiring_forums", "ecom_complete", "status"])
def test_a_bad_gateway_passes(driver, lms, kind):
    lms.add("ada")
    times = []
    lms.meddle = lambda k, call: times.append(1) or (502, PAGE, HTML) if k == kind and len(times) < 2 else None
    assert driver.drive_all()["completed"] == 1
    assert lms.moves_of("ada") == WAY


@pytest.mark.parametrize("kind", ["queue", "retiring_forums", "status"])
def test_a_redirect_to_a_sign_in_page(driver, lms, kind):
    """The address or the credentials are wrong: nobody is called, and the run fails with the status."""
    lms.add("ada")
    lms.meddle = on(kind, (302, b"", {"Location": "/login?next=/api"}))
    result = driver.drive_one("ada") if kind == "status" else driver.drive()
    assert result.code != 0 and "302" in result.err and lms.calls == [], result


# ---- 27. Stopped before anybody was found ----

@pytest.mark.parametrize("hangs", [True, False])
def test_a_run_that_is_stopped_does_not_read_as_done(driver, lms, hangs):
    """While the first look is under way, whose answer comes never or is none."""
    reached, gate = threading.Event(), threading.Event()
    lms.meddle = lambda kind, call: (reached.set(), gate.wait(TIMEOUT), 503)[2] if kind == "queue" else None
    lms.add("ada")
    driver.configure(log={"level": "debug"})
    process = driver.start_once()
    assert reached.wait(TIMEOUT)
    process.send_signal(signal.SIGTERM)
    driver.wait_said(process, "waited for")
    if hangs:
        process.send_signal(signal.SIGTERM)
    else:
        gate.set()
    assert process.wait(TIMEOUT) == 1
    gate.set()
    said = process.stdout.read().decode()
    assert "one is due" not in said and "one else is due" not in said, said
    assert "stopped by a signal before all people were done" in driver.log(process)


def test_a_run_that_is_stopped_with_people_says_how_many(driver, lms):
    reached, gate = threading.Event(), threading.Event()
    lms.meddle = lambda kind, call: (reached.set(), gate.wait(TIMEOUT), None)[2] if "retire_forum" in kind else None
    lms.add("ada", "bob")
    driver.configure(log={"level": "debug"})
    process = driver.start_once()
    assert reached.wait(TIMEOUT)
    process.send_signal(signal.SIGTERM)
    driver.wait_said(process, "stopping")
    gate.set()
    assert process.wait(TIMEOUT) == 1
    said = process.stdout.read().decode()
    assert "2 people" in said and "0 completed" in said and "given back" in said, said


def test_people_who_waited_for_a_turn_when_it_ended_were_not_called_for(driver, lms):
    """Ten are in the working state, and the service takes eight at once: for the others "nobody" is its own word."""
    people = [f"user{i}" for i in range(10)]
    lms.add(*people)
    gate, asked = Gate(answer=404), []
    lms.meddle = lambda kind, call: asked.append(call.username) or gate(call) if kind == FORUM else None
    driver.configure(log={"level": "debug"})
    process = driver.start_once()
    wait_for(lambda: len(asked) == 8 and set(lms.states_of_all().values()) == {"RETIRING_FORUMS"}, "ten have entered the stage")
    process.send_signal(signal.SIGTERM)
    driver.wait_said(process, "stopping")
    gate.open()
    assert process.wait(TIMEOUT) == 1
    waited = set(people) - set(asked)
    assert driver.drive_all()["completed"] == 10
    done = {name: response for name, state, response in lms.moves if state == "FORUMS_COMPLETE"}
    assert len(waited) == 2 and all('"outcome":"nothing_to_erase"' in done[name] for name in waited), done


# ---- What to do about it ----

@pytest.mark.parametrize("kind,answer,words", [
    ("queue", (302, b"", {"Location": "/login?next=/api"}), "status 302: is base_urls.lms the address of the LMS itself"),
    ("retiring_forums", (302, b"", {"Location": "/login"}), "status 302: is base_urls.lms the address of the LMS itself"),
    ("queue", (404, PAGE, HTML), "status 404: is base_urls.lms the address of the LMS itself"),
    ("queue", (403, {"detail": "You may not."}), "You may not.: is the user of client_id the LMS's RETIREMENT_SERVICE_WORKER"),
    ("queue", (400, json.dumps("Unknown state.")), "Unknown state.: does the LMS have all states of the stages?"),
    ("token", (401, {"error": "invalid_client"}), "is it the client_id and client_secret of an application of the LMS"),
])
def test_the_error_says_what_to_look_at(driver, lms, kind, answer, words):
    lms.meddle = on(kind, answer)
    lms.add("ada")
    result = driver.drive()
    assert result.code != 0 and words in result.err, result


# ---- 25. The fuse ----

def test_far_more_people_than_usual(driver, lms):
    """Six are due of five: nobody is begun; those who are under way go on; an operator lets them."""
    driver.configure(fuse={"people": 5})
    lms.add("ada", "bob", state="FORUMS_COMPLETE")
    lms.add(*(f"user{i}" for i in range(6)))
    result = driver.drive()
    assert result.code == 4 and "the fuse has blown" in result.err, result
    assert sum(state == "PENDING" for state in lms.states_of_all().values()) == 6
    assert lms.state_of("ada") == lms.state_of("bob") == "COMPLETE"
    assert driver.drive().code == 4, "it stays so"
    shown = driver.ok("fuse", "show", "--json").json
    assert shown["blown"] and (shown["history"][0]["due"], shown["history"][0]["most"]) == (6, 5)
    assert driver.lethe("fuse", "release").code == 2, "the reason is wanted"
    assert "released for 6 people" in driver.ok("fuse", "release", "--reason", "the import of June").out
    assert driver.lethe("fuse", "release", "--reason", "again").code == 4
    assert driver.drive_all()["completed"] == 6
    driver.drive_all()
    history = driver.ok("fuse", "show", "--json").json["history"]
    assert [(entry["blown"], entry["reason"]) for entry in history] == [
        (False, "the queue is usual again"), (False, "the import of June"), (True, None)]


def test_as_many_as_usual(driver, lms):
    driver.configure(fuse={"people": 5})
    lms.add(*(f"user{i}" for i in range(5)))
    assert driver.drive_all()["completed"] == 5


@pytest.mark.parametrize("limited", [True, False])
def test_a_fuse_of_ones_own(driver, lms, limited):
    """Also where the LMS keeps to `limit`, and a driver that stays has fewer places than people may be due."""
    driver.configure(fuse={"people": 5}, driver={"max_in_flight": 2, "poll": "100ms"})
    if limited:
        lms.meddle = lambda kind, call: (200, lms.queue(call)[1][:int(lms.queries[-1].get("limit", ["900"])[0])]) \
            if kind == "queue" else None
    lms.add(*(f"user{i}" for i in range(6)))
    process = driver.start("drive")
    driver.wait_said(process, "the fuse has blown")
    assert set(lms.states_of_all().values()) == {"PENDING"}
    driver.ok("fuse", "release", "--reason", "it is right")
    wait_for(lambda: set(lms.states_of_all().values()) == {"COMPLETE"})
    assert driver.kill(process, 15) == 0


def test_one_person_by_name_needs_no_fuse(driver, lms):
    driver.configure(fuse={"people": 1})
    lms.add("ada", "bob", "cyd")
    assert driver.drive_one("ada").code == 0


def test_no_fuse(driver, lms):
    driver.configure(fuse={"people": 0})
    lms.add(*(f"user{i}" for i in range(20)))
    assert driver.drive_all()["completed"] == 20


# ---- 18. It dies of a person ----

@pytest.mark.parametrize("people, poison, deaths", [(7, 1, 2), (9, 2, 1), (1, 1, None), (6, 0, 1)])
def test_only_the_people_whom_drivers_die_of_are_errored(driver, lms, people, poison, deaths):
    """The people of a driver that died are tried again in halving groups, before anybody new."""
    names = [f"user{i}" for i in range(people)]
    kill = set(random.Random(people).sample(names, poison))
    driver.configure(driver={"poll": "100ms", **({"deaths_max": deaths} if deaths else {})})
    lms.add(*names)
    running = []

    def meddle(kind, call):
        if call.path != FORUM:
            return None
        if call.json["username"] in kill:
            running[-1].kill()
            return HANG_UP
        return None

    lms.meddle = meddle
    for _ in range(poison * ((people - 1).bit_length() + 1 + (deaths or 5)) + 1):
        running.append(driver.start_once())
        if running[-1].wait(TIMEOUT) >= 0:
            break
        driver.let_leases_end()
    assert running[-1].returncode == 0, driver.log(running[-1])
    assert len(running) > poison * (deaths or 5)
    assert lms.states_of_all() == {name: "ERRORED" if name in kill else "COMPLETE" for name in names}


# ---- 38. Who looks is told why ----

def test_the_summary_has_failures_by_stage_and_cause(driver, lms):
    """The largest group first, and no names."""
    names = [f"user{i:02}" for i in range(20)]
    others = [405, 406, 411, 412, 413, 414, 415, 416, 417, 418, 421, 424, 426]
    status = dict(zip(names, [409] * 3 + [422] * 4 + others))
    lms.add(*names, "ada")
    lms.meddle = lambda kind, call: status.get(call.json["username"]) if call.path == FORUM else None
    said = driver.drive().out.split("ERRORED, from this run and before:\n")[1]
    groups = [line for line in said.splitlines() if " from lms" in line]
    assert [("422" in groups[0], "4" in groups[0]), ("409" in groups[1], "3" in groups[1])] == [(True, True)] * 2, said
    assert len(groups) == 15 and "user0" not in said
