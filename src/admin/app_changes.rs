//! Changes to an app by an administrator.

use std::sync::Arc;
use std::time::Duration;

use super::transfer::check_given;
use super::{Admin, AdminError, credentials, has_client_secret};
use crate::app::{
    AppCredentials, AppDraft, AppEdit, AppOrigin, AppSettings, ClientType, CustomApp, GivenSecret,
    InvalidApp, MobileSecurity, StoredSecret,
};
use crate::audit::Action;
use crate::clock::UnixTime;
use crate::ids::ClientId;
use crate::protocol::scope::{Scope, ScopeToken};
use crate::store::{DeleteApp, RevocationReason, RevocationTarget, Store, UpdateApp};

/// The number of attempts to apply a change when others edit the same app. In each round one of the
/// competing changes succeeds.
pub(super) const ROUNDS: usize = 32;

/// Apps: settings.
impl<S: Store> Admin<'_, S> {
    /// Replaces the settings of an app if it is still at the version that was read.
    ///
    /// If the authentication method changes, secrets that it no longer uses are removed, so that a
    /// later edit cannot revive them. The edit generates no secret: an app that now authenticates
    /// by client secret gets one from [`rotate_client_secret`](Self::rotate_client_secret).
    ///
    /// # Errors
    ///
    /// [`AdminError::Conflict`], [`AdminError::Invalid`], [`AdminError::NotFound`] and
    /// [`AdminError::Store`].
    pub async fn edit(
        &self,
        client_id: &ClientId,
        expected_version: u64,
        draft: AppDraft,
    ) -> Result<Arc<CustomApp>, AdminError> {
        let result = self.replace_settings(client_id, expected_version, draft).await;
        self.audited_edit(client_id, result)
    }

    /// Adds tokens to the app's scope.
    ///
    /// # Errors
    ///
    /// [`AdminError::Invalid`] if the scope grows too large; [`AdminError::NotFound`],
    /// [`AdminError::Conflict`] and [`AdminError::Store`].
    pub async fn add_scope(
        &self,
        client_id: &ClientId,
        added: &Scope,
    ) -> Result<Arc<CustomApp>, AdminError> {
        let add = |draft: AppDraft, settings: &AppSettings| {
            let tokens = settings.scope().tokens().chain(added.tokens());
            Ok(draft.scope(scope_of(tokens)?))
        };
        let result = self.change_settings(client_id, add).await;
        self.audited_edit(client_id, result)
    }

    /// Removes tokens from the app's scope. Later refreshes no longer grant them.
    ///
    /// # Errors
    ///
    /// [`AdminError::Invalid`] if a remaining token still covers a removed one, as `*/files/*`
    /// covers `GET/files/1`; [`AdminError::NotFound`], [`AdminError::Conflict`] and
    /// [`AdminError::Store`].
    pub async fn remove_scope(
        &self,
        client_id: &ClientId,
        removed: &Scope,
    ) -> Result<Arc<CustomApp>, AdminError> {
        let remove = |draft: AppDraft, settings: &AppSettings| {
            let goes = |token: &str| removed.tokens().any(|removed| removed == token);
            let scope = scope_of(settings.scope().tokens().filter(|token| !goes(token)))?;
            let stays =
                |token| ScopeToken::new(token).is_ok_and(|token| scope.covers_token(&token));
            if removed.tokens().any(stays) {
                return Err(InvalidApp::new(
                    "scope",
                    "still covers the removed tokens by a wider one",
                ));
            }
            Ok(draft.scope(scope))
        };
        let result = self.change_settings(client_id, remove).await;
        self.audited_edit(client_id, result)
    }

    /// Replaces the rules that the app enforces on a phone.
    ///
    /// # Errors
    ///
    /// [`AdminError::Invalid`], [`AdminError::NotFound`], [`AdminError::Conflict`] and
    /// [`AdminError::Store`].
    pub async fn set_mobile_security(
        &self,
        client_id: &ClientId,
        security: MobileSecurity,
    ) -> Result<Arc<CustomApp>, AdminError> {
        let set = |draft: AppDraft, _: &AppSettings| Ok(draft.mobile_security(security.clone()));
        let result = self.change_settings(client_id, set).await;
        self.audited_edit(client_id, result)
    }

    async fn replace_settings(
        &self,
        client_id: &ClientId,
        expected: u64,
        draft: AppDraft,
    ) -> Result<Change, AdminError> {
        let settings = draft.build()?;
        let before = self.existing(client_id).await?;
        if before.version() != expected {
            return Err(AdminError::Conflict { expected, found: before.version() });
        }
        let after = with_settings(&before, settings, self.parts.clock.now());
        match self.parts.store.update_app(after.clone(), expected).await? {
            UpdateApp::Updated => Ok(Change { before, after: Arc::new(after) }),
            UpdateApp::NotFound => Err(AdminError::NotFound),
            UpdateApp::Conflict => {
                let found = self.existing(client_id).await?.version();
                Err(AdminError::Conflict { expected, found })
            }
        }
    }

    async fn change_settings(
        &self,
        client_id: &ClientId,
        edit: impl Fn(AppDraft, &AppSettings) -> Result<AppDraft, InvalidApp> + Send + Sync,
    ) -> Result<Change, AdminError> {
        self.change(client_id, |app, now| {
            let settings = edit(AppDraft::from(app.settings()), app.settings())?.build()?;
            Ok((settings != *app.settings()).then(|| with_settings(app, settings, now)))
        })
        .await
    }

    fn audited_edit(
        &self,
        client_id: &ClientId,
        result: Result<Change, AdminError>,
    ) -> Result<Arc<CustomApp>, AdminError> {
        let changed = result.as_ref().map(Change::fields).unwrap_or_default();
        let result = result.map(|change| change.after);
        self.audited(Action::EditApp { changed }, Some(client_id), result)
    }
}

/// Apps: secrets.
impl<S: Store> Admin<'_, S> {
    /// Generates a new client secret and returns it. The existing secrets expire after `overlap` at
    /// the latest, which gives the app time to switch; with [`Duration::ZERO`] they expire at once.
    /// At most [four](crate::app::Credentials::MAX_CLIENT_SECRETS) secrets are kept.
    ///
    /// # Errors
    ///
    /// [`AdminError::Invalid`] if the app does not authenticate by client secret;
    /// [`AdminError::NotFound`], [`AdminError::Conflict`], [`AdminError::Random`] and
    /// [`AdminError::Store`].
    pub async fn rotate_client_secret(
        &self,
        client_id: &ClientId,
        overlap: Duration,
    ) -> Result<AppCredentials, AdminError> {
        let result = self.set_new_client_secret(client_id, overlap).await;
        self.audited(Action::RotateClientSecret, Some(client_id), result)
    }

    /// Sets a client secret that the app has already, in clear or as a digest, with an optional expiry.
    /// The existing secrets expire after `overlap` at the latest. Nothing changes if it is the newest
    /// secret already.
    ///
    /// # Errors
    ///
    /// [`AdminError::Invalid`] if the app does not authenticate by client secret, or the secret is
    /// malformed; [`AdminError::NotFound`], [`AdminError::Conflict`] and [`AdminError::Store`].
    pub async fn set_client_secret(
        &self,
        client_id: &ClientId,
        secret: impl Into<GivenSecret> + Send,
        expires_at: Option<UnixTime>,
        overlap: Duration,
    ) -> Result<Arc<CustomApp>, AdminError> {
        let secret = secret.into();
        let now = self.parts.clock.now();
        let stored = self.stored(client_id, &secret, expires_at, now);
        let change = self.change(client_id, |app, now| {
            check_given(&secret, app.settings())?;
            let newest = app.credentials().client_secrets.first();
            let same = |it: &StoredSecret| {
                it.digest == stored.digest && it.expires_at == stored.expires_at
            };
            Ok((!newest.is_some_and(same)).then(|| {
                app.edited(now, |edit| {
                    let overlap_end = now.plus(overlap);
                    edit.credentials.rotate_client_secret(stored.clone(), overlap_end, now);
                })
            }))
        });
        let result = change.await.map(|change| change.after);
        self.audited(Action::SetClientSecret, Some(client_id), result)
    }

    /// Removes every client secret but the newest. Call it when the audit log shows no more
    /// [`UseSupersededSecret`](Action::UseSupersededSecret).
    ///
    /// # Errors
    ///
    /// [`AdminError::NotFound`], [`AdminError::Conflict`] and [`AdminError::Store`].
    pub async fn remove_superseded_secrets(
        &self,
        client_id: &ClientId,
    ) -> Result<Arc<CustomApp>, AdminError> {
        let change = self.change(client_id, |app, now| {
            let superseded = app.credentials().client_secrets.len() > 1;
            Ok(superseded
                .then(|| app.edited(now, |edit| edit.credentials.client_secrets.truncate(1))))
        });
        let result = change.await.map(|change| change.after);
        self.audited(Action::RemoveSupersededSecrets, Some(client_id), result)
    }

    /// Generates a new signature secret and returns it. The old one becomes invalid at once, with
    /// every assertion signed with it.
    ///
    /// # Errors
    ///
    /// [`AdminError::Invalid`] if the app is public; [`AdminError::NotFound`],
    /// [`AdminError::Conflict`], [`AdminError::Random`] and [`AdminError::Store`].
    pub async fn regenerate_signature_secret(
        &self,
        client_id: &ClientId,
    ) -> Result<AppCredentials, AdminError> {
        let result = self.set_new_signature_secret(client_id).await;
        self.audited(Action::RegenerateSignatureSecret, Some(client_id), result)
    }

    async fn set_new_client_secret(
        &self,
        client_id: &ClientId,
        overlap: Duration,
    ) -> Result<AppCredentials, AdminError> {
        let (secret, stored) = self.new_client_secret(client_id, self.parts.clock.now())?;
        self.change(client_id, |app, now| {
            if !has_client_secret(app.settings()) {
                return Err(
                    InvalidApp::new("authentication", "must be a client secret method").into()
                );
            }
            Ok(Some(app.edited(now, |edit| {
                edit.credentials.rotate_client_secret(stored.clone(), now.plus(overlap), now);
            })))
        })
        .await?;
        Ok(AppCredentials { client_secret: Some(secret), ..credentials(client_id) })
    }

    async fn set_new_signature_secret(
        &self,
        client_id: &ClientId,
    ) -> Result<AppCredentials, AdminError> {
        let (secret, sealed) = self.new_signature_secret(client_id)?;
        self.change(client_id, |app, now| {
            if app.settings().client_type() == ClientType::Public {
                return Err(InvalidApp::new(
                    "authentication",
                    "must not be none: a public app has no signature secret",
                )
                .into());
            }
            Ok(Some(app.edited(now, |edit| {
                edit.credentials.signature_secret = Some(sealed.clone());
            })))
        })
        .await?;
        Ok(AppCredentials { signature_secret: Some(secret), ..credentials(client_id) })
    }
}

/// Apps: enable, disable, delete.
impl<S: Store> Admin<'_, S> {
    /// Enables an app. Grants from before it was disabled stay revoked.
    ///
    /// # Errors
    ///
    /// [`AdminError::NotFound`], [`AdminError::Conflict`] and [`AdminError::Store`].
    pub async fn enable(&self, client_id: &ClientId) -> Result<Arc<CustomApp>, AdminError> {
        let change = self.change(client_id, |app, now| {
            Ok((!app.is_enabled()).then(|| app.edited(now, |edit| *edit.enabled = true)))
        });
        let result = change.await.map(|change| change.after);
        self.audited(Action::EnableApp, Some(client_id), result)
    }

    /// Revokes everything granted to an app and disables it.
    ///
    /// # Errors
    ///
    /// [`AdminError::NotFound`], [`AdminError::Conflict`] and [`AdminError::Store`]. The grants may
    /// be revoked even then, because that happens first. After [`AdminError::Store`] the app may be
    /// disabled.
    pub async fn disable(&self, client_id: &ClientId) -> Result<Arc<CustomApp>, AdminError> {
        let result = self.shut(client_id, RevocationReason::AppDisabled).await;
        self.audited(Action::DisableApp, Some(client_id), result)
    }

    /// Revokes everything granted to an app and deletes it. An app imported later under the same
    /// client id starts without grants.
    ///
    /// # Errors
    ///
    /// [`AdminError::NotFound`], [`AdminError::Conflict`] and [`AdminError::Store`]. The grants may
    /// be revoked even then, because that happens first. After [`AdminError::Store`] the app may be
    /// disabled or deleted.
    pub async fn delete(&self, client_id: &ClientId) -> Result<(), AdminError> {
        let result = self.remove(client_id).await;
        self.audited(Action::DeleteApp, Some(client_id), result)
    }

    /// Sets whether administrators or the host's configuration manage an app. The app is unchanged
    /// otherwise.
    ///
    /// [`apply`](Self::apply) refuses to touch a registered app. Hand it over with
    /// [`AppOrigin::Declared`], and the next `apply` makes it as declared. An app that is taken out of the
    /// configuration stays enabled if it is [`AppOrigin::Registered`] by then. The same origin adopts an app that
    /// [describes itself](AppOrigin::is_self_described): the administrator vouches for it from then on.
    ///
    /// # Errors
    ///
    /// [`AdminError::NotFound`], [`AdminError::Conflict`] and [`AdminError::Store`].
    pub async fn set_origin(
        &self,
        client_id: &ClientId,
        origin: AppOrigin,
    ) -> Result<Arc<CustomApp>, AdminError> {
        let change = self.change(client_id, |app, now| {
            Ok((app.origin() != origin).then(|| app.edited(now, |edit| *edit.origin = origin)))
        });
        let result = change.await.map(|change| change.after);
        self.audited(Action::SetAppOrigin { origin }, Some(client_id), result)
    }

    async fn remove(&self, client_id: &ClientId) -> Result<(), AdminError> {
        let mut expected = 0;
        for _ in 0..ROUNDS {
            // It goes at the version at which it was shut. If it was enabled again meanwhile, it may have
            // new grants, which an app imported later must not inherit.
            expected = self.shut(client_id, RevocationReason::AppDeleted).await?.version();
            match self.parts.store.delete_app(client_id, expected).await? {
                DeleteApp::Deleted => return Ok(()),
                DeleteApp::NotFound => return Err(AdminError::NotFound),
                DeleteApp::Conflict => {}
            }
        }
        let found = self.existing(client_id).await?.version();
        Err(AdminError::Conflict { expected, found })
    }

    async fn shut(
        &self,
        client_id: &ClientId,
        why: RevocationReason,
    ) -> Result<Arc<CustomApp>, AdminError> {
        self.existing(client_id).await?;
        // Revoked before, so that a crash in between leaves nothing that enabling would revive; and
        // after, for grants made in between.
        self.end_access(RevocationTarget::App(client_id.clone()), why).await?;
        let change = self.change(client_id, |app, now| {
            Ok(app.is_enabled().then(|| app.edited(now, |edit| *edit.enabled = false)))
        });
        let app = change.await?.after;
        self.end_access(RevocationTarget::App(client_id.clone()), why).await?;
        Ok(app)
    }

    /// Applies `edit` to the current app, and retries on a conflict. `edit` returns `None` if there
    /// is nothing to change.
    async fn change(
        &self,
        client_id: &ClientId,
        edit: impl Fn(&CustomApp, UnixTime) -> Result<Option<CustomApp>, AdminError> + Send + Sync,
    ) -> Result<Change, AdminError> {
        let now = self.parts.clock.now();
        let mut expected = 0;
        for _ in 0..ROUNDS {
            let before = self.existing(client_id).await?;
            let Some(after) = edit(&before, now)? else {
                return Ok(Change { after: Arc::clone(&before), before });
            };
            expected = before.version();
            match self.parts.store.update_app(after.clone(), expected).await? {
                UpdateApp::Updated => return Ok(Change { before, after: Arc::new(after) }),
                UpdateApp::NotFound => return Err(AdminError::NotFound),
                UpdateApp::Conflict => {}
            }
        }
        let found = self.existing(client_id).await?.version();
        Err(AdminError::Conflict { expected, found })
    }
}

/// An app before and after a change.
struct Change {
    before: Arc<CustomApp>,
    after: Arc<CustomApp>,
}

impl Change {
    /// Returns the settings that differ, by their names in JSON.
    fn fields(&self) -> Vec<String> {
        self.before.settings().changes_to(self.after.settings())
    }
}

/// Returns the app with these settings, without the secrets that they do not use.
fn with_settings(app: &CustomApp, settings: AppSettings, now: UnixTime) -> CustomApp {
    app.edited(now, |edit| replace_settings(edit, settings))
}

/// Replaces the settings, and removes the secrets that they do not use.
pub(super) fn replace_settings(edit: &mut AppEdit<'_>, settings: AppSettings) {
    if !has_client_secret(&settings) {
        edit.credentials.clear_client_secrets();
    }
    if settings.client_type() == ClientType::Public {
        edit.credentials.clear_signature_secret();
    }
    if let Some(registration) = edit.registration {
        registration.is_administered = true;
    }
    *edit.settings = settings;
}

fn scope_of<'t>(tokens: impl Iterator<Item = &'t str>) -> Result<Scope, InvalidApp> {
    let text = tokens.collect::<Vec<_>>().join(" ");
    Scope::parse(&text).map_err(|invalid| InvalidApp::new("scope", invalid.problem))
}
