# SPDX-License-Identifier: Apache-2.0
"""Outside services, scripted inside the test."""
import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class Call:
    """What the service was asked: method, path, headers, and the body as JSON where it is JSON."""

    def __init__(self, handler, raw):
        self.method = handler.command
        self.path = handler.path
        self.headers = dict(handler.headers.items())
        self.raw = raw
        try:
            self.json = json.loads(raw)
        except ValueError:
            self.json = None

    @property
    def username(self):
        return (self.json or {}).get("username")


class Service:
    """Answers each call with script(call): a status, or (status, body), or (status, body, headers).

    A script may block (on an Event of the test) to be slow. Without one every call is a 204. `calls` has all of
    them in the order they came in; `most_at_once` the highest number under way together.
    """

    def __init__(self, script=None):
        self.script = script or (lambda call: 204)
        self.calls = []
        self.at_once = self.most_at_once = 0
        self.lock = threading.Lock()
        service = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def handle_any(self):
                raw = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                call = Call(self, raw)
                with service.lock:
                    service.calls.append(call)
                    service.at_once += 1
                    service.most_at_once = max(service.most_at_once, service.at_once)
                try:
                    answer = service.script(call)
                finally:
                    with service.lock:
                        service.at_once -= 1
                self.send(*(answer if isinstance(answer, tuple) else (answer,)))

            do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = handle_any

            def send(self, status, body=b"", headers=()):
                if status is None:  # hang up without an answer
                    self.close_connection = True
                    self.connection.close()
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

            def log_message(self, *args):
                pass

        class Server(ThreadingHTTPServer):
            daemon_threads = True
            request_queue_size = 256

            def handle_error(self, request, client_address):
                pass

        self.server = Server(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}"
        self.thread = threading.Thread(target=self.server.serve_forever, args=(0.05,), daemon=True)
        self.thread.start()

    def usernames(self):
        with self.lock:
            return [call.username for call in self.calls]

    def stop(self):
        self.server.shutdown()
        self.server.server_close()
