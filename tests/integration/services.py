# SPDX-License-Identifier: Apache-2.0
"""Outside services, scripted inside the test."""
import collections
import datetime
import json
import socket
import ssl
import subprocess
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

HANG_UP = None  # an answer: the connection ends without one


class Call:
    """A call to the service, and its time: method, path, headers, and the body as JSON where it is JSON."""

    def __init__(self, handler, raw):
        self.method = handler.command
        self.path = handler.path
        self.headers = dict(handler.headers.items())
        self.raw = raw
        self.certificate = handler.connection.getpeercert() if isinstance(handler.connection, ssl.SSLSocket) else None
        self.at = time.time()
        try:
            self.json = json.loads(raw)
        except ValueError:
            self.json = None

    @property
    def username(self):
        if not isinstance(self.json, dict):
            return None
        renamed = self.json.get("username_mappings")
        return next(iter(renamed[0])) if renamed else self.json.get("username")

    @property
    def key(self):
        return self.headers.get("Idempotency-Key")


def keep_port():
    """A bound socket that never listens. While it is open, the system gives its port to no other program that asks for a
    free one. A server that sets SO_REUSEADDR can listen there; without one, connections are refused."""
    kept = socket.socket()
    kept.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    kept.bind(("127.0.0.1", 0))
    return kept


def make_certificate(folder, certificate="cert.pem", key="key.pem", names="IP:127.0.0.1"):
    """A certificate for this machine, signed by itself, and its key."""
    subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", key, "-out", certificate, "-days", "2",
                    "-subj", "/CN=localhost", "-addext", f"subjectAltName={names}"], cwd=folder, check=True, capture_output=True)
    (folder / key).chmod(0o600)


def quiet_now():
    """Quiet hours that have begun and last."""
    now, hour = datetime.datetime.now(), datetime.timedelta(hours=1)
    return [f"{now - hour:%H:%M}-{now + hour:%H:%M}"]


def told(service):
    """The groups in the alerts that took effect at a service, by idempotency key: each as (what, stage, status, cause, ids)."""
    alerts = {call.key: call.json for call in service.calls}
    return sorted((g["what"], g["stage"], g.get("status"), g["cause"], tuple(g["ids"])) for a in alerts.values() for g in a["groups"])


class Service:
    """Answers each call with script(call): a status, or (status, body), or (status, body, headers), or HANG_UP.

    A script may block (on an Event of the test) to be slow. Without one every call is a 204. `calls` has all of
    them in the order they came in; `most_at_once` the highest number under way together.

    It keeps to its callers' Idempotency-Key: `effects` has what took effect, by user name and key, which happens before
    the script gets to answer, and once a key.
    """

    def __init__(self, script=None, context=None):
        self.script = script or (lambda call: 204)
        self.context = context  # of TLS
        self.calls = []
        self.effects = collections.Counter()  # calls by (user name, key)
        self.ahead_s = 0  # its clock, as the header Date shows it
        self.at_once = self.most_at_once = 0
        self.lock = threading.Lock()
        self.connections = set()
        self.server = None
        self.kept = keep_port()
        self.port = self.kept.getsockname()[1]
        self.come_back()

    @property
    def url(self):
        return f"{'https' if self.context else 'http'}://127.0.0.1:{self.port}"

    def come_back(self):
        """Answers (again), at the same port."""
        self.server = make_server(self, self.port)
        threading.Thread(target=self.server.serve_forever, args=(0.01,), daemon=True).start()

    def go_down(self):
        """Stops listening at the port, and cuts off the clients that are connected."""
        self.server.shutdown()
        self.server.server_close()
        self.server = None
        with self.lock:
            connections = list(self.connections)
        for connection in connections:
            try:
                connection.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass  # it has just ended by itself

    def stop(self):
        if self.server:
            self.go_down()
        self.kept.close()

    # -- what came in --

    def note(self, call):
        with self.lock:
            self.calls.append(call)
            self.effects[call.username, call.key] += 1
            self.at_once += 1
            self.most_at_once = max(self.most_at_once, self.at_once)

    def note_end(self):
        with self.lock:
            self.at_once -= 1

    def calls_for(self, username):
        with self.lock:
            return [call for call in self.calls if call.username == username]

    def keys_of(self, username):
        """The Idempotency-Keys of the calls for this user name, in their order."""
        return [call.key for call in self.calls_for(username)]

    def usernames(self):
        with self.lock:
            return [call.username for call in self.calls]

    def times_erased(self):
        """By user name, how many times something took effect, a repeat with the same key not counted."""
        with self.lock:
            return collections.Counter(username for username, key in self.effects)


def make_server(service, port):
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True

        def setup(self):
            super().setup()
            with service.lock:
                service.connections.add(self.connection)

        def finish(self):
            with service.lock:
                service.connections.discard(self.connection)
            super().finish()

        def handle_any(self):
            call = Call(self, self.rfile.read(int(self.headers.get("Content-Length") or 0)))
            service.note(call)
            try:
                answer = service.script(call)
            finally:
                service.note_end()
            self.send(*(answer if isinstance(answer, tuple) else (answer,)))

        do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = handle_any

        def send(self, status, body=b"", headers=()):
            if status is HANG_UP:
                self.close_connection = True
                self.connection.shutdown(socket.SHUT_RDWR)
                return
            if not isinstance(body, bytes):
                body = body.encode() if isinstance(body, str) else json.dumps(body).encode()
            self.send_response(status)
            for name, value in dict(headers).items():
                self.send_header(name, value)
            if status != 204:
                self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            if status != 204:
                self.wfile.write(body)

        def date_time_string(self, timestamp=None):
            return super().date_time_string(time.time() + service.ahead_s)

        def log_message(self, *args):
            pass

    class Server(ThreadingHTTPServer):
        daemon_threads = True
        block_on_close = False
        request_queue_size = 256

        def handle_error(self, request, client_address):
            pass

        def get_request(self):
            connection, address = super().get_request()
            if service.context:  # it shakes hands with the first read, on the thread of the handler
                connection = service.context.wrap_socket(connection, server_side=True, do_handshake_on_connect=False)
            return connection, address

    return Server(("127.0.0.1", port), Handler)


def first_time_for_each(answer, otherwise=204):
    """A script: this answer to the first call for each person, the other one to all later calls."""
    seen = set()
    lock = threading.Lock()

    def script(call):
        with lock:
            first = call.username not in seen
            seen.add(call.username)
        return answer if first else otherwise

    return script


class Gate:
    """A script that holds calls for these people until it is opened and then gives its answer. Other calls are answered at once.
    `reached` once a call has come."""

    def __init__(self, who=None, answer=204):
        self.who = who  # None: all people
        self.answer = answer
        self.reached = threading.Event()
        self.opened = threading.Event()

    def __call__(self, call):
        if self.who is None or call.username in self.who:
            self.reached.set()
            self.opened.wait(120)
            return self.answer
        return 204

    def wait_reached(self):
        assert self.reached.wait(60), "nobody came to the gate"

    def open(self):
        self.opened.set()
