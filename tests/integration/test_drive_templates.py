# SPDX-License-Identifier: Apache-2.0
"""Hostile names: encoded by where they stand, they never become another path, field or header."""
import hashlib
import urllib.parse

import pytest

HOSTILE = ["ada", "Ada Lovelace", "../../admin", "a/b/c", "a?x=1&y=2#z", "100%", "%2e%2e%2f", "%00", "'; DROP TABLE users;--",
           "quote\"back\\slash", "{original_email}", "{}", "{{", "&amp;<script>", "a+b=c;d,e", "ÉlodieΣ", "日本語", "😀",
           "e\u0301 combining", "\u202eright to left", "a:b@c", "[::1]", "~!$*()", "\u00a0", "null", "true", "0", "-1"]


@pytest.fixture
def erasing(site, make_service):
    """Every place where a name can stand: path, query, JSON, header, and form at a second stage."""
    site.store = make_service()
    site.service("store", site.store)
    site.stage("ERASING", "ERASED",
               http={"service": "store", "put": "/users/{original_username}/erase?who={original_username}&fixed=1",
                     "headers": {"X-Who": "<{original_username}>"},
                     "json": {"username": "{original_username}", "nested": [{"deep": "{{{original_username}}}"}],
                              "number": 7, "id": "{retirement_id}"}},
               retry="none")
    site.stage("FORGETTING", "FORGOTTEN",
               http={"service": "store", "post": "/forget",
                     "form": {"who": "{original_username}", "mail": "{original_email}", "fixed": "a&b"}}, retry="none")
    return site


def seen_by_the_service(call):
    """A call of the first stage, as a careful service reads it: the same name everywhere."""
    path, _, query = call.path.partition("?")
    before, users, name, erase = path.split("/")
    assert (before, users, erase) == ("", "users", "erase")
    query = urllib.parse.parse_qs(query, strict_parsing=True)
    assert set(query) == {"who", "fixed"} and query["fixed"] == ["1"]
    assert set(call.json) == {"username", "nested", "number", "id"} and call.json["number"] == 7
    header = call.headers["X-Who"].encode("latin-1").decode("utf-8")
    return {urllib.parse.unquote(name, errors="strict"), query["who"][0], call.json["username"],
            call.json["nested"][0]["deep"][1:-1], header[1:-1]}


def test_a_hostile_name_is_the_same_name_everywhere(erasing):
    erasing.serve()
    for n, name in enumerate(HOSTILE):
        erasing.request(name, email=f"user{n}@example.com")
    done = erasing.drive_all()
    assert (done["completed"], done["errored"]) == (len(HOSTILE), 0)

    paths = [call for call in erasing.store.calls if call.method == "PUT"]
    assert all(len(seen_by_the_service(call)) == 1 for call in paths)
    assert {call.json["username"] for call in paths} == set(HOSTILE)
    assert all(call.path.isascii() and " " not in call.path for call in paths)

    forms = [urllib.parse.parse_qs(call.raw.decode(), strict_parsing=True) for call in erasing.store.calls
             if call.path == "/forget"]
    assert all(set(form) == {"who", "mail", "fixed"} and form["fixed"] == ["a&b"] for form in forms)
    assert {form["who"][0] for form in forms} == set(HOSTILE)
    assert {(form["who"][0], form["mail"][0]) for form in forms} == {
        (name, f"user{n}@example.com") for n, name in enumerate(HOSTILE)}


@pytest.mark.parametrize("name", [".", ".."])
def test_a_name_that_would_be_another_path_is_not_called(erasing, name):
    erasing.serve()
    erasing.request(name, email="dots@example.com")
    assert erasing.drive_all()["errored"] == 1
    assert erasing.store.calls == []
    failed = erasing.recorded(name, "ERRORED")
    assert "of the path" in failed["error"] and failed["status"] is None


def test_dots_stand_in_a_body_without_harm(erasing):
    del erasing.config["stages"][0]
    erasing.serve()
    erasing.request("..", email="dots@example.com")
    assert erasing.drive_all()["completed"] == 1


@pytest.mark.parametrize("name", ["line\nbreak", "carriage\rreturn", "X: y\r\nEvil: yes", "esc\x1b[2J", "\x7f", "\x85"],
                         ids=repr)
def test_control_characters_are_refused_at_the_request(erasing, name):
    erasing.serve()
    answer = erasing.post("/v1/retirements", {"username": name, "email": "evil@example.com"})
    assert answer.status == 400 and "username" in answer.json["detail"], answer
    assert name not in answer.json["detail"]
    assert erasing.drive_all()["people"] == 0


def test_a_value_that_is_not_known_is_an_error_of_the_stage(erasing):
    """A person without a name, where the path needs one."""
    erasing.config["stages"][0]["http"]["put"] = "/users/{original_name}"
    erasing.request("ada")
    assert erasing.drive_all()["errored"] == 1
    assert erasing.store.calls == [] and "{original_name}" in erasing.recorded("ada", "ERRORED")["error"]


def test_the_retired_forms_and_numbers_are_there_too(erasing):
    erasing.config["stages"] = []
    erasing.stage("RENAMING", "RENAMED",
                  http={"service": "store", "patch": "/users/{user_id}",
                        "json": {"name": "{retired_username}", "mail": "{retired_email}", "of": "{original_email}",
                                 "hash": "{original_email:lower:md5}", "request": ["{request_uuid}", "{requested_at}"]}})
    erasing.request("Learner1", email="A.Learner@Example.COM", account_id=4711)
    assert erasing.drive_all()["completed"] == 1
    call, = erasing.store.calls
    assert call.method == "PATCH" and call.path == "/users/4711"
    asked = erasing.show("Learner1")
    assert call.json == {
        "name": "retired__user_ab727831c5038a2dc4a4d8116ce566401185e0d7",
        "mail": "retired__user_fcd91a47693ab9b02565bd0a384f24d67fb09708@retired.invalid",
        "of": "A.Learner@Example.COM",
        "hash": hashlib.md5(b"a.learner@example.com").hexdigest(),
        "request": [asked["uuid"], asked["created"][:19] + "Z"]}


def test_an_account_id_is_any_text(site, make_service):
    """A UUID reaches the service as it is, and the LMS's calls keep a number; other ids are other people."""
    uuid, key = "F81d4fae-7dec-11d0-a765-00a0c91e6bf6", "a/b c"
    service = make_service()
    site.service("shop", service)
    site.stage("ERASING_ORDERS", "ORDERS_ERASED", http={"service": "shop", "delete": "/customers/{user_id}"}, retry="none")
    (site.folder / "people.csv").write_text(f"account_id,username,email\n{key},bob,bob@example.com\n")
    site.ok("account", "import", "people.csv")
    site.ok("retirement", "request", "--username", "ada", "--email", "ada@example.com", "--account-id", uuid)
    site.ok("retirement", "request", "--username", "bob", "--email", "bob@example.com", "--account-id", key)
    assert site.lethe("retirement", "request", "--username", "ada", "--email", "ada@example.com", "--account-id", uuid.lower()).code == 4
    shown = site.show("ada")
    assert (shown["account_id"], shown["user"]["id"], shown["user_id_known"]) == (uuid, 2, True)
    site.drive()
    assert sorted(call.path for call in service.calls) == ["/customers/" + uuid, "/customers/a%2Fb%20c"]


def test_a_number_that_nobody_gave_is_not_made_up(site, make_service):
    """Our own number could be that of another person in the service."""
    service = make_service()
    site.service("shop", service)
    site.stage("ERASING_ORDERS", "ORDERS_ERASED", http={"service": "shop", "delete": "/customers/{user_id}"}, retry="none")
    site.ok("retirement", "request", "--username", "ada", "--email", "ada@example.com", "--account-id", "4711")
    site.ok("retirement", "request", "--username", "bob", "--email", "bob@example.com")
    site.drive()
    assert [call.path for call in service.calls] == ["/customers/4711"]
    assert site.show("ada")["state"] == "COMPLETE"
    bob = site.show("bob")
    assert bob["state"] == "ERRORED" and "user_id" in bob["responses"]
