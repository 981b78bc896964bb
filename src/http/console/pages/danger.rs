//! The danger zone of an app: disable, revoke everything, delete, each on a page that names what ends.

use askama::Template;
use http::StatusCode;

use super::super::access::ConsoleRole;
use super::super::fields::Fields;
use super::super::frame::{Crumb, Done, Frame, Tab};
use super::super::problem::Problem;
use super::super::texts::{self, danger as text};
use super::super::visit::Visit;
use super::revoke_access::WIPE;
use crate::app::CustomApp;
use crate::hooks::Hooks;
use crate::http::Page;
use crate::store::{GrantFilter, RevocationTarget, Store};
use crate::users::UserDirectory;

/// An act that ends access.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Act {
    Disable,
    Revoke,
    Delete,
}

impl Act {
    const ALL: [(Self, &'static str, [&'static str; 4]); 3] = [
        (Self::Disable, "disable", text::DISABLE),
        (Self::Revoke, "revoke", text::REVOKE),
        (Self::Delete, "delete", text::DELETE),
    ];

    fn named(name: &str) -> Option<(Self, &'static str, [&'static str; 4])> {
        Self::ALL.into_iter().find(|(_, own, _)| *own == name)
    }
}

#[derive(Template)]
#[template(path = "console/danger.html")]
pub(super) struct Danger<'a> {
    pub(super) frame: Frame<'a>,
    /// Title, explanation, link.
    pub(super) acts: Vec<(&'static str, &'static str, String)>,
    pub(super) may_act: bool,
}

#[derive(Template)]
#[template(path = "console/danger_act.html")]
pub(super) struct DangerAct<'a> {
    pub(super) frame: Frame<'a>,
    pub(super) happens: &'static str,
    pub(super) undo: &'static str,
    pub(super) button: &'static str,
    pub(super) ends: Vec<String>,
    pub(super) action: String,
    pub(super) cancel: String,
    /// The name to type.
    pub(super) name: Option<&'a str>,
    pub(super) typed: &'a str,
    pub(super) is_wrong: bool,
    /// Whether the devices may be wiped, too.
    pub(super) may_wipe: bool,
}

impl<S: Store, U: UserDirectory, H: Hooks> Visit<'_, S, U, H> {
    /// Shows what can be ended.
    pub(in super::super) async fn danger(&self, segment: &str) -> Result<Page, Problem> {
        let app = self.app(segment).await?;
        let acts =
            Act::ALL.into_iter().filter(|(act, ..)| *act != Act::Disable || app.is_enabled());
        let acts = acts.map(|(_, name, [title, happens, ..])| {
            (title, happens, self.app_link(app.client_id(), &format!("danger/{name}")))
        });
        self.page(&Danger {
            frame: self.app_frame(&app, Tab::Danger),
            acts: acts.collect(),
            may_act: self.may(ConsoleRole::Security),
        })
    }

    /// Shows what an act would end.
    pub(in super::super) async fn danger_act(
        &self,
        segment: &str,
        name: &str,
    ) -> Result<Page, Problem> {
        self.require(ConsoleRole::Security)?;
        let app = self.app(segment).await?;
        self.confirmation(StatusCode::OK, &app, name, None).await
    }

    /// Acts, if it was confirmed.
    pub(in super::super) async fn act(
        &self,
        segment: &str,
        name: &str,
        form: &Fields,
    ) -> Result<Page, Problem> {
        self.require(ConsoleRole::Security)?;
        let (act, ..) = Act::named(name).ok_or(Problem::NotFound)?;
        let app = self.app(segment).await?;
        let typed = form.one("name").trim();
        if act == Act::Delete && typed != app.settings().name().trim() {
            let status = StatusCode::UNPROCESSABLE_ENTITY;
            return self.confirmation(status, &app, name, Some(typed)).await;
        }
        let (admin, client_id) = (self.admin(), app.client_id());
        let overview = self.app_link(client_id, "");
        Ok(match act {
            Act::Disable => {
                admin.disable(client_id).await?;
                self.see(&overview, Done::Disabled)
            }
            Act::Revoke => {
                let target = RevocationTarget::App(client_id.clone());
                if self.may_wipe(&app) && form.has(WIPE) {
                    let done = admin.revoke_and_wipe(target).await?;
                    self.see_wiped(&overview, &done)
                } else {
                    admin.revoke(target).await?;
                    self.see(&overview, Done::Revoked)
                }
            }
            Act::Delete => {
                admin.delete(client_id).await?;
                self.see(&self.link("/apps"), Done::Deleted)
            }
        })
    }

    async fn confirmation(
        &self,
        status: StatusCode,
        app: &CustomApp,
        name: &str,
        typed: Option<&str>,
    ) -> Result<Page, Problem> {
        let (act, name, words) = Act::named(name).ok_or(Problem::NotFound)?;
        let [title, happens, undo, button] = words;
        let ends = self.ends_of(GrantFilter::all().of_app(app.client_id().clone())).await?;
        let crumb = Crumb {
            name: app.settings().name().to_owned(),
            url: self.app_link(app.client_id(), ""),
        };
        let frame = self.frame(title).with_crumb(Crumb::apps(self)).with_crumb(crumb);
        let page = DangerAct {
            frame,
            happens,
            undo,
            button,
            ends,
            action: self.app_link(app.client_id(), &format!("danger/{name}")),
            cancel: self.app_link(app.client_id(), "danger"),
            name: (act == Act::Delete).then(|| app.settings().name()),
            typed: typed.unwrap_or_default(),
            is_wrong: typed.is_some(),
            may_wipe: act == Act::Revoke && self.may_wipe(app),
        };
        self.page_with(status, &page)
    }
}
