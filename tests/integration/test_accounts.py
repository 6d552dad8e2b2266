# SPDX-License-Identifier: Apache-2.0
"""The directory: its accounts, which names are free, and what the stages of a retirement do to an account."""
import json
import re

import pytest

EDX = "/api/user/v1/accounts/"
SECONDARY = {"extras": {"goal": "learn", "n": [1, None]}, "linked_logins": [{"at": "google", "id": "g-1"}],
             "pending_changes": {"email": "next@example.com"}, "recovery_email": "other@example.com"}


def account(site, username, **more):
    answer = site.post("/v1/accounts", {"username": username, "email": f"{username}@example.com", **more})
    assert answer.status == 201, answer
    return answer.json["id"]


def show(site, id):
    answer = site.get(f"/v1/accounts/{id}")
    assert answer.status == 200, answer
    return answer.json


def check(site, **names):
    answer = site.post("/v1/identities/check", names)
    assert answer.status == 200, answer
    return answer.json


def complete(site, username):
    who = site.request(username)
    assert site.patch(username, "RETIRING_LMS").status == 204
    assert site.post(EDX + "retire/", {"username": username}).status == 204
    assert site.patch(username, "COMPLETE").status == 204
    return who


# ---- looking ----

def test_an_account_as_it_is(authority):
    id = account(authority, "looker", name="Loo Ker", orgs=["edX"], **SECONDARY)
    found = show(authority, id)
    assert found == {"id": id, "account_id": None, "username": "looker", "email": "looker@example.com", "name": "Loo Ker",
                     "orgs": ["edX"], "secondary": SECONDARY, "state": "no_password", "created": found["created"]}
    assert authority.post("/v1/accounts/search", {"email": "LOOKER@example.com"}).json == {"accounts": [found]}
    assert authority.post("/v1/accounts/search", {"username": "Looker"}).json == {"accounts": []}
    assert authority.get("/v1/accounts/99999999").status == 404 and authority.get("/v1/accounts/x").status == 404
    assert authority.ok("account", "show", "looker", "--json").json == found
    shown = authority.ok("account", "show", "looker").out
    assert "looker@example.com" in shown and "edX" in shown, shown
    assert authority.lethe("account", "show", "Looker").code == 3


@pytest.mark.parametrize("body", [{}, {"email": "a@b", "username": "a"}, {"username": 5}, {"q": "a"}])
def test_a_search_is_refused(authority, body):
    assert authority.post("/v1/accounts/search", body).status == 400


@pytest.mark.parametrize("change", [{"extras": []}, {"linked_logins": {}}, {"pending_changes": "x"}, {"recovery_email": 1},
                                    {"recovery_email": "nobody"}, {"recovery_email": "a@" + "b" * 253}, {"recovery_email": "a\n@b"}])
def test_what_hangs_on_an_account_has_its_types(authority, change):
    answer = authority.post("/v1/accounts", {"username": "typed", "email": "t@example.com", **change})
    assert answer.status == 400 and list(change)[0] in answer.json["detail"]


def test_only_those_who_may_look(authority):
    token = authority.token("retirement:admin")
    assert authority.get("/v1/accounts/1", token=token).status == 403
    assert authority.post("/v1/accounts/search", {"username": "a"}, token=token).status == 403
    assert authority.post("/v1/identities/check", {"username": "a"}, token=authority.token("retirement:read")).status == 403


# ---- names that cannot be registered ----

def test_a_name_on_its_way(authority):
    account(authority, "Ödön")
    free = {"status": "free", "username": "free", "email": "free"}
    assert check(authority, username="ÖDÖN", email="ödön@example.com") == free
    who = authority.request("Ödön")
    pending = {"status": "pending", "username": "pending", "email": "pending"}
    for name in ("Ödön", "ödön", "ÖDÖN"):
        assert check(authority, username=name, email=f"{name}@EXAMPLE.com") == pending
    assert check(authority, username="Ödön") == {"status": "pending", "username": "pending", "email": None}
    assert check(authority, email="ödön@example.com", username="other") == {**pending, "username": "free"}
    authority.post(f"/v1/retirements/{who['id']}/cancel")
    assert check(authority, username="Ödön", email="ödön@example.com") == free
    complete(authority, "Ödön")
    retired = {"status": "retired", "username": "retired", "email": "retired"}
    for name in ("Ödön", "ödön", "ÖDÖN"):
        assert check(authority, username=name, email=f"{name}@EXAMPLE.com") == retired


@pytest.mark.parametrize("body", [{}, {"username": 5}, {"name": "a"}, {"username": None, "email": None}])
def test_a_check_is_refused(authority, body):
    assert authority.post("/v1/identities/check", body).status == 400


def test_pending_and_retired_names_are_not_registered(authority):
    authority.request("Vera", "vera@example.com")
    complete(authority, "Wera")
    for name, code in (("Vera", "pending"), ("vERA", "pending"), ("wera", "retired"), ("WERA", "retired"), ("Wera", "retired")):
        for body in ({"username": name, "email": "new@example.com"},
                     {"username": f"{name}2", "email": f"{name}@Example.com"}):
            for whole in (body, {"accounts": [body]}):
                answer = authority.post("/v1/accounts", whole)
                assert answer.status == 409 and answer.json["code"] == code, answer
                assert name not in answer.json["detail"]
    assert authority.lethe("account", "add", "--username", "WERA", "--email", "x@example.com").code == 4


def test_the_check_agrees_with_the_hash_under_every_salt(authority):
    """Accounts that another system retired earlier, under an old salt."""
    forms = authority.ok("hash", "OldTimer", "--json").json["all"]
    mails = authority.ok("hash", "OldTimer@example.com", "--json").json["all"]
    assert len(forms) == 2
    assert check(authority, username="oldtimer", email="oldtimer@example.com")["status"] == "free"
    account(authority, forms[0]["retired_username"], email=mails[0]["retired_email"])
    assert check(authority, username="oldtimer", email="oldTimer@example.com")["status"] == "retired"
    assert check(authority, username="oldtimer")["username"] == "retired"
    assert check(authority, email="OLDTIMER@example.com")["email"] == "retired"
    assert authority.post("/v1/accounts", {"username": "OLDTIMER", "email": "n@example.com"}).json["code"] == "retired"


def test_a_request_for_somebody_retired(authority):
    who = authority.request("Xaver")
    account_id = account(authority, "Yves")
    live = authority.request("Yves")
    assert authority.patch("Yves", "RETIRING_LMS").status == 204
    assert authority.post(EDX + "retire/", {"username": "Yves"}).status == 204
    assert authority.request("Yves")["id"] == live["id"]
    answer = authority.post("/v1/retirements", {"username": "Yves", "email": "wrong@example.com"})
    assert answer.status == 409 and answer.json["code"] == "unknown_pair"
    assert authority.patch("Yves", "COMPLETE").status == 204
    answer = authority.post("/v1/retirements", {"username": "Yves", "email": "yves@example.com"})
    assert answer.status == 409 and answer.json["code"] == "retired", answer
    assert show(authority, account_id)["state"] == "retired" and who["state"] == "PENDING"


def test_a_retired_name_stays_so_when_all_else_is_gone(authority):
    account_id = account(authority, "Yara", name="Yara Y.", **SECONDARY)
    who = complete(authority, "Yara")
    answer = authority.post(EDX + "retirement_cleanup/", {"usernames": ["Yara"]})
    assert answer.status == 204, answer
    assert authority.get(f"/v1/retirements/{who['id']}").status == 404
    assert authority.get(f"/v1/accounts/{account_id}").status == 404
    for name, email in (("YARA", "yARA@example.com"), (who["retired_username"], who["retired_email"])):
        assert check(authority, username=name, email=email) == {"status": "retired", "username": "retired", "email": "retired"}
        assert authority.post("/v1/accounts", {"username": name, "email": "n@example.com"}).json["code"] == "retired"
        assert authority.post("/v1/accounts", {"username": "n", "email": email}).json["code"] == "retired"


# ---- deactivate ----

def test_deactivate(authority):
    id = account(authority, "idle")
    for _ in range(2):
        answer = authority.post(EDX + "idle/deactivate/")
        assert answer.status == 200, answer
        assert answer.json == {"id": id, "username": "idle", "email": "idle@example.com",
                               "profile": {"id": id, "name": ""}, "has_usable_password": False}
    assert authority.post(EDX + "Idle/deactivate/").raw == b"" and authority.post(EDX + "Idle/deactivate/").status == 404
    authority.request("guest1")
    assert authority.post(EDX + "guest1/deactivate/").status == 404
    assert authority.post(EDX + "idle/deactivate/", token=authority.token("retirement:admin")).status == 403
    assert authority.post(EDX + "idle/deactivate/", token="").status == 401


# ---- retire_misc and retire ----

@pytest.mark.parametrize("call", ["retire_misc", "retire"])
def test_erasing_is_refused(authority, call):
    path = f"{EDX}{call}/"
    for body in (None, {}, {"username": ""}, {"username": None}):
        answer = authority.post(path, body)
        assert answer.status == 404 and answer.json == {"message": "The user was not specified."}, answer
    answer = authority.post(path, {"username": "nobody-here"})
    assert answer.status == 404 and answer.raw == b""
    assert authority.post(path, {"username": 5}).status == 400
    for state in ("PENDING", "FORUMS_COMPLETE", "ERRORED", "ABORTED", "COMPLETE"):
        who = authority.somebody(*([] if state == "PENDING" else [state]))
        answer = authority.post(path, {"username": who["original_username"]})
        assert answer.status == 400 and state in answer.json and who["original_username"] not in answer.json, answer
    who = authority.somebody("RETIRING_LMS")
    assert authority.post(path, {"username": who["original_username"].upper()}).status == 404
    assert authority.post(path, {"username": "x"}, token=authority.token("retirement:read")).status == 403
    assert authority.post(path, {"username": "x"}, token="").status == 401


@pytest.mark.parametrize("state", ["RETIRING_FORUMS", "RETIRING_LMS"])
def test_somebody_brought_along_has_nothing_to_erase(authority, state):
    name = authority.somebody(state)["original_username"]
    for call in ("retire_misc", "retire"):
        for _ in range(2):
            answer = authority.post(f"{EDX}{call}/", {"username": name})
            assert answer.status == 204 and answer.raw == b"", answer


def test_misc_erases_what_hangs_on_the_account(authority):
    id = account(authority, "misc", name="Mi Sc", **SECONDARY)
    authority.request("misc")
    assert authority.patch("misc", "RETIRING_FORUMS").status == 204
    for _ in range(2):
        assert authority.post(EDX + "retire_misc/", {"username": "misc"}).status == 204
    now = show(authority, id)
    assert now["secondary"] == {} and now["name"] == "Mi Sc" and now["username"] == "misc"


def test_retire_leaves_the_retired_name(authority):
    id = account(authority, "gone", name="Go Ne", **SECONDARY)
    who = authority.request("gone")
    assert authority.patch("gone", "RETIRING_LMS").status == 204
    for _ in range(2):
        assert authority.post(EDX + "retire/", {"username": "gone"}).status == 204
    now = show(authority, id)
    assert now == {**now, "state": "retired", "username": who["retired_username"], "email": who["retired_email"],
                   "name": "", "secondary": {}}
    assert authority.one(who["id"])["user"] == {"id": id, "username": who["retired_username"],
                                                "email": who["retired_email"], "profile": {"id": id, "name": ""}}
    assert authority.status(who["retired_username"]).json["id"] == who["id"]
    assert authority.patch("gone", "COMPLETE").status == 204
    for name in ("gone", "GONE", who["retired_username"]):
        assert authority.post("/v1/accounts", {"username": name, "email": "z@example.com"}).status == 409


def test_a_cancel_after_retire_brings_nothing_back(authority):
    id = account(authority, "erased")
    who = authority.request("erased")
    assert authority.patch("erased", "RETIRING_LMS").status == 204
    assert authority.post(EDX + "retire/", {"username": "erased"}).status == 204
    authority.post(f"/v1/retirements/{who['id']}/move", {"state": "PENDING", "reason": "r"})
    assert authority.post(f"/v1/retirements/{who['id']}/cancel").status == 200
    assert show(authority, id)["state"] == "retired" and show(authority, id)["email"] == who["retired_email"]


# ---- replace_usernames ----

def replace(site, *pairs):
    answer = site.post(EDX + "replace_usernames/", {"username_mappings": [dict([p]) for p in pairs]})
    assert answer.status == 200, answer
    return answer.json["successful_replacements"], answer.json["failed_replacements"]


def test_other_user_names(authority):
    ids = [account(authority, n) for n in ("ren1", "ren2", "ren3")]
    account(authority, "ren4")
    authority.request("ren4")
    authority.request("guest2")
    done, failed = replace(authority, ("ren1", "new1"), ("ren2", "ren3"), ("ren3", "REN3"), ("ren4", "x"),
                           ("guest2", "x"), ("nobody", "x"), ("new1", "a" * 151), ("new1", "new1"))
    assert done[0] == {"ren1": "new1"} and done[2:] == [{"ren3": "REN3"}, {"new1": "new1"}]
    assert re.fullmatch("ren3-[A-Z0-9]{4}", done[1]["ren2"])
    assert failed == [{"ren4": "x"}, {"guest2": "x"}, {"nobody": "x"}, {"new1": "a" * 151}]
    assert [show(authority, id)["username"] for id in ids] == ["new1", done[1]["ren2"], "REN3"]
    assert authority.post("/v1/accounts", {"username": "ren1", "email": "r@example.com"}).status == 201


def test_a_retired_name_is_nobodys_other_name(authority):
    complete_name = "Zoran"
    complete(authority, complete_name)
    account(authority, "wants")
    done, _ = replace(authority, ("wants", "ZORAN"))
    assert re.fullmatch("ZORAN-[A-Z0-9]{4}", done[0]["wants"])


@pytest.mark.parametrize("body", [{}, {"username_mappings": {}}, {"username_mappings": ["a"]}, {"username_mappings": [{}]},
                                  {"username_mappings": [{"a": "b", "c": "d"}]}, {"username_mappings": [{"a": 5}]},
                                  {"username_mappings": None}])
def test_another_shape_is_refused(authority, body):
    answer = authority.post(EDX + "replace_usernames/", body)
    assert answer.status == 400 and isinstance(answer.json, str)


def test_nobody_to_rename(authority):
    assert replace(authority) == ([], [])
    token = authority.token("retirement:admin")
    assert authority.post(EDX + "replace_usernames/", {"username_mappings": []}, token=token).status == 403


# ---- what must not show ----

def test_nobody_is_named_in_the_log(authority):
    logged = authority.logs()
    for planted in ("looker", "Loo Ker", "google", "recovery", "Ödön", "OldTimer", "gone@example.com", "Zoran", "ren1"):
        assert planted not in logged, planted
    assert json.dumps("gone")[1:-1] not in authority.get("/metrics").raw.decode()
