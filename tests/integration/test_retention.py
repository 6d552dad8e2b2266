# SPDX-License-Identifier: Apache-2.0
"""How long a person is kept: nobody too long, nobody too short, and nothing that nobody else has a copy of."""
import gzip
import json
import os
import pty
import shutil
import sqlite3
import subprocess

import pytest

from site_under_test import LETHE, wait_for

EDX = "/api/user/v1/accounts/"


def cleanup(site, *names):
    return site.post(EDX + "retirement_cleanup/", {"usernames": list(names)})


def reported(site):
    """Who is on the partners' list."""
    return [row["original_username"] for row in site.post(EDX + "retirement_partner_report/?again=true").json]


def member(site, name, state="COMPLETE"):
    """A person with an organisation, on the partners' list."""
    site.post("/v1/accounts", {"username": name, "email": f"{name}@example.com", "orgs": ["edX"]})
    made = site.request(name)
    site.patch(name, "RETIRING_LMS")
    assert site.put(EDX + "retirement_partner_report/", {"username": name}).status == 204
    site.patch(name, state, extra={"force": True})
    return made["id"]


def move(site, who, *states):
    for state in states:
        assert site.post(f"/v1/retirements/{who}/move", {"state": state, "reason": "legal hold"}).status == 200


def age(site, days):
    """Makes everybody so much older, in a restart."""
    site.stop()
    site.age(days)
    site.serve()


def files_with(site, word):
    return [path.name for path in site.data_dir.iterdir() if path.is_file() and word.encode() in path.read_bytes()]


def states(site):
    return {row["id"]: row["state"] for row in site.get("/v1/retirements").json["retirements"]}


# ---- on the partners' list: until reported, and nowhere else ----

def by_cleanup(site, who):
    assert cleanup(site, "planted-ada").status == 204


def by_forgetting(site, who):
    answer = site.post(f"/v1/retirements/{who}/forget", {"reason": "case 7"})
    assert answer.status == 200 and answer.json["waits_for_partners"] is True


@pytest.mark.parametrize("forget", [by_cleanup, by_forgetting])
def test_who_is_on_the_partners_list_stays_there_until_reported(site, forget):
    site.serve()
    who = member(site, "planted-ada")
    forget(site, who)
    assert states(site) == {} and site.status("planted-ada").status == 404
    assert site.post("/v1/retirements/search", {"email": "planted-ada@example.com"}).json["retirements"] == []
    assert site.post("/v1/accounts/search", {"username": "planted-ada"}).json["accounts"] == []
    [row] = site.post(EDX + "retirement_partner_report/").json
    assert (row["original_username"], row["original_email"]) == ("planted-ada", "planted-ada@example.com")
    assert row["user_id"] > 0 and row["orgs"] == ["edX"]
    site.stop()
    site.serve()
    assert reported(site) == ["planted-ada"] and site.post("/v1/fsck", {}).json["violations"] == []
    answer = site.post(EDX + "retirement_partner_report_cleanup/", [{"original_username": "planted-ada"}])
    assert answer.status == 204 and reported(site) == []
    assert files_with(site, "planted-ada") == []


def test_reporting_keeps_who_is_not_forgotten_yet(served):
    who = member(served, "ada", state="RETIRING_LMS")
    reported(served)
    assert served.post(EDX + "retirement_partner_report_cleanup/", [{"original_username": "ada"}]).status == 204
    assert states(served) == {who: "RETIRING_LMS"} and served.status("ada").json["original_username"] == "ada"


# ---- an archive takes what is COMPLETE and old, and nothing with it ----

@pytest.mark.parametrize("hold", [["RETIRING_LMS", "ABORTED"], ["ERRORED"], ["COMPLETE"], ["ERRORED", "ABORTED"], []])
def test_a_newer_retirement_of_the_same_account_stays(site, hold):
    site.serve()
    old = site.request("ada")["id"]
    move(site, old, "COMPLETE")
    age(site, 40)
    newer = site.request("ada")["id"]
    move(site, newer, *hold)
    before = site.get(f"/v1/retirements/{newer}").json
    assert site.archive("30d", dry_run=True)["people"] == 1
    assert site.archive("30d")["people"] == 1
    assert site.get(f"/v1/retirements/{newer}").json == before
    assert states(site) == {newer: (["PENDING"] + hold)[-1]}


def test_an_older_one_that_an_operator_aborted_stays_until_forget(site):
    site.serve()
    held = site.request("ada")["id"]
    move(site, held, "RETIRING_LMS", "ABORTED")
    done = site.request("ada")["id"]
    move(site, done, "COMPLETE")
    age(site, 1000)
    assert site.archive("30d")["people"] == 1 and states(site) == {held: "ABORTED"}
    assert site.post(f"/v1/retirements/{held}/forget", {"reason": "case 7"}).status == 200
    assert states(site) == {}


# ---- who cancelled ----

def test_who_cancelled_is_forgotten_after_a_time(site):
    site.configure(archive={"cancelled_older_than": "10d"})
    site.serve()
    account = site.post("/v1/accounts", {"username": "planted-ada", "email": "planted@example.com"}).json["id"]
    who = site.request("planted-ada", "planted@example.com")["id"]
    assert site.post(f"/v1/retirements/{who}/cancel", {}).status == 200
    age(site, 9)
    assert "cancelled" not in site.archive("30d") and states(site) == {who: "ABORTED"}
    age(site, 2)
    assert site.archive("30d", dry_run=True)["cancelled"] == 1
    answer = site.archive("30d")
    assert (answer["cancelled"], answer["people"], answer["file"]) == (1, 0, None)
    assert states(site) == {}
    # The person goes on using the account, and the name.
    assert site.get(f"/v1/accounts/{account}").json["username"] == "planted-ada"
    free = site.post("/v1/identities/check", {"username": "planted-ada", "email": "planted@example.com"}).json
    assert free["status"] == "free"
    assert site.request("planted-ada", "planted@example.com")["state"] == "PENDING"


def test_who_cancelled_and_is_in_no_directory_is_gone_from_the_files(site):
    site.serve()
    who = site.request("planted-ada")["id"]
    assert site.post(f"/v1/retirements/{who}/cancel", {}).status == 200
    age(site, 400)
    site.stop()
    site.configure(archive={"every": "1h"})
    site.serve()
    wait_for(lambda: states(site) == {}, "forgetting")
    assert files_with(site, "planted-ada") == []
    with sqlite3.connect(f"file:{site.data_dir}/lethe.db?mode=ro", uri=True) as db:
        for table in ("account", "identity", "retired_name", "retirement_person"):
            assert db.execute(f"SELECT count(*) FROM {table}").fetchone() == (0,), table


# ---- the only copy ----

def unfinished(site):
    """A server that was killed between the commit and the name: the file is the only copy of its people."""
    site.serve()
    site.somebody("COMPLETE", name="ada")
    made = site.client("archiver", "retirement:admin")
    site.stop()
    process = site.serve()
    token = site.token_of(made)
    tracer = site.start_tracer(process, "--trace=rename,renameat,renameat2",
                               "--inject=rename,renameat,renameat2:signal=KILL:when=1")
    with pytest.raises(OSError):
        site.post("/v1/archives", {"older_than": "0d"}, token=token)
    tracer.kill()
    tracer.wait()
    process.wait()
    [path] = (site.data_dir / "archives").iterdir()
    assert path.name.endswith(".unfinished")
    return path


@pytest.mark.skipif(not shutil.which("strace"), reason="needs strace")
@pytest.mark.parametrize("left", ["an empty folder", "nothing", "a link that leads nowhere"])
def test_the_only_copy_of_an_archive_is_waited_for(site, left):
    path = unfinished(site)
    folder, disk = path.parent, site.folder / "disk"
    folder.rename(disk)
    if left == "an empty folder":
        folder.mkdir(mode=0o700)
    elif left == "a link that leads nowhere":
        folder.symlink_to(site.folder / "not-mounted")
    process = site.serve()
    site.wait_said(process, "is missing")
    answer = site.post("/v1/archives", {"older_than": "0d"})
    assert answer.status == 409 and answer.json["code"] == "archive_unfinished" and str(site.data_dir) not in answer.raw.decode()
    assert len(states(site)) == 1
    assert cleanup(site, site.somebody("COMPLETE", name="bob")["original_username"]).status == 204
    site.stop()
    if left == "an empty folder":
        folder.rmdir()
    elif folder.is_symlink():
        folder.unlink()
    disk.rename(folder)
    site.serve()
    [path] = folder.iterdir()
    assert path.name.endswith(".jsonl.gz")
    assert [json.loads(line)["original_username"] for line in gzip.decompress(path.read_bytes()).splitlines()] == ["ada"]
    assert states(site) == {}


@pytest.mark.skipif(not shutil.which("strace"), reason="needs strace")
def test_a_lost_archive_is_given_up_by_an_empty_file(site):
    path = unfinished(site)
    path.unlink()
    path.with_suffix("").touch(mode=0o600)
    site.serve()
    assert states(site) == {} and site.archive()["people"] == 0


@pytest.mark.skipif(not shutil.which("strace"), reason="needs strace")
@pytest.mark.parametrize("call, error, status", [("link", "ENOSPC", 507), ("link", "EROFS", 500), ("fsync", "EIO", 500)])
def test_a_disk_that_takes_no_archive_changes_nothing(site, call, error, status):
    process = site.serve()
    who = site.somebody("COMPLETE", name="ada")["id"]
    tracer = site.start_tracer(process, f"--trace={call}", f"--inject={call}:error={error}")
    answer = site.post("/v1/archives", {"older_than": "0d"})
    tracer.terminate()
    tracer.wait()
    assert answer.status == status and str(site.data_dir) not in answer.raw.decode()
    assert states(site) == {who: "COMPLETE"} and site.status("ada").json["original_username"] == "ada"
    assert site.archive()["people"] == 1
    [path] = (site.data_dir / "archives").iterdir()
    assert path.name.endswith(".jsonl.gz") and states(site) == {}


@pytest.mark.skipif(not shutil.which("strace"), reason="needs strace")
def test_an_archive_that_cannot_get_its_name_is_finished_later(site):
    process = site.serve()
    site.somebody("COMPLETE", name="ada")
    tracer = site.start_tracer(process, "--trace=rename", "--inject=rename:error=EROFS")
    answer = site.post("/v1/archives", {"older_than": "0d"})
    tracer.terminate()
    tracer.wait()
    assert answer.status == 500 and len(states(site)) == 1
    site.wait_said(process, "cannot be finished")
    assert site.archive()["people"] == 0 and states(site) == {}
    [path] = (site.data_dir / "archives").iterdir()
    assert [json.loads(line)["original_username"] for line in gzip.decompress(path.read_bytes()).splitlines()] == ["ada"]


def test_a_folder_that_cannot_be_written_changes_nothing(site):
    site.serve()
    who = site.somebody("COMPLETE", name="ada")["id"]
    (site.data_dir / "archives").write_text("a file in its place")
    done = site.lethe("archive", "--older-than", "0d")
    assert done.code == 1 and done.err.strip()
    assert states(site) == {who: "COMPLETE"} and site.status("ada").json["original_username"] == "ada"
    (site.data_dir / "archives").unlink()
    assert site.archive()["people"] == 1
    assert subprocess.run(["gzip", "-t", *(site.data_dir / "archives").iterdir()]).returncode == 0


# ---- one person ----

def test_forget_one_by_command(served):
    who = served.somebody("ABORTED", name="ada")["id"]
    asked = served.lethe("retirement", "forget", "ada")
    assert asked.code == 2 and "--reason" in asked.err
    done = served.ok("retirement", "forget", "ada", "--reason", "legal hold ended, case 7")
    assert f"Retirement {who} is deleted" in done.out
    assert served.lethe("retirement", "forget", "--id", str(who), "--reason", "x").code == 3
    entries = served.get(f"/v1/audit?retirement={who}").json["entries"]
    assert [(e["action"], e["subject"]) for e in entries[-2:]] == [("forget_asked", "legal hold ended, case 7"),
                                                                   ("forgotten", None)]


def test_forget_is_refused_while_something_is_live(served):
    served.somebody("COMPLETE", name="ada")
    live = served.request("ada")["id"]
    refused = served.lethe("retirement", "forget", "ada", "--reason", "x")
    assert refused.code == 4 and "PENDING" in refused.err
    old = min(states(served))
    refused = served.lethe("retirement", "forget", "--id", str(old), "--reason", "x")
    assert refused.code == 4 and f"retirement {live} of the same account is in PENDING" in refused.err
    assert sorted(states(served)) == [old, live]


def test_forgetting_takes_the_person_out_of_every_file(site):
    site.serve()
    who = site.request("planted-ada", name="Planted Name")["id"]
    site.patch("planted-ada", "RETIRING_LMS", "planted answer")
    site.patch("planted-ada", "ERRORED", "planted answer")
    assert files_with(site, "planted-ada")
    answer = site.post(f"/v1/retirements/{who}/forget", {"reason": "case 7"}, headers={"Idempotency-Key": "k1"})
    again = site.post(f"/v1/retirements/{who}/forget", {"reason": "case 7"}, headers={"Idempotency-Key": "k1"})
    assert answer.status == again.status == 200 and answer.json == again.json
    for word in ("planted-ada", "Planted Name", "planted answer"):
        assert files_with(site, word) == []


# ---- COMPLETE by force ----

def test_complete_by_force_looks_different_from_honest(served):
    forced = served.request("ada")["id"]
    move(served, forced, "COMPLETE")
    honest = served.request("bob")["id"]
    [claim] = served.claim()
    served.report(claim, "done")
    assert served.report({**claim, "stage": "RETIRING_LMS"}, "done")["state"] == "COMPLETE"
    rows = {row["id"]: row for row in json.loads(served.ok("retirement", "list", "--json").out)}
    assert (rows[forced]["forced"], rows[honest]["forced"]) == (True, False)
    listed = {line.split()[0]: line for line in served.ok("retirement", "list").out.splitlines()}
    assert "COMPLETE, forced" in listed[str(forced)] and "forced" not in listed[str(honest)]
    assert "not all are known to be done" in served.ok("retirement", "show", "ada").out
    assert "not all are known to be done" not in served.ok("retirement", "show", "bob").out
    metrics = served.get("/metrics", token="").raw.decode()
    assert 'lethe_people{state="COMPLETE"} 2' in metrics and 'lethe_forced_people{state="COMPLETE"} 1' in metrics
    assert served.post(f"/v1/retirements/{forced}/move", {"state": "PENDING", "reason": "again"}).json["forced"] is False
    assert 'lethe_forced_people{state="COMPLETE"} 0' in served.get("/metrics", token="").raw.decode()


# ---- asked first, at a terminal ----

MANY = ["retirement", "move", "--state", "PENDING", "--to", "ABORTED", "--reason", "x"]
SOON = ["archive", "--older-than", "0s"]


def typed(site, answer, *arguments):
    """At a terminal, where a person answers. Gives the exit code and what stood there."""
    leader, follower = pty.openpty()
    process = subprocess.Popen([LETHE, *arguments, "--config", str(site.file)], stdin=follower, stdout=follower,
                               stderr=follower, start_new_session=True)
    os.close(follower)
    os.write(leader, answer.encode())
    shown = b""
    while True:
        try:
            shown += os.read(leader, 4096)
        except OSError:
            break
    os.close(leader)
    return process.wait(), shown.decode()


@pytest.mark.parametrize("arguments, asks", [(MANY, "1 person will be moved to ABORTED. Go on? [y/N]"),
                                             (SOON, "1 person will be archived and deleted. Go on? [y/N]")])
def test_a_person_at_a_terminal_is_asked_first(served, arguments, asks):
    served.request("ada")
    served.somebody("COMPLETE", name="bob")
    before = states(served)
    for answer in ("n\n", "\n", "\x04"):
        code, shown = typed(served, answer, *arguments)
        assert code == 4 and asks in shown and "nothing has changed" in shown
    assert states(served) == before
    code, shown = typed(served, "y\n", *arguments)
    assert code == 0 and asks in shown and states(served) != before


@pytest.mark.parametrize("arguments", [[*MANY, "--yes"], [*SOON, "--yes"], [*MANY, "--dry-run"], [*SOON, "--dry-run"],
                                       ["archive", "--older-than", "1d"], ["archive"]])
def test_nobody_is_asked_when_it_is_said_or_harmless(served, arguments):
    served.request("ada")
    served.somebody("COMPLETE", name="bob")
    code, shown = typed(served, "", *arguments)
    assert code == 0 and "Go on?" not in shown


@pytest.mark.parametrize("arguments", [MANY, SOON])
def test_a_script_is_not_asked(served, arguments):
    served.request("ada")
    served.somebody("COMPLETE", name="bob")
    before = states(served)
    served.ok(*arguments)
    assert states(served) != before
