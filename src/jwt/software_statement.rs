//! Software statements: client metadata that a third party signed (RFC 7591 section 2.3).

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::claims::{Member, Object};
use super::jws::{Compact, Header};
use super::{Algorithm, VerifyingKeys};
use crate::clock::UnixTime;

/// How far the clock of an issuer may be off.
const CLOCK_SKEW: Duration = Duration::from_secs(10);

/// A party whose software statements the server accepts: its `iss`, and the public keys that verify them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StatementIssuer {
    issuer: String,
    keys: VerifyingKeys,
}

/// A software statement that is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum StatementError {
    /// It is malformed, expired, for another server, or its signature is wrong.
    Invalid,
    /// Its issuer is not known.
    Unapproved,
}

/// A verified software statement.
#[derive(Debug)]
pub(crate) struct Statement {
    pub(crate) issuer: String,
    /// Its claims as JSON.
    pub(crate) claims: Vec<u8>,
}

impl StatementIssuer {
    /// Creates an issuer whose statements have `issuer` as `iss` and are signed with one of `keys`.
    #[must_use]
    pub fn new(issuer: impl Into<String>, keys: VerifyingKeys) -> Self {
        Self { issuer: issuer.into(), keys }
    }

    /// Returns the `iss` of its statements.
    #[must_use]
    pub fn issuer(&self) -> &str {
        &self.issuer
    }

    /// Returns the keys that verify its statements.
    #[must_use]
    pub const fn keys(&self) -> &VerifyingKeys {
        &self.keys
    }
}

/// Verifies a statement by the keys of its issuer. `typ` is absent or `JWT`, so that no other token of the issuer
/// passes. `exp`, `nbf`, `iat` and `aud` may be absent; `aud` must otherwise name `audience`.
pub(crate) fn verify_statement(
    statement: &str,
    issuers: &[StatementIssuer],
    audience: &str,
    now: UnixTime,
) -> Result<Statement, StatementError> {
    const INVALID: StatementError = StatementError::Invalid;
    let jws = Compact::parse(statement).map_err(|_| INVALID)?;
    let header = Header::of(&jws).map_err(|_| INVALID)?;
    if header.has_type() && !header.is_type("JWT") {
        return Err(INVALID);
    }
    let claims = Object::parse(jws.payload()).ok_or(INVALID)?;
    let stated = claims.text("iss", INVALID)?.ok_or(INVALID)?;
    let issuer = issuers.iter().find(|known| known.issuer == stated);
    let issuer = issuer.ok_or(StatementError::Unapproved)?;
    jws.verify(&header, &issuer.keys, Algorithm::ALL).map_err(|_| INVALID)?;

    let latest_present = now.plus(CLOCK_SKEW);
    let has_expired = |exp: UnixTime| now >= exp.plus(CLOCK_SKEW);
    let is_future = |date: UnixTime| date > latest_present;
    if claims.date("exp", INVALID)?.is_some_and(has_expired)
        || claims.date("nbf", INVALID)?.is_some_and(is_future)
        || claims.date("iat", INVALID)?.is_some_and(is_future)
    {
        return Err(INVALID);
    }
    let is_for_us = match claims.get("aud") {
        None => true,
        Some(Member::Text(name)) => name.0 == audience,
        Some(Member::Texts(names)) => names.iter().any(|name| name.0 == audience),
        Some(Member::Date(_) | Member::Other) => false,
    };
    if !is_for_us {
        return Err(INVALID);
    }
    Ok(Statement { issuer: issuer.issuer.clone(), claims: jws.payload().to_vec() })
}

#[cfg(test)]
mod tests {
    use super::super::SigningKey;
    use super::super::testing::signed;
    use super::*;

    const US: &str = "https://as.example.com";
    const NOW: UnixTime = UnixTime::from_seconds(1_000);

    fn verdict(key: &SigningKey, header: &str, claims: &str) -> Result<String, StatementError> {
        let known = SigningKey::generate(Algorithm::EdDSA).unwrap();
        let other = StatementIssuer::new("other", known.verifying_key().into());
        let issuers = [other, StatementIssuer::new("vendor", key.verifying_key().into())];
        let statement = signed(key, header, claims);
        verify_statement(&statement, &issuers, US, NOW).map(|it| it.issuer)
    }

    /// Y16: a statement is of a known issuer, signed by its keys, present, and for this server.
    #[test]
    fn a_statement_is_of_a_known_issuer_and_for_this_server() {
        let key = SigningKey::generate(Algorithm::EdDSA).unwrap();
        let good = r#"{"alg":"EdDSA","typ":"JWT"}"#;
        let vendor = Ok("vendor".to_owned());
        for claims in [
            r#"{"iss":"vendor"}"#,
            r#"{"iss":"vendor","exp":991,"iat":1010,"nbf":1010,"aud":"https://as.example.com"}"#,
            r#"{"iss":"vendor","aud":["https://a.example","https://as.example.com"]}"#,
        ] {
            assert_eq!(verdict(&key, good, claims), vendor, "{claims}");
        }
        for claims in [
            r#"{"iss":"vendor","exp":990}"#,
            r#"{"iss":"vendor","iat":1011}"#,
            r#"{"iss":"vendor","nbf":1011}"#,
            r#"{"iss":"vendor","exp":"never"}"#,
            r#"{"iss":"vendor","aud":"https://other.example"}"#,
            r#"{"iss":"vendor","aud":[]}"#,
            r#"{"iss":"other"}"#,
            r#"{"iss":1}"#,
            "{}",
            "[]",
        ] {
            assert_eq!(verdict(&key, good, claims), Err(StatementError::Invalid), "{claims}");
        }
        let stranger = verdict(&key, good, r#"{"iss":"stranger"}"#);
        assert_eq!(stranger, Err(StatementError::Unapproved));
        for header in [r#"{"alg":"EdDSA","typ":"at+jwt"}"#, r#"{"alg":"EdDSA","crit":[]}"#] {
            let refused = verdict(&key, header, r#"{"iss":"vendor"}"#);
            assert_eq!(refused, Err(StatementError::Invalid), "{header}");
        }
    }
}
