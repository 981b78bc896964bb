//! *Import apps*: a file, a page that shows what it would do, and its execution.

use std::collections::{BTreeMap, BTreeSet};

use askama::Template;
use http::StatusCode;

use super::super::access::ConsoleRole;
use super::super::fields::Fields;
use super::super::frame::{Crumb, Frame};
use super::super::import_differences::{Difference, differences};
use super::super::import_file::{Document, MAX_APPS, MAX_BYTES, Mistake};
use super::super::problem::Problem;
use super::super::texts::{self, import as text};
use super::super::visit::Visit;
use crate::admin::{
    AdminError, ChangedApp, DeclaredApps, ImportError, ImportPlan, Imported, ImportedApp,
    IssuerChanges,
};
use crate::app::{ClientType, TrustedIssuer};
use crate::hooks::Hooks;
use crate::http::Page;
use crate::ids::{ClientId, EvidenceIssuer};
use crate::migrate::{ClientOutcome, MigrationReport, Note};
use crate::secret::{ClientSecret, SignatureSecret};
use crate::store::Store;
use crate::users::UserDirectory;

#[derive(Template)]
#[template(path = "console/import.html")]
struct ImportForm<'a> {
    frame: Frame<'a>,
    action: String,
    cancel: String,
    /// Value, label, whether it is chosen.
    formats: Vec<(&'static str, &'static str, bool)>,
    text: &'a str,
    mistakes: Vec<Mistake>,
    hint: String,
}

#[derive(Template)]
#[template(path = "console/import_plan.html")]
struct PlanPage<'a> {
    frame: Frame<'a>,
    action: String,
    back: String,
    has_changed: bool,
    /// The apps of the file that exist with secrets, after an import that was refused.
    existing: Vec<(String, String)>,
    lists: Vec<List>,
    unchanged: usize,
    unchanged_issuers: usize,
    report: Vec<Client>,
    /// The fields of the form that imports, unless there is nothing to do.
    form: Option<[(&'static str, String); 3]>,
}

/// Apps with the same fate.
struct List {
    title: &'static str,
    hint: &'static str,
    tone: &'static str,
    apps: Vec<Row>,
}

struct Row {
    name: String,
    /// The client id, or the name of an issuer on the wire.
    id: String,
    more: String,
    differences: Vec<Difference>,
}

/// The notes on a client of an export, or on the whole of it.
struct Client {
    title: String,
    is_refused: bool,
    notes: Vec<(&'static str, &'static str, Note)>,
}

#[derive(Template)]
#[template(path = "console/imported.html")]
struct ImportedPage<'a> {
    frame: Frame<'a>,
    server: String,
    inserted: Vec<New<'a>>,
    changed: Vec<(String, String)>,
    /// The new and the changed issuers.
    issuers: [Vec<String>; 2],
    failed: Option<Stopped>,
    has_secrets: bool,
}

/// The app at which an import stopped.
struct Stopped {
    client_id: String,
    why: &'static str,
    /// The link to its credentials, if secrets were generated that this page does not have.
    credentials: Option<String>,
    /// Whether its access may have ended.
    may_have_ended: bool,
}

/// A new app, with the secrets that were generated.
struct New<'a> {
    client_id: &'a str,
    link: String,
    /// Label, value.
    secrets: Vec<(&'static str, &'a str)>,
}

impl<S: Store, U: UserDirectory, H: Hooks> Visit<'_, S, U, H> {
    /// Shows the form for a file.
    pub(in super::super) fn import_form(&self) -> Result<Page, Problem> {
        self.require(ConsoleRole::Security)?;
        self.import_form_with(StatusCode::OK, &Document::default(), Vec::new())
    }

    /// Shows what a file would do, or does what was shown.
    pub(in super::super) async fn import_apps(&self, form: &Fields) -> Result<Page, Problem> {
        self.require(ConsoleRole::Security)?;
        let document = Document::of(form);
        let wrong = StatusCode::UNPROCESSABLE_ENTITY;
        let (apps, report) = match document.read() {
            Ok(read) => read,
            Err(mistakes) => return self.import_form_with(wrong, &document, mistakes),
        };
        let shown = form.one("plan");
        if !shown.is_empty() {
            match self.admin().import_all(&apps, document.plan_in(shown)).await {
                Ok(done) => return self.imported(&apps, &done),
                // The page shows the present plan.
                Err(ImportError::Changed | ImportError::Invalid(_)) => {}
                Err(ImportError::Failed(error)) => return Err(error.into()),
            }
        }
        match self.admin().plan_import(&apps).await {
            Ok(plan) => {
                let differences = self.differences(&apps, &plan).await?;
                let mut lists = lists(&apps, &plan, differences);
                lists.extend(self.issuer_lists(&apps, &plan.issuers).await?);
                self.plan_page(&document, &apps, &plan, lists, report, !shown.is_empty())
            }
            Err(ImportError::Invalid(invalid)) => {
                self.import_form_with(wrong, &document, Mistake::all(&invalid))
            }
            Err(ImportError::Failed(error)) => Err(error.into()),
            Err(ImportError::Changed) => Err(Problem::Conflict),
        }
    }

    fn import_form_with(
        &self,
        status: StatusCode,
        document: &Document<'_>,
        mistakes: Vec<Mistake>,
    ) -> Result<Page, Problem> {
        let format = |(value, label): (&'static str, &'static str)| {
            (value, label, value == document.format())
        };
        let page = ImportForm {
            frame: self.frame(text::TITLE).with_crumb(Crumb::server(self)),
            action: self.link("/server/import"),
            cancel: self.link("/server"),
            formats: text::FORMATS.into_iter().map(format).collect(),
            text: document.pasted(),
            mistakes,
            hint: text::bounds(MAX_BYTES, MAX_APPS),
        };
        self.page_with(status, &page)
    }

    fn plan_page(
        &self,
        document: &Document<'_>,
        apps: &DeclaredApps,
        plan: &ImportPlan,
        lists: Vec<List>,
        report: Option<MigrationReport>,
        has_changed: bool,
    ) -> Result<Page, Problem> {
        let page = PlanPage {
            frame: self.frame(text::PLAN_TITLE).with_crumb(Crumb::server(self)),
            action: self.link("/server/import"),
            back: self.link("/server/import"),
            has_changed,
            existing: if has_changed { self.existing(apps, plan) } else { Vec::new() },
            lists,
            unchanged: plan.unchanged.len(),
            unchanged_issuers: plan.issuers.unchanged.len(),
            report: report.map(clients).unwrap_or_default(),
            form: (!plan.is_unchanged()).then(|| document.form(plan)),
        };
        let status = if has_changed { StatusCode::CONFLICT } else { StatusCode::OK };
        self.page_with(status, &page)
    }

    /// Returns the settings that an import changes, by app.
    async fn differences(
        &self,
        apps: &DeclaredApps,
        plan: &ImportPlan,
    ) -> Result<BTreeMap<ClientId, Vec<Difference>>, Problem> {
        let declared: BTreeMap<_, _> =
            apps.apps().iter().map(|app| (app.client_id(), app.settings())).collect();
        let mut found = BTreeMap::new();
        for ChangedApp { client_id, .. } in &plan.changed {
            // If it has changed since the plan, the import is refused.
            let stored = self.admin().find(client_id).await?;
            if let (Some(stored), Some(after)) = (stored, declared.get(client_id)) {
                found.insert(client_id.clone(), differences(stored.settings(), after));
            }
        }
        Ok(found)
    }

    /// Returns the trusted issuers of a plan by their fate.
    async fn issuer_lists(
        &self,
        apps: &DeclaredApps,
        changes: &IssuerChanges,
    ) -> Result<Vec<List>, Problem> {
        if changes.is_unchanged() {
            return Ok(Vec::new());
        }
        let stored = self.admin().trusted_issuers().await?;
        let row = |issuer: &EvidenceIssuer| {
            let after = apps.trusted_issuers().iter().find(|it| it.issuer() == issuer);
            let before = stored.iter().find(|it| it.settings.issuer() == issuer);
            let found = before.zip(after);
            Row {
                name: after.map(TrustedIssuer::name).unwrap_or_default().to_owned(),
                id: issuer.as_str().to_owned(),
                more: String::new(),
                differences: found
                    .map_or_else(Vec::new, |(before, after)| differences(&before.settings, after)),
            }
        };
        let [new, edits] = text::ISSUER_FATES;
        let list = |(title, hint, tone), apps: Vec<Row>| List { title, hint, tone, apps };
        let edited =
            changes.changed.iter().map(|it| Row { more: it.changed.join(", "), ..row(&it.issuer) });
        let lists =
            [list(new, changes.added.iter().map(row).collect()), list(edits, edited.collect())];
        Ok(lists.into_iter().filter(|list| !list.apps.is_empty()).collect())
    }

    /// Returns the apps of the file that exist and got generated secrets if the file created them, each with the
    /// link to its credentials.
    fn existing(&self, apps: &DeclaredApps, plan: &ImportPlan) -> Vec<(String, String)> {
        let new: BTreeSet<_> = plan.inserted.iter().collect();
        let existing = apps
            .apps()
            .iter()
            .filter(|app| !new.contains(app.client_id()) && has_generated_secrets(app));
        let link = |app: &ImportedApp| {
            let id = app.client_id();
            (id.as_str().to_owned(), self.app_link(id, "credentials"))
        };
        existing.map(link).collect()
    }

    /// Shows what was done. New secrets are in the answer to the form: sent again, it finds another plan.
    fn imported(&self, apps: &DeclaredApps, done: &Imported) -> Result<Page, Problem> {
        let new = done.inserted.iter().map(|told| {
            let client = told.client_secret.as_ref().map(ClientSecret::expose_secret);
            let signature = told.signature_secret.as_ref().map(SignatureSecret::expose_secret);
            let secrets = [
                (texts::new_credentials::CLIENT_SECRET, client),
                (texts::new_credentials::SIGNATURE_SECRET, signature),
            ];
            New {
                client_id: told.client_id.as_str(),
                link: self.app_link(&told.client_id, ""),
                secrets: secrets.into_iter().filter_map(|(name, it)| Some((name, it?))).collect(),
            }
        });
        let inserted: Vec<_> = new.collect();
        let changed = done
            .changed
            .iter()
            .map(|app| (app.client_id.as_str().to_owned(), self.app_link(&app.client_id, "")));
        let failed = done.failed.as_ref().map(|(client_id, error)| {
            let why = why(error);
            let app = apps.apps().iter().find(|app| app.client_id() == client_id);
            Stopped {
                client_id: client_id.as_str().to_owned(),
                why,
                credentials: app
                    .is_some_and(has_generated_secrets)
                    .then(|| self.app_link(client_id, "credentials")),
                may_have_ended: app.is_some_and(|app| !app.is_enabled()),
            }
        });
        let failed = failed.or_else(|| {
            let (issuer, error) = done.failed_issuer.as_ref()?;
            let (client_id, why) = (issuer.as_str().to_owned(), why(error));
            Some(Stopped { client_id, why, credentials: None, may_have_ended: false })
        });
        let name = |issuer: &EvidenceIssuer| issuer.as_str().to_owned();
        let added = done.issuers.added.iter().map(name).collect();
        let edited = done.issuers.changed.iter().map(|it| name(&it.issuer)).collect();
        self.page(&ImportedPage {
            frame: self.frame(text::DONE_TITLE).with_crumb(Crumb::server(self)),
            server: self.link("/server"),
            has_secrets: inserted.iter().any(|new| !new.secrets.is_empty()),
            inserted,
            changed: changed.collect(),
            issuers: [added, edited],
            failed,
        })
    }
}

/// Says why an import stopped.
const fn why(error: &AdminError) -> &'static str {
    match error {
        AdminError::Conflict { .. } | AdminError::AlreadyExists | AdminError::NotFound => {
            text::OTHERS_FIRST
        }
        AdminError::Invalid(_)
        | AdminError::Directory(_)
        | AdminError::Random(_)
        | AdminError::Preview(_)
        | AdminError::NoDevices
        | AdminError::NoTrustedIssuers
        | AdminError::UnknownDevice
        | AdminError::NoRemoteWipe
        | AdminError::WipeNotWithdrawable
        | AdminError::NoDevicesOfTarget
        | AdminError::Store(_) => text::STORE_FAILED,
    }
}

/// Checks whether an app of a file gets generated secrets if it is new.
fn has_generated_secrets(app: &ImportedApp) -> bool {
    app.settings().client_type() == ClientType::Confidential
        && !(app.has_client_secret() && app.has_signature_secret())
}

/// Returns the apps of a plan by their fate.
fn lists(
    apps: &DeclaredApps,
    plan: &ImportPlan,
    mut differences: BTreeMap<ClientId, Vec<Difference>>,
) -> Vec<List> {
    let names: BTreeMap<&ClientId, &str> =
        apps.apps().iter().map(|app| (app.client_id(), app.settings().name())).collect();
    let row = |client_id: &ClientId, more: String| Row {
        name: names.get(client_id).copied().unwrap_or_default().to_owned(),
        id: client_id.as_str().to_owned(),
        more,
        differences: Vec::new(),
    };
    let new = |id: &ClientId| {
        let more = if plan.generated.contains(id) { text::NEW_SECRETS } else { "" };
        row(id, more.to_owned())
    };
    let mut changed = |app: &ChangedApp| Row {
        differences: differences.remove(&app.client_id).unwrap_or_default(),
        ..row(&app.client_id, app.changed.join(", "))
    };
    let bare = |id: &ClientId| row(id, String::new());
    let [inserted, edited, losing, disabled, held] = text::FATES;
    let list = |(title, hint, tone): (&'static str, &'static str, &'static str), apps| List {
        title,
        hint,
        tone,
        apps,
    };
    let lists = [
        list(inserted, plan.inserted.iter().map(new).collect()),
        list(edited, plan.changed.iter().map(&mut changed).collect()),
        list(losing, plan.losing_secrets.iter().map(bare).collect()),
        list(disabled, plan.disabled.iter().map(bare).collect()),
        list(held, plan.held_disabled.iter().map(bare).collect()),
    ];
    lists.into_iter().filter(|list: &List| !list.apps.is_empty()).collect()
}

/// Returns the notes of a report: on the whole, and on each client that has some.
fn clients(report: MigrationReport) -> Vec<Client> {
    let notes = |notes: Vec<Note>| -> Vec<_> {
        let labeled = notes.into_iter().map(|note| {
            let (label, tone) = text::finding(note.finding);
            (label, tone, note)
        });
        labeled.collect()
    };
    let whole = Client {
        title: text::WHOLE_EXPORT.to_owned(),
        is_refused: false,
        notes: notes(report.notes),
    };
    let of_client = report.clients.into_iter().map(|client| Client {
        title: client.client_id.unwrap_or(client.place),
        is_refused: client.outcome == ClientOutcome::Refused,
        notes: notes(client.notes),
    });
    let all = std::iter::once(whole).chain(of_client);
    all.filter(|client| client.is_refused || !client.notes.is_empty()).collect()
}
