//! [`AppRegistry`] in memory.

use std::collections::hash_map::Entry;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::listing::FirstOf;
use super::terms::KnownTerms;
use super::{MemoryStore, write};
use crate::app::{AppOrigin, CustomApp};
use crate::ids::ClientId;
use crate::store::app_registry::{fold, folded_text};
use crate::store::{
    AppQuery, AppRegistry, AppsVersion, DeleteApp, InsertApp, Listing, Page, StoreError, UpdateApp,
};

/// An app in its place.
pub(super) struct Registered {
    pub(super) app: Arc<CustomApp>,
    /// The folded text for searches.
    folded: Box<str>,
    /// The terms of its grants, of those that were made since the app last changed.
    pub(super) terms: KnownTerms,
}

impl Registered {
    fn new(app: CustomApp) -> Self {
        let folded = folded_text(&app).into();
        Self { app: Arc::new(app), folded, terms: KnownTerms::default() }
    }
}

impl MemoryStore {
    /// Counts a change of `app`, as it is before a change or after its insertion. The caller holds the lock of the
    /// apps.
    fn count_change(&self, app: &CustomApp) {
        if !app.origin().is_self_described() {
            self.apps_version.fetch_add(1, Ordering::Relaxed);
        }
    }
}

impl AppRegistry for MemoryStore {
    async fn find_app(&self, client_id: &ClientId) -> Result<Option<Arc<CustomApp>>, StoreError> {
        Ok(self.apps().get(client_id).map(|it| Arc::clone(&it.app)))
    }

    async fn insert_app(&self, app: CustomApp) -> Result<InsertApp, StoreError> {
        match self.apps_mut().entry(app.client_id().clone()) {
            Entry::Occupied(_) => Ok(InsertApp::AlreadyExists),
            Entry::Vacant(vacant) => {
                self.count_change(&vacant.insert(Registered::new(app)).app);
                Ok(InsertApp::Inserted)
            }
        }
    }

    async fn update_app(
        &self,
        app: CustomApp,
        expected_version: u64,
    ) -> Result<UpdateApp, StoreError> {
        match self.apps_mut().get_mut(app.client_id()) {
            None => Ok(UpdateApp::NotFound),
            Some(stored) if stored.app.version() != expected_version => Ok(UpdateApp::Conflict),
            Some(stored) => {
                self.count_change(&stored.app);
                *stored = Registered::new(app);
                Ok(UpdateApp::Updated)
            }
        }
    }

    async fn delete_app(
        &self,
        client_id: &ClientId,
        expected_version: u64,
    ) -> Result<DeleteApp, StoreError> {
        let mut apps = self.apps_mut();
        match apps.get(client_id) {
            None => Ok(DeleteApp::NotFound),
            Some(stored) if stored.app.version() != expected_version => Ok(DeleteApp::Conflict),
            Some(stored) => {
                self.count_change(&stored.app);
                write(&self.consents).retain(|(of_app, _), _| of_app != client_id);
                apps.remove(client_id);
                Ok(DeleteApp::Deleted)
            }
        }
    }

    async fn list_apps(
        &self,
        query: &AppQuery,
        page: Page<ClientId>,
    ) -> Result<Listing<Arc<CustomApp>, ClientId>, StoreError> {
        let mut first = FirstOf::new(page);
        let text = query.text.as_deref().map(fold);
        for Registered { app, folded, .. } in self.apps().values() {
            if first.wants(app.client_id())
                && text.as_ref().is_none_or(|text| folded.contains(text))
                && query.admits(app)
            {
                first.put(app.client_id().clone(), Arc::clone(app));
            }
        }
        Ok(first.into_listing())
    }

    async fn count_self_registered_apps(&self, most: usize) -> Result<usize, StoreError> {
        let apps = self.apps();
        let own = apps.values().filter(|it| it.app.origin() == AppOrigin::SelfRegistered);
        Ok(own.take(most).count())
    }

    async fn apps_version(&self) -> Result<AppsVersion, StoreError> {
        // Locked, so that it is not seen before the change that it counts.
        let _apps = self.apps();
        let version = self.apps_version.load(Ordering::Relaxed);
        Ok(AppsVersion { version, seen: self.clock.present() })
    }
}
