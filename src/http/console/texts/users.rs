//! Texts of the users of an app, and of the access as one user.

type Text = &'static str;

pub(in super::super) const USER: Text = "User";
pub(in super::super) const USER_TERM: Text = "sub";
pub(in super::super) const APP: Text = "App";
pub(in super::super) const FIND: Text = "Find user";
pub(in super::super) const MAY: Text = "May";
pub(in super::super) const FLOW: Text = "By";
pub(in super::super) const SINCE: Text = "Since";
pub(in super::super) const LAST_USED: Text = "Last used";
pub(in super::super) const ACTS: Text = "Revoke";
pub(in super::super) const DEVICE: Text = "Device";
pub(in super::super) const DEVICES: Text = "Devices of this user";
pub(in super::super) const SCOPES: Text = "Scopes";
pub(in super::super) const NO_SCOPES: Text = "only learn who the user is";
pub(in super::super) const REVOKE: Text = "Revoke";
pub(in super::super) const REVOKE_USER: Text = "Revoke everything of this user in this app";
pub(in super::super) const REVOKE_EVERYWHERE: Text = "Revoke everything of this user";
pub(in super::super) const PAGES: Text = "Pages of the list";
pub(in super::super) const FIRST: Text = "First page";
pub(in super::super) const NEXT: Text = "Next page";
pub(in super::super) const CLEAR: Text = "Show all users";
pub(in super::super) const CANCEL: Text = "Cancel";
pub(in super::super) const ENDS: Text = "What ends";
pub(in super::super) const NOT_LISTED: Text =
    "Access tokens without a refresh token are not listed: a revocation ends them, too.";
pub(in super::super) const NONE_TITLE: Text = "No user has a live grant";
pub(in super::super) const NONE: Text = "A user appears here as soon as the app has redeemed a code, or acts as the user with a refresh token.";
pub(in super::super) const NO_APP_TITLE: Text = "No app has a live grant as this user";
pub(in super::super) const NO_APP: Text = "An app appears here as soon as it has redeemed a code of this user, or acts as the user with a refresh token.";
pub(in super::super) const NONE_FOUND_TITLE: Text = "This user has no live grant here";
pub(in super::super) const NONE_FOUND: Text =
    "Names of users are exact here, as in the claim sub of a token.";
pub(in super::super) const NONE_SO_FAR_TITLE: Text = "No live grant so far";
pub(in super::super) const NONE_SO_FAR: Text = "The grants that have been read were revoked, and wait to be removed. Go on with the next page.";

pub(in super::super) const HAS_ENDED: Text =
    "Nothing: this grant has ended already, by its expiry or by a revocation.";

/// Title, what happens, what can be undone, button.
pub(in super::super) const ONE_GRANT: [Text; 4] = [
    "Revoke a grant",
    "The tokens of this grant end. Other grants of the user stay.",
    "Revoked access does not come back. The app may ask the user again.",
    "Revoke grant",
];
pub(in super::super) const USER_IN_APP: [Text; 4] = [
    "Revoke a user in this app",
    "All access of this app as the user ends, and the agreement of the user is forgotten.",
    "Revoked access does not come back. The app has to ask the user again.",
    "Revoke user",
];
pub(in super::super) const USER_EVERYWHERE: [Text; 4] = [
    "Revoke everything of a user",
    "All access of every app as the user ends, on every device. Remembered agreements stay.",
    "Revoked access does not come back. The user signs in to each app again.",
    "Revoke everything",
];
