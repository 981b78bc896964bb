//! The queue between requests and the log.

mod writing;

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
use crate::observe::facade::QueueChanges;
use crate::random::{self, RandomError, SecureRandom};
use crate::store::StoreError;

/// The maximum number of events in one write.
const BATCH: usize = 256;

/// A sink that queues events without blocking and writes them to an [`AuditStore`] in the
/// background.
///
/// [`record_owned`](AuditSink::record_owned) pushes the event, [`record`](AuditSink::record) a clone.
/// The future of [`run`](Self::run) writes batches of up to 256 events, at most 200 ms after the
/// first event of a batch. Clones share one queue.
///
/// * If the store fails, panics or gives no answer within 30 s, the batch is kept and retried after 100 ms, 200 ms and so on up
///   to 10 s, until it is written. [`writer`](Self::writer) tells how the writing goes.
/// * If the queue is full, events are dropped and counted. When there is room again, the log gets
///   an event [`Action::DropEvents`] with their number.
/// * If the store lost events, by a restore or a failover, the log gets an event
///   [`Action::LoseEvents`] that says since when. The queue looks after a failure of the store, and
///   before a write that follows a pause, for the last event that it wrote.
/// * [`close`](Self::close) ends the future after everything is written.
/// * If the process dies, the queued events are lost.
#[derive(Clone)]
pub struct AuditQueue(Arc<Shared>);

struct Shared {
    capacity: usize,
    /// Distinguishes this queue's ids from those of other queues. The last four bytes are replaced
    /// by a number.
    name: [u8; 10],
    pending: Mutex<Pending>,
    /// Held by the writing future. A second one waits for it.
    writing: async_lock::Mutex<()>,
}

struct Pending {
    events: VecDeque<NewEvent>,
    /// The number of the next event. It makes the id unique, together with the instant.
    number: u32,
    /// The batch in progress. It is kept here so that dropping the writing future loses nothing.
    batch: Option<Arc<Vec<NewEvent>>>,
    /// Events dropped since the last batch, the instant of the latest, and all since the start.
    unreported: u64,
    dropped_at: UnixTime,
    dropped: u64,
    /// The number of events accepted, of events in the batch, and of events in the log.
    taken: u64,
    in_batch: u64,
    written: u64,
    /// The newest event that this queue has written.
    newest: Option<(EventId, UnixTime)>,
    /// The tasks that wait for accepted events to be written.
    flushing: Vec<Waker>,
    state: State,
    writer: Option<Waker>,
    /// The number of events that wakes the writer.
    wake_at: usize,
    /// Whether a future of `run` is at work, and whether its last write failed.
    is_running: bool,
    is_failing: bool,
    /// The panics of the store and of the callback.
    panics: u64,
    /// The numbers of the last report.
    reported: QueueChanges,
}

/// How the writing of an [`AuditQueue`] goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum AuditWriter {
    /// No future of [`AuditQueue::run`] is polled: it was not spawned yet, or it was dropped.
    Absent,
    /// The last write succeeded, or there was none yet.
    Running,
    /// The last write failed, and is retried.
    Failing,
    /// The queue was closed, and everything is written.
    Closed,
}

impl AuditWriter {
    /// Every state.
    pub const ALL: [Self; 4] = [Self::Absent, Self::Running, Self::Failing, Self::Closed];

    /// Returns the stable name.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Absent => "absent",
            Self::Running => "running",
            Self::Failing => "failing",
            Self::Closed => "closed",
        }
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    Open,
    Closing,
    Closed,
}

impl AuditQueue {
    /// The default capacity in events, about 16 MB.
    pub const DEFAULT_CAPACITY: usize = 32_768;

    /// Creates a queue for [`DEFAULT_CAPACITY`](Self::DEFAULT_CAPACITY) events. `random` makes its
    /// event ids unique across processes.
    ///
    /// # Errors
    ///
    /// [`RandomError`] if the source of randomness fails.
    pub fn new(random: &dyn SecureRandom) -> Result<Self, RandomError> {
        Self::with_capacity(random, Self::DEFAULT_CAPACITY)
    }

    /// Creates a queue for `capacity` events, at least one.
    ///
    /// # Errors
    ///
    /// [`RandomError`] if the source of randomness fails.
    pub fn with_capacity(random: &dyn SecureRandom, capacity: usize) -> Result<Self, RandomError> {
        let pending = Pending {
            events: VecDeque::new(),
            number: 0,
            batch: None,
            unreported: 0,
            dropped_at: UnixTime::EPOCH,
            dropped: 0,
            taken: 0,
            in_batch: 0,
            written: 0,
            newest: None,
            flushing: Vec::new(),
            state: State::Open,
            writer: None,
            wake_at: 1,
            is_running: false,
            is_failing: false,
            panics: 0,
            reported: QueueChanges::new(),
        };
        Ok(Self(Arc::new(Shared {
            capacity: capacity.max(1),
            name: random::array(random)?,
            pending: Mutex::new(pending),
            writing: async_lock::Mutex::new(()),
        })))
    }

    /// Writes events into `store` until the queue is closed and empty. Spawn it once; a second
    /// future waits until the first is dropped. Dropping it loses nothing, because the next one
    /// continues.
    ///
    /// `sleep` waits, like `tokio::time::sleep`. `failed` is called on each failure of the store, also
    /// if the store panics. A panic of `failed` itself is counted and changes nothing else.
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
        writing::write(Arc::clone(&self.0), store, sleep, failed)
    }

    /// Makes [`run`](Self::run) write the remaining events at once and then end. Await it
    /// afterwards, with a timeout: it does not end while the store fails. Events recorded after it
    /// ended are not written.
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

    /// Waits until the events recorded before the call are in the log, for example before a page
    /// shows them. It makes a spawned [`run`](Self::run) write at once. It keeps waiting while the
    /// store fails.
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

    /// Returns the number of events that are queued and not yet in the log.
    #[must_use]
    pub fn pending(&self) -> usize {
        self.0.lock().unwritten()
    }

    /// Returns the instants of the newest written event and of the oldest queued one.
    pub(crate) fn progress(&self) -> (Option<UnixTime>, Option<UnixTime>) {
        let pending = self.0.lock();
        let in_batch = pending.batch.as_ref().and_then(|batch| batch.first());
        let oldest = in_batch.or_else(|| pending.events.front());
        (pending.newest.map(|(_, at)| at), oldest.map(|new| new.event.at))
    }

    /// Returns how the writing goes, for example for a health check.
    #[must_use]
    pub fn writer(&self) -> AuditWriter {
        let pending = self.0.lock();
        match pending.state {
            State::Closed => AuditWriter::Closed,
            State::Open | State::Closing if !pending.is_running => AuditWriter::Absent,
            State::Open | State::Closing if pending.is_failing => AuditWriter::Failing,
            State::Open | State::Closing => AuditWriter::Running,
        }
    }

    /// Returns the number of panics of the store and of `failed` that [`run`](Self::run) has survived.
    #[must_use]
    pub fn panics(&self) -> u64 {
        self.0.lock().panics
    }

    /// Returns the number of events dropped since the queue was created.
    #[must_use]
    pub fn dropped(&self) -> u64 {
        self.0.lock().dropped
    }
}

impl AuditSink for AuditQueue {
    fn record(&self, event: &AuditEvent) {
        self.record_owned(event.clone());
    }

    fn record_owned(&self, event: AuditEvent) {
        let writer = self.0.lock().push(event, &self.0);
        if let Some(writer) = writer {
            writer.wake();
        }
    }
}

impl fmt::Debug for AuditQueue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AuditQueue")
            .field("pending", &self.pending())
            .field("dropped", &self.dropped())
            .field("writer", &self.writer())
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

    /// Returns the number of events that are not yet in the log.
    fn unwritten(&self) -> usize {
        self.events.len() + self.batch.as_ref().map_or(0, |batch| batch.len())
    }

    /// Queues an event or counts it as dropped. Returns the waker of the writer if it must run.
    fn push(&mut self, event: AuditEvent, queue: &Shared) -> Option<Waker> {
        if self.events.len() >= queue.capacity || self.state == State::Closed {
            self.unreported += 1;
            self.dropped += 1;
            self.dropped_at = self.dropped_at.max(event.at);
            return None;
        }
        let id = self.id(event.at, queue.name);
        self.events.push_back(NewEvent { id, event });
        self.taken += 1;
        if self.events.len() < self.wake_at { None } else { self.writer.take() }
    }

    /// Returns the next batch, or `None` if the queue is empty.
    fn take(&mut self, name: [u8; 10]) -> Option<Arc<Vec<NewEvent>>> {
        if let Some(unwritten) = &self.batch {
            return Some(Arc::clone(unwritten));
        }
        let count = self.events.len().min(BATCH);
        let mut batch: Vec<_> = if count == self.events.len() {
            std::mem::take(&mut self.events).into()
        } else {
            self.events.drain(..count).collect()
        };
        if self.unreported > 0 {
            let dropped = std::mem::take(&mut self.unreported);
            let at = std::mem::replace(&mut self.dropped_at, UnixTime::EPOCH);
            let action = Action::DropEvents { dropped };
            let event = AuditEvent::new(at, Actor::Server, action, Outcome::Success);
            batch.push(NewEvent { id: self.id(at, name), event });
        }
        if batch.is_empty() {
            self.state = State::Closed;
            return None;
        }
        self.in_batch = count as u64;
        let batch = Arc::new(batch);
        self.batch = Some(Arc::clone(&batch));
        Some(batch)
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Pending> {
        self.pending.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Marks the batch as finished and wakes the tasks that wait for it.
    fn settle(&self) {
        let mut pending = self.lock();
        pending.is_failing = false;
        let batch = pending.batch.take();
        let newest =
            batch.iter().flat_map(|batch| batch.iter()).map(|new| (new.id, new.event.at)).max();
        pending.newest = newest.or(pending.newest);
        pending.written += std::mem::take(&mut pending.in_batch);
        let flushing = std::mem::take(&mut pending.flushing);
        drop(pending);
        flushing.into_iter().for_each(Waker::wake);
    }

    /// Reports the numbers to the `metrics` facade.
    fn report(&self) {
        let mut pending = self.lock();
        let (queued, dropped) = (pending.unwritten() as u64, pending.dropped);
        let change = pending.reported.to(queued, dropped);
        // The recorder is the host's code.
        drop(pending);
        change.tell();
    }

    /// Notes a failed write, and counts a panic.
    fn note_failure(&self, has_panicked: bool) {
        let mut pending = self.lock();
        pending.is_failing = true;
        pending.panics += u64::from(has_panicked);
    }

    /// Waits until `is_over` or until `limit` has passed. Checks `is_over` when `wake_at` events
    /// are queued and at each wake-up.
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
