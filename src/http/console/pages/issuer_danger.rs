//! The danger zone of a trusted issuer: revoke what it gave, and end the trust, each on a page that names what ends.

use http::StatusCode;

use super::super::access::ConsoleRole;
use super::super::fields::Fields;
use super::super::frame::{Crumb, Done, IssuerTab};
use super::super::problem::Problem;
use super::super::texts::issuers as text;
use super::super::visit::Visit;
use super::danger::{Danger, DangerAct};
use super::issuers::apps;
use crate::admin::AdminError;
use crate::hooks::Hooks;
use crate::http::Page;
use crate::store::{IssuerRecord, RevocationTarget, Store};
use crate::users::UserDirectory;

/// An act that ends access.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Act {
    Revoke,
    Remove,
}

impl Act {
    const ALL: [(Self, &'static str, [&'static str; 4]); 2] =
        [(Self::Revoke, "revoke", text::REVOKE), (Self::Remove, "remove", text::REMOVE)];

    fn named(name: &str) -> Result<(Self, &'static str, [&'static str; 4]), Problem> {
        Self::ALL.into_iter().find(|(_, own, _)| *own == name).ok_or(Problem::NotFound)
    }
}

impl<S: Store, U: UserDirectory, H: Hooks> Visit<'_, S, U, H> {
    /// Shows what can be ended.
    pub(in super::super) async fn issuer_danger(&self, segment: &str) -> Result<Page, Problem> {
        let record = self.issuer(segment).await?;
        let issuer = record.settings.issuer();
        let acts = Act::ALL.into_iter().map(|(_, name, [title, happens, ..])| {
            (title, happens, self.issuer_link(issuer, &format!("danger/{name}")))
        });
        self.page(&Danger {
            frame: self.issuer_frame(&record, IssuerTab::Danger),
            acts: acts.collect(),
            may_act: self.may(ConsoleRole::Security),
        })
    }

    /// Shows what an act would end.
    pub(in super::super) async fn issuer_danger_act(
        &self,
        segment: &str,
        name: &str,
    ) -> Result<Page, Problem> {
        self.require(ConsoleRole::Security)?;
        let record = self.issuer(segment).await?;
        self.issuer_confirmation(StatusCode::OK, &record, name, None)
    }

    /// Acts, if it was confirmed.
    pub(in super::super) async fn issuer_act(
        &self,
        segment: &str,
        name: &str,
        form: &Fields,
    ) -> Result<Page, Problem> {
        self.require(ConsoleRole::Security)?;
        let (act, ..) = Act::named(name)?;
        let record = self.issuer(segment).await?;
        let issuer = record.settings.issuer();
        let typed = form.one("name").trim();
        if act == Act::Remove && typed != record.settings.name().trim() {
            let status = StatusCode::UNPROCESSABLE_ENTITY;
            return self.issuer_confirmation(status, &record, name, Some(typed));
        }
        match act {
            Act::Revoke => {
                self.admin().revoke(RevocationTarget::EvidenceIssuer(issuer.clone())).await?;
                Ok(self.see(&self.issuer_link(issuer, ""), Done::EvidenceRevoked))
            }
            Act::Remove => match self.admin().remove_trusted_issuer(issuer).await {
                Ok(_) => Ok(self.see(&self.link("/issuers"), Done::IssuerRemoved)),
                Err(AdminError::NotFound) => Err(Problem::IssuerGone),
                Err(error) => Err(error.into()),
            },
        }
    }

    fn issuer_confirmation(
        &self,
        status: StatusCode,
        record: &IssuerRecord,
        name: &str,
        typed: Option<&str>,
    ) -> Result<Page, Problem> {
        let (act, name, [title, happens, undo, button]) = Act::named(name)?;
        let settings = &record.settings;
        let issuer = settings.issuer();
        let crumb = Crumb { name: settings.name().to_owned(), url: self.issuer_link(issuer, "") };
        let page = DangerAct {
            frame: self.frame(title).with_crumb(Crumb::issuers(self)).with_crumb(crumb),
            happens,
            undo,
            button,
            ends: vec![
                text::access_of(apps(settings).len()),
                text::DERIVED.to_owned(),
                text::SECONDS.to_owned(),
            ],
            action: self.issuer_link(issuer, &format!("danger/{name}")),
            cancel: self.issuer_link(issuer, "danger"),
            name: (act == Act::Remove).then(|| settings.name()),
            typed: typed.unwrap_or_default(),
            is_wrong: typed.is_some(),
            may_wipe: false,
        };
        self.page_with(status, &page)
    }
}
