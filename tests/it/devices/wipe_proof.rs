//! The proof of a device: its refresh token, live or dead, and nothing else.

use std::sync::Arc;

use grantor::server_secret::ServerSecret;
use grantor::store::{
    AppRegistry as _, GrantStore as _, Revocation, RevocationReason, RevocationTarget,
};

use super::{CHECK, DAY, PhoneWorld, Phones, SUCCESS, assert_counts, assert_no, assert_wipe};
use crate::support::{App, ROOT, Wire, World, new_key, public_app};

/// W5: a live, a spent, a revoked, an expired and a pruned token prove their device.
#[test]
fn a_refresh_token_proves_its_device_live_or_dead() {
    let phones = Phones::new();
    let app = phones.app();
    let first = phones.log_in(&app, "tag").text("refresh_token").to_owned();
    let second = phones.world.refresh(&app, &first).text("refresh_token").to_owned();
    phones.order(&app, "tag");
    let both = |what: &str| {
        for token in [&first, &second] {
            let answer = phones.check(&app, token);
            assert_eq!((answer.status, &*answer.body), (200, r#"{"wipe":true}"#), "{what}");
        }
    };
    both("spent and newest");
    let grant = phones.device(&app, "ann", "tag").unwrap().grant_id;
    let now = phones.world.clock_now();
    let revocation = Revocation {
        target: RevocationTarget::Grant(grant),
        at: now,
        why: RevocationReason::Client,
        until: now.plus(std::time::Duration::from_secs(DAY)),
    };
    phones.world.block_on(phones.memory.revoke(&revocation)).unwrap();
    both("revoked");
    phones.advance(61 * DAY);
    both("expired");
    let pruned = phones.world.server.admin("root");
    phones.world.block_on(pruned.prune(1_000)).unwrap();
    assert!(phones.world.block_on(phones.memory.find_grant(&grant)).unwrap().is_none());
    both("pruned");
}

/// W5: the token of an earlier grant of the device has only the row of that grant, and proves the device by it.
#[test]
fn the_token_of_an_earlier_grant_proves_the_device_too() {
    let phones = Phones::new();
    let app = phones.app();
    let earlier = phones.log_in(&app, "tag").text("refresh_token").to_owned();
    let newest = phones.log_in(&app, "tag").text("refresh_token").to_owned();
    phones.order(&app, "tag");
    assert_wipe(&phones.check(&app, &earlier));
    assert_wipe(&phones.check(&app, &newest));
}

/// W5, W6, W17: the dead token of an installation that was wiped says nothing about the one that took its id: it
/// neither asks nor reports for it, and does not end its access.
#[test]
fn the_token_of_a_wiped_installation_does_not_reach_the_next_one() {
    let phones = Phones::new();
    let app = phones.app();
    let earlier = phones.log_in(&app, "tag").text("refresh_token").to_owned();
    let latest = phones.log_in(&app, "tag").text("refresh_token").to_owned();
    phones.order(&app, "tag");
    assert_counts(&phones.report(&app, &latest));
    phones.advance(60);
    let next = phones.log_in(&app, "tag");
    let by_pin = |token: &str| phones.ask(SUCCESS, &app, token, &[("reason", "pin")]);
    for dead in [&earlier, &latest] {
        assert_no(&by_pin(dead));
        assert_eq!(phones.state(&app, "tag"), "none");
        assert!(!phones.world.is_revoked(&next));
    }
    phones.order(&app, "tag");
    for dead in [&earlier, &latest] {
        assert_no(&phones.check(&app, dead));
        assert_no(&phones.report(&app, dead));
        assert_no(&by_pin(dead));
        assert_eq!(phones.state(&app, "tag"), "requested");
    }
    // A second grant of the new installation does not make the first one strange.
    assert_wipe(&phones.check(&app, next.text("refresh_token")));
    assert_counts(&phones.report(&app, next.text("refresh_token")));
}

/// W6, W17: only the live token of a grant and the one before it report. An older one asks, but ends no order.
#[test]
fn a_token_that_was_spent_long_ago_reports_nothing() {
    let phones = Phones::new();
    let app = phones.app();
    let mut tokens = vec![phones.log_in(&app, "tag").text("refresh_token").to_owned()];
    for generation in 0..2 {
        let next = phones.world.refresh(&app, &tokens[generation]);
        tokens.push(next.text("refresh_token").to_owned());
    }
    let by_pin = |token: &str| phones.ask(SUCCESS, &app, token, &[("reason", "pin")]);
    assert_no(&by_pin(&tokens[0]));
    assert_eq!(phones.state(&app, "tag"), "none");
    assert_eq!(phones.world.refresh(&app, &tokens[2]).status, 200);
    phones.order(&app, "tag");
    for spent in [&tokens[0], &tokens[1]] {
        assert_no(&phones.report(&app, spent));
        assert_no(&by_pin(spent));
        assert_wipe(&phones.check(&app, spent));
        assert_eq!(phones.state(&app, "tag"), "notified");
    }
    // The phone may have lost the answer with the newest.
    assert_counts(&phones.report(&app, &tokens[2]));
    assert_eq!(phones.state(&app, "tag"), "done");
}

/// W5: an ordered wipe outlives the app: a disabled and a deleted one are not asked for.
#[test]
fn the_phone_of_a_disabled_or_deleted_app_is_wiped() {
    let phones = Phones::new();
    let app = phones.app();
    let token = phones.log_in(&app, "tag").text("refresh_token").to_owned();
    phones.order(&app, "tag");
    let admin = phones.world.server.admin("root");
    phones.world.block_on(admin.disable(&app.id)).unwrap();
    assert_wipe(&phones.check(&app, &token));
    phones.world.block_on(admin.delete(&app.id)).unwrap();
    phones.world.store.take_calls();
    assert_wipe(&phones.check(&app, &token));
    assert!(phones.world.store.take_calls().is_empty(), "one read, of the device");
    assert!(phones.world.block_on(phones.memory.find_app(&app.id)).unwrap().is_none());
    assert_eq!(phones.report(&app, &token).status, 200);
}

/// W5, W9: forged tokens, those of other apps, access tokens, codes and garbage get the answer of a device that
/// is not to be wiped, without a store call.
#[test]
fn nothing_but_a_refresh_token_of_the_app_is_evidence() {
    let phones = Phones::new();
    let app = phones.app();
    let other = phones.app();
    let tokens = phones.log_in(&app, "tag");
    let token = tokens.text("refresh_token").to_owned();
    let code = phones.world.code(&app).0;
    phones.order(&app, "tag");
    let expected = phones.check(&other, phones.log_in(&other, "tag").text("refresh_token"));
    assert_no(&expected);
    phones.world.store.take_calls();
    phones.devices.take_calls();

    let end = token.len() - 1;
    let letter = if token.as_bytes()[end - 8] == b'A' { 'B' } else { 'A' };
    let forged = [
        format!("{}{letter}{}", &token[..end - 8], &token[end - 7..]),
        token[..end].to_owned(),
        format!("{token}AAAA"),
        token.replacen("grt_", "gac_", 1),
        "grt_".to_owned(),
        format!("grt_{}", "A".repeat(10 * 1024)),
        tokens.text("access_token").to_owned(),
        code,
        "\u{1f4f1}\u{202e}".to_owned(),
    ];
    let same = |answer: &crate::support::Answered, what: &str| {
        assert_eq!((answer.status, &answer.body), (expected.status, &expected.body), "{what}");
        let names = |headers: &http::HeaderMap| -> Vec<_> {
            headers.keys().map(|name| name.as_str().to_owned()).collect()
        };
        assert_eq!(names(&answer.headers), names(&expected.headers), "{what}");
    };
    for path in [CHECK, SUCCESS] {
        for bad in &forged {
            same(&phones.ask(path, &app, bad, &[("reason", "pin")]), bad);
        }
        same(&phones.ask(path, &other, &token, &[("reason", "pin")]), "of another app");
        let unknown = App { id: super::client_id("unknown"), secret: None, signature_secret: None };
        same(&phones.ask(path, &unknown, &token, &[("reason", "pin")]), "of no app");
        let strange = [("token", &*token), ("client_id", "\u{7f}")];
        let body = crate::support::encode(&strange);
        same(&phones.world.send_form(path, None, &body), "of no client id");
    }
    assert!(phones.world.store.take_calls().is_empty());
    assert!(phones.devices.take_calls().is_empty());
    assert_eq!(phones.state(&app, "tag"), "requested");
    assert_eq!(phones.wipe_events(), 0);
}

/// W5: the token of another user or of another installation is that of another device.
#[test]
fn the_token_of_another_device_finds_its_own_state() {
    let phones = Phones::new();
    let app = phones.app();
    let token = phones.log_in(&app, "one").text("refresh_token").to_owned();
    let another = phones.log_in(&app, "two").text("refresh_token").to_owned();
    let without = phones.world.tokens(&app).text("refresh_token").to_owned();
    let plain = phones.world.register(public_app());
    let unruled = phones.world.tokens(&plain).text("refresh_token").to_owned();
    phones.order(&app, "one");
    for (app, token) in [(&app, &another), (&app, &without), (&plain, &unruled)] {
        assert_no(&phones.check(app, token));
        assert_no(&phones.report(app, token));
    }
    assert_eq!(phones.state(&app, "one"), "requested");
    assert_wipe(&phones.check(&app, &token));
    assert_eq!(phones.world.refresh(&app, &another).status, 200);
}

/// W19: a token that was sealed under an old root proves its device while that root is kept.
#[test]
fn an_old_token_proves_its_device_while_its_root_is_kept() {
    const NEW: &[u8] = b"fedcba9876543210fedcba9876543210";
    let phones = Phones::new();
    let app = phones.app();
    let token = phones.log_in(&app, "tag").text("refresh_token").to_owned();
    phones.order(&app, "tag");
    let after = |secret: ServerSecret| -> PhoneWorld {
        let world = &phones.world;
        let server = grantor::AuthorizationServer::builder(
            world.server.issuer().clone(),
            secret,
            new_key(),
            Arc::clone(&world.store),
            Arc::clone(&world.users),
        );
        let server = server.clock(Arc::clone(&world.clock)).audit(Arc::clone(&world.audit));
        World {
            server: Arc::new(server.devices(Arc::clone(&phones.devices)).build()),
            clock: Arc::clone(&world.clock),
            audit: Arc::clone(&world.audit),
            users: Arc::clone(&world.users),
            store: Arc::clone(&world.store),
            source: world.source.clone(),
            wire: Wire::InProcess,
            runner: grantor::store::conformance::Threads,
        }
    };
    let form = crate::support::encode(&[("token", &token), ("client_id", app.id.as_str())]);
    let replaced = after(ServerSecret::new(NEW).unwrap());
    assert_no(&replaced.send_form(CHECK, None, &form));
    let kept = ServerSecret::new(NEW).unwrap().accepting_handles(ROOT).unwrap();
    assert_wipe(&after(kept).send_form(CHECK, None, &form));
}

/// W5, W14: the same over a socket, through the axum router.
#[cfg(feature = "axum")]
#[test]
fn the_axum_router_mounts_the_endpoints() {
    let mut phones = Phones::new();
    phones.world.wire = Wire::default();
    let app = phones.app();
    let tokens = phones.log_in(&app, "tag");
    let request = http::Request::get("/oauth/device/policy")
        .header("authorization", format!("Bearer {}", tokens.text("access_token")));
    let policy = phones.world.send(request.body(String::new()).unwrap());
    assert_eq!(policy.status, 200, "{policy:?}");
    assert_no(&phones.check(&app, tokens.text("refresh_token")));
    phones.order(&app, "tag");
    assert_wipe(&phones.check(&app, tokens.text("refresh_token")));
    assert_counts(&phones.report(&app, tokens.text("refresh_token")));
}
