# SPDX-License-Identifier: Apache-2.0
"""Verification: services that claim success and keep the data, that need time, or that cannot be asked."""
import json
import signal
import threading
import time

import pytest

from driver_site import driver, lms  # noqa: F401
from services import HANG_UP
from site_under_test import wait_for

PEOPLE = "/people/{original_username}"
BY_STATUS = {"http": {"service": "forum", "get": PEOPLE}, "expect": {"status": [404]}}
AS_IT_IS = object()
BY_COUNT = {"http": {"service": "forum", "get": "/search?author={original_username}"}, "count": "/total"}


class Forum:
    """Erases no records by itself: `left` says how many records a person still has, at each look. `looks` by name."""

    def __init__(self, make_service):
        self.left = lambda name, look: 0
        self.answer = lambda look: AS_IT_IS  # to the first look, the second one and so on
        self.looks = {}
        self.erased = []
        self.lock = threading.Lock()
        self.service = make_service(script=self.script)

    def script(self, call):
        if call.method == "POST":
            self.erased.append(call)
            return 204
        name = call.path.rsplit("=" if "=" in call.path else "/", 1)[1]
        with self.lock:
            look = self.looks[name] = self.looks.get(name, 0) + 1
        answer = self.answer(look)
        if answer is not AS_IT_IS:
            return answer
        left = self.left(name, look)
        if "/search" in call.path:
            return 200, {"total": left, "results": ["about " + name] * left}
        gone = 404, {"detail": "no such person"}
        return (200, {"username": name}) if left else gone


@pytest.fixture
def forum(make_service):
    return Forum(make_service)


@pytest.fixture
def verifying(site, forum):
    """A site whose only stage erases a person in the forum, and then looks."""
    site.service("forum", forum.service)
    site.stage("RETIRING_FORUM", "FORUM_COMPLETE",
               http={"service": "forum", "post": "/retire", "json": {"username": "{original_username}"}},
               retry={"for": "60s", "first": "10ms", "longest": "50ms"}, verify=dict(BY_COUNT))
    site.configure(driver={"poll": "100ms"})
    return site


def verify(site, **settings):
    """Changes settings of the only stage's verification."""
    for key, value in settings.items():
        site.config["stages"][0]["verify"][key] = value


# ---- all is gone, or it is not ----

@pytest.mark.parametrize("how, status", [(BY_STATUS, 404), (BY_COUNT, 200)])
def test_what_is_gone_is_verified_and_on_record(verifying, forum, how, status):
    verifying.config["stages"][0]["verify"] = how
    verifying.request("ada")
    done = verifying.drive_all()
    assert (done["completed"], done["calls"]) == (1, 2)
    assert verifying.recorded("ada", "FORUM_COMPLETE") == {
        "status": 204, "attempts": 1, "verification": {"left": 0, "status": status, "tries": 1}}


def test_the_log_counts_attempts_at_the_erasure_and_not_at_the_look(verifying, forum):
    answers = [503, 204]
    forum.service.script = lambda call: answers.pop(0) if call.method == "POST" else forum.script(call)
    verifying.serve()
    verifying.request("ada")
    driver = verifying.start_driver()
    verifying.wait_states("COMPLETE")
    verifying.wait_said(driver, "stage=RETIRING_FORUM done, attempts: 2")


def test_a_look_carries_no_key_of_the_erasure(verifying, forum):
    """A service that honours the key would repeat its answer to the erasure."""
    verifying.request("ada")
    verifying.drive_all()
    erasure, look = forum.service.calls
    assert erasure.key and look.key is None and look.raw == b""


@pytest.mark.parametrize("how, left", [(BY_STATUS, 1), (BY_COUNT, 3)])
def test_residue_is_never_complete(verifying, forum, how, left):
    """The service says 204 and keeps the data."""
    verifying.config["stages"][0]["verify"] = how
    forum.left = lambda name, look: 3
    verifying.request("ada")
    done = verifying.drive_all()
    assert (done["completed"], done["errored"]) == (0, 1)
    failed = verifying.recorded("ada", "ERRORED")
    assert (failed["outcome"], failed["verification"]["left"], failed["status"]) == ("residue", left, 204)
    assert failed["error"] == ("1 record left in forum" if left == 1 else "3 records left in forum")
    assert "ada" in failed["answer"]
    assert verifying.states() == {"ada": "ERRORED"}
    assert "records left" not in [to for _, to, _ in verifying.history("ada")]


def test_who_fails_so_stands_together_whatever_is_left(verifying, forum):
    forum.left = lambda name, look: len(name)
    verifying.request_all(["al", "bob", "carla"])
    assert verifying.drive_all()["errored"] == 3
    [group] = verifying.ok("retirement", "failures", "--json").json["failures"]
    assert (group["count"], group["cause"], group["stage"]) == (
        3, "verification: records left in forum", "RETIRING_FORUM")


def test_resume_repeats_the_erasure_and_the_look(verifying, forum):
    forum.left = lambda name, look: 2 if look == 1 else 0
    verifying.request("ada")
    assert verifying.drive_all()["errored"] == 1
    verifying.ok("retirement", "resume", "ada")
    assert verifying.drive_all()["completed"] == 1
    assert len(forum.erased) == 2 and len({call.key for call in forum.erased}) == 2
    assert forum.looks == {"ada": 2}


def test_nothing_to_erase_is_looked_at_too(verifying, forum):
    """The service may have looked for another name."""
    verifying.config["stages"][0]["http"].update(post="/retire", nothing_to_erase=[404])
    script = forum.service.script
    forum.service.script = lambda call: 404 if call.method == "POST" else script(call)
    forum.left = lambda name, look: 1 if name == "bob" else 0
    verifying.request_all(["ada", "bob"])
    verifying.drive_all()
    assert verifying.states() == {"ada": "COMPLETE", "bob": "ERRORED"}
    assert verifying.recorded("ada", "FORUM_COMPLETE")["outcome"] == "nothing_to_erase"
    assert verifying.recorded("bob", "ERRORED")["outcome"] == "residue"


# ---- systems that need time ----

def test_eventually_gone_is_gone(verifying, forum):
    verify(verifying, after=["0s", "100ms", "200ms", "300ms"])
    forum.left = lambda name, look: max(3 - look, 0)
    verifying.request("ada")
    assert verifying.drive_all()["completed"] == 1
    assert forum.looks == {"ada": 3} and len(forum.erased) == 1
    assert verifying.recorded("ada", "FORUM_COMPLETE")["verification"] == {"left": 0, "status": 200, "tries": 3}


def test_residue_at_the_last_look_is_residue(verifying, forum):
    verify(verifying, after=["50ms", "100ms", "150ms"])
    forum.left = lambda name, look: 5 - look
    verifying.request("ada")
    assert verifying.drive_all()["errored"] == 1
    assert verifying.recorded("ada", "ERRORED")["verification"] == {"left": 2, "status": 200, "tries": 3}


def test_no_look_comes_before_its_time(verifying, forum):
    verify(verifying, after=["400ms", "900ms"])
    forum.left = lambda name, look: 2 - look
    verifying.request("ada")
    assert verifying.drive_all()["completed"] == 1
    erasure, *looks = forum.service.calls
    assert looks[0].at - erasure.at >= 0.4 and looks[1].at - erasure.at >= 0.9


def test_others_go_on_while_somebody_waits_for_a_look(verifying, forum):
    """Neither the service's places nor the stage are taken meanwhile."""
    verifying.config["services"]["forum"]["max_concurrent"] = 1
    verify(verifying, after=["0s", "1h"])
    forum.left = lambda name, look: 1 if name == "ada" else 0
    verifying.request_all(["ada", "bob", "carla"])
    verifying.run_all()
    verifying.wait_states({"ada": "RETIRING_FORUM", "bob": "COMPLETE", "carla": "COMPLETE"})
    assert forum.looks["ada"] == 1


def test_a_long_wait_is_held_by_nobody(verifying, forum):
    """No lease, no place of max_in_flight, and no second erasure when the time has come."""
    verifying.configure(driver={"poll": "100ms", "max_in_flight": 1})
    verify(verifying, after=["0s", "1h"])
    forum.left = lambda name, look: 2 - look if name == "ada" else 0
    server = verifying.serve()
    ada = verifying.request("ada")
    verifying.request_all(["bob", "carla"])
    driver = verifying.start_driver()
    verifying.wait_states({"ada": "RETIRING_FORUM", "bob": "COMPLETE", "carla": "COMPLETE"})
    assert verifying.one(ada["id"])["lease"] is None and forum.looks["ada"] == 1
    verifying.kill(driver, signal.SIGTERM)
    verifying.kill(server)
    verifying.let_leases_end()  # and the hour in which no driver may claim it
    verify(verifying, after=["0s", "1s"])
    verifying.serve()
    verifying.start_driver()
    verifying.wait_states("COMPLETE")
    assert forum.looks["ada"] == 2 and len(forum.erased) == 3
    assert verifying.recorded("ada", "FORUM_COMPLETE") == {
        "status": 204, "attempts": 1, "verification": {"left": 0, "status": 200, "tries": 2}}


def test_a_long_wait_outlives_the_driver_and_the_server(verifying, forum):
    """It may take days: later drivers know that the data was erased, and do not erase it again."""
    verify(verifying, after=["0s", "3s", "6s"])
    verifying.config["stages"][0]["http"].update(success=[404], nothing_to_erase=[204])
    forum.left = lambda name, look: 3 - look
    verifying.request("ada")

    for look in (1, 2):
        done = verifying.drive_all()
        assert (done["later"], done["completed"], forum.looks) == (1, 0, {"ada": look})
        verifying.wait_due("ada")
    assert verifying.drive_all()["completed"] == 1
    assert forum.looks == {"ada": 3} and len(forum.erased) == 1
    assert verifying.recorded("ada", "FORUM_COMPLETE") == {
        "outcome": "nothing_to_erase", "status": 204, "attempts": 1,
        "verification": {"left": 0, "status": 200, "tries": 3}}


def test_a_long_wait_whatever_the_erasure_was_answered(verifying, forum):
    """The answer has bytes that JSON cannot have, and more of them than are kept."""
    verify(verifying, after=["0s", "3s"])
    forum.left = lambda name, look: 2 - look
    forum.service.script = lambda call: (200, b"gone\0 \xff\"\\\x01" * 1000) if call.method == "POST" else forum.script(call)
    verifying.serve()
    verifying.request("ada")
    verifying.start_driver()
    verifying.wait_states("COMPLETE")
    assert forum.looks == {"ada": 2} and len(forum.service.calls) == 3
    assert verifying.recorded("ada", "FORUM_COMPLETE")["answer"].startswith("gone")


def test_residue_after_long_waits_is_erased_anew_by_a_resume(verifying, forum):
    verify(verifying, after=["0s", "3s"])
    forum.left = lambda name, look: 1 if look < 3 else 0
    verifying.serve()
    verifying.request("ada")
    verifying.start_driver()
    verifying.wait_states("ERRORED")
    assert verifying.recorded("ada", "ERRORED")["verification"]["tries"] == 2
    verifying.ok("retirement", "resume", "ada")
    verifying.wait_states("COMPLETE")
    assert len({call.key for call in forum.erased}) == 2 and forum.looks == {"ada": 3}


# ---- a probe that cannot answer ----

INCONCLUSIVE = {
    "down": HANG_UP,
    "failing": 503,
    "a page in its place": (200, "<html>log in</html>", {"Content-Type": "text/html"}),
    "no credentials": 401,
    "no permission": 403,
    "moved": (302, b"", {"Location": "/elsewhere"}),
    "another form": (200, {"count": 0}),
    "no number": (200, {"total": None}),
    "text": (200, {"total": "0"}),
    "less than nothing": (200, {"total": -1}),
    "nothing said": 204,
    "accepted": (202, {"total": 0}),
    "unknown path": 404,
    "half of it": (200, b'{"total": 0'),
}


@pytest.mark.parametrize("answer", INCONCLUSIVE.values(), ids=INCONCLUSIVE)
def test_what_is_not_understood_is_asked_again(verifying, forum, answer):
    forum.answer = lambda look: answer if look < 3 else AS_IT_IS
    verifying.request("ada")
    assert verifying.drive_all()["completed"] == 1
    assert verifying.recorded("ada", "FORUM_COMPLETE")["verification"]["left"] == 0
    assert forum.looks == {"ada": 3} and len(forum.erased) == 1


@pytest.mark.parametrize("answer", INCONCLUSIVE.values(), ids=INCONCLUSIVE)
def test_and_never_taken_for_verified(verifying, forum, answer):
    verifying.config["stages"][0]["retry"]["for"] = "150ms"
    forum.answer = lambda look: answer
    verifying.request("ada")
    done = verifying.drive_all()
    assert (done["completed"], done["errored"]) == (0, 1)
    failed = verifying.recorded("ada", "ERRORED")
    assert (failed["outcome"], failed["verification"]["left"]) == ("unknown", None)
    assert failed["error"].startswith("verification is inconclusive: ")
    [group] = verifying.ok("retirement", "failures", "--json").json["failures"]
    assert group["cause"].startswith("verification: ") and "forum" in group["cause"]


def test_one_that_hangs_is_asked_again(verifying, forum):
    verify(verifying, timeout="2s")
    held = threading.Event()
    script = forum.script

    def hang_once(call):
        answer = script(call)
        if call.method == "GET" and forum.looks["ada"] == 1:
            held.wait(60)
        return answer

    forum.service.script = hang_once
    verifying.request("ada")
    assert verifying.drive_all()["completed"] == 1
    held.set()
    assert verifying.recorded("ada", "FORUM_COMPLETE")["verification"]["tries"] == 2


def test_a_look_that_cannot_be_made_is_not_tried_again(verifying, forum):
    """A person without a number, and a probe that needs it: waiting does not help."""
    verify(verifying, http={"service": "forum", "get": "/people/{user_id}"})
    verifying.request("ada")
    assert verifying.drive_all()["errored"] == 1
    failed = verifying.recorded("ada", "ERRORED")
    assert failed["outcome"] == "unknown" and "{user_id} is not known" in failed["error"]
    assert failed["verification"]["tries"] == 1


# ---- a program that looks ----

@pytest.fixture
def looking(verifying):
    """The same, with a program as the probe: site.look(script) writes it."""
    verifying.config["stages"][0]["verify"] = {"exec": {"command": ["./look"]}}

    def look(script):
        path = verifying.folder / "look"
        path.write_text("#!/bin/sh\n" + script)
        path.chmod(0o755)

    verifying.look = look
    return verifying


def test_a_program_prints_how_many_are_left(looking):
    looking.look("cat > input; echo 2\n")
    looking.request("ada")
    assert looking.drive_all()["errored"] == 1
    failed = looking.recorded("ada", "ERRORED")
    assert (failed["outcome"], failed["error"]) == ("residue", "2 records left in a command")
    assert failed["verification"] == {"left": 2, "status": 0, "tries": 1}
    person = json.loads((looking.folder / "input").read_text())
    assert person["original_username"] == "ada" and "idempotency_key" not in person


def test_a_program_says_by_its_exit_that_nothing_is_left(looking):
    """As grep does."""
    verify(looking, expect={"status": [1]}, after=["0s", "50ms"])
    looking.look("echo look >> looks; echo ada > list; [ $(wc -l < looks) -lt 2 ] || : > list; exec grep -q ada list\n")
    looking.request("ada")
    assert looking.drive_all()["completed"] == 1
    assert looking.recorded("ada", "FORUM_COMPLETE")["verification"] == {"left": 0, "status": 1, "tries": 2}


@pytest.mark.parametrize("end", ["echo 0; exit 3", "echo none", "true", "echo 0 >&2; echo oops >&2", "kill -9 $$",
                                 "exit 75", "head -c 100000 /dev/zero | tr '\\0' 0"])
def test_a_program_that_says_nothing_of_use_is_asked_again(looking, forum, end):
    looking.look(f"echo look >> looks; [ $(wc -l < looks) -ge 3 ] || {{ {end}; exit; }}; echo 0\n")
    looking.request("ada")
    assert looking.drive_all()["completed"] == 1
    assert looking.recorded("ada", "FORUM_COMPLETE")["verification"]["tries"] == 3 and len(forum.erased) == 1


# ---- drivers that end, services that are left alone ----

def test_a_driver_that_is_killed_before_a_look(verifying, forum):
    """It could not report: another driver begins the stage anew, the erasure with the same key, and the looks."""
    verify(verifying, after=["0s", "2s"])
    forum.left = lambda name, look: 2 - look
    verifying.serve()
    verifying.request("ada")
    driver = verifying.start_driver()
    wait_for(lambda: forum.looks.get("ada"))
    verifying.kill(driver)
    verifying.be_away_past_all_leases()
    verifying.start_driver()
    verifying.wait_states("COMPLETE")
    assert len(forum.erased) == 2 and len({call.key for call in forum.erased}) == 1
    assert verifying.recorded("ada", "FORUM_COMPLETE")["verification"]["left"] == 0


def test_stopping_does_not_wait_for_a_look(verifying, forum):
    """The driver that goes on does not repeat the erasure."""
    held = threading.Event()
    script = forum.script

    def hold_first_look(call):
        answer = script(call)
        if call.method == "GET" and forum.looks["ada"] == 1:
            held.wait(60)
            return 503
        return answer

    forum.service.script = hold_first_look
    verifying.serve()
    verifying.request("ada")
    driver = verifying.start_driver()
    wait_for(lambda: forum.looks.get("ada"))
    driver.send_signal(signal.SIGTERM)
    verifying.wait_said(driver, "stopping:")
    held.set()
    assert driver.wait(60) == 0
    assert verifying.states() == {"ada": "RETIRING_FORUM"} and forum.looks["ada"] == 1
    assert verifying.drive_all()["completed"] == 1
    assert len(forum.erased) == 1 and forum.looks["ada"] == 2


def test_a_service_that_only_looks_keeps_people_before_the_stage_while_it_fails(verifying, forum, make_service):
    """While no look can be made, no person is erased; one call at a time tests whether the service answers again."""
    search = make_service(script=lambda call: 503)
    verifying.service("search", search, breaker={"failures": 3, "pause": "100ms"})
    verify(verifying, http={"service": "search", "get": "/search?author={original_username}"})
    verifying.config["stages"][0]["retry"]["for"] = "10m"
    verifying.run_all()
    names = [f"user{n}" for n in range(30)]
    verifying.request_all(names)
    wait_for(lambda: "service search fails" in verifying.logs())
    verifying.request("late")
    asked = len(search.calls)
    wait_for(lambda: len(search.calls) > asked + 5)
    assert verifying.states()["late"] == "PENDING"
    search.script = forum.script
    verifying.wait_states("COMPLETE")
    assert search.most_at_once <= 8
    assert len(forum.erased) == 31, "nobody's erasure is repeated only because nobody could look"


# ---- at an LMS ----

@pytest.fixture
def at_lms(driver):
    """The driver file of Open edX, with a verification behind what the scripts know."""
    driver.config["retirement_pipeline"] = [["RETIRING_FORUMS", "FORUMS_COMPLETE", "LMS", "retirement_retire_forum", {
        "retry": {"for": "60s", "first": "10ms", "longest": "50ms"},
        "verify": {"http": {"service": "lms", "get": "/search?author={original_username}"}, "count": "/total",
                   "after": ["0s", "50ms"]}}]]
    return driver


def test_at_an_lms_residue_is_never_complete(at_lms, lms):
    """Ada's posts are still there, Bob's need a moment, and what is left of Carla is unknown before the next look."""
    looks = []

    def look(kind, call):
        if "/search" not in kind and "/search" not in call.path:
            return None
        name = call.path.rsplit("=", 1)[1]
        looks.append(name)
        if name == "carla" and looks.count(name) == 1:
            return 503
        return 200, {"total": {"ada": 4, "bob": 2 - looks.count(name), "carla": 0}[name]}

    lms.meddle = look
    lms.add("ada", "bob", "carla")
    at_lms.drive_all()
    assert lms.states_of_all() == {"ada": "ERRORED", "bob": "COMPLETE", "carla": "COMPLETE"}
    [failed] = [json.loads(text) for _, to, text in lms.moves if to == "ERRORED"]
    assert (failed["outcome"], failed["error"]) == ("residue", "4 records left in lms")
    assert failed["verification"] == {"left": 4, "status": 200, "tries": 2}
    done = [json.loads(text)["verification"] for _, to, text in lms.moves if to == "FORUMS_COMPLETE"]
    assert done == [{"left": 0, "status": 200, "tries": 2}] * 2


def test_at_an_lms_a_long_wait_outlives_the_driver(at_lms, lms):
    """The next one knows that the person is erased."""
    at_lms.config["retirement_pipeline"][0][4]["verify"]["after"] = ["0s", "3s"]
    looks = []

    def look(kind, call):
        if "/search" not in call.path:
            return None
        looks.append(call)
        return 200, {"total": 2 - len(looks)}

    lms.meddle = look
    lms.add("ada")
    assert at_lms.drive_all()["later"] == 1
    assert lms.states_of_all() == {"ada": "RETIRING_FORUMS"} and len(looks) == 1
    time.sleep(3)
    wait_for(lambda: at_lms.drive_all()["completed"])
    assert lms.states_of_all() == {"ada": "COMPLETE"} and len(looks) == 2
    [done] = [json.loads(text) for _, to, text in lms.moves if to == "FORUMS_COMPLETE"]
    assert done == {"status": 204, "attempts": 1, "verification": {"left": 0, "status": 200, "tries": 2}}
    assert len([call for call in lms.calls if "/search" not in call.path]) == 1
