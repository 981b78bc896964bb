//! Token revocation, RFC 7009.

use std::sync::Arc;

use grantor::app::RateQuota;
use grantor::audit::{Actor, AuditEvent};
use grantor::endpoint::FormRequest;
use grantor::error::EndpointError;
use grantor::ids::{ClientId, GrantId};
use grantor::jwt::{Algorithm, SigningKey};
use grantor::observe::Step;
use grantor::rate_limit::RateLimits;
use grantor::server_secret::ServerSecret;
use grantor::store::{FeedCursor, Grant, GrantStore, RevocationReason, RevocationTarget};
use pollster::block_on;
use serde_json::{Value, json};

use crate::assertions::{Signer, backend_app};
use crate::concurrency::{THREADS, race, refreshment, two};
use crate::faulty_store::{Method, PLANTED, faulty_server};
use crate::support::{
    Answer, App, ROOT, START, World, ask, basic, body_of, code_app, encode, machine_app,
    public_app, scope, subject,
};

fn refresh_token(answer: &Answer) -> &str {
    answer.text("refresh_token")
}

fn access_token(answer: &Answer) -> &str {
    answer.text("access_token")
}

fn grant_id(answer: &Answer) -> GrantId {
    answer.claims()["grant_id"].as_str().unwrap().parse().unwrap()
}

/// Returns a token of an app that acts for itself.
fn machine_token(world: &World, app: &App) -> Answer {
    let answer = world.post(app, &[("grant_type", "client_credentials")]);
    assert_eq!(answer.status, 200);
    answer
}

#[track_caller]
fn assert_done(answer: &Answer) {
    assert_eq!((answer.status, &answer.json), (200, &Value::Null));
}

/// Asserts that the newest event is a revocation that was refused for this reason.
#[track_caller]
fn assert_nothing_revoked(world: &World, step: &str, reason: &str) -> AuditEvent {
    world.assert_refused(step, reason, None);
    let event = world.last_event();
    assert_eq!(event.action.as_str(), "revoke_token");
    event
}

/// V1: the token is mandatory, which is checked before client authentication.
#[test]
fn a_request_without_a_token_is_malformed() {
    let world = World::unlimited();
    let app = world.register(code_app());
    let liar = App { secret: Some("wrong".to_owned()), ..app.clone() };
    for who in [&app, &liar] {
        for form in [&[][..], &[("token", "")], &[("token_type_hint", "refresh_token")]] {
            let answer = world.revoke_form(None, &body_of(who, form));
            answer.assert_error(400, "invalid_request");
            assert_eq!(answer.text("error_description"), "token is missing");
        }
        let twice = [("token", "a"), ("token", "a")];
        world.revoke_form(None, &body_of(who, &twice)).assert_error(400, "invalid_request");
        assert_eq!(world.last_event().outcome.reason(), Some("duplicate_parameter"));
    }
}

/// V2, V9: revoking an unknown or malformed token succeeds, any number of times, and revokes nothing.
#[test]
fn revoking_an_unknown_token_succeeds() {
    let world = World::unlimited();
    let app = world.register(code_app());
    let tokens = world.tokens(&app);
    let (code, verifier) = world.code(&app);
    let other_server = World::unlimited();
    let other_app = other_server.import(app.id.as_str(), code_app());
    let foreign = other_server.tokens(&other_app);
    let forged = Signer::backend().sign(&tokens.claims());
    let token = refresh_token(&tokens);
    let cut = &token[..token.len() - 1];
    for unknown in
        ["garbage", "grt_", "grt_AAAA", "a.b.c", cut, &forged, access_token(&foreign), &code]
    {
        for _ in 0..2 {
            assert_done(&world.revoke(&app, unknown));
            let event = assert_nothing_revoked(&world, "grant", "unknown_token");
            assert_eq!(event.actor, Actor::App(app.id.clone()));
        }
    }
    assert_eq!(world.redeem(&app, &code, &verifier).status, 200);
    assert!(!world.is_revoked(&tokens));
    assert_eq!(world.refresh(&app, refresh_token(&tokens)).status, 200);
}

/// V2: a handle under the server's secret that does not match its row revokes nothing.
#[test]
fn a_handle_that_does_not_match_its_row_is_unknown() {
    let world = World::unlimited();
    let app = world.import("app", code_app());
    let tokens = world.tokens(&app);
    let other = World::unlimited();
    let twin = other.import("app", code_app());
    assert_done(&other.revoke(&twin, refresh_token(&tokens)));
    assert_nothing_revoked(&other, "grant", "unknown_token");

    let id = grant_id(&tokens);
    let mut row = Grant::new(id, twin.id.clone(), subject("ann"), scope("a"));
    row.authorized_at = other.clock_now();
    row.expires_at = row.authorized_at.plus(std::time::Duration::from_mins(1));
    block_on(other.store.insert_grant(row)).unwrap();
    assert_done(&other.revoke(&twin, refresh_token(&tokens)));
    assert_nothing_revoked(&other, "grant", "unknown_token");
    assert_eq!(block_on(other.store.find_grant(&id)).unwrap().unwrap().revoked, None);
}

/// V3: the hint has no effect.
#[test]
fn a_token_type_hint_has_no_effect() {
    let world = World::unlimited();
    let app = world.register(code_app());
    for hint in ["access_token", "refresh_token", "id_token", "", "garbage"] {
        for kind in ["access_token", "refresh_token"] {
            let tokens = world.tokens(&app);
            let form = [("token", tokens.text(kind)), ("token_type_hint", hint)];
            assert_done(&world.revoke_form(None, &body_of(&app, &form)));
            assert!(world.is_revoked(&tokens), "{hint} {kind}");
        }
    }
}

/// V4: revoking the token of another app succeeds without effect, and is audited.
#[test]
fn the_token_of_another_app_is_not_revoked() {
    let world = World::unlimited();
    for (owner, stranger) in
        [(code_app(), code_app()), (public_app(), public_app()), (code_app(), public_app())]
    {
        let (owner, stranger) = (world.register(owner), world.register(stranger));
        let tokens = world.tokens(&owner);
        let actor = match &stranger.secret {
            Some(_) => Actor::App(stranger.id.clone()),
            None => Actor::Unknown,
        };
        assert_done(&world.revoke(&stranger, access_token(&tokens)));
        let event = assert_nothing_revoked(&world, "grant", "foreign_token");
        assert_eq!((&event.actor, &event.client_id), (&actor, &Some(stranger.id.clone())));
        assert_eq!(event.grant_id, Some(grant_id(&tokens)));
        assert_done(&world.revoke(&stranger, refresh_token(&tokens)));
        let event = assert_nothing_revoked(&world, "grant", "unknown_token");
        assert_eq!(event.actor, actor);
        assert!(!world.is_revoked(&tokens));
        assert_eq!(world.refresh(&owner, refresh_token(&tokens)).status, 200);
    }
}

/// V5: a refresh token, live or spent, revokes its grant with every token of it, and no other
/// grant. A public app sends only its client id.
#[test]
fn revoking_a_refresh_token_revokes_its_grant() {
    let world = World::unlimited();
    for draft in [code_app(), public_app()] {
        for spent in [false, true] {
            let app = world.register(draft.clone());
            let beside = world.tokens(&app);
            let first = world.tokens(&app);
            let second = world.refresh(&app, refresh_token(&first));
            let given_back = if spent { &first } else { &second };
            assert_done(&world.revoke(&app, refresh_token(given_back)));

            let event = world.last_event();
            assert_eq!(
                (event.action.as_str(), event.outcome.as_str()),
                ("revoke_token", "success")
            );
            assert_eq!(event.actor, Actor::App(app.id.clone()));
            assert_eq!(event.subject, Some(subject("ann")));
            assert_eq!(event.grant_id, Some(grant_id(&first)));
            assert_eq!(event.source, Some(world.source.clone()));
            let row = block_on(world.store.find_grant(&grant_id(&first))).unwrap().unwrap();
            assert_eq!(row.revoked.map(|(_, why)| why), Some(RevocationReason::Client));
            for answer in [&first, &second] {
                assert!(world.is_revoked(answer));
                world.refresh(&app, refresh_token(answer)).assert_error(400, "invalid_grant");
            }
            assert!(!world.is_revoked(&beside));
            assert_eq!(world.refresh(&app, refresh_token(&beside)).status, 200);
        }
    }
}

/// V6: an access token revokes its grant, the refresh token included.
#[test]
fn revoking_an_access_token_revokes_its_grant() {
    let world = World::unlimited();
    for draft in [code_app(), public_app()] {
        let app = world.register(draft);
        let tokens = world.tokens(&app);
        let later = world.refresh(&app, refresh_token(&tokens));
        assert_done(&world.revoke(&app, access_token(&tokens)));
        assert_eq!(world.last_event().grant_id, Some(grant_id(&tokens)));
        assert!(world.is_revoked(&tokens) && world.is_revoked(&later));
        world.refresh(&app, refresh_token(&later)).assert_error(400, "invalid_grant");
    }
}

/// V6: if the grant has no row, it leaves a tombstone for the lifetime of the token plus a minute.
/// No other token of the app is revoked.
#[test]
fn revoking_an_access_token_without_a_row_leaves_a_tombstone() {
    let world = World::unlimited();
    let machine = world.register(machine_app().access_token_lifetime(600));
    let back_end = world.register(backend_app().access_token_lifetime(600));
    let acted = world.act(&back_end, &json!({}));
    for (app, given_back, beside) in [
        (&machine, machine_token(&world, &machine), machine_token(&world, &machine)),
        (&back_end, acted, world.act(&back_end, &json!({}))),
    ] {
        assert_done(&world.revoke(app, access_token(&given_back)));
        assert!(world.is_revoked(&given_back));
        assert!(!world.is_revoked(&beside));
        let now = world.clock_now();
        let feed = world.store.revocations_since(FeedCursor::default(), 1_000, now);
        let entry = block_on(feed).unwrap().entries.pop().unwrap();
        assert_eq!(entry.target, RevocationTarget::Grant(grant_id(&given_back)));
        assert_eq!(entry.why, RevocationReason::Client);
        assert_eq!(entry.until.as_seconds(), START + 660);
    }
    assert_eq!(world.server.usage(&machine.id).refused, 0);
    assert_eq!(world.server.usage(&machine.id).issued.values().sum::<u64>(), 2);
}

/// V7: without client authentication nothing is revoked. The client id alone is enough for a public
/// app only.
#[test]
fn only_an_authenticated_app_may_revoke() {
    let world = World::unlimited();
    let app = world.register(code_app());
    let tokens = world.tokens(&app);
    let token = ("token", refresh_token(&tokens));
    let id = app.id.as_str();
    let secret = app.secret.as_deref().unwrap();
    let form = encode(&[token]);
    for refused in [
        world.revoke_form(None, &form),
        world.revoke_form(None, &encode(&[token, ("client_id", id)])),
        world.revoke_form(None, &encode(&[token, ("client_id", "unknown")])),
        world.revoke_form(Some(&basic(id, "wrong")), &form),
        world.revoke_form(Some(&basic("unknown", secret)), &form),
        world.revoke_form(Some(&format!("Bearer {}", access_token(&tokens))), &form),
        world.revoke_form(None, &encode(&[token, ("client_id", id), ("client_secret", "wrong")])),
    ] {
        refused.assert_error(401, "invalid_client");
        let event = world.last_event();
        assert_eq!((event.action.as_str(), event.actor), ("revoke_token", Actor::Unknown));
        assert_eq!(event.outcome.step(), Some(Step::Client));
    }
    block_on(world.server.admin("tester").disable(&app.id)).unwrap();
    world.revoke(&app, token.1).assert_error(401, "invalid_client");
    block_on(world.server.admin("tester").enable(&app.id)).unwrap();
    let tokens = world.tokens(&app);
    assert_done(
        &world.revoke_form(Some(&basic(id, secret)), &encode(&[("token", refresh_token(&tokens))])),
    );
    assert!(world.is_revoked(&tokens));
}

/// V8: a store failure at any call, before or after its effect, is 503. The repeated request
/// revokes the grant.
#[test]
fn a_revocation_may_be_repeated_after_a_store_failure() {
    let world = World::unlimited();
    let app = world.register(code_app());
    let server = faulty_server(&world);
    for method in [Method::FindApp, Method::FindGrant, Method::Revoke] {
        for done in [false, true] {
            let tokens = world.tokens(&app);
            let body = body_of(&app, &[("token", refresh_token(&tokens))]);
            let revoke = || block_on(server.revoke(&FormRequest::new(&body)));
            if done {
                server.store().fail_after(method, 1);
            } else {
                server.store().fail_before(method, 1);
            }
            let error = revoke().unwrap_err();
            assert!(matches!(error, EndpointError::Unavailable(_)));
            let answer = Answer::from(Err::<(), _>(error));
            answer.assert_error(503, "temporarily_unavailable");
            assert!(answer.retry_after.is_some_and(|seconds| seconds > 0), "{answer:?}");
            assert!(!answer.json.to_string().contains(PLANTED));
            let event = world.last_event();
            assert_eq!((event.action.as_str(), event.outcome.as_str()), ("revoke_token", "failed"));
            assert!(event.outcome.reason().unwrap().contains(PLANTED));
            assert_eq!(world.is_revoked(&tokens), method == Method::Revoke && done);

            server.store().take_calls();
            assert_done(&Answer::from(revoke()));
            let calls = [Method::FindApp, Method::FindGrant, Method::Revoke];
            assert_eq!(server.store().take_calls(), calls);
            assert!(world.is_revoked(&tokens));
            world.refresh(&app, refresh_token(&tokens)).assert_error(400, "invalid_grant");
        }
    }
}

/// V9: revoking a revoked token succeeds.
#[test]
fn revoking_twice_succeeds() {
    let world = World::unlimited();
    let app = world.register(code_app());
    let tokens = world.tokens(&app);
    for kind in ["refresh_token", "access_token", "refresh_token"] {
        assert_done(&world.revoke(&app, tokens.text(kind)));
        assert_eq!(world.last_event().outcome.as_str(), "success");
        world.advance(1);
    }
    let row = block_on(world.store.find_grant(&grant_id(&tokens))).unwrap().unwrap();
    assert_eq!(row.revoked.map(|(at, _)| at.as_seconds()), Some(START));
}

/// The requests of an app count against its budget at every endpoint.
#[test]
fn revocations_count_against_the_budget_of_the_app() {
    let limits = RateLimits::default().with_volume(RateQuota::new(60, 3));
    for draft in [code_app(), public_app()] {
        let world = World::with(|builder| builder.rate_limits(limits));
        let app = world.register(draft);
        let tokens = world.tokens(&app);
        for _ in 0..2 {
            assert_done(&world.revoke(&app, refresh_token(&tokens)));
        }
        let refused = world.revoke(&app, refresh_token(&tokens));
        refused.assert_error(429, "temporarily_unavailable");
        assert_eq!(refused.retry_after, Some(1));
    }
}

/// A stranger who names a public app can neither guess without limit nor spend its budget.
#[test]
fn guesses_under_the_name_of_a_public_app_count_as_failures() {
    let limits = RateLimits::default()
        .with_volume(RateQuota::new(60, 2))
        .with_failures(RateQuota::new(6, 3));
    let world = World::with(|builder| builder.rate_limits(limits));
    let app = world.register(public_app());
    let tokens = world.tokens(&app);
    for _ in 0..3 {
        assert_done(&world.revoke(&app, "grt_guess"));
    }
    world.revoke(&app, "grt_guess").assert_error(429, "temporarily_unavailable");
    assert_eq!(world.last_event().outcome.reason(), Some("too_many_failures"));
    world.advance(30);
    assert_done(&world.revoke(&app, refresh_token(&tokens)));
    assert!(world.is_revoked(&tokens));
}

/// R20, V5: revoking a token while many requests rotate it leaves no live token.
#[test]
fn revoking_a_token_during_its_rotation_leaves_no_live_token() {
    let world = World::unlimited();
    let servers = two(&world);
    let app = world.register(code_app());
    for round in 0..100 {
        let first = world.tokens(&app);
        // The siblings sign with their own keys, and know each other's refresh tokens only.
        let given_back = body_of(&app, &[("token", refresh_token(&first))]);
        let answers = race(|index| {
            let mut got = Vec::new();
            if index < 2 + round % (THREADS - 4) {
                let answer = block_on(servers[index % 2].revoke(&FormRequest::new(&given_back)));
                assert_done(&Answer::from(answer));
            } else {
                let mut next = refreshment(&app, refresh_token(&first));
                for _ in 0..3 {
                    let answer = ask(&servers[index % 2], &next);
                    if answer.status != 200 {
                        // 503: others used its successor between its look and its claim.
                        let (status, error) = match answer.status {
                            503 => (503, "temporarily_unavailable"),
                            _ => (400, "invalid_grant"),
                        };
                        answer.assert_error(status, error);
                        break;
                    }
                    next = refreshment(&app, refresh_token(&answer));
                    got.push(answer);
                }
            }
            got
        });
        for answer in answers.iter().flatten().chain([&first]) {
            assert!(world.is_revoked(answer));
            world.refresh(&app, refresh_token(answer)).assert_error(400, "invalid_grant");
        }
    }
}

/// A token under a published key that no longer signs is known. A token of another server is not.
#[test]
fn a_token_under_a_published_key_is_known() {
    let old = SigningKey::generate(Algorithm::ES256).unwrap();
    let published = old.verifying_key();
    let world =
        World::with(|builder| builder.published_key(published).rate_limits(RateLimits::none()));
    let app = world.register(machine_app());
    let before = world.beside(old, Arc::clone(&world.store), Arc::clone(&world.users)).build();
    let token = ask(&before, &body_of(&app, &[("grant_type", "client_credentials")]));
    assert_done(&world.revoke(&app, access_token(&token)));
    assert!(world.is_revoked(&token));

    let stranger = world.sibling(ServerSecret::new(ROOT).unwrap());
    let token = ask(&stranger, &body_of(&app, &[("grant_type", "client_credentials")]));
    assert_done(&world.revoke(&app, access_token(&token)));
    assert_nothing_revoked(&world, "grant", "unknown_token");
    assert!(!world.is_revoked(&token));
}

/// An event names the app, and shows no part of the token.
#[test]
fn no_event_shows_a_token() {
    let world = World::unlimited();
    let (app, other) = (world.register(code_app()), world.register(code_app()));
    let tokens = world.tokens(&app);
    for who in [&other, &app] {
        for kind in ["access_token", "refresh_token"] {
            world.revoke(who, tokens.text(kind));
            let event = world.last_event();
            assert_eq!(event.client_id.as_ref().map(ClientId::as_str), Some(who.id.as_str()));
            let shown = format!("{event:?} {}", serde_json::to_string(&event).unwrap());
            for kind in ["access_token", "refresh_token"] {
                assert!(!shown.contains(&tokens.text(kind)[..30]), "{shown}");
            }
            assert!(!shown.contains(who.secret.as_deref().unwrap()));
        }
    }
}

/// N17: an expired token of the app ends its grant, and is not a guess: many users who log out late behind
/// one address lock no app out.
#[test]
fn revoking_an_expired_token_ends_its_grant_and_is_not_a_failure() {
    let limits = RateLimits::default().with_failures(RateQuota::new(6, 3));
    let world = World::with(|builder| builder.rate_limits(limits));
    let app = world.register(public_app());
    let tokens = world.tokens(&app);
    world.advance(3_600);
    for _ in 0..4 {
        assert_done(&world.revoke(&app, access_token(&tokens)));
        assert_eq!(world.last_event().outcome.as_str(), "success");
    }
    world.refresh(&app, refresh_token(&tokens)).assert_error(400, "invalid_grant");
}
