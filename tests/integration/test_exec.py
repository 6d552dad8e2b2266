# SPDX-License-Identifier: Apache-2.0
"""The exec action: programs of the operator, with the person on standard input and nowhere else."""
import json
import os
import threading

import pytest

from site_under_test import TIMEOUT, wait_for

PERSON = {"original_username", "original_email", "original_name", "retired_username", "retired_email", "user_id",
          "retirement_id", "request_uuid", "requested_at", "stage", "idempotency_key"}


@pytest.fixture
def commanding(site):
    """One stage that runs site.program("..."), a shell script, without retries."""
    site.erase = site.folder / "erase"

    def program(text):
        site.erase.write_text("#!/bin/sh\n" + text)
        site.erase.chmod(0o700)

    site.program = program
    site.stage("ERASING", "ERASED", exec={"command": ["./erase", "--quiet"]}, retry="none")
    site.configure(driver={"poll": "100ms"})
    return site


def stage(site, **settings):
    site.config["stages"][0].update(settings)


def setting(site, **settings):
    site.config["stages"][0]["exec"].update(settings)


def lines(path):
    return path.read_text().splitlines() if path.exists() else []


def is_alive(pid):
    try:
        with open(f"/proc/{pid}/stat") as f:
            return f.read().rsplit(")", 1)[1].split()[0] not in "ZX"
    except FileNotFoundError:
        return False


REWRITE = """cat > "$$.person"
test ! -e running || echo two >> together
touch running
grep -v "$(tr -d ' ' < "$$.person" | sed 's/.*"original_username":"//; s/".*//')" list > "list.$$"; [ $? -le 1 ] || exit 1
rm -f running "$$.person"
mv "list.$$" list
"""


def test_a_program_runs_for_one_person_at_a_time(commanding):
    """Case 6: a script that rewrites a file would lose people, were it run for several at once."""
    commanding.program(REWRITE)
    names = [f"person{i:02}" for i in range(20)]
    (commanding.folder / "list").write_text("".join(f"{name}\n" for name in [*names, "somebody-else"]))
    commanding.request_all(names)
    commanding.serve()
    assert commanding.drive_all()["completed"] == 20
    assert lines(commanding.folder / "list") == ["somebody-else"]
    assert not (commanding.folder / "together").exists()


MEET = """cat > /dev/null
touch "here.$$"
for i in $(seq 200); do [ "$(ls here.* | wc -l)" -ge WANTED ] && exit 0; sleep 0.05; done
exit 1
"""


@pytest.mark.parametrize("at_once", [2, 12])
def test_at_once_lets_more_run(commanding, at_once):
    """They wait for each other; without a service, too."""
    commanding.program(MEET.replace("WANTED", str(at_once)))
    setting(commanding, at_once=at_once)
    commanding.request_all([f"person{i:02}" for i in range(at_once)])
    commanding.serve()
    assert commanding.drive_all()["completed"] == at_once


def test_retries_and_hooks_run_one_at_a_time_too(commanding):
    commanding.program(REWRITE + """[ -e "tried.$(cat list | wc -l)" ] || { touch "tried.$(cat list | wc -l)"; exit 75; }\n""")
    (commanding.folder / "list").write_text("somebody-else\n")
    stage(commanding, retry={"for": "1m", "first": "10ms", "longest": "20ms"})
    commanding.configure(on_request=[{"exec": {"command": ["./hook"]}}])
    hook = commanding.folder / "hook"
    hook.write_text("#!/bin/sh\ncat > /dev/null\nmkdir alone && sleep 0.02 && rmdir alone && echo told >> told\n")
    hook.chmod(0o700)
    commanding.request_all([f"person{i:02}" for i in range(10)])
    # a server of its own would deliver, too
    assert commanding.drive_all()["completed"] == 10
    assert not (commanding.folder / "together").exists()
    assert lines(commanding.folder / "told") == ["told"] * 10


def test_the_person_comes_on_standard_input(commanding):
    commanding.program("cat >> inputs\n")
    commanding.serve()
    name = "Ada \"Countess\" O'Lovelace\\ $(touch evil) {} %s é"
    commanding.request("ada", name=name)
    assert commanding.drive_all()["completed"] == 1
    person, = [json.loads(line) for line in lines(commanding.folder / "inputs")]
    assert set(person) == PERSON
    assert (person["original_username"], person["original_email"], person["original_name"]) == ("ada", "ada@example.com", name)
    assert (person["stage"], person["retirement_id"]) == ("ERASING", "1")
    assert person["retired_username"].startswith("retired__user_")
    assert not (commanding.folder / "evil").exists()


def test_nothing_of_the_person_is_in_arguments_or_environment(commanding):
    """What other users of the machine can read of the program, of its child process, and of the driver."""
    commanding.program("""
        for pid in $$ $PPID; do tr '\\0' '\\n' < /proc/$pid/cmdline; tr '\\0' '\\n' < /proc/$pid/environ; done > seen
        sh -c 'tr "\\0" "\\n" < /proc/$$/environ' >> seen
        ls -l /proc/$$/fd >> seen
    """)
    commanding.run_all()
    commanding.request("adalovelace", email="countess@example.com", name="Augusta King")
    commanding.wait_states("COMPLETE")
    seen = (commanding.folder / "seen").read_text()
    assert "--quiet" in seen and "PATH=" in seen
    for private in ("adalovelace", "countess", "Augusta"):
        assert private not in seen


def test_the_environment_is_clean(commanding):
    commanding.program("env -0 | tr '\\0' '\\n' | cut -d= -f1 > variables; echo \"$GREETING\" > greeting\n")
    setting(commanding, env={"GREETING": "hello; rm -rf /"})
    commanding.request("ada")
    assert commanding.drive("--json", env={"LETHE_SECRET": "x", "LD_PRELOAD": ""}).json["completed"] == 1
    assert set(lines(commanding.folder / "variables")) <= {"PATH", "LANG", "HOME", "GREETING", "PWD", "OLDPWD", "SHLVL", "_"}
    assert lines(commanding.folder / "greeting") == ["hello; rm -rf /"]


def test_no_descriptor_is_inherited(commanding):
    """No file or socket of the driver: only standard input, output, error, and what the shell itself opens."""
    commanding.program("for fd in /proc/$$/fd/*; do readlink $fd; done > open || true\n")
    commanding.run_all()
    commanding.request("ada")
    commanding.wait_states("COMPLETE")
    opened = lines(commanding.folder / "open")
    assert opened and not [name for name in opened if "lethe.db" in name or name.startswith("socket:") or "lock" in name]
    assert {name.split(":")[0] for name in opened} <= {"/memfd", "pipe", str(commanding.erase), str(commanding.folder / "open")}


def test_what_it_prints_is_on_record(commanding):
    commanding.program("echo erased 3 rows; echo and a warning >&2\n")
    commanding.request("ada")
    assert commanding.drive_all()["completed"] == 1
    done = commanding.recorded("ada", "ERASED")
    assert done == {"status": 0, "attempts": 1, "answer": "erased 3 rows\nand a warning\n"}


def test_endless_output_is_cut_and_does_not_stop_it(commanding):
    commanding.program("head -c 3000000 /dev/zero | tr '\\0' x; echo finished > finished\n")
    commanding.request("ada")
    assert commanding.drive_all()["completed"] == 1
    done = commanding.recorded("ada", "ERASED")
    assert done["answer_cut"] is True and 60_000 < len(done["answer"]) < 65_536
    assert lines(commanding.folder / "finished") == ["finished"]


def test_a_program_that_does_not_read_its_input_is_no_problem(commanding):
    commanding.program("exec <&-; exit 0\n")
    commanding.request_all([f"user{n}" for n in range(20)])
    assert commanding.drive_all()["completed"] == 20


@pytest.mark.parametrize("code, errored", [(3, 0), (4, 1), (1, 1), (127, 1)])
def test_exit_statuses(commanding, code, errored):
    setting(commanding, nothing_to_erase=[3])
    commanding.program(f"echo because; exit {code}\n")
    commanding.request("ada")
    assert commanding.drive_all()["errored"] == errored
    recorded = commanding.recorded("ada", "ERRORED" if errored else "ERASED")
    assert (recorded["status"], recorded["outcome"]) == (code, "failed" if errored else "nothing_to_erase")
    assert recorded["answer"] == "because\n"


def test_75_is_tried_again_with_the_same_key(commanding):
    commanding.program("cat >> inputs; [ $(wc -l < inputs) -ge 3 ] || exit 75\n")
    stage(commanding, retry={"for": "60s", "first": "10ms", "longest": "50ms"})
    commanding.request("ada")
    done = commanding.drive_all()
    assert (done["completed"], done["calls"], done["retries"]) == (1, 3, 2)
    assert len({json.loads(line)["idempotency_key"] for line in lines(commanding.folder / "inputs")}) == 1


def test_out_of_time_it_is_killed_with_all_it_started(commanding):
    commanding.program("sleep 1000 & echo $! >> pids; (sleep 1000 & echo $! >> pids; wait) & echo $$ >> pids; wait\n")
    stage(commanding, timeout="3s")
    commanding.request("ada")
    assert commanding.drive_all()["errored"] == 1
    failed = commanding.recorded("ada", "ERRORED")
    assert (failed["status"], failed["outcome"]) == (None, "unknown") and "too long" in failed["error"]
    pids = lines(commanding.folder / "pids")
    assert len(pids) == 3
    wait_for(lambda: not any(is_alive(pid) for pid in pids), "the end of all it started")


def test_what_it_leaves_behind_is_killed_too(commanding):
    commanding.program("sleep 1000 & echo $! >> pids\n")
    commanding.request("ada")
    assert commanding.drive_all()["completed"] == 1
    wait_for(lambda: not is_alive(lines(commanding.folder / "pids")[0]))


def test_a_program_that_dies_is_of_unknown_outcome(commanding):
    commanding.program("kill -9 $$\n")
    commanding.request("ada")
    assert commanding.drive_all()["errored"] == 1
    failed = commanding.recorded("ada", "ERRORED")
    assert failed["outcome"] == "unknown" and "signal 9" in failed["error"]


def test_a_program_that_cannot_be_started(commanding):
    commanding.program("")
    commanding.erase.chmod(0o600)
    commanding.request("ada")
    assert commanding.drive_all()["errored"] == 1
    assert "Permission denied" in commanding.recorded("ada", "ERRORED")["answer"]


def test_a_killed_driver_takes_its_programs_with_it(commanding):
    commanding.program("echo $$ >> pids; sleep 1000\n")
    commanding.request("ada")
    driver = commanding.start("drive", "--once")
    pid = wait_for(lambda: lines(commanding.folder / "pids"))[0]
    assert is_alive(pid)
    commanding.kill(driver)
    wait_for(lambda: not is_alive(pid))


def test_many_programs_at_once_within_the_limits_of_a_service(commanding, make_service):
    """Each program makes a file while it runs; none ever sees more than three such files."""
    commanding.program("touch running.$$; ls running.* | wc -l >> seen; rm running.$$; cat >> inputs\n")
    service = make_service()
    commanding.service("shell", service, max_concurrent=3)
    setting(commanding, service="shell")
    commanding.request_all([f"user{n}" for n in range(60)])
    assert commanding.drive_all()["completed"] == 60
    assert max(int(n) for n in lines(commanding.folder / "seen")) <= 3
    people = {json.loads(line)["original_username"] for line in lines(commanding.folder / "inputs")}
    assert len(people) == 60 and service.calls == []


def test_commands_and_calls_side_by_side(commanding, make_service):
    """While a slow program runs, calls for other people go on: one loop serves both."""
    store = make_service()
    commanding.service("store", store)
    commanding.config["stages"].insert(0, {
        "working": "CALLING", "completed": "CALLED",
        "http": {"service": "store", "post": "/", "json": {"username": "{original_username}"}}})
    commanding.config["stages"][1]["exec"]["at_once"] = 8
    commanding.program("read person; case $person in *user0@*) until [ -e go ]; do sleep 0.02; done;; esac\n")
    commanding.request_all([f"user{n}" for n in range(30)])
    commanding.serve()
    done = []
    driving = threading.Thread(target=lambda: done.append(commanding.drive_all()))
    driving.start()
    wait_for(lambda: list(commanding.states().values()).count("COMPLETE") == 29)
    (commanding.folder / "go").touch()
    driving.join(TIMEOUT)
    assert done[0]["completed"] == 30 and len(store.calls) == 30
    assert os.path.exists(commanding.data_dir)
