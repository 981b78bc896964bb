//! The settings of a [`SqliteStore`](super::SqliteStore).

use sqlx::sqlite::SqliteSynchronous;

use crate::store::TablePrefix;

/// The durability of a commit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Durability {
    /// `synchronous=FULL`: an answered change survives a power failure.
    #[default]
    Full,
    /// `synchronous=NORMAL`: an answered change survives the end of the process, but not a power failure.
    /// That may lose the last seconds: spent codes, refresh tokens and assertions are unspent again, and **a
    /// revocation may not have happened**. The file stays consistent.
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

/// The settings of a [`SqliteStore`](super::SqliteStore).
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
    /// Creates the defaults: tables that begin with `grantor_`, migrated on opening, and
    /// [`Durability::Full`].
    #[must_use]
    pub fn new() -> Self {
        Self { table_prefix: TablePrefix::default(), durability: Durability::Full, migrates: true }
    }

    /// Sets the prefix of the tables. It names no schema, because a file has none.
    #[must_use]
    pub fn with_table_prefix(self, prefix: TablePrefix) -> Self {
        Self { table_prefix: prefix, ..self }
    }

    /// Sets the durability of commits.
    #[must_use]
    pub fn with_durability(self, durability: Durability) -> Self {
        Self { durability, ..self }
    }

    /// Leaves the tables to the host, which runs
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
