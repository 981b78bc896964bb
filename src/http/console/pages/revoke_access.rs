//! The end of a grant, of a user in one app, and of a user everywhere, each on a page that names what ends.

use std::collections::BTreeSet;

use askama::Template;

use super::super::access::ConsoleRole;
use super::super::fields::Fields;
use super::super::frame::{Crumb, Done, Frame};
use super::super::problem::Problem;
use super::super::visit::Visit;
use super::super::{path, texts};
use crate::app::CustomApp;
use crate::hooks::Hooks;
use crate::http::Page;
use crate::ids::{DeviceId, Subject};
use crate::store::{self, Grant, GrantFilter, RevocationTarget, Store};
use crate::users::UserDirectory;

/// The box that also wipes.
pub(super) const WIPE: &str = "wipe";

#[derive(Template)]
#[template(path = "console/revoke_access.html")]
pub(super) struct RevokeAccess<'a> {
    pub(super) frame: Frame<'a>,
    pub(super) user: &'a str,
    pub(super) device: Option<&'a str>,
    pub(super) happens: &'static str,
    pub(super) undo: &'static str,
    pub(super) button: &'static str,
    pub(super) ends: Vec<String>,
    pub(super) action: String,
    pub(super) cancel: String,
    /// The hidden field that names a grant, or a user of an app.
    pub(super) field: Option<(&'static str, String)>,
    /// Whether the devices may be wiped, too.
    pub(super) may_wipe: bool,
}

/// The access of an app that is to end.
enum Named {
    Grant(Box<Grant>),
    User(Subject),
}

impl<S: Store, U: UserDirectory, H: Hooks> Visit<'_, S, U, H> {
    /// Reads the grant of `app`, or the user, that the fields name.
    async fn named(&self, app: &CustomApp, fields: &Fields) -> Result<Named, Problem> {
        if let Ok(grant_id) = fields.one("grant").parse() {
            let found = self.admin().find_grant(&grant_id).await?;
            let own = found.filter(|grant| grant.client_id == *app.client_id());
            return own.map(|grant| Named::Grant(Box::new(grant))).ok_or(Problem::NotFound);
        }
        Subject::new(fields.one("user")).map(Named::User).map_err(|_| Problem::NotFound)
    }

    /// Shows what the revocation of a grant, or of a user in an app, would end.
    pub(in super::super) async fn revoke_in_app(&self, segment: &str) -> Result<Page, Problem> {
        self.require(ConsoleRole::Security)?;
        let app = self.app(segment).await?;
        let named = self.named(&app, &self.query()?).await?;
        let users = self.app_link(app.client_id(), "users");
        let (words, subject, device, field, ends) = match &named {
            Named::Grant(grant) => {
                let field = ("grant", grant.grant_id.to_string());
                let ends = if self.admin().is_live(grant).await? {
                    texts::danger::grants(1, false)
                } else {
                    texts::users::HAS_ENDED.to_owned()
                };
                let device = grant.device.as_ref().map(DeviceId::as_str);
                (texts::users::ONE_GRANT, &grant.subject, device, field, vec![ends])
            }
            Named::User(subject) => {
                let field = ("user", subject.to_string());
                let of_user = GrantFilter::all().of_app(app.client_id().clone());
                let ends = self.ends_of(of_user.of_subject(subject.clone())).await?;
                (texts::users::USER_IN_APP, subject, None, field, ends)
            }
        };
        let [title, happens, undo, button] = words;
        let name = app.settings().name().to_owned();
        let crumb = Crumb { name, url: users.clone() };
        self.page(&RevokeAccess {
            frame: self.frame(title).with_crumb(Crumb::apps(self)).with_crumb(crumb),
            user: subject.as_str(),
            device,
            happens,
            undo,
            button,
            ends,
            action: format!("{users}/revoke"),
            cancel: users,
            field: Some(field),
            may_wipe: matches!(named, Named::User(_)) && self.may_wipe(&app),
        })
    }

    /// Revokes a grant, or a user in an app.
    pub(in super::super) async fn end_in_app(
        &self,
        segment: &str,
        form: &Fields,
    ) -> Result<Page, Problem> {
        self.require(ConsoleRole::Security)?;
        let app = self.app(segment).await?;
        let users = self.app_link(app.client_id(), "users");
        match self.named(&app, form).await? {
            Named::Grant(grant) => self.admin().revoke_grant(&grant).await?,
            Named::User(subject) => {
                let (admin, client_id) = (self.admin(), app.client_id());
                if self.may_wipe(&app) && form.has(WIPE) {
                    let target =
                        RevocationTarget::AppAndSubject(client_id.clone(), subject.clone());
                    let done = admin.revoke_and_wipe(target).await?;
                    admin.withdraw_consent(client_id, &subject).await?;
                    return Ok(self.see_wiped(&users, &done));
                }
                admin.withdraw_consent(client_id, &subject).await?
            }
        };
        Ok(self.see(&users, Done::AccessEnded))
    }

    /// Shows what the revocation of a user would end.
    pub(in super::super) async fn revoke_user(&self, segment: &str) -> Result<Page, Problem> {
        self.require(ConsoleRole::Security)?;
        let subject = path::subject(segment).ok_or(Problem::NotFound)?;
        let of_user = GrantFilter::all().of_subject(subject.clone());
        let ends = self.ends_of(of_user).await?;
        let [title, happens, undo, button] = texts::users::USER_EVERYWHERE;
        let page = self.link(&format!("/users/{}", path::segment_of(subject.as_str())));
        let crumb = Crumb { name: subject.to_string(), url: page.clone() };
        self.page(&RevokeAccess {
            frame: self.frame(title).with_crumb(Crumb::apps(self)).with_crumb(crumb),
            user: subject.as_str(),
            device: None,
            happens,
            undo,
            button,
            ends,
            action: format!("{page}/revoke"),
            cancel: page,
            field: None,
            may_wipe: self.admin().has_devices(),
        })
    }

    /// Revokes everything of a user.
    pub(in super::super) async fn end_user(
        &self,
        segment: &str,
        form: &Fields,
    ) -> Result<Page, Problem> {
        self.require(ConsoleRole::Security)?;
        let subject = path::subject(segment).ok_or(Problem::NotFound)?;
        let page = self.link(&format!("/users/{}", path::segment_of(subject.as_str())));
        let target = RevocationTarget::Subject(subject);
        if self.admin().has_devices() && form.has(WIPE) {
            let done = self.admin().revoke_and_wipe(target).await?;
            return Ok(self.see_wiped(&page, &done));
        }
        self.admin().revoke(target).await?;
        Ok(self.see(&page, Done::AccessEnded))
    }

    /// Checks whether a revocation may also wipe the devices of `app`.
    pub(super) fn may_wipe(&self, app: &CustomApp) -> bool {
        self.admin().has_devices() && app.settings().mobile_security().remote_wipe
    }

    /// Says how many live grants `filter` selects, and how many users and devices lose access with them.
    pub(in super::super) async fn ends_of(
        &self,
        filter: GrantFilter,
    ) -> Result<Vec<String>, Problem> {
        let page = store::Page::first(store::Page::<()>::MAX_LIMIT);
        let found = self.admin().live_grants(&filter, page).await?;
        let users: BTreeSet<_> = found.items.iter().map(|grant| grant.subject.as_str()).collect();
        let devices: BTreeSet<_> = found.items.iter().filter_map(|it| it.device.as_ref()).collect();
        let is_more = found.next.is_some();
        Ok(vec![
            texts::danger::grants(found.items.len(), is_more),
            texts::danger::users_and_devices(users.len(), devices.len(), is_more),
        ])
    }
}
