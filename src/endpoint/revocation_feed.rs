//! The feed of revocations, for APIs that check tokens themselves without access to the store.

use crate::audit::Action;
use crate::endpoint::audit_trail::{Answered, AuditTrail};
use crate::endpoint::client_authentication::PresentedCredentials;
use crate::endpoint::context::Context;
use crate::endpoint::form_request::{FormRequest, refuse_duplicates};
use crate::endpoint::request_facts::RequestFacts;
use crate::error::{EndpointError, Rejection};
use crate::hooks::Hooks;
use crate::observe::Step;
use crate::store::{FeedCursor, RevocationFeed, Store};

/// The most entries in a page.
const PAGE: usize = 1_000;

impl<S: Store, U: Sync, H: Hooks> Context<S, U, H> {
    /// Answers a request for the feed, and records how it ended.
    pub(crate) async fn revocations(
        &self,
        request: &FormRequest<'_>,
        cursor: FeedCursor,
    ) -> Answered<RevocationFeed> {
        let facts = RequestFacts::new(&*self.clock, request);
        let mut trail = AuditTrail::new(Action::ReadRevocations, request, &*self.audit);
        let result = self.read_on(request, cursor, &facts, &mut trail).await;
        self.record(&facts, trail, result)
    }

    async fn read_on(
        &self,
        request: &FormRequest<'_>,
        cursor: FeedCursor,
        facts: &RequestFacts<'_>,
        trail: &mut AuditTrail<'_>,
    ) -> Result<RevocationFeed, EndpointError> {
        let form = request.form()?;
        refuse_duplicates(&form, PresentedCredentials::PARAMETERS.into_iter(), &[])?;
        let credentials = PresentedCredentials::read(request, &form)?;
        trail.enter(Step::Client);
        let app = self.authenticate_confidential(credentials, facts, trail).await?;
        if app.origin().is_self_described() {
            return Err(Rejection::SelfDescribedApp.into());
        }
        // The feed names every app and user, so only resource servers may read it.
        if self.resource_servers_of(app.client_id()).next().is_none() {
            return Err(Rejection::NotAResourceServer.into());
        }
        trail.enter(Step::Claim);
        Ok(self.store.revocations_since(cursor, PAGE, facts.now).await?)
    }
}
