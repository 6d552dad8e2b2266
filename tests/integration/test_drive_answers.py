# SPDX-License-Identifier: Apache-2.0
"""Answers by their status, and what is recorded of them. For malformed answers see test_bad_replies.py."""
import time

import pytest

from services import Gate
from site_under_test import wait_for


@pytest.fixture
def erasing(site, make_service):
    """One stage at one service, site.store; nothing is tried again."""
    site.store = make_service()
    site.service("store", site.store)
    site.stage("ERASING", "ERASED", http={"service": "store", "post": "/erase", "json": {"username": "{original_username}"}},
               retry="none")
    site.configure(driver={"poll": "100ms"})
    return site


def drive_one(site, script):
    """Drives ada with this answer of the service; returns her state and the recorded answer."""
    site.store.script = script
    site.request("ada")
    site.drive_all()
    state = site.states()["ada"]
    return state, site.recorded("ada", "ERASED" if state == "COMPLETE" else "ERRORED")


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_redirects_are_never_followed(erasing, make_service, status):
    elsewhere = make_service()
    state, failed = drive_one(erasing, lambda call: (status, "", {"Location": elsewhere.url + "/erase"}))
    assert (state, failed["status"]) == ("ERRORED", status) and "redirect" in failed["error"]
    assert elsewhere.calls == [] and len(erasing.store.calls) == 1


@pytest.mark.parametrize("status", [202, 203, 205, 206, 304, 400, 401, 403, 404, 405, 408, 410, 418, 451])
def test_what_is_not_listed_is_no_success(erasing, status):
    state, failed = drive_one(erasing, lambda call: (status, "so it is"))
    assert (state, failed["status"], failed["attempts"]) == ("ERRORED", status, 1)


def test_accepted_is_enough_where_it_is_listed(erasing):
    erasing.config["stages"][0]["http"]["success"] = [202]
    assert drive_one(erasing, lambda call: (202, "queued"))[0] == "COMPLETE"


def test_and_then_the_usual_success_is_none(erasing):
    erasing.config["stages"][0]["http"]["success"] = [202]
    assert drive_one(erasing, lambda call: (200, "done"))[0] == "ERRORED"


def test_a_long_answer_is_cut_on_record(erasing):
    state, done = drive_one(erasing, lambda call: (200, "x" * 200_000))
    assert state == "COMPLETE" and done["answer_cut"] is True
    assert 60_000 < len(done["answer"]) < 65_536


def test_a_huge_answer_is_no_success(erasing):
    state, failed = drive_one(erasing, lambda call: (200, b"x" * (8 << 20)))
    assert state == "ERRORED" and failed["outcome"] == "unknown"


@pytest.mark.parametrize("body", [b"\xff\xfe\x00binary\x80", b"\x00" * 1000, b"\x1b[2J\x07 bells", b"\xf0\x9f", "\u2028 é 日本".encode()],
                         ids=["binary", "nul", "terminal", "cut character", "unicode"])
def test_answers_that_are_no_text_are_recorded_as_text(erasing, body):
    state, done = drive_one(erasing, lambda call: (200, body))
    assert state == "COMPLETE" and isinstance(done["answer"], str)
    page = erasing.ok("retirement", "show", "ada").out
    assert "\x1b" not in page and "\x07" not in page


def test_neither_names_nor_answers_are_in_the_log(erasing):
    erasing.configure(log={"level": "debug"})
    erasing.store.script = lambda call: (400, f"cannot erase {call.username} of Lovelace Street")
    erasing.run_all()
    erasing.request("adalovelace", email="countess@example.com")
    erasing.wait_states("ERRORED")
    assert "retirement" in erasing.logs()
    for private in ("adalovelace", "countess", "Lovelace Street"):
        assert private not in erasing.logs()


# ---- the limits of a service ----

def test_never_more_calls_at_once_than_the_service_allows(erasing):
    """Calls are held at the gate until there are as many as the limit; other people wait for a place."""
    gate = erasing.store.script = Gate()
    erasing.config["services"]["store"]["max_concurrent"] = 3
    erasing.request_all([f"user{n}" for n in range(40)])
    erasing.run_all()
    wait_for(lambda: erasing.store.at_once == 3)
    erasing.request("newcomer")
    wait_for(lambda: erasing.states()["newcomer"] == "ERASING")  # the driver has turned to others, and has not called
    assert len(erasing.store.calls) == 3
    gate.open()
    erasing.wait_states("COMPLETE")
    assert erasing.store.most_at_once == 3 and len(erasing.store.calls) == 41


def test_never_more_calls_a_second_than_the_service_allows(erasing):
    erasing.config["services"]["store"]["rate"] = "40/s"
    erasing.request_all([f"user{n}" for n in range(60)])
    began = time.monotonic()
    assert erasing.drive_all()["completed"] == 60
    # a tenth of a second's worth may come at once; the rest is spread over (60 - 4) / 40 = 1.4 s
    assert time.monotonic() - began >= 1.4


def test_two_stages_at_one_service_share_its_limits(erasing):
    gate = erasing.store.script = Gate()
    erasing.stage("CHECKING", "CHECKED", http={"service": "store", "post": "/check", "json": {"username": "{original_username}"}})
    erasing.config["services"]["store"]["max_concurrent"] = 2
    erasing.request_all([f"user{n}" for n in range(20)])
    erasing.run_all()
    wait_for(lambda: erasing.store.at_once == 2)
    gate.open()
    erasing.wait_states("COMPLETE")
    assert erasing.store.most_at_once <= 2 and len(erasing.store.calls) == 40
    assert {call.path for call in erasing.store.calls} == {"/check", "/erase"}
