//! The keys that verify assertions.

use grantor::app::{AppDraft, ImpersonationPolicy, JwtSettings};
use grantor::ids::KeyId;
use grantor::jwt::{Algorithm as Ours, SigningKey, VerifyingKey, VerifyingKeys, jwk_set_json};
use jsonwebtoken::Algorithm;
use pollster::block_on;
use serde_json::json;

use crate::assertions::{Signer, backend_app, encoded, fixture, impersonator, with};
use crate::support::{App, World};

const RSA: [Algorithm; 6] = [
    Algorithm::RS256,
    Algorithm::RS384,
    Algorithm::RS512,
    Algorithm::PS256,
    Algorithm::PS384,
    Algorithm::PS512,
];

fn app_with(keys: VerifyingKeys) -> AppDraft {
    impersonator(JwtSettings::keys(keys).with_impersonation(ImpersonationPolicy::anyone()))
}

fn by_secret() -> AppDraft {
    impersonator(JwtSettings::signature_secret().with_impersonation(ImpersonationPolicy::anyone()))
}

fn public(name: &str) -> VerifyingKey {
    VerifyingKey::from_pem(&fixture(name)).unwrap()
}

fn named(name: &str, kid: &str) -> VerifyingKey {
    public(name).with_key_id(KeyId::new(kid).unwrap())
}

/// An Ed25519 key pair.
fn pair() -> (Signer, VerifyingKey) {
    let pem = SigningKey::generate_pem(Ours::EdDSA).unwrap();
    let key = SigningKey::from_pem(Ours::EdDSA, pem.expose_secret()).unwrap();
    let public = serde_json::to_string(&key.verifying_key()).unwrap();
    let public = serde_json::from_str::<serde_json::Value>(&public).unwrap();
    let bare = json!({ "kty": "OKP", "crv": "Ed25519", "x": public["x"] });
    (Signer::ed25519(pem.expose_secret()), VerifyingKey::from_jwk(&bare.to_string()).unwrap())
}

#[track_caller]
fn refuse(world: &World, app: &App, assertion: &str, description: &str) {
    let answer = world.present(app, assertion, &[]);
    answer.assert_error(400, "invalid_grant");
    assert!(answer.text("error_description").contains(description), "{answer:?}");
}

/// Each algorithm of DESIGN, by a key from PEM and by one of a JWK Set of all keys.
#[test]
fn every_algorithm_is_accepted_from_pem_and_from_a_jwk_set() {
    let world = World::new();
    let set = [
        named("rsa_2048_public", "rsa"),
        named("p256_public", "p256"),
        named("p384_public", "p384"),
        named("ed25519_public", "ed"),
    ];
    let set = world.register(app_with(VerifyingKeys::from_jwk_set(&jwk_set_json(&set)).unwrap()));
    let try_both = |public_pem: &str, kid: &str, make: &dyn Fn() -> Signer| {
        let one = world.register(app_with(VerifyingKeys::from_pem(&fixture(public_pem)).unwrap()));
        let claims = |app: &App| world.claims(app);
        for (app, signer) in [
            (&one, make()),
            (&one, make().with_kid("any")),
            (&set, make()),
            (&set, make().with_kid(kid)),
        ] {
            let answer = world.present(app, &signer.sign(&claims(app)), &[]);
            assert_eq!(answer.status, 200, "{public_pem}: {answer:?}");
        }
        refuse(&world, &set, &make().with_kid("other").sign(&claims(&set)), "kid");
        let mut tampered = make().sign(&claims(&set));
        let at = tampered.len() - 20;
        let other = if &tampered[at..=at] == "A" { "B" } else { "A" };
        tampered.replace_range(at..=at, other);
        world.present(&set, &tampered, &[]).assert_error(400, "invalid_grant");
    };
    for algorithm in RSA {
        try_both("rsa_2048_public", "rsa", &|| Signer::rsa(algorithm));
    }
    try_both("rsa_2048_public_pkcs1", "rsa", &|| Signer::rsa(Algorithm::RS256));
    try_both("p256_public", "p256", &|| Signer::ec(Algorithm::ES256, "p256_private"));
    try_both("p384_public", "p384", &|| Signer::ec(Algorithm::ES384, "p384_private"));
    try_both("ed25519_public", "ed", &Signer::backend);
}

/// J6, J7: `kid` names one key of the app, which must have signed. Without `kid` any key of the app
/// may have.
#[test]
fn the_kid_names_the_key_that_must_have_signed() {
    let world = World::new();
    let (first, first_public) = pair();
    let (second, second_public) = pair();
    let (stranger, _) = pair();
    let named = |key: &VerifyingKey, kid: &str| key.clone().with_key_id(KeyId::new(kid).unwrap());
    let keys = vec![named(&first_public, "1"), named(&second_public, "2")];
    let app = world.register(app_with(VerifyingKeys::new(keys).unwrap()));
    let claims = || world.claims(&app);
    for signer in [&first, &second] {
        assert_eq!(world.present(&app, &signer.sign(&claims()), &[]).status, 200);
    }
    let first = first.with_kid("1");
    assert_eq!(world.present(&app, &first.sign(&claims()), &[]).status, 200);
    refuse(&world, &app, &first.with_kid("2").sign(&claims()), "signature");
    refuse(&world, &app, &second.with_kid("3").sign(&claims()), "kid");
    refuse(&world, &app, &stranger.sign(&claims()), "signature");
    refuse(&world, &app, &stranger.with_kid("1").sign(&claims()), "signature");
    assert_eq!(world.last_event().outcome.setting(), Some("jwt.keys"));
}

/// J7: a key of another app of the same server is unknown.
#[test]
fn the_key_of_another_app_is_refused() {
    let world = World::new();
    let mine = world.register(backend_app());
    let (other_key, other_public) = pair();
    let other = world.register(app_with(other_public.into()));
    refuse(&world, &mine, &other_key.sign(&world.claims(&mine)), "signature");
    refuse(&world, &mine, &other_key.sign(&world.claims(&other)), "signature");
    refuse(&world, &mine, &Signer::backend().sign(&world.claims(&other)), "iss");
}

/// J8: no signature, and an HMAC under the public key, are refused (RFC 8725 section 3.1).
#[test]
fn the_header_does_not_choose_a_weaker_algorithm() {
    let world = World::new();
    let pem = fixture("rsa_2048_public");
    let app = world.register(app_with(VerifyingKeys::from_pem(&pem).unwrap()));
    let claims = world.claims(&app);
    let jwk = serde_json::to_string(&public("rsa_2048_public")).unwrap();
    for secret in [pem.as_bytes(), pem.trim_end().as_bytes(), jwk.as_bytes(), b""] {
        for algorithm in [Algorithm::HS256, Algorithm::HS384, Algorithm::HS512] {
            refuse(&world, &app, &Signer::hmac(algorithm, secret).sign(&claims), "alg");
        }
    }
    for alg in ["none", "None", "NONE", "", "RS1", "HS256", "ES256K", "EdDSA", "ES256"] {
        let unsigned = format!(
            "{}.{}.",
            encoded(&json!({ "alg": alg }).to_string()),
            encoded(&claims.to_string())
        );
        world.present(&app, &unsigned, &[]).assert_error(400, "invalid_grant");
        world.present(&app, &format!("{unsigned}AA"), &[]).assert_error(400, "invalid_grant");
    }
    let good = Signer::rsa(Algorithm::RS256).sign(&claims);
    let stripped = &good[..=good.rfind('.').unwrap()];
    refuse(&world, &app, stripped, "signature");
    assert_eq!(world.present(&app, &good, &[]).status, 200);
}

/// J8: an elliptic curve key fixes its algorithm; for an RSA key the app may narrow them.
#[test]
fn the_app_may_narrow_the_algorithms() {
    let world = World::new();
    let keys = || VerifyingKeys::from_pem(&fixture("rsa_2048_public")).unwrap();
    let jwt = JwtSettings::keys(keys())
        .with_impersonation(ImpersonationPolicy::anyone())
        .with_algorithms([Ours::PS256]);
    let app = world.register(impersonator(jwt));
    for algorithm in RSA {
        let assertion = Signer::rsa(algorithm).sign(&world.claims(&app));
        if algorithm == Algorithm::PS256 {
            assert_eq!(world.present(&app, &assertion, &[]).status, 200);
        } else {
            refuse(&world, &app, &assertion, "alg");
        }
    }
    assert_eq!(world.last_event().outcome.setting(), Some("jwt.algorithms"));
}

/// An app without key pairs signs with its signature secret by HS256, and by no other algorithm.
#[test]
fn the_signature_secret_signs_by_hs256() {
    let world = World::new();
    let app = world.register(by_secret());
    let secret = app.signature_secret.clone().unwrap();
    let sign = |algorithm| Signer::hmac(algorithm, secret.as_bytes()).sign(&world.claims(&app));
    assert_eq!(world.present(&app, &sign(Algorithm::HS256), &[]).status, 200);
    for algorithm in [Algorithm::HS384, Algorithm::HS512] {
        refuse(&world, &app, &sign(algorithm), "alg");
    }
    refuse(&world, &app, &world.assertion(&app, &json!({})), "alg");
    let client_secret = app.secret.clone().unwrap();
    let forged = Signer::hmac(Algorithm::HS256, client_secret.as_bytes());
    refuse(&world, &app, &forged.sign(&world.claims(&app)), "signature");
    let other = world.register(by_secret()).signature_secret.unwrap();
    let forged = Signer::hmac(Algorithm::HS256, other.as_bytes());
    refuse(&world, &app, &forged.sign(&world.claims(&app)), "signature");
}

/// The signature secret of an app with key pairs verifies no assertion.
#[test]
fn an_app_with_key_pairs_cannot_sign_with_its_signature_secret() {
    let world = World::new();
    let app = world.register(backend_app());
    let secret = app.signature_secret.clone().unwrap();
    let forged = Signer::hmac(Algorithm::HS256, secret.as_bytes()).sign(&world.claims(&app));
    refuse(&world, &app, &forged, "alg");
}

/// J28: a removed key is refused, with and without `kid`. A new signature secret replaces the old
/// one at once.
#[test]
fn a_removed_key_is_refused() {
    let world = World::new();
    let (old, old_public) = pair();
    let (new, new_public) = pair();
    let kid = |text: &str| KeyId::new(text).unwrap();
    let settings = |keys: Vec<VerifyingKey>| {
        JwtSettings::keys(VerifyingKeys::new(keys).unwrap())
            .with_impersonation(ImpersonationPolicy::anyone())
    };
    let old_public = old_public.with_key_id(kid("old"));
    let new_public = new_public.with_key_id(kid("new"));
    let app = world.register(impersonator(settings(vec![old_public.clone(), new_public.clone()])));
    let claims = || world.claims(&app);
    assert_eq!(world.present(&app, &old.sign(&claims()), &[]).status, 200);
    let signed_before = old.sign(&claims());
    world.edit(&app, |draft| draft.jwt(settings(vec![new_public])));
    refuse(&world, &app, &signed_before, "signature");
    refuse(&world, &app, &old.with_kid("old").sign(&claims()), "kid");
    assert_eq!(world.present(&app, &new.with_kid("new").sign(&claims()), &[]).status, 200);

    let app = world.register(by_secret());
    let sign = |secret: &str| Signer::hmac(Algorithm::HS256, secret.as_bytes());
    let old = app.signature_secret.clone().unwrap();
    let admin = world.server.admin("tester");
    let new = block_on(admin.regenerate_signature_secret(&app.id)).unwrap();
    let new = new.signature_secret.unwrap();
    refuse(&world, &app, &sign(&old).sign(&world.claims(&app)), "signature");
    let answer = world.present(&app, &sign(new.expose_secret()).sign(&world.claims(&app)), &[]);
    assert_eq!(answer.status, 200);
}

/// RFC 8725 section 3.11: critical headers and a wrong `typ` are refused.
#[test]
fn critical_headers_and_other_types_are_refused() {
    let world = World::new();
    let app = world.register(backend_app());
    let signer = Signer::backend();
    for member in [
        r#""crit":[]"#,
        r#""crit":["exp"]"#,
        r#""b64":false"#,
        r#""typ":"at+jwt""#,
        r#""typ":"client-authentication+jwt""#,
        r#""typ":7"#,
        r#""kid":7"#,
        r#""alg":"EdDSA""#,
    ] {
        let header = format!(r#"{{"alg":"EdDSA",{member}}}"#);
        let assertion = signer.sign_raw(&header, &world.claims(&app).to_string());
        world.present(&app, &assertion, &[]).assert_error(400, "invalid_grant");
    }
    for typ in [r#""JWT""#, r#""jwt""#, r#""authorization-grant+jwt""#, r#""application/jwt""#] {
        let header = format!(r#"{{"alg":"EdDSA","typ":{typ},"x":1}}"#);
        let assertion = signer.sign_raw(&header, &world.claims(&app).to_string());
        assert_eq!(world.present(&app, &assertion, &[]).status, 200, "{typ}");
    }
}

/// Z11: headers that bring a key or its address are ignored (RFC 7515 section 4). The key of the app
/// decides, so the key in the header verifies nothing.
#[test]
fn headers_that_bring_a_key_are_ignored() {
    let world = World::new();
    let app = world.register(backend_app());
    let (stranger, public) = pair();
    let jwk = serde_json::to_string(&public).unwrap();
    for member in [
        r#""jku":"https://evil.example/jwks""#,
        r#""x5u":"https://evil.example/x""#,
        &format!(r#""jwk":{jwk}"#),
        r#""x5c":["AA"]"#,
        r#""x5t":"AA","x5t#S256":"AA""#,
        r#""zip":"DEF""#,
        r#""cty":"JWT""#,
    ] {
        let header = format!(r#"{{"alg":"EdDSA",{member}}}"#);
        let sign = |signer: &Signer| signer.sign_raw(&header, &world.claims(&app).to_string());
        let answer = world.present(&app, &sign(&Signer::backend()), &[]);
        assert_eq!(answer.status, 200, "{member}: {answer:?}");
        refuse(&world, &app, &sign(&stranger), "signature");
    }
}

/// Z9: `Ed25519` (RFC 9864) is `EdDSA` with an Ed25519 key, in the header and in the JWK.
#[test]
fn ed25519_may_go_by_its_new_name() {
    let world = World::new();
    let public = serde_json::to_value(public("ed25519_public")).unwrap();
    for alg in [json!(null), json!("EdDSA"), json!("Ed25519")] {
        let jwk = with(&public, &json!({ "alg": alg }));
        let app =
            world.register(app_with(VerifyingKey::from_jwk(&jwk.to_string()).unwrap().into()));
        for header in [r#"{"alg":"EdDSA"}"#, r#"{"alg":"Ed25519"}"#] {
            let assertion = Signer::backend().sign_raw(header, &world.claims(&app).to_string());
            let answer = world.present(&app, &assertion, &[]);
            assert_eq!(answer.status, 200, "{alg} {header}: {answer:?}");
        }
    }
    let allowed: Vec<Ours> = serde_json::from_value(json!(["Ed25519", "EdDSA"])).unwrap();
    assert_eq!(allowed, [Ours::EdDSA; 2]);
}
