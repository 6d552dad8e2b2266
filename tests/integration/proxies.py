# SPDX-License-Identifier: Apache-2.0
"""An HTTP proxy inside the test: it tunnels (CONNECT), and passes on whole requests for http:// addresses."""
import base64
import http.client
import select
import socket
import threading
import urllib.parse
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class Proxy:
    """`asked` has (method, target) of each request that it let through, `users` the user of each, `headers` those of all that came,
    `refused` how many it did not let through, because they lacked a login (user, password). `leads` is where a name that only the proxy
    knows leads: {"lms.internal": ("127.0.0.1", port)}. context: of TLS, for an https:// proxy."""

    def __init__(self, *logins, context=None):
        self.asked, self.users, self.headers, self.refused, self.leads = [], [], [], 0, {}
        known = {"Basic " + base64.b64encode(":".join(login).encode()).decode(): login[0] for login in logins} or {None: None}
        proxy = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def is_known(self):
                proxy.headers.append(dict(self.headers.items()))
                given = self.headers.get("Proxy-Authorization")
                if given in known:
                    proxy.asked.append((self.command, self.path))
                    proxy.users.append(known[given])
                    return True
                proxy.refused += 1
                self.send_response(407)
                self.send_header("Proxy-Authenticate", 'Basic realm="proxy"')
                self.send_header("Content-Length", "0")
                self.end_headers()
                return False

            def do_CONNECT(self):
                if self.is_known():
                    host, port = self.path.rsplit(":", 1)
                    with socket.create_connection(proxy.leads.get(host, (host, int(port)))) as far:
                        self.send_response(200)
                        self.end_headers()
                        carry(self.connection, far)
                    self.close_connection = True

            def pass_on(self):
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                if not self.is_known():
                    return
                url = urllib.parse.urlsplit(self.path)
                far = http.client.HTTPConnection(*proxy.leads.get(url.hostname, (url.hostname, url.port or 80)))
                headers = {name: value for name, value in self.headers.items() if not name.startswith("Proxy-")}
                far.request(self.command, url.path, body, headers)
                answer = far.getresponse()
                self.send_response(answer.status)
                self.end_headers()
                self.wfile.write(answer.read())
                far.close()
                self.close_connection = True

            do_GET = do_POST = do_DELETE = pass_on

            def log_message(self, *args):
                pass

        class Server(ThreadingHTTPServer):
            daemon_threads = True

            def finish_request(self, request, address):
                if context:
                    request = context.wrap_socket(request, server_side=True)
                super().finish_request(request, address)

        self.server = Server(("127.0.0.1", 0), Handler)
        self.url = f"{'https' if context else 'http'}://127.0.0.1:{self.server.server_address[1]}"
        threading.Thread(target=self.server.serve_forever, args=(0.01,), daemon=True).start()

    def stop(self):
        self.server.shutdown()
        self.server.server_close()


def carry(*ends):
    """Bytes both ways, until one end hangs up."""
    while True:
        for end in select.select(ends, [], [])[0]:
            try:
                data = end.recv(65536)
                if data:
                    ends[end is ends[0]].sendall(data)
            except OSError:
                data = b""
            if not data:
                return
