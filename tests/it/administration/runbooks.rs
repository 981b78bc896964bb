//! The administrator's steps of `docs/runbooks.md`, run twice, and interrupted and run again.

use std::time::Duration;

use grantor::admin::{Admin, AdminError};
use grantor::store::RevocationTarget;
use pollster::block_on;

use crate::faulty_store::{FaultyStore, Method, faulty_server};
use crate::support::{Answer, App, World, code_app, subject};

type FaultyAdmin<'a> = Admin<'a, std::sync::Arc<FaultyStore>>;
type Step = (&'static str, fn(&FaultyAdmin<'_>, &App) -> Result<(), AdminError>, Effect);

/// The effect of a step.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Effect {
    /// Earlier tokens are dead, and the app gets new ones.
    Revoked,
    /// Earlier tokens are dead, and the app gets none.
    Shut,
    /// Tokens live, and the old secret is refused.
    Rotated,
    /// Nothing that a client sees.
    Nothing,
}

const STEPS: [Step; 9] = [
    (
        "revoke everything",
        |admin, _| done(admin.revoke(RevocationTarget::Everything)),
        Effect::Revoked,
    ),
    (
        "revoke the app",
        |admin, app| done(admin.revoke(RevocationTarget::App(app.id.clone()))),
        Effect::Revoked,
    ),
    (
        "withdraw a consent",
        |admin, app| done(admin.withdraw_consent(&app.id, &subject("ann"))),
        Effect::Revoked,
    ),
    ("disable", |admin, app| done(admin.disable(&app.id)), Effect::Shut),
    ("delete", |admin, app| done(admin.delete(&app.id)), Effect::Shut),
    (
        "rotate the secret",
        |admin, app| done(admin.rotate_client_secret(&app.id, Duration::ZERO)),
        Effect::Rotated,
    ),
    (
        "regenerate the signature secret",
        |admin, app| done(admin.regenerate_signature_secret(&app.id)),
        Effect::Nothing,
    ),
    (
        "remove superseded secrets",
        |admin, app| done(admin.remove_superseded_secrets(&app.id)),
        Effect::Nothing,
    ),
    (
        "prune",
        |admin, _| block_on(admin.prune(100)).map(|_| ()).map_err(AdminError::from),
        Effect::Nothing,
    ),
];

fn done<T>(step: impl Future<Output = Result<T, AdminError>>) -> Result<(), AdminError> {
    block_on(step).map(|_| ())
}

/// A world with an app and its tokens.
fn scene() -> (World, App, Answer) {
    let world = World::unlimited();
    let app = world.register(code_app());
    let tokens = world.tokens(&app);
    (world, app, tokens)
}

fn check(world: &World, app: &App, tokens: &Answer, effect: Effect, what: &str) {
    let refresh = world.refresh(app, tokens.text("refresh_token"));
    let found = match (refresh.status, refresh.json["error"].as_str()) {
        (200, _) => Effect::Nothing,
        (401, _) => {
            let is_there = block_on(world.server.admin("root").find(&app.id)).unwrap();
            let is_enabled = is_there.is_some_and(|app| app.is_enabled());
            if is_enabled { Effect::Rotated } else { Effect::Shut }
        }
        (400, Some("invalid_grant" | "unauthorized_client")) => Effect::Revoked,
        other => panic!("{what}: {other:?}"),
    };
    let shut = !matches!(effect, Effect::Shut) || world.is_revoked(tokens);
    assert!(found == effect && shut, "{what}: {found:?}");
    if effect == Effect::Revoked {
        assert_eq!(world.tokens(app).status, 200, "{what}");
    }
}

/// N8: each step has its effect when it is run twice, and when the process died at any store call, before
/// or after it took effect, and the step is run again.
#[test]
fn every_step_may_be_run_twice_and_interrupted() {
    for (name, step, effect) in STEPS {
        let (world, app, tokens) = scene();
        let server = faulty_server(&world);
        let admin = server.admin("root");
        step(&admin, &app).unwrap();
        let calls: Vec<Method> = server.store().take_calls();
        assert!(!calls.is_empty(), "{name}");
        let again = step(&admin, &app);
        let is_gone = matches!(again, Err(AdminError::NotFound));
        assert!(again.is_ok() || name == "delete" && is_gone, "{name}: {again:?}");
        check(&world, &app, &tokens, effect, name);
        for (place, method) in calls.iter().enumerate() {
            let nth = calls[..=place].iter().filter(|it| *it == method).count();
            for after in [false, true] {
                let what = format!("{name}, {method:?} {nth}, after: {after}");
                let (world, app, tokens) = scene();
                let server = faulty_server(&world);
                let admin = server.admin("root");
                if after {
                    server.store().fail_after(*method, nth);
                } else {
                    server.store().fail_before(*method, nth);
                }
                assert!(matches!(step(&admin, &app), Err(AdminError::Store(_))), "{what}");
                let again = step(&admin, &app);
                let is_gone = matches!(again, Err(AdminError::NotFound));
                assert!(again.is_ok() || name == "delete" && is_gone, "{what}: {again:?}");
                check(&world, &app, &tokens, effect, &what);
            }
        }
    }
}
