# SPDX-License-Identifier: Apache-2.0
"""The catalogue: the exact call of each entry, and what a 404 to it means."""
import json
import os
import re

import pytest
import yaml

from old_lms import OldLms
from site_under_test import Site

OF_THE_USERNAME = {"username": "ada"}
SERVICES = ["lms", "ecommerce", "credentials", "discovery", "license_manager", "commerce_coordinator"]
# entry: (service, method, path, body, does a 404 mean that there is nothing to erase). USER_ID stands for the number, RETIRED
# for the retired name.
USER_ID, RETIRED = object(), object()
RENAMED = {"username_mappings": [{"ada": RETIRED}]}
CATALOGUE = {
    "LMS.retirement_retire_forum":
        ("lms", "POST", "/api/discussion/v1/accounts/retire_forum/", OF_THE_USERNAME, True),
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
    "LMS.retirement_retire_certificates":
        ("lms", "POST", "/api/certificates/v1/retire_certs_s3_for_user/", {"username": RETIRED}, False),
    "LMS.replace_usernames": ("lms", "POST", "/api/user/v1/accounts/replace_usernames/", RENAMED, False),
    "LMS.replace_usernames_of_forum":
        ("lms", "POST", "/api/discussion/v1/accounts/replace_usernames/", RENAMED, False),
    "ECOMMERCE.replace_usernames":
        ("ecommerce", "POST", "/api/v2/user_management/replace_usernames/", RENAMED, False),
    "CREDENTIALS.retire_learner": ("credentials", "POST", "/api/v2/replace_usernames/", RENAMED, False),
    "CREDENTIALS.replace_usernames": ("credentials", "POST", "/api/v2/replace_usernames/", RENAMED, False),
    "DISCOVERY.replace_usernames": ("discovery", "POST", "/api/v1/replace_usernames/", RENAMED, False),
    "COMMERCE_COORDINATOR.retire_learner":
        ("commerce_coordinator", "POST", "/lms/user_retirement/", {"edx_lms_user_id": USER_ID}, False),
    "LICENSE_MANAGER.retire_learner":
        ("license_manager", "POST", "/api/v1/retire_user/",
         {"lms_user_id": USER_ID, "original_username": "ada"}, True),
}


# What they answer when it is done, if that is not just 204: an entry looks at these.
WELL = {"/api/certificates/v1/retire_certs_s3_for_user/": {"username": "x", "processed": 2, "failed": []},
        "/api/enrollment/v1/unenroll/": ["ExampleX"],
        **{path: {"successful_replacements": ["ada"], "failed_replacements": []}
           for path in ("/api/user/v1/accounts/replace_usernames/", "/api/discussion/v1/accounts/replace_usernames/",
                        "/api/v2/replace_usernames/", "/api/v1/replace_usernames/", "/api/v2/user_management/replace_usernames/")}}


def body_for(body, user_id, retired):
    if isinstance(body, dict):
        return {key: body_for(value, user_id, retired) for key, value in body.items()}
    if isinstance(body, list):
        return [body_for(value, user_id, retired) for value in body]
    return user_id if body is USER_ID else retired if body is RETIRED else body


def well(call):
    return (200, WELL[call.path]) if call.path in WELL else 204


class Lms(OldLms):
    def erase(self, call):
        super().erase(call)
        return well(call)


@pytest.fixture
def open_edx(site, make_service):
    """A site with the services of Open edX, each scripted: site.at["lms"]."""
    site.at = {name: make_service(script=well) for name in SERVICES}
    site.at["proctoring_backend"] = make_service()
    for name, service in site.at.items():
        site.service(name, service)
    return site


def test_every_entry_makes_its_very_call(open_edx):
    site = open_edx
    for i, entry in enumerate(CATALOGUE):
        site.stage(f"DOING_{i}", f"DONE_{i}", use=entry)
    site.request("ada", account_id=4711)
    shown = site.show("ada")
    user_id = shown["user"]["id"]
    assert site.drive_all()["completed"] == 1
    expected = {name: [] for name in SERVICES}
    for service, method, path, body, _ in CATALOGUE.values():
        expected[service].append((method, path.format(user_id), body_for(body, user_id, shown["retired_username"])))
    for name in SERVICES:
        service = site.at[name]
        assert [(call.method, call.path, call.json) for call in service.calls] == expected[name]


def test_every_entry_by_the_file_of_a_driver(tmp_path, make_service):
    """The same calls, from the LMS's own list of retirements."""
    pairs = [(f"DOING_{i}", f"DONE_{i}") for i in range(len(CATALOGUE))]
    lms = Lms(make_service, ["PENDING", *(state for pair in pairs for state in pair), "ERRORED", "ABORTED", "COMPLETE"])
    site = Site(tmp_path)
    site.at = {"lms": lms, **{name: make_service(script=well) for name in SERVICES[1:]}}
    site.config = {
        "client_id": "worker", "client_secret": "secret",
        "base_urls": {name: service.url + "/" for name, service in site.at.items()},
        "retirement_pipeline": [[*pair, *entry.split(".")] for pair, entry in zip(pairs, CATALOGUE)],
    }
    lms.add("ada")
    assert site.drive_all()["completed"] == 1
    user_id = lms.rows["ada"]["user"]["id"]
    for name, service in site.at.items():
        expected = [(method, path.format(user_id), body_for(body, user_id, lms.rows["ada"]["retired_username"]))
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


JSON = {"Content-Type": "application/json"}


@pytest.mark.parametrize("entry, answer, right", [
    ("CREDENTIALS.retire_learner", (200, {"successful_replacements": [], "failed_replacements": ["ada"]}), "ERRORED"),
    ("CREDENTIALS.retire_learner", 204, "ERRORED"),
    ("LMS.retirement_retire_certificates", (207, {"username": "x", "processed": 2, "failed": ["one"]}), "ERRORED"),
    ("LMS.retirement_retire_certificates", (200, {"username": "x", "processed": 2, "failed": ["one"]}), "ERRORED"),
    ("LMS.retirement_retire_certificates", (207, {"username": "x", "processed": 2, "failed": []}), "COMPLETE"),
    ("LMS.retirement_retire_certificates", (200, {"username": "x", "processed": 0, "failed": []}), "nothing_to_erase"),
    ("LMS.retirement_retire_proctoring_backend_data", (200, {"examity": True}), "COMPLETE"),
    ("LMS.retirement_retire_proctoring_backend_data", (200, {}), "nothing_to_erase"),
    ("LMS.retirement_retire_proctoring_backend_data", (500, {"examity": False}), "ERRORED"),
    ("LMS.retirement_retire_forum", (404, "default backend - 404"), "ERRORED"),
    ("LMS.retirement_retire_forum", (500, '"user not found with id: 12"', JSON), "nothing_to_erase"),
    ("LMS.retirement_retire_forum", (500, '"the forum is down"', JSON), "ERRORED"),
    ("LMS.retirement_unenroll", (200, ["ExampleX"]), "COMPLETE"),
    ("LMS.retirement_unenroll", 204, "nothing_to_erase"),
    ("LICENSE_MANAGER.retire_learner", (200, {}), "ERRORED"),
    ("PROCTORING_BACKEND.retire_user", (200, True, JSON), "COMPLETE"),
    ("PROCTORING_BACKEND.retire_user", (200, False, JSON), "ERRORED"),
    ("LICENSE_MANAGER.retire_learner", (404, "<html>"), "ERRORED"),
], ids=str)
def test_an_entry_looks_at_what_is_answered(open_edx, entry, answer, right):
    open_edx.at[entry.split(".")[0].lower()].script = lambda call: answer
    open_edx.stage("DOING", "DONE", use=entry, retry="none")
    open_edx.request("ada", account_id=4711)
    open_edx.drive_all()
    state = open_edx.states()["ada"]
    assert (open_edx.recorded("ada", "DONE").get("outcome", state) if state == "COMPLETE" else state) == right


def test_mailings_are_done_by_another_stage(open_edx):
    open_edx.stage("RETIRING_MAILINGS", "MAILINGS_COMPLETE", use="LMS.retirement_retire_mailings")
    open_edx.stage("RETIRING_MISC", "MISC_COMPLETE", use="LMS.retirement_lms_retire_misc")
    open_edx.request("ada", account_id=4711)
    assert open_edx.drive_all()["completed"] == 1
    assert [call.path for call in open_edx.at["lms"].calls] == ["/api/user/v1/accounts/retire_misc/"]
    assert open_edx.recorded("ada", "MAILINGS_COMPLETE") == {"outcome": "skipped", "reason": "done by LMS.retirement_lms_retire_misc"}


@pytest.mark.parametrize("left, state", [(True, "ERRORED"), (False, "COMPLETE")])
def test_a_look_is_switched_on(open_edx, left, state):
    lms = open_edx.at["lms"]
    lms.script = lambda call: 204 if call.method == "POST" else (200, [{"username": "ada"}]) if left else 404
    open_edx.stage("RETIRING_LMS", "LMS_COMPLETE", use="LMS.retirement_lms_retire", verify=True)
    open_edx.request("ada", account_id=4711)
    open_edx.drive_all()
    assert open_edx.states()["ada"] == state
    assert lms.calls[-1].path == "/api/user/v1/accounts?username=ada"


def test_the_check_says_which_user_is_needed(open_edx):
    open_edx.stage("RETIRING_LMS", "LMS_COMPLETE", use="LMS.retirement_lms_retire")
    open_edx.stage("RENAMING", "RENAMED", use="CREDENTIALS.retire_learner")
    said = open_edx.ok("config", "check").out
    assert "RETIRING_LMS: the client has to be the user in RETIREMENT_SERVICE_WORKER_USERNAME" in said
    assert "RENAMING: the client has to be the user in USERNAME_REPLACEMENT_WORKER" in said
    assert json.loads(open_edx.ok("config", "check", "--json").out)["rights"] == {"worker": ["RETIRING_LMS"], "renamer": ["RENAMING"]}


def test_the_documents_have_each_entry():
    """With the right that it needs, as the catalogue says it."""
    folder = os.path.join(os.path.dirname(__file__), "..", "..")
    texts = {}
    for name in ("open-edx", "actions"):
        with open(os.path.join(folder, "docs", name + ".md"), encoding="utf-8") as f:
            texts[name] = f.read()
    with open(os.path.join(folder, "src", "config", "catalogue.yaml"), encoding="utf-8") as f:
        entries = yaml.safe_load(re.sub(r": \{user_id\}", ': "user_id"', f.read()))
    for name, entry in entries.items():
        if "." not in name:
            continue
        assert f"`{name}`" in texts["open-edx"] or f"use: {name}\n" in texts["actions"] or f"`{name}`" in texts["actions"], name
        right = entry.get("right")
        row = re.search(rf"^\| `{re.escape(name)}` .*$", texts["open-edx"], re.M)
        assert not right or row and row[0].endswith(f"| {right} |"), name
