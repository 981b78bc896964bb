//! A small backend that is its own authorization server: users in SQLite, a login page, a consent page, a
//! protected API, background work, a probe and a graceful stop.
//!
//! Run it with `cargo run --example host --features axum,sqlite,tracing`. With `--check` it starts itself, goes
//! through every step over HTTP, and ends. `docs/embedding.md` builds it step by step, and `examples/actix_host`
//! is the same over actix-web.
//!
//! | variable | default |
//! | --- | --- |
//! | `HOST_LISTEN` | `127.0.0.1:8090` |
//! | `HOST_ISSUER` | `http://` and that address; in production the `https` URL of the proxy |
//! | `HOST_FOLDER` | `target/host`: the database and the key file |
//! | `OTEL_EXPORTER_OTLP_ENDPOINT` | none; the URL of an OpenTelemetry collector, for traces |
#![expect(clippy::print_stdout, reason = "a program reports to its user")]

#[path = "../common/check_host.rs"]
mod check;
mod check_traces;
#[path = "../common/site/mod.rs"]
mod site;
mod traces;

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::extract::{ConnectInfo, DefaultBodyLimit, Form, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse as _, Response};
use axum::routing::get;
use axum::{Json, Router};
use grantor::admin::{DeclaredApps, SecretReference};
use grantor::audit::AuditQueue;
use grantor::catalog::ApiCatalog;
use grantor::clock::{Clock as _, SystemClock};
use grantor::http::{HttpEndpoints, Page, SessionCookie, axum_router};
use grantor::jwt::Algorithm;
use grantor::random::OsRandom;
use grantor::resource_server::{Bearer, BearerLayer, BearerVerifier, RevocationList};
use grantor::server_secret::{KeyFile, Rotation};
use grantor::store::{AnyStore, SqliteSettings, SqliteStore};
use grantor::{AuthorizationServer, Issuer, Upkeep, UpkeepHandle};
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;

use site::{AccountForm, BoxError, LoginForm, Site, Users, log};

/// The time for which a signing key signs, and for which audit events are kept.
const KEY_LIFE: Duration = Duration::from_hours(30 * 24);
const EVENTS_KEPT: Duration = Duration::from_hours(180 * 24);
/// The time that a stop waits for requests, and the lag of the upkeep at which a process is out of service.
const PATIENCE: Duration = Duration::from_secs(10);
const LATE: Duration = Duration::from_secs(30);

/// The app that this host's configuration declares.
const APPS: &str = r#"{ "apps": [{
    "client_id": "notes-desktop",
    "settings": {
        "name": "Notes for the desktop", "description": "Keeps a copy of your notes.",
        "authentication": "none", "flows": ["authorization_code"], "refresh_token": true,
        "redirect_uris": ["http://127.0.0.1/callback"], "scope": "notes.read",
        "access_token_lifetime": 600
    }
}] }"#;

/// The protected API: the scope that each request needs, and its name on the consent page.
const API: &str = r#"{ "base_path": "/api", "endpoints": [
    { "method": "GET", "path": "/notes", "scope": "notes.read", "title": "Read your notes" }
] }"#;

#[tokio::main]
async fn main() -> Result<(), BoxError> {
    if std::env::args().nth(1).as_deref() == Some("--check") {
        return check_traces::check().await;
    }
    let traces = traces::export()?;
    let setting = |name: &str, default: &str| std::env::var(name).unwrap_or(default.to_owned());
    let folder = setting("HOST_FOLDER", "target/host");
    std::fs::create_dir_all(&folder)?;
    let listener = TcpListener::bind(setting("HOST_LISTEN", "127.0.0.1:8090")).await?;
    let issuer = setting("HOST_ISSUER", &format!("http://{}", listener.local_addr()?));
    let served = serve(listener, Issuer::new(issuer)?, folder.as_ref()).await;
    traces::end(traces).await?;
    served
}

/// Starts the server over one database with the host's own tables. Serves until SIGTERM or Ctrl-C: takes no new
/// connection, answers the requests in flight, writes the last audit events and closes the files.
async fn serve(listener: TcpListener, issuer: Issuer, folder: &Path) -> Result<(), BoxError> {
    let random = OsRandom::new();
    let pool = SqliteStore::open_pool(folder.join("host.db")).await?;
    let store: AnyStore = SqliteStore::with_pool(pool.clone(), SqliteSettings::new()).await?.into();
    let users = Users::open(pool.clone()).await?;
    if let Some(password) = users.add_first("ann").await? {
        println!("{}", check::first_user(&password));
    }

    // Lost with the key file: every client secret and every refresh token. Back it up apart from the database.
    let keys = folder.join("keys.json");
    let now = SystemClock::new().now();
    let file = KeyFile::read_or_generate(&keys, Algorithm::ES256, &random, now)?;
    let catalog: ApiCatalog = serde_json::from_str(API)?;
    let events = AuditQueue::new(&random)?;
    let (secret, ring) = (file.server_secret()?, file.key_ring()?);
    let server = AuthorizationServer::builder(issuer, secret, ring, store.clone(), users.clone())
        .audit(events.clone())
        .catalog(catalog.clone())
        .start()
        .await?;
    let server = Arc::new(server);
    let declared = DeclaredApps::from_json(APPS, SecretReference::read)?;
    server.admin("configuration").apply(&declared).await?;

    let revocations = Arc::new(RevocationList::new());
    let api = BearerVerifier::following(server.issuer().clone(), server.key_ring())
        .with_revocations(Arc::clone(&revocations))
        .with_enforcement(catalog.compile()?);
    let upkeep = Upkeep::of(&server)
        .rotate_keys(keys, KEY_LIFE, Rotation::default())
        .revocations(revocations)
        .audit(&events, store.clone())
        .prune_events(store.clone(), EVENTS_KEPT)
        .on_failure(|job, error| log(&format!("{job}: {error}")));
    let handle = upkeep.handle();
    let background = tokio::spawn(upkeep.run(tokio::time::sleep));
    // The API refuses every token until the first poll of revocations.
    handle.started().await;

    let cookie = SessionCookie::new(server.issuer(), "session")?;
    let site = Arc::new(Site { users, server: Arc::clone(&server), cookie });
    println!("{}", check::how_to_try(server.issuer())?);
    let endpoints = Arc::new(HttpEndpoints::new(server, Arc::clone(&site)));
    let api =
        Router::new().route("/api/notes", get(notes)).layer(BearerLayer::enforcing(Arc::new(api)));
    let pages = Router::new()
        .route("/login", get(show_login).post(log_in))
        .route("/account", get(account).post(change_account))
        .route("/callback", get("This page stands for the app. The code is in the address bar."))
        .layer(DefaultBodyLimit::max(16 * 1024));
    let probe =
        Router::new().route("/ready", get(ready)).with_state((store.clone(), handle.clone()));
    let router = pages.merge(api).with_state(site).merge(probe).merge(axum_router(&endpoints));

    let service = router.into_make_service_with_connect_info::<SocketAddr>();
    let (mut terminate, mut interrupt) =
        (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    let (told, mut stopping) = watch::channel(false);
    let serving = axum::serve(listener, service).with_graceful_shutdown(async move {
        _ = stopping.wait_for(|stopping| *stopping).await;
    });
    let patience = async {
        tokio::select! { _ = terminate.recv() => {}, _ = interrupt.recv() => {} }
        told.send_replace(true);
        tokio::time::sleep(PATIENCE).await;
    };
    tokio::select! {
        ended = async { serving.await } => ended?,
        () = patience => log("some requests were not answered in time"),
    }
    handle.stop();
    background.await?;
    if events.pending() > 0 {
        log("some audit events were not written");
    }
    store.close().await;
    pool.close().await;
    Ok(())
}

async fn notes(Bearer(token): Bearer, State(site): State<Arc<Site>>) -> Response {
    match site.users.notes(&token.subject).await {
        Ok(notes) => Json(notes).into_response(),
        Err(error) => failed(&error),
    }
}

/// Tells a load balancer whether this process can serve.
async fn ready(State((store, upkeep)): State<(AnyStore, UpkeepHandle)>) -> StatusCode {
    let health = upkeep.health();
    let is_ready = store.check().await.is_ok() && health.is_running && health.lag() < LATE;
    if is_ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE }
}

async fn show_login(State(site): State<Arc<Site>>, headers: HeaderMap) -> Response {
    answer(site.login_form(&headers, ("/account", ""), (StatusCode::OK, "")))
}

async fn log_in(
    State(site): State<Arc<Site>>,
    ConnectInfo(source): ConnectInfo<SocketAddr>,
    headers: HeaderMap,
    Form(form): Form<LoginForm>,
) -> Response {
    // Behind a proxy, the address is in a header of the proxy.
    answer(site.log_in(&headers, form, source.ip()).await)
}

async fn account(State(site): State<Arc<Site>>, headers: HeaderMap) -> Response {
    answer(site.account(&headers).await)
}

async fn change_account(
    State(site): State<Arc<Site>>,
    headers: HeaderMap,
    Form(form): Form<AccountForm>,
) -> Response {
    answer(site.change_account(&headers, form).await)
}

fn answer(page: Result<Page, BoxError>) -> Response {
    page.map_or_else(|error| failed(&error), |page| page.map(Body::from))
}

/// Answers a request that failed for a reason of the host's own. The browser learns only that.
fn failed(error: &BoxError) -> Response {
    log(&format!("a request failed: {error}"));
    (StatusCode::SERVICE_UNAVAILABLE, "Try again in a minute.").into_response()
}
