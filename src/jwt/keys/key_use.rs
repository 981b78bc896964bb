use std::cmp::Reverse;

use serde::{Deserialize, Serialize};

use crate::clock::UnixTime;

/// A kind of token that the server signs. A signing key is for one use, or for every use.
#[doc(alias = "use")]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum KeyUse {
    /// Access tokens (RFC 9068).
    AccessToken,
    /// A second use, with which the tests show that uses are independent.
    #[cfg(test)]
    IdToken,
}

impl KeyUse {
    /// Every use.
    pub const ALL: &'static [Self] = &[
        Self::AccessToken,
        #[cfg(test)]
        Self::IdToken,
    ];
}

/// The use of a signing key, and the instants between which it signs and is published.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Term {
    /// `None`: every use.
    pub(crate) key_use: Option<KeyUse>,
    pub(crate) not_before: UnixTime,
    pub(crate) retire_after: Option<UnixTime>,
}

impl Term {
    pub(crate) fn is_gone(&self, now: UnixTime) -> bool {
        self.retire_after.is_some_and(|instant| instant <= now)
    }

    pub(super) fn serves(&self, wanted: KeyUse) -> bool {
        self.key_use.is_none_or(|own| own == wanted)
    }
}

/// Finds the signing key for `wanted` at `now` among keys numbered by their order.
///
/// A key that has begun goes before one that has not, then a key for this use alone before one for
/// every use. Among these, the key that began last signs, or else the one that begins first. On a tie,
/// the first key wins.
pub(crate) fn signing_key(
    keys: impl Iterator<Item = (usize, Term)>,
    wanted: KeyUse,
    now: UnixTime,
) -> Option<usize> {
    let rank = |term: &Term| {
        let (has_begun, instant) = (term.not_before <= now, term.not_before.as_millis());
        let latest = if has_begun { instant } else { instant.saturating_neg() };
        (has_begun, term.key_use.is_some(), latest)
    };
    let candidates = keys.filter(|(_, term)| term.serves(wanted) && !term.is_gone(now));
    candidates.max_by_key(|(place, term)| (rank(term), Reverse(*place))).map(|(place, _)| place)
}
