//! The server: an authorization server, and an MCP server that accepts its tokens.

use std::fs::OpenOptions;
use std::io::{self, Write as _};
use std::net::SocketAddr;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;
use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::extract::{ConnectInfo, DefaultBodyLimit, Form, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse as _, Response};
use axum::routing::get;
use grantor::admin::{DeclaredApps, SecretReference};
use grantor::app::AppTemplate;
use grantor::clock::{Clock as _, SystemClock};
use grantor::endpoint::{ClientDocuments, Registration, RegistrationAccess};
use grantor::fetch::Fetcher;
use grantor::http::{HttpEndpoints, Page, SessionCookie, axum_router};
use grantor::ids::{ClientId, Resource};
use grantor::jwt::Algorithm;
use grantor::random::OsRandom;
use grantor::resource_server::{
    BearerVerifier, McpLayer, ProtectedResource, ResourceServer, RevocationList,
};
use grantor::server_secret::KeyFile;
use grantor::store::{AnyStore, SqliteSettings, SqliteStore};
use grantor::{AuthorizationServer, Issuer, Scope, ServerBuilder, Upkeep};
use rmcp::transport::streamable_http_server::session::never::NeverSessionManager;
use rmcp::transport::{StreamableHttpServerConfig, StreamableHttpService};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};

use crate::enterprise::IdentityProvider;
use crate::notes::Notes;
use crate::site::{AccountForm, BoxError, LoginForm, Site, Users, log};

/// The user of a new folder.
const USER: &str = "ann";
/// The scope of every request, and the one of the tool that writes.
const READ: &str = "notes.read";
const WRITE: &str = "notes.write";

/// The clients that an administrator has registered, here by configuration.
fn declared_apps(mcp: &Resource, provider: Option<&IdentityProvider>) -> Value {
    let scope = format!("{READ} {WRITE}");
    let cli = json!({
        "client_id": "notes-cli",
        "settings": {
            "name": "Notes for the terminal", "description": "Reads and writes your notes.",
            "authentication": "none", "flows": ["authorization_code"], "refresh_token": true,
            // Any port (RFC 8252 section 7.3).
            "redirect_uris": ["http://127.0.0.1/callback", "http://127.0.0.1/oauth/callback"],
            "scope": scope, "resources": [mcp], "default_resource": mcp,
        }
    });
    let apps: Vec<_> = [cli].into_iter().chain(provider.map(|it| it.app(mcp, &scope))).collect();
    json!({ "apps": apps })
}

/// The settings of the administrator.
pub(crate) struct Configured {
    pub(crate) issuer: Issuer,
    pub(crate) fetcher: Fetcher,
    pub(crate) provider: Option<IdentityProvider>,
}

/// The configuration of the authorization server: the one place for what more it shall offer. A client that no
/// administrator knows describes itself by a document at its client id, or registers itself.
fn configure(
    builder: ServerBuilder<AnyStore, Users>,
    described: ResourceServer,
    mcp: &Resource,
    fetcher: Arc<Fetcher>,
) -> Result<ServerBuilder<AnyStore, Users>, BoxError> {
    let template = AppTemplate::new(Scope::parse(&format!("{READ} {WRITE}"))?)
        .refresh_token(true)
        .resources([mcp.clone()])
        .default_resource(Some(mcp.clone()));
    // Clients register the scope of their first request, and step up later.
    let registration =
        Registration::new(template.clone(), RegistrationAccess::Open)?.narrow_scope(false);
    Ok(builder
        .client_documents(ClientDocuments::new(template, fetcher)?)
        .registration(registration)
        .resource_server(described))
}

/// Returns the fetcher of documents, from this machine, too, if there is a file of authorities.
pub(crate) fn fetcher(local: Option<&Path>) -> Result<Fetcher, BoxError> {
    let Some(authorities) = local else { return Ok(Fetcher::new()?) };
    let authorities = std::fs::read_to_string(authorities)?;
    let local = Fetcher::builder().root_certificates(&authorities)?.allow_network("127.0.0.0/8")?;
    Ok(local.build()?)
}

/// Serves until SIGTERM or Ctrl-C.
pub(crate) async fn serve(
    listener: TcpListener,
    configured: Configured,
    folder: &Path,
    ready_file: Option<&Path>,
) -> Result<(), BoxError> {
    let Configured { issuer, fetcher, provider } = configured;
    let pool = SqliteStore::open_pool(folder.join("notes.db")).await?;
    let store: AnyStore = SqliteStore::with_pool(pool.clone(), SqliteSettings::new()).await?.into();
    let users = Users::open(pool.clone()).await?;
    let password = users.add_first(USER).await?;
    let keys = folder.join("keys.json");
    let now = SystemClock::new().now();
    let file = KeyFile::read_or_generate(&keys, Algorithm::ES256, &OsRandom::new(), now)?;
    let (secret, ring) = (file.server_secret()?, file.key_ring()?);

    // The URL that clients know. A proxy in front changes nothing about it.
    let mcp = Resource::new(format!("{}/mcp", issuer.as_str().trim_end_matches('/')))?;
    // It checks tokens itself and never introspects, so no app has this id.
    let described = ResourceServer::new(mcp.clone(), ClientId::new("notes-mcp")?)
        .with_name("Notes")
        .with_scopes(Scope::parse(&format!("{READ} {WRITE}"))?);
    let builder =
        AuthorizationServer::builder(issuer.clone(), secret, ring, store.clone(), users.clone());
    let fetcher = Arc::new(fetcher);
    let mut builder = configure(builder, described.clone(), &mcp, Arc::clone(&fetcher))?;
    if provider.is_some() {
        builder = builder.trusted_issuers(store.clone()).app_keys(fetcher);
    }
    let server = Arc::new(builder.start().await?);
    let declared = declared_apps(&mcp, provider.as_ref());
    let declared = DeclaredApps::from_value(declared, SecretReference::read)?;
    let admin = server.admin("configuration");
    admin.apply(&declared).await?;
    if let Some(provider) = provider {
        let trust = provider.trust();
        let known = admin.trusted_issuers().await?;
        match known.iter().find(|it| it.settings.issuer() == trust.issuer()) {
            Some(known) => admin.edit_trusted_issuer(known.version, trust).await?,
            None => admin.add_trusted_issuer(trust).await?,
        };
    }

    let revocations = Arc::new(RevocationList::new());
    let verifier = BearerVerifier::following(issuer.clone(), server.key_ring())
        .with_protected_resource(&ProtectedResource::registered(&described, &issuer))
        .with_revocations(Arc::clone(&revocations));
    let protection = McpLayer::new(Arc::new(verifier), Scope::parse(READ)?)
        .with_tool("list_notes", Scope::empty())
        .with_tool("add_note", Scope::parse(WRITE)?)
        .with_cross_origin(true);
    let notes = Notes::new(users.clone(), pool.clone());
    let service = StreamableHttpService::new(
        move || Ok(notes.clone()),
        Arc::new(NeverSessionManager::default()),
        transport(&issuer),
    );
    let tools = Router::new().route_service("/mcp", service).layer(protection);

    let upkeep = Upkeep::of(&server)
        .revocations(revocations)
        .on_failure(|job, error| log(&format!("{job}: {error}")));
    let handle = upkeep.handle();
    let background = tokio::spawn(upkeep.run(tokio::time::sleep));
    // The tools refuse every token until the first poll of revocations.
    handle.started().await;

    let cookie = SessionCookie::new(&issuer, "session")?;
    let site = Arc::new(Site { users, server: Arc::clone(&server), cookie });
    let endpoints = HttpEndpoints::new(server, Arc::clone(&site)).with_cross_origin(true);
    let pages = Router::new()
        .route("/login", get(show_login).post(log_in))
        .route("/account", get(account).post(change_account))
        .layer(DefaultBodyLimit::max(16 * 1024))
        .with_state(site);
    let router = pages.merge(tools).merge(axum_router(&Arc::new(endpoints)));
    announce(&issuer, &mcp, password.as_deref(), ready_file)?;

    let service = router.into_make_service_with_connect_info::<SocketAddr>();
    let (mut terminate, mut interrupt) =
        (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    let stop = async move {
        tokio::select! { _ = terminate.recv() => {}, _ = interrupt.recv() => {} }
    };
    axum::serve(listener, service).with_graceful_shutdown(stop).await?;
    handle.stop();
    background.await?;
    store.close().await;
    pool.close().await;
    Ok(())
}

/// Without sessions, each request stands for itself. The transport admits the public host only, against DNS
/// rebinding.
fn transport(issuer: &Issuer) -> StreamableHttpServerConfig {
    let mut config = StreamableHttpServerConfig::default()
        .with_legacy_session_mode(false)
        .with_json_response(true);
    let authority = issuer.as_str().split('/').nth(2).unwrap_or_default();
    config.allowed_hosts = vec![authority.to_owned()];
    config
}

/// Tells a person on standard output, and a program by the file, that the server is ready.
fn announce(
    issuer: &Issuer,
    mcp: &Resource,
    password: Option<&str>,
    ready_file: Option<&Path>,
) -> Result<(), BoxError> {
    println!("The MCP server is {mcp}, and its authorization server is {issuer}.");
    if let Some(password) = password {
        println!("The first user is {USER}, with the password {password}");
    }
    println!("Registered client: notes-cli. Others register themselves. Ctrl-C stops the server.");
    let Some(path) = ready_file else { return Ok(()) };
    let ready = json!({
        "pid": std::process::id(), "issuer": issuer, "mcp": mcp, "user": USER, "password": password,
    });
    // In one step, so that a reader sees the whole file.
    let new = path.with_extension("new");
    write_private(&new, &ready.to_string())?;
    Ok(std::fs::rename(new, path)?)
}

/// Writes a file with a password, which only its owner may read.
fn write_private(path: &Path, text: &str) -> io::Result<()> {
    // A file of an earlier start keeps its mode.
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    file.write_all(text.as_bytes())
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
    page.map_or_else(
        |error| {
            log(&format!("a request failed: {error}"));
            (StatusCode::SERVICE_UNAVAILABLE, "Try again in a minute.").into_response()
        },
        |page| page.map(Body::from),
    )
}
