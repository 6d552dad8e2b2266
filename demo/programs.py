# SPDX-License-Identifier: Apache-2.0
"""Starts programs and makes sure that none of them outlives the demo, even if the demo is killed."""
import ctypes
import os
import select
import signal
import subprocess
import time

PR_SET_PDEATHSIG = 1
PATIENCE_S = 60         # for anything that is waited for
POLL_S = 0.05


class DemoFailed(Exception):
    """A claim of the demo is not true."""


def check(holds, claim):
    if not holds:
        raise DemoFailed(f"this should be true, and is not: {claim}")


def wait_until(condition, what):
    """The first true value of condition()."""
    end = time.monotonic() + PATIENCE_S
    while time.monotonic() < end:
        value = condition()
        if value:
            return value
        time.sleep(POLL_S)
    raise DemoFailed(f"waited {PATIENCE_S} s in vain until {what}")


class Programs:
    """`with Programs() as programs:` ends all that it has started."""

    def __init__(self):
        self.running = []

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, signal.SIG_IGN)   # this has an end, and nothing comes after it
        for process in list(self.running):
            self.stop(process)

    def start(self, command, **options):
        process = subprocess.Popen(command, preexec_fn=end_with_parent, **options)
        self.running.append(process)
        return process

    def stop(self, process):
        """Ends it in order, or else by force; returns the exit status."""
        process.terminate()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        self.running.remove(process)
        return process.returncode


def end_with_parent():
    """Ends the program even if the demo is killed and cannot clean up."""
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)


def read_line(process, what):
    """The next line that it prints; what: for the error."""
    readable, _, _ = select.select([process.stdout], [], [], PATIENCE_S)
    line = process.stdout.readline().strip() if readable else ""
    if not line:
        raise DemoFailed(f"{what} did not start")
    return line


def environment():
    """Lethe does not run as root unless it is allowed. If the demo runs as root, it allows it."""
    allowed = {"LETHE_ALLOW_ROOT": "1"} if os.geteuid() == 0 else {}
    return {**os.environ, **allowed}
