"""mcp, the Python SDK, with its IdentityAssertionOAuthProvider: enterprise-managed authorization.

    enterprise_client.py MCP_URL PROVIDER CLIENT_ID

The arguments are those of enterprise.mjs. Authlib logs the user in at the identity provider, whose certificate is in
REQUESTS_CA_BUNDLE.
"""

import asyncio
import os
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import httpx2
import requests
from authlib.common.security import generate_token
from authlib.integrations.requests_client import OAuth2Session
from browser import Browser
from checks import check
from mcp.client.auth import OAuthTokenError
from mcp.client.auth.extensions.identity_assertion import IdentityAssertionOAuthProvider
from mcp.client.session import ClientSession
from mcp.client.streamable_http import streamable_http_client

MCP, PROVIDER, CLIENT_ID = sys.argv[1:4]
ISSUER = MCP.removesuffix("/mcp")
REDIRECT = "http://127.0.0.1:49216/callback"
OWN_ID = "acme-desktop"
OWN_SECRET = "acme-desktop-secret-0123456789abcdefgh"
READ = "notes.read"
BOTH = "notes.read notes.write"


class Storage:
    """Tokens, in memory."""

    def __init__(self):
        self.tokens = None

    async def get_tokens(self):
        return self.tokens

    async def set_tokens(self, tokens):
        self.tokens = tokens


class Company:
    """A user at the identity provider of the company."""

    def __init__(self, user):
        self.metadata = requests.get(
            PROVIDER + "/.well-known/openid-configuration", timeout=120).json()
        session = OAuth2Session(
            OWN_ID, OWN_SECRET, redirect_uri=REDIRECT, scope="openid",
            code_challenge_method="S256", token_endpoint_auth_method="client_secret_post")
        verifier = generate_token(48)
        url, _ = session.create_authorization_url(
            self.metadata["authorization_endpoint"], code_verifier=verifier, login_hint=user)
        location = Browser(REDIRECT).open(url, None, None, None)
        tokens = session.fetch_token(
            self.metadata["token_endpoint"], authorization_response=location, code_verifier=verifier)
        self.id_token = tokens["id_token"]
        self.asked = []

    async def id_jag(self, audience, resource):
        """Returns an identity assertion for an authorization server and an MCP server."""
        self.asked.append((audience, resource))
        answer = await asyncio.to_thread(requests.post, self.metadata["token_endpoint"], data={
            "grant_type": "urn:ietf:params:oauth:grant-type:token-exchange",
            "requested_token_type": "urn:ietf:params:oauth:token-type:id-jag",
            "subject_token": self.id_token,
            "subject_token_type": "urn:ietf:params:oauth:token-type:id_token",
            "audience": audience,
            "resource": resource,
            "scope": BOTH,
            "client_id": OWN_ID,
            "client_secret": OWN_SECRET,
        }, timeout=120)
        answer.raise_for_status()
        return answer.json()["access_token"]


def text_of(result):
    return result.content[0].text if result.content else ""


def auth(company, storage, method):
    return IdentityAssertionOAuthProvider(
        server_url=MCP,
        storage=storage,
        client_id=CLIENT_ID,
        client_secret=os.environ["MCP_CLIENT_SECRET"],
        issuer=ISSUER,
        assertion_provider=company.id_jag,
        scope=READ,
        token_endpoint_auth_method=method,
    )


async def story():
    company, storage = Company("ann"), Storage()
    async with (
        httpx2.AsyncClient(auth=auth(company, storage, "client_secret_basic"), timeout=120) as http,
        streamable_http_client(MCP, http_client=http) as (read, write),
        ClientSession(read, write) as session,
    ):
        await session.initialize()
        check("the assertion is for the server and the MCP server", company.asked == [(ISSUER, MCP)])
        check("the token has the scope that was asked for", storage.tokens.scope == READ)
        check("there is no refresh token", storage.tokens.refresh_token is None)
        tools = await session.list_tools()
        check("the client lists the tools", len(tools.tools) == 2)
        listed = await session.call_tool("list_notes", {})
        check("a tool answers for the user of the provider", "buy <milk>" in text_of(listed))
        added = await session.call_tool("add_note", {"text": "written by Python"})
        check("the client steps up by another assertion",
              text_of(added) == "added" and len(company.asked) == 2)
        check("the challenge names every scope of the tool", storage.tokens.scope == BOTH)
    stranger = Company("mallory")
    async with httpx2.AsyncClient(auth=auth(stranger, Storage(), "client_secret_post")) as http:
        try:
            await http.post(MCP, json={})
        except OAuthTokenError as error:
            check("a user without an account here is refused", "invalid_grant" in str(error))
        else:
            check("a user without an account here is refused", False)
    print("all checks passed")


asyncio.run(story())
