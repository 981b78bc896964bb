//! The store of the server, and the secrets that must last as long.

use std::error::Error;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use grantor::app::CustomApp;
#[cfg(any(feature = "sqlite", feature = "postgres"))]
use grantor::audit::AuditQueue;
use grantor::clock::{Clock as _, SystemClock, UnixTime};
use grantor::ids::{ClientId, GrantId};
use grantor::jwt::{Algorithm, KeyRing};
use grantor::random::OsRandom;
use grantor::server_secret::{KeyFile, KeyFileError, RootPrint, RootsClaim};
#[cfg(any(feature = "sqlite", feature = "postgres"))]
use grantor::store::CachedApps;
#[cfg(feature = "postgres")]
use grantor::store::PostgresStore;
use grantor::store::{
    AccessFacts, AppQuery, AppRegistry, AppsVersion, AssertionClaim, ClaimAssertion,
    CodeRedemption, Consent, DeleteApp, FeedCursor, Grant, GrantFilter, GrantStore, InsertApp,
    InsertGrant, Listing, Page, Pruned, RedeemCode, Revocation, RevocationFeed, Revoked, Rotate,
    Rotation, StoreError, UpdateApp,
};
#[cfg(feature = "sqlite")]
use grantor::store::{SqliteSettings, SqliteStore};
use grantor::{MemoryStore, ServerSecret, SigningKey, Subject};

use crate::log::Log;

pub(crate) type BoxError = Box<dyn Error + Send + Sync>;

/// The value of `--store`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) enum StoreKind {
    #[default]
    Memory,
    /// `sqlite:PATH`
    Sqlite(PathBuf),
    /// `postgres://…`
    Postgres(String),
}

impl StoreKind {
    /// Parses the value of `--store`.
    ///
    /// # Errors
    ///
    /// A message for the user, without a password.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        match text.split_once(':') {
            None if text == "memory" => Ok(Self::Memory),
            Some(("sqlite", path)) if !path.is_empty() => Ok(Self::Sqlite(path.into())),
            Some(("postgres" | "postgresql", _)) => Ok(Self::Postgres(text.to_owned())),
            _ => Err("--store must be memory, sqlite:PATH or postgres://…".to_owned()),
        }
    }

    /// Returns the default key file. A store in memory has none.
    fn keys(&self) -> Option<PathBuf> {
        match self {
            Self::Memory => None,
            Self::Sqlite(path) => {
                let mut beside = path.clone().into_os_string();
                beside.push(".keys");
                Some(beside.into())
            }
            Self::Postgres(_) => Some("grantor-example.keys".into()),
        }
    }

    /// Opens the store and its audit log, and creates missing tables.
    ///
    /// # Errors
    ///
    /// The reason that it cannot be opened.
    #[cfg_attr(
        not(any(feature = "sqlite", feature = "postgres")),
        expect(clippy::unused_async, reason = "only the databases are async")
    )]
    pub(crate) async fn open(&self) -> Result<(AnyStore, Log), BoxError> {
        match self {
            Self::Memory => Ok((AnyStore::Memory(Box::default()), Log::Memory(Arc::default()))),
            #[cfg(feature = "sqlite")]
            Self::Sqlite(path) => {
                let store = SqliteStore::open(path, SqliteSettings::new()).await?;
                let log = Log::Sqlite(AuditQueue::new(&OsRandom::new())?, store.clone());
                Ok((AnyStore::Sqlite(CachedApps::new(store)), log))
            }
            #[cfg(feature = "postgres")]
            Self::Postgres(url) => {
                let options = PostgresStore::connect_options(url.parse()?);
                let pool = sqlx::postgres::PgPoolOptions::new()
                    .max_connections(16)
                    .test_before_acquire(false)
                    .acquire_timeout(Duration::from_secs(5))
                    .connect_with(options)
                    .await?;
                let store = PostgresStore::new(pool);
                store.migrate().await?;
                let log = Log::Postgres(AuditQueue::new(&OsRandom::new())?, store.clone());
                Ok((AnyStore::Postgres(CachedApps::new(store)), log))
            }
            #[cfg(not(feature = "sqlite"))]
            Self::Sqlite(_) => Err("--store sqlite: needs --features axum,sqlite".into()),
            #[cfg(not(feature = "postgres"))]
            Self::Postgres(_) => Err("--store postgres: needs --features axum,postgres".into()),
        }
    }
}

/// Returns the server secret, the keys, and the file that the upkeep follows: fresh ones for a store in
/// memory, or those in the file, which is created if missing. All processes over one database read the
/// same file.
///
/// # Errors
///
/// The reason that the file cannot be read or written.
pub(crate) async fn secrets(
    kind: &StoreKind,
    keys: Option<&Path>,
    algorithm: Algorithm,
    random: &OsRandom,
) -> Result<(ServerSecret, KeyRing, Option<PathBuf>), BoxError> {
    let rsa = [Algorithm::RS256, Algorithm::PS256].contains(&algorithm);
    let Some(path) = keys.map(Path::to_path_buf).or_else(|| kind.keys()) else {
        return Ok((ServerSecret::generate(random)?, signing_key(algorithm)?.into(), None));
    };
    let file = read_or_make(&path, if rsa { Algorithm::ES256 } else { algorithm }, random).await;
    let file = file?;
    let secret = file.server_secret()?;
    // The library generates no RSA keys, so the demo key signs.
    if rsa {
        return Ok((secret, signing_key(algorithm)?.into(), None));
    }
    Ok((secret, file.key_ring()?, Some(path)))
}

/// Generates a key, or returns the demo key for RSA, which the library does not generate.
fn signing_key(algorithm: Algorithm) -> Result<SigningKey, BoxError> {
    if [Algorithm::RS256, Algorithm::PS256].contains(&algorithm) {
        return Ok(SigningKey::from_pem(algorithm, include_str!("demo_server_rsa.pem"))?);
    }
    Ok(SigningKey::generate(algorithm)?)
}

async fn read_or_make(
    path: &Path,
    algorithm: Algorithm,
    random: &OsRandom,
) -> Result<KeyFile, BoxError> {
    // If several processes start at once, one creates the file and the others read it.
    for _ in 0..100 {
        match KeyFile::read(path) {
            Ok(file) => return Ok(file),
            Err(error) if error.is_not_found() => {}
            Err(error) => return Err(error.into()),
        }
        let mut file = KeyFile::generate(algorithm, random, SystemClock::new().now())?;
        match file.write(path) {
            Ok(()) | Err(KeyFileError::Busy { .. } | KeyFileError::Changed { .. }) => {}
            Err(error) => return Err(error.into()),
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    Err("another process is writing it and does not finish".into())
}

/// One of the stores. Those in SQL cache apps in memory, at most one second behind other processes.
#[derive(Debug)]
pub(crate) enum AnyStore {
    Memory(Box<MemoryStore>),
    #[cfg(feature = "sqlite")]
    Sqlite(CachedApps<SqliteStore>),
    #[cfg(feature = "postgres")]
    Postgres(CachedApps<PostgresStore>),
}

/// Runs the same call on any of them.
macro_rules! on {
    ($own:expr, $store:ident => $call:expr) => {
        match $own {
            AnyStore::Memory($store) => $call,
            #[cfg(feature = "sqlite")]
            AnyStore::Sqlite($store) => $call,
            #[cfg(feature = "postgres")]
            AnyStore::Postgres($store) => $call,
        }
    };
}

impl AppRegistry for AnyStore {
    async fn find_app(&self, client_id: &ClientId) -> Result<Option<Arc<CustomApp>>, StoreError> {
        on!(self, store => store.find_app(client_id).await)
    }

    async fn read_app(&self, client_id: &ClientId) -> Result<Option<Arc<CustomApp>>, StoreError> {
        on!(self, store => store.read_app(client_id).await)
    }

    async fn insert_app(&self, app: CustomApp) -> Result<InsertApp, StoreError> {
        on!(self, store => store.insert_app(app).await)
    }

    async fn update_app(&self, app: CustomApp, expected: u64) -> Result<UpdateApp, StoreError> {
        on!(self, store => store.update_app(app, expected).await)
    }

    async fn delete_app(
        &self,
        client_id: &ClientId,
        expected: u64,
    ) -> Result<DeleteApp, StoreError> {
        on!(self, store => store.delete_app(client_id, expected).await)
    }

    async fn list_apps(
        &self,
        query: &AppQuery,
        page: Page<ClientId>,
    ) -> Result<Listing<Arc<CustomApp>, ClientId>, StoreError> {
        on!(self, store => store.list_apps(query, page).await)
    }

    async fn refresh(&self) -> Result<(), StoreError> {
        on!(self, store => store.refresh().await)
    }

    async fn apps_version(&self) -> Result<AppsVersion, StoreError> {
        on!(self, store => store.apps_version().await)
    }
}

impl GrantStore for AnyStore {
    fn seen(&self) -> UnixTime {
        on!(self, store => store.seen())
    }

    fn reached(&self, instant: UnixTime) -> UnixTime {
        on!(self, store => store.reached(instant))
    }

    fn clock_skew(&self) -> Duration {
        on!(self, store => store.clock_skew())
    }

    async fn instant(&self, now: UnixTime) -> Result<UnixTime, StoreError> {
        on!(self, store => store.instant(now).await)
    }

    async fn insert_grant(&self, grant: Grant) -> Result<InsertGrant, StoreError> {
        on!(self, store => store.insert_grant(grant).await)
    }

    async fn redeem_code(&self, redemption: &CodeRedemption) -> Result<RedeemCode, StoreError> {
        on!(self, store => store.redeem_code(redemption).await)
    }

    async fn rotate(&self, rotation: &Rotation) -> Result<Rotate, StoreError> {
        on!(self, store => store.rotate(rotation).await)
    }

    async fn claim_assertion(&self, claim: &AssertionClaim) -> Result<ClaimAssertion, StoreError> {
        on!(self, store => store.claim_assertion(claim).await)
    }

    async fn find_grant(&self, grant_id: &GrantId) -> Result<Option<Grant>, StoreError> {
        on!(self, store => store.find_grant(grant_id).await)
    }

    async fn list_grants(
        &self,
        filter: &GrantFilter,
        page: Page<GrantId>,
    ) -> Result<Listing<Grant, GrantId>, StoreError> {
        on!(self, store => store.list_grants(filter, page).await)
    }

    async fn revoke(&self, revocation: &Revocation) -> Result<Revoked, StoreError> {
        on!(self, store => store.revoke(revocation).await)
    }

    async fn is_revoked(&self, facts: &AccessFacts<'_>) -> Result<bool, StoreError> {
        on!(self, store => store.is_revoked(facts).await)
    }

    async fn revocations_since(
        &self,
        cursor: FeedCursor,
        limit: usize,
        now: UnixTime,
    ) -> Result<RevocationFeed, StoreError> {
        on!(self, store => store.revocations_since(cursor, limit, now).await)
    }

    async fn remember_consent(&self, consent: Consent) -> Result<(), StoreError> {
        on!(self, store => store.remember_consent(consent).await)
    }

    async fn find_consent(
        &self,
        client_id: &ClientId,
        subject: &Subject,
    ) -> Result<Option<Consent>, StoreError> {
        on!(self, store => store.find_consent(client_id, subject).await)
    }

    async fn withdraw_consent(
        &self,
        client_id: &ClientId,
        subject: &Subject,
        now: UnixTime,
        until: UnixTime,
    ) -> Result<Revoked, StoreError> {
        on!(self, store => store.withdraw_consent(client_id, subject, now, until).await)
    }

    async fn claim_roots(&self, claim: &RootsClaim) -> Result<Vec<RootPrint>, StoreError> {
        on!(self, store => store.claim_roots(claim).await)
    }

    async fn prune(&self, now: UnixTime, limit: usize) -> Result<Pruned, StoreError> {
        on!(self, store => store.prune(now, limit).await)
    }
}
