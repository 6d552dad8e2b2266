# SPDX-License-Identifier: Apache-2.0
"""Looks for texts in files, byte by byte, whatever they are: text, logs, databases and what was deleted in them.

Its hard idea: a text has many spellings. The same name may stand in a file in UTF-8 or UTF-16, with \\u escapes
in JSON, with per cent signs in a URL, with doubled quotes in CSV, in capitals, with its accents apart. All of
them are looked for.
"""
import json
import os
import unicodedata
from urllib.parse import quote, quote_plus


def spellings(text):
    """All byte sequences that this text can have in a file; ASCII letters are in lower case."""
    found = set()
    for form in {text, text.lower(), text.upper(), unicodedata.normalize("NFD", text)}:
        found.update([form.encode("utf-8"), form.encode("utf-16-le"), form.encode("utf-16-be")])
        escaped = json.dumps(form)[1:-1], quote(form, ""), quote_plus(form)
        found.update(written.encode("ascii") for written in escaped)
        found.add(form.replace('"', '""').encode("utf-8"))
        if all(ord(letter) < 256 for letter in form):
            found.add(form.encode("latin-1"))
    return {spelling.lower() for spelling in found}


def list_files(folder):
    """All files in the folder and in its folders."""
    return sorted(os.path.join(place, name) for place, _, names in os.walk(folder) for name in names
                  if os.path.isfile(os.path.join(place, name)))


def read_small_letters(path):
    with open(path, "rb") as file:
        return file.read().lower()


def find(texts, files):
    """Which of the texts stand in which files: {path: {text, ...}}, without files that have none.

    texts: {text: its spellings}"""
    contents = {path: read_small_letters(path) for path in files}
    everything = b"\n".join(contents.values())
    found = {}
    for text, spelled in texts.items():
        for spelling in spelled:
            if spelling not in everything:
                continue
            for path in contents:
                if spelling in contents[path]:
                    found.setdefault(path, set()).add(text)
    return found
