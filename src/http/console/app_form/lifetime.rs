//! Lifetimes in days, hours, minutes and seconds.

use super::super::fields::Fields;
use super::super::times::duration;

/// The units with their lengths in seconds, as the fields of a form are named.
pub(in super::super) const UNITS: [(&str, u32); 4] =
    [("days", 86_400), ("hours", 3_600), ("minutes", 60), ("seconds", 1)];

/// A lifetime as it was typed, by unit.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(in super::super) struct Lifetime([String; 4]);

impl Lifetime {
    pub(in super::super) fn of(seconds: u32) -> Self {
        let mut rest = seconds;
        Self(UNITS.map(|(_, size)| {
            let count = rest / size;
            rest %= size;
            count.to_string()
        }))
    }

    pub(in super::super) fn of_fields(fields: &Fields, name: &str) -> Self {
        Self(UNITS.map(|(unit, _)| fields.one(&format!("{name}_{unit}")).trim().to_owned()))
    }

    /// Returns the texts by unit.
    pub(in super::super) fn parts(&self) -> impl Iterator<Item = (&'static str, &str)> {
        UNITS.iter().map(|(unit, _)| *unit).zip(self.0.iter().map(String::as_str))
    }

    /// Returns the sum in seconds. An empty text is 0.
    pub(in super::super) fn seconds(&self) -> Option<u32> {
        let parts = self.0.iter().zip(UNITS);
        let mut sum = 0u32;
        for (text, (_, size)) in parts {
            let digits = text.bytes().all(|byte| byte.is_ascii_digit());
            let count = match text.as_str() {
                "" => 0,
                text if digits => text.parse::<u32>().ok()?,
                _ => return None,
            };
            sum = sum.checked_add(count.checked_mul(size)?)?;
        }
        Some(sum)
    }

    pub(in super::super) fn in_words(&self) -> String {
        self.seconds().map_or_else(|| self.0.join(" "), duration)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lifetime_is_a_sum_of_whole_numbers() {
        let typed = |parts: [&str; 4]| Lifetime(parts.map(str::to_owned)).seconds();
        for seconds in [0, 1, 59, 60, 3_661, 90_061, 63_072_000, u32::MAX] {
            assert_eq!(Lifetime::of(seconds).seconds(), Some(seconds));
        }
        assert_eq!(typed(["", "24", "", ""]), Some(86_400));
        assert_eq!(typed(["", "", "", "90"]), Some(90));
        for wrong in [
            ["-1", "", "", ""],
            ["", "1.5", "", ""],
            ["", "", "x", ""],
            ["", "", "", "+1"],
            ["99999999999", "", "", ""],
            ["49711", "", "", ""],
            ["49710", "6", "28", "16"],
        ] {
            assert_eq!(typed(wrong), None, "{wrong:?}");
        }
    }
}
