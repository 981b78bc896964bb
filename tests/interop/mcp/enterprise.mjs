// @modelcontextprotocol/client (2.x) with enterprise-managed authorization: the user logs in at the identity provider
// of the company (oidc_provider.mjs), and the client gets access to the MCP server without asking the user.
//
//     enterprise.mjs MCP_URL PROVIDER CLIENT_ID
//
// PROVIDER is the issuer of the identity provider, and CLIENT_ID the id of the client at the MCP server, with the secret
// in MCP_CLIENT_SECRET. NODE_EXTRA_CA_CERTS has the provider's certificate. Lines and libraries are as in story.mjs.

import { dirname, join, resolve } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import { CLIENT, IdentityProvider, SECRET } from "../identity_provider.mjs";

const here = dirname(fileURLToPath(import.meta.url));
const modules = process.env.INTEROP_NODE_MODULES ?? join(here, "../../../target/interop/node_modules");
const library = pathToFileURL(resolve(modules, "@modelcontextprotocol/client/dist/index.mjs"));
const { Client, CrossAppAccessProvider, StreamableHTTPClientTransport, discoverAndRequestJwtAuthGrant } =
  await import(library);

const [MCP, PROVIDER, CLIENT_ID] = process.argv.slice(2);

function check(what, holds) {
  console.log(`${holds ? "ok    " : "FAILED "}${what}`);
  if (!holds) process.exit(1);
}

const idp = await IdentityProvider.at(PROVIDER);
const words = (scope) => (scope ?? "").split(" ").sort().join(" ");
const textOf = (result) => result.content?.[0]?.text ?? "";

/** The credentials of the client for a user of the provider, and the scopes that it asked the provider for. */
async function credentials(user) {
  const { id_token: idToken } = await idp.logIn(user);
  const asked = [];
  const provider = new CrossAppAccessProvider({
    assertion: async ({ authorizationServerUrl, resourceUrl, scope, fetchFn }) => {
      asked.push(words(scope));
      const granted = await discoverAndRequestJwtAuthGrant({
        idpUrl: PROVIDER,
        audience: authorizationServerUrl,
        resource: resourceUrl,
        idToken,
        clientId: CLIENT.client_id,
        clientSecret: SECRET,
        scope,
        fetchFn,
      });
      return granted.jwtAuthGrant;
    },
    clientId: CLIENT_ID,
    clientSecret: process.env.MCP_CLIENT_SECRET,
    expectedIssuer: new URL(MCP).origin,
  });
  return { provider, asked };
}

async function connect(provider) {
  const client = new Client({ name: "interop", version: "1.0.0" });
  await client.connect(new StreamableHTTPClientTransport(new URL(MCP), { authProvider: provider }));
  return client;
}

const { provider, asked } = await credentials("ann");
const client = await connect(provider);
check("the client connects without a page for the user", asked.length === 1);
check("the challenge names the scope to begin with", asked[0] === "notes.read");
check("the token has it, and there is no refresh token",
  provider.tokens().scope === "notes.read" && provider.tokens().refresh_token === undefined);
const { tools } = await client.listTools();
check("the client lists the tools", tools.length === 2);
const list = async () => textOf(await client.callTool({ name: "list_notes", arguments: {} }));
check("a tool answers for the user of the provider", (await list()).includes("buy <milk>"));
const added = await client.callTool({ name: "add_note", arguments: { text: "written by the company" } });
check("the client steps up by another assertion", textOf(added) === "added" && asked.length === 2);
check("the challenge names every scope of the tool", asked[1] === "notes.read notes.write");
check("the note is there", (await list()).includes("written by the company"));
provider.saveTokens({ ...provider.tokens(), access_token: "spoiled" });
check("a client whose token has ended gets another", (await list()).includes("written by the company"));
await client.close();

const stranger = await credentials("mallory");
const refused = await connect(stranger.provider).then(() => undefined, (error) => error);
check("a user of the provider without an account here is refused",
  refused?.message === "the app may not act as this user" && stranger.provider.tokens() === undefined);
console.log("all checks passed");
