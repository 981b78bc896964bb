//! The part of the table about refusals of the policy engine.

use super::rejection_table::{Entry, entry};
use super::{ErrorCode, Rejection};
use crate::app::policy::{Decision, EvidenceKind, Refusal};
use crate::app::{DelegationRule, NotPermitted};
use crate::observe::Step;

const USER: &str = "the app may not act as this user";
const SUBJECT_TOKEN: &str = "the subject token is not accepted";

impl Rejection {
    /// Returns the cause to refuse a request that the policy engine does not allow.
    pub(crate) fn by_policy(decision: &Decision<'_>) -> Result<(), Self> {
        decision.outcome().map_err(|refusal| match (decision.evidence(), refusal) {
            (EvidenceKind::SubjectToken, refusal) => {
                Self::PolicyRefused(EvidenceKind::SubjectToken, refusal)
            }
            (_, Refusal::UnknownUser) => Self::UnknownUser,
            (EvidenceKind::OwnAssertion, Refusal::User(why)) => Self::ImpersonationDenied(why),
            (kind, refusal) => Self::PolicyRefused(kind, refusal),
        })
    }
}

/// Maps each refusal to its wire code, step, reason and description.
pub(super) const fn policy_entry(kind: EvidenceKind, refusal: Refusal) -> Entry {
    let (code, reason, description) = match refusal {
        Refusal::UnknownUser => (ErrorCode::InvalidGrant, "unknown_user", USER),
        Refusal::User(why) => (ErrorCode::InvalidGrant, impersonation_reason(why), USER),
        Refusal::NotTrusted => (
            ErrorCode::InvalidGrant,
            "issuer_not_trusted",
            "this server accepts no assertions of this kind from their issuer",
        ),
        Refusal::IssuerExpired => (
            ErrorCode::InvalidGrant,
            "issuer_expired",
            "the trust in the issuer of the assertion has expired",
        ),
        Refusal::AppNotNamed => (
            ErrorCode::InvalidGrant,
            "app_not_named",
            "the issuer of the assertion is not trusted for this app",
        ),
        Refusal::NoWorkloadRule => (
            ErrorCode::InvalidGrant,
            "no_workload_rule",
            "no rule for this app admits the workload: compare its claims with those of the rules",
        ),
        Refusal::Delegation(rule) => return delegation_entry(rule),
    };
    let (code, description) = match kind {
        // RFC 6749 section 5.2: the grant is good, and not for this app.
        EvidenceKind::Workload if matches!(refusal, Refusal::AppNotNamed) => (
            ErrorCode::UnauthorizedClient,
            "no rule for workloads of the issuer of the assertion names this app",
        ),
        // RFC 8693 section 2.2.2.
        EvidenceKind::SubjectToken => (ErrorCode::InvalidRequest, SUBJECT_TOKEN),
        EvidenceKind::OwnAssertion | EvidenceKind::IdentityAssertion | EvidenceKind::Workload => {
            (code, description)
        }
    };
    let of_record =
        matches!(refusal, Refusal::NotTrusted | Refusal::IssuerExpired | Refusal::AppNotNamed);
    let setting = match kind {
        EvidenceKind::SubjectToken if of_record => "trusted_issuers",
        EvidenceKind::SubjectToken => "delegation",
        EvidenceKind::OwnAssertion => "jwt.impersonation",
        EvidenceKind::IdentityAssertion | EvidenceKind::Workload => "trusted_issuers",
    };
    entry(code, Step::Grant, reason, description).decided_by(setting)
}

/// The app has authenticated: its developer may know which rule of its own policy refuses.
const fn delegation_entry(rule: DelegationRule) -> Entry {
    let (code, description) = match rule {
        DelegationRule::NoPolicy => {
            (ErrorCode::InvalidRequest, "the app has no policy for exchanges")
        }
        DelegationRule::SourceNotListed => (
            ErrorCode::InvalidRequest,
            "the app may not exchange tokens of the app or issuer of subject_token",
        ),
        DelegationRule::NotForApp => (
            ErrorCode::InvalidRequest,
            "subject_token was not issued to the app, and aud names neither the app nor an API of it",
        ),
        DelegationRule::Impersonated => (
            ErrorCode::InvalidRequest,
            "the app may not exchange a token by which an app impersonates a user",
        ),
        DelegationRule::ActorNotListed => {
            (ErrorCode::InvalidRequest, "the app of actor_token may not be the actor")
        }
        DelegationRule::NotMayAct => {
            (ErrorCode::InvalidRequest, "may_act of subject_token names another actor")
        }
        DelegationRule::TooManyActors => {
            (ErrorCode::InvalidRequest, "the chain of actors would be too long")
        }
        DelegationRule::TargetNotListed => (
            ErrorCode::InvalidTarget,
            "the app may not exchange tokens for this resource or audience",
        ),
    };
    entry(code, Step::Grant, rule.as_str(), description).decided_by("delegation")
}

pub(super) const fn impersonation_reason(why: NotPermitted) -> &'static str {
    match why {
        NotPermitted::NoneAllowed => "impersonation_none_allowed",
        NotPermitted::NotListed => "impersonation_not_listed",
        NotPermitted::Excepted => "impersonation_excepted",
        NotPermitted::Inactive => "impersonation_inactive",
    }
}
