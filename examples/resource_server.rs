//! An API in another process than its authorization server. It knows the issuer's URL and the credentials
//! of its own app, and finds everything else there: the keys, and the feed of revocations.
//!
//! Run it with `cargo run --example resource_server --features axum,fetch`. It starts an authorization
//! server on the loopback interface, and calls the API as an app would.
#![expect(clippy::print_stdout, reason = "the example explains its steps")]

mod common;

use std::error::Error;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::Path;
use axum::routing::get;
use axum::{Extension, Router};
use common::{API, token_form};
use grantor::Issuer;
use grantor::catalog::ApiCatalog;
use grantor::clock::{Clock, SystemClock};
use grantor::fetch::{Fetch, Fetcher};
use grantor::ids::{ClientId, Resource};
use grantor::resource_server::{BearerVerifier, Enforced, FeedReader, RevocationList};
use grantor::secret::ClientSecret;
use grantor::store::RevocationTarget;
use http::Request;
use tokio::net::TcpListener;
use tokio::time::sleep;

/// The API's endpoints and the scope that each request needs.
const CATALOG: &str = r#"{
    "endpoints": [
        { "method": "GET", "path": "/users/{id}", "scope": "GET/users/*", "title": "See a user" },
        { "method": "PUT", "path": "/users/{id}", "scope": "PUT/users/*", "title": "Change a user" }
    ]
}"#;

/// Builds the API, and starts the tasks that follow the authorization server.
async fn api(
    issuer: Issuer,
    (client_id, secret): (ClientId, ClientSecret),
    fetcher: Arc<Fetcher>,
) -> Result<Router, Box<dyn Error>> {
    let catalog: ApiCatalog = serde_json::from_str(CATALOG)?;
    let revocations = Arc::new(RevocationList::new());
    let verifier = BearerVerifier::discover(issuer.clone(), Arc::clone(&fetcher))
        .await?
        .with_resource(Resource::new(API)?)
        .with_enforcement(catalog.compile()?)
        .with_revocations(Arc::clone(&revocations));
    let verifier = Arc::new(verifier);

    let reader = FeedReader::new(issuer, fetcher, client_id, secret, revocations);
    tokio::spawn(async move {
        loop {
            if let Err(error) = reader.poll(SystemClock::new().now()).await {
                println!("the revocations were not read: {error}");
            }
            // A service waits some seconds.
            sleep(Duration::from_millis(50)).await;
        }
    });
    let refreshed = Arc::clone(&verifier);
    tokio::spawn(async move {
        loop {
            sleep(Duration::from_secs(5)).await;
            if let Err(error) = refreshed.refresh_keys().await {
                println!("the keys were not read: {error}");
            }
        }
    });

    // `Enforced` checks the token, and its scope by the catalog.
    let see = |Path(id): Path<String>, Enforced(claims): Enforced| async move {
        format!("user {id}, for the app {}", claims.client_id)
    };
    let change = |Path(id): Path<String>, _: Enforced| async move { format!("changed {id}") };
    Ok(Router::new().route("/users/{id}", get(see).put(change)).layer(Extension(verifier)))
}

/// An app that calls the API.
struct Client {
    fetcher: Arc<Fetcher>,
    api: String,
}

impl Client {
    async fn token(&self, issuer: &Issuer, form: String) -> Result<String, Box<dyn Error>> {
        let request = Request::post(format!("{issuer}/oauth/token"))
            .header("content-type", "application/x-www-form-urlencoded")
            .body(form.into_bytes())?;
        let answer = self.fetcher.fetch(request, 64 * 1024).await?;
        let answer: serde_json::Value = serde_json::from_slice(answer.body())?;
        let token = answer.get("access_token").and_then(serde_json::Value::as_str);
        Ok(token.ok_or("no access token")?.to_owned())
    }

    async fn call(&self, method: &str, token: Option<&str>) -> Result<u16, Box<dyn Error>> {
        let mut request = Request::builder().method(method).uri(format!("{}/users/42", self.api));
        if let Some(token) = token {
            request = request.header("authorization", format!("Bearer {token}"));
        }
        let answer = self.fetcher.fetch(request.body(Vec::new())?, 64 * 1024).await?;
        Ok(answer.status().as_u16())
    }

    /// Calls the API until it answers with this status.
    async fn wait_for(&self, status: u16, token: &str) -> Result<(), Box<dyn Error>> {
        while self.call("GET", Some(token)).await? != status {
            sleep(Duration::from_millis(20)).await;
        }
        Ok(())
    }
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let started = common::start().await?;
    let issuer = started.issuer.clone();
    println!("The authorization server is at {issuer}. The API knows no more of it.");
    // A service has an `https` issuer, and takes `Fetcher::new()`.
    let fetcher = Arc::new(Fetcher::builder().allow_loopback_http().build()?);
    let api = api(issuer.clone(), started.api, Arc::clone(&fetcher)).await?;
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let client = Client { fetcher, api: format!("http://{}", listener.local_addr()?) };
    tokio::spawn(async move { axum::serve(listener, api).await });

    let token = client.token(&issuer, token_form(&started.app)).await?;
    println!("The API accepts no token until it has read the revocations, then it does.");
    client.wait_for(200, &token).await?;
    for (method, token, expected, why) in [
        ("GET", Some(&*token), 200, "the scope allows it"),
        ("PUT", Some(&*token), 403, "the scope does not allow it"),
        ("GET", None, 401, "there is no token"),
        ("GET", Some("garbage"), 401, "the token is none"),
    ] {
        let status = client.call(method, token).await?;
        println!("  {method} /users/42: {status}, {why}");
        assert_eq!(status, expected);
    }

    println!("The administrator revokes the app's tokens. The API learns of it from the feed.");
    let target = RevocationTarget::App(started.app.0.clone());
    started.server.admin("the administrator").revoke(target).await?;
    client.wait_for(401, &token).await?;
    println!("  GET /users/42: 401, the token is revoked");
    Ok(())
}
