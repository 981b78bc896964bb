//! The device of a token request.

use grantor::app::{AppDraft, Flow, ImpersonationPolicy, JwtSettings};
use grantor::endpoint::{Approval, Caller, Decision};
use grantor::ids::DeviceId;
use grantor::store::RequestWipe;

use super::{DAY, Phones, phone_app, refresh_body, rules};
use crate::faulty_store::Method;
use crate::support::{
    Answer, App, ann, code_app, code_query, encode, machine_app, new_verifier, parameters,
    public_app,
};

const HINT: &str = "https://as.example.com/oauth/device/wipe/check";

/// W1: the parameters become the device of the grant, and its tokens state it. Apps without rules may send
/// anything.
#[test]
fn an_app_with_rules_names_its_device_and_others_are_not_asked() {
    let phones = Phones::new();
    let app = phones.app();
    let code = phones.world.code(&app);
    let named = [("install_tag_id", "tag 1"), ("install_name", "Ann’s phone")];
    let tokens = phones.redeem(&app, &code, &named);
    assert_eq!(tokens.status, 200, "{tokens:?}");
    assert_eq!(tokens.claims()["device"], "tag 1");
    let refreshed = phones.world.refresh(&app, tokens.text("refresh_token"));
    assert_eq!(refreshed.claims()["device"], "tag 1");
    let device = phones.device(&app, "ann", "tag 1").unwrap();
    assert_eq!(device.name.as_deref(), Some("Ann’s phone"));
    assert_eq!(device.first_seen, phones.world.clock_now());
    // The lifetime of the grant, 60 days, and 90 more.
    let kept = device.keep_until.millis_since(device.first_seen);
    assert_eq!(kept, i64::try_from(150 * DAY * 1_000).unwrap());

    let other = phones.world.register(public_app());
    let code = phones.world.code(&other);
    phones.devices.take_calls();
    let more = [("install_tag_id", "\u{7}"), ("install_name", "\u{7}")];
    let tokens = phones.redeem(&other, &code, &more);
    assert_eq!(tokens.status, 200, "{tokens:?}");
    assert!(tokens.claims().get("device").is_none());
    assert!(phones.devices.take_calls().is_empty());
}

/// W1: a bad value is refused with its name, burns nothing and reaches no store of devices.
#[test]
fn bad_names_are_refused_by_name_and_burn_nothing() {
    let phones = Phones::new();
    let app = phones.app();
    let code = phones.world.code(&app);
    let long = "a".repeat(10 * 1024);
    let bad = [
        ("install_tag_id", ""),
        ("install_tag_id", "tab\t"),
        ("install_tag_id", "\u{1b}[31m"),
        ("install_tag_id", "größe"),
        ("install_tag_id", &long),
        ("install_name", "line\nfeed"),
        ("install_name", "\u{85}"),
        ("install_name", &long),
    ];
    for (name, value) in bad {
        let mut more = vec![(name, value)];
        if name == "install_name" {
            more.push(("install_tag_id", "tag"));
        }
        let answer = phones.redeem(&app, &code, &more);
        answer.assert_error(400, "invalid_request");
        assert!(answer.text("error_description").starts_with(name), "{answer:?}");
    }
    let twice = [("install_tag_id", "a"), ("install_tag_id", "b")];
    let answer = phones.redeem(&app, &code, &twice);
    answer.assert_error(400, "invalid_request");
    assert!(answer.text("error_description").starts_with("install_tag_id"), "{answer:?}");
    assert!(phones.devices.take_calls().is_empty());
    assert_eq!(phones.redeem(&app, &code, &[("install_tag_id", "tag")]).status, 200);
}

/// W1: the device that the host names at the login wins over the parameter.
#[test]
fn the_device_of_the_login_comes_first() {
    let phones = Phones::new();
    let (world, app) = (&phones.world, phones.app());
    let verifier = new_verifier();
    let login = ann().with_device(DeviceId::new("of the host").unwrap());
    let prompt = world.prompt(&code_query(&app, &verifier, &[]), &login);
    let yes = Decision::Approve(Approval::default().with_remember(false));
    let decided = world.server.decide(&prompt.ticket, &login, yes, Caller::default());
    let decided = world.block_on(decided).unwrap();
    let code = parameters(decided.location()).remove("code").unwrap();
    let code = (code, verifier.expose_secret().to_owned());
    let named = [("install_tag_id", "of the app"), ("install_name", "Phone")];
    let tokens = phones.redeem(&app, &code, &named);
    assert_eq!(tokens.claims()["device"], "of the host");
    assert!(phones.device(&app, "ann", "of the app").is_none());
    let name = phones.device(&app, "ann", "of the host").unwrap().name;
    assert_eq!(name.as_deref(), Some("Phone"));
}

/// W1: a grant without a user at a device has none.
#[test]
fn grants_without_a_user_at_a_device_refuse_to_name_one() {
    let phones = Phones::new();
    let jwt = JwtSettings::signature_secret().with_impersonation(ImpersonationPolicy::anyone());
    let draft = |draft: AppDraft| draft.flow(Flow::JwtBearer).jwt(jwt.clone());
    let refusing = phones.world.register(draft(machine_app()).mobile_security(rules()));
    let ignoring = phones.world.register(draft(machine_app()));
    let ask = |app: &App, tag: Option<&str>, number: u32| -> Vec<Answer> {
        let assertion = assertion(&phones, app, number);
        let bearer = [
            ("grant_type", "urn:ietf:params:oauth:grant-type:jwt-bearer"),
            ("assertion", &*assertion),
        ];
        let own = [("grant_type", "client_credentials")];
        let more = tag.map(|tag| ("install_tag_id", tag));
        let send = |form: &[(&str, &str)]| {
            let form: Vec<_> = form.iter().copied().chain(more).collect();
            phones.world.post(app, &form)
        };
        vec![send(&bearer), send(&own)]
    };
    for answer in ask(&refusing, Some("tag"), 1) {
        answer.assert_error(400, "invalid_request");
        assert!(answer.text("error_description").starts_with("install_tag_id"), "{answer:?}");
    }
    // The refused assertion was not used up.
    for answer in ask(&refusing, None, 1).iter().chain(&ask(&ignoring, Some("tag"), 2)) {
        assert_eq!(answer.status, 200, "{answer:?}");
        assert!(answer.claims().get("device").is_none());
    }
    assert!(phones.devices.take_calls().is_empty());
}

fn assertion(phones: &Phones, app: &App, number: u32) -> String {
    let now = phones.world.clock_now().as_seconds();
    let claims = serde_json::json!({
        "iss": app.id.as_str(), "sub": "ann", "aud": crate::support::ISSUER,
        "iat": now, "exp": now + 120, "jti": number.to_string(),
    });
    let secret = app.signature_secret.as_deref().unwrap();
    let key = jsonwebtoken::EncodingKey::from_secret(secret.as_bytes());
    let header = jsonwebtoken::Header::new(jsonwebtoken::Algorithm::HS256);
    jsonwebtoken::encode(&header, &claims, &key).unwrap()
}

/// W2: one tag names different devices of different users and apps.
#[test]
fn a_tag_of_a_stranger_reaches_no_other_device() {
    let phones = Phones::new();
    let (app, other) = (phones.app(), phones.app());
    let victim = phones.log_in(&app, "shared");
    let elsewhere = phones.log_in(&other, "shared");
    let stranger = {
        let verifier = new_verifier();
        let page = phones.world.visit(&code_query(&app, &verifier, &[]), "bob");
        let parts: Vec<_> = page.body.split('|').collect();
        let form = [("ticket", parts[1]), ("decision", "approve"), ("scope", "a")];
        let request = http::Request::post(parts[0])
            .header("content-type", "application/x-www-form-urlencoded")
            .header("cookie", "bob")
            .body(encode(&form));
        let answer = phones.world.send(request.unwrap());
        let code = parameters(answer.header("location").unwrap()).remove("code").unwrap();
        let code = (code, verifier.expose_secret().to_owned());
        phones.redeem(&app, &code, &[("install_tag_id", "shared")])
    };
    assert_eq!(stranger.claims()["sub"], "bob");
    assert!(matches!(phones.order(&app, "shared"), RequestWipe::Requested(_)));
    assert!(phones.world.is_revoked(&victim));
    for (app, spared) in [(&app, &stranger), (&other, &elsewhere)] {
        assert!(!phones.world.is_revoked(spared));
        assert_eq!(phones.world.refresh(app, spared.text("refresh_token")).status, 200);
        assert_eq!(phones.check(app, spared.text("refresh_token")).status, 404);
    }
    assert_eq!(phones.check(&app, victim.text("refresh_token")).status, 200);
}

/// W3: an order ends access token, refresh token and code at once.
#[test]
fn an_order_ends_every_access_of_the_device_at_once() {
    let phones = Phones::new();
    let app = phones.app();
    let tokens = phones.log_in(&app, "tag");
    let spared = phones.log_in(&app, "another");
    let code = phones.world.code(&app);
    assert!(matches!(phones.order(&app, "tag"), RequestWipe::Requested(_)));
    assert_eq!(phones.state(&app, "tag"), "requested");
    assert!(phones.world.is_revoked(&tokens));
    let dead = phones.world.refresh(&app, tokens.text("refresh_token"));
    dead.assert_error(400, "invalid_grant");
    phones.redeem(&app, &code, &[("install_tag_id", "tag")]).assert_error(400, "invalid_grant");
    assert!(!phones.world.is_revoked(&spared));
}

/// W4: the refusal of a genuine token tells where to ask, in an extension member of the standard error.
#[test]
fn the_refusal_of_a_dead_token_tells_where_to_ask() {
    let phones = Phones::new();
    let app = phones.app();
    let token = phones.log_in(&app, "tag").text("refresh_token").to_owned();
    phones.order(&app, "tag");
    let answer = phones.world.post_form(None, &refresh_body(&app, &token));
    answer.assert_error(400, "invalid_grant");
    assert_eq!(answer.text("wipe_check"), HINT);
    let metadata = phones.world.server.metadata();
    assert!(metadata.contains(&format!("\"device_wipe_check_endpoint\":\"{HINT}\"")));

    // Not for a forged token, a code, another error, or an app that cannot be wiped.
    let has_hint = |answer: &Answer| answer.json.get("wipe_check").is_some();
    let letter = if token.as_bytes()[8] == b'A' { 'B' } else { 'A' };
    let forged = phones.world.refresh(&app, &format!("{}{letter}{}", &token[..8], &token[9..]));
    forged.assert_error(400, "invalid_grant");
    assert!(!has_hint(&forged));
    let foreign = phones.world.refresh(&phones.app(), &token);
    assert!(!has_hint(&foreign));
    let code = phones.redeem(&app, &("gac_x".to_owned(), "v".repeat(43)), &[]);
    code.assert_error(400, "invalid_grant");
    assert!(!has_hint(&code));
    let wide = phones.log_in(&app, "new");
    let form = [("grant_type", "refresh_token"), ("scope", "z")];
    let form = [&form[..], &[("refresh_token", wide.text("refresh_token"))]].concat();
    let wide = phones.world.post(&app, &form);
    wide.assert_error(400, "invalid_scope");
    assert!(!has_hint(&wide));
    let mut without = rules();
    (without.remote_wipe, without.clipboard) = (false, false);
    phones.world.edit(&app, |draft| draft.mobile_security(without));
    assert!(!has_hint(&phones.world.refresh(&app, &token)));
}

/// W12: a device whose wipe is pending gets no access, and the code is not burnt. After its report it is a new
/// installation.
#[test]
fn a_device_gets_access_again_only_after_its_wipe() {
    let phones = Phones::new();
    let app = phones.app();
    let token = phones.log_in(&app, "tag").text("refresh_token").to_owned();
    phones.order(&app, "tag");
    phones.advance(10);
    let code = phones.world.code(&app);
    let refused = phones.redeem(&app, &code, &[("install_tag_id", "tag")]);
    refused.assert_error(400, "invalid_grant");
    assert!(refused.text("error_description").contains("wiped"), "{refused:?}");
    phones.world.assert_refused("claim", "device_to_be_wiped", None);
    assert_eq!(phones.check(&app, &token).status, 200);
    phones.redeem(&app, &code, &[("install_tag_id", "tag")]).assert_error(400, "invalid_grant");
    assert_eq!(phones.report(&app, &token).status, 200);
    let answer = phones.redeem(&app, &code, &[("install_tag_id", "tag")]);
    assert_eq!(answer.status, 200, "{answer:?}");
    assert!(!phones.world.is_revoked(&answer));
    assert_eq!(phones.state(&app, "tag"), "none");
    // The dead token of the installation before does not make the new one wipe.
    assert_eq!(phones.check(&app, &token).status, 404);
}

/// W1: a phone is seen again once a day, and a grant without a device costs no call.
#[test]
fn a_phone_that_refreshes_often_is_seen_once_a_day() {
    let phones = Phones::new();
    let app = phones.app();
    let tokens = phones.log_in(&app, "tag");
    let without = phones.world.tokens(&app);
    let confidential = phones.world.register(code_app().mobile_security(rules()));
    let plain = phones.world.tokens(&confidential);
    assert_eq!(phones.devices.take_calls(), ["see_device"]);
    let mut live = [
        (&app, tokens.text("refresh_token").to_owned()),
        (&app, without.text("refresh_token").to_owned()),
        (&confidential, plain.text("refresh_token").to_owned()),
    ];
    let mut refresh = |at: usize| {
        let (app, token) = &mut live[at];
        let answer = phones.world.refresh(app, token);
        assert_eq!(answer.status, 200, "{answer:?}");
        *token = answer.text("refresh_token").to_owned();
        phones.world.store.take_calls()
    };
    for day in 0..3 {
        for hour in 0..6 {
            phones.world.store.take_calls();
            let usual = refresh(1);
            assert_eq!(refresh(2), usual);
            assert!(phones.devices.take_calls().is_empty());
            let calls = refresh(0);
            // Each day begins at 22:13, so midnight comes before the third refresh.
            let is_due = hour == 2;
            let seen: &[&str] = if is_due { &["see_device"] } else { &[] };
            assert_eq!(phones.devices.take_calls(), seen, "day {day}, hour {hour}");
            assert_eq!(calls.contains(&Method::IsRevoked), is_due);
            phones.advance(3_600);
        }
        phones.advance(18 * 3_600);
    }
    let device = phones.device(&app, "ann", "tag").unwrap();
    assert!(device.last_seen > device.first_seen);
}

/// W12: a dead code is no sighting, and is refused as without a device. A wiped device stays wiped, and the grant
/// under which it was last seen stays known.
#[test]
fn a_dead_code_does_not_make_a_wiped_device_new() {
    let phones = Phones::new();
    let app = phones.app();
    let token = phones.log_in(&app, "tag").text("refresh_token").to_owned();
    let (revoked, expired) = (phones.world.code(&app), phones.world.code(&app));
    phones.order(&app, "tag");
    assert_eq!(phones.report(&app, &token).status, 200);
    let before = phones.device(&app, "ann", "tag").unwrap();
    phones.devices.take_calls();
    phones.redeem(&app, &revoked, &[("install_tag_id", "tag")]).assert_error(400, "invalid_grant");
    phones.world.assert_refused("claim", "grant_revoked", None);
    let (other, unseen) = (phones.world.code(&app), "unseen");
    phones.advance(601);
    phones.redeem(&app, &expired, &[("install_tag_id", "tag")]).assert_error(400, "invalid_grant");
    phones.redeem(&app, &other, &[("install_tag_id", unseen)]).assert_error(400, "invalid_grant");
    phones.world.assert_refused("claim", "grant_expired", None);
    assert!(phones.devices.take_calls().is_empty());
    assert_eq!(phones.device(&app, "ann", "tag").unwrap(), before);
    assert!(phones.device(&app, "ann", unseen).is_none());
}

/// W12: a dead token is no sighting: a wiped device stays wiped.
#[test]
fn a_dead_token_does_not_make_a_wiped_device_new() {
    let phones = Phones::new();
    let app = phones.app();
    let token = phones.log_in(&app, "tag").text("refresh_token").to_owned();
    phones.order(&app, "tag");
    phones.advance(2 * DAY);
    phones.devices.take_calls();
    phones.world.refresh(&app, &token).assert_error(400, "invalid_grant");
    assert_eq!(phones.report(&app, &token).status, 200);
    phones.world.refresh(&app, &token).assert_error(400, "invalid_grant");
    assert!(!phones.devices.take_calls().contains(&"see_device"));
    assert_eq!(phones.state(&app, "tag"), "done");
}

/// W1: a store of devices that fails issues nothing, and burns nothing.
#[test]
fn a_sighting_that_fails_issues_nothing() {
    let phones = Phones::new();
    let app = phones.app();
    let code = phones.world.code(&app);
    phones.devices.set_away(true);
    let answer = phones.redeem(&app, &code, &[("install_tag_id", "tag")]);
    answer.assert_error(500, "server_error");
    phones.devices.set_away(false);
    let answer = phones.redeem(&app, &code, &[("install_tag_id", "tag")]);
    assert_eq!(answer.status, 200);
    phones.advance(DAY);
    phones.devices.set_away(true);
    let token = answer.text("refresh_token");
    phones.world.refresh(&app, token).assert_error(500, "server_error");
    phones.devices.set_away(false);
    assert_eq!(phones.world.refresh(&app, token).status, 200);
}

/// An unused device goes with the other rows, ninety days after its last access has expired.
#[test]
fn an_unused_device_is_pruned_with_the_other_rows() {
    let phones = Phones::new();
    let app = phones.world.register(phone_app().refresh_token_lifetime(3_600));
    phones.log_in(&app, "tag");
    let prune = || phones.world.block_on(phones.world.server.admin("root").prune(1_000)).unwrap();
    phones.advance(3_600 + 90 * DAY - 1);
    prune();
    assert!(phones.device(&app, "ann", "tag").is_some());
    phones.advance(1);
    assert_eq!(prune().removed, 1);
    assert_eq!(phones.device(&app, "ann", "tag"), None);
}
