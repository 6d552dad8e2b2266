# SPDX-License-Identifier: Apache-2.0
"""The bar on a terminal, as a terminal of 80 columns shows it."""
import fcntl
import os
import pty
import re
import struct
import subprocess
import termios
import threading

import pytest

from services import Gate
from site_under_test import LETHE, TIMEOUT, wait_for

COLUMNS = 80
FRAME = re.compile(r"\r([^\r\n\x1b]*)\x1b\[K")


def overwrite(sent):
    """One line of the terminal after all that was sent to it."""
    line, column = "", 0
    for piece in re.findall(r"\r|\x1b\[K|[^\r\x1b]+|\x1b", sent):
        if piece == "\r":
            column = 0
        elif piece == "\x1b[K":
            line = line[:column]
        else:
            line = line[:column] + piece + line[column + len(piece):]
            column += len(piece)
    return line


class Terminal:
    """A terminal on whose standard error a command runs; everything it was sent is in .sent."""

    def __init__(self, site, *words, columns=COLUMNS, reads=True):
        site.write_config()
        ours, theirs = pty.openpty()
        fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
        attributes = termios.tcgetattr(theirs)
        attributes[1] &= ~termios.OPOST  # what is sent arrives as it is
        termios.tcsetattr(theirs, termios.TCSANOW, attributes)
        self.process = subprocess.Popen([LETHE, *words, "--config", str(site.file)], stdout=subprocess.PIPE, stderr=theirs,
                                        cwd=site.folder, env=site.environment())
        os.close(theirs)
        self.ours, self.sent = ours, ""
        self.reader = threading.Thread(target=self.read, daemon=True)
        if reads:
            self.reader.start()

    def read(self):
        while True:
            try:
                piece = os.read(self.ours, 65536)
            except OSError:  # the last one has hung up
                return
            self.sent += piece.decode()

    def frames(self):
        """Every bar that was drawn, without the text between."""
        return [frame for frame in FRAME.findall(self.sent) if frame]

    def lines(self):
        """The lines that remain on the screen at the end."""
        return [overwrite(line) for line in self.sent.split("\n")]

    def wait(self):
        code = self.process.wait(TIMEOUT)
        self.process.stdout.read()
        self.process.stdout.close()
        self.reader.join(TIMEOUT)
        os.close(self.ours)
        return code


@pytest.fixture
def slow_pipeline(pipeline):
    """Three stages, the first of which lets 60 people a second through."""
    pipeline.config["services"]["forum"]["rate"] = "60/s"
    return pipeline


def test_it_shows_people_stages_errors_and_time_left(slow_pipeline):
    slow_pipeline.notes.script = lambda call: 409 if call.username in ("user1", "user2") else 204
    slow_pipeline.request_all([f"user{n}" for n in range(80)])
    terminal = Terminal(slow_pipeline, "drive", "--once")
    assert terminal.wait() == 0
    frames = terminal.frames()
    assert len(frames) >= 5
    assert all(len(frame) < COLUMNS for frame in frames)
    assert re.search(r"\d+/80 people", frames[-1]) and "2 errored" in frames[-1]
    assert re.match(r"\[=+>? *\]  80/80 people  ", frames[-1])
    assert any(re.search(r"[1-9]\d* stages/s", frame) for frame in frames)
    assert any(re.search(r"\d+ ?m?s left", frame) for frame in frames)
    people = [int(re.search(r"(\d+)/", frame)[1]) for frame in frames]
    assert people == sorted(people) and people[-1] == 80


def test_it_says_who_is_waiting_for_another_attempt(slow_pipeline):
    slow_pipeline.config["services"]["notes"]["breaker"] = "none"
    slow_pipeline.notes.go_down()
    slow_pipeline.request_all([f"user{n}" for n in range(10)])
    terminal = Terminal(slow_pipeline, "drive", "--once")
    wait_for(lambda: any("retrying" in frame for frame in terminal.frames()))
    slow_pipeline.notes.come_back()
    assert terminal.wait() == 0
    assert "retrying" not in terminal.frames()[-1]


def test_it_says_why_they_wait(slow_pipeline):
    slow_pipeline.config["services"]["notes"]["breaker"] = "none"
    slow_pipeline.notes.script = lambda call: 503
    slow_pipeline.request_all([f"user{n}" for n in range(10)])
    terminal = Terminal(slow_pipeline, "drive", "--once")
    wait_for(lambda: any("  503 from notes" in frame for frame in terminal.frames()))
    slow_pipeline.notes.script = lambda call: 204
    assert terminal.wait() == 0
    assert all(len(frame) < COLUMNS for frame in terminal.frames())
    assert "503" not in terminal.frames()[-1]


def test_it_says_that_the_authority_is_silent(slow_pipeline):
    server = slow_pipeline.serve()
    gate = slow_pipeline.forum.script = Gate()
    slow_pipeline.request("ada")
    terminal = Terminal(slow_pipeline, "drive", "--once")
    gate.wait_reached()
    slow_pipeline.kill(server)
    gate.open()
    wait_for(lambda: any("  the authority does not answer: " in frame for frame in terminal.frames()))
    slow_pipeline.serve()
    assert terminal.wait() == 0
    assert all(len(frame) < COLUMNS for frame in terminal.frames())
    assert "authority" not in terminal.frames()[-1]


def test_log_lines_do_not_tear_it(slow_pipeline):
    slow_pipeline.configure(log={"level": "debug"})
    slow_pipeline.request_all([f"user{n}" for n in range(60)])
    terminal = Terminal(slow_pipeline, "drive", "--once")
    assert terminal.wait() == 0
    *lines, after = terminal.lines()
    assert after == "" and len(lines) > 100
    bars = [line for line in lines if " people  " in line]
    assert bars == terminal.frames()[-1:], "the last one alone is left standing"
    for line in lines:
        assert line in bars or re.match(r"\d{4}-\d\d-\d\dT\S+Z +(debug|info|warning) [^\x1b]*$", line), line
    assert len(terminal.frames()) >= 5


@pytest.mark.parametrize("columns", [10, 25, 40, 200])
def test_it_fits_into_any_window(slow_pipeline, columns):
    slow_pipeline.request_all([f"user{n}" for n in range(10)])
    terminal = Terminal(slow_pipeline, "drive", "--once", columns=columns)
    assert terminal.wait() == 0
    assert all(len(frame) < columns for frame in terminal.frames())
    assert columns == 10 or "10/10 people" in terminal.frames()[-1]


def test_a_terminal_that_is_gone_does_not_stop_the_work(slow_pipeline):
    gate = slow_pipeline.forum.script = Gate()
    slow_pipeline.request_all([f"user{n}" for n in range(10)])
    terminal = Terminal(slow_pipeline, "drive", "--once", reads=False)
    gate.wait_reached()
    os.close(terminal.ours)
    gate.open()
    assert terminal.process.wait(TIMEOUT) == 0
    terminal.process.stdout.close()
    assert set(slow_pipeline.states().values()) == {"COMPLETE"}


def test_without_a_terminal_there_is_none(slow_pipeline):
    slow_pipeline.request_all([f"user{n}" for n in range(20)])
    done = slow_pipeline.drive()
    assert done.code == 0 and "20 people in" in done.out
    assert "\r" not in done.err + done.out and "\x1b" not in done.err + done.out and "stages/s" not in done.err
