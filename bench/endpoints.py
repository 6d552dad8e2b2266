# SPDX-License-Identifier: Apache-2.0
"""The calls that measure every route of the API, for bench.py.

A row of calls() is "METHOD /path" as in openapi.yaml, with ": what" behind it where a route is measured in several
ways, and a function that makes the i-th call: (path, body) or (path, body, headers). What is done is done, so each
is about another person; and each answer is as long with few people as with many, so that times can be compared.

When adding a route: add a row. The benchmark says which routes have none.
"""
import datetime
import http.client
import json
import os
import socket
import time
import urllib.parse

TURNS = 15
A_DAY = 100      # requests, and one in so many ...
ORGS_EVERY = 10  # ... of people has an organisation: fill.c
GROUP = 300
PASSWORD = "a long enough password"
SETTINGS = "on_request: [{ name: app }]\n"  # so each person has a message that waits
READS_EVERYTHING = "reads everything, as it is meant to"
MEANT = {  # what may take longer with more people, and why
    "POST /v1/fsck": READS_EVERYTHING,
    "POST /v1/audit/verify": READS_EVERYTHING,
    "GET /v1/audit: of nobody": "looks at 20,000 entries, and no further",
}
# There is no source, the fuse has not blown, the stage is not suspicious; the effects are the LMS's, and the address is a retired one.
REFUSED = ("/v1/source", "/v1/fuse/release", "/v1/stages/RETIRING_FORUM/release", "/api/discussion/v1/", "/api/enrollment/v1/",
           "/api/edxnotes/v1/", "/api/edx_proctoring/v1/", "/api/certificates/v1/", "/api/v1/retire_user/", "/demographics/",
           "/api/user/v1/accounts/retire_mailings/", "/api/user/v1/accounts?email=")
EDX = "/api/user/v1/accounts/"
SOMEBODY, SOME_ID = EDX + "{username}", "/v1/retirements/{id}"


def population(people):
    """How many of the first are where; the others are in PENDING."""
    return {"COMPLETE": people // 2, "ERRORED": GROUP, "RETIRING_FORUM": GROUP, "FORUM_COMPLETE": GROUP,
            "RETIRING_LMS": GROUP}


class Population:
    """The people in each state, as numbers from 0. The id of a retirement, and of an account, is one more."""

    def __init__(self, people):
        start = 0
        for name, count in population(people).items():
            setattr(self, name.lower(), start)
            start += count
        self.pending = start + (people - start) // 2
        self.people = people


def name(i):
    return f"user{i:07d}"


def email(i):
    return f"{name(i)}@example.com"


def day_of(p, i):
    """The day of a person's request, as a date."""
    ago = datetime.timedelta(days=(p.people - i) / A_DAY)
    return (datetime.datetime.now(datetime.timezone.utc) - ago).strftime("%Y-%m-%d")


def form(**fields):
    return urllib.parse.urlencode(fields), {"Content-Type": "application/x-www-form-urlencoded"}


class Caller:
    """A connection to a site's socket, and one to its port for calls with credentials."""

    def __init__(self, site):
        self.local = http.client.HTTPConnection("local")
        self.local.sock = socket.socket(socket.AF_UNIX)
        self.local.sock.connect(os.path.join(site.folder, "data", "lethe.sock"))
        self.port = http.client.HTTPConnection("127.0.0.1", site.port)

    def call(self, method, path, body=None, headers=None):
        if body is not None and not isinstance(body, str):
            body = json.dumps(body)
        headers = headers or {}
        connection = self.port if "Authorization" in headers else self.local
        connection.request(method, path, body, headers)
        answer = connection.getresponse()
        data = answer.read()
        assert answer.status < 300 or answer.status < 500 and path.startswith(REFUSED), (method, path, answer.status, data[:300])
        return json.loads(data) if data[:1] in (b"{", b"[") else None

    def post(self, path, body):
        return self.call("POST", path, body)


# -- what has to be there before ---------------------------------------------------------------------------------

class Prepared:
    """Accounts with passwords, sessions, clients, leases: so many that each call has one of its own."""

    def __init__(self, caller, p):
        self.client = caller.post("/v1/clients", {"name": "bench-token", "scope": "retirement:read"})
        self.accounts, self.sessions, self.links, self.clients, self.leases, self.waiting = [], [], [], [], [], []
        for i in range(4 * TURNS):
            account = {"username": f"signed{i}", "email": f"signed{i}@example.com", "password": PASSWORD}
            self.accounts.append(caller.post("/v1/accounts", account)["id"])
        for i in range(2 * TURNS):
            self.sessions.append(caller.post("/v1/sessions", {"username": f"signed{i}", "password": PASSWORD})["token"])
        for i in range(TURNS):
            self.links.append(caller.post(f"/v1/accounts/{self.accounts[2 * TURNS + i]}/password-reset", {})["token"])
            self.clients.append(caller.post("/v1/clients", {"name": f"bench-{i}", "scope": "retirement:read"})["name"])
        claimed = caller.post("/v1/claims", {"driver": "bench", "limit": 3 * TURNS, "lease_s": 3600,
                                             "stages": ["RETIRING_FORUM"]})["claims"]
        self.leases = claimed[TURNS:]
        waiting = [{**report(lease, "waiting"), "response": "look"} for lease in claimed[:TURNS]]
        assert all(answer["ok"] for answer in caller.post("/v1/progress", waiting))
        self.waiting = [lease["id"] for lease in claimed[:TURNS]]
        self.deliveries = [caller.post("/v1/deliveries/claims", DELIVERIES)["deliveries"][0] for _ in range(TURNS)]


DELIVERIES = {"driver": "bench", "limit": 1, "hooks": [{"event": "on_request", "name": "app", "lease_s": 3600}]}


def report(lease, outcome):
    return {"id": lease["id"], "epoch": lease["epoch"], "stage": lease["stage"], "outcome": outcome}


# -- the calls -----------------------------------------------------------------------------------------------------

def of_open_edx(p, ready):
    queue = EDX + "retirement_queue/?cool_off_days=0&limit=100&states="
    by_date = EDX + "retirements_by_status_and_date/?"
    complete_day, pending_day = day_of(p, p.complete + p.people // 4), day_of(p, p.pending)
    return {
        f"GET {EDX}retirement_queue/": lambda i: (queue + "PENDING,FORUM_COMPLETE,SHOP_COMPLETE",),
        f"GET {EDX}retirement_queue/: the few of a state": lambda i: (queue + "ERRORED",),
        f"GET {EDX}retirement_queue/: nobody": lambda i: (queue + "SHOP_COMPLETE",),
        f"GET {EDX}retirements_by_status_and_date/": lambda i:
            (f"{by_date}state=PENDING&start_date={pending_day}&end_date={pending_day}",),
        f"GET {EDX}retirements_by_status_and_date/: complete": lambda i:
            (f"{by_date}state=COMPLETE&start_date={complete_day}&end_date={complete_day}",),
        f"GET {EDX}retirements_by_status_and_date/: modified": lambda i:
            (f"{by_date}state=COMPLETE&start_date={complete_day}&end_date={complete_day}&date_field=modified",),
        f"GET {SOMEBODY}/retirement_status/": lambda i: (f"{EDX}{name(p.pending + i)}/retirement_status/",),
        f"PATCH {EDX}update_retirement_status/": lambda i:
            (EDX + "update_retirement_status/", {"username": name(p.pending + 100 + i), "new_state": "RETIRING_FORUM",
                                                 "response": "x"}),
        f"PUT {EDX}retirement_partner_report/": lambda i:
            (EDX + "retirement_partner_report/", {"username": name(p.retiring_lms + ORGS_EVERY * i)}),
        f"POST {EDX}retirement_partner_report/": lambda i: (EDX + "retirement_partner_report/?again=true",),
        f"POST {EDX}retirement_partner_report_cleanup/": lambda i:
            (EDX + "retirement_partner_report_cleanup/", [{"original_username": name(p.retiring_lms + ORGS_EVERY * i)}]),
        f"POST {EDX}retirement_cleanup/": lambda i:
            (EDX + "retirement_cleanup/", {"usernames": [name(p.people // 2 - 1 - i)]}),
        "POST /v1/accounts/bulk_retire_users": lambda i:
            ("/v1/accounts/bulk_retire_users", {"usernames": f"signed{3 * TURNS + i}"}),
        f"POST {EDX}cancel_retirement/": lambda i:
            (EDX + "cancel_retirement/", {"retirement_id": p.pending + 200 + i}),
        f"POST {EDX}deactivate_logout/": lambda i: (EDX + "deactivate_logout/", *form(username=f"signed{TURNS + i}")),
        f"POST {SOMEBODY}/deactivate/": lambda i: (f"{EDX}{name(p.pending + 300 + i)}/deactivate/",),
        f"POST {EDX}retire_misc/": lambda i: (EDX + "retire_misc/", {"username": name(p.retiring_lms + 50 + i)}),
        f"POST {EDX}retire/": lambda i: (EDX + "retire/", {"username": name(p.retiring_lms + 100 + i)}),
        f"POST {EDX}replace_usernames/": lambda i:
            (EDX + "replace_usernames/", {"username_mappings": [{f"signed{2 * TURNS + i}": f"renamed{i}"}]}),
        "POST /api/discussion/v1/accounts/replace_usernames/": lambda i:
            ("/api/discussion/v1/accounts/replace_usernames/", {"username_mappings": [{f"signed{i}": f"renamed{i}"}]}),
        "GET /api/user/v1/accounts": lambda i: (f"/api/user/v1/accounts?email={name(p.pending + i)}@example.com",),
        "POST /api/discussion/v1/accounts/retire_forum/": lambda i: ("/api/discussion/v1/accounts/retire_forum/", {"username": name(p.pending + i)}),
        "POST /api/user/v1/accounts/retire_mailings/": lambda i: ("/api/user/v1/accounts/retire_mailings/", {"username": name(p.pending + i)}),
        "POST /api/enrollment/v1/unenroll/": lambda i: ("/api/enrollment/v1/unenroll/", {"username": name(p.pending + i)}),
        "POST /api/edxnotes/v1/retire_user/": lambda i: ("/api/edxnotes/v1/retire_user/", {"username": name(p.pending + i)}),
        f"POST /api/edx_proctoring/v1/retire_user/{{user_id}}/": lambda i: ("/api/edx_proctoring/v1/retire_user/7/", {"username": name(p.pending + i)}),
        f"POST /api/edx_proctoring/v1/retire_backend_user/{{user_id}}/": lambda i: ("/api/edx_proctoring/v1/retire_backend_user/7/", {"username": name(p.pending + i)}),
        "POST /api/certificates/v1/retire_certs_s3_for_user/": lambda i: ("/api/certificates/v1/retire_certs_s3_for_user/", {"username": name(p.pending + i)}),
        "POST /api/v1/retire_user/": lambda i: ("/api/v1/retire_user/", {"username": name(p.pending + i)}),
        "POST /demographics/api/v1/retire_demographics/": lambda i: ("/demographics/api/v1/retire_demographics/", {"username": name(p.pending + i)}),
        "POST /oauth2/access_token": lambda i:
            ("/oauth2/access_token", *form(grant_type="client_credentials", client_id=ready.client["client_id"],
                                           client_secret=ready.client["client_secret"])),
    }


def of_retirements(p, ready):
    listed = "/v1/retirements?limit=100&"
    new = "/v1/retirements"
    recently = (datetime.datetime.now(datetime.timezone.utc) - datetime.timedelta(hours=1)).strftime("%Y-%m-%dT%H:%M:%SZ")
    return {
        "POST /v1/retirements": lambda i: (new, {"username": f"new{i}", "email": f"new{i}@example.com"}),
        "GET /v1/retirements": lambda i: (listed + f"after={p.people // 4}",),
        "GET /v1/retirements: the few of a state": lambda i: (listed + "state=ERRORED",),
        "GET /v1/retirements: stuck": lambda i: (listed + "stuck=true",),
        "GET /v1/retirements: overdue": lambda i: (listed + "overdue=true",),
        "GET /v1/retirements: waiting": lambda i: (listed + "waiting=true",),
        "GET /v1/retirements: asked before": lambda i: (listed + f"created_before={day_of(p, 150)}",),
        "GET /v1/retirements: changed before": lambda i: (listed + f"modified_before={day_of(p, 150)}",),
        "POST /v1/retirements/import": lambda i:
            ("/v1/retirements/import", {"people": [{"username": name(p.pending + k), "email": email(p.pending + k)}
                                                   for k in range(100)]}),
        "POST /v1/retirements/search": lambda i: ("/v1/retirements/search", {"email": email(p.pending + i)}),
        f"GET {SOME_ID}": lambda i: (f"/v1/retirements/{p.pending + i}",),
        f"GET {SOME_ID}/log": lambda i: (f"/v1/retirements/{p.pending + i}/log",),
        f"POST {SOME_ID}/move": lambda i:
            (f"/v1/retirements/{p.pending + 400 + i}/move", {"state": "FORUM_COMPLETE", "reason": "x"}),
        f"POST {SOME_ID}/confirm": lambda i: (f"/v1/retirements/{ready.waiting[i]}/confirm", {"note": "x"}),
        f"POST {SOME_ID}/resume": lambda i: (f"/v1/retirements/{p.errored + 200 + i}/resume", {}),
        f"POST {SOME_ID}/cancel": lambda i: (f"/v1/retirements/{p.pending + 500 + i}/cancel", {}),
        f"POST {SOME_ID}/forget": lambda i: (f"/v1/retirements/{p.people // 2 - 100 - i}/forget", {"reason": "x"}),
        "POST /v1/cancellations": lambda i: ("/v1/cancellations", {"email": email(p.pending + 600 + i)}),
        "GET /v1/failures": lambda i: ("/v1/failures",),
        "POST /v1/bulk: preview": lambda i:
            ("/v1/bulk", {"select": {"state": ["PENDING"], "limit": 100}, "action": "cancel", "dry_run": True}),
        "POST /v1/bulk: preview of the recent": lambda i:
            ("/v1/bulk", {"select": {"state": ["COMPLETE"], "since": recently, "limit": 100}, "action": "rerun",
                          "reason": "x", "dry_run": True}),
        "POST /v1/bulk": lambda i:
            ("/v1/bulk", {"select": {"ids": list(range(p.pending + 700 + i * 20, p.pending + 720 + i * 20))},
                          "action": "move", "to": "SHOP_COMPLETE", "reason": "x"}),
    }


def of_drivers(p, ready):
    claim = {"driver": "bench", "limit": 1, "lease_s": 60}
    return {
        "GET /v1/fuse": lambda i: ("/v1/fuse",),
        "POST /v1/fuse/release": lambda i: ("/v1/fuse/release", {"reason": "x"}),
        "GET /v1/stages": lambda i: ("/v1/stages",),
        "POST /v1/stages/{stage}/release": lambda i: ("/v1/stages/RETIRING_FORUM/release", {"reason": "x"}),
        "POST /v1/claims": lambda i: ("/v1/claims", claim),
        "POST /v1/claims: a hundred": lambda i: ("/v1/claims", {**claim, "limit": 100, "stages": ["RETIRING_FORUM"]}),
        "POST /v1/claims: nobody": lambda i: ("/v1/claims", {**claim, "stages": ["NO_STAGE"]}),
        "POST /v1/claims: with who waits": lambda i: ("/v1/claims", {**claim, "waiting": True}),
        "POST /v1/claims: with how many": lambda i: ("/v1/claims", {**claim, "count": True}),
        "POST /v1/progress": lambda i: ("/v1/progress", [{**report(ready.leases[i], "done"), "stop": True}]),
        "GET /v1/source": lambda i: ("/v1/source",),
        "POST /v1/source": lambda i: ("/v1/source", {"news": [], "limit": 10}),
        "GET /v1/deliveries": lambda i: (f"/v1/deliveries?limit=100&after={p.people // 4}",),
        "GET /v1/deliveries: of one": lambda i: (f"/v1/deliveries?retirement={p.pending + i}",),
        "GET /v1/deliveries: failed": lambda i: ("/v1/deliveries?state=failed",),
        "POST /v1/deliveries/claims": lambda i: ("/v1/deliveries/claims", {**DELIVERIES, "limit": 100}),
        "POST /v1/deliveries/reports": lambda i:
            ("/v1/deliveries/reports", [{"id": ready.deliveries[i]["id"], "epoch": ready.deliveries[i]["epoch"], "outcome": "done"}]),
        "POST /v1/deliveries/{id}/retry": lambda i: (f"/v1/deliveries/{p.pending + 800 + i}/retry",),
    }


def of_the_rest(p, ready):
    states = ["PENDING", *(state for stage in ("FORUM", "SHOP", "LISTS", "LMS")
                           for state in (f"RETIRING_{stage}", f"{stage}_COMPLETE")), "ERRORED", "ABORTED", "COMPLETE"]
    old = f"{(p.people - 1000) // A_DAY}d"  # so that the first thousand are old enough
    return {
        "GET /v1/states": lambda i: ("/v1/states",),
        "PUT /v1/states": lambda i: ("/v1/states?dry_run=true", {"states": states}),
        "POST /v1/accounts": lambda i:
            ("/v1/accounts", {"username": f"fresh{i}", "email": f"fresh{i}@example.com"}),
        "POST /v1/accounts/search": lambda i: ("/v1/accounts/search", {"username": name(p.pending + i)}),
        "GET /v1/accounts/{id}": lambda i: (f"/v1/accounts/{p.pending + i}",),
        "PATCH /v1/accounts/{id}": lambda i: (f"/v1/accounts/{ready.accounts[i]}", {"name": f"Name {i}"}),
        "POST /v1/accounts/{id}/password-reset": lambda i: (f"/v1/accounts/{ready.accounts[i]}/password-reset",),
        "POST /v1/password-resets": lambda i: ("/v1/password-resets", {"token": ready.links[i], "password": PASSWORD}),
        "POST /v1/sessions": lambda i: ("/v1/sessions", {"username": f"signed{i}", "password": PASSWORD}),
        "DELETE /v1/sessions": lambda i: ("/v1/sessions", None, {"Authorization": f"Bearer {ready.sessions[i]}"}),
        "POST /v1/identities/check": lambda i: ("/v1/identities/check", {"username": name(p.pending + i)}),
        "POST /v1/clients": lambda i: ("/v1/clients", {"name": f"another-{i}", "scope": "retirement:read"}),
        "GET /v1/clients": lambda i: ("/v1/clients",),
        "POST /v1/clients/{name}/disable": lambda i: (f"/v1/clients/{ready.clients[i]}/disable",),
        "GET /healthz": lambda i: ("/healthz",),
        "GET /readyz": lambda i: ("/readyz",),
        "GET /metrics": lambda i: ("/metrics",),
        "GET /openapi.yaml": lambda i: ("/openapi.yaml",),
        "POST /v1/archives: dry run": lambda i: ("/v1/archives", {"older_than": old, "dry_run": True}),
        "POST /v1/archives": lambda i: ("/v1/archives", {"older_than": f"{(p.people - 1000 - i * 50) // A_DAY}d"}),
        "GET /v1/audit": lambda i: (f"/v1/audit?limit=100&after={p.people // 4}",),
        "GET /v1/audit: of one": lambda i: (f"/v1/audit?retirement={p.pending + i + 1}",),
        "GET /v1/audit: of nobody": lambda i: ("/v1/audit?actor=client:nobody",),
        "POST /v1/audit/verify": lambda i: ("/v1/audit/verify", {}),
        "POST /v1/fsck": lambda i: ("/v1/fsck",),
    }


def all_calls(p, ready):
    return {what: make for calls in (of_open_edx, of_retirements, of_drivers, of_the_rest)
            for what, make in calls(p, ready).items()}


def time_ms(caller, method, request):
    began = time.perf_counter()
    caller.call(method, *request)
    return (time.perf_counter() - began) * 1000


def measure(sites):
    """sites: how many people, and the site that serves them. Gives {what: {people: ms}}, of each the fastest: what a busy
    machine or disk adds is nothing of ours. They take turns, so that it is busy for both."""
    callers = {people: Caller(site) for people, site in sites.items()}
    calls = {}
    for people, caller in callers.items():
        p = Population(people)
        calls[people] = all_calls(p, Prepared(caller, p))
    took = {}
    for what in next(iter(calls.values())):
        route = what.split(":")[0]
        times = {people: [] for people in sites}
        for i in range(1 if MEANT.get(what) == READS_EVERYTHING else TURNS):
            for people, caller in callers.items():
                times[people].append(time_ms(caller, route.split(" ")[0], calls[people][what](i)))
        took[what] = {people: min(values) for people, values in times.items()}
    return took
