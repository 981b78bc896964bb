//! A trusted issuer ends the access of a user of the example server.

use std::sync::Arc;

use grantor::protocol::CodeVerifier;
use grantor::random::OsRandom;
use serde_json::{Value, json};

use crate::sandbox::Folder;
use crate::support::{
    Browser, Http, Seed, Server, basic, code_url, parameters, redirect_uri, seed_file,
};

const APP: &str = "demo-web";
const PATH: &str = "/oauth/global-token-revocation";
const ISSUER: &str = "https://login.acme.example";

/// Starts a server that trusts the issuer as `trust` says, and links `ann` to it.
fn start(trust: &Value) -> Server {
    let folder = Folder::on_disk();
    let path = folder.file("seed.json");
    let mut seed: Value = serde_json::from_slice(&std::fs::read(seed_file()).unwrap()).unwrap();
    if !trust.is_null() {
        seed["trusted_issuers"][0]["global_revocation"] = trust.clone();
    }
    let users = seed["users"].as_array_mut().unwrap();
    let ann = users.iter_mut().find(|user| user["name"] == "ann").unwrap();
    ann["links"] = json!([{ "issuer": ISSUER, "subject": "U1" }]);
    std::fs::write(&path, seed.to_string()).unwrap();
    Server::with(&["--no-limits", "--seed", path.to_str().unwrap()])
}

/// Asks as the issuer to end the access of a user.
fn end(server: &Server, http: &Http, subject: &str) -> u16 {
    let now = jsonwebtoken::get_current_timestamp();
    let claims = json!({
        "iss": ISSUER,
        "sub": "grantor",
        "aud": server.issuer,
        "iat": now,
        "exp": now + 60,
        "jti": CodeVerifier::generate(&OsRandom::new()).unwrap().expose_secret(),
    });
    let mut header = jsonwebtoken::Header::new(jsonwebtoken::Algorithm::ES256);
    header.typ = Some("global-token-revocation+jwt".to_owned());
    header.kid = Some("p256-1".to_owned());
    let key = std::fs::read(seed_file().with_file_name("demo_jwt_p256.pem")).unwrap();
    let key = jsonwebtoken::EncodingKey::from_ec_pem(&key).unwrap();
    let token = jsonwebtoken::encode(&header, &claims, &key).unwrap();
    let body = json!({ "sub_id": { "format": "iss_sub", "iss": ISSUER, "sub": subject } });
    let request = http::Request::post(server.url(PATH))
        .header("content-type", "application/json")
        .header("authorization", format!("Bearer {token}"));
    let answer = http.send(request.body(body.to_string().into_bytes()).unwrap());
    answer.unwrap().status().as_u16()
}

/// V10, V12, V16: with the setting in its seed, the server lets the issuer end the tokens and the login of a linked user.
/// Without it, there is no such endpoint.
#[test]
fn a_trusted_issuer_ends_the_access_and_the_login_of_a_user() {
    let (seed, http) = (Seed::read(), Arc::new(Http::new()));
    let metadata = "/.well-known/oauth-authorization-server";
    let member = "global_token_revocation_endpoint";
    let without = start(&Value::Null);
    assert!(http.get(&without.url(metadata)).json().get(member).is_none());
    assert_eq!(end(&without, &http, "U1"), 404);
    drop(without);

    let server = start(&json!({ "users": { "groups": ["staff"] } }));
    assert_eq!(http.get(&server.url(metadata)).json()[member], server.url(PATH));
    let verifier = CodeVerifier::generate(&OsRandom::new()).unwrap();
    let url = |more: &[(&str, &str)]| code_url(&server, &seed, APP, &verifier, more);
    let mut browser = Browser::new(&http);
    let landed = browser.authorize(&url(&[]), ("ann", seed.password("ann")), "approve").app();
    let form = [
        ("grant_type", "authorization_code"),
        ("code", &parameters(&landed)["code"]),
        ("redirect_uri", &redirect_uri(&seed, APP)),
        ("code_verifier", verifier.expose_secret()),
    ];
    let header = basic(APP, seed.client_secret(APP).unwrap());
    let post = |form: &[(&str, &str)]| {
        http.post(&server.url("/oauth/token"), &[("authorization", &header)], form)
    };
    let refresh = post(&form).text("refresh_token");
    let silent = |browser: &mut Browser| {
        let answer = parameters(&browser.open(&url(&[("prompt", "none")])).app());
        answer.get("error").cloned().unwrap_or_default()
    };
    assert_ne!(silent(&mut browser), "login_required");
    for stranger in ["U2", "ann"] {
        assert_eq!(end(&server, &http, stranger), 404);
    }
    assert_eq!(end(&server, &http, "U1"), 204);
    let form = [("grant_type", "refresh_token"), ("refresh_token", &refresh)];
    post(&form).assert_error(400, "invalid_grant");
    assert_eq!(silent(&mut browser), "login_required");
}
