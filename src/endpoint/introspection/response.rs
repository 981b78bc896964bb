//! What an API is told: RFC 7662 section 2.2.

use serde_json::{Map, Value};

use crate::clock::UnixTime;
use crate::ids::{ClientId, DeviceId, Issuer, Subject};
use crate::jwt::AccessTokenClaims;
use crate::protocol::scope::Scope;
use crate::store::Grant;

/// The answer to an introspection request. HTTP adapters send it with `Cache-Control: no-store`.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Introspection {
    /// The token gives nothing, or the one who asks may not know of it.
    Inactive,
    /// The token is good.
    Active(Box<ActiveToken>),
}

/// What an active token says.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ActiveToken {
    /// `iss`: this server.
    pub issuer: Issuer,
    /// `sub`: the user, or the app itself where no user is involved.
    pub subject: Subject,
    /// `aud`: the APIs that it is meant for. Empty for a refresh token that was not asked for one.
    pub audience: Vec<String>,
    /// `client_id`: the app that it was issued to.
    pub client_id: ClientId,
    /// `scope`.
    pub scope: Scope,
    /// `token_type` of RFC 6749 section 5.1: `Bearer` for an access token. A refresh token has none.
    pub token_type: Option<&'static str>,
    /// `jti`, of an access token.
    pub token_id: Option<String>,
    /// `iat`.
    pub issued_at: UnixTime,
    /// `exp`: as things stand, for a refresh token that may lie idle only for so long.
    pub expires_at: UnixTime,
    /// `auth_time`: when the user authenticated, where the token says so.
    pub auth_time: Option<UnixTime>,
    /// `act.sub`: the app that acts as the subject (RFC 8693 section 4.1).
    pub actor: Option<ClientId>,
    /// `device`: the device that it was issued to.
    pub device: Option<DeviceId>,
}

impl Introspection {
    /// Whether the token is active.
    #[must_use]
    pub const fn is_active(&self) -> bool {
        matches!(self, Self::Active(_))
    }

    /// The body of the response, as JSON.
    #[must_use]
    pub fn to_json(&self) -> String {
        match self {
            Self::Inactive => r#"{"active":false}"#.to_owned(),
            Self::Active(token) => token.to_json(),
        }
    }
}

impl ActiveToken {
    /// The live refresh token of `grant`.
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

    fn to_json(&self) -> String {
        let mut json = Map::new();
        let mut put = |name: &str, value: Value| json.insert(name.to_owned(), value);
        put("active", true.into());
        put("iss", self.issuer.as_str().into());
        put("sub", self.subject.as_str().into());
        match self.audience.as_slice() {
            [] => None,
            // RFC 7519 section 4.1.3: one name needs no array.
            [name] => put("aud", name.as_str().into()),
            names => put("aud", names.into()),
        };
        put("client_id", self.client_id.as_str().into());
        // RFC 6749 section 3.3 knows no empty scope.
        if !self.scope.is_empty() {
            put("scope", self.scope.as_str().into());
        }
        put("iat", self.issued_at.as_seconds().into());
        put("exp", self.expires_at.as_seconds().into());
        let texts = [
            ("token_type", self.token_type),
            ("jti", self.token_id.as_deref()),
            ("device", self.device.as_ref().map(DeviceId::as_str)),
        ];
        for (name, text) in texts {
            if let Some(text) = text {
                put(name, text.into());
            }
        }
        if let Some(auth_time) = self.auth_time {
            put("auth_time", auth_time.as_seconds().into());
        }
        if let Some(actor) = &self.actor {
            put("act", serde_json::json!({ "sub": actor.as_str() }));
        }
        Value::Object(json).to_string()
    }
}

/// The access token with these claims.
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
