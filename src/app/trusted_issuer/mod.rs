//! Other issuers whose evidence this server accepts.

mod revocation;
mod workload;

use serde::{Deserialize, Serialize};

pub use revocation::RevocationTrust;
pub use workload::{SubjectPattern, WorkloadRule};

use super::{ImpersonationPolicy, InvalidApp, JwksUri};
use crate::clock::UnixTime;
use crate::ids::{ClientId, EvidenceIssuer};
use crate::jwt::{Algorithm, VerifyingKeys};

/// The keys of a trusted issuer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum IssuerKeys {
    /// These keys.
    Keys(VerifyingKeys),
    /// The keys at this URL. It requires a server that fetches [app keys](crate::ServerBuilder::app_keys).
    Uri(JwksUri),
}

/// Another issuer, and the evidence that this server accepts from it.
///
/// The default accepts none: each kind of evidence is a setting of its own, names its apps, and for users has a
/// policy that allows no user until the administrator says so.
///
/// ```
/// use grantor::app::{ImpersonationPolicy, IssuerKeys, JwksUri, TrustedIssuer, UserTrust};
/// use grantor::ids::{ClientId, EvidenceIssuer};
/// use grantor::jwt::Algorithm;
///
/// let keys = IssuerKeys::Uri(JwksUri::new("https://idp.example.com/keys")?);
/// let issuer = EvidenceIssuer::new("https://idp.example.com")?;
/// let users = UserTrust::new([ClientId::new("wiki")?])
///     .with_policy(ImpersonationPolicy::anyone());
/// let idp = TrustedIssuer::new(issuer, "Example IdP", keys, [Algorithm::ES256])
///     .with_id_jag(users);
/// assert!(idp.check().is_ok());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TrustedIssuer {
    issuer: EvidenceIssuer,
    name: String,
    keys: IssuerKeys,
    algorithms: Vec<Algorithm>,
    #[serde(default = "default_max_lifetime")]
    max_lifetime: u32,
    #[serde(default = "default_clock_skew")]
    clock_skew: u32,
    #[serde(default)]
    reuse: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    expires_at: Option<UnixTime>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    tenant: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    id_jag: Option<UserTrust>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    subject_tokens: Option<UserTrust>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    workloads: Vec<WorkloadRule>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    workload_audience: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    global_revocation: Option<RevocationTrust>,
}

const fn default_max_lifetime() -> u32 {
    3_600
}

const fn default_clock_skew() -> u32 {
    10
}

/// The trust in an issuer's evidence about users: for which apps, how the users are found, and which of them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct UserTrust {
    /// The apps that may present such evidence.
    pub apps: Vec<ClientId>,
    /// The claim by which the user is found, if the host has no link for the issuer's `sub`. `None`: by link only.
    ///
    /// `aud_sub` names the user by the subject of this server. So does `sub`, which says that the issuer has the
    /// same subjects as this server. By any other claim, the host's directory looks the user up.
    #[serde(default)]
    pub user_claim: Option<String>,
    /// Whether the user is found by the claim `email`, after the link and `user_claim`, if the issuer says that it
    /// has verified the address (`email_verified`). Default: no.
    ///
    /// The price: if the issuer lets its users or their administrators choose addresses, one of them can become a
    /// user of this server.
    #[serde(default)]
    pub by_email: bool,
    /// Whether the evidence must name the API (`resource`), as enterprise-managed authorization of MCP servers
    /// requires. Default: no, and always no for subject tokens.
    #[serde(default)]
    pub requires_resource: bool,
    /// The users that the apps may act for on this evidence, and the scope ceiling. Default: none.
    ///
    /// The exceptions of an app's own policy hold, too.
    #[serde(default)]
    pub policy: ImpersonationPolicy,
}

impl UserTrust {
    /// Creates the trust for `apps`, by link only and for no user.
    #[must_use]
    pub fn new(apps: impl IntoIterator<Item = ClientId>) -> Self {
        Self {
            apps: apps.into_iter().collect(),
            user_claim: None,
            by_email: false,
            requires_resource: false,
            policy: ImpersonationPolicy::none(),
        }
    }

    /// Sets the claim by which a user without a link is found.
    #[must_use]
    pub fn with_user_claim(mut self, claim: impl Into<String>) -> Self {
        self.user_claim = Some(claim.into());
        self
    }

    /// Sets whether a user is found by a verified e-mail address.
    #[must_use]
    pub fn with_email(mut self, by_email: bool) -> Self {
        self.by_email = by_email;
        self
    }

    /// Sets whether the evidence must name the API.
    #[must_use]
    pub fn with_required_resource(mut self, required: bool) -> Self {
        self.requires_resource = required;
        self
    }

    /// Sets the users that the apps may act for.
    #[must_use]
    pub fn with_policy(mut self, policy: ImpersonationPolicy) -> Self {
        self.policy = policy;
        self
    }

    /// Checks whether `client_id` is one of the apps.
    #[must_use]
    pub fn names(&self, client_id: &ClientId) -> bool {
        self.apps.contains(client_id)
    }

    fn check(&self, fields: [&'static str; 3]) -> Result<(), InvalidApp> {
        let [apps, user_claim, policy] = fields;
        if !(1..=TrustedIssuer::MAX_APPS).contains(&self.apps.len()) {
            return Err(InvalidApp::new(apps, "must list 1 to 1000 apps"));
        }
        if self.user_claim.as_ref().is_some_and(|claim| !(1..=64).contains(&claim.len())) {
            return Err(InvalidApp::new(user_claim, "must be 1 to 64 bytes long"));
        }
        // An address that the issuer has not verified must not find a user by another setting.
        if self.user_claim.as_deref() == Some("email") {
            return Err(InvalidApp::new(user_claim, "must not be email: set `by_email`"));
        }
        if self.policy.size() > 1_000 {
            return Err(InvalidApp::new(policy, "must list at most 1000 users and groups"));
        }
        Ok(())
    }
}

impl TrustedIssuer {
    /// The greatest number of trusted issuers of a server.
    pub const MAX: usize = 100;
    /// The greatest number of apps for one kind of evidence.
    pub const MAX_APPS: usize = 1_000;
    /// The greatest number of rules for workloads.
    pub const MAX_WORKLOADS: usize = 100;
    /// The longest lifetime of evidence, in seconds.
    pub const MAX_LIFETIME: u32 = 86_400;
    /// The largest tolerated clock skew, in seconds.
    pub(crate) const MAX_CLOCK_SKEW: u32 = 300;

    /// Creates a record of `issuer`, the `iss` of its tokens, that accepts no evidence. `name` is for administrators.
    #[must_use]
    pub fn new(
        issuer: EvidenceIssuer,
        name: impl Into<String>,
        keys: IssuerKeys,
        algorithms: impl IntoIterator<Item = Algorithm>,
    ) -> Self {
        Self {
            issuer,
            name: name.into(),
            keys,
            algorithms: algorithms.into_iter().collect(),
            max_lifetime: default_max_lifetime(),
            clock_skew: default_clock_skew(),
            reuse: false,
            expires_at: None,
            tenant: None,
            id_jag: None,
            subject_tokens: None,
            workloads: Vec::new(),
            workload_audience: None,
            global_revocation: None,
        }
    }

    /// Sets the longest time between now and `exp`, in seconds: 1 to 86,400. Default: 3,600.
    #[must_use]
    pub fn with_max_lifetime(mut self, seconds: u32) -> Self {
        self.max_lifetime = seconds;
        self
    }

    /// Sets the tolerated clock skew of the issuer, in seconds: 0 to 300. Default: 10.
    #[must_use]
    pub fn with_clock_skew(mut self, seconds: u32) -> Self {
        self.clock_skew = seconds;
        self
    }

    /// Sets whether a token of the issuer may be presented again until it expires. Default: no, it is good for one
    /// use and needs a `jti`.
    ///
    /// Clients that keep an ID-JAG in the place of a refresh token need it, and platforms that put the token of a
    /// workload into a file. The price: a thief may use a stolen token until it expires.
    #[must_use]
    pub fn with_reuse(mut self, reuse: bool) -> Self {
        self.reuse = reuse;
        self
    }

    /// Sets the instant from which no evidence of the issuer is accepted. Default: none.
    #[must_use]
    pub fn with_expiry(mut self, at: Option<UnixTime>) -> Self {
        self.expires_at = at;
        self
    }

    /// Sets the tenant at an issuer that has several: the claim `tenant` of evidence about users must be equal.
    /// Without one, evidence with this claim is refused.
    #[must_use]
    pub fn with_tenant(mut self, tenant: impl Into<String>) -> Self {
        self.tenant = Some(tenant.into());
        self
    }

    /// Accepts identity assertions about users (ID-JAG).
    #[must_use]
    pub fn with_id_jag(mut self, trust: UserTrust) -> Self {
        self.id_jag = Some(trust);
        self
    }

    /// Accepts tokens about users, access tokens in JWT form and ID tokens, as subject tokens (RFC 8693). The app that
    /// exchanges them also needs the issuer in its [policy](super::DelegationPolicy::issuers).
    ///
    /// Most clients exchange a token more than once: allow it by [`with_reuse`](Self::with_reuse).
    #[must_use]
    pub fn with_subject_tokens(mut self, trust: UserTrust) -> Self {
        self.subject_tokens = Some(trust);
        self
    }

    /// Accepts tokens of workloads that one of `rules` admits.
    #[must_use]
    pub fn with_workloads(mut self, rules: impl IntoIterator<Item = WorkloadRule>) -> Self {
        self.workloads = rules.into_iter().collect();
        self
    }

    /// Sets the `aud` of tokens of workloads. Default: the issuer of this server.
    #[must_use]
    pub fn with_workload_audience(mut self, audience: impl Into<String>) -> Self {
        self.workload_audience = Some(audience.into());
        self
    }

    /// Lets the issuer end all access of a user (global token revocation). Default: no.
    #[must_use]
    pub fn with_global_revocation(mut self, trust: RevocationTrust) -> Self {
        self.global_revocation = Some(trust);
        self
    }

    /// Returns the `iss` of its tokens, compared as a string.
    #[must_use]
    pub const fn issuer(&self) -> &EvidenceIssuer {
        &self.issuer
    }

    /// Returns the name for administrators.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Returns the keys that verify its tokens.
    #[must_use]
    pub const fn keys(&self) -> &IssuerKeys {
        &self.keys
    }

    /// Returns the allowed algorithms.
    #[must_use]
    pub fn algorithms(&self) -> &[Algorithm] {
        &self.algorithms
    }

    /// Returns the longest time between now and `exp`, in seconds.
    #[must_use]
    pub const fn max_lifetime(&self) -> u32 {
        self.max_lifetime
    }

    /// Returns the tolerated clock skew, in seconds.
    #[must_use]
    pub const fn clock_skew(&self) -> u32 {
        self.clock_skew
    }

    /// Returns true if a token may be presented again until it expires.
    #[must_use]
    pub const fn allows_reuse(&self) -> bool {
        self.reuse
    }

    /// Returns the instant from which no evidence is accepted.
    #[must_use]
    pub const fn expires_at(&self) -> Option<UnixTime> {
        self.expires_at
    }

    /// Checks whether the record has expired at `now`.
    #[must_use]
    pub fn has_expired(&self, now: UnixTime) -> bool {
        self.expires_at.is_some_and(|at| now >= at)
    }

    /// Returns the tenant.
    #[must_use]
    pub fn tenant(&self) -> Option<&str> {
        self.tenant.as_deref()
    }

    /// Returns the trust in identity assertions (ID-JAG).
    #[must_use]
    pub const fn id_jag(&self) -> Option<&UserTrust> {
        self.id_jag.as_ref()
    }

    /// Returns the trust in subject tokens.
    #[must_use]
    pub const fn subject_tokens(&self) -> Option<&UserTrust> {
        self.subject_tokens.as_ref()
    }

    /// Returns the rules for workloads. Empty means that no token of a workload is accepted.
    #[must_use]
    pub fn workloads(&self) -> &[WorkloadRule] {
        &self.workloads
    }

    /// Returns the `aud` of tokens of workloads, if it is not the issuer of this server.
    #[must_use]
    pub fn workload_audience(&self) -> Option<&str> {
        self.workload_audience.as_deref()
    }

    /// Returns the users whose access the issuer may end. `None`: of none.
    #[must_use]
    pub const fn global_revocation(&self) -> Option<&RevocationTrust> {
        self.global_revocation.as_ref()
    }

    /// Returns the settings that differ in `after`, by their names in JSON.
    pub(crate) fn changes_to(&self, after: &Self) -> Vec<String> {
        let json = |record: &Self| serde_json::to_value(record).unwrap_or_default();
        super::changed_members(&json(self), &json(after))
    }

    /// Checks every setting.
    ///
    /// # Errors
    ///
    /// [`InvalidApp`] names the first invalid field and its valid range.
    pub fn check(&self) -> Result<(), InvalidApp> {
        const TRUST: [[&str; 3]; 2] = [
            ["id_jag.apps", "id_jag.user_claim", "id_jag.policy"],
            ["subject_tokens.apps", "subject_tokens.user_claim", "subject_tokens.policy"],
        ];
        let long = |text: &Option<String>| {
            text.as_ref().is_some_and(|text| !(1..=255).contains(&text.len()))
        };
        let name_length = self.name.chars().count();
        let problem = if !(1..=100).contains(&name_length) || self.name.contains(char::is_control) {
            ("name", "must have 1 to 100 characters without control characters")
        } else if matches!(&self.keys, IssuerKeys::Keys(keys) if keys.hold_secret()) {
            ("keys", "must hold public keys only")
        } else if self.algorithms.is_empty() || self.algorithms.iter().any(|it| it.is_symmetric()) {
            ("algorithms", "must list at least one, and none with a shared secret")
        } else if !(1..=Self::MAX_LIFETIME).contains(&self.max_lifetime) {
            ("max_lifetime", "must be 1 to 86400 seconds")
        } else if self.clock_skew > Self::MAX_CLOCK_SKEW {
            ("clock_skew", "must be 0 to 300 seconds")
        } else if long(&self.tenant) {
            ("tenant", "must be 1 to 255 bytes long")
        } else if long(&self.workload_audience) {
            ("workload_audience", "must be 1 to 255 bytes long")
        } else if self.workloads.len() > Self::MAX_WORKLOADS {
            ("workloads", "must list at most 100 rules")
        } else if !self.workloads.iter().all(WorkloadRule::is_in_range) {
            (
                "workloads",
                "must have at most 16 claims of 1 to 255 bytes, with names of 1 to 64 bytes",
            )
        } else {
            for (trust, fields) in [&self.id_jag, &self.subject_tokens].into_iter().zip(TRUST) {
                trust.as_ref().map_or(Ok(()), |trust| trust.check(fields))?;
            }
            // The request for an exchange names the API.
            if self.subject_tokens.as_ref().is_some_and(|trust| trust.requires_resource) {
                let field = "subject_tokens.requires_resource";
                return Err(InvalidApp::new(field, "must be false: the request names the API"));
            }
            return self.global_revocation.as_ref().map_or(Ok(()), RevocationTrust::check);
        };
        Err(InvalidApp::new(problem.0, problem.1))
    }
}

#[cfg(test)]
mod tests;
