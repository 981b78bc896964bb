//! Registration by an initial access token, and by a software statement.

use grantor::endpoint::{Registration, RegistrationAccess};
use grantor::jwt::StatementIssuer;
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
    for wrong in [None, Some("wrong"), Some(&TOKEN[1..])] {
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

fn stated(signer: &Signer, claims: &Value) -> Value {
    with(public(), json!({ "software_statement": signer.sign(claims) }))
}

/// Y16: a statement of a trusted issuer is required, its claims win over the other members, and the answer repeats it.
#[test]
fn the_claims_of_a_software_statement_win() {
    let signer = Signer::backend();
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
    for bad in [
        stated(&forged, &claims),
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

/// Y16: a statement does not count where the server asks for none.
#[test]
fn an_open_server_ignores_a_software_statement() {
    let signer = Signer::backend();
    let claims = json!({ "iss": "https://vendor.example", "client_name": "Vouched" });
    let told = registered(&world(super::open()), &stated(&signer, &claims));
    assert_eq!(told["client_name"], "Editor");
    assert!(told.get("software_statement").is_none());
}
