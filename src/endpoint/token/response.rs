//! Stage *respond*: RFC 6749 section 5.1.

use std::fmt::Write as _;

use crate::protocol::scope::Scope;
use crate::secret::{AccessToken, RefreshToken};

/// The success of a token request. HTTP adapters send it with `Cache-Control: no-store`.
#[derive(Debug)]
#[non_exhaustive]
pub struct TokenResponse {
    /// The access token.
    pub access_token: AccessToken,
    /// How long the access token lives, in seconds.
    pub expires_in: i64,
    /// What it allows.
    pub scope: Scope,
    /// The refresh token, where the app gets one.
    pub refresh_token: Option<RefreshToken>,
}

impl TokenResponse {
    pub(super) fn new(
        access_token: AccessToken,
        expires_in: i64,
        scope: Scope,
        refresh_token: Option<RefreshToken>,
    ) -> Self {
        Self { access_token, expires_in, scope, refresh_token }
    }

    /// The body of the response, as JSON. It holds the tokens: whoever logs it leaks them.
    #[must_use]
    pub fn to_json(&self) -> String {
        let (access_token, scope) = (self.access_token.expose_secret(), self.scope.as_str());
        let refresh_token = self.refresh_token.as_ref().map(RefreshToken::expose_secret);
        let room = access_token.len() + scope.len() + refresh_token.map_or(0, str::len) + 128;
        let mut json = String::with_capacity(room);
        // Tokens are base64url and dots, and no scope holds a quote or a backslash: nothing here
        // needs to be escaped.
        json.push_str("{\"access_token\":\"");
        json.push_str(access_token);
        json.push_str("\",\"token_type\":\"Bearer\",\"expires_in\":");
        _ = write!(json, "{}", self.expires_in);
        // RFC 6749 section 3.3 knows no empty scope.
        if !scope.is_empty() {
            json.push_str(",\"scope\":\"");
            json.push_str(scope);
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
