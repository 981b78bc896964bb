//! The audit log as pages read it, of any store.

use std::pin::Pin;

use crate::audit::usage::AppUsage;
use crate::audit::{AuditQuery, AuditStore, EventId, StoredEvent};
use crate::ids::ClientId;
use crate::store::{Listing, Page, StoreError};

type Answer<'a, T> = Pin<Box<dyn Future<Output = Result<T, StoreError>> + Send + 'a>>;

/// An [`AuditStore`] that is read only, without its type.
pub(super) trait Log: Send + Sync {
    /// Returns the usage of each app.
    fn usages<'a>(&'a self, apps: &'a [ClientId]) -> Answer<'a, Vec<AppUsage>>;

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

    fn events<'a>(
        &'a self,
        query: &'a AuditQuery,
        page: Page<EventId>,
    ) -> Answer<'a, Listing<StoredEvent, EventId>> {
        Box::pin(self.find_events(query, page))
    }
}
