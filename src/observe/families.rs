//! The names of the metrics, the same in the text and through the `metrics` facade.

/// The kind of a metric.
#[derive(Clone, Copy, Debug)]
pub(super) enum Kind {
    Counter,
    Gauge,
    Histogram,
}

impl Kind {
    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::Counter => "counter",
            Self::Gauge => "gauge",
            Self::Histogram => "histogram",
        }
    }
}

/// A metric with all its labels.
#[derive(Clone, Copy, Debug)]
pub(super) struct Family {
    pub(super) name: &'static str,
    pub(super) kind: Kind,
    pub(super) help: &'static str,
}

pub(super) const REQUESTS: Family = Family {
    name: "grantor_requests_total",
    kind: Kind::Counter,
    help: "Answers by endpoint and by the outcome that follows from the HTTP status.",
};

pub(super) const TOKEN_REQUESTS: Family = Family {
    name: "grantor_token_requests_total",
    kind: Kind::Counter,
    help: "Answers of the token endpoint by grant type and outcome.",
};

pub(super) const REFUSALS: Family = Family {
    name: "grantor_refusals_total",
    kind: Kind::Counter,
    help: "Refused requests by endpoint and reason, also those answered with a redirect or as inactive.",
};

pub(super) const REQUEST_SECONDS: Family = Family {
    name: "grantor_request_seconds",
    kind: Kind::Histogram,
    help: "Time from a request to its answer, by endpoint.",
};

pub(super) const STEP_SECONDS: Family = Family {
    name: "grantor_step_seconds",
    kind: Kind::Histogram,
    help: "Time of requests in each step of the pipeline.",
};

pub(super) const QUEUED_EVENTS: Family = Family {
    name: "grantor_audit_queue_events",
    kind: Kind::Gauge,
    help: "Audit events that are queued and not yet in the log.",
};

pub(super) const DROPPED_EVENTS: Family = Family {
    name: "grantor_audit_dropped_events_total",
    kind: Kind::Counter,
    help: "Audit events dropped because their queue was full or closed.",
};

pub(super) const WRITERS: Family = Family {
    name: "grantor_audit_writers",
    kind: Kind::Gauge,
    help: "Writers of audit queues by state.",
};
