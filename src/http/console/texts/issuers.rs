//! Texts of the trusted issuers: the list, the overview and the danger zone.

type Text = &'static str;

pub(in super::super) const TITLE: Text = "Trusted issuers";
pub(in super::super) const SEARCH: Text = "Search names and issuers";
pub(in super::super) const SEARCH_BUTTON: Text = "Search";
pub(in super::super) const CLEAR: Text = "Show all issuers";
pub(in super::super) const NAME: Text = "Name";
pub(in super::super) const TRUSTED_FOR: Text = "Trusted for";
pub(in super::super) const APPS: Text = "Apps";
pub(in super::super) const STATE: Text = "State";
pub(in super::super) const NO_KIND: Text = "nothing yet";
pub(in super::super) const NO_APP: Text = "none";
pub(in super::super) const NONE_TITLE: Text = "The server trusts no other issuer yet";
pub(in super::super) const NONE: Text = "A trusted issuer, such as the identity provider of a company or a build platform, vouches for users or for jobs. Apps \
     present what it signs, and get access without asking the user.";
pub(in super::super) const NONE_FOUND_TITLE: Text = "No issuer fits";
pub(in super::super) const NONE_FOUND: Text = "Try a part of the name or of the address.";

pub(in super::super) const ID_JAG: Text = "Users";
pub(in super::super) const SUBJECT_TOKENS: Text = "Subject tokens";
pub(in super::super) const WORKLOADS: Text = "Workloads";
pub(in super::super) const TRUSTED: Text = "Trusted";
pub(in super::super) const EXPIRED: Text = "Expired";
pub(in super::super) const EXPIRES: Text = "Expires soon";
pub(in super::super) const ACCEPTS_NOTHING: Text = "Accepts nothing";

/// The number of apps that a row does not name.
pub(in super::super) fn more(count: usize) -> String {
    format!("and {count} more")
}

pub(in super::super) const ABOUT: Text = "What it is";
pub(in super::super) const ISSUER: Text = "Issuer";
pub(in super::super) const ENDS: Text = "Trust ends";
pub(in super::super) const NEVER: Text = "never";
pub(in super::super) const CHANGED: Text = "Last changed";
pub(in super::super) const TOKENS: Text = "Its tokens";
pub(in super::super) const KEYS: Text = "Public keys";
pub(in super::super) const KEYS_AT: Text = "fetched from";
pub(in super::super) const ALGORITHMS: Text = "Algorithms";
pub(in super::super) const LIFETIME: Text = "Longest lifetime";
pub(in super::super) const SKEW: Text = "Tolerated clock difference";
pub(in super::super) const USE: Text = "Each is good";
pub(in super::super) const ONCE: Text = "once";
pub(in super::super) const AGAIN: Text = "again and again until it expires";
pub(in super::super) const TENANT: Text = "Tenant";
pub(in super::super) const NO_TENANT: Text = "none: tokens that name one are refused";
pub(in super::super) const GLOBAL: Text = "May end all access of a user";
pub(in super::super) const ENDS_TITLE: Text = "Ends access of users";
pub(in super::super) const ENDS_HINT: Text =
    "By global token revocation, in every app, if the server offers it.";
pub(in super::super) const ENDS_EVERY_USER: Text =
    "It may end the access of every user that it can name.";
pub(in super::super) const MAY_END: Text = "It may end the access of ";
pub(in super::super) const ENDS_NO_USER: Text = "It may end the access of no user.";
pub(in super::super) const BY_SUBJECT: Text = "the sub of this server";
pub(in super::super) const BY_ADDRESS: Text = "the e-mail address of the host's directory";
pub(in super::super) const YES: Text = "yes";
pub(in super::super) const NO: Text = "no";
pub(in super::super) const NOTHING: Text = "The server accepts nothing from this issuer: it is trusted neither for users nor for workloads.";
pub(in super::super) const HAS_EXPIRED: Text =
    "The trust has expired. Nothing that this issuer signs is accepted.";

pub(in super::super) const ID_JAG_TITLE: Text = "Users, by identity assertion";
pub(in super::super) const ID_JAG_HINT: Text =
    "The issuer decides that an app may act for one of its users here (ID-JAG).";
pub(in super::super) const SUBJECT_TOKENS_TITLE: Text = "Users, by subject token";
pub(in super::super) const SUBJECT_TOKENS_HINT: Text = "An app exchanges a token of the issuer (RFC 8693). The delegation policy of the app decides, too.";
pub(in super::super) const FOUND_BY: Text = "The user is found by";
pub(in super::super) const BY_LINK: Text = "the link of the host, by iss and sub";
pub(in super::super) const BY_CLAIM: Text = "the claim";
pub(in super::super) const BY_EMAIL: Text = "the e-mail address, if the issuer has verified it";
pub(in super::super) const SCOPE: Text = "Scopes at most";
pub(in super::super) const OWN_SCOPE: Text = "those of the app";
pub(in super::super) const NO_SCOPE: Text = "none: each request is refused";
pub(in super::super) const RESOURCE: Text = "Has to name the API";
pub(in super::super) const WORKLOADS_TITLE: Text = "Workloads";
pub(in super::super) const WORKLOADS_HINT: Text =
    "A job or service that matches a rule gets the app's own token, without a user.";
pub(in super::super) const WORKLOAD_AUDIENCE: Text = "Their aud";
pub(in super::super) const THIS_SERVER: Text = "this server";
pub(in super::super) const APP: Text = "App";
pub(in super::super) const CLAIMS: Text = "Claims";
pub(in super::super) const ANY_CLAIMS: Text = "any";
pub(in super::super) const PROOF: Text = "The app proves itself by";
pub(in super::super) const ALONE: Text = "the token alone";
pub(in super::super) const WITH_CREDENTIALS: Text = "its own credentials, too";

/// Title, what happens, what can be undone, button.
pub(in super::super) const REVOKE: [Text; 4] = [
    "Revoke what it gave",
    "All access that apps were granted on the evidence of this issuer ends. The trust stays: apps may present new evidence at \
     once.",
    "Revoked access does not come back.",
    "Revoke its access",
];
pub(in super::super) const REMOVE: [Text; 4] = [
    "End the trust",
    "The server accepts nothing from this issuer any more, and all access that apps were granted on its evidence ends.",
    "Revoked access does not come back, and the settings of the issuer are removed. To end the trust and keep the settings, let \
     it expire. The audit log stays.",
    "End the trust",
];
pub(in super::super) const DERIVED: Text = "Tokens that other apps have exchanged for that access.";
pub(in super::super) const SECONDS: Text = "It ends at once at an API that asks this server, and within seconds at one that follows its revocations.";
pub(in super::super) const REVOKED: Text = "All access on the evidence of the issuer ended.";
pub(in super::super) const REMOVED: Text =
    "The issuer is trusted no longer, and all access on its evidence ended.";

/// Says whose access ends.
pub(in super::super) fn access_of(apps: usize) -> String {
    match apps {
        0 => "The access that apps still have from earlier settings of this issuer.".to_owned(),
        1 => "The access of 1 app on its evidence.".to_owned(),
        count => format!("The access of {count} apps on its evidence."),
    }
}
