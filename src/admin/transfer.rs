//! Import and export of apps.

use serde::{Deserialize, Serialize};

use super::has_client_secret;
use crate::app::{AppSettings, ClientType, CustomApp, InvalidApp};
use crate::clock::UnixTime;
use crate::ids::ClientId;
use crate::secret::SignatureSecret;
use crate::server_secret::GivenSecret;
use crate::store::StoreError;

/// An app as JSON, without secrets or digests.
///
/// ```
/// use grantor::admin::AppExport;
///
/// let json = r#"{
///     "client_id": "reports",
///     "settings": {"name": "Reports", "flows": ["client_credentials"], "scope": "files.read"}
/// }"#;
/// let export: AppExport = serde_json::from_str(json)?;
/// assert!(export.enabled);
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct AppExport {
    /// The client id.
    pub client_id: ClientId,
    /// Whether the app is enabled. Default: true.
    #[serde(default = "enabled")]
    pub enabled: bool,
    /// The settings.
    pub settings: AppSettings,
}

const fn enabled() -> bool {
    true
}

impl From<&CustomApp> for AppExport {
    fn from(app: &CustomApp) -> Self {
        Self {
            client_id: app.client_id().clone(),
            enabled: app.is_enabled(),
            settings: app.settings().clone(),
        }
    }
}

/// The error of [`Admin::export_all`](super::Admin::export_all).
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ExportError {
    /// There are more apps than a declaration can have.
    #[error("there are more than 10000 apps")]
    TooMany,
    /// The apps cannot be read.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// An app to import or to declare under a given client id, optionally with its secrets.
#[derive(Debug)]
#[must_use = "an app is nothing until it is imported"]
pub struct ImportedApp {
    pub(super) client_id: ClientId,
    pub(super) settings: AppSettings,
    pub(super) enabled: bool,
    pub(super) client_secret: Option<(GivenSecret, Option<UnixTime>)>,
    pub(super) signature_secret: Option<SignatureSecret>,
}

impl ImportedApp {
    /// Creates an enabled app with this client id. The secrets that it needs are generated.
    pub const fn new(client_id: ClientId, settings: AppSettings) -> Self {
        Self { client_id, settings, enabled: true, client_secret: None, signature_secret: None }
    }

    /// Sets whether the app is enabled. Default: yes.
    pub const fn with_enabled(mut self, enabled: bool) -> Self {
        self.enabled = enabled;
        self
    }

    /// Returns the client id.
    #[must_use]
    pub const fn client_id(&self) -> &ClientId {
        &self.client_id
    }

    /// Returns the settings.
    #[must_use]
    pub const fn settings(&self) -> &AppSettings {
        &self.settings
    }

    /// Returns true if the app is enabled.
    #[must_use]
    pub const fn is_enabled(&self) -> bool {
        self.enabled
    }

    /// Returns true if a client secret or its digest is set.
    #[must_use]
    pub const fn has_client_secret(&self) -> bool {
        self.client_secret.is_some()
    }

    /// Returns true if a signature secret is set.
    #[must_use]
    pub const fn has_signature_secret(&self) -> bool {
        self.signature_secret.is_some()
    }

    /// Sets the existing client secret, in clear or as a digest. It may be shorter than a generated
    /// one, so give it an expiry if possible and rotate it before.
    pub fn with_client_secret(
        mut self,
        secret: impl Into<GivenSecret>,
        expires_at: Option<UnixTime>,
    ) -> Self {
        self.client_secret = Some((secret.into(), expires_at));
        self
    }

    /// Sets the existing signature secret: 32 to 255 bytes (RFC 7518 section 3.2).
    pub fn with_signature_secret(mut self, secret: SignatureSecret) -> Self {
        self.signature_secret = Some(secret);
        self
    }

    pub(super) fn check(&self) -> Result<(), InvalidApp> {
        if let Some((secret, _)) = &self.client_secret {
            check_given(secret, &self.settings)?;
        }
        if let Some(secret) = &self.signature_secret {
            if self.settings.client_type() == ClientType::Public {
                return Err(InvalidApp::new(
                    "authentication",
                    "must not be none: a public app has no signature secret",
                ));
            }
            if !(32..=255).contains(&secret.expose_secret().len()) {
                return Err(InvalidApp::new("signature_secret", "must have 32 to 255 bytes"));
            }
        }
        Ok(())
    }
}

impl From<AppExport> for ImportedApp {
    /// Imports the exported app with new secrets.
    fn from(export: AppExport) -> Self {
        Self { enabled: export.enabled, ..Self::new(export.client_id, export.settings) }
    }
}

/// Checks a given client secret, and whether the app uses one.
pub(super) fn check_given(secret: &GivenSecret, settings: &AppSettings) -> Result<(), InvalidApp> {
    if !has_client_secret(settings) {
        return Err(InvalidApp::new("authentication", "must be a client secret method"));
    }
    secret.problem().map_or(Ok(()), |problem| Err(InvalidApp::new("client_secret", problem)))
}
