//! The effect of administration on existing grants: the table of `docs/administration.md`, row by
//! row, over the wire.

mod apps;
mod devices;
mod edits;
mod import_all;
mod runbooks;

use std::sync::Mutex;

use grantor::admin::ImportedApp;
use grantor::app::{AppDraft, Flow};
use grantor::endpoint::{Approval, Caller, Decision, Login, NextStep};
use grantor::ids::DeviceId;
use grantor::protocol::CodeVerifier;
use grantor::random::OsRandom;
use grantor::store::RevocationTarget;
use grantor::users::User;
use pollster::block_on;
use serde_json::json;

use crate::assertions::{backend_jwt, impersonator};
use crate::support::{Answer, App, World, ann, code_app, code_query, parameters, subject};

/// One grant of each kind: a code, and a refresh token with its access token.
struct Out {
    code: String,
    verifier: String,
    tokens: Answer,
}

/// A code for `app` that `user` approved on `device`, and its verifier.
fn code(world: &World, app: &App, user: &str, device: &str) -> (String, String) {
    let verifier = CodeVerifier::generate(&OsRandom::new()).unwrap();
    let device = DeviceId::new(device).unwrap();
    let moment = block_on(world.server.moment()).unwrap();
    let login = Login::new(subject(user), "session").with_device(device).with_moment(moment);
    let prompt = world.prompt(&code_query(app, &verifier, &[]), &login);
    let yes = Decision::Approve(Approval::default().with_remember(false));
    let response =
        block_on(world.server.decide(&prompt.ticket, &login, yes, Caller::default())).unwrap();
    let code = parameters(response.location()).remove("code").unwrap();
    (code, verifier.expose_secret().to_owned())
}

fn out_for(world: &World, app: &App, user: &str, device: &str) -> Out {
    let (spent, spent_verifier) = code(world, app, user, device);
    let tokens = world.redeem(app, &spent, &spent_verifier);
    assert_eq!(tokens.status, 200, "{tokens:?}");
    let (code, verifier) = code(world, app, user, device);
    Out { code, verifier, tokens }
}

fn out(world: &World, app: &App) -> Out {
    out_for(world, app, "ann", "phone")
}

impl Out {
    /// Presents the code and the refresh token.
    fn present(&self, world: &World, app: &App) -> [Answer; 2] {
        [
            world.redeem(app, &self.code, &self.verifier),
            world.refresh(app, self.tokens.text("refresh_token")),
        ]
    }

    /// Asserts that no part of it gives a token any more.
    #[track_caller]
    fn assert_ended(&self, world: &World, app: &App) {
        assert!(world.is_revoked(&self.tokens));
        for answer in self.present(world, app) {
            answer.assert_error(400, "invalid_grant");
        }
    }

    /// Asserts that all of it still gives tokens.
    #[track_caller]
    fn assert_live(&self, world: &World, app: &App) {
        assert!(!world.is_revoked(&self.tokens));
        for answer in self.present(world, app) {
            assert_eq!(answer.status, 200, "{answer:?}");
            assert!(!world.is_revoked(&answer));
        }
    }
}

/// `disable` and `enable`: all grants are revoked for good. Later grants live.
#[test]
fn disabling_an_app_revokes_its_grants_and_enabling_restores_none() {
    let world = World::new();
    let app = world.register(code_app());
    let other = world.register(code_app());
    let (old, bystander) = (out(&world, &app), out(&world, &other));
    let admin = world.server.admin("root");
    block_on(admin.disable(&app.id)).unwrap();
    assert!(world.is_revoked(&old.tokens));
    for answer in old.present(&world, &app) {
        answer.assert_error(401, "invalid_client");
    }
    let verifier = CodeVerifier::generate(&OsRandom::new()).unwrap();
    assert!(world.approve(&code_query(&app, &verifier, &[])).is_err());

    block_on(admin.enable(&app.id)).unwrap();
    old.assert_ended(&world, &app);
    out(&world, &app).assert_live(&world, &app);
    bystander.assert_live(&world, &other);
}

/// `delete`: all grants are revoked, and an app imported under the same client id restores none.
#[test]
fn deleting_an_app_revokes_its_grants_for_good() {
    let world = World::new();
    let app = world.register(code_app());
    let old = out(&world, &app);
    let admin = world.server.admin("root");
    let export = block_on(admin.export(&app.id)).unwrap();
    block_on(admin.delete(&app.id)).unwrap();
    assert!(world.is_revoked(&old.tokens));
    for answer in old.present(&world, &app) {
        answer.assert_error(401, "invalid_client");
    }
    let imported = block_on(admin.import(ImportedApp::from(export))).unwrap();
    let secret = imported.client_secret.unwrap();
    for answer in old.present(&world, &app) {
        answer.assert_error(401, "invalid_client");
    }
    let again = App { secret: Some(secret.expose_secret().to_owned()), ..app };
    old.assert_ended(&world, &again);
    out(&world, &again).assert_live(&world, &again);
}

/// `revoke` with each target: it ends the grants that the target covers and no other.
#[test]
fn each_revocation_target_ends_exactly_the_grants_it_covers() {
    let target_of = [
        |_: &App, _: &Out| RevocationTarget::Everything,
        |app: &App, _: &Out| RevocationTarget::App(app.id.clone()),
        |_: &App, _: &Out| RevocationTarget::Subject(subject("ann")),
        |app: &App, _: &Out| RevocationTarget::AppAndSubject(app.id.clone(), subject("ann")),
        |_: &App, _: &Out| RevocationTarget::NamedDevice(DeviceId::new("phone").unwrap()),
    ];
    let ended = [
        [true, true, true, true],
        [true, true, false, false],
        [true, false, true, false],
        [true, false, false, false],
        [true, false, false, true],
    ];
    for (target_of, ended) in target_of.into_iter().zip(ended) {
        let world = World::new();
        let (one, two) = (world.register(code_app()), world.register(code_app()));
        let grants = [
            (&one, out_for(&world, &one, "ann", "phone")),
            (&one, out_for(&world, &one, "bob", "tablet")),
            (&two, out_for(&world, &two, "ann", "tablet")),
            (&two, out_for(&world, &two, "bob", "phone")),
        ];
        let target = target_of(&one, &grants[0].1);
        block_on(world.server.admin("root").revoke(target)).unwrap();
        for ((app, out), ended) in grants.iter().zip(ended) {
            if ended {
                out.assert_ended(&world, app);
            } else {
                out.assert_live(&world, app);
            }
        }
        out(&world, &one).assert_live(&world, &one);
    }
}

/// `revoke(Grant)`: that grant ends for good, with a row and without one. Other grants live.
#[test]
fn revoking_a_grant_ends_it_for_good_and_no_other() {
    let world = World::new();
    let app = world.register(code_app().flow(Flow::JwtBearer).jwt(backend_jwt()));
    let admin = world.server.admin("root");
    let end = |answer: &Answer| {
        let grant_id = answer.claims()["grant_id"].as_str().unwrap().parse().unwrap();
        block_on(admin.revoke(RevocationTarget::Grant(grant_id))).unwrap();
    };
    let (one, two) = (world.tokens(&app), world.tokens(&app));
    end(&one);
    assert!(world.is_revoked(&one));
    world.refresh(&app, one.text("refresh_token")).assert_error(400, "invalid_grant");
    assert_eq!(world.refresh(&app, two.text("refresh_token")).status, 200);
    let (acted, other) = (world.act(&app, &json!({})), world.act(&app, &json!({})));
    end(&acted);
    assert!(world.is_revoked(&acted) && !world.is_revoked(&other) && !world.is_revoked(&two));
}

/// `withdraw_consent` revokes the grants of the app and user, and the user is asked again.
#[test]
fn a_withdrawn_consent_is_asked_for_again() {
    let world = World::new();
    let app = world.register(code_app());
    let is_asked = || {
        let verifier = CodeVerifier::generate(&OsRandom::new()).unwrap();
        let query = code_query(&app, &verifier, &[]);
        let request =
            block_on(world.server.authorization_request(&query, Caller::default())).unwrap();
        match block_on(world.server.authorize(request, Some(&ann()))).unwrap() {
            NextStep::AskConsent(prompt) => Some(prompt.ticket),
            NextStep::Redirect(_) | NextStep::LogIn(_) => None,
        }
    };
    let (mine, bobs) = (out(&world, &app), out_for(&world, &app, "bob", "phone"));
    let ticket = is_asked().unwrap();
    block_on(world.server.decide(&ticket, &ann(), Decision::approve(), Caller::default())).unwrap();
    assert!(is_asked().is_none());
    block_on(world.server.admin("root").withdraw_consent(&app.id, &subject("ann"))).unwrap();
    assert!(is_asked().is_some());
    mine.assert_ended(&world, &app);
    bobs.assert_live(&world, &app);
}

/// If the directory does not know the user or calls the user inactive, grants are refused until the
/// user returns. Access tokens live until `revoke(Subject)` ends them.
#[test]
fn a_removed_user_gets_no_token_until_restored() {
    let world = World::new();
    let app = world.register(code_app());
    let mine = out(&world, &app);
    for leave in [
        |world: &World| world.users.remove(&subject("ann")),
        |world: &World| world.users.put(User::new(subject("ann")).with_active(false)),
    ] {
        leave(&world);
        for answer in mine.present(&world, &app) {
            answer.assert_error(400, "invalid_grant");
        }
        assert!(!world.is_revoked(&mine.tokens));
    }
    world.users.put(User::new(subject("ann")));
    mine.assert_live(&world, &app);
    let admin = world.server.admin("root");
    block_on(admin.revoke(RevocationTarget::Subject(subject("ann")))).unwrap();
    assert!(world.is_revoked(&mine.tokens));
}

/// A request in progress does not slip through: tokens that threads get from old grants during a
/// revocation are void once the revocation has returned.
#[test]
fn a_token_issued_during_a_revocation_is_void_once_it_has_returned() {
    let draft = || -> AppDraft { impersonator(backend_jwt().with_refresh_token(true)) };
    for disable in [false, true] {
        let world = World::new();
        let app = world.register(
            draft()
                .refresh_token(true)
                .rate_quota(Some(grantor::app::RateQuota::new(60_000_000, 1_000_000))),
        );
        let issued: Mutex<Vec<Answer>> = Mutex::default();
        let families: Vec<_> = (0..4).map(|_| world.act(&app, &json!({}))).collect();
        std::thread::scope(|threads| {
            for first in families {
                threads.spawn(|| {
                    let mut last = first;
                    for _ in 0..2_000 {
                        let next = world.refresh(&app, last.text("refresh_token"));
                        issued.lock().unwrap().push(last);
                        if next.status != 200 {
                            assert!([400, 401].contains(&next.status), "{next:?}");
                            return;
                        }
                        last = next;
                    }
                    panic!("the grant outlived its revocation");
                });
            }
            while issued.lock().unwrap().len() < 40 {
                std::thread::yield_now();
            }
            let admin = world.server.admin("root");
            if disable {
                block_on(admin.disable(&app.id)).unwrap();
                block_on(admin.enable(&app.id)).unwrap();
            } else {
                block_on(admin.revoke(RevocationTarget::Subject(subject("ann")))).unwrap();
            }
        });
        let issued = issued.into_inner().unwrap();
        assert!(issued.iter().all(|answer| world.is_revoked(answer)));
    }
}
