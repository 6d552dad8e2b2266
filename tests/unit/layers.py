#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Looks whether the layers hold: layers.py TABLE SRC OBJECTS.

TABLE (data/layers.txt) says which rooms there are, what each may use, which file owns a library, and which files may use a
symbol. SRC is the folder with the sources, OBJECTS the folder that they were built in: the calls are read from the symbols of the object files, so that a
declaration by hand does not hide one. Says for each include and each symbol that breaks a rule which rule it is.
"""
import os
import re
import subprocess
import sys

# Of the C library and the kernel; every other header in <> belongs to a library.
OF_C = set("""
    aio arpa/inet assert ctype dirent dlfcn errno fcntl fnmatch getopt glob grp inttypes libgen limits link locale math net/if
    netdb netinet/in netinet/tcp poll pthread pwd sched setjmp signal stdalign stdarg stdatomic stdbool stddef stdint stdio
    stdlib stdnoreturn string strings sys/epoll sys/eventfd sys/file sys/inotify sys/ioctl sys/mman sys/pidfd sys/prctl
    sys/queue sys/random sys/resource sys/signalfd sys/socket sys/stat sys/statvfs sys/syscall sys/time sys/timerfd sys/types
    sys/uio sys/un sys/wait sysexits syslog termios time unistd wchar wctype
""".split())


class Table:
    """What layers.txt says. Lines that are not understood end the test."""

    def __init__(self, path):
        self.rooms = {}     # name: headers that other rooms may include
        self.uses = {}      # name: rooms it may use
        self.owners = {}    # header, or folder of headers with its slash: files
        self.users = {}     # symbol: files
        self.circles = {}   # room: how many files may be in circles
        self.needed = set() # rows, or parts of them, that something needs
        with open(path, encoding="utf-8") as f:
            for n, line in enumerate(f, 1):
                words = line.split("#")[0].split()
                if words and not self.take(words):
                    sys.exit(f"{path}:{n}: not understood: {line.strip()}")

    def take(self, words):
        rule = re.fullmatch(r"room (\S+) \[(.*)\]: ?(.*)", " ".join(words))
        if rule:
            name, headers, uses = rule[1], rule[2].split(), rule[3].split()
            self.rooms[name], self.uses[name] = headers, uses
            return all(used in self.rooms and used != name for used in uses)  # only what stands above it
        if words[0] == "library" and len(words) > 2:
            self.owners[words[1]] = words[2:]
            return True
        if words[0] == "symbol" and len(words) > 1:
            self.users[words[1]] = words[2:]
            return True
        if words[0] == "circle" and len(words) == 3 and words[1] in self.rooms:
            self.circles[words[1]] = int(words[2])
            return True
        return False

    def room_of(self, file):
        """The innermost room of a file, by its path below SRC; None: in none."""
        folder = os.path.dirname(file)
        while folder and folder not in self.rooms:
            folder = os.path.dirname(folder)
        return folder or None

    def allows(self, user, used):
        self.needed.add(("arrow", user, used))
        return user == used or used in self.uses[user]

    def is_public(self, room, header):
        name = os.path.basename(header)
        self.needed.add(("header", room, name))
        return self.rooms[room] == ["*"] or name in self.rooms[room]

    def owns(self, key, file):
        self.needed.add(("library", key, file))
        return file in self.owners[key]

    def may_name(self, symbol, file):
        self.needed.add(("symbol", symbol, file))
        return file in self.users.get(symbol, [file])

    def rows(self):
        """What there is, in parts that can be needed each, and its words."""
        for room, used in self.uses.items():
            yield from ((("arrow", room, other), f"room {room} does not use {other}") for other in used)
            yield from ((("header", room, name), f"no other room includes {name} of {room}") for name in self.rooms[room]
                        if name != "*")
        for key, files in self.owners.items():
            yield from ((("library", key, file), f"{file} does not include {key}") for file in files)
        for symbol, files in self.users.items():
            yield from ((("symbol", symbol, file), f"{file} does not use {symbol}") for file in files)


class Faults(list):
    def say(self, text):
        self.append(text)
        print(text)


# -- includes ----------------------------------------------------------------------------------------------------------

def read_includes(src, file):
    with open(os.path.join(src, file), encoding="utf-8") as f:
        return re.findall(r'^\s*#\s*include\s*([<"][^>"]+)[>"]', f.read(), re.M)


def check_include(table, faults, file, header):
    header = os.path.normpath(header)
    user, used = table.room_of(file), table.room_of(header)
    if used is None:
        faults.say(f"{file}: includes {header}, which is in no room")
    elif not table.allows(user, used):
        faults.say(f"{file}: includes {header}: {user} may not use {used}")
    elif user != used and not table.is_public(used, header):
        faults.say(f"{file}: includes {header}, the inside of {used}, whose headers for others are: "
                   f"{' '.join(table.rooms[used]) or 'none'}")


def check_library(table, faults, file, header):
    if header.removesuffix(".h") in OF_C:
        return
    key = header if header in table.owners else header.split("/")[0] + "/"
    if key not in table.owners:
        faults.say(f"{file}: includes <{header}>: no file owns this library, the table does not have it")
    elif not table.owns(key, file):
        faults.say(f"{file}: includes <{header}>, which belongs to {' and '.join(table.owners[key])}")


def check_includes(table, faults, src, files):
    for file in files:
        for header in read_includes(src, file):
            if header[0] == '"':
                check_include(table, faults, file, header[1:])
            else:
                check_library(table, faults, file, header[1:])


# -- symbols -----------------------------------------------------------------------------------------------------------

def objects_of(objects, files):
    """The object of each source, and of those that were generated into a layer. Objects of sources that are gone may lie
    about and are not looked at."""
    of_source = {file.replace("/", "_") + ".o": file for file in files}
    found = {}
    for folder, _, names in os.walk(objects):
        library = re.match(r"lib(\w+)\.a\.p$", os.path.basename(folder))
        for name in names if library else ():
            generated = re.match(r"meson-generated_.*?(\w+\.c)\.o$", name)
            if generated:
                found[f"{library[1]}/{generated[1].lstrip('_.')}"] = os.path.join(folder, name)
            elif name in of_source:
                found[of_source[name]] = os.path.join(folder, name)
    return found


def read_symbols(found):
    """Which object defines a name for others, and which names each one wants: {name: file}, {file: names}."""
    out = subprocess.run(["nm", "-A", "-g", "-P", *found.values()], check=True, stdout=subprocess.PIPE, text=True).stdout
    file_of = {path: file for file, path in found.items()}
    owner, wanted = {}, {file: set() for file in found}
    for path, name, kind in re.findall(r"^(.*): (\S+) (\S)", out, re.M):
        if kind in "Uwv":
            wanted[file_of[path]].add(name)
        else:
            owner[name] = file_of[path]
    return owner, wanted


def calls_of(owner, wanted):
    """{file: {other file: symbols}}"""
    calls = {}
    for file, names in wanted.items():
        for name in sorted(names):
            if owner.get(name, file) != file:
                calls.setdefault(file, {}).setdefault(owner[name], []).append(name)
    return calls


def check_calls(table, faults, calls):
    for file, others in sorted(calls.items()):
        for other, names in sorted(others.items()):
            user, used = table.room_of(file), table.room_of(other)
            if not table.allows(user, used):
                faults.say(f"{file}: uses {', '.join(names)} of {other}: {user} may not use {used}")


def check_users(table, faults, wanted):
    for file, names in sorted(wanted.items()):
        for name in sorted(names):
            if not table.may_name(name, file):
                faults.say(f"{file}: uses {name}, which is for {' and '.join(table.users[name]) or 'main'} alone")


# -- circles -----------------------------------------------------------------------------------------------------------

def reachable(calls, start):
    seen, todo = set(), [start]
    while todo:
        for other in calls.get(todo.pop(), ()):
            if other not in seen:
                seen.add(other)
                todo.append(other)
    return seen


def find_circles(calls):
    """Groups of files each of which reaches all others of its group."""
    reach = {file: reachable(calls, file) for file in calls}
    circles = []
    for file in sorted(calls):
        if file in reach[file] and not any(file in circle for circle in circles):
            circles.append(sorted(other for other in reach[file] if file in reach.get(other, ())))
    return circles


def say_circle(calls, circle):
    return "".join(f"\n    {file} uses {', '.join(names)} of {other}"
                   for file in circle for other, names in sorted(calls[file].items()) if other in circle)


def check_circles(table, faults, calls):
    in_circles = {}
    for circle in find_circles(calls):
        rooms = {table.room_of(file) for file in circle}
        if len(rooms) > 1:
            faults.say(f"a circle of files of different rooms: {' '.join(circle)}{say_circle(calls, circle)}")
        else:
            in_circles.setdefault(rooms.pop(), []).append(circle)
    for room in sorted(set(in_circles) | set(table.circles)):
        circles, allowed = in_circles.get(room, []), table.circles.get(room, 0)
        n = sum(map(len, circles))
        if n > allowed:
            faults.say(f"{n} files of {room} call each other in circles, {allowed} are allowed:" +
                       "".join(say_circle(calls, circle) for circle in circles))
        elif n < allowed:
            faults.say(f"only {n} files of {room} are in circles: say 'circle {room} {n}' in the table (or nothing, for 0)")


# -- all of it ---------------------------------------------------------------------------------------------------------

def sources(src):
    return sorted(os.path.relpath(os.path.join(folder, name), src)
                  for folder, _, names in os.walk(src) for name in names if name.endswith((".c", ".h")))


def main():
    table, src, objects = Table(sys.argv[1]), sys.argv[2], sys.argv[3]
    faults = Faults()
    files = sources(src)
    for file in files:
        if table.room_of(file) is None:
            sys.exit(f"{file} is in no room of the table")
    found = objects_of(objects, files)
    for file in files:
        if file.endswith(".c") and file not in found and file != "cli/main.c":
            faults.say(f"{file}: there is no object of it")
    owner, wanted = read_symbols(found)
    calls = calls_of(owner, wanted)
    check_includes(table, faults, src, files)
    check_users(table, faults, wanted)
    check_calls(table, faults, calls)
    check_circles(table, faults, calls)
    for row, words in table.rows():
        if row not in table.needed:
            faults.say(f"{words}: take that out of the table")
    print(f"{len(files)} files, {len(found)} objects, {len(table.rooms)} rooms: {len(faults)} faults")
    sys.exit(1 if faults or not found else 0)


if __name__ == "__main__":
    main()
