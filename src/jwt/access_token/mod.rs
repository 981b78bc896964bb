//! Access tokens: JWTs in the profile of RFC 9068, as this server issues and verifies them.

mod new;
mod rare;

use std::fmt;
use std::time::Duration;

use serde::de::{Deserialize, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Value};

use super::claims::Text;
use super::jws::{Compact, Header, JwsError};
use super::{Algorithm, Circumstances, Parent, VerifyingKeys};
use crate::clock::UnixTime;
use crate::ids::{ClientId, DeviceId, GrantId, Issuer, Subject};
use crate::protocol::scope::Scope;
use crate::protocol::uri;

use self::rare::{RareClaims, RawActor};

pub(crate) use new::NewAccessToken;
pub use new::RESERVED_CLAIMS;

/// The `typ` of an access token (RFC 9068 section 2.1).
pub(crate) const TYPE: &str = "at+jwt";

/// The claims of an access token with valid signature, type, issuer, audience and times.
///
/// The token may have been revoked.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct AccessTokenClaims {
    /// `iss`: the server that issued the token.
    pub issuer: Issuer,
    /// `sub`: the user, or the app itself in its own token.
    pub subject: Subject,
    /// `aud`: the APIs for which the token is intended.
    pub audience: Vec<String>,
    /// `client_id`: the app to which the token was issued.
    pub client_id: ClientId,
    /// `scope`, empty if the claim is absent.
    pub scope: Scope,
    /// `jti`.
    pub token_id: String,
    /// `iat`.
    pub issued_at: UnixTime,
    /// `nbf`, or `iat` if that is later or `nbf` is absent.
    pub not_before: UnixTime,
    /// `exp`.
    pub expires_at: UnixTime,
    /// `grant_id`: the consent or impersonation behind the token.
    pub grant_id: GrantId,
    /// `authorized_at`: the instant of that decision, in milliseconds.
    pub authorized_at: UnixTime,
    /// `auth_time`: the user's last login, if the host told it (RFC 9068 section 2.2.1).
    pub auth_time: Option<UnixTime>,
    /// `act.sub`: the app that acts as the subject (RFC 8693 section 4.1).
    pub actor: Option<ClientId>,
    /// `device`: the device to which the token was issued.
    pub device: Option<DeviceId>,
    /// The rest of `act`, `acr`, `amr`, `sid`, `evidence_issuer` and `authorization_details`.
    pub circumstances: Circumstances,
    /// `via`: the grants that a derived token descends from. At most [`Parent::MAX`].
    pub via: Vec<Parent>,
    /// Every other claim.
    pub extra: Map<String, Value>,
}

impl AccessTokenClaims {
    /// Checks whether the token is valid at `now`, for a verifier whose clock may differ by `clock_skew`.
    pub(crate) fn check_times(
        &self,
        now: UnixTime,
        clock_skew: Duration,
    ) -> Result<(), AccessTokenError> {
        if now >= self.expires_at.plus(clock_skew) {
            return Err(AccessTokenError::Exp);
        }
        if self.not_before > now.plus(clock_skew) {
            return Err(AccessTokenError::NotYet);
        }
        Ok(())
    }
}

/// An access token that is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AccessTokenError {
    /// Not a JWT in compact form, or longer than 16 KiB.
    #[error("the token is not a JWT")]
    NotAJwt,
    /// A header parameter is missing, has the wrong type or is not allowed.
    #[error("the header of the token is not acceptable")]
    Header,
    /// `typ` is not `at+jwt` (RFC 9068 section 4).
    #[error("`typ` is not `at+jwt`")]
    Typ,
    /// No key of the issuer has the algorithm.
    #[error("no key of the issuer has this `alg`")]
    Algorithm,
    /// No key of the issuer has the `kid`.
    #[error("no key of the issuer has this `kid`")]
    UnknownKey,
    /// The signature is wrong.
    #[error("the signature is wrong")]
    Signature,
    /// A claim has the wrong type or form, or is given twice.
    #[error("a claim has the wrong type or form, or is given twice")]
    Claims,
    /// A mandatory claim is missing.
    #[error("the claim `{0}` is missing")]
    Missing(&'static str),
    /// `iss` is another server.
    #[error("`iss` is another server")]
    Iss,
    /// `aud` does not name the API of the verifier.
    #[error("`aud` does not name this API")]
    Aud,
    /// The token has expired.
    #[error("the token has expired (`exp`)")]
    Exp,
    /// `nbf` or `iat` is in the future.
    #[error("the token is not valid yet (`nbf`, `iat`)")]
    NotYet,
}

impl From<JwsError> for AccessTokenError {
    fn from(error: JwsError) -> Self {
        match error {
            JwsError::Malformed => Self::NotAJwt,
            JwsError::Header | JwsError::ForbiddenHeader => Self::Header,
            JwsError::Algorithm => Self::Algorithm,
            JwsError::UnknownKey | JwsError::KeyIdMissing => Self::UnknownKey,
            JwsError::Signature => Self::Signature,
        }
    }
}

/// The rules for access tokens.
pub(crate) struct AccessTokenRules<'a> {
    pub(crate) keys: &'a VerifyingKeys,
    pub(crate) issuer: &'a Issuer,
    /// `aud` must name one of these, in any equivalent spelling. `None`: any audience is accepted.
    pub(crate) audiences: Option<&'a [&'a str]>,
    /// The tolerated difference between the issuer's clock and ours.
    pub(crate) clock_skew: Duration,
}

impl AccessTokenRules<'_> {
    /// Verifies `token` at `now` and returns its claims.
    pub(crate) fn verify(
        &self,
        token: &str,
        now: UnixTime,
    ) -> Result<AccessTokenClaims, AccessTokenError> {
        let claims = self.verify_at_any_time(token)?;
        claims.check_times(now, self.clock_skew)?;
        Ok(claims)
    }

    /// Verifies `token` without its times, and returns its claims.
    pub(crate) fn verify_at_any_time(
        &self,
        token: &str,
    ) -> Result<AccessTokenClaims, AccessTokenError> {
        let jws = Compact::parse(token)?;
        self.check_signature(&jws)?;
        let raw: RawClaims<'_> =
            serde_json::from_slice(jws.payload()).map_err(|_| AccessTokenError::Claims)?;
        self.check_claims(raw)
    }

    fn check_signature(&self, jws: &Compact<'_>) -> Result<(), AccessTokenError> {
        // A header that equals the one written under a key, byte for byte, needs no parsing.
        let ours = self.keys.iter().find(|key| key.access_token_header() == Some(jws.header));
        if let Some((key, algorithm)) = ours.and_then(|key| Some((key, key.algorithm()?))) {
            let signed = jws.is_signed_by(key, algorithm);
            return if signed { Ok(()) } else { Err(AccessTokenError::Signature) };
        }
        let header = Header::of(jws)?;
        if !header.is_type(TYPE) {
            return Err(AccessTokenError::Typ);
        }
        // Each key admits only the algorithms of its own kind.
        jws.verify(&header, self.keys, Algorithm::ALL)?;
        Ok(())
    }

    fn check_claims(&self, raw: RawClaims<'_>) -> Result<AccessTokenClaims, AccessTokenError> {
        use AccessTokenError::{Aud, Claims, Iss, Missing};

        if raw.iss.ok_or(Missing("iss"))?.0 != self.issuer.as_str() {
            return Err(Iss);
        }
        let Audience(audience) = raw.aud.ok_or(Missing("aud"))?;
        let is_named = |names: &[&str]| {
            audience.iter().any(|name| names.iter().any(|own| uri::is_equivalent(own, name)))
        };
        if !self.audiences.is_none_or(is_named) {
            return Err(Aud);
        }
        let expires_at = UnixTime::from_seconds(raw.exp.ok_or(Missing("exp"))?);
        let issued_at = UnixTime::from_seconds(raw.iat.ok_or(Missing("iat"))?);
        let not_before = raw.nbf.map_or(issued_at, UnixTime::from_seconds).max(issued_at);
        let client = |Text(id): Text<'_>| ClientId::new(id.as_ref()).map_err(|_| Claims);
        let subject = raw.sub.ok_or(Missing("sub"))?;
        let grant_id = raw.grant_id.ok_or(Missing("grant_id"))?;
        let device = raw.device.map(|Text(id)| DeviceId::new(id.as_ref()));
        let scope = raw.scope.map_or_else(|| Ok(Scope::empty()), |Text(s)| Scope::parse(&s));
        let (circumstances, via) = raw.rare.into_parts(raw.act.as_ref()).ok_or(Claims)?;
        Ok(AccessTokenClaims {
            issuer: self.issuer.clone(),
            subject: Subject::new(subject.0.as_ref()).map_err(|_| Claims)?,
            audience,
            client_id: client(raw.client_id.ok_or(Missing("client_id"))?)?,
            scope: scope.map_err(|_| Claims)?,
            token_id: raw.jti.ok_or(Missing("jti"))?,
            issued_at,
            not_before,
            expires_at,
            grant_id: grant_id.0.parse().map_err(|_| Claims)?,
            authorized_at: UnixTime::from_millis(
                raw.authorized_at.ok_or(Missing("authorized_at"))?,
            ),
            auth_time: raw.auth_time.map(UnixTime::from_seconds),
            actor: raw.act.map(|actor| client(actor.sub)).transpose()?,
            device: device.transpose().map_err(|_| Claims)?,
            circumstances,
            via,
            extra: raw.extra,
        })
    }
}

/// The claims of a token as written: each of its type, none twice.
#[derive(Default)]
struct RawClaims<'a> {
    iss: Option<Text<'a>>,
    sub: Option<Text<'a>>,
    aud: Option<Audience>,
    exp: Option<i64>,
    nbf: Option<i64>,
    iat: Option<i64>,
    jti: Option<String>,
    client_id: Option<Text<'a>>,
    scope: Option<Text<'a>>,
    grant_id: Option<Text<'a>>,
    authorized_at: Option<i64>,
    auth_time: Option<i64>,
    act: Option<RawActor<'a>>,
    device: Option<Text<'a>>,
    rare: RareClaims<'a>,
    extra: Map<String, Value>,
}

// Not derived: `#[serde(flatten)]` for the other claims costs more than the rest of the verification.
impl<'de> Deserialize<'de> for RawClaims<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct ClaimsVisitor;

        impl<'de> Visitor<'de> for ClaimsVisitor {
            type Value = RawClaims<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object of claims")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut claims = RawClaims::default();
                while let Some(Text(name)) = map.next_key()? {
                    match name.as_ref() {
                        "iss" => once(&mut claims.iss, &mut map)?,
                        "sub" => once(&mut claims.sub, &mut map)?,
                        "aud" => once(&mut claims.aud, &mut map)?,
                        "exp" => once(&mut claims.exp, &mut map)?,
                        "nbf" => once(&mut claims.nbf, &mut map)?,
                        "iat" => once(&mut claims.iat, &mut map)?,
                        "jti" => once(&mut claims.jti, &mut map)?,
                        "client_id" => once(&mut claims.client_id, &mut map)?,
                        "scope" => once(&mut claims.scope, &mut map)?,
                        "grant_id" => once(&mut claims.grant_id, &mut map)?,
                        "authorized_at" => once(&mut claims.authorized_at, &mut map)?,
                        "auth_time" => once(&mut claims.auth_time, &mut map)?,
                        "act" => once(&mut claims.act, &mut map)?,
                        "device" => once(&mut claims.device, &mut map)?,
                        name if claims.rare.read(name, &mut map)? => {}
                        _ => {
                            let value = map.next_value()?;
                            if claims.extra.insert(name.into_owned(), value).is_some() {
                                return Err(A::Error::custom("a claim is given twice"));
                            }
                        }
                    }
                }
                Ok(claims)
            }
        }

        deserializer.deserialize_map(ClaimsVisitor)
    }
}

fn once<'de, T: Deserialize<'de>, A: MapAccess<'de>>(
    claim: &mut Option<T>,
    map: &mut A,
) -> Result<(), A::Error> {
    match claim.replace(map.next_value()?) {
        None => Ok(()),
        Some(_) => Err(A::Error::custom("a claim is given twice")),
    }
}

/// One name or several (RFC 7519 section 4.1.3).
struct Audience(Vec<String>);

impl<'de> Deserialize<'de> for Audience {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct AudienceVisitor;

        impl<'de> Visitor<'de> for AudienceVisitor {
            type Value = Audience;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a string or an array of strings")
            }

            fn visit_str<E: Error>(self, name: &str) -> Result<Audience, E> {
                Ok(Audience(vec![name.to_owned()]))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut names: A) -> Result<Audience, A::Error> {
                let mut all = Vec::new();
                while let Some(name) = names.next_element()? {
                    all.push(name);
                }
                Ok(Audience(all))
            }
        }

        deserializer.deserialize_any(AudienceVisitor)
    }
}

#[cfg(test)]
mod tests;
