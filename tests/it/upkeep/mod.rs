//! The background work of servers, in virtual time.

mod simulation;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use grantor::audit::{Action, Actor, AuditEvent, AuditQueue, AuditSink as _, AuditWriter};
use grantor::clock::{Clock as _, UnixTime};
use grantor::ids::Subject;
use grantor::jwt::{Algorithm, KeyRing, SigningKey, VerifyingKeys};
use grantor::observe::Outcome;
use grantor::random::OsRandom;
use grantor::resource_server::{BearerVerifier, RevocationList};
use grantor::server_secret::{KeyState, Rotation, ServerSecret};
use grantor::store::{
    FeedCursor, GrantStore as _, MemoryStore, Pruning, Revocation, RevocationReason,
    RevocationTarget, Store,
};
use grantor::{AuthorizationServer, Upkeep, UpkeepHandle, UpkeepHealth, UpkeepJob};

use crate::faulty_store::{FaultyStore, Method};
use crate::signing_keys::{published, signed_by};
use crate::support::{ROOT, START, Server, World, ask, body_of, machine_app};
use simulation::{Keys, Log, Simulation};

const SECOND: Duration = Duration::from_secs(1);
const MINUTE: Duration = Duration::from_mins(1);
const HOUR: Duration = Duration::from_hours(1);

/// The rotation of every test: keys are published 15 minutes ahead, for tokens of 30 minutes.
fn rotation() -> Rotation {
    Rotation::default().publish_ahead(15 * MINUTE).longest_token(30 * MINUTE)
}

const EVERY: Duration = Duration::from_hours(2);

fn start() -> UnixTime {
    UnixTime::from_seconds(START)
}

fn queue() -> AuditQueue {
    AuditQueue::new(&OsRandom::new()).unwrap()
}

/// A server process whose connection to the store of `world` may fail.
struct Process {
    server: Arc<Server<FaultyStore>>,
    store: Arc<FaultyStore>,
    queue: AuditQueue,
    log: Arc<Log>,
    revocations: Arc<RevocationList>,
    verifier: BearerVerifier,
}

impl Process {
    fn new(world: &World, ring: KeyRing) -> Self {
        let store = Arc::new(FaultyStore::new(Arc::clone(&world.store)));
        let queue = queue();
        let server = world.beside(ring, Arc::clone(&store), Arc::clone(&world.users));
        let server = Arc::new(server.audit(queue.clone()).build());
        let revocations = Arc::new(RevocationList::new());
        let verifier = verifier(&server, world).with_revocations(Arc::clone(&revocations));
        Self { server, store, queue, log: Arc::default(), revocations, verifier }
    }

    /// Everything that an upkeep does, with the keys at `keys`.
    fn upkeep(&self, keys: &Keys) -> Upkeep<Arc<FaultyStore>, Arc<grantor::users::MemoryUsers>> {
        Upkeep::of(&self.server)
            .rotate_keys(keys.path(), EVERY, rotation())
            .revocations(Arc::clone(&self.revocations))
            .audit(&self.queue, Arc::clone(&self.log))
            .prune_events(Arc::clone(&self.log), 24 * HOUR)
    }

    fn accepts(&self, token: &str) -> bool {
        self.verifier.check(Some(&*format!("Bearer {token}"))).is_ok()
    }
}

fn verifier<S: Store>(server: &Server<S>, world: &World) -> BearerVerifier {
    BearerVerifier::following(server.issuer().clone(), server.key_ring())
        .with_clock(Arc::clone(&world.clock))
}

fn event(at: UnixTime) -> AuditEvent {
    let action = Action::IssueToken { grant_type: None };
    AuditEvent::new(at, Actor::Server, action, Outcome::Success)
}

fn failures(health: &UpkeepHealth, job: UpkeepJob) -> (u32, String) {
    let health = health.of(job).unwrap();
    let error = health.last_error.as_ref().map_or(String::new(), |(_, text)| text.to_string());
    (health.failures, error)
}

/// Two processes over one store and one key file, through a day with ten rotations.
///
/// Z32: a token verifies at both from its issue to its expiry, and each rotation is done once. Each key is
/// in the JWK Set of both before it signs, long enough for an API that fetches the set every ten minutes.
#[test]
fn a_day_with_rotations_refuses_no_token() {
    let world = World::unlimited();
    let app = world.register(machine_app().access_token_lifetime(30 * 60));
    let keys = Keys::new("day", start());
    let processes = [(); 2].map(|()| Process::new(&world, keys.read().key_ring().unwrap()));
    let mut simulation = Simulation::new(&world.clock);
    let mut handles = Vec::new();
    let mut verifiers = Vec::new();
    for process in &processes {
        let upkeep = Upkeep::of(&process.server)
            .rotate_keys(keys.path(), EVERY, rotation())
            .audit(&process.queue, Arc::clone(&process.log))
            .prune_events(Arc::clone(&process.log), 48 * HOUR);
        handles.push(upkeep.handle());
        simulation.spawn(upkeep.run(simulation.sleep()));
        verifiers.push(verifier(&process.server, &world));
    }
    // An API elsewhere, which knows only the JWK Set.
    let jwk_set = |process: &Process| VerifyingKeys::from_jwk_set(&process.server.jwk_set());
    let issuer = processes[0].server.issuer().clone();
    let elsewhere = BearerVerifier::new(issuer, jwk_set(&processes[0]).unwrap())
        .with_clock(Arc::clone(&world.clock));
    verifiers.push(elsewhere);
    let body = body_of(&app, &[("grant_type", "client_credentials")]);
    let mut tokens: Vec<(UnixTime, String)> = Vec::new();
    let mut seen = [BTreeMap::new(), BTreeMap::new()];
    let mut signed = BTreeSet::new();
    let (rounds, step) = (24 * 6, 10 * MINUTE);
    for round in 0..rounds {
        let now = world.clock.now();
        for (process, seen) in processes.iter().zip(&mut seen) {
            for kid in published(&process.server) {
                seen.entry(kid).or_insert(now);
            }
            let token = ask(&process.server, &body).text("access_token").to_owned();
            let kid = signed_by(&token);
            let ahead = now.millis_since(seen[&kid]);
            assert!(round == 0 || signed.contains(&kid) || ahead >= 300_000, "{kid}: {ahead} ms");
            signed.insert(kid);
            tokens.push((now, token));
        }
        verifiers[2].replace_keys(jwk_set(&processes[round % 2]).unwrap());
        tokens.retain(|(issued, _)| now < issued.plus(30 * MINUTE));
        for (_, token) in &tokens {
            let header = format!("Bearer {token}");
            assert!(verifiers.iter().all(|it| it.check(Some(&*header)).is_ok()), "at {now}");
        }
        simulation.pass(step);
    }
    // The first at two hours, and each next one two hours after the key before began to sign.
    assert_eq!((signed.len(), keys.revision()), (11, 11), "one write for each rotation");
    let states = keys.read().key_states(world.clock.now());
    assert!(states.len() <= 2, "retired keys are removed: {states:?}");
    for handle in handles {
        let health = handle.health();
        assert!(health.is_running && health.lag().is_zero(), "{health}");
        assert!(health.jobs.iter().all(|it| it.last_error.is_none()), "{health}");
        assert_eq!(health.jobs.len(), 5, "{health}");
    }
    let written: usize = processes.iter().map(|process| process.log.count("issue_token")).sum();
    assert_eq!(written, 2 * rounds);
}

/// A host may not ask for a rotation that other processes read too late.
#[test]
fn a_new_key_is_published_for_a_minute_at_least() {
    for (asked, signs_after) in [(Duration::ZERO, MINUTE), (2 * MINUTE, 2 * MINUTE)] {
        let world = World::new();
        let keys = Keys::new("ahead", start());
        let process = Process::new(&world, keys.read().key_ring().unwrap());
        let mut simulation = Simulation::new(&world.clock);
        let rotation = rotation().publish_ahead(asked);
        let upkeep = Upkeep::of(&process.server).rotate_keys(keys.path(), EVERY, rotation);
        world.clock.advance(EVERY);
        simulation.spawn(upkeep.run(simulation.sleep()));
        let newest = &keys.read().key_states(world.clock.now())[0];
        assert_eq!(newest.state, KeyState::Published);
        assert_eq!(newest.signs_from, start().plus(EVERY).plus(signs_after));
    }
}

/// Z32: the work of an idle server costs few wake-ups, and none for what the host did not ask for.
#[test]
fn an_idle_server_wakes_at_most_three_times_a_second() {
    let world = World::new();
    let keys = Keys::new("idle", start());
    let process = Process::new(&world, keys.read().key_ring().unwrap());
    let mut simulation = Simulation::new(&world.clock);
    let upkeep = process.upkeep(&keys).refresh_apps(SECOND);
    let everything = simulation.spawn(upkeep.run(simulation.sleep()));
    let plain = Upkeep::of(&world.server);
    let handle = plain.handle();
    assert!(!handle.health().is_running);
    let plain = simulation.spawn(plain.run(simulation.sleep()));
    let jobs: Vec<_> = handle.health().jobs.iter().map(|it| it.job).collect();
    assert_eq!(jobs, [UpkeepJob::Prune, UpkeepJob::Repeats]);
    simulation.pass(HOUR);
    // Two polls a second, and the key file every ten.
    let wake_ups = simulation.take_wake_ups(everything);
    assert!((3_600..3 * 3_600).contains(&wake_ups), "{wake_ups} in an hour");
    let wake_ups = simulation.take_wake_ups(plain);
    assert!((60..150).contains(&wake_ups), "{wake_ups} in an hour");
    assert_eq!(keys.revision(), 1);
}

/// Z32: while the database is away, the jobs back off, the rest goes on, and health names the cause. When it
/// is back, everything is made up for.
#[test]
fn a_database_that_is_away_for_an_hour_is_survived() {
    let world = World::unlimited();
    let app = world.register(machine_app().access_token_lifetime(15 * 60));
    let keys = Keys::new("away", start());
    let process = Process::new(&world, keys.read().key_ring().unwrap());
    let mut simulation = Simulation::new(&world.clock);
    let reports = Arc::new(Mutex::new(BTreeMap::<&str, usize>::new()));
    let told = Arc::clone(&reports);
    let upkeep = process.upkeep(&keys).on_failure(move |job, error| {
        *told.lock().unwrap().entry(job.as_str()).or_default() += 1;
        panic!("the host's log panics, too, at {error}");
    });
    let handle = upkeep.handle();
    simulation.spawn(upkeep.run(simulation.sleep()));
    simulation.pass(HOUR + 50 * MINUTE);
    let token = ask(&process.server, &body_of(&app, &[("grant_type", "client_credentials")]));
    assert!(process.accepts(token.text("access_token")));

    process.store.set_away(true);
    process.log.is_away.store(true, Ordering::SeqCst);
    process.store.take_calls();
    for _ in 0..60 {
        process.queue.record(&event(world.clock.now()));
        simulation.pass(MINUTE);
    }
    let calls = process.store.take_calls();
    let count = |method: Method| calls.iter().filter(|call| **call == method).count();
    assert!((200..500).contains(&count(Method::RevocationsSince)), "about one in ten seconds");
    assert!((10..25).contains(&count(Method::Prune)), "{}", count(Method::Prune));
    let health = handle.health();
    for job in [UpkeepJob::Revocations, UpkeepJob::Prune, UpkeepJob::Audit] {
        let (failures, error) = failures(&health, job);
        assert!(failures > 9, "{health}");
        assert!(error.contains("planted") || error.contains("the log is away"), "{health}");
        assert!(health.of(job).unwrap().lag > 50 * MINUTE, "{health}");
        assert!(reports.lock().unwrap()[job.as_str()] > 9);
    }
    assert!(health.lag() > 50 * MINUTE && health.is_running);
    assert_eq!(failures(&health, UpkeepJob::Keys).0, 0, "{health}");
    assert_eq!(keys.revision(), 2, "the keys rotated meanwhile");

    process.store.set_away(false);
    process.log.is_away.store(false, Ordering::SeqCst);
    let revocation = Revocation {
        target: RevocationTarget::Subject(Subject::new("ann").unwrap()),
        at: world.clock.now(),
        why: RevocationReason::Administrator,
        until: world.clock.now().plus(MINUTE),
    };
    pollster::block_on(world.store.revoke(&revocation)).unwrap();
    simulation.pass(15 * SECOND);
    let health = handle.health();
    assert_eq!(failures(&health, UpkeepJob::Revocations).0, 0, "{health}");
    assert_eq!(failures(&health, UpkeepJob::Audit).0, 0, "{health}");
    assert_eq!(process.log.count("issue_token"), 61, "every event, once");
    let token = ask(&process.server, &body_of(&app, &[("grant_type", "client_credentials")]));
    assert!(process.accepts(token.text("access_token")));
    // The revocation ended, and pruning removes it.
    simulation.pass(10 * MINUTE);
    assert!(handle.health().lag().is_zero(), "{}", handle.health());
    assert_eq!(rows(&world), 0);
}

/// Puts ended revocations into the store, one row for each.
fn ended_rows(world: &World, count: usize) {
    for number in 0..count {
        let target = RevocationTarget::Subject(Subject::new(number.to_string()).unwrap());
        let why = RevocationReason::Administrator;
        let revocation = Revocation { target, at: start(), why, until: start().plus(SECOND) };
        pollster::block_on(world.store.revoke(&revocation)).unwrap();
    }
}

fn rows(world: &World) -> usize {
    let feed = world.store.revocations_since(FeedCursor::default(), 1_000, start());
    pollster::block_on(feed).unwrap().entries.len()
}

/// Z32: a stop finishes the call under way and no more, writes every event, and leaves whole keys.
#[test]
fn a_stop_finishes_what_is_under_way_and_writes_the_log_last() {
    let world = World::new();
    let app = world.register(machine_app());
    ended_rows(&world, 30);
    let keys = Keys::new("stop", start());
    let process = Process::new(&world, keys.read().key_ring().unwrap());
    let mut simulation = Simulation::new(&world.clock);
    let upkeep = process.upkeep(&keys).pruning(Pruning::new().batch(3));
    let handle = upkeep.handle();
    // The stop comes during the second batch, just when a rotation is due.
    let stop = handle.clone();
    let store = Arc::clone(&process.store);
    process.store.meanwhile(Method::Prune, move || {
        store.meanwhile(Method::Prune, move || stop.stop());
    });
    let task = simulation.spawn(upkeep.run(simulation.sleep()));
    world.clock.advance(EVERY);
    for _ in 0..2 {
        ask(&process.server, &body_of(&app, &[("grant_type", "client_credentials")]));
    }
    // Equal refusals are counted. The end of the upkeep records the sums.
    for _ in 0..50 {
        ask(&process.server, "grant_type=client_credentials&client_id=unknown");
    }
    simulation.pass(10 * MINUTE);
    assert!(simulation.has_ended(task));
    assert!(!handle.health().is_running);
    assert_eq!(rows(&world), 24, "two batches of three");
    assert_eq!((process.queue.writer(), process.queue.pending()), (AuditWriter::Closed, 0));
    let events = process.log.events();
    let counts = events.iter().map(|event| event["count"].as_u64().unwrap_or(1));
    assert_eq!(counts.sum::<u64>(), 52, "{events:?}");
    assert!(events.len() < 20, "{events:?}");
    assert_eq!(keys.revision(), 2);
    assert_eq!(keys.read().key_states(world.clock.now()).len(), 2, "no half rotation");
    let folder = std::fs::read_dir(keys.path().parent().unwrap()).unwrap();
    assert_eq!(folder.count(), 2, "the file and its lock");
}

/// Z32: a job that hangs for ever stops no other, and no stop.
#[test]
fn a_job_that_hangs_stops_nothing() {
    let world = World::new();
    let keys = Keys::new("hang", start());
    let process = Process::new(&world, keys.read().key_ring().unwrap());
    process.store.hold(Method::Prune, 1_000_000);
    let mut simulation = Simulation::new(&world.clock);
    let upkeep = process.upkeep(&keys).patience(3 * SECOND);
    let upkeep = upkeep.pruning(Pruning::new().interval(SECOND));
    let handle = upkeep.handle();
    let task = simulation.spawn(upkeep.run(simulation.sleep()));
    simulation.pass(3 * HOUR);
    let health = handle.health();
    let (count, error) = failures(&health, UpkeepJob::Prune);
    assert!(count > 10 && error == "no answer within 30 s", "{health}");
    assert!(health.of(UpkeepJob::Prune).unwrap().lag > 2 * HOUR);
    for job in [UpkeepJob::Keys, UpkeepJob::Revocations, UpkeepJob::PruneEvents] {
        assert!(health.of(job).unwrap().lag.is_zero(), "{health}");
    }
    assert_eq!(keys.revision(), 2, "the rotation took place");
    // The log hangs, too.
    process.log.hangs.store(true, Ordering::SeqCst);
    process.queue.record(&event(world.clock.now()));
    while failures(&handle.health(), UpkeepJob::Prune).0 == count {
        simulation.pass(SECOND);
    }
    // The next call begins after 10 s, and hangs for 30 s.
    simulation.pass(20 * SECOND);
    assert!(handle.health().of(UpkeepJob::Audit).unwrap().lag > 15 * SECOND);
    handle.stop();
    simulation.pass(5 * SECOND);
    assert!(!simulation.has_ended(task), "both are waited for");
    simulation.pass(2 * SECOND);
    assert!(simulation.has_ended(task));
    assert_eq!(process.queue.pending(), 1, "another writer may write it");
    process.log.hangs.store(false, Ordering::SeqCst);
    pollster::block_on(process.queue.run(Arc::clone(&process.log), simulation.sleep(), |_| {}));
    assert_eq!(process.log.count("issue_token"), 1);
}

/// Z32: if the key file is damaged, gone or readable by others, the keys in use stay in use, and health
/// says why. A repaired file is read, and a rotation that was due meanwhile is made up for.
#[test]
fn a_broken_key_file_changes_no_key() {
    type Break = fn(&Keys);
    let breaks: [(&str, Break); 4] = [
        ("damaged at line 1, column", |keys| std::fs::write(keys.path(), "{\"version\"").unwrap()),
        ("it has no `version`", |keys| std::fs::write(keys.path(), "{\"planted\": 1}").unwrap()),
        ("has mode 0640", |keys| set_mode(keys, 0o640)),
        ("No such file", |keys| std::fs::remove_file(keys.path()).unwrap()),
    ];
    for (text, break_it) in breaks {
        let world = World::unlimited();
        let app = world.register(machine_app());
        let keys = Keys::new("broken", start());
        let process = Process::new(&world, keys.read().key_ring().unwrap());
        let mut simulation = Simulation::new(&world.clock);
        let upkeep = process.upkeep(&keys);
        let handle = upkeep.handle();
        simulation.spawn(upkeep.run(simulation.sleep()));
        let body = body_of(&app, &[("grant_type", "client_credentials")]);
        let token = || ask(&process.server, &body).text("access_token").to_owned();
        let first = signed_by(&token());
        let good = std::fs::read(keys.path()).unwrap();
        break_it(&keys);
        simulation.pass(EVERY + MINUTE);
        let (count, error) = failures(&handle.health(), UpkeepJob::Keys);
        assert!(count > 9 && error.contains(text) && error.contains("keys.json"), "{error}");
        assert!(!error.contains("planted"), "{error}");
        assert!(process.accepts(&token()), "{text}");
        assert_eq!(signed_by(&token()), first, "{text}");
        std::fs::write(keys.path(), &good).unwrap();
        set_mode(&keys, 0o600);
        simulation.pass(MINUTE / 2);
        assert_eq!((failures(&handle.health(), UpkeepJob::Keys).0, keys.revision()), (0, 2));
        simulation.pass(15 * MINUTE);
        assert_ne!(signed_by(&token()), first, "the new key signs");
        assert!(process.accepts(&token()));
    }
}

fn set_mode(keys: &Keys, mode: u32) {
    use std::os::unix::fs::PermissionsExt as _;
    let permissions = std::fs::Permissions::from_mode(mode);
    std::fs::set_permissions(keys.path(), permissions).unwrap();
}

/// Z32: a leaked key that an operator removes is refused by every process within seconds.
#[test]
fn a_leaked_key_is_refused_by_every_process_within_seconds() {
    let world = World::unlimited();
    let app = world.register(machine_app());
    let keys = Keys::new("leaked", start());
    let process = Process::new(&world, keys.read().key_ring().unwrap());
    let mut simulation = Simulation::new(&world.clock);
    simulation.spawn(process.upkeep(&keys).run(simulation.sleep()));
    let body = body_of(&app, &[("grant_type", "client_credentials")]);
    let forged = ask(&process.server, &body).text("access_token").to_owned();
    assert!(process.accepts(&forged) && process.accepts(&forged));
    let mut file = keys.read();
    let key_id = file.key_states(start())[0].key_id.clone();
    file.remove_leaked_key(&key_id, world.clock.now()).unwrap();
    file.write(keys.path()).unwrap();
    simulation.pass(13 * SECOND);
    assert!(!process.accepts(&forged));
    let honest = ask(&process.server, &body).text("access_token").to_owned();
    assert!(process.accepts(&honest));
}

/// Z32: dropping the future loses nothing; the next one goes on.
#[test]
fn a_dropped_upkeep_loses_nothing() {
    let world = World::new();
    let keys = Keys::new("dropped", start());
    let process = Process::new(&world, keys.read().key_ring().unwrap());
    let mut simulation = Simulation::new(&world.clock);
    let upkeep = process.upkeep(&keys);
    let handle = upkeep.handle();
    let first = simulation.spawn(upkeep.run(simulation.sleep()));
    process.log.hangs.store(true, Ordering::SeqCst);
    for _ in 0..300 {
        process.queue.record(&event(world.clock.now()));
    }
    simulation.pass(SECOND);
    assert!(handle.health().is_running);
    simulation.drop_task(first);
    assert!(!handle.health().is_running);
    assert!(handle.health().to_string().starts_with("the upkeep does not run\n"));
    process.log.hangs.store(false, Ordering::SeqCst);
    let upkeep = process.upkeep(&keys);
    let handle = upkeep.handle();
    let second = simulation.spawn(upkeep.run(simulation.sleep()));
    simulation.pass(EVERY + MINUTE);
    handle.stop();
    simulation.settle();
    assert!(simulation.has_ended(second));
    assert_eq!(process.log.count("issue_token"), 300);
    assert_eq!(keys.revision(), 2);
}

/// Z32: processes that are started together do not prune together.
#[test]
fn processes_that_start_together_prune_apart() {
    let world = World::new();
    let mut simulation = Simulation::new(&world.clock);
    let stores: Vec<_> = (0..20)
        .map(|_| {
            let process =
                Process::new(&world, SigningKey::generate(Algorithm::EdDSA).unwrap().into());
            simulation.spawn(Upkeep::of(&process.server).run(simulation.sleep()));
            process.store
        })
        .collect();
    let mut began = BTreeMap::<u64, usize>::new();
    for second in 0..300 {
        simulation.pass(SECOND);
        let prunes = |store: &Arc<FaultyStore>| {
            store.take_calls().iter().filter(|call| **call == Method::Prune).count()
        };
        let prunes: usize = stores.iter().map(prunes).sum();
        *began.entry(second / 10).or_default() += prunes;
    }
    assert!(began.values().sum::<usize>() >= 20, "each prunes within its interval: {began:?}");
    assert!(began.values().all(|prunes| *prunes <= 8), "{began:?}");
}

/// Z32: a host that waits for the start serves no request before the keys and revocations are known, even
/// if the store fails at first.
#[test]
fn the_start_waits_until_each_job_was_tried() {
    let world = World::new();
    let keys = Keys::new("start", start());
    for fails in [false, true] {
        let process = Process::new(&world, keys.read().key_ring().unwrap());
        process.store.set_away(fails);
        let mut simulation = Simulation::new(&world.clock);
        let upkeep = process.upkeep(&keys);
        let handle = upkeep.handle();
        let waiting: UpkeepHandle = handle.clone();
        let waiting = simulation.spawn(async move { waiting.started().await });
        assert!(!simulation.has_ended(waiting));
        simulation.spawn(upkeep.run(simulation.sleep()));
        simulation.settle();
        assert!(simulation.has_ended(waiting), "before any time has passed");
        let health = handle.health();
        assert_eq!(failures(&health, UpkeepJob::Revocations).0, u32::from(fails), "{health}");
    }
}

/// A rotation that cannot be done is reported, and the file is read all the same. The library makes no RSA
/// keys.
#[test]
fn an_rsa_key_is_read_and_not_rotated() {
    let world = World::unlimited();
    let app = world.register(machine_app());
    let keys = Keys::new("rsa", start());
    let process = Process::new(&world, keys.read().key_ring().unwrap());
    let mut simulation = Simulation::new(&world.clock);
    let upkeep = process.upkeep(&keys);
    let handle = upkeep.handle();
    simulation.spawn(upkeep.run(simulation.sleep()));
    let pem = include_str!("../../fixtures/test_only_rsa_2048_private.pem");
    let mut file = keys.read();
    let at_once = rotation().publish_ahead(Duration::ZERO);
    file.rotate_to_pem(Algorithm::RS256, pem, start(), &at_once).unwrap();
    file.write(keys.path()).unwrap();
    simulation.pass(EVERY + MINUTE);
    let (count, error) = failures(&handle.health(), UpkeepJob::Keys);
    assert!(count > 0 && error.starts_with("RSA keys come from elsewhere"), "{error}");
    let token = ask(&process.server, &body_of(&app, &[("grant_type", "client_credentials")]));
    let states = keys.read().key_states(world.clock.now());
    assert_eq!(states[0].state, KeyState::Active);
    assert_eq!(signed_by(token.text("access_token")), states[0].key_id.as_str());
    assert!(process.accepts(token.text("access_token")));
}

/// Z37: one upkeep removes the rows and records the repeats of all issuers, also of those that come later. An
/// idle process with hundreds of them wakes hardly more often than with one.
#[test]
fn one_upkeep_works_for_all_issuers() {
    let world = World::unlimited();
    let issuer = |n: usize| {
        let store = Arc::new(FaultyStore::new(Arc::new(MemoryStore::new())));
        let issuer = format!("https://example.com/{n}").parse().unwrap();
        let (ring, users) = (world.server.key_ring().clone(), Arc::clone(&world.users));
        let secret = ServerSecret::new(ROOT).unwrap();
        let server = AuthorizationServer::builder(issuer, secret, ring, store, users);
        let server = server.clock(Arc::clone(&world.clock)).audit(Arc::clone(&world.audit));
        Arc::new(server.build())
    };
    let counted = || world.events().iter().filter(|event| event.count > 1).count();
    let wake_ups_of = |issuers: usize| {
        let servers: Arc<Mutex<Vec<_>>> = Arc::new(Mutex::new(Vec::new()));
        servers.lock().unwrap().extend((0..issuers).map(issuer));
        let all = || servers.lock().unwrap().clone();
        let mut simulation = Simulation::new(&world.clock);
        let others = Arc::clone(&servers);
        let upkeep = Upkeep::of(&all()[0]).with_issuers(move || others.lock().unwrap().clone());
        let task = simulation.spawn(upkeep.run(simulation.sleep()));
        simulation.pass(10 * MINUTE);
        servers.lock().unwrap().push(issuer(issuers));
        // A store that fails does not hold up the others.
        all()[0].store().set_away(true);
        for server in all() {
            server.store().take_calls();
        }
        let before = counted();
        simulation.take_wake_ups(task);
        for server in all() {
            for _ in 0..7 {
                ask(&server, "grant_type=client_credentials");
            }
        }
        simulation.pass(10 * MINUTE);
        assert_eq!(counted() - before, issuers + 1);
        for server in &all()[1..] {
            let calls = server.store().take_calls();
            let prunes = calls.iter().filter(|call| **call == Method::Prune).count();
            assert!((1..=10).contains(&prunes), "{prunes}");
        }
        simulation.take_wake_ups(task)
    };
    let (one, many) = (wake_ups_of(1), wake_ups_of(200));
    // A look at the counts each minute; a prune of each store every five minutes, all in one go.
    assert!(one < 200, "{one}");
    assert!(many < one + 5 * 200, "{one} and {many}");
}
