//! The audit queue, the log in memory, and the tasks that prune.

use std::collections::{BTreeSet, VecDeque};
use std::fs;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use grantor::audit::conformance::AuditKit;
use grantor::audit::{
    Action, Actor, AppUsage, AuditEvent, AuditQuery, AuditQueue, AuditSink, AuditStore,
    AuditWriter, EventId, NewEvent, Severity, StoredEvent, UsageHistory, prune_events_regularly,
};
use grantor::clock::{ManualClock, UnixTime};
use grantor::ids::{ClientId, Subject};
use grantor::observe::Outcome;
use grantor::protocol::GrantType;
use grantor::random::OsRandom;
use grantor::store::{
    FeedCursor, GrantStore as _, Listing, MemoryStore, Page, Pruned, Pruning, Revocation,
    RevocationReason, RevocationTarget, StoreError, prune_regularly,
};
use tokio::task::{JoinHandle, yield_now};
use tokio::time::{Instant, sleep};

use crate::support::{World, machine_app};

/// A fault of an append.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    Before,
    After,
    /// The call never returns.
    Hangs,
    /// The call panics before it has taken effect.
    Panics,
}

/// The log in memory with planned faults, and the size of each batch.
#[derive(Debug, Default)]
pub(crate) struct FaultyLog {
    inner: MemoryStore,
    plan: Mutex<VecDeque<Fault>>,
    appends: Mutex<Vec<(Instant, usize)>>,
}

impl FaultyLog {
    pub(crate) fn with(plan: impl IntoIterator<Item = Fault>) -> Arc<Self> {
        Arc::new(Self { plan: Mutex::new(plan.into_iter().collect()), ..Self::default() })
    }

    fn sizes(&self) -> Vec<usize> {
        self.appends.lock().unwrap().iter().map(|(_, size)| *size).collect()
    }
}

impl AuditStore for FaultyLog {
    async fn append(&self, events: &[NewEvent]) -> Result<(), StoreError> {
        self.appends.lock().unwrap().push((Instant::now(), events.len()));
        let fault = self.plan.lock().unwrap().pop_front();
        match fault {
            Some(Fault::Before) => return Err(StoreError::new("planted")),
            Some(Fault::Hangs) => std::future::pending().await,
            Some(Fault::Panics) => panic!("planted"),
            Some(Fault::After) | None => {}
        }
        self.inner.append(events).await?;
        if fault.is_some() { Err(StoreError::new("planted")) } else { Ok(()) }
    }

    async fn find_events(
        &self,
        query: &AuditQuery,
        page: Page<EventId>,
    ) -> Result<Listing<StoredEvent, EventId>, StoreError> {
        self.inner.find_events(query, page).await
    }

    async fn usage_of(&self, client_id: &ClientId) -> Result<AppUsage, StoreError> {
        self.inner.usage_of(client_id).await
    }

    async fn usage_history(
        &self,
        client_id: &ClientId,
        from: UnixTime,
        to: UnixTime,
    ) -> Result<UsageHistory, StoreError> {
        self.inner.usage_history(client_id, from, to).await
    }

    async fn prune_events(&self, before: UnixTime, limit: usize) -> Result<Pruned, StoreError> {
        self.appends.lock().unwrap().push((Instant::now(), limit));
        let fault = self.plan.lock().unwrap().pop_front();
        assert_ne!(fault, Some(Fault::Panics), "planted");
        if fault.is_some() {
            return Err(StoreError::new("planted"));
        }
        self.inner.prune_events(before, limit).await
    }
}

fn app() -> ClientId {
    ClientId::new("app").unwrap()
}

fn at(millis: i64) -> UnixTime {
    UnixTime::from_millis(1_700_000_000_000 + millis)
}

fn event(millis: i64) -> AuditEvent {
    let action = Action::IssueToken { grant_type: Some(GrantType::RefreshToken) };
    AuditEvent::new(at(millis), Actor::App(app()), action, Outcome::Success)
}

fn queue(capacity: usize) -> AuditQueue {
    AuditQueue::with_capacity(&OsRandom::new(), capacity).unwrap()
}

/// Spawns the writer, and counts the failures that it reports.
fn spawn(queue: &AuditQueue, log: &Arc<FaultyLog>) -> (JoinHandle<()>, Arc<AtomicUsize>) {
    let failures = Arc::new(AtomicUsize::new(0));
    let told = Arc::clone(&failures);
    let failed = move |error: &StoreError| {
        // A panic here would be caught.
        let is_planted = error.to_string() == "the store failed: planted";
        told.fetch_add(if is_planted { 1 } else { 1_000 }, Ordering::Relaxed);
    };
    (tokio::spawn(queue.run(Arc::clone(log), sleep, failed)), failures)
}

/// Returns the whole log, oldest first.
async fn all(log: &FaultyLog) -> Vec<StoredEvent> {
    let (mut found, mut page) = (Vec::new(), Page::first(200));
    loop {
        let listing = log.find_events(&AuditQuery::all(), page.clone()).await.unwrap();
        found.extend(listing.items);
        let Some(next) = listing.next else { break };
        page = page.after(next);
    }
    found.reverse();
    found
}

async fn tokens(log: &FaultyLog) -> u64 {
    let usage = log.usage_of(&app()).await.unwrap();
    usage.issued.get(&GrantType::RefreshToken).copied().unwrap_or(0)
}

#[test]
fn the_memory_log_passes_the_kit() {
    let report = AuditKit::new(MemoryStore::new).run();
    assert!(report.is_passed(), "{report}");
}

/// A check of the kit that never runs proves nothing.
#[test]
fn the_kit_runs_every_public_check_of_the_log() {
    let report = AuditKit::new(MemoryStore::new).with_rounds(1).run();
    let run: BTreeSet<_> = report.passed.iter().map(ToString::to_string).collect();
    let text = |file: &str| {
        let room = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/audit/log");
        fs::read_to_string(room.join(file)).unwrap()
    };
    let text = text("conformance.rs") + &text("conformance/daily_usage.rs");
    let names = text.lines().filter_map(|line| line.strip_prefix("pub fn ")?.split('<').next());
    assert_eq!(run, names.map(str::to_owned).collect());
}

/// Ways in which a log breaks its contract.
#[derive(Clone, Copy, Debug)]
enum Wrong {
    CountsAgain,
    CountsApart,
    ForgetsNothing,
    PagesByTime,
    MixesApps,
    ReadsEarlierDays,
    KeepsDays,
}

/// The log in memory with one fault. Its usage is kept apart from its events.
struct WrongLog(Wrong, MemoryStore, MemoryStore);

impl AuditStore for WrongLog {
    async fn append(&self, events: &[NewEvent]) -> Result<(), StoreError> {
        for new in events {
            let is_deletion = new.event.action == Action::DeleteApp;
            if !(matches!(self.0, Wrong::ForgetsNothing) && is_deletion) {
                let usage_is_there = matches!(self.0, Wrong::CountsApart) && {
                    let query = AuditQuery::all().since(new.event.at).until(new.event.at);
                    let page = self.1.find_events(&query, Page::first(200)).await?;
                    page.items.iter().any(|event| event.id == new.id)
                };
                if !usage_is_there {
                    // A fresh id: the store that counts would skip one that it has seen.
                    let id = EventId::generate(new.event.at, &OsRandom::new()).unwrap();
                    self.2.append(&[NewEvent { id, event: new.event.clone() }]).await?;
                }
            }
        }
        if matches!(self.0, Wrong::CountsApart) {
            yield_now().await;
        }
        self.1.append(events).await
    }

    async fn find_events(
        &self,
        query: &AuditQuery,
        page: Page<EventId>,
    ) -> Result<Listing<StoredEvent, EventId>, StoreError> {
        match (self.0, page.after) {
            (Wrong::PagesByTime, Some(_)) => {
                let all = self.1.find_events(query, Page::first(200)).await?.items;
                let seen = all.iter().position(|event| Some(event.id) == page.after);
                let last = seen.map(|seen| all[seen].at);
                let query =
                    query.clone().until(UnixTime::from_millis(last.unwrap().as_millis() - 1));
                self.1.find_events(&query, Page::first(page.limit)).await
            }
            _ => self.1.find_events(query, page).await,
        }
    }

    async fn usage_of(&self, client_id: &ClientId) -> Result<AppUsage, StoreError> {
        self.2.usage_of(client_id).await
    }

    async fn usage_of_each(&self, client_ids: &[ClientId]) -> Result<Vec<AppUsage>, StoreError> {
        let mut usages = self.2.usage_of_each(client_ids).await?;
        if matches!(self.0, Wrong::MixesApps) {
            usages.reverse();
        }
        Ok(usages)
    }

    async fn usage_history(
        &self,
        client_id: &ClientId,
        from: UnixTime,
        to: UnixTime,
    ) -> Result<UsageHistory, StoreError> {
        let from = if matches!(self.0, Wrong::ReadsEarlierDays) { UnixTime::EPOCH } else { from };
        let log = if matches!(self.0, Wrong::KeepsDays) { &self.2 } else { &self.1 };
        log.usage_history(client_id, from, to).await
    }

    async fn prune_events(&self, before: UnixTime, limit: usize) -> Result<Pruned, StoreError> {
        self.1.prune_events(before, limit).await
    }
}

#[test]
fn a_broken_log_fails_the_kit() {
    for (wrong, check) in [
        (Wrong::CountsAgain, "an_event_is_appended_once"),
        (Wrong::CountsApart, "a_dropped_append_is_atomic"),
        (Wrong::ForgetsNothing, "a_deleted_app_loses_its_usage"),
        (Wrong::PagesByTime, "pages_stay_consistent_during_appends"),
        (Wrong::MixesApps, "the_usage_of_several_apps_is_told_in_their_order"),
        (Wrong::ReadsEarlierDays, "usage_is_counted_by_day"),
        (Wrong::KeepsDays, "pruning_removes_the_usage_of_days_that_have_ended"),
    ] {
        let make = move || WrongLog(wrong, MemoryStore::new(), MemoryStore::new());
        let report = AuditKit::new(make).with_rounds(5).run();
        assert!(report.failed(check), "{wrong:?} passes {check}\n{report}");
        assert!(!report.failed("pruning_removes_old_events_and_keeps_usage"), "{report}");
    }
}

/// Events that arrive together are written together. Events of one instant keep their order of
/// arrival, and a full batch is written without waiting.
#[tokio::test(start_paused = true)]
async fn events_are_written_in_batches_and_in_order() {
    let (audit, log) = (queue(10_000), FaultyLog::with([]));
    let (writing, failures) = spawn(&audit, &log);
    let began = Instant::now();
    for millis in 0..5 {
        audit.record(&event(millis / 5).with_subject(&Subject::new(millis.to_string()).unwrap()));
        sleep(Duration::from_millis(10)).await;
    }
    sleep(Duration::from_millis(300)).await;
    assert_eq!(log.sizes(), [5]);
    assert_eq!(audit.pending(), 0);
    let subjects: Vec<_> = all(&log).await.into_iter().map(|it| it.subject.unwrap()).collect();
    assert_eq!(subjects.iter().map(Subject::as_str).collect::<Vec<_>>(), ["0", "1", "2", "3", "4"]);
    let (written, _) = log.appends.lock().unwrap()[0];
    assert_eq!(written - began, Duration::from_millis(200));

    let full = Instant::now();
    for millis in 0..600 {
        audit.record(&event(millis));
    }
    sleep(Duration::from_millis(150)).await;
    assert_eq!(log.sizes(), [5, 256, 256], "two full batches, then the rest together");
    assert_eq!(log.appends.lock().unwrap()[2].0, full);
    sleep(Duration::from_millis(60)).await;
    assert_eq!(log.sizes(), [5, 256, 256, 88]);
    assert_eq!(tokens(&log).await, 605);
    audit.close();
    writing.await.unwrap();
    assert_eq!(failures.load(Ordering::Relaxed), 0);
}

/// Events that do not fit are dropped and counted, and the log states the number each time. No
/// event is lost without a count.
#[tokio::test(start_paused = true)]
async fn a_full_queue_counts_dropped_events_and_logs_the_count() {
    let (audit, log) = (queue(100), FaultyLog::with([]));
    for millis in 0..130 {
        audit.record(&event(millis));
    }
    assert_eq!((audit.pending(), audit.dropped()), (100, 30));
    let (writing, _) = spawn(&audit, &log);
    sleep(Duration::from_secs(1)).await;
    for millis in 1_000..1_101 {
        audit.record(&event(millis));
    }
    audit.close();
    writing.await.unwrap();
    assert_eq!(audit.dropped(), 31);
    let log_of = all(&log).await;
    let missing: Vec<_> = log_of
        .iter()
        .filter(|event| event.severity == Severity::Warning)
        .map(|event| serde_json::from_str::<serde_json::Value>(&event.json).unwrap())
        .map(|event| (event["at"].as_i64().unwrap(), event["dropped"].as_u64().unwrap()))
        .collect();
    assert_eq!(missing, [(at(129).as_millis(), 30), (at(1_100).as_millis(), 1)]);
    assert_eq!(log_of.len(), 202);
    assert_eq!(tokens(&log).await, 200);
}

/// A batch is retried with growing waits while the store fails. Its events are written once, even
/// if an earlier attempt succeeded and its answer was lost.
#[tokio::test(start_paused = true)]
async fn a_failed_batch_is_retried_until_it_is_written_once() {
    let plan = [[Fault::Before; 8].as_slice(), &[Fault::After; 2]].concat();
    let (audit, log) = (queue(10_000), FaultyLog::with(plan));
    let (writing, failures) = spawn(&audit, &log);
    for millis in 0..10 {
        audit.record(&event(millis));
    }
    sleep(Duration::from_secs(1)).await;
    audit.record(&event(10));
    assert_eq!(audit.pending(), 11, "the batch is kept");
    sleep(Duration::from_mins(1)).await;
    assert_eq!(audit.pending(), 0);
    assert_eq!(failures.load(Ordering::Relaxed), 10);
    let appends = log.appends.lock().unwrap().clone();
    let waits: Vec<_> =
        appends.windows(2).map(|pair| (pair[1].0 - pair[0].0).as_millis()).take(10).collect();
    assert_eq!(waits, [100, 200, 400, 800, 1_600, 3_200, 6_400, 10_000, 10_000, 10_000]);
    assert_eq!((all(&log).await.len(), tokens(&log).await), (11, 11));
    audit.close();
    writing.await.unwrap();
}

/// A log that a failover replaces by an earlier state of itself.
#[derive(Debug, Default)]
struct RewoundLog {
    inner: Mutex<Arc<FaultyLog>>,
}

impl RewoundLog {
    fn now(&self) -> Arc<FaultyLog> {
        Arc::clone(&self.inner.lock().unwrap())
    }
}

impl AuditStore for RewoundLog {
    async fn append(&self, events: &[NewEvent]) -> Result<(), StoreError> {
        self.now().append(events).await
    }

    async fn find_events(
        &self,
        query: &AuditQuery,
        page: Page<EventId>,
    ) -> Result<Listing<StoredEvent, EventId>, StoreError> {
        self.now().find_events(query, page).await
    }

    async fn usage_of(&self, client_id: &ClientId) -> Result<AppUsage, StoreError> {
        self.now().usage_of(client_id).await
    }

    async fn usage_history(
        &self,
        client_id: &ClientId,
        from: UnixTime,
        to: UnixTime,
    ) -> Result<UsageHistory, StoreError> {
        self.now().usage_history(client_id, from, to).await
    }

    async fn prune_events(&self, before: UnixTime, limit: usize) -> Result<Pruned, StoreError> {
        self.now().prune_events(before, limit).await
    }
}

/// Z26: if a failover or a restore loses events that were written, the log says since when, whether the store
/// failed in between or the writer was idle. It says so once, and not for a failure that lost nothing.
#[tokio::test(start_paused = true)]
async fn a_log_that_has_lost_events_says_since_when() {
    for plan in [vec![], vec![Fault::Before; 3]] {
        let (audit, log) = (queue(10_000), Arc::new(RewoundLog::default()));
        let writing = tokio::spawn(audit.run(Arc::clone(&log), sleep, |_: &StoreError| ()));
        let write = async |millis: i64| {
            audit.record(&event(millis));
            audit.flush().await;
        };
        let marks = async || {
            let found = log.find_events(&AuditQuery::all(), Page::first(100)).await.unwrap();
            let texts = found.items.into_iter().map(|event| event.json);
            texts.filter(|text| text.contains("lose_events")).collect::<Vec<_>>()
        };
        write(100).await;
        let replica = FaultyLog::with(plan);
        let kept = log.find_events(&AuditQuery::all(), Page::first(1)).await.unwrap().items;
        replica.inner.append(&[NewEvent { id: kept[0].id, event: event(100) }]).await.unwrap();
        write(200).await;
        assert_eq!(marks().await, [""; 0]);

        *log.inner.lock().unwrap() = Arc::clone(&replica);
        // A second without a write, or a failure.
        write(if replica.plan.lock().unwrap().is_empty() { 1_200 } else { 300 }).await;
        write(1_300).await;
        write(9_000).await;
        audit.close();
        writing.await.unwrap();
        let marks = marks().await;
        assert_eq!(marks.len(), 1, "{marks:?}");
        let mark: serde_json::Value = serde_json::from_str(&marks[0]).unwrap();
        assert_eq!(mark["since"], at(100).as_millis(), "{mark}");
    }
}

/// Z27: panics of the store and of the host's callback do not end the writer. Its batch is written once, and
/// the host sees how the writing goes.
#[tokio::test(start_paused = true)]
async fn a_panic_of_the_store_or_of_the_callback_is_a_failure_that_is_retried() {
    let (audit, log) = (queue(10_000), FaultyLog::with([Fault::Panics, Fault::Before]));
    assert_eq!((audit.writer(), audit.panics()), (AuditWriter::Absent, 0));
    let reported = Arc::new(Mutex::new(Vec::new()));
    let causes = Arc::clone(&reported);
    let failed = move |error: &StoreError| {
        causes.lock().unwrap().push(error.cause().to_string());
        panic!("the disk of the log is full");
    };
    let writing = tokio::spawn(audit.run(Arc::clone(&log), sleep, failed));
    audit.record(&event(0));
    sleep(Duration::from_millis(250)).await;
    assert_eq!((audit.writer(), audit.panics()), (AuditWriter::Failing, 2));
    audit.record(&event(1));
    sleep(Duration::from_mins(1)).await;
    assert_eq!((audit.writer(), audit.panics()), (AuditWriter::Running, 3));
    assert_eq!(*reported.lock().unwrap(), ["it panicked: planted", "planted"]);
    assert_eq!((all(&log).await.len(), tokens(&log).await), (2, 2));

    writing.abort();
    assert!(writing.await.unwrap_err().is_cancelled());
    assert_eq!(audit.writer(), AuditWriter::Absent);
    let (writing, _) = spawn(&audit, &log);
    audit.close();
    writing.await.unwrap();
    assert_eq!(audit.writer(), AuditWriter::Closed);
}

/// Z27: the tasks that prune survive panics of the store and of the host's callback.
#[tokio::test(start_paused = true)]
async fn a_panic_does_not_end_the_task_that_prunes() {
    let log = FaultyLog::with([Fault::Panics, Fault::Before]);
    let id = EventId::generate(at(0), &OsRandom::new()).unwrap();
    log.inner.append(&[NewEvent { id, event: event(0) }]).await.unwrap();
    let failed = |error: &StoreError| panic!("{error}");
    let pruning = Pruning::new().clock(ManualClock::new(at(60_000)));
    let keep = Duration::from_secs(1);
    let task = tokio::spawn(prune_events_regularly(Arc::clone(&log), keep, pruning, sleep, failed));
    sleep(Duration::from_secs(10)).await;
    assert_eq!(all(&log).await, []);
    task.abort();
}

/// A sink whose disk is full.
#[derive(Debug)]
struct FullDisk;

impl AuditSink for FullDisk {
    fn record(&self, _: &AuditEvent) {
        panic!("no space left on device");
    }
}

/// Z27: a sink that panics loses its event and ends no request, neither of a client nor of an administrator.
#[test]
fn a_sink_that_panics_ends_no_request() {
    let world = World::with(|builder| builder.audit(FullDisk));
    let app = world.register(machine_app());
    assert_eq!(world.post(&app, &[("grant_type", "client_credentials")]).status, 200);
    world.post(&app, &[]).assert_error(400, "invalid_request");
}

/// When the process ends, the writer does not wait between batches.
#[tokio::test(start_paused = true)]
async fn closing_writes_the_remaining_events_at_once_and_ends_the_task() {
    let log = FaultyLog::with([Fault::Before; 20]);
    let audit = queue(10_000);
    let (writing, _) = spawn(&audit, &log);
    audit.record(&event(0));
    sleep(Duration::from_secs(40)).await;
    assert_eq!(audit.pending(), 1);
    log.plan.lock().unwrap().clear();
    let closed = Instant::now();
    for millis in 1..1_000 {
        audit.record(&event(millis));
    }
    audit.close();
    audit.close();
    writing.await.unwrap();
    assert_eq!(closed.elapsed(), Duration::ZERO);
    assert_eq!(all(&log).await.len(), 1_000);
    // Events recorded after the writer has ended are counted as missing.
    audit.record(&event(1_000));
    assert_eq!((audit.pending(), audit.dropped()), (0, 1));

    let untouched = queue(10);
    untouched.close();
    spawn(&untouched, &FaultyLog::with([])).0.await.unwrap();
}

/// A task that is dropped during an append leaves its batch to the next task. Two tasks take turns.
#[tokio::test(start_paused = true)]
async fn dropping_the_writer_loses_no_event() {
    let log = FaultyLog::with([Fault::Hangs]);
    let audit = queue(10_000);
    let (hanging, _) = spawn(&audit, &log);
    let (next, _) = spawn(&audit, &log);
    for millis in 0..300 {
        audit.record(&event(millis));
    }
    sleep(Duration::from_secs(20)).await;
    assert_eq!((log.sizes().len(), audit.pending()), (1, 300));
    hanging.abort();
    sleep(Duration::from_secs(1)).await;
    assert_eq!((audit.pending(), all(&log).await.len()), (0, 300));
    audit.close();
    next.await.unwrap();
}

/// An append without an answer is dropped after 30 s and repeated.
#[tokio::test(start_paused = true)]
async fn an_append_without_an_answer_is_repeated() {
    let log = FaultyLog::with([Fault::Hangs]);
    let audit = queue(10_000);
    let (writing, failures) = spawn(&audit, &log);
    for millis in 0..300 {
        audit.record(&event(millis));
    }
    sleep(Duration::from_secs(30)).await;
    assert_eq!((log.sizes().len(), audit.pending()), (1, 300));
    sleep(Duration::from_secs(1)).await;
    assert_eq!((audit.pending(), all(&log).await.len()), (0, 300));
    assert_eq!(failures.load(Ordering::Relaxed), 1_000, "one failure, of another kind");
    audit.close();
    writing.await.unwrap();
}

/// A flush does not wait for events that are recorded after it began.
#[tokio::test(start_paused = true)]
async fn a_flush_waits_only_for_events_recorded_before_it() {
    let log = FaultyLog::with([]);
    let audit = queue(10_000);
    audit.flush().await;
    let (writing, _) = spawn(&audit, &log);
    let began = Instant::now();
    for millis in 0..300 {
        audit.record(&event(millis));
    }
    let others =
        [audit.clone(), audit.clone()].map(|it| tokio::spawn(async move { it.flush().await }));
    audit.flush().await;
    assert_eq!(tokens(&log).await, 300);
    for other in others {
        other.await.unwrap();
    }
    assert_eq!(began.elapsed(), Duration::ZERO);
    // The writer is waiting after a store failure, and continues when the wait is over.
    log.plan.lock().unwrap().push_back(Fault::Before);
    audit.record(&event(300));
    audit.flush().await;
    assert_eq!(began.elapsed(), Duration::from_millis(100));
    assert_eq!((log.sizes(), audit.pending()), (vec![256, 44, 1, 1], 0));
    // A dropped flush does not block the others.
    audit.record(&event(301));
    drop(tokio::time::timeout(Duration::ZERO, audit.flush()).await);
    audit.close();
    writing.await.unwrap();
    audit.flush().await;
    assert_eq!(tokens(&log).await, 302);
}

/// Every event of many threads is in the log once, or is counted as missing.
#[test]
fn events_of_many_threads_are_written_once_or_counted_as_missing() {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    let (audit, log) = (queue(500), FaultyLog::with([Fault::After; 3]));
    let (writing, _) = runtime.block_on(async { spawn(&audit, &log) });
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                for millis in 0..5_000 {
                    audit.record(&event(millis));
                    if millis % 50 == 0 {
                        std::thread::yield_now();
                    }
                }
            });
        }
    });
    audit.close();
    runtime.block_on(writing).unwrap();
    let written = runtime.block_on(tokens(&log));
    assert_eq!(written + audit.dropped(), 20_000);
    let missing: u64 = runtime
        .block_on(all(&log))
        .iter()
        .filter_map(|event| {
            serde_json::from_str::<serde_json::Value>(&event.json).unwrap()["dropped"].as_u64()
        })
        .sum();
    assert_eq!(missing, audit.dropped());
}

/// A revocation is kept until its end, and removed by the next round.
#[tokio::test(start_paused = true)]
async fn the_task_prunes_at_once_and_at_every_interval() {
    let store = Arc::new(MemoryStore::new());
    let clock = Arc::new(ManualClock::new(at(0)));
    let revoke = async |number: i64| {
        let target = RevocationTarget::Subject(Subject::new(number.to_string()).unwrap());
        let (why, until) = (RevocationReason::Administrator, at(number * 1_000));
        store.revoke(&Revocation { target, at: at(-9), why, until }).await.unwrap();
    };
    for number in 0..100 {
        revoke(number).await;
    }
    let count = async || {
        let feed = store.revocations_since(FeedCursor::default(), 1_000, at(0)).await.unwrap();
        feed.entries.len()
    };
    let pruning = Pruning::new().batch(3).clock(Arc::clone(&clock));
    let failures = Arc::new(AtomicUsize::new(0));
    let told = Arc::clone(&failures);
    let failed = move |_: &StoreError| {
        told.fetch_add(1, Ordering::Relaxed);
    };
    let task = tokio::spawn(prune_regularly(Arc::clone(&store), pruning, sleep, failed));
    sleep(Duration::from_secs(1)).await;
    assert_eq!(count().await, 99);
    clock.set(at(50_000));
    sleep(Duration::from_secs(298)).await;
    assert_eq!(count().await, 99, "before the interval has passed");
    sleep(Duration::from_secs(2)).await;
    assert_eq!(count().await, 49);
    assert_eq!(failures.load(Ordering::Relaxed), 0);
    task.abort();
}

/// Events are removed in batches once they reach the configured age. Store failures are reported
/// and do not end the task.
#[tokio::test(start_paused = true)]
async fn old_events_are_pruned_despite_store_failures() {
    let log = FaultyLog::with([]);
    let new = |millis| {
        let event = event(millis);
        NewEvent { id: EventId::generate(event.at, &OsRandom::new()).unwrap(), event }
    };
    log.inner.append(&(0..100).map(new).collect::<Vec<_>>()).await.unwrap();
    log.plan.lock().unwrap().extend([Fault::Before; 12]);
    let failures = Arc::new(AtomicUsize::new(0));
    let told = Arc::clone(&failures);
    let failed = move |_: &StoreError| {
        told.fetch_add(1, Ordering::Relaxed);
    };
    let clock = Arc::new(ManualClock::new(at(3_600_050)));
    let pruning = Pruning::new().batch(20).interval(Duration::from_mins(1));
    let pruning = pruning.clock(Arc::clone(&clock));
    let hour = Duration::from_hours(1);
    let task = tokio::spawn(prune_events_regularly(Arc::clone(&log), hour, pruning, sleep, failed));
    sleep(Duration::from_mins(10)).await;
    assert_eq!(failures.load(Ordering::Relaxed), 12);
    let rounds = log.appends.lock().unwrap().clone();
    let waits: Vec<_> =
        rounds.windows(2).map(|pair| (pair[1].0 - pair[0].0).as_secs()).take(15).collect();
    assert_eq!(waits, [1, 2, 4, 8, 16, 32, 60, 60, 60, 60, 60, 60, 0, 0, 60]);
    assert!(rounds.iter().all(|(_, limit)| *limit == 20));
    let left = all(&log).await;
    assert_eq!((left.len(), left[0].at), (50, at(50)));
    assert_eq!(tokens(&log).await, 100);
    clock.set(at(7_200_000));
    sleep(Duration::from_mins(1)).await;
    assert_eq!(all(&log).await, []);
    task.abort();
}
