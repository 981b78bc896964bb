//! The list of the apps with access to the account.

use std::collections::BTreeSet;

use askama::Template;
use http::StatusCode;

use super::super::problem::Problem;
use super::super::texts::account as text;
use super::super::times::{When, duration};
use super::super::visit::render;
use super::super::wipe_state::Part;
use super::super::{path, texts};
use super::devices::Devices;
use super::visit::{AccountVisit, Frame};
use crate::admin::{AuthorizedApp, AuthorizedScope};
use crate::clock::UnixTime;
use crate::hooks::Hooks;
use crate::http::Page;
use crate::store::Store;
use crate::users::UserDirectory;

/// The abilities of an app that are shown before the rest, which is folded.
const FIRST: usize = 6;

#[derive(Template)]
#[template(path = "account/apps.html")]
struct Apps<'a> {
    frame: Frame<'a>,
    removed: Option<Removed>,
    rows: Vec<Row>,
    is_more: bool,
    devices: Option<Devices>,
    sign_out: String,
}

/// An app that has no access any more: its name, and the time for which its tokens may be accepted.
struct Removed {
    name: String,
    longest: String,
}

/// An app.
pub(super) struct Row {
    name: String,
    description: String,
    is_enabled: bool,
    abilities: Abilities,
    notes: Vec<&'static str>,
    since: When,
    last_used: Option<When>,
    remove: String,
}

/// The abilities of an app.
pub(super) struct Abilities {
    pub(super) first: Vec<Ability>,
    pub(super) rest: Vec<Ability>,
}

/// A thing that an app can do, in words of the catalog, or a scope token that it does not know.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Ability {
    Words(String),
    Token(String),
}

impl Abilities {
    pub(super) fn of(scopes: &[AuthorizedScope]) -> Self {
        let mut seen = BTreeSet::new();
        let all = scopes.iter().flat_map(|scope| {
            let titles = scope.titles.iter().filter(|title| !title.trim().is_empty());
            let mut words: Vec<_> = titles.cloned().map(Ability::Words).collect();
            if words.is_empty() {
                words.push(Ability::Token(scope.token.clone()));
            }
            words
        });
        let mut first: Vec<_> = all.filter(|ability| seen.insert(ability.clone())).collect();
        // One that is alone behind a fold takes as much room as the fold.
        let rest = if first.len() > FIRST + 1 { first.split_off(FIRST) } else { Vec::new() };
        Self { first, rest }
    }
}

impl<S: Store, U: UserDirectory, H: Hooks> AccountVisit<'_, S, U, H> {
    /// Shows the apps, and what ended if this page follows a removal.
    pub(super) async fn apps(&self) -> Result<Page, Problem> {
        let listed = self.account().apps().await?;
        let removed = self.removed(&listed.apps).await?;
        let now = self.server.now();
        let page = Apps {
            frame: self.frame(text::TITLE),
            removed,
            rows: listed.apps.into_iter().map(|app| self.row(app, now)).collect(),
            is_more: listed.more,
            devices: self.devices().await?,
            sign_out: self.link("/sign-out"),
        };
        render(StatusCode::OK, &page)
    }

    fn row(&self, app: AuthorizedApp, now: UnixTime) -> Row {
        let mut notes = Vec::new();
        if !app.enabled {
            notes.push(text::IS_DISABLED);
        }
        if app.grants == 0 {
            notes.push(text::IS_REMEMBERED);
        }
        if app.impersonates {
            notes.push(text::IMPERSONATES);
        }
        Row {
            abilities: Abilities::of(&app.scopes),
            remove: self.removal_link(&app.client_id),
            name: app.name,
            description: app.description,
            is_enabled: app.enabled,
            notes,
            since: When::new(app.since, now),
            last_used: app.last_used.map(|at| When::new(at, now)),
        }
    }

    /// Returns the app that the link names as removed. Only the link that the removal made in this session is
    /// believed: another one would tell the names of apps, and of access that never was.
    async fn removed(&self, apps: &[AuthorizedApp]) -> Result<Option<Removed>, Problem> {
        let query = self.query()?;
        let Some(client_id) = path::client_id(query.one("removed")) else { return Ok(None) };
        let is_listed = apps.iter().any(|app| app.client_id == client_id);
        if is_listed || !self.is_removal(&client_id, query.one("mark")) {
            return Ok(None);
        }
        let app = self.server.store().find_app(&client_id).await?;
        Ok(app.map(|app| Removed {
            name: app.settings().name().to_owned(),
            longest: duration(app.settings().access_token_lifetime()),
        }))
    }
}
