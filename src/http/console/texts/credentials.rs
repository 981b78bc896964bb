//! Texts of *Credentials* of an app.

type Text = &'static str;

pub(in super::super) const SECRETS: Text = "Client secrets";
pub(in super::super) const NO_SECRETS: Text = "This app does not use a client secret.";
pub(in super::super) const MISSING_SECRET: Text =
    "This app has no client secret yet. Rotate to get one.";
pub(in super::super) const SECRET: Text = "Secret";
pub(in super::super) const SET: Text = "Set";
pub(in super::super) const ENDS: Text = "Ends";
pub(in super::super) const NEVER: Text = "never";
pub(in super::super) const STATE: Text = "State";
pub(in super::super) const NEWEST: Text = "Newest";
pub(in super::super) const SUPERSEDED: Text = "Superseded";
pub(in super::super) const EXPIRED: Text = "Expired";
pub(in super::super) const IMPORTED: Text = "Imported";
pub(in super::super) const SHORT: Text = "May be short";
pub(in super::super) const ROTATE: Text = "Rotate secret";
pub(in super::super) const ROTATE_HINT: Text = "The app gets a new secret, which you see once. The old ones work until the time that you choose.";
pub(in super::super) const OVERLAP: Text = "Old secrets work for";
/// Seconds, in words.
pub(in super::super) const OVERLAPS: [(u32, Text); 5] = [
    (86_400, "1 day"),
    (3_600, "1 hour"),
    (604_800, "7 days"),
    (2_592_000, "30 days"),
    (0, "not any more: they end now"),
];
pub(in super::super) const END: Text = "End old secrets now";
pub(in super::super) const END_HINT: Text = "Requests with an old secret are refused from now on. The audit log says whether one is still used.";
pub(in super::super) const SIGNATURE: Text = "Signature secret";
pub(in super::super) const HAS_SIGNATURE: Text =
    "The app has a signature secret. It signs assertions with it (HS256).";
pub(in super::super) const NO_SIGNATURE: Text = "The app has no signature secret.";
pub(in super::super) const REGENERATE: Text = "Regenerate signature secret";
pub(in super::super) const REGENERATE_HINT: Text =
    "The old one ends at once, with every assertion that it signed. You see the new one once.";
pub(in super::super) const SURE: Text = "The app can take the new secret now";
pub(in super::super) const KEYS: Text = "Public keys";
pub(in super::super) const AUTHENTICATES: Text = "authenticates the app";
pub(in super::super) const ASSERTS: Text = "signs assertions";
pub(in super::super) const NO_KEYS: Text =
    "The app has no public keys. They are added in the settings.";

/// Before the instant at which the newest secret ends.
pub(in super::super) const NEWEST_ENDS: Text = "The newest client secret ends:";
pub(in super::super) const NEWEST_ENDED: Text =
    "The newest client secret has ended, and the app gets no tokens by it:";

/// The sentence before the instant at which a superseded secret ends.
pub(in super::super) fn superseded_until(number: usize) -> String {
    format!("Client secret {number} is superseded, and works until:")
}

pub(in super::super) fn superseded(number: usize) -> String {
    format!("Client secret {number} is superseded, and works until you end it.")
}
