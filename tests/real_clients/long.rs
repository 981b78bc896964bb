//! The console of the example server in Chromium: every page and button, and the playground; and an identity provider
//! of another project, whose users get access at the example servers. `bash .ci/long` runs these tests; the rules of
//! `main.rs` apply.
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test fails by panic")]
#![expect(clippy::indexing_slicing, reason = "a test knows what it indexes")]

mod console_in_chromium;
mod foreign_issuers;
mod playground;
#[path = "../sandbox/mod.rs"]
#[expect(dead_code, reason = "other tests need more of it")]
mod sandbox;
#[expect(dead_code, unused_imports, reason = "the quick tests need more of it")]
mod support;
