# SPDX-License-Identifier: Apache-2.0
"""How the demo speaks: plain words, at most 80 columns, as it happens."""
import shlex
import sys
import textwrap
import time

WIDTH = 79
CONTINUED = "\\"


class Teller:
    """Prints the story. On a terminal the last line may be Lethe's progress bar: what is printed takes its
    place."""

    def __init__(self):
        has_bar = sys.stdout.isatty() and sys.stderr.isatty()
        self.clear = "\r\x1b[K" if has_bar else ""
        self.began = time.monotonic()
        self.after_blank = True

    def passed_s(self):
        return time.monotonic() - self.began

    def lines(self, *lines):
        print("\n".join(self.clear + line for line in lines), flush=True)
        self.after_blank = not lines[-1]

    def blank(self):
        if not self.after_blank:
            self.lines("")

    def section(self, title):
        self.blank()
        self.lines(title, "-" * len(title))
        self.after_blank = True

    def say(self, text):
        self.lines(*textwrap.wrap(" ".join(text.split()), WIDTH))

    def event(self, text):
        """Prints a line with its time."""
        at = f"{self.passed_s():5.1f} s  "
        self.lines(*textwrap.wrap(text, WIDTH, initial_indent=at, subsequent_indent=" " * len(at)))

    def command(self, words, indent="$ "):
        """Prints a command so that it can be pasted into a shell."""
        self.blank()
        lines = [indent]
        for part in join_options(words):
            if len(lines[-1] + part + " " + CONTINUED) > WIDTH:
                lines[-1] += CONTINUED
                lines.append(" " * 4)
            lines[-1] += part + " "
        self.lines(*(line.rstrip() for line in lines))

    def output(self, text):
        """Prints the output of a program; long lines are wrapped."""
        for line in text.splitlines():
            indent = line[:len(line) - len(line.lstrip())]
            self.lines(*textwrap.wrap(line, WIDTH, subsequent_indent=indent, break_on_hyphens=False) or [""])
        self.blank()


def join_options(words):
    """['show', '--id', '1'] -> ['show', '--id 1'], quoted for a shell: an option and its value share a line."""
    parts = []
    for word in map(shlex.quote, words):
        if parts and parts[-1].startswith("--") and " " not in parts[-1] and not word.startswith("--"):
            parts[-1] += " " + word
        else:
            parts.append(word)
    return parts
