//! The claims that few access tokens have: how they are written and read.

use std::io::Write as _;
use std::str::FromStr;

use serde::Deserialize;
use serde::de::{Error, MapAccess};

use super::new::text;
use super::once;
use crate::ids::{AuthenticationContext, ClientId, EvidenceIssuer, Resource, SessionId};
use crate::jwt::claims::Text;
use crate::jwt::{Circumstances, Parent, PriorActor};
use crate::protocol::authorization_details::AuthorizationDetails;

/// Appends `act`: the present actor, and in it the ones before (RFC 8693 section 4.1).
pub(super) fn append_act(json: &mut Vec<u8>, actor: &ClientId, prior_actors: &[PriorActor]) {
    json.extend_from_slice(b",\"act\":{\"sub\":");
    text(json, actor.as_str());
    for prior in prior_actors {
        json.extend_from_slice(b",\"act\":{\"sub\":");
        text(json, prior.subject.as_str());
        if let Some(issuer) = &prior.issuer {
            json.extend_from_slice(b",\"iss\":");
            text(json, issuer.as_str());
        }
    }
    json.resize(json.len() + 1 + prior_actors.len(), b'}');
}

/// Appends the names of several APIs (RFC 7519 section 4.1.3).
pub(super) fn append_audiences(json: &mut Vec<u8>, first: &str, further: &[Resource]) {
    json.push(b'[');
    text(json, first);
    for resource in further {
        json.push(b',');
        text(json, resource.as_str());
    }
    json.push(b']');
}

/// Appends the parents of a derived token.
pub(super) fn append_via(json: &mut Vec<u8>, via: &[Parent]) {
    if !via.is_empty() {
        json.extend_from_slice(b",\"via\":");
        // Writing to memory cannot fail, and every member has a JSON form.
        _ = serde_json::to_writer(json, via);
    }
}

/// Appends the claims for the circumstances of a grant, `act` apart.
pub(super) fn append(json: &mut Vec<u8>, circumstances: &Circumstances) {
    let Circumstances { acr, amr, session, evidence_issuer, authorization_details, .. } =
        circumstances;
    let texts = [
        ("acr", acr.as_ref().map(AuthenticationContext::as_str)),
        ("sid", session.as_ref().map(SessionId::as_str)),
        ("evidence_issuer", evidence_issuer.as_ref().map(EvidenceIssuer::as_str)),
    ];
    for (name, value) in texts {
        if let Some(value) = value {
            // Writing to memory cannot fail.
            _ = write!(json, ",\"{name}\":");
            text(json, value);
        }
    }
    for (index, method) in amr.iter().enumerate() {
        json.extend_from_slice(if index == 0 { b",\"amr\":[" } else { b"," });
        text(json, method.as_str());
    }
    if !amr.is_empty() {
        json.push(b']');
    }
    if let Some(details) = authorization_details {
        json.extend_from_slice(b",\"authorization_details\":");
        json.extend_from_slice(details.as_str().as_bytes());
    }
}

/// The claims as they stand in the token.
#[derive(Default)]
pub(super) struct RareClaims<'a> {
    acr: Option<Text<'a>>,
    amr: Option<Vec<Text<'a>>>,
    sid: Option<Text<'a>>,
    evidence_issuer: Option<Text<'a>>,
    authorization_details: Option<AuthorizationDetails>,
    via: Option<Vec<Parent>>,
}

impl<'de> RareClaims<'de> {
    /// Reads the value of the claim `name`, if it is one of these.
    pub(super) fn read<A: MapAccess<'de>>(
        &mut self,
        name: &str,
        map: &mut A,
    ) -> Result<bool, A::Error> {
        match name {
            "acr" => once(&mut self.acr, map)?,
            "amr" => once(&mut self.amr, map)?,
            "sid" => once(&mut self.sid, map)?,
            "evidence_issuer" => once(&mut self.evidence_issuer, map)?,
            "authorization_details" => once(&mut self.authorization_details, map)?,
            "via" => {
                once(&mut self.via, map)?;
                if self.via.as_ref().is_some_and(|via| via.len() > Parent::MAX) {
                    return Err(A::Error::custom("the token descends from too many"));
                }
            }
            _ => return Ok(false),
        }
        Ok(true)
    }

    /// Returns the circumstances of the grant and the parents of the token; `None` if a claim has a form
    /// that no token of this server has.
    pub(super) fn into_parts(
        self,
        act: Option<&RawActor<'_>>,
    ) -> Option<(Circumstances, Vec<Parent>)> {
        let methods = self.amr.unwrap_or_default();
        if methods.len() > Circumstances::MAX_METHODS {
            return None;
        }
        let circumstances = Circumstances {
            prior_actors: act.map_or(Some(Vec::new()), RawActor::earlier)?,
            acr: parsed(self.acr.as_ref())?,
            amr: methods.iter().map(|Text(name)| name.parse().ok()).collect::<Option<_>>()?,
            session: parsed(self.sid.as_ref())?,
            evidence_issuer: parsed(self.evidence_issuer.as_ref())?,
            authorization_details: self.authorization_details,
        };
        Some((circumstances, self.via.unwrap_or_default()))
    }
}

/// Parses a claim that may be absent; `None` if it is malformed.
#[expect(clippy::option_option, reason = "absent and malformed differ")]
fn parsed<T: FromStr>(claim: Option<&Text<'_>>) -> Option<Option<T>> {
    claim.map(|Text(text)| text.parse()).transpose().ok()
}

/// An actor, and in it the one before (RFC 8693 section 4.1).
#[derive(Deserialize)]
pub(super) struct RawActor<'a> {
    #[serde(borrow)]
    pub(super) sub: Text<'a>,
    #[serde(borrow, default)]
    iss: Option<Text<'a>>,
    #[serde(borrow, default)]
    act: Option<Box<Self>>,
}

impl RawActor<'_> {
    /// Returns the actors before this one; `None` if one is malformed or there are too many.
    fn earlier(&self) -> Option<Vec<PriorActor>> {
        let mut earlier = Vec::new();
        let mut next = self.act.as_deref();
        while let Some(actor) = next {
            if earlier.len() == Circumstances::MAX_PRIOR_ACTORS {
                return None;
            }
            let issuer = parsed(actor.iss.as_ref())?;
            earlier.push(PriorActor { subject: actor.sub.0.parse().ok()?, issuer });
            next = actor.act.as_deref();
        }
        Some(earlier)
    }
}
