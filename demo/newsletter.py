#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""The demo's third service: newsletters, which have no server. A list is a CSV file, and this command edits it.

    echo '{"original_email": "ada@example.org"}' | /usr/bin/python3 demo/newsletter.py FOLDER

Takes the person of its standard input from every list. Exits 0 when there was something to take away, 3 when
they were on no list. May be called many times at once: one after the other has the lists.
"""
import csv
import fcntl
import glob
import json
import os
import sys

NOTHING_TO_ERASE = 3
LISTS = {"weekly": 2, "offers": 3, "events": 5}     # every so manieth person is on it


def forget(folder, email):
    """Returns how many lines were removed."""
    with open(os.path.join(folder, "lock"), "w", encoding="ascii") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        return sum(forget_in(path, email) for path in list_files(folder))


def forget_in(path, email):
    rows = read_rows(path)
    kept = [row for row in rows if row[0].lower() != email.lower()]
    if len(kept) < len(rows):
        write_rows(path, kept)
    return len(rows) - len(kept)


def list_files(folder):
    return sorted(glob.glob(os.path.join(folder, "*.csv")))


def read_rows(path):
    with open(path, encoding="utf-8", newline="") as file:
        return list(csv.reader(file))


def write_rows(path, rows):
    with open(path + ".new", "w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows(rows)
    os.replace(path + ".new", path)


# ---- for the demo ----

def fill(folder, people):
    os.mkdir(folder)
    for name, every in LISTS.items():
        rows = [[person.email, person.name] for number, person in enumerate(people, 1) if number % every == 0]
        write_rows(os.path.join(folder, name + ".csv"), [["email", "name"]] + rows)


def read(folder):
    """The names of their lists and how each has them, by address."""
    everybody = {}
    for path in list_files(folder):
        for email, name in read_rows(path)[1:]:
            everybody.setdefault(email, []).append((os.path.basename(path), name))
    return everybody


def main():
    person = json.load(sys.stdin)
    return 0 if forget(sys.argv[1], person["original_email"]) else NOTHING_TO_ERASE


if __name__ == "__main__":
    sys.exit(main())
