//! The token by which a trusted issuer authenticates a request to end the access of a user, in the form of Okta's
//! Universal Logout. The draft (draft-parecki-oauth-global-token-revocation-06) leaves the authentication open.

use super::{Evidence, EvidenceRules, UnverifiedToken, check_audience};
use crate::clock::UnixTime;
use crate::jwt::assertion::AssertionError;

/// The `typ`, and the name of the method in the metadata of a server.
pub(crate) const REVOCATION_TYPE: &str = "global-token-revocation+jwt";

impl UnverifiedToken<'_> {
    /// Checks the type, before the issuer is looked for: the answer to another token does not depend on the issuer.
    pub(crate) fn check_revocation_type(&self) -> Result<(), AssertionError> {
        if self.header()?.is_type(REVOCATION_TYPE) { Ok(()) } else { Err(AssertionError::Typ) }
    }
}

impl EvidenceRules<'_> {
    /// Verifies the token of a request to end access at `now`. Its `aud` may also be `endpoint`. Its `sub` is the name of
    /// this server at the issuer, and says nothing here.
    pub(crate) fn verify_revocation(
        &self,
        token: &UnverifiedToken<'_>,
        endpoint: &str,
        tenant: Option<&str>,
        now: UnixTime,
    ) -> Result<Evidence, AssertionError> {
        token.check_revocation_type()?;
        let claims = self.signed_claims(token)?;
        check_audience(claims, &[self.audience, endpoint])?;
        let evidence = self.check_for_any(claims, now)?;
        // Another tenant of the issuer may have a user of the same `sub`.
        if claims.text("tenant", AssertionError::Tenant)? != tenant {
            return Err(AssertionError::Tenant);
        }
        Ok(evidence)
    }
}
