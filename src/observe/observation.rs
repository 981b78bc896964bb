//! Telemetry of one request: its app, how it ended, and how long each step took. Names and times,
//! never a secret.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::clock::Stopwatch;
use crate::ids::ClientId;
use crate::observe::metrics::RequestOutcome;
use crate::observe::reasons::RefusalReason;
use crate::observe::{Outcome, Step};
use crate::protocol::grant_type::GrantType;

/// The telemetry of one request, written while it is answered and read afterwards, for metrics and
/// spans. No decision depends on it.
///
/// It reads the clock at the start and at the end, and at each step only if it is detailed.
#[derive(Debug)]
pub(crate) struct Observation {
    watch: Stopwatch,
    is_detailed: bool,
    inner: Mutex<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    seen: Seen,
    /// The step that is under way, and when it began.
    step: Option<(Step, Duration)>,
}

/// The values for the span of a request.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Seen {
    /// The app that the request claimed. The outcome tells if it proved to be that app.
    pub(crate) client_id: Option<ClientId>,
    /// The grant type of a token request.
    pub(crate) grant_type: Option<GrantType>,
    /// How the request ended, once it has.
    pub(crate) outcome: Option<Outcome>,
    /// How long each step took, by its place in [`Step::ALL`].
    steps: [Duration; Step::ALL.len()],
}

/// The part of an answered request that metrics count.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Measured {
    /// The time from the request to its answer.
    pub(crate) took: Duration,
    /// The grant type of a token request, once it was known.
    pub(crate) grant_type: Option<GrantType>,
    /// The reason of a refusal.
    pub(crate) refusal: Option<RefusalReason>,
    /// How long each step took, by its place in [`Step::ALL`].
    pub(super) steps: [Duration; Step::ALL.len()],
}

impl Measured {
    /// Returns each step that took any time, and that time.
    pub(crate) fn steps(&self) -> impl Iterator<Item = (Step, Duration)> {
        Step::ALL.into_iter().zip(self.steps).filter(|(_, took)| !took.is_zero())
    }
}

impl Observation {
    /// Starts the clock.
    pub(crate) fn start() -> Self {
        Self { watch: Stopwatch::start(), is_detailed: false, inner: Mutex::default() }
    }

    /// Also times each step and keeps the name of the app, if a histogram or a span wants them.
    pub(crate) const fn detailed(&mut self, is_detailed: bool) {
        self.is_detailed = is_detailed;
    }

    /// Returns the time since the start.
    pub(crate) fn elapsed(&self) -> Duration {
        self.watch.elapsed()
    }

    /// Returns the values so far.
    #[cfg_attr(
        not(any(test, feature = "tracing")),
        expect(dead_code, reason = "only the span of a request reads them")
    )]
    pub(crate) fn seen(&self) -> Seen {
        self.inner().seen.clone()
    }

    /// Returns what metrics count of the request, which has been answered with `outcome` after `took`.
    pub(crate) fn measured(&self, outcome: RequestOutcome, took: Duration) -> Measured {
        let inner = self.inner();
        let Seen { grant_type, steps, outcome: seen, .. } = &inner.seen;
        let refusal = match seen {
            Some(seen) => RefusalReason::of(seen),
            // No endpoint has read it.
            None if outcome == RequestOutcome::Refused => Some(RefusalReason::INVALID_HTTP_REQUEST),
            None => None,
        };
        Measured { took, grant_type: *grant_type, refusal, steps: *steps }
    }

    pub(crate) fn enter(&self, step: Step) {
        if !self.is_detailed {
            return;
        }
        let now = self.watch.elapsed();
        let mut inner = self.inner();
        inner.close_step(now);
        inner.step = Some((step, now));
    }

    pub(crate) fn end(
        &self,
        client_id: Option<&ClientId>,
        grant_type: Option<GrantType>,
        outcome: &Outcome,
    ) {
        let now = self.is_detailed.then(|| self.watch.elapsed());
        let mut inner = self.inner();
        if let Some(now) = now {
            inner.close_step(now);
            inner.seen.client_id = client_id.cloned();
        }
        inner.seen.grant_type = grant_type;
        inner.seen.outcome = Some(outcome.clone());
    }

    /// Locks the state. No code panics while it holds the lock.
    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inner {
    fn close_step(&mut self, now: Duration) {
        if let Some((step, began)) = self.step.take()
            && let Some(total) = self.seen.steps.get_mut(step as usize)
        {
            *total += now.saturating_sub(began);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_goes_to_the_step_that_is_under_way() {
        let mut observation = Observation::start();
        observation.detailed(true);
        observation.enter(Step::Parse);
        observation.enter(Step::Client);
        std::thread::sleep(Duration::from_millis(2));
        let app = ClientId::new("app").unwrap();
        observation.end(Some(&app), Some(GrantType::RefreshToken), &Outcome::Success);
        let seen = observation.seen();
        assert!(seen.steps[Step::Client as usize] >= Duration::from_millis(2));
        assert!(seen.steps[Step::Parse as usize] < seen.steps[Step::Client as usize]);
        assert_eq!(seen.steps[Step::Mint as usize], Duration::ZERO);
        assert_eq!((seen.client_id, seen.outcome), (Some(app), Some(Outcome::Success)));
        let measured = observation.measured(RequestOutcome::Success, observation.elapsed());
        assert!(measured.took >= Duration::from_millis(2));
        assert_eq!(measured.grant_type, Some(GrantType::RefreshToken));
        assert_eq!(measured.refusal, None);
        assert!(measured.steps().any(|(step, _)| step == Step::Client));
        assert!(measured.steps().all(|(step, _)| step != Step::Mint));
    }

    #[test]
    fn an_observation_without_details_times_no_step_and_keeps_no_name() {
        let observation = Observation::start();
        observation.enter(Step::Client);
        std::thread::sleep(Duration::from_millis(1));
        let app = ClientId::new("app").unwrap();
        observation.end(Some(&app), Some(GrantType::RefreshToken), &Outcome::Success);
        let measured = observation.measured(RequestOutcome::Success, observation.elapsed());
        assert!(measured.took >= Duration::from_millis(1));
        assert_eq!(measured.steps().count(), 0);
        assert_eq!(measured.grant_type, Some(GrantType::RefreshToken));
        let seen = observation.seen();
        assert_eq!((seen.client_id, seen.outcome), (None, Some(Outcome::Success)));
    }

    #[test]
    fn a_refusal_has_the_reason_of_its_outcome() {
        let observation = Observation::start();
        let reason = |outcome| {
            let measured = observation.measured(outcome, Duration::ZERO);
            measured.refusal.map(RefusalReason::as_str)
        };
        assert_eq!(reason(RequestOutcome::Success), None);
        assert_eq!(reason(RequestOutcome::Refused), Some("invalid_http_request"));
        observation.end(None, None, &Outcome::refused(Step::Grant, "expired_token", None));
        // The introspection of such a token succeeds over HTTP.
        for outcome in RequestOutcome::ALL {
            assert_eq!(reason(outcome), Some("expired_token"));
        }
    }
}
