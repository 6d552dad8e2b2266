# SPDX-License-Identifier: Apache-2.0
"""A driver for a Lethe server elsewhere: its own file with `authority`, tokens, and refused tokens."""
import pytest

from services import Gate, keep_port
from site_under_test import Site, wait_for

SCOPES = "retirement:drive"


@pytest.fixture
def elsewhere(pipeline, tmp_path):
    """The site of a driver on another machine; elsewhere.server is the site of its server, whose port is kept for it."""
    kept = keep_port()
    pipeline.configure(listen=f"127.0.0.1:{kept.getsockname()[1]}")
    pipeline.serve()
    made = pipeline.client("driver", SCOPES)
    folder = tmp_path / "elsewhere"
    folder.mkdir()
    driver = Site(folder)
    driver.server = pipeline
    driver.config = {
        "data_dir": "data",
        "authority": {"url": f"http://127.0.0.1:{pipeline.port}", "client_id": made["client_id"],
                      "client_secret": made["client_secret"]},
        "services": pipeline.config["services"],
        "stages": pipeline.config["stages"],
        "driver": {"poll": "100ms"},
    }
    driver.write_config()
    driver.file.chmod(0o600)
    yield driver
    driver.stop()
    driver.check()
    kept.close()


def numbered(n):
    return [f"user{i}" for i in range(n)]


def test_people_of_a_server_elsewhere(elsewhere):
    names = numbered(30)
    elsewhere.server.request_all(names)
    done = elsewhere.drive_all()
    assert (done["people"], done["completed"], done["calls"]) == (30, 30, 90)
    assert set(elsewhere.server.states().values()) == {"COMPLETE"}
    assert not elsewhere.data_dir.exists(), "a driver has nothing to keep"


def test_one_person_of_a_server_elsewhere(elsewhere):
    elsewhere.server.request_all(numbered(3))
    assert elsewhere.drive_all("--username", "user1")["completed"] == 1
    assert elsewhere.server.states() == {"user0": "PENDING", "user1": "COMPLETE", "user2": "PENDING"}


def test_a_driver_that_stays(elsewhere):
    process = elsewhere.start("drive")
    elsewhere.server.request("ada")
    elsewhere.server.wait_states("COMPLETE")
    assert elsewhere.kill(process, 15) == 0


def test_credentials_that_are_wrong(elsewhere):
    elsewhere.config["authority"]["client_secret"] = "0123456789abcdef"
    result = elsewhere.drive()
    assert result.code == 1 and "no access token: status 401" in result.err, result
    assert "0123456789abcdef" not in result.err


def test_credentials_without_the_scope(elsewhere):
    made = elsewhere.server.client("reader", "retirement:read")
    elsewhere.config["authority"].update(client_id=made["client_id"], client_secret=made["client_secret"])
    result = elsewhere.drive()
    assert result.code == 1 and "scope" in result.err, result


def test_the_file_of_a_driver_starts_no_server(elsewhere):
    for words in (["serve"], ["run"], ["retirement", "list"]):
        result = elsewhere.lethe(*words)
        assert result.code == 2 and "is the configuration of a driver" in result.err, result
    assert elsewhere.ok("config", "check").out.endswith("3 services, 3 stages\n")


def test_tokens_are_renewed_before_they_run_out_and_once_on_a_401(elsewhere, make_service):
    """Between the two is a proxy that counts tokens, says that they live for two seconds, and refuses one."""
    server = elsewhere.server
    tokens, turned_down = [], []

    def door(call):
        token = call.headers.get("Authorization")
        if call.path == "/oauth2/access_token":
            answer = server.call("POST", call.path, token="", raw=call.raw,
                                 headers={"Content-Type": call.headers["Content-Type"]})
            tokens.append("JWT " + answer.json["access_token"])
            return answer.status, {**answer.json, "expires_in": 2}
        if token not in tokens:
            return 401
        if len(tokens) == 3 and not turned_down:
            turned_down.append(token)
            return 401, {"detail": "turned down"}
        answer = server.call(call.method, call.path, raw=call.raw, token=token.split()[1],
                             headers={"Content-Type": "application/json"})
        return answer.status, answer.raw

    service = make_service(script=door)
    elsewhere.config["authority"]["url"] = service.url
    process = elsewhere.start("drive")
    server.request("ada")
    server.wait_states("COMPLETE")
    wait_for(lambda: len(tokens) >= 5, "more tokens")
    server.request("bob")
    server.wait_states("COMPLETE")
    assert elsewhere.kill(process, 15) == 0
    assert turned_down, "nobody came with the third token"
    log = elsewhere.log(process)
    assert "error" not in log and "does not answer" not in log, log


def test_a_server_elsewhere_that_is_away_for_a_while(elsewhere):
    server = elsewhere.server
    gate = server.notes.script = Gate()
    process = elsewhere.start("drive")
    server.request("ada")
    gate.wait_reached()
    server.kill(server.processes[0])
    gate.open()
    elsewhere.wait_said(process, "the authority does not answer")
    server.serve()
    server.wait_states("COMPLETE")
    elsewhere.wait_said(process, "the authority answers again")
    assert len(server.notes.calls) == 1
