# SPDX-License-Identifier: Apache-2.0
"""TLS by certificate and key: https works, plain http does not, and what is wrong with the files is said in one line."""
import http.client
import json
import re
import socket
import ssl
import warnings

import pytest

from services import make_certificate
from site_under_test import TIMEOUT

USAGE = 2


@pytest.fixture
def certified(site):
    """A site with a certificate and key of its own."""
    make_certificate(site.folder)
    site.configure(tls={"certificate_file": "cert.pem", "key_file": "key.pem"})
    return site


def trusting(site, **options):
    context = ssl.create_default_context(cafile=site.folder / "cert.pem")
    for name, value in options.items():
        setattr(context, name, value)
    return context


def get(site, path, context, headers=None):
    connection = http.client.HTTPSConnection("127.0.0.1", site.port, timeout=TIMEOUT, context=context)
    try:
        connection.request("GET", path, headers=headers or {})
        answer = connection.getresponse()
        return answer.status, answer.read()
    finally:
        connection.close()


def test_https_works_and_its_commands_do(certified):
    process = certified.start("serve")
    ready = re.fullmatch(r"ready https://127\.0\.0\.1:(\d+)\n", process.stdout.readline().decode())
    certified.port = int(ready[1])
    status, body = get(certified, "/healthz", trusting(certified))
    assert status == 200 and json.loads(body)["status"] == "ok"
    assert get(certified, "/v1/states", trusting(certified))[0] == 401
    assert certified.ok("states", "list", "--json").json  # through the socket


def test_plain_http_is_refused(certified):
    certified.wait_ready(certified.start("serve"))
    heard = certified.say(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
    assert b"HTTP/1" not in heard and b"ok" not in heard
    assert get(certified, "/healthz", trusting(certified))[0] == 200


def test_a_stranger_does_not_trust_it(certified):
    certified.wait_ready(certified.start("serve"))
    with pytest.raises(ssl.SSLCertVerificationError):
        get(certified, "/healthz", ssl.create_default_context())
    assert get(certified, "/healthz", trusting(certified))[0] == 200


def test_old_versions_are_refused(certified):
    certified.wait_ready(certified.start("serve"))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        old = trusting(certified, maximum_version=ssl.TLSVersion.TLSv1_1)
    old.set_ciphers("ALL:@SECLEVEL=0")
    with pytest.raises(ssl.SSLError):
        get(certified, "/healthz", old)
    for version in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):
        assert get(certified, "/healthz", trusting(certified, minimum_version=version, maximum_version=version))[0] == 200


def test_who_hangs_up_in_the_middle_disturbs_nobody(certified):
    certified.wait_ready(certified.start("serve"))
    for data in (b"", b"\x16\x03\x01", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\0" * 100, b"\xff" * 5000):
        with socket.create_connection(("127.0.0.1", certified.port), TIMEOUT) as s:
            s.sendall(data)
    assert get(certified, "/healthz", trusting(certified))[0] == 200


@pytest.mark.parametrize("spoil, words", [
    (lambda f: (f / "cert.pem").unlink(), "cert.pem"),
    (lambda f: (f / "key.pem").unlink(), "key.pem"),
    (lambda f: (f / "cert.pem").write_text("nonsense"), "certificate"),
    (lambda f: (f / "key.pem").write_text("nonsense"), "key"),
    (lambda f: (f / "key.pem").write_text(""), "key.pem"),
    (lambda f: (f / "key.pem").chmod(0o644), "chmod 600"),
])
def test_what_is_wrong_with_the_files_is_said(certified, spoil, words):
    spoil(certified.folder)
    certified.file.touch(mode=0o600)
    result = certified.lethe("serve", timeout=TIMEOUT)
    assert result.code == USAGE and result.out == "", result
    [line] = [line for line in result.err.splitlines() if line.startswith("lethe:")]
    assert words in line


def test_a_renewed_certificate_is_shown_after_a_reload(certified):
    process = certified.serve()
    before = trusting(certified)
    make_certificate(certified.folder)
    assert get(certified, "/healthz", before)[0] == 200  # no reload yet
    certified.reload(process)
    assert get(certified, "/healthz", trusting(certified))[0] == 200
    with pytest.raises(ssl.SSLCertVerificationError):
        get(certified, "/healthz", before)

    shown = trusting(certified)
    make_certificate(certified.folder, key="another.pem")
    certified.reload(process)
    certified.wait_said(process, "the key is not that of the certificate; the certificate of before stays in use")
    assert get(certified, "/healthz", shown)[0] == 200
    certified.configure(tls={"certificate_file": "cert.pem", "key_file": "another.pem"})
    certified.reload(process)
    assert get(certified, "/healthz", trusting(certified))[0] == 200
    certified.configure(tls=None)
    certified.reload(process)
    assert "these changes need a restart: tls\n" in certified.log(process)


def test_what_is_malformed_is_answered_over_tls_too(certified):
    certified.serve()
    with socket.create_connection(("127.0.0.1", certified.port), TIMEOUT) as plain:
        with trusting(certified).wrap_socket(plain, server_hostname="localhost") as s:
            s.sendall(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\nGET /healthz HTTP/1.1\r\nHost: x\r\nContent-Length : 5\r\n\r\n")
            heard = b""
            while more := s.recv(65536):
                heard += more
    assert re.findall(rb"HTTP/1.1 (\d+)", heard) == [b"200", b"400"]
    assert b"a header is malformed" in heard
