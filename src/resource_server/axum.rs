//! Extractors for resource servers over axum.
//!
//! A resource server puts its [`BearerVerifier`] into the extensions of its requests, with
//! `Extension(Arc<BearerVerifier>)`, and its handlers ask for [`Bearer`], [`Enforced`] or
//! [`RequireScope`]; or it takes [`BearerLayer`](super::BearerLayer), of which [`Bearer`] finds the
//! claims.

use std::marker::PhantomData;
use std::sync::Arc;

use axum::extract::FromRequestParts;
use axum::response::{IntoResponse, Response};
use http::StatusCode;
use http::request::Parts;

use super::layer::{bearer_request, refusal};
use super::{BearerVerifier, Challenge};
use crate::jwt::AccessTokenClaims;
use crate::protocol::scope::ScopeToken;

impl IntoResponse for Challenge {
    fn into_response(self) -> Response {
        refusal(&self)
    }
}

/// Why an extractor let nobody through.
#[derive(Debug)]
#[non_exhaustive]
pub enum BearerRejection {
    /// The request was refused.
    Challenge(Box<Challenge>),
    /// The host put no `Arc<BearerVerifier>` into the extensions, or asks for what is no scope token.
    Misconfigured,
}

impl From<Challenge> for BearerRejection {
    fn from(challenge: Challenge) -> Self {
        Self::Challenge(Box::new(challenge))
    }
}

impl IntoResponse for BearerRejection {
    fn into_response(self) -> Response {
        match self {
            Self::Challenge(challenge) => refusal(&challenge),
            Self::Misconfigured => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
        }
    }
}

/// The claims of the token with which a request came: a good one, whatever it allows.
///
/// Those that [`BearerLayer`](crate::resource_server::BearerLayer) found, or else those that the
/// `Arc<BearerVerifier>` in the extensions finds. Where there is neither, every request is refused.
#[derive(Clone, Debug)]
#[expect(clippy::exhaustive_structs, reason = "taken apart in the parameters of a handler")]
pub struct Bearer(pub Arc<AccessTokenClaims>);

impl<S: Sync> FromRequestParts<S> for Bearer {
    type Rejection = BearerRejection;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, BearerRejection> {
        if let Some(claims) = parts.extensions.get::<Arc<AccessTokenClaims>>() {
            return Ok(Self(Arc::clone(claims)));
        }
        Ok(Self(verifier(parts)?.check(bearer_request(&parts.headers, &parts.uri))?))
    }
}

/// The claims of a token whose scope the catalog wants for the method and path of the request.
#[derive(Clone, Debug)]
#[expect(clippy::exhaustive_structs, reason = "taken apart in the parameters of a handler")]
pub struct Enforced(pub Arc<AccessTokenClaims>);

impl<S: Sync> FromRequestParts<S> for Enforced {
    type Rejection = BearerRejection;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, BearerRejection> {
        let bearer = bearer_request(&parts.headers, &parts.uri);
        Ok(Self(verifier(parts)?.authorize(parts.method.as_str(), parts.uri.path(), bearer)?))
    }
}

/// A scope that handlers ask for with [`RequireScope`].
///
/// ```
/// use grantor::resource_server::{RequireScope, RequiredScope};
///
/// struct ReadFiles;
///
/// impl RequiredScope for ReadFiles {
///     const SCOPE: &'static str = "files.read";
/// }
///
/// async fn list_files(token: RequireScope<ReadFiles>) -> String {
///     format!("the files of {}", token.claims().subject.as_str())
/// }
/// ```
pub trait RequiredScope {
    /// One scope token (RFC 6749 section 3.3).
    const SCOPE: &'static str;
}

/// The claims of a token whose scope covers that of `R`.
#[derive(Debug)]
pub struct RequireScope<R> {
    claims: Arc<AccessTokenClaims>,
    required: PhantomData<fn() -> R>,
}

impl<R> RequireScope<R> {
    /// The claims of the token.
    #[must_use]
    pub fn claims(&self) -> &Arc<AccessTokenClaims> {
        &self.claims
    }
}

impl<S: Sync, R: RequiredScope> FromRequestParts<S> for RequireScope<R> {
    type Rejection = BearerRejection;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, BearerRejection> {
        let required = ScopeToken::new(R::SCOPE).map_err(|_| BearerRejection::Misconfigured)?;
        let bearer = bearer_request(&parts.headers, &parts.uri);
        let claims = verifier(parts)?.require_scope(&required, bearer)?;
        Ok(Self { claims, required: PhantomData })
    }
}

fn verifier(parts: &Parts) -> Result<&BearerVerifier, BearerRejection> {
    let verifier = parts.extensions.get::<Arc<BearerVerifier>>();
    verifier.map(|verifier| &**verifier).ok_or(BearerRejection::Misconfigured)
}
