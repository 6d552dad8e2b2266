# SPDX-License-Identifier: Apache-2.0
"""What breaks around a server: it is killed, the disk is full, files are damaged. Acknowledged writes stay, and one
line says what is wrong."""
import concurrent.futures
import contextlib
import http.client
import json
import os
import pathlib
import re
import resource
import shutil
import signal
import socket
import sqlite3
import subprocess
import threading

import pytest

from services import keep_port
from site_under_test import ALL_SCOPES, LETHE, TIMEOUT, wait_for

FAILED, USAGE, NOT_FOUND, REFUSED = 1, 2, 3, 4
STEPS = ["RETIRING_FORUMS", "FORUMS_COMPLETE", "RETIRING_LMS", "LMS_COMPLETE", "COMPLETE"]
AS_ROOT = os.geteuid() == 0


@pytest.fixture(autouse=True)
def private(site):
    """The configuration contains salts, so only its owner may read it."""
    site.file.touch(mode=0o600)


def expect_line(result, code, *words):
    """The exit code, and one line that says why."""
    assert result.code == code and result.out == "", result
    lines = [line for line in result.err.splitlines() if line.startswith("lethe: ")]
    assert len(lines) == 1 and "Assertion" not in result.err, result
    for word in words:
        assert word in lines[0], result


# ---- killed ----

class Stream(threading.Thread):
    """A client that leads people through their states, one update after the other, until the server is gone. `moved` has
    what was acknowledged: (user name, state)."""

    def __init__(self, site, names):
        super().__init__(daemon=True)
        self.site, self.names, self.moved, self.token = site, names, [], site.token(ALL_SCOPES)
        self.under_way = None
        self.wrong = []

    def run(self):
        connection = http.client.HTTPConnection("127.0.0.1", self.site.port, timeout=TIMEOUT)
        try:
            for to in STEPS:
                for name in self.names:
                    self.under_way = (name, to)
                    connection.request("PATCH", "/api/user/v1/accounts/update_retirement_status/",
                                       json.dumps({"username": name, "new_state": to, "response": "x"}), {"Authorization": "JWT " + self.token})
                    answer = connection.getresponse()
                    body = answer.read()
                    if answer.status != 204:
                        self.wrong.append((name, to, answer.status, body))
                        return
                    self.moved.append((name, to))
        except (OSError, http.client.HTTPException):
            pass
        finally:
            connection.close()


@pytest.mark.parametrize("after", [1, 50, 400])
def test_what_was_acknowledged_survives_a_kill(site, after):
    process = site.serve()
    names = [f"user{n}" for n in range(320)]
    site.request_all(names)
    streams = [Stream(site, names[n::8]) for n in range(8)]
    for stream in streams:
        stream.start()
    wait_for(lambda: sum(len(s.moved) for s in streams) >= after, "enough was moved")
    site.kill(process)
    for stream in streams:
        stream.join(TIMEOUT)
        assert not stream.wrong, stream.wrong

    site.serve()
    now = site.states()
    for stream in streams:
        last = dict(stream.moved)
        for name in stream.names:
            acknowledged = last.get(name, "PENDING")
            both = {acknowledged} | ({stream.under_way[1]} if stream.under_way[0] == name else set())
            assert now[name] in both, f"{name} is in {now[name]}, not in {both}"
        # A client without an answer repeats the update, and then it is done.
        if stream.under_way not in stream.moved:
            assert site.patch(*stream.under_way, "x").status == 204
            assert site.state_of(stream.under_way[0]) == stream.under_way[1]
    assert site.violations() == []
    moved = sum(len(s.moved) for s in streams)
    assert after <= moved < len(names) * len(STEPS), "the kill came too late to show anything"


@pytest.mark.parametrize("sign", ["", "secret.key", "lethe.db", "lethe.db-wal", "lethe.sock"])
def test_killed_at_its_start(site, sign):
    """As soon as it has made the directory, or this file in it. The next start goes on from there, or is killed, too."""
    for n in range(6):
        process = site.start("serve")
        while not (site.data_dir / sign).exists():
            assert process.poll() is None, site.log(process)
        site.kill(process)
        if n in (0, 2, 5):
            site.serve()
            assert site.request("ada")["state"] == "PENDING" and site.violations() == []
            site.stop()
            shutil.rmtree(site.data_dir)
            site.tokens.clear()


@pytest.mark.skipif(not shutil.which("strace"), reason="needs strace")
def test_a_signal_lets_what_was_begun_be_answered(site, monkeypatch):
    """The signal comes while the commit of a write is being synced, which takes a second."""
    monkeypatch.setenv("ASAN_OPTIONS", "detect_leaks=0")  # that does not work under strace
    process = site.serve()
    site.somebody(name="ada")
    log = site.data_dir / "lethe.db-wal"
    before = log.stat().st_mtime_ns
    tracer = site.start_tracer(process, "--inject=fdatasync:delay_enter=1000000")
    with concurrent.futures.ThreadPoolExecutor() as pool:
        answer = pool.submit(site.patch, "ada", "RETIRING_FORUMS")
        wait_for(lambda: log.stat().st_mtime_ns != before, "the commit to begin")
        assert site.kill(process, signal.SIGTERM) == 0
        assert answer.result().status == 204
    tracer.wait(TIMEOUT)
    site.serve()
    assert site.state_of("ada") == "RETIRING_FORUMS"


# ---- the disk is full ----

def expect_cautious(site, answer):
    """The answer names no files and tables; the log has the reason, with the request's id."""
    text = answer.raw.decode()
    assert str(site.data_dir) not in text and "lethe.db" not in text and "disk is full" in text, answer
    [line] = [line for line in site.logs().splitlines() if f"request={answer.headers['X-Request-Id']}" in line and " error " in line]
    assert "lethe.db: the disk is full" in line


def fill(site, limit):
    """Adds people until the server answers 507; returns the names that were accepted."""
    taken = []
    for n in range(limit):
        answer = site.post("/v1/retirements", {"username": f"filler{n}", "email": f"filler{n}@example.com", "name": "x" * 255})
        if answer.status == 507:
            assert answer.json["code"] == "no_space" and int(answer.headers["Retry-After"]) > 0
            expect_cautious(site, answer)
            return taken
        assert answer.status == 201, answer
        taken.append(f"filler{n}")
    raise AssertionError("the disk did not fill up")


def expect_full_and_readable(site, taken):
    """Nothing can be written, everything can be read."""
    before = site.counts()
    assert before["PENDING"] == len(taken)
    answer = site.patch(taken[0], "RETIRING_FORUMS", "y" * 60000)
    assert answer.status == 507
    expect_cautious(site, answer)
    assert site.patch(taken[0], "RETIRING_FORUMS", "y" * 60000).json == site.patch(taken[0], "RETIRING_FORUMS", "y" * 60000).json
    for name in (taken[0], taken[-1]):
        assert site.status(name).json["original_username"] == name
    assert site.get("/healthz").status == 200 and site.counts() == before
    assert len(site.queue(["PENDING"]).json) == len(taken)


@pytest.fixture
def small_disk(site):
    """The data directory on a file system of its own of 2 MiB."""
    site.data_dir.mkdir(mode=0o700)
    mounted = AS_ROOT and subprocess.run(["mount", "-t", "tmpfs", "-o", "size=2m,mode=0700", "none", str(site.data_dir)],
                                         capture_output=True).returncode == 0
    if not mounted:
        pytest.skip("needs to mount a small file system")
    yield site
    site.stop()
    (site.data_dir / "ballast").unlink(missing_ok=True)
    site.check()
    subprocess.run(["umount", str(site.data_dir)], check=True)


def test_a_full_disk_is_507_and_it_recovers_by_itself(small_disk):
    site = small_disk
    process = site.serve()
    site.token(ALL_SCOPES)
    ballast = site.data_dir / "ballast"
    ballast.write_bytes(b"\0" * (900 << 10))
    taken = fill(site, 20000)
    assert len(taken) > 5
    expect_full_and_readable(site, taken)
    assert "the disk is full" in site.log(process)
    ready = site.get("/readyz", token="")
    assert ready.status == 503 and ready.json["ready"] is False and "the disk is full" in ready.json["trouble"], ready
    ballast.unlink()
    ready = site.get("/readyz", token="")
    assert ready.status == 200 and ready.json == {"ready": True, "trouble": None, "warning": None}
    wait_for(lambda: site.patch(taken[0], "RETIRING_FORUMS", "again").status == 204, "it writes again")
    assert site.state_of(taken[0]) == "RETIRING_FORUMS" and site.counts()["PENDING"] == len(taken) - 1
    assert site.violations() == []
    site.kill(process)
    site.serve()
    assert set(site.states()) == set(taken) and site.violations() == []


def test_killed_while_the_disk_is_full(small_disk):
    site = small_disk
    process = site.serve()
    site.token(ALL_SCOPES)
    ballast = site.data_dir / "ballast"
    ballast.write_bytes(b"\0" * (900 << 10))
    taken = fill(site, 20000)
    site.kill(process)
    ballast.unlink()
    site.serve()
    assert site.counts()["PENDING"] == len(taken) and site.violations() == []


def test_files_that_must_not_grow_are_a_full_disk(site):
    """A quota, in other words: each file of the server has a limit."""
    process = site.serve()
    site.token(ALL_SCOPES)
    size = max(os.path.getsize(site.data_dir / name) for name in os.listdir(site.data_dir))
    _, hard = resource.prlimit(process.pid, resource.RLIMIT_FSIZE)
    resource.prlimit(process.pid, resource.RLIMIT_FSIZE, (size + (512 << 10), hard))
    taken = fill(site, 20000)
    expect_full_and_readable(site, taken)
    assert process.poll() is None
    resource.prlimit(process.pid, resource.RLIMIT_FSIZE, (hard, hard))
    wait_for(lambda: site.patch(taken[0], "RETIRING_FORUMS").status == 204, "it writes again")
    assert site.violations() == []


# ---- what cannot be started ----

def test_a_port_that_is_taken(site):
    with keep_port() as kept:
        port = kept.getsockname()[1]
        site.configure(listen=f"127.0.0.1:{port}")
        with socket.create_server(("127.0.0.1", port)):
            expect_line(site.lethe("serve"), REFUSED, str(port), "taken by another program")
        site.serve()
    assert site.port == port


def test_standard_descriptors_that_are_closed(site):
    """No file or socket takes their place: the log would be written into it."""
    site.write_config()
    process = subprocess.Popen(["sh", "-c", 'exec "$@" <&- >&- 2>&-', "sh", LETHE, "serve", "--config", str(site.file)],
                               cwd=site.folder, env=site.environment())
    try:
        wait_for(lambda: site.rows_of_server() is not None, "a server at the socket")
        assert {os.readlink(f"/proc/{process.pid}/fd/{fd}") for fd in (0, 1, 2)} == {"/dev/null"}
        process.terminate()
        assert process.wait(TIMEOUT) == 0
    finally:
        process.kill()
        process.wait()


def test_fewer_files_than_connections_need(site):
    site.write_config()
    command = [LETHE, "serve", "--config", str(site.file)]

    def serve(files):
        return subprocess.run(["sh", "-c", f'ulimit -n {files}; exec "$@"', "sh", *command], env=site.environment(), cwd=site.folder,
                              capture_output=True, text=True, timeout=TIMEOUT, check=False)

    for files in (40, 900):
        refused = serve(files)
        assert refused.returncode == 2 and refused.stdout == "", refused
        assert f"may open {files} files" in refused.stderr and "max_connections: 960 needs" in refused.stderr
    site.configure(max_connections=10)
    site.write_config()
    needed = int(serve(40).stderr.partition("needs ")[2].partition(":")[0])
    enough = subprocess.Popen(["sh", "-c", f'ulimit -n {needed}; exec "$@"', "sh", *command], stdout=subprocess.PIPE,
                              stderr=open(site.folder / "log.txt", "wb"), cwd=site.folder, env=site.environment())
    enough.log_path = str(site.folder / "log.txt")
    site.processes.append(enough)
    site.wait_ready(enough)
    with contextlib.ExitStack() as open_ones:
        for _ in range(9):
            s = open_ones.enter_context(socket.create_connection(("127.0.0.1", site.port), TIMEOUT))
            s.sendall(b"GET /readyz HTTP/1.1\r\nHost: x\r\n\r\n")
            assert s.recv(100).startswith(b"HTTP/1.1 200 ")
    assert "Too many open files" not in site.log(enough)


def test_a_second_server_leaves_the_first_alone(served):
    who = served.somebody()
    expect_line(served.lethe("serve"), REFUSED, "in use by process", str(served.processes[0].pid))
    assert served.one(who["id"]) == who and served.somebody()["state"] == "PENDING"
    assert served.ok("states", "list").code == 0  # the socket is still the first one's


def test_too_few_addresses_for_threads(site):
    """It does not say that it is ready, and then fail by chance."""
    if b"__asan_init" in pathlib.Path(LETHE).read_bytes():
        pytest.skip("AddressSanitizer needs more addresses than the limit")
    site.write_config()
    done = subprocess.run([LETHE, "serve", "--config", str(site.file)], capture_output=True, text=True, timeout=TIMEOUT,
                          cwd=site.folder, env=site.environment(), check=False,
                          preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_AS, (400 << 20, 400 << 20)))
    assert done.returncode == USAGE and done.stdout == "" and "400 MiB of memory addresses" in done.stderr, done


# ---- a disk that is slow ----

@pytest.mark.skipif(not shutil.which("strace"), reason="needs strace")
def test_a_read_of_the_whole_database_holds_up_nobody(site, monkeypatch):
    """Each page takes a while, so the check lasts. Commands by the same socket are answered meanwhile, and it is broken off, which
    is no error, when its own command is gone."""
    monkeypatch.setenv("ASAN_OPTIONS", "detect_leaks=0")  # that does not work under strace
    names = [f"user{n}" for n in range(1000)]
    server = site.serve()
    site.request_all(names)
    site.kill(server, signal.SIGTERM)
    server = site.serve()  # with nothing in its memory
    tracer = site.start_tracer(server, "--trace=pread64", "--inject=pread64:delay_enter=20000")
    check = site.start("fsck")
    for name in names[:5]:
        assert site.show(name)["original_username"] == name
        assert check.poll() is None, site.log(check)
    site.kill(check)
    site.wait_said(server, "/v1/fsck 503")
    assert " error " not in site.log(server)
    assert site.kill(server, signal.SIGTERM) == 0
    tracer.wait(TIMEOUT)


# ---- the log ----

@pytest.mark.parametrize("make", [lambda: os.pipe(), lambda: [s.detach() for s in socket.socketpair()], os.openpty])
def test_a_log_that_is_not_read_stops_nothing(site, make):
    """Lines are lost and counted; requests, health and SIGTERM go on."""
    reader, writer = make()
    site.write_config()
    process = subprocess.Popen([LETHE, "serve", "--config", str(site.file)], stdout=subprocess.PIPE, stderr=writer,
                               cwd=site.folder, env=site.environment())
    os.close(writer)
    process.log_path = os.devnull
    site.processes.append(process)
    site.wait_ready(process)

    def lost():
        page = site.get("/metrics").raw.decode()
        return int(re.search(r"^lethe_log_lost_total (\d+)$", page, re.M)[1])

    wait_for(lambda: [site.somebody() for _ in range(50)] and lost() > 10, "lines to be lost")
    assert site.get("/healthz").status == 200 and site.get("/readyz").status == 200
    os.set_blocking(reader, False)
    with open(reader, "rb", closefd=False) as out:
        said = out.read()
        site.somebody()
        wait_for(lambda: b"lines of the log were lost" in (out.read() or b""), "the log to flow again")
    assert b"lines of the log were lost" not in said
    wait_for(lambda: [site.somebody() for _ in range(50)] and lost() > 100, "lines to be lost again")
    assert site.kill(process, signal.SIGTERM) == 0
    os.close(reader)


@pytest.mark.skipif(not AS_ROOT, reason="needs to mount a file system")
def test_a_data_directory_that_is_read_only(site):
    process = site.serve()
    who = site.somebody()
    site.kill(process)
    subprocess.run(["mount", "--bind", str(site.data_dir), str(site.data_dir)], check=True)
    try:
        subprocess.run(["mount", "-o", "remount,bind,ro", str(site.data_dir)], check=True)
        expect_line(site.lethe("serve"), FAILED, str(site.data_dir), "Read-only file system")
    finally:
        subprocess.run(["umount", str(site.data_dir)], check=True)
    site.serve()
    assert site.one(who["id"]) == who


@pytest.mark.parametrize("make, code, words", [
    (lambda d: d.write_text("a file"), USAGE, "not a directory"),
    (lambda d: d.mkdir(mode=0o755), USAGE, "chmod 700"),
    (lambda d: d.symlink_to("/nowhere/at/all"), NOT_FOUND, "No such file"),
])
def test_a_data_directory_that_is_none(site, make, code, words):
    make(site.data_dir)
    expect_line(site.lethe("serve"), code, words)


def test_a_data_directory_in_a_folder_that_is_not_there(site):
    site.configure(data_dir="nowhere/data")
    expect_line(site.lethe("serve"), NOT_FOUND, "nowhere/data", "No such file")


@pytest.mark.parametrize("make, words", [
    (lambda f: None, "there is no file"),
    (lambda f: f.mkdir(), "salts"),
    (lambda f: f.write_text(""), "salts"),
    (lambda f: (f.write_text("salt-2018-old\n"), f.chmod(0o644)), "chmod 600"),
    (lambda f: (f.write_text("short\n"), f.chmod(0o600)), "salt"),
    (lambda f: (f.write_bytes(b"\xff\xfe\x00salt\n"), f.chmod(0o600)), "salts"),
])
def test_salts_that_cannot_be_read(site, make, words):
    make(site.folder / "salts")
    site.configure(identity={"salts_file": "salts"})
    expect_line(site.lethe("serve"), USAGE, words)
    assert not site.data_dir.exists()


def test_a_database_newer_than_the_program(site):
    site.kill(site.serve())
    with sqlite3.connect(site.data_dir / "lethe.db") as db:
        version = int(db.execute("SELECT value FROM setting WHERE name = 'schema'").fetchone()[0])
        db.execute("UPDATE setting SET value = ? WHERE name = 'schema'", (str(version + 1),))
    db.close()
    before = (site.data_dir / "lethe.db").read_bytes()
    expect_line(site.lethe("serve"), REFUSED, f"schema {version + 1}", "too old")
    assert (site.data_dir / "lethe.db").read_bytes() == before
    with sqlite3.connect(site.data_dir / "lethe.db") as db:
        db.execute("UPDATE setting SET value = ? WHERE name = 'schema'", (str(version),))
    db.close()


@pytest.mark.parametrize("before", ["DELETE FROM setting WHERE name = 'schema_fingerprint'",
                                    "UPDATE setting SET value = 'of another script' WHERE name = 'schema_fingerprint'"])
def test_a_database_of_an_earlier_unreleased_version(site, before):
    site.kill(site.serve())
    with sqlite3.connect(site.data_dir / "lethe.db") as db:
        db.execute(before)
    db.close()
    kept = (site.data_dir / "lethe.db").read_bytes()
    for command in (["serve"], ["states", "list"], ["fsck"]):
        expect_line(site.lethe(*command), REFUSED, "lethe.db", "unreleased version", "new data directory")
    assert (site.data_dir / "lethe.db").read_bytes() == kept
    shutil.rmtree(site.data_dir)


@pytest.mark.parametrize("garbage", [b"this is no database, " * 500, b"\0" * 8192, b"SQLite format 3\0" + b"\xff" * 8000, os.urandom(5000)],
                         ids=["text", "zeros", "header", "random"])
def test_a_database_file_that_is_garbage(site, garbage):
    site.data_dir.mkdir(mode=0o700)
    file = site.data_dir / "lethe.db"
    file.write_bytes(garbage)
    result = site.lethe("serve")
    expect_line(result, result.code, "lethe.db")
    assert result.code in (FAILED, USAGE)
    assert file.read_bytes() == garbage, "what cannot be read was written over"
    file.unlink()


def test_a_database_that_lost_its_end(site):
    process = site.serve()
    site.request_all([f"user{n}" for n in range(200)])
    site.kill(process, signal.SIGTERM)
    file = site.data_dir / "lethe.db"
    whole = file.read_bytes()
    assert len(whole) > 40000
    file.write_bytes(whole[:len(whole) // 2])
    result = subprocess.run([LETHE, "fsck", "--config", str(site.file)], capture_output=True, text=True, timeout=TIMEOUT, env=site.environment())
    assert result.returncode == FAILED and "Assertion" not in result.stderr and result.stderr.count("\n") <= 3, result
    file.write_bytes(whole)


@pytest.mark.parametrize("spoil, words", [(b"", "secret.key"), (b"short", "secret.key"), (b"x" * 1000, "secret.key")])
def test_a_key_that_was_spoilt(site, spoil, words):
    site.kill(site.serve(), signal.SIGTERM)
    key = site.data_dir / "secret.key"
    good = key.read_bytes()
    key.write_bytes(spoil)
    result = site.lethe("serve")
    expect_line(result, USAGE, words)
    key.write_bytes(good)
    site.serve()


@pytest.mark.skipif(not AS_ROOT, reason="is about another user")
def test_a_key_that_others_can_read(site):
    site.kill(site.serve(), signal.SIGTERM)
    key = site.data_dir / "secret.key"
    key.chmod(0o644)
    expect_line(site.lethe("serve"), USAGE, "secret.key", "chmod 600")
    key.chmod(0o600)


def test_what_it_makes_is_private(served):
    served.somebody()
    assert served.data_dir.stat().st_mode & 0o777 == 0o700
    for file in served.data_dir.iterdir():
        assert file.stat().st_mode & 0o077 == 0, file


def test_no_core_is_written(served):
    limits = open(f"/proc/{served.processes[0].pid}/limits").read()
    assert re.search(r"Max core file size +0 ", limits)


# ---- the files of the database ----

def take_away(data):
    shutil.rmtree(data)


def put_copy(data):
    os.rename(data, data.with_name("before"))
    shutil.copytree(data.with_name("before"), data, ignore=shutil.ignore_patterns("*.sock"))


def put_link(data):
    os.rename(data, data.with_name("before"))
    data.with_name("other").mkdir(mode=0o700)
    data.symlink_to("other")


def take_database(data):
    (data / "lethe.db").unlink()


def replace_database(data):
    shutil.copy(data / "lethe.db", data / "new")
    os.rename(data / "new", data / "lethe.db")


@pytest.mark.parametrize("change", [take_away, put_copy, put_link, take_database, replace_database])
@pytest.mark.parametrize("notices", ["by itself", "at a write"])
def test_a_database_that_is_deleted_or_replaced_under_the_server(site, change, notices):
    """The server answers no write, and ends; meanwhile no command makes a second database beside it."""
    process = site.serve()
    token = site.token(ALL_SCOPES)
    site.somebody()
    os.kill(process.pid, signal.SIGSTOP)
    change(site.data_dir)
    before = sorted(site.data_dir.iterdir()) if site.data_dir.exists() else None
    if change in (take_away, put_copy, put_link) and notices == "by itself":
        command = ["states", "list"] if change == take_away else ["serve"]
        expect_line(site.lethe(*command), REFUSED, "in use by process", str(process.pid), "stop it")
        assert (sorted(site.data_dir.iterdir()) if site.data_dir.exists() else None) == before
    os.kill(process.pid, signal.SIGCONT)
    if notices == "at a write":
        with contextlib.suppress(ConnectionError, http.client.HTTPException):  # it may have ended before
            answer = site.post("/v1/retirements", {"username": "ada", "email": "ada@example.com"}, token=token)
            assert answer.status >= 500, answer
    assert process.wait(TIMEOUT) == 1
    assert "was deleted or replaced" in site.log(process)
    if site.data_dir.is_symlink():
        site.data_dir.unlink()
    elif site.data_dir.exists():
        shutil.rmtree(site.data_dir)


def damage(site, table):
    """Overwrites the page at the root of a table."""
    path = site.data_dir / "lethe.db"
    with sqlite3.connect(path) as db:
        page = db.execute("SELECT rootpage FROM sqlite_schema WHERE name = ?", (table,)).fetchone()[0]
        size = db.execute("PRAGMA page_size").fetchone()[0]
    db.close()
    with open(path, "r+b") as f:
        f.seek((page - 1) * size)
        f.write(b"\xff" * size)


@pytest.mark.parametrize("table", ["retirement", "retirement_person", "retirement_log", "audit", "account"])
def test_a_damaged_page(site, table):
    """One request fails, the others go on; readiness and fsck say it; after a restart, too."""
    process = site.serve()
    site.somebody()
    site.kill(process, signal.SIGTERM)
    damage(site, table)
    for _ in range(2):
        process = site.serve()
        assert site.get("/readyz").status == (503 if table == "audit" else 200)  # the start looks at the newest entry of the trail
        answer = site.post("/v1/retirements", {"username": "ada", "email": "ada@example.com"})
        assert answer.status == 500 and answer.json["code"] == "damaged" and "restore a backup" in answer.json["detail"]
        assert str(site.data_dir) not in answer.raw.decode()
        ready = site.get("/readyz")
        assert ready.status == 503 and ready.json["trouble"].startswith("the database is damaged: restore a backup")
        assert site.get("/healthz").status == 200 and site.get("/v1/states").status == 200
        found = site.lethe("fsck")
        assert found.code == FAILED and "pages: " in found.out, found
        assert site.kill(process, signal.SIGTERM) == 0
        assert "is damaged" in site.log(process) and "commit may be lost" not in site.log(process)
    shutil.rmtree(site.data_dir)


def test_damage_that_no_query_meets_is_found_by_fsck(site):
    """An index that lacks an entry."""
    process = site.serve()
    site.somebody()
    site.kill(process, signal.SIGTERM)
    assert site.lethe("fsck").code == 0
    with sqlite3.connect(site.data_dir / "lethe.db") as db:
        db.execute("PRAGMA writable_schema = ON")
        sql = db.execute("SELECT sql FROM sqlite_schema WHERE name = 'account_email'").fetchone()[0]
        db.execute("UPDATE sqlite_schema SET sql = ? WHERE name = 'account_email'", (sql + " AND 1 = 1",)
                   if " WHERE " in sql else (sql + " WHERE 1 = 0",))
    db.close()
    found = site.lethe("fsck", "--json")
    assert found.code == FAILED and {v["invariant"] for v in found.json} == {"pages"}, found
    shutil.rmtree(site.data_dir)
