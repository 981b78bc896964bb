//! HTTP responses: status, protocol headers and body.

use std::sync::{Mutex, PoisonError};

use http::header::{self, HeaderName, HeaderValue};
use http::{Response, StatusCode};

use super::interaction::Page;
use crate::clock::UnixTime;
use crate::error::EndpointError;

/// A response with its whole body.
pub(super) type Answer = Response<Vec<u8>>;

const JSON: HeaderValue = HeaderValue::from_static("application/json");
const NO_STORE: HeaderValue = HeaderValue::from_static("no-store");
const NO_CACHE: HeaderValue = HeaderValue::from_static("no-cache");

/// Returns a response about tokens. No cache may store it (RFC 6749 section 5.1).
pub(super) fn private_json(status: StatusCode, body: String) -> Answer {
    let mut answer = Response::new(body.into_bytes());
    *answer.status_mut() = status;
    let headers = answer.headers_mut();
    headers.insert(header::CONTENT_TYPE, JSON);
    headers.insert(header::CACHE_CONTROL, NO_STORE);
    headers.insert(header::PRAGMA, NO_CACHE);
    answer
}

/// Returns a public document, which caches may store for five minutes.
pub(super) fn public_json(body: String) -> Answer {
    let mut answer = Response::new(body.into_bytes());
    let headers = answer.headers_mut();
    headers.insert(header::CONTENT_TYPE, JSON);
    let five_minutes = HeaderValue::from_static("public, max-age=300");
    headers.insert(header::CACHE_CONTROL, five_minutes);
    answer
}

/// Returns a response without body.
pub(super) fn empty(status: StatusCode) -> Answer {
    let mut answer = Response::new(Vec::new());
    *answer.status_mut() = status;
    answer.headers_mut().insert(header::CACHE_CONTROL, NO_STORE);
    answer
}

/// Returns the error response of RFC 6749 section 5.2.
pub(super) fn error(error: &EndpointError, challenge: &HeaderValue) -> Answer {
    let status = StatusCode::from_u16(error.status()).unwrap_or(StatusCode::BAD_REQUEST);
    let mut answer = private_json(status, error.to_json());
    if status == StatusCode::UNAUTHORIZED {
        answer.headers_mut().insert(header::WWW_AUTHENTICATE, challenge.clone());
    }
    if let Some(seconds) = error.retry_after() {
        answer.headers_mut().insert(header::RETRY_AFTER, seconds.into());
    }
    answer
}

/// Redirects a browser. It follows with `GET`, also after a `POST` (RFC 9700 section 4.12).
pub(super) fn see_other(location: &str) -> Answer {
    let mut answer = empty(StatusCode::SEE_OTHER);
    // Every character of a URL is allowed in a header. Otherwise the browser would stay on the page.
    if let Ok(location) = HeaderValue::try_from(location) {
        answer.headers_mut().insert(header::LOCATION, location);
    }
    let headers = answer.headers_mut();
    headers.insert(header::REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    answer
}

/// Adds the headers that keep a page out of frames, caches and referrers. Headers of the host stay. The
/// policy against framing is always added, and browsers enforce both policies.
///
/// The pages of an [`Interaction`](super::Interaction) have them. A host calls this for its other pages with
/// forms, such as its login page.
///
/// The referrer policy is not `no-referrer`: browsers would send `Origin: null` with the form (the fetch
/// standard), and those without `Sec-Fetch-Site` could not prove the origin of the page.
pub fn protect_page(page: &mut Page) {
    const DEFAULTS: [(HeaderName, HeaderValue); 4] = [
        (header::CACHE_CONTROL, NO_STORE),
        (header::REFERRER_POLICY, HeaderValue::from_static("same-origin")),
        (header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
        (header::X_FRAME_OPTIONS, HeaderValue::from_static("DENY")),
    ];
    for (name, value) in DEFAULTS {
        page.headers_mut().entry(name).or_insert(value);
    }
    let no_frames = HeaderValue::from_static("frame-ancestors 'none'");
    let forbids = |policy: &HeaderValue| {
        let policy = policy.to_str().unwrap_or_default();
        policy.split(';').any(|directive| directive.trim() == "frame-ancestors 'none'")
    };
    let policies = page.headers().get_all(header::CONTENT_SECURITY_POLICY);
    if !policies.iter().any(forbids) {
        page.headers_mut().append(header::CONTENT_SECURITY_POLICY, no_frames);
    }
}

/// The `Date` header (RFC 9110 section 5.6.7), formatted once a second.
#[derive(Debug, Default)]
pub(super) struct DateHeader(Mutex<Option<(i64, HeaderValue)>>);

impl DateHeader {
    pub(super) fn at(&self, now: UnixTime) -> Option<HeaderValue> {
        let second = now.as_seconds();
        let mut last = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((of, value)) = &*last
            && *of == second
        {
            return Some(value.clone());
        }
        let value = HeaderValue::try_from(httpdate::fmt_http_date(now.as_calendar_time()?)).ok()?;
        *last = Some((second, value.clone()));
        Some(value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_date_is_spelt_as_http_wants_it() {
        let date = DateHeader::default();
        let at = |seconds| date.at(UnixTime::from_seconds(seconds)).unwrap();
        assert_eq!(at(784_111_777), "Sun, 06 Nov 1994 08:49:37 GMT");
        assert_eq!(at(784_111_777), "Sun, 06 Nov 1994 08:49:37 GMT");
        assert_eq!(at(0), "Thu, 01 Jan 1970 00:00:00 GMT");
        assert_eq!(at(253_402_300_799), "Fri, 31 Dec 9999 23:59:59 GMT");
        let (far, early) = (UnixTime::from_seconds(253_402_300_800), UnixTime::from_millis(-1));
        for unwritable in [far, early, UnixTime::MAX] {
            assert_eq!(date.at(unwritable), None);
        }
    }

    #[test]
    fn a_page_cannot_be_framed_with_any_policy_of_the_host() {
        let mut page = Response::new(Vec::new());
        page.headers_mut().insert(
            header::CONTENT_SECURITY_POLICY,
            HeaderValue::from_static("default-src 'none'"),
        );
        page.headers_mut()
            .insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store, private"));
        protect_page(&mut page);
        protect_page(&mut page);
        let policies: Vec<_> =
            page.headers().get_all(header::CONTENT_SECURITY_POLICY).iter().collect();
        assert_eq!(policies, ["default-src 'none'", "frame-ancestors 'none'"]);
        assert_eq!(page.headers()[header::CACHE_CONTROL], "no-store, private");
        assert_eq!(page.headers()[header::X_FRAME_OPTIONS], "DENY");
    }
}
