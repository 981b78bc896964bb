//! The token exchange grant: RFC 8693. An app presents an access token of a user that was meant for it, and gets a
//! token for another API, under its delegation policy.
//!
//! The derived token has a grant id of its own without a row, and states everything that it descends from
//! (`via`): it is void as soon as one of those is. Nothing is claimed, because an exchange uses nothing up.

use super::{Claimed, Grant, Offer, OfferedResource, Origin, ProofContext, Right, Valid, required};
use crate::app::delegation::names_actor;
use crate::app::policy::{Decision, Evidence, EvidenceKind, PolicyRule, Refusal, decide};
use crate::app::{
    ClientType, CustomApp, DelegationPolicy, DelegationRule, Flow, SubjectToken, TokenSource,
};
use crate::clock::UnixTime;
use crate::endpoint::audit_trail::AuditTrail;
use crate::endpoint::client_authentication::AuthenticatedApp;
use crate::endpoint::context::Context;
use crate::endpoint::request_facts::RequestFacts;
use crate::endpoint::token::decide::Decided;
use crate::error::{EndpointError, ExchangeRefusal, Rejection, TokenFault};
use crate::ids::{ClientId, Resource, Subject};
use crate::jwt::access_token::AccessTokenRules;
use crate::jwt::{AccessTokenClaims, AccessTokenError, Circumstances, Parent, PriorActor};
use crate::protocol::form::Form;
use crate::protocol::grant_type::GrantType;
use crate::protocol::resources::Resources;
use crate::protocol::scope::Scope;
use crate::resource_server::resource::ResourceServer;
use crate::store::{AccessFacts, Store};
use crate::users::{User, UserDirectory};

/// The token type identifier of access tokens (RFC 8693 section 3).
const ACCESS_TOKEN: &str = "urn:ietf:params:oauth:token-type:access_token";

pub(in crate::endpoint::token) struct TokenExchange;

/// The parameters, unchecked.
pub(in crate::endpoint::token) struct Presented<'f> {
    subject: &'f str,
    actor: Option<&'f str>,
    targets: Vec<Target<'f>>,
}

/// A target service (RFC 8693 section 2.1).
enum Target<'f> {
    Resource(Resource),
    Audience(&'f str),
}

/// The verified tokens, and the APIs asked for.
pub(in crate::endpoint::token) struct Exchange<'f> {
    subject: AccessTokenClaims,
    actor: Option<AccessTokenClaims>,
    targets: Vec<Target<'f>>,
}

/// The right to a derived token. There is nothing to claim.
pub(in crate::endpoint::token) struct DerivedRight {
    authorized_at: UnixTime,
}

impl Grant for TokenExchange {
    const TYPE: GrantType = GrantType::TokenExchange;
    const PARAMETERS: &'static [&'static str] = &[
        "audience",
        "requested_token_type",
        "subject_token",
        "subject_token_type",
        "actor_token",
        "actor_token_type",
    ];
    const REPEATABLE: &'static [&'static str] = &["resource", "audience"];
    const READS_TARGETS: bool = true;
    const ISSUED_TOKEN_TYPE: Option<&'static str> = Some(ACCESS_TOKEN);
    type Presented<'f> = Presented<'f>;
    type Proof<'f> = Exchange<'f>;
    type Right = DerivedRight;

    fn read<'f>(form: &'f Form<'_>) -> Result<Self::Presented<'f>, Rejection> {
        let subject = required(form, "subject_token")?;
        required(form, "subject_token_type")?;
        let actor = form.get("actor_token");
        if actor.is_some() {
            required(form, "actor_token_type")?;
        } else if form.get("actor_token_type").is_some() {
            return Err(Rejection::MissingParameter("actor_token"));
        }
        for name in ["subject_token_type", "actor_token_type", "requested_token_type"] {
            if form.get(name).is_some_and(|named| named != ACCESS_TOKEN) {
                return Err(Rejection::UnsupportedParameter(name));
            }
        }
        let mut targets = Vec::new();
        for text in form.all("resource").filter(|text| !text.is_empty()) {
            let resource = Resource::new(text).map_err(|_| Rejection::MalformedResource)?;
            targets.push(Target::Resource(resource));
        }
        let audiences = form.all("audience").filter(|text| !text.is_empty());
        targets.extend(audiences.map(Target::Audience));
        Ok(Presented { subject, actor, targets })
    }

    fn prove<'f>(
        presented: Self::Presented<'f>,
        app: &CustomApp,
        against: &ProofContext<'_>,
    ) -> Result<Self::Proof<'f>, EndpointError> {
        check_flow(app)?;
        let Presented { subject, actor, targets } = presented;
        let subject = verify(subject, against).map_err(ExchangeRefusal::Subject)?;
        let actor = actor.map(|token| verify(token, against)).transpose();
        Ok(Exchange { subject, actor: actor.map_err(ExchangeRefusal::Actor)?, targets })
    }

    async fn validate<S: Store, U: UserDirectory, H: Sync>(
        exchange: Self::Proof<'_>,
        app: &AuthenticatedApp,
        context: &Context<S, U, H>,
        facts: &RequestFacts<'_>,
        trail: &mut AuditTrail<'_>,
    ) -> Result<Valid<DerivedRight>, EndpointError> {
        let Exchange { subject, actor, targets } = exchange;
        trail.concerns(&subject.subject);
        trail.flow = Some(Flow::TokenExchange);
        let grant_id = facts.rowless_grant_id();
        trail.grant_id = Some(grant_id);
        check_subjects(app, &subject, actor.as_ref())?;
        let actor_id = actor.as_ref().map_or(app.client_id(), |token| &token.client_id).clone();
        let (prior_actors, via) = chain(&subject, actor.as_ref(), app);
        let policy = app.settings().delegation();
        let targets = targets_of(&targets, policy, &context.resource_servers)?;
        let may_act = subject.extra.get("may_act");
        let evidence = Evidence::SubjectToken(SubjectToken {
            policy,
            source: TokenSource::App(&subject.client_id),
            is_for_app: is_for(app.client_id(), &subject, &context.resource_servers),
            targets: &targets,
            actor: &actor_id,
            may_act: may_act.is_none_or(|it| names_actor(it, &actor_id, &context.issuer)),
            actors: prior_actors.len(),
            impersonated: is_impersonated(&subject),
        });
        let judge = |user: Option<&User>| {
            decide(app.client_id(), app.settings(), &evidence, user, facts.now)
        };
        let mut permitted = |decision: &Decision<'_>| {
            trail.decided_by(decision, &prior_actors);
            trail.descends_from(&via);
            Rejection::by_policy(decision)
        };
        // Before the store is asked: the answer must not tell an app about a token that is not for it.
        let without_user = judge(None);
        if let PolicyRule::Delegation(_) = without_user.rule() {
            permitted(&without_user)?;
        }
        if via.len() > Parent::MAX {
            let refusal = Refusal::Delegation(DelegationRule::TooManyActors);
            return Err(Rejection::PolicyRefused(EvidenceKind::SubjectToken, refusal).into());
        }
        context.check_live(&subject, ExchangeRefusal::Subject).await?;
        if let Some(actor) = &actor {
            context.check_live(actor, ExchangeRefusal::Actor).await?;
        }
        let user = context.users.find_user(&subject.subject).await?;
        let user = user.filter(|user| user.active && user.subject == subject.subject);
        let user = user.ok_or(ExchangeRefusal::InactiveUser)?;
        let decision = judge(Some(&user));
        permitted(&decision)?;
        let offer = Offer {
            scope: offered_scope(&subject, &targets, &context.resource_servers, &decision)?,
            signed_scope: None,
            resource: OfferedResource::Targets(targets),
            ends_at: actor.map_or(subject.expires_at, |it| it.expires_at.min(subject.expires_at)),
        };
        let AccessTokenClaims { subject, auth_time, circumstances, .. } = subject;
        let Circumstances { acr, amr, .. } = circumstances;
        let circumstances = Circumstances { prior_actors, acr, amr, ..Circumstances::default() };
        let origin = Origin {
            grant_id,
            subject,
            user: Some(user),
            actor: Some(actor_id),
            device: None,
            auth_time,
            circumstances: (!circumstances.is_empty()).then(|| Box::new(circumstances)),
            via,
        };
        Ok(Valid::new(origin, offer, DerivedRight { authorized_at: facts.date }))
    }
}

impl Right for DerivedRight {
    async fn claim<S: Store>(
        self,
        _: &S,
        _: &Decided<'_>,
        _: &mut AuditTrail<'_>,
    ) -> Result<Claimed, EndpointError> {
        Ok(Claimed { authorized_at: self.authorized_at, successor: None })
    }
}

impl<S: Store, U: Sync, H: Sync> Context<S, U, H> {
    /// Asks the store whether a presented token is void: with all that it descends from, one read.
    async fn check_live(
        &self,
        token: &AccessTokenClaims,
        refusal: fn(TokenFault) -> ExchangeRefusal,
    ) -> Result<(), EndpointError> {
        if self.store.is_revoked(&AccessFacts::from(token)).await? {
            return Err(refusal(TokenFault::Revoked).into());
        }
        Ok(())
    }
}

impl From<ExchangeRefusal> for EndpointError {
    fn from(refusal: ExchangeRefusal) -> Self {
        Rejection::Exchange(refusal).into()
    }
}

/// Checks that the app has this grant.
fn check_flow(app: &CustomApp) -> Result<(), Rejection> {
    let confidential = app.settings().client_type() == ClientType::Confidential;
    if confidential && app.may_use(Flow::TokenExchange) {
        Ok(())
    } else {
        Err(Rejection::FlowNotAllowed(TokenExchange::TYPE))
    }
}

/// Verifies an access token of this server, for any API. Another host may have issued it, whose clock is ahead.
fn verify(token: &str, against: &ProofContext<'_>) -> Result<AccessTokenClaims, TokenFault> {
    let keys = against.keys.at(against.now);
    let rules = AccessTokenRules {
        keys: keys.verifying(),
        issuer: against.issuer,
        audiences: None,
        clock_skew: against.host_skew,
    };
    let claims = rules.verify(token, against.now).map_err(|error| {
        if error == AccessTokenError::Exp { TokenFault::Expired } else { TokenFault::Invalid }
    })?;
    // The skew is for `iat` in the future, not for `exp`.
    if claims.expires_at <= against.now {
        return Err(TokenFault::Expired);
    }
    // The request proves no key.
    if claims.extra.contains_key("cnf") { Err(TokenFault::Bound) } else { Ok(claims) }
}

/// Checks that the subject is a user, and the actor an app that acts for itself.
fn check_subjects(
    app: &CustomApp,
    subject: &AccessTokenClaims,
    actor: Option<&AccessTokenClaims>,
) -> Result<(), ExchangeRefusal> {
    let of_app = |token: &AccessTokenClaims| token.subject.is_client(&token.client_id);
    if of_app(subject) || subject.subject.is_client(app.client_id()) {
        Err(ExchangeRefusal::Subject(TokenFault::WrongSubject))
    } else if actor.is_some_and(|token| !of_app(token)) {
        Err(ExchangeRefusal::Actor(TokenFault::WrongSubject))
    } else {
        Ok(())
    }
}

/// Returns the actors before the present one, and what the derived token descends from.
///
/// The own token of the app itself adds no parent: the derived token is the app's, and judged with it.
fn chain(
    subject: &AccessTokenClaims,
    actor: Option<&AccessTokenClaims>,
    app: &CustomApp,
) -> (Vec<PriorActor>, Vec<Parent>) {
    let last = subject.actor.as_ref().map(Subject::from);
    let last = last.map(|subject| PriorActor { subject, issuer: None });
    let earlier = &subject.circumstances.prior_actors;
    let prior_actors = last.into_iter().chain(earlier.iter().cloned()).collect();
    let mut via = vec![AccessFacts::from(subject).to_parent()];
    via.extend(subject.via.iter().cloned());
    if let Some(actor) = actor.filter(|actor| actor.client_id != *app.client_id()) {
        let parent = AccessFacts::from(actor).to_parent();
        via.push(Parent { subject: Some(actor.subject.clone()), ..parent });
    }
    (prior_actors, via)
}

/// Returns true if no user decided about the first of the grants that the token descends from, but an app
/// impersonated the user. Each exchange adds an actor and a parent: an actor without one was there at the start.
fn is_impersonated(subject: &AccessTokenClaims) -> bool {
    let actors = usize::from(subject.actor.is_some()) + subject.circumstances.prior_actors.len();
    actors > subject.via.iter().filter(|parent| parent.subject.is_none()).count()
}

/// Returns true if the token was issued to the app, or names it or one of its APIs as its audience. Any other app is
/// a confused deputy: the token has leaked to it.
fn is_for(app: &ClientId, subject: &AccessTokenClaims, servers: &[ResourceServer]) -> bool {
    let own = || servers.iter().filter(|server| server.client_id == *app);
    subject.client_id == *app
        || subject
            .audience
            .iter()
            .any(|name| name == app.as_str() || own().any(|server| server.is_named(name)))
}

/// Returns the APIs asked for. An audience is the URI of an API, or the app of one that the policy lists.
fn targets_of(
    asked: &[Target<'_>],
    policy: Option<&DelegationPolicy>,
    servers: &[ResourceServer],
) -> Result<Resources, Rejection> {
    let listed = policy.map_or(&[][..], |policy| &policy.targets);
    let not_listed = Rejection::PolicyRefused(
        EvidenceKind::SubjectToken,
        Refusal::Delegation(DelegationRule::TargetNotListed),
    );
    if asked.is_empty() {
        return match listed {
            [only] => Ok(only.clone().into()),
            _ => Err(Rejection::Exchange(ExchangeRefusal::NoTarget)),
        };
    }
    let spelled = |resource: &Resource| {
        listed.iter().find(|own| own.is_equivalent(resource)).unwrap_or(resource).clone()
    };
    let mut targets = Vec::new();
    for target in asked {
        match target {
            Target::Resource(resource) => targets.push(spelled(resource)),
            Target::Audience(name) => {
                let of_app = servers.iter().filter(|server| server.client_id.as_str() == *name);
                let of_app = of_app.filter_map(|server| {
                    listed.iter().find(|own| server.is_named(own.as_str())).cloned()
                });
                let before = targets.len();
                targets.extend(of_app);
                if targets.len() == before {
                    let named = Resource::new(*name).map_err(|_| not_listed.clone())?;
                    targets.push(spelled(&named));
                }
            }
        }
    }
    let collected = Resources::collect(targets).map_err(|_| Rejection::ResourcesTooLong)?;
    collected.ok_or(Rejection::Exchange(ExchangeRefusal::NoTarget))
}

/// Returns the most scope of the derived token: that of the subject token, as far as the policy allows it and the
/// targets know it. Without any, the token would still say that the app acts as the user.
fn offered_scope(
    subject: &AccessTokenClaims,
    targets: &Resources,
    servers: &[ResourceServer],
    decision: &Decision<'_>,
) -> Result<Scope, ExchangeRefusal> {
    let mut scope = match decision.scope() {
        Some(ceiling) => subject.scope.intersection(ceiling),
        None => subject.scope.clone(),
    };
    let known = |target: &Resource| servers.iter().find(|server| server.is_named(target.as_str()));
    let known: Option<Vec<_>> = targets.iter().map(known).collect();
    // An API without a list knows every scope.
    if let Some(known) = known.filter(|all| all.iter().all(|it| !it.scopes.is_empty())) {
        let all = known.iter().fold(Scope::empty(), |all, server| all.union(&server.scopes));
        scope = scope.intersection(&all);
    }
    if scope.is_empty() { Err(ExchangeRefusal::NoScope) } else { Ok(scope) }
}
