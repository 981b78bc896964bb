//! `examples/host` over actix-web: the library's `http` layer, an API that it protects, and its background work on
//! actix's runtime. Users, login and pages are those of `examples/host`, which know no web framework.
//!
//! Run it with `cargo run --manifest-path examples/actix_host/Cargo.toml`. With `--check` it starts itself, goes
//! through every step over HTTP, and ends.
//!
//! | variable | default |
//! | --- | --- |
//! | `HOST_LISTEN` | `127.0.0.1:8090` |
//! | `HOST_ISSUER` | `http://` and that address; in production the `https` URL of the proxy |
//! | `HOST_FOLDER` | `target/actix-host`: the database and the key file |

#[path = "../../common/check_host.rs"]
mod check;
mod convert;
#[path = "../../common/site/mod.rs"]
mod site;

use std::net::TcpListener;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use actix_web::rt::time::{sleep, timeout};
use actix_web::web::{self, Data, Form, FormConfig, Payload};
use actix_web::{App, HttpRequest, HttpResponse, HttpServer};
use grantor::admin::{DeclaredApps, SecretReference};
use grantor::audit::AuditQueue;
use grantor::catalog::ApiCatalog;
use grantor::clock::{Clock as _, SystemClock};
use grantor::hooks::NoHooks;
use grantor::http::{HttpEndpoints, MAX_BODY_BYTES, Page, SessionCookie};
use grantor::jwt::Algorithm;
use grantor::random::OsRandom;
use grantor::resource_server::{BearerRequest, BearerVerifier, RevocationList};
use grantor::server_secret::{KeyFile, Rotation};
use grantor::store::{AnyStore, SqliteSettings, SqliteStore};
use grantor::{AuthorizationServer, Issuer, Upkeep, UpkeepHandle};
use http::{HeaderMap, Method, StatusCode};

use site::{AccountForm, BoxError, LoginForm, Site, Users, log};

/// The time for which a signing key signs, and for which audit events are kept.
const KEY_LIFE: Duration = Duration::from_hours(30 * 24);
const EVENTS_KEPT: Duration = Duration::from_hours(180 * 24);
/// The seconds that a stop waits for requests, and the lag of the upkeep at which a process is out of service.
const PATIENCE: u64 = 10;
const LATE: Duration = Duration::from_secs(30);
/// The time for a client to send a form to the authorization server.
const BODY: Duration = Duration::from_secs(10);

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

/// The parts that requests use.
struct Host {
    endpoints: HttpEndpoints<AnyStore, Users, NoHooks, Arc<Site>>,
    site: Arc<Site>,
    api: BearerVerifier,
    store: AnyStore,
    upkeep: UpkeepHandle,
}

#[actix_web::main]
async fn main() -> Result<(), BoxError> {
    if std::env::args().nth(1).as_deref() == Some("--check") {
        return web::block(|| check::check(&[]).map(drop)).await?;
    }
    let setting = |name: &str, default: &str| std::env::var(name).unwrap_or(default.to_owned());
    let folder = setting("HOST_FOLDER", "target/actix-host");
    std::fs::create_dir_all(&folder)?;
    let listener = TcpListener::bind(setting("HOST_LISTEN", "127.0.0.1:8090"))?;
    let issuer = setting("HOST_ISSUER", &format!("http://{}", listener.local_addr()?));
    serve(listener, Issuer::new(issuer)?, folder.as_ref()).await
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
    // On the runtime of the main thread. The workers have runtimes of their own.
    let background = actix_web::rt::spawn(upkeep.run(sleep));
    // The API refuses every token until the first poll of revocations.
    handle.started().await;

    println!("{}", check::how_to_try(server.issuer())?);
    let cookie = SessionCookie::new(server.issuer(), "session")?;
    let site = Arc::new(Site { users, server: Arc::clone(&server), cookie });
    let endpoints = HttpEndpoints::new(server, Arc::clone(&site));
    let (store, upkeep) = (store.clone(), handle.clone());
    let host = Data::new(Host { endpoints, site, api, store, upkeep });
    let app = {
        let host = host.clone();
        move || {
            App::new()
                .app_data(host.clone())
                .app_data(FormConfig::default().limit(16 * 1024))
                .route("/ready", web::get().to(ready))
                .route("/api/notes", web::get().to(notes))
                .route("/login", web::get().to(show_login))
                .route("/login", web::post().to(log_in))
                .route("/account", web::get().to(account))
                .route("/account", web::post().to(change_account))
                .route("/callback", web::get().to(callback))
                // Every path of the authorization server.
                .default_service(web::to(authorization_server))
        }
    };
    // It handles SIGTERM and Ctrl-C.
    HttpServer::new(app).listen(listener)?.shutdown_timeout(PATIENCE).run().await?;
    handle.stop();
    background.await?;
    if events.pending() > 0 {
        log("some audit events were not written");
    }
    host.store.close().await;
    pool.close().await;
    Ok(())
}

/// Answers the requests of the authorization server, and 404 on any other path.
async fn authorization_server(
    host: Data<Host>,
    request: HttpRequest,
    body: Payload,
) -> HttpResponse {
    let Some(endpoint) = host.endpoints.endpoint_at(request.uri().path()) else {
        return HttpResponse::NotFound().finish();
    };
    let body = match timeout(BODY, body.to_bytes_limited(MAX_BODY_BYTES)).await {
        Ok(Ok(Ok(body))) => body,
        // One byte more than allowed marks a body that is too long.
        Ok(Err(_)) => vec![0; MAX_BODY_BYTES + 1].into(),
        Ok(Ok(Err(error))) => return error.error_response(),
        Err(_) => return HttpResponse::RequestTimeout().finish(),
    };
    let Ok(mut request) = convert::request(&request, body) else {
        return HttpResponse::BadRequest().finish();
    };
    // actix-web omits the body of an answer to HEAD itself, and takes its length from the body.
    if request.method() == Method::HEAD {
        *request.method_mut() = Method::GET;
    }
    convert::response(host.endpoints.answer(endpoint, request).await)
}

/// Answers with the notes of the token's user.
async fn notes(host: Data<Host>, request: HttpRequest) -> HttpResponse {
    let Ok(head) = convert::request(&request, ()) else {
        return HttpResponse::BadRequest().finish();
    };
    let (method, path) = (head.method().as_str(), head.uri().path());
    match host.api.authorize(method, path, BearerRequest::of(head.headers(), head.uri())) {
        Ok(token) => match host.site.users.notes(&token.subject).await {
            Ok(notes) => HttpResponse::Ok().json(notes),
            Err(error) => failed(&error),
        },
        Err(challenge) => convert::response(challenge.to_response()),
    }
}

/// Tells a load balancer whether this process can serve.
async fn ready(host: Data<Host>) -> HttpResponse {
    let health = host.upkeep.health();
    let is_ready = host.store.check().await.is_ok() && health.is_running && health.lag() < LATE;
    if is_ready { HttpResponse::Ok() } else { HttpResponse::ServiceUnavailable() }.finish()
}

async fn show_login(host: Data<Host>, request: HttpRequest) -> HttpResponse {
    answer(&host, &request, async |site, headers| {
        site.login_form(&headers, ("/account", ""), (StatusCode::OK, ""))
    })
    .await
}

async fn log_in(host: Data<Host>, request: HttpRequest, form: Form<LoginForm>) -> HttpResponse {
    // Behind a proxy, the address is in a header of the proxy.
    let Some(source) = request.peer_addr() else { return HttpResponse::BadRequest().finish() };
    answer(&host, &request, async |site, headers| {
        site.log_in(&headers, form.into_inner(), source.ip()).await
    })
    .await
}

async fn account(host: Data<Host>, request: HttpRequest) -> HttpResponse {
    answer(&host, &request, async |site, headers| site.account(&headers).await).await
}

async fn change_account(
    host: Data<Host>,
    request: HttpRequest,
    form: Form<AccountForm>,
) -> HttpResponse {
    answer(&host, &request, async |site, headers| {
        site.change_account(&headers, form.into_inner()).await
    })
    .await
}

async fn callback() -> &'static str {
    "This page stands for the app. The code is in the address bar."
}

/// Answers with a page of the site.
async fn answer(
    host: &Host,
    request: &HttpRequest,
    page: impl AsyncFnOnce(&Site, HeaderMap) -> Result<Page, BoxError>,
) -> HttpResponse {
    let Ok(head) = convert::request(request, ()) else {
        return HttpResponse::BadRequest().finish();
    };
    let page = page(&host.site, head.into_parts().0.headers).await;
    page.map_or_else(|error| failed(&error), convert::response)
}

/// Answers a request that failed for a reason of the host's own. The browser learns only that.
fn failed(error: &BoxError) -> HttpResponse {
    log(&format!("a request failed: {error}"));
    HttpResponse::ServiceUnavailable().body("Try again in a minute.")
}
