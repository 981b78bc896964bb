// The story that every client of the MCP server goes through, and the provider that the SDKs ask for credentials.
//
//     CLIENT MCP_URL USER IDENTITY
//
// MCP_URL is the MCP server of a running `examples/mcp_server`, USER logs in with the password in MCP_PASSWORD, and
// IDENTITY is `registered=ID`, `document=URL` or `register`. Each program prints one line for each check and ends with
// a non-zero status at the first failure. No line shows a secret. It finds the libraries in INTEROP_NODE_MODULES, or
// where .ci/install puts them.

import { dirname, join, resolve } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import { randomBytes } from "node:crypto";
import { Browser } from "../browser.mjs";

const here = dirname(fileURLToPath(import.meta.url));
export const modules =
  resolve(process.env.INTEROP_NODE_MODULES ?? join(here, "../../../target/interop/node_modules"));
export const library = (path) => import(pathToFileURL(join(modules, path)));

export const [MCP, USER, IDENTITY] = process.argv.slice(2);
export const REDIRECT = "http://127.0.0.1:49214/callback";
export const READ = "notes.read";
export const BOTH = "notes.read notes.write";

const [kind, value] = (IDENTITY ?? "").split(/=(.*)/s);
if (!["registered", "document", "register"].includes(kind)) throw new Error("no identity");
export const identity = { kind, value };

export function check(what, holds) {
  console.log(`${holds ? "ok    " : "FAILED "}${what}`);
  if (!holds) process.exit(1);
}

export const words = (scope) => (scope ?? "").split(" ").sort().join(" ");

const browser = new Browser(REDIRECT);

/** Logs in and allows everything. Answers with the parameters of the redirect. */
export async function allow(url, redirectUri) {
  const own = redirectUri === undefined ? browser : new Browser(redirectUri);
  const answer = await own.open(url, USER, process.env.MCP_PASSWORD, "approve");
  return redirectUri === undefined ? answer.searchParams : answer;
}

/** The provider of credentials, as the SDKs define it, in memory. */
export class Provider {
  tokenSet;
  /** A registered client belongs to the authorization server that it was registered at. */
  client = kind === "registered" ? { client_id: value, issuer: new URL(MCP).origin } : undefined;
  verifier;
  discovered;
  /** The authorization URLs that a user was sent to. */
  asked = [];
  /** The answer to the last one. */
  answer;

  get redirectUrl() {
    return REDIRECT;
  }

  get clientMetadataUrl() {
    return kind === "document" ? value : undefined;
  }

  get clientMetadata() {
    return {
      client_name: "Notes by an SDK",
      redirect_uris: [REDIRECT],
      grant_types: ["authorization_code", "refresh_token"],
      response_types: ["code"],
      token_endpoint_auth_method: "none",
    };
  }

  state() {
    this.sent = randomBytes(16).toString("hex");
    return this.sent;
  }

  clientInformation() {
    return this.client;
  }

  saveClientInformation(information) {
    this.client = information;
  }

  tokens() {
    return this.tokenSet;
  }

  saveTokens(tokens) {
    this.tokenSet = tokens;
  }

  async redirectToAuthorization(url) {
    this.asked.push(url);
    this.answer = await allow(url);
  }

  saveCodeVerifier(verifier) {
    this.verifier = verifier;
  }

  codeVerifier() {
    return this.verifier;
  }

  saveDiscoveryState(state) {
    this.discovered = state;
  }

  discoveryState() {
    return this.discovered;
  }

  /** The scope of the last authorization request. */
  get askedScope() {
    return words(this.asked.at(-1).searchParams.get("scope"));
  }

  /** Checks the redirect of the last authorization request, and answers with its code. */
  takeCode() {
    check("the state comes back", this.answer.get("state") === this.sent);
    check("the redirect names the issuer", this.answer.get("iss") !== null);
    return this.answer;
  }

  /** Makes the access token one that the server refuses, so that the SDK refreshes. */
  spoil() {
    const before = this.tokenSet;
    check("there is a refresh token", typeof before.refresh_token === "string");
    this.tokenSet = { ...before, access_token: `${before.access_token.slice(0, -4)}AAAA` };
    return before;
  }
}

/** The text of a tool's result. */
export const textOf = (result) => result.content?.[0]?.text ?? "";

/** Checks that the login whose URL this is was one by the book. */
export function checkRequest(url) {
  const asked = (name) => url.searchParams.get(name);
  check("the challenge names the scope to begin with", asked("scope") === READ);
  check("the resource is the MCP server", asked("resource") === MCP);
  check("the request has PKCE", asked("code_challenge_method") === "S256");
  if (kind === "document") check("the client id is the document", asked("client_id") === value);
}
