# SPDX-License-Identifier: Apache-2.0
"""Data from outside in every form: read if possible, refused where it cannot be used."""
import pytest

ODD = b'"half": "\\ud83d", "nul": "a\\u0000b", "far": 1e400, "twice": 1, "twice": 2, "k\\udc00": "\\ude00\\ud83d", "deep": ' + \
      b"[" * 31 + b"]" * 31
NUMBERS = ["18446744073709551615", "9223372036854775808", "-9223372036854775809", "123456789012345678901234567890", "0"]


# ---- JSON that other readers refuse ----

@pytest.fixture
def erasing(site, make_service):
    """A stage that looks for a contact and erases it by its id: site.crm."""
    site.crm = make_service()
    site.service("crm", site.crm)
    site.stage("ERASING_CONTACT", "CONTACT_ERASED", http={"service": "crm", "steps": [
        {"get": "/contacts?email={original_email}", "capture": {"contact": "/id"}}, {"post": "/contacts/{contact}", "json": {"id": {"contact": None}}}]},
        retry={"for": "20s", "first": "20ms", "longest": "100ms"})
    return site


def answer(site, body, headers=None):
    site.crm.script = lambda call: (200, body, headers or {"Content-Type": "application/json"}) if call.method == "GET" else 204


@pytest.mark.parametrize("number", NUMBERS)
def test_an_id_reaches_the_next_call_digit_for_digit(erasing, number):
    answer(erasing, b'\xef\xbb\xbf{"id": ' + number.encode() + b", " + ODD + b"}")
    erasing.request("ada")
    done = erasing.drive_all()
    assert (done["completed"], done["retries"]) == (1, 0)
    assert erasing.crm.calls[1].path == f"/contacts/{number}" and erasing.crm.calls[1].raw == b'{"id":' + number.encode() + b"}"


@pytest.mark.parametrize("value, words", [
    (b'"a\\ud83d"', "half a character"), (b'"a\\u0000b"', "NUL"), (b'1, "id": 2', "two values"), (b'1, "\\u0069d": 1', "two values")])
def test_a_value_that_cannot_be_used_is_refused_where_it_is_needed(erasing, value, words):
    erasing.config["stages"][0]["retry"]["for"] = "50ms"
    answer(erasing, b'{"id": ' + value + b"}")
    erasing.request("ada")
    assert erasing.drive_all()["errored"] == 1
    assert words in erasing.recorded("ada", "ERRORED")["error"]
    assert {call.method for call in erasing.crm.calls} == {"GET"}


def test_a_response_that_a_script_reports_is_kept_as_it_came(erasing):
    """The scripts pass on any answer of a service."""
    erasing.serve()
    erasing.request("ada")
    response = b'{"id": 18446744073709551615, "half": "\\ud83d", "twice": 1, "twice": 1e400}'
    moved = erasing.call("PATCH", "/api/user/v1/accounts/update_retirement_status/", token=erasing.token("retirement:drive"),
                         raw=b'{"username": "ada", "new_state": "ERASING_CONTACT", "response": ' + response + b"}",
                         headers={"Content-Type": "application/json"})
    assert moved.status == 204, moved
    kept = erasing.show("ada")["responses"]
    assert response.decode().replace(" ", "") in kept.replace(" ", ""), kept


# ---- files ----

@pytest.mark.parametrize("text", [
    "username;user_email\r\nada;ada@example.com\r\n;\r\nbob;bob@example.com\r\n".encode(),
    "sep=;\r\nUser Name;E-Mail Address\r\n\"ada\";ada@example.com\r\nbob;bob@example.com".encode("utf-16"),
    "\ufeffada\tada@example.com\nbob\tbob@example.com\n".encode("utf-16-be"),
    "username,user_email,,\rada\u00a0,\u200bada@example.com,,\r,,,\r\u00a0\rbob,bob@example.com,,".encode("utf-8-sig"),
], ids=["semicolons", "UTF-16 with sep=", "tabs in UTF-16BE", "filled up, CR alone"])
def test_people_come_in_the_forms_of_spreadsheets(site, text):
    for name in ("ada", "bob"):
        site.ok("account", "add", "--username", name, "--email", f"{name}@example.com")
    file = site.folder / "leavers.csv"
    file.write_bytes(text)
    assert site.ok("retirement", "import", str(file), "--json").json["requested"] == 2
    assert site.states() == {"ada": "PENDING", "bob": "PENDING"}


@pytest.mark.parametrize("encoding, right", [("utf-8-sig", True), ("utf-16", False), ("utf-16-be", False)])
def test_a_configuration_with_a_byte_order_mark(site, encoding, right):
    site.ok("config", "check")
    marked = site.folder / "marked.yml"
    marked.write_bytes(site.file.read_text().encode(encoding))
    checked = site.lethe("config", "check", "--config", str(marked), config=False)
    assert (checked.code == 0) == right and (right or "save it as UTF-8" in checked.err), checked


@pytest.mark.parametrize("condition", [{"original_username": ["user4?"]}, {"original_email": ["[ab]*@example.com"]}, {"org": ["^A$"]}])
@pytest.mark.parametrize("when", ["when", "unless"])
def test_a_wildcard_that_there_is_not_is_refused(site, make_service, when, condition):
    site.service("crm", make_service())
    site.stage("ERASING", "ERASED", http={"service": "crm", "post": "/erase/{original_username}"}, **{when: condition})
    checked = site.lethe("config", "check")
    assert checked.code != 0 and "is no wildcard here" in checked.err, checked


# ---- addresses of mail ----

@pytest.fixture
def writing(site, make_office):
    """A stage that writes to the person: site.office has what came."""
    site.office = make_office()
    site.configure(mail={"server": site.office.url, "from": "Lethe <lethe@example.com>"})
    site.stage("WRITING", "WRITTEN", mail={"to": "{original_email}", "subject": "Erased", "text": "Your data is gone.\n"}, retry="none")
    return site


@pytest.mark.parametrize("address, said", [
    ("ada@exämple.com", "ada@xn--exmple-cua.com"), ("ada@EXÄMPLE.com", "ada@xn--exmple-cua.com"),
    ("ada@例え.テスト", "ada@xn--r8jz45g.xn--zckzah"), ("ada@straße.example", "ada@xn--strae-oqa.example")])
def test_a_domain_is_written_as_every_mail_server_knows_it(writing, address, said):
    writing.request("ada", email=address)
    assert writing.drive_all()["completed"] == 1
    assert f"<{said}>" in next(line for line, _ in writing.office.lines if line.startswith("RCPT"))
    assert f"<{said}>".encode() in writing.office.messages[0].split(b"\r\n\r\n")[0]
    assert all(byte < 128 for byte in writing.office.messages[0])


def test_letters_before_the_at_need_a_server_that_takes_them(writing):
    writing.request("ada", email="ädä@example.com")
    assert writing.drive_all()["errored"] == 1
    assert "SMTPUTF8" in writing.recorded("ada", "ERRORED")["error"]
    assert writing.office.messages == [] and not any(line.startswith("RCPT") for line, _ in writing.office.lines)


def test_letters_before_the_at_reach_a_server_that_takes_them(writing):
    writing.office.script = lambda step, text: "250-localhost\r\n250 SMTPUTF8" if step == "EHLO" else ""
    writing.request("ada", email="ädä@exämple.com")
    assert writing.drive_all()["completed"] == 1
    assert "<ädä@xn--exmple-cua.com>" in next(line for line, _ in writing.office.lines if line.startswith("RCPT"))
