//! Patterns for bundle ids of apps.

/// Checks the length and the characters of a pattern.
pub(super) fn fits(text: &str) -> bool {
    (1..=255).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic())
}

/// Checks that a `*`, if there is one, is alone, or last after a dot.
pub(super) fn has_form(text: &str) -> bool {
    !text.contains('*') || text == "*" || beginning(text).is_some()
}

/// Checks whether a pattern allows the app with this id.
pub(super) fn allows(pattern: &str, bundle_id: &str) -> bool {
    match beginning(pattern) {
        Some(beginning) => bundle_id.strip_prefix(beginning).is_some_and(|rest| !rest.is_empty()),
        None => pattern == "*" || pattern == bundle_id,
    }
}

/// Returns the part before the star of a pattern such as `com.example.*`. The dot stays; there is more
/// than the dot, because `.*` would seem to mean every app.
fn beginning(pattern: &str) -> Option<&str> {
    let beginning = pattern.strip_suffix('*')?;
    let is_one = beginning.len() > 1 && beginning.ends_with('.') && !beginning.contains('*');
    is_one.then_some(beginning)
}
