//! Flows through bytes on the wire, by subject. One binary, so that it links once.
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test fails by panic")]
#![expect(clippy::indexing_slicing, reason = "a test knows what it indexes")]

mod administration;
mod architecture;
mod assertions;
mod authorization_code;
mod behaviours;
mod client_credentials;
mod faulty_store;
mod hooks;
mod jwt_bearer;
mod limits;
mod redaction;
mod resource_server;
mod support;
mod wire_errors;
