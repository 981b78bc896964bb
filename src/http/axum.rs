//! The endpoints as an `axum` router.
//!
//! ```no_run
//! # async fn run<S, U, I>(
//! #     endpoints: grantor::http::HttpEndpoints<S, U, grantor::hooks::NoHooks, I>,
//! #     listener: tokio::net::TcpListener,
//! # ) -> std::io::Result<()>
//! # where
//! #     S: grantor::store::Store + 'static,
//! #     U: grantor::users::UserDirectory + 'static,
//! #     I: grantor::http::Interaction + 'static,
//! # {
//! use std::net::SocketAddr;
//! use std::sync::Arc;
//!
//! let app = grantor::http::axum_router(&Arc::new(endpoints));
//! // With the addresses of clients, so that failures are counted by them.
//! axum::serve(listener, app.into_make_service_with_connect_info::<SocketAddr>()).await
//! # }
//! ```

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::{Body, HttpBody as _, to_bytes};
use axum::extract::{ConnectInfo, Request};
use axum::response::{IntoResponse, Response};
use axum::routing::any;
use http::StatusCode;
use tokio::time::timeout;

use crate::hooks::Hooks;
use crate::http::{HttpEndpoints, Interaction, MAX_BODY_BYTES};
use crate::ids::Source;
use crate::protocol::paths::ServerEndpoint;
use crate::store::Store;
use crate::users::UserDirectory;

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
pub fn axum_router<S, U, H, I>(endpoints: &Arc<HttpEndpoints<S, U, H, I>>) -> Router
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
