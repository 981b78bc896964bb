//! A durable store in one file, for one machine.
//!
//! One connection writes, and waiting requests share a transaction (`writer`). The others read at the same
//! time, as the write-ahead log allows.

mod apps;
mod audit;
mod batch;
mod devices;
mod erasure;
mod grants;
mod issuers;
mod opening;
mod pending;
mod reads;
mod rows;
mod schema;
mod settings;
mod statements;
mod steps;
mod trusted_issuers;
mod writer;

use std::fmt;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use sqlx::sqlite::{
    SqliteConnectOptions, SqliteConnection, SqliteJournalMode, SqlitePool, SqlitePoolOptions,
};
use sqlx::{ConnectOptions as _, Row as _};
use tokio::runtime::Handle;

pub use self::settings::{Durability, SqliteSettings};
use self::statements::Statements;
use self::writer::{MAX_BATCH, Queue};
use super::sql::Names;
use super::store_clock::StoreClock;
use super::{StoreError, TablePrefix};

/// The time for which the writer waits for another process that writes to the file.
const BUSY: Duration = Duration::from_secs(5);
/// The number of connections that read, unless the host passes a pool.
const READERS: u32 = 4;
/// The memory for pages that the writer may keep, in KiB: a new grant or event writes pages of indexes in random order.
const WRITER_PAGES: &str = "-32768";
/// The size in bytes to which the write-ahead log is cut after a checkpoint.
const LOG_BYTES: &str = "67108864";

/// Apps, grants, cutoffs, assertions, consents, devices and the audit log in one SQLite file, for servers on one
/// machine.
///
/// Concurrent changes share a transaction, and so one wait for the disk. Each is answered once it is on the
/// disk. Reading needs a tokio runtime. The writer is a thread, which ends with the last clone of the store
/// or when it is [closed](Self::close).
///
/// Several processes on one machine may open one file. A network file system does not work. If the disk
/// stalls, callers wait, and a caller that gives up leaves the queue.
///
/// ```
/// use grantor::ids::GrantId;
/// use grantor::store::{GrantStore, SqliteSettings, SqliteStore};
///
/// # let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
/// # let file = std::env::temp_dir().join(format!("grantor-doctest-{}.db", std::process::id()));
/// # runtime.block_on(async {
/// let store = SqliteStore::open(&file, SqliteSettings::new()).await?;
/// assert!(store.find_grant(&GrantId::from_bytes([7; 16])).await?.is_none());
/// # Ok::<(), grantor::store::StoreError>(())
/// # }).unwrap();
/// # for end in ["", "-wal", "-shm"] {
/// #     let _ = std::fs::remove_file(format!("{}{end}", file.display()));
/// # }
/// ```
#[derive(Clone)]
pub struct SqliteStore {
    queue: Arc<Queue>,
    readers: SqlitePool,
    /// Whether the store made the pool, and closes it.
    owns_readers: bool,
    sql: Arc<Statements>,
    /// The newest instant of the file's clock that this process knows.
    clock: Arc<StoreClock>,
    /// The names of the issuer whose view this is.
    names: Names,
}

impl SqliteStore {
    /// Opens the file at `path`. Creates it and its tables, or upgrades its tables, as needed. On Unix, only
    /// its owner has rights to a file that this creates (0600), and to the `-wal` and `-shm` beside it.
    ///
    /// # Errors
    ///
    /// [`StoreError`] if the file cannot be opened for writing, or if its tables are of a later version of
    /// this crate.
    pub async fn open(
        path: impl AsRef<Path>,
        settings: SqliteSettings,
    ) -> Result<Self, StoreError> {
        has_runtime()?;
        opening::make_private(path.as_ref())?;
        let options = SqliteConnectOptions::new().filename(path).create_if_missing(true);
        let readers = options.clone().disable_statement_logging().pragma("query_only", "on");
        let readers = SqlitePoolOptions::new()
            .max_connections(READERS)
            .acquire_timeout(BUSY)
            .idle_timeout(None)
            .max_lifetime(None)
            .test_before_acquire(false)
            .connect_lazy_with(readers);
        let options = options.pragma("cache_size", WRITER_PAGES);
        Self::assemble(options, readers, true, settings).await
    }

    /// Opens a pool for the tables of a host in the file at `path`, which [`with_pool`](Self::with_pool) takes, too.
    /// Creates the file as needed, with rights for its owner only, as [`open`](Self::open) does. A connection
    /// waits up to 5 s for another one that writes.
    ///
    /// ```
    /// use grantor::store::sqlx::Executor as _;
    /// use grantor::store::{AnyStore, SqliteSettings, SqliteStore};
    ///
    /// # let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    /// # let file = std::env::temp_dir().join(format!("grantor-doctest-pool-{}.db", std::process::id()));
    /// # runtime.block_on(async {
    /// let pool = SqliteStore::open_pool(&file).await?;
    /// pool.execute("CREATE TABLE users (name TEXT PRIMARY KEY) STRICT").await?;
    /// let store = SqliteStore::with_pool(pool.clone(), SqliteSettings::new()).await?;
    /// let store = AnyStore::from(store);
    /// // The server runs.
    /// store.close().await;
    /// pool.close().await;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// # }).unwrap();
    /// # std::fs::remove_file(file).unwrap();
    /// ```
    ///
    /// # Errors
    ///
    /// [`StoreError`] if the file cannot be opened for writing.
    pub async fn open_pool(path: impl AsRef<Path>) -> Result<SqlitePool, StoreError> {
        has_runtime()?;
        let path = path.as_ref();
        opening::make_private(path)?;
        let options = SqliteConnectOptions::new().filename(path).busy_timeout(BUSY);
        let options = options.journal_mode(SqliteJournalMode::Wal);
        let opened = SqlitePool::connect_with(options).await;
        opened.map_err(|error| opening::refused(path, &error))
    }

    /// Reads through the host's pool, and writes through one more connection with the pool's options. They
    /// must not set a journal mode other than WAL.
    ///
    /// # Errors
    ///
    /// As [`open`](Self::open), and if the database is in memory.
    pub async fn with_pool(pool: SqlitePool, settings: SqliteSettings) -> Result<Self, StoreError> {
        let options = SqliteConnectOptions::clone(&pool.connect_options());
        Self::assemble(options, pool, false, settings).await
    }

    /// Returns the pool for readers.
    fn readers(&self) -> Result<&SqlitePool, StoreError> {
        has_runtime()?;
        Ok(&self.readers)
    }

    async fn assemble(
        options: SqliteConnectOptions,
        readers: SqlitePool,
        owns_readers: bool,
        settings: SqliteSettings,
    ) -> Result<Self, StoreError> {
        let prefix = &settings.table_prefix;
        if prefix.to_string() != prefix.without_schema() {
            return Err(StoreError::new("a table prefix names a schema, and a file has none"));
        }
        let options = options
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(settings.durability.synchronous())
            // On macOS, fsync alone does not flush the disk's own cache.
            .pragma("fullfsync", "on")
            .pragma("journal_size_limit", LOG_BYTES)
            .busy_timeout(BUSY)
            // All rows of a batch cross threads at once.
            .row_buffer_size(MAX_BATCH)
            .disable_statement_logging();
        let sql = Arc::new(Statements::new(prefix));
        let file = options.get_filename().to_owned();
        let refused = |error| opening::refused(&file, &error);
        let mut connection = options.connect().await.map_err(refused)?;
        is_on_disk(&mut connection).await?;
        if settings.migrates {
            schema::migrate(&mut connection, prefix.without_schema()).await?;
            schema::fill_searched(&mut connection, &sql).await?;
        }
        opening::is_known(schema::version(&mut connection, prefix.without_schema()).await?)?;
        // A file that cannot be written fails now, not at the first request.
        let touched = sqlx::query(sql.touch.clone()).execute(&mut connection).await;
        touched.map_err(refused)?;
        // A reader must see the same tables.
        let mut reader = readers.acquire().await.map_err(refused)?;
        opening::is_known(schema::version(&mut reader, prefix.without_schema()).await?)?;
        drop(reader);
        let clock = Arc::new(StoreClock::default());
        let queue = Queue::start(connection, options, Arc::clone(&sql), Arc::clone(&clock));
        let queue = Arc::new(queue.map_err(StoreError::new)?);
        let names = Names::default();
        let store = Self { queue, readers, owns_readers, sql, clock, names };
        // Revocations of earlier processes are known from the first request on.
        reads::present(&store).await?;
        Ok(store)
    }

    /// Returns the statements that create the tables in an empty file, for hosts with migrations of their
    /// own.
    #[must_use]
    pub fn schema_sql(prefix: &TablePrefix) -> String {
        schema::scripts_after(0, prefix.without_schema())
    }

    /// Returns the number of transactions committed since the store was opened. With
    /// [`Durability::Full`], each has waited for the disk once.
    #[must_use]
    pub fn commits(&self) -> u64 {
        self.queue.commits()
    }

    /// Checks that the file can be written, by a transaction that changes nothing. For health checks.
    ///
    /// # Errors
    ///
    /// [`StoreError`] if it cannot.
    pub async fn check(&self) -> Result<(), StoreError> {
        self.run(steps::touch).await
    }

    /// Closes the file for all clones of the store. Earlier requests are completed, later ones refused.
    /// Returns once the store holds the file no longer; the last connection has copied the write-ahead log
    /// into it. The host's own pool ([`with_pool`](Self::with_pool)) stays open.
    ///
    /// Nothing is lost without it. It serves hosts that copy, move or remove the file afterwards.
    pub async fn close(&self) {
        if self.owns_readers {
            self.readers.close().await;
        }
        self.queue.close().await;
    }
}

impl fmt::Debug for SqliteStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SqliteStore").field("commits", &self.commits()).finish_non_exhaustive()
    }
}

/// Checks for a tokio runtime, without which a pool panics.
fn has_runtime() -> Result<(), StoreError> {
    Handle::try_current().map(|_| ()).map_err(StoreError::new)
}

/// Checks that another connection can see the writes of this one.
async fn is_on_disk(connection: &mut SqliteConnection) -> Result<(), StoreError> {
    let row = sqlx::query("SELECT file FROM pragma_database_list WHERE name = 'main'");
    let row = row.fetch_one(connection).await.map_err(StoreError::new)?;
    let file: Option<String> = row.try_get("file").map_err(StoreError::new)?;
    match file {
        Some(file) if !file.is_empty() => Ok(()),
        _ => Err(StoreError::new("a database in memory belongs to one connection only")),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::time::{Instant, pause};

    use super::*;
    use crate::ids::GrantId;
    use crate::store::GrantStore as _;

    /// Four requests read at a time. A fifth waits for 5 s, and then fails.
    #[tokio::test]
    async fn a_fifth_reader_waits_for_five_seconds() {
        let name = format!("grantor-readers-{}", std::process::id());
        let folder = std::env::temp_dir().join(name);
        std::fs::create_dir_all(&folder).unwrap();
        let store = SqliteStore::open(folder.join("a.db"), SqliteSettings::new()).await.unwrap();
        let mut held = Vec::new();
        for _ in 0..3 {
            held.push(store.readers.acquire().await.unwrap());
        }
        let id = GrantId::from_bytes([7; 16]);
        assert!(store.find_grant(&id).await.is_ok());
        held.push(store.readers.acquire().await.unwrap());
        // No thread of SQLite is at work, so only the time passes.
        pause();
        let began = Instant::now();
        assert!(store.find_grant(&id).await.is_err());
        let waited = began.elapsed();
        assert!((Duration::from_secs(5)..Duration::from_millis(5_010)).contains(&waited));
        tokio::time::resume();
        drop(held);
        assert!(store.find_grant(&id).await.is_ok());
        store.close().await;
        std::fs::remove_dir_all(&folder).unwrap();
    }
}
