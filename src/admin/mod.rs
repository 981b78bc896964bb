//! What an administrator does with apps and with access.
//!
//! Every call, done or refused, is audited with the name of the administrator. What a change does
//! to codes, refresh tokens and access tokens that are out already stands in
//! `docs/administration.md`; in short: what is disabled, deleted or revoked is refused at once, and
//! what is narrowed is narrow from the next refresh on.
//!
//! Edits of one app by several administrators do not overwrite each other:
//! [`edit`](Admin::edit) states the version that was read and loses with
//! [`AdminError::Conflict`]; every other call changes one thing, and is applied to whatever the app
//! is by then.

mod app_changes;
mod error;
mod transfer;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

pub use error::AdminError;
pub use transfer::{AppExport, ImportedApp};

use crate::app::{
    AppCredentials, AppSettings, ClientAuthentication, ClientType, Credentials, CustomApp,
    StoredSecret,
};
use crate::audit::usage::Usage;
use crate::audit::{Action, Actor, AuditEvent, AuditSink};
use crate::clock::{Clock, UnixTime};
use crate::ids::{ClientId, GrantId, Subject};
use crate::observe::Outcome;
use crate::random::SecureRandom;
use crate::secret::{ClientSecret, SignatureSecret};
use crate::server_secret::{Pepper, Sealed, Sealing};
use crate::store::{
    AppQuery, Grant, GrantFilter, InsertApp, Listing, Page, Pruned, Revocation, RevocationReason,
    RevocationTarget, Revoked, Store, StoreError,
};

/// What an administrator does with apps and with access.
pub struct Admin<'a, S> {
    parts: AdminParts<'a, S>,
    name: Arc<str>,
}

/// The parts of the server that its administration uses.
pub(crate) struct AdminParts<'a, S> {
    pub(crate) store: &'a S,
    pub(crate) pepper: &'a Pepper,
    pub(crate) sealing: &'a Sealing,
    pub(crate) clock: &'a dyn Clock,
    pub(crate) random: &'a dyn SecureRandom,
    pub(crate) audit: &'a dyn AuditSink,
    pub(crate) usage: &'a Usage,
}

impl<S> fmt::Debug for Admin<'_, S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Admin").field("name", &self.name).finish_non_exhaustive()
    }
}

/// Apps: registered, imported, found.
impl<'a, S: Store> Admin<'a, S> {
    /// The administration of a server in the hands of whoever `name` is.
    pub(crate) fn new(parts: AdminParts<'a, S>, name: impl Into<Arc<str>>) -> Self {
        Self { parts, name: name.into() }
    }

    /// Registers an app, and answers its client id and its secrets: a client secret if it
    /// authenticates by one, a signature secret unless it is a public app. Nothing else ever shows
    /// them again.
    ///
    /// # Errors
    ///
    /// [`AdminError::Random`] and [`AdminError::Store`]. After the latter there may be an app whose
    /// secrets nobody knows: [`list`](Self::list) finds it, [`delete`](Self::delete) removes it.
    pub async fn register(&self, settings: AppSettings) -> Result<AppCredentials, AdminError> {
        let client_id = match ClientId::generate(self.parts.random) {
            Ok(client_id) => client_id,
            Err(error) => return self.audited(Action::RegisterApp, None, Err(error.into())),
        };
        let result = self.insert(ImportedApp::new(client_id.clone(), settings)).await;
        self.audited(Action::RegisterApp, Some(&client_id), result)
    }

    /// Registers an app that has a client id elsewhere, and answers the secrets that it needs and
    /// did not bring.
    ///
    /// # Errors
    ///
    /// [`AdminError::AlreadyExists`]; [`AdminError::Invalid`] where a secret that it brings does not
    /// fit; [`AdminError::Random`] and [`AdminError::Store`].
    pub async fn import(&self, app: ImportedApp) -> Result<AppCredentials, AdminError> {
        let client_id = app.client_id.clone();
        let result = self.insert(app).await;
        self.audited(Action::ImportApp, Some(&client_id), result)
    }

    /// An app without its secrets, to be written as JSON and imported elsewhere.
    ///
    /// # Errors
    ///
    /// [`AdminError::NotFound`] and [`AdminError::Store`].
    pub async fn export(&self, client_id: &ClientId) -> Result<AppExport, AdminError> {
        self.existing(client_id).await.map(|app| AppExport::from(&*app))
    }

    /// Finds an app, enabled or not.
    ///
    /// # Errors
    ///
    /// [`StoreError`] when the store cannot tell.
    pub async fn find(&self, client_id: &ClientId) -> Result<Option<Arc<CustomApp>>, StoreError> {
        self.parts.store.read_app(client_id).await
    }

    /// Lists apps in the order of their client ids.
    ///
    /// # Errors
    ///
    /// [`StoreError`] when the store cannot tell.
    pub async fn list(
        &self,
        query: &AppQuery,
        page: Page<ClientId>,
    ) -> Result<Listing<Arc<CustomApp>, ClientId>, StoreError> {
        self.parts.store.list_apps(query, page).await
    }

    async fn insert(&self, app: ImportedApp) -> Result<AppCredentials, AdminError> {
        app.check()?;
        let now = self.parts.clock.now();
        let client_id = app.client_id;
        let mut kept = Credentials::default();
        let mut told = credentials(&client_id);
        match app.client_secret {
            Some((secret, expires_at)) => {
                let digest = self.parts.pepper.digest(&client_id, &secret);
                let imported = true;
                kept.client_secrets.push(StoredSecret {
                    digest,
                    created_at: now,
                    expires_at,
                    imported,
                });
            }
            None if has_client_secret(&app.settings) => {
                let (secret, stored) = self.new_client_secret(&client_id, now)?;
                kept.client_secrets.push(stored);
                told.client_secret = Some(secret);
            }
            None => {}
        }
        if let Some(secret) = &app.signature_secret {
            let sealed = self.parts.sealing.seal(&client_id, secret, self.parts.random)?;
            kept.signature_secret = Some(sealed);
        } else if app.settings.client_type() == ClientType::Confidential {
            let (secret, sealed) = self.new_signature_secret(&client_id)?;
            kept.signature_secret = Some(sealed);
            told.signature_secret = Some(secret);
        }
        let mut stored = CustomApp::new(client_id, app.settings, kept, now);
        if !app.enabled {
            stored = stored.edited(now, |edit| *edit.enabled = false);
        }
        match self.parts.store.insert_app(stored).await? {
            InsertApp::Inserted => Ok(told),
            InsertApp::AlreadyExists => Err(AdminError::AlreadyExists),
        }
    }
}

/// Access: listed and ended.
impl<S: Store> Admin<'_, S> {
    /// Lists grants in the order of their ids.
    ///
    /// # Errors
    ///
    /// [`StoreError`] when the store cannot tell.
    pub async fn grants(
        &self,
        filter: &GrantFilter,
        page: Page<GrantId>,
    ) -> Result<Listing<Grant, GrantId>, StoreError> {
        self.parts.store.list_grants(filter, page).await
    }

    /// Ends access: nothing of `target` that was granted before lives when this returns. Whether
    /// there was any does not matter.
    ///
    /// # Errors
    ///
    /// [`AdminError::Store`].
    pub async fn revoke(&self, target: RevocationTarget) -> Result<Revoked, AdminError> {
        let action = Action::Revoke { target: target.clone() };
        let (client_id, subject, grant_id) = match &target {
            RevocationTarget::App(client_id) => (Some(client_id.clone()), None, None),
            RevocationTarget::Subject(subject) => (None, Some(subject.clone()), None),
            RevocationTarget::AppAndSubject(client_id, subject) => {
                (Some(client_id.clone()), Some(subject.clone()), None)
            }
            RevocationTarget::Grant(grant_id) => (None, None, Some(*grant_id)),
            RevocationTarget::Everything | RevocationTarget::Device(_) => (None, None, None),
        };
        let result = self.end_access(target, RevocationReason::Administrator).await;
        let event = self.event(action, &result);
        self.record(&AuditEvent { client_id, subject, grant_id, ..event });
        result
    }

    /// Forgets what a user agreed to and ends what the app may do as that user. The user will be
    /// asked again.
    ///
    /// # Errors
    ///
    /// [`AdminError::Store`].
    pub async fn withdraw_consent(
        &self,
        client_id: &ClientId,
        subject: &Subject,
    ) -> Result<Revoked, AdminError> {
        let now = self.parts.clock.now();
        let withdrawn =
            self.parts.store.withdraw_consent(client_id, subject, now, last_expiry(now)).await;
        let result = withdrawn.map_err(AdminError::from);
        let event = self.event(Action::WithdrawConsent, &result);
        self.record(&event.with_app(client_id).with_subject(subject));
        result
    }

    /// Removes up to `limit` rows that mean nothing any more: expired grants, and revocations and
    /// assertions that are past. To be called from time to time, again at once while it answers
    /// that there is [`more`](Pruned::more). Not audited.
    ///
    /// # Errors
    ///
    /// [`StoreError`] when some may not have been removed.
    pub async fn prune(&self, limit: usize) -> Result<Pruned, StoreError> {
        self.parts.store.prune(self.parts.clock.now(), limit).await
    }

    async fn end_access(
        &self,
        target: RevocationTarget,
        why: RevocationReason,
    ) -> Result<Revoked, AdminError> {
        let at = self.parts.clock.now();
        let revocation = Revocation { target, at, why, until: last_expiry(at) };
        Ok(self.parts.store.revoke(&revocation).await?)
    }
}

impl<S: Store> Admin<'_, S> {
    async fn existing(&self, client_id: &ClientId) -> Result<Arc<CustomApp>, AdminError> {
        self.parts.store.read_app(client_id).await?.ok_or(AdminError::NotFound)
    }

    fn new_client_secret(
        &self,
        client_id: &ClientId,
        now: UnixTime,
    ) -> Result<(ClientSecret, StoredSecret), AdminError> {
        let secret = ClientSecret::generate(self.parts.random)?;
        let digest = self.parts.pepper.digest(client_id, &secret);
        let stored = StoredSecret { digest, created_at: now, expires_at: None, imported: false };
        Ok((secret, stored))
    }

    fn new_signature_secret(
        &self,
        client_id: &ClientId,
    ) -> Result<(SignatureSecret, Sealed), AdminError> {
        let secret = SignatureSecret::generate(self.parts.random)?;
        let sealed = self.parts.sealing.seal(client_id, &secret, self.parts.random)?;
        Ok((secret, sealed))
    }

    fn event<T>(&self, action: Action, result: &Result<T, AdminError>) -> AuditEvent {
        let outcome = match result {
            Ok(_) => Outcome::Success,
            Err(error) => error.outcome(),
        };
        let actor = Actor::Administrator(Arc::clone(&self.name));
        AuditEvent::new(self.parts.clock.now(), actor, action, outcome)
    }

    fn record(&self, event: &AuditEvent) {
        self.parts.usage.record(event);
        self.parts.audit.record(event);
    }

    fn audited<T>(
        &self,
        action: Action,
        client_id: Option<&ClientId>,
        result: Result<T, AdminError>,
    ) -> Result<T, AdminError> {
        let event = self.event(action, &result);
        self.record(&AuditEvent { client_id: client_id.cloned(), ..event });
        result
    }
}

/// The longest that anything granted until `now` can live.
fn last_expiry(now: UnixTime) -> UnixTime {
    now.plus(Duration::from_secs(AppSettings::MAX_REFRESH_TOKEN_LIFETIME.into()))
}

fn has_client_secret(settings: &AppSettings) -> bool {
    match settings.authentication() {
        ClientAuthentication::ClientSecret
        | ClientAuthentication::ClientSecretBasic
        | ClientAuthentication::ClientSecretPost => true,
        ClientAuthentication::PrivateKeyJwt(_) | ClientAuthentication::None => false,
    }
}

fn credentials(client_id: &ClientId) -> AppCredentials {
    AppCredentials { client_id: client_id.clone(), client_secret: None, signature_secret: None }
}

#[cfg(test)]
mod tests;
