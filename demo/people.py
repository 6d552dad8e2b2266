# SPDX-License-Identifier: Apache-2.0
"""A thousand people who do not exist: the same ones every time, from many places, written in many ways.

Its hard idea: a text that is found must belong to exactly one person. So no name, user name or address of a person
is part of another person's.

    /usr/bin/python3 demo/people.py      prints them as CSV
"""
import csv
import os
import random
import sys
import unicodedata
from dataclasses import dataclass

NAMES_FILE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "names.txt")
SEED = 20180525             # the day on which the GDPR began to apply
SHORTEST_NAME = 3           # shorter texts are found anywhere by chance
SHORTEST_USERNAME = 6
DOMAINS = ["example.org", "example.com", "mail.example.com", "post.example.org"]
PLAIN_LETTERS = str.maketrans({"ß": "ss", "ø": "o", "ł": "l", "đ": "d", "ð": "d", "þ": "th", "ı": "i",
                               "æ": "ae", "'": "", " ": "", "-": ""})


@dataclass(frozen=True)
class Person:
    username: str
    email: str
    name: str

    def values(self):
        return self.username, self.email, self.name


@dataclass(frozen=True)
class Name:
    written: str
    plain: str      # in the letters a-z, for user names and addresses

    @property
    def is_latin(self):
        return all("LATIN" in unicodedata.name(c) for c in self.written if c.isalpha())


@dataclass(frozen=True)
class Language:
    order: str
    given: list
    family: list


class Seen:
    """The people so far. Refuses a person whose texts could be taken for another's, in any case of letters."""

    def __init__(self):
        self.values = []
        self.text = ""

    def add(self, person):
        new = [value.casefold() for value in person.values()]
        if len(person.name) < SHORTEST_NAME or len(person.username) < SHORTEST_USERNAME:
            return False
        if any(value in self.text for value in new):
            return False
        if any(old in value for value in new for old in self.values):
            return False
        self.values += new
        self.text += "\n" + "\n".join(new)
        return True


def make_people(count):
    """`count` people, no two alike, the same ones for every caller."""
    chance = random.Random(SEED)
    languages = read_names()
    seen = Seen()
    people = []
    while len(people) < count:
        person = make_person(chance, chance.choice(languages))
        if seen.add(person):
            people.append(person)
    return people


def make_person(chance, language):
    given = chance.choice(language.given)
    family = chance.choice(language.family)
    return Person(
        username=make_username(chance, given, family),
        email=make_email(chance, given.plain, family.plain),
        name=make_name(chance, language.order, given, family))


def make_name(chance, order, given, family):
    if order == "together":
        return family.written + given.written
    if order == "family-first":
        return f"{family.written} {given.written}"
    kind = chance.random() if given.is_latin else 1
    if kind < 0.25:
        return f"{given.written} {chance.choice('ABCDEFGHJKLMNPRSTVWZ')}. {family.written}"
    if kind < 0.30:
        return f'{given.written} "{chance.choice(["Ace", "Birdie", "Doc", "Lucky", "Skip"])}" {family.written}'
    if kind < 0.33:
        return f"{given.written} {family.written}, PhD"
    return f"{given.written} {family.written}"


def make_username(chance, given, family):
    year = chance.randrange(50, 100)
    own = given.written.lower() if given.written.isalnum() else given.plain
    return chance.choice([
        f"{given.plain}.{family.plain}",
        f"{given.plain}_{family.plain}{year}",
        f"{family.plain}{given.plain[0]}{year}",
        f"{given.plain.capitalize()}{family.plain.capitalize()}",
        f"{given.plain}-{family.plain[:3]}{year}",
        f"{own}_{year}",    # in the letters of the language
        f"the.real.{given.plain}{year}",
    ])


def make_email(chance, given, family):
    number = chance.randrange(1, 1000)
    local = chance.choice([
        f"{given}{family}{number}",
        f"{given[0]}.{family}.{number}",
        f"{family}.{given}.{number}",
        f"{given.capitalize()}.{family.capitalize()}.{number}",
        f"{given}{number}+{chance.choice(['shop', 'forum', 'news', 'site'])}",
    ])
    return f"{local}@{chance.choice(DOMAINS)}"


# ---- names ----

def read_names():
    with open(NAMES_FILE, encoding="utf-8") as file:
        lines = [line for line in file if line.strip() and not line.startswith("#")]
    return [parse_language(line) for line in "".join(lines).replace("\n    ", " ").splitlines()]


def parse_language(line):
    head, _, names = line.partition(": ")
    given, _, family = names.partition(" / ")
    return Language(head.partition(", ")[2], parse_names(given), parse_names(family))


def parse_names(text):
    parts = [item.partition("=") for item in text.split(", ")]
    return [Name(written, plain or to_plain(written)) for written, _, plain in parts]


def to_plain(name):
    """'Țepeș' -> 'tepes', "O'Brien" -> 'obrien'"""
    apart = unicodedata.normalize("NFD", name.lower().translate(PLAIN_LETTERS))
    return "".join(c for c in apart if c.isascii())


def main():
    out = csv.writer(sys.stdout)
    out.writerow(["username", "email", "name"])
    out.writerows(person.values() for person in make_people(1000))


if __name__ == "__main__":
    main()
