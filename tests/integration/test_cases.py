# SPDX-License-Identifier: Apache-2.0
"""data/cases.txt says what could go wrong, what is right, and which tests show it: are they there? And the cases that no other file has."""
import os
import re

TESTS = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
FOLDERS = ["integration", "integration/data", "unit", "unit/data"]
PARTS = ["input", "right", "tests", "later"]
LAST = 59
DEFINED = {".py": "^def {}\\(", ".c": "^static void {}\\(", ".txt": "^===? {}$"}


def read_cases():
    """The cases by number: their parts, each a list of lines. Every line of the file is a comment, a group or of a case."""
    cases, groups, parts = {}, [], None
    with open(os.path.join(TESTS, "integration/data/cases.txt"), encoding="utf-8") as f:
        for number, line in enumerate(f.read().splitlines(), 1):
            where = f"cases.txt:{number}: {line}"
            if line == "" or line.startswith("#"):
                continue
            if group := re.fullmatch("== (.+)", line):
                groups.append(group[1])
            elif case := re.fullmatch(r"(\d+)\. (.+)", line):
                assert groups and int(case[1]) > max(cases, default=0), where
                parts = cases[int(case[1])] = {}
            elif part := re.fullmatch(r"    (\w+) {3}(\S.*)", line):
                assert parts is not None and part[1] in PARTS[len(parts):], where
                parts[part[1]] = [part[2]]
            elif more := re.fullmatch(r" {12}(\S.*)", line):
                assert parts, where
                parts[list(parts)[-1]].append(more[1])
            else:
                raise AssertionError(f"{where}: not a line of this file")
    return cases


def is_defined(test):
    file, _, name = test.partition("::")
    pattern = DEFINED[os.path.splitext(file)[1]].format(re.escape(name))
    for folder in FOLDERS:
        path = os.path.join(TESTS, folder, file)
        if os.path.exists(path):
            with open(path, encoding="utf-8") as f:
                return re.search(pattern, f.read(), re.M) is not None
    return False


def test_what_cannot_be_defended_is_said(site):
    """It is so, and SECURITY.md says so under its own heading."""
    site.configure(cool_off="7d")
    site.serve()
    site.request("ada")
    assert site.patch("ada", "COMPLETE", token=site.token("retirement:drive")).status == 204
    assert site.get("/%6detrics", token="").status == 200
    with open(os.path.join(TESTS, "..", "SECURITY.md"), encoding="utf-8") as f:
        said = f.read().partition("\n## What cannot be defended\n")[2].partition("\n## ")[0]
    assert [words for words in ("lethe.db-wal", "update_retirement_status", "/%6detrics") if words not in said] == []


def test_every_case_has_its_tests():
    cases = read_cases()
    assert list(cases) == list(range(1, LAST + 1))
    assert [number for number, parts in cases.items() if list(parts)[:2] != PARTS[:2] or len(parts) < 3] == []
    tests = [test for parts in cases.values() for test in parts.get("tests", [])]
    assert [test for test in tests if not is_defined(test)] == []
