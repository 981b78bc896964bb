//! The names of one issuer in tables that several share.
//!
//! Client ids and subjects of a further issuer begin with its number between two line feeds, and so does every
//! name in a target of its revocations. Those of the first issuer are plain. No name holds a control
//! character, so no two issuers have a name in common.

use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::Arc;

use super::unreadable;
use crate::store::StoreError;

/// Before every plain name, and before every client id of a further issuer.
const FIRST_FLOOR: &str = "\u{1f}";

/// The names of one issuer. Clones share them.
#[derive(Clone, Default)]
pub(in crate::store) struct Names(Option<Arc<Further>>);

struct Further {
    number: i32,
    tag: String,
    ceiling: String,
}

impl Names {
    /// Returns the names of the further issuer with this number.
    pub(in crate::store) fn of(number: i32) -> Self {
        // A vertical tab follows a line feed, and precedes every digit.
        let (tag, ceiling) = (format!("\n{number}\n"), format!("\n{number}\u{b}"));
        Self(Some(Arc::new(Further { number, tag, ceiling })))
    }

    /// Returns the number of the issuer, or `None` for the first.
    pub(in crate::store) fn number(&self) -> Option<i32> {
        self.0.as_ref().map(|further| further.number)
    }

    /// Returns the beginning of each of its names.
    pub(in crate::store) fn tag(&self) -> &str {
        self.0.as_ref().map_or("", |further| &further.tag)
    }

    /// Returns a text before all of its names, and after those of the issuers before it.
    pub(in crate::store) fn floor(&self) -> &str {
        self.0.as_ref().map_or(FIRST_FLOOR, |further| &further.tag)
    }

    /// Returns a text after all of its names, and before those of the issuers after it. Nothing comes after
    /// the names of the first issuer.
    pub(in crate::store) fn ceiling(&self) -> Option<&str> {
        self.0.as_ref().map(|further| &*further.ceiling)
    }

    /// Returns `name` as the tables have it.
    pub(in crate::store) fn write<'n>(&self, name: &'n str) -> Cow<'n, str> {
        match &self.0 {
            None => Cow::Borrowed(name),
            Some(further) => Cow::Owned([&further.tag, name].concat()),
        }
    }

    /// Returns the name in a column, or `None` if it is of another issuer.
    pub(in crate::store) fn read<'t>(&self, text: &'t str) -> Option<&'t str> {
        text.strip_prefix(self.tag()).filter(|name| !name.starts_with('\n'))
    }
}

/// Returns the names of `issuers` in their order, by the numbers that the tables have.
pub(in crate::store) fn in_order(
    issuers: &[&str],
    numbers: &HashMap<String, i32>,
) -> Result<Vec<Names>, StoreError> {
    let names = |issuer: &&str| numbers.get(*issuer).copied().map(Names::of);
    let found = issuers.iter().map(names).collect::<Option<_>>();
    found.ok_or_else(|| unreadable("issuer"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_names_of_issuers_are_apart() {
        let issuers = [Names::default(), Names::of(1), Names::of(2), Names::of(10), Names::of(19)];
        for (here, own) in issuers.iter().enumerate() {
            for name in [" ", "app", "1", "\u{10fffe}", "~"] {
                let written = own.write(name);
                for (there, other) in issuers.iter().enumerate() {
                    let is_own = here == there;
                    assert_eq!(other.read(&written), is_own.then_some(name));
                    let is_between = *written > *other.floor()
                        && other.ceiling().is_none_or(|ceiling| *written < *ceiling);
                    assert_eq!(is_between, is_own, "{written:?} of {here} at {there}");
                }
            }
        }
    }
}
