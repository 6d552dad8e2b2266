# SPDX-License-Identifier: Apache-2.0
"""A mail server, scripted inside the test."""
import base64
import email
import email.policy
import socket
import ssl
import threading

from services import make_certificate

HANG_UP = None  # an answer: the connection ends without one


class PostOffice:
    """Answers each step with script(step, text), or as a server in order does where that gives "".

    Steps are CONNECT, EHLO, STARTTLS, AUTH, MAIL, RCPT, DATA, MESSAGE and QUIT; text is the line, or the whole message.
    A script may block (on an Event of the test) to be slow. `messages` has all that came in whole, `lines` every
    command, with whether it came over TLS. With a folder it has a certificate there, cert.pem, and offers STARTTLS;
    with a password it wants a login.
    """

    def __init__(self, script=None, folder=None, implicit=False, login=None):
        self.script = script or (lambda step, text: "")
        self.implicit, self.login = implicit, login
        self.context = make_context(folder) if folder else None
        self.messages, self.lines = [], []
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self.accept, daemon=True).start()

    @property
    def url(self):
        return f"{'smtps' if self.implicit else 'smtp'}://127.0.0.1:{self.port}"

    def stop(self):
        self.listener.close()

    def accept(self):
        while True:
            try:
                connection, _ = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=self.converse, args=(connection,), daemon=True).start()

    def converse(self, connection):
        try:
            if self.implicit:
                connection = self.context.wrap_socket(connection, server_side=True)
            Conversation(self, connection).go_on()
        except OSError:
            pass  # the client has gone, or did not trust our certificate; or the script ended it
        finally:
            hang_up(connection)

    def parsed(self):
        """The messages, as the standard library parses them."""
        return [email.message_from_bytes(message, policy=email.policy.default) for message in self.messages]


def hang_up(connection):
    try:
        connection.shutdown(socket.SHUT_RDWR)
    except OSError:
        pass
    connection.close()


def make_context(folder):
    make_certificate(folder, key="mail.key")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "cert.pem", folder / "mail.key")
    return context


class Conversation:
    def __init__(self, office, connection):
        self.office, self.connection = office, connection
        self.file = connection.makefile("rb")
        self.logged_in = not office.login

    def go_on(self):
        """Until the client hangs up, or a reply that ends the conversation."""
        goes_on = self.say("CONNECT", "", "220 hello")
        while goes_on and (line := self.file.readline()):
            text = line.decode().strip()
            step = text.split(":")[0].split()[0].upper()
            self.office.lines.append((text, isinstance(self.connection, ssl.SSLSocket)))
            goes_on = getattr(self, step.lower(), self.unknown)(text)

    def say(self, step, text, otherwise):
        answer = self.office.script(step, text)
        if answer is HANG_UP:
            raise ConnectionAbortedError
        self.connection.sendall(((answer or otherwise) + "\r\n").encode())
        return not answer or answer[0] in "23"

    def unknown(self, text):
        return self.say("?", text, "500 what?")

    def ehlo(self, text):
        secure = isinstance(self.connection, ssl.SSLSocket)
        offers = ["STARTTLS"] if self.office.context and not secure else []
        offers += ["AUTH PLAIN"] if self.office.login and secure else []
        lines = ["localhost", *offers, "8BITMIME"]
        return self.say("EHLO", text, "\r\n".join("250" + (" " if line is lines[-1] else "-") + line for line in lines))

    def starttls(self, text):
        if not self.say("STARTTLS", text, "220 go on"):
            return False
        self.connection = self.office.context.wrap_socket(self.connection, server_side=True)
        self.file = self.connection.makefile("rb")
        return True

    def auth(self, text):
        words = text.split()
        self.connection.sendall(b"" if len(words) > 2 else b"334 \r\n")
        given = words[2] if len(words) > 2 else self.file.readline().decode().strip()
        self.logged_in = base64.b64decode(given).decode().split("\0")[1:] == list(self.office.login or ())
        return self.say("AUTH", text, "235 welcome" if self.logged_in else "535 5.7.8 wrong password")

    def mail(self, text):
        return self.say("MAIL", text, "250 fine" if self.logged_in else "530 5.7.0 login first")

    def rcpt(self, text):
        self.say("RCPT", text, "250 fine")
        return True

    def data(self, text):
        if not self.say("DATA", text, "354 go on"):
            return True
        lines = []
        while (line := self.file.readline()) not in (b".\r\n", b""):
            lines.append(line[1:] if line.startswith(b".") else line)
        self.office.messages.append(b"".join(lines))
        self.say("MESSAGE", self.office.messages[-1], "250 queued")
        return True

    def quit(self, text):
        self.say("QUIT", text, "221 bye")
        return False
