//! The library that moves the clock of a process (libfaketime).

use std::path::{Path, PathBuf};

/// Returns the library, for `LD_PRELOAD`, if it is installed.
pub(crate) fn library() -> Option<String> {
    let folders = std::fs::read_dir("/usr/lib").into_iter().flatten();
    let folders = folders.filter_map(|folder| Some(folder.ok()?.path()));
    let folders = folders.chain([PathBuf::from("/usr/lib")]);
    let mut files = folders.map(|folder| folder.join("faketime/libfaketimeMT.so.1"));
    let found = files.find(|file| file.is_file())?;
    Some(found.to_str()?.to_owned())
}

/// The shared memory of the library. A process that is killed leaves it behind, named by its process id. It is removed
/// when the value is dropped, after the processes.
pub(crate) struct SharedClocks;

impl Drop for SharedClocks {
    fn drop(&mut self) {
        for file in std::fs::read_dir("/dev/shm").into_iter().flatten().flatten() {
            let name = file.file_name();
            let id = name.to_str().and_then(|name| {
                name.strip_prefix("faketime_shm_").or(name.strip_prefix("sem.faketime_sem_"))
            });
            if id.is_some_and(|id| !Path::new("/proc").join(id).exists()) {
                // The watchdog or another test may have been faster.
                let _ = std::fs::remove_file(file.path());
            }
        }
    }
}
