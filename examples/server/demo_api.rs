//! The protected API. Every request that reaches it has a token whose scope allows it.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use axum::Router;
use axum::body::Bytes;
use axum::extract::{Path, Request, State};
use axum::http::StatusCode;
use axum::response::Response;
use axum::routing::get;
use grantor::Scope;
use grantor::catalog::{Enforcement, EnforcementTable};
use grantor::resource_server::{Bearer, BearerLayer, BearerVerifier};
use serde_json::json;
use tower::ServiceExt as _;

use crate::users::Users;
use crate::web::{json, problem, reply};

/// The maximum number of files.
const MAX_FILES: usize = 1_000;

/// The demo's files by owner and name. An app that acts for itself owns files too.
struct Files {
    users: Arc<Users>,
    files: Mutex<BTreeMap<(String, String), String>>,
}

impl Files {
    fn lock(&self) -> MutexGuard<'_, BTreeMap<(String, String), String>> {
        self.files.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Builds the API behind `verifier`: the demo's endpoints, and an echo for every other one.
pub(crate) fn router(verifier: Arc<BearerVerifier>, users: Arc<Users>) -> Router {
    let files = Files { users, files: Mutex::default() };
    Router::new()
        .route("/api/me", get(me))
        .route("/api/files", get(list_files))
        .route("/api/files/{id}", get(read_file).put(write_file).delete(delete_file))
        .route("/api/users/{name}", get(user))
        .fallback(echo)
        .method_not_allowed_fallback(echo)
        .with_state(Arc::new(files))
        .layer(BearerLayer::enforcing(verifier))
}

/// Handles requests without a route: the API's echo, or a page that says that nothing is there.
#[derive(Clone)]
pub(crate) struct Fallback {
    pub(crate) api: Router,
    pub(crate) catalog: Arc<EnforcementTable>,
}

impl Fallback {
    pub(crate) async fn answer(self, request: Request) -> Response {
        let path = request.uri().path();
        if path == "/api" || path.starts_with("/api/") || self.is_listed(path) {
            return match self.api.oneshot(request).await {
                Ok(answer) => answer,
                Err(never) => match never {},
            };
        }
        let nothing = "There is no page at this address.";
        reply(problem(StatusCode::NOT_FOUND, "Nothing is here", nothing))
    }

    fn is_listed(&self, path: &str) -> bool {
        let nothing = Scope::empty();
        let known = |method| self.catalog.decide(method, path, &nothing) != Enforcement::Unmapped;
        ["GET", "POST", "PUT", "PATCH", "DELETE", "HEAD"].into_iter().any(known)
    }
}

/// Responds with the claims of the token, at endpoints of a catalog that the demo does not
/// implement.
async fn echo(Bearer(claims): Bearer, request: Request) -> Response {
    reply(json(
        StatusCode::OK,
        &json!({
            "method": request.method().as_str(),
            "path": request.uri().path(),
            "sub": claims.subject,
            "client_id": claims.client_id,
            "scope": claims.scope,
        }),
    ))
}

async fn me(Bearer(claims): Bearer, State(files): State<Arc<Files>>) -> Response {
    let user = files.users.get(claims.subject.as_str());
    let groups = user.map(|user| &user.groups);
    let me = json!({ "sub": claims.subject, "groups": groups, "client_id": claims.client_id });
    reply(json(StatusCode::OK, &me))
}

async fn user(State(files): State<Arc<Files>>, Path(name): Path<String>) -> Response {
    match files.users.get(&name) {
        Some(user) => {
            reply(json(StatusCode::OK, &json!({ "sub": user.subject, "active": user.active })))
        }
        None => not_found(),
    }
}

async fn list_files(Bearer(claims): Bearer, State(files): State<Arc<Files>>) -> Response {
    let files = files.lock();
    let own = files.keys().filter(|(owner, _)| owner == claims.subject.as_str());
    let names: Vec<&str> = own.map(|(_, name)| name.as_str()).collect();
    reply(json(StatusCode::OK, &json!({ "files": names })))
}

async fn read_file(
    Bearer(claims): Bearer,
    State(files): State<Arc<Files>>,
    Path(id): Path<String>,
) -> Response {
    let key = (claims.subject.as_str().to_owned(), id);
    match files.lock().get(&key) {
        Some(content) => reply(json(StatusCode::OK, &json!({ "id": key.1, "content": content }))),
        None => not_found(),
    }
}

async fn write_file(
    Bearer(claims): Bearer,
    State(files): State<Arc<Files>>,
    Path(id): Path<String>,
    body: Bytes,
) -> Response {
    let Ok(content) = std::str::from_utf8(&body) else {
        return reply(json(StatusCode::BAD_REQUEST, &json!({ "error": "not_text" })));
    };
    let key = (claims.subject.as_str().to_owned(), id);
    let mut files = files.lock();
    if files.len() >= MAX_FILES && !files.contains_key(&key) {
        return reply(json(StatusCode::INSUFFICIENT_STORAGE, &json!({ "error": "full" })));
    }
    let answer = json!({ "id": key.1, "bytes": content.len() });
    let new = files.insert(key, content.to_owned()).is_none();
    reply(json(if new { StatusCode::CREATED } else { StatusCode::OK }, &answer))
}

async fn delete_file(
    Bearer(claims): Bearer,
    State(files): State<Arc<Files>>,
    Path(id): Path<String>,
) -> Response {
    match files.lock().remove(&(claims.subject.as_str().to_owned(), id)) {
        Some(_) => reply(json(StatusCode::OK, &json!({ "deleted": true }))),
        None => not_found(),
    }
}

fn not_found() -> Response {
    reply(json(StatusCode::NOT_FOUND, &json!({ "error": "not_found" })))
}
