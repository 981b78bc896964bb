//! The administrator's API. The library itself protects it: a token needs the scope `admin`.

mod answer;
mod apps;
mod devices;
mod offered;

use std::sync::Arc;

use axum::Router;
use axum::body::Bytes;
use axum::extract::{Path, Query, State};
use axum::response::Response;
use axum::routing::{get, post};
use grantor::Subject;
use grantor::admin::Admin;
use grantor::audit::{AuditQuery, EventId};
use grantor::ids::ClientId;
use grantor::jwt::AccessTokenClaims;
use grantor::resource_server::{Bearer, BearerLayer, BearerVerifier};
use grantor::store::{AnyStore, Page, RevocationTarget};
use serde::Deserialize;
use serde_json::json;

use crate::log::Log;
use crate::{Endpoints, Server};
use answer::{Answer, Asked, Named, Problem, ok, read, which};

pub(crate) use offered::catalog;

/// The state that the handlers share.
pub(crate) struct Administration {
    pub(crate) endpoints: Arc<Endpoints>,
    pub(crate) log: Log,
}

impl Administration {
    fn server(&self) -> &Server {
        self.endpoints.server()
    }

    /// Returns the administrative interface in the name of the token's app.
    fn of(&self, claims: &AccessTokenClaims) -> Admin<'_, AnyStore> {
        self.server().admin(claims.client_id.as_str())
    }
}

/// Builds the API behind `verifier`.
pub(crate) fn router(verifier: Arc<BearerVerifier>, administration: Administration) -> Router {
    Router::new()
        .route("/admin/apps", get(apps::list).post(apps::register))
        .route("/admin/apps/{id}", get(apps::find).put(apps::edit).delete(apps::delete))
        .route("/admin/apps/{id}/rotate-secret", post(apps::rotate))
        .route("/admin/apps/{id}/set-secret", post(apps::set_secret))
        .route("/admin/apps/{id}/disable", post(apps::disable))
        .route("/admin/apps/{id}/enable", post(apps::enable))
        .route("/admin/apps/{id}/revoke", post(revoke_app))
        .route("/admin/revoke", post(revoke))
        .route("/admin/withdraw-consent", post(withdraw_consent))
        .route("/admin/devices", get(devices::list))
        .route("/admin/devices/wipe", post(devices::order_wipe))
        .route("/admin/devices/withdraw-wipe", post(devices::withdraw_wipe))
        .route("/admin/audit", get(audit))
        .route("/admin/usage/{id}", get(usage))
        .route("/admin/metrics", get(metrics))
        .with_state(Arc::new(administration))
        .layer(BearerLayer::enforcing(verifier))
}

async fn revoke_app(
    State(state): State<Arc<Administration>>,
    Bearer(claims): Bearer,
    Path(id): Path<String>,
    named: Asked<Named>,
) -> Answer {
    end(&state, &claims, RevocationTarget::App(which(id, &named?.0)?)).await
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Revoke {
    /// One of `"everything"`, `{"app": ..}`, `{"subject": ..}`, `{"app_and_subject": [.., ..]}`,
    /// `{"device_of": [.., .., ..]}` or `{"grant": ..}`.
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
    /// The `next` of the previous page.
    after: Option<EventId>,
}

async fn audit(State(state): State<Arc<Administration>>, asked: Asked<AuditAsked>) -> Answer {
    let Query(asked) = asked?;
    let mut query = AuditQuery::all();
    if let Some(app) = asked.app {
        query = query.app(app);
    }
    if let Some(subject) = asked.subject {
        query = query.subject(subject);
    }
    let mut page = Page::first(asked.limit.unwrap_or(100));
    page.after = asked.after;
    let (events, next) = state.log.find(&query, page).await?;
    Ok(ok(&json!({ "events": events, "next": next })))
}

async fn usage(
    State(state): State<Arc<Administration>>,
    Path(id): Path<String>,
    named: Asked<Named>,
) -> Answer {
    let id = which(id, &named?.0)?;
    let usage = state.log.usage(&id).await?;
    Ok(ok(&json!({ "client_id": id, "usage": usage })))
}

async fn metrics(State(state): State<Arc<Administration>>) -> Response {
    crate::metrics_text(&state.endpoints, &state.log)
}
