//! A trusted issuer that ends the access of a user while apps use it and get more, over any store.

use std::cell::Cell;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use grantor::app::{
    DelegationPolicy, Flow, ImpersonationPolicy, IssuerKeys, JwtSettings, RevocationTrust,
    TrustedIssuer,
};
use grantor::clock::SystemClock;
use grantor::hooks::{HookAnswer, HookError, Hooks, IssueDecision};
use grantor::ids::{ClientId, EvidenceIssuer, Resource};
use grantor::jwt::{Algorithm, VerifyingKeys};
use grantor::rate_limit::RateLimits;
use grantor::resource_server::ResourceServer;
use grantor::store::conformance::Runner;
use grantor::store::{IssuerStore, PendingStore, Store};
use http::Request;
use serde_json::json;

use crate::shared::{Answer, App, ISSUER, World, code_app, machine_app, new_key, scope, subject};

const IDP: &str = "https://acme.idp.example";
const ORDERS: &str = "https://orders.example.com";
const FILES: &str = "https://files.example.com";

thread_local! {
    /// Whether the last request of this thread had begun when the issuer had not yet been heard.
    static IS_EARLY: Cell<bool> = const { Cell::new(false) };
}

/// Notes in each request, after its checks, whether the issuer has called.
struct Early(Arc<AtomicBool>);

impl Hooks for Early {
    async fn before_issue(&self, _: &IssueDecision<'_>) -> Result<HookAnswer, HookError> {
        IS_EARLY.set(!self.0.load(Ordering::SeqCst));
        Ok(HookAnswer::Issue)
    }
}

/// A way to get access of `ann`, and whether all of it descends from access that was decided on before the race.
struct Use<'a> {
    descends: bool,
    ask: Box<dyn Fn(usize) -> Answer + Send + 'a>,
}

/// Plays `rounds`. In each, `ann` has access, an issuer ends it while apps refresh, redeem, exchange and impersonate,
/// and all that they had or asked for before is dead when the issuer is answered.
pub(crate) fn no_access_survives_an_issuer<S, R>(store: Arc<S>, runner: R, rounds: usize)
where
    S: Store + IssuerStore + PendingStore + 'static,
    R: Runner + Sync,
{
    let records = Arc::clone(&store);
    let used = Arc::clone(&store);
    let called = Arc::new(AtomicBool::new(false));
    let api = |name: &str, app: &str| ResourceServer::new(resource(name), id(app));
    let world: World<Early, S, SystemClock, R> =
        World::over(store, SystemClock::new(), runner, new_key(), |builder| {
            let builder = builder.rate_limits(RateLimits::none()).token_exchange(true);
            let builder = builder.trusted_issuers(records).global_token_revocation(used);
            let builder = builder.hooks(Early(Arc::clone(&called)));
            builder.resource_server(api(ORDERS, "orders")).resource_server(api(FILES, "files"))
        });
    let issuer = EvidenceIssuer::new(IDP).unwrap();
    world.users.link(&issuer, "U1", &subject("ann"));
    let keys = IssuerKeys::Keys(VerifyingKeys::from_pem(&fixture("p256_public")).unwrap());
    let record = TrustedIssuer::new(issuer, "Acme", keys, [Algorithm::ES256])
        .with_global_revocation(RevocationTrust::default());
    world.block_on(world.server.admin("tester").add_trusted_issuer(record)).unwrap();
    let web = code_app().resources([resource(ORDERS)]).default_resource(Some(resource(ORDERS)));
    let web = world.import("web", web);
    let anyone = ImpersonationPolicy::anyone;
    let policy = DelegationPolicy::new([id("web")], [resource(FILES)]).with_users(anyone());
    let jwt = JwtSettings::signature_secret().with_impersonation(anyone());
    let orders = machine_app().flow(Flow::TokenExchange).delegation(policy);
    let orders =
        world.import("orders", orders.flow(Flow::JwtBearer).scope(scope("a b c")).jwt(jwt));
    for round in 0..rounds {
        called.store(false, Ordering::SeqCst);
        play(&world, &web, &orders, &called, round);
    }
}

fn play<S: Store + 'static, R: Runner + Sync>(
    world: &World<Early, S, SystemClock, R>,
    web: &App,
    orders: &App,
    called: &AtomicBool,
    round: usize,
) {
    let tokens = world.tokens(web);
    let (code, verifier) = world.code(web);
    let access = tokens.text("access_token");
    let newest = std::sync::Mutex::new(tokens.text("refresh_token").to_owned());
    let refresh = |_| {
        let mut newest = newest.lock().unwrap();
        let answer = world.refresh(web, &newest);
        if answer.status == 200 {
            answer.text("refresh_token").clone_into(&mut newest);
        }
        answer
    };
    let exchange = |_| {
        let grant_type = "urn:ietf:params:oauth:grant-type:token-exchange";
        let access_token = "urn:ietf:params:oauth:token-type:access_token";
        let form = [
            ("grant_type", grant_type),
            ("subject_token", access),
            ("subject_token_type", access_token),
            ("resource", FILES),
        ];
        world.post(orders, &form)
    };
    let impersonate = |number: usize| {
        let now = world.clock_now().as_seconds();
        let claims = json!({
            "iss": orders.id.as_str(), "sub": "ann", "aud": ISSUER,
            "iat": now, "exp": now + 60, "jti": format!("{round} {number}"),
        });
        let secret = orders.signature_secret.as_deref().unwrap().as_bytes();
        let key = jsonwebtoken::EncodingKey::from_secret(secret);
        let header = jsonwebtoken::Header::new(jsonwebtoken::Algorithm::HS256);
        let assertion = jsonwebtoken::encode(&header, &claims, &key).unwrap();
        let grant_type = "urn:ietf:params:oauth:grant-type:jwt-bearer";
        world.post(orders, &[("grant_type", grant_type), ("assertion", &assertion)])
    };
    let redeem = |number| match number {
        // Once more would end its grant.
        1.. => Answer { status: 400, json: json!(null), retry_after: None },
        _ => world.redeem(web, &code, &verifier),
    };
    let uses = [
        Use { descends: true, ask: Box::new(refresh) },
        Use { descends: true, ask: Box::new(exchange) },
        Use { descends: true, ask: Box::new(redeem) },
        Use { descends: false, ask: Box::new(impersonate) },
    ];
    let answered = AtomicBool::new(false);
    let granted: Vec<Answer> = thread::scope(|scope| {
        let threads = uses.map(|it| {
            let answered = &answered;
            scope.spawn(move || {
                let mut covered = Vec::new();
                for number in 0.. {
                    let is_last = answered.load(Ordering::SeqCst);
                    let answer = (it.ask)(number);
                    if answer.status == 200 && (it.descends || IS_EARLY.get()) {
                        covered.push(answer);
                    }
                    if is_last {
                        break;
                    }
                }
                covered
            })
        });
        // The delay differs from round to round.
        for _ in 0..round % 16 {
            thread::yield_now();
            std::hint::black_box(world.clock_now());
        }
        called.store(true, Ordering::SeqCst);
        let answer = end_access(world, round);
        answered.store(true, Ordering::SeqCst);
        assert_eq!((answer.status, &*answer.body), (204, ""), "{answer:?}");
        threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect()
    });
    for answer in granted.iter().chain([&tokens]) {
        assert!(world.is_revoked(answer), "round {round}: {answer:?} survives");
    }
    world.refresh(web, &newest.lock().unwrap()).assert_error(400, "invalid_grant");
    // `ann` agrees anew.
    let again = world.tokens(web);
    assert!(!world.is_revoked(&again), "round {round}: dead on arrival");
}

/// Lets the issuer end the access of `ann`.
fn end_access<S: Store + 'static, R: Runner + Sync>(
    world: &World<Early, S, SystemClock, R>,
    round: usize,
) -> crate::shared::Answered {
    let now = world.clock_now().as_seconds();
    let claims = json!({
        "iss": IDP, "sub": "0oa1", "aud": format!("{ISSUER}/oauth/global-token-revocation"),
        "iat": now, "nbf": now - 300, "exp": now + 300, "jti": round.to_string(),
    });
    let key = jsonwebtoken::EncodingKey::from_ec_pem(fixture("p256_private").as_bytes()).unwrap();
    let mut header = jsonwebtoken::Header::new(jsonwebtoken::Algorithm::ES256);
    header.typ = Some("global-token-revocation+jwt".to_owned());
    let token = jsonwebtoken::encode(&header, &claims, &key).unwrap();
    let body = json!({ "sub_id": { "format": "iss_sub", "iss": IDP, "sub": "U1" } });
    let request = Request::post("/oauth/global-token-revocation")
        .header("content-type", "application/json")
        .header("authorization", format!("Bearer {token}"));
    world.send(request.body(body.to_string()).unwrap())
}

fn fixture(name: &str) -> String {
    let path = format!("{}/tests/fixtures/test_only_{name}.pem", env!("CARGO_MANIFEST_DIR"));
    std::fs::read_to_string(path).unwrap()
}

fn id(text: &str) -> ClientId {
    ClientId::new(text).unwrap()
}

fn resource(text: &str) -> Resource {
    Resource::new(text).unwrap()
}
