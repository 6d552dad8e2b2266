# SPDX-License-Identifier: Apache-2.0
"""Partner organisations: people are queued, reported and taken off the list; and many retired by their names."""
import urllib.parse

import pytest

EDX = "/api/user/v1/accounts/"
REPORT, CLEAN = EDX + "retirement_partner_report/", EDX + "retirement_partner_report_cleanup/"
BULK = "/v1/accounts/bulk_retire_users"


def member(site, *orgs, state="RETIRING_LMS"):
    """A person of the directory with these organisations, in this state."""
    site.members = getattr(site, "members", 0) + 1
    name = f"member{site.members}"
    account = site.post("/v1/accounts", {"username": name, "email": f"{name}@example.com", "name": f"Name of {name}",
                                         "orgs": list(orgs)})
    assert account.status == 201, account
    site.request(name)
    if state != "PENDING":
        assert site.patch(name, state, extra={"force": True}).status == 204
    return name


def queue(site, username):
    return site.put(REPORT, {"username": username})


def take(site, query=""):
    answer = site.post(REPORT + query)
    assert answer.status == 200, answer
    return answer.json


def clean(site, *usernames):
    return site.post(CLEAN, [{"original_username": name} for name in usernames])


def names(rows):
    return [row["original_username"] for row in rows]


@pytest.fixture
def empty(authority):
    """No person is on the list."""
    left = names(take(authority, "?again=true"))
    assert not left or clean(authority, *left).status == 204
    return authority


# ---- queueing ----

def test_queue_and_take(empty):
    one, two = member(empty, "edX", "ΟΔΟΣ, Inc."), member(empty, "edX")
    assert queue(empty, two).status == 204 and queue(empty, one).status == 204
    rows = take(empty)
    assert names(rows) == [two, one]
    assert list(rows[1]) == ["user_id", "original_username", "original_email", "original_name", "orgs", "created"]
    assert rows[1]["user_id"] == empty.status(one).json["user"]["id"]
    assert rows[1]["original_email"] == f"{one}@example.com" and rows[1]["original_name"] == f"Name of {one}"
    assert rows[1]["orgs"] == ["edX", "ΟΔΟΣ, Inc."] and rows[1]["created"] > rows[0]["created"]
    assert take(empty) == []
    assert names(take(empty, "?again=true")) == [two, one]


def test_repeating_is_harmless(empty):
    name = member(empty, "edX")
    for _ in range(3):
        answer = queue(empty, name)
        assert answer.status == 204 and answer.raw == b""
    assert names(take(empty)) == [name]
    assert queue(empty, name).status == 204
    assert take(empty) == []


def test_without_organisations(empty):
    assert queue(empty, member(empty)).status == 204
    assert take(empty) == []


def test_organisations_of_who_is_brought_along(empty):
    asked = empty.post("/v1/retirements", {"username": "guest", "email": "guest@example.com", "orgs": ["guests"]})
    assert asked.status == 201
    empty.patch("guest", "RETIRING_FORUMS")
    assert queue(empty, "guest").status == 204
    assert [row["orgs"] for row in take(empty)] == [["guests"]]


@pytest.mark.parametrize("state", ["PENDING", "FORUMS_COMPLETE", "LMS_COMPLETE", "ERRORED", "ABORTED", "COMPLETE"])
def test_only_in_a_working_state(empty, state):
    answer = queue(empty, member(empty, "edX", state=state))
    assert answer.status == 400 and isinstance(answer.json, str) and state in answer.json
    assert take(empty) == []


@pytest.mark.parametrize("body", [{}, {"username": ""}, {"username": None}])
def test_without_a_user_name(authority, body):
    answer = authority.put(REPORT, body)
    assert answer.status == 404 and answer.json == {"message": "The user was not specified."}


@pytest.mark.parametrize("name", ["nobody-of-this-name", "MEMBER1"])
def test_of_somebody_unknown(authority, name):
    answer = queue(authority, name)
    assert answer.status == 404 and answer.raw == b""


def test_a_name_that_is_no_text(authority):
    answer = authority.put(REPORT, {"username": 7})
    assert answer.status == 400 and "username" in answer.json


def test_again_is_true_or_false(authority):
    answer = authority.post(REPORT + "?again=maybe")
    assert answer.status == 400 and "again" in answer.json


# ---- off the list ----

def test_cleaning_takes_exactly_those(empty):
    people = [member(empty, "edX") for _ in range(3)]
    for name in people:
        queue(empty, name)
    take(empty)
    answer = clean(empty, people[0], people[2])
    assert answer.status == 204 and answer.raw == b""
    assert names(take(empty, "?again=true")) == [people[1]]


def test_counts_that_differ_change_nothing(empty):
    taken, waiting = member(empty, "edX"), member(empty, "edX")
    queue(empty, taken)
    take(empty)
    queue(empty, waiting)
    for wrong in ([taken, waiting], [taken, "nobody"], [taken, taken], [taken.upper()]):
        answer = clean(empty, *wrong)
        assert answer.status == 400 and isinstance(answer.json, str)
        given, found = answer.json.split("Given: ")[1].split(", being processed: ")
        assert given.replace('"', "") == "[" + ",".join(wrong) + "]"
        assert found == (f'["{taken}"]' if taken in wrong else "[]")
    assert names(take(empty)) == [waiting]
    assert clean(empty, taken, waiting).status == 204


@pytest.mark.parametrize("body, words", [
    ([], ["No original_usernames given."]),
    ([1], ["item 1", "object"]),
    (["ada"], ["item 1", "object"]),
    ([{"original_username": "ada"}, {}], ["item 2", "original_username", "missing"]),
    ([{"original_username": ""}], ["item 1", "missing"]),
    ([{"original_username": 1}], ["original_username", "string"]),
    ({"original_username": "ada"}, ["array", "object"]),
])
def test_what_is_refused(authority, body, words):
    answer = authority.post(CLEAN, body)
    assert answer.status == 400 and isinstance(answer.json, str)
    for word in words:
        assert word in answer.json, answer


def test_who_is_cleaned_up_stays_on_the_list_until_reported(empty):
    name = member(empty, "edX")
    queue(empty, name)
    [before] = take(empty)
    empty.patch(name, "COMPLETE", extra={"force": True})
    assert empty.post(EDX + "retirement_cleanup/", {"usernames": [name]}).status == 204
    assert empty.status(name).status == 404
    assert take(empty, "?again=true") == [before]
    assert clean(empty, name).status == 204
    assert take(empty, "?again=true") == []
    assert clean(empty, name).status == 400


def test_a_driver_may_queue(empty):
    name = member(empty, "edX")
    drive = empty.token("retirement:drive")
    assert empty.put(REPORT, {"username": name}, token=drive).status == 204
    form = urllib.parse.urlencode({"username": name}).encode()
    answer = empty.call("PUT", REPORT, raw=form, token=drive, headers={"Content-Type": "application/x-www-form-urlencoded"})
    assert answer.status == 204
    assert names(take(empty)) == [name]


@pytest.mark.parametrize("method, path", [("POST", REPORT), ("PUT", REPORT), ("POST", CLEAN)])
def test_scopes(authority, method, path):
    body = [{"original_username": "x"}] if path == CLEAN else {"username": "nobody-of-this-name"}
    answer = authority.call(method, path, body, token=authority.token("retirement:read retirement:request"))
    assert answer.status == 403 and "retirement:partner" in answer.json["detail"]
    assert authority.call(method, path, body, token="").status == 401
    allowed = authority.call(method, path, body, token=authority.token("retirement:partner"))
    assert allowed.status in (200, 400, 404)


# ---- many by name ----

def member_account(site):
    site.members = getattr(site, "members", 0) + 1
    name = f"member{site.members}"
    assert site.post("/v1/accounts", {"username": name, "email": f"{name}@example.com"}).status == 201
    return name


def bulk(site, usernames, **options):
    return site.post(BULK, {"usernames": usernames}, **options)


def test_bulk_gives_two_lists(authority):
    one, two, live = (member_account(authority) for _ in range(3))
    authority.request(live)
    answer = bulk(authority, f"{one}, {two} ,nobody-of-this-name,{live},,{one.upper()},{one}")
    assert answer.status == 200
    assert answer.json == {"successful_user_retirements": [one, two],
                           "failed_user_retirements": ["nobody-of-this-name", live, one.upper(), one]}
    assert authority.state_of(one) == authority.state_of(two) == "PENDING"


def test_bulk_by_form(authority):
    name = member_account(authority)
    answer = authority.call("POST", BULK, raw=urllib.parse.urlencode({"usernames": name + ",x"}).encode(),
                            headers={"Content-Type": "application/x-www-form-urlencoded; charset=utf-8"})
    assert answer.status == 200
    assert answer.json == {"successful_user_retirements": [name], "failed_user_retirements": ["x"]}


def test_bulk_of_nobody(authority):
    for text in ("", " , "):
        assert bulk(authority, text).json == {"successful_user_retirements": [], "failed_user_retirements": []}


def test_bulk_knows_nothing_of_who_was_brought_along(authority):
    authority.somebody("ABORTED", name="stranger")
    assert bulk(authority, "stranger").json["failed_user_retirements"] == ["stranger"]


@pytest.mark.parametrize("raw", [b"", b"{", b"[]", b"{}", b'{"usernames": null}', b'{"usernames": ["a"]}', b'{"usernames": 1}', b"\xff"])
def test_bulk_refuses(authority, raw):
    answer = authority.call("POST", BULK, raw=raw, headers={"Content-Type": "application/json"})
    assert answer.status == 400 and isinstance(answer.json, str)


def test_bulk_needs_its_scope(authority):
    name = member_account(authority)
    assert bulk(authority, name, token=authority.token("retirement:request")).status == 403
    assert bulk(authority, name, token="").status == 401
    assert authority.status(name).status == 404


def test_a_request_for_too_many_names_is_refused_whole(authority):
    names = ",".join(f"many{i}" for i in range(1001))
    answer = authority.post(BULK, {"usernames": names})
    assert answer.status == 400 and "more than 1000 names; send several requests" in answer.json
    assert authority.post(BULK, {"usernames": names.rpartition(",")[0]}).status == 200
