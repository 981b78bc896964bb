// oidc-provider as the identity provider of a company: its users log in, its clients get ID tokens, access tokens as
// JWTs, and identity assertions (ID-JAG) for other authorization servers.
//
//     oidc_provider.mjs CERTIFICATE KEY CLIENT_ID
//
// It listens on a free port of the loopback interface, over TLS with the certificate and key of these PEM files, and
// prints one line of JSON with its issuer and process id. CLIENT_ID is the id of its client `acme-desktop` at the
// other authorization servers. The login page is left out: the user of `login_hint` is logged in. SIGHUP replaces its
// keys, SIGUSR2 takes its key set out of service or back, and SIGTERM ends it. It finds the libraries as
// oauth4webapi_client.mjs does.

import { randomUUID } from "node:crypto";
import { readFileSync } from "node:fs";
import { createServer } from "node:https";
import { dirname, join, resolve } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";

const here = dirname(fileURLToPath(import.meta.url));
const modules = process.env.INTEROP_NODE_MODULES ?? join(here, "../../target/interop/node_modules");
const library = (path) => import(pathToFileURL(resolve(modules, path)));

// Its warnings go to standard output, which is for the one line.
console.info = console.warn = console.error;
const { default: Provider, errors } = await library("oidc-provider/lib/index.js");
const jose = await library("jose/dist/webapi/index.js");

const [CERTIFICATE, KEY, CLIENT_ID] = process.argv.slice(2);
const EXCHANGE = "urn:ietf:params:oauth:grant-type:token-exchange";
const ID_JAG = "urn:ietf:params:oauth:token-type:id-jag";
const ID_TOKEN = "urn:ietf:params:oauth:token-type:id_token";
/** The lifetime of an identity assertion, in seconds. */
const LIFETIME = 300;

/** The provider. It is replaced as a whole. */
let current;
/** Whether its key set is out of service. */
let keysAreDown = false;

/** A provider with a new key. */
async function withNewKey(issuer) {
  const { privateKey } = await jose.generateKeyPair("ES256", { extractable: true });
  const key = { ...(await jose.exportJWK(privateKey)), kid: randomUUID(), alg: "ES256", use: "sig" };
  const provider = new Provider(issuer, {
    jwks: { keys: [key] },
    cookies: { keys: [randomUUID()] },
    clients: [{
      client_id: "acme-desktop",
      client_secret: "acme-desktop-secret-0123456789abcdefgh",
      token_endpoint_auth_method: "client_secret_post",
      grant_types: ["authorization_code", EXCHANGE],
      redirect_uris: ["http://127.0.0.1:49216/callback"],
      require_auth_time: true,
    }],
    clientDefaults: { id_token_signed_response_alg: "ES256" },
    claims: { email: ["email", "email_verified"] },
    conformIdTokenClaims: false,
    findAccount: (_, id) => ({
      accountId: id,
      claims: () => ({ sub: id, email: `${id}@example.com`, email_verified: true }),
    }),
    interactions: { url: (_, interaction) => `/login/${interaction.uid}` },
    // An administrator has decided for the users.
    async loadExistingGrant({ oidc }) {
      const { clientId } = oidc.client;
      const grant = new oidc.provider.Grant({ clientId, accountId: oidc.session.accountId });
      grant.addOIDCScope("openid email");
      for (const resource of [oidc.params.resource ?? []].flat()) grant.addResourceScope(resource, oidc.params.scope);
      await grant.save();
      return grant;
    },
    features: {
      devInteractions: { enabled: false },
      resourceIndicators: {
        enabled: true,
        // An access token for an API is a JWT for it.
        getResourceServerInfo: (_, resource) => ({
          audience: resource,
          scope: "files.list reports.read",
          accessTokenFormat: "jwt",
          accessTokenTTL: 600,
          jwt: { sign: { alg: "ES256" } },
        }),
      },
    },
  });
  const parameters = [
    "audience", "requested_token_type", "resource", "scope", "subject_token", "subject_token_type",
  ];
  provider.registerGrantType(EXCHANGE, (ctx) => issueIdJag(provider, key, ctx), parameters);
  return provider;
}

/** Exchanges an ID token for an identity assertion (draft-ietf-oauth-identity-assertion-authz-grant section 4.3). */
async function issueIdJag(provider, key, ctx) {
  const { client, params } = ctx.oidc;
  const asked = params.requested_token_type === ID_JAG && params.subject_token_type === ID_TOKEN;
  if (!asked || !params.audience) throw new errors.InvalidRequest("expected an ID token for an ID-JAG");
  const { payload: user } = await provider.IdToken.validate(params.subject_token, client).catch(() => {
    throw new errors.InvalidRequest("the ID token is not valid");
  });
  const now = Math.floor(Date.now() / 1000);
  if (user.exp <= now) throw new errors.InvalidRequest("the ID token has expired");
  const claims = {
    iss: provider.issuer,
    sub: user.sub,
    aud: params.audience,
    client_id: CLIENT_ID,
    jti: randomUUID(),
    iat: now,
    exp: now + LIFETIME,
    auth_time: user.auth_time,
    resource: params.resource || undefined,
    scope: params.scope,
  };
  const assertion = await new jose.SignJWT(claims)
    .setProtectedHeader({ alg: "ES256", kid: key.kid, typ: "oauth-id-jag+jwt" })
    .sign(await jose.importJWK(key));
  ctx.body = {
    access_token: assertion,
    issued_token_type: ID_JAG,
    token_type: "N_A",
    expires_in: LIFETIME,
    scope: params.scope,
  };
}

/** The user of the login hint is logged in, and goes back. */
async function logIn(request, response) {
  const { params } = await current.interactionDetails(request, response);
  await current.interactionFinished(request, response, { login: { accountId: params.login_hint } });
}

const server = createServer({ cert: readFileSync(CERTIFICATE), key: readFileSync(KEY) });
server.on("request", async (request, response) => {
  if (request.url.startsWith("/login/")) await logIn(request, response);
  else if (keysAreDown && request.url === "/jwks") response.writeHead(503).end();
  else await current.callback()(request, response);
});
server.listen(0, "127.0.0.1", async () => {
  const issuer = `https://127.0.0.1:${server.address().port}`;
  current = await withNewKey(issuer);
  process.on("SIGHUP", async () => {
    current = await withNewKey(issuer);
  });
  process.on("SIGUSR2", () => {
    keysAreDown = !keysAreDown;
  });
  process.on("SIGTERM", () => process.exit(0));
  console.log(JSON.stringify({ issuer, pid: process.pid }));
});
