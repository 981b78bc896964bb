//! The policy engine: one pure function decides whether an app may act on behalf of a user, for every kind of
//! evidence.
//!
//! ```text
//! evidence                              decided by
//! own assertion      (RFC 7523)         the app's ImpersonationPolicy
//! trusted issuer     (ID-JAG)           the issuer's ImpersonationPolicy, without the app's exceptions
//! workload           (RFC 7523)         the app itself, by the issuer's rules for workloads
//! subject token      (RFC 8693)         the app's DelegationPolicy, without the app's exceptions; for a token of a
//!                                       trusted issuer, its ImpersonationPolicy, too
//! ```

use std::borrow::Cow;
use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::delegation::{DelegationRule, SubjectToken, TokenSource};
use super::trusted_issuer::{TrustedIssuer, UserTrust, WorkloadRule};
use super::{AppSettings, ImpersonationPolicy, ImpersonationRule, JwtSettings, NotPermitted};
use crate::clock::UnixTime;
use crate::ids::{ClientId, EvidenceIssuer, GrantId};
use crate::jwt::PriorActor;
use crate::protocol::scope::Scope;
use crate::users::{Member, User};

/// The verified evidence on which an app asks to act on behalf of a user.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub enum Evidence<'a> {
    /// An assertion that the app signed (RFC 7523 section 2.1).
    OwnAssertion,
    /// An identity assertion of a trusted issuer about a user (ID-JAG).
    IdentityAssertion(&'a TrustedIssuer),
    /// A token of a trusted issuer about a workload.
    Workload(Workload<'a>),
    /// A subject token (RFC 8693 section 2.1).
    SubjectToken(SubjectToken<'a>),
}

/// A workload, as a trusted issuer describes it.
#[derive(Clone, Copy, Debug)]
#[expect(clippy::exhaustive_structs, reason = "made by callers of the policy engine")]
pub struct Workload<'a> {
    /// The record of the issuer.
    pub issuer: &'a TrustedIssuer,
    /// `sub`.
    pub subject: &'a str,
    /// The other claims that are strings.
    pub claims: &'a BTreeMap<String, String>,
}

/// The decision of the policy engine. Only [`decide`] makes one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Decision<'a> {
    rule: PolicyRule<'a>,
    evidence: EvidenceKind,
    issuer: Option<&'a EvidenceIssuer>,
    ceiling: Option<&'a Scope>,
    /// The ceiling of the issuer's record, if a policy of the app decides, too.
    ceiling_of_issuer: Option<&'a Scope>,
}

/// The kind of [`Evidence`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum EvidenceKind {
    /// An assertion that the app signed.
    OwnAssertion,
    /// An identity assertion of a trusted issuer (ID-JAG).
    IdentityAssertion,
    /// A token of a trusted issuer about a workload.
    Workload,
    /// A subject token.
    SubjectToken,
}

/// The rule that decided.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum PolicyRule<'a> {
    /// A policy's list of users.
    User(ImpersonationRule<'a>),
    /// Refused: there is no such user.
    UnknownUser,
    /// Refused by an exception of the app, although the policy of the evidence may list the user.
    ExceptedByApp(Member<'a>),
    /// Allowed: this rule of the issuer's record admits the workload.
    Workload(&'a WorkloadRule),
    /// Refused: no rule of the issuer's record admits the workload as this app.
    NoWorkloadRule,
    /// Refused: the issuer is not trusted for this kind of evidence.
    NotTrusted,
    /// Refused: the record of the issuer has expired.
    IssuerExpired,
    /// Refused: the record of the issuer does not name the app.
    AppNotNamed,
    /// Refused by a rule of the app's delegation policy.
    Delegation(DelegationRule),
}

/// The reason for a refusal by the policy engine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Refusal {
    /// There is no such user.
    UnknownUser,
    /// The policy does not allow the user.
    User(NotPermitted),
    /// No rule admits the workload as the app.
    NoWorkloadRule,
    /// The issuer is not trusted for this kind of evidence.
    NotTrusted,
    /// The record of the issuer has expired.
    IssuerExpired,
    /// The record of the issuer does not name the app.
    AppNotNamed,
    /// The delegation policy of the app.
    Delegation(DelegationRule),
}

impl PolicyRule<'_> {
    /// Returns the answer of the policy.
    ///
    /// # Errors
    ///
    /// [`Refusal`] if the rule refuses.
    pub fn outcome(self) -> Result<(), Refusal> {
        match self {
            Self::UnknownUser => Err(Refusal::UnknownUser),
            Self::User(rule) => rule.outcome().map_err(Refusal::User),
            Self::ExceptedByApp(_) => Err(Refusal::User(NotPermitted::Excepted)),
            Self::Workload(_) => Ok(()),
            Self::NoWorkloadRule => Err(Refusal::NoWorkloadRule),
            Self::NotTrusted => Err(Refusal::NotTrusted),
            Self::IssuerExpired => Err(Refusal::IssuerExpired),
            Self::AppNotNamed => Err(Refusal::AppNotNamed),
            Self::Delegation(rule) => Err(Refusal::Delegation(rule)),
        }
    }

    /// Returns the stable name of the rule, such as `listed_group`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::UnknownUser => "unknown_user",
            Self::User(ImpersonationRule::Anyone) => "anyone",
            Self::User(ImpersonationRule::Listed(Member::Subject(_))) => "listed_user",
            Self::User(ImpersonationRule::Listed(Member::Group(_))) => "listed_group",
            Self::User(ImpersonationRule::Inactive) => "inactive",
            Self::User(ImpersonationRule::Excepted(Member::Subject(_))) => "excepted_user",
            Self::User(ImpersonationRule::Excepted(Member::Group(_))) => "excepted_group",
            Self::User(ImpersonationRule::NoneAllowed) => "none_allowed",
            Self::User(ImpersonationRule::NotListed) => "not_listed",
            Self::ExceptedByApp(Member::Subject(_)) => "excepted_user_of_app",
            Self::ExceptedByApp(Member::Group(_)) => "excepted_group_of_app",
            Self::Workload(_) => "workload",
            Self::NoWorkloadRule => "no_workload_rule",
            Self::NotTrusted => "not_trusted",
            Self::IssuerExpired => "issuer_expired",
            Self::AppNotNamed => "app_not_named",
            Self::Delegation(rule) => rule.as_str(),
        }
    }

    /// Returns the entry of the policy that decided: a user, a group, or the pattern of a workload.
    #[must_use]
    pub fn entry(&self) -> Option<&str> {
        match self {
            Self::User(ImpersonationRule::Listed(member) | ImpersonationRule::Excepted(member))
            | Self::ExceptedByApp(member) => Some(match member {
                Member::Subject(subject) => subject.as_str(),
                Member::Group(group) => group.as_str(),
            }),
            Self::Workload(rule) => Some(rule.subject().as_str()),
            Self::UnknownUser
            | Self::User(_)
            | Self::NoWorkloadRule
            | Self::NotTrusted
            | Self::IssuerExpired
            | Self::AppNotNamed
            | Self::Delegation(_) => None,
        }
    }
}

impl<'a> Decision<'a> {
    /// Returns the rule that decided.
    #[must_use]
    pub const fn rule(&self) -> PolicyRule<'a> {
        self.rule
    }

    /// Returns the kind of the evidence.
    #[must_use]
    pub const fn evidence(&self) -> EvidenceKind {
        self.evidence
    }

    /// Returns the other issuer that gave the evidence, if it is not the app or this server.
    #[must_use]
    pub const fn issuer(&self) -> Option<&'a EvidenceIssuer> {
        self.issuer
    }

    /// Returns the answer.
    ///
    /// # Errors
    ///
    /// [`Refusal`] if the app may not act.
    pub fn outcome(&self) -> Result<(), Refusal> {
        self.rule.outcome()
    }

    /// Returns the scope ceiling of the policies that decided. `None` means the app's own scope.
    #[must_use]
    pub fn scope(&self) -> Option<Cow<'a, Scope>> {
        match (self.ceiling, self.ceiling_of_issuer) {
            (Some(ceiling), Some(of_issuer)) => Some(Cow::Owned(ceiling.intersection(of_issuer))),
            (ceiling, of_issuer) => ceiling.or(of_issuer).map(Cow::Borrowed),
        }
    }

    /// Returns the decision as it is audited. `actors` are the earlier actors of the evidence.
    #[must_use]
    pub fn record(&self, actors: &[PriorActor]) -> DecisionRecord {
        DecisionRecord {
            evidence: self.evidence,
            issuer: self.issuer.cloned(),
            rule: Cow::Borrowed(self.rule.as_str()),
            entry: self.rule.entry().map(str::to_owned),
            actors: actors.to_vec(),
            via: Vec::new(),
        }
    }
}

/// A [`Decision`] as the audit log keeps it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct DecisionRecord {
    /// The kind of the evidence.
    pub evidence: EvidenceKind,
    /// The other issuer that gave the evidence.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub issuer: Option<EvidenceIssuer>,
    /// The name of the rule that decided: see [`PolicyRule::as_str`].
    pub rule: Cow<'static, str>,
    /// The entry of the policy that decided: a user, a group, or the pattern of a workload.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub entry: Option<String>,
    /// The actors before the app, latest first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub actors: Vec<PriorActor>,
    /// The grants that a derived token descends from, that of its subject token first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub via: Vec<GrantId>,
}

/// Decides whether the app `client_id` may act as `user` at `now` on this evidence, which the caller has verified.
///
/// `user` is the user that the evidence is about. It is not used for a [`Workload`], for which the app acts as
/// itself. For other evidence, no user means refusal.
///
/// The rules that do not depend on the user decide first. Then an inactive account is refused, then the exceptions,
/// and the list decides last. The exceptions of the app's own policy hold for every evidence.
///
/// ```
/// use grantor::app::policy::{Evidence, decide};
/// # use grantor::app::{AppDraft, Flow, ImpersonationPolicy, JwtSettings};
/// # use grantor::clock::UnixTime;
/// # use grantor::ids::{ClientId, Subject};
/// # use grantor::users::{Members, User};
/// # let (app, ann) = (ClientId::new("reports")?, Subject::new("ann")?);
/// let policy = ImpersonationPolicy::members(Members::subjects([ann.clone()]));
/// let jwt = JwtSettings::signature_secret().with_impersonation(policy);
/// # let settings = AppDraft::confidential("reports").flow(Flow::JwtBearer).jwt(jwt).build()?;
/// let (user, now) = (User::new(ann), UnixTime::EPOCH);
/// let decision = decide(&app, &settings, &Evidence::OwnAssertion, Some(&user), now);
/// assert!(decision.outcome().is_ok());
/// assert_eq!((decision.rule().as_str(), decision.rule().entry()), ("listed_user", Some("ann")));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[must_use]
pub fn decide<'a>(
    client_id: &ClientId,
    settings: &'a AppSettings,
    evidence: &Evidence<'a>,
    user: Option<&User>,
    now: UnixTime,
) -> Decision<'a> {
    let own = settings.jwt().map(JwtSettings::impersonation);
    let about_user = |policy: Option<&'a ImpersonationPolicy>| about_user(policy, own, user);
    let mut ceiling_of_issuer = None;
    let (kind, issuer, rule, ceiling) = match *evidence {
        Evidence::OwnAssertion => (
            EvidenceKind::OwnAssertion,
            None,
            about_user(own),
            own.and_then(|it| it.scope.as_ref()),
        ),
        Evidence::IdentityAssertion(record) => {
            let trust = record.id_jag();
            let names = |trust: &UserTrust| trust.names(client_id);
            let rule = of_issuer(record, trust.map(names), now)
                .unwrap_or_else(|| about_user(trust.map(|trust| &trust.policy)));
            let ceiling = trust.and_then(|trust| trust.policy.scope.as_ref());
            (EvidenceKind::IdentityAssertion, Some(record.issuer()), rule, ceiling)
        }
        Evidence::Workload(workload) => {
            let record = workload.issuer;
            let mut named = record.workloads().iter().filter(|it| it.app() == client_id).peekable();
            let is_named = (!record.workloads().is_empty()).then(|| named.peek().is_some());
            let admits = |rule: &&WorkloadRule| rule.admits(workload.subject, workload.claims);
            let admitted = named.find(admits);
            let rule = of_issuer(record, is_named, now)
                .unwrap_or(admitted.map_or(PolicyRule::NoWorkloadRule, PolicyRule::Workload));
            let ceiling = admitted.and_then(WorkloadRule::scope);
            (EvidenceKind::Workload, Some(record.issuer()), rule, ceiling)
        }
        Evidence::SubjectToken(token) => {
            let record = match token.source {
                TokenSource::Issuer(record) => Some(record),
                TokenSource::App(_) => None,
            };
            let trust = record.and_then(TrustedIssuer::subject_tokens);
            let names = |record: &'a TrustedIssuer| {
                of_issuer(record, trust.map(|trust| trust.names(client_id)), now)
            };
            let by_policy = || {
                let Some(policy) = token.policy else {
                    return PolicyRule::Delegation(DelegationRule::NoPolicy);
                };
                if let Err(rule) = policy.admit(client_id, &token) {
                    return PolicyRule::Delegation(rule);
                }
                let rule = about_user(Some(&policy.users));
                // Both must allow. The refusal is told, whichever it is.
                let of_issuer = trust.map(|trust| about_user(Some(&trust.policy)));
                of_issuer
                    .filter(|it| rule.outcome().is_ok() && it.outcome().is_err())
                    .unwrap_or(rule)
            };
            let rule = record.and_then(names).unwrap_or_else(by_policy);
            ceiling_of_issuer = trust.and_then(|trust| trust.policy.scope.as_ref());
            let ceiling = token.policy.and_then(|policy| policy.users.scope.as_ref());
            (EvidenceKind::SubjectToken, record.map(TrustedIssuer::issuer), rule, ceiling)
        }
    };
    Decision { rule, evidence: kind, issuer, ceiling, ceiling_of_issuer }
}

/// Returns the rule by which the record of an issuer refuses, for every user. `is_named` tells
/// whether it names the app for this kind of evidence; `None`: it is not trusted for this kind.
fn of_issuer<'a>(
    record: &TrustedIssuer,
    is_named: Option<bool>,
    now: UnixTime,
) -> Option<PolicyRule<'a>> {
    match is_named {
        _ if record.has_expired(now) => Some(PolicyRule::IssuerExpired),
        None => Some(PolicyRule::NotTrusted),
        Some(false) => Some(PolicyRule::AppNotNamed),
        Some(true) => None,
    }
}

/// Returns the rule of `policy` that decides about `user`. `own` is the policy of the app for its own assertions.
fn about_user<'a>(
    policy: Option<&'a ImpersonationPolicy>,
    own: Option<&'a ImpersonationPolicy>,
    user: Option<&User>,
) -> PolicyRule<'a> {
    let Some(user) = user else { return PolicyRule::UnknownUser };
    let Some(policy) = policy else { return PolicyRule::User(ImpersonationRule::NoneAllowed) };
    let rule = policy.decide(user);
    let excepted = own.filter(|_| rule.outcome().is_ok()).and_then(|own| own.except.find(user));
    excepted.map_or(PolicyRule::User(rule), PolicyRule::ExceptedByApp)
}

#[cfg(test)]
#[path = "policy_tests.rs"]
mod tests;
