//! Texts of the scopes of an app.

pub(in super::super) const INTRODUCTION: &str = "The most that this app can get. A request for a token can ask for less, and users agree to each scope.";
pub(in super::super) const NO_CATALOG: &str =
    "This server has no catalog of its API, so the scopes stand here by their names only.";
pub(in super::super) const GRID: &str = "Operations of the API";
pub(in super::super) const GROUP: &str = "Group";
pub(in super::super) const LISTED: &str = "Other scopes of the catalog";
pub(in super::super) const UNKNOWN: &str = "Scopes that the catalog does not list";
pub(in super::super) const UNKNOWN_HINT: &str = "The app has them, but no operation is listed under these names. Untick those that it does not need.";
pub(in super::super) const MORE: &str = "Further scopes";
pub(in super::super) const MORE_HINT: &str = "Names of scopes, separated by spaces, such as GET/files/* for one method or */files/* for all.";
pub(in super::super) const SELECT_ROW: &str = "Select row";
pub(in super::super) const SELECT_COLUMN: &str = "Select column";
pub(in super::super) const SELECT_ALL: &str = "Select all";
pub(in super::super) const SELECT_NONE: &str = "Select none";
pub(in super::super) const SELECTED: &str =
    "The selection below is not saved yet. Look at it, and save it.";
pub(in super::super) const SAVE: &str = "Save scopes";
pub(in super::super) const NOW: &str = "What the app can do now";
pub(in super::super) const CAN: &str = "It can ";
pub(in super::super) const CAN_NOTHING: &str = "It can do nothing that the catalog lists.";
pub(in super::super) const INVALID: &str = "At least one of these is not a scope, or there are too many. A scope has visible ASCII characters without \
     quotes and backslashes.";
pub(in super::super) const OFFLINE: &str =
    "Leave offline_access out. Whether the app gets refresh tokens is a switch of its own.";
/// The group of operations without one.
pub(in super::super) const REST: &str = "other parts of the API";
/// The verbs of methods, in the order of a sentence.
pub(in super::super) const VERBS: [&str; 5] = ["read", "add", "change", "delete", "use"];

/// Returns the index of the verb of a method.
pub(in super::super) fn verb(method: &str) -> usize {
    match method {
        "GET" | "HEAD" => 0,
        "POST" => 1,
        "PUT" | "PATCH" => 2,
        "DELETE" => 3,
        _ => 4,
    }
}

/// Returns `read, add and delete`.
pub(in super::super) fn listed(words: &[&&str]) -> String {
    let mut text = String::new();
    for (number, word) in words.iter().enumerate() {
        text.push_str(word);
        if number + 1 < words.len() {
            text.push_str(after(words.len() - number));
        }
    }
    text
}

/// Returns the text after a part of a list with `left` parts left, itself included.
pub(in super::super) fn after(left: usize) -> &'static str {
    match left {
        0 | 1 => ".",
        2 => " and ",
        _ => ", ",
    }
}
