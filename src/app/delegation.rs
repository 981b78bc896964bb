//! Delegation policies: which subject tokens an app may exchange (RFC 8693), for which APIs and users.

use serde::{Deserialize, Serialize};

use super::{ImpersonationPolicy, TrustedIssuer};
use crate::ids::{ClientId, EvidenceIssuer, Resource};

/// A rule that says which subject tokens an app may exchange, for which APIs, and for which users.
///
/// The default allows nothing.
#[doc(alias = "may_act")]
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct DelegationPolicy {
    /// The apps whose access tokens of this server may be subject tokens.
    pub apps: Vec<ClientId>,
    /// The trusted issuers whose tokens may be subject tokens.
    pub issuers: Vec<EvidenceIssuer>,
    /// The APIs for which a derived token may be.
    pub targets: Vec<Resource>,
    /// The largest number of actors of a derived token, the app included: 1 to 4. Default: 4.
    pub max_actors: u8,
    /// Whether a token with which an app already impersonates a user may be a subject token. Default: no.
    pub impersonated: bool,
    /// The users on whose behalf the app may act, and the scope ceiling.
    pub users: ImpersonationPolicy,
}

impl Default for DelegationPolicy {
    fn default() -> Self {
        Self {
            apps: Vec::new(),
            issuers: Vec::new(),
            targets: Vec::new(),
            max_actors: Self::MAX_ACTORS,
            impersonated: false,
            users: ImpersonationPolicy::none(),
        }
    }
}

/// A verified subject token, with the policy of the app that presents it.
#[derive(Clone, Copy, Debug)]
#[expect(clippy::exhaustive_structs, reason = "made by callers of the policy engine")]
pub struct SubjectToken<'a> {
    /// The policy of the app. `None` allows nothing.
    pub policy: Option<&'a DelegationPolicy>,
    /// Where the token is from.
    pub source: TokenSource<'a>,
    /// The API that the derived token is for.
    pub target: &'a Resource,
    /// The number of actors that the subject token names.
    pub actors: usize,
    /// Whether an app impersonates the user with the subject token.
    pub impersonated: bool,
}

/// The source of a subject token.
#[derive(Clone, Copy, Debug)]
#[expect(clippy::exhaustive_enums, reason = "a token is of this server or of another")]
pub enum TokenSource<'a> {
    /// This server issued it to the app.
    App(&'a ClientId),
    /// Another issuer.
    Issuer(&'a TrustedIssuer),
}

/// A rule of a delegation policy that refuses a subject token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum DelegationRule {
    /// The app has no delegation policy.
    NoPolicy,
    /// The policy does not list the app or the issuer of the subject token.
    SourceNotListed,
    /// The policy does not list the API.
    TargetNotListed,
    /// An app impersonates the user with the subject token.
    Impersonated,
    /// The derived token would have too many actors.
    TooManyActors,
}

impl DelegationRule {
    /// Returns the stable name, such as `source_not_listed`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::NoPolicy => "no_delegation_policy",
            Self::SourceNotListed => "source_not_listed",
            Self::TargetNotListed => "target_not_listed",
            Self::Impersonated => "impersonated_subject_token",
            Self::TooManyActors => "too_many_actors",
        }
    }
}

impl DelegationPolicy {
    /// The greatest number of actors of a token.
    pub const MAX_ACTORS: u8 = 4;

    /// Checks a subject token by the rules that do not depend on the user.
    pub(super) fn admit(&self, token: &SubjectToken<'_>) -> Result<(), DelegationRule> {
        let is_listed = match token.source {
            TokenSource::App(app) => self.apps.contains(app),
            TokenSource::Issuer(issuer) => self.issuers.contains(issuer.issuer()),
        };
        if !is_listed {
            Err(DelegationRule::SourceNotListed)
        } else if !self.targets.iter().any(|target| target.is_equivalent(token.target)) {
            Err(DelegationRule::TargetNotListed)
        } else if token.impersonated && !self.impersonated {
            Err(DelegationRule::Impersonated)
        } else if token.actors >= usize::from(self.max_actors) {
            Err(DelegationRule::TooManyActors)
        } else {
            Ok(())
        }
    }
}
