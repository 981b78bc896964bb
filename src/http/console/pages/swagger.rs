//! The redirect URI of Swagger UI, added to an app by its address.

use askama::Template;
use http::StatusCode;

use super::super::access::ConsoleRole;
use super::super::fields::Fields;
use super::super::frame::{Crumb, Done, Frame, Tab};
use super::super::problem::Problem;
use super::super::texts::{self, app_form, swagger as text};
use super::super::visit::Visit;
use crate::admin::AdminError;
use crate::app::{AppDraft, CustomApp};
use crate::hooks::Hooks;
use crate::http::Page;
use crate::protocol::redirect_uri::RedirectUri;
use crate::store::Store;
use crate::users::UserDirectory;

/// The page of Swagger UI that receives the code.
const PAGE: &str = "oauth2-redirect.html";

#[derive(Template)]
#[template(path = "console/swagger.html")]
struct Swagger<'a> {
    frame: Frame<'a>,
    action: String,
    cancel: String,
    version: u64,
    url: &'a str,
    mistake: Option<String>,
}

impl<S: Store, U: UserDirectory, H: Hooks> Visit<'_, S, U, H> {
    /// Shows the form for the address of Swagger UI.
    pub(in super::super) async fn swagger(&self, segment: &str) -> Result<Page, Problem> {
        self.require(ConsoleRole::Edit)?;
        let app = self.app(segment).await?;
        self.swagger_form(StatusCode::OK, &app, "", None)
    }

    /// Adds the redirect URI of Swagger UI to an app.
    pub(in super::super) async fn add_swagger(
        &self,
        segment: &str,
        form: &Fields,
    ) -> Result<Page, Problem> {
        self.require(ConsoleRole::Edit)?;
        let version: u64 = form.one("version").parse().map_err(|_| Problem::BadForm)?;
        let app = self.app(segment).await?;
        let typed = form.one("url").trim();
        let invalid = StatusCode::UNPROCESSABLE_ENTITY;
        let uri = match redirect_uri(typed) {
            Ok(uri) => uri,
            Err(problem) => {
                let mistake = app_form::sentence(problem);
                return self.swagger_form(invalid, &app, typed, Some(mistake));
            }
        };
        let link = self.app_link(app.client_id(), Tab::Settings.path());
        if app.settings().redirect_uris().contains(&uri) {
            return Ok(self.see(&link, Done::Unchanged));
        }
        let draft = AppDraft::from(app.settings()).redirect_uri(uri);
        match self.save(&app, version, draft).await {
            Ok(_) => Ok(self.see(&link, Done::Saved)),
            Err(AdminError::Conflict { .. }) => {
                let app = self.app(segment).await?;
                let mistake = text::CONFLICT.to_owned();
                self.swagger_form(StatusCode::CONFLICT, &app, typed, Some(mistake))
            }
            Err(AdminError::Invalid(problem)) => {
                let mistake = app_form::sentence(problem.problem());
                self.swagger_form(invalid, &app, typed, Some(mistake))
            }
            Err(error) => Err(error.into()),
        }
    }

    fn swagger_form(
        &self,
        status: StatusCode,
        app: &CustomApp,
        url: &str,
        mistake: Option<String>,
    ) -> Result<Page, Problem> {
        let app_page = self.app_link(app.client_id(), "");
        let name = app.settings().name().to_owned();
        let frame = self.frame(text::TITLE).with_crumb(Crumb::apps(self));
        let page = Swagger {
            frame: frame.with_crumb(Crumb { name, url: app_page }).of_edit(app),
            action: self.app_link(app.client_id(), "swagger"),
            cancel: self.app_link(app.client_id(), Tab::Settings.path()),
            version: app.version(),
            url,
            mistake,
        };
        self.page_with(status, &page)
    }
}

/// Returns the redirect URI of the Swagger UI at `typed`, which may name its folder, one of its pages, or the page
/// that receives the code.
fn redirect_uri(typed: &str) -> Result<RedirectUri, &'static str> {
    let end = typed.find(['?', '#']).unwrap_or(typed.len());
    let (address, _) = typed.split_at(end);
    let is_web = address.starts_with("https://") || address.starts_with("http://");
    let after_scheme = address.find("://").map_or(0, |at| at.saturating_add(3));
    let folder = match address.rfind('/').filter(|at| *at >= after_scheme) {
        // A last segment with a dot is a page.
        Some(slash) => match address.split_at(slash) {
            (folder, page) if page.len() == 1 || page.contains('.') => folder,
            _ => address,
        },
        None => address,
    };
    if !is_web {
        return Err(text::NOT_WEB);
    }
    let uri = format!("{folder}/{PAGE}");
    RedirectUri::parse(&uri)
        .or_else(|invalid| RedirectUri::loopback_with_localhost(&uri).map_err(|_| invalid))
        .map_err(|invalid| invalid.problem)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// H22: the folder, a page and the receiving page of Swagger UI mean the same redirect URI.
    #[test]
    fn an_address_of_swagger_ui_means_its_redirect_uri() {
        for (typed, expected) in [
            (
                "https://docs.example.com/swagger/",
                "https://docs.example.com/swagger/oauth2-redirect.html",
            ),
            (
                "https://docs.example.com/swagger",
                "https://docs.example.com/swagger/oauth2-redirect.html",
            ),
            (
                "https://docs.example.com/s/index.html#/Files",
                "https://docs.example.com/s/oauth2-redirect.html",
            ),
            (
                "https://docs.example.com/s/oauth2-redirect.html",
                "https://docs.example.com/s/oauth2-redirect.html",
            ),
            ("https://docs.example.com", "https://docs.example.com/oauth2-redirect.html"),
            ("https://docs.example.com/?urls=a/b", "https://docs.example.com/oauth2-redirect.html"),
            (
                "http://localhost:8080/swagger-ui/",
                "http://localhost:8080/swagger-ui/oauth2-redirect.html",
            ),
            ("http://127.0.0.1/", "http://127.0.0.1/oauth2-redirect.html"),
        ] {
            let uri = redirect_uri(typed);
            assert_eq!(uri.as_ref().map(RedirectUri::as_str), Ok(expected), "{typed}");
        }
        for bad in [
            "",
            "/",
            "docs.example.com",
            "http://docs.example.com/",
            "myapp:/x",
            "javascript:alert(1)",
            "https://u@docs.example.com/",
            "https:///",
            "https://*.example.com/",
            "https://docs.example.com/a/../b/",
        ] {
            assert!(redirect_uri(bad).is_err(), "{bad}");
        }
    }
}
