//! The same metrics through the `metrics` facade, to the recorder that the host installs. Empty without the
//! feature.

#[cfg(feature = "metrics")]
pub(crate) use enabled::{Facade, QueueChanges};

#[cfg(not(feature = "metrics"))]
pub(crate) use disabled::{Facade, QueueChanges};

#[cfg(feature = "metrics")]
mod enabled {
    use std::sync::atomic::{AtomicBool, Ordering};

    use ::metrics::{Key, Label, Level, Metadata, Recorder, SharedString, Unit, with_recorder};

    use crate::ids::Issuer;
    use crate::observe::Step;
    use crate::observe::families::{
        DROPPED_EVENTS, Family, Kind, QUEUED_EVENTS, REFUSALS, REQUEST_SECONDS, REQUESTS,
        STEP_SECONDS, TOKEN_REQUESTS,
    };
    use crate::observe::metrics::{RequestOutcome, TOKEN_GRANTS, grant_label, grant_place};
    use crate::observe::observation::Measured;
    use crate::observe::panics::caught;
    use crate::protocol::paths::ServerEndpoint;

    const ALL: [Family; 7] = [
        REQUESTS,
        TOKEN_REQUESTS,
        REFUSALS,
        REQUEST_SECONDS,
        STEP_SECONDS,
        QUEUED_EVENTS,
        DROPPED_EVENTS,
    ];

    static METADATA: Metadata<'static> = Metadata::new("grantor", Level::INFO, Some("grantor"));

    /// The keys of a server's metrics, made once. Only a refusal makes its key when it occurs.
    #[derive(Debug)]
    pub(crate) struct Facade {
        issuer: Option<SharedString>,
        requests: Vec<[Key; RequestOutcome::ALL.len()]>,
        token_requests: Vec<[Key; RequestOutcome::ALL.len()]>,
        latency: Vec<Key>,
        steps: Vec<Key>,
        is_described: AtomicBool,
    }

    impl Default for Facade {
        fn default() -> Self {
            Self::new(None, false)
        }
    }

    impl Facade {
        /// `steps` says whether the recorder gets the time at each step.
        pub(crate) fn new(issuer: Option<&Issuer>, steps: bool) -> Self {
            let issuer = issuer.map(|issuer| SharedString::from(issuer.as_str().to_owned()));
            let own = |family, labels: &[(&'static str, &'static str)]| {
                key(family, issuer.as_ref(), labels)
            };
            let by_outcome = |family, label: (&'static str, &'static str)| {
                RequestOutcome::ALL.map(|it| own(family, &[label, ("outcome", it.as_str())]))
            };
            let endpoints = ServerEndpoint::ALL.map(|it| ("endpoint", it.as_str()));
            let grants = TOKEN_GRANTS.map(|it| ("grant_type", grant_label(it)));
            let all_steps = Step::ALL.iter().filter(|_| steps).map(|it| ("step", it.as_str()));
            Self {
                requests: endpoints.iter().map(|label| by_outcome(REQUESTS, *label)).collect(),
                token_requests: grants
                    .iter()
                    .map(|label| by_outcome(TOKEN_REQUESTS, *label))
                    .collect(),
                latency: endpoints.iter().map(|label| own(REQUEST_SECONDS, &[*label])).collect(),
                steps: all_steps.map(|label| own(STEP_SECONDS, &[label])).collect(),
                is_described: AtomicBool::new(false),
                issuer,
            }
        }

        pub(crate) fn count(
            &self,
            endpoint: ServerEndpoint,
            outcome: RequestOutcome,
            measured: &Measured,
        ) {
            // A recorder that panics must not end the request.
            let _ = caught(|| {
                with_recorder(|recorder| self.tell(recorder, endpoint, outcome, measured));
            });
        }

        fn tell(
            &self,
            recorder: &dyn Recorder,
            endpoint: ServerEndpoint,
            outcome: RequestOutcome,
            measured: &Measured,
        ) {
            describe_once(&self.is_described, recorder);
            let count = |key: &Key| recorder.register_counter(key, &METADATA).increment(1);
            let observe = |key: &Key, took: std::time::Duration| {
                recorder.register_histogram(key, &METADATA).record(took.as_secs_f64());
            };
            let of = |keys: &'_ [[Key; RequestOutcome::ALL.len()]], place: usize| {
                keys.get(place).and_then(|keys| keys.get(outcome as usize)).map(count);
            };
            of(&self.requests, endpoint as usize);
            if endpoint == ServerEndpoint::Token {
                of(&self.token_requests, grant_place(measured.grant_type));
            }
            if let Some(reason) = measured.refusal {
                let labels = [("endpoint", endpoint.as_str()), ("reason", reason.as_str())];
                count(&key(REFUSALS, self.issuer.as_ref(), &labels));
            }
            if let Some(key) = self.latency.get(endpoint as usize) {
                observe(key, measured.took);
            }
            for (step, took) in measured.steps() {
                if let Some(key) = self.steps.get(step as usize) {
                    observe(key, took);
                }
            }
        }
    }

    fn key(
        family: Family,
        issuer: Option<&SharedString>,
        labels: &[(&'static str, &'static str)],
    ) -> Key {
        let issuer = issuer.map(|issuer| Label::new("issuer", issuer.clone()));
        let others = labels.iter().map(|(name, value)| Label::from_static_parts(name, value));
        Key::from_parts(family.name, issuer.into_iter().chain(others).collect::<Vec<_>>())
    }

    fn describe_once(is_described: &AtomicBool, recorder: &dyn Recorder) {
        if is_described.load(Ordering::Relaxed) {
            return;
        }
        is_described.store(true, Ordering::Relaxed);
        for Family { name, kind, help } in ALL {
            let (name, help) = (name.into(), help.into());
            match kind {
                Kind::Counter => recorder.describe_counter(name, Some(Unit::Count), help),
                Kind::Gauge => recorder.describe_gauge(name, Some(Unit::Count), help),
                Kind::Histogram => recorder.describe_histogram(name, Some(Unit::Seconds), help),
            }
        }
    }

    /// The numbers of an audit queue that the recorder has been told. It is told changes, so that several
    /// queues of a process add up.
    #[derive(Debug)]
    pub(crate) struct QueueChanges {
        queued: u64,
        dropped: u64,
    }

    /// The changes since the recorder was told the last time.
    #[must_use]
    pub(crate) struct QueueChange {
        added: u64,
        removed: u64,
        dropped: u64,
    }

    impl QueueChanges {
        pub(crate) const fn new() -> Self {
            Self { queued: 0, dropped: 0 }
        }

        /// Notes the present numbers, and returns what has changed.
        pub(crate) fn to(&mut self, queued: u64, dropped: u64) -> QueueChange {
            let change = QueueChange {
                added: queued.saturating_sub(self.queued),
                removed: self.queued.saturating_sub(queued),
                dropped: dropped.saturating_sub(self.dropped),
            };
            *self = Self { queued, dropped };
            change
        }
    }

    impl QueueChange {
        /// Tells the recorder.
        #[expect(clippy::cast_precision_loss, reason = "a queue has fewer than 2^53 events")]
        pub(crate) fn tell(self) {
            static IS_DESCRIBED: AtomicBool = AtomicBool::new(false);
            let _ = caught(|| {
                with_recorder(|recorder| {
                    describe_once(&IS_DESCRIBED, recorder);
                    let dropped = key(DROPPED_EVENTS, None, &[]);
                    recorder.register_counter(&dropped, &METADATA).increment(self.dropped);
                    let queued = recorder.register_gauge(&key(QUEUED_EVENTS, None, &[]), &METADATA);
                    queued.increment(self.added as f64);
                    queued.decrement(self.removed as f64);
                });
            });
        }
    }
}

#[cfg(not(feature = "metrics"))]
mod disabled {
    use crate::ids::Issuer;
    use crate::observe::metrics::RequestOutcome;
    use crate::observe::observation::Measured;
    use crate::protocol::paths::ServerEndpoint;

    #[derive(Debug, Default)]
    pub(crate) struct Facade;

    impl Facade {
        pub(crate) const fn new(_: Option<&Issuer>, _: bool) -> Self {
            Self
        }

        #[expect(clippy::unused_self, reason = "same signature as with the feature")]
        pub(crate) const fn count(&self, _: ServerEndpoint, _: RequestOutcome, _: &Measured) {}
    }

    #[derive(Debug)]
    pub(crate) struct QueueChanges;

    #[must_use]
    pub(crate) struct QueueChange;

    impl QueueChanges {
        pub(crate) const fn new() -> Self {
            Self
        }

        #[expect(clippy::unused_self, reason = "same signature as with the feature")]
        pub(crate) const fn to(&mut self, _: u64, _: u64) -> QueueChange {
            QueueChange
        }
    }

    impl QueueChange {
        #[expect(clippy::unused_self, reason = "same signature as with the feature")]
        pub(crate) const fn tell(self) {}
    }
}
