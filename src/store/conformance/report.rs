//! The report on a store.

use std::fmt;

use super::Violation;

/// The checks that a store passed and those that it failed.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Report {
    /// The names of the checks that it passed.
    pub passed: Vec<&'static str>,
    /// The names of the checks that it failed, and how.
    pub failed: Vec<(&'static str, Violation)>,
}

impl Report {
    /// Checks whether the store keeps the contract, as far as the kit can tell.
    #[must_use]
    pub fn is_passed(&self) -> bool {
        self.failed.is_empty()
    }

    /// Checks whether the check with this name failed.
    #[must_use]
    pub fn failed(&self, name: &str) -> bool {
        self.failed.iter().any(|(failed, _)| *failed == name)
    }
}

/// Writes one line, and one for each check that failed.
impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} checks passed, {} failed", self.passed.len(), self.failed.len())?;
        for (name, violation) in &self.failed {
            write!(f, "\n  {name}: {violation}")?;
        }
        Ok(())
    }
}
