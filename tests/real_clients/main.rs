//! Clients that others wrote, over real loopback HTTP, against the example server: the crate
//! `oauth2`, Authlib and oauth4webapi (`tests/interop`), Chromium, and a socket that sends whatever
//! it likes.
//!
//! Foreign clients that are not installed are passed over with a line that says so, unless
//! `GRANTOR_REQUIRE_SERVICES=1` is set; `.ci/install` installs them.
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test fails by panic")]
#![expect(clippy::indexing_slicing, reason = "a test knows what it indexes")]

mod bad_input;
mod chromium;
mod foreign_libraries;
mod graceful_stop;
mod login;
mod oauth2_crate;
mod output;
#[path = "../sandbox/mod.rs"]
#[expect(dead_code, reason = "other tests need more of it")]
mod sandbox;
mod support;
