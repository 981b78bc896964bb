//! Texts of the form of an app.

type Text = &'static str;

pub(in super::super) const YES: Text = "yes";
pub(in super::super) const NO: Text = "no";
pub(in super::super) const MISTAKES: Text = "Look at these fields again. Nothing was saved yet:";
pub(in super::super) const OPTIONAL: Text = "optional";

pub(in super::super) const THE_APP: Text = "The app";
pub(in super::super) const ABOUT: Text = "About the app";
pub(in super::super) const NAME: Text = "Name";
pub(in super::super) const NAME_HINT: Text = "Users see it when they are asked for access.";
pub(in super::super) const NAME_MISSING: Text = "Give the app a name.";
pub(in super::super) const DESCRIPTION: Text = "Description";
pub(in super::super) const DESCRIPTION_HINT: Text = "What it does, for users and administrators.";

pub(in super::super) const ACCESS_SECTION: Text = "How it gets tokens";
pub(in super::super) const FLOWS: Text = "Flows";
pub(in super::super) const FLOWS_MISSING: Text = "Choose at least one flow.";
pub(in super::super) const CODE: Text = "Authorization code";
pub(in super::super) const CODE_HINT: Text =
    "Users sign in and agree. Choose it for every app that people use.";
pub(in super::super) const JWT: Text = "JWT bearer";
pub(in super::super) const JWT_HINT: Text = "The app signs a statement and acts as a user without asking. Choose it for a backend that you trust.";
pub(in super::super) const MACHINE: Text = "Client credentials";
pub(in super::super) const MACHINE_HINT: Text =
    "The app acts for itself, without a user. Choose it for jobs and services.";
pub(in super::super) const DEVICE: Text = "Device code";
pub(in super::super) const DEVICE_HINT: Text = "A user types a code from a screen, such as a television's. Choose it only for devices without a browser: \
     strangers trick users into typing codes of the stranger's device.";
pub(in super::super) const EXCHANGE: Text = "Token exchange";
pub(in super::super) const EXCHANGE_HINT: Text = "The app presents a token that it got for a user, and gets one for another API. Choose it for an API that needs \
     another API.";
pub(in super::super) const AUTHENTICATION: Text = "How the app proves who it is";
pub(in super::super) const AUTHENTICATION_MISSING: Text = "Choose how the app proves who it is.";
/// Value, name, explanation.
pub(in super::super) const METHODS: [(Text, Text, Text); 5] = [
    ("client_secret", "Client secret", "It runs on a server that can keep a secret."),
    (
        "client_secret_basic",
        "Client secret, in the header only",
        "As above. A secret in the body is refused.",
    ),
    (
        "client_secret_post",
        "Client secret, in the body only",
        "As above. A secret in the header is refused.",
    ),
    ("private_key_jwt", "A key of its own", "It signs with a private key that never leaves it."),
    (
        "none",
        "Nothing: a public app",
        "It runs on a phone, on a desktop or in a browser, where no secret is safe.",
    ),
];
pub(in super::super) const CLIENT_KEYS: Text = "Public keys of the app";
pub(in super::super) const KEYS_HINT: Text =
    "PEM, a certificate, or a JWK Set. Never a private key.";
pub(in super::super) const KEYS_FILE: Text = "Or upload a file";
pub(in super::super) const KEYS_MISSING: Text =
    "Paste a public key, a certificate or a JWK Set, or upload one.";
pub(in super::super) const REFRESH: Text = "Refresh tokens";
pub(in super::super) const REFRESH_HINT: Text =
    "The app keeps its access without asking the user again, until the refresh token ends.";
pub(in super::super) const CONSENT: Text = "Users have to agree";
pub(in super::super) const CONSENT_HINT: Text =
    "Without it, users who are signed in give access without being asked. Only for your own apps.";
pub(in super::super) const REDIRECTS: Text = "Redirect URIs";
pub(in super::super) const REDIRECTS_HINT: Text = "One a line. The browser goes there with the code. Use https, http://127.0.0.1 for an app on \
     this machine, or a scheme of the app's own.";
pub(in super::super) const REDIRECTS_MISSING: Text =
    "Add at least one URI. Users return to it after they have agreed.";
pub(in super::super) const HOST_HINT: Text = "stands for each host name of this server:";
pub(in super::super) const HOST_NONE: Text =
    "stands for a host name of this server. None is configured, so such a URI matches nothing yet.";
pub(in super::super) const LOCALHOST: Text = "Also accept localhost";
pub(in super::super) const LOCALHOST_HINT: Text =
    "For apps that cannot use 127.0.0.1. A resolver may send localhost elsewhere.";
pub(in super::super) const CHECK: Text = "Check the URIs";
pub(in super::super) const UNDERSTOOD: Text = "Understood as";
pub(in super::super) const EXACT: Text = "exactly this address";
pub(in super::super) const LOOPBACK: Text = "any port on this machine";
pub(in super::super) const LOOPBACK_LOCALHOST: Text = "any port on this machine, also as localhost";
pub(in super::super) const TEMPLATE: Text = "your host names";
pub(in super::super) const OWN_SCHEME: Text = "an app on the device that has this scheme";
pub(in super::super) const LIFETIMES: Text = "Lifetimes";
pub(in super::super) const ACCESS: Text = "Access token";
pub(in super::super) const ACCESS_HINT: Text = "At most 30 days. Shorter is safer.";
pub(in super::super) const REFRESH_LIFETIME: Text = "Refresh token";
pub(in super::super) const REFRESH_LIFETIME_HINT: Text =
    "At most 730 days, from the user's consent. Then the user is asked again.";
pub(in super::super) const WHOLE_NUMBERS: Text = "Write whole numbers, or leave a box empty.";

pub(in super::super) const SCOPES: Text = "Scopes";
pub(in super::super) const SCOPES_HINT: Text =
    "The most that the app may do. A request can ask for less.";
pub(in super::super) const OTHER_GROUP: Text = "Other";
pub(in super::super) const OTHER_SCOPES: Text = "Other scopes";
pub(in super::super) const OTHER_SCOPES_HINT: Text = "One a line: scopes that the catalog of the API does not list, or wider ones such as */files/*.";

pub(in super::super) const JWT_SECTION: Text = "JWT bearer";
pub(in super::super) const JWT_WARNING: Text =
    "With this flow the app can act as users. Name them narrowly below.";
pub(in super::super) const JWT_ISSUER: Text = "Issuer";
pub(in super::super) const JWT_ISSUER_HINT: Text = "Empty means the client id.";
pub(in super::super) const JWT_AUDIENCE: Text = "Audience";
pub(in super::super) const JWT_AUDIENCE_HINT: Text = "Empty means the address of this server.";
pub(in super::super) const JWT_SIGNED_BY: Text = "The app signs with";
pub(in super::super) const JWT_BY_SECRET: Text = "The signature secret";
pub(in super::super) const JWT_BY_SECRET_HINT: Text = "HS256. You get it with the client id.";
pub(in super::super) const JWT_BY_KEYS: Text = "A private key of its own";
pub(in super::super) const JWT_BY_KEYS_HINT: Text =
    "You give its public key to this server, below.";
pub(in super::super) const JWT_KEYS: Text = "Public keys for assertions";
pub(in super::super) const JWT_CLAIM: Text = "Claim that names the user";
pub(in super::super) const JWT_CLAIM_HINT: Text = "Usually sub, or email.";
pub(in super::super) const JWT_ALONE: Text = "The signed statement alone is enough";
pub(in super::super) const JWT_ALONE_HINT: Text =
    "The app sends no other credential. Needs public keys; a public app has to use it.";
pub(in super::super) const JWT_REFRESH: Text = "Also give a refresh token";
pub(in super::super) const JWT_REFRESH_HINT: Text =
    "Rarely needed: the app can sign a new statement at any time.";
pub(in super::super) const JWT_ALLOW: Text = "Users that the app may act as";
pub(in super::super) const JWT_NO_USER: Text = "None";
pub(in super::super) const JWT_MEMBERS: Text = "These users and groups";
pub(in super::super) const JWT_ANYONE: Text = "Every active user";
pub(in super::super) const JWT_SUBJECTS: Text = "Users";
pub(in super::super) const JWT_GROUPS: Text = "Groups";
pub(in super::super) const JWT_EXCEPT_SUBJECTS: Text = "Except these users";
pub(in super::super) const JWT_EXCEPT_GROUPS: Text = "Except members of these groups";
pub(in super::super) const EXCHANGE_SECTION: Text = "Exchanged tokens";
pub(in super::super) const EXCHANGE_WARNING: Text =
    "With this flow the app acts for users at other APIs. Name apps, APIs and users narrowly.";
pub(in super::super) const EXCHANGE_APPS: Text = "Apps whose tokens it may exchange";
pub(in super::super) const EXCHANGE_APPS_HINT: Text = "One client id a line.";
pub(in super::super) const EXCHANGE_TARGETS: Text = "APIs that it gets tokens for";
pub(in super::super) const EXCHANGE_TARGETS_HINT: Text = "One URI a line, as the API knows itself.";
pub(in super::super) const EXCHANGE_ID_JAG: Text =
    "Other authorization servers that it gets identity assertions for";
pub(in super::super) const EXCHANGE_ID_JAG_HINT: Text = "One server a line: its issuer, the client id of the app there, then the scopes it may ask for there, and its APIs as api=URI.";
pub(in super::super) const EXCHANGE_ALLOW: Text = "Users whose tokens it may exchange";
pub(in super::super) const EXCHANGE_ISSUERS: Text = "Trusted issuers whose tokens it may exchange";
pub(in super::super) const EXCHANGE_ISSUERS_HINT: Text =
    "One iss a line. The settings of the issuer have to name the app, too.";
pub(in super::super) const EXCHANGE_IMPERSONATED: Text =
    "Also tokens with which an app acts as a user";
pub(in super::super) const EXCHANGE_IMPERSONATED_HINT: Text =
    "Without it, the user has to have given the app access in person.";
pub(in super::super) const EXCHANGE_ACTORS: Text = "Other apps that may act";
pub(in super::super) const EXCHANGE_ACTORS_HINT: Text = "One client id a line. Each proves itself by a token of its own. The app itself may always act.";
pub(in super::super) const EXCHANGE_MAX_ACTORS: Text = "Most actors in a chain";
pub(in super::super) const EXCHANGE_MAX_ACTORS_HINT: Text = "1 to 4, this app included.";
pub(in super::super) const EXCHANGE_MAX_ACTORS_WRONG: Text = "Write a whole number from 1 to 4.";
pub(in super::super) const ONE_A_LINE: Text = "One a line.";

pub(in super::super) const SECURITY_ONLY: Text =
    "Your role may not change this. An administrator who may manage credentials and access can.";
pub(in super::super) const NEEDS_SECURITY: Text = "Your role may not change this. Put it back to save the rest, or ask an administrator who may manage \
     credentials and access.";
pub(in super::super) const FLOW_NEEDS_SECURITY: Text = "Your role may not let an app act as users by JWT bearer or token exchange. Ask an administrator who may manage \
     credentials and access.";

pub(in super::super) const NEW_TITLE: Text = "New app";
pub(in super::super) const ADD: Text = "Add application";
pub(in super::super) const SAVE: Text = "Save settings";
pub(in super::super) const CANCEL: Text = "Cancel";
pub(in super::super) const DECLARED: Text = "The configuration of the host manages this app. It replaces what you change here when it is \
     applied again.";

/// Returns a clause such as `must be 1 to 600 seconds` as a sentence.
pub(in super::super) fn sentence(clause: &str) -> String {
    let mut characters = clause.chars();
    let first = characters.next().map(|first| first.to_uppercase().to_string());
    format!("{}{}.", first.unwrap_or_default(), characters.as_str().trim_end_matches('.'))
}

/// Returns a sentence about a setting that the form does not show.
pub(in super::super) fn other_field(name: &str, problem: &str) -> String {
    format!("The setting {name} {problem}.")
}

/// The problem of a line with a name, as a clause.
pub(in super::super) const SPACE_AROUND: &str = "it begins or ends with a space";

pub(in super::super) fn line(number: usize, text: &str, problem: &str) -> String {
    format!("Line {number}, {}: {problem}.", shortened(text))
}

pub(in super::super) fn redirect(number: usize, uri: &str, problem: &str) -> String {
    let advice = match problem {
        "http is allowed on loopback only" => {
            " Use https, or http://127.0.0.1 for an app on this machine."
        }
        "localhost must be allowed expressly" => " Use 127.0.0.1, or tick the box below.",
        "it is relative" => " Begin with https://.",
        "it has a wildcard" => " Write each address in full.",
        _ => "",
    };
    format!("{}{advice}", line(number, uri, problem))
}

pub(in super::super) fn scope(number: usize, token: &str, problem: &str) -> String {
    if number == 0 {
        format!("{}: {problem}.", shortened(token))
    } else {
        line(number, token, problem)
    }
}

/// Returns the beginning of a text, for a sentence.
fn shortened(text: &str) -> String {
    let mut short: String = text.chars().take(60).collect();
    if short.len() < text.len() {
        short.push('\u{2026}');
    }
    short
}

/// Returns the name of a unit of a lifetime.
pub(in super::super) fn unit(name: &str) -> &'static str {
    match name {
        "days" => "days",
        "hours" => "hours",
        "minutes" => "minutes",
        _ => "seconds",
    }
}

/// Returns the target on the page of a link to a field.
pub(in super::super) fn anchor(field: &str) -> &str {
    match field {
        "access" => "access_days",
        "refresh" => "refresh_days",
        "max_lifetime" => "max_lifetime_days",
        other => other,
    }
}
