//! Texts of *Check evidence* of a trusted issuer. A pattern has places for names in braces.

use super::impersonation;
use crate::app::policy::EvidenceKind;

type Text = &'static str;

pub(in super::super) const INTRODUCTION: Text = "You see the answer that the app would get from the token endpoint, and the rule that decides. Nothing is issued, and \
     the token can still be used.";
pub(in super::super) const MAY_NOT_ASK: Text = "An administrator who may edit apps can check a token here: the answer tells about the user's account.";
pub(in super::super) const APP: Text = "App that presents it";
pub(in super::super) const APP_HINT: Text =
    "Its client id. The credentials of the app are not asked for.";
pub(in super::super) const APP_MISSING: Text = "Write the client id of an app.";
pub(in super::super) const PRESENTED_AS: Text = "How the app presents it";
pub(in super::super) const PRESENTED_AS_MISSING: Text = "Choose how the app presents the token.";
pub(in super::super) const ASSERTION: Text = "assertion";
pub(in super::super) const JWT: Text = "jwt";
pub(in super::super) const ID_TOKEN: Text = "id_token";
pub(in super::super) const ACCESS_TOKEN: Text = "access_token";
/// Value, name, hint.
pub(in super::super) const CHOICES: [(Text, Text, Text); 4] = [
    (
        ASSERTION,
        "As an assertion",
        "An identity assertion about a user, or the token of a workload.",
    ),
    (
        JWT,
        "As a subject token: access token of the issuer",
        "The app exchanges it. In the request it is a jwt.",
    ),
    (
        ID_TOKEN,
        "As a subject token: ID token of the issuer",
        "The app exchanges it. In the request it is an id_token.",
    ),
    (
        ACCESS_TOKEN,
        "As a subject token: access token of this server",
        "The app exchanges it. In the request it is an access_token.",
    ),
];
pub(in super::super) const TOKEN: Text = "Token";
pub(in super::super) const TOKEN_HINT: Text =
    "Three parts with dots between. It gets into no log and no address, and does not come back.";
pub(in super::super) const ACTOR: Text = "Token of the app that acts";
pub(in super::super) const ACTOR_HINT: Text = "For an exchange: an access token of this server that the app got for itself. Empty means the app that presents it.";
pub(in super::super) const TARGETS: Text = "For these APIs";
pub(in super::super) const TARGETS_HINT: Text = "For an exchange: one URI or client id a line. Empty means the only target in the settings of the app.";
pub(in super::super) const TOKEN_MISSING: Text = "Paste a token.";
pub(in super::super) const CHECK: Text = "Check token";

pub(in super::super) const ANSWER: Text = "Answer";
pub(in super::super) const ACCEPTED: Text = "Accepted";
pub(in super::super) const REFUSED: Text = "Refused";
pub(in super::super) const SAYS: Text = "The token endpoint says:";
pub(in super::super) const OTHER: Text =
    "The token names another trusted issuer, whose settings have decided:";
pub(in super::super) const NOT_OF_TRUSTED: Text =
    "The token names no issuer that the server trusts.";
pub(in super::super) const NOT_ACCEPTED: Text =
    "The token names this issuer, but is not one that the server accepts from it for this app.";
pub(in super::super) const NO_SCOPE_LEFT: Text =
    "The rule allows it, but none of the app's scopes is left.";
pub(in super::super) const KIND: Text = "Kind of evidence";
pub(in super::super) const RULE: Text = "Rule";
pub(in super::super) const USER: Text = "User found";
pub(in super::super) const GROUPS: Text = "Groups";
pub(in super::super) const ACTORS: Text = "Earlier actors, latest first";
pub(in super::super) const SCOPE: Text = "Scopes at most";
pub(in super::super) const NONE: Text = "none";
pub(in super::super) const CLAIMS: Text = "Claims";
pub(in super::super) const VERIFIED: Text = "The issuer has signed these.";
pub(in super::super) const OWN_VERIFIED: Text = "This server has signed these.";
pub(in super::super) const NOT_VERIFIED: Text =
    "They are not shown: no key that counts here has signed them.";
pub(in super::super) const CLAIM: Text = "Claim";
pub(in super::super) const VALUE: Text = "Value";

/// The rules of the policy engine by their names.
pub(in super::super) const RULES: [(Text, Text); 15] = [
    ("anyone", impersonation::RULE_ANYONE),
    ("listed_user", impersonation::RULE_SUBJECT),
    ("listed_group", impersonation::RULE_GROUP),
    ("inactive", impersonation::RULE_INACTIVE),
    ("excepted_user", impersonation::RULE_EXCEPT_SUBJECT),
    ("excepted_group", impersonation::RULE_EXCEPT_GROUP),
    ("none_allowed", impersonation::RULE_NONE),
    ("not_listed", impersonation::RULE_NOT_LISTED),
    (
        "unknown_user",
        "The user of the token is found neither by a link of the host nor by the settings of the issuer.",
    ),
    ("excepted_user_of_app", "{entry} is an exception in the app's own policy."),
    (
        "excepted_group_of_app",
        "{user} is a member of {entry}, which is an exception in the app's own policy.",
    ),
    ("workload", "The rule {entry} admits the workload."),
    ("no_workload_rule", "No rule for this app admits the workload."),
    ("not_trusted", "The issuer is not trusted for this kind of token."),
    ("app_not_named", "The settings of the issuer do not name this app for this kind of token."),
];

pub(in super::super) const fn evidence(kind: EvidenceKind) -> Text {
    match kind {
        EvidenceKind::OwnAssertion => "assertion of the app's own",
        EvidenceKind::IdentityAssertion => "identity assertion about a user (ID-JAG)",
        EvidenceKind::Workload => "token of a workload",
        EvidenceKind::SubjectToken => "subject token",
    }
}
