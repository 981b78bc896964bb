//! The file before SQLite opens it, and the reasons for which it cannot be opened.

use std::fs::{self, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};

use super::schema::{MIGRATIONS, REVISION, Version};
use crate::store::StoreError;

#[derive(Debug, thiserror::Error)]
#[error("the SQLite file {} cannot be opened: {reason}", path.display())]
struct NotOpened {
    path: PathBuf,
    reason: String,
}

/// Creates an empty file that only its owner may read and write, unless there is one. SQLite gives the
/// files beside it the same rights. Without this, it would take the rights of the process.
pub(super) fn make_private(path: &Path) -> Result<(), StoreError> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    match options.open(path) {
        Ok(_) => Ok(()),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        Err(error) => Err(not_opened(path, &error.to_string())),
    }
}

/// Adds the file and a reason that can be seen from outside to an error of SQLite.
pub(super) fn refused(path: &Path, error: &sqlx::Error) -> StoreError {
    not_opened(path, &error.to_string())
}

fn not_opened(path: &Path, error: &str) -> StoreError {
    let folder = path.parent().filter(|it| !it.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let found = fs::metadata(path);
    let reason = if !folder.exists() {
        format!("there is no folder {} ({error})", folder.display())
    } else if !folder.is_dir() {
        format!("{} is not a folder ({error})", folder.display())
    } else if found.as_ref().is_ok_and(fs::Metadata::is_dir) {
        format!("it is a folder ({error})")
    } else if found.is_err_and(|error| error.kind() == io::ErrorKind::NotFound) {
        format!("this process may not create it in {} ({error})", folder.display())
    } else {
        format!("{error}; this process must be able to read and write it, and its folder")
    };
    StoreError::new(NotOpened { path: path.to_owned(), reason })
}

/// Checks that this program works on tables of `version`.
pub(super) fn is_known(version: Version) -> Result<(), StoreError> {
    let known = MIGRATIONS.len();
    let number = |found| usize::try_from(found).unwrap_or(usize::MAX);
    let (revision, last) = (number(version.revision), number(version.last));
    if revision <= REVISION && last >= known {
        return Ok(());
    }
    Err(StoreError::new(if revision > REVISION {
        format!(
            "the tables were made by a later version of this crate (they are of version {revision}, it \
             knows {known}), and are left alone: run that version"
        )
    } else if last == 0 {
        "there are no tables: open the file without SqliteSettings::without_migrations, or run \
         SqliteStore::schema_sql"
            .to_owned()
    } else {
        format!(
            "the tables are of version {last}, and this crate needs {known}: open the file without \
             SqliteSettings::without_migrations"
        )
    }))
}
