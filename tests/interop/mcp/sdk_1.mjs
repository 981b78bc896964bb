// @modelcontextprotocol/sdk (1.x): its transport logs in by itself, refreshes by itself, and steps up once its user has
// dropped the tokens, because with a refresh token it refreshes instead. See story.mjs for the arguments.

import { BOTH, MCP, Provider, READ, check, checkRequest, library, textOf, words } from "./story.mjs";

const sdk = "@modelcontextprotocol/sdk/dist/esm/client";
const { Client } = await library(`${sdk}/index.js`);
const { StreamableHTTPClientTransport } = await library(`${sdk}/streamableHttp.js`);
const { UnauthorizedError } = await library(`${sdk}/auth.js`);

const provider = new Provider();
const newTransport = () => new StreamableHTTPClientTransport(new URL(MCP), { authProvider: provider });
const newClient = () => new Client({ name: "interop", version: "1.0.0" });

/** The error that a promise fails with. */
const failure = (promise) => promise.then(() => undefined, (error) => error);

let transport = newTransport();
const refused = await failure(newClient().connect(transport));
check("without a token the client is sent to log in", refused instanceof UnauthorizedError);
checkRequest(provider.asked[0]);
await transport.finishAuth(provider.takeCode().get("code"));
check("the client redeems the code", words(provider.tokenSet.scope) === READ);

let client = newClient();
transport = newTransport();
await client.connect(transport);
const { tools } = await client.listTools();
check("the client lists the tools", tools.length === 2);
const list = () => client.callTool({ name: "list_notes", arguments: {} });
check("a tool answers", textOf(await list()).includes("buy <milk>"));

const before = provider.spoil();
check("a tool answers after a refresh", textOf(await list()).includes("buy <milk>"));
check("the refresh token has rotated", provider.tokenSet.refresh_token !== before.refresh_token);
check("the user was asked once", provider.asked.length === 1);

const add = () => client.callTool({ name: "add_note", arguments: { text: "written by sdk 1" } });
const denied = await failure(add());
check("a tool of another scope is refused, and the caller learns it", denied?.code === 403);
await client.close();
const { access_token, token_type } = provider.tokenSet;
provider.tokenSet = { access_token, token_type };
client = newClient();
transport = newTransport();
await client.connect(transport);
const again = await failure(add());
check("without a refresh token the client is sent to log in", again instanceof UnauthorizedError);
check("the challenge names every scope of the tool", provider.askedScope === BOTH);
await transport.finishAuth(provider.takeCode().get("code"));
check("one step-up is enough", textOf(await add()) === "added" && words(provider.tokenSet.scope) === BOTH);
await client.close();
console.log("all checks passed");
