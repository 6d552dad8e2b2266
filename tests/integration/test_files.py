# SPDX-License-Identifier: Apache-2.0
"""Files that Lethe reads and writes: of which kind, whose, and who else can change them. What is refused is refused with
words, at once, and before anything is written."""
import os
import socket
import threading

import pytest

from driver_site import driver, lms  # noqa: F401, pylint: disable=unused-import
from site_under_test import wait_for

FAILED, USAGE = 1, 2
AS_ROOT = pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")
SALTS = "salt-2018-old\nsalt-2026-current\n"


def refused(site, *words, command=("serve",)):
    result = site.lethe(*command)
    assert result.code == USAGE and result.out == "", result
    for word in words:
        assert word in result.err, result
    assert not site.data_dir.exists()


# ---- kinds: everything but a plain file is refused, and is not waited for ----

def put_socket(path):
    with socket.socket(socket.AF_UNIX) as s:
        s.bind(str(path))


KINDS = [("a pipe", os.mkfifo), ("a directory", os.mkdir), ("a device", lambda path: os.symlink("/dev/zero", path)),
         ("a socket", put_socket)]
SETTINGS = {
    "salts": {"identity": {"salts_file": "odd"}},
    "secret": {"services": {"lms": {"url": "https://lms.example.com", "bearer": {"token_file": "odd"}}}},
    "certificate": {"tls": {"certificate_file": "odd", "key_file": "odd"}},
    "recipient": {"archive": {"certificate_file": "odd"}},
}


@pytest.mark.parametrize("kind, make", KINDS)
@pytest.mark.parametrize("setting", SETTINGS)
def test_a_file_of_another_kind(site, setting, kind, make):
    make(site.folder / "odd")
    site.configure(**SETTINGS[setting])
    refused(site, "odd", kind)


@pytest.mark.parametrize("kind, make", KINDS)
def test_a_configuration_of_another_kind(site, kind, make):
    make(site.folder / "odd.yml")
    result = site.lethe("serve", "--config", str(site.folder / "odd.yml"), config=False)
    assert result.code == USAGE and kind in result.err, result


# ---- who else can change it ----

@pytest.mark.parametrize("mode", [0o622, 0o660, 0o602, 0o777])
def test_a_configuration_that_others_can_change(site, mode):
    site.write_config()
    site.file.chmod(mode)
    refused(site, "lethe.yml", "others can change it: chmod go-w")


@pytest.mark.parametrize("mode, taken", [(0o755, True), (0o555, True), (0o775, False), (0o757, False), (0o702, False)])
def test_a_program_that_others_can_change(site, mode, taken):
    program = site.folder / "erase"
    program.write_text("#!/bin/sh\n")
    program.chmod(mode)
    site.stage("ERASING", "ERASED", exec={"command": ["./erase"]})
    if taken:
        site.ok("config", "check")
    else:
        refused(site, "lethe.yml:", "erase: others can change it", command=("config", "check"))


def test_a_configuration_that_others_can_change_by_now_is_not_read_again(site):
    process = site.serve()
    site.file.chmod(0o666)
    site.reload(process, "the previous configuration stays in force")
    assert "others can change it" in site.log(process)
    site.file.chmod(0o600)


@AS_ROOT
def test_a_configuration_or_program_of_another_user_is_refused_to_root_too(site):
    """Its owner could have root do anything."""
    program = site.folder / "erase"
    program.write_text("#!/bin/sh\n")
    site.stage("ERASING", "ERASED", exec={"command": ["./erase"]})
    give(program, 12345, 12345, 0o755)
    refused(site, "erase: it belongs to user 12345, who can change it: it must belong to root, as which", command=("config", "check"))
    give(program, 0, 0, 0o755)
    give(site.file, 12345, 12345, 0o600)
    refused(site, f"{site.file}: it belongs to user 12345", command=("config", "check"))
    give(site.file, 0, 0, 0o600)
    site.ok("config", "check")


# ---- secrets ----

def give(path, uid, gid, mode):
    os.chown(path, uid, gid)
    path.chmod(mode)


@pytest.mark.parametrize("mode, taken", [(0o400, True), (0o600, True), (0o440, True), (0o640, False), (0o444, False),
                                         (0o644, False), (0o604, False), (0o660, False)])
def test_the_mode_of_a_secret(site, mode, taken):
    salts = site.folder / "salts"
    salts.write_text(SALTS)
    salts.chmod(mode)
    site.configure(identity={"salts_file": "salts"})
    if taken:
        site.ok("config", "check")
    else:
        refused(site, "salts: others can read or write it", command=("config", "check"))


@AS_ROOT
@pytest.mark.parametrize("uid, gid, mode, words", [
    (12345, 0, 0o400, "belongs to user 12345"),
    (12345, 0, 0o440, "belongs to user 12345"),
    (0, 12345, 0o440, "others can read"),
])
def test_a_secret_of_another_user_or_group(site, uid, gid, mode, words):
    salts = site.folder / "salts"
    salts.write_text(SALTS)
    give(salts, uid, gid, mode)
    site.configure(identity={"salts_file": "salts"})
    refused(site, words, command=("config", "check"))


def test_a_secret_of_docker(site):
    """0444, below one directory only."""
    secrets = site.folder / "secrets"
    secrets.mkdir()
    (secrets / "salts").write_text(SALTS)
    (secrets / "salts").chmod(0o444)
    site.configure(identity={"salts_file": "secrets/salts"})
    refused(site, "others can read", command=("config", "check"))
    site.configure(secrets_dir="secrets")
    site.ok("config", "check")
    (site.folder / "elsewhere").write_text(SALTS)
    (site.folder / "elsewhere").chmod(0o444)
    for name in ("secrets/../elsewhere", "secrets/link"):
        if name == "secrets/link":
            (secrets / "link").symlink_to("../elsewhere")
        site.configure(identity={"salts_file": name})
        refused(site, "others can read", command=("config", "check"))


def test_a_secret_of_kubernetes(site):
    """A volume: links by way of ..data to a file that is 0440 for a group of ours."""
    volume = site.folder / "volume"
    (volume / "..2026_11_30").mkdir(parents=True)
    (volume / "..data").symlink_to("..2026_11_30")
    (volume / "salts").symlink_to("..data/salts")
    salts = volume / "..2026_11_30" / "salts"
    salts.write_text(SALTS)
    salts.chmod(0o440)
    volume.chmod(0o777)
    site.configure(identity={"salts_file": "volume/salts"})
    site.ok("config", "check")
    salts.chmod(0o444)
    refused(site, "others can read", command=("config", "check"))


@AS_ROOT
def test_root_that_looks_at_another_users_server(site):
    """A command of root's, with the files of the user that the server runs as."""
    salts = site.folder / "salts"
    salts.write_text(SALTS)
    give(salts, 12345, 12345, 0o400)
    site.configure(identity={"salts_file": "salts"})
    result = site.lethe("config", "check", env={"LETHE_ALLOW_ROOT": ""})
    assert result.code == 0, result


# ---- the data directory, and what is written ----

@pytest.mark.parametrize("mode, taken", [(0o700, True), (0o2770, True), (0o770, False), (0o2775, False), (0o777, False),
                                         (0o1777, False), (0o750, False)])
def test_the_mode_of_a_data_directory(site, mode, taken):
    site.data_dir.mkdir()
    site.data_dir.chmod(mode)
    if taken:
        site.serve()
        return
    result = site.lethe("serve")
    assert result.code == USAGE and "chmod 700" in result.err, result
    assert list(site.data_dir.iterdir()) == []


@AS_ROOT
@pytest.mark.parametrize("uid, gid, mode, words", [(12345, 0, 0o700, "user 12345"), (0, 12345, 0o2770, "chmod 700")])
def test_a_data_directory_of_another_user_or_group(site, uid, gid, mode, words):
    site.data_dir.mkdir()
    give(site.data_dir, uid, gid, mode)
    result = site.lethe("serve")
    assert result.code == USAGE and words in result.err, result
    os.chown(site.data_dir, 0, 0)


@pytest.mark.parametrize("name", ["lethe.db", "lethe.db-lock", "secret.key"])
def test_the_server_writes_through_no_link(site, name):
    precious = site.folder / "precious"
    precious.write_text("precious")
    precious.chmod(0o600)
    site.data_dir.mkdir(mode=0o700)
    (site.data_dir / name).symlink_to("../precious")
    result = site.lethe("serve")
    assert result.code == USAGE and name in result.err, result
    assert precious.read_text() == "precious"
    (site.data_dir / name).unlink()
    for left in site.data_dir.iterdir():
        left.unlink()


def test_a_driver_writes_nothing_where_others_can_write(driver, lms):  # noqa: F811
    assert driver.lethe("drive", "--once").code == 0
    driver.data_dir.chmod(0o777)
    result = driver.lethe("drive", "--once")
    assert result.code != 0 and "chmod 700" in result.err, result
    driver.data_dir.chmod(0o700)
    assert driver.lethe("drive", "--once").code == 0


def test_the_locks_of_drivers_are_no_links(driver, lms):  # noqa: F811
    """A stranger's link in place of a lock is not followed, and nothing is written through it."""
    precious = driver.folder / "precious"
    precious.write_text("precious")
    assert driver.lethe("drive", "--once").code == 0
    (driver.data_dir / "drivers" / "host:1:abcd:0123").symlink_to("../../precious")
    result = driver.lethe("drive", "--once")
    assert result.code != 0 and "host:1:abcd:0123" in result.err, result
    assert precious.read_text() == "precious"
