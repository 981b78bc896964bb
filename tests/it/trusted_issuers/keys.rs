//! The keys of trusted issuers at a URL.

use std::sync::Arc;
use std::task::{Context, Waker};

use grantor::app::{IssuerKeys, JwksUri, TrustedIssuer};
use grantor::endpoint::FormRequest;
use grantor::ids::EvidenceIssuer;
use grantor::jwt::Algorithm;
use grantor::rate_limit::RateLimits;
use grantor::store::MemoryStore;
use http::Response;
use serde_json::json;

use super::{evidence_issuer, id_jag_claims, idp_keys, idp_signer, trust, users_of, wiki};
use crate::assertions::{JWT_BEARER, with};
use crate::concurrency::{THREADS, race};
use crate::self_described::site::Site;
use crate::support::{Answer, App, World, body_of, subject};

const KEYS: &str = "https://acme.idp.example/keys";

fn publish(site: &Site, kid: &str) {
    publish_all(site, &[kid]);
}

/// Publishes a set with a key of each name.
fn publish_all(site: &Site, kids: &[&str]) {
    let IssuerKeys::Keys(keys) = idp_keys() else { return };
    let key = serde_json::to_value(&keys).unwrap()["keys"][0].clone();
    let named = |kid: &&str| with(&key, &json!({ "kid": kid }));
    let set = json!({ "keys": kids.iter().map(named).collect::<Vec<_>>() });
    let answer = Response::builder().header("content-type", "application/jwk-set+json");
    site.answer(KEYS, answer.body(set.to_string().into_bytes()).unwrap());
}

fn signed(world: &World, app: &App, kid: &str) -> String {
    let signer = idp_signer().with_kid(kid).with_typ(Some("oauth-id-jag+jwt"));
    signer.sign(&id_jag_claims(world, app, &json!({})))
}

fn ask(world: &World, app: &App, kid: &str) -> Answer {
    world.present(app, &signed(world, app, kid), &[])
}

/// A server that fetches keys from a site.
fn fetching() -> (World, Arc<Site>) {
    let site = Arc::new(Site::default());
    let fetch = Arc::clone(&site);
    let world = World::with(|builder| {
        let builder = builder.app_keys(fetch).trusted_issuers(MemoryStore::new());
        builder.rate_limits(RateLimits::none())
    });
    world.users.link(&evidence_issuer(), "U019488227", &subject("ann"));
    (world, site)
}

fn by_url(app: &App) -> TrustedIssuer {
    let keys = IssuerKeys::Uri(JwksUri::new(KEYS).unwrap());
    let idp = TrustedIssuer::new(evidence_issuer(), "Acme", keys, [Algorithm::ES256]);
    idp.with_id_jag(users_of(app))
}

/// J38: an issuer that rotates its keys leads to one fetch a minute. Its known keys are used while it is down.
#[test]
fn an_issuer_may_rotate_its_keys_and_be_down() {
    let (world, site) = fetching();
    let app = world.register(wiki());
    trust(&world, by_url(&app));
    // Not reachable yet.
    ask(&world, &app, "1").assert_error(400, "invalid_grant");
    world.assert_refused("grant", "issuer_keys_unavailable", Some("trusted_issuers"));
    publish(&site, "1");
    world.advance(10);
    for _ in 0..3 {
        assert_eq!(ask(&world, &app, "1").status, 200);
    }
    let fetched = site.fetches();
    publish(&site, "2");
    ask(&world, &app, "2").assert_error(400, "invalid_grant");
    assert_eq!(site.fetches(), fetched, "a minute has not passed");
    world.advance(60);
    assert_eq!(ask(&world, &app, "2").status, 200);
    ask(&world, &app, "1").assert_error(400, "invalid_grant");
    assert_eq!(site.fetches(), fetched + 1);
    site.take_down(KEYS);
    world.advance(120);
    assert_eq!(ask(&world, &app, "2").status, 200);
    world.advance(86_400);
    ask(&world, &app, "2").assert_error(400, "invalid_grant");
}

/// J38: sixteen callers at once present tokens with the old and with the new name of a key, as the issuer rotates. One
/// fetch gives the new key to all, and no token is refused. Names that the issuer does not have lead to no fetch more.
#[test]
fn an_issuer_may_rotate_its_keys_under_load() {
    let (world, site) = fetching();
    let app = world.register(wiki());
    trust(&world, by_url(&app));
    publish(&site, "0");
    assert_eq!(ask(&world, &app, "0").status, 200);
    for round in 1..=20 {
        let (old, new) = ((round - 1).to_string(), round.to_string());
        publish_all(&site, &[&old, &new]);
        world.advance(60);
        let fetched = site.fetches();
        let kids = [&*old, &new];
        let load = |kids: [&str; 2]| {
            let tokens: Vec<_> =
                (0..THREADS).map(|it| signed(&world, &app, kids[it % 2])).collect();
            race(|index| {
                let form = [("grant_type", JWT_BEARER), ("assertion", &*tokens[index])];
                let body = body_of(&app, &form);
                crate::support::ask(&world.server, &body).status
            })
        };
        assert_eq!(load(kids), [200; THREADS], "round {round}");
        assert_eq!(site.fetches(), fetched + 1, "round {round}");
        assert_eq!(load(["x", "y"]), [400; THREADS], "round {round}");
        assert_eq!(site.fetches(), fetched + 1, "round {round}");
    }
}

/// J38: an issuer that never answers holds the requests with its own tokens only. When it is back, so is its access.
#[test]
fn an_issuer_that_never_answers_holds_no_other() {
    let (world, site) = fetching();
    let app = world.register(wiki());
    trust(&world, by_url(&app));
    site.hang(KEYS);
    let other = EvidenceIssuer::new("https://other.idp.example").unwrap();
    let record = TrustedIssuer::new(other.clone(), "Other", idp_keys(), [Algorithm::ES256]);
    trust(&world, record.with_id_jag(users_of(&app)));
    world.users.link(&other, "U1", &subject("ann"));
    let token = signed(&world, &app, "1");
    let body = body_of(&app, &[("grant_type", JWT_BEARER), ("assertion", &token)]);
    let form = FormRequest::new(&body);
    let mut held: Vec<_> = (0..8).map(|_| Box::pin(world.server.token(&form))).collect();
    let mut context = Context::from_waker(Waker::noop());
    assert!(held.iter_mut().all(|it| it.as_mut().poll(&mut context).is_pending()));
    assert_eq!(site.fetches(), 1);
    let of_other = json!({ "iss": other.as_str(), "sub": "U1" });
    let signer = idp_signer().with_typ(Some("oauth-id-jag+jwt"));
    let token = signer.sign(&id_jag_claims(&world, &app, &of_other));
    assert_eq!(world.present(&app, &token, &[]).status, 200);
    // The callers give up.
    drop(held);
    site.hang("https://nowhere.example");
    publish(&site, "1");
    world.advance(60);
    assert_eq!(ask(&world, &app, "1").status, 200);
}

/// A server that fetches no keys refuses such an issuer.
#[test]
fn a_server_that_fetches_no_keys_refuses_the_issuer() {
    let world = super::world();
    let app = world.register(wiki());
    trust(&world, by_url(&app));
    ask(&world, &app, "1").assert_error(400, "invalid_grant");
    world.assert_refused("grant", "issuer_keys_unavailable", Some("trusted_issuers"));
}
