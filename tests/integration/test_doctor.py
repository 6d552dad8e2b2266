# SPDX-License-Identifier: Apache-2.0
"""lethe doctor: what it says of a site before the first person is retired, and that no person is touched by it."""
import os
import pty
import re
import ssl
import subprocess
import threading

import pytest

from driver_site import DriverSite, STATES, WAY
from old_lms import BASE, OldLms
from services import HANG_UP, keep_port, make_certificate
from site_under_test import LETHE, TIMEOUT

FAILED = 1
UPDATE = BASE + "update_retirement_status/"
RENAME = "/api/v2/replace_usernames/"


def checks(site, *words, code=0, **options):
    """What was found, as {(check, about): (level, what, remedy)}, of several lines the worst."""
    told = site.lethe("doctor", "--json", *words, **options)
    assert told.code == code, told
    found = told.json["checks"]
    assert told.json["red"] == sum(c["level"] == "red" for c in found) and (told.json["red"] > 0) == (code == FAILED)
    assert all(c["remedy"] is None for c in found if c["level"] == "good")
    found.sort(key=lambda c: ["good", "untried", "warning", "red"].index(c["level"]))
    return {(c["check"], c["about"]): (c["level"], c["what"], c["remedy"]) for c in found}


def levels(found):
    return {level for level, _, _ in found.values()}


class Lms(OldLms):
    """An LMS of today: it refuses calls about nobody as Open edX does."""

    def find(self, call):
        assert call.json is None or call.headers["Content-Type"] == "application/json"
        return ("page", lambda call: (200, "<html>")) if call.path == "/" else super().find(call)

    def erase(self, call):
        super().erase(call)
        if call.path == RENAME:
            return 400, {"detail": "Request data does not match schema"}
        return (204, b"") if call.username else (404, {"message": "The user was not specified."})


@pytest.fixture
def lms(make_service):
    return Lms(make_service, STATES)


@pytest.fixture
def driver(tmp_path, lms):
    """A machine with a driver file whose three stages are at the LMS and at the credentials service."""
    site = DriverSite(tmp_path, lms)
    site.config["base_urls"] = {"lms": lms.url, "credentials": lms.url}
    site.config["retirement_pipeline"][1] = ["RETIRING_ECOM", "ECOM_COMPLETE", "CREDENTIALS", "retire_learner"]
    lms.add("ada")
    yield site
    assert lms.moves == [] and all(not call.username for call in lms.calls), "a person was touched"
    assert not site.data_dir.exists()
    site.stop()
    site.check()


def test_a_driver_file_is_examined_without_touching_anybody(driver, lms):
    found = checks(driver)
    assert levels(found) == {"good", "untried", "warning"}  # no server runs; the file has a short secret
    assert {about for check, about in found if check == "call"} == {"RETIRING_FORUMS", "RETIRING_ECOM", "RETIRING_LMS"}
    assert found["states", "lms"][1] == "knows all 10 states of the file"
    assert found["clock", "lms"][1] == "agrees with this machine's"
    assert lms.queries and all(query["cool_off_days"] == ["36500"] for query in lms.queries)
    assert sorted(call.path for call in lms.calls if call.method == "POST") == sorted([
        "/api/discussion/v1/accounts/retire_forum/", "/api/user/v1/accounts/retire/", RENAME])
    told = driver.lethe("doctor", "--json").json["checks"]
    assert [c["about"] for c in told if c["check"] == "service"] == ["lms", "credentials"]  # the LMS, once


def test_what_is_not_as_it_should_be_in_the_file_has_its_line(driver, lms):
    lines = driver.write_config() or driver.file.read_text().splitlines()
    found = checks(driver)
    [(place, (level, what, remedy))] = [(about, told) for (check, about), told in found.items() if check == "file" and told[0] == "warning"]
    assert re.fullmatch(r".*/config.yml:\d+", place) and "secret" in what and str(driver.file) not in what
    driver.config["retirement_pipeline"].reverse()  # the account goes before the forum
    found = checks(driver)
    faults = [(about, told) for (check, about), told in found.items() if check == "order"]
    assert all(re.fullmatch(r".*/config.yml:\d+", place) and str(driver.file) not in told[1] for place, told in faults)
    assert "an order that works: " in faults[-1][1][2]


def forget_a_state(site, lms):
    lms.states = [state for state in STATES if state != "RETIRING_ECOM"]


def refuse_the_whole_list(site, lms):
    lms.meddle = lambda kind, call: (400, "too many") if call.path.count("states=") > 1 else None


def refuse_the_worker(site, lms):
    lms.meddle = lambda kind, call: None if kind in ("token", "page", RENAME) else (403, {"detail": "no"})


def refuse_updates(site, lms):
    lms.meddle = lambda kind, call: (403, {"detail": "no"}) if kind == "complete" else None


def refuse_the_renamer(site, lms):
    lms.meddle = lambda kind, call: (403, {"detail": "no"}) if kind == RENAME else None


def lack_the_forum(site, lms):
    lms.meddle = lambda kind, call: (404, "<html>Page not found</html>") if "retire_forum" in kind else None


def answer_everything_well(site, lms):
    lms.meddle = lambda kind, call: 204 if "retire_forum" in kind else None


def refuse_the_client(site, lms):
    site.config["client_secret"] = "another secret"


def be_slow_of_clock(site, lms):
    lms.service.ahead_s = -300


@pytest.mark.parametrize("spoil, where, level, what, remedy", [
    (forget_a_state, ("states", "lms"), "red", "does not know RETIRING_ECOM$", "RETIREMENT_STATES.*populate_retirement_states"),
    (refuse_the_whole_list, ("states", "lms"), "red", "refuses the list", "log"),
    (refuse_the_worker, ("right", "lms"), "red", "does not allow it", "RETIREMENT_SERVICE_WORKER_USERNAME"),
    (refuse_updates, ("right", "lms"), "red", "does not allow it", "RETIREMENT_SERVICE_WORKER_USERNAME"),
    (refuse_the_renamer, ("call", "RETIRING_ECOM"), "red", "credentials does not allow it", "USERNAME_REPLACEMENT_WORKER"),
    (lack_the_forum, ("call", "RETIRING_FORUMS"), "red", "no such call", "url"),
    (answer_everything_well, ("call", "RETIRING_FORUMS"), "warning", "answers with 204", "refused"),
    (refuse_the_client, ("service", "lms"), "red", "401", "client_id and secret"),
    (be_slow_of_clock, ("clock", "lms"), "warning", "is 5m behind|is 4m59s behind|is 299s behind", "NTP"),
])
def test_what_is_wrong_is_named_with_its_remedy(driver, lms, spoil, where, level, what, remedy):
    spoil(driver, lms)
    found = checks(driver, code=FAILED if level == "red" else 0)
    assert found[where][0] == level and re.search(what, found[where][1]) and re.search(remedy, found[where][2]), found[where]
    red = {check for (check, _), (found_level, _, _) in found.items() if found_level == "red"}
    assert red <= {where[0], "call", "service"} if spoil in (refuse_the_worker, refuse_the_client) else red <= {where[0]}, found
    assert "another secret" not in str(found)


# ---- a file of Lethe's own ----

@pytest.fixture
def house(site, make_service):
    """A site with a program, a database that a look asks, and certificates that end tomorrow."""
    program = site.folder / "erase"
    program.write_text("#!/bin/sh\n")
    program.chmod(0o700)
    subprocess.run(["sqlite3", site.folder / "shop.db", "CREATE TABLE orders (email)"], check=True)
    site.config["services"] = {"shop": {"odbc": f"Driver=SQLite3;Database={site.folder}/shop.db"}}
    site.service("desk", make_service())
    site.stage("ERASING_FILES", "FILES_ERASED", exec={"command": [str(program)]})
    site.stage("ERASING_ORDERS", "ORDERS_ERASED",
               sql={"service": "shop", "statements": ["DELETE FROM orders WHERE email = {original_email}"]},
               verify={"sql": {"service": "shop", "query": "SELECT count(*) FROM orders WHERE email = {original_email}"}})
    site.stage("CLOSING_TICKETS", "TICKETS_CLOSED", http={"service": "desk", "delete": "/people/{original_email}"})
    return site


def test_a_file_of_lethe_and_its_server(house):
    found = checks(house)
    assert found["program", str(house.folder / "erase")][:2] == ("good", "can be executed")
    assert found["service", "shop"][0] == "good" and found["verify", "ERASING_ORDERS"][1] == "its query works, and finds nothing of nobody"
    assert found["call", "CLOSING_TICKETS"][0] == "untried"
    [server] = [value for (check, _), value in found.items() if check == "server"]
    assert server[0] == "untried" and "no server runs" in server[1]
    assert not house.data_dir.exists(), "it starts nothing"
    house.serve()
    found = checks(house)
    assert found["server", str(house.data_dir)][:2] == ("good", "is ready")
    assert found["states", str(house.data_dir)][0] == "good"


def test_what_a_file_names_is_red_by_its_line(house):
    (house.folder / "erase").chmod(0o600)
    house.stage("ERASING_MAIL", "MAIL_ERASED", sql={"service": "shop", "statements": ["DELETE FROM mail WHERE a = {original_email}"]},
                verify={"sql": {"service": "shop", "query": "SELECT count(*) FROM mail WHERE a = {original_email}"}})
    subprocess.run(["sqlite3", house.folder / "shop.db", "INSERT INTO orders VALUES ('a'), ('b')"], check=True)
    house.config["stages"][1]["verify"]["sql"]["query"] = "SELECT count(*) FROM orders WHERE email <> {original_email}"
    make_certificate(house.folder)
    house.configure(tls={"certificate_file": "cert.pem", "key_file": "key.pem"})
    found = checks(house, code=FAILED)
    [program] = [(about, value) for (check, about), value in found.items() if check == "program"]
    assert re.search(r"lethe.yml:\d+$", program[0]) and program[1][0] == "red" and "chmod" in program[1][1]
    assert found["verify", "ERASING_MAIL"][0] == "red" and "no such table" in found["verify", "ERASING_MAIL"][1]
    assert found["verify", "ERASING_ORDERS"][:2] == ("warning", "its query finds 2 records of nobody")
    [certificate] = [value for (check, _), value in found.items() if check == "certificate"]
    assert certificate[0] == "warning" and re.search(r"for 1 days|for 2 days", certificate[1]), certificate


def test_a_certificate_that_ends_soon_is_seen_by_way_of_the_service_s_own_authority(house, make_service):
    make_certificate(house.folder, "desk.pem", "desk.key", "DNS:desk.internal")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(house.folder / "desk.pem", house.folder / "desk.key")
    house.service("desk", make_service(context=context), tls={"ca_file": "desk.pem", "server_name": "desk.internal"})
    found = checks(house)
    assert found["certificate", "desk"][0] == "warning" and "Renew" in found["certificate", "desk"][2]
    assert found["clock", "desk"][0] == "good"


def test_the_certificate_of_the_mail_server_is_seen(house, make_office):
    office = make_office(folder=house.folder)
    house.configure(mail={"server": f"smtp://127.0.0.1:{office.port}", "from": "lethe@example.com", "tls": {"ca_file": "cert.pem"}})
    found = checks(house)
    assert found["service", "mail"][:2] == ("good", "connected")
    assert found["certificate", "mail"][0] == "warning" and "Renew" in found["certificate", "mail"][2]


def test_services_are_examined_at_once_and_told_in_the_order_of_the_file(house, make_service):
    """Each gives its token only when all three are being asked for one."""
    all_ask = threading.Barrier(3, timeout=5)

    def give_token(call):
        if call.path.endswith("/access_token"):
            all_ask.wait()
            return 200, {"access_token": "t", "token_type": "Bearer"}
        return 404

    for name in ("wren", "finch", "robin"):
        house.service(name, make_service(script=give_token), oauth2={"client_id": "lethe", "client_secret": "correct-horse-0123"})
    names = list(house.config["services"])
    told = house.ok("doctor", "--json").json["checks"]
    assert [c["about"] for c in told if c["check"] == "service"] == names
    assert [c["name"] for c in house.ok("config", "check", "--connect", "--json").json["connections"]] == names


def test_a_service_that_does_not_answer_is_asked_once(house, make_service):
    dead = make_service(script=lambda call: 404 if call.method == "GET" else HANG_UP)
    house.service("dead", dead)
    for n in range(2):
        house.stage(f"ASKING_{n}", f"ASKED_{n}", http={"service": "dead", "post": f"/{n}", "json": {"username": "{original_username}"}},
                    doctor={"refused": [400]})
    found = checks(house, code=FAILED)
    assert [call.path for call in dead.calls] == ["/", "/0"]
    assert found["call", "ASKING_0"][0] == "red" and found["call", "CLOSING_TICKETS, ASKING_1"][0] == "untried"


def test_what_a_driver_of_a_database_says_is_one_line(house):
    with keep_port() as kept:
        house.config["services"]["shop"] = {"odbc": f"Driver=PostgreSQL Unicode;Server=127.0.0.1;Port={kept.getsockname()[1]};Database=shop"}
        level, what, _ = checks(house, code=FAILED)["service", "shop"]
    assert level == "red" and "refused Is the server" in what and what.endswith("connections?"), what


def test_a_broken_file_is_no_case_for_it(house):
    house.configure(cool_of="7d")
    assert house.lethe("doctor").code == 2


# ---- another server ----

def test_a_server_elsewhere_by_its_driver_and_by_its_address(house):
    house.serve()
    url = f"http://127.0.0.1:{house.port}"
    made = {scope: house.ok("client", "add", scope.replace(" ", "-").replace(":", "-"), "--scope", scope, "--json").json
            for scope in ("retirement:read retirement:drive", "retirement:read")}
    for scope, client in made.items():
        secret = house.folder / "client.secret"
        secret.write_text(client["client_secret"])
        secret.chmod(0o600)
        house.configure(authority={"url": url, "client_id": client["client_id"], "client_secret_file": str(secret)})
        found = checks(house, code=0 if "drive" in scope else FAILED)
        assert found["states", "authority"][0] == "good"
        assert found["right", "authority"][0] == ("good" if "drive" in scope else "red"), found
    assert "retirement:drive" in found["right", "authority"][2]
    env = {"LETHE_CLIENT_ID": client["client_id"], "LETHE_CLIENT_SECRET_FILE": str(secret)}
    found = checks(house, "--server", url, config=False, env=env)
    assert levels(found) == {"good"} and {check for check, _ in found} == {"server", "right", "clock"}
    house.configure(authority=None)


def on_terminal(site, **env):
    """What the command prints on a terminal."""
    site.write_config()
    main, terminal = pty.openpty()
    subprocess.run([LETHE, "doctor", "--config", str(site.file)], stdin=subprocess.DEVNULL, stdout=terminal, stderr=subprocess.DEVNULL,
                   timeout=TIMEOUT, env={**site.environment(), **env})
    os.close(terminal)
    text = b""
    try:
        while more := os.read(main, 65536):
            text += more
    except OSError:
        pass
    os.close(main)
    return text.decode()


def test_lines_fit_a_terminal_and_stay_whole_elsewhere(driver, lms):
    forget_a_state(driver, lms)
    driver.config["retirement_pipeline"].append(["RETIRING_" + "X" * 20, "X_COMPLETE", "LMS", "retirement_retire_proctoring_data"])
    plain, shown, bare = driver.lethe("doctor"), on_terminal(driver), on_terminal(driver, NO_COLOR="1")
    assert plain.code == FAILED and re.search(r"lethe: 1 of \d+ checks are red\n$", plain.err)
    assert re.search(r"^RED   states        lms: does not know RETIRING_ECOM, RETIRING_X+, X_COMPLETE$", plain.out, re.M)
    assert "\x1b[1;31mRED" in shown and "\x1b" not in plain.out + bare
    assert max(len(line) for line in bare.splitlines() if "/" not in line) <= 80  # a path has no blanks
    assert bare.split() == plain.out.split()
