//! Extractors for resource servers that use axum.
//!
//! Add `Extension(Arc<BearerVerifier>)` to the router, and take [`Bearer`], [`Enforced`] or
//! [`RequireScope`] as a handler's parameter. With [`BearerLayer`](super::BearerLayer) as
//! middleware, [`Bearer`] returns the claims that the layer verified.
//!
//! In a nested router the catalog decides about the path as the client sent it, with the prefix.

use std::marker::PhantomData;
use std::sync::Arc;

use axum::Router;
use axum::body::Bytes;
use axum::extract::FromRequestParts;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use http::StatusCode;
use http::header::{self, HeaderMap, HeaderName, HeaderValue};
use http::request::Parts;

use super::layer::sent_uri;
use super::{BearerRequest, BearerVerifier, Challenge, ProtectedResource};
use crate::jwt::AccessTokenClaims;
#[cfg(feature = "tracing")]
use crate::observe::panics::caught;
use crate::protocol::scope::Scope;

impl IntoResponse for Challenge {
    fn into_response(self) -> Response {
        self.to_response()
    }
}

/// The rejection of an extractor.
#[derive(Debug)]
#[non_exhaustive]
pub enum BearerRejection {
    /// The request was refused.
    Challenge(Box<Challenge>),
    /// The extensions hold no `Arc<BearerVerifier>`, or [`RequiredScope::SCOPE`] is malformed or empty. Logged
    /// as an error (feature `tracing`).
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
            Self::Challenge(challenge) => challenge.to_response(),
            Self::Misconfigured => {
                #[cfg(feature = "tracing")]
                tell_misconfigured();
                StatusCode::INTERNAL_SERVER_ERROR.into_response()
            }
        }
    }
}

/// Logs how to mend an extractor. A log that cannot be written does not end the request.
#[cfg(feature = "tracing")]
fn tell_misconfigured() {
    let _ = caught(|| {
        ::tracing::error!(
            "an extractor is misconfigured: the router needs an Extension(Arc<BearerVerifier>), and \
             RequiredScope::SCOPE must be a scope"
        );
    });
}

/// The claims of a valid token, with any scope.
///
/// Takes the claims that [`BearerLayer`](crate::resource_server::BearerLayer) verified, or verifies
/// the token with the `Arc<BearerVerifier>` in the extensions. Without either, every request is
/// refused.
#[derive(Clone, Debug)]
#[expect(clippy::exhaustive_structs, reason = "destructured in handler parameters")]
pub struct Bearer(pub Arc<AccessTokenClaims>);

impl<S: Sync> FromRequestParts<S> for Bearer {
    type Rejection = BearerRejection;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, BearerRejection> {
        if let Some(claims) = parts.extensions.get::<Arc<AccessTokenClaims>>() {
            return Ok(Self(Arc::clone(claims)));
        }
        let verifier = verifier(parts)?;
        Ok(Self(verifier.check_again(|| verifier.check(bearer_of(parts))).await?))
    }
}

/// The claims of a token whose scope allows the request's method and path by the catalog.
///
/// The path is the one that the client sent: in a router nested at `/api`, the catalog has
/// `/api/users`, for example by its base path.
#[derive(Clone, Debug)]
#[expect(clippy::exhaustive_structs, reason = "destructured in handler parameters")]
pub struct Enforced(pub Arc<AccessTokenClaims>);

impl<S: Sync> FromRequestParts<S> for Enforced {
    type Rejection = BearerRejection;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, BearerRejection> {
        let path = sent_uri(&parts.extensions, &parts.uri).path();
        let (verifier, method) = (verifier(parts)?, parts.method.as_str());
        let check = || verifier.authorize(method, path, bearer_of(parts));
        Ok(Self(verifier.check_again(check).await?))
    }
}

/// A scope for [`RequireScope`].
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
    /// One scope token or several, with spaces between (RFC 6749 section 3.3).
    const SCOPE: &'static str;
}

/// The claims of a token whose scope covers that of `R`.
#[derive(Debug)]
pub struct RequireScope<R> {
    claims: Arc<AccessTokenClaims>,
    required: PhantomData<fn() -> R>,
}

impl<R> RequireScope<R> {
    /// Returns the claims of the token.
    #[must_use]
    pub fn claims(&self) -> &Arc<AccessTokenClaims> {
        &self.claims
    }
}

impl<S: Sync, R: RequiredScope> FromRequestParts<S> for RequireScope<R> {
    type Rejection = BearerRejection;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, BearerRejection> {
        let required = Scope::parse(R::SCOPE).ok().filter(|scope| !scope.is_empty());
        let required = required.ok_or(BearerRejection::Misconfigured)?;
        let verifier = verifier(parts)?;
        let check = || verifier.require_scope(&required, bearer_of(parts));
        let claims = verifier.check_again(check).await?;
        Ok(Self { claims, required: PhantomData })
    }
}

fn bearer_of(parts: &Parts) -> BearerRequest<'_> {
    BearerRequest::of(&parts.headers, sent_uri(&parts.extensions, &parts.uri))
}

fn verifier(parts: &Parts) -> Result<&BearerVerifier, BearerRejection> {
    let verifier = parts.extensions.get::<Arc<BearerVerifier>>();
    verifier.map(|verifier| &**verifier).ok_or(BearerRejection::Misconfigured)
}

impl ProtectedResource {
    /// Returns a router that answers the metadata at their path, to scripts of every origin, too. It is empty if the
    /// metadata have no URL. Merge it into the router of the API's host, at the root.
    ///
    /// An authorization server in the same process serves the metadata of a registered
    /// [`ResourceServer`](super::ResourceServer) already, and two routes for one path make axum panic.
    pub fn axum_router(&self) -> Router {
        const EVERY: (HeaderName, HeaderValue) =
            (header::ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_static("*"));
        const JSON: (HeaderName, HeaderValue) =
            (header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        const CACHED: (HeaderName, HeaderValue) =
            (header::CACHE_CONTROL, HeaderValue::from_static("public, max-age=300"));
        let Some(path) = self.metadata_path() else { return Router::new() };
        // A brace in the identifier is no parameter of a route.
        let path = path.replace('{', "{{").replace('}', "}}");
        let json = Bytes::from(self.metadata_json());
        let document = async move || ([EVERY, JSON, CACHED], json);
        let preflight = async |asked: HeaderMap| {
            let mut permitted = HeaderMap::from_iter([EVERY]);
            if let Some(asked) = asked.get(header::ACCESS_CONTROL_REQUEST_HEADERS) {
                permitted.insert(header::ACCESS_CONTROL_ALLOW_HEADERS, asked.clone());
            }
            (StatusCode::NO_CONTENT, permitted)
        };
        Router::new().without_v07_checks().route(&path, get(document).options(preflight))
    }
}
