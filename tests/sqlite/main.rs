//! `SqliteStore`: the contract, and what a file, a disk and a power cord can do to it.
#![expect(clippy::unwrap_used, reason = "a test fails by panic")]

mod contract;
mod support;
