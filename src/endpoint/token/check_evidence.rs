//! The decision about an assertion of a trusted issuer: the JWT bearer grant without its claim, for administrators.

use std::sync::Arc;

use serde_json::{Map, Value};

use super::grant::{check_subject, evidence, jwt_bearer};
use crate::app::CustomApp;
use crate::app::policy::DecisionRecord;
use crate::endpoint::context::Context;
use crate::error::{EndpointError, Fault, Rejection};
use crate::ids::EvidenceIssuer;
use crate::jwt::AssertionError;
use crate::jwt::evidence::signed_claims;
use crate::protocol::scope::Scope;
use crate::store::Store;
use crate::users::{User, UserDirectory};

/// The answer to [`Admin::check_evidence`](crate::admin::Admin::check_evidence): whether an app may act on an
/// assertion of a trusted issuer, and the rule that decided.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct EvidenceCheck {
    /// The app.
    pub app: Arc<CustomApp>,
    /// The trusted issuer that the assertion names, verified or not.
    pub issuer: Option<EvidenceIssuer>,
    /// The user that was found. A workload has none.
    pub user: Option<User>,
    /// The claims of the assertion, if the issuer has signed it. A refusal may come of one of them.
    pub claims: Option<Map<String, Value>>,
    /// The decision of the [policy engine](crate::app::policy), if the assertion is genuine.
    pub decision: Option<DecisionRecord>,
    /// The most scope that the app gets, or the refusal of the token endpoint. A disabled app is refused first.
    pub answer: Result<Scope, Rejection>,
}

impl<S: Store, U: UserDirectory, H: Sync> Context<S, U, H> {
    /// Checks an assertion of a trusted issuer that `app` would present.
    pub(crate) async fn check_evidence(
        &self,
        app: Arc<CustomApp>,
        assertion: &str,
    ) -> Result<EvidenceCheck, Fault> {
        let answer = Ok(Scope::empty());
        let mut check =
            EvidenceCheck { app, issuer: None, user: None, claims: None, decision: None, answer };
        match self.weigh(assertion, &mut check).await {
            Ok(scope) => check.answer = Ok(scope),
            Err(EndpointError::Rejected { rejection, .. }) => check.answer = Err(rejection),
            Err(EndpointError::Failed(fault) | EndpointError::Unavailable(fault)) => {
                return Err(fault);
            }
        }
        Ok(check)
    }

    async fn weigh(
        &self,
        assertion: &str,
        check: &mut EvidenceCheck,
    ) -> Result<Scope, EndpointError> {
        let now = self.clock.now();
        let record = self.issuer_of(Some(assertion), now).await?;
        let record = record.ok_or(Rejection::Assertion(AssertionError::Iss))?;
        check.issuer = Some(record.issuer().clone());
        let app = Arc::clone(&check.app);
        if !app.is_enabled() {
            return Err(Rejection::AppDisabled.into());
        }
        let trust = self.trust(Arc::clone(&record), assertion, None, now).await?;
        let claims = |keys| signed_claims(assertion, keys, record.algorithms());
        check.claims = trust.keys().and_then(claims);
        let against = self.proof_context(Some(&trust), now);
        let verified = evidence::prove(assertion, &app, &trust, &against)?;
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
