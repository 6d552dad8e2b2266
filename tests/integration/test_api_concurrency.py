# SPDX-License-Identifier: Apache-2.0
"""Concurrent requests: of several that want the same thing, exactly one gets it."""
import http.client
import json
import threading

from site_under_test import ALL_SCOPES, TIMEOUT

STATES = ["PENDING", "RETIRING_FORUMS", "FORUMS_COMPLETE", "RETIRING_LMS", "LMS_COMPLETE", "COMPLETE"]


def all_at_once(jobs):
    """Runs them in threads that begin together; gives what they returned."""
    start, results, errors = threading.Barrier(len(jobs)), [None] * len(jobs), []

    def run(i, job):
        try:
            start.wait(TIMEOUT)
            results[i] = job()
        except Exception as e:  # shown by the test, not by the thread
            errors.append(e)

    threads = [threading.Thread(target=run, args=(i, job)) for i, job in enumerate(jobs)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(TIMEOUT)
    assert not errors, errors
    return results


def test_of_32_clients_exactly_one_takes_each_step(served):
    who = served.somebody()
    tokens = [served.token_of(served.client(f"worker-{n}", "retirement:drive")) for n in range(32)]
    for to in STATES[1:]:
        answers = all_at_once([lambda t=t: served.patch(who["original_username"], to, "mine", token=t) for t in tokens])
        assert sorted(a.status for a in answers) == [204] + [400] * 31
        assert served.one(who["id"])["state"] == to
    assert served.moves_of(who["id"]) == [(None, "PENDING"), *zip(STATES, STATES[1:])]


def test_32_of_one_client_are_repeats_of_the_first(served):
    who = served.somebody()
    served.token(ALL_SCOPES)
    answers = all_at_once([lambda: served.patch(who["original_username"], "RETIRING_FORUMS", "mine")] * 32)
    assert {a.status for a in answers} == {204}
    assert served.moves_of(who["id"]) == [(None, "PENDING"), ("PENDING", "RETIRING_FORUMS")]


def test_eight_drivers_never_get_the_same_person(served):
    people = served.request_all([f"user{n}" for n in range(400)])
    token = served.token(ALL_SCOPES)
    got = [[] for _ in range(8)]

    def drive(mine, name):
        connection = http.client.HTTPConnection("127.0.0.1", served.port, timeout=TIMEOUT)
        while True:
            connection.request("POST", "/v1/claims", json.dumps({"driver": name, "limit": 7, "lease_s": 600}), {"Authorization": "JWT " + token})
            claims = json.loads(connection.getresponse().read())["claims"]
            if not claims:
                break
            mine += [(claim["id"], claim["epoch"]) for claim in claims]
        connection.close()

    all_at_once([lambda i=i: drive(got[i], f"driver-{i}") for i in range(8)])
    granted = sorted(claim for mine in got for claim in mine)
    assert granted == [(id, 1) for id in sorted(people)]
    assert sum(1 for mine in got if mine) > 1


def test_asking_at_once_gives_one_retirement(served):
    served.token(ALL_SCOPES)
    answers = all_at_once([lambda: served.post("/v1/retirements", {"username": "ada", "email": "ada@example.com"})] * 16)
    assert sorted(a.status for a in answers) == [200] * 15 + [201]
    assert len({a.json["id"] for a in answers}) == 1 and served.counts()["PENDING"] == 1


def test_a_claim_against_an_abort(served):
    """Exactly one wins: either there is no lease on the aborted retirement, or the abort waits for the lease."""
    for _ in range(20):
        who = served.somebody()
        abort, claims = all_at_once([
            lambda: served.post(f"/v1/retirements/{who['id']}/move", {"state": "ABORTED", "reason": "no"}),
            lambda: served.claim(username=who["original_username"])])
        after = served.one(who["id"])
        if claims:
            assert abort.status == 202 and after["state"] == "RETIRING_FORUMS" and after["abort_asked"]
        else:
            assert abort.status == 200 and after["state"] == "ABORTED"
