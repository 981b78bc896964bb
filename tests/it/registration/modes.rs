//! Registration by an initial access token, and by a software statement.

use grantor::app::RateQuota;
use grantor::endpoint::{Registration, RegistrationAccess};
use grantor::jwt::StatementIssuer;
use grantor::rate_limit::RateLimits;
use grantor::secret::InitialAccessToken;
use http::Method;
use serde_json::{Value, json};

use super::{REGISTER, problem, public, register, registered, send, template, with, world};
use crate::assertions::{Signer, backend_keys};
use crate::support::World;

const TOKEN: &str = "an-initial-access-token-of-a-host";

/// Y4: with initial access tokens, a caller needs one of them. The challenge is that of a bearer token.
#[test]
fn a_caller_needs_an_initial_access_token() {
    let tokens = vec![InitialAccessToken::new("x".repeat(22)), InitialAccessToken::new(TOKEN)];
    let access = RegistrationAccess::InitialAccessToken(tokens);
    let world = world(Registration::new(template(), access).unwrap());
    let post =
        |token: Option<&str>| send(&world, Method::POST, REGISTER, token, &public().to_string());
    // RFC 6750 section 3.1: no error code without a token.
    let missing = post(None);
    let challenge = Some(r#"Bearer realm="https://as.example.com""#);
    assert_eq!((missing.status, missing.header("www-authenticate")), (401, challenge));
    assert_eq!(missing.body, "");
    world.assert_refused("client", "no_bearer_token", None);
    for wrong in [Some("wrong"), Some(&TOKEN[1..]), Some("")] {
        let answer = post(wrong);
        answer.assert_error(401, "invalid_token");
        assert!(answer.header("www-authenticate").unwrap().starts_with("Bearer realm="));
        world.assert_refused("client", "initial_access_token", Some("registration"));
    }
    assert_eq!(post(Some(TOKEN)).status, 201);
    assert_eq!(post(Some(&"x".repeat(22))).status, 201);
    let text = format!("{:?}", world.server);
    assert!(!text.contains(TOKEN), "{text}");
}

fn by_statement() -> World {
    let issuers = vec![StatementIssuer::new("https://vendor.example", backend_keys())];
    let access = RegistrationAccess::SoftwareStatement(issuers);
    world(Registration::new(template(), access).unwrap())
}

/// The signer of the vendor's statements.
fn vendor() -> Signer {
    Signer::backend().with_typ(Some("software-statement+jwt"))
}

fn stated(signer: &Signer, claims: &Value) -> Value {
    with(public(), json!({ "software_statement": signer.sign(claims) }))
}

/// Y16: a statement of a trusted issuer is required, its claims win over the other members, and the answer repeats it.
#[test]
fn the_claims_of_a_software_statement_win() {
    let signer = vendor();
    let world = by_statement();
    let claims = json!({
        "iss": "https://vendor.example",
        "client_name": "Vouched",
        "software_id": "editor",
        "scope": "b",
    });
    let metadata = stated(&signer, &claims);
    let told =
        registered(&world, &with(metadata.clone(), json!({ "scope": "a b", "software_id": "x" })));
    assert_eq!((&told["client_name"], &told["software_id"]), (&json!("Vouched"), &json!("editor")));
    assert_eq!(
        (&told["scope"], &told["software_statement"]),
        (&json!("b"), &metadata["software_statement"])
    );

    let missing = register(&world, &public());
    assert!(problem(&missing, 400, "invalid_software_statement").contains("required"));
    let stranger = json!({ "iss": "https://stranger.example" });
    let answer = register(&world, &stated(&signer, &stranger));
    problem(&answer, 400, "unapproved_software_statement");
    let forged = Signer::ec(jsonwebtoken::Algorithm::ES256, "p256_private");
    let forged = forged.with_typ(Some("software-statement+jwt"));
    for bad in [
        stated(&forged, &claims),
        // As an ID token of the vendor.
        stated(&Signer::backend(), &claims),
        stated(&Signer::backend().with_typ(None), &claims),
        stated(&signer, &with(claims.clone(), json!({ "exp": 1 }))),
        stated(&signer, &with(claims.clone(), json!({ "aud": "https://other.example" }))),
        with(public(), json!({ "software_statement": "a.b" })),
        with(public(), json!({ "software_statement": 7 })),
    ] {
        problem(&register(&world, &bad), 400, "invalid_software_statement");
    }
    let lying = stated(&signer, &with(claims, json!({ "logo_uri": "javascript:alert(1)" })));
    problem(&register(&world, &lying), 400, "invalid_client_metadata");
}

/// Y16: a host may except an issuer that gives its statements no type.
#[test]
fn an_issuer_may_be_excepted_from_the_type() {
    let issuer = StatementIssuer::new("https://vendor.example", backend_keys());
    let access = RegistrationAccess::SoftwareStatement(vec![issuer.with_plain_type(true)]);
    let world = world(Registration::new(template(), access).unwrap());
    let claims = json!({ "iss": "https://vendor.example", "client_name": "Vouched" });
    for signer in [vendor(), Signer::backend(), Signer::backend().with_typ(None)] {
        assert_eq!(registered(&world, &stated(&signer, &claims))["client_name"], "Vouched");
    }
    let token = stated(&Signer::backend().with_typ(Some("at+jwt")), &claims);
    problem(&register(&world, &token), 400, "invalid_software_statement");
}

/// Y11: a source pays before its statement is verified, so that signatures cost a stranger its budget.
#[test]
fn a_refused_registration_spends_the_budget_of_its_source() {
    let issuers = vec![StatementIssuer::new("https://vendor.example", backend_keys())];
    let access = RegistrationAccess::SoftwareStatement(issuers);
    let rules = Registration::new(template(), access).unwrap();
    let limits = RateLimits::none().with_source_registrations(RateQuota::new(1, 3));
    let world = World::with(|builder| builder.registration(rules).rate_limits(limits));
    let forged = Signer::ec(jsonwebtoken::Algorithm::ES256, "p256_private");
    let forged = forged.with_typ(Some("software-statement+jwt"));
    let claims = json!({ "iss": "https://vendor.example" });
    for bad in [stated(&forged, &claims), public(), json!({ "jwks": 1 })] {
        assert_eq!(register(&world, &bad).status, 400);
    }
    let good = stated(&vendor(), &claims);
    assert_eq!(register(&world, &good).status, 429);
    world.assert_refused("rate_limit", "too_many_registrations", Some("rate_limits"));
    world.advance(60);
    assert_eq!(register(&world, &good).status, 201);
}

/// Y16: a statement does not count where the server asks for none.
#[test]
fn an_open_server_ignores_a_software_statement() {
    let signer = vendor();
    let claims = json!({ "iss": "https://vendor.example", "client_name": "Vouched" });
    let told = registered(&world(super::open()), &stated(&signer, &claims));
    assert_eq!(told["client_name"], "Editor");
    assert!(told.get("software_statement").is_none());
}
