# SPDX-License-Identifier: Apache-2.0
"""Stuck and overdue people, and `lethe check`, which reports them to a monitoring system."""
import signal
import time

import pytest

from site_under_test import wait_for

NEVER = {"stuck_after": "1d", "overdue_after": "1d"}
AT_ONCE = {"stuck_after": "0", "overdue_after": "0"}
OK, WARNING, CRITICAL, UNKNOWN = range(4)


@pytest.fixture
def watched(site):
    """A server with limits so short that every person who waits counts as overdue."""
    site.configure(watch=AT_ONCE, cool_off="0")
    site.serve()
    return site


def listed(site, query):
    answer = site.get(f"/v1/retirements?{query}")
    assert answer.status == 200, answer
    return [r["id"] for r in answer.json["retirements"]]


def expect(site, code, line, *words):
    said = site.lethe("check", *words)
    assert (said.code, said.out, said.err) == (code, line + "\n", ""), said


def test_stuck_is_who_is_in_a_stage_without_a_driver(watched):
    stuck = [watched.somebody(state)["id"] for state in ("RETIRING_LMS", "FORUMS_COMPLETE", "RETIRING_FORUMS")]
    for path in (), ("RETIRING_LMS", "ERRORED"), ("COMPLETE",), ("ABORTED",), ():
        watched.somebody(*path)
    assert listed(watched, "stuck=true") == stuck
    assert listed(watched, "stuck=true&limit=2") == stuck[:2]
    assert listed(watched, f"stuck=true&after={stuck[0]}") == stuck[1:]
    assert len(listed(watched, "stuck=false&overdue=false")) == 8


def test_who_has_a_driver_is_not_stuck(watched):
    who = watched.somebody()["id"]
    [claim] = watched.claim(lease_s=60)
    assert claim["id"] == who and watched.one(who)["lease"] is not None
    assert listed(watched, "stuck=true") == [] and listed(watched, "overdue=true") == []


def test_who_waits_for_a_person_is_not_stuck(site):
    site.stage("ASKING", "ASKED", manual={"instructions": "Do it."})
    site.configure(watch=AT_ONCE)
    site.request("ada")
    assert site.drive_all()["waiting"] == 1
    site.serve()
    assert len(listed(site, "waiting=true")) == 1 and listed(site, "stuck=true") == []
    assert site.get("/v1/retirements?stuck=true&waiting=true").status == 400
    expect(site, OK, "LETHE OK - no retirement is errored, stuck or overdue | errored=0 stuck=0 overdue=0")


def test_who_is_put_off_is_not_stuck_before_that_time(watched):
    who = watched.somebody()["id"]
    [claim] = watched.claim()
    assert watched.report(claim, "later", in_s=3600)["ok"]
    assert watched.one(who)["lease"] is None and listed(watched, "stuck=true") == []
    assert watched.post(f"/v1/retirements/{who}/move", {"state": "RETIRING_FORUMS", "reason": "now"}).status == 200
    [claim] = watched.claim()
    assert watched.report(claim, "later", in_s=0)["ok"]
    wait_for(lambda: listed(watched, "stuck=true") == [who], "the time to be past")


def test_nobody_is_stuck_where_there_are_no_stages(site):
    site.configure(watch=AT_ONCE, states=["PENDING", "ERRORED", "ABORTED", "COMPLETE"])
    site.serve()
    site.somebody()
    assert listed(site, "stuck=true") == []
    expect(site, WARNING, "LETHE WARNING - 1 overdue | errored=0 stuck=0 overdue=1")


def test_overdue_is_who_is_still_pending_after_the_cool_off(watched):
    ids = [watched.somebody()["id"] for _ in range(3)]
    watched.somebody("RETIRING_LMS")
    assert listed(watched, "overdue=true") == ids
    assert listed(watched, f"overdue=true&limit=1&after={ids[0]}") == ids[1:2]


@pytest.mark.parametrize("settings", [
    {"watch": NEVER, "cool_off": "0"}, {"watch": {"stuck_after": "1d", "overdue_after": "0"}, "cool_off": "1h"}, {"cool_off": "0"}], ids=str)
def test_nobody_is_before_the_time_has_passed(site, settings):
    site.configure(**settings)
    site.serve()
    site.somebody(), site.somebody("RETIRING_LMS")
    assert listed(site, "overdue=true") == [] and listed(site, "stuck=true") == []
    expect(site, OK, "LETHE OK - no retirement is errored, stuck or overdue | errored=0 stuck=0 overdue=0")


def test_check_says_how_bad_it_is(watched):
    expect(watched, OK, "LETHE OK - no retirement is errored, stuck or overdue | errored=0 stuck=0 overdue=0")
    late = watched.somebody(name="late")
    expect(watched, WARNING, "LETHE WARNING - 1 overdue | errored=0 stuck=0 overdue=1")
    watched.somebody("RETIRING_LMS")
    expect(watched, WARNING, "LETHE WARNING - 1 stuck, 1 overdue | errored=0 stuck=1 overdue=1")
    assert watched.lethe("check", "--json").json == {
        "status": "WARNING", "errored": 0, "stuck": 1, "overdue": 1, "problem": None}
    watched.somebody("RETIRING_LMS", "ERRORED")
    expect(watched, CRITICAL, "LETHE CRITICAL - 1 errored, 1 stuck, 1 overdue | errored=1 stuck=1 overdue=1")
    assert watched.post(f"/v1/retirements/{late['id']}/cancel", {}).status == 200
    assert watched.lethe("check", "--json").json["overdue"] == 0


def test_without_a_server_it_is_critical_and_none_is_started(site):
    said = site.lethe("check")
    assert said.code == CRITICAL and said.out.startswith("LETHE CRITICAL - no server runs: ") and said.err == ""
    assert not site.data_dir.exists()
    assert site.lethe("check", "--json").json["status"] == "CRITICAL"


def test_a_server_that_is_not_ready_is_critical(site):
    site.configure(states=None, stages=None)
    site.serve()
    said = site.lethe("check")  # does not wait for it
    assert said.code == CRITICAL and said.out.startswith("LETHE CRITICAL - the server is not ready: there are no states"), said


def test_a_server_that_hangs_is_critical(served):
    server = served.processes[0]
    server.send_signal(signal.SIGSTOP)
    try:
        said = served.lethe("check")
    finally:
        server.send_signal(signal.SIGCONT)
    assert said.code == CRITICAL and said.out.startswith("LETHE CRITICAL - the answer of "), said


def test_what_cannot_be_told_is_unknown(served):
    said = served.lethe("check", "--config", "/nonexistent.yml", config=False)
    assert said.code == UNKNOWN and said.out.startswith("LETHE UNKNOWN - ") and "/nonexistent.yml" in said.out
    assert served.lethe("check", "--nosuch").code == UNKNOWN
    assert served.lethe("check", "operand").code == UNKNOWN


def test_it_asks_a_server_elsewhere(watched):
    where = ["--server", f"http://127.0.0.1:{watched.port}"]
    made = watched.client("monitor", "retirement:read")
    secret = watched.folder / "secret"
    secret.write_text(made["client_secret"])
    secret.chmod(0o600)
    env = {"LETHE_CLIENT_ID": made["client_id"], "LETHE_CLIENT_SECRET_FILE": str(secret)}
    watched.somebody()
    assert watched.lethe("check", *where, config=False, env=env).out.startswith("LETHE WARNING - 1 overdue")
    secret.write_text("wrong")
    refused = watched.lethe("check", *where, config=False, env=env)
    assert refused.code == UNKNOWN and "refuses" in refused.out
    watched.stop()
    gone = watched.lethe("check", *where, config=False, env=env)
    assert gone.code == CRITICAL and "cannot reach" in gone.out


def test_a_slow_server_has_the_time_of_one_call_for_all(site, make_service):
    """Monitoring systems give up after ten seconds: the command ends before, and says so itself."""
    def script(call):
        time.sleep(2.5)
        return (200, {"access_token": "x"}) if call.path == "/oauth2/access_token" else (200, {"states": [], "stages": [],
                                                                                            "retirements": []})

    server = make_service(script=script)
    secret = site.folder / "secret"
    secret.write_text("secret-of-the-client\n")
    secret.chmod(0o600)
    begun = time.monotonic()
    done = site.lethe("check", "--server", server.url, config=False,
                      env={"LETHE_CLIENT_ID": "x", "LETHE_CLIENT_SECRET_FILE": str(secret)})
    assert done.code == 2 and "CRITICAL" in done.out and time.monotonic() - begun < 9.5, done
