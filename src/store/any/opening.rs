//! The URL of a store.

use crate::store::StoreError;

/// The parts of a URL.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Url<'a> {
    Memory,
    /// A path.
    Sqlite(&'a str),
    /// The whole URL.
    Postgres(&'a str),
}

/// The reason that no store can be opened. None quotes the URL, which may hold a password.
#[derive(Debug, thiserror::Error)]
enum NotOpened {
    #[error("the URL of the store does not begin with memory:, sqlite: or postgres://")]
    Scheme,
    #[error("memory: names nothing more, and the URL of the store does")]
    MoreThanMemory,
    #[error(
        "sqlite: needs the path of a file, without settings; for a store in memory write memory:"
    )]
    NoPath,
    #[cfg(not(all(feature = "sqlite", feature = "postgres")))]
    #[error(
        "this program was built without the feature {0} of grantor, which the URL of the store needs"
    )]
    Feature(&'static str),
}

/// Reads a URL.
pub(super) fn read(url: &str) -> Result<Url<'_>, StoreError> {
    let read = match url.split_once(':') {
        Some(("memory", "")) => Ok(Url::Memory),
        Some(("memory", _)) => Err(NotOpened::MoreThanMemory),
        Some(("sqlite", path)) => {
            let path = path.strip_prefix("//").unwrap_or(path);
            let is_path = !path.is_empty() && !path.starts_with(':') && !path.contains('?');
            if is_path { Ok(Url::Sqlite(path)) } else { Err(NotOpened::NoPath) }
        }
        Some(("postgres" | "postgresql", rest)) if rest.starts_with("//") => Ok(Url::Postgres(url)),
        _ => Err(NotOpened::Scheme),
    };
    read.map_err(StoreError::new)
}

/// Returns the error for a store that was not compiled in.
#[cfg(not(all(feature = "sqlite", feature = "postgres")))]
pub(super) fn needs(feature: &'static str) -> StoreError {
    StoreError::new(NotOpened::Feature(feature))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(url: &str) -> String {
        let error = read(url).unwrap_err();
        let text = format!("{error} {error:?}");
        assert!(!text.contains("planted"), "{text}");
        error.to_string()
    }

    /// Z33: a URL of no store says which there are, and quotes nothing.
    #[test]
    fn a_url_of_no_store_says_what_is_expected() {
        let unknown = ["", "memory", "planted", "mysql://a:planted@host/b", "postgres:planted"];
        for url in unknown {
            assert!(told(url).ends_with("memory:, sqlite: or postgres://"), "{url}");
        }
        assert!(told("memory:planted").contains("names nothing more"));
    }

    #[test]
    fn a_path_is_taken_as_it_is_written() {
        for (url, path) in [
            ("sqlite:a.db", "a.db"),
            ("sqlite:/var/a%20b.db", "/var/a%20b.db"),
            ("sqlite://a.db", "a.db"),
            ("sqlite:///var/a.db", "/var/a.db"),
        ] {
            assert_eq!(read(url).unwrap(), Url::Sqlite(path), "{url}");
        }
        for url in ["sqlite:", "sqlite://", "sqlite::memory:", "sqlite:planted?mode=ro"] {
            assert!(told(url).contains("needs the path of a file"), "{url}");
        }
    }
}
