# SPDX-License-Identifier: Apache-2.0
"""What identifies the data: the secret key of the data directory, and the salts. With others nobody would be found, and people
would be retired twice, without any error. So a server with others does not start, and says what to restore.

A secret that is read from a file or the environment is the text that a person sees there: a byte order mark is dropped, and what
cannot be seen is refused by name and line."""
import os
import shutil
import signal

import pytest

FAILED, USAGE, NOT_FOUND, REFUSED = 1, 2, 3, 4
OLD, NOW, NEXT = "salt-2018-old", "salt-2026-current", "salt-2030-next"


def said(result, code, *words):
    """The exit code, and one line that says why."""
    assert result.code == code and result.out == "", result
    lines = [line for line in result.err.splitlines() if line.startswith("lethe: ")]
    assert len(lines) == 1, result
    for word in words:
        assert word in lines[0], result


@pytest.fixture
def retired(site):
    """A database in which Ada's retirement is recorded, and no server."""
    site.request("ada")
    return site


def salts_in_file(site, *salts, text=None):
    file = site.folder / "salts"
    file.write_bytes(text if text is not None else "".join(f"{salt}\n" for salt in salts).encode())
    file.chmod(0o600)
    site.configure(identity={"salts_file": "salts"})


# ---- case 8: the key ----

@pytest.mark.parametrize("command", [["serve"], ["run"], ["fsck"], ["retirement", "list"], ["account", "show", "ada"]])
def test_a_missing_key_beside_a_database_is_not_replaced(retired, command):
    key = retired.data_dir / "secret.key"
    kept = key.read_bytes()
    key.unlink()
    retired.stage("RETIRING_A", "A_COMPLETE", manual={"instructions": "remove it"})
    said(retired.lethe(*command), REFUSED, "secret.key is missing", "restore the key")
    assert not key.exists()
    key.write_bytes(kept)
    key.chmod(0o600)
    assert retired.show("ada")["current_state"]["state_name"] == "PENDING"


@pytest.mark.parametrize("command", [["serve"], ["fsck"], ["retirement", "request", "--username", "bob", "--email", "b@example.com"]])
def test_another_key_is_refused(retired, command):
    key = retired.data_dir / "secret.key"
    kept = key.read_bytes()
    key.write_bytes(os.urandom(32))
    said(retired.lethe(*command), REFUSED, "secret.key: not the key that this database was made with: restore")
    key.write_bytes(kept)
    assert retired.show("ada")["original_username"] == "ada"


def test_a_key_that_was_made_anew_beside_an_empty_database_is_refused_too(site):
    """Even where nobody is retired yet: accounts and credentials are found by the key."""
    site.ok("account", "add", "--username", "ada", "--email", "ada@example.com")
    key = site.data_dir / "secret.key"
    kept = key.read_bytes()
    key.unlink()
    said(site.lethe("serve"), REFUSED, "secret.key is missing")
    key.write_bytes(kept)
    key.chmod(0o600)


def test_a_new_data_directory_gets_its_key_once(site):
    site.kill(site.serve())
    first = (site.data_dir / "secret.key").read_bytes()
    shutil.rmtree(site.data_dir)
    site.kill(site.serve())
    assert (site.data_dir / "secret.key").read_bytes() != first


# ---- case 8: the salts ----

@pytest.mark.parametrize("salts, words", [
    ([NOW], "salt 1 of the 2 that this database was made with is missing or was changed"),
    ([OLD], "salt 2 of the 2 that this database was made with is missing or was changed"),
    ([NOW, OLD], "salt 1 of the 2 that this database was made with stands at another place"),
    ([OLD, NEXT, NOW], "salt 2 of the 2 that this database was made with stands at another place"),
    ([NEXT], "salt 1 of the 2"),
    ([OLD, NOW.upper()], "salt 2 of the 2"),
    ([OLD + "x", NOW], "salt 1 of the 2"),
])
@pytest.mark.parametrize("where", ["file", "configuration"])
def test_salts_that_were_removed_replaced_or_moved_are_refused(retired, where, salts, words):
    right = retired.config["identity"]
    if where == "file":
        salts_in_file(retired, *salts)
    else:
        retired.configure(identity={"salts": salts})
    for command in (["serve"], ["fsck"], ["account", "add", "--username", "bob", "--email", "b@example.com"]):
        said(retired.lethe(*command), REFUSED, {"file": "salts: ", "configuration": "lethe.yml: "}[where], words, "restore the list")
    retired.configure(identity=right)
    retired.kill(retired.serve(), signal.SIGTERM)


def test_salts_may_be_added_at_the_end_and_then_stay(retired):
    retired.configure(identity={"salts": [OLD, NOW, NEXT]})
    process = retired.serve()
    name = retired.ok("hash", "ada").out.split()[0]
    assert retired.status(name).json["original_username"] == "ada"  # recognised under the new one, too
    retired.kill(process, signal.SIGTERM)
    retired.configure(identity={"salts": [OLD, NOW]})
    said(retired.lethe("serve"), REFUSED, "salt 3 of the 3")
    retired.configure(identity={"salts": [OLD, NOW, NEXT]})


def test_before_anybody_is_retired_the_salts_may_change(site):
    site.ok("account", "add", "--username", "ada", "--email", "ada@example.com")
    site.configure(identity={"salts": [NEXT]})
    site.request("ada")
    site.configure(identity={"salts": [OLD]})
    said(site.lethe("serve"), REFUSED, "salt 1 of the 1")
    site.configure(identity={"salts": [NEXT]})


def test_a_missing_salts_file_is_to_be_restored(retired):
    salts_in_file(retired, OLD, NOW)
    retired.kill(retired.serve(), signal.SIGTERM)
    (retired.folder / "salts").unlink()
    said(retired.lethe("serve"), USAGE, "there is no file", "salts", "restore the file")
    salts_in_file(retired, OLD, NOW)


def test_a_reload_with_other_salts_is_refused(retired):
    process = retired.serve()
    right = retired.config["identity"]
    for wrong in ([NOW], [NOW, OLD], [NEXT]):
        retired.configure(identity={"salts": wrong}, cool_off="3d")
        retired.reload(process, says="the previous configuration stays in force")
    assert "that this database was made with" in retired.log(process) and "has been read again" not in retired.log(process)
    retired.configure(identity=right, cool_off="0d")
    assert retired.claim(), "the cool-off of before"


def test_fsck_of_a_running_server_looks_at_the_files_of_now(retired):
    salts_in_file(retired, OLD, NOW)
    retired.serve()
    key = retired.data_dir / "secret.key"
    kept = key.read_bytes()
    assert retired.violations() == []
    key.write_bytes(os.urandom(32))
    assert ["keys"] == [v["invariant"] for v in retired.violations()]
    result = retired.lethe("fsck")
    assert result.code == FAILED and result.out.startswith("keys: /") and "secret.key" in result.out and "restore" in result.out
    key.unlink()
    assert "secret.key is missing" in retired.violations()[0]["what"]
    key.write_bytes(kept)
    key.chmod(0o600)
    salts_in_file(retired, NOW)
    assert "salt 1 of the 2" in retired.violations()[0]["what"]
    salts_in_file(retired, OLD, NOW)
    assert retired.violations() == []


def test_fsck_does_not_take_files_that_cannot_be_read_for_sound(retired):
    salts_in_file(retired, OLD, NOW)
    server = retired.serve()
    for file in retired.data_dir / "secret.key", retired.folder / "salts":
        aside = file.with_name("aside")
        for spoil in lambda: file.chmod(0o640), lambda: (file.rename(aside), file.mkdir()):
            spoil()
            found = retired.violations()
            assert [v["invariant"] for v in found] == ["keys"], found
            assert str(retired.folder) not in found[0]["what"] and "log" in found[0]["what"], found
            retired.wait_said(server, f"secret.key or the salts: {file}")
        file.rmdir()
        aside.rename(file)
        file.chmod(0o600)
        assert retired.violations() == []


# ---- case 14 ----

MARK = b"\xef\xbb\xbf"
INVISIBLE = {
    b"salt-2018-old \nsalt-2026-current\n": "salts:1: the salt ends with a blank",
    b"salt-2018-old\n salt-2026-current\n": "salts:2: the salt begins with a blank",
    b"salt-2018-old\nsalt-2026-current\t\n": "salts:2: the salt has a character that cannot be seen: U+0009 (TAB)",
    b"salt-2018-old\r\r\nsalt-2026-current\n": "salts:1: the salt has a character that cannot be seen: U+000D",
    b"salt-2018-old\rsalt-2026-current\r": "salts:1: the salt has a character that cannot be seen: U+000D",
    "salt-2018-old\nsalt-2026-current\u00a0\n".encode(): "salts:2: the salt has a character that cannot be seen: U+00A0 (NO-BREAK SPACE)",
    "salt-2018-old\u200b\nsalt-2026-current\n".encode(): "salts:1: the salt has a character that cannot be seen: U+200B (ZERO WIDTH SPACE)",
    b"salt-2018-old\n" + MARK + b"salt-2026-current\n": "salts:2: the salt has a character that cannot be seen: U+FEFF",
    b"salt-2018-old\n   \nsalt-2026-current\n": "salts:2: the salt",
    "salt-2018-old\n".encode("utf-16"): "NUL byte",
}


@pytest.mark.parametrize("text, words", INVISIBLE.items(), ids=range(len(INVISIBLE)))
def test_a_salt_with_what_cannot_be_seen_is_refused(site, text, words):
    salts_in_file(site, text=text)
    said(site.lethe("serve"), USAGE, words)
    assert not site.data_dir.exists()


@pytest.mark.parametrize("text", [MARK + b"salt-2026-current\n", MARK + b"salt-2018-old\nsalt-2026-current\n", MARK + b"salt-2018-old\r\nsalt-2026-current\r\n",
                                  b"salt-2018-old\r\n\r\nsalt-2026-current\n\n", b"salt-2018-old\nsalt-2026-current"])
def test_a_mark_and_the_form_of_line_ends_change_no_retired_name(site, text):
    salts_in_file(site, text=text)
    assert site.ok("hash", "Learner1").out.split()[0].endswith("ab727831c5038a2dc4a4d8116ce566401185e0d7")


@pytest.mark.parametrize("content, words", [
    (MARK + b"0123456789abcdef\n", None), (b"0123456789abcdef\r\n", None), (b"pass phrase of words\n", None),
    (b"0123456789abcdef \n", "lms.secret:1: the secret ends with a blank"),
    ("0123456789abcdef\u2060\n".encode(), "lms.secret:1: the secret has a character that cannot be seen: U+2060 (WORD JOINER)"),
    (b"0123456789abcdef\n\n", "lms.secret:1: the secret has a character that cannot be seen: U+000A"),
])
@pytest.mark.parametrize("how", ["file", "environment"])
def test_secrets_of_services_likewise(site, how, content, words):
    (site.folder / "lms.secret").write_bytes(content)
    (site.folder / "lms.secret").chmod(0o600)
    given = {"token_file": "lms.secret"} if how == "file" else {"token_env": "LMS_SECRET"}
    site.configure(services={"lms": {"url": "http://127.0.0.1:1", "bearer": given}})
    value = content.decode().removesuffix("\n").removesuffix("\r")  # as $(cat FILE) would leave it
    result = site.lethe("config", "check", env={"LMS_SECRET": value})
    if not words:
        assert result.code == 0, result
    else:
        said(result, USAGE, words if how == "file" else words.partition(":1: ")[2])


@pytest.mark.parametrize("stdin, words", [("a password \n", "ends with a blank"), ("a password\u00a0\n", "U+00A0 (NO-BREAK SPACE)")])
def test_a_password_on_standard_input_likewise(site, stdin, words):
    add = ["account", "add", "--username", "ada", "--email", "ada@example.com", "--password-stdin"]
    said(site.lethe(*add, stdin=stdin), USAGE, "--password-stdin: line 1: the password", words)
    site.ok(*add, stdin="\ufeffa password\r\n")


def test_the_secret_of_a_remote_command_likewise(served):
    made = served.client("remote", "retirement:read")
    file = served.folder / "client.secret"
    env = {"LETHE_CLIENT_ID": made["client_id"], "LETHE_CLIENT_SECRET_FILE": str(file)}
    remote = ["retirement", "list", "--server", f"http://127.0.0.1:{served.port}"]
    for text, words in ((made["client_secret"] + " \n", "ends with a blank"), (made["client_secret"] + "\u200b", "U+200B (ZERO WIDTH SPACE)")):
        file.write_text(text)
        file.chmod(0o600)
        said(served.lethe(*remote, env=env, config=False), USAGE, "client.secret:1: the secret", words)
    file.write_text("\ufeff" + made["client_secret"] + "\r\n")
    assert served.lethe(*remote, env=env, config=False).code == 0
