//! Many registrations: of one source, of many, and at once.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use grantor::endpoint::FormRequest;
use grantor::ids::{RequestId, Source};
use grantor::rate_limit::RateLimits;
use grantor::store::{AppQuery, CachedApps, Page};
use pollster::block_on;
use serde_json::json;

use super::management::{Own, update};
use super::{app, open, public, registered, with, world};
use crate::faulty_store::{FaultyStore, Method};
use crate::support::{World, ask, body_of, code_app, new_key};

fn limited() -> World {
    World::with(|builder| builder.registration(open()))
}

fn post(world: &World, source: &Source, name: &str) -> u16 {
    let body = with(public(), json!({ "client_name": name })).to_string();
    let id = RequestId::new("flood").unwrap();
    let request = FormRequest::new(&body).source(source).request_id(&id);
    match block_on(world.server.register(&request)) {
        Ok(_) => 201,
        Err(error) => error.status(),
    }
}

fn apps(world: &World) -> usize {
    let admin = world.server.admin("tester");
    let (mut found, mut next) = (0, Some(Page::first(200)));
    while let Some(page) = next {
        let listing = block_on(admin.list(&AppQuery::all(), page.clone())).unwrap();
        found += listing.items.len();
        next = listing.next.map(|last| page.after(last));
    }
    found
}

/// Y11: a source registers 60 apps at once and 30 a minute, and 10,000 tries make no more. Its repetitions cost nothing,
/// and another source is not concerned.
#[test]
fn a_source_registers_a_bounded_number_of_apps() {
    let world = limited();
    let flood = Source::new("198.51.100.1").unwrap();
    let accepted = (0..10_000).filter(|n| post(&world, &flood, &n.to_string()) == 201).count();
    assert_eq!((accepted, apps(&world)), (60, 60));
    for _ in 0..1_000 {
        assert_eq!(post(&world, &world.source, "Editor"), 201);
    }
    assert_eq!(apps(&world), 61);
    // A known app of the flooded source needs a place of its budget while it is looked up.
    world.advance(2);
    assert_eq!(post(&world, &flood, "0"), 201);
    assert_eq!(post(&world, &flood, "one more"), 201);
    assert_eq!(post(&world, &flood, "and another"), 429);
    // The audit log has not one event for each of them.
    assert!(world.count("register_app") < 200, "{}", world.count("register_app"));
}

/// Y11: many sources together register no more apps than the host allows, also at once.
#[test]
fn many_sources_stay_below_the_total() {
    let rules = open().max_apps(100);
    let world = World::with(|builder| builder.registration(rules).rate_limits(RateLimits::none()));
    let world = Arc::new(world);
    let accepted = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        for thread in 0..8 {
            let (world, accepted) = (&world, &accepted);
            scope.spawn(move || {
                for n in 0..40 {
                    let source = Source::new(format!("198.51.{thread}.{n}")).unwrap();
                    if post(world, &source, "Editor") == 201 {
                        accepted.fetch_add(1, Ordering::Relaxed);
                    }
                }
            });
        }
    });
    assert_eq!((accepted.into_inner(), apps(&world)), (100, 100));
}

/// Y11: registrations leave the cached apps of other processes alone. 1,000 of them beside 10,000 refreshes, over 100
/// polls of the cache, make the other process read its one app once.
#[test]
fn registrations_empty_no_cache_of_another_process() {
    let world = world(open());
    let client = world.register(code_app());
    let mut token = world.tokens(&client).text("refresh_token").to_owned();
    let store = Arc::new(FaultyStore::new(Arc::clone(&world.store)));
    let cached = CachedApps::new(store).clock(Arc::clone(&world.clock));
    let other = world.beside(new_key(), cached, Arc::clone(&world.users));
    let other = other.rate_limits(RateLimits::none()).build();
    let mut reads = 0;
    for round in 0..10_000 {
        let form = [("grant_type", "refresh_token"), ("refresh_token", token.as_str())];
        token = ask(&other, &body_of(&client, &form)).text("refresh_token").to_owned();
        if round % 10 == 0 {
            let source = Source::new(format!("198.51.100.{}", round % 250)).unwrap();
            assert_eq!(post(&world, &source, &format!("Editor {round}")), 201);
        }
        if round % 100 == 0 {
            world.advance(1);
            let calls = other.store().store().take_calls();
            reads += calls.iter().filter(|call| **call == Method::FindApp).count();
        }
    }
    assert_eq!((apps(&world), reads), (1_001, 1));
}

/// Y11, Y14: updates and deletions of registrations, and a prune of them, leave the cached apps of other processes
/// alone. 200 of them, each between two polls of the cache, make the other process read its one app once.
#[test]
fn changes_of_registrations_empty_no_cache_of_another_process() {
    let world = world(open().management(true));
    let client = world.register(code_app());
    let mut token = world.tokens(&client).text("refresh_token").to_owned();
    let store = Arc::new(FaultyStore::new(Arc::clone(&world.store)));
    let cached = CachedApps::new(store).clock(Arc::clone(&world.clock));
    let other = world.beside(new_key(), cached, Arc::clone(&world.users)).build();
    let mut refresh = || {
        let form = [("grant_type", "refresh_token"), ("refresh_token", token.as_str())];
        token = ask(&other, &body_of(&client, &form)).text("refresh_token").to_owned();
        let calls = other.store().store().take_calls();
        assert!(calls.contains(&Method::AppsVersion), "it polls");
        calls.iter().filter(|call| **call == Method::FindApp).count()
    };
    let mut reads = refresh();
    for round in 0..100 {
        let told = registered(&world, &public());
        let changed = Own::of(&told).put(&world, &update(&told, json!({ "client_name": "B" })));
        assert_eq!(changed.status, 200);
        world.advance(1);
        reads += refresh();
        if round % 2 == 0 {
            assert_eq!(Own::of(&changed.json()).delete(&world).status, 204);
            world.advance(1);
            reads += refresh();
        }
    }
    assert_eq!((reads, apps(&world)), (1, 51));
    world.advance(3_600);
    assert_eq!(refresh(), 1, "an entry of five minutes is read again");
    let admin = world.server.admin("tester");
    while block_on(admin.prune(10)).unwrap().more {}
    assert_eq!(apps(&world), 1);
    world.advance(1);
    assert_eq!(refresh(), 0);
}

/// Y10: of many equal registrations at once one makes the app, and all get it.
#[test]
fn equal_registrations_at_once_get_one_app() {
    let world = Arc::new(limited());
    let ids: Vec<_> = std::thread::scope(|scope| {
        let register = || {
            let body = public().to_string();
            let request = FormRequest::new(&body).source(&world.source);
            block_on(world.server.register(&request)).unwrap().app.client_id().clone()
        };
        let threads: Vec<_> = (0..16).map(|_| scope.spawn(register)).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    assert!(ids.iter().all(|id| *id == ids[0]));
    assert_eq!(apps(&world), 1);
    let told = json!({ "client_id": ids[0].as_str() });
    world.tokens(&app(&told));
}
