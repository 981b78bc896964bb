//! Identity assertions for another authorization server: a token exchange whose requested type is ID-JAG
//! (draft-ietf-oauth-identity-assertion-authz-grant-03 section 4.3).
//!
//! An app presents an access token that this server issued to it for a user, and gets an assertion that says to the
//! other server who the user is. It gives nothing here, has no row, and lives for five minutes at most.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use super::Grant as _;
use super::required;
use super::subject_token::{ACCESS_TOKEN, VerifiedSubject, verify_own};
use super::token_exchange::{TokenExchange, check_flow, check_subjects};
use crate::app::delegation::names_actor;
use crate::app::policy::{Decision, Evidence, EvidenceKind, Refusal, decide};
use crate::app::{CustomApp, DelegationRule, DelegationTarget, Flow, IdJagAudience, SubjectToken};
use crate::audit::Action;
use crate::clock::UnixTime;
use crate::endpoint::audit_trail::AuditTrail;
use crate::endpoint::client_authentication::PresentedCredentials;
use crate::endpoint::context::Context;
use crate::endpoint::form_request::{FormRequest, refuse_duplicates};
use crate::endpoint::request_facts::RequestFacts;
use crate::endpoint::token::TokenResponse;
use crate::endpoint::token::request::known;
use crate::error::{EndpointError, ExchangeRefusal, Rejection};
use crate::hooks::Hooks;
use crate::ids::Resource;
use crate::jwt::KeyUse;
use crate::jwt::evidence::{ID_JAG, ID_JAG_TYPE, NewIdJag};
use crate::observe::Step;
use crate::protocol::form::Form;
use crate::protocol::grant_type::GrantType;
use crate::protocol::scope::{NarrowError, Scope};
use crate::secret::AccessToken;
use crate::store::Store;
use crate::users::{User, UserDirectory};

/// The longest lifetime of an assertion.
const MAX_LIFETIME: Duration = Duration::from_mins(5);

/// The parameters, unchecked.
struct Presented<'f> {
    subject: &'f str,
    audience: &'f str,
    resources: Vec<Resource>,
    scope: Option<&'f str>,
}

impl<'f> Presented<'f> {
    fn read(form: &'f Form<'_>) -> Result<Self, Rejection> {
        let names = known().chain(TokenExchange::PARAMETERS.iter().copied());
        refuse_duplicates(form, names, &["resource"])?;
        let subject = required(form, "subject_token")?;
        if required(form, "subject_token_type")? != ACCESS_TOKEN {
            return Err(Rejection::UnsupportedParameter("subject_token_type"));
        }
        // The assertion is about the user that the app acts for by itself.
        for name in ["actor_token", "actor_token_type"] {
            if form.get(name).is_some() {
                return Err(Rejection::UnsupportedParameter(name));
            }
        }
        let audience = required(form, "audience")?;
        let resources = form.all("resource").filter(|text| !text.is_empty());
        let resources = resources.map(Resource::new).collect::<Result<_, _>>();
        let resources = resources.map_err(|_| Rejection::MalformedResource)?;
        let scope = form.get("scope").filter(|scope| !scope.trim_matches(' ').is_empty());
        Ok(Self { subject, audience, resources, scope })
    }
}

impl<S: Store, U: UserDirectory, H: Hooks> Context<S, U, H> {
    /// Answers a request for an identity assertion.
    #[expect(
        clippy::manual_async_fn,
        reason = "the compiler cannot derive that an async fn which borrows from the form is Send \
                  (rust-lang/rust#100013)"
    )]
    pub(in crate::endpoint::token) fn issue_id_jag(
        &self,
        request: &FormRequest<'_>,
        form: &Form<'_>,
        facts: &RequestFacts<'_>,
        trail: &mut AuditTrail<'_>,
    ) -> impl Future<Output = Result<TokenResponse, EndpointError>> + Send {
        async move {
            let asked = Presented::read(form)?;
            let credentials = PresentedCredentials::read(request, form)?;
            trail.action = Action::IssueToken { grant_type: Some(GrantType::TokenExchange) };
            trail.enter(Step::Client);
            self.store.refresh().await?;
            let client = self.authenticate(credentials, None, facts, trail).await?;
            trail.enter(Step::Grant);
            let against = self.proof_context(None, facts.now);
            let prove = |app: &CustomApp, _: &mut AuditTrail<'_>| {
                check_flow(app)?;
                let token = verify_own(asked.subject, &against);
                Ok(token.map_err(ExchangeRefusal::Subject)?)
            };
            let (app, token) = self.admit(client, prove, |_| None, facts, trail)?;
            trail.concerns(&token.subject);
            trail.flow = Some(Flow::TokenExchange);
            let subject = VerifiedSubject::Own(Box::new(token));
            check_subjects(&app, &subject, None)?;
            let user = self.permitted_user(&app, &subject, asked.audience, facts, trail).await?;
            trail.enter(Step::Scope);
            let policy = app.settings().delegation();
            let target = policy.and_then(|policy| policy.id_jag_for(asked.audience));
            let target = target.ok_or_else(not_listed)?;
            let scope = narrowed_scope(target, asked.scope)?;
            let resource = listed_resources(target, &asked.resources)?;
            trail.decided(&scope, Resource::new(asked.audience).ok().as_ref());
            trail.enter(Step::Mint);
            let expires_at = facts.now.plus(MAX_LIFETIME).min(subject.expires_at());
            let actors = subject.actors();
            let (auth_time, circumstances) = subject.into_authentication();
            let (iat, exp) = (facts.now.as_seconds(), expires_at.as_seconds());
            let claims = NewIdJag {
                iss: &self.issuer,
                sub: &user.subject,
                aud: &target.audience,
                client_id: &target.client_id,
                jti: URL_SAFE_NO_PAD.encode(facts.token_id()),
                exp,
                iat,
                scope: scope.as_str(),
                resource,
                auth_time: auth_time.map(UnixTime::as_seconds),
                acr: circumstances.acr.as_ref(),
                amr: &circumstances.amr,
                act: NewIdJag::act(&actors),
            };
            let payload = serde_json::to_vec(&claims).unwrap_or_default();
            let signed = self.keys.sign(KeyUse::AccessToken, facts.now, ID_JAG_TYPE, &payload);
            let assertion = AccessToken::new(signed.await?);
            let response = TokenResponse::new(assertion, exp.saturating_sub(iat), scope, None);
            Ok(TokenResponse { token_type: "N_A", issued_token_type: Some(ID_JAG), ..response })
        }
    }

    /// Returns the user that the app may tell the other server about.
    async fn permitted_user(
        &self,
        app: &CustomApp,
        subject: &VerifiedSubject,
        audience: &str,
        facts: &RequestFacts<'_>,
        trail: &mut AuditTrail<'_>,
    ) -> Result<User, EndpointError> {
        // An assertion for this server would be one of an issuer that it does not trust.
        if audience == self.issuer.as_str() {
            return Err(not_listed().into());
        }
        let client_id = app.client_id();
        let (actors, via, may_act) =
            (subject.actors(), subject.parents(client_id), subject.may_act());
        let evidence = Evidence::SubjectToken(SubjectToken {
            policy: app.settings().delegation(),
            source: subject.source(),
            is_for_app: subject.is_for(client_id, &self.resource_servers, &self.issuer),
            target: DelegationTarget::Server(audience),
            actor: client_id,
            may_act: may_act.is_none_or(|it| names_actor(it, client_id, &self.issuer)),
            actors: actors.len(),
            impersonated: subject.is_impersonated(),
        });
        let judge =
            |user: Option<&User>| decide(client_id, app.settings(), &evidence, user, facts.now);
        let permitted = |trail: &mut AuditTrail<'_>, decision: &Decision<'_>| {
            trail.decided_by(decision, &actors);
            trail.descends_from(&via);
            Rejection::by_policy(decision)
        };
        // Before the store is asked: the answer must not tell an app about a token that is not for it.
        let without_user = judge(None);
        if without_user.outcome() != Err(Refusal::UnknownUser) {
            permitted(trail, &without_user)?;
        }
        let user = self.user_of(subject, client_id).await?.ok_or(Rejection::UnknownUser)?;
        permitted(trail, &judge(Some(&user)))?;
        Ok(user)
    }
}

const fn not_listed() -> Rejection {
    let refusal = Refusal::Delegation(DelegationRule::TargetNotListed);
    Rejection::PolicyRefused(EvidenceKind::SubjectToken, refusal)
}

/// Returns the scope of the assertion: all that the policy lists for the server, or the part that the request asks for.
fn narrowed_scope(target: &IdJagAudience, asked: Option<&str>) -> Result<Scope, Rejection> {
    let Some(asked) = asked else { return Ok(target.scope.clone()) };
    target.scope.narrow(asked).map_err(|error| match error {
        NarrowError::Invalid(_) => Rejection::MalformedScope,
        NarrowError::TooWide { .. } => Rejection::Exchange(ExchangeRefusal::ScopeTooWide),
    })
}

/// Returns the APIs of the assertion, as the policy spells them: all that it lists for the server, or those that the
/// request asks for.
fn listed_resources<'a>(
    target: &'a IdJagAudience,
    asked: &[Resource],
) -> Result<Vec<&'a Resource>, Rejection> {
    if asked.is_empty() {
        return Ok(target.resources.iter().collect());
    }
    let listed = |asked: &Resource| {
        target.resources.iter().find(|own| own.is_equivalent(asked)).ok_or_else(not_listed)
    };
    asked.iter().map(listed).collect()
}
