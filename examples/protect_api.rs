//! An API that checks tokens: what a request gets whose token is good, too narrow, expired or
//! revoked, and what it gets without one.
//!
//! Run with `cargo run --example protect_api`. Authorization server and API share one process here;
//! apart, the API reads the JWK Set and the feed of revocations over HTTP, and nothing else changes.
#![expect(clippy::print_stdout, reason = "an example shows what happens")]

use std::error::Error;
use std::sync::Arc;
use std::time::Duration;

use grantor::AuthorizationServer;
use grantor::app::{AppCredentials, AppDraft, Flow};
use grantor::catalog::ApiCatalog;
use grantor::clock::{Clock, ManualClock, UnixTime};
use grantor::endpoint::FormRequest;
use grantor::ids::{Issuer, Resource};
use grantor::jwt::{Algorithm, SigningKey, VerifyingKeys};
use grantor::protocol::Scope;
use grantor::resource_server::{BearerVerifier, RevocationList};
use grantor::server_secret::ServerSecret;
use grantor::store::{MemoryStore, RevocationTarget};
use grantor::users::MemoryUsers;

type Server = AuthorizationServer<Arc<MemoryStore>, MemoryUsers>;

const ISSUER: &str = "https://as.example.com";
const API: &str = "https://api.example.com";

/// What the API offers, and which scope each request needs.
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
    // A clock that this example moves; a service leaves out `clock` and `with_clock`.
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

    // The API: the server's public keys, its own name, its catalog, and the list of what was revoked.
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

    println!("The API has not read the feed of revocations yet, so it accepts nothing:");
    show(&verifier, "GET", "/rest/users/42", Some(&token));
    revocations.poll(&store, clock.now()).await?;
    println!("It has read the feed, which a service does every few seconds:");
    show(&verifier, "GET", "/rest/users/42", Some(&token));

    println!("The scope of the token does not allow to change a user:");
    show(&verifier, "PUT", "/rest/users/42", Some(&token));
    println!("The catalog does not know this request, so nobody may make it:");
    show(&verifier, "DELETE", "/rest/users/42", Some(&token));
    println!("A request without a token is told how to come back:");
    show(&verifier, "GET", "/rest/users/42", None);

    println!("The administrator revokes what the app was given, and the API reads the feed:");
    let target = RevocationTarget::App(app.client_id.clone());
    server.admin("the administrator").revoke(target).await?;
    revocations.poll(&store, clock.now()).await?;
    show(&verifier, "GET", "/rest/users/42", Some(&token));

    println!("A token that was issued later is good, until an hour has passed:");
    clock.advance(Duration::from_secs(10));
    let token = request_token(&server, &app).await?;
    show(&verifier, "GET", "/rest/users/42", Some(&token));
    clock.advance(Duration::from_secs(3_610));
    revocations.poll(&store, clock.now()).await?;
    show(&verifier, "GET", "/rest/users/42", Some(&token));

    println!("From the same catalog comes the security part of the API's OpenAPI document:");
    let security = catalog.openapi_security(
        "https://as.example.com/oauth/authorize",
        "https://as.example.com/oauth/token",
    );
    println!("{}", serde_json::to_string_pretty(&security)?);
    Ok(())
}

/// The `Authorization` header of the app, with a token that it has just been given.
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

/// Makes a request, as an HTTP handler would before it does anything else, and prints the outcome.
fn show(verifier: &BearerVerifier, method: &str, path: &str, authorization: Option<&str>) {
    println!("  {method} {path}");
    match verifier.authorize(method, path, authorization) {
        Ok(claims) => {
            println!("    200: the request may go on, with these claims");
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
