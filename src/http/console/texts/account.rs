//! Texts of the user's page.

use super::super::problem::Problem;
use super::super::wipe_state::Sentences;

type Text = &'static str;

pub(in super::super) const TITLE: Text = "Apps with access to your account";
pub(in super::super) const INTRODUCTION: Text = "You, or your administrator, let these apps act in your name. Remove the ones that you do not need.";
pub(in super::super) const SIGNED_IN_AS: Text = "Signed in as";
pub(in super::super) const CAN: Text = "It can";
pub(in super::super) const CAN_NOTHING: Text = "It can only learn who you are.";
pub(in super::super) const USE: Text = "Use what it calls";
pub(in super::super) const MORE: Text = "And more";
pub(in super::super) const SINCE: Text = "Since";
pub(in super::super) const LAST_USED: Text = "Last used";
pub(in super::super) const NEVER_USED: Text = "no access in use";
pub(in super::super) const DISABLED: Text = "Disabled";
pub(in super::super) const IS_DISABLED: Text =
    "An administrator has disabled this app, so it can do nothing until it is enabled again.";
pub(in super::super) const IS_REMEMBERED: Text = "It has no access in use. You have agreed to it before, so it gets access again without a question.";
pub(in super::super) const IMPERSONATES: Text = "Your administrator lets it act in your name. After a removal it may get access again \
     without you: ask your administrator.";
pub(in super::super) const REMOVE: Text = "Remove access";
pub(in super::super) const CANCEL: Text = "Cancel";
pub(in super::super) const NONE_TITLE: Text = "No app keeps access to your account";
pub(in super::super) const NONE: Text =
    "When an app asks to act in your name and you agree, it is listed here, and you can remove it.";
pub(in super::super) const NOT_LISTED: Text = "Not listed: apps that your administrator lets act in your name for a short time, without keeping access.";
pub(in super::super) const MANY: Text =
    "You have so many sign-ins that some apps may be missing here. Sign out everywhere to end all.";
pub(in super::super) const LOST: Text = "Lost something?";
pub(in super::super) const LOST_HINT: Text =
    "If a phone or a computer is gone, end every sign-in at once, this one included.";

pub(in super::super) const REMOVED: Text = "no longer has access to your account.";
pub(in super::super) const REMOVED_AT_ONCE: Text =
    "It gets no new access, and its access through this server ended at once.";
/// Before a time, such as *10 minutes*.
pub(in super::super) const MAY_TAKE: Text =
    "A service that does not ask this server may still accept what it holds, for at most";

pub(in super::super) const REMOVE_TITLE: Text = "Remove access?";
pub(in super::super) const REMOVE_OF: Text = "The app that loses access:";
pub(in super::super) const COULD: Text = "What it can do now";
pub(in super::super) const REMOVE_ENDS: Text =
    "It is signed out on every device, and forgets that you agreed: it has to ask you again.";

pub(in super::super) const SIGN_OUT: Text = "Sign out everywhere";
pub(in super::super) const SIGN_OUT_ENDS: Text = "Every browser, including this one, and every app on every device is signed out. You sign in again \
     where you need it.";
pub(in super::super) const SIGN_OUT_KEEPS: Text =
    "Apps that you have agreed to stay agreed to. To end that, remove the app.";
pub(in super::super) const SIGNED_OUT_TITLE: Text = "You are signed out everywhere";
pub(in super::super) const SIGNED_OUT: Text =
    "Your sessions and the access of every app through this server have ended.";
pub(in super::super) const SIGN_IN: Text = "Sign in again";

pub(in super::super) const DEVICES: Text = "Your devices";
pub(in super::super) const DEVICES_HINT: Text = "Phones on which an app keeps data of your account. If one is lost, wipe it: the app deletes that data.";
pub(in super::super) const NO_DEVICES: Text =
    "No app on a phone keeps data of your account, as far as this server knows.";
pub(in super::super) const MANY_DEVICES: Text =
    "You have so many devices that some are missing here.";
pub(in super::super) const DEVICE: Text = "Device";
pub(in super::super) const APP: Text = "App";
pub(in super::super) const LAST_SEEN: Text = "Last seen";
pub(in super::super) const WIPE: Text = "Wipe";
pub(in super::super) const WITHDRAW: Text = "Withdraw the wipe";
pub(in super::super) const WIPE_TITLE: Text = "Wipe this device?";
pub(in super::super) const WIPE_STEPS: Text = "What happens";
pub(in super::super) const WIPE_AT_ONCE: Text = "The app is signed out on this device at once.";
pub(in super::super) const WIPE_WHEN_ASKED: Text = "When the phone is next online, the app deletes the data of your account. Nothing else on the phone is deleted.";
pub(in super::super) const WIPE_OFFLINE: Text =
    "While the phone is offline, the data stays on it. The order waits for two years.";
pub(in super::super) const WIPE_UNDO: Text = "You can withdraw the wipe until the phone asks. What it has deleted does not come back. To \
     end only the access and keep the data, remove the app's access instead.";
/// Sentences about an order of the user, or about a wipe without an order.
pub(in super::super) const OWN_WIPE: Sentences = Sentences {
    requested: "You ordered a wipe, {ordered}. The phone has not asked yet.",
    notified: "The phone was told to wipe, {at}. It has not reported yet.",
    done: "The phone reported, {at}, that the data is gone.",
    done_itself: "The app deleted its data by itself, and reported it, {at}.",
};
pub(in super::super) const WIPE_BY_ADMINISTRATOR: Sentences = Sentences {
    requested: "Your administrator ordered a wipe, {ordered}. The phone has not asked yet.",
    ..OWN_WIPE
};

pub(in super::super) const BACK: Text = "Go to your apps";

/// Returns the title of a problem, and a sentence that says what to do.
pub(in super::super) const fn problem(problem: Problem) -> (Text, Text) {
    match problem {
        Problem::AppGone => (
            "This app has no access",
            "It was removed before, or it does not exist any more. There is nothing left to end.",
        ),
        Problem::DeviceGone | Problem::NoRemoteWipe => (
            "This device cannot be wiped",
            "Nothing was changed. The device is not known any more, or its app does not obey orders to wipe its data. \
             Remove the app's access instead.",
        ),
        Problem::WipeNotWithdrawable => (
            "The order cannot be withdrawn",
            "Nothing was changed. The device has asked in the meantime, the order was withdrawn before, or an \
             administrator gave it.",
        ),
        Problem::ForeignForm => (
            "This form came from another site",
            "Nothing was changed. If you did not send it, another page tried to act in your name.",
        ),
        Problem::StaleForm => (
            "This form is from an earlier session",
            "Nothing was changed. You have signed in again since you opened it. Go back, reload the \
             page and send the form again.",
        ),
        Problem::BadForm | Problem::TooLarge => (
            "This form cannot be read",
            "Nothing was changed. Go back, reload the page and send the form again.",
        ),
        Problem::MethodNotAllowed => {
            ("This page has no such method", "Pages are read with GET and changed with POST.")
        }
        Problem::Unavailable | Problem::Conflict => (
            "The server cannot answer at the moment",
            "What you sent may or may not have taken effect. Wait for a moment, and send it again.",
        ),
        Problem::NotFound | Problem::IssuerGone | Problem::Role(_) | Problem::TooManyApps => {
            ("There is no such page", "The link is wrong or old. Start from the list of your apps.")
        }
    }
}
