# SPDX-License-Identifier: Apache-2.0
"""An account's number, names and address change: by a call, a command, or a file that updates."""
import pytest

FAILED, USAGE, NOT_FOUND, REFUSED = 1, 2, 3, 4


def register(site, username, **more):
    answer = site.post("/v1/accounts", {"username": username, "email": f"{username}@example.com", **more})
    assert answer.status == 201, answer
    return answer.json["id"]


def change(site, account, **what):
    return site.call("PATCH", f"/v1/accounts/{account}", what)


def account(site, username):
    found = site.post("/v1/accounts/search", {"username": username}).json["accounts"]
    return found[0] if found else None


def changes(site):
    return [e["subject"] for e in site.get("/v1/audit?limit=1000").json["entries"] if e["action"] == "changed"]


def import_file(site, text, *words):
    people = site.folder / "people.csv"
    people.write_text(text)
    return site.lethe("account", "import", str(people), *words)


def test_each_of_them(served):
    ada = register(served, "ada", name="Ada", orgs=["one"], recovery_email="r@example.com")
    for what in ({"account_id": 7}, {"username": "ada2"}, {"email": "Ada@example.org"}, {"name": "Ada L."}):
        answer = change(served, ada, **what)
        assert answer.status == 200 and what.items() <= answer.json.items(), answer
    assert changes(served) == [f"account:{ada}"] * 4
    assert account(served, "ada") is None and account(served, "ada2")["secondary"] == {"recovery_email": "r@example.com"}
    who = served.post("/v1/retirements", {"username": "ada2", "email": "ada@example.ORG"}).json
    assert who["user"]["id"] == 7 and who["original_email"] == "Ada@example.org" and who["original_name"] == "Ada L."


def test_what_is_the_same_is_no_change(served):
    ada = register(served, "ada", name="Ada", account_id=7)
    assert change(served, ada, username="ada", name="Ada", account_id=7, email="ada@example.com").status == 200
    assert changes(served) == []


def test_another_case_of_letters_is_another_name(served):
    ada = register(served, "ada")
    assert change(served, ada, username="Ada", email="ADA@example.com").json["username"] == "Ada"


@pytest.mark.parametrize("what, code", [
    ({"username": "bob"}, "taken"), ({"account_id": 8}, "taken"),
    ({"username": "PENDING"}, "pending"), ({"email": "Pending@example.com"}, "pending"),
    ({"username": "Gone"}, "retired"), ({"email": "GONE@example.com"}, "retired"),
])
def test_what_others_have_or_what_is_retired_is_refused(served, what, code):
    ada = register(served, "ada")
    register(served, "bob", account_id=8)
    served.request("pending")
    served.request("gone")
    served.patch("gone", "COMPLETE")
    answer = change(served, ada, **what)
    assert answer.status == 409 and answer.json["code"] == code, answer
    assert changes(served) == [] and account(served, "ada")["email"] == "ada@example.com"


def test_while_a_retirement_is_under_way_and_afterwards(served):
    ada = register(served, "ada")
    who = served.request("ada")
    for what in ({"name": "Ada"}, {"email": "new@example.com"}, {"account_id": 9}, {"username": "new"}):
        answer = change(served, ada, **what)
        assert answer.status == 409 and answer.json["code"] == "pending", answer
    assert served.post(f"/v1/retirements/{who['id']}/cancel", {}).status == 200
    assert change(served, ada, name="Ada").status == 200
    who = served.request("ada")
    served.patch("ada", "RETIRING_LMS")
    assert served.post("/api/user/v1/accounts/retire/", {"username": "ada"}).status == 204
    served.patch("ada", "COMPLETE")
    assert change(served, ada, name="Ada").json["code"] == "retired"


def test_a_person_brought_along(served):
    who = served.request("ada", account_id=7)
    assert served.post(f"/v1/retirements/{who['id']}/cancel", {}).status == 200
    entry = served.request("bob")  # its entry is the next one
    assert entry
    assert change(served, 1, account_id=9, email="ada@example.org").status == 200
    again = served.request("ada", "ada@example.org", account_id=9)
    assert again["user"]["id"] == 9
    served.patch("ada", "COMPLETE")
    assert change(served, 1, account_id=10).json["code"] == "retired"
    assert change(served, 2, name="Bob").status == 400


def test_another_address_ends_sessions(served):
    ada = register(served, "ada", password="a good password")
    session = served.post("/v1/sessions", {"username": "ada", "password": "a good password"}, token="").json["token"]
    assert change(served, ada, name="Ada").status == 200
    assert change(served, ada, email="ada@example.org").status == 200
    assert served.call("DELETE", "/v1/sessions", token=session).status == 401


def test_the_command(served):
    register(served, "ada")
    shown = served.ok("account", "update", "ada", "--email", "ada@example.org", "--account-id", "7", "--json").json
    assert (shown["email"], shown["account_id"]) == ("ada@example.org", 7)
    assert "ada2" in served.ok("account", "update", "ada", "--username", "ada2").out
    assert served.lethe("account", "update", "ada", "--name", "x").code == NOT_FOUND
    assert served.lethe("account", "update", "ada2").code == USAGE
    served.request("ada2", "ada@example.org")
    assert served.lethe("account", "update", "ada2", "--name", "x").code == REFUSED


def test_a_file_that_updates(served):
    register(served, "ada", account_id=1, name="Ada", orgs=["one"])
    register(served, "bob", account_id=2)
    register(served, "cid")
    head = "account_id,username,email,name\n"
    assert import_file(served, head + "1,ada2,ada@example.com,Ada\n").code == REFUSED
    done = import_file(served, head + "1,ada2,ada@example.org,Ada L.\n2,bob,bob@example.com,\n3,cid,cid@example.com,\n4,dan,dan@example.com,\n",
                       "--update", "--json")
    assert done.code == 0 and done.json["imported"] == 4, done
    ada = account(served, "ada2")
    assert (ada["account_id"], ada["email"], ada["name"], ada["orgs"]) == (1, "ada@example.org", "Ada L.", ["one"])
    assert account(served, "cid")["account_id"] == 3 and account(served, "dan")["account_id"] == 4
    assert len(changes(served)) == 2  # bob is as he was


def test_a_file_may_have_people_who_are_being_retired_as_they_are(served):
    register(served, "ada", account_id=1, name="Ada")
    served.request("ada")
    head = "account_id,username,email,name\n"
    assert import_file(served, head + "1,ada,ada@example.com,Ada\n", "--update").code == 0
    result = import_file(served, head + "1,ada,other@example.com,Ada\n", "--update")
    assert result.code == REFUSED and "people.csv:2" in result.err, result
