//! The work that no server can avoid: reading a form, responding with JSON over axum, and the
//! signatures.

use std::collections::HashMap;
use std::hint::black_box;
use std::sync::Arc;

use axum::extract::{Form, State};
use axum::http::header;
use axum::response::IntoResponse;
use axum::routing::post;
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use ring::rand::SystemRandom;
use ring::signature::{
    ECDSA_P256_SHA256_FIXED, ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _,
    UnparsedPublicKey,
};

use super::apps::PRIVATE_KEY;

const KIND: &str = "GRANTOR_BENCH_FLOOR";

/// Returns true if this process must act as a floor.
pub(crate) fn is_wanted() -> bool {
    std::env::var_os(KIND).is_some()
}

struct Floor {
    signs: bool,
    verifies: bool,
    pair: EcdsaKeyPair,
    random: SystemRandom,
    /// As long as the signed part of an access token.
    token: String,
    json: String,
}

/// Serves until it is killed. Prints its address as its only line of output.
#[tokio::main]
pub(crate) async fn serve() {
    let kind = std::env::var(KIND).unwrap();
    let floor = Arc::new(Floor::new(kind != "bare", kind == "verify"));
    let router = axum::Router::new()
        .route("/oauth/token", post(answer))
        .route("/oauth/introspect", post(introspected))
        .with_state(floor);
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    println!("{}", listener.local_addr().unwrap());
    axum::serve(listener, router).await.unwrap();
}

async fn answer(
    State(floor): State<Arc<Floor>>,
    Form(form): Form<HashMap<String, String>>,
) -> impl IntoResponse {
    if let Some(assertion) = form.get("assertion").filter(|_| floor.verifies) {
        let (signed, signature) = assertion.rsplit_once('.').unwrap();
        let signature = URL_SAFE_NO_PAD.decode(signature).unwrap();
        let key = UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, floor.pair.public_key());
        key.verify(signed.as_bytes(), &signature).unwrap();
    }
    if floor.signs {
        black_box(floor.pair.sign(&floor.random, floor.token.as_bytes()).unwrap());
    }
    let headers = [(header::CONTENT_TYPE, "application/json"), (header::CACHE_CONTROL, "no-store")];
    (headers, floor.json.clone())
}

/// Answers as long as the introspection of a token.
async fn introspected(Form(form): Form<HashMap<String, String>>) -> impl IntoResponse {
    assert!(form.contains_key("token"));
    let headers = [(header::CONTENT_TYPE, "application/json"), (header::CACHE_CONTROL, "no-store")];
    (headers, format!(r#"{{"active":true,"sub":"{}"}}"#, "x".repeat(270)))
}

impl Floor {
    #[expect(clippy::disallowed_methods, reason = "the floor is bare ring")]
    fn new(signs: bool, verifies: bool) -> Self {
        let body: String = PRIVATE_KEY.lines().filter(|line| !line.starts_with("-----")).collect();
        let der = STANDARD.decode(body).unwrap();
        let random = SystemRandom::new();
        let pair =
            EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &der, &random).unwrap();
        let token = "x".repeat(560);
        let json = format!(
            r#"{{"access_token":"{token}{}","token_type":"Bearer","expires_in":3600}}"#,
            "y".repeat(87)
        );
        Self { signs, verifies, pair, random, token, json }
    }
}
