//! Stage 7, respond: RFC 6749 section 5.1.

use serde::Serialize;

use super::scope_decision::GrantedScope;
use crate::scope::Scope;
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

#[derive(Serialize)]
struct Body<'a> {
    access_token: &'a str,
    token_type: &'static str,
    expires_in: i64,
    scope: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    refresh_token: Option<&'a str>,
}

impl TokenResponse {
    pub(super) fn new(
        access_token: AccessToken,
        expires_in: i64,
        scope: GrantedScope,
        refresh_token: Option<RefreshToken>,
    ) -> Self {
        Self { access_token, expires_in, scope: scope.into_scope(), refresh_token }
    }

    /// The body of the response, as JSON. It holds the tokens: whoever logs it leaks them.
    #[must_use]
    pub fn to_json(&self) -> String {
        let body = Body {
            access_token: self.access_token.expose_secret(),
            token_type: "Bearer",
            expires_in: self.expires_in,
            scope: self.scope.as_str(),
            refresh_token: self.refresh_token.as_ref().map(RefreshToken::expose_secret),
        };
        let mut json = Vec::with_capacity(body.access_token.len() + 256);
        // Strings and a number into memory: there is no way for this to fail.
        _ = serde_json::to_writer(&mut json, &body);
        String::from_utf8(json).unwrap_or_default()
    }
}
