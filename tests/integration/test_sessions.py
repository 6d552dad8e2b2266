# SPDX-License-Identifier: Apache-2.0
"""Signing in and out, new passwords, and requests of signed-in users for their own deletion."""
import json
import sqlite3
import threading
import time
import urllib.parse

import pytest

from site_under_test import Site

EDX = "/api/user/v1/accounts/"
PASSWORD = "correct horse battery"
LOCKED = "This account has been temporarily locked due to excessive login failures. Try again later."
WRONG = "Email or password is incorrect."


def account(site, username, password=PASSWORD, **more):
    answer = site.post("/v1/accounts", {"username": username, "email": f"{username}@Example.com", "password": password, **more})
    assert answer.status == 201, answer
    return answer.json["id"]


def try_sign_in(site, username, password=PASSWORD):
    return site.post("/v1/sessions", {"username": username, "password": password}, token="")


def sign_in(site, username, password=PASSWORD):
    answer = try_sign_in(site, username, password)
    assert answer.status == 201, answer
    return answer.json["token"]


def leave(site, token, password=PASSWORD, **more):
    return site.call("POST", EDX + "deactivate_logout/", {"password": password, **more}, token="",
                     headers={"Authorization": f"Bearer {token}"})


def sign_out(site, token):
    return site.call("DELETE", "/v1/sessions", token="", headers={"Authorization": f"Bearer {token}"})


@pytest.fixture
def fresh(tmp_path):
    """A server of its own: tries are counted for each source address, and all tests have the same one."""
    s = Site(tmp_path)
    s.serve()
    yield s
    s.stop()
    s.check()


# ---- signing in and out ----

def test_in_and_out(authority):
    id = account(authority, "Ann", name="Ann A.")
    answer = try_sign_in(authority, "Ann")
    assert answer.status == 201 and answer.json["account"] == {
        "id": id, "username": "Ann", "email": "Ann@Example.com", "profile": {"id": id, "name": "Ann A."}}
    left = authority.seconds(answer.json["expires"]) - time.time()
    assert 14 * 86400 - 60 < left < 14 * 86400 + 60
    other = sign_in(authority, "ANN@example.COM")
    assert sign_out(authority, other).status == 204
    assert sign_out(authority, other).status == 401
    assert sign_out(authority, answer.json["token"]).status == 204
    assert authority.get(f"/v1/accounts/{id}").json["state"] == "active"


def test_who_is_not_let_in_is_told_one_thing(authority):
    account(authority, "Ben")
    account(authority, "nopass", password=None)
    authority.request("brought")
    bodies = set()
    for name, password in (("Ben", "wrong"), ("Ben", PASSWORD + " "), ("ben", PASSWORD), ("nobody", PASSWORD), ("nopass", PASSWORD),
                           ("nobody@example.com", PASSWORD), ("brought", PASSWORD), ("Ben", "x" * 5000), ("Ben", "$y$j9T$")):
        answer = try_sign_in(authority, name, password)
        assert answer.status == 401 and answer.json["code"] == "wrong_credentials", answer
        bodies.add(answer.json["detail"])
    assert len(bodies) == 1


def test_an_address_of_two_accounts_signs_nobody_in(authority):
    account(authority, "Twin")
    account(authority, "twin")
    assert try_sign_in(authority, "twin@example.com").status == 401
    sign_in(authority, "twin")


@pytest.mark.parametrize("body", [{}, {"username": "a"}, {"password": "b"}, {"username": 5, "password": "b"},
                                  {"username": "a", "password": ["b"]}, {"username": "a", "password": "b", "otp": 1}])
def test_a_sign_in_is_refused(authority, body):
    assert authority.post("/v1/sessions", body, token="").status == 400


@pytest.mark.parametrize("password", ["short", "1234567", "x" * 501, 5, ["x" * 20]])
def test_a_password_has_its_limits(authority, password):
    body = {"username": "limits", "email": "l@example.com", "password": password}
    assert authority.post("/v1/accounts", body).status == 400
    assert authority.post("/v1/accounts", {"accounts": [body]}).status == 400


def test_a_session_made_while_the_clock_was_ahead_is_over(fresh):
    """It begins in a year, and would be good until two weeks later."""
    account(fresh, "Kim")
    token = sign_in(fresh, "Kim")
    fresh.stop()
    year = 365 * 86400 * 1000000
    with sqlite3.connect(fresh.data_dir / "lethe.db") as db:
        assert db.execute("UPDATE account_token SET made_at = made_at + $1, expires_at = expires_at + $1", (year,)).rowcount == 1
    db.close()
    fresh.serve()
    assert sign_out(fresh, token).status == 401
    assert sign_out(fresh, sign_in(fresh, "Kim")).status == 204


def test_a_session_opens_no_other_door(authority):
    account(authority, "Cat")
    token = sign_in(authority, "Cat")
    for method, path in (("GET", "/v1/retirements"), ("GET", "/v1/accounts/1"), ("GET", "/v1/clients"), ("POST", "/v1/fsck"),
                         ("GET", EDX + "retirement_queue/")):
        assert authority.call(method, path, token="", headers={"Authorization": f"Bearer {token}"}).status == 403
    assert authority.call("DELETE", "/v1/sessions").status == 403
    assert sign_out(authority, "x" * 43).status == 401
    assert authority.lethe("client", "add", "sly", "--scope", "account:own").code == 2


def test_too_many_tries_lock_a_login_for_a_while(fresh):
    for name in ("Dan", "Eve"):
        account(fresh, name)
    assert [try_sign_in(fresh, "dAn" if i % 2 else "Dan", "wrong").status for i in range(10)] == [401] * 10
    answer = try_sign_in(fresh, "Dan")
    assert answer.status == 429 and answer.json["code"] == "throttled" and answer.headers["Retry-After"] == "900"
    assert "reset" not in answer.json["detail"]  # a new password would not help
    sign_in(fresh, "Eve")


def test_tries_do_not_tell_whose_address_is_whose(fresh):
    """Ten tries by the user name leave ten by any address: the person's own, another's, and one that nobody has."""
    for name in ("Dan", "Eve"):
        account(fresh, name)
    for login in ("Dan", "dan@example.com", "eve@example.com", "nobody@example.com", "nobody"):
        assert [try_sign_in(fresh, login, "wrong").status for _ in range(11)] == [401] * 10 + [429], login


def test_a_stranger_cannot_keep_a_person_from_leaving(fresh):
    account(fresh, "Dan")
    token = sign_in(fresh, "Dan")
    assert [try_sign_in(fresh, "Dan", "wrong").status for _ in range(11)] == [401] * 10 + [429]
    assert leave(fresh, token).status == 204


def test_tries_at_once_are_counted_too(fresh):
    account(fresh, "Fay")
    answers = []
    threads = [threading.Thread(target=lambda: answers.append(try_sign_in(fresh, "Fay", "wrong").status)) for _ in range(30)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert sorted(answers) == [401] * 10 + [429] * 20


def test_one_address_may_not_try_for_ever(fresh):
    """A hundred tries, also those at a login that is locked, which cost no hash; tries that were right are not counted."""
    account(fresh, "Regular")
    assert {try_sign_in(fresh, "Regular").status for _ in range(3)} == {201}
    assert [try_sign_in(fresh, "guess", "wrong").status for _ in range(99)] == [401] * 10 + [429] * 89
    assert [try_sign_in(fresh, f"guess{i}", "wrong").status for i in range(3)] == [401, 429, 429]
    assert try_sign_in(fresh, "Regular").status == 429


# One client, however it and the proxies write its address; the last word of the last line is the nearest proxy's.
SAME = [lambda i: ["192.0.2.7"], lambda i: [f"10.0.0.{i}", "192.0.2.7"], lambda i: [f"10.0.0.{i}, 2001:db8::{i:x},192.0.2.7:{i}"],
        lambda i: [f"198.51.100.{i}, 198.51.100.9", f"2001:db8:{i:x}::1,\t::ffff:192.0.2.7 "], lambda i: [f"[::ffff:c000:207]:{1000 + i}"]]


def test_behind_a_proxy_the_address_is_what_it_put_last(tmp_path):
    site = Site(tmp_path)
    site.configure(behind_proxy=True)
    site.serve()

    def attempt(login, lines):
        body = json.dumps({"username": login, "password": "wrong"})
        head = ["POST /v1/sessions HTTP/1.1", "Host: x", "Connection: close", f"Content-Length: {len(body)}"]
        head += [line if line.startswith("Forwarded:") else f"X-Forwarded-For: {line}" for line in lines]
        return int(site.say(("\r\n".join(head) + "\r\n\r\n" + body).encode()).split()[1])

    try:
        assert [attempt("g", SAME[i % len(SAME)](i)) for i in range(99)] == [401] * 10 + [429] * 89
        assert [attempt(f"g{i}", address(i)) for i, address in enumerate(SAME)] == [401, 429, 429, 429, 429]
        assert attempt("h", ["192.0.2.7, ::ffff:192.0.2.8"]) == 401  # mapped IPv4 addresses are no network together
        assert attempt("i", ["192.0.2.7, no address"]) == 401
        assert attempt("j", ['Forwarded: for=10.0.0.1, for="192.0.2.7:4711"']) == 429
        assert attempt("j", ["Forwarded: for=192.0.2.7", "192.0.2.9"]) == 401  # X-Forwarded-For counts
    finally:
        site.stop()
        site.check()


# ---- new passwords ----

def reset(site, token, password="another password"):
    return site.post("/v1/password-resets", {"token": token, "password": password}, token="")


def test_a_new_password(authority):
    id = account(authority, "Hal")
    session = sign_in(authority, "Hal")
    answer = authority.post(f"/v1/accounts/{id}/password-reset")
    assert answer.status == 201 and 3500 < authority.seconds(answer.json["expires"]) - time.time() < 3700
    other = authority.ok("account", "reset-password", "Hal").out.strip()
    assert reset(authority, answer.json["token"], "short").status == 400
    assert reset(authority, answer.json["token"]).status == 204
    for used in (answer.json["token"], other, "x" * 43, session):
        refused = reset(authority, used)
        assert refused.status == 400 and refused.json["code"] == "bad_token", refused
    assert sign_out(authority, session).status == 401
    assert try_sign_in(authority, "Hal").status == 401
    sign_in(authority, "Hal", "another password")
    assert sign_out(authority, other).status == 401


def test_a_reset_is_refused(authority):
    assert authority.post("/v1/accounts/99999/password-reset").status == 404
    assert authority.lethe("account", "reset-password", "nobody").code == 3
    guest = authority.request("guest")["user"]["id"]
    assert authority.post(f"/v1/accounts/{guest}/password-reset").status == 404
    assert authority.post("/v1/accounts/1/password-reset", token=authority.token("retirement:admin")).status == 403


def test_the_command_reads_a_password(authority):
    authority.ok("account", "add", "--username", "Ida", "--email", "ida@example.com", "--password-stdin", stdin="from a pipe\n")
    sign_in(authority, "Ida", "from a pipe")
    assert authority.lethe("account", "add", "--username", "Ida2", "--email", "i@example.com", "--password-stdin", stdin="").code == 2
    assert authority.lethe("account", "add", "--username", "Ida2", "--email", "i@example.com", "--password-stdin", stdin="x\n").code == 2


def test_deactivated_accounts_are_signed_out(authority):
    account(authority, "Jon")
    token = sign_in(authority, "Jon")
    assert authority.post(EDX + "Jon/deactivate/").status == 200
    assert sign_out(authority, token).status == 401
    assert try_sign_in(authority, "Jon").status == 401


# ---- asking to be forgotten ----

def test_leaving_locks_the_account_at_once(authority):
    id = account(authority, "Kim", name="Kim K.")
    token, other = sign_in(authority, "Kim"), sign_in(authority, "Kim")
    link = authority.post(f"/v1/accounts/{id}/password-reset").json["token"]
    answer = leave(authority, token)
    assert answer.status == 204 and answer.raw == b"", answer
    who = authority.status("Kim").json
    assert who["current_state"]["state_name"] == "PENDING"
    assert (who["original_email"], who["original_name"]) == ("Kim@Example.com", "Kim K.")
    assert who["user"]["email"] == who["retired_email"]
    assert authority.log_of(who["id"])[0]["actor"] == f"account:{id}"
    for ended in (token, other):
        assert leave(authority, ended).status == 401 and sign_out(authority, ended).status == 401
    assert reset(authority, link).json["code"] == "bad_token"
    assert try_sign_in(authority, "Kim").status == 401
    refused = authority.post(f"/v1/accounts/{id}/password-reset")
    assert refused.status == 409 and refused.json["code"] == "pending"
    assert authority.post("/v1/cancellations", {"email": "kim@example.com"}).status == 200
    assert try_sign_in(authority, "Kim").status == 401
    assert reset(authority, authority.ok("account", "reset-password", "Kim").out.strip()).status == 204
    answer = try_sign_in(authority, "kim@example.com", "another password")
    assert answer.status == 201 and answer.json["account"]["email"] == "Kim@Example.com"


def test_leaving_by_a_form(authority):
    account(authority, "Lea")
    answer = authority.call("POST", EDX + "deactivate_logout/", token="", raw=urllib.parse.urlencode({"password": PASSWORD}).encode(),
                            headers={"Authorization": f"Bearer {sign_in(authority, 'Lea')}",
                                     "Content-Type": "application/x-www-form-urlencoded"})
    assert answer.status == 204 and authority.state_of("Lea") == "PENDING"


def test_a_wrong_password_and_too_many(authority):
    account(authority, "Max")
    token = sign_in(authority, "Max")
    for body in ({}, {"password": None}, {"password": ""}, {"password": 5}):
        answer = authority.call("POST", EDX + "deactivate_logout/", body, token="", headers={"Authorization": f"Bearer {token}"})
        assert answer.status == 400 and "password" in answer.json
    for _ in range(10):
        answer = leave(authority, token, "wrong")
        assert answer.status == 403 and answer.json == WRONG, answer
    for password in ("wrong", PASSWORD):
        answer = leave(authority, token, password)
        assert answer.status == 403 and answer.json == LOCKED, answer
    assert authority.state_of("Max") is None


def test_without_credentials(authority):
    assert authority.call("POST", EDX + "deactivate_logout/", {"password": "x"}, token="").status == 401
    answer = authority.post(EDX + "deactivate_logout/", {"username": "x"}, token=authority.token("retirement:read"))
    assert answer.status == 403 and "detail" in answer.json


def test_a_program_asks_for_somebody(authority):
    account(authority, "Noa")
    session = sign_in(authority, "Noa")
    token = authority.token("retirement:drive")
    for _ in range(2):
        answer = authority.post(EDX + "deactivate_logout/", {"username": "Noa"}, token=token)
        assert answer.status == 204 and answer.raw == b"", answer
    assert authority.state_of("Noa") == "PENDING" and sign_out(authority, session).status == 401
    for body in ({}, {"username": ""}, {"password": "x"}):
        answer = authority.post(EDX + "deactivate_logout/", body, token=token)
        assert answer.status == 404 and answer.json == {"message": "The user was not specified."}
    authority.request("brought2")
    for name in ("noa", "nobody", "brought2"):
        answer = authority.post(EDX + "deactivate_logout/", {"username": name}, token=token)
        assert answer.status == 404 and answer.raw == b"", answer


def test_where_leaving_is_switched_off(site):
    site.configure(accounts={"self_deletion": False, "session_lifetime": "1h"})
    site.serve()
    account(site, "Oda")
    signed_in = try_sign_in(site, "Oda").json
    assert 3500 < site.seconds(signed_in["expires"]) - time.time() < 3700
    answer = leave(site, signed_in["token"])
    assert answer.status == 403 and answer.raw == b"", answer
    assert site.post(EDX + "deactivate_logout/", {"username": "Oda"}).status == 204


def test_retired_accounts_let_nobody_in(authority):
    account(authority, "Pia")
    token = sign_in(authority, "Pia")
    assert leave(authority, token).status == 204
    assert authority.patch("Pia", "RETIRING_LMS").status == 204
    assert authority.post(EDX + "retire/", {"username": "Pia"}).status == 204
    who = authority.status("Pia").json
    for name in ("Pia", "pia@example.com", who["retired_username"], who["retired_email"]):
        assert try_sign_in(authority, name).status == 401
    refused = authority.post(f"/v1/accounts/{who['user']['id']}/password-reset")
    assert refused.status == 409 and refused.json["code"] == "retired"


# ---- what must not show ----

def test_no_password_and_no_token_is_in_the_log_or_the_files(authority):
    account(authority, "Quin", password="Plantedpassword1")
    token = sign_in(authority, "Quin", "Plantedpassword1")
    link = authority.ok("account", "reset-password", "Quin").out.strip()
    everything = authority.logs().encode() + b"".join(f.read_bytes() for f in authority.data_dir.iterdir() if f.is_file())
    for secret in ("Plantedpassword1", token, link, PASSWORD):
        assert secret.encode() not in everything
    for name in ("Quin", "Kim", "guess"):
        assert name not in authority.logs()
