//! The end of rows of described apps that no user uses any more.

use std::sync::{MutexGuard, PoisonError};
use std::time::Duration;

use super::Documents;
use crate::app::AppOrigin;
use crate::audit::{Action, Actor, AuditEvent};
use crate::clock::UnixTime;
use crate::endpoint::context::Context;
use crate::ids::ClientId;
use crate::observe::Outcome;
use crate::store::{AppQuery, DeleteApp, GrantFilter, Page, Pruned, Store, StoreError};

/// How long a row without a grant stays after its last change: its first grant comes a moment after it.
const IDLE: Duration = Duration::from_hours(1);
/// The number of apps that one call looks at.
const MAX_CHECKED: usize = 200;
/// Sorts right before every client id that is the URL of a document.
const BEFORE_URLS: &str = "https:/";

impl<S: Store, U: Sync, H: Sync> Context<S, U, H> {
    /// Removes the rows of described apps without a grant, among the next 200 apps. A disabled app stays: it must not come back
    /// by its document. A user who approves the app at that very instant may have to ask the app to start again.
    pub(crate) async fn prune_described(
        &self,
        now: UnixTime,
        limit: usize,
    ) -> Result<Pruned, StoreError> {
        let mut removed = 0_usize;
        let Some(documents) = self.documents.as_deref() else {
            return Ok(Pruned { removed, more: false });
        };
        let mut page = Page::first(MAX_CHECKED.min(limit));
        page.after = documents.pruned().clone().or_else(|| ClientId::new(BEFORE_URLS).ok());
        let query = AppQuery::all().enabled(true).self_described(true);
        let listing = self.store.list_apps(&query, page).await?;
        for app in listing.items {
            let is_idle = app.updated_at().plus(IDLE) <= now;
            if app.origin() != AppOrigin::Document || !is_idle {
                continue;
            }
            let of_app = GrantFilter::all().of_app(app.client_id().clone());
            if !self.store.list_grants(&of_app, Page::first(1)).await?.items.is_empty() {
                continue;
            }
            if self.store.delete_app(app.client_id(), app.version()).await? != DeleteApp::Deleted {
                continue;
            }
            removed = removed.saturating_add(1);
            let event = AuditEvent::new(now, Actor::Server, Action::DeleteApp, Outcome::Success);
            let event = event.with_app(app.client_id());
            self.usage.record(&event);
            self.audit.record(&event);
        }
        documents.rows.forget(removed).await;
        *documents.pruned() = listing.next;
        Ok(Pruned { removed, more: false })
    }
}

impl Documents {
    /// Returns the last app that a round has looked at. No code panics while it holds the lock.
    fn pruned(&self) -> MutexGuard<'_, Option<ClientId>> {
        self.pruned.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
