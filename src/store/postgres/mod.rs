//! The store on PostgreSQL: many processes, on many machines, over one database.

mod app_changes;
mod apps;
mod audit;
mod connections;
mod consents;
mod devices;
mod finds;
mod grants;
mod issuers;
mod judging;
mod known;
mod limits;
mod listing;
mod new_grant;
mod opening;
mod outcome;
mod pending;
mod pruning;
mod roots;
mod rows;
mod run;
mod schema;
mod seen;
mod statements;
mod trusted_issuers;

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use sqlx::postgres::{PgConnectOptions, PgPool, PgPoolOptions, PgRow};
use sqlx::{ConnectOptions as _, Connection as _, Executor as _, Row as _, query};

use self::connections::Connections;
use self::finds::Finds;
use self::known::KnownGrants;
use self::rows::column;
use self::run::lacks_tables;
use self::schema::{ADDITIONS, REVISION, SCHEMA_VERSION};
use self::seen::Seen;
use self::statements::{Statements, Tables};
use super::sql::{Names, statement};
use super::{
    GrantStore as _, Revocation, RevocationReason, RevocationTarget, StoreError, TablePrefix,
};
use crate::clock::UnixTime;
use crate::ids::Subject;

/// The number of rows that one statement of an erasure removes.
const ERASE_BATCH: i64 = 1_000;
/// The greatest difference of clocks that `with_clock_skew` and `with_host_skew` accept.
const MAX_SKEW: Duration = Duration::from_hours(1);
/// The number of attempts to migrate while other processes do the same.
const MAX_MIGRATIONS: usize = 10;

/// Apps, grants, cutoffs, assertions, consents and the audit log in a PostgreSQL database.
///
/// The host passes its pool, or a URL ([`connect`](Self::connect)). The store uses its own tables, and no
/// extension, advisory lock or notification. It needs a tokio runtime. Every method of the contract that changes something is *one*
/// statement, correct at READ COMMITTED for any number of processes. If the database's default is stricter,
/// each transaction sets the level, which also works behind a pooler. `docs/storage.md` describes the
/// tables and the statements.
///
/// * A statement that the database refuses with `40001` or `40P01` has changed nothing and runs again. If
///   the outcome is unknown, the answer is [`StoreError`].
/// * The instants of revocations come from the database's clock, which also bounds the dates of grants. It may
///   stand still or jump ahead. If it jumps back, a revocation spares what was authorized in the repeated time, so slew the
///   clock of a database and never set it.
/// * Every request reads its app. Wrap the store in [`CachedApps`](super::CachedApps) to cache them.
///   Disabling and deletion take effect at once everywhere, because each statement checks the app.
///
/// ```no_run
/// use grantor::store::{CachedApps, PostgresStore};
/// use grantor::store::sqlx::postgres::{PgConnectOptions, PgPoolOptions};
///
/// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
/// let options = PostgresStore::connect_options("postgres://localhost/auth".parse()?);
/// let pool = PgPoolOptions::new().max_connections(20).connect_with(options).await?;
/// let store = PostgresStore::new(pool);
/// store.migrate().await?;
/// let store = CachedApps::new(store);
/// # let _ = store;
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct PostgresStore {
    connections: Connections,
    /// Whether the store made the pool, and closes it.
    owns_pool: bool,
    finds: Arc<Finds>,
    known: Arc<KnownGrants>,
    seen: Arc<Seen>,
    sql: Arc<Statements>,
    prefix: TablePrefix,
    /// The names of the issuer whose view this is.
    names: Names,
    timeout: Duration,
    host_skew: Duration,
    /// Whether each statement runs in a transaction that sets the level and the limits, because the
    /// connections of the pool come without them.
    in_transactions: Arc<AtomicBool>,
    /// Whether statements are prepared once a connection, under a name.
    names_statements: bool,
}

impl PostgresStore {
    /// The longest duration of a call, unless [`with_timeout`](Self::with_timeout) sets another.
    pub const DEFAULT_TIMEOUT: Duration = Duration::from_secs(10);

    /// The difference of two hosts' clocks, unless [`with_host_skew`](Self::with_host_skew) sets another.
    pub const DEFAULT_HOST_SKEW: Duration = Duration::from_secs(10);

    /// Creates a store over `pool`, in tables whose names begin with `grantor_`.
    ///
    /// If the connections come without the limits of [`connect_options`](Self::connect_options), each
    /// statement runs in a transaction that sets them, in three round trips instead of one. The host's own
    /// statements are not affected.
    #[must_use]
    pub fn new(pool: PgPool) -> Self {
        Self::with_prefix(pool, TablePrefix::default())
    }

    /// Opens a pool of at most 10 connections to the database at `url`, with
    /// [`connect_options`](Self::connect_options). The names of the tables begin with `grantor_`.
    ///
    /// ```no_run
    /// # async fn example() -> Result<(), grantor::store::StoreError> {
    /// use grantor::store::PostgresStore;
    ///
    /// let store = PostgresStore::connect("postgres://auth@localhost/auth").await?;
    /// store.migrate().await?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// [`StoreError`] if `url` is malformed or no connection can be made.
    pub async fn connect(url: &str) -> Result<Self, StoreError> {
        let options = Self::connect_options(opening::parse(url)?);
        let pool = PgPoolOptions::new()
            .acquire_timeout(Self::DEFAULT_TIMEOUT)
            .test_before_acquire(false)
            .connect_lazy_with(options.clone());
        // The pool would repeat a refused connection, and state that it was late.
        let first = tokio::time::timeout(Self::DEFAULT_TIMEOUT, options.connect()).await;
        let first = first.unwrap_or_else(|_| Err(run::late(Self::DEFAULT_TIMEOUT)));
        let first = first.map_err(|error| opening::not_connected(&options, error))?;
        // Nothing depends on how it ends.
        _ = first.close().await;
        Ok(Self { owns_pool: true, ..Self::new(pool) })
    }

    /// Creates a store over `pool`, in tables whose names begin with `prefix`.
    #[must_use]
    pub fn with_prefix(pool: PgPool, prefix: TablePrefix) -> Self {
        Self {
            connections: Connections::new(pool),
            owns_pool: false,
            finds: Arc::default(),
            known: Arc::new(KnownGrants::new(0)),
            seen: Arc::default(),
            sql: Arc::new(Statements::new(&Tables { prefix: &prefix, skew: Duration::ZERO })),
            prefix,
            names: Names::default(),
            timeout: Self::DEFAULT_TIMEOUT,
            host_skew: Self::DEFAULT_HOST_SKEW,
            in_transactions: Arc::new(AtomicBool::new(false)),
            names_statements: true,
        }
    }

    /// Sets the time after which a call returns [`StoreError`], including its wait for a connection, which
    /// the pool's `acquire_timeout` limits too.
    #[must_use]
    pub fn with_timeout(self, timeout: Duration) -> Self {
        Self { timeout, ..self }
    }

    /// Prepares no statement under a name, and runs each in a transaction of its own: for a pooler that gives
    /// every transaction another connection and does not know prepared statements, such as PgBouncer in
    /// transaction mode before 1.21, or a later one without `max_prepared_statements`.
    ///
    /// The price: four round trips a statement instead of one, and the database plans it each time.
    /// `docs/storage.md` has the settings of the pooler.
    #[must_use]
    pub fn without_named_statements(self) -> Self {
        Self { names_statements: false, ..self }
    }

    /// Sets the difference of the clocks of a database with several nodes, of at most an hour. Each
    /// revocation is dated later by it, so that it ends what any node authorized before, and spares what is
    /// authorized afterwards.
    ///
    /// PostgreSQL with one primary does not need it. If a standby takes over whose clock is behind, `skew`
    /// covers the difference.
    #[must_use]
    pub fn with_clock_skew(self, skew: Duration) -> Self {
        let skew = skew.min(MAX_SKEW);
        let sql = Arc::new(Statements::new(&Tables { prefix: &self.prefix, skew }));
        Self { sql, ..self }
    }

    /// Sets how much the clocks of two hosts may differ, at most an hour: twice their difference to the
    /// database's. Default: 10 s.
    ///
    /// The grace of a spent refresh token is longer by it, so that a host whose clock is ahead does not take
    /// an honest retry for reuse. So are the time that a refresh token may lie idle, and the life of a code.
    #[must_use]
    pub fn with_host_skew(self, skew: Duration) -> Self {
        Self { host_skew: skew.min(MAX_SKEW), ..self }
    }

    /// Keeps in memory what never changes of the grants that this process has rotated, at most `most` of them and
    /// about 0.5 KiB each, for each issuer. Default: 0.
    ///
    /// A refresh of a known grant then takes one round trip instead of two. The statement decides as before, by the
    /// row: nothing that was revoked, expired, disabled or spent is given.
    ///
    /// The price, with several processes: a spent refresh token that is presented to a process which has seen it live,
    /// and has not seen it spent, ends its family with the second request instead of the first. The first is refused with
    /// `temporarily_unavailable`, as a refresh that others have overtaken.
    #[must_use]
    pub fn with_known_grants(self, most: usize) -> Self {
        Self { known: Arc::new(KnownGrants::new(most)), ..self }
    }

    /// Adds the settings that suit this store to the options of a pool: READ COMMITTED; 5 s for statements
    /// and locks, 10 s for idle transactions; no statement logging. If a pooler refuses `options`, set them
    /// for the role instead. The store keeps other limits that the host has set.
    #[must_use]
    pub fn connect_options(options: PgConnectOptions) -> PgConnectOptions {
        sqlx::ConnectOptions::disable_statement_logging(options).options(limits::SETTINGS)
    }

    /// Returns the prefix of its tables.
    #[must_use]
    pub fn prefix(&self) -> &TablePrefix {
        &self.prefix
    }

    /// Returns the statements that create the tables, for hosts with migrations of their own. They may run
    /// any number of times. CockroachDB refuses ` COLLATE "C"`: remove it, as [`migrate`](Self::migrate)
    /// does.
    ///
    /// To upgrade tables in use, run the statements from the first `ALTER TABLE` on in a second transaction, and
    /// those from the next one, of the grants, in a third. In one transaction, they may deadlock with requests.
    /// Afterwards, [`migrate`](Self::migrate) needs no right to create tables.
    #[must_use]
    pub fn schema_sql(prefix: &TablePrefix) -> String {
        schema::schema_sql(prefix)
    }

    /// Creates missing tables, and upgrades those of an earlier version of this crate in place. Several
    /// processes may do so at once, and programs of the previous version continue to work. Current tables
    /// are not locked. It also writes what searches compare of the apps that a program of an earlier version has
    /// written; until then, searches read them in whole.
    ///
    /// # Errors
    ///
    /// [`StoreError`] if it could not, or if the tables are of a later version of this crate, which
    /// it leaves unchanged.
    pub async fn migrate(&self) -> Result<(), StoreError> {
        let mut attempt = 1;
        loop {
            let found = self.find_version().await?;
            if found.is_some_and(Found::is_later) {
                break;
            }
            let migrated = match found.filter(|found| found.is_current()) {
                Some(_) => Ok(()),
                None => self.migrate_once(found).await,
            };
            match migrated {
                Ok(()) => {
                    self.fill_searched().await?;
                    break;
                }
                // If two processes create a table at once, one of them is refused, and finds it next time.
                Err(error) if attempt == MAX_MIGRATIONS || error.as_database_error().is_none() => {
                    return Err(opening::not_migrated(&self.prefix, error));
                }
                Err(_) => attempt += 1,
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        self.check().await
    }

    /// Returns the versions that the tables state, if they state any.
    async fn find_version(&self) -> Result<Option<Found>, StoreError> {
        match self.run(|| query(self.sql.check.clone())).await {
            Ok(rows) => rows.first().map(|row| self.read_versions(row)).transpose(),
            Err(error) if lacks_tables(&error) => Ok(None),
            Err(error) => Err(StoreError::new(error)),
        }
    }

    fn read_versions(&self, row: &PgRow) -> Result<Found, StoreError> {
        self.note_limits(row)?;
        let schema_version = column(row, "schema_version")?;
        let (revision, additions) = (column(row, "revision")?, column(row, "additions")?);
        Ok(Found { schema_version, revision, additions })
    }

    /// Lets each statement set its limits if the connection that read `row` has none.
    fn note_limits(&self, row: &PgRow) -> Result<(), StoreError> {
        if limits::is_unlimited(row)? {
            self.in_transactions.store(true, Ordering::Relaxed);
        }
        Ok(())
    }

    async fn migrate_once(&self, found: Option<Found>) -> Result<(), sqlx::Error> {
        let pool = self.connections.pool();
        // Not prepared, so that it works behind any pooler.
        let row = sqlx::raw_sql("SELECT version()").fetch_one(pool).await?;
        let version: &str = row.try_get("version")?;
        let script = |text: &str| {
            statement([limits::LIMIT_LOCKS, &schema::script_for(version, text)].concat())
        };
        if found.is_none_or(|found| found.schema_version < SCHEMA_VERSION) {
            pool.execute(script(&schema::tables(&self.prefix))).await?;
        }
        pool.execute(script(&schema::search(&self.prefix))).await?;
        if !found.is_some_and(Found::has_revision) {
            // An index over millions of grants takes longer than other statements may.
            let upgrade =
                format!("SET LOCAL statement_timeout = 0; {}", schema::revision_3(&self.prefix));
            pool.execute(script(&upgrade)).await?;
        }
        pool.execute(script(&schema::additions(&self.prefix))).await?;
        Ok(())
    }

    /// Checks whether the tables are there and may be written: not on a standby, not in a database that
    /// was set to be read only. For health checks.
    ///
    /// # Errors
    ///
    /// [`StoreError`] if they cannot, or are of another version of this crate.
    pub async fn check(&self) -> Result<(), StoreError> {
        let rows = match self.run(|| query(self.sql.check.clone())).await {
            Ok(rows) => rows,
            Err(error) if lacks_tables(&error) => {
                return Err(opening::no_tables(&self.prefix, error));
            }
            Err(error) => return Err(StoreError::new(error)),
        };
        let row = rows.first().ok_or_else(|| StoreError::new(run::NO_CLOCK))?;
        let found = self.read_versions(row)?;
        if found.is_later() {
            return Err(StoreError::new(opening::LATER_TABLES));
        }
        if !found.is_current() {
            return Err(StoreError::new(opening::EARLIER_TABLES));
        }
        if column::<String>(row, "read_only")? != "off" {
            return Err(StoreError::new(opening::READ_ONLY));
        }
        Ok(())
    }

    /// Closes the connections for all clones of the store, once running statements have ended. Later ones
    /// fail. The host's own pool stays open.
    ///
    /// Nothing is lost without it. PostgreSQL logs no connection that broke off.
    pub async fn close(&self) {
        if self.owns_pool {
            self.connections.pool().close().await;
        }
    }

    /// Revokes all access as a user, then removes the user's grants, consents, devices and audit events. Returns
    /// the number of removed rows. A device that is still to be wiped stays, so that it learns of it: call again
    /// after its wipe, or let pruning remove it. The revocation replaces those of the user at one app and on one
    /// device. It remains and names the user until `until`, so that issued tokens stay void.
    ///
    /// `now` and `until` are as [`Revocation::at`] and [`Revocation::until`]. Usage names no user. Events
    /// that wait in a queue are written later: call again to remove them.
    ///
    /// # Errors
    ///
    /// [`StoreError`] if some rows may be left. Call again.
    pub async fn erase_subject(
        &self,
        subject: &Subject,
        now: UnixTime,
        until: UnixTime,
    ) -> Result<usize, StoreError> {
        let target = RevocationTarget::Subject(subject.clone());
        let why = RevocationReason::Administrator;
        let revoked = self.revoke(&Revocation { target, at: now, why, until }).await?;
        let covered = || {
            let erase = query(self.sql.erase_revocations.clone()).bind(subject.as_str());
            erase.bind(revoked.at.as_millis()).bind(self.names.tag())
        };
        self.run(covered).await.map_err(StoreError::new)?;
        self.known.forget_subject(subject);
        let subject = &*self.names.write(subject.as_str());
        let consents = || query(self.sql.erase_consents.clone()).bind(subject);
        let mut erased = self.run(consents).await.map_err(StoreError::new)?.len();
        let devices = || query(self.sql.devices.erase.clone()).bind(subject);
        erased += self.run(devices).await.map_err(StoreError::new)?.len();
        for sql in [&self.sql.erase_grants, &self.sql.audit.erase] {
            loop {
                let erase = || query(sql.clone()).bind(subject).bind(ERASE_BATCH);
                let batch = self.run(erase).await.map_err(StoreError::new)?.len();
                if batch == 0 {
                    break;
                }
                erased += batch;
            }
        }
        Ok(erased)
    }
}

/// The versions that the tables state.
#[derive(Clone, Copy)]
struct Found {
    schema_version: i32,
    revision: Option<i32>,
    additions: Option<i32>,
}

impl Found {
    fn is_current(self) -> bool {
        self.has_revision() && self.additions >= Some(ADDITIONS)
    }

    fn has_revision(self) -> bool {
        self.schema_version == SCHEMA_VERSION && self.revision == Some(REVISION)
    }

    fn is_later(self) -> bool {
        self.schema_version > SCHEMA_VERSION || self.revision > Some(REVISION)
    }
}

impl fmt::Debug for PostgresStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PostgresStore").field("prefix", &self.prefix).finish_non_exhaustive()
    }
}
