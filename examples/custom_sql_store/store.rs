//! The store: two connection pools and the parts that both traits share.

use std::path::Path;
use std::time::Duration;

use grantor::clock::UnixTime;
use grantor::store::{AccessFacts, Revocation, RevocationTarget, Revoked, StoreError};
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
        Ok(Self { readers, writer })
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

/// Returns the instant of a decision: the store's clock, after every revocation answered before. It
/// never runs backwards, even if the host's clock does.
pub(crate) async fn decide_at(
    connection: &mut SqliteConnection,
    now: UnixTime,
) -> Result<UnixTime, StoreError> {
    let row = sqlx::query("UPDATE store_clock SET at = max(at, ?1) RETURNING at")
        .bind(now.as_millis())
        .fetch_one(connection)
        .await;
    row.and_then(|row| row.try_get("at")).map(UnixTime::from_millis).map_err(StoreError::new)
}

/// Records a revocation at an instant not before any earlier decision, and moves the clock on by a
/// millisecond so that every later decision is after it. A later instant replaces an earlier one,
/// and the entry is kept until the later of the two ends.
pub(crate) async fn enter(
    connection: &mut SqliteConnection,
    revocation: &Revocation,
) -> Result<Revoked, StoreError> {
    let at = decide_at(connection, revocation.at).await?;
    decide_at(connection, UnixTime::from_millis(at.as_millis().saturating_add(1))).await?;
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
