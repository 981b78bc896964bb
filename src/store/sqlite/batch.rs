//! What the steps of one transaction are written with.

use sqlx::query::Query;
use sqlx::sqlite::{SqliteArguments, SqliteConnection, SqliteRow};
use sqlx::{Row as _, Sqlite};

use super::statements::Statements;
use crate::clock::UnixTime;
use crate::store::sql::{reason_code, write_target};
use crate::store::{Revocation, Revoked, StoreError};

/// Why a step gives no answer.
pub(super) enum Failed {
    /// The database said no. Whatever the transaction has done is undone.
    Database(sqlx::Error),
    /// The step cannot be done, and has written nothing.
    Unwritten(StoreError),
}

impl From<sqlx::Error> for Failed {
    fn from(error: sqlx::Error) -> Self {
        Self::Database(error)
    }
}

impl From<StoreError> for Failed {
    fn from(error: StoreError) -> Self {
        Self::Unwritten(error)
    }
}

/// The transaction that the requests of one batch share.
///
/// It holds the write lock of the file, so that what a step has read is true until it commits.
pub(super) struct Batch<'t> {
    connection: &'t mut SqliteConnection,
    pub(super) sql: &'t Statements,
    instants: Option<Instants>,
}

/// The store's clock, as long as the transaction lasts.
struct Instants {
    clock: UnixTime,
    entered: i64,
    has_changed: bool,
}

pub(super) type Bound<'q> = Query<'q, Sqlite, SqliteArguments<'q>>;

impl<'t> Batch<'t> {
    pub(super) fn new(connection: &'t mut SqliteConnection, sql: &'t Statements) -> Self {
        Self { connection, sql, instants: None }
    }

    /// Runs a statement; answers how many rows it changed.
    pub(super) fn execute(&mut self, statement: Bound<'_>) -> Result<u64, sqlx::Error> {
        let done = pollster::block_on(statement.execute(&mut *self.connection))?;
        Ok(done.rows_affected())
    }

    /// Runs a statement that finds a row or none.
    pub(super) fn find(&mut self, statement: Bound<'_>) -> Result<Option<SqliteRow>, sqlx::Error> {
        pollster::block_on(statement.fetch_optional(&mut *self.connection))
    }

    /// Runs a statement that finds rows.
    pub(super) fn all(&mut self, statement: Bound<'_>) -> Result<Vec<SqliteRow>, sqlx::Error> {
        pollster::block_on(statement.fetch_all(&mut *self.connection))
    }

    /// Runs a statement that answers exactly one row.
    pub(super) fn one(&mut self, statement: Bound<'_>) -> Result<SqliteRow, sqlx::Error> {
        pollster::block_on(statement.fetch_one(&mut *self.connection))
    }

    fn instants(&mut self) -> Result<&mut Instants, sqlx::Error> {
        let instants = if let Some(instants) = self.instants.take() {
            instants
        } else {
            // Not kept from one transaction to the next: another process may have written.
            let row = self.one(sqlx::query(&self.sql.load_clock))?;
            Instants {
                clock: UnixTime::from_millis(row.try_get("clock")?),
                entered: row.try_get("entered")?,
                has_changed: false,
            }
        };
        Ok(self.instants.insert(instants))
    }

    /// The instant of a decision: later than every revocation that was answered.
    pub(super) fn decide_at(&mut self, now: UnixTime) -> Result<UnixTime, sqlx::Error> {
        let instants = self.instants()?;
        if instants.clock < now {
            instants.clock = now;
            instants.has_changed = true;
        }
        Ok(instants.clock)
    }

    /// Puts a revocation in force, at an instant that no earlier decision exceeds and every later
    /// decision does.
    pub(super) fn enter(&mut self, revocation: &Revocation) -> Result<Revoked, sqlx::Error> {
        let at = self.decide_at(revocation.at)?;
        let instants = self.instants()?;
        instants.clock = UnixTime::from_millis(at.as_millis().saturating_add(1));
        instants.entered = instants.entered.saturating_add(1);
        instants.has_changed = true;
        let tie = instants.entered;
        self.execute(
            sqlx::query(&self.sql.enter_revocation)
                .bind(write_target(&revocation.target))
                .bind(at.as_millis())
                .bind(tie)
                .bind(reason_code(revocation.why))
                .bind(revocation.until.as_millis()),
        )?;
        Ok(Revoked { at })
    }

    /// Writes the clock down, if it has moved: it does not run backwards across restarts either.
    pub(super) fn keep_clock(&mut self) -> Result<(), sqlx::Error> {
        let Some(Instants { clock, entered, has_changed: true }) = self.instants else {
            return Ok(());
        };
        let sql = self.sql;
        self.execute(sqlx::query(&sql.keep_clock).bind(clock.as_millis()).bind(entered))?;
        Ok(())
    }
}
