//! A third-party client, the `oauth2` crate, against the HTTP layer: the authorization code flow
//! with PKCE, refresh, client credentials, introspection and revocation.
//!
//! Run it with `cargo run --example oauth2_client`. It opens no socket: `oauth2` makes `http`
//! requests, and the server handles them in the same process. `examples/server` is a server that
//! listens.
#![expect(clippy::print_stdout, reason = "the example explains its steps")]

use std::error::Error;
use std::sync::Arc;

use grantor::admin::ImportedApp;
use grantor::app::AppSettings;
use grantor::endpoint::{AuthorizationError, AuthorizationRequest, ConsentPrompt, Login};
use grantor::http::{HttpEndpoints, Interaction, Page};
use grantor::ids::{ClientId as AppId, Resource};
use grantor::jwt::Algorithm;
use grantor::random::OsRandom;
use grantor::resource_server::ResourceServer;
use grantor::users::{DirectoryError, MemoryUsers};
use grantor::{
    AppDraft, AuthorizationServer, Flow, Issuer, MemoryStore, RedirectUri, Scope, ServerSecret,
    SigningKey, Subject, User,
};
use http::request::Parts;
use oauth2::basic::{BasicClient, BasicTokenResponse};
use oauth2::{
    AuthUrl, AuthorizationCode, ClientId, ClientSecret, CsrfToken, HttpRequest, HttpResponse,
    IntrospectionUrl, PkceCodeChallenge, RedirectUrl, RevocationUrl, StandardRevocableToken,
    TokenIntrospectionResponse as _, TokenResponse as _, TokenUrl,
};
use pollster::block_on;

const ISSUER: &str = "https://as.example.com";
const CALLBACK: &str = "https://calendar.example.com/callback";

/// Pages for a user who is always logged in as Ann. The consent page is the bare ticket.
struct Ann;

fn page(text: &str) -> Page {
    Page::new(text.as_bytes().to_vec())
}

impl Interaction for Ann {
    async fn login(&self, _: &Parts) -> Result<Option<Login>, DirectoryError> {
        let ann = Subject::new("ann").map_err(DirectoryError::new)?;
        Ok(Some(Login::new(ann, "what only her session knows")))
    }

    async fn login_page(&self, _: &Parts, _: &AuthorizationRequest, _: &str) -> Page {
        page("Log in")
    }

    async fn consent_page(&self, _: &Parts, prompt: &ConsentPrompt, _: &str) -> Page {
        page(&prompt.ticket)
    }

    async fn error_page(&self, _: &Parts, error: &AuthorizationError) -> Page {
        page(&error.to_string())
    }
}

type Server = HttpEndpoints<MemoryStore, MemoryUsers, grantor::hooks::NoHooks, Ann>;

/// Passes a request of `oauth2` to the server.
fn send(server: &Server, request: HttpRequest) -> Result<HttpResponse, http::Error> {
    let nothing = || http::Response::builder().status(404).body(Vec::new());
    block_on(server.handle(request)).map_or_else(nothing, Ok)
}

/// Builds settings with every flow that the client uses.
fn settings() -> Result<AppSettings, Box<dyn Error>> {
    Ok(AppDraft::confidential("Calendar")
        .flows([Flow::AuthorizationCode, Flow::ClientCredentials])
        .redirect_uri(RedirectUri::parse(CALLBACK)?)
        .scope(Scope::parse("files.read files.write")?)
        .refresh_token(true)
        .build()?)
}

fn server() -> Result<Server, Box<dyn Error>> {
    let api = ResourceServer::new(Resource::new("https://api.example.com/")?, AppId::new("api")?);
    let server = AuthorizationServer::builder(
        Issuer::new(ISSUER)?,
        ServerSecret::generate(&OsRandom::new())?,
        SigningKey::generate(Algorithm::ES256)?,
        MemoryStore::new(),
        MemoryUsers::new([User::new(Subject::new("ann")?)]),
    )
    .resource_server(api.with_gateway(true))
    .build();
    Ok(HttpEndpoints::new(Arc::new(server), Ann))
}

/// Follows the authorization URL like a browser, and returns the code and the state.
fn browse(server: &Server, url: &str) -> Result<(String, String), Box<dyn Error>> {
    let page = send(server, http::Request::get(url).body(Vec::new())?)?;
    let ticket = String::from_utf8(page.into_body())?;
    println!("   Ann approves read access only.");
    let form = format!("ticket={ticket}&decision=approve&scope=files.read");
    let request = http::Request::post(format!("{ISSUER}/oauth/decision"))
        .header("content-type", "application/x-www-form-urlencoded")
        .body(form.into_bytes())?;
    let answer = send(server, request)?;
    let location = answer.headers().get("location").ok_or("no redirect")?.to_str()?;
    println!("   {} redirects to {}…", answer.status(), location.get(..60).unwrap_or(location));
    let of = |name: &str| {
        let url = url::Url::parse(location).ok()?;
        url.query_pairs().find(|(own, _)| own == name).map(|(_, value)| value.into_owned())
    };
    Ok((of("code").ok_or("no code")?, of("state").ok_or("no state")?))
}

/// Returns the scope of a response as one text.
fn scope(response: &BasicTokenResponse) -> String {
    let scopes = response.scopes().into_iter().flatten();
    scopes.map(|scope| scope.as_str()).collect::<Vec<_>>().join(" ")
}

fn main() -> Result<(), Box<dyn Error>> {
    let server = server()?;
    let http = |request: HttpRequest| send(&server, request);
    let admin = server.server().admin("alice");
    let app = block_on(admin.register(settings()?))?;
    let secret = app.client_secret.ok_or("an app of this kind has a secret")?;
    let client = BasicClient::new(ClientId::new(app.client_id.as_str().to_owned()))
        .set_client_secret(ClientSecret::new(secret.expose_secret().to_owned()))
        .set_auth_uri(AuthUrl::new(format!("{ISSUER}/oauth/authorize"))?)
        .set_token_uri(TokenUrl::new(format!("{ISSUER}/oauth/token"))?)
        .set_revocation_url(RevocationUrl::new(format!("{ISSUER}/oauth/revoke"))?)
        .set_redirect_uri(RedirectUrl::new(CALLBACK.to_owned())?);

    println!("1. Authorization code with PKCE.");
    let (challenge, verifier) = PkceCodeChallenge::new_random_sha256();
    let (url, state) =
        client.authorize_url(CsrfToken::new_random).set_pkce_challenge(challenge).url();
    let (code, returned) = browse(&server, url.as_str())?;
    assert_eq!(&returned, state.secret());
    let tokens = client
        .exchange_code(AuthorizationCode::new(code))
        .set_pkce_verifier(verifier)
        .request(&http)?;
    let lifetime = tokens.expires_in().ok_or("no lifetime")?;
    println!("   scope {}, expires in {lifetime:?}", scope(&tokens));

    println!("2. Refresh, which rotates the refresh token.");
    let first = tokens.refresh_token().ok_or("no refresh token")?;
    let refreshed = client.exchange_refresh_token(first).request(&http)?;
    let second = refreshed.refresh_token().ok_or("no refresh token")?;
    assert_ne!(first.secret(), second.secret());

    println!("3. Client credentials.");
    let own = client.exchange_client_credentials().request(&http)?;
    println!("   scope {}", scope(&own));

    println!("4. The API introspects a token.");
    let gateway = ImportedApp::new(AppId::new("api")?, settings()?);
    let api = block_on(admin.import(gateway))?;
    let api_secret = api.client_secret.ok_or("an app of this kind has a secret")?;
    let api = BasicClient::new(ClientId::new("api".to_owned()))
        .set_client_secret(ClientSecret::new(api_secret.expose_secret().to_owned()))
        .set_introspection_url(IntrospectionUrl::new(format!("{ISSUER}/oauth/introspect"))?);
    let about = api.introspect(refreshed.access_token()).request(&http)?;
    println!("   active: {}, sub: {}", about.active(), about.sub().unwrap_or_default());
    assert!(about.active());

    println!("5. The client revokes its refresh token, which revokes the whole grant.");
    client.revoke_token(StandardRevocableToken::from(second))?.request(&http)?;
    let about = api.introspect(refreshed.access_token()).request(&http)?;
    println!("   active: {}", about.active());
    assert!(!about.active());
    Ok(())
}
