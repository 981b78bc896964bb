//! Texts of *Token preview* of an app.

use crate::admin::ScopeLimit;
use crate::app::Flow;

type Text = &'static str;

pub(in super::super) const INTRODUCTION: Text = "See what an access token of this app would hold, and which rule would refuse it. Nothing is issued, \
     signed or recorded.";
pub(in super::super) const FLOW: Text = "Flow";
pub(in super::super) const FLOW_TERM: Text = "grant_type";
pub(in super::super) const USER: Text = "User";
pub(in super::super) const USER_HINT: Text = "JWT bearer: as the app names the user. Authorization code: the sub of the user who agrees. Client \
     credentials: empty.";
pub(in super::super) const USER_MISSING: Text = "This flow needs a user.";
pub(in super::super) const SCOPE: Text = "Scopes";
pub(in super::super) const SCOPE_HINT: Text =
    "With spaces between. Empty asks for all that the app may have.";
pub(in super::super) const RESOURCE: Text = "Resource";
pub(in super::super) const RESOURCE_HINT: Text = "Empty means the app's default. The app may use:";
pub(in super::super) const THIS_SERVER: Text = "this server";
pub(in super::super) const SHOW: Text = "Preview token";

pub(in super::super) const GRANTED: Text = "The app would get a token";
pub(in super::super) const REFUSED: Text = "The request would be refused";
pub(in super::super) const ANSWER: Text = "The app would be told";
pub(in super::super) const CHECK: Text = "See the rule that decides about this user";
pub(in super::super) const HOOK_FAILED: Text = "The host's own rule failed, so that each such request is an error of the server. The host has to mend \
     it: its log says why, once a request of the app has failed so.";
pub(in super::super) const MAY_NOT_ASK: Text = "An administrator who may edit apps can preview a token here: the answer tells about the user's account.";
pub(in super::super) const LIFETIME: Text = "Valid for";
pub(in super::super) const REFRESH: Text = "Refresh token";
pub(in super::super) const NO_REFRESH: Text = "none";
pub(in super::super) const ENDS: Text = "ends at the latest";
pub(in super::super) const CLAIMS: Text = "Claims";
pub(in super::super) const CLAIM: Text = "Claim";
pub(in super::super) const VALUE: Text = "Value";
pub(in super::super) const MEANING: Text = "Meaning";
pub(in super::super) const UNSIGNED: Text = "These claims are not a token: they have no signature. A token has two more, jti and grant_id, which \
     name it and the access behind it.";
pub(in super::super) const BY_LOGIN: Text =
    "The sign-in of the user may add claims, such as auth_time, acr, amr, sid and device.";
pub(in super::super) const BY_HOOK: Text =
    "The host's own rule may add claims, or refuse the token. It does not tell beforehand.";
pub(in super::super) const LEFT_OUT: Text = "Scopes left out";
pub(in super::super) const OF_HOST: Text = "Added by the host.";

/// The flows in the order of the form: value of the field.
pub(in super::super) const FLOWS: [(Flow, Text); 4] = [
    (Flow::AuthorizationCode, "authorization_code"),
    (Flow::JwtBearer, "jwt_bearer"),
    (Flow::ClientCredentials, "client_credentials"),
    (Flow::DeviceCode, "device_code"),
];

/// The claims in the order of the page, with their meaning.
pub(in super::super) const MEANINGS: [(Text, Text); 15] = [
    ("iss", "The server that issued the token."),
    ("sub", "The user that the app acts as, or the app itself."),
    ("aud", "The API that the token is for. Other APIs refuse it."),
    ("client_id", "The app that got the token."),
    ("scope", "What the token allows."),
    ("act", "The app acts as the user: it was not the user who came."),
    ("iat", "When the token was issued."),
    ("exp", "When the token expires."),
    (
        "authorized_at",
        "When the access was given. A later revocation of the app or the user ends the token.",
    ),
    ("auth_time", "When the user last signed in."),
    ("acr", "How strictly the user signed in."),
    ("amr", "By which means the user signed in."),
    ("sid", "The session of the user."),
    ("device", "The device on which the user agreed."),
    ("authorization_details", "Details of the access that the user agreed to."),
];

pub(in super::super) const fn limit(limit: ScopeLimit) -> Text {
    match limit {
        ScopeLimit::App => "The app does not have it.",
        ScopeLimit::ImpersonationPolicy => "The policy does not give it to the app as a user.",
        ScopeLimit::OfflineAccess => {
            "It asks for a refresh token, and is no scope of an access token."
        }
    }
}
