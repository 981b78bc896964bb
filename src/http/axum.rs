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
//! // With the addresses of the clients, so that failures are counted by source.
//! axum::serve(listener, app.into_make_service_with_connect_info::<SocketAddr>()).await
//! # }
//! ```

use std::future::poll_fn;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes, HttpBody as _, to_bytes};
use axum::extract::{ConnectInfo, Request};
use axum::response::{IntoResponse, Response};
use axum::routing::any;
use http::StatusCode;
use http::request::Parts;
use tokio::time::timeout;

use crate::hooks::Hooks;
use crate::http::{HttpEndpoints, Interaction, Issuers, MAX_BODY_BYTES};
use crate::ids::Source;
use crate::protocol::paths::ServerEndpoint;
use crate::store::Store;
use crate::users::UserDirectory;

/// The longest time for a client to send its body.
const BODY_TIMEOUT: Duration = Duration::from_secs(10);

/// Returns a router with every endpoint of `endpoints` at its path. Merge it into the host's router at
/// the root.
///
/// If the host serves the router with `into_make_service_with_connect_info::<SocketAddr>()`, the address
/// of the client becomes the [`Source`] of a request. Behind a proxy that is the address of the proxy:
/// put a `Source` of your own into the extensions, which takes precedence. A body that takes longer than
/// ten seconds is answered with status 408. The host's server limits the time for the headers.
///
/// # Panics
///
/// Like [`Router::route`], if two endpoints have the same path, or if the path of the issuer is a pattern
/// for axum: a segment starts with `:` or `*`, or contains a brace.
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
    // The identifier of an API may be a pattern for axum. Its document is then found by the path.
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

/// Returns a router that answers every path of `issuers` at its host, and any other with status 404, also for
/// issuers that are added later. The rest is as for [`axum_router`].
///
/// It answers as a fallback, so that the host's own routes come first. A router of the host takes it with
/// `fallback_service`, at the root.
pub fn axum_issuers<S, U, H, I>(issuers: &Arc<Issuers<S, U, H, I>>) -> Router
where
    S: Store + 'static,
    U: UserDirectory + 'static,
    H: Hooks + 'static,
    I: Interaction + 'static,
{
    let issuers = Arc::clone(issuers);
    Router::new().fallback(move |request: Request| async move {
        let (parts, body) = request.into_parts();
        match issuers.route(&parts) {
            Ok(Some((endpoints, endpoint))) => {
                answer(endpoints, endpoint, Request::from_parts(parts, body)).await
            }
            Ok(None) => StatusCode::NOT_FOUND.into_response(),
            Err(refused) => refused.into_answer().map(Body::from),
        }
    })
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
    // The host's pages see the request, and may look for its source.
    let source = if ServerEndpoint::OF_PAGES.contains(&endpoint) {
        note_source(&mut parts);
        None
    } else {
        connected(&parts)
    };
    let body = match whole(body, MAX_BODY_BYTES).await {
        Ok(body) => body,
        Err(status) => return status.into_response(),
    };
    endpoints.respond(endpoint, &parts, source.as_ref(), &body).await.map(Body::from)
}

/// Puts the address of the client into the extensions, unless the host has put a source there.
pub(super) fn note_source(parts: &mut Parts) {
    if parts.extensions.get::<Source>().is_none()
        && let Some(source) = connected(parts)
    {
        parts.extensions.insert(source);
    }
}

/// Returns the address of the client.
fn connected(parts: &Parts) -> Option<Source> {
    let ConnectInfo(address) = parts.extensions.get::<ConnectInfo<SocketAddr>>()?;
    Some(Source::from(address.ip()))
}

/// Reads a whole body. One of `limit` bytes and one more stands for one that is too long.
pub(super) async fn whole(mut body: Body, limit: usize) -> Result<Bytes, StatusCode> {
    let too_much = || vec![0; limit + 1].into();
    // A body with a length above the limit is not read.
    if !usize::try_from(body.size_hint().lower()).is_ok_and(|it| it <= limit) {
        return Ok(too_much());
    }
    // Mostly the whole body came with the head, and needs no timer.
    let begin = match poll_fn(|context| Poll::Ready(arrived(&mut body, context))).await {
        Ok(Some(begin)) if body.is_end_stream() && begin.len() <= limit => return Ok(begin),
        Ok(Some(begin)) => begin,
        Ok(None) => return Ok(Bytes::new()),
        // A client that has disconnected reads no answer.
        Err(_) => return Ok(too_much()),
    };
    let Some(left) = limit.checked_sub(begin.len()) else { return Ok(too_much()) };
    match timeout(BODY_TIMEOUT, to_bytes(body, left)).await {
        Ok(Ok(rest)) if begin.is_empty() => Ok(rest),
        Ok(Ok(rest)) => Ok([begin, rest].concat().into()),
        Ok(Err(_)) => Ok(too_much()),
        Err(_) => Err(StatusCode::REQUEST_TIMEOUT),
    }
}

/// Returns the first frame of a body, no bytes if none has arrived yet, or `None` if the body has ended.
fn arrived(body: &mut Body, context: &mut Context<'_>) -> Result<Option<Bytes>, axum::Error> {
    match Pin::new(body).poll_frame(context) {
        Poll::Ready(Some(frame)) => Ok(Some(frame?.into_data().unwrap_or_default())),
        Poll::Ready(None) => Ok(None),
        Poll::Pending => Ok(Some(Bytes::new())),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;
    use std::convert::Infallible;

    use super::*;

    /// A body of these chunks. Before each that is not the first, it is pending once.
    struct Chunks {
        left: VecDeque<Bytes>,
        is_pending: bool,
    }

    impl axum::body::HttpBody for Chunks {
        type Data = Bytes;
        type Error = Infallible;

        fn poll_frame(
            mut self: Pin<&mut Self>,
            context: &mut Context<'_>,
        ) -> Poll<Option<Result<http_body::Frame<Bytes>, Infallible>>> {
            self.is_pending = !self.is_pending;
            if self.is_pending {
                context.waker().wake_by_ref();
                return Poll::Pending;
            }
            Poll::Ready(self.left.pop_front().map(|chunk| Ok(http_body::Frame::data(chunk))))
        }
    }

    fn chunks(chunks: &[&str], is_there: bool) -> Body {
        let left = chunks.iter().map(|chunk| Bytes::from((*chunk).to_owned())).collect();
        Body::new(Chunks { left, is_pending: is_there })
    }

    #[tokio::test]
    async fn a_body_arrives_whole_in_any_chunks() {
        for is_there in [false, true] {
            for parts in [&[][..], &["abcd"], &["a", "bcd"], &["a", "b", "", "c", "d"], &["", ""]] {
                let whole = whole(chunks(parts, is_there), 4).await.unwrap();
                assert_eq!(whole, parts.concat(), "{parts:?}");
            }
            for parts in [&["abcde"][..], &["abcd", "e"], &["a", "bcd", "ef"], &["abcdefgh", "i"]] {
                let whole = whole(chunks(parts, is_there), 4).await.unwrap();
                assert_eq!(whole.len(), 5, "{parts:?}");
            }
        }
        assert_eq!(whole(Body::from("abcd"), 4).await.unwrap(), "abcd");
        assert_eq!(whole(Body::from("abcde"), 4).await.unwrap().len(), 5);
        assert_eq!(whole(Body::empty(), 4).await.unwrap(), "");
    }
}
