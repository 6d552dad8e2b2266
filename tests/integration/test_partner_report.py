# SPDX-License-Identifier: Apache-2.0
"""lethe partner-report: which people each partner's file has, its form, and that no unreported person leaves the list."""
import csv
import datetime
import http.server
import json
import re
import socketserver
import sqlite3
import stat
import threading

import pytest

EDX = "/api/user/v1/accounts/"
HEADER = ["user_id", "original_username", "original_email", "original_name", "deletion_completed"]


@pytest.fixture
def reports(site):
    """A site with a server and a folder for reports."""
    site.reports = site.folder / "reports"
    site.reports.mkdir()
    site.configure(partners={"platform": "example"})
    site.serve()
    return site


def queue(site, name, *orgs, **more):
    site.post("/v1/accounts", {"username": name, "email": f"{name}@example.com", "name": more.get("full", "Some Body"),
                               "orgs": list(orgs)})
    site.request(name)
    assert site.patch(name, "RETIRING_LMS").status == 204
    assert site.put(EDX + "retirement_partner_report/", {"username": name}).status == 204


def report(site, *options):
    return site.lethe("partner-report", "--output-dir", str(site.reports), *options)


def rows(path):
    with open(path, encoding="utf-8", newline="") as f:
        return list(csv.reader(f))


def names(path):
    return [row[1] for row in rows(path)[1:]]


def files(site):
    """By partner."""
    found = {}
    for path in site.reports.iterdir():
        match = re.fullmatch(r"user_retirement_example_(.+)_\d{4}-\d\d-\d\d(_\d+)?\.csv", path.name)
        assert match, path
        found[match[1] + (match[2] or "")] = path
    return found


def left(site):
    answer = site.post(EDX + "retirement_partner_report/?again=true")
    return [row["original_username"] for row in answer.json]


def test_one_file_for_each_partner(reports):
    queue(reports, "ada", "edX")
    queue(reports, "bob", "edX", "MITx")
    user = reports.status("ada").json["user"]["id"]
    done = report(reports)
    assert done.code == 0 and "2 people reported." in done.out and "ada" not in done.out + done.err
    found = files(reports)
    assert sorted(found) == ["MITx", "edX"]
    assert names(found["edX"]) == ["ada", "bob"] and names(found["MITx"]) == ["bob"]
    header, first, _ = rows(found["edX"])
    assert header == HEADER
    assert first[:4] == [str(user), "ada", "ada@example.com", "Some Body"]
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT[\d:.]+Z", first[4])
    assert stat.S_IMODE(found["edX"].stat().st_mode) == 0o600
    assert found["edX"].name.endswith(f"_edX_{datetime.datetime.utcnow():%Y-%m-%d}.csv")
    assert left(reports) == []


def test_nobody_makes_no_file(reports):
    done = report(reports)
    assert done.code == 0 and "0 people reported." in done.out and files(reports) == {}


def test_the_second_of_a_day_has_another_name(reports):
    for name in ("ada", "bob"):
        queue(reports, name, "edX")
        assert report(reports).code == 0
    found = files(reports)
    assert names(found["edX"]) == ["ada"] and names(found["edX_2"]) == ["bob"]


@pytest.mark.parametrize("name", ["=1+1", "+1", "-1", "@SUM(A1)", "a,b", 'say "hi"', " spaces ", "Zoë, O'Line"])
def test_no_field_is_a_formula(reports, name):
    queue(reports, "ada", "edX", full=name)
    assert report(reports).code == 0
    value = rows(files(reports)["edX"])[1][3]
    assert value == ("'" + name if name[0] in "=+-@" else name)


@pytest.mark.parametrize("org, part", [("../../etc/passwd", ".._.._etc_passwd"), ("a b/c", "a_b_c"), ("ÄÖ", "ÄÖ"),
                                       ("ÜÉ", "ÜÉ"), ("E\u0301cole ✓", "École_✓"), ("京都大学", "京都大学"),
                                       ("ОДУ\u202e2", "ОДУ_2"), ("हिन्दी", "हिन्दी"), ("...hidden", "...hidden"),
                                       ("x" * 100, "x" * 80), ("é" * 79, "é" * 40)])
def test_the_name_of_a_partner_is_no_path(reports, org, part):
    queue(reports, "ada", org)
    assert report(reports).code == 0
    assert list(files(reports)) == [part]


def test_partners_that_are_called_alike(reports):
    queue(reports, "ada", "a/b")
    queue(reports, "bob", "a b")
    assert report(reports).code == 0
    found = files(reports)
    assert names(found["a_b"]) == ["ada"] and names(found["a_b_2"]) == ["bob"]


def test_which_file_is_whose(reports):
    queue(reports, "ada", "a/b", "ÄÖ")
    queue(reports, "bob", "a b")
    done = report(reports, "--json").json
    found = files(reports)
    assert done["partners"] == [{"partner": "a/b", "file": str(found["a_b"]), "people": 1},
                                {"partner": "ÄÖ", "file": str(found["ÄÖ"]), "people": 1},
                                {"partner": "a b", "file": str(found["a_b_2"]), "people": 1}]
    assert done["files"] == [partner["file"] for partner in done["partners"]]


def test_partners_of_the_configuration_keep_their_names_whoever_comes_first(reports):
    reports.configure(partners={"platform": "example", "organisations": {"one": "a/b", "two": ["a b", "x"], "three": "a:b"}})
    queue(reports, "ada", "three")
    queue(reports, "bob", "two")
    assert report(reports).code == 0
    found = files(reports)
    assert sorted(found) == ["a_b_2", "a_b_3", "x"]
    assert names(found["a_b_2"]) == ["bob"] and names(found["a_b_3"]) == ["ada"]


COMPOSED, DECOMPOSED = "\u00c9cole", "E\u0301cole"


def test_a_partner_in_either_form_of_unicode_is_one(reports):
    queue(reports, "ada", COMPOSED)
    queue(reports, "bob", DECOMPOSED)
    queue(reports, "cid", COMPOSED, DECOMPOSED)
    done = report(reports, "--json").json
    assert [(p["partner"], p["people"]) for p in done["partners"]] == [(COMPOSED, 3)]
    assert names(files(reports)[COMPOSED]) == ["ada", "bob", "cid"]


@pytest.mark.parametrize("org", [COMPOSED, DECOMPOSED])
@pytest.mark.parametrize("configured", [COMPOSED, DECOMPOSED])
def test_an_organisation_is_found_in_either_form(reports, configured, org):
    reports.configure(partners={"platform": "example", "organisations": {configured: ["one", configured]}})
    queue(reports, "ada", org)
    assert report(reports).code == 0 and sorted(files(reports)) == ["one", COMPOSED]


def test_an_organisation_in_both_forms_is_refused(site):
    site.configure(partners={"organisations": {COMPOSED: "one", DECOMPOSED: "two"}})
    result = site.lethe("config", "check")
    assert result.code == 2 and "twice" in result.err and "lethe.yml:" in result.err


def test_organisations_have_partners(reports):
    reports.configure(partners={"platform": "example", "organisations": {"edX": "one", "MITx": ["one", "two"]}})
    queue(reports, "ada", "edX", "MITx")
    assert report(reports).code == 0
    found = files(reports)
    assert sorted(found) == ["one", "two"] and names(found["one"]) == names(found["two"]) == ["ada"]


def test_a_bad_organisation_does_not_stop_the_others(reports):
    reports.configure(partners={"platform": "example", "organisations": {"edX": "one"}})
    queue(reports, "ada", "edX")
    queue(reports, "bob", "Unknown")
    queue(reports, "cid", "edX", "Unknown")
    done = report(reports)
    assert done.code == 1 and done.err.count("Unknown") == 1 and "2 people could not be reported" in done.err
    assert names(files(reports)["one"]) == ["ada", "cid"]
    assert left(reports) == ["bob", "cid"]
    reports.configure(partners={"platform": "example", "organisations": {"edX": "one", "Unknown": "two"}})
    assert report(reports).code == 0
    assert names(files(reports)["two"]) == ["bob", "cid"] and left(reports) == []


def retire_twice(site, *orgs):
    """The first retirement of ada passes the stage of the partners and is aborted, and so does the second one."""
    queue(site, "ada", *orgs)
    assert site.patch("ada", "ABORTED", extra={"force": True}).status == 204
    queue(site, "ada", *orgs)


def test_a_person_who_retires_twice_is_reported_twice(reports):
    retire_twice(reports, "edX")
    queue(reports, "bob", "edX")
    done = report(reports)
    assert done.code == 0 and "3 people reported." in done.out
    assert names(files(reports)["edX"]) == ["ada", "ada", "bob"] and left(reports) == []


def test_of_a_person_who_retires_twice_both_reports_stay_if_one_does(reports):
    reports.configure(partners={"platform": "example", "organisations": {"edX": "one"}})
    queue(reports, "ada", "Unknown")
    assert reports.patch("ada", "ABORTED", extra={"force": True}).status == 204
    with sqlite3.connect(reports.data_dir / "lethe.db") as db:
        db.execute("UPDATE account SET orgs = '[\"edX\"]'")
    db.close()
    queue(reports, "ada", "edX")
    queue(reports, "bob", "edX")
    done = report(reports)
    assert done.code == 1 and "2 people could not be reported" in done.err
    assert names(files(reports)["one"]) == ["ada", "bob"] and left(reports) == ["ada", "ada"]


def test_a_folder_that_cannot_be_written(reports):
    queue(reports, "ada", "edX")
    for folder in ("missing", "lethe.yml"):
        done = reports.lethe("partner-report", "--output-dir", str(reports.folder / folder))
        assert done.code != 0 and "--output-dir" in done.err
    assert reports.lethe("partner-report").code == 2
    assert left(reports) == ["ada"]


def test_who_was_taken_by_a_report_that_died_is_reported(reports):
    queue(reports, "ada", "edX")
    assert len(reports.post(EDX + "retirement_partner_report/").json) == 1
    assert report(reports).code == 0
    assert names(files(reports)["edX"]) == ["ada"]


def test_without_a_server(reports):
    for i in range(3):
        queue(reports, f"user{i}", "edX")
    reports.stop()
    done = reports.ok("partner-report", "--output-dir", str(reports.reports), "--json").json
    assert done["people"] == 3 and done["kept"] == 0 and done["files"] == [str(files(reports)["edX"])]


@pytest.mark.parametrize("organisations, words", [([], "map of partners"), ({"edX": []}, "names no partner"),
                                                  ({"edX": {"a": 1}}, "list"), ({"edX": [""]}, "name of a partner")])
def test_configurations_that_are_refused(site, organisations, words):
    site.configure(partners={"organisations": organisations})
    result = site.lethe("config", "check")
    assert result.code == 2 and words in result.err and "lethe.yml:" in result.err


# ---- a server that fails at the end ----

class FailingServer(socketserver.UnixStreamServer):
    """At the socket of the data directory: has ada on the list, and does not take her off."""

    def __init__(self, site, clean):
        site.data_dir.mkdir(mode=0o700)
        self.clean = clean
        self.paths = []
        super().__init__(str(site.data_dir / "lethe.sock"), FailingHandler)
        threading.Thread(target=self.serve_forever, daemon=True).start()


class FailingHandler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self):
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        path = self.path.split("?")[0].split("/")[-2]
        self.server.paths.append(path)
        ada = {"user_id": 1, "original_username": "ada", "original_email": "", "original_name": "", "orgs": ["edX"], "created": ""}
        status, answer = (200, [ada]) if path == "retirement_partner_report" else self.server.clean
        self.close_connection = True
        if not status:
            return
        raw = json.dumps(answer).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(raw)))
        self.end_headers()
        self.wfile.write(raw)

    def log_message(self, *args):
        pass


@pytest.mark.parametrize("clean, code, said", [((400, "1 original_usernames were given"), 4, "1 original_usernames were given"),
                                               ((0, None), 1, "may have taken effect")])
def test_files_are_named_though_the_people_stay_on_the_list(site, clean, code, said):
    """The LMS's calls refuse with a JSON string; and no key tells the server of a repeat, so one is not sent twice."""
    site.reports = site.folder / "reports"
    site.reports.mkdir()
    site.configure(partners={"platform": "example"})
    server = FailingServer(site, clean)
    done = report(site)
    server.shutdown()
    server.server_close()
    assert done.code == code and said in done.err
    assert server.paths == ["retirement_partner_report", "retirement_partner_report_cleanup"]
    assert f"{files(site)['edX']}: 1 person" in done.out and "0 people reported." in done.out
