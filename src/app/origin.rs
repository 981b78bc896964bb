//! The party that manages an app.

use serde::{Deserialize, Serialize};

/// The party that manages an app: administrators, the host's configuration, or the app itself.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum AppOrigin {
    /// An administrator registered or imported the app.
    #[default]
    Registered,
    /// The host's configuration declares the app. If it is disabled, an administrator disabled it.
    Declared,
    /// The configuration disabled the app: it no longer declares the app, or declares it as disabled.
    Withdrawn,
    /// The app registered itself (RFC 7591).
    SelfRegistered,
    /// The app describes itself in the document at its client id (client id metadata document).
    Document,
}

impl AppOrigin {
    /// Returns true if the configuration manages the app, also if it has disabled it.
    #[must_use]
    pub const fn is_declared(self) -> bool {
        matches!(self, Self::Declared | Self::Withdrawn)
    }

    /// Returns true if no administrator and no configuration vouches for the app: it registered itself, or a
    /// document describes it.
    ///
    /// Such an app gets tokens by the consent of users only. JWT bearer, impersonation, client credentials and
    /// introspection are refused, also if its settings or an API of the server name it.
    #[must_use]
    pub const fn is_self_described(self) -> bool {
        matches!(self, Self::SelfRegistered | Self::Document)
    }

    #[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
    pub(super) const fn is_registered(&self) -> bool {
        matches!(self, Self::Registered)
    }
}
