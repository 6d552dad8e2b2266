# SPDX-License-Identifier: Apache-2.0
"""Who looks is told why (cases 27 and 38): in the log while it lasts, at the end, and nothing while nothing happens."""
import signal

import pytest

from services import HANG_UP
from site_under_test import TIMEOUT, wait_for


@pytest.fixture
def erasing(site, make_service):
    site.forum = make_service()
    site.service("forum", site.forum, breaker="none")
    site.stage("ERASING", "ERASED", http={"service": "forum", "post": "/", "json": {"username": "{original_username}"}},
               retry={"for": "1h", "first": "100ms", "longest": "200ms"})
    return site


@pytest.mark.parametrize("answer, words", [(503, "503 from forum"), (HANG_UP, "forum")])
def test_a_failing_service_is_named_with_the_cause_while_it_fails(erasing, answer, words):
    erasing.forum.script = lambda call: answer
    erasing.request("ada")
    driver = erasing.start("drive", "--once")
    said = wait_for(lambda: [line for line in erasing.log(driver).splitlines() if "a call of forum failed" in line])
    assert words in said[0] and "tried again" in said[0] and "ada" not in said[0]
    wait_for(lambda: len(erasing.forum.calls) > 5)
    assert erasing.log(driver).count("a call of forum failed") == 1  # not once a try
    erasing.forum.script = lambda call: 204
    assert driver.wait(TIMEOUT) == 0


def test_each_failing_service_is_named_at_the_end(pipeline):
    for name in ("forum", "notes"):
        pipeline.config["services"][name]["breaker"] = {"failures": 1}
    for stage in pipeline.config["stages"]:
        stage["retry"] = {"for": "1s", "first": "20ms"}
    pipeline.configure()
    pipeline.forum.script = lambda call: 503
    pipeline.notes.script = lambda call: 500
    pipeline.serve()
    pipeline.somebody("RETIRING_FORUM", "FORUM_COMPLETE", name="bob")
    pipeline.request("ada")
    said = pipeline.drive()
    assert said.code == 1 and "2 services fail" in said.err
    assert "service forum: 503 from forum" in said.err and "service notes: 500 from notes" in said.err


def test_the_line_of_a_failure_has_its_cause(erasing):
    erasing.forum.script = lambda call: (422, "user has open cases: ada")
    erasing.request("ada")
    line, = [line for line in erasing.drive().err.splitlines() if "errored" in line]
    assert "errored, attempts: 1: 422 from forum" in line and "ada" not in line


@pytest.mark.parametrize("status", [423, 429])
def test_a_person_whom_a_service_puts_off_is_a_line_of_the_log(erasing, status):
    erasing.forum.script = lambda call: (status, b"", {"Retry-After": "7200"})
    erasing.serve()
    for name in ("ada", "bob", "cyd"):
        erasing.request(name)
    said = [line for line in erasing.drive().err.splitlines() if "put off until then" in line]
    assert len(said) == 1 and f"{status} from forum, and wants the call again after 2h" in said[0]  # once a minute
    assert not any(name in said[0] for name in ("ada", "bob", "cyd"))


def test_a_driver_that_is_stopped_before_a_dead_authority_says_so(erasing):
    # nothing listens at port 9
    erasing.configure(authority={"url": "http://127.0.0.1:9", "client_id": "x", "client_secret": "tK8vQ2mZr4Wc7Lx1Ns9Bd3Hf6Jg0Pa5Y"})
    driver = erasing.start("drive", "--once")
    erasing.wait_said(driver, "the authority does not answer")
    erasing.kill(driver, signal.SIGINT)
    said = erasing.log(driver)
    assert "is due" not in driver.stdout.read().decode() + said
    assert "stopped by a signal before all people were done: the authority does not answer" in said


def test_an_idle_server_and_its_driver_write_no_lines(erasing):
    erasing.configure(driver={"poll": "100ms"})
    server = erasing.serve()
    driver = erasing.start_driver()

    def asked():
        return sum(int(float(line.split()[-1])) for line in erasing.get("/metrics").raw.decode().splitlines()
                   if line.startswith('lethe_http_request_seconds_count{method="POST",route="/v1/claims"'))

    def lines():
        return [erasing.log(process).splitlines() for process in (server, driver)]

    wait_for(lambda: asked() >= 5)
    at_first = lines()
    assert len(at_first[1]) < 5
    wait_for(lambda: asked() >= 20)
    assert lines() == at_first
