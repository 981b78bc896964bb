"""A client of Nextcloud's remote wipe against the example server, over loopback HTTP.

    nextcloud_wipe_client.py ISSUER SEED

ISSUER is the base URL of a server that was started with the file SEED. The client is written from the public
description of the protocol: an app that is refused asks with its token whether it has to wipe, and reports when it
has. The script prints one line for each check and ends with a non-zero status at the first failure. No line shows a
secret.
"""

import base64
import hashlib
import json
import pathlib
import secrets
import shutil
import sys
import tempfile
import time
from urllib.parse import urlencode, urlsplit

import requests

from browser import Browser
from checks import check
from seed import Seed

CHECK = "/index.php/core/wipe/check"
SUCCESS = "/index.php/core/wipe/success"


class Phone:
    """An app of a user on a phone, with its files in a folder."""

    def __init__(self, server, app, folder, android=False):
        self.server = server
        self.app = app
        self.folder = folder
        self.query = "?format=json" if android else ""
        self.tag = secrets.token_hex(16)
        self.access = None
        self.token = None

    def log_in(self, user, password, tag=None):
        """Logs in by the code flow, and saves a file. Returns the answer of the token endpoint."""
        verifier = secrets.token_urlsafe(48)
        digest = hashlib.sha256(verifier.encode()).digest()
        asked = {"response_type": "code", "client_id": self.app.client_id,
                 "redirect_uri": self.app.redirect_uri, "scope": self.app.scope,
                 "code_challenge": base64.urlsafe_b64encode(digest).decode().rstrip("="),
                 "code_challenge_method": "S256"}
        landing = Browser(self.app.redirect_uri).open(
            f"{self.server}/oauth/authorize?{urlencode(asked)}", user, password, "approve")
        answer = self.post("/oauth/token", grant_type="authorization_code", code_verifier=verifier,
                           code=Browser.parameters(landing)["code"],
                           redirect_uri=self.app.redirect_uri, client_id=self.app.client_id,
                           install_tag_id=tag or self.tag, install_name=f"The phone of {user}")
        if answer.status_code == 200:
            self.keep(answer.json())
            self.folder.mkdir(exist_ok=True)
            (self.folder / "letter.txt").write_text("Dear all")
        return answer

    def keep(self, tokens):
        self.access, self.token = tokens["access_token"], tokens["refresh_token"]

    def post(self, path, **form):
        """Posts a form. A redirect is an answer as any other."""
        return requests.post(self.server + path, data=form, allow_redirects=False, timeout=120)

    def refresh(self):
        """Refreshes the tokens."""
        answer = self.post("/oauth/token", grant_type="refresh_token", refresh_token=self.token,
                           client_id=self.app.client_id)
        if answer.status_code == 200:
            self.keep(answer.json())
        return answer

    def open_files(self):
        """Sends an ordinary request. After a refusal the client refreshes, and then asks whether to wipe."""
        answer = requests.get(self.server + "/api/files", allow_redirects=False, timeout=120,
                              headers={"authorization": "Bearer " + self.access})
        if answer.status_code not in (401, 403):
            return "files"
        answer = self.refresh()
        if answer.status_code == 200:
            return "fresh"
        if answer.json().get("error") != "invalid_grant" or not self.is_to_be_wiped():
            return "signed out"
        shutil.rmtree(self.folder)
        return "wiped" if self.report().status_code == 200 else "wiped, not reported"

    def ask(self):
        """Asks whether to wipe."""
        return self.post(CHECK + self.query, token=self.token)

    def is_to_be_wiped(self):
        """Only this one answer is an order."""
        answer = self.ask()
        return answer.status_code == 200 and answer.json().get("wipe") is True

    def report(self):
        """Reports that the data is gone."""
        return self.post(SUCCESS + self.query, token=self.token)


class Administrator:
    """The calls of an administrator."""

    def __init__(self, server, app):
        self.server = server
        answer = requests.post(server + "/oauth/token", auth=(app.client_id, app.client_secret),
                               data={"grant_type": "client_credentials"}, timeout=120)
        self.headers = {"authorization": "Bearer " + answer.json()["access_token"]}

    def send(self, path, body):
        return requests.post(self.server + "/admin" + path, json=body, headers=self.headers,
                             allow_redirects=False, timeout=120)

    def order(self, phone, user):
        """Orders the wipe of a phone."""
        return self.send("/devices/wipe", device(phone, user))

    def withdraw(self, phone, user):
        """Withdraws the order."""
        return self.send("/devices/withdraw-wipe", device(phone, user))

    def devices(self, **query):
        """Lists devices."""
        answer = requests.get(self.server + "/admin/devices", params=query, timeout=120,
                              headers=self.headers)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def state(self, phone, user):
        """Returns the state of the wipe of a phone."""
        found = self.devices(app=phone.app.client_id, subject=user)["devices"]
        return next(it["wipe"]["state"] for it in found if it["device_id"] == phone.tag)


def device(phone, user):
    """Names a phone in the calls of an administrator."""
    return {"client_id": phone.app.client_id, "subject": user, "device_id": phone.tag}


def is_no(answer):
    """Checks for the one answer that is a no."""
    return is_json(answer) and answer.status_code == 404 and answer.text == "[]"


def is_json(answer):
    return (answer.headers["content-type"].startswith("application/json")
            and answer.headers["cache-control"] == "no-store" and "location" not in answer.headers)


class Suite:
    """The checks, against one server."""

    def __init__(self, issuer, seed, folder):
        self.issuer = issuer
        self.seed = seed
        self.folder = folder
        self.admin = Administrator(issuer, seed.app("admin", "demo-admin", "client_secret_basic"))
        self.passwords = {user["name"]: user["password"] for user in seed.json["users"]}

    def run(self):
        self.discovery()
        for android in [False, True]:
            self.wiped(android)
        self.withdrawn()
        self.told_cannot_be_withdrawn()
        self.revoked_only()
        self.same_installation_again()
        self.administration()
        self.garbage()
        print("all checks passed")

    def phone(self, user, android=False):
        """Returns a phone on which the user has logged in."""
        phone = Phone(self.issuer, self.seed.native, self.folder / secrets.token_hex(8), android)
        answer = phone.log_in(user, self.passwords[user])
        check(f"{user} logs in on a phone", answer.status_code == 200 and phone.folder.is_dir())
        return phone

    def discovery(self):
        url = self.issuer + "/.well-known/oauth-authorization-server"
        metadata = requests.get(url, timeout=120).json()
        names = {"device_wipe_check_endpoint", "device_wipe_success_endpoint",
                 "device_policy_endpoint"}
        check("the metadata names the endpoints for phones",
              all(metadata[name].startswith(self.issuer + "/") for name in names))

    def wiped(self, android):
        kind = "Android: " if android else ""
        phone, other = self.phone("ann", android), self.phone("bob", android)
        check(kind + "a phone at work has files", phone.open_files() == "files")
        check(kind + "no order: the answer is no", is_no(phone.ask()))
        check(kind + "no order: a report does not count", is_no(phone.report()))
        check(kind + "no order is listed", self.admin.state(phone, "ann") == "none")

        answer = self.admin.order(phone, "ann")
        check(kind + "an administrator orders the wipe",
              answer.status_code == 200 and answer.json()["revoked_at"] > 0)
        check(kind + "the order is listed", self.admin.state(phone, "ann") == "requested")
        refused = phone.refresh()
        check(kind + "the access has ended at once",
              refused.status_code == 400 and refused.json()["error"] == "invalid_grant")
        hint = urlsplit(refused.json()["wipe_check"])
        check(kind + "the refusal says where to ask",
              f"{hint.scheme}://{hint.netloc}" == self.issuer)
        check(kind + "the order stands although the token was presented",
              self.admin.state(phone, "ann") == "requested")

        check(kind + "the phone is wiped, and reports it", self.until_refused(phone) == "wiped")
        check(kind + "its files are gone", not phone.folder.exists())
        check(kind + "the administrator sees it", self.admin.state(phone, "ann") == "done")
        check(kind + "then the answer is no, and another report changes nothing",
              is_no(phone.ask()) and is_no(phone.report()))
        check(kind + "another phone has its files and its access",
              other.open_files() == "files" and other.refresh().status_code == 200
              and (other.folder / "letter.txt").is_file())

    def withdrawn(self):
        phone = self.phone("ann")
        self.admin.order(phone, "ann")
        answer = self.admin.withdraw(phone, "ann")
        check("an order is withdrawn", answer.status_code == 200 and answer.json()["withdrawn"])
        check("the order is gone", self.admin.state(phone, "ann") == "none")
        check("the phone is signed out and not wiped", self.until_refused(phone) == "signed out"
              and is_no(phone.ask()) and (phone.folder / "letter.txt").is_file())
        answer = self.admin.withdraw(phone, "ann")
        check("there is nothing more to withdraw", answer.status_code == 409
              and answer.json()["error"] == "wipe_not_withdrawable")

    def told_cannot_be_withdrawn(self):
        phone = self.phone("ann")
        self.admin.order(phone, "ann")
        answers = [phone.ask(), phone.ask()]
        check("the order is told as often as the phone asks",
              all(answer.status_code == 200 and answer.text == '{"wipe":true}' and is_json(answer)
                  for answer in answers))
        check("the administrator sees that it was told", self.admin.state(phone, "ann") == "notified")
        check("then it cannot be withdrawn", self.admin.withdraw(phone, "ann").status_code == 409)
        pending = self.admin.devices(pending="true")["devices"]
        check("the phones that are to be wiped are listed",
              [it["device_id"] for it in pending] == [phone.tag]
              and pending[0]["wipe"]["order"]["by"] == "demo-admin"
              and pending[0]["name"] == "The phone of ann")
        check("another order leaves it as it was", self.admin.order(phone, "ann").status_code == 200
              and self.admin.state(phone, "ann") == "notified")
        check("the report ends it", phone.report().text == "[]"
              and self.admin.state(phone, "ann") == "done")

    def revoked_only(self):
        phone = self.phone("carol")
        client_id = phone.app.client_id
        answer = self.admin.send("/revoke", {"target": {"app_and_subject": [client_id, "carol"]}})
        check("a revocation is no order", answer.status_code == 200
              and self.until_refused(phone) == "signed out" and is_no(phone.ask())
              and self.admin.state(phone, "carol") == "none" and phone.folder.is_dir())

    def same_installation_again(self):
        phone = self.phone("bob")
        self.admin.order(phone, "bob")
        answer = phone.log_in("bob", self.passwords["bob"])
        check("a phone that is to be wiped gets no token", answer.status_code == 400
              and answer.json()["error"] == "invalid_grant")
        old = phone.token
        check("it is wiped", self.until_refused(phone) == "wiped")
        answer = phone.log_in("bob", self.passwords["bob"])
        check("then it logs in as a new installation", answer.status_code == 200
              and self.admin.state(phone, "bob") == "none")
        new, phone.token = phone.token, old
        check("its dead token of before does not wipe it", is_no(phone.ask()) and is_no(phone.report()))
        phone.token = new
        self.admin.order(phone, "bob")
        check("the new one does", phone.is_to_be_wiped() and phone.report().status_code == 200)

    def administration(self):
        """The statuses of the administrator's calls."""
        phone = self.phone("ann")
        body = device(phone, "ann")
        for what, path, change, status, error in [
                ("an unknown device", "/devices/wipe", {"device_id": "other"}, 404, "unknown_device"),
                ("a device of another user", "/devices/wipe", {"subject": "bob"}, 404, "unknown_device"),
                ("an app without remote wipe", "/devices/wipe", {"client_id": "demo-spa"}, 409,
                 "no_remote_wipe"),
                ("an order that was not given", "/devices/withdraw-wipe", {}, 409,
                 "wipe_not_withdrawable"),
                ("a malformed device", "/devices/wipe", {"device_id": 1}, 400, "invalid_request")]:
            answer = self.admin.send(path, body | change)
            check(f"{what}: {status}",
                  answer.status_code == status and answer.json()["error"] == error)
        for headers, status in [({}, 401), ({"authorization": "Bearer " + phone.access}, 403)]:
            for path in ["/devices/wipe", "/devices/withdraw-wipe"]:
                answer = requests.post(self.issuer + "/admin" + path, json=body, headers=headers,
                                       timeout=120)
                check(f"{path} without the administrator's token: {status}",
                      answer.status_code == status)
        check("nothing was ordered", self.admin.state(phone, "ann") == "none")
        every, page = [], self.admin.devices(limit=2)
        while page["next"]:
            every += page["devices"]
            page = self.admin.devices(limit=2, after=page["next"])
        every += page["devices"]
        names = [(it["subject"], it["device_id"]) for it in every]
        check("pages list each device once", len(set(names)) == len(names) > 4
              and len(names) == len(self.admin.devices()["devices"]))
        check("no list has a secret",
              phone.token not in json.dumps(every) and "digest" not in json.dumps(every))

    def garbage(self):
        phone = self.phone("ann")
        self.admin.order(phone, "ann")
        refresh = phone.token
        for what, token in [("an access token", phone.access), ("garbage", "garbage"),
                            ("a forged token", refresh[:-1] + ("A" if refresh[-1] != "A" else "B"))]:
            phone.token = token
            check(f"{what} proves no phone", is_no(phone.ask()) and is_no(phone.report()))
        answer = requests.get(self.issuer + CHECK, allow_redirects=False, timeout=120)
        check("the question is posted", answer.status_code == 405)
        phone.token = refresh
        own = phone.post("/oauth/device/wipe/check", token=refresh, client_id=phone.app.client_id)
        check("the server's own path gives the same answer", own.text == phone.ask().text)

    @staticmethod
    def until_refused(phone):
        """Uses a phone until it is refused. The API reads the feed of revocations each second."""
        deadline = time.monotonic() + 120
        while (outcome := phone.open_files()) == "files" and time.monotonic() < deadline:
            time.sleep(0.1)
        return outcome


def main():
    issuer, seed = sys.argv[1:]
    seed = Seed(pathlib.Path(seed), lambda text, kind: None)
    with tempfile.TemporaryDirectory() as folder:
        Suite(issuer, seed, pathlib.Path(folder)).run()


if __name__ == "__main__":
    main()
