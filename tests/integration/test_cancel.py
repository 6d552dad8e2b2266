# SPDX-License-Identifier: Apache-2.0
"""Cancelling a request, in every way, and what happens to the account in the directory."""
import threading

import pytest

EDX = "/api/user/v1/accounts/"
PENDING_TEXT = "Retirement requests can only be cancelled for users in the PENDING state. Current request state for '{}': {}"


def account(site, username, **more):
    answer = site.post("/v1/accounts", {"username": username, "email": f"{username}@Example.com", **more})
    assert answer.status == 201, answer
    return answer.json["id"]


def show_account(site, username):
    found = site.post("/v1/accounts/search", {"username": username}).json["accounts"]
    assert len(found) == 1
    return found[0]


def asked(site, username):
    """A person of the directory who requested to be forgotten."""
    account(site, username)
    return site.request(username)


# ---- the LMS's call ----

def cancel_edx(site, body, **options):
    return site.post(EDX + "cancel_retirement/", body, **options)


def test_the_lms_cancels(authority):
    who = asked(authority, "edx1")
    for _ in range(2):
        answer = cancel_edx(authority, {"retirement_id": who["id"]})
        assert answer.status == 200 and answer.json == {"success": True}, answer
    assert authority.moves_of(who["id"]) == [(None, "PENDING"), ("PENDING", "ABORTED")]
    assert authority.one(who["id"])["user"]["email"] == "edx1@Example.com"


def test_the_lms_cancels_with_a_form(authority):
    who = asked(authority, "edx2")
    answer = cancel_edx(authority, None, raw=f"retirement_id={who['id']}".encode(),
                        headers={"Content-Type": "application/x-www-form-urlencoded"})
    assert answer.json == {"success": True}


@pytest.mark.parametrize("body, message", [
    ({}, "retirement_id must be specified."), ({"retirement_id": None}, "retirement_id must be specified."),
    ({"retirement_id": 10 ** 12}, "Retirement does not exist!"), ({"retirement_id": "x"}, "Retirement does not exist!"),
    ({"retirement_id": "9" * 30}, "Retirement does not exist!"), ({"retirement_id": []}, "Retirement does not exist!"),
    ({"retirement_id": -1}, "Retirement does not exist!"), ({"retirement_id": "1 OR 1"}, "Retirement does not exist!")])
def test_the_lms_is_refused(authority, body, message):
    answer = cancel_edx(authority, body)
    assert answer.status == 400 and answer.json == {"message": message}, answer


def test_nothing_in_the_body_is_no_id(authority):
    answer = authority.post(EDX + "cancel_retirement/")
    assert answer.status == 400 and answer.json == {"message": "retirement_id must be specified."}


@pytest.mark.parametrize("state", ["RETIRING_FORUMS", "FORUMS_COMPLETE", "ERRORED", "COMPLETE"])
def test_who_is_not_pending_is_not_cancelled(authority, state):
    who = authority.somebody(state)
    answer = cancel_edx(authority, {"retirement_id": who["id"]})
    name = who["original_username"]
    assert answer.status == 400 and answer.json == {"message": PENDING_TEXT.format(name, state)}, answer
    answer = authority.post(f"/v1/retirements/{who['id']}/cancel", {})
    assert answer.status == 409 and answer.json["code"] == "not_pending" and name not in answer.json["detail"]
    answer = authority.post("/v1/cancellations", {"username": name})
    assert answer.status == 409 and answer.json["code"] == "not_pending"
    result = authority.lethe("retirement", "cancel", f"{name}@example.com")
    assert result.code == 4 and state in result.err
    assert authority.one(who["id"])["state"] == state


def test_only_those_who_may_cancel(authority):
    who = authority.somebody()
    token = authority.token("retirement:drive retirement:request retirement:read")
    assert cancel_edx(authority, {"retirement_id": who["id"]}, token=token).status == 403
    assert cancel_edx(authority, {"retirement_id": who["id"]}, token="").status == 401
    assert authority.post(f"/v1/retirements/{who['id']}/cancel", {}, token=token).status == 403
    assert authority.post("/v1/cancellations", {"username": who["original_username"]}, token=token).status == 403
    assert authority.one(who["id"])["state"] == "PENDING"


# ---- Lethe's own ----

def test_by_id_with_a_reason_and_without_a_body(authority):
    who = authority.somebody()
    answer = authority.post(f"/v1/retirements/{who['id']}/cancel", {"reason": "thought again"})
    assert answer.status == 200 and answer.json["state"] == "ABORTED", answer
    newest = authority.log_of(who["id"])[-1]
    assert newest["reason"] == "thought again" and not newest["forced"]
    assert authority.post(f"/v1/retirements/{who['id']}/cancel").status == 200
    assert len(authority.log_of(who["id"])) == 2
    assert authority.post("/v1/retirements/999999/cancel").status == 404
    assert authority.post(f"/v1/retirements/{who['id']}/cancel", {"why": "x"}).status == 400


def test_json_is_json_whatever_it_is_called(authority):
    who = authority.somebody()
    answer = authority.call("POST", f"/v1/retirements/{who['id']}/cancel", raw=b'{"reason": "thought again"}',
                            headers={"Content-Type": "application/x-www-form-urlencoded"})
    assert answer.status == 200 and authority.log_of(who["id"])[-1]["reason"] == "thought again", answer


def test_by_address_in_any_case(authority):
    who = authority.request("Ümit", "Ümit.Ö@Example.com")
    answer = authority.post("/v1/cancellations", {"email": "üMIT.ö@eXAMPLE.COM"})
    assert answer.status == 200 and answer.json["id"] == who["id"] and answer.json["state"] == "ABORTED"
    assert authority.post("/v1/cancellations", {"email": "ümit.ö@example.com"}).status == 200
    again = authority.request("Ümit", "Ümit.Ö@Example.com")
    assert again["id"] != who["id"] and again["state"] == "PENDING"
    assert authority.post("/v1/cancellations", {"email": "ümit.ö@example.com"}).json["id"] == again["id"]


def test_by_exact_user_name(authority):
    for name in ("Twin", "twin"):
        authority.request(name, "twins@example.com")
    answer = authority.post("/v1/cancellations", {"email": "twins@example.com"})
    assert answer.status == 409 and answer.json["code"] == "ambiguous", answer
    assert authority.post("/v1/cancellations", {"username": "TWIN"}).status == 404
    assert authority.post("/v1/cancellations", {"username": "twin"}).json["original_username"] == "twin"
    answer = authority.post("/v1/cancellations", {"email": "TWINS@example.com"})
    assert answer.status == 200 and answer.json["original_username"] == "Twin"


@pytest.mark.parametrize("body", [{}, {"email": "a@b", "username": "a"}, {"email": 5}, {"id": 7}])
def test_a_cancellation_is_refused(authority, body):
    assert authority.post("/v1/cancellations", body).status == 400


def test_nobody_of_this_address(authority):
    answer = authority.post("/v1/cancellations", {"email": "nobody@example.com"})
    assert answer.status == 404 and "no request for this address" in answer.json["detail"]
    assert authority.lethe("retirement", "cancel", "nobody@example.com").code == 3


def test_the_command(authority):
    who = asked(authority, "cmd1")
    result = authority.ok("retirement", "cancel", "CMD1@example.com")
    assert f"Retirement {who['id']} is cancelled" in result.out
    assert authority.ok("retirement", "cancel", "--id", str(who["id"]), "--json").json["state"] == "ABORTED"
    assert authority.ok("retirement", "cancel", "--username", "cmd1").code == 0
    assert authority.lethe("retirement", "cancel").code == 2
    assert authority.lethe("retirement", "cancel", "a@b", "--id", "1").code == 2


def test_many_at_once(authority):
    people = [authority.somebody() for _ in range(3)] + [authority.somebody("RETIRING_FORUMS")]
    select = {"ids": [p["id"] for p in people]}
    preview = authority.post("/v1/bulk", {"select": select, "action": "cancel", "dry_run": True}).json
    assert [r["ok"] for r in preview["results"]] == [True] * 3 + [False]
    assert authority.one(people[0]["id"])["state"] == "PENDING"
    done = authority.post("/v1/bulk", {"select": select, "action": "cancel"}).json["results"]
    assert [r.get("state") for r in done] == ["ABORTED"] * 3 + [None] and done[3]["code"] == "not_pending"


# ---- what becomes of the account ----

def test_a_request_locks_and_a_cancel_brings_back(authority):
    account(authority, "Locked", name="Lo Cked", orgs=["o1"], extras={"goal": "x"})
    before = show_account(authority, "Locked")
    assert before["state"] == "no_password" and before["email"] == "Locked@Example.com"
    who = authority.request("Locked", "locked@example.com")
    during = show_account(authority, "Locked")
    assert during["state"] == "locked" and during["email"] == who["retired_email"]
    assert who["user"]["email"] == who["retired_email"] and who["original_email"] == "Locked@Example.com"
    assert authority.request("Locked", "LOCKED@example.com")["id"] == who["id"]
    assert authority.post(f"/v1/retirements/{who['id']}/cancel").status == 200
    assert show_account(authority, "Locked") == before
    assert authority.request("Locked", "locked@example.com")["original_email"] == "Locked@Example.com"


@pytest.mark.parametrize("way", ["move", "update", "forced", "bulk"])
def test_aborting_from_pending_is_a_cancel_wherever_it_comes_from(authority, way):
    name = f"way-{way}"
    who = asked(authority, name)
    if way == "move":
        assert authority.post(f"/v1/retirements/{who['id']}/move", {"state": "ABORTED", "reason": "r"}).status == 200
    elif way == "bulk":
        authority.post("/v1/bulk", {"select": {"ids": [who["id"]]}, "action": "move", "to": "ABORTED", "reason": "r"})
    else:
        assert authority.patch(name, "ABORTED", extra={"force": way == "forced"}).status == 204
    assert authority.one(who["id"])["state"] == "ABORTED"
    assert show_account(authority, name)["email"] == f"{name}@Example.com"


def test_aborted_in_the_middle_stays_locked_and_goes_back_by_way_of_pending(authority):
    who = asked(authority, "middle")
    assert authority.patch("middle", "RETIRING_FORUMS").status == 204
    assert authority.patch("middle", "ABORTED", extra={"force": True}).status == 204
    assert show_account(authority, "middle")["state"] == "locked"
    assert authority.post(f"/v1/retirements/{who['id']}/move", {"state": "PENDING", "reason": "r"}).status == 200
    assert show_account(authority, "middle")["state"] == "locked"
    assert authority.post(f"/v1/retirements/{who['id']}/cancel").status == 200
    assert show_account(authority, "middle")["email"] == "middle@Example.com"


def test_back_from_aborted_locks_again(authority):
    who = asked(authority, "relock")
    authority.post(f"/v1/retirements/{who['id']}/cancel")
    assert authority.post(f"/v1/retirements/{who['id']}/move", {"state": "PENDING", "reason": "r"}).status == 200
    assert show_account(authority, "relock")["email"] == who["retired_email"]


# ---- against claims ----

def test_of_cancel_and_claim_exactly_one_wins(authority):
    people = {authority.somebody(name=f"race{i}")["id"] for i in range(40)}
    cancelled, claimed, token = [], [], authority.token("retirement:admin")

    def cancel(ids):
        for id in ids:
            answer = authority.post(f"/v1/retirements/{id}/cancel", token=token)
            assert answer.status in (200, 409), answer
            if answer.status == 200:
                cancelled.append(id)

    def claim(driver):
        for _ in range(12):
            answer = authority.post("/v1/claims", {"driver": driver, "limit": 3, "lease_s": 60}, token=token)
            claimed.extend(c["id"] for c in answer.json["claims"])

    threads = [threading.Thread(target=cancel, args=(sorted(people, reverse=i % 2 == 0),)) for i in range(4)]
    threads += [threading.Thread(target=claim, args=(f"d{i}",)) for i in range(4)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert len(claimed) == len(set(claimed))
    assert set(cancelled) | set(claimed) >= people and not set(cancelled) & set(claimed)
    for id in people:
        moves = authority.moves_of(id)
        assert moves == [(None, "PENDING"), ("PENDING", "ABORTED" if id in cancelled else "RETIRING_FORUMS")]
