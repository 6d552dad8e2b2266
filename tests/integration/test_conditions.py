# SPDX-License-Identifier: Apache-2.0
"""Stages for some people only: for other people the stage is completed at once, and the reason is recorded."""
import pytest


@pytest.fixture
def choosy(pipeline):
    """Three stages; the middle one is for people of one organisation who have a number, except those at example.org."""
    pipeline.config["stages"][1].update(when={"org": ["ExampleX", "ExampleX-*"], "user_id": "known"},
                                        unless={"original_email": ["*@example.org"]})
    pipeline.serve()
    return pipeline


def ask(site, username, email=None, **more):
    answer = site.post("/v1/retirements", {"username": username, "email": email or f"{username}@example.com", **more})
    assert answer.status == 201, answer


PEOPLE = {
    "ada": (dict(orgs=["Other", "ExampleX-2"], account_id=1), None),
    "bob": (dict(orgs=["Other"], account_id=2), "when.org does not hold"),
    "cyd": (dict(account_id=3), "when.org does not hold"),
    "dan": (dict(orgs=["ExampleX"]), "when.user_id does not hold"),
    "eve": (dict(orgs=["ExampleX"], account_id=5, email="Eve@Example.ORG"), "unless.original_email holds"),
}


def test_who_is_passed_over_is_not_called_for_and_goes_on(choosy):
    for username, (asked, _) in PEOPLE.items():
        ask(choosy, username, **asked)
    driver = choosy.start("drive", "--once")
    assert driver.wait(60) == 0
    assert choosy.notes.usernames() == ["ada"]
    assert sorted(choosy.forum.usernames()) == sorted(choosy.store.usernames()) == sorted(PEOPLE)
    assert set(choosy.states().values()) == {"COMPLETE"}
    for username, (_, why) in PEOPLE.items():
        recorded = choosy.recorded(username, "NOTES_COMPLETE")
        assert recorded == ({"outcome": "skipped", "reason": why} if why else {"status": 204, "attempts": 1})
    assert choosy.log(driver).count("skipped: ") == 4
    assert "@example" not in choosy.log(driver).lower()
    assert "4 of them skipped" in driver.stdout.read().decode()


def test_the_plan_says_who_is_passed_over_and_why(choosy):
    for username, (asked, _) in PEOPLE.items():
        ask(choosy, username, **asked)
    for username, (_, why) in PEOPLE.items():
        said = choosy.ok("plan", username).out
        assert ("2. RETIRING_NOTES: skipped: " + why if why else "2. RETIRING_NOTES: POST") in said
        stages = choosy.ok("plan", username, "--json").json["steps"]
        assert [stage["skipped"] for stage in stages] == [None, why, None]
    said = choosy.ok("plan").out
    assert "RETIRING_NOTES: 1 call to notes" in said and "RETIRING_STORE: 5 calls to store" in said


def test_what_somebody_would_do_by_hand_is_passed_over_too(site):
    site.stage("BY_HAND", "DONE", manual={"instructions": "look"}, when={"user_id": "known"})
    site.request("ada")
    site.request("bob", account_id=7)
    done = site.drive_all()
    assert (done["completed"], done["waiting"], done["skipped"]) == (1, 1, 1)
    assert site.states() == {"ada": "COMPLETE", "bob": "BY_HAND"}


def test_who_is_passed_over_does_not_wait_for_a_service_that_is_down(pipeline):
    """Only one person's calls test the service; a person for whom the stage is skipped goes on."""
    pipeline.config["stages"][1].update(unless={"original_username": ["skip*"]}, retry={"for": "1h"})
    pipeline.config["services"]["notes"]["breaker"] = {"failures": 1, "pause": "1h"}
    pipeline.notes.script = lambda call: 503
    pipeline.serve()
    pipeline.request("ada")
    driver = pipeline.start_driver()
    pipeline.wait_said(driver, "service notes fails")
    pipeline.request_all(["bob", "skipper"])
    pipeline.wait_states({"ada": "RETIRING_NOTES", "bob": "FORUM_COMPLETE", "skipper": "COMPLETE"})
    assert set(pipeline.notes.usernames()) == {"ada"}


def test_organisations_are_told_to_whoever_may_read(choosy):
    ask(choosy, "ada", orgs=["Exämple", "X\"y"], account_id=1)
    assert choosy.show("ada")["orgs"] == ["Exämple", "X\"y"]
    claim, = choosy.claim(1, stages=["RETIRING_FORUM"])
    assert claim["user"]["orgs"] == ["Exämple", "X\"y"]
