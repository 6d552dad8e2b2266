#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""The test suite.

    scripts/test.py           everything plain, with coverage; all unit tests and the conversations below under ASan and
                              UBSan; the threaded parts under TSan
    scripts/test.py --fast    only the plain part: the habit of the day
    scripts/test.py --full    all conversations under ASan and UBSan, and whole what is otherwise a sample: each walk of the
                              N-th failure, and every bad body at every path

Ends with the CPU time, and with a line "N passed, N failed" over all of it; exits 1 if anything failed.
"""
import os
import re
import resource
import subprocess
import sys
import time
import xml.etree.ElementTree as ET

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
THREADED = ["metrics", "log", "writer", "http_server", "http_client", "smtp", "driver", "slow", "crypto"]
# What goes through our own handling of memory in ways that unit tests do not: input from strangers, services that answer
# nonsense or nothing, what is killed, closed, stopped or read anew in the middle of its work.
UNDER_ASAN = [
    "bad_input", "bad_input_random", "tls", "cli", "driver_file", "drive_templates",
    "bad_replies", "faults_services", "lms", "half_done", "mail", "incoming", "exec", "files", "poll", "steps", "verify", "hooks",
    "crash_driver", "crash_server", "faults_server", "reload",
]


class Totals:
    passed = 0
    failed = 0


def cpu_s():
    """Of all that has run and ended so far."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def say(text):
    print(f"\n== {text} ({cpu_s():.0f} s of CPU time so far)", flush=True)


def build(folder, *options):
    path = os.path.join(ROOT, folder)
    if not os.path.exists(os.path.join(path, "build.ninja")):
        subprocess.run(["meson", "setup", path, *options], cwd=ROOT, check=True, stdout=subprocess.DEVNULL)
    subprocess.run(["ninja", "-C", path, "--quiet"], cwd=ROOT, check=True)
    return path


def count_junit(path):
    """Passed and failed cases of a JUnit file; a suite that died without a case counts as one failure."""
    passed = failed = 0
    for case in ET.parse(path).getroot().iter("testcase"):
        if case.find("skipped") is not None:
            continue
        if case.find("failure") is not None or case.find("error") is not None:
            failed += 1
        else:
            passed += 1
    return passed, failed


def add(what, code, passed, failed):
    if code and not failed:
        failed = 1
    print(f"{what}: {passed} passed, {failed} failed", flush=True)
    Totals.passed += passed
    Totals.failed += failed


def unit(path, what, names=(), env=None):
    report = os.path.join(path, "meson-logs", "testlog.junit.xml")
    if os.path.exists(report):
        os.remove(report)
    run = subprocess.run(
        ["meson", "test", "-C", path, "--no-rebuild", "--print-errorlogs", "--suite", "unit", *names],
        cwd=ROOT, env={**os.environ, **(env or {})}, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    if run.returncode:
        print(run.stdout)
    add(what, run.returncode, *(count_junit(report) if os.path.exists(report) else (0, 1)))


def integration(path, what, names=(), env=None):
    """The conversations of tests/integration/test_NAME.py, or all of them."""
    files = [f"tests/integration/test_{name}.py" for name in names] or ["tests/integration"]
    report = os.path.join(path, "integration.xml")
    run = subprocess.run(
        ["/usr/bin/python3", "-m", "pytest", "-q", "-p", "no:cacheprovider", "-n", "3", "--dist", "loadfile",
         "--junit-xml", report, *files],
        cwd=ROOT, env={**os.environ, "LETHE": os.path.join(path, "lethe"), **(env or {})})
    add(what, run.returncode, *(count_junit(report) if os.path.exists(report) else (0, 1)))


def coverage(path):
    """The last lines of gcovr's table; the whole is in coverage.txt of the build folder."""
    run = subprocess.run(["gcovr", "-r", ROOT, "--filter", "src/", path], cwd=ROOT, capture_output=True, text=True)
    with open(os.path.join(path, "coverage.txt"), "w") as f:
        f.write(run.stdout)
    total = re.search(r"^TOTAL\s+(\d+)\s+(\d+)\s+(\d+%)", run.stdout, re.M)
    if run.returncode or not total:
        print(run.stdout, run.stderr)
        add("coverage", 1, 0, 1)
        return
    print(f"coverage: {total[3]} of {total[1]} lines (by file: {os.path.relpath(path, ROOT)}/coverage.txt)", flush=True)


def main():
    began = time.monotonic()
    full = "--full" in sys.argv
    whole = {"LETHE_WHOLE": "1"} if full else {}
    say("plain, with coverage")
    path = build("build-coverage", "-Db_coverage=true")
    unit(path, "unit tests", env=whole)
    integration(path, "integration tests", env=whole)
    coverage(path)

    if "--fast" not in sys.argv:
        say("again under AddressSanitizer and UndefinedBehaviorSanitizer")
        path = build("build-asan", "-Db_sanitize=address,undefined", "-Db_lundef=false")
        strict = {"UBSAN_OPTIONS": "halt_on_error=1:print_stacktrace=1", "ASAN_OPTIONS": "detect_leaks=1"}
        unit(path, "unit tests, ASan and UBSan", env={**strict, **whole})
        integration(path, "integration tests, ASan and UBSan", () if full else UNDER_ASAN, env={**strict, **whole})

        say("the threaded parts under ThreadSanitizer")
        path = build("build-tsan", "-Db_sanitize=thread", "-Db_lundef=false")
        unit(path, "unit tests, TSan", THREADED, {"TSAN_OPTIONS": "halt_on_error=1"})

    print(f"\nin {time.monotonic() - began:.0f} s, {cpu_s():.0f} s of CPU time\n"
          f"{Totals.passed} passed, {Totals.failed} failed", flush=True)
    sys.exit(1 if Totals.failed else 0)


if __name__ == "__main__":
    main()
