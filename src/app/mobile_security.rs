//! What an app on a phone is told to enforce.

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
    /// Whenever it is opened.
    Always,
    /// When it is opened without a connection.
    WhenOffline,
    /// When it was not used for so many minutes: 1 to 1,440.
    AfterIdleMinutes(u16),
}

/// What an app on a phone is told to enforce. The server stores and hands out these settings; the
/// app obeys them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct MobileSecurity {
    /// Whether an administrator may have the app wipe its data on a device.
    pub remote_wipe: bool,
    /// When the app asks for its PIN.
    pub pin: PinPolicy,
    /// After how many wrong PINs the app wipes its data: 1 to 20; `None` is never.
    pub max_pin_attempts: Option<u8>,
    /// Whether a fingerprint or a face stands for the PIN.
    pub biometrics: bool,
    /// Whether content may be copied to the clipboard.
    pub clipboard: bool,
    /// The apps to which content may be handed: patterns such as `com.example.*`, or `*`. At most
    /// 100, each of 1 to 255 bytes.
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
                "may hold 100 patterns of 1 to 255 bytes of printable ASCII",
            ))
        } else {
            Ok(())
        }
    }
}
