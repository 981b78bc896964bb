//! The party that manages an app.

use serde::{Deserialize, Serialize};

/// The party that manages an app: administrators, or the host's configuration.
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
}

impl AppOrigin {
    /// Returns true if the configuration manages the app, also if it has disabled it.
    #[must_use]
    pub const fn is_declared(self) -> bool {
        matches!(self, Self::Declared | Self::Withdrawn)
    }

    #[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
    pub(super) const fn is_registered(&self) -> bool {
        matches!(self, Self::Registered)
    }
}
