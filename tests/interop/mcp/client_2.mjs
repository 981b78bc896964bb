// @modelcontextprotocol/client (2.x): its transport logs in, refreshes and steps up by itself. See story.mjs for the
// arguments.

import { BOTH, MCP, Provider, READ, check, checkRequest, library, textOf, words } from "./story.mjs";

const { Client, StreamableHTTPClientTransport, UnauthorizedError } =
  await library("@modelcontextprotocol/client/dist/index.mjs");

const provider = new Provider();
const newTransport = () => new StreamableHTTPClientTransport(new URL(MCP), { authProvider: provider });
const newClient = () => new Client({ name: "interop", version: "1.0.0" });

/** The error that a promise fails with. */
const failure = (promise) => promise.then(() => undefined, (error) => error);

let transport = newTransport();
const refused = await failure(newClient().connect(transport));
check("without a token the client is sent to log in", refused instanceof UnauthorizedError);
checkRequest(provider.asked[0]);
await transport.finishAuth(provider.takeCode());
check("the client redeems the code", words(provider.tokenSet.scope) === READ);

const client = newClient();
transport = newTransport();
await client.connect(transport);
const { tools } = await client.listTools();
check("the client lists the tools", tools.length === 2);
const list = () => client.callTool({ name: "list_notes", arguments: {} });
check("a tool answers", textOf(await list()).includes("buy <milk>"));

const add = () => client.callTool({ name: "add_note", arguments: { text: "written by client 2" } });
const denied = await failure(add());
check("a tool of another scope sends the client to log in again", denied instanceof UnauthorizedError);
check("it asks for every scope of the tool", provider.askedScope === BOTH);
await transport.finishAuth(provider.takeCode());
check("one step-up is enough", textOf(await add()) === "added" && words(provider.tokenSet.scope) === BOTH);

const before = provider.spoil();
check("a tool answers after a refresh", textOf(await list()).includes("client 2"));
check("the refresh token has rotated", provider.tokenSet.refresh_token !== before.refresh_token);
check("the refresh keeps the scope", words(provider.tokenSet.scope) === BOTH);
check("the user was asked twice", provider.asked.length === 2);
await client.close();
console.log("all checks passed");
