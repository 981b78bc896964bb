//! Secrets that a declaration names and does not contain.

use std::io::Read as _;

/// A place outside a declaration that holds a secret.
///
/// In JSON: `{"env": "REPORTS_SECRET"}` or `{"file": "/run/secrets/reports"}`.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum SecretReference {
    /// An environment variable of this name.
    Env(String),
    /// A file at this path.
    File(String),
}

impl SecretReference {
    /// The largest file that [`read`](Self::read) takes, in bytes.
    const MAX_FILE: u64 = 4096;

    /// Reads the secret: the value of the variable, or the text of the file without a line break at its
    /// end.
    ///
    /// # Errors
    ///
    /// The reason, as a clause with the name of the variable or the file.
    pub fn read(&self) -> Result<String, String> {
        match self {
            Self::Env(name) if name.is_empty() || name.contains(['=', '\0']) => {
                Err(format!("{name:?} is no name of an environment variable"))
            }
            Self::Env(name) => std::env::var(name).map_err(|error| match error {
                std::env::VarError::NotPresent => {
                    format!("the environment variable {name} is not set")
                }
                std::env::VarError::NotUnicode(_) => {
                    format!("the environment variable {name} is not UTF-8")
                }
            }),
            Self::File(path) => Self::read_file(path),
        }
    }

    fn read_file(path: &str) -> Result<String, String> {
        let mut text = String::new();
        let opened = std::fs::File::open(path);
        let read = opened
            .and_then(|file| file.take(Self::MAX_FILE.saturating_add(1)).read_to_string(&mut text));
        match read {
            Err(error) => Err(format!("the file {path} cannot be read: {error}")),
            Ok(_) if text.len() as u64 > Self::MAX_FILE => {
                Err(format!("the file {path} has more than 4096 bytes"))
            }
            Ok(_) => {
                let line = text.strip_suffix('\n').unwrap_or(&text);
                Ok(line.strip_suffix('\r').unwrap_or(line).to_owned())
            }
        }
    }
}
