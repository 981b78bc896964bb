//! Assertions of trusted issuers at the JWT bearer grant: identity assertions about users (ID-JAG), and tokens of
//! workloads.

use std::time::Duration;

use super::{Offer, OfferedResource, Origin, ProofContext, narrowed};
use crate::app::policy::{Decision, Evidence, Refusal, Workload, decide};
use crate::app::{ClientType, CustomApp, Flow, TrustedIssuer, UserTrust};
use crate::clock::UnixTime;
use crate::endpoint::trusted_issuers::Trust;
use crate::error::Rejection;
use crate::ids::{GrantId, Subject};
use crate::jwt::evidence::{
    EvidenceRules, IdJagRules, UserClaims, UserRules, VerifiedIdJag, VerifiedWorkload,
};
use crate::jwt::{Circumstances, PriorActor, VerifyingKeys};
use crate::protocol::grant_type::GrantType;
use crate::protocol::scope::Scope;
use crate::users::{DirectoryError, User, UserDirectory};

/// A verified assertion of a trusted issuer.
#[derive(Debug)]
pub(in crate::endpoint::token) enum Verified {
    IdJag(Box<VerifiedIdJag>),
    Workload(VerifiedWorkload),
}

impl Verified {
    pub(super) const fn common(&self) -> &crate::jwt::evidence::Evidence {
        match self {
            Self::IdJag(claims) => &claims.evidence,
            Self::Workload(workload) => &workload.evidence,
        }
    }

    /// Returns the actors before the app, latest first.
    pub(in crate::endpoint::token) fn actors(&self) -> &[PriorActor] {
        match self {
            Self::IdJag(claims) => &claims.user.actors,
            Self::Workload(_) => &[],
        }
    }
}

/// Verifies an assertion of a trusted issuer. The header says which kind it is.
pub(in crate::endpoint::token) fn prove(
    app: &CustomApp,
    trust: &Trust<'_>,
    against: &ProofContext<'_>,
) -> Result<Verified, Rejection> {
    if !app.may_use(Flow::JwtBearer) {
        return Err(Rejection::FlowNotAllowed(GrantType::JwtBearer));
    }
    let (token, record) = (trust.token, &*trust.record);
    let keys = trust.keys().ok_or(Rejection::IssuerKeysUnavailable)?;
    let mut rules = rules_of(record, keys, against);
    let verified = if token.is_id_jag() {
        // Section 8.1: a public app asks the user.
        if app.settings().client_type() == ClientType::Public {
            return Err(Rejection::PublicApp);
        }
        let users = record.id_jag();
        let rules = IdJagRules {
            evidence: rules,
            users: user_rules(record, users),
            client_id: app.client_id(),
            requires_resource: users.is_some_and(|users| users.requires_resource),
        };
        rules.verify(token, against.now).map(|claims| Verified::IdJag(Box::new(claims)))
    } else {
        rules.audience = record.workload_audience().unwrap_or(rules.audience);
        rules.verify_workload(token, against.now).map(Verified::Workload)
    };
    verified.map_err(Rejection::Assertion)
}

/// Returns the rules for every token of a trusted issuer.
pub(super) fn rules_of<'a>(
    record: &'a TrustedIssuer,
    keys: &'a VerifyingKeys,
    against: &ProofContext<'a>,
) -> EvidenceRules<'a> {
    EvidenceRules {
        issuer: record.issuer().as_str(),
        audience: against.issuer.as_str(),
        keys,
        algorithms: record.algorithms(),
        max_lifetime: Duration::from_secs(record.max_lifetime().into()),
        clock_skew: Duration::from_secs(record.clock_skew().into()),
        reuse: record.allows_reuse(),
    }
}

/// Returns the rules for claims about a user. `trust` is that for this kind of token.
pub(super) fn user_rules<'a>(
    record: &'a TrustedIssuer,
    trust: Option<&'a UserTrust>,
) -> UserRules<'a> {
    UserRules {
        issuer: record.issuer().as_str(),
        tenant: record.tenant(),
        user_claim: trust.and_then(|trust| trust.user_claim.as_deref()),
    }
}

/// The user that evidence is about, and the decision of the policy engine.
pub(in crate::endpoint::token) struct Decided<'a> {
    pub(in crate::endpoint::token) user: Option<User>,
    pub(in crate::endpoint::token) decision: Decision<'a>,
}

/// Finds the user, and decides.
pub(in crate::endpoint::token) async fn decide_on<'a, U: UserDirectory>(
    verified: &'a Verified,
    app: &'a CustomApp,
    record: &'a TrustedIssuer,
    users: &U,
    now: UnixTime,
) -> Result<Decided<'a>, DirectoryError> {
    let (client_id, settings) = (app.client_id(), app.settings());
    let evidence = match verified {
        Verified::IdJag(_) => Evidence::IdentityAssertion(record),
        Verified::Workload(it) => Evidence::Workload(Workload {
            issuer: record,
            subject: &it.evidence.subject,
            claims: &it.claims,
        }),
    };
    let decision = decide(client_id, settings, &evidence, None, now);
    // The directory is asked only if the rest of the record allows.
    let (Verified::IdJag(claims), Err(Refusal::UnknownUser), Some(trust)) =
        (verified, decision.outcome(), record.id_jag())
    else {
        return Ok(Decided { user: None, decision });
    };
    let (subject, user) = (&claims.evidence.subject, &claims.user);
    let user = find_user(subject, user, record, trust, users).await?;
    let decision = decide(client_id, settings, &evidence, user.as_ref(), now);
    Ok(Decided { user, decision })
}

/// Finds the user that a trusted issuer calls `subject`: by the host's link, by the claim of the record, by a verified
/// address.
pub(super) async fn find_user<U: UserDirectory>(
    subject: &str,
    claims: &UserClaims,
    record: &TrustedIssuer,
    trust: &UserTrust,
    users: &U,
) -> Result<Option<User>, DirectoryError> {
    let linked = users.find_linked_user(record.issuer(), subject).await?;
    if linked.is_some() {
        return Ok(linked);
    }
    if let (Some(claim), Some(value)) = (&trust.user_claim, &claims.user_claim) {
        let found = if claim == "sub" || claim == "aud_sub" {
            let Ok(subject) = Subject::new(value.as_str()) else { return Ok(None) };
            users.find_user(&subject).await?.filter(|user| user.subject == subject)
        } else {
            users.find_user_by_claim(claim, value).await?
        };
        if found.is_some() {
            return Ok(found);
        }
    }
    match claims.email.as_deref().filter(|_| trust.by_email) {
        Some(address) => users.find_user_by_claim("email", address).await,
        None => Ok(None),
    }
}

/// Returns the access to `scope` that the decision allows: for the user, or for the app itself.
pub(in crate::endpoint::token) fn access(
    verified: Verified,
    scope: Scope,
    user: Option<User>,
    app: &CustomApp,
    record: &TrustedIssuer,
    grant_id: GrantId,
    now: UnixTime,
) -> Result<(Origin, Offer), Rejection> {
    let mut circumstances = Circumstances {
        evidence_issuer: Some(record.issuer().clone()),
        ..Circumstances::default()
    };
    let lifetime = Duration::from_secs(app.settings().access_token_lifetime().into());
    let mut offer = Offer {
        scope,
        signed_scope: None,
        resource: OfferedResource::Open,
        ends_at: now.plus(lifetime),
    };
    let mut auth_time = None;
    if let Verified::IdJag(claims) = verified {
        // The issuer does not know the policy of this server: what both allow is granted.
        let user = claims.user;
        if let Some(signed) = user.scope {
            let ceiling = Scope::parse(&signed).map_err(|_| Rejection::MalformedScope)?;
            offer.scope = narrowed(&offer.scope, Some(&ceiling))?;
        }
        if let Some(resources) = claims.resources {
            offer.resource = OfferedResource::Decided(Some(resources));
        }
        auth_time = user.auth_time;
        circumstances.prior_actors = user.actors;
        circumstances.acr = user.acr;
        circumstances.amr = user.amr;
    }
    let acts_for = user.as_ref();
    let origin = Origin {
        grant_id,
        subject: acts_for.map_or_else(|| app.client_id().into(), |user| user.subject.clone()),
        actor: acts_for.map(|_| app.client_id().clone()),
        user,
        device: None,
        via: Vec::new(),
        auth_time,
        circumstances: Some(Box::new(circumstances)),
    };
    Ok((origin, offer))
}
