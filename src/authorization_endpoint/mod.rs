//! The authorization endpoint: RFC 6749 section 3.1, always with PKCE.
//!
//! ```text
//! query -> request -> (the host finds out who the user is) -> prompt -> decision -> redirect
//! ```
//!
//! Between prompt and decision a sealed ticket travels through the browser, bound to the user, the
//! request and a session of the host. The decision becomes a row once; the pending code is that row.

mod decision;
mod events;
mod prompt;
mod request;
mod response;

pub use decision::{Approval, Decision};
pub use prompt::{Login, Prompt, Prompted, RequestedScope};
pub use request::AuthorizationRequest;
pub use response::{AuthorizationError, AuthorizationResponse};
