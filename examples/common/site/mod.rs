//! The part that a service has already: users, sessions, a login, pages. It knows no web framework, and
//! `examples/host` and `examples/actix_host` share it.

mod account;
mod html;
mod users;

use std::error::Error;
use std::io::Write as _;
use std::net::IpAddr;
use std::sync::Arc;

use grantor::AuthorizationServer;
use grantor::endpoint::{AuthorizationError, AuthorizationRequest, ConsentPrompt, Login};
use grantor::http::{Interaction, Page, SessionCookie, SessionSecret};
use grantor::random::OsRandom;
use grantor::store::AnyStore;
use grantor::users::DirectoryError;
use http::header::{HeaderMap, LOCATION, SET_COOKIE};
use http::request::Parts;
use http::{HeaderValue, StatusCode};
use serde::Deserialize;

pub(crate) use account::AccountForm;
use users::Session;
pub(crate) use users::Users;

pub(crate) type BoxError = Box<dyn Error + Send + Sync>;

pub(crate) type Server = AuthorizationServer<AnyStore, Users>;

/// The host's part of the authorization endpoint, and its own pages.
pub(crate) struct Site {
    pub(crate) users: Users,
    pub(crate) server: Arc<Server>,
    pub(crate) cookie: SessionCookie,
}

#[derive(Deserialize)]
pub(crate) struct LoginForm {
    token: String,
    return_to: String,
    name: String,
    password: String,
}

impl Site {
    async fn session(&self, headers: &HeaderMap) -> Result<Option<Session>, BoxError> {
        match self.cookie.find(headers) {
            Some(secret) => self.users.session(secret).await,
            None => Ok(None),
        }
    }

    /// Shows the login form. Its token belongs to a session of this browser, which begins before the login, so
    /// that no other site can log the user in to another account.
    pub(crate) fn login_form(
        &self,
        headers: &HeaderMap,
        (return_to, name): (&str, &str),
        (status, problem): (StatusCode, &str),
    ) -> Result<Page, BoxError> {
        let known = self.cookie.find(headers);
        let secret = known.map_or_else(|| SessionSecret::generate(&OsRandom::new()), Ok)?;
        let mut page = html::login(&secret.form_token(), return_to, name, problem);
        page.headers_mut().append(SET_COOKIE, self.cookie.set(&secret));
        *page.status_mut() = status;
        Ok(page)
    }

    pub(crate) async fn log_in(
        &self,
        headers: &HeaderMap,
        form: LoginForm,
        source: IpAddr,
    ) -> Result<Page, BoxError> {
        let (name, before) = (&form.name, self.cookie.find(headers));
        // A link to a foreign site would make this page its accomplice.
        let is_own = self.server.is_return_to(&form.return_to);
        let return_to = if is_own { &form.return_to } else { "/account" };
        let problem = if !before.as_ref().is_some_and(|it| it.accepts(&form.token)) {
            (StatusCode::FORBIDDEN, "This page has expired.")
        } else if !self.users.may_try(name, &source.to_string()).await? {
            (StatusCode::TOO_MANY_REQUESTS, "Wait for a minute.")
        } else if let Some(secret) = self.users.log_in(name, form.password).await? {
            // The session is new at every login, and the one before it ends.
            if let Some(before) = before {
                self.users.end_session(&before).await?;
            }
            let mut page = see_other(return_to)?;
            page.headers_mut().append(SET_COOKIE, self.cookie.set(&secret));
            return Ok(page);
        } else {
            (StatusCode::FORBIDDEN, "The name or the password is wrong.")
        };
        self.login_form(headers, (return_to, name), problem)
    }
}

impl Interaction for Site {
    async fn login(&self, request: &Parts) -> Result<Option<Login>, DirectoryError> {
        let session = self.session(&request.headers).await.map_err(DirectoryError::new)?;
        Ok(session.map(|session| {
            let login = Login::new(session.subject, session.secret.form_token());
            login.with_auth_time(session.logged_in_at)
        }))
    }

    async fn login_page(
        &self,
        request: &Parts,
        authorization: &AuthorizationRequest,
        return_to: &str,
    ) -> Page {
        let why = format!("to continue to {}", authorization.app().settings().name());
        let name = authorization.login_hint().unwrap_or_default();
        let form = self.login_form(&request.headers, (return_to, &name), (StatusCode::OK, &why));
        form.unwrap_or_else(|error| {
            log(&format!("no login page: {error}"));
            html::page("Something went wrong", "<p>Try again in a minute.</p>")
        })
    }

    async fn consent_page(&self, _: &Parts, prompt: &ConsentPrompt, action: &str) -> Page {
        html::consent(prompt, action)
    }

    async fn error_page(&self, _: &Parts, error: &AuthorizationError) -> Page {
        let retry = if error.rejection().is_none() { "Try again in a minute." } else { "" };
        let text = format!("<p>{retry} Go back to the app and start again.</p>");
        html::page("This request cannot be completed", &text)
    }
}

fn see_other(path: &str) -> Result<Page, BoxError> {
    let mut page = Page::default();
    *page.status_mut() = StatusCode::SEE_OTHER;
    page.headers_mut().insert(LOCATION, HeaderValue::from_str(path)?);
    Ok(page)
}

/// Writes a line to standard error. A full disk must not end a request, as it would with `eprintln!`.
pub(crate) fn log(line: &str) {
    _ = writeln!(std::io::stderr(), "{line}");
}
