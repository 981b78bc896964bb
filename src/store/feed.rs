//! The feed of revocations: its pages, and the cursors of its readers.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::Revocation;
use crate::clock::UnixTime;

/// The position of a reader in the feed. Opaque: a reader stores it and passes it back.
///
/// As text, for a query: `1700000000123.7`.
///
/// ```
/// use grantor::store::FeedCursor;
///
/// let cursor: FeedCursor = "1700000000123.7".parse()?;
/// assert_eq!(cursor.to_string(), "1700000000123.7");
/// # Ok::<(), grantor::store::InvalidCursor>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[expect(clippy::exhaustive_structs, reason = "hosts' stores make it")]
pub struct FeedCursor {
    /// The store's clock at the last entry read.
    pub at: UnixTime,
    /// Orders entries of one millisecond.
    pub tie: u64,
}

/// A text that is not a [`FeedCursor`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, thiserror::Error)]
#[error("not a cursor of the feed of revocations")]
#[non_exhaustive]
pub struct InvalidCursor;

impl fmt::Display for FeedCursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.at.as_millis(), self.tie)
    }
}

/// Accepts only the spelling that `Display` writes.
impl FromStr for FeedCursor {
    type Err = InvalidCursor;

    fn from_str(text: &str) -> Result<Self, InvalidCursor> {
        let (at, tie) = text.split_once('.').ok_or(InvalidCursor)?;
        let at = at.parse().map_err(|_| InvalidCursor)?;
        let tie = tie.parse().map_err(|_| InvalidCursor)?;
        let cursor = Self { at: UnixTime::from_millis(at), tie };
        // `+1` and `01` would parse, too.
        if cursor.to_string() == text { Ok(cursor) } else { Err(InvalidCursor) }
    }
}

/// A page of the feed of revocations.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[expect(clippy::exhaustive_structs, reason = "hosts' stores make it")]
pub struct RevocationFeed {
    /// The revocations. A reader may see one more than once.
    pub entries: Vec<Revocation>,
    /// Where the next page begins.
    pub next: FeedCursor,
    /// Whether another page can be read at once. If so, the reader has not seen everything.
    pub more: bool,
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_cursor_is_read_as_it_was_written(at: i64, tie: u64) {
            let cursor = FeedCursor { at: UnixTime::from_millis(at), tie };
            prop_assert_eq!(cursor.to_string().parse(), Ok(cursor));
        }
    }

    #[test]
    fn a_cursor_has_one_spelling() {
        for bad in [
            "", ".", "1", "1.", ".1", "+1.1", "1.+1", "01.1", "1.01", "-0.1", "1.1.1", " 1.1",
            "1.-1",
        ] {
            assert_eq!(bad.parse::<FeedCursor>(), Err(InvalidCursor), "{bad}");
        }
        assert_eq!("0.0".parse(), Ok(FeedCursor::default()));
    }
}
