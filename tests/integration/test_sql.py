# SPDX-License-Identifier: Apache-2.0
"""The sql action: people erased in SQLite, PostgreSQL and MariaDB, each a real one that is thrown away."""
import contextlib
import json
import os
import pathlib
import re
import subprocess

import pytest

from databases import DATABASES, LosingCommits
from site_under_test import TIMEOUT, wait_for

HOSTILE = ["O'Neil", 'x"y', "back\\slash", "' OR '1'='1", "x'; DROP TABLE orders; --", "\\'; DELETE FROM orders; -- ", "?", "{original_email}",
           "%", "_", "x' UNION SELECT 1 -- ", "$1", ":name", "né 😀 ß", "\U00020000\U0001F469\u200D\U0001F52C", "NULL", "0"]


@pytest.fixture(scope="module")
def databases():
    """databases(kind): the one of this kind, made when a test first wants it."""
    made = {}

    def get(kind):
        if kind not in made:
            made[kind] = DATABASES[kind]()
        return made[kind]

    yield get
    for db in made.values():
        db.close()


@pytest.fixture(params=list(DATABASES))
def database(request, databases):
    return databases(request.param)


@pytest.fixture(params=["postgresql", "mariadb"])
def server(request, databases):
    """One that can be killed."""
    return databases(request.param)


def prepare(site, db):
    site.db = db
    db.do(*(f"DROP TABLE IF EXISTS {table}" for table in ("orders", "people", "pauses")),
          "CREATE TABLE orders (id INTEGER PRIMARY KEY, email VARCHAR(200), note VARCHAR(200))",
          "CREATE TABLE people (id INTEGER PRIMARY KEY, name VARCHAR(200), email VARCHAR(200))",
          "CREATE TABLE pauses (n INTEGER)")
    service = {"odbc": db.odbc, "breaker": "none"}  # whose pauses are longer than a restart
    if db.password:
        (site.folder / "shop.password").write_text(db.password)
        (site.folder / "shop.password").chmod(0o600)
        service["password_file"] = "shop.password"
    site.configure(services={"shop": service}, driver={"poll": "100ms"})
    site.stage("ERASING", "ERASED", sql={"service": "shop", "statements": [
        "DELETE FROM orders WHERE email = {original_email}",
        "UPDATE people SET name = {retired_username}, email = {retired_email} WHERE email = {original_email}"]},
        retry={"for": "60s", "first": "10ms", "longest": "200ms"})
    return site


@pytest.fixture
def shop(site, database):
    return prepare(site, database)


@pytest.fixture
def shop_server(site, server):
    return prepare(site, server)


def stage(site, **settings):
    site.config["stages"][0].update(settings)


def statements(site, *texts):
    site.config["stages"][0]["sql"]["statements"] = list(texts)


def order(site, number, email, note=""):
    order_all(site, [(number, email, note)])


def order_all(site, rows):
    """Each row: number, address and note."""
    values = (f"({number}, {site.db.literal(email)}, {site.db.literal(note)})" for number, email, note in rows)
    site.db.do("INSERT INTO orders VALUES " + ", ".join(values))


def orders(site):
    return [row[0] for row in site.db.do("SELECT id FROM orders ORDER BY id")]


# ---- what is done ----


def test_rows_are_erased_and_counted(shop):
    order_all(shop, [(number, f"{who}@example.com", "") for number, who in enumerate(["ada", "eve", "ada", "ada"])])
    shop.db.do("INSERT INTO people VALUES (1, 'Ada', 'ada@example.com')")
    shop.request("ada")
    assert shop.drive_all()["completed"] == 1
    assert orders(shop) == ["1"]
    [[name, email]] = shop.db.do("SELECT name, email FROM people")
    assert name.startswith("retired__user_") and email.endswith("@retired.invalid")
    assert shop.recorded("ada", "ERASED") == {"status": None, "attempts": 1, "answer": "affected rows: 3, 1"}


def test_nobody_there_is_nothing_to_erase(shop):
    order(shop, 1, "eve@example.com")
    shop.request("ada")
    assert shop.drive_all()["completed"] == 1
    done = shop.recorded("ada", "ERASED")
    assert (done["outcome"], done["answer"]) == ("nothing_to_erase", "affected rows: 0, 0")
    assert orders(shop) == ["1"]


def test_hostile_values_are_only_values(shop):
    """Each name erases its own row and no other, and is stored in the database unchanged."""
    shop.serve()
    statements(shop, "INSERT INTO people VALUES ({retirement_id}, {original_name}, {original_email})",
               "DELETE FROM orders WHERE note = {original_name}")
    order_all(shop, [*((number, "x", name) for number, name in enumerate(HOSTILE)), (1000, "x", "somebody else")])
    names = {}
    for number, name in enumerate(HOSTILE):
        names[str(shop.request(f"user{number}", name=name)["id"])] = name
    assert shop.drive_all()["completed"] == len(HOSTILE)
    assert orders(shop) == ["1000"]
    assert dict(shop.db.do("SELECT id, name FROM people")) == names
    for number in range(len(HOSTILE)):
        assert shop.recorded(f"user{number}", "ERASED")["answer"] == "affected rows: 1, 1"


def test_hostile_user_names(shop):
    shop.serve()
    statements(shop, "DELETE FROM orders WHERE note = {original_username}")
    names = ["x'; DROP TABLE orders; --", "' OR ''='", "a\\", "né😀"]
    order_all(shop, [*((number, "x", name) for number, name in enumerate(names)), (1000, "x", "somebody else")])
    for number, name in enumerate(names):
        shop.request(name, email=f"user{number}@example.com")
    assert shop.drive_all()["completed"] == len(names)
    assert orders(shop) == ["1000"]


def test_numbers_and_text_find_each_other(shop):
    """A number of the person is found in a column of numbers and in one of text."""
    order_all(shop, [(4711, "x", "4711"), (4712, "x", "4712")])
    statements(shop, "DELETE FROM orders WHERE id = {user_id} AND note = {user_id}")
    shop.request("ada", account_id=4711)
    assert shop.drive_all()["completed"] == 1
    assert orders(shop) == ["4712"]


def test_all_statements_or_none(shop):
    """The second one fails: what the first one did is not there afterwards."""
    order(shop, 1, "ada@example.com")
    shop.db.do("INSERT INTO people VALUES (1, 'Ada', 'ada@example.com')")
    statements(shop, "DELETE FROM orders WHERE email = {original_email}",
               "INSERT INTO people VALUES (1, {original_username}, {original_email})")
    shop.request("ada")
    done = shop.drive_all()
    assert (done["errored"], done["calls"]) == (1, 1)
    assert orders(shop) == ["1"]
    failed = shop.recorded("ada", "ERRORED")
    assert failed["outcome"] == "failed" and failed["error"].startswith("statement 2 failed (SQLSTATE ")
    assert failed["answer"]
    assert "shop: statement 2 failed" in shop.ok("retirement", "failures").out


def test_a_table_that_is_not_there(shop):
    statements(shop, "DELETE FROM nowhere WHERE email = {original_email}")
    shop.request("ada")
    assert shop.drive_all()["errored"] == 1
    assert "nowhere" in shop.recorded("ada", "ERRORED")["answer"]


def test_what_was_rolled_back_is_no_reason_for_nobody_to_be_found(shop):
    """The statement is mended, and the person has no rows."""
    statements(shop, "DELETE FROM nowhere WHERE email = {original_email}")
    shop.request("ada")
    assert shop.drive_all()["errored"] == 1
    statements(shop, "DELETE FROM orders WHERE email = {original_email}")
    shop.ok("retirement", "resume", "ada", "--reason", "mended")
    assert shop.drive_all()["completed"] == 1
    assert shop.recorded("ada", "ERASED")["outcome"] == "nothing_to_erase"


def test_an_empty_value_is_nobodys(shop):
    """Otherwise the statement would match the rows of all people without one."""
    order(shop, 1, "x", "")
    statements(shop, "DELETE FROM orders WHERE note = {original_name}")
    shop.request("ada")
    assert shop.drive_all()["errored"] == 1
    assert orders(shop) == ["1"]
    assert "{original_name} is empty" in shop.recorded("ada", "ERRORED")["error"]


def test_many_people(shop):
    people = [f"user{n}" for n in range(60)]
    order_all(shop, [*((number, f"{who}@example.com", "") for number, who in enumerate(people)), (1000, "x", "")])
    shop.request_all(people)
    assert shop.drive_all()["completed"] == 60
    assert orders(shop) == ["1000"]


def test_nothing_of_the_person_is_in_the_log(shop):
    """Nor is the password."""
    statements(shop, "INSERT INTO people VALUES (1, {original_username}, {original_email})")
    shop.db.do("INSERT INTO people VALUES (1, 'x', 'x')")
    shop.configure(log={"level": "debug"})
    shop.run_all()
    shop.request("adalovelace", email="countess@example.com")
    shop.wait_states("ERRORED")
    for private in ("adalovelace", "countess", shop.db.password or "countess"):
        assert private not in shop.logs()


def test_the_plan_shows_statements_with_masked_values(shop):
    order(shop, 1, "ada@example.com")
    shop.request("ada")
    said = shop.ok("plan", "ada").out
    assert "2 statements in the database shop" in said and "DELETE FROM orders WHERE email = a...@e..." in said
    assert "ada@" not in said and orders(shop) == ["1"]


# ---- what goes wrong ----


def retries(site):
    said = re.search(r"^lethe_driver_retries_total (\d+)$", site.call("GET", "/metrics", token="").raw.decode(), re.M)
    return int(said[1]) if said else 0


def test_nobody_connects_while_the_server_is_down(shop_server):
    """Tried again until it is up: no person is ERRORED."""
    order(shop_server, 1, "ada@example.com")
    shop_server.db.kill()
    shop_server.run_all()
    shop_server.request("ada")
    wait_for(lambda: retries(shop_server) >= 2, "two tries")
    shop_server.db.start()
    shop_server.wait_states("COMPLETE")
    assert orders(shop_server) == []


def test_a_server_that_is_killed_in_the_middle(shop_server):
    """The unfinished transaction is gone, and the statements are repeated."""
    site = shop_server
    order(site, 1, "ada@example.com")
    site.db.do("INSERT INTO pauses VALUES (1)")
    statements(site, "DELETE FROM orders WHERE email = {original_email}", site.db.sleep)
    stage(site, timeout="5s")  # of a repeat that comes before the pauses are over
    site.run_all()
    site.request("ada")
    busy = {"Postgresql": "SELECT 1 FROM pg_stat_activity WHERE wait_event = 'PgSleep'",
            "Mariadb": "SELECT 1 FROM information_schema.processlist WHERE state = 'User sleep'"}[type(site.db).__name__]
    wait_for(lambda: site.db.do(busy), "the statement to be under way")
    site.db.kill()
    site.db.start()
    site.db.do("DELETE FROM pauses")
    site.wait_states("COMPLETE")
    assert orders(site) == []
    assert site.recorded("ada", "ERASED")["attempts"] >= 2


def seen_of_processes():
    """The arguments, the environment and the open files of every process that talks to a database."""
    seen = b""
    for process in pathlib.Path("/proc").glob("[0-9]*"):
        try:
            if (process / "cmdline").read_bytes().startswith(b"lethe-sql"):
                seen += b"".join((process / name).read_bytes() for name in ("cmdline", "environ", "comm"))
                seen += b"".join(os.fsencode(os.readlink(fd)) for fd in (process / "fd").iterdir())
        except OSError:
            pass  # it has just ended
    return seen


def test_nothing_of_the_person_is_seen_of_the_process(shop_server):
    """Nor is the password, while a statement runs."""
    site = shop_server
    site.db.do("INSERT INTO pauses VALUES (1)")
    statements(site, "DELETE FROM orders WHERE email = {original_email}", site.db.sleep)
    stage(site, timeout="2s")
    site.run_all()
    site.request("adalovelace", email="countess@example.com")
    seen = wait_for(lambda: b"PATH=" in (seen := seen_of_processes()) and seen)
    for private in (b"adalovelace", b"countess", b"corr3ct"):
        assert private not in seen
    assert b"lethe.db" not in seen


def test_over_its_timeout_it_is_rolled_back(shop_server):
    site = shop_server
    order(site, 1, "ada@example.com")
    site.db.do("INSERT INTO pauses VALUES (1)")
    statements(site, "DELETE FROM orders WHERE email = {original_email}", site.db.sleep)
    stage(site, timeout="3s", retry="none")
    site.request("ada")
    assert site.drive_all()["errored"] == 1
    failed = site.recorded("ada", "ERRORED")
    assert failed["outcome"] == "unknown" and failed["error"] == "the database took too long"
    assert orders(site) == ["1"]


def test_a_lost_commit_is_repeated(shop_server):
    """It is unknown whether it was done; the repeat finds that it was."""
    site = shop_server
    between = LosingCommits(site.db.port)
    site.config["services"]["shop"]["odbc"] = site.db.odbc.replace(str(site.db.port), str(between.port))
    order(site, 1, "ada@example.com")
    site.request("ada")
    done = site.drive_all()
    between.stop()
    assert (done["completed"], done["calls"], between.lost) == (1, 2, 1)
    assert orders(site) == []
    assert site.recorded("ada", "ERASED")["outcome"] == "gone"


def test_a_lost_commit_is_unknown_when_the_budget_ends_so(shop_server):
    site = shop_server
    between = LosingCommits(site.db.port)
    site.config["services"]["shop"]["odbc"] = site.db.odbc.replace(str(site.db.port), str(between.port))
    stage(site, retry="none")
    site.request("ada")
    assert site.drive_all()["errored"] == 1
    between.stop()
    failed = site.recorded("ada", "ERRORED")
    assert failed["outcome"] == "unknown" and failed["error"].startswith("the commit failed (SQLSTATE ")


def test_a_wrong_password(shop_server):
    """The fault is on our side: tried again. The record does not say what it was."""
    site = shop_server
    (site.folder / "shop.password").write_text("wr0ng-passw0rd")
    stage(site, retry={"for": "3s", "first": "10ms", "longest": "50ms"})
    site.request("ada")
    driver = site.start("drive", "--once")
    assert driver.wait(TIMEOUT) in (0, 1)
    failed = site.recorded("ada", "ERRORED")
    assert failed["error"].startswith("no connection (SQLSTATE ") and failed["attempts"] > 1
    assert "lethe" in failed["answer"]
    assert "wr0ng-passw0rd" not in str(failed) and "wr0ng-passw0rd" not in site.logs()


@contextlib.contextmanager
def held(db, number):
    """Another program's transaction that holds this order, until the block is left."""
    holder = subprocess.Popen([*db.as_user, *db.client()], stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True)
    holder.stdin.write(f"BEGIN;\nUPDATE orders SET note = 'held' WHERE id = {number};\n")
    holder.stdin.flush()

    def is_held():
        try:
            db.do(f"SELECT 1 FROM orders WHERE id = {number} FOR UPDATE NOWAIT")
        except subprocess.CalledProcessError:
            return True
        return False

    try:
        wait_for(is_held, f"order {number} to be held")
        yield
    finally:
        holder.communicate("ROLLBACK;\n", TIMEOUT)


def test_people_in_each_others_way(shop_server):
    """Two transactions in a deadlock: the one that the database ends is tried again."""
    site = shop_server
    order_all(site, [(number, "x", "") for number in (1, 2, 3)])
    change = "UPDATE orders SET note = {original_username} WHERE id = "
    statements(site, change + "CASE {original_username} WHEN 'ada' THEN 1 ELSE 2 END", change + "3",
               change + "CASE {original_username} WHEN 'ada' THEN 2 ELSE 1 END")
    site.request_all(["ada", "eve"])
    waiting = {"Postgresql": "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'",
               "Mariadb": "SELECT count(*) FROM information_schema.processlist WHERE user = 'lethe' AND info LIKE '%id = 3'"}[type(site.db).__name__]
    with held(site.db, 3):  # each has its first order
        driver = site.start("drive", "--once", "--json")
        wait_for(lambda: site.db.do(waiting) == [["2"]], "both to wait")
    done = json.loads(driver.stdout.read())
    assert driver.wait(TIMEOUT) == 0 and done["completed"] == 2, done
    assert max(site.recorded(name, "ERASED")["attempts"] for name in ("ada", "eve")) > 1


HOSTILE_DRIVERS = {
    "crashes": "abort();",
    "ends": "exit(0);",
    "ends with noise": 'write(1, "{\\"rows\\":[1]}", 12); _exit(0);',
    "hangs": "for (;;) pause();",
    "hangs and does not want to die": "signal(SIGTERM, SIG_IGN); if (fork()) for (;;) pause(); for (;;) pause();",
}


@pytest.mark.parametrize("how", HOSTILE_DRIVERS)
def test_a_hostile_driver_of_a_database_harms_nobody(site, how):
    """The attempt's outcome is unknown, and the driver goes on."""
    (site.folder / "hostile.c").write_text(
        "#include <signal.h>\n#include <stdlib.h>\n#include <unistd.h>\n"
        f"__attribute__((constructor)) static void begin(void) {{ {HOSTILE_DRIVERS[how]} }}\n")
    subprocess.run(["cc", "-shared", "-fPIC", "-o", "hostile.so", "hostile.c"], cwd=site.folder, check=True)
    site.configure(services={"shop": {"odbc": f"Driver={site.folder}/hostile.so", "breaker": "none"}})
    site.stage("ERASING", "ERASED", sql={"service": "shop", "statements": ["DELETE FROM orders WHERE email = {original_email}"]},
               retry="none", timeout="700ms" if "hangs" in how else "60s")
    site.request_all(["ada", "eve"])
    assert site.drive_all()["errored"] == 2
    failed = site.recorded("ada", "ERRORED")
    words = "the database took too long" if "hangs" in how else "the database's driver ended without an answer"
    assert (failed["outcome"], failed["error"], failed["answer"]) == ("unknown", words, "")


def test_a_driver_that_is_not_there(site):
    site.configure(services={"shop": {"odbc": "Driver=Nowhere;Server=x"}})
    site.stage("ERASING", "ERASED", sql={"service": "shop", "statements": ["DELETE FROM orders WHERE email = {original_email}"]},
               retry="none")
    site.request("ada")
    assert site.drive_all()["errored"] == 1
    assert "Nowhere" in site.recorded("ada", "ERRORED")["answer"]


def test_a_killed_driver_takes_its_transaction_with_it(shop_server):
    site = shop_server
    order(site, 1, "ada@example.com")
    site.db.do("INSERT INTO pauses VALUES (1)")
    statements(site, "DELETE FROM orders WHERE email = {original_email}", site.db.sleep)
    site.request("ada")
    driver = site.start("drive", "--once")
    busy = {"Postgresql": "SELECT 1 FROM pg_stat_activity WHERE wait_event = 'PgSleep'",
            "Mariadb": "SELECT 1 FROM information_schema.processlist WHERE state = 'User sleep'"}[type(site.db).__name__]
    wait_for(lambda: site.db.do(busy), "the statement to be under way")
    site.kill(driver)
    assert orders(site) == ["1"]


# ---- what is left ----

COUNT = {"sql": {"service": "shop", "query": "SELECT count(*) FROM orders WHERE email = {original_email}"}}


def test_a_query_proves_that_nothing_is_left(shop):
    order(shop, 1, "ada@example.com")
    order(shop, 2, "eve@example.com")
    stage(shop, verify=COUNT)
    shop.request("ada")
    assert shop.drive_all()["completed"] == 1
    assert shop.recorded("ada", "ERASED")["verification"] == {"left": 0, "status": None, "tries": 1}


def test_a_query_finds_what_is_left(shop):
    order_all(shop, [(number, "ada@example.com", "") for number in range(3)])
    stage(shop, verify=COUNT)
    statements(shop, "DELETE FROM orders WHERE email = {original_email} AND id = 0")
    shop.request("ada")
    assert "3 records in shop now" in shop.ok("plan", "ada", "--probe").out
    assert len(orders(shop)) == 3
    assert shop.drive_all()["errored"] == 1
    failed = shop.recorded("ada", "ERRORED")
    assert (failed["outcome"], failed["error"]) == ("residue", "2 records left in shop")


@pytest.mark.parametrize("query", ["SELECT email FROM orders WHERE email = {original_email}", "SELECT NULL", "SELECT -1",
                                   "SELECT id FROM orders WHERE id < 0", "SELECT count(*) FROM nowhere"])
def test_a_query_that_counts_nothing_proves_nothing(shop, query):
    order(shop, 1, "ada@example.com")
    stage(shop, verify={"sql": {"service": "shop", "query": query}}, retry={"for": "100ms", "first": "10ms", "longest": "50ms"})
    statements(shop, "UPDATE orders SET note = 'x' WHERE email = {original_email}")
    shop.request("ada")
    assert shop.drive_all()["errored"] == 1
    assert shop.recorded("ada", "ERRORED")["outcome"] == "unknown"


def test_a_query_changes_nothing_whatever_it_says(shop):
    order(shop, 1, "ada@example.com")
    stage(shop, verify={"sql": {"service": "shop", "query": "DELETE FROM orders WHERE email = {original_email}"},
                        "read_only": True})
    shop.request("ada")
    shop.ok("plan", "ada", "--probe")
    assert orders(shop) == ["1"]
