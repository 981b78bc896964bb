//! New credentials on their way from the form that made them to the page that shows them once.
//!
//! They travel in a cookie, sealed for the session and for a minute. The page removes the cookie, and this process
//! remembers that it has shown them, for a browser that keeps it.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use http::header::{self, HeaderMap, HeaderValue};

use super::path::Mount;
use crate::clock::UnixTime;
use crate::http::Page;
use crate::http::session_cookie::cookies;
use crate::secret::Digest;

const COOKIE: &str = "grantor-credentials";
/// The time for which a process remembers, longer than sealed credentials open.
const REMEMBERED: Duration = Duration::from_mins(2);
/// The most that a process remembers.
const MOST: usize = 1024;

/// The digests of sealed credentials that this process has shown.
#[derive(Default)]
pub(super) struct Shown(Mutex<Vec<(Digest, UnixTime)>>);

impl Shown {
    /// Returns true for the first call with `sealed`.
    pub(super) fn is_first(&self, sealed: &str, now: UnixTime) -> bool {
        let digest = Digest::of_fields(&[sealed.as_bytes()]);
        let mut shown = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        shown.retain(|(_, until)| *until > now);
        if shown.iter().any(|(known, _)| *known == digest) {
            return false;
        }
        if shown.len() >= MOST {
            shown.remove(0);
        }
        shown.push((digest, now.plus(REMEMBERED)));
        true
    }
}

/// Returns the value of the cookie.
pub(super) fn find(headers: &HeaderMap) -> Option<&str> {
    cookies(headers)
        .find(|(name, value)| *name == COOKIE && !value.is_empty())
        .map(|(_, value)| value)
}

/// Gives the browser sealed credentials, for the pages of the console only.
pub(super) fn send(page: &mut Page, mount: &Mount, is_https: bool, sealed: &str) {
    set(page, mount, is_https, sealed, 60);
}

/// Removes the credentials from the browser.
pub(super) fn forget(page: &mut Page, mount: &Mount, is_https: bool) {
    set(page, mount, is_https, "", 0);
}

fn set(page: &mut Page, mount: &Mount, is_https: bool, value: &str, seconds: u32) {
    let path = if mount.outer().is_empty() { "/" } else { mount.outer() };
    let secure = if is_https { "; Secure" } else { "" };
    let cookie = format!(
        "{COOKIE}={value}; Path={path}; Max-Age={seconds}; HttpOnly; SameSite=Strict{secure}"
    );
    // Base64url, and a path that was checked.
    if let Ok(mut cookie) = HeaderValue::try_from(cookie) {
        cookie.set_sensitive(true);
        page.headers_mut().append(header::SET_COOKIE, cookie);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_remembers_what_it_has_shown_up_to_a_bound() {
        let shown = Shown::default();
        let now = UnixTime::from_seconds(1);
        assert!(shown.is_first("first", now) && !shown.is_first("first", now));
        for other in 1..MOST {
            assert!(shown.is_first(&other.to_string(), now));
        }
        assert!(!shown.is_first("first", now));
        assert!(shown.is_first("one more", now));
        assert!(shown.is_first("first", now));
        assert_eq!(shown.0.lock().unwrap().len(), MOST);
        assert!(shown.is_first("later", now.plus(REMEMBERED)));
        assert_eq!(shown.0.lock().unwrap().len(), 1);
    }
}
