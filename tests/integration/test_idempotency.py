# SPDX-License-Identifier: Apache-2.0
"""Idempotency-Key: a repeated write gets the first answer, and is done once; another request with the key is refused."""
import base64
import concurrent.futures
import signal
import sqlite3
import uuid

import pytest

from site_under_test import wait_for

DAY = 86400 * 1000000


def keyed(key=None):
    return {"Idempotency-Key": key or str(uuid.uuid4())}


def same(first, again):
    return (first.status, first.raw, first.headers["Content-Type"]) == (again.status, again.raw, again.headers["Content-Type"])


def twice(site, method, path, body=None, **options):
    """Makes the same call twice with one key; both answers must be equal. Returns the answer."""
    headers = keyed()
    first, again = (site.call(method, path, body, headers=headers, **options) for _ in range(2))
    assert same(first, again), (first, again)
    return first


def with_database(site, sql, *values):
    with sqlite3.connect(site.data_dir / "lethe.db") as db:
        rows = db.execute(sql, values).fetchall()
    db.close()
    return rows


def answers_kept(site):
    [(n,)] = with_database(site, "SELECT count(*) FROM answer")
    return n


# ---- the first answer comes back ----

def test_a_request_is_answered_with_201_again(authority):
    body = {"username": "again-ada", "email": "again-ada@example.com", "name": "Ada"}
    first = twice(authority, "POST", "/v1/retirements", body)
    assert first.status == 201
    assert authority.post("/v1/retirements", body).status == 200


def test_a_move_is_made_once_though_somebody_moved_it_since(authority):
    one = authority.request("again-bob")
    path, move, headers = f"/v1/retirements/{one['id']}/move", {"state": "RETIRING_FORUMS", "reason": "by hand"}, keyed()
    first = authority.post(path, move, headers=headers)
    authority.post(path, {"state": "PENDING", "reason": "back"})
    assert same(first, authority.post(path, move, headers=headers))
    assert authority.one(one["id"])["state"] == "PENDING"


def test_a_resume_succeeds_again(authority):
    one = authority.request("again-cora")
    authority.patch("again-cora", "RETIRING_FORUMS")
    authority.patch("again-cora", "ERRORED")
    assert twice(authority, "POST", f"/v1/retirements/{one['id']}/resume", {"reason": "mended"}).status == 200
    assert len(authority.log_of(one["id"])) == 4


def test_a_client_has_one_secret_and_it_is_told_again(authority):
    first = twice(authority, "POST", "/v1/clients", {"name": "again-client", "scope": "retirement:read"})
    assert first.status == 201 and first.json["client_secret"]
    assert twice(authority, "POST", "/v1/clients/again-client/disable").status == 204


def test_an_empty_answer_is_empty_again(authority):
    twice(authority, "POST", "/v1/clients", {"name": "again-empty", "scope": "retirement:read"})
    answer = twice(authority, "POST", "/v1/clients/again-empty/disable")
    assert (answer.status, answer.raw) == (204, b"")


def test_what_hashes_a_password_is_done_once(authority):
    body = {"username": "again-dora", "email": "again-dora@example.com", "password": "correct horse battery"}
    account = twice(authority, "POST", "/v1/accounts", body)
    assert account.status == 201
    link = twice(authority, "POST", f"/v1/accounts/{account.json['id']}/password-reset")
    reset = {"token": link.json["token"], "password": "another long password"}
    assert twice(authority, "POST", "/v1/password-resets", reset, token="").status == 204
    sign_in = {"username": "again-dora", "password": "another long password"}
    assert twice(authority, "POST", "/v1/sessions", sign_in, token="").status == 201


def test_progress_renews_once(authority):
    authority.request("again-eve")
    claim = next(c for c in authority.claim(100) if c["user"]["original_username"] == "again-eve")
    report = [{"id": claim["id"], "epoch": claim["epoch"], "stage": claim["stage"], "outcome": "renewed", "lease_s": 600}]
    twice(authority, "POST", "/v1/progress", report)


def test_a_claim_is_granted_once(served):
    for name in ("first", "second"):
        served.request(name)
    body = {"driver": "test", "limit": 1, "lease_s": 60}
    first = twice(served, "POST", "/v1/claims", body)
    [claim] = first.json["claims"]
    assert claim["epoch"] == 1 and claim["user"]["original_username"] == "first"
    [other] = served.post("/v1/claims", body, headers=keyed()).json["claims"]
    assert other["user"]["original_username"] == "second"


def test_states_are_synced_and_archives_made_once(served):
    states = [*served.config["states"][:5], "RETIRING_MORE", "MORE_COMPLETE", *served.config["states"][5:]]
    first = twice(served, "PUT", "/v1/states", {"states": states})
    assert first.json["added"] == ["RETIRING_MORE", "MORE_COMPLETE"]
    served.request("ada")
    served.patch("ada", "COMPLETE")
    archive = twice(served, "POST", "/v1/archives", {"older_than": "0d"})
    assert archive.json["people"] == 1
    assert len(list((served.data_dir / "archives").iterdir())) == 1


def test_a_repeat_after_a_crash_gets_the_first_answer(served):
    headers, body = keyed(), {"name": "worker", "scope": "retirement:read"}
    first = served.post("/v1/clients", body, headers=headers)
    served.kill(served.processes[0], signal.SIGKILL)
    served.serve()
    assert same(first, served.post("/v1/clients", body, headers=headers))


def test_of_many_at_once_one_is_done(authority):
    headers, body = keyed(), {"name": "again-crowd", "scope": "retirement:read"}
    authority.token("retirement:admin")
    with concurrent.futures.ThreadPoolExecutor(16) as pool:
        answers = list(pool.map(lambda _: authority.post("/v1/clients", body, headers=headers), range(16)))
    assert {a.status for a in answers} == {201} and len({a.raw for a in answers}) == 1


# ---- another request, another caller ----

def refused(answer):
    return answer.status == 422 and answer.json["code"] == "idempotency_key_reused"


def test_another_request_with_the_key_is_refused(authority):
    one, other = authority.request("other-ada"), authority.request("other-bob")
    headers, body = keyed(), {"reason": "a"}
    assert authority.post(f"/v1/retirements/{one['id']}/cancel", body, headers=headers).status == 200
    assert refused(authority.post(f"/v1/retirements/{one['id']}/cancel", {"reason": "b"}, headers=headers))
    assert refused(authority.post(f"/v1/retirements/{other['id']}/cancel", body, headers=headers))
    assert refused(authority.post("/v1/cancellations", {"username": "other-bob"}, headers=headers))
    assert authority.one(other["id"])["state"] == "PENDING"


def test_another_query_is_another_request(authority):
    headers, states = keyed(), {"states": authority.config["states"]}
    assert authority.put("/v1/states", states, headers=headers).status == 200
    assert refused(authority.put("/v1/states?dry_run=true", states, headers=headers))


def test_a_call_of_the_lms_under_v1_refuses_in_the_lms_form(authority):
    headers = keyed()
    path = "/v1/accounts/bulk_retire_users"
    assert authority.post(path, {"usernames": "nobody-1"}, headers=headers).status == 200
    answer = authority.post(path, {"usernames": "nobody-2"}, headers=headers)
    assert answer.status == 422 and isinstance(answer.json, str)


def test_the_keys_of_two_callers_are_apart(authority):
    headers, body = keyed(), {"username": "apart-ada", "email": "apart-ada@example.com"}
    first = authority.post("/v1/retirements", body, headers=headers)
    other = authority.post("/v1/retirements", body, headers=headers, token=authority.token("retirement:admin"))
    assert (first.status, other.status) == (201, 200)


# ---- what is not remembered ----

def test_the_keys_of_strangers_are_apart(authority):
    """At /v1/sessions nobody is known yet: a stranger that uses up the key 1 must not shut others out."""
    for name in ("Kim", "Lee"):
        assert authority.post("/v1/accounts", {"username": name, "email": f"{name}@example.com",
                                               "password": "correct horse battery"}).status == 201

    def sign_in(name):
        return authority.post("/v1/sessions", {"username": name, "password": "correct horse battery"}, token="",
                              headers={"Idempotency-Key": "1"})

    kim = sign_in("Kim")
    assert kim.status == 201 and sign_in("Lee").status == 201
    assert sign_in("Kim").json == kim.json


def test_what_was_refused_is_decided_anew(authority):
    one, headers = authority.request("anew-ada"), keyed()
    path = f"/v1/retirements/{one['id']}/resume"
    assert authority.post(path, {}, headers=headers).status == 409
    authority.patch("anew-ada", "RETIRING_FORUMS")
    authority.patch("anew-ada", "ERRORED")
    assert authority.post(path, {}, headers=headers).status == 200


def test_a_dry_run_is_not_remembered(served):
    ada, states = {"username": "dry-ada", "email": "dry-ada@example.com"}, served.config["states"]
    for path, body in (("/v1/accounts", {"accounts": [ada]}), ("/v1/retirements/import", {"people": [ada]}),
                       ("/v1/bulk", {"select": {"ids": [1]}, "action": "cancel"}),
                       ("/v1/archives", {"older_than": "0d"})):
        headers = keyed()
        assert served.post(path, body | {"dry_run": True}, headers=headers).status == 200, path
        assert served.post(path, body, headers=headers).status in (200, 201), path
    headers = keyed()
    assert served.put("/v1/states?dry_run=true", {"states": states}, headers=headers).status == 200
    assert served.put("/v1/states", {"states": states}, headers=headers).status == 200


def test_after_a_day_the_key_is_free(served):
    headers, body = keyed(), {"username": "ada", "email": "ada@example.com"}
    assert served.post("/v1/retirements", body, headers=headers).status == 201
    assert served.post("/v1/retirements", body, headers=headers).status == 201
    [(expires_at, made_at)] = with_database(served, "SELECT max(a.expires_at), r.created_at FROM answer a, retirement r")
    assert expires_at == made_at + DAY
    served.kill(served.processes[0], signal.SIGTERM)
    with_database(served, "UPDATE answer SET expires_at = ?", made_at)
    served.serve()
    assert served.post("/v1/retirements", body, headers=headers).status == 200


def test_what_is_over_is_deleted(served):
    for n in range(3):
        served.post("/v1/retirements", {"username": f"u{n}", "email": f"u{n}@example.com"}, headers=keyed())
    served.kill(served.processes[0], signal.SIGTERM)
    with_database(served, "UPDATE answer SET expires_at = 1 WHERE id < (SELECT max(id) FROM answer)")
    served.serve()
    wait_for(lambda: answers_kept(served) == 1, "the old answers to be deleted")


# ---- keys that are none ----

@pytest.mark.parametrize("key", ["", "x" * 256, "caf\u00e9"])
def test_a_bad_key_is_refused_and_nothing_is_done(authority, key):
    body = {"username": "bad-key", "email": "bad-key@example.com"}
    answer = authority.post("/v1/retirements", body, headers={"Idempotency-Key": key.encode()})
    assert answer.status == 400 and answer.json["code"] == "bad_idempotency_key"
    assert authority.status("bad-key").status == 404


def test_the_longest_key_is_taken(authority):
    body = {"username": "long-key", "email": "long-key@example.com"}
    for _ in range(2):
        assert authority.post("/v1/retirements", body, headers=keyed("~ " * 127 + "~")).status == 201


def test_reading_takes_no_key(authority):
    for _ in range(2):
        assert authority.get("/v1/retirements?limit=1", headers=keyed("x")).status == 200
    assert authority.post("/v1/retirements/search", {"username": "nobody"}, headers=keyed("x")).status == 200


# ---- only the client that sent the key can read the answer ----

def test_neither_answers_nor_keys_can_be_read_in_the_files(served):
    key = "planted-key-7f3a"
    body = {"username": "planted.user", "email": "planted@example.com", "name": "Planted Name"}
    secret = served.post("/v1/clients", {"name": "worker", "scope": "retirement:read"}, headers=keyed(key)).json["client_secret"]
    served.post("/v1/retirements", body, headers=keyed())
    served.patch("planted.user", "COMPLETE")
    assert served.call("POST", "/api/user/v1/accounts/retirement_cleanup/", {"usernames": ["planted.user"]}).status == 204
    served.kill(served.processes[0], signal.SIGTERM)
    assert answers_kept(served) >= 2
    for file in served.data_dir.rglob("*"):
        if file.is_file():
            content = file.read_bytes()
            for word in (key, secret, "planted.user", "planted@example.com", "Planted Name"):
                assert word.encode() not in content and base64.b64encode(word.encode()) not in content, (file, word)


# ---- programs that send keys by themselves ----

def test_commands_send_keys(served):
    served.ok("client", "add", "worker", "--scope", "retirement:read")
    assert answers_kept(served) == 1
    served.ok("client", "list")
    assert answers_kept(served) == 1
