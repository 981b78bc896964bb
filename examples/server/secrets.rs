//! The secrets that must last as long as the store.

use std::path::{Path, PathBuf};

use grantor::clock::{Clock as _, SystemClock};
use grantor::jwt::{Algorithm, KeyRing};
use grantor::random::OsRandom;
use grantor::server_secret::{KeyFile, KeyFileError};
use grantor::{ServerSecret, SigningKey};

use crate::BoxError;
use crate::args::Args;

/// Returns the server secret, the keys, and the file that the upkeep follows: fresh ones for a store in
/// memory, or those in the file, which is created if missing. All processes over one database read the
/// same file.
///
/// # Errors
///
/// The reason that the file cannot be read or written.
pub(crate) fn secrets(
    args: &Args,
    random: &OsRandom,
) -> Result<(ServerSecret, KeyRing, Option<PathBuf>), BoxError> {
    let algorithm = args.algorithm;
    let rsa = [Algorithm::RS256, Algorithm::PS256].contains(&algorithm);
    let Some(path) = args.keys.clone().or_else(|| beside(&args.store)) else {
        return Ok((ServerSecret::generate(random)?, signing_key(algorithm)?.into(), None));
    };
    let algorithm_of_file = if rsa { Algorithm::ES256 } else { algorithm };
    let file = read_or_make(args, &path, algorithm_of_file, random)?;
    let secret = file.server_secret()?;
    // The library generates no RSA keys, so the demo key signs.
    if rsa {
        return Ok((secret, signing_key(algorithm)?.into(), None));
    }
    Ok((secret, file.key_ring()?, Some(path)))
}

/// Returns the default key file of the store at this URL. One in memory has none.
fn beside(store: &str) -> Option<PathBuf> {
    if store.starts_with("memory:") {
        return None;
    }
    let path = store.strip_prefix("sqlite:").map(|path| path.strip_prefix("//").unwrap_or(path));
    Some(path.map_or("grantor-example.keys".into(), |path| format!("{path}.keys").into()))
}

/// Generates a key, or returns the demo key for RSA, which the library does not generate.
fn signing_key(algorithm: Algorithm) -> Result<SigningKey, BoxError> {
    if [Algorithm::RS256, Algorithm::PS256].contains(&algorithm) {
        return Ok(SigningKey::from_pem(algorithm, include_str!("demo_server_rsa.pem"))?);
    }
    Ok(SigningKey::generate(algorithm)?)
}

fn read_or_make(
    args: &Args,
    path: &Path,
    algorithm: Algorithm,
    random: &OsRandom,
) -> Result<KeyFile, KeyFileError> {
    if args.group_readable_keys {
        match KeyFile::read_group_readable(path) {
            Err(error) if error.is_not_found() => {}
            read => return read,
        }
    }
    KeyFile::read_or_generate(path, algorithm, random, SystemClock::new().now())
}
