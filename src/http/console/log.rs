//! The audit log as pages read it, of any store.

use std::pin::Pin;

use crate::audit::usage::{AppUsage, UsageHistory};
use crate::audit::{AuditQuery, AuditStore, EventId, StoredEvent};
use crate::clock::UnixTime;
use crate::ids::ClientId;
use crate::store::{Listing, Page, StoreError};

type Answer<'a, T> = Pin<Box<dyn Future<Output = Result<T, StoreError>> + Send + 'a>>;

/// An [`AuditStore`] that is read only, without its type.
pub(super) trait Log: Send + Sync {
    /// Returns the usage of each app.
    fn usages<'a>(&'a self, apps: &'a [ClientId]) -> Answer<'a, Vec<AppUsage>>;

    /// Returns the usage of an app in total, and on each day from one instant to another.
    fn history<'a>(
        &'a self,
        app: &'a ClientId,
        from: UnixTime,
        to: UnixTime,
    ) -> Answer<'a, UsageHistory>;

    /// Finds events, newest first.
    fn events<'a>(
        &'a self,
        query: &'a AuditQuery,
        page: Page<EventId>,
    ) -> Answer<'a, Listing<StoredEvent, EventId>>;
}

impl<L: AuditStore> Log for L {
    fn usages<'a>(&'a self, apps: &'a [ClientId]) -> Answer<'a, Vec<AppUsage>> {
        Box::pin(self.usage_of_each(apps))
    }

    fn history<'a>(
        &'a self,
        app: &'a ClientId,
        from: UnixTime,
        to: UnixTime,
    ) -> Answer<'a, UsageHistory> {
        Box::pin(self.usage_history(app, from, to))
    }

    fn events<'a>(
        &'a self,
        query: &'a AuditQuery,
        page: Page<EventId>,
    ) -> Answer<'a, Listing<StoredEvent, EventId>> {
        Box::pin(self.find_events(query, page))
    }
}
