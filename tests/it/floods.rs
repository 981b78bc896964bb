//! Many requests of few callers: concurrent guesses, dead tokens, and refusals without end.

use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use grantor::admin::ImportedApp;
use grantor::app::{AppDraft, ClientAuthentication, Flow, RateQuota};
use grantor::audit::{Action, AuditQuery, MemoryAudit};
use grantor::endpoint::{Caller, FormRequest, TokenResponse};
use grantor::error::EndpointError;
use grantor::http::HttpEndpoints;
use grantor::ids::{ClientId, Resource, Source};
use grantor::rate_limit::RateLimits;
use grantor::resource_server::ResourceServer;
use grantor::secret::ClientSecret;
use grantor::store::{FeedCursor, RevocationTarget};
use http::Request;
use pollster::block_on;
use serde_json::json;

use crate::assertions::{JWT_BEARER, backend_jwt, backend_keys, impersonator};
use crate::concurrency::{THREADS, race, refreshment};
use crate::faulty_store::{FaultyStore, Method};
use crate::limits::{assert_limited, liar, limited, post_from};
use crate::private_key_jwt;
use crate::support::{
    Answer, Answered, App, Lines, Server, World, body_of, code_app, code_query, encode,
    machine_app, new_key, new_verifier, public_app,
};

const GRANT: (&str, &str) = ("grant_type", "client_credentials");
const API: &str = "https://api.example.com";
const HERE: &str = "192.0.2.7";

/// An app that kept the short secret of another server.
fn imported(world: &World, secret: &str) -> App {
    let id = ClientId::new("legacy").unwrap();
    let import = ImportedApp::new(id, machine_app().build().unwrap())
        .with_client_secret(ClientSecret::new(secret), None);
    let app = App::from(block_on(world.server.admin("tester").import(import)).unwrap());
    App { secret: Some(secret.to_owned()), ..app }
}

/// A server over the store of `world` that can hold its calls.
fn held(world: &World, limits: RateLimits) -> Server<FaultyStore> {
    let store = Arc::new(FaultyStore::new(Arc::clone(&world.store)));
    let beside = world.beside(new_key(), store, Arc::clone(&world.users));
    beside.rate_limits(limits).build()
}

/// Begins all futures before any of them ends.
fn concurrently<T>(futures: impl IntoIterator<Item = impl Future<Output = T>>) -> Vec<T> {
    let mut waiting: Vec<Pin<Box<_>>> = futures.into_iter().map(Box::pin).collect();
    let mut done = Vec::new();
    let mut context = Context::from_waker(Waker::noop());
    while !waiting.is_empty() {
        waiting.retain_mut(|future| match future.as_mut().poll(&mut context) {
            Poll::Ready(value) => {
                done.push(value);
                false
            }
            Poll::Pending => true,
        });
    }
    done
}

/// N3: of 400 concurrent guesses the budget of 10 is answered, and the rest is told to wait, although all
/// of them arrive before any is decided. The right secret passes among them if it was generated. If it was
/// imported, and so may be short, it is not even compared.
#[test]
fn of_concurrent_guesses_no_more_than_the_budget_get_through() {
    let world = World::new();
    let generated = world.register(machine_app());
    let imported = imported(&world, "hunter2");
    let source = Source::new(HERE).unwrap();
    for (app, passes) in [(generated, 1), (imported, 0)] {
        let server = held(&world, RateLimits::default());
        server.store().hold(Method::FindApp, 401);
        let guesses = (0..400).map(|number| {
            let secret = Some(format!("guess {number}"));
            body_of(&App { secret, ..app.clone() }, &[GRANT])
        });
        let mut bodies: Vec<_> = guesses.collect();
        bodies.insert(200, body_of(&app, &[GRANT]));
        let requests = bodies.iter().map(|body| FormRequest::new(body).source(&source));
        let requests: Vec<_> = requests.collect();
        let answers = concurrently(requests.iter().map(|request| server.token(request)));
        let counts = [200, 401, 429]
            .map(|status| answers.iter().filter(|it| status_of(it) == status).count());
        assert_eq!(counts, [passes, 10, 391 - passes]);
        assert_eq!(server.store().take_calls().len(), 401, "one look-up a request");
    }
}

fn status_of(result: &Result<TokenResponse, EndpointError>) -> u16 {
    result.as_ref().map_or_else(EndpointError::status, |_| 200)
}

/// N3: the same over the wire, from many connections. No guess is answered beyond the budget.
#[test]
fn guesses_from_many_connections_get_no_more_than_the_budget() {
    let world = limited(RateQuota::new(6_000, 1_000), RateQuota::new(10, 10));
    for app in [world.register(machine_app()), imported(&world, "hunter2")] {
        let answers = race(|_| {
            let guess = |_| world.post(&liar(&app), &[GRANT]).status;
            (0..400 / THREADS).map(guess).collect::<Vec<_>>()
        });
        let answers = answers.concat();
        let count = |status| answers.iter().filter(|it| **it == status).count();
        assert_eq!((count(401), count(429)), (10, 390));
    }
}

/// N2: an imported secret is guarded until its budget refills. A generated secret that replaces it is not.
#[test]
fn only_an_imported_secret_can_be_locked_out() {
    let world = limited(RateQuota::new(6_000, 1_000), RateQuota::new(6, 3));
    let app = imported(&world, "hunter2");
    let here = Some(HERE);
    for _ in 0..50 {
        assert_eq!(post_from(&world, here, &app).status, 200, "a match is given back");
    }
    for _ in 0..3 {
        post_from(&world, here, &liar(&app)).assert_error(401, "invalid_client");
    }
    assert_limited(&post_from(&world, here, &app), 10);
    assert_limited(&post_from(&world, here, &liar(&app)), 10);
    assert_eq!(post_from(&world, Some("192.0.2.8"), &app).status, 200);

    let admin = world.server.admin("tester");
    let overlap = std::time::Duration::from_hours(1);
    let new = block_on(admin.rotate_client_secret(&app.id, overlap)).unwrap();
    assert_eq!(post_from(&world, here, &App::from(new)).status, 200);
    assert_limited(&post_from(&world, here, &app), 10);
    world.advance(10);
    assert_eq!(post_from(&world, here, &app).status, 200);
}

/// N3: the reads of one grant are limited before they are made, and a request that is dropped keeps its
/// charge: hanging up gains nothing.
#[test]
fn a_token_is_read_no_more_often_than_its_budget_also_if_requests_are_dropped() {
    let world = World::new();
    let app = world.register(public_app());
    let dead = world.tokens(&app);
    assert_eq!(world.revoke(&app, dead.text("refresh_token")).status, 200);
    let server = held(&world, RateLimits::default().with_grants(RateQuota::new(1, 20)));
    let body = refreshment(&app, dead.text("refresh_token"));
    let requests = vec![FormRequest::new(&body); 400];

    server.store().hold(Method::FindGrant, 15);
    let answers = concurrently(requests.iter().take(15).map(|request| server.token(request)));
    assert!(answers.iter().all(|answer| status_of(answer) == 400));
    server.store().hold(Method::FindGrant, 1_000);
    for request in &requests[..5] {
        let mut context = Context::from_waker(Waker::noop());
        assert!(pin!(server.token(request)).poll(&mut context).is_pending());
    }
    server.store().take_calls();
    let answers = concurrently(requests.iter().map(|request| server.token(request)));
    assert!(answers.iter().all(|answer| status_of(answer) == 429));
    let calls = server.store().take_calls();
    assert!(calls.iter().all(|call| *call == Method::FindApp), "{calls:?}");
}

/// N3: budgets cost no store call.
#[test]
fn budgets_cost_no_store_call() {
    let world = World::new();
    let server = held(&world, RateLimits::default());
    let [public, confidential] = [public_app(), code_app()].map(|draft| world.register(draft));
    let machine = world.register(machine_app());
    for app in [public, confidential] {
        let body = refreshment(&app, world.tokens(&app).text("refresh_token"));
        let source = Source::new(HERE).unwrap();
        block_on(server.token(&FormRequest::new(&body).source(&source))).unwrap();
        let expected = [Method::FindApp, Method::FindGrant, Method::Rotate];
        assert_eq!(server.store().take_calls(), expected);
    }
    block_on(server.token(&FormRequest::new(&body_of(&machine, &[GRANT])))).unwrap();
    assert_eq!(server.store().take_calls(), [Method::FindApp]);
}

/// N2: a dead token of a public app that is sent a thousand times, in any way in which it may be dead,
/// spends the budget of its own grant only. Every other user of the app goes on, also from the same
/// address.
#[test]
fn a_dead_token_sent_a_thousand_times_locks_no_other_user_out() {
    let limits = RateLimits::default().with_volume(RateQuota::new(60, 60));
    let world = World::with(|builder| builder.rate_limits(limits));
    let app = world.register(public_app());
    let admin = world.server.admin("tester");
    let mut other = world.tokens(&app);
    for dead in ["revoked", "reused", "replayed code", "user gone"] {
        let tokens = world.tokens(&app);
        let refresh_token = tokens.text("refresh_token").to_owned();
        let mut body = refreshment(&app, &refresh_token);
        match dead {
            "revoked" => assert_eq!(world.revoke(&app, &refresh_token).status, 200),
            "reused" => {
                let next = world.refresh(&app, &refresh_token);
                world.refresh(&app, next.text("refresh_token"));
            }
            "replayed code" => {
                let (code, verifier) = world.code(&app);
                world.redeem(&app, &code, &verifier);
                body = redemption(&app, &code, &verifier);
            }
            _ => {
                let target = RevocationTarget::Grant(
                    tokens.claims()["grant_id"].as_str().unwrap().parse().unwrap(),
                );
                block_on(admin.revoke(target)).unwrap();
            }
        }
        world.advance(60);
        let mut answers = [0, 0];
        for _ in 0..1_000 {
            match world.post_form(None, &body).status {
                400 => answers[0] += 1,
                429 => answers[1] += 1,
                status => panic!("{status}"),
            }
        }
        assert_eq!(answers, [300, 700], "{dead}");
        for _ in 0..5 {
            other = world.refresh(&app, other.text("refresh_token"));
            assert_eq!(other.status, 200, "{dead}: {other:?}");
        }
    }
}

fn redemption(app: &App, code: &str, verifier: &str) -> String {
    let redeem = [
        ("grant_type", "authorization_code"),
        ("code", code),
        ("redirect_uri", crate::support::CALLBACK),
        ("code_verifier", verifier),
    ];
    body_of(app, &redeem)
}

/// N2: a used assertion that alone authenticates its app, sent again and again, spends nothing of the app's
/// budget.
#[test]
fn a_replayed_assertion_spends_nothing_of_its_app() {
    let limits = RateLimits::default().with_volume(RateQuota::new(60, 5));
    let world = World::with(|builder| builder.rate_limits(limits));
    let jwt = backend_jwt().with_assertion_authenticates(true);
    let app = App { secret: None, ..world.register(impersonator(jwt)) };
    let used = world.assertion(&app, &json!({}));
    let send = |assertion: &str| {
        world.post_form(None, &encode(&[("grant_type", JWT_BEARER), ("assertion", assertion)]))
    };
    assert_eq!(send(&used).status, 200);
    let statuses: Vec<_> = (0..1_000).map(|_| send(&used).status).collect();
    assert_eq!(statuses.iter().filter(|status| **status == 400).count(), 299);
    assert!(statuses[299..].iter().all(|status| *status == 429));
    for _ in 0..4 {
        assert_eq!(send(&world.assertion(&app, &json!({}))).status, 200);
    }
    assert_eq!(send(&world.assertion(&app, &json!({}))).status, 429, "its own volume");
}

/// N3, N2: the budgets of a client assertion come before the row that it costs. One that is refused for its
/// volume stays usable; one that is replayed again and again spends nothing of its app and soon costs no row.
#[test]
fn a_client_assertion_is_charged_before_it_is_claimed() {
    let limits = RateLimits::default()
        .with_volume(RateQuota::new(60, 3))
        .with_grants(RateQuota::new(1, 4))
        .with_failures(RateQuota::new(600, 600));
    let world = World::with(|builder| builder.rate_limits(limits));
    let app = private_key_jwt::register(&world);
    let signed = |jti: &str| private_key_jwt::es256(&private_key_jwt::claims(&app, jti));
    let [used, other, late] = ["used", "other", "late"].map(signed);
    let send = |assertion: &str| private_key_jwt::present(&world, assertion);
    assert_eq!(send(&used).status, 200);
    for _ in 0..3 {
        send(&used).assert_error(401, "invalid_client");
    }
    for _ in 0..100 {
        assert_eq!(send(&used).status, 429);
        assert_eq!(world.last_event().outcome.reason(), Some("grant_overused"));
    }
    assert_eq!(send(&other).status, 200);
    assert_eq!(send(&signed("third")).status, 200);
    assert_limited(&send(&late), 1);
    assert_eq!(world.last_event().outcome.reason(), Some("quota_exceeded"));
    world.advance(1);
    assert_eq!(send(&late).status, 200);
}

/// N2: after a stranger behind the same address has spent every budget of failures, each good credential
/// still works: a generated secret, a key, a code, a refresh token, an assertion, at every endpoint.
#[test]
fn failures_of_a_stranger_refuse_no_good_credential_behind_the_same_address() {
    let api = ResourceServer::new(Resource::new(API).unwrap(), ClientId::new("api").unwrap());
    let world = World::with(|builder| builder.resource_server(api));
    let api = world.import("api", AppDraft::confidential("API").flow(Flow::ClientCredentials));
    let machine = world.register(machine_app());
    let keyed = ClientAuthentication::PrivateKeyJwt(backend_keys());
    let keyed = world.register(machine_app().authentication(keyed));
    let jwt = backend_jwt().with_assertion_authenticates(true);
    let alone = App { secret: None, ..world.register(impersonator(jwt)) };
    let public = world.register(public_app());
    let (code, verifier) = world.code(&public);
    let tokens = world.tokens(&public);

    for number in 0..1_000 {
        let id = ClientId::new(format!("unknown {number}")).unwrap();
        world.post(&App { id, ..liar(&machine) }, &[GRANT]);
        for app in [&machine, &keyed, &public, &api] {
            if number < 20 {
                world.post(&liar(app), &[GRANT]);
                world.refresh(app, "grt_guess");
            }
        }
    }
    world.post(&liar(&machine), &[GRANT]).assert_error(429, "temporarily_unavailable");

    assert_eq!(world.post(&machine, &[GRANT]).status, 200);
    let mut claims = world.claims(&keyed);
    claims["sub"] = json!(keyed.id.as_str());
    let assertion = crate::assertions::Signer::backend().sign(&claims);
    let kind = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";
    let form = [GRANT, ("client_assertion_type", kind), ("client_assertion", &assertion)];
    assert_eq!(world.post_form(None, &encode(&form)).status, 200);
    let assertion = world.assertion(&alone, &json!({}));
    let form = [("grant_type", JWT_BEARER), ("assertion", assertion.as_str())];
    assert_eq!(world.post_form(None, &encode(&form)).status, 200);
    assert_eq!(world.redeem(&public, &code, &verifier).status, 200);
    let tokens = world.refresh(&public, tokens.text("refresh_token"));
    assert_eq!(tokens.status, 200);
    assert_eq!(world.introspect(&api, tokens.text("access_token")).status, 200);
    assert_eq!(world.revoke(&public, tokens.text("refresh_token")).status, 200);
    let source = Source::new(HERE).unwrap();
    let body = body_of(&api, &[]);
    let feed = FormRequest::new(&body).source(&source);
    assert!(block_on(world.server.revocations(&feed, FeedCursor::default())).is_ok());
    let page = world.visit(&code_query(&public, &new_verifier(), &[]), "ann");
    assert_eq!(page.status, 200);
}

/// N4: a source that has failed too often at one endpoint is told to wait at every endpoint, and another
/// source is not.
#[test]
fn a_source_has_one_budget_at_every_endpoint() {
    let limits = RateLimits::default().with_source_failures(RateQuota::new(6, 3));
    let unknown = App {
        id: ClientId::new("unknown").unwrap(),
        secret: Some("guess".to_owned()),
        signature_secret: None,
    };
    for first in 0..6 {
        let world = World::with(|builder| builder.rate_limits(limits));
        let http = HttpEndpoints::new(Arc::clone(&world.server), Lines);
        let send = |index: usize, source: &str| {
            let body = body_of(&unknown, &[GRANT, ("token", "x")]);
            let (path, body) = match index {
                0 => ("/oauth/authorize?client_id=unknown", None),
                1 => ("/oauth/decision", Some("ticket=x&decision=deny".to_owned())),
                2 => ("/oauth/token", Some(body)),
                3 => ("/oauth/revoke", Some(body)),
                4 => ("/oauth/introspect", Some(body)),
                _ => ("/oauth/revocations", None),
            };
            let request = match &body {
                Some(_) => {
                    Request::post(path).header("content-type", "application/x-www-form-urlencoded")
                }
                None => Request::get(path).header("authorization", "Basic dW5rbm93bjpndWVzcw=="),
            };
            let mut request = request.body(body.unwrap_or_default()).unwrap();
            request.extensions_mut().insert(Source::new(source).unwrap());
            Answered::from(block_on(http.handle(request)).unwrap())
        };
        for _ in 0..3 {
            assert_ne!(send(first, HERE).status, 429, "endpoint {first}");
        }
        for then in 0..6 {
            let answer = send(then, HERE);
            assert_eq!(answer.status, 429, "endpoint {then} after {first}");
            assert_eq!(answer.header("retry-after"), Some("10"));
            assert_ne!(send(then, &format!("192.0.2.{}", 100 + then)).status, 429);
        }
        world.advance(10);
        assert_ne!(send(first, HERE).status, 429);
    }
}

/// N4: 40,000 refused requests from one source leave a few dozen events that count them all, and memory
/// stays as it was. It makes no difference if the client id changes with each request.
#[test]
fn a_flood_of_refusals_leaves_a_few_dozen_events_and_no_memory() {
    const REQUESTS: u64 = 40_000;
    for changes in [false, true] {
        let audit = Arc::new(MemoryAudit::with_capacity(100_000));
        let world = World::with(|builder| builder.audit(Arc::clone(&audit)));
        let source = Source::new(HERE).unwrap();
        let flood = |from: u64, to: u64| {
            for number in from..to {
                let id = if changes { number } else { 0 };
                let body = format!("grant_type=client_credentials&client_id=u{id}&client_secret=x");
                let request = FormRequest::new(&body).source(&source);
                block_on(world.server.token(&request)).unwrap_err();
                if number % 400 == 0 {
                    world.clock.advance(std::time::Duration::from_millis(100));
                }
            }
        };
        flood(0, 5_000);
        let growth = allocation_counter::measure(|| flood(5_000, REQUESTS));
        assert!(growth.bytes_current < 16 << 10, "{growth:?}");
        world.server.record_repeats();
        let events = audit.find(&AuditQuery::all());
        assert!(events.len() <= 36, "{} events", events.len());
        assert_eq!(events.iter().map(|event| event.count).sum::<u64>(), REQUESTS);
    }
}

/// N4: what strangers can do without a refusal leaves no more: a login page costs no event each.
#[test]
fn a_flood_of_login_pages_leaves_a_few_events() {
    let world = World::new();
    let app = world.register(public_app());
    let query = code_query(&app, &new_verifier(), &[]);
    let before = world.count("require_login");
    for _ in 0..1_000 {
        let request = block_on(
            world.server.authorization_request(&query, Caller::default().at(&world.source)),
        );
        block_on(world.server.authorize(request.unwrap(), None)).unwrap();
    }
    assert_eq!(world.count("require_login") - before, 5);
    world.server.record_repeats();
    let event = world.last_event();
    assert_eq!((event.action, event.count), (Action::RequireLogin, 995));
}

/// N4: a client id that arrives from ever new sources spends the quota of events of all strangers, then one
/// event counts the rest without source or app.
#[test]
fn a_client_id_from_ever_new_sources_leaves_a_bounded_number_of_events() {
    let limits = RateLimits::default().with_stranger_events(RateQuota::new(60, 30));
    let world = World::with(|builder| builder.rate_limits(limits));
    let app = world.register(machine_app());
    let before = world.events().len();
    for number in 0..5_000 {
        let source = format!("2001:db8:{:x}:{:x}::1", number / 250, number % 250);
        post_from(&world, Some(&source), &liar(&app)).assert_error(401, "invalid_client");
    }
    assert_eq!(world.events().len() - before, 30);
    world.server.record_repeats();
    let counted = world.last_event();
    assert_eq!((counted.count, counted.source, counted.client_id), (4_970, None, None));
    assert_eq!(post_from(&world, Some("2001:db8::1"), &app).status, 200);
}

/// N2, Z1: a page that refreshes one token 20 or 200 times at once is not refused by the budget of its grant,
/// also if each answer carries on, and the user stays logged in.
#[test]
fn a_fan_out_of_refreshes_is_not_refused_by_the_budget_of_its_grant() {
    let world = World::new();
    for requests in [20, 200] {
        let app = world.register(public_app());
        let tokens = world.tokens(&app);
        let body = refreshment(&app, tokens.text("refresh_token"));
        let source = Source::new(HERE).unwrap();
        let server = held(&world, RateLimits::default());
        server.store().hold(Method::FindGrant, requests);
        let requests = vec![FormRequest::new(&body).source(&source); requests];
        let answers = concurrently(requests.iter().map(|request| server.token(request)));
        let successors = answers.into_iter().map(|answer| {
            let answer = Answer::from(answer);
            assert_eq!(answer.status, 200, "{answer:?}");
            answer.text("refresh_token").to_owned()
        });
        let mut successors: Vec<_> = successors.collect();
        successors.sort_unstable();
        successors.dedup();
        assert_eq!(successors.len(), 1);
        assert_eq!(world.refresh(&app, &successors[0]).status, 200);
    }
}
