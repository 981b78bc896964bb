//! The endpoints as an `axum` router, and extractors for resource servers.
//!
//! ```no_run
//! # async fn run<S, U, I>(
//! #     endpoints: grantor::http::HttpEndpoints<S, U, grantor::hooks::NoHooks, I>,
//! #     listener: tokio::net::TcpListener,
//! # ) -> std::io::Result<()>
//! # where
//! #     S: grantor::store::Store + 'static,
//! #     U: grantor::user_directory::UserDirectory + 'static,
//! #     I: grantor::http::Interaction + 'static,
//! # {
//! use std::net::SocketAddr;
//! use std::sync::Arc;
//!
//! let app = grantor::axum::router(&Arc::new(endpoints));
//! // With the addresses of clients, so that failures are counted by them.
//! axum::serve(listener, app.into_make_service_with_connect_info::<SocketAddr>()).await
//! # }
//! ```
//!
//! A resource server puts its [`BearerVerifier`] into the extensions of its requests, with
//! `Extension(Arc<BearerVerifier>)`, and its handlers ask for [`Bearer`], [`Enforced`] or
//! [`RequireScope`]; or it takes [`BearerLayer`](crate::http::BearerLayer), of which [`Bearer`]
//! finds the claims.

use std::marker::PhantomData;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::{Body, HttpBody as _, to_bytes};
use axum::extract::{ConnectInfo, FromRequestParts, Request};
use axum::response::{IntoResponse, Response};
use axum::routing::any;
use http::StatusCode;
use http::request::Parts;
use tokio::time::timeout;

use crate::hooks::Hooks;
use crate::http::{HttpEndpoints, Interaction, MAX_BODY_BYTES, bearer_request, refusal};
use crate::ids::Source;
use crate::jwt::AccessTokenClaims;
use crate::paths::ServerEndpoint;
use crate::resource_server::{BearerVerifier, Challenge};
use crate::scope::ScopeToken;
use crate::store::Store;
use crate::user_directory::UserDirectory;

/// How long a client may take to send its body.
const BODY_TIMEOUT: Duration = Duration::from_secs(10);

/// Every endpoint of `endpoints` at its path, to be merged into the host's router at its root.
///
/// The address of the client becomes the [`Source`] of a request where the router is served with
/// `into_make_service_with_connect_info::<SocketAddr>()`. Behind a proxy that is the proxy: put a
/// `Source` of your own into the extensions, which comes first. A body that takes longer than ten
/// seconds to arrive is answered with status 408; how long a client may take for its headers, the
/// host's server decides.
///
/// # Panics
///
/// As [`Router::route`] does: where two endpoints were given one path, or where the path of the issuer
/// is a pattern to axum, because a part of it begins with `:` or `*` or holds a brace.
pub fn router<S, U, H, I>(endpoints: &Arc<HttpEndpoints<S, U, H, I>>) -> Router
where
    S: Store + 'static,
    U: UserDirectory + 'static,
    H: Hooks + 'static,
    I: Interaction + 'static,
{
    let route = |router: Router, path: &str, endpoint| {
        let endpoints = Arc::clone(endpoints);
        let handler = move |request: Request| answer(Arc::clone(&endpoints), endpoint, request);
        router.route(path, any(handler))
    };
    let router = endpoints
        .routes()
        .filter(|(path, endpoint)| !is_name_of_api_and_pattern(path, *endpoint))
        .fold(Router::new(), |router, (path, endpoint)| route(router, path, endpoint));
    // An API may be called what axum takes for a pattern. Its document is found by the path, then.
    let metadata = ServerEndpoint::ResourceMetadata;
    match endpoints.server().paths().get(metadata) {
        Some(well_known)
            if endpoints.routes().any(|(path, it)| is_name_of_api_and_pattern(path, it)) =>
        {
            route(router, &format!("{well_known}/{{*api}}"), metadata)
        }
        _ => router,
    }
}

fn is_name_of_api_and_pattern(path: &str, endpoint: ServerEndpoint) -> bool {
    endpoint == ServerEndpoint::ResourceMetadata
        && (path.contains(['{', '}']) || path.contains("/:") || path.contains("/*"))
}

async fn answer<S: Store, U: UserDirectory, H: Hooks, I: Interaction>(
    endpoints: Arc<HttpEndpoints<S, U, H, I>>,
    endpoint: ServerEndpoint,
    request: Request,
) -> Response {
    let (mut parts, body) = request.into_parts();
    if parts.extensions.get::<Source>().is_none()
        && let Some(ConnectInfo(address)) = parts.extensions.get::<ConnectInfo<SocketAddr>>()
    {
        let source = Source::from(address.ip());
        parts.extensions.insert(source);
    }
    // One byte more than is allowed tells that there is too much.
    let too_much = || vec![0; MAX_BODY_BYTES + 1].into();
    // What is announced to be too long is not waited for.
    let body = if usize::try_from(body.size_hint().lower()).is_ok_and(|it| it <= MAX_BODY_BYTES) {
        match timeout(BODY_TIMEOUT, to_bytes(body, MAX_BODY_BYTES)).await {
            Ok(Ok(body)) => body,
            // A client that went away reads no answer.
            Ok(Err(_)) => too_much(),
            Err(_) => return StatusCode::REQUEST_TIMEOUT.into_response(),
        }
    } else {
        too_much()
    };
    endpoints.answer(endpoint, Request::from_parts(parts, body)).await.map(Body::from)
}

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
/// Those that [`BearerLayer`](crate::http::BearerLayer) found, or else those that the
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
/// use grantor::axum::{RequireScope, RequiredScope};
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
