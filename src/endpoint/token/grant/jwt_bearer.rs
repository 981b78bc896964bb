//! The JWT bearer grant: RFC 7523 section 2.1, with impersonation.

use std::sync::Arc;
use std::time::Duration;

use super::{
    Claimed, Grant, Offer, OfferedResource, Origin, ProofContext, Right, Valid, evidence, narrowed,
    required,
};
use crate::app::policy::{Decision, Evidence, decide};
use crate::app::{AssertionKeys, CustomApp, Flow, JtiRule, JwtSettings, TrustedIssuer};
use crate::clock::UnixTime;
use crate::endpoint::audit_trail::AuditTrail;
use crate::endpoint::client_authentication::{AuthenticatedApp, claim_expiry};
use crate::endpoint::context::Context;
use crate::endpoint::request_facts::RequestFacts;
use crate::endpoint::token::decide::Decided;
use crate::endpoint::trusted_issuers::Trust;
use crate::error::{EndpointError, Fault, Rejection};
use crate::ids::{GrantId, Resource, Subject};
use crate::jwt::assertion::{AssertionRules, VerifiedAssertion};
use crate::jwt::{Algorithm, AssertionError, VerifyingKey, VerifyingKeys};
use crate::protocol::form::Form;
use crate::protocol::grant_type::GrantType;
use crate::protocol::resources::Resources;
use crate::protocol::scope::Scope;
use crate::secret::Digest;
use crate::server_secret::Sealing;
use crate::server_secret::handle::{Salt, new_grant_names};
use crate::store::{AssertionClaim, AssertionPurpose, ClaimAssertion, Grant as GrantRow, Store};
use crate::users::{DirectoryError, User, UserDirectory};

pub(in crate::endpoint::token) struct JwtBearer;

/// The right to use an assertion. If the app gets a refresh token, the claim makes the row of the grant,
/// which begins at generation 1, and `salt` is its salt.
pub(in crate::endpoint::token) struct AssertionRight {
    claim: AssertionClaim,
    salt: Option<Salt>,
}

impl Grant for JwtBearer {
    const TYPE: GrantType = GrantType::JwtBearer;
    const PARAMETERS: &'static [&'static str] = &["assertion"];
    type Presented<'f> = &'f str;
    type Proof<'f> = Proof;
    type Right = AssertionRight;

    fn read<'f>(form: &'f Form<'_>) -> Result<Self::Presented<'f>, Rejection> {
        required(form, "assertion")
    }

    fn assertion<'f>(assertion: &Self::Presented<'f>) -> Option<&'f str> {
        Some(assertion)
    }

    fn prove<'f>(
        assertion: Self::Presented<'f>,
        app: &CustomApp,
        against: &ProofContext<'_>,
    ) -> Result<Self::Proof<'f>, EndpointError> {
        if let Some(trust) = against.trust.filter(|trust| is_foreign(app, trust)) {
            let verified = evidence::prove(app, trust, against)?;
            return Ok(Proof::OfIssuer(verified, Arc::clone(&trust.record)));
        }
        let jwt = settings(app)?;
        let secret_key;
        let (keys, fitting) = match jwt.assertion_keys() {
            AssertionKeys::Keys(keys) => (keys, Algorithm::ALL),
            AssertionKeys::SignatureSecret => {
                secret_key = signature_key(app, against.sealing)?;
                (&secret_key, &[Algorithm::HS256][..])
            }
        };
        let token_endpoint = std::slice::from_ref(against.token_endpoint_url);
        let by_url = jwt.allows_token_endpoint_audience();
        let rules = AssertionRules {
            purpose: AssertionPurpose::Grant,
            client_id: app.client_id(),
            issuer: issuer(app, jwt),
            user_claim: jwt.user_claim(),
            audience: jwt.audience().unwrap_or(against.issuer.as_str()),
            endpoints: if by_url { token_endpoint } else { &[] },
            keys,
            algorithms: if jwt.algorithms().is_empty() { fitting } else { jwt.algorithms() },
            max_lifetime: seconds(jwt.max_lifetime()),
            needs_jti: jwt.jti() == JtiRule::Required,
            clock_skew: seconds(jwt.clock_skew()),
        };
        let verified = rules.verify(assertion, against.now);
        Ok(Proof::Own(verified.map_err(Rejection::Assertion)?))
    }

    fn name<'p>(proof: &'p Self::Proof<'_>) -> Option<&'p [u8]> {
        let jti = match proof {
            Proof::Own(verified) => &verified.jti,
            Proof::OfIssuer(verified, _) => &verified.common().jti,
        };
        // Without a `jti` it may be used again and again.
        jti.as_ref().map(|jti| &jti.as_bytes()[..])
    }

    async fn validate<S: Store, U: UserDirectory, H: Sync>(
        proof: Self::Proof<'_>,
        app: &AuthenticatedApp,
        context: &Context<S, U, H>,
        facts: &RequestFacts<'_>,
        trail: &mut AuditTrail<'_>,
    ) -> Result<Valid<AssertionRight>, EndpointError> {
        let verified = match proof {
            Proof::Own(verified) => verified,
            Proof::OfIssuer(verified, record) => {
                return Box::pin(of_issuer(verified, &record, app, context, facts, trail)).await;
            }
        };
        let jwt = settings(app)?;
        let user = named_user(&context.users, jwt, &verified.subject).await?;
        let user = user.ok_or(Rejection::UnknownUser)?;
        trail.concerns(&user.subject);
        trail.flow = Some(Flow::JwtBearer);
        let decision = decide_own(app, &user);
        trail.decided_by(&decision, &[]);
        let scope = permitted_scope(app, &decision)?;
        let (grant_id, salt) = if issues_refresh_token(app, jwt) {
            let (grant_id, salt) = new_grant_names(&*context.random)?;
            (grant_id, Some(salt))
        } else {
            (facts.rowless_grant_id(), None)
        };
        trail.grant_id = Some(grant_id);
        let origin = origin(app, user, grant_id);
        let offer = Offer { signed_scope: verified.scope, ..offer(app, jwt, scope, facts.now) };
        let (jti, expires_at) = use_of(verified.jti, verified.expires_at, grant_id, facts.now);
        let claim = AssertionClaim {
            client_id: app.client_id().clone(),
            purpose: AssertionPurpose::Grant,
            jti,
            expires_at,
            grant: Some(new_grant(app, &origin, &offer, salt, facts)),
            makes_row: salt.is_some(),
            now: facts.now,
        };
        Ok(Valid::new(origin, offer, AssertionRight { claim, salt }))
    }
}

/// The proof of an assertion.
pub(in crate::endpoint::token) enum Proof {
    /// The app signed it.
    Own(VerifiedAssertion),
    /// A trusted issuer signed it.
    OfIssuer(evidence::Verified, Arc<TrustedIssuer>),
}

/// Checks whether an assertion of a trusted issuer is to be taken as one. An app whose own assertions have the same
/// `iss` keeps them.
fn is_foreign(app: &CustomApp, trust: &Trust<'_>) -> bool {
    let is_own = |jwt| issuer(app, jwt) == trust.record.issuer().as_str();
    !app.settings().jwt().is_some_and(is_own) || trust.token.is_id_jag()
}

/// Returns the name under which the use of an assertion is claimed, and until when it is kept.
fn use_of(
    jti: Option<Digest>,
    expires_at: UnixTime,
    grant_id: GrantId,
    now: UnixTime,
) -> (Digest, UnixTime) {
    match jti {
        // For the largest skew: a later edit of the app must not make a used assertion usable.
        Some(jti) => (jti, claim_expiry(expires_at, seconds(JwtSettings::MAX_CLOCK_SKEW))),
        // A fresh name: the claim dates the grant, and refuses no later use.
        None => (Digest::of_fields(&[grant_id.as_bytes()]), claim_expiry(now, Duration::ZERO)),
    }
}

/// Validates an assertion of a trusted issuer. It never gives a refresh token: the issuer decides again.
async fn of_issuer<S: Store, U: UserDirectory, H: Sync>(
    verified: evidence::Verified,
    record: &TrustedIssuer,
    app: &AuthenticatedApp,
    context: &Context<S, U, H>,
    facts: &RequestFacts<'_>,
    trail: &mut AuditTrail<'_>,
) -> Result<Valid<AssertionRight>, EndpointError> {
    let decided = evidence::decide_on(&verified, app, record, &context.users, facts.now).await?;
    match &decided.user {
        Some(user) => trail.concerns(&user.subject),
        None if decided.decision.outcome().is_ok() => trail.concerns(&app.client_id().into()),
        None => {}
    }
    trail.flow = Some(Flow::JwtBearer);
    trail.decided_by(&decided.decision, verified.actors());
    let grant_id = facts.rowless_grant_id();
    Rejection::by_policy(&decided.decision)?;
    trail.grant_id = Some(grant_id);
    let (name, end) = (verified.common().jti, verified.common().expires_at);
    let user = decided.user;
    let scope = permitted_scope(app, &decided.decision)?;
    let (origin, offer) =
        evidence::access(verified, scope, user, app, record, grant_id, facts.now)?;
    let (jti, expires_at) = use_of(name, end, grant_id, facts.now);
    let claim = AssertionClaim {
        client_id: app.client_id().clone(),
        purpose: AssertionPurpose::Grant,
        jti,
        expires_at,
        grant: Some(new_grant(app, &origin, &offer, None, facts)),
        makes_row: false,
        now: facts.now,
    };
    Ok(Valid::new(origin, offer, AssertionRight { claim, salt: None }))
}

impl Right for AssertionRight {
    async fn claim<S: Store>(
        self,
        store: &S,
        decided: &Decided<'_>,
        _: &mut AuditTrail<'_>,
    ) -> Result<Claimed, EndpointError> {
        let Self { mut claim, salt } = self;
        if let Some(row) = claim.grant.as_mut().filter(|_| claim.makes_row) {
            row.scope = decided.scope().clone();
            // Later tokens are for the API of the first, even if the app's default changes.
            row.resources = Resource::new(decided.audience()).ok().map(Resources::from);
        }
        let authorized_at = match store.claim_assertion(&claim).await? {
            ClaimAssertion::First { authorized_at } => authorized_at,
            ClaimAssertion::Replayed => {
                return Err(Rejection::AssertionReplayed(AssertionPurpose::Grant).into());
            }
            ClaimAssertion::Revoked => return Err(Rejection::Overtaken.into()),
            ClaimAssertion::AppInactive => return Err(Rejection::AppDisabled.into()),
        };
        match (claim.grant, salt) {
            (Some(row), Some(salt)) => {
                Ok(Claimed::with_successor(authorized_at, row.grant_id, salt, row.generation))
            }
            _ => Ok(Claimed { authorized_at, successor: None }),
        }
    }
}

/// Returns the settings of an app that has this grant.
pub(in crate::endpoint::token) fn settings(app: &CustomApp) -> Result<&JwtSettings, Rejection> {
    let jwt = app.settings().jwt().filter(|_| app.may_use(Flow::JwtBearer));
    jwt.ok_or(Rejection::FlowNotAllowed(JwtBearer::TYPE))
}

/// Returns the `iss` of the app's assertions.
pub(in crate::endpoint::token) fn issuer<'a>(app: &'a CustomApp, jwt: &'a JwtSettings) -> &'a str {
    jwt.issuer().unwrap_or(app.client_id().as_str())
}

/// Returns the key of an app that signs with its signature secret.
fn signature_key(app: &CustomApp, sealing: &Sealing) -> Result<VerifyingKeys, EndpointError> {
    let sealed = app.credentials().signature_secret.as_ref();
    // An app without a signature secret cannot have signed with it.
    let sealed = sealed.ok_or(Rejection::Assertion(AssertionError::UnknownKey))?;
    let opened = sealing.open(app.client_id(), sealed);
    let secret = opened.map_err(|_| Fault::SealedSecret)?;
    VerifyingKey::from_hmac_secret(secret.expose_secret().as_bytes())
        .and_then(|key| VerifyingKeys::new(vec![key]))
        .map_err(|_| Fault::SealedSecret.into())
}

/// Finds the user that the assertion names. By `sub`, the directory must return the same subject: a
/// directory that folds case must not widen the policy.
pub(in crate::endpoint::token) async fn named_user<U: UserDirectory>(
    users: &U,
    jwt: &JwtSettings,
    name: &str,
) -> Result<Option<User>, DirectoryError> {
    if jwt.user_claim() != "sub" {
        return users.find_user_by_claim(jwt.user_claim(), name).await;
    }
    let Ok(subject) = Subject::new(name) else { return Ok(None) };
    Ok(users.find_user(&subject).await?.filter(|user| user.subject == subject))
}

/// Decides whether the app may act as `user` on an assertion of its own.
pub(in crate::endpoint::token) fn decide_own<'a>(app: &'a CustomApp, user: &User) -> Decision<'a> {
    // No rule about an app's own assertion depends on the time.
    let now = UnixTime::EPOCH;
    decide(app.client_id(), app.settings(), &Evidence::OwnAssertion, Some(user), now)
}

/// Returns the most scope that the app gets by a decision of the policy engine.
pub(in crate::endpoint::token) fn permitted_scope(
    app: &CustomApp,
    decision: &Decision<'_>,
) -> Result<Scope, Rejection> {
    Rejection::by_policy(decision)?;
    narrowed(app.settings().scope(), decision.scope().as_deref())
}

/// Returns the origin of an impersonation.
pub(in crate::endpoint::token) fn origin(app: &CustomApp, user: User, grant_id: GrantId) -> Origin {
    Origin {
        grant_id,
        subject: user.subject.clone(),
        user: Some(user),
        actor: Some(app.client_id().clone()),
        device: None,
        auth_time: None,
        circumstances: None,
        via: Vec::new(),
    }
}

/// Returns the offer of an impersonation without a signed scope.
pub(in crate::endpoint::token) fn offer(
    app: &CustomApp,
    jwt: &JwtSettings,
    scope: Scope,
    now: UnixTime,
) -> Offer {
    let settings = app.settings();
    let lifetime = if issues_refresh_token(app, jwt) {
        settings.refresh_token_lifetime()
    } else {
        settings.access_token_lifetime()
    };
    let ends_at = now.plus(seconds(lifetime));
    Offer { scope, signed_scope: None, resource: OfferedResource::Open, ends_at }
}

pub(in crate::endpoint::token) fn issues_refresh_token(app: &CustomApp, jwt: &JwtSettings) -> bool {
    app.settings().issues_refresh_token() && jwt.issues_refresh_token()
}

/// Returns an impersonation, without the scope and the API, which are decided later. Without `salt` it gets
/// no row.
fn new_grant(
    app: &CustomApp,
    origin: &Origin,
    offer: &Offer,
    salt: Option<Salt>,
    facts: &RequestFacts<'_>,
) -> GrantRow {
    let (id, client_id) = (origin.grant_id, app.client_id().clone());
    let mut row = GrantRow::new(id, client_id, origin.subject.clone(), Scope::empty());
    row.actor.clone_from(&origin.actor);
    row.circumstances.clone_from(&origin.circumstances);
    if let Some(salt) = salt {
        row.salt_digest = salt.digest(&id);
    }
    row.authorized_at = facts.date;
    row.expires_at = offer.ends_at;
    row.generation = 1;
    row.rotated_at = facts.now;
    row
}

const fn seconds(seconds: u32) -> Duration {
    Duration::from_secs(seconds as u64)
}
