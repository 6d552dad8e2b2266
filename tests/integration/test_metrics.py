# SPDX-License-Identifier: Apache-2.0
"""/metrics: its numbers, also after a rollback and a restart, and its format."""
import os
import re

import pytest
import yaml

import exposition
from site_under_test import wait_for

DOCS = os.path.join(os.path.dirname(__file__), "..", "..", "docs")
STATES = {"PENDING", "RETIRING_FORUMS", "FORUMS_COMPLETE", "RETIRING_LMS", "LMS_COMPLETE", "ERRORED", "ABORTED", "COMPLETE"}


def metrics(site):
    answer = site.get("/metrics", token="")
    assert answer.status == 200 and answer.headers["Content-Type"] == "text/plain; version=0.0.4; charset=utf-8"
    return exposition.read(answer.raw.decode())


def people(site):
    return {dict(labels)["state"]: value for (_, labels), value in metrics(site)["lethe_people"].samples.items()}


def claim(site, who, **more):
    [granted] = [c for c in site.claim(10, **more) if c["id"] == who["id"]]
    return granted


# ---- what is counted ----

def test_all_of_a_way_is_counted(served):
    before = metrics(served)
    assert before["lethe_claims_total"].value(stage="RETIRING_FORUMS") == 0
    assert before["lethe_moves_total"].value(state="COMPLETE") == 0
    who = served.somebody()
    granted = claim(served, who)
    assert served.report(granted, "done")["next"] == "RETIRING_LMS"
    served.report({**granted, "stage": "RETIRING_LMS"}, "done")
    after = metrics(served)
    for state in STATES - {"ERRORED", "ABORTED"}:
        assert after["lethe_moves_total"].value(state=state) == 1, state
    for stage in "RETIRING_FORUMS", "RETIRING_LMS":
        assert after["lethe_stage_seconds"].value("_count", stage=stage) == 1
    assert after["lethe_claims_total"].value(stage="RETIRING_FORUMS") == 1
    assert after["lethe_claims_total"].value(stage="RETIRING_LMS") == 0
    assert after["lethe_people"].value(state="COMPLETE") == 1
    assert after["lethe_people"].value(state="PENDING") == 0


def test_errors_by_stage_and_status(served):
    for response, status in ({"status": 502, "cause": "502 from forum"}, "502"), ({}, "none"):
        who = served.somebody()
        served.report(claim(served, who), "failed", response="no", **response)
        errors = metrics(served)["lethe_errors_total"]
        assert errors.value(stage="RETIRING_FORUMS", status=status) == 1
    served.somebody("RETIRING_LMS", "ERRORED")
    assert metrics(served)["lethe_errors_total"].value(stage="RETIRING_LMS", status="none") == 1


def test_whom_the_watch_moves_is_counted(site):
    site.configure(watch={"stuck_after": "0", "every": "100ms", "stuck": "error"})
    site.serve()
    site.somebody("RETIRING_FORUMS")
    wait_for(lambda: people(site)["ERRORED"] == 1, "the watch has moved them")
    key = "lethe_errors_total", frozenset({("stage", "RETIRING_FORUMS"), ("status", "none")})
    wait_for(lambda: key in metrics(site).get("lethe_errors_total", exposition.Family("", "")).samples, "it is counted")
    counted = metrics(site)
    assert counted["lethe_errors_total"].samples == {key: 1} and counted["lethe_moves_total"].value(state="ERRORED") == 1


def test_a_lease_that_ran_out_is_lost(served):
    who = served.somebody()
    claim(served, who, lease_s=1)
    lost = metrics(served)["lethe_leases_lost_total"]
    assert lost.value(stage="RETIRING_FORUMS") == 0
    wait_for(lambda: served.one(who["id"])["lease"] is None, "the end of the lease")
    claim(served, who)
    counted = metrics(served)
    assert counted["lethe_leases_lost_total"].value(stage="RETIRING_FORUMS") == 1
    assert counted["lethe_claims_total"].value(stage="RETIRING_FORUMS") == 2


def test_a_lease_given_back_is_not_lost(served):
    who = served.somebody()
    served.report(claim(served, who), "released")
    claim(served, who)
    assert metrics(served)["lethe_leases_lost_total"].value(stage="RETIRING_FORUMS") == 0


def test_how_long_a_stage_took_counts_the_waiting_for_somebody(served):
    who = served.somebody()
    served.report(claim(served, who), "waiting", response="look for them")
    assert metrics(served)["lethe_waiting"].value() == 1
    entered = served.log_of(who["id"])[1]
    assert entered["to"] == "RETIRING_FORUMS"
    assert served.post(f"/v1/retirements/{who['id']}/confirm", {"note": "done"}).status == 200
    log = served.log_of(who["id"])
    stage = metrics(served)["lethe_stage_seconds"]
    assert stage.value("_count", stage="RETIRING_FORUMS") == 1
    left = [entry for entry in log if entry["from"] == "RETIRING_FORUMS" and entry["to"] == "FORUMS_COMPLETE"][0]
    seconds = seconds_of(left["at"]) - seconds_of(entered["at"])
    assert stage.value("_sum", stage="RETIRING_FORUMS") == pytest.approx(seconds, abs=1e-5)


def seconds_of(time):
    hours, minutes, seconds = re.search(r"T(\d+):(\d+):([\d.]+)Z", time).groups()
    return int(hours) * 3600 + int(minutes) * 60 + float(seconds)


def test_the_age_of_the_queue(site):
    site.configure(cool_off="30d")
    site.serve()
    site.somebody()
    assert metrics(site)["lethe_queue_age_seconds"].value() == 0
    site.stop()
    site.configure(cool_off="0d")
    site.serve()
    wait_for(lambda: metrics(site)["lethe_queue_age_seconds"].value() >= 1, "somebody waits for a second")


# ---- what was undone, repeated, or restarted ----

def test_what_was_rolled_back_did_not_happen(served):
    served.post("/v1/accounts", {"accounts": [{"username": "ada", "email": "ada@example.com"}]})
    known, unknown = ({"username": name, "email": f"{name}@example.com"} for name in ("ada", "nobody"))
    assert served.post("/v1/retirements/import", {"people": [known, unknown]}).status == 409
    assert metrics(served)["lethe_moves_total"].value(state="PENDING") == 0 and people(served)["PENDING"] == 0
    who = served.somebody()
    dry = {"select": {"ids": [who["id"]]}, "action": "move", "to": "COMPLETE", "reason": "x", "dry_run": True}
    assert served.post("/v1/bulk", dry).json["results"][0]["ok"]
    assert served.patch("person1", "RETIRING_LMS").status == 204
    assert served.patch("person1", "RETIRING_LMS").status == 204  # a repeat
    assert served.patch("person1", "PENDING").status == 400
    moves = metrics(served)["lethe_moves_total"]
    assert moves.value(state="RETIRING_LMS") == 1 and moves.value(state="COMPLETE") == 0
    assert people(served) == {state: int(state == "RETIRING_LMS") for state in STATES}


def test_people_are_right_after_a_crash(served):
    served.somebody("RETIRING_LMS")
    served.somebody("COMPLETE")
    before = people(served)
    assert before["RETIRING_LMS"] == 1 and before["COMPLETE"] == 1
    served.kill(served.processes[-1])
    served.serve()
    assert people(served) == before


def test_people_leave_with_a_cleanup(served):
    served.somebody("COMPLETE", name="ada")
    assert people(served)["COMPLETE"] == 1
    assert served.post("/api/user/v1/accounts/retirement_cleanup/", {"usernames": ["ada"]}).status == 204
    assert people(served)["COMPLETE"] == 0


# ---- labels, and what the documents say ----

def test_labels_are_few_and_nobodys_name(served):
    for i in range(30):
        served.get(f"/v1/retirements/{10**6 + i}")
        served.status(f"nobody{i}")
        served.get(f"/no/such/path/{i}")
        served.post("/v1/claims", {"driver": f"driver{i}", "limit": 1, "lease_s": 60})
    served.somebody(name="ada")
    for family in metrics(served).values():
        for _, labels in family.samples:
            for name, value in labels:
                assert name in {"state", "stage", "status", "le", "method", "route", "service"}, (family.name, name)
                assert name not in ("state", "stage") or value in STATES
                assert "nobody" not in value and "ada" not in value and "driver1" not in value
        assert len(family.samples) < 1500


def documented():
    with open(os.path.join(DOCS, "operations.md"), encoding="utf-8") as f:
        return f.read()


def test_what_is_there_is_documented(site, make_service):
    service = make_service()
    site.service("store", service)
    site.stage("ERASING", "ERASED", http={"service": "store", "post": "/erase", "json": {"username": "{original_username}"}})
    site.run_all()
    site.request("ada")
    wait_for(lambda: site.counts()["COMPLETE"] == 1, "ada is COMPLETE")
    named = set(re.findall(r"^\| `(lethe_\w+)`", documented(), re.M))
    missing = set(metrics(site)) - named
    assert not missing, f"not in docs/operations.md: {missing}"


def test_the_alert_rules_are_about_metrics_that_there_are(site, make_service):
    service = make_service()
    service.script = lambda call: 400
    site.service("store", service)
    site.stage("ERASING", "ERASED", http={"service": "store", "post": "/erase", "json": {"username": "{original_username}"}}, retry="none")
    site.run_all()
    site.request("ada")
    wait_for(lambda: site.counts()["ERRORED"] == 1, "ada is ERRORED")
    there = metrics(site)
    [block] = re.findall(r"^( +groups:\n.*?)\n\n\S", documented(), re.M | re.S)
    rules = [rule for group in yaml.safe_load(block)["groups"] for rule in group["rules"]]
    assert len(rules) >= 5
    for rule in rules:
        assert set(rule) <= {"alert", "expr", "for", "labels", "annotations"} and rule["annotations"]["summary"], rule
        for name in re.findall(r"\blethe_\w+", rule["expr"]):
            family = there.get(name) or there.get(re.sub(r"_(count|sum|bucket)$", "", name))
            assert family, f"{rule['alert']}: there is no {name}"
            for label in re.findall(r"(\w+)=~?\"", rule["expr"]):
                assert any(label in dict(labels) for f in there.values() for _, labels in f.samples), (rule, label)


# ---- the reader that all of this trusts ----

GOOD = """# HELP a_total x
# TYPE a_total counter
a_total{b="c",d="e"} 1
# HELP h x
# TYPE h histogram
h_bucket{le="1"} 1
h_bucket{le="+Inf"} 2
h_sum 1.5
h_count 2
"""


def test_the_reader_reads():
    families = exposition.read(GOOD)
    assert families["a_total"].value(b="c", d="e") == 1 and families["h"].value("_count") == 2


@pytest.mark.parametrize("old, new", [
    ("# TYPE a_total counter\n", ""), ("# HELP a_total x\n", ""), ("a_total{", "b_total{"), ("a_total", "a"), (" 1\n#", " one\n#"),
    ('b="c",', 'b="c"'), ('d="e"', 'b="e"'), ('b="c"', 'b="c""'), ('"e"}', '"e",}'), ('{b="c",d="e"}', "{}"), ('b="c"', "b=c"),
    ('le="1"} 1', 'le="1"} 3'), ("h_count 2", "h_count 3"), ('h_bucket{le="+Inf"} 2\n', ""), ("h_sum 1.5\n", ""), ("h_count 2\n", "h_count 2"),
    ("h_count 2\n", "h_count 2\na_total 1\n"), ("h_count 2\n", "h_count 2\nh_count 2\n"), ("counter", "count"), ("\n", "\r\n"),
    ("# HELP h x", "# HELP a_total x"), ("a_total{b", "a_total {b"),
])
def test_the_reader_is_strict(old, new):
    assert old in GOOD
    with pytest.raises((AssertionError, KeyError, IndexError)):
        exposition.read(GOOD.replace(old, new))
