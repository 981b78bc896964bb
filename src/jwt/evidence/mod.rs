//! Tokens of trusted issuers, as evidence for a grant. The profile of ID-JAG, the subject tokens of exchanges and the
//! tokens of global revocation have files of their own.

mod id_jag;
mod revocation;
mod subject_token;
mod unverified;
mod user_claims;

use std::collections::BTreeMap;
use std::time::Duration;

use super::assertion::{AssertionError, check_times};
use super::claims::{Member, Object, Text};
use super::{Algorithm, VerifyingKeys};
use crate::clock::UnixTime;
use crate::secret::Digest;

pub(crate) use id_jag::{
    GRANT_PROFILE, IdJagRules, NewIdJag, TOKEN_TYPE as ID_JAG, TYPE as ID_JAG_TYPE, VerifiedIdJag,
};
pub(crate) use revocation::REVOCATION_TYPE;
pub(crate) use subject_token::{SubjectTokenRules, VerifiedSubjectToken};
pub(crate) use unverified::{DecodedToken, UnverifiedToken};
pub(crate) use user_claims::{UserClaims, UserRules};

/// The longest `jti`, in bytes.
const MAX_JTI: usize = 255;

/// The rules for every token of a trusted issuer.
#[derive(Debug)]
pub(crate) struct EvidenceRules<'a> {
    /// The required `iss`.
    pub(crate) issuer: &'a str,
    /// `aud` must be this, alone. A subject token may instead name the app that presents it, and a token of global
    /// revocation the endpoint.
    pub(crate) audience: &'a str,
    pub(crate) keys: &'a VerifyingKeys,
    pub(crate) algorithms: &'a [Algorithm],
    /// The longest time to `exp`, from now and from `iat`.
    pub(crate) max_lifetime: Duration,
    /// The tolerated difference between the issuer's clock and ours.
    pub(crate) clock_skew: Duration,
    /// Whether the token may be presented again, and so needs no `jti`.
    pub(crate) reuse: bool,
}

/// The claims that every token has.
#[derive(Debug)]
pub(crate) struct Evidence {
    pub(crate) subject: String,
    /// Digest of `iss` and `jti`. `None` if the token may be presented again.
    pub(crate) jti: Option<Digest>,
    pub(crate) expires_at: UnixTime,
}

/// A token of a workload, verified.
#[derive(Debug)]
pub(crate) struct VerifiedWorkload {
    pub(crate) evidence: Evidence,
    /// The claims that are strings.
    pub(crate) claims: BTreeMap<String, String>,
}

impl EvidenceRules<'_> {
    /// Verifies the token of a workload at `now`. Platforms state no `typ`, or `JWT`.
    pub(crate) fn verify_workload(
        &self,
        token: &UnverifiedToken<'_>,
        now: UnixTime,
    ) -> Result<VerifiedWorkload, AssertionError> {
        let header = token.header()?;
        if header.has_type() && !header.is_type("JWT") {
            return Err(AssertionError::Typ);
        }
        let claims = self.signed_claims(token)?;
        Ok(VerifiedWorkload { evidence: self.check(claims, now)?, claims: texts(claims) })
    }

    /// Checks the signature, before any claim.
    fn signed_claims<'t, 'a>(
        &self,
        token: &'t UnverifiedToken<'a>,
    ) -> Result<&'t Object<'a>, AssertionError> {
        token.signed_claims(self.keys, self.algorithms)
    }

    /// Checks the claims that every token has, and that it is for this server alone.
    fn check(&self, claims: &Object<'_>, now: UnixTime) -> Result<Evidence, AssertionError> {
        check_audience(claims, &[self.audience])?;
        self.check_for_any(claims, now)
    }

    /// Checks the claims that every token has, without its audience.
    fn check_for_any(
        &self,
        claims: &Object<'_>,
        now: UnixTime,
    ) -> Result<Evidence, AssertionError> {
        let issuer = required(claims, "iss", AssertionError::IssMissing)?;
        if issuer != self.issuer {
            return Err(AssertionError::Iss);
        }
        let subject = required(claims, "sub", AssertionError::SubMissing)?;
        if subject.is_empty() {
            return Err(AssertionError::Sub);
        }
        let expires_at = check_times(claims, now, self.clock_skew, self.max_lifetime)?;
        let token_id = claims.text("jti", AssertionError::JtiMissing)?;
        if token_id.is_some_and(|id| id.is_empty() || id.len() > MAX_JTI) {
            return Err(AssertionError::Jti);
        }
        if token_id.is_none() && !self.reuse {
            return Err(AssertionError::JtiMissing);
        }
        let once = token_id.filter(|_| !self.reuse);
        let jti = once.map(|id| Digest::of_fields(&[issuer.as_bytes(), id.as_bytes()]));
        Ok(Evidence { subject: subject.to_owned(), jti, expires_at })
    }
}

/// Checks that `aud` is one of `names`, alone.
fn check_audience(claims: &Object<'_>, names: &[&str]) -> Result<(), AssertionError> {
    let is_server = |name: &Text<'_>| names.contains(&&*name.0);
    match claims.get("aud") {
        Some(Member::Text(name)) if is_server(name) => Ok(()),
        Some(Member::Texts(names)) if names.len() > 1 => Err(AssertionError::AudSeveral),
        Some(Member::Texts(names)) if names.iter().any(is_server) => Ok(()),
        Some(Member::Text(_) | Member::Texts(_)) => Err(AssertionError::Aud),
        Some(Member::Date(_) | Member::Other) | None => Err(AssertionError::AudMissing),
    }
}

fn texts(claims: &Object<'_>) -> BTreeMap<String, String> {
    let texts = claims.texts();
    texts.map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
}

fn required<'c>(
    claims: &'c Object<'_>,
    name: &str,
    missing: AssertionError,
) -> Result<&'c str, AssertionError> {
    claims.text(name, missing)?.ok_or(missing)
}
