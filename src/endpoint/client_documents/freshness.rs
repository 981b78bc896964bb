//! How long a document is fresh: RFC 9111 section 4.2.1, within the bounds of the host.

use std::time::Duration;

use http::HeaderMap;
use http::header::{CACHE_CONTROL, EXPIRES};

use crate::clock::UnixTime;

/// Returns until when a document that was asked for at `asked_at` is fresh. Without a statement it is fresh for the
/// shortest time.
pub(super) fn fresh_until(
    headers: &HeaderMap,
    asked_at: UnixTime,
    shortest: Duration,
    longest: Duration,
) -> UnixTime {
    let stated = stated_lifetime(headers, asked_at).unwrap_or_default();
    asked_at.plus(stated.clamp(shortest, longest.max(shortest)))
}

fn stated_lifetime(headers: &HeaderMap, asked_at: UnixTime) -> Option<Duration> {
    let mut max_age = None;
    let values = headers.get_all(CACHE_CONTROL).iter().filter_map(|value| value.to_str().ok());
    for directive in values.flat_map(|value| value.split(',')).map(str::trim) {
        let (name, value) = directive.split_once('=').unwrap_or((directive, ""));
        if name.eq_ignore_ascii_case("no-store") || name.eq_ignore_ascii_case("no-cache") {
            return None;
        }
        if name.eq_ignore_ascii_case("max-age") {
            let digits = value.trim().trim_matches('"');
            let is_number = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
            // An overflow means no limit (RFC 9111 section 1.2.2).
            let seconds = if is_number { digits.parse().unwrap_or(u64::MAX) } else { 0 };
            // The smallest counts if there are several.
            max_age = Some(max_age.map_or(seconds, |before: u64| before.min(seconds)));
        }
    }
    if let Some(seconds) = max_age {
        return Some(Duration::from_secs(seconds));
    }
    let expires = httpdate::parse_http_date(headers.get(EXPIRES)?.to_str().ok()?).ok()?;
    let expires = expires.duration_since(std::time::UNIX_EPOCH).ok()?;
    let asked = Duration::from_millis(u64::try_from(asked_at.as_millis()).ok()?);
    expires.checked_sub(asked)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// L11: the headers decide within the bounds of the host.
    #[test]
    fn a_document_is_fresh_as_its_headers_say_within_the_bounds() {
        let asked_at = UnixTime::from_seconds(1_700_000_000);
        let fresh = |headers: &[(http::HeaderName, &str)]| {
            let headers =
                headers.iter().map(|(name, value)| (name.clone(), value.parse().unwrap()));
            let (shortest, longest) = (Duration::from_mins(5), Duration::from_hours(24));
            let until = fresh_until(&headers.collect(), asked_at, shortest, longest);
            until.millis_since(asked_at) / 1_000
        };
        for (headers, seconds) in [
            (&[][..], 300),
            (&[(CACHE_CONTROL, "max-age=3600")], 3_600),
            (&[(CACHE_CONTROL, "public, Max-Age=\"3600\"")], 3_600),
            (&[(CACHE_CONTROL, "max-age=1")], 300),
            (&[(CACHE_CONTROL, "max-age=86401")], 86_400),
            (&[(CACHE_CONTROL, "max-age=99999999999999999999999")], 86_400),
            (&[(CACHE_CONTROL, "max-age=-5")], 300),
            (&[(CACHE_CONTROL, "max-age=3600, no-store")], 300),
            (&[(CACHE_CONTROL, "no-cache"), (CACHE_CONTROL, "max-age=3600")], 300),
            (&[(CACHE_CONTROL, "max-age=7200, max-age=3600")], 3_600),
            (&[(EXPIRES, "Tue, 14 Nov 2023 23:13:20 GMT")], 3_600),
            (&[(EXPIRES, "Tue, 14 Nov 2023 22:00:00 GMT")], 300),
            (&[(EXPIRES, "0")], 300),
            (&[(CACHE_CONTROL, "max-age=600"), (EXPIRES, "Tue, 14 Nov 2023 23:13:20 GMT")], 600),
        ] {
            assert_eq!(fresh(headers), seconds, "{headers:?}");
        }
        let none = fresh_until(&HeaderMap::new(), asked_at, Duration::from_secs(5), Duration::ZERO);
        assert_eq!(none.millis_since(asked_at), 5_000);
    }
}
