//! The id of a request, which connects its log lines.

use std::sync::atomic::{AtomicU64, Ordering};

use http::{Extensions, HeaderMap, HeaderValue};

use crate::random::{SecureRandom, array};

/// The header of the request and of the response.
pub(super) const REQUEST_ID: http::HeaderName = http::HeaderName::from_static("x-request-id");

/// The id of a request: 1 to 64 letters, digits, `-`, `_` and `.`.
///
/// The host puts it into the extensions of the request, or a proxy sends it in `X-Request-Id`. A request
/// without one gets a new id.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RequestId(HeaderValue);

/// A text that is not a [`RequestId`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
#[error("a request id has 1 to 64 letters, digits, -, _ and .")]
pub struct InvalidRequestId;

impl RequestId {
    /// Checks `text`.
    ///
    /// # Errors
    ///
    /// [`InvalidRequestId`] if `text` is empty, too long, or has another character.
    pub fn new(text: &str) -> Result<Self, InvalidRequestId> {
        let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
        if text.is_empty() || text.len() > 64 || !text.bytes().all(allowed) {
            return Err(InvalidRequestId);
        }
        HeaderValue::from_str(text).map(Self).map_err(|_| InvalidRequestId)
    }

    /// Returns the text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        self.0.to_str().unwrap_or_default()
    }

    pub(super) fn into_header(self) -> HeaderValue {
        self.0
    }
}

/// Makes ids, counting up from a random start. They are unique, not secret.
#[derive(Debug)]
pub(super) struct RequestIds(AtomicU64);

impl RequestIds {
    pub(super) fn new(random: &dyn SecureRandom) -> Self {
        Self(AtomicU64::new(array(random).map_or(0, u64::from_ne_bytes)))
    }

    pub(super) fn of(&self, extensions: &Extensions, headers: &HeaderMap) -> RequestId {
        if let Some(own) = extensions.get::<RequestId>() {
            return own.clone();
        }
        let sent = headers.get(REQUEST_ID).and_then(|value| value.to_str().ok());
        if let Some(id) = sent.and_then(|text| RequestId::new(text).ok()) {
            return id;
        }
        let number = self.0.fetch_add(1, Ordering::Relaxed);
        let text = format!("{number:016x}");
        // Sixteen hexadecimal digits are a valid header.
        RequestId(HeaderValue::from_str(&text).unwrap_or(HeaderValue::from_static("0")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::OsRandom;

    #[test]
    fn a_request_keeps_its_id_and_gets_one_if_it_has_none() {
        let ids = RequestIds::new(&OsRandom::new());
        let (mut extensions, mut headers) = (Extensions::new(), HeaderMap::new());
        let first = ids.of(&extensions, &headers);
        assert_eq!(first.as_str().len(), 16);
        assert_ne!(ids.of(&extensions, &headers), first);
        headers.insert(REQUEST_ID, HeaderValue::from_static("proxy-7"));
        assert_eq!(ids.of(&extensions, &headers).as_str(), "proxy-7");
        headers.insert(REQUEST_ID, HeaderValue::from_static("a b\"c"));
        assert_eq!(ids.of(&extensions, &headers).as_str().len(), 16);
        extensions.insert(RequestId::new("host.1").unwrap());
        assert_eq!(ids.of(&extensions, &headers).as_str(), "host.1");
        for bad in ["", "a b", "é", &"x".repeat(65)] {
            assert_eq!(RequestId::new(bad), Err(InvalidRequestId));
        }
    }
}
