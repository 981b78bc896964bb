//! Virtual time: a timer that moves the clock of the server to the next wake-up.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

use grantor::audit::{
    AppUsage, AuditQuery, AuditStore, EventId, NewEvent, StoredEvent, UsageHistory,
};
use grantor::clock::{Clock as _, ManualClock, UnixTime};
use grantor::ids::ClientId;
use grantor::jwt::Algorithm;
use grantor::random::OsRandom;
use grantor::server_secret::KeyFile;
use grantor::store::{Listing, MemoryStore, Page, Pruned, StoreError};
use serde_json::Value;

/// The sleeping tasks by their instant.
#[derive(Clone)]
pub(crate) struct Timer {
    clock: Arc<ManualClock>,
    sleeping: Arc<Mutex<BTreeMap<(UnixTime, u64), Waker>>>,
    number: Arc<AtomicU64>,
}

pub(crate) struct Sleep {
    timer: Timer,
    key: (UnixTime, u64),
}

impl Timer {
    pub(crate) fn sleep(&self, time: Duration) -> Sleep {
        let number = self.number.fetch_add(1, Ordering::Relaxed);
        Sleep { timer: self.clone(), key: (self.clock.now().plus(time), number) }
    }
}

impl Future for Sleep {
    type Output = ();

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        let mut sleeping = self.timer.sleeping.lock().unwrap();
        if self.timer.clock.now() >= self.key.0 {
            return Poll::Ready(());
        }
        sleeping.insert(self.key, context.waker().clone());
        Poll::Pending
    }
}

impl Drop for Sleep {
    fn drop(&mut self) {
        self.timer.sleeping.lock().unwrap().remove(&self.key);
    }
}

#[derive(Default)]
struct Flag(AtomicBool);

impl Wake for Flag {
    fn wake(self: Arc<Self>) {
        self.0.store(true, Ordering::SeqCst);
    }
}

/// A spawned future.
struct Task {
    future: Option<Pin<Box<dyn Future<Output = ()> + Send>>>,
    is_woken: Arc<Flag>,
    wake_ups: usize,
}

/// Runs tasks in virtual time.
pub(crate) struct Simulation {
    pub(crate) timer: Timer,
    tasks: Vec<Task>,
}

impl Simulation {
    pub(crate) fn new(clock: &Arc<ManualClock>) -> Self {
        let (sleeping, number) = (Arc::default(), Arc::default());
        Self { timer: Timer { clock: Arc::clone(clock), sleeping, number }, tasks: Vec::new() }
    }

    /// Returns the function that the upkeep takes.
    pub(crate) fn sleep(&self) -> impl Fn(Duration) -> Sleep + Send + Sync + 'static {
        let timer = self.timer.clone();
        move |time| timer.sleep(time)
    }

    /// Spawns `future`, and returns its number.
    pub(crate) fn spawn(&mut self, future: impl Future<Output = ()> + Send + 'static) -> usize {
        let is_woken = Arc::new(Flag(AtomicBool::new(true)));
        self.tasks.push(Task { future: Some(Box::pin(future)), is_woken, wake_ups: 0 });
        self.settle();
        self.tasks.len() - 1
    }

    /// Polls the woken tasks until all wait.
    pub(crate) fn settle(&mut self) {
        while let Some(task) =
            self.tasks.iter_mut().find(|task| task.is_woken.0.load(Ordering::SeqCst))
        {
            task.is_woken.0.store(false, Ordering::SeqCst);
            let Some(future) = &mut task.future else { continue };
            task.wake_ups += 1;
            let waker = Waker::from(Arc::clone(&task.is_woken));
            if future.as_mut().poll(&mut Context::from_waker(&waker)).is_ready() {
                task.future = None;
            }
        }
    }

    /// Lets this much time pass.
    pub(crate) fn pass(&mut self, time: Duration) {
        let end = self.timer.clock.now().plus(time);
        loop {
            self.settle();
            let next = self.timer.sleeping.lock().unwrap().keys().next().copied();
            let Some((instant, _)) = next.filter(|(instant, _)| *instant <= end) else { break };
            self.timer.clock.set(instant.max(self.timer.clock.now()));
            let mut sleeping = self.timer.sleeping.lock().unwrap();
            let later = sleeping.split_off(&(instant.plus(Duration::from_millis(1)), 0));
            let due = std::mem::replace(&mut *sleeping, later);
            drop(sleeping);
            due.into_values().for_each(Waker::wake);
        }
        self.timer.clock.set(end);
        self.settle();
    }

    /// Drops a task.
    pub(crate) fn drop_task(&mut self, task: usize) {
        self.tasks[task].future = None;
    }

    pub(crate) fn has_ended(&self, task: usize) -> bool {
        self.tasks[task].future.is_none()
    }

    /// Returns how often a task was polled since the last call.
    pub(crate) fn take_wake_ups(&mut self, task: usize) -> usize {
        std::mem::take(&mut self.tasks[task].wake_ups)
    }
}

/// A key file in a folder of its own, removed at the end.
pub(crate) struct Keys(PathBuf);

impl Keys {
    pub(crate) fn new(name: &str, now: UnixTime) -> Self {
        let folder = format!("grantor-upkeep-{name}-{}", std::process::id());
        let folder = std::env::temp_dir().join(folder);
        std::fs::create_dir_all(&folder).unwrap();
        let keys = Self(folder.join("keys.json"));
        let mut file = KeyFile::generate(Algorithm::EdDSA, &OsRandom::new(), now).unwrap();
        file.write(&keys.0).unwrap();
        keys
    }

    pub(crate) fn path(&self) -> &PathBuf {
        &self.0
    }

    pub(crate) fn read(&self) -> KeyFile {
        KeyFile::read(&self.0).unwrap()
    }

    /// The number of writes of the file.
    pub(crate) fn revision(&self) -> u64 {
        let text = std::fs::read_to_string(&self.0).unwrap();
        let json: Value = serde_json::from_str(&text).unwrap();
        json["revision"].as_u64().unwrap()
    }
}

impl Drop for Keys {
    fn drop(&mut self) {
        _ = std::fs::remove_dir_all(self.0.parent().unwrap());
    }
}

/// An audit log in memory that is away on request, or hangs.
#[derive(Debug, Default)]
pub(crate) struct Log {
    inner: MemoryStore,
    pub(crate) is_away: AtomicBool,
    pub(crate) hangs: AtomicBool,
}

impl Log {
    /// Returns every event.
    pub(crate) fn events(&self) -> Vec<Value> {
        let (query, mut events, mut page) = (AuditQuery::all(), Vec::new(), Page::first(200));
        loop {
            let found = self.inner.find_events(&query, page.clone());
            let found = pollster::block_on(found).unwrap();
            events.extend(found.items.iter().map(|it| serde_json::from_str(&it.json).unwrap()));
            let Some(next) = found.next else { return events };
            page = page.after(next);
        }
    }

    /// Returns how many events have this action.
    pub(crate) fn count(&self, action: &str) -> usize {
        let events: Vec<Value> = self.events();
        events.iter().filter(|event| event["action"] == action).count()
    }

    async fn answer(&self) -> Result<(), StoreError> {
        if self.hangs.load(Ordering::SeqCst) {
            std::future::pending::<()>().await;
        }
        if self.is_away.load(Ordering::SeqCst) {
            return Err(StoreError::new("the log is away"));
        }
        Ok(())
    }
}

impl AuditStore for Log {
    async fn append(&self, events: &[NewEvent]) -> Result<(), StoreError> {
        self.answer().await?;
        self.inner.append(events).await
    }

    async fn find_events(
        &self,
        query: &AuditQuery,
        page: Page<EventId>,
    ) -> Result<Listing<StoredEvent, EventId>, StoreError> {
        self.answer().await?;
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
        self.answer().await?;
        self.inner.prune_events(before, limit).await
    }
}
