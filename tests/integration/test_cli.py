# SPDX-License-Identifier: Apache-2.0
"""The command line: forms that scripts rely on, words that people read, exit codes."""
import json
import os
import re
import signal
import socket
import subprocess
import threading
import xml.etree.ElementTree as ET

import pytest

from services import HANG_UP, keep_port, make_certificate
from site_under_test import LETHE, TIMEOUT, Result, wait_for

FAILED, USAGE, NOT_FOUND, REFUSED = 1, 2, 3, 4
STATES = ["PENDING", "RETIRING_FORUMS", "FORUMS_COMPLETE", "RETIRING_LMS", "LMS_COMPLETE", "ERRORED", "ABORTED",
          "COMPLETE"]


def expect(result, code, words):
    """The exit code; one line of error with these words; nothing else on standard error."""
    assert result.code == code, result
    assert re.fullmatch(r"lethe: .+\n", result.err), result
    assert words in result.err, result


def request(site, name, **options):
    return site.ok("retirement", "request", "--username", name, "--email", f"{name}@example.com", "--json",
                   **options).json


def add_people(site, names):
    """Into the directory."""
    path = site.folder / "people.csv"
    path.write_text("".join(f"{n},{n}@example.com,Name of {n}\n" for n in names))
    return site.ok("account", "import", str(path))


@pytest.fixture
def erasing(site, make_service):
    """A site with one stage; site.erase is its service."""
    site.erase = make_service()
    site.service("store", site.erase)
    site.stage("ERASING", "ERASED", http={"service": "store", "post": "/erase", "json": {"username": "{original_username}"}},
               retry="none")
    return site


# ---- what needs no database ----

def test_help_teaches(site):
    everything = site.ok("help", config=False)
    assert "lethe config check" in everything.out and "Exit codes" in everything.out
    names = re.findall(r"^  ([a-z-]+(?: [a-z-]+)?)(?= |$)", everything.out.split("To begin")[0], re.M)
    assert len(names) > 20 and "retirement show" in names
    for name in names:
        page = site.ok(*name.split(), "--help", config=False)
        assert page.out == site.ok("help", *name.split(), config=False).out
        for part in ("usage: lethe " + name, "\nOptions\n", "\nExamples\n", "--config FILE"):
            assert part in page.out
    assert "retirement rerun" in site.ok("retirement", "--help", config=False).out


@pytest.mark.parametrize("words, answer", [
    ([], "no command"),
    (["retirment", "list"], 'did you mean "lethe retirement"?'),
    (["help", "retirement", "shw"], 'did you mean "lethe retirement show"?'),
    (["retirement"], "needs one more word: request, import, show"),
    (["retirement", "list", "--sate", "X"], "did you mean --state?"),
    (["retirement", "request", "--username", "ada"], "--email is missing"),
    (["retirement", "request", "--username", ""], "--username needs a value"),
    (["retirement", "move", "ada", "PENDING"], "--reason is missing"),
    (["retirement", "move", "ada", "--reason", "x"], "NAME STATE"),
    (["retirement", "show", "--id", "0"], "--id is not a number"),
    (["retirement", "show", "--id", "1e3"], "--id is not a number"),
    (["retirement", "resume"], "needs a user name, --id ID, --all, or --stage"),
    (["retirement", "resume", "ada", "--all"], "needs a user name, --id ID, --all, or --stage"),
    (["retirement", "rerun", "--reason", "x", "--since", "2026-02-30"], "--since"),
    (["retirement", "import", "/nonexistent.csv"], "/nonexistent.csv"),
    (["states", "graph", "--format", "png"], "dot or svg"),
    (["drive", "--once", "--cool-off", "soon"], "--cool-off"),
    (["fsck", "--config", "/nonexistent.yml"], "/nonexistent.yml"),
    (["fsck", "--server", "ftp://example.com"], "--server"),
    (["fsck", "--server", "http://example.com"], "https://"),
    (["fsck", "--server", "https://example.com"], "LETHE_CLIENT_ID"),
])
def test_wrong_usage_is_one_line_and_exit_2(site, words, answer):
    site.write_config()
    expect(site.lethe(*words, config="--config" not in words and words != []), USAGE, answer)


def test_text_that_is_not_utf8_is_wrong_usage(site):
    done = subprocess.run([LETHE, b"hash", b"\xff"], capture_output=True, text=True, timeout=TIMEOUT)
    expect(Result(done), USAGE, "not UTF-8")


def test_config_check_says_what_is_right_and_what_is_not(erasing):
    assert re.search(r"lethe.yml is right: 1 service, 1 stage\n$", erasing.ok("config", "check").out)
    assert erasing.ok("config", "check", "--json").json == {
        "services": 1, "stages": 1, "states": 6, "rights": {"worker": [], "renamer": []}, "order": []}
    assert "cool_off" in erasing.ok("config", "check", "--settings", config=False).out
    erasing.configure(cool_of="7d")
    wrong = erasing.lethe("config", "check")
    expect(wrong, USAGE, "cool_off")
    assert re.search(r"lethe.yml:\d+:\d+: ", wrong.err)


def test_all_mistakes_of_a_configuration_are_told_at_once(erasing):
    """By the check and by whatever else reads the file."""
    erasing.configure(cool_of="7d", driver={"leese": "90s"}, log={"level": "loud"})
    told = erasing.lethe("config", "check", "--json")
    assert told.code == USAGE
    assert {f["what"] for f in told.json["faults"]} == {
        "unknown key cool_of: did you mean cool_off?", "unknown key leese: did you mean lease?",
        "level: expected error, warning, info or debug, found loud"}
    assert [(f["line"], f["column"]) for f in told.json["faults"]] == sorted((f["line"], f["column"]) for f in told.json["faults"])
    for words in (["config", "check"], ["serve"], ["run"], ["drive", "--once"], ["retirement", "list"]):
        lines = erasing.lethe(*words).err.splitlines()
        assert len(lines) == 3 and all(re.match(r"lethe: \S*lethe.yml:\d+:\d+: ", line) for line in lines)


def tls_files(folder, name):
    """A certificate and its key, as a section of the configuration."""
    make_certificate(folder, f"{name}.crt", f"{name}.key")
    return {"certificate_file": str(folder / f"{name}.crt"), "key_file": str(folder / f"{name}.key")}


def script(folder, text, mode=0o700):
    path = folder / "erase"
    path.write_text(text)
    path.chmod(mode)
    return str(path)


@pytest.mark.parametrize("names, said", [
    (lambda d: "erase-nobody", "there is no program erase-nobody in PATH"),
    (lambda d: str(d / "nowhere"), "No such file"),
    (lambda d: script(d, "", 0o600), "cannot be executed: chmod \\+x"),
    (lambda d: str(d), "is no program"),
    (lambda d: script(d, "#!/nowhere/python3\n"), "by /nowhere/python3, and there is no such program"),
    (lambda d: script(d, "#!/bin/sh\r\ntrue\r\n"), "by /bin/sh.x0d, and there is no such program"),
    (lambda d: script(d, "#!/usr/bin/env pyhton3\n"), "by pyhton3, and there is no such program"),
], ids=["name", "path", "mode", "folder", "interpreter", "dos", "env"])
def test_config_check_looks_at_programs(erasing, names, said):
    """In a stage, in its verification and in a hook, each with its place. The server starts all the same."""
    program = names(erasing.folder)
    stage, probe, hook = ({"exec": {"command": [program, "x"]}} for _ in range(3))
    erasing.stage("REMOVING", "REMOVED", verify=probe, **stage)
    erasing.configure(on_request=[hook])
    wrong = erasing.lethe("config", "check")
    assert wrong.code == USAGE and len(re.findall(rf"lethe.yml:\d+:\d+: .*{said}", wrong.err)) == 3, wrong.err
    erasing.serve()


def test_config_check_looks_at_databases(erasing):
    for odbc, said in (("Driver=Nowhere;UID=x", "no ODBC driver Nowhere"), ("dsn={Nobody Here}", "no ODBC data source Nobody Here"),
                       ("Driver=/nowhere/lib.so", "/nowhere/lib.so cannot be read"), ("Server=x;UID=y", "it names no driver")):
        erasing.config["services"]["shop"] = {"odbc": odbc}
        wrong = erasing.lethe("config", "check")
        expect(wrong, USAGE, said)
        assert re.search(r"lethe.yml:\d+:\d+: ", wrong.err)


def test_config_check_looks_at_certificates(erasing):
    a, b = tls_files(erasing.folder, "a"), tls_files(erasing.folder, "b")
    erasing.configure(tls=a)
    assert "is right" in erasing.ok("config", "check").out
    erasing.configure(tls={**a, "key_file": b["key_file"]})
    expect(erasing.lethe("config", "check"), USAGE, "the key is not that of the certificate")
    erasing.configure(tls={**a, "certificate_file": a["key_file"]})
    expect(erasing.lethe("config", "check"), USAGE, "the certificate is not right")
    old = erasing.folder / "old.crt"
    subprocess.run(["openssl", "x509", "-in", a["certificate_file"], "-signkey", a["key_file"], "-days", "-1", "-out", str(old)], check=True,
                   capture_output=True)
    erasing.configure(tls={**a, "certificate_file": str(old)})
    expect(erasing.lethe("config", "check"), USAGE, "the certificate has expired")
    erasing.configure(tls=a, mail={"server": "smtp://127.0.0.1", "from": "a@example.com", "ca_file": a["key_file"]})
    expect(erasing.lethe("config", "check"), USAGE, "there is no certificate in it")
    del erasing.config["mail"]
    erasing.configure(archive={"certificate_file": str(old)})
    expect(erasing.lethe("config", "check"), USAGE, "the certificate has expired")


def test_config_check_looks_at_the_data_directory(erasing):
    file = erasing.folder / "a file"
    file.write_text("")
    (erasing.folder / "open").mkdir(mode=0o755)
    (erasing.folder / "link").symlink_to("nowhere")
    for path, said in ((erasing.folder / ("a" * 100), "data_dir is too long"), (erasing.folder / "link", "No such file"),
                       (file, "is not a directory"), (erasing.folder / "nowhere" / "data", "cannot be made"), (erasing.folder / "open", "read by others")):
        erasing.configure(data_dir=str(path))
        expect(erasing.lethe("config", "check"), USAGE, said)
    erasing.configure(data_dir=str(erasing.folder / "new"))
    assert "is right" in erasing.ok("config", "check").out and not (erasing.folder / "new").exists()


def test_config_check_looks_at_the_folders_of_archives_and_secrets(erasing):
    """The data directory, too, that is not set."""
    erasing.config.pop("data_dir", None)
    data = erasing.folder / "lethe-data"
    data.mkdir(mode=0o700, exist_ok=True)
    assert "is right" in erasing.ok("config", "check").out
    (data / "archives").write_text("")
    expect(erasing.lethe("config", "check"), USAGE, "archives is not a folder")
    (data / "archives").unlink()
    erasing.configure(secrets_dir="nowhere")
    expect(erasing.lethe("config", "check"), USAGE, "nowhere: No such file")
    erasing.configure(secrets_dir="lethe.yml")
    expect(erasing.lethe("config", "check"), USAGE, "lethe.yml is not a folder")


def give_tokens(call):
    good = b"client_secret=0123456789abcdef" in call.raw
    return (200, {"access_token": "t", "expires_in": 60}) if good else (401, {"error": "invalid_client"})


@pytest.fixture
def connecting(erasing, make_service, make_office):
    """A site with a service of each kind, all of which can be reached."""
    erasing.lms, erasing.office = make_service(), make_office(folder=erasing.folder, login=("lethe", "0123456789"))
    erasing.lms.script = give_tokens
    erasing.oauth2 = {"client_id": "worker", "client_secret": "0123456789abcdef"}
    erasing.service("lms", erasing.lms, oauth2=erasing.oauth2)
    erasing.config["services"]["shop"] = {"odbc": f"Driver=SQLite3;Database={erasing.folder}/shop.db"}
    erasing.configure(mail={"server": erasing.office.url, "from": "lethe@example.com", "user": "lethe", "password": "0123456789",
                            "tls": "required", "ca_file": "cert.pem"})
    return erasing


def test_connect_tries_all_services_and_touches_nobody(connecting):
    lines = connecting.ok("config", "check", "--connect").out.splitlines()
    assert lines[:4] == ["store: ok, connected", "lms: ok, connected, has a token", "shop: ok, opened the database", "mail: ok, logged in"]
    assert "is right" in lines[4]
    assert [call.path for call in connecting.lms.calls] == ["/oauth2/access_token"] and connecting.erase.calls == []
    said = [line.split()[0] for line, _ in connecting.office.lines]
    assert said[:5] == ["EHLO", "STARTTLS", "EHLO", "AUTH", "QUIT"] and "MAIL" not in said and connecting.office.messages == []
    told = connecting.ok("config", "check", "--connect", "--json").json
    assert [(c["name"], c["ok"]) for c in told["connections"]] == [("store", True), ("lms", True), ("shop", True), ("mail", True)]


def refuse_the_client(site):
    site.config["services"]["lms"]["oauth2"] = {**site.oauth2, "client_secret": "fedcba9876543210"}


def stop_the_service(site):
    site.erase.stop()


def speak_no_tls(site):
    site.config["services"]["store"]["url"] = site.erase.url.replace("http:", "https:")


def hide_the_database(site):
    site.config["services"]["shop"]["odbc"] = f"Driver=SQLite3;Database={site.folder}/nowhere/shop.db"


def refuse_the_login(site):
    site.config["mail"]["password"] = "9876543210"


@pytest.mark.parametrize("spoil, name", [
    (refuse_the_client, "lms: no access token: status 401"), (stop_the_service, "store: "), (speak_no_tls, "store: "), (hide_the_database, "shop: "),
    (refuse_the_login, "mail: ")])
def test_connect_says_which_service_cannot_be_used(connecting, spoil, name):
    """The others are tried all the same."""
    spoil(connecting)
    failed = connecting.lethe("config", "check", "--connect")
    assert failed.code == FAILED and "1 of 4 outside systems cannot be used" in failed.err
    wrong = [line for line in failed.out.splitlines() if ": ok, " not in line and "is right" not in line]
    assert len(wrong) == 1 and wrong[0].startswith(name) and len(wrong[0]) > len(name.split(":")[0]) + 4
    told = connecting.lethe("config", "check", "--connect", "--json")
    assert [c["ok"] for c in told.json["connections"]].count(False) == 1 and told.code == FAILED
    assert "9876543210" not in failed.out + failed.err


def test_hash_gives_the_retired_form(site):
    current = "ab727831c5038a2dc4a4d8116ce566401185e0d7"
    old = "cc00ead876382dbd36373538c66b5d062face6de"
    assert site.ok("hash", "Learner1").out == f"retired__user_{current}\n"
    forms = site.ok("hash", "Learner1", "--json").json
    assert forms["retired_username"] == f"retired__user_{current}"
    assert forms["retired_email"] == f"retired__user_{current}@retired.invalid"
    assert [f["retired_username"] for f in forms["all"]] == [f"retired__user_{old}", f"retired__user_{current}"]


def test_version(site):
    assert re.fullmatch(r"lethe \d+\.\d+\.\d+\n", site.ok("version", config=False).out)
    assert site.ok("version", "--json", config=False).json["version"]


def test_output_that_cannot_be_written_is_a_failure(site):
    with open("/dev/full", "wb") as full:
        done = subprocess.run([LETHE, "help"], stdout=full, stderr=subprocess.PIPE, text=True, timeout=TIMEOUT)
    assert done.returncode == FAILED
    assert "cannot write to standard output" in done.stderr


def test_a_reader_who_leaves_early_is_no_failure(site):
    add_people(site, [f"user{n}" for n in range(3000)])
    (site.folder / "all.csv").write_text("".join(f"user{n},user{n}@example.com\n" for n in range(3000)))
    site.ok("retirement", "import", "all.csv")
    done = subprocess.run(f"set -o pipefail; '{LETHE}' retirement list --config '{site.file}' | head -1", shell=True,
                          executable="/bin/bash", capture_output=True, text=True, timeout=TIMEOUT)
    assert (done.returncode, done.stderr) == (0, "") and done.stdout.startswith("ID")


# ---- states ----

def test_states_sync_prints_what_operators_know(site):
    dry = site.ok("states", "sync", "--dry-run")
    assert dry.out.startswith("Dry run: nothing is changed.")
    assert "   Added: PENDING, RETIRING_FORUMS" in dry.out and "(step 11)" in dry.out
    expect(site.lethe("retirement", "list", "--state", "NO_SUCH"), USAGE, "NO_SUCH")

    site.ok("states", "sync")
    site.configure(states=["PENDING", "RETIRING_FORUMS", "FORUMS_COMPLETE", "ERRORED", "ABORTED", "COMPLETE"])
    assert site.ok("states", "sync").out == (
        "The list of states was changed like this:\n"
        "   Added: none\n"
        "   Removed: RETIRING_LMS, LMS_COMPLETE\n"
        "   Remaining: PENDING, RETIRING_FORUMS, FORUMS_COMPLETE, ERRORED, ABORTED, COMPLETE\n"
        "The states are now:\n"
        "PENDING (step 1)\nRETIRING_FORUMS (step 11)\nFORUMS_COMPLETE (step 21)\nERRORED (step 31)\n"
        "ABORTED (step 41)\nCOMPLETE (step 51)\n")


def test_states_sync_on_an_empty_database_adds_them_all(site):
    answer = site.ok("states", "sync", "--json").json
    assert answer["added"] == STATES and answer["remaining"] == [] and answer["dry_run"] is False


def test_states_sync_is_refused_while_somebody_is_processed(site):
    request(site, "ada")
    site.ok("retirement", "move", "ada", "RETIRING_FORUMS", "--reason", "test")
    site.configure(states=STATES[:1] + STATES[-3:])
    expect(site.lethe("states", "sync"), REFUSED, "")
    assert [s["name"] for s in site.ok("states", "list", "--json").json] == STATES


def test_states_are_listed_and_drawn(site):
    request(site, "ada")
    rows = site.ok("states", "list", "--json").json
    assert [r["name"] for r in rows] == STATES
    assert rows[0] == {"name": "PENDING", "order": 1, "role": "pending", "count": 1}
    assert re.search(r"^1 +PENDING +pending +1$", site.ok("states", "list").out, re.M)
    dot = site.ok("states", "graph").out
    assert "PENDING -> RETIRING_FORUMS -> FORUMS_COMPLETE" in dot
    svg = ET.fromstring(site.ok("states", "graph", "--format", "svg").out)
    texts = {e.text for e in svg.iter("{http://www.w3.org/2000/svg}text")}
    assert set(STATES) <= texts


# ---- people ----

@pytest.mark.parametrize("running", [False, True], ids=["with a server inside", "with a running server"])
def test_a_retirement_by_commands_alone(site, running):
    if running:
        site.serve()
    asked = request(site, "ada")
    assert asked["state"] == "PENDING" and asked["id"] == 1
    assert request(site, "ada")["id"] == 1
    again = site.ok("retirement", "request", "--username", "ada", "--email", "ada@example.com")
    assert "has retirement" in again.out

    one = site.ok("retirement", "show", "ada", "--json").json
    assert list(one)[:2] == ["id", "user"] and one["original_username"] == "ada"
    assert "resume_state" in one and "responses" in one
    for who in [("--id", "1"), ("--uuid", one["uuid"].upper()), ("--username", "ada"), ("--email", "ADA@example.com"),
                ("ADA@example.com",)]:
        assert site.ok("retirement", "show", *who, "--json").json == one
    page = site.ok("retirement", "show", "ada").out
    assert "ada@example.com" in page and "PENDING" in page and "History" in page

    moved = site.ok("retirement", "move", "ada", "ERRORED", "--reason", "for a test", "--json").json
    assert moved["state"] == "ERRORED" and moved["resume_state"] == "PENDING"
    assert "for a test" in site.ok("retirement", "show", "ada").out
    assert [r["id"] for r in site.ok("retirement", "list", "--state", "ERRORED", "--json").json] == [1]
    assert site.ok("retirement", "list", "--state", "PENDING", "--json").json == []
    assert site.ok("retirement", "list", "--state", "PENDING").out == "No retirements.\n"
    assert [r["id"] for r in site.ok("retirement", "list", "--email", "ADA@example.com", "--json").json] == [1]

    assert site.ok("retirement", "resume", "ada", "--reason", "mended", "--json").json["state"] == "PENDING"
    expect(site.lethe("retirement", "resume", "ada"), REFUSED, "")
    assert site.ok("fsck").out == "The database satisfies every invariant.\n"


def test_somebody_unknown_is_exit_3(site):
    expect(site.lethe("retirement", "show", "nobody"), NOT_FOUND, "no retirement with this user name")
    expect(site.lethe("retirement", "show", "--id", "7"), NOT_FOUND, "")
    expect(site.lethe("retirement", "show", "--uuid", "7"), NOT_FOUND, "UUID")
    expect(site.lethe("retirement", "show", "--email", "a@b", "--id", "7"), USAGE, "give one of")
    expect(site.lethe("retirement", "list", "--email", "nobody@example.com"), NOT_FOUND, "address")
    expect(site.lethe("client", "disable", "nobody"), NOT_FOUND, "")
    request(site, "Ada")
    expect(site.lethe("retirement", "show", "ada"), NOT_FOUND, "case")


def test_an_address_of_several_people_names_nobody(site):
    for name in "ada", "bob":
        site.ok("account", "add", "--username", name, "--email", "both@example.com")
    for name in "ada", "bob":
        site.ok("retirement", "request", "--username", name, "--email", "both@example.com")
    expect(site.lethe("retirement", "show", "both@example.com"), REFUSED, "several people have this address")
    expect(site.lethe("retirement", "move", "--email", "both@example.com", "ABORTED", "--reason", "x"), REFUSED, "several people")
    assert site.ok("retirement", "show", "bob", "--json").json["state"] == "PENDING"


def test_a_user_name_with_another_address_is_refused(site):
    site.ok("account", "add", "--username", "ada", "--email", "ada@example.com", "--name", "Ada L.", "--org", "A", "--org", "B")
    expect(site.lethe("retirement", "request", "--username", "ada", "--email", "eve@example.com"), REFUSED, "")
    assert site.ok("retirement", "list", "--json").json == []


def test_unknown_states_are_named(site):
    request(site, "ada")
    known = "there are PENDING, RETIRING_FORUMS, FORUMS_COMPLETE, RETIRING_LMS, LMS_COMPLETE, ERRORED, ABORTED, COMPLETE"
    expect(site.lethe("retirement", "move", "ada", "PENDIG", "--reason", "x"), USAGE, "did you mean PENDING?")
    expect(site.lethe("retirement", "move", "ada", "NOPE", "--reason", "x"), USAGE, known)
    expect(site.lethe("retirement", "list", "--state", "NOPE"), USAGE, known)
    expect(site.lethe("retirement", "list", "--state", "ERORED"), USAGE, "did you mean ERRORED?")
    expect(site.lethe("retirement", "rerun", "--from", "NOPE", "--reason", "x"), USAGE, known)


def test_answers_cannot_command_the_terminal(site):
    site.serve()
    request(site, "ada")
    answer = site.patch("ada", "ERRORED", response="red \x1b[31m alert\nsecond line")
    assert answer.status == 204, answer
    page = site.ok("retirement", "show", "ada").out
    assert "      red \\x1b[31m alert\n      second line\n" in page and "\x1b" not in page


# ---- files ----

@pytest.mark.parametrize("text", [
    "ada,ada@example.com\nbob,bob@example.com\n",
    "\ufeffusername,email\r\nada,ada@example.com\r\n\"bob\",\"bob@example.com\"\r\n",
    "email,username,why\nada@example.com,ada,left\nbob@example.com,bob,\n",
], ids=["plain", "spreadsheet", "other columns"])
def test_import_takes_files_as_people_write_them(site, text):
    add_people(site, ["ada", "bob"])
    (site.folder / "leavers.csv").write_text(text, newline="")
    assert site.ok("retirement", "import", "leavers.csv").out == "2 retirements of 2 requested.\n"
    assert site.ok("retirement", "import", "leavers.csv", "--json").json == {"requested": 2, "ids": [1, 2], "refused": []}


def test_one_unknown_pair_stops_an_import(site):
    add_people(site, ["ada", "bob", "cyd"])
    (site.folder / "leavers.csv").write_text("ada,ada@example.com\nbob,bo@example.com\neve,eve@example.com\ncyd,cyd@example.com\n")
    refused = site.lethe("retirement", "import", "leavers.csv")
    assert refused.code == REFUSED
    assert re.findall(r"^leavers.csv:(\d+): .+$", refused.err, re.M) == ["2", "3"]
    assert "no one was; --partial retires the others" in refused.err
    assert site.ok("retirement", "list", "--json").json == []

    partial = site.lethe("retirement", "import", "leavers.csv", "--partial", "--json")
    assert partial.code == 0 and [r["line"] for r in partial.json["refused"]] == [2, 3]
    assert {r["original_username"] for r in site.ok("retirement", "list", "--json").json} == {"ada", "cyd"}


def test_an_import_goes_in_several_requests(site):
    names = [f"user{n}" for n in range(2500)]
    assert add_people(site, names).out == "2500 accounts imported.\n"
    file = site.folder / "leavers.csv"
    file.write_text("".join(f"{n},{n}@example.com\n" for n in names) + "eve,eve@example.com\n")
    refused = site.lethe("retirement", "import", str(file))
    assert refused.code == REFUSED and f"{file}:2501: " in refused.err
    assert site.ok("retirement", "list", "--json").json == []

    assert len(site.ok("retirement", "import", str(file), "--partial", "--json").json["ids"]) == 2500
    assert len(site.ok("retirement", "list", "--json").json) == 2500
    table = site.ok("retirement", "list").out.splitlines()
    assert len(table) == 2501 and table[0].startswith("ID") and len({len(line) for line in table[1:]}) == 1


def test_account_import_names_the_line_that_is_refused(site):
    site.ok("account", "add", "--username", "bob", "--email", "bob@example.com")
    (site.folder / "people.csv").write_text("username,email,name,orgs\nada,ada@example.com,Ada,A;B\nbob,bob@example.com,Bob,\n")
    expect(site.lethe("account", "import", "people.csv"), REFUSED, "people.csv:3: ")
    site.ok("account", "add", "--username", "ada", "--email", "ada@example.com")  # nothing of the file was done


def test_account_import_takes_the_number_that_services_know(site):
    (site.folder / "people.csv").write_text("account_id,username,email\n4711,ada,ada@example.com\n,bob,bob@example.com\n")
    site.ok("account", "import", "people.csv")
    assert site.ok("account", "show", "ada", "--json").json["account_id"] == 4711


def test_a_bad_row_far_down_leaves_no_account_behind(site):
    """Also after the first thousand rows, which are a request of their own."""
    site.ok("account", "add", "--username", "bob", "--email", "bob@example.com")
    rows = [f"user{n},user{n}@example.com\n" for n in range(2500)]
    file = site.folder / "people.csv"
    for last, words in (("bob,bob@example.com\n", f"{file}:2501: "), ("new,no address\n", f"{file}:2501: "),
                        ("user3,other@example.com\n", f"{file}:2501: the same user name as in line 4")):
        file.write_text("".join(rows) + last)
        refused = site.lethe("account", "import", str(file))
        assert refused.code in (USAGE, REFUSED) and words in refused.err and "is imported" not in refused.err, refused
    file.write_text("username,email,account_id\n" + "".join(f"user{n},user{n}@example.com,{n % 2000 + 1}\n" for n in range(2500)))
    expect(site.lethe("account", "import", str(file)), REFUSED, "the same account_id as in line ")
    file.write_text("".join(rows))
    assert site.ok("account", "import", str(file), "--json").json == {"imported": 2500}


# ---- clients, servers elsewhere ----

def test_clients_are_added_listed_and_disabled(site):
    made = site.client("worker", "retirement:read retirement:drive")
    assert made["client_id"] and made["client_secret"]
    expect(site.lethe("client", "add", "worker", "--scope", "retirement:read"), REFUSED, "")
    expect(site.lethe("client", "add", "other", "--scope", "retirement:everything"), USAGE, "")
    listed = site.ok("client", "list", "--json").json
    assert [(c["name"], c["disabled"]) for c in listed] == [("worker", False)]
    assert made["client_secret"] not in site.ok("client", "list").out
    site.ok("client", "disable", "worker")
    assert site.ok("client", "list", "--json").json[0]["disabled"] is True


@pytest.mark.parametrize("words, said", [(("retirement", "import"), "requests none twice"),
                                         (("account", "import"), "with --update, which adds none twice")])
def test_an_import_whose_answer_is_lost_does_not_say_what_it_does_not_know(site, make_service, words, said):
    def script(call):
        if call.path == "/oauth2/access_token":
            return 200, {"access_token": "x"}
        if call.json["dry_run"]:
            return 200, {"results": [{"ok": True, "id": 1}]}
        return HANG_UP

    server = make_service(script=script)
    people, secret = site.folder / "people.csv", site.folder / "secret"
    people.write_text("ada,ada@example.com\n")
    secret.write_text("secret-of-the-client\n")
    secret.chmod(0o600)
    done = site.lethe(*words, str(people), "--server", server.url, config=False,
                      env={"LETHE_CLIENT_ID": "x", "LETHE_CLIENT_SECRET_FILE": str(secret)})
    assert done.code == FAILED and "from line 1 on it is unknown" in done.err and said in done.err
    assert "the others are not" not in done.err and "look before you repeat" not in done.err


def test_archives_that_are_no_folder_are_a_mistake(site):
    site.data_dir.mkdir(mode=0o700)
    (site.data_dir / "archives").touch()
    expect(site.lethe("config", "check"), USAGE, "archives is not a folder")


def test_what_a_refused_configuration_names_is_looked_at_too(site):
    site.configure(no_such_setting=1)
    site.stage("RUNNING", "RUN", exec={"command": ["./missing"]})
    done = site.lethe("config", "check")
    assert done.code == USAGE and "no_such_setting" in done.err and "there is no program" in done.err, done


def test_a_server_elsewhere(served):
    made = served.client("operator", "retirement:admin")
    secret = served.folder / "secret"
    secret.write_text(made["client_secret"] + "\n")
    secret.chmod(0o600)
    env = {"LETHE_CLIENT_ID": made["client_id"], "LETHE_CLIENT_SECRET_FILE": str(secret)}
    where = ["--server", f"http://127.0.0.1:{served.port}/"]
    asked = served.ok("retirement", "request", "--username", "ada", "--email", "a@example.com", "--json", *where,
                      config=False, env=env).json
    assert served.ok("retirement", "show", "ada", "--json", *where, config=False, env=env).json["id"] == asked["id"]
    expect(served.lethe("fsck", *where, config=False, env={**env, "LETHE_CLIENT_ID": "x"}), FAILED, "refuses")
    served.client("reader", "retirement:read")
    served.ok("client", "disable", "operator")
    expect(served.lethe("fsck", *where, config=False, env=env), FAILED, "refuses")


def test_nobody_at_the_server(site):
    secret = site.folder / "secret"
    secret.write_text("x" * 43)
    secret.chmod(0o600)
    env = {"LETHE_CLIENT_ID": "x", "LETHE_CLIENT_SECRET_FILE": str(secret)}
    with keep_port() as kept:
        where = f"http://127.0.0.1:{kept.getsockname()[1]}"
        expect(site.lethe("fsck", "--server", where, config=False, env=env), FAILED, "cannot reach")


def test_a_server_that_gives_no_token_is_heard(site, make_service):
    """In its own words, on one line and without our secret, whoever answers in its place."""
    secret = site.folder / "secret"
    secret.write_text("secret-of-the-client\n")
    secret.chmod(0o600)
    env = {"LETHE_CLIENT_ID": "x", "LETHE_CLIENT_SECRET_FILE": str(secret)}
    for status, body, said in (
            (401, {"error": "invalid_client", "error_description": "the client\nis disabled"}, "LETHE_CLIENT_SECRET_FILE: invalid_client: the client is d"),
            (503, {"error": "temporarily_unavailable", "error_description": "new keys"}, "no token (status 503): temporarily_unavailable: new keys\n"),
            (503, {"error": "secret-of-the-client"}, "status 503): is it a Lethe server?"), (404, "<html>", "status 404): is it a Lethe server?")):
        server = make_service(script=lambda call: (status, body))
        done = site.lethe("fsck", "--server", server.url, config=False, env=env)
        expect(done, FAILED, said)
        assert "secret-of-the-client" not in done.err


# ---- the driver ----

def test_drive_once_says_what_was_done(erasing):
    assert erasing.drive().out == "No one is due.\n"
    for name in ("ada", "bob"):
        request(erasing, name)
    done = erasing.drive()
    assert done.code == 0 and re.match(r"2 people in .+: 2 completed, 0 ERRORED\.\n2 stages, 2 calls", done.out), done
    assert {c.username for c in erasing.erase.calls} == {"ada", "bob"}
    assert erasing.drive("--json").json["people"] == 0


def test_somebody_who_fails_is_shown_and_resumed(erasing):
    erasing.erase.script = lambda call: (400, "the store's \x1b[31mown words") if call.username == "bob" else 204
    for name in ("ada", "bob"):
        request(erasing, name)
    done = erasing.drive()
    assert done.code == 0 and "1 completed, 1 ERRORED" in done.out and "--state ERRORED" in done.out
    page = erasing.ok("retirement", "show", "bob").out
    assert "own words" in page and "\x1b" not in page
    assert "lethe retirement resume --id 2 (goes to PENDING)" in page

    erasing.erase.script = lambda call: 204
    assert erasing.ok("retirement", "resume", "--all").out == "2: ERRORED -> PENDING\n1 person resumed.\n"
    assert erasing.ok("retirement", "resume", "--all", "--json").json == []
    assert erasing.drive("--json").json["completed"] == 1
    assert erasing.ok("retirement", "show", "bob", "--json").json["state"] == "COMPLETE"


def test_rerun_sends_them_through_once_more(erasing):
    request(erasing, "ada")
    erasing.drive()
    dry = erasing.ok("retirement", "rerun", "--reason", "new stage", "--dry-run")
    assert dry.out == "1: COMPLETE -> PENDING\nDry run, nothing has changed: 1 person would be sent back to PENDING.\n"
    assert erasing.ok("retirement", "rerun", "--reason", "new stage").out.endswith("1 person sent back to PENDING.\n")
    assert erasing.drive("--json").json["completed"] == 1
    assert len(erasing.erase.calls) == 2
    assert erasing.ok("retirement", "show", "ada", "--json").json["run"] == 1


def test_drive_takes_one_alone(erasing):
    for name in ("ada", "bob"):
        request(erasing, name)
    assert erasing.lethe("drive", "--username", "bob", "--json").json["completed"] == 1
    assert [c.username for c in erasing.erase.calls] == ["bob"]
    expect(erasing.lethe("drive", "--username", "eve"), NOT_FOUND, "no retirement with this user name")


def test_a_longer_cool_off_waits(erasing):
    request(erasing, "ada")
    assert erasing.drive("--cool-off", "1d").out == "No one is due.\n"
    assert erasing.drive("--cool-off", "0d", "--json").json["completed"] == 1


def test_without_stages_there_is_nothing_to_drive(site):
    expect(site.lethe("drive", "--once"), USAGE, "no stages")
    expect(site.lethe("run"), USAGE, "no stages")


def test_a_signal_ends_drive_once_with_a_failure(erasing):
    called, go_on = threading.Event(), threading.Event()
    erasing.erase.script = lambda call: (called.set(), go_on.wait(TIMEOUT), 204)[2]
    request(erasing, "ada")
    erasing.serve()
    process = erasing.start("drive", "--once")
    assert called.wait(TIMEOUT)
    process.send_signal(signal.SIGTERM)
    wait_for(lambda: "stopping" in erasing.log(process), "the driver hears the signal")
    go_on.set()
    assert process.wait(TIMEOUT) == FAILED
    assert "stopped by a signal" in erasing.log(process)
    assert erasing.drive("--json").code == 0


def test_a_second_signal_does_not_wait_for_the_service(erasing):
    called, go_on = threading.Event(), threading.Event()
    erasing.erase.script = lambda call: (called.set(), go_on.wait(TIMEOUT), 204)[2]
    process = erasing.run_all()
    request(erasing, "ada")
    assert called.wait(TIMEOUT)
    process.send_signal(signal.SIGINT)
    wait_for(lambda: "waited for" in erasing.log(process), "the driver hears the first signal")
    assert erasing.kill(process, signal.SIGINT) == 0
    go_on.set()
    erasing.erase.script = lambda call: 204
    assert erasing.drive("--json").json["completed"] == 1


# ---- commands that stay ----

def test_run_retires_and_stops_in_order(erasing):
    process = erasing.run_all()
    request(erasing, "lovelace")
    wait_for(lambda: erasing.ok("retirement", "show", "lovelace", "--json").json["state"] == "COMPLETE")
    assert erasing.kill(process, signal.SIGTERM) == 0
    assert "lovelace" not in erasing.logs()


def test_serve_stops_at_a_signal(site):
    assert site.kill(site.serve(), signal.SIGINT) == 0
    assert site.kill(site.serve(), signal.SIGTERM) == 0


def test_drive_waits_for_its_server(erasing):
    driver = erasing.start("drive")
    wait_for(lambda: erasing.log(driver), "the driver says that it waits")
    erasing.serve()
    request(erasing, "ada")
    wait_for(lambda: erasing.ok("retirement", "show", "ada", "--json").json["state"] == "COMPLETE")
    assert erasing.kill(driver, signal.SIGTERM) == 0


def test_a_second_server_is_told_in_one_line(served):
    second = served.lethe("serve")
    expect(second, REFUSED, "in use by process")


def test_the_service_manager_is_told(site):
    path = str(site.folder / "notify")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(path)
        manager.settimeout(TIMEOUT)
        os.environ["NOTIFY_SOCKET"] = path
        try:
            process = site.serve()
        finally:
            del os.environ["NOTIFY_SOCKET"]
        assert manager.recv(100) == b"READY=1"
        assert site.kill(process, signal.SIGTERM) == 0
        assert manager.recv(100) == b"STOPPING=1"


@pytest.mark.skipif(os.geteuid() != 0, reason="is about root")
def test_root_must_be_meant(erasing):
    for words in (["run"], ["serve"], ["drive", "--once"]):
        expect(erasing.lethe(*words, env={"LETHE_ALLOW_ROOT": ""}), FAILED, "--allow-root")
    erasing.ok("drive", "--once", "--allow-root", env={"LETHE_ALLOW_ROOT": ""})


@pytest.mark.skipif(os.geteuid() != 0, reason="is about root")
def test_a_command_does_not_make_a_data_directory_for_root(erasing):
    """Otherwise root would own the database and the key, and the service's user could not read them."""
    unsaid = {"env": {"LETHE_ALLOW_ROOT": ""}}
    for words in (["states", "list"], ["client", "add", "worker", "--scope", "retirement:read"], ["fsck"],
                  ["retirement", "request", "--username", "ada", "--email", "ada@example.com"]):
        expect(erasing.lethe(*words, **unsaid), FAILED, "LETHE_ALLOW_ROOT=1")
        assert not erasing.data_dir.exists()
    erasing.ok("drive", "--once", "--allow-root", **unsaid)
    assert erasing.data_dir.exists()
    erasing.ok("states", "list", **unsaid)  # it is root's now, so root is meant


@pytest.mark.skipif(os.geteuid() != 0, reason="needs to give a folder away")
def test_a_data_directory_of_somebody_else_is_left_alone(site):
    site.data_dir.mkdir(mode=0o700)
    os.chown(site.data_dir, 12345, 12345)
    expect(site.lethe("fsck"), FAILED, "belongs to another user")
    assert list(site.data_dir.iterdir()) == []


# ---- many at once ----

def test_commands_at_the_same_time_do_not_disturb_each_other(site):
    """Without a server, each starts one inside itself, and uses that of another while it is there."""
    site.write_config()
    site.ok("states", "list")
    started = [subprocess.Popen([LETHE, "retirement", "request", "--username", f"user{n}", "--email", f"user{n}@example.com",
                                 "--json", "--config", str(site.file)], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
               for n in range(16)]
    answers = [p.communicate(timeout=TIMEOUT) + (p.returncode,) for p in started]
    assert all(code == 0 for _, _, code in answers), answers
    assert sorted(json.loads(out)["id"] for out, _, _ in answers) == list(range(1, 17))


def test_a_command_and_a_server_that_start_together_both_succeed(site):
    process = site.start("serve")
    assert site.ok("states", "list", "--json", "--config", str(site.file), config=False).json
    site.wait_ready(process)
