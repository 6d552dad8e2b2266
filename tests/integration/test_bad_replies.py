# SPDX-License-Identifier: Apache-2.0
"""What services do wrong, one row each, and what must be on record of it. None of it is a success, and none of it costs
memory without bound."""
import itertools
import re
import signal
import socket
import ssl
import struct
import threading

import pytest

from services import keep_port, make_certificate
from site_under_test import LETHE, Site, wait_for

# What a service can do besides sending bytes.
RESET = object()      # the connection ends with a reset
SILENCE = object()    # nothing more is sent, until the caller gives up
UNREAD = object()     # first of all: what follows comes before the call has been read

EITHER = None         # it depends on how far the call has come


def forever(piece, first=b""):
    yield first
    yield from itertools.repeat(piece)


def drop_by_drop(text):
    """A byte at a time, for ever."""
    for byte in itertools.chain(text, itertools.repeat(ord("x"))):
        yield bytes([byte])
        yield 0.05  # seconds until the next


def answer(status, body=b"", *headers):
    lines = [f"HTTP/1.1 {status} So It Is", f"Content-Length: {len(body)}", *headers]
    return [("\r\n".join(lines) + "\r\n\r\n").encode() + body]


OK = b"HTTP/1.1 200 OK\r\n"
LOGIN = b"<!DOCTYPE html>\n<html><title>Sign in</title><form action=/login></form></html>"

# name | what the service does | recorded status | is it unknown whether the call took effect?
BAD = [
    ("resets before it has read the call",          [UNREAD, RESET], None, EITHER),
    ("hangs up before it has read the call",        [UNREAD], None, EITHER),
    ("resets once it has the call",                 [RESET], None, True),
    ("hangs up without a word",                     [], None, True),
    ("resets in the status line",                   [b"HTTP/1.1 20", RESET], None, True),
    ("resets in the headers",                       [OK + b"Content-Le", RESET], None, True),
    ("resets in the body",                          [OK + b"Content-Length: 100\r\n\r\nonly this", RESET], None, True),
    ("hangs up in the headers",                     [OK + b"Content-Type: text/plain\r\n"], None, True),
    ("half a body",                                 [OK + b"Content-Length: 100\r\n\r\nonly this"], None, True),
    ("half a chunk",                                [OK + b"Transfer-Encoding: chunked\r\n\r\n64\r\nonly this"], None, True),
    ("chunks without the last one",                 [OK + b"Transfer-Encoding: chunked\r\n\r\n4\r\nonly\r\n"], None, True),
    ("a length below zero",                         [OK + b"Content-Length: -1\r\n\r\n"], None, True),
    ("a length that is no number",                  [OK + b"Content-Length: all\r\n\r\n"], None, True),
    ("a length beyond all numbers",                 [OK + b"Content-Length: 99999999999999999999\r\n\r\nx"], None, True),
    ("two lengths",                                 [OK + b"Content-Length: 2\r\nContent-Length: 4\r\n\r\nokay"], None, True),
    ("a length and chunks",                         [OK + b"Content-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n"], None, True),
    ("a chunk size that is no number",              [OK + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n"], None, True),
    ("a chunk size beyond all numbers",             [OK + b"Transfer-Encoding: chunked\r\n\r\nffffffffffffffffff\r\nx"], None, True),
    ("no HTTP",                                     [b"\x16\x03\x01 this is not HTTP\r\n\r\n"], None, True),
    ("a body alone",                                [b"done"], None, True),
    ("a status that is no number",                  [b"HTTP/1.1 OK\r\n\r\n"], None, True),
    ("a status of five digits",                     [b"HTTP/1.1 20000 OK\r\n\r\n"], None, True),
    ("a status of two digits",                      [b"HTTP/1.1 20 OK\r\n\r\n"], None, True),
    ("a version that there is not",                 [b"HTTP/7.0 200 OK\r\nContent-Length: 0\r\n\r\n"], None, True),
    ("only that it goes on",                        [b"HTTP/1.1 100 Continue\r\n\r\n"], None, True),
    ("for ever that it goes on",                    forever(b"HTTP/1.1 100 Continue\r\n\r\n" * 100), None, True),
    ("another protocol from now on",                [b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\n"], None, True),
    ("headers for ever",                            forever(b"X-Filler: %060d\r\n" % 7 * 100, OK), None, True),
    ("a header without end",                        forever(b"x" * 65536, OK + b"X-Filler: "), None, True),
    ("a body without end",                          forever(b"x" * 65536, OK + b"\r\n"), 200, True),
    ("chunks without end",                          forever(b"8000\r\n" + b"x" * 32768 + b"\r\n", OK + b"Transfer-Encoding: chunked\r\n\r\n"), 200, True),
    ("a body of 8 GiB",                             forever(b"x" * 65536, OK + b"Content-Length: 8589934592\r\n\r\n"), 200, True),
    ("202, accepted",                               answer(202, b"queued"), 202, False),
    ("203, from a proxy's memory",                  answer(203), 203, False),
    ("206, a part",                                 answer(206, b"part", "Content-Range: bytes 0-3/100"), 206, False),
    ("301 to where it would be 204",                answer(301, b"", "Location: /done"), 301, False),
    ("302 to a login",                              answer(302, b"", "Location: /login"), 302, False),
    ("304, as before",                              answer(304), 304, False),
    ("308 to where it would be 204",                answer(308, b"", "Location: /done"), 308, False),
    ("400 with bytes that are no text",             answer(400, b"\xff\xfe\x00\x80\x1b[2J"), 400, False),
    ("401",                                         answer(401, b"", "WWW-Authenticate: Basic"), 401, False),
    ("403",                                         answer(403), 403, False),
    ("404 where it must not be",                    answer(404, b"no such page"), 404, False),
    ("409",                                         answer(409), 409, False),
    ("410",                                         answer(410), 410, False),
    ("429",                                         answer(429, b"", "Retry-After: 1"), 429, False),
    ("500 with a page",                             answer(500, LOGIN, "Content-Type: text/html"), 500, False),
    ("502 of a gateway",                            answer(502), 502, True),
    ("503",                                         answer(503, b"", "Retry-After: Wed, 21 Oct 2015 07:28:00 GMT"), 503, False),
    ("504 of a gateway",                            answer(504), 504, True),
    ("599",                                         answer(599), 599, False),
    ("200 with a page to sign in",                  answer(200, LOGIN, "Content-Type: text/html; charset=utf-8"), 200, True),
    ("200 with a page that has no type",            answer(200, b"\xef\xbb\xbf\n" + LOGIN), 200, True),
    ("200 with an error of a script",               answer(200, b"<br />\n<b>Fatal error</b>", "Content-Type: text/html"), 200, True),
    ("200 with half of its JSON",                   answer(200, b'{"erased": ', "Content-Type: application/json"), 200, True),
    ("200 with JSON that is no UTF-8",              answer(200, b'"\xff\xfe"', "Content-Type: application/json"), 200, True),
]

# what only a time-out ends; nothing of it is recorded
ENDLESS = [
    ("nothing, and stays",                          [SILENCE]),
    ("a status, and then nothing",                  [OK, SILENCE]),
    ("headers, and then nothing",                   [OK + b"Content-Length: 2\r\n\r\n", SILENCE]),
    ("headers drop by drop",                        drop_by_drop(OK + b"X-Filler: ")),
    ("a body drop by drop",                         drop_by_drop(OK + b"Content-Length: 100000\r\n\r\n")),
]

BAD_TLS = [
    ("hangs up at the first word",                  [UNREAD]),
    ("resets at the first word",                    [RESET]),
    ("an alert: handshake failure",                 [b"\x15\x03\x03\x00\x02\x02\x28"]),
    ("half a handshake",                            [b"\x16\x03\x03\x00\x7a\x02\x00\x00\x76\x03\x03" + b"\x00" * 20, RESET]),
    ("no TLS",                                      answer(200)),
    ("says nothing",                                [SILENCE]),
]


class BadService:
    """Does this to each connection, then hangs up."""

    def __init__(self, doings=(), tls=None):
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.doings = doings
        self.tls = tls
        self.calls = 0
        threading.Thread(target=self.serve, daemon=True).start()

    @property
    def url(self):
        return f"http://127.0.0.1:{self.port}"

    def serve(self):
        while True:
            try:
                connection, _ = self.listener.accept()
            except OSError:
                return
            self.calls += 1
            with connection:
                try:
                    self.do(self.tls.wrap_socket(connection, server_side=True) if self.tls else connection)
                except OSError:
                    pass  # the caller has given up

    def do(self, connection):
        doings = iter(self.doings)
        first = next(doings, None)
        if first is not UNREAD:
            connection.recv(65536)
        for doing in itertools.chain([first], doings):
            if doing is RESET:
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                return
            if doing is SILENCE:
                while connection.recv(65536):
                    pass
            elif isinstance(doing, float):
                threading.Event().wait(doing)
            elif isinstance(doing, bytes):
                connection.sendall(doing)

    def stop(self):
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()


def peak_mib(process):
    with open(f"/proc/{process.pid}/status", encoding="ascii") as f:
        return int(next(line for line in f if line.startswith("VmHWM")).split()[1]) / 1024


def most_mib():
    """A sanitizer keeps what was freed."""
    with open(LETHE, "rb") as f:
        return 1500 if b"__asan_init" in f.read() else 64


def start(site, url, timeout="60s"):
    """A server and a driver that erases at this service, one call for each person."""
    site.configure(services={"store": {"url": url, "breaker": "none"}}, driver={"poll": "100ms"})
    site.stage("ERASING", "ERASED", http={"service": "store", "post": "/erase", "json": {"username": "{original_username}"}},
               retry="none", timeout=timeout)
    return site.run_all()


def drive_one(site, name):
    """Retires a person there. Returns the recorded answer."""
    site.request(name)
    wait_for(lambda: site.state_of(name) in ("ERRORED", "COMPLETE"), "an end")
    assert site.state_of(name) == "ERRORED", site.history(name)
    return site.recorded(name, "ERRORED")


@pytest.fixture(scope="module", params=[("http", "60s")])
def erasing(request, tmp_path_factory):
    """One site for all of these tests; site.store does what the test says."""
    site = Site(tmp_path_factory.mktemp("erasing"))
    site.store = BadService()
    scheme, timeout = request.param
    process = start(site, site.store.url.replace("http", scheme), timeout)
    yield site
    site.store.stop()
    assert peak_mib(process) < most_mib()
    assert site.kill(process, signal.SIGTERM) == 0
    site.stop()
    site.check()


@pytest.mark.parametrize("number", range(len(BAD)), ids=[row[0] for row in BAD])
def test_a_service_that(erasing, number):
    _, doings, status, unknown = BAD[number]
    erasing.store.doings, calls = doings, erasing.store.calls
    record = drive_one(erasing, f"person{number}")
    assert record["status"] == status and unknown in (EITHER, record["outcome"] == "unknown"), record
    assert erasing.store.calls > calls and record["attempts"] == 1


@pytest.mark.parametrize("erasing", [("http", "1s")], indirect=True)
@pytest.mark.parametrize("number", range(len(ENDLESS)), ids=[row[0] for row in ENDLESS])
def test_for_ever_a_service_that(erasing, number):
    erasing.store.doings = ENDLESS[number][1]
    record = drive_one(erasing, f"person{number}")
    assert record["status"] is None and record["outcome"] == "unknown" and record["attempts"] == 1


@pytest.mark.parametrize("erasing", [("https", "1s")], indirect=True)
@pytest.mark.parametrize("number", range(len(BAD_TLS)), ids=[row[0] for row in BAD_TLS])
def test_with_tls_a_service_that(erasing, number):
    erasing.store.doings = BAD_TLS[number][1]
    record = drive_one(erasing, f"person{number}")
    assert record["status"] is None and record["outcome"] in ("failed", "unknown")


class TalkativeService(BadService):
    """Says 204 once more, a moment after it has answered the first call of a connection, and answers no second one on it."""

    def __init__(self):
        self.answered, self.has_talked = [], threading.Event()
        super().__init__()

    def do(self, connection):
        call = connection.recv(65536)
        connection.sendall(b"HTTP/1.1 204 No Content\r\n\r\n")
        self.answered.append(call)
        if not self.has_talked.wait(0.2):
            connection.sendall(b"HTTP/1.1 204 No Content\r\nContent-Length: 0\r\n\r\n")
            self.has_talked.set()
            connection.recv(65536)


def test_an_answer_to_nobody_is_not_the_next_persons(site):
    store = TalkativeService()
    process = start(site, store.url)
    for name in ("ada", "bob"):
        site.request(name)
        wait_for(lambda name=name: site.state_of(name) in ("ERRORED", "COMPLETE"), "an end")
        assert store.has_talked.wait(10)
    assert site.states() == {"ada": "COMPLETE", "bob": "COMPLETE"}
    assert [re.search(b'"(ada|bob)"', call)[1] for call in store.answered] == [b"ada", b"bob"]
    assert store.calls == 2
    site.kill(process, signal.SIGTERM)
    store.stop()
    assert "bytes came on it that belong to no answer" in site.log(process)


def test_a_certificate_that_nobody_vouches_for(site):
    make_certificate(site.folder)
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(site.folder / "cert.pem", site.folder / "key.pem")
    service = BadService(answer(204), tls=tls)
    start(site, service.url.replace("http:", "https:"))
    record = drive_one(site, "ada")
    service.stop()
    assert record["status"] is None and "certificate" in record["error"]


def test_a_service_that_is_not_there(site):
    with keep_port() as kept:
        start(site, f"http://127.0.0.1:{kept.getsockname()[1]}")
        record = drive_one(site, "ada")
    assert (record["status"], record["outcome"]) == (None, "failed")


def test_who_answers_so_can_be_believed(site):
    """With `answer: any` the status is all that counts."""
    service = BadService()
    site.service("store", service)
    site.stage("ERASING", "ERASED", retry="none",
               http={"service": "store", "post": "/erase", "json": {"username": "{original_username}"}, "answer": "any"})
    for name, body, kind in (("ada", LOGIN, "text/html"), ("bob", b"so be it", "application/json")):
        service.doings = answer(200, body, f"Content-Type: {kind}")
        site.request(name)
        assert site.drive_all()["completed"] == 1
    service.stop()
