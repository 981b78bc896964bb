//! What a request without sufficient access gets as its answer (RFC 6750 section 3).

use std::fmt::Write as _;

use super::RevocationsUnknown;
use crate::jwt::AccessTokenError;
use crate::protocol::scope::ScopeToken;
use crate::store::StoreError;

/// Why a request was refused, for the log.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Refusal {
    /// The request has no `Authorization` header of the `Bearer` scheme.
    #[error("the request has no bearer token")]
    NoToken,
    /// The header names the scheme and holds no token.
    #[error("the `Authorization` header holds no token")]
    EmptyToken,
    /// A token came in the header and in another place too (RFC 6750 section 2).
    #[error("the request has more than one bearer token")]
    TokenTwice,
    /// The token is not valid here and now.
    #[error(transparent)]
    Token(AccessTokenError),
    /// The token, or what it descends from, was revoked.
    #[error("the token has been revoked")]
    Revoked,
    /// Whether the token was revoked cannot be known at present.
    #[error(transparent)]
    RevocationsUnknown(RevocationsUnknown),
    /// The store could not say whether the token was revoked.
    #[error("the store could not say whether the token was revoked")]
    Store(#[source] StoreError),
    /// The token is valid, its scope too small.
    #[error("the scope of the token is too small for this request")]
    InsufficientScope {
        /// The scope token that would be enough.
        missing: ScopeToken,
    },
    /// The catalog does not know this method on this path: no scope allows it.
    #[error("no scope allows this method on this path")]
    Unmapped,
}

impl Refusal {
    /// The one place where a cause becomes status and `error`.
    const fn on_the_wire(&self) -> (u16, Option<&'static str>) {
        match self {
            Self::NoToken => (401, None),
            Self::EmptyToken | Self::TokenTwice => (400, Some("invalid_request")),
            Self::Token(_) | Self::Revoked => (401, Some("invalid_token")),
            Self::InsufficientScope { .. } | Self::Unmapped => (403, Some("insufficient_scope")),
            Self::RevocationsUnknown(_) | Self::Store(_) => (503, None),
        }
    }
}

/// The answer to a request that was refused: a status, and the `WWW-Authenticate` header.
///
/// | what happened | status | `error` |
/// | --- | --- | --- |
/// | no bearer token, or another scheme | 401 | none |
/// | two tokens, or none after `Bearer` | 400 | `invalid_request` |
/// | malformed, expired, not meant for this API, revoked | 401 | `invalid_token` |
/// | the scope is too small | 403 | `insufficient_scope`, and the `scope` that is enough |
/// | the catalog does not know the request | 403 | `insufficient_scope`, without `scope`: none is enough |
/// | it is not known what was revoked | 503 | no header: the client need not change anything |
#[derive(Debug, thiserror::Error)]
#[error("the request was refused")]
pub struct Challenge {
    #[source]
    refusal: Refusal,
    realm: Box<str>,
    metadata_url: Option<Box<str>>,
}

impl Challenge {
    /// `realm` is an issuer or a resource: a URI, which needs no escape in a quoted string.
    pub(super) fn new(refusal: Refusal, realm: &str, metadata_url: Option<&str>) -> Self {
        Self { refusal, realm: realm.into(), metadata_url: metadata_url.map(Into::into) }
    }

    /// The HTTP status: 400, 401, 403 or 503.
    #[must_use]
    pub const fn status(&self) -> u16 {
        self.refusal.on_the_wire().0
    }

    /// `error` of RFC 6750 section 3.1, if there is one to tell.
    #[must_use]
    pub const fn error(&self) -> Option<&'static str> {
        self.refusal.on_the_wire().1
    }

    /// The value of the `WWW-Authenticate` header; `None` with status 503.
    ///
    /// The description is one of a few fixed texts and tells nothing about keys or users.
    #[must_use]
    pub fn www_authenticate(&self) -> Option<String> {
        let (status, error) = self.refusal.on_the_wire();
        if status == 503 {
            return None;
        }
        let mut header = format!("Bearer realm=\"{}\"", self.realm);
        if let Some(error) = error {
            // Writing to memory cannot fail.
            _ = write!(header, ", error=\"{error}\", error_description=\"{}\"", self.refusal);
        }
        if let Some(url) = &self.metadata_url {
            _ = write!(header, ", resource_metadata=\"{url}\"");
        }
        if let Refusal::InsufficientScope { missing } = &self.refusal {
            _ = write!(header, ", scope=\"{}\"", missing.as_str());
        }
        Some(header)
    }

    /// Why, for the log.
    #[must_use]
    pub const fn refusal(&self) -> &Refusal {
        &self.refusal
    }
}
