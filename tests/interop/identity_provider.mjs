// A client of the identity provider in oidc_provider.mjs, with oauth4webapi: a login of one of its users, and the
// exchange of the ID token for an identity assertion.

import { webcrypto } from "node:crypto";
import { dirname, join, resolve } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import { Browser } from "./browser.mjs";

// Node 18 does not have it in all contexts.
globalThis.crypto ??= webcrypto;

const here = dirname(fileURLToPath(import.meta.url));
const modules = process.env.INTEROP_NODE_MODULES ?? join(here, "../../target/interop/node_modules");
const oauth = await import(pathToFileURL(resolve(modules, "oauth4webapi/build/index.js")));

const EXCHANGE = "urn:ietf:params:oauth:grant-type:token-exchange";
const ID_JAG = "urn:ietf:params:oauth:token-type:id-jag";
const REDIRECT = "http://127.0.0.1:49216/callback";
export const CLIENT = { client_id: "acme-desktop" };
export const SECRET = "acme-desktop-secret-0123456789abcdefgh";

export class IdentityProvider {
  /** Finds the endpoints by the metadata of OpenID Connect. */
  static async at(issuer) {
    const found = new IdentityProvider();
    const response = await oauth.discoveryRequest(new URL(issuer));
    found.as = await oauth.processDiscoveryResponse(new URL(issuer), response);
    return found;
  }

  /** Logs a user in, for an API if `resource` names one. Answers with the ID token and the access token. */
  async logIn(user, resource, scope = "files.list") {
    const verifier = oauth.generateRandomCodeVerifier();
    const state = oauth.generateRandomState();
    const url = new URL(this.as.authorization_endpoint);
    url.search = new URLSearchParams({
      response_type: "code",
      client_id: CLIENT.client_id,
      redirect_uri: REDIRECT,
      scope: resource ? `openid email ${scope}` : "openid email",
      state,
      login_hint: user,
      code_challenge: await oauth.calculatePKCECodeChallenge(verifier),
      code_challenge_method: "S256",
      ...(resource ? { resource } : {}),
    });
    const location = await new Browser(REDIRECT).open(url);
    const parameters = oauth.validateAuthResponse(this.as, CLIENT, location, state);
    const more = resource ? { additionalParameters: { resource } } : undefined;
    const response = await oauth.authorizationCodeGrantRequest(
      this.as, CLIENT, oauth.ClientSecretPost(SECRET), parameters, REDIRECT, verifier, more);
    return oauth.processAuthorizationCodeResponse(this.as, CLIENT, response, { requireIdToken: true });
  }

  /** Exchanges an ID token for an identity assertion. */
  async idJag(idToken, parameters) {
    const response = await oauth.genericTokenEndpointRequest(
      this.as, CLIENT, oauth.ClientSecretPost(SECRET), EXCHANGE, new URLSearchParams({
        requested_token_type: ID_JAG,
        subject_token: idToken,
        subject_token_type: "urn:ietf:params:oauth:token-type:id_token",
        ...parameters,
      }));
    const answer = await oauth.processGenericTokenEndpointResponse(
      this.as, CLIENT, response, { recognizedTokenTypes: { n_a: () => {} } });
    if (answer.issued_token_type !== ID_JAG) throw new Error("the answer is no ID-JAG");
    return answer.access_token;
  }
}
