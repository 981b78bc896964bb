//! The unchecked form of an app, and the checks that turn it into settings.

use serde::{Deserialize, Serialize};

use super::{
    AppSettings, ClientAuthentication, DelegationPolicy, Flow, InvalidApp, JwtSettings,
    MobileSecurity, Pkce, RateQuota, ScopePolicy,
};
use crate::ids::Resource;
use crate::protocol::redirect_uri::RedirectUri;
use crate::protocol::scope::Scope;
use crate::protocol::uri::WebOrigin;

/// The settings of an app before they are checked.
///
/// Serializes like [`AppSettings`], so a draft can be read from a file.
///
/// ```
/// use grantor::{AppDraft, Flow};
///
/// let error = AppDraft::confidential("Reports").flow(Flow::AuthorizationCode).build().unwrap_err();
/// assert_eq!(error.field(), "redirect_uris");
/// ```
#[doc(alias = "client")]
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[must_use = "a draft is nothing until it is built"]
pub struct AppDraft {
    pub(super) name: String,
    #[serde(default)]
    pub(super) description: String,
    #[serde(default)]
    pub(super) authentication: ClientAuthentication,
    pub(super) flows: Vec<Flow>,
    #[serde(default)]
    pub(super) redirect_uris: Vec<RedirectUri>,
    #[serde(default)]
    pub(super) origins: Vec<WebOrigin>,
    #[serde(default)]
    pub(super) pkce: Pkce,
    #[serde(default)]
    pub(super) scope: Scope,
    #[serde(default)]
    pub(super) scope_policy: ScopePolicy,
    #[serde(default)]
    pub(super) resources: Vec<Resource>,
    #[serde(default)]
    pub(super) default_resource: Option<Resource>,
    #[serde(default)]
    pub(super) refresh_token: bool,
    #[serde(default = "default_access_token_lifetime")]
    pub(super) access_token_lifetime: u32,
    #[serde(default = "default_refresh_token_lifetime")]
    pub(super) refresh_token_lifetime: u32,
    #[serde(default)]
    pub(super) refresh_token_idle_lifetime: Option<u32>,
    #[serde(default)]
    pub(super) refresh_grace: Option<u32>,
    #[serde(default = "default_code_lifetime")]
    pub(super) code_lifetime: u32,
    #[serde(default = "default_require_consent")]
    pub(super) require_consent: bool,
    #[serde(default)]
    pub(super) client_assertion_lifetime: Option<u32>,
    #[serde(default)]
    pub(super) client_assertion_endpoint_audience: bool,
    #[serde(default)]
    pub(super) jwt: Option<JwtSettings>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) delegation: Option<DelegationPolicy>,
    #[serde(default)]
    pub(super) mobile_security: MobileSecurity,
    #[serde(default)]
    pub(super) rate_quota: Option<RateQuota>,
}

const fn default_access_token_lifetime() -> u32 {
    3_600
}

const fn default_refresh_token_lifetime() -> u32 {
    60 * 86_400
}

const fn default_code_lifetime() -> u32 {
    60
}

const fn default_require_consent() -> bool {
    true
}

impl AppDraft {
    /// Creates a draft of a confidential app that authenticates with a client secret.
    pub fn confidential(name: impl Into<String>) -> Self {
        Self::new(name, ClientAuthentication::ClientSecret)
    }

    /// Creates a draft of a public app, such as a mobile, desktop or browser app. It cannot keep a
    /// secret.
    pub fn public(name: impl Into<String>) -> Self {
        Self::new(name, ClientAuthentication::None)
    }

    fn new(name: impl Into<String>, authentication: ClientAuthentication) -> Self {
        Self {
            name: name.into(),
            description: String::new(),
            authentication,
            flows: Vec::new(),
            redirect_uris: Vec::new(),
            origins: Vec::new(),
            pkce: Pkce::Required,
            scope: Scope::default(),
            scope_policy: ScopePolicy::Refuse,
            resources: Vec::new(),
            default_resource: None,
            refresh_token: false,
            access_token_lifetime: default_access_token_lifetime(),
            refresh_token_lifetime: default_refresh_token_lifetime(),
            refresh_token_idle_lifetime: None,
            refresh_grace: None,
            code_lifetime: default_code_lifetime(),
            require_consent: true,
            client_assertion_lifetime: None,
            client_assertion_endpoint_audience: false,
            jwt: None,
            delegation: None,
            mobile_security: MobileSecurity::default(),
            rate_quota: None,
        }
    }

    /// Sets the display name: 1 to 100 characters.
    pub fn name(mut self, name: impl Into<String>) -> Self {
        self.name = name.into();
        self
    }

    /// Sets the description for users and administrators: up to 1,000 characters.
    pub fn description(mut self, description: impl Into<String>) -> Self {
        self.description = description.into();
        self
    }

    /// Sets how the app authenticates at the token endpoint. [`ClientAuthentication::None`] makes a
    /// public app.
    pub fn authentication(mut self, authentication: ClientAuthentication) -> Self {
        self.authentication = authentication;
        self
    }

    /// Adds a flow.
    pub fn flow(mut self, flow: Flow) -> Self {
        if !self.flows.contains(&flow) {
            self.flows.push(flow);
        }
        self
    }

    /// Replaces the flows.
    pub fn flows(mut self, flows: impl IntoIterator<Item = Flow>) -> Self {
        self.flows.clear();
        flows.into_iter().fold(self, Self::flow)
    }

    /// Adds a redirect URI: at most 50.
    pub fn redirect_uri(mut self, uri: RedirectUri) -> Self {
        self.redirect_uris.push(uri);
        self
    }

    /// Replaces the redirect URIs.
    pub fn redirect_uris(mut self, uris: impl IntoIterator<Item = RedirectUri>) -> Self {
        self.redirect_uris = uris.into_iter().collect();
        self
    }

    /// Sets the origins of scripts that may read the app's answers, beside those of its redirect URIs:
    /// at most 50. Native shells (`capacitor://localhost`) and browser extensions need it.
    ///
    /// It has an effect only if the endpoints allow scripts of other origins.
    pub fn origins(mut self, origins: impl IntoIterator<Item = WebOrigin>) -> Self {
        self.origins = origins.into_iter().collect();
        self
    }

    /// Sets whether an authorization request needs PKCE (RFC 7636). Default: [`Pkce::Required`].
    pub fn pkce(mut self, pkce: Pkce) -> Self {
        self.pkce = pkce;
        self
    }

    /// Sets the scope ceiling. A request can only narrow it; a request without `scope` gets all of
    /// it. `offline_access` is left out: [`refresh_token`](Self::refresh_token) decides.
    pub fn scope(mut self, scope: Scope) -> Self {
        self.scope = scope;
        self
    }

    /// Sets what happens to a request for more than the app may have. Default:
    /// [`ScopePolicy::Refuse`].
    pub fn scope_policy(mut self, policy: ScopePolicy) -> Self {
        self.scope_policy = policy;
        self
    }

    /// Sets the APIs that the app may request tokens for by `resource` (RFC 8707), in addition to
    /// the server's issuer: at most 50. Their spelling is the `aud` of tokens, unless the server knows
    /// the API in another one.
    pub fn resources(mut self, resources: impl IntoIterator<Item = Resource>) -> Self {
        self.resources = resources.into_iter().collect();
        self
    }

    /// Sets the audience of tokens if the request names no `resource`. `None` means the server's
    /// issuer.
    pub fn default_resource(mut self, resource: Option<Resource>) -> Self {
        self.default_resource = resource;
        self
    }

    /// Sets whether the app gets refresh tokens, with or without `offline_access` in the request.
    /// Default: no. It requires a flow that gives any: the authorization code flow, or JWT bearer with
    /// its own setting.
    pub fn refresh_token(mut self, issued: bool) -> Self {
        self.refresh_token = issued;
        self
    }

    /// Sets the lifetime of access tokens, in seconds: 1 to 2,592,000 (30 days). Default: 3,600.
    pub fn access_token_lifetime(mut self, seconds: u32) -> Self {
        self.access_token_lifetime = seconds;
        self
    }

    /// Sets the lifetime of a grant and of every token that descends from it, in seconds: 1 to
    /// 63,072,000 (730 days). Rotation does not extend it. Default: 5,184,000 (60 days).
    pub fn refresh_token_lifetime(mut self, seconds: u32) -> Self {
        self.refresh_token_lifetime = seconds;
        self
    }

    /// Sets how long a refresh token may stay unused before it expires, in seconds: 1 to
    /// 63,072,000. Default: `None`, it expires only with its grant.
    pub fn refresh_token_idle_lifetime(mut self, seconds: Option<u32>) -> Self {
        self.refresh_token_idle_lifetime = seconds;
        self
    }

    /// Sets how long a retry with a spent refresh token gets the same successor, in seconds: 0
    /// (never) to 300. Default: `None`, which means 30 for a confidential and 10 for a public app.
    pub fn refresh_grace(mut self, seconds: Option<u32>) -> Self {
        self.refresh_grace = seconds;
        self
    }

    /// Sets the lifetime of authorization codes, in seconds: 1 to 600. Default: 60.
    pub fn code_lifetime(mut self, seconds: u32) -> Self {
        self.code_lifetime = seconds;
        self
    }

    /// Sets whether users must consent. Default: yes.
    pub fn require_consent(mut self, required: bool) -> Self {
        self.require_consent = required;
        self
    }

    /// Sets the longest lifetime of the assertions that authenticate the app (`private_key_jwt`), in
    /// seconds: 1 to 3,600. Default: `None`, the server's limit.
    pub fn client_assertion_lifetime(mut self, seconds: Option<u32>) -> Self {
        self.client_assertion_lifetime = seconds;
        self
    }

    /// Sets whether the assertions that authenticate the app may name the URL of one of the server's
    /// endpoints as `aud`. Default: no, `aud` is the server's issuer (RFC 10070).
    ///
    /// Some older clients need it. The price: a malicious server that names this server's endpoint in
    /// its own metadata gets assertions from the client that this server accepts.
    pub fn client_assertion_endpoint_audience(mut self, allowed: bool) -> Self {
        self.client_assertion_endpoint_audience = allowed;
        self
    }

    /// Sets how assertions are checked and which users they may impersonate.
    pub fn jwt(mut self, settings: impl Into<Option<JwtSettings>>) -> Self {
        self.jwt = settings.into();
        self
    }

    /// Sets which subject tokens the app may exchange, for which APIs and users (RFC 8693). The flow
    /// [`TokenExchange`](Flow::TokenExchange) requires it.
    pub fn delegation(mut self, policy: impl Into<Option<DelegationPolicy>>) -> Self {
        self.delegation = policy.into();
        self
    }

    /// Sets the rules that the app enforces on a phone.
    pub fn mobile_security(mut self, settings: MobileSecurity) -> Self {
        self.mobile_security = settings;
        self
    }

    /// Sets the limit on token requests. `None` means the server's default.
    pub fn rate_quota(mut self, quota: Option<RateQuota>) -> Self {
        self.rate_quota = quota;
        self
    }

    /// Checks every setting, alone and in combination.
    ///
    /// # Errors
    ///
    /// [`InvalidApp`] names the first invalid field and its valid range.
    pub fn build(mut self) -> Result<AppSettings, InvalidApp> {
        self.scope = self.scope.without_offline_access();
        match self.problems().next() {
            Some(invalid) => Err(invalid),
            None => Ok(AppSettings::from_checked(self)),
        }
    }

    /// Returns the problems for which [`build`](Self::build) would refuse the draft, at most one of each
    /// group of settings: for a form that shows each beside its field.
    pub fn problems(&self) -> impl Iterator<Item = InvalidApp> + use<> {
        [
            self.check_text(),
            self.check_authentication(),
            self.check_flows(),
            self.check_lifetimes(),
            self.mobile_security.check(),
            self.jwt.as_ref().map_or(Ok(()), JwtSettings::check),
            self.check_jwt_flow(),
            self.check_delegation(),
            self.check_refresh_token(),
            self.rate_quota.map_or(Ok(()), RateQuota::check),
        ]
        .into_iter()
        .filter_map(Result::err)
    }

    fn check_text(&self) -> Result<(), InvalidApp> {
        let control = |text: &str| text.chars().any(|c| c.is_control() && c != '\n');
        let length = self.name.chars().count();
        if !(1..=100).contains(&length) || self.name.contains('\n') || control(&self.name) {
            return Err(InvalidApp::new(
                "name",
                "must have 1 to 100 characters without control characters",
            ));
        }
        if self.description.chars().count() > 1_000 || control(&self.description) {
            return Err(InvalidApp::new(
                "description",
                "must have at most 1000 characters; line feed is the only control character allowed",
            ));
        }
        Ok(())
    }

    fn check_authentication(&self) -> Result<(), InvalidApp> {
        match &self.authentication {
            ClientAuthentication::PrivateKeyJwt(keys) if keys.hold_secret() => {
                Err(InvalidApp::new("authentication", "must hold public keys only"))
            }
            ClientAuthentication::PrivateKeyJwt(_) | ClientAuthentication::PrivateKeyJwtUri(_) => {
                match self.client_assertion_lifetime {
                    None | Some(1..=3_600) => Ok(()),
                    Some(_) => Err(InvalidApp::new(
                        "client_assertion_lifetime",
                        "must be 1 to 3600 seconds",
                    )),
                }
            }
            ClientAuthentication::ClientSecret
            | ClientAuthentication::ClientSecretBasic
            | ClientAuthentication::ClientSecretPost
            | ClientAuthentication::None => self.check_no_client_assertion(),
        }
    }

    /// Refuses settings for client assertions of an app that sends none.
    fn check_no_client_assertion(&self) -> Result<(), InvalidApp> {
        let field = if self.client_assertion_lifetime.is_some() {
            "client_assertion_lifetime"
        } else if self.client_assertion_endpoint_audience {
            "client_assertion_endpoint_audience"
        } else {
            return Ok(());
        };
        Err(InvalidApp::new(field, "requires the authentication private_key_jwt"))
    }

    fn check_flows(&self) -> Result<(), InvalidApp> {
        let public = self.authentication == ClientAuthentication::None;
        let distinct = |flow: &Flow| self.flows.iter().filter(|other| *other == flow).count() == 1;
        if self.flows.is_empty() {
            Err(InvalidApp::new("flows", "must list at least one flow"))
        } else if !self.flows.iter().all(distinct) {
            Err(InvalidApp::new("flows", "must not list a flow twice"))
        } else if public && self.flows.contains(&Flow::ClientCredentials) {
            Err(InvalidApp::new("flows", "must not include client_credentials for a public app"))
        } else if public && self.flows.contains(&Flow::TokenExchange) {
            Err(InvalidApp::new("flows", "must not include token_exchange for a public app"))
        } else if self.flows.contains(&Flow::AuthorizationCode) && self.redirect_uris.is_empty() {
            Err(InvalidApp::new(
                "redirect_uris",
                "must list at least one URI for the authorization code flow",
            ))
        } else if self.redirect_uris.len() > 50 {
            Err(InvalidApp::new("redirect_uris", "must list at most 50 URIs"))
        } else if self.origins.len() > 50 {
            Err(InvalidApp::new("origins", "must list at most 50 origins"))
        } else if public && self.pkce == Pkce::Optional {
            Err(InvalidApp::new("pkce", "must be required for a public app"))
        } else if self.resources.len() > 50 {
            Err(InvalidApp::new("resources", "must list at most 50 resources"))
        } else if let Some(default) = &self.default_resource
            && !self.resources.iter().any(|one| one.is_equivalent(default))
        {
            Err(InvalidApp::new("default_resource", "must be one of `resources`"))
        } else {
            Ok(())
        }
    }

    fn check_refresh_token(&self) -> Result<(), InvalidApp> {
        let by_assertion = self.flows.contains(&Flow::JwtBearer)
            && self.jwt.as_ref().is_some_and(JwtSettings::issues_refresh_token);
        let by_user = [Flow::AuthorizationCode, Flow::DeviceCode];
        let by_user = by_user.iter().any(|flow| self.flows.contains(flow));
        if !self.refresh_token || by_assertion || by_user {
            return Ok(());
        }
        Err(InvalidApp::new(
            "refresh_token",
            "requires a flow that gives refresh tokens: authorization_code, device_code, or jwt_bearer \
             with `jwt.refresh_token`",
        ))
    }

    fn check_lifetimes(&self) -> Result<(), InvalidApp> {
        const ACCESS: u32 = AppSettings::MAX_ACCESS_TOKEN_LIFETIME;
        const REFRESH: u32 = AppSettings::MAX_REFRESH_TOKEN_LIFETIME;
        if !(1..=ACCESS).contains(&self.access_token_lifetime) {
            Err(InvalidApp::new("access_token_lifetime", "must be 1 to 2592000 seconds"))
        } else if !(1..=REFRESH).contains(&self.refresh_token_lifetime) {
            Err(InvalidApp::new("refresh_token_lifetime", "must be 1 to 63072000 seconds"))
        } else if self.refresh_token_idle_lifetime.is_some_and(|it| !(1..=REFRESH).contains(&it)) {
            Err(InvalidApp::new("refresh_token_idle_lifetime", "must be 1 to 63072000 seconds"))
        } else if self.refresh_grace.is_some_and(|grace| grace > 300) {
            Err(InvalidApp::new("refresh_grace", "must be 0 to 300 seconds"))
        } else if !(1..=600).contains(&self.code_lifetime) {
            Err(InvalidApp::new("code_lifetime", "must be 1 to 600 seconds"))
        } else {
            Ok(())
        }
    }

    fn check_jwt_flow(&self) -> Result<(), InvalidApp> {
        if !self.flows.contains(&Flow::JwtBearer) {
            return Ok(());
        }
        let Some(jwt) = &self.jwt else {
            return Err(InvalidApp::new("jwt", "is required by the JWT bearer flow"));
        };
        if self.authentication == ClientAuthentication::None && !jwt.assertion_authenticates() {
            return Err(InvalidApp::new(
                "jwt.assertion_authenticates",
                "must be true for a public app",
            ));
        }
        Ok(())
    }

    fn check_delegation(&self) -> Result<(), InvalidApp> {
        match &self.delegation {
            Some(policy) => policy.check(),
            None if self.flows.contains(&Flow::TokenExchange) => {
                Err(InvalidApp::new("delegation", "is required by the flow token_exchange"))
            }
            None => Ok(()),
        }
    }
}
