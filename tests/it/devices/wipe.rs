//! The protocol of a wipe.

use grantor::audit::{Action, Actor};
use grantor::ids::DeviceId;
use grantor::store::{DeviceStore as _, RequestWipe, Wipe, WipeAdvance, WipeStep};
use http::Request;

use super::{
    CHECK, DAY, Phones, SUCCESS, assert_counts, assert_no, assert_private_json, assert_wipe,
};
use crate::support::{Answered, encode};

/// W5, W6: asked, told, wiped, reported. The phone may ask again at every step, and only the steps are audited.
#[test]
fn a_phone_asks_wipes_and_reports() {
    let phones = Phones::new();
    let app = phones.app();
    let token = phones.log_in(&app, "tag").text("refresh_token").to_owned();
    assert_no(&phones.check(&app, &token));
    assert_no(&phones.report(&app, &token));
    assert_eq!(phones.state(&app, "tag"), "none");

    assert!(matches!(phones.order(&app, "tag"), RequestWipe::Requested(_)));
    for _ in 0..3 {
        phones.advance(60);
        assert_wipe(&phones.check(&app, &token));
        assert_eq!(phones.state(&app, "tag"), "notified");
    }
    let told = phones.world.last_event();
    let device = DeviceId::new("tag").ok();
    assert_eq!(told.action, Action::TellWipe { device: device.clone() });
    assert_eq!(told.actor, Actor::App(app.id.clone()));
    assert_eq!(told.client_id.as_ref(), Some(&app.id));
    assert_eq!(told.subject.unwrap().as_str(), "ann");
    assert_eq!(phones.wipe_events(), 1);

    assert_counts(&phones.report(&app, &token));
    assert_eq!(phones.state(&app, "tag"), "done");
    assert_eq!(phones.world.last_event().action, Action::FinishWipe { device, pin: false });
    for _ in 0..3 {
        assert_no(&phones.report(&app, &token));
        assert_no(&phones.check(&app, &token));
    }
    assert_eq!(phones.wipe_events(), 2);
    let row = phones.device(&app, "ann", "tag").unwrap();
    let Wipe::Done { order: Some(order), at } = row.wipe else { panic!("{row:?}") };
    assert_eq!((order.by.as_str(), at), ("root", phones.world.clock_now()));
    assert!(row.keep_until.millis_since(at) >= i64::try_from(90 * DAY * 1_000).unwrap());
}

/// W6: a phone may report before it has asked, for example because the answer to its question was lost.
#[test]
fn a_report_counts_without_a_question() {
    let phones = Phones::new();
    let app = phones.app();
    let token = phones.log_in(&app, "tag").text("refresh_token").to_owned();
    phones.order(&app, "tag");
    assert_counts(&phones.report(&app, &token));
    assert_eq!(phones.state(&app, "tag"), "done");
    assert_no(&phones.check(&app, &token));
}

/// W6: a clock that was set back between order and report changes nothing.
#[test]
fn a_clock_that_is_set_back_does_not_stop_a_wipe() {
    let phones = Phones::new();
    let app = phones.app();
    phones.advance(DAY);
    let token = phones.log_in(&app, "tag").text("refresh_token").to_owned();
    phones.order(&app, "tag");
    let start = phones.world.clock_now();
    phones.world.clock.set(start.minus(std::time::Duration::from_secs(3 * DAY)));
    assert_wipe(&phones.check(&app, &token));
    phones.world.clock.set(start.minus(std::time::Duration::from_secs(30 * DAY)));
    assert_counts(&phones.report(&app, &token));
    assert_eq!(phones.state(&app, "tag"), "done");
    let kept = phones.device(&app, "ann", "tag").unwrap().keep_until;
    assert!(kept > start.plus(std::time::Duration::from_secs(364 * DAY)), "never shorter");
}

/// W13: a withdrawn order is none.
#[test]
fn a_phone_is_not_told_of_a_withdrawn_order() {
    let phones = Phones::new();
    let app = phones.app();
    let tokens = phones.log_in(&app, "tag");
    phones.order(&app, "tag");
    let device = phones.device(&app, "ann", "tag").unwrap();
    let withdrawal = WipeAdvance {
        ordered_at: device.wipe.order().unwrap().at,
        key: device.key,
        step: WipeStep::Withdraw,
        keep_until: device.keep_until,
        now: phones.world.clock_now(),
    };
    phones.world.block_on(phones.memory.advance_wipe(&withdrawal)).unwrap();
    assert_no(&phones.check(&app, tokens.text("refresh_token")));
    assert_no(&phones.report(&app, tokens.text("refresh_token")));
    assert!(phones.world.is_revoked(&tokens), "the grant stays dead");
}

/// W17: a phone that wiped itself after too many wrong PINs is done, from every state, and its access has ended.
#[test]
fn a_phone_may_report_a_wipe_by_wrong_pins_from_every_state() {
    let phones = Phones::new();
    let app = phones.app();
    let by_pin = |token: &str| phones.ask(SUCCESS, &app, token, &[("reason", "pin")]);
    for state in ["none", "requested", "notified", "done"] {
        let tag = format!("tag {state}");
        let tokens = phones.log_in(&app, &tag);
        let token = tokens.text("refresh_token");
        if state != "none" {
            phones.order(&app, &tag);
        }
        if state == "notified" {
            assert_wipe(&phones.check(&app, token));
        } else if state == "done" {
            assert_counts(&phones.report(&app, token));
        }
        assert_eq!(phones.state(&app, &tag), state);
        let events = phones.wipe_events();
        assert_counts(&by_pin(token));
        assert_eq!(phones.state(&app, &tag), "done");
        assert!(phones.world.is_revoked(&tokens));
        phones.world.refresh(&app, token).assert_error(400, "invalid_grant");
        if state == "done" {
            assert_eq!(phones.wipe_events(), events, "nothing has changed");
        } else {
            let device = DeviceId::new(tag).ok();
            let action = Action::FinishWipe { device, pin: true };
            assert!(phones.world.events().iter().any(|event| event.action == action));
        }
        // A lost answer is asked for again.
        let events = phones.wipe_events();
        assert_counts(&by_pin(token));
        assert_eq!(phones.wipe_events(), events);
    }
    // Another reason is none.
    let token = phones.log_in(&app, "tag").text("refresh_token").to_owned();
    assert_no(&phones.ask(SUCCESS, &app, &token, &[("reason", "bored")]));
    assert_eq!(phones.state(&app, "tag"), "none");
}

/// W8: every answer is JSON that no cache keeps: no page and no redirect, for any request.
#[test]
fn no_answer_is_a_page_or_a_redirect() {
    let phones = Phones::new();
    let app = phones.app();
    let token = phones.log_in(&app, "tag").text("refresh_token").to_owned();
    phones.order(&app, "tag");
    let good = encode(&[("token", &token), ("client_id", app.id.as_str())]);
    let form = "application/x-www-form-urlencoded";
    let send = |method: &str, path: &str, content_type: Option<&str>, body: &str| {
        let mut request = Request::builder().method(method).uri(path);
        if let Some(content_type) = content_type {
            request = request.header("content-type", content_type);
        }
        let request = request.header("accept", "text/html").body(body.to_owned());
        phones.world.send(request.unwrap())
    };
    let long = "x".repeat(70_000);
    let token_only = encode(&[("token", &token)]);
    let twice = format!("{good}&token=x");
    for path in [CHECK, SUCCESS] {
        let cases: [(&str, Option<&str>, &str, u16); 9] = [
            ("GET", None, "", 405),
            ("PUT", Some(form), &good, 405),
            ("POST", Some("application/json"), "{}", 400),
            ("POST", None, &good, 400),
            ("POST", Some(form), "", 400),
            ("POST", Some(form), &token_only, 400),
            ("POST", Some(form), &twice, 400),
            ("POST", Some(form), "token=%00", 400),
            ("POST", Some(form), &long, 413),
        ];
        for (method, content_type, body, status) in cases {
            let answer = send(method, path, content_type, body);
            assert_eq!(answer.status, status, "{method} {path} {answer:?}");
            assert_private_json(&answer);
            assert_eq!(answer.json()["error"], "invalid_request");
        }
    }
    assert_eq!(phones.state(&app, "tag"), "requested", "none of them counts");
    // As Nextcloud's app for Android asks.
    let path = format!("{CHECK}?format=json");
    assert_wipe(&send("POST", &path, Some(form), &good));
    let path = format!("{SUCCESS}?format=json");
    assert_counts(&send("POST", &path, Some(form), &good));
}

/// W5: a failure of the store is not a no: the phone has to ask again.
#[test]
fn a_failure_of_the_store_is_neither_yes_nor_no() {
    let phones = Phones::new();
    let app = phones.app();
    let token = phones.log_in(&app, "tag").text("refresh_token").to_owned();
    phones.order(&app, "tag");
    phones.devices.set_away(true);
    let unavailable = |answer: &Answered| {
        answer.assert_error(503, "temporarily_unavailable");
        assert_eq!(answer.header("retry-after"), Some("5"));
        assert!(!answer.body.contains("planted"));
    };
    unavailable(&phones.check(&app, &token));
    assert_eq!(phones.world.last_event().outcome.as_str(), "failed");
    unavailable(&phones.report(&app, &token));
    phones.devices.set_away(false);
    assert_wipe(&phones.check(&app, &token));
}

/// W8: the endpoints below the path of an issuer, behind a proxy and among issuers, are those of the metadata.
#[test]
fn the_endpoints_follow_the_issuer() {
    use grantor::AuthorizationServer;
    use grantor::http::{HttpEndpoints, Issuers};
    use grantor::ids::Issuer;
    use grantor::protocol::{Paths, ServerEndpoint};
    use grantor::server_secret::ServerSecret;
    use std::sync::Arc;

    use crate::support::{Lines, ROOT, new_key};

    let phones = Phones::new();
    let endpoints = |paths: Paths| {
        let server = AuthorizationServer::builder(
            Issuer::new("https://example.com/tenant").unwrap(),
            ServerSecret::new(ROOT).unwrap(),
            new_key(),
            Arc::clone(&phones.memory),
            Arc::clone(&phones.world.users),
        );
        let server = server.devices(Arc::clone(&phones.memory)).paths(paths).build();
        HttpEndpoints::new(Arc::new(server), Lines)
    };
    let here = endpoints(Paths::default());
    let at = |path: &str| here.endpoint_at(path);
    assert_eq!(at("/tenant/oauth/device/wipe/check"), Some(ServerEndpoint::DeviceWipeCheck));
    assert_eq!(at("/tenant/oauth/device/policy"), Some(ServerEndpoint::DevicePolicy));
    let url = "\"device_policy_endpoint\":\"https://example.com/tenant/oauth/device/policy\"";
    assert!(here.server().metadata().contains(url), "{}", here.server().metadata());

    let stripped = endpoints(Paths::default()).behind_prefix("/tenant").unwrap();
    let stripped = stripped.with_nextcloud_wipe([super::client_id("app")]).unwrap();
    for path in [CHECK, "/index.php/core/wipe/check"] {
        assert_eq!(stripped.endpoint_at(path), Some(ServerEndpoint::DeviceWipeCheck), "{path}");
    }
    let nextcloud = endpoints(Paths::default()).with_nextcloud_wipe([super::client_id("app")]);
    let nextcloud = nextcloud.unwrap().behind_prefix("/tenant").unwrap();
    let success = nextcloud.endpoint_at("/index.php/core/wipe/success");
    assert_eq!(success, Some(ServerEndpoint::DeviceWipeSuccess));

    let paths = Paths::default().without(ServerEndpoint::DeviceWipeCheck);
    let unmounted = endpoints(paths);
    assert!(!unmounted.server().metadata().contains("device_wipe_check_endpoint"));
    assert!(unmounted.with_nextcloud_wipe([super::client_id("app")]).is_err());

    let issuers = Issuers::new();
    issuers.insert(endpoints(Paths::default())).unwrap();
    let request = Request::post("/tenant/oauth/device/wipe/check").header("host", "example.com");
    let request = request.header("content-type", "application/x-www-form-urlencoded");
    let body = encode(&[("token", "grt_x"), ("client_id", "app")]);
    let answer = phones.world.block_on(issuers.handle(request.body(body).unwrap()));
    assert_no(&Answered::from(answer.unwrap()));
}
