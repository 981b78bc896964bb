//! Responses to requests without sufficient access (RFC 6750 section 3).

use std::fmt::Write as _;

use http::header::{self, HeaderValue};
use http::{Response, StatusCode};

use super::RevocationsUnknown;
use crate::jwt::AccessTokenError;
use crate::protocol::scope::Scope;
use crate::store::StoreError;

/// The cause of a refused request, for logs.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Refusal {
    /// The request has no `Authorization` header with the scheme `Bearer`.
    #[error("the request has no bearer token")]
    NoToken,
    /// The header has the scheme and no token.
    #[error("the `Authorization` header holds no token")]
    EmptyToken,
    /// The request has a token in the header and another one elsewhere (RFC 6750 section 2).
    #[error("the request has more than one bearer token")]
    TokenTwice,
    /// The token is invalid.
    #[error(transparent)]
    Token(AccessTokenError),
    /// The token, or a grant that it descends from, was revoked.
    #[error("the token has been revoked")]
    Revoked,
    /// The keys of the issuer are an hour old, because fetches of them fail.
    #[error("the keys of the issuer were last read over an hour ago")]
    KeysStale,
    /// The revocation list cannot tell at present whether the token was revoked.
    #[error(transparent)]
    RevocationsUnknown(RevocationsUnknown),
    /// The store cannot tell whether the token was revoked.
    #[error("the store cannot tell whether the token was revoked")]
    Store(#[source] StoreError),
    /// The token is valid, but its scope is insufficient.
    #[error("the scope of the token is insufficient for this request")]
    InsufficientScope {
        /// Every scope token that the operation needs, those of the token included.
        required: Scope,
    },
    /// The catalog has no such method and path, so no scope allows the request.
    #[error("no scope allows this method on this path")]
    Unmapped,
}

impl Refusal {
    /// Maps each cause to its status and `error` code.
    const fn on_the_wire(&self) -> (u16, Option<&'static str>) {
        match self {
            Self::NoToken => (401, None),
            Self::EmptyToken | Self::TokenTwice => (400, Some("invalid_request")),
            Self::Token(_) | Self::Revoked => (401, Some("invalid_token")),
            Self::InsufficientScope { .. } | Self::Unmapped => (403, Some("insufficient_scope")),
            Self::KeysStale | Self::RevocationsUnknown(_) | Self::Store(_) => (503, None),
        }
    }
}

/// The response to a refused request: a status and a `WWW-Authenticate` header.
///
/// | cause | status | `error` |
/// | --- | --- | --- |
/// | no bearer token or another scheme | 401 | none; the `scope` of the operation if it is known |
/// | more than one token, or none after `Bearer` | 400 | `invalid_request` |
/// | token malformed, expired, revoked or for another API | 401 | `invalid_token`; the same |
/// | scope insufficient | 403 | `insufficient_scope`, with the whole `scope` of the operation |
/// | request not in the catalog | 403 | `insufficient_scope`, without `scope` |
/// | revocations unknown, keys of the issuer too old | 503 | no header |
///
/// The `scope` never has `offline_access`, which is a wish of the client and no right at an API.
#[doc(alias = "WWW-Authenticate")]
#[derive(Debug, thiserror::Error)]
#[error("the request was refused")]
pub struct Challenge {
    #[source]
    refusal: Refusal,
    realm: Box<str>,
    metadata_url: Option<Box<str>>,
    /// The scope of the operation, for a client that has no valid token. May be empty.
    needed: Scope,
}

impl Challenge {
    /// Creates a challenge. `realm` is an issuer or a resource. Both are URIs, which need no escaping in a quoted
    /// string.
    pub(super) fn new(refusal: Refusal, realm: &str, metadata_url: Option<&str>) -> Self {
        let metadata_url = metadata_url.map(Into::into);
        Self { refusal, realm: realm.into(), metadata_url, needed: Scope::empty() }
    }

    /// Names the scope of the operation, for a client that has no valid token.
    pub(super) fn needing(self, needed: &Scope) -> Self {
        Self { needed: needed.clone(), ..self }
    }

    /// Returns the HTTP status: 400, 401, 403 or 503.
    #[must_use]
    pub const fn status(&self) -> u16 {
        self.refusal.on_the_wire().0
    }

    /// Returns the `error` code of RFC 6750 section 3.1, if the response has one.
    #[must_use]
    pub const fn error(&self) -> Option<&'static str> {
        self.refusal.on_the_wire().1
    }

    /// Returns the value of the `WWW-Authenticate` header, or `None` for status 503.
    ///
    /// The description is static text. It reveals nothing about keys or users.
    #[must_use]
    pub fn www_authenticate(&self) -> Option<String> {
        let (status, error) = self.refusal.on_the_wire();
        if status == 503 {
            return None;
        }
        let mut header = format!("Bearer realm=\"{}\"", self.realm);
        if let Some(error) = error {
            // Writing to a string cannot fail.
            _ = write!(header, ", error=\"{error}\", error_description=\"{}\"", self.refusal);
        }
        if let Some(url) = &self.metadata_url {
            _ = write!(header, ", resource_metadata=\"{url}\"");
        }
        let scope = if let Refusal::InsufficientScope { required } = &self.refusal {
            required.clone()
        } else if status == 401 {
            self.needed.clone()
        } else {
            Scope::empty()
        };
        let scope = scope.without_offline_access();
        if !scope.is_empty() {
            _ = write!(header, ", scope=\"{}\"", scope.as_str());
        }
        Some(header)
    }

    /// Returns the response without a body, for a host without tower.
    #[must_use]
    pub fn to_response<R: Default>(&self) -> Response<R> {
        let mut answer = Response::new(R::default());
        *answer.status_mut() =
            StatusCode::from_u16(self.status()).unwrap_or(StatusCode::UNAUTHORIZED);
        let headers = answer.headers_mut();
        if let Some(value) = self.www_authenticate().and_then(|it| HeaderValue::try_from(it).ok()) {
            headers.insert(header::WWW_AUTHENTICATE, value);
        }
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        answer
    }

    /// Returns the cause, for logs.
    #[must_use]
    pub const fn refusal(&self) -> &Refusal {
        &self.refusal
    }
}
