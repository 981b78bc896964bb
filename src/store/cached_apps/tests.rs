use std::collections::BTreeMap;
use std::pin::pin;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Barrier, Mutex};
use std::task::{Context, Poll, Waker};

use pollster::block_on;
use proptest::prelude::*;

use super::*;
use crate::app::{AppDraft, AppOrigin, Credentials, Flow};
use crate::clock::ManualClock;
use crate::store::MemoryStore;

const START: UnixTime = UnixTime::from_seconds(1_700_000_000);
const BOUND: Duration = Duration::from_secs(1);

/// A store that counts its calls, fails on demand, and waits while its gate is shut.
#[derive(Default)]
struct Watched {
    inner: MemoryStore,
    finds: AtomicUsize,
    polls: AtomicUsize,
    fails: AtomicBool,
    shut: AtomicBool,
    waiting: Mutex<Vec<Waker>>,
}

impl Watched {
    async fn pass(&self) -> Result<(), StoreError> {
        std::future::poll_fn(|context| {
            if !self.shut.load(Ordering::SeqCst) {
                return Poll::Ready(());
            }
            self.waiting.lock().unwrap().push(context.waker().clone());
            Poll::Pending
        })
        .await;
        let fails = self.fails.load(Ordering::SeqCst);
        if fails { Err(StoreError::new("planted")) } else { Ok(()) }
    }

    fn shut(&self, shut: bool) {
        self.shut.store(shut, Ordering::SeqCst);
        self.waiting.lock().unwrap().drain(..).for_each(Waker::wake);
    }

    /// Returns the number of calls for an app and for the version since the last time.
    fn asked(&self) -> (usize, usize) {
        (self.finds.swap(0, Ordering::SeqCst), self.polls.swap(0, Ordering::SeqCst))
    }
}

impl AppRegistry for Watched {
    async fn find_app(&self, client_id: &ClientId) -> Result<Option<Arc<CustomApp>>, StoreError> {
        self.finds.fetch_add(1, Ordering::SeqCst);
        // Read before the wait: the answer is under way while others change the app.
        let found = self.inner.find_app(client_id).await;
        self.pass().await?;
        found
    }

    async fn insert_app(&self, app: CustomApp) -> Result<InsertApp, StoreError> {
        self.inner.insert_app(app).await
    }

    async fn update_app(&self, app: CustomApp, version: u64) -> Result<UpdateApp, StoreError> {
        self.inner.update_app(app, version).await
    }

    async fn delete_app(
        &self,
        client_id: &ClientId,
        version: u64,
    ) -> Result<DeleteApp, StoreError> {
        self.inner.delete_app(client_id, version).await
    }

    async fn list_apps(
        &self,
        query: &AppQuery,
        page: Page<ClientId>,
    ) -> Result<Listing<Arc<CustomApp>, ClientId>, StoreError> {
        self.inner.list_apps(query, page).await
    }

    async fn apps_version(&self) -> Result<AppsVersion, StoreError> {
        self.polls.fetch_add(1, Ordering::SeqCst);
        let version = self.inner.apps_version().await;
        self.pass().await?;
        version
    }
}

/// A process with a cache over a store. A direct use of the store stands for another process.
struct Process {
    store: Arc<Watched>,
    cache: CachedApps<Arc<Watched>>,
    clock: Arc<ManualClock>,
}

impl Process {
    fn new() -> Self {
        Self::with(|cache| cache)
    }

    fn with(configure: impl FnOnce(CachedApps<Arc<Watched>>) -> CachedApps<Arc<Watched>>) -> Self {
        let store = Arc::new(Watched::default());
        let clock = Arc::new(ManualClock::new(START));
        let cache = CachedApps::new(Arc::clone(&store)).bound(BOUND).clock(Arc::clone(&clock));
        Self { store, cache: configure(cache), clock }
    }

    /// Registers an app in another process.
    fn app(&self, name: &str) -> CustomApp {
        let settings = AppDraft::confidential(name).flow(Flow::ClientCredentials).build().unwrap();
        let app = CustomApp::new(id(name), settings, Credentials::default(), 1, START);
        block_on(self.store.insert_app(app.clone())).unwrap();
        app
    }

    fn find(&self, app: &CustomApp) -> Option<Arc<CustomApp>> {
        block_on(self.cache.find_app(app.client_id())).unwrap()
    }

    fn is_enabled(&self, app: &CustomApp) -> bool {
        self.find(app).unwrap().is_enabled()
    }

    fn pass(&self, time: Duration) {
        self.clock.advance(time);
    }
}

fn answer(version: u64) -> AppsVersion {
    AppsVersion { version, seen: START }
}

fn id(name: &str) -> ClientId {
    ClientId::new(name).unwrap()
}

/// Enables or disables the app, in another process or through the cache of this one.
fn turn(store: &impl AppRegistry, client_id: &ClientId) -> CustomApp {
    let app = block_on(store.find_app(client_id)).unwrap().unwrap();
    let turned = app.edited(START, |edit| *edit.enabled = !*edit.enabled);
    let answer = block_on(store.update_app(turned.clone(), app.version())).unwrap();
    assert_eq!(answer, UpdateApp::Updated);
    turned
}

/// Polls once, as a runtime does.
fn poll<F: Future>(future: std::pin::Pin<&mut F>) -> Poll<F::Output> {
    future.poll(&mut Context::from_waker(Waker::noop()))
}

#[test]
fn an_app_is_read_once_and_the_number_twice_within_the_bound() {
    let process = Process::new();
    let app = process.app("app");
    for _ in 0..100 {
        assert!(process.is_enabled(&app));
        process.pass(Duration::from_millis(10));
    }
    assert_eq!(process.store.asked(), (1, 2));
}

/// The bound, to the millisecond.
#[test]
fn an_app_that_another_process_disabled_stops_within_the_bound() {
    for millis in 0..=1_000 {
        let process = Process::new();
        let app = process.app("app");
        assert!(process.is_enabled(&app));
        process.pass(Duration::from_millis(millis));
        assert!(process.is_enabled(&app));
        turn(&process.store.inner, app.client_id());
        process.pass(BOUND);
        assert!(!process.is_enabled(&app), "disabled after {millis} ms");
    }
}

impl Process {
    /// Registers an app that describes itself, in another process.
    fn stranger(&self, name: &str) -> CustomApp {
        let app = self.app(name);
        block_on(self.store.delete_app(app.client_id(), 1)).unwrap();
        let app = app.edited(START, |edit| *edit.origin = AppOrigin::SelfRegistered);
        block_on(self.store.insert_app(app.clone())).unwrap();
        app
    }
}

/// L12, Y14: an app that describes itself changes without the number, and stops within the bound all the same, to the
/// millisecond.
#[test]
fn an_app_that_describes_itself_stops_within_the_bound() {
    for millis in (0..=1_000).step_by(7) {
        for ends in [false, true] {
            let process = Process::new();
            let app = process.stranger("app");
            assert!(process.is_enabled(&app));
            process.pass(Duration::from_millis(millis));
            assert!(process.is_enabled(&app));
            let before = block_on(process.store.apps_version()).unwrap();
            if ends {
                block_on(process.store.inner.delete_app(app.client_id(), app.version())).unwrap();
            } else {
                turn(&process.store.inner, app.client_id());
            }
            assert_eq!(block_on(process.store.apps_version()).unwrap().version, before.version);
            process.pass(BOUND);
            let found = process.find(&app);
            assert!(!found.is_some_and(|it| it.is_enabled()), "changed after {millis} ms");
        }
    }
}

/// L12, Y14: an app that describes itself is read again with each poll. What is dated by a poll rests on no app from
/// before it.
#[test]
fn an_app_that_describes_itself_is_read_once_after_each_poll() {
    let process = Process::new();
    let (app, stranger) = (process.app("app"), process.stranger("stranger"));
    for _ in 0..100 {
        assert!(process.is_enabled(&app) && process.is_enabled(&stranger));
        process.pass(Duration::from_millis(10));
    }
    assert_eq!(process.store.asked(), (3, 2), "one read of the app, and two of the stranger");
    assert!(process.is_enabled(&stranger));
    turn(&process.store.inner, stranger.client_id());
    // As after a revocation that another process has answered.
    block_on(process.cache.apps_version()).unwrap();
    assert!(!process.is_enabled(&stranger));
}

#[test]
fn an_entry_is_valid_within_the_bound() {
    let process = Process::new();
    let app = process.app("app");
    assert!(process.is_enabled(&app));
    turn(&process.store.inner, app.client_id());
    process.pass(BOUND / 2);
    assert!(process.is_enabled(&app));
    process.pass(Duration::from_millis(1));
    assert!(!process.is_enabled(&app));
}

#[test]
fn a_change_through_the_store_is_seen_at_once() {
    let process = Process::new();
    let app = process.app("app");
    assert!(process.is_enabled(&app));
    turn(&process.cache, app.client_id());
    assert!(!process.is_enabled(&app));
    let version = app.version() + 1;
    let deleted = block_on(process.cache.delete_app(app.client_id(), version)).unwrap();
    assert_eq!(deleted, DeleteApp::Deleted);
    assert!(process.find(&app).is_none());
    block_on(process.cache.insert_app(app.clone())).unwrap();
    assert!(process.is_enabled(&app));
}

/// The answer to a call that began before the change is not cached.
#[test]
fn a_read_that_began_before_a_change_is_not_cached() {
    let process = Process::new();
    let app = process.app("app");
    let other = process.app("other");
    assert!(process.is_enabled(&other));
    process.store.shut(true);
    let mut early = pin!(process.cache.find_app(app.client_id()));
    assert!(poll(early.as_mut()).is_pending());
    process.store.shut(false);
    let turned = app.edited(START, |edit| *edit.enabled = false);
    block_on(process.cache.update_app(turned, app.version())).unwrap();
    assert!(!process.is_enabled(&app));
    let Poll::Ready(Ok(Some(found))) = poll(early.as_mut()) else { panic!("nothing is found") };
    assert!(found.is_enabled(), "it left before");
    assert!(!process.is_enabled(&app));
    assert_eq!(process.cache.flights.count(), 0);
}

/// A caller after the change does not share it either.
#[test]
fn a_read_that_began_before_a_change_gets_no_new_waiters() {
    let process = Process::new();
    let app = process.app("app");
    let other = process.app("other");
    assert!(process.is_enabled(&other));
    process.store.shut(true);
    let mut early = pin!(process.cache.find_app(app.client_id()));
    assert!(poll(early.as_mut()).is_pending());
    let turned = app.edited(START, |edit| *edit.enabled = false);
    block_on(process.cache.update_app(turned, app.version())).unwrap();
    let mut late = pin!(process.cache.find_app(app.client_id()));
    assert!(poll(late.as_mut()).is_pending());
    process.store.shut(false);
    let Poll::Ready(Ok(Some(found))) = poll(late.as_mut()) else { panic!("nothing is found") };
    assert!(!found.is_enabled());
}

#[test]
fn an_id_without_an_app_is_looked_up_once_and_displaces_no_app() {
    let process = Process::with(|cache| cache.capacity(8));
    let apps: Vec<_> = (0..8).map(|number| process.app(&format!("app {number}"))).collect();
    for app in &apps {
        assert!(process.is_enabled(app));
    }
    process.store.asked();
    for _ in 0..10 {
        assert!(block_on(process.cache.find_app(&id("nobody"))).unwrap().is_none());
    }
    assert_eq!(process.store.asked(), (1, 0));
    for number in 0..5_000 {
        let stranger = id(&format!("stranger {number}"));
        assert!(block_on(process.cache.find_app(&stranger)).unwrap().is_none());
        // One id is there already. One beyond the limit, all are forgotten.
        assert_eq!(process.cache.known.counts(), (8, (number + 1) % 1_024 + 1));
    }
    process.store.asked();
    for app in &apps {
        assert!(process.is_enabled(app));
    }
    assert_eq!(process.store.asked(), (0, 0));
}

#[test]
fn an_app_that_another_process_registers_is_found_within_the_bound() {
    let process = Process::new();
    assert!(block_on(process.cache.find_app(&id("app"))).unwrap().is_none());
    let app = process.app("app");
    process.pass(BOUND);
    assert!(process.is_enabled(&app));
}

#[test]
fn used_entries_stay_when_room_is_made() {
    let process = Process::with(|cache| cache.capacity(16));
    let apps: Vec<_> = (0..100).map(|number| process.app(&format!("app {number}"))).collect();
    for app in &apps {
        assert!(process.is_enabled(app));
        // Asked for again and again.
        assert!(process.is_enabled(&apps[0]));
        assert!(process.cache.known.counts().0 <= 16);
    }
    let (finds, _) = process.store.asked();
    assert_eq!(finds, 100);
}

/// The least and the default capacity, and one app beyond each: an eighth makes room.
#[test]
fn a_cache_holds_at_least_eight_apps_and_10_000_by_default() {
    let least = Process::with(|cache| cache.capacity(0));
    for (process, capacity) in [(least, 8), (Process::new(), 10_000)] {
        let apps: Vec<_> = (0..=capacity).map(|it| process.app(&format!("app {it}"))).collect();
        let (beyond, fitting) = apps.split_last().unwrap();
        assert!(fitting.iter().all(|app| process.is_enabled(app)));
        assert_eq!(process.cache.known.counts().0, capacity);
        assert!(process.is_enabled(beyond));
        assert_eq!(process.cache.known.counts().0, capacity - capacity / 8 + 1);
    }
}

/// The default delay is a second and the default age 300 s, to the millisecond.
#[test]
fn the_default_times_of_a_cache_are_the_documented_ones() {
    let (store, clock) = (Arc::new(Watched::default()), Arc::new(ManualClock::new(START)));
    let cache = CachedApps::new(Arc::clone(&store)).clock(Arc::clone(&clock));
    let process = Process { store, cache, clock };
    assert_eq!(process.cache.bound, Duration::from_secs(1));
    let app = process.app("app");
    assert!(process.is_enabled(&app));
    process.store.asked();
    process.pass(Duration::from_mins(5));
    assert!(process.is_enabled(&app));
    assert_eq!(process.store.asked().0, 0);
    process.pass(Duration::from_millis(1));
    assert!(process.is_enabled(&app));
    assert_eq!(process.store.asked().0, 1);
}

#[test]
fn an_app_is_read_again_when_it_is_old() {
    let process = Process::with(|cache| cache.max_age(Duration::from_secs(10)));
    let app = process.app("app");
    for _ in 0..=20 {
        assert!(process.is_enabled(&app));
        process.pass(Duration::from_secs(1));
    }
    assert_eq!(process.store.asked().0, 2);
}

/// The clock of the host may run backwards. No entry becomes fresh by it.
#[test]
fn a_clock_that_jumps_back_makes_nothing_fresh() {
    let process = Process::new();
    let app = process.app("app");
    assert!(process.is_enabled(&app));
    turn(&process.store.inner, app.client_id());
    process.clock.set(START.minus(Duration::from_hours(1)));
    assert!(!process.is_enabled(&app));
}

/// As after a restore: the version is an earlier one, the apps are not.
#[test]
fn a_version_that_comes_again_revives_no_entry() {
    let known = Known::new(8, Duration::from_mins(5));
    let process = Process::new();
    let app = Arc::new(process.app("app"));
    known.learn(1, START, answer(10));
    known.keep(app.client_id(), known.mark(), START, Some(Arc::clone(&app)));
    assert!(known.find(app.client_id(), START, BOUND).is_some());
    known.learn(2, START, answer(8));
    known.learn(3, START, answer(10));
    assert!(known.find(app.client_id(), START, BOUND).is_none());
}

/// A poll that ends after a later one changes nothing.
#[test]
fn an_overtaken_poll_changes_nothing() {
    let known = Known::new(8, Duration::from_mins(5));
    known.learn(2, START.plus(BOUND), answer(11));
    known.learn(1, START, answer(10));
    assert_eq!(known.age(START.plus(BOUND)), Some(Duration::ZERO));
}

/// A caller that learns of a change finds it, also if another call that began later was answered first.
#[test]
fn a_change_is_found_by_a_caller_whose_call_was_overtaken() {
    let process = Process::new();
    let app = process.app("app");
    assert!(process.is_enabled(&app));
    let before = block_on(process.store.apps_version()).unwrap();
    // A later call of another thread read the number before the change.
    assert!(process.cache.known.learn(3, START, before));
    turn(&process.store, app.client_id());
    let counted = block_on(process.cache.apps_version()).unwrap();
    assert_ne!(counted.version, before.version);
    assert!(!process.is_enabled(&app));
}

#[test]
fn a_store_that_fails_is_an_error_when_the_bound_has_passed_and_not_before() {
    let process = Process::new();
    let app = process.app("app");
    assert!(process.is_enabled(&app));
    process.store.fails.store(true, Ordering::SeqCst);
    process.pass(BOUND);
    assert!(process.is_enabled(&app));
    process.pass(Duration::from_millis(1));
    let failed = block_on(process.cache.find_app(app.client_id())).unwrap_err();
    assert_eq!(failed.to_string(), "the store failed: planted");
    process.store.fails.store(false, Ordering::SeqCst);
    assert!(process.is_enabled(&app));
}

/// During a poll, other callers use the cached entries.
#[test]
fn one_caller_polls_and_no_other_waits_within_the_bound() {
    let process = Process::new();
    let app = process.app("app");
    assert!(process.is_enabled(&app));
    process.store.asked();
    process.pass(BOUND * 3 / 4);
    process.store.shut(true);
    let mut asking = pin!(process.cache.find_app(app.client_id()));
    assert!(poll(asking.as_mut()).is_pending());
    for _ in 0..10 {
        assert!(process.is_enabled(&app));
    }
    assert_eq!(process.store.asked(), (0, 1));
    // Then they wait, and still one alone asks.
    process.pass(BOUND / 2);
    let mut waiting = pin!(process.cache.find_app(app.client_id()));
    let mut also = pin!(process.cache.find_app(app.client_id()));
    assert!(poll(waiting.as_mut()).is_pending());
    assert!(poll(also.as_mut()).is_pending());
    assert_eq!(process.store.asked(), (0, 0));
    process.store.shut(false);
    assert!(matches!(poll(asking.as_mut()), Poll::Ready(Ok(Some(_)))));
    assert!(matches!(poll(waiting.as_mut()), Poll::Ready(Ok(Some(_)))));
    assert!(matches!(poll(also.as_mut()), Poll::Ready(Ok(Some(_)))));
}

/// R21: if the caller is dropped, the next waiter calls the store.
#[test]
fn the_next_waiter_makes_the_call_of_a_dropped_caller() {
    let process = Process::new();
    let app = process.app("app");
    process.store.shut(true);
    // Before the number is known, and then before the app is.
    for expected in [(0, 2), (2, 0)] {
        let mut first = Box::pin(process.cache.find_app(app.client_id()));
        let mut second = Box::pin(process.cache.find_app(app.client_id()));
        assert!(poll(first.as_mut()).is_pending());
        assert!(poll(second.as_mut()).is_pending());
        drop(first);
        assert!(poll(second.as_mut()).is_pending());
        assert_eq!(process.store.asked(), expected);
        drop(second);
        assert_eq!(process.cache.flights.count(), 0);
        process.store.shut(false);
        block_on(process.cache.poll(START)).unwrap();
        process.store.asked();
        process.store.shut(true);
    }
    process.store.shut(false);
    assert!(process.is_enabled(&app));
}

#[test]
fn many_misses_of_one_app_call_the_store_once() {
    const THREADS: usize = 16;
    let process = Process::new();
    let app = process.app("app");
    for round in 0..500 {
        process.store.shut(true);
        process.cache.known.forget(app.client_id());
        process.pass(Duration::from_secs(2));
        process.store.asked();
        let barrier = Barrier::new(THREADS + 1);
        std::thread::scope(|scope| {
            for _ in 0..THREADS {
                scope.spawn(|| {
                    barrier.wait();
                    assert!(process.is_enabled(&app));
                });
            }
            barrier.wait();
            // Answered when all wait for it, and when some are still on their way.
            std::thread::sleep(Duration::from_micros(round % 100));
            process.store.shut(false);
        });
        // Late callers find the cached entry.
        assert_eq!(process.store.asked(), (1, 1));
        assert_eq!(process.cache.flights.count(), 0);
    }
}

/// Every call that begins after a change was answered sees it, despite calls in flight.
#[test]
fn readers_that_race_changes_never_go_back() {
    let process = Process::new();
    let app = process.app("app");
    let (changed, done) = (AtomicUsize::new(1), AtomicBool::new(false));
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                while !done.load(Ordering::SeqCst) {
                    let answered = changed.load(Ordering::SeqCst);
                    let found = process.find(&app).unwrap().version();
                    assert!(usize::try_from(found).unwrap() >= answered, "{found} < {answered}");
                }
            });
        }
        for _ in 0..2_000 {
            let turned = turn(&process.cache, app.client_id());
            changed.store(usize::try_from(turned.version()).unwrap(), Ordering::SeqCst);
            process.pass(Duration::from_millis(300));
        }
        done.store(true, Ordering::SeqCst);
    });
}

/// An event between two look-ups.
#[derive(Clone, Debug)]
enum Event {
    Pass(u64),
    TurnElsewhere(u8),
    TurnHere(u8),
    DeleteElsewhere(u8),
    Insert(u8),
    Find(u8),
}

fn event() -> impl Strategy<Value = Event> {
    let app = 0..4_u8;
    prop_oneof![
        3 => (0..700_u64).prop_map(Event::Pass),
        2 => app.clone().prop_map(Event::TurnElsewhere),
        1 => app.clone().prop_map(Event::TurnHere),
        1 => app.clone().prop_map(Event::DeleteElsewhere),
        1 => app.clone().prop_map(Event::Insert),
        6 => app.prop_map(Event::Find),
    ]
}

proptest! {
    /// After any events in any order, an app is found as it was within the bound, and never older than the
    /// last change of this process.
    #[test]
    fn an_app_is_found_as_it_was_within_the_bound(
        events in prop::collection::vec(event(), 1..120),
        capacity in 8..12_usize,
    ) {
        let process = Process::with(|cache| cache.capacity(capacity));
        let settings =
            AppDraft::confidential("App").flow(Flow::ClientCredentials).build().unwrap();
        // The states of each app with their ends; the last one is the present.
        let mut history: BTreeMap<u8, Vec<(i64, Option<u64>)>> = BTreeMap::new();
        // The state that a change of this process made: none before it may be found.
        let mut floors: BTreeMap<u8, usize> = BTreeMap::new();
        let mut now = 0_i64;
        for app in 0..4 {
            history.insert(app, vec![(i64::MAX, None)]);
        }
        for event in events {
            let name = |app: u8| id(&format!("app {app}"));
            let inner = &process.store.inner;
            let (mut changed, mut here) = (None, false);
            match event {
                Event::Pass(millis) => {
                    process.pass(Duration::from_millis(millis));
                    now += i64::try_from(millis).unwrap();
                }
                Event::TurnElsewhere(app) | Event::TurnHere(app) => {
                    if let Some(found) = block_on(inner.find_app(&name(app))).unwrap() {
                        let turned = found.edited(START, |edit| *edit.enabled = !*edit.enabled);
                        if matches!(event, Event::TurnHere(_)) {
                            block_on(process.cache.update_app(turned, found.version())).unwrap();
                            here = true;
                        } else {
                            block_on(inner.update_app(turned, found.version())).unwrap();
                        }
                        changed = Some((app, Some(found.version() + 1)));
                    }
                }
                Event::DeleteElsewhere(app) => {
                    if let Some(found) = block_on(inner.find_app(&name(app))).unwrap() {
                        block_on(inner.delete_app(&name(app), found.version())).unwrap();
                    }
                    changed = Some((app, None));
                }
                Event::Insert(app) => {
                    let new =
                        CustomApp::new(name(app), settings.clone(), Credentials::default(), 1, START);
                    if block_on(process.cache.insert_app(new)).unwrap() == InsertApp::Inserted {
                        here = true;
                        changed = Some((app, Some(1)));
                    }
                }
                Event::Find(app) => {
                    let found = block_on(process.cache.find_app(&name(app))).unwrap();
                    let found = found.map(|app| app.version());
                    let floor = floors.get(&app).copied().unwrap_or(0);
                    let states = history[&app].iter().skip(floor);
                    let mut then = states.filter(|(until, _)| *until >= now - 1_000);
                    prop_assert!(
                        then.any(|(_, version)| *version == found),
                        "{found:?} at {now}, of {:?}", history[&app]
                    );
                }
            }
            if let Some((app, version)) = changed {
                let states = history.get_mut(&app).unwrap();
                states.last_mut().unwrap().0 = now;
                if here {
                    floors.insert(app, states.len());
                }
                states.push((i64::MAX, version));
            }
        }
    }
}
