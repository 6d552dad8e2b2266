# SPDX-License-Identifier: Apache-2.0
"""Administrators of an LMS move people in the middle of a stage. What is known of the stage outlives it: a stage that is half
done does not begin anew and find nobody."""
import pytest

from driver_site import DriverSite, STATES
from old_lms import OldLms
from services import Gate
from site_under_test import wait_for

WORKING = "RETIRING_THIRD"


class HubSpot:
    """A search finds a contact until its deletion was begun. The first deletion fails in the middle, at a gate."""

    def __init__(self, gate):
        self.state, self.gate = "present", gate

    def __call__(self, call):
        if call.method == "GET":
            return (200, {"id": "4711"}) if self.state == "present" else (404, {"message": "no such contact"})
        if self.state == "present":
            self.state = "hidden"
            return self.gate(call)
        self.state = "gone"
        return 204


@pytest.fixture
def lms(make_service):
    return OldLms(make_service, [STATES[0], WORKING, "THIRD_COMPLETE", *STATES[1:]])


@pytest.fixture
def driver(tmp_path, lms, make_service):
    site = DriverSite(tmp_path, lms)
    site.third = make_service()
    site.service("hubspot", site.third)
    site.service("amplitude", site.third)
    site.configure(driver={"poll": "100ms"})
    site.config["retirement_pipeline"].insert(0, [WORKING, "THIRD_COMPLETE", "HUBSPOT", "delete_contact"])
    yield site
    site.stop()
    site.check()


def methods(driver):
    return [call.method for call in driver.third.calls]


@pytest.mark.parametrize("how", [["--username", "ada"], ["--once"]], ids=" ".join)
def test_a_person_who_is_sent_back_after_a_kill(driver, lms, how):
    """The call that failed is made again, although a search finds nobody any more."""
    lms.add("ada")
    gate = Gate(answer=500)
    hubspot = driver.third.script = HubSpot(gate)
    process = driver.start("drive", *how)
    gate.wait_reached()
    driver.kill(process)
    gate.open()
    lms.put("ada", "PENDING")
    driver.let_leases_end()
    driver.ok("drive", *how)
    assert lms.state_of("ada") == "COMPLETE" and hubspot.state == "gone"
    assert methods(driver) == ["GET", "POST", "POST"]


def test_a_person_who_is_sent_back_while_put_off(driver, lms):
    """The job is not begun a second time, by which Amplitude would find nobody: it is asked about."""
    driver.config["retirement_pipeline"][0][2:] = ["AMPLITUDE", "delete_user"]
    lms.add("ada")
    job = {"status": "staging"}

    def script(call):
        if call.method == "GET":
            return 200, [job]
        is_first = methods(driver).count("POST") == 1
        return 200, {"day": "2026-01-01", "amplitude_ids": [{"amplitude_id": 1}] if is_first else []}

    driver.third.script = script
    process = driver.start("drive")
    wait_for(lambda: methods(driver) == ["POST", "GET"])
    looks = len(lms.queries)
    wait_for(lambda: len(lms.queries) > looks + 1)
    lms.put("ada", "PENDING")
    wait_for(lambda: methods(driver) == ["POST", "GET", "GET"])
    assert lms.state_of("ada") == WORKING
    job["status"] = "done"
    lms.put("ada", "PENDING")
    wait_for(lambda: lms.state_of("ada") == "COMPLETE")
    assert driver.kill(process, 15) == 0
    assert methods(driver) == ["POST", "GET", "GET", "GET"]
