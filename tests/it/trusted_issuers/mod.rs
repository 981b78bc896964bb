//! Assertions of trusted issuers at the JWT bearer grant.

mod administration;
mod global_revocation;
mod id_jag;
mod keys;
mod workloads;

pub(crate) use workloads::job as jobs_token;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use grantor::app::{
    AppDraft, ImpersonationPolicy, IssuerKeys, JwtSettings, SubjectPattern, TrustedIssuer,
    UserTrust, WorkloadRule,
};
use grantor::ids::{EvidenceIssuer, Subject};
use grantor::jwt::{Algorithm, VerifyingKeys};
use grantor::store::MemoryStore;
use pollster::block_on;
use serde_json::{Value, json};

use crate::assertions::{JWT_BEARER, Signer, fixture, impersonator, with};
use crate::faulty_store::{FaultyStore, Method, post};
use crate::support::{Answer, App, ISSUER, World, new_key};

pub(crate) const IDP: &str = "https://acme.idp.example";

pub(crate) fn evidence_issuer() -> EvidenceIssuer {
    EvidenceIssuer::new(IDP).unwrap()
}

pub(crate) fn world() -> World {
    let world = World::with(|builder| builder.trusted_issuers(MemoryStore::new()));
    world.users.link(&evidence_issuer(), "U019488227", &Subject::new("ann").unwrap());
    world
}

/// A confidential app whose own assertions get no user.
pub(crate) fn wiki() -> AppDraft {
    impersonator(JwtSettings::signature_secret())
}

pub(crate) fn idp_keys() -> IssuerKeys {
    IssuerKeys::Keys(VerifyingKeys::from_pem(&fixture("p256_public")).unwrap())
}

pub(crate) fn idp() -> TrustedIssuer {
    TrustedIssuer::new(evidence_issuer(), "Acme", idp_keys(), [Algorithm::ES256])
}

pub(crate) fn users_of(app: &App) -> UserTrust {
    UserTrust::new([app.id.clone()]).with_policy(ImpersonationPolicy::anyone())
}

pub(crate) fn idp_signer() -> Signer {
    Signer::ec(jsonwebtoken::Algorithm::ES256, "p256_private")
}

pub(crate) fn trust(world: &World, settings: TrustedIssuer) {
    block_on(world.server.admin("root").add_trusted_issuer(settings)).unwrap();
}

/// A world with an identity provider that is trusted for identity assertions about anyone, and the app that presents them.
pub(crate) fn with_idp(
    change: impl FnOnce(TrustedIssuer, UserTrust) -> TrustedIssuer,
) -> (World, App) {
    let world = world();
    let app = world.register(wiki());
    trust(&world, change(idp(), users_of(&app)));
    (world, app)
}

/// The claims of an identity assertion in the shape of the draft, with `change`.
pub(crate) fn id_jag_claims(world: &World, app: &App, change: &Value) -> Value {
    static USED: AtomicU64 = AtomicU64::new(0);
    let now = world.clock_now().as_seconds();
    let claims = json!({
        "jti": format!("9e43f81b64a33f20116179-{}", USED.fetch_add(1, Ordering::Relaxed)),
        "iss": IDP,
        "sub": "U019488227",
        "aud": ISSUER,
        "client_id": app.id.as_str(),
        "exp": now + 300,
        "iat": now,
        "auth_time": now - 60,
        "amr": ["mfa", "hwk"],
    });
    with(&claims, change)
}

pub(crate) fn id_jag(world: &World, app: &App, change: &Value) -> String {
    let signer = idp_signer().with_typ(Some("oauth-id-jag+jwt"));
    signer.sign(&id_jag_claims(world, app, change))
}

/// Presents an identity assertion with `change`.
pub(crate) fn ask(world: &World, app: &App, change: &Value) -> Answer {
    world.present(app, &id_jag(world, app, change), &[])
}

/// Returns the claims of the access token.
fn read(answer: &Answer) -> Value {
    answer.claims()
}

/// J20: with the app cached, evidence costs one write. The records of issuers are in memory.
#[test]
fn evidence_of_an_issuer_costs_the_store_one_write() {
    let world = world();
    let app = world.register(wiki());
    let rule = WorkloadRule::new(app.id.clone(), SubjectPattern::new("job:*").unwrap());
    let store = Arc::new(FaultyStore::new(Arc::clone(&world.store)));
    let builder = world.beside(new_key(), store, Arc::clone(&world.users));
    let server = builder.trusted_issuers(MemoryStore::new()).build();
    let record = idp().with_id_jag(users_of(&app)).with_workloads([rule]);
    block_on(server.admin("root").add_trusted_issuer(record)).unwrap();
    let job = id_jag_claims(&world, &app, &json!({ "sub": "job:1" }));
    let job = idp_signer().sign(&job);
    for evidence in [id_jag(&world, &app, &json!({})), job] {
        let form = [("grant_type", JWT_BEARER), ("assertion", &*evidence)];
        server.store().take_calls();
        assert_eq!(post(&server, &app, &form).status, 200);
        assert_eq!(server.store().take_calls(), [Method::FindApp, Method::ClaimAssertion]);
    }
}
