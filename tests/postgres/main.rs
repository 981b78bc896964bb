//! The store on PostgreSQL, against a server that these tests start for themselves.
//!
//! `GRANTOR_TEST_DATABASE_URL` names another one; then nothing is started and nothing killed. Where
//! there is none at all each test says so in a line and passes, unless `GRANTOR_REQUIRE_SERVICES`
//! is `1`. `GRANTOR_RACE_ROUNDS` says how often each race is run, `GRANTOR_SEED` where random choices
//! begin. What is counted is printed (`--nocapture`).
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test fails by panic")]
#![expect(clippy::indexing_slicing, reason = "a test knows what it indexes")]
#![expect(clippy::print_stderr, reason = "a test says what it skipped and counted")]

mod audit;
mod chance;
mod child;
mod cluster;
mod contenders;
mod costs;
mod crash;
mod full_disk;
mod isolation;
mod kit;
mod outages;
mod plans;
mod processes;
mod races;
mod restored;
mod revokers;
mod secrets;
mod sharing;
mod subjects;
mod survivors;
mod trouble;
mod world;
mod writers;
