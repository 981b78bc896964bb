//! Clients of other projects against the example servers, over loopback HTTP. They are the crate `oauth2`,
//! Authlib, oauth4webapi and the SDKs of MCP (`tests/interop`), Chromium, OpenSSL, and a socket that sends any
//! bytes.
//!
//! A test whose client is not installed says so in a line and passes, unless `GRANTOR_REQUIRE_SERVICES`
//! is `1`. `.ci/install` installs the clients.
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test fails by panic")]
#![expect(clippy::indexing_slicing, reason = "a test knows what it indexes")]

mod bad_input;
mod chromium;
mod devices;
mod foreign_libraries;
mod global_revocation;
mod graceful_stop;
mod login;
mod mcp;
mod oauth2_crate;
mod openssl_keys;
mod output;
#[cfg(feature = "console")]
mod programs;
#[path = "../sandbox/mod.rs"]
#[expect(dead_code, reason = "other tests need more of it")]
mod sandbox;
#[expect(dead_code, unused_imports, reason = "the long tests need more of it")]
mod support;
mod upkeep;
