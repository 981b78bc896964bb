//! Identity assertion JWT authorization grants, ID-JAG (draft-ietf-oauth-identity-assertion-authz-grant-03). All that
//! the draft names on the wire is here.

use super::{Evidence, EvidenceRules, UnverifiedToken, UserClaims, UserRules, required};
use crate::clock::UnixTime;
use crate::ids::ClientId;
use crate::jwt::assertion::AssertionError;
use crate::jwt::claims::{Member, Object};
use crate::protocol::resources::Resources;

/// The `typ` (section 3.1).
const TYPE: &str = "oauth-id-jag+jwt";

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
