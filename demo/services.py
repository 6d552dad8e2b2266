#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Two of the demo's services: a forum and a shop. (The third is a command: newsletter.py.)

Each keeps its people in its own way, as services do, and has one call to forget a person:

    forum   an SQLite database     POST /users/forget     a fixed token     {username, replace_with}
    shop    a JSON file an order   POST /privacy/forget   OAuth2            {email, replace_with}

Both are real: they answer over HTTP, and what they say is gone is gone from their files. To run them by hand,
until Ctrl-C, on a folder that the demo has made:

    /usr/bin/python3 demo/services.py FOLDER [forum] [shop] [--unavailable N]

With --unavailable the shop answers its first N calls with 503, as a shop does whose storage is not there yet.
"""
import argparse
import base64
import glob
import hmac
import json
import os
import random
import secrets
import signal
import sqlite3
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs

TOKEN_LIFETIME_S = 300


# ---- what both have in common: HTTP ----

class Refusal(Exception):
    """Ends a request with this status and these words."""

    def __init__(self, status, words, headers=None):
        super().__init__(words)
        self.status = status
        self.headers = headers or {}


class Server(ThreadingHTTPServer):
    """One service at one port. service.routes: a function for each (method, path), request -> status, answer."""

    daemon_threads = True
    request_queue_size = 128

    def __init__(self, port, service):
        super().__init__(("127.0.0.1", port), Request)
        self.routes = service.routes


class Request(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    wbufsize = -1               # the answer leaves in one piece
    disable_nagle_algorithm = True

    def do_GET(self):
        self.serve()

    def do_POST(self):
        self.serve()

    def serve(self):
        self.body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        try:
            route = self.server.routes.get((self.command, self.path))
            if not route:
                raise Refusal(404, "There is no such page.")
            self.answer(*route(self))
        except Refusal as refusal:
            self.answer(refusal.status, {"error": str(refusal)}, refusal.headers)

    def answer(self, status, content=None, headers=None):
        data = b"" if content is None else (json.dumps(content) + "\n").encode()
        self.send_response(status)
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        if status != 204:
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def json(self, *keys):
        """These texts of the body."""
        try:
            found = json.loads(self.body)
            values = [found[key] for key in keys]
        except (ValueError, KeyError, TypeError):
            values = [None]
        if not all(isinstance(value, str) and value for value in values):
            raise Refusal(400, f"The body must be JSON with {' and '.join(keys)}.")
        return values

    def must_have_token(self, is_good):
        kind, _, token = self.headers.get("Authorization", "").partition(" ")
        if kind != "Bearer" or not is_good(token):
            raise Refusal(401, "No good token.", {"WWW-Authenticate": "Bearer"})

    def log_message(self, *_):
        """No log: it would name the people that the service forgets."""


# ---- the forum ----

FORUM_SCHEMA = """
    CREATE TABLE profile (id INTEGER PRIMARY KEY, username TEXT NOT NULL UNIQUE, email TEXT NOT NULL,
                          name TEXT NOT NULL, member_since TEXT NOT NULL);
    CREATE INDEX profile_email ON profile (email);
    CREATE TABLE post (id INTEGER PRIMARY KEY, author INTEGER NOT NULL, thread TEXT NOT NULL,
                       text TEXT NOT NULL);
    CREATE INDEX post_author ON post (author);
    CREATE TABLE legal_hold (username TEXT PRIMARY KEY, reason TEXT NOT NULL);
    CREATE TABLE forgotten (request TEXT PRIMARY KEY);
"""
FORUM_POSTS = {
    "Bread that rises": ["Overnight in the fridge, then it never fails.", "Mine is flat again. What do I miss?",
                         "More water than you think, and patience.", "Rye wants another temperature."],
    "Night trains": ["Booked the sleeper to the sea, who else?", "The 22:04 was late, and still worth it.",
                     "Bring ear plugs.", "Is the dining car back?"],
    "Telescopes for beginners": ["Binoculars first, honestly.", "Saw the rings of Saturn last night!",
                                 "A tripod matters more than the mirror.", "Street lamps are the real enemy."],
    "Repairing old radios": ["Replace the capacitors before you switch it on.", "It hums, but it plays.",
                             "Does anybody have the circuit diagram?", "Warm dust, best smell there is."],
}


class Forum:
    """Keeps profiles and posts in SQLite. Forgetting a person deletes their profile and posts, and takes their
    name out of what others wrote to them."""

    def __init__(self, folder, token):
        self.token = token
        self.lock = threading.Lock()
        self.db = forum_open(folder)
        self.routes = {("GET", "/"): self.count, ("POST", "/users/forget"): self.forget}

    def count(self, _):
        with self.lock:
            return 200, {table: self.db.execute(f"SELECT count(*) FROM {table}").fetchone()[0]
                         for table in ("profile", "post", "legal_hold")}

    def forget(self, request):
        request.must_have_token(lambda token: hmac.compare_digest(token.encode(), self.token.encode()))
        username, replacement = request.json("username", "replace_with")
        key = request.headers.get("Idempotency-Key")
        with self.lock, self.db:
            if key and self.db.execute("SELECT 1 FROM forgotten WHERE request = ?", [key]).fetchone():
                return 204,     # our first answer to this very call was lost
            self.erase(username, replacement)
            if key:
                self.db.execute("INSERT INTO forgotten VALUES (?)", [key])
        with self.lock:
            forum_empty_wal(self.db)
        return 204,

    def erase(self, username, replacement):
        hold = self.db.execute("SELECT reason FROM legal_hold WHERE username = ?", [username]).fetchone()
        if hold:
            raise Refusal(409, f"This account is under a legal hold and may not be erased: {hold[0]}.")
        profile = self.db.execute("SELECT id FROM profile WHERE username = ?", [username]).fetchone()
        if not profile:
            raise Refusal(404, "Nobody of this name was ever here.")
        self.db.execute("DELETE FROM post WHERE author = ?", profile)
        self.db.execute("DELETE FROM profile WHERE id = ?", profile)
        self.db.execute("UPDATE post SET text = replace(text, ?1, ?2) WHERE instr(text, ?1)",
                        ["@" + username, "@" + replacement])


def forum_open(folder):
    db = sqlite3.connect(os.path.join(folder, "forum.db"), check_same_thread=False)
    db.execute("PRAGMA journal_mode = WAL")
    db.execute("PRAGMA secure_delete = ON")
    return db


def forum_empty_wal(db):
    """Empties the write-ahead log, which still has the old pages until then."""
    db.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()


def forum_fill(folder, people):
    """Each person has a profile, most have posts, and some posts address other people."""
    os.mkdir(folder)
    chance = random.Random(1)
    db = forum_open(folder)
    db.executescript(FORUM_SCHEMA)
    for number, person in enumerate(people, 1):
        since = f"{chance.randrange(2009, 2026)}-{chance.randrange(1, 13):02}-{chance.randrange(1, 29):02}"
        db.execute("INSERT INTO profile VALUES (?, ?, ?, ?, ?)",
                   [number, person.username, person.email, person.name, since])
        for _ in range(chance.randrange(6)):
            thread = chance.choice(list(FORUM_POSTS))
            text = forum_text(chance, chance.choice(FORUM_POSTS[thread]), person, chance.choice(people))
            db.execute("INSERT INTO post (author, thread, text) VALUES (?, ?, ?)", [number, thread, text])
    db.commit()
    db.close()


def forum_text(chance, text, author, other):
    if chance.random() < 0.4 and other != author:
        text = f"@{other.username} {text}"
    if chance.random() < 0.3:
        text = f"{text}\n-- {author.name}, {author.email}"
    return text


def forum_set_hold(folder, username, reason):
    """reason None lifts it."""
    db = forum_open(folder)
    with db:
        if reason:
            db.execute("INSERT INTO legal_hold VALUES (?, ?)", [username, reason])
        else:
            db.execute("DELETE FROM legal_hold WHERE username = ?", [username])
    forum_empty_wal(db)
    db.close()


def forum_read(folder):
    """Profile and posts of each person, by user name."""
    db = sqlite3.connect(f"file:{os.path.join(folder, 'forum.db')}?mode=ro", uri=True)
    everybody = {}
    for number, username, *profile in db.execute("SELECT id, username, email, name, member_since FROM profile"):
        posts = db.execute("SELECT thread, text FROM post WHERE author = ? ORDER BY id", [number]).fetchall()
        everybody[username] = profile, posts
    db.close()
    return everybody


# ---- the shop ----

SHOP_GOODS = {"Teapot, cast iron": 4900, "Notebook, 96 pages": 750, "Umbrella": 2295, "Bicycle bell": 1180,
              "Wool socks, two pairs": 1650, "Kite": 3400, "Olive oil, 1 l": 1390, "Map of the Alps": 1290}


class Shop:
    """Keeps a JSON file for each order. The law wants orders kept for years, so forgetting a person takes the
    person out of them and leaves the rest."""

    def __init__(self, folder, secret, unavailable):
        self.secret = secret
        self.unavailable = unavailable  # how many calls more
        self.tokens = set()
        self.lock = threading.Lock()
        self.files = {}                 # of each customer's orders, by address
        orders = shop_orders(folder)
        self.n_orders = len(orders)
        for path, order in orders.items():
            if "name" in order["customer"]:
                self.files.setdefault(order["customer"]["email"], []).append(path)
        self.routes = {("GET", "/"): self.count, ("POST", "/oauth2/access_token"): self.give_token,
                       ("POST", "/privacy/forget"): self.forget}

    def count(self, _):
        with self.lock:
            return 200, {"order": self.n_orders, "customer": len(self.files),
                         "unavailable_for": self.unavailable}

    def give_token(self, request):
        form = {key: values[0] for key, values in parse_qs(request.body.decode()).items()}
        kind, _, coded = request.headers.get("Authorization", "").partition(" ")
        secret = form.get("client_secret", "")
        if kind == "Basic":
            secret = base64.b64decode(coded).decode().partition(":")[2]
        if form.get("grant_type") != "client_credentials" or not hmac.compare_digest(secret, self.secret):
            return 401, {"error": "invalid_client"}
        token = secrets.token_urlsafe(32)
        self.tokens.add(token)
        return 200, {"access_token": token, "token_type": "Bearer", "expires_in": TOKEN_LIFETIME_S}

    def forget(self, request):
        request.must_have_token(self.tokens.__contains__)
        email, replacement = request.json("email", "replace_with")
        with self.lock:
            if self.unavailable:
                self.unavailable -= 1
                raise Refusal(503, "The shop is being restarted.", {"Retry-After": "1"})
            if email not in self.files:
                raise Refusal(404, "Nobody of this address has ever ordered anything.")
            for path in self.files[email]:
                shop_anonymize(path, replacement)
            del self.files[email]
        return 200, {"forgotten": True}


def shop_orders(folder):
    """All orders, by the path of their file."""
    return {path: shop_load(path) for path in sorted(glob.glob(os.path.join(folder, "*.json")))}


def shop_load(path):
    with open(path, encoding="ascii") as file:
        return json.load(file)


def shop_anonymize(path, replacement):
    shop_save(path, {**shop_load(path), "customer": {"email": replacement}})


def shop_save(path, order):
    """Replaces the file as a whole. Characters that are not ASCII stand as \\u.... in it, as many programs write JSON."""
    with open(path + ".new", "w", encoding="ascii") as file:
        json.dump(order, file, indent=1)
    os.replace(path + ".new", path)


def shop_fill(folder, customers):
    os.mkdir(folder)
    chance = random.Random(2)
    buyers = [customer for customer in customers for _ in range(chance.choice([1, 1, 1, 2, 2, 3]))]
    chance.shuffle(buyers)
    for number, buyer in enumerate(buyers, 10001):
        goods = chance.sample(sorted(SHOP_GOODS), chance.randrange(1, 4))
        shop_save(os.path.join(folder, f"order-{number}.json"), {
            "order": number,
            "date": f"2025-{chance.randrange(1, 13):02}-{chance.randrange(1, 29):02}",
            "customer": {"name": buyer.name, "email": buyer.email, "account": buyer.username},
            "goods": goods,
            "cents": sum(SHOP_GOODS[item] for item in goods)})


def shop_read(folder):
    """All orders of each person, by address."""
    everybody = {}
    for order in shop_orders(folder).values():
        everybody.setdefault(order["customer"]["email"], []).append(order)
    return everybody


# ---- running them ----

def read_secret(folder, name):
    with open(os.path.join(folder, name), encoding="ascii") as file:
        return file.read().strip()


def make_service(name, folder, unavailable):
    if name == "forum":
        return Forum(os.path.join(folder, "forum"), read_secret(folder, "forum.token"))
    return Shop(os.path.join(folder, "shop"), read_secret(folder, "shop.secret"), unavailable)


def parse_arguments():
    parser = argparse.ArgumentParser(description="The demo's forum and shop, until Ctrl-C.")
    parser.add_argument("folder")
    parser.add_argument("names", nargs="*", metavar="forum|shop")
    parser.add_argument("--unavailable", type=int, default=0, metavar="N",
                        help="the shop answers its first N calls with 503")
    arguments = parser.parse_args()
    if set(arguments.names) - {"forum", "shop"}:
        parser.error("the services are called forum and shop")
    return arguments


def main():
    signals = {signal.SIGINT, signal.SIGTERM}
    signal.pthread_sigmask(signal.SIG_BLOCK, signals)
    arguments = parse_arguments()
    with open(os.path.join(arguments.folder, "ports.json"), encoding="ascii") as file:
        ports = json.load(file)
    for name in arguments.names or sorted(ports):
        server = Server(ports[name], make_service(name, arguments.folder, arguments.unavailable))
        threading.Thread(target=server.serve_forever, daemon=True).start()
        print(f"the {name} answers at http://127.0.0.1:{ports[name]}/", flush=True)
    signal.sigwait(signals)


if __name__ == "__main__":
    try:
        main()
    except OSError as error:
        sys.exit(f"services.py: {error}")
