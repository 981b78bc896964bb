//! Identity assertion JWT authorization grants, ID-JAG (draft-ietf-oauth-identity-assertion-authz-grant-03). All that
//! the draft names on the wire is here.

use serde::Serialize;
use serde_json::{Map, Value};

use super::{Evidence, EvidenceRules, UnverifiedToken, UserClaims, UserRules, required};
use crate::clock::UnixTime;
use crate::ids::{
    AuthenticationContext, AuthenticationMethod, ClientId, Issuer, Resource, Subject,
};
use crate::jwt::PriorActor;
use crate::jwt::assertion::AssertionError;
use crate::jwt::claims::{Member, Object};
use crate::protocol::resources::Resources;

/// The `typ` (section 3.1).
pub(crate) const TYPE: &str = "oauth-id-jag+jwt";

/// The token type identifier, for token exchange (section 4.3).
pub(crate) const TOKEN_TYPE: &str = "urn:ietf:params:oauth:token-type:id-jag";

/// The name of the profile in the metadata of a server (section 7.2).
pub(crate) const GRANT_PROFILE: &str = "urn:ietf:params:oauth:grant-profile:id-jag";

/// The rules for an ID-JAG.
#[derive(Debug)]
pub(crate) struct IdJagRules<'a> {
    pub(crate) evidence: EvidenceRules<'a>,
    pub(crate) users: UserRules<'a>,
    /// The app that presents it: the claim `client_id` is its client id.
    pub(crate) client_id: &'a ClientId,
    pub(crate) requires_resource: bool,
}

/// The claims of an ID-JAG that fulfils its rules.
#[derive(Debug)]
pub(crate) struct VerifiedIdJag {
    pub(crate) evidence: Evidence,
    pub(crate) user: UserClaims,
    pub(crate) resources: Option<Resources>,
}

impl UnverifiedToken<'_> {
    /// Returns true if the header states the type.
    pub(crate) fn is_id_jag(&self) -> bool {
        self.is_type(TYPE)
    }
}

impl IdJagRules<'_> {
    /// Verifies `token` at `now` (section 4.4.1).
    pub(crate) fn verify(
        &self,
        token: &UnverifiedToken<'_>,
        now: UnixTime,
    ) -> Result<VerifiedIdJag, AssertionError> {
        if !token.header()?.is_type(TYPE) {
            return Err(AssertionError::Typ);
        }
        let claims = self.evidence.signed_claims(token)?;
        let evidence = self.evidence.check(claims, now)?;
        if required(claims, "client_id", AssertionError::ClientId)? != self.client_id.as_str() {
            return Err(AssertionError::ClientId);
        }
        let user = self.users.read(claims, token.jws.payload())?;
        let resources = resources(claims)?;
        if self.requires_resource && resources.is_none() {
            return Err(AssertionError::Resource);
        }
        // A blank scope is no ceiling (section 3.1: it is optional).
        let scope = user.scope.filter(|it| !it.trim_matches(' ').is_empty());
        Ok(VerifiedIdJag { evidence, user: UserClaims { scope, ..user }, resources })
    }
}

/// The claims of a new ID-JAG (section 3.1).
#[derive(Debug, Serialize)]
pub(crate) struct NewIdJag<'a> {
    pub(crate) iss: &'a Issuer,
    pub(crate) sub: &'a Subject,
    /// The issuer identifier of the other authorization server.
    pub(crate) aud: &'a Issuer,
    /// The app, by its name there.
    pub(crate) client_id: &'a ClientId,
    pub(crate) jti: String,
    /// In seconds, as `iat`.
    pub(crate) exp: i64,
    pub(crate) iat: i64,
    #[serde(skip_serializing_if = "str::is_empty")]
    pub(crate) scope: &'a str,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) resource: Vec<&'a Resource>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) auth_time: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) acr: Option<&'a AuthenticationContext>,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    pub(crate) amr: &'a [AuthenticationMethod],
    /// The actors of the subject token (RFC 8693 section 4.1).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) act: Option<Value>,
}

impl NewIdJag<'_> {
    /// Nests `actors`, latest first.
    pub(crate) fn act(actors: &[PriorActor]) -> Option<Value> {
        actors.iter().rev().fold(None, |earlier, actor| {
            let mut members = Map::new();
            members.insert("sub".to_owned(), actor.subject.as_str().into());
            if let Some(issuer) = &actor.issuer {
                members.insert("iss".to_owned(), issuer.as_str().into());
            }
            if let Some(earlier) = earlier {
                members.insert("act".to_owned(), earlier);
            }
            Some(members.into())
        })
    }
}

/// Reads `resource`: a URI or an array of URIs.
fn resources(claims: &Object<'_>) -> Result<Option<Resources>, AssertionError> {
    let names: Vec<&str> = match claims.get("resource") {
        None => return Ok(None),
        Some(Member::Text(name)) => vec![&name.0],
        Some(Member::Texts(names)) => names.iter().map(|name| &*name.0).collect(),
        Some(Member::Date(_) | Member::Other) => return Err(AssertionError::Resource),
    };
    let apis = names.iter().map(|name| name.parse().map_err(|_| AssertionError::Resource));
    let apis: Vec<_> = apis.collect::<Result<_, _>>()?;
    let resources = Resources::collect(apis).map_err(|_| AssertionError::Resource)?;
    resources.ok_or(AssertionError::Resource).map(Some)
}
