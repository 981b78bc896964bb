//! Where the apps are kept.

use std::sync::Arc;

use super::{Listing, Page, StoreError};
use crate::app::CustomApp;
use crate::ids::ClientId;

/// Which apps to list.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct AppQuery {
    /// Only apps whose name or description contains this text, in any case.
    pub text: Option<String>,
    /// Only enabled or only disabled apps.
    pub enabled: Option<bool>,
}

impl AppQuery {
    /// Every app.
    #[must_use]
    pub fn all() -> Self {
        Self::default()
    }

    /// Only apps whose name or description contains `text`, in any case.
    #[must_use]
    pub fn containing(mut self, text: impl Into<String>) -> Self {
        self.text = Some(text.into());
        self
    }

    /// Only apps that are enabled (`true`) or disabled (`false`).
    #[must_use]
    pub fn enabled(mut self, enabled: bool) -> Self {
        self.enabled = Some(enabled);
        self
    }

    /// Whether `app` is asked for.
    #[must_use]
    pub fn admits(&self, app: &CustomApp) -> bool {
        let text = self.text.as_ref().is_none_or(|text| {
            let text = text.to_lowercase();
            app.settings().name().to_lowercase().contains(&text)
                || app.settings().description().to_lowercase().contains(&text)
        });
        text && self.enabled.is_none_or(|enabled| enabled == app.is_enabled())
    }
}

/// What [`AppRegistry::insert_app`] did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum InsertApp {
    /// The app is registered.
    Inserted,
    /// There is an app with this client id. Nothing was stored.
    AlreadyExists,
}

/// What [`AppRegistry::update_app`] did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum UpdateApp {
    /// The app was replaced.
    Updated,
    /// The stored version is another one: somebody else was first. Nothing was stored.
    Conflict,
    /// There is no such app.
    NotFound,
}

/// What [`AppRegistry::delete_app`] did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum DeleteApp {
    /// The app is gone.
    Deleted,
    /// There was no such app.
    NotFound,
}

/// Keeps the apps, by client id.
pub trait AppRegistry: Send + Sync {
    /// Finds an app, enabled or not.
    ///
    /// # Contract
    ///
    /// A change made through this store is seen by the next call in this process; a store with a
    /// cache states how long another process may take.
    ///
    /// # Errors
    ///
    /// [`StoreError`] when it cannot tell.
    fn find_app(
        &self,
        client_id: &ClientId,
    ) -> impl Future<Output = Result<Option<Arc<CustomApp>>, StoreError>> + Send;

    /// Finds an app as it is now, past whatever this process keeps of it. An administrator is told that
    /// an app *is* disabled, and so it has to be.
    ///
    /// A store that keeps nothing leaves this as it is: it is [`find_app`](Self::find_app).
    ///
    /// # Errors
    ///
    /// [`StoreError`] when it cannot tell.
    fn read_app(
        &self,
        client_id: &ClientId,
    ) -> impl Future<Output = Result<Option<Arc<CustomApp>>, StoreError>> + Send {
        self.find_app(client_id)
    }

    /// Registers an app.
    ///
    /// # Contract
    ///
    /// Of any number of calls with one client id exactly one answers [`InsertApp::Inserted`].
    ///
    /// # Errors
    ///
    /// [`StoreError`] when the app may or may not have been stored.
    fn insert_app(
        &self,
        app: CustomApp,
    ) -> impl Future<Output = Result<InsertApp, StoreError>> + Send;

    /// Replaces an app if its stored version is `expected_version`.
    ///
    /// # Contract
    ///
    /// * Comparison and replacement are one atomic step: of any number of calls with one expected
    ///   version exactly one answers [`UpdateApp::Updated`].
    /// * Whether the app is enabled is in force for every method of
    ///   [`GrantStore`](super::GrantStore) from that instant.
    ///
    /// # Errors
    ///
    /// [`StoreError`] when the app may or may not have been replaced.
    fn update_app(
        &self,
        app: CustomApp,
        expected_version: u64,
    ) -> impl Future<Output = Result<UpdateApp, StoreError>> + Send;

    /// Removes an app. From that instant every method of [`GrantStore`](super::GrantStore) refuses
    /// its grants.
    ///
    /// # Contract
    ///
    /// What users agreed to for it is forgotten: an app that is registered again under its client id
    /// inherits nothing.
    ///
    /// # Errors
    ///
    /// [`StoreError`] when the app may or may not have been removed.
    fn delete_app(
        &self,
        client_id: &ClientId,
    ) -> impl Future<Output = Result<DeleteApp, StoreError>> + Send;

    /// Lists apps in the order of their client ids.
    ///
    /// # Errors
    ///
    /// [`StoreError`] when it cannot tell.
    fn list_apps(
        &self,
        query: &AppQuery,
        page: Page<ClientId>,
    ) -> impl Future<Output = Result<Listing<Arc<CustomApp>, ClientId>, StoreError>> + Send;

    /// A number that grows with every change of the apps, by whichever process:
    /// [`CachedApps`](super::CachedApps) asks for it to learn whether what it keeps still holds.
    ///
    /// # Contract
    ///
    /// * Every insertion, update and removal that was made adds one at least. Of many at once none
    ///   is missed.
    /// * A change and its number become visible in one step: whoever is answered the number finds
    ///   the apps as that change left them, or later. It is read from where the apps are written.
    ///
    /// In SQL it is a row of its own that the statement of the change increments, not a sequence: a
    /// sequence moves before the change is committed.
    ///
    /// # Errors
    ///
    /// [`StoreError`] when it cannot tell.
    fn apps_version(&self) -> impl Future<Output = Result<u64, StoreError>> + Send;
}

impl<T: AppRegistry> AppRegistry for Arc<T> {
    async fn find_app(&self, client_id: &ClientId) -> Result<Option<Arc<CustomApp>>, StoreError> {
        T::find_app(self, client_id).await
    }

    async fn read_app(&self, client_id: &ClientId) -> Result<Option<Arc<CustomApp>>, StoreError> {
        T::read_app(self, client_id).await
    }

    async fn insert_app(&self, app: CustomApp) -> Result<InsertApp, StoreError> {
        T::insert_app(self, app).await
    }

    async fn update_app(
        &self,
        app: CustomApp,
        expected_version: u64,
    ) -> Result<UpdateApp, StoreError> {
        T::update_app(self, app, expected_version).await
    }

    async fn delete_app(&self, client_id: &ClientId) -> Result<DeleteApp, StoreError> {
        T::delete_app(self, client_id).await
    }

    async fn list_apps(
        &self,
        query: &AppQuery,
        page: Page<ClientId>,
    ) -> Result<Listing<Arc<CustomApp>, ClientId>, StoreError> {
        T::list_apps(self, query, page).await
    }

    async fn apps_version(&self) -> Result<u64, StoreError> {
        T::apps_version(self).await
    }
}
