//! Storage of the apps.

use std::sync::Arc;

use super::{Listing, Page, StoreError};
use crate::app::{AppOrigin, CustomApp, Flow};
use crate::clock::UnixTime;
use crate::ids::ClientId;

/// A selection of apps to list.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct AppQuery {
    /// Only apps whose name or description contains this text, in any case.
    pub text: Option<String>,
    /// Only enabled or only disabled apps.
    pub enabled: Option<bool>,
    /// Only apps that the host's configuration manages, or only others.
    pub declared: Option<bool>,
    /// Only apps that describe themselves, or only others.
    pub self_described: Option<bool>,
    /// Only apps with this flow.
    pub flow: Option<Flow>,
}

impl AppQuery {
    /// Selects every app.
    #[must_use]
    pub fn all() -> Self {
        Self::default()
    }

    /// Selects only apps whose name or description contains `text`, in any case.
    #[must_use]
    pub fn containing(mut self, text: impl Into<String>) -> Self {
        self.text = Some(text.into());
        self
    }

    /// Selects only apps that are enabled (`true`) or disabled (`false`).
    #[must_use]
    pub fn enabled(mut self, enabled: bool) -> Self {
        self.enabled = Some(enabled);
        self
    }

    /// Selects only apps that the host's configuration manages (`true`) or does not (`false`).
    #[must_use]
    pub fn declared(mut self, declared: bool) -> Self {
        self.declared = Some(declared);
        self
    }

    /// Selects only apps that [describe themselves](crate::app::AppOrigin::is_self_described) (`true`), or only
    /// others (`false`).
    #[must_use]
    pub fn self_described(mut self, self_described: bool) -> Self {
        self.self_described = Some(self_described);
        self
    }

    /// Selects only apps with `flow`.
    #[must_use]
    pub fn with_flow(mut self, flow: Flow) -> Self {
        self.flow = Some(flow);
        self
    }

    /// Checks whether the query selects `app`.
    #[must_use]
    pub fn admits(&self, app: &CustomApp) -> bool {
        let text = self.text.as_ref().is_none_or(|text| {
            let text = fold(text);
            fold(app.settings().name()).contains(&text)
                || fold(app.settings().description()).contains(&text)
        });
        text && self.enabled.is_none_or(|enabled| enabled == app.is_enabled())
            && self.declared.is_none_or(|declared| declared == app.origin().is_declared())
            && self.self_described.is_none_or(|asked| asked == app.origin().is_self_described())
            && self.flow.is_none_or(|flow| app.settings().allows(flow))
    }

    /// Returns how many apps each of two statements finds for a page of `limit`. The second is needed only if apps
    /// are among them that the query does not select, because a program changed them that does not know
    /// the columns for searches.
    #[cfg(any(feature = "postgres", feature = "sqlite"))]
    pub(crate) const fn reads(limit: usize) -> [usize; 2] {
        let first = limit.saturating_add(1);
        [first, 2_000_usize.saturating_sub(first)]
    }
}

/// Folds a text for comparison in any case.
pub(in crate::store) fn fold(text: &str) -> String {
    text.to_lowercase()
}

/// Returns what a search looks at, folded: name and description.
pub(in crate::store) fn folded_text(app: &CustomApp) -> String {
    // Folded apart, because the case of a letter may depend on its neighbours.
    [&fold(app.settings().name()), "\n", &fold(app.settings().description())].concat()
}

/// The answer of [`AppRegistry::insert_app`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum InsertApp {
    /// The app is registered.
    Inserted,
    /// An app with this client id exists. Nothing was stored.
    AlreadyExists,
}

/// The answer of [`AppRegistry::update_app`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum UpdateApp {
    /// The app was replaced.
    Updated,
    /// The stored version differs: another edit was first. Nothing was stored.
    Conflict,
    /// No such app exists.
    NotFound,
}

/// The answer of [`AppRegistry::delete_app`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum DeleteApp {
    /// The app was removed.
    Deleted,
    /// The stored version differs: an edit was first. Nothing was removed.
    Conflict,
    /// No such app existed.
    NotFound,
}

/// The answer of [`AppRegistry::apps_version`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_structs, reason = "hosts' stores make it")]
pub struct AppsVersion {
    /// A number that grows with every change of the apps, except for those that describe themselves.
    pub version: u64,
    /// An instant of the store's clock, as [`GrantStore::seen`](super::GrantStore::seen) returns it.
    pub seen: UnixTime,
}

/// Storage of the apps of one issuer, by client id.
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
    /// [`StoreError`] if it cannot tell.
    fn find_app(
        &self,
        client_id: &ClientId,
    ) -> impl Future<Output = Result<Option<Arc<CustomApp>>, StoreError>> + Send;

    /// Finds an app as it is now, past any cache: an administrator who reads that an app is disabled can
    /// rely on it.
    ///
    /// The default, for stores without a cache, is [`find_app`](Self::find_app).
    ///
    /// # Errors
    ///
    /// [`StoreError`] if it cannot tell.
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
    /// [`StoreError`] if the app may or may not have been stored.
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
    /// * Versions are compared for equality. An app that is registered again under the client id of a
    ///   deleted one has others, so a change that was made for that one is a conflict.
    /// * From that instant every method of [`GrantStore`](super::GrantStore) honours whether the app is
    ///   enabled.
    ///
    /// # Errors
    ///
    /// [`StoreError`] if the app may or may not have been replaced.
    fn update_app(
        &self,
        app: CustomApp,
        expected_version: u64,
    ) -> impl Future<Output = Result<UpdateApp, StoreError>> + Send;

    /// Removes an app if its stored version is `expected_version`. From that instant every method of
    /// [`GrantStore`](super::GrantStore) refuses its grants.
    ///
    /// # Contract
    ///
    /// * Comparison and removal are one atomic step.
    /// * Consents to the app are forgotten: an app that is registered again under its client id inherits
    ///   none.
    ///
    /// # Errors
    ///
    /// [`StoreError`] if the app may or may not have been removed.
    fn delete_app(
        &self,
        client_id: &ClientId,
        expected_version: u64,
    ) -> impl Future<Output = Result<DeleteApp, StoreError>> + Send;

    /// Lists apps in the order of their client ids.
    ///
    /// # Contract
    ///
    /// * The listing has the apps that [`AppQuery::admits`] selects, and no others.
    /// * A caller that goes on while there is a [`next`](Listing::next) sees each of them. If the query selects
    ///   by more than `enabled`, a page may have fewer apps than its limit, even none, and still name a key to
    ///   go on after: a database has no index for the rest, and reads 2,000 apps for a page at most.
    ///
    /// # Errors
    ///
    /// [`StoreError`] if it cannot tell.
    fn list_apps(
        &self,
        query: &AppQuery,
        page: Page<ClientId>,
    ) -> impl Future<Output = Result<Listing<Arc<CustomApp>, ClientId>, StoreError>> + Send;

    /// Counts the apps that registered themselves ([`AppOrigin::SelfRegistered`]), up to `most`.
    ///
    /// The default lists the apps that describe themselves, page by page. A database should count by an index: each
    /// process of a server with [registration](crate::ServerBuilder::registration) asks once a minute.
    ///
    /// # Contract
    ///
    /// The answer is the number of these apps, or `most` if there are more. It includes every change that was answered
    /// before.
    ///
    /// # Errors
    ///
    /// [`StoreError`] if it cannot tell.
    fn count_self_registered_apps(
        &self,
        most: usize,
    ) -> impl Future<Output = Result<usize, StoreError>> + Send {
        async move {
            let query = AppQuery::all().self_described(true);
            let mut apps = 0_usize;
            let mut next = Some(Page::first(Page::<()>::MAX_LIMIT));
            while let Some(page) = next.filter(|_| apps < most) {
                let listing = self.list_apps(&query, page.clone()).await?;
                let own =
                    listing.items.iter().filter(|it| it.origin() == AppOrigin::SelfRegistered);
                apps = apps.saturating_add(own.count());
                next = listing.next.map(|last| page.after(last));
            }
            Ok(apps.min(most))
        }
    }

    /// Prepares for a request. A cache asks here what other processes have changed, if that is due: a
    /// revocation that it learns of then does not overlap the request.
    ///
    /// The default, for stores without a cache, does nothing.
    ///
    /// # Errors
    ///
    /// [`StoreError`] if the store does not answer. The request fails.
    fn refresh(&self) -> impl Future<Output = Result<(), StoreError>> + Send {
        async { Ok(()) }
    }

    /// Returns a number that grows with every change of the apps that administrators and the host's configuration
    /// manage, by any process, and an instant. [`CachedApps`](super::CachedApps) uses it to tell whether its entries
    /// are valid.
    ///
    /// # Contract
    ///
    /// * Every insertion, update and removal that was made adds one at least. None of many concurrent ones
    ///   is missed.
    /// * The insertion of an app that [describes itself](AppOrigin::is_self_described) adds nothing, and neither does
    ///   the update or removal of an app that described itself until then: strangers cause them, and they would make
    ///   every process read every app again. A cache keeps such an app, and the absence of an app, no longer than its
    ///   bound.
    /// * A change and its number become visible in one step: a caller that reads the number finds the apps
    ///   as that change left them, or later. It is read from the primary.
    /// * Every revocation before the instant is in force.
    ///
    /// In SQL it is a row of its own that the statement of the change increments. A sequence would not do:
    /// it advances before the change is committed.
    ///
    /// # Errors
    ///
    /// [`StoreError`] if it cannot tell.
    fn apps_version(&self) -> impl Future<Output = Result<AppsVersion, StoreError>> + Send;
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

    async fn delete_app(
        &self,
        client_id: &ClientId,
        expected_version: u64,
    ) -> Result<DeleteApp, StoreError> {
        T::delete_app(self, client_id, expected_version).await
    }

    async fn list_apps(
        &self,
        query: &AppQuery,
        page: Page<ClientId>,
    ) -> Result<Listing<Arc<CustomApp>, ClientId>, StoreError> {
        T::list_apps(self, query, page).await
    }

    async fn count_self_registered_apps(&self, most: usize) -> Result<usize, StoreError> {
        T::count_self_registered_apps(self, most).await
    }

    async fn refresh(&self) -> Result<(), StoreError> {
        T::refresh(self).await
    }

    async fn apps_version(&self) -> Result<AppsVersion, StoreError> {
        T::apps_version(self).await
    }
}
