//! A server over any store, and everything that a test changes or asks beside it.

use std::sync::Arc;
use std::time::Duration;

use grantor::admin::ImportedApp;
use grantor::app::AppDraft;
use grantor::audit::{AuditEvent, AuditQuery, MemoryAudit};
use grantor::clock::{Clock, ManualClock, UnixTime};
use grantor::endpoint::Login;
use grantor::hooks::{Hooks, NoHooks};
use grantor::ids::{ClientId, DeviceId, Group, Issuer, Source, Subject};
use grantor::jwt::{Algorithm, KeyRing, Parent, SigningKey};
use grantor::rate_limit::RateLimits;
use grantor::server_secret::ServerSecret;
use grantor::store::conformance::{Runner, Threads};
use grantor::store::{AccessFacts, MemoryStore, Store};
use grantor::users::{MemoryUsers, User, UserDirectory};
use grantor::{AuthorizationServer, ServerBuilder};

use super::{Answer, App, Wire};

/// The issuer of every server.
pub(crate) const ISSUER: &str = "https://as.example.com";
/// The instant at which a clock that stands still begins.
pub(crate) const START: i64 = 1_700_000_000;
/// The root of the server's secret.
pub(crate) const ROOT: &[u8] = b"0123456789abcdef0123456789abcdef";

pub(crate) type Server<S = MemoryStore, H = NoHooks> =
    AuthorizationServer<Arc<S>, Arc<MemoryUsers>, H>;
pub(crate) type Builder<S = MemoryStore, H = NoHooks> = ServerBuilder<Arc<S>, Arc<MemoryUsers>, H>;

/// A server with the users `ann` and `bob` of group `staff`, `root` of group `admins`, and the
/// inactive user `gone`.
///
/// By default it is in memory, its clock stands still, and its clients reach it over the loopback
/// interface.
pub(crate) struct World<H = NoHooks, S = MemoryStore, C = ManualClock, R = Threads> {
    pub(crate) server: Arc<Server<S, H>>,
    pub(crate) clock: Arc<C>,
    pub(crate) audit: Arc<MemoryAudit>,
    pub(crate) users: Arc<MemoryUsers>,
    pub(crate) store: Arc<S>,
    pub(crate) source: Source,
    pub(crate) wire: Wire,
    pub(crate) runner: R,
}

impl World {
    pub(crate) fn new() -> Self {
        Self::with(|builder| builder)
    }

    /// A server without rate limits.
    pub(crate) fn unlimited() -> Self {
        Self::with(|builder| builder.rate_limits(RateLimits::none()))
    }
}

impl<H: Hooks + 'static> World<H> {
    /// A server that `configure` has changed.
    pub(crate) fn with(configure: impl FnOnce(Builder) -> Builder<MemoryStore, H>) -> Self {
        let clock = ManualClock::new(UnixTime::from_seconds(START));
        let world = Self::over(MemoryStore::new(), clock, Threads, new_key(), configure);
        Self { wire: Wire::default(), ..world }
    }

    /// Moves the clock.
    pub(crate) fn advance(&self, seconds: u64) {
        self.clock.advance(Duration::from_secs(seconds));
    }
}

impl<H, S, C, R> World<H, S, C, R>
where
    H: Hooks + 'static,
    S: Store + 'static,
    C: Clock + 'static,
    R: Runner,
{
    /// A server over `store` that `configure` has changed. Its clients call it in this process.
    pub(crate) fn over(
        store: impl Into<Arc<S>>,
        clock: C,
        runner: R,
        keys: impl Into<KeyRing>,
        configure: impl FnOnce(Builder<S>) -> Builder<S, H>,
    ) -> Self {
        let (store, clock) = (store.into(), Arc::new(clock));
        let audit = Arc::new(MemoryAudit::default());
        let user = |name: &str, group: &str| {
            User::new(subject(name)).with_groups([Group::new(group).unwrap()])
        };
        let users = Arc::new(MemoryUsers::new([
            user("ann", "staff"),
            user("bob", "staff"),
            user("root", "admins"),
            user("gone", "staff").with_active(false),
        ]));
        let secret = ServerSecret::new(ROOT).unwrap();
        let builder = builder(secret, keys, Arc::clone(&store), Arc::clone(&users))
            .clock(Arc::clone(&clock))
            .audit(Arc::clone(&audit));
        let server = Arc::new(configure(builder).build());
        let source = Source::new("192.0.2.7").unwrap();
        Self { server, clock, audit, users, store, source, wire: Wire::InProcess, runner }
    }

    /// Starts the builder of another process that has the same clock and audit log.
    pub(crate) fn beside<T: Store, U: UserDirectory>(
        &self,
        keys: impl Into<KeyRing>,
        store: T,
        users: U,
    ) -> ServerBuilder<T, U> {
        builder(ServerSecret::new(ROOT).unwrap(), keys, store, users)
            .clock(Arc::clone(&self.clock))
            .audit(Arc::clone(&self.audit))
    }

    /// Another process with `secret`, a key of its own and no rate limits, over the same store and
    /// users.
    pub(crate) fn sibling(&self, secret: ServerSecret) -> Server<S> {
        builder(secret, new_key(), Arc::clone(&self.store), Arc::clone(&self.users))
            .clock(Arc::clone(&self.clock))
            .audit(Arc::clone(&self.audit))
            .rate_limits(RateLimits::none())
            .build()
    }

    /// The present instant.
    pub(crate) fn clock_now(&self) -> UnixTime {
        self.clock.now()
    }

    pub(crate) fn block_on<F: Future>(&self, future: F) -> F::Output {
        self.runner.block_on(future)
    }

    /// Registers an app.
    pub(crate) fn register(&self, draft: AppDraft) -> App {
        let admin = self.server.admin("tester");
        App::from(self.block_on(admin.register(draft.build().unwrap())).unwrap())
    }

    /// Registers an app under this client id.
    pub(crate) fn import(&self, client_id: &str, draft: AppDraft) -> App {
        let id = ClientId::new(client_id).unwrap();
        let import = ImportedApp::new(id, draft.build().unwrap());
        App::from(self.block_on(self.server.admin("tester").import(import)).unwrap())
    }

    /// Changes the settings of `app`.
    pub(crate) fn edit(&self, app: &App, change: impl FnOnce(AppDraft) -> AppDraft) {
        let admin = self.server.admin("tester");
        let before = self.block_on(admin.find(&app.id)).unwrap().unwrap();
        let draft = change(AppDraft::from(before.settings()));
        self.block_on(admin.edit(&app.id, before.version(), draft)).unwrap();
    }

    /// Checks whether the store refuses the access token of `answer` now.
    pub(crate) fn is_revoked(&self, answer: &Answer) -> bool {
        let claims = answer.claims();
        let text = |name: &str| claims[name].as_str().unwrap();
        let device = claims["device"].as_str().map(|name| DeviceId::new(name).unwrap());
        let session = claims["sid"].as_str().map(|name| name.parse().unwrap());
        let via: Option<Vec<Parent>> = serde_json::from_value(claims["via"].clone()).unwrap();
        let via = via.unwrap_or_default();
        let issuer = claims["evidence_issuer"].as_str().map(|name| name.parse().unwrap());
        let facts = AccessFacts {
            grant_id: text("grant_id").parse().unwrap(),
            client_id: &ClientId::new(text("client_id")).unwrap(),
            subject: &subject(text("sub")),
            device: device.as_ref(),
            session: session.as_ref(),
            evidence_issuer: issuer.as_ref(),
            via: &via,
            authorized_at: UnixTime::from_millis(claims["authorized_at"].as_i64().unwrap()),
        };
        self.block_on(self.store.is_revoked(&facts)).unwrap()
    }

    /// All events, the newest first.
    pub(crate) fn events(&self) -> Vec<AuditEvent> {
        self.audit.find(&AuditQuery::all())
    }

    /// The newest event.
    pub(crate) fn last_event(&self) -> AuditEvent {
        self.audit.find(&AuditQuery::all().limit(1)).remove(0)
    }

    /// The number of events of this action.
    pub(crate) fn count(&self, action: &str) -> usize {
        self.events().iter().filter(|event| event.action.as_str() == action).count()
    }

    /// Asserts that the newest event is a refusal at this step, for this reason, by this setting.
    #[track_caller]
    pub(crate) fn assert_refused(&self, step: &str, reason: &str, setting: Option<&str>) {
        let outcome = self.last_event().outcome;
        assert_eq!(outcome.as_str(), "refused", "{outcome:?}");
        let found = (outcome.step().unwrap().as_str(), outcome.reason(), outcome.setting());
        assert_eq!(found, (step, Some(reason), setting));
    }
}

fn builder<S: Store, U: UserDirectory>(
    secret: ServerSecret,
    keys: impl Into<KeyRing>,
    store: S,
    users: U,
) -> ServerBuilder<S, U> {
    AuthorizationServer::builder(Issuer::new(ISSUER).unwrap(), secret, keys, store, users)
}

/// A fresh ES256 key.
pub(crate) fn new_key() -> SigningKey {
    SigningKey::generate(Algorithm::ES256).unwrap()
}

pub(crate) fn subject(name: &str) -> Subject {
    Subject::new(name).unwrap()
}

/// The user `ann` in her session.
pub(crate) fn ann() -> Login {
    Login::new(subject("ann"), "session of ann")
}
