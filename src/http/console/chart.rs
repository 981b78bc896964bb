//! The usage of an app by day as a chart: tokens by flow above the axis, refusals below it.

use super::texts::usage as text;
use super::times::day_in_words;
use crate::audit::{DayUsage, UsageHistory};
use crate::clock::UnixTime;
use crate::protocol::grant_type::GrantType;

/// The height of the drawing, which the stylesheet fits to its place. A tenth of a pixel of the largest chart.
const HEIGHT: u64 = 2_000;
/// The least height of a bar, so that one request among thousands can be seen.
const LEAST: u64 = 20;
/// The width of a day, and of its bar.
const STEP: u64 = 100;
const BAR: u64 = 80;
/// The classes of the flows, in the order of the stack, and of refusals.
const CLASSES: [(GrantType, &str); 6] = [
    (GrantType::AuthorizationCode, "flow-1"),
    (GrantType::RefreshToken, "flow-2"),
    (GrantType::JwtBearer, "flow-3"),
    (GrantType::ClientCredentials, "flow-4"),
    (GrantType::DeviceCode, "flow-5"),
    (GrantType::TokenExchange, "flow-6"),
];
const REFUSED: &str = "refused";

/// A chart of some days.
pub(super) struct Chart {
    pub(super) width: u64,
    pub(super) height: u64,
    /// The place of the axis.
    pub(super) axis: u64,
    pub(super) days: Vec<Day>,
    /// The flows of any of the days, then refusals: class, name, sum.
    pub(super) kinds: Vec<(&'static str, &'static str, String)>,
    /// The whole in a sentence.
    pub(super) sentence: String,
    /// The words at the top and at the bottom of the vertical axis, and at both ends of the other.
    pub(super) top: String,
    pub(super) bottom: Option<String>,
    pub(super) first: String,
    pub(super) last: String,
    pub(super) is_empty: bool,
}

/// A day of a chart.
pub(super) struct Day {
    /// `2026-05-04`
    pub(super) exact: String,
    /// `4 May 2026`
    pub(super) words: String,
    /// The day in a sentence.
    pub(super) sentence: String,
    pub(super) x: u64,
    pub(super) bars: Vec<Bar>,
    /// The counts in the order of the chart's kinds.
    pub(super) counts: Vec<String>,
}

/// A part of a day's column.
pub(super) struct Bar {
    pub(super) class: &'static str,
    pub(super) x: u64,
    pub(super) y: u64,
    pub(super) width: u64,
    pub(super) height: u64,
}

impl Chart {
    /// Draws the last `days` days up to that of `now`.
    pub(super) fn new(history: &UsageHistory, days: u64, now: UnixTime) -> Self {
        let all = last_days(history, days, now);
        let tokens = |it: &DayUsage| it.issued.values().fold(0, |sum, it| it.saturating_add(sum));
        let most = all
            .iter()
            .fold((0, 0), |most: (u64, u64), it| (most.0.max(tokens(it)), most.1.max(it.refused)));
        let sum_of = |count: &dyn Fn(&DayUsage) -> u64| {
            all.iter().fold(0_u64, |sum, it| sum.saturating_add(count(it)))
        };
        let flows = CLASSES.map(|(grant_type, class)| {
            (class, text::flow(grant_type), sum_of(&|day| count_of(day, grant_type)))
        });
        let refused = sum_of(&|day| day.refused);
        let kinds = flows.into_iter().filter(|(.., sum)| *sum > 0);
        let kinds = kinds.chain([(REFUSED, text::REFUSED, refused)]);
        let kinds: Vec<_> =
            kinds.map(|(class, name, sum)| (class, name, text::number(sum))).collect();
        // Room for bars of the least height.
        let room = HEIGHT - 6 * LEAST;
        let scale = most.0.saturating_add(most.1).max(1);
        let length = |count: u64| {
            let scaled = u128::from(count) * u128::from(room) / u128::from(scale);
            let scaled = u64::try_from(scaled).unwrap_or(room);
            if count == 0 { 0 } else { scaled.max(LEAST) }
        };
        let axis = HEIGHT - length(most.1).max(LEAST);
        let drawn = (0..).zip(&all).map(|(number, day)| {
            let x = number * STEP;
            let bar =
                |class, y, height| Bar { class, x: x + (STEP - BAR) / 2, y, width: BAR, height };
            let (mut bars, mut top) = (Vec::new(), axis);
            for (grant_type, class) in CLASSES {
                let height = length(count_of(day, grant_type));
                top = top.saturating_sub(height);
                bars.push(bar(class, top, height));
            }
            bars.push(bar(REFUSED, axis, length(day.refused)));
            bars.retain(|bar| bar.height > 0);
            let (exact, words) = day_in_words(day.day);
            let own =
                CLASSES.iter().map(|(grant_type, class)| (*class, count_of(day, *grant_type)));
            let own: Vec<_> = own.chain([(REFUSED, day.refused)]).collect();
            let count = |class| own.iter().find(|(it, _)| *it == class).map_or(0, |(_, it)| *it);
            Day {
                sentence: text::day(&words, tokens(day), day.refused),
                exact,
                words,
                x,
                bars,
                counts: kinds.iter().map(|(class, ..)| text::number(count(*class))).collect(),
            }
        });
        let drawn: Vec<Day> = drawn.collect();
        let words = |day: Option<&Day>| day.map_or_else(String::new, |day| day.words.clone());
        Self {
            width: days.saturating_mul(STEP),
            height: HEIGHT,
            axis,
            first: words(drawn.first()),
            last: words(drawn.last()),
            days: drawn,
            sentence: text::sentence(days, sum_of(&tokens), refused),
            top: text::most(most.0),
            bottom: (most.1 > 0).then(|| text::most_refused(most.1)),
            is_empty: most == (0, 0),
            kinds,
        }
    }
}

fn count_of(day: &DayUsage, grant_type: GrantType) -> u64 {
    day.issued.get(&grant_type).copied().unwrap_or(0)
}

/// Returns each of the last `days` days, also those without a count.
fn last_days(history: &UsageHistory, days: u64, now: UnixTime) -> Vec<DayUsage> {
    let day = |ago| DayUsage::on(first_day(ago, now));
    let counted = |empty: DayUsage| {
        let found = history.days.iter().find(|it| it.day == empty.day);
        found.cloned().unwrap_or(empty)
    };
    (1..=days).rev().map(day).map(counted).collect()
}

/// Returns an instant of the first of the last `days` days up to that of `now`.
pub(super) fn first_day(days: u64, now: UnixTime) -> UnixTime {
    let before = days.saturating_sub(1).saturating_mul(24);
    now.minus(std::time::Duration::from_hours(before))
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOON: UnixTime = UnixTime::from_seconds(1_777_852_800 + 43_200);

    fn on(days_ago: u64, issued: &[(GrantType, u64)], refused: u64) -> DayUsage {
        let mut day = DayUsage::on(first_day(days_ago + 1, NOON));
        (day.issued, day.refused) = (issued.iter().copied().collect(), refused);
        day
    }

    fn history(days: &[DayUsage]) -> UsageHistory {
        UsageHistory { days: days.to_vec(), ..UsageHistory::default() }
    }

    /// Tokens stand on the axis, refusals hang from it, all on one scale.
    #[test]
    fn columns_are_stacked_on_one_scale() {
        use GrantType::{ClientCredentials, RefreshToken};
        let history = history(&[
            on(9, &[(RefreshToken, 900)], 0),
            on(6, &[(RefreshToken, 60), (ClientCredentials, 30)], 10),
            on(0, &[(ClientCredentials, 45)], 1_000_000_000),
        ]);
        let chart = Chart::new(&history, 7, NOON);
        assert_eq!((chart.days.len(), chart.width), (7, 7 * STEP));
        assert_eq!((&*chart.first, &*chart.last), ("28 Apr 2026", "4 May 2026"));
        let sums: Vec<_> = chart.kinds.iter().map(|(_, _, sum)| &**sum).collect();
        assert_eq!(sums, ["60", "75", "1,000,000,010"], "only days of the chart");
        let (first, last) = (&chart.days[0], &chart.days[6]);
        assert_eq!(first.counts, ["60", "30", "10"]);
        assert_eq!(last.counts, ["0", "45", "1,000,000,000"]);
        assert!(chart.days[1..6].iter().all(|day| day.bars.is_empty()));
        let [refresh, client, refused] = &first.bars[..] else { panic!("three bars") };
        assert_eq!(refresh.y + refresh.height, chart.axis);
        assert_eq!(client.y + client.height, refresh.y);
        assert_eq!((refused.y, refused.height), (chart.axis, LEAST), "few among many are seen");
        for bar in chart.days.iter().flat_map(|day| &day.bars) {
            assert!(bar.y + bar.height <= HEIGHT && bar.x + bar.width <= chart.width);
        }
    }

    #[test]
    fn no_count_overflows_and_no_day_is_an_empty_chart() {
        let most = u64::MAX;
        let day = on(0, &[(GrantType::JwtBearer, most), (GrantType::RefreshToken, most)], most);
        let chart = Chart::new(&history(&[day]), 90, NOON);
        assert!(!chart.is_empty);
        let tall =
            chart.days.iter().flat_map(|day| &day.bars).all(|bar| bar.y + bar.height <= HEIGHT);
        assert!(tall);
        assert!(Chart::new(&history(&[]), 30, NOON).is_empty);
    }
}
