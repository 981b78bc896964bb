"""google-auth and MSAL against the example server: assertions as these libraries write them.

    assertion_clients.py ISSUER SEED

Arguments and output are those of authlib_client.py.
"""

import base64
import json
import pathlib
import sys
import time

import requests
from google.auth.exceptions import RefreshError
from google.auth.transport.requests import Request
from google.oauth2 import service_account
from msal.oauth2cli import Client, JwtAssertionCreator

from checks import check
from seed import Seed

MOVED = "demo-moved-secret-0123456789abcdefghij"
GOOGLE = "https://oauth2.googleapis.com/token"


def claims(token):
    """Returns the claims of a JWT, not verified."""
    payload = token.split(".")[1]
    return json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))


class Suite:
    """The checks, against one server."""

    def __init__(self, issuer, seed):
        self.issuer = issuer
        self.seed = seed
        self.robot, self.machine = seed.assertion_apps()
        metadata = requests.get(issuer + "/.well-known/oauth-authorization-server", timeout=120)
        self.token_endpoint = metadata.json()["token_endpoint"]

    def run(self):
        self.google_auth()
        self.msal()
        self.moved()
        print("all checks passed")

    def service_account(self, user, scope=None, client_id=None):
        """Returns credentials of google-auth for a user, as from a key file that Google issued."""
        account = {
            "type": "service_account",
            "client_email": client_id or self.robot.client_id,
            "private_key_id": "rsa-1",
            "private_key": self.seed.pem("demo_jwt_rsa.pem"),
            "token_uri": self.token_endpoint,
        }
        credentials = service_account.Credentials.from_service_account_info(account)
        return credentials.with_subject(user).with_scopes(scope or [])

    def refused(self, case, credentials, text):
        """Checks that a refresh fails with this text."""
        try:
            credentials.refresh(Request())
        except RefreshError as error:
            check(f"google-auth: {case}", text in str(error))
        else:
            check(f"google-auth: {case}", False)

    def google_auth(self):
        """RFC 7523 section 2.1 without `jti`."""
        credentials = self.service_account(self.seed.user)
        assertion = claims(credentials._make_authorization_grant_assertion().decode())
        check("google-auth: the assertion has no jti, lives an hour, and is for Google",
              "jti" not in assertion and assertion["aud"] == GOOGLE
              and assertion["exp"] - assertion["iat"] == 3600)
        credentials.refresh(Request())
        token = claims(credentials.token)
        check("google-auth: the app acts as the user",
              token["sub"] == self.seed.user and token["act"]["sub"] == self.robot.client_id)
        check("google-auth: the credentials are valid", credentials.valid)
        # Two refreshes in one second sign the same bytes.
        first = credentials._make_authorization_grant_assertion()
        again = credentials._make_authorization_grant_assertion()
        grant = {"grant_type": "urn:ietf:params:oauth:grant-type:jwt-bearer", "assertion": first}
        answers = [requests.post(self.token_endpoint, data=grant, timeout=120) for _ in range(3)]
        check("google-auth: the same assertion is accepted again",
              all(answer.status_code == 200 for answer in answers) and len(again) == len(first))
        narrow = self.service_account(self.seed.user, ["files.list"])
        narrow.refresh(Request())
        check("google-auth: the signed scope is the scope",
              claims(narrow.token)["scope"] == "files.list")
        self.refused("a user who is not allowed", self.service_account("carol"),
                     "the app may not act as this user")
        self.refused("a scope beyond the app's", self.service_account(self.seed.user, ["profile"]),
                     "invalid_scope")
        # An app whose jti is required names the setting.
        grant["assertion"] = self.service_account(
            self.seed.user, client_id="demo-backend").with_claims(
                {"aud": self.issuer})._make_authorization_grant_assertion()
        backend = (self.seed.backend.client_id, self.seed.backend.client_secret)
        answer = requests.post(self.token_endpoint, data=grant, auth=backend, timeout=120)
        check("google-auth: by default a jti is required, and the error names the setting",
              answer.json()["error"] == "invalid_grant"
              and "jwt.jti" in answer.json()["error_description"])

    def client(self, client_id, audience):
        """Returns a client of MSAL, made as `ConfidentialClientApplication` makes it."""
        signer = JwtAssertionCreator(
            self.seed.pem("demo_client_p256.pem"), algorithm="ES256",
            sha256_thumbprint="a1" * 32, headers={"x5c": ["MIIB"]})
        assertion = signer.create_regenerative_assertion(audience=audience, issuer=client_id)
        return Client(
            {"token_endpoint": self.token_endpoint}, client_id, http_client=requests.Session(),
            client_assertion=assertion, client_assertion_type=Client.CLIENT_ASSERTION_TYPE_JWT)

    def msal(self):
        """RFC 7523 section 2.2, for the token endpoint."""
        machine = self.client(self.machine.client_id, self.token_endpoint)
        for _ in range(2):
            # MSAL reuses its assertion only if it makes one ahead; here each request has its own.
            answer = self.client(
                self.machine.client_id, self.token_endpoint).obtain_token_for_client(
                    scope=["files.list"])
            check("MSAL: client credentials", "access_token" in answer)
        answer = machine.obtain_token_for_client(scope=["files.list"])
        check("MSAL: the token is the app's own",
              claims(answer["access_token"])["sub"] == self.machine.client_id)
        lifetime = JwtAssertionCreator(
            self.seed.pem("demo_client_p256.pem"), algorithm="ES256").create_normal_assertion(
                self.token_endpoint, self.machine.client_id)
        signed = claims(lifetime.decode())
        check("MSAL: an assertion lives ten minutes", round(signed["exp"] - time.time()) in (599, 600))
        answer = self.client("demo-key", self.token_endpoint).obtain_token_for_client(scope=[])
        check("MSAL: without the setting, the token endpoint is no audience",
              answer["error"] == "invalid_client" and "aud" in answer["error_description"])
        answer = self.client("demo-key", self.issuer).obtain_token_for_client(scope=[])
        check("MSAL: the issuer is an audience of every app", "access_token" in answer)

    def moved(self):
        """An app that moved here with the digest of its secret."""
        for secret, status in [(MOVED, 200), (MOVED, 200), (MOVED + "x", 401)]:
            answer = requests.post(self.token_endpoint, data={"grant_type": "client_credentials"},
                                   auth=("demo-moved", secret), timeout=120)
            check("a secret that is known as a digest: " + str(status),
                  answer.status_code == status)


def main():
    issuer, seed = sys.argv[1:]
    Suite(issuer, Seed(pathlib.Path(seed), lambda text, kind: None)).run()


if __name__ == "__main__":
    main()
