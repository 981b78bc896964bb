//! An API that checks tokens: the responses to requests with a valid, narrow, expired, revoked or
//! missing token.
//!
//! Run it with `cargo run --example protect_api`. The authorization server and the API share one
//! process here. `resource_server` is an API in another process.
#![expect(clippy::print_stdout, reason = "the example explains its steps")]

use std::error::Error;
use std::sync::Arc;
use std::time::Duration;

use grantor::app::AppCredentials;
use grantor::catalog::ApiCatalog;
use grantor::clock::{Clock, ManualClock, UnixTime};
use grantor::endpoint::FormRequest;
use grantor::ids::Resource;
use grantor::jwt::{Algorithm, VerifyingKeys};
use grantor::resource_server::{BearerVerifier, RevocationList};
use grantor::store::RevocationTarget;
use grantor::users::MemoryUsers;
use grantor::{
    AppDraft, AuthorizationServer, Flow, Issuer, MemoryStore, Scope, ServerSecret, SigningKey,
};

type Server = AuthorizationServer<Arc<MemoryStore>, MemoryUsers>;

const ISSUER: &str = "https://as.example.com";
const API: &str = "https://api.example.com";

/// The API's endpoints and the scope that each request needs.
const CATALOG: &str = r#"{
    "base_path": "/rest",
    "endpoints": [
        { "method": "GET", "path": "/users/{id}", "scope": "GET/users/*", "title": "See a user" },
        { "method": "PUT", "path": "/users/{id}", "scope": "PUT/users/*", "title": "Change a user" }
    ]
}"#;

fn main() -> Result<(), Box<dyn Error>> {
    pollster::block_on(run())
}

async fn run() -> Result<(), Box<dyn Error>> {
    // A clock that this example advances. A service omits `clock` and `with_clock`.
    let clock = Arc::new(ManualClock::new(UnixTime::from_seconds(1_800_000_000)));
    let store = Arc::new(MemoryStore::new());
    let server = AuthorizationServer::builder(
        Issuer::new(ISSUER)?,
        ServerSecret::new(b"an example's root, not a secret!")?,
        SigningKey::generate(Algorithm::ES256)?,
        Arc::clone(&store),
        MemoryUsers::default(),
    )
    .clock(Arc::clone(&clock))
    .build();

    // The API needs the server's public keys, its own identifier, its catalog and a revocation
    // list.
    let catalog: ApiCatalog = serde_json::from_str(CATALOG)?;
    let revocations = Arc::new(RevocationList::new());
    let keys = VerifyingKeys::from_jwk_set(&server.jwk_set())?;
    let verifier = BearerVerifier::new(Issuer::new(ISSUER)?, keys)
        .with_clock(Arc::clone(&clock))
        .with_resource(Resource::new(API)?)
        .with_enforcement(catalog.compile()?)
        .with_revocations(Arc::clone(&revocations));

    let app = AppDraft::confidential("Nightly report")
        .flow(Flow::ClientCredentials)
        .scope(Scope::parse("GET/users/*")?)
        .resources([Resource::new(API)?])
        .build()?;
    let app = server.admin("the administrator").register(app).await?;
    let token = request_token(&server, &app).await?;

    println!("The API has not read the revocation feed yet, so it accepts no token:");
    show(&verifier, "GET", "/rest/users/42", Some(&token));
    revocations.poll(&store, clock.now()).await?;
    println!("The API has read the feed. A service does this every few seconds:");
    show(&verifier, "GET", "/rest/users/42", Some(&token));

    println!("The scope of the token does not allow changing a user:");
    show(&verifier, "PUT", "/rest/users/42", Some(&token));
    println!("The catalog has no such endpoint, so the request is denied for every token:");
    show(&verifier, "DELETE", "/rest/users/42", Some(&token));
    println!("A request without a token gets a challenge:");
    show(&verifier, "GET", "/rest/users/42", None);

    println!("The administrator revokes the app's tokens, and the API reads the feed:");
    let target = RevocationTarget::App(app.client_id.clone());
    server.admin("the administrator").revoke(target).await?;
    revocations.poll(&store, clock.now()).await?;
    show(&verifier, "GET", "/rest/users/42", Some(&token));

    println!("A token issued later is valid until it expires after an hour:");
    clock.advance(Duration::from_secs(10));
    let token = request_token(&server, &app).await?;
    show(&verifier, "GET", "/rest/users/42", Some(&token));
    clock.advance(Duration::from_secs(3_610));
    revocations.poll(&store, clock.now()).await?;
    show(&verifier, "GET", "/rest/users/42", Some(&token));

    println!("The security part of the API's OpenAPI document, from the same catalog:");
    let security = catalog.openapi_security(
        "https://as.example.com/oauth/authorize",
        "https://as.example.com/oauth/token",
    );
    println!("{}", serde_json::to_string_pretty(&security)?);
    Ok(())
}

/// Requests a token for the app and returns the `Authorization` header.
async fn request_token(server: &Server, app: &AppCredentials) -> Result<String, Box<dyn Error>> {
    let secret = app.client_secret.as_ref().ok_or("the app has no secret")?;
    let form = url::form_urlencoded::Serializer::new(String::new())
        .append_pair("grant_type", "client_credentials")
        .append_pair("client_id", app.client_id.as_str())
        .append_pair("client_secret", secret.expose_secret())
        .append_pair("resource", API)
        .finish();
    let response = server.token(&FormRequest::new(&form)).await?;
    Ok(format!("Bearer {}", response.access_token.expose_secret()))
}

/// Authorizes a request, as an HTTP handler does first, and prints the result.
fn show(verifier: &BearerVerifier, method: &str, path: &str, authorization: Option<&str>) {
    println!("  {method} {path}");
    match verifier.authorize(method, path, authorization) {
        Ok(claims) => {
            println!("    200: the request is allowed, with these claims");
            println!("      sub        {}", claims.subject);
            println!("      client_id  {}", claims.client_id);
            println!("      aud        {}", claims.audience.join(" "));
            println!("      scope      {}", claims.scope.as_str());
            println!("      exp        {}", claims.expires_at);
        }
        Err(challenge) => {
            println!("    {}: {}", challenge.status(), challenge.refusal());
            if let Some(header) = challenge.www_authenticate() {
                println!("    WWW-Authenticate: {header}");
            }
        }
    }
    println!();
}
