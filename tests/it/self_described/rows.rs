//! The rows of apps that describe themselves: a consent makes one, in a bounded number, and nothing else.

use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use grantor::Upkeep;
use grantor::clock::Clock as _;
use grantor::endpoint::{Caller, Decision};
use grantor::ids::ClientId;
use grantor::store::{
    AppRegistry as _, GrantStore as _, Revocation, RevocationReason, RevocationTarget,
};
use pollster::block_on;
use serde_json::json;

use super::site::{EDITOR, accepted, app, documents, row, world, world_with};
use crate::faulty_store::{FaultyStore, Method};
use crate::support::{World, ann, code_query, new_key, new_verifier};

const DAY: Duration = Duration::from_hours(24);

/// Lets `ann` approve the app of a document. Returns the reason of a refusal.
fn approve(world: &World, client_id: &str) -> Result<(), String> {
    let prompt = world.prompt(&code_query(&app(client_id), &new_verifier(), &[]), &ann());
    let yes = Decision::approve();
    match block_on(world.server.decide(&prompt.ticket, &ann(), yes, Caller::default())) {
        Ok(_) => Ok(()),
        Err(error) => {
            assert_eq!(error.location(), None);
            Err(world.last_event().outcome.reason().unwrap().to_owned())
        }
    }
}

/// L18: consents make a bounded number of rows. An app with a row is not concerned, and one that goes makes room.
#[test]
fn consents_make_a_bounded_number_of_rows() {
    let (world, site) = world_with(|documents| documents.max_apps(3));
    let urls: Vec<_> = (0..5).map(|number| format!("https://a{number}.example/c")).collect();
    for url in &urls {
        site.publish(url, &json!({}));
    }
    for url in &urls[..3] {
        assert_eq!(approve(&world, url), Ok(()));
    }
    let full = Err("client_document_too_many_apps".to_owned());
    assert_eq!(approve(&world, &urls[3]), full);
    assert!(row(&world, &urls[3]).is_none());
    world.tokens(&app(&urls[0]));
    block_on(world.server.admin("tester").delete(&ClientId::new(urls[1].as_str()).unwrap()))
        .unwrap();
    assert_eq!(approve(&world, &urls[3]), full, "this process counts again after five minutes");
    world.advance(301);
    assert_eq!(approve(&world, &urls[3]), Ok(()));
    assert_eq!(approve(&world, &urls[4]), full);
}

/// The audit log says which user made a row, or changed it, and when the server removed it. The usage goes with it.
#[test]
fn the_rows_of_documents_are_audited() {
    let (world, site) = world();
    let editor = app(EDITOR);
    let events = |action: &str| {
        let events = world.events();
        let of_app = events.iter().filter(|event| event.action.as_str() == action);
        let of_app = of_app.filter(|event| event.client_id.as_ref() == Some(&editor.id));
        of_app.map(|event| event.actor.name().map(str::to_owned)).collect::<Vec<_>>()
    };
    let ann = || Some("ann".to_owned());
    let tokens = world.tokens(&editor);
    world.tokens(&editor);
    assert_eq!(events("register_app"), [ann()]);
    site.publish(EDITOR, &json!({"client_name": "Another"}));
    world.advance(301);
    let renamed = world.tokens(&editor);
    assert_eq!((events("register_app"), events("edit_app")), (vec![ann()], vec![ann()]));
    for tokens in [&tokens, &renamed] {
        assert_eq!(world.revoke(&editor, tokens.text("refresh_token")).status, 200);
    }
    assert!(world.server.usage(&editor.id).last_used.is_some());
    world.advance(61 * 86_400);
    let mut upkeep = Box::pin(Upkeep::of(&world.server).run(|_| yield_once()));
    let mut context = Context::from_waker(Waker::noop());
    for _ in 0..100 {
        assert!(upkeep.as_mut().poll(&mut context).is_pending());
    }
    assert!(row(&world, EDITOR).is_none());
    assert_eq!(events("delete_app"), [None]);
    assert_eq!(world.server.usage(&editor.id).last_used, None);
}

async fn yield_once() {
    let mut has_waited = false;
    std::future::poll_fn(|_| {
        if std::mem::replace(&mut has_waited, true) { Poll::Ready(()) } else { Poll::Pending }
    })
    .await;
}

/// A silent request that finds the row gone, which an administrator has just deleted, does not bring it back: the user
/// is asked.
#[test]
fn a_silent_request_brings_no_deleted_row_back() {
    let (world, site) = world();
    assert_eq!(approve(&world, EDITOR), Ok(()));
    let store = FaultyStore::new(Arc::clone(&world.store));
    let server = world.beside(new_key(), store, Arc::clone(&world.users));
    let server = server.client_documents(documents(&site)).build();
    let query = code_query(&app(EDITOR), &new_verifier(), &[("prompt", "none")]);
    let ask = || {
        let request = block_on(server.authorization_request(&query, Caller::default())).unwrap();
        block_on(server.authorize(request, Some(&ann())))
    };
    assert!(ask().is_ok());
    let (inner, id) = (Arc::clone(&world.store), ClientId::new(EDITOR).unwrap());
    server.store().meanwhile(Method::FindConsent, move || {
        let version = block_on(inner.find_app(&id)).unwrap().unwrap().version();
        block_on(inner.delete_app(&id, version)).unwrap();
    });
    let error = ask().unwrap_err();
    assert!(error.location().unwrap().contains("error=consent_required"));
    assert!(row(&world, EDITOR).is_none());
}

/// An administrator deletes the app while a user approves it: the approval is refused, and leaves no row. If the prune
/// has removed it, which revokes nothing, the approval writes it again.
#[test]
fn an_approval_that_a_deletion_overtakes_leaves_no_row() {
    for by_administrator in [true, false] {
        let (world, site) = world();
        assert_eq!(approve(&world, EDITOR), Ok(()));
        let store = FaultyStore::new(Arc::clone(&world.store));
        let server = world.beside(new_key(), store, Arc::clone(&world.users));
        let server = server.client_documents(documents(&site)).build();
        let query = code_query(&app(EDITOR), &new_verifier(), &[("prompt", "consent")]);
        let prompt = world.prompt(&query, &ann());
        let (inner, id) = (Arc::clone(&world.store), ClientId::new(EDITOR).unwrap());
        let now = world.clock.now();
        server.store().meanwhile(Method::FindApp, move || {
            let version = block_on(inner.find_app(&id)).unwrap().unwrap().version();
            if by_administrator {
                let (target, until) = (RevocationTarget::App(id.clone()), now.plus(DAY));
                let why = RevocationReason::AppDeleted;
                block_on(inner.revoke(&Revocation { target, at: now, why, until })).unwrap();
            }
            block_on(inner.delete_app(&id, version)).unwrap();
        });
        let decided =
            block_on(server.decide(&prompt.ticket, &ann(), Decision::approve(), Caller::default()));
        assert_eq!(decided.is_ok(), !by_administrator);
        assert_eq!(row(&world, EDITOR).is_some(), !by_administrator);
    }
}

/// The code of a decision lives from its answer on, also if the host of the document was slow. A withdrawal meanwhile
/// ends what the user decided on: the decision is dated before the fetch.
#[test]
fn a_decision_is_dated_before_a_slow_fetch_and_its_code_lives_after_it() {
    for withdraws in [false, true] {
        let (world, site) = world();
        let editor = app(EDITOR);
        assert_eq!(approve(&world, EDITOR), Ok(()));
        world.advance(290);
        let verifier = new_verifier();
        let query = code_query(&editor, &verifier, &[("prompt", "consent")]);
        let prompt = world.prompt(&query, &ann());
        world.advance(11);
        let (clock, store) = (Arc::clone(&world.clock), Arc::clone(&world.store));
        let (id, now) = (editor.id.clone(), world.clock.now());
        site.meanwhile(move || {
            clock.advance(Duration::from_mins(4));
            if withdraws {
                let user = ann().subject().clone();
                block_on(store.withdraw_consent(&id, &user, now, now.plus(DAY))).unwrap();
            }
        });
        let yes = Decision::approve();
        let decided = block_on(world.server.decide(&prompt.ticket, &ann(), yes, Caller::default()));
        if withdraws {
            decided.unwrap_err();
            assert_eq!(world.last_event().outcome.reason(), Some("overtaken"));
            continue;
        }
        let code = crate::support::parameters(decided.unwrap().location()).remove("code").unwrap();
        assert_eq!(world.redeem(&editor, &code, verifier.expose_secret()).status, 200);
    }
}

/// L5: a client id has at most 255 bytes, also as the URL of a document.
#[test]
fn the_longest_client_id_of_a_document_has_255_bytes() {
    let (world, site) = world();
    let url = |bytes: usize| format!("https://editor.example/{}", "c".repeat(bytes - 23));
    site.publish(&url(255), &json!({}));
    world.tokens(&app(&url(255)));
    assert!(row(&world, &url(255)).is_some());
    let before = site.fetches();
    site.publish(&url(256), &json!({}));
    let query = code_query(&app(EDITOR), &new_verifier(), &[("client_id", &url(256))]);
    let refused = block_on(world.server.authorization_request(&query, Caller::default()));
    assert_eq!(refused.unwrap_err().location(), None);
    assert_eq!(world.last_event().outcome.reason(), Some("unknown_client"));
    assert_eq!(site.fetches(), before);
}

/// L18: the capacity bounds the documents in memory. Those of apps without a row make room of none that has one.
#[test]
fn the_capacity_is_for_the_documents_in_memory() {
    let (world, site) = world_with(|documents| documents.capacity(1));
    let url = |number: usize| format!("https://a{number}.example/c");
    for number in 0..10 {
        site.publish(&url(number), &json!({}));
    }
    assert_eq!(approve(&world, EDITOR), Ok(()));
    world.advance(301);
    accepted(&world, EDITOR);
    let ask = |numbers: std::ops::Range<usize>| {
        let before = site.fetches();
        for number in numbers {
            accepted(&world, &url(number));
        }
        site.fetches() - before
    };
    assert_eq!((ask(0..8), ask(0..8)), (8, 0), "eight at least");
    assert_eq!((ask(8..10), ask(2..10)), (2, 0));
    assert_eq!(ask(0..1), 1);
    let before = site.fetches();
    accepted(&world, EDITOR);
    assert_eq!(site.fetches(), before);
}
