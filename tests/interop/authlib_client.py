"""Authlib against the example server: every flow, over loopback HTTP.

    authlib_client.py ISSUER SEED

ISSUER is the base URL of a server that was started with the file SEED. The private keys are beside that
file. The script prints one line for each check and ends with a non-zero status at the first failure. No
line shows a secret.
"""

import os
import pathlib
import sys
import time
import warnings

# Authlib refuses plain http otherwise.
os.environ["AUTHLIB_INSECURE_TRANSPORT"] = "1"
# RFC 9864 renames the algorithm. Few servers know the new name.
warnings.filterwarnings("ignore", message="EdDSA is deprecated")

import requests
from authlib.common.security import generate_token
from authlib.integrations.base_client import OAuthError
from authlib.integrations.requests_client import OAuth2Session
from authlib.oauth2.rfc7523 import PrivateKeyJWT, private_key_jwt_sign
from authlib.oauth2.rfc7636 import create_s256_code_challenge
from authlib.oauth2.rfc8414 import AuthorizationServerMetadata, get_well_known_url
from authlib.oauth2.rfc9068.claims import JWTAccessTokenClaimsValidator
from authlib.oauth2.rfc9207 import AuthorizationServerMetadata as IssuerMetadata
from joserfc import jwt
from joserfc.jwk import KeySet, import_key

from browser import Browser
from checks import check
from seed import Seed

GRANT_JWT_BEARER = "urn:ietf:params:oauth:grant-type:jwt-bearer"


def refused(request, error, call):
    """Checks that the call fails with this error of the token endpoint."""
    try:
        call()
    except OAuthError as answer:
        check(f"{request}: {error}", answer.error == error)
    else:
        check(f"{request}: {error}", False)


class Suite:
    """The checks, against one server."""

    def __init__(self, issuer, seed):
        self.issuer = issuer
        self.seed = seed
        self.metadata = None
        self.keys = None

    def run(self):
        self.discovery()
        for app in self.seed.code_apps():
            self.code_flow(app)
        self.replayed_code()
        self.denied()
        self.shown()
        self.client_credentials()
        self.revocation()
        self.resource()
        self.jwt_bearer()
        print("all checks passed")

    def discovery(self):
        """RFC 8414, RFC 9207 section 3, RFC 7517."""
        answer = requests.get(get_well_known_url(self.issuer, external=True), timeout=120)
        check("metadata is where RFC 8414 puts it", answer.status_code == 200)
        self.metadata = AuthorizationServerMetadata(answer.json())
        self.metadata.validate(metadata_classes=[IssuerMetadata])
        check("metadata is valid", self.metadata["issuer"] == self.issuer)
        check("S256 is offered, and nothing else",
              self.metadata["code_challenge_methods_supported"] == ["S256"])
        check("responses carry the issuer",
              self.metadata["authorization_response_iss_parameter_supported"] is True)
        answer = requests.get(self.metadata["jwks_uri"], timeout=120)
        self.keys = KeySet.import_key_set(answer.json())
        check("the JWK set holds public keys only",
              self.keys.keys and not any(key.is_private for key in self.keys.keys))

    def session(self, app, **more):
        """Returns a session of Authlib for an app of the seed."""
        session = OAuth2Session(
            client_id=app.client_id,
            client_secret=app.client_secret or app.private_key,
            token_endpoint_auth_method=app.method,
            revocation_endpoint_auth_method=app.method,
            code_challenge_method="S256",
            token_endpoint=self.metadata["token_endpoint"],
            **more,
        )
        if app.private_key:
            # Authlib signs for an hour. It names the token endpoint unless it is told the audience.
            session.register_client_auth_method(PrivateKeyJWT(self.issuer, alg=app.alg))
        return session

    def claims(self, access_token, audience=None):
        """Checks a token with Authlib and returns its claims."""
        token = jwt.decode(access_token, self.keys, algorithms=["ES256", "RS256", "EdDSA", "PS256"])
        if token.header.get("typ") != "at+jwt":
            return None
        essential = lambda value: {"essential": True, "value": value}
        JWTAccessTokenClaimsValidator(
            iss=essential(self.issuer),
            aud=essential(audience or token.claims["aud"]),
            exp={"essential": True},
            iat={"essential": True},
            jti={"essential": True},
            sub={"essential": True},
            client_id={"essential": True},
        ).validate(token.claims)
        return token.claims

    def authorize(self, app, decision="approve", **more):
        """Logs in and decides. Returns the redirect to the app and the session."""
        redirect_uri = app.redirect_uri
        session = self.session(app, redirect_uri=redirect_uri, scope=app.scope)
        verifier = generate_token(64)
        url, state = session.create_authorization_url(
            self.metadata["authorization_endpoint"], code_verifier=verifier, **more)
        browser = Browser(redirect_uri)
        location = browser.open(url, self.seed.user, self.seed.password, decision)
        return session, verifier, state, location, browser

    def tokens(self, app, **more):
        """Returns the tokens of a whole code flow and the session that holds them."""
        session, verifier, state, location, _ = self.authorize(app, **more)
        session.fetch_token(authorization_response=location, state=state, code_verifier=verifier)
        return session

    def code_flow(self, app):
        """RFC 6749 sections 4.1 and 6, RFC 7636, RFC 9207, RFC 9068."""
        session, verifier, state, location, browser = self.authorize(app)
        answer = browser.parameters(location)
        check(f"{app.role}: code, state and iss come back",
              answer.get("code") and answer["state"] == state and answer["iss"] == self.issuer)
        refused(f"{app.role}: a wrong verifier", "invalid_grant", lambda: session.fetch_token(
            authorization_response=location, state=state, code_verifier=generate_token(64)))
        first = dict(session.fetch_token(
            authorization_response=location, state=state, code_verifier=verifier))
        check(f"{app.role}: the code is redeemed", first["token_type"].lower() == "bearer")
        claims = self.claims(first["access_token"])
        check(f"{app.role}: the access token is signed and names user and audience",
              claims and claims["sub"] == self.seed.user
              and claims["client_id"] == app.client_id
              and set(claims["scope"].split()) == set(app.scope.split()))
        second = dict(session.refresh_token())
        check(f"{app.role}: refresh rotates", second["refresh_token"] != first["refresh_token"]
              and second["access_token"] != first["access_token"])
        again = session.refresh_token(refresh_token=first["refresh_token"])
        check(f"{app.role}: a client that lost the answer gets the same successor",
              again["refresh_token"] == second["refresh_token"])
        third = dict(session.refresh_token(refresh_token=second["refresh_token"]))
        refused(f"{app.role}: reuse of an old refresh token", "invalid_grant",
                lambda: session.refresh_token(refresh_token=first["refresh_token"]))
        refused(f"{app.role}: reuse revokes the newest, too", "invalid_grant",
                lambda: session.refresh_token(refresh_token=third["refresh_token"]))

    def replayed_code(self):
        """RFC 6749 section 4.1.2."""
        session, verifier, state, location, _ = self.authorize(self.seed.post)
        redeem = lambda: session.fetch_token(
            authorization_response=location, state=state, code_verifier=verifier)
        token = dict(redeem())
        refused("a code is good once", "invalid_grant", redeem)
        refused("a replayed code revokes what came of it", "invalid_grant",
                lambda: session.refresh_token(refresh_token=token["refresh_token"]))

    def denied(self):
        """RFC 6749 section 4.1.2.1."""
        _, _, state, location, browser = self.authorize(
            self.seed.post, decision="deny", prompt="consent")
        answer = browser.parameters(location)
        check("a denial sends access_denied, with state and iss",
              (answer["error"], answer["state"], answer["iss"])
              == ("access_denied", state, self.issuer))

    def shown(self):
        """RFC 6749 section 4.1.2.1: errors that must not be redirected."""
        app = self.seed.post
        endpoint = self.metadata["authorization_endpoint"]
        challenge = create_s256_code_challenge(generate_token(64))
        asked = {"response_type": "code", "client_id": app.client_id,
                 "redirect_uri": app.redirect_uri, "code_challenge": challenge,
                 "code_challenge_method": "S256"}
        for what, change in [("client", {"client_id": "no-such-app"}),
                             ("redirect URI", {"redirect_uri": "https://attacker.example/cb"})]:
            answer = requests.get(endpoint, params=asked | change, allow_redirects=False, timeout=120)
            check(f"an unknown {what} is shown, not redirected",
                  400 <= answer.status_code < 500 and "location" not in answer.headers)

    def client_credentials(self):
        """RFC 6749 section 4.4."""
        for app in self.seed.machine_apps():
            token = self.session(app).fetch_token(grant_type="client_credentials")
            claims = self.claims(token["access_token"])
            check(f"{app.role}: client credentials", claims["sub"] == app.client_id
                  and "refresh_token" not in token)
        app = self.seed.post
        app = app.with_secret("not its secret")
        refused("a wrong secret", "invalid_client",
                lambda: self.session(app).fetch_token(grant_type="client_credentials"))

    def introspect(self, token):
        """Introspects a token as the gateway (RFC 7662)."""
        gateway = self.session(self.seed.gateway)
        answer = gateway.introspect_token(self.metadata["introspection_endpoint"], token=token)
        check("introspection answers", answer.status_code == 200)
        return answer.json()

    def revocation(self):
        """RFC 7009, with RFC 7662 before and after."""
        app = self.seed.post
        for kind in ["refresh_token", "access_token"]:
            session = self.tokens(app)
            token = dict(session.token)
            facts = self.introspect(token["access_token"])
            check("an access token is active", facts["active"] is True
                  and facts["sub"] == self.seed.user and facts["client_id"] == app.client_id
                  and facts["iss"] == self.issuer and facts["exp"] > time.time())
            check("a refresh token is active",
                  self.introspect(token["refresh_token"])["active"] is True)
            answer = session.revoke_token(self.metadata["revocation_endpoint"],
                                          token=token[kind], token_type_hint=kind)
            check(f"revocation of the {kind}", answer.status_code == 200)
            for other in ["access_token", "refresh_token"]:
                check(f"then the {other} is inactive, without other facts",
                      self.introspect(token[other]) == {"active": False})
            refused("then refresh", "invalid_grant",
                    lambda: session.refresh_token(refresh_token=token["refresh_token"]))
            answer = session.revoke_token(self.metadata["revocation_endpoint"], token=token[kind])
            check("revocation again", answer.status_code == 200)
        answer = self.session(app).revoke_token(
            self.metadata["revocation_endpoint"], token="unknown")
        check("revocation of an unknown token", answer.status_code == 200)

    def resource(self):
        """RFC 8707, and RFC 6750 at the API that the server protects itself."""
        app, resource = self.seed.resource()
        token = self.tokens(app, resource=resource).token
        check("the token is for the resource",
              self.claims(token["access_token"], resource)["aud"] == resource)
        api = self.issuer + "/api"
        session = self.tokens(app, resource=api)
        answer = session.get(api + "/me", timeout=120)
        check("the API answers", answer.status_code == 200 and self.seed.user in answer.text)
        answer = session.delete(api + "/files/1", timeout=120)
        check("the API refuses what the scope does not allow", answer.status_code == 403
              and 'error="insufficient_scope"' in answer.headers["www-authenticate"])
        answer = requests.get(api + "/me", timeout=120)
        check("the API names the scheme to authenticate with", answer.status_code == 401
              and answer.headers["www-authenticate"].startswith("Bearer ")
              and "error" not in answer.headers["www-authenticate"])
        answer = self.call_api(token["access_token"])
        check("the API refuses a token for another", answer.status_code == 401
              and 'error="invalid_token"' in answer.headers["www-authenticate"])
        access_token = session.token["access_token"]
        session.revoke_token(self.metadata["revocation_endpoint"], token=access_token)
        # The API reads the feed of revocations each second.
        deadline = time.monotonic() + 120
        while self.call_api(access_token).status_code == 200 and time.monotonic() < deadline:
            time.sleep(0.1)
        answer = self.call_api(access_token)
        check("the API refuses a revoked token", answer.status_code == 401
              and 'error="invalid_token"' in answer.headers["www-authenticate"])

    def call_api(self, access_token):
        """Sends a request to the API with this token."""
        return requests.get(self.issuer + "/api/me", timeout=120,
                            headers={"authorization": "Bearer " + access_token})

    def jwt_bearer(self):
        """RFC 7523 section 2.1."""
        app = self.seed.backend
        for alg, key_id, key in self.seed.backend_keys():
            def assertion(user, **claims):
                claims = {"exp": int(time.time()) + 60, "sub": user} | claims
                return private_key_jwt_sign(key, app.client_id, self.issuer, alg=alg,
                                            claims=claims, header={"alg": alg, "kid": key_id})

            def grant(jws):
                return self.session(app).fetch_token(grant_type=GRANT_JWT_BEARER, assertion=jws)

            jws = assertion(self.seed.user)
            token = grant(jws)
            claims = self.claims(token["access_token"])
            check(f"JWT bearer, {alg}: the app acts as the user",
                  claims["sub"] == self.seed.user and claims["client_id"] == app.client_id
                  and "refresh_token" not in token)
            refused(f"JWT bearer, {alg}: an assertion is good once", "invalid_grant",
                    lambda: grant(jws))
            refused(f"JWT bearer, {alg}: a user who is not allowed", "invalid_grant",
                    lambda: grant(assertion(self.seed.forbidden_user)))
            refused(f"JWT bearer, {alg}: an expired assertion", "invalid_grant",
                    lambda: grant(assertion(self.seed.user, exp=int(time.time()) - 3600)))
            refused(f"JWT bearer, {alg}: for another audience", "invalid_grant",
                    lambda: grant(assertion(self.seed.user, aud="https://other.example")))


def main():
    issuer, seed = sys.argv[1:]
    Suite(issuer, Seed(pathlib.Path(seed), import_key)).run()


if __name__ == "__main__":
    main()
