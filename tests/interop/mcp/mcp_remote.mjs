// mcp-remote: a local server over standard input and output that logs in at the remote one. The client in front of it
// is @modelcontextprotocol/sdk. See story.mjs for the arguments; it reads the URL for the user from what mcp-remote
// prints, and brings the code to its callback.

import { mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { MCP, allow, check, identity, library, modules, textOf } from "./story.mjs";

const sdk = "@modelcontextprotocol/sdk/dist/esm/client";
const { Client } = await library(`${sdk}/index.js`);
const { StdioClientTransport } = await library(`${sdk}/stdio.js`);

const folder = mkdtempSync(join(tmpdir(), "grantor-mcp-remote-"));
process.on("exit", () => rmSync(folder, { recursive: true, force: true }));
/** A port for its callback. Any port is the registered one (RFC 8252 section 7.3). */
const port = await new Promise((resolve) => {
  const probe = createServer().listen(0, "127.0.0.1", () => {
    const { port } = probe.address();
    probe.close(() => resolve(port));
  });
});
const redirect = `http://127.0.0.1:${port}/oauth/callback`;

const options = ["--host", "127.0.0.1"];
if (identity.kind === "registered") {
  options.push("--static-oauth-client-info", JSON.stringify({ client_id: identity.value }));
} else if (identity.kind === "document") {
  options.push("--client-metadata-url", identity.value);
}

const asked = [];

/** Starts mcp-remote, and a client in front of it. */
async function start() {
  const transport = new StdioClientTransport({
    command: process.execPath,
    args: [join(modules, "mcp-remote/dist/proxy.js"), MCP, String(port), ...options],
    // It must not open a real browser.
    env: { ...process.env, MCP_REMOTE_CONFIG_DIR: folder, HOME: folder, PATH: folder },
    stderr: "pipe",
  });
  let said = "";
  transport.stderr.on("data", (bytes) => {
    said += bytes;
    const urls = said.match(/https?:\/\/\S+\/oauth\/authorize\?\S+(?=\s)/g) ?? [];
    for (const url of urls.filter((it) => !asked.includes(it))) {
      asked.push(url);
      visit(url).catch((error) => {
        console.log(`FAILED the user logs in: ${error}`);
        process.exit(1);
      });
    }
  });
  const client = new Client({ name: "interop", version: "1.0.0" });
  await client.connect(transport, { timeout: 120_000 });
  return client;
}

async function visit(url) {
  const callback = await allow(url, redirect);
  check("the redirect names the issuer", callback.searchParams.get("iss") !== null);
  const shown = await fetch(callback);
  check("mcp-remote takes the code", shown.status === 200);
}

/** The file in which it keeps its tokens. */
function tokenFile() {
  const files = readdirSync(folder, { recursive: true }).filter((it) => it.endsWith("_tokens.json"));
  check("mcp-remote keeps its tokens", files.length === 1);
  return join(folder, files[0]);
}

let client = await start();
check("the user was asked", asked.length === 1);
const { tools } = await client.listTools();
check("the client lists the tools", tools.length === 2);
const list = async () => textOf(await client.callTool({ name: "list_notes", arguments: {} }));
check("a tool answers", (await list()).includes("buy <milk>"));
await client.close();

const file = tokenFile();
const before = JSON.parse(readFileSync(file, "utf8"));
const spoiled = { ...before, access_token: `${before.access_token.slice(0, -4)}AAAA` };
writeFileSync(file, JSON.stringify(spoiled));
client = await start();
check("a tool answers after a restart and a refresh", (await list()).includes("buy <milk>"));
const after = JSON.parse(readFileSync(file, "utf8"));
check("the refresh token has rotated", after.refresh_token !== before.refresh_token);
check("the user was not asked again", asked.length === 1);
await client.close();
console.log("all checks passed");
