# SPDX-License-Identifier: Apache-2.0
"""on_request and on_cancel: applications are notified in order, at least once, whatever is killed."""
import json
import re
import signal
import threading

import pytest

from services import HANG_UP
from site_under_test import wait_for

QUICK = {"for": "1h", "first": "20ms", "longest": "200ms"}
WHO = {"user": "{original_username}", "email": "{original_email}", "id": "{retirement_id}"}


@pytest.fixture
def app(site, make_service):
    """An application with its own users, which is notified of requests and cancels."""
    service = make_service()
    site.service("app", service, breaker="none")
    site.configure(driver={"poll": "100ms"}, cool_off="7d",
                   on_request=[{"name": "app", "http": {"service": "app", "post": "/lock", "json": WHO}, "retry": QUICK}],
                   on_cancel=[{"name": "app", "http": {"service": "app", "post": "/unlock", "json": WHO}, "retry": QUICK}])
    return service


def deliveries(site, query=""):
    answer = site.get(f"/v1/deliveries{query}")
    assert answer.status == 200, answer
    return answer.json["deliveries"]


def wait_delivered(site, n):
    wait_for(lambda: [d["state"] for d in deliveries(site)] == ["done"] * n, f"{n} deliveries")


def cancel(site, id):
    answer = site.post(f"/v1/retirements/{id}/cancel", {})
    assert answer.status == 200, answer


def test_an_application_is_told_of_a_request_and_of_its_cancel(site, app):
    site.serve()
    asked = site.request("ada")
    wait_for(lambda: len(app.calls) == 1)
    cancel(site, asked["id"])
    wait_delivered(site, 2)
    assert [(c.method, c.path, c.json) for c in app.calls] == [
        ("POST", path, {"user": "ada", "email": "ada@example.com", "id": str(asked["id"])}) for path in ("/lock", "/unlock")]
    assert len({c.key for c in app.calls}) == 2 and all(c.key for c in app.calls)
    told = deliveries(site)
    assert [(d["event"], d["hook"], d["retirement_id"], d["attempts"], d["cause"]) for d in told] == [
        (event, "app", asked["id"], 1, None) for event in ("on_request", "on_cancel")]
    assert all(d["ended"] and not d["next_attempt"] for d in told)
    assert not re.search(r"\bada\b", json.dumps(told))
    site.stop()
    assert not re.search(r"\bada\b", site.logs())


def test_what_was_committed_is_told_after_a_kill_with_the_same_key(site, app):
    """The first call gets no answer, because everything is killed during it; the repeat after the restart has its key."""
    reached, killed = threading.Event(), threading.Event()

    def hold(call):
        reached.set()
        killed.wait(60)
        return HANG_UP

    app.script = hold
    server = site.serve()
    asked = site.request("ada")
    assert reached.wait(60)
    site.kill(server)
    killed.set()
    app.script = lambda call: 204
    site.let_leases_end()
    site.serve()
    wait_delivered(site, 1)
    assert [c.json["user"] for c in app.calls] == ["ada", "ada"] and len({c.key for c in app.calls}) == 1
    assert deliveries(site)[0]["attempts"] == 2 and deliveries(site)[0]["retirement_id"] == asked["id"]


def test_a_request_without_a_server_is_told_by_the_next_one(site, app):
    site.request("ada")
    assert app.calls == []
    site.serve()
    wait_delivered(site, 1)
    assert [c.json["user"] for c in app.calls] == ["ada"]


def test_what_was_refused_or_only_tried_is_told_to_nobody(site, app):
    site.serve()
    site.request("ada")
    assert site.post("/v1/retirements", {"username": "ada", "email": "another@example.com"}).status == 409
    assert site.post("/v1/retirements", {"username": "ada", "email": "ada@example.com"}).status == 200
    people = {"people": [{"username": "eve", "email": "eve@example.com"}]}
    assert site.post("/v1/accounts", {"username": "eve", "email": "eve@example.com"}).status == 201
    assert site.post("/v1/retirements/import", {**people, "dry_run": True}).status == 200
    # One unknown pair undoes the whole, eve's request included.
    both = {"people": people["people"] + [{"username": "nobody", "email": "nobody@example.com"}]}
    assert site.post("/v1/retirements/import", both).status == 409
    assert site.post("/v1/retirements/import", people).status == 200
    wait_delivered(site, 2)
    assert sorted(app_users(app)) == ["ada", "eve"]  # at the same time


def app_users(service):
    return [call.json["user"] for call in service.calls]


def test_a_cancel_waits_for_its_request(site, app):
    """While the application does not take the request, the cancel is not sent; then both are, in their order."""
    down = threading.Event()
    down.set()
    app.script = lambda call: 503 if down.is_set() else 204
    site.serve()
    ada, bob = site.request("ada"), site.request("bob")
    cancel(site, ada["id"])
    wait_for(lambda: len(app.calls) >= 6, "some attempts")
    assert {c.path for c in app.calls} == {"/lock"}
    waiting = deliveries(site, "?state=waiting")
    assert [(d["event"], d["retirement_id"]) for d in waiting] == [
        ("on_request", ada["id"]), ("on_request", bob["id"]), ("on_cancel", ada["id"])]
    wait_for(lambda: {(d["status"], d["cause"]) for d in deliveries(site)[:2]} == {(503, "503 from app")})
    down.clear()
    wait_delivered(site, 3)
    told = [(c.path, c.json["user"]) for c in app.calls]
    assert told.index(("/unlock", "ada")) > max(i for i, one in enumerate(told) if one == ("/lock", "ada"))
    assert len({c.key for c in app.calls if c.json["user"] == "ada"}) == 2


def test_hooks_of_other_names_do_not_wait_for_each_other(site, app, make_service):
    crm = make_service()
    site.service("crm", crm)
    for event in "on_request", "on_cancel":
        site.config[event].append({"name": "crm", "http": {"service": "crm", "post": f"/{event}", "json": WHO}, "retry": QUICK})
    app.script = lambda call: 503
    site.serve()
    cancel(site, site.request("ada")["id"])
    wait_for(lambda: [c.path for c in crm.calls] == ["/on_request", "/on_cancel"])
    assert "/unlock" not in {c.path for c in app.calls}


def test_a_service_that_is_down_is_told_when_it_is_back(site, app):
    site.config["services"]["app"]["breaker"] = {"failures": 2, "pause": "100ms"}
    app.go_down()
    site.serve()
    for name in "ada", "bob", "cid":
        site.request(name)
    wait_for(lambda: "service app fails" in site.logs())
    assert app.calls == []
    app.come_back()
    wait_delivered(site, 3)
    assert sorted(app_users(app)) == ["ada", "bob", "cid"]


def test_a_refusal_is_shown_and_sent_again_by_an_operator(site, app):
    app.script = lambda call: 403 if len(app.calls) == 1 else 204
    server = site.serve()
    asked = site.request("ada")
    wait_for(lambda: [d["state"] for d in deliveries(site)] == ["failed"])
    [failed] = deliveries(site, "?state=failed")
    assert (failed["status"], failed["cause"], failed["attempts"]) == (403, "403 from app", 1) and failed["ended"]
    assert site.one(asked["id"])["state"] == "PENDING"  # it never stands in the way
    assert "failed for good: 403 from app" in site.log(server)
    listed = site.ok("outbox", "list").out
    assert "403 from app" in listed and "failed" in listed and "ada" not in listed
    assert site.ok("outbox", "list", "--json").json[0]["id"] == failed["id"]
    site.ok("outbox", "retry", str(failed["id"]))
    wait_delivered(site, 1)
    assert len({c.key for c in app.calls}) == 2  # a service that remembers its refusal by key would refuse for ever
    assert "done" in site.ok("outbox", "list", "--all").out
    assert site.lethe("outbox", "retry", "99").code == 3


def test_all_that_failed_are_sent_again_and_listed_for_machines(site, app):
    app.script = lambda call: 403 if len(app.calls) <= 2 else 204
    site.serve()
    assert site.ok("outbox", "retry", "--failed", "--json").json == []
    for name in ("ada", "bob"):
        site.request(name)
    wait_for(lambda: [d["state"] for d in deliveries(site)] == ["failed", "failed"])
    again = site.ok("outbox", "retry", "--failed", "--json").json
    assert [(d["id"], d["state"]) for d in again] == [(d["id"], "waiting") for d in deliveries(site)]
    wait_delivered(site, 2)


def test_a_retry_of_what_is_under_way_by_now_says_so(site, make_service):
    """Somebody else has sent the failed delivery again between the list and the retry."""
    def script(call):
        if call.path == "/oauth2/access_token":
            return 200, {"access_token": "x"}
        if call.method == "GET":
            return 200, {"deliveries": [{"id": 7, "state": "failed"}], "next": None}
        return 409, {"title": "Conflict", "detail": "it is being delivered right now", "code": "taken"}

    server = make_service(script=script)
    secret = site.folder / "secret"
    secret.write_text("secret-of-the-client\n")
    secret.chmod(0o600)
    said = site.ok("outbox", "retry", "--failed", "--server", server.url, config=False,
                   env={"LETHE_CLIENT_ID": "x", "LETHE_CLIENT_SECRET_FILE": str(secret)}).out
    assert said == "1 delivery was left alone: under way already.\n"


def test_a_request_that_was_taken_back_is_not_told_again(site, app):
    app.script = lambda call: 403 if call.path == "/lock" else 204
    site.serve()
    asked = site.request("ada")
    wait_for(lambda: [d["state"] for d in deliveries(site)] == ["failed"])
    cancel(site, asked["id"])
    wait_for(lambda: [d["state"] for d in deliveries(site)] == ["failed", "done"])
    answer = site.post(f"/v1/deliveries/{deliveries(site)[0]['id']}/retry")
    assert answer.status == 409 and answer.json["code"] == "overtaken"
    said = site.ok("outbox", "retry", "--failed")
    assert "1 delivery was left alone" in said.out
    assert [c.path for c in app.calls] == ["/lock", "/unlock"]


def test_a_budget_that_is_spent_is_a_failure(site, app):
    app.script = lambda call: 503
    site.config["on_request"][0]["retry"] = {"for": "2s", "first": "50ms", "longest": "50ms"}
    site.serve()
    site.request("ada")
    wait_for(lambda: [d["state"] for d in deliveries(site)] == ["failed"])
    assert deliveries(site)[0]["attempts"] > 1


def test_a_program_gets_the_person_on_its_standard_input(site):
    out = site.folder / "told"
    script = site.folder / "tell"
    script.write_text(f'#!/bin/sh\ncat >> {out}\necho "$@" >> {out}\n')
    script.chmod(0o755)
    site.configure(driver={"poll": "100ms"}, on_request=[{"exec": {"command": ["./tell", "--lock"]}}])
    site.serve()
    asked = site.request("ada")
    wait_delivered(site, 1)
    person, words = out.read_text().splitlines()
    person = json.loads(person)
    assert (person["event"], person["original_username"], person["original_email"], person["retirement_id"], words) == (
        "on_request", "ada", "ada@example.com", str(asked["id"]), "--lock")
    assert person["idempotency_key"] and "stage" not in person
    assert deliveries(site)[0]["hook"] == "1"


def test_coming_back_out_of_aborted_is_told_again_and_a_late_abort_is_not(site, app):
    site.configure(cool_off="0d")
    site.serve()
    asked = site.request("ada")
    cancel(site, asked["id"])
    for state in "PENDING", "RETIRING_LMS", "ABORTED":
        answer = site.post(f"/v1/retirements/{asked['id']}/move", {"state": state, "reason": "a test"})
        assert answer.status == 200, answer
    wait_delivered(site, 3)
    assert [c.path for c in app.calls] == ["/lock", "/unlock", "/lock"]


def test_a_driver_delivers_for_a_server_that_only_knows_the_names(site, app):
    """The server's file has the names alone, the driver's the actions: nothing is delivered before the driver is there."""
    actions = {event: site.config[event] for event in ("on_request", "on_cancel")}
    site.configure(on_request=[{"name": "app"}], on_cancel=[{"name": "app"}])
    site.serve()
    site.request("ada")
    assert [d["state"] for d in deliveries(site)] == ["waiting"] and app.calls == []
    site.config.pop("states")
    site.stage("RETIRING_LMS", "LMS_COMPLETE", http={"service": "app", "post": "/retire", "json": WHO})
    site.configure(**actions)
    site.start_driver()
    wait_delivered(site, 1)
    assert app_users(app) == ["ada"]


def test_once_delivers_what_is_due_and_ends(site, app):
    site.stage("RETIRING_LMS", "LMS_COMPLETE", http={"service": "app", "post": "/retire", "json": WHO})
    site.request("ada"), site.request("bob")
    assert site.drive_all()["delivered"] == 2
    assert sorted((c.path, c.json["user"]) for c in app.calls) == [("/lock", "ada"), ("/lock", "bob")]
    app.go_down()
    site.request("cid")
    site.drive_all()  # does not wait for it
    assert "waiting" in site.ok("outbox", "list").out
    app.come_back()
    wait_for(lambda: site.drive_all() and len(app.calls) == 3, "the third")


def test_what_is_forgotten_is_told_to_nobody(site, app):
    app.script = lambda call: 503
    site.configure(cool_off="0d")
    site.serve()
    gone = site.somebody("COMPLETE", name="planted-ada")
    wait_for(lambda: len(app.calls) > 0)
    answer = site.post("/api/user/v1/accounts/retirement_cleanup/", {"usernames": ["planted-ada"]})
    assert answer.status == 204, answer
    assert deliveries(site) == [] and deliveries(site, f"?retirement={gone['id']}") == []
    site.stop()
    assert "planted" not in site.logs()


@pytest.mark.parametrize("hook,words", [
    ({}, "a hook has an action"),
    ({"name": "No!", "exec": {"command": ["x"]}}, "a hook's name has only"),
    ({"manual": {"instructions": "x"}}, "unknown key manual"),
    ({"exec": {"command": ["x", "{original_email}"]}}, "{original_email} cannot stand here"),
    ({"exec": {"command": ["x"]}, "http": {"service": "app", "post": "/"}}, "one action is wanted"),
    ({"http": {"service": "nosuch", "post": "/"}}, "nosuch"),
    ({"http": {"service": "app", "steps": [{"post": "/", "capture": {"job": "/id"}}, {
        "get": "/{job}", "poll": {"finished": {"/s": "d"}}}]}}, "poll: goes with stages"),
], ids=lambda v: v if isinstance(v, str) else "hook")
def test_a_hook_that_cannot_be_is_refused(site, app, hook, words):
    site.configure(on_request=[hook])
    said = site.lethe("config", "check")
    assert said.code != 0 and words in said.err, said


def test_two_hooks_of_one_name_are_refused(site, app):
    site.configure(on_request=[{"name": "a"}, {"name": "a"}])
    assert "there is a hook a already" in site.lethe("config", "check").err


@pytest.mark.parametrize("path,body,status", [
    ("/v1/deliveries/claims", {"driver": "d", "limit": 0, "hooks": []}, 400),
    ("/v1/deliveries/claims", {"driver": "d", "limit": 101, "hooks": []}, 400),
    ("/v1/deliveries/claims", {"driver": "d", "limit": 1, "hooks": [{"event": "x", "name": "y", "lease_s": 0}]}, 400),
    ("/v1/deliveries/claims", {"driver": "d", "limit": 1, "hooks": [{"event": "x", "name": "y"}]}, 400),
    ("/v1/deliveries/claims", {"driver": "d", "limit": 1, "hooks": [{"event": "x", "lease_s": 1}]}, 400),
    ("/v1/deliveries/claims", {"driver": "d", "limit": 1, "hooks": ["app"]}, 400),
    ("/v1/deliveries/claims", {"driver": "d", "limit": 1}, 400),
    ("/v1/deliveries/claims", {"limit": 1, "hooks": []}, 400),
    ("/v1/deliveries/claims", {"driver": "d", "limit": 1, "hooks": [], "more": 1}, 400),
    ("/v1/deliveries/claims", {"driver": "d", "limit": 1, "hooks": [{"event": "x", "name": "y", "lease_s": 1}]}, 200),
    ("/v1/deliveries/reports", {}, 400),
    ("/v1/deliveries/reports", [{"id": 1, "epoch": 1, "outcome": "done"}] * 1001, 400),
    ("/v1/deliveries/reports", [1], 200),
    ("/v1/deliveries/reports", [], 200),
    ("/v1/deliveries/reports", [{"id": 1, "epoch": 1, "outcome": "done"}], 200),
    ("/v1/deliveries/0/retry", None, 404),
], ids=str)
def test_what_drivers_say_about_deliveries_is_checked(authority, path, body, status):
    assert authority.post(path, body).status == status


def test_a_malformed_report_about_a_delivery_is_refused_alone(site, app):
    site.configure(on_request=[{"name": "app"}])
    site.serve()
    for name in "ada", "bob":
        site.request(name)
    taken = site.post("/v1/deliveries/claims", {"driver": "d", "limit": 10, "hooks": [
        {"event": "on_request", "name": "app", "lease_s": 60}]}).json["deliveries"]
    ada, bob = ({"id": d["id"], "epoch": d["epoch"], "outcome": "done"} for d in taken)
    wrong = [(7, "an object"), ({**ada, "outcome": "lost"}, "outcome"), ({**ada, "outcome": "again", "after_ms": -1}, "after_ms"),
             ({**ada, "outcome": "failed", "cause": "two\nlines"}, "cause"), ({**ada, "outcome": "failed", "cause": "x" * 101}, "cause"),
             ({**ada, "coarse": 1}, "cause")]
    answers = site.post("/v1/deliveries/reports", [bob] + [report for report, _ in wrong]).json
    assert answers[0] == {"id": bob["id"], "ok": True}
    for answer, (report, word) in zip(answers[1:], wrong):
        assert not answer["ok"] and word in answer["detail"] and answer["id"] == (None if report == 7 else ada["id"]), answer
    assert [(d["id"], d["state"]) for d in deliveries(site)] == [(ada["id"], "waiting"), (bob["id"], "done")]
    assert site.post("/v1/deliveries/reports", [ada]).json == [{"id": ada["id"], "ok": True}]


def test_a_long_cause_is_cut_and_is_no_trouble_to_others(site, app, make_service):
    """The error of the failed hook is longer than a cause may be."""
    dead = make_service()
    dead.script = lambda call: HANG_UP
    site.service("x" * 50, dead, breaker="none")
    steps = [{"post": "/"}, {"post": "/more"}]
    site.config["on_request"].append({"name": "dead", "http": {"service": "x" * 50, "steps": steps}, "retry": QUICK})
    site.serve()
    site.request("ada")
    found = wait_for(lambda: [d for d in deliveries(site) if d["hook"] == "dead" and d["attempts"] > 2 and d["cause"]], "more attempts")
    assert found[0]["cause"].startswith("x" * 50 + " at step 1: ") and len(found[0]["cause"]) == 100
    assert [d["state"] for d in deliveries(site) if d["hook"] == "app"] == ["done"]


def test_each_call_wants_its_scope(authority):
    read = authority.token("retirement:read")
    assert authority.get("/v1/deliveries", token=read).status == 200
    assert authority.get("/v1/deliveries?state=lost", token=read).status == 400
    assert authority.get("/v1/deliveries", token=authority.token("retirement:drive")).status == 403
    for path in "/v1/deliveries/claims", "/v1/deliveries/reports", "/v1/deliveries/1/retry":
        assert authority.post(path, None, token=read).status == 403


def test_a_delivery_is_one_drivers_at_a_time(site, app):
    site.configure(on_request=[{"name": "app"}])
    site.serve()
    site.request("ada")
    hook = {"event": "on_request", "name": "app", "lease_s": 60}
    asking = {"driver": "one", "limit": 10, "hooks": [hook]}
    [taken] = site.post("/v1/deliveries/claims", asking).json["deliveries"]
    assert taken["user"]["original_username"] == "ada" and taken["attempts"] == 1 and deliveries(site)[0]["under_way"]
    assert site.post("/v1/deliveries/claims", asking).json["deliveries"] == []
    assert site.post(f"/v1/deliveries/{taken['id']}/retry").json["code"] == "taken"

    def report(outcome, epoch=taken["epoch"], **more):
        return site.post("/v1/deliveries/reports", [{"id": taken["id"], "epoch": epoch, "outcome": outcome, **more}]).json[0]

    assert report("done", epoch=taken["epoch"] + 1) == {"id": taken["id"], "ok": False, "code": "stale_epoch"}
    assert report("again", after_ms=0, cause="503 from app", status=503)["ok"]
    assert report("done")["ok"]  # a repeat of what was reported, which changes nothing
    assert deliveries(site)[0]["state"] == "waiting" and deliveries(site)[0]["status"] == 503
    [again] = site.post("/v1/deliveries/claims", {**asking, "hooks": [{**hook, "lease_s": 1}]}).json["deliveries"]
    assert (again["key"], again["attempts"], again["epoch"]) == (taken["key"], 2, taken["epoch"] + 1)
    assert report("done")["code"] == "stale_epoch"
    assert report("released", epoch=again["epoch"])["ok"] and deliveries(site)[0]["attempts"] == 1
    [third] = wait_for(lambda: site.post("/v1/deliveries/claims", asking).json["deliveries"])
    assert report("done", epoch=third["epoch"])["ok"] and deliveries(site)[0]["state"] == "done"
