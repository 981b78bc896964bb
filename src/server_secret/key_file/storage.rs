//! The file on the disk: whole or not at all, and for its owner only.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::path::{Path, PathBuf};

use zeroize::Zeroizing;

use super::KeyFile;

/// More than any number of keys takes.
const MAX_BYTES: u64 = 1024 * 1024;

/// Why a key file was not read or written. Nothing of its content is in it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum KeyFileError {
    /// The file could not be read or written.
    #[error("the key file cannot be read or written")]
    Io(#[from] io::Error),
    /// Others than its owner may read or write it: take its secrets for leaked if they could.
    #[error("the key file has mode {mode:04o}: only its owner may have any right (chmod 600)")]
    Permissions {
        /// The mode that it has.
        mode: u32,
    },
    /// The text is not that of a key file.
    #[error("the key file is malformed at line {line}, column {column}")]
    Malformed {
        /// The line where it is not.
        line: usize,
        /// The column.
        column: usize,
    },
    /// Somebody else has written the file since it was read.
    #[error("the key file was written since it was read: read it again")]
    Changed,
    /// There is a file of the same name with `.new` behind it: somebody is writing at this moment, or was
    /// broken off, and then it has to be removed by hand.
    #[error("the key file is being written, or a write was broken off and left a `.new` beside it")]
    Busy,
    /// The file is larger than 1 MiB.
    #[error("the key file is larger than 1 MiB")]
    TooLarge,
}

impl KeyFile {
    /// Reads the file at `path`. On Unix it has to be its owner's alone.
    ///
    /// # Errors
    ///
    /// [`KeyFileError`].
    pub fn read(path: impl AsRef<Path>) -> Result<Self, KeyFileError> {
        let file = File::open(path)?;
        // Of the file that was opened, whatever is at the path by now.
        refuse_shared(&file)?;
        let length = usize::try_from(file.metadata()?.len()).unwrap_or(usize::MAX);
        if u64::try_from(length).unwrap_or(u64::MAX) > MAX_BYTES {
            return Err(KeyFileError::TooLarge);
        }
        // Large enough from the start: growing would leave copies behind that nobody wipes.
        let mut text = Zeroizing::new(String::with_capacity(length.saturating_add(64)));
        file.take(MAX_BYTES).read_to_string(&mut text)?;
        Self::from_json(&text)
    }

    /// Writes the file at `path`: beside it, to the disk, and then in its place, with mode 0600. Whoever
    /// reads it meanwhile reads the one or the other, and so does whoever starts after a crash. A symbolic
    /// link in its place is replaced.
    ///
    /// # Errors
    ///
    /// [`KeyFileError::Changed`] when there is a file that is not the one that was read,
    /// [`KeyFileError::Busy`], and [`KeyFileError::Io`] after which the old one is in place, unless it is the folder that could
    /// not be brought to the disk: then either is after a crash.
    pub fn write(&mut self, path: impl AsRef<Path>) -> Result<(), KeyFileError> {
        let path = path.as_ref();
        let beside = beside(path);
        let mut next = self.clone();
        next.revision = self.revision.saturating_add(1);
        let json = next.to_json()?;
        let mut file = create(&beside).map_err(|error| {
            let busy = error.kind() == io::ErrorKind::AlreadyExists;
            if busy { KeyFileError::Busy } else { error.into() }
        })?;
        let written = file
            .write_all(json.as_bytes())
            .and_then(|()| file.sync_all())
            .map_err(KeyFileError::from)
            .and_then(|()| self.refuse_changed(path))
            .and_then(|()| Ok(fs::rename(&beside, path)?));
        if let Err(error) = written {
            // It is ours: nobody else could create it.
            _ = fs::remove_file(&beside);
            return Err(error);
        }
        self.revision = next.revision;
        sync_folder(path)?;
        Ok(())
    }

    /// The text of the file, for a host that keeps it elsewhere: every secret of the server. It is wiped
    /// by nobody but the host.
    ///
    /// # Errors
    ///
    /// [`KeyFileError::Io`], which cannot happen: records of strings and numbers have a JSON form.
    pub fn expose_json(&self) -> Result<String, KeyFileError> {
        Ok(self.to_json()?.to_string())
    }

    fn to_json(&self) -> Result<Zeroizing<String>, KeyFileError> {
        // Large enough from the start: growing would leave copies behind that nobody wipes.
        let texts = self.signing_keys.iter().map(|key| key.pem.len() * 2 + 512);
        let length = 512 * (1 + self.roots.len()) + texts.sum::<usize>();
        let mut json = Zeroizing::new(Vec::with_capacity(length));
        serde_json::to_writer_pretty(&mut *json, self).map_err(io::Error::from)?;
        json.push(b'\n');
        let text = std::str::from_utf8(&json).map_err(io::Error::other)?;
        Ok(Zeroizing::new(text.to_owned()))
    }

    /// Refuses to undo what another has written.
    fn refuse_changed(&self, path: &Path) -> Result<(), KeyFileError> {
        match Self::read(path) {
            Ok(present) if present.revision == self.revision => Ok(()),
            Ok(_) => Err(KeyFileError::Changed),
            Err(KeyFileError::Io(error)) if error.kind() == io::ErrorKind::NotFound => {
                if self.revision == 0 { Ok(()) } else { Err(KeyFileError::Changed) }
            }
            Err(error) => Err(error),
        }
    }
}

/// Where the next version of the file is written: one writer at a time, since it must not be there.
fn beside(path: &Path) -> PathBuf {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(".new");
    path.with_file_name(name)
}

#[cfg(unix)]
fn create(path: &Path) -> io::Result<File> {
    use std::os::unix::fs::OpenOptionsExt as _;

    OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)
}

#[cfg(not(unix))]
fn create(path: &Path) -> io::Result<File> {
    OpenOptions::new().write(true).create_new(true).open(path)
}

#[cfg(unix)]
fn refuse_shared(file: &File) -> Result<(), KeyFileError> {
    use std::os::unix::fs::PermissionsExt as _;

    let mode = file.metadata()?.permissions().mode() & 0o7777;
    let of_others = mode & 0o077;
    if of_others == 0 { Ok(()) } else { Err(KeyFileError::Permissions { mode }) }
}

/// Elsewhere the folder has to keep others out.
#[cfg(not(unix))]
fn refuse_shared(_: &File) -> Result<(), KeyFileError> {
    Ok(())
}

/// Brings the name of the file to the disk.
#[cfg(unix)]
fn sync_folder(path: &Path) -> io::Result<()> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    File::open(folder.unwrap_or(Path::new(".")))?.sync_all()
}

#[cfg(not(unix))]
fn sync_folder(_: &Path) -> io::Result<()> {
    Ok(())
}
