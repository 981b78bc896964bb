//! The usage of an app by day.

use askama::Template;

use super::super::chart::{Chart, first_day};
use super::super::frame::{Frame, Link, Tab};
use super::super::problem::Problem;
use super::super::texts;
use super::super::visit::Visit;
use crate::audit::UsageHistory;
use crate::hooks::Hooks;
use crate::http::Page;
use crate::ids::ClientId;
use crate::store::Store;
use crate::users::UserDirectory;

/// The number of days that a page shows unless the administrator chooses another.
pub(super) const DAYS: u64 = 30;

#[derive(Template)]
#[template(path = "console/usage.html")]
struct Usage<'a> {
    frame: Frame<'a>,
    choices: Vec<Link>,
    /// `None` without an audit log.
    chart: Option<Chart>,
}

impl<S: Store, U: UserDirectory, H: Hooks> Visit<'_, S, U, H> {
    /// Shows the usage of an app by day.
    pub(in super::super) async fn usage(&self, segment: &str) -> Result<Page, Problem> {
        let app = self.app(segment).await?;
        let query = self.query()?;
        let choice =
            texts::usage::CHOICES.iter().find(|(days, _)| days.to_string() == query.one("days"));
        let days = choice.map_or(DAYS, |(days, _)| *days);
        let history = self.history(app.client_id(), days).await?;
        let link = |(own, name): (u64, &'static str)| Link {
            name,
            url: self.app_link(app.client_id(), &format!("usage?days={own}")),
            is_current: own == days,
        };
        self.page(&Usage {
            frame: self.app_frame(&app, Tab::Usage),
            choices: texts::usage::CHOICES.into_iter().map(link).collect(),
            chart: history.map(|history| Chart::new(&history, days, self.now())),
        })
    }

    /// Reads the usage of an app in total and in the last days, if there is an audit log.
    pub(super) async fn history(
        &self,
        client_id: &ClientId,
        days: u64,
    ) -> Result<Option<UsageHistory>, Problem> {
        let Some(log) = &self.site.log else { return Ok(None) };
        let now = self.now();
        Ok(Some(log.history(client_id, first_day(days, now), now).await?))
    }
}
