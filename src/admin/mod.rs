//! Administration of apps, grants and consent.
//!
//! Every change is audited with the administrator's name, also if it is refused. Reads are not audited.
//! `docs/administration.md` explains how a change affects existing codes, refresh tokens and access
//! tokens. In short: a disabled, deleted or revoked app or token is refused at once, and a narrowed
//! scope takes effect at the next refresh.
//!
//! Administrators do not overwrite each other's edits. [`edit`](Admin::edit) states the version
//! that it is based on, and fails with [`AdminError::Conflict`] if the app has changed. Every other
//! call changes one thing and applies to the current version.

mod account;
mod app_changes;
mod declared;
mod devices;
mod error;
mod grants;
mod inquiry;
mod pruning;
mod shown_once;
mod subject_record;
mod transfer;
mod trusted_issuers;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

pub use account::{
    Account, AuthorizedApp, AuthorizedApps, AuthorizedDevice, AuthorizedDevices, AuthorizedScope,
};
pub use declared::{
    Applied, ApplyError, ChangedApp, ChangedIssuer, DeclarationProblem, DeclaredApps, ImportError,
    ImportPlan, Imported, InvalidDeclaration, IssuerChanges, SecretReference,
};
pub use devices::RevokedAndWiped;
pub use error::AdminError;
pub(crate) use inquiry::Inquiries;
pub(crate) use pruning::prune;
pub use subject_record::{DeviceRecord, GrantRecord, SubjectRecord};
pub use transfer::{AppExport, ExportError, ImportedApp};

pub use crate::endpoint::token::{
    EvidenceCheck, ExchangeQuestion, LeftOutScope, PreviewRequest, PreviewedToken, ScopeLimit,
    SubjectTokenType, TokenPreview, UserCheck,
};

use crate::app::{
    AppCredentials, AppOrigin, AppSettings, ClientAuthentication, ClientType, Credentials,
    CustomApp, InvalidApp, StoredSecret,
};
use crate::audit::usage::Usage;
use crate::audit::{Action, Actor, AuditEvent, AuditSink};
use crate::clock::{Clock, UnixTime};
use crate::endpoint::trusted_issuers::TrustedIssuers;
use crate::ids::{ClientId, GrantId, Subject};
use crate::observe::Outcome;
use crate::random::SecureRandom;
use crate::secret::{ClientSecret, SignatureSecret};
use crate::server_secret::{GivenSecret, Pepper, Sealed, Sealing, SecretDigest, is_long};
use crate::store::{
    AppQuery, Grant, GrantFilter, InsertApp, Listing, Page, Pruned, Revocation, RevocationReason,
    RevocationTarget, Revoked, SharedDevices, SharedPending, Store, StoreError,
};

/// The administrative interface of a server, for one administrator.
pub struct Admin<'a, S> {
    parts: AdminParts<'a, S>,
    name: Arc<str>,
}

/// The parts of the server that administration uses.
pub(crate) struct AdminParts<'a, S> {
    pub(crate) store: &'a S,
    pub(crate) pepper: &'a Pepper,
    pub(crate) sealing: &'a Sealing,
    pub(crate) clock: &'a dyn Clock,
    pub(crate) random: &'a dyn SecureRandom,
    pub(crate) audit: &'a dyn AuditSink,
    pub(crate) usage: &'a Usage,
    pub(crate) inquiries: &'a dyn Inquiries,
    /// The devices, if the server wipes phones.
    pub(crate) devices: Option<&'a dyn SharedDevices>,
    /// The codes of devices and the used tokens of issuers, as far as the server keeps them.
    pub(crate) pending: [Option<&'a dyn SharedPending>; 2],
    /// The trusted issuers, if the server accepts evidence of others.
    pub(crate) issuers: Option<&'a TrustedIssuers>,
}

impl<S> AdminParts<'_, S> {
    fn record(&self, event: &AuditEvent) {
        self.usage.record(event);
        self.audit.record(event);
    }
}

impl<S> fmt::Debug for Admin<'_, S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Admin").field("name", &self.name).finish_non_exhaustive()
    }
}

/// Apps: registration, import, lookup.
impl<'a, S: Store> Admin<'a, S> {
    /// Creates the interface for the administrator `name`.
    pub(crate) fn new(parts: AdminParts<'a, S>, name: impl Into<Arc<str>>) -> Self {
        Self { parts, name: name.into() }
    }

    /// Registers an app and returns its client id and secrets: a client secret if it authenticates
    /// with one, a signature secret unless it is public. They cannot be read again.
    ///
    /// # Errors
    ///
    /// [`AdminError::Random`] and [`AdminError::Store`]. After the latter the app may exist without
    /// anyone holding its secrets: find it with [`list`](Self::list) and remove it with
    /// [`delete`](Self::delete).
    pub async fn register(&self, settings: AppSettings) -> Result<AppCredentials, AdminError> {
        let client_id = match ClientId::generate(self.parts.random) {
            Ok(client_id) => client_id,
            Err(error) => return self.audited(Action::RegisterApp, None, Err(error.into())),
        };
        let result = self.insert(ImportedApp::new(client_id.clone(), settings)).await;
        self.audited(Action::RegisterApp, Some(&client_id), result)
    }

    /// Registers an app under an existing client id and returns the secrets that had to be
    /// generated.
    ///
    /// # Errors
    ///
    /// [`AdminError::AlreadyExists`]; [`AdminError::Invalid`] if an imported secret does not fit
    /// the settings, or if a user has the client id as subject: a token of that user would pass for
    /// the app's own (RFC 9068 section 5); [`AdminError::Directory`], [`AdminError::Random`] and
    /// [`AdminError::Store`].
    pub async fn import(&self, app: ImportedApp) -> Result<AppCredentials, AdminError> {
        let client_id = app.client_id.clone();
        let result = match self.refuse_subject(&client_id).await {
            Ok(()) => self.insert(app).await,
            Err(error) => Err(error),
        };
        self.audited(Action::ImportApp, Some(&client_id), result)
    }

    async fn refuse_subject(&self, client_id: &ClientId) -> Result<(), AdminError> {
        if self.parts.inquiries.is_user(&Subject::from(client_id)).await? {
            return Err(InvalidApp::new("client_id", "must not be the subject of a user").into());
        }
        Ok(())
    }

    /// Exports an app without its secrets, for an import elsewhere.
    ///
    /// # Errors
    ///
    /// [`AdminError::NotFound`] and [`AdminError::Store`].
    pub async fn export(&self, client_id: &ClientId) -> Result<AppExport, AdminError> {
        self.existing(client_id).await.map(|app| AppExport::from(&*app))
    }

    /// Exports every app without its secrets, and every trusted issuer, for [`import_all`](Self::import_all) elsewhere.
    /// The list is in memory.
    ///
    /// # Errors
    ///
    /// [`ExportError::TooMany`] beyond [`DeclaredApps::MAX_APPS`] apps: export them one by one. [`ExportError::Store`].
    pub async fn export_all(&self) -> Result<DeclaredApps, ExportError> {
        let mut apps = Vec::new();
        let mut next = Some(Page::first(Page::<()>::MAX_LIMIT));
        while let Some(page) = next {
            let listing = self.list(&AppQuery::all(), page.clone()).await?;
            let exported = listing.items.iter().map(|app| AppExport::from(&**app).into());
            apps.extend(exported);
            if apps.len() > DeclaredApps::MAX_APPS {
                return Err(ExportError::TooMany);
            }
            next = listing.next.map(|last| page.after(last));
        }
        // Stored apps have one client id each, and settings that were checked.
        let declared = DeclaredApps::new(apps).map_err(StoreError::new)?;
        let issuers = match self.parts.issuers {
            Some(issuers) => declared::exported(issuers.store().list().await?),
            None => Vec::new(),
        };
        Ok(declared.with_trusted_issuers(issuers).map_err(StoreError::new)?)
    }

    /// Finds an app, enabled or not.
    ///
    /// # Errors
    ///
    /// [`StoreError`] if the read fails.
    pub async fn find(&self, client_id: &ClientId) -> Result<Option<Arc<CustomApp>>, StoreError> {
        self.parts.store.read_app(client_id).await
    }

    /// Lists apps in the order of their client ids.
    ///
    /// # Errors
    ///
    /// [`StoreError`] if the read fails.
    pub async fn list(
        &self,
        query: &AppQuery,
        page: Page<ClientId>,
    ) -> Result<Listing<Arc<CustomApp>, ClientId>, StoreError> {
        self.parts.store.list_apps(query, page).await
    }

    async fn insert(&self, app: ImportedApp) -> Result<AppCredentials, AdminError> {
        app.check()?;
        let (stored, told) = self.new_app(&app, AppOrigin::Registered)?;
        match self.parts.store.insert_app(stored).await? {
            InsertApp::Inserted => Ok(told),
            InsertApp::AlreadyExists => Err(AdminError::AlreadyExists),
        }
    }

    /// Creates an app, and the secrets that it lacks unless it is declared: a declaration could not tell
    /// them.
    fn new_app(
        &self,
        app: &ImportedApp,
        origin: AppOrigin,
    ) -> Result<(CustomApp, AppCredentials), AdminError> {
        let now = self.parts.clock.now();
        let client_id = &app.client_id;
        let generates = !origin.is_declared();
        let mut kept = Credentials::default();
        let mut told = credentials(client_id);
        match &app.client_secret {
            Some((secret, expires_at)) => {
                kept.client_secrets.push(self.stored(client_id, secret, *expires_at, now));
            }
            None if generates && has_client_secret(&app.settings) => {
                let (secret, stored) = self.new_client_secret(client_id, now)?;
                kept.client_secrets.push(stored);
                told.client_secret = Some(secret);
            }
            None => {}
        }
        if let Some(secret) = &app.signature_secret {
            let sealed = self.parts.sealing.seal(client_id, secret, self.parts.random)?;
            kept.signature_secret = Some(sealed);
        } else if generates && app.settings.client_type() == ClientType::Confidential {
            let (secret, sealed) = self.new_signature_secret(client_id)?;
            kept.signature_secret = Some(sealed);
            told.signature_secret = Some(secret);
        }
        if origin.is_declared() {
            kept.declared_client_secret = self.client_secret_mark(app);
            kept.declared_signature_secret = self.signature_secret_mark(app);
        }
        let version = CustomApp::first_version(self.parts.random)?;
        let mut stored =
            CustomApp::new(client_id.clone(), app.settings.clone(), kept, version, now);
        if origin.is_declared() || !app.enabled {
            stored = stored.edited(now, |edit| {
                *edit.enabled = app.enabled;
                *edit.origin = origin;
            });
        }
        Ok((stored, told))
    }
}

/// Access: listing and revocation.
impl<S: Store> Admin<'_, S> {
    /// Lists grants in the order of their ids.
    ///
    /// # Errors
    ///
    /// [`StoreError`] if the read fails.
    pub async fn grants(
        &self,
        filter: &GrantFilter,
        page: Page<GrantId>,
    ) -> Result<Listing<Grant, GrantId>, StoreError> {
        self.parts.store.list_grants(filter, page).await
    }

    /// Revokes everything of `target` that was granted before. When it returns, none of those
    /// tokens is active. It succeeds also if there was nothing to revoke. It wipes no device: see
    /// [`revoke_and_wipe`](Self::revoke_and_wipe).
    ///
    /// # Errors
    ///
    /// [`AdminError::Store`].
    pub async fn revoke(&self, target: RevocationTarget) -> Result<Revoked, AdminError> {
        let result = self.end_access(target.clone(), RevocationReason::Administrator).await;
        self.record_revocation(target, &result);
        result
    }

    fn record_revocation<T>(&self, target: RevocationTarget, result: &Result<T, AdminError>) {
        let (client_id, subject, grant_id) = match &target {
            RevocationTarget::App(client_id) => (Some(client_id.clone()), None, None),
            RevocationTarget::Subject(subject) => (None, Some(subject.clone()), None),
            RevocationTarget::AppAndSubject(client_id, subject)
            | RevocationTarget::Device(client_id, subject, _) => {
                (Some(client_id.clone()), Some(subject.clone()), None)
            }
            RevocationTarget::Grant(grant_id) => (None, None, Some(*grant_id)),
            RevocationTarget::Everything
            | RevocationTarget::NamedDevice(_)
            | RevocationTarget::Session(_)
            | RevocationTarget::EvidenceIssuer(_) => (None, None, None),
        };
        let event = self.event(Action::Revoke { target }, result);
        self.parts.record(&AuditEvent { client_id, subject, grant_id, ..event });
    }

    /// Withdraws a user's consent to an app and revokes what the app was granted for that user. The
    /// user must consent again.
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
        self.parts.record(&event.with_app(client_id).with_subject(subject));
        result
    }

    /// Removes rows that have no effect any more: up to `limit` expired grants, past revocations and
    /// assertion ids, up to `limit` devices and up to `limit` codes of devices if the server has them, and the unused
    /// among `limit` apps that registered themselves. Call it regularly, and again at once while it returns
    /// [`more`](Pruned::more). Only the deletion of an app is audited. An [`Upkeep`](crate::Upkeep) also removes the rows
    /// of apps without a grant that a document describes.
    ///
    /// # Errors
    ///
    /// [`StoreError`] if some may not have been removed.
    pub async fn prune(&self, limit: usize) -> Result<Pruned, StoreError> {
        prune(&self.parts, self.parts.clock.now(), limit).await
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
        let stored = StoredSecret {
            digest: SecretDigest::Keyed(digest),
            created_at: now,
            expires_at: None,
            imported: false,
            long: true,
        };
        Ok((secret, stored))
    }

    /// Returns the stored form of a given secret.
    fn stored(
        &self,
        client_id: &ClientId,
        secret: &GivenSecret,
        expires_at: Option<UnixTime>,
        now: UnixTime,
    ) -> StoredSecret {
        let long = matches!(secret, GivenSecret::Plain(secret) if is_long(secret));
        let digest = self.parts.pepper.digest_given(client_id, secret);
        StoredSecret { digest, created_at: now, expires_at, imported: true, long }
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

    fn audited<T>(
        &self,
        action: Action,
        client_id: Option<&ClientId>,
        result: Result<T, AdminError>,
    ) -> Result<T, AdminError> {
        let event = self.event(action, &result);
        self.parts.record(&AuditEvent { client_id: client_id.cloned(), ..event });
        result
    }
}

/// Returns the latest expiry of anything granted until `now`.
fn last_expiry(now: UnixTime) -> UnixTime {
    now.plus(Duration::from_secs(AppSettings::MAX_REFRESH_TOKEN_LIFETIME.into()))
}

fn has_client_secret(settings: &AppSettings) -> bool {
    match settings.authentication() {
        ClientAuthentication::ClientSecret
        | ClientAuthentication::ClientSecretBasic
        | ClientAuthentication::ClientSecretPost => true,
        ClientAuthentication::PrivateKeyJwt(_)
        | ClientAuthentication::PrivateKeyJwtUri(_)
        | ClientAuthentication::None => false,
    }
}

fn credentials(client_id: &ClientId) -> AppCredentials {
    AppCredentials { client_id: client_id.clone(), client_secret: None, signature_secret: None }
}

#[cfg(test)]
mod tests;
