//! Budgets, and their counters.

use std::time::Duration;

use grantor::app::{AppDraft, Flow, RateQuota};
use grantor::audit::{Action, Actor, AppUsage, NoAudit};
use grantor::clock::UnixTime;
use grantor::endpoint::FormRequest;
use grantor::ids::Source;
use grantor::observe::Step;
use grantor::protocol::GrantType;
use grantor::rate_limit::RateLimits;
use pollster::block_on;
use serde_json::json;

use crate::assertions::{Signer, backend_app, backend_jwt, impersonator};
use crate::support::{Answer, App, START, World, body_of, code_app, encode, public_app, scope};

const GRANT: (&str, &str) = ("grant_type", "client_credentials");

fn service() -> AppDraft {
    AppDraft::confidential("Nightly job").flow(Flow::ClientCredentials).scope(scope("a"))
}

pub(crate) fn limited(volume: RateQuota, failures: RateQuota) -> World {
    let limits = RateLimits::default().with_volume(volume).with_failures(failures);
    World::with(|builder| builder.rate_limits(limits))
}

pub(crate) fn liar(app: &App) -> App {
    App { secret: Some("wrong".to_owned()), ..app.clone() }
}

/// Sends a token request of `app` from `source`.
pub(crate) fn post_from(world: &World, source: Option<&str>, app: &App) -> Answer {
    let source = source.map(|source| Source::new(source).unwrap());
    let secret = app.secret.as_deref().unwrap();
    let body = encode(&[("client_id", app.id.as_str()), ("client_secret", secret), GRANT]);
    let mut request = FormRequest::new(&body);
    if let Some(source) = &source {
        request = request.source(source);
    }
    Answer::from(block_on(world.server.token(&request)))
}

#[track_caller]
pub(crate) fn assert_limited(answer: &Answer, seconds: u64) {
    answer.assert_error(429, "temporarily_unavailable");
    assert_eq!(answer.retry_after, Some(seconds), "{answer:?}");
}

/// An app's own requests spend its volume. The refusal states the time to wait, and the budget
/// recovers.
#[test]
fn volume_is_limited_and_recovers() {
    let world = limited(RateQuota::new(6, 3), RateQuota::new(10, 10));
    let app = world.register(service());
    let other = world.register(service());
    for _ in 0..3 {
        assert_eq!(world.post(&app, &[GRANT]).status, 200);
    }
    assert_limited(&world.post(&app, &[GRANT]), 10);
    let event = world.last_event();
    assert_eq!(event.outcome.step(), Some(Step::RateLimit));
    assert_eq!(event.outcome.reason(), Some("quota_exceeded"));
    assert_eq!(event.outcome.setting(), Some("rate_quota"));
    assert_eq!(event.actor, Actor::App(app.id.clone()));
    assert_eq!(world.post(&other, &[GRANT]).status, 200, "another app has its own budget");

    world.clock.advance(Duration::from_millis(9_500));
    assert_limited(&world.post(&app, &[GRANT]), 1);
    world.clock.advance(Duration::from_millis(500));
    assert_eq!(world.post(&app, &[GRANT]).status, 200);
    assert_limited(&world.post(&app, &[GRANT]), 10);
    world.advance(600);
    for _ in 0..3 {
        assert_eq!(world.post(&app, &[GRANT]).status, 200);
    }
    assert_limited(&world.post(&app, &[GRANT]), 10);
}

/// A rate limited request consumes no code, refresh token or assertion.
#[test]
fn a_rate_limited_request_consumes_no_grant() {
    let world = limited(RateQuota::new(60, 1), RateQuota::new(10, 10));
    let draft = code_app().flow(Flow::JwtBearer).jwt(backend_jwt());
    let app = world.register(draft);
    let (code, verifier) = world.code(&app);
    let assertion = world.assertion(&app, &json!({}));
    assert_eq!(world.act(&app, &json!({})).status, 200);
    assert_limited(&world.redeem(&app, &code, &verifier), 1);
    world.advance(1);
    let tokens = world.redeem(&app, &code, &verifier);
    assert_eq!(tokens.status, 200);
    assert_limited(&world.refresh(&app, tokens.text("refresh_token")), 1);
    world.advance(1);
    assert_eq!(world.refresh(&app, tokens.text("refresh_token")).status, 200);
    assert_limited(&world.present(&app, &assertion, &[]), 1);
    world.advance(1);
    assert_eq!(world.present(&app, &assertion, &[]).status, 200);
}

/// Failures are counted by client id and source. Other sources and apps are not affected, and the right
/// secret is never refused: it has 256 random bits.
#[test]
fn failures_are_limited_by_app_and_source() {
    let world = limited(RateQuota::new(6_000, 1_000), RateQuota::new(6, 3));
    let app = world.register(service());
    let other = world.register(service());
    let here = Some("192.0.2.1");
    for _ in 0..3 {
        post_from(&world, here, &liar(&app)).assert_error(401, "invalid_client");
    }
    assert_limited(&post_from(&world, here, &liar(&app)), 10);
    let event = world.last_event();
    assert_eq!(event.outcome.reason(), Some("too_many_failures"));
    assert_eq!(event.outcome.setting(), Some("rate_limits"));
    assert_eq!((event.actor, event.client_id), (Actor::Unknown, Some(app.id.clone())));
    assert_eq!(event.source.unwrap().as_str(), "192.0.2.1");

    for source in [here, Some("192.0.2.2"), None] {
        assert_eq!(post_from(&world, source, &app).status, 200);
    }
    post_from(&world, Some("192.0.2.2"), &liar(&app)).assert_error(401, "invalid_client");
    post_from(&world, here, &liar(&other)).assert_error(401, "invalid_client");

    world.advance(9);
    assert_limited(&post_from(&world, here, &liar(&app)), 1);
    world.advance(1);
    post_from(&world, here, &liar(&app)).assert_error(401, "invalid_client");
    assert_limited(&post_from(&world, here, &liar(&app)), 10);
}

/// Requests during the block do not prolong it, and the right secret spends no failure budget.
#[test]
fn a_block_expires() {
    let world = limited(RateQuota::new(6_000, 1_000), RateQuota::new(6, 3));
    let app = world.register(service());
    let here = Some("192.0.2.1");
    for _ in 0..50 {
        assert_eq!(post_from(&world, here, &app).status, 200);
    }
    for _ in 0..3 {
        post_from(&world, here, &liar(&app)).assert_error(401, "invalid_client");
    }
    for _ in 0..10 {
        world.clock.advance(Duration::from_millis(900));
        assert_eq!(post_from(&world, here, &liar(&app)).status, 429);
    }
    world.advance(1);
    post_from(&world, here, &liar(&app)).assert_error(401, "invalid_client");
}

/// Guesses at an unknown client id are limited the same way, so that 429 does not reveal known ids.
/// Neighbours in one IPv6 network count as one source; other networks do not.
#[test]
fn unknown_ids_and_ipv6_neighbours_are_limited_as_well() {
    let world = limited(RateQuota::new(6_000, 1_000), RateQuota::new(6, 3));
    let app = world.register(service());
    let unknown = App { id: grantor::ids::ClientId::new("unknown").unwrap(), ..liar(&app) };
    for app in [liar(&app), unknown] {
        for host in ["2001:db8::1", "2001:db8::2", "2001:db8:0:0:ffff::3"] {
            post_from(&world, Some(host), &app).assert_error(401, "invalid_client");
        }
        assert_limited(&post_from(&world, Some("2001:db8::4"), &app), 10);
        post_from(&world, Some("2001:db8:0:1::1"), &app).assert_error(401, "invalid_client");
    }
}

/// Without a source there is no failure budget, or any client could lock out any app.
#[test]
fn without_a_source_no_app_is_locked_out() {
    let world = limited(RateQuota::new(6_000, 1_000), RateQuota::new(6, 3));
    let app = world.register(service());
    for _ in 0..20 {
        post_from(&world, None, &liar(&app)).assert_error(401, "invalid_client");
    }
    assert_eq!(post_from(&world, None, &app).status, 200);
    assert_eq!(post_from(&world, Some("192.0.2.1"), &app).status, 200);
}

/// A client that only names an app whose assertion should authenticate it spends none of its
/// volume. The failures count by source.
#[test]
fn a_forged_assertion_counts_as_a_failure_and_spends_no_volume() {
    let world = limited(RateQuota::new(6, 2), RateQuota::new(6, 3));
    let jwt = backend_jwt().with_assertion_authenticates(true);
    let app = App { secret: None, ..world.register(impersonator(jwt)) };
    let forged = Signer::hmac(jsonwebtoken::Algorithm::HS256, &[7; 32]).sign(&world.claims(&app));
    for _ in 0..3 {
        world.present(&app, &forged, &[]).assert_error(400, "invalid_grant");
    }
    assert_limited(&world.present(&app, &forged, &[]), 10);

    let genuine = |world: &World| {
        let assertion = world.assertion(&app, &json!({}));
        let grant_type = crate::assertions::JWT_BEARER;
        let body = encode(&[("grant_type", grant_type), ("assertion", &assertion)]);
        Answer::from(block_on(world.server.token(&FormRequest::new(&body))))
    };
    assert_eq!(genuine(&world).status, 200);
    assert_eq!(genuine(&world).status, 200);
    assert_limited(&genuine(&world), 10);
}

/// A refusal after client authentication is not a failed authentication.
#[test]
fn refusals_after_authentication_do_not_block() {
    let world = limited(RateQuota::new(6_000, 1_000), RateQuota::new(6, 3));
    let app = world.register(backend_app());
    for _ in 0..20 {
        world.present(&app, "a.b.c", &[]).assert_error(400, "invalid_grant");
        world.act(&app, &json!({ "scope": "z" })).assert_error(400, "invalid_scope");
        world.post(&app, &[GRANT]).assert_error(400, "unauthorized_client");
    }
    assert_eq!(world.act(&app, &json!({})).status, 200);
}

/// An app's quota replaces the server's, smaller or larger, from the next request after an edit.
#[test]
fn an_app_may_have_a_quota_of_its_own() {
    let world = limited(RateQuota::new(60, 2), RateQuota::new(10, 10));
    let spent =
        |app: &App| (0..5_000).take_while(|_| world.post(app, &[GRANT]).status == 200).count();
    let small = world.register(service().rate_quota(Some(RateQuota::new(60, 1))));
    let large = world.register(service().rate_quota(Some(RateQuota::new(60, 5))));
    let plain = world.register(service());
    assert_eq!((spent(&small), spent(&large), spent(&plain)), (1, 5, 2));
    world.edit(&small, |draft| draft.rate_quota(Some(RateQuota::new(60, 3))));
    assert_eq!(spent(&small), 3);
    world.edit(&small, |draft| draft.rate_quota(None));
    assert_eq!(spent(&small), 2);
}

/// Without limits no request is refused for its number, except by the app's own quota.
#[test]
fn limits_can_be_switched_off() {
    let world = World::with(|builder| builder.rate_limits(RateLimits::none()));
    let app = world.register(service());
    for _ in 0..1_500 {
        assert_eq!(world.post(&app, &[GRANT]).status, 200);
    }
    for _ in 0..50 {
        post_from(&world, Some("192.0.2.1"), &liar(&app)).assert_error(401, "invalid_client");
    }
    let own = world.register(service().rate_quota(Some(RateQuota::new(60, 1))));
    assert_eq!(world.post(&own, &[GRANT]).status, 200);
    assert_limited(&world.post(&own, &[GRANT]), 1);
}

/// The defaults: a burst of 1,000 and 100 a second; a burst of 10 failures.
#[test]
fn the_defaults_are_the_documented_ones() {
    let world = World::new();
    let app = world.register(service());
    for _ in 0..1_000 {
        assert_eq!(world.post(&app, &[GRANT]).status, 200);
    }
    assert_limited(&world.post(&app, &[GRANT]), 1);
    world.advance(1);
    let served = (0..5_000).take_while(|_| world.post(&app, &[GRANT]).status == 200).count();
    assert_eq!(served, 100);
    for _ in 0..10 {
        post_from(&world, Some("192.0.2.1"), &liar(&app)).assert_error(401, "invalid_client");
    }
    assert_limited(&post_from(&world, Some("192.0.2.1"), &liar(&app)), 6);
}

/// N4: the default budgets of a source and of events at their edges: 120 failures at once under any client
/// ids, and 1,000 events of unauthenticated callers over all sources.
#[test]
fn the_default_budgets_of_strangers_end_at_the_documented_numbers() {
    let world = World::new();
    let ask = |id: &str, source: &str| {
        let id = grantor::ids::ClientId::new(id).unwrap();
        let app = App { id, secret: Some("guess".to_owned()), signature_secret: None };
        post_from(&world, Some(source), &app)
    };
    for number in 0..120 {
        ask(&format!("u{number}"), "192.0.2.1").assert_error(401, "invalid_client");
    }
    assert_limited(&ask("one beyond", "192.0.2.1"), 1);

    let world = World::new();
    let app = world.register(service());
    let before = world.events().len();
    for number in 0..1_000 {
        let source = format!("198.51.{}.{}", number / 250, number % 250);
        post_from(&world, Some(&source), &liar(&app)).assert_error(401, "invalid_client");
    }
    assert_eq!(world.events().len() - before, 1_000);
    post_from(&world, Some("203.0.113.1"), &liar(&app)).assert_error(401, "invalid_client");
    assert_eq!(world.events().len() - before, 1_000, "one beyond");
    world.server.record_repeats();
    assert_eq!(world.last_event().count, 1);
    assert_eq!(world.last_event().source, None);
}

/// The counters of an app hold its issued tokens and its refusals after authentication. Requests of
/// strangers under its name are not counted.
#[test]
fn usage_counts_the_authenticated_requests_of_an_app() {
    counts_usage(&World::new());
}

#[test]
fn usage_is_counted_while_no_sink_listens() {
    counts_usage(&World::with(|builder| builder.audit(NoAudit::new())));
}

fn counts_usage(world: &World) {
    let app = world.register(code_app().flow(Flow::ClientCredentials));
    assert_eq!(world.server.usage(&app.id), AppUsage::default());
    let tokens = world.tokens(&app);
    world.advance(10);
    let refresh_token = tokens.text("refresh_token");
    assert_eq!(world.refresh(&app, refresh_token).status, 200);
    assert_eq!(world.refresh(&app, refresh_token).status, 200, "a retry counts");
    world.advance(10);
    assert_eq!(world.post(&app, &[GRANT]).status, 200);
    world.advance(10);
    world.post(&app, &[GRANT, ("scope", "z")]).assert_error(400, "invalid_scope");
    world.post(&liar(&app), &[GRANT]).assert_error(401, "invalid_client");
    world.post(&app, &[("grant_type", "password")]).assert_error(400, "unsupported_grant_type");
    let usage = world.server.usage(&app.id);
    let issued: Vec<_> = usage.issued.iter().map(|(grant, count)| (*grant, *count)).collect();
    assert_eq!(issued.len(), 3);
    for expected in [
        (GrantType::AuthorizationCode, 1),
        (GrantType::RefreshToken, 2),
        (GrantType::ClientCredentials, 1),
    ] {
        assert!(issued.contains(&expected), "{issued:?}");
    }
    assert_eq!(usage.refused, 1);
    assert_eq!(usage.last_used, Some(UnixTime::from_seconds(START + 20)));
    let stranger = grantor::ids::ClientId::new("unknown").unwrap();
    assert_eq!(world.server.usage(&stranger), AppUsage::default());
}

/// A deleted app leaves no counters; an app imported under its client id begins at zero.
#[test]
fn deleting_an_app_deletes_its_counters() {
    let world = World::new();
    let (app, other) = (world.register(service()), world.register(service()));
    for app in [&app, &other] {
        assert_eq!(world.post(app, &[GRANT]).status, 200);
        assert_ne!(world.server.usage(&app.id), AppUsage::default());
    }
    let admin = world.server.admin("root");
    block_on(admin.disable(&app.id)).unwrap();
    assert_ne!(world.server.usage(&app.id), AppUsage::default(), "the app is only disabled");
    block_on(admin.delete(&app.id)).unwrap();
    assert_eq!(world.server.usage(&app.id), AppUsage::default());
    block_on(admin.delete(&app.id)).unwrap_err();
    assert_ne!(world.server.usage(&other.id), AppUsage::default());
}

/// Every request has one event: action, actor, source and outcome.
#[test]
fn every_request_is_audited_once() {
    let world = World::new();
    let app = world.register(service());
    let before = world.events().len();
    assert_eq!(world.post(&app, &[GRANT]).status, 200);
    world.post(&liar(&app), &[GRANT]).assert_error(401, "invalid_client");
    world.post(&app, &[GRANT, ("scope", "z")]).assert_error(400, "invalid_scope");
    world.post_form(None, "a=%").assert_error(400, "invalid_request");
    let mut events = world.events();
    events.truncate(events.len() - before);
    events.reverse();
    let said: Vec<_> = events
        .iter()
        .map(|event| (event.actor.kind(), event.outcome.as_str(), event.outcome.reason()))
        .collect();
    assert_eq!(
        said,
        [
            ("app", "success", None),
            ("unknown", "refused", Some("wrong_secret")),
            ("app", "refused", Some("scope_exceeds_app")),
            ("unknown", "refused", Some("malformed_form")),
        ]
    );
    for event in &events {
        assert!(matches!(event.action, Action::IssueToken { .. }));
        assert_eq!(event.source.as_ref(), Some(&world.source));
        assert_eq!(event.at, UnixTime::from_seconds(START));
    }
    let asked = |grant_type| Action::IssueToken { grant_type };
    assert_eq!(events[0].action, asked(Some(GrantType::ClientCredentials)));
    assert_eq!(events[3].action, asked(None));
    assert_eq!(events[1].client_id.as_ref(), Some(&app.id));
}

/// A public app is admitted by its grant, not by its name. A stranger who knows the name spends
/// none of its volume, has no audit event in its name, and is soon blocked.
#[test]
fn a_stranger_cannot_spend_the_volume_of_a_public_app() {
    let world = limited(RateQuota::new(5, 5), RateQuota::new(10, 10));
    let app = world.register(public_app());
    let (code, verifier) = world.code(&app);
    let stranger = Source::new("198.51.100.9").unwrap();
    let body = body_of(&app, &[("grant_type", "refresh_token"), ("refresh_token", "grt_x")]);
    let ask = || {
        let request = FormRequest::new(&body).source(&stranger);
        Answer::from(block_on(world.server.token(&request)))
    };
    for _ in 0..10 {
        ask().assert_error(400, "invalid_grant");
        assert_eq!(world.last_event().actor, Actor::Unknown);
    }
    ask().assert_error(429, "temporarily_unavailable");
    assert_eq!(world.server.usage(&app.id), AppUsage::default());
    assert_eq!(world.redeem(&app, &code, &verifier).status, 200);
}
