//! Flows through bytes on the wire, by subject. One binary, so that it links once.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test fails by panic"
)]
#![expect(clippy::indexing_slicing, reason = "a test knows what it indexes")]

mod authorization_code;
mod client_authentication;
mod concurrency;
mod faulty_store;
mod private_key_jwt;
mod refresh_reuse;
mod refresh_token;
mod resource_server;
mod support;
mod token_request;
