//! Runs statements with a deadline, and repeats those that are known to have changed nothing.

use std::io;
use std::sync::atomic::Ordering;
use std::time::Duration;

use sqlx::error::DatabaseError;
use sqlx::postgres::{PgArguments, PgRow};
use sqlx::query::Query;
use sqlx::{Execute, Postgres};
use tokio::time::{Instant, timeout_at};

use super::PostgresStore;
use super::connections::Lent;
use crate::store::StoreError;

/// A statement with its parameters.
pub(super) type Statement<'q> = Query<'q, Postgres, PgArguments>;

/// The greatest number of attempts. At READ COMMITTED, a statement that does not deadlock runs once.
pub(super) const MAX_ATTEMPTS: usize = 20;

/// `serialization_failure`
const SERIALIZATION_FAILURE: &str = "40001";
/// `deadlock_detected`
const DEADLOCK_DETECTED: &str = "40P01";
/// `foreign_key_violation`
const FOREIGN_KEY_VIOLATION: &str = "23503";
/// `undefined_table`
const UNDEFINED_TABLE: &str = "42P01";
/// `undefined_column`
const UNDEFINED_COLUMN: &str = "42703";

/// The tables were emptied, or created in part.
pub(super) const NO_CLOCK: &str = "the tables are incomplete: the clock has no row";

/// The database did not answer in time.
#[derive(Debug, thiserror::Error)]
#[error("PostgreSQL did not answer within {} s", .0.as_secs_f64())]
pub(super) struct Late(pub(super) Duration);

pub(super) fn late(timeout: Duration) -> sqlx::Error {
    sqlx::Error::Io(io::Error::new(io::ErrorKind::TimedOut, Late(timeout)))
}

fn has_code(error: &sqlx::Error, code: &str) -> bool {
    error.as_database_error().and_then(DatabaseError::code).is_some_and(|found| found == code)
}

/// Checks whether a statement failed because the app of its row does not exist.
pub(super) fn lacks_its_app(error: &sqlx::Error) -> bool {
    has_code(error, FOREIGN_KEY_VIOLATION)
}

/// Checks whether a statement failed because a table or a column does not exist.
pub(super) fn lacks_tables(error: &sqlx::Error) -> bool {
    has_code(error, UNDEFINED_TABLE) || has_code(error, UNDEFINED_COLUMN)
}

impl PostgresStore {
    /// Runs the statement that `make` returns, to the end of its transaction.
    pub(super) async fn run<'q>(
        &self,
        make: impl Fn() -> Statement<'q> + Send,
    ) -> Result<Vec<PgRow>, sqlx::Error> {
        let deadline = self.deadline();
        let mut attempt = 1;
        loop {
            match self.run_once(make(), deadline).await {
                Err(error) if attempt < MAX_ATTEMPTS && self.may_run_again(&error) => attempt += 1,
                answer => return answer,
            }
        }
    }

    /// Checks whether the database reported that the statement changed nothing and may succeed if repeated.
    /// A broken connection reports nothing.
    pub(super) fn may_run_again(&self, error: &sqlx::Error) -> bool {
        let was_refused = has_code(error, SERIALIZATION_FAILURE);
        if was_refused {
            // A stricter level refuses where READ COMMITTED waits.
            self.in_transactions.store(true, Ordering::Relaxed);
        }
        was_refused || has_code(error, DEADLOCK_DETECTED)
    }

    /// Runs a statement that returns at most one row, as [`run`](Self::run).
    pub(super) async fn row<'q>(
        &self,
        make: impl Fn() -> Statement<'q> + Send,
    ) -> Result<Option<PgRow>, StoreError> {
        let rows = self.run(make).await.map_err(StoreError::new)?;
        Ok(rows.into_iter().next())
    }

    /// Runs a statement that always returns one row, as [`run`](Self::run).
    pub(super) async fn one_row<'q>(
        &self,
        make: impl Fn() -> Statement<'q> + Send,
    ) -> Result<PgRow, StoreError> {
        let row = self.row(make).await?;
        row.ok_or_else(|| StoreError::new(NO_CLOCK))
    }

    /// Returns the instant at which a call that begins now is late.
    pub(super) fn deadline(&self) -> Instant {
        // Tokio's own clock, which never runs backwards. A sum that is too large is far ahead.
        tokio::time::sleep(self.timeout).deadline()
    }

    async fn run_once(
        &self,
        statement: Statement<'_>,
        deadline: Instant,
    ) -> Result<Vec<PgRow>, sqlx::Error> {
        let mut lent = self.take(deadline).await?;
        self.run_on(&mut lent, statement, deadline).await
    }

    /// Waits for a connection until `deadline`.
    pub(super) async fn take(&self, deadline: Instant) -> Result<Lent, sqlx::Error> {
        let taken = timeout_at(deadline, self.connections.take(self.timeout)).await;
        taken.unwrap_or_else(|_| {
            // The pool may have waited for the ping of a dead connection.
            self.connections.close_idle();
            Err(late(self.timeout))
        })
    }

    /// Runs a statement on the given connection until `deadline`. A connection that is late is closed for
    /// good, and so are the idle ones.
    pub(super) async fn run_on(
        &self,
        lent: &mut Lent,
        statement: Statement<'_>,
        deadline: Instant,
    ) -> Result<Vec<PgRow>, sqlx::Error> {
        let statement = statement.persistent(self.names_statements);
        self.run_as_it_is(lent, statement, deadline).await
    }

    /// Runs a statement as [`run_on`](Self::run_on) does, named or unnamed as it is. An unnamed one is sent in
    /// two parts, which a pooler may give to two connections, unless they are in one transaction.
    pub(super) async fn run_as_it_is(
        &self,
        lent: &mut Lent,
        statement: Statement<'_>,
        deadline: Instant,
    ) -> Result<Vec<PgRow>, sqlx::Error> {
        let is_named = Execute::persistent(&statement);
        let in_transaction = !is_named || self.in_transactions.load(Ordering::Relaxed);
        let run = async {
            if in_transaction {
                lent.run_at_read_committed(statement).await
            } else {
                lent.run(statement).await
            }
        };
        if let Ok(answer) = timeout_at(deadline, run).await {
            answer
        } else {
            lent.close();
            self.connections.close_idle();
            Err(late(self.timeout))
        }
    }
}
