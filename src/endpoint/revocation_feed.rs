//! The feed of revocations, for APIs that check tokens themselves without access to the store.

use crate::audit::Action;
use crate::endpoint::client_authentication::PresentedCredentials;
use crate::endpoint::context::Context;
use crate::endpoint::form_request::{FormRequest, refuse_doubled};
use crate::endpoint::trace::Trace;
use crate::error::{EndpointError, Rejection};
use crate::observe::Step;
use crate::store::{FeedCursor, RevocationFeed, Store};

/// The most entries of a page.
const PAGE: usize = 1_000;

impl<S: Store, U: Sync, H: Sync> Context<S, U, H> {
    /// Answers a reader of the feed, and records how it ended.
    pub(crate) async fn revocations(
        &self,
        request: &FormRequest<'_>,
        cursor: FeedCursor,
    ) -> Result<RevocationFeed, EndpointError> {
        let now = self.clock.now();
        let mut trace = Trace::new(Action::ReadRevocations, now, request);
        let answer = self.read_on(request, cursor, &mut trace).await;
        self.record(trace, &answer);
        answer
    }

    async fn read_on(
        &self,
        request: &FormRequest<'_>,
        cursor: FeedCursor,
        trace: &mut Trace<'_>,
    ) -> Result<RevocationFeed, EndpointError> {
        let form = request.form()?;
        refuse_doubled(&form, PresentedCredentials::PARAMETERS.into_iter())?;
        let credentials = PresentedCredentials::read(request, &form)?;
        trace.enter(Step::Client);
        let app = self.authenticate_confidential(credentials, trace).await?;
        // The feed names every app and user, so only resource servers may read it.
        if self.resource_servers_of(app.client_id()).next().is_none() {
            return Err(Rejection::NotAResourceServer.into());
        }
        trace.enter(Step::Claim);
        Ok(self.store.revocations_since(cursor, PAGE, trace.now()).await?)
    }
}
