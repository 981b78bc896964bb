//! An authorization server for trying out: a login page, a consent page, an administrator's API and
//! a small protected API in one process, with a store in memory or in a database.
//!
//! Run it with `cargo run --example server --features axum,console`. It prints commands to try. `README.md`
//! in this folder has the options, and `seed.json` shows every setting of a seed.
#![expect(clippy::print_stdout, reason = "a program reports to its user")]

mod admin_api;
mod args;
mod check;
#[cfg(feature = "console")]
mod console;
mod declare;
mod demo_api;
mod device_pages;
mod digests;
mod fetching;
mod log;
mod pages;
mod secrets;
mod seed;
mod serve;
mod sessions;
mod shell;
mod sign;
mod site;
mod tries;
mod trust;
mod users;
mod web;

use std::error::Error;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::http::header::{self, HeaderName};
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse as _, Response};
use axum::routing::get;
use grantor::audit::{AuditEvent, AuditQueue, AuditSink};
use grantor::catalog::ApiCatalog;
use grantor::clock::SystemClock;
use grantor::endpoint::DeviceGrant;
use grantor::http::{HttpEndpoints, MAX_BODY_BYTES};
use grantor::ids::Resource;
use grantor::observe::MetricsText;
use grantor::protocol::{InstanceHosts, ServerEndpoint};
use grantor::random::OsRandom;
use grantor::rate_limit::RateLimits;
use grantor::resource_server::{BearerVerifier, RevocationList};
use grantor::server_secret::Rotation;
use grantor::store::{AnyStore, Pruning};
use grantor::{AuthorizationServer, Issuer, Upkeep, UpkeepHandle};
use tokio::sync::Semaphore;

use args::Args;
use digests::HostHooks;
use log::Log;
use seed::{Seed, SeedDeviceGrant};
use sessions::Sessions;
use site::{Browsers, Site};
use tries::Tries;
use users::Users;
use web::Cookies;

pub(crate) type BoxError = Box<dyn Error + Send + Sync>;

/// The time for which a signing key signs.
const KEY_LIFE: Duration = Duration::from_hours(30 * 24);
/// The lag of a job from which the server counts as not ready.
const MAX_LAG: Duration = Duration::from_mins(1);

/// The authorization server of this program.
pub(crate) type Server = AuthorizationServer<AnyStore, Arc<Users>, HostHooks>;
/// Its endpoints.
pub(crate) type Endpoints = HttpEndpoints<AnyStore, Arc<Users>, HostHooks, Browsers>;

fn main() -> ExitCode {
    let args = match Args::parse(std::env::args().skip(1)) {
        Ok(args) if args.help => {
            say(std::io::stdout(), args::USAGE);
            return ExitCode::SUCCESS;
        }
        Ok(args) => args,
        Err(problem) => {
            say(std::io::stderr(), &problem);
            return ExitCode::from(2);
        }
    };
    if args.log {
        // A line that cannot be written is lost. By default the subscriber would say so on standard
        // error, and panic if that is full or closed.
        tracing_subscriber::fmt()
            .with_writer(std::io::stderr)
            .with_ansi(false)
            .log_internal_errors(false)
            .init();
    }
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    let outcome = runtime.map_err(BoxError::from).and_then(|it| it.block_on(run(&args)));
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            say(std::io::stderr(), &error.to_string());
            ExitCode::FAILURE
        }
    }
}

/// Writes a line to the user. A stream that is full or closed does not end the program, as it would with
/// `println!`.
fn say(mut stream: impl std::io::Write, text: &str) {
    let _ = writeln!(stream, "{}", text.trim_end_matches('\n'));
}

async fn run(args: &Args) -> Result<(), BoxError> {
    let listener = serve::listen(args.listen).await?;
    let address = listener.local_addr()?;
    let issuer = match &args.issuer {
        Some(issuer) => issuer.clone(),
        None => Issuer::new(format!("http://{address}")).map_err(|error| {
            format!("http://{address} is not a valid issuer: {error}; set --issuer")
        })?,
    };
    let program = Program::build(args, &issuer).await?;
    let tries = program.site.tries.as_ref();
    let revocations = Arc::new(RevocationList::new());
    let upkeep = program.upkeep(&revocations);
    let handle = upkeep.handle();
    let router = program.router(address, &revocations, &handle)?;
    let told = serve::told_to_stop()?;
    let task = tokio::spawn(upkeep.run(tokio::time::sleep));
    handle.started().await;
    for warning in fetching::warnings(args) {
        say(std::io::stdout(), warning);
    }
    serve::announce(args.ready_file.as_deref(), &issuer)?;
    match tries {
        Some(tries) if !args.check => {
            let text = format!("{issuer} is ready. Ctrl-C stops it.\n\n{}", tries.text());
            say(std::io::stdout(), &text);
        }
        _ => say(std::io::stdout(), &format!("{issuer} is ready: {}", program.summary)),
    }
    let background = serve::Background { handle, task, log: program.log };
    let serving = serve::serve(listener, router, background, told);
    if !args.check {
        return Ok(serving.await?);
    }
    let tries = tries.ok_or("--check works with the demo only, without --seed")?;
    tokio::select! {
        served = serving => Ok(served?),
        checked = check::check(tries) => checked,
    }
}

/// The parts assembled at the start.
struct Program {
    server: Arc<Server>,
    endpoints: Arc<Endpoints>,
    site: Arc<Site>,
    log: Log,
    /// The key file that the upkeep follows.
    keys: Option<PathBuf>,
    catalog: ApiCatalog,
    /// The identifiers of the protected API in addition to the issuer.
    resources: Vec<Resource>,
    summary: String,
    /// Whether the console has a playground.
    #[cfg(feature = "console")]
    playground: bool,
}

/// Returns the seed of the arguments, or the one for trying out.
fn read_seed(args: &Args, issuer: &Issuer) -> Result<Seed, BoxError> {
    let Some(path) = &args.seed else { return Ok(Seed::parse(seed::DEMO, issuer)?) };
    let text = std::fs::read_to_string(path);
    let text = text.map_err(|error| format!("--seed {}: {error}", path.display()))?;
    Ok(Seed::parse(&text, issuer)?)
}

impl Program {
    async fn build(args: &Args, issuer: &Issuer) -> Result<Self, BoxError> {
        if args.playground && !cfg!(feature = "console") {
            return Err("--playground needs --features axum,console".into());
        }
        let (clock, random) = (SystemClock::new(), OsRandom::new());
        let mut seed = read_seed(args, issuer)?;
        let catalog = match &seed.catalog {
            Some(catalog) => catalog.clone(),
            None => Seed::parse(seed::DEMO, issuer)?.catalog.unwrap_or_default(),
        };
        let tries = match &args.seed {
            Some(_) => None,
            None => Some(Tries::new(&seed, issuer, &clock, &random)?),
        };
        let store = AnyStore::open(&args.store).await;
        let store = store.map_err(|error| format!("--store: {}", error.cause()))?;
        let users = Arc::new(Users::new(&seed.users, &random)?);
        let (secret, ring, keys) = secrets::secrets(args, &random)?;
        let log = Log { queue: AuditQueue::new(&random)?, store: store.clone() };
        let mut sinks: Vec<Arc<dyn AuditSink>> = vec![Arc::new(log.queue.clone())];
        if args.log {
            sinks.push(Arc::new(Lines));
        }
        let sessions = Arc::new(Sessions::new(args.limits, &random)?);
        let mut builder = AuthorizationServer::builder(
            issuer.clone(),
            secret,
            ring,
            store.clone(),
            Arc::clone(&users),
        )
        .hooks(HostHooks(Arc::clone(&sessions)))
        .audit(sinks)
        .catalog(catalog.clone())
        .hosts(InstanceHosts::new(&seed.hosts)?)
        .token_exchange(seed.token_exchange);
        if !args.limits {
            builder = builder.rate_limits(RateLimits::none());
        }
        if seed.devices.is_some() {
            builder = builder.devices(store.clone());
        }
        if let Some(SeedDeviceGrant { lifetime, interval }) = seed.device_grant {
            let grant = DeviceGrant::new(store.clone())
                .lifetime(Duration::from_secs(lifetime))
                .interval(Duration::from_secs(interval));
            builder = builder.device_grant(grant);
        }
        if let Some(issuers) = &seed.trusted_issuers {
            builder = trust::trusting(builder, issuers, &store);
        }
        if let Some(registration) = seed.registration.take() {
            builder = builder.registration(registration.rules()?);
        }
        for resource_server in &seed.resource_servers {
            builder = builder.resource_server(resource_server.clone());
        }
        let builder = fetching::fetching(builder, &seed, args)?;
        let server = Arc::new(builder.start().await?);
        let apps = declare::declare(&server, &seed, &random).await?;
        trust::trust(&server, seed.trusted_issuers.as_deref().unwrap_or_default()).await?;
        let url = |endpoint| server.paths().full(issuer, endpoint).unwrap_or_default();
        let site = Arc::new(Site {
            authorize: url(ServerEndpoint::Authorization),
            device: url(ServerEndpoint::DeviceVerification),
            metadata: url(ServerEndpoint::Metadata),
            keys: url(ServerEndpoint::JwkSet),
            store,
            sessions,
            hashing: Semaphore::new(site::HASHING),
            cookies: Cookies::new(issuer.as_str().starts_with("https:")),
            users,
            clock,
            random,
            tries,
            devices: seed.devices.is_some(),
        });
        let own = |resource: &&Resource| seed::is_below(issuer, resource);
        let identifiers = seed.resource_servers.iter().map(|it| &it.identifier);
        let mut endpoints = HttpEndpoints::new(Arc::clone(&server), Browsers(Arc::clone(&site)))
            .with_device_pages()
            .with_step_times(true);
        let nextcloud = seed.devices.map(|devices| devices.nextcloud).unwrap_or_default();
        if !nextcloud.is_empty() {
            let mounted = endpoints.with_nextcloud_wipe(nextcloud);
            endpoints = mounted.map_err(|error| format!("the seed, at devices: {error}"))?;
        }
        Ok(Self {
            summary: format!("{} users, {apps} apps", site.users.len()),
            resources: identifiers.filter(own).cloned().collect(),
            endpoints: Arc::new(endpoints),
            server,
            site,
            log,
            keys,
            catalog,
            #[cfg(feature = "console")]
            playground: args.playground || args.seed.is_none(),
        })
    }

    /// Returns the background work.
    fn upkeep(&self, revocations: &Arc<RevocationList>) -> Upkeep<AnyStore, Arc<Users>, HostHooks> {
        let upkeep = Upkeep::of(&self.server)
            .pruning(Pruning::new().interval(Duration::from_mins(1)))
            .revocations(Arc::clone(revocations))
            .audit(&self.log.queue, self.log.store.clone())
            .prune_events(self.log.store.clone(), log::KEPT)
            .on_failure(|job, error| tracing::error!(%job, error, "the upkeep failed"));
        match &self.keys {
            Some(path) => upkeep.rotate_keys(path, KEY_LIFE, Rotation::default()),
            None => upkeep,
        }
    }

    /// Builds the routes.
    fn router(
        &self,
        address: SocketAddr,
        revocations: &Arc<RevocationList>,
        upkeep: &UpkeepHandle,
    ) -> Result<Router, BoxError> {
        let server = &self.server;
        let issuer = Resource::new(server.issuer().as_str())?;
        let verifier = |names: &mut dyn Iterator<Item = &Resource>| {
            let verifier = BearerVerifier::following(server.issuer().clone(), server.key_ring())
                .with_revocations(Arc::clone(revocations));
            names.cloned().fold(verifier, BearerVerifier::with_resource)
        };
        // The first identifier is the realm of challenges, which point to its metadata.
        let mut api = verifier(&mut self.resources.iter().chain([&issuer]))
            .with_enforcement(self.catalog.compile()?);
        if let Some(url) = self.api_metadata_url() {
            api = api.with_metadata_url(&url);
        }
        let admin =
            verifier(&mut [&issuer].into_iter()).with_enforcement(admin_api::catalog()?.compile()?);
        // The library's endpoints limit their request bodies themselves.
        let limit = || DefaultBodyLimit::max(MAX_BODY_BYTES);
        let fallback = demo_api::Fallback {
            api: demo_api::router(Arc::new(api), Arc::clone(&self.site.users)).layer(limit()),
            catalog: Arc::new(self.catalog.compile()?),
        };
        let administration = admin_api::Administration {
            endpoints: Arc::clone(&self.endpoints),
            log: self.log.clone(),
        };
        let mut router = grantor::http::axum_router(&self.endpoints)
            .merge(site::router(Arc::clone(&self.site)).layer(limit()))
            .merge(admin_api::router(Arc::new(admin), administration).layer(limit()));
        #[cfg(feature = "console")]
        {
            let (site, log) = (&self.site, &self.log);
            router = router.merge(console::router(server, site, log, upkeep, self.playground)?);
        }
        // Metrics are for the operator, not for the network.
        if address.ip().is_loopback() {
            let (endpoints, log) = (Arc::clone(&self.endpoints), self.log.clone());
            let upkeep = upkeep.clone();
            let metrics = move || std::future::ready(metrics_text(&endpoints, &log));
            let ready = move || std::future::ready(readiness(&upkeep));
            router = router.route("/metrics", get(metrics)).route("/ready", get(ready));
        }
        Ok(router.fallback(move |request| fallback.clone().answer(request)))
    }
}

impl Program {
    /// Returns the URL of the protected API's metadata if it has an identifier of its own (RFC
    /// 9728).
    fn api_metadata_url(&self) -> Option<String> {
        let path =
            |url: &Resource| url::Url::parse(url.as_str()).ok().map(|it| it.path().to_owned());
        let of_api = path(self.resources.first()?)?;
        let is_of_api = |(path, endpoint): &(&str, ServerEndpoint)| {
            *endpoint == ServerEndpoint::ResourceMetadata && path.ends_with(&of_api)
        };
        let (path, _) = self.endpoints.routes().find(is_of_api)?;
        let issuer = url::Url::parse(self.endpoints.server().issuer().as_str()).ok()?;
        Some(format!("{}{path}", issuer.origin().ascii_serialization()))
    }
}

/// Responds with the metrics of the HTTP layer and of the audit log in the Prometheus format.
pub(crate) fn metrics_text(endpoints: &Endpoints, log: &Log) -> Response {
    const TYPE: (HeaderName, HeaderValue) =
        (header::CONTENT_TYPE, HeaderValue::from_static(MetricsText::CONTENT_TYPE));
    let text = MetricsText::new().with_server(endpoints.metrics());
    ([TYPE], text.with_audit_queue(None, &log.queue).to_string()).into_response()
}

/// Responds with a line for each job of the upkeep; 503 if one is late.
fn readiness(upkeep: &UpkeepHandle) -> Response {
    let health = upkeep.health();
    let is_ready = health.is_running && health.lag() < MAX_LAG;
    let status = if is_ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    (status, health.to_string()).into_response()
}

/// An audit sink that logs events as lines of JSON. Events hold names, never secrets.
#[derive(Debug)]
struct Lines;

impl AuditSink for Lines {
    fn record(&self, event: &AuditEvent) {
        let event = serde_json::to_string(event).unwrap_or_default();
        tracing::info!(target: "audit", "{event}");
    }
}

/// An error with its causes.
pub(crate) struct Causes<'a>(pub(crate) &'a dyn Error);

impl std::fmt::Display for Causes<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}", self.0)?;
        let mut cause = self.0.source();
        while let Some(error) = cause {
            write!(f, ": {error}")?;
            cause = error.source();
        }
        Ok(())
    }
}
