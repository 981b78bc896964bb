//! A store in one file: one machine, durable.
//!
//! One connection writes, and the requests that wait for it share a transaction: see `writer`. The
//! others read beside it, as the write-ahead log allows.

mod apps;
mod audit;
mod batch;
mod erasure;
mod grants;
mod reads;
mod rows;
mod schema;
mod settings;
mod statements;
mod steps;
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
use super::{StoreError, TablePrefix};

/// How long the writer waits for another process that writes into the file.
const BUSY: Duration = Duration::from_secs(5);
/// How many connections read, where the host brings no pool.
const READERS: u32 = 4;
/// To how many bytes the write-ahead log is cut when it has been copied into the file.
const LOG_BYTES: &str = "67108864";

/// Everything in one SQLite file: for servers of one machine whose grants survive a restart.
///
/// Requests that change something at the same time share a transaction, and so one wait for the
/// disk; each is answered when it is on the disk. Needs a tokio runtime to read; the writer is a
/// thread of its own, which ends with the last clone of the store, or when it is
/// [closed](Self::close).
///
/// Several processes of one machine may open one file. A network file system will not do. A disk that
/// stands still keeps callers waiting: one that gives up is taken out of the queue.
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
    /// Whether the pool came with the store, and goes with it.
    owns_readers: bool,
    sql: Arc<Statements>,
}

impl SqliteStore {
    /// Opens the file at `path`, which is made if there is none, with its tables.
    ///
    /// # Errors
    ///
    /// [`StoreError`] when the file cannot be opened for writing, or its tables are of a later
    /// version of this crate.
    pub async fn open(
        path: impl AsRef<Path>,
        settings: SqliteSettings,
    ) -> Result<Self, StoreError> {
        has_runtime()?;
        let options = SqliteConnectOptions::new().filename(path).create_if_missing(true);
        let readers = options.clone().disable_statement_logging().pragma("query_only", "on");
        let readers = SqlitePoolOptions::new()
            .max_connections(READERS)
            .acquire_timeout(BUSY)
            .idle_timeout(None)
            .max_lifetime(None)
            .test_before_acquire(false)
            .connect_lazy_with(readers);
        Self::assemble(options, readers, true, settings).await
    }

    /// Reads through a pool that the host already has, and opens one more connection to the same
    /// file, with the options of the pool, to write. They ask for no other journal mode than WAL.
    ///
    /// # Errors
    ///
    /// As [`open`](Self::open), and when the pool is one of databases in memory.
    pub async fn with_pool(pool: SqlitePool, settings: SqliteSettings) -> Result<Self, StoreError> {
        let options = SqliteConnectOptions::clone(&pool.connect_options());
        Self::assemble(options, pool, false, settings).await
    }

    /// The pool for a reader.
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
            // Where fsync does not flush the disk's own cache (macOS), this does.
            .pragma("fullfsync", "on")
            .pragma("journal_size_limit", LOG_BYTES)
            .busy_timeout(BUSY)
            // The answers of a batch at once, not one by one from thread to thread.
            .row_buffer_size(MAX_BATCH)
            .disable_statement_logging();
        let sql = Arc::new(Statements::new(prefix));
        let mut connection = options.connect().await.map_err(StoreError::new)?;
        is_on_disk(&mut connection).await?;
        if settings.migrates {
            schema::migrate(&mut connection, prefix.without_schema()).await?;
        }
        // A file that cannot be written says so now, and not to the first user.
        let touched = sqlx::query(sql.touch.clone()).execute(&mut connection).await;
        touched.map_err(StoreError::new)?;
        // By way of a reader, which must see the same tables.
        let mut reader = readers.acquire().await.map_err(StoreError::new)?;
        schema::is_known(schema::version(&mut reader, prefix.without_schema()).await?)?;
        drop(reader);
        let queue = Queue::start(connection, options, Arc::clone(&sql)).map_err(StoreError::new)?;
        Ok(Self { queue: Arc::new(queue), readers, owns_readers, sql })
    }

    /// The tables as SQL, for hosts that make them themselves. Begins where there are none.
    #[must_use]
    pub fn schema_sql(prefix: &TablePrefix) -> String {
        schema::scripts_after(0, prefix.without_schema())
    }

    /// How many transactions were committed since the store was opened: with
    /// [`Durability::Full`], how often it has waited for the disk on behalf of its callers.
    #[must_use]
    pub fn commits(&self) -> u64 {
        self.queue.commits()
    }

    /// Whether the file can be written now: a transaction that changes nothing. For health checks.
    ///
    /// # Errors
    ///
    /// [`StoreError`] when it cannot.
    pub async fn check(&self) -> Result<(), StoreError> {
        self.queue.run(steps::touch).await
    }

    /// Closes the file, for all clones of the store: what was asked before is done and answered, what
    /// is asked afterwards is refused. Returns when nothing of the store holds the file any more; the
    /// last to hold it has copied the write-ahead log into it. A pool that the host brought
    /// ([`with_pool`](Self::with_pool)) stays open.
    ///
    /// Nothing is lost without it: it is for hosts that copy, move or remove the file afterwards.
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

/// Checks what a pool takes for granted, and panics without.
fn has_runtime() -> Result<(), StoreError> {
    Handle::try_current().map(|_| ()).map_err(StoreError::new)
}

/// Checks that another connection can see what this one writes.
async fn is_on_disk(connection: &mut SqliteConnection) -> Result<(), StoreError> {
    let row = sqlx::query("SELECT file FROM pragma_database_list WHERE name = 'main'");
    let row = row.fetch_one(connection).await.map_err(StoreError::new)?;
    let file: Option<String> = row.try_get("file").map_err(StoreError::new)?;
    match file {
        Some(file) if !file.is_empty() => Ok(()),
        _ => Err(StoreError::new("a database in memory belongs to one connection only")),
    }
}
