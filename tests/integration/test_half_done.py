# SPDX-License-Identifier: Apache-2.0
"""Half done is never "nothing to erase": a stage goes on at the call that failed, with what was captured, or ends as unknown."""
import signal

import pytest

from services import HANG_UP, Gate

FIND = {"get": "/users?email={original_email}", "capture": {"user": "/results/0/id"}, "if_missing": "nothing_to_erase"}
SOFT = {"post": "/users/{user}/deactivate", "nothing_to_erase": [404]}
HARD = {"delete": "/users/{user}", "nothing_to_erase": [404]}


class Bin:
    """A service with a waste-paper basket: a search finds who is present, deactivating moves them there, deleting empties it."""

    def __init__(self):
        self.people, self.faults = {"user-4711": "present"}, []

    def __call__(self, call):
        fault = self.faults.pop(0) if self.faults and call.method == "DELETE" else None
        if fault and not callable(fault):
            return fault
        if call.method == "GET":
            return 200, {"results": [{"id": who} for who, state in self.people.items() if state == "present"]}
        who = call.path.split("/")[2]
        if self.people.get(who, "gone") == ("gone" if call.method == "DELETE" else "binned") or who not in self.people:
            return 404, {"error": "no such user"}
        if call.method == "POST":
            self.people[who] = "binned"
            return 204
        del self.people[who]
        return fault(call) if fault else 204


@pytest.fixture
def erasing(site, make_service):
    site.crm, site.bin = make_service(), Bin()
    site.crm.script = lambda call: site.bin(call)
    site.service("crm", site.crm)
    site.config["services"]["crm"]["breaker"] = "none"
    site.steps = [dict(FIND), dict(SOFT), dict(HARD)]
    site.stage("ERASING", "ERASED", http={"service": "crm", "steps": site.steps}, timeout="2s",
               retry={"for": "20s", "first": "20ms", "longest": "100ms"})
    site.request("ada")
    return site


def calls(site):
    return [call.method for call in site.crm.calls]


def kill_driver_at(site, gate):
    """In the middle of the call; its lease runs out soon."""
    site.configure(driver={"lease": "14s", "poll": "100ms"})
    site.serve()
    driver = site.start_driver()
    gate.wait_reached()
    site.kill(driver)
    gate.open()


@pytest.mark.parametrize("fault", [429, 500, 503, 504])
def test_after_a_fault_the_call_is_made_again(erasing, fault):
    erasing.bin.faults = [fault]
    assert erasing.drive_all()["completed"] == 1
    assert erasing.bin.people == {} and calls(erasing) == ["GET", "POST", "DELETE", "DELETE"]
    assert "outcome" not in erasing.recorded("ada", "ERASED")


def test_an_answer_that_is_lost_after_the_effect_is_gone_now(erasing):
    erasing.bin.faults = [lambda call: 504]
    assert erasing.drive_all()["completed"] == 1
    assert erasing.bin.people == {} and erasing.recorded("ada", "ERASED")["outcome"] == "gone"


def test_a_kept_connection_that_ends_after_the_effect(erasing):
    """No layer below sends a call again by itself: the second answer would pass for the first."""
    said = []

    def script(call):
        answer = erasing.bin(call)
        return HANG_UP if call.method == "POST" and not said.append(1) and len(said) == 1 else answer

    erasing.crm.script = script
    assert erasing.drive_all()["completed"] == 1
    assert erasing.bin.people == {} and calls(erasing) == ["GET", "POST", "POST", "DELETE"]
    assert erasing.recorded("ada", "ERASED")["attempts"] == 2


def test_after_a_killed_driver(erasing):
    gate = Gate(answer=503)
    erasing.crm.script = lambda call: gate(call) if call.method == "DELETE" and not gate.reached.is_set() else erasing.bin(call)
    kill_driver_at(erasing, gate)
    assert erasing.drive_all()["completed"] == 1
    assert erasing.bin.people == {} and calls(erasing) == ["GET", "POST", "DELETE", "DELETE"]
    assert "user-4711" not in erasing.logs()


def test_after_a_resume(erasing):
    erasing.bin.faults = [422]
    assert erasing.drive_all()["errored"] == 1
    erasing.ok("retirement", "resume", "ada", "--reason", "mended")
    assert erasing.drive_all()["completed"] == 1
    assert erasing.bin.people == {} and calls(erasing) == ["GET", "POST", "DELETE", "DELETE"]


@pytest.mark.parametrize("by", [["ERASING"], ["PENDING"], ["ABORTED", "PENDING"], ["ABORTED", "ERASING"]], ids="-".join)
def test_after_moves_by_hand(erasing, by):
    erasing.bin.faults = [422]
    assert erasing.drive_all()["errored"] == 1
    for state in by:
        erasing.ok("retirement", "move", "ada", state, "--reason", "mended")
    assert erasing.drive_all()["completed"] == 1
    assert erasing.bin.people == {} and calls(erasing) == ["GET", "POST", "DELETE", "DELETE"]


def test_after_an_abort_in_the_middle(erasing):
    gate = Gate(answer=422)
    erasing.crm.script = lambda call: gate(call) if call.method == "DELETE" and not gate.reached.is_set() else erasing.bin(call)
    erasing.serve()
    driver = erasing.start_driver()
    gate.wait_reached()
    erasing.ok("retirement", "move", "ada", "ABORTED", "--reason", "legal hold")
    gate.open()
    erasing.wait_states("ABORTED")
    erasing.kill(driver, signal.SIGTERM)
    erasing.ok("retirement", "move", "ada", "PENDING", "--reason", "it is over")
    assert erasing.drive_all()["completed"] == 1
    assert erasing.bin.people == {} and calls(erasing) == ["GET", "POST", "DELETE", "DELETE"]


def test_what_is_too_long_to_be_remembered_is_not_forgotten(erasing):
    """All that is known after the resume is that something was sent."""
    places = {f"place{i}": f"/{i}" for i in range(8)}
    erasing.steps[1:] = [{**SOFT, "capture": places}, {"delete": "/users/{user}", "json": {n: "{%s}" % n for n in places}}]
    erasing.crm.script = lambda call: (200, ["x" * 900] * 8) if erasing.bin(call) == 204 else erasing.bin(call)
    assert erasing.drive_all()["errored"] == 1
    erasing.ok("retirement", "resume", "ada", "--reason", "again")
    assert erasing.drive_all()["errored"] == 1
    assert erasing.recorded("ada", "ERRORED")["outcome"] == "unknown" and erasing.bin.people == {"user-4711": "binned"}


def test_a_stage_before_it_is_done_again_and_keeps_it(erasing):
    """The stages before are repeated when the person begins anew; each remembers its own."""
    first = [{"post": "/first/{original_username}"}, {"delete": "/first/{original_username}"}]
    erasing.config["stages"].insert(0, {"working": "TELLING", "completed": "TOLD", "http": {"service": "crm", "steps": first}})
    erasing.ok("states", "sync")
    erasing.ok("retirement", "cancel", "ada@example.com")
    erasing.request("ada")  # with the stages of now
    erasing.crm.script = lambda call: 204 if "/first/" in call.path else erasing.bin(call)
    erasing.bin.faults = [422]
    assert erasing.drive_all()["errored"] == 1
    erasing.ok("retirement", "move", "ada", "PENDING", "--reason", "once more")
    assert erasing.drive_all()["completed"] == 1
    assert erasing.bin.people == {} and calls(erasing) == ["POST", "DELETE", "GET", "POST", "DELETE", "POST", "DELETE", "DELETE"]


def test_another_call_that_finds_nobody_ends_as_unknown_as_often_as_it_is_resumed(erasing):
    """Deleting does not find who is in the basket."""
    erasing.crm.script = lambda call: 404 if call.method == "DELETE" else erasing.bin(call)
    assert erasing.drive_all()["errored"] == 1
    for _ in range(2):
        failed = erasing.recorded("ada", "ERRORED")
        assert failed["outcome"] == "unknown" and failed["status"] == 404 and failed["step"] == 3
        erasing.ok("retirement", "resume", "ada", "--reason", "again")
        assert erasing.drive_all()["errored"] == 1
    assert calls(erasing) == ["GET", "POST", "DELETE", "DELETE", "DELETE"]


def test_what_was_captured_is_kept_for_a_resume_and_deleted_with_the_stage(erasing):
    def files():
        return [path.name for path in erasing.data_dir.iterdir() if path.is_file() and b"user-4711" in path.read_bytes()]

    erasing.bin.faults = [422]
    erasing.serve()
    driver = erasing.start_driver()
    erasing.wait_states("ERRORED")
    assert files()
    erasing.ok("retirement", "resume", "ada", "--reason", "mended")
    erasing.wait_states("COMPLETE")
    erasing.kill(driver, signal.SIGTERM)
    assert erasing.post("/api/user/v1/accounts/retirement_cleanup/", {"usernames": ["ada"]}).status == 204
    assert files() == [] and "user-4711" not in erasing.logs()


def test_a_rerun_begins_with_the_first_step(erasing):
    assert erasing.drive_all()["completed"] == 1
    erasing.ok("retirement", "rerun", "--reason", "once more")
    assert erasing.drive_all()["completed"] == 1
    assert calls(erasing) == ["GET", "POST", "DELETE", "GET"]
    assert erasing.recorded("ada", "ERASED")["outcome"] == "nothing_to_erase"


@pytest.mark.parametrize("only_looks", [True, False])
def test_a_search_by_post_says_that_it_only_looks(erasing, only_looks):
    """Else nobody to be found after a fault could be its own work."""
    del erasing.steps[0]["get"]
    erasing.steps[0].update({"post": "/search", "json": {"who": "{original_username}"}, **({"changes": False} if only_looks else {})})
    said = [503, (200, {"results": []})]
    erasing.crm.script = lambda call: said.pop(0)
    assert erasing.drive_all()["completed" if only_looks else "errored"] == 1
    assert erasing.recorded("ada", "ERASED" if only_looks else "ERRORED")["outcome"] == ("nothing_to_erase" if only_looks else "unknown")


@pytest.mark.parametrize("refusal", [400, 403, 409, 422, 429])
def test_a_changing_call_that_is_refused_after_its_effect(erasing, refusal):
    """The service deactivates and then refuses: a hook that fails (409, 422), a filter on the way back (403). The call went
    out, so no search may end the stage with "nothing to erase": it goes on at the call, or is unknown."""
    refused = []

    def script(call):
        answer = erasing.bin(call)
        if call.method == "POST" and not refused:
            refused.append(call)
            return refusal, {"detail": "no"}
        return answer

    erasing.crm.script = script
    erasing.drive("--once")
    erasing.lethe("retirement", "resume", "ada", "--reason", "mended")
    erasing.drive("--once")
    assert erasing.bin.people == {} or erasing.states()["ada"] != "COMPLETE", calls(erasing)


# ---- the configuration is another one by now ----

def test_steps_that_are_exchanged_before_a_resume_are_all_made(erasing):
    """As many calls as before are behind the position, but other ones."""
    said = {"/first": [204, 204], "/second": [422, 204]}
    erasing.crm.script = lambda call: said[call.path].pop(0)
    erasing.steps[:] = [{"post": path, "json": {"who": "{original_username}"}} for path in said]
    assert erasing.drive_all()["errored"] == 1
    erasing.steps.reverse()
    erasing.ok("retirement", "resume", "ada", "--reason", "the other way round")
    assert erasing.drive_all()["completed"] == 1
    assert [call.path for call in erasing.crm.calls] == ["/first", "/second", "/second", "/first"]


def test_a_mended_step_goes_on_where_it_stood(erasing):
    erasing.steps[2]["delete"] = "/wrong/{user}"
    erasing.crm.script = lambda call: 422 if "/wrong/" in call.path else erasing.bin(call)
    assert erasing.drive_all()["errored"] == 1
    erasing.steps[2]["delete"] = "/users/{user}"
    erasing.ok("retirement", "resume", "ada", "--reason", "mended")
    assert erasing.drive_all()["completed"] == 1
    assert erasing.bin.people == {} and calls(erasing) == ["GET", "POST", "DELETE", "DELETE"]


@pytest.mark.parametrize("words, at", [(["resume", "ada"], 0), (["move", "ada", "PENDING"], 0), (["move", "ada", "PENDING"], 1)])
def test_a_stage_that_has_another_name_before_a_resume(erasing, words, at):
    """What was sent under the old name is not forgotten; a stage that stood beside it is another one."""
    tell = {"service": "crm", "delete": "/told/{original_username}", "nothing_to_erase": [404]}
    erasing.config["stages"].insert(1 - at, {"working": "TELLING", "completed": "TOLD", "http": tell})
    erasing.ok("states", "sync")
    erasing.ok("retirement", "cancel", "ada@example.com")
    erasing.request("ada")
    erasing.crm.script = lambda call: (404, {"error": "unknown"}) if "/told/" in call.path else erasing.bin(call)
    erasing.bin.faults = [422]
    assert erasing.drive_all()["errored"] == 1
    erasing.config["stages"][at].update(working="ERASING_CRM", completed="CRM_ERASED")
    erasing.ok("states", "sync")
    erasing.ok("retirement", *words, "--reason", "mended")
    assert erasing.drive_all()["errored"] == 1
    failed = erasing.recorded("ada", "ERRORED")
    assert (failed["stage"], failed["outcome"]) == ("ERASING_CRM", "unknown") and erasing.bin.people == {"user-4711": "binned"}
    erasing.ok("retirement", "move", "ada", "CRM_ERASED", "--reason", "emptied the basket")
    erasing.drive_all()
    assert erasing.show("ada")["current_state"]["state_name"] == "COMPLETE"
    assert erasing.recorded("ada", "TOLD")["outcome"] == "nothing_to_erase"


def test_another_program_does_not_speak_for_the_one_before(erasing):
    """It finds nobody, and nothing is known of what the first one did."""
    def program(status):
        erasing.config["stages"][0]["exec"] = {"command": ["sh", "-c", f"exit {status}"], "nothing_to_erase": [5]}

    del erasing.config["stages"][0]["http"]
    program(1)
    erasing.config["stages"][0]["retry"] = "none"
    assert erasing.drive_all()["errored"] == 1
    program(5)
    erasing.ok("retirement", "resume", "ada", "--reason", "another program")
    assert erasing.drive_all()["errored"] == 1
    assert erasing.recorded("ada", "ERRORED")["outcome"] == "unknown"
    program(0)
    erasing.ok("retirement", "resume", "ada", "--reason", "one that erases")
    assert erasing.drive_all()["completed"] == 1


def test_a_program_that_could_not_be_executed_did_nothing(erasing):
    stage = erasing.config["stages"][0]
    del stage["http"]
    stage["exec"] = {"command": ["/nowhere/program"], "nothing_to_erase": [5]}
    assert erasing.drive_all()["errored"] == 1
    stage["exec"]["command"] = ["sh", "-c", "exit 5"]
    erasing.ok("retirement", "resume", "ada", "--reason", "mended")
    assert erasing.drive_all()["completed"] == 1
    assert erasing.recorded("ada", "ERASED")["outcome"] == "nothing_to_erase"


def test_the_same_program_elsewhere_is_another_one(erasing):
    """Its environment says which data it erases."""
    stage = erasing.config["stages"][0]
    del stage["http"]
    stage["exec"] = {"command": ["sh", "-c", "exit $HOW"], "env": {"HOW": "1"}, "nothing_to_erase": [5]}
    assert erasing.drive_all()["errored"] == 1
    stage["exec"]["env"]["HOW"] = "5"
    erasing.ok("retirement", "resume", "ada", "--reason", "the other one")
    assert erasing.drive_all()["errored"] == 1
    assert erasing.recorded("ada", "ERRORED")["outcome"] == "unknown"


@pytest.mark.parametrize("edited", [False, True])
def test_another_first_call_does_not_speak_for_the_one_that_a_driver_was_killed_in(erasing, edited):
    gate = Gate(answer=404)
    erasing.steps[:] = [{"delete": "/a/{original_username}", "nothing_to_erase": [404]}]
    erasing.crm.script = lambda call: gate(call) if not gate.reached.is_set() else 404
    kill_driver_at(erasing, gate)
    if edited:
        erasing.steps[0]["delete"] = "/b/{original_username}"
        erasing.configure()
    assert erasing.drive_all()["errored" if edited else "completed"] == 1
    assert erasing.recorded("ada", "ERRORED" if edited else "ERASED")["outcome"] == ("unknown" if edited else "gone")
