// An app registers itself with oauth4webapi, gets tokens, and manages its registration. Another does the first two with
// openid-client.
//
//     registration_client.mjs ISSUER SEED
//
// ISSUER is the base URL of a server that was started with the file SEED, which has open registration with
// management. The script prints one line for each check and ends with a non-zero status at the first failure. No
// line shows a secret. It finds the libraries in INTEROP_NODE_MODULES, or where .ci/install puts it.

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
// The server is on loopback, over plain http.
const insecure = { [oauth.allowInsecureRequests]: true };
const seed = JSON.parse(readFileSync(SEED, "utf8"));
const password = seed.users.find((user) => user.name === USER).password;

function check(what, holds) {
  console.log(`${holds ? "ok    " : "FAILED "}${what}`);
  if (!holds) process.exit(1);
}

async function register(as, metadata) {
  const answer = await oauth.dynamicClientRegistrationRequest(as, metadata, insecure);
  check("a registration is not stored by caches", answer.headers.get("cache-control") === "no-store");
  return oauth.processDynamicClientRegistrationResponse(answer);
}

/** The error of a registration that the server refuses. */
async function refused(as, metadata) {
  const answer = await oauth.dynamicClientRegistrationRequest(as, metadata, insecure);
  const error = await oauth.processDynamicClientRegistrationResponse(answer)
    .then(() => undefined, (reason) => reason);
  return error instanceof oauth.ResponseBodyError ? error.error : undefined;
}

/** A request of RFC 7592, which the library sends as to any protected resource. */
async function manage(client, method, body) {
  const url = new URL(client.registration_client_uri);
  const headers = new Headers(body ? { "content-type": "application/json" } : {});
  try {
    return await oauth.protectedResourceRequest(client.registration_access_token, method, url,
      headers, body && JSON.stringify(body), insecure);
  } catch (reason) {
    if (!(reason instanceof oauth.WWWAuthenticateChallengeError)) throw reason;
    return { status: reason.status, error: reason.cause[0].parameters.error };
  }
}

/** RFC 6749 sections 4.1 and 6, as a registered app. */
async function codeFlow(as, client, auth, redirectUri) {
  const verifier = oauth.generateRandomCodeVerifier();
  const state = oauth.generateRandomState();
  const url = new URL(as.authorization_endpoint);
  url.search = new URLSearchParams({
    response_type: "code",
    client_id: client.client_id,
    redirect_uri: redirectUri,
    scope: client.scope,
    state,
    code_challenge: await oauth.calculatePKCECodeChallenge(verifier),
    code_challenge_method: "S256",
  });
  const location = await new Browser(redirectUri).open(url, USER, password, "approve");
  const answer = oauth.validateAuthResponse(as, client, location, state);
  const response = await oauth.authorizationCodeGrantRequest(
    as, client, auth, answer, redirectUri, verifier, insecure);
  return oauth.processAuthorizationCodeResponse(as, client, response);
}

async function refresh(as, client, auth, token) {
  const response = await oauth.refreshTokenGrantRequest(as, client, auth, token, insecure);
  return oauth.processRefreshTokenResponse(as, client, response);
}

const issuer = new URL(ISSUER);
const found = await oauth.discoveryRequest(issuer, { algorithm: "oauth2", ...insecure });
const as = await oauth.processDiscoveryResponse(issuer, found);
check("the metadata name the registration endpoint", as.registration_endpoint !== undefined);

// A native app, on any port of localhost.
const native = await register(as, {
  client_name: "Interop native",
  redirect_uris: ["http://localhost/callback", "http://127.0.0.1/callback", "zed://callback"],
  token_endpoint_auth_method: "none",
  scope: "profile files.list unknown.scope",
});
check("a public app has no secret", native.client_secret === undefined
  && native.token_endpoint_auth_method === "none");
check("the scope is the part that the template has",
  native.scope.split(" ").sort().join() === "files.list,profile");
check("an unusable redirect URI is dropped and told", native.redirect_uris.length === 2
  && native.dropped_redirect_uris[0].uri === "zed://callback");
for (const host of ["localhost", "127.0.0.1"]) {
  const redirectUri = `http://${host}:49213/callback`;
  const tokens = await codeFlow(as, native, oauth.None(), redirectUri);
  check(`a code comes to any port of ${host}`, tokens.token_type === "bearer");
  const next = await refresh(as, native, oauth.None(), tokens.refresh_token);
  check("refresh rotates", next.refresh_token !== tokens.refresh_token);
}

// A web app: without a method it is client_secret_basic.
const callback = "https://app.example/callback";
const web = await register(as, { client_name: "Interop web", redirect_uris: [callback] });
check("a confidential app has a secret that does not expire",
  web.client_secret.startsWith("gcs_") && web.client_secret_expires_at === 0);
const auth = oauth.ClientSecretBasic(web.client_secret);
const tokens = await codeFlow(as, web, auth, callback);
check("the secret authenticates the app", tokens.refresh_token !== undefined);
const machine = await oauth.clientCredentialsGrantRequest(
  as, web, auth, new URLSearchParams(), insecure);
const denied = await oauth.processClientCredentialsResponse(as, web, machine)
  .then(() => undefined, (reason) => reason.error);
check("it gets no token for itself", denied === "unauthorized_client");

check("no usable redirect URI", await refused(as, { redirect_uris: ["zed://callback"] })
  === "invalid_redirect_uri");
check("a logo that is a script", await refused(as,
  { redirect_uris: [callback], logo_uri: "javascript:alert(1)" }) === "invalid_client_metadata");

// RFC 7592.
const read = await manage(web, "GET");
const shown = await read.json();
check("an app reads its registration, without its secret", read.status === 200
  && shown.client_id === web.client_id && shown.client_secret === undefined);
const changed = await manage(web, "PUT", {
  client_id: web.client_id, client_name: "Interop web 2", redirect_uris: [callback],
});
const second = await changed.json();
check("an app changes its registration", changed.status === 200
  && second.client_name === "Interop web 2");
check("an update replaces the token", (await manage(web, "GET")).error === "invalid_token");
const gone = await manage(second, "DELETE");
check("an app deletes itself", gone.status === 204);
check("it is gone", (await manage(second, "GET")).error === "invalid_token");
const late = await refresh(as, web, auth, tokens.refresh_token)
  .then(() => undefined, (reason) => reason);
check("its access has ended", late !== undefined);

// openid-client discovers, registers and takes the secret by itself. It sends the secret in the body, although the answer
// says client_secret_basic.
const config = await openid.dynamicClientRegistration(issuer, {
  client_name: "Interop openid-client",
  redirect_uris: [callback],
}, undefined, { algorithm: "oauth2", execute: [openid.allowInsecureRequests] });
check("openid-client registers an app", config.clientMetadata().client_secret.startsWith("gcs_"));
const pkceCodeVerifier = openid.randomPKCECodeVerifier();
const asked = openid.buildAuthorizationUrl(config, {
  redirect_uri: callback,
  scope: "profile",
  code_challenge: await openid.calculatePKCECodeChallenge(pkceCodeVerifier),
  code_challenge_method: "S256",
});
const location = await new Browser(callback).open(asked, USER, password, "approve");
const granted = await openid.authorizationCodeGrant(config, location, { pkceCodeVerifier });
check("its app logs in", granted.scope === "profile");
const more = await openid.refreshTokenGrant(config, granted.refresh_token);
check("and refreshes", more.refresh_token !== granted.refresh_token);
console.log("all checks passed");
