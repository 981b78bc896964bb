//! Making the store agree with a declaration.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::Serialize;

use super::issuers::{IssuerChanges, IssuerPlan};
use super::revision::{Manager, Revision, missing_secret};
use super::{DeclaredApps, InvalidDeclaration};
use crate::admin::app_changes::ROUNDS;
use crate::admin::{Admin, AdminError, ImportedApp};
use crate::app::{AppOrigin, CustomApp, InvalidApp};
use crate::audit::Action;
use crate::ids::{ClientId, EvidenceIssuer, Subject};
use crate::store::{
    AppQuery, InsertApp, Page, RevocationReason, RevocationTarget, Store, UpdateApp,
};

/// The number of apps that are read at a time.
const PAGE: usize = 500;

/// The effect of a declaration on the store.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Applied {
    /// The apps that were not in the store.
    pub inserted: Vec<ClientId>,
    /// The apps that differed.
    pub changed: Vec<ChangedApp>,
    /// The apps that were as declared.
    pub unchanged: Vec<ClientId>,
    /// The apps that are no longer declared. They are disabled and lost their grants.
    pub disabled: Vec<ClientId>,
    /// The apps that are declared as enabled and stay disabled, because an administrator disabled them.
    /// They are in `changed` or `unchanged`, too. [`Admin::enable`] enables them.
    pub held_disabled: Vec<ClientId>,
    /// The effect on the trusted issuers.
    #[serde(skip_serializing_if = "IssuerChanges::is_empty")]
    pub issuers: IssuerChanges,
}

/// An app that differed from its declaration.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct ChangedApp {
    /// The client id.
    pub client_id: ClientId,
    /// The parts that differed: settings by their names in JSON, and `client_secret`, `signature_secret`
    /// and `enabled`.
    pub changed: Vec<String>,
}

impl Applied {
    /// Returns true if nothing was to do.
    #[must_use]
    pub fn is_unchanged(&self) -> bool {
        self.inserted.is_empty()
            && self.changed.is_empty()
            && self.disabled.is_empty()
            && self.issuers.is_unchanged()
    }

    fn add(&mut self, client_id: &ClientId, revision: Revision) {
        if revision.held {
            self.held_disabled.push(client_id.clone());
        }
        if revision.changed.is_empty() {
            self.unchanged.push(client_id.clone());
        } else {
            let changed = revision.changed;
            self.changed.push(ChangedApp { client_id: client_id.clone(), changed });
        }
    }
}

/// The error of [`Admin::apply`] and [`Admin::plan`].
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ApplyError {
    /// The declaration does not fit the store. Nothing was written.
    #[error(transparent)]
    Invalid(InvalidDeclaration),
    /// A call failed. Apply the declaration again: it goes on where this call ended.
    #[error("{}: {error}", .client_id.as_ref().map_or("the apps cannot be read", ClientId::as_str))]
    Failed {
        /// The apps up to the failure.
        done: Box<Applied>,
        /// The app at which it failed, or `None` if the apps could not be listed. This app may or may not
        /// have been written.
        client_id: Option<ClientId>,
        /// The failure.
        #[source]
        error: AdminError,
    },
    /// A call about a trusted issuer failed. Apply the declaration again: it goes on where this call ended.
    #[error("trusted issuer {}: {error}", .issuer.as_ref().map_or("(the list cannot be read)", EvidenceIssuer::as_str))]
    IssuerFailed {
        /// The apps, and the issuers up to the failure.
        done: Box<Applied>,
        /// The issuer at which it failed, or `None` if the issuers could not be listed. It may or may not have been
        /// written.
        issuer: Option<EvidenceIssuer>,
        /// The failure.
        #[source]
        error: AdminError,
    },
}

/// An app of the declaration, and the stored one.
type Pair<'d> = (&'d ImportedApp, Option<Arc<CustomApp>>);

/// A declaration beside the store, without a conflict.
struct Plan<'d> {
    pairs: Vec<Pair<'d>>,
    /// Enabled apps that are no longer declared.
    dropped: Vec<ClientId>,
    issuers: IssuerPlan<'d>,
}

/// Apps: declared by the host's configuration.
impl<S: Store> Admin<'_, S> {
    /// Makes the store agree with a declaration: inserts, changes and enables the apps that it lists, and
    /// disables the ones that it listed before. It deletes none, and touches no app that an administrator
    /// registered.
    ///
    /// * Everything is checked first. A declaration with a problem changes nothing.
    /// * Applied again, it writes nothing and makes no audit event. Any number of processes may apply one
    ///   declaration at once.
    /// * A setting that an administrator edited goes back to the declared one. An app that an
    ///   administrator disabled stays disabled, and a secret that an administrator rotated stays until the
    ///   declaration brings another one.
    /// * Trusted issuers are treated alike, after the apps, which they name. One that is no longer declared is not
    ///   trusted any more, and the access on its evidence ends, as by
    ///   [`remove_trusted_issuer`](Self::remove_trusted_issuer). Those that an administrator trusts are not touched.
    /// * Grants survive. A secret that changed is set beside the old one, which stays valid for
    ///   [`with_secret_overlap`](DeclaredApps::with_secret_overlap). An app that the declaration disables
    ///   or leaves out loses its grants.
    ///
    /// Every change is audited as a call of its own: `import_app`, `edit_app`, `set_client_secret`,
    /// `regenerate_signature_secret`, `enable_app` or `disable_app`, and `add_trusted_issuer`, `edit_trusted_issuer` or
    /// `remove_trusted_issuer`.
    ///
    /// # Errors
    ///
    /// [`ApplyError::Invalid`] if an administrator registered an app under one of the client ids, an app
    /// lacks a secret that it needs, a user has the client id as subject, an administrator trusts one of the issuers,
    /// or the server has no store of issuers; [`ApplyError::Failed`] and [`ApplyError::IssuerFailed`] if a call failed on
    /// the way.
    pub async fn apply(&self, declared: &DeclaredApps) -> Result<Applied, ApplyError> {
        let mut refused = Vec::new();
        let planned = self.compare(declared, &mut refused).await;
        for (client_id, error) in refused {
            let _ = self.audited::<()>(Action::ImportApp, Some(client_id), Err(error));
        }
        let plan = planned?;
        let mut done = Applied::default();
        for (app, stored) in plan.pairs {
            if let Err(error) = self.apply_one(declared, app, stored, &mut done).await {
                let client_id = Some(app.client_id.clone());
                let done = Box::new(done);
                return Err(ApplyError::Failed { done, client_id, error });
            }
        }
        for client_id in plan.dropped {
            let result = self.withdraw(&client_id).await;
            match self.audited(Action::DisableApp, Some(&client_id), result) {
                Ok(()) => done.disabled.push(client_id),
                Err(error) => {
                    let (done, client_id) = (Box::new(done), Some(client_id));
                    return Err(ApplyError::Failed { done, client_id, error });
                }
            }
        }
        let mut issuers = IssuerChanges::default();
        let changed = self.change_issuers(plan.issuers, Manager::Configuration, &mut issuers).await;
        done.issuers = issuers;
        changed.map_err(|(issuer, error)| {
            let done = Box::new(done.clone());
            ApplyError::IssuerFailed { done, issuer: Some(issuer), error }
        })?;
        Ok(done)
    }

    /// Returns the effect that [`apply`](Self::apply) would have, and writes nothing.
    ///
    /// # Errors
    ///
    /// [`ApplyError`], as for [`apply`](Self::apply).
    pub async fn plan(&self, declared: &DeclaredApps) -> Result<Applied, ApplyError> {
        let plan = self.compare(declared, &mut Vec::new()).await?;
        let mut planned = Applied::default();
        for (app, stored) in plan.pairs {
            let Some(stored) = stored else {
                planned.inserted.push(app.client_id.clone());
                continue;
            };
            let now = self.parts.clock.now();
            match self.revision(Manager::Configuration, &stored, app, declared.overlap, now) {
                Ok(revision) => planned.add(&app.client_id, revision),
                Err(error) => {
                    let client_id = Some(app.client_id.clone());
                    let done = Box::new(planned);
                    return Err(ApplyError::Failed { done, client_id, error });
                }
            }
        }
        planned.disabled = plan.dropped;
        planned.issuers = plan.issuers.changes();
        Ok(planned)
    }

    /// Reads the stored apps, and checks that the declaration fits them. Each app that does not goes into
    /// `refused`.
    async fn compare<'d>(
        &self,
        declared: &'d DeclaredApps,
        refused: &mut Vec<(&'d ClientId, AdminError)>,
    ) -> Result<Plan<'d>, ApplyError> {
        let failed = |client_id: Option<&ClientId>, error: AdminError| ApplyError::Failed {
            done: Box::default(),
            client_id: client_id.cloned(),
            error,
        };
        let mut before = self.declared_before().await.map_err(|error| failed(None, error))?;
        let mut problems = InvalidDeclaration::default();
        let mut pairs = Vec::new();
        let now = self.parts.clock.now();
        for (at, app) in declared.apps.iter().enumerate() {
            let id = &app.client_id;
            let failed = |error| failed(Some(id), error);
            let stored = match before.remove(id) {
                Some(stored) => Some(stored),
                None => {
                    self.parts.store.read_app(id).await.map_err(|error| failed(error.into()))?
                }
            };
            let problem = match &stored {
                Some(stored) if !stored.origin().is_declared() => Some((
                    "client_id",
                    "is that of an app that an administrator registered: declare another one, or \
                     hand that app over with Admin::set_origin",
                )),
                None if self.is_subject(id).await.map_err(failed)? => {
                    Some(("client_id", "must not be the subject of a user"))
                }
                _ => missing_secret(stored.as_deref(), app, now),
            };
            if let Some((field, problem)) = problem {
                problems.add(format!("apps[{at}].{field}"), problem);
                let is_taken = stored.as_ref().is_some_and(|it| !it.origin().is_declared());
                let error = if is_taken {
                    AdminError::AlreadyExists
                } else {
                    InvalidApp::new(field, problem).into()
                };
                refused.push((id, error));
            }
            pairs.push((app, stored));
        }
        let dropped = before.into_values().filter(|app| app.is_enabled());
        let dropped = dropped.map(|app| app.client_id().clone()).collect();
        let issuers = self.compare_issuers(declared, Manager::Configuration, &mut problems).await;
        let issuers = issuers.map_err(|error| {
            let done = Box::default();
            ApplyError::IssuerFailed { done, issuer: None, error }
        })?;
        problems.unless_any(Plan { pairs, dropped, issuers }).map_err(ApplyError::Invalid)
    }

    pub(super) async fn is_subject(&self, client_id: &ClientId) -> Result<bool, AdminError> {
        Ok(self.parts.inquiries.is_user(&Subject::from(client_id)).await?)
    }

    /// Returns the apps that were declared before.
    async fn declared_before(&self) -> Result<BTreeMap<ClientId, Arc<CustomApp>>, AdminError> {
        let query = AppQuery::all().declared(true);
        let mut found = BTreeMap::new();
        let mut page = Page::first(PAGE);
        loop {
            let listing = self.parts.store.list_apps(&query, page).await?;
            // Checked again: a store that ignores a part of the query must not cost an app its grants.
            let declared = listing.items.into_iter().filter(|app| app.origin().is_declared());
            found.extend(declared.map(|app| (app.client_id().clone(), app)));
            match listing.next {
                Some(last) => page = Page { after: Some(last), limit: PAGE },
                None => return Ok(found),
            }
        }
    }

    /// Makes one app as declared, and retries on a conflict with another process.
    async fn apply_one(
        &self,
        declared: &DeclaredApps,
        app: &ImportedApp,
        mut stored: Option<Arc<CustomApp>>,
        done: &mut Applied,
    ) -> Result<(), AdminError> {
        let id = &app.client_id;
        let mut expected = 0;
        for _ in 0..ROUNDS {
            let Some(before) = stored else {
                let result = self.insert_declared(app).await;
                match result {
                    Ok(InsertApp::AlreadyExists) => stored = self.parts.store.read_app(id).await?,
                    Ok(InsertApp::Inserted) => {
                        done.inserted.push(id.clone());
                        return self.audited(Action::ImportApp, Some(id), Ok(()));
                    }
                    Err(error) => return self.audited(Action::ImportApp, Some(id), Err(error)),
                }
                continue;
            };
            let now = self.parts.clock.now();
            let mut revision =
                match self.revision(Manager::Configuration, &before, app, declared.overlap, now) {
                    Ok(revision) => revision,
                    Err(error) => return self.audited(Action::ImportApp, Some(id), Err(error)),
                };
            let Some(after) = revision.app.take() else {
                done.add(id, revision);
                return Ok(());
            };
            expected = before.version();
            match self.replace(after, expected, revision.disables).await {
                Ok(UpdateApp::Updated) => {
                    self.record_changes(id, &revision);
                    done.add(id, revision);
                    return Ok(());
                }
                Ok(UpdateApp::Conflict | UpdateApp::NotFound) => {
                    stored = self.parts.store.read_app(id).await?;
                }
                Err(error) => return self.record_failure(id, revision, Err(error)),
            }
        }
        let found = stored.map_or(0, |app| app.version());
        Err(AdminError::Conflict { expected, found })
    }

    async fn insert_declared(&self, app: &ImportedApp) -> Result<InsertApp, AdminError> {
        let origin = if app.enabled { AppOrigin::Declared } else { AppOrigin::Withdrawn };
        let (stored, _) = self.new_app(app, origin)?;
        Ok(self.parts.store.insert_app(stored).await?)
    }

    /// Replaces an app. If that disables it, its grants end before and after, as for
    /// [`disable`](Self::disable).
    pub(super) async fn replace(
        &self,
        after: CustomApp,
        expected: u64,
        disables: bool,
    ) -> Result<UpdateApp, AdminError> {
        let target = RevocationTarget::App(after.client_id().clone());
        if disables {
            self.end_access(target.clone(), RevocationReason::AppDisabled).await?;
        }
        let updated = self.parts.store.update_app(after, expected).await?;
        if disables && updated == UpdateApp::Updated {
            self.end_access(target, RevocationReason::AppDisabled).await?;
        }
        Ok(updated)
    }

    /// Disables an app that is no longer declared.
    async fn withdraw(&self, client_id: &ClientId) -> Result<(), AdminError> {
        let mut expected = 0;
        for _ in 0..ROUNDS {
            let Some(app) = self.parts.store.read_app(client_id).await? else { return Ok(()) };
            // An administrator was first.
            if !app.is_enabled() || !app.origin().is_declared() {
                return Ok(());
            }
            expected = app.version();
            let withdrawn = app.edited(self.parts.clock.now(), |edit| {
                *edit.enabled = false;
                *edit.origin = AppOrigin::Withdrawn;
            });
            if self.replace(withdrawn, expected, true).await? == UpdateApp::Updated {
                return Ok(());
            }
        }
        let found = self.existing(client_id).await?.version();
        Err(AdminError::Conflict { expected, found })
    }

    /// Audits a change that failed. If it disables the app, its grants may have ended before.
    pub(super) fn record_failure<T>(
        &self,
        client_id: &ClientId,
        revision: Revision,
        mut failed: Result<T, AdminError>,
    ) -> Result<T, AdminError> {
        if revision.disables {
            failed = self.audited(Action::DisableApp, Some(client_id), failed);
        }
        self.audited(Action::EditApp { changed: revision.changed }, Some(client_id), failed)
    }

    /// Audits each part that was changed.
    pub(super) fn record_changes(&self, client_id: &ClientId, revision: &Revision) {
        let mut settings = revision.changed.clone();
        let mut taken = |name: &str| {
            let count = settings.len();
            settings.retain(|field| field != name);
            settings.len() < count
        };
        let client_secret = taken("client_secret").then_some(Action::SetClientSecret);
        let signature = taken("signature_secret").then_some(Action::RegenerateSignatureSecret);
        let enabled = taken("enabled").then_some(if revision.disables {
            Action::DisableApp
        } else {
            Action::EnableApp
        });
        let edit = (!settings.is_empty()).then_some(Action::EditApp { changed: settings });
        for action in [edit, client_secret, signature, enabled].into_iter().flatten() {
            let _ = self.audited(action, Some(client_id), Ok(()));
        }
    }
}
