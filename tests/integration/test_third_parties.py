# SPDX-License-Identifier: Apache-2.0
"""The third parties of the catalogue, each scripted after its public documentation: found, not found, busy, refused, and
answering in another form. The configuration is that of docs/actions.md, as it stands there."""
import base64
import copy
import hashlib
import json
import os
import re
import threading
import urllib.parse

import pytest
import yaml

from old_lms import OldLms
from site_under_test import wait_for

SOURCES = os.path.join(os.path.dirname(__file__), "..", "..")
SECRETS = {"segment.token": "token-of-segment", "braze.token": "token-of-braze", "amplitude.key": "key-of-amplitude",
           "amplitude.secret": "secret-of-amplitude", "salesforce.secret": "secret-of-salesforce",
           "hubspot.token": "token-of-hubspot", "mailchimp.key": "key-of-mailchimp", "zendesk.token": "token-of-zendesk",
           "stripe.key": "key-of-stripe", "lms.secret": "secret-of-the-lms", "marketing-cloud.secret": "secret-of-marketing-cloud",
           "intercom.token": "token-of-intercom", "discourse.key": "key-of-discourse", "keycloak.secret": "secret-of-keycloak",
           "mautic.secret": "secret-of-mautic", "red-ventures.secret": "secret-of-red-ventures", "matomo.token": "token-of-matomo"}


def documented():
    """By service, the configuration in docs/actions.md."""
    with open(os.path.join(SOURCES, "docs", "actions.md"), encoding="utf-8") as f:
        section = f.read().split("## Third parties\n")[1].split("\n## ")[0]
    blocks = [yaml.safe_load(block) for block in re.findall(r"```yaml\n(.*?)```", section, re.S)]
    return {next(iter(block["services"])): block for block in blocks}


def catalogue():
    with open(os.path.join(SOURCES, "src", "config", "catalogue.yaml"), encoding="utf-8") as f:
        text = re.sub(r": \{user_id\}", ': "user_id"', f.read())  # numbers without quotes, which are ours alone
    return yaml.safe_load(text)


class Party:
    """What they have in common: credentials, and faults that the test sets."""

    def __init__(self, **people):
        self.people = {str(number): list(entries) for number, entries in people.items()}
        self.keeps = False  # answers as if it had erased, and has the data still
        self.fault = None  # answers in place of the service: fault(call), None to let it answer
        self.lock = threading.Lock()

    def __call__(self, call):
        if self.fault:
            answer = self.fault(call)
            if answer is not None:
                return answer
        url = urllib.parse.urlsplit(call.path)
        query = urllib.parse.parse_qs(url.query, strict_parsing=True) if url.query else {}
        with self.lock:
            if not self.knows(call):
                return self.unknown()
            before = copy.deepcopy(self.people)
            answer = self.answer(call, url.path, {name: value for name, (value,) in query.items()})
            self.people = before if self.keeps else self.people
            return answer

    def knows(self, call):
        return call.headers.get("Authorization") == self.authorization

    def unknown(self):
        return 401, {"message": "unauthorized"}


class WithTokens(Party):
    """A party that gives its own tokens for client credentials, at token_path."""
    token = "00Dexample!AQEA.one"

    def knows(self, call):
        return call.path == self.token_path or call.headers.get("Authorization") == f"Bearer {self.token}"

    def give_token(self, call):
        form = dict(urllib.parse.parse_qsl(call.raw.decode()))
        if (form["grant_type"], form["client_secret"]) != ("client_credentials", self.secret):
            return 400, {"error": "invalid_client", "error_description": "invalid client credentials"}
        return 200, {"access_token": self.token, "token_type": "Bearer", "issued_at": "1700000000000",
                     "instance_url": "https://example.my.salesforce.com"}


class Segment(Party):
    authorization = "Bearer token-of-segment"
    ids = 2  # the number and the user name
    status = "FINISHED"
    destinations = [["FINISHED"]]  # of each source, the status of each destination

    def answer(self, call, path, query):
        if call.method == "POST" and path == "/regulations":
            if set(call.json) != {"regulationType", "subjectType", "subjectIds"}:
                return 422, {"errors": [{"type": "validation", "message": "a property"}]}
            assert (call.json["regulationType"], call.json["subjectType"]) == ("SUPPRESS_WITH_DELETE", "USER_ID")
            assert len(call.json["subjectIds"]) == self.ids
            for number in call.json["subjectIds"]:
                self.people.pop(number, None)
            return 200, {"data": {"regulateId": "1qJkfE1tpwvQcklImGksLN629wn"}}
        if call.method == "GET" and path == "/regulations/1qJkfE1tpwvQcklImGksLN629wn":
            return 200, {"data": {"regulation": {"id": path.rsplit("/", 1)[1], "workspaceId": "9aQ1Lj62S4bomZKLF4DPqW",
                                                 "overallStatus": self.status, "createdAt": "2026-11-01T00:00:00.000Z",
                                                 "streamStatus": [{"id": "source", "destinationStatus": [
                                                     {"name": "a destination", "id": "destination", "status": status, "errString": ""}
                                                     for status in source]} for source in self.destinations]}}}
        return 404, {"errors": [{"type": "not-found", "message": "Not Found"}]}


class SegmentWithShop(Segment):
    """The shop, whose ids are those of Segment's people, and Segment."""
    ids = 1

    def knows(self, call):
        bearer = "Bearer token-of-the-lms" if call.path.startswith("/api/") else self.authorization
        return call.path == "/oauth2/access_token" or call.headers.get("Authorization") == bearer

    def answer(self, call, path, query):
        if path == "/oauth2/access_token":
            return 200, {"access_token": "token-of-the-lms", "token_type": "Bearer", "expires_in": 3600}
        if path == "/api/v2/retirement/tracking_id/ada/":
            if "ecommerce-7" not in self.people:
                return 404, {"message": "Invalid user."}
            return 200, {"id": 7, "ecommerce_tracking_id": "ecommerce-7", "lms_user_id": 4711}
        return super().answer(call, path, query)


class Braze(Party):
    authorization = "Bearer token-of-braze"

    def answer(self, call, path, query):
        if (call.method, path) == ("POST", "/users/export/ids"):
            assert call.json["fields_to_export"] == ["external_id"], "without it the call is refused, or slow"
            found = [{"external_id": number} for number in call.json["external_ids"] if number in self.people]
            return 201, {"message": "success", "users": found}
        if (call.method, path) != ("POST", "/users/delete"):
            return 404, {"message": "Not found"}
        if set(call.json) != {"external_ids"} or not 0 < len(call.json["external_ids"]) <= 50:
            return 400, {"message": "invalid request"}
        gone = [number for number in call.json["external_ids"] if self.people.pop(number, None) is not None]
        return 201, {"deleted": len(gone), "message": "success"}


class Amplitude(Party):
    authorization = "Basic " + base64.b64encode(b"key-of-amplitude:secret-of-amplitude").decode()
    status = "done"
    by_project = False  # the answer is a list

    def answer(self, call, path, query):
        if path != "/api/2/deletions/users":
            return 404, ""
        if call.method == "GET":
            assert query == {"start_day": "2026-11-30", "end_day": "2026-11-30"}
            return 200, [{"day": "2026-11-30", "amplitude_ids": [{"amplitude_id": 12345}], "app": "67890", "status": self.status,
                          "active_scrub_done_date": None}]
        assert call.json.pop("requester") == "lethe"
        assert (call.json.pop("ignore_invalid_ids"), call.json.pop("ignore_invalid_id")) == (True, "True"), "the names of two times"
        gone = [number for number in call.json.pop("user_ids") if self.people.pop(number, None) is not None]
        assert not call.json
        noted = {"day": "2026-11-30", "status": "staging", "amplitude_ids": [
            {"amplitude_id": 12345, "requested_on_day": "2026-11-22", "requester": "lethe"} for _ in gone]}
        return 200, ([noted | {"app": "67890"}] if gone else []) if self.by_project else noted


class Salesforce(WithTokens):
    """Leads and Contacts by address: people["Lead"] is a list of (Id, address)."""
    token_path = "/services/oauth2/token"
    secret = "secret-of-salesforce"

    def unknown(self):
        return 401, [{"message": "Session expired or invalid", "errorCode": "INVALID_SESSION_ID"}]

    def answer(self, call, path, query):
        if path == self.token_path:
            return self.give_token(call)
        if path == "/services/data/v61.0/query":
            return self.query(query["q"])
        found = re.fullmatch(r"/services/data/v61\.0/sobjects/(Lead|Contact)/(\w+)", path)
        rows = self.people[found[1]]
        if call.method != "DELETE" or found[2] not in [row[0] for row in rows]:
            return 404, [{"errorCode": "NOT_FOUND", "message": "The requested resource does not exist"}]
        rows[:] = [row for row in rows if row[0] != found[2]]
        return 204

    def query(self, soql):
        found = re.fullmatch(r"SELECT Id FROM (Lead|Contact) WHERE Email = '((?:[^'\\]|\\['\"\\])*)'", soql)
        if not found:
            return 400, [{"errorCode": "MALFORMED_QUERY", "message": "unexpected token"}]
        wanted = re.sub(r"\\(.)", r"\1", found[2]).lower()
        ids = [row[0] for row in self.people[found[1]] if row[1].lower() == wanted]
        return 200, {"totalSize": len(ids), "done": True, "records": [
            {"attributes": {"type": found[1], "url": f"/services/data/v61.0/sobjects/{found[1]}/{i}"}, "Id": i} for i in ids]}


class Hubspot(Party):
    authorization = "Bearer token-of-hubspot"

    def answer(self, call, path, query):
        address = urllib.parse.unquote(path.rsplit("/", 1)[1])
        if call.method == "GET" and path.startswith("/crm/v3/objects/contacts/"):
            assert query == {"idProperty": "email", "properties": "email"}
            for number, addresses in self.people.items():
                if address.lower() in addresses:
                    return 200, {"id": number, "properties": {"email": address, "hs_object_id": number}, "archived": False}
            return 404, {"status": "error", "message": "resource not found", "category": "OBJECT_NOT_FOUND"}
        if (call.method, path) == ("POST", "/crm/v3/objects/contacts/gdpr-delete"):
            assert set(call.json) == {"objectId"}, "by an address HubSpot would remember it"
            return 204 if self.people.pop(call.json["objectId"], None) else 404
        return 404, {"status": "error"}


class Mailchimp(Party):
    authorization = "Basic " + base64.b64encode(b"lethe:key-of-mailchimp").decode()

    def answer(self, call, path, query):
        found = re.fullmatch(r"/3\.0/lists/a1b2c3d4e5/members/([0-9a-f]{32})(/actions/delete-permanent)?", path)
        assert found and call.method == ("POST" if found[2] else "GET"), path
        if found[1] not in self.people:
            return 404, {"type": "https://mailchimp.com/developer/marketing/docs/errors/", "title": "Resource Not Found", "status": 404}
        if not found[2]:
            return 200, {"id": found[1], "status": "subscribed"}
        del self.people[found[1]]
        return 204


class Zendesk(Party):
    """people: the external id of each id; those deleted softly are kept apart until they are deleted for good."""
    authorization = "Basic " + base64.b64encode(b"agent@example.com/token:token-of-zendesk").decode()

    def __init__(self, **people):
        super().__init__(**people)
        self.deleted = set()

    def answer(self, call, path, query):
        if (call.method, path) == ("GET", "/api/v2/users/search"):
            found = [{"id": int(number), "external_id": ids[0]} for number, ids in self.people.items() if ids[0] == query["external_id"]]
            return 200, {"users": found, "next_page": None, "count": len(found)}
        found = re.fullmatch(r"/api/v2/(users|deleted_users)/(\d+)", path)
        assert call.method == "DELETE" and found, path
        if found[1] == "users" and self.people.pop(found[2], None):
            self.deleted.add(found[2])
            return 200, {"user": {"id": int(found[2]), "active": False}}
        if found[1] == "deleted_users" and found[2] in self.deleted:
            self.deleted.remove(found[2])
            return 200, {"deleted_user": {"id": int(found[2]), "active": False, "email": None}}
        return 404, {"error": "RecordNotFound", "description": "Not found"}


class Stripe(Party):
    authorization = "Bearer key-of-stripe"

    def answer(self, call, path, query):
        if (call.method, path) == ("GET", "/v1/customers"):
            assert query["limit"] == "1"
            found = [number for number, (address,) in self.people.items() if address == query["email"]]
            return 200, {"object": "list", "url": "/v1/customers", "has_more": len(found) > 1, "data": [
                {"id": number, "object": "customer"} for number in found[:1]]}
        customer = path.removeprefix("/v1/customers/")
        assert call.method == "DELETE"
        if not self.people.pop(customer, None):
            return 404, {"error": {"code": "resource_missing", "type": "invalid_request_error"}}
        return 200, {"id": customer, "object": "customer", "deleted": True}


class MarketingCloud(WithTokens):
    """people: the addresses of each contact key. Deleted in two phases: suppressed, then gone."""
    token_path = "/v2/token"
    secret = "secret-of-marketing-cloud"
    status = "Completed"  # "Pending": still to be suppressed

    def answer(self, call, path, query):
        if path == self.token_path:
            return self.give_token(call)
        if (call.method, path) == ("POST", "/contacts/v1/addresses/email/search"):
            (address,), most = call.json["channelAddressList"], call.json["maximumCount"]
            keys = [{"contactKey": key, "createDate": "2026-01-15T11:51:00"} for key, ids in self.people.items() if ids[0] == address]
            return 200, {"channelAddressResponseEntities": [{"contactKeyDetails": keys[:most], "channelAddress": address}] if keys else [],
                         "requestServiceMessageID": "1", "resultMessages": [], "serviceMessageID": "2"}
        if (call.method, path, query) == ("POST", "/contacts/v1/contacts/actions/delete", {"type": "keys"}):
            assert call.json.pop("DeleteOperationType") == "ContactAndAttributes"
            for key in call.json["values"]:
                del self.people[key]
            return 200, {"operationInitiated": True, "operationID": 22944, "requestServiceMessageID": "3", "resultMessages": []}
        assert (call.method, path, query) == ("GET", "/contacts/v1/contacts/actions/delete/status", {"operationID": "22944"})

        if self.status == "Pending":
            return 200, {"operationMappings": [], "operation": {"operationID": 22944, "status": "Pending", "retryCount": 0}}
        return 200, {"operationMappings": [], "operation": {"operationID": 22944, "status": "Completed", "retryCount": 0},
                     "backgroundOperationsSummary": [{"backgroundOperationID": 1, "backgroundOperationStatusID": self.status}]}


class Intercom(Party):
    """people: the external id of each contact."""
    authorization = "Bearer token-of-intercom"

    def answer(self, call, path, query):
        assert call.headers["Intercom-Version"] == "2.13"
        wanted = path.rsplit("/", 1)[1]
        if call.method == "GET" and path.startswith("/contacts/find_by_external_id/"):
            found = [contact for contact, ids in self.people.items() if ids[0] == wanted]
        else:
            assert call.method == "DELETE" and path == f"/contacts/{wanted}", path
            found = [wanted] if self.people.pop(wanted, None) else []
        if not found:
            return 404, {"type": "error.list", "request_id": "1", "errors": [{"code": "not_found", "message": "User Not Found"}]}
        contact = {"type": "contact", "id": found[0], "external_id": "4711"}
        return 200, contact if call.method == "GET" else contact | {"deleted": True}


class Discourse(Party):
    """people: the number in DiscourseConnect of each user, or none if they are anonymous; posts: who has some."""
    posts = ()

    def knows(self, call):
        return (call.headers.get("Api-Key"), call.headers.get("Api-Username")) == ("key-of-discourse", "system")

    def unknown(self):
        return 403, {"errors": ["You are not permitted to view the requested resource."], "error_type": "invalid_access"}

    def answer(self, call, path, query):
        missing = 404, {"errors": ["The requested URL or resource could not be found."], "error_type": "not_found"}
        lookup = re.fullmatch(r"/u/by-external/(\w+)\.json", path)
        if lookup:
            found = [int(number) for number, ids in self.people.items() if ids == [lookup[1]]]
            return (200, {"user_badges": [], "user": {"id": found[0], "username": "ada"}}) if found else missing
        number = re.search(r"/admin/users/(\d+)", path)[1]
        if number not in self.people:
            return missing
        if (call.method, path) == ("PUT", f"/admin/users/{number}/anonymize.json"):
            assert call.json == {"anonymize_ip": "0.0.0.0"}
            self.people[number] = []
            return 200, {"success": "OK", "username": "anon4711"}
        assert (call.method, path, query) == ("DELETE", f"/admin/users/{number}.json", {"delete_posts": "true"})
        if number in self.posts:
            return 403, {"deleted": False, "message": "this user has too many posts"}
        del self.people[number]
        return 200, {"deleted": True}


class Mautic(WithTokens):
    """people: the address of each contact."""
    token_path = "/oauth/v2/token"
    secret = "secret-of-mautic"

    def unknown(self):
        return 401, {"errors": [{"code": 401, "message": "API authorization denied.", "type": None}]}

    def answer(self, call, path, query):
        if path == self.token_path:
            return self.give_token(call)
        if (call.method, path) == ("GET", "/api/contacts"):
            assert (query["where[0][col]"], query["where[0][expr]"], query["limit"]) == ("email", "eq", "1")
            found = {number: {"id": int(number), "points": 10} for number, ids in self.people.items() if ids == [query["where[0][val]"]]}
            return 200, {"total": str(len(found)), "contacts": dict(list(found.items())[:1]) or []}  # PHP's empty map is a list
        number = re.fullmatch(r"/api/contacts/(\d+)/delete", path)[1]
        assert call.method == "DELETE"
        if not self.people.pop(number, None):
            return 404, {"errors": [{"code": 404, "message": "Item was not found.", "type": None}]}
        return 200, {"contact": {"id": None, "points": 10}}


class Matomo(Party):
    """people: the User ID of each visit. What it refuses has status 200."""
    authorization = "Bearer token-of-matomo"

    def unknown(self):
        return 200, {"result": "error", "message": "You can't access this resource as it requires 'admin' access"}

    def answer(self, call, path, query):
        assert (call.method, path, query["module"], query["format"]) == ("POST", "/index.php", "API", "json")
        form = dict(urllib.parse.parse_qsl(call.raw.decode(), strict_parsing=True))
        if query["method"] == "Live.getLastVisitsDetails":
            assert (form["idSite"], form["period"], form["filter_limit"]) == ("all", "range", "1")
            found = [key for key, ids in self.people.items() if "userId==" + ids[0] == form["segment"]]
            return 200, [{"idVisit": int(key), "idSite": 2} for key in found[:1]]
        assert (query["method"], form["visits[0][idsite]"]) == ("PrivacyManager.deleteDataSubjects", "2")
        gone = self.people.pop(form["visits[0][idvisit]"], None)
        return 200, {"log_visit": 1 if gone else 0, "log_link_visit_action": 3 if gone else 0}


class Keycloak(WithTokens):
    """people: the user name of each id."""
    token_path = "/realms/example/protocol/openid-connect/token"
    secret = "secret-of-keycloak"

    def answer(self, call, path, query):
        if path == self.token_path:
            return self.give_token(call)
        if (call.method, path) == ("GET", "/admin/realms/example/users"):
            return 200, [{"id": key, "username": ids[0], "enabled": True} for key, ids in self.people.items()
                         if (ids[0] == query["username"] if query.get("exact") == "true" else query["username"] in ids[0])]
        assert call.method == "DELETE" and path.startswith("/admin/realms/example/users/"), path
        return 204 if self.people.pop(path.rsplit("/", 1)[1], None) else (404, {"error": "User not found"})


class RedVentures(WithTokens):
    token_path = "/oauth/token"
    secret = "secret-of-red-ventures"

    def answer(self, call, path, query):
        if path == self.token_path:
            assert "audience" in dict(urllib.parse.parse_qsl(call.raw.decode()))
            return self.give_token(call)
        assert (call.method, path) == ("DELETE", "/v1/users")
        self.people.pop(query["email"], None)
        return 204


def digest(address):
    return hashlib.md5(address.lower().encode()).hexdigest()


# service: (party, its entry for the person with the number 4711 and this address, calls of one stage)
PARTIES = {
    "segment": (Segment, lambda address: {"4711": [address]}),
    "braze": (Braze, lambda address: {"4711": [address]}),
    "amplitude": (Amplitude, lambda address: {"4711": [address]}),
    "salesforce": (Salesforce, lambda address: {"Lead": [("00Q1", address.upper()), ("00Q2", "x@example.com"), ("00Q3", address)],
                                                "Contact": [("0031", address)]}),
    "hubspot": (Hubspot, lambda address: {"51": [address]}),
    "mailchimp": (Mailchimp, lambda address: {digest(address): [address]}),
    "zendesk": (Zendesk, lambda address: {"35436": ["4711"]}),
    "stripe": (Stripe, lambda address: {"cus_1": [address], "cus_2": [address]}),
    "ecommerce": (SegmentWithShop, lambda address: {"ecommerce-7": [address]}),
    "salesforce_marketing_cloud": (MarketingCloud, lambda address: {"key-1": [address]}),
    "intercom": (Intercom, lambda address: {"6762f0dd1bb69f9f2193bb83": ["4711"]}),
    "discourse": (Discourse, lambda address: {"17": ["4711"]}),
    "mautic": (Mautic, lambda address: {"47": [address], "48": [address]}),
    "matomo": (Matomo, lambda address: {"101": ["4711"], "102": ["4711"], "103": ["4711"]}),
    "keycloak": (Keycloak, lambda address: {"5f1c-ada": ["ada"]}),
    "red_ventures": (RedVentures, lambda address: {address: ["ada"]}),
}
ADDRESS = "o'ada\\\"+1@example.com"
NOBODY = {"segment": {}, "braze": {}, "amplitude": {}, "salesforce": {"Lead": [("00Q2", "x@example.com")], "Contact": []},
          "hubspot": {"52": ["x@example.com"]}, "mailchimp": {digest("x@example.com"): ["x@example.com"]}, "zendesk": {"35437": ["471"]},
          "stripe": {"cus_3": ["x@example.com"]}, "ecommerce": {"ecommerce-8": ["x@example.com"]},
          "salesforce_marketing_cloud": {"key-2": ["x@example.com"]}, "intercom": {"6762": ["471"]}, "discourse": {"18": ["471"]},
          "keycloak": {"5f1c-adam": ["adam"]}, "red_ventures": {"x@example.com": ["x"]}, "mautic": {"49": ["x@example.com"]}, "matomo": {"104": ["471"]}}
LEFT = {"salesforce": {"Lead": [("00Q2", "x@example.com")], "Contact": []}, "discourse": {"17": []}}
SAYS_NOTHING_TO_ERASE = set(PARTIES) - {"segment", "braze", "red_ventures"}
PROBED = [name for name in PARTIES if name not in ("segment", "ecommerce", "amplitude", "red_ventures")]
WITH_TOKENS = ["salesforce", "ecommerce", "salesforce_marketing_cloud", "mautic", "keycloak", "red_ventures"]
POLLED = ["segment", "ecommerce", "amplitude", "salesforce_marketing_cloud"]


@pytest.fixture
def make_party(site, make_service):
    """make_party(service, people): a site configured as documented, with the service scripted."""

    def make(name, people):
        for file, secret in SECRETS.items():
            (site.folder / file).write_text(secret)
            (site.folder / file).chmod(0o600)
        service = make_service()
        site.party = service.script = PARTIES[name][0](**people)
        site.service_calls = service.calls
        conf = documented()[name]
        text = re.sub(r"https://[a-z0-9.-]+", service.url, json.dumps(conf["services"]))
        site.configure(services=json.loads(text), states=None, stages=conf["stages"])
        site.config["services"][name].pop("rate", None)
        for stage in site.config["stages"]:
            stage["retry"] = {"for": "10s", "first": "10ms", "longest": "50ms"}
        return site

    return make


def ask(site):
    return site.request("ada", ADDRESS, account_id=4711)


def party_calls(site):
    return [call for call in site.service_calls if not is_for_token(call)]


def is_for_token(call):
    return call.path.endswith(("/token", "/access_token"))


@pytest.mark.parametrize("name", PARTIES)
def test_the_documented_configuration_is_right(make_party, name):
    """As it is pasted, but for the states and salts that every configuration has."""
    site = make_party(name, {})
    site.configure(services=documented()[name]["services"], stages=documented()[name]["stages"])
    assert "is right" in site.ok("config", "check").out


@pytest.mark.parametrize("name", PARTIES)
def test_who_is_found_is_erased(make_party, name):
    """An address with all that quotes can be ended with finds its own entries, and no other."""
    site = make_party(name, PARTIES[name][1](ADDRESS))
    ask(site)
    done = site.drive_all()
    assert (done["completed"], done["retries"]) == (1, 0), site.show("ada")
    assert site.party.people == LEFT.get(name, {})
    for stage in site.config["stages"]:
        recorded = site.recorded("ada", stage["completed"])
        assert "outcome" not in recorded, recorded
    keys = [call.key for call in party_calls(site)]
    assert len(set(keys)) == len(keys) or name in POLLED


@pytest.mark.parametrize("name", PARTIES)
def test_who_is_not_there_changes_nothing(make_party, name):
    site = make_party(name, NOBODY[name])
    before = json.dumps(site.party.people)
    ask(site)
    assert site.drive_all()["completed"] == 1
    assert json.dumps(site.party.people) == before
    for stage in site.config["stages"]:
        outcome = site.recorded("ada", stage["completed"]).get("outcome")
        assert outcome == ("nothing_to_erase" if name in SAYS_NOTHING_TO_ERASE else None)
    if name == "braze":
        assert '"deleted": 0' in site.recorded("ada", "BRAZE_COMPLETE")["answer"]


@pytest.mark.parametrize("name", PARTIES)
def test_a_busy_service_is_called_again(make_party, name):
    site = make_party(name, PARTIES[name][1](ADDRESS))
    busy = iter([(429, {"message": "Too many requests"}, {"Retry-After": "1"}), (503, "Service Unavailable")])
    site.party.fault = lambda call: None if is_for_token(call) else next(busy, None)
    ask(site)
    done = site.drive_all()
    assert (done["completed"], done["retries"]) == (1, 2)


@pytest.mark.parametrize("name", PROBED)
def test_the_probe_that_is_ready_sees_who_is_left(make_party, name):
    """A service that says that it has erased and has not ends in ERRORED, and one that did not find at first who is there; once
    it has, the stage is done."""
    site = make_party(name, PARTIES[name][1](ADDRESS))
    for stage in site.config["stages"]:
        stage["verify"] = True
        stage["retry"]["for"] = "1s"
    blind = iter({"salesforce": [(200, {"totalSize": 0, "done": True, "records": []})],
                  "stripe": [(200, {"object": "list", "has_more": False, "data": []})]}.get(name, []))
    site.party.fault = lambda call: next(blind, None) if call.method == "GET" else None
    site.party.keeps = name not in ("salesforce", "stripe")
    ask(site)
    assert site.drive_all()["errored"] == 1
    assert site.recorded("ada", "ERRORED")["stage"] == site.config["stages"][0]["working"] and site.party.people
    site.party.keeps = False
    site.ok("retirement", "resume", "ada", "--reason", "mended")
    assert site.drive_all()["completed"] == 1, site.show("ada")
    for stage in site.config["stages"]:
        assert site.recorded("ada", stage["completed"])["verification"]["left"] == 0


@pytest.mark.parametrize("name, method, busy", [
    ("hubspot", "POST", (423, {"status": "error", "category": "LOCKED"})),
    ("hubspot", "GET", (477, {"status": "error"}, {"Retry-After": "1"})),
    ("salesforce", "DELETE", (400, [{"errorCode": "UNABLE_TO_LOCK_ROW", "message": "unable to obtain exclusive access"}]))])
def test_what_is_locked_is_tried_again(make_party, name, method, busy):
    site = make_party(name, PARTIES[name][1](ADDRESS))
    once = iter([busy])
    site.party.fault = lambda call: next(once, None) if call.method == method else None
    ask(site)
    done = site.drive_all()
    assert (done["completed"], done["retries"]) == (1, 1), site.show("ada")


def test_a_user_of_zendesk_who_is_deleted_softly_is_not_done(make_party):
    """The permanent deletion is limited to 700 in ten minutes: it alone is made again."""
    site = make_party("zendesk", PARTIES["zendesk"][1](ADDRESS))
    limit = iter([(429, {"error": "TooManyRequests"}, {"Retry-After": "1"})])
    site.party.fault = lambda call: next(limit, None) if "/deleted_users/" in call.path else None
    ask(site)
    assert site.drive_all()["completed"] == 1 and not site.party.deleted
    assert [call.method for call in site.service_calls] == ["GET", "DELETE", "DELETE", "DELETE"]


@pytest.mark.parametrize("name", [name for name in PARTIES if name not in WITH_TOKENS + ["discourse", "matomo"]])
def test_refused_credentials_are_said_and_erase_nothing(make_party, name):
    site = make_party(name, PARTIES[name][1](ADDRESS))
    site.party.authorization = "of somebody else"
    ask(site)
    assert site.drive_all()["errored"] == 1
    failed = site.recorded("ada", "ERRORED")
    assert failed["status"] == 401 and len(site.service_calls) == 1 and site.party.people
    everything = json.dumps(failed) + site.ok("retirement", "failures").out + site.show("ada")["responses"]
    assert not any(secret in everything for secret in SECRETS.values())


def test_an_expired_session_of_salesforce_is_renewed(make_party):
    site = make_party("salesforce", PARTIES["salesforce"][1](ADDRESS))
    seen = []

    def expire(call):
        if call.method == "DELETE" and not seen:
            seen.append(call)
            site.party.token = "00Dexample!AQEA.two"
        return None

    site.party.fault = expire
    ask(site)
    done = site.drive_all()
    assert (done["completed"], done["retries"]) == (1, 0) and site.party.people["Contact"] == []


def test_refused_credentials_of_salesforce_cost_nobody(make_party):
    site = make_party("salesforce", PARTIES["salesforce"][1](ADDRESS))
    (site.folder / "salesforce.secret").write_text("another-secret")
    ask(site)
    assert site.lethe("drive", "--once").code == 1
    assert site.states() == {"ada": "RETIRING_LEADS"} and party_calls(site) == []


def test_what_salesforce_cannot_delete_is_an_error_with_its_words(make_party):
    site = make_party("salesforce", PARTIES["salesforce"][1](ADDRESS))
    site.party.fault = lambda call: (400, [{"errorCode": "DELETE_FAILED", "message": "associated with cases"}]) \
        if call.method == "DELETE" and "/Contact/" in call.path else None
    ask(site)
    assert site.drive_all()["errored"] == 1
    failed = site.recorded("ada", "ERRORED")
    assert (failed["stage"], failed["status"], failed["step"]) == ("RETIRING_CONTACTS", 400, 2)
    assert "associated with cases" in failed["answer"]


STRANGE = [{}, [], {"error": "maintenance"}, {"message": "success"}, "text", {"data": None}, {"data": {"regulation": {}}},
           {"records": {}, "totalSize": 1}, {"amplitude_ids": "none"}, {"id": None}, {"id": {}}]


@pytest.mark.parametrize("name", PARTIES)
def test_an_answer_in_another_form_is_never_complete(make_party, name):
    """Each answer to the first call for one person, with a status of success."""
    site = make_party(name, PARTIES[name][1](ADDRESS))
    site.config["services"][name]["breaker"] = "none"
    strange = [body for body in STRANGE if name not in ("keycloak", "matomo", "amplitude") or body != []]  # nobody
    bodies = iter(strange)
    site.party.fault = lambda call: None if is_for_token(call) else (200, json.dumps(next(bodies)))
    site.serve()
    asked = [site.request(f"user{number}", account_id=1 + number) for number in range(len(strange))]
    assert site.drive_all()["errored"] == len(strange) == len(party_calls(site))
    failed = [json.loads(site.log_of(who["id"])[-1]["response"]) for who in asked]
    assert [one.get("step", 1) for one in failed] == [1] * len(strange) and site.party.people


@pytest.mark.parametrize("status, destinations", [
    ("FAILED", [["FINISHED"], ["NOT_SUPPORTED", "FAILED"]]), ("FAILED", []), ("INVALID", [["FINISHED"]]), ("NOT_SUPPORTED", []),
    ("PARTIAL_SUCCESS", [["FINISHED", "PARTIAL_SUCCESS"]])])
def test_what_segment_could_not_do_everywhere_is_an_error(make_party, status, destinations):
    site = make_party("segment", PARTIES["segment"][1](ADDRESS))
    site.party.status, site.party.destinations = status, destinations
    ask(site)
    assert site.drive_all()["errored"] == 1
    assert status in site.recorded("ada", "ERRORED")["answer"]


@pytest.mark.parametrize("status", ["FAILED", "NOT_SUPPORTED", "PARTIAL_SUCCESS"])
def test_a_destination_that_segment_never_deletes_at_holds_nobody_up(make_party, status):
    site = make_party("segment", PARTIES["segment"][1](ADDRESS))
    site.party.status, site.party.destinations = status, [["FINISHED", "NOT_SUPPORTED"], ["FINISHED"]]
    ask(site)
    assert site.drive_all()["completed"] == 1, site.show("ada")
    assert "NOT_SUPPORTED" in site.recorded("ada", "SEGMENT_COMPLETE")["answer"]


@pytest.mark.parametrize("people, outcome", [({"4711": []}, None), ({}, "nothing_to_erase")])
def test_amplitude_may_answer_project_by_project(make_party, people, outcome):
    site = make_party("amplitude", people)
    site.party.by_project = True
    ask(site)
    assert site.drive_all()["completed"] == 1, site.show("ada")
    assert site.recorded("ada", "AMPLITUDE_COMPLETE").get("outcome") == outcome


def test_several_contacts_of_marketing_cloud_are_left_to_an_operator(make_party):
    site = make_party("salesforce_marketing_cloud", {"key-1": [ADDRESS], "key-2": [ADDRESS]})
    ask(site)
    assert site.drive_all()["errored"] == 1
    assert len(site.party.people) == 2 and len(party_calls(site)) == 1


@pytest.mark.parametrize("call", ["Live.getLastVisitsDetails", "PrivacyManager.deleteDataSubjects"])
def test_what_matomo_refuses_with_200_is_an_error_with_its_words(make_party, call):
    site = make_party("matomo", PARTIES["matomo"][1](ADDRESS))
    site.party.fault = lambda made: site.party.unknown() if call in made.path else None
    ask(site)
    assert site.drive_all()["errored"] == 1 and len(site.party.people) == 3
    assert call in site.service_calls[-1].path and len(site.service_calls) <= 2, "no further round"
    assert "requires 'admin' access" in site.recorded("ada", "ERRORED")["answer"]


def test_an_id_with_signs_of_matomos_own_finds_no_visits_of_others(make_party):
    site = make_party("matomo", {"101": ["4711"], "102": ["17"]})
    site.request("ada", ADDRESS, account_id="4711,userId!=x")
    site.drive_all()
    assert len(site.party.people) == 2
    (asked,) = [dict(urllib.parse.parse_qsl(call.raw.decode()))["segment"] for call in site.service_calls]
    for _ in range(2):  # Matomo may decode it twice before it splits it
        assert not set(asked.removeprefix("userId==")) & set(",;=!")
        asked = urllib.parse.unquote(asked)


@pytest.mark.parametrize("name, method, path, answer", [
    ("discourse", "PUT", "/anonymize", {"failed": "FAILED"}), ("intercom", "DELETE", "/contacts/", {"id": "1", "deleted": False}),
    ("salesforce_marketing_cloud", "POST", "/actions/delete", {"operationInitiated": False, "operationID": 1}),
    ("mautic", "DELETE", "/delete", {"errors": [{"code": 500, "message": "Looks like I encountered an error"}]})])
def test_a_status_of_success_alone_is_none(make_party, name, method, path, answer):
    site = make_party(name, PARTIES[name][1](ADDRESS))
    site.party.fault = lambda call: (200, answer) if call.method == method and path in call.path else None
    for stage in site.config["stages"]:
        stage["retry"]["for"] = "1s"
    ask(site)
    assert site.drive_all()["errored"] == 1 and site.party.people


@pytest.mark.parametrize("phase", ["Aborted", "Invalid"])
def test_a_deletion_that_marketing_cloud_gave_up_is_an_error(make_party, phase):
    site = make_party("salesforce_marketing_cloud", {"key-1": [ADDRESS]})
    site.party.status = phase
    ask(site)
    assert site.drive_all()["errored"] == 1
    assert phase in site.recorded("ada", "ERRORED")["answer"]


def test_a_user_of_discourse_with_posts_is_deleted_or_an_error(make_party):
    site = make_party("discourse", {"17": ["4711"]})
    site.config["stages"][0]["use"] = "DISCOURSE.delete_user"
    site.party.posts = ["17"]
    ask(site)
    assert site.drive_all()["errored"] == 1
    failed = site.recorded("ada", "ERRORED")
    assert failed["status"] == 403 and "too many posts" in failed["answer"]
    site.party.posts = []
    site.ok("retirement", "resume", "ada", "--reason", "mended")
    assert site.drive_all()["completed"] == 1 and not site.party.people


@pytest.mark.parametrize("name, unfinished, finished", [("segment", ["INITIALIZED", "RUNNING"], "FINISHED"),
                                                        ("amplitude", ["staging", "submitted"], "done"),
                                                        ("salesforce_marketing_cloud", ["Pending", "Processing"], "Completed")])
def test_what_takes_its_time_is_waited_for(make_party, name, unfinished, finished):
    """The entry as it is, but looked at every second."""
    site = make_party(name, PARTIES[name][1](ADDRESS))
    stage = site.config["stages"][0]
    stage.update(catalogue()[stage.pop("use")])
    stage["http"]["steps"][-1]["poll"]["every"] = "1s"
    site.party.status = unfinished[0]
    site.configure(driver={"poll": "100ms"})
    site.serve()
    ask(site)
    site.start_driver()
    for status in [*unfinished[1:], finished]:
        before = len(site.service_calls)
        wait_for(lambda before=before: len(site.service_calls) > before + 1, "two looks")
        assert site.states() == {"ada": stage["working"]}
        site.party.status = status
    site.wait_states("COMPLETE")
    assert len([call for call in party_calls(site) if call.method == "POST" and not call.path.endswith("/search")]) == 1


def test_a_third_party_in_the_file_of_a_driver(make_party, make_service):
    """With credentials of its own: it never sees the LMS's tokens."""
    site = make_party("hubspot", PARTIES["hubspot"][1](ADDRESS))
    lms = OldLms(make_service, ["PENDING", "RETIRING_HUBSPOT", "HUBSPOT_COMPLETE", "ERRORED", "ABORTED", "COMPLETE"])
    services = site.config["services"]
    site.config = {"data_dir": "data", "client_id": "worker", "client_secret": "secret", "base_urls": {"lms": lms.url}, "services": services,
                   "retirement_pipeline": [["RETIRING_HUBSPOT", "HUBSPOT_COMPLETE", "HUBSPOT", "delete_contact"]]}
    lms.add("ada")
    lms.rows["ada"]["original_email"] = ADDRESS
    assert site.drive_all()["completed"] == 1
    assert not site.party.people
    assert {call.headers["Authorization"] for call in site.service_calls} == {"Bearer token-of-hubspot"}


def test_a_third_party_by_the_keys_of_the_scripts(make_party, make_service):
    """The file of the scripts, unchanged: their names, their keys."""
    site = make_party("segment", {"1101": [ADDRESS]})
    lms = OldLms(make_service, ["PENDING", "RETIRING_SEGMENT", "SEGMENT_COMPLETE", "ERRORED", "ABORTED", "COMPLETE"])
    service = site.config["services"]["segment"]
    site.config = {"data_dir": "data", "client_id": "worker", "client_secret": "secret", "base_urls": {
        "lms": lms.url, "segment": service["url"]}, "segment_auth_token": "token-of-segment", "segment_workspace_slug": "x",
        "retirement_pipeline": [["RETIRING_SEGMENT", "SEGMENT_COMPLETE", "SEGMENT", "delete_and_suppress_learner"]]}
    lms.add("ada")
    assert site.drive_all()["completed"] == 1
    assert not site.party.people and lms.state_of("ada") == "COMPLETE"
    assert {call.headers["Authorization"] for call in site.service_calls} == {"Bearer token-of-segment"}


def test_an_erasure_that_takes_long_in_the_file_of_a_driver(make_party, make_service):
    """It is known what was begun, when drivers are killed, until the stage is done."""
    site = make_party("segment", {"1101": [ADDRESS]})
    lms = OldLms(make_service, ["PENDING", "RETIRING_SEGMENT", "SEGMENT_COMPLETE", "ERRORED", "ABORTED", "COMPLETE"])
    services = site.config["services"]
    site.config = {"data_dir": "data", "client_id": "worker", "client_secret": "secret", "base_urls": {"lms": lms.url}, "services": services,
                   "retirement_pipeline": [["RETIRING_SEGMENT", "SEGMENT_COMPLETE", "SEGMENT", "delete_user"]]}

    def looks():
        return [call for call in site.service_calls if call.method == "GET"]

    site.party.status = "RUNNING"
    lms.add("ada")
    for _ in range(2):
        driver = site.start_driver()
        wait_for(looks, "the first look")
        site.kill(driver)
        site.let_leases_end()
        assert lms.state_of("ada") == "RETIRING_SEGMENT"
    site.party.status = "FINISHED"
    assert site.lethe("drive", "--username", "ada").code == 0  # a person given by name is looked at now
    assert lms.state_of("ada") == "COMPLETE"
    assert [call.method for call in site.service_calls].count("POST") == 1
