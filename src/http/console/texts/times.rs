//! Texts of instants and durations.

pub(in super::super) const NOW: &str = "just now";
pub(in super::super) const FAR_AWAY: &str = "far away";
pub(in super::super) const MONTHS: [&str; 12] =
    ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
/// Seconds, one of them, several of them.
pub(in super::super) const UNITS: [(u64, &str, &str); 4] = [
    (86_400, "day", "days"),
    (3_600, "hour", "hours"),
    (60, "minute", "minutes"),
    (1, "second", "seconds"),
];

pub(in super::super) fn ago(duration: &str) -> String {
    format!("{duration} ago")
}

pub(in super::super) fn ahead(duration: &str) -> String {
    format!("in {duration}")
}
