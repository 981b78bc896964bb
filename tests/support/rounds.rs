//! The number of rounds of a race.

/// Returns `GRANTOR_RACE_ROUNDS`, or a default.
pub(crate) fn rounds(otherwise: usize) -> usize {
    std::env::var("GRANTOR_RACE_ROUNDS").map_or(otherwise, |rounds| rounds.parse().unwrap())
}
