//! *Settings* of an app: the form, and the page of a conflict with both versions.

use askama::Template;
use http::StatusCode;

use super::super::access::ConsoleRole;
use super::super::app_form::{AppForm, AppFormView, EXCHANGE, beyond_edit, no_mistakes};
use super::super::conflict::Difference;
use super::super::fields::Fields;
use super::super::frame::{Done, Frame, Tab};
use super::super::mistakes::Mistakes;
use super::super::policy_form::PolicyNames;
use super::super::problem::Problem;
use super::super::texts;
use super::super::visit::Visit;
use crate::admin::AdminError;
use crate::app::{AppDraft, CustomApp};
use crate::hooks::Hooks;
use crate::http::Page;
use crate::store::Store;
use crate::users::UserDirectory;

#[derive(Template)]
#[template(path = "console/settings.html")]
struct Settings<'a> {
    frame: Frame<'a>,
    form: &'a AppForm,
    view: AppFormView,
    exchange: PolicyNames,
    mistakes: &'a Mistakes,
    action: String,
    cancel: String,
    swagger: String,
    may_edit: bool,
    may_secure: bool,
    /// Of a conflict.
    differences: Option<Vec<Difference>>,
}

impl<S: Store, U: UserDirectory, H: Hooks> Visit<'_, S, U, H> {
    /// Shows the settings of an app.
    pub(in super::super) async fn settings(&self, segment: &str) -> Result<Page, Problem> {
        let app = self.app(segment).await?;
        let form = self.stored_form(&app);
        self.settings_form(StatusCode::OK, &app, &form, &no_mistakes(), None)
    }

    /// Saves the settings of an app, or shows the form again with its mistakes or with what another
    /// administrator has saved meanwhile.
    pub(in super::super) async fn save_settings(
        &self,
        segment: &str,
        form: &Fields,
    ) -> Result<Page, Problem> {
        self.require(ConsoleRole::Edit)?;
        let typed = AppForm::of_fields(form);
        let version: u64 = typed.version.parse().map_err(|_| Problem::BadForm)?;
        let app = self.app(segment).await?;
        let checked = match typed.check(Some(app.settings())) {
            Ok(checked) => checked,
            Err(mistakes) => {
                let status = StatusCode::UNPROCESSABLE_ENTITY;
                return self.settings_form(status, &app, &typed, &mistakes, None);
            }
        };
        if form.has("check") {
            return self.settings_form(StatusCode::OK, &app, &typed, &no_mistakes(), None);
        }
        if !self.may(ConsoleRole::Security) {
            // Compared with a version that the edit cannot overwrite.
            if version > app.version() {
                return self.conflict(segment, typed).await;
            }
            let mistakes = beyond_edit(Some(app.settings()), &checked.settings);
            if !mistakes.is_empty() {
                let status = StatusCode::UNPROCESSABLE_ENTITY;
                return self.settings_form(status, &app, &typed, &mistakes, None);
            }
        }
        let link = self.app_link(app.client_id(), "settings");
        if app.version() == version && checked.settings == *app.settings() {
            return Ok(self.see(&link, Done::Unchanged));
        }
        let draft = AppDraft::from(checked.settings);
        match self.save(&app, version, draft).await {
            Ok(_) if checked.left_keys_out => Ok(self.see(&link, Done::SavedWithoutKeys)),
            Ok(_) => Ok(self.see(&link, Done::Saved)),
            Err(AdminError::Conflict { .. }) => self.conflict(segment, typed).await,
            Err(error) => Err(error.into()),
        }
    }

    /// Shows both versions, and the form with the typed values on top of the stored version.
    async fn conflict(&self, segment: &str, typed: AppForm) -> Result<Page, Problem> {
        let app = self.app(segment).await?;
        let stored = self.stored_form(&app);
        let differences = typed.differences(&stored);
        let form = AppForm { version: stored.version, ..typed };
        let (status, none) = (StatusCode::CONFLICT, no_mistakes());
        self.settings_form(status, &app, &form, &none, Some(differences))
    }

    /// Returns the parts of the form that come from the server.
    pub(super) fn app_form_view(&self, form: &AppForm) -> AppFormView {
        let (catalog, hosts) = (self.server.catalog(), self.server.hosts());
        AppFormView::new(form, catalog, hosts, self.admin().has_trusted_issuers())
    }

    fn stored_form(&self, app: &CustomApp) -> AppForm {
        let known = self.server.catalog().map(|catalog| catalog.scopes_supported());
        let is_known = |token: &str| known.iter().flatten().any(|known| known.as_str() == token);
        AppForm::of_settings(app.settings(), app.version(), is_known)
    }

    fn settings_form(
        &self,
        status: StatusCode,
        app: &CustomApp,
        form: &AppForm,
        mistakes: &Mistakes,
        differences: Option<Vec<Difference>>,
    ) -> Result<Page, Problem> {
        let link = self.app_link(app.client_id(), "settings");
        let page = Settings {
            frame: self.app_frame(app, Tab::Settings),
            view: self.app_form_view(form),
            exchange: EXCHANGE,
            form,
            mistakes,
            cancel: link.clone(),
            action: link,
            swagger: self.app_link(app.client_id(), "swagger"),
            may_edit: self.may(ConsoleRole::Edit),
            may_secure: self.may(ConsoleRole::Security),
            differences,
        };
        self.page_with(status, &page)
    }
}
