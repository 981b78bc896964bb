//! How the server checks an app's assertions (RFC 7523 section 2.1).

use serde::{Deserialize, Serialize};

use super::InvalidApp;
use crate::app::ImpersonationPolicy;
use crate::jwt::{Algorithm, VerifyingKeys};

/// The keys that verify an app's assertions.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum AssertionKeys {
    /// The public keys of the app.
    Keys(VerifyingKeys),
    /// The app's signature secret, with HS256.
    SignatureSecret,
}

/// Whether an app's assertions need the claim `jti`, which makes an assertion good for one use.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum JtiRule {
    /// An assertion without `jti` is refused.
    #[default]
    Required,
    /// An assertion without `jti` is accepted until it expires. One that has a `jti` is still good for
    /// one use. Some client libraries, such as google-auth, send none.
    ///
    /// The price: a thief may use a stolen assertion until it expires, so keep the maximum lifetime
    /// short. The grant cannot return a refresh token.
    Optional,
}

/// Settings that say how an app's assertions are checked and which users they may impersonate.
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
#[doc(alias = "assertion")]
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
    jti: JtiRule,
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
    /// The largest tolerated clock skew, in seconds.
    pub(crate) const MAX_CLOCK_SKEW: u32 = 300;

    /// Creates default settings for assertions signed with one of `keys`.
    #[must_use]
    pub fn keys(keys: VerifyingKeys) -> Self {
        Self::new(AssertionKeys::Keys(keys))
    }

    /// Creates default settings for assertions signed with the app's signature secret (HS256).
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
            jti: JtiRule::Required,
            assertion_authenticates: false,
            refresh_token: false,
            impersonation: ImpersonationPolicy::none(),
        }
    }

    /// Sets the expected `iss`. Default: the client id.
    #[must_use]
    pub fn with_issuer(mut self, issuer: impl Into<String>) -> Self {
        self.issuer = Some(issuer.into());
        self
    }

    /// Sets the expected `aud`. Default: the authorization server's issuer.
    #[must_use]
    pub fn with_audience(mut self, audience: impl Into<String>) -> Self {
        self.audience = Some(audience.into());
        self
    }

    /// Sets whether the URL of the token endpoint is accepted as `aud` too. Default: no.
    #[must_use]
    pub fn with_token_endpoint_audience(mut self, allowed: bool) -> Self {
        self.token_endpoint_audience = allowed;
        self
    }

    /// Sets the allowed algorithms. Default: every algorithm that fits one of the keys.
    #[must_use]
    pub fn with_algorithms(mut self, algorithms: impl IntoIterator<Item = Algorithm>) -> Self {
        self.algorithms = algorithms.into_iter().collect();
        self
    }

    /// Sets the claim that names the user. Default: `sub`.
    #[must_use]
    pub fn with_user_claim(mut self, claim: impl Into<String>) -> Self {
        self.user_claim = claim.into();
        self
    }

    /// Sets the maximum time between now and `exp`, in seconds: 1 to 3,600. Default: 300.
    #[must_use]
    pub fn with_max_lifetime(mut self, seconds: u32) -> Self {
        self.max_lifetime = seconds;
        self
    }

    /// Sets the tolerated clock skew of the app, in seconds: 0 to 300. Default: 10.
    #[must_use]
    pub fn with_clock_skew(mut self, seconds: u32) -> Self {
        self.clock_skew = seconds;
        self
    }

    /// Sets whether assertions need the claim `jti`. Default: [`JtiRule::Required`].
    #[must_use]
    pub fn with_jti(mut self, rule: JtiRule) -> Self {
        self.jti = rule;
        self
    }

    /// Sets whether the assertion alone authenticates the app. Default: no, a confidential app also
    /// authenticates itself.
    ///
    /// Requires public keys and the client id as `iss`, so that an assertion identifies exactly one
    /// app.
    #[must_use]
    pub fn with_assertion_authenticates(mut self, alone: bool) -> Self {
        self.assertion_authenticates = alone;
        self
    }

    /// Sets whether the grant returns a refresh token. Default: no. The app must have refresh
    /// tokens enabled, too.
    #[must_use]
    pub fn with_refresh_token(mut self, issued: bool) -> Self {
        self.refresh_token = issued;
        self
    }

    /// Sets which users the app may impersonate. Default: none.
    #[must_use]
    pub fn with_impersonation(mut self, policy: ImpersonationPolicy) -> Self {
        self.impersonation = policy;
        self
    }

    /// Returns the keys that verify assertions.
    #[must_use]
    pub fn assertion_keys(&self) -> &AssertionKeys {
        &self.keys
    }

    /// Returns the expected `iss` if it is not the client id.
    #[must_use]
    pub fn issuer(&self) -> Option<&str> {
        self.issuer.as_deref()
    }

    /// Returns the expected `aud` if it is not the authorization server's issuer.
    #[must_use]
    pub fn audience(&self) -> Option<&str> {
        self.audience.as_deref()
    }

    /// Returns true if the URL of the token endpoint is accepted as `aud` too.
    #[must_use]
    pub fn allows_token_endpoint_audience(&self) -> bool {
        self.token_endpoint_audience
    }

    /// Returns the allowed algorithms. Empty means every algorithm that fits one of the keys.
    #[must_use]
    pub fn algorithms(&self) -> &[Algorithm] {
        &self.algorithms
    }

    /// Returns the name of the claim that names the user.
    #[must_use]
    pub fn user_claim(&self) -> &str {
        &self.user_claim
    }

    /// Returns the maximum time between now and `exp`, in seconds.
    #[must_use]
    pub fn max_lifetime(&self) -> u32 {
        self.max_lifetime
    }

    /// Returns the tolerated clock skew of the app, in seconds.
    #[must_use]
    pub fn clock_skew(&self) -> u32 {
        self.clock_skew
    }

    /// Returns whether assertions need the claim `jti`.
    #[must_use]
    pub fn jti(&self) -> JtiRule {
        self.jti
    }

    /// Returns true if the assertion alone authenticates the app.
    #[must_use]
    pub fn assertion_authenticates(&self) -> bool {
        self.assertion_authenticates
    }

    /// Returns true if the grant returns a refresh token.
    #[must_use]
    pub fn issues_refresh_token(&self) -> bool {
        self.refresh_token
    }

    /// Returns the impersonation policy.
    #[must_use]
    pub fn impersonation(&self) -> &ImpersonationPolicy {
        &self.impersonation
    }

    /// Checks the rules that need no other setting of the app.
    pub(super) fn check(&self) -> Result<(), InvalidApp> {
        let symmetric = self.keys == AssertionKeys::SignatureSecret;
        let long = |text: &Option<String>| {
            text.as_ref().is_some_and(|text| text.is_empty() || text.len() > 255)
        };
        let problem = if let AssertionKeys::Keys(keys) = &self.keys
            && keys.hold_secret()
        {
            ("jwt.keys", "must hold public keys only")
        } else if long(&self.issuer) {
            ("jwt.issuer", "must be 1 to 255 bytes long")
        } else if long(&self.audience) {
            ("jwt.audience", "must be 1 to 255 bytes long")
        } else if self.user_claim.is_empty() || self.user_claim.len() > 64 {
            ("jwt.user_claim", "must be 1 to 64 bytes long")
        } else if !(1..=3_600).contains(&self.max_lifetime) {
            ("jwt.max_lifetime", "must be 1 to 3600 seconds")
        } else if self.clock_skew > Self::MAX_CLOCK_SKEW {
            ("jwt.clock_skew", "must be 0 to 300 seconds")
        } else if self.algorithms.iter().any(|algorithm| algorithm.is_symmetric() != symmetric) {
            (
                "jwt.algorithms",
                "must fit the keys: HS256 if and only if the signature secret is used",
            )
        } else if self.jti == JtiRule::Optional && self.refresh_token {
            ("jwt.jti", "must be required if the grant returns a refresh token")
        } else if self.assertion_authenticates && symmetric {
            ("jwt.assertion_authenticates", "requires public keys")
        } else if self.assertion_authenticates && self.issuer.is_some() {
            ("jwt.issuer", "must be absent if the assertion alone authenticates the app")
        } else if self.impersonation.size() > 1_000 {
            ("jwt.impersonation", "must list at most 1000 users and groups")
        } else {
            return Ok(());
        };
        Err(InvalidApp::new(problem.0, problem.1))
    }
}
