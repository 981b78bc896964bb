//! *Server*: its keys, its upkeep, its versions, and what is switched on.

use std::time::Duration;

use askama::Template;

use super::super::access::ConsoleRole;
use super::super::frame::Frame;
use super::super::problem::Problem;
use super::super::texts::{self, server as text};
use super::super::times::{When, duration};
use super::super::visit::Visit;
use crate::clock::UnixTime;
use crate::hooks::Hooks;
use crate::http::Page;
use crate::protocol::paths::ServerEndpoint;
use crate::rate_limit::RateLimits;
use crate::server::{JobHealth, ServerKey};
use crate::server_secret::{KeyState, RootPrint};
use crate::store::Store;
use crate::users::UserDirectory;

#[derive(Template)]
#[template(path = "console/server.html")]
struct ServerPage<'a> {
    frame: Frame<'a>,
    issuer: &'a str,
    library: &'static str,
    schema: Option<String>,
    limits: &'static str,
    /// The parts that the host may leave out: name, state, and whether it is there.
    parts: Vec<(&'static str, String, bool)>,
    /// Name, URL.
    endpoints: Vec<(&'static str, String)>,
    keys: Vec<Key>,
    /// Fingerprint, state, tone.
    roots: Vec<(String, &'static str, &'static str)>,
    upkeep: Option<Upkeep>,
    export: String,
    import: Option<String>,
    revoke: Option<String>,
}

/// A signing key.
struct Key {
    id: String,
    thumbprint: String,
    algorithm: &'static str,
    state: &'static str,
    tone: &'static str,
    signs_from: Option<When>,
    kept_until: Option<When>,
}

/// The jobs of the upkeep.
struct Upkeep {
    is_running: bool,
    jobs: Vec<Job>,
}

struct Job {
    name: &'static str,
    /// The name that the log and the readiness probe have.
    term: &'static str,
    last: Option<When>,
    /// How late it is.
    late: Option<String>,
    failures: u32,
    error: Option<(When, String)>,
}

impl Key {
    fn new(key: ServerKey, now: UnixTime) -> Self {
        let (state, tone) = text::key_state(key.state);
        let thumbprint = key.thumbprint.as_str().to_owned();
        Self {
            id: key.key_id.map_or_else(|| thumbprint.clone(), |id| id.as_str().to_owned()),
            thumbprint,
            algorithm: key.algorithm.map_or("", |it| it.as_str()),
            state,
            tone,
            signs_from: key.signs_from.map(|at| When::new(at, now)),
            kept_until: key
                .kept_until
                .filter(|_| key.state != KeyState::Retired)
                .map(|at| When::new(at, now)),
        }
    }
}

impl Job {
    fn new(health: JobHealth, now: UnixTime) -> Self {
        let late = u32::try_from(health.lag.as_secs()).unwrap_or(u32::MAX);
        let is_late = health.lag >= Duration::from_secs(1);
        let error = health.last_error.filter(|_| health.failures > 0);
        Self {
            name: text::job(health.job),
            term: health.job.as_str(),
            last: health.last_success.map(|at| When::new(at, now)),
            late: is_late.then(|| duration(late)),
            failures: health.failures,
            error: error.map(|(at, error)| (When::new(at, now), error.to_string())),
        }
    }
}

impl<S: Store, U: UserDirectory, H: Hooks> Visit<'_, S, U, H> {
    /// Shows the state of the server. Everything is known to this process, so that it needs no store.
    pub(in super::super) fn server_status(&self) -> Result<Page, Problem> {
        let (server, now) = (self.server, self.now());
        let may_act = self.may(ConsoleRole::Security);
        let upkeep = self.site.upkeep.as_ref().map(|upkeep| {
            let health = upkeep.health();
            let jobs = health.jobs.into_iter().map(|job| Job::new(job, now)).collect();
            Upkeep { is_running: health.is_running, jobs }
        });
        let roots = server.roots();
        let root = |print: &RootPrint| {
            let seals = roots.sealing.contains(print);
            let (state, tone) = if seals { text::ROOT_SEALS } else { text::ROOT_OPENS };
            (print.to_string(), state, tone)
        };
        let url = |endpoint: ServerEndpoint| {
            let url = server.paths().url(server.issuer(), endpoint)?;
            Some((text::endpoint(endpoint), url))
        };
        self.page(&ServerPage {
            frame: self.frame(texts::frame::SERVER),
            issuer: server.issuer().as_str(),
            library: env!("CARGO_PKG_VERSION"),
            schema: server.store().schema(),
            limits: match server.rate_limits() {
                limits if limits == RateLimits::none() => text::LIMITS_OFF,
                limits if limits == RateLimits::default() => text::LIMITS_DEFAULT,
                _ => text::LIMITS_OWN,
            },
            parts: self.parts(),
            endpoints: ServerEndpoint::ALL.into_iter().filter_map(url).collect(),
            keys: server.key_states().into_iter().map(|key| Key::new(key, now)).collect(),
            roots: roots.accepted.iter().map(root).collect(),
            upkeep,
            export: self.link("/server/export"),
            import: may_act.then(|| self.link("/server/import")),
            revoke: may_act.then(|| self.link("/server/revoke")),
        })
    }

    fn parts(&self) -> Vec<(&'static str, String, bool)> {
        let counted = |name, count: usize| {
            let state = if count == 0 { text::NONE.to_owned() } else { count.to_string() };
            (name, state, count > 0)
        };
        let operations = self.server.catalog().map_or(0, |catalog| catalog.endpoints().len());
        let log = &self.site.log;
        let connected = if log.is_some() { text::CONNECTED } else { text::NOT_CONNECTED };
        vec![
            counted(text::CATALOG, operations),
            counted(text::RESOURCE_SERVERS, self.server.resource_servers().len()),
            (text::AUDIT_LOG, connected.to_owned(), log.is_some()),
        ]
    }
}
