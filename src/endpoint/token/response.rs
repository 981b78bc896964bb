//! Stage *respond*: RFC 6749 section 5.1.

use std::fmt::Write as _;

use crate::protocol::scope::Scope;
use crate::secret::{AccessToken, RefreshToken};

/// The response to a token request (RFC 6749 section 5.1). HTTP adapters send it with
/// `Cache-Control: no-store`.
#[derive(Debug)]
#[non_exhaustive]
pub struct TokenResponse {
    /// The access token.
    pub access_token: AccessToken,
    /// The type of the access token (RFC 6749 section 7.1); `N_A` for an identity assertion, which gives no access here.
    pub token_type: &'static str,
    /// The lifetime of the access token, in seconds.
    pub expires_in: i64,
    /// The scope of the access token.
    pub scope: Scope,
    /// The refresh token, if the app gets one.
    pub refresh_token: Option<RefreshToken>,
    /// The type of the issued token, after an exchange (RFC 8693 section 2.2.1).
    pub issued_token_type: Option<&'static str>,
}

impl TokenResponse {
    pub(super) fn new(
        access_token: AccessToken,
        expires_in: i64,
        scope: Scope,
        refresh_token: Option<RefreshToken>,
    ) -> Self {
        let (token_type, issued_token_type) = ("Bearer", None);
        Self { access_token, token_type, expires_in, scope, refresh_token, issued_token_type }
    }

    /// Returns the body of the response as JSON. Do not log it: it contains the tokens.
    #[must_use]
    pub fn to_json(&self) -> String {
        let (access_token, scope) = (self.access_token.expose_secret(), self.scope.as_str());
        let refresh_token = self.refresh_token.as_ref().map(RefreshToken::expose_secret);
        let room = access_token.len() + scope.len() + refresh_token.map_or(0, str::len) + 128;
        let mut json = String::with_capacity(room);
        // Written by hand: a body of 763 bytes takes 526 instructions, with `serde_json` 7,101
        // (callgrind). Tokens are base64url and dots, and a scope has neither quote nor backslash, so
        // nothing needs escaping.
        json.push_str("{\"access_token\":\"");
        json.push_str(access_token);
        json.push_str("\",\"token_type\":\"");
        json.push_str(self.token_type);
        json.push_str("\",\"expires_in\":");
        _ = write!(json, "{}", self.expires_in);
        // RFC 6749 section 3.3 has no empty scope.
        if !scope.is_empty() {
            json.push_str(",\"scope\":\"");
            json.push_str(scope);
            json.push('"');
        }
        if let Some(issued) = self.issued_token_type {
            json.push_str(",\"issued_token_type\":\"");
            json.push_str(issued);
            json.push('"');
        }
        if let Some(refresh_token) = refresh_token {
            json.push_str(",\"refresh_token\":\"");
            json.push_str(refresh_token);
            json.push('"');
        }
        json.push('}');
        json
    }
}
