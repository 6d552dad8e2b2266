# SPDX-License-Identifier: Apache-2.0
"""How an answer is judged. Each test reads: of this kind, this answer came, and this is right."""
import gzip

import pytest

from services import first_time_for_each

DONE, NOTHING, FAILED, UNKNOWN = "done", "nothing_to_erase", "failed", "unknown"
HTML = {"Content-Type": "text/html; charset=utf-8"}
TEXT = {"Content-Type": "text/plain"}
XML = {"Content-Type": "application/xml"}
JSON = {"Content-Type": "application/json"}


@pytest.fixture
def erasing(site, make_service):
    """One stage at one service, site.store; the call itself is site.http. Nothing is tried again."""
    site.store = make_service()
    site.service("store", site.store, breaker="none")
    site.http = {"service": "store", "post": "/erase", "json": {"username": "{original_username}"}}
    site.stage("ERASING", "ERASED", http=site.http, retry="none")
    site.configure(driver={"poll": "100ms"})
    return site


def outcome(site, answer, name="ada"):
    """What becomes of a person whose call is answered so."""
    site.store.script = answer if callable(answer) else lambda call: answer
    site.request(name)
    site.drive_all()
    recorded = site.recorded(name, "ERASED" if site.states()[name] == "COMPLETE" else "ERRORED")
    return recorded.get("outcome", DONE)


# ---- case 2: a router's 404 is about a path, and not about a person ----

NOT_ITS_OWN = {
    "a router": ("default backend - 404", TEXT),
    "a library": ("404 page not found\n", TEXT),
    "a router that says a number": ("404", TEXT),
    "no type": ("no such route", {}),
    "a web server": ("<html><head><title>404 Not Found</title></head></html>", HTML),
    "a page called JSON": ("<!DOCTYPE html><h1>Sign in</h1>", JSON),
    "a store": ('<?xml version="1.0"?><Error><Code>NoSuchBucket</Code></Error>', XML),
    "cut": ('{"detail": "No such us', JSON),
    "cut, and called nothing": ('{"detail": "No such us', {}),
    "two values": ('{"detail": 1}{"detail": 2}', JSON),
    "no UTF-8": (b'{"detail": "\xff"}', JSON),
    "a router that says a number, and no type": ("404", {}),
    "a fraction": ("4.04e2", {}),
}

# Pages in other forms, and what is no text: not even with status 200 a success.
NO_TEXT = {
    "a comment first": ("<!-- nginx --><!DOCTYPE html><html></html>", {}),
    "comments, called text": ("<!-- a --> <!-- b -->\n<html></html>", TEXT),
    "XHTML": ('<?xml version="1.0"?>\n<!DOCTYPE html PUBLIC "x"><html></html>', XML),
    "a head alone": ("<head><title>Sign in</title></head>", {}),
    "a body alone": ("<body class=x>Sign in</body>", {}),
    "a heading": ("<h1>Sign in</h1>", TEXT),
    "a script that goes elsewhere": ("<script>location = '/login'</script>", TEXT),
    "a form feed first": ("\f<HTML>", {}),
    "a doctype on two lines": ("<!doctype\nhtml>", {}),
    "UTF-16": ("<html>".encode("utf-16"), HTML),
    "packed": (gzip.compress(b"<html>sign in</html>"), {"Content-Encoding": "gzip", **HTML}),
    "packed, and called nothing": (gzip.compress(b"OK"), {}),
}


@pytest.mark.parametrize("status", [404, 410])
@pytest.mark.parametrize("who", NOT_ITS_OWN)
def test_an_answer_that_is_not_the_services_own_is_never_nothing_to_erase(erasing, who, status):
    body, headers = NOT_ITS_OWN[who]
    erasing.http["nothing_to_erase"] = [404, 410]
    assert outcome(erasing, (status, body, headers)) == UNKNOWN


@pytest.mark.parametrize("who", NO_TEXT)
def test_a_page_in_any_form_is_no_success(erasing, who):
    assert outcome(erasing, (200, *NO_TEXT[who])) == UNKNOWN


@pytest.mark.parametrize("body, headers", [("OK", HTML), ("<ok/>", XML), ("gel\xf6scht".encode("latin-1"), TEXT), ("1", {}), ("<hr> done", TEXT)])
def test_a_word_is_one(erasing, body, headers):
    assert outcome(erasing, (200, body, headers)) == DONE


@pytest.mark.parametrize("who", ["a router", "a web server", "a store", "cut"])
def test_nor_done_where_gone_already_is_a_success(erasing, who):
    body, headers = NOT_ITS_OWN[who]
    erasing.http["success"] = [204, 404]
    assert outcome(erasing, (404, body, headers)) == UNKNOWN


def test_it_may_be_over_the_next_time(erasing):
    """The route comes back while the call is being repeated."""
    erasing.config["stages"][0]["retry"] = {"for": "60s", "first": "10ms", "longest": "50ms"}
    erasing.http["nothing_to_erase"] = [404]
    assert outcome(erasing, first_time_for_each((404, "default backend - 404", TEXT), 204)) == DONE
    assert len(erasing.store.calls) == 2


@pytest.mark.parametrize("body, headers", [("", {}), ("", HTML), ({"detail": "Not found."}, JSON), ("null", JSON), ("[]", TEXT),
                                           ({"code": "unknown_user"}, {"Content-Type": "application/problem+json"})])
def test_an_empty_answer_or_whole_json_is_the_services_own(erasing, body, headers):
    erasing.http["nothing_to_erase"] = [404]
    assert outcome(erasing, (404, body, headers)) == NOTHING


@pytest.mark.parametrize("who", NOT_ITS_OWN)
def test_nor_is_it_a_proof(erasing, who):
    """The erasure is well; the look finds a router."""
    body, headers = NOT_ITS_OWN[who]
    erasing.config["stages"][0]["verify"] = {
        "http": {"service": "store", "get": "/people/{original_username}"}, "expect": {"status": [404]}}
    assert outcome(erasing, lambda call: 204 if call.method == "POST" else (404, body, headers)) == UNKNOWN


@pytest.mark.parametrize("expect", [[404], {"status": [404, 410]}, {"status": 404},
                                    [{"status": 404, "json": {"/detail": {"matches": "^Not found"}}}]], ids=str)
def test_the_services_own_404_is_a_proof(erasing, expect):
    erasing.config["stages"][0]["verify"] = {"http": {"service": "store", "get": "/people/{original_username}"}, "expect": expect}
    assert outcome(erasing, lambda call: 204 if call.method == "POST" else (404, {"detail": "Not found."}, JSON)) == DONE


@pytest.mark.parametrize("answer, right", [
    ((200, {"hits": []}), DONE), ((200, {"hits": [1]}), "residue"), ((200, {"error": "busy"}), UNKNOWN),
    ((200, "<html>we will be back</html>", HTML), UNKNOWN), ((200, ""), UNKNOWN), ((404, {"hits": []}), UNKNOWN)], ids=str)
def test_a_proof_by_what_the_answer_says(erasing, answer, right):
    erasing.config["stages"][0]["verify"] = {
        "http": {"service": "store", "get": "/search?user={original_username}"}, "expect": [{"status": 200, "json": {"/hits": {"empty": True}}}]}
    assert outcome(erasing, lambda call: 204 if call.method == "POST" else answer) == right


ABSENT = [{"status": 200, "json": {"/user": {"absent": True}}}]


@pytest.mark.parametrize("answer, right", [({}, DONE), ({"user": None}, DONE), ({"user": {"id": 7}}, "residue"),
                                           ([{"user": "ada"}], UNKNOWN), ("\"ada\"", UNKNOWN), ("true", UNKNOWN)], ids=str)
def test_what_is_absent_from_another_form_is_no_proof(erasing, answer, right):
    erasing.config["stages"][0]["verify"] = {"http": {"service": "store", "get": "/people/{original_username}"}, "expect": ABSENT}
    assert outcome(erasing, lambda call: 204 if call.method == "POST" else (200, answer, JSON)) == right


# ---- case 5: partly done ----

RENAMED = [{"status": 200, "json": {"/failed_replacements": {"empty": True}}}]
WELL = [{"status": 200, "json": {"/success": True}}]
GRAPHQL = [{"status": 200, "json": {"/errors": {"absent": True}, "/data/deleteUser": {"exists": True}}}]
CERTIFICATES = [{"status": [200, 207], "json": {"/failed": {"empty": True}}}]


@pytest.mark.parametrize("success, answer, right", [
    (None, (207, {"failed": []}), FAILED),
    (RENAMED, (200, {"successful_replacements": ["x"], "failed_replacements": []}), DONE),
    (RENAMED, (200, {"successful_replacements": [], "failed_replacements": ["x"]}), FAILED),
    (RENAMED, (200, {"failed_replacements": "x"}), FAILED),
    (RENAMED, (200, {}), FAILED),
    (RENAMED, (200, []), FAILED),
    (RENAMED, (200, ""), UNKNOWN),
    (RENAMED, (200, "OK"), UNKNOWN),
    (RENAMED, (200, "<html></html>", HTML), UNKNOWN),
    (RENAMED, (201, {"failed_replacements": []}), FAILED),
    (WELL, (200, {"success": True}), DONE),
    (WELL, (200, {"success": False}), FAILED),
    (WELL, (200, {"success": None}), FAILED),
    (WELL, (200, {"success": [True]}), FAILED),
    (GRAPHQL, (200, {"data": {"deleteUser": {"id": 7}}}), DONE),
    (GRAPHQL, (200, {"data": {"deleteUser": {"id": 7}}, "errors": None}), DONE),
    (GRAPHQL, (200, {"data": {"deleteUser": None}, "errors": [{"message": "no"}]}), FAILED),
    (GRAPHQL, (200, {"data": {"deleteUser": {"id": 7}}, "errors": [{"message": "in part"}]}), FAILED),
    (GRAPHQL, (200, {"data": {"deleteUser": None}}), FAILED),
    (CERTIFICATES, (207, {"processed": 3, "failed": []}), DONE),
    (CERTIFICATES, (207, {"processed": 3, "failed": ["cert"]}), FAILED),
    (CERTIFICATES, (200, {"processed": 0, "failed": []}), DONE),
    ([{"status": 200, "json": {"": True}}], (200, "true"), DONE),
    ([{"status": 200, "json": {"": True}}], (200, "false"), FAILED),
    ([{"status": 200, "json": {"/state": ["done", "finished"]}}, 204], (200, {"state": "finished"}), DONE),
    ([{"status": 200, "json": {"/state": ["done", "finished"]}}, 204], (200, {"state": "queued"}), FAILED),
    ([{"status": 200, "json": {"/state": ["done", "finished"]}}, 204], 204, DONE),
    ([{"status": 200, "json": {"/left": 0}}], (200, {"left": 0}), DONE),
    ([{"status": 200, "json": {"/left": 0}}], (200, {"left": 2}), FAILED),
    ([{"status": 200, "json": {"/state": {"matches": "^(gone|done)$"}}}], (200, {"state": "done"}), DONE),
    ([{"status": 200, "json": {"/state": {"matches": "^(gone|done)$"}}}], (200, {"state": "undone"}), FAILED),
], ids=str)
def test_partly_done_is_not_done(erasing, success, answer, right):
    if success:
        erasing.http["success"] = success
    assert outcome(erasing, answer) == right


def test_the_record_says_where_and_not_what(erasing):
    erasing.http["success"] = RENAMED
    outcome(erasing, (200, {"failed_replacements": ["ada's secret"]}))
    failed = erasing.recorded("ada", "ERRORED")
    assert failed["error"] == "the answer says something else at /failed_replacements" and failed["status"] == 200
    assert "secret" not in erasing.ok("retirement", "failures").out


@pytest.mark.parametrize("answer, right", [
    ((200, {"code": "UNKNOWN_USER"}), NOTHING), ((200, {"code": "ERASED"}), DONE),
    ((500, {"detail": "user not found with id: 7"}), NOTHING), ((500, {"detail": "disk is full"}), FAILED), ((500, "user not found"), FAILED),
    ((404, {"detail": "user"}), NOTHING), ((404, "user"), UNKNOWN)], ids=str)
def test_nothing_to_erase_by_what_the_answer_says(erasing, answer, right):
    """Even where the service has only one status for it, or a wrong one."""
    erasing.http["nothing_to_erase"] = [{"status": 200, "json": {"/code": ["UNKNOWN_USER"]}}, 404,
                                        {"status": 500, "json": {"/detail": {"matches": "not found"}}}]
    assert outcome(erasing, answer) == right


# ---- case 26: later is later ----

@pytest.mark.parametrize("answer", [
    408, 423, 425, 429, 477, 500, 507, 599, (400, "", {"Retry-After": "0"}), (403, "", {"Retry-After": "0.5"}),
    (404, "", {"Retry-After": "1"}), (409, {"a": 1}, {"Retry-After": "Thu, 01 Jan 1970 00:00:00 GMT"}),
    (202, "", {"Retry-After": "soon"}), (302, "", {"Retry-After": "0.0"}),
    (400, [{"errorCode": "UNABLE_TO_LOCK_ROW"}]), (409, "<html>", HTML)], ids=str)
def test_what_is_later_is_asked_for_again(erasing, answer):
    erasing.config["stages"][0]["retry"] = {"for": "60s", "first": "10ms", "longest": "50ms"}
    erasing.http["again"] = [{"status": 400, "json": {"/0/errorCode": "UNABLE_TO_LOCK_ROW"}}, 409]
    erasing.http["nothing_to_erase"] = [404]
    assert outcome(erasing, first_time_for_each(answer)) == DONE
    assert erasing.recorded("ada", "ERASED")["attempts"] == 2


@pytest.mark.parametrize("answer", [(400, [{"errorCode": "MALFORMED_ID"}]), (400, "UNABLE_TO_LOCK_ROW"), 409, 403], ids=str)
def test_what_is_not_later_is_final(erasing, answer):
    erasing.config["stages"][0]["retry"] = {"for": "60s", "first": "10ms", "longest": "50ms"}
    erasing.http["again"] = [{"status": 400, "json": {"/0/errorCode": "UNABLE_TO_LOCK_ROW"}}]
    assert outcome(erasing, first_time_for_each(answer)) == FAILED
    assert len(erasing.store.calls) == 1


def test_a_success_stays_one_whatever_it_says_of_later(erasing):
    assert outcome(erasing, (200, "", {"Retry-After": "86400"})) == DONE


@pytest.mark.parametrize("wish", ["86400", "7200.5", "120", "9" * 10, "9" * 20])
@pytest.mark.parametrize("status", [429, 503, 423, 404])
def test_a_wait_beyond_the_budget_is_held_by_nobody(erasing, status, wish):
    """The person is put off, without an attempt on record, and comes back by themselves."""
    erasing.config["stages"][0]["retry"] = {"for": "1m", "first": "10ms", "longest": "50ms"}
    erasing.store.script = first_time_for_each((status, "", {"Retry-After": wish}))
    erasing.serve()
    ada = erasing.request("ada")
    done = erasing.drive_all()
    assert (done["errored"], done["completed"], done["later"]) == (0, 0, 1)
    assert erasing.states() == {"ada": "ERASING"} and erasing.one(ada["id"])["lease"] is None
    assert len(erasing.store.calls) == 1


# ---- polls take the same conditions ----

@pytest.mark.parametrize("answers, right", [
    ([(200, {"state": "running"}), (200, {"state": "done"})], DONE), ([(200, {"state": "running"}), (404, {})], DONE),
    ([(404, "default backend - 404", TEXT), (404, "")], DONE), ([(410, "")], FAILED), ([(200, {"state": "failed", "why": "x"})], FAILED)], ids=str)
def test_a_poll_is_judged_alike(erasing, answers, right):
    said = iter(answers)
    erasing.config["stages"][0].update(retry={"for": "60s", "first": "10ms", "longest": "50ms"}, http={
        "service": "store", "steps": [{"get": "/erasure/{original_username}", "poll": {
            "finished": [{"status": 200, "json": {"/state": ["done"]}}, 404],
            "failed": [410, {"status": 200, "json": {"/state": "failed", "/why": {"exists": True}}}], "every": "1s"}}]})
    erasing.store.script = lambda call: next(said)
    erasing.request("ada")
    erasing.run_all()
    erasing.wait_states("COMPLETE" if right == DONE else "ERRORED")
    recorded = erasing.recorded("ada", "ERASED" if right == DONE else "ERRORED")
    assert recorded.get("outcome", DONE) == right and len(erasing.store.calls) == len(answers)


# ---- hooks too ----

@pytest.mark.parametrize("answer, delivered", [((200, {"ok": True}), True), ((200, {"ok": False}), False)], ids=str)
def test_a_hook_is_judged_alike(erasing, make_service, answer, delivered):
    app = make_service(script=lambda call: answer)
    erasing.service("app", app)
    erasing.config["on_request"] = [{"name": "app", "http": {
        "service": "app", "post": "/lock", "json": {"user": "{original_username}"},
        "success": [{"status": 200, "json": {"/ok": True}}]}}]
    erasing.request("ada")
    erasing.drive_all()
    undelivered = erasing.ok("outbox", "list", "--json").json
    assert (undelivered == []) == delivered and len(app.calls) == 1
