//! Consent to an app that describes itself.

use std::sync::Arc;

use grantor::endpoint::{Approval, Caller, Decision, Login, NextStep, Voucher};
use http::Response;
use pollster::block_on;
use serde_json::json;

use super::site::{EDITOR, Site, app, documents, row, world};
use crate::support::{CALLBACK, World, ann, code_query, new_key, new_verifier, scope, subject};

/// Sends `login` through the authorization endpoint, and approves if asked. Returns whether the user was asked.
fn is_asked(world: &World, login: &Login) -> bool {
    let query = code_query(&app(EDITOR), &new_verifier(), &[]);
    let request = block_on(world.server.authorization_request(&query, Caller::default())).unwrap();
    match block_on(world.server.authorize(request, Some(login))).unwrap() {
        NextStep::AskConsent(prompt) => {
            let yes = Decision::approve();
            block_on(world.server.decide(&prompt.ticket, login, yes, Caller::default())).unwrap();
            true
        }
        NextStep::Redirect(_) => false,
        NextStep::LogIn(_) => panic!("the user has to log in"),
    }
}

/// L13: the prompt says that the name is unverified, and has the host of the client id, that of the redirect, and
/// whether the answer stays on the user's device.
#[test]
fn a_prompt_has_the_facts_about_an_app_that_no_party_vouches_for() {
    let (world, site) = world();
    let facts = |uri: &str| {
        let query = code_query(&app(EDITOR), &new_verifier(), &[("redirect_uri", uri)]);
        let vouched_by = world.prompt(&query, &ann()).vouched_by;
        let Voucher::Unverified(facts) = vouched_by else { panic!("an administrator does") };
        facts
    };
    let web = facts(CALLBACK);
    assert_eq!(web.client_host.as_deref(), Some("editor.example"));
    assert_eq!(web.redirect_host.as_deref(), Some("app.example.com"));
    assert!(!web.only_loopback);
    let mixed = json!({"redirect_uris": [CALLBACK, "http://127.0.0.1:33418/", "a.b:/cb"]});
    site.publish(EDITOR, &mixed);
    world.advance(301);
    assert!(!facts(CALLBACK).only_loopback);
    assert!(facts("http://127.0.0.1:7777/").only_loopback, "an https URI silences no warning");
    site.publish(EDITOR, &json!({"redirect_uris": ["http://localhost/cb", "http://[::1]/cb"]}));
    world.advance(301);
    let local = facts("http://localhost:7777/cb");
    assert_eq!(local.redirect_host.as_deref(), Some("localhost"));
    assert!(local.only_loopback);
    assert_eq!(facts("http://[::1]:7777/cb").redirect_host.as_deref(), Some("[::1]"));
    let registered = world.register(crate::support::code_app());
    let query = code_query(&registered, &new_verifier(), &[]);
    assert_eq!(world.prompt(&query, &ann()).vouched_by, Voucher::Administrator);
}

/// L11: consent is remembered while the description stands. A changed name, redirect or key voids it, also that of
/// other users, and what was agreed before counts no longer.
#[test]
fn a_changed_description_voids_remembered_consent() {
    let bob = Login::new(subject("bob"), "session of bob");
    let uri = "https://app.example.com/other";
    let key = json!({"kty": "OKP", "crv": "Ed25519", "kid": "1",
        "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"});
    for change in [
        json!({"client_name": "Another"}),
        json!({"redirect_uris": [CALLBACK, uri]}),
        json!({"token_endpoint_auth_method": "private_key_jwt", "jwks": {"keys": [key]}}),
    ] {
        let (world, site) = world();
        for login in [&ann(), &bob] {
            assert!(is_asked(&world, login));
            assert!(!is_asked(&world, login), "remembered");
        }
        site.publish(EDITOR, &change);
        assert!(!is_asked(&world, &ann()), "the document is fresh");
        world.advance(301);
        let query = code_query(&app(EDITOR), &new_verifier(), &[]);
        let prompt = world.prompt(&query, &ann());
        assert!(prompt.scopes.iter().all(|scope| !scope.agreed), "{change}");
        assert!(is_asked(&world, &ann()), "{change}");
        assert!(!is_asked(&world, &ann()), "remembered again");
        assert!(is_asked(&world, &bob), "{change}");
        assert!(!is_asked(&world, &bob));
        assert_eq!(row(&world, EDITOR).unwrap().settings().scope(), &scope("a b c"));
    }
}

/// L13: a document may list the redirect URI of another app, or one on the user's device. Each use of such an app is
/// asked for, although the user agreed before.
#[test]
fn a_consent_is_not_remembered_for_redirects_to_several_hosts() {
    for other in ["https://evil.example/cb", "http://localhost/cb"] {
        let (world, site) = world();
        assert!(is_asked(&world, &ann()) && !is_asked(&world, &ann()));
        site.publish(EDITOR, &json!({"redirect_uris": [CALLBACK, other]}));
        world.advance(301);
        assert!(is_asked(&world, &ann()) && is_asked(&world, &ann()), "{other}");
        let more = [("redirect_uri", other), ("prompt", "none")];
        let error = world.approve(&code_query(&app(EDITOR), &new_verifier(), &more)).unwrap_err();
        assert!(error.location().unwrap().contains("error=consent_required"));
    }
}

/// L11: `prompt=none` gets no code by a consent to another description.
#[test]
fn a_silent_request_gets_nothing_by_a_void_consent() {
    let (world, site) = world();
    assert!(is_asked(&world, &ann()));
    let query = code_query(&app(EDITOR), &new_verifier(), &[("prompt", "none")]);
    assert!(world.approve(&query).unwrap().contains_key("code"));
    site.publish(EDITOR, &json!({"client_name": "Another"}));
    world.advance(301);
    let error = world.approve(&query).unwrap_err();
    assert!(error.location().unwrap().contains("error=consent_required"));
}

/// The user approves the description that the page showed. If it has changed meanwhile, the approval is refused.
#[test]
fn an_approval_is_for_the_description_on_the_page() {
    let (world, site) = world();
    let query = code_query(&app(EDITOR), &new_verifier(), &[]);
    let prompt = world.prompt(&query, &ann());
    site.publish(EDITOR, &json!({"client_name": "Another"}));
    world.advance(301);
    let yes = Decision::approve();
    let refused = block_on(world.server.decide(&prompt.ticket, &ann(), yes, Caller::default()));
    assert_eq!(refused.unwrap_err().location(), None);
    world.assert_refused("client", "client_document_changed", None);
    assert!(row(&world, EDITOR).is_none());
}

/// L11: the user approved the whole of another description after this one was fetched. A narrower approval of this one
/// is not widened by that.
#[test]
fn a_consent_to_another_description_widens_none() {
    let (world, site) = world();
    assert!(is_asked(&world, &ann()));
    world.advance(301);
    let old = world.beside(new_key(), Arc::clone(&world.store), Arc::clone(&world.users));
    let document = Site::document(EDITOR, &json!({})).to_string().into_bytes();
    let lasting = Response::builder().header("content-type", "application/json");
    site.answer(EDITOR, lasting.header("cache-control", "max-age=3600").body(document).unwrap());
    let old = old.client_documents(documents(&site)).build();
    let query = code_query(&app(EDITOR), &new_verifier(), &[("prompt", "consent")]);
    let at_old = || block_on(old.authorization_request(&query, Caller::default())).unwrap();
    at_old();
    site.publish(EDITOR, &json!({"client_name": "Another"}));
    let prompt = world.prompt(&query, &ann());
    assert_eq!(prompt.app_name, "Another");
    world.advance(30);
    let NextStep::AskConsent(whole) = block_on(old.authorize(at_old(), Some(&ann()))).unwrap()
    else {
        panic!("asked for by the app")
    };
    assert_eq!(whole.app_name, "Editor");
    let yes = Decision::approve();
    block_on(old.decide(&whole.ticket, &ann(), yes, Caller::default())).unwrap();
    world.advance(1);
    let part = Decision::Approve(Approval::default().with_scope(scope("a")));
    block_on(world.server.decide(&prompt.ticket, &ann(), part, Caller::default())).unwrap();
    let silent = |scope: &str| {
        let more = [("scope", scope), ("prompt", "none")];
        world.approve(&code_query(&app(EDITOR), &new_verifier(), &more)).is_ok()
    };
    assert!(silent("a") && !silent("a b"));
}

/// The description changes after the user was asked, and before the decision, of an app that others use already: the
/// approval is refused, and the row stays as it was.
#[test]
fn a_description_that_changes_before_the_decision_voids_the_page() {
    let (world, site) = world();
    let bob = Login::new(subject("bob"), "session of bob");
    assert!(is_asked(&world, &bob));
    let query = code_query(&app(EDITOR), &new_verifier(), &[]);
    let prompt = world.prompt(&query, &ann());
    let before = row(&world, EDITOR).unwrap();
    site.publish(EDITOR, &json!({"redirect_uris": [CALLBACK, "https://app.example.com/other"]}));
    world.advance(301);
    let yes = Decision::approve();
    let refused = block_on(world.server.decide(&prompt.ticket, &ann(), yes, Caller::default()));
    assert_eq!(refused.unwrap_err().location(), None);
    world.assert_refused("client", "client_document_changed", None);
    assert_eq!(row(&world, EDITOR).unwrap().version(), before.version());
    assert!(is_asked(&world, &ann()));
    assert_eq!(row(&world, EDITOR).unwrap().settings().redirect_uris().len(), 2);
}

/// Two users who approve first at the same time: one row, and each gets a code.
#[test]
fn first_approvals_at_once_write_one_row() {
    let (world, _site) = world();
    let logins = ["ann", "bob"].map(|name| Login::new(subject(name), format!("session of {name}")));
    let query = code_query(&app(EDITOR), &new_verifier(), &[]);
    let prompts = logins.each_ref().map(|login| world.prompt(&query, login));
    for (login, prompt) in logins.iter().zip(prompts) {
        let yes = Decision::approve();
        block_on(world.server.decide(&prompt.ticket, login, yes, Caller::default())).unwrap();
    }
    assert!(row(&world, EDITOR).is_some());
}

/// A process with an older description takes the newer one from the row.
#[test]
fn a_process_with_an_older_description_takes_the_row() {
    let (world, site) = world();
    let other = world.beside(new_key(), Arc::clone(&world.store), Arc::clone(&world.users));
    let other = other.client_documents(documents(&site)).build();
    let query = code_query(&app(EDITOR), &new_verifier(), &[]);
    block_on(other.authorization_request(&query, Caller::default())).unwrap();
    world.advance(200);
    site.publish(EDITOR, &json!({"client_name": "Newer"}));
    assert!(is_asked(&world, &ann()));
    let request = block_on(other.authorization_request(&query, Caller::default())).unwrap();
    assert_eq!(request.app().settings().name(), "Newer");
    assert_eq!(site.fetches(), 2);
}
