// oauth4webapi, a strict client, against the example server: every flow, over loopback HTTP.
//
//     oauth4webapi_client.mjs ISSUER SEED
//
// ISSUER is the base URL of a server that was started with the file SEED. The private keys are beside that
// file. The script prints one line for each check and ends with a non-zero status at the first failure. No
// line shows a secret. It finds the library in INTEROP_NODE_MODULES, or where .ci/install puts it.

import { createPrivateKey, randomUUID, sign, webcrypto } from "node:crypto";
import { readFileSync } from "node:fs";
import { dirname, join, resolve } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import { Browser } from "./browser.mjs";

// Node 18 does not have it in all contexts.
globalThis.crypto ??= webcrypto;

const here = dirname(fileURLToPath(import.meta.url));
const modules = process.env.INTEROP_NODE_MODULES ?? join(here, "../../target/interop/node_modules");
const oauth = await import(pathToFileURL(resolve(modules, "oauth4webapi/build/index.js")));

const [ISSUER, SEED] = process.argv.slice(2);
const PORT = "http://127.0.0.1:49213/";
const JWT_BEARER = "urn:ietf:params:oauth:grant-type:jwt-bearer";
const USER = "ann";
const FORBIDDEN_USER = "root";
// The server is on loopback, over plain http.
const insecure = { [oauth.allowInsecureRequests]: true };

const seed = JSON.parse(readFileSync(SEED, "utf8"));
const password = seed.users.find((user) => user.name === USER).password;

function check(what, holds) {
  console.log(`${holds ? "ok    " : "FAILED "}${what}`);
  if (!holds) process.exit(1);
}

/** The promise fails with this error of the server. */
async function refused(what, error, promise) {
  const answer = await promise.then(() => undefined, (reason) => reason);
  const known = answer instanceof oauth.ResponseBodyError
    || answer instanceof oauth.WWWAuthenticateChallengeError;
  if (answer && !known) throw answer;
  check(`${what}: ${error}`, answer !== undefined
    && (answer.error === error || (error === "invalid_client" && answer.status === 401)));
}

const privateKey = (file) => createPrivateKey(readFileSync(join(dirname(SEED), file)));

/** An app of the seed, with one of its ways to authenticate. */
function app(role, clientId, authentication) {
  const found = seed.apps.find((it) => it.client_id === clientId);
  const { settings } = found;
  return {
    role,
    settings,
    client: { client_id: clientId },
    auth: authentication(found.client_secret),
    redirectUri: settings.redirect_uris?.[0].replace("http://127.0.0.1/", PORT),
  };
}

const der = privateKey("demo_client_p256.pem").export({ format: "der", type: "pkcs8" });
const clientKey = await crypto.subtle.importKey(
  "pkcs8", der, { name: "ECDSA", namedCurve: "P-256" }, false, ["sign"]);

const web = app("Basic", "demo-web", oauth.ClientSecretBasic);
const post = app("post", "demo-post", oauth.ClientSecretPost);
const gateway = app("gateway", "demo-gateway", oauth.ClientSecretBasic);
const backend = app("back end", "demo-backend", oauth.ClientSecretBasic);
const reserved = (method) =>
  app(`reserved characters, ${method.name}`, "demo:reserved/+&=? %41", method);
const apps = [
  web,
  post,
  reserved(oauth.ClientSecretBasic),
  reserved(oauth.ClientSecretPost),
  app("private_key_jwt", "demo-key", () => oauth.PrivateKeyJwt(clientKey)),
  app("public", "demo-spa", oauth.None),
  app("native", "demo-native", oauth.None),
];

/** RFC 8414, RFC 9207 section 3. */
async function discovery() {
  const issuer = new URL(ISSUER);
  const answer = await oauth.discoveryRequest(issuer, { algorithm: "oauth2", ...insecure });
  const as = await oauth.processDiscoveryResponse(issuer, answer);
  check("metadata is valid, and where RFC 8414 puts it", as.issuer === ISSUER);
  check("S256 is offered, and nothing else",
    String(as.code_challenge_methods_supported) === "S256");
  check("responses carry the issuer", as.authorization_response_iss_parameter_supported === true);
  return as;
}

/** Logs in, decides, and comes back with what the redirect says. */
async function authorize(as, it, decision = "approve", more = {}) {
  const verifier = oauth.generateRandomCodeVerifier();
  const state = oauth.generateRandomState();
  const url = new URL(as.authorization_endpoint);
  url.search = new URLSearchParams({
    response_type: "code",
    client_id: it.client.client_id,
    redirect_uri: it.redirectUri,
    scope: it.settings.scope,
    state,
    code_challenge: await oauth.calculatePKCECodeChallenge(verifier),
    code_challenge_method: "S256",
    ...more,
  });
  const location = await new Browser(it.redirectUri).open(url, USER, password, decision);
  // Refuses a wrong state or issuer.
  return { verifier, answer: () => oauth.validateAuthResponse(as, it.client, location, state) };
}

async function redeem(as, it, answer, verifier) {
  const response = await oauth.authorizationCodeGrantRequest(
    as, it.client, it.auth, answer, it.redirectUri, verifier, insecure);
  return oauth.processAuthorizationCodeResponse(as, it.client, response);
}

async function refresh(as, it, token) {
  const response = await oauth.refreshTokenGrantRequest(as, it.client, it.auth, token, insecure);
  return oauth.processRefreshTokenResponse(as, it.client, response);
}

async function tokens(as, it, more = {}) {
  const { verifier, answer } = await authorize(as, it, "approve", more);
  return redeem(as, it, answer(), verifier);
}

/** The claims of an access token, checked by the library as RFC 9068 section 4 says. */
async function claims(as, token, audience) {
  const request = new Request("https://api.example/", {
    headers: { authorization: `Bearer ${token}` },
  });
  return oauth.validateJwtAccessToken(as, request, audience, insecure);
}

/** RFC 6749 sections 4.1 and 6, RFC 7636, RFC 9207, RFC 9068. */
async function codeFlow(as, it) {
  const { verifier, answer } = await authorize(as, it);
  const code = answer();
  check(`${it.role}: code, state and iss come back`, code.has("code"));
  await refused(`${it.role}: a wrong verifier`, "invalid_grant",
    redeem(as, it, code, oauth.generateRandomCodeVerifier()));
  const first = await redeem(as, it, code, verifier);
  check(`${it.role}: the code is redeemed`, first.token_type === "bearer");
  const said = await claims(as, first.access_token, ISSUER);
  check(`${it.role}: the access token is signed and names user and audience`,
    said.sub === USER && said.client_id === it.client.client_id
    && said.scope.split(" ").sort().join() === it.settings.scope.split(" ").sort().join());
  const second = await refresh(as, it, first.refresh_token);
  check(`${it.role}: refresh rotates`, second.refresh_token !== first.refresh_token
    && second.access_token !== first.access_token);
  const again = await refresh(as, it, first.refresh_token);
  check(`${it.role}: a client that lost the answer gets the same successor`,
    again.refresh_token === second.refresh_token);
  const third = await refresh(as, it, second.refresh_token);
  await refused(`${it.role}: reuse of an old refresh token`, "invalid_grant",
    refresh(as, it, first.refresh_token));
  await refused(`${it.role}: reuse revokes the newest, too`, "invalid_grant",
    refresh(as, it, third.refresh_token));
}

/** RFC 6749 section 4.1.2. */
async function replayedCode(as) {
  const { verifier, answer } = await authorize(as, post);
  const code = answer();
  const token = await redeem(as, post, code, verifier);
  await refused("a code is good once", "invalid_grant", redeem(as, post, code, verifier));
  await refused("a replayed code revokes what came of it", "invalid_grant",
    refresh(as, post, token.refresh_token));
}

/** RFC 6749 section 4.1.2.1. */
async function denied(as) {
  const { answer } = await authorize(as, post, "deny", { prompt: "consent" });
  let error;
  try {
    answer();
  } catch (reason) {
    ({ error } = reason);
  }
  check("a denial sends access_denied, with state and iss", error === "access_denied");
}

/** RFC 6749 section 4.1.2.1: what must not be redirected. */
async function shown(as) {
  const asked = {
    response_type: "code",
    client_id: post.client.client_id,
    redirect_uri: post.redirectUri,
    code_challenge: await oauth.calculatePKCECodeChallenge(oauth.generateRandomCodeVerifier()),
    code_challenge_method: "S256",
  };
  const wrong = { client_id: "no-such-app", redirect_uri: "https://attacker.example/cb" };
  for (const [name, value] of Object.entries(wrong)) {
    const url = new URL(as.authorization_endpoint);
    url.search = new URLSearchParams({ ...asked, [name]: value });
    const answer = await fetch(url, { redirect: "manual" });
    check(`an unknown ${name} is shown, not redirected`,
      answer.status >= 400 && answer.status < 500 && !answer.headers.has("location"));
  }
}

/** RFC 6749 section 4.4. */
async function clientCredentials(as) {
  const machine = (it, auth) =>
    oauth.clientCredentialsGrantRequest(as, it.client, auth, new URLSearchParams(), insecure)
      .then((response) => oauth.processClientCredentialsResponse(as, it.client, response));
  for (const it of apps.filter((one) => one.settings.flows.includes("client_credentials"))) {
    const token = await machine(it, it.auth);
    const said = await claims(as, token.access_token, ISSUER);
    check(`${it.role}: client credentials`,
      said.sub === it.client.client_id && token.refresh_token === undefined);
  }
  for (const method of [oauth.ClientSecretBasic, oauth.ClientSecretPost]) {
    const it = method === oauth.ClientSecretBasic ? web : post;
    await refused(`${it.role}: a wrong secret`, "invalid_client",
      machine(it, method("not its secret")));
  }
}

/** What the gateway learns of a token: RFC 7662. */
async function introspect(as, token) {
  const response = await oauth.introspectionRequest(
    as, gateway.client, gateway.auth, token, insecure);
  return oauth.processIntrospectionResponse(as, gateway.client, response);
}

/** RFC 7009, and what RFC 7662 says before and after. */
async function revocation(as) {
  const revoke = (token, hint) => oauth.revocationRequest(as, post.client, post.auth, token, {
    additionalParameters: hint ? { token_type_hint: hint } : {},
    ...insecure,
  }).then(oauth.processRevocationResponse);
  for (const kind of ["refresh_token", "access_token"]) {
    const token = await tokens(as, post);
    const facts = await introspect(as, token.access_token);
    check("an access token is active", facts.active && facts.sub === USER
      && facts.client_id === post.client.client_id && facts.iss === ISSUER
      && facts.exp > Date.now() / 1000);
    check("a refresh token is active", (await introspect(as, token.refresh_token)).active);
    await revoke(token[kind], kind);
    check(`revocation of the ${kind}`, true);
    for (const other of ["access_token", "refresh_token"]) {
      check(`then the ${other} is inactive, without other facts`,
        JSON.stringify(await introspect(as, token[other])) === '{"active":false}');
    }
    await refused("then refresh", "invalid_grant", refresh(as, post, token.refresh_token));
    await revoke(token[kind]);
    check("revocation again", true);
  }
  await revoke("unknown");
  check("revocation of an unknown token", true);
}

/** What the API says to a request: its status, and the error of its challenge. */
async function call(token, method, path) {
  try {
    const url = new URL(`${ISSUER}/api${path}`);
    const answer = await oauth.protectedResourceRequest(
      token, method, url, undefined, undefined, insecure);
    return { status: answer.status };
  } catch (reason) {
    if (!(reason instanceof oauth.WWWAuthenticateChallengeError)) throw reason;
    const [{ scheme, parameters }] = reason.cause;
    return { status: reason.status, scheme, ...parameters };
  }
}

/** RFC 8707, and RFC 6750 at the API that the server protects itself. */
async function resource(as) {
  const uri = web.settings.resources.find((it) => !it.includes("%%"));
  const foreign = await tokens(as, web, { resource: uri });
  check("the token is for the resource", (await claims(as, foreign.access_token, uri)).aud === uri);
  const { access_token: token } = await tokens(as, web, { resource: `${ISSUER}/api` });
  check("the API answers", (await call(token, "GET", "/me")).status === 200);
  const refusal = await call(token, "DELETE", "/files/1");
  check("the API refuses what the scope does not allow", refusal.status === 403
    && refusal.scheme === "bearer" && refusal.error === "insufficient_scope"
    && refusal.scope === "DELETE/files/*");
  const other = await call(foreign.access_token, "GET", "/me");
  check("the API refuses a token for another",
    other.status === 401 && other.error === "invalid_token");
}

const ALGORITHMS = {
  RS256: { kid: "rsa-1", file: "demo_jwt_rsa.pem", digest: "sha256" },
  ES256: { kid: "p256-1", file: "demo_jwt_p256.pem", digest: "sha256", dsaEncoding: "ieee-p1363" },
  EdDSA: { kid: "ed25519-1", file: "demo_jwt_ed25519.pem", digest: null },
};

function assertion(alg, more = {}) {
  const { kid, file, digest, dsaEncoding } = ALGORITHMS[alg];
  const exp = Math.floor(Date.now() / 1000) + 60;
  const payload = {
    iss: backend.client.client_id, sub: USER, aud: ISSUER, exp, jti: randomUUID(), ...more,
  };
  const encode = (json) => Buffer.from(JSON.stringify(json)).toString("base64url");
  const input = `${encode({ alg, kid })}.${encode(payload)}`;
  const signature = sign(digest, Buffer.from(input), { key: privateKey(file), dsaEncoding });
  return `${input}.${signature.toString("base64url")}`;
}

/** RFC 7523 section 2.1. */
async function jwtBearer(as) {
  const grant = (jws) => oauth.genericTokenEndpointRequest(
    as, backend.client, backend.auth, JWT_BEARER, { assertion: jws }, insecure,
  ).then((response) => oauth.processGenericTokenEndpointResponse(as, backend.client, response));
  for (const alg of Object.keys(ALGORITHMS)) {
    const jws = assertion(alg);
    const token = await grant(jws);
    const said = await claims(as, token.access_token, ISSUER);
    check(`JWT bearer, ${alg}: the app acts as the user`,
      said.sub === USER && said.client_id === backend.client.client_id
      && token.refresh_token === undefined);
    await refused(`JWT bearer, ${alg}: an assertion is good once`, "invalid_grant", grant(jws));
    await refused(`JWT bearer, ${alg}: a user who is not allowed`, "invalid_grant",
      grant(assertion(alg, { sub: FORBIDDEN_USER })));
    await refused(`JWT bearer, ${alg}: an expired assertion`, "invalid_grant",
      grant(assertion(alg, { exp: Math.floor(Date.now() / 1000) - 3600 })));
    await refused(`JWT bearer, ${alg}: for another audience`, "invalid_grant",
      grant(assertion(alg, { aud: "https://other.example" })));
  }
}

const as = await discovery();
for (const it of apps) await codeFlow(as, it);
await replayedCode(as);
await denied(as);
await shown(as);
await clientCredentials(as);
await revocation(as);
await resource(as);
await jwtBearer(as);
console.log("all checks passed");
