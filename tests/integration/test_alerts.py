# SPDX-License-Identifier: Apache-2.0
"""Alerts about people in ERRORED and stuck people: once each, by every way, across restarts; and `watch.stuck: error`."""
import json
import signal
import threading

import pytest

from services import told
from site_under_test import wait_for

SOON = {"stuck_after": "0", "every": "100ms", "alert_every": "100ms"}
LATER = {"stuck_after": "1d", "every": "100ms", "alert_every": "100ms"}


@pytest.fixture
def chat(site, make_service):
    """A service that receives alerts, at once."""
    service = make_service()
    site.alert_at(service)
    site.configure(watch=LATER)
    return service


def wait_told(service, expected):
    wait_for(lambda: told(service) == sorted(expected), f"{expected} among {told(service)}")


def report_failed(site, *failures):
    """Reports these failures (claim, status, cause) together: one by one they might be in several alerts."""
    reports = [{"id": claim["id"], "epoch": claim["epoch"], "stage": claim["stage"], "outcome": "failed", "status": status,
                "cause": cause, "response": "planted-response"} for claim, status, cause in failures]
    answer = site.post("/v1/progress", reports)
    assert answer.status == 200 and all(report["ok"] for report in answer.json), answer


def test_who_becomes_errored_is_told_once_with_the_cause(site, chat):
    site.serve()
    ids = [site.somebody(name=f"planted{i}")["id"] for i in range(3)]
    claims = site.claim(limit=3)
    report_failed(site, (claims[0], 502, "502 from forum"), (claims[1], 502, "502 from forum"), (claims[2], 3, "exit status 3"))
    wait_told(chat, [("errored", "RETIRING_FORUMS", 502, "502 from forum", tuple(ids[:2])),
                     ("errored", "RETIRING_FORUMS", 3, "exit status 3", (ids[2],))])
    alert = chat.calls[0].json
    assert alert["event"] == "alert" and "ERRORED" in alert["summary"] and "RETIRING_FORUMS" in alert["text"]
    site.stop()
    assert "planted" not in json.dumps([c.json for c in chat.calls]) + site.logs()


def test_it_is_told_again_only_when_it_happens_again(site, chat):
    server = site.serve()
    who = site.somebody("RETIRING_LMS", "ERRORED")["id"]
    once = ("errored", "RETIRING_LMS", None, None, (who,))
    wait_told(chat, [once])
    site.kill(server)
    site.serve()
    assert site.post(f"/v1/retirements/{who}/resume", {}).status == 200
    assert site.patch("person1", "RETIRING_LMS").status == 204 and site.patch("person1", "ERRORED").status == 204
    wait_told(chat, [once, once])


def test_an_alarm_survives_a_kill_and_is_in_exactly_one_alert(site, chat):
    """The alert is held back, then its first delivery gets no answer. Whatever is killed, each alarm takes effect once a key."""
    site.configure(watch={**LATER, "alert_every": "0"})
    chat.go_down()
    server = site.serve()
    ids = [site.somebody("RETIRING_LMS", "ERRORED")["id"] for _ in range(5)]
    wait_for(lambda: site.get("/v1/deliveries").json["deliveries"])
    site.kill(server)
    site.let_leases_end()
    chat.come_back()
    reached, killed = threading.Event(), threading.Event()
    chat.script = lambda call: reached.set() or killed.wait(60) and 204
    server = site.serve()
    assert reached.wait(60)
    site.kill(server)
    killed.set()
    chat.script = lambda call: 204
    site.let_leases_end()
    site.serve()
    wait_for(lambda: {i for group in told(chat) for i in group[4]} == set(ids))
    assert sum(len(group[4]) for group in told(chat)) == len(ids)  # each in one
    wait_for(lambda: {d["state"] for d in site.get("/v1/deliveries").json["deliveries"]} == {"done"})


def test_a_storm_is_few_messages(site, chat):
    site.configure(watch={**LATER, "alert_every": "1d"})
    site.serve()
    first = site.somebody("RETIRING_LMS", "ERRORED")["id"]
    wait_told(chat, [("errored", "RETIRING_LMS", None, None, (first,))])
    many = site.request_all([f"p{i}" for i in range(250)])
    for claims in iter(lambda: site.claim(limit=100), []):
        report_failed(site, *((claim, 502, "502 from forum") for claim in claims))
    assert len(chat.calls) == 1  # the next is not due
    site.configure(watch={**LATER, "alert_every": "0"})
    site.write_config()
    site.processes[0].send_signal(signal.SIGHUP)
    wait_for(lambda: len({c.key for c in chat.calls}) == 2)
    alert = chat.calls[-1].json
    assert alert["errored"] == 250 and len(alert["groups"]) == 1
    assert alert["groups"][0]["count"] == 250 and alert["groups"][0]["ids"] == sorted(many)[:100]


def test_who_is_stuck_is_told_once_until_they_move(site, chat):
    site.configure(watch=SOON)
    server = site.serve()
    who = site.somebody("RETIRING_FORUMS")["id"]
    stuck = ("stuck", "RETIRING_FORUMS", None, "stuck for 0s", (who,))
    wait_told(chat, [stuck])
    site.kill(server)
    site.serve()
    assert site.patch("person1", "RETIRING_LMS").status == 204
    wait_told(chat, [stuck, ("stuck", "RETIRING_LMS", None, "stuck for 0s", (who,))])
    assert site.one(who)["state"] == "RETIRING_LMS"  # told of, and left


def test_a_stage_has_a_limit_of_its_own(site, chat):
    site.stage("RETIRING_FORUMS", "FORUMS_COMPLETE", stuck_after="1ms", http={"service": "chat", "post": "/", "json": {"user": "{original_username}"}})
    site.stage("RETIRING_LMS", "LMS_COMPLETE", http={"service": "chat", "post": "/", "json": {"user": "{original_username}"}})
    site.serve()
    quick, slow = site.somebody("RETIRING_FORUMS")["id"], site.somebody("RETIRING_LMS")["id"]
    wait_told(chat, [("stuck", "RETIRING_FORUMS", None, "stuck for 1ms", (quick,))])
    listed = [r["id"] for r in site.get("/v1/retirements?stuck=true").json["retirements"]]
    assert listed == [quick] and slow not in listed
    assert site.lethe("check", "--json").json["stuck"] == 1


def test_a_limit_of_its_own_may_be_longer(site):
    site.configure(watch={"stuck_after": "0"})
    site.stage("RETIRING_FORUMS", "FORUMS_COMPLETE", stuck_after="1d", exec={"command": ["x"]})
    site.stage("RETIRING_LMS", "LMS_COMPLETE", exec={"command": ["x"]})
    site.serve()
    site.somebody("RETIRING_FORUMS")
    stuck = [site.somebody("RETIRING_LMS")["id"] for _ in range(3)]
    assert [r["id"] for r in site.get("/v1/retirements?stuck=true").json["retirements"]] == stuck
    assert [r["id"] for r in site.get(f"/v1/retirements?stuck=true&limit=1&after={stuck[0]}").json["retirements"]] == stuck[1:2]


def test_the_watch_moves_who_is_stuck(site, chat):
    site.configure(watch={**SOON, "stuck": "error"})
    site.serve()
    who, idle = site.somebody("RETIRING_FORUMS")["id"], site.somebody("FORUMS_COMPLETE")["id"]
    wait_for(lambda: site.one(who)["state"] == "ERRORED")
    last = site.log_of(who)[-1]
    assert (last["actor"], last["from"], last["to"], last["forced"]) == ("watch", "RETIRING_FORUMS", "ERRORED", True)
    assert last["reason"] == "stuck for 0s: no driver was at work on it"
    wait_told(chat, [("errored", "RETIRING_FORUMS", None, "stuck for 0s", (who,)),
                     ("stuck", "FORUMS_COMPLETE", None, "no driver takes people to RETIRING_LMS", (idle,))])
    assert "moved to ERRORED because they were stuck: 1" in site.logs()
    [group] = site.get("/v1/failures").json["failures"]
    assert (group["stage"], group["cause"], group["count"]) == ("RETIRING_FORUMS", "stuck for 0s", 1)
    assert site.one(who)["resume_state"] == "PENDING" and site.one(idle)["state"] == "FORUMS_COMPLETE"


def test_the_watch_leaves_who_has_a_driver(site):
    site.configure(watch={**SOON, "stuck": "error"})
    site.serve()
    held = site.somebody()["id"]
    [claim] = site.claim(lease_s=600)
    stuck = site.somebody("RETIRING_FORUMS")["id"]
    wait_for(lambda: site.one(stuck)["state"] == "ERRORED")
    assert claim["id"] == held and site.one(held)["state"] == "RETIRING_FORUMS"


def test_all_three_ways(site, chat, make_office):
    office = make_office()
    out = site.folder / "alert.json"
    script = site.folder / "page-me"
    script.write_text(f"#!/bin/sh\ncat > {out}.new; mv {out}.new {out}\n")
    script.chmod(0o755)
    site.configure(mail={"server": office.url, "from": "Lethe <lethe@example.com>"})
    site.config["alerts"] += [{"mail": {"to": "ops@example.com"}}, {"exec": {"command": ["./page-me"]}}]
    site.serve()
    who = site.somebody("RETIRING_LMS", "ERRORED", name="planted-ada")["id"]
    wait_for(lambda: chat.calls and office.messages and out.exists())
    [message] = office.parsed()
    assert message["To"] == "ops@example.com" and message["Subject"] == "Lethe: 1 ERRORED"
    assert message.get_content().replace("\r\n", "\n") == f"1 ERRORED: RETIRING_LMS\n    retirements {who}\n"
    given = json.loads(out.read_text())
    assert given.pop("idempotency_key") and given == chat.calls[0].json
    wait_for(lambda: [d["state"] for d in site.get("/v1/deliveries").json["deliveries"]] == ["done"] * 3)
    listed = site.ok("outbox", "list", "--all").out
    site.stop()
    everything = listed + site.logs() + out.read_text() + str(message) + json.dumps(chat.calls[0].json)
    assert "planted" not in everything


def test_the_fuse_is_told_of(site, chat):
    site.configure(fuse={"people": 2, "times_usual": 0})
    site.serve()
    for _ in range(3):
        site.somebody()
    assert site.claim() == []
    wait_told(chat, [("fuse", None, None, "3 people are due, at most 2 are usual", ())])
    assert chat.calls[0].json["fuse_blown"] is True and "the fuse has blown" in chat.calls[0].json["text"]


def test_once_tells_of_who_failed_in_it(site, chat, make_service):
    bad = make_service(script=lambda call: 403)
    site.service("bad", bad)
    site.stage("RETIRING_FORUMS", "FORUMS_COMPLETE", http={"service": "bad", "post": "/", "json": {"user": "{original_username}"}})
    who = site.request("ada")["id"]
    assert site.drive_all()["errored"] == 1
    assert told(chat) == [("errored", "RETIRING_FORUMS", 403, "403 from bad", (who,))]


def test_run_tells_too(site, chat, make_service):
    bad = make_service(script=lambda call: 403)
    site.service("bad", bad)
    site.stage("RETIRING_FORUMS", "FORUMS_COMPLETE", http={"service": "bad", "post": "/", "json": {"user": "{original_username}"}})
    site.run_all()
    who = site.request("ada")["id"]
    wait_told(chat, [("errored", "RETIRING_FORUMS", 403, "403 from bad", (who,))])


@pytest.mark.parametrize("alert,words", [
    ({"http": {"service": "chat", "post": "/", "json": {"a": "b"}}}, "json: an alert is sent as JSON"),
    ({"http": {"service": "chat", "get": "/"}}, "get: an alert is sent as JSON"),
    ({"http": {"service": "chat", "post": "/{original_username}"}}, "an alert is not about one person"),
    ({"http": {"service": "chat", "post": "/", "headers": {"X-Who": "{original_email}"}}}, "an alert is not about one person"),
    ({"mail": {"to": "ops@example.com"}}, "the section mail"),
    ({}, "a hook has an action"),
], ids=str)
def test_an_alert_that_cannot_be_is_refused(site, chat, alert, words):
    site.configure(alerts=[alert])
    said = site.lethe("config", "check")
    assert said.code != 0 and words in said.err, said


def test_an_alert_to_a_person_is_refused(site, make_office):
    site.configure(mail={"server": make_office().url, "from": "lethe@example.com"},
                   alerts=[{"mail": {"to": "{original_email}"}}])
    assert "an alert is not about one person" in site.lethe("config", "check").err


# -- the confirmation --

PASSWORD = "correct horse battery"


@pytest.fixture
def signing(site, make_office):
    """A directory that confirms requests by e-mail; signing.leave(name) requests the user's own deletion."""
    site.office = make_office()
    site.configure(mail={"server": site.office.url, "from": "Example <lethe@example.com>"}, driver={"poll": "100ms"}, cool_off="7d")

    def leave(name):
        email = f"{name}@Example.com"
        made = site.post("/v1/accounts", {"username": name, "email": email, "name": "N", "password": PASSWORD})
        assert made.status == 201, made
        session = site.post("/v1/sessions", {"username": name, "password": PASSWORD}, token="")
        assert session.status in (200, 201), session
        return site.post("/api/user/v1/accounts/deactivate_logout/", {"password": PASSWORD}, token="",
                         headers={"Authorization": f"Bearer {session.json['token']}"})

    site.leave = leave
    return site


def test_who_asks_for_themselves_gets_a_confirmation(signing):
    signing.serve()
    assert signing.leave("planted-ada").status == 204
    wait_for(lambda: signing.office.messages)
    [message] = signing.office.parsed()
    assert message["To"] == "planted-ada@Example.com" and message["Subject"] == "Your account is going to be deleted"
    assert message.get_content().startswith("Hello planted-ada,\r\n\r\nwe have received your request")
    wait_for(lambda: [(d["event"], d["state"]) for d in signing.get("/v1/deliveries").json["deliveries"]] == [("confirmation", "done")])
    listed = signing.ok("outbox", "list", "--all").out
    signing.stop()
    assert "planted" not in listed + signing.logs()


def test_a_confirmation_that_cannot_be_sent_undoes_nothing(signing):
    signing.config["mail"]["confirmation"] = {"subject": "Bye {original_username}", "text": "Gone.\n"}
    signing.office.script = lambda step, text: "550 no" if step == "RCPT" else ""
    signing.serve()
    assert signing.leave("ada").status == 204
    wait_for(lambda: [(d["state"], d["cause"]) for d in signing.get("/v1/deliveries").json["deliveries"]] == [("failed", "550 from mail")])
    assert signing.states() == {"ada": "PENDING"}
    signing.office.script = lambda step, text: ""
    signing.ok("outbox", "retry", "--failed")
    wait_for(lambda: signing.office.messages)
    assert signing.office.parsed()[0]["Subject"] == "Bye ada"


def test_no_confirmation_where_none_is_wanted_or_others_ask(signing):
    signing.config["mail"]["confirmation"] = "none"
    signing.serve()
    assert signing.leave("ada").status == 204
    assert signing.get("/v1/deliveries").json["deliveries"] == []
    signing.stop()
    del signing.config["mail"]["confirmation"]
    signing.serve()
    signing.request("bob")
    assert signing.get("/v1/deliveries").json["deliveries"] == []
