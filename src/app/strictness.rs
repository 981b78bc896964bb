//! Settings that relax a rule for one app. Each is off by default.

use serde::{Deserialize, Serialize};

/// Whether an app's authorization requests need PKCE (RFC 7636).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Pkce {
    /// A request without `code_challenge` is refused.
    #[default]
    Required,
    /// A confidential app may leave it out. A request with `code_challenge` is protected as before, and
    /// a verifier without a challenge is refused (RFC 9700 section 2.1.1).
    ///
    /// The price: a code that leaks from the user's browser can be injected into another session of the
    /// same app (RFC 9700 section 4.5), unless the app checks its `state` or `nonce` with each answer.
    Optional,
}

/// The rule for a request for scopes that the app or the grant does not have.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum ScopePolicy {
    /// The request is refused with `invalid_scope`.
    #[default]
    Refuse,
    /// The request gets the part that it may have, and `scope` of the answer tells which (RFC 6749
    /// section 3.3). If nothing is left, it is refused.
    ///
    /// The price: an app that does not read `scope` of the answer learns at the API that a scope is
    /// missing.
    Reduce,
}
