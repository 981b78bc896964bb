//! Stage 4, decide scopes: what the token allows, and for which API (RFC 6749 section 3.3, RFC 8707
//! section 2). Pure.

use super::grant::{GrantedResource, ValidGrant};
use crate::app::AppSettings;
use crate::endpoint::client_authentication::AuthenticatedApp;
use crate::error::Rejection;
use crate::ids::{Issuer, Resource};
use crate::protocol::grant_type::GrantType;
use crate::protocol::scope::{NarrowError, Scope};

/// What the token allows, and for which API. Only [`decide`] makes one.
#[derive(Debug)]
pub(super) struct GrantedScope {
    scope: Scope,
    resource: Option<Resource>,
}

impl GrantedScope {
    pub(super) const fn scope(&self) -> &Scope {
        &self.scope
    }

    /// The API for which the token is, as `aud` names it.
    pub(super) fn audience<'a>(&'a self, issuer: &'a Issuer) -> &'a str {
        self.resource.as_ref().map_or(issuer.as_str(), Resource::as_str)
    }

    pub(super) fn into_scope(self) -> Scope {
        self.scope
    }

    /// The API for which the token is; `None` is the server's issuer.
    pub(super) const fn resource(&self) -> Option<&Resource> {
        self.resource.as_ref()
    }
}

/// Decides what `grant` gives to `app`, of what was asked for.
pub(super) fn decide(
    app: &AuthenticatedApp,
    grant: &ValidGrant,
    issuer: &Issuer,
    scope: Option<&str>,
    resource: Option<&Resource>,
) -> Result<GrantedScope, Rejection> {
    let settings = app.settings();
    let asked = scope.or(grant.asked_scope.as_deref());
    Ok(GrantedScope {
        scope: decide_scope(settings.scope(), &grant.scope, asked, has_row(grant.grant_type))?,
        resource: decide_resource(settings, issuer, &grant.resource, resource)?,
    })
}

/// Whether what was granted is a user's decision that stands in a row.
const fn has_row(grant_type: GrantType) -> bool {
    match grant_type {
        GrantType::AuthorizationCode | GrantType::RefreshToken => true,
        GrantType::JwtBearer | GrantType::ClientCredentials => false,
    }
}

/// A request can only narrow; what is not asked for is the intersection of what was granted and
/// what the app may have now.
fn decide_scope(
    app: &Scope,
    granted: &Scope,
    asked: Option<&str>,
    has_row: bool,
) -> Result<Scope, Rejection> {
    let Some(asked) = asked else {
        let left = granted.intersection(app);
        let withdrawn = left.is_empty() && !granted.is_empty();
        return if withdrawn { Err(Rejection::ScopeWithdrawn) } else { Ok(left) };
    };
    let scope = granted.narrow(asked).map_err(|error| match error {
        NarrowError::Invalid(_) => Rejection::MalformedScope,
        NarrowError::TooWide { .. } if has_row => Rejection::ScopeExceedsGrant,
        // Within the app's own scope, it was the impersonation policy that had less.
        NarrowError::TooWide { .. } if app.narrow(asked).is_ok() => Rejection::ScopeExceedsPolicy,
        NarrowError::TooWide { .. } => Rejection::ScopeExceedsApp,
    })?;
    if app.covers(&scope) { Ok(scope) } else { Err(Rejection::ScopeExceedsApp) }
}

fn decide_resource(
    settings: &AppSettings,
    issuer: &Issuer,
    granted: &GrantedResource,
    asked: Option<&Resource>,
) -> Result<Option<Resource>, Rejection> {
    let own = |resource: &Resource| resource.as_str() == issuer.as_str();
    let default = settings.default_resource();
    let chosen = match granted {
        GrantedResource::Open => asked.or(default),
        GrantedResource::Fixed(fixed) => {
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

    /// R18: what the app may not have any more is not granted, though the user granted it.
    #[test]
    fn what_the_app_lost_is_lost_to_its_grants() {
        assert_eq!(decide("a", "a b", None).unwrap(), "a");
        assert_eq!(decide("a", "a b", Some("b")), Err(Rejection::ScopeExceedsApp));
        assert_eq!(decide("c", "a b", None), Err(Rejection::ScopeWithdrawn));
        assert_eq!(decide("c", "", None).unwrap(), "");
    }
}
