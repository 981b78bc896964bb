//! Flows through bytes on the wire, by subject. One binary, so that it links once.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test fails by panic"
)]
#![expect(clippy::indexing_slicing, reason = "a test knows what it indexes")]

mod authorization_code;
#[cfg(feature = "test-kit")]
mod broken_stores;
#[cfg(feature = "test-kit")]
#[path = "../../examples/custom_store.rs"]
#[expect(dead_code, reason = "the main of the example")]
mod custom_store;
#[cfg(feature = "test-kit")]
mod store_conformance;
mod support;
