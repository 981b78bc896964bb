//! Subject tokens of trusted issuers: what they have to be, and what they give.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use grantor::app::{ImpersonationPolicy, IssuerKeys, TrustedIssuer, UserTrust};
use grantor::ids::GrantId;
use grantor::jwt::{Algorithm, VerifyingKeys};
use grantor::store::{MemoryStore, RevocationTarget};
use pollster::block_on;
use serde_json::{Value, json};

use super::{ACTOR_OF_ACCESS, Chain, FILES, GRANT, MAIL, ORDERS, policy};
use crate::assertions::{Signer, fixture, with};
use crate::faulty_store::{FaultyStore, Method, post};
use crate::support::{Answer, App, ISSUER, START, subject};
use crate::trusted_issuers::{IDP, evidence_issuer, trust};

pub(crate) const JWT: &str = "urn:ietf:params:oauth:token-type:jwt";
pub(super) const ID_TOKEN: &str = "urn:ietf:params:oauth:token-type:id_token";

/// An issuer whose key is not the server's, and that is trusted for nothing.
pub(super) fn idp() -> TrustedIssuer {
    let keys = IssuerKeys::Keys(VerifyingKeys::from_pem(&fixture("p384_public")).unwrap());
    TrustedIssuer::new(evidence_issuer(), "Acme", keys, [Algorithm::ES384])
}

/// Lets *orders* exchange tokens of the issuer, about anyone.
pub(super) fn users(chain: &Chain) -> UserTrust {
    UserTrust::new([chain.orders.id.clone()]).with_policy(ImpersonationPolicy::anyone())
}

/// An issuer that is trusted for subject tokens as `change` says. *orders* may exchange them for *files*.
pub(crate) fn with_idp(change: impl FnOnce(TrustedIssuer, UserTrust) -> TrustedIssuer) -> Chain {
    let chain = Chain::new();
    chain.world.users.link(&evidence_issuer(), "u1", &subject("ann"));
    trust(&chain.world, change(idp(), users(&chain)));
    let policy = policy(&["web"], &[FILES]).with_issuers([evidence_issuer()]);
    chain.world.edit(&chain.orders, |draft| draft.delegation(policy));
    chain
}

/// As [`with_idp`], and a token may be presented again.
pub(super) fn again_and_again() -> Chain {
    with_idp(|idp, users| idp.with_subject_tokens(users).with_reuse(true))
}

/// The claims of a token for *orders*, with `change`.
pub(super) fn claims(chain: &Chain, change: &Value) -> Value {
    static USED: AtomicU64 = AtomicU64::new(0);
    let now = chain.world.clock_now().as_seconds();
    let claims = json!({
        "jti": USED.fetch_add(1, Ordering::Relaxed).to_string(),
        "iss": IDP,
        "sub": "u1",
        "aud": ORDERS,
        "iat": now,
        "exp": now + 600,
    });
    with(&claims, change)
}

pub(super) fn sign(typ: Option<&str>, claims: &Value) -> String {
    Signer::ec(jsonwebtoken::Algorithm::ES384, "p384_private").with_typ(typ).sign(claims)
}

/// Replaces the claims of a signed token.
fn replaced(token: &str, claims: &Value) -> String {
    let [header, _, signature] = token.split('.').collect::<Vec<_>>()[..] else { panic!() };
    format!("{header}.{}.{signature}", crate::assertions::encoded(&claims.to_string()))
}

pub(crate) fn token(chain: &Chain, change: &Value) -> String {
    sign(Some("at+jwt"), &claims(chain, change))
}

pub(crate) fn present(chain: &Chain, app: &App, kind: &str, token: &str) -> Answer {
    let form = [GRANT, ("subject_token_type", kind), ("subject_token", token), ("resource", FILES)];
    chain.world.post(app, &form)
}

/// Exchanges a token with `change` as *orders*.
pub(super) fn ask(chain: &Chain, change: &Value) -> Answer {
    present(chain, &chain.orders, JWT, &token(chain, change))
}

pub(super) fn given(answer: Answer) -> Answer {
    assert_eq!(answer.status, 200, "{answer:?}");
    answer
}

/// X27: the token is of the linked user, says who acts, and states the issuer as a parent since the issue of its token.
/// It ends with that token.
#[test]
fn a_token_of_a_trusted_issuer_is_exchanged() {
    let chain = again_and_again();
    let how = json!({ "auth_time": START - 9, "acr": "urn:loa:2", "amr": ["pwd"] });
    let presented = token(&chain, &how);
    chain.world.advance(100);
    let answer = given(present(&chain, &chain.orders, JWT, &presented));
    let claims = answer.claims();
    assert_eq!((&claims["sub"], &claims["aud"]), (&json!("ann"), &json!(FILES)));
    assert_eq!(
        (&claims["client_id"], &claims["act"]),
        (&json!("orders"), &json!({"sub":"orders"}))
    );
    assert_eq!((&claims["scope"], &claims["exp"]), (&json!("a b"), &json!(START + 600)));
    for (name, value) in how.as_object().unwrap() {
        assert_eq!(&claims[name], value);
    }
    let parent = json!({
        "grant_id": claims["via"][0]["grant_id"],
        "client_id": "orders",
        "evidence_issuer": IDP,
        // Earlier by the skew of the issuer's clock.
        "authorized_at": (START - 10) * 1_000,
    });
    assert_eq!(claims["via"], json!([parent]));
    assert!(answer.json.get("refresh_token").is_none());
    let event = chain.world.last_event();
    assert_eq!(event.subject.unwrap().as_str(), "ann");
    let decision = event.decision.unwrap();
    assert_eq!((&*decision.rule, decision.issuer.unwrap().as_str()), ("listed_group", IDP));
    assert_eq!(decision.via[0].to_string(), parent["grant_id"]);

    // The same token is the same parent, another one another.
    let again = given(present(&chain, &chain.orders, JWT, &presented)).claims();
    assert_eq!(again["via"], claims["via"]);
    let other = given(ask(&chain, &json!({}))).claims();
    assert_ne!(other["via"][0]["grant_id"], parent["grant_id"]);
}

/// X28: the type of the header is that of an access token or none in particular. An ID token is never an access token,
/// and is for the app or this server, alone.
#[test]
fn a_token_with_another_purpose_is_no_subject_token() {
    let chain = again_and_again();
    let good = claims(&chain, &json!({ "aud": "orders" }));
    for (typ, as_jwt, as_id_token) in [
        (None, true, true),
        (Some("JWT"), true, true),
        (Some("application/JWT"), true, true),
        (Some("at+jwt"), true, false),
        (Some("application/at+jwt"), true, false),
        (Some("oauth-id-jag+jwt"), false, false),
        (Some("client-authentication+jwt"), false, false),
        (Some("logout+jwt"), false, false),
        (Some("secevent+jwt"), false, false),
        (Some("token-introspection+jwt"), false, false),
        (Some(""), false, false),
    ] {
        let token = sign(typ, &good);
        for (kind, fits) in [(JWT, as_jwt), (ID_TOKEN, as_id_token)] {
            let answer = present(&chain, &chain.orders, kind, &token);
            assert_eq!(answer.status == 200, fits, "{typ:?} {kind}");
            if !fits {
                chain.refused(&answer, "invalid_request", "subject_token_evidence");
            }
        }
    }
    for (aud, as_jwt, as_id_token) in [
        (json!(["orders"]), true, true),
        (json!(ISSUER), true, true),
        (json!(ORDERS), true, false),
        (json!(["other", "orders"]), true, false),
        (json!(["other", ORDERS]), true, false),
        (json!([ISSUER, "other"]), false, false),
        (json!([ISSUER, ISSUER]), false, false),
        (json!("files"), false, false),
        (json!(FILES), false, false),
        (json!(format!("{ISSUER}/")), false, false),
        (json!("Orders"), false, false),
        (json!([]), false, false),
        (json!(["orders", 1]), false, false),
        (json!(null), false, false),
    ] {
        let token = sign(None, &with(&good, &json!({ "aud": aud })));
        for (kind, fits) in [(JWT, as_jwt), (ID_TOKEN, as_id_token)] {
            let answer = present(&chain, &chain.orders, kind, &token);
            assert_eq!(answer.status == 200, fits, "{aud} {kind}: {answer:?}");
            assert!(fits || answer.text("error") == "invalid_request");
        }
    }
}

/// X28: a token with any other fault is refused, and uses nothing up.
#[test]
fn a_token_that_breaks_a_rule_is_refused() {
    let chain = again_and_again();
    for change in [
        json!({ "cnf": { "jkt": "x" } }),
        json!({ "events": {} }),
        json!({ "authorization_details": [] }),
        json!({ "sub": IDP }),
        json!({ "sub": "" }),
        json!({ "sub": null }),
        json!({ "iat": null }),
        json!({ "iat": START + 11 }),
        json!({ "iat": START - 3_001 }),
        json!({ "exp": null }),
        json!({ "exp": START }),
        json!({ "exp": START + 3_611 }),
        json!({ "nbf": START + 11 }),
        json!({ "scope": ["a"] }),
        json!({ "scope": "a\"" }),
        json!({ "tenant": "acme" }),
        json!({ "jti": 7 }),
        json!({ "act": "agent" }),
        json!({ "act": {} }),
        json!({ "amr": "pwd" }),
        json!({ "email": 7 }),
    ] {
        let answer = ask(&chain, &change);
        assert!(answer.status == 400, "{change}");
        chain.refused(&answer, "invalid_request", "subject_token_evidence");
        chain.world.assert_refused("grant", "subject_token_evidence", Some("trusted_issuers"));
    }
    // Signed by the server itself, by a stranger, with a public key as secret, not at all.
    let good = claims(&chain, &json!({}));
    let forged = [
        Signer::ec(jsonwebtoken::Algorithm::ES256, "p256_private").sign(&good),
        Signer::backend().sign(&good),
        Signer::hmac(jsonwebtoken::Algorithm::HS384, fixture("p384_public").as_bytes()).sign(&good),
        Signer::backend().sign_raw(r#"{"alg":"none"}"#, &good.to_string()),
        replaced(&sign(None, &good), &with(&good, &json!({ "sub": "u2" }))),
    ];
    for token in forged {
        let answer = present(&chain, &chain.orders, JWT, &token);
        chain.refused(&answer, "invalid_request", "subject_token_evidence");
    }
    let strangers = [
        token(&chain, &json!({ "iss": "https://other.example" })),
        token(&chain, &json!({ "iss": ISSUER })),
        token(&chain, &json!({ "iss": null })),
        chain.user_token(),
        "x".to_owned(),
        sign(None, &good) + "x",
    ];
    for token in strangers {
        let answer = present(&chain, &chain.orders, JWT, &token);
        chain.refused(&answer, "invalid_request", "subject_token_issuer_unknown");
    }
    // The type of access tokens stays with those of this server.
    let answer = chain.exchange(&chain.orders, &token(&chain, &json!({})), &[]);
    chain.refused(&answer, "invalid_request", "subject_token_invalid");
    given(ask(&chain, &json!({})));
}

/// X29: a token is good once, in the whole server, or if the record says so until it expires.
#[test]
fn a_token_is_good_once_unless_the_record_allows_reuse() {
    for reuse in [false, true] {
        let chain = with_idp(|idp, users| idp.with_subject_tokens(users).with_reuse(reuse));
        let token = token(&chain, &json!({}));
        // A refusal uses nothing up.
        let form = [GRANT, ("subject_token_type", JWT), ("subject_token", &*token)];
        let mail = chain.world.post(&chain.orders, &[&form[..], &[("resource", MAIL)]].concat());
        chain.refused(&mail, "invalid_target", "target_not_listed");
        given(present(&chain, &chain.orders, JWT, &token));
        let again = present(&chain, &chain.orders, JWT, &token);
        let without = ask(&chain, &json!({ "jti": null }));
        if reuse {
            given(again);
            given(without);
        } else {
            assert_eq!(again.text("error"), "invalid_request");
            chain.refused(&without, "invalid_request", "subject_token_evidence");
            let reasons = chain.world.events();
            assert_eq!(reasons[1].outcome.reason(), Some("subject_token_replayed"));
        }
        chain.world.advance(600);
        let late = present(&chain, &chain.orders, JWT, &token);
        chain.refused(&late, "invalid_request", "subject_token_evidence");
    }
}

/// X30: each link ends the token, and one that was derived from it. A token that was issued before is refused
/// afterwards, one that was issued later is not.
#[test]
fn a_revocation_ends_what_an_issuer_gave_and_what_it_had_issued() {
    let chain = again_and_again();
    let admin = chain.world.server.admin("tester");
    let (orders, ann) = (chain.orders.id.clone(), subject("ann"));
    for target in [
        None,
        Some(RevocationTarget::EvidenceIssuer(evidence_issuer())),
        Some(RevocationTarget::Subject(ann.clone())),
        Some(RevocationTarget::App(orders.clone())),
        Some(RevocationTarget::AppAndSubject(orders, ann)),
        Some(RevocationTarget::Everything),
    ] {
        let presented = token(&chain, &json!({}));
        let first = given(present(&chain, &chain.orders, JWT, &presented));
        let mail = [("resource", MAIL)];
        let second = chain.derived(&chain.files, first.text("access_token"), &mail);
        assert_eq!(second.claims()["via"].as_array().unwrap().len(), 2);
        let parent: GrantId =
            first.claims()["via"][0]["grant_id"].as_str().unwrap().parse().unwrap();
        let target = target.unwrap_or(RevocationTarget::Grant(parent));
        block_on(admin.revoke(target.clone())).unwrap();
        assert!(chain.world.is_revoked(&first) && chain.world.is_revoked(&second), "{target:?}");
        let answer = present(&chain, &chain.orders, JWT, &presented);
        chain.refused(&answer, "invalid_request", "subject_token_revoked");
        chain.world.advance(11);
        given(ask(&chain, &json!({})));
    }
    let first = given(ask(&chain, &json!({})));
    block_on(admin.remove_trusted_issuer(&evidence_issuer())).unwrap();
    assert!(chain.world.is_revoked(&first));
    let answer = ask(&chain, &json!({}));
    chain.refused(&answer, "invalid_request", "subject_token_issuer_unknown");
}

/// X30: a revocation that is answered while an exchange goes on, after the store was asked, covers the token.
#[test]
fn a_revocation_during_an_exchange_covers_the_token_of_an_issuer() {
    for reuse in [false, true] {
        let chain = with_idp(|idp, users| idp.with_subject_tokens(users).with_reuse(reuse));
        let store = Arc::new(FaultyStore::new(Arc::clone(&chain.world.store)));
        let issuers = MemoryStore::new();
        let builder = chain.world.beside(super::key(), store, Arc::clone(&chain.world.users));
        let server = super::apis(builder).trusted_issuers(issuers).build();
        let record = idp().with_subject_tokens(users(&chain)).with_reuse(reuse);
        block_on(server.admin("root").add_trusted_issuer(record)).unwrap();
        let admin = Arc::clone(&chain.world.server);
        let idp = RevocationTarget::EvidenceIssuer(evidence_issuer());
        server.store().meanwhile(Method::IsRevoked, move || {
            block_on(admin.admin("tester").revoke(idp)).unwrap();
        });
        let token = token(&chain, &json!({}));
        let form =
            [GRANT, ("subject_token_type", JWT), ("subject_token", &*token), ("resource", FILES)];
        server.store().take_calls();
        let answer = post(&server, &chain.orders, &form);
        assert_eq!(answer.status, 200, "{answer:?}");
        assert!(chain.world.is_revoked(&answer));
        // One read beside the app, and one write only for a single use.
        let calls = server.store().take_calls();
        let expected = [Method::FindApp, Method::IsRevoked, Method::ClaimAssertion];
        assert_eq!(calls, expected[..if reuse { 2 } else { 3 }]);
    }
}

/// X31: an actor of another issuer is refused by its type. It gets a token of its own at this server first.
#[test]
fn an_actor_token_of_another_issuer_is_refused() {
    let chain = again_and_again();
    let user = token(&chain, &json!({}));
    let worker = token(&chain, &json!({ "sub": "job:1" }));
    let form = |actor_type| {
        let subject = [("subject_token_type", JWT), ("subject_token", &*user)];
        let actor = [("actor_token_type", actor_type), ("actor_token", &*worker)];
        [&[GRANT, ("resource", FILES)][..], &subject, &actor].concat()
    };
    let answer = chain.world.post(&chain.orders, &form(JWT));
    chain.refused(&answer, "invalid_request", "unsupported_parameter");
    let answer = chain.world.post(&chain.orders, &form(ACTOR_OF_ACCESS.1));
    chain.refused(&answer, "invalid_request", "actor_token_invalid");
}
