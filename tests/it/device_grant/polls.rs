//! Polls, and the token that ends them.

use grantor::app::RateQuota;
use grantor::endpoint::{Caller, Decision, Login};
use grantor::ids::{SessionId, Subject};
use grantor::rate_limit::RateLimits;
use grantor::store::RevocationTarget;
use grantor::users::User;

use super::{Devices, set_top_box, tv};
use crate::faulty_store::Method;
use crate::support::code_app;

/// D1, D2, D10: the first poll may come right away. D11: a hasty one is told to slow down, and one at the told pace is not.
#[test]
fn polls_are_paced_while_the_user_has_not_decided() {
    let devices = Devices::new();
    for app in [devices.world.register(tv()), devices.world.register(set_top_box())] {
        let codes = devices.codes(&app);
        devices.poll(&app, &codes.device).assert_error(400, "authorization_pending");
        devices.poll(&app, &codes.device).assert_error(400, "slow_down");
        devices.advance(5);
        devices.poll(&app, &codes.device).assert_error(400, "slow_down");
        // Two hasty polls: 5, 10, and now 15 seconds.
        devices.advance(10);
        devices.poll(&app, &codes.device).assert_error(400, "authorization_pending");
        devices.advance(15);
        devices.poll(&app, &codes.device).assert_error(400, "authorization_pending");
    }
}

/// D3, D12: a decision is answered at once, also to a hasty poll.
#[test]
fn a_decision_is_answered_at_once() {
    let devices = Devices::new();
    let app = devices.world.register(tv());
    for approves in [true, false] {
        let codes = devices.codes(&app);
        devices.poll(&app, &codes.device).assert_error(400, "authorization_pending");
        devices.poll(&app, &codes.device).assert_error(400, "slow_down");
        if approves {
            devices.approve(&codes.user, "ann");
            assert_eq!(devices.poll(&app, &codes.device).status, 200);
        } else {
            devices.deny(&codes.user, "ann");
            devices.poll(&app, &codes.device).assert_error(400, "access_denied");
            devices.poll(&app, &codes.device).assert_error(400, "access_denied");
        }
    }
}

/// D10: a poll of a pending code reads one row that is not there, writes nothing, and leaves no event and no usage.
#[test]
fn polling_a_pending_code_writes_nothing() {
    let devices = Devices::new();
    let app = devices.world.register(tv());
    let codes = devices.codes(&app);
    let (events, kept) = (devices.world.events().len(), devices.records.kept().len());
    devices.world.store.take_calls();
    for _ in 0..100 {
        devices.poll(&app, &codes.device);
    }
    let calls = devices.world.store.take_calls();
    assert_eq!(calls.iter().filter(|it| **it == Method::FindGrant).count(), 100);
    let reads = [Method::FindGrant, Method::FindApp, Method::AppsVersion];
    assert!(calls.iter().all(|it| reads.contains(it)), "{calls:?}");
    assert_eq!((devices.records.kept().len(), devices.records.searches()), (kept, 0));
    assert_eq!(devices.world.events().len(), events);
    assert_eq!(devices.world.server.usage(&app.id).refused, 0);
}

/// D8, D10: anybody may ask for a device code in the name of a public app. Polls of such codes, pending, expired or
/// denied, leave the budget of the app to its users.
#[test]
fn polls_of_strangers_spend_nothing_of_a_public_app() {
    let devices = Devices::limited(RateLimits::none().with_volume(RateQuota::new(60, 5)));
    let app = devices.world.register(tv());
    let mine = devices.codes(&app);
    devices.approve(&mine.user, "ann");
    let tokens = devices.poll(&app, &mine.device);
    assert_eq!(tokens.status, 200, "{tokens:?}");
    let (foreign, denied) = (devices.codes(&app), devices.codes(&app));
    devices.deny(&denied.user, "ann");
    for _ in 0..10 {
        let poll = devices.poll(&app, &foreign.device);
        assert!(["authorization_pending", "slow_down"].contains(&poll.text("error")), "{poll:?}");
        devices.poll(&app, &denied.device).assert_error(400, "access_denied");
    }
    let refreshed = devices.world.refresh(&app, tokens.text("refresh_token"));
    assert_eq!(refreshed.status, 200, "{refreshed:?}");
    devices.advance(600);
    for _ in 0..10 {
        devices.poll(&app, &foreign.device).assert_error(400, "expired_token");
    }
    let again = devices.world.refresh(&app, refreshed.text("refresh_token"));
    assert_eq!(again.status, 200, "{again:?}");
}

/// D16: one token; a client that lost its answer gets the same refresh token within the grace; later it gets
/// nothing, and nothing is revoked.
#[test]
fn a_lost_answer_is_given_again_within_the_grace() {
    let devices = Devices::new();
    for app in [devices.world.register(tv()), devices.world.register(set_top_box())] {
        let codes = devices.codes(&app);
        devices.approve(&codes.user, "ann");
        let first = devices.poll(&app, &codes.device);
        assert_eq!(first.status, 200, "{first:?}");
        assert_eq!(first.claims()["sub"], "ann");
        for seconds in [0, 10, 19] {
            devices.advance(seconds);
            let again = devices.poll(&app, &codes.device);
            assert_eq!(again.status, 200, "{again:?}");
            assert_eq!(again.text("refresh_token"), first.text("refresh_token"));
            assert_eq!(again.claims()["grant_id"], first.claims()["grant_id"]);
            assert_ne!(again.claims()["jti"], first.claims()["jti"]);
        }
        devices.advance(1);
        devices.poll(&app, &codes.device).assert_error(400, "invalid_grant");
        devices.world.assert_refused("claim", "device_code_spent", None);
        assert!(!devices.world.is_revoked(&first));
        let refreshed = devices.world.refresh(&app, first.text("refresh_token"));
        assert_eq!(refreshed.status, 200, "{refreshed:?}");
    }
}

/// D16: the grace ends when the refresh token is used. Nothing is revoked.
#[test]
fn the_grace_ends_with_the_first_refresh() {
    let devices = Devices::new();
    let app = devices.world.register(tv());
    let codes = devices.codes(&app);
    devices.approve(&codes.user, "ann");
    let first = devices.poll(&app, &codes.device);
    let refreshed = devices.world.refresh(&app, first.text("refresh_token"));
    devices.poll(&app, &codes.device).assert_error(400, "invalid_grant");
    assert_eq!(devices.world.refresh(&app, refreshed.text("refresh_token")).status, 200);
}

/// D16: an app without refresh tokens gets another access token within the grace.
#[test]
fn an_app_without_refresh_tokens_asks_again_as_well() {
    let devices = Devices::new();
    let app = devices.world.register(tv().refresh_token(false));
    let codes = devices.codes(&app);
    devices.approve(&codes.user, "ann");
    for _ in 0..2 {
        let tokens = devices.poll(&app, &codes.device);
        assert_eq!(tokens.status, 200, "{tokens:?}");
        assert!(tokens.json.get("refresh_token").is_none());
    }
    devices.advance(30);
    devices.poll(&app, &codes.device).assert_error(400, "invalid_grant");
}

/// D16: a store that fails before or after the redemption costs the client one poll.
#[test]
fn a_poll_whose_store_fails_can_be_repeated() {
    let devices = Devices::new();
    let app = devices.world.register(tv());
    for after in [false, true] {
        let codes = devices.codes(&app);
        devices.approve(&codes.user, "ann");
        if after {
            devices.world.store.fail_after(Method::RedeemCode, 1);
        } else {
            devices.world.store.fail_before(Method::RedeemCode, 1);
        }
        devices.poll(&app, &codes.device).assert_error(500, "server_error");
        let tokens = devices.poll(&app, &codes.device);
        assert_eq!(tokens.status, 200, "{tokens:?}");
    }
    let codes = devices.codes(&app);
    devices.world.store.fail_before(Method::FindGrant, 1);
    devices.poll(&app, &codes.device).assert_error(500, "server_error");
    devices.poll(&app, &codes.device).assert_error(400, "authorization_pending");
}

/// D3, D9: a code expires at its instant, decided or not, and the row of the decision outlives it.
#[test]
fn a_device_code_expires_at_its_instant() {
    let devices = Devices::new();
    let app = devices.world.register(tv());
    let (open, approved, denied) = (devices.codes(&app), devices.codes(&app), devices.codes(&app));
    devices.approve(&approved.user, "ann");
    devices.deny(&denied.user, "ann");
    devices.advance(599);
    let pruned = devices.world.block_on(devices.world.server.admin("root").prune(100)).unwrap();
    assert_eq!(pruned.removed, 0);
    devices.poll(&app, &open.device).assert_error(400, "authorization_pending");
    devices.poll(&app, &denied.device).assert_error(400, "access_denied");
    devices.advance(1);
    for codes in [&open, &approved, &denied] {
        devices.poll(&app, &codes.device).assert_error(400, "expired_token");
    }
    devices.world.assert_refused("grant", "device_code_expired", None);
    // The three records and the denial go first, and an approval that was never fetched within the hour.
    for (seconds, removed) in [(61, 4), (3_600, 1)] {
        devices.advance(seconds);
        let admin = devices.world.server.admin("root");
        let pruned = devices.world.block_on(admin.prune(100)).unwrap();
        assert_eq!(pruned.removed, removed);
    }
}

/// D4, D9: a code opens nothing for another app, nor does one with a changed letter, nor an authorization code.
#[test]
fn a_device_code_belongs_to_its_app() {
    let devices = Devices::new();
    let (app, other) = (devices.world.register(tv()), devices.world.register(tv()));
    let codes = devices.codes(&app);
    devices.approve(&codes.user, "ann");
    devices.poll(&other, &codes.device).assert_error(400, "invalid_grant");
    for wrong in ["", "gdc_", &codes.device[..60], &codes.device.replacen("gdc_", "gac_", 1)] {
        let error = if wrong.is_empty() { "invalid_request" } else { "invalid_grant" };
        devices.poll(&app, wrong).assert_error(400, error);
    }
    assert_eq!(devices.poll(&app, &codes.device).status, 200);

    let with_both = devices.world.register(code_app().flow(grantor::Flow::DeviceCode));
    let (code, verifier) = devices.world.code(&with_both);
    devices.poll(&with_both, &code).assert_error(400, "invalid_grant");
    assert_eq!(devices.world.redeem(&with_both, &code, &verifier).status, 200);
    let codes = devices.codes(&with_both);
    devices.approve(&codes.user, "ann");
    devices.world.redeem(&with_both, &codes.device, &verifier).assert_error(400, "invalid_grant");
}

/// D15: a poll narrows the scope, and never widens it.
#[test]
fn a_poll_can_narrow_what_the_user_approved() {
    let devices = Devices::new();
    let app = devices.world.register(tv());
    let codes = devices.codes(&app);
    let prompt = devices.prompt(&codes.user, "ann");
    devices.decide(&prompt.ticket, "ann", "approve", "a b");
    devices.poll_with(&app, &codes.device, &[("scope", "c")]).assert_error(400, "invalid_scope");
    let tokens = devices.poll_with(&app, &codes.device, &[("scope", "a")]);
    assert_eq!(tokens.text("scope"), "a");
    assert_eq!(devices.world.refresh(&app, tokens.text("refresh_token")).text("scope"), "a b");
}

/// D15: access that was revoked between the approval and the poll is not given, and neither is that of a user who
/// is gone.
#[test]
fn what_ends_the_access_of_a_user_ends_an_approval() {
    let devices = Devices::new();
    let app = devices.world.register(tv());
    let admin = devices.world.server.admin("root");
    let codes = devices.codes(&app);
    devices.approve(&codes.user, "ann");
    let ann = Subject::new("ann").unwrap();
    let target = RevocationTarget::Subject(ann.clone());
    devices.world.block_on(admin.revoke(target)).unwrap();
    devices.poll(&app, &codes.device).assert_error(400, "invalid_grant");
    devices.advance(6);

    let codes = devices.codes(&app);
    devices.approve(&codes.user, "ann");
    devices.world.users.put(User::new(ann.clone()).with_active(false));
    devices.poll(&app, &codes.device).assert_error(400, "invalid_grant");
    devices.world.users.put(User::new(ann));
    assert_eq!(devices.poll(&app, &codes.device).status, 200);
}

/// D18: the device is not part of the browser session in which the user approved. Its tokens state no `sid`, and the
/// logout leaves its access. They state how the user authenticated.
#[test]
fn a_logout_of_the_browser_leaves_the_access_of_the_device() {
    let devices = Devices::new();
    let app = devices.world.register(tv());
    let codes = devices.codes(&app);
    let session: SessionId = "s-7".parse().unwrap();
    let login = Login::new(Subject::new("ann").unwrap(), "browser")
        .with_session_id(session.clone())
        .with_acr("gold".parse().unwrap());
    let world = &devices.world;
    let server = &world.server;
    let caller = Caller::default();
    let prompt = world.block_on(server.enter_user_code(&codes.user, &login, caller)).unwrap();
    let decided = server.decide_device(&prompt.ticket, &login, Decision::approve(), caller);
    assert!(world.block_on(decided).unwrap().approved);
    let tokens = devices.poll(&app, &codes.device);
    let claims = tokens.claims();
    assert_eq!((claims.get("sid"), &claims["acr"]), (None, &"gold".into()));

    let admin = server.admin("root");
    world.block_on(admin.revoke(RevocationTarget::Session(session))).unwrap();
    assert!(!world.is_revoked(&tokens));
    let refreshed = world.refresh(&app, tokens.text("refresh_token"));
    assert_eq!(refreshed.status, 200, "{refreshed:?}");
}
