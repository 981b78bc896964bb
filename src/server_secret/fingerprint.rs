//! Fingerprints of roots: public names by which a store knows the roots under which it was written.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::{Root, RootUse, WeakServerSecret};

/// The fingerprint of a root in one use. It is derived from the root one way, so it reveals nothing of it.
///
/// Its text is the use and 16 hexadecimal digits, such as `handles:0123456789abcdef`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct RootPrint {
    root_use: RootUse,
    print: [u8; 8],
}

impl RootPrint {
    /// Returns the fingerprint of the root with these bytes.
    pub(super) fn of(root: &[u8], root_use: RootUse) -> Result<Self, WeakServerSecret> {
        Ok(Root::new(root)?.print(root_use))
    }

    pub(super) const fn new(root_use: RootUse, print: [u8; 8]) -> Self {
        Self { root_use, print }
    }

    /// Returns the use of the root.
    #[must_use]
    pub const fn root_use(self) -> RootUse {
        self.root_use
    }
}

impl fmt::Display for RootPrint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{:016x}", self.root_use.name(), u64::from_be_bytes(self.print))
    }
}

/// The text is not the fingerprint of a root.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a fingerprint of a root: it is a use and 16 hexadecimal digits")]
#[non_exhaustive]
pub struct InvalidRootPrint;

impl FromStr for RootPrint {
    type Err = InvalidRootPrint;

    fn from_str(text: &str) -> Result<Self, InvalidRootPrint> {
        let (name, digits) = text.split_once(':').ok_or(InvalidRootPrint)?;
        let named = |root_use: &&RootUse| root_use.name() == name;
        let root_use = *RootUse::ALL.iter().find(named).ok_or(InvalidRootPrint)?;
        let print = u64::from_str_radix(digits, 16).map_err(|_| InvalidRootPrint)?;
        let print = Self { root_use, print: print.to_be_bytes() };
        // One spelling only.
        if print.to_string() == text { Ok(print) } else { Err(InvalidRootPrint) }
    }
}

impl From<RootPrint> for String {
    fn from(print: RootPrint) -> Self {
        print.to_string()
    }
}

impl TryFrom<String> for RootPrint {
    type Error = InvalidRootPrint;

    fn try_from(text: String) -> Result<Self, InvalidRootPrint> {
        text.parse()
    }
}

/// The roots of a server, as it tells a store when it starts.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_structs, reason = "hosts call the store in their own tests")]
pub struct RootsClaim {
    /// The root that seals, for each use.
    pub sealing: Vec<RootPrint>,
    /// Every root that the server accepts, the sealing ones among them.
    pub accepted: Vec<RootPrint>,
    /// The roots that the host has given up. The store forgets them.
    pub given_up: Vec<RootPrint>,
}

impl RootsClaim {
    /// Applies the promise of [`GrantStore::claim_roots`](crate::store::GrantStore::claim_roots) to the
    /// fingerprints that a store remembers, oldest first. Returns the roots that the server lacks. Then
    /// nothing has changed.
    pub fn apply(&self, remembered: &mut Vec<RootPrint>) -> Vec<RootPrint> {
        let mut next = remembered.clone();
        next.retain(|print| !self.given_up.contains(print));
        let last_of = |root_use: &RootUse| next.iter().rev().find(|it| it.root_use == *root_use);
        let last = RootUse::ALL.iter().filter_map(last_of);
        let missing: Vec<_> = last.filter(|it| !self.accepted.contains(it)).copied().collect();
        if missing.is_empty() {
            let new = self.sealing.iter().filter(|print| !next.contains(print)).copied();
            let new: Vec<_> = new.collect();
            next.extend(new);
            *remembered = next;
        }
        missing
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::server_secret::ServerSecret;

    const ROOTS: [&[u8; 32]; 3] = [
        b"0123456789abcdef0123456789abcdef",
        b"fedcba9876543210fedcba9876543210",
        b"the thirty-two bytes of a root..",
    ];

    fn claim(roots: &[usize]) -> RootsClaim {
        let mut secret = ServerSecret::new(ROOTS[roots[0]]).unwrap();
        for older in &roots[1..] {
            secret = secret.accepting(ROOTS[*older]).unwrap();
        }
        secret.roots_claim()
    }

    fn prints(root: usize) -> Vec<RootPrint> {
        claim(&[root]).sealing
    }

    #[test]
    fn a_fingerprint_has_one_spelling_and_nothing_of_the_root() {
        for print in prints(0) {
            let text = print.to_string();
            assert_eq!(text.parse(), Ok(print));
            let digits = text.split_once(':').unwrap().1;
            assert!(digits.len() == 16 && !text.contains("0123456789"), "{text}");
            for bad in [text.to_uppercase(), format!("{text}0"), digits.to_owned(), String::new()] {
                assert_eq!(bad.parse::<RootPrint>(), Err(InvalidRootPrint), "{bad}");
            }
        }
        let all: std::collections::HashSet<_> = (0..3).flat_map(prints).collect();
        assert_eq!(all.len(), 9, "each root and use has its own");
    }

    /// Z2: a server that lacks the last root that sealed is told so, and changes nothing.
    #[test]
    fn a_server_without_the_last_root_that_sealed_is_refused() {
        let mut remembered = Vec::new();
        assert_eq!(claim(&[0]).apply(&mut remembered), []);
        assert_eq!(remembered, prints(0));
        // New roots, as a lost key file gets them.
        assert_eq!(claim(&[1]).apply(&mut remembered), prints(0));
        assert_eq!(remembered, prints(0));
        // Added, promoted, retired.
        for (roots, sealed) in [(&[0, 1][..], 1), (&[1, 0], 2), (&[0, 1], 2), (&[1], 2)] {
            assert_eq!(claim(roots).apply(&mut remembered), []);
            assert_eq!(remembered.len(), 3 * sealed, "{roots:?}");
        }
        // An old key file.
        assert_eq!(claim(&[0]).apply(&mut remembered), prints(1));
        // The host states that it gives the root up.
        let given_up = RootsClaim { given_up: prints(1), ..claim(&[0]) };
        assert_eq!(given_up.apply(&mut remembered), []);
        assert_eq!(remembered, prints(0));
        // One use alone is missing.
        let pepper = ServerSecret::new(ROOTS[2]).unwrap();
        let other =
            pepper.accepting_handles(ROOTS[0]).unwrap().accepting_sealing(ROOTS[0]).unwrap();
        let missing = other.roots_claim().apply(&mut remembered);
        assert_eq!(
            missing,
            prints(0).into_iter().filter(|it| it.root_use == RootUse::Pepper).collect::<Vec<_>>()
        );
    }
}
