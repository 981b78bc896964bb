//! The introspection response: RFC 7662 section 2.2.

use serde::{Serialize, Serializer};

use crate::clock::UnixTime;
use crate::ids::{
    AuthenticationContext, AuthenticationMethod, ClientId, DeviceId, EvidenceIssuer, Issuer,
    SessionId, Subject,
};
use crate::jwt::{AccessTokenClaims, Circumstances, PriorActor};
use crate::protocol::authorization_details::AuthorizationDetails;
use crate::protocol::resources::Resources;
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
    /// The rest of `act`, `acr`, `amr`, `sid`, `evidence_issuer` and `authorization_details`.
    pub circumstances: Circumstances,
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
        // Claims of the usual length take one allocation.
        let mut json = Vec::with_capacity(512);
        // A record of strings and numbers always has a JSON form.
        match serde_json::to_writer(&mut json, self) {
            Ok(()) => String::from_utf8(json).unwrap_or_default(),
            Err(_) => String::new(),
        }
    }
}

impl ActiveToken {
    /// Returns the claims of the live refresh token of `grant`.
    pub(super) fn refresh_token(issuer: &Issuer, grant: Grant, expires_at: UnixTime) -> Self {
        Self {
            issuer: issuer.clone(),
            subject: grant.subject,
            audience: grant
                .resources
                .iter()
                .flat_map(Resources::iter)
                .map(ToString::to_string)
                .collect(),
            client_id: grant.client_id,
            scope: grant.scope,
            token_type: None,
            token_id: None,
            issued_at: grant.rotated_at,
            expires_at,
            auth_time: grant.auth_time,
            actor: grant.actor,
            device: grant.device,
            circumstances: grant.circumstances.map(|it| *it).unwrap_or_default(),
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
    #[serde(skip_serializing_if = "Option::is_none")]
    acr: Option<&'a AuthenticationContext>,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    amr: &'a [AuthenticationMethod],
    #[serde(skip_serializing_if = "Option::is_none")]
    sid: Option<&'a SessionId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    evidence_issuer: Option<&'a EvidenceIssuer>,
    #[serde(skip_serializing_if = "Option::is_none")]
    authorization_details: Option<&'a AuthorizationDetails>,
}

/// A single name needs no array (RFC 7519 section 4.1.3).
#[derive(Serialize)]
#[serde(untagged)]
enum Audience<'a> {
    One(&'a str),
    Several(&'a [String]),
}

/// An actor, and in it the one before (RFC 8693 section 4.1).
#[derive(Serialize)]
#[expect(clippy::struct_field_names, reason = "the claims of RFC 8693")]
struct Act<'a> {
    sub: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    iss: Option<&'a EvidenceIssuer>,
    #[serde(skip_serializing_if = "Option::is_none")]
    act: Option<Box<Self>>,
}

impl<'a> Act<'a> {
    fn chain(actor: &'a ClientId, prior_actors: &'a [PriorActor]) -> Self {
        let act = prior_actors.iter().rev().fold(None, |act, prior| {
            let (sub, iss) = (prior.subject.as_str(), prior.issuer.as_ref());
            Some(Box::new(Self { sub, iss, act }))
        });
        Self { sub: actor.as_str(), iss: None, act }
    }
}

impl<'a> From<&'a ActiveToken> for Claims<'a> {
    fn from(token: &'a ActiveToken) -> Self {
        let circumstances = &token.circumstances;
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
            act: token.actor.as_ref().map(|it| Act::chain(it, &circumstances.prior_actors)),
            device: token.device.as_ref(),
            acr: circumstances.acr.as_ref(),
            amr: &circumstances.amr,
            sid: circumstances.session.as_ref(),
            evidence_issuer: circumstances.evidence_issuer.as_ref(),
            authorization_details: circumstances.authorization_details.as_ref(),
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

impl From<&AccessTokenClaims> for ActiveToken {
    fn from(claims: &AccessTokenClaims) -> Self {
        Self {
            issuer: claims.issuer.clone(),
            subject: claims.subject.clone(),
            audience: claims.audience.clone(),
            client_id: claims.client_id.clone(),
            scope: claims.scope.clone(),
            token_type: Some("Bearer"),
            token_id: Some(claims.token_id.clone()),
            issued_at: claims.issued_at,
            expires_at: claims.expires_at,
            auth_time: claims.auth_time,
            actor: claims.actor.clone(),
            device: claims.device.clone(),
            circumstances: claims.circumstances.clone(),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::ids::GrantId;

    /// The row of a refresh token with every claim that few tokens have.
    #[test]
    fn an_active_token_states_the_circumstances_of_its_grant() {
        let (id, app) = (GrantId::from_bytes([7; 16]), ClientId::new("app").unwrap());
        let mut grant = Grant::new(id, app.clone(), "ann".parse().unwrap(), Scope::empty());
        grant.actor = Some(app);
        let prior = |name: &str, issuer: &str| PriorActor {
            subject: name.parse().unwrap(),
            issuer: issuer.parse().ok(),
        };
        grant.circumstances = Some(Box::new(Circumstances {
            prior_actors: vec![prior("one", "idp"), prior("two", "")],
            acr: "urn:loa:2".parse().ok(),
            amr: vec!["pwd".parse().unwrap()],
            session: "session".parse().ok(),
            evidence_issuer: "https://idp.example".parse().ok(),
            authorization_details: r#"[{"type":"pay"}]"#.parse().ok(),
        }));
        let issuer = Issuer::new("https://as.example.com").unwrap();
        let token = ActiveToken::refresh_token(&issuer, grant, UnixTime::EPOCH);
        let body = serde_json::to_value(Introspection::Active(Box::new(token))).unwrap();
        let expected = json!({
            "active": true,
            "iss": "https://as.example.com",
            "sub": "ann",
            "client_id": "app",
            "iat": 0,
            "exp": 0,
            "act": { "sub": "app", "act": { "sub": "one", "iss": "idp", "act": { "sub": "two" } } },
            "acr": "urn:loa:2",
            "amr": ["pwd"],
            "sid": "session",
            "evidence_issuer": "https://idp.example",
            "authorization_details": [{ "type": "pay" }],
        });
        assert_eq!(body, expected);
    }
}
