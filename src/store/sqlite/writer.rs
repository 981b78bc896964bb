//! The one writer: queued requests share a transaction and its `fsync`.
//!
//! It is a thread, so that the store serves every runtime of the host and outlives each. While it waits for
//! the disk, the next requests gather. No request waits for others.

use std::io;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{self, Receiver, Sender};
use std::sync::{Arc, PoisonError, RwLock};
use std::thread;

use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection};
use sqlx::{ConnectOptions as _, Connection as _};
use tokio::sync::{oneshot, watch};

use super::batch::{BEGIN, Batch, Failed, ROLLBACK};
use super::statements::Statements;
use super::steps;
use crate::store::sql::Names;
use crate::store::store_clock::StoreClock;
use crate::store::{Rotate, Rotation, StoreError};

/// The greatest number of requests in a transaction, which all fail with its commit.
pub(super) const MAX_BATCH: usize = 256;

/// The failure of a transaction, for each request in it.
#[derive(Clone, Debug, thiserror::Error)]
#[error("the transaction of this request failed: {0}")]
struct NotCommitted(Arc<sqlx::Error>);

/// A request in the queue.
trait Job: Send {
    /// Checks whether the caller still waits for the answer.
    fn is_wanted(&self) -> bool;

    /// Returns the rotation that it asks for, if any. Those of a batch are one statement.
    fn rotation(&self) -> Option<(&Names, &Rotation)>;

    /// Runs it inside the transaction of the batch. May be called again after a rollback.
    fn run(&mut self, batch: &mut Batch<'_>) -> Result<(), sqlx::Error>;

    /// Answers the caller, with the failure if the transaction was not committed.
    fn settle(self: Box<Self>, committed: Result<(), NotCommitted>);
}

struct Task<T, F> {
    names: Names,
    rotation: Option<Rotation>,
    step: F,
    outcome: Option<Result<T, StoreError>>,
    answer: oneshot::Sender<Result<T, StoreError>>,
}

impl<T: Send, F> Job for Task<T, F>
where
    F: Fn(&mut Batch<'_>) -> Result<T, Failed> + Send,
{
    fn is_wanted(&self) -> bool {
        !self.answer.is_closed()
    }

    fn rotation(&self) -> Option<(&Names, &Rotation)> {
        Some((&self.names, self.rotation.as_ref()?))
    }

    fn run(&mut self, batch: &mut Batch<'_>) -> Result<(), sqlx::Error> {
        batch.names = self.names.clone();
        self.outcome = Some(match (self.step)(batch) {
            Ok(answer) => Ok(answer),
            Err(Failed::Unwritten(why)) => Err(why),
            Err(Failed::Database(error)) => return Err(error),
        });
        Ok(())
    }

    fn settle(self: Box<Self>, committed: Result<(), NotCommitted>) {
        let Self { step, outcome, answer, .. } = *self;
        // Its captured values are dropped before the answer.
        drop(step);
        let not_run = || Err(StoreError::new("the request did not run"));
        let outcome = match committed {
            Ok(()) => outcome.unwrap_or_else(not_run),
            Err(error) => Err(StoreError::new(error)),
        };
        // A caller that was dropped needs no answer.
        let _ = answer.send(outcome);
    }
}

/// The queue of the writer, which ends after the queued requests when this is closed or dropped.
pub(super) struct Queue {
    /// `None` once closed.
    jobs: RwLock<Option<Sender<Box<dyn Job>>>>,
    commits: Arc<AtomicU64>,
    /// The writer holds its sender.
    working: watch::Receiver<()>,
}

impl Queue {
    /// Starts the writer on an open connection. It opens another with `options` if that one breaks.
    pub(super) fn start(
        connection: SqliteConnection,
        options: SqliteConnectOptions,
        statements: Arc<Statements>,
        clock: Arc<StoreClock>,
    ) -> io::Result<Self> {
        let (jobs, queued) = mpsc::channel();
        let (works, working) = watch::channel(());
        let commits = Arc::new(AtomicU64::new(0));
        let writer = Writer {
            connection: Some(connection),
            options,
            statements,
            clock,
            commits: Arc::clone(&commits),
        };
        let thread = thread::Builder::new().name("grantor-sqlite".to_owned());
        thread.spawn(move || {
            writer.work(&queued);
            drop(works);
        })?;
        Ok(Self { jobs: RwLock::new(Some(jobs)), commits, working })
    }

    /// Refuses further requests, and waits until the writer has completed the queued ones and closed its
    /// connection.
    pub(super) async fn close(&self) {
        drop(self.jobs.write().unwrap_or_else(PoisonError::into_inner).take());
        let mut working = self.working.clone();
        // Nothing is ever sent, so this ends with the writer.
        while working.changed().await.is_ok() {}
    }

    /// Runs `step` of an issuer in a transaction and returns after its commit. A dropped call is done or not
    /// done.
    pub(super) async fn run<T, F>(&self, names: Names, step: F) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: Fn(&mut Batch<'_>) -> Result<T, Failed> + Send + 'static,
    {
        self.queue(names, None, step).await
    }

    /// Runs a rotation, as [`run`](Self::run).
    pub(super) async fn rotate(
        &self,
        names: Names,
        rotation: Rotation,
    ) -> Result<Rotate, StoreError> {
        let step = {
            let rotation = rotation.clone();
            move |batch: &mut Batch<'_>| steps::rotate(batch, &rotation)
        };
        self.queue(names, Some(rotation), step).await
    }

    async fn queue<T, F>(
        &self,
        names: Names,
        rotation: Option<Rotation>,
        step: F,
    ) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: Fn(&mut Batch<'_>) -> Result<T, Failed> + Send + 'static,
    {
        let (answer, answered) = oneshot::channel();
        let ended = || StoreError::new("the writer has ended");
        let task = Task { names, rotation, step, outcome: None, answer };
        self.send(Box::new(task)).ok_or_else(ended)?;
        answered.await.unwrap_or_else(|_| Err(ended()))
    }

    fn send(&self, job: Box<dyn Job>) -> Option<()> {
        let jobs = self.jobs.read().unwrap_or_else(PoisonError::into_inner);
        jobs.as_ref()?.send(job).ok()
    }

    /// Returns the number of committed transactions.
    pub(super) fn commits(&self) -> u64 {
        self.commits.load(Ordering::Relaxed)
    }
}

struct Writer {
    /// `None` after a failed rollback.
    connection: Option<SqliteConnection>,
    options: SqliteConnectOptions,
    statements: Arc<Statements>,
    clock: Arc<StoreClock>,
    commits: Arc<AtomicU64>,
}

impl Writer {
    fn work(mut self, queued: &Receiver<Box<dyn Job>>) {
        while let Ok(first) = queued.recv() {
            let mut jobs = vec![first];
            // Requests may join until the transaction has begun.
            match self.transact(&mut jobs, || queued.try_recv().ok()) {
                // One request may have failed them all, so each runs alone.
                Err(Trouble::InStep(_)) if jobs.len() > 1 => {
                    for job in jobs {
                        let mut alone = vec![job];
                        let outcome = self.transact(&mut alone, || None);
                        settle(alone, outcome);
                    }
                }
                outcome => settle(jobs, outcome),
            }
        }
        if let Some(connection) = self.connection.take() {
            // No caller is left to report to.
            let _ = pollster::block_on(connection.close());
        }
    }

    /// Runs `jobs` in one transaction, with those that arrive while it begins.
    fn transact(
        &mut self,
        jobs: &mut Vec<Box<dyn Job>>,
        mut next: impl FnMut() -> Option<Box<dyn Job>>,
    ) -> Result<(), Trouble> {
        let (statements, clock) = (Arc::clone(&self.statements), Arc::clone(&self.clock));
        let connection = self.connect().map_err(Trouble::Outside)?;
        let outcome = (|| {
            exec(connection, BEGIN).map_err(Trouble::Outside)?;
            while jobs.len() < MAX_BATCH
                && let Some(job) = next()
            {
                jobs.push(job);
            }
            jobs.retain(|job| job.is_wanted());
            let mut batch = Batch::new(connection, &statements, clock.present());
            let rotations: Vec<_> = jobs.iter().filter_map(|job| job.rotation()).collect();
            batch.rotate(&rotations).map_err(Trouble::InStep)?;
            for job in jobs {
                job.run(&mut batch).map_err(Trouble::InStep)?;
            }
            batch.keep_clock().map_err(Trouble::Outside)?;
            exec(connection, "COMMIT").map_err(Trouble::Outside)
        })();
        match &outcome {
            Ok(()) => {
                self.commits.fetch_add(1, Ordering::Relaxed);
            }
            // SQLite may have rolled back itself. A connection in an unknown state is abandoned.
            Err(_) if exec(connection, ROLLBACK).is_err() => self.connection = None,
            Err(_) => {}
        }
        outcome
    }

    fn connect(&mut self) -> Result<&mut SqliteConnection, sqlx::Error> {
        let connection = match self.connection.take() {
            Some(connection) => connection,
            None => pollster::block_on(self.options.connect())?,
        };
        Ok(self.connection.insert(connection))
    }
}

/// The place of a failure in a transaction.
enum Trouble {
    /// In the step of one request.
    InStep(sqlx::Error),
    /// At its beginning or at its end.
    Outside(sqlx::Error),
}

fn settle(jobs: Vec<Box<dyn Job>>, outcome: Result<(), Trouble>) {
    let committed = outcome.map_err(|trouble| match trouble {
        Trouble::InStep(error) | Trouble::Outside(error) => NotCommitted(Arc::new(error)),
    });
    for job in jobs {
        job.settle(committed.clone());
    }
}

fn exec(connection: &mut SqliteConnection, sql: &'static str) -> Result<(), sqlx::Error> {
    pollster::block_on(sqlx::query(sql).execute(connection)).map(|_| ())
}
