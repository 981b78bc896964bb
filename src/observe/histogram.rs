//! Histograms of durations.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// The upper bounds of the buckets, in microseconds. One more bucket is unbounded.
pub(super) const BOUNDS_MICROS: [u64; 14] = [
    50, 100, 250, 500, 1_000, 2_500, 5_000, 10_000, 25_000, 50_000, 100_000, 250_000, 500_000,
    1_000_000,
];

/// A histogram that counts without a lock.
#[derive(Debug, Default)]
pub(super) struct Histogram {
    buckets: [AtomicU64; BOUNDS_MICROS.len() + 1],
    sum_nanos: AtomicU64,
}

/// The sum of histograms at an instant.
#[derive(Debug, Default)]
pub(super) struct HistogramSum {
    /// The counts of the buckets, not cumulated.
    pub(super) buckets: [u64; BOUNDS_MICROS.len() + 1],
    sum_nanos: u64,
}

impl Histogram {
    pub(super) fn observe(&self, took: Duration) {
        let nanos = u64::try_from(took.as_nanos()).unwrap_or(u64::MAX);
        let at = BOUNDS_MICROS.partition_point(|bound| bound * 1_000 < nanos);
        if let Some(bucket) = self.buckets.get(at) {
            bucket.fetch_add(1, Ordering::Relaxed);
        }
        self.sum_nanos.fetch_add(nanos, Ordering::Relaxed);
    }
}

impl HistogramSum {
    pub(super) fn add(&mut self, histogram: &Histogram) {
        for (sum, bucket) in self.buckets.iter_mut().zip(&histogram.buckets) {
            *sum += bucket.load(Ordering::Relaxed);
        }
        self.sum_nanos += histogram.sum_nanos.load(Ordering::Relaxed);
    }

    /// Returns the sum of the durations in seconds, to the microsecond.
    pub(super) fn seconds(&self) -> f64 {
        Duration::from_micros(self.sum_nanos / 1_000).as_secs_f64()
    }
}
