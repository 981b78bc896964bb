//! Time: instants in milliseconds, and the clock they come from.
//!
//! Nothing in this crate asks the operating system for the time except [`SystemClock`]; everything
//! else takes an instant or a [`Clock`], so that a test can replay a request to the millisecond.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, SystemTime};

use serde::{Deserialize, Serialize};

/// An instant: milliseconds since 1970-01-01T00:00:00Z, without leap seconds.
///
/// Serialized as that number. Arithmetic saturates, so no input can overflow it.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct UnixTime(i64);

impl UnixTime {
    /// The epoch itself.
    pub const EPOCH: Self = Self(0);
    /// The last instant that can be represented.
    pub const MAX: Self = Self(i64::MAX);

    /// The instant `millis` milliseconds after the epoch.
    #[must_use]
    pub const fn from_millis(millis: i64) -> Self {
        Self(millis)
    }

    /// The instant `seconds` seconds after the epoch: a `NumericDate` of RFC 7519 section 2.
    #[must_use]
    pub const fn from_seconds(seconds: i64) -> Self {
        Self(seconds.saturating_mul(1000))
    }

    /// Milliseconds since the epoch.
    #[must_use]
    pub const fn as_millis(self) -> i64 {
        self.0
    }

    /// Whole seconds since the epoch, rounded down.
    #[must_use]
    pub const fn as_seconds(self) -> i64 {
        self.0.div_euclid(1000)
    }

    /// This instant, moved `by` into the future.
    #[must_use]
    pub fn plus(self, by: Duration) -> Self {
        Self(self.0.saturating_add(millis(by)))
    }

    /// This instant, moved `by` into the past.
    #[must_use]
    pub fn minus(self, by: Duration) -> Self {
        Self(self.0.saturating_sub(millis(by)))
    }

    /// Milliseconds from `earlier` to this instant; negative if `earlier` is later.
    #[must_use]
    pub const fn millis_since(self, earlier: Self) -> i64 {
        self.0.saturating_sub(earlier.0)
    }
}

fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}

/// RFC 3339 in UTC with milliseconds, for people; the number where that cannot express it.
impl fmt::Display for UnixTime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let nanos = i128::from(self.0) * 1_000_000;
        let text = time::OffsetDateTime::from_unix_timestamp_nanos(nanos)
            .ok()
            .and_then(|at| at.format(&time::format_description::well_known::Rfc3339).ok());
        match text {
            Some(text) => f.write_str(&text),
            None => write!(f, "{} ms", self.0),
        }
    }
}

/// Where the time comes from.
pub trait Clock: Send + Sync + fmt::Debug {
    /// The present instant. It may run backwards; nothing here trusts it not to.
    fn now(&self) -> UnixTime;
}

impl<T: Clock + ?Sized> Clock for Arc<T> {
    fn now(&self) -> UnixTime {
        T::now(self)
    }
}

/// The clock of the operating system.
#[derive(Clone, Copy, Debug, Default)]
#[non_exhaustive]
pub struct SystemClock;

impl SystemClock {
    /// The clock of the operating system.
    #[must_use]
    pub const fn new() -> Self {
        Self
    }
}

impl Clock for SystemClock {
    fn now(&self) -> UnixTime {
        #[expect(clippy::disallowed_methods, reason = "this is the one place that asks the system")]
        let now = SystemTime::now();
        match now.duration_since(SystemTime::UNIX_EPOCH) {
            Ok(since) => UnixTime(millis(since)),
            Err(before) => UnixTime(-millis(before.duration())),
        }
    }
}

/// A clock that stands still until it is moved: for tests and replays.
///
/// ```
/// use std::time::Duration;
/// use grantor::clock::{Clock, ManualClock, UnixTime};
///
/// let clock = ManualClock::new(UnixTime::from_seconds(1_700_000_000));
/// clock.advance(Duration::from_secs(2));
/// assert_eq!(clock.now().as_seconds(), 1_700_000_002);
/// ```
#[derive(Debug, Default)]
pub struct ManualClock(AtomicI64);

impl ManualClock {
    /// A clock that shows `now`.
    #[must_use]
    pub const fn new(now: UnixTime) -> Self {
        Self(AtomicI64::new(now.0))
    }

    /// Moves the clock `by` into the future.
    pub fn advance(&self, by: Duration) {
        self.0.fetch_add(millis(by), Ordering::SeqCst);
    }

    /// Sets the clock to `now`, which may lie in its past.
    pub fn set(&self, now: UnixTime) {
        self.0.store(now.0, Ordering::SeqCst);
    }
}

impl Clock for ManualClock {
    fn now(&self) -> UnixTime {
        UnixTime(self.0.load(Ordering::SeqCst))
    }
}

/// Measures how long something takes, by the machine's own monotonic clock: for logs and metrics.
/// Nothing is decided by it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Stopwatch(std::time::Instant);

impl Stopwatch {
    pub(crate) fn start() -> Self {
        #[expect(clippy::disallowed_methods, reason = "nothing is decided by it")]
        Self(std::time::Instant::now())
    }

    pub(crate) fn elapsed(self) -> Duration {
        self.0.elapsed()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arithmetic_saturates_and_display_is_rfc_3339() {
        assert_eq!(UnixTime::MAX.plus(Duration::from_secs(1)), UnixTime::MAX);
        assert_eq!(UnixTime::from_seconds(i64::MAX), UnixTime::MAX);
        assert_eq!(UnixTime::from_millis(-1).as_seconds(), -1);
        assert_eq!(
            UnixTime::from_millis(1_700_000_000_123).to_string(),
            "2023-11-14T22:13:20.123Z"
        );
        assert_eq!(UnixTime::MAX.to_string(), format!("{} ms", i64::MAX));
    }
}
