//! Stage *decide*: the scope, the API and the expiry of the token (RFC 6749 section 3.3, RFC 8707
//! section 2). Pure.

use std::time::Duration;

use super::grant::{Offer, OfferedResource};
use super::request::Asked;
use crate::app::{AppSettings, CustomApp};
use crate::clock::UnixTime;
use crate::error::{ExchangeRefusal, Rejection};
use crate::ids::{Issuer, Resource};
use crate::protocol::resources::Resources;
use crate::protocol::scope::{NarrowError, Scope};
use crate::protocol::uri;
use crate::resource_server::resource::ResourceServer;

/// The scope, the API and the expiry of the token. Only [`decide`] makes one.
#[derive(Debug)]
pub(super) struct Decided<'a> {
    scope: Scope,
    resource: Option<Resource>,
    further: Vec<Resource>,
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

    /// The other APIs, if the token is for several.
    pub(super) fn further_resources(&self) -> &[Resource] {
        &self.further
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

/// The APIs that the server knows, itself included.
pub(super) struct Apis<'a> {
    pub(super) issuer: &'a Issuer,
    pub(super) servers: &'a [ResourceServer],
}

impl Apis<'_> {
    /// Returns true for the server's own API.
    fn is_own(&self, resource: &Resource) -> bool {
        uri::is_equivalent(resource.as_str(), self.issuer.as_str())
    }

    /// Returns the name by which the API knows itself, or `registered` if the server does not know it.
    fn own_name(&self, registered: &Resource) -> Resource {
        let server = self.servers.iter().find(|server| server.is_named(registered.as_str()));
        server.map_or(registered, |server| &server.identifier).clone()
    }
}

/// Decides how much of `offer` the app gets.
pub(super) fn decide<'a>(
    app: &CustomApp,
    offer: Offer,
    asked: &Asked<'_>,
    apis: &Apis<'a>,
    now: UnixTime,
) -> Result<Decided<'a>, Rejection> {
    let settings = app.settings();
    let scope = asked_scope(asked.scope, offer.signed_scope.as_deref())?;
    let scope = decide_scope(settings, offer.scope, scope, &offer.resource)?;
    let (resource, further) = match &offer.resource {
        OfferedResource::Targets(targets) => decide_targets(apis, targets),
        offered @ (OfferedResource::Decided(_) | OfferedResource::Open) => {
            let resource = decide_resource(settings, apis, offered, asked.resource.as_ref())?;
            (resource, Vec::new())
        }
    };
    // Never later than the grant that it descends from.
    let lifetime = Duration::from_secs(settings.access_token_lifetime().into());
    let expires_at = now.plus(lifetime).min(offer.ends_at);
    Ok(Decided { scope, resource, further, expires_at, issuer: apis.issuer })
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
    settings: &AppSettings,
    granted: Scope,
    asked: Option<&str>,
    offered: &OfferedResource,
) -> Result<Scope, Rejection> {
    let app = settings.scope();
    let Some(asked) = asked else {
        if app.covers(&granted) {
            return Ok(granted);
        }
        let left = granted.intersection(app);
        let withdrawn = left.is_empty() && !granted.is_empty();
        return if withdrawn { Err(Rejection::ScopeWithdrawn) } else { Ok(left) };
    };
    let scope = settings.narrow(&granted, asked).map_err(|error| match error {
        NarrowError::Invalid(_) => Rejection::MalformedScope,
        NarrowError::TooWide { .. } if matches!(offered, OfferedResource::Decided(_)) => {
            Rejection::ScopeExceedsGrant
        }
        NarrowError::TooWide { .. }
            if matches!(offered, OfferedResource::Targets(_)) && app.narrow(asked).is_ok() =>
        {
            Rejection::Exchange(ExchangeRefusal::ScopeTooWide)
        }
        // Within the app's own scope, the impersonation policy is narrower.
        NarrowError::TooWide { .. } if app.narrow(asked).is_ok() => Rejection::ScopeExceedsPolicy,
        NarrowError::TooWide { .. } => Rejection::ScopeExceedsApp,
    })?;
    settings.narrow(app, scope.as_str()).map_err(|_| Rejection::ScopeExceedsApp)
}

/// Returns the first of several APIs and the others, each by its own name.
fn decide_targets(apis: &Apis<'_>, targets: &Resources) -> (Option<Resource>, Vec<Resource>) {
    let own = |target: &Resource| {
        let issuer = Resource::new(apis.issuer.as_str()).ok().filter(|_| apis.is_own(target));
        issuer.unwrap_or_else(|| apis.own_name(target))
    };
    let further: Vec<_> = targets.iter().skip(1).map(own).collect();
    let first = targets.first();
    let is_issuer = further.is_empty() && apis.is_own(first);
    ((!is_issuer).then(|| own(first)), further)
}

fn decide_resource(
    settings: &AppSettings,
    apis: &Apis<'_>,
    offered: &OfferedResource,
    asked: Option<&Resource>,
) -> Result<Option<Resource>, Rejection> {
    let default = settings.default_resource();
    let chosen = match (offered, asked) {
        (OfferedResource::Open | OfferedResource::Targets(_), asked) => asked.or(default),
        (OfferedResource::Decided(granted), None) => {
            granted.as_ref().map(Resources::first).or(default)
        }
        (OfferedResource::Decided(Some(granted)), Some(asked)) => {
            Some(granted.find(asked).ok_or(Rejection::ResourceNotGranted)?)
        }
        (OfferedResource::Decided(None), Some(asked)) => {
            let same = default.map_or_else(|| apis.is_own(asked), |it| it.is_equivalent(asked));
            Some(asked).filter(|_| same).ok_or(Rejection::ResourceNotGranted).map(Some)?
        }
    };
    let Some(chosen) = chosen.filter(|resource| !apis.is_own(resource)) else { return Ok(None) };
    let registered = settings.registered_resource(chosen).ok_or(Rejection::ResourceNotAllowed)?;
    Ok(Some(apis.own_name(registered)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::app::{AppDraft, Flow, ScopePolicy};

    fn scope(text: &str) -> Scope {
        Scope::parse(text).unwrap()
    }

    fn decide(app: &str, granted: &str, asked: Option<&str>) -> Result<String, Rejection> {
        with_policy(ScopePolicy::Refuse, app, granted, asked)
    }

    fn with_policy(
        policy: ScopePolicy,
        app: &str,
        granted: &str,
        asked: Option<&str>,
    ) -> Result<String, Rejection> {
        let app = AppDraft::confidential("app").flow(Flow::ClientCredentials).scope(scope(app));
        let settings = app.scope_policy(policy).build().unwrap();
        decide_scope(&settings, scope(granted), asked, &OfferedResource::Decided(None))
            .map(|scope| scope.to_string())
    }

    /// Z5: an app that is set so gets what is left, never more than was granted and never nothing.
    #[test]
    fn a_request_for_too_much_is_reduced_if_the_app_is_set_so() {
        let reduced =
            |app, granted, asked| with_policy(ScopePolicy::Reduce, app, granted, Some(asked));
        assert_eq!(reduced("a b c", "a b", "a c d").unwrap(), "a");
        assert_eq!(reduced("a", "a b", "b a").unwrap(), "a");
        assert_eq!(reduced("GET/users/*", "GET/users/*", "*/users/42 x").unwrap(), "GET/users/42");
        assert_eq!(reduced("a b", "a b", "offline_access").unwrap(), "a b");
        assert_eq!(reduced("a b", "a", "b c"), Err(Rejection::ScopeExceedsGrant));
        assert_eq!(reduced("c", "a b", "a"), Err(Rejection::ScopeExceedsApp));
        assert_eq!(reduced("a", "a", "a\""), Err(Rejection::MalformedScope));
    }

    /// Z20: a row of an earlier version names no API. An app with a default API was granted that one, and any
    /// other was not granted, as the text says.
    #[test]
    fn a_grant_without_an_api_is_for_the_default_one() {
        let issuer = Issuer::new("https://as.example.com").unwrap();
        let apis = Apis { issuer: &issuer, servers: &[] };
        let [files, mail, own] = ["https://files.example", "https://mail.example", issuer.as_str()]
            .map(|name| Resource::new(name).unwrap());
        for default in [None, Some(files.clone())] {
            let app = AppDraft::confidential("app").flow(Flow::ClientCredentials);
            let app =
                app.resources([files.clone(), mail.clone()]).default_resource(default.clone());
            let settings = app.build().unwrap();
            let asked =
                |api| decide_resource(&settings, &apis, &OfferedResource::Decided(None), Some(api));
            let granted = default.as_ref().unwrap_or(&own);
            for api in [&files, &mail, &own] {
                let expected = if api == granted {
                    Ok(default.clone())
                } else {
                    Err(Rejection::ResourceNotGranted)
                };
                assert_eq!(asked(api), expected, "{api} {default:?}");
            }
        }
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
