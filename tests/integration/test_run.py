# SPDX-License-Identifier: Apache-2.0
"""lethe run: server and driver in one process, from the first start to the last signal."""
import signal
import socket

import pytest

from services import Gate
from site_under_test import ALL_SCOPES, TIMEOUT, wait_for


def test_an_empty_folder_to_a_retired_person(pipeline):
    process = pipeline.run_all()
    assert [s["name"] for s in pipeline.get("/v1/states").json["states"]][:2] == ["PENDING", "RETIRING_FORUM"]
    pipeline.request("ada", name="Ada Lovelace")
    pipeline.wait_states("COMPLETE")
    assert pipeline.kill(process, signal.SIGTERM) == 0
    assert all(service.usernames() == ["ada"] for service in pipeline.everywhere)


def test_it_goes_on_where_it_was_stopped(pipeline):
    """SIGTERM lets the call in flight end and gives all other people back: the next driver waits for no lease."""
    gate = pipeline.notes.script = Gate()
    pipeline.config["services"]["notes"]["max_concurrent"] = 1
    process = pipeline.run_all()
    names = [f"user{n}" for n in range(10)]
    pipeline.request_all(names)
    gate.wait_reached()
    wait_for(lambda: list(pipeline.states().values()).count("RETIRING_NOTES") == 10)
    process.send_signal(signal.SIGTERM)
    pipeline.wait_said(process, "stopping")
    gate.open()
    assert process.wait(TIMEOUT) == 0
    assert len(pipeline.notes.calls) == 1
    states = list(pipeline.states().values())
    assert states.count("NOTES_COMPLETE") == 1 and states.count("RETIRING_NOTES") == 9

    assert pipeline.drive_all()["completed"] == 10
    assert all(sorted(service.usernames()) == names for service in pipeline.everywhere)


def test_a_driver_stops_in_order_without_its_server(pipeline):
    gate = pipeline.forum.script = Gate()
    server = pipeline.serve()
    driver = pipeline.start_driver()
    pipeline.request_all([f"user{n}" for n in range(30)])
    wait_for(lambda: pipeline.forum.at_once == 8)
    driver.send_signal(signal.SIGTERM)
    pipeline.wait_said(driver, "stopping")
    gate.open()
    assert driver.wait(TIMEOUT) == 0
    assert len(pipeline.forum.calls) == 8 and pipeline.notes.calls == []
    assert pipeline.get("/v1/retirements").json["retirements"][0]["lease"] is None
    assert pipeline.kill(server, signal.SIGTERM) == 0
    assert pipeline.drive_all()["completed"] == 30
    assert len(pipeline.forum.calls) == 30


def test_a_second_signal_hurries(pipeline):
    """It does not wait for a slow service; the call is repeated later, with the same key."""
    gate = pipeline.forum.script = Gate()
    process = pipeline.run_all()
    pipeline.request("ada")
    gate.wait_reached()
    process.send_signal(signal.SIGTERM)
    pipeline.wait_said(process, "stopping")
    process.send_signal(signal.SIGTERM)
    assert process.wait(TIMEOUT) == 0
    gate.open()
    assert pipeline.drive_all()["completed"] == 1
    assert len(pipeline.forum.calls) == 2 and pipeline.forum.times_erased() == {"ada": 1}


def slow_reader(site):
    """A client that requested 8 MiB, read the beginning, and reads no more."""
    who = site.request("ada")
    for n in range(140):
        assert site.patch("ada", ["ERRORED", "ABORTED"][n % 2], f"{n} " + "x" * 60000, extra={"force": True}).status == 204
    s = socket.socket()
    s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    s.connect(("127.0.0.1", site.port))
    s.sendall(f"GET /v1/retirements/{who['id']}/log HTTP/1.1\r\nHost: x\r\nAuthorization: JWT {site.token(ALL_SCOPES)}\r\n\r\n".encode())
    assert s.recv(100).startswith(b"HTTP/1.1 200")
    return s


CUT_OFF = "cutting off answers whose clients do not read"


@pytest.mark.parametrize("how", ["serve", "run"])
def test_a_slow_reader_does_not_hold_up_a_stop(pipeline, how):
    pipeline.configure(cool_off="1d")
    process = pipeline.serve() if how == "serve" else pipeline.run_all()
    with slow_reader(pipeline):
        process.send_signal(signal.SIGTERM)
        assert process.wait(TIMEOUT) == 0
    assert CUT_OFF in pipeline.log(process)


@pytest.mark.parametrize("how", ["serve", "run"])
def test_a_second_signal_waits_for_no_reader(pipeline, how):
    pipeline.configure(cool_off="1d")
    process = pipeline.serve() if how == "serve" else pipeline.run_all()
    with slow_reader(pipeline):
        process.send_signal(signal.SIGTERM)
        process.send_signal(signal.SIGINT)  # the same twice could be taken for one
        assert process.wait(TIMEOUT) == 0
    assert CUT_OFF not in pipeline.log(process)


def test_a_driver_beside_it_helps(pipeline):
    pipeline.configure(driver={"poll": "100ms", "max_in_flight": 10})
    gate = pipeline.forum.script = Gate()
    pipeline.config["services"]["forum"]["max_concurrent"] = 4
    pipeline.run_all()
    pipeline.start_driver()
    names = [f"user{n:02}" for n in range(40)]
    pipeline.request_all(names)
    wait_for(lambda: pipeline.forum.at_once == 8)  # four of each: limits are a driver's own
    gate.open()
    pipeline.wait_states("COMPLETE")
    assert all(sorted(service.usernames()) == names for service in pipeline.everywhere)


def test_a_stage_that_is_added_waits_for_the_operator(pipeline):
    """The list in the database is what counts, until states sync; people keep the list that they began with."""
    process = pipeline.run_all()
    gate = pipeline.notes.script = Gate()
    pipeline.request("ada")
    gate.wait_reached()
    process.send_signal(signal.SIGTERM)
    pipeline.wait_said(process, "stopping")
    gate.open()
    assert process.wait(TIMEOUT) == 0

    pipeline.stage("RETIRING_MAIL", "MAIL_COMPLETE",
                   http={"service": "store", "post": "/mail", "json": {"username": "{original_username}"}})
    process = pipeline.run_all()
    pipeline.wait_states("COMPLETE")
    pipeline.request("bob")
    pipeline.wait_states("COMPLETE")
    assert [call.path for call in pipeline.store.calls] == ["/store/retire"] * 2
    assert pipeline.kill(process, signal.SIGTERM) == 0
    pipeline.ok("states", "sync")
    pipeline.run_all()
    pipeline.request("cyd")
    pipeline.wait_states("COMPLETE")
    assert [call.path for call in pipeline.store.calls_for("cyd")] == ["/store/retire", "/mail"]
