//! How long a document is fresh: RFC 9111 section 4.2, within the bounds of the host.

use std::time::Duration;

use http::HeaderMap;
use http::header::{AGE, CACHE_CONTROL, DATE, EXPIRES, HeaderName};

use crate::clock::UnixTime;

/// Returns until when a document that was asked for at `asked_at` is fresh. Without a statement it is fresh for the
/// shortest time.
pub(super) fn fresh_until(
    headers: &HeaderMap,
    asked_at: UnixTime,
    shortest: Duration,
    longest: Duration,
) -> UnixTime {
    let date = date_of(headers, DATE).unwrap_or_else(|| since_epoch(asked_at));
    let stated = stated_lifetime(headers, date).unwrap_or_default();
    let left = stated.saturating_sub(age(headers, date, asked_at));
    asked_at.plus(left.clamp(shortest, longest.max(shortest)))
}

/// Returns the age of an answer that caches on its way kept (RFC 9111 section 4.2.3).
fn age(headers: &HeaderMap, date: Duration, asked_at: UnixTime) -> Duration {
    let stated = headers.get(AGE).and_then(|value| value.to_str().ok());
    let stated = stated.map_or(0, |value| seconds(value.trim()).unwrap_or_default());
    Duration::from_secs(stated).max(since_epoch(asked_at).saturating_sub(date))
}

/// Returns the lifetime from the `date` of the answer on (RFC 9111 section 4.2.1).
fn stated_lifetime(headers: &HeaderMap, date: Duration) -> Option<Duration> {
    let mut max_age = None;
    let values = headers.get_all(CACHE_CONTROL).iter().filter_map(|value| value.to_str().ok());
    for directive in values.flat_map(|value| value.split(',')).map(str::trim) {
        let (name, value) = directive.split_once('=').unwrap_or((directive, ""));
        if name.eq_ignore_ascii_case("no-store") || name.eq_ignore_ascii_case("no-cache") {
            return None;
        }
        if name.eq_ignore_ascii_case("max-age") {
            let seconds = seconds(value.trim().trim_matches('"')).unwrap_or_default();
            // The smallest counts if there are several.
            max_age = Some(max_age.map_or(seconds, |before: u64| before.min(seconds)));
        }
    }
    if let Some(seconds) = max_age {
        return Some(Duration::from_secs(seconds));
    }
    date_of(headers, EXPIRES)?.checked_sub(date)
}

/// Reads a number of seconds. An overflow means no limit (RFC 9111 section 1.2.2).
fn seconds(digits: &str) -> Option<u64> {
    let is_number = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    is_number.then(|| digits.parse().unwrap_or(u64::MAX))
}

/// Reads a date, as the time since the epoch.
fn date_of(headers: &HeaderMap, name: HeaderName) -> Option<Duration> {
    let date = httpdate::parse_http_date(headers.get(name)?.to_str().ok()?).ok()?;
    date.duration_since(std::time::UNIX_EPOCH).ok()
}

fn since_epoch(instant: UnixTime) -> Duration {
    Duration::from_millis(u64::try_from(instant.as_millis()).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// L11: the headers decide within the bounds of the host. A cache on the way has used up a part of the time.
    #[test]
    fn a_document_is_fresh_as_its_headers_say_within_the_bounds() {
        let asked_at = UnixTime::from_seconds(1_700_000_000);
        let fresh = |headers: &[(HeaderName, &str)]| {
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
            (&[(CACHE_CONTROL, "max-age=3600"), (AGE, "600")], 3_000),
            (&[(CACHE_CONTROL, "max-age=3600"), (AGE, "3600")], 300),
            (&[(CACHE_CONTROL, "max-age=3600"), (AGE, "99999999999999999999999")], 300),
            (&[(CACHE_CONTROL, "max-age=3600"), (AGE, "-1")], 3_600),
            (&[(CACHE_CONTROL, "max-age=3600"), (DATE, "Tue, 14 Nov 2023 22:03:20 GMT")], 3_000),
            (&[(CACHE_CONTROL, "max-age=3600"), (DATE, "Tue, 14 Nov 2023 23:13:20 GMT")], 3_600),
            (
                &[
                    (DATE, "Tue, 14 Nov 2023 22:13:20 GMT"),
                    (EXPIRES, "Tue, 14 Nov 2023 23:13:20 GMT"),
                    (AGE, "1200"),
                ],
                2_400,
            ),
            (&[(CACHE_CONTROL, "max-age=600"), (EXPIRES, "Tue, 14 Nov 2023 23:13:20 GMT")], 600),
        ] {
            assert_eq!(fresh(headers), seconds, "{headers:?}");
        }
        let none = fresh_until(&HeaderMap::new(), asked_at, Duration::from_secs(5), Duration::ZERO);
        assert_eq!(none.millis_since(asked_at), 5_000);
    }
}
