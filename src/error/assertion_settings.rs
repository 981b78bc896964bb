//! The settings that decide about assertions, for the table of rejections.

use crate::jwt::AssertionError;

/// Returns the setting that an administrator should check when a client assertion is refused.
pub(super) const fn client_assertion_setting(error: AssertionError) -> &'static str {
    if matches!(error, AssertionError::Aud) {
        "client_assertion_endpoint_audience"
    } else if matches!(error, AssertionError::ExpTooFar) {
        "client_assertion_lifetime"
    } else {
        "authentication"
    }
}

/// Returns the setting that an administrator should check when an assertion is refused.
pub(super) const fn assertion_setting(error: AssertionError) -> Option<&'static str> {
    use AssertionError as E;
    match error {
        E::Iss | E::IssMissing => Some("jwt.issuer"),
        E::Aud | E::AudMissing | E::AudSeveral => Some("jwt.audience"),
        E::Algorithm => Some("jwt.algorithms"),
        E::UnknownKey | E::KeyIdMissing | E::Signature => Some("jwt.keys"),
        E::Sub | E::SubMissing => Some("jwt.user_claim"),
        E::JtiMissing => Some("jwt.jti"),
        E::ExpTooFar => Some("jwt.max_lifetime"),
        E::ExpPast | E::Nbf | E::Iat => Some("jwt.clock_skew"),
        E::NotAJwt
        | E::Header
        | E::ForbiddenHeader
        | E::Typ
        | E::Claims
        | E::ExpMissing
        | E::Jti
        | E::Scope
        | E::Bound => None,
        E::ClientId | E::Tenant | E::Resource | E::AuthorizationDetails | E::Act => {
            Some("trusted_issuers")
        }
    }
}
