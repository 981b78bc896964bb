//! Rules that an app on a phone enforces.

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
    /// The apps that may receive content: patterns such as `com.example.*`, or `*`. At most 100,
    /// each of 1 to 255 bytes.
    pub allowed_apps: Vec<String>,
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
        }
    }
}

impl MobileSecurity {
    pub(super) fn check(&self) -> Result<(), InvalidApp> {
        let minutes_fit = match self.pin {
            PinPolicy::AfterIdleMinutes(minutes) => (1..=1_440).contains(&minutes),
            PinPolicy::Never | PinPolicy::Always | PinPolicy::WhenOffline => true,
        };
        let pattern_fits = |text: &String| {
            !text.is_empty()
                && text.len() <= 255
                && text.bytes().all(|byte| byte.is_ascii_graphic())
        };
        if !minutes_fit {
            Err(InvalidApp::new("mobile_security.pin", "must be 1 to 1440 minutes"))
        } else if self.max_pin_attempts.is_some_and(|attempts| !(1..=20).contains(&attempts)) {
            Err(InvalidApp::new("mobile_security.max_pin_attempts", "must be 1 to 20"))
        } else if self.allowed_apps.len() > 100 || !self.allowed_apps.iter().all(pattern_fits) {
            Err(InvalidApp::new(
                "mobile_security.allowed_apps",
                "must list at most 100 patterns, each of 1 to 255 bytes of printable ASCII",
            ))
        } else {
            Ok(())
        }
    }
}
