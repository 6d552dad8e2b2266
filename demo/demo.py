#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""The demo: 200 of 1,000 people ask three services to forget them, through Lethe.

    make demo
    /usr/bin/python3 demo/demo.py build/lethe [--keep FOLDER]

It checks what it prints; the first claim that is not true ends it with exit status 1. It works in a folder of its
own, which it removes at the end unless --keep is given, and leaves nothing running.

This file is the story. The rest: world.py has the folder, the people (people.py) and the services (services.py,
newsletter.py); lethe.py talks to Lethe; search.py looks for texts in files; programs.py starts and ends
programs; telling.py prints.
"""
import argparse
import collections
import json
import os
import shutil
import signal
import sqlite3
import sys
import tempfile
from http.client import HTTPException

from lethe import Api, Lethe
from programs import DemoFailed, Programs, check, wait_until
from search import find, list_files, spellings
from telling import Teller
from world import ASKING, HOLD, NEVER_ORDERED_ASKING, SERVICES, World, remove_folder

CALLS_REFUSED = 5                   # that the shop answers with 503 before it works
ONLY_TABLE = "retirement_person"    # where Lethe keeps names and addresses


# ---- the story ----

class Story:
    def __init__(self, world, lethe, teller):
        self.world = world
        self.lethe = lethe
        self.teller = teller
        self.texts = {text: spellings(text) for person in world.asking for text in person.values()}
        self.retirements = {}   # by user name, as Lethe answered when they were asked for

    def tell(self):
        self.teller.lines("LETHE'S DEMO: 200 of 1,000 people ask three services to forget them", "")
        self.the_site()
        self.the_requests()
        self.the_work()
        self.the_one_who_failed()
        self.lethe.stop(self.process)
        self.the_record()
        self.the_search()
        self.the_others()

    def the_site(self):
        self.teller.section("A site with 1,000 people and three services")
        self.world.make()
        self.world.start_service("forum")
        self.before = self.world.read()
        forum, shop = self.before["forum"], self.before["shop"]
        posts = sum(len(posts) for _, posts in forum.values())
        orders = sum(len(orders) for orders in shop.values())
        subscribers = len(self.before["newsletter"])
        self.teller.lines(
            f"    forum       over HTTP   SQLite database         {len(forum)} profiles, {posts} posts",
            f"    shop        over HTTP   a JSON file per order   {len(shop)} customers, {orders} orders",
            f"    newsletter  a command   a CSV file per list     {subscribers} subscribers, 3 lists")
        check(forum.keys() == {person.username for person in self.world.people}, "every person has a profile")
        self.teller.say("The people are made up; the rest is real. Three of them are")
        for person in self.world.asking[:3]:
            self.teller.lines(f"    {person.name}, {person.username}, {person.email}")

    def the_requests(self):
        self.teller.section("200 of them ask to be forgotten")
        process, url = self.lethe.start("serve")
        self.client = json.loads(self.lethe.run("client", "add", "the-site", "--scope",
                                                "retirement:request retirement:read", "--json"))
        api = Api(url, self.client)
        for person in self.world.asking:
            self.retirements[person.username] = api.request_retirement(person)
        check(api.count_states()["PENDING"] == ASKING, "all requests are in PENDING")
        self.lethe.stop(process)
        self.teller.say(f"""The site's application has asked Lethe for each of them, over its API: all {ASKING}
            are in PENDING. There they would wait for some days, in case they think again; in the demo cool_off
            is 0. Nothing is erased yet: of their {len(self.texts)} names, user names and addresses a search of
            every file finds""")
        found = self.search_services()
        self.teller.lines(*(f"    {len(found[name])} in the {name}" for name in SERVICES))
        self.check_search_can_find(found)

    def check_search_can_find(self, found):
        """Shows that the search can find these texts: otherwise finding nothing later would prove nothing."""
        check(len(found["forum"]) == len(self.texts), "the search finds all people in the forum")
        for name in ("shop", "newsletter"):
            there = [person for person in self.world.asking if person.email in self.before[name]]
            expected = {text for person in there for text in (person.name, person.email)}
            check(expected and expected <= found[name], f"the search finds all people in the {name}")

    def the_work(self):
        self.teller.section("Lethe retires them")
        self.teller.command(self.lethe.command("run"))
        self.process, url = self.lethe.start("run")
        self.api = Api(url, self.client)
        self.teller.event("The forum answers. The shop is down: it refuses connections.")
        wait_until(lambda: self.api.leaves_alone("shop"), "Lethe leaves the shop alone")
        wait_until(lambda: self.count_waiting_for_shop() == ASKING - 1, "all wait for the shop")
        check(self.api.count_states()["ERRORED"] == 1, "no person becomes ERRORED because the shop is down")
        self.teller.event("Lethe has noticed and leaves the shop alone, but for a look now and then whether it is "
                          f"back. {ASKING - 1} people are gone from the forum and wait. One person is ERRORED: "
                          "that is the forum's doing, see below.")
        self.world.start_service("shop", "--unavailable", str(CALLS_REFUSED))
        self.teller.event(f"The shop is started, but answers {CALLS_REFUSED} calls with 503.")
        wait_until(lambda: self.world.ask_service("shop")["unavailable_for"] == 0, "the shop is well")
        self.teller.event("The shop is well.")
        self.wait_for_states("all others are COMPLETE", {"COMPLETE": ASKING - 1, "ERRORED": 1})
        self.teller.event(f"{ASKING - 1} people are COMPLETE.")

    def count_waiting_for_shop(self):
        counts = self.api.count_states()
        return counts["FORUM_COMPLETE"] + counts["FORGETTING_IN_SHOP"]

    def wait_for_states(self, what, expected):
        def is_so():
            counts = self.api.count_states()
            return all(counts[name] == count for name, count in expected.items())
        wait_until(is_so, what)

    def the_one_who_failed(self):
        self.teller.section("One person could not be erased")
        person = self.world.held
        self.show("retirement", "list", "--state", "ERRORED")
        page = self.show("retirement", "show", person.username)
        check(HOLD in " ".join(page.split()), "lethe shows why the forum refused")
        self.teller.say("""The forum's words say why: a legal hold. Such an answer gets no better by repeating
            it, so Lethe has stopped there, before the shop and the newsletter, and left the person to us. The
            hold is lifted now, in the forum's database, and Lethe is told to go on:""")
        self.world.lift_hold()
        self.show("retirement", "resume", person.username, "--reason", "the legal hold is lifted")
        self.wait_for_states("the last one is COMPLETE", {"COMPLETE": ASKING})
        self.teller.event(f"All {ASKING} people are COMPLETE.")
        self.logs = {name: self.api.get_log(asked["id"]) for name, asked in self.retirements.items()}

    def show(self, *words):
        """Runs a command of Lethe before the reader's eyes."""
        output = self.lethe.run(*words)
        self.teller.command(self.lethe.command(*words))
        self.teller.output(output)
        return output

    def the_record(self):
        """The histories of all retirements."""
        errored = [name for name, log in self.logs.items() if any(move["to"] == "ERRORED" for move in log)]
        check(errored == [self.world.held.username], "no one else was ever ERRORED")
        nothing_there = self.sum_up_reports()
        subscribers = sum(person.email in self.before["newsletter"] for person in self.world.asking)
        check(nothing_there["FORGETTING_IN_SHOP"] == NEVER_ORDERED_ASKING, "the shop never had 40 of them")
        check(nothing_there["FORGETTING_IN_NEWSLETTER"] == ASKING - subscribers, "the others were on no list")
        self.teller.say(f"""Every move is on record, {sum(map(len, self.logs.values()))} of them.
            No one became ERRORED because the shop was down, or for the {CALLS_REFUSED} calls that it answered with
            503: those were repeated. For {NEVER_ORDERED_ASKING} people the shop answered 404, because
            it never had them: that is as good as erased. {ASKING - subscribers} were on no list of the
            newsletter.""")
        self.show("fsck")

    def sum_up_reports(self):
        """By working state: how often there was nothing to erase."""
        nothing_there = collections.Counter()
        for move in (move for log in self.logs.values() for move in log):
            report = json.loads(move["response"] or "{}")
            nothing_there[move["from"]] += report.get("outcome") == "nothing_to_erase"
        return nothing_there

    # ---- is it gone? ----

    def the_search(self):
        self.teller.section("Is it gone?")
        found = self.search_services()
        files = {name: len(list_files(self.world.path(name))) for name in SERVICES}
        self.teller.say(f"""The same search again, byte by byte through every file of the services, which are
            still running: databases and their logs, text as UTF-8, UTF-16 or Latin-1, with the escapes of JSON,
            URLs and CSV, in capitals or not. Of the {len(self.texts)} names, user names and addresses it finds
            now""")
        self.teller.lines(*(f"    {len(found[name])} in the {name} ({files[name]} files)" for name in SERVICES))
        check(not any(found.values()), "nothing of these people is left in the services' files")
        self.what_lethe_keeps()

    def search_services(self):
        """The texts that were found in each service's files."""
        found = {name: find(self.texts, list_files(self.world.path(name))) for name in SERVICES}
        return {name: set().union(*files.values()) for name, files in found.items()}

    def what_lethe_keeps(self):
        found = find(self.texts, self.world.own_files())
        self.teller.say("and in Lethe's own files, its settings and its log among them,")
        for path, texts in found.items():
            self.teller.lines(f"    {len(texts)} in {os.path.relpath(path, self.world.folder)}")
        check(self.tables_with_people(found) == {ONLY_TABLE},
              f"in Lethe they are in the table {ONLY_TABLE} and nowhere else")
        self.teller.say(f"""all of them in one table, {ONLY_TABLE}, which has what an operator needs to look
            into a retirement, like the one above. It is kept until cleanup, a later operation of its own, which
            deletes it.""")

    def tables_with_people(self, files):
        """The names of the tables of Lethe's database in which any of the texts stands."""
        found = set()
        for path in files:
            check(path.endswith(".db"), "of Lethe's files only the database has any of it")
            db = sqlite3.connect(f"file:{path}?mode=ro", uri=True)
            for table, in db.execute("SELECT name FROM sqlite_schema WHERE type = 'table'").fetchall():
                rows = "\n".join(str(value) for row in db.execute(f'SELECT * FROM "{table}"') for value in row)
                if any(text in rows for text in self.texts):
                    found.add(table)
            db.close()
        return found

    def the_others(self):
        self.teller.section("And the other 800?")
        now = self.world.read()
        spoken_to = 0
        for person in self.world.others:
            was = self.before["forum"][person.username]
            expected = self.without_mentions(was)
            spoken_to += expected != was
            check(now["forum"].get(person.username) == expected, "the others' profiles and posts are as before")
            for name in ("shop", "newsletter"):
                check(now[name].get(person.email) == self.before[name].get(person.email),
                      f"the {name} has the others as before")
        check(len(now["forum"]) == len(self.world.others), "the forum has exactly the others")
        check(sales(now["shop"]) == sales(self.before["shop"]), "no order is lost, and no money")
        self.teller.say(f"""They are as they were: each profile, post, order and subscription of the
            {len(self.world.others)} was compared with what it was before. Only what {spoken_to} of them wrote
            to a deleted person has a retired name in it. The shop's books are whole too: the orders of
            deleted people are there, without their names.""")

    def without_mentions(self, forum):
        """What the forum had of a person, with retired names in place of the deleted people's."""
        profile, posts = forum
        return profile, [(thread, self.replace_mentions(text)) for thread, text in posts]

    def replace_mentions(self, text):
        for username, retirement in self.retirements.items() if "@" in text else ():
            text = text.replace("@" + username, "@" + retirement["retired_username"])
        return text


def sales(shop):
    return sorted((order["order"], order["cents"]) for orders in shop.values() for order in orders)


# ---- afterwards ----

def tell_how_to_try(story, folder, is_kept):
    teller, lethe = story.teller, story.lethe
    teller.section("By hand")
    if is_kept:
        tell_how_to_look(teller, lethe, folder, story.world.held)
        tell_how_to_forget(teller, lethe, folder, story.world.others[0])
    else:
        teller.say("The folder of this demo is gone now. To have one that stays:")
        teller.command(["/usr/bin/python3", sys.argv[0], lethe.binary, "--keep", "demo-site"], "  ")


def tell_how_to_look(teller, lethe, folder, person):
    teller.say(f"Nothing is running any more. Everything is still in {folder}: what the services and Lethe "
               "have on file, and lethe.yml, the configuration. To look around:")
    teller.command(lethe.command("states", "list"), "  ")
    teller.command(lethe.command("retirement", "list", "--state", "COMPLETE"), "  ")
    teller.command(lethe.command("retirement", "show", person.username), "  ")


def tell_how_to_forget(teller, lethe, folder, person):
    services = os.path.join(os.path.dirname(sys.argv[0]), "services.py")
    allowed = ["env", "LETHE_ALLOW_ROOT=1"] if os.geteuid() == 0 else []
    request = ["retirement", "request", "--username", person.username, "--email", person.email]
    teller.blank()
    teller.say("To forget one more, start the forum and the shop in another terminal (until Ctrl-C) ...")
    teller.command(["/usr/bin/python3", services, folder], "  ")
    teller.blank()
    teller.say("... ask, and let Lethe work until no one is due:")
    teller.command(lethe.command(*request), "  ")
    teller.command(allowed + lethe.command("drive", "--once"), "  ")
    teller.command(lethe.command("retirement", "show", person.username), "  ")


def last_words(folder):
    """Lethe's, where it had no terminal for them."""
    try:
        with open(os.path.join(folder, "lethe.log"), encoding="utf-8") as file:
            lines = file.readlines()[-5:]
    except OSError:
        lines = []
    return "".join("\nlethe.log: " + line.rstrip() for line in lines)


# ---- around it ----

def parse_arguments():
    parser = argparse.ArgumentParser(description="Retires 200 of 1,000 people from three services.")
    parser.add_argument("lethe", help="the program, build/lethe")
    parser.add_argument("--keep", metavar="FOLDER", help="work here and leave it; replaces an earlier demo's")
    arguments = parser.parse_args()
    if not os.path.isfile(arguments.lethe) or not os.access(arguments.lethe, os.X_OK):
        parser.error(f"there is no program {arguments.lethe}: build it with make")
    return arguments


def run(arguments, folder):
    teller = Teller()
    with Programs() as programs:
        world = World(folder, programs)
        lethe = Lethe(arguments.lethe, world.path("lethe.yml"), world.path("lethe.log"), programs)
        story = Story(world, lethe, teller)
        story.tell()
    tell_how_to_try(story, folder, is_kept=arguments.keep is not None)
    teller.blank()
    teller.lines(f"Everything above was checked. It took {teller.passed_s():.0f} s.")


def end_by_signal(number, _):
    sys.exit(128 + number)


def main():
    arguments = parse_arguments()
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, end_by_signal)
    folder = arguments.keep or tempfile.mkdtemp(prefix="lethe-demo-")
    try:
        if arguments.keep:
            remove_folder(folder)
        run(arguments, folder)
    except (DemoFailed, OSError, HTTPException) as failure:
        sys.exit(f"\nThe demo has failed: {failure or type(failure).__name__}{last_words(folder)}")
    except KeyboardInterrupt:
        print("\nThe demo was stopped; so is everything that it had started.", file=sys.stderr)
        sys.exit(128 + signal.SIGINT)
    finally:
        if not arguments.keep:
            shutil.rmtree(folder)


if __name__ == "__main__":
    main()
