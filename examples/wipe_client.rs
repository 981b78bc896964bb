//! A client that obeys a remote wipe: the app on a phone, its server, and an administrator whose user lost the phone.
//!
//! Run it with `cargo run --example wipe_client --features axum`. It starts a server on the loopback interface, and
//! speaks HTTP with it. With `-- ISSUER CLIENT_ID FOLDER` it is the phone of another server: it reads a refresh token
//! from standard input, syncs once, and deletes FOLDER if the server says so.
//!
//! [`Account::sync`] and the functions below it are the client, for developers of apps to start from. The guide
//! `devices` lists its duties.
#![expect(clippy::print_stdout, reason = "the example explains its steps")]

use std::error::Error;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use grantor::app::MobileSecurity;
use grantor::endpoint::{AuthorizationError, AuthorizationRequest, ConsentPrompt, Login};
use grantor::hooks::NoHooks;
use grantor::http::{HttpEndpoints, Interaction, Page, axum_router};
use grantor::ids::{ClientId, DeviceId};
use grantor::jwt::Algorithm;
use grantor::protocol::CodeVerifier;
use grantor::random::OsRandom;
use grantor::store::{DeviceKey, DeviceStore as _, Wipe};
use grantor::users::{DirectoryError, MemoryUsers};
use grantor::{
    AppDraft, AuthorizationServer, Flow, Issuer, MemoryStore, RedirectUri, ServerSecret,
    SigningKey, Subject, User,
};
use http::Request;
use http::request::Parts;
use serde_json::Value;
use tokio::net::TcpListener;
use tokio::runtime::Runtime;
use ureq::Agent;
use url::Url;

type BoxError = Box<dyn Error + Send + Sync>;

/// The account of a user in the app on one phone. An app keeps it until the user logs in again, or
/// until [`Outcome::Wiped`], also over a restart: then it syncs again, and a wipe goes on.
struct Account {
    issuer: Url,
    client_id: String,
    refresh_token: String,
    /// The data of this account, and of no other.
    folder: PathBuf,
}

/// The end of a sync.
#[derive(Debug, PartialEq, Eq)]
enum Outcome {
    /// The account has new tokens.
    Fresh,
    /// The access has ended, and the data stays. The user may log in again.
    SignedOut,
    /// The data is gone, and the server knows it.
    Wiped,
    /// There was no answer to rely on. The app syncs again later, and keeps the refresh token for it.
    Later,
}

/// The answer to "am I to be wiped?".
#[derive(Debug, PartialEq, Eq)]
enum Order {
    Wipe,
    Keep,
    /// No answer: a limit, a failure, or another server between the phone and its own.
    AskLater,
}

impl Account {
    /// Refreshes the tokens. If the server refuses, asks whether to wipe, and obeys.
    fn sync(&mut self, http: &Agent) -> Outcome {
        let Some(metadata) = self.metadata(http) else { return Outcome::Later };
        let endpoint = |member: &str| own_url(&self.issuer, metadata.get(member));
        let Some(token_endpoint) = endpoint("token_endpoint") else { return Outcome::Later };
        let (check, success) =
            (endpoint("device_wipe_check_endpoint"), endpoint("device_wipe_success_endpoint"));
        let refresh = [("grant_type", "refresh_token"), ("refresh_token", &self.refresh_token)];
        let answer = post(http, &token_endpoint, &self.client_id, &refresh);
        let Some((status, body)) = answer else { return Outcome::Later };
        let answer: Value = serde_json::from_slice(&body).unwrap_or_default();
        if let (200, Some(token)) = (status, text(&answer, "refresh_token")) {
            token.clone_into(&mut self.refresh_token);
            return Outcome::Fresh;
        }
        // Any refusal counts: the phones of a disabled app get `invalid_client`, and are wiped, too.
        if !matches!(status, 400 | 401) || text(&answer, "error").is_none() {
            return Outcome::Later;
        }
        // The hint of the refusal is worth as much as the metadata, if it is of the same server.
        let Some(check) = own_url(&self.issuer, answer.get("wipe_check")).or(check) else {
            return Outcome::SignedOut;
        };
        let proof = [("token", &*self.refresh_token)];
        match post(http, &check, &self.client_id, &proof).map(|(status, body)| order(status, &body))
        {
            Some(Order::Wipe) => {}
            Some(Order::Keep) => return Outcome::SignedOut,
            Some(Order::AskLater) | None => return Outcome::Later,
        }
        if delete(&self.folder).is_err() {
            return Outcome::Later;
        }
        let report = success.and_then(|success| post(http, &success, &self.client_id, &proof));
        // With 404 a report before has counted, and its answer was lost.
        let is_over =
            |(status, body): (u16, Vec<u8>)| status == 200 || order(status, &body) == Order::Keep;
        if report.is_some_and(is_over) { Outcome::Wiped } else { Outcome::Later }
    }

    /// Reads the metadata of the issuer (RFC 8414).
    fn metadata(&self, http: &Agent) -> Option<Value> {
        let path = self.issuer.path().trim_end_matches('/');
        let url = format!("/.well-known/oauth-authorization-server{path}");
        let url = self.issuer.join(&url).ok()?;
        let (status, body) = send(http, Request::get(url.as_str()).body(None))?;
        let metadata: Value = serde_json::from_slice(&body).ok()?;
        let issuer = Url::parse(text(&metadata, "issuer")?).ok()?;
        (status == 200 && issuer == self.issuer).then_some(metadata)
    }
}

/// Reads the answer to the question. One answer is an order: status 200 with the JSON boolean `true`. One is a no:
/// status 404 with an empty JSON array.
fn order(status: u16, body: &[u8]) -> Order {
    let json = serde_json::from_slice::<Value>(body).ok();
    match (status, json) {
        (200, Some(json)) if json.get("wipe") == Some(&Value::Bool(true)) => Order::Wipe,
        (404, Some(Value::Array(empty))) if empty.is_empty() => Order::Keep,
        _ => Order::AskLater,
    }
}

/// Returns the URL if it has the origin of the issuer. A token goes to no other server.
fn own_url(issuer: &Url, url: Option<&Value>) -> Option<Url> {
    let url = Url::parse(url?.as_str()?).ok()?;
    (url.origin() == issuer.origin()).then_some(url)
}

fn text<'a>(json: &'a Value, member: &str) -> Option<&'a str> {
    json.get(member).and_then(Value::as_str)
}

/// Deletes the data of an account. Succeeds if it is gone already.
fn delete(folder: &Path) -> std::io::Result<()> {
    match std::fs::remove_dir_all(folder) {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// Sends a form as this app. `None` means no answer.
fn post(http: &Agent, url: &Url, client_id: &str, form: &[(&str, &str)]) -> Option<(u16, Vec<u8>)> {
    let form = url::form_urlencoded::Serializer::new(String::new())
        .append_pair("client_id", client_id)
        .extend_pairs(form)
        .finish();
    let request = Request::post(url.as_str());
    send(http, request.header("content-type", FORM).body(Some(form)))
}

const FORM: &str = "application/x-www-form-urlencoded";

/// Sends a request, and returns the status and the body of the answer.
fn send(http: &Agent, request: http::Result<Request<Option<String>>>) -> Option<(u16, Vec<u8>)> {
    let (head, body) = request.ok()?.into_parts();
    let answer = match body {
        Some(body) => http.run(Request::from_parts(head, body)),
        None => http.run(Request::from_parts(head, ())),
    };
    let (head, mut body) = answer.ok()?.into_parts();
    Some((head.status.as_u16(), body.with_config().limit(64 * 1024).read_to_vec().ok()?))
}

/// Returns an HTTP client that follows no redirect and does not wait for ever.
fn agent() -> Agent {
    Agent::config_builder()
        .http_status_as_error(false)
        .max_redirects(0)
        .timeout_global(Some(Duration::from_secs(30)))
        .build()
        .new_agent()
}

fn main() -> Result<(), BoxError> {
    let mut arguments = std::env::args().skip(1);
    let Some(issuer) = arguments.next() else { return story() };
    let (Some(client_id), Some(folder)) = (arguments.next(), arguments.next()) else {
        return Err(
            "usage: wipe_client ISSUER CLIENT_ID FOLDER, the refresh token in a line".into()
        );
    };
    let mut line = String::new();
    std::io::stdin().read_line(&mut line)?;
    let refresh_token = line.trim().to_owned();
    let issuer = Url::parse(&issuer)?;
    let mut account = Account { issuer, client_id, refresh_token, folder: folder.into() };
    println!("{:?}", account.sync(&agent()));
    Ok(())
}

// From here on: the server and the people of the example.

/// The identifier that the app drew at random when it was installed on the phone.
const INSTALLATION: &str = "4f1c6f0e-phone";
const CALLBACK: &str = "com.example.notes:/callback";

/// Pages for a user who has just logged in, and whose name is a cookie. The consent page is the bare ticket.
struct Pages;

impl Interaction for Pages {
    async fn login(&self, request: &Parts) -> Result<Option<Login>, DirectoryError> {
        let name = request.headers.get("cookie").and_then(|it| it.to_str().ok());
        let name = name.unwrap_or_default().trim_start_matches("user=");
        let subject = Subject::new(name).map_err(DirectoryError::new)?;
        Ok(Some(Login::new(subject, "what only this session knows")))
    }

    async fn login_page(&self, _: &Parts, _: &AuthorizationRequest, _: &str) -> Page {
        Page::new(b"Log in".to_vec())
    }

    async fn consent_page(&self, _: &Parts, prompt: &ConsentPrompt, _: &str) -> Page {
        Page::new(prompt.ticket.as_bytes().to_vec())
    }

    async fn error_page(&self, _: &Parts, error: &AuthorizationError) -> Page {
        Page::new(error.to_string().into_bytes())
    }
}

/// A running server, and the phone of two users.
struct World {
    runtime: Runtime,
    server: Arc<AuthorizationServer<Arc<MemoryStore>, MemoryUsers, NoHooks>>,
    store: Arc<MemoryStore>,
    issuer: Url,
    app: ClientId,
    http: Agent,
    /// The memory of the phone.
    phone: PathBuf,
}

impl Drop for World {
    fn drop(&mut self) {
        _ = std::fs::remove_dir_all(&self.phone);
    }
}

impl World {
    /// Starts a server that keeps devices, with an app that can be wiped.
    fn start() -> Result<Self, BoxError> {
        let runtime = Runtime::new()?;
        let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0"))?;
        let issuer = format!("http://{}", listener.local_addr()?);
        let store = Arc::new(MemoryStore::new());
        let users =
            MemoryUsers::new([User::new(Subject::new("ann")?), User::new(Subject::new("bob")?)]);
        let server = AuthorizationServer::builder(
            Issuer::new(&*issuer)?,
            ServerSecret::generate(&OsRandom::new())?,
            SigningKey::generate(Algorithm::ES256)?,
            Arc::clone(&store),
            users,
        )
        .devices(Arc::clone(&store))
        .build();
        let server = Arc::new(server);
        let mut rules = MobileSecurity::default();
        rules.remote_wipe = true;
        let settings = AppDraft::public("Notes for phones")
            .flow(Flow::AuthorizationCode)
            .redirect_uri(RedirectUri::parse(CALLBACK)?)
            .refresh_token(true)
            .mobile_security(rules)
            .build()?;
        let app = runtime.block_on(server.admin("root").register(settings))?.client_id;
        let router = axum_router(&Arc::new(HttpEndpoints::new(Arc::clone(&server), Pages)));
        runtime.spawn(async move { axum::serve(listener, router).await });
        let phone = std::env::temp_dir().join(format!("grantor-{}-phone", std::process::id()));
        Ok(Self { runtime, server, store, issuer: Url::parse(&issuer)?, app, http: agent(), phone })
    }

    /// Logs a user in on the phone, and saves a note.
    fn log_in(&self, user: &str) -> Result<Account, BoxError> {
        let client_id = self.app.as_str();
        let verifier = CodeVerifier::generate(&OsRandom::new())?;
        let mut url = self.issuer.join("/oauth/authorize")?;
        url.query_pairs_mut()
            .append_pair("response_type", "code")
            .append_pair("client_id", client_id)
            .append_pair("redirect_uri", CALLBACK)
            .append_pair("code_challenge", &verifier.challenge().to_string())
            .append_pair("code_challenge_method", "S256");
        let cookie = format!("user={user}");
        let page = Request::get(url.as_str()).header("cookie", &cookie).body(())?;
        let ticket = self.http.run(page)?.into_body().read_to_string()?;
        let decision = url::form_urlencoded::Serializer::new(String::new())
            .append_pair("ticket", &ticket)
            .append_pair("decision", "approve")
            .finish();
        let decide = Request::post(self.issuer.join("/oauth/decision")?.as_str())
            .header("cookie", &cookie)
            .header("content-type", FORM);
        let answer = self.http.run(decide.body(decision)?)?;
        let location = answer.headers().get("location").ok_or("no redirect")?.to_str()?;
        let location = Url::parse(location)?;
        let code = location.query_pairs().find(|(name, _)| name == "code").ok_or("no code")?.1;
        let redeem = [
            ("grant_type", "authorization_code"),
            ("code", &*code),
            ("redirect_uri", CALLBACK),
            ("code_verifier", verifier.expose_secret()),
            ("install_tag_id", INSTALLATION),
            ("install_name", "The phone in the kitchen"),
        ];
        let url = self.issuer.join("/oauth/token")?;
        let (_, body) = post(&self.http, &url, client_id, &redeem).ok_or("no answer")?;
        let tokens: Value = serde_json::from_slice(&body)?;
        let refresh_token = text(&tokens, "refresh_token").ok_or("no refresh token")?.to_owned();
        let folder = self.phone.join(user);
        std::fs::create_dir_all(&folder)?;
        std::fs::write(folder.join("note.txt"), "Buy milk.")?;
        let (issuer, client_id) = (self.issuer.clone(), client_id.to_owned());
        Ok(Account { issuer, client_id, refresh_token, folder })
    }

    fn device(&self, user: &str) -> Result<DeviceKey, BoxError> {
        let (client_id, subject) = (self.app.clone(), Subject::new(user)?);
        Ok(DeviceKey { client_id, subject, device_id: DeviceId::new(INSTALLATION)? })
    }

    /// Syncs an account, and compares the outcome and its data.
    fn sync(&self, account: &mut Account, outcome: &Outcome, data: bool) {
        let found = account.sync(&self.http);
        println!("   the app syncs: {found:?}");
        assert_eq!((&found, account.folder.exists()), (outcome, data));
    }
}

fn story() -> Result<(), BoxError> {
    let world = World::start()?;
    let admin = world.server.admin("root");

    println!("1. Ann and Bob log in to an app on one phone.");
    let (mut ann, mut bob) = (world.log_in("ann")?, world.log_in("bob")?);
    world.sync(&mut ann, &Outcome::Fresh, true);
    world.sync(&mut bob, &Outcome::Fresh, true);

    println!("2. Ann misses the phone. An administrator orders the wipe of her account on it.");
    world.runtime.block_on(admin.order_wipe(&world.device("ann")?))?;
    world.sync(&mut ann, &Outcome::Wiped, false);
    let device = world.runtime.block_on(world.store.find_device(&world.device("ann")?))?;
    assert!(device.is_some_and(|device| matches!(device.wipe, Wipe::Done { .. })));
    println!("   the server knows that it is done");

    println!("3. Bob's account on the same phone has its data and its access.");
    world.sync(&mut bob, &Outcome::Fresh, true);

    println!("4. The administrator orders the wipe of Bob's account, and withdraws it in time.");
    world.runtime.block_on(admin.order_wipe(&world.device("bob")?))?;
    world.runtime.block_on(admin.withdraw_wipe(&world.device("bob")?))?;
    world.sync(&mut bob, &Outcome::SignedOut, true);

    println!("5. Without a network the phone gets no answer, and that is no order and no \"no\".");
    bob.issuer = Url::parse("http://127.0.0.1:9")?;
    world.sync(&mut bob, &Outcome::Later, true);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_answer_is_an_order_and_one_is_a_no() {
        for (status, body, expected) in [
            (200, r#"{"wipe":true}"#, Order::Wipe),
            (200, r#"{ "wipe": true, "more": 1 }"#, Order::Wipe),
            (200, r#"{"wipe":"true"}"#, Order::AskLater),
            (200, r#"{"wipe":1}"#, Order::AskLater),
            (200, r#"{"wipe":false}"#, Order::AskLater),
            (200, r#"{"Wipe":true}"#, Order::AskLater),
            (200, r#"[{"wipe":true}]"#, Order::AskLater),
            (200, "true", Order::AskLater),
            (200, "[]", Order::AskLater),
            (200, "", Order::AskLater),
            (200, r#"{"wipe":true"#, Order::AskLater),
            (200, r#"<html>{"wipe":true}</html>"#, Order::AskLater),
            (201, r#"{"wipe":true}"#, Order::AskLater),
            (302, r#"{"wipe":true}"#, Order::AskLater),
            (401, r#"{"wipe":true}"#, Order::AskLater),
            (404, "[]", Order::Keep),
            (404, r#"{"wipe":true}"#, Order::AskLater),
            (404, "<html>Not found</html>", Order::AskLater),
            (429, "[]", Order::AskLater),
            (500, "[]", Order::AskLater),
            (503, r#"{"wipe":true}"#, Order::AskLater),
        ] {
            assert_eq!(order(status, body.as_bytes()), expected, "{status} {body}");
        }
    }

    #[test]
    fn a_token_goes_to_the_server_of_the_account_only() {
        let issuer = Url::parse("https://as.example.com/tenant").unwrap();
        for (url, expected) in [
            ("https://as.example.com/oauth/device/wipe/check", true),
            ("https://as.example.com:443/other", true),
            ("http://as.example.com/oauth/device/wipe/check", false),
            ("https://as.example.com:8443/oauth/device/wipe/check", false),
            ("https://evil.example/oauth/device/wipe/check", false),
            ("https://as.example.com.evil.example/", false),
            ("https://as.example.com@evil.example/", false),
            ("//as.example.com/", false),
            ("/oauth/device/wipe/check", false),
            ("javascript:alert(1)", false),
            ("", false),
        ] {
            let own = own_url(&issuer, Some(&url.into()));
            assert_eq!(own.is_some(), expected, "{url}");
        }
        assert_eq!(own_url(&issuer, None), None);
        assert_eq!(own_url(&issuer, Some(&Value::Bool(true))), None);
    }
}
