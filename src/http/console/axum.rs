//! The console and the user's page as `axum` routers.

use std::sync::Arc;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::Request;
use axum::response::{IntoResponse as _, Response};
use axum::routing::any;
use http::StatusCode;

use super::{AccountAccess, AccountPages, Console, ConsoleAccess, MAX_CONSOLE_BODY_BYTES};
use crate::hooks::Hooks;
use crate::http::Page;
use crate::http::axum::{note_source, whole};
use crate::store::Store;
use crate::users::UserDirectory;

/// Returns a router with the console at its [path](Console::path). Merge it into the host's router.
///
/// A body that takes longer than ten seconds is answered with status 408.
///
/// # Panics
///
/// Like [`Router::route`], if the host's router has one of the paths.
pub fn console_router<S, U, H, A>(console: &Arc<Console<S, U, H, A>>) -> Router
where
    S: Store + 'static,
    U: UserDirectory + 'static,
    H: Hooks + 'static,
    A: ConsoleAccess + 'static,
{
    let own = Arc::clone(console);
    mounted(console.path(), move |request| {
        let console = Arc::clone(&own);
        async move { console.handle(request).await }
    })
}

/// Returns a router with the user's page at its [path](AccountPages::path). Merge it into the host's router.
///
/// The address of the client becomes the [`Source`](crate::ids::Source) of audit events, as for
/// [`axum_router`](crate::http::axum_router). A body that takes longer than ten seconds is answered with status
/// 408.
///
/// # Panics
///
/// Like [`Router::route`], if the host's router has one of the paths.
pub fn account_router<S, U, H, A>(pages: &Arc<AccountPages<S, U, H, A>>) -> Router
where
    S: Store + 'static,
    U: UserDirectory + 'static,
    H: Hooks + 'static,
    A: AccountAccess + 'static,
{
    let own = Arc::clone(pages);
    mounted(pages.path(), move |request| {
        let pages = Arc::clone(&own);
        async move { pages.handle(request).await }
    })
}

/// Returns a router that gives `path`, and every path below it, to `handle`.
fn mounted<F, R>(path: &str, handle: F) -> Router
where
    F: Fn(http::Request<Bytes>) -> R + Clone + Send + Sync + 'static,
    R: Future<Output = Option<Page>> + Send,
{
    let paths = [path.to_owned(), format!("{path}/"), format!("{path}/{{*page}}")];
    let paths = paths.into_iter().filter(|path| !path.is_empty());
    paths.fold(Router::new(), |router, path| {
        let handle = handle.clone();
        router.route(&path, any(move |request: Request| answer(handle.clone(), request)))
    })
}

async fn answer<F, R>(handle: F, request: Request) -> Response
where
    F: Fn(http::Request<Bytes>) -> R,
    R: Future<Output = Option<Page>>,
{
    let (mut parts, body) = request.into_parts();
    note_source(&mut parts);
    let body = match whole(body, MAX_CONSOLE_BODY_BYTES).await {
        Ok(body) => body,
        Err(status) => return status.into_response(),
    };
    match handle(http::Request::from_parts(parts, body)).await {
        Some(page) => page.map(Body::from),
        None => StatusCode::NOT_FOUND.into_response(),
    }
}
