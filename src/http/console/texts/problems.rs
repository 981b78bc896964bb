//! Texts of problems: a title, and a sentence that says what to do.

type Words = (&'static str, &'static str);

pub(in super::super) const BACK: &str = "Go to the apps";
pub(in super::super) const NOT_FOUND: Words =
    ("There is no such page", "The link is wrong or old. Start from the list of apps.");
pub(in super::super) const APP_GONE: Words = (
    "There is no such app",
    "It was deleted, or the link is wrong. The audit log says who deleted it.",
);
pub(in super::super) const DEVICE_GONE: Words = (
    "There is no such device",
    "It was removed because it was not seen for a long time, or the link is wrong.",
);
pub(in super::super) const ISSUER_GONE: Words = (
    "There is no such trusted issuer",
    "The trust in it was ended, or the link is wrong. The audit log says who ended it.",
);
pub(in super::super) const NO_REMOTE_WIPE: Words = (
    "This app cannot be wiped",
    "Nothing was changed. Its setting for remote wipe is off, or it was deleted, so it would not obey an order. \
     Revoke its access instead.",
);
pub(in super::super) const WIPE_NOT_WITHDRAWABLE: Words = (
    "The order cannot be ended",
    "Nothing was changed. Meanwhile the device has asked or reported, or another administrator has ended the order. The \
     page of the device says how far the wipe is.",
);
pub(in super::super) const ROLE_EDIT: Words =
    ("Your role may only look", "Nothing was changed. Ask an administrator who may edit apps.");
pub(in super::super) const ROLE_SECURITY: Words = (
    "Your role may not do this",
    "Nothing was changed. Ask an administrator who may manage credentials and access.",
);
pub(in super::super) const FOREIGN_FORM: Words = (
    "This form came from another site",
    "Nothing was changed. If you did not send it, another page tried to act in your name. Open \
     the console again and repeat what you wanted to do.",
);
pub(in super::super) const STALE_FORM: Words = (
    "This form is from an earlier session",
    "Nothing was changed. You have signed in again since you opened it. Go back, reload the page \
     and send the form again.",
);
pub(in super::super) const BAD_FORM: Words = (
    "This form cannot be read",
    "Nothing was changed. Go back, reload the page and send the form again. Files have to be text, \
     such as PEM or JSON.",
);
pub(in super::super) const TOO_LARGE: Words =
    ("This form is too long", "Nothing was changed. A form has at most 1 MiB and 1,024 fields.");
pub(in super::super) const TOO_MANY_APPS: Words = (
    "There are too many apps for one file",
    "An export has at most 10,000 apps. A program of the host can export them one by one with \
     Admin::list and Admin::export.",
);
pub(in super::super) const METHOD_NOT_ALLOWED: Words =
    ("This page has no such method", "Pages are read with GET and changed with POST.");
pub(in super::super) const CONFLICT: Words = (
    "Others are editing this app",
    "Nothing was changed, because other edits came first again and again. Try again in a moment.",
);
pub(in super::super) const UNAVAILABLE: Words = (
    "The server cannot answer at the moment",
    "Its store or its directory of users does not answer. A change that you sent may or may not \
     have taken effect. Wait for a moment, reload the page and look.",
);
