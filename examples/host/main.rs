//! A small backend that is its own authorization server: users in SQLite, a login page, a consent page, a
//! protected API, background work and a graceful stop.
//!
//! Run it with `cargo run --example host --features axum,sqlite`. With `--check` it goes through every step
//! over HTTP, and ends. `docs/embedding.md` builds it step by step.
//!
//! | variable | default |
//! | --- | --- |
//! | `HOST_ISSUER` | `http://127.0.0.1:8090`; in production the `https` URL of the proxy |
//! | `HOST_FOLDER` | `target/host-example`: the database and the key file |
#![expect(clippy::print_stdout, reason = "a program reports to its user")]

mod check;
mod pages;
mod users;

use std::error::Error;
use std::io::Write as _;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::State;
use axum::http::header::CONTENT_TYPE;
use axum::response::IntoResponse;
use axum::routing::get;
use grantor::admin::{DeclaredApps, SecretReference};
use grantor::audit::AuditQueue;
use grantor::catalog::ApiCatalog;
use grantor::clock::{Clock as _, SystemClock};
use grantor::hooks::NoHooks;
use grantor::http::{HttpEndpoints, axum_router};
use grantor::jwt::Algorithm;
use grantor::random::OsRandom;
use grantor::resource_server::{Bearer, BearerLayer, BearerVerifier, RevocationList};
use grantor::server_secret::{KeyFile, Rotation};
use grantor::store::AnyStore;
use grantor::{AuthorizationServer, Issuer, Upkeep};
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;

use pages::Site;
use users::Users;

pub(crate) type BoxError = Box<dyn Error + Send + Sync>;
pub(crate) type Endpoints = HttpEndpoints<AnyStore, Users, NoHooks, Site>;

/// How long a signing key signs, how long audit events are kept, and how long a stop waits for requests.
const KEY_LIFE: Duration = Duration::from_hours(30 * 24);
const EVENTS_KEPT: Duration = Duration::from_hours(180 * 24);
const PATIENCE: Duration = Duration::from_secs(10);

/// The app that this host's configuration declares.
const APPS: &str = r#"{ "apps": [{
    "client_id": "notes-desktop",
    "settings": {
        "name": "Notes for the desktop", "description": "Keeps a copy of your notes.",
        "authentication": "none", "flows": ["authorization_code"], "refresh_token": true,
        "redirect_uris": ["http://127.0.0.1/callback"], "scope": "notes.read notes.write",
        "access_token_lifetime": 600
    }
}] }"#;

/// The protected API: the scope that each request needs, and its name on the consent page.
const API: &str = r#"{ "base_path": "/api", "endpoints": [
    { "method": "GET", "path": "/notes", "scope": "notes.read", "title": "Read your notes" },
    { "method": "POST", "path": "/notes", "scope": "notes.write", "title": "Add notes" }
] }"#;

#[tokio::main]
async fn main() -> Result<(), BoxError> {
    if std::env::args().nth(1).as_deref() == Some("--check") {
        return check::check().await;
    }
    let folder: PathBuf = setting("HOST_FOLDER", "target/host-example").into();
    std::fs::create_dir_all(&folder)?;
    let issuer = setting("HOST_ISSUER", "http://127.0.0.1:8090");
    let listener = TcpListener::bind("127.0.0.1:8090").await?;
    let host = Host::start(&folder, &issuer).await?;
    match &host.password {
        Some(password) => println!("The first user is ann, with the password {password}"),
        None => println!("Ann's password was printed at the first start in {}.", folder.display()),
    }
    println!("{}", check::how_to_try(&issuer)?);
    host.serve(listener).await
}

fn setting(name: &str, default: &str) -> String {
    std::env::var(name).unwrap_or_else(|_| default.to_owned())
}

/// The parts of this program.
pub(crate) struct Host {
    endpoints: Arc<Endpoints>,
    users: Users,
    store: AnyStore,
    events: AuditQueue,
    upkeep: Upkeep<AnyStore, Users>,
    api: Arc<BearerVerifier>,
    /// The password of the first user, if this start made the account.
    pub(crate) password: Option<String>,
}

impl Host {
    pub(crate) async fn start(folder: &Path, issuer: &str) -> Result<Self, BoxError> {
        let (random, issuer) = (OsRandom::new(), Issuer::new(issuer)?);
        let (database, keys) = (folder.join("host.db"), folder.join("keys.json"));
        // The store makes the file with mode 0600, and the tables of the host live in it, too.
        let store = AnyStore::open(&format!("sqlite:{}", database.display())).await?;
        let users = Users::open(&database).await?;
        let password = users.add_first("ann").await?;

        // Lost with the key file: every client secret and every refresh token. Back it up apart from the database.
        if !keys.exists() {
            KeyFile::generate(Algorithm::ES256, &random, SystemClock::new().now())?.write(&keys)?;
        }
        let file = KeyFile::read(&keys)?;

        let catalog: ApiCatalog = serde_json::from_str(API)?;
        let events = AuditQueue::new(&random)?;
        let server = AuthorizationServer::builder(
            issuer.clone(),
            file.server_secret()?,
            file.key_ring()?,
            store.clone(),
            users.clone(),
        )
        .audit(events.clone())
        .catalog(catalog.clone())
        .start()
        .await?;
        let declared = DeclaredApps::from_json(APPS, SecretReference::read)?;
        server.admin("configuration").apply(&declared).await?;

        let server = Arc::new(server);
        let revocations = Arc::new(RevocationList::new());
        let api = BearerVerifier::following(issuer, server.key_ring())
            .with_revocations(Arc::clone(&revocations))
            .with_enforcement(catalog.compile()?);
        let upkeep = Upkeep::of(&server)
            .rotate_keys(keys, KEY_LIFE, Rotation::default())
            .revocations(revocations)
            .audit(&events, store.clone())
            .prune_events(store.clone(), EVENTS_KEPT)
            .on_failure(|job, error| log(&format!("{job}: {error}")));
        let site = Site::new(users.clone(), &server);
        let endpoints = Arc::new(HttpEndpoints::new(server, site));
        Ok(Self { endpoints, users, store, events, upkeep, api: Arc::new(api), password })
    }

    fn router(&self) -> Router {
        let api = Router::new()
            .route("/api/notes", get(list_notes).post(add_note))
            .with_state(self.users.clone())
            .layer(BearerLayer::enforcing(Arc::clone(&self.api)));
        axum_router(&self.endpoints).merge(pages::router(&self.endpoints)).merge(api)
    }

    /// Serves until SIGTERM or Ctrl-C: takes no new connection, answers the requests in flight, writes the
    /// last audit events and closes the files.
    pub(crate) async fn serve(self, listener: TcpListener) -> Result<(), BoxError> {
        let (mut terminate, mut interrupt) =
            (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
        let (told, mut stopping) = watch::channel(false);
        let service = self.router().into_make_service_with_connect_info::<SocketAddr>();
        let handle = self.upkeep.handle();
        let background = tokio::spawn(self.upkeep.run(tokio::time::sleep));
        // The API refuses every token until the first poll of revocations.
        handle.started().await;
        let serving = axum::serve(listener, service).with_graceful_shutdown(async move {
            _ = stopping.wait_for(|stopping| *stopping).await;
        });
        let patience = async {
            tokio::select! { _ = terminate.recv() => {}, _ = interrupt.recv() => {} }
            told.send_replace(true);
            tokio::time::sleep(PATIENCE).await;
        };
        tokio::select! {
            served = async { serving.await } => served?,
            () = patience => log("some requests were not answered in time"),
        }
        handle.stop();
        background.await?;
        if self.events.pending() > 0 {
            log("some audit events were not written");
        }
        self.users.close().await;
        self.store.close().await;
        Ok(())
    }
}

async fn list_notes(
    Bearer(token): Bearer,
    State(users): State<Users>,
) -> Result<impl IntoResponse, pages::Failed> {
    let notes = serde_json::to_string(&users.notes(&token.subject).await?)?;
    Ok(([(CONTENT_TYPE, "application/json")], notes))
}

async fn add_note(
    Bearer(token): Bearer,
    State(users): State<Users>,
    text: String,
) -> Result<(), pages::Failed> {
    Ok(users.add_note(&token.subject, &text).await?)
}

/// Writes a line to standard error. A full disk must not end a request, as it would with `eprintln!`.
pub(crate) fn log(line: &str) {
    _ = writeln!(std::io::stderr(), "{line}");
}
