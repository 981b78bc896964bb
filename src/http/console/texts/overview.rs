//! Texts of the overview of an app.

use crate::app::ClientAuthentication;

pub(in super::super) const DISABLED: &str =
    "This app is disabled. It gets no tokens, and those that it had are revoked.";
pub(in super::super) const ENABLE: &str = "Enable app";
pub(in super::super) const ABOUT: &str = "What it is";
pub(in super::super) const CLIENT_ID: &str = "Client id";
pub(in super::super) const AUTHENTICATION: &str = "Proves who it is by";
pub(in super::super) const FLOWS: &str = "Gets tokens by";
pub(in super::super) const ORIGIN: &str = "Origin";
pub(in super::super) const CREATED: &str = "Registered";
pub(in super::super) const CHANGED: &str = "Last changed";
pub(in super::super) const REDIRECTS: &str = "Redirect URIs";
pub(in super::super) const SCOPES: &str = "Scopes";
pub(in super::super) const NO_SCOPES: &str = "none: it can only learn who the user is";
pub(in super::super) const LIFETIMES: &str = "Lifetimes";
pub(in super::super) const ACCESS_TOKEN: &str = "Access token";
pub(in super::super) const REFRESH_TOKEN: &str = "Refresh token";
pub(in super::super) const NO_REFRESH: &str = "no refresh tokens";
pub(in super::super) const USAGE: &str = "Use";
pub(in super::super) const SINCE_START: &str = "Since this server started.";
pub(in super::super) const ALL_TIME: &str = "Since the first event in the audit log.";
pub(in super::super) const LAST_USED: &str = "Last token";
pub(in super::super) const REFUSED: &str = "Refused requests";
pub(in super::super) const TOKENS_BY: &str = "Tokens by";
pub(in super::super) const NO_TOKENS: &str = "No token yet.";

pub(in super::super) const SECRETS: &str = "Client secrets";
pub(in super::super) const TO_CREDENTIALS: &str = "Go to the credentials";
pub(in super::super) const ERRORS: &str = "Last errors";
pub(in super::super) const NO_ERRORS: &str = "No request was refused, and none failed.";
pub(in super::super) const NO_NEW_ERRORS: &str =
    "Among the newest 200 events, no request was refused, and none failed.";
pub(in super::super) const ALL_ERRORS: &str = "See all refusals and failures";

pub(in super::super) const fn authentication(method: &ClientAuthentication) -> &'static str {
    match method {
        ClientAuthentication::ClientSecret => "a client secret",
        ClientAuthentication::ClientSecretBasic => "a client secret in the header",
        ClientAuthentication::ClientSecretPost => "a client secret in the body",
        ClientAuthentication::PrivateKeyJwt(_) => "a key of its own (private_key_jwt)",
        ClientAuthentication::PrivateKeyJwtUri(_) => "a key at its jwks_uri (private_key_jwt)",
        ClientAuthentication::None => "nothing: a public app cannot keep a secret",
    }
}
