# SPDX-License-Identifier: Apache-2.0
"""Plants personal data, uses every feature with it, and then searches for it where it must not be."""
import json
import os
import sqlite3
import urllib.parse

import pytest

from site_under_test import wait_for

EDX = "/api/user/v1/accounts/"
PEOPLE = [("Xanthippe.Q", "xanthippe.q@agora.example", "Xanthippe of Athens"), ("Zaphod42", "ZBeeblebrox@betelgeuse.example", "Zaphod Beeblebrox"),
          ("ÉlodieΣ", "elodie.sigma@exemple.example", "Élodie Šigma"), ("Błażej", "blazej@przyklad.example", "Błażej Żółć")]


def forms(text):
    """A text, and as it may look elsewhere."""
    return {text, text.lower(), urllib.parse.quote(text), json.dumps(text)[1:-1]}


PLANTED = {form for person in PEOPLE for text in person for form in forms(text)}


def expect_clean(text, where):
    hits = [form for form in PLANTED if form in text]
    assert not hits, f"{hits} in {where}: {text[:2000]}"


def arguments_of(pid):
    with open(f"/proc/{pid}/cmdline", "rb") as f:
        return f.read().decode("utf-8", "replace")


# A stage's program: notes what other users can see of it and of its parent, and prints the person's data.
PROGRAM = """#!/bin/sh
person=$(cat)
echo "$person" >> heard
{ tr '\\0' ' ' < /proc/$$/cmdline; tr '\\0' ' ' < /proc/$PPID/cmdline; tr '\\0' ' ' < /proc/$$/environ; pwd; ls -l /proc/$$/fd; } >> seen
echo "$person"; echo "$person" >&2
case $person in *blazej@*) exit 1;; esac
"""


def plant_program(site):
    program = site.folder / "erase"
    program.write_text(PROGRAM)
    program.chmod(0o700)
    site.stage("RUNNING", "RUN", exec={"command": ["./erase"]}, retry="none")


def refusals(site, username, email, name):
    """Calls about a person that are refused, each for another reason."""
    body = {"username": username, "email": email, "name": name}
    yield site.post(EDX + "cancel_retirement/", {"retirement_id": username})
    yield site.post(EDX + "retire_misc/", {"username": username + "x"})
    yield site.post(EDX + "retire/", {"username": name})
    yield site.post(EDX + "replace_usernames/", {"username_mappings": [[username, name]]})
    yield site.post(EDX + "retirement_cleanup/", {"usernames": [username, name]})
    yield site.put(EDX + "retirement_partner_report/", {"username": name})
    yield site.post("/v1/sessions", {"username": username, "password": name}, token="")
    yield site.post("/v1/sessions", {"username": email, "password": name}, token="")
    yield site.post("/v1/password-resets", {"token": name, "password": name + email}, token="")
    yield site.post("/v1/cancellations", {"email": "z" + email})
    yield site.post("/v1/accounts/search", {**body, "id": name})
    yield site.post("/v1/identities/check", {"name": name})
    yield site.post("/v1/bulk", {"select": {"ids": [username]}, "action": name, "to": email})
    yield site.post("/v1/claims", {"driver": name + "\n", "limit": 1, "lease_s": 1})
    yield site.post("/v1/progress", [{"id": username, "epoch": email, "stage": name, "outcome": name}])
    yield site.ask_token(client_id=username, client_secret=name)
    yield site.call("GET", f"/{urllib.parse.quote(name)}")
    yield site.call("GET", "/v1/retirements?q=" + urllib.parse.quote(email))


@pytest.mark.parametrize("log", [{"level": "info"}, {"level": "debug"}, {"level": "debug", "format": "json"}])
def test_nothing_personal_gets_out(site, make_service, log):
    erase = make_service()
    erase.script = lambda call: (400, f"no such user: {call.username}") if call.username == "Zaphod42" else 204
    site.service("store", erase)
    site.stage("ERASING", "ERASED", http={"service": "store", "post": "/erase/{original_username}", "json": {"username": "{original_username}"}},
               retry="none")
    plant_program(site)
    site.configure(log=log)
    process = site.run_all()
    texts = []

    def said(answer):
        """The text of a refusal; reports are refused one by one, with 200."""
        assert answer.status >= 400 or not any(item["ok"] for item in answer.json), answer
        texts.append(answer.raw.decode())

    for username, email, name in PEOPLE:
        body = {"username": username, "email": email, "name": name}
        assert site.post("/v1/accounts", {**body, "orgs": [name]}).status == 201
        said(site.post("/v1/accounts", body))                                        # taken
        said(site.post("/v1/retirements", {**body, "email": "x" + email}))           # unknown pair
        said(site.post("/v1/retirements", {**body, username: name}))                 # unknown fields
        said(site.post("/v1/retirements", {**body, "email": username}))              # no address
        said(site.post("/v1/retirements", {**body, "name": name * 60}))              # too long
        said(site.post("/v1/retirements", {**body, "account_id": name * 60}))       # too long
        said(site.post("/v1/retirements/import", {"people": [{"username": username, "email": "y" + email}]}))
        said(site.post("/v1/claims", {"driver": "d", "limit": 1, "lease_s": 1, "username": username + "x"}))
        said(site.call("POST", "/v1/retirements", raw=json.dumps(body).encode()[:-3]))  # broken JSON
        said(site.call("POST", "/v1/retirements", raw=b'{"' + username.encode() + b'":1,"' + username.encode() + b'":2}'))
        said(site.patch(username, "NOWHERE", name))
        assert site.request(username, email)["state"] in ("PENDING", "ERASING", "COMPLETE", "ERRORED")
        assert site.post("/v1/retirements/search", {"email": email}).json["retirements"]
        said(site.post("/v1/retirements/search", {"email": email, "username": username}))
        said(site.patch(username, "PENDING", {"name": name}))
        for answer in refusals(site, username, email, name):
            said(answer)
        # Its answer has to name them (the LMS's does); nothing else may.
        assert site.post(EDX + "retirement_partner_report_cleanup/", [{"original_username": username}]).status == 400
        site.status(username), site.status(username + "x")
        site.get(f"/v1/retirements/{username.encode().hex()}")
    wait_for(lambda: site.counts()["COMPLETE"] == len(PEOPLE) - 2 and site.counts()["ERRORED"] == 2, "everybody has arrived")
    assert len(erase.calls) == len(PEOPLE)
    texts.append(site.lethe("retirement", "request", "--username", PEOPLE[0][0], "--email", "wrong@example.com").err)

    heard, seen = ((site.folder / name).read_text() for name in ("heard", "seen"))
    assert all(email in heard for _, email, _ in PEOPLE if not email.startswith("ZB")) and "/erase" in seen and "lethe" in seen
    expect_clean(seen, "what is seen of the program that a stage starts")
    for words in (["check"], ["retirement", "failures"], ["fuse", "show"], ["states", "list"]):
        done = site.lethe(*words)
        expect_clean(done.out + done.err, f"lethe {' '.join(words)}")
    expect_clean(arguments_of(process.pid), "the arguments of the process")
    expect_clean(site.get("/metrics").raw.decode(), "metrics")
    for text in texts:
        expect_clean(text, "an error")
    for folder, _, files in os.walk(site.folder):
        expect_clean(folder + "".join(files), "names of files")
    site.stop()
    assert "request=" in site.logs() or '"request"' in site.logs()
    expect_clean(site.logs(), "the log")


def test_of_who_was_brought_along_the_directory_keeps_no_name(served):
    for username, email, name in PEOPLE:
        served.request(username, email, name)
    db = sqlite3.connect(f"file:{served.data_dir}/lethe.db?mode=ro", uri=True)
    tables = [name for name, in db.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
    assert "retirement_person" in tables
    for table in set(tables) - {"retirement_person"}:
        for row in db.execute(f"SELECT * FROM {table}"):
            expect_clean(repr(row), table)
    db.close()
