//! An OAuth 2.0 and JWT authorization server as a library.
#![forbid(unsafe_code)]
#![cfg_attr(docsrs, feature(doc_cfg))]

// In the order of who may use whom: a module uses only what stands above it, except that records
// and the traits over them (`app`, `server_secret`) know each other.
mod basic_header;
pub mod catalog;
pub mod clock;
mod form;
pub mod grant_type;
pub mod ids;
pub mod pkce;
pub mod random;
pub mod redirect_uri;
pub mod scope;
pub mod secret;

pub mod jwt;

pub mod app;
mod handle;
pub mod impersonation;
pub mod server_secret;

pub mod store;
pub mod user_directory;

pub mod resource_server;
