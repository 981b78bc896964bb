//! Tokens of trusted issuers about users, as subject tokens of an exchange (RFC 8693 section 2.1).

use super::{Evidence, EvidenceRules, UnverifiedToken, UserClaims, UserRules};
use crate::clock::UnixTime;
use crate::ids::GrantId;
use crate::jwt::assertion::AssertionError;
use crate::jwt::claims::{Member, Object};
use crate::jwt::jws::Header;

/// The rules for a subject token of a trusted issuer.
#[derive(Debug)]
pub(crate) struct SubjectTokenRules<'a> {
    pub(crate) evidence: EvidenceRules<'a>,
    pub(crate) users: UserRules<'a>,
    /// Whether the request calls it an ID token (OpenID Connect Core section 2).
    pub(crate) is_id_token: bool,
}

/// The claims of a subject token that fulfils its rules.
#[derive(Debug)]
pub(crate) struct VerifiedSubjectToken {
    pub(crate) evidence: Evidence,
    pub(crate) user: UserClaims,
    /// `aud`: at least one name. The caller decides whether one of them is right.
    pub(crate) audience: Vec<String>,
    /// `iat`, earlier by the tolerated skew: no revocation since then is missed.
    pub(crate) issued_at: UnixTime,
    /// The name of the token in what descends from it. Equal for every presentation of the token.
    pub(crate) name: GrantId,
}

impl SubjectTokenRules<'_> {
    /// Verifies `token` at `now`.
    pub(crate) fn verify(
        &self,
        token: &UnverifiedToken<'_>,
        now: UnixTime,
    ) -> Result<VerifiedSubjectToken, AssertionError> {
        self.check_type(token.header()?)?;
        let claims = self.evidence.signed_claims(token)?;
        // Logout tokens need no type of their own (OpenID Connect Back-Channel Logout section 2.4).
        if claims.get("events").is_some() {
            return Err(AssertionError::Typ);
        }
        let evidence = self.evidence.check_for_any(claims, now)?;
        // By such a token, the issuer authenticates as a client (RFC 7523 section 2.2).
        if evidence.subject == self.evidence.issuer {
            return Err(AssertionError::Sub);
        }
        // The skew is for `iat` in the future, not for what would get a token without a life.
        if evidence.expires_at <= now {
            return Err(AssertionError::ExpPast);
        }
        if claims.get("cnf").is_some() {
            return Err(AssertionError::Bound);
        }
        let issued_at = claims.date("iat", AssertionError::Iat)?.ok_or(AssertionError::Iat)?;
        let audience = audience(claims)?;
        if self.is_id_token && audience.len() > 1 {
            return Err(AssertionError::AudSeveral);
        }
        let user = self.users.read(claims, token.jws.payload())?;
        let issued_at = issued_at.minus(self.evidence.clock_skew);
        let name = token.jws.digest().as_bytes().first_chunk().copied().unwrap_or_default();
        let name = GrantId::from_bytes(name);
        Ok(VerifiedSubjectToken { evidence, user, audience, issued_at, name })
    }

    /// Checks `typ`. Issuers state none, `JWT`, or for an access token the type of RFC 9068. Any other is of a token with
    /// another purpose (RFC 8725 section 3.11).
    fn check_type(&self, header: &Header<'_>) -> Result<(), AssertionError> {
        let fits = !header.has_type()
            || header.is_type("JWT")
            || (!self.is_id_token && header.is_type(crate::jwt::access_token::TYPE));
        if fits { Ok(()) } else { Err(AssertionError::Typ) }
    }
}

fn audience(claims: &Object<'_>) -> Result<Vec<String>, AssertionError> {
    match claims.get("aud") {
        Some(Member::Text(name)) => Ok(vec![name.0.to_string()]),
        Some(Member::Texts(names)) if !names.is_empty() => {
            Ok(names.iter().map(|name| name.0.to_string()).collect())
        }
        Some(Member::Texts(_)) => Err(AssertionError::Aud),
        Some(Member::Date(_) | Member::Other) | None => Err(AssertionError::AudMissing),
    }
}
