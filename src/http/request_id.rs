//! The sources of request ids: the host, a proxy, or a counter.

use std::sync::atomic::{AtomicU64, Ordering};

use http::{Extensions, HeaderMap};

use crate::ids::RequestId;
use crate::random::{SecureRandom, array};

/// The header of the request and of the response.
pub(super) const REQUEST_ID: http::HeaderName = http::HeaderName::from_static("x-request-id");

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
        RequestId::numbered(self.0.fetch_add(1, Ordering::Relaxed))
    }
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;
    use crate::ids::InvalidRequestId;
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
