//! Connections that pass from one statement to the next.
//!
//! A pool pings each connection that returns to it, which costs a round trip after every statement. If
//! another statement waits, it gets the connection directly.
//!
//! A connection may die without a word: a firewall forgets it, or a host is unplugged. Then nothing that is
//! sent on it is ever answered, a ping included. So everything that waits for a connection has a limit, and
//! a connection that missed it is closed for good.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use sqlx::pool::PoolConnection;
use sqlx::postgres::{PgConnection, PgRow};
use sqlx::{Connection as _, PgPool, Postgres};
use tokio::runtime::Handle;
use tokio::sync::oneshot;

use super::limits::BEGIN;
use super::run::Statement;

/// The number of statements after which a connection returns to the pool, for the host's own queries.
const MAX_STATEMENTS: u8 = 32;

/// The pool of the host, and the statements that wait.
///
/// As many statements as the pool has connections have a *turn*. A statement with a turn asks the pool for
/// a connection. The others wait here until they get a turn, usually with a connection.
#[derive(Clone)]
pub(super) struct Connections {
    pool: PgPool,
    line: Arc<Mutex<Line>>,
}

struct Line {
    /// Free turns.
    free: u32,
    waiting: VecDeque<oneshot::Sender<Lent>>,
}

impl Connections {
    pub(super) fn new(pool: PgPool) -> Self {
        let free = pool.options().get_max_connections();
        Self { pool, line: Arc::new(Mutex::new(Line { free, waiting: VecDeque::new() })) }
    }

    pub(super) fn pool(&self) -> &PgPool {
        &self.pool
    }

    /// Waits for a turn and a connection, for a call that may take `limit`. If the connection returns to the
    /// pool, its ping may take half of that, so that the next call finds the place free.
    pub(super) async fn take(&self, limit: Duration) -> Result<Lent, sqlx::Error> {
        let mut lent = self.turn().await?;
        lent.limit = limit / 2;
        if lent.connection.is_none() {
            lent.connection = Some(self.pool.acquire().await?);
        }
        Ok(lent)
    }

    /// Closes the idle connections of the pool, after one has missed its limit: they lead over the same path.
    pub(super) fn close_idle(&self) {
        for _ in 0..self.pool.options().get_max_connections() {
            let Some(idle) = self.pool.try_acquire() else { return };
            drop(idle.detach());
        }
    }

    async fn turn(&self) -> Result<Lent, sqlx::Error> {
        let turn = {
            let mut line = lock(&self.line);
            if line.free > 0 {
                line.free -= 1;
                return Ok(Lent::new(Arc::clone(&self.line), None, 0));
            }
            let (sender, turn) = oneshot::channel();
            line.waiting.push_back(sender);
            turn
        };
        turn.await.map_err(|_| sqlx::Error::PoolClosed)
    }
}

/// A turn, with its connection once it has one.
///
/// On drop, it passes to the statement that has waited longest, with its connection if every statement on
/// it has ended. Otherwise the connection returns to the pool, which pings it within the limit.
pub(super) struct Lent {
    /// `None` once the turn has been passed on.
    line: Option<Arc<Mutex<Line>>>,
    connection: Option<PoolConnection<Postgres>>,
    statements: u8,
    state: State,
    limit: Duration,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    /// Every statement has succeeded.
    Settled,
    /// A statement outside a transaction has begun, and may not have ended.
    InStatement,
    /// A transaction has begun, and may not have ended.
    InTransaction,
}

impl Lent {
    fn new(
        line: Arc<Mutex<Line>>,
        connection: Option<PoolConnection<Postgres>>,
        statements: u8,
    ) -> Self {
        let (line, state) = (Some(line), State::Settled);
        Self { line, connection, statements, state, limit: Duration::ZERO }
    }

    /// Runs a statement that is a transaction of its own.
    pub(super) async fn run(
        &mut self,
        statement: Statement<'_>,
    ) -> Result<Vec<PgRow>, sqlx::Error> {
        self.state = State::InStatement;
        // An error of the commit comes after the rows, so everything is read.
        let rows = statement.fetch_all(self.connection()?).await?;
        self.end(State::Settled);
        Ok(rows)
    }

    /// Runs a statement in a transaction at READ COMMITTED, with limits.
    pub(super) async fn run_at_read_committed(
        &mut self,
        statement: Statement<'_>,
    ) -> Result<Vec<PgRow>, sqlx::Error> {
        self.state = State::InTransaction;
        let rows = in_transaction(self.connection()?, statement).await;
        // The pool rolls back a failed transaction.
        self.end(if rows.is_ok() { State::Settled } else { State::InStatement });
        rows
    }

    /// Closes the connection without a word, because it no longer answers. The pool may open another.
    pub(super) fn close(&mut self) {
        drop(self.connection.take().map(PoolConnection::detach));
    }

    fn connection(&mut self) -> Result<&mut PgConnection, sqlx::Error> {
        self.connection.as_deref_mut().ok_or(sqlx::Error::PoolClosed)
    }

    fn end(&mut self, state: State) {
        self.state = state;
        self.statements += 1;
    }

    /// Takes the connection, if the next statement can use it as it is.
    fn settled(&mut self) -> Option<PoolConnection<Postgres>> {
        let connection = self.connection.take()?;
        match self.state {
            State::Settled if self.statements < MAX_STATEMENTS => Some(connection),
            State::Settled | State::InStatement => {
                give_back(connection, self.limit);
                None
            }
            // The next statement would run inside the transaction, so the connection is closed.
            State::InTransaction => {
                drop(connection.detach());
                None
            }
        }
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

/// Returns a connection to its pool, which pings it. The ping of the pool has no limit of its own: a dead
/// connection would keep its place.
fn give_back(mut connection: PoolConnection<Postgres>, limit: Duration) {
    match Handle::try_current() {
        Ok(runtime) => {
            // Dropped early, it closes the connection and frees the place.
            drop(runtime.spawn(tokio::time::timeout(limit, connection.return_to_pool())));
        }
        // The runtime has ended, and no task can ping.
        Err(_) => drop(connection.detach()),
    }
}

impl Drop for Lent {
    fn drop(&mut self) {
        let Some(line) = self.line.take() else { return };
        let mut connection = self.settled();
        let statements = if connection.is_some() { self.statements } else { 0 };
        loop {
            let next = {
                let mut line = lock(&line);
                let next = line.waiting.pop_front();
                if next.is_none() {
                    line.free += 1;
                }
                next
            };
            let Some(next) = next else { return };
            match next.send(Self::new(Arc::clone(&line), connection, statements)) {
                Ok(()) => return,
                // The waiting statement was dropped.
                Err(mut back) => {
                    back.line = None;
                    connection = back.connection.take();
                }
            }
        }
    }
}

/// No code panics while it holds the lock.
fn lock(line: &Mutex<Line>) -> MutexGuard<'_, Line> {
    line.lock().unwrap_or_else(PoisonError::into_inner)
}
