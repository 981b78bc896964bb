//! The future that writes the queue's events to a store.

use std::sync::Arc;
use std::time::Duration;

use super::{BATCH, Pending, Shared, State};
use crate::audit::log::{AuditStore, EventId, NewEvent};
use crate::audit::{Action, Actor, AuditEvent, AuditQuery};
use crate::clock::UnixTime;
use crate::observe::Outcome;
use crate::observe::deadline::{DEADLINE, within};
use crate::observe::panics::{caught, caught_in};
use crate::store::{Page, StoreError};

/// The time that the first event of a batch waits for more.
const GATHERING: Duration = Duration::from_millis(200);
/// The first and the longest delay after the store failed.
const BACKOFF: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(10));

/// The time without an event after which the writer looks whether its last event is still in the log. A
/// failover takes longer, so a writer that is never idle as long fails during one, and looks, too.
const IDLE: Duration = Duration::from_millis(300);
/// The age of the last event from which the writer looks no more, because the event may be pruned.
const PRUNED: Duration = Duration::from_hours(1);

/// Says that a future of `run` is at work until it is dropped.
struct Running<'a>(&'a Shared);

impl<'a> Running<'a> {
    fn new(queue: &'a Shared) -> Self {
        queue.lock().is_running = true;
        Self(queue)
    }
}

impl Drop for Running<'_> {
    fn drop(&mut self) {
        self.0.lock().is_running = false;
    }
}

/// Appends a batch. A panic of the store is a failure, and so is an answer that does not come: the contract
/// lets a call be repeated while the first runs.
async fn append(
    queue: &Shared,
    store: &impl AuditStore,
    batch: &[NewEvent],
    deadline: impl Future<Output = ()> + Send,
) -> Result<(), StoreError> {
    match caught_in(within(store.append(batch), deadline)).await {
        Ok(answered) => answered.unwrap_or_else(|no_answer| Err(StoreError::new(no_answer))),
        Err(panicked) => {
            queue.note_failure(true);
            Err(StoreError::new(panicked))
        }
    }
}

/// Looks for the newest event that was in the log before `batch`, and queues an event if it is gone. Best
/// effort: if the store does not answer, nothing is queued.
async fn mark_a_loss(
    queue: &Shared,
    store: &impl AuditStore,
    batch: &[NewEvent],
    has_failed: bool,
) {
    let newest = queue.lock().newest;
    let (Some((id, at)), Some(next)) = (newest, batch.last()) else { return };
    let now = next.event.at;
    if now >= at.plus(PRUNED) || !(has_failed || now >= at.plus(IDLE)) {
        return;
    }
    let behind = u128::from_be_bytes(*id.as_bytes()).saturating_add(1);
    let page = Page::first(1).after(EventId::from_bytes(behind.to_be_bytes()));
    let query = AuditQuery::all();
    let Ok(Ok(found)) = caught_in(store.find_events(&query, page)).await else { return };
    let left = found.items.first();
    if left.is_none_or(|event| event.id != id) {
        let since = left.map_or(UnixTime::EPOCH, |event| event.at);
        let action = Action::LoseEvents { since };
        let event = AuditEvent::new(now, Actor::Server, action, Outcome::Success);
        queue.lock().push(event, queue);
    }
}

/// Writes the events of the queue until it is closed.
pub(super) async fn write<S: AuditStore, W: Future<Output = ()> + Send>(
    queue: Arc<Shared>,
    store: S,
    sleep: impl Fn(Duration) -> W + Send,
    mut failed: impl FnMut(&StoreError) + Send,
) {
    let _writing = queue.writing.lock().await;
    let _running = Running::new(&queue);
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
        queue.report();
        let (mut wait, longest) = BACKOFF;
        let mut has_failed = false;
        while let Err(error) = append(&queue, &store, &batch, sleep(DEADLINE)).await {
            has_failed = true;
            let reported = caught(|| failed(&error));
            queue.note_failure(reported.is_err());
            queue.report();
            if is_closed(&queue.lock()) {
                sleep(wait).await;
            } else {
                queue.until(usize::MAX, sleep(wait), is_closed).await;
            }
            wait = longest.min(wait.saturating_mul(2));
        }
        mark_a_loss(&queue, &store, &batch, has_failed).await;
        queue.settle();
        queue.report();
    }
}
