//! The overview of an app: what it is, what it may do, whether it is used.

use askama::Template;

use super::super::access::ConsoleRole;
use super::super::chart::Chart;
use super::super::frame::{Done, Frame, Tab};
use super::super::problem::Problem;
use super::super::times::{When, duration};
use super::super::visit::Visit;
use super::super::{path, texts};
use super::audit::LastErrors;
use super::credentials;
use super::usage;
use crate::app::CustomApp;
use crate::hooks::Hooks;
use crate::http::Page;
use crate::store::Store;
use crate::users::UserDirectory;

#[derive(Template)]
#[template(path = "console/overview.html")]
struct Overview<'a> {
    frame: Frame<'a>,
    app: &'a CustomApp,
    authentication: &'static str,
    flows: String,
    origin: &'static str,
    created: When,
    changed: When,
    access: String,
    refresh: Option<String>,
    is_whole: bool,
    /// The last days, if there is an audit log, and something was counted in them.
    chart: Option<Chart>,
    more: String,
    issued: Vec<(&'static str, u64)>,
    refused: u64,
    last_used: Option<When>,
    enable: Option<String>,
    /// Of the client secrets: a sentence, and the instant that ends it.
    secrets: Vec<(String, Option<When>)>,
    credentials: String,
    errors: Option<LastErrors>,
    all_errors: String,
}

impl<S: Store, U: UserDirectory, H: Hooks> Visit<'_, S, U, H> {
    /// Shows the overview of an app.
    pub(in super::super) async fn overview(&self, segment: &str) -> Result<Page, Problem> {
        let app = self.app(segment).await?;
        let history = self.history(app.client_id(), usage::DAYS).await?;
        let (settings, now) = (app.settings(), self.now());
        let chart = history.as_ref().map(|history| Chart::new(history, usage::DAYS, now));
        let usage = match history {
            Some(history) => history.total,
            None => self.server.usage(app.client_id()),
        };
        let flows: Vec<_> = settings.flows().iter().map(|it| texts::apps::flow(*it)).collect();
        self.page(&Overview {
            frame: self.app_frame(&app, Tab::Overview),
            app: &app,
            authentication: texts::overview::authentication(settings.authentication()),
            flows: flows.join(", "),
            origin: texts::apps::origin(app.origin()),
            created: When::new(app.created_at(), now),
            changed: When::new(app.updated_at(), now),
            access: duration(settings.access_token_lifetime()),
            refresh: settings
                .issues_refresh_token()
                .then(|| duration(settings.refresh_token_lifetime())),
            is_whole: self.site.log.is_some(),
            chart: chart.filter(|chart| !chart.is_empty),
            more: self.app_link(app.client_id(), Tab::Usage.path()),
            issued: usage.issued.iter().map(|(by, count)| (by.as_str(), *count)).collect(),
            refused: usage.refused,
            last_used: usage.last_used.map(|at| When::new(at, now)),
            enable: (!app.is_enabled() && self.may(ConsoleRole::Security))
                .then(|| self.app_link(app.client_id(), "enable")),
            secrets: credentials::notices(&app, now),
            credentials: self.app_link(app.client_id(), Tab::Credentials.path()),
            errors: self.last_errors(&app).await?,
            all_errors: self.app_link(app.client_id(), "activity?outcome=errors"),
        })
    }

    /// Enables an app.
    pub(in super::super) async fn enable(&self, segment: &str) -> Result<Page, Problem> {
        self.require(ConsoleRole::Security)?;
        let client_id = path::client_id(segment).ok_or(Problem::NotFound)?;
        self.admin().enable(&client_id).await?;
        Ok(self.see(&self.app_link(&client_id, ""), Done::Enabled))
    }
}
