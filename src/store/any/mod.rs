//! A store that the host chooses at run time.

mod delegation;
mod devices;
mod opening;
mod pending;
mod trusted_issuers;

use std::fmt;
use std::sync::Arc;

pub(crate) use self::delegation::on_any;
#[cfg(any(feature = "sqlite", feature = "postgres"))]
use super::CachedApps;
#[cfg(feature = "postgres")]
use super::PostgresStore;
use super::{MemoryStore, StoreError};
#[cfg(feature = "sqlite")]
use super::{SqliteSettings, SqliteStore};
use crate::ids::Issuer;

/// One of the stores that ship, chosen at run time by its URL.
///
/// | URL | store | feature |
/// | --- | --- | --- |
/// | `memory:` | [`MemoryStore`] | |
/// | `sqlite:PATH` | `SqliteStore` behind [`CachedApps`](super::CachedApps) | `sqlite` |
/// | `postgres://USER:PASSWORD@HOST/DATABASE` | `PostgresStore` behind [`CachedApps`](super::CachedApps) | `postgres` |
///
/// Clones share one store. It is an [`AuditStore`](crate::audit::AuditStore), too.
///
/// A host with settings of its own makes the store itself and converts it (`From`), or makes the variant. A
/// variant gives access to what only this store has, such as
#[cfg_attr(feature = "sqlite", doc = "[`SqliteStore::commits`](super::SqliteStore::commits).")]
#[cfg_attr(not(feature = "sqlite"), doc = "`SqliteStore::commits`.")]
///
/// ```
/// use grantor::store::{AnyStore, AppQuery, AppRegistry, Page};
///
/// # pollster::block_on(async {
/// let store = AnyStore::open("memory:").await?;
/// store.check().await?;
/// assert!(store.list_apps(&AppQuery::all(), Page::first(10)).await?.items.is_empty());
/// store.close().await;
/// # Ok::<(), grantor::store::StoreError>(())
/// # }).unwrap();
/// ```
#[derive(Clone)]
#[non_exhaustive]
pub enum AnyStore {
    /// In the memory of this process.
    Memory(Arc<MemoryStore>),
    /// In a SQLite file.
    #[cfg(feature = "sqlite")]
    #[cfg_attr(docsrs, doc(cfg(feature = "sqlite")))]
    Sqlite(Arc<CachedApps<SqliteStore>>),
    /// In a PostgreSQL database.
    #[cfg(feature = "postgres")]
    #[cfg_attr(docsrs, doc(cfg(feature = "postgres")))]
    Postgres(Arc<CachedApps<PostgresStore>>),
}

impl AnyStore {
    /// Opens the store at `url`, with default settings. Creates missing tables and upgrades old ones.
    ///
    /// A path is taken as it is written, also after `sqlite://`.
    ///
    /// # Errors
    ///
    /// [`StoreError`] if the URL is of another kind, if its store needs a feature that is off, or as
    /// `SqliteStore::open`, `PostgresStore::connect` and `PostgresStore::migrate`. No text holds a password.
    #[cfg_attr(
        not(any(feature = "sqlite", feature = "postgres")),
        expect(clippy::unused_async, reason = "only the databases are async")
    )]
    pub async fn open(url: &str) -> Result<Self, StoreError> {
        match opening::read(url)? {
            opening::Url::Memory => Ok(MemoryStore::new().into()),
            #[cfg(feature = "sqlite")]
            opening::Url::Sqlite(path) => {
                Ok(SqliteStore::open(path, SqliteSettings::new()).await?.into())
            }
            #[cfg(feature = "postgres")]
            opening::Url::Postgres(url) => {
                let store = PostgresStore::connect(url).await?;
                store.migrate().await?;
                Ok(store.into())
            }
            #[cfg(not(feature = "sqlite"))]
            opening::Url::Sqlite(_) => Err(opening::needs("sqlite")),
            #[cfg(not(feature = "postgres"))]
            opening::Url::Postgres(_) => Err(opening::needs("postgres")),
        }
    }

    /// Returns the view of a further issuer, as [`for_issuers`](Self::for_issuers) does.
    ///
    /// # Errors
    ///
    /// [`StoreError`] if the database cannot be read or written.
    pub async fn for_issuer(&self, issuer: &Issuer) -> Result<Self, StoreError> {
        let view = self.for_issuers(std::slice::from_ref(issuer)).await?.pop();
        view.ok_or_else(|| StoreError::new("there is no view"))
    }

    /// Returns the views of further issuers of a database, in their order, each with its own cache of apps and
    /// one pool for all. The store itself is the view of the first issuer, which is never passed here;
    /// `SqliteStore::for_issuers` and `PostgresStore::for_issuers` say more.
    ///
    /// In memory, each view is a new store.
    ///
    /// # Errors
    ///
    /// [`StoreError`] if the database cannot be read or written.
    #[cfg_attr(
        not(any(feature = "sqlite", feature = "postgres")),
        expect(clippy::unused_async, reason = "only the databases are async")
    )]
    pub async fn for_issuers(&self, issuers: &[Issuer]) -> Result<Vec<Self>, StoreError> {
        Ok(match self {
            Self::Memory(_) => issuers.iter().map(|_| MemoryStore::new().into()).collect(),
            #[cfg(feature = "sqlite")]
            Self::Sqlite(store) => {
                let views = store.store().for_issuers(issuers).await?;
                views.into_iter().map(Self::from).collect()
            }
            #[cfg(feature = "postgres")]
            Self::Postgres(store) => {
                let views = store.store().for_issuers(issuers).await?;
                views.into_iter().map(Self::from).collect()
            }
        })
    }

    /// Checks whether the store can be written. For health checks.
    ///
    /// # Errors
    ///
    /// [`StoreError`] if it cannot.
    #[cfg_attr(
        not(any(feature = "sqlite", feature = "postgres")),
        expect(clippy::unused_async, reason = "only the databases are async")
    )]
    pub async fn check(&self) -> Result<(), StoreError> {
        match self {
            Self::Memory(_) => Ok(()),
            #[cfg(feature = "sqlite")]
            Self::Sqlite(store) => store.store().check().await,
            #[cfg(feature = "postgres")]
            Self::Postgres(store) => store.store().check().await,
        }
    }

    /// Closes the file or the connections for all clones of the store, once earlier requests are completed.
    /// Later ones fail. The host's own pool stays open. A store in memory does not close.
    ///
    /// Nothing is lost without it.
    #[cfg_attr(
        not(any(feature = "sqlite", feature = "postgres")),
        expect(clippy::unused_async, reason = "only the databases are async")
    )]
    pub async fn close(&self) {
        match self {
            Self::Memory(_) => {}
            #[cfg(feature = "sqlite")]
            Self::Sqlite(store) => store.store().close().await,
            #[cfg(feature = "postgres")]
            Self::Postgres(store) => store.store().close().await,
        }
    }
}

impl From<MemoryStore> for AnyStore {
    fn from(store: MemoryStore) -> Self {
        Self::Memory(Arc::new(store))
    }
}

/// Caches the apps of the store.
#[cfg(feature = "sqlite")]
#[cfg_attr(docsrs, doc(cfg(feature = "sqlite")))]
impl From<SqliteStore> for AnyStore {
    fn from(store: SqliteStore) -> Self {
        Self::Sqlite(Arc::new(CachedApps::new(store)))
    }
}

/// Caches the apps of the store.
#[cfg(feature = "postgres")]
#[cfg_attr(docsrs, doc(cfg(feature = "postgres")))]
impl From<PostgresStore> for AnyStore {
    fn from(store: PostgresStore) -> Self {
        Self::Postgres(Arc::new(CachedApps::new(store)))
    }
}

impl fmt::Debug for AnyStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Memory(store) => store.fmt(f),
            #[cfg(feature = "sqlite")]
            Self::Sqlite(store) => store.fmt(f),
            #[cfg(feature = "postgres")]
            Self::Postgres(store) => store.fmt(f),
        }
    }
}

#[cfg(all(test, not(all(feature = "sqlite", feature = "postgres"))))]
mod tests {
    use super::*;

    /// Z33: what was not compiled in says which feature it needs, and quotes nothing.
    #[test]
    fn a_store_that_was_not_compiled_in_names_its_feature() {
        let told = |url| {
            let error = pollster::block_on(AnyStore::open(url)).unwrap_err();
            assert!(!format!("{error:?}").contains("planted"), "{error:?}");
            error.to_string()
        };
        #[cfg(not(feature = "sqlite"))]
        assert!(told("sqlite:planted").contains("without the feature sqlite"));
        #[cfg(not(feature = "postgres"))]
        assert!(told("postgres://a:planted@b/c").contains("without the feature postgres"));
    }
}
