//! Spent refresh tokens: retries within the grace, reuse outside it, strangers, store failures, and
//! a rewound store.

use std::sync::Arc;
use std::time::Duration;

use grantor::audit::Severity;
use grantor::clock::UnixTime;
use grantor::ids::GrantId;
use grantor::store::{AppRegistry, GrantStore, MemoryStore, RevocationTarget};
use pollster::block_on;

use crate::faulty_store::{Method, PLANTED, faulty_server, post};
use crate::support::{
    Answer, App, START, World, ask, body_of, code_app, new_key, public_app, subject,
};

const SPENT: &str = "refresh_token_reused";

fn token(answer: &Answer) -> &str {
    answer.text("refresh_token")
}

fn grant_id(answer: &Answer) -> GrantId {
    answer.claims()["grant_id"].as_str().unwrap().parse().unwrap()
}

/// Asserts that no token of the grant of these answers lives.
#[track_caller]
fn assert_dead(world: &World, app: &App, answers: &[&Answer]) {
    for answer in answers {
        assert!(world.is_revoked(answer));
        world.refresh(app, token(answer)).assert_error(400, "invalid_grant");
    }
}

/// R8: every rotation gives a new token of the same grant.
#[test]
fn every_refresh_gives_a_new_token() {
    let world = World::unlimited();
    let app = world.register(code_app());
    let mut tokens = world.tokens(&app);
    let mut seen = std::collections::HashSet::from([token(&tokens).to_owned()]);
    for _ in 0..50 {
        tokens = world.refresh(&app, token(&tokens));
        assert!(seen.insert(token(&tokens).to_owned()));
    }
    assert_eq!(world.count("retry_refresh"), 0);
}

/// R9, R10: a spent token outside the grace revokes the whole family, access tokens too. The alarm
/// names the grant.
#[test]
fn a_reused_token_revokes_its_family() {
    let world = World::unlimited();
    let app = world.register(code_app());
    let first = world.tokens(&app);
    let second = world.refresh(&app, token(&first));
    let third = world.refresh(&app, token(&second));
    let beside = world.tokens(&app);
    world.advance(30);
    world.refresh(&app, token(&second)).assert_error(400, "invalid_grant");
    world.assert_refused("claim", SPENT, None);
    let event = &world.events()[0];
    assert_eq!(event.severity(), Severity::Warning);
    assert_eq!(event.grant_id, Some(grant_id(&first)));
    assert_eq!(event.subject, Some(subject("ann")));
    assert_dead(&world, &app, &[&first, &second, &third]);
    assert!(!world.is_revoked(&beside));
    assert_eq!(world.refresh(&app, token(&beside)).status, 200);
}

/// R9: reuse revokes the family even if the request would be refused for another reason.
#[test]
fn reuse_revokes_the_family_even_if_the_request_is_otherwise_invalid() {
    let world = World::unlimited();
    let app = world.register(code_app().refresh_grace(Some(0)));
    let first = world.tokens(&app);
    let second = world.refresh(&app, token(&first));
    world.users.remove(&subject("ann"));
    let form = [("grant_type", "refresh_token"), ("refresh_token", token(&first)), ("scope", "z")];
    world.post(&app, &form).assert_error(400, "invalid_grant");
    world.assert_refused("claim", SPENT, None);
    assert!(world.is_revoked(&second));
}

/// R11: a spent token of a stranger revokes nothing.
#[test]
fn a_spent_token_of_a_stranger_revokes_nothing() {
    let world = World::unlimited();
    for draft in [code_app(), public_app()] {
        let app = world.register(draft.refresh_grace(Some(0)));
        let first = world.tokens(&app);
        let second = world.refresh(&app, token(&first));
        let strangers = [world.register(code_app()), world.register(public_app())];
        for stranger in &strangers {
            world.refresh(stranger, token(&first)).assert_error(400, "invalid_grant");
            world.assert_refused("grant", "invalid_handle", None);
        }
        let guess = App { secret: Some("guess".to_owned()), ..app.clone() };
        world.refresh(&guess, token(&first)).assert_error(401, "invalid_client");
        assert!(!world.is_revoked(&second));
        assert_eq!(world.refresh(&app, token(&second)).status, 200);
    }
}

/// R12: within the grace the immediate predecessor gets the same successor byte for byte, and a
/// fresh access token of the same grant. The first retry is audited with its source.
#[test]
fn a_retry_gets_the_same_successor_byte_for_byte() {
    let world = World::unlimited();
    let app = world.register(code_app());
    let first = world.tokens(&app);
    let second = world.refresh(&app, token(&first));
    for retry in 1..=5 {
        world.advance(5);
        let again = world.refresh(&app, token(&first));
        assert_eq!(token(&again), token(&second));
        assert_ne!(again.claims()["jti"], second.claims()["jti"]);
        assert_eq!(again.claims()["grant_id"], second.claims()["grant_id"]);
        assert!(!world.is_revoked(&again));
        assert_eq!(world.count("retry_refresh"), 1);
        if retry == 1 {
            assert_eq!(world.events()[1].action.as_str(), "retry_refresh");
            assert_eq!(world.events()[1].source, Some(world.source.clone()));
        }
    }
    let third = world.refresh(&app, token(&second));
    assert_eq!(third.status, 200);
    assert_eq!(world.count("retry_refresh"), 1);
}

/// R12: the grace is the app's: 30 s for a confidential app, 10 s for a public one, the configured
/// one, or none; to the millisecond.
#[test]
fn the_grace_ends_at_its_configured_time() {
    let world = World::unlimited();
    for (draft, millis) in [
        (code_app(), 30_000),
        (public_app(), 10_000),
        (code_app().refresh_grace(Some(300)), 300_000),
        (public_app().refresh_grace(Some(1)), 1_000),
        (code_app().refresh_grace(Some(0)), 0),
    ] {
        let app = world.register(draft);
        for (after, alive) in [(millis - 1, true), (millis, false)] {
            let Ok(after) = u64::try_from(after) else { continue };
            let first = world.tokens(&app);
            let second = world.refresh(&app, token(&first));
            world.clock.advance(Duration::from_millis(after));
            let again = world.refresh(&app, token(&first));
            if alive {
                assert_eq!(token(&again), token(&second), "{millis}");
            } else {
                again.assert_error(400, "invalid_grant");
                world.assert_refused("claim", SPENT, None);
                assert_dead(&world, &app, &[&second]);
            }
        }
    }
}

/// R12: a retry does not extend the grace.
#[test]
fn the_grace_is_counted_from_the_rotation() {
    let world = World::unlimited();
    let app = world.register(code_app());
    let first = world.tokens(&app);
    let second = world.refresh(&app, token(&first));
    for _ in 0..2 {
        world.advance(14);
        assert_eq!(world.refresh(&app, token(&first)).status, 200);
    }
    world.advance(2);
    world.refresh(&app, token(&first)).assert_error(400, "invalid_grant");
    assert_dead(&world, &app, &[&second]);
}

/// R12, Z1: within the grace a lost answer is given again as often as the client asks. A burst is audited
/// as one event.
#[test]
fn retries_within_the_grace_have_no_limit() {
    let world = World::unlimited();
    let app = world.register(code_app());
    let mut tokens = world.tokens(&app);
    for round in 1..=2 {
        let next = world.refresh(&app, token(&tokens));
        for _ in 0..260 {
            assert_eq!(token(&world.refresh(&app, token(&tokens))), token(&next));
        }
        assert_eq!(world.count("retry_refresh"), round);
        tokens = next;
    }
    assert!(!world.is_revoked(&tokens));
    world.advance(31);
    assert_eq!(world.refresh(&app, token(&tokens)).status, 200);
}

/// R13: an older ancestor is reuse within the grace, too. Once the successor was used, the
/// predecessor is an ancestor.
#[test]
fn an_older_ancestor_is_reuse_within_the_grace() {
    let world = World::unlimited();
    let app = world.register(code_app());
    for generations in [2, 3, 7] {
        let first = world.tokens(&app);
        let mut last = world.refresh(&app, token(&first));
        for _ in 1..generations {
            last = world.refresh(&app, token(&last));
        }
        world.refresh(&app, token(&first)).assert_error(400, "invalid_grant");
        world.assert_refused("claim", SPENT, None);
        assert_dead(&world, &app, &[&first, &last]);
    }
}

/// R13: the code of a refreshed grant is never a retry, however recent.
#[test]
fn the_code_is_never_a_retry() {
    let world = World::unlimited();
    let app = world.register(code_app());
    let (code, verifier) = world.code(&app);
    let tokens = world.redeem(&app, &code, &verifier);
    world.redeem(&app, &code, &verifier).assert_error(400, "invalid_grant");
    assert_dead(&world, &app, &[&tokens]);
}

/// R14: a retry does not revive a grant that was revoked within the grace.
#[test]
fn a_retry_does_not_revive_a_revoked_grant() {
    let world = World::unlimited();
    let app = world.register(code_app());
    let admin = world.server.admin("tester");
    let targets: [&dyn Fn(GrantId) -> RevocationTarget; 4] = [
        &RevocationTarget::Grant,
        &|_| RevocationTarget::Subject(subject("ann")),
        &|_| RevocationTarget::App(app.id.clone()),
        &|_| RevocationTarget::Everything,
    ];
    for target in targets {
        let first = world.tokens(&app);
        let second = world.refresh(&app, token(&first));
        block_on(admin.revoke(target(grant_id(&first)))).unwrap();
        for spent in [&first, &second, &first] {
            world.refresh(&app, token(spent)).assert_error(400, "invalid_grant");
            world.assert_refused("claim", "grant_revoked", None);
        }
        assert_dead(&world, &app, &[&first, &second]);
    }
    // By breach: a retry after the reuse is refused.
    let first = world.tokens(&app);
    let second = world.refresh(&app, token(&first));
    let third = world.refresh(&app, token(&second));
    world.refresh(&app, token(&first)).assert_error(400, "invalid_grant");
    world.refresh(&app, token(&second)).assert_error(400, "invalid_grant");
    world.assert_refused("claim", "grant_revoked", None);
    assert_dead(&world, &app, &[&second, &third]);
    // Disabling and enabling the app restores nothing.
    let first = world.tokens(&app);
    let second = world.refresh(&app, token(&first));
    block_on(admin.disable(&app.id)).unwrap();
    world.refresh(&app, token(&first)).assert_error(401, "invalid_client");
    block_on(admin.enable(&app.id)).unwrap();
    world.refresh(&app, token(&first)).assert_error(400, "invalid_grant");
    assert_dead(&world, &app, &[&first, &second]);
}

/// R12: a clock that jumps back a little does not end the grace, and one that jumps back far does.
/// The live token works in both cases.
#[test]
fn a_clock_that_jumps_back_does_not_extend_the_grace() {
    let world = World::unlimited();
    let app = world.register(code_app());
    let at = |millis: i64| world.clock.set(UnixTime::from_millis(START * 1_000 + millis));
    for (back, alive) in [(4_999, true), (5_000, false), (3_600_000, false)] {
        at(10_000);
        let first = world.tokens(&app);
        let second = world.refresh(&app, token(&first));
        at(10_000 - back);
        let again = world.refresh(&app, token(&first));
        if alive {
            assert_eq!(token(&again), token(&second));
        } else {
            again.assert_error(400, "invalid_grant");
            assert_dead(&world, &app, &[&second]);
        }
        at(10_000);
        let third = world.tokens(&app);
        at(10_000 - back);
        assert_eq!(world.refresh(&app, token(&third)).status, 200);
    }
}

/// R21: a store failure before the rotation changes nothing. If the answer was lost, the token is
/// rotated, and a retry continues from there. There are never two live tokens.
#[test]
fn a_client_may_retry_after_a_store_failure() {
    let world = World::unlimited();
    let app = world.register(code_app());
    let server = faulty_server(&world);
    let refresh = |token: &str| {
        post(&server, &app, &[("grant_type", "refresh_token"), ("refresh_token", token)])
    };
    let mut tokens = world.tokens(&app);
    for (method, step, done) in [
        (Method::FindApp, "client", false),
        (Method::FindApp, "client", true),
        (Method::FindGrant, "grant", false),
        (Method::FindGrant, "grant", true),
        (Method::Rotate, "claim", false),
        (Method::Rotate, "claim", true),
    ] {
        if done {
            server.store().fail_after(method, 1);
        } else {
            server.store().fail_before(method, 1);
        }
        let failed = refresh(token(&tokens));
        failed.assert_error(500, "server_error");
        assert!(!failed.json.to_string().contains(PLANTED));
        let outcome = world.events()[0].outcome.clone();
        assert_eq!((outcome.as_str(), outcome.step().unwrap().as_str()), ("failed", step));
        let next = refresh(token(&tokens));
        assert_eq!(next.status, 200, "{method:?} {next:?}");
        let again = refresh(token(&tokens));
        assert_eq!(token(&again), token(&next));
        tokens = next;
    }
    // The lost answer of a retry, too.
    let next = refresh(token(&tokens));
    server.store().fail_after(Method::Rotate, 1);
    refresh(token(&tokens)).assert_error(500, "server_error");
    assert_eq!(token(&refresh(token(&tokens))), token(&next));

    // Without grace the family ends instead.
    let strict = world.register(code_app().refresh_grace(Some(0)));
    let tokens = world.tokens(&strict);
    server.store().fail_after(Method::Rotate, 1);
    let form = [("grant_type", "refresh_token"), ("refresh_token", token(&tokens))];
    post(&server, &strict, &form).assert_error(500, "server_error");
    post(&server, &strict, &form).assert_error(400, "invalid_grant");
    assert_dead(&world, &strict, &[&tokens]);
}

/// R9, R21: a reuse that the store could not record is recorded at the next attempt.
#[test]
fn a_reuse_that_was_not_recorded_is_recorded_at_the_next_attempt() {
    let world = World::unlimited();
    let app = world.register(code_app().refresh_grace(Some(0)));
    let server = faulty_server(&world);
    let first = world.tokens(&app);
    let second = world.refresh(&app, token(&first));
    let form = [("grant_type", "refresh_token"), ("refresh_token", token(&first))];
    server.store().fail_before(Method::Rotate, 1);
    post(&server, &app, &form).assert_error(500, "server_error");
    assert!(!world.is_revoked(&second));
    server.store().fail_after(Method::Rotate, 1);
    post(&server, &app, &form).assert_error(500, "server_error");
    assert_dead(&world, &app, &[&first, &second]);
}

/// A store was rewound, for example by a restored backup: a token ahead of its row is accepted with
/// an alarm, the row catches up, and the usual rules apply from then on.
#[test]
fn a_token_ahead_of_a_rewound_store_is_accepted_with_an_alarm() {
    let world = World::unlimited();
    let app = world.register(code_app());
    for kept in [0_u32, 1, 2] {
        let (code, verifier) = world.code(&app);
        let rewound = Arc::new(MemoryStore::new());
        let stored = block_on(world.store.find_app(&app.id)).unwrap().unwrap();
        block_on(rewound.insert_app((*stored).clone())).unwrap();
        let keep = |id: &GrantId| {
            let row = block_on(world.store.find_grant(id)).unwrap().unwrap();
            assert_eq!(row.generation, kept);
            block_on(rewound.insert_grant(row)).unwrap();
        };
        if kept == 0 {
            let page = grantor::store::Page::first(200);
            let pending = block_on(world.store.list_grants(&<_>::default(), page)).unwrap();
            let mut rows = pending.items.into_iter().filter(|row| row.generation == 0);
            keep(&rows.next().unwrap().grant_id);
        }
        let first = world.redeem(&app, &code, &verifier);
        let mut history = vec![first];
        for generation in 1..=5 {
            let last = history.last().unwrap();
            if generation == kept {
                keep(&grant_id(last));
            }
            let next = world.refresh(&app, token(last));
            history.push(next);
        }
        let server =
            world.beside(new_key(), Arc::clone(&rewound), Arc::clone(&world.users)).build();
        let refresh = |token: &str| {
            let form = [("grant_type", "refresh_token"), ("refresh_token", token)];
            ask(&server, &body_of(&app, &form))
        };
        let alarms = world.count("detect_rewind");
        let last = history.last().unwrap();
        let next = refresh(token(last));
        assert_eq!(next.status, 200, "{next:?}");
        assert_eq!(world.count("detect_rewind"), alarms + 1);
        let events = world.events();
        let alarm = events.iter().find(|it| it.action.as_str() == "detect_rewind").unwrap();
        assert_eq!(alarm.severity(), Severity::Warning);
        assert_eq!(alarm.grant_id, Some(grant_id(last)));
        assert_eq!(token(&refresh(token(last))), token(&next));
        let after = refresh(token(&next));
        assert_eq!(after.status, 200);
        assert_eq!(world.count("detect_rewind"), alarms + 1);
        refresh(token(last)).assert_error(400, "invalid_grant");
        world.assert_refused("claim", SPENT, None);
        refresh(token(&after)).assert_error(400, "invalid_grant");
    }
}
