//! The introspection response: RFC 7662 section 2.2.

use serde::{Serialize, Serializer};

use crate::clock::UnixTime;
use crate::ids::{ClientId, DeviceId, Issuer, Subject};
use crate::jwt::AccessTokenClaims;
use crate::protocol::scope::Scope;
use crate::store::Grant;

/// The answer to an introspection request. HTTP adapters send it with `Cache-Control: no-store`.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Introspection {
    /// The token is invalid, or the caller may not introspect it.
    Inactive,
    /// The token is valid.
    Active(Box<ActiveToken>),
}

/// The claims of an active token.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ActiveToken {
    /// `iss`: this server.
    pub issuer: Issuer,
    /// `sub`: the user, or the app itself if no user is involved.
    pub subject: Subject,
    /// `aud`: the APIs that the token is for. Empty for a refresh token without a requested API.
    pub audience: Vec<String>,
    /// `client_id`: the app that the token was issued to.
    pub client_id: ClientId,
    /// `scope`.
    pub scope: Scope,
    /// `token_type` of RFC 6749 section 5.1: `Bearer` for an access token. A refresh token has none.
    pub token_type: Option<&'static str>,
    /// `jti` of an access token.
    pub token_id: Option<String>,
    /// `iat`.
    pub issued_at: UnixTime,
    /// `exp`. For a refresh token with an idle lifetime, the expiry without further use.
    pub expires_at: UnixTime,
    /// `auth_time`: when the user authenticated, if the token states it.
    pub auth_time: Option<UnixTime>,
    /// `act.sub`: the app that acts as the subject (RFC 8693 section 4.1).
    pub actor: Option<ClientId>,
    /// `device`: the device that the token was issued to.
    pub device: Option<DeviceId>,
}

impl Introspection {
    /// Returns whether the token is active.
    #[must_use]
    pub const fn is_active(&self) -> bool {
        matches!(self, Self::Active(_))
    }

    /// Returns the body of the response as JSON.
    #[must_use]
    pub fn to_json(&self) -> String {
        // A record of strings and numbers always has a JSON form.
        serde_json::to_string(self).unwrap_or_default()
    }
}

impl ActiveToken {
    /// Returns the claims of the live refresh token of `grant`.
    pub(super) fn refresh_token(issuer: &Issuer, grant: Grant, expires_at: UnixTime) -> Self {
        Self {
            issuer: issuer.clone(),
            subject: grant.subject,
            audience: grant.resource.iter().map(|resource| resource.as_str().to_owned()).collect(),
            client_id: grant.client_id,
            scope: grant.scope,
            token_type: None,
            token_id: None,
            issued_at: grant.rotated_at,
            expires_at,
            auth_time: grant.auth_time,
            actor: grant.actor,
            device: grant.device,
        }
    }
}

/// The body of the response.
#[derive(Serialize)]
struct Body<'a> {
    active: bool,
    #[serde(flatten)]
    token: Option<Claims<'a>>,
}

#[derive(Serialize)]
struct Claims<'a> {
    iss: &'a Issuer,
    sub: &'a Subject,
    #[serde(skip_serializing_if = "Option::is_none")]
    aud: Option<Audience<'a>>,
    client_id: &'a ClientId,
    /// RFC 6749 section 3.3 has no empty scope.
    #[serde(skip_serializing_if = "Scope::is_empty")]
    scope: &'a Scope,
    #[serde(skip_serializing_if = "Option::is_none")]
    token_type: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    jti: Option<&'a str>,
    iat: i64,
    exp: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    auth_time: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    act: Option<Act<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    device: Option<&'a DeviceId>,
}

/// A single name needs no array (RFC 7519 section 4.1.3).
#[derive(Serialize)]
#[serde(untagged)]
enum Audience<'a> {
    One(&'a str),
    Several(&'a [String]),
}

#[derive(Serialize)]
struct Act<'a> {
    sub: &'a ClientId,
}

impl<'a> From<&'a ActiveToken> for Claims<'a> {
    fn from(token: &'a ActiveToken) -> Self {
        Self {
            iss: &token.issuer,
            sub: &token.subject,
            aud: match token.audience.as_slice() {
                [] => None,
                [name] => Some(Audience::One(name)),
                names => Some(Audience::Several(names)),
            },
            client_id: &token.client_id,
            scope: &token.scope,
            token_type: token.token_type,
            jti: token.token_id.as_deref(),
            iat: token.issued_at.as_seconds(),
            exp: token.expires_at.as_seconds(),
            auth_time: token.auth_time.map(UnixTime::as_seconds),
            act: token.actor.as_ref().map(|sub| Act { sub }),
            device: token.device.as_ref(),
        }
    }
}

impl Serialize for Introspection {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let token = match self {
            Self::Inactive => None,
            Self::Active(token) => Some(Claims::from(&**token)),
        };
        Body { active: token.is_some(), token }.serialize(serializer)
    }
}

impl From<AccessTokenClaims> for ActiveToken {
    fn from(claims: AccessTokenClaims) -> Self {
        Self {
            issuer: claims.issuer,
            subject: claims.subject,
            audience: claims.audience,
            client_id: claims.client_id,
            scope: claims.scope,
            token_type: Some("Bearer"),
            token_id: Some(claims.token_id),
            issued_at: claims.issued_at,
            expires_at: claims.expires_at,
            auth_time: claims.auth_time,
            actor: claims.actor,
            device: claims.device,
        }
    }
}
