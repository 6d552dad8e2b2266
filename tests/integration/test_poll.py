# SPDX-License-Identifier: Apache-2.0
"""Erasures that take long: started once, then asked about until they are finished, across restarts."""
import json
import signal
import threading

import pytest

from site_under_test import wait_for

START = {"post": "/regulations", "json": {"user": "{original_username}"}, "success": [202], "capture": {"regulation": "/data/id"}}
LOOK = {"get": "/regulations/{regulation}",
        "poll": {"finished": {"/data/status": "FINISHED"}, "failed": {"/data/status": ["FAILED", "INVALID"]}, "every": "1s", "for": "1h"}}


class Regulator:
    """A slow service: each regulation is RUNNING for so many looks."""

    def __init__(self, looks=2):
        self.looks, self.left, self.begun = looks, {}, []
        self.lock = threading.Lock()

    def __call__(self, call):
        with self.lock:
            if call.method == "POST":
                name = f"reg-{call.json['user']}"
                self.left.setdefault(name, self.looks)
                self.begun.append(call.key)
                return 202, {"data": {"id": name}}
            name = call.path.rsplit("/", 1)[1]
            if name not in self.left:
                return 404, {}
            self.left[name] -= 1
            return 200, {"data": {"status": "RUNNING" if self.left[name] >= 0 else "FINISHED"}}

    def finish(self):
        with self.lock:
            self.left = {name: 0 for name in self.left}


@pytest.fixture
def erasing(site, make_service):
    """A stage that begins an erasure and waits for it, and one after it: site.regulator; its steps: site.steps."""
    site.privacy, site.regulator = make_service(), Regulator()
    site.privacy.script = lambda call: site.regulator(call)
    site.service("privacy", site.privacy)
    site.steps = [json.loads(json.dumps(START)), json.loads(json.dumps(LOOK))]
    site.stage("REGULATING", "REGULATED", http={"service": "privacy", "steps": site.steps},
               retry={"for": "5s", "first": "20ms", "longest": "100ms"})
    site.configure(driver={"poll": "100ms"})
    return site


def poll(site, **settings):
    site.steps[1]["poll"].update(settings)


def is_put_off_for_long(site, username):
    later = site.show(username)["later"]
    return later and site.seconds(later["until"]) - site.seconds(later["since"]) > 600


def looks(site):
    return [call for call in site.privacy.calls if call.method == "GET"]


def put_off(site, username, before=None):
    """Waits until a person is put off between two looks (anew, after `before`): until when, and since when."""
    def later():
        now = site.show(username)["later"]
        return now if now and (before is None or now["until"] > before["until"]) else None

    return wait_for(later, f"{username} to be put off")


def memos(site):
    """Do the files of the data directory have what was captured?"""
    return [path.name for path in site.data_dir.iterdir() if path.is_file() and b"reg-ada" in path.read_bytes()]


def test_it_is_begun_once_and_asked_for_until_it_is_finished(erasing):
    erasing.request_all(["ada", "bob"])
    erasing.serve()
    erasing.start_driver()
    erasing.wait_states("COMPLETE")
    assert len(erasing.regulator.begun) == 2 and len(set(erasing.regulator.begun)) == 2
    assert sorted(call.path for call in looks(erasing)) == ["/regulations/reg-ada"] * 3 + ["/regulations/reg-bob"] * 3
    assert {call.key for call in looks(erasing)} == {None}  # or the first answer could be repeated for ever
    assert erasing.recorded("ada", "REGULATED") == {"status": 200, "attempts": 1, "step": 2, "answer": '{"data": {"status": "FINISHED"}}'}
    assert [to for _, to, _ in erasing.history("ada")][-3:] == ["REGULATING", "REGULATED", "COMPLETE"]


def test_what_is_finished_at_once_needs_no_waiting(erasing):
    erasing.regulator = Regulator(looks=0)
    poll(erasing, every="7d")
    erasing.request("ada")
    done = erasing.drive_all()
    assert (done["completed"], done["people"], done["later"], done["calls"], done["retries"]) == (1, 1, 0, 2, 0)


def test_once_leaves_it_to_the_next_run(erasing):
    poll(erasing, every="1h")
    erasing.request("ada")
    said = erasing.ok("drive", "--once").out
    assert "1 person was put off" in said and "No one else is due.\n0 stages, 2 calls, 0 repetitions." in said
    assert erasing.drive_all()["people"] == 0 and len(looks(erasing)) == 1
    erasing.serve()
    later = erasing.show("ada")["later"]
    assert later["since"] < later["until"]
    assert "put off by its driver until" in erasing.ok("plan", "ada").out


def test_a_killed_driver_and_a_killed_server_change_nothing(erasing):
    erasing.regulator = Regulator(looks=10**6)
    erasing.config["stages"][0]["timeout"] = "2s"
    erasing.configure(driver={"poll": "100ms", "lease": "14s"})  # of one that is killed at a look
    erasing.serve()
    erasing.request("ada")
    before = None
    for _ in range(3):
        driver = erasing.start_driver()
        now = put_off(erasing, "ada", before)
        assert before is None or now["since"] == before["since"]
        before = now
        erasing.kill(driver)
        erasing.kill(next(p for p in erasing.processes if p.poll() is None))
        erasing.serve()
    erasing.regulator.finish()
    erasing.start_driver()
    erasing.wait_states("COMPLETE")
    assert len(erasing.regulator.begun) == 1


def test_a_driver_that_is_killed_at_a_look_looks_again(erasing):
    """It does not start the erasure again: the memo that it was started was stored before."""
    reached, killed = threading.Event(), threading.Event()

    def script(call):
        if call.method == "GET" and not reached.is_set():
            reached.set()
            killed.wait(60)
        return erasing.regulator(call)

    erasing.privacy.script = script
    erasing.serve()
    erasing.request("ada")
    driver = erasing.start_driver()
    assert reached.wait(60)
    erasing.kill(driver)
    killed.set()
    erasing.be_away_past_all_leases()
    erasing.start_driver()
    erasing.wait_states("COMPLETE")
    assert len(erasing.regulator.begun) == 1


def test_a_stopped_driver_keeps_what_it_knows(erasing):
    erasing.regulator = Regulator(looks=10**6)
    erasing.serve()
    erasing.request("ada")
    before = None
    for _ in range(2):
        driver = erasing.start_driver()
        before = put_off(erasing, "ada", before)
        assert erasing.kill(driver, signal.SIGTERM) == 0
    erasing.regulator.finish()
    erasing.start_driver()
    erasing.wait_states("COMPLETE")
    assert len(erasing.regulator.begun) == 1


def test_the_time_is_over(erasing):
    """There is a last look at its very end, and it counts from the beginning of the stage."""
    erasing.regulator = Regulator(looks=10**6)
    poll(erasing, every="1h", **{"for": "2s"})
    erasing.request("ada")
    erasing.serve()
    erasing.start_driver()
    erasing.wait_states("ERRORED")
    failed = erasing.recorded("ada", "ERRORED")
    assert failed["error"] == "not finished after 2s" and failed["outcome"] == "unknown" and failed["step"] == 2
    assert "privacy at step 2: not finished after 2s" in erasing.ok("retirement", "failures").out
    assert len(looks(erasing)) >= 2 and erasing.show("ada")["later"] is None


def test_a_time_that_has_passed_while_nobody_drove(erasing):
    erasing.regulator = Regulator(looks=10**6)
    poll(erasing, **{"for": "1s"})
    erasing.request("ada")
    assert erasing.drive_all()["later"] == 1
    erasing.wait_due("ada")
    assert erasing.drive_all()["errored"] == 1
    assert erasing.recorded("ada", "ERRORED")["error"] == "not finished after 1s"


def test_the_service_says_that_it_has_failed(erasing):
    erasing.privacy.script = lambda call: (202, {"data": {"id": 7}}) if call.method == "POST" else (200, {"data": {"status": "INVALID"}})
    erasing.request("ada")
    assert erasing.drive_all()["errored"] == 1
    failed = erasing.recorded("ada", "ERRORED")
    assert failed["error"] == "the service says at /data/status that it has failed" and failed["outcome"] == "failed"
    assert len(looks(erasing)) == 1
    erasing.privacy.script = erasing.regulator = Regulator(looks=0)
    erasing.ok("retirement", "resume", "--all")
    assert erasing.drive_all()["completed"] == 1 and len(erasing.regulator.begun) == 1


@pytest.mark.parametrize("answer", [
    (200, b"<html>we will be back soon</html>"), (200, b""), (200, b'{"data":{"status":"FINISHED"'), (200, {}), (200, {"data": "FINISHED"}),
    (200, {"data": {"status": None}}), (200, {"data": {"status": ["FINISHED"]}}), (200, [{"data": {"status": "FINISHED"}}]), (503, b"FINISHED"),
    (200, b'{"data":{"status":"FINISHED","status":"FINISHED"}}'), (200, b'{"data":{"status":"FINISHED\xff"}}')], ids=repr)
def test_what_cannot_be_understood_is_never_finished(erasing, answer):
    """The driver asks again, as often as the retries allow; it does not start the erasure again."""
    regulator, seen = Regulator(looks=0), []

    def script(call):
        if call.method == "GET" and not seen.append(1) and len(seen) <= 3:
            assert erasing.show("ada")["state"] == "REGULATING"
            return answer
        return regulator(call)

    erasing.privacy.script = script
    erasing.serve()
    erasing.request("ada")
    done = erasing.drive_all()
    assert (done["completed"], done["retries"], len(regulator.begun)) == (1, 3, 1)


def test_and_in_the_end_an_error(erasing):
    erasing.config["stages"][0]["retry"] = {"for": "300ms", "first": "10ms", "longest": "50ms"}
    erasing.config["services"]["privacy"]["breaker"] = "none"  # so many tries of one may be enough for it
    erasing.privacy.script = lambda call: (202, {"data": {"id": "secret"}}) if call.method == "POST" else (200, {"data": {"state": "x"}})
    erasing.request("ada")
    assert erasing.drive_all()["errored"] == 1
    failed = erasing.recorded("ada", "ERRORED")
    assert failed["error"] == "the answer has nothing at /data/status" and failed["outcome"] == "unknown"
    assert len([call for call in erasing.privacy.calls if call.method == "POST"]) == 1


def test_by_statuses_alone(erasing):
    """202 is not finished yet, 204 is; a Retry-After that is longer is heeded, a shorter one is not."""
    said = iter([(202, "", {"Retry-After": "2"}), (202, "", {"Retry-After": "0"}), 204])
    erasing.steps[:] = [{"post": "/erase/{original_username}", "success": [202]}, {"get": "/erased", "poll": {"every": "1s"}}]
    erasing.privacy.script = lambda call: 202 if call.method == "POST" else next(said)
    erasing.request("ada")
    erasing.serve()
    erasing.start_driver()
    erasing.wait_states("COMPLETE")
    assert len(looks(erasing)) == 3 and erasing.recorded("ada", "REGULATED")["status"] == 204


def test_the_call_itself_can_be_the_look(erasing):
    """One step: the same DELETE until the service answers that there is no such person."""
    said = iter([202, 202, 404])
    erasing.steps[:] = [{"delete": "/users/{original_username}", "nothing_to_erase": [404], "poll": {"every": "1s"}}]
    erasing.privacy.script = lambda call: next(said)
    erasing.request("ada")
    erasing.serve()
    erasing.start_driver()
    erasing.wait_states("COMPLETE")
    assert len(erasing.privacy.calls) == 3 and erasing.recorded("ada", "REGULATED")["outcome"] == "gone"


def test_steps_go_on_behind_it(erasing):
    """They use values captured before the poll and by its last answer."""
    erasing.steps[1]["capture"] = {"proof": "/data/status"}
    erasing.steps.append({"delete": "/regulations/{regulation}?proof={proof}"})
    again = []

    def script(call):
        if call.method == "DELETE":
            return 204 if again.append(1) or len(again) > 1 else 503
        return erasing.regulator(call)

    erasing.privacy.script = script
    erasing.request("ada")
    erasing.serve()
    erasing.start_driver()
    erasing.wait_states("COMPLETE")
    assert [call.path for call in erasing.privacy.calls if call.method == "DELETE"] == ["/regulations/reg-ada?proof=FINISHED"] * 2
    assert len(erasing.regulator.begun) == 1 and len(looks(erasing)) == 3  # another attempt goes on at the call that failed


def test_who_waits_can_be_aborted(erasing):
    erasing.regulator = Regulator(looks=10**6)
    poll(erasing, every="1h")
    erasing.serve()
    erasing.request("ada")
    erasing.start_driver()
    wait_for(lambda: is_put_off_for_long(erasing, "ada"), "the first look to be over")
    n = len(erasing.privacy.calls)
    assert erasing.ok("retirement", "move", "ada", "ABORTED", "--reason", "legal hold").code == 0
    assert erasing.state_of("ada") == "ABORTED" and len(erasing.privacy.calls) == n


def test_another_configuration_begins_the_stage_anew(erasing):
    """The memo belongs to other steps."""
    erasing.regulator = Regulator(looks=10**6)
    erasing.request("ada")
    erasing.drive_all()
    erasing.steps[0]["capture"] = {"number": "/data/id"}
    erasing.steps[1]["get"] = "/regulations/{number}"
    erasing.wait_due("ada")
    assert erasing.drive_all()["later"] == 1
    erasing.regulator.finish()
    erasing.wait_due("ada")
    assert erasing.drive_all()["completed"] == 1
    assert len(erasing.regulator.begun) == 2 and len(set(erasing.regulator.begun)) == 1


def test_nothing_of_it_is_left_when_it_is_over(erasing):
    erasing.regulator = Regulator(looks=10**6)
    erasing.serve()
    erasing.request("ada")
    driver = erasing.start_driver()
    put_off(erasing, "ada")
    assert memos(erasing)
    erasing.regulator.finish()
    erasing.wait_states("COMPLETE")
    erasing.kill(driver, signal.SIGTERM)
    assert erasing.post("/api/user/v1/accounts/retirement_cleanup/", {"usernames": ["ada"]}).status == 204
    assert memos(erasing) == []
    assert "reg-ada" not in erasing.logs()


def test_the_plan_says_how_long_it_may_take(erasing):
    erasing.request("ada")
    said = erasing.ok("plan", "ada").out
    assert "again every 1s until it is finished, for 1h at most" in said, said
    stage, = erasing.ok("plan", "ada", "--json").json["steps"]
    assert stage["poll"] is None and stage["then"][0]["poll"] == {"every_s": 1, "for_s": 3600}


def test_what_is_finished_may_have_to_be_looked_at_later(erasing, make_service):
    """First the erasure is slow, then the system that the look asks."""
    left = [1, 0]
    search = make_service(script=lambda call: (200, {"total": left.pop(0)}))
    erasing.service("search", search)
    erasing.config["stages"][0]["verify"] = {
        "http": {"service": "search", "get": "/search?who={original_username}"}, "count": "/total", "after": ["0s", "3s"]}
    erasing.serve()
    erasing.request("ada")
    erasing.start_driver()
    erasing.wait_states("COMPLETE")
    assert len(erasing.regulator.begun) == 1 and len(looks(erasing)) == 3 and len(search.calls) == 2
    done = erasing.recorded("ada", "REGULATED")
    assert done["verification"] == {"left": 0, "status": 200, "tries": 2} and done["step"] == 2


def test_a_hook_after_a_polled_stage_begins_with_its_own_first_call(erasing, make_service):
    """The driver uses its memory of a person again: the alert about ada comes where ada was at the second call."""
    chat = make_service()
    erasing.service("chat", chat)
    erasing.configure(watch={"stuck_after": "1d", "every": "100ms", "alert_every": "100ms"},
                      alerts=[{"name": "chat", "http": {"service": "chat", "post": "/alerts"}}])
    erasing.privacy.script = lambda call: (202, {"data": {"id": "reg-ada"}}) if call.method == "POST" else \
        (200, {"data": {"status": "FAILED"}})
    driver = erasing.run_all()
    erasing.request("ada")
    wait_for(lambda: chat.calls or driver.poll() is not None, "the alert")
    assert driver.poll() is None, "the driver ended"
    assert [call.path for call in chat.calls] == ["/alerts"] and chat.calls[0].json["event"] == "alert"
