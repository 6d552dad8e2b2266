# SPDX-License-Identifier: Apache-2.0
"""Archives: which people go into one, its form, and that a killed server loses no person and archives none twice."""
import gzip
import json
import os
import shutil
import sqlite3
import stat
import subprocess

import pytest

from services import make_certificate
from site_under_test import wait_for

# The first eight are those of the LMS's scripts, which go by them; ours follow.
KEYS = ["user_id", "original_username", "original_email", "original_name", "retired_username", "retired_email",
        "retirement_request_date", "last_modified_date", "retirement_id", "state", "stages", "forced", "forced_moves", "request_uuid"]
EDX = "/api/user/v1/accounts/"


def date(text):
    """2026-11-30 15:44:04.564672, as in the archives of the LMS's scripts."""
    return text.replace("T", " ").replace("Z", "")


def files(site):
    folder = site.data_dir / "archives"
    return sorted(folder.iterdir()) if folder.exists() else []


def lines(path):
    return [json.loads(line) for line in gzip.decompress(path.read_bytes()).decode().splitlines()]


def archived(site):
    """User names in all files."""
    return [row["original_username"] for path in files(site) for row in lines(path)]


def people(site):
    with sqlite3.connect(f"file:{site.data_dir}/lethe.db?mode=ro", uri=True) as db:
        return [name for name, in db.execute("SELECT username FROM retirement_person ORDER BY retirement_id")]


# ---- one ----

def test_a_file_of_json_lines(served):
    served.request("Zoë", "zoe@example.com", "Zoë O'Line")
    served.patch("Zoë", "COMPLETE", extra={"force": True})
    before = served.status("Zoë").json
    answer = served.archive()
    assert answer == {"dry_run": False, "people": 1, "held_back": 0, "file": answer["file"], "more": False}
    [path] = files(served)
    assert path.name == answer["file"] and path.name.endswith(".jsonl.gz") and "Zo" not in path.name
    assert stat.S_IMODE(path.stat().st_mode) == 0o600 and stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    [row] = lines(path)
    assert list(row) == KEYS
    assert {key: row[key] for key in KEYS[:9]} == {
        "user_id": before["user"]["id"], "original_username": "Zoë", "original_email": "zoe@example.com",
        "original_name": "Zoë O'Line", "retired_username": before["retired_username"],
        "retired_email": before["retired_email"], "retirement_request_date": date(before["created"]),
        "last_modified_date": date(before["modified"]), "retirement_id": before["id"]}
    assert served.status("Zoë").status == 404
    assert b"zoe@example.com" not in (served.data_dir / "lethe.db").read_bytes()
    assert (served.data_dir / "lethe.db-wal").stat().st_size == 0


def done(site, claim, **response):
    return site.report(claim, "done", response=json.dumps({"status": 204, "attempts": 1, **response}))


def test_a_line_joins_the_person_to_the_proof(served):
    who = served.request("ada")["id"]
    [claim] = served.claim()
    found = {"left": 0, "status": 404, "tries": 2}
    done(served, claim, outcome="nothing_to_erase", verification=found, answer="ada is unknown")
    assert done(served, {**claim, "stage": "RETIRING_LMS"})["state"] == "COMPLETE"
    log = served.get(f"/v1/retirements/{who}/log").json["log"]
    served.archive()
    [row] = lines(files(served)[0])
    assert list(row) == KEYS and (row["retirement_id"], row["state"], row["forced"]) == (who, "COMPLETE", False)
    assert row["request_uuid"] == claim["user"]["request_uuid"]
    ends = {entry["from"]: date(entry["at"]) for entry in log}
    by = log[-1]["actor"]
    assert row["stages"] == [
        {"stage": "RETIRING_FORUMS", "outcome": "nothing_to_erase", "at": ends["RETIRING_FORUMS"], "by": by,
         "verification": found},
        {"stage": "RETIRING_LMS", "outcome": "done", "at": ends["RETIRING_LMS"], "by": by, "verification": None}]
    assert row["forced_moves"] == [] and "ada is unknown" not in json.dumps(row)


def led(site, *moves):
    who = site.request("ada")["id"]
    for state in moves:
        assert site.post(f"/v1/retirements/{who}/move", {"state": state, "reason": f"to {state}"}).status == 200


@pytest.mark.parametrize("moves, outcomes", [
    (["COMPLETE"], ["left_out", "left_out"]),
    (["RETIRING_FORUMS", "COMPLETE"], ["forced", "left_out"]),
    (["RETIRING_FORUMS", "FORUMS_COMPLETE", "RETIRING_LMS", "LMS_COMPLETE", "COMPLETE"], ["forced", "forced"]),
    (["RETIRING_FORUMS", "ERRORED", "COMPLETE"], ["forced", "left_out"]),
    (["COMPLETE", "PENDING", "RETIRING_LMS", "COMPLETE"], ["left_out", "forced"]),
])
def test_what_was_forced_is_in_the_line(served, moves, outcomes):
    led(served, *moves)
    served.archive()
    [row] = lines(files(served)[0])
    assert [stage["outcome"] for stage in row["stages"]] == outcomes and row["forced"] is True
    assert [(move["to"], move["reason"]) for move in row["forced_moves"]] == [(to, f"to {to}") for to in moves]
    assert all(len(move["at"]) == 26 and move["at"][10] == " " for move in row["forced_moves"])


def test_what_was_mended_is_not_forced(served):
    who = served.request("ada")["id"]
    [claim] = served.claim()
    served.report(claim, "failed", response="{", cause="x")
    assert served.post(f"/v1/retirements/{who}/resume", {"reason": "mended"}).status == 200
    [claim] = served.claim()
    done(served, claim)
    assert done(served, {**claim, "stage": "RETIRING_LMS"})["state"] == "COMPLETE"
    served.archive()
    [row] = lines(files(served)[0])
    assert [stage["outcome"] for stage in row["stages"]] == ["done", "done"] and row["forced"] is False
    assert [(move["from"], move["to"], move["reason"]) for move in row["forced_moves"]] == [("ERRORED", "PENDING", "mended")]


def test_only_who_is_complete_for_long(site):
    site.serve()
    for name in ("old", "old-too", "erred", "aborted"):
        site.request(name)
    for name, state in (("old", "COMPLETE"), ("old-too", "COMPLETE"), ("erred", "ERRORED"), ("aborted", "ABORTED")):
        site.patch(name, state, extra={"force": True})
    site.request("finished-lately")
    site.stop()
    site.age(40)
    site.serve()
    site.patch("finished-lately", "COMPLETE", extra={"force": True})
    site.somebody("COMPLETE", name="new")
    assert site.archive("41d")["people"] == 0 and files(site) == []
    assert site.archive("39d", dry_run=True) == {"dry_run": True, "people": 2, "held_back": 0, "file": None, "more": False}
    assert files(site) == []
    answer = site.post("/v1/archives", {}).json  # 30 days, as nothing else is said
    assert answer["people"] == 2
    assert archived(site) == ["old", "old-too"]
    assert people(site) == ["erred", "aborted", "finished-lately", "new"]


def test_who_waits_for_partners_is_held_back(served):
    served.post("/v1/accounts", {"username": "ada", "email": "ada@example.com", "orgs": ["edX"]})
    served.request("ada")
    served.patch("ada", "RETIRING_FORUMS")
    assert served.put(EDX + "retirement_partner_report/", {"username": "ada"}).status == 204
    served.patch("ada", "COMPLETE", extra={"force": True})
    served.somebody("COMPLETE", name="bob")
    assert served.archive(dry_run=True)["held_back"] == 1
    answer = served.archive()
    assert (answer["people"], answer["held_back"]) == (1, 1) and archived(served) == ["bob"]
    served.post(EDX + "retirement_partner_report/")
    served.post(EDX + "retirement_partner_report_cleanup/", [{"original_username": "ada"}])
    assert served.archive()["people"] == 1 and sorted(archived(served)) == ["ada", "bob"]


def test_nobody_makes_no_file(served):
    assert served.archive() == {"dry_run": False, "people": 0, "held_back": 0, "file": None, "more": False}
    assert files(served) == []


@pytest.mark.parametrize("body, word", [({"older_than": 30}, "older_than"), ({"older_than": "30"}, "older_than"),
                                        ({"older_than": "-1d"}, "older_than"), ({"dry_run": "yes"}, "dry_run"),
                                        ({"days": 30}, "not known")])
def test_what_is_refused(authority, body, word):
    answer = authority.post("/v1/archives", body)
    assert answer.status == 400 and word in answer.json["detail"]


def test_its_scope(authority):
    assert authority.post("/v1/archives", {}, token=authority.token("retirement:read")).status == 403
    assert authority.post("/v1/archives", {}, token="").status == 401


# ---- many ----

def test_several_files(site):
    names = [f"user{i}" for i in range(1003)]
    site.request_all(names)
    with sqlite3.connect(site.data_dir / "lethe.db") as db:
        complete = db.execute("SELECT id FROM state WHERE name = 'COMPLETE'").fetchone()[0]
        db.execute("UPDATE retirement SET state_id = ?, live = 0", (complete,))
        db.execute("UPDATE state SET people = CASE id WHEN ? THEN ? ELSE 0 END", (complete, len(names)))
        db.execute("UPDATE retirement_log SET to_id = ?", (complete,))
    dry = site.ok("archive", "--older-than", "0d", "--dry-run")
    assert "1003 people would be archived" in dry.out and "user" not in dry.out and files(site) == []
    done = site.ok("archive", "--older-than", "0d", "--json").json
    assert done["people"] == 1003 and done["files"] == [p.name for p in sorted(files(site), key=os.path.getmtime)]
    assert sorted(len(lines(path)) for path in files(site)) == [3, 1000]
    assert sorted(archived(site)) == sorted(names) and people(site) == []
    assert "0 people archived" in site.ok("archive", "--older-than", "0d").out


# ---- encrypted ----

def test_encrypted_to_a_certificate(site):
    make_certificate(site.folder, "archive.pem", "archive.key")
    site.configure(archive={"certificate_file": "archive.pem"})
    site.serve()
    site.somebody("COMPLETE", name="ada")
    name = site.archive()["file"]
    assert name.endswith(".jsonl.gz.cms")
    [path] = files(site)
    assert b"\x1f\x8b\x08" not in path.read_bytes() and b"ada" not in path.read_bytes()
    opened = subprocess.run(["openssl", "cms", "-decrypt", "-inform", "DER", "-in", path, "-inkey",
                             site.folder / "archive.key"], check=True, capture_output=True).stdout
    assert [json.loads(line)["original_username"] for line in gzip.decompress(opened).splitlines()] == ["ada"]
    spoilt = bytearray(path.read_bytes())
    spoilt[-20] ^= 1
    (site.folder / "spoilt").write_bytes(spoilt)
    again = subprocess.run(["openssl", "cms", "-decrypt", "-inform", "DER", "-in", site.folder / "spoilt", "-inkey",
                            site.folder / "archive.key"], capture_output=True)
    assert again.returncode != 0


@pytest.mark.parametrize("text", ["", "not a certificate", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"])
def test_a_certificate_that_is_none(site, text):
    (site.folder / "archive.pem").write_text(text)
    site.configure(archive={"certificate_file": "archive.pem"})
    result = site.lethe("config", "check")
    assert result.code == 2 and "certificate_file" in result.err and "no certificate" in result.err


# ---- by itself ----

def test_by_itself(site):
    site.serve()
    site.somebody("COMPLETE", name="ada")
    site.stop()
    site.configure(archive={"every": "1h", "older_than": "0d"})
    site.serve()
    wait_for(lambda: people(site) == [], "archiving")
    assert archived(site) == ["ada"]


# ---- killed ----

def test_an_unfinished_file_that_nobody_knows_is_removed(site):
    site.serve()
    site.somebody("COMPLETE", name="ada")
    site.stop()
    (site.data_dir / "archives").mkdir(mode=0o700)
    stray = site.data_dir / "archives" / "lethe-2026-01-01T000000-00000000.jsonl.gz.unfinished"
    stray.write_bytes(b"half")
    site.serve()
    assert not stray.exists() and people(site) == ["ada"]
    assert site.archive()["people"] == 1


@pytest.mark.skipif(not shutil.which("strace"), reason="needs strace")
@pytest.mark.parametrize("sealed", [False, True])
def test_killed_at_each_write_to_the_disk(site, sealed):
    """Each person is in the database or in one finished file; after a restart nothing is half done."""
    names = [f"user{i}" for i in range(7)]
    if sealed:
        make_certificate(site.folder, "archive.pem", "archive.key")
        site.configure(archive={"certificate_file": "archive.pem"})
    site.serve()
    for name in names:
        site.somebody("COMPLETE", name=name)
    made = site.client("archiver", "retirement:admin")
    site.stop()
    copy = site.folder / "before"
    shutil.copytree(site.data_dir, copy)
    ends = set()
    for call in ("fdatasync", "fsync"):
        for n in range(1, 20):
            shutil.rmtree(site.data_dir)
            shutil.copytree(copy, site.data_dir)
            process = site.serve()
            token = site.token_of(made)
            tracer = site.start_tracer(process, f"--inject={call}:signal=KILL:when={n}")
            try:
                answered = site.post("/v1/archives", {"older_than": "0d"}, token=token).status
            except OSError:
                answered = None
            tracer.kill()
            tracer.wait()
            if answered is not None:
                site.kill(process)
            process.wait()
            before = (people(site)[:1], [path.suffix for path in files(site)])
            ends.add((before[0][0] if before[0] else None, before[1][0] if before[1] else None))
            site.serve()
            left = people(site)
            assert left in (names, []), left
            assert [path.name for path in files(site) if "unfinished" in path.name] == []
            assert len(files(site)) == (0 if left else 1)
            if not sealed:
                assert sorted(archived(site) + left) == names
            site.stop()
            if answered is not None:
                break
        assert answered == 200
    assert ("user0", ".unfinished") in ends and ("redacted", ".unfinished") in ends, ends
