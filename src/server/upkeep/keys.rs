//! The key file of a running server: read again and again, and rotated on its schedule.

use std::path::PathBuf;
use std::time::Duration;

use super::job::{Done, Failure};
use crate::clock::UnixTime;
use crate::jwt::{KeyError, KeyRing};
use crate::server_secret::{KeyFile, KeyFileError, Rotation};

/// A key file whose keys are on a ring.
#[derive(Debug)]
pub(super) struct FollowedKeyFile {
    path: PathBuf,
    group_readable: bool,
    /// The time for which a key signs, and the rest of the schedule.
    rotation: Option<(Duration, Rotation)>,
    ring: KeyRing,
    /// The digest of the keys that are on the ring.
    digest: Option<[u8; 32]>,
}

impl FollowedKeyFile {
    pub(super) fn new(path: PathBuf, ring: &KeyRing) -> Self {
        Self { path, group_readable: false, rotation: None, ring: ring.clone(), digest: None }
    }

    pub(super) fn group_readable(self) -> Self {
        Self { group_readable: true, ..self }
    }

    pub(super) fn rotating(self, every: Duration, rotation: Rotation) -> Self {
        Self { rotation: Some((every, rotation)), ..self }
    }

    /// Puts the keys of the file on the ring, and rotates them if it is time.
    pub(super) fn follow(&mut self, now: UnixTime) -> Result<Done, Failure> {
        let mut file = if self.group_readable {
            KeyFile::read_group_readable(&self.path)?
        } else {
            KeyFile::read(&self.path)?
        };
        // Before the rotation, which may fail.
        self.put_on_ring(&file)?;
        let Some((every, rotation)) = &self.rotation else { return Ok(Done::All) };
        if !file.is_rotation_due(now, *every, rotation) {
            return Ok(Done::All);
        }
        file.rotate(now, rotation)?;
        match file.write(&self.path) {
            Ok(()) => {}
            // Another process rotates at this moment.
            Err(KeyFileError::Busy { .. } | KeyFileError::Changed { .. }) => return Ok(Done::Soon),
            Err(error) => return Err(error.into()),
        }
        self.put_on_ring(&file)?;
        Ok(Done::All)
    }

    /// Parses the keys and puts them on the ring, unless they are there.
    fn put_on_ring(&mut self, file: &KeyFile) -> Result<(), KeyError> {
        let digest = file.keys_digest();
        if self.digest != Some(digest) {
            self.ring.replace(file.ring_keys()?)?;
            self.digest = Some(digest);
        }
        Ok(())
    }
}
