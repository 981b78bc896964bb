//! Connections, which go from one statement to the next.
//!
//! A pool asks each connection that comes back to it whether it is well, which costs a round trip
//! after every statement. Where another statement waits the connection goes to that one instead.

use std::collections::VecDeque;
use std::future::{Future as _, poll_fn};
use std::pin::pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Poll;

use sqlx::pool::PoolConnection;
use sqlx::postgres::{PgConnection, PgRow};
use sqlx::{Connection as _, PgPool, Postgres};
use tokio::sync::oneshot;

use super::run::Statement;

/// So many statements run on a connection, then it goes back to the pool, where whatever else the host
/// does with the pool waits as well.
const MAX_STATEMENTS: u8 = 32;

/// The transaction level that the statements were written for, whatever the database's default.
const BEGIN: &str = "BEGIN ISOLATION LEVEL READ COMMITTED";

/// The pool of the host, and who waits for a connection.
#[derive(Clone)]
pub(super) struct Connections {
    pool: PgPool,
    waiting: Arc<Mutex<VecDeque<oneshot::Sender<Lent>>>>,
}

impl Connections {
    pub(super) fn new(pool: PgPool) -> Self {
        Self { pool, waiting: Arc::default() }
    }

    pub(super) fn pool(&self) -> &PgPool {
        &self.pool
    }

    /// A connection: of the pool, or of a statement that has ended, whichever comes first.
    pub(super) async fn take(&self) -> Result<Lent, sqlx::Error> {
        let mut acquired = pin!(self.pool.acquire());
        let mut handed_over = None;
        poll_fn(|context| {
            if let Poll::Ready(acquired) = acquired.as_mut().poll(context) {
                return Poll::Ready(acquired.map(Lent::new));
            }
            let handed_over = pin!(handed_over.get_or_insert_with(|| self.wait()));
            handed_over.poll(context).map_err(|_| sqlx::Error::PoolClosed)
        })
        .await
    }

    /// Gets in line.
    fn wait(&self) -> oneshot::Receiver<Lent> {
        let (sender, receiver) = oneshot::channel();
        let mut waiting = self.waiting();
        // Those who were served by the pool, or gave up, would else add up where nothing is passed on.
        while waiting.front().is_some_and(oneshot::Sender::is_closed) {
            waiting.pop_front();
        }
        waiting.push_back(sender);
        receiver
    }

    /// Passes on a connection whose statement has ended well.
    pub(super) fn give(&self, mut lent: Lent) {
        lent.statements += 1;
        while lent.statements < MAX_STATEMENTS {
            let Some(next) = self.waiting().pop_front() else { return };
            match next.send(lent) {
                Ok(()) => return,
                // That one has got another, or has given up.
                Err(back) => lent = back,
            }
        }
    }

    /// No code panics while it holds the lock.
    fn waiting(&self) -> MutexGuard<'_, VecDeque<oneshot::Sender<Lent>>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A connection for one statement. Dropped, it goes back to the pool, which sees whether it is well.
pub(super) struct Lent {
    connection: Option<PoolConnection<Postgres>>,
    statements: u8,
    /// Whether a transaction was begun, and whoever began it has not seen its end.
    is_midway: bool,
}

impl Lent {
    fn new(connection: PoolConnection<Postgres>) -> Self {
        Self { connection: Some(connection), statements: 0, is_midway: false }
    }

    fn connection(&mut self) -> Result<&mut PgConnection, sqlx::Error> {
        self.connection.as_deref_mut().ok_or(sqlx::Error::PoolClosed)
    }

    /// Runs a statement that is a transaction of its own.
    pub(super) async fn run(
        &mut self,
        statement: Statement<'_>,
    ) -> Result<Vec<PgRow>, sqlx::Error> {
        // All is read that comes: an error of its commit comes after the rows.
        statement.fetch_all(self.connection()?).await
    }

    /// Runs a statement in a transaction whose level is set.
    pub(super) async fn run_at_read_committed(
        &mut self,
        statement: Statement<'_>,
    ) -> Result<Vec<PgRow>, sqlx::Error> {
        self.is_midway = true;
        let rows = in_transaction(self.connection()?, statement).await;
        self.is_midway = false;
        rows
    }
}

async fn in_transaction(
    connection: &mut PgConnection,
    statement: Statement<'_>,
) -> Result<Vec<PgRow>, sqlx::Error> {
    let mut transaction = connection.begin_with(BEGIN).await?;
    let rows = statement.fetch_all(&mut *transaction).await?;
    transaction.commit().await?;
    Ok(rows)
}

impl Drop for Lent {
    fn drop(&mut self) {
        // Whoever had it next would be in the transaction as well: the connection is closed.
        if self.is_midway {
            drop(self.connection.take().map(PoolConnection::detach));
        }
    }
}
