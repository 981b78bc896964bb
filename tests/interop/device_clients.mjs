// oauth4webapi and openid-client with the device grant (RFC 8628), over loopback HTTP.
//
//     device_clients.mjs ISSUER SEED
//
// The arguments, the lines and the libraries are as those of oauth4webapi_client.mjs.

import { webcrypto } from "node:crypto";
import { readFileSync } from "node:fs";
import { dirname, join, resolve } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import { Browser } from "./browser.mjs";

// Node 18 does not have it in all contexts.
globalThis.crypto ??= webcrypto;

const here = dirname(fileURLToPath(import.meta.url));
const modules = process.env.INTEROP_NODE_MODULES ?? join(here, "../../target/interop/node_modules");
const library = (path) => import(pathToFileURL(resolve(modules, path)));
const oauth = await library("oauth4webapi/build/index.js");
const openid = await library("openid-client/build/index.js");

const [ISSUER, SEED] = process.argv.slice(2);
const TV = "demo-tv";
const USER = "ann";
const insecure = { [oauth.allowInsecureRequests]: true };

const seed = JSON.parse(readFileSync(SEED, "utf8"));
const password = seed.users.find((user) => user.name === USER).password;
const { settings } = seed.apps.find((app) => app.client_id === TV);

function check(what, holds) {
  console.log(`${holds ? "ok    " : "FAILED "}${what}`);
  if (!holds) process.exit(1);
}

const sorted = (scope) => scope.split(" ").sort().join(" ");
/** The same tokens, in any order. */
const sameScope = (one, other) => sorted(one) === sorted(other);

/** The error of the server with which the promise fails. */
async function errorOf(promise) {
  const reason = await promise.then(() => undefined, (error) => error);
  if (reason && typeof reason.error !== "string") throw reason;
  return reason?.error;
}

const decide = (url, decision, code) =>
  new Browser("").decideDevice(new URL(url), USER, password, decision, code);

async function strict() {
  const issuer = new URL(ISSUER);
  const found = await oauth.discoveryRequest(issuer, { algorithm: "oauth2", ...insecure });
  const as = await oauth.processDiscoveryResponse(issuer, found);
  check("the metadata name the endpoint of devices", as.device_authorization_endpoint !== undefined);
  const client = { client_id: TV };
  const ask = async (scope) => {
    const answer = await oauth.deviceAuthorizationRequest(
      as, client, oauth.None(), new URLSearchParams({ scope }), insecure);
    return oauth.processDeviceAuthorizationResponse(as, client, answer);
  };
  const poll = async (codes) => {
    const answer = await oauth.deviceCodeGrantRequest(
      as, client, oauth.None(), codes.device_code, insecure);
    return oauth.processDeviceCodeResponse(as, client, answer);
  };
  check("a wider scope: invalid_scope", await errorOf(ask("admin")) === "invalid_scope");

  const codes = await ask(settings.scope);
  check("the answer is valid", codes.expires_in === 300 && codes.interval === 1);
  check("the user code is short", /^[B-DF-HJ-NP-TV-XZ]{4}-[B-DF-HJ-NP-TV-XZ]{4}$/.test(codes.user_code));
  check("the first poll: authorization_pending", await errorOf(poll(codes)) === "authorization_pending");
  const page = await decide(codes.verification_uri_complete, "approve");
  check("the link fills the code in", page.includes("connected"));
  const tokens = await poll(codes);
  check("the approved code gives a token", sameScope(tokens.scope, settings.scope));
  const again = await poll(codes);
  check("a lost answer is given again", again.refresh_token === tokens.refresh_token);
  const refreshed = await oauth.processRefreshTokenResponse(as, client,
    await oauth.refreshTokenGrantRequest(as, client, oauth.None(), tokens.refresh_token, insecure));
  check("the refresh token is good", refreshed.access_token !== tokens.access_token);
  check("then the code gives nothing: invalid_grant", await errorOf(poll(codes)) === "invalid_grant");

  const denied = await ask("profile");
  const end = await decide(denied.verification_uri, "deny", denied.user_code.toLowerCase());
  check("the user types the code", end.includes("no access"));
  check("a denied code: access_denied", await errorOf(poll(denied)) === "access_denied");
  const foreign = { ...denied, device_code: `${denied.device_code.slice(0, -4)}AAAA` };
  check("an altered code: invalid_grant", await errorOf(poll(foreign)) === "invalid_grant");
}

async function comfortable() {
  const config = await openid.discovery(new URL(ISSUER), TV, undefined, openid.None(),
    { algorithm: "oauth2", execute: [openid.allowInsecureRequests] });
  const ask = () => openid.initiateDeviceAuthorization(config, { scope: "profile files.list" });
  const codes = await ask();
  const polls = openid.pollDeviceAuthorizationGrant(config, codes);
  await decide(codes.verification_uri, "approve", codes.user_code);
  const tokens = await polls;
  check("openid-client polls until the user approves", sameScope(tokens.scope, "profile files.list"));
  const more = await openid.refreshTokenGrant(config, tokens.refresh_token);
  check("openid-client refreshes", more.access_token !== tokens.access_token);

  const denied = await ask();
  const failing = errorOf(openid.pollDeviceAuthorizationGrant(config, denied));
  await decide(denied.verification_uri_complete, "deny");
  check("openid-client learns of a denial", await failing === "access_denied");
}

await strict();
await comfortable();
console.log("all checks passed");
