//! The causes of refused requests of trusted issuers to end the access of a user
//! (draft-parecki-oauth-global-token-revocation-06 section 3.4.2).

use super::rejection_table::{Entry, entry};
use super::{EndpointError, ErrorCode, Rejection};
use crate::jwt::AssertionError;
use crate::observe::Step;

/// The cause to refuse a request that ends all access of a user.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum GlobalRevocationRefusal {
    /// The server does not offer it.
    NotOffered,
    /// The request has no bearer token.
    NoToken,
    /// The server trusts no issuer of this name, or no longer.
    UnknownIssuer,
    /// The keys of the issuer cannot be fetched.
    KeysUnavailable,
    /// The token is invalid.
    Token(AssertionError),
    /// The token was used before.
    Replayed,
    /// The record of the issuer does not let it end access.
    IssuerNotAllowed,
    /// The body is not a subject identifier of a supported format.
    Subject,
    /// The record of the issuer does not let it name users in this format, or the user is of another issuer.
    SubjectNotAllowed,
    /// The issuer has no such user here.
    UnknownUser,
    /// The record of the issuer does not cover the user.
    UserNotCovered,
}

/// The text for every token that proves no trusted issuer: a stranger does not learn which issuers are trusted.
const TOKEN: &str = "the token is not one of a trusted issuer";
/// The text for every user that the issuer cannot end access of.
const USER: &str = "the issuer has no such user here";

impl GlobalRevocationRefusal {
    pub(super) const fn entry(self) -> Entry {
        use ErrorCode as C;
        use Step as S;
        const SETTING: &str = "trusted_issuers";
        match self {
            Self::NotOffered => entry(
                C::InvalidRequest,
                S::Parse,
                "no_global_revocation",
                "the server does not end access on the request of issuers",
            ),
            Self::NoToken => {
                entry(C::InvalidToken, S::Client, "no_issuer_token", "a token is required")
            }
            Self::UnknownIssuer => {
                entry(C::InvalidToken, S::Client, "issuer_unknown", TOKEN).decided_by(SETTING)
            }
            Self::KeysUnavailable => {
                entry(C::InvalidToken, S::Client, "issuer_keys_unavailable", TOKEN)
                    .decided_by(SETTING)
            }
            Self::Token(error) => {
                entry(C::InvalidToken, S::Client, "assertion", description(error))
                    .decided_by(SETTING)
            }
            Self::Replayed => entry(
                C::InvalidToken,
                S::Claim,
                "issuer_token_replayed",
                "the token was used before: sign a new one for each request",
            ),
            Self::IssuerNotAllowed => entry(
                C::AccessDenied,
                S::Grant,
                "issuer_not_allowed",
                "the issuer may not end the access of users",
            )
            .decided_by(SETTING),
            Self::Subject => entry(
                C::InvalidRequest,
                S::Parse,
                "subject_identifier",
                "the body must be a JSON object with sub_id alone, in the format iss_sub, opaque or \
                 email of RFC 9493",
            ),
            Self::SubjectNotAllowed => entry(
                C::AccessDenied,
                S::Grant,
                "subject_not_allowed",
                "the issuer may not name users in this format, or of this iss",
            )
            .decided_by(SETTING),
            Self::UnknownUser => entry(C::InvalidRequest, S::Grant, "issuer_user_unknown", USER),
            Self::UserNotCovered => {
                entry(C::InvalidRequest, S::Grant, "user_not_covered", USER).decided_by(SETTING)
            }
        }
    }

    /// Returns the HTTP status.
    pub(super) const fn status(self) -> u16 {
        match self {
            Self::NoToken
            | Self::UnknownIssuer
            | Self::KeysUnavailable
            | Self::Token(_)
            | Self::Replayed => 401,
            Self::IssuerNotAllowed | Self::SubjectNotAllowed => 403,
            Self::NotOffered | Self::UnknownUser | Self::UserNotCovered => 404,
            Self::Subject => 400,
        }
    }
}

/// Returns the text for an invalid token. Before its signature is verified, it does not tell a trusted issuer from
/// another.
const fn description(error: AssertionError) -> &'static str {
    use AssertionError as E;
    let unproven = matches!(error, E::Algorithm | E::UnknownKey | E::KeyIdMissing | E::Signature);
    if unproven { TOKEN } else { error.description() }
}

impl From<GlobalRevocationRefusal> for EndpointError {
    fn from(refusal: GlobalRevocationRefusal) -> Self {
        Rejection::GlobalRevocation(refusal).into()
    }
}
