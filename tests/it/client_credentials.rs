//! The client credentials grant (RFC 6749 section 4.4): the app acts for itself.

use std::sync::Arc;

use grantor::app::{AppDraft, Flow};
use grantor::clock::{Clock as _, UnixTime};
use grantor::store::{CachedApps, RevocationTarget};
use pollster::block_on;

use crate::faulty_store::{Method, faulty_server, post};
use crate::support::{Answer, App, START, World, ask, body_of, code_app, new_key, scope};

const GRANT: (&str, &str) = ("grant_type", "client_credentials");

fn service() -> AppDraft {
    AppDraft::confidential("Nightly job").flow(Flow::ClientCredentials).scope(scope("a b c"))
}

fn token(world: &World, app: &App) -> Answer {
    let answer = world.post(app, &[GRANT]);
    assert_eq!(answer.status, 200, "{answer:?}");
    answer
}

/// X1: no refresh token, even if the app has refresh tokens by another flow. The app is its own
/// subject, and the token has no actor.
#[test]
fn an_app_gets_an_access_token_for_itself_and_no_refresh_token() {
    let world = World::new();
    let both = code_app().flow(Flow::ClientCredentials).refresh_token(true);
    for draft in [service(), both] {
        let app = world.register(draft);
        let answer = token(&world, &app);
        assert!(answer.json.get("refresh_token").is_none());
        let claims = answer.claims();
        assert_eq!(claims["sub"], app.id.as_str());
        assert_eq!(claims["client_id"], app.id.as_str());
        assert_eq!(claims["scope"], "a b c");
        assert!(claims.get("act").is_none() && claims.get("device").is_none());
        assert_eq!(claims["authorized_at"], (START - 5) * 1_000);
    }
}

/// X2: scope beyond the app's is refused, not dropped; narrower scope is granted.
#[test]
fn scope_beyond_the_app_is_refused() {
    let world = World::new();
    let app = world.register(service());
    for asked in ["d", "a d", "a b c d", "A", "*"] {
        world.post(&app, &[GRANT, ("scope", asked)]).assert_error(400, "invalid_scope");
        assert_eq!(world.last_event().outcome.reason(), Some("scope_exceeds_app"));
    }
    world.post(&app, &[GRANT, ("scope", "a\\b")]).assert_error(400, "invalid_scope");
    let answer = world.post(&app, &[GRANT, ("scope", "c a")]);
    assert!(["a c", "c a"].contains(&answer.text("scope")), "{answer:?}");
}

/// X1: a public app cannot be registered with the flow, and gets no token by it.
#[test]
fn a_public_app_gets_no_token() {
    let world = World::new();
    let draft = AppDraft::public("Phone").flow(Flow::ClientCredentials);
    assert_eq!(draft.build().unwrap_err().field(), "flows");
    let uri = grantor::protocol::RedirectUri::parse("com.example.app:/done").unwrap();
    let draft = AppDraft::public("Phone").flow(Flow::AuthorizationCode).redirect_uri(uri);
    let app = world.register(draft);
    world.post(&app, &[GRANT]).assert_error(400, "unauthorized_client");
    let app = world.register(code_app());
    world.post(&app, &[GRANT]).assert_error(400, "unauthorized_client");
}

/// The store looks up the app and does nothing else.
#[test]
fn a_token_costs_the_store_one_lookup_of_the_app() {
    let world = World::new();
    let server = faulty_server(&world);
    let app = world.register(service());
    assert_eq!(post(&server, &app, &[GRANT]).status, 200);
    assert_eq!(server.store().take_calls(), [Method::FindApp]);
}

/// N1: revoking an app ends its live tokens at once, even one minted in the same millisecond. The
/// next token of a process that has seen the revocation lives.
#[test]
fn a_revocation_leaves_no_survivor() {
    let world = World::new();
    let app = world.register(service());
    let other = world.register(service());
    let before = token(&world, &app);
    world.advance(60);
    let last_minute = token(&world, &app);
    let bystander = token(&world, &other);
    let admin = world.server.admin("tester");
    block_on(admin.revoke(RevocationTarget::App(app.id.clone()))).unwrap();
    assert!(world.is_revoked(&before) && world.is_revoked(&last_minute));
    assert!(!world.is_revoked(&bystander));

    for _ in 0..3 {
        let after = token(&world, &app);
        assert!(!world.is_revoked(&after), "dead on arrival");
        block_on(admin.revoke(RevocationTarget::App(app.id.clone()))).unwrap();
        assert!(world.is_revoked(&after));
    }
}

/// N1: a process with a cache learns of the revocations of others when it asks for their changes, before the
/// request begins.
#[test]
fn a_process_with_a_cache_learns_of_the_revocations_of_others() {
    let world = World::new();
    let app = world.register(service());
    let store = CachedApps::new(Arc::clone(&world.store)).clock(Arc::clone(&world.clock));
    let other = world.beside(new_key(), store, Arc::clone(&world.users)).build();
    let body = body_of(&app, &[GRANT]);
    let before = ask(&other, &body);
    assert_eq!(before.status, 200);
    let admin = world.server.admin("tester");
    block_on(admin.revoke(RevocationTarget::App(app.id.clone()))).unwrap();
    assert!(world.is_revoked(&before));
    world.advance(1);
    assert!(!world.is_revoked(&ask(&other, &body)), "dead on arrival");
    // Its own it knows at once.
    block_on(other.admin("tester").revoke(RevocationTarget::App(app.id.clone()))).unwrap();
    assert!(!world.is_revoked(&ask(&other, &body)), "dead on arrival");
}

/// N1: what a process dates after a revocation does not rest on an app from before it: an app that another
/// process has disabled gets no token that would live when it is enabled again.
#[test]
fn a_disabled_app_gets_no_token_that_lives_when_it_is_enabled() {
    let world = World::new();
    let (app, beside) = (world.register(service()), world.register(service()));
    let store = CachedApps::new(Arc::clone(&world.store)).clock(Arc::clone(&world.clock));
    let other = world.beside(new_key(), store, Arc::clone(&world.users)).build();
    let body = body_of(&app, &[GRANT]);
    assert_eq!(ask(&other, &body).status, 200);
    let admin = world.server.admin("tester");
    for own in [false, true] {
        block_on(admin.disable(&app.id)).unwrap();
        if own {
            let target = RevocationTarget::App(beside.id.clone());
            block_on(other.admin("tester").revoke(target)).unwrap();
        }
        let answer = ask(&other, &body);
        block_on(admin.enable(&app.id)).unwrap();
        assert!(answer.status != 200 || world.is_revoked(&answer), "{own} {answer:?}");
        world.advance(1);
        assert_eq!(ask(&other, &body).status, 200);
    }
}

/// If this process' clock runs up to 5 s ahead of the store's, a revocation still covers its
/// tokens.
#[test]
fn a_clock_that_runs_ahead_hides_no_token_from_a_revocation() {
    let world = World::new();
    let app = world.register(service());
    world.clock.set(UnixTime::from_millis(START * 1_000 + 5_000));
    let ahead = token(&world, &app);
    world.clock.set(UnixTime::from_seconds(START));
    let admin = world.server.admin("tester");
    block_on(admin.revoke(RevocationTarget::App(app.id.clone()))).unwrap();
    assert!(world.is_revoked(&ahead), "{}", world.clock.now());
}

/// Revoking the app as a subject, everything, or the one grant ends the token, too.
#[test]
fn every_covering_revocation_target_ends_the_token() {
    let world = World::new();
    let app = world.register(service());
    let admin = world.server.admin("tester");
    let subject = crate::support::subject(app.id.as_str());
    let grant = |answer: &Answer| answer.claims()["grant_id"].as_str().unwrap().parse().unwrap();
    let one = token(&world, &app);
    let two = token(&world, &app);
    assert_ne!(one.claims()["grant_id"], two.claims()["grant_id"]);
    block_on(admin.revoke(RevocationTarget::Grant(grant(&one)))).unwrap();
    assert!(world.is_revoked(&one) && !world.is_revoked(&two));
    for target in [
        RevocationTarget::Subject(subject.clone()),
        RevocationTarget::AppAndSubject(app.id.clone(), subject),
        RevocationTarget::Everything,
    ] {
        world.advance(60);
        let token = token(&world, &app);
        assert!(!world.is_revoked(&token));
        block_on(admin.revoke(target)).unwrap();
        assert!(world.is_revoked(&token));
    }
}
