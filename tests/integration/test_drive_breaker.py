# SPDX-License-Identifier: Apache-2.0
"""Services that fail for all people, and quiet hours: people wait in the completed state before the stage."""
import pytest

from services import quiet_now
from site_under_test import wait_for

MANY = [f"user{n}" for n in range(60)]


@pytest.fixture
def two(site, make_service):
    """A mailing list that works, and then a forum, whose breaker opens after three failures."""
    site.mail, site.forum = make_service(), make_service()
    site.service("mail", site.mail)
    site.service("forum", site.forum, max_concurrent=2, breaker={"failures": 3, "pause": "300ms"})
    for name, working, completed in (("mail", "RETIRING_MAIL", "MAIL_COMPLETE"),
                                     ("forum", "RETIRING_FORUMS", "FORUMS_COMPLETE")):
        site.stage(working, completed, http={"service": name, "post": "/erase",
                                             "json": {"username": "{original_username}"}},
                   retry={"for": "60s", "first": "10ms", "longest": "50ms"})
    site.configure(driver={"poll": "100ms"})
    return site


def count(site, state):
    return list(site.states().values()).count(state)


def shut(site, name):
    for line in site.get("/metrics", token="").raw.decode().splitlines():
        if line.startswith(f'lethe_driver_service_shut{{service="{name}"}}'):
            return float(line.split()[-1])
    return None


def test_people_wait_before_the_stage_of_a_service_that_is_down(two):
    two.forum.go_down()
    two.request_all(MANY[:10])
    two.run_all()
    wait_for(lambda: shut(two, "forum") == 2, "the breaker to open")
    two.request_all(MANY[10:])
    wait_for(lambda: count(two, "PENDING") == count(two, "RETIRING_MAIL") == 0, "everybody to come to the forum")
    assert count(two, "ERRORED") == 0 and count(two, "MAIL_COMPLETE") >= 50
    assert shut(two, "mail") == 0
    two.forum.come_back()
    two.wait_states("COMPLETE")
    assert shut(two, "forum") == 0
    assert two.forum.times_erased() == {name: 1 for name in MANY}
    assert len(two.mail.calls) == 60


def test_a_storm_of_503_costs_few_calls(two):
    two.forum.script = lambda call: 503 if len(two.forum.calls) <= 7 else 204
    two.request_all(MANY)
    two.run_all()
    two.wait_states("COMPLETE")
    at = [call.at for call in two.forum.calls[:8]]
    # The third failure opens it, and one more call may have been under way.
    assert all(later - earlier >= 0.29 for earlier, later in zip(at[4:], at[5:])), "one call in every pause"
    assert len(two.mail.calls) + len(two.forum.calls) <= 1.1 * 120


def test_once_ends_when_the_one_who_tries_has_spent_its_budget(two):
    two.forum.go_down()
    two.config["services"]["forum"]["breaker"] = {"failures": 3, "pause": "1h"}
    two.config["stages"][1]["retry"]["for"] = "500ms"
    two.request_all(MANY)
    done = two.drive("--json")
    assert done.code == 1 and "1 service fails" in done.err
    assert done.json["services_failing"] == 1 and done.json["errored"] == 1
    assert count(two, "ERRORED") == 1 and count(two, "COMPLETE") == 0


def test_no_call_starts_in_quiet_hours(two):
    two.config["services"]["forum"]["quiet_hours"] = quiet_now()
    two.request_all(MANY)
    done = two.lethe("drive", "--once", "--json").json
    assert (done["services_quiet"], done["errored"], done["calls"]) == (1, 0, 60)
    assert two.forum.calls == []
    assert set(two.states().values()) == {"MAIL_COMPLETE"}
    two.config["services"]["forum"].pop("quiet_hours")
    assert two.drive_all()["completed"] == 60


def test_one_who_is_asked_for_by_name_waits_too(two):
    two.config["services"]["mail"]["quiet_hours"] = quiet_now()
    two.request("ada")
    done = two.ok("drive", "--username", "ada", "--json").json
    assert done["services_quiet"] == 1 and two.states() == {"ada": "PENDING"}
