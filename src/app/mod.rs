//! The custom application: what the RFCs call the *client*.
//!
//! An administrator writes an [`AppDraft`], which becomes [`AppSettings`] once it is valid, which
//! become a [`CustomApp`] once [`Admin::register`](crate::admin::Admin::register) gave them a client
//! id and secrets.

mod credentials;
mod draft;
pub(crate) mod impersonation;
mod jwt_settings;
mod mobile_security;
mod settings;

use std::borrow::Cow;

use serde::{Deserialize, Serialize};

pub use credentials::{AppCredentials, Credentials};
pub use draft::AppDraft;
pub use impersonation::{Impersonable, ImpersonationPolicy, NotPermitted};
pub use jwt_settings::{AssertionKeys, JwtSettings};
pub use mobile_security::{MobileSecurity, PinPolicy};
pub use settings::AppSettings;

pub use crate::server_secret::StoredSecret;

use crate::clock::UnixTime;
use crate::ids::ClientId;
use crate::jwt::VerifyingKeys;

/// A setting that an app cannot have.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{field}` {problem}")]
pub struct InvalidApp {
    field: &'static str,
    problem: Cow<'static, str>,
}

impl InvalidApp {
    pub(crate) fn new(field: &'static str, problem: impl Into<Cow<'static, str>>) -> Self {
        Self { field, problem: problem.into() }
    }

    /// The field at fault, as it is called in JSON: `redirect_uris`, `jwt.user_claim`.
    #[must_use]
    pub fn field(&self) -> &'static str {
        self.field
    }
}

/// A way to get tokens. Refresh is a switch beside them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Flow {
    /// RFC 6749 section 4.1, always with PKCE (RFC 7636).
    AuthorizationCode,
    /// RFC 7523 section 2.1: an assertion is the grant, and names whom to impersonate.
    JwtBearer,
    /// RFC 6749 section 4.4: the app acts for itself.
    ClientCredentials,
}

/// Whether an app can keep a secret (RFC 6749 section 2.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[expect(clippy::exhaustive_enums, reason = "the RFC knows these two")]
pub enum ClientType {
    /// It can.
    Confidential,
    /// It cannot.
    Public,
}

/// How an app authenticates at the token endpoint (RFC 7591 section 2,
/// `token_endpoint_auth_method`). It is held to it: another method is refused.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum ClientAuthentication {
    /// With its client secret, in the `Authorization` header or in the body.
    #[default]
    ClientSecret,
    /// With its client secret in the `Authorization` header only.
    ClientSecretBasic,
    /// With its client secret in the body only.
    ClientSecretPost,
    /// With an assertion signed by one of these keys (RFC 7523 section 2.2).
    PrivateKeyJwt(VerifyingKeys),
    /// Not at all: a public app.
    None,
}

impl ClientAuthentication {
    /// Whether what authenticates so can keep a secret.
    #[must_use]
    pub fn client_type(&self) -> ClientType {
        match self {
            Self::ClientSecret
            | Self::ClientSecretBasic
            | Self::ClientSecretPost
            | Self::PrivateKeyJwt(_) => ClientType::Confidential,
            Self::None => ClientType::Public,
        }
    }
}

/// How many token requests an app may make.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RateQuota {
    per_minute: u32,
    burst: u32,
}

impl RateQuota {
    /// `per_minute` requests a minute (1 to 60,000,000) in the long run, and `burst` at once (1 to
    /// 1,000,000). What is out of range is named when the draft is built.
    #[must_use]
    pub const fn new(per_minute: u32, burst: u32) -> Self {
        Self { per_minute, burst }
    }

    /// Requests a minute in the long run.
    #[must_use]
    pub const fn per_minute(self) -> u32 {
        self.per_minute
    }

    /// Requests at once.
    #[must_use]
    pub const fn burst(self) -> u32 {
        self.burst
    }

    fn check(self) -> Result<(), InvalidApp> {
        if !(1..=60_000_000).contains(&self.per_minute) || !(1..=1_000_000).contains(&self.burst) {
            return Err(InvalidApp::new(
                "rate_quota",
                "must be 1 to 60000000 a minute and 1 to 1000000 at once",
            ));
        }
        Ok(())
    }
}

/// A registered app.
///
/// Serializes as a record for a store: with digests and sealed secrets, never with a secret that
/// can be used.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CustomApp {
    client_id: ClientId,
    settings: AppSettings,
    enabled: bool,
    credentials: Credentials,
    version: u64,
    created_at: UnixTime,
    updated_at: UnixTime,
}

impl CustomApp {
    /// A new app, enabled, at version 1.
    pub(crate) fn new(
        client_id: ClientId,
        settings: AppSettings,
        credentials: Credentials,
        now: UnixTime,
    ) -> Self {
        Self {
            client_id,
            settings,
            enabled: true,
            credentials,
            version: 1,
            created_at: now,
            updated_at: now,
        }
    }

    /// Its name on the wire.
    #[must_use]
    pub fn client_id(&self) -> &ClientId {
        &self.client_id
    }

    /// Its settings.
    #[must_use]
    pub fn settings(&self) -> &AppSettings {
        &self.settings
    }

    /// Whether it gets tokens at all.
    #[must_use]
    pub fn is_enabled(&self) -> bool {
        self.enabled
    }

    /// Digests of its secrets, with their windows of validity.
    #[must_use]
    pub fn credentials(&self) -> &Credentials {
        &self.credentials
    }

    /// Counts its edits, from 1: whoever edits states the version that was read.
    #[must_use]
    pub fn version(&self) -> u64 {
        self.version
    }

    /// When it was registered.
    #[must_use]
    pub fn created_at(&self) -> UnixTime {
        self.created_at
    }

    /// When it was last edited.
    #[must_use]
    pub fn updated_at(&self) -> UnixTime {
        self.updated_at
    }

    /// The same app, one version later, with what `edit` changed.
    pub(crate) fn edited(&self, now: UnixTime, edit: impl FnOnce(&mut AppEdit<'_>)) -> Self {
        let mut app = self.clone();
        app.version = self.version.saturating_add(1);
        app.updated_at = now;
        edit(&mut AppEdit {
            settings: &mut app.settings,
            enabled: &mut app.enabled,
            credentials: &mut app.credentials,
        });
        app
    }
}

/// The parts of an app that an edit may change.
pub(crate) struct AppEdit<'a> {
    pub(crate) settings: &'a mut AppSettings,
    pub(crate) enabled: &'a mut bool,
    pub(crate) credentials: &'a mut Credentials,
}

#[cfg(test)]
mod tests;
