//! The settings of an app, once they are valid.

use serde::{Deserialize, Serialize};

use super::{
    AppDraft, ClientAuthentication, ClientType, Flow, InvalidApp, JwtSettings, MobileSecurity,
    RateQuota,
};
use crate::ids::Resource;
use crate::protocol::redirect_uri::RedirectUri;
use crate::protocol::scope::Scope;

impl From<&AppSettings> for AppDraft {
    /// The settings as they are, to be edited.
    fn from(settings: &AppSettings) -> Self {
        settings.0.clone()
    }
}

/// The settings of an app, checked. Made by [`AppDraft::build`] only, also when they are read back
/// from JSON.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "AppDraft", into = "AppDraft")]
pub struct AppSettings(AppDraft);

impl TryFrom<AppDraft> for AppSettings {
    type Error = InvalidApp;

    fn try_from(draft: AppDraft) -> Result<Self, InvalidApp> {
        draft.build()
    }
}

impl From<AppSettings> for AppDraft {
    fn from(settings: AppSettings) -> Self {
        settings.0
    }
}

impl AppSettings {
    /// Of a draft that was checked.
    pub(super) const fn from_checked(draft: AppDraft) -> Self {
        Self(draft)
    }

    /// The longest life of an access token, in seconds: 30 days.
    pub const MAX_ACCESS_TOKEN_LIFETIME: u32 = 30 * 86_400;
    /// The longest life of a grant, in seconds: 730 days.
    pub const MAX_REFRESH_TOKEN_LIFETIME: u32 = 730 * 86_400;

    /// Its name, for people.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.0.name
    }

    /// What it does, for people.
    #[must_use]
    pub fn description(&self) -> &str {
        &self.0.description
    }

    /// How it authenticates at the token endpoint.
    #[must_use]
    pub fn authentication(&self) -> &ClientAuthentication {
        &self.0.authentication
    }

    /// Whether it can keep a secret (RFC 6749 section 2.1).
    #[must_use]
    pub fn client_type(&self) -> ClientType {
        self.0.authentication.client_type()
    }

    /// The flows through which it gets tokens.
    #[must_use]
    pub fn flows(&self) -> &[Flow] {
        &self.0.flows
    }

    /// Whether it gets tokens through `flow`.
    #[must_use]
    pub fn allows(&self, flow: Flow) -> bool {
        self.0.flows.contains(&flow)
    }

    /// The URIs to which users are sent back.
    #[must_use]
    pub fn redirect_uris(&self) -> &[RedirectUri] {
        &self.0.redirect_uris
    }

    /// What it may do at most.
    #[must_use]
    pub fn scope(&self) -> &Scope {
        &self.0.scope
    }

    /// The APIs for which it may ask tokens, beside the server's issuer.
    #[must_use]
    pub fn resources(&self) -> &[Resource] {
        &self.0.resources
    }

    /// The API for which its tokens are when a request names none.
    #[must_use]
    pub fn default_resource(&self) -> Option<&Resource> {
        self.0.default_resource.as_ref()
    }

    /// Whether it gets refresh tokens.
    #[must_use]
    pub fn issues_refresh_token(&self) -> bool {
        self.0.refresh_token
    }

    /// How long an access token lives, in seconds.
    #[must_use]
    pub fn access_token_lifetime(&self) -> u32 {
        self.0.access_token_lifetime
    }

    /// How long everything that descends from one grant lives at most, in seconds.
    #[must_use]
    pub fn refresh_token_lifetime(&self) -> u32 {
        self.0.refresh_token_lifetime
    }

    /// After how long without use a refresh token expires, in seconds, if ever.
    #[must_use]
    pub fn refresh_token_idle_lifetime(&self) -> Option<u32> {
        self.0.refresh_token_idle_lifetime
    }

    /// How long a spent refresh token gets the same successor again, in seconds.
    #[must_use]
    pub fn refresh_grace(&self) -> u32 {
        self.0.refresh_grace.unwrap_or(match self.client_type() {
            ClientType::Confidential => 30,
            ClientType::Public => 10,
        })
    }

    /// How long an authorization code lives, in seconds.
    #[must_use]
    pub fn code_lifetime(&self) -> u32 {
        self.0.code_lifetime
    }

    /// Whether users are asked before it gets access.
    #[must_use]
    pub fn requires_consent(&self) -> bool {
        self.0.require_consent
    }

    /// How its assertions are checked.
    #[must_use]
    pub fn jwt(&self) -> Option<&JwtSettings> {
        self.0.jwt.as_ref()
    }

    /// What it is told to enforce on a phone.
    #[must_use]
    pub fn mobile_security(&self) -> &MobileSecurity {
        &self.0.mobile_security
    }

    /// How many tokens it may ask for, where the server's default does not hold.
    #[must_use]
    pub fn rate_quota(&self) -> Option<RateQuota> {
        self.0.rate_quota
    }
}
