//! Texts of the playground. Those that its script shows are in [`WORDS`].

type Text = &'static str;

pub(in super::super) const TITLE: Text = "Playground";
pub(in super::super) const INTRODUCTION: Text = "Get a token as an app does, look into it, and call the API with it. Every request is sent by this browser, \
     and each is shown as it was sent.";
pub(in super::super) const APP_NAME: Text = "Playground";
pub(in super::super) const APP_DESCRIPTION: Text =
    "Tries requests out from the administrators' console.";
pub(in super::super) const NEEDS_SCRIPT: Text = "This page needs its script: requests are sent by the browser, and tokens stay in it. Allow scripts for this \
     site, and reload the page.";

// The apps to pick from.
pub(in super::super) const PICK: Text = "Pick an app";
pub(in super::super) const OWN_APP: Text = "The playground's own app, live in this browser";
pub(in super::super) const MORE_APPS: Text = "There are more apps: search for one.";
pub(in super::super) const PROGRAMS: Text = "Programs that get a token for this app. Secrets and keys come from the environment: OAUTH_CLIENT_SECRET, \
     OAUTH_SIGNATURE_SECRET, and OAUTH_CLIENT_KEY_FILE and OAUTH_ASSERTION_KEY_FILE for the paths of PEM files.";
pub(in super::super) const OTHER_DISABLED: Text =
    "The app is disabled: every request is refused until it is enabled.";

// The app of the playground.
pub(in super::super) const NO_APP_TITLE: Text = "The playground needs an app of its own";
pub(in super::super) const NO_APP: Text = "It is a public app for the code flow with PKCE, without a secret. Its tokens are like those of any app: users \
     consent, and its grants are listed, audited and revoked.";
pub(in super::super) const APP_DISABLED: Text =
    "The playground's app is disabled. Enable it on its page.";
pub(in super::super) const APP_OTHER: Text = "The app with the playground's client id is not a public app with the code flow. Change its settings, or delete \
     it and register it here.";
pub(in super::super) const APP_REDIRECT: Text = "The playground's app does not have the redirect URI of this console. Add it in the settings of the app:";
pub(in super::super) const APP_UNASKED: Text = "Users of the playground's app are not asked whether they agree. Let them be asked, in the settings of the app.";
pub(in super::super) const NO_ORIGIN: Text = "The playground needs a console that browsers reach by https, or on this machine. Here they reach it by plain http.";
pub(in super::super) const NO_ENDPOINTS: Text = "The playground needs an authorization endpoint and a token endpoint. The host has not mounted both.";
pub(in super::super) const REGISTER: Text = "Register the playground's app";
pub(in super::super) const ASK: Text = "Ask an administrator who may edit apps to register it.";
pub(in super::super) const TO_APP: Text = "Open the app";

// The request.
pub(in super::super) const REQUEST: Text = "Request";
pub(in super::super) const APP: Text = "App";
pub(in super::super) const USER: Text = "User";
pub(in super::super) const SIGNED_IN: Text =
    "the one who is signed in at the server, in this browser";
pub(in super::super) const REDIRECT: Text = "Redirect URI";
pub(in super::super) const SCOPES: Text = "Scopes";
pub(in super::super) const NO_SCOPES: Text =
    "The app has no scopes. Without scopes a token opens nothing: add some on the page of the app.";
pub(in super::super) const RESOURCE: Text = "API";
pub(in super::super) const NO_RESOURCE: Text = "the app's default";
pub(in super::super) const START: Text = "Get a token";
pub(in super::super) const START_HINT: Text =
    "A window opens where you sign in and agree. It closes when you are back.";

// The exchange.
pub(in super::super) const EXCHANGE: Text = "Exchange";
pub(in super::super) const NOTHING_YET: Text = "Nothing was sent yet.";
pub(in super::super) const TOKEN: Text = "Access token";
pub(in super::super) const REFRESH: Text = "Refresh";
pub(in super::super) const REVOKE: Text = "Revoke";
pub(in super::super) const FORGET: Text = "Forget everything";
pub(in super::super) const INTROSPECTION: Text = "Introspection";
pub(in super::super) const INTROSPECT: Text = "Introspect";
pub(in super::super) const NO_INTROSPECTION: Text = "The introspection endpoint answers APIs that authenticate (RFC 7662 section 2.1), and the playground's public app has \
     nothing to authenticate with. The console asks the server for it, and shows the same answer. An API with a client of its own asks:";

// The API.
pub(in super::super) const CALL: Text = "Call the API";
pub(in super::super) const NO_CATALOG: Text = "The host has no catalog of its API.";
pub(in super::super) const ORIGIN: Text = "Server of the API";
pub(in super::super) const NEEDED: Text = "Needed scope";
pub(in super::super) const CONTENT_TYPE: Text = "Content type of the body";
pub(in super::super) const BODY: Text = "Body";
pub(in super::super) const SEND: Text = "Send";
pub(in super::super) const REST: Text = "Other endpoints";

// The callback.
pub(in super::super) const CALLBACK_TITLE: Text = "Back from the server";
pub(in super::super) const CALLBACK: Text =
    "The answer goes to the page of the playground. This needs the script of this page.";

/// The texts that the script shows, by name. Those that begin with `claim-` and `header-` explain a token.
pub(in super::super) const WORDS: &[(&str, Text)] = &[
    ("folded", "(folded)"),
    ("unfold", "Show the folded values"),
    ("fold", "Fold them"),
    ("answer", "Answer"),
    (
        "no-crypto",
        "This browser computes PKCE only on https or on this machine. Open the console there.",
    ),
    (
        "elsewhere",
        "This page is not at the address of the redirect URI, so the answer could not come back. Open the console there:",
    ),
    ("authorize", "Authorization request"),
    (
        "authorize-said",
        "A window opens at the authorization endpoint. The verifier of PKCE stays in this page; the server gets its digest.",
    ),
    ("authorize-link", "If no window opened, open it here"),
    ("back", "Authorization response"),
    (
        "back-code",
        "The browser came back with a code. Its state is the one that this page made, and iss names this server.",
    ),
    ("back-error", "The server sent an error instead of a code:"),
    ("back-state", "Refused: the state is not the one that this page made."),
    (
        "back-iss",
        "Refused: iss does not name this server, so the code may be one of another server (RFC 9207).",
    ),
    ("redeem", "Token request"),
    (
        "redeem-said",
        "The server exchanged the code and the verifier for a token. The code is used up.",
    ),
    ("refresh", "Refresh"),
    ("refresh-said", "The server gave new tokens. The old refresh token is used up."),
    ("revoke", "Revocation"),
    (
        "revoke-said",
        "The server ended the grant. APIs refuse the access token as soon as they learn of it, which may take a moment.",
    ),
    ("introspect", "Introspection, by the console"),
    (
        "introspect-active",
        "The token is active. This is what an API learns that may see all of it.",
    ),
    (
        "introspect-inactive",
        "The token is not active: it has expired, was used up, or was revoked.",
    ),
    ("refused", "The server refused:"),
    (
        "unreachable",
        "The browser got no answer that it may read. The server is not reachable, its CORS rules do not allow this page, or it redirected.",
    ),
    ("call", "Call of the API"),
    ("allowed", "Allowed. The token has the scope that this endpoint needs:"),
    ("missing", "Refused: the token lacks the scope"),
    ("unauthorized", "Refused: the API does not accept the token."),
    ("no-token", "Get a token first."),
    ("fill", "Fill in every part of the path. A part cannot be a dot or two."),
    (
        "other-status",
        "The API answered with another status. The scope decides only between 2xx and 403.",
    ),
    ("status", "Status"),
    ("needed", "Needed scope"),
    ("granted", "Granted scope"),
    ("none", "none"),
    ("reason", "Reason"),
    ("cut", "(the rest is left out)"),
    ("opaque", "The token is not a JWT, so that only the server can read it."),
    (
        "unverified",
        "This page does not check the signature. APIs do, with the server's public keys.",
    ),
    ("got", "There is a token. It is in the memory of this page only, and ends with the page."),
    ("gone", "Everything is forgotten. The grant lives on until it is revoked or expires."),
    ("taken", "The playground has the answer. You can close this window."),
    (
        "late",
        "The page of the playground does not answer. It was closed, or it waits for another answer. Start again there.",
    ),
    ("stray", "This is not an answer that the playground asked for."),
    ("header-alg", "Signature algorithm"),
    ("header-typ", "Type: at+jwt is an access token (RFC 9068)"),
    ("header-kid", "The key that signed, of the server's JWK Set"),
    ("claim-iss", "Issuer: the server that made the token"),
    ("claim-sub", "Subject: the user, or the app itself"),
    ("claim-aud", "Audience: the APIs that may accept the token"),
    ("claim-client_id", "The app that got the token"),
    ("claim-scope", "Scope: what the token allows"),
    ("claim-exp", "Expires"),
    ("claim-iat", "Issued"),
    ("claim-nbf", "Not valid before"),
    ("claim-jti", "Unique id of the token"),
    ("claim-auth_time", "The user's last login"),
    ("claim-act", "Actor: the app that acts as the user"),
    ("claim-acr", "How strongly the user logged in"),
    ("claim-amr", "By which means the user logged in"),
    ("claim-sid", "Session of the login"),
    ("claim-cnf", "The key or certificate that the token is bound to"),
    ("claim-other", "A claim of this server or its host"),
];
