//! The `tracing` span of a request, empty without the feature.

use http::StatusCode;

use crate::ids::Issuer;
use crate::observe::observation::{Measured, Observation};
#[cfg(feature = "tracing")]
use crate::observe::panics::caught;
use crate::protocol::paths::ServerEndpoint;

/// The span of a request, with the target `grantor::http` and the name `request`. It has the request id,
/// the issuer if the host wants that label, and, after the end, the app, the grant type, the outcome and the times. Audit events are inside it.
#[cfg(feature = "tracing")]
pub(super) struct RequestSpan(::tracing::Span);

#[cfg(feature = "tracing")]
impl RequestSpan {
    pub(super) fn new(endpoint: ServerEndpoint, request_id: &str, issuer: Option<&Issuer>) -> Self {
        use ::tracing::field::Empty;
        Self(::tracing::info_span!(
            target: "grantor::http",
            "request",
            request_id,
            endpoint = endpoint.as_str(),
            issuer = issuer.map(Issuer::as_str),
            client_id = Empty,
            grant_type = Empty,
            outcome = Empty,
            reason = Empty,
            status = Empty,
            micros = Empty,
            steps = Empty,
        ))
    }

    /// Checks whether a subscriber takes the span.
    pub(super) fn is_recorded(&self) -> bool {
        !self.0.is_disabled()
    }

    pub(super) fn around<F: Future>(&self, future: F) -> ::tracing::instrument::Instrumented<F> {
        ::tracing::Instrument::instrument(future, self.0.clone())
    }

    pub(super) fn end(&self, observation: &Observation, measured: &Measured, status: StatusCode) {
        use std::fmt::Write as _;
        if !self.is_recorded() {
            return;
        }
        let micros = u64::try_from(measured.took.as_micros()).unwrap_or(u64::MAX);
        self.0.record("status", status.as_u16());
        self.0.record("micros", micros);
        let seen = observation.seen();
        if let Some(client_id) = &seen.client_id {
            self.0.record("client_id", client_id.as_str());
        }
        if let Some(grant_type) = seen.grant_type {
            self.0.record("grant_type", grant_type.as_str());
        }
        if let Some(outcome) = &seen.outcome {
            self.0.record("outcome", outcome.as_str());
            if let Some(reason) = outcome.reason() {
                self.0.record("reason", reason);
            }
        } else if let Some(refusal) = measured.refusal {
            self.0.record("outcome", "refused");
            self.0.record("reason", refusal.as_str());
        }
        let mut steps = String::new();
        for (step, took) in measured.steps() {
            _ = write!(steps, "{}={}us ", step.as_str(), took.as_micros());
        }
        self.0.record("steps", steps.trim_end());
        // A log that cannot be written must not end the request.
        let _ = caught(|| {
            ::tracing::info!(target: "grantor::http", parent: &self.0, "answered");
        });
    }
}

#[cfg(not(feature = "tracing"))]
pub(super) struct RequestSpan;

#[cfg(not(feature = "tracing"))]
impl RequestSpan {
    pub(super) const fn new(_: ServerEndpoint, _: &str, _: Option<&Issuer>) -> Self {
        Self
    }

    #[expect(clippy::unused_self, reason = "same signature as with the feature")]
    pub(super) const fn is_recorded(&self) -> bool {
        false
    }

    #[expect(clippy::unused_self, reason = "same signature as with the feature")]
    pub(super) fn around<F: Future>(&self, future: F) -> F {
        future
    }

    #[expect(clippy::unused_self, reason = "same signature as with the feature")]
    pub(super) const fn end(&self, _: &Observation, _: &Measured, _: StatusCode) {}
}
