//! A request of an administrator, and the answers to it.

use std::sync::Arc;

use askama::Template;
use http::header::{self, HeaderName, HeaderValue};
use http::request::Parts;
use http::{Method, StatusCode};

use super::access::{Administrator, ConsoleRole};
use super::fields::Fields;
use super::frame::{Done, wiped_field};
use super::problem::Problem;
use super::{Site, own_form, path, texts};
use crate::admin::{Admin, RevokedAndWiped};
use crate::app::CustomApp;
use crate::clock::UnixTime;
use crate::hooks::Hooks;
use crate::http::Page;
use crate::http::response::{empty, protect_page, see_other};
use crate::ids::{ClientId, EvidenceIssuer};
use crate::server::AuthorizationServer;
use crate::store::{IssuerRecord, Store};
use crate::users::UserDirectory;

/// Nothing inline, and nothing of another origin.
pub(super) const POLICY: &str = "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; form-action 'self'; \
     frame-ancestors 'none'; base-uri 'none'";
const HTML: HeaderValue = HeaderValue::from_static("text/html; charset=utf-8");

/// A request of an administrator.
pub(super) struct Visit<'a, S, U, H> {
    pub(super) server: &'a AuthorizationServer<S, U, H>,
    pub(super) site: &'a Site,
    pub(super) who: &'a Administrator,
    pub(super) parts: &'a Parts,
}

impl<'a, S: Store, U: UserDirectory, H: Hooks> Visit<'a, S, U, H> {
    pub(super) const fn new(
        server: &'a AuthorizationServer<S, U, H>,
        site: &'a Site,
        who: &'a Administrator,
        parts: &'a Parts,
    ) -> Self {
        Self { server, site, who, parts }
    }

    /// Answers the request for the path `below` the console.
    pub(super) async fn answer(&self, below: &str, body: &[u8]) -> Result<Page, Problem> {
        let token = (!self.who.names_no_session()).then(|| self.who.form_token());
        let form = own_form::read(self.parts, body, self.server.issuer(), token.as_deref())?;
        let segments: Vec<&str> = below.split('/').filter(|it| !it.is_empty()).collect();
        self.route(form.is_some(), &segments, &form.unwrap_or_default()).await
    }

    /// Refuses an administrator with a lower role.
    pub(super) fn require(&self, role: ConsoleRole) -> Result<(), Problem> {
        if self.may(role) { Ok(()) } else { Err(Problem::Role(role)) }
    }

    pub(super) fn may(&self, role: ConsoleRole) -> bool {
        self.who.role() >= role
    }

    /// Returns the administrator's methods.
    pub(super) fn admin(&self) -> Admin<'a, S> {
        self.server.admin(Arc::clone(self.who.name()))
    }

    pub(super) fn now(&self) -> UnixTime {
        self.server.now()
    }

    /// Returns the fields of the query.
    pub(super) fn query(&self) -> Result<Fields, Problem> {
        Fields::of_query(self.parts.uri.query().unwrap_or_default())
    }

    /// Returns the app that a segment of the path names.
    pub(super) async fn app(&self, segment: &str) -> Result<Arc<CustomApp>, Problem> {
        let client_id = path::client_id(segment).ok_or(Problem::NotFound)?;
        self.admin().find(&client_id).await?.ok_or(Problem::AppGone)
    }

    /// Returns the trusted issuer that a segment of the path names.
    pub(super) async fn issuer(&self, segment: &str) -> Result<IssuerRecord, Problem> {
        let issuer = path::issuer(segment).ok_or(Problem::NotFound)?;
        let all = self.admin().trusted_issuers().await?;
        all.into_iter().find(|it| *it.settings.issuer() == issuer).ok_or(Problem::IssuerGone)
    }

    /// Returns the link to a page, given as its path below the console.
    pub(super) fn link(&self, below: &str) -> String {
        format!("{}{below}", self.site.mount.outer())
    }

    /// Returns the link to a page of an app. `tab` is empty for the first.
    pub(super) fn app_link(&self, client_id: &ClientId, tab: &str) -> String {
        let slash = if tab.is_empty() { "" } else { "/" };
        self.link(&format!("/apps/{}{slash}{tab}", path::segment(client_id)))
    }

    /// Returns the link to a page of a trusted issuer. `tab` is empty for the first.
    pub(super) fn issuer_link(&self, issuer: &EvidenceIssuer, tab: &str) -> String {
        let slash = if tab.is_empty() { "" } else { "/" };
        self.link(&format!("/issuers/{}{slash}{tab}", path::segment_of(issuer.as_str())))
    }

    /// Returns a page.
    #[expect(clippy::unused_self, reason = "a page is an answer to a visit")]
    pub(super) fn page(&self, template: &impl Template) -> Result<Page, Problem> {
        render(StatusCode::OK, template)
    }

    /// Returns a page with another status.
    #[expect(clippy::unused_self, reason = "a page is an answer to a visit")]
    pub(super) fn page_with(
        &self,
        status: StatusCode,
        template: &impl Template,
    ) -> Result<Page, Problem> {
        render(status, template)
    }

    /// Sends the browser to a link after a change. The next page says that it is done.
    pub(super) fn see(&self, link: &str, done: Done) -> Page {
        see_other(&format!("{link}?done={}", done.field(self.who)))
    }

    /// Sends the browser to a link after a revocation that also wiped.
    pub(super) fn see_wiped(&self, link: &str, done: &RevokedAndWiped) -> Page {
        let numbers = texts::devices::numbers(done);
        see_other(&format!("{link}?done={}", wiped_field(numbers, self.who)))
    }

    /// Sends the browser to a link.
    #[expect(clippy::unused_self, reason = "a redirect is an answer to a visit")]
    pub(super) fn to(&self, link: &str) -> Page {
        see_other(link)
    }
}

/// Renders a template.
pub(super) fn render(status: StatusCode, template: &impl Template) -> Result<Page, Problem> {
    // Writing to a string cannot fail.
    let html = template.render().map_err(|_| Problem::Unavailable)?;
    let mut page = Page::new(html.into_bytes());
    *page.status_mut() = status;
    page.headers_mut().insert(header::CONTENT_TYPE, HTML);
    Ok(page)
}

/// Adds the headers that every answer has. Those of the host's own answers stay.
fn protect(page: &mut Page) {
    const MORE: [(HeaderName, HeaderValue); 2] = [
        (header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY)),
        (
            HeaderName::from_static("cross-origin-opener-policy"),
            HeaderValue::from_static("same-origin"),
        ),
    ];
    for (name, value) in MORE {
        page.headers_mut().entry(name).or_insert(value);
    }
    protect_page(page);
}

/// Completes an answer to `method`.
pub(super) fn finish(page: &mut Page, method: &Method) {
    protect(page);
    if method == Method::HEAD {
        let length = page.body().len();
        page.headers_mut().insert(header::CONTENT_LENGTH, length.into());
        page.body_mut().clear();
    }
}

/// Returns an empty answer.
pub(super) fn nothing(status: StatusCode) -> Page {
    empty(status)
}
