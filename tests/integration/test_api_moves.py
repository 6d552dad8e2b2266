# SPDX-License-Identifier: Apache-2.0
"""Every move of contract A1 through the update call: from each state to each, plain, strict and forced, and repeated."""
import pytest

from site_under_test import Site

STATES = ["PENDING", "RETIRING_FORUMS", "FORUMS_COMPLETE", "RETIRING_LMS", "LMS_COMPLETE", "ERRORED", "ABORTED",
          "COMPLETE"]
ENDS = {"ERRORED", "ABORTED", "COMPLETE"}
ALL = [(a, b) for a in STATES for b in STATES]


@pytest.fixture(scope="module")
def strict(tmp_path_factory):
    s = Site(tmp_path_factory.mktemp("strict"))
    s.configure(transitions="strict")
    s.serve()
    yield s
    s.stop()
    s.check()


def somebody_in(site, state):
    return site.somebody(*([] if state == "PENDING" else [state]))


def allowed(start, to):
    return start not in ENDS and STATES.index(to) > STATES.index(start)


def is_next(start, to):
    return to == {"LMS_COMPLETE": "COMPLETE"}.get(start, STATES[STATES.index(start) + 1])


def is_skip(start, to):
    return not is_next(start, to) and to != "ERRORED" and (start, to) != ("PENDING", "ABORTED")


def expect_moved(site, before, to, answer, **entry):
    assert answer.status == 204 and answer.raw == b"", answer
    after, newest = site.one(before["id"]), site.log_of(before["id"])[-1]
    assert after["state"] == to and after["last_state"]["state_name"] == before["state"]
    assert after["modified"] >= before["modified"] and after["created"] == before["created"]
    assert newest == {**newest, "from": before["state"], "to": to, **entry}
    assert newest["actor"].startswith("client:")


def expect_refused(site, before, answer, words):
    assert answer.status == 400 and words in answer.json, answer
    assert before["original_username"] not in answer.json
    assert site.one(before["id"]) == before


@pytest.mark.parametrize("start, to", ALL)
def test_unforced(authority, start, to):
    before = somebody_in(authority, start)
    answer = authority.patch(before["original_username"], to, "as it went")
    if allowed(start, to):
        expect_moved(authority, before, to, answer, forced=False, skipped=is_skip(start, to), response="as it went")
    else:
        expect_refused(authority, before, answer,
                       "nothing leads out" if start in ENDS else f"{to} is not a later state")


@pytest.mark.parametrize("start, to", ALL)
def test_unforced_and_strict(strict, start, to):
    before = somebody_in(strict, start)
    answer = strict.patch(before["original_username"], to, "as it went")
    if allowed(start, to) and not is_skip(start, to):
        expect_moved(strict, before, to, answer, forced=False, skipped=False)
    elif allowed(start, to):
        expect_refused(strict, before, answer, "the next state is")
    else:
        expect_refused(strict, before, answer, "nothing leads out" if start in ENDS else "is not a later state")


@pytest.mark.parametrize("site_name", ["authority", "strict"])
@pytest.mark.parametrize("start, to", ALL)
def test_forced(request, site_name, start, to):
    site = request.getfixturevalue(site_name)
    before = somebody_in(site, start)
    answer = site.patch(before["original_username"], to, "by order", extra={"force": True})
    assert answer.status == 204, answer
    assert site.one(before["id"])["state"] == to
    newest = site.log_of(before["id"])[-1]
    assert newest == {**newest, "from": start, "to": to, "forced": True, "response": "by order"}


# ---- last_state and resume_state ----

@pytest.mark.parametrize("failed_in, resumes_at", [("RETIRING_FORUMS", "PENDING"), ("RETIRING_LMS", "FORUMS_COMPLETE"),
                                                   ("PENDING", "PENDING"), ("FORUMS_COMPLETE", "FORUMS_COMPLETE")])
def test_errored_remembers_the_stage_and_where_to_resume(authority, failed_in, resumes_at):
    before = somebody_in(authority, failed_in)
    assert before["resume_state"] is None
    assert authority.patch(before["original_username"], "ERRORED", "it broke").status == 204
    after = authority.one(before["id"])
    assert after["last_state"]["state_name"] == failed_in and after["resume_state"] == resumes_at


# ---- repeats ----

def test_a_repeat_by_the_same_caller_is_done_and_recorded_once(authority):
    who = authority.somebody()
    name = who["original_username"]
    for state in STATES[1:5] + ["COMPLETE"]:
        for _ in range(3):
            assert authority.patch(name, state, {"lost": "reply"}).status == 204
    assert authority.moves_of(who["id"]) == [(None, "PENDING"), *zip(STATES, STATES[1:5]), ("LMS_COMPLETE", "COMPLETE")]


def test_a_repeated_failure_and_a_repeated_force_are_recorded_once(authority):
    who = authority.somebody("RETIRING_FORUMS")
    name = who["original_username"]
    for _ in range(2):
        assert authority.patch(name, "ERRORED", "it broke").status == 204
    for _ in range(2):
        assert authority.patch(name, "PENDING", "again", extra={"force": True}).status == 204
    assert len(authority.log_of(who["id"])) == 4


@pytest.mark.parametrize("other", [{"response": "other words"}, {"extra": {"force": False}, "scope": "retirement:drive"}])
def test_what_is_not_quite_a_repeat_is_refused(authority, other):
    """Another answer or another caller: a second program works on this person, and must learn of the first."""
    who = authority.somebody()
    name = who["original_username"]
    assert authority.patch(name, "RETIRING_FORUMS", "starting").status == 204
    token = authority.token(other.pop("scope")) if "scope" in other else None
    answer = authority.patch(name, "RETIRING_FORUMS", other.pop("response", "starting"), token=token, **other)
    assert answer.status == 400 and "not a later state" in answer.json
    assert len(authority.log_of(who["id"])) == 2


def test_a_late_repeat_is_refused_once_somebody_moved_on(authority):
    who = authority.somebody()
    name = who["original_username"]
    assert authority.patch(name, "RETIRING_FORUMS", "x").status == 204
    assert authority.patch(name, "FORUMS_COMPLETE", "y").status == 204
    assert authority.patch(name, "RETIRING_FORUMS", "x").status == 400
    assert len(authority.log_of(who["id"])) == 3


def test_a_repeat_of_a_long_response_is_a_repeat(authority):
    who = authority.somebody()
    long = "é" * 50000
    for _ in range(2):
        assert authority.patch(who["original_username"], "RETIRING_FORUMS", long).status == 204
    entries = authority.log_of(who["id"])
    assert len(entries) == 2
    kept = entries[-1]["response"]
    assert kept.endswith(" [cut]") and len(kept.encode()) <= 65536 and long.startswith(kept.removesuffix(" [cut]"))


# ---- force ----

@pytest.mark.parametrize("value", ["true", 1, [], {}, "yes", 1.0, None])
def test_force_is_a_boolean(authority, value):
    who = authority.somebody("COMPLETE")
    answer = authority.patch(who["original_username"], "PENDING", extra={"force": value})
    assert answer.status == 400 and answer.json.startswith("force: must be true or false")
    assert authority.one(who["id"]) == who


def test_force_needs_its_scope(authority):
    who = authority.somebody("COMPLETE")
    token = authority.token("retirement:drive")
    refused = authority.patch(who["original_username"], "PENDING", extra={"force": True}, token=token)
    assert refused.status == 403 and "retirement:force" in refused.json["detail"]
    assert authority.one(who["id"]) == who
    assert authority.patch(who["original_username"], "PENDING", extra={"force": False}, token=token).status == 400
    token = authority.token("retirement:drive retirement:force")
    assert authority.patch(who["original_username"], "PENDING", extra={"force": True}, token=token).status == 204


# ---- an abort through the update call, and asking again ----

def test_aborted_leaves_every_queue_and_the_person_can_ask_again(authority):
    who = authority.somebody()
    name = who["original_username"]
    assert authority.patch(name, "ABORTED", "thought again").status == 204
    assert name not in [r["original_username"] for r in authority.queue(["PENDING"]).json]
    again = authority.request(name)
    assert again["id"] != who["id"] and again["state"] == "PENDING"
    assert authority.status(name).json["id"] == again["id"]
    assert authority.one(who["id"])["state"] == "ABORTED"
