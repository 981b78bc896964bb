//! Many apps at once, for administrators: a plan, and its execution.

use std::fmt::Write as _;
use std::sync::Arc;

use serde::Serialize;

use super::issuers::{IssuerChanges, IssuerPlan};
use super::revision::{Manager, Revision, missing_secret};
use super::{ChangedApp, DeclaredApps, InvalidDeclaration};
use crate::admin::{Admin, AdminError, ImportedApp, has_client_secret};
use crate::app::{AppCredentials, AppOrigin, ClientType, CustomApp};
use crate::audit::Action;
use crate::ids::{ClientId, EvidenceIssuer};
use crate::secret::Digest;
use crate::store::{InsertApp, Store, UpdateApp};

/// The effect that an import would have. `Serialize` writes the lists.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct ImportPlan {
    /// The apps that are not in the store.
    pub inserted: Vec<ClientId>,
    /// The inserted apps for which secrets are generated, because the import has none.
    pub generated: Vec<ClientId>,
    /// The apps that differ.
    pub changed: Vec<ChangedApp>,
    /// The changed apps that are disabled and lose their grants.
    pub disabled: Vec<ClientId>,
    /// The changed apps whose secrets are deleted, because the imported settings do not use them.
    pub losing_secrets: Vec<ClientId>,
    /// The apps that are as imported.
    pub unchanged: Vec<ClientId>,
    /// The apps that are imported as enabled and stay disabled, because an administrator disabled them. They are
    /// in `changed` or `unchanged`, too.
    pub held_disabled: Vec<ClientId>,
    /// The effect on the trusted issuers.
    #[serde(skip_serializing_if = "IssuerChanges::is_empty")]
    pub issuers: IssuerChanges,
    /// A digest of the imported apps' versions in the store.
    #[serde(skip)]
    versions: String,
}

impl ImportPlan {
    /// Returns true if nothing is to do.
    #[must_use]
    pub fn is_unchanged(&self) -> bool {
        self.inserted.is_empty() && self.changed.is_empty() && self.issuers.is_unchanged()
    }

    /// Returns a text that differs if the plan, or a version of an app on which it is based, differs. A page sends
    /// it with its form, so that what was shown is what is applied.
    #[must_use]
    pub fn fingerprint(&self) -> String {
        let lists = serde_json::to_string(self).unwrap_or_default();
        Digest::of_fields(&[lists.as_bytes(), self.versions.as_bytes()]).to_base64url()
    }

    fn add(&mut self, client_id: &ClientId, revision: &Revision) {
        let id = || client_id.clone();
        if revision.held {
            self.held_disabled.push(id());
        }
        if revision.disables {
            self.disabled.push(id());
        }
        if revision.loses_secrets {
            self.losing_secrets.push(id());
        }
        if revision.changed.is_empty() {
            self.unchanged.push(id());
        } else {
            let changed = revision.changed.clone();
            self.changed.push(ChangedApp { client_id: id(), changed });
        }
    }
}

/// The effect of an import.
#[derive(Debug, Default)]
#[must_use = "it has secrets that cannot be read again"]
#[non_exhaustive]
pub struct Imported {
    /// The inserted apps, each with the secrets that were generated.
    pub inserted: Vec<AppCredentials>,
    /// The changed apps.
    pub changed: Vec<ChangedApp>,
    /// The app at which the import stopped. It may or may not have been written if the store failed; those after it
    /// were not touched. If the import disables it, its grants may have ended even if it was not written.
    pub failed: Option<(ClientId, AdminError)>,
    /// The changed trusted issuers.
    pub issuers: IssuerChanges,
    /// The trusted issuer at which the import stopped, after all apps.
    pub failed_issuer: Option<(EvidenceIssuer, AdminError)>,
}

/// The error of [`Admin::plan_import`] and [`Admin::import_all`]. Nothing was written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ImportError {
    /// The apps do not fit the store.
    #[error(transparent)]
    Invalid(InvalidDeclaration),
    /// The store has changed since the plan was made.
    #[error("the store has changed since the plan was made")]
    Changed,
    /// The store or the user directory failed.
    #[error(transparent)]
    Failed(#[from] AdminError),
}

/// An app of the import, and the stored one.
type Pair<'d> = (&'d ImportedApp, Option<Arc<CustomApp>>);

/// The import beside the store.
type Planned<'d> = (Vec<Pair<'d>>, IssuerPlan<'d>, ImportPlan);

/// Apps: imported together.
impl<S: Store> Admin<'_, S> {
    /// Returns the effect that [`import_all`](Self::import_all) would have, and writes nothing.
    ///
    /// # Errors
    ///
    /// [`ImportError::Invalid`] if the host's configuration declares one of the apps, an existing app lacks a secret
    /// that it would need, a user has a new client id as subject, the configuration declares one of the issuers, or the
    /// server has no store of issuers; [`ImportError::Failed`].
    pub async fn plan_import(&self, apps: &DeclaredApps) -> Result<ImportPlan, ImportError> {
        self.planned(apps).await.map(|(_, _, plan)| plan)
    }

    /// Imports many apps, as the plan with the [fingerprint](ImportPlan::fingerprint) `plan` says. Administrators
    /// manage them afterwards.
    ///
    /// An app that exists gets the imported settings. Secrets that these do not use are deleted. The others stay,
    /// unless the import has another one: that is set beside the old one, which stays valid for
    /// [`with_secret_overlap`](DeclaredApps::with_secret_overlap). An app that is imported as disabled loses its
    /// grants, and a disabled one is not enabled. Apps that are not in the import are not touched.
    ///
    /// Trusted issuers come after the apps, which they name. Those that are not in the import are not touched, and access
    /// that was granted on the evidence of one that changes stays.
    ///
    /// Everything is checked first. If a call fails on the way, the result has what was done, and a new plan goes on
    /// from there. If the future is dropped on the way, the generated secrets of the apps inserted by then are lost:
    /// [`rotate_client_secret`](Self::rotate_client_secret) makes new ones. Each change is audited as a call of its
    /// own, as for [`apply`](Self::apply).
    ///
    /// # Errors
    ///
    /// [`ImportError::Changed`] if the plan made now is another one, and those of
    /// [`plan_import`](Self::plan_import).
    pub async fn import_all(
        &self,
        apps: &DeclaredApps,
        plan: &str,
    ) -> Result<Imported, ImportError> {
        let (pairs, issuers, found) = self.planned(apps).await?;
        if found.fingerprint() != plan {
            return Err(ImportError::Changed);
        }
        let mut done = Imported::default();
        for (app, stored) in pairs {
            let result = match stored {
                None => self.insert_imported(app, &mut done).await,
                Some(stored) => self.change_imported(apps, app, &stored, &mut done).await,
            };
            if let Err(error) = result {
                done.failed = Some((app.client_id.clone(), error));
                return Ok(done);
            }
        }
        let changed = self.change_issuers(issuers, Manager::Administrator, &mut done.issuers).await;
        done.failed_issuer = changed.err();
        Ok(done)
    }

    async fn planned<'d>(&self, apps: &'d DeclaredApps) -> Result<Planned<'d>, ImportError> {
        let (mut plan, mut pairs) = (ImportPlan::default(), Vec::new());
        let mut problems = InvalidDeclaration::default();
        let now = self.parts.clock.now();
        for (at, app) in apps.apps.iter().enumerate() {
            let id = &app.client_id;
            let stored = self.parts.store.read_app(id).await.map_err(AdminError::from)?;
            let version = stored.as_ref().map_or(0, |stored| stored.version());
            // Writing to a string cannot fail.
            _ = write!(plan.versions, "{version} ");
            let problem = match &stored {
                Some(stored) if stored.origin().is_declared() => {
                    Some(("client_id", "is that of an app that the host's configuration declares"))
                }
                Some(stored) => missing_secret(Some(stored), app, now),
                None if self.is_subject(id).await? => {
                    Some(("client_id", "must not be the subject of a user"))
                }
                None => None,
            };
            if let Some((field, problem)) = problem {
                problems.add(format!("apps[{at}].{field}"), problem);
            } else if let Some(stored) = &stored {
                let revision =
                    self.revision(Manager::Administrator, stored, app, apps.overlap, now)?;
                plan.add(id, &revision);
            } else {
                plan.inserted.push(id.clone());
                if needs_secrets(app) {
                    plan.generated.push(id.clone());
                }
            }
            pairs.push((app, stored));
        }
        let issuers = self.compare_issuers(apps, Manager::Administrator, &mut problems).await?;
        plan.issuers = issuers.changes();
        for version in issuers.versions() {
            _ = write!(plan.versions, "{version} ");
        }
        problems.unless_any((pairs, issuers, plan)).map_err(ImportError::Invalid)
    }

    async fn insert_imported(
        &self,
        app: &ImportedApp,
        done: &mut Imported,
    ) -> Result<(), AdminError> {
        let inserted = match self.new_app(app, AppOrigin::Registered) {
            Ok((stored, told)) => match self.parts.store.insert_app(stored).await {
                Ok(InsertApp::Inserted) => Ok(told),
                Ok(InsertApp::AlreadyExists) => Err(AdminError::AlreadyExists),
                Err(error) => Err(error.into()),
            },
            Err(error) => Err(error),
        };
        let told = self.audited(Action::ImportApp, Some(&app.client_id), inserted)?;
        done.inserted.push(told);
        Ok(())
    }

    /// Changes an app at the version of the plan.
    async fn change_imported(
        &self,
        apps: &DeclaredApps,
        app: &ImportedApp,
        stored: &CustomApp,
        done: &mut Imported,
    ) -> Result<(), AdminError> {
        let (id, now) = (&app.client_id, self.parts.clock.now());
        let mut revision = self.revision(Manager::Administrator, stored, app, apps.overlap, now)?;
        let Some(after) = revision.app.take() else { return Ok(()) };
        let expected = stored.version();
        let updated = match self.replace(after, expected, revision.disables).await {
            Ok(UpdateApp::Updated) => Ok(()),
            Ok(UpdateApp::NotFound) => Err(AdminError::NotFound),
            Ok(UpdateApp::Conflict) => {
                let found = self.existing(id).await.map(|app| app.version());
                found.and_then(|found| Err(AdminError::Conflict { expected, found }))
            }
            Err(error) => Err(error),
        };
        if updated.is_err() {
            return self.record_failure(id, revision, updated);
        }
        self.record_changes(id, &revision);
        done.changed.push(ChangedApp { client_id: id.clone(), changed: revision.changed });
        Ok(())
    }
}

/// Checks whether a new app gets generated secrets.
fn needs_secrets(app: &ImportedApp) -> bool {
    (has_client_secret(&app.settings) && app.client_secret.is_none())
        || (app.settings.client_type() == ClientType::Confidential
            && app.signature_secret.is_none())
}
