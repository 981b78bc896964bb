//! The custom application: the RFCs call it the *client*.
//!
//! An administrator writes an [`AppDraft`]. [`AppDraft::build`] checks it and returns
//! [`AppSettings`]. [`Admin::register`](crate::admin::Admin::register) adds a client id and
//! secrets, which makes a [`CustomApp`].

mod client_metadata;
mod credentials;
pub(crate) mod delegation;
mod draft;
pub(crate) mod impersonation;
mod jwks_uri;
mod jwt_settings;
mod metadata_document;
mod mobile_security;
mod origin;
pub mod policy;
mod self_registration;
mod settings;
mod strictness;
mod template;
mod trusted_issuer;

use std::borrow::Cow;
use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

pub use client_metadata::{ApplicationType, AuthenticationMethodName, ClientMetadata};
pub use credentials::{AppCredentials, Credentials};
pub use delegation::{
    DelegationPolicy, DelegationRule, DelegationTarget, IdJagAudience, SubjectToken, TokenSource,
};
pub use draft::AppDraft;
pub use impersonation::{Impersonable, ImpersonationPolicy, ImpersonationRule, NotPermitted};
pub use jwks_uri::JwksUri;
pub use jwt_settings::{AssertionKeys, JtiRule, JwtSettings};
pub(crate) use metadata_document::DocumentUrl;
pub use metadata_document::{DocumentProblem, MetadataDocument};
pub use mobile_security::{MobileSecurity, PinPolicy, PolicyDocument};
pub use origin::AppOrigin;
pub use self_registration::SelfRegistration;
pub use settings::AppSettings;
pub use strictness::{Pkce, ScopePolicy};
pub use template::{AppTemplate, DescribedApp, DroppedRedirectUri};
pub use trusted_issuer::{
    IssuerKeys, RevocationTrust, SubjectPattern, TrustedIssuer, UserTrust, WorkloadRule,
};

pub use crate::server_secret::{GivenSecret, StoredSecret};

use crate::clock::UnixTime;
use crate::ids::ClientId;
use crate::jwt::VerifyingKeys;
use crate::random::{self, RandomError, SecureRandom};

/// An invalid setting of an app.
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

    /// Returns the problem without the field, such as `must be 1 to 600 seconds`.
    #[must_use]
    pub fn problem(&self) -> &str {
        &self.problem
    }

    /// Returns the field at fault by its name in JSON, such as `redirect_uris` or `jwt.user_claim`.
    #[must_use]
    pub fn field(&self) -> &'static str {
        self.field
    }
}

/// Returns the names of the members that differ in two JSON objects. Either may lack some.
fn changed_members(before: &Value, after: &Value) -> Vec<String> {
    let names = [before, after].into_iter().filter_map(Value::as_object).flat_map(Map::keys);
    let names: BTreeSet<_> = names.collect();
    let differ = names.into_iter().filter(|name| before.get(name) != after.get(name));
    differ.cloned().collect()
}

/// A way for an app to get tokens. Refresh tokens are a separate switch.
#[doc(alias = "grant_types")]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Flow {
    /// The authorization code flow (RFC 6749 section 4.1), always with PKCE (RFC 7636).
    AuthorizationCode,
    /// The JWT bearer grant (RFC 7523 section 2.1): an assertion names the user to impersonate.
    JwtBearer,
    /// The client credentials grant (RFC 6749 section 4.4): the app acts for itself.
    ClientCredentials,
    /// The device authorization grant (RFC 8628): a user approves in a browser on another device. A stranger can
    /// ask a user to approve the stranger's device, so only apps for devices without a browser should have it.
    DeviceCode,
    /// Token exchange (RFC 8693): the app presents an access token of a user, and gets one for another API, under its
    /// [`DelegationPolicy`]. Confidential apps only.
    TokenExchange,
}

/// The client type of RFC 6749 section 2.1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[expect(clippy::exhaustive_enums, reason = "the RFC defines these two")]
pub enum ClientType {
    /// The app can keep a secret.
    Confidential,
    /// The app cannot keep a secret.
    Public,
}

/// How an app authenticates at the token endpoint (RFC 7591 section 2,
/// `token_endpoint_auth_method`). Any other method is refused.
#[doc(alias = "token_endpoint_auth_method")]
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum ClientAuthentication {
    /// The client secret, in the `Authorization` header or in the body.
    #[default]
    ClientSecret,
    /// The client secret, in the `Authorization` header only.
    ClientSecretBasic,
    /// The client secret, in the body only.
    ClientSecretPost,
    /// An assertion signed by one of these keys (RFC 7523 section 2.2).
    PrivateKeyJwt(VerifyingKeys),
    /// An assertion signed by one of the keys at this URL (`jwks_uri`). It requires a server that fetches
    /// [app keys](crate::ServerBuilder::app_keys).
    PrivateKeyJwtUri(JwksUri),
    /// No authentication: a public app.
    None,
}

impl ClientAuthentication {
    /// Returns the client type that this method implies.
    #[must_use]
    pub fn client_type(&self) -> ClientType {
        match self {
            Self::ClientSecret
            | Self::ClientSecretBasic
            | Self::ClientSecretPost
            | Self::PrivateKeyJwt(_)
            | Self::PrivateKeyJwtUri(_) => ClientType::Confidential,
            Self::None => ClientType::Public,
        }
    }
}

/// A limit on the token requests of one app.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RateQuota {
    per_minute: u32,
    burst: u32,
}

impl RateQuota {
    /// Creates a quota of `per_minute` requests a minute (1 to 60,000,000) with a burst of `burst`
    /// requests (1 to 1,000,000).
    ///
    /// [`AppDraft::build`] checks the ranges.
    #[must_use]
    pub const fn new(per_minute: u32, burst: u32) -> Self {
        Self { per_minute, burst }
    }

    /// Returns the sustained rate, in requests a minute.
    #[must_use]
    pub const fn per_minute(self) -> u32 {
        self.per_minute
    }

    /// Returns the number of requests that may arrive at once.
    #[must_use]
    pub const fn burst(self) -> u32 {
        self.burst
    }

    fn check(self) -> Result<(), InvalidApp> {
        if !(1..=60_000_000).contains(&self.per_minute) || !(1..=1_000_000).contains(&self.burst) {
            return Err(InvalidApp::new(
                "rate_quota",
                "must be 1 to 60000000 requests a minute with a burst of 1 to 1000000",
            ));
        }
        Ok(())
    }
}

/// A registered app, the *client* of RFC 6749.
///
/// Serializes as a record for a store. The record holds digests and sealed secrets, never a usable
/// secret.
#[doc(alias = "client")]
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CustomApp {
    client_id: ClientId,
    #[serde(deserialize_with = "settings::of_record")]
    settings: AppSettings,
    enabled: bool,
    #[serde(default, skip_serializing_if = "AppOrigin::is_registered")]
    origin: AppOrigin,
    /// Boxed, because most apps have none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    document: Option<Box<MetadataDocument>>,
    registration: Option<Box<SelfRegistration>>,
    credentials: Credentials,
    version: u64,
    created_at: UnixTime,
    updated_at: UnixTime,
}

impl CustomApp {
    /// Returns a random first version, so that an app that is registered again under the client id of a
    /// deleted one never has a version of that one.
    ///
    /// It has 52 bits: a JSON reader with 64-bit floats reads its successors exactly, too.
    pub(crate) fn first_version(random: &dyn SecureRandom) -> Result<u64, RandomError> {
        Ok((u64::from_be_bytes(random::array(random)?) >> 12).max(1))
    }

    /// Creates an enabled app of an administrator. `version` is from [`first_version`](Self::first_version).
    pub(crate) fn new(
        client_id: ClientId,
        settings: AppSettings,
        credentials: Credentials,
        version: u64,
        now: UnixTime,
    ) -> Self {
        Self {
            client_id,
            settings,
            enabled: true,
            origin: AppOrigin::Registered,
            document: None,
            registration: None,
            credentials,
            version,
            created_at: now,
            updated_at: now,
        }
    }

    /// Returns the client id, the app's name on the wire.
    #[must_use]
    pub fn client_id(&self) -> &ClientId {
        &self.client_id
    }

    /// Returns the checked settings.
    #[must_use]
    pub fn settings(&self) -> &AppSettings {
        &self.settings
    }

    /// Returns true unless an administrator disabled the app. A disabled app gets no tokens.
    #[must_use]
    pub fn is_enabled(&self) -> bool {
        self.enabled
    }

    /// Returns the party that manages the app.
    #[must_use]
    pub fn origin(&self) -> AppOrigin {
        self.origin
    }

    /// Returns true if the app may use `flow`: its settings list it, and it is not
    /// [self-described](AppOrigin::is_self_described) if the flow needs no consent of a user, or lets a stranger ask
    /// a user for it.
    #[must_use]
    pub fn may_use(&self, flow: Flow) -> bool {
        let is_for_all = match flow {
            Flow::AuthorizationCode => true,
            Flow::JwtBearer | Flow::ClientCredentials | Flow::DeviceCode | Flow::TokenExchange => {
                false
            }
        };
        self.settings.allows(flow) && (is_for_all || !self.origin.is_self_described())
    }

    /// Returns what the app stated when it registered itself (RFC 7591).
    #[must_use]
    pub fn registration(&self) -> Option<&SelfRegistration> {
        self.registration.as_deref()
    }

    /// Returns the digests of the app's secrets with their validity windows.
    #[must_use]
    pub fn credentials(&self) -> &Credentials {
        &self.credentials
    }

    /// Returns the version, which starts at a random number of at most 52 bits and grows by one with
    /// each edit. An edit states the version that it is based on.
    ///
    /// A version never comes again, even if the app is deleted and imported under the same client id.
    #[must_use]
    pub fn version(&self) -> u64 {
        self.version
    }

    /// Returns the time of registration.
    #[must_use]
    pub fn created_at(&self) -> UnixTime {
        self.created_at
    }

    /// Returns the time of the last edit.
    #[must_use]
    pub fn updated_at(&self) -> UnixTime {
        self.updated_at
    }

    /// Returns the next version of the app with the changes that `edit` makes.
    pub(crate) fn edited(&self, now: UnixTime, edit: impl FnOnce(&mut AppEdit<'_>)) -> Self {
        let mut app = self.clone();
        app.version = self.version.saturating_add(1);
        app.updated_at = now;
        edit(&mut AppEdit {
            settings: &mut app.settings,
            enabled: &mut app.enabled,
            origin: &mut app.origin,
            document: &mut app.document,
            registration: &mut app.registration,
            credentials: &mut app.credentials,
        });
        app
    }
}

/// The parts of an app that an edit may change.
pub(crate) struct AppEdit<'a> {
    pub(crate) settings: &'a mut AppSettings,
    pub(crate) enabled: &'a mut bool,
    pub(crate) origin: &'a mut AppOrigin,
    pub(crate) document: &'a mut Option<Box<MetadataDocument>>,
    pub(crate) registration: &'a mut Option<Box<SelfRegistration>>,
    pub(crate) credentials: &'a mut Credentials,
}

#[cfg(test)]
mod tests;
