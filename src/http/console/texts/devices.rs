//! Texts of the devices of apps, and of their wipe.

use super::super::wipe_state::Sentences;
use crate::admin::RevokedAndWiped;

type Text = &'static str;

pub(in super::super) const TITLE: Text = "Devices";
pub(in super::super) const DEVICE: Text = "Device";
pub(in super::super) const DEVICE_TERM: Text = "install_tag_id";
pub(in super::super) const APP: Text = "App";
pub(in super::super) const APP_TERM: Text = "client_id";
pub(in super::super) const USER: Text = "User";
pub(in super::super) const USER_TERM: Text = "sub";
pub(in super::super) const FIND: Text = "Find devices";
pub(in super::super) const STATE: Text = "Wipe";
pub(in super::super) const ALL: Text = "All";
pub(in super::super) const PENDING: Text = "To be wiped";
pub(in super::super) const FIRST_SEEN: Text = "First seen";
pub(in super::super) const LAST_SEEN: Text = "Last seen";
pub(in super::super) const RULES: Text = "Rules";
pub(in super::super) const WIPE: Text = "Wipe";
pub(in super::super) const NO_WIPE: Text = "not ordered";
pub(in super::super) const UP_TO_DATE: Text = "Up to date";
pub(in super::super) const OLD_RULES: Text = "Has not read the new rules";
pub(in super::super) const RULES_UNREAD: Text = "Has not read the rules";
pub(in super::super) const RULES_READ: Text = "Has read rules";
pub(in super::super) const NO_RULES: Text = "The app has none";
pub(in super::super) const PAGES: Text = "Pages of the list";
pub(in super::super) const FIRST: Text = "First page";
pub(in super::super) const NEXT: Text = "Next page";
pub(in super::super) const CLEAR: Text = "Show all devices";
pub(in super::super) const NONE_TITLE: Text = "No devices yet";
pub(in super::super) const NONE: Text = "A device appears here when an app on a phone gets tokens and names its installation. The app needs rules for phones.";
pub(in super::super) const NONE_FOUND_TITLE: Text = "No device fits";
pub(in super::super) const NONE_FOUND: Text =
    "Names of apps and users are exact here. Take a filter away.";
pub(in super::super) const CANCEL: Text = "Cancel";
pub(in super::super) const NOT_YOURS: Text =
    "Your role may only look at devices. Ask an administrator who may manage access.";

/// A word for a state, and its tone.
pub(in super::super) const IS_ORDERED: [Text; 2] = ["Wipe ordered", "warn"];
pub(in super::super) const IS_TOLD: [Text; 2] = ["Told to wipe", "warn"];
pub(in super::super) const IS_WIPED: [Text; 2] = ["Wiped", "good"];
pub(in super::super) const STATES: Sentences = Sentences {
    requested: "Wipe ordered by {by}, {ordered}. The phone has not asked yet.",
    notified: "Told to wipe, {at}. The phone has not reported yet. Ordered by {by}, {ordered}.",
    done: "Wiped: the phone reported, {at}, that its data is gone. Ordered by {by}, {ordered}.",
    done_itself: "Wiped: the phone deleted its data by itself, and reported it, {at}.",
};

pub(in super::super) const REVOKE: Text = "Revoke access";
pub(in super::super) const REVOKE_HINT: Text =
    "The app on this device has to log in again. Its data stays on the phone.";
pub(in super::super) const WIPE_TITLE: Text = "Wipe this device";
pub(in super::super) const WIPE_HINT: Text =
    "Access ends, and the app deletes its data on this phone. For a phone that is lost or stolen.";
pub(in super::super) const WIPE_IMPOSSIBLE: Text = "This app does not obey an order to wipe its data: remote wipe is off in its rules, or the app is deleted.";
pub(in super::super) const WIPE_AGAIN: Text = "The data is gone, and the app has not logged in since. When it logs in again, the device counts as a new one.";
pub(in super::super) const WIPE_TOLD: Text =
    "The order cannot be withdrawn any more: the phone was told, and deletes the data.";
pub(in super::super) const ABANDON: Text = "Give up the wipe";
pub(in super::super) const ABANDON_HINT: Text = "For a phone that will never report: lost for good, broken, or reset. The order locks its id until it is given up.";
pub(in super::super) const WITHDRAW_TITLE: Text = "Withdraw the wipe";
pub(in super::super) const WITHDRAW_HINT: Text = "The phone keeps its data. Its access stays revoked, so the app has to log in again. This is possible until the phone asks.";
pub(in super::super) const WITHDRAW: Text = "Withdraw the wipe";

/// Title, what happens, what can be undone, button.
pub(in super::super) const ONE_DEVICE: [Text; 4] = [
    "Revoke the access of a device",
    "All access of this app on this device ends. The data stays on the phone: this is no wipe.",
    "Revoked access does not come back. The user logs in again.",
    "Revoke access",
];
pub(in super::super) const ENDS: Text = "All tokens of the app on this device.";

pub(in super::super) const WIPE_PAGE: Text = "Wipe a device";
pub(in super::super) const WIPE_STEPS: Text = "What happens";
pub(in super::super) const WIPE_AT_ONCE: Text =
    "At once: all tokens of the app on this device end, and it gets no new ones.";
pub(in super::super) const WIPE_WHEN_ASKED: Text = "When the phone next asks: it is told to delete the app's data of this account. Other data stays.";
pub(in super::super) const WIPE_OFFLINE: Text =
    "While it is offline: the data stays on the phone. The order waits for two years.";
pub(in super::super) const WIPE_AFTERWARDS: Text =
    "Afterwards: the phone reports, and this device shows that it is wiped.";
pub(in super::super) const WIPE_UNDO: Text =
    "You can withdraw the order until the phone asks. What it has deleted does not come back.";
pub(in super::super) const ABANDON_STEPS: [Text; 3] = [
    "The order ends: if the phone asks again, it is not told to wipe.",
    "The data may still be on the phone. No report will say that it is gone.",
    "The access of before stays revoked. The app may log in again under this id.",
];
pub(in super::super) const ABANDON_UNDO: Text =
    "If the phone turns up, you can order a new wipe while the device is listed.";
pub(in super::super) const TYPE_WORD: Text = "Type this word to confirm";
/// The word to type. Names of devices have characters that no keyboard has, and ids are long.
pub(in super::super) const WORD: Text = "wipe";
pub(in super::super) const WORD_DIFFERS: Text = "This is not the word. Nothing was changed.";
pub(in super::super) const WIPE_BUTTON: Text = "Wipe device";

pub(in super::super) const ALSO_WIPE: Text = "Also wipe the devices";
pub(in super::super) const ALSO_WIPE_HINT: Text = "Without it, data stays on the phones. With it, each known phone deletes the app's data when it next asks. Phones of apps \
     without remote wipe only lose access.";

pub(in super::super) const ORDERED: Text =
    "The wipe is ordered, and the access ended. The phone is told when it next asks.";
pub(in super::super) const WITHDRAWN: Text =
    "The order is withdrawn. The phone keeps its data, and has to log in again.";
pub(in super::super) const ABANDONED: Text =
    "The order is given up. The data may still be on the phone, and the app may log in again.";

/// Says what a revocation that also wiped has done.
pub(in super::super) fn revoked_and_wiped(done: [usize; 3]) -> String {
    let [ordered, pending, kept] = done;
    let devices = |count: usize| match count {
        1 => "1 device".to_owned(),
        count => format!("{count} devices"),
    };
    let ordered = match ordered {
        0 => "The access ended. No wipe was ordered.".to_owned(),
        count => format!("The access ended, and the wipe of {} is ordered.", devices(count)),
    };
    let pending = match pending {
        0 => String::new(),
        count => format!(" The wipe of {} was ordered before.", devices(count)),
    };
    let kept = match kept {
        0 => String::new(),
        1 => " 1 device keeps its data, because its app has no remote wipe.".to_owned(),
        count => {
            format!(" {count} devices keep their data, because their apps have no remote wipe.")
        }
    };
    ordered + &pending + &kept
}

/// Returns the numbers of [`revoked_and_wiped`].
pub(in super::super) const fn numbers(done: &RevokedAndWiped) -> [usize; 3] {
    [done.ordered, done.pending, done.kept]
}
