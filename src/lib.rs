//! An OAuth 2.0 and JWT authorization server as a library.
#![forbid(unsafe_code)]
#![cfg_attr(docsrs, feature(doc_cfg))]

mod basic_header;
pub mod clock;
mod form;
pub mod ids;
pub mod pkce;
#[cfg_attr(not(test), expect(dead_code, reason = "the endpoints that use it come next"))]
pub mod jwt;
pub mod random;
pub mod redirect_uri;
pub mod scope;
