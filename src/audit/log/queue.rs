//! The queue between requests and the log.

use std::collections::VecDeque;
use std::fmt;
use std::future::poll_fn;
use std::pin::pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Poll, Waker};
use std::time::Duration;

use super::{AuditStore, EventId, NewEvent};
use crate::audit::{Action, Actor, AuditEvent, AuditSink};
use crate::clock::UnixTime;
use crate::observe::Outcome;
use crate::random::{self, RandomError, SecureRandom};
use crate::store::StoreError;

/// How many events are written at a time.
const BATCH: usize = 256;
/// For how long the first event of a batch waits for others.
const GATHERING: Duration = Duration::from_millis(200);
/// How long the first wait is after the store has failed, and the longest.
const BACKOFF: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(10));

/// Takes audit events without making anybody wait, and writes them into an [`AuditStore`] behind.
///
/// [`record`](AuditSink::record) clones an event and pushes the clone. The future that
/// [`run`](Self::run) answers writes what has gathered, 256 at a time at most and 200 ms after the
/// first at the latest. A clone of the queue is the same queue.
///
/// * Where the store fails the batch is kept and tried again, after 100 ms, 200 ms and so on up to
///   10 s, until it is written.
/// * Where the queue is full, events are not taken but counted, and as soon as there is room the log
///   gets an event [`Action::MissEvents`] that says how many are missing.
/// * [`close`](Self::close) ends the future when all is written.
/// * What is in the queue when the process dies is lost.
#[derive(Clone)]
pub struct AuditQueue(Arc<Shared>);

struct Shared {
    capacity: usize,
    /// Tells ids of this queue from those of others, but for the last four bytes: a number.
    name: [u8; 10],
    pending: Mutex<Pending>,
    /// Held by the future that writes: another one waits until it is gone.
    writing: async_lock::Mutex<()>,
}

struct Pending {
    events: VecDeque<NewEvent>,
    /// The number of the next event: with the instant it makes the id.
    number: u32,
    /// What is being written. Kept here, so that the end of the writing future loses nothing.
    batch: Option<Arc<[NewEvent]>>,
    /// Events that were not taken since the last batch, and the instant of the latest.
    missing: u64,
    missing_at: UnixTime,
    missed: u64,
    /// How many events were taken, how many of them are in the batch, and in the log.
    taken: u64,
    in_batch: u64,
    written: u64,
    /// Who waits until what was taken is written.
    flushing: Vec<Waker>,
    state: State,
    writer: Option<Waker>,
    /// From how many events on the writer is to be woken.
    wake_at: usize,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    Open,
    Closing,
    Closed,
}

impl AuditQueue {
    /// How many events wait at most, unless told otherwise: some 16 MB.
    pub const DEFAULT_CAPACITY: usize = 32_768;

    /// A queue for [`DEFAULT_CAPACITY`](Self::DEFAULT_CAPACITY) events. `random` tells its events
    /// from those of other processes.
    ///
    /// # Errors
    ///
    /// [`RandomError`] when the source gave nothing.
    pub fn new(random: &dyn SecureRandom) -> Result<Self, RandomError> {
        Self::with_capacity(random, Self::DEFAULT_CAPACITY)
    }

    /// A queue for `capacity` events, at least one.
    ///
    /// # Errors
    ///
    /// [`RandomError`] when the source gave nothing.
    pub fn with_capacity(random: &dyn SecureRandom, capacity: usize) -> Result<Self, RandomError> {
        let pending = Pending {
            events: VecDeque::new(),
            number: 0,
            batch: None,
            missing: 0,
            missing_at: UnixTime::EPOCH,
            missed: 0,
            taken: 0,
            in_batch: 0,
            written: 0,
            flushing: Vec::new(),
            state: State::Open,
            writer: None,
            wake_at: 1,
        };
        Ok(Self(Arc::new(Shared {
            capacity: capacity.max(1),
            name: random::array(random)?,
            pending: Mutex::new(pending),
            writing: async_lock::Mutex::new(()),
        })))
    }

    /// Writes events into `store` until the queue is closed and empty. To be spawned, once; should
    /// there be two, the second waits until the first is gone. Dropped, it loses nothing: the next
    /// goes on.
    ///
    /// `sleep` waits, as `tokio::time::sleep` does; `failed` is told each time the store fails.
    pub fn run<S, Z, W, F>(
        &self,
        store: S,
        sleep: Z,
        failed: F,
    ) -> impl Future<Output = ()> + Send + use<S, Z, W, F>
    where
        S: AuditStore + 'static,
        Z: Fn(Duration) -> W + Send + 'static,
        W: Future<Output = ()> + Send + 'static,
        F: FnMut(&StoreError) + Send + 'static,
    {
        write(Arc::clone(&self.0), store, sleep, failed)
    }

    /// Has [`run`](Self::run) write what is left, at once, and end: await it then, for as long as
    /// the host has patience. While the store fails it does not end. What is recorded after its end
    /// is not written.
    pub fn close(&self) {
        let mut pending = self.0.lock();
        if pending.state == State::Open {
            pending.state = State::Closing;
        }
        let writer = pending.writer.take();
        drop(pending);
        if let Some(writer) = writer {
            writer.wake();
        }
    }

    /// Waits until what was recorded before the call is in the log: for a page that shows what just
    /// happened. It has [`run`](Self::run) write at once, which somebody has spawned; while the
    /// store fails, it waits.
    pub async fn flush(&self) {
        let taken = self.0.lock().taken;
        poll_fn(|context| {
            let mut pending = self.0.lock();
            if pending.written >= taken || pending.state == State::Closed {
                return Poll::Ready(());
            }
            pending.flushing.push(context.waker().clone());
            let writer = pending.writer.take();
            drop(pending);
            if let Some(writer) = writer {
                writer.wake();
            }
            Poll::Pending
        })
        .await;
    }

    /// How many events have been taken and are not in the log yet.
    #[must_use]
    pub fn waiting(&self) -> usize {
        let pending = self.0.lock();
        pending.events.len() + pending.batch.as_ref().map_or(0, |batch| batch.len())
    }

    /// How many events were not taken, since the queue was made.
    #[must_use]
    pub fn missed(&self) -> u64 {
        self.0.lock().missed
    }
}

impl AuditSink for AuditQueue {
    fn record(&self, event: &AuditEvent) {
        let event = event.clone();
        let writer = self.0.lock().push(event, &self.0);
        if let Some(writer) = writer {
            writer.wake();
        }
    }
}

impl fmt::Debug for AuditQueue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AuditQueue")
            .field("waiting", &self.waiting())
            .field("missed", &self.missed())
            .finish_non_exhaustive()
    }
}

impl Pending {
    fn id(&mut self, at: UnixTime, name: [u8; 10]) -> EventId {
        self.number = self.number.wrapping_add(1);
        let mut tail = name;
        if let Some(end) = tail.last_chunk_mut() {
            *end = self.number.to_be_bytes();
        }
        EventId::new(at, tail)
    }

    /// Takes an event, or counts it as missing. Answers whom to wake.
    fn push(&mut self, event: AuditEvent, queue: &Shared) -> Option<Waker> {
        if self.events.len() >= queue.capacity || self.state == State::Closed {
            self.missing += 1;
            self.missed += 1;
            self.missing_at = self.missing_at.max(event.at);
            return None;
        }
        let id = self.id(event.at, queue.name);
        self.events.push_back(NewEvent { id, event });
        self.taken += 1;
        if self.events.len() < self.wake_at { None } else { self.writer.take() }
    }

    /// The next batch. `None`: there is none, and will be none.
    fn take(&mut self, name: [u8; 10]) -> Option<Arc<[NewEvent]>> {
        if let Some(unwritten) = &self.batch {
            return Some(Arc::clone(unwritten));
        }
        let count = self.events.len().min(BATCH);
        let mut batch: Vec<_> = self.events.drain(..count).collect();
        if self.missing > 0 {
            let missing = std::mem::take(&mut self.missing);
            let at = std::mem::replace(&mut self.missing_at, UnixTime::EPOCH);
            let action = Action::MissEvents { missing };
            let event = AuditEvent::new(at, Actor::Server, action, Outcome::Success);
            batch.push(NewEvent { id: self.id(at, name), event });
        }
        if batch.is_empty() {
            self.state = State::Closed;
            return None;
        }
        self.in_batch = count as u64;
        let batch: Arc<[_]> = batch.into();
        self.batch = Some(Arc::clone(&batch));
        Some(batch)
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Pending> {
        self.pending.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The batch is written, or there will be none: whoever waits looks again.
    fn settle(&self) {
        let mut pending = self.lock();
        pending.batch = None;
        pending.written += std::mem::take(&mut pending.in_batch);
        let flushing = std::mem::take(&mut pending.flushing);
        drop(pending);
        flushing.into_iter().for_each(Waker::wake);
    }

    /// Waits until it `is_over`, which is looked at when there are `wake_at` events, or when the
    /// writer is woken for another reason; or until `limit` is over.
    async fn until(
        &self,
        wake_at: usize,
        limit: impl Future<Output = ()> + Send,
        is_over: impl Fn(&Pending) -> bool + Send + Sync,
    ) {
        let mut limit = pin!(limit);
        poll_fn(|context| {
            if limit.as_mut().poll(context).is_ready() {
                return Poll::Ready(());
            }
            let mut pending = self.lock();
            if is_over(&pending) {
                return Poll::Ready(());
            }
            pending.wake_at = wake_at;
            pending.writer = Some(context.waker().clone());
            Poll::Pending
        })
        .await;
    }
}

async fn write<S: AuditStore, W: Future<Output = ()> + Send>(
    queue: Arc<Shared>,
    store: S,
    sleep: impl Fn(Duration) -> W + Send,
    mut failed: impl FnMut(&StoreError) + Send,
) {
    let _writing = queue.writing.lock().await;
    let full = BATCH.min(queue.capacity);
    let is_closed = |pending: &Pending| pending.state != State::Open;
    loop {
        let is_fresh = queue.lock().batch.is_none();
        if is_fresh {
            let has_come = |it: &Pending| !it.events.is_empty() || is_closed(it);
            queue.until(1, std::future::pending(), has_come).await;
            let has_gathered =
                |it: &Pending| it.events.len() >= full || !it.flushing.is_empty() || is_closed(it);
            queue.until(full, sleep(GATHERING), has_gathered).await;
        }
        let next = queue.lock().take(queue.name);
        let Some(batch) = next else { return queue.settle() };
        let (mut wait, longest) = BACKOFF;
        while let Err(error) = store.append(&batch).await {
            failed(&error);
            if is_closed(&queue.lock()) {
                sleep(wait).await;
            } else {
                queue.until(usize::MAX, sleep(wait), is_closed).await;
            }
            wait = longest.min(wait.saturating_mul(2));
        }
        queue.settle();
    }
}
