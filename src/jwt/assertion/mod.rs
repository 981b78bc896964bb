//! Assertions at the token endpoint: as a grant (RFC 7523 section 2.1) or as client authentication
//! (section 2.2).

mod error;

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::claims::{Member, Object};
use super::jws::{Compact, Header, JwsError};
use super::keys::decoy_keys;
use super::{Algorithm, VerifyingKeys};
use crate::clock::UnixTime;
use crate::ids::ClientId;
use crate::secret::Digest;

pub use error::AssertionError;

/// The longest `jti`, in bytes.
const MAX_JTI: usize = 255;

/// The purpose of an assertion. An assertion for one purpose never serves the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[non_exhaustive]
pub enum AssertionPurpose {
    /// RFC 7523 section 2.1: the assertion is the grant. The app acts as a user: neither the claim
    /// that names the user nor `sub` names the app or the assertion's issuer, and `typ` does not say
    /// client authentication.
    Grant,
    /// RFC 7523 section 2.2: the assertion authenticates the app. `iss` and `sub` are its client id,
    /// and `typ` does not say grant.
    ClientAuthentication,
}

/// The rules for one assertion.
#[derive(Debug)]
pub(crate) struct AssertionRules<'a> {
    pub(crate) purpose: AssertionPurpose,
    pub(crate) client_id: &'a ClientId,
    /// The required `iss` of a grant. For client authentication it is the client id.
    pub(crate) issuer: &'a str,
    /// The claim of a grant that names the user: `sub`, unless the app's settings name another.
    pub(crate) user_claim: &'a str,
    /// `aud` must be this, alone, or one of `endpoints`, alone.
    pub(crate) audience: &'a str,
    /// The URLs of this server's endpoints that the app's settings accept as `aud`.
    pub(crate) endpoints: &'a [String],
    pub(crate) keys: &'a VerifyingKeys,
    pub(crate) algorithms: &'a [Algorithm],
    /// The longest time to `exp`, from now and from `iat`.
    pub(crate) max_lifetime: Duration,
    /// Whether `jti` is required.
    pub(crate) needs_jti: bool,
    /// The tolerated difference between the app's clock and ours.
    pub(crate) clock_skew: Duration,
}

/// The claims of an assertion that fulfils its rules.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct VerifiedAssertion {
    /// The user for a grant, the client id for client authentication.
    pub(crate) subject: String,
    /// Digest of `iss` and `jti`, by which the assertion is single-use within one app and purpose. `None`
    /// without a `jti`.
    pub(crate) jti: Option<Digest>,
    pub(crate) expires_at: UnixTime,
    /// `scope`, unless it is absent or blank.
    pub(crate) scope: Option<String>,
}

impl AssertionRules<'_> {
    /// Verifies `assertion` at `now`. The signature is checked before every claim, and the claims in
    /// the order of the variants of [`AssertionError`].
    pub(crate) fn verify(
        &self,
        assertion: &str,
        now: UnixTime,
    ) -> Result<VerifiedAssertion, AssertionError> {
        let jws = Compact::parse(assertion)?;
        let header = Header::of(&jws)?;
        self.check_type(&header)?;
        self.check_signature(&jws, &header)?;
        let claims = Object::parse(jws.payload()).ok_or(AssertionError::Claims)?;

        let issuer = self.check_issuer(&claims)?;
        let subject = self.check_subject(&claims, issuer)?;
        self.check_audience(&claims)?;
        let expires_at = check_times(&claims, now, self.clock_skew, self.max_lifetime)?;
        let token_id = claims.text("jti", AssertionError::JtiMissing)?;
        if self.needs_jti && token_id.is_none() {
            return Err(AssertionError::JtiMissing);
        }
        if token_id.is_some_and(|id| id.is_empty() || id.len() > MAX_JTI) {
            return Err(AssertionError::Jti);
        }
        let scope = claims.text("scope", AssertionError::Scope)?;
        let scope = scope.filter(|scope| !scope.trim_matches(' ').is_empty());
        Ok(VerifiedAssertion {
            subject: subject.to_owned(),
            jti: token_id.map(|id| Digest::of_fields(&[issuer.as_bytes(), id.as_bytes()])),
            expires_at,
            scope: scope.map(str::to_owned),
        })
    }

    /// Checks `typ` (RFC 8725 section 3.11): absent, `JWT`, or exactly this purpose. So an access
    /// token is not accepted as an assertion.
    fn check_type(&self, header: &Header<'_>) -> Result<(), AssertionError> {
        let own = match self.purpose {
            AssertionPurpose::ClientAuthentication => "client-authentication+jwt",
            AssertionPurpose::Grant => "authorization-grant+jwt",
        };
        if header.has_type() && !header.is_type("JWT") && !header.is_type(own) {
            return Err(AssertionError::Typ);
        }
        Ok(())
    }

    /// Checks the signature. To authenticate an app, an assertion for which the app has no key costs a
    /// verification all the same, so that the time does not tell which keys an app has, or whether it
    /// exists.
    fn check_signature(
        &self,
        jws: &Compact<'_>,
        header: &Header<'_>,
    ) -> Result<(), AssertionError> {
        let verdict = jws.verify(header, self.keys, self.algorithms);
        let untried = matches!(
            verdict,
            Err(JwsError::Algorithm | JwsError::UnknownKey | JwsError::KeyIdMissing)
        );
        if untried && self.purpose == AssertionPurpose::ClientAuthentication {
            // The verdict stands, also if this succeeds.
            let _ = jws.verify(header, decoy_keys(), Algorithm::ALL);
        }
        Ok(verdict.map(|_| ())?)
    }

    fn check_issuer<'c>(&self, claims: &'c Object<'_>) -> Result<&'c str, AssertionError> {
        let issuer = text(claims, "iss", AssertionError::IssMissing)?;
        let expected = match self.purpose {
            AssertionPurpose::ClientAuthentication => self.client_id.as_str(),
            AssertionPurpose::Grant => self.issuer,
        };
        if issuer == expected { Ok(issuer) } else { Err(AssertionError::Iss) }
    }

    fn check_subject<'c>(
        &self,
        claims: &'c Object<'_>,
        issuer: &str,
    ) -> Result<&'c str, AssertionError> {
        match self.purpose {
            AssertionPurpose::ClientAuthentication => {
                let subject = text(claims, "sub", AssertionError::SubMissing)?;
                if subject != self.client_id.as_str() {
                    return Err(AssertionError::Sub);
                }
                Ok(subject)
            }
            AssertionPurpose::Grant => {
                let is_app = |name: &str| names_app(name, issuer, self.client_id);
                let user = text(claims, self.user_claim, AssertionError::SubMissing)?;
                // Even if another claim names the user, an assertion whose `sub` is the app could
                // also authenticate the app.
                let subject = claims.text("sub", AssertionError::SubMissing)?;
                if user.is_empty() || is_app(user) || subject.is_some_and(is_app) {
                    return Err(AssertionError::Sub);
                }
                Ok(user)
            }
        }
    }

    /// Checks that this server is the only audience (RFC 10070): an assertion for several servers could
    /// be replayed by one of them.
    fn check_audience(&self, claims: &Object<'_>) -> Result<(), AssertionError> {
        let audience = match claims.get("aud") {
            Some(Member::Text(name)) => name,
            Some(Member::Texts(names)) => match names.as_slice() {
                [name] => name,
                [] => return Err(AssertionError::Aud),
                _ => return Err(AssertionError::AudSeveral),
            },
            Some(Member::Date(_) | Member::Other) | None => return Err(AssertionError::AudMissing),
        };
        let is_server =
            audience.0 == self.audience || self.endpoints.iter().any(|url| audience.0 == *url);
        if is_server { Ok(()) } else { Err(AssertionError::Aud) }
    }
}

/// Checks `exp`, `nbf` and `iat` of an assertion or of other evidence, and returns `exp`.
pub(in crate::jwt) fn check_times(
    claims: &Object<'_>,
    now: UnixTime,
    clock_skew: Duration,
    max_lifetime: Duration,
) -> Result<UnixTime, AssertionError> {
    let latest_present = now.plus(clock_skew);
    let exp = claims.date("exp", AssertionError::ExpMissing)?;
    let exp = exp.ok_or(AssertionError::ExpMissing)?;
    if now >= exp.plus(clock_skew) {
        return Err(AssertionError::ExpPast);
    }
    if exp > latest_present.plus(max_lifetime) {
        return Err(AssertionError::ExpTooFar);
    }
    if claims.date("nbf", AssertionError::Nbf)?.is_some_and(|nbf| nbf > latest_present) {
        return Err(AssertionError::Nbf);
    }
    let wrong_iat = |iat: UnixTime| iat > latest_present || exp > iat.plus(max_lifetime);
    if claims.date("iat", AssertionError::Iat)?.is_some_and(wrong_iat) {
        return Err(AssertionError::Iat);
    }
    Ok(exp)
}

fn text<'c>(
    claims: &'c Object<'_>,
    name: &str,
    missing: AssertionError,
) -> Result<&'c str, AssertionError> {
    claims.text(name, missing)?.ok_or(missing)
}

/// Returns true if `name` is one of the app, which a user must not have.
pub(crate) fn names_app(name: &str, issuer: &str, client_id: &ClientId) -> bool {
    name == issuer || name == client_id.as_str()
}

/// Returns the `iss` of an assertion, **not verified**: only to find the app whose keys verify it.
pub(crate) fn peek_issuer(assertion: &str) -> Result<String, AssertionError> {
    peek(assertion, "iss", AssertionError::IssMissing)
}

/// Returns the `sub` of an assertion, **not verified**: only to find the app whose keys verify it.
pub(crate) fn peek_subject(assertion: &str) -> Result<String, AssertionError> {
    peek(assertion, "sub", AssertionError::SubMissing)
}

fn peek(assertion: &str, claim: &str, missing: AssertionError) -> Result<String, AssertionError> {
    let jws = Compact::parse(assertion)?;
    let claims = Object::parse(jws.payload()).ok_or(AssertionError::Claims)?;
    text(&claims, claim, missing).map(str::to_owned)
}

#[cfg(test)]
mod tests;
