# SPDX-License-Identifier: Apache-2.0
"""The catalogue: the exact call of each entry, and what a 404 to it means."""
import pytest

from old_lms import OldLms
from site_under_test import Site

OF_THE_USERNAME = {"username": "ada"}
SERVICES = ["lms", "ecommerce", "credentials", "demographics", "license_manager"]
# entry: (service, method, path, body, does a 404 mean that there is nothing to erase). USER_ID stands for the number.
USER_ID = object()
CATALOGUE = {
    "LMS.retirement_retire_forum":
        ("lms", "POST", "/api/discussion/v1/accounts/retire_forum/", OF_THE_USERNAME, True),
    "LMS.retirement_retire_mailings":
        ("lms", "POST", "/api/user/v1/accounts/retire_mailings/", OF_THE_USERNAME, False),
    "LMS.retirement_unenroll": ("lms", "POST", "/api/enrollment/v1/unenroll/", OF_THE_USERNAME, False),
    "LMS.retirement_retire_notes": ("lms", "POST", "/api/edxnotes/v1/retire_user/", OF_THE_USERNAME, False),
    "LMS.retirement_lms_retire_misc":
        ("lms", "POST", "/api/user/v1/accounts/retire_misc/", OF_THE_USERNAME, False),
    "LMS.retirement_lms_retire": ("lms", "POST", "/api/user/v1/accounts/retire/", OF_THE_USERNAME, False),
    "LMS.retirement_partner_queue":
        ("lms", "PUT", "/api/user/v1/accounts/retirement_partner_report/", OF_THE_USERNAME, False),
    "LMS.retirement_retire_proctoring_data":
        ("lms", "POST", "/api/edx_proctoring/v1/retire_user/{}/", None, False),
    "LMS.retirement_retire_proctoring_backend_data":
        ("lms", "POST", "/api/edx_proctoring/v1/retire_backend_user/{}/", None, False),
    "ECOMMERCE.retire_learner": ("ecommerce", "POST", "/api/v2/user/retire/", OF_THE_USERNAME, False),
    "CREDENTIALS.retire_learner": ("credentials", "POST", "/user/retire/", OF_THE_USERNAME, False),
    "DEMOGRAPHICS.retire_learner":
        ("demographics", "POST", "/demographics/api/v1/retire_demographics/", {"lms_user_id": USER_ID}, True),
    "LICENSE_MANAGER.retire_learner":
        ("license_manager", "POST", "/api/v1/retire_user/",
         {"lms_user_id": USER_ID, "original_username": "ada"}, True),
}


def body_for(body, user_id):
    return body and {key: user_id if value is USER_ID else value for key, value in body.items()}


@pytest.fixture
def open_edx(site, make_service):
    """A site with the services of Open edX, each scripted: site.at["lms"]."""
    site.at = {name: make_service() for name in SERVICES}
    for name, service in site.at.items():
        site.service(name, service)
    return site


def test_every_entry_makes_its_very_call(open_edx):
    site = open_edx
    for i, entry in enumerate(CATALOGUE):
        site.stage(f"DOING_{i}", f"DONE_{i}", use=entry)
    site.request("ada", account_id=4711)
    user_id = site.show("ada")["user"]["id"]
    assert site.drive_all()["completed"] == 1
    expected = {name: [] for name in SERVICES}
    for service, method, path, body, _ in CATALOGUE.values():
        expected[service].append((method, path.format(user_id), body_for(body, user_id)))
    for name, service in site.at.items():
        assert [(call.method, call.path, call.json) for call in service.calls] == expected[name]


def test_every_entry_by_the_file_of_a_driver(tmp_path, make_service):
    """The same calls, from the LMS's own list of retirements."""
    pairs = [(f"DOING_{i}", f"DONE_{i}") for i in range(len(CATALOGUE))]
    lms = OldLms(make_service, ["PENDING", *(state for pair in pairs for state in pair), "ERRORED", "ABORTED", "COMPLETE"])
    site = Site(tmp_path)
    site.at = {"lms": lms, **{name: make_service() for name in SERVICES[1:]}}
    site.config = {
        "client_id": "worker", "client_secret": "secret",
        "base_urls": {name: service.url + "/" for name, service in site.at.items()},
        "retirement_pipeline": [[*pair, *entry.split(".")] for pair, entry in zip(pairs, CATALOGUE)],
    }
    lms.add("ada")
    assert site.drive_all()["completed"] == 1
    user_id = lms.rows["ada"]["user"]["id"]
    for name, service in site.at.items():
        expected = [(method, path.format(user_id), body_for(body, user_id))
                    for at, method, path, body, _ in CATALOGUE.values() if at == name]
        assert [(call.method, call.path, call.json) for call in service.calls] == expected
        assert all(call.headers["Authorization"] in lms.tokens for call in service.calls)
    site.check()


@pytest.mark.parametrize("entry", CATALOGUE)
def test_what_a_404_means(open_edx, entry):
    service, _, _, _, nothing_to_erase = CATALOGUE[entry]
    open_edx.at[service].script = lambda call: (404, "")
    open_edx.stage("DOING", "DONE", use=entry)
    open_edx.request("ada", account_id=4711)
    done = open_edx.drive_all()
    assert (done["completed"], done["errored"]) == ((1, 0) if nothing_to_erase else (0, 1))


def test_a_service_by_another_name(site, make_service):
    site.service("courses", courses := make_service())
    site.stage("RETIRING_FORUMS", "FORUMS_COMPLETE", use="LMS.retirement_retire_forum", service="courses")
    site.request("ada", account_id=4711)
    assert site.drive_all()["completed"] == 1
    assert [call.json for call in courses.calls] == [{"username": "ada"}]
