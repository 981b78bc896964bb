//! The host's side of the authorization endpoint, and the handlers of its pages.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use axum::Router;
use axum::body::Bytes;
use axum::extract::{ConnectInfo, RawQuery, State};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::Response;
use axum::routing::{get, post};
use grantor::Subject;
use grantor::clock::{Clock, SystemClock};
use grantor::endpoint::{AuthorizationError, AuthorizationRequest, ConsentPrompt, Login};
use grantor::http::{DevicePages, DeviceStep, Interaction};
use grantor::ids::ClientId;
use grantor::random::OsRandom;
use grantor::store::{AnyStore, AppRegistry};
use grantor::users::DirectoryError;
use tokio::sync::Semaphore;

use crate::device_pages;
use crate::pages::{self, Callback, LoginForm};
use crate::sessions::{Session, Sessions, random_text};
use crate::tries::Tries;
use crate::users::Users;
use crate::web::{self, Cookie, Cookies, Page, field, problem, reply, see_other};

/// The number of passwords hashed concurrently. It leaves the rest of the machine to signed-in
/// users.
pub(crate) const HASHING: usize = 4;

/// The state of the pages.
pub(crate) struct Site {
    /// The path of the authorization endpoint. A login returns there.
    pub(crate) authorize: String,
    /// The path of the page for the codes of devices, likewise; empty without the device grant.
    pub(crate) device: String,
    /// The path of the server's metadata.
    pub(crate) metadata: String,
    /// The path of the server's public keys.
    pub(crate) keys: String,
    pub(crate) store: AnyStore,
    pub(crate) users: Arc<Users>,
    pub(crate) sessions: Arc<Sessions>,
    /// Permits for hashing a password.
    pub(crate) hashing: Semaphore,
    pub(crate) cookies: Cookies,
    pub(crate) clock: SystemClock,
    pub(crate) random: OsRandom,
    /// The commands to try, with the demo seed.
    pub(crate) tries: Option<Tries>,
    /// Whether phones can be wiped.
    pub(crate) devices: bool,
}

/// Builds the routes of the host's own pages.
pub(crate) fn router(site: Arc<Site>) -> Router {
    Router::new()
        .route("/", get(home))
        .route("/developers", get(developers))
        .route("/login", get(show_login).post(log_in))
        .route("/logout", post(log_out))
        .route("/demo/callback", get(callback))
        .with_state(site)
}

impl Site {
    pub(crate) fn session(&self, headers: &HeaderMap) -> Option<Session> {
        let id = self.cookies.get(headers, Cookie::Session)?;
        let session = self.sessions.find(id, self.clock.now())?;
        self.users.is_active(session.subject.as_str()).then_some(session)
    }

    /// Renders the login page with a token that is valid in this browser only.
    async fn login_form(&self, headers: &HeaderMap, shown: Shown<'_>) -> Page {
        let known = self.cookies.get(headers, Cookie::Form).map(str::to_owned);
        let cookie = match known.clone().map_or_else(|| random_text(&self.random), Ok) {
            Ok(cookie) => cookie,
            Err(error) => return unavailable(&error),
        };
        let app = self.app_of(shown.return_to).await;
        let form = LoginForm {
            app: app.as_deref(),
            token: &self.sessions.form_token(&cookie, self.clock.now()),
            return_to: shown.return_to,
            username: shown.username,
            problem: shown.problem,
        };
        let mut page = pages::login(shown.status, &form);
        if known.is_none() {
            self.cookies.set(&mut page, Cookie::Form, &cookie);
        }
        page
    }

    fn local<'a>(&self, return_to: &'a str) -> &'a str {
        #[cfg(feature = "console")]
        if [web::CONSOLE, web::ACCOUNT].iter().any(|own| web::is_below(own, return_to)) {
            return return_to;
        }
        let is_device = !self.device.is_empty()
            && (return_to == self.device || web::local(&self.device, return_to) != "/");
        if is_device { return_to } else { web::local(&self.authorize, return_to) }
    }

    /// Returns the name of the app that requests the login.
    async fn app_of(&self, return_to: &str) -> Option<String> {
        let (_, query) = return_to.split_once('?')?;
        let client_id = ClientId::new(field(query.as_bytes(), "client_id")).ok()?;
        let app = self.store.find_app(&client_id).await.ok()??;
        Some(app.settings().name().to_owned())
    }
}

/// The content of a login page.
struct Shown<'a> {
    status: StatusCode,
    return_to: &'a str,
    username: &'a str,
    problem: Option<&'a str>,
}

impl<'a> Shown<'a> {
    const fn fresh(return_to: &'a str) -> Self {
        Self { status: StatusCode::OK, return_to, username: "", problem: None }
    }
}

fn unavailable(error: &(dyn std::error::Error + 'static)) -> Page {
    tracing::error!(error, "a page could not be rendered");
    problem(
        StatusCode::SERVICE_UNAVAILABLE,
        "Something went wrong",
        "It is not your fault. Try again in a minute.",
    )
}

/// The host's side of the authorization endpoint.
pub(crate) struct Browsers(pub(crate) Arc<Site>);

impl Interaction for Browsers {
    async fn login(&self, request: &Parts) -> Result<Option<Login>, DirectoryError> {
        let login = |session: Session| {
            Login::new(session.subject, session.token).with_auth_time(session.logged_in_at)
        };
        Ok(self.0.session(&request.headers).map(login))
    }

    async fn login_page(&self, request: &Parts, _: &AuthorizationRequest, return_to: &str) -> Page {
        self.0.login_form(&request.headers, Shown::fresh(self.0.local(return_to))).await
    }

    async fn consent_page(&self, request: &Parts, prompt: &ConsentPrompt, action: &str) -> Page {
        let here = request.uri.path_and_query().map(|it| self.0.local(it.as_str()));
        pages::consent(prompt, action, here.filter(|here| *here != "/"))
    }

    async fn error_page(&self, _: &Parts, error: &AuthorizationError) -> Page {
        pages::authorization_error(error)
    }
}

impl DevicePages for Browsers {
    async fn device_page(&self, request: &Parts, step: &DeviceStep<'_>) -> Page {
        match step {
            DeviceStep::LogIn { return_to } => {
                let shown = Shown::fresh(self.0.local(return_to));
                self.0.login_form(&request.headers, shown).await
            }
            DeviceStep::EnterCode { action, user_code, error } => {
                device_pages::enter_code(action, *user_code, *error)
            }
            DeviceStep::AskConsent { action, prompt } => device_pages::consent(prompt, action),
            DeviceStep::Decided(decision) => device_pages::decided(decision),
        }
    }
}

async fn home(State(site): State<Arc<Site>>, headers: HeaderMap) -> Response {
    reply(pages::home(site.session(&headers).as_ref(), &site.metadata, site.devices))
}

async fn developers(State(site): State<Arc<Site>>) -> Response {
    reply(pages::developers(&site.metadata, &site.keys, site.tries.as_ref()))
}

async fn show_login(
    State(site): State<Arc<Site>>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Response {
    let return_to = field(query.unwrap_or_default().as_bytes(), "return_to");
    reply(site.login_form(&headers, Shown::fresh(site.local(&return_to))).await)
}

async fn log_in(
    State(site): State<Arc<Site>>,
    ConnectInfo(address): ConnectInfo<SocketAddr>,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    reply(site.log_in(&network(address.ip()), &headers, &body).await)
}

/// Returns the key for counting failures. A client with IPv6 controls its whole /64 network.
fn network(address: IpAddr) -> String {
    match address.to_canonical() {
        IpAddr::V6(address) => {
            let [a, b, c, d, ..] = address.segments();
            format!("{a:x}:{b:x}:{c:x}:{d:x}::/64")
        }
        address @ IpAddr::V4(_) => address.to_string(),
    }
}

async fn log_out(State(site): State<Arc<Site>>, headers: HeaderMap, body: Bytes) -> Response {
    reply(site.log_out(&headers, &field(&body, "token")))
}

async fn callback(State(site): State<Arc<Site>>, RawQuery(query): RawQuery) -> Response {
    let query = query.unwrap_or_default();
    let parameters: Vec<_> = url::form_urlencoded::parse(query.as_bytes()).into_owned().collect();
    let of = |name: &str| parameters.iter().find(|(own, _)| own == name).map(|(_, value)| &**value);
    let redeem = match (&site.tries, of("code"), of("state")) {
        (Some(tries), Some(code), Some(state)) => tries.redeem(state, code),
        _ => None,
    };
    reply(pages::callback(&Callback { parameters: &parameters, redeem: redeem.as_deref() }))
}

impl Site {
    /// Handles a login form from `address`.
    async fn log_in(&self, address: &str, headers: &HeaderMap, body: &[u8]) -> Page {
        let return_to = field(body, "return_to");
        let return_to = self.local(&return_to);
        let (username, password) = (field(body, "username"), field(body, "password"));
        let shown = |status, problem| Shown {
            status,
            return_to,
            username: &username,
            problem: Some(problem),
        };
        let cookie = self.cookies.get(headers, Cookie::Form).unwrap_or_default();
        let token = field(body, "token");
        if cookie.is_empty() || !self.sessions.accepts_form(cookie, &token, self.clock.now()) {
            let stale = "This page has expired, or your browser does not accept cookies.";
            return self.login_form(headers, shown(StatusCode::FORBIDDEN, stale)).await;
        }
        let wrong = "The user name or the password is wrong.";
        if username.len() > Subject::MAX_BYTES {
            return self.login_form(headers, shown(StatusCode::FORBIDDEN, wrong)).await;
        }
        // Counted before the password is checked, so that concurrent guesses are counted too, and those of
        // browsers that hang up.
        let turn = self.hashing.acquire().await;
        if !self.sessions.reserve_failure(&username, address, self.clock.now()) {
            let many = "Too many failed attempts. Wait for a minute.";
            let shown = shown(StatusCode::TOO_MANY_REQUESTS, many);
            let mut page = self.login_form(headers, shown).await;
            page.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from_static("60"));
            return page;
        }
        // Hashing takes milliseconds, so it runs outside the request threads.
        let (users, name) = (Arc::clone(&self.users), username.clone());
        let checked = tokio::task::spawn_blocking(move || users.log_in(&name, &password)).await;
        let Some(subject) = checked.ok().flatten() else {
            return self.login_form(headers, shown(StatusCode::FORBIDDEN, wrong)).await;
        };
        self.sessions.give_back_failure(&username, address);
        drop(turn);
        let before = self.cookies.get(headers, Cookie::Session);
        match self.sessions.log_in(subject, before, self.clock.now(), &self.random) {
            Ok(id) => {
                let mut answer = see_other(return_to);
                self.cookies.set(&mut answer, Cookie::Session, &id);
                self.cookies.forget(&mut answer, Cookie::Form);
                answer
            }
            Err(error) => unavailable(&error),
        }
    }

    fn log_out(&self, headers: &HeaderMap, token: &str) -> Page {
        let mut answer = see_other("/");
        // Without a cookie there is no session to end. A form of another site comes without one.
        let Some(id) = self.cookies.get(headers, Cookie::Session) else { return answer };
        if self.session(headers).is_some_and(|session| session.token != token) {
            return problem(
                StatusCode::FORBIDDEN,
                "You are still signed in",
                "The request to sign out did not come from a page of this server.",
            );
        }
        self.sessions.log_out(id);
        self.cookies.forget(&mut answer, Cookie::Session);
        answer
    }
}

#[cfg(test)]
mod tests {
    use grantor::MemoryStore;

    use super::*;

    const AUTHORIZE: &str = "/oauth/authorize";

    fn site() -> Site {
        let random = OsRandom::new();
        let ann = serde_json::json!([{ "name": "ann", "password": "right" }]);
        let users = Users::new(&serde_json::from_value::<Vec<_>>(ann).unwrap(), &random).unwrap();
        Site {
            authorize: AUTHORIZE.to_owned(),
            device: "/oauth/device".to_owned(),
            metadata: String::new(),
            keys: String::new(),
            store: MemoryStore::new().into(),
            users: Arc::new(users),
            sessions: Arc::new(Sessions::new(true, &random).unwrap()),
            hashing: Semaphore::new(HASHING),
            cookies: Cookies::new(false),
            clock: SystemClock::new(),
            random,
            tries: None,
            devices: false,
        }
    }

    async fn try_password(site: Arc<Site>, name: String, password: &str) -> u16 {
        let mut headers = HeaderMap::new();
        headers.insert(header::COOKIE, HeaderValue::from_static("grantor_form=browser"));
        let token = site.sessions.form_token("browser", site.clock.now());
        let body = format!("token={token}&username={name}&password={password}");
        site.log_in("192.0.2.1", &headers, body.as_bytes()).await.status().as_u16()
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 8)]
    async fn concurrent_guesses_are_limited_like_sequential_ones() {
        let site = Arc::new(site());
        let guess = |_| tokio::spawn(try_password(Arc::clone(&site), "ann".to_owned(), "wrong"));
        let mut taken = 0;
        for answer in (0..200).map(guess).collect::<Vec<_>>() {
            taken += usize::from(answer.await.unwrap() == 403);
        }
        assert_eq!(taken, 10);
    }

    /// A browser sends no `SameSite=Lax` cookie with a form of another site, but would obey a
    /// response that deletes it.
    #[test]
    fn a_form_of_another_site_does_not_sign_a_user_out() {
        let site = site();
        let forged = site.log_out(&HeaderMap::new(), "");
        assert_eq!(forged.headers().get(header::SET_COOKIE), None);
        let (now, ann) = (site.clock.now(), Subject::new("ann").unwrap());
        let id = site.sessions.log_in(ann, None, now, &site.random).unwrap();
        let mut headers = HeaderMap::new();
        headers.insert(header::COOKIE, format!("grantor_session={id}").parse().unwrap());
        assert_eq!(site.log_out(&headers, "guess").status(), 403);
        let token = site.session(&headers).unwrap().token;
        let done = site.log_out(&headers, &token);
        assert!(done.headers().contains_key(header::SET_COOKIE));
        assert!(site.session(&headers).is_none());
    }

    /// A link to another site, or to another page of this one, would make the login its accomplice.
    #[cfg(feature = "console")]
    #[test]
    fn a_login_leads_back_to_the_pages_of_the_library_only() {
        let site = site();
        for own in [
            "/account",
            "/account/sign-out",
            "/console/apps",
            "/oauth/authorize?a=b",
            "/oauth/device",
            "/oauth/device?user_code=BCDF-GHJK",
        ] {
            assert_eq!(site.local(own), own);
        }
        for other in [
            "//evil.example",
            "/accounts",
            "/account/../x?",
            "/account\\x",
            "/admin",
            "/oauth/devices",
        ] {
            assert_eq!(site.local(other), "/", "{other}");
        }
    }

    #[test]
    fn an_ipv6_address_counts_as_its_network() {
        let network = |text: &str| network(text.parse().unwrap());
        assert_eq!(network("2001:db8:1:2::1"), network("2001:db8:1:2:ffff::2"));
        assert_ne!(network("2001:db8:1:2::1"), network("2001:db8:1:3::1"));
        assert_eq!(network("::ffff:192.0.2.1"), network("192.0.2.1"));
        assert_ne!(network("192.0.2.1"), network("192.0.2.2"));
    }

    #[tokio::test]
    async fn an_overlong_name_is_not_tracked() {
        let site = Arc::new(site());
        let long = "n".repeat(256);
        for _ in 0..11 {
            assert_eq!(try_password(Arc::clone(&site), long.clone(), "wrong").await, 403);
        }
        assert_eq!(try_password(site, "ann".to_owned(), "right").await, 303);
    }
}
