//! The policy document.

use std::sync::Arc;

use grantor::app::PinPolicy;
use grantor::http::HttpEndpoints;
use http::Request;

use super::{Phones, phone_app, rules};
use crate::support::{Answered, Lines, START, machine_app, public_app};

const POLICY: &str = "/oauth/device/policy";
const CHALLENGE: &str = "Bearer realm=\"https://as.example.com\"";

pub(super) fn get(phones: &Phones, token: Option<&str>, headers: &[(&str, &str)]) -> Answered {
    let mut request = Request::get(POLICY);
    if let Some(token) = token {
        request = request.header("authorization", format!("Bearer {token}"));
    }
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    phones.world.send(request.body(String::new()).unwrap())
}

/// W14: the rules, the server's time and a tag; 304 while they are the same; the version is noted at the device,
/// with one read and a write only for a change.
#[test]
fn a_phone_reads_its_rules_and_learns_when_they_change() {
    let phones = Phones::new();
    let app = phones.app();
    let tokens = phones.log_in(&app, "tag");
    let token = tokens.text("access_token");
    phones.devices.take_calls();
    let answer = get(&phones, Some(token), &[]);
    assert_eq!(answer.status, 200, "{answer:?}");
    let json = answer.json();
    assert_eq!((&json["server_time"], &json["remote_wipe"]), (&START.into(), &true.into()));
    assert_eq!(answer.header("content-type"), Some("application/json"));
    assert_eq!(answer.header("cache-control"), Some("private, max-age=300"));
    assert_eq!(answer.header("vary"), Some("Authorization"));
    assert_eq!(answer.header("pragma"), None);
    assert!(answer.header("date").is_some());
    let version = json["version"].as_str().unwrap().to_owned();
    let etag = format!("W/\"{version}\"");
    assert_eq!(answer.header("etag"), Some(&*etag));
    assert_eq!(phones.devices.take_calls(), ["find_device", "note_policy"]);
    let seen = || phones.device(&app, "ann", "tag").unwrap().policy_seen.unwrap();
    assert_eq!(seen(), version);

    phones.advance(100);
    let strong = etag.trim_start_matches("W/").to_owned();
    let several = format!("\"x\", {etag}");
    for known in [&*etag, &strong, &several, "*"] {
        let same = get(&phones, Some(token), &[("if-none-match", known)]);
        assert_eq!((same.status, &*same.body), (304, ""), "{known}");
        assert_eq!(same.header("etag"), Some(&*etag));
        assert_eq!(same.header("cache-control"), Some("private, max-age=300"));
    }
    assert_eq!(phones.devices.take_calls(), ["find_device"; 4]);

    let mut stricter = rules();
    stricter.pin = PinPolicy::Always;
    phones.world.edit(&app, |draft| draft.mobile_security(stricter));
    let changed = get(&phones, Some(token), &[("if-none-match", &etag)]);
    assert_eq!((changed.status, &changed.json()["pin"]["ask"]), (200, &"always".into()));
    assert_eq!(changed.json()["server_time"], START + 100);
    assert_ne!(seen(), version);
    assert_eq!(phones.world.count("read_policy"), 0, "reads do not fill the log");
}

/// W14: a dead token is refused as an API refuses it.
#[test]
fn a_dead_token_reads_no_rules() {
    let phones = Phones::new();
    let app = phones.app();
    let tokens = phones.log_in(&app, "tag");
    let token = tokens.text("access_token").to_owned();
    let dead = |token: &str| {
        let answer = get(&phones, Some(token), &[]);
        assert_eq!((answer.status, &*answer.body), (401, ""), "{answer:?}");
        assert_eq!(answer.header("cache-control"), Some("no-store"));
        let challenge = answer.header("www-authenticate").unwrap();
        assert!(challenge.starts_with(&format!("{CHALLENGE}, error=\"invalid_token\"")));
    };
    for none in [get(&phones, None, &[]), get(&phones, None, &[("authorization", "Basic eA==")])] {
        assert_eq!((none.status, none.header("www-authenticate")), (401, Some(CHALLENGE)));
    }
    dead("x");
    dead(tokens.text("refresh_token"));
    dead(&format!("{}AAAA", &token[..token.len() - 4]));
    phones.order(&app, "tag");
    dead(&token);
    phones.world.assert_refused("grant", "revoked_token", None);
    let expiring = phones.log_in(&app, "new").text("access_token").to_owned();
    assert_eq!(get(&phones, Some(&expiring), &[]).status, 200);
    phones.advance(3_600);
    dead(&expiring);
    let twice = [("authorization", "Bearer x")];
    assert_eq!(get(&phones, Some(&token), &twice).status, 400);
}

/// W14: an app without rules has no document. One without a user or a device has.
#[test]
fn the_document_belongs_to_the_app_of_the_token() {
    let phones = Phones::new();
    let plain = phones.world.register(public_app());
    let answer = get(&phones, Some(phones.world.tokens(&plain).text("access_token")), &[]);
    assert_eq!((answer.status, &answer.json()["error"]), (404, &"invalid_request".into()));
    let machine = phones.world.register(machine_app().mobile_security(rules()));
    let own = phones.world.post(&machine, &[("grant_type", "client_credentials")]);
    phones.devices.take_calls();
    assert_eq!(get(&phones, Some(own.text("access_token")), &[]).status, 200);
    assert!(phones.devices.take_calls().is_empty());
    let post = phones.world.send_form(POLICY, None, "");
    assert_eq!((post.status, post.header("allow")), (405, Some("GET, HEAD, OPTIONS")));
}

/// W14: the rules matter more than the note that they were read.
#[test]
fn a_note_that_fails_does_not_fail_the_answer() {
    let phones = Phones::new();
    let app = phones.app();
    let tokens = phones.log_in(&app, "tag");
    phones.devices.set_away(true);
    assert_eq!(get(&phones, Some(tokens.text("access_token")), &[]).status, 200);
    phones.devices.set_away(false);
    assert_eq!(phones.device(&app, "ann", "tag").unwrap().policy_seen, None);
    assert_eq!(get(&phones, Some(tokens.text("access_token")), &[]).status, 200);
    assert!(phones.device(&app, "ann", "tag").unwrap().policy_seen.is_some());
}

/// W14: the endpoints answer scripts of the app's own origins, as the token endpoint does.
#[test]
fn scripts_of_the_app_read_the_answers() {
    let phones = Phones::new();
    let app = phones.world.register(phone_app());
    let tokens = phones.log_in(&app, "tag");
    let server = Arc::clone(&phones.world.server);
    let endpoints = HttpEndpoints::new(server, Lines).with_cross_origin(true);
    let ask = |origin: &str| {
        let request = Request::get(POLICY)
            .header("origin", origin)
            .header("authorization", format!("Bearer {}", tokens.text("access_token")));
        let answer = endpoints.handle(request.body("").unwrap());
        let answer = Answered::from(phones.world.block_on(answer).unwrap());
        let vary: Vec<_> = answer.headers.get_all("vary").iter().cloned().collect();
        assert_eq!(vary, ["Authorization", "Origin"]);
        answer.header("access-control-allow-origin").map(str::to_owned)
    };
    assert_eq!(ask("https://app.example.com").as_deref(), Some("https://app.example.com"));
    assert_eq!(ask("https://evil.example.com"), None);
    let request = Request::options(super::CHECK)
        .header("origin", "https://app.example.com")
        .header("access-control-request-method", "POST");
    let answer = phones.world.block_on(endpoints.handle(request.body("").unwrap())).unwrap();
    assert_eq!(answer.headers()["access-control-allow-origin"], "https://app.example.com");
}
