//! An assertion is accepted once, and only an issued token consumes it.

use std::sync::Barrier;

use grantor::app::ImpersonationPolicy;
use grantor::audit::Severity;
use grantor::users::User;
use serde_json::json;

use crate::assertions::{JWT_BEARER, Signer, backend_app, backend_jwt, impersonator, with};
use crate::faulty_store::{Method, PLANTED, faulty_server, post};
use crate::support::{App, World, subject};

/// J16: an assertion is accepted once, identified by its `jti` alone.
#[test]
fn an_assertion_is_accepted_once() {
    let world = World::new();
    let app = world.register(backend_app());
    let claims = world.claims(&app);
    let assertion = Signer::backend().sign(&claims);
    assert_eq!(world.present(&app, &assertion, &[]).status, 200);
    let again = world.present(&app, &assertion, &[]);
    again.assert_error(400, "invalid_grant");
    assert!(again.text("error_description").contains("jti"), "{again:?}");
    let event = world.last_event();
    assert_eq!(event.outcome.reason(), Some("assertion_replayed"));
    assert_eq!(event.severity(), Severity::Warning);
    for change in [json!({ "sub": "bob" }), json!({ "scope": "a" }), json!({ "x": 1 })] {
        let other = Signer::backend().sign(&with(&claims, &change));
        world.present(&app, &other, &[]).assert_error(400, "invalid_grant");
    }
    for jti in ["ASSERTION", "assertion", "assertion "] {
        assert_eq!(world.act(&app, &json!({ "jti": jti })).status, 200, "{jti:?} is another one");
    }
}

/// J17: two apps may use the same `jti`, even with the same issuer.
#[test]
fn two_apps_may_use_the_same_jti() {
    let world = World::new();
    let shared = json!("https://idp.example.com");
    let idp = || impersonator(backend_jwt().with_issuer("https://idp.example.com"));
    let own = [world.register(backend_app()), world.register(backend_app())];
    let [first, second] = own.map(|app| (json!(app.id.as_str()), app));
    let one_issuer = [world.register(idp()), world.register(idp())].map(|app| (&shared, app));
    let apps = [(&first.0, &first.1), (&second.0, &second.1)];
    for (iss, app) in apps.into_iter().chain(one_issuer.iter().map(|(iss, app)| (*iss, app))) {
        let change = json!({ "iss": iss, "jti": "the same" });
        assert_eq!(world.act(app, &change).status, 200);
        world.act(app, &change).assert_error(400, "invalid_grant");
    }
}

/// J18: a `jti` may be used again once the first assertion can no longer be presented.
#[test]
fn a_jti_may_be_used_again_after_it_expired() {
    let world = World::new();
    let app = world.register(backend_app());
    let same = json!({ "jti": "again" });
    assert_eq!(world.act(&app, &same).status, 200);
    // It expires after 60 s; the largest skew of 300 s and a minute of margin follow.
    world.advance(420);
    world.act(&app, &same).assert_error(400, "invalid_grant");
    world.advance(1);
    assert_eq!(world.act(&app, &same).status, 200);
}

/// J19: of 16 threads with one assertion one gets a token, and none a server error.
#[test]
fn one_of_many_concurrent_uses_wins() {
    for jwt in [backend_jwt(), backend_jwt().with_refresh_token(true)] {
        let world = World::new();
        let refresh = jwt.issues_refresh_token();
        let app = world.register(impersonator(jwt).refresh_token(refresh));
        for _ in 0..20 {
            let assertion = world.assertion(&app, &json!({}));
            let start = Barrier::new(16);
            let answers = std::thread::scope(|threads| {
                let use_it = || {
                    start.wait();
                    world.present(&app, &assertion, &[])
                };
                let threads: Vec<_> = (0..16).map(|_| threads.spawn(use_it)).collect();
                threads.into_iter().map(|it| it.join().unwrap()).collect::<Vec<_>>()
            });
            let (won, lost): (Vec<_>, Vec<_>) = answers.iter().partition(|it| it.status == 200);
            assert_eq!(won.len(), 1);
            for answer in lost {
                answer.assert_error(400, "invalid_grant");
            }
        }
    }
}

/// J20: a store failure is a server error. An unwritten claim consumes nothing, and a claim that
/// may have been written issues nothing.
#[test]
fn a_store_failure_issues_no_token() {
    let world = World::new();
    let server = faulty_server(&world);
    let app = world.register(backend_app());
    let assertion = world.assertion(&app, &json!({}));
    let form = [("grant_type", JWT_BEARER), ("assertion", assertion.as_str())];
    for method in [Method::FindApp, Method::ClaimAssertion] {
        server.store().fail_before(method, 1);
        let answer = post(&server, &app, &form);
        answer.assert_error(500, "server_error");
        assert!(!answer.json.to_string().contains(PLANTED));
        let event = world.last_event();
        assert!(event.outcome.reason().unwrap().contains(PLANTED), "{event:?}");
        assert_eq!(event.severity(), Severity::Error);
    }
    assert_eq!(post(&server, &app, &form).status, 200, "a failed write consumed nothing");

    let assertion = world.assertion(&app, &json!({}));
    let form = [("grant_type", JWT_BEARER), ("assertion", assertion.as_str())];
    server.store().fail_after(Method::ClaimAssertion, 1);
    post(&server, &app, &form).assert_error(500, "server_error");
    post(&server, &app, &form).assert_error(400, "invalid_grant");
}

/// J20: with the app cached a token costs one write.
#[test]
fn an_assertion_costs_the_store_one_write() {
    let world = World::new();
    let server = faulty_server(&world);
    let app = world.register(backend_app());
    let assertion = world.assertion(&app, &json!({}));
    let form = [("grant_type", JWT_BEARER), ("assertion", assertion.as_str())];
    assert_eq!(post(&server, &app, &form).status, 200);
    assert_eq!(server.store().take_calls(), [Method::FindApp, Method::ClaimAssertion]);
    let broken = [("grant_type", JWT_BEARER), ("assertion", "a.b.c")];
    post(&server, &app, &broken).assert_error(400, "invalid_grant");
    assert_eq!(server.store().take_calls(), [Method::FindApp]);
}

/// A refusal before the claim consumes nothing: once its cause is gone, the same assertion is
/// accepted.
#[test]
fn a_refusal_does_not_consume_an_assertion() {
    let refuse_then_accept =
        |sub: &str, break_it: &dyn Fn(&World, &App), mend: &dyn Fn(&World, &App)| {
            let world = World::new();
            let app = world.register(backend_app());
            let assertion = world.assertion(&app, &json!({ "sub": sub }));
            break_it(&world, &app);
            for _ in 0..3 {
                let refused = world.present(&app, &assertion, &[]);
                assert_ne!(refused.status, 200);
            }
            mend(&world, &app);
            let answer = world.present(&app, &assertion, &[]);
            assert_eq!(answer.status, 200, "{answer:?}");
            assert_eq!(answer.claims()["sub"], sub);
            world.present(&app, &assertion, &[]).assert_error(400, "invalid_grant");
        };
    let nothing = |_: &World, _: &App| {};
    let policy = |policy: ImpersonationPolicy| {
        move |world: &World, app: &App| {
            let jwt = backend_jwt().with_impersonation(policy.clone());
            world.edit(app, |draft| draft.jwt(jwt));
        }
    };
    refuse_then_accept(
        "ann",
        &policy(ImpersonationPolicy::none()),
        &policy(ImpersonationPolicy::anyone()),
    );
    refuse_then_accept("newcomer", &nothing, &|world, _| {
        world.users.put(User::new(subject("newcomer")));
    });
    refuse_then_accept("gone", &nothing, &|world, _| world.users.put(User::new(subject("gone"))));
    refuse_then_accept(
        "ann",
        &|world, app| {
            let jwt = backend_jwt().with_audience("urn:other");
            world.edit(app, |draft| draft.jwt(jwt));
        },
        &|world, app| world.edit(app, |draft| draft.jwt(backend_jwt())),
    );
    refuse_then_accept(
        "ann",
        &|world, app| {
            pollster::block_on(world.server.admin("tester").disable(&app.id)).unwrap();
        },
        &|world, app| {
            pollster::block_on(world.server.admin("tester").enable(&app.id)).unwrap();
        },
    );
}

/// The same for errors in the other parameters.
#[test]
fn an_invalid_request_does_not_consume_an_assertion() {
    let world = World::new();
    let app = world.register(backend_app());
    let assertion = world.assertion(&app, &json!({}));
    for (more, error) in [
        ([("scope", "z")], "invalid_scope"),
        ([("scope", "\"")], "invalid_scope"),
        ([("resource", "https://other.example.com")], "invalid_target"),
        ([("resource", "relative")], "invalid_target"),
        ([("assertion", "twice")], "invalid_request"),
    ] {
        world.present(&app, &assertion, &more).assert_error(400, error);
    }
    let liar = App { secret: Some("wrong".to_owned()), ..app.clone() };
    world.present(&liar, &assertion, &[]).assert_error(401, "invalid_client");
    let other = world.register(backend_app());
    world.present(&other, &assertion, &[]).assert_error(400, "invalid_grant");
    assert_eq!(world.present(&app, &assertion, &[("scope", "b")]).text("scope"), "b");
}

/// A stranger who knows the `jti` cannot consume it, because the signature is verified first.
#[test]
fn a_forged_assertion_consumes_nothing() {
    let world = World::new();
    let app = world.register(backend_app());
    let claims = world.claims(&app);
    let forged = Signer::hmac(jsonwebtoken::Algorithm::HS256, &[7; 32]).sign(&claims);
    world.present(&app, &forged, &[]).assert_error(400, "invalid_grant");
    let mut broken = Signer::backend().sign(&claims);
    broken.replace_range(broken.len() - 8..broken.len() - 4, "AAAA");
    world.present(&app, &broken, &[]).assert_error(400, "invalid_grant");
    assert_eq!(world.present(&app, &Signer::backend().sign(&claims), &[]).status, 200);
}

/// N11: a used assertion stays used if the app's skew and maximum lifetime are raised later.
#[test]
fn a_longer_skew_does_not_make_a_used_assertion_usable() {
    for jwt in [backend_jwt(), backend_jwt().with_clock_skew(0).with_max_lifetime(60)] {
        let world = World::new();
        let app = world.register(impersonator(jwt));
        let assertion = world.assertion(&app, &json!({}));
        let unused = world.assertion(&app, &json!({}));
        assert_eq!(world.present(&app, &assertion, &[]).status, 200);
        world.edit(&app, |draft| {
            draft.jwt(backend_jwt().with_clock_skew(300).with_max_lifetime(3_600))
        });
        // The assertion expires after 60 s, and is accepted for 300 s more.
        for passed in [59, 71, 100, 129] {
            world.advance(passed);
            world.present(&app, &assertion, &[]).assert_error(400, "invalid_grant");
            assert_eq!(world.last_event().outcome.reason(), Some("assertion_replayed"));
        }
        assert_eq!(world.present(&app, &unused, &[]).status, 200);
        world.advance(1);
        world.present(&app, &assertion, &[]).assert_error(400, "invalid_grant");
        assert_eq!(world.last_event().outcome.reason(), Some("assertion"));
    }
}

/// N11: pruning keeps a used assertion as long.
#[test]
fn pruning_keeps_a_used_assertion_for_the_longest_skew() {
    let world = World::new();
    let app = world.register(backend_app());
    let assertion = world.assertion(&app, &json!({}));
    assert_eq!(world.present(&app, &assertion, &[]).status, 200);
    world.edit(&app, |draft| draft.jwt(backend_jwt().with_clock_skew(300)));
    world.advance(359);
    pollster::block_on(world.server.admin("tester").prune(100)).unwrap();
    world.present(&app, &assertion, &[]).assert_error(400, "invalid_grant");
    assert_eq!(world.last_event().outcome.reason(), Some("assertion_replayed"));
}
