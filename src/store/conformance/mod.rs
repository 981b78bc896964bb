//! The contract of the store, executable. Every sentence is a check, and a [`Kit`] runs them all.
//!
//! Not under semantic versioning: a new version of this crate may add checks, and a store that
//! passed before may fail.
//!
//! ```
//! use grantor::store::MemoryStore;
//! use grantor::store::conformance::Kit;
//!
//! // A few rounds a race, to be quick; the default of 2,000 is for a store's own tests.
//! let report = Kit::new(MemoryStore::new).with_rounds(20).run();
//! assert!(report.is_passed(), "{report}");
//! ```
//!
//! The races run on 16 real threads, released together. Each blocks on the futures of the store
//! through a [`Runner`]: [`Threads`] serves a store that needs no runtime; a store on tokio brings
//! three lines:
//!
//! ```text
//! struct Tokio(tokio::runtime::Runtime);
//!
//! impl Runner for Tokio {
//!     fn block_on<F: Future>(&self, future: F) -> F::Output {
//!         self.0.block_on(future)
//!     }
//! }
//! ```
//!
//! A store that also implements [`DeviceStore`] runs them all with [`Kit::run_with_devices`], and one that
//! implements [`PendingStore`] also [`Kit::run_pending_only`], and one that implements [`IssuerStore`]
//! [`Kit::run_trusted_issuers_only`].
//!
//! The checks give instants of their own and never read a clock, so a store may take its time from them
//! or from anywhere else.
#![expect(
    clippy::missing_errors_doc,
    reason = "every check answers a violation if the store breaks the promise that it names"
)]

pub mod apps;
pub mod assertions;
mod bench;
mod checks;
pub mod codes;
pub mod consent;
pub mod decisions;
mod device_bench;
pub mod device_codes;
pub mod device_drops;
pub mod device_races;
pub mod devices;
pub mod dropped_futures;
pub mod feed;
pub mod issuers;
pub mod pending;
pub mod prune;
mod race;
pub mod races;
mod report;
pub mod revocation;
pub mod revocation_races;
pub mod rotation;
pub mod trusted_issuers;
pub mod wipes;

use std::fmt;
use std::panic::{self, AssertUnwindSafe};

use self::bench::Bench;
pub(crate) use self::bench::{at, holds, random_bytes, same};
use self::checks::NamedCheck;
pub(crate) use self::dropped_futures::{at_every_await, poll_and_drop_on};
pub(crate) use self::race::{CONTENDERS, race};
pub use self::report::Report;
use super::{DeviceStore, IssuerStore, PendingStore, Store, StoreError};

/// Runs the futures of a store to their end.
pub trait Runner: Sync {
    /// Blocks this thread until `future` is ready. Called on many threads at once.
    fn block_on<F: Future>(&self, future: F) -> F::Output;

    /// Blocks this thread until the work of dropped futures has ended. The kit calls it after each drop. A
    /// database may still run a statement whose caller is gone; a store with a pool waits until each
    /// connection is back.
    fn settle(&self) {}
}

/// A runner that polls on the calling thread, without a runtime.
#[derive(Clone, Copy, Debug, Default)]
#[expect(clippy::exhaustive_structs, reason = "it has nothing to hold")]
pub struct Threads;

impl Runner for Threads {
    fn block_on<F: Future>(&self, future: F) -> F::Output {
        pollster::block_on(future)
    }
}

/// A breach of the contract.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Violation(String);

impl Violation {
    pub(crate) fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }
}

impl From<StoreError> for Violation {
    fn from(error: StoreError) -> Self {
        Self(error.to_string())
    }
}

/// Runs `step`. A panic becomes a violation, so that it neither ends the kit nor leaves the other
/// threads of a race waiting.
pub(crate) fn catch_panic<T>(step: impl FnOnce() -> Check<T>) -> Check<T> {
    panic::catch_unwind(AssertUnwindSafe(step))
        .unwrap_or_else(|_| Err(Violation::new("the store panicked")))
}

/// The answer of a check.
pub(crate) type Check<T = ()> = Result<T, Violation>;

/// Makes another store over the database of a store.
type OverTheSame<S> = Box<dyn Fn(&S) -> S>;

/// The checks over one kind of store.
pub struct Kit<S, R = Threads> {
    make_store: Box<dyn Fn() -> S>,
    second_issuer: Option<OverTheSame<S>>,
    other_process: Option<OverTheSame<S>>,
    runner: R,
    rounds: usize,
}

impl<S: Store> Kit<S> {
    /// Creates a kit for the stores that `make_store` makes. They must be empty and independent; each
    /// check takes one. It has no runtime, and 2,000 rounds per race.
    pub fn new(make_store: impl Fn() -> S + 'static) -> Self {
        let make_store = Box::new(make_store);
        let (second_issuer, other_process) = (None, None);
        Self { make_store, second_issuer, other_process, runner: Threads, rounds: 2_000 }
    }
}

impl<S: Store, R: Runner> Kit<S, R> {
    /// Runs the futures on `runner`.
    #[must_use]
    pub fn with_runner<T: Runner>(self, runner: T) -> Kit<S, T> {
        let Self { make_store, second_issuer, other_process, rounds, .. } = self;
        Kit { make_store, second_issuer, other_process, runner, rounds }
    }

    /// Runs the checks of [`issuers`], too. `second` makes the view of another issuer over the database
    /// of a store; it may block.
    #[must_use]
    pub fn with_second_issuer(mut self, second: impl Fn(&S) -> S + 'static) -> Self {
        self.second_issuer = Some(Box::new(second));
        self
    }

    /// Looks at what the store has committed through the store of another process over the same database,
    /// which `other` makes with connections of its own; it may block. Devices are also raced for through both.
    /// Without it, the kit misses a transaction
    /// that a dropped future has left open on the only connection of a store.
    #[must_use]
    pub fn with_other_process(mut self, other: impl Fn(&S) -> S + 'static) -> Self {
        self.other_process = Some(Box::new(other));
        self
    }

    /// Sets the number of rounds per race. A store on a disk is slower than one in memory, but a race
    /// that is lost once in a thousand rounds is lost every day in production.
    #[must_use]
    pub fn with_rounds(mut self, rounds: usize) -> Self {
        self.rounds = rounds;
        self
    }

    /// Runs every check, even after one has failed. A store that panics fails the check.
    #[must_use]
    pub fn run(&self) -> Report {
        let of_issuers = self.second_issuer.iter().flat_map(|_| checks::of_issuers::<S, R>());
        self.run_each(checks::of_stores::<S, R>().into_iter().chain(of_issuers))
    }

    /// Runs every check, as [`run`](Self::run) does, and those of devices.
    #[must_use]
    pub fn run_with_devices(&self) -> Report
    where
        S: DeviceStore,
    {
        let mut report = self.run();
        let more = self.run_devices_only();
        report.passed.extend(more.passed);
        report.failed.extend(more.failed);
        report
    }

    /// Runs the checks of devices, and no other.
    #[must_use]
    pub fn run_devices_only(&self) -> Report
    where
        S: DeviceStore,
    {
        let of_devices = checks::of_devices::<S, R>().into_iter();
        let of_issuers =
            self.second_issuer.iter().flat_map(|_| checks::devices_of_issuers::<S, R>());
        self.run_each(of_devices.chain(of_issuers))
    }

    /// Runs the checks of a [`PendingStore`] alone.
    #[must_use]
    pub fn run_pending_only(&self) -> Report
    where
        S: PendingStore,
    {
        let of_issuers =
            self.second_issuer.iter().flat_map(|_| checks::pending_of_issuers::<S, R>());
        self.run_each(checks::of_pending::<S, R>().into_iter().chain(of_issuers))
    }

    /// Runs the checks of an [`IssuerStore`] alone.
    #[must_use]
    pub fn run_trusted_issuers_only(&self) -> Report
    where
        S: IssuerStore,
    {
        let of_issuers = self.second_issuer.iter().flat_map(|_| trusted_issuers::of_two());
        self.run_each(trusted_issuers::all().into_iter().chain(of_issuers))
    }

    fn run_each(&self, checks: impl Iterator<Item = NamedCheck<S, R>>) -> Report {
        let mut report = Report { passed: Vec::new(), failed: Vec::new() };
        for (name, check) in checks {
            // One cause, one line: an open transaction fails most of what follows in its module.
            if name.starts_with("a_dropped_") && OPEN_TRANSACTION.iter().any(|it| report.failed(it))
            {
                continue;
            }
            match catch_panic(|| check(self)) {
                Ok(()) => report.passed.push(name),
                Err(violation) => report.failed.push((name, violation)),
            }
        }
        report
    }

    fn bench(&self) -> Bench<'_, S, R> {
        Bench::new((self.make_store)(), &self.runner, self.rounds)
    }

    /// Returns the view of a second issuer over the database of `first`, if the kit has one.
    fn second_bench(&self, first: &Bench<'_, S, R>) -> Option<Bench<'_, S, R>> {
        let second = self.second_issuer.as_ref()?;
        Some(Bench::new(second(&first.store), &self.runner, self.rounds))
    }

    /// Returns the store of another process over the database of `first`, if the kit has one.
    fn other_bench(&self, first: &Bench<'_, S, R>) -> Option<Bench<'_, S, R>> {
        let other = self.other_process.as_ref()?;
        Some(Bench::new(other(&first.store), &self.runner, self.rounds))
    }
}

impl<S, R> fmt::Debug for Kit<S, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Kit").field("rounds", &self.rounds).finish_non_exhaustive()
    }
}

/// The checks that spare the rest of their module if they fail.
const OPEN_TRANSACTION: [&str; 2] = [
    "no_dropped_future_leaves_a_transaction_open",
    "no_dropped_call_of_a_device_leaves_a_transaction_open",
];
