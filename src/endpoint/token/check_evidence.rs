//! The decision about an assertion of a trusted issuer, and about an exchange: the grants without their claims, for
//! administrators.

use std::fmt;
use std::sync::Arc;

use serde_json::{Map, Value};

use super::grant::subject_token::SubjectTokenType;
use super::grant::token_exchange::{Presented, TokenExchange};
use super::grant::{Grant, check_subject, evidence, jwt_bearer};
use crate::app::CustomApp;
use crate::app::policy::DecisionRecord;
use crate::audit::Action;
use crate::endpoint::audit_trail::AuditTrail;
use crate::endpoint::context::Context;
use crate::error::{EndpointError, ExchangeRefusal, Fault, Rejection};
use crate::ids::EvidenceIssuer;
use crate::jwt::evidence::{DecodedToken, UnverifiedToken};
use crate::jwt::{Algorithm, AssertionError};
use crate::protocol::grant_type::GrantType;
use crate::protocol::scope::Scope;
use crate::store::Store;
use crate::users::{User, UserDirectory};

/// An exchange for [`Admin::check_exchange`](crate::admin::Admin::check_exchange), as the parameters of the request
/// would say it (RFC 8693 section 2.1).
#[derive(Clone, Copy)]
#[non_exhaustive]
pub struct ExchangeQuestion<'a> {
    /// The token of the user.
    pub subject_token: &'a str,
    /// The type by which the request calls it. It decides which verifier the token gets.
    pub subject_token_type: SubjectTokenType,
    /// The own token of the app that shall act, an access token of this server. `None`: the app itself.
    pub actor_token: Option<&'a str>,
    /// The APIs, each by its URI, or by the client id of its app as the parameter `audience` has it. None means the only
    /// target of the app's policy.
    pub targets: &'a [&'a str],
}

impl<'a> ExchangeQuestion<'a> {
    /// Creates a question without actor token and targets.
    #[must_use]
    pub const fn new(subject_token: &'a str, subject_token_type: SubjectTokenType) -> Self {
        Self { subject_token, subject_token_type, actor_token: None, targets: &[] }
    }

    /// Sets the own token of the app that shall act.
    #[must_use]
    pub const fn with_actor(self, actor_token: &'a str) -> Self {
        Self { actor_token: Some(actor_token), ..self }
    }

    /// Sets the APIs.
    #[must_use]
    pub const fn with_targets(self, targets: &'a [&'a str]) -> Self {
        Self { targets, ..self }
    }
}

impl fmt::Debug for ExchangeQuestion<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ExchangeQuestion")
            .field("subject_token_type", &self.subject_token_type)
            .field("targets", &self.targets)
            .finish_non_exhaustive()
    }
}

/// The answer to [`Admin::check_evidence`](crate::admin::Admin::check_evidence) and
/// [`check_exchange`](crate::admin::Admin::check_exchange): whether an app may act on a token, and the rule that
/// decided.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct EvidenceCheck {
    /// The app.
    pub app: Arc<CustomApp>,
    /// The trusted issuer that the token names, verified or not. That of an access token of this server is `None`.
    pub issuer: Option<EvidenceIssuer>,
    /// The user that was found. A workload has none.
    pub user: Option<User>,
    /// The claims of the token, if the issuer has signed it. A refusal may come of one of them.
    pub claims: Option<Map<String, Value>>,
    /// The decision of the [policy engine](crate::app::policy), if the token is genuine.
    pub decision: Option<DecisionRecord>,
    /// The most scope that the app gets, or the refusal of the token endpoint. A disabled app is refused first.
    pub answer: Result<Scope, Rejection>,
}

impl EvidenceCheck {
    fn of(app: Arc<CustomApp>) -> Self {
        let answer = Ok(Scope::empty());
        Self { app, issuer: None, user: None, claims: None, decision: None, answer }
    }

    fn answered(self, answer: Result<Scope, EndpointError>) -> Result<Self, Fault> {
        match answer {
            Ok(scope) => Ok(Self { answer: Ok(scope), ..self }),
            Err(EndpointError::Rejected { rejection, .. }) => {
                Ok(Self { answer: Err(rejection), ..self })
            }
            Err(EndpointError::Failed(fault) | EndpointError::Unavailable(fault)) => Err(fault),
        }
    }
}

impl<S: Store, U: UserDirectory, H: Sync> Context<S, U, H> {
    /// Checks an assertion of a trusted issuer that `app` would present.
    pub(crate) async fn check_evidence(
        &self,
        app: Arc<CustomApp>,
        assertion: &str,
    ) -> Result<EvidenceCheck, Fault> {
        let mut check = EvidenceCheck::of(app);
        let answer = self.weigh(assertion, &mut check).await;
        check.answered(answer)
    }

    /// Checks an exchange that `app` would ask for.
    pub(crate) async fn check_exchange(
        &self,
        app: Arc<CustomApp>,
        question: &ExchangeQuestion<'_>,
    ) -> Result<EvidenceCheck, Fault> {
        let mut check = EvidenceCheck::of(app);
        let answer = self.weigh_exchange(question, &mut check).await;
        check.answered(answer)
    }

    async fn weigh_exchange(
        &self,
        question: &ExchangeQuestion<'_>,
        check: &mut EvidenceCheck,
    ) -> Result<Scope, EndpointError> {
        if !self.exchanges_tokens {
            return Err(Rejection::UnsupportedGrantType.into());
        }
        let now = self.clock.now();
        let presented = Presented::of_question(question);
        let is_foreign = TokenExchange::evidence(&presented).is_some();
        let parts = DecodedToken::new(question.subject_token).ok();
        let token = parts.as_ref().map(UnverifiedToken::of);
        let record = self.issuer_of(token.as_ref().filter(|_| is_foreign), now).await?;
        check.issuer = record.as_ref().map(|record| record.issuer().clone());
        let app = Arc::clone(&check.app);
        if !app.is_enabled() {
            return Err(Rejection::AppDisabled.into());
        }
        let trust = match record.zip(token.as_ref()) {
            Some((record, token)) => Some(self.trust(record, token, None, now).await?),
            None if is_foreign => return Err(ExchangeRefusal::UnknownIssuer.into()),
            None => None,
        };
        check.claims = match &trust {
            Some(trust) => trust
                .keys()
                .and_then(|keys| trust.token.signed_json(keys, trust.record.algorithms())),
            None => token
                .as_ref()
                .and_then(|it| it.signed_json(self.keys.at(now).verifying(), Algorithm::ALL)),
        };
        let against = self.proof_context(trust.as_ref(), now);
        let exchange = TokenExchange::prove(presented, &app, &against)?;
        let grant_type = Some(GrantType::TokenExchange);
        let mut trail = AuditTrail::of_question(Action::IssueToken { grant_type });
        let weighed = exchange.weigh(&app, self, now, &mut trail).await;
        check.decision = trail.take_decision();
        let weighed = weighed?;
        check.user = weighed.user;
        let scope = weighed.scope?;
        if let Some(user) = &check.user {
            check_subject(&user.subject, app.client_id())?;
        }
        Ok(scope)
    }

    async fn weigh(
        &self,
        assertion: &str,
        check: &mut EvidenceCheck,
    ) -> Result<Scope, EndpointError> {
        let now = self.clock.now();
        let parts = DecodedToken::new(assertion);
        let parts = parts.map_err(|_| Rejection::Assertion(AssertionError::Iss))?;
        let token = UnverifiedToken::of(&parts);
        let record = self.issuer_of(Some(&token), now).await?;
        let record = record.ok_or(Rejection::Assertion(AssertionError::Iss))?;
        check.issuer = Some(record.issuer().clone());
        let app = Arc::clone(&check.app);
        if !app.is_enabled() {
            return Err(Rejection::AppDisabled.into());
        }
        let trust = self.trust(Arc::clone(&record), &token, None, now).await?;
        let claims = |keys| token.signed_json(keys, record.algorithms());
        check.claims = trust.keys().and_then(claims);
        let against = self.proof_context(Some(&trust), now);
        let verified = evidence::prove(&app, &trust, &against)?;
        let decided = evidence::decide_on(&verified, &app, &record, &self.users, now).await?;
        check.decision = Some(decided.decision.record(verified.actors()));
        check.user = decided.user;
        let scope = jwt_bearer::permitted_scope(&app, &decided.decision)?;
        if let Some(user) = &check.user {
            check_subject(&user.subject, app.client_id())?;
        }
        Ok(scope)
    }
}
