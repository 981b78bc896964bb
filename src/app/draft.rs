//! An app as an administrator writes it down, and the checks that make settings of it.

use serde::{Deserialize, Serialize};

use super::{
    AppSettings, ClientAuthentication, Flow, InvalidApp, JwtSettings, MobileSecurity, RateQuota,
};
use crate::ids::Resource;
use crate::protocol::redirect_uri::RedirectUri;
use crate::protocol::scope::Scope;

/// An app as an administrator writes it down: every setting, none of them checked yet.
///
/// Serializes as the settings do, so a draft can be read from a file.
///
/// ```
/// use grantor::app::{AppDraft, Flow};
///
/// let error = AppDraft::confidential("Reports").flow(Flow::AuthorizationCode).build().unwrap_err();
/// assert_eq!(error.field(), "redirect_uris");
/// ```
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
    pub(super) scope: Scope,
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
    pub(super) jwt: Option<JwtSettings>,
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
    /// An app that can keep a secret and authenticates with it.
    pub fn confidential(name: impl Into<String>) -> Self {
        Self::new(name, ClientAuthentication::ClientSecret)
    }

    /// An app that cannot keep a secret: one that runs on a phone, a desk or in a browser.
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
            scope: Scope::default(),
            resources: Vec::new(),
            default_resource: None,
            refresh_token: false,
            access_token_lifetime: default_access_token_lifetime(),
            refresh_token_lifetime: default_refresh_token_lifetime(),
            refresh_token_idle_lifetime: None,
            refresh_grace: None,
            code_lifetime: default_code_lifetime(),
            require_consent: true,
            jwt: None,
            mobile_security: MobileSecurity::default(),
            rate_quota: None,
        }
    }

    /// Its name, for people: 1 to 100 characters.
    pub fn name(mut self, name: impl Into<String>) -> Self {
        self.name = name.into();
        self
    }

    /// What it does, for people: up to 1,000 characters.
    pub fn description(mut self, description: impl Into<String>) -> Self {
        self.description = description.into();
        self
    }

    /// How it authenticates at the token endpoint. What cannot authenticate is a public app.
    pub fn authentication(mut self, authentication: ClientAuthentication) -> Self {
        self.authentication = authentication;
        self
    }

    /// Adds a flow through which it gets tokens.
    pub fn flow(mut self, flow: Flow) -> Self {
        if !self.flows.contains(&flow) {
            self.flows.push(flow);
        }
        self
    }

    /// Replaces the flows through which it gets tokens.
    pub fn flows(mut self, flows: impl IntoIterator<Item = Flow>) -> Self {
        self.flows.clear();
        flows.into_iter().fold(self, Self::flow)
    }

    /// Adds a URI to which users are sent back: at most 50.
    pub fn redirect_uri(mut self, uri: RedirectUri) -> Self {
        self.redirect_uris.push(uri);
        self
    }

    /// Replaces the URIs to which users are sent back.
    pub fn redirect_uris(mut self, uris: impl IntoIterator<Item = RedirectUri>) -> Self {
        self.redirect_uris = uris.into_iter().collect();
        self
    }

    /// What it may do at most. A request can only narrow it; one that names no scope gets it all.
    pub fn scope(mut self, scope: Scope) -> Self {
        self.scope = scope;
        self
    }

    /// The APIs for which it may ask tokens by `resource` (RFC 8707), beside the server's issuer:
    /// at most 50.
    pub fn resources(mut self, resources: impl IntoIterator<Item = Resource>) -> Self {
        self.resources = resources.into_iter().collect();
        self
    }

    /// The API for which its tokens are when a request names none; `None` is the server's issuer.
    pub fn default_resource(mut self, resource: Option<Resource>) -> Self {
        self.default_resource = resource;
        self
    }

    /// Whether it gets refresh tokens. Default: no.
    pub fn refresh_token(mut self, issued: bool) -> Self {
        self.refresh_token = issued;
        self
    }

    /// How long an access token lives, in seconds: 1 to 2,592,000 (30 days). Default: 3,600.
    pub fn access_token_lifetime(mut self, seconds: u32) -> Self {
        self.access_token_lifetime = seconds;
        self
    }

    /// How long everything that descends from one grant lives at most, in seconds: 1 to 63,072,000
    /// (730 days). Rotation does not extend it. Default: 5,184,000 (60 days).
    pub fn refresh_token_lifetime(mut self, seconds: u32) -> Self {
        self.refresh_token_lifetime = seconds;
        self
    }

    /// After how long without use a refresh token expires, in seconds: 1 to 63,072,000. Default:
    /// `None`, only with its grant.
    pub fn refresh_token_idle_lifetime(mut self, seconds: Option<u32>) -> Self {
        self.refresh_token_idle_lifetime = seconds;
        self
    }

    /// How long a spent refresh token gets the same successor again, in seconds: 0 (never) to 300.
    /// Default: `None`, which is 30 for a confidential and 10 for a public app.
    pub fn refresh_grace(mut self, seconds: Option<u32>) -> Self {
        self.refresh_grace = seconds;
        self
    }

    /// How long an authorization code lives, in seconds: 1 to 600. Default: 60.
    pub fn code_lifetime(mut self, seconds: u32) -> Self {
        self.code_lifetime = seconds;
        self
    }

    /// Whether users are asked before it gets access. Default: yes.
    pub fn require_consent(mut self, required: bool) -> Self {
        self.require_consent = required;
        self
    }

    /// How its assertions are checked and whom they may impersonate.
    pub fn jwt(mut self, settings: impl Into<Option<JwtSettings>>) -> Self {
        self.jwt = settings.into();
        self
    }

    /// What it is told to enforce on a phone.
    pub fn mobile_security(mut self, settings: MobileSecurity) -> Self {
        self.mobile_security = settings;
        self
    }

    /// How many tokens it may ask for; `None` is the server's own default.
    pub fn rate_quota(mut self, quota: Option<RateQuota>) -> Self {
        self.rate_quota = quota;
        self
    }

    /// Checks every setting, alone and against the others.
    ///
    /// # Errors
    ///
    /// [`InvalidApp`] names the first field at fault and says what it must be.
    pub fn build(self) -> Result<AppSettings, InvalidApp> {
        self.check_text()?;
        self.check_authentication()?;
        self.check_flows()?;
        self.check_lifetimes()?;
        self.mobile_security.check()?;
        if let Some(jwt) = &self.jwt {
            jwt.check()?;
        }
        self.check_jwt_flow()?;
        if let Some(quota) = &self.rate_quota {
            quota.check()?;
        }
        Ok(AppSettings::from_checked(self))
    }

    fn check_text(&self) -> Result<(), InvalidApp> {
        let control = |text: &str| text.chars().any(|c| c.is_control() && c != '\n');
        let length = self.name.chars().count();
        if !(1..=100).contains(&length) || self.name.contains('\n') || control(&self.name) {
            return Err(InvalidApp::new("name", "must have 1 to 100 characters, none a control"));
        }
        if self.description.chars().count() > 1_000 || control(&self.description) {
            return Err(InvalidApp::new(
                "description",
                "may have 1000 characters, none a control but line feeds",
            ));
        }
        Ok(())
    }

    fn check_authentication(&self) -> Result<(), InvalidApp> {
        match &self.authentication {
            ClientAuthentication::PrivateKeyJwt(keys) if keys.hold_secret() => {
                Err(InvalidApp::new("authentication", "needs public keys"))
            }
            ClientAuthentication::PrivateKeyJwt(_)
            | ClientAuthentication::ClientSecret
            | ClientAuthentication::ClientSecretBasic
            | ClientAuthentication::ClientSecretPost
            | ClientAuthentication::None => Ok(()),
        }
    }

    fn check_flows(&self) -> Result<(), InvalidApp> {
        let public = self.authentication == ClientAuthentication::None;
        let distinct = |flow: &Flow| self.flows.iter().filter(|other| *other == flow).count() == 1;
        if self.flows.is_empty() || !self.flows.iter().all(distinct) {
            Err(InvalidApp::new("flows", "must name at least one flow, each once"))
        } else if public && self.flows.contains(&Flow::ClientCredentials) {
            Err(InvalidApp::new("flows", "client credentials need an app that authenticates"))
        } else if self.flows.contains(&Flow::AuthorizationCode) && self.redirect_uris.is_empty() {
            Err(InvalidApp::new("redirect_uris", "must name at least one for this flow"))
        } else if self.redirect_uris.len() > 50 {
            Err(InvalidApp::new("redirect_uris", "may hold 50"))
        } else if self.resources.len() > 50 {
            Err(InvalidApp::new("resources", "may hold 50"))
        } else if self.default_resource.as_ref().is_some_and(|one| !self.resources.contains(one)) {
            Err(InvalidApp::new("default_resource", "must be one of `resources`"))
        } else {
            Ok(())
        }
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
            return Err(InvalidApp::new("jwt", "is needed for the JWT bearer flow"));
        };
        if self.authentication == ClientAuthentication::None && !jwt.assertion_authenticates() {
            return Err(InvalidApp::new(
                "jwt.assertion_authenticates",
                "must be on for an app that cannot authenticate otherwise",
            ));
        }
        Ok(())
    }
}
