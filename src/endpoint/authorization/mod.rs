//! The authorization endpoint: RFC 6749 section 3.1, always with PKCE.

mod decision;
mod demands;
mod events;
mod login;
mod prompt;
mod request;
mod response;

pub use decision::{Approval, Decision};
pub use login::{Login, LoginNeeded};
pub use prompt::{Prompt, Prompted, RequestedScope};
pub use request::AuthorizationRequest;
pub use response::{AuthorizationError, AuthorizationResponse};
