# SPDX-License-Identifier: Apache-2.0
"""Two people of one name, and one person twice.

Case 15: user names that differ in case only retire alike. Registration and import say so, and a request is never refused for
it: the later of the two gets a retired name with a suffix.

Case 4: a person whose account is retired registers again in the application. That is another account: it is retired by its own
number, and the old number is never erased again."""
import pytest

REFUSED = 4
MANUAL = {"manual": {"instructions": "remove it"}}


def retire(site, who):
    """Through all the stages, as a driver does it, and the account of the directory with it."""
    name = who["original_username"]
    for state in ("RETIRING_FORUMS", "FORUMS_COMPLETE", "RETIRING_LMS"):
        assert site.post(f"/v1/retirements/{who['id']}/move", {"state": state, "reason": "a test"}).status == 200
    assert site.post("/api/user/v1/accounts/retire/", {"username": name}).status == 204
    for state in ("LMS_COMPLETE", "COMPLETE"):
        assert site.post(f"/v1/retirements/{who['id']}/move", {"state": state, "reason": "a test"}).status == 200


def register(site, username, email=None, **more):
    answer = site.post("/v1/accounts", {"username": username, "email": email or f"{username}@example.com", **more})
    assert answer.status == 201, answer
    return answer.json


def ask(site, username, email=None, **more):
    return site.post("/v1/retirements", {"username": username, "email": email or f"{username}@example.com", **more})


# ---- case 15 ----

@pytest.mark.parametrize("one, other", [("dee", "Dee"), ("ÉLODIE", "élodie"), ("İstanbul", "i̇stanbul"), ("kelvin", "\u212aelvin")])
def test_both_are_retired_under_names_of_their_own(served, one, other):
    assert "alike" not in register(served, one, "one@example.com")
    assert register(served, other, "two@example.com")["alike"] == [other]
    first, second = ask(served, one, "one@example.com").json, ask(served, other, "two@example.com").json
    assert second["retired_username"] == first["retired_username"] + "_2"
    for who in (first, second):
        retire(served, who)
        assert served.state_of(who["original_username"]) == "COMPLETE"
    for who in (first, second):
        assert served.status(who["retired_username"]).json["id"] == who["id"]
        names = served.post("/v1/identities/check", {"username": who["retired_username"], "email": who["retired_email"]}).json
        assert names["username"] == names["email"] == "retired"
        assert served.post("/v1/accounts", {"username": who["retired_username"], "email": "x@example.com"}).status == 409


def test_the_address_of_two_accounts_retires_twice(served):
    register(served, "ada", "shared@example.com")
    register(served, "bob", "Shared@example.com")
    first, second = ask(served, "ada", "shared@example.com").json, ask(served, "bob", "shared@example.com").json
    local, _, domain = first["retired_email"].partition("@")
    assert second["retired_email"] == f"{local}_2@{domain}"
    assert "_2" not in second["retired_username"]


def test_people_brought_along_likewise(served):
    names = [ask(served, name, f"{n}@example.com").json["retired_username"] for n, name in enumerate(("dee", "Dee", "DEE", "dEE"))]
    assert names == [names[0], names[0] + "_2", names[0] + "_3", names[0] + "_4"]


def test_a_person_who_cancels_and_asks_again_keeps_the_retired_name(served):
    register(served, "dee")
    first = ask(served, "dee").json
    assert served.post(f"/v1/retirements/{first['id']}/cancel", {}).status == 200
    assert ask(served, "dee").json["retired_username"] == first["retired_username"]


def test_a_retired_account_of_another_system_has_the_name_already(served):
    name = served.ok("hash", "dee").out.split()[0]
    register(served, name, "gone@example.com")
    assert ask(served, "dee").json["retired_username"] == name + "_2"


def test_a_name_with_a_number_that_nobody_has_is_not_found(served):
    name = ask(served, "dee").json["retired_username"]
    for wrong in ("_2", "_1", "_02", "_", "_99999", "_2x"):
        assert served.status(name + wrong).status == 404


def test_an_import_lists_them(served):
    people = served.folder / "people.csv"
    people.write_text("dee,d1@example.com\nann,ann@example.com\nDee,d2@example.com\nDEE,d3@example.com\n")
    assert served.ok("account", "import", str(people), "--json").json == {"imported": 4, "alike": ["Dee", "DEE"]}
    people.write_text("ANN,a2@example.com\n")
    assert "retires like an account with another case of letters: ANN" in served.ok("account", "import", str(people)).out
    assert "_2" in served.ok("account", "add", "--username", "aNn", "--email", "a3@example.com").out
    people.write_text("zoe,zoe@example.com\n")
    assert served.ok("account", "import", str(people)).out == "1 account imported.\n"


# ---- case 4 ----

@pytest.fixture
def numbers(site):
    """A site whose stages go by the number."""
    site.configure(services={"notes": {"url": "http://127.0.0.1:1"}})
    site.stage("RETIRING_FORUMS", "FORUMS_COMPLETE", http={"service": "notes", "delete": "/users/{user_id}", "nothing_to_erase": [404]})
    site.stage("RETIRING_LMS", "LMS_COMPLETE", **MANUAL)
    site.serve()
    return site


def test_who_came_back_is_another_account(numbers):
    old = ask(numbers, "ada", account_id=1).json
    retire_moves(numbers, old)
    answer = ask(numbers, "ada")
    assert answer.status == 409 and answer.json["code"] == "account_id_needed", answer
    assert "RETIRING_FORUMS" in answer.json["detail"] and "account_id" in answer.json["detail"]
    new = ask(numbers, "ada", account_id=9)
    assert new.status == 201, new
    assert new.json["user"]["id"] == 9 and new.json["id"] != old["id"]
    assert new.json["retired_username"] == old["retired_username"] + "_2"
    claim = numbers.claim(limit=5)
    assert [(c["id"], c["user"]["id"]) for c in claim] == [(new.json["id"], "9")], claim
    repeated = ask(numbers, "ada", account_id=9)
    assert repeated.status == 200 and repeated.json["id"] == new.json["id"]
    assert ask(numbers, "ada").json["id"] == new.json["id"]  # the live one
    assert numbers.one(old["id"])["user"]["id"] == 1 and numbers.one(old["id"])["current_state"]["state_name"] == "COMPLETE"


def retire_moves(site, who):
    for state in ("RETIRING_FORUMS", "FORUMS_COMPLETE", "RETIRING_LMS", "LMS_COMPLETE", "COMPLETE"):
        assert site.post(f"/v1/retirements/{who['id']}/move", {"state": state, "reason": "a test"}).status == 200


def test_without_stages_that_need_the_number_it_is_a_new_entry(served):
    old = ask(served, "ada", account_id=1).json
    retire_moves(served, old)
    new = ask(served, "ada").json
    assert new["id"] != old["id"] and new["user"]["id"] != 1
    assert new["retired_username"] == old["retired_username"] + "_2"
    retire_moves(served, new)
    third = ask(served, "ada", "other@example.com", account_id=12).json
    assert third["user"]["id"] == 12 and third["retired_username"] == old["retired_username"] + "_3"


def test_where_no_number_was_ever_given_the_names_are_told_apart_all_the_same(served):
    old = ask(served, "ada").json
    retire_moves(served, old)
    again = ask(served, "ada").json
    assert again["retired_username"] == old["retired_username"] + "_2"
    assert served.post(f"/v1/retirements/{again['id']}/cancel", {}).status == 200
    assert ask(served, "ada").json["retired_username"] == again["retired_username"]


def test_an_account_of_the_directory_that_came_back_elsewhere(served):
    register(served, "ada", account_id=1)
    old = ask(served, "ada").json
    retire(served, old)
    answer = ask(served, "ada")
    assert answer.status == 409 and answer.json["code"] == "retired" and "account_id" in answer.json["detail"], answer
    assert ask(served, "ada", account_id=1).status == 409
    new = ask(served, "ada", account_id=9)
    assert new.status == 201 and new.json["user"]["id"] == 9, new


def test_an_import_of_a_person_who_was_retired_says_where_the_number_is_taken(served):
    retire(served, ask(served, "ada", account_id=1).json)
    people = [{"username": "ada", "email": "ada@example.com"}]
    [row] = served.post("/v1/retirements/import", {"people": people, "partial": True}).json["results"]
    assert row["code"] == "retired" and "account_id to POST /v1/retirements" in row["detail"], row


def test_another_number_while_the_first_request_is_under_way_is_a_slip(served):
    ask(served, "ada", account_id=1)
    answer = ask(served, "ada", account_id=9)
    assert answer.status == 409 and answer.json["code"] == "unknown_pair"


def test_another_number_after_a_cancelled_request_is_a_slip(served):
    old = ask(served, "ada", account_id=1).json
    assert served.post(f"/v1/retirements/{old['id']}/cancel", {}).status == 200
    assert ask(served, "ada", account_id=9).json["code"] == "unknown_pair"
    assert ask(served, "ada", account_id=1).json["user"]["id"] == 1


def test_a_file_of_people_never_erases_an_old_number_again(served):
    old = ask(served, "ada", account_id=1).json
    retire_moves(served, old)
    people = served.folder / "people.csv"
    people.write_text("ada,ada@example.com\n")
    result = served.lethe("retirement", "import", str(people))
    assert result.code == REFUSED and "retired already" in result.err, result


def test_who_was_archived_and_came_back(served):
    old = ask(served, "ada", account_id=1).json
    retire_moves(served, old)
    served.ok("archive", "--older-than", "0s")
    assert served.status("ada").status == 404
    new = ask(served, "ada", account_id=9)
    assert new.status == 201 and new.json["user"]["id"] == 9, new
    assert new.json["retired_username"] == old["retired_username"] + "_2"


# ---- the recovery address ----

def secondary(site, username):
    return site.post("/v1/accounts/search", {"username": username}).json["accounts"][0]["secondary"]


def test_the_recovery_address_goes_with_the_request(served):
    register(served, "ada", recovery_email="other@example.com", extras={"city": "Oslo"})
    assert secondary(served, "ada") == {"extras": {"city": "Oslo"}, "recovery_email": "other@example.com"}
    who = ask(served, "ada").json
    assert secondary(served, "ada") == {"extras": {"city": "Oslo"}}
    assert served.post(f"/v1/retirements/{who['id']}/cancel", {}).status == 200
    assert secondary(served, "ada") == {"extras": {"city": "Oslo"}, "recovery_email": "other@example.com"}


def test_a_recovery_address_that_was_erased_stays_away(served):
    register(served, "ada", recovery_email="other@example.com")
    who = ask(served, "ada").json
    assert served.patch("ada", "RETIRING_FORUMS").status == 204
    assert served.post("/api/user/v1/accounts/retire_misc/", {"username": "ada"}).status == 204
    assert served.post(f"/v1/retirements/{who['id']}/move", {"state": "PENDING", "reason": "a test"}).status == 200
    assert served.post(f"/v1/retirements/{who['id']}/cancel", {}).status == 200
    assert secondary(served, "ada") == {}
