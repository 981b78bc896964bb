//! Software statements: client metadata that a third party signed (RFC 7591 section 2.3).

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::claims::{Member, Object};
use super::jws::{Compact, Header};
use super::{Algorithm, VerifyingKeys};
use crate::clock::UnixTime;

/// How far the clock of an issuer may be off.
const CLOCK_SKEW: Duration = Duration::from_secs(10);

/// The `typ` of a software statement.
const TYPE: &str = "software-statement+jwt";

/// A party whose software statements the server accepts: its `iss`, and the public keys that verify them.
///
/// A statement has `typ` `software-statement+jwt`, so that no other token of the party passes as one (RFC 8725 section
/// 3.11).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StatementIssuer {
    issuer: String,
    keys: VerifyingKeys,
    #[serde(default)]
    plain_type: bool,
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
        Self { issuer: issuer.into(), keys, plain_type: false }
    }

    /// Sets whether a statement may also have `typ` `JWT`, or none. Default: no.
    ///
    /// Most directories need it, because RFC 7591 names no type. The price: every JWT without a type of its own that
    /// the party signs with these keys, such as an ID token, passes as a statement. The keys should sign nothing else.
    #[must_use]
    pub const fn with_plain_type(mut self, accepted: bool) -> Self {
        self.plain_type = accepted;
        self
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

/// Verifies a statement by the keys of its issuer. `typ` is that of statements, unless the issuer is excepted. `exp`, `nbf`, `iat` and `aud` may be absent; `aud` must otherwise name `audience`.
pub(crate) fn verify_statement(
    statement: &str,
    issuers: &[StatementIssuer],
    audience: &str,
    now: UnixTime,
) -> Result<Statement, StatementError> {
    const INVALID: StatementError = StatementError::Invalid;
    let jws = Compact::parse(statement).map_err(|_| INVALID)?;
    let header = Header::of(&jws).map_err(|_| INVALID)?;
    let claims = Object::parse(jws.payload()).ok_or(INVALID)?;
    let stated = claims.text("iss", INVALID)?.ok_or(INVALID)?;
    let issuer = issuers.iter().find(|known| known.issuer == stated);
    let issuer = issuer.ok_or(StatementError::Unapproved)?;
    let has_plain_type = !header.has_type() || header.is_type("JWT");
    let is_statement = header.is_type(TYPE) || (has_plain_type && issuer.plain_type);
    if !is_statement {
        return Err(INVALID);
    }
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
        verdict_of(StatementIssuer::new("vendor", key.verifying_key().into()), key, header, claims)
    }

    fn verdict_of(
        vendor: StatementIssuer,
        key: &SigningKey,
        header: &str,
        claims: &str,
    ) -> Result<String, StatementError> {
        let known = SigningKey::generate(Algorithm::EdDSA).unwrap();
        let other = StatementIssuer::new("other", known.verifying_key().into());
        let issuers = [other, vendor];
        let statement = signed(key, header, claims);
        verify_statement(&statement, &issuers, US, NOW).map(|it| it.issuer)
    }

    /// Y16: a statement is of a known issuer, signed by its keys, present, and for this server.
    #[test]
    fn a_statement_is_of_a_known_issuer_and_for_this_server() {
        let key = SigningKey::generate(Algorithm::EdDSA).unwrap();
        let good = r#"{"alg":"EdDSA","typ":"software-statement+jwt"}"#;
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
        let critical = r#"{"alg":"EdDSA","typ":"software-statement+jwt","crit":[]}"#;
        let refused = verdict(&key, critical, r#"{"iss":"vendor"}"#);
        assert_eq!(refused, Err(StatementError::Invalid));
    }

    /// Y16: another JWT of the issuer, such as an ID token, is no statement. An issuer that types none needs a setting,
    /// and even then its typed tokens are none.
    #[test]
    fn a_statement_has_a_type_of_its_own() {
        let key = SigningKey::generate(Algorithm::EdDSA).unwrap();
        let strict = StatementIssuer::new("vendor", key.verifying_key().into());
        let plain = strict.clone().with_plain_type(true);
        for (header, is_strict, is_plain) in [
            (r#"{"alg":"EdDSA","typ":"software-statement+jwt"}"#, true, true),
            (r#"{"alg":"EdDSA","typ":"application/software-statement+jwt"}"#, true, true),
            (r#"{"alg":"EdDSA","typ":"JWT"}"#, false, true),
            (r#"{"alg":"EdDSA"}"#, false, true),
            (r#"{"alg":"EdDSA","typ":"at+jwt"}"#, false, false),
            (r#"{"alg":"EdDSA","typ":""}"#, false, false),
            (r#"{"alg":"EdDSA","typ":7}"#, false, false),
        ] {
            for (issuer, accepted) in [(&strict, is_strict), (&plain, is_plain)] {
                let verdict = verdict_of(issuer.clone(), &key, header, r#"{"iss":"vendor"}"#);
                assert_eq!(verdict.is_ok(), accepted, "{header}");
            }
        }
        let text = serde_json::to_value(&strict).unwrap();
        assert_eq!(serde_json::from_value::<StatementIssuer>(text).unwrap(), strict);
    }
}
