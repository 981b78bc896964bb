//! *New issuer* and *Settings* of a trusted issuer: the form, and the page of a conflict with both versions.

use std::collections::BTreeSet;

use askama::Template;
use http::StatusCode;

use super::super::access::ConsoleRole;
use super::super::conflict::Difference;
use super::super::fields::Fields;
use super::super::frame::{Crumb, Done, Frame, IssuerTab};
use super::super::issuer_form::{
    ID_JAG, IssuerForm, SUBJECT_TOKENS, TrustNames, add_unknown_app, no_mistakes,
};
use super::super::mistakes::Mistakes;
use super::super::problem::Problem;
use super::super::texts::{self, issuer_form as text};
use super::super::visit::Visit;
use super::issuers::apps;
use crate::admin::AdminError;
use crate::app::{IssuerKeys, TrustedIssuer};
use crate::hooks::Hooks;
use crate::http::Page;
use crate::store::{IssuerRecord, Store};
use crate::users::UserDirectory;

#[derive(Template)]
#[template(path = "console/issuer_settings.html")]
struct IssuerSettings<'a> {
    frame: Frame<'a>,
    form: &'a IssuerForm,
    mistakes: &'a Mistakes,
    id_jag: TrustNames,
    subject_tokens: TrustNames,
    is_edit: bool,
    action: String,
    cancel: String,
    may_edit: bool,
    /// Of a conflict.
    differences: Option<Vec<Difference>>,
}

/// Checks whether keys were left out of a record, because they cannot verify signatures.
fn leaves_keys_out(settings: &TrustedIssuer) -> bool {
    matches!(settings.keys(), IssuerKeys::Keys(keys) if !keys.passed_over().is_empty())
}

impl<S: Store, U: UserDirectory, H: Hooks> Visit<'_, S, U, H> {
    /// Shows the form for another issuer.
    pub(in super::super) fn new_issuer(&self) -> Result<Page, Problem> {
        self.require_issuers()?;
        self.require(ConsoleRole::Security)?;
        self.new_issuer_form(StatusCode::OK, &IssuerForm::of_new_issuer(), &no_mistakes())
    }

    /// Trusts another issuer, or shows the form again with its mistakes.
    pub(in super::super) async fn create_issuer(&self, form: &Fields) -> Result<Page, Problem> {
        self.require_issuers()?;
        self.require(ConsoleRole::Security)?;
        let typed = IssuerForm { version: String::new(), ..IssuerForm::of_fields(form) };
        if form.has("more") {
            return self.new_issuer_form(StatusCode::OK, &typed, &no_mistakes());
        }
        let wrong = |mistakes: &Mistakes| {
            self.new_issuer_form(StatusCode::UNPROCESSABLE_ENTITY, &typed, mistakes)
        };
        let settings = match self.checked_issuer(&typed, None).await? {
            Ok(settings) => settings,
            Err(mistakes) => return wrong(&mistakes),
        };
        match self.admin().add_trusted_issuer(settings).await {
            Ok(record) => {
                let (settings, added) = (&record.settings, Done::IssuerAdded);
                let done = if leaves_keys_out(settings) { Done::SavedWithoutKeys } else { added };
                Ok(self.see(&self.issuer_link(settings.issuer(), ""), done))
            }
            Err(AdminError::AlreadyExists) => {
                let mut mistakes = no_mistakes();
                mistakes.add("issuer", text::ISSUER_KNOWN);
                wrong(&mistakes)
            }
            Err(AdminError::Invalid(invalid)) => wrong(&IssuerForm::refused(&invalid)),
            Err(error) => Err(error.into()),
        }
    }

    /// Shows the settings of an issuer.
    pub(in super::super) async fn issuer_settings(&self, segment: &str) -> Result<Page, Problem> {
        let record = self.issuer(segment).await?;
        let form = IssuerForm::of_record(&record);
        self.issuer_form(StatusCode::OK, &record, &form, &no_mistakes(), None)
    }

    /// Saves the settings of an issuer, or shows the form again with its mistakes or with what another administrator has
    /// saved meanwhile.
    pub(in super::super) async fn save_issuer(
        &self,
        segment: &str,
        form: &Fields,
    ) -> Result<Page, Problem> {
        self.require(ConsoleRole::Security)?;
        let record = self.issuer(segment).await?;
        // It has no field.
        let issuer = record.settings.issuer().as_str().to_owned();
        let typed = IssuerForm { issuer, ..IssuerForm::of_fields(form) };
        let version: u64 = typed.version.parse().map_err(|_| Problem::BadForm)?;
        if form.has("more") {
            return self.issuer_form(StatusCode::OK, &record, &typed, &no_mistakes(), None);
        }
        let wrong = |mistakes: &Mistakes| {
            let status = StatusCode::UNPROCESSABLE_ENTITY;
            self.issuer_form(status, &record, &typed, mistakes, None)
        };
        let settings = match self.checked_issuer(&typed, Some(&record.settings)).await? {
            Ok(settings) => settings,
            Err(mistakes) => return wrong(&mistakes),
        };
        let link = self.issuer_link(record.settings.issuer(), IssuerTab::Settings.path());
        if record.version == version && settings == record.settings {
            return Ok(self.see(&link, Done::Unchanged));
        }
        // A version above the record's is a guess: another administrator may save it meanwhile.
        let expected = if version > record.version { 0 } else { version };
        let done = if leaves_keys_out(&settings) { Done::SavedWithoutKeys } else { Done::Saved };
        match self.admin().edit_trusted_issuer(expected, settings).await {
            Ok(_) => Ok(self.see(&link, done)),
            Err(AdminError::Conflict { .. }) => {
                let record = self.issuer(segment).await?;
                let stored = IssuerForm::of_record(&record);
                let differences = typed.differences(&stored);
                let form = IssuerForm { version: stored.version, ..typed };
                let (status, none) = (StatusCode::CONFLICT, no_mistakes());
                self.issuer_form(status, &record, &form, &none, Some(differences))
            }
            Err(AdminError::NotFound) => Err(Problem::IssuerGone),
            Err(AdminError::Invalid(invalid)) => wrong(&IssuerForm::refused(&invalid)),
            Err(error) => Err(error.into()),
        }
    }

    /// Checks the form, and that the apps which it adds exist.
    async fn checked_issuer(
        &self,
        typed: &IssuerForm,
        base: Option<&TrustedIssuer>,
    ) -> Result<Result<TrustedIssuer, Mistakes>, Problem> {
        let settings = match typed.check(base) {
            Ok(settings) => settings,
            Err(mistakes) => return Ok(Err(mistakes)),
        };
        let known: BTreeSet<_> = base.map(apps).unwrap_or_default().into_iter().collect();
        let mut mistakes = no_mistakes();
        for app in apps(&settings) {
            if !known.contains(app) && self.admin().find(app).await?.is_none() {
                add_unknown_app(typed, app, &mut mistakes);
            }
        }
        Ok(if mistakes.is_empty() { Ok(settings) } else { Err(mistakes) })
    }

    /// Refuses every page of a server without trusted issuers.
    pub(super) fn require_issuers(&self) -> Result<(), Problem> {
        if self.admin().has_trusted_issuers() { Ok(()) } else { Err(Problem::NotFound) }
    }

    fn new_issuer_form(
        &self,
        status: StatusCode,
        form: &IssuerForm,
        mistakes: &Mistakes,
    ) -> Result<Page, Problem> {
        let page = IssuerSettings {
            frame: self.frame(text::NEW).with_crumb(Crumb::issuers(self)),
            form,
            mistakes,
            id_jag: ID_JAG,
            subject_tokens: SUBJECT_TOKENS,
            is_edit: false,
            action: self.link("/new-issuer"),
            cancel: self.link("/issuers"),
            may_edit: true,
            differences: None,
        };
        self.page_with(status, &page)
    }

    fn issuer_form(
        &self,
        status: StatusCode,
        record: &IssuerRecord,
        form: &IssuerForm,
        mistakes: &Mistakes,
        differences: Option<Vec<Difference>>,
    ) -> Result<Page, Problem> {
        let link = self.issuer_link(record.settings.issuer(), IssuerTab::Settings.path());
        let page = IssuerSettings {
            frame: self.issuer_frame(record, IssuerTab::Settings),
            form,
            mistakes,
            id_jag: ID_JAG,
            subject_tokens: SUBJECT_TOKENS,
            is_edit: true,
            cancel: link.clone(),
            action: link,
            may_edit: self.may(ConsoleRole::Security),
            differences,
        };
        self.page_with(status, &page)
    }
}
