//! *Revoke everything*: a page of its own, which asks for a word.

use std::collections::BTreeSet;

use askama::Template;
use http::StatusCode;

use super::super::access::ConsoleRole;
use super::super::fields::Fields;
use super::super::frame::{Crumb, Done, Frame};
use super::super::problem::Problem;
use super::super::texts::{self, server as text};
use super::super::visit::Visit;
use crate::hooks::Hooks;
use crate::http::Page;
use crate::store::{self, GrantFilter, RevocationTarget, Store};
use crate::users::UserDirectory;

/// The number of grants that are read to say what ends.
const COUNTED: usize = 200;

#[derive(Template)]
#[template(path = "console/revoke_all.html")]
struct RevokeAll<'a> {
    frame: Frame<'a>,
    ends: Vec<String>,
    action: String,
    cancel: String,
    typed: &'a str,
    is_wrong: bool,
}

impl<S: Store, U: UserDirectory, H: Hooks> Visit<'_, S, U, H> {
    /// Shows what would end.
    pub(in super::super) async fn confirm_revoke_all(&self) -> Result<Page, Problem> {
        self.require(ConsoleRole::Security)?;
        self.revoke_all_form(StatusCode::OK, None).await
    }

    /// Revokes everything, if the word was typed.
    pub(in super::super) async fn revoke_all(&self, form: &Fields) -> Result<Page, Problem> {
        self.require(ConsoleRole::Security)?;
        let typed = form.one("word").trim();
        if typed != text::WORD {
            return self.revoke_all_form(StatusCode::UNPROCESSABLE_ENTITY, Some(typed)).await;
        }
        self.admin().revoke(RevocationTarget::Everything).await?;
        Ok(self.see(&self.link("/server"), Done::RevokedEverything))
    }

    async fn revoke_all_form(
        &self,
        status: StatusCode,
        typed: Option<&str>,
    ) -> Result<Page, Problem> {
        let live = GrantFilter::all().live_at(self.now());
        let found = self.admin().grants(&live, store::Page::first(COUNTED)).await?;
        let users: BTreeSet<_> = found.items.iter().map(|grant| grant.subject.as_str()).collect();
        let devices: BTreeSet<_> = found.items.iter().filter_map(|it| it.device.as_ref()).collect();
        let is_more = found.next.is_some();
        let page = RevokeAll {
            frame: self.frame(text::REVOKE).with_crumb(Crumb::server(self)),
            ends: vec![
                texts::danger::grants(found.items.len(), is_more),
                texts::danger::users_and_devices(users.len(), devices.len(), is_more),
            ],
            action: self.link("/server/revoke"),
            cancel: self.link("/server"),
            typed: typed.unwrap_or_default(),
            is_wrong: typed.is_some(),
        };
        self.page_with(status, &page)
    }
}
