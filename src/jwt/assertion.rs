//! Assertions that are presented to the token endpoint: as a grant (RFC 7523 section 2.1) or to
//! authenticate the app (section 2.2).

use std::time::Duration;

use super::claims::{Member, Object};
use super::jws::{Compact, Header};
use super::{Algorithm, AssertionError, VerifyingKeys};
use crate::clock::UnixTime;
use crate::ids::ClientId;
use crate::secret::Digest;

/// The longest assertion that is read, in bytes.
const MAX_BYTES: usize = 16 * 1024;
/// The longest `jti`, in bytes.
const MAX_JTI: usize = 255;

/// What an assertion is presented for. One made for one purpose never serves the other.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Purpose<'a> {
    /// The app proves who it is: `iss` and `sub` are its client id, and `typ` does not say grant.
    ClientAuthentication,
    /// The app acts as a user, whom `user_claim` names: neither that nor `sub` is the app or the
    /// issuer itself, and `typ` does not say client authentication.
    Grant {
        /// `sub`, unless the app's settings name another claim.
        user_claim: &'a str,
    },
}

/// What an assertion has to fulfil.
#[derive(Debug)]
pub(crate) struct AssertionRules<'a> {
    pub(crate) purpose: Purpose<'a>,
    pub(crate) client_id: &'a ClientId,
    /// The `iss` that a grant must have; client authentication wants the client id.
    pub(crate) issuer: &'a str,
    /// One of these must be in `aud`.
    pub(crate) audiences: &'a [&'a str],
    pub(crate) keys: &'a VerifyingKeys,
    pub(crate) algorithms: &'a [Algorithm],
    /// How far away `exp` may be, from now and from `iat`.
    pub(crate) max_lifetime: Duration,
    /// By how much the app's clock may differ.
    pub(crate) clock_skew: Duration,
}

/// What an assertion that fulfils its rules says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct VerifiedAssertion {
    /// The user for a grant, the client id for client authentication.
    pub(crate) subject: String,
    /// Digest of `iss` and `jti`: what keeps the assertion single-use within one app and purpose.
    pub(crate) jti: Digest,
    pub(crate) expires_at: UnixTime,
    pub(crate) scope: Option<String>,
}

impl AssertionRules<'_> {
    /// What `assertion` says, if it fulfils the rules at `now`. The signature comes before every
    /// claim; the claims are checked in the order of the variants of [`AssertionError`].
    pub(crate) fn verify(
        &self,
        assertion: &str,
        now: UnixTime,
    ) -> Result<VerifiedAssertion, AssertionError> {
        let jws = Compact::parse(assertion, MAX_BYTES)?;
        let header = Header::of(&jws)?;
        self.check_type(&header)?;
        jws.verify(&header, self.keys, self.algorithms)?;
        let claims = Object::parse(jws.payload()).ok_or(AssertionError::Claims)?;

        let issuer = self.check_issuer(&claims)?;
        let subject = self.check_subject(&claims, issuer)?;
        self.check_audience(&claims)?;
        let expires_at = self.check_times(&claims, now)?;
        let token_id = text(&claims, "jti", AssertionError::JtiMissing)?;
        if token_id.is_empty() || token_id.len() > MAX_JTI {
            return Err(AssertionError::Jti);
        }
        let scope = claims.text("scope", AssertionError::Scope)?;
        Ok(VerifiedAssertion {
            subject: subject.to_owned(),
            jti: Digest::of_fields(&[issuer.as_bytes(), token_id.as_bytes()]),
            expires_at,
            scope: scope.map(str::to_owned),
        })
    }

    /// Explicit typing (RFC 8725 section 3.11): nothing, `JWT`, or exactly this purpose. So an access
    /// token is no assertion either.
    fn check_type(&self, header: &Header<'_>) -> Result<(), AssertionError> {
        let own = match self.purpose {
            Purpose::ClientAuthentication => "client-authentication+jwt",
            Purpose::Grant { .. } => "authorization-grant+jwt",
        };
        if header.has_type() && !header.is_type("JWT") && !header.is_type(own) {
            return Err(AssertionError::Typ);
        }
        Ok(())
    }

    fn check_issuer<'c>(&self, claims: &'c Object<'_>) -> Result<&'c str, AssertionError> {
        let issuer = text(claims, "iss", AssertionError::IssMissing)?;
        let expected = match self.purpose {
            Purpose::ClientAuthentication => self.client_id.as_str(),
            Purpose::Grant { .. } => self.issuer,
        };
        if issuer == expected { Ok(issuer) } else { Err(AssertionError::Iss) }
    }

    fn check_subject<'c>(
        &self,
        claims: &'c Object<'_>,
        issuer: &str,
    ) -> Result<&'c str, AssertionError> {
        match self.purpose {
            Purpose::ClientAuthentication => {
                let subject = text(claims, "sub", AssertionError::SubMissing)?;
                if subject != self.client_id.as_str() {
                    return Err(AssertionError::Sub);
                }
                Ok(subject)
            }
            Purpose::Grant { user_claim } => {
                let is_app = |name: &str| name == issuer || name == self.client_id.as_str();
                let user = text(claims, user_claim, AssertionError::SubMissing)?;
                // Where `sub` is not the user's claim, an assertion whose `sub` is the app would also
                // authenticate the app.
                let subject = claims.text("sub", AssertionError::SubMissing)?;
                if user.is_empty() || is_app(user) || subject.is_some_and(is_app) {
                    return Err(AssertionError::Sub);
                }
                Ok(user)
            }
        }
    }

    fn check_audience(&self, claims: &Object<'_>) -> Result<(), AssertionError> {
        let is_us = |name: &str| self.audiences.contains(&name);
        let found = match claims.get("aud") {
            Some(Member::Text(name)) => is_us(&name.0),
            Some(Member::Texts(names)) => names.iter().any(|name| is_us(&name.0)),
            Some(Member::Date(_) | Member::Other) | None => return Err(AssertionError::AudMissing),
        };
        if found { Ok(()) } else { Err(AssertionError::Aud) }
    }

    fn check_times(&self, claims: &Object<'_>, now: UnixTime) -> Result<UnixTime, AssertionError> {
        let latest_present = now.plus(self.clock_skew);
        let exp = claims.date("exp", AssertionError::ExpMissing)?;
        let exp = exp.ok_or(AssertionError::ExpMissing)?;
        if now >= exp.plus(self.clock_skew) {
            return Err(AssertionError::ExpPast);
        }
        if exp > latest_present.plus(self.max_lifetime) {
            return Err(AssertionError::ExpTooFar);
        }
        if claims.date("nbf", AssertionError::Nbf)?.is_some_and(|nbf| nbf > latest_present) {
            return Err(AssertionError::Nbf);
        }
        let wrong_iat = |iat: UnixTime| iat > latest_present || exp > iat.plus(self.max_lifetime);
        if claims.date("iat", AssertionError::Iat)?.is_some_and(wrong_iat) {
            return Err(AssertionError::Iat);
        }
        Ok(exp)
    }
}

fn text<'c>(
    claims: &'c Object<'_>,
    name: &str,
    missing: AssertionError,
) -> Result<&'c str, AssertionError> {
    claims.text(name, missing)?.ok_or(missing)
}

/// The `iss` that an assertion claims, **not verified**: only to find the app whose keys verify it.
pub(crate) fn peek_issuer(assertion: &str) -> Option<String> {
    peek(assertion, "iss")
}

/// The `sub` that an assertion claims, **not verified**: only to find the app whose keys verify it.
pub(crate) fn peek_subject(assertion: &str) -> Option<String> {
    peek(assertion, "sub")
}

fn peek(assertion: &str, claim: &str) -> Option<String> {
    let jws = Compact::parse(assertion, MAX_BYTES).ok()?;
    Object::parse(jws.payload())?.text(claim, ()).ok()?.map(str::to_owned)
}

#[cfg(test)]
mod tests;
