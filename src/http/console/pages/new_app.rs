//! *New app*: the form, and what it registers.

use askama::Template;
use http::StatusCode;

use super::super::access::ConsoleRole;
use super::super::app_form::{AppForm, AppFormView, EXCHANGE, beyond_edit, no_mistakes};
use super::super::fields::Fields;
use super::super::frame::{Crumb, Done, Frame};
use super::super::mistakes::Mistakes;
use super::super::policy_form::PolicyNames;
use super::super::problem::Problem;
use super::super::texts;
use super::super::visit::Visit;
use crate::app::AppCredentials;
use crate::hooks::Hooks;
use crate::http::Page;
use crate::store::Store;
use crate::users::UserDirectory;

#[derive(Template)]
#[template(path = "console/new_app.html")]
struct NewApp<'a> {
    frame: Frame<'a>,
    form: &'a AppForm,
    view: AppFormView,
    exchange: PolicyNames,
    mistakes: &'a Mistakes,
    action: String,
    cancel: String,
    may_edit: bool,
    may_secure: bool,
}

impl<S: Store, U: UserDirectory, H: Hooks> Visit<'_, S, U, H> {
    /// Shows the form for a new app.
    pub(in super::super) fn new_app(&self) -> Result<Page, Problem> {
        self.require(ConsoleRole::Edit)?;
        self.new_app_form(StatusCode::OK, &AppForm::of_new_app(), &no_mistakes())
    }

    /// Registers an app, or shows the form again with its mistakes.
    pub(in super::super) async fn create_app(&self, form: &Fields) -> Result<Page, Problem> {
        self.require(ConsoleRole::Edit)?;
        let typed = AppForm { version: String::new(), ..AppForm::of_fields(form) };
        let checked = match typed.check(None) {
            Ok(checked) => checked,
            Err(mistakes) => {
                return self.new_app_form(StatusCode::UNPROCESSABLE_ENTITY, &typed, &mistakes);
            }
        };
        if form.has("check") {
            return self.new_app_form(StatusCode::OK, &typed, &no_mistakes());
        }
        if !self.may(ConsoleRole::Security) {
            let mistakes = beyond_edit(None, &checked.settings);
            if !mistakes.is_empty() {
                return self.new_app_form(StatusCode::UNPROCESSABLE_ENTITY, &typed, &mistakes);
            }
        }
        let credentials = self.admin().register(checked.settings).await?;
        if checked.left_keys_out {
            return self.show_once(&credentials, Done::SavedWithoutKeys);
        }
        self.show_once(&credentials, Done::Created)
    }

    fn new_app_form(
        &self,
        status: StatusCode,
        form: &AppForm,
        mistakes: &Mistakes,
    ) -> Result<Page, Problem> {
        let page = NewApp {
            frame: self.frame(texts::app_form::NEW_TITLE).with_crumb(Crumb::apps(self)),
            view: self.app_form_view(form),
            exchange: EXCHANGE,
            form,
            mistakes,
            action: self.link("/new-app"),
            cancel: self.link("/apps"),
            may_edit: true,
            may_secure: self.may(ConsoleRole::Security),
        };
        self.page_with(status, &page)
    }

    /// Sends the browser to the page that shows new secrets once, or to the app if there are none.
    pub(in super::super) fn show_once(
        &self,
        credentials: &AppCredentials,
        done: Done,
    ) -> Result<Page, Problem> {
        let client_id = &credentials.client_id;
        if credentials.client_secret.is_none() && credentials.signature_secret.is_none() {
            return Ok(self.see(&self.app_link(client_id, ""), done));
        }
        let sealed = self.admin().seal_credentials(credentials, self.who.session())?;
        let mut page = self.see(&self.app_link(client_id, "new-credentials"), done);
        self.send_once(&mut page, &sealed);
        Ok(page)
    }
}
