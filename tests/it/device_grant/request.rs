//! The device authorization request and its answer.

use grantor::app::{AppDraft, RateQuota};
use grantor::clock::UnixTime;
use grantor::ids::Resource;
use grantor::rate_limit::RateLimits;
use grantor::store::{Keep, PendingRecord, PendingStore as _};

use super::{Devices, set_top_box, tv};
use crate::support::{START, basic, body_of};

/// D8, D9: the codes, the page, their lifetime and the interval, in an answer that is not stored.
#[test]
fn a_device_gets_its_codes_and_the_page_for_the_user() {
    let devices = Devices::new();
    let app = devices.world.register(tv());
    let answer = devices.ask_form(None, &body_of(&app, &[("scope", "a b")]));
    assert_eq!(answer.status, 200, "{answer:?}");
    assert_eq!(answer.header("cache-control"), Some("no-store"));
    assert_eq!(answer.header("content-type"), Some("application/json"));
    let json = answer.json();
    let user_code = json["user_code"].as_str().unwrap();
    assert!(json["device_code"].as_str().unwrap().starts_with("gdc_"));
    assert_eq!(user_code.len(), 9);
    let letters = user_code.bytes().filter(|it| *it != b'-');
    assert!(letters.clone().all(|it| b"BCDFGHJKLMNPQRSTVWXZ".contains(&it)), "{user_code}");
    assert_eq!((letters.count(), user_code.as_bytes()[4]), (8, b'-'));
    assert_eq!(json["verification_uri"], "https://as.example.com/oauth/device");
    let complete = format!("https://as.example.com/oauth/device?user_code={user_code}");
    assert_eq!(json["verification_uri_complete"], complete);
    assert_eq!((&json["expires_in"], &json["interval"]), (&600.into(), &5.into()));
    assert_eq!(json.as_object().unwrap().len(), 6);
    let event = devices.world.last_event();
    assert_eq!((event.action.as_str(), event.outcome.as_str()), ("authorize_device", "success"));
    let metadata: serde_json::Value =
        serde_json::from_str(&devices.world.server.metadata()).unwrap();
    let endpoint = "https://as.example.com/oauth/device_authorization";
    assert_eq!(metadata["device_authorization_endpoint"], endpoint);
    let grants = metadata["grant_types_supported"].as_array().unwrap();
    assert!(grants.contains(&super::GRANT_TYPE.into()), "{grants:?}");
}

/// D8: the app authenticates as at the token endpoint.
#[test]
fn an_app_authenticates_as_at_the_token_endpoint() {
    let devices = Devices::new();
    let (public, confidential) =
        (devices.world.register(tv()), devices.world.register(set_top_box()));
    let (id, secret) = (confidential.id.as_str(), confidential.secret.clone().unwrap());
    let header = basic(id, &secret);
    assert_eq!(devices.ask_form(Some(&header), "").status, 200);
    assert_eq!(devices.ask(&confidential, &[]).status, 200);
    assert_eq!(devices.ask(&public, &[]).status, 200);
    let nameless = devices.ask_form(None, "scope=a");
    nameless.assert_error(401, "invalid_client");
    let named = devices.ask_form(None, &format!("client_id={id}"));
    named.assert_error(401, "invalid_client");
    let wrong = devices.ask_form(Some(&basic(id, "wrong")), "");
    wrong.assert_error(401, "invalid_client");
    assert!(wrong.header("www-authenticate").is_some());
    let unknown = devices.ask_form(None, "client_id=unknown");
    unknown.assert_error(401, "invalid_client");
    devices
        .ask_form(Some(&header), &body_of(&confidential, &[]))
        .assert_error(400, "invalid_request");
    devices.world.block_on(devices.world.server.admin("root").disable(&public.id)).unwrap();
    devices.ask(&public, &[]).assert_error(401, "invalid_client");
    assert_eq!(devices.records.kept().len(), 3);
}

/// D8: scope and resource are validated at the request, before anything is kept.
#[test]
fn scope_and_resource_are_validated_at_the_request() {
    let devices = Devices::new();
    let api = Resource::new("https://files.example").unwrap();
    let app = devices.world.register(tv().resources([api]));
    for (parameters, error) in [
        (&[("scope", "a d")][..], "invalid_scope"),
        (&[("scope", "a\"")], "invalid_scope"),
        (&[("scope", "a"), ("scope", "b")], "invalid_request"),
        (&[("resource", "https://other.example")], "invalid_target"),
        (&[("resource", "files")], "invalid_target"),
    ] {
        devices.ask(&app, parameters).assert_error(400, error);
    }
    assert!(devices.records.kept().is_empty());
    let both = [("resource", "https://files.example"), ("resource", "https://as.example.com")];
    let asked = devices.ask(&app, &[("scope", "a"), both[0], both[1]]);
    assert_eq!(asked.status, 200, "{asked:?}");
    let prompt = devices.prompt(asked.text("user_code"), "ann");
    assert_eq!(prompt.scopes, "a");
    devices.decide(&prompt.ticket, "ann", "approve", "a");
    let files = [("resource", "https://files.example")];
    let tokens = devices.poll_with(&app, asked.text("device_code"), &files);
    assert_eq!(tokens.claims()["aud"], "https://files.example");
    assert_eq!(tokens.text("scope"), "a");
    let other = [("resource", "https://other.example")];
    let refused = devices.poll_with(&app, asked.text("device_code"), &other);
    refused.assert_error(400, "invalid_target");
}

/// D9: the store has neither code, and nothing of the request in clear.
#[test]
fn a_leaked_table_shows_no_request_and_no_code() {
    let devices = Devices::new();
    let app = devices.world.register(tv());
    let codes = devices.codes(&app);
    let [record] = &devices.records.kept()[..] else { panic!("one record") };
    assert_eq!(record.expires_at, UnixTime::from_seconds(START + 600));
    let letters = codes.user.replace('-', "");
    let sealed = String::from_utf8_lossy(&record.sealed).into_owned();
    for text in [&*codes.user, &*letters, app.id.as_str(), "192.0.2.7", "a b c"] {
        assert!(!sealed.contains(text), "{text}");
    }
    let unkeyed = ring::digest::digest(&ring::digest::SHA256, letters.as_bytes());
    assert_ne!(record.key.as_bytes(), unkeyed.as_ref());
    // A record under another key does not open: a writer of the table has moved it.
    let other = devices.codes(&app);
    let [_, moved] = &devices.records.kept()[..] else { panic!("two records") };
    let moved = PendingRecord { key: record.key, ..moved.clone() };
    devices.advance(600);
    let now = devices.world.clock_now();
    let later = UnixTime::from_millis(now.as_millis() + 1_000);
    let moved = PendingRecord { expires_at: later, ..moved };
    let kept = devices.world.block_on(devices.records.keep(&moved, now)).unwrap();
    assert_eq!(kept, Keep::Kept);
    let page = devices.submit(&[("user_code", &*codes.user)], Some("ann"));
    assert_eq!((page.status, &*page.body), (400, "enter|/oauth/device||unknown_user_code"));
    drop(other);
}

/// D9: a user code that is taken is drawn anew. If the store never finds a free one, the server fails.
#[test]
fn a_user_code_that_is_taken_is_drawn_anew() {
    let devices = Devices::new();
    let app = devices.world.register(tv());
    devices.records.say_taken(7);
    assert_eq!(devices.ask(&app, &[]).status, 200);
    devices.records.say_taken(8);
    devices.ask(&app, &[]).assert_error(500, "server_error");
    devices.records.say_taken(0);
    devices.records.fail(1);
    devices.ask(&app, &[]).assert_error(500, "server_error");
    assert_eq!(devices.ask(&app, &[]).status, 200);
}

/// D8: strangers who know the client id of a public app are limited by their source and by the app, and spend
/// nothing of the app's tokens. A confidential app pays with its own budget.
#[test]
fn strangers_cannot_fill_the_store_with_requests() {
    let limits = RateLimits::none()
        .with_device_requests(RateQuota::new(20, 3))
        .with_volume(RateQuota::new(60, 5));
    let devices = Devices::limited(limits);
    let app = devices.world.register(tv());
    for _ in 0..3 {
        devices.ask(&app, &[]);
    }
    let limited = devices.ask(&app, &[]);
    limited.assert_error(429, "temporarily_unavailable");
    assert_eq!(limited.retry_after, Some(3));
    devices.world.assert_refused("rate_limit", "too_many_device_requests", Some("rate_limits"));
    let devices = devices.at_address("198.51.100.1");
    let codes = devices.codes(&app);
    devices.codes(&app);
    devices.ask(&app, &[]).assert_error(429, "temporarily_unavailable");
    assert_eq!(devices.records.kept().len(), 5);
    for _ in 0..5 {
        devices.poll(&app, &codes.device).assert_error(400, "authorization_pending");
        devices.advance(5);
    }
    let confidential = devices.world.register(set_top_box());
    for _ in 0..5 {
        assert_eq!(devices.ask(&confidential, &[]).status, 200);
    }
    devices.ask(&confidential, &[]).assert_error(429, "temporarily_unavailable");
    devices.world.assert_refused("rate_limit", "quota_exceeded", Some("rate_quota"));
}

/// D8: the quota of the app itself limits requests in its name, from all sources, without a limit of the server.
#[test]
fn the_quota_of_an_app_limits_requests_in_its_name() {
    let mut devices = Devices::new();
    let strict = devices.world.register(tv().rate_quota(Some(RateQuota::new(60, 2))));
    for number in 1..=2 {
        devices = devices.at_address(&format!("198.51.100.{number}"));
        devices.codes(&strict);
    }
    devices = devices.at_address("198.51.100.3");
    let limited = devices.ask(&strict, &[]);
    limited.assert_error(429, "temporarily_unavailable");
    assert_eq!(limited.retry_after, Some(1));
    devices.advance(1);
    devices.codes(&strict);
}

/// D8: a device app needs no redirect URI.
#[test]
fn an_app_of_devices_has_no_redirect_uri() {
    let draft: AppDraft = tv();
    assert!(draft.build().unwrap().redirect_uris().is_empty());
}
