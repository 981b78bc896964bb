//! The users of an app: who has granted what, since when, on which device. And the access of all apps as one
//! user.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use askama::Template;
use url::form_urlencoded::Serializer;

use super::super::access::ConsoleRole;
use super::super::frame::{Crumb, Frame, Tab};
use super::super::problem::Problem;
use super::super::scope_grid::{Ability, abilities};
use super::super::times::When;
use super::super::visit::Visit;
use super::super::{path, texts};
use crate::app::CustomApp;
use crate::hooks::Hooks;
use crate::http::Page;
use crate::ids::{ClientId, GrantId, Subject};
use crate::store::{self, Grant, GrantFilter, Listing, Store};
use crate::users::UserDirectory;

/// The number of grants on a page.
const PER_PAGE: usize = 50;
/// The number of apps that the page of a user looks up. Each costs a read, unless the store keeps apps.
const MOST_APPS: usize = 10;

#[derive(Template)]
#[template(path = "console/users.html")]
struct Users<'a> {
    frame: Frame<'a>,
    action: String,
    /// The filter by user; `None` on the page of a user.
    user: Option<&'a str>,
    is_narrowed: bool,
    /// The link to the devices, on the page of a user.
    devices: Option<String>,
    rows: Vec<Row>,
    may_revoke: bool,
    /// The link that revokes everything of the user, for an administrator who may.
    revoke: Option<(&'static str, String)>,
    first: Option<String>,
    next: Option<String>,
}

struct Row {
    /// The user, or on the page of a user the app, by its client id if it was not looked up.
    name: String,
    url: String,
    device: Option<String>,
    can: Vec<Ability>,
    scopes: Vec<String>,
    flow: &'static str,
    since: When,
    last_used: When,
    revoke: Option<String>,
}

impl<S: Store, U: UserDirectory, H: Hooks> Visit<'_, S, U, H> {
    /// Shows the live grants of an app.
    pub(in super::super) async fn users(&self, segment: &str) -> Result<Page, Problem> {
        let app = self.app(segment).await?;
        let query = self.query()?;
        let (user, after) = (query.one("user").trim(), query.one("after").parse().ok());
        let mut filter = GrantFilter::all().of_app(app.client_id().clone());
        let subject = Subject::new(user).ok();
        if let Some(subject) = &subject {
            filter = filter.of_subject(subject.clone());
        }
        let found = if user.is_empty() || subject.is_some() {
            self.grants_after(&filter, after).await?
        } else {
            // No user has such a name.
            Listing::new(Vec::new(), None)
        };
        let page = self.app_link(app.client_id(), "users");
        let revoke = subject.filter(|_| self.may(ConsoleRole::Security)).map(|subject| {
            (texts::users::REVOKE_USER, revoke_link(&page, "user", subject.as_str()))
        });
        let row = |grant: &Grant| {
            let url = self.link(&format!("/users/{}", path::segment_of(grant.subject.as_str())));
            self.grant_row(grant, grant.subject.as_str(), url, Some(&app))
        };
        let rows = found.items.iter().map(row).collect();
        let link = |after: Option<GrantId>| list_link(&page, user, after);
        self.page(&Users {
            frame: self.app_frame(&app, Tab::Users),
            user: Some(user),
            is_narrowed: !user.is_empty(),
            devices: None,
            rows,
            may_revoke: self.may(ConsoleRole::Security),
            revoke,
            first: after.is_some().then(|| link(None)),
            next: found.next.map(|last| link(Some(last))),
            action: page,
        })
    }

    /// Shows the live grants of a user.
    pub(in super::super) async fn user(&self, segment: &str) -> Result<Page, Problem> {
        let subject = path::subject(segment).ok_or(Problem::NotFound)?;
        let query = self.query()?;
        let after = query.one("after").parse().ok();
        let filter = GrantFilter::all().of_subject(subject.clone());
        let found = self.grants_after(&filter, after).await?;
        let page = self.link(&format!("/users/{}", path::segment_of(subject.as_str())));
        let apps = self.apps_of(&found.items).await?;
        let row = |grant: &Grant| {
            let app = apps.get(&grant.client_id).map(|app| &**app);
            let name = app.map_or(grant.client_id.as_str(), |app| app.settings().name());
            let url = self.app_link(&grant.client_id, "users");
            let url = list_link(&url, subject.as_str(), None);
            self.grant_row(grant, name, url, app)
        };
        let rows = found.items.iter().map(row).collect();
        let devices = list_link(&self.link("/devices"), subject.as_str(), None);
        let revoke = (texts::users::REVOKE_EVERYWHERE, format!("{page}/revoke"));
        self.page(&Users {
            frame: self.frame(subject.as_str()).with_crumb(Crumb::apps(self)),
            user: None,
            is_narrowed: false,
            devices: self.admin().has_devices().then_some(devices),
            rows,
            may_revoke: self.may(ConsoleRole::Security),
            revoke: self.may(ConsoleRole::Security).then_some(revoke),
            first: after.is_some().then(|| page.clone()),
            next: found.next.map(|last| list_link(&page, "", Some(last))),
            action: page,
        })
    }

    /// Looks up the first apps of `grants`.
    async fn apps_of(
        &self,
        grants: &[Grant],
    ) -> Result<BTreeMap<ClientId, Arc<CustomApp>>, Problem> {
        let names: BTreeSet<_> = grants.iter().map(|grant| &grant.client_id).collect();
        let mut apps = BTreeMap::new();
        for client_id in names.into_iter().take(MOST_APPS) {
            if let Some(app) = self.server.store().find_app(client_id).await? {
                apps.insert(client_id.clone(), app);
            }
        }
        Ok(apps)
    }

    async fn grants_after(
        &self,
        filter: &GrantFilter,
        after: Option<GrantId>,
    ) -> Result<Listing<Grant, GrantId>, Problem> {
        let mut page = store::Page::first(PER_PAGE);
        page.after = after;
        Ok(self.admin().live_grants(filter, page).await?)
    }

    fn grant_row(&self, grant: &Grant, name: &str, url: String, app: Option<&CustomApp>) -> Row {
        // A refresh answers with what the app has still.
        let scope = match app {
            Some(app) => grant.scope.intersection(app.settings().scope()),
            None => grant.scope.clone(),
        };
        let page = self.app_link(&grant.client_id, "users");
        let revoke = revoke_link(&page, "grant", &grant.grant_id.to_string());
        let now = self.now();
        Row {
            name: name.to_owned(),
            url,
            device: grant.device.as_ref().map(ToString::to_string),
            can: abilities(self.server.catalog(), &scope),
            scopes: scope.tokens().map(str::to_owned).collect(),
            flow: texts::apps::flow(grant.made_by()),
            since: When::new(grant.authorized_at, now),
            last_used: When::new(grant.rotated_at, now),
            revoke: self.may(ConsoleRole::Security).then_some(revoke),
        }
    }
}

/// Returns the link to the page on which `value` is revoked.
fn revoke_link(page: &str, name: &str, value: &str) -> String {
    let query = Serializer::new(String::new()).append_pair(name, value).finish();
    format!("{page}/revoke?{query}")
}

/// Returns the link to a list, narrowed to `user` unless it is empty, from the grant `after` on.
fn list_link(page: &str, user: &str, after: Option<GrantId>) -> String {
    let mut query = Serializer::new(String::new());
    if !user.is_empty() {
        query.append_pair("user", user);
    }
    if let Some(after) = after {
        query.append_pair("after", &after.to_string());
    }
    let query = query.finish();
    if query.is_empty() { page.to_owned() } else { format!("{page}?{query}") }
}
