//! Request parsing and responses shared by all handlers.

use axum::extract::Query;
use axum::extract::rejection::QueryRejection;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use grantor::admin::AdminError;
use grantor::app::{AppCredentials, CustomApp, InvalidApp};
use grantor::ids::ClientId;
use grantor::secret::{ClientSecret, SignatureSecret};
use grantor::store::StoreError;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value, json};

use crate::web::{json, reply};

/// An error response.
pub(super) struct Problem(pub(super) StatusCode, pub(super) Value);

pub(super) type Answer = Result<Response, Problem>;
/// The query of a request, or the reason that it is malformed.
pub(super) type Asked<T> = Result<Query<T>, QueryRejection>;

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        reply(json(self.0, &self.1))
    }
}

pub(super) fn invalid(why: impl std::fmt::Display) -> Problem {
    let body = json!({ "error": "invalid_request", "error_description": why.to_string() });
    Problem(StatusCode::BAD_REQUEST, body)
}

impl From<AdminError> for Problem {
    fn from(error: AdminError) -> Self {
        let described =
            |code: &str| json!({ "error": code, "error_description": error.to_string() });
        match &error {
            AdminError::NotFound => Self(StatusCode::NOT_FOUND, described("not_found")),
            AdminError::Conflict { expected, found } => Self(
                StatusCode::CONFLICT,
                json!({ "error": "conflict", "expected": expected, "version": found }),
            ),
            AdminError::AlreadyExists => Self(StatusCode::CONFLICT, described("already_exists")),
            AdminError::Invalid(invalid) => Self(
                StatusCode::BAD_REQUEST,
                json!({
                    "error": "invalid_setting",
                    "field": invalid.field(),
                    "error_description": invalid.to_string(),
                }),
            ),
            AdminError::NoDevices => Self(StatusCode::NOT_FOUND, described("no_devices")),
            AdminError::UnknownDevice => Self(StatusCode::NOT_FOUND, described("unknown_device")),
            AdminError::NoRemoteWipe => Self(StatusCode::CONFLICT, described("no_remote_wipe")),
            AdminError::WipeNotWithdrawable => {
                Self(StatusCode::CONFLICT, described("wipe_not_withdrawable"))
            }
            AdminError::Random(_) | AdminError::Store(_) | _ => {
                let error: &(dyn std::error::Error + 'static) = &error;
                tracing::error!(error, "an administrative call failed");
                Self(StatusCode::SERVICE_UNAVAILABLE, described("unavailable"))
            }
        }
    }
}

impl From<QueryRejection> for Problem {
    fn from(rejection: QueryRejection) -> Self {
        invalid(rejection.body_text())
    }
}

impl From<InvalidApp> for Problem {
    fn from(invalid: InvalidApp) -> Self {
        AdminError::from(invalid).into()
    }
}

impl From<StoreError> for Problem {
    fn from(error: StoreError) -> Self {
        AdminError::from(error).into()
    }
}

pub(super) fn read<T: DeserializeOwned>(body: &[u8]) -> Result<T, Problem> {
    serde_path_to_error::deserialize(&mut serde_json::Deserializer::from_slice(body))
        .map_err(|error| malformed(&error))
}

/// Returns the error response for malformed JSON, with the position.
pub(super) fn malformed(error: &serde_path_to_error::Error<serde_json::Error>) -> Problem {
    invalid(format!("at {}: {}", error.path(), error.inner()))
}

pub(super) fn ok(body: &Value) -> Response {
    reply(json(StatusCode::OK, body))
}

/// Returns an app as JSON, without secrets or digests.
pub(super) fn shown(app: &CustomApp) -> Value {
    let secrets = app.credentials().client_secrets.iter().map(|secret| {
        let (created_at, expires_at) = (secret.created_at, secret.expires_at);
        json!({ "created_at": created_at, "expires_at": expires_at, "imported": secret.imported })
    });
    json!({
        "client_id": app.client_id(),
        "enabled": app.is_enabled(),
        "origin": app.origin(),
        "version": app.version(),
        "created_at": app.created_at(),
        "updated_at": app.updated_at(),
        "client_secrets": secrets.collect::<Vec<_>>(),
        "settings": app.settings(),
    })
}

/// Responds with an app and its version as the `ETag` for `If-Match`.
pub(super) fn one(app: &CustomApp) -> Response {
    let mut answer = ok(&shown(app));
    if let Ok(version) = HeaderValue::try_from(format!("\"{}\"", app.version())) {
        answer.headers_mut().insert(header::ETAG, version);
    }
    answer
}

/// Responds with credentials, which are returned once.
/// `passed_over` lists the keys of the app that are not usable.
pub(super) fn told(status: StatusCode, app: &AppCredentials, passed_over: &[String]) -> Response {
    let secret = app.client_secret.as_ref().map(ClientSecret::expose_secret);
    let signature = app.signature_secret.as_ref().map(SignatureSecret::expose_secret);
    let mut answer = Map::from_iter([
        ("client_id".to_owned(), json!(app.client_id)),
        ("client_secret".to_owned(), json!(secret)),
        ("signature_secret".to_owned(), json!(signature)),
    ]);
    if !passed_over.is_empty() {
        answer.insert("passed_over_keys".to_owned(), passed_over.into());
    }
    reply(json(status, &answer.into()))
}

/// Returns the client id from the path, or from the query if the id has a slash, as in
/// `/admin/apps/-?client_id=a%2Fb`.
#[derive(Deserialize)]
pub(super) struct Named {
    pub(super) client_id: Option<ClientId>,
    pub(super) version: Option<u64>,
}

pub(super) fn which(path: String, named: &Named) -> Result<ClientId, Problem> {
    match &named.client_id {
        Some(client_id) if path == "-" || path == client_id.as_str() => Ok(client_id.clone()),
        // A proxy may have checked the path only.
        Some(_) => Err(invalid("client_id differs from the path")),
        None => ClientId::new(path).map_err(invalid),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_and_a_query_that_name_two_apps_are_refused() {
        let which = |path: &str, query: Option<&str>| {
            let client_id = query.map(|id| ClientId::new(id).unwrap());
            which(path.to_owned(), &Named { client_id, version: None }).ok()
        };
        let a = ClientId::new("a/b").unwrap();
        assert_eq!(which("-", Some("a/b")).as_ref(), Some(&a));
        assert_eq!(which("a/b", Some("a/b")).as_ref(), Some(&a));
        assert_eq!(which("a/b", None).as_ref(), Some(&a));
        assert_eq!(which("other", Some("a/b")), None);
    }
}
