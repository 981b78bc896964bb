//! An OAuth 2.0 and JWT authorization server as a library.
#![forbid(unsafe_code)]
#![cfg_attr(docsrs, feature(doc_cfg))]

pub mod clock;
pub mod ids;
pub mod pkce;
pub mod random;
pub mod scope;
