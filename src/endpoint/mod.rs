//! The endpoints, as typed requests and responses: authorization, token, introspection, revocation,
//! the feed of revocations, and the metadata.
//!
//! # The authorization endpoint
//!
//! ```text
//! query -> request -> (the host finds out who the user is) -> prompt -> decision -> redirect
//!             ^                                                 |
//!             +------------ (the host has the user log in) <----+
//! ```
//!
//! 1. [`authorization_request`](crate::AuthorizationServer::authorization_request) reads the query.
//!    What is wrong with it is redirected once it is known where to, and shown before.
//! 2. [`prompt`](crate::AuthorizationServer::prompt) is told who is logged in, if anybody is, and
//!    answers [`Prompted`]: the user has to log in first, the user is asked, or nobody need be. An
//!    app may demand a fresh login (`prompt=login`, `max_age`), a question (`prompt=consent`) or
//!    neither of them (`prompt=none`), in the words of OpenID Connect Core 1.0 section 3.1.2.1.
//! 3. [`decide`](crate::AuthorizationServer::decide) takes what the user said.
//!
//! Between prompt and decision a sealed ticket travels through the browser, bound to the user, the
//! request and a session of the host. The decision becomes a row once; the pending code is that row.

pub(crate) mod audit_trail;
pub(crate) mod authorization;
pub(crate) mod client_authentication;
pub(crate) mod context;
pub(crate) mod form_request;
pub(crate) mod introspection;
pub(crate) mod metadata;
pub(crate) mod presented_token;
pub(crate) mod request_facts;
mod revocation;
mod revocation_feed;
pub(crate) mod token;

pub use authorization::{
    Approval, AuthorizationError, AuthorizationRequest, AuthorizationResponse, Decision, Login,
    LoginNeeded, Prompt, Prompted, RequestedScope,
};
pub use form_request::FormRequest;
pub use introspection::{ActiveToken, Introspection};
pub use token::TokenResponse;
