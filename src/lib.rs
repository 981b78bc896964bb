//! An OAuth 2.0 and JWT authorization server as a library.
#![forbid(unsafe_code)]
#![cfg_attr(docsrs, feature(doc_cfg))]

pub mod admin;
pub mod app;
pub mod audit;
pub mod authorization_endpoint;
mod basic_header;
pub mod catalog;
pub mod clock;
mod context;
pub mod error;
mod form;
#[cfg(fuzzing)]
#[doc(hidden)]
pub mod fuzzing;
pub mod grant_type;
mod handle;
pub mod hooks;
pub mod ids;
pub mod impersonation;
pub mod jwt;
pub mod pkce;
pub mod random;
pub mod rate_limit;
pub mod redirect_uri;
pub mod scope;
pub mod secret;
mod server;
pub mod server_secret;
pub mod store;
pub mod token_endpoint;
pub mod usage;
pub mod user_directory;

pub use server::{AuthorizationServer, ServerBuilder};
pub mod resource_server;
