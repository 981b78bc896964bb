//! Apps that describe themselves in a document: from the first request to the end of their tokens.

use std::sync::Arc;

use grantor::app::{AppOrigin, DocumentProblem};
use grantor::endpoint::{Caller, Decision, GoneDocument};
use grantor::error::Rejection;
use grantor::ids::ClientId;
use http::Response;
use pollster::block_on;
use serde_json::json;

use super::site::{EDITOR, Site, accepted, app, documents, refusal, row, world, world_with};
use crate::support::{CALLBACK, World, ann, code_query, new_key, new_verifier};

/// L5, L6: the first request fetches the document, the first approval writes the row, and nothing later fetches.
#[test]
fn an_app_that_describes_itself_gets_tokens_after_one_fetch() {
    let (world, site) = world();
    let editor = app(EDITOR);
    let query = code_query(&editor, &new_verifier(), &[]);
    world.prompt(&query, &ann());
    assert!(row(&world, EDITOR).is_none(), "a stranger's request writes no row");
    let tokens = world.tokens(&editor);
    let claims = tokens.claims();
    assert_eq!(
        (claims["client_id"].as_str(), claims["scope"].as_str()),
        (Some(EDITOR), Some("a b c"))
    );
    let stored = row(&world, EDITOR).unwrap();
    assert_eq!((stored.origin(), stored.settings().name()), (AppOrigin::Document, "Editor"));
    let again = world.refresh(&editor, tokens.text("refresh_token"));
    assert_eq!(again.status, 200, "{again:?}");
    world.tokens(&editor);
    assert_eq!(site.fetches(), 1);
    let found = block_on(world.server.admin("tester").find(&editor.id)).unwrap().unwrap();
    assert!(found.metadata_document().is_some_and(|document| !document.is_gone()));
}

/// A denial writes no row, and neither does a refused request.
#[test]
fn only_an_approval_writes_a_row() {
    let (world, _site) = world();
    let query = code_query(&app(EDITOR), &new_verifier(), &[]);
    let prompt = world.prompt(&query, &ann());
    let denied =
        block_on(world.server.decide(&prompt.ticket, &ann(), Decision::Deny, Caller::default()));
    assert!(denied.unwrap_err().location().unwrap().contains("error=access_denied"));
    assert!(row(&world, EDITOR).is_none());
    assert_eq!(world.count("deny_authorization"), 1);
}

/// L6, L8: an answer that is no usable document is refused on a page, and not cached: each request asks again.
#[test]
fn an_unusable_answer_is_refused_and_not_cached() {
    let (world, site) = world();
    let json = |status: u16, content_type: &str, body: &[u8]| {
        let answer = Response::builder().status(status).header("content-type", content_type);
        answer.body(body.to_vec()).unwrap()
    };
    let good = Site::document(EDITOR, &json!({})).to_string();
    let with = |changes| {
        json(200, "application/json", Site::document(EDITOR, &changes).to_string().as_bytes())
    };
    let padded = |bytes: usize| {
        let padding = "x".repeat(bytes - good.len() - r#","unknown":"""#.len());
        let padded = good.replacen('{', &format!(r#"{{"unknown":"{padding}","#), 1);
        assert_eq!(padded.len(), bytes);
        json(200, "application/json", padded.as_bytes())
    };
    let many: Vec<_> = (0..1_000).map(|number| format!("https://a{number}.example/")).collect();
    for (reason, answer) in [
        ("client_document_status", json(500, "application/json", good.as_bytes())),
        ("client_document_status", json(302, "application/json", good.as_bytes())),
        ("client_document_status", json(201, "application/json", good.as_bytes())),
        ("client_document_status", json(204, "application/json", b"")),
        ("client_document_gone", json(404, "application/json", good.as_bytes())),
        ("client_document_gone", json(410, "application/json", good.as_bytes())),
        ("client_document_content_type", json(200, "text/html", good.as_bytes())),
        ("client_document_content_type", json(200, "text/json", good.as_bytes())),
        ("client_document_content_type", json(200, "", good.as_bytes())),
        ("client_document_too_large", padded(5_121)),
        ("client_document_member", json(200, "application/json", b"<html>")),
        ("client_document_member", json(200, "application/json", b"\x1f\x8b\x08\x00")),
        ("client_document_member", with(json!({"redirect_uris": ["javascript:alert(1)"]}))),
        ("client_document_member", with(json!({"redirect_uris": []}))),
        ("client_document_member", with(json!({"client_name": "a\u{202e}b"}))),
        ("client_document_too_large", with(json!({"redirect_uris": many}))),
        ("client_document_client_id", with(json!({"client_id": "https://editor.example/Client"}))),
        ("client_document_client_id", with(json!({"client_id": null}))),
        ("client_document_secret", with(json!({"client_secret": "s"}))),
        (
            "client_document_secret",
            with(json!({"token_endpoint_auth_method": "client_secret_basic"})),
        ),
    ] {
        site.answer(EDITOR, answer);
        for _ in 0..2 {
            let before = site.fetches();
            assert_eq!(refusal(&world, EDITOR), reason);
            assert_eq!(site.fetches(), before + 1, "{reason}");
        }
    }
    for good in [
        padded(5_120),
        json(200, "application/json; charset=utf-8", good.as_bytes()),
        json(200, "Application/JSON", good.as_bytes()),
        json(200, "application/cimd+json", good.as_bytes()),
    ] {
        let (world, site) = super::site::world();
        site.answer(EDITOR, good);
        accepted(&world, EDITOR);
    }
}

/// L1, L5: a client id that is not the URL of a document is an unknown client, before any fetch.
#[test]
fn a_client_id_in_another_form_is_never_fetched() {
    let (world, site) = world();
    for other in [
        "https://editor.example",
        "https://editor.example/",
        "http://editor.example/client",
        "https://EDITOR.example/client",
        "https://editor.example:443/client",
        "https://editor.example/x/../client",
        "https://editor.example/client#f",
        "https://u@editor.example/client",
        "https://0x7f.1/client",
    ] {
        assert_eq!(refusal(&world, other), "unknown_client", "{other}");
    }
    let long = format!("https://editor.example/{}", "c".repeat(233));
    let query = code_query(&app(EDITOR), &new_verifier(), &[("client_id", &long)]);
    assert!(block_on(world.server.authorization_request(&query, Caller::default())).is_err());
    assert_eq!(site.fetches(), 0);
}

/// Only the authorization endpoint fetches: an unknown URL is an unknown client at every other.
#[test]
fn no_other_endpoint_fetches_an_unknown_document() {
    let (world, site) = world();
    let editor = app(EDITOR);
    world.redeem(&editor, "code", "verifier").assert_error(401, "invalid_client");
    world.refresh(&editor, "token").assert_error(401, "invalid_client");
    world.revoke(&editor, "token").assert_error(401, "invalid_client");
    world.introspect(&editor, "token").assert_error(401, "invalid_client");
    assert_eq!(site.fetches(), 0);
}

/// M7: the metadata say so exactly if documents are on. Without them such a client id is unknown.
#[test]
fn documents_are_off_by_default() {
    let (on, _site) = world();
    let off = World::new();
    let flag = |world: &World| {
        let metadata: serde_json::Value = serde_json::from_str(&world.server.metadata()).unwrap();
        assert!(metadata["token_endpoint_auth_methods_supported"].to_string().contains("none"));
        metadata.get("client_id_metadata_document_supported").cloned()
    };
    assert_eq!((flag(&on), flag(&off)), (Some(json!(true)), None));
    assert_eq!(refusal(&off, EDITOR), "unknown_client");

    // An app that was described before the host switched documents off keeps its grants, and gets no new ones.
    let editor = app(EDITOR);
    let tokens = on.tokens(&editor);
    let sibling =
        on.sibling(grantor::server_secret::ServerSecret::new(crate::support::ROOT).unwrap());
    let query = code_query(&editor, &new_verifier(), &[]);
    assert!(block_on(sibling.authorization_request(&query, Caller::default())).is_err());
    assert_eq!(on.refresh(&editor, tokens.text("refresh_token")).status, 200);
}

/// L12: a document that is gone ends new authorizations, and refreshes until it is back.
#[test]
fn a_gone_document_ends_refreshes_until_it_is_back() {
    for fate in [GoneDocument::RefuseRefresh, GoneDocument::KeepGrants] {
        let (world, site) = world_with(|documents| documents.gone(fate));
        let editor = app(EDITOR);
        let tokens = world.tokens(&editor);
        site.take_down(EDITOR);
        accepted(&world, EDITOR);
        world.advance(301);
        assert_eq!(refusal(&world, EDITOR), "client_document_gone");
        let refreshed = world.refresh(&editor, tokens.text("refresh_token"));
        if fate == GoneDocument::KeepGrants {
            assert_eq!(refreshed.status, 200);
            continue;
        }
        refreshed.assert_error(400, "invalid_grant");
        assert_eq!(world.last_event().outcome.reason(), Some("client_document_is_gone"));
        let version = row(&world, EDITOR).unwrap().version();
        assert_eq!(refusal(&world, EDITOR), "client_document_gone");
        assert_eq!(row(&world, EDITOR).unwrap().version(), version, "one write");
        site.publish(EDITOR, &json!({}));
        accepted(&world, EDITOR);
        assert_eq!(world.refresh(&editor, tokens.text("refresh_token")).status, 200);
    }
}

/// L12: a document that is back with another description lets the refreshes of earlier grants go on. The new one counts
/// from the next consent.
#[test]
fn a_document_that_is_back_and_changed_ends_the_refusal() {
    let (world, site) = world();
    let editor = app(EDITOR);
    let tokens = world.tokens(&editor);
    site.take_down(EDITOR);
    world.advance(301);
    assert_eq!(refusal(&world, EDITOR), "client_document_gone");
    let refresh = || world.refresh(&editor, tokens.text("refresh_token"));
    refresh().assert_error(400, "invalid_grant");
    site.publish(EDITOR, &json!({"client_name": "Another"}));
    accepted(&world, EDITOR);
    assert_eq!(refresh().status, 200);
    assert_eq!(row(&world, EDITOR).unwrap().settings().name(), "Editor");
    // The approval writes over the row that was just changed.
    world.tokens(&editor);
    assert_eq!(row(&world, EDITOR).unwrap().settings().name(), "Another");
}

/// An administrator disables and deletes such an app like any other. A disabled one stays disabled, and is not fetched.
#[test]
fn a_disabled_app_stays_disabled_and_is_not_fetched() {
    let (world, site) = world();
    let editor = app(EDITOR);
    let tokens = world.tokens(&editor);
    let admin = world.server.admin("tester");
    block_on(admin.disable(&editor.id)).unwrap();
    world.advance(100_000);
    assert_eq!(refusal(&world, EDITOR), "app_disabled");
    world.refresh(&editor, tokens.text("refresh_token")).assert_error(401, "invalid_client");
    assert_eq!(site.fetches(), 1);
    block_on(admin.delete(&editor.id)).unwrap();
    accepted(&world, EDITOR);
    assert!(row(&world, EDITOR).is_none());
    assert_eq!(site.fetches(), 2);
}

/// An app that was adopted is the administrator's own: its document counts no longer.
#[test]
fn an_adopted_app_needs_its_document_no_longer() {
    let (world, site) = world();
    let editor = app(EDITOR);
    world.tokens(&editor);
    let admin = world.server.admin("tester");
    block_on(admin.set_origin(&editor.id, AppOrigin::Registered)).unwrap();
    site.take_down(EDITOR);
    world.advance(100_000);
    accepted(&world, EDITOR);
    assert_eq!(site.fetches(), 1);
}

/// Another process reads the description from the row, and fetches nothing while that is fresh.
#[test]
fn a_row_saves_other_processes_the_fetch() {
    let (world, site) = world();
    world.tokens(&app(EDITOR));
    let other = world.beside(new_key(), Arc::clone(&world.store), Arc::clone(&world.users));
    let other = other.client_documents(documents(&site)).build();
    let query = code_query(&app(EDITOR), &new_verifier(), &[]);
    block_on(other.authorization_request(&query, Caller::default())).unwrap();
    assert_eq!(site.fetches(), 1);
    world.advance(301);
    block_on(other.authorization_request(&query, Caller::default())).unwrap();
    assert_eq!(site.fetches(), 2);
}

/// M15: such an app gets the part of the requested scope that the template has.
#[test]
fn a_described_app_gets_the_part_of_the_scope_that_it_may_have() {
    let (world, _site) = world();
    let editor = app(EDITOR);
    let ask =
        |scope: &str| world.approve(&code_query(&editor, &new_verifier(), &[("scope", scope)]));
    let error = ask("admin").unwrap_err();
    assert!(error.location().unwrap().contains("error=invalid_scope"));
    let query = code_query(&editor, &new_verifier(), &[("scope", "a admin offline_access")]);
    let prompt = world.prompt(&query, &ann());
    let asked: Vec<_> = prompt.scopes.iter().map(|scope| scope.token.as_str()).collect();
    assert_eq!(asked, ["a"]);
}

/// L9: a document's loopback redirect works with the port that the app has chosen.
#[test]
fn a_documents_loopback_redirect_works_with_any_port() {
    let (world, site) = world();
    let uris = ["http://localhost/callback", "http://127.0.0.1/callback"];
    site.publish(EDITOR, &json!({"redirect_uris": uris}));
    for uri in ["http://localhost:51004/callback", "http://127.0.0.1:51004/callback"] {
        let query = code_query(&app(EDITOR), &new_verifier(), &[("redirect_uri", uri)]);
        let prompt = world.prompt(&query, &ann());
        assert_eq!(prompt.redirect_uri.as_str(), uri);
    }
    for uri in ["http://localhost:51004/other", CALLBACK] {
        let query = code_query(&app(EDITOR), &new_verifier(), &[("redirect_uri", uri)]);
        assert!(block_on(world.server.authorization_request(&query, Caller::default())).is_err());
    }
}

#[test]
fn the_description_of_an_unusable_member_names_it() {
    let rejection = Rejection::ClientDocument(DocumentProblem::Member("redirect_uris"));
    let expected = "redirect_uris in the client metadata document is not usable";
    assert_eq!(rejection.description(), expected);
    assert!(ClientId::new(EDITOR).is_ok());
}
