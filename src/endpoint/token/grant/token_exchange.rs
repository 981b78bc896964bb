//! The token exchange grant: RFC 8693. An app presents a token of a user that was meant for it, and gets a token for
//! another API, under its delegation policy.
//!
//! The derived token has a grant id of its own without a row, and states everything that it descends from
//! (`via`): it is void as soon as one of those is. An exchange uses nothing up, except a token of a trusted issuer whose
//! record allows one use.

use std::time::Duration;

use super::subject_token::{ACCESS_TOKEN, SubjectTokenType, VerifiedSubject, verify_own};
use super::{Claimed, Grant, Offer, OfferedResource, Origin, ProofContext, Right, Valid, required};
use crate::app::delegation::names_actor;
use crate::app::policy::{Decision, Evidence, EvidenceKind, Refusal, decide};
use crate::app::{
    ClientType, CustomApp, DelegationPolicy, DelegationRule, DelegationTarget, Flow, SubjectToken,
    TrustedIssuer,
};
use crate::clock::UnixTime;
use crate::endpoint::audit_trail::AuditTrail;
use crate::endpoint::client_authentication::{AuthenticatedApp, claim_expiry};
use crate::endpoint::context::Context;
use crate::endpoint::request_facts::RequestFacts;
use crate::endpoint::token::check_evidence::ExchangeQuestion;
use crate::endpoint::token::decide::Decided;
use crate::error::{EndpointError, ExchangeRefusal, Rejection, TokenFault};
use crate::ids::{ClientId, Resource};
use crate::jwt::{AccessTokenClaims, Circumstances, Parent, PriorActor};
use crate::protocol::form::Form;
use crate::protocol::grant_type::GrantType;
use crate::protocol::resources::Resources;
use crate::protocol::scope::Scope;
use crate::resource_server::resource::ResourceServer;
use crate::store::{AccessFacts, AssertionClaim, AssertionPurpose, ClaimAssertion, Store};
use crate::users::{User, UserDirectory};

pub(in crate::endpoint::token) struct TokenExchange;

/// The parameters, unchecked.
pub(in crate::endpoint::token) struct Presented<'f> {
    subject: &'f str,
    subject_type: SubjectTokenType,
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
    subject: VerifiedSubject,
    actor: Option<AccessTokenClaims>,
    targets: Vec<Target<'f>>,
}

/// An exchange that was checked against the store, the user directory and the policy of the app.
pub(in crate::endpoint::token) struct Weighed {
    pub(in crate::endpoint::token) user: Option<User>,
    /// The most scope of the derived token, or the refusal. Without a user, it is a refusal.
    pub(in crate::endpoint::token) scope: Result<Scope, Rejection>,
    targets: Resources,
    actor: ClientId,
    prior_actors: Vec<PriorActor>,
    via: Vec<Parent>,
    ends_at: UnixTime,
}

/// The right to a derived token. There is nothing to claim, unless the subject token is good for one use.
pub(in crate::endpoint::token) struct DerivedRight {
    authorized_at: UnixTime,
    claim: Option<Box<AssertionClaim>>,
}

impl<'f> Presented<'f> {
    /// Returns the parameters of a question.
    pub(in crate::endpoint::token) fn of_question(question: &ExchangeQuestion<'f>) -> Self {
        let targets = question.targets.iter().filter(|text| !text.is_empty());
        Self {
            subject: question.subject_token,
            subject_type: question.subject_token_type,
            actor: question.actor_token,
            targets: targets.map(|text| Target::Audience(text)).collect(),
        }
    }
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
        let subject_type = required(form, "subject_token_type")?;
        let actor = form.get("actor_token");
        if actor.is_some() {
            required(form, "actor_token_type")?;
        } else if form.get("actor_token_type").is_some() {
            return Err(Rejection::MissingParameter("actor_token"));
        }
        let subject_type = SubjectTokenType::from_wire(subject_type)
            .ok_or(Rejection::UnsupportedParameter("subject_token_type"))?;
        for name in ["actor_token_type", "requested_token_type"] {
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
        Ok(Presented { subject, subject_type, actor, targets })
    }

    fn evidence<'f>(presented: &Self::Presented<'f>) -> Option<&'f str> {
        let is_own = presented.subject_type == SubjectTokenType::AccessToken;
        (!is_own).then_some(presented.subject)
    }

    fn prove<'f>(
        presented: Self::Presented<'f>,
        app: &CustomApp,
        against: &ProofContext<'_>,
    ) -> Result<Self::Proof<'f>, EndpointError> {
        check_flow(app)?;
        let Presented { subject, subject_type, actor, targets } = presented;
        let subject = VerifiedSubject::verify(subject, subject_type, against)?;
        let actor = actor.map(|token| verify_own(token, against)).transpose();
        Ok(Exchange { subject, actor: actor.map_err(ExchangeRefusal::Actor)?, targets })
    }

    async fn validate<S: Store, U: UserDirectory, H: Sync>(
        exchange: Self::Proof<'_>,
        app: &AuthenticatedApp,
        context: &Context<S, U, H>,
        facts: &RequestFacts<'_>,
        trail: &mut AuditTrail<'_>,
    ) -> Result<Valid<DerivedRight>, EndpointError> {
        if let Some(own) = exchange.subject.own() {
            trail.concerns(&own.subject);
        }
        trail.flow = Some(Flow::TokenExchange);
        let grant_id = facts.rowless_grant_id();
        trail.grant_id = Some(grant_id);
        let weighed = exchange.weigh(app, context, facts.now, trail).await?;
        let scope = weighed.scope?;
        let user = weighed.user.ok_or(Rejection::UnknownUser)?;
        let subject = exchange.subject;
        let offer = Offer {
            scope,
            signed_scope: None,
            resource: OfferedResource::Targets(weighed.targets),
            ends_at: weighed.ends_at,
        };
        let claim = claim_of(&subject, app, facts);
        let (auth_time, circumstances) = subject.into_authentication();
        let circumstances = Circumstances { prior_actors: weighed.prior_actors, ..circumstances };
        let origin = Origin {
            grant_id,
            subject: user.subject.clone(),
            user: Some(user),
            actor: Some(weighed.actor),
            device: None,
            auth_time,
            circumstances: (!circumstances.is_empty()).then(|| Box::new(circumstances)),
            via: weighed.via,
        };
        Ok(Valid::new(origin, offer, DerivedRight { authorized_at: facts.date, claim }))
    }
}

impl Exchange<'_> {
    /// Finds the user, and decides. Nothing changes.
    pub(in crate::endpoint::token) async fn weigh<S: Store, U: UserDirectory, H: Sync>(
        &self,
        app: &CustomApp,
        context: &Context<S, U, H>,
        now: UnixTime,
        trail: &mut AuditTrail<'_>,
    ) -> Result<Weighed, EndpointError> {
        let Self { subject, actor, targets } = self;
        check_subjects(app, subject, actor.as_ref())?;
        let actor_id = actor.as_ref().map_or(app.client_id(), |token| &token.client_id).clone();
        let (prior_actors, via) = (subject.actors(), lineage(subject, actor.as_ref(), app));
        let policy = app.settings().delegation();
        let targets = targets_of(targets, policy, &context.resource_servers)?;
        let may_act = subject.may_act();
        let (servers, issuer) = (&context.resource_servers, &context.issuer);
        let evidence = Evidence::SubjectToken(SubjectToken {
            policy,
            source: subject.source(),
            is_for_app: subject.is_for(app.client_id(), servers, issuer),
            target: DelegationTarget::Apis(&targets),
            actor: &actor_id,
            may_act: may_act.is_none_or(|it| names_actor(it, &actor_id, issuer)),
            actors: prior_actors.len(),
            impersonated: subject.is_impersonated(),
        });
        let judge =
            |user: Option<&User>| decide(app.client_id(), app.settings(), &evidence, user, now);
        let permitted = |trail: &mut AuditTrail<'_>, decision: &Decision<'_>| {
            trail.decided_by(decision, &prior_actors);
            trail.descends_from(&via);
            Rejection::by_policy(decision)
        };
        // Before the store is asked: the answer must not tell an app about a token that is not for it.
        let without_user = judge(None);
        if without_user.outcome() != Err(Refusal::UnknownUser) {
            permitted(trail, &without_user)?;
        }
        if via.len() > Parent::MAX {
            let refusal = Refusal::Delegation(DelegationRule::TooManyActors);
            return Err(Rejection::PolicyRefused(EvidenceKind::SubjectToken, refusal).into());
        }
        let user = context.user_of(subject, app.client_id()).await?;
        if let Some(actor) = actor {
            context.check_live(&AccessFacts::from(actor), ExchangeRefusal::Actor).await?;
        }
        if let Some(user) = &user {
            trail.concerns(&user.subject);
        }
        let decision = judge(user.as_ref());
        let scope = permitted(trail, &decision).and_then(|()| {
            offered_scope(subject.scope(app), &targets, servers, &decision)
                .map_err(Rejection::Exchange)
        });
        let ends_at = subject.expires_at();
        let ends_at = actor.as_ref().map_or(ends_at, |it| it.expires_at.min(ends_at));
        Ok(Weighed { user, scope, targets, actor: actor_id, prior_actors, via, ends_at })
    }
}

impl Right for DerivedRight {
    async fn claim<S: Store>(
        self,
        store: &S,
        _: &Decided<'_>,
        _: &mut AuditTrail<'_>,
    ) -> Result<Claimed, EndpointError> {
        // Not the date of the claim: a revocation that overlaps the checks covers the token.
        let claimed = Claimed { authorized_at: self.authorized_at, successor: None };
        let Some(claim) = self.claim else { return Ok(claimed) };
        match store.claim_assertion(&claim).await? {
            ClaimAssertion::First { .. } => Ok(claimed),
            ClaimAssertion::Replayed => Err(ExchangeRefusal::Replayed.into()),
            ClaimAssertion::Revoked => Err(ExchangeRefusal::Subject(TokenFault::Revoked).into()),
            ClaimAssertion::AppInactive => Err(Rejection::AppDisabled.into()),
        }
    }
}

impl From<ExchangeRefusal> for EndpointError {
    fn from(refusal: ExchangeRefusal) -> Self {
        Rejection::Exchange(refusal).into()
    }
}

/// Checks that the app has this grant.
pub(super) fn check_flow(app: &CustomApp) -> Result<(), Rejection> {
    let confidential = app.settings().client_type() == ClientType::Confidential;
    if confidential && app.may_use(Flow::TokenExchange) {
        Ok(())
    } else {
        Err(Rejection::FlowNotAllowed(TokenExchange::TYPE))
    }
}

/// Checks that the subject is a user, and the actor an app that acts for itself.
pub(super) fn check_subjects(
    app: &CustomApp,
    subject: &VerifiedSubject,
    actor: Option<&AccessTokenClaims>,
) -> Result<(), ExchangeRefusal> {
    let of_app = |token: &AccessTokenClaims| token.subject.is_client(&token.client_id);
    if subject.own().is_some_and(|own| of_app(own) || own.subject.is_client(app.client_id())) {
        Err(ExchangeRefusal::Subject(TokenFault::WrongSubject))
    } else if actor.is_some_and(|token| !of_app(token)) {
        Err(ExchangeRefusal::Actor(TokenFault::WrongSubject))
    } else {
        Ok(())
    }
}

/// Returns what the derived token descends from.
///
/// The own token of the app itself adds no parent: the derived token is the app's, and judged with it.
fn lineage(
    subject: &VerifiedSubject,
    actor: Option<&AccessTokenClaims>,
    app: &CustomApp,
) -> Vec<Parent> {
    let mut via = subject.parents(app.client_id());
    if let Some(actor) = actor.filter(|actor| actor.client_id != *app.client_id()) {
        let parent = AccessFacts::from(actor).to_parent();
        via.push(Parent { subject: Some(actor.subject.clone()), ..parent });
    }
    via
}

/// Returns the use of a subject token that is good for one use.
fn claim_of(
    subject: &VerifiedSubject,
    app: &CustomApp,
    facts: &RequestFacts<'_>,
) -> Option<Box<AssertionClaim>> {
    let jti = subject.single_use()?;
    // For the largest skew: a later edit of the record must not make a used token usable.
    let skew = Duration::from_secs(TrustedIssuer::MAX_CLOCK_SKEW.into());
    Some(Box::new(AssertionClaim {
        client_id: app.client_id().clone(),
        purpose: AssertionPurpose::Grant,
        jti,
        expires_at: claim_expiry(subject.expires_at(), skew),
        grant: None,
        makes_row: false,
        now: facts.now,
    }))
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
    of_subject: Scope,
    targets: &Resources,
    servers: &[ResourceServer],
    decision: &Decision<'_>,
) -> Result<Scope, ExchangeRefusal> {
    let mut scope = match decision.scope() {
        Some(ceiling) => of_subject.intersection(&ceiling),
        None => of_subject,
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
