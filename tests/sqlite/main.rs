//! `SqliteStore`: the contract, and what a file, a disk and a power cord can do to it.
#![expect(clippy::unwrap_used, clippy::unreachable, reason = "a test fails by panic")]

mod agreement;
mod audit;
#[expect(clippy::print_stderr, reason = "a seed is for whoever reads the log")]
#[path = "../postgres/chance.rs"]
mod chance;
mod contract;
mod crash;
mod file;
mod restored;
mod sharing;
mod support;
mod trouble;
