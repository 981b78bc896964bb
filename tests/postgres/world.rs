//! A server over a store, by default in PostgreSQL, and a client of its endpoints.

use std::sync::Arc;
use std::time::Duration;

use grantor::app::{Flow, ImpersonationPolicy, JwtSettings};
use grantor::audit::{Action, Actor, AuditEvent, AuditSink, EventId, NewEvent, NoAudit};
use grantor::clock::{Clock as _, SystemClock, UnixTime};
use grantor::hooks::NoHooks;
use grantor::ids::{ClientId, GrantId, Subject};
use grantor::observe::Outcome;
use grantor::protocol::{GrantType, Scope};
use grantor::random::OsRandom;
use grantor::rate_limit::RateLimits;
use grantor::secret::Digest;
use grantor::store::conformance::Runner;
use grantor::store::{CachedApps, Grant, PostgresStore, Store};
use serde_json::{Value, json};
use tokio::runtime::Runtime;

use crate::support::{self, Answer, App, ISSUER, Server, code_app, new_key, scope};

/// A world over a store, and the app that its client uses.
pub(crate) struct World<S = PostgresStore> {
    shared: support::World<NoHooks, CachedApps<S>, SystemClock, Blocking>,
    pub(crate) server: Arc<Server<CachedApps<S>>>,
    pub(crate) app: App,
}

/// Blocks on a runtime of tokio.
pub(crate) struct Blocking(pub(crate) Runtime);

impl Runner for Blocking {
    fn block_on<F: Future>(&self, future: F) -> F::Output {
        self.0.block_on(future)
    }
}

/// Returns the body of a success, or the code of the error.
pub(crate) fn result(answer: Answer) -> Result<Value, String> {
    match answer.status {
        200 => Ok(answer.json),
        _ => Err(answer.text("error").to_owned()),
    }
}

pub(crate) fn now() -> UnixTime {
    SystemClock::new().now()
}

pub(crate) fn random_bytes<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    grantor::random::SecureRandom::fill(&OsRandom::new(), &mut bytes).unwrap();
    bytes
}

/// Returns a grant of this app, not stored yet, with random bindings and salt.
pub(crate) fn grant(client_id: &ClientId, subject: &str) -> Grant {
    let subject = Subject::new(subject).unwrap();
    let id = GrantId::from_bytes(random_bytes());
    let mut grant = Grant::new(id, client_id.clone(), subject, Scope::empty());
    grant.binding = Digest::from_bytes(random_bytes());
    grant.salt_digest = Digest::from_bytes(random_bytes());
    grant.authorized_at = now();
    grant.code_expires_at = now().plus(Duration::from_mins(10));
    grant.expires_at = now().plus(Duration::from_hours(24));
    grant
}

/// Returns an event of the audit log with this app, this user and the current time.
pub(crate) fn event(client_id: &str, subject: &str) -> NewEvent {
    let action = Action::IssueToken { grant_type: Some(GrantType::JwtBearer) };
    let actor = Actor::App(ClientId::new(client_id).unwrap());
    let event = AuditEvent::new(now(), actor, action, Outcome::Success);
    let event = event.with_subject(&Subject::new(subject).unwrap());
    NewEvent { id: EventId::generate(event.at, &OsRandom::new()).unwrap(), event }
}

impl<S: Store + 'static> World<S> {
    /// Builds a server with an app of every flow and the user `ann`.
    pub(crate) fn new(runtime: Runtime, store: S) -> Self {
        Self::with_audit(runtime, store, NoAudit::new())
    }

    /// Builds the same server with an audit sink.
    pub(crate) fn with_audit(runtime: Runtime, store: S, audit: impl AuditSink + 'static) -> Self {
        // No other process changes the app meanwhile.
        let store = CachedApps::new(store).bound(Duration::from_hours(1));
        let (clock, runner) = (SystemClock::new(), Blocking(runtime));
        let shared = support::World::over(store, clock, runner, new_key(), |builder| {
            builder.rate_limits(RateLimits::none()).audit(audit)
        });
        let jwt = JwtSettings::signature_secret().with_impersonation(ImpersonationPolicy::anyone());
        let draft = code_app().flow(Flow::JwtBearer).flow(Flow::ClientCredentials).jwt(jwt);
        let app = shared.register(draft.scope(scope("a b")));
        Self { server: Arc::clone(&shared.server), shared, app }
    }

    pub(crate) fn runtime(&self) -> &Runtime {
        &self.shared.runner.0
    }

    /// Sends a token request, and returns the response or the code of the error.
    pub(crate) fn post(&self, parameters: &[(&str, &str)]) -> Result<Value, String> {
        result(self.shared.post(&self.app, parameters))
    }

    /// Returns a code that `ann` approved, and its verifier.
    pub(crate) fn code(&self) -> (String, String) {
        self.shared.code(&self.app)
    }

    pub(crate) fn redeem(&self, code: &str, verifier: &str) -> Result<Value, String> {
        result(self.shared.redeem(&self.app, code, verifier))
    }

    pub(crate) fn refresh(&self, refresh_token: &str) -> Result<Value, String> {
        result(self.ask_refresh(refresh_token))
    }

    pub(crate) fn ask_refresh(&self, refresh_token: &str) -> Answer {
        self.shared.refresh(&self.app, refresh_token)
    }

    /// Exchanges a new assertion for a token.
    pub(crate) fn impersonate(&self) -> Result<Value, String> {
        let now = now().as_seconds();
        let claims = json!({
            "iss": self.app.id.as_str(), "sub": "ann", "aud": ISSUER,
            "iat": now, "exp": now + 120, "jti": format!("{:?}", random_bytes::<16>()),
        });
        let secret = self.app.signature_secret.as_deref().unwrap();
        let key = jsonwebtoken::EncodingKey::from_secret(secret.as_bytes());
        let header = jsonwebtoken::Header::new(jsonwebtoken::Algorithm::HS256);
        let assertion = jsonwebtoken::encode(&header, &claims, &key).unwrap();
        self.post(&[
            ("grant_type", "urn:ietf:params:oauth:grant-type:jwt-bearer"),
            ("assertion", &assertion),
        ])
    }
}
