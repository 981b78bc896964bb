//! A request of a user, the frame of the pages, and their problems.

use askama::Template;
use http::HeaderMap;
use http::request::Parts;

use super::super::fields::Fields;
use super::super::problem::Problem;
use super::super::texts::account as text;
use super::super::visit::{nothing, render};
use super::super::{own_form, path, texts};
use super::{AccountAccess, Look};
use crate::admin::{Account, AuthorizedApp};
use crate::endpoint::{Caller, Login};
use crate::hooks::Hooks;
use crate::http::Page;
use crate::http::response::see_other;
use crate::ids::{ClientId, RequestId, Source};
use crate::server::AuthorizationServer;
use crate::store::Store;
use crate::users::UserDirectory;

/// A request of a user.
pub(super) struct AccountVisit<'a, S, U, H> {
    pub(super) server: &'a AuthorizationServer<S, U, H>,
    look: &'a Look,
    pub(super) login: &'a Login,
    pub(super) parts: &'a Parts,
}

/// The frame of a page.
pub(super) struct Frame<'a> {
    pub(super) brand: &'a str,
    pub(super) logo: Option<String>,
    pub(super) style: String,
    pub(super) brand_style: String,
    pub(super) home: String,
    pub(super) title: String,
    /// The user, unless the page says that the user is signed out.
    pub(super) user: Option<&'a str>,
    /// The hidden field of each form.
    pub(super) token: String,
}

impl Frame<'_> {
    /// Shows no user.
    pub(super) fn without_user(mut self) -> Self {
        self.user = None;
        self
    }
}

#[derive(Template)]
#[template(path = "account/problem.html")]
struct ProblemPage<'a> {
    frame: Frame<'a>,
    sentence: &'static str,
}

impl<'a, S: Store, U: UserDirectory, H: Hooks> AccountVisit<'a, S, U, H> {
    pub(super) const fn new(
        server: &'a AuthorizationServer<S, U, H>,
        look: &'a Look,
        login: &'a Login,
        parts: &'a Parts,
    ) -> Self {
        Self { server, look, login, parts }
    }

    /// Answers the request for the path `below` the mount.
    pub(super) async fn answer<A: AccountAccess>(
        &self,
        access: &A,
        below: &str,
        body: &[u8],
    ) -> Result<Page, Problem> {
        let token = (!self.login.names_no_session()).then(|| self.form_token());
        let form = own_form::read(self.parts, body, self.server.issuer(), token.as_deref())?;
        let segments: Vec<&str> = below.split('/').filter(|it| !it.is_empty()).collect();
        match (form.is_some(), &*segments) {
            (false, []) => self.apps().await,
            (false, ["remove", app]) => self.confirm_removal(app).await,
            (true, ["remove", app]) => self.remove(app).await,
            (false, ["devices", app, device, "wipe"]) => self.confirm_wipe(app, device).await,
            (true, ["devices", app, device, "wipe"]) => self.wipe(app, device).await,
            (true, ["devices", app, device, "withdraw"]) => self.withdraw(app, device).await,
            (false, ["sign-out"]) => self.confirm_sign_out().await,
            (true, ["sign-out"]) => self.sign_out(access).await,
            _ => Err(Problem::NotFound),
        }
    }

    fn form_token(&self) -> String {
        let [subject, session] = self.login.binding();
        own_form::token(&[b"account form", subject, session])
    }

    /// Returns the mark of a link that says that `client_id` was removed in this session.
    pub(super) fn removal_mark(&self, client_id: &ClientId) -> String {
        let [subject, session] = self.login.binding();
        own_form::token(&[b"account removed", subject, session, client_id.as_str().as_bytes()])
    }

    /// Checks whether `mark` is of this session. Anyone can compute the mark of a login without a session.
    pub(super) fn is_removal(&self, client_id: &ClientId, mark: &str) -> bool {
        !self.login.names_no_session() && own_form::is_equal(mark, &self.removal_mark(client_id))
    }

    /// Returns the methods of the user.
    pub(super) fn account(&self) -> Account<'a, S> {
        let extensions = &self.parts.extensions;
        let mut caller = Caller::default();
        if let Some(source) = extensions.get::<Source>() {
            caller = caller.at(source);
        }
        if let Some(id) = extensions.get::<RequestId>() {
            caller = caller.with_request_id(id);
        }
        self.server.account(self.login.subject().clone()).requested_by(caller)
    }

    /// Returns the app that a segment of the path names, if it has access.
    pub(super) async fn authorized(&self, segment: &str) -> Result<AuthorizedApp, Problem> {
        let client_id = path::client_id(segment).ok_or(Problem::NotFound)?;
        let listed = self.account().apps().await?;
        let mut apps = listed.apps.into_iter();
        apps.find(|app| app.client_id == client_id).ok_or(Problem::AppGone)
    }

    /// Returns the link to a page, given as its path below the mount.
    pub(super) fn link(&self, below: &str) -> String {
        let outer = self.look.mount.outer();
        if outer.is_empty() && below.is_empty() {
            "/".to_owned()
        } else {
            format!("{outer}{below}")
        }
    }

    pub(super) fn removal_link(&self, client_id: &ClientId) -> String {
        self.link(&format!("/remove/{}", path::segment(client_id)))
    }

    /// Returns the fields of the query.
    pub(super) fn query(&self) -> Result<Fields, Problem> {
        Fields::of_query(self.parts.uri.query().unwrap_or_default())
    }

    /// Sends the browser to a link.
    #[expect(clippy::unused_self, reason = "a redirect is an answer to a visit")]
    pub(super) fn to(&self, link: &str) -> Page {
        see_other(link)
    }

    /// Returns the frame of a page with this title.
    pub(super) fn frame(&self, title: impl Into<String>) -> Frame<'a> {
        let asset = |name: &str| self.link(&format!("/assets/{name}"));
        let assets = &self.look.assets;
        Frame {
            brand: self.look.brand.name(),
            logo: assets.logo().map(asset),
            style: asset(assets.style()),
            brand_style: asset(assets.brand_style()),
            home: self.link(""),
            title: title.into(),
            user: Some(self.login.subject().as_str()),
            token: self.form_token(),
        }
    }

    /// Returns the page of a problem.
    pub(super) fn problem(&self, problem: Problem) -> Page {
        let (title, sentence) = text::problem(problem);
        let page = ProblemPage { frame: self.frame(title), sentence };
        let status = problem.status();
        let mut page = render(status, &page).unwrap_or_else(|_| nothing(status));
        problem.add_headers(&mut page);
        page
    }
}

/// Adds the host's headers to a page.
pub(super) fn with_headers(mut page: Page, headers: HeaderMap) -> Page {
    page.headers_mut().extend(headers);
    page
}
