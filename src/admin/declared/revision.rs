//! The difference between an app in the store and its declaration.

use std::time::Duration;

use crate::admin::app_changes::replace_settings;
use crate::admin::{Admin, AdminError, ImportedApp, has_client_secret};
use crate::app::{
    AppOrigin, AssertionKeys, ClientType, CustomApp, Flow, JwtSettings, StoredSecret,
};
use crate::clock::UnixTime;
use crate::server_secret::{GivenSecret, KeyedDigest, SecretDigest, declared_form};
use crate::store::Store;

/// The difference between an app in the store and its declaration.
#[derive(Default)]
pub(super) struct Revision {
    /// The app as declared, unless it is so already.
    pub(super) app: Option<CustomApp>,
    /// The parts that differ: settings, and `client_secret`, `signature_secret` and `enabled`.
    pub(super) changed: Vec<String>,
    /// Whether the declaration disables it.
    pub(super) disables: bool,
    /// Whether it is declared as enabled, and stays disabled because an administrator disabled it.
    pub(super) held: bool,
    /// Whether the settings no longer use a secret that the app has, so that it is deleted.
    pub(super) loses_secrets: bool,
}

/// The party in whose name an app is compared and changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Manager {
    /// The configuration declares it.
    Configuration,
    /// An administrator imports it. The app stays one of administrators.
    Administrator,
}

/// The relation of a declared secret to the one in the store.
enum Secret {
    /// It is the one that was declared before, or there is none.
    Same,
    /// It is the one in the store, which does not say so.
    Unmarked,
    Other,
}

impl<S: Store> Admin<'_, S> {
    /// Returns the mark of the declared client secret.
    pub(in crate::admin) fn client_secret_mark(&self, app: &ImportedApp) -> Option<KeyedDigest> {
        let (secret, expires_at) = app.client_secret.as_ref()?;
        Some(self.parts.pepper.mark(&app.client_id, &secret.declared_form(*expires_at)))
    }

    /// Returns the mark of the declared signature secret.
    pub(in crate::admin) fn signature_secret_mark(&self, app: &ImportedApp) -> Option<KeyedDigest> {
        let secret = app.signature_secret.as_ref()?;
        let form = declared_form("signature", secret.expose_secret().as_bytes());
        Some(self.parts.pepper.mark(&app.client_id, &form))
    }

    /// Returns the difference between `app` and its declaration by `manager`.
    pub(super) fn revision(
        &self,
        manager: Manager,
        app: &CustomApp,
        declared: &ImportedApp,
        overlap: Duration,
        now: UnixTime,
    ) -> Result<Revision, AdminError> {
        let is_configured = manager == Manager::Configuration;
        if app.origin().is_declared() != is_configured {
            return Err(AdminError::AlreadyExists);
        }
        let mut revision = Revision {
            changed: app.settings().changes_to(&declared.settings),
            ..Revision::default()
        };
        let client_secret = self.client_secret_relation(app, declared, now);
        if let Secret::Other = client_secret {
            revision.changed.push("client_secret".to_owned());
        }
        let signature_secret = self.signature_secret_relation(app, declared);
        let mut sealed = None;
        if let (Secret::Other, Some(secret)) = (&signature_secret, &declared.signature_secret) {
            revision.changed.push("signature_secret".to_owned());
            sealed =
                Some(self.parts.sealing.seal(&declared.client_id, secret, self.parts.random)?);
        }
        let (kept, settings) = (app.credentials(), &declared.settings);
        revision.loses_secrets = (!kept.client_secrets.is_empty() && !has_client_secret(settings))
            || (kept.signature_secret.is_some() && settings.client_type() == ClientType::Public);
        revision.disables = app.is_enabled() && !declared.enabled;
        // The configuration enables what it disabled.
        revision.held =
            declared.enabled && !app.is_enabled() && app.origin() != AppOrigin::Withdrawn;
        let enabled = declared.enabled && !revision.held;
        if enabled != app.is_enabled() {
            revision.changed.push("enabled".to_owned());
        }
        let origin = match (declared.enabled, app.is_enabled()) {
            (true, _) if is_configured => AppOrigin::Declared,
            (false, true) if is_configured => AppOrigin::Withdrawn,
            // An administrator may have disabled it before.
            _ => app.origin(),
        };
        let is_same = matches!((&client_secret, &signature_secret), (Secret::Same, Secret::Same));
        let marks = is_configured && !is_same;
        if revision.changed.is_empty() && !marks && origin == app.origin() {
            return Ok(revision);
        }
        revision.app = Some(app.edited(now, |edit| {
            if *edit.settings != declared.settings {
                replace_settings(edit, declared.settings.clone());
            }
            if let (Secret::Other, Some((secret, expires_at))) =
                (&client_secret, &declared.client_secret)
            {
                let stored = self.stored(&declared.client_id, secret, *expires_at, now);
                edit.credentials.rotate_client_secret(stored, now.plus(overlap), now);
            }
            if is_configured && !matches!(client_secret, Secret::Same) {
                edit.credentials.declared_client_secret = self.client_secret_mark(declared);
            }
            if sealed.is_some() {
                edit.credentials.signature_secret = sealed;
            }
            if is_configured && !matches!(signature_secret, Secret::Same) {
                edit.credentials.declared_signature_secret = self.signature_secret_mark(declared);
            }
            *edit.enabled = enabled;
            *edit.origin = origin;
        }));
        Ok(revision)
    }

    fn client_secret_relation(
        &self,
        app: &CustomApp,
        declared: &ImportedApp,
        now: UnixTime,
    ) -> Secret {
        let Some((secret, expires_at)) = &declared.client_secret else { return Secret::Same };
        let Some(newest) = app.credentials().client_secrets.first() else { return Secret::Other };
        let pepper = self.parts.pepper;
        let form = secret.declared_form(*expires_at);
        match &app.credentials().declared_client_secret {
            Some(mark) if pepper.is_marked(mark, &declared.client_id, &form) => {
                if pepper.is_stale(mark) { Secret::Unmarked } else { Secret::Same }
            }
            _ if newest.expires_at != *expires_at => Secret::Other,
            _ if self.is_stored(newest, declared, secret, now) => Secret::Unmarked,
            _ => Secret::Other,
        }
    }

    /// Checks whether `stored` is this secret.
    fn is_stored(
        &self,
        stored: &StoredSecret,
        declared: &ImportedApp,
        secret: &GivenSecret,
        now: UnixTime,
    ) -> bool {
        let pepper = self.parts.pepper;
        match (&stored.digest, secret) {
            (SecretDigest::Keyed(_), GivenSecret::Plain(secret)) => {
                let one = std::slice::from_ref(stored);
                let secret = secret.expose_secret();
                pepper.find(declared.client_id.as_str(), secret, one, true, now).is_some()
            }
            (digest, _) => *digest == pepper.digest_given(&declared.client_id, secret),
        }
    }

    fn signature_secret_relation(&self, app: &CustomApp, declared: &ImportedApp) -> Secret {
        let Some(secret) = &declared.signature_secret else { return Secret::Same };
        let credentials = app.credentials();
        let Some(sealed) = &credentials.signature_secret else { return Secret::Other };
        let pepper = self.parts.pepper;
        let form = declared_form("signature", secret.expose_secret().as_bytes());
        match &credentials.declared_signature_secret {
            Some(mark) if pepper.is_marked(mark, &declared.client_id, &form) => {
                if pepper.is_stale(mark) { Secret::Unmarked } else { Secret::Same }
            }
            _ => {
                let opened = self.parts.sealing.open(&declared.client_id, sealed).ok();
                let same = opened.is_some_and(|opened| {
                    pepper.mark(&declared.client_id, &form)
                        == pepper.mark(
                            &declared.client_id,
                            &declared_form("signature", opened.expose_secret().as_bytes()),
                        )
                });
                if same { Secret::Unmarked } else { Secret::Other }
            }
        }
    }
}

/// Returns the secret that an app needs and neither has nor gets: its field and the problem.
pub(super) fn missing_secret(
    stored: Option<&CustomApp>,
    declared: &ImportedApp,
    now: UnixTime,
) -> Option<(&'static str, &'static str)> {
    let kept = stored.map(CustomApp::credentials);
    let has_client =
        kept.is_some_and(|kept| kept.client_secrets.iter().any(|secret| secret.is_valid(now)));
    if has_client_secret(&declared.settings) && declared.client_secret.is_none() && !has_client {
        return Some((
            "client_secret",
            "is missing, and the app has none: give its text, a digest, or {\"env\": ..} or \
             {\"file\": ..}; or set settings.authentication to a method without it",
        ));
    }
    let keys = declared.settings.jwt().map(JwtSettings::assertion_keys);
    let has_signature = kept.is_some_and(|kept| kept.signature_secret.is_some());
    if keys == Some(&AssertionKeys::SignatureSecret)
        && declared.settings.allows(Flow::JwtBearer)
        && declared.signature_secret.is_none()
        && !has_signature
    {
        return Some((
            "signature_secret",
            "is missing, and settings.jwt.keys is signature_secret: give its text, or {\"env\": ..} \
             or {\"file\": ..}; or give public keys in settings.jwt.keys",
        ));
    }
    None
}
