//! Apps: listing, registration, edits, enabling, disabling and deletion.

use std::sync::Arc;
use std::time::Duration;

use axum::body::Bytes;
use axum::extract::{Path, Query, State};
use axum::http::{HeaderMap, StatusCode, header};
use grantor::AppDraft;
use grantor::admin::AdminError;
use grantor::app::GivenSecret;
use grantor::clock::UnixTime;
use grantor::ids::ClientId;
use grantor::resource_server::Bearer;
use grantor::store::{AppQuery, Page};
use serde::Deserialize;
use serde_json::{Value, json};

use super::Administration;
use super::answer::{
    Answer, Asked, Named, Problem, invalid, malformed, ok, one, read, shown, told, which,
};

#[derive(Deserialize)]
pub(super) struct ListQuery {
    search: Option<String>,
    enabled: Option<bool>,
    after: Option<ClientId>,
    limit: Option<usize>,
}

pub(super) async fn list(
    State(state): State<Arc<Administration>>,
    Bearer(claims): Bearer,
    asked: Asked<ListQuery>,
) -> Answer {
    let Query(asked) = asked?;
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

pub(super) async fn register(
    State(state): State<Arc<Administration>>,
    Bearer(claims): Bearer,
    body: Bytes,
) -> Answer {
    let draft: AppDraft = read(&body)?;
    let settings = draft.build()?;
    let passed_over: Vec<_> = settings.passed_over_keys().map(ToString::to_string).collect();
    let app = state.of(&claims).register(settings).await?;
    Ok(told(StatusCode::CREATED, &app, &passed_over))
}

pub(super) async fn find(
    State(state): State<Arc<Administration>>,
    Bearer(claims): Bearer,
    Path(id): Path<String>,
    named: Asked<Named>,
) -> Answer {
    let id = which(id, &named?.0)?;
    let app = state.of(&claims).find(&id).await?;
    app.map(|app| one(&app)).ok_or_else(|| AdminError::NotFound.into())
}

/// The body of an edit: the settings alone, or the app as it was read, including its version.
#[derive(Deserialize)]
#[serde(untagged)]
enum Edited {
    App { settings: Value, version: Option<u64> },
    Settings(Value),
}

pub(super) async fn edit(
    State(state): State<Arc<Administration>>,
    Bearer(claims): Bearer,
    Path(id): Path<String>,
    named: Asked<Named>,
    headers: HeaderMap,
    body: Bytes,
) -> Answer {
    let Query(named) = named?;
    let id = which(id, &named)?;
    let (settings, in_body) = match read(&body)? {
        Edited::App { settings, version } => (settings, version),
        Edited::Settings(settings) => (settings, None),
    };
    let draft: AppDraft =
        serde_path_to_error::deserialize(settings).map_err(|error| malformed(&error))?;
    let tag = headers.get(header::IF_MATCH).and_then(|tag| tag.to_str().ok());
    let if_match = match tag.map(|tag| tag.trim_matches('"').parse()) {
        Some(Ok(version)) => Some(version),
        Some(Err(_)) => return Err(invalid("If-Match is not a version")),
        None => None,
    };
    let Some(version) = if_match.or(named.version).or(in_body) else {
        let body = json!({
            "error": "version_required",
            "error_description": "the edit needs the version that it is based on, in If-Match, ?version= or \"version\"",
        });
        return Err(Problem(StatusCode::PRECONDITION_REQUIRED, body));
    };
    let edited = state.of(&claims).edit(&id, version, draft).await;
    edited.map(|app| one(&app)).map_err(|error| match (Problem::from(error), if_match) {
        // RFC 9110 section 13.1.1: the precondition of the header is false.
        (Problem(StatusCode::CONFLICT, body), Some(_)) => {
            Problem(StatusCode::PRECONDITION_FAILED, body)
        }
        (problem, _) => problem,
    })
}

pub(super) async fn delete(
    State(state): State<Arc<Administration>>,
    Bearer(claims): Bearer,
    Path(id): Path<String>,
    named: Asked<Named>,
) -> Answer {
    let id = which(id, &named?.0)?;
    state.of(&claims).delete(&id).await?;
    Ok(ok(&json!({ "client_id": id, "deleted": true })))
}

/// The overlap with the old secret, unless the request states another.
const OVERLAP_SECONDS: u64 = 86_400;

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Rotate {
    overlap_seconds: Option<u64>,
}

pub(super) async fn rotate(
    State(state): State<Arc<Administration>>,
    Bearer(claims): Bearer,
    Path(id): Path<String>,
    named: Asked<Named>,
    body: Bytes,
) -> Answer {
    let id = which(id, &named?.0)?;
    let asked = if body.is_empty() { Rotate::default() } else { read(&body)? };
    let overlap = Duration::from_secs(asked.overlap_seconds.unwrap_or(OVERLAP_SECONDS));
    let rotated = state.of(&claims).rotate_client_secret(&id, overlap).await;
    rotated.map(|app| told(StatusCode::OK, &app, &[])).map_err(Problem::from)
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct SetSecret {
    /// `{"plain": ".."}`, `{"sha256": ".."}`, `{"sha512": ".."}` or `{"slow": ".."}`.
    secret: GivenSecret,
    /// In milliseconds since 1970.
    expires_at: Option<UnixTime>,
    overlap_seconds: Option<u64>,
}

/// Sets a client secret that the app has already. The response does not repeat it.
pub(super) async fn set_secret(
    State(state): State<Arc<Administration>>,
    Bearer(claims): Bearer,
    Path(id): Path<String>,
    named: Asked<Named>,
    body: Bytes,
) -> Answer {
    let id = which(id, &named?.0)?;
    let SetSecret { secret, expires_at, overlap_seconds } = read(&body)?;
    let overlap = Duration::from_secs(overlap_seconds.unwrap_or(OVERLAP_SECONDS));
    let set = state.of(&claims).set_client_secret(&id, secret, expires_at, overlap).await;
    set.map(|app| one(&app)).map_err(Problem::from)
}

pub(super) async fn disable(
    State(state): State<Arc<Administration>>,
    Bearer(claims): Bearer,
    Path(id): Path<String>,
    named: Asked<Named>,
) -> Answer {
    let id = which(id, &named?.0)?;
    state.of(&claims).disable(&id).await.map(|app| one(&app)).map_err(Problem::from)
}

pub(super) async fn enable(
    State(state): State<Arc<Administration>>,
    Bearer(claims): Bearer,
    Path(id): Path<String>,
    named: Asked<Named>,
) -> Answer {
    let id = which(id, &named?.0)?;
    state.of(&claims).enable(&id).await.map(|app| one(&app)).map_err(Problem::from)
}
