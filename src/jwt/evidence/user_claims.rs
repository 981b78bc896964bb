//! The claims of a trusted issuer's token about a user.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::Value;

use crate::clock::UnixTime;
use crate::ids::{AuthenticationContext, AuthenticationMethod, EvidenceIssuer};
use crate::jwt::assertion::AssertionError;
use crate::jwt::claims::{Member, Object, Text};
use crate::jwt::{Circumstances, PriorActor};

/// The rules for the claims about a user.
#[derive(Debug)]
pub(crate) struct UserRules<'a> {
    /// The issuer of the token.
    pub(crate) issuer: &'a str,
    /// The tenant at the issuer: the claim `tenant`.
    pub(crate) tenant: Option<&'a str>,
    /// The claim by which the record of the issuer finds the user.
    pub(crate) user_claim: Option<&'a str>,
}

/// The claims about a user, which fulfil their rules.
#[derive(Debug)]
pub(crate) struct UserClaims {
    /// The value of the claim by which the record of the issuer finds the user.
    pub(crate) user_claim: Option<String>,
    /// `email`, if the issuer says that it has verified it.
    pub(crate) email: Option<String>,
    pub(crate) scope: Option<String>,
    pub(crate) auth_time: Option<UnixTime>,
    /// The actors, latest first.
    pub(crate) actors: Vec<PriorActor>,
    pub(crate) may_act: Option<Value>,
    pub(crate) acr: Option<AuthenticationContext>,
    pub(crate) amr: Vec<AuthenticationMethod>,
}

impl UserRules<'_> {
    /// Reads the claims of a token whose signature is verified.
    pub(super) fn read(
        &self,
        claims: &Object<'_>,
        payload: &[u8],
    ) -> Result<UserClaims, AssertionError> {
        // A tenant that the record does not expect may have a user of the same `sub`.
        if claims.text("tenant", AssertionError::Tenant)? != self.tenant {
            return Err(AssertionError::Tenant);
        }
        // They would narrow the grant, and this server has no rules for them.
        if claims.get("authorization_details").is_some() {
            return Err(AssertionError::AuthorizationDetails);
        }
        let nested = Nested::of(claims, payload)?;
        let user_claim = self.user_claim.map(|name| claims.text(name, AssertionError::SubMissing));
        let email = claims.text("email", AssertionError::Claims)?;
        let acr = claims.text("acr", AssertionError::Claims)?;
        Ok(UserClaims {
            user_claim: user_claim.transpose()?.flatten().map(str::to_owned),
            email: email.filter(|_| nested.email_verified == Value::Bool(true)).map(str::to_owned),
            scope: claims.text("scope", AssertionError::Scope)?.map(str::to_owned),
            auth_time: claims.date("auth_time", AssertionError::Claims)?,
            actors: nested.actors(self.issuer)?,
            // `null` is a claim that names no actor, too.
            may_act: claims.get("may_act").map(|_| nested.may_act),
            acr: acr.map(|it| it.parse().map_err(|_| AssertionError::Claims)).transpose()?,
            amr: methods(claims)?,
        })
    }
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
    #[serde(default)]
    may_act: Value,
    /// Anything but `true` means that it is not verified.
    #[serde(default)]
    email_verified: Value,
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
    /// Other claims. With them, the actor is an object: without, serde would also take an array of its members.
    #[serde(flatten)]
    _others: BTreeMap<String, Value>,
}

impl<'a> Nested<'a> {
    fn of(claims: &Object<'_>, payload: &'a [u8]) -> Result<Self, AssertionError> {
        if ["act", "may_act", "email_verified"].iter().all(|name| claims.get(name).is_none()) {
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
