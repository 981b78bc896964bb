//! Outcomes and steps of requests, and the metrics of the HTTP layer.

pub(crate) mod deadline;
pub(crate) mod facade;
mod families;
mod histogram;
pub(crate) mod metrics;
pub(crate) mod observation;
mod outcome;
pub(crate) mod panics;
mod reasons;
mod text;

pub use metrics::{Metrics, RequestOutcome};
pub use outcome::{Outcome, Step};
pub use reasons::REFUSAL_REASONS;
pub use text::MetricsText;
