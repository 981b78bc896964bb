//! Bounds of the server and of an API in `docs/limits.md`: times, queues and memory.

use std::hint::black_box;
use std::time::Duration;

use grantor::audit::{
    Action, Actor, AuditEvent, AuditQuery, AuditQueue, AuditSink as _, MemoryAudit,
};
use grantor::clock::UnixTime;
use grantor::endpoint::{Caller, Decision};
use grantor::ids::{ClientId, GrantId, Subject};
use grantor::observe::Outcome;
use grantor::random::OsRandom;
use grantor::resource_server::RevocationList;
use grantor::store::{
    AppQuery, FeedCursor, GrantStore as _, Page, Revocation, RevocationFeed, RevocationReason,
    RevocationTarget,
};
use pollster::block_on;
use serde_json::json;

use crate::assertions::backend_app;
use crate::support::{START, World, ann, code_app, code_query, machine_app, new_verifier};

#[test]
fn a_consent_page_is_valid_for_an_hour_at_most() {
    let hour = Duration::from_hours(1);
    let world = World::with(|builder| builder.ticket_lifetime(2 * hour));
    let app = world.register(code_app());
    let query = code_query(&app, &new_verifier(), &[]);
    let (early, late) = (world.prompt(&query, &ann()), world.prompt(&query, &ann()));
    let decide = |ticket: &str| {
        let user = ann();
        let denied = world.server.decide(ticket, &user, Decision::Deny, Caller::default());
        block_on(denied).unwrap_err().location().is_some()
    };
    world.clock.advance(Duration::from_millis(3_599_999));
    assert!(decide(&early.ticket), "the app learns of the denial");
    world.clock.advance(Duration::from_millis(1));
    assert!(!decide(&late.ticket), "the page has expired");
}

#[test]
fn a_page_of_a_listing_holds_200() {
    let world = World::new();
    for number in 0..201 {
        world.import(&format!("app-{number:03}"), machine_app());
    }
    let list = |page| block_on(world.server.admin("root").list(&AppQuery::all(), page)).unwrap();
    let first = list(Page::first(201));
    assert_eq!(first.items.len(), 200);
    assert_eq!(list(Page::first(201).after(first.next.unwrap())).items.len(), 1);
    assert_eq!(list(Page::first(199)).items.len(), 199);
}

#[test]
fn a_log_in_memory_keeps_the_newest_10_000() {
    let log = MemoryAudit::default();
    for second in 0..=10_000 {
        let at = UnixTime::from_seconds(second);
        log.record(&AuditEvent::new(at, Actor::Server, Action::DetectRewind, Outcome::Success));
    }
    let found = log.find(&AuditQuery::all().limit(usize::MAX));
    assert_eq!((found.len(), found.last().unwrap().at.as_seconds()), (10_000, 1));
}

#[test]
fn a_revocation_is_kept_for_as_long_as_documented() {
    let world = World::new();
    let app = world.register(backend_app());
    let now = world.clock_now();
    let end_of = |target: &dyn Fn(&RevocationTarget) -> bool| {
        let feed = world.store.revocations_since(FeedCursor::default(), 10, now);
        let entries = block_on(feed).unwrap().entries;
        entries.iter().find(|entry| target(&entry.target)).unwrap().until.as_seconds()
    };
    let answer = world.act(&app, &json!({}));
    assert_eq!(world.revoke(&app, answer.text("access_token")).status, 200);
    let expires = answer.claims()["exp"].as_i64().unwrap();
    assert_eq!(end_of(&|target| matches!(target, RevocationTarget::Grant(_))), expires + 60);
    let subject = RevocationTarget::Subject(Subject::new("ann").unwrap());
    block_on(world.server.admin("root").revoke(subject)).unwrap();
    let end = end_of(&|target| matches!(target, RevocationTarget::Subject(_)));
    // The store dates it, at most the tolerance of clocks after this clock.
    assert!((0..=5).contains(&(end - now.as_seconds() - 730 * 86_400)), "{end}");
}

/// A used assertion is remembered for a minute and the largest skew after its `exp`, and its row an hour
/// longer.
#[test]
fn a_used_assertion_is_pruned_after_its_documented_time() {
    let world = World::new();
    let app = world.register(backend_app());
    let exp = START + 200;
    assert_eq!(world.act(&app, &json!({ "iat": START, "exp": exp })).status, 200);
    let prune = || block_on(world.server.admin("root").prune(100)).unwrap().removed;
    let end = UnixTime::from_seconds(exp + 60 + 300 + 3_600);
    world.clock.set(end.minus(Duration::from_millis(1)));
    assert_eq!(prune(), 0);
    world.clock.set(end);
    assert_eq!(prune(), 1);
}

#[test]
fn a_queue_of_events_holds_one_at_least_and_32_768_by_default() {
    let random = OsRandom::new();
    let least = AuditQueue::with_capacity(&random, 0).unwrap();
    let default = AuditQueue::new(&random).unwrap();
    for (queue, holds) in [(least, 1), (default, 32_768)] {
        let record = || {
            let at = UnixTime::from_seconds(START);
            let event = AuditEvent::new(at, Actor::Server, Action::DetectRewind, Outcome::Success);
            queue.record(&event);
            (queue.pending(), queue.dropped())
        };
        let filling: Vec<_> = (0..holds).map(|_| record()).collect();
        assert_eq!(filling.last(), Some(&(holds, 0)));
        assert_eq!(record(), (holds, 1));
    }
}

/// The list of revocations of an API uses about the documented memory for each of many revocations.
#[test]
fn a_revocation_uses_its_documented_memory_in_the_list_of_an_api() {
    const DOCUMENTED: i64 = 200;
    const MANY: u32 = 10_000;
    let (at, until) = (UnixTime::from_seconds(START), UnixTime::from_seconds(START + 3_600));
    let subject = |number: u32| Subject::new(format!("user-{number:08}")).unwrap();
    let app = ClientId::new("app").unwrap();
    let grant = |number: u32| {
        let mut id = [7; 16];
        id[..4].copy_from_slice(&number.to_be_bytes());
        RevocationTarget::Grant(GrantId::from_bytes(id))
    };
    let of_user = |number: u32| RevocationTarget::Subject(subject(number));
    let of_pair = |number: u32| RevocationTarget::AppAndSubject(app.clone(), subject(number));
    let kinds: [&dyn Fn(u32) -> RevocationTarget; 3] = [&grant, &of_user, &of_pair];
    for (kind, target) in kinds.into_iter().enumerate() {
        let list = RevocationList::new();
        let used = allocation_counter::measure(|| {
            let entry = |number: u32| {
                let why = RevocationReason::Administrator;
                Revocation { target: target(number), at, why, until }
            };
            let entries: Vec<_> = (0..MANY).map(entry).collect();
            let next = FeedCursor { at, tie: 0 };
            list.apply(&RevocationFeed { entries, next, more: false }, at);
        });
        let each = used.bytes_current / i64::from(MANY);
        assert!((16..=DOCUMENTED).contains(&each), "{kind}: {each} bytes");
        black_box(&list);
    }
}
