# SPDX-License-Identifier: Apache-2.0
"""Requests that are repeated, refused in the middle of a list, or not permitted leave nothing half done."""


def test_a_repeated_move_is_answered_and_recorded_once(served):
    one = served.request("ada")
    move = {"state": "RETIRING_FORUMS", "reason": "by hand"}
    for _ in range(2):
        assert served.post(f"/v1/retirements/{one['id']}/move", move).status == 200
    assert [to for _, to in served.moves_of(one["id"])] == ["PENDING", "RETIRING_FORUMS"]

    again = served.post(f"/v1/retirements/{one['id']}/move", {**move, "reason": "for another reason"})
    assert again.status == 200 and len(served.log_of(one["id"])) == 3


def test_a_repeated_resume_is_answered_and_recorded_once(served):
    one = served.request("ada")
    served.patch("ada", "RETIRING_FORUMS")
    served.patch("ada", "ERRORED")
    for _ in range(2):
        answer = served.post(f"/v1/retirements/{one['id']}/resume", {"reason": "mended"})
        assert answer.status == 200 and answer.json["state"] == "PENDING"
    assert len(served.log_of(one["id"])) == 4


def test_a_resume_of_somebody_who_is_not_errored_is_refused(served):
    one = served.request("ada")
    answer = served.post(f"/v1/retirements/{one['id']}/resume", {})
    assert answer.status == 409 and answer.json["code"] == "not_errored"


def test_one_who_cannot_be_rerun_among_many_leaves_no_trace(served):
    first = served.request("ada")
    served.patch("ada", "COMPLETE")
    second = served.request("ada")
    assert second["id"] != first["id"]
    answer = served.post("/v1/bulk", {"select": {"state": ["COMPLETE"]}, "action": "rerun", "reason": "new stage"})
    assert answer.status == 200
    assert [(r["id"], r["ok"], r["code"]) for r in answer.json["results"]] == [(first["id"], False, "live")]
    assert served.violations() == []


def test_nobody_gives_a_client_more_than_they_have(served):
    admin = served.token("retirement:admin")
    for scope in ("accounts:admin", "retirement:read accounts:admin"):
        answer = served.post("/v1/clients", {"name": "greedy", "scope": scope}, token=admin)
        assert answer.status == 403 and "scope" in answer.json["detail"]
    assert served.post("/v1/clients", {"name": "modest", "scope": "retirement:drive"}, token=admin).status == 201


def test_a_forced_update_has_a_reason_on_record(served):
    one = served.request("ada")
    served.patch("ada", "COMPLETE")
    assert served.patch("ada", "RETIRING_LMS", "undone by mistake\nsecond line", extra={"force": True}).status == 204
    assert served.patch("ada", "COMPLETE", "", extra={"force": True}).status == 204
    with_words, without = served.log_of(one["id"])[-2:]
    assert (with_words["reason"], with_words["forced"]) == ("undone by mistake", True)
    assert without["reason"] == "forced without a word"
