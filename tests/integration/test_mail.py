# SPDX-License-Identifier: Apache-2.0
"""The mail action: e-mails about people, to a mail server that is scripted here."""
import re
import threading

import pytest

from post_office import HANG_UP
from site_under_test import TIMEOUT, wait_for

PASSWORD = "corr3ct-horse"


@pytest.fixture
def writing(site, make_office):
    """One stage that writes to a person who erases by hand; writing.open_office(script) starts the mail server."""

    def open_office(script=None, server=None, **options):
        site.office = make_office(script=script, **options)
        site.configure(mail={"server": site.office.url, "from": "Example University <lethe@example.com>", **(server or {})})
        return site.office

    site.open_office = open_office
    site.stage("WRITING", "WRITTEN", mail={"to": "erasure@processor.example", "subject": "Erase no. {retirement_id}",
                                           "text": "Please erase {original_name} <{original_email}>.\n"},
               retry={"for": "60s", "first": "10ms", "longest": "50ms"})
    return site


def mail(site, **settings):
    site.config["stages"][0]["mail"].update(settings)


def stage(site, **settings):
    site.config["stages"][0].update(settings)


def first_then(*answers, step):
    """At this step gives each of these answers once; then answers as a working server."""
    left = list(answers)

    def script(at, text):
        return left.pop(0) if at == step and left else ""

    return script


def test_an_e_mail_arrives_whole(writing):
    writing.open_office()
    writing.serve()
    writing.request("ada", name="Ada Lovelace, née Byron 😀")
    assert writing.drive_all()["completed"] == 1
    message, = writing.office.parsed()
    assert message["From"] == "Example University <lethe@example.com>"
    assert message["To"] == "erasure@processor.example" and message["Subject"] == "Erase no. 1"
    assert message.get_content() == "Please erase Ada Lovelace, née Byron 😀 <ada@example.com>.\r\n"
    assert not message.defects and message["Date"].datetime and message["Message-ID"].endswith("@example.com>")
    assert writing.recorded("ada", "WRITTEN") == {"status": 250, "attempts": 1, "answer": "250 queued"}


def test_to_the_person(writing):
    writing.open_office()
    mail(writing, to="{original_email}", subject="Grüße, {original_username}")
    writing.request("ada")
    assert writing.drive_all()["completed"] == 1
    assert ("RCPT TO:<ada@example.com>", False) in writing.office.lines
    assert writing.office.parsed()[0]["Subject"] == "Grüße, ada"


def test_greylisting_is_tried_again(writing):
    writing.open_office(first_then("450 4.2.0 greylisted", "451 4.7.1 still", step="RCPT"))
    writing.request("ada")
    done = writing.drive_all()
    assert (done["completed"], done["calls"], len(writing.office.messages)) == (1, 3, 1)


def test_a_refusal_is_final_and_its_words_on_record(writing):
    writing.open_office(lambda step, text: "550 5.1.1 no such mailbox" if step == "RCPT" else "")
    writing.request("ada")
    done = writing.drive_all()
    assert (done["errored"], done["calls"]) == (1, 1)
    failed = writing.recorded("ada", "ERRORED")
    assert (failed["status"], failed["outcome"], failed["answer"]) == (550, "failed", "550 5.1.1 no such mailbox")
    assert "550 from mail" in writing.ok("retirement", "failures").out


def test_a_connection_that_breaks_after_the_message_is_of_unknown_outcome(writing):
    """The message may have been accepted; its Message-ID shows that the repeat is the same."""
    writing.open_office(first_then(HANG_UP, step="MESSAGE"))
    writing.request("ada")
    done = writing.drive_all()
    assert (done["completed"], done["calls"]) == (1, 2)
    first, second = writing.office.parsed()
    assert first["Message-ID"] == second["Message-ID"] and not re.search(r"\bada\b", first["Message-ID"])
    assert "WRITING" not in first["Message-ID"]


def test_others_have_another_message_id(writing):
    writing.open_office()
    writing.request_all(["ada", "eve"])
    assert writing.drive_all()["completed"] == 2
    assert len({message["Message-ID"] for message in writing.office.parsed()}) == 2


def test_unknown_is_said_when_the_budget_ends_so(writing):
    writing.open_office(lambda step, text: HANG_UP if step == "MESSAGE" else "")
    stage(writing, retry="none")
    writing.request("ada")
    assert writing.drive_all()["errored"] == 1
    failed = writing.recorded("ada", "ERRORED")
    assert failed["outcome"] == "unknown" and failed["status"] is None and failed["error"]


def test_a_slow_server_holds_up_nobody_else(writing, make_service):
    """While one person's mail waits for its last answer, calls for other people go on: one loop serves both."""
    gate = threading.Event()
    writing.open_office(lambda step, text: gate.wait(TIMEOUT) and "" if step == "MESSAGE" else "")
    store = make_service()
    writing.service("store", store)
    writing.config["stages"].insert(0, {
        "working": "CALLING", "completed": "CALLED",
        "http": {"service": "store", "post": "/", "json": {"username": "{original_username}"}}})
    writing.configure(driver={"poll": "100ms"})
    writing.run_all()
    writing.request("ada")
    wait_for(lambda: writing.office.messages)
    writing.request("eve")
    wait_for(lambda: "eve" in store.usernames(), "a call for somebody else")
    gate.set()
    writing.wait_states("COMPLETE")


def test_over_its_timeout_it_is_given_up(writing):
    gate = threading.Event()
    writing.open_office(lambda step, text: gate.wait(TIMEOUT) and "" if step == "MESSAGE" else "")
    stage(writing, timeout="3s", retry="none")
    writing.request("ada")
    assert writing.drive_all()["errored"] == 1
    gate.set()
    assert writing.recorded("ada", "ERRORED")["outcome"] == "unknown"


def test_a_server_that_is_down_opens_the_breaker(writing):
    """One person's call tests whether the server is back, and spends that person's retries; others keep theirs."""
    office = writing.open_office(server={"breaker": {"failures": 3, "pause": "30s"}})
    office.stop()
    writing.request_all([f"user{n}" for n in range(10)])
    stage(writing, retry={"for": "1s", "first": "10ms", "longest": "50ms"})
    writing.lethe("drive", "--once")
    assert list(writing.states().values()).count("ERRORED") <= 1


# ---- TLS and logins ----


def trusted(site, **more):
    return {"tls": "required", "ca_file": "cert.pem", **more}


def with_login(site):
    (site.folder / "mail.password").write_text(PASSWORD)
    (site.folder / "mail.password").chmod(0o600)
    return trusted(site, user="lethe", password_file="mail.password")


def test_starttls_with_a_login(writing):
    writing.open_office(server=with_login(writing), folder=writing.folder, login=("lethe", PASSWORD))
    writing.request("ada")
    assert writing.drive_all()["completed"] == 1
    assert [secure for text, secure in writing.office.lines if text.startswith(("AUTH", "MAIL", "RCPT"))] == [True] * 3


def test_tls_from_the_first_byte(writing):
    writing.open_office(server={"ca_file": "cert.pem"}, folder=writing.folder, implicit=True)
    writing.request("ada")
    assert writing.drive_all()["completed"] == 1


def test_without_starttls_nothing_is_said(writing):
    writing.open_office(server={"tls": "required"})
    stage(writing, retry="none")
    writing.request("ada")
    assert writing.drive_all()["errored"] == 1
    assert not [text for text, _ in writing.office.lines if text.startswith("MAIL")]


def test_a_certificate_that_nobody_vouches_for_is_refused(writing):
    writing.open_office(server={"tls": "required"}, folder=writing.folder)
    stage(writing, retry="none")
    writing.request("ada")
    assert writing.drive_all()["errored"] == 1
    assert not [text for text, _ in writing.office.lines if text.startswith("MAIL")]


def test_a_wrong_password_is_nobodys_fault_in_the_queue(writing):
    """It is tried again, because an operator may correct it. Neither the record nor the log has the password."""
    writing.open_office(server=with_login(writing), folder=writing.folder, login=("lethe", "another-0ne"))
    stage(writing, retry={"for": "1s", "first": "10ms", "longest": "50ms"})
    writing.request("ada")
    driver = writing.start("drive", "--once")
    assert driver.wait(TIMEOUT) in (0, 1)
    failed = writing.recorded("ada", "ERRORED")
    assert failed["status"] == 535 and failed["attempts"] > 1
    assert PASSWORD not in str(failed) and PASSWORD not in writing.logs()


# ---- values ----


def test_what_is_no_address_is_not_written_to(writing):
    writing.open_office()
    mail(writing, to="{original_username}")
    writing.request("ada")
    assert writing.drive_all()["errored"] == 1
    failed = writing.recorded("ada", "ERRORED")
    assert failed["error"] == "to: it is not an address" and writing.office.lines == []


def test_nothing_of_the_person_is_in_the_log(writing):
    writing.open_office(lambda step, text: f"550 no {text}" if step == "RCPT" else "")
    mail(writing, to="{original_email}")
    writing.configure(log={"level": "debug"})
    writing.run_all()
    writing.request("adalovelace", email="countess@example.com")
    writing.wait_states("ERRORED")
    assert "countess" in str(writing.recorded("adalovelace", "ERRORED"))
    assert "countess" not in writing.logs() and "adalovelace" not in writing.logs()


def test_the_plan_shows_it_masked(writing):
    writing.open_office()
    mail(writing, to="{original_email}")
    writing.request("ada")
    said = writing.ok("plan", "ada").out
    assert "e-mail to a...@e...: Erase no. 1" in said and "Please erase " in said
    assert "ada" not in said and writing.office.lines == []
