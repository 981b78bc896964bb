//! The key file on disk: written whole or not at all, and readable by its owner only.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Read as _, Write as _};
use std::path::{Path, PathBuf};

use zeroize::Zeroizing;

use super::KeyFile;
use crate::clock::UnixTime;
use crate::jwt::{Algorithm, KeyError};
use crate::random::SecureRandom;

/// More than the largest number of keys needs.
const MAX_BYTES: u64 = 1024 * 1024;

/// A key file could not be read or written. The error names the file, and contains nothing of it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum KeyFileError {
    /// The file could not be read or written.
    #[error("the key file {} cannot be read or written: {cause}", path.display())]
    #[non_exhaustive]
    Io {
        /// The path as the caller gave it.
        path: PathBuf,
        /// The cause.
        cause: io::Error,
    },
    /// More users than allowed may read or write it. If they could, treat its secrets as leaked.
    #[error(
        "the key file {} has mode {mode:04o}: at most {allowed:04o} is accepted (chmod 600; for the \
         volume of a secret, KeyFile::read_group_readable)",
        path.display()
    )]
    #[non_exhaustive]
    Permissions {
        /// The path as the caller gave it.
        path: PathBuf,
        /// Its mode.
        mode: u32,
        /// The widest mode that is accepted.
        allowed: u32,
    },
    /// The text is not a key file.
    #[error("{} is no key file, or is damaged at line {line}, column {column}", name(path.as_deref()))]
    #[non_exhaustive]
    Malformed {
        /// The path as the caller gave it; `None` for a text.
        path: Option<PathBuf>,
        /// The line of the error.
        line: usize,
        /// The column.
        column: usize,
    },
    /// The text is JSON, and not a key file.
    #[error("{} is not a key file: it has no `version`", name(path.as_deref()))]
    #[non_exhaustive]
    Foreign {
        /// The path as the caller gave it; `None` for a text.
        path: Option<PathBuf>,
    },
    /// The file has another version.
    #[error(
        "{} has version {version}, and this program reads version 1: run the program that wrote it",
        name(path.as_deref())
    )]
    #[non_exhaustive]
    OtherVersion {
        /// The path as the caller gave it; `None` for a text.
        path: Option<PathBuf>,
        /// Its version.
        version: u64,
    },
    /// Another process has written the file since it was read.
    #[error("the key file {} was written since it was read: read it again", path.display())]
    #[non_exhaustive]
    Changed {
        /// The path as the caller gave it.
        path: PathBuf,
    },
    /// Another process is writing the file.
    #[error("another process is writing the key file {}", path.display())]
    #[non_exhaustive]
    Busy {
        /// The path as the caller gave it.
        path: PathBuf,
    },
    /// There was no file, and no key could be generated for a new one.
    #[error("the key file {} cannot be generated: {cause}", path.display())]
    #[non_exhaustive]
    NotGenerated {
        /// The path as the caller gave it.
        path: PathBuf,
        /// The cause.
        cause: KeyError,
    },
    /// The file is larger than 1 MiB.
    #[error("the key file {} is larger than 1 MiB", path.display())]
    #[non_exhaustive]
    TooLarge {
        /// The path as the caller gave it.
        path: PathBuf,
    },
}

impl KeyFileError {
    fn io(path: &Path, cause: io::Error) -> Self {
        Self::Io { path: path.to_owned(), cause }
    }

    /// Checks whether the file does not exist.
    #[must_use]
    pub fn is_not_found(&self) -> bool {
        matches!(self, Self::Io { cause, .. } if cause.kind() == io::ErrorKind::NotFound)
    }
}

fn name(path: Option<&Path>) -> String {
    path.map_or_else(|| "the file".to_owned(), |path| format!("the file {}", path.display()))
}

/// The owner alone has rights.
const PRIVATE: u32 = 0o600;
/// The group may also read.
const GROUP_READABLE: u32 = 0o640;

impl KeyFile {
    /// Reads the file at `path`. On Unix, only its owner may have rights to it.
    ///
    /// # Errors
    ///
    /// [`KeyFileError`].
    pub fn read(path: impl AsRef<Path>) -> Result<Self, KeyFileError> {
        Self::read_within(path.as_ref(), PRIVATE)
    }

    /// Reads the file at `path`, or generates and writes it if there is none, with the secrets that
    /// [`generate`](Self::generate) makes. If several processes start at once, one generates the file and the others
    /// read it.
    ///
    /// A server over the database of a lost file gets new secrets, and
    /// [`ServerBuilder::start`](crate::ServerBuilder::start) refuses them.
    ///
    /// # Errors
    ///
    /// [`KeyFileError`]. After an error, an existing file is unchanged.
    pub fn read_or_generate(
        path: impl AsRef<Path>,
        algorithm: Algorithm,
        random: &dyn SecureRandom,
        now: UnixTime,
    ) -> Result<Self, KeyFileError> {
        let path = path.as_ref();
        let read = || match Self::read(path) {
            Err(error) if error.is_not_found() => Ok(None),
            read => read.map(Some),
        };
        if let Some(file) = read()? {
            return Ok(file);
        }
        // The others wait for the first, which writes the file within milliseconds.
        let lock = lock_file(path)?;
        lock.lock().map_err(|cause| KeyFileError::io(path, cause))?;
        if let Some(file) = read()? {
            return Ok(file);
        }
        let not_generated = |cause| KeyFileError::NotGenerated { path: path.to_owned(), cause };
        let mut file = Self::generate(algorithm, random, now).map_err(not_generated)?;
        file.write_under_lock(path)?;
        Ok(file)
    }

    /// Reads a file that its group may read, too, such as one in the volume of a secret that a container
    /// orchestrator mounts with mode 0440 and a group of its own (`fsGroup`).
    ///
    /// The price: every process with that group can read every secret of the server.
    ///
    /// # Errors
    ///
    /// [`KeyFileError`].
    pub fn read_group_readable(path: impl AsRef<Path>) -> Result<Self, KeyFileError> {
        Self::read_within(path.as_ref(), GROUP_READABLE)
    }

    fn read_within(path: &Path, allowed: u32) -> Result<Self, KeyFileError> {
        let io_error = |cause| KeyFileError::io(path, cause);
        let file = File::open(path).map_err(io_error)?;
        // The rights of the opened file: another one may be at the path by now.
        refuse_shared(path, &file, allowed)?;
        let length = file.metadata().map_err(io_error)?.len();
        let length = usize::try_from(length).unwrap_or(usize::MAX);
        if u64::try_from(length).unwrap_or(u64::MAX) > MAX_BYTES {
            return Err(KeyFileError::TooLarge { path: path.to_owned() });
        }
        // Large enough from the start: growing would leave copies behind that are not zeroized.
        let mut text = Zeroizing::new(String::with_capacity(length.saturating_add(64)));
        file.take(MAX_BYTES).read_to_string(&mut text).map_err(io_error)?;
        Self::parse(&text, Some(path))
    }

    /// Writes the file at `path` with mode 0600: first under a name with `.new` appended, synced, and
    /// then renamed. A reader sees the old file or the new one, also after a crash. A symbolic link at
    /// `path` is replaced.
    ///
    /// An empty file with `.lock` appended to its name remains. Its lock keeps out other writers, and
    /// ends with the process that holds it.
    ///
    /// # Errors
    ///
    /// [`KeyFileError::Changed`] if the file is not the one that was read, [`KeyFileError::Busy`], and
    /// [`KeyFileError::Io`]. After an error the old file is in place, unless only the folder could not be
    /// synced: then a crash may leave either.
    pub fn write(&mut self, path: impl AsRef<Path>) -> Result<(), KeyFileError> {
        let path = path.as_ref();
        let _lock = lock(path)?;
        self.refuse_changed(path)?;
        self.write_under_lock(path)
    }

    fn write_under_lock(&mut self, path: &Path) -> Result<(), KeyFileError> {
        let mut next = self.clone();
        next.revision = self.revision.saturating_add(1);
        let io_error = |cause| KeyFileError::io(path, cause);
        let json = next.to_json().map_err(io_error)?;
        let new = beside(path, ".new");
        let written = write_new(&new, json.as_bytes()).and_then(|()| fs::rename(&new, path));
        if let Err(error) = written {
            _ = fs::remove_file(&new);
            return Err(io_error(error));
        }
        self.revision = next.revision;
        sync_folder(path).map_err(io_error)
    }

    /// Returns the text of the file, with every secret of the server, for a host that stores it
    /// elsewhere. The caller must zeroize it.
    ///
    /// # Errors
    ///
    /// [`KeyFileError::Io`], which cannot happen: records of strings and numbers have a JSON form.
    pub fn expose_json(&self) -> Result<String, KeyFileError> {
        let json = self.to_json().map_err(|cause| KeyFileError::io(Path::new(""), cause))?;
        Ok(json.to_string())
    }

    fn to_json(&self) -> io::Result<Zeroizing<String>> {
        // Large enough from the start: growing would leave copies behind that are not zeroized.
        let texts = self.signing_keys.iter().map(|key| key.pem.len() * 2 + 512);
        let length = 512 * (1 + self.roots.len()) + texts.sum::<usize>();
        let mut json = Zeroizing::new(Vec::with_capacity(length));
        serde_json::to_writer_pretty(&mut *json, self).map_err(io::Error::from)?;
        json.push(b'\n');
        let text = std::str::from_utf8(&json).map_err(io::Error::other)?;
        Ok(Zeroizing::new(text.to_owned()))
    }

    /// Refuses to undo the write of another process.
    fn refuse_changed(&self, path: &Path) -> Result<(), KeyFileError> {
        match Self::read(path) {
            Ok(present) if present.revision == self.revision => Ok(()),
            Err(error) if error.is_not_found() && self.revision == 0 => Ok(()),
            Err(error) if !error.is_not_found() => Err(error),
            Ok(_) | Err(_) => Err(KeyFileError::Changed { path: path.to_owned() }),
        }
    }
}

fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(suffix);
    path.with_file_name(name)
}

/// Locks out other writers until the returned file is dropped.
fn lock(path: &Path) -> Result<File, KeyFileError> {
    let file = lock_file(path)?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(KeyFileError::Busy { path: path.to_owned() }),
        Err(TryLockError::Error(error)) => Err(KeyFileError::io(path, error)),
    }
}

/// Opens the file beside the key file that writers lock.
fn lock_file(path: &Path) -> Result<File, KeyFileError> {
    let opened = for_owner().create(true).truncate(false).open(beside(path, ".lock"));
    opened.map_err(|cause| KeyFileError::io(path, cause))
}

/// Writes a new file and syncs it. The lock must be held.
fn write_new(path: &Path, content: &[u8]) -> io::Result<()> {
    // A writer that crashed may have left one behind.
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        Ok(()) | Err(_) => {}
    }
    let mut file = for_owner().create_new(true).open(path)?;
    file.write_all(content)?;
    file.sync_all()
}

/// Options to write a file; if it is created, only its owner has rights to it.
fn for_owner() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.write(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options
}

#[cfg(unix)]
fn refuse_shared(path: &Path, file: &File, allowed: u32) -> Result<(), KeyFileError> {
    use std::os::unix::fs::PermissionsExt as _;

    let metadata = file.metadata().map_err(|cause| KeyFileError::io(path, cause))?;
    let mode = metadata.permissions().mode() & 0o7777;
    if mode & 0o077 & !allowed == 0 {
        return Ok(());
    }
    Err(KeyFileError::Permissions { path: path.to_owned(), mode, allowed })
}

/// On other systems the rights of the folder protect the file.
#[cfg(not(unix))]
fn refuse_shared(_: &Path, _: &File, _: u32) -> Result<(), KeyFileError> {
    Ok(())
}

/// Syncs the name of the file.
#[cfg(unix)]
fn sync_folder(path: &Path) -> io::Result<()> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    File::open(folder.unwrap_or(Path::new(".")))?.sync_all()
}

#[cfg(not(unix))]
fn sync_folder(_: &Path) -> io::Result<()> {
    Ok(())
}
