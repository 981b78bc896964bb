//! The self-check of a host: starts this program in a new folder, goes through every step over HTTP as a
//! browser and an app do, and stops it by SIGTERM. It also prints the steps as commands for a reader.

use std::collections::BTreeMap;
use std::error::Error;
use std::io::{BufRead as _, BufReader};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use grantor::Issuer;
use grantor::protocol::CodeVerifier;
use grantor::random::OsRandom;
use serde_json::Value;
use ureq::Agent;
use ureq::http::Request;

type BoxError = Box<dyn Error + Send + Sync>;

/// The number of requests, 50 ms apart, within which a revocation reaches the API of the same process.
const KNOWN_AFTER: u32 = 200;
const REDIRECT: &str = "http://127.0.0.1:49152/callback";
/// The start of the lines that a host prints, and this program reads.
const PASSWORD: &str = "The first user is ann, with the password ";
const LISTENS: &str = "The host listens at ";

/// Returns the line that tells the password of the first user.
pub(crate) fn first_user(password: &str) -> String {
    format!("{PASSWORD}{password}")
}

/// Returns the commands with which to try the host.
pub(crate) fn how_to_try(issuer: &Issuer) -> Result<String, BoxError> {
    let verifier = CodeVerifier::generate(&OsRandom::new())?;
    let issuer = issuer.as_str();
    let redirect = format!("{issuer}/callback");
    let (url, verifier) = (authorize(issuer, &redirect, &verifier), verifier.expose_secret());
    Ok(format!(
        "{LISTENS}{issuer}\n\
         1. Sign in and agree, in a browser:\n   {url}\n\
         2. Redeem the code from the address bar within a minute:\n   \
         curl {issuer}/oauth/token -d grant_type=authorization_code -d client_id=notes-desktop \
         -d redirect_uri={redirect} -d code_verifier={verifier} -d code=CODE\n\
         3. Use the token:\n   curl -H 'Authorization: Bearer TOKEN' {issuer}/api/notes\n\
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

/// The values of a walk that no log and no trace may hold.
#[derive(Default)]
pub(crate) struct Walk {
    pub(crate) secrets: Vec<String>,
}

/// A running host. It ends with this value, and its folder goes.
struct Running {
    process: Child,
    folder: PathBuf,
}

impl Drop for Running {
    fn drop(&mut self) {
        _ = self.process.kill();
        _ = self.process.wait();
        _ = std::fs::remove_dir_all(&self.folder);
    }
}

/// Starts this program with more variables, and goes through every step.
pub(crate) fn check(variables: &[(&str, &str)]) -> Result<Walk, BoxError> {
    let folder = std::env::temp_dir().join(format!("grantor-{}-host", std::process::id()));
    std::fs::create_dir(&folder)?;
    let mut host = Command::new(std::env::current_exe()?);
    host.env("HOST_LISTEN", "127.0.0.1:0").env("HOST_FOLDER", &folder).env_remove("HOST_ISSUER");
    let host = host.envs(variables.iter().copied()).stdin(Stdio::null()).stdout(Stdio::piped());
    let mut host = Running { process: host.spawn()?, folder };
    let mut lines = BufReader::new(host.process.stdout.take().ok_or("no output")?).lines();
    let mut told = |prefix: &str| {
        lines
            .find_map(|line| line.ok()?.strip_prefix(prefix).map(str::to_owned))
            .ok_or("the host does not start")
    };
    let (password, issuer) = (told(PASSWORD)?, told(LISTENS)?);
    // The host may print at any time.
    std::thread::spawn(move || lines.for_each(drop));
    let mut walk = Walk::default();
    steps(&issuer, &password, &mut walk)?;
    let told = Command::new("kill").args(["-TERM", &host.process.id().to_string()]).status()?;
    let ended = host.process.wait()?;
    expect(
        "SIGTERM stops the host, and the audit log is written",
        told.success() && ended.success(),
    )?;
    Ok(walk)
}

fn steps(issuer: &str, password: &str, walk: &mut Walk) -> Result<(), BoxError> {
    let mut browser = Browser::new(issuer);
    expect("the host is ready", browser.get(&format!("{issuer}/ready"))?.0 == 200)?;
    wire(&mut browser)?;
    let verifier = CodeVerifier::generate(&OsRandom::new())?;
    let asked = authorize(issuer, REDIRECT, &verifier);

    let (status, page, _) = browser.get(&asked)?;
    expect("the app leads to the login page", status == 200 && page.contains("Sign in"))?;
    let guest = browser.cookies.clone();
    let (token, return_to) = (hidden(&page, "token")?, hidden(&page, "return_to")?);
    let form = |token: &str, return_to: &str, name: &str, password: &str| {
        fields(&[
            ("token", token),
            ("return_to", return_to),
            ("name", name),
            ("password", password),
        ])
    };
    let (forged, ..) = browser.post("/login", &form("guessed", &return_to, "ann", password))?;
    let (foreign, ..) =
        Browser::new(issuer).post("/login", &form(&token, &return_to, "ann", password))?;
    expect("a login form of another site or browser is refused", forged == 403 && foreign == 403)?;
    let (wrong, ..) = browser.post("/login", &form(&token, &return_to, "ann", "wrong"))?;
    expect("a wrong password is refused", wrong == 403)?;
    let mut guesses = (0..11).map(|_| browser.post("/login", &form(&token, "", "bob", "guess")));
    let limited = guesses.try_fold(0, |_, guess| guess.map(|(status, ..)| status))?;
    expect("guesses are limited", limited == 429)?;
    let (right, _, back) = browser.post("/login", &form(&token, &return_to, "ann", password))?;
    expect("the right password leads back", right == 303 && back.starts_with("/oauth/authorize?"))?;
    expect("the session is new", !browser.cookies.is_empty() && browser.cookies != guest)?;
    let mut elsewhere = Browser::new(issuer);
    let (_, page, _) = elsewhere.get(&format!("{issuer}/login"))?;
    let foreign = form(&hidden(&page, "token")?, "https://evil.example/", "ann", password);
    let (_, _, location) = elsewhere.post("/login", &foreign)?;
    expect("a login leads to no foreign site", location == "/account")?;

    let (status, page, _) = browser.get(&format!("{issuer}{back}"))?;
    let named = page.contains("Notes for the desktop") && page.contains("Read your notes");
    expect("the consent page names the app and its scope", status == 200 && named)?;
    let ticket = hidden(&page, "ticket")?;
    let decision = fields(&[("ticket", &ticket), ("scope", "notes.read"), ("decision", "approve")]);
    let (status, _, location) = browser.post("/oauth/decision", &decision)?;
    let answer = url::Url::parse(&location)?;
    let code = answer.query_pairs().find(|(name, _)| name == "code").ok_or("no code")?.1;
    expect(
        "the browser brings a code to the app",
        status == 303 && location.starts_with(REDIRECT),
    )?;

    let mut app = Browser::new(issuer);
    let (status, tokens) = app.tokens(&[
        ("grant_type", "authorization_code"),
        ("client_id", "notes-desktop"),
        ("redirect_uri", REDIRECT),
        ("code", &code),
        ("code_verifier", verifier.expose_secret()),
    ])?;
    expect("the app redeems the code with PKCE", status == 200)?;
    expect("the API refuses a request without a token", app.notes("")?.0 == 401)?;
    let (status, notes) = app.notes(text(&tokens, "access_token"))?;
    expect("the API serves the app", status == 200 && notes == r#"["buy <milk>"]"#)?;
    walk.secrets
        .extend([&token, &ticket, &*code, password, verifier.expose_secret()].map(str::to_owned));
    walk.secrets.extend(guest.into_values().chain(browser.cookies.values().cloned()));
    walk.secrets
        .extend(["access_token", "refresh_token"].map(|name| text(&tokens, name).to_owned()));

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
    walk.secrets
        .extend(["access_token", "refresh_token"].map(|name| text(&tokens, name).to_owned()));

    let (_, page, _) = browser.get(&format!("{issuer}/account"))?;
    expect("the account page lists the app", page.contains("Notes for the desktop"))?;
    let change = |token: &str, app: &str| fields(&[("token", token), ("app", app)]);
    let (forged, ..) = browser.post("/account", &change("guessed", "notes-desktop"))?;
    expect("an account form of another site is refused", forged == 403)?;
    let session = hidden(&page, "token")?;
    let (status, ..) = browser.post("/account", &change(&session, "notes-desktop"))?;
    let (_, page, _) = browser.get(&format!("{issuer}/account"))?;
    expect("the user removes the app", status == 303 && !page.contains("Notes for the desktop"))?;
    expect("its refresh token is dead", refresh(&mut app, &tokens)?.0 == 400)?;
    let mut tries = 0;
    while app.notes(text(&tokens, "access_token"))?.0 != 401 {
        tries += 1;
        if tries > KNOWN_AFTER {
            return Err("the API still takes a revoked token".into());
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    expect("its access token is dead at the API", true)?;

    let (status, ..) = browser.post("/account", &change(&session, ""))?;
    let (after, _, location) = browser.get(&format!("{issuer}/account"))?;
    walk.secrets.extend([session, "\"ann\"".to_owned()]);
    expect("the user signs out", status == 303 && after == 303 && location == "/login")
}

/// Checks that the host passes requests to the library and its responses back as they are.
fn wire(browser: &mut Browser) -> Result<(), BoxError> {
    let issuer = browser.issuer.clone();
    let metadata = format!("{issuer}/.well-known/oauth-authorization-server");
    let head = browser.agent.head(&metadata).call()?;
    let length = head.headers().get("content-length").cloned();
    let (status, metadata, _) = browser.get(&metadata)?;
    let told = length.is_some_and(|length| length == metadata.len().to_string());
    expect("HEAD and GET of the metadata have one length", status == 200 && told)?;
    // The server closes this connection, so no other request may go over it.
    let (status, error, _) = Browser::new(&issuer).post("/oauth/token", &"a".repeat(100_000))?;
    let told = error.contains("invalid_request");
    expect("a form that is too large is refused by the library", status == 413 && told)
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

    fn notes(&mut self, token: &str) -> Result<(u16, String), BoxError> {
        let mut request = Request::get(format!("{}/api/notes", self.issuer));
        if !token.is_empty() {
            request = request.header("authorization", format!("Bearer {token}"));
        }
        let (status, body, _) = self.send(request.body(String::new())?)?;
        Ok((status, body))
    }
}

/// Prints a step, and fails if it does not hold.
pub(crate) fn expect(step: &str, holds: bool) -> Result<(), BoxError> {
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
