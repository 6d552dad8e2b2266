#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""An LMS whose every answer takes so long: people in PENDING, their states, and calls that erase.

lms.py PEOPLE DELAY_MS STATE...: prints "ready PORT"; when standard input ends, how many calls there were, and in which states the
people are.
"""
import asyncio
import collections
import json
import sys
import urllib.parse

ACCOUNTS = "/api/user/v1/accounts/"


class Lms:
    def __init__(self, people, delay_s, states):
        self.delay_s, self.order, self.calls = delay_s, {state: i for i, state in enumerate(states)}, 0
        self.states = {f"user{i}": "PENDING" for i in range(people)}
        self.ids = {name: i + 1 for i, name in enumerate(self.states)}

    def row(self, name):
        return {"id": self.ids[name], "user": {"id": self.ids[name]}, "current_state": {"state_name": self.states[name]},
                "last_state": {"state_name": "PENDING"}, "created": "2026-01-01T00:00:00Z", "original_username": name,
                "original_email": f"{name}@example.com", "original_name": "", "retired_username": f"retired_{name}",
                "retired_email": f"retired_{name}@retired.invalid"}

    def answer(self, path, body):
        where = urllib.parse.urlsplit(path)
        if where.path == "/oauth2/access_token":
            return 200, {"access_token": "x", "expires_in": 36000, "token_type": "JWT"}
        if where.path == ACCOUNTS + "retirement_queue/":
            wanted = set(urllib.parse.parse_qs(where.query)["states"])
            return 200, [self.row(name) for name, state in self.states.items() if state in wanted]
        if where.path.endswith("/retirement_status/"):
            return 200, self.row(where.path.split("/")[-3])
        if where.path == ACCOUNTS + "update_retirement_status/":
            if self.order[body["new_state"]] <= self.order[self.states[body["username"]]]:
                return 400, "cannot go there"
            self.states[body["username"]] = body["new_state"]
        return 204, None

    async def serve(self, reader, writer):
        while (head := await reader.readuntil(b"\r\n\r\n")):
            line, *fields = head.decode().split("\r\n")
            length = next((int(f.split(":")[1]) for f in fields if f.lower().startswith("content-length:")), 0)
            raw = await reader.readexactly(length)
            self.calls += 1
            await asyncio.sleep(self.delay_s)
            status, answer = self.answer(line.split()[1], json.loads(raw) if raw[:1] == b"{" else None)
            text = b"" if answer is None else json.dumps(answer).encode()
            writer.write(f"HTTP/1.1 {status} X\r\nContent-Type: application/json\r\nContent-Length: {len(text)}\r\n\r\n".encode()
                         if status != 204 else b"HTTP/1.1 204 X\r\n\r\n")
            writer.write(text)


async def main():
    lms = Lms(int(sys.argv[1]), int(sys.argv[2]) / 1000, sys.argv[3:])

    async def quietly(reader, writer):
        try:
            await lms.serve(reader, writer)
        except (asyncio.IncompleteReadError, ConnectionError):
            writer.close()

    server = await asyncio.start_server(quietly, "127.0.0.1", 0)
    print("ready", server.sockets[0].getsockname()[1], flush=True)
    await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)
    print(json.dumps({"calls": lms.calls, "states": collections.Counter(lms.states.values())}), flush=True)
    server.close()


asyncio.run(main())
