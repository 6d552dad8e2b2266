# SPDX-License-Identifier: Apache-2.0
"""Databases for a test, of its own and thrown away: SQLite, PostgreSQL, MariaDB, each as ODBC finds it.

    db.odbc, db.password     how Lethe connects to it
    db.do(sql, ...)          as its administrator; gives the rows, lists of text
    db.literal(text)         a text as it stands in SQL
    db.kill(), db.start()    at once, as a power failure would; and up again (not of SQLite)
    db.sleep                 a statement that lasts as long as there is a row in the table `pauses`; None: there is none
"""
import os
import pathlib
import pwd
import shutil
import signal
import socket
import sqlite3
import subprocess
import tempfile
import threading

from services import keep_port
from site_under_test import TIMEOUT, wait_for

PASSWORD = "corr3ct;{horse}='x"


def run(*words, **options):
    return subprocess.run(words, check=True, capture_output=True, text=True, timeout=TIMEOUT, **options).stdout


class Sqlite:
    password = sleep = None

    def __init__(self):
        self.folder = tempfile.mkdtemp(prefix="lethe-sqlite-")
        self.file = f"{self.folder}/shop.db"
        self.odbc = f"Driver=SQLite3;Database={self.file};FKSupport=1"
        self.do("PRAGMA journal_mode=WAL")

    @staticmethod
    def literal(text):
        return "'" + text.replace("'", "''") + "'"

    def do(self, *statements):
        with sqlite3.connect(self.file, timeout=TIMEOUT) as db:
            rows = [["" if value is None else str(value) for value in row] for sql in statements for row in db.execute(sql)]
        db.close()
        return rows

    def close(self):
        shutil.rmtree(self.folder)


class Server:
    """What PostgreSQL and MariaDB have in common: a folder, a port, and a process that belongs to us."""

    def __init__(self, name, user):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix=f"lethe-{name}-"))
        self.kept = keep_port()
        self.port = self.kept.getsockname()[1]
        self.process = None
        self.password = PASSWORD
        self.as_user = ()
        if os.geteuid() == 0:  # neither runs as root by itself
            owner = pwd.getpwnam(user)
            os.chown(self.folder, owner.pw_uid, owner.pw_gid)
            self.as_user = ("setpriv", f"--reuid={user}", f"--regid={owner.pw_gid}", "--clear-groups")
        self.make()
        self.start()

    def start(self):
        with open(self.folder / "log", "ab") as log:
            # ends with the tests, also if they are killed
            words = [*(self.as_user or ("setpriv",)), "--pdeathsig", "KILL", *self.command()]
            self.process = subprocess.Popen(words, stdout=log, stderr=log, cwd=self.folder,
                                            start_new_session=True)
        wait_for(self.is_up, f"the database\n{(self.folder / 'log').read_text()}")

    def is_up(self):
        assert self.process.poll() is None, (self.folder / "log").read_text()
        try:
            socket.create_connection(("127.0.0.1", self.port)).close()  # at less cost than a client at each look
            return self.do("SELECT 1")
        except (ConnectionRefusedError, subprocess.CalledProcessError):
            return False

    def kill(self):
        os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()
        self.clean_up()

    def clean_up(self):
        """Removes what a killed server leaves in the way of the next start."""

    def close(self):
        self.kill()
        self.kept.close()
        shutil.rmtree(self.folder)

    def do(self, *statements):
        lines = run(*self.as_user, *self.client(), input=";\n".join(statements)).splitlines()
        return [line.split("\t") for line in lines]


class Postgresql(Server):
    sleep = "SELECT pg_sleep(3600) FROM pauses"

    def __init__(self):
        [self.bin] = sorted(pathlib.Path("/usr/lib/postgresql").glob("*/bin"))[-1:]
        super().__init__("postgresql", "postgres")
        self.odbc = f"Driver=PostgreSQL Unicode;Server=127.0.0.1;Port={self.port};Database=postgres;UID=lethe"

    def make(self):
        secret = self.folder / "password"
        secret.write_text(PASSWORD)
        secret.chmod(0o644)
        run(*self.as_user, f"{self.bin}/initdb", "-D", f"{self.folder}/data", "-U", "lethe", "-A", "scram-sha-256", "--pwfile",
            str(secret), "-E", "UTF8", "--locale=C", "--no-sync", cwd=self.folder)

    def command(self):
        return [f"{self.bin}/postgres", "-D", f"{self.folder}/data", "-k", str(self.folder), "-p", str(self.port), "-c",
                "listen_addresses=127.0.0.1", "-c", "fsync=off",
                "-c", "client_connection_check_interval=100ms"]  # a killed client's statement ends, and its locks

    def clean_up(self):
        (self.folder / "data" / "postmaster.pid").unlink(missing_ok=True)
        # its children see the end of the first one by themselves
        wait_for(lambda: not subprocess.run(["pgrep", "-f", f"postgres -D {self.folder}"], capture_output=True).stdout)

    def client(self):
        return ["env", f"PGPASSWORD={PASSWORD}", "psql", "-X", "-q", "-At", "-F", "\t", "-v", "ON_ERROR_STOP=1", "-h", "127.0.0.1",
                "-p", str(self.port), "-U", "lethe", "postgres"]

    literal = staticmethod(Sqlite.literal)


class Mariadb(Server):
    sleep = "SELECT SLEEP(3600) FROM pauses"

    def __init__(self):
        super().__init__("mariadb", "mysql")
        self.odbc = f"Driver=MariaDB Unicode;Server=127.0.0.1;Port={self.port};Database=shop;UID=lethe"
        self.do(f"CREATE USER lethe@'127.0.0.1' IDENTIFIED BY {self.literal(PASSWORD)}",
                "GRANT ALL ON shop.* TO lethe@'127.0.0.1'")

    def make(self):
        run(*self.as_user, "mariadb-install-db", "--no-defaults", f"--datadir={self.folder}/data", "--skip-test-db",
            "--auth-root-authentication-method=normal", cwd=self.folder)
        (self.folder / "first.sql").write_text("CREATE DATABASE IF NOT EXISTS shop CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;\n")

    def command(self):
        return [shutil.which("mariadbd", path="/usr/sbin:/usr/bin"), "--no-defaults", f"--datadir={self.folder}/data",
                f"--socket={self.folder}/socket", f"--port={self.port}", "--bind-address=127.0.0.1",
                f"--init-file={self.folder}/first.sql", f"--pid-file={self.folder}/pid", "--innodb-flush-log-at-trx-commit=0"]

    def client(self):
        return ["mariadb", "--no-defaults", "--default-character-set=utf8mb4", f"--socket={self.folder}/socket", "-u", "root", "-N",
                "-B", "--raw", "--init-command=SET sql_mode='NO_BACKSLASH_ESCAPES'", "shop"]

    literal = staticmethod(Sqlite.literal)


DATABASES = {"sqlite": Sqlite, "postgresql": Postgresql, "mariadb": Mariadb}


class LosingCommits:
    """A proxy before a database that passes everything on, but hangs up at the answer to the first COMMIT."""

    def __init__(self, port):
        self.to = port
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.lost = 0
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while True:
            try:
                near, _ = self.listener.accept()
            except OSError:
                return
            far = socket.create_connection(("127.0.0.1", self.to))
            for way in ((near, far), (far, near)):
                threading.Thread(target=self.carry, args=way, daemon=True).start()

    def carry(self, source, target):
        try:
            while data := source.recv(65536):
                if b"COMMIT" in data and not self.lost:
                    self.lost += 1
                    source.shutdown(socket.SHUT_RDWR)
                    target.sendall(data)
                    target.recv(65536)  # it is done there
                    break
                target.sendall(data)
        except OSError:
            pass
        for end in (source, target):
            try:
                end.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass

    def stop(self):
        self.listener.close()
