# SPDX-License-Identifier: Apache-2.0
"""Access: the token endpoint, what a token permits and for how long, what a scope permits."""
import base64
import hashlib
import hmac
import json
import time
import urllib.parse

import pytest

from contract import contract
from site_under_test import ALL_SCOPES, wait_for

STATUS = "/api/user/v1/accounts/nobody/retirement_status/"
DOORS = {"/oauth2/access_token", "/v1/sessions", "/v1/password-resets"}  # calls that give credentials
UNPROTECTED = DOORS | {"/healthz", "/readyz", "/metrics", "/openapi.yaml"}
# Each call of openapi.yaml, as (method, path, scope).
CALLS = [(method.upper(), path, operation["x-scope"]) for path, item in contract.document["paths"].items()
         for method, operation in item.items()]
PROTECTED = [call for call in CALLS if call[2] != "none"]


@pytest.fixture(scope="module")
def worker(authority):
    return authority.client("worker", "retirement:read retirement:drive")


def basic(user, password):
    return {"Authorization": "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()}


def expect_oauth(answer, status, error):
    assert answer.status == status and answer.json["error"] == error, answer
    assert answer.json["error_description"]
    if status == 401:
        assert answer.headers["WWW-Authenticate"] == 'Basic realm="lethe"'


def parts(token):
    return [json.loads(base64.urlsafe_b64decode(part + "==")) for part in token.split(".")[:2]]


def forge(header, payload, key=b"", digest=hashlib.sha256):
    def encode(data):
        return base64.urlsafe_b64encode(data).rstrip(b"=").decode()
    text = encode(json.dumps(header).encode()) + "." + encode(json.dumps(payload).encode())
    return text + "." + (encode(hmac.new(key, text.encode(), digest).digest()) if key else "")


# ---- the token endpoint ----

def test_a_token_by_form_and_by_basic(authority, worker):
    id, secret = worker["client_id"], worker["client_secret"]
    answer = authority.ask_token(client_id=id, client_secret=secret, token_type="jwt")
    assert list(answer.json) == ["access_token", "expires_in", "token_type", "scope"]
    assert answer.json["expires_in"] == 3600 and answer.json["token_type"] == "JWT"
    assert sorted(answer.json["scope"].split()) == ["retirement:drive", "retirement:read"]
    assert answer.headers["Cache-Control"] == "no-store"
    assert authority.ask_token(client_id=id, client_secret=secret).json["token_type"] == "JWT"
    assert authority.ask_token(headers=basic(id, secret), token_type="bearer").json["token_type"] == "Bearer"
    assert authority.ask_token(headers=basic(id, secret), client_id="x", client_secret="y").status == 200
    assert authority.ask_token(headers=basic(id, secret + "x"), client_id=id, client_secret=secret).status == 401


def test_both_schemes_are_taken_in_any_case(authority, worker):
    token = authority.token_of(worker)
    for scheme in ("JWT", "Bearer", "jwt", "BEARER"):
        assert authority.get(STATUS, token="", headers={"Authorization": f"{scheme} {token}"}).status == 404


def test_a_token_with_fewer_scopes(authority, worker):
    id, secret = worker["client_id"], worker["client_secret"]
    answer = authority.ask_token(client_id=id, client_secret=secret, scope="retirement:read")
    assert answer.json["scope"] == "retirement:read"
    token = answer.json["access_token"]
    assert authority.get(STATUS, token=token).status == 404
    assert authority.patch("nobody", "ERRORED", token=token).status == 403
    expect_oauth(authority.ask_token(client_id=id, client_secret=secret, scope="retirement:read accounts:admin"), 400, "invalid_scope")
    expect_oauth(authority.ask_token(client_id=id, client_secret=secret, scope="nonsense"), 400, "invalid_scope")
    long = authority.ask_token(client_id=id, client_secret=secret, scope="x" + "é" * 60)
    expect_oauth(long, 400, "invalid_scope")
    assert "xéé" in long.json["error_description"] and "\ufffd" not in long.json["error_description"]


@pytest.mark.parametrize("change, status, error", [
    ({"grant_type": None}, 400, "invalid_request"),
    ({"grant_type": "password"}, 400, "unsupported_grant_type"),
    ({"grant_type": ""}, 400, "unsupported_grant_type"),
    ({"client_id": None}, 401, "invalid_client"),
    ({"client_secret": None}, 401, "invalid_client"),
    ({"client_id": "nobody"}, 401, "invalid_client"),
    ({"client_id": "worker"}, 401, "invalid_client"),
    ({"client_secret": "wrong"}, 401, "invalid_client"),
    ({"client_secret": ""}, 401, "invalid_client"),
    ({"token_type": "mac"}, 400, "invalid_request"),
    ({"client_id": "' OR 1=1 --"}, 401, "invalid_client"),
    ({"client_secret": "x" * 100000}, 401, "invalid_client"),
])
def test_the_token_endpoint_refuses(authority, worker, change, status, error):
    form = {"client_id": worker["client_id"], "client_secret": worker["client_secret"], **change}
    expect_oauth(authority.ask_token(**form), status, error)


@pytest.mark.parametrize("header", ["Basic", "Basic ", "Basic !!!", "Basic " + "A" * 8000, "Basic " + base64.b64encode(b"no colon").decode(),
                                    "Basic " + base64.b64encode(b"\0:\0").decode(), "Basic " + base64.b64encode(b"\xff:\xfe").decode()])
def test_malformed_basic_credentials(authority, header):
    expect_oauth(authority.ask_token(headers={"Authorization": header}), 401, "invalid_client")


@pytest.mark.parametrize("raw", [b"", b"{}", b"\xff\xfe", b"%zz", b"grant_type=%00", b"&&&", b"=", b"a=1&" * 5000])
def test_malformed_forms(authority, raw):
    answer = authority.call("POST", "/oauth2/access_token", token="", raw=raw)
    expect_oauth(answer, 400, "invalid_request")


def test_the_token_path_has_no_slash(authority):
    assert authority.call("POST", "/oauth2/access_token/", token="", raw=b"x").status == 404
    assert authority.get("/oauth2/access_token", token="").status == 405


# ---- tokens ----

def expect_401(answer, native=False):
    assert answer.status == 401 and answer.headers["WWW-Authenticate"] == 'JWT realm="lethe"', answer
    assert answer.json["detail"]
    assert list(answer.json) == ["detail"] or native


@pytest.mark.parametrize("header", [None, "", "JWT", "JWT ", "Basic abc", "Token abc", "JWT a.b.c", "JWT ..", "JWT " + "a" * 9000,
                                    "Bearer eyJhbGciOiJub25lIn0.e30.", "JWT \t", "JWTx"])
def test_what_is_no_token(authority, header):
    expect_401(authority.get(STATUS, token="", headers={"Authorization": header} if header is not None else {}))


def test_a_token_that_was_tampered_with(authority, worker):
    token = authority.token_of(worker)
    head, payload, signature = token.split(".")
    header, claims = parts(token)
    assert header["alg"] == "HS256"
    more = {**claims, "scope": ALL_SCOPES}
    for bad in (token[:-2], token + "A", f"{head}.{payload}.", f"{head}.{payload}", f"{payload}.{head}.{signature}",
                forge(header, more) + signature, forge({"alg": "none"}, more), forge({"alg": "none", "typ": "JWT"}, claims),
                forge({"alg": "HS256"}, more, b"x" * 32), forge({"alg": "HS256"}, more, b"lethe"),
                forge({"alg": "HS512"}, more, b"x" * 32, hashlib.sha512), f"{head}.{payload}.{signature}.{signature}"):
        expect_401(authority.get(STATUS, token=bad))
    assert authority.get(STATUS, token=token).status == 404


def test_a_token_says_where_it_is_from_and_for_how_long(authority, worker):
    _, claims = parts(authority.token_of(worker))
    assert (claims["iss"], claims["aud"], claims["sub"]) == ("lethe", "lethe", worker["client_id"])
    assert claims["exp"] - claims["iat"] == 3600 and abs(claims["iat"] - time.time()) < 60 and claims["nbf"] == claims["iat"]


def test_the_life_of_a_token_is_configured(site):
    site.configure(token_lifetime="1m")
    site.serve()
    made = site.client("worker", "retirement:read")
    answer = site.ask_token(client_id=made["client_id"], client_secret=made["client_secret"])
    assert answer.json["expires_in"] == 60
    _, claims = parts(answer.json["access_token"])
    assert claims["exp"] - claims["iat"] == 60


def test_a_token_of_another_server_is_nothing_here(site, authority):
    site.serve()
    expect_401(site.get(STATUS, token=authority.token(ALL_SCOPES)))


def test_a_token_survives_a_restart(site):
    process = site.serve()
    token = site.token("retirement:read")
    site.kill(process)
    site.serve()
    assert site.get(STATUS, token=token).status == 404


def test_a_disabled_client_is_out_at_every_worker(site):
    """Each worker remembers a good token for less than a second (test_auth.c has the bound), from its own first look on."""
    site.serve()
    made = site.client("worker", "retirement:read")
    token = site.token_of(made)
    for _ in range(4):  # whichever worker remembers it
        assert site.get(STATUS, token=token).status == 404
    site.ok("client", "disable", "worker")
    wait_for(lambda: all(site.get(STATUS, token=token).status == 401 for _ in range(8)))
    expect_401(site.get(STATUS, token=token))
    expect_oauth(site.ask_token(client_id=made["client_id"], client_secret=made["client_secret"]), 401, "invalid_client")


# ---- scopes ----

def concrete(path):
    return path.replace("{username}", "nobody").replace("{id}", "1").replace("{name}", "nobody")


def test_the_list_of_calls_is_complete():
    assert {path for _, path, scope in CALLS if scope == "none"} == UNPROTECTED
    assert len(PROTECTED) > 20


@pytest.mark.parametrize("method, path, scope", PROTECTED)
def test_without_credentials_nothing_is_done(authority, method, path, scope):
    expect_401(authority.call(method, concrete(path), {}, token=""), native=path.startswith("/v1"))


@pytest.mark.parametrize("method, path, scope", PROTECTED)
def test_only_the_right_scope_opens(authority, method, path, scope):
    """All other scopes together do not (but for the one that has all of its kind), this one alone does, or each of
    several. That of a session is no client's: test_sessions.py."""
    opens = set(scope.split())
    if scope.startswith("retirement:"):
        opens.add("retirement:admin")
    others = " ".join(s for s in ALL_SCOPES.split() if s not in opens)
    answer = authority.call(method, concrete(path), {}, token=authority.token(others))
    assert answer.status == 403 and scope in answer.json["detail"], answer
    for enough in opens - {"account:own"}:
        answer = authority.call(method, concrete(path), {}, token=authority.token(enough))
        assert answer.status not in (401, 403), answer


def test_the_unprotected_ones_need_nothing(authority):
    for path in UNPROTECTED - DOORS:
        assert authority.get(path, token="").status == 200
        assert authority.get(path, token="nonsense").status == 200


def test_a_token_in_the_url_is_no_token(authority, worker):
    token = authority.token_of(worker)
    for name in ("access_token", "token", "jwt"):
        expect_401(authority.get(f"{STATUS}?{urllib.parse.urlencode({name: token})}", token=""))
