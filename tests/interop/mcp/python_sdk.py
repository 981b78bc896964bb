"""mcp, the Python SDK, with its OAuthClientProvider: it logs in, refreshes and steps up by itself.

    python_sdk.py MCP_URL USER IDENTITY

The arguments are those of story.mjs, and the password is in MCP_PASSWORD.
"""

import asyncio
import os
import sys
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import httpx2
from browser import Browser
from checks import check
from mcp.client.auth import OAuthClientProvider
from mcp.client.session import ClientSession
from mcp.client.streamable_http import streamable_http_client
from mcp.shared.auth import (
    AuthorizationCodeResult,
    OAuthClientInformationFull,
    OAuthClientMetadata,
    OAuthToken,
)

MCP, USER, IDENTITY = sys.argv[1:4]
KIND, _, VALUE = IDENTITY.partition("=")
REDIRECT = "http://127.0.0.1:49215/callback"
READ = "notes.read"
BOTH = "notes.read notes.write"


class Storage:
    """Tokens and the registration, in memory."""

    def __init__(self):
        self.tokens = None
        self.client = None
        if KIND == "registered":
            self.client = OAuthClientInformationFull(
                client_id=VALUE, redirect_uris=[REDIRECT], token_endpoint_auth_method="none")

    async def get_tokens(self):
        return self.tokens

    async def set_tokens(self, tokens):
        self.tokens = tokens

    async def get_client_info(self):
        return self.client

    async def set_client_info(self, client):
        self.client = client

    def scope(self):
        """Returns the granted scope."""
        return " ".join(sorted((self.tokens.scope or "").split()))


class User:
    """The user at a browser."""

    def __init__(self):
        self.browser = Browser(REDIRECT)
        self.asked = []
        self.answer = None

    async def open(self, url):
        self.asked.append({name: values[0] for name, values in parse_qs(urlsplit(url).query).items()})
        self.answer = await asyncio.to_thread(
            self.browser.open, url, USER, os.environ["MCP_PASSWORD"], "approve")

    async def wait(self):
        answer = Browser.parameters(self.answer)
        check("the redirect names the issuer", bool(answer.get("iss")))
        return AuthorizationCodeResult(
            code=answer["code"], state=answer["state"], iss=answer["iss"])


def text_of(result):
    return result.content[0].text if result.content else ""


async def story():
    storage, user = Storage(), User()
    provider = OAuthClientProvider(
        server_url=MCP,
        client_metadata=OAuthClientMetadata(
            client_name="Notes by the Python SDK",
            redirect_uris=[REDIRECT],
            token_endpoint_auth_method="none",
        ),
        storage=storage,
        redirect_handler=user.open,
        callback_handler=user.wait,
        client_metadata_url=VALUE if KIND == "document" else None,
    )
    async with (
        httpx2.AsyncClient(auth=provider, timeout=120) as http,
        streamable_http_client(MCP, http_client=http) as (read, write),
        ClientSession(read, write) as session,
    ):
        await session.initialize()
        first = user.asked[0]
        check("the challenge names the scope to begin with", first.get("scope") == READ)
        check("the resource is the MCP server", first.get("resource") == MCP)
        check("the request has PKCE", first.get("code_challenge_method") == "S256")
        check("the client redeems the code", storage.scope() == READ)
        tools = await session.list_tools()
        check("the client lists the tools", len(tools.tools) == 2)
        listed = await session.call_tool("list_notes", {})
        check("a tool answers", "buy <milk>" in text_of(listed))

        added = await session.call_tool("add_note", {"text": "written by Python"})
        check("one step-up is enough for a tool of another scope", text_of(added) == "added")
        check("the user was asked twice", len(user.asked) == 2)
        asked = " ".join(sorted(user.asked[1].get("scope", "").split()))
        check("the challenge names every scope of the tool", asked == BOTH and storage.scope() == BOTH)

        before = storage.tokens.refresh_token
        check("there is a refresh token", bool(before))
        # The SDK refreshes a token that has expired by its clock.
        provider.context.token_expiry_time = 1.0
        listed = await session.call_tool("list_notes", {})
        check("a tool answers after a refresh", "written by Python" in text_of(listed))
        check("the refresh token has rotated", storage.tokens.refresh_token != before)
        check("the user was not asked again", len(user.asked) == 2)
    print("all checks passed")


asyncio.run(story())
