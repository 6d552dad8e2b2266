# SPDX-License-Identifier: Apache-2.0
"""The driver's credentials at services: OAuth2 with renewal, bearer, basic."""
import base64
import json
import os
import re
import threading
import urllib.parse

import pytest
import yaml

from site_under_test import wait_for

SECRET = "correct horse/battery+staple=é&"


class Guarded:
    """A script of a service with an OAuth2 token path: only the current token is good, for as many calls as said."""

    def __init__(self, token_type="JWT", calls_each=None, expires_in=3600, grant=200):
        self.token_type, self.calls_each, self.expires_in, self.grant = token_type, calls_each, expires_in, grant
        self.granted, self.left, self.forms = 0, 0, []
        self.lock = threading.Lock()

    def __call__(self, call):
        with self.lock:
            return self.give_token(call) if call.path.endswith("/access_token") else self.act(call)

    def give_token(self, call):
        self.forms.append(dict(urllib.parse.parse_qsl(call.raw.decode())))
        if self.grant != 200:
            return self.grant, {"error": "invalid_client"}
        self.granted += 1
        self.left = self.calls_each
        return 200, {"access_token": f"token-{self.granted}", "expires_in": self.expires_in, "token_type": "JWT"}

    def act(self, call):
        if call.headers.get("Authorization") != f"{self.token_type} token-{self.granted}" or self.left == 0:
            return 401, {"detail": "token is invalid"}
        if self.left:
            self.left -= 1
        return 204


@pytest.fixture
def erasing(site, make_service):
    site.store = make_service()
    site.service("store", site.store)
    site.stage("ERASING", "ERASED", http={"service": "store", "post": "/erase", "json": {"username": "{original_username}"}},
               retry="none")
    return site


def oauth2(site, **settings):
    site.config["services"]["store"]["oauth2"] = {"client_id": "lethe & co", "client_secret": SECRET, **settings}


def erasures(site):
    return [call for call in site.store.calls if call.path == "/erase"]


def people(n):
    return [f"user{i}" for i in range(n)]


@pytest.mark.parametrize("token_type", ["JWT", "Bearer"])
def test_one_token_serves_everybody(erasing, token_type):
    guard = erasing.store.script = Guarded(token_type)
    oauth2(erasing, token_type=token_type)
    erasing.request_all(people(50))
    done = erasing.drive_all()
    assert (done["completed"], done["retries"]) == (50, 0)
    assert guard.granted == 1 and len(erasures(erasing)) == 50
    assert guard.forms == [{"grant_type": "client_credentials", "client_id": "lethe & co", "client_secret": SECRET,
                            "token_type": token_type.lower()}]


def test_a_token_that_is_turned_down_is_renewed_at_once(erasing):
    """Even with `retry: none`: the service has done nothing about a refused call. The key is the same."""
    guard = erasing.store.script = Guarded(calls_each=10)
    erasing.config["services"]["store"]["max_concurrent"] = 1
    oauth2(erasing)
    erasing.request_all(people(35))
    done = erasing.drive_all()
    assert (done["completed"], done["errored"]) == (35, 0)
    assert guard.granted == 4 and len(erasures(erasing)) == 35 + 3
    assert set(erasing.store.times_erased()) == {None, *people(35)}
    assert all(len(set(erasing.store.keys_of(name))) == 1 for name in people(35))


def test_many_that_are_turned_down_at_once_ask_for_few_tokens(erasing):
    """Eight calls are under way whenever a token ends. A call that is refused with the new token as well fails for good, so
    this stage may be repeated."""
    guard = erasing.store.script = Guarded(calls_each=20)
    oauth2(erasing)
    erasing.config["stages"][0]["retry"] = {"for": "20s", "first": "10ms", "longest": "50ms"}
    erasing.request_all(people(10))
    assert erasing.drive_all()["completed"] == 10 and guard.granted == 1
    guard.left = 0
    erasing.request_all(people(18)[10:])
    assert erasing.drive_all()["completed"] == 8
    assert guard.granted <= 3  # another driver process: its first one, and one for all eight


def test_a_service_that_turns_down_every_token_is_final(erasing):
    guard = erasing.store.script = Guarded(calls_each=0)
    oauth2(erasing)
    erasing.request("ada")
    assert erasing.drive_all()["errored"] == 1
    assert len(erasures(erasing)) == 2 and guard.granted == 2
    failed = erasing.recorded("ada", "ERRORED")
    assert failed["status"] == 401 and json.loads(failed["answer"]) == {"detail": "token is invalid"}


@pytest.mark.parametrize("status", [401, 503])
def test_without_a_token_nobodys_attempt_begins(erasing, status):
    """However short `retry.for` is (here 0): a missing token is not the fault of a person in the queue."""
    guard = erasing.store.script = Guarded(grant=status)
    oauth2(erasing)
    erasing.configure(driver={"poll": "100ms"})
    erasing.request_all(people(5))
    erasing.run_all()
    wait_for(lambda: len(guard.forms) >= 3, "the driver to ask again for a token")
    assert "ERRORED" not in erasing.states().values() and erasures(erasing) == []
    guard.grant = 200
    erasing.wait_states("COMPLETE")
    assert len(erasures(erasing)) == 5
    assert all(erasing.recorded(name, "ERASED")["attempts"] == 1 for name in people(5))


def test_wrong_credentials_are_said_once_and_cost_nobody(erasing):
    guard = erasing.store.script = Guarded(grant=401)
    oauth2(erasing)
    erasing.request_all(people(5))
    done = erasing.drive("--json")
    assert done.code == 1 and (done.json["errored"], done.json["calls"], done.json["services_failing"]) == (0, 0, 1)
    assert done.err.count("store refuses our credentials: status 401: mend client_id and client_secret") == 1
    assert SECRET not in done.err
    guard.grant = 200
    assert erasing.drive_all()["completed"] == 5


def auth0(call, form):
    """It refuses without an audience, and for an API that it does not know."""
    if (form.get("client_id"), form.get("client_secret")) != ("exampleclientid", "secret-of-auth0"):
        return 401, {"error": "access_denied", "error_description": "Unauthorized"}
    if form.get("audience") != "https://app.example.com/api":
        return 403, {"error": "access_denied", "error_description": "Service not enabled within domain: " + form.get("audience", "")}
    return 200, {"access_token": "of-auth0", "token_type": "Bearer", "expires_in": 86400}


def keycloak(call, form):
    expected = "Basic " + base64.b64encode(b"lethe:secret-of-keycloak").decode()
    if call.headers.get("Authorization") != expected:
        return 401, {"error": "unauthorized_client", "error_description": "Invalid client or Invalid client credentials"}
    if form.get("scope") != "shop":
        return 400, {"error": "invalid_scope", "error_description": "Invalid scopes"}
    return 200, {"access_token": "of-keycloak", "token_type": "Bearer", "expires_in": 300, "refresh_expires_in": 0,
                 "not-before-policy": 0, "scope": "shop"}


@pytest.mark.parametrize("name, issuer, path", [
    ("app", auth0, "/oauth/token"), ("shop", keycloak, "/realms/example/protocol/openid-connect/token")])
def test_the_documented_tokens_of_auth0_and_keycloak(site, make_service, name, issuer, path):
    """As they stand in docs/config.md, with the addresses of the scripted servers."""
    def script(call):
        if call.path == path:
            form = dict(urllib.parse.parse_qsl(call.raw.decode()))
            assert form["grant_type"] == "client_credentials"
            return issuer(call, form)
        return 204 if call.headers.get("Authorization") == "Bearer of-" + issuer.__name__ else 401

    with open(os.path.join(os.path.dirname(__file__), "..", "..", "docs", "config.md"), encoding="utf-8") as f:
        block = yaml.safe_load(re.search(r"Tokens of Auth0 and of Keycloak:\n\n```yaml\n(.*?)```", f.read(), re.S)[1])
    service = make_service(script=script)
    conf = block["services"][name]
    for key, holder in (("url", conf), ("token_url", conf["oauth2"])):
        holder[key] = re.sub(r"https://[^/]+", service.url, holder[key])
    secret = site.folder / conf["oauth2"]["client_secret_file"]
    secret.write_text("secret-of-" + issuer.__name__)
    secret.chmod(0o600)
    site.configure(services={name: conf})
    site.stage("ERASING", "ERASED", http={"service": name, "post": "/erase", "json": {"username": "{original_username}"}}, retry="none")
    site.request("ada")
    assert site.drive_all()["completed"] == 1
    assert [call.path for call in service.calls] == [path, "/erase"]


def test_a_refusal_for_another_reason_is_told_in_its_own_words(erasing):
    def refuse(call):
        if "audience=https%3A%2F%2Fapi" in call.raw.decode():
            return 200, {"access_token": "t", "token_type": "bearer"}
        return 400, {"error": "invalid_request", "error_description": "missing audience"}

    erasing.store.script = lambda call: refuse(call) if call.path.endswith("/access_token") else 204
    oauth2(erasing, scope="users:erase")
    erasing.request("ada")
    said = erasing.drive("--json").err
    assert said.count("store refuses to give a token: status 400: mend what oauth2 asks for; it says: invalid_request: missing audience") == 1
    assert "credentials" not in said
    oauth2(erasing, audience="https://api", auth="basic")
    assert erasing.drive_all()["completed"] == 1
    word, coded = erasing.store.calls[-2].headers["Authorization"].split()
    client, secret = (urllib.parse.unquote(part) for part in base64.b64decode(coded).decode().split(":"))
    assert (word, client, secret) == ("Basic", "lethe & co", SECRET) and b"client_id" not in erasing.store.calls[-2].raw
    assert erasing.store.calls[-1].headers["Authorization"] == "Bearer t"


def test_the_token_path_can_be_elsewhere(erasing, make_service):
    guard = Guarded()
    elsewhere = make_service(script=guard)
    erasing.store.script = guard
    oauth2(erasing, token_url=elsewhere.url + "/realm/access_token")
    erasing.request("ada")
    assert erasing.drive_all()["completed"] == 1
    assert [call.path for call in elsewhere.calls] == ["/realm/access_token"]
    assert [call.path for call in erasing.store.calls] == ["/erase"]


def test_a_bearer_token_from_a_file(erasing):
    (erasing.folder / "token").write_text("abc.DEF-123~x\n")
    (erasing.folder / "token").chmod(0o600)
    erasing.config["services"]["store"]["bearer"] = {"token_file": "token"}
    erasing.request("ada")
    assert erasing.drive_all()["completed"] == 1
    assert erasing.store.calls[0].headers["Authorization"] == "Bearer abc.DEF-123~x"


def test_user_and_password(erasing):
    erasing.config["services"]["store"]["basic"] = {"user": "lethe", "password": SECRET}
    erasing.request("ada")
    assert erasing.drive_all()["completed"] == 1
    word, coded = erasing.store.calls[0].headers["Authorization"].split()
    assert (word, base64.b64decode(coded).decode()) == ("Basic", f"lethe:{SECRET}")


def test_no_credentials_are_sent_where_none_are_configured(erasing):
    erasing.request("ada")
    assert erasing.drive_all()["completed"] == 1
    assert "Authorization" not in erasing.store.calls[0].headers


def test_secrets_are_never_logged(erasing):
    erasing.configure(log={"level": "debug"}, driver={"poll": "100ms"})
    erasing.store.script = Guarded(calls_each=1)
    erasing.config["services"]["store"]["max_concurrent"] = 1
    oauth2(erasing)
    erasing.run_all()
    for name in people(5):
        erasing.request(name)
    erasing.wait_states("COMPLETE")
    assert SECRET not in erasing.logs() and "token-" not in erasing.logs()


def test_proxies_of_the_environment_are_ignored(erasing, make_service):
    proxy = make_service()
    erasing.request("ada")
    env = {"http_proxy": proxy.url, "HTTP_PROXY": proxy.url, "ALL_PROXY": proxy.url, "all_proxy": proxy.url}
    assert erasing.drive("--json", env=env).json["completed"] == 1
    assert proxy.calls == [] and len(erasing.store.calls) == 1


def test_keys_stand_in_headers_of_their_own(erasing, tmp_path):
    """From a file and the environment; never in a log, nor in the record of a refused call."""
    (tmp_path / "store.key").write_text("key-0123456789\n")
    (tmp_path / "store.key").chmod(0o600)
    erasing.config["services"]["store"]["api_key"] = {
        "header": "X-Api-Key", "key_file": "store.key", "secret_header": "X-Api-Secret", "secret_env": "STORE_SECRET"}
    erasing.store.script = lambda call: 204 if call.headers.get("X-Api-Secret") == "secret-0123456789" else 401
    environment = {"STORE_SECRET": "secret-0123456789"}
    erasing.ok("retirement", "request", "--username", "ada", "--email", "ada@example.com", env=environment)
    erasing.configure(log={"level": "debug"})
    done = erasing.ok("drive", "--once", env=environment)
    call, = erasing.store.calls
    assert call.headers["X-Api-Key"] == "key-0123456789" and "Authorization" not in call.headers
    erasing.ok("retirement", "request", "--username", "bob", "--email", "bob@example.com", env=environment)
    wrong = erasing.lethe("drive", "--once", env={"STORE_SECRET": "wrong-0123456789"})
    assert erasing.store.calls[-1].headers["X-Api-Secret"] == "wrong-0123456789"
    shown = erasing.ok("retirement", "show", "bob", "--json", env=environment)
    assert shown.json["state"] == "ERRORED"
    assert "0123456789" not in done.out + done.err + wrong.out + wrong.err + shown.out


def test_a_key_that_is_the_user(erasing):
    erasing.config["services"]["store"]["basic"] = {"user_env": "STORE_KEY"}
    environment = {"STORE_KEY": "key-0123456789"}
    erasing.ok("retirement", "request", "--username", "ada", "--email", "ada@example.com", env=environment)
    erasing.ok("drive", "--once", env=environment)
    call, = erasing.store.calls
    assert base64.b64decode(call.headers["Authorization"].removeprefix("Basic ")) == b"key-0123456789:"
