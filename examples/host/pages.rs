//! The pages of the host: login, consent, and the user's view of the apps.

use std::fmt::Write as _;
use std::net::SocketAddr;
use std::sync::Arc;

use axum::extract::{ConnectInfo, Form, State};
use axum::http::header::{self, HeaderMap, HeaderValue};
use axum::http::request::Parts;
use axum::http::{Response, StatusCode};
use axum::response::{IntoResponse, Redirect};
use axum::routing::get;
use axum::{Router, body::Body};
use grantor::AuthorizationServer;
use grantor::endpoint::{AuthorizationError, AuthorizationRequest, ConsentPrompt, Login};
use grantor::http::{Interaction, Page};
use grantor::ids::ClientId;
use grantor::protocol::ServerEndpoint;
use grantor::store::AnyStore;
use grantor::users::DirectoryError;
use serde::Deserialize;

use crate::users::{LogIn, Session, Users, random_text};
use crate::{BoxError, Endpoints, log};

/// A request that failed for a reason of the host's own. The browser learns only that.
pub(crate) struct Failed(BoxError);

impl<E: Into<BoxError>> From<E> for Failed {
    fn from(error: E) -> Self {
        Self(error.into())
    }
}

impl IntoResponse for Failed {
    fn into_response(self) -> Response<Body> {
        log(&format!("a request failed: {}", self.0));
        (StatusCode::SERVICE_UNAVAILABLE, "Try again in a minute.").into_response()
    }
}

type Answer = Result<Response<Body>, Failed>;

pub(crate) fn router(endpoints: &Arc<Endpoints>) -> Router {
    Router::new()
        .route("/", get(Redirect::to("/account")))
        .route("/login", get(show_login).post(log_in))
        .route("/account", get(account).post(change_account))
        .route("/callback", get("This page stands for the app. The code is in the address bar."))
        .with_state(Arc::clone(endpoints))
}

/// The host's part of the authorization endpoint.
pub(crate) struct Site {
    users: Users,
    /// The path of the authorization endpoint. A login returns to it.
    authorize: String,
    secure: bool,
}

impl Site {
    pub(crate) fn new(users: Users, server: &AuthorizationServer<AnyStore, Users>) -> Self {
        let (issuer, paths) = (server.issuer(), server.paths());
        let authorize = paths.full(issuer, ServerEndpoint::Authorization).unwrap_or_default();
        Self { users, authorize, secure: issuer.as_str().starts_with("https:") }
    }

    /// Over https, the prefix keeps other hosts of the domain from planting the cookie.
    fn cookie_name(&self, name: &str) -> String {
        format!("{}host_{name}", if self.secure { "__Host-" } else { "" })
    }

    fn cookie<'a>(&self, headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
        let name = self.cookie_name(name);
        let sent = headers.get_all(header::COOKIE).iter().filter_map(|it| it.to_str().ok());
        let mut pairs =
            sent.flat_map(|it| it.split(';')).filter_map(|it| it.trim().split_once('='));
        pairs.find(|(own, _)| *own == name).map(|(_, value)| value)
    }

    fn set_cookie<B>(
        &self,
        page: &mut Response<B>,
        name: &str,
        value: &str,
    ) -> Result<(), BoxError> {
        let secure = if self.secure { "; Secure" } else { "" };
        let name = self.cookie_name(name);
        let cookie = format!("{name}={value}; Path=/; HttpOnly; SameSite=Lax{secure}");
        page.headers_mut().append(header::SET_COOKIE, HeaderValue::try_from(cookie)?);
        Ok(())
    }

    async fn session(&self, headers: &HeaderMap) -> Result<Option<Session>, BoxError> {
        match self.cookie(headers, "session") {
            Some(cookie) => self.users.session(cookie).await,
            None => Ok(None),
        }
    }

    /// Renders the login form. Its token and a cookie of this browser have the same value, so that no other
    /// site can log the user in to another account.
    fn login_form(
        &self,
        headers: &HeaderMap,
        return_to: &str,
        name: &str,
        problem: &str,
    ) -> Result<Page, BoxError> {
        let known = self.cookie(headers, "form").map(str::to_owned);
        let token = known.clone().map_or_else(random_text, Ok)?;
        let mut shown = page(
            "Sign in",
            &format!(
                "<p>{}</p><form method=\"post\" action=\"/login\">\
             <input type=\"hidden\" name=\"token\" value=\"{}\">\
             <input type=\"hidden\" name=\"return_to\" value=\"{}\">\
             <p><label>Name <input name=\"name\" value=\"{}\" autocomplete=\"username\" required></label></p>\
             <p><label>Password <input type=\"password\" name=\"password\" \
             autocomplete=\"current-password\" required></label></p><button>Sign in</button></form>",
                escape(problem),
                escape(&token),
                escape(return_to),
                escape(name),
            ),
        );
        if known.is_none() {
            self.set_cookie(&mut shown, "form", &token)?;
        }
        Ok(shown)
    }
}

impl Interaction for Site {
    async fn login(&self, request: &Parts) -> Result<Option<Login>, DirectoryError> {
        let session = self.session(&request.headers).await.map_err(DirectoryError::new)?;
        let login = |it: Session| Login::new(it.subject, it.token).with_auth_time(it.logged_in_at);
        Ok(session.map(login))
    }

    async fn login_page(
        &self,
        request: &Parts,
        authorization: &AuthorizationRequest,
        return_to: &str,
    ) -> Page {
        let why = format!("to continue to {}", authorization.app().settings().name());
        let name = authorization.login_hint().unwrap_or_default();
        self.login_form(&request.headers, return_to, &name, &why).unwrap_or_else(|error| {
            log(&format!("no login page: {error}"));
            page("Something went wrong", "<p>Try again in a minute.</p>")
        })
    }

    async fn consent_page(&self, _: &Parts, prompt: &ConsentPrompt, action: &str) -> Page {
        let mut body = format!(
            "<p>{}</p><p>You are {}. It will be able to:</p><form method=\"post\" action=\"{}\">\
             <input type=\"hidden\" name=\"ticket\" value=\"{}\">",
            escape(&prompt.app_description),
            escape(prompt.subject.as_str()),
            escape(action),
            escape(&prompt.ticket),
        );
        for scope in &prompt.scopes {
            let (token, titles) = (escape(&scope.token), escape(&scope.titles.join(", ")));
            let text = if titles.is_empty() { &token } else { &titles };
            _ = write!(
                body,
                "<p><label><input type=\"checkbox\" name=\"scope\" value=\"{token}\" checked>{text}</label></p>"
            );
        }
        if prompt.can_be_remembered {
            body.push_str(
                "<p><label><input type=\"checkbox\" name=\"remember\">Do not ask again</label></p>",
            );
        }
        body.push_str(
            "<button name=\"decision\" value=\"approve\">Allow</button> \
             <button name=\"decision\" value=\"deny\">Deny</button></form>",
        );
        page(&format!("{} asks for access", prompt.app_name), &body)
    }

    async fn error_page(&self, _: &Parts, error: &AuthorizationError) -> Page {
        let retry = if error.rejection().is_none() { "Try again in a minute." } else { "" };
        page(
            "This request cannot be completed",
            &format!("<p>{retry} Go back to the app and start again.</p>"),
        )
    }
}

async fn show_login(State(endpoints): State<Arc<Endpoints>>, headers: HeaderMap) -> Answer {
    Ok(endpoints.interaction().login_form(&headers, "/account", "", "")?.map(Body::from))
}

#[derive(Deserialize)]
struct LoginForm {
    token: String,
    return_to: String,
    name: String,
    password: String,
}

async fn log_in(
    State(endpoints): State<Arc<Endpoints>>,
    ConnectInfo(address): ConnectInfo<SocketAddr>,
    headers: HeaderMap,
    Form(form): Form<LoginForm>,
) -> Answer {
    let site = endpoints.interaction();
    // A link to a foreign site would make this page its accomplice.
    let query = form.return_to.strip_prefix(&site.authorize).filter(|rest| rest.starts_with('?'));
    let return_to = if query.is_some() { &form.return_to } else { "/account" };
    let (status, problem) = if site.cookie(&headers, "form") == Some(&form.token) {
        let source = address.ip().to_string();
        match site.users.log_in(&form.name, form.password, &source).await? {
            LogIn::Done(cookie) => {
                // The session is new at every login, and the one before it ends.
                if let Some(before) = site.cookie(&headers, "session") {
                    site.users.end_session(before).await?;
                }
                let mut answer = Redirect::to(return_to).into_response();
                site.set_cookie(&mut answer, "session", &cookie)?;
                return Ok(answer);
            }
            LogIn::Wrong => (StatusCode::FORBIDDEN, "The name or the password is wrong."),
            LogIn::TooMany => (StatusCode::TOO_MANY_REQUESTS, "Wait for a minute."),
        }
    } else {
        (StatusCode::FORBIDDEN, "This page has expired.")
    };
    let page = site.login_form(&headers, return_to, &form.name, problem)?.map(Body::from);
    Ok((status, page).into_response())
}

async fn account(State(endpoints): State<Arc<Endpoints>>, headers: HeaderMap) -> Answer {
    let Some(session) = endpoints.interaction().session(&headers).await? else {
        return Ok(Redirect::to("/login").into_response());
    };
    let button = |action: &str, app: &str, text: &str| {
        let (token, app) = (escape(&session.token), escape(app));
        format!(
            "<form method=\"post\"><input type=\"hidden\" name=\"token\" value=\"{token}\">\
             <input type=\"hidden\" name=\"app\" value=\"{app}\">\
             <button name=\"action\" value=\"{action}\">{text}</button></form>"
        )
    };
    let mut body = format!("<p>You are {}.</p>", escape(session.subject.as_str()));
    for app in endpoints.server().account(session.subject.clone()).apps().await?.apps {
        let may: Vec<_> = app.scopes.into_iter().flat_map(|scope| scope.titles).collect();
        let (name, may) = (escape(&app.name), escape(&may.join(", ")));
        let remove = button("remove", app.client_id.as_str(), "Remove");
        _ = write!(body, "<p><b>{name}</b>: {may}</p>{remove}");
    }
    body.push_str(&button("everywhere", "", "Sign out everywhere"));
    body.push_str(&button("here", "", "Sign out here"));
    Ok(page("Your apps", &body).map(Body::from))
}

#[derive(Deserialize)]
struct AccountForm {
    token: String,
    action: String,
    app: String,
}

async fn change_account(
    State(endpoints): State<Arc<Endpoints>>,
    headers: HeaderMap,
    Form(form): Form<AccountForm>,
) -> Answer {
    let site = endpoints.interaction();
    // The token proves that the form comes from a page of this session.
    let session = site.session(&headers).await?.filter(|session| session.token == form.token);
    let Some(session) = session else {
        return Ok((StatusCode::FORBIDDEN, "This page has expired.").into_response());
    };
    let account = endpoints.server().account(session.subject.clone());
    match form.action.as_str() {
        "remove" => drop(account.remove(&ClientId::new(form.app)?).await?),
        "everywhere" => {
            site.users.end_sessions_of(&session.subject).await?;
            account.sign_out_everywhere().await?;
        }
        _ => site.users.end_session(site.cookie(&headers, "session").unwrap_or_default()).await?,
    }
    Ok(Redirect::to("/account").into_response())
}

/// Renders a page. `body` is HTML whose texts are escaped.
fn page(title: &str, body: &str) -> Page {
    let title = escape(title);
    let html = format!(
        "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\"><title>{title}</title>\
         <h1>{title}</h1>{body}</html>"
    );
    let mut page = Page::new(html.into_bytes());
    for (name, value) in [
        (header::CONTENT_TYPE, "text/html; charset=utf-8"),
        (header::CACHE_CONTROL, "no-store"),
        (header::REFERRER_POLICY, "same-origin"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        // No `form-action`, because browsers apply it to the redirect to the app, too.
        (
            header::CONTENT_SECURITY_POLICY,
            "default-src 'none'; base-uri 'none'; frame-ancestors 'none'",
        ),
    ] {
        page.headers_mut().insert(name, HeaderValue::from_static(value));
    }
    page
}

fn escape(text: &str) -> String {
    let quoted = text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
    quoted.replace('"', "&quot;").replace('\'', "&#39;")
}
