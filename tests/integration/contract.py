# SPDX-License-Identifier: Apache-2.0
"""Is an answer what openapi.yaml says of it: status, headers, content type, and the body down to its last member."""
import json
import os
import re

import yaml

FILE = os.path.join(os.path.dirname(__file__), "..", "..", "src", "server", "openapi.yaml")
LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
# What a server may answer to anything (the default of each operation).
ANYWHERE = {400, 405, 408, 413, 429, 431, 501, 505}
TYPES = {"object": dict, "array": list, "string": str, "boolean": bool, "null": type(None), "number": (int, float)}


class Contract:
    def __init__(self):
        with open(FILE, encoding="utf-8") as f:
            self.document = yaml.load(f, LOADER)
        self.paths = [(re.compile(re.sub(r"\{\w+\}", "[^/]+", path + "?" * path.endswith("/"))), path, item)
                      for path, item in sorted(self.document["paths"].items(), key=lambda pair: pair[0].count("{"))]

    def resolve(self, thing):
        while "$ref" in thing:
            at = self.document
            for part in thing["$ref"].removeprefix("#/").split("/"):
                at = at[part]
            thing = {**at, **{k: v for k, v in thing.items() if k != "$ref"}}
        return thing

    def find(self, method, target):
        path = target.split("?")[0]
        for pattern, _, item in self.paths:
            if pattern.fullmatch(path) and method.lower() in item:
                return item[method.lower()]
        return None

    # -- answers --

    def check(self, method, target, answer):
        operation = self.find(method, target)
        if operation is None:
            return
        response = operation["responses"].get(str(answer.status))
        if response is None:
            assert answer.status in ANYWHERE, f"{method} {target}: a status that openapi.yaml does not have: {answer}"
            response = operation["responses"]["default"]
        response = self.resolve(response)
        for name in response.get("headers", {}):
            assert answer.headers[name] is not None, f"{method} {target}: {name} is missing: {answer}"
        assert re.fullmatch("[0-9a-f]{16}", answer.headers["X-Request-Id"] or ""), answer
        if not answer.raw:
            may_be_empty = answer.status == 404 or response.get("x-may-be-empty")
            assert "content" not in response or may_be_empty, f"{method} {target}: no body: {answer}"
            return
        content = response.get("content", {}).get(answer.headers["Content-Type"])
        assert content is not None, f"{method} {target}: a content type that openapi.yaml does not have: {answer}"
        if "json" in answer.headers["Content-Type"]:
            faults = list(self.faults(content["schema"], json.loads(answer.raw)))
            assert not faults, f"{method} {target}: {faults}\n{answer}"

    # -- values --

    def members(self, schema):
        """The members that an object may have; None: any."""
        schema = self.resolve(schema)
        names = set(schema.get("properties", {}))
        for part in schema.get("allOf", []) + schema.get("oneOf", []):
            names |= self.members(part) or set()
        return names or None

    def faults(self, schema, value, where="$", closed=True):
        schema = self.resolve(schema)
        for part in schema.get("allOf", []):
            yield from self.faults(part, value, where, False)
        if "oneOf" in schema:
            fits = [part for part in schema["oneOf"] if not list(self.faults(part, value, where, True))]
            if len(fits) != 1:
                yield f"{where}: fits {len(fits)} of oneOf"
        yield from self.simple_faults(schema, value, where)
        if isinstance(value, dict):
            allowed = self.members(schema)
            for name in value:
                if closed and allowed and name not in allowed:
                    yield f"{where}.{name}: is not in openapi.yaml"
            for name in schema.get("required", []):
                if name not in value:
                    yield f"{where}.{name}: is missing"
            for name, part in schema.get("properties", {}).items():
                if name in value:
                    yield from self.faults(part, value[name], f"{where}.{name}")
        if isinstance(value, list):
            for i, item in enumerate(value):
                yield from self.faults(schema.get("items", {}), item, f"{where}[{i}]")

    def simple_faults(self, schema, value, where):
        if "type" in schema:
            types = schema["type"] if isinstance(schema["type"], list) else [schema["type"]]
            if not any(self.has_type(name, value) for name in types):
                yield f"{where}: is not {schema['type']}"
        if "const" in schema and (value != schema["const"] or type(value) is not type(schema["const"])):
            yield f"{where}: is not {schema['const']!r}"
        if "enum" in schema and value not in schema["enum"]:
            yield f"{where}: is none of {schema['enum']}"
        if isinstance(value, str):
            if "pattern" in schema and not re.search(schema["pattern"], value):
                yield f"{where}: does not match {schema['pattern']}"
            if not schema.get("minLength", 0) <= len(value) <= schema.get("maxLength", len(value)):
                yield f"{where}: is too short or too long"
            if schema.get("format") == "date-time" and not re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z", value):
                yield f"{where}: is not a time of the agreed form"
        if isinstance(value, int) and not schema.get("minimum", value) <= value <= schema.get("maximum", value):
            yield f"{where}: is too small or too large"

    @staticmethod
    def has_type(name, value):
        if name == "integer":
            return isinstance(value, int) and not isinstance(value, bool)
        return isinstance(value, TYPES[name])


contract = Contract()
