# SPDX-License-Identifier: Apache-2.0
"""Reads Prometheus' text exposition format 0.0.4, more strictly than Prometheus does."""
import re

NAME = re.compile(r"[a-zA-Z_:][a-zA-Z0-9_:]*")
SAMPLE = re.compile(r"([a-zA-Z_:][a-zA-Z0-9_:]*)(?:\{(.*)\})? (\S+)")
LABEL = re.compile(r'([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\\n]|\\["\\n])*)"(,|$)')
NUMBER = re.compile(r"-?\d+(\.\d+)?|[+-]Inf|NaN")
SUFFIXES = {"histogram": ("_bucket", "_sum", "_count"), "counter": ("",), "gauge": ("",)}


class Family:
    def __init__(self, name, help):
        self.name, self.help, self.kind = name, help, None
        self.samples = {}  # (name, labels as a frozenset of pairs): value

    def value(self, suffix="", **labels):
        return self.samples[self.name + suffix, frozenset(labels.items())]


def labels_of(text):
    pairs, at = [], 0
    while at < len(text):
        match = LABEL.match(text, at)
        assert match and (match[3] == "," or match.end() == len(text)), f"labels {text!r}"
        assert match[3] == "" or match.end() < len(text), f"a comma at the end: {text!r}"
        pairs.append((match[1], match[2]))
        at = match.end()
    assert len({name for name, _ in pairs}) == len(pairs), f"a label twice: {text!r}"
    return frozenset(pairs)


def read_sample(family, line):
    match = SAMPLE.fullmatch(line)
    assert match and NUMBER.fullmatch(match[3]), f"no sample: {line!r}"
    assert match[1] in {family.name + suffix for suffix in SUFFIXES[family.kind]}, f"not of {family.name}: {line!r}"
    assert match[2] is None or match[2], f"empty labels: {line!r}"
    key = match[1], labels_of(match[2] or "")
    assert key not in family.samples, f"twice: {line!r}"
    family.samples[key] = float(match[3])


def check_histogram(family):
    series = {}
    for (name, labels), value in family.samples.items():
        plain = frozenset(pair for pair in labels if pair[0] != "le")
        assert name.endswith("_bucket") == (plain != labels), f"le: {name} {labels}"
        series.setdefault(plain, {"buckets": []})
        if name.endswith("_bucket"):
            series[plain]["buckets"].append((float(dict(labels)["le"]), value))
        else:
            series[plain][name[len(family.name):]] = value
    for labels, parts in series.items():
        bounds = [bound for bound, _ in parts["buckets"]]
        counts = [count for _, count in parts["buckets"]]
        assert bounds == sorted(bounds) and bounds[-1] == float("inf"), f"{family.name}{labels}: {bounds}"
        assert counts == sorted(counts) and counts[-1] == parts["_count"], f"{family.name}{labels}: {counts}"
        assert parts["_sum"] >= 0


def check(family):
    assert family.kind and family.samples, f"{family.name} has no type or no samples"
    assert (family.kind == "counter") == family.name.endswith("_total"), family.name
    if family.kind == "histogram":
        check_histogram(family)
    if family.kind == "counter":
        assert all(value >= 0 for value in family.samples.values())


def read(text):
    """The families by name; AssertionError says what is wrong."""
    families, family = {}, None
    assert text.endswith("\n") and "\r" not in text
    for line in text[:-1].split("\n"):
        word, _, rest = line.partition(" ")
        kind, _, rest = rest.partition(" ") if word == "#" else ("", "", rest)
        if kind == "HELP":
            name, _, help = rest.partition(" ")
            assert NAME.fullmatch(name) and help and name not in families, line
            families[name] = family = Family(name, help)
        elif kind == "TYPE":
            assert family and rest.split(" ")[0] == family.name and family.kind is None, line
            family.kind = rest.split(" ", 1)[1]
            assert family.kind in SUFFIXES, line
        else:
            assert word != "#" and family and family.kind, f"a sample of nothing: {line!r}"
            read_sample(family, line)
    for family in families.values():
        check(family)
    return families
