//! How an app's assertions are checked: RFC 7523 section 2.1.

use serde::{Deserialize, Serialize};

use super::InvalidApp;
use crate::app::ImpersonationPolicy;
use crate::jwt::{Algorithm, VerifyingKeys};

/// With what an app signs its assertions.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum AssertionKeys {
    /// With a private key; these are the public ones.
    Keys(VerifyingKeys),
    /// With the signature secret, by HS256.
    SignatureSecret,
}

/// How an app's assertions are checked, and whom they may impersonate.
///
/// ```
/// use grantor::app::{ImpersonationPolicy, JwtSettings};
///
/// let settings = JwtSettings::signature_secret()
///     .with_issuer("https://backend.example.com")
///     .with_user_claim("email")
///     .with_impersonation(ImpersonationPolicy::anyone());
/// assert_eq!(settings.max_lifetime(), 300);
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct JwtSettings {
    keys: AssertionKeys,
    #[serde(default)]
    issuer: Option<String>,
    #[serde(default)]
    audience: Option<String>,
    #[serde(default)]
    token_endpoint_audience: bool,
    #[serde(default)]
    algorithms: Vec<Algorithm>,
    #[serde(default = "default_user_claim")]
    user_claim: String,
    #[serde(default = "default_max_lifetime")]
    max_lifetime: u32,
    #[serde(default = "default_clock_skew")]
    clock_skew: u32,
    #[serde(default)]
    assertion_authenticates: bool,
    #[serde(default)]
    refresh_token: bool,
    #[serde(default)]
    impersonation: ImpersonationPolicy,
}

fn default_user_claim() -> String {
    "sub".to_owned()
}

const fn default_max_lifetime() -> u32 {
    300
}

const fn default_clock_skew() -> u32 {
    10
}

impl JwtSettings {
    /// Assertions signed with one of `keys`; everything else by default.
    #[must_use]
    pub fn keys(keys: VerifyingKeys) -> Self {
        Self::new(AssertionKeys::Keys(keys))
    }

    /// Assertions signed by HS256 with the app's signature secret; everything else by default.
    #[must_use]
    pub fn signature_secret() -> Self {
        Self::new(AssertionKeys::SignatureSecret)
    }

    fn new(keys: AssertionKeys) -> Self {
        Self {
            keys,
            issuer: None,
            audience: None,
            token_endpoint_audience: false,
            algorithms: Vec::new(),
            user_claim: default_user_claim(),
            max_lifetime: default_max_lifetime(),
            clock_skew: default_clock_skew(),
            assertion_authenticates: false,
            refresh_token: false,
            impersonation: ImpersonationPolicy::nobody(),
        }
    }

    /// The `iss` that assertions must carry; by default the client id.
    #[must_use]
    pub fn with_issuer(mut self, issuer: impl Into<String>) -> Self {
        self.issuer = Some(issuer.into());
        self
    }

    /// The `aud` that assertions must carry; by default the authorization server's issuer.
    #[must_use]
    pub fn with_audience(mut self, audience: impl Into<String>) -> Self {
        self.audience = Some(audience.into());
        self
    }

    /// Whether the URL of the token endpoint serves as `aud` too. Default: no.
    #[must_use]
    pub fn with_token_endpoint_audience(mut self, allowed: bool) -> Self {
        self.token_endpoint_audience = allowed;
        self
    }

    /// The algorithms that assertions may use; by default each that fits one of the keys.
    #[must_use]
    pub fn with_algorithms(mut self, algorithms: impl IntoIterator<Item = Algorithm>) -> Self {
        self.algorithms = algorithms.into_iter().collect();
        self
    }

    /// The claim that names the user. Default: `sub`.
    #[must_use]
    pub fn with_user_claim(mut self, claim: impl Into<String>) -> Self {
        self.user_claim = claim.into();
        self
    }

    /// The longest time between now and `exp`, in seconds: 1 to 3,600. Default: 300.
    #[must_use]
    pub fn with_max_lifetime(mut self, seconds: u32) -> Self {
        self.max_lifetime = seconds;
        self
    }

    /// How far the app's clock may be off, in seconds: 0 to 300. Default: 10.
    #[must_use]
    pub fn with_clock_skew(mut self, seconds: u32) -> Self {
        self.clock_skew = seconds;
        self
    }

    /// Whether the assertion alone authenticates the app. Default: no, a confidential app
    /// authenticates too. Needs keys of its own and the client id as `iss`, so that an assertion
    /// names the one app that it is for.
    #[must_use]
    pub fn with_assertion_authenticates(mut self, alone: bool) -> Self {
        self.assertion_authenticates = alone;
        self
    }

    /// Whether the grant answers with a refresh token. Default: no; the app must have refresh
    /// switched on, too.
    #[must_use]
    pub fn with_refresh_token(mut self, issued: bool) -> Self {
        self.refresh_token = issued;
        self
    }

    /// Whom the app may impersonate. Default: nobody.
    #[must_use]
    pub fn with_impersonation(mut self, policy: ImpersonationPolicy) -> Self {
        self.impersonation = policy;
        self
    }

    /// With what assertions are signed.
    #[must_use]
    pub fn assertion_keys(&self) -> &AssertionKeys {
        &self.keys
    }

    /// The `iss` expected, where it is not the client id.
    #[must_use]
    pub fn issuer(&self) -> Option<&str> {
        self.issuer.as_deref()
    }

    /// The `aud` expected, where it is not the authorization server's issuer.
    #[must_use]
    pub fn audience(&self) -> Option<&str> {
        self.audience.as_deref()
    }

    /// Whether the URL of the token endpoint serves as `aud` too.
    #[must_use]
    pub fn allows_token_endpoint_audience(&self) -> bool {
        self.token_endpoint_audience
    }

    /// The algorithms allowed; empty means each that fits one of the keys.
    #[must_use]
    pub fn algorithms(&self) -> &[Algorithm] {
        &self.algorithms
    }

    /// The claim that names the user.
    #[must_use]
    pub fn user_claim(&self) -> &str {
        &self.user_claim
    }

    /// The longest time between now and `exp`, in seconds.
    #[must_use]
    pub fn max_lifetime(&self) -> u32 {
        self.max_lifetime
    }

    /// How far the app's clock may be off, in seconds.
    #[must_use]
    pub fn clock_skew(&self) -> u32 {
        self.clock_skew
    }

    /// Whether the assertion alone authenticates the app.
    #[must_use]
    pub fn assertion_authenticates(&self) -> bool {
        self.assertion_authenticates
    }

    /// Whether the grant answers with a refresh token.
    #[must_use]
    pub fn issues_refresh_token(&self) -> bool {
        self.refresh_token
    }

    /// Whom the app may impersonate.
    #[must_use]
    pub fn impersonation(&self) -> &ImpersonationPolicy {
        &self.impersonation
    }

    /// What can be said of these settings without the rest of the app.
    pub(super) fn check(&self) -> Result<(), InvalidApp> {
        let symmetric = self.keys == AssertionKeys::SignatureSecret;
        let long = |text: &Option<String>| {
            text.as_ref().is_some_and(|text| text.is_empty() || text.len() > 255)
        };
        let problem = if let AssertionKeys::Keys(keys) = &self.keys
            && keys.hold_secret()
        {
            ("jwt.keys", "must be public keys")
        } else if long(&self.issuer) {
            ("jwt.issuer", "must have 1 to 255 bytes")
        } else if long(&self.audience) {
            ("jwt.audience", "must have 1 to 255 bytes")
        } else if self.user_claim.is_empty() || self.user_claim.len() > 64 {
            ("jwt.user_claim", "must have 1 to 64 bytes")
        } else if !(1..=3_600).contains(&self.max_lifetime) {
            ("jwt.max_lifetime", "must be 1 to 3600 seconds")
        } else if self.clock_skew > 300 {
            ("jwt.clock_skew", "must be 0 to 300 seconds")
        } else if self.algorithms.iter().any(|algorithm| algorithm.is_symmetric() != symmetric) {
            ("jwt.algorithms", "must fit the keys: HS256 for the signature secret, and only there")
        } else if self.assertion_authenticates && symmetric {
            ("jwt.assertion_authenticates", "needs public keys")
        } else if self.assertion_authenticates && self.issuer.is_some() {
            ("jwt.issuer", "must be left to the client id where the assertion alone authenticates")
        } else if self.impersonation.except.len() > 1_000 || members(&self.impersonation) > 1_000 {
            ("jwt.impersonation", "may list 1000 users and groups")
        } else {
            return Ok(());
        };
        Err(InvalidApp::new(problem.0, problem.1))
    }
}

fn members(policy: &ImpersonationPolicy) -> usize {
    use crate::app::Impersonable;
    match &policy.allow {
        Impersonable::Members(members) => members.len(),
        Impersonable::Nobody | Impersonable::Anyone => 0,
    }
}
