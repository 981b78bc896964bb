//! The end of registrations that are not used.

use super::Registrations;
use crate::app::{AppOrigin, CustomApp};
use crate::audit::{Action, Actor, AuditEvent};
use crate::clock::UnixTime;
use crate::endpoint::context::Context;
use crate::ids::ClientId;
use crate::observe::Outcome;
use crate::store::{AppQuery, DeleteApp, GrantFilter, Page, Pruned, Store, StoreError, UpdateApp};

/// The part of the idle lifetime after which a prune looks again whether an app has access.
const LOOKS: u32 = 4;

impl<S: Store, U: Sync, H: Sync> Context<S, U, H> {
    /// Deletes the unused among the next `limit` apps that describe themselves. Each call goes on where the one before
    /// ended, and begins anew after the last.
    pub(crate) async fn prune_registrations(
        &self,
        now: UnixTime,
        limit: usize,
    ) -> Result<Pruned, StoreError> {
        let Some(registrations) = self.registrations.as_deref() else {
            return Ok(Pruned { removed: 0, more: false });
        };
        let page = Page::first(limit.clamp(1, Page::<()>::MAX_LIMIT));
        let page = match registrations.pruned_to() {
            Some(last) => page.after(last),
            None => page,
        };
        let query = AppQuery::all().self_described(true);
        let listing = self.store.list_apps(&query, page).await?;
        let mut removed = 0_usize;
        for app in &listing.items {
            if self.prune_registered(registrations, app, now).await? {
                removed = removed.saturating_add(1);
            }
        }
        registrations.count.forget(removed).await;
        let more = listing.next.is_some();
        registrations.prune_after(listing.next);
        Ok(Pruned { removed, more })
    }

    /// Deletes `app` if it is not used, or notes that it is. An app that an administrator disabled stays, and so stays
    /// disabled.
    async fn prune_registered(
        &self,
        registrations: &Registrations,
        app: &CustomApp,
        now: UnixTime,
    ) -> Result<bool, StoreError> {
        if app.origin() != AppOrigin::SelfRegistered || !app.is_enabled() {
            return Ok(false);
        }
        let rules = &registrations.rules;
        let used_at = app.registration().and_then(|registration| registration.used_at);
        let unused_until = app.created_at().plus(rules.unused_lifetime);
        let (looks_at, ends_at) = used_at.map_or((unused_until, unused_until), |at| {
            (at.plus(rules.idle_lifetime / LOOKS), at.plus(rules.idle_lifetime))
        });
        if now < looks_at {
            return Ok(false);
        }
        if self.has_grants(app.client_id()).await? {
            let used = app.edited(now, |edit| {
                edit.registration.get_or_insert_default().used_at = Some(now);
            });
            // Another change came first: the next prune looks again.
            let _: UpdateApp = self.store.update_app(used, app.version()).await?;
            return Ok(false);
        }
        if now < ends_at
            || self.store.delete_app(app.client_id(), app.version()).await? != DeleteApp::Deleted
        {
            return Ok(false);
        }
        // A user may have given access since the look. The same source would register the same client id again.
        if self.has_grants(app.client_id()).await? {
            self.end_access(app.client_id(), now).await?;
        }
        let event = AuditEvent::new(now, Actor::Server, Action::DeleteApp, Outcome::Success);
        let event = event.with_app(app.client_id());
        self.usage.record(&event);
        self.audit.record(&event);
        Ok(true)
    }

    /// Checks whether the app has a grant, ended or not.
    pub(super) async fn has_grants(&self, client_id: &ClientId) -> Result<bool, StoreError> {
        let filter = GrantFilter::all().of_app(client_id.clone());
        let listing = self.store.list_grants(&filter, Page::first(1)).await?;
        Ok(!listing.items.is_empty())
    }
}
