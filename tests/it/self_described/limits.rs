//! Strangers cannot make the server fetch, write or forget without a bound.

use std::future::poll_fn;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use grantor::Upkeep;
use grantor::app::RateQuota;
use grantor::endpoint::{Caller, FormRequest};
use grantor::ids::{ClientId, Source};
use grantor::rate_limit::RateLimits;
use grantor::store::{AppRegistry as _, CachedApps};
use pollster::block_on;
use serde_json::json;

use super::site::{EDITOR, Site, accepted, app, documents, refusal, world_with};
use crate::faulty_store::{FaultyStore, Method};
use crate::support::{World, code_query, new_verifier};

/// L14: the lists of hosts are asked before any fetch, also for an app with a row.
#[test]
fn hosts_are_refused_without_traffic() {
    let (world, site) =
        world_with(|documents| documents.allow_hosts(["editor.example", "*.good.example"]));
    for url in [
        "https://other.example/c",
        "https://editor.example.evil.example/c",
        "https://good.example/c",
    ] {
        assert_eq!(refusal(&world, url), "client_document_host");
    }
    assert_eq!(site.fetches(), 0);
    accepted(&world, EDITOR);
    let (world, site) = world_with(|documents| documents.deny_hosts(["editor.example"]));
    assert_eq!(refusal(&world, EDITOR), "client_document_host");
    assert_eq!(site.fetches(), 0);
}

/// L18: a source has a budget of documents to fetch. Known and fresh ones cost it nothing.
#[test]
fn a_source_has_a_budget_of_documents() {
    let site = Arc::new(Site::default());
    site.publish(EDITOR, &json!({}));
    let documents = documents(&site);
    let limits = RateLimits::none().with_source_documents(RateQuota::new(60, 3));
    let world = World::with(|builder| builder.client_documents(documents).rate_limits(limits));
    let ask = |client_id: &str, source: &str| {
        let query = code_query(&app(client_id), &new_verifier(), &[]);
        let source = Source::new(source).unwrap();
        let caller = Caller::default().at(&source);
        let asked = block_on(world.server.authorization_request(&query, caller));
        asked.map_err(|_| world.last_event().outcome.reason().unwrap().to_owned()).map(|_| ())
    };
    assert_eq!(ask(EDITOR, "192.0.2.1"), Ok(()));
    for number in 0..2 {
        let unknown = format!("https://a{number}.example/c");
        assert_eq!(ask(&unknown, "192.0.2.1"), Err("client_document_gone".to_owned()));
    }
    let spent = Err("client_document_too_many".to_owned());
    assert_eq!(ask("https://b.example/c", "192.0.2.1"), spent);
    assert_eq!(site.fetches(), 3);
    assert_eq!(ask(EDITOR, "192.0.2.1"), Ok(()), "it is fresh");
    assert_eq!(ask("https://b.example/c", "192.0.2.2"), Err("client_document_gone".to_owned()));
    world.advance(1);
    assert_eq!(ask("https://c.example/c", "192.0.2.1"), Err("client_document_gone".to_owned()));
    assert_eq!(ask("https://c.example/c", "192.0.2.1"), spent);
}

/// L18: a slow host takes its share of the fetches at once, and one source its own. Others go on, also for the keys of
/// apps.
#[test]
fn a_slow_host_takes_only_its_share_of_the_fetches() {
    let (world, site) = world_with(|documents| documents);
    let slow = |number: usize| format!("https://slow.example/{number}");
    for number in 0..9 {
        site.publish(&slow(number), &json!({}));
    }
    site.hang("https://slow.example/");
    let sources = ["192.0.2.1", "192.0.2.2"].map(|source| Source::new(source).unwrap());
    let queries: Vec<_> =
        (0..9).map(|it| code_query(&app(&slow(it)), &new_verifier(), &[])).collect();
    let mut context = Context::from_waker(Waker::noop());
    let mut ask = |number: usize, source: usize| {
        let caller = Caller::default().at(&sources[source]);
        let mut asked = Box::pin(world.server.authorization_request(&queries[number], caller));
        match asked.as_mut().poll(&mut context) {
            Poll::Pending => Some(asked),
            Poll::Ready(refused) => {
                assert_eq!(refused.unwrap_err().location(), None);
                None
            }
        }
    };
    let held: Vec<_> = (0..4).map(|number| ask(number, 0).unwrap()).collect();
    for source in [0, 1] {
        assert!(ask(4, source).is_none());
        world.assert_refused("rate_limit", "client_document_too_many", Some("rate_limits"));
    }
    assert!(ask(0, 1).is_some(), "it shares the fetch");
    assert_eq!(site.fetches(), 4);
    accepted(&world, EDITOR);
    drop(held);
    assert!(ask(4, 0).is_some());
}

/// 10,000 documents become apps beside 100,000 look-ups of a registered app: another process reads that app once. The
/// same number of registrations by an administrator makes it read the app again and again.
#[test]
fn first_consents_to_documents_do_not_empty_the_caches_of_other_processes() {
    let (world, _site) = world_with(|documents| documents);
    let registered = world.register(crate::support::code_app());
    let counting = Arc::new(FaultyStore::new(Arc::clone(&world.store)));
    let cache = CachedApps::new(Arc::clone(&counting)).clock(Arc::clone(&world.clock));
    let reads = || counting.take_calls().iter().filter(|call| **call == Method::FindApp).count();
    let look_up = |times: usize| {
        for _ in 0..times {
            assert!(block_on(cache.find_app(&registered.id)).unwrap().is_some());
        }
    };
    world.tokens(&app(EDITOR));
    let described = super::site::row(&world, EDITOR).unwrap();
    look_up(1);
    assert_eq!(reads(), 1);
    for number in 0..10_000 {
        let id = format!("https://a{number}.example/c");
        let mut record = serde_json::to_value(&*described).unwrap();
        record["client_id"] = json!(id);
        let new = serde_json::from_value(record).unwrap();
        block_on(world.store.insert_app(new)).unwrap();
        // A poll is due at every tenth.
        world.clock.advance(std::time::Duration::from_millis(60));
        look_up(10);
        if number % 1_000 == 0 {
            assert!(block_on(cache.find_app(&ClientId::new(id).unwrap())).unwrap().is_some());
        }
    }
    // Each entry is read again after five minutes in any case.
    assert!(reads() <= 15, "the cache was emptied");
    for number in 0..20 {
        world.import(&format!("registered-{number}"), crate::support::code_app());
        world.clock.advance(std::time::Duration::from_millis(600));
        look_up(1);
    }
    assert!(reads() >= 20, "a registration counts");
}

/// A token of a described app costs the store the calls of a registered app's, and no fetch.
#[test]
fn a_described_apps_token_costs_what_a_registered_apps_does() {
    let (world, site) = world_with(|documents| documents);
    let registered = world.register(crate::support::public_app());
    let store = FaultyStore::new(Arc::clone(&world.store));
    let server = world.beside(crate::support::new_key(), store, Arc::clone(&world.users));
    let server = server.client_documents(documents(&site)).build();
    let [own, other] = [app(EDITOR), registered].map(|app| {
        let tokens = world.tokens(&app);
        server.store().take_calls();
        let refresh = tokens.text("refresh_token");
        let form = [("grant_type", "refresh_token"), ("refresh_token", refresh)];
        let body = crate::support::body_of(&app, &form);
        block_on(server.token(&FormRequest::new(&body))).unwrap();
        server.store().take_calls()
    });
    assert_eq!(own, other);
    assert_eq!(site.fetches(), 1);
}

/// The row of an app without a grant goes an hour after its last change. A disabled app stays, and so does one with a
/// grant or of an administrator.
#[test]
fn the_row_of_a_described_app_goes_with_its_last_grant() {
    let (world, site) = world_with(|documents| documents);
    let [used, idle, disabled] = ["used", "idle", "disabled"].map(|name| {
        let url = format!("https://{name}.example/c");
        site.publish(&url, &json!({}));
        app(&url)
    });
    let registered = world.register(crate::support::code_app());
    let tokens = world.tokens(&used);
    for app in [&idle, &disabled] {
        let tokens = world.tokens(app);
        assert_eq!(world.revoke(app, tokens.text("refresh_token")).status, 200);
    }
    block_on(world.server.admin("tester").disable(&disabled.id)).unwrap();
    let round = || {
        work(Upkeep::of(&world.server).run(|_| yield_once()));
        [&used, &idle, &disabled, &registered]
            .map(|app| block_on(world.store.find_app(&app.id)).unwrap().is_some())
    };
    assert_eq!(round(), [true; 4]);
    world.advance(61 * 86_400);
    world.refresh(&used, tokens.text("refresh_token")).assert_error(400, "invalid_grant");
    let tokens = world.tokens(&used);
    assert_eq!(round(), [true, false, true, true]);
    assert_eq!(world.refresh(&used, tokens.text("refresh_token")).status, 200);
    // The app comes back by its document, with a user's consent.
    world.tokens(&idle);
    assert_eq!(round(), [true; 4]);
}

#[test]
fn a_round_looks_at_two_hundred_apps() {
    let (world, _site) = world_with(|documents| documents);
    world.tokens(&app(EDITOR));
    let described = super::site::row(&world, EDITOR).unwrap();
    for number in 0..201 {
        let mut record = serde_json::to_value(&*described).unwrap();
        record["client_id"] = json!(format!("https://a{number}.example/c"));
        let new = serde_json::from_value(record).unwrap();
        block_on(world.store.insert_app(new)).unwrap();
    }
    world.advance(3_600);
    let is_left = |url: &str| super::site::row(&world, url).is_some();
    let count = || (0..201).filter(|it| is_left(&format!("https://a{it}.example/c"))).count();
    let mut upkeep = Box::pin(Upkeep::of(&world.server).run(|_| yield_once()));
    let mut context = Context::from_waker(Waker::noop());
    let after_a_round = (0..1_000).map(|_| {
        assert!(upkeep.as_mut().poll(&mut context).is_pending());
        count()
    });
    assert_eq!({ after_a_round }.find(|left| *left < 201), Some(1));
    assert!(is_left(EDITOR), "it has a grant");
}

/// Polls the work of a server a hundred times: each of its jobs has had its turn.
fn work(upkeep: impl Future<Output = ()>) {
    let mut upkeep = Box::pin(upkeep);
    let mut context = Context::from_waker(Waker::noop());
    for _ in 0..100 {
        assert!(upkeep.as_mut().poll(&mut context).is_pending());
    }
}

async fn yield_once() {
    let mut has_waited = false;
    poll_fn(|_| {
        if has_waited {
            return Poll::Ready(());
        }
        has_waited = true;
        Poll::Pending
    })
    .await;
}
