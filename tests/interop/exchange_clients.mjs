// oauth4webapi and openid-client with token exchange (RFC 8693), over loopback HTTP.
//
//     exchange_clients.mjs ISSUER SEED
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
const USER = "ann";
const API = `${ISSUER}/api`;
const REPORTS = "https://reports.example.com/";
const EXCHANGE = "urn:ietf:params:oauth:grant-type:token-exchange";
const ACCESS_TOKEN = "urn:ietf:params:oauth:token-type:access_token";
const insecure = { [oauth.allowInsecureRequests]: true };

const seed = JSON.parse(readFileSync(SEED, "utf8"));
const password = seed.users.find((user) => user.name === USER).password;
const app = (id) => seed.apps.find((it) => it.client_id === id);
const web = app("demo-web");
const gateway = app("demo-gateway");

function check(what, holds) {
  console.log(`${holds ? "ok    " : "FAILED "}${what}`);
  if (!holds) process.exit(1);
}

/** The error of the server with which the promise fails. */
async function errorOf(promise) {
  const reason = await promise.then(() => undefined, (error) => error);
  if (reason && typeof reason.error !== "string") throw reason;
  return reason?.error;
}

const parameters = (token, more = {}) => ({
  subject_token: token,
  subject_token_type: ACCESS_TOKEN,
  resource: REPORTS,
  ...more,
});

/** A token of the user for the API of the gateway, by the code flow of another app. */
async function userToken(as) {
  const client = { client_id: web.client_id };
  const verifier = oauth.generateRandomCodeVerifier();
  const state = oauth.generateRandomState();
  const redirectUri = web.settings.redirect_uris[0].replace("http://127.0.0.1/", "http://127.0.0.1:49213/");
  const url = new URL(as.authorization_endpoint);
  url.search = new URLSearchParams({
    response_type: "code",
    client_id: web.client_id,
    redirect_uri: redirectUri,
    scope: web.settings.scope,
    resource: API,
    state,
    code_challenge: await oauth.calculatePKCECodeChallenge(verifier),
    code_challenge_method: "S256",
  });
  const location = await new Browser(redirectUri).open(url, USER, password, "approve");
  const answer = oauth.validateAuthResponse(as, client, location, state);
  const auth = oauth.ClientSecretBasic(web.client_secret);
  const response = await oauth.authorizationCodeGrantRequest(
    as, client, auth, answer, redirectUri, verifier, insecure);
  return oauth.processAuthorizationCodeResponse(as, client, response);
}

async function strict() {
  const issuer = new URL(ISSUER);
  const found = await oauth.discoveryRequest(issuer, { algorithm: "oauth2", ...insecure });
  const as = await oauth.processDiscoveryResponse(issuer, found);
  check("the metadata name the grant type", as.grant_types_supported.includes(EXCHANGE));
  const { access_token: token } = await userToken(as);
  const client = { client_id: gateway.client_id };
  const auth = oauth.ClientSecretBasic(gateway.client_secret);
  const exchange = async (given, more) => {
    const response = await oauth.genericTokenEndpointRequest(
      as, client, auth, EXCHANGE, new URLSearchParams(parameters(given, more)), insecure);
    return oauth.processGenericTokenEndpointResponse(as, client, response);
  };
  const derived = await exchange(token);
  check("the token is exchanged, and its type told",
    derived.issued_token_type === ACCESS_TOKEN && derived.token_type === "bearer"
    && derived.scope === "reports.read" && derived.refresh_token === undefined);
  const request = new Request("https://api.example/", {
    headers: { authorization: `Bearer ${derived.access_token}` },
  });
  const said = await oauth.validateJwtAccessToken(as, request, REPORTS, insecure);
  check("it is of the user, for the other API, and names who acts",
    said.sub === USER && said.client_id === gateway.client_id && said.act.sub === gateway.client_id);
  const known = async () => {
    const reports = app("demo-reports-api");
    const response = await oauth.introspectionRequest(as, { client_id: reports.client_id },
      oauth.ClientSecretBasic(reports.client_secret), derived.access_token, insecure);
    return oauth.processIntrospectionResponse(as, { client_id: reports.client_id }, response);
  };
  check("the other API learns that it is active", (await known()).active);
  for (const [what, more, error] of [
    ["a scope that the token does not have", { scope: "profile" }, "invalid_scope"],
    ["a target that is not allowed", { resource: API }, "invalid_target"],
    ["another token type", { subject_token_type: "urn:ietf:params:oauth:token-type:jwt" }, "invalid_request"],
    ["a derived token", { subject_token: derived.access_token }, "invalid_request"],
  ]) {
    check(`${what}: ${error}`, await errorOf(exchange(token, more)) === error);
  }
  const given = await oauth.revocationRequest(as, { client_id: web.client_id },
    oauth.ClientSecretBasic(web.client_secret), token, insecure);
  await oauth.processRevocationResponse(given);
  check("it ends with the token that it came from", !(await known()).active);
  check("which is exchanged no more", await errorOf(exchange(token)) === "invalid_request");
  return userToken(as);
}

async function easy(token) {
  const config = await openid.discovery(new URL(ISSUER), gateway.client_id, undefined,
    openid.ClientSecretBasic(gateway.client_secret),
    { algorithm: "oauth2", execute: [openid.allowInsecureRequests] });
  const derived = await openid.genericGrantRequest(config, EXCHANGE, parameters(token, { scope: "reports.read" }));
  check("openid-client exchanges, too",
    derived.issued_token_type === ACCESS_TOKEN && derived.expires_in > 0);
  const error = await errorOf(openid.genericGrantRequest(config, EXCHANGE, parameters("x")));
  check("openid-client is told what is wrong", error === "invalid_request");
}

const { access_token: token } = await strict();
await easy(token);
console.log("all checks passed");
