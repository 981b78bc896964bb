//! Identity assertion JWT authorization grants, ID-JAG (draft-ietf-oauth-identity-assertion-authz-grant-03). All that
//! the draft names on the wire is here.

use serde::Deserialize;

use super::{Evidence, EvidenceRules, required};
use crate::clock::UnixTime;
use crate::ids::{AuthenticationContext, AuthenticationMethod, ClientId, EvidenceIssuer};
use crate::jwt::assertion::AssertionError;
use crate::jwt::claims::{Member, Object, Text};
use crate::jwt::jws::{Compact, Header};
use crate::jwt::{Circumstances, PriorActor};
use crate::protocol::resources::Resources;

/// The `typ` (section 3.1).
const TYPE: &str = "oauth-id-jag+jwt";

/// The name of the profile in the metadata of a server (section 7.2).
pub(crate) const GRANT_PROFILE: &str = "urn:ietf:params:oauth:grant-profile:id-jag";

/// The rules for an ID-JAG.
#[derive(Debug)]
pub(crate) struct IdJagRules<'a> {
    pub(crate) evidence: EvidenceRules<'a>,
    /// The app that presents it: the claim `client_id` is its client id.
    pub(crate) client_id: &'a ClientId,
    /// The tenant at the issuer: the claim `tenant`.
    pub(crate) tenant: Option<&'a str>,
    pub(crate) requires_resource: bool,
    /// The claim by which the record of the issuer finds the user.
    pub(crate) user_claim: Option<&'a str>,
}

/// The claims of an ID-JAG that fulfils its rules.
#[derive(Debug)]
pub(crate) struct VerifiedIdJag {
    pub(crate) evidence: Evidence,
    /// The value of the claim by which the record of the issuer finds the user.
    pub(crate) user_claim: Option<String>,
    /// `email`, if the issuer says that it has verified it.
    pub(crate) email: Option<String>,
    /// `scope`, unless it is absent or blank.
    pub(crate) scope: Option<String>,
    pub(crate) resources: Option<Resources>,
    pub(crate) auth_time: Option<UnixTime>,
    /// The actors, latest first.
    pub(crate) actors: Vec<PriorActor>,
    pub(crate) acr: Option<AuthenticationContext>,
    pub(crate) amr: Vec<AuthenticationMethod>,
}

/// Returns true if the header of a token states the type, **not verified**.
pub(crate) fn is_id_jag(token: &str) -> bool {
    let Ok(jws) = Compact::parse(token) else { return false };
    Header::of(&jws).is_ok_and(|header| header.is_type(TYPE))
}

impl IdJagRules<'_> {
    /// Verifies `token` at `now` (section 4.4.1).
    pub(crate) fn verify(
        &self,
        token: &str,
        now: UnixTime,
    ) -> Result<VerifiedIdJag, AssertionError> {
        let jws = Compact::parse(token)?;
        let header = Header::of(&jws)?;
        if !header.is_type(TYPE) {
            return Err(AssertionError::Typ);
        }
        let claims = self.evidence.signed_claims(&jws, &header)?;
        let evidence = self.evidence.check(&claims, now)?;
        if required(&claims, "client_id", AssertionError::ClientId)? != self.client_id.as_str() {
            return Err(AssertionError::ClientId);
        }
        // A tenant that the record does not expect may have a user of the same `sub`.
        if claims.text("tenant", AssertionError::Tenant)? != self.tenant {
            return Err(AssertionError::Tenant);
        }
        // They would narrow the grant, and this server has no rules for them.
        if claims.get("authorization_details").is_some() {
            return Err(AssertionError::AuthorizationDetails);
        }
        let resources = resources(&claims)?;
        if self.requires_resource && resources.is_none() {
            return Err(AssertionError::Resource);
        }
        let nested = Nested::of(&claims, jws.payload())?;
        let user_claim = self.user_claim.map(|name| claims.text(name, AssertionError::SubMissing));
        let scope = claims.text("scope", AssertionError::Scope)?;
        let email = claims.text("email", AssertionError::Claims)?;
        let acr = claims.text("acr", AssertionError::Claims)?;
        Ok(VerifiedIdJag {
            user_claim: user_claim.transpose()?.flatten().map(str::to_owned),
            email: email
                .filter(|_| nested.email_verified == serde_json::Value::Bool(true))
                .map(str::to_owned),
            scope: scope.filter(|it| !it.trim_matches(' ').is_empty()).map(str::to_owned),
            resources,
            auth_time: claims.date("auth_time", AssertionError::Claims)?,
            actors: nested.actors(self.evidence.issuer)?,
            acr: acr.map(|it| it.parse().map_err(|_| AssertionError::Claims)).transpose()?,
            amr: methods(&claims)?,
            evidence,
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

fn methods(claims: &Object<'_>) -> Result<Vec<AuthenticationMethod>, AssertionError> {
    let names = match claims.get("amr") {
        None => return Ok(Vec::new()),
        Some(Member::Texts(names)) if names.len() <= Circumstances::MAX_METHODS => names,
        Some(_) => return Err(AssertionError::Claims),
    };
    names.iter().map(|name| name.0.parse().map_err(|_| AssertionError::Claims)).collect()
}

/// The claims that are neither strings, dates nor lists.
#[derive(Default, Deserialize)]
struct Nested<'a> {
    #[serde(borrow, default)]
    act: Option<Actor<'a>>,
    /// Anything but `true` means that it is not verified.
    #[serde(default)]
    email_verified: serde_json::Value,
}

/// An actor, and in it the one before (RFC 8693 section 4.1).
#[derive(Deserialize)]
struct Actor<'a> {
    #[serde(borrow)]
    sub: Text<'a>,
    #[serde(borrow, default)]
    iss: Option<Text<'a>>,
    #[serde(borrow, default)]
    act: Option<Box<Self>>,
}

impl<'a> Nested<'a> {
    fn of(claims: &Object<'_>, payload: &'a [u8]) -> Result<Self, AssertionError> {
        if ["act", "email_verified"].iter().all(|name| claims.get(name).is_none()) {
            return Ok(Self::default());
        }
        serde_json::from_slice(payload).map_err(|_| AssertionError::Act)
    }

    /// Returns the actors. One without an issuer is of the issuer of the token.
    fn actors(&self, issuer: &str) -> Result<Vec<PriorActor>, AssertionError> {
        let mut actors = Vec::new();
        let mut next = self.act.as_ref();
        while let Some(actor) = next {
            if actors.len() == Circumstances::MAX_PRIOR_ACTORS {
                return Err(AssertionError::Act);
            }
            let named = actor.iss.as_ref().map_or(issuer, |Text(name)| name);
            let named: EvidenceIssuer = named.parse().map_err(|_| AssertionError::Act)?;
            let subject = actor.sub.0.parse().map_err(|_| AssertionError::Act)?;
            actors.push(PriorActor { subject, issuer: Some(named) });
            next = actor.act.as_deref();
        }
        Ok(actors)
    }
}
