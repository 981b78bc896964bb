//! Texts of the form of a trusted issuer.

type Text = &'static str;

pub(in super::super) const NEW: Text = "New issuer";
pub(in super::super) const ADD: Text = "Trust this issuer";
pub(in super::super) const SAVE: Text = "Save settings";
pub(in super::super) const CANCEL: Text = "Cancel";
pub(in super::super) const ADDED: Text = "The issuer is trusted.";
pub(in super::super) const MAY_NOT_EDIT: Text =
    "An administrator who may manage credentials and access can change these settings.";
pub(in super::super) const CONFLICT: Text = "Another administrator has changed this issuer since you opened the page. Nothing was saved, and nothing \
     that you typed is lost.";

pub(in super::super) const THE_ISSUER: Text = "The issuer";
pub(in super::super) const ABOUT: Text = "About the issuer";
pub(in super::super) const NAME: Text = "Name";
pub(in super::super) const NAME_HINT: Text = "For administrators.";
pub(in super::super) const NAME_MISSING: Text = "Give the issuer a name.";
pub(in super::super) const ISSUER: Text = "Issuer";
pub(in super::super) const ISSUER_HINT: Text =
    "Exactly as its tokens name it, also with a slash at the end. It cannot be changed later.";
pub(in super::super) const ISSUER_FIXED: Text =
    "Exactly as its tokens name it. To trust another one, add it.";
pub(in super::super) const ISSUER_MISSING: Text = "Write the iss of the issuer's tokens.";
pub(in super::super) const ISSUER_KNOWN: Text =
    "The server trusts this issuer already. Edit its settings instead.";
pub(in super::super) const EXPIRES: Text = "Trust ends";
pub(in super::super) const EXPIRES_HINT: Text = "Such as 2027-01-31 12:00, in UTC. Empty means never. Access that was granted before stays until it ends.";
pub(in super::super) const EXPIRES_WRONG: Text =
    "Write a day, or a day and a time, such as 2027-01-31 12:00.";

pub(in super::super) const TOKENS: Text = "Its tokens";
pub(in super::super) const KEYS: Text = "Public keys";
pub(in super::super) const KEYS_HINT: Text = "The https URL at which the issuer publishes its keys (jwks_uri), or PEM, a certificate or a JWK Set. Never a \
     private key.";
pub(in super::super) const KEYS_MISSING: Text =
    "Write the URL of the keys, paste a public key, a certificate or a JWK Set, or upload one.";
pub(in super::super) const ALGORITHMS: Text = "Algorithms";
pub(in super::super) const ALGORITHMS_HINT: Text =
    "Only those that the issuer signs with. Tokens with another one are refused.";
pub(in super::super) const ALGORITHMS_MISSING: Text = "Choose at least one algorithm.";
pub(in super::super) const LIFETIME: Text = "Longest lifetime";
pub(in super::super) const LIFETIME_HINT: Text =
    "At most a day. Tokens that live longer are refused.";
pub(in super::super) const SKEW: Text = "Tolerated clock difference, in seconds";
pub(in super::super) const SKEW_HINT: Text = "0 to 300.";
pub(in super::super) const SKEW_WRONG: Text = "Write a whole number from 0 to 300.";
pub(in super::super) const REUSE: Text = "Each token is good until it expires";
pub(in super::super) const REUSE_HINT: Text = "Without it, a token is good once and needs a jti. Platforms that put the token of a workload into a file need it, \
     and most clients that exchange tokens. The price: a stolen token works until it expires.";
pub(in super::super) const TENANT: Text = "Tenant";
pub(in super::super) const TENANT_HINT: Text = "If the issuer has several: the claim of its tokens about users has to be equal. Empty means that tokens which name one are refused.";
pub(in super::super) const ID_JAG: Text = "Users, by identity assertion";
pub(in super::super) const ID_JAG_ON: Text = "Trust it for identity assertions";
pub(in super::super) const ID_JAG_HINT: Text = "The identity provider decides that an app may act for one of its users here (ID-JAG). The user is not asked.";
pub(in super::super) const SUBJECT_TOKENS: Text = "Users, by subject token";
pub(in super::super) const SUBJECT_TOKENS_ON: Text = "Trust it for subject tokens";
pub(in super::super) const SUBJECT_TOKENS_HINT: Text = "An app exchanges an access token or ID token of the issuer (RFC 8693). The app also needs the issuer in its \
     own settings of token exchange.";
pub(in super::super) const APPS: Text = "Apps";
pub(in super::super) const APPS_HINT: Text = "One client id a line. Each also needs the flow.";
pub(in super::super) const APPS_MISSING: Text =
    "Name at least one app, or trust the issuer not for this.";
pub(in super::super) const USER_CLAIM: Text = "Claim that names the user";
pub(in super::super) const USER_CLAIM_HINT: Text = "After the link of the host. aud_sub and sub are subjects of this server; others are looked up. Empty means by link \
     only.";
pub(in super::super) const CLAIM_IS_EMAIL: Text = "For e-mail addresses, leave this empty and tick the box below: the issuer has to have verified the address.";
pub(in super::super) const BY_EMAIL: Text = "Also by e-mail address";
pub(in super::super) const BY_EMAIL_HINT: Text =
    "If the issuer has verified it. The price: who chooses addresses there can become a user here.";
pub(in super::super) const REQUIRES_RESOURCE: Text = "Each has to name the API";
pub(in super::super) const REQUIRES_RESOURCE_HINT: Text =
    "By its claim resource, as enterprise-managed authorization of MCP servers demands.";

pub(in super::super) const WORKLOADS: Text = "Workloads";
pub(in super::super) const WORKLOADS_ON: Text = "Trust it for workloads";
pub(in super::super) const WORKLOADS_HINT: Text = "A job or service presents the token of its platform, and gets the app's own token, without a user.";
pub(in super::super) const AUDIENCE: Text = "Audience of their tokens";
pub(in super::super) const AUDIENCE_HINT: Text = "Empty means the address of this server.";
pub(in super::super) const RULE_APP: Text = "App";
pub(in super::super) const RULE_APP_HINT: Text = "Without app and subject, the rule is removed.";
pub(in super::super) const SUBJECT: Text = "Subject";
pub(in super::super) const SUBJECT_HINT: Text =
    "Such as repo:acme/*:ref:refs/heads/main. A * is a whole segment, at the end one or more.";
pub(in super::super) const CLAIMS: Text = "Claims that have to be equal";
pub(in super::super) const CLAIMS_HINT: Text = "One a line, such as repository_owner_id = 65. Names can be given to another owner: pin the id beside them.";
pub(in super::super) const NOT_A_CLAIM: Text = "it is not like repository_owner_id = 65";
pub(in super::super) const CLAIMS_RANGE: Text =
    "Write at most 16 claims, with names of 1 to 64 bytes and values of 1 to 255 bytes.";
pub(in super::super) const ALONE: Text = "The token alone proves the app";
pub(in super::super) const ALONE_HINT: Text =
    "Without it, a confidential app also presents its own credentials. A public app needs it.";
pub(in super::super) const LIMITED: Text = "Only some scopes of the app";
pub(in super::super) const LIMITED_HINT: Text = "The most that the workload gets.";
pub(in super::super) const RULE_SCOPE: Text = "Scopes";
pub(in super::super) const RULE_SCOPE_HINT: Text = "With spaces or lines between.";
pub(in super::super) const MORE: Text = "Add another rule";
pub(in super::super) const ENDS: Text = "The end of access";
pub(in super::super) const GLOBAL: Text = "It may end all access of a user";
pub(in super::super) const GLOBAL_HINT: Text = "By global token revocation, in every app, if the server offers it. The issuer names a user by its own sub, which the host links to a user here.";
pub(in super::super) const ENDS_BY_SUBJECT: Text = "Also by the sub of this server";
pub(in super::super) const ENDS_BY_SUBJECT_HINT: Text =
    "The price: without a list of users below, it may end the access of every user.";
pub(in super::super) const ENDS_BY_EMAIL: Text = "Also by e-mail address, to end access";
pub(in super::super) const ENDS_BY_EMAIL_HINT: Text = "That of the host's directory. The price: without a list of users below, it may end the access of every user with an address.";
pub(in super::super) const ENDS_LIMITED: Text = "Only some users";
pub(in super::super) const ENDS_LIMITED_HINT: Text =
    "Each name is then good for these users alone. An issuer with several tenants needs it.";
pub(in super::super) const ENDS_LIST_EMPTY: Text =
    "List a user or a group, or let the issuer end the access of all that it can name.";
pub(in super::super) const RULES_MISSING: Text =
    "Write a rule, or trust the issuer not for workloads.";

/// Returns the name of a rule.
pub(in super::super) fn rule(number: usize) -> String {
    format!("Rule {number}")
}

pub(in super::super) fn yes(value: bool) -> String {
    if value { super::app_form::YES } else { super::app_form::NO }.to_owned()
}

/// Says that an app does not exist.
pub(in super::super) fn unknown_app(client_id: &str) -> String {
    format!("There is no app {client_id}.")
}
