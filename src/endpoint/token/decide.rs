//! Stage *decide*: the scope, the API and the expiry of the token (RFC 6749 section 3.3, RFC 8707
//! section 2). Pure.

use std::time::Duration;

use super::grant::{Offer, OfferedResource};
use super::request::Asked;
use crate::app::{AppSettings, CustomApp};
use crate::clock::UnixTime;
use crate::error::Rejection;
use crate::ids::{Issuer, Resource};
use crate::protocol::scope::{NarrowError, Scope};

/// The scope, the API and the expiry of the token. Only [`decide`] makes one.
#[derive(Debug)]
pub(super) struct Decided<'a> {
    scope: Scope,
    resource: Option<Resource>,
    expires_at: UnixTime,
    issuer: &'a Issuer,
}

impl Decided<'_> {
    pub(super) const fn scope(&self) -> &Scope {
        &self.scope
    }

    pub(super) fn into_scope(self) -> Scope {
        self.scope
    }

    /// The API that the token is for; `None` is the server's issuer.
    pub(super) const fn resource(&self) -> Option<&Resource> {
        self.resource.as_ref()
    }

    /// The API that the token is for, as `aud` names it.
    pub(super) fn audience(&self) -> &str {
        self.resource.as_ref().map_or(self.issuer.as_str(), Resource::as_str)
    }

    /// When the access token expires.
    pub(super) const fn expires_at(&self) -> UnixTime {
        self.expires_at
    }
}

/// Decides how much of `offer` the app gets.
pub(super) fn decide<'a>(
    app: &CustomApp,
    offer: &Offer,
    asked: &Asked<'_>,
    issuer: &'a Issuer,
    now: UnixTime,
) -> Result<Decided<'a>, Rejection> {
    let settings = app.settings();
    let scope = asked_scope(asked.scope, offer.signed_scope.as_deref())?;
    let by_user = matches!(offer.resource, OfferedResource::Decided(_));
    let scope = decide_scope(settings.scope(), &offer.scope, scope, by_user)?;
    let resource = decide_resource(settings, issuer, &offer.resource, asked.resource.as_ref())?;
    // Never later than the grant that it descends from.
    let lifetime = Duration::from_secs(settings.access_token_lifetime().into());
    let expires_at = now.plus(lifetime).min(offer.ends_at);
    Ok(Decided { scope, resource, expires_at, issuer })
}

/// Returns the scope that the request asks for, by its parameter or else by its assertion. The
/// parameter can only narrow the signed scope.
fn asked_scope<'a>(
    asked: Option<&'a str>,
    signed: Option<&'a str>,
) -> Result<Option<&'a str>, Rejection> {
    let Some(signed) = signed else { return Ok(asked) };
    // A blank parameter must not stand for all that the app may have.
    let Some(asked) = asked.filter(|asked| !asked.trim_matches(' ').is_empty()) else {
        return Ok(Some(signed));
    };
    let ceiling = Scope::parse(signed).map_err(|_| Rejection::MalformedScope)?;
    ceiling.narrow(asked).map_err(|error| match error {
        NarrowError::Invalid(_) => Rejection::MalformedScope,
        NarrowError::TooWide { .. } => Rejection::ScopeExceedsAssertion,
    })?;
    Ok(Some(asked))
}

/// Decides the scope. A request can only narrow; without one it is the intersection of what was
/// granted and what the app may have now.
fn decide_scope(
    app: &Scope,
    granted: &Scope,
    asked: Option<&str>,
    by_user: bool,
) -> Result<Scope, Rejection> {
    let Some(asked) = asked else {
        let left = granted.intersection(app);
        let withdrawn = left.is_empty() && !granted.is_empty();
        return if withdrawn { Err(Rejection::ScopeWithdrawn) } else { Ok(left) };
    };
    let scope = granted.narrow(asked).map_err(|error| match error {
        NarrowError::Invalid(_) => Rejection::MalformedScope,
        NarrowError::TooWide { .. } if by_user => Rejection::ScopeExceedsGrant,
        // Within the app's own scope, the impersonation policy is narrower.
        NarrowError::TooWide { .. } if app.narrow(asked).is_ok() => Rejection::ScopeExceedsPolicy,
        NarrowError::TooWide { .. } => Rejection::ScopeExceedsApp,
    })?;
    if app.covers(&scope) { Ok(scope) } else { Err(Rejection::ScopeExceedsApp) }
}

fn decide_resource(
    settings: &AppSettings,
    issuer: &Issuer,
    offered: &OfferedResource,
    asked: Option<&Resource>,
) -> Result<Option<Resource>, Rejection> {
    let own = |resource: &Resource| resource.as_str() == issuer.as_str();
    let default = settings.default_resource();
    let chosen = match offered {
        OfferedResource::Open => asked.or(default),
        OfferedResource::Decided(fixed) => {
            let fixed = fixed.as_ref().or(default);
            let same = |asked| fixed.map_or_else(|| own(asked), |fixed| fixed == asked);
            if !asked.is_none_or(same) {
                return Err(Rejection::ResourceNotAllowed);
            }
            fixed
        }
    };
    match chosen.filter(|resource| !own(resource)) {
        Some(resource) if !settings.resources().contains(resource) => {
            Err(Rejection::ResourceNotAllowed)
        }
        chosen => Ok(chosen.cloned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scope(text: &str) -> Scope {
        Scope::parse(text).unwrap()
    }

    fn decide(app: &str, granted: &str, asked: Option<&str>) -> Result<String, Rejection> {
        decide_scope(&scope(app), &scope(granted), asked, true).map(|scope| scope.to_string())
    }

    /// R6, R7: a refresh may narrow the scope and may not widen it.
    #[test]
    fn a_request_can_only_narrow() {
        assert_eq!(decide("a b c", "a b", Some("a")).unwrap(), "a");
        assert_eq!(decide("a b c", "a b", Some("a c")), Err(Rejection::ScopeExceedsGrant));
        assert_eq!(decide("a b", "a b", Some("a\"")), Err(Rejection::MalformedScope));
        assert_eq!(
            decide("GET/users/*", "GET/users/*", Some("GET/users/42")).unwrap(),
            "GET/users/42"
        );
    }

    /// R18: a scope that the app has lost is not granted, although the user granted it.
    #[test]
    fn a_scope_that_the_app_lost_is_lost_to_its_grants() {
        assert_eq!(decide("a", "a b", None).unwrap(), "a");
        assert_eq!(decide("a", "a b", Some("b")), Err(Rejection::ScopeExceedsApp));
        assert_eq!(decide("c", "a b", None), Err(Rejection::ScopeWithdrawn));
        assert_eq!(decide("c", "", None).unwrap(), "");
    }
}
