//! Flows through bytes on the wire, by subject. One binary, so that it links once.
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test fails by panic")]
#![expect(clippy::indexing_slicing, reason = "a test knows what it indexes")]

#[path = "../support/mod.rs"]
mod support;
use support as shared;

mod account;
mod administration;
mod architecture;
mod assertions;
mod audit_log;
mod authorization_code;
mod authorization_request;
#[cfg(feature = "axum")]
mod axum;
mod behaviours;
mod broken_stores;
mod cached_apps;
mod client_assertion;
mod client_authentication;
mod client_credentials;
mod concurrency;
mod consent;
#[cfg(feature = "console")]
mod console;
#[path = "../../examples/custom_store.rs"]
#[expect(dead_code, reason = "the main of the example")]
mod custom_store;
mod decision;
mod declared_apps;
mod device_grant;
mod devices;
mod edges;
mod ends;
mod error_texts;
mod every_thread;
mod evidence;
#[path = "../support/exchange_races.rs"]
mod exchange_races;
mod faulty_store;
mod floods;
#[cfg(unix)]
mod grantor_keys;
mod guide;
mod hooks;
mod host_clocks;
mod http;
mod imported_secrets;
mod introspection;
mod introspection_cache;
#[path = "../support/issuer_races.rs"]
mod issuer_races;
mod issuers;
mod jwt_bearer;
mod late_refresh;
mod limits;
mod limits_page;
mod login;
mod mcp;
mod migrate;
mod minted_tokens;
mod overlap;
mod phones;
mod pkce;
mod private_key_jwt;
mod redaction;
mod redirect_uri;
mod refresh_reuse;
mod refresh_token;
mod registration;
mod remote;
#[cfg(all(feature = "axum", feature = "fetch"))]
mod remote_network;
mod resource_server;
mod resources;
mod revocation;
mod revocation_feed;
#[path = "../support/rounds.rs"]
mod rounds;
#[path = "../sandbox/mod.rs"]
#[expect(dead_code, reason = "other tests need more of it")]
mod sandbox;
mod scopes;
mod self_described;
mod server_edges;
mod signing_keys;
mod store_conformance;
mod subjects;
mod ticket;
mod token_exchange;
mod token_preview;
mod token_request;
mod trusted_issuers;
mod upkeep;
mod wire_errors;
