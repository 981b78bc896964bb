//! The trust in an issuer that ends the access of users.

use serde::{Deserialize, Serialize};

use super::InvalidApp;
use crate::users::{Members, User};

/// The users whose access an issuer may end (global token revocation), and the names by which it may call them.
///
/// The host's link of the issuer's `sub` always finds a user. It is the only name by default, so that an issuer ends
/// the access of its own users alone.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct RevocationTrust {
    /// Whether the issuer names users by their subjects at this server. Default: no.
    ///
    /// The price: without [`users`](Self::users), it may end the access of every user.
    pub by_subject: bool,
    /// Whether the issuer names users by the claim `email` of the host's directory. Default: no.
    ///
    /// The price: without [`users`](Self::users), it may end the access of every user with an address.
    pub by_email: bool,
    /// The only users and groups whose access the issuer may end. Default: all that it can name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub users: Option<Members>,
}

impl RevocationTrust {
    /// Sets whether the issuer names users by their subjects at this server.
    #[must_use]
    pub fn with_subject(mut self, by_subject: bool) -> Self {
        self.by_subject = by_subject;
        self
    }

    /// Sets whether the issuer names users by their e-mail addresses.
    #[must_use]
    pub fn with_email(mut self, by_email: bool) -> Self {
        self.by_email = by_email;
        self
    }

    /// Sets the only users and groups whose access the issuer may end.
    #[must_use]
    pub fn with_users(mut self, users: Members) -> Self {
        self.users = Some(users);
        self
    }

    /// Checks whether the issuer may end the access of `user`.
    #[must_use]
    pub fn covers(&self, user: &User) -> bool {
        self.users.as_ref().is_none_or(|users| users.find(user).is_some())
    }

    pub(super) fn check(&self) -> Result<(), InvalidApp> {
        if self.users.as_ref().is_some_and(|users| users.len() > 1_000) {
            let problem = "must list at most 1000 users and groups";
            return Err(InvalidApp::new("global_revocation.users", problem));
        }
        Ok(())
    }
}
