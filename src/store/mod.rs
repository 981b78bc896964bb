//! The seam to storage: two traits, their records, and the stores that ship.
//!
//! [`AppRegistry`] stores the apps, [`GrantStore`] stores grants, cutoffs, assertions and consents.
//! Both belong in one database: a redemption, a rotation and a claim check everything that can change in
//! *one* atomic step, including whether the app is enabled. [`Store`] is both at once; every type that
//! implements the two implements it. The audit log and usage have a trait of their own,
//! [`AuditStore`](crate::audit::AuditStore), so have the devices that can be wiped,
//! [`DeviceStore`], and requests that wait for a user, [`PendingStore`].
//!
//! A store serves one issuer. The SQL stores open views of further issuers over the same tables, such as with
//! [`AnyStore::for_issuers`].
//!
//! Rules of the contract:
//!
//! * **Answers are enums, failures are errors.** A lost race, a spent code, a revoked grant are
//!   answers. [`StoreError`] means that the step failed or that its outcome is unknown. The server then
//!   issues nothing and answers `server_error`.
//! * **One method, one atomic promise**, which its name tells and its `# Contract` spells out. In
//!   SQL each is one statement.
//! * **A dropped future leaves a step done or not done**, never half.
//! * **Expiry and revocation live in one predicate**: if one method refuses a grant, all do.
//! * **A grant is dated before its first check**, so that a revocation that overlaps a request covers it.
//!   The caller passes the date, the store bounds it by its clock and refuses it if a revocation in force
//!   covers it.
//! * **Two instants come from the store's clock**: the [`authorized_at`](Grant::authorized_at) of a
//!   grant and the instant of a [`Revocation`]. A store that several processes share takes them from one
//!   clock. A store inside one process may take the instants that it is given, but its clock never runs
//!   backwards.
//! * **Futures are `Send`** and may be awaited on any thread. Implementations write `async fn`.
//!
//! To write one, begin with `examples/custom_store.rs`, or for tables of your own with
//! `examples/custom_sql_store`, then run
#![cfg_attr(feature = "test-kit", doc = "[`conformance`] ")]
#![cfg_attr(not(feature = "test-kit"), doc = "`conformance` (feature `test-kit`) ")]
//! over it until it passes.

mod any;
mod app_registry;
mod audit_rows;
mod cached_apps;
#[cfg(feature = "test-kit")]
#[cfg_attr(docsrs, doc(cfg(feature = "test-kit")))]
pub mod conformance;
mod device;
mod feed;
mod grant;
mod grant_store;
mod memory;
mod pending;
#[cfg(feature = "postgres")]
mod postgres;
mod pruning;
mod records;
mod revocation;
#[cfg(any(feature = "sqlite", feature = "postgres"))]
mod sql;
#[cfg(feature = "sqlite")]
mod sqlite;
mod store_clock;
mod trusted_issuers;

use std::error::Error as StdError;
use std::fmt;

pub use any::AnyStore;
pub(crate) use any::on_any;
pub use app_registry::{AppQuery, AppRegistry, AppsVersion, DeleteApp, InsertApp, UpdateApp};
pub(crate) use audit_rows::{
    AuditFilter, AuditRow, DAY_MILLIS, DayRow, HistoryRows, UsageRow, UsageStep, day_of,
};
pub use cached_apps::CachedApps;
pub(crate) use device::SharedDevices;
pub use device::{
    AdvanceWipe, Device, DeviceFilter, DeviceKey, DeviceSighting, DeviceStore, RequestWipe,
    SeeDevice, Wipe, WipeAdvance, WipeOrder, WipeRequest, WipeStep,
};
pub use feed::{FeedCursor, InvalidCursor, RevocationFeed};
pub(crate) use grant::MAX_TICKET_LIFETIME;
pub use grant::{Grant, MAX_MISMATCHES};
pub use grant_store::GrantStore;
pub use memory::MemoryStore;
pub(crate) use pending::SharedPending;
pub use pending::{Keep, PendingRecord, PendingStore};
#[cfg(feature = "postgres")]
#[cfg_attr(docsrs, doc(cfg(feature = "postgres")))]
pub use postgres::PostgresStore;
pub(crate) use pruning::yield_now;
pub use pruning::{Pruning, prune_regularly};
pub use records::{
    AssertionClaim, ClaimAssertion, CodeRedemption, Consent, GrantFilter, GrantRefusal,
    InsertGrant, Polling, Pruned, RedeemCode, Revoked, Rotate, Rotation,
};
pub use revocation::{AccessFacts, Revocation, RevocationReason, RevocationTarget};
pub(crate) use trusted_issuers::SharedIssuers;
pub use trusted_issuers::{IssuerRecord, IssuerStore, PutIssuer};

pub use crate::jwt::assertion::AssertionPurpose;

#[cfg(any(feature = "sqlite", feature = "postgres"))]
#[cfg_attr(docsrs, doc(cfg(any(feature = "sqlite", feature = "postgres"))))]
pub use sql::{InvalidTablePrefix, TablePrefix};
#[cfg(feature = "sqlite")]
#[cfg_attr(docsrs, doc(cfg(feature = "sqlite")))]
pub use sqlite::{Durability, SqliteSettings, SqliteStore};
/// The version of `sqlx` whose pools the stores take.
#[cfg(any(feature = "sqlite", feature = "postgres"))]
#[cfg_attr(docsrs, doc(cfg(any(feature = "sqlite", feature = "postgres"))))]
pub use sqlx;

/// Everything that the server needs of storage, as one bound.
pub trait Store: AppRegistry + GrantStore {}

impl<T: AppRegistry + GrantStore> Store for T {}

/// The store failed, or the outcome of its step is unknown.
///
/// `Display` names the cause; `source` continues with the cause of that. No text holds a secret.
#[derive(Debug)]
pub struct StoreError {
    cause: Box<dyn StdError + Send + Sync>,
}

impl fmt::Display for StoreError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the store failed: {}", self.cause)
    }
}

impl StdError for StoreError {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.cause.source()
    }
}

impl StoreError {
    /// Wraps the error of the backend. It reaches the audit log, never a client.
    pub fn new(source: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        Self { cause: source.into() }
    }

    /// Returns the error of the backend.
    #[must_use]
    pub fn cause(&self) -> &(dyn StdError + Send + Sync + 'static) {
        &*self.cause
    }
}

/// A part of a listing: `limit` items (1 to 200) after the item with key `after`.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Page<K> {
    /// The key of the last item of the page before; `None` for the first page.
    pub after: Option<K>,
    /// The greatest number of items.
    pub limit: usize,
}

impl<K> Page<K> {
    /// The greatest number of items on one page.
    pub const MAX_LIMIT: usize = 200;

    /// Returns the first page of `limit` items, clamped to 1 to 200.
    #[must_use]
    pub fn first(limit: usize) -> Self {
        Self { after: None, limit: limit.clamp(1, Self::MAX_LIMIT) }
    }

    /// Returns the page of the same size after the item with key `key`.
    #[must_use]
    pub fn after(self, key: K) -> Self {
        Self { after: Some(key), ..self }
    }
}

/// One page of a listing, in the order of its keys.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Listing<T, K> {
    /// The items.
    pub items: Vec<T>,
    /// The key to continue after, if more items follow.
    pub next: Option<K>,
}

impl<T, K> Listing<T, K> {
    /// Creates a page of a listing.
    #[must_use]
    pub fn new(items: Vec<T>, next: Option<K>) -> Self {
        Self { items, next }
    }

    /// Returns the first `limit` items of `found` as a page. A store that reads one item more than the page
    /// holds thereby knows whether more follow. `key` returns the key of an item.
    #[must_use]
    pub fn first_of(mut found: Vec<T>, limit: usize, key: impl FnOnce(&T) -> K) -> Self {
        let more = found.len() > limit;
        found.truncate(limit);
        let next = found.last().filter(|_| more).map(key);
        Self::new(found, next)
    }
}
