//! Texts of the rules that an app on a phone enforces.

pub(in super::super) const INTRODUCTION: &str = "The app obeys these rules on the phone. The server keeps them for it, and cannot enforce them there.";
pub(in super::super) const YES: &str = "yes";
pub(in super::super) const NO: &str = "no";
pub(in super::super) const WIPE: &str = "Remote wipe";
pub(in super::super) const WIPE_HINT: &str =
    "If an administrator orders it, the phone deletes what the app has stored on it.";
pub(in super::super) const PIN: &str = "PIN";
pub(in super::super) const PIN_HINT: &str = "When the phone asks for the PIN of the app.";
pub(in super::super) const MINUTES: &str = "Minutes without use";
pub(in super::super) const MINUTES_HINT: &str = "1 to 1,440. It counts only for the last choice.";
pub(in super::super) const MINUTES_WRONG: &str = "Write a whole number from 1 to 1440.";
pub(in super::super) const PIN_UNKNOWN: &str = "Choose one of these.";
pub(in super::super) const ATTEMPTS: &str = "Wrong PINs before the app wipes its data";
pub(in super::super) const ATTEMPTS_HINT: &str =
    "1 to 20. The phone deletes the app's data after so many wrong PINs. Leave it empty for never.";
pub(in super::super) const ATTEMPTS_WRONG: &str =
    "Write a whole number from 1 to 20, or leave the field empty.";
pub(in super::super) const BIOMETRICS: &str = "Fingerprint or face";
pub(in super::super) const BIOMETRICS_HINT: &str =
    "The phone accepts a fingerprint or a face instead of the PIN.";
pub(in super::super) const CLIPBOARD: &str = "Clipboard";
pub(in super::super) const CLIPBOARD_HINT: &str =
    "The phone lets the user copy content of the app into other apps.";
pub(in super::super) const ALLOWED: &str = "Apps that may receive content";
pub(in super::super) const ALLOWED_HINT: &str = "One app or pattern in each line, at most 100. The phone hands content to these apps only, and to none if there is no line. \
     com.example.* allows com.example.mail, and neither com.example nor org.example.mail; com.example.mail allows that app alone; * allows every app.";
pub(in super::super) const ALLOWED_MANY: &str = "These are more than 100 lines. Use a pattern.";
pub(in super::super) const BLOCK: &str = "Hours offline before the app locks";
pub(in super::super) const BLOCK_HINT: &str = "1 to 8,760, since the app last renewed its access at this server. Then the phone shows none of the app's content until the app has \
     renewed it. Leave it empty for never.";
pub(in super::super) const BLOCK_WRONG: &str =
    "Write a whole number from 1 to 8760, or leave the field empty.";
pub(in super::super) const WIPE_AFTER: &str = "Days offline before the app wipes its data";
pub(in super::super) const WIPE_AFTER_HINT: &str = "1 to 3,650, since the app last renewed its access at this server. Then the phone deletes the app's data. It is no shorter than the \
     hours above. Leave it empty for never.";
pub(in super::super) const WIPE_AFTER_WRONG: &str =
    "Write a whole number from 1 to 3650, or leave the field empty.";
pub(in super::super) const WIPE_BEFORE_BLOCK: &str =
    "The app would wipe its data before it locks. Write more days, or fewer hours above.";
pub(in super::super) const SAVE: &str = "Save rules";

/// The choices of the PIN: value of the field, name, and what the phone does.
pub(in super::super) const PINS: [(&str, &str, &str); 4] = [
    ("never", "Never", "The phone opens the app without a PIN."),
    ("always", "Always", "The phone asks each time the app is opened."),
    ("offline", "Offline", "The phone asks if the app is opened without a connection."),
    ("after", "After a time", "The phone asks if the app was not used for the minutes below."),
];

/// Returns the sentence for a line that is not a pattern.
pub(in super::super) fn wrong_line(number: usize) -> String {
    format!(
        "Line {number} is not a name or pattern: use 1 to 255 visible ASCII characters, such as com.example.*."
    )
}

/// Returns the sentence for a line with a star in a place that is not allowed.
pub(in super::super) fn wrong_star(number: usize) -> String {
    format!(
        "Line {number} is not a name or pattern: write com.example.* for every app whose name begins with com.example., or * alone for every app."
    )
}
