//! The page that shows new secrets, once.

use std::fmt::Write as _;

use askama::Template;
use http::{Method, StatusCode};
use zeroize::Zeroizing;

use super::super::access::ConsoleRole;
use super::super::frame::{Crumb, Frame};
use super::super::playground::Playground;
use super::super::problem::Problem;
use super::super::snippets::shell_word;
use super::super::visit::{Visit, nothing};
use super::super::{once, path, texts};
use crate::app::AppCredentials;
use crate::hooks::Hooks;
use crate::http::Page;
use crate::protocol::paths::ServerEndpoint;
use crate::secret::{ClientSecret, SignatureSecret};
use crate::store::Store;
use crate::users::UserDirectory;

#[derive(Template)]
#[template(path = "console/new_credentials.html")]
struct NewCredentials<'a> {
    frame: Frame<'a>,
    /// Label, id of the element, value.
    values: Vec<(&'static str, &'static str, &'a str)>,
    environment: &'a str,
    app: String,
}

#[derive(Template)]
#[template(path = "console/shown_credentials.html")]
struct ShownCredentials<'a> {
    frame: Frame<'a>,
    app: String,
}

impl<S: Store, U: UserDirectory, H: Hooks> Visit<'_, S, U, H> {
    /// Gives the browser sealed credentials.
    pub(in super::super) fn send_once(&self, page: &mut Page, sealed: &str) {
        once::send(page, &self.site.mount, self.is_https(), sealed);
    }

    /// Shows new secrets, or that they were shown.
    pub(in super::super) async fn new_credentials(&self, segment: &str) -> Result<Page, Problem> {
        self.require(ConsoleRole::Edit)?;
        if self.parts.method == Method::HEAD {
            // It would use them up.
            return Ok(nothing(StatusCode::OK));
        }
        let client_id = path::client_id(segment).ok_or(Problem::NotFound)?;
        let app = self.app_link(&client_id, "");
        let opened = once::find(&self.parts.headers).and_then(|sealed| {
            let opened = self.admin().open_credentials(sealed, self.who.session())?;
            (opened.client_id == client_id).then_some((sealed, opened))
        });
        // Read first: if the store fails, a reload shows the credentials.
        let found = self.admin().find(&client_id).await?;
        let opened = opened.filter(|(sealed, _)| self.site.shown.is_first(sealed, self.now()));
        let Some((_, opened)) = opened else {
            let crumb = Crumb::apps(self);
            let frame = self.frame(texts::new_credentials::SHOWN_TITLE).with_crumb(crumb);
            return self.page_with(StatusCode::GONE, &ShownCredentials { frame, app });
        };
        let mut frame = self.frame(texts::new_credentials::TITLE).with_crumb(Crumb::apps(self));
        if let Some(found) = found {
            let name = found.settings().name().to_owned();
            frame = frame.with_crumb(Crumb { name, url: app.clone() });
        }
        let environment = self.environment(&opened);
        let secret = opened.client_secret.as_ref().map(ClientSecret::expose_secret);
        let signature = opened.signature_secret.as_ref().map(SignatureSecret::expose_secret);
        let values = [
            (texts::new_credentials::CLIENT_ID, "client-id", Some(client_id.as_str())),
            (texts::new_credentials::CLIENT_SECRET, "client-secret", secret),
            (texts::new_credentials::SIGNATURE_SECRET, "signature-secret", signature),
        ];
        let values = values.into_iter().filter_map(|(label, id, it)| Some((label, id, it?)));
        let mut page = self.page(&NewCredentials {
            frame,
            values: values.collect(),
            environment: &environment,
            app,
        })?;
        once::forget(&mut page, &self.site.mount, self.is_https());
        Ok(page)
    }

    /// Checks whether browsers see the console by `https`: at its own origin, or else at the issuer's.
    fn is_https(&self) -> bool {
        let own = self.site.playground.as_ref().and_then(Playground::console_origin);
        own.unwrap_or(self.server.issuer().as_str()).starts_with("https://")
    }

    /// Returns the lines of an environment file.
    fn environment(&self, credentials: &AppCredentials) -> Zeroizing<String> {
        let issuer = self.server.issuer();
        let endpoint = self.server.paths().url(issuer, ServerEndpoint::Token);
        let secret = credentials.client_secret.as_ref().map(ClientSecret::expose_secret);
        let signature = credentials.signature_secret.as_ref().map(SignatureSecret::expose_secret);
        // Room for all: a reallocation would leave a copy that is not zeroized.
        let mut lines = Zeroizing::new(String::with_capacity(4096));
        for (name, value) in [
            ("OAUTH_ISSUER", Some(issuer.as_str())),
            ("OAUTH_TOKEN_ENDPOINT", endpoint.as_deref()),
            ("OAUTH_CLIENT_ID", Some(credentials.client_id.as_str())),
            ("OAUTH_CLIENT_SECRET", secret),
            ("OAUTH_SIGNATURE_SECRET", signature),
        ] {
            if let Some(value) = value {
                // Writing to a string cannot fail.
                _ = writeln!(lines, "{name}={}", shell_word(value));
            }
        }
        lines
    }
}
