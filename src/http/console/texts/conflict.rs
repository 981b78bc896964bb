//! Texts of the page of a version conflict.

pub(in super::super) const SENTENCE: &str = "Another administrator has changed this app since you opened the page. Nothing was saved, and \
     nothing that you typed is lost.";
pub(in super::super) const SAME: &str = "Both versions of this page say the same.";
pub(in super::super) const TITLE: &str = "What differs";
pub(in super::super) const SETTING: &str = "Setting";
pub(in super::super) const TYPED: &str = "Your version";
pub(in super::super) const STORED: &str = "Stored version";
pub(in super::super) const EMPTY: &str = "empty";
/// Above a form with everything that was typed.
pub(in super::super) const FORM: &str =
    "The form below has your version. Change it as you like, and save it over the stored one.";
pub(in super::super) const SAVE: &str = "Save my values";
pub(in super::super) const DISCARD: &str = "Keep the stored version";
