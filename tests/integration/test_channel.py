# SPDX-License-Identifier: Apache-2.0
"""How other systems are reached: certificates of authorities and of ours, another name, proxies. For services and their tokens, the
authority, --server, and mail."""
import json
import ssl
import subprocess

import pytest

from proxies import Proxy
from services import make_certificate
from site_under_test import Site

SECRET = "correct-horse-0123"
LOGIN = ("lethe", "passw-of-the-proxy")


@pytest.fixture
def make_proxy():
    made = []

    def make(*logins, **options):
        made.append(Proxy(*logins, **options))
        return made[-1]

    yield make
    for proxy in made:
        proxy.stop()


@pytest.fixture
def guarded(site, make_service):
    """A site whose one service, store, has a certificate for another name, lets only clients with our certificate in, and gives a token."""
    make_certificate(site.folder, "store.pem", "store.key", "DNS:store.internal")
    make_certificate(site.folder, "ours.pem", "ours.key")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(site.folder / "store.pem", site.folder / "store.key")
    context.load_verify_locations(site.folder / "ours.pem")
    context.verify_mode = ssl.CERT_REQUIRED
    site.names = []
    context.sni_callback = lambda connection, name, context: site.names.append(name)
    site.store = make_service(script=answer, context=context)
    site.service("store", site.store, oauth2={"client_id": "lethe", "client_secret": SECRET})
    site.stage("ERASING", "ERASED", http={"service": "store", "post": "/erase", "json": {"username": "{original_username}"}},
               retry={"for": "20s", "first": "10ms", "longest": "50ms"})
    site.tls = {"ca_file": "store.pem", "certificate_file": "ours.pem", "key_file": "ours.key", "server_name": "store.internal"}
    return site


def answer(call):
    return (200, {"access_token": "t", "token_type": "Bearer"}) if call.path.endswith("/access_token") else 204


def store(site, **settings):
    site.config["services"]["store"].update(settings)


def connect(site, code, **options):
    done = site.lethe("config", "check", "--connect", **options)
    assert done.code == code, done
    return done.out + done.err


def test_a_service_behind_mutual_tls(guarded):
    for missing, said in (("ca_file", "certificate"), ("server_name", "name"), ("certificate_file", "store: ")):
        store(guarded, tls={k: v for k, v in guarded.tls.items() if k != missing and (missing, k) != ("certificate_file", "key_file")})
        assert said in connect(guarded, 1)
    assert guarded.store.calls == []
    store(guarded, tls=guarded.tls)
    assert "store: ok, connected, has a token" in connect(guarded, 0)
    guarded.request("ada")
    assert guarded.drive_all()["completed"] == 1
    token, erased = guarded.store.calls[-2:]
    assert (token.path, erased.path) == ("/oauth2/access_token", "/erase")
    assert all(call.certificate["subject"] == ((("commonName", "localhost"),),) for call in (token, erased))
    assert erased.headers["Host"] == f"127.0.0.1:{guarded.store.port}" and guarded.names[-1] == "store.internal"
    assert erased.headers["Authorization"] == "Bearer t"


def test_the_token_of_another_host_has_its_own_name(guarded, make_service):
    """server_name is that of the service, not of the server that gives its tokens."""
    make_certificate(guarded.folder, "token.pem", "token.key", "DNS:localhost")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(guarded.folder / "token.pem", guarded.folder / "token.key")
    giver = make_service(script=answer, context=context)
    (guarded.folder / "both.pem").write_text((guarded.folder / "store.pem").read_text() + (guarded.folder / "token.pem").read_text())
    store(guarded, tls={**guarded.tls, "ca_file": "both.pem"},
          oauth2={"client_id": "lethe", "client_secret": SECRET, "token_url": f"https://localhost:{giver.port}/token/access_token"})
    guarded.request("ada")
    assert guarded.drive_all()["completed"] == 1
    assert [call.path for call in giver.calls] == ["/token/access_token"] and [call.path for call in guarded.store.calls] == ["/erase"]


def test_a_proxy_tunnels_to_a_service(guarded, make_proxy):
    """The names are the proxy's to find, whatever the environment says; without its password no one comes to harm."""
    proxy = make_proxy(LOGIN)
    proxy.leads["store.internal"] = ("127.0.0.1", guarded.store.port)
    (guarded.folder / "proxy.secret").write_text(LOGIN[1] + "\n")
    (guarded.folder / "proxy.secret").chmod(0o600)
    tls = {k: v for k, v in guarded.tls.items() if k != "server_name"}
    store(guarded, url="https://store.internal:8443", tls=tls, proxy=proxy.url)
    guarded.request_all(["ada", "bob"])
    said = connect(guarded, 1) + guarded.drive("--json").err
    assert "store gives no access token: the proxy refuses our user and password: status 407" in said and proxy.asked == []
    assert "ERRORED" not in guarded.states().values() and guarded.store.calls == []
    store(guarded, proxy={"url": proxy.url, "user": LOGIN[0], "password_file": "proxy.secret"})
    guarded.configure(log={"level": "debug"})
    done = guarded.drive("--json", env={"no_proxy": "*", "NO_PROXY": "*"})
    assert done.json["completed"] == 2 and LOGIN[1] not in done.err
    assert set(proxy.asked) == {("CONNECT", "store.internal:8443")} and len(guarded.store.calls) == 3
    assert not any("Proxy-Authorization" in call.headers for call in guarded.store.calls)
    assert all(set(headers) <= {"Host", "Proxy-Authorization", "User-Agent", "Proxy-Connection"} for headers in proxy.headers)


def test_a_tunnel_belongs_to_its_user_at_the_proxy(guarded, make_proxy):
    """Two services at one address, by one proxy with a user for each: neither takes the other's way, which may lead elsewhere."""
    logins = [LOGIN, ("other", "passw-of-the-other")]
    proxy = make_proxy(*logins)
    proxy.leads["store.internal"] = ("127.0.0.1", guarded.store.port)
    tls = {k: v for k, v in guarded.tls.items() if k != "server_name"}
    for name, login in (("store", logins[0]), ("other", logins[1]), ("third", None)):
        own = {"user": login[0], "password": login[1]} if login else {}
        guarded.config["services"][name] = {"url": "https://store.internal:8443", "tls": tls, "proxy": {"url": proxy.url, **own}}
    guarded.config["stages"] = []
    for name in ("store", "other", "store", "other", "third"):
        n = len(guarded.config["stages"])
        guarded.stage(f"ASKING_{n}", f"ASKED_{n}", http={"service": name, "post": f"/{name}", "json": {"username": "{original_username}"}})
    guarded.config["stages"][-1]["retry"] = {"for": "0s"}
    guarded.request("ada")
    done = guarded.drive("--json")
    assert "the proxy refuses our user and password: status 407" in done.err
    assert [call.path for call in guarded.store.calls] == ["/store", "/other", "/store", "/other"]
    assert proxy.users[:2] == ["lethe", "other"] and proxy.users.count("lethe") == 1 and proxy.refused >= 1


def test_a_proxy_with_a_certificate(guarded, make_proxy):
    """Its certificate is checked against proxy.ca_file, that of the service against tls.ca_file, and neither against the other's."""
    make_certificate(guarded.folder, "proxy.pem", "proxy.key")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(guarded.folder / "proxy.pem", guarded.folder / "proxy.key")
    proxy = make_proxy(LOGIN, context=context)
    proxy.leads["store.internal"] = ("127.0.0.1", guarded.store.port)
    tls = {k: v for k, v in guarded.tls.items() if k != "server_name"}
    way = {"url": proxy.url, "user": LOGIN[0], "password": LOGIN[1], "ca_file": "proxy.pem"}
    for wrong in ({"tls": {**tls, "ca_file": "proxy.pem"}}, {"proxy": {**way, "ca_file": "store.pem"}}):
        store(guarded, **{"url": "https://store.internal:8443", "tls": tls, "proxy": way, **wrong})
        assert "SSL" in connect(guarded, 1)  # libcurl names no certificate inside a tunnel
    assert guarded.store.calls == [] and len(proxy.asked) == 1
    store(guarded, proxy=way)
    guarded.request("ada")
    assert guarded.drive_all()["completed"] == 1
    assert set(proxy.asked) == {("CONNECT", "store.internal:8443")} and guarded.store.calls[-1].path == "/erase"


def test_a_proxy_passes_on_what_is_not_encrypted(erasing, make_proxy):
    proxy = make_proxy(LOGIN)
    proxy.leads["erase.internal"] = ("127.0.0.1", erasing.erase.port)
    erasing.config["services"]["store"].update(url="http://erase.internal:80", allow_http=True,
                                               proxy={"url": proxy.url, "user": LOGIN[0], "password": "wrong-password"})
    erasing.config["stages"][0]["retry"] = {"for": "0s"}
    erasing.request("ada")
    done = erasing.drive("--json")
    assert "the proxy refuses our user and password: status 407" in done.err and erasing.erase.calls == []
    erasing.ok("retirement", "resume", "--all")
    erasing.config["services"]["store"]["proxy"]["password"] = LOGIN[1]
    assert erasing.drive_all()["completed"] == 1
    assert proxy.asked == [("POST", "http://erase.internal/erase")] and len(erasing.erase.calls) == 1


@pytest.fixture
def erasing(site, make_service):
    site.erase = make_service()
    site.service("store", site.erase)
    site.stage("ERASING", "ERASED", http={"service": "store", "post": "/erase", "json": {"username": "{original_username}"}})
    return site


def test_a_server_elsewhere_behind_tls_and_a_proxy(erasing, make_proxy, tmp_path):
    """For its driver by the settings of authority, for a command by the environment."""
    make_certificate(erasing.folder)
    erasing.configure(tls={"certificate_file": "cert.pem", "key_file": "key.pem"})
    erasing.ok("retirement", "request", "--username", "ada", "--email", "ada@example.com")
    made = json.loads(erasing.ok("client", "add", "driver", "--scope", "retirement:drive retirement:read", "--json").out)
    ready = erasing.start("serve").stdout.readline().decode()
    port = int(ready.rsplit(":", 1)[1])
    proxy = make_proxy(LOGIN)
    proxy.leads["lethe.internal"] = ("127.0.0.1", port)
    (tmp_path / "elsewhere").mkdir()
    driver = Site(tmp_path / "elsewhere")
    driver.config = {
        "data_dir": "data", "services": erasing.config["services"], "stages": erasing.config["stages"],
        "authority": {"client_id": made["client_id"], "client_secret": made["client_secret"], "url": f"https://lethe.internal:{port}",
                      "proxy": {"url": proxy.url, "user": LOGIN[0], "password": LOGIN[1]},
                      "tls": {"ca_file": str(erasing.folder / "cert.pem"), "server_name": "127.0.0.1"}}}
    driver.write_config()
    driver.file.chmod(0o600)
    assert "authority: ok, connected, has a token" in connect(driver, 0)
    assert driver.drive_all()["completed"] == 1
    assert set(proxy.asked) == {("CONNECT", f"lethe.internal:{port}")}

    (driver.folder / "lethe.secret").write_text(made["client_secret"])
    (driver.folder / "lethe.secret").chmod(0o600)
    words = ("retirement", "list", "--json", "--server", f"https://lethe.internal:{port}")
    env = {"LETHE_CLIENT_ID": made["client_id"], "LETHE_CLIENT_SECRET_FILE": str(driver.folder / "lethe.secret"),
           "LETHE_SERVER_TLS_CA_FILE": str(erasing.folder / "cert.pem"), "LETHE_SERVER_TLS_SERVER_NAME": "127.0.0.1",
           "LETHE_SERVER_PROXY_URL": proxy.url, "LETHE_SERVER_PROXY_USER": LOGIN[0], "LETHE_SERVER_PROXY_PASSWORD": LOGIN[1]}
    listed = driver.ok(*words, config=False, env=env)
    assert [r["state"] for r in listed.json] == ["COMPLETE"]
    untrusted = driver.lethe(*words, config=False, env={**env, "LETHE_SERVER_TLS_CA_FILE": ""})
    assert untrusted.code == 1 and "certificate" in untrusted.err
    wrong = driver.lethe(*words, config=False, env={**env, "LETHE_SERVER_PROXY_URL": "proxy:1"})
    assert wrong.code == 2 and "LETHE_SERVER_PROXY_URL: url: it must begin with https:// or http://" in wrong.err
    driver.stop()


def test_mail_behind_tls_and_a_proxy(erasing, make_office, make_proxy):
    office = make_office(folder=erasing.folder, login=("lethe", SECRET))
    proxy = make_proxy(LOGIN)
    proxy.leads["mail.internal"] = ("127.0.0.1", office.port)
    erasing.config["stages"] = []
    erasing.stage("WRITING", "WRITTEN", mail={"to": "erasure@example.com", "subject": "{retirement_id}", "text": "Please erase."})
    erasing.configure(mail={"server": "smtp://mail.internal:25", "from": "lethe@example.com", "user": "lethe", "password": SECRET,
                            "tls": {"ca_file": "cert.pem", "server_name": "127.0.0.1"},
                            "proxy": {"url": proxy.url, "user": LOGIN[0], "password": LOGIN[1]}})
    assert "mail: ok, logged in" in connect(erasing, 0)
    erasing.request("ada")
    assert erasing.drive_all()["completed"] == 1
    assert set(proxy.asked) == {("CONNECT", "mail.internal:25")} and len(office.messages) == 1
    assert all(over_tls for line, over_tls in office.lines if line.split()[0] in ("AUTH", "MAIL", "RCPT", "DATA"))


def test_config_check_looks_at_our_certificate(guarded):
    store(guarded, tls={**guarded.tls, "key_file": "store.key"})
    wrong = guarded.lethe("config", "check")
    assert wrong.code == 2 and "certificate_file" not in wrong.out and "the key is not that of the certificate" in wrong.err
    subprocess.run(["openssl", "x509", "-in", "ours.pem", "-signkey", "ours.key", "-days", "-1", "-out", "old.pem"], check=True,
                   capture_output=True, cwd=guarded.folder)
    store(guarded, tls={**guarded.tls, "certificate_file": "old.pem"})
    wrong = guarded.lethe("config", "check")
    assert wrong.code == 2 and "the certificate has expired" in wrong.err
