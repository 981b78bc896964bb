//! Instants and durations in words.

use super::texts::times as text;
use crate::clock::UnixTime;

/// An instant for a page: exact for machines, in words for people.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct When {
    /// RFC 3339, for `<time datetime>`.
    pub(super) exact: String,
    /// Such as `4 May 2026, 12:00 UTC`.
    pub(super) date: String,
    /// Such as `3 minutes ago`.
    pub(super) ago: String,
}

impl When {
    /// Returns how `at` is shown at `now`.
    pub(super) fn new(at: UnixTime, now: UnixTime) -> Self {
        let exact = at
            .as_calendar_time()
            .map_or_else(String::new, |time| humantime::format_rfc3339_seconds(time).to_string());
        let date = date(&exact).unwrap_or_else(|| text::FAR_AWAY.to_owned());
        let seconds = now.millis_since(at) / 1000;
        let ago = if seconds >= 30 * 86_400 || seconds <= -30 * 86_400 {
            date.clone()
        } else if seconds >= 0 {
            match seconds {
                ..45 => text::NOW.to_owned(),
                _ => text::ago(&rounded(seconds.unsigned_abs())),
            }
        } else {
            text::ahead(&rounded(seconds.unsigned_abs()))
        };
        Self { exact, date, ago }
    }
}

/// Writes `2026-05-04T12:00:00Z` as `4 May 2026, 12:00 UTC`.
fn date(exact: &str) -> Option<String> {
    let (day, time) = exact.split_once('T')?;
    let mut parts = day.split('-');
    let (year, month, day) = (parts.next()?, parts.next()?, parts.next()?);
    let month = text::MONTHS.get(month.parse::<usize>().ok()?.checked_sub(1)?)?;
    Some(format!("{} {month} {year}, {} UTC", day.trim_start_matches('0'), time.get(..5)?))
}

/// Writes the day of an instant as `2026-05-04` and as `4 May 2026`.
pub(super) fn day_in_words(at: UnixTime) -> (String, String) {
    let when = When::new(at, at);
    let day = |text: &str, end: char| text.split(end).next().unwrap_or_default().to_owned();
    (day(&when.exact, 'T'), day(&when.date, ','))
}

fn rounded(seconds: u64) -> String {
    let unit = text::UNITS.iter().find(|(size, ..)| seconds >= *size).or(text::UNITS.last());
    let (size, one, many) = unit.copied().unwrap_or((1, "", ""));
    let count = (seconds / size).max(1);
    if count == 1 { format!("1 {one}") } else { format!("{count} {many}") }
}

/// Writes a number of seconds as `1 day 12 hours`.
pub(super) fn duration(seconds: u32) -> String {
    let mut rest = u64::from(seconds);
    let mut parts = Vec::new();
    for (size, one, many) in text::UNITS {
        match rest / size {
            0 => {}
            1 => parts.push(format!("1 {one}")),
            count => parts.push(format!("{count} {many}")),
        }
        rest %= size;
    }
    if parts.is_empty() { format!("0 {}", text::UNITS[3].2) } else { parts.join(" ") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn instants_and_durations_are_words() {
        let now = UnixTime::from_seconds(1_700_000_000);
        for (seconds, ago) in [
            (0, "just now"),
            (44, "just now"),
            (60, "1 minute ago"),
            (3 * 60 + 59, "3 minutes ago"),
            (7_200, "2 hours ago"),
            (86_400, "1 day ago"),
            (-90, "in 1 minute"),
            (40 * 86_400, "5 Oct 2023, 22:13 UTC"),
        ] {
            let at = UnixTime::from_seconds(1_700_000_000 - seconds);
            assert_eq!(When::new(at, now).ago, ago);
        }
        let when = When::new(now, now);
        assert_eq!((&*when.exact, &*when.date), ("2023-11-14T22:13:20Z", "14 Nov 2023, 22:13 UTC"));
        assert_eq!(When::new(UnixTime::MAX, now).exact, "");
        for (seconds, words) in [
            (0, "0 seconds"),
            (1, "1 second"),
            (3_600, "1 hour"),
            (90_061, "1 day 1 hour 1 minute 1 second"),
            (60 * 86_400, "60 days"),
        ] {
            assert_eq!(duration(seconds), words);
        }
    }
}
