//! Rules that an app on a phone enforces.

mod allowed_apps;
mod policy_document;

pub use policy_document::PolicyDocument;

use serde::{Deserialize, Serialize};

use super::InvalidApp;

/// When the app asks for its PIN.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum PinPolicy {
    /// Never.
    #[default]
    Never,
    /// Each time the app is opened.
    Always,
    /// When the app is opened without a connection.
    WhenOffline,
    /// After this many minutes without use: 1 to 1,440.
    AfterIdleMinutes(u16),
}

/// Rules that an app on a phone enforces. The server stores and publishes them; the app obeys.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct MobileSecurity {
    /// Whether an administrator may order the app to wipe its data on a device.
    pub remote_wipe: bool,
    /// When the app asks for its PIN.
    pub pin: PinPolicy,
    /// The number of wrong PINs that makes the app wipe its data: 1 to 20. `None` means never.
    pub max_pin_attempts: Option<u8>,
    /// Whether a fingerprint or a face replaces the PIN.
    pub biometrics: bool,
    /// Whether content may be copied to the clipboard.
    pub clipboard: bool,
    /// The apps that may receive content: bundle ids such as `com.example.mail`, patterns such as
    /// `com.example.*`, or `*` for every app. At most 100, each of 1 to 255 bytes. An empty list means no
    /// app. See [`allows_app`](Self::allows_app).
    pub allowed_apps: Vec<String>,
    /// The hours since the last successful refresh after which the app refuses access to its content
    /// until the next one: 1 to 8,760. `None` means never.
    ///
    /// Programs from before this setting cannot read an app that has it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub block_after_hours: Option<u16>,
    /// The days since the last successful refresh after which the app wipes its data: 1 to 3,650, and no
    /// shorter time than `block_after_hours`. `None` means never.
    ///
    /// Programs from before this setting cannot read an app that has it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub wipe_after_days: Option<u16>,
}

impl Default for MobileSecurity {
    fn default() -> Self {
        Self {
            remote_wipe: false,
            pin: PinPolicy::Never,
            max_pin_attempts: None,
            biometrics: true,
            clipboard: true,
            allowed_apps: Vec::new(),
            block_after_hours: None,
            wipe_after_days: None,
        }
    }
}

impl MobileSecurity {
    /// Returns whether the app has mobile security at all: true if a rule differs from the default.
    #[must_use]
    pub fn has_rules(&self) -> bool {
        *self != Self::default()
    }

    /// Returns whether the app with this bundle id may receive content.
    ///
    /// A pattern that ends in `.*` allows every id with the part before the star and at least one byte
    /// after it: `com.example.*` allows `com.example.mail` and `com.example.mail.beta`, but neither
    /// `com.example` nor `com.example.`. A `*` alone allows every id. Any other pattern allows the id
    /// that equals it. Bytes are compared, so case matters. An empty list allows none.
    ///
    /// It reads this list alone. If the app has no rules ([`has_rules`](Self::has_rules)), there is nothing
    /// to enforce.
    ///
    /// `docs/allowed-apps.json` has test vectors for the same function on a phone.
    ///
    /// ```
    /// use grantor::app::MobileSecurity;
    ///
    /// let mut rules = MobileSecurity::default();
    /// rules.allowed_apps = vec!["com.example.*".to_owned()];
    /// assert!(rules.allows_app("com.example.mail"));
    /// assert!(!rules.allows_app("com.example"));
    /// assert!(!rules.allows_app("org.example.mail"));
    /// ```
    #[must_use]
    pub fn allows_app(&self, bundle_id: &str) -> bool {
        self.allowed_apps.iter().any(|pattern| allowed_apps::allows(pattern, bundle_id))
    }

    /// Returns the rules as JSON for the app on a phone.
    #[must_use]
    pub fn document(&self) -> PolicyDocument {
        PolicyDocument::new(self)
    }

    /// Checks a text of `allowed_apps`.
    pub(crate) fn is_pattern(text: &str) -> bool {
        allowed_apps::fits(text) && allowed_apps::has_form(text)
    }

    /// Checks that the wipe, if there is one, does not come before the block.
    pub(crate) fn wipes_after_block(&self) -> bool {
        match (self.block_after_hours, self.wipe_after_days) {
            (Some(hours), Some(days)) => u32::from(days) * 24 >= u32::from(hours),
            (None, _) | (_, None) => true,
        }
    }

    pub(super) fn check(&self) -> Result<(), InvalidApp> {
        let minutes_fit = match self.pin {
            PinPolicy::AfterIdleMinutes(minutes) => (1..=1_440).contains(&minutes),
            PinPolicy::Never | PinPolicy::Always | PinPolicy::WhenOffline => true,
        };
        let patterns = &self.allowed_apps;
        if !minutes_fit {
            Err(InvalidApp::new("mobile_security.pin", "must be 1 to 1440 minutes"))
        } else if self.max_pin_attempts.is_some_and(|attempts| !(1..=20).contains(&attempts)) {
            Err(InvalidApp::new("mobile_security.max_pin_attempts", "must be 1 to 20"))
        } else if patterns.len() > 100 || !patterns.iter().all(|text| allowed_apps::fits(text)) {
            Err(InvalidApp::new(
                "mobile_security.allowed_apps",
                "must list at most 100 patterns, each of 1 to 255 bytes of printable ASCII",
            ))
        } else if !patterns.iter().all(|text| allowed_apps::has_form(text)) {
            Err(InvalidApp::new(
                "mobile_security.allowed_apps",
                "must have a * alone, for every app, or last after a dot: write com.example.* for the \
                 apps whose ids begin with com.example. and com.example.mail for one app",
            ))
        } else if self.block_after_hours.is_some_and(|hours| !(1..=8_760).contains(&hours)) {
            Err(InvalidApp::new("mobile_security.block_after_hours", "must be 1 to 8760 hours"))
        } else if self.wipe_after_days.is_some_and(|days| !(1..=3_650).contains(&days)) {
            Err(InvalidApp::new("mobile_security.wipe_after_days", "must be 1 to 3650 days"))
        } else if !self.wipes_after_block() {
            Err(InvalidApp::new(
                "mobile_security.wipe_after_days",
                "must be no shorter than `block_after_hours`",
            ))
        } else {
            Ok(())
        }
    }
}

#[cfg(test)]
mod tests;
