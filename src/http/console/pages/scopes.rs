//! *Scopes* of an app: a grid of the catalog, and what the app can do by them.

use std::collections::BTreeSet;

use askama::Template;
use http::StatusCode;

use super::super::access::ConsoleRole;
use super::super::conflict::Difference;
use super::super::fields::Fields;
use super::super::frame::{Done, Frame, Tab};
use super::super::problem::Problem;
use super::super::scope_grid::{Ability, ScopeGrid, abilities};
use super::super::texts;
use super::super::visit::Visit;
use crate::admin::AdminError;
use crate::app::{AppDraft, CustomApp};
use crate::hooks::Hooks;
use crate::http::Page;
use crate::protocol::scope::Scope;
use crate::store::Store;
use crate::users::UserDirectory;

#[derive(Template)]
#[template(path = "console/scopes.html")]
struct Scopes<'a> {
    frame: Frame<'a>,
    action: String,
    version: u64,
    may_edit: bool,
    has_catalog: bool,
    is_selected: bool,
    grid: ScopeGrid,
    more: &'a str,
    mistake: Option<&'a str>,
    can: Vec<Ability>,
}

/// The scopes as an administrator typed them.
#[derive(Default)]
struct Typed<'a> {
    version: u64,
    ticked: BTreeSet<String>,
    more: &'a str,
    mistake: Option<String>,
    select: &'a str,
}

impl<'a> Typed<'a> {
    fn of(form: &'a Fields) -> Result<Self, Problem> {
        Ok(Self {
            version: form.one("version").parse().map_err(|_| Problem::BadForm)?,
            ticked: form.all("scope").map(str::to_owned).collect(),
            more: form.one("more"),
            mistake: None,
            select: form.one("select"),
        })
    }

    /// Returns the scope, or the sentence for the field.
    fn scope(&self) -> Result<Scope, &'static str> {
        let more = self.more.split_whitespace();
        let tokens: Vec<&str> = self.ticked.iter().map(String::as_str).chain(more).collect();
        let scope = Scope::parse(&tokens.join(" ")).map_err(|_| texts::scopes::INVALID)?;
        if scope.tokens().any(|token| token == "offline_access") {
            return Err(texts::scopes::OFFLINE);
        }
        Ok(scope)
    }
}

impl<S: Store, U: UserDirectory, H: Hooks> Visit<'_, S, U, H> {
    /// Shows the scopes of an app.
    pub(in super::super) async fn scopes(&self, segment: &str) -> Result<Page, Problem> {
        let app = self.app(segment).await?;
        let ticked = app.settings().scope().tokens().map(str::to_owned).collect();
        let stored = Typed { version: app.version(), ticked, ..Typed::default() };
        self.scopes_form(StatusCode::OK, &app, &stored)
    }

    /// Saves the scopes of an app, or shows the form again: with a selection, a mistake or a conflict.
    pub(in super::super) async fn save_scopes(
        &self,
        segment: &str,
        form: &Fields,
    ) -> Result<Page, Problem> {
        self.require(ConsoleRole::Edit)?;
        let mut typed = Typed::of(form)?;
        let app = self.app(segment).await?;
        if !typed.select.is_empty() {
            return self.scopes_form(StatusCode::OK, &app, &typed);
        }
        let scope = match typed.scope() {
            Ok(scope) => scope,
            Err(mistake) => {
                typed.mistake = Some(mistake.to_owned());
                return self.scopes_form(StatusCode::UNPROCESSABLE_ENTITY, &app, &typed);
            }
        };
        let draft = AppDraft::from(app.settings()).scope(scope.clone());
        match self.save(&app, typed.version, draft).await {
            Ok(_) => Ok(self.see(&self.app_link(app.client_id(), "scopes"), Done::Saved)),
            Err(AdminError::Conflict { .. }) => {
                let app = self.app(segment).await?;
                let lines = |scope: &Scope| scope.tokens().collect::<Vec<_>>().join("\n");
                let (own, stored) = (lines(&scope), lines(app.settings().scope()));
                let differences = Difference::of(texts::frame::SCOPES, own, stored);
                self.conflict_page(&app, Tab::Scopes, form, differences.into_iter().collect())
            }
            Err(AdminError::Invalid(invalid)) => {
                typed.mistake = Some(invalid.to_string());
                self.scopes_form(StatusCode::UNPROCESSABLE_ENTITY, &app, &typed)
            }
            Err(error) => Err(error.into()),
        }
    }

    fn scopes_form(
        &self,
        status: StatusCode,
        app: &CustomApp,
        typed: &Typed<'_>,
    ) -> Result<Page, Problem> {
        let (catalog, own) = (self.server.catalog(), app.settings().scope());
        let mut grid = ScopeGrid::new(catalog, own, &typed.ticked);
        let is_selected = !typed.select.is_empty();
        if is_selected {
            grid.select(typed.select);
        }
        let page = Scopes {
            frame: self.app_frame(app, Tab::Scopes),
            action: self.app_link(app.client_id(), "scopes"),
            version: typed.version,
            may_edit: self.may(ConsoleRole::Edit),
            has_catalog: catalog.is_some(),
            is_selected,
            grid,
            more: typed.more,
            mistake: typed.mistake.as_deref(),
            can: abilities(catalog, own),
        };
        self.page_with(status, &page)
    }
}
