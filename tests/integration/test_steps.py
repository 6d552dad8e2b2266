# SPDX-License-Identifier: Apache-2.0
"""Several calls in one stage: later calls use captured values; a person who is not found has nothing to erase."""
import json
import re
import threading
import urllib.parse

import pytest

from services import Gate
from site_under_test import wait_for

FIND = {"get": "/contacts?email={original_email}", "capture": {"contact": "/results/0/id"}, "if_missing": "nothing_to_erase"}
ERASE = {"delete": "/contacts/{contact}", "nothing_to_erase": [404]}


class Crm:
    """A service that knows people by an id of its own: contacts[address] is a list of ids."""

    def __init__(self, **contacts):
        self.contacts = {f"{name}@example.com": ids for name, ids in contacts.items()}
        self.lock = threading.Lock()

    def __call__(self, call):
        url = urllib.parse.urlsplit(call.path)
        with self.lock:
            if call.method == "GET":
                address, = urllib.parse.parse_qs(url.query, strict_parsing=True)["email"]
                return 200, {"results": [{"id": i, "email": address} for i in self.contacts.get(address, [])]}
            wanted = urllib.parse.unquote(url.path.rsplit("/", 1)[1])
            for ids in self.contacts.values():
                if wanted in [str(i) for i in ids]:
                    ids.remove(next(i for i in ids if str(i) == wanted))
                    return 204
            return 404, {"message": "no such contact"}


@pytest.fixture
def erasing(site, make_service):
    """A stage that finds a contact and erases it: site.crm; its steps: site.steps."""
    site.crm = make_service()
    site.service("crm", site.crm)
    site.steps = [dict(FIND), dict(ERASE)]
    site.stage("ERASING_CONTACT", "CONTACT_ERASED", http={"service": "crm", "steps": site.steps},
               retry={"for": "20s", "first": "20ms", "longest": "100ms"})
    return site


def requests(service):
    return [(call.method, call.path) for call in service.calls]


def answer(site, body, status=200):
    """This answer to the first step, success to all others."""
    site.crm.script = lambda call: (status, body) if call.method == "GET" else 204


def test_what_is_found_is_erased(erasing):
    erasing.crm.script = Crm(ada=[17], bob=["b/../?x=1"])
    erasing.request_all(["ada", "bob"])
    done = erasing.drive_all()
    assert (done["completed"], done["stages"], done["calls"], done["retries"]) == (2, 2, 4, 0)
    assert sorted(requests(erasing.crm)) == [
        ("DELETE", "/contacts/17"), ("DELETE", "/contacts/b%2F..%2F%3Fx%3D1"),
        ("GET", "/contacts?email=ada%40example.com"), ("GET", "/contacts?email=bob%40example.com")]
    assert erasing.recorded("ada", "CONTACT_ERASED") == {"status": 204, "attempts": 1, "step": 2}


def test_who_is_not_found_has_nothing_to_erase(erasing):
    erasing.crm.script = Crm()
    erasing.request("ada")
    assert erasing.drive_all()["completed"] == 1
    assert len(erasing.crm.calls) == 1
    recorded = erasing.recorded("ada", "CONTACT_ERASED")
    assert (recorded["outcome"], recorded["step"], recorded["answer"]) == ("nothing_to_erase", 1, '{"results": []}')


def test_or_is_an_error(erasing):
    del erasing.steps[0]["if_missing"]
    erasing.crm.script = Crm()
    erasing.request("ada")
    assert erasing.drive_all()["errored"] == 1
    failed = erasing.recorded("ada", "ERRORED")
    assert failed["error"] == "contact: the answer has nothing at /results/0/id" and failed["step"] == 1
    assert "crm at step 1: contact: the answer has nothing at /results/0/id" in erasing.ok("retirement", "failures").out


def test_who_was_found_is_not_unknown_to_the_next_step(erasing):
    """The path has gone, and the service's framework answers like the service."""
    erasing.config["stages"][0]["retry"] = {"for": "1s", "first": "100ms", "longest": "300ms"}
    erasing.crm.script = lambda call: (200, {"results": [{"id": 1}]}) if call.method == "GET" else (404, {"detail": "Not Found"})
    erasing.request("ada")
    assert erasing.drive_all()["errored"] == 1
    failed = erasing.recorded("ada", "ERRORED")
    assert (failed["outcome"], failed["step"]) == ("unknown", 2) and failed["attempts"] > 1
    assert "crm at step 2: nobody is found, though step 1 found the person" in erasing.ok("retirement", "failures").out


def test_each_step_has_statuses_of_its_own(erasing):
    erasing.steps[0].update(success=[203], nothing_to_erase=[410])
    erasing.steps[1].update(success=[404], nothing_to_erase=[])
    erasing.request_all(["ada", "bob", "eve"])
    said = {"ada": (203, {"results": [{"id": 1}]}), "bob": (410, ""), "eve": (200, {"results": [{"id": 3}]})}
    erasing.crm.script = lambda call: said[call.path[16:19]] if call.method == "GET" else (404, '"gone before"')
    done = erasing.drive_all()
    assert (done["completed"], done["errored"]) == (2, 1)
    assert erasing.recorded("ada", "CONTACT_ERASED") == {
        "status": 404, "attempts": 1, "step": 2, "answer": '"gone before"'}
    assert erasing.recorded("bob", "CONTACT_ERASED")["step"] == 1
    assert erasing.recorded("eve", "ERRORED")["status"] == 200


@pytest.mark.parametrize("body, words", [
    ({"results": [{}]}, "nothing at"), ({"results": [{"id": None}]}, "nothing at"), ({"results": [None]}, "nothing at"),
    ({"results": {"id": 1}}, "nothing at"), ({"error": "busy"}, "nothing at"), ([], "nothing at"), ("text", "nothing at"),
    ({"results": [{"id": {}}]}, "an object"), ({"results": [{"id": [1]}]}, "an array"),
    ({"results": [{"id": True}]}, "not a string or a whole number"), ({"results": [{"id": 1.5}]}, "a fraction"),
    ({"results": [{"id": ""}]}, "an empty text"), ({"results": [{"id": "secret\r\nX: y"}]}, "a control character"),
    ({"results": [{"id": "secret\x85"}]}, "a control character"), ({"results": [{"id": "secret" * 200}]}, "more than 1000 bytes"),
], ids=lambda value: None if isinstance(value, str) and " " in value else repr(value)[:40])
def test_answers_of_another_form_are_final_and_not_told(erasing, body, words):
    """The answer claims success, but does not say for which person: no further call is made, and no log has the value."""
    answer(erasing, json.dumps(body))
    erasing.serve()
    erasing.request("ada")
    driver = erasing.start("drive", "--once")
    driver.wait(60)
    failed = erasing.recorded("ada", "ERRORED")
    assert words in failed["error"] and "secret" not in failed["error"] and failed["attempts"] == 1, failed
    assert len(erasing.crm.calls) == 1
    assert "secret" not in erasing.logs() and "example.com" not in erasing.logs()


@pytest.mark.parametrize("body", [b"<html>we will be back soon</html>", b"", b'{"results":[{"id":"\xff\xfe"}]}',
                                  b'{"results":[{"id":1}', b'{"results":[],"results":[{"id":1}]}', b"[" * 5000,
                                  b'{"results":[{"id":"a\\u0000b"}]}', b'{"results":[{"id":"\\ud83d"}]}'],
                         ids=lambda body: repr(body[:30]))
def test_what_is_not_json_is_tried_again(erasing, body):
    """A proxy in between may have answered; the call is repeated."""
    seen = []
    crm = Crm(ada=[17])
    erasing.crm.script = lambda call: (200, body) if not seen.append(1) and len(seen) <= 2 else crm(call)
    erasing.request("ada")
    done = erasing.drive_all()
    assert (done["completed"], done["retries"]) == (1, 2)
    assert [method for method, _ in requests(erasing.crm)] == ["GET", "GET", "GET", "DELETE"]


@pytest.mark.parametrize("fault", [503, 504], ids=["busy", "lost"])
def test_a_retry_goes_on_at_the_call_that_failed(erasing, fault):
    """With the same key and the same id, whoever is found by now."""
    crm = Crm(ada=[17])
    deletes = []

    def script(call):
        if call.method == "DELETE" and not deletes.append(1) and len(deletes) <= 2:
            if len(deletes) == 2:
                crm.contacts["ada@example.com"][:] = [18]
            return fault
        return crm(call)

    erasing.crm.script = script
    erasing.request("ada")
    done = erasing.drive_all()
    assert (done["completed"], done["retries"], done["calls"]) == (1, 2, 4)
    assert [path for _, path in requests(erasing.crm)][1:] == ["/contacts/17"] * 3
    find, *erases = [call.key for call in erasing.crm.calls]
    assert re.fullmatch("[0-9a-f]+-ERASING_CONTACT", find) and re.fullmatch("[0-9a-f]+-ERASING_CONTACT-2-[0-9a-f]+", erases[0])
    assert len(set(erases)) == 1
    recorded = erasing.recorded("ada", "CONTACT_ERASED")
    assert (recorded["outcome"], recorded["attempts"]) == ("gone", 3)


def test_values_go_where_they_stand(erasing):
    """Path, query, header, JSON as text and as number, and form."""
    erasing.steps[:] = [
        {"get": "/who", "capture": {"number": "/number", "text": "/text"}},
        {"post": "/a/{number}?t={text}", "headers": {"X-Who": "<{text}>"},
         "json": {"number": "@", "text": "{text}", "quoted": "{number}"}, "capture": {"third": "/~1/0"}},
        {"post": "/b", "form": {"text": "{text}", "third": "{third}", "who": "{original_username}"}}]
    erasing.steps[1]["json"]["number"] = {"number": None}  # {number} without quotes, as YAML reads it
    text = "o'\"\\/?&=#{x} é"
    erasing.crm.script = lambda call: (200, {"number": -12 + 24, "text": text, "/": ["third"]})
    erasing.request("ada")
    assert erasing.drive_all()["completed"] == 1
    _, second, third = erasing.crm.calls
    assert second.path.startswith("/a/12?t=") and urllib.parse.unquote(second.path[8:]) == text
    assert second.json == {"number": 12, "text": text, "quoted": "12"}
    assert second.headers["X-Who"].encode("latin-1").decode() == f"<{text}>"
    assert urllib.parse.parse_qs(third.raw.decode(), strict_parsing=True) == {"text": [text], "third": ["third"], "who": ["ada"]}


def test_rounds_go_on_until_nobody_is_left(erasing):
    erasing.config["stages"][0]["http"]["rounds"] = 5
    del erasing.steps[1]["nothing_to_erase"]
    erasing.crm.script = Crm(ada=[1, 2, 3], bob=[])
    erasing.request_all(["ada", "bob"])
    done = erasing.drive_all()
    assert (done["completed"], done["calls"], done["retries"]) == (2, 8, 0)
    assert "outcome" not in erasing.recorded("ada", "CONTACT_ERASED")
    assert erasing.recorded("bob", "CONTACT_ERASED")["outcome"] == "nothing_to_erase"
    keys = [call.key for call in erasing.crm.calls]
    assert len(set(keys)) == len(keys) == 8


def test_a_fault_in_a_later_round_goes_on_in_that_round(erasing):
    erasing.config["stages"][0]["http"]["rounds"] = 5
    del erasing.steps[1]["nothing_to_erase"]
    crm, seen = Crm(ada=[1, 2]), []
    erasing.crm.script = lambda call: 503 if call.path.endswith("/2") and not seen.append(1) and len(seen) == 1 else crm(call)
    erasing.request("ada")
    done = erasing.drive_all()
    assert (done["completed"], done["retries"], done["calls"]) == (1, 1, 6)
    assert crm.contacts["ada@example.com"] == [] and "outcome" not in erasing.recorded("ada", "CONTACT_ERASED")


def test_a_driver_that_is_stopped_between_steps_gives_back(erasing):
    """The call under way ends; the next driver begins again with the first step."""
    gate = Gate(answer=(200, {"results": [{"id": 17}]}))
    erasing.crm.script = lambda call: gate(call) if call.method == "GET" else 204
    erasing.serve()
    erasing.request("ada")
    driver = erasing.start_driver()
    gate.wait_reached()
    driver.terminate()
    erasing.wait_said(driver, "stopping")
    gate.open()
    assert driver.wait(60) == 0
    assert [method for method, _ in requests(erasing.crm)] == ["GET"] and erasing.states() == {"ada": "ERASING_CONTACT"}
    assert erasing.drive_all()["completed"] == 1
    assert [method for method, _ in requests(erasing.crm)] == ["GET", "GET", "DELETE"]


def test_who_is_still_there_after_the_last_round_is_not_complete(erasing):
    erasing.config["stages"][0]["http"]["rounds"] = 3
    del erasing.steps[1]["nothing_to_erase"]
    answer(erasing, {"results": [{"id": 7}]})
    erasing.request("ada")
    assert erasing.drive_all()["errored"] == 1
    assert len(erasing.crm.calls) == 6
    assert erasing.recorded("ada", "ERRORED")["error"] == "something is still there after 3 rounds"


def test_steps_at_several_services(erasing, make_service):
    """The id is known to one, the data is at the other; each service's limits hold for its own calls."""
    erasing.store = make_service()
    erasing.service("store", erasing.store, max_concurrent=1)
    erasing.config["services"]["crm"]["max_concurrent"] = 4
    erasing.steps[1]["service"] = "store"
    names = [f"user{i}" for i in range(12)]
    erasing.crm.script = Crm(**{name: [i] for i, name in enumerate(names)})
    erasing.request_all(names)
    assert erasing.drive_all()["completed"] == 12
    assert len(erasing.crm.calls) == 12 and {method for method, _ in requests(erasing.crm)} == {"GET"}
    assert sorted(requests(erasing.store)) == sorted(("DELETE", f"/contacts/{i}") for i in range(12))
    assert erasing.store.most_at_once == 1 and erasing.crm.most_at_once <= 4


def test_a_later_service_that_is_down_is_probed_and_comes_back(erasing, make_service):
    """No person enters the stage while the service of its second step is down; one call tests it, then all go on."""
    erasing.store = make_service(script=lambda call: 503)
    erasing.service("store", erasing.store, max_concurrent=1, breaker={"failures": 3, "pause": "100ms"})
    erasing.steps[1]["service"] = "store"
    erasing.config["stages"][0]["retry"] = {"for": "60s", "first": "20ms", "longest": "50ms"}
    erasing.configure(driver={"poll": "100ms"})
    names = [f"user{i}" for i in range(8)]
    erasing.crm.script = Crm(**{name: [i] for i, name in enumerate(names)})
    erasing.request_all(names)
    erasing.serve()
    driver = erasing.start_driver()
    erasing.wait_said(driver, "service store fails")
    wait_for(lambda: len(erasing.store.calls) >= 6, "a few probes")
    erasing.store.script = lambda call: 204
    erasing.wait_states("COMPLETE")
    assert {path for _, path in requests(erasing.store)} == {f"/contacts/{i}" for i in range(8)}


def test_after_a_killed_driver_the_stage_goes_on_at_the_call_that_failed(erasing):
    crm = Crm(ada=[17])
    reached = threading.Event()
    erasing.config["stages"][0].update(timeout="2s", retry={"for": "1m", "first": "30s", "longest": "30s"})
    erasing.configure(driver={"lease": "14s", "poll": "100ms"})

    def script(call):
        if call.method == "DELETE" and not reached.is_set():
            reached.set()
            return 504
        return crm(call)

    erasing.crm.script = script
    erasing.serve()
    erasing.request("ada")
    driver = erasing.start_driver()
    assert reached.wait(60)
    erasing.kill(driver)
    assert erasing.drive_all()["completed"] == 1
    assert [method for method, _ in requests(erasing.crm)] == ["GET", "DELETE", "DELETE"]
    assert erasing.crm.calls[1].key == erasing.crm.calls[2].key


def test_the_plan_shows_every_step_and_whatever_is_captured_as_such(erasing):
    erasing.config["stages"][0]["http"]["rounds"] = 5
    del erasing.steps[1]["nothing_to_erase"]
    erasing.steps[1]["json"] = {"who": {"contact": None}, "mail": "{original_email}"}
    erasing.request("ada")
    said = erasing.ok("plan", "ada").out
    lines = [line.strip() for line in said.splitlines()]
    first = lines.index(f"1. ERASING_CONTACT: GET {erasing.crm.url}/contacts?email=a...%40e...")
    assert lines[first + 1:first + 5] == [
        "keeps {contact} of the answer; nothing to erase, if it is not there",
        f"then DELETE {erasing.crm.url}/contacts/{{contact}}", '{"who":{contact},"mail":"a...@e..."}',
        "again until nothing is found, 5 times at most"]
    assert "ERASING_CONTACT: 2 calls to crm" in erasing.ok("plan").out
    stage, = erasing.ok("plan", "ada", "--json").json["steps"]
    assert stage["captures"] == ["contact"] and stage["then"] == [
        {"call": f"DELETE {erasing.crm.url}/contacts/{{contact}}", "body": '{"who":{contact},"mail":"a...@e..."}', "captures": [], "poll": None}]
    assert erasing.crm.calls == []
