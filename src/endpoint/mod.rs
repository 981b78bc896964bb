//! The endpoints, as typed requests and responses: authorization, token, introspection, revocation,
//! the feed of revocations, device authorization, devices, registration, and the metadata.
//!
//! # The authorization endpoint
//!
//! ```text
//! query -> request -> (the host finds the user) -> authorize -> consent -> decide -> redirect
//!             ^                                        |
//!             +--------- (the host's login) <----------+
//! ```
//!
//! 1. [`authorization_request`](crate::AuthorizationServer::authorization_request) reads the query.
//!    Errors are shown to the user until the redirect URI is validated, and redirected afterwards.
//! 2. [`authorize`](crate::AuthorizationServer::authorize) takes the login, if there is one, and returns
//!    the [`NextStep`]: log in, ask for consent, or redirect. An app may require a fresh login
//!    (`prompt=login`, `max_age`), a choice of the account (`prompt=select_account`), a consent prompt (`prompt=consent`) or no page at all (`prompt=none`),
//!    as in OpenID Connect Core 1.0 section 3.1.2.1.
//! 3. [`decide`](crate::AuthorizationServer::decide) stores the decision of the user.
//!
//! Between consent prompt and decision a sealed ticket travels through the browser, bound to the user,
//! the request and a session of the host. The decision becomes a row once, and the pending code is that
//! row.

pub(crate) mod audit_trail;
pub(crate) mod authorization;
pub(crate) mod caller;
pub(crate) mod client_authentication;
pub(crate) mod client_documents;
pub(crate) mod context;
pub(crate) mod device_authorization;
pub(crate) mod devices;
pub(crate) mod fetches;
pub(crate) mod form_request;
pub(crate) mod global_revocation;
pub(crate) mod introspection;
pub(crate) mod metadata;
pub(crate) mod presented_token;
pub(crate) mod registration;
pub(crate) mod request_facts;
mod revocation;
mod revocation_feed;
pub(crate) mod token;
pub(crate) mod trusted_issuers;

pub use authorization::{
    Approval, AuthorizationError, AuthorizationRequest, AuthorizationResponse, ConsentPrompt,
    Decision, Login, LoginNeeded, Moment, NextStep, RequestedScope, SelfDescription, Voucher,
};
pub use caller::Caller;
pub use client_documents::{ClientDocuments, GoneDocument};
pub use device_authorization::{DeviceAuthorization, DeviceDecision, DeviceGrant, DevicePrompt};
pub use devices::DevicePolicy;
pub use form_request::FormRequest;
pub use introspection::{ActiveToken, Introspection};
pub use registration::{Registration, RegistrationAccess, RegistrationResponse};
pub use token::TokenResponse;
