//! The self-check, in which a browser and an app go through every step over HTTP, and the same steps as
//! commands for a reader.

use std::collections::BTreeMap;
use std::process::Command;
use std::time::Duration;

use grantor::protocol::CodeVerifier;
use grantor::random::OsRandom;
use serde_json::Value;
use tokio::net::TcpListener;
use ureq::Agent;
use ureq::http::Request;

use crate::users::random_text;
use crate::{BoxError, Host};

/// The number of requests, 50 ms apart, within which a revocation reaches the API of the same process.
const KNOWN_AFTER: u32 = 200;

/// Returns the commands with which to try the host.
pub(crate) fn how_to_try(issuer: &str) -> Result<String, BoxError> {
    let verifier = CodeVerifier::generate(&OsRandom::new())?;
    let redirect = format!("{issuer}/callback");
    let (url, verifier) = (authorize(issuer, &redirect, &verifier), verifier.expose_secret());
    Ok(format!(
        "1. Sign in and agree, in a browser:\n   {url}\n\
         2. Redeem the code from the address bar within a minute:\n   \
         curl {issuer}/oauth/token -d grant_type=authorization_code -d client_id=notes-desktop \
         -d redirect_uri={redirect} -d code_verifier={verifier} -d code=CODE\n\
         3. Use the token:\n   \
         curl -H 'Authorization: Bearer TOKEN' -H 'Content-Type: text/plain' -d 'a note' {issuer}/api/notes\n\
         4. See and remove the app: {issuer}/account\n\
         Ctrl-C stops the host."
    ))
}

fn authorize(issuer: &str, redirect: &str, verifier: &CodeVerifier) -> String {
    let challenge = verifier.challenge();
    format!(
        "{issuer}/oauth/authorize?response_type=code&client_id=notes-desktop&state=s&login_hint=ann\
         &redirect_uri={redirect}&code_challenge={challenge}&code_challenge_method=S256"
    )
}

/// Starts a host in a new folder, goes through every step, and stops it by SIGTERM.
pub(crate) async fn check() -> Result<(), BoxError> {
    let folder = std::env::temp_dir().join(format!("grantor-host-{}", random_text()?));
    std::fs::create_dir(&folder)?;
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let issuer = format!("http://{}", listener.local_addr()?);
    let host = Host::start(&folder, &issuer).await?;
    let password = host.password.clone().ok_or("the first start makes a user")?;
    let serving = host.serve(listener);
    let steps = tokio::task::spawn_blocking(move || {
        let taken = steps(&issuer, &password);
        let process = std::process::id().to_string();
        Command::new("kill").args(["-TERM", &process]).status()?;
        taken
    });
    let (served, taken) = tokio::join!(serving, steps);
    // The files close with the host, so nothing holds the folder.
    std::fs::remove_dir_all(&folder)?;
    served?;
    taken??;
    println!("ok      SIGTERM stops the host, and the audit log is written");
    Ok(())
}

fn steps(issuer: &str, password: &str) -> Result<(), BoxError> {
    let mut browser = Browser::new(issuer);
    let redirect = "http://127.0.0.1:49152/callback";
    let verifier = CodeVerifier::generate(&OsRandom::new())?;
    let asked = authorize(issuer, redirect, &verifier);

    let (status, page, _) = browser.get(&asked)?;
    expect("the app leads to the login page", status == 200 && page.contains("Sign in"))?;
    let (token, return_to) = (hidden(&page, "token")?, hidden(&page, "return_to")?);
    let form = |token: &str, password: &str| {
        fields(&[
            ("token", token),
            ("return_to", &return_to),
            ("name", "ann"),
            ("password", password),
        ])
    };
    let (forged, ..) = browser.post("/login", &form("guessed", password))?;
    expect("a login form of another site is refused", forged == 403)?;
    let (wrong, ..) = browser.post("/login", &form(&token, "wrong"))?;
    expect("a wrong password is refused", wrong == 403)?;
    let (right, _, back) = browser.post("/login", &form(&token, password))?;
    expect("the right password leads back", right == 303 && back.starts_with("/oauth/authorize?"))?;

    let (status, page, _) = browser.get(&format!("{issuer}{back}"))?;
    let named = page.contains("Notes for the desktop") && page.contains("Read your notes");
    expect("the consent page names the app and its scope", status == 200 && named)?;
    let ticket = hidden(&page, "ticket")?;
    let decision = fields(&[
        ("ticket", &ticket),
        ("scope", "notes.read"),
        ("scope", "notes.write"),
        ("decision", "approve"),
    ]);
    let (status, _, location) = browser.post("/oauth/decision", &decision)?;
    let answer = url::Url::parse(&location)?;
    let code = answer.query_pairs().find(|(name, _)| name == "code").ok_or("no code")?.1;
    expect(
        "the browser brings a code to the app",
        status == 303 && location.starts_with(redirect),
    )?;

    let mut app = Browser::new(issuer);
    let (status, tokens) = app.tokens(&[
        ("grant_type", "authorization_code"),
        ("client_id", "notes-desktop"),
        ("redirect_uri", redirect),
        ("code", &code),
        ("code_verifier", verifier.expose_secret()),
    ])?;
    expect("the app redeems the code with PKCE", status == 200)?;
    expect("the API refuses a request without a token", app.notes("GET", "", "")?.0 == 401)?;
    let access = text(&tokens, "access_token");
    let added = app.notes("POST", access, "buy <milk>")?.0;
    let (status, notes) = app.notes("GET", access, "")?;
    expect(
        "the API serves the app",
        added == 200 && status == 200 && notes == r#"["buy <milk>"]"#,
    )?;

    let refresh = |app: &mut Browser, tokens: &Value| {
        let token = text(tokens, "refresh_token");
        app.tokens(&[
            ("grant_type", "refresh_token"),
            ("client_id", "notes-desktop"),
            ("refresh_token", token),
        ])
    };
    let (status, tokens) = refresh(&mut app, &tokens)?;
    expect("a refresh token gives new tokens", status == 200)?;

    let (_, page, _) = browser.get(&format!("{issuer}/account"))?;
    expect("the account page lists the app", page.contains("Notes for the desktop"))?;
    let change = |token: &str, action: &str| {
        fields(&[("token", token), ("action", action), ("app", "notes-desktop")])
    };
    let (forged, ..) = browser.post("/account", &change("guessed", "remove"))?;
    expect("an account form of another site is refused", forged == 403)?;
    let session = hidden(&page, "token")?;
    let (status, ..) = browser.post("/account", &change(&session, "remove"))?;
    let (_, page, _) = browser.get(&format!("{issuer}/account"))?;
    expect("the user removes the app", status == 303 && !page.contains("Notes for the desktop"))?;
    expect("its refresh token is dead", refresh(&mut app, &tokens)?.0 == 400)?;
    let mut tries = 0;
    while app.notes("GET", text(&tokens, "access_token"), "")?.0 != 401 {
        tries += 1;
        if tries > KNOWN_AFTER {
            return Err("the API still takes a revoked token".into());
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    expect("its access token is dead at the API", true)?;

    let (status, ..) = browser.post("/account", &change(&session, "here"))?;
    let (after, _, location) = browser.get(&format!("{issuer}/account"))?;
    expect("the user signs out", status == 303 && after == 303 && location == "/login")
}

/// An HTTP client that keeps cookies and follows no redirect.
struct Browser {
    agent: Agent,
    issuer: String,
    cookies: BTreeMap<String, String>,
}

impl Browser {
    fn new(issuer: &str) -> Self {
        let agent =
            Agent::config_builder().http_status_as_error(false).max_redirects(0).proxy(None);
        let agent = agent.build().new_agent();
        Self { agent, issuer: issuer.to_owned(), cookies: BTreeMap::new() }
    }

    /// Returns the status, the body and the `Location`.
    fn send(&mut self, request: Request<String>) -> Result<(u16, String, String), BoxError> {
        let (mut head, body) = request.into_parts();
        if !self.cookies.is_empty() {
            let cookies: Vec<_> =
                self.cookies.iter().map(|(name, it)| format!("{name}={it}")).collect();
            head.headers.insert("cookie", cookies.join("; ").parse()?);
        }
        let answer = if head.method == "GET" {
            self.agent.run(Request::from_parts(head, ()))?
        } else {
            self.agent.run(Request::from_parts(head, body))?
        };
        for cookie in answer.headers().get_all("set-cookie") {
            let pair = cookie.to_str()?.split(';').next().and_then(|pair| pair.split_once('='));
            let (name, value) = pair.ok_or("a malformed cookie")?;
            self.cookies.insert(name.to_owned(), value.to_owned());
        }
        let location =
            answer.headers().get("location").map_or(Ok(""), |it| it.to_str())?.to_owned();
        let status = answer.status().as_u16();
        Ok((status, answer.into_body().read_to_string()?, location))
    }

    fn get(&mut self, url: &str) -> Result<(u16, String, String), BoxError> {
        self.send(Request::get(url).body(String::new())?)
    }

    fn post(&mut self, path: &str, form: &str) -> Result<(u16, String, String), BoxError> {
        let request = Request::post(format!("{}{path}", self.issuer))
            .header("content-type", "application/x-www-form-urlencoded")
            .header("origin", &self.issuer);
        self.send(request.body(form.to_owned())?)
    }

    fn tokens(&mut self, form: &[(&str, &str)]) -> Result<(u16, Value), BoxError> {
        let (status, body, _) = self.post("/oauth/token", &fields(form))?;
        Ok((status, serde_json::from_str(&body)?))
    }

    fn notes(&mut self, method: &str, token: &str, body: &str) -> Result<(u16, String), BoxError> {
        let mut request =
            Request::builder().method(method).uri(format!("{}/api/notes", self.issuer));
        if !token.is_empty() {
            request = request.header("authorization", format!("Bearer {token}"));
        }
        let request = request.header("content-type", "text/plain").body(body.to_owned())?;
        let (status, body, _) = self.send(request)?;
        Ok((status, body))
    }
}

fn expect(step: &str, holds: bool) -> Result<(), BoxError> {
    println!("{}  {step}", if holds { "ok    " } else { "FAILED" });
    if holds { Ok(()) } else { Err(format!("failed: {step}").into()) }
}

fn text<'a>(answer: &'a Value, member: &str) -> &'a str {
    answer.get(member).and_then(Value::as_str).unwrap_or_default()
}

/// Returns the value of a hidden field, as a browser reads it.
fn hidden(page: &str, name: &str) -> Result<String, BoxError> {
    let (_, rest) = page.split_once(&format!("name=\"{name}\" value=\"")).ok_or("no such field")?;
    Ok(rest.split('"').next().unwrap_or_default().replace("&amp;", "&"))
}

fn fields(pairs: &[(&str, &str)]) -> String {
    url::form_urlencoded::Serializer::new(String::new()).extend_pairs(pairs).finish()
}
