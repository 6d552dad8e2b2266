# SPDX-License-Identifier: Apache-2.0
"""The audit trail: it has every change and no person's name, is kept, and shows when it was tampered with."""
import hashlib
import http.client
import json
import os
import signal
import sqlite3
import subprocess
import threading

import pytest

from site_under_test import ALL_SCOPES, LETHE, wait_for

PLANTED = ("planted.user", "planted@example.com", "Planted Name", "Planted Reason", "planted words")


def trail(site, **query):
    """All entries, page by page."""
    entries, after = [], 0
    while after is not None:
        parameters = "&".join(f"{k}={v}" for k, v in {"limit": 1000, "after": after, **query}.items())
        answer = site.get(f"/v1/audit?{parameters}")
        assert answer.status == 200, answer
        entries += answer.json["entries"]
        after = answer.json["next"]
    return entries


def about(site, retirement_id):
    return [(e["action"], e["from"], e["to"]) for e in trail(site, retirement=retirement_id)]


def actions(site):
    return [e["action"] for e in trail(site) if e["action"] != "client_added"]


def verify(site, **body):
    answer = site.post("/v1/audit/verify", body)
    assert answer.status == 200, answer
    return answer.json


def login_uid():
    """The number of the user who signed in to the machine; without one, the number of this process's user."""
    try:
        with open("/proc/self/loginuid", encoding="ascii") as f:
            uid = int(f.read())
    except OSError:
        uid = 2**32 - 1
    return uid if uid != 2**32 - 1 else os.getuid()


def tamper(site, sql):
    """Stops the server, changes its database by this SQL, and starts it again."""
    site.kill(site.processes[-1], signal.SIGTERM)
    with sqlite3.connect(site.data_dir / "lethe.db") as db:
        db.executescript(sql)
    db.close()
    site.serve()


@pytest.fixture
def tampered(served):
    """Six entries; whole again at the end, because every test ends with a check of the database."""
    for n in range(6):
        served.request(f"user{n}")
    served.kill(served.processes[-1], signal.SIGTERM)
    whole = (served.data_dir / "lethe.db").read_bytes()
    served.serve()
    yield served
    served.kill(served.processes[-1], signal.SIGTERM)
    for suffix in ("-wal", "-shm"):
        (served.data_dir / f"lethe.db{suffix}").unlink(missing_ok=True)
    (served.data_dir / "lethe.db").write_bytes(whole)


# ---- what is in it ----

def test_a_life_is_in_it(served):
    one = served.request("ada")
    served.patch("ada", "RETIRING_FORUMS")
    served.patch("ada", "ERRORED")
    served.post(f"/v1/retirements/{one['id']}/resume", {"reason": "mended"})
    served.post(f"/v1/retirements/{one['id']}/move", {"state": "COMPLETE", "reason": "by hand"})
    served.post("/v1/bulk", {"select": {"state": ["COMPLETE"]}, "action": "rerun", "reason": "again"})
    served.post(f"/v1/retirements/{one['id']}/cancel", {})
    assert about(served, one["id"]) == [
        ("requested", None, "PENDING"), ("moved", "PENDING", "RETIRING_FORUMS"), ("moved", "RETIRING_FORUMS", "ERRORED"),
        ("resumed", "ERRORED", "PENDING"), ("forced", "PENDING", "COMPLETE"), ("rerun", "COMPLETE", "PENDING"),
        ("cancelled", "PENDING", "ABORTED")]


def test_claims_and_reports_are_in_it_each_move_once(served):
    one = served.request("ada")
    for _ in range(2):
        [claim] = served.claim() or [claim]
        served.report(claim, "done", stop=False)
    assert about(served, one["id"]) == [
        ("requested", None, "PENDING"), ("moved", "PENDING", "RETIRING_FORUMS"),
        ("moved", "RETIRING_FORUMS", "FORUMS_COMPLETE"), ("moved", "FORUMS_COMPLETE", "RETIRING_LMS")]


def test_an_abort_that_waits_is_in_it_once(served):
    one = served.request("ada")
    served.claim()
    for _ in range(2):
        assert served.post(f"/v1/retirements/{one['id']}/move", {"state": "ABORTED", "reason": "stop"}).status == 202
    assert about(served, one["id"])[2:] == [("abort_asked", "RETIRING_FORUMS", "RETIRING_FORUMS")]


def test_what_was_refused_or_only_tried_is_not_in_it(served):
    one = served.request("ada")
    served.post("/v1/accounts", {"username": "bob", "email": "bob@example.com"})
    before = len(trail(served))
    assert served.post(f"/v1/retirements/{one['id']}/resume", {}).status == 409
    served.post("/v1/bulk", {"select": {"state": ["PENDING"]}, "action": "cancel", "dry_run": True})
    served.post("/v1/retirements/import", {"people": [{"username": "nobody", "email": "n@example.com"}]})
    served.post("/v1/accounts", {"username": "bob", "email": "other@example.com"})
    served.post("/v1/accounts", {"accounts": [{"username": "cid", "email": "cid@example.com"}], "dry_run": True})
    served.post("/v1/sessions", {"username": "bob", "password": "wrong password"}, token="")
    served.post("/v1/retirements/import", {"people": [{"username": "bob", "email": "bob@example.com"}], "dry_run": True})
    assert len(trail(served)) == before


def test_who_did_it_and_when(served):
    one = served.request("ada")
    served.ok("retirement", "cancel", "ada@example.com")
    requested, cancelled = trail(served, retirement=one["id"])
    assert requested["actor"].startswith("client:") and cancelled["actor"] == f"local:{login_uid()}"
    assert requested["at"] == one["created"]
    assert [e["id"] for e in trail(served, actor=cancelled["actor"]) if e["retirement"]] == [cancelled["id"]]
    assert trail(served, since=cancelled["at"])[0]["id"] == cancelled["id"]
    assert trail(served, before=cancelled["at"])[-1]["id"] == requested["id"]
    assert trail(served, retirement=one["id"], since=cancelled["at"]) == [cancelled]


def test_a_command_is_who_signed_in_to_the_machine(served):
    """As after `sudo`: the kernel remembers the user who signed in."""
    one = served.request("ada")
    script = 'echo 1234 > /proc/self/loginuid 2> /dev/null && exec "$@"'
    command = [LETHE, "retirement", "cancel", "ada@example.com", "--config", str(served.file)]
    done = subprocess.run(["sh", "-c", script, "sh", *command], env=served.environment(), cwd=served.folder, check=False)
    if done.returncode == 1 and len(trail(served, retirement=one["id"])) == 1:
        pytest.skip("this process may not say who signed in")
    assert trail(served, retirement=one["id"])[-1]["actor"] == "local:1234"


def test_what_is_done_to_clients_accounts_states_and_archives(served):
    served.post("/v1/clients", {"name": "worker", "scope": "retirement:read"})
    served.post("/v1/clients/worker/disable")
    account = served.post("/v1/accounts", {"username": "ada", "email": "ada@example.com"}).json["id"]
    served.post(f"/v1/accounts/{account}/password-reset")
    served.call("POST", "/api/user/v1/accounts/ada/deactivate/")
    states = [*served.config["states"][:5], "RETIRING_MORE", "MORE_COMPLETE", *served.config["states"][5:]]
    served.put("/v1/states", {"states": states})
    served.request("ada")
    served.patch("ada", "RETIRING_FORUMS")
    for call in ("retire_misc", "retire"):
        assert served.call("POST", f"/api/user/v1/accounts/{call}/", {"username": "ada"}).status == 204
    served.patch("ada", "COMPLETE")
    [file] = [served.post("/v1/archives", {"older_than": "0d"}).json["file"]]
    done = [(e["action"], e["subject"], e["people"]) for e in trail(served) if not e["action"] == "moved"]
    assert done[-11:] == [
        ("client_added", "client:worker", None), ("client_disabled", "client:worker", None), ("registered", f"account:{account}", None),
        ("reset_link_made", f"account:{account}", None), ("deactivated", f"account:{account}", None),
        ("states_synced", None, None), ("requested", None, None), ("secondary_erased", None, None),
        ("account_retired", None, None), ("archived", file, 1), ("forgotten", None, None)]


def test_a_new_password_by_a_link_is_in_it(served):
    account = served.post("/v1/accounts", {"username": "ada", "email": "ada@example.com"}).json["id"]
    link = served.post(f"/v1/accounts/{account}/password-reset").json["token"]
    reset = {"token": link, "password": "a new password"}
    assert served.post("/v1/password-resets", reset, token="").status == 204
    assert served.post("/v1/password-resets", reset, token="").status == 400
    made, done = trail(served)[-2:]
    assert (made["action"], made["subject"]) == ("reset_link_made", f"account:{account}")
    assert (done["action"], done["subject"], done["actor"]) == ("password_reset", f"account:{account}", f"account:{account}")


def test_reading_for_partners_is_in_it(served):
    served.post("/v1/accounts", {"username": "ada", "email": "ada@example.com", "orgs": ["org"]})
    served.request("ada")
    served.patch("ada", "RETIRING_FORUMS")
    path = "/api/user/v1/accounts/retirement_partner_report"
    served.put(f"{path}/", {"username": "ada"})
    assert len(served.post(f"{path}/").json) == 1
    assert served.post(f"{path}/").json == []
    served.post(f"{path}_cleanup/", [{"original_username": "ada"}])
    assert actions(served)[-3:] == ["partners_queued", "partner_reports_read", "partners_told"]


def test_sessions_and_the_first_list_of_states_are_in_it(served):
    assert [(e["action"], e["actor"]) for e in trail(served)][0] == ("states_synced", "server")
    account = served.post("/v1/accounts", {"username": "ada", "email": "ada@example.com", "password": "a good password"}).json["id"]
    session = served.post("/v1/sessions", {"username": "ada", "password": "a good password"}, token="").json["token"]
    assert served.call("DELETE", "/v1/sessions", token=session).status == 204
    whom = f"account:{account}"
    assert [(e["action"], e["actor"], e["subject"]) for e in trail(served)][-2:] == [("signed_in", whom, whom), ("signed_out", whom, whom)]


def test_it_is_kept_after_cleanup_and_has_nobody_in_it(served):
    username, email, name, reason, words = PLANTED
    served.post("/v1/accounts", {"username": username, "email": email, "name": name})
    one = served.request(username, email, name)
    served.patch(username, "ERRORED", words)
    served.post(f"/v1/retirements/{one['id']}/move", {"state": "COMPLETE", "reason": reason})
    before = trail(served)
    assert served.post("/api/user/v1/accounts/retirement_cleanup/", {"usernames": [username]}).status == 204
    after = trail(served)
    assert after[:len(before)] == before
    assert [(e["action"], e["retirement"]) for e in after[len(before):]] == [("cleanup", None), ("forgotten", one["id"])]
    text = json.dumps(after)
    assert not [word for word in PLANTED if word in text]
    served.kill(served.processes[-1], signal.SIGTERM)
    raw = (served.data_dir / "lethe.db").read_bytes()
    assert not [word for word in PLANTED if word.encode() in raw]


def test_pages_and_bad_queries(served):
    served.request("ada")
    served.request("bob")
    answer = served.get("/v1/audit?limit=1")
    assert [e["id"] for e in answer.json["entries"]] == [1] and answer.json["next"] == 1
    for query in ("limit=0", "limit=1001", "after=-1", "retirement=x", "since=yesterday", "before=", "name=ada"):
        assert served.get(f"/v1/audit?{query}").status == 400, query
    for body in ({"head": "00"}, {"head": 5}, {"head": "g" * 64}, {"tail": ""}):
        assert served.post("/v1/audit/verify", body).status == 400, body
    assert served.get("/v1/audit", token=served.token("retirement:read")).status == 403


# ---- is it whole ----

def test_anybody_can_compute_the_hashes(served):
    for name in ("ada", "bob"):
        served.request(name)
    served.ok("audit", "export", "--output", "audit.jsonl")
    head = bytes(32)
    for line in (served.folder / "audit.jsonl").read_text().splitlines():
        entry, _, stored = line.rpartition(',"hash":"')
        head = hashlib.sha256(head + (entry + "}").encode()).digest()
        assert head.hex() == stored.removesuffix('"}')
    assert verify(served) == {"entries": len(trail(served)), "head": head.hex(), "broken_at": None, "what": None, "has_head": None}


@pytest.mark.parametrize("sql, entry, words", [
    ("UPDATE audit SET actor = 'client:other' WHERE id = 3", 3, "is not what was written"),
    ("DELETE FROM audit WHERE id = 3", 3, "is missing"),
    ("UPDATE audit SET id = 99 WHERE id = 2; UPDATE audit SET id = 2 WHERE id = 3; UPDATE audit SET id = 3 WHERE id = 99", 2,
     "is not what was written"),
    ("INSERT INTO audit SELECT id + 1, at, actor, action, 1, subject, from_state, to_state, people, hash FROM audit"
     " ORDER BY id DESC LIMIT 1", 9, "is not what was written"),
])
def test_tampering_is_named(tampered, sql, entry, words):
    tamper(tampered, sql)
    result = tampered.lethe("audit", "verify")
    assert result.code == 1 and f"entry {entry} {words}" in result.err, result
    found = verify(tampered)
    assert (found["broken_at"], found["entries"]) == (entry, entry - 1) and words in found["what"]
    fsck = tampered.lethe("fsck")
    assert fsck.code == 1 and f"audit: entry {entry}: {words}" in fsck.out, fsck


def test_an_end_that_was_cut_off_shows_with_a_hash_from_elsewhere(tampered):
    tampered.ok("audit", "export", "--output", "kept.jsonl")
    kept = json.loads((tampered.folder / "kept.jsonl").read_text().splitlines()[-1])["hash"]
    for words in (("--export", "kept.jsonl"), ("--head", kept)):
        assert tampered.ok("audit", "verify", *words).out.startswith("The audit trail is whole")
    tamper(tampered, "DELETE FROM audit WHERE id = (SELECT max(id) FROM audit)")
    assert tampered.ok("audit", "verify").code == 0
    for words in (("--export", "kept.jsonl"), ("--head", kept)):
        result = tampered.lethe("audit", "verify", *words)
        assert result.code == 1 and "does not go on from that entry" in result.err, result


def test_many_at_once_keep_it_whole(served):
    def work(n):
        for k in range(10):
            served.request(f"user{n}-{k}")
            served.patch(f"user{n}-{k}", "COMPLETE")
            served.patch(f"user{n}-{k}", "PENDING")  # refused, in the middle of others

    served.token(ALL_SCOPES)
    threads = [threading.Thread(target=work, args=(n,)) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert actions(served).count("requested") == actions(served).count("moved") == 80
    assert verify(served)["broken_at"] is None


def test_a_crash_keeps_it_whole(served):
    served.token(ALL_SCOPES)
    stop = threading.Event()

    def work(n):
        k = 0
        while not stop.is_set():
            try:
                served.request(f"user{n}-{k}")
            except (OSError, http.client.HTTPException):
                return
            k += 1

    for round in range(3):
        threads = [threading.Thread(target=work, args=(f"{round}-{n}",)) for n in range(4)]
        for thread in threads:
            thread.start()
        wait_for(lambda: len(trail(served)) >= 100 * (round + 1), "a hundred entries more")
        served.kill(served.processes[-1])
        stop.set()
        for thread in threads:
            thread.join()
        stop.clear()
        served.serve()
        found = verify(served)
        assert found["broken_at"] is None and found["entries"] >= 100
        requested = [e for e in trail(served) if e["action"] == "requested"]
        with sqlite3.connect(served.data_dir / "lethe.db") as db:
            [(people,)] = db.execute("SELECT count(*) FROM retirement").fetchall()
        db.close()
        assert len(requested) == people


# ---- the commands ----

def test_export_writes_a_new_file_or_none(served):
    served.request("ada")
    result = served.ok("audit", "export", "--output", "a.jsonl")
    lines = (served.folder / "a.jsonl").read_text().splitlines()
    assert [json.loads(line) for line in lines] == trail(served)
    assert json.loads(lines[-1])["hash"] in result.err and result.out == ""
    assert (served.folder / "a.jsonl").stat().st_mode & 0o777 == 0o600
    again = served.lethe("audit", "export", "--output", "a.jsonl")
    assert again.code == 1 and "a.jsonl" in again.err
    assert (served.folder / "a.jsonl").read_text().splitlines() == lines
    assert served.ok("audit", "export").out.splitlines() == lines
    since = json.loads(lines[-1])["at"]
    assert served.ok("audit", "export", "--since", since).out.splitlines() == lines[-1:]
    assert served.lethe("audit", "export", "--since", "yesterday", "--output", "b.jsonl").code == 2
    assert not (served.folder / "b.jsonl").exists()


def test_an_export_that_is_killed_leaves_no_file_of_that_name(served):
    server = served.processes[-1]
    server.send_signal(signal.SIGSTOP)  # so that the export waits for the first page
    export = served.start("audit", "export", "--output", "a.jsonl")
    try:
        wait_for(lambda: list(served.folder.glob("a.jsonl*")), "the export to open its file")
        served.kill(export)
    finally:
        server.send_signal(signal.SIGCONT)
    assert not (served.folder / "a.jsonl").exists()
    served.ok("audit", "export", "--output", "a.jsonl")
    served.ok("audit", "verify", "--export", "a.jsonl")


def test_verify_says_what_it_was_given_wrong(served):
    (served.folder / "empty").touch()
    (served.folder / "other").write_text("hello\n")
    for words, code in ((("--export", "empty"), 2), (("--export", "other"), 2), (("--export", "none"), 3),
                        (("--head", "abc"), 2), (("--head", "0" * 64, "--export", "other"), 2)):
        assert served.lethe("audit", "verify", *words).code == code, words


def test_without_a_server_and_in_json(site):
    site.request("ada")
    assert site.ok("audit", "verify", "--json").json["entries"] == 2
    assert [json.loads(line)["action"] for line in site.ok("audit", "export").out.splitlines()] == ["states_synced", "requested"]
