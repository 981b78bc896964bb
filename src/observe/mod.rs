//! Outcomes and steps of requests, and the metrics of the HTTP layer.

pub(crate) mod deadline;
pub(crate) mod metrics;
pub(crate) mod observation;
mod outcome;
pub(crate) mod panics;

pub use metrics::{Metrics, RequestOutcome};
pub use outcome::{Outcome, Step};
