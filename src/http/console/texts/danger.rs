//! Texts of the danger zone of an app.

type Text = &'static str;

pub(in super::super) const INTRODUCTION: Text =
    "Each of these has a page that says what ends before anything happens.";
pub(in super::super) const NOT_YOURS: Text =
    "Your role may not end access. Ask an administrator who may manage access.";
pub(in super::super) const CANCEL: Text = "Cancel";
pub(in super::super) const ENDS: Text = "What ends";
pub(in super::super) const TYPE_NAME: Text = "Type the name to confirm";
pub(in super::super) const NAME_DIFFERS: Text = "This is not the name.";

/// Title, what happens, what can be undone, button.
pub(in super::super) const DISABLE: [Text; 4] = [
    "Disable the app",
    "All of its tokens and codes are revoked, and it gets no new ones.",
    "It can be enabled again. Users then sign in again.",
    "Disable app",
];
pub(in super::super) const REVOKE: [Text; 4] = [
    "Revoke everything of the app",
    "All of its tokens and codes are revoked. It may ask for new ones at once.",
    "Revoked access does not come back. Users sign in again.",
    "Revoke everything",
];
pub(in super::super) const DELETE: [Text; 4] = [
    "Delete the app",
    "All of its tokens are revoked, and its settings, credentials and consents are removed.",
    "This cannot be undone. The audit log stays.",
    "Delete app",
];

/// Says how many grants end.
pub(in super::super) fn grants(count: usize, is_more: bool) -> String {
    match (count, is_more) {
        (0, false) => "No live grant.".to_owned(),
        (1, false) => "1 live grant.".to_owned(),
        (count, false) => format!("{count} live grants."),
        (count, true) => format!("At least {count} live grants."),
    }
}

/// Says how many users and devices lose access.
pub(in super::super) fn users_and_devices(users: usize, devices: usize, is_more: bool) -> String {
    let least = if is_more { "At least " } else { "" };
    let user = if users == 1 { "user" } else { "users" };
    let device = if devices == 1 { "device" } else { "devices" };
    format!("{least}{users} {user} and {devices} {device} lose access.")
}
