# SPDX-License-Identifier: Apache-2.0
"""The folders of examples/: each is right as it stands, and does what it says against scripted services."""
import hashlib
import os
import re
import shutil

import pytest
import yaml

from databases import Postgresql
from old_lms import OldLms
from site_under_test import Site

EXAMPLES = os.path.abspath(os.path.join(os.path.dirname(__file__), "..", "..", "examples"))
FILES = {"company": "lethe.yml", "driver-file": "config.yml", "open-edx": "lethe.yml", "opendsr": "lethe.yml",
         "beside-an-lms": "lethe.yml"}


class Example(Site):
    """A copy of a folder of examples, with a secret in each file that it names."""

    def __init__(self, folder, name):
        super().__init__(folder)
        shutil.copytree(os.path.join(EXAMPLES, name), folder, dirs_exist_ok=True)
        self.file, self.data_dir = folder / FILES[name], folder / "lethe-data"
        self.file.chmod(0o600)
        for secret in re.findall(r"^[^#\n]*\w+_file: ([\w.]+)", self.file.read_text(), re.M):
            self.secret(secret, "f00dcafe" * 8)
        self.config = None

    def secret(self, name, text):
        (self.folder / name).write_text(text)
        (self.folder / name).chmod(0o600)

    def write_config(self):
        """The file as it was copied, until a test has changed something in it."""
        if self.config:
            super().write_config()

    def read(self):
        self.config = yaml.safe_load(self.file.read_text())
        return self.config

    def check(self):
        self.config = self.config or self.read()
        if "identity" in self.config:
            self.config["identity"]["salts_file"] = str(self.folder / "salts")
        super().check()


@pytest.fixture
def example(tmp_path):
    made = []

    def make(name):
        made.append(Example(tmp_path, name))
        return made[-1]

    yield make
    for site in made:
        site.stop()
        site.check()


@pytest.mark.parametrize("name", FILES)
def test_each_folder_is_right_as_it_stands(example, name):
    told = example(name).ok("config", "check")
    assert "is right" in told.out and "WARN" not in told.out, told


def test_the_folders_are_all_tried():
    assert {entry for entry in os.listdir(EXAMPLES) if os.path.isdir(os.path.join(EXAMPLES, entry))} == set(FILES)


@pytest.fixture(scope="module")
def postgresql():
    db = Postgresql()
    yield db
    db.close()


def test_a_company_erases_a_user_everywhere(example, make_service, postgresql):
    site, subscribers, requesters = example("company"), {"ada@example.com"}, [7, 12]
    with open(os.path.join(EXAMPLES, "company", "schema.sql"), encoding="utf-8") as f:
        postgresql.do(*(sql for sql in re.sub("--.*", "", f.read()).split(";") if sql.strip()))
    postgresql.do("INSERT INTO users VALUES (1, 'bob', 'bob@example.com', 'x'), (4711, 'ada', 'ada@example.com', 'x')",
                  "INSERT INTO sessions VALUES ('s', 4711)", "INSERT INTO profiles VALUES (4711, NULL, 'likes engines'), (1, NULL, 'b')",
                  "INSERT INTO invoices VALUES (9, 4711, 'Ada L.', 'ada@example.com', 100)")

    def newsletter(call):
        address = call.path.rsplit("/", 1)[1].replace("%40", "@")
        found = address in subscribers
        if call.method == "DELETE":
            subscribers.discard(address)
        return (200, {"address": address}) if found else 404

    def desk(call):
        if call.method == "DELETE":
            requesters.remove(int(call.path.rsplit("/", 1)[1]))
        return 200, {"users": [{"id": n} for n in requesters] if "ada%40example.com" in call.path else []}

    config = site.read()
    config.update(listen="127.0.0.1:0", cool_off="0d", driver={"poll": "100ms"})
    config["services"]["users"]["odbc"] = postgresql.odbc
    site.secret("users.password", postgresql.password)
    for name, script in (("newsletter", newsletter), ("desk", desk)):
        config["services"][name]["url"] = make_service(script=script).url
    config["stages"][0]["verify"]["after"] = ["0s"]

    assert "none of them red" in site.ok("doctor").out
    site.run_all()
    site.request("ada", name="Ada L.", account_id=4711)
    site.wait_states("EMPTYING_THE_FOLDER")
    assert "papers of Ada L." in site.ok("retirement", "show", "ada").out
    assert subscribers == set() and requesters == []
    [name] = postgresql.do("SELECT username FROM users WHERE id = 4711")[0]
    assert name.startswith("gone-") and postgresql.do("SELECT customer_name FROM invoices") == [[name]]
    assert postgresql.do("SELECT user_id FROM profiles") == [["1"]]
    site.ok("retirement", "confirm", "ada", "--note", "shredded")
    site.wait_states("COMPLETE")


def test_a_processor_is_asked_by_opendsr_until_it_has_erased(example, make_service):
    site, requests, statuses = example("opendsr"), {}, ["pending", "in_progress", "completed"]

    def processor(call):
        if call.method == "POST":
            requests[call.json["subject_request_id"]] = call.json
            return 201, {"controller_id": "c", "subject_request_id": call.json["subject_request_id"]}
        return (200, {"request_status": statuses.pop(0)}) if call.path.rsplit("/", 1)[1] in requests else 404

    config = site.read()
    config.update(listen="127.0.0.1:0", cool_off="0d", driver={"poll": "100ms"})
    config["services"]["processor"]["url"] = make_service(script=processor).url
    config["stages"][0]["http"]["steps"][1]["poll"]["every"] = "1s"
    site.run_all()
    uuid = site.request("ada", email="Ada@Example.com", account_id="f1f2-ada")["uuid"]
    site.wait_states("COMPLETE")
    shown = site.show("ada")
    assert requests == {uuid: {
        "regulation": "gdpr", "subject_request_id": uuid, "subject_request_type": "erasure",
        "submitted_time": shown["created"][:19] + "Z", "api_version": "1.0", "subject_identities": [
            {"identity_type": "controller_customer_id", "identity_value": "f1f2-ada", "identity_format": "raw"},
            {"identity_type": "email", "identity_value": hashlib.sha256(b"ada@example.com").hexdigest(), "identity_format": "sha256"}]}}
    assert statuses == [] and re.fullmatch("[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}", uuid)


def test_a_driver_file_takes_people_through_its_states(example, make_service):
    site = example("driver-file")
    states = [state for row in site.read()["retirement_pipeline"] for state in row[:2]]
    lms = OldLms(make_service, ["PENDING", *states, "ERRORED", "ABORTED", "COMPLETE"])
    lms.meddle = lambda kind, call: (200, {"successful_replacements": [], "failed_replacements": []}) if "replace" in kind else None
    del site.config["client_secret_file"]
    site.config.update(client_id="worker", client_secret="secret", base_urls={"lms": lms.url, "credentials": lms.url})
    lms.add("ada")
    assert site.drive_all()["completed"] == 1
    assert lms.moves_of("ada") == [*states, "COMPLETE"]


def test_a_script_takes_a_person_through_the_states_of_an_authority(example):
    """By the methods that the example says its pipeline has, with the scopes that the page says."""
    site = example("open-edx")
    states = site.read()["states"]
    site.config.update(listen="127.0.0.1:0", cool_off="0d", behind_proxy=False)
    site.serve()
    assert "none of them red" in site.ok("doctor").out
    site.ok("account", "add", "--username", "ada", "--email", "ada@example.com", "--org", "ExampleX")
    site.request("ada")
    token = site.token("retirement:read retirement:drive")
    base = "/api/user/v1/accounts/"
    calls = iter([("PUT", "retirement_partner_report/"), ("POST", "retire_misc/"), ("POST", "retire/")])
    for state in [*states[1:-3], "COMPLETE"]:
        assert site.patch("ada", state, token=token).status == 204
        if states.index(state) % 2 and state != "COMPLETE":
            method, path = next(calls)
            assert site.call(method, base + path, {"username": "ada"}, token=token).status == 204
    assert site.state_of("ada") == "COMPLETE"
    assert "retired__user_" in site.ok("account", "show", site.status("ada").json["retired_username"]).out


# ---- beside an LMS ----

def test_beside_an_lms(example, make_service):
    """From the LMS's queue to a stage that people do, and from there to COMPLETE; the LMS is told of each state."""
    site = example("beside-an-lms")
    stages = site.read()["stages"]
    way = [state for stage in stages for state in (stage["working"], stage["completed"])]
    lms = OldLms(make_service, ["PENDING", *way, "ERRORED", "ABORTED", "COMPLETE"], secret="f00dcafe" * 8, client_id="lethe")
    lms.add("ada")
    site.config["source"]["lms"]["url"] = site.config["services"]["lms"]["url"] = lms.url
    site.configure(listen="127.0.0.1:0", driver={"poll": "100ms"})
    site.ok("config", "check")
    site.drive_all()
    assert lms.moves_of("ada") == way[:-1] and len(lms.calls) == 5
    site.ok("retirement", "confirm", "ada", "--note", "removed")
    site.drive_all()
    assert lms.moves_of("ada") == [*way, "COMPLETE"]
