//! The feed of revocations: where an API that checks tokens by itself, without the store at hand,
//! learns what was revoked.

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

const KNOWN: [&str; 4] =
    ["client_id", "client_secret", "client_assertion_type", "client_assertion"];

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
        refuse_doubled(&form, &KNOWN)?;
        let credentials = PresentedCredentials::read(request, &form)?;
        trace.enter(Step::Client);
        let app = self.authenticate_confidential(credentials, trace).await?;
        // It tells of every app and user: only who has to check their tokens may know.
        if self.resource_servers_of(app.client_id()).next().is_none() {
            return Err(Rejection::NotAResourceServer.into());
        }
        trace.enter(Step::Claim);
        Ok(self.store.revocations_since(cursor, PAGE, trace.now()).await?)
    }
}
