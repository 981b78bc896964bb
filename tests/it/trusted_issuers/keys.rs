//! The keys of trusted issuers at a URL.

use std::sync::Arc;

use grantor::app::{IssuerKeys, JwksUri, TrustedIssuer};
use grantor::jwt::Algorithm;
use grantor::store::MemoryStore;
use http::Response;

use super::{evidence_issuer, id_jag_claims, idp_keys, idp_signer, trust, users_of, wiki};
use crate::self_described::site::Site;
use crate::support::{Answer, App, World};

const KEYS: &str = "https://acme.idp.example/keys";

fn publish(site: &Site, kid: &str) {
    let IssuerKeys::Keys(keys) = idp_keys() else { return };
    let mut set = serde_json::to_value(&keys).unwrap();
    set["keys"][0]["kid"] = kid.into();
    let answer = Response::builder().header("content-type", "application/jwk-set+json");
    site.answer(KEYS, answer.body(set.to_string().into_bytes()).unwrap());
}

fn ask(world: &World, app: &App, kid: &str) -> Answer {
    let signer = idp_signer().with_kid(kid).with_typ(Some("oauth-id-jag+jwt"));
    let claims = id_jag_claims(world, app, &serde_json::json!({}));
    world.present(app, &signer.sign(&claims), &[])
}

fn by_url(app: &App) -> TrustedIssuer {
    let keys = IssuerKeys::Uri(JwksUri::new(KEYS).unwrap());
    let idp = TrustedIssuer::new(evidence_issuer(), "Acme", keys, [Algorithm::ES256]);
    idp.with_id_jag(users_of(app))
}

/// J38: an issuer that rotates its keys leads to one fetch a minute. Its known keys are used while it is down.
#[test]
fn an_issuer_may_rotate_its_keys_and_be_down() {
    let site = Arc::new(Site::default());
    let fetch = Arc::clone(&site);
    let world = World::with(|builder| builder.app_keys(fetch).trusted_issuers(MemoryStore::new()));
    world.users.link(&evidence_issuer(), "U019488227", &grantor::ids::Subject::new("ann").unwrap());
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

/// A server that fetches no keys refuses such an issuer.
#[test]
fn a_server_that_fetches_no_keys_refuses_the_issuer() {
    let world = super::world();
    let app = world.register(wiki());
    trust(&world, by_url(&app));
    ask(&world, &app, "1").assert_error(400, "invalid_grant");
    world.assert_refused("grant", "issuer_keys_unavailable", Some("trusted_issuers"));
}
