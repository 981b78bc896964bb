//! A runtime, a server and grants for the tests.

use std::path::Path;
use std::sync::Arc;

use grantor::app::AppDraft;
use grantor::audit::{AuditSink, NoAudit};
use grantor::clock::{SystemClock, UnixTime};
use grantor::hooks::NoHooks;
use grantor::ids::{ClientId, GrantId};
use grantor::random::OsRandom;
use grantor::secret::Digest;
use grantor::store::conformance::Runner;
use grantor::store::{
    AssertionClaim, AssertionPurpose, CodeRedemption, Grant, GrantStore as _, Rotation,
    SqliteSettings, SqliteStore,
};
use tokio::runtime::{Builder, Runtime};

use crate::shared::{self, code_app, new_key, scope, subject};

pub(crate) type World<'r> = shared::World<NoHooks, SqliteStore, SystemClock, &'r Tokio>;

/// A runtime on which the checks of the kit block.
pub(crate) struct Tokio(Runtime);

impl Tokio {
    pub(crate) fn new() -> Self {
        Self(Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap())
    }

    pub(crate) fn open(&self, file: &Path) -> SqliteStore {
        self.block_on(SqliteStore::open(file, SqliteSettings::new())).unwrap()
    }

    /// Opens a store and registers an app.
    pub(crate) fn desk(&self, file: &Path) -> Desk {
        Desk::new(self, self.open(file))
    }

    /// Builds a server over `store` with an audit sink.
    pub(crate) fn world(
        &self,
        store: &Arc<SqliteStore>,
        audit: impl AuditSink + 'static,
    ) -> World<'_> {
        let (store, clock) = (Arc::clone(store), SystemClock::new());
        World::over(store, clock, self, new_key(), |builder| builder.audit(audit))
    }

    pub(crate) fn spawn<F>(&self, future: F) -> tokio::task::JoinHandle<F::Output>
    where
        F: Future<Output: Send> + Send + 'static,
    {
        self.0.spawn(future)
    }
}

impl Runner for Tokio {
    fn block_on<F: Future>(&self, future: F) -> F::Output {
        self.0.block_on(future)
    }
}

impl Runner for &Tokio {
    fn block_on<F: Future>(&self, future: F) -> F::Output {
        self.0.block_on(future)
    }
}

pub(crate) fn at(millis: i64) -> UnixTime {
    UnixTime::from_millis(1_700_000_000_000 + millis)
}

pub(crate) const HOUR: i64 = 3_600_000;

/// A store with a registered app.
#[derive(Clone)]
pub(crate) struct Desk {
    pub(crate) store: Arc<SqliteStore>,
    pub(crate) client_id: ClientId,
}

impl Desk {
    pub(crate) fn new(runtime: &Tokio, store: SqliteStore) -> Self {
        let store = Arc::new(store);
        let client_id = runtime.world(&store, NoAudit::new()).register(app()).id;
        Self { store, client_id }
    }

    /// Returns a grant as the server makes it, not stored yet. Its id determines its bindings.
    pub(crate) fn grant(&self) -> Grant {
        grant(&self.client_id, GrantId::generate(&OsRandom::new()).unwrap())
    }

    /// Returns the grant with the present instant of the store as its date.
    pub(crate) fn dated(&self, runtime: &Tokio, grant: Grant) -> Grant {
        let present = runtime.block_on(self.store.instant(at(0))).unwrap();
        with(grant, |grant| grant.authorized_at = present)
    }

    /// Returns a grant with its refresh token at generation 1.
    pub(crate) fn family(&self) -> Grant {
        with(self.grant(), |grant| (grant.generation, grant.rotated_at) = (1, at(0)))
    }
}

/// An app with the code flow that needs no consent.
pub(crate) fn app() -> AppDraft {
    code_app().scope(scope("files.read files.write")).require_consent(false)
}

/// Returns a digest that the id determines.
pub(crate) fn digest(grant_id: GrantId) -> Digest {
    Digest::from_bytes([*grant_id.as_bytes(), *grant_id.as_bytes()].concat().try_into().unwrap())
}

pub(crate) fn grant(client_id: &ClientId, grant_id: GrantId) -> Grant {
    let subject = subject("ann");
    let scope = scope("files.read files.write");
    let mut grant = Grant::new(grant_id, client_id.clone(), subject, scope);
    (grant.binding, grant.salt_digest) = (digest(grant_id), digest(grant_id));
    grant.authorized_at = at(0);
    grant.code_expires_at = at(60_000);
    grant.expires_at = at(24 * HOUR);
    grant
}

/// Returns the grant after `change`.
pub(crate) fn with(mut grant: Grant, change: impl FnOnce(&mut Grant)) -> Grant {
    change(&mut grant);
    grant
}

pub(crate) fn code(grant: &Grant) -> CodeRedemption {
    CodeRedemption {
        grant_id: grant.grant_id,
        client_id: grant.client_id.clone(),
        binding: grant.binding,
        salt_digest: grant.salt_digest,
        confirmation: None,
        binds: true,
        device: None,
        polling: None,
        claim: 1,
        now: at(1),
    }
}

pub(crate) fn token(grant: &Grant, generation: u32) -> Rotation {
    Rotation {
        grant_id: grant.grant_id,
        client_id: grant.client_id.clone(),
        salt_digest: grant.salt_digest,
        generation,
        grace_millis: 0,
        skew_millis: 0,
        idle_millis: None,
        proves_reuse: true,
        confirmation: None,
        binds: true,
        claim: 2,
        now: at(2),
    }
}

/// Returns the claim of an assertion. `id` determines the `jti`.
pub(crate) fn claim(client_id: &ClientId, id: GrantId) -> AssertionClaim {
    AssertionClaim {
        client_id: client_id.clone(),
        purpose: AssertionPurpose::Grant,
        jti: digest(id),
        expires_at: at(HOUR),
        grant: None,
        makes_row: false,
        now: at(0),
    }
}
