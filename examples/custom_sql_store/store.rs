//! The store: two connection pools and the parts that both traits share.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use grantor::clock::UnixTime;
use grantor::server_secret::{RootPrint, RootsClaim};
use grantor::store::{AccessFacts, Grant, Revocation, RevocationTarget, Revoked, StoreError};
use grantor::users::DirectoryError;
use grantor::{Subject, User, UserDirectory};
use serde::Serialize;
use serde::de::DeserializeOwned;
use sqlx::sqlite::{
    SqliteConnectOptions, SqliteConnection, SqliteJournalMode, SqlitePool, SqlitePoolOptions,
    SqliteRow, SqliteSynchronous,
};
use sqlx::{Connection as _, Row as _, Sqlite, Transaction};

/// A store in the host's database.
///
/// SQLite has one writer at a time. A pool of one connection queues writers in order; with the file
/// lock alone, an unlucky writer could wait forever.
#[derive(Clone, Debug)]
pub(crate) struct HostStore {
    pub(crate) readers: SqlitePool,
    pub(crate) writer: SqlitePool,
    /// The newest instant of the store's clock that this process knows, in milliseconds.
    seen: Arc<AtomicI64>,
}

impl HostStore {
    /// Creates a database in `file` with the tables of `schema.sql`.
    pub(crate) async fn create(file: &Path) -> Result<Self, sqlx::Error> {
        let options = SqliteConnectOptions::new()
            .filename(file)
            .create_if_missing(true)
            .foreign_keys(true)
            .busy_timeout(Duration::from_secs(5))
            // A result is on the disk when the call returns, and visible to every later read.
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(SqliteSynchronous::Full);
        let pool = |connections| {
            SqlitePoolOptions::new().max_connections(connections).test_before_acquire(false)
        };
        // A future dropped while it waits for `BEGIN` leaves an open transaction on this one
        // connection. So the connection is checked when it returns. The ping runs after the
        // rollback that a dropped transaction has queued.
        let writer = pool(1).after_release(|connection, _| {
            Box::pin(async {
                connection.ping().await?;
                Ok(!connection.is_in_transaction())
            })
        });
        let writer = writer.connect_with(options.clone()).await?;
        sqlx::raw_sql(include_str!("schema.sql")).execute(&writer).await?;
        let readers = pool(4).connect_with(options.read_only(true)).await?;
        Ok(Self { readers, writer, seen: Arc::default() })
    }

    /// Learns of an instant, and returns it. The server asks for the newest at each request, without a
    /// call to the database.
    pub(crate) fn saw(&self, instant: UnixTime) -> UnixTime {
        self.seen.fetch_max(instant.as_millis(), Ordering::SeqCst);
        instant
    }

    pub(crate) fn newest(&self) -> UnixTime {
        UnixTime::from_millis(self.seen.load(Ordering::SeqCst))
    }

    /// Learns of the revocations of this process, and returns one.
    pub(crate) fn saw_revocation(&self, revoked: Revoked) -> Revoked {
        self.saw(revoked.at.plus(Duration::from_millis(1)));
        revoked
    }

    /// Replaces the fingerprints of roots by what the claim makes of them.
    pub(crate) async fn apply_roots(
        &self,
        claim: &RootsClaim,
    ) -> Result<Vec<RootPrint>, StoreError> {
        let mut transaction = self.begin().await?;
        let rows = sqlx::query("SELECT print FROM roots ORDER BY place");
        let rows = rows.fetch_all(&mut *transaction).await.map_err(StoreError::new)?;
        let print = |row: &SqliteRow| -> Result<RootPrint, StoreError> {
            let text: &str = row.try_get("print").map_err(StoreError::new)?;
            text.parse().map_err(StoreError::new)
        };
        let before = rows.iter().map(print).collect::<Result<Vec<_>, _>>()?;
        let mut after = before.clone();
        let missing = claim.apply(&mut after);
        if after != before {
            let forget = sqlx::query("DELETE FROM roots").execute(&mut *transaction).await;
            forget.map_err(StoreError::new)?;
            for print in &after {
                let insert = sqlx::query("INSERT INTO roots (print) VALUES (?1)");
                let insert = insert.bind(print.to_string()).execute(&mut *transaction).await;
                insert.map_err(StoreError::new)?;
            }
            commit(transaction).await?;
        }
        Ok(missing)
    }

    /// Begins a transaction that holds the write lock from its first statement, so that its reads
    /// stay true until it commits. If it is dropped it rolls back, so that a call has taken effect
    /// or not.
    pub(crate) async fn begin(&self) -> Result<Transaction<'static, Sqlite>, StoreError> {
        self.writer.begin_with("BEGIN IMMEDIATE").await.map_err(StoreError::new)
    }
}

/// Commits a transaction. Return a result only afterwards.
pub(crate) async fn commit(transaction: Transaction<'_, Sqlite>) -> Result<(), StoreError> {
    transaction.commit().await.map_err(StoreError::new)
}

/// Makes `instant` an instant of the store's clock, and returns the present one, after every
/// revocation answered before. It never runs backwards, even if the host's clock does.
pub(crate) async fn reach(
    connection: &mut SqliteConnection,
    instant: UnixTime,
) -> Result<UnixTime, StoreError> {
    let row = sqlx::query("UPDATE store_clock SET at = max(at, ?1) RETURNING at")
        .bind(instant.as_millis())
        .fetch_one(connection)
        .await;
    row.and_then(|row| row.try_get("at")).map(UnixTime::from_millis).map_err(StoreError::new)
}

/// Checks whether a revocation covers the date of a new grant: it was answered while the host still
/// checked. A later revocation is at or after the date, and voids the grant. The end of the grant
/// itself is not asked for: it makes a row that is revoked.
pub(crate) async fn is_overtaken(
    connection: &mut SqliteConnection,
    grant: &Grant,
) -> Result<bool, StoreError> {
    reach(connection, grant.authorized_at).await?;
    let (covering, _) = targets(&grant.facts())?;
    let row = sqlx::query(
        "SELECT EXISTS (SELECT 1 FROM cutoffs WHERE target IN (SELECT value FROM json_each(?1)) \
         AND at >= ?2 AND target NOT LIKE '{\"grant\"%')",
    )
    .bind(covering)
    .bind(grant.authorized_at.as_millis())
    .fetch_one(connection)
    .await;
    let covered: bool = row.and_then(|row| row.try_get(0)).map_err(StoreError::new)?;
    Ok(covered && grant.revoked.is_none())
}

/// Records a revocation at an instant not before any earlier date, and moves the clock on by a
/// millisecond so that every later instant is after it. A later instant replaces an earlier one,
/// and the entry is kept until the later of the two ends.
pub(crate) async fn enter(
    connection: &mut SqliteConnection,
    revocation: &Revocation,
) -> Result<Revoked, StoreError> {
    let at = reach(connection, revocation.at).await?;
    reach(connection, UnixTime::from_millis(at.as_millis().saturating_add(1))).await?;
    sqlx::query(
        "INSERT INTO cutoffs (target, at, why, until) VALUES (?1, ?2, ?3 ->> '$', ?4) \
         ON CONFLICT (target) DO UPDATE \
         SET at = excluded.at, why = excluded.why, until = max(until, excluded.until)",
    )
    .bind(to_json(&revocation.target)?)
    .bind(at.as_millis())
    .bind(to_json(&revocation.why)?)
    .bind(revocation.until.as_millis())
    .execute(connection)
    .await
    .map_err(StoreError::new)?;
    Ok(Revoked { at })
}

/// Checks whether a cutoff covers these facts, without the row of the grant and the state of its
/// app. `?2` are the targets, `?3` the instant, `?4` the grant as a target.
///
/// `Revocation::voids` in SQL. The revocation of a grant is permanent, regardless of its instant.
pub(crate) const IS_COVERED: &str = "EXISTS (SELECT 1 FROM cutoffs \
    WHERE target IN (SELECT value FROM json_each(?2)) AND (at >= ?3 OR target = ?4))";

/// Checks whether an enabled app has the client id `?1`.
pub(crate) const IS_ACTIVE: &str =
    "EXISTS (SELECT 1 FROM live_applications WHERE client_id = ?1 AND is_enabled)";

/// Returns the parameters of [`IS_COVERED`]: every target that may cover these facts, and the
/// grant's.
pub(crate) fn targets(facts: &AccessFacts<'_>) -> Result<(String, String), StoreError> {
    let grant = to_json(&RevocationTarget::Grant(facts.grant_id))?;
    let (app, user) = (facts.client_id.clone(), facts.subject.clone());
    let device = facts.device.cloned();
    let targets = [
        Some(RevocationTarget::Everything),
        Some(RevocationTarget::App(app.clone())),
        Some(RevocationTarget::Subject(user.clone())),
        Some(RevocationTarget::AppAndSubject(app.clone(), user.clone())),
        device.clone().map(|device| RevocationTarget::Device(app, user, device)),
        device.map(RevocationTarget::NamedDevice),
        facts.session.cloned().map(RevocationTarget::Session),
        facts.evidence_issuer.cloned().map(RevocationTarget::EvidenceIssuer),
    ];
    let all = targets.iter().flatten().map(to_json).chain([Ok(grant.clone())]);
    Ok((to_json(&all.collect::<Result<Vec<_>, _>>()?)?, grant))
}

pub(crate) fn to_json(record: &impl Serialize) -> Result<String, StoreError> {
    serde_json::to_string(record).map_err(StoreError::new)
}

/// Reads a record from a column. The error omits the cause, which could quote a part of the record.
pub(crate) fn from_json<T: DeserializeOwned>(
    row: &SqliteRow,
    column: &str,
) -> Result<T, StoreError> {
    let text: &str = row.try_get(column).map_err(StoreError::new)?;
    serde_json::from_str(text).map_err(|_| StoreError::new(format!("{column} is unreadable")))
}

/// Looks users up in the host's table, so that inactive and deleted users get no tokens.
impl UserDirectory for HostStore {
    async fn find_user(&self, subject: &Subject) -> Result<Option<User>, DirectoryError> {
        let found = sqlx::query("SELECT 1 FROM users WHERE public_id = ?1 AND is_active")
            .bind(subject.as_str())
            .fetch_optional(&self.readers)
            .await
            .map_err(DirectoryError::new)?;
        Ok(found.map(|_| User::new(subject.clone())))
    }
}
