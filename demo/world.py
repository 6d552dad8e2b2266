# SPDX-License-Identifier: Apache-2.0
"""The folder in which the demo happens, and all that is in it: people, services, and Lethe's configuration.

    FOLDER/forum/forum.db  shop/order-*.json  newsletter/*.csv     what the services keep
           lethe.yml  salts  forum.token  shop.secret  ports.json  settings and secrets
           lethe-data/                                             what Lethe keeps
           lethe.log                                               what it said, if not to a terminal
"""
import json
import os
import random
import secrets
import shutil
import socket
import string
import subprocess
import urllib.request

import newsletter
import services
from people import make_people
from programs import DemoFailed, read_line
from search import list_files

HERE = os.path.dirname(os.path.abspath(__file__))
MARK = ".lethe-demo"    # this folder is ours to delete
PEOPLE = 1000
ASKING = 200
NEVER_ORDERED_ASKING = 40
NEVER_ORDERED_OTHERS = 160
HOLD = "court case 2026-114, ask legal@example.org"
SERVICES = ("forum", "shop", "newsletter")


class World:
    def __init__(self, folder, programs):
        self.folder = folder
        self.programs = programs
        self.kept_ports = keep_ports(["forum", "shop"])
        self.ports = {name: kept.getsockname()[1] for name, kept in self.kept_ports.items()}
        self.people = make_people(PEOPLE)
        chance = random.Random(3)
        self.asking = chance.sample(self.people, ASKING)
        asking = set(self.asking)
        self.others = [person for person in self.people if person not in asking]
        never = set(self.asking[-NEVER_ORDERED_ASKING:] + chance.sample(self.others, NEVER_ORDERED_OTHERS))
        self.customers = [person for person in self.people if person not in never]
        self.held = self.asking[0]

    def path(self, *names):
        return os.path.join(self.folder, *names)

    # ---- making it ----

    def make(self):
        os.makedirs(self.folder, mode=0o700, exist_ok=True)
        self.write(MARK, "made by demo/demo.py, which may delete it\n")
        self.write("ports.json", json.dumps(self.ports))
        for name in ("salts", "forum.token", "shop.secret"):
            self.write(name, secrets.token_hex(32) + "\n")
        self.write("lethe.yml", self.configuration())
        services.forum_fill(self.path("forum"), self.people)
        services.forum_set_hold(self.path("forum"), self.held.username, HOLD)
        services.shop_fill(self.path("shop"), self.customers)
        newsletter.fill(self.path("newsletter"), self.people)

    def configuration(self):
        with open(os.path.join(HERE, "lethe.yml.template"), encoding="utf-8") as file:
            return string.Template(file.read()).substitute(
                forum_port=self.ports["forum"], shop_port=self.ports["shop"],
                newsletter_command=json.dumps(os.path.join(HERE, "newsletter.py")),
                newsletter_folder=json.dumps(os.path.abspath(self.path("newsletter"))))

    def write(self, name, text):
        with open(self.path(name), "w", encoding="utf-8", opener=open_for_owner) as file:
            file.write(text)

    # ---- the services ----

    def start_service(self, name, *options):
        command = ["/usr/bin/python3", os.path.join(HERE, "services.py"), self.folder, name, *options]
        process = self.programs.start(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True)
        read_line(process, f"the {name}")
        return process

    def ask_service(self, name):
        """The service's report about itself."""
        with urllib.request.urlopen(f"http://127.0.0.1:{self.ports[name]}/", timeout=30) as answer:
            return json.load(answer)

    def lift_hold(self):
        services.forum_set_hold(self.path("forum"), self.held.username, None)

    def own_files(self):
        """All files that are not a service's."""
        services_folders = tuple(self.path(name, "") for name in SERVICES)
        return [path for path in list_files(self.folder) if not path.startswith(services_folders)]

    def read(self):
        """What each service's files have of all people."""
        return {"forum": services.forum_read(self.path("forum")),
                "shop": services.shop_read(self.path("shop")),
                "newsletter": newsletter.read(self.path("newsletter"))}


def keep_ports(names):
    """For each a socket bound to a free port. While it is open, the system gives the port to no other program that asks for a
    free one; a server that sets SO_REUSEADDR can listen there, and without one connections are refused."""
    kept = {name: socket.socket() for name in names}
    for bound in kept.values():
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        bound.bind(("127.0.0.1", 0))
    return kept


def open_for_owner(path, flags):
    return os.open(path, flags, 0o600)


def remove_folder(folder):
    """Removes the folder; refuses one that no demo has made."""
    if not os.path.exists(folder):
        return
    if not os.path.exists(os.path.join(folder, MARK)):
        raise DemoFailed(f"{folder} is there already, and is not a demo's")
    shutil.rmtree(folder)
