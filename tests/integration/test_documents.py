# SPDX-License-Identifier: Apache-2.0
"""The two documents of Open edX that Lethe comes from, acted out in their order; and docs/documents.md, which says of each of
their sentences where it is done."""
import glob
import os
import re

import pytest
import yaml

ROOT = os.path.join(os.path.dirname(__file__), "..", "..")
EDX = "/api/user/v1/accounts/"
EXAMPLE = ["PENDING", "LOCKING_ACCOUNT", "LOCKING_COMPLETE", "RETIRING_EMAIL_LISTS", "EMAIL_LISTS_COMPLETE",
           "RETIRING_ENROLLMENTS", "ENROLLMENTS_COMPLETE", "RETIRING_LMS", "LMS_COMPLETE", "ERRORED", "ABORTED", "COMPLETE"]
WORKING = EXAMPLE[1:-3:2]
SECRET = "retirement:read retirement:drive"


@pytest.fixture
def example(site):
    """The states of the first document's example."""
    site.configure(states=EXAMPLE)
    site.serve()
    return site


def queue(site, *states, days=0, **query):
    more = "".join(f"&{key}={value}" for key, value in query.items())
    answer = site.get(f"{EDX}retirement_queue/?cool_off_days={days}&states={','.join(states)}{more}", token=site.token(SECRET))
    assert answer.status == 200, answer
    return [who["original_username"] for who in answer.json]


def update(site, username, state, response=""):
    """The update call, with the scopes of the document's driver and no others."""
    return site.patch(username, state, response, token=site.token(SECRET)).status


# ---- how to configure and drive ----

def test_the_example_is_what_the_first_start_puts_there(example):
    assert [state["name"] for state in example.get("/v1/states").json["states"]] == EXAMPLE
    listed = example.ok("states", "list").out
    assert [name for name in re.findall(r"[A-Z_]{7,}", listed)] == EXAMPLE, listed


@pytest.mark.parametrize("missing", ["PENDING", "ERRORED", "ABORTED", "COMPLETE"])
def test_a_list_without_a_required_state_fails(example, missing):
    example.configure(states=[name for name in EXAMPLE if name != missing])
    result = example.lethe("states", "sync")
    assert result.code == 2 and f"required states are missing: {missing}" in result.err, result
    example.configure(states=EXAMPLE)
    assert [state["name"] for state in example.get("/v1/states").json["states"]] == EXAMPLE


def test_the_assumed_workflow_step_by_step(example):
    """Steps 1 to 9, by the calls that the document names and no other."""
    example.post("/v1/accounts", {"username": "ada", "email": "ada@example.com", "password": "correct horse battery"})
    token = example.post("/v1/sessions", {"username": "ada", "password": "correct horse battery"}, token="").json["token"]
    assert example.post(EDX + "deactivate_logout/", {"password": "correct horse battery"}, token=token).status == 204
    assert example.state_of("ada") == "PENDING"

    assert queue(example, "PENDING", days=7) == []
    assert queue(example, "PENDING", days=0) == ["ada"]
    for working, completed in zip(EXAMPLE[1:-3:2], EXAMPLE[2:-3:2]):
        assert update(example, "ada", working) == 204
        assert queue(example, *EXAMPLE[:-3:2], days=0) == []
        if working == "RETIRING_LMS":
            assert example.post(EDX + "retire_misc/", {"username": "ada"}).status == 204
            assert example.post(EDX + "retire/", {"username": "ada"}).status == 204
        assert update(example, "ada", completed, f"{working}: gone") == 204
        assert queue(example, *EXAMPLE[:-3:2], days=0) == ["ada"]
    assert update(example, "ada", "COMPLETE") == 204
    assert queue(example, *EXAMPLE[:-3:2], days=0) == []

    assert example.post("/v1/sessions", {"username": "ada", "password": "correct horse battery"}, token="").status == 401
    assert example.post("/v1/accounts", {"username": "ada", "email": "x@example.com"}).status == 409
    assert example.post(EDX + "retirement_cleanup/", {"usernames": ["ada"]}).status == 204
    assert example.status("ada").status == 404
    assert example.post("/v1/accounts", {"username": "ada", "email": "x@example.com"}).status == 409


def test_who_is_in_a_working_state_for_long_is_found_by_the_queue(example):
    """What the document tells operators to do without help: all working states, and when each was touched last."""
    example.request("ada")
    update(example, "ada", "LOCKING_ACCOUNT")
    who = example.get(f"{EDX}retirement_queue/?cool_off_days=0&states={','.join(WORKING)}").json
    assert [w["original_username"] for w in who] == ["ada"] and who[0]["updated"] == who[0]["modified"] >= who[0]["created"]
    assert queue(example, *WORKING, modified_before="2999-01-01T00:00:00Z") == ["ada"]
    assert queue(example, *WORKING, modified_before="2020-01-01T00:00:00Z") == []


def test_an_error_is_debugged_by_the_columns_that_the_document_names(example):
    example.request("ada")
    update(example, "ada", "LOCKING_ACCOUNT")
    update(example, "ada", "LOCKING_COMPLETE", "locked at 12:00")
    update(example, "ada", "RETIRING_EMAIL_LISTS")
    assert update(example, "ada", "ERRORED", "lists.example.com: 500") == 204
    who = example.status("ada").json
    assert who["current_state"]["state_name"] == "ERRORED" and who["last_state"]["state_name"] == "RETIRING_EMAIL_LISTS"
    responses = example.show("ada")["responses"]
    assert "locked at 12:00" in responses and "lists.example.com: 500" in responses


# ---- handling special cases ----

def test_recovering_from_errored(example):
    """Back to the state immediately before the one to be tried again; a driver then goes on by itself."""
    example.request("ada")
    update(example, "ada", "RETIRING_ENROLLMENTS")
    update(example, "ada", "ERRORED", "502")
    for state in EXAMPLE:
        assert update(example, "ada", state, "not through the API") == 400, state
    example.ok("retirement", "resume", "ada", "--reason", "enrollments mended")
    assert example.state_of("ada") == "EMAIL_LISTS_COMPLETE"
    assert queue(example, *EXAMPLE[:-3:2]) == ["ada"]


def test_rerunning_after_a_stage_was_added(example):
    """All people in COMPLETE go back to PENDING, and through a stage that was added since."""
    names = ["ada", "bob"]
    for name in names:
        example.request(name)
        assert update(example, name, "COMPLETE") == 204
    longer = EXAMPLE[:-3] + ["RETIRING_FORUMS", "FORUMS_COMPLETE"] + EXAMPLE[-3:]
    example.configure(states=longer)
    example.ok("states", "sync")
    example.ok("retirement", "rerun", "--from", "COMPLETE", "--reason", "the forums came later")
    assert queue(example, "PENDING") == names
    for name in names:
        assert update(example, name, "RETIRING_FORUMS") == 204
        assert update(example, name, "FORUMS_COMPLETE") == 204
        assert update(example, name, "COMPLETE") == 204


def test_cancelling_by_address(example):
    """While PENDING alone; the person can sign in again with a new password, and is in no queue."""
    account = {"username": "ada", "email": "Ada@Example.com", "password": "correct horse battery"}
    assert example.post("/v1/accounts", account).status == 201
    example.request("ada", "ada@example.com")
    sign_in = {"username": "ada", "password": "correct horse battery"}
    assert example.post("/v1/sessions", sign_in, token="").status == 401
    example.ok("retirement", "cancel", "ADA@example.com")
    assert example.state_of("ada") == "ABORTED" and queue(example, *EXAMPLE[:-3]) == []
    assert example.post("/v1/sessions", sign_in, token="").status == 401, "not before a new password"
    reset = example.ok("account", "reset-password", "ada", "--json").json["token"]
    assert example.post("/v1/password-resets", {"token": reset, "password": "another good password"}, token="").status == 204
    assert example.post("/v1/sessions", {**sign_in, "password": "another good password"}, token="").status == 201

    example.request("bob")
    update(example, "bob", "LOCKING_ACCOUNT")
    refused = example.lethe("retirement", "cancel", "bob@example.com")
    assert refused.code == 4 and "LOCKING_ACCOUNT" in refused.err, refused


# ---- docs/open-edx.md ----

def documents():
    return [os.path.join(ROOT, "README.md"), *sorted(glob.glob(os.path.join(ROOT, "docs", "*.md"))),
            *sorted(glob.glob(os.path.join(ROOT, "examples", "*", "*.md")))]


def headings(path):
    """The anchors of a document, as GitHub makes them."""
    with open(path, encoding="utf-8") as f:
        lines = re.findall(r"^#+ (.*)$", re.sub(r"^```.*?^```", "", f.read(), flags=re.M | re.S), re.M)
    return {re.sub(r"[^\w -]", "", line.lower()).replace(" ", "-") for line in lines}


def test_every_link_leads_somewhere():
    dead = []
    for path in documents():
        with open(path, encoding="utf-8") as f:
            links = re.findall(r"\]\((?!https?:)([^)#\s]*)(?:#([^)\s]+))?\)", re.sub(r"`[^`\n]*`", "", f.read()))
        for to, anchor in links:
            target = os.path.normpath(os.path.join(os.path.dirname(path), to)) if to else path
            if not os.path.exists(target) or anchor and anchor not in headings(target):
                dead.append((os.path.relpath(path, ROOT), to, anchor))
    assert not dead


def open_edx():
    with open(os.path.join(ROOT, "docs", "open-edx.md"), encoding="utf-8") as f:
        return f.read()


def test_the_lms_is_told_the_states_of_the_example():
    [settings] = re.findall(r"^```yaml\n(RETIREMENT_STATES.*?)^```", open_edx(), re.M | re.S)
    with open(os.path.join(ROOT, "examples", "driver-file", "config.yml"), encoding="utf-8") as f:
        pipeline = yaml.safe_load(f)["retirement_pipeline"]
    states = [state for row in pipeline for state in row[:2]]
    assert yaml.safe_load(settings)["RETIREMENT_STATES"] == ["PENDING", *states, "ERRORED", "ABORTED", "COMPLETE"]


CALLS = {
    "retirement_queue": ("GET", EDX + "retirement_queue/?cool_off_days=0&states=PENDING"),
    "retirement_status": ("GET", EDX + "nobody/retirement_status/"),
    "update_retirement_status": ("PATCH", EDX + "update_retirement_status/"),
    "retirements_by_status_and_date":
        ("GET", EDX + "retirements_by_status_and_date/?start_date=2026-01-01&end_date=2026-01-02&state=COMPLETE"),
    "retirement_cleanup": ("POST", EDX + "retirement_cleanup/"),
    "retirement_partner_report": ("POST", EDX + "retirement_partner_report/"),
    "retirement_partner_report_cleanup": ("POST", EDX + "retirement_partner_report_cleanup/"),
    "replace_usernames": ("POST", EDX + "replace_usernames/"),
    "accounts?email=": ("GET", "/api/user/v1/accounts?email=nobody@example.com"),
    "cancel_retirement": ("POST", EDX + "cancel_retirement/"),
}


def test_each_script_may_make_its_calls_with_its_scopes(authority):
    rows = re.findall(r"^\| [^|]+ \| (`[^|]+) \| (`(?:retirement|accounts):[^|]+) \|$", open_edx(), re.M)
    assert len(rows) == 7
    for calls, scopes in rows:
        token = authority.token(re.findall(r"`([^`]+)`", scopes)[0])
        for name in re.findall(r"`([^`]+)`", calls):
            if name == "force":
                continue
            method, path = CALLS[name]
            answer = authority.call(method, path, None if method == "GET" else {}, token=token)
            assert answer.status not in (401, 403), (name, scopes, answer)


# ---- docs/documents.md ----

def test_every_place_that_the_table_names_is_there():
    with open(os.path.join(ROOT, "docs", "documents.md"), encoding="utf-8") as f:
        text = f.read()
    missing = []
    for path in set(re.findall(r"`((?:src|tests|examples)/[\w./]+)`", text)):
        if not os.path.exists(os.path.join(ROOT, path)):
            missing.append(path)
    for file, test in set(re.findall(r"`(test_\w+\.py)(?:::(\w+))?`", text)):
        path = os.path.join(os.path.dirname(__file__), file)
        found = open(path, encoding="utf-8").read() if os.path.exists(path) else ""
        if not found or f"def {test}(" not in found and test:
            missing.append(f"{file}::{test}")
    for file, function in set(re.findall(r"`(\w+)\(\)`, `(src/[\w./]+)`", text)):
        if f"{file}(" not in open(os.path.join(ROOT, function), encoding="utf-8").read():
            missing.append(f"{function}: {file}()")
    assert not missing


def test_every_code_of_the_server_is_listed():
    """What the sources of the server give as a code stands in api.md and in the schema Code."""
    with open(os.path.join(ROOT, "docs", "api.md"), encoding="utf-8") as f:
        said = set(re.findall(r"`([a-z_]+)`", f.read()))
    with open(os.path.join(ROOT, "src", "server", "openapi.yaml"), encoding="utf-8") as f:
        schema = f.read().split("\n    Code:\n", 1)[1].split("\n\n", 1)[0]
    listed = re.findall(r"[a-z_]+", schema.split("Stable.", 1)[1])
    given = set()
    for folder in ("auth", "core", "server", "store", "usecase"):
        for path in sorted(glob.glob(os.path.join(ROOT, "src", folder, "*.c"))):
            with open(path, encoding="utf-8") as f:
                given |= set(re.findall(r'err_set_code\([^"]*"([a-z_]+)"', f.read()))
    # Those of /oauth2/access_token stand in its own schema; the last two end the start of a server.
    given -= {"invalid_request", "unsupported_grant_type", "wrong_key", "wrong_salts"}
    assert len(given) > 20 and not given - said and not given - set(listed), (given - said, given - set(listed))
    assert len(listed) == len(set(listed)), sorted(listed)
