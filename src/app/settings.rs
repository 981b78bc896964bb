//! The checked settings of an app.

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize};

use super::{
    AppDraft, AssertionKeys, ClientAuthentication, ClientType, DelegationPolicy, Flow, InvalidApp,
    JwtSettings, MobileSecurity, Pkce, RateQuota, ScopePolicy,
};
use crate::ids::Resource;
use crate::jwt::PassedOverKey;
use crate::protocol::redirect_uri::RedirectUri;
use crate::protocol::scope::{NarrowError, Scope};
use crate::protocol::uri::WebOrigin;

impl From<&AppSettings> for AppDraft {
    /// Returns the settings as a draft, for editing.
    fn from(settings: &AppSettings) -> Self {
        settings.0.clone()
    }
}

/// The checked settings of an app. Only [`AppDraft::build`] makes them, also when they are read
/// from JSON.
#[doc(alias = "client_metadata")]
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

/// Reads the settings of a stored app. Patterns of `allowed_apps` were checked when they were saved, maybe by
/// an earlier version, which accepted a `*` anywhere: such an app stays readable.
pub(super) fn of_record<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<AppSettings, D::Error> {
    let mut draft = AppDraft::deserialize(deserializer)?;
    let patterns = std::mem::take(&mut draft.mobile_security.allowed_apps);
    let AppSettings(mut draft) = draft.build().map_err(D::Error::custom)?;
    draft.mobile_security.allowed_apps = patterns;
    Ok(AppSettings(draft))
}

impl AppSettings {
    /// Wraps a draft that was checked.
    pub(super) const fn from_checked(draft: AppDraft) -> Self {
        Self(draft)
    }

    /// The maximum lifetime of an access token, in seconds: 30 days.
    pub const MAX_ACCESS_TOKEN_LIFETIME: u32 = 30 * 86_400;
    /// The maximum lifetime of a grant, in seconds: 730 days.
    pub const MAX_REFRESH_TOKEN_LIFETIME: u32 = 730 * 86_400;

    /// Returns the display name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.0.name
    }

    /// Returns the description for users and administrators.
    #[must_use]
    pub fn description(&self) -> &str {
        &self.0.description
    }

    /// Returns how the app authenticates at the token endpoint.
    #[must_use]
    pub fn authentication(&self) -> &ClientAuthentication {
        &self.0.authentication
    }

    /// Returns the client type (RFC 6749 section 2.1).
    #[must_use]
    pub fn client_type(&self) -> ClientType {
        self.0.authentication.client_type()
    }

    /// Returns the flows of the app.
    #[must_use]
    pub fn flows(&self) -> &[Flow] {
        &self.0.flows
    }

    /// Returns true if the app has `flow`.
    #[must_use]
    pub fn allows(&self, flow: Flow) -> bool {
        self.0.flows.contains(&flow)
    }

    /// Returns the registered redirect URIs.
    #[must_use]
    pub fn redirect_uris(&self) -> &[RedirectUri] {
        &self.0.redirect_uris
    }

    /// Returns the origins of scripts that may read the app's answers, beside those of its redirect
    /// URIs.
    #[must_use]
    pub fn origins(&self) -> &[WebOrigin] {
        &self.0.origins
    }

    /// Returns whether an authorization request needs PKCE.
    #[must_use]
    pub fn pkce(&self) -> Pkce {
        self.0.pkce
    }

    /// Returns the scope ceiling.
    #[must_use]
    pub fn scope(&self) -> &Scope {
        &self.0.scope
    }

    /// Returns what happens to a request for more than the app may have.
    #[must_use]
    pub fn scope_policy(&self) -> ScopePolicy {
        self.0.scope_policy
    }

    /// Returns the part of `allowed` that a request for `requested` gets.
    ///
    /// # Errors
    ///
    /// [`NarrowError`] if `requested` is malformed, or if it exceeds `allowed` and the policy refuses
    /// that, or nothing would be left.
    pub(crate) fn narrow(&self, allowed: &Scope, requested: &str) -> Result<Scope, NarrowError> {
        match allowed.narrow(requested) {
            Err(NarrowError::TooWide { token }) if self.0.scope_policy == ScopePolicy::Reduce => {
                let left = Scope::parse(requested)?.intersection(allowed);
                if left.is_empty() { Err(NarrowError::TooWide { token }) } else { Ok(left) }
            }
            answer => answer,
        }
    }

    /// Returns the registered spelling of an API that the app may request tokens for.
    pub(crate) fn registered_resource(&self, asked: &Resource) -> Option<&Resource> {
        self.0.resources.iter().find(|registered| registered.is_equivalent(asked))
    }

    /// Returns the APIs that the app may request tokens for, in addition to the server's issuer.
    #[must_use]
    pub fn resources(&self) -> &[Resource] {
        &self.0.resources
    }

    /// Returns the audience of tokens if the request names no `resource`.
    #[must_use]
    pub fn default_resource(&self) -> Option<&Resource> {
        self.0.default_resource.as_ref()
    }

    /// Returns true if the app gets refresh tokens.
    #[must_use]
    pub fn issues_refresh_token(&self) -> bool {
        self.0.refresh_token
    }

    /// Returns the lifetime of access tokens, in seconds.
    #[must_use]
    pub fn access_token_lifetime(&self) -> u32 {
        self.0.access_token_lifetime
    }

    /// Returns the lifetime of a grant and of every token that descends from it, in seconds.
    #[must_use]
    pub fn refresh_token_lifetime(&self) -> u32 {
        self.0.refresh_token_lifetime
    }

    /// Returns how long a refresh token may stay unused before it expires, in seconds.
    #[must_use]
    pub fn refresh_token_idle_lifetime(&self) -> Option<u32> {
        self.0.refresh_token_idle_lifetime
    }

    /// Returns how long a retry with a spent refresh token gets the same successor, in seconds.
    #[must_use]
    pub fn refresh_grace(&self) -> u32 {
        self.0.refresh_grace.unwrap_or(match self.client_type() {
            ClientType::Confidential => 30,
            ClientType::Public => 10,
        })
    }

    /// Returns the lifetime of authorization codes, in seconds.
    #[must_use]
    pub fn code_lifetime(&self) -> u32 {
        self.0.code_lifetime
    }

    /// Returns true if users must consent.
    #[must_use]
    pub fn requires_consent(&self) -> bool {
        self.0.require_consent
    }

    /// Returns the longest lifetime of the assertions that authenticate the app, in seconds, if it is
    /// shorter than the server's.
    #[must_use]
    pub fn client_assertion_lifetime(&self) -> Option<u32> {
        self.0.client_assertion_lifetime
    }

    /// Returns true if the assertions that authenticate the app may name an endpoint of the server as
    /// `aud`.
    #[must_use]
    pub fn allows_endpoint_audience(&self) -> bool {
        self.0.client_assertion_endpoint_audience
    }

    /// Returns the settings for assertions.
    #[must_use]
    pub fn jwt(&self) -> Option<&JwtSettings> {
        self.0.jwt.as_ref()
    }

    /// Returns which subject tokens the app may exchange, and for what.
    #[must_use]
    pub fn delegation(&self) -> Option<&DelegationPolicy> {
        self.0.delegation.as_ref()
    }

    /// Returns the keys that were read with these settings and cannot verify assertions (RFC 7517 section
    /// 5). Show them to the administrator: they are not stored.
    pub fn passed_over_keys(&self) -> impl Iterator<Item = &PassedOverKey> {
        let authentication = match self.authentication() {
            ClientAuthentication::PrivateKeyJwt(keys) => keys.passed_over(),
            ClientAuthentication::ClientSecret
            | ClientAuthentication::ClientSecretBasic
            | ClientAuthentication::ClientSecretPost
            | ClientAuthentication::PrivateKeyJwtUri(_)
            | ClientAuthentication::None => &[],
        };
        let jwt = match self.jwt().map(JwtSettings::assertion_keys) {
            Some(AssertionKeys::Keys(keys)) => keys.passed_over(),
            Some(AssertionKeys::SignatureSecret) | None => &[],
        };
        authentication.iter().chain(jwt)
    }

    /// Returns the rules that the app enforces on a phone.
    #[must_use]
    pub fn mobile_security(&self) -> &MobileSecurity {
        &self.0.mobile_security
    }

    /// Returns the limit on token requests if it overrides the server's default.
    #[must_use]
    pub fn rate_quota(&self) -> Option<RateQuota> {
        self.0.rate_quota
    }

    /// Returns the settings that differ in `after`, by their names in JSON.
    pub(crate) fn changes_to(&self, after: &Self) -> Vec<String> {
        let json = |settings: &Self| serde_json::to_value(settings).unwrap_or_default();
        let (before, after) = (json(self), json(after));
        super::changed_members(&before, &after)
    }
}
