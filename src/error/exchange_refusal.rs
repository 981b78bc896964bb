//! The causes for which token exchange refuses, beside those of the policy (RFC 8693 section 2.2.2).

use super::ErrorCode as C;
use super::rejection_table::{Entry, entry};
use crate::jwt::AssertionError;
use crate::observe::Step as S;

/// The cause for which token exchange refuses a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ExchangeRefusal {
    /// The subject token.
    Subject(TokenFault),
    /// The actor token.
    Actor(TokenFault),
    /// The subject token of a trusted issuer breaks a rule.
    Evidence(AssertionError),
    /// The server trusts no issuer of the name that the subject token states.
    UnknownIssuer,
    /// The keys of the trusted issuer of the subject token cannot be fetched.
    IssuerKeysUnavailable,
    /// The subject token was presented before, and its issuer's record allows one use.
    Replayed,
    /// The account of the user was deleted or is not active.
    InactiveUser,
    /// The request names no target, and the policy does not allow exactly one.
    NoTarget,
    /// The request exceeds the scope of the subject token, of the target or of the policy.
    ScopeTooWide,
    /// Nothing is left of the scope of the subject token for this target and policy.
    NoScope,
}

/// The fault of a token that is exchanged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum TokenFault {
    /// It is not an access token of this server.
    Invalid,
    /// It has expired.
    Expired,
    /// It was revoked, or its app is disabled or deleted.
    Revoked,
    /// It is bound to a key.
    Bound,
    /// A subject token is not of a user, or an actor token not an app's own.
    WrongSubject,
}

impl ExchangeRefusal {
    /// Returns the row of the table of rejections.
    pub(super) const fn entry(self) -> Entry {
        use TokenFault as F;
        let (reason, description) = match self {
            Self::Subject(F::Invalid) => {
                ("subject_token_invalid", "subject_token is not an access token of this server")
            }
            Self::Subject(F::Expired) => ("subject_token_expired", "subject_token has expired"),
            Self::Subject(F::Revoked) => ("subject_token_revoked", "subject_token was revoked"),
            Self::Subject(F::Bound) => (
                "subject_token_bound",
                "subject_token is bound to a key: this server exchanges bearer tokens only",
            ),
            Self::Subject(F::WrongSubject) => (
                "subject_token_without_user",
                "subject_token is of an app that acts for itself, not of a user",
            ),
            Self::Actor(F::Invalid) => {
                ("actor_token_invalid", "actor_token is not an access token of this server")
            }
            Self::Actor(F::Expired) => ("actor_token_expired", "actor_token has expired"),
            Self::Actor(F::Revoked) => ("actor_token_revoked", "actor_token was revoked"),
            Self::Actor(F::Bound) => (
                "actor_token_bound",
                "actor_token is bound to a key: this server exchanges bearer tokens only",
            ),
            Self::Actor(F::WrongSubject) => {
                ("actor_token_not_of_app", "actor_token is not a token that an app got for itself")
            }
            Self::Evidence(error) => {
                let description = error.description();
                return entry(C::InvalidRequest, S::Grant, "subject_token_evidence", description)
                    .decided_by("trusted_issuers");
            }
            Self::UnknownIssuer => {
                return entry(
                    C::InvalidRequest,
                    S::Grant,
                    "subject_token_issuer_unknown",
                    "subject_token is not of an issuer that this server trusts",
                )
                .decided_by("trusted_issuers");
            }
            Self::IssuerKeysUnavailable => {
                return entry(
                    C::InvalidRequest,
                    S::Grant,
                    "subject_token_keys_unavailable",
                    "the keys of the issuer of subject_token cannot be fetched, try again later",
                )
                .decided_by("trusted_issuers");
            }
            Self::Replayed => {
                return entry(
                    C::InvalidRequest,
                    S::Claim,
                    "subject_token_replayed",
                    "subject_token was presented before: this server accepts each token of its issuer once",
                )
                .decided_by("trusted_issuers");
            }
            Self::InactiveUser => {
                ("subject_token_user_inactive", "the user of subject_token is not active")
            }
            Self::NoTarget => {
                ("no_target", "name the API that the token is for by resource or audience")
            }
            Self::ScopeTooWide => {
                return entry(
                    C::InvalidScope,
                    S::Scope,
                    "scope_exceeds_subject_token",
                    "scope exceeds the scope of subject_token, or what the target or the app's policy for \
                     exchanges allows",
                )
                .decided_by("delegation");
            }
            Self::NoScope => {
                return entry(
                    C::InvalidScope,
                    S::Scope,
                    "no_scope_left",
                    "nothing is left of the scope of subject_token for this target",
                )
                .decided_by("delegation");
            }
        };
        entry(C::InvalidRequest, S::Grant, reason, description)
    }
}
