# SPDX-License-Identifier: Apache-2.0
"""What a driver file tells operators, whose only Lethe is the one inside the driver: each alarm in exactly one alert, across
kills."""
import json
import signal
import threading

import pytest

from driver_site import ECOM, FORUM, driver, lms  # noqa: F401
from services import told
from site_under_test import TIMEOUT, wait_for


@pytest.fixture
def chat(driver, make_service):
    """A service that receives alerts."""
    service = make_service()
    driver.alert_at(service)
    driver.configure(watch={"alert_every": "100ms"})
    return service


def refuse_everybody(lms):
    lms.meddle = lambda kind, call: 403 if kind == FORUM else None


@pytest.mark.parametrize("once", [True, False])
def test_people_who_become_errored(driver, lms, chat, once):
    refuse_everybody(lms)
    lms.add("planted1", "planted2")
    if once:
        assert driver.drive_all()["errored"] == 2
    else:
        driver.configure(watch={"alert_every": "0s"})
        process = driver.start("drive")
        wait_for(lambda: sum(len(g[4]) for g in told(chat)) == 2)
        assert driver.kill(process, 15) == 0
    groups = told(chat)
    assert {g[:4] for g in groups} == {("errored", "RETIRING_FORUMS", 403, "403 from lms")}
    assert sorted(id for g in groups for id in g[4]) == [1, 2]
    alert = chat.calls[0].json
    assert alert["event"] == "alert" and "ERRORED" in alert["summary"] and "RETIRING_FORUMS" in alert["text"]
    assert "planted" not in json.dumps([call.json for call in chat.calls])
    before = len(chat.calls)
    driver.drive_all()
    assert len(chat.calls) == before, "it is said once"


def test_an_alert_by_mail(driver, lms, make_office):
    office = make_office()
    driver.configure(mail={"server": office.url, "from": "Lethe <lethe@example.com>"}, alerts=[{"mail": {"to": "ops@example.com"}}])
    refuse_everybody(lms)
    lms.add("ada")
    assert driver.drive_all()["errored"] == 1
    [message] = office.parsed()
    assert message["Subject"] == "Lethe: 1 ERRORED" and "retirements 1" in message.get_content()


def test_an_alert_that_cannot_be_delivered_waits_for_the_next_run(driver, lms, chat):
    """With the same key; a run with --once does not wait for it."""
    refuse_everybody(lms)
    lms.add("ada")
    chat.script = lambda call: 503
    assert driver.drive_all()["errored"] == 1
    before = len(chat.calls)
    assert before > 0
    chat.script = lambda call: 204
    wait_for(lambda: driver.drive_all() and len(chat.calls) == before + 1)
    assert len({call.key for call in chat.calls}) == 1 and len(told(chat)) == 1
    driver.drive_all()
    assert len(chat.calls) == before + 1


def test_a_kill_while_an_alert_is_on_its_way(driver, lms, chat):
    reached, gate = threading.Event(), threading.Event()
    chat.script = lambda call: (reached.set(), gate.wait(TIMEOUT), 204)[2]
    refuse_everybody(lms)
    lms.add("ada")
    process = driver.start_once()
    assert reached.wait(TIMEOUT)
    driver.kill(process, signal.SIGKILL)
    gate.set()
    driver.let_leases_end()
    driver.drive_all()
    assert len(told(chat)) == 1 and len({call.key for call in chat.calls}) == 1 and len(chat.calls) == 2


def test_a_kill_while_the_lms_is_told(driver, lms, chat):
    """The LMS has the state, and no driver has seen its answer: the alarm is on disk all the same."""
    reached, gate = threading.Event(), threading.Event()

    def block(kind, call):
        if kind == "errored":
            answer = lms.update(call)
            reached.set()
            gate.wait(TIMEOUT)
            return answer
        return 403 if kind == FORUM else None

    lms.meddle = block
    lms.add("ada")
    process = driver.start_once()
    assert reached.wait(TIMEOUT)
    driver.kill(process, signal.SIGKILL)
    gate.set()
    assert lms.state_of("ada") == "ERRORED"
    driver.let_leases_end()
    driver.drive_all()
    assert told(chat) == [("errored", "RETIRING_FORUMS", 403, "403 from lms", (1,))]


def test_people_who_cannot_go_on(driver, lms, chat):
    """A refusal, and a person whom another program has had in a working state for long."""
    driver.configure(watch={"alert_every": "100ms", "stuck_after": "0s"})
    lms.add("ada", "stray")
    lms.put("stray", "RETIRING_ECOM")
    lms.meddle = lambda kind, call: (400, json.dumps("no")) if kind == "retiring_forums" else None
    for _ in range(3):
        driver.drive()
    assert {(what, stage, ids) for what, stage, _, _, ids in told(chat)} == {("stuck", "RETIRING_FORUMS", (1,)), ("stuck", "RETIRING_ECOM", (2,))}
    assert any("the LMS refuses to move its retirement 101 from PENDING to RETIRING_FORUMS (no)" in cause for _, _, _, cause, _ in told(chat))


def test_the_fuse(driver, lms, chat):
    driver.configure(fuse={"people": 2})
    lms.add("ada", "bob", "cyd")
    for _ in range(2):
        assert driver.drive().code == 4
    assert told(chat) == [("fuse", None, None, "3 people are due, at most 2 are usual", ())]
    assert chat.calls[0].json["fuse_blown"] is True


def test_a_driver_that_is_stopped_keeps_its_alarms(driver, lms, chat):
    reached, gate = threading.Event(), threading.Event()

    def block(kind, call):
        if kind == ECOM:
            reached.set()
            gate.wait(TIMEOUT)
        return 403 if kind == ECOM else None

    lms.meddle = block
    lms.add("ada")
    driver.configure(log={"level": "debug"})
    process = driver.start_once()
    assert reached.wait(TIMEOUT)
    process.send_signal(signal.SIGTERM)
    driver.wait_said(process, "stopping")
    gate.set()
    assert process.wait(TIMEOUT) != 0
    driver.drive_all()
    assert told(chat) == [("errored", "RETIRING_ECOM", 403, "403 from ecommerce", (1,))]
