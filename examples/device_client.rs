//! A client of the device grant (RFC 8628): a television without a browser, its server, and a user who decides in
//! the browser of a phone.
//!
//! Run it with `cargo run --example device_client --features axum`. It starts a server on the loopback interface,
//! speaks HTTP with it, and decides as the user. With `-- ISSUER CLIENT_ID [SCOPE]` it is a device of another server,
//! such as `http://127.0.0.1:8089 demo-tv` of `examples/server`: it shows the code, waits until you have decided, and
//! prints the access token.
//!
//! [`Device`] and [`Polling`] are the client, for developers of apps to start from.
#![expect(clippy::print_stdout, reason = "the example explains its steps")]

use std::error::Error;
use std::sync::Arc;
use std::time::Duration;

use grantor::endpoint::{
    AuthorizationError, AuthorizationRequest, ConsentPrompt, DeviceGrant, Login,
};
use grantor::http::{DevicePages, DeviceStep, HttpEndpoints, Interaction, Page, axum_router};
use grantor::jwt::Algorithm;
use grantor::random::OsRandom;
use grantor::users::{DirectoryError, MemoryUsers};
use grantor::{
    AppDraft, AuthorizationServer, Flow, Issuer, MemoryStore, Scope, ServerSecret, SigningKey,
    Subject, User,
};
use http::Request;
use http::request::Parts;
use serde_json::Value;
use tokio::net::TcpListener;
use tokio::runtime::Runtime;
use ureq::Agent;
use url::Url;

type BoxError = Box<dyn Error + Send + Sync>;

const GRANT_TYPE: &str = "urn:ietf:params:oauth:grant-type:device_code";
/// The interval if the server names none (RFC 8628 section 3.2).
const DEFAULT_INTERVAL: Duration = Duration::from_secs(5);
/// The time that `slow_down` adds to the interval (section 3.5).
const SLOWER: Duration = Duration::from_secs(5);

/// A device of an app. A confidential app would also authenticate.
struct Device {
    client_id: String,
    asks_at: Url,
    polls_at: Url,
    http: Agent,
}

/// The codes that a device got.
struct Codes {
    device_code: String,
    user_code: String,
    verification_uri: String,
    /// The page with the code filled in, for a QR code.
    complete: Option<String>,
    polling: Polling,
}

/// The pace of the polls.
#[derive(Debug, PartialEq, Eq)]
struct Polling {
    interval: Duration,
    expires_in: Duration,
}

/// The answer to a poll.
#[derive(Debug, PartialEq, Eq)]
enum Poll {
    /// The user approved.
    Tokens(Value),
    /// The user has not decided. The device polls again after [`Polling::interval`].
    Pending,
    Ended(Ended),
}

/// The end without access. The device asks for new codes, if the user wants to try again.
#[derive(Debug, PartialEq, Eq)]
enum Ended {
    /// The user denied.
    Denied,
    /// The codes expired before the user decided.
    Expired,
    /// The server refuses, with this error code.
    Refused(String),
}

impl Polling {
    /// Reads an answer (RFC 8628 section 3.5). Without an answer, and if the server is busy, polls become slower.
    fn read(&mut self, answer: Option<(u16, Value)>) -> Poll {
        let Some((status, json)) = answer else {
            self.interval = self.interval.saturating_mul(2);
            return Poll::Pending;
        };
        if status == 200 && text(&json, "access_token").is_some() {
            return Poll::Tokens(json);
        }
        match text(&json, "error") {
            Some("authorization_pending") => Poll::Pending,
            Some("slow_down") => {
                self.interval = self.interval.saturating_add(SLOWER);
                Poll::Pending
            }
            Some("access_denied") => Poll::Ended(Ended::Denied),
            Some("expired_token") => Poll::Ended(Ended::Expired),
            _ if status == 429 || status >= 500 => {
                self.interval = self.interval.saturating_mul(2);
                Poll::Pending
            }
            error => Poll::Ended(Ended::Refused(error.unwrap_or("no error code").to_owned())),
        }
    }
}

impl Device {
    /// Finds the endpoints of the issuer (RFC 8414).
    fn new(issuer: &Url, client_id: &str) -> Result<Self, BoxError> {
        let http = agent();
        let path = issuer.path().trim_end_matches('/');
        let url = issuer.join(&format!("/.well-known/oauth-authorization-server{path}"))?;
        let (_, metadata) = send(&http, Request::get(url.as_str()).body(None))
            .ok_or_else(|| format!("no metadata at {url}"))?;
        let own = text(&metadata, "issuer").and_then(|it| Url::parse(it).ok());
        if own.as_ref() != Some(issuer) {
            return Err(format!("{url} has the metadata of another issuer").into());
        }
        let endpoint = |member: &str| -> Result<Url, BoxError> {
            let url =
                text(&metadata, member).ok_or_else(|| format!("the server has no {member}"))?;
            Ok(Url::parse(url)?)
        };
        Ok(Self {
            client_id: client_id.to_owned(),
            asks_at: endpoint("device_authorization_endpoint")?,
            polls_at: endpoint("token_endpoint")?,
            http,
        })
    }

    /// Asks for codes (RFC 8628 section 3.1).
    fn ask(&self, scope: &str) -> Result<Codes, BoxError> {
        let answer = self.post(&self.asks_at, &[("scope", scope)]);
        let (status, json) = answer.ok_or("no answer")?;
        if status != 200 {
            return Err(format!("status {status}: {json}").into());
        }
        let member = |name: &str| text(&json, name).map(str::to_owned);
        let seconds = |name: &str| json.get(name).and_then(Value::as_u64).map(Duration::from_secs);
        Ok(Codes {
            device_code: member("device_code").ok_or("no device_code")?,
            user_code: member("user_code").ok_or("no user_code")?,
            verification_uri: member("verification_uri").ok_or("no verification_uri")?,
            complete: member("verification_uri_complete"),
            polling: Polling {
                interval: seconds("interval").unwrap_or(DEFAULT_INTERVAL),
                expires_in: seconds("expires_in").ok_or("no expires_in")?,
            },
        })
    }

    /// Polls once (section 3.4).
    fn poll(&self, codes: &mut Codes) -> Poll {
        let form = [("grant_type", GRANT_TYPE), ("device_code", &codes.device_code)];
        let answer = self.post(&self.polls_at, &form);
        codes.polling.read(answer)
    }

    /// Polls until the user has decided or the codes have expired.
    fn wait(&self, codes: &mut Codes) -> Result<Value, Ended> {
        let mut left = codes.polling.expires_in;
        loop {
            let pause = codes.polling.interval.min(left);
            std::thread::sleep(pause);
            left = left.saturating_sub(pause);
            match self.poll(codes) {
                Poll::Tokens(tokens) => return Ok(tokens),
                Poll::Ended(ended) => return Err(ended),
                Poll::Pending if left.is_zero() => return Err(Ended::Expired),
                Poll::Pending => {}
            }
        }
    }

    fn post(&self, url: &Url, form: &[(&str, &str)]) -> Option<(u16, Value)> {
        let form = url::form_urlencoded::Serializer::new(String::new())
            .append_pair("client_id", &self.client_id)
            .extend_pairs(form)
            .finish();
        let request = Request::post(url.as_str()).header("content-type", FORM);
        send(&self.http, request.body(Some(form)))
    }
}

const FORM: &str = "application/x-www-form-urlencoded";

/// Sends a request, and returns the status and the JSON of the answer. `None` means no answer.
fn send(http: &Agent, request: http::Result<Request<Option<String>>>) -> Option<(u16, Value)> {
    let (head, body) = request.ok()?.into_parts();
    let answer = match body {
        Some(body) => http.run(Request::from_parts(head, body)),
        None => http.run(Request::from_parts(head, ())),
    };
    let (head, mut body) = answer.ok()?.into_parts();
    let body = body.with_config().limit(64 * 1024).read_to_vec().ok()?;
    Some((head.status.as_u16(), serde_json::from_slice(&body).unwrap_or_default()))
}

fn text<'a>(json: &'a Value, member: &str) -> Option<&'a str> {
    json.get(member).and_then(Value::as_str)
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

/// Shows the codes, as on the screen of a television.
fn show(codes: &Codes) {
    println!("   Open {} on your phone or computer,", codes.verification_uri);
    println!("   and type the code {}", codes.user_code);
    if let Some(complete) = &codes.complete {
        println!("   or follow the QR code to {complete}");
    }
}

fn main() -> Result<(), BoxError> {
    let mut arguments = std::env::args().skip(1);
    let Some(issuer) = arguments.next() else { return story() };
    let client_id = arguments.next().ok_or("usage: device_client ISSUER CLIENT_ID [SCOPE]")?;
    let device = Device::new(&Url::parse(&issuer)?, &client_id)?;
    let mut codes = device.ask(&arguments.next().unwrap_or_default())?;
    show(&codes);
    match device.wait(&mut codes) {
        Ok(tokens) => println!("{}", text(&tokens, "access_token").unwrap_or_default()),
        Err(ended) => return Err(format!("{ended:?}").into()),
    }
    Ok(())
}

// From here on: the server and the user of the example.

/// Pages for Ann, who has just logged in. Each is reduced to the text that her browser needs.
struct Pages;

fn page(text: &str) -> Page {
    Page::new(text.as_bytes().to_vec())
}

impl Interaction for Pages {
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

impl DevicePages for Pages {
    async fn device_page(&self, _: &Parts, step: &DeviceStep<'_>) -> Page {
        match step {
            DeviceStep::LogIn { .. } => page("Log in"),
            DeviceStep::EnterCode { .. } => page("Type the code"),
            DeviceStep::AskConsent { prompt, .. } => page(&prompt.ticket),
            DeviceStep::Decided(decision) if decision.approved => page("Back to the device"),
            DeviceStep::Decided(_) => page("The device has no access"),
        }
    }
}

/// A running server.
struct World {
    /// It runs until the value is dropped.
    _runtime: Runtime,
    device: Device,
}

impl World {
    /// Starts a server whose codes live for `lifetime`, with an app for televisions.
    fn start(lifetime: Duration) -> Result<Self, BoxError> {
        let runtime = Runtime::new()?;
        let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0"))?;
        let issuer = format!("http://{}", listener.local_addr()?);
        let store = Arc::new(MemoryStore::new());
        let grant = DeviceGrant::new(Arc::clone(&store))
            .lifetime(lifetime)
            .interval(Duration::from_secs(1));
        let server = AuthorizationServer::builder(
            Issuer::new(&*issuer)?,
            ServerSecret::generate(&OsRandom::new())?,
            SigningKey::generate(Algorithm::ES256)?,
            store,
            MemoryUsers::new([User::new(Subject::new("ann")?)]),
        )
        .device_grant(grant)
        .build();
        let server = Arc::new(server);
        let settings = AppDraft::public("Television")
            .flow(Flow::DeviceCode)
            .scope(Scope::parse("films.read films.rate")?)
            .build()?;
        let app = runtime.block_on(server.admin("root").register(settings))?.client_id;
        let endpoints = HttpEndpoints::new(server, Pages).with_device_pages();
        let router = axum_router(&Arc::new(endpoints));
        runtime.spawn(async move { axum::serve(listener, router).await });
        let device = Device::new(&Url::parse(&issuer)?, app.as_str())?;
        Ok(Self { _runtime: runtime, device })
    }

    /// Lets Ann type the code at the page that the device shows, and decide.
    fn decide(&self, codes: &Codes, decision: &str) -> Result<(), BoxError> {
        let page = Url::parse(&codes.verification_uri)?;
        let submit = |form: &[(&str, &str)]| -> Result<String, BoxError> {
            let form =
                url::form_urlencoded::Serializer::new(String::new()).extend_pairs(form).finish();
            let request = Request::post(page.as_str()).header("content-type", FORM).body(form)?;
            Ok(self.device.http.run(request)?.into_body().read_to_string()?)
        };
        // In lower case and without the hyphen, as people type.
        let typed = codes.user_code.to_lowercase().replace('-', "");
        let ticket = submit(&[("user_code", &typed)])?;
        let last = submit(&[("ticket", &ticket), ("decision", decision), ("scope", "films.read")])?;
        println!("   Ann decides: {decision}. The page says: {last}.");
        Ok(())
    }
}

fn story() -> Result<(), BoxError> {
    let world = World::start(Duration::from_mins(10))?;
    let device = &world.device;

    println!("1. A television asks for codes, and shows them.");
    let mut codes = device.ask("films.read films.rate")?;
    show(&codes);
    assert_eq!(device.poll(&mut codes), Poll::Pending);
    println!("   it polls: the user has not decided");
    world.decide(&codes, "approve")?;
    let tokens = device.wait(&mut codes).map_err(|ended| format!("{ended:?}"))?;
    let token = text(&tokens, "access_token").unwrap_or_default();
    let scope = text(&tokens, "scope").unwrap_or_default();
    println!("   it polls: scope {scope}, access token {token}");
    assert_eq!(scope, "films.read");

    println!("2. A hasty one is told to slow down, and Ann does not know it.");
    let mut codes = device.ask("films.read")?;
    while codes.polling.interval < SLOWER {
        assert_eq!(device.poll(&mut codes), Poll::Pending);
    }
    println!("   it would poll again after {:?}", codes.polling.interval);
    world.decide(&codes, "deny")?;
    assert_eq!(device.poll(&mut codes), Poll::Ended(Ended::Denied));
    println!("   it polls: denied");

    println!("3. A code of another server lives for a second, and the user lets it pass.");
    let world = World::start(Duration::from_secs(1))?;
    let mut codes = world.device.ask("films.read")?;
    assert_eq!(world.device.wait(&mut codes), Err(Ended::Expired));
    println!("   it polls: expired. The user asks it for new codes");
    Ok(())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn polls_become_slower_as_the_server_says() {
        let mut polling =
            Polling { interval: DEFAULT_INTERVAL, expires_in: Duration::from_mins(10) };
        let error = |status: u16, error: &str| Some((status, json!({ "error": error })));
        for (answer, expected) in [
            (error(400, "authorization_pending"), 5),
            (error(400, "slow_down"), 10),
            (error(400, "authorization_pending"), 10),
            (error(400, "slow_down"), 15),
            (None, 30),
            (error(429, "temporarily_unavailable"), 60),
            (Some((503, Value::Null)), 120),
        ] {
            assert_eq!(polling.read(answer), Poll::Pending);
            assert_eq!(polling.interval, Duration::from_secs(expected));
        }
    }

    #[test]
    fn a_decision_and_an_expiry_end_the_polls() {
        let mut polling = Polling { interval: DEFAULT_INTERVAL, expires_in: Duration::ZERO };
        for (error, expected) in [
            ("access_denied", Ended::Denied),
            ("expired_token", Ended::Expired),
            ("invalid_grant", Ended::Refused("invalid_grant".to_owned())),
        ] {
            let answer = Some((400, json!({ "error": error })));
            assert_eq!(polling.read(answer), Poll::Ended(expected));
        }
        let none = Poll::Ended(Ended::Refused("no error code".to_owned()));
        assert_eq!(polling.read(Some((200, json!({ "access_token": 7 })))), none);
        let tokens = json!({ "access_token": "t" });
        assert_eq!(polling.read(Some((200, tokens.clone()))), Poll::Tokens(tokens));
        assert_eq!(polling.interval, DEFAULT_INTERVAL);
    }
}
