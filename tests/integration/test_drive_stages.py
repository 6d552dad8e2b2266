# SPDX-License-Identifier: Apache-2.0
"""The driver's main job: people go through the stages, in order, and every step is recorded."""
import threading

import pytest

from services import Gate
from site_under_test import TIMEOUT, wait_for

WAY = ["PENDING", "RETIRING_FORUM", "FORUM_COMPLETE", "RETIRING_NOTES", "NOTES_COMPLETE", "RETIRING_STORE",
       "STORE_COMPLETE", "COMPLETE"]


def numbered(n):
    return [f"user{i}" for i in range(n)]


def expect_once_everywhere(site, names):
    """One call at every service for each of them, and no other."""
    for service in site.everywhere:
        assert sorted(service.usernames()) == sorted(names)


@pytest.mark.parametrize("how", ["a server inside the command", "a server beside it", "server and driver in one"])
def test_people_go_through_all_stages(pipeline, how):
    names = numbered(40)
    pipeline.request_all(names)
    if how == "server and driver in one":
        pipeline.run_all()
    else:
        if how == "a server beside it":
            pipeline.serve()
        done = pipeline.drive_all()
        assert (done["people"], done["completed"], done["stages"], done["calls"]) == (40, 40, 120, 120)
        assert (done["errored"], done["released"], done["retries"]) == (0, 0, 0)
    pipeline.wait_states("COMPLETE")
    expect_once_everywhere(pipeline, names)
    assert len({key for service in pipeline.everywhere for _, key in service.effects}) == 120


def test_no_stage_is_called_before_the_one_before_is_durable(pipeline):
    """I4: while a service is called, the server already says that the stage before is done."""
    seen = []
    pipeline.serve()
    for service, state in zip(pipeline.everywhere, ["RETIRING_FORUM", "RETIRING_NOTES", "RETIRING_STORE"]):
        service.script = lambda call, state=state: seen.append((state, pipeline.state_of(call.username))) or 204
    names = numbered(10)
    pipeline.request_all(names)
    pipeline.token("retirement:read")  # made now, not in ten calls at once
    pipeline.state_of(names[0])
    pipeline.drive_all()
    assert len(seen) == 30 and all(state == now for state, now in seen)
    for name in names:
        at = [service.calls_for(name)[0].at for service in pipeline.everywhere]
        assert at == sorted(at)


def test_every_step_is_on_record_with_what_was_answered(pipeline):
    pipeline.forum.script = lambda call: (200, {"erased": "17 posts é"})
    pipeline.notes.script = lambda call: (201, "plain \"words\"\nand more")
    pipeline.request("ada")
    pipeline.drive_all()
    moves = pipeline.history("ada")
    assert [(a, b) for a, b, _ in moves[1:]] == list(zip(WAY, WAY[1:]))
    answers = {to: answer for _, to, answer in moves if answer}
    assert answers["FORUM_COMPLETE"]["status"] == 200 and "17 posts" in answers["FORUM_COMPLETE"]["answer"]
    assert answers["NOTES_COMPLETE"] == {"status": 201, "attempts": 1, "answer": "plain \"words\"\nand more"}
    assert answers["STORE_COMPLETE"] == {"status": 204, "attempts": 1}
    assert set(answers) == {"FORUM_COMPLETE", "NOTES_COMPLETE", "STORE_COMPLETE"}


def test_whom_a_service_never_had_there_is_nothing_to_erase(pipeline):
    pipeline.config["stages"][1]["http"]["nothing_to_erase"] = [404]
    pipeline.notes.script = lambda call: (404, {"detail": "no such user"})
    pipeline.request("ada")
    assert pipeline.drive_all()["completed"] == 1
    assert pipeline.recorded("ada", "NOTES_COMPLETE") == {"outcome": "nothing_to_erase", "status": 404, "attempts": 1,
                                                          "answer": '{"detail": "no such user"}'}


def test_the_same_answer_is_an_error_where_it_is_not_listed(pipeline):
    pipeline.notes.script = lambda call: (404, "no such user")
    pipeline.request("ada")
    assert pipeline.drive_all()["errored"] == 1
    assert pipeline.states() == {"ada": "ERRORED"}
    assert pipeline.store.calls == []


def test_a_refusal_is_shown_in_the_words_of_the_service_and_mended(pipeline):
    names = numbered(5)
    pipeline.notes.script = lambda call: (409, {"error": "subscription is unpaid"}) if call.username == "user3" else 204
    pipeline.request_all(names)
    done = pipeline.drive_all()
    assert (done["completed"], done["errored"]) == (4, 1)

    shown = pipeline.show("user3")
    assert shown["state"] == "ERRORED" and shown["resume_state"] == "FORUM_COMPLETE"
    assert shown["last_state"]["state_name"] == "RETIRING_NOTES"
    assert "subscription is unpaid" in shown["responses"]
    failed = pipeline.recorded("user3", "ERRORED")
    assert (failed["stage"], failed["outcome"], failed["status"], failed["attempts"]) == ("RETIRING_NOTES", "failed", 409, 1)
    assert pipeline.drive_all()["people"] == 0  # ERRORED waits for an operator

    pipeline.notes.script = lambda call: 204
    pipeline.ok("retirement", "resume", "user3", "--reason", "paid")
    assert pipeline.drive_all()["completed"] == 1
    assert set(pipeline.states().values()) == {"COMPLETE"}
    first, second = pipeline.notes.keys_of("user3")
    assert first != second, "after a resume it is another attempt, not a repeat"
    assert len(pipeline.forum.calls_for("user3")) == 1
    assert len(pipeline.store.calls_for("user3")) == 1


def test_a_rerun_has_keys_of_its_own(pipeline):
    pipeline.request("ada")
    pipeline.drive_all()
    pipeline.ok("retirement", "rerun", "--reason", "a backup was restored")
    assert pipeline.drive_all()["completed"] == 1
    for service in pipeline.everywhere:
        assert len(set(service.keys_of("ada"))) == 2


def test_keys_tell_nothing_about_the_person(pipeline):
    pipeline.request("lovelace")
    pipeline.drive_all()
    for call in pipeline.forum.calls:
        assert "lovelace" not in call.key and "example.com" not in call.key and call.key.endswith("-RETIRING_FORUM")


def test_one_person_alone(pipeline):
    pipeline.request_all(numbered(3))
    done = pipeline.ok("drive", "--username", "user1", "--json").json
    assert (done["people"], done["completed"]) == (1, 1)
    assert pipeline.states() == {"user0": "PENDING", "user1": "COMPLETE", "user2": "PENDING"}
    expect_once_everywhere(pipeline, ["user1"])
    assert pipeline.ok("drive", "--username", "user1", "--json").json["people"] == 0
    assert pipeline.lethe("drive", "--username", "User1").code == 3


# ---- the cool-off ----

def test_nobody_is_touched_before_the_cool_off_has_ended(pipeline):
    """I16: also if the driver asks for a shorter one."""
    pipeline.configure(cool_off="1d")
    pipeline.request_all(numbered(3))
    assert pipeline.drive_all()["people"] == 0
    assert pipeline.drive_all("--cool-off", "0d")["people"] == 0
    assert pipeline.ok("drive", "--username", "user1", "--json").json["people"] == 0
    expect_once_everywhere(pipeline, [])
    assert set(pipeline.states().values()) == {"PENDING"}


def test_a_driver_can_only_lengthen_the_cool_off(pipeline):
    pipeline.request_all(numbered(3))
    assert pipeline.drive_all("--cool-off", "1h")["people"] == 0
    assert pipeline.drive_all("--cool-off", "0d")["completed"] == 3


def test_people_are_taken_up_when_their_cool_off_ends(pipeline):
    pipeline.configure(cool_off="1500ms")
    pipeline.run_all()
    pipeline.request("ada")
    pipeline.wait_states("COMPLETE")
    asked, taken = [e for e in pipeline.get("/v1/retirements/1/log").json["log"]][:2]
    assert pipeline.seconds(taken["at"]) - pipeline.seconds(asked["at"]) >= 1.5


# ---- requests that come, and cancels, while the driver works ----

def test_people_who_ask_while_others_are_under_way_are_done_too(pipeline):
    gate = pipeline.notes.script = Gate()
    pipeline.run_all()
    pipeline.request("ada")
    gate.wait_reached()
    for name in numbered(5):
        pipeline.request(name)
    wait_for(lambda: len(pipeline.forum.calls) == 6)
    gate.open()
    pipeline.wait_states("COMPLETE")
    expect_once_everywhere(pipeline, ["ada", *numbered(5)])


def test_a_person_who_is_aborted_during_a_call_gets_no_other(pipeline):
    """I3: the call in flight ends, its outcome is recorded, and no further call starts."""
    gate = pipeline.notes.script = Gate()
    pipeline.run_all()
    retirement = pipeline.request("ada")
    gate.wait_reached()
    moved = pipeline.post(f"/v1/retirements/{retirement['id']}/move", {"state": "ABORTED", "reason": "court order"})
    assert moved.status in (200, 202), moved
    gate.open()
    pipeline.wait_states("ABORTED")
    assert len(pipeline.notes.calls) == 1 and pipeline.store.calls == []


def test_a_hundred_people_at_three_stages_at_once(pipeline):
    """A slow service holds up only its own people; those at other services go on."""
    names = numbered(100)
    gate = pipeline.store.script = Gate(who={"user0"})
    pipeline.request_all(names)
    pipeline.serve()
    answers = []
    driving = threading.Thread(target=lambda: answers.append(pipeline.drive_all()))
    driving.start()
    gate.wait_reached()
    wait_for(lambda: sorted(pipeline.states().values()).count("COMPLETE") == 99)
    gate.open()
    driving.join(TIMEOUT)
    assert answers[0]["completed"] == 100
    expect_once_everywhere(pipeline, names)


# ---- drivers that have some of the stages ----

def test_drivers_with_different_stages_share_the_work(pipeline):
    """Each driver takes only people who are due for its own stages, however many others are before them in the queue."""
    pipeline.serve()
    forum, notes, store = pipeline.config["stages"]
    names = numbered(10)
    pipeline.request_all(names)
    pipeline.configure(driver={"max_in_flight": 3})

    def driver_with(*stages):
        pipeline.config["stages"] = list(stages)
        return pipeline.drive_all()

    assert driver_with(notes)["stages"] == 0
    assert set(pipeline.states().values()) == {"PENDING"}
    assert driver_with(forum)["stages"] == 10
    before = [pipeline.show(name)["modified"] for name in names]
    assert (driver_with(store)["people"], driver_with(forum)["people"]) == (0, 0)
    assert [pipeline.show(name)["modified"] for name in names] == before
    pipeline.request_all(["late"])
    assert driver_with(forum)["stages"] == 1
    assert driver_with(notes)["stages"] == 11
    assert driver_with(store)["completed"] == 11
    expect_once_everywhere(pipeline, [*names, "late"])


def test_one_line_of_the_log_for_each_stage(pipeline):
    pipeline.forum.script = lambda call: 204 if len(pipeline.forum.calls_for(call.username)) > 1 else 503
    process = pipeline.run_all()
    ids = pipeline.request_all(["ada", "bob"])
    pipeline.wait_states("COMPLETE")
    log = pipeline.log(process).splitlines()
    for id in ids:
        lines = [line.split("info    ")[1] for line in log if f" retirement={id} " in line]
        assert lines == [f"retirement={id} stage=RETIRING_FORUM done, attempts: 2",
                         f"retirement={id} stage=RETIRING_NOTES done, attempts: 1",
                         f"retirement={id} stage=RETIRING_STORE done, attempts: 1",
                         f"retirement={id} stage=RETIRING_STORE complete"]
