//! The administrator's API, protected by the library itself: a token with the scope `admin`.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::extract::{Path, Query, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use grantor::admin::{Admin, AdminError};
use grantor::app::{AppCredentials, AppDraft, AppSettings, CustomApp};
use grantor::audit::{AuditQuery, MemoryAudit};
use grantor::axum::Bearer;
use grantor::catalog::{ApiCatalog, Endpoint};
use grantor::http::BearerLayer;
use grantor::ids::{ClientId, Subject};
use grantor::jwt::AccessTokenClaims;
use grantor::resource_server::BearerVerifier;
use grantor::scope::ScopeToken;
use grantor::secret::{ClientSecret, SignatureSecret};
use grantor::store::{AppQuery, MemoryStore, Page, RevocationTarget, StoreError};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use crate::web::{json, reply};
use crate::{Endpoints, Server};

/// The scope without which there is no administration.
const SCOPE: &str = "admin";

/// What the API offers, and that all of it needs [`SCOPE`].
///
/// # Errors
///
/// What is malformed about an entry.
pub(crate) fn catalog() -> Result<ApiCatalog, Box<dyn std::error::Error + Send + Sync>> {
    const OFFERED: [(&str, &str); 14] = [
        ("GET", "/apps"),
        ("POST", "/apps"),
        ("GET", "/apps/{id}"),
        ("PUT", "/apps/{id}"),
        ("DELETE", "/apps/{id}"),
        ("POST", "/apps/{id}/rotate-secret"),
        ("POST", "/apps/{id}/disable"),
        ("POST", "/apps/{id}/enable"),
        ("POST", "/apps/{id}/revoke"),
        ("POST", "/revoke"),
        ("POST", "/withdraw-consent"),
        ("GET", "/audit"),
        ("GET", "/usage/{id}"),
        ("GET", "/metrics"),
    ];
    let scope = ScopeToken::new(SCOPE)?;
    let endpoint = |(method, path)| Endpoint::new(method, path, ScopeToken::clone(&scope));
    let endpoints = OFFERED.into_iter().map(endpoint).collect::<Result<Vec<_>, _>>()?;
    Ok(ApiCatalog::new(endpoints).with_base_path("/admin")?)
}

/// What the handlers share.
pub(crate) struct Administration {
    pub(crate) endpoints: Arc<Endpoints>,
    pub(crate) audit: Arc<MemoryAudit>,
}

impl Administration {
    fn server(&self) -> &Server {
        self.endpoints.server()
    }

    /// The administration in the name of the app that holds the token.
    fn of(&self, claims: &AccessTokenClaims) -> Admin<'_, Arc<MemoryStore>> {
        self.server().admin(claims.client_id.as_str())
    }
}

/// The API, behind `verifier`.
pub(crate) fn router(verifier: Arc<BearerVerifier>, administration: Administration) -> Router {
    Router::new()
        .route("/admin/apps", get(list).post(register))
        .route("/admin/apps/{id}", get(find).put(edit).delete(delete))
        .route("/admin/apps/{id}/rotate-secret", post(rotate))
        .route("/admin/apps/{id}/disable", post(disable))
        .route("/admin/apps/{id}/enable", post(enable))
        .route("/admin/apps/{id}/revoke", post(revoke_app))
        .route("/admin/revoke", post(revoke))
        .route("/admin/withdraw-consent", post(withdraw_consent))
        .route("/admin/audit", get(audit))
        .route("/admin/usage/{id}", get(usage))
        .route("/admin/metrics", get(metrics))
        .with_state(Arc::new(administration))
        .layer(BearerLayer::enforcing(verifier))
}

/// What went wrong, as an answer.
struct Problem(StatusCode, Value);

type Answer = Result<Response, Problem>;

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        reply(json(self.0, &self.1))
    }
}

fn invalid(why: impl std::fmt::Display) -> Problem {
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
            AdminError::Random(_) | AdminError::Store(_) | _ => {
                let error: &(dyn std::error::Error + 'static) = &error;
                tracing::error!(error, "an administrator's call failed");
                Self(StatusCode::SERVICE_UNAVAILABLE, described("unavailable"))
            }
        }
    }
}

impl From<StoreError> for Problem {
    fn from(error: StoreError) -> Self {
        AdminError::from(error).into()
    }
}

fn read<T: DeserializeOwned>(body: &[u8]) -> Result<T, Problem> {
    serde_path_to_error::deserialize(&mut serde_json::Deserializer::from_slice(body))
        .map_err(|error| invalid(format!("{}: {}", error.path(), error.inner())))
}

fn ok(body: &Value) -> Response {
    reply(json(StatusCode::OK, body))
}

/// An app as the API shows it: never a secret, nor a digest of one.
fn shown(app: &CustomApp) -> Value {
    let secrets = app.credentials().client_secrets.iter().map(|secret| {
        let (created_at, expires_at) = (secret.created_at, secret.expires_at);
        json!({ "created_at": created_at, "expires_at": expires_at, "imported": secret.imported })
    });
    json!({
        "client_id": app.client_id(),
        "enabled": app.is_enabled(),
        "version": app.version(),
        "created_at": app.created_at(),
        "updated_at": app.updated_at(),
        "client_secrets": secrets.collect::<Vec<_>>(),
        "settings": app.settings(),
    })
}

/// An app with its version as `ETag`, which `If-Match` brings back.
fn one(app: &CustomApp) -> Response {
    let mut answer = ok(&shown(app));
    if let Ok(version) = HeaderValue::try_from(format!("\"{}\"", app.version())) {
        answer.headers_mut().insert(header::ETAG, version);
    }
    answer
}

/// Credentials, this once.
fn told(status: StatusCode, app: &AppCredentials) -> Response {
    let secret = app.client_secret.as_ref().map(ClientSecret::expose_secret);
    let signature = app.signature_secret.as_ref().map(SignatureSecret::expose_secret);
    reply(json(
        status,
        &json!({
            "client_id": app.client_id, "client_secret": secret, "signature_secret": signature,
        }),
    ))
}

/// Which app: by the path or, for an id with a slash, by the query, as in `/admin/apps/-?client_id=a%2Fb`.
#[derive(Deserialize)]
struct Named {
    client_id: Option<ClientId>,
    version: Option<u64>,
}

fn which(path: String, named: &Named) -> Result<ClientId, Problem> {
    match &named.client_id {
        Some(client_id) => Ok(client_id.clone()),
        None => ClientId::new(path).map_err(invalid),
    }
}

#[derive(Deserialize)]
struct ListQuery {
    search: Option<String>,
    enabled: Option<bool>,
    after: Option<ClientId>,
    limit: Option<usize>,
}

async fn list(
    State(state): State<Arc<Administration>>,
    Bearer(claims): Bearer,
    Query(asked): Query<ListQuery>,
) -> Answer {
    let mut query = AppQuery::all();
    if let Some(text) = asked.search {
        query = query.containing(text);
    }
    if let Some(enabled) = asked.enabled {
        query = query.enabled(enabled);
    }
    let mut page = Page::first(asked.limit.unwrap_or(50));
    if let Some(after) = asked.after {
        page = page.after(after);
    }
    let found = state.of(&claims).list(&query, page).await?;
    let apps: Vec<_> = found.items.iter().map(|app| shown(app)).collect();
    Ok(ok(&json!({ "apps": apps, "next": found.next })))
}

async fn register(
    State(state): State<Arc<Administration>>,
    Bearer(claims): Bearer,
    body: Bytes,
) -> Answer {
    let settings: AppSettings = read(&body)?;
    let app = state.of(&claims).register(settings).await?;
    Ok(told(StatusCode::CREATED, &app))
}

async fn find(
    State(state): State<Arc<Administration>>,
    Bearer(claims): Bearer,
    Path(id): Path<String>,
    Query(named): Query<Named>,
) -> Answer {
    let id = which(id, &named)?;
    let app = state.of(&claims).find(&id).await?;
    app.map(|app| one(&app)).ok_or_else(|| AdminError::NotFound.into())
}

/// What an edit sends: the settings, or the app as it was read, with the version in it.
#[derive(Deserialize)]
#[serde(untagged)]
enum Edited {
    App { settings: Value, version: Option<u64> },
    Settings(Value),
}

async fn edit(
    State(state): State<Arc<Administration>>,
    Bearer(claims): Bearer,
    Path(id): Path<String>,
    Query(named): Query<Named>,
    headers: HeaderMap,
    body: Bytes,
) -> Answer {
    let id = which(id, &named)?;
    let (settings, in_body) = match read(&body)? {
        Edited::App { settings, version } => (settings, version),
        Edited::Settings(settings) => (settings, None),
    };
    let draft: AppDraft = serde_path_to_error::deserialize(settings)
        .map_err(|error| invalid(format!("{}: {}", error.path(), error.inner())))?;
    let tag = headers.get(header::IF_MATCH).and_then(|tag| tag.to_str().ok());
    let if_match = match tag.map(|tag| tag.trim_matches('"').parse()) {
        Some(Ok(version)) => Some(version),
        Some(Err(_)) => return Err(invalid("If-Match holds no version")),
        None => None,
    };
    let Some(version) = if_match.or(named.version).or(in_body) else {
        let body = json!({
            "error": "version_required",
            "error_description": "send the version that was read: If-Match, ?version= or \"version\"",
        });
        return Err(Problem(StatusCode::PRECONDITION_REQUIRED, body));
    };
    let edited = state.of(&claims).edit(&id, version, draft).await;
    edited.map(|app| one(&app)).map_err(|error| match (Problem::from(error), if_match) {
        // RFC 9110 section 13.1.1: what the header asks for does not hold.
        (Problem(StatusCode::CONFLICT, body), Some(_)) => {
            Problem(StatusCode::PRECONDITION_FAILED, body)
        }
        (problem, _) => problem,
    })
}

async fn delete(
    State(state): State<Arc<Administration>>,
    Bearer(claims): Bearer,
    Path(id): Path<String>,
    Query(named): Query<Named>,
) -> Answer {
    let id = which(id, &named)?;
    state.of(&claims).delete(&id).await?;
    Ok(ok(&json!({ "client_id": id, "deleted": true })))
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Rotate {
    /// How long the old secret still works. Default: a day.
    overlap_seconds: Option<u64>,
}

async fn rotate(
    State(state): State<Arc<Administration>>,
    Bearer(claims): Bearer,
    Path(id): Path<String>,
    Query(named): Query<Named>,
    body: Bytes,
) -> Answer {
    let id = which(id, &named)?;
    let asked = if body.is_empty() { Rotate::default() } else { read(&body)? };
    let overlap = Duration::from_secs(asked.overlap_seconds.unwrap_or(86_400));
    let rotated = state.of(&claims).rotate_client_secret(&id, overlap).await;
    rotated.map(|app| told(StatusCode::OK, &app)).map_err(Problem::from)
}

async fn disable(
    State(state): State<Arc<Administration>>,
    Bearer(claims): Bearer,
    Path(id): Path<String>,
    Query(named): Query<Named>,
) -> Answer {
    let id = which(id, &named)?;
    state.of(&claims).disable(&id).await.map(|app| one(&app)).map_err(Problem::from)
}

async fn enable(
    State(state): State<Arc<Administration>>,
    Bearer(claims): Bearer,
    Path(id): Path<String>,
    Query(named): Query<Named>,
) -> Answer {
    let id = which(id, &named)?;
    state.of(&claims).enable(&id).await.map(|app| one(&app)).map_err(Problem::from)
}

async fn revoke_app(
    State(state): State<Arc<Administration>>,
    Bearer(claims): Bearer,
    Path(id): Path<String>,
    Query(named): Query<Named>,
) -> Answer {
    end(&state, &claims, RevocationTarget::App(which(id, &named)?)).await
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Revoke {
    /// `"everything"`, `{"app": ..}`, `{"subject": ..}`, `{"app_and_subject": [.., ..]}`,
    /// `{"device": ..}` or `{"grant": ..}`.
    target: RevocationTarget,
}

async fn revoke(
    State(state): State<Arc<Administration>>,
    Bearer(claims): Bearer,
    body: Bytes,
) -> Answer {
    end(&state, &claims, read::<Revoke>(&body)?.target).await
}

async fn end(
    state: &Administration,
    claims: &AccessTokenClaims,
    target: RevocationTarget,
) -> Answer {
    let revoked = state.of(claims).revoke(target).await?;
    Ok(ok(&json!({ "revoked_at": revoked.at })))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Withdraw {
    client_id: ClientId,
    subject: Subject,
}

async fn withdraw_consent(
    State(state): State<Arc<Administration>>,
    Bearer(claims): Bearer,
    body: Bytes,
) -> Answer {
    let Withdraw { client_id, subject } = read(&body)?;
    let withdrawn = state.of(&claims).withdraw_consent(&client_id, &subject).await;
    withdrawn.map(|revoked| ok(&json!({ "revoked_at": revoked.at }))).map_err(Problem::from)
}

#[derive(Deserialize)]
struct AuditAsked {
    app: Option<ClientId>,
    subject: Option<Subject>,
    limit: Option<usize>,
}

async fn audit(
    State(state): State<Arc<Administration>>,
    Query(asked): Query<AuditAsked>,
) -> Answer {
    let mut query = AuditQuery::all().limit(asked.limit.unwrap_or(100).min(1_000));
    if let Some(app) = asked.app {
        query = query.app(app);
    }
    if let Some(subject) = asked.subject {
        query = query.subject(subject);
    }
    Ok(ok(&json!({ "events": state.audit.find(&query) })))
}

async fn usage(
    State(state): State<Arc<Administration>>,
    Path(id): Path<String>,
    Query(named): Query<Named>,
) -> Answer {
    let id = which(id, &named)?;
    Ok(ok(&json!({ "client_id": id, "usage": state.server().usage(&id) })))
}

async fn metrics(State(state): State<Arc<Administration>>) -> Response {
    crate::metrics_text(&state.endpoints)
}
