# SPDX-License-Identifier: Apache-2.0
"""SIGHUP: another configuration takes effect whole, at the end of a stage; a wrong one not at all."""
import fcntl
import os
import signal
import socket
import subprocess
import termios

import pytest

from services import Gate
from site_under_test import LETHE, TIMEOUT, wait_for


def move_to(site, make_service, *names):
    """Other services in place of these, in the configuration."""
    for name in names:
        service = make_service()
        setattr(site, f"new_{name}", service)
        site.config["services"][name]["url"] = service.url


@pytest.mark.parametrize("how", ["run", "drive"])
def test_a_stage_that_has_begun_ends_as_it_began(pipeline, make_service, how):
    """Ada's call is under way when the file changes, and Bob waits behind her: her call ends at the old service, all later
    calls go to the new ones."""
    gate = pipeline.forum.script = Gate()
    pipeline.config["services"]["forum"]["max_concurrent"] = 1
    process = pipeline.run_all() if how == "run" else (pipeline.serve(), pipeline.start_driver())[1]
    pipeline.request_all(["ada", "bob"])
    gate.wait_reached()
    first = pipeline.forum.calls[0].username
    move_to(pipeline, make_service, "forum", "notes")
    pipeline.reload(process)
    pipeline.wait_said(process, "stopping")
    assert pipeline.new_forum.calls == []  # not beside the one that is under way: there is a limit
    gate.open()
    pipeline.wait_states("COMPLETE")
    other = {"ada": "bob", "bob": "ada"}[first]
    assert pipeline.forum.usernames() == [first] and pipeline.new_forum.usernames() == [other]
    assert pipeline.notes.calls == [] and sorted(pipeline.new_notes.usernames()) == ["ada", "bob"]
    assert sorted(pipeline.store.usernames()) == ["ada", "bob"]
    assert pipeline.kill(process, signal.SIGTERM) == 0


def test_again_and_again_nothing_is_lost_or_done_twice(pipeline):
    process = pipeline.run_all()
    names = [f"user{n:02}" for n in range(60)]
    pipeline.config["services"]["notes"]["rate"] = "40/s"
    pipeline.reload(process)
    pipeline.request_all(names)
    for n in range(8):
        wait_for(lambda: len(pipeline.notes.calls) >= 6 * n, "calls")
        pipeline.reload(process)
    pipeline.wait_states("COMPLETE")
    assert all(sorted(service.usernames()) == names for service in pipeline.everywhere)
    assert pipeline.kill(process, signal.SIGTERM) == 0


@pytest.mark.parametrize("wrong, words", [
    ("cool_of: 1d", "lethe.yml:1:1: unknown key cool_of: did you mean cool_off?"),
    ("data_dir: [", "lethe.yml:"),
    ("data_dir: data\nidentity: {salts: [a-salt-of-a-file]}\n", "no stages, so there is nothing to drive"),
    (None, "there is no configuration"),
])
def test_a_wrong_file_changes_nothing(pipeline, wrong, words):
    process = pipeline.run_all()
    good = pipeline.file.read_text()
    pipeline.file.unlink()
    if wrong:
        pipeline.file.write_text(wrong)
        pipeline.file.chmod(0o600)
    process.send_signal(signal.SIGHUP)
    pipeline.wait_said(process, "the previous configuration stays in force")
    assert words in pipeline.log(process)
    pipeline.file.write_text(good)
    pipeline.file.chmod(0o600)
    pipeline.request("ada")
    pipeline.wait_states("COMPLETE")
    assert "stopping" not in pipeline.log(process)


@pytest.mark.parametrize("how", ["serve", "run"])
def test_what_needs_a_restart_is_said_and_stays(pipeline, how):
    process = pipeline.serve() if how == "serve" else pipeline.run_all()
    port = pipeline.port
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        pipeline.configure(data_dir="elsewhere", listen=f"127.0.0.1:{s.getsockname()[1]}", max_connections=5,
                           identity={"salts": ["a-salt-that-is-new"]}, cool_off="1d")
    pipeline.reload(process)
    assert "these changes need a restart: data_dir, identity, listen, max_connections\n" in pipeline.log(process)
    pipeline.configure(data_dir="data", listen=f"127.0.0.1:{port}")  # for commands, which look for the server there
    kept = {"salts": ["salt-2018-old", "salt-2026-current"]}
    retired = pipeline.request("ada")["retired_username"]
    assert pipeline.ok("hash", "ada").out.split()[-1] != retired  # that is the new salt
    assert not (pipeline.folder / "elsewhere").exists()
    assert pipeline.claim() == []  # and the rest holds: Ada may think again for a day
    pipeline.configure(cool_off="0d", identity=kept)  # Ada was retired under these
    pipeline.reload(process)
    if how == "serve":
        assert pipeline.claim()
    else:
        pipeline.wait_states("COMPLETE")


def test_a_file_without_changes_says_nothing_of_restarts(pipeline):
    process = pipeline.run_all()
    pipeline.reload(process)
    assert "restart" not in pipeline.log(process)


def test_the_log_and_the_lifetime_of_tokens(pipeline):
    process = pipeline.serve()
    made = pipeline.client("somebody", "retirement:read")
    pipeline.configure(token_lifetime="5m", log={"format": "json"})
    pipeline.reload(process)
    answer = pipeline.ask_token(client_id=made["client_id"], client_secret=made["client_secret"])
    assert answer.json["expires_in"] == 300
    assert pipeline.log(process).splitlines()[-1].startswith("{")


def test_archiving_begins_when_it_is_wanted(pipeline):
    process = pipeline.run_all()
    pipeline.request("ada")
    pipeline.wait_states("COMPLETE")
    pipeline.configure(archive={"every": "1d", "older_than": "0"})
    pipeline.reload(process)
    pipeline.wait_said(process, "archived 1 people")


def test_states_that_differ_are_said(pipeline):
    process = pipeline.run_all()
    pipeline.stage("RETIRING_MAIL", "MAIL_COMPLETE", http={"service": "store", "post": "/mail", "json": {"user": "{original_username}"}})
    pipeline.reload(process)
    pipeline.wait_said(process, "the configured states differ from the database's")
    assert "states sync" in pipeline.get("/readyz").json["warning"]
    pipeline.request("ada")
    pipeline.wait_states("COMPLETE")  # by the list of the database


def test_a_stop_while_it_changes(pipeline, make_service):
    """One signal to reload and one to stop: the call still ends, as it would with the second alone."""
    gate = pipeline.forum.script = Gate()
    process = pipeline.run_all()
    pipeline.request("ada")
    gate.wait_reached()
    move_to(pipeline, make_service, "notes")
    pipeline.reload(process)
    pipeline.wait_said(process, "stopping")
    process.send_signal(signal.SIGTERM)
    with pytest.raises(subprocess.TimeoutExpired):
        process.wait(1)
    gate.open()
    assert process.wait(TIMEOUT) == 0
    assert pipeline.states() == {"ada": "FORUM_COMPLETE"} and pipeline.new_notes.calls == []


def test_it_ends_with_drive_once(pipeline):
    """`drive --once` takes SIGHUP for a request to stop: its terminal was closed."""
    gate = pipeline.forum.script = Gate()
    pipeline.configure(log={"level": "debug"})
    pipeline.request("ada")
    before = signal.signal(signal.SIGHUP, signal.SIG_DFL)  # the tests may run under nohup
    try:
        process = pipeline.start("drive", "--once")
    finally:
        signal.signal(signal.SIGHUP, before)
    gate.wait_reached()
    process.send_signal(signal.SIGHUP)
    pipeline.wait_said(process, "stopping")
    gate.open()
    assert process.wait(TIMEOUT) == 1
    assert pipeline.states() == {"ada": "FORUM_COMPLETE"}


@pytest.mark.parametrize("ignored", [signal.SIGHUP, signal.SIGINT])
def test_a_signal_that_was_ignored_at_the_start_stays_so(pipeline, ignored):
    """nohup means drive --once to outlive the terminal, and a shell without job control means Ctrl-C for another program."""
    gate = pipeline.forum.script = Gate()
    pipeline.request("ada")
    before = signal.signal(ignored, signal.SIG_IGN)
    try:
        process = pipeline.start("drive", "--once")
    finally:
        signal.signal(ignored, before)
    gate.wait_reached()
    process.send_signal(ignored)
    gate.open()
    assert process.wait(TIMEOUT) == 0
    assert pipeline.states() == {"ada": "COMPLETE"}


def test_a_closed_terminal_stops_it(site):
    """A closed terminal sends the same signal as a reload."""
    site.write_config()
    ours, theirs = os.openpty()

    def take_terminal():
        os.setsid()
        fcntl.ioctl(theirs, termios.TIOCSCTTY, 0)

    process = subprocess.Popen([LETHE, "serve", "--config", str(site.file)], stdout=subprocess.PIPE, stderr=theirs, cwd=site.folder,
                               env=site.environment(), preexec_fn=take_terminal, pass_fds=[theirs])
    os.close(theirs)
    assert process.stdout.readline().startswith(b"ready")
    os.close(ours)
    assert process.wait(TIMEOUT) == 0
    process.stdout.close()


def test_a_driver_without_its_server_ends_soon(pipeline):
    """No authority answers that could take reports, so waiting half a minute for it would be too long."""
    server = pipeline.serve()
    driver = pipeline.start_driver()
    pipeline.kill(server)
    pipeline.wait_said(driver, "the authority does not answer")
    driver.send_signal(signal.SIGTERM)
    assert driver.wait(TIMEOUT) == 0


def test_a_driver_whose_server_went_away_during_a_call(pipeline):
    gate = pipeline.forum.script = Gate()
    pipeline.configure(driver={"poll": "100ms", "lease": "20s"})
    for stage in pipeline.config["stages"]:
        stage["timeout"] = "1s"
    pipeline.config["stages"][0]["timeout"] = "4s"
    server = pipeline.serve()
    driver = pipeline.start_driver()
    pipeline.request("ada")
    gate.wait_reached()
    pipeline.kill(server)
    driver.send_signal(signal.SIGTERM)
    pipeline.wait_said(driver, "stopping")
    gate.open()
    assert driver.wait(TIMEOUT) == 0
    assert "people keep their leases until they run out" in pipeline.log(driver)
    pipeline.port = None
    assert pipeline.drive_all()["completed"] == 1
    assert pipeline.forum.times_erased() == {"ada": 1}  # with the same key again
