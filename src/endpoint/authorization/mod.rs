//! The authorization endpoint: RFC 6749 section 3.1, with PKCE unless the app is set otherwise.

mod authorize;
mod decide;
mod demands;
mod events;
mod login;
mod request;
mod response;
mod ticket;

pub(crate) use decide::{ToDecide, decided_row, ends_at};
pub(crate) use request::{asked_resources, requested_scope};

pub use authorize::{ConsentPrompt, NextStep, RequestedScope, SelfDescription, Voucher};
pub use decide::{Approval, Decision};
pub use login::{Login, LoginNeeded, Moment};
pub use request::AuthorizationRequest;
pub use response::{AuthorizationError, AuthorizationResponse};
