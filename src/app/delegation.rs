//! Delegation policies: which subject tokens an app may exchange (RFC 8693), for which APIs and users.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{ImpersonationPolicy, InvalidApp, TrustedIssuer};
use crate::ids::{ClientId, EvidenceIssuer, Issuer, Resource};
use crate::protocol::resources::Resources;
use crate::protocol::scope::Scope;

/// A rule that says which subject tokens an app may exchange, for which APIs, and for which users.
///
/// The default allows nothing.
#[doc(alias = "may_act")]
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct DelegationPolicy {
    /// The apps whose access tokens of this server may be subject tokens.
    pub apps: Vec<ClientId>,
    /// The trusted issuers whose tokens may be subject tokens. The record of the issuer must also
    /// [name the app](TrustedIssuer::with_subject_tokens), and allow the user.
    pub issuers: Vec<EvidenceIssuer>,
    /// The other apps that may be the actor: each proves it by an actor token, an access token of its own. The app
    /// itself needs no entry.
    pub actors: Vec<ClientId>,
    /// The APIs for which a derived token may be.
    pub targets: Vec<Resource>,
    /// The largest number of actors of a derived token, the app included: 1 to 4. Default: 4.
    pub max_actors: u8,
    /// Whether a token with which an app already impersonates a user may be a subject token. Default: no.
    pub impersonated: bool,
    /// The users on whose behalf the app may act, and the scope ceiling.
    pub users: ImpersonationPolicy,
    /// The other authorization servers for which the app gets identity assertions (ID-JAG) about these users. The scope
    /// ceiling of `users` is of scopes of this server, and does not limit them. Default: none.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub id_jag: Vec<IdJagAudience>,
}

/// Another authorization server, which trusts this one, and the most that an identity assertion (ID-JAG) for it states.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct IdJagAudience {
    /// The issuer identifier of the server, compared as a string: the `audience` of the request and the `aud` of the
    /// assertion.
    pub audience: Issuer,
    /// The client id that the app has there.
    pub client_id: ClientId,
    /// The scope that the app may ask for there. Default: the assertion states none, and that server decides alone.
    #[serde(default = "Scope::empty", skip_serializing_if = "Scope::is_empty")]
    pub scope: Scope,
    /// The APIs there that the app may ask for. Default: the assertion states none, and that server decides alone.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub resources: Vec<Resource>,
}

impl IdJagAudience {
    /// Creates an entry for the server `audience`, at which the app is `client_id`.
    #[must_use]
    pub fn new(audience: Issuer, client_id: ClientId) -> Self {
        Self { audience, client_id, scope: Scope::empty(), resources: Vec::new() }
    }

    /// Sets the scope that the app may ask for there.
    #[must_use]
    pub fn with_scope(mut self, scope: Scope) -> Self {
        self.scope = scope;
        self
    }

    /// Sets the APIs there that the app may ask for.
    #[must_use]
    pub fn with_resources(mut self, resources: impl IntoIterator<Item = Resource>) -> Self {
        self.resources = resources.into_iter().collect();
        self
    }
}

impl Default for DelegationPolicy {
    fn default() -> Self {
        Self {
            apps: Vec::new(),
            issuers: Vec::new(),
            actors: Vec::new(),
            targets: Vec::new(),
            max_actors: Self::MAX_ACTORS,
            impersonated: false,
            users: ImpersonationPolicy::none(),
            id_jag: Vec::new(),
        }
    }
}

/// A verified subject token, with the policy of the app that presents it.
#[derive(Clone, Copy, Debug)]
#[expect(clippy::exhaustive_structs, reason = "made by callers of the policy engine")]
pub struct SubjectToken<'a> {
    /// The policy of the app. `None` allows nothing.
    pub policy: Option<&'a DelegationPolicy>,
    /// The issuer of the token, or the app that it was issued to.
    pub source: TokenSource<'a>,
    /// Whether the subject token was issued to the app, or names the app or an API of it in `aud`. A token of another
    /// issuer may instead be for this server alone.
    pub is_for_app: bool,
    /// The target of the new token.
    pub target: DelegationTarget<'a>,
    /// The app that acts with the derived token.
    pub actor: &'a ClientId,
    /// Whether the `may_act` of the subject token, if it has one, names the actor (RFC 8693 section 4.4).
    pub may_act: bool,
    /// The number of actors that the subject token names.
    pub actors: usize,
    /// Whether an app impersonates the user with the subject token. For a token of another issuer, whether it names an
    /// actor.
    pub impersonated: bool,
}

/// The target of an exchange.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub enum DelegationTarget<'a> {
    /// APIs of this server, for an access token.
    Apis(&'a Resources),
    /// Another authorization server, for an identity assertion (ID-JAG).
    Server(&'a str),
}

/// The source of a subject token.
#[derive(Clone, Copy, Debug)]
#[expect(clippy::exhaustive_enums, reason = "a token is of this server or of another")]
pub enum TokenSource<'a> {
    /// This server issued it to the app.
    App(&'a ClientId),
    /// Another issuer.
    Issuer(&'a TrustedIssuer),
}

/// A rule of a delegation policy that refuses a subject token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum DelegationRule {
    /// The app has no delegation policy.
    NoPolicy,
    /// The policy does not list the app or the issuer of the subject token.
    SourceNotListed,
    /// The policy does not list the API.
    TargetNotListed,
    /// The subject token was neither issued to the app nor meant for it.
    NotForApp,
    /// An app impersonates the user with the subject token.
    Impersonated,
    /// The actor is neither the app nor listed.
    ActorNotListed,
    /// The `may_act` of the subject token names another actor.
    NotMayAct,
    /// The derived token would have too many actors.
    TooManyActors,
}

impl DelegationRule {
    /// Returns the stable name, such as `source_not_listed`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::NoPolicy => "no_delegation_policy",
            Self::SourceNotListed => "source_not_listed",
            Self::TargetNotListed => "target_not_listed",
            Self::NotForApp => "subject_token_not_for_app",
            Self::ActorNotListed => "actor_not_listed",
            Self::NotMayAct => "not_may_act",
            Self::Impersonated => "impersonated_subject_token",
            Self::TooManyActors => "too_many_actors",
        }
    }
}

impl DelegationPolicy {
    /// The greatest number of actors of a token.
    pub const MAX_ACTORS: u8 = 4;

    /// Creates a policy that accepts subject tokens of `apps` for `targets`, on behalf of no user.
    #[must_use]
    pub fn new(
        apps: impl IntoIterator<Item = ClientId>,
        targets: impl IntoIterator<Item = Resource>,
    ) -> Self {
        Self {
            apps: apps.into_iter().collect(),
            targets: targets.into_iter().collect(),
            ..Self::default()
        }
    }

    /// Sets the users on whose behalf the app may act, and the scope ceiling.
    #[must_use]
    pub fn with_users(mut self, users: ImpersonationPolicy) -> Self {
        self.users = users;
        self
    }

    /// Sets the trusted issuers whose tokens may be subject tokens.
    #[must_use]
    pub fn with_issuers(mut self, issuers: impl IntoIterator<Item = EvidenceIssuer>) -> Self {
        self.issuers = issuers.into_iter().collect();
        self
    }

    /// Sets the other apps that may be the actor.
    #[must_use]
    pub fn with_actors(mut self, actors: impl IntoIterator<Item = ClientId>) -> Self {
        self.actors = actors.into_iter().collect();
        self
    }

    /// Sets the largest number of actors of a derived token, the app included: 1 to 4.
    #[must_use]
    pub fn with_max_actors(mut self, actors: u8) -> Self {
        self.max_actors = actors;
        self
    }

    /// Sets whether a token with which an app already impersonates a user may be a subject token.
    #[must_use]
    pub fn with_impersonated(mut self, accepted: bool) -> Self {
        self.impersonated = accepted;
        self
    }

    /// Sets the other authorization servers for which the app gets identity assertions (ID-JAG).
    #[must_use]
    pub fn with_id_jag(mut self, audiences: impl IntoIterator<Item = IdJagAudience>) -> Self {
        self.id_jag = audiences.into_iter().collect();
        self
    }

    /// Returns the entry of another authorization server.
    pub(crate) fn id_jag_for(&self, audience: &str) -> Option<&IdJagAudience> {
        self.id_jag.iter().find(|it| it.audience.as_str() == audience)
    }

    /// Checks the ranges of the settings.
    pub(super) fn check(&self) -> Result<(), InvalidApp> {
        let problem = if self.apps.len() > 1_000 {
            ("delegation.apps", "must list at most 1000 apps")
        } else if self.issuers.len() > 100 {
            ("delegation.issuers", "must list at most 100 issuers")
        } else if self.actors.len() > 100 {
            ("delegation.actors", "must list at most 100 apps")
        } else if self.targets.len() > 50 {
            ("delegation.targets", "must list at most 50 resources")
        } else if !(1..=Self::MAX_ACTORS).contains(&self.max_actors) {
            ("delegation.max_actors", "must be 1 to 4")
        } else if self.users.size() > 1_000 {
            ("delegation.users", "must list at most 1000 users and groups")
        } else if self.id_jag.len() > 50 {
            ("delegation.id_jag", "must list at most 50 servers")
        } else if self.id_jag.iter().any(|it| it.resources.len() > 50) {
            ("delegation.id_jag", "must list at most 50 resources of a server")
        } else {
            return Ok(());
        };
        Err(InvalidApp::new(problem.0, problem.1))
    }

    /// Checks a subject token that the app `client_id` presents, by the rules that do not depend on the user.
    pub(super) fn admit(
        &self,
        client_id: &ClientId,
        token: &SubjectToken<'_>,
    ) -> Result<(), DelegationRule> {
        let is_target = |asked: &Resource| self.targets.iter().any(|own| own.is_equivalent(asked));
        let is_allowed = match token.target {
            DelegationTarget::Apis(targets) => targets.iter().all(is_target),
            DelegationTarget::Server(audience) => self.id_jag_for(audience).is_some(),
        };
        let is_listed = match token.source {
            TokenSource::App(app) => self.apps.contains(app),
            TokenSource::Issuer(issuer) => self.issuers.contains(issuer.issuer()),
        };
        if !is_listed {
            Err(DelegationRule::SourceNotListed)
        } else if !token.is_for_app {
            Err(DelegationRule::NotForApp)
        } else if token.impersonated && !self.impersonated {
            Err(DelegationRule::Impersonated)
        } else if token.actor != client_id && !self.actors.contains(token.actor) {
            Err(DelegationRule::ActorNotListed)
        } else if !token.may_act {
            Err(DelegationRule::NotMayAct)
        } else if token.actors >= usize::from(self.max_actors) {
            Err(DelegationRule::TooManyActors)
        } else if !is_allowed {
            Err(DelegationRule::TargetNotListed)
        } else {
            Ok(())
        }
    }
}

/// Checks whether the claim `may_act` of a subject token names the app `actor` of the server `issuer`: each of its
/// members is known and equal. A claim that names no actor, or in another form, names none (RFC 8693 section 4.4).
pub(crate) fn names_actor(may_act: &Value, actor: &ClientId, issuer: &Issuer) -> bool {
    let Some(members) = may_act.as_object() else { return false };
    let expected = |name: &str| match name {
        "sub" | "client_id" => Some(actor.as_str()),
        "iss" => Some(issuer.as_str()),
        _ => None,
    };
    ["sub", "client_id"].iter().any(|name| members.contains_key(*name))
        && members.iter().all(|(name, value)| {
            expected(name).is_some_and(|expected| value.as_str() == Some(expected))
        })
}
