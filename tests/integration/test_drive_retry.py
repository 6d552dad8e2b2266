# SPDX-License-Identifier: Apache-2.0
"""Which failures are tried again, for how long, and when a person becomes ERRORED (contract D; reliability: services)."""
import email.utils
import time

import pytest

from services import HANG_UP, Gate, first_time_for_each
from site_under_test import wait_for

MANY = [f"user{n}" for n in range(30)]


@pytest.fixture
def erasing(site, make_service):
    """One stage at one service, site.store, with a budget of a minute and short waits."""
    site.store = make_service()
    site.service("store", site.store, breaker="none")
    site.stage("ERASING", "ERASED", http={"service": "store", "post": "/erase", "json": {"username": "{original_username}"}},
               retry={"for": "60s", "first": "10ms", "longest": "100ms"})
    site.configure(driver={"poll": "100ms"})
    return site


def retry(site, setting):
    site.config["stages"][0]["retry"] = setting


def expect_erased_once(site, names):
    """Repeats carried the same key, so the call took effect once for each person."""
    assert site.store.times_erased() == {name: 1 for name in names}
    assert set(site.states().values()) == {"COMPLETE"}


@pytest.mark.parametrize("passing", [
    503, 500, 502, 504, 429,
    (503, "a proxy's page", {"Content-Type": "text/html"}),
    HANG_UP,
], ids=str)
def test_what_may_go_better_next_time_is_repeated_with_the_same_key(erasing, passing):
    erasing.store.script = first_time_for_each(passing)
    erasing.request_all(MANY)
    done = erasing.drive_all()
    assert (done["completed"], done["errored"]) == (30, 0)
    assert len(erasing.store.calls) >= 60
    expect_erased_once(erasing, MANY)
    assert erasing.recorded("user7", "ERASED")["attempts"] >= 2


def test_an_answer_lost_after_the_effect_is_asked_for_again(erasing):
    """The service did it and hung up. A service that honours the key answers the repeat and does nothing twice."""
    erasing.store.script = first_time_for_each(HANG_UP, (200, "done before"))
    erasing.request("ada")
    assert erasing.drive_all()["completed"] == 1
    assert len(erasing.store.calls) >= 2 and len(set(erasing.store.keys_of("ada"))) == 1
    assert erasing.recorded("ada", "ERASED")["answer"] == "done before"


def test_an_answer_that_takes_too_long_is_asked_for_again(erasing):
    gate = Gate()
    slow_once = first_time_for_each("slow", 204)
    erasing.store.script = lambda call: gate(call) if slow_once(call) == "slow" else 204
    erasing.config["stages"][0]["timeout"] = "200ms"
    erasing.request("ada")
    assert erasing.drive_all()["completed"] == 1
    gate.open()
    assert len(erasing.store.calls) >= 2
    expect_erased_once(erasing, ["ada"])


def test_a_final_answer_is_not_repeated(erasing):
    erasing.store.script = lambda call: (422, "unprocessable")
    erasing.request_all(MANY)
    assert erasing.drive_all()["errored"] == 30
    assert sorted(erasing.store.usernames()) == sorted(MANY)


@pytest.mark.parametrize("passing, status, outcome", [((503, "closed"), 503, "failed"), (HANG_UP, None, "unknown"),
                                                      (504, 504, "unknown")], ids=str)
def test_retry_none_is_immediately_errored(erasing, passing, status, outcome):
    """Curl itself opens a new connection when a kept one turns out to be dead; this is the first one."""
    erasing.store.script = lambda call: passing
    retry(erasing, "none")
    erasing.request("ada")
    assert erasing.drive_all()["errored"] == 1
    failed = erasing.recorded("ada", "ERRORED")
    assert (failed["attempts"], failed["status"], failed["outcome"]) == (1, status, outcome)
    assert len(erasing.store.calls) == 1


@pytest.mark.parametrize("passing, outcome", [((503, "still closed"), "failed"), (HANG_UP, "unknown")], ids=str)
def test_a_spent_budget_is_errored_with_its_outcome(erasing, passing, outcome):
    """I9: marked as unknown where it may have taken effect."""
    erasing.store.script = lambda call: passing
    retry(erasing, {"for": "1s", "first": "10ms", "longest": "50ms"})
    erasing.request("ada")
    began = time.monotonic()
    done = erasing.drive_all()
    assert time.monotonic() - began >= 1
    failed = erasing.recorded("ada", "ERRORED")
    assert failed["outcome"] == outcome and failed["attempts"] == done["calls"] > 2
    assert ("still closed" in failed["answer"]) == (outcome == "failed")
    assert len(set(erasing.store.keys_of("ada"))) == 1
    assert erasing.show("ada")["resume_state"] == "PENDING"


def test_nobody_is_errored_while_a_service_is_down(erasing):
    """The service goes down in the middle of the work, and refuses connections until it is back."""
    gate = erasing.store.script = Gate(who={"user20"})
    erasing.request_all(MANY)
    erasing.run_all()
    gate.wait_reached()
    erasing.store.go_down()
    wait_for(lambda: retries(erasing) >= 20, "many repetitions")
    assert "ERRORED" not in erasing.states().values() and "user20" in erasing.states()
    gate.open()
    erasing.store.come_back()
    erasing.wait_states("COMPLETE")
    expect_erased_once(erasing, MANY)


def retries(site):
    for line in site.get("/metrics", token="").raw.decode().splitlines():
        if line.startswith("lethe_driver_retries_total"):
            return float(line.split()[-1])
    return 0


def test_a_service_that_is_not_there_is_errored_when_the_budget_is_spent(erasing):
    erasing.store.go_down()
    retry(erasing, {"for": "2s", "first": "10ms", "longest": "50ms"})
    erasing.request("ada")
    assert erasing.drive_all()["errored"] == 1
    failed = erasing.recorded("ada", "ERRORED")
    assert failed["status"] is None and failed["outcome"] == "failed" and failed["attempts"] > 1
    assert "connect" in failed["error"].lower()


def test_a_storm_of_429_and_503_passes_without_an_error(erasing):
    """The service refuses each person five times."""
    turned_away = {}

    def script(call):
        turned_away[call.username] = turned_away.get(call.username, 0) + 1
        return (429 if turned_away[call.username] % 2 else 503) if turned_away[call.username] <= 5 else 204

    erasing.store.script = script
    erasing.request_all(MANY)
    done = erasing.drive_all()
    assert (done["completed"], done["errored"], done["calls"]) == (30, 0, 180)
    expect_erased_once(erasing, MANY)


# ---- Retry-After ----

@pytest.mark.parametrize("status", [429, 503])
def test_retry_after_in_seconds_is_honoured(erasing, status):
    erasing.store.script = first_time_for_each((status, "later", {"Retry-After": "1"}))
    erasing.request("ada")
    assert erasing.drive_all()["completed"] == 1
    first, second = erasing.store.calls
    assert second.at - first.at >= 0.99


def test_retry_after_as_a_date_is_honoured(erasing):
    until = int(time.time()) + 2
    erasing.store.script = first_time_for_each((503, "", {"Retry-After": email.utils.formatdate(until, usegmt=True)}))
    erasing.request("ada")
    assert erasing.drive_all()["completed"] == 1
    assert len(erasing.store.calls) == 2 and erasing.store.calls[1].at >= until - 0.01


@pytest.mark.parametrize("wish", ["0", "-5", "soon", "", "1e9", "Thu, 01 Jan 1970 00:00:00 GMT", "9" * 400])
def test_a_retry_after_of_no_use_does_no_harm(erasing, wish):
    """A malformed Retry-After is ignored; after one beyond `retry.for` the driver waits until its end, and tries once more."""
    retry(erasing, {"for": "1s", "first": "10ms", "longest": "50ms"})
    erasing.store.script = first_time_for_each((503, "", {"Retry-After": wish}))
    erasing.request("ada")
    assert erasing.drive_all()["completed"] == 1
    assert len(erasing.store.calls) == 2


def test_a_wish_that_is_longer_than_the_budget_is_honoured(erasing):
    retry(erasing, {"for": "300ms", "first": "10ms", "longest": "50ms"})
    erasing.store.script = first_time_for_each((503, "maintenance", {"Retry-After": "2"}))
    erasing.request("ada")
    assert erasing.drive_all()["completed"] == 1
    first, second = erasing.store.calls
    assert second.at - first.at >= 1.99


@pytest.mark.parametrize("status", [429, 503])
def test_a_wish_is_for_everybody(erasing, status):
    """A `Retry-After` for one person holds for all people, and costs none of them retries."""
    erasing.config["services"]["store"]["max_concurrent"] = 1
    retry(erasing, {"for": "500ms", "first": "10ms", "longest": "50ms"})
    erasing.store.script = lambda call: (status, "later", {"Retry-After": "1"}) if len(erasing.store.calls) == 1 else 204
    erasing.request_all(MANY)
    assert erasing.drive_all()["completed"] == 30
    first, second = erasing.store.calls[:2]
    assert second.at - first.at >= 0.99


def test_other_failures_speak_for_one_alone(erasing):
    erasing.store.script = lambda call: (500, "", {"Retry-After": "3600"}) if call.username == "user3" else 204
    erasing.request_all(MANY)
    erasing.run_all()
    wait_for(lambda: list(erasing.states().values()).count("COMPLETE") == 29)
    assert erasing.states()["user3"] == "ERASING"
    assert len(erasing.store.calls_for("user3")) == 1
