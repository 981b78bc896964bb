//! The console as an `axum` router.

use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::extract::Request;
use axum::response::{IntoResponse as _, Response};
use axum::routing::any;
use http::StatusCode;

use super::{Console, ConsoleAccess, MAX_CONSOLE_BODY_BYTES};
use crate::hooks::Hooks;
use crate::http::axum::whole;
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
    let path = console.path();
    let paths = [path.to_owned(), format!("{path}/"), format!("{path}/{{*page}}")];
    let paths = paths.into_iter().filter(|path| !path.is_empty());
    paths.fold(Router::new(), |router, path| {
        let console = Arc::clone(console);
        router.route(&path, any(move |request: Request| answer(Arc::clone(&console), request)))
    })
}

async fn answer<S: Store, U: UserDirectory, H: Hooks, A: ConsoleAccess>(
    console: Arc<Console<S, U, H, A>>,
    request: Request,
) -> Response {
    let (parts, body) = request.into_parts();
    let body = match whole(body, MAX_CONSOLE_BODY_BYTES).await {
        Ok(body) => body,
        Err(status) => return status.into_response(),
    };
    match console.handle(Request::from_parts(parts, body)).await {
        Some(page) => page.map(Body::from),
        None => StatusCode::NOT_FOUND.into_response(),
    }
}
