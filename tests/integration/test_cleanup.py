# SPDX-License-Identifier: Apache-2.0
"""Deleting people who are COMPLETE: all or nothing, overwritten before deleted, and gone from every file."""
import shutil
import signal
import sqlite3

import pytest

from site_under_test import wait_for

EDX = "/api/user/v1/accounts/"
CLEANUP = EDX + "retirement_cleanup/"
NOT_ALL = "Not all usernames exist in the COMPLETE state."


def cleanup(site, *usernames, **more):
    return site.post(CLEANUP, {"usernames": list(usernames), **more})


def complete(site, name=None):
    return site.somebody("COMPLETE", name=name)["original_username"]


def files_with(site, *words):
    """Files of the data directory that contain one of the words, in any case of letters."""
    found = []
    for path in site.data_dir.iterdir():
        if path.is_file() and any(word.lower().encode() in path.read_bytes().lower() for word in words):
            found.append(path.name)
    return found


def test_what_a_driver_remembered_is_gone_too(served):
    who = served.somebody()
    [claim] = served.claim()
    served.report(claim, "later", in_s=0, memo='{"id": "third-party-4711", "fill": "' + "x" * 3000 + '"}')
    served.kill(served.processes[-1], signal.SIGTERM)
    assert files_with(served, "third-party-4711")
    served.serve()
    [claim] = served.claim()
    assert served.report(claim, "done", stop=True)["ok"]
    assert served.post(f"/v1/retirements/{who['id']}/move", {"state": "COMPLETE", "reason": "done"}).status == 200
    assert cleanup(served, who["original_username"]).status == 204
    assert files_with(served, "third-party-4711") == []


# ---- statuses and bodies ----

def test_of_one(authority):
    name = complete(authority)
    who = authority.status(name).json
    answer = cleanup(authority, name)
    assert answer.status == 204 and answer.raw == b""
    for gone in (name, who["retired_username"]):
        assert authority.status(gone).status == 404
    assert authority.get(f"/v1/retirements/{who['id']}").status == 404
    assert authority.get(f"/v1/retirements/{who['id']}/log").status == 404
    assert who["id"] not in [r["id"] for r in authority.queue(["COMPLETE"]).json]


def test_of_many_and_of_nobody(authority):
    names = [complete(authority) for _ in range(5)]
    assert cleanup(authority, *names, names[0]).status == 204
    assert [authority.status(name).status for name in names] == [404] * 5
    assert cleanup(authority).status == 204


def test_more_names_than_one_request_takes_are_refused(authority):
    name = complete(authority)
    answer = cleanup(authority, *[name] * 1001)
    assert answer.status == 400 and answer.json == "usernames: has 1001 items, at most 1000 are taken in one request"
    assert authority.status(name).status == 200
    assert cleanup(authority, *[name] * 1000).status == 204


@pytest.mark.parametrize("state", [None, "RETIRING_LMS", "LMS_COMPLETE", "ERRORED", "ABORTED"])
def test_one_who_is_not_complete_keeps_all(authority, state):
    good, bad = complete(authority), authority.somebody(*[state][:bool(state)])["original_username"]
    before = [authority.status(name).json for name in (good, bad)]
    answer = cleanup(authority, good, bad)
    assert answer.status == 400 and answer.json == NOT_ALL
    assert [authority.status(name).json for name in (good, bad)] == before


@pytest.mark.parametrize("change", [str.upper, lambda name: name + "x", lambda name: " " + name, lambda name: ""])
def test_the_name_is_exact(authority, change):
    name = complete(authority)
    answer = cleanup(authority, change(name))
    assert answer.status == 400 and answer.json == NOT_ALL
    assert authority.status(name).status == 200


@pytest.mark.parametrize("body, words", [
    ({}, ["usernames", "missing"]),
    ({"usernames": None}, ["usernames", "array"]),
    ({"usernames": "ada"}, ["usernames", "array", "string"]),
    ({"usernames": {"ada": 1}}, ["usernames", "array"]),
    ({"usernames": ["ada", 1]}, ["usernames", "item 2", "string"]),
    ({"usernames": [], "redacted_username": 1}, ["redacted_username", "string"]),
    ({"usernames": [], "redacted_username": "x" * 151}, ["redacted_username", "150"]),
    ({"usernames": [], "redacted_email": "x" * 255}, ["redacted_email", "254"]),
    ({"usernames": [], "redacted_name": "x" * 256}, ["redacted_name", "255"]),
    ({"usernames": [], "redacted_name": "a\nb"}, ["redacted_name", "control"]),
])
def test_what_is_refused(authority, body, words):
    answer = authority.post(CLEANUP, body)
    assert answer.status == 400 and isinstance(answer.json, str)
    for word in words:
        assert word in answer.json, answer


def test_what_is_not_known_is_ignored(authority):
    assert cleanup(authority, complete(authority), dry_run=True).status == 204


@pytest.mark.parametrize("scope", ["retirement:read retirement:drive", "retirement:partner", "accounts:admin"])
def test_other_scopes_may_not(authority, scope):
    name = complete(authority)
    answer = authority.post(CLEANUP, {"usernames": [name]}, token=authority.token(scope))
    assert answer.status == 403 and "retirement:admin" in answer.json["detail"]
    assert authority.post(CLEANUP, {"usernames": [name]}, token="").status == 401
    assert authority.status(name).status == 200


def test_the_same_person_may_ask_again(authority):
    name = complete(authority)
    assert authority.request(name)["state"] == "PENDING"
    assert cleanup(authority, name).status == 204  # the one that is COMPLETE
    assert authority.state_of(name) == "PENDING"


# ---- gone from the files ----

PLANTED = ["Plantagenet", "rosebush@roses.example", "Rose of Roses", "her roses", "rose-answer"]


def plant(site):
    site.post("/v1/accounts", {"username": "Plantagenet", "email": "Rosebush@roses.example", "name": "Rose of Roses",
                               "orgs": ["her roses"]})
    site.request("Plantagenet", "rosebush@roses.example")
    site.patch("Plantagenet", "RETIRING_FORUMS", "rose-answer of a service")
    site.patch("Plantagenet", "ERRORED", {"error": "rose-answer again"})
    site.patch("Plantagenet", "COMPLETE", extra={"force": True})


def test_no_file_contains_the_person(site):
    site.serve()
    for i in range(30):
        site.request(f"neighbour{i}")
    plant(site)
    for i in range(30, 60):
        site.request(f"neighbour{i}")
    assert files_with(site, *PLANTED)
    assert cleanup(site, "Plantagenet", redacted_username="nobody").status == 204
    assert files_with(site, *PLANTED) == []
    assert files_with(site, "neighbour7")
    site.stop()
    assert files_with(site, *PLANTED) == []


def test_an_account_that_was_never_retired_goes_too(site):
    """With its session, its password, and all of its data."""
    site.serve()
    site.post("/v1/accounts", {"username": "Plantagenet", "email": "Rosebush@roses.example", "name": "Rose of Roses",
                               "orgs": ["her roses"], "password": "rose-answer 1234567"})
    signed_in = site.post("/v1/sessions", {"username": "Plantagenet", "password": "rose-answer 1234567"}, token="")
    assert signed_in.status in (200, 201), signed_in
    site.request("Plantagenet", "rosebush@roses.example")
    site.patch("Plantagenet", "COMPLETE", extra={"force": True})
    assert cleanup(site, "Plantagenet").status == 204
    assert files_with(site, *PLANTED) == []
    with sqlite3.connect(f"file:{site.data_dir}/lethe.db?mode=ro", uri=True) as db:
        for table in ("account", "account_token", "retirement", "retirement_person", "retirement_log"):
            assert db.execute(f"SELECT count(*) FROM {table}").fetchone() == (0,), table
    again = site.post("/v1/accounts", {"username": "plantagenet", "email": "new@example.com"})
    assert again.status == 409, "a retired name can never be registered again"


def test_readers_are_waited_for(site):
    """Another process reads the database while the person is deleted: the file is cleared once it has finished."""
    process = site.serve()
    plant(site)
    reader = sqlite3.connect(f"file:{site.data_dir}/lethe.db?mode=ro", uri=True, isolation_level=None)
    reader.execute("BEGIN")
    assert reader.execute("SELECT count(*) FROM retirement_person").fetchone() == (1,)
    assert cleanup(site, "Plantagenet").status == 204
    assert files_with(site, *PLANTED)
    site.wait_said(process, "readers keep deleted values")
    reader.execute("ROLLBACK")
    reader.close()
    wait_for(lambda: not files_with(site, *PLANTED), "clearing the files")
    assert site.request("somebody-else")["state"] == "PENDING"


# ---- killed ----

def rows(site):
    """What another program that reads the tables sees: user names, and how many are marked."""
    with sqlite3.connect(f"file:{site.data_dir}/lethe.db?mode=ro", uri=True) as db:
        return ([name for name, in db.execute("SELECT username FROM retirement_person ORDER BY retirement_id")],
                db.execute("SELECT count(*) FROM redacted").fetchone()[0])


@pytest.mark.skipif(not shutil.which("strace"), reason="needs strace")
def test_killed_at_each_write_to_the_disk(site):
    """At some of them the row is overwritten and committed, and not yet deleted; a restart finishes that."""
    seen = set()
    site.serve()
    plant(site)
    made = site.client("cleaner", "retirement:admin")
    site.stop()
    copy = site.folder / "before"
    shutil.copytree(site.data_dir, copy)
    for n in range(1, 12):
        shutil.rmtree(site.data_dir)
        shutil.copytree(copy, site.data_dir)
        process = site.serve()
        token = site.token_of(made)
        tracer = site.start_tracer(process, f"--inject=fdatasync:signal=KILL:when={n}")
        try:
            answered = site.post(CLEANUP, {"usernames": ["Plantagenet"]}, token=token).status
        except OSError:
            answered = None
        tracer.kill()
        tracer.wait()
        if answered is not None:
            assert answered == 204
            site.kill(process)
        process.wait()
        names, marked = rows(site)
        seen.add((names[0] if names else None, marked))
        site.serve()
        if names == ["Plantagenet"]:
            assert marked == 0 and site.state_of("Plantagenet") == "COMPLETE"
            assert cleanup(site, "Plantagenet").status == 204
        wait_for(lambda: not files_with(site, *PLANTED), "clearing the files")
        assert rows(site) == ([], 0)
        site.stop()
        if answered is not None:
            break
    assert answered == 204 and ("redacted", 1) in seen, seen
