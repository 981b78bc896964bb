//! What a host chooses about a [`SqliteStore`](super::SqliteStore).

use sqlx::sqlite::SqliteSynchronous;

use crate::store::TablePrefix;

/// How much a commit waits for the disk.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Durability {
    /// `synchronous=FULL`: what was answered survives the loss of power.
    #[default]
    Full,
    /// `synchronous=NORMAL`: what was answered survives the end of the process, and not the loss of
    /// power. The last seconds may then be gone: a code that was redeemed is pending again, a refresh
    /// token that was spent is live again, an assertion can be presented again, and **a revocation
    /// may not have happened**. The file stays whole.
    Normal,
}

impl Durability {
    pub(super) fn synchronous(self) -> SqliteSynchronous {
        match self {
            Self::Full => SqliteSynchronous::Full,
            Self::Normal => SqliteSynchronous::Normal,
        }
    }
}

/// What a host chooses about a [`SqliteStore`](super::SqliteStore).
///
/// ```
/// use grantor::store::{SqliteSettings, TablePrefix};
///
/// let settings = SqliteSettings::new().with_table_prefix(TablePrefix::new("oauth_")?);
/// # Ok::<(), grantor::store::InvalidTablePrefix>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SqliteSettings {
    pub(super) table_prefix: TablePrefix,
    pub(super) durability: Durability,
    pub(super) migrates: bool,
}

impl SqliteSettings {
    /// Tables that begin with `grantor_`, made on opening; every commit waits for the disk; an app is
    /// read again after a second.
    #[must_use]
    pub fn new() -> Self {
        Self { table_prefix: TablePrefix::default(), durability: Durability::Full, migrates: true }
    }

    /// The same with tables that begin with `prefix`, which names no schema: a file has none.
    #[must_use]
    pub fn with_table_prefix(self, prefix: TablePrefix) -> Self {
        Self { table_prefix: prefix, ..self }
    }

    /// The same with commits that wait for the disk as `durability` says.
    #[must_use]
    pub fn with_durability(self, durability: Durability) -> Self {
        Self { durability, ..self }
    }

    /// The same without making or changing tables on opening: the host has run
    /// [`SqliteStore::schema_sql`](super::SqliteStore::schema_sql) itself.
    #[must_use]
    pub fn without_migrations(self) -> Self {
        Self { migrates: false, ..self }
    }
}

impl Default for SqliteSettings {
    fn default() -> Self {
        Self::new()
    }
}
