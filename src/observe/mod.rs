//! How requests end and how long they take: outcomes, steps, and counters for a metrics exporter.

pub(crate) mod metrics;
pub(crate) mod observation;
mod outcome;

pub use metrics::{LATENCY_BOUNDS_MICROS, Latency, Metrics, RequestOutcome};
pub use observation::{Observation, Seen};
pub use outcome::{Outcome, Step};
