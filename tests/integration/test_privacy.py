# SPDX-License-Identifier: Apache-2.0
"""Personal data is planted, all is done that can be done with it, and then it is looked for where it must not be."""
import json
import os
import sqlite3
import urllib.parse

import pytest

from site_under_test import wait_for

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


@pytest.mark.parametrize("log", [{"level": "info"}, {"level": "debug"}, {"level": "debug", "format": "json"}])
def test_nothing_personal_gets_out(site, make_service, log):
    erase = make_service()
    erase.script = lambda call: (400, f"no such user: {call.username}") if call.username == "Zaphod42" else 204
    site.service("store", erase)
    site.stage("ERASING", "ERASED", http={"service": "store", "post": "/erase/{original_username}", "json": {"username": "{original_username}"}},
               retry="none")
    site.configure(log=log)
    process = site.run_all()
    texts = []

    def said(answer):
        """The text of a refusal."""
        assert answer.status >= 400, answer
        texts.append(answer.raw.decode())

    for username, email, name in PEOPLE:
        body = {"username": username, "email": email, "name": name}
        assert site.post("/v1/accounts", {**body, "orgs": [name]}).status == 201
        said(site.post("/v1/accounts", body))                                        # taken
        said(site.post("/v1/retirements", {**body, "email": "x" + email}))           # unknown pair
        said(site.post("/v1/retirements", {**body, username: name}))                 # unknown fields
        said(site.post("/v1/retirements", {**body, "email": username}))              # no address
        said(site.post("/v1/retirements", {**body, "name": name * 60}))              # too long
        said(site.post("/v1/retirements", {**body, "account_id": name}))             # wrong type
        said(site.post("/v1/retirements/import", {"people": [{"username": username, "email": "y" + email}]}))
        said(site.post("/v1/claims", {"driver": "d", "limit": 1, "lease_s": 1, "username": username + "x"}))
        said(site.call("POST", "/v1/retirements", raw=json.dumps(body).encode()[:-3]))  # broken JSON
        said(site.call("POST", "/v1/retirements", raw=b'{"' + username.encode() + b'":1,"' + username.encode() + b'":2}'))
        said(site.patch(username, "NOWHERE", name))
        assert site.request(username, email)["state"] in ("PENDING", "ERASING", "COMPLETE", "ERRORED")
        assert site.post("/v1/retirements/search", {"email": email}).json["retirements"]
        said(site.post("/v1/retirements/search", {"email": email, "username": username}))
        said(site.patch(username, "PENDING", {"name": name}))
        site.status(username), site.status(username + "x")
        site.get(f"/v1/retirements/{username.encode().hex()}")
    wait_for(lambda: site.counts()["COMPLETE"] == len(PEOPLE) - 1 and site.counts()["ERRORED"] == 1, "everybody has arrived")
    assert len(erase.calls) == len(PEOPLE)
    texts.append(site.lethe("retirement", "request", "--username", PEOPLE[0][0], "--email", "wrong@example.com").err)

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
