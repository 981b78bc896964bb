// oidc-provider as the identity provider of a company, and oauth4webapi as the client that presents its identity
// assertions (ID-JAG) and exchanges its access tokens at the example server, over loopback HTTP.
//
//     trusted_issuer_clients.mjs ISSUER SEED PROVIDER PID CLOCK
//
// PROVIDER is the issuer of the running oidc_provider.mjs with the process id PID, which gets its signals. CLOCK
// is a file: the server's clock is ahead by the seconds in it. NODE_EXTRA_CA_CERTS has the provider's certificate. The
// lines and the libraries are as those of oauth4webapi_client.mjs.

import { readFileSync, renameSync, writeFileSync } from "node:fs";
import { dirname, join, resolve } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import { setTimeout as sleep } from "node:timers/promises";
import { IdentityProvider } from "./identity_provider.mjs";

const here = dirname(fileURLToPath(import.meta.url));
const modules = process.env.INTEROP_NODE_MODULES ?? join(here, "../../target/interop/node_modules");
const oauth = await import(pathToFileURL(resolve(modules, "oauth4webapi/build/index.js")));

const [ISSUER, SEED, PROVIDER, PID, CLOCK] = process.argv.slice(2);
const API = `${ISSUER}/api`;
const JWT_BEARER = "urn:ietf:params:oauth:grant-type:jwt-bearer";
const EXCHANGE = "urn:ietf:params:oauth:grant-type:token-exchange";
const TYPE = "urn:ietf:params:oauth:token-type";
const REPORTS = "https://reports.example.com/";
const PROFILE = "urn:ietf:params:oauth:grant-profile:id-jag";
const insecure = { [oauth.allowInsecureRequests]: true };

const seed = JSON.parse(readFileSync(SEED, "utf8"));
const app = (id) => seed.apps.find((it) => it.client_id === id);
const basic = (id) => [{ client_id: id }, oauth.ClientSecretBasic(app(id).client_secret)];

function check(what, holds) {
  console.log(`${holds ? "ok    " : "FAILED "}${what}`);
  if (!holds) process.exit(1);
}

/** Returns once the state holds. */
async function until(what, state) {
  for (let tries = 0; tries < 10_000; tries += 1) {
    if (await state()) return;
    await sleep(10);
  }
  throw new Error(`waited in vain until ${what}`);
}

let ahead = 0;
/** Moves the clock of the server. */
function advance(seconds) {
  ahead += seconds;
  // In one step, because the server reads the file all the time.
  writeFileSync(`${CLOCK}.new`, `+${ahead}\n`);
  renameSync(`${CLOCK}.new`, CLOCK);
}

/** Calls an API. After a leap of its clock it takes no token until it has polled the revocations. */
async function call(url, init) {
  let answer;
  await until("the API takes tokens", async () => {
    answer = await fetch(url, init);
    return answer.status !== 503;
  });
  return answer;
}

const discovered = await oauth.discoveryRequest(new URL(ISSUER), { algorithm: "oauth2", ...insecure });
const as = await oauth.processDiscoveryResponse(new URL(ISSUER), discovered);
check("the metadata name the profile", as.authorization_grant_profiles_supported.includes(PROFILE));

/** Asks for a token. Answers with it, or with the error of the server. */
async function ask(id, grantType, parameters) {
  const [client, auth] = basic(id);
  const response = await oauth.genericTokenEndpointRequest(
    as, client, auth, grantType, new URLSearchParams(parameters), insecure);
  const answer = oauth.processGenericTokenEndpointResponse(as, client, response);
  return answer.catch((error) => {
    if (typeof error.error !== "string") throw error;
    return { refused: error.error, why: error.error_description };
  });
}

const present = (assertion, id = "acme-wiki", more = {}) => ask(id, JWT_BEARER, { assertion, ...more });
const exchange = (token, type = "jwt") => ask("acme-wiki", EXCHANGE, {
  subject_token: token,
  subject_token_type: `${TYPE}:${type}`,
  resource: REPORTS,
});

async function isActive(token) {
  const [client, auth] = basic("demo-gateway");
  const response = await oauth.introspectionRequest(as, client, auth, token, insecure);
  return (await oauth.processIntrospectionResponse(as, client, response)).active;
}

const [admin, adminAuth] = basic("demo-admin");
const asked = await oauth.clientCredentialsGrantRequest(as, admin, adminAuth, {}, insecure);
const { access_token: adminToken } = await oauth.processClientCredentialsResponse(as, admin, asked);
const administer = async (path, body) => {
  const headers = { authorization: `Bearer ${adminToken}`, "content-type": "application/json" };
  const init = body ? { method: "POST", body: JSON.stringify(body), headers } : { headers };
  const answer = await call(`${ISSUER}/admin/${path}`, init);
  if (answer.status !== 200) throw new Error(`${path}: ${answer.status} ${await answer.text()}`);
  return answer.json();
};
/** The reason of the latest refusal in the audit log. */
const lastReason = async () => JSON.stringify((await administer("audit?app=acme-wiki&limit=1")).events[0]);

const idp = await IdentityProvider.at(PROVIDER);
const { id_token: idToken, access_token: accessToken } = await idp.logIn("ann", API);
const wanted = { audience: ISSUER, resource: API, scope: "files.list" };
const idJag = (change, token = idToken) => idp.idJag(token, { ...wanted, ...change });

// Its keys are out of service at first.
const keys = async () => (await fetch(idp.as.jwks_uri)).text();
const keysAre = (status) => until(`the provider's keys are ${status}`, async () =>
  (await fetch(idp.as.jwks_uri)).status === status);
process.kill(PID, "SIGUSR2");
await keysAre(503);
const first = await idJag();
const early = await present(first);
check("without the provider's keys an assertion is refused, and the app is told why",
  early.refused === "invalid_grant" && early.why.includes("the keys of the issuer of the assertion cannot be fetched"));
await until("the audit log says why", async () => (await lastReason()).includes("issuer_keys_unavailable"));
process.kill(PID, "SIGUSR2");
await keysAre(200);
advance(10);
const token = await present(first);
check("it was not used up: the app gets a token for the user's files",
  token.token_type === "bearer" && token.scope === "files.list" && token.refresh_token === undefined);
const request = new Request(API, { headers: { authorization: `Bearer ${token.access_token}` } });
const said = await oauth.validateJwtAccessToken(as, request, API, insecure);
check("it is of the user here, and says by which issuer",
  said.sub === "ann" && said.client_id === "acme-wiki" && said.act.sub === "acme-wiki"
  && said.evidence_issuer === PROVIDER && Number.isInteger(said.auth_time));
const statusOf = async (path) =>
  (await call(`${API}${path}`, { headers: { authorization: `Bearer ${token.access_token}` } })).status;
check("the API accepts it", await statusOf("/files") === 200);
check("for no more than its scope", await statusOf("/me") === 403);
check("the assertion is good once", (await present(first)).refused === "invalid_grant");

for (const [what, assertion, id] of [
  ["an assertion for another server", await idJag({ audience: "https://other.example" })],
  ["an assertion for no API", await idJag({ resource: "" })],
  ["an ID token of the provider", idToken],
  ["an access token of the provider", accessToken],
  ["an assertion that another app presents", await idJag(), "demo-backend"],
  ["an assertion about a user without an account here", await idJag({}, (await idp.logIn("mallory")).id_token)],
  ["an assertion about a user who is not one of the policy", await idJag({}, (await idp.logIn("carol")).id_token)],
  ["an assertion about an inactive user", await idJag({}, (await idp.logIn("dave")).id_token)],
]) {
  check(`${what} is refused`, (await present(assertion, id)).refused === "invalid_grant");
}
check("a scope beyond the assertion's is refused",
  (await present(await idJag(), "acme-wiki", { scope: "profile" })).refused === "invalid_scope");
check("an API beyond the assertion's is refused",
  (await present(await idJag(), "acme-wiki", { resource: "https://reports.example.com/" })).refused === "invalid_target");

// Its access token for this server is a subject token.
const forReports = async (user) => (await idp.logIn(user, ISSUER, "reports.read")).access_token;
const subject = await forReports("ann");
const derived = await exchange(subject);
check("an access token of the provider is exchanged",
  derived.issued_token_type === `${TYPE}:access_token` && derived.scope === "reports.read"
  && derived.refresh_token === undefined);
const asReports = new Request(REPORTS, { headers: { authorization: `Bearer ${derived.access_token}` } });
const descends = await oauth.validateJwtAccessToken(as, asReports, REPORTS, insecure);
check("the new token is of the user here, and descends from the provider's",
  descends.sub === "ann" && descends.client_id === "acme-wiki" && descends.act.sub === "acme-wiki"
  && descends.via[0].evidence_issuer === PROVIDER);
check("it is active", await isActive(derived.access_token));
for (const [what, ...refused] of [
  ["a subject token that was exchanged", subject],
  ["an access token for the API of another app", accessToken],
  ["an ID token for another client", idToken, "id_token"],
  ["an identity assertion", await idJag()],
  ["an access token of the provider as one of this server", await forReports("ann"), "access_token"],
  ["an access token of a user who is not one of the policy", await forReports("carol")],
]) {
  check(`${what} is not exchanged`, (await exchange(...refused)).refused === "invalid_request");
}

// It rotates its keys, without showing the new one before.
const before = await idJag();
const shown = await keys();
process.kill(PID, "SIGHUP");
await until("the provider has another key", async () => (await keys()) !== shown);
const { id_token: newer, access_token: spare } = await idp.logIn("ann", ISSUER, "reports.read");
const after = await idJag({}, newer);
// Keys are fetched once a minute.
advance(60);
const rotated = await present(after);
check("the new key is known", await isActive(rotated.access_token));
check("and the old one is not", (await present(before)).refused === "invalid_grant");

// It is down.
const [held, last] = [await idJag({}, newer), await idJag({}, newer)];
process.kill(PID, "SIGTERM");
await until("the provider is down", () => fetch(idp.as.jwks_uri).then(() => false, () => true));
check("its known key is used while it is down", await isActive((await present(held)).access_token));
advance(60);
check("an unknown key is refused", (await present(before)).refused === "invalid_grant");
check("and does not end the use of the known one", await isActive((await present(last)).access_token));

await administer("revoke", { target: { evidence_issuer: PROVIDER } });
check("an administrator ends all that it gave, with one call",
  !(await isActive(token.access_token)) && !(await isActive(rotated.access_token))
  && !(await isActive(derived.access_token)));
check("and what it had issued before", (await exchange(spare)).refused === "invalid_request");
await until("the API knows", async () => await statusOf("/files") === 401);
console.log("all checks passed");
