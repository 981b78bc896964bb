//! How the jobs go, and the handle of a running upkeep.

use std::error::Error;
use std::fmt;
use std::future::poll_fn;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Poll, Waker};
use std::time::Duration;

use super::job::Job;
use crate::audit::{AuditQueue, AuditWriter};
use crate::clock::{Clock, UnixTime};
use crate::observe::panics::caught;

/// The time that the writer of audit events takes if nothing is wrong.
const GATHERING: Duration = Duration::from_secs(1);

/// A job of an [`Upkeep`](super::Upkeep).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum UpkeepJob {
    /// Reads and rotates the keys.
    Keys,
    /// Follows revocations.
    Revocations,
    /// Asks what other processes changed in apps.
    Apps,
    /// Removes expired rows.
    Prune,
    /// Removes old audit events.
    PruneEvents,
    /// Records the counts of equal audit events.
    Repeats,
    /// Writes audit events.
    Audit,
}

impl UpkeepJob {
    /// Returns the name of the job, such as `prune_events`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Keys => "keys",
            Self::Revocations => "revocations",
            Self::Apps => "apps",
            Self::Prune => "prune",
            Self::PruneEvents => "prune_events",
            Self::Repeats => "repeats",
            Self::Audit => "audit",
        }
    }
}

impl fmt::Display for UpkeepJob {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// How one job goes.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct JobHealth {
    /// The job.
    pub job: UpkeepJob,
    /// The instant of the last success. For the audit log, that of the newest written event.
    pub last_success: Option<UnixTime>,
    /// The time since the job was due. It is 0 unless the job fails, hangs, or has not begun in time. For
    /// the audit log, the age of the oldest event that is not written, beyond a second.
    pub lag: Duration,
    /// The number of failures since the last success.
    pub failures: u32,
    /// The text of the last failure with its causes, and its instant. It stays after a success. It holds
    /// no secret.
    pub last_error: Option<(UnixTime, Arc<str>)>,
}

impl fmt::Display for JobHealth {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: ", self.job)?;
        match self.last_success {
            Some(instant) => write!(f, "last success {instant}")?,
            None => f.write_str("no success yet")?,
        }
        if !self.lag.is_zero() {
            write!(f, ", {} s late", self.lag.as_secs())?;
        }
        match &self.last_error {
            Some((instant, error)) if self.failures > 0 => {
                write!(f, ", {} failures, last {instant}: {error}", self.failures)
            }
            Some(_) | None => Ok(()),
        }
    }
}

/// How the jobs of an [`Upkeep`](super::Upkeep) go, for a readiness probe.
///
/// `Display` writes a line for each job.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct UpkeepHealth {
    /// Whether the future is at work: it was polled, and has neither ended nor been dropped.
    pub is_running: bool,
    /// The jobs that the host asked for.
    pub jobs: Vec<JobHealth>,
}

impl UpkeepHealth {
    /// Returns the greatest lag of the keys, the revocations, the apps and the audit log. A late pruning
    /// harms no request, so it is no reason to take a process out of service.
    #[must_use]
    pub fn lag(&self) -> Duration {
        use UpkeepJob::{Apps, Audit, Keys, Revocations};
        let counts = |it: &&JobHealth| [Keys, Revocations, Apps, Audit].contains(&it.job);
        self.jobs.iter().filter(counts).map(|health| health.lag).max().unwrap_or_default()
    }

    /// Returns the health of one job.
    #[must_use]
    pub fn of(&self, job: UpkeepJob) -> Option<&JobHealth> {
        self.jobs.iter().find(|health| health.job == job)
    }
}

impl fmt::Display for UpkeepHealth {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.is_running {
            writeln!(f, "the upkeep does not run")?;
        }
        self.jobs.iter().try_for_each(|health| writeln!(f, "{health}"))
    }
}

/// A handle of an [`Upkeep`](super::Upkeep). Clones are the same.
#[derive(Clone)]
pub struct UpkeepHandle(Arc<Shared>);

impl UpkeepHandle {
    pub(super) const fn new(shared: Arc<Shared>) -> Self {
        Self(shared)
    }

    /// Returns how the jobs go. The call reads a few numbers under a lock.
    #[must_use]
    pub fn health(&self) -> UpkeepHealth {
        self.0.health()
    }

    /// Waits until each job on which requests depend was tried once: the keys are read, and the
    /// revocations are known, unless that failed. Await it before the server listens.
    pub async fn started(&self) {
        poll_fn(|context| {
            let mut state = self.0.lock();
            if state.is_begun && state.jobs.iter().all(|record| record.is_tried) {
                return Poll::Ready(());
            }
            if !state.starting.iter().any(|waker| waker.will_wake(context.waker())) {
                state.starting.push(context.waker().clone());
            }
            Poll::Pending
        })
        .await;
    }

    /// Ends the upkeep: calls under way are finished, then the queued audit events are written, then the
    /// future resolves. A store that does not answer is waited for as
    /// [`patience`](super::Upkeep::patience) says; the events of that time are not written.
    ///
    /// Call it after the last request was answered, and await the future.
    pub fn stop(&self) {
        self.0.stopped.store(true, Ordering::Release);
        let waker = self.0.lock().stop.take();
        if let Some(waker) = waker {
            waker.wake();
        }
    }
}

impl fmt::Debug for UpkeepHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("UpkeepHandle").field(&self.health()).finish()
    }
}

type Report = Box<dyn Fn(UpkeepJob, &(dyn Error + 'static)) + Send + Sync>;

/// The part of an upkeep that its handles share.
pub(super) struct Shared {
    clock: Arc<dyn Clock>,
    stopped: AtomicBool,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    is_begun: bool,
    is_running: bool,
    jobs: Vec<Record>,
    queue: Option<AuditQueue>,
    report: Option<Arc<Report>>,
    /// The task of the upkeep.
    stop: Option<Waker>,
    /// The tasks that wait for the start.
    starting: Vec<Waker>,
}

struct Record {
    job: UpkeepJob,
    interval: Duration,
    is_tried: bool,
    /// The instant by which the next success is due.
    due: UnixTime,
    last_success: Option<UnixTime>,
    failures: u32,
    last_error: Option<(UnixTime, Arc<str>)>,
}

/// Says that the future is at work, until it is dropped.
pub(super) struct Running(Arc<Shared>);

impl Drop for Running {
    fn drop(&mut self) {
        self.0.lock().is_running = false;
    }
}

impl Shared {
    pub(super) fn new(clock: Arc<dyn Clock>) -> Self {
        Self { clock, stopped: AtomicBool::new(false), state: Mutex::default() }
    }

    pub(super) fn now(&self) -> UnixTime {
        self.clock.now()
    }

    pub(super) fn watch(&self, queue: AuditQueue) {
        self.lock().queue = Some(queue);
    }

    pub(super) fn report_to(&self, report: Report) {
        self.lock().report = Some(Arc::new(report));
    }

    pub(super) fn is_stopped(&self) -> bool {
        self.stopped.load(Ordering::Acquire)
    }

    /// Wakes the task of `waker` when the upkeep is stopped.
    pub(super) fn wake_at_stop(&self, waker: &Waker) {
        let mut state = self.lock();
        match &mut state.stop {
            Some(stop) => stop.clone_from(waker),
            none => *none = Some(waker.clone()),
        }
    }

    /// Notes that the jobs begin.
    pub(super) fn begin(self: &Arc<Self>, jobs: &[Job]) -> Running {
        let now = self.now();
        let record = |job: &Job| Record {
            job: job.kind,
            interval: job.interval,
            // Requests do not depend on a job that comes later.
            is_tried: !job.at_once,
            due: due(now, job.interval),
            last_success: None,
            failures: 0,
            last_error: None,
        };
        let mut state = self.lock();
        state.jobs = jobs.iter().map(record).collect();
        (state.is_begun, state.is_running) = (true, true);
        drop(state);
        Running(Arc::clone(self))
    }

    pub(super) fn succeeded(&self, job: UpkeepJob) {
        let now = self.now();
        self.note(job, |record| {
            record.due = due(now, record.interval);
            record.last_success = Some(now);
            record.failures = 0;
        });
    }

    pub(super) fn failed(&self, job: UpkeepJob, error: &(dyn Error + 'static)) {
        let now = self.now();
        let text: Arc<str> = with_causes(error).into();
        let state = self.lock();
        let (report, queue) = (state.report.clone(), state.queue.clone());
        drop(state);
        let written =
            queue.filter(|_| job == UpkeepJob::Audit).and_then(|queue| queue.progress().0);
        self.note(job, |record| {
            if record.last_success < written {
                // The audit log was written since the last failure.
                record.last_success = written;
                record.failures = 0;
            }
            record.failures = record.failures.saturating_add(1);
            record.last_error = Some((now, text));
        });
        if let Some(report) = report {
            _ = caught(|| report(job, error));
        }
    }

    fn note(&self, job: UpkeepJob, note: impl FnOnce(&mut Record)) {
        let mut state = self.lock();
        if let Some(record) = state.jobs.iter_mut().find(|record| record.job == job) {
            record.is_tried = true;
            note(record);
        } else {
            // The audit log has no interval, so it has no record before its first failure.
            let mut record = Record {
                job,
                interval: Duration::ZERO,
                is_tried: true,
                due: UnixTime::MAX,
                last_success: None,
                failures: 0,
                last_error: None,
            };
            note(&mut record);
            state.jobs.push(record);
        }
        let waiting = state.jobs.iter().any(|record| !record.is_tried);
        let starting = if waiting { Vec::new() } else { std::mem::take(&mut state.starting) };
        drop(state);
        starting.into_iter().for_each(Waker::wake);
    }

    fn health(&self) -> UpkeepHealth {
        let now = self.now();
        let state = self.lock();
        let since = |instant: UnixTime| {
            Duration::from_millis(u64::try_from(now.millis_since(instant)).unwrap_or(0))
        };
        let mut audit = None;
        let mut jobs = Vec::new();
        for record in &state.jobs {
            let health = JobHealth {
                job: record.job,
                last_success: record.last_success,
                lag: since(record.due),
                failures: record.failures,
                last_error: record.last_error.clone(),
            };
            if record.job == UpkeepJob::Audit {
                audit = Some(health);
            } else {
                jobs.push(health);
            }
        }
        if let Some(queue) = &state.queue {
            let (written, waiting) = queue.progress();
            let last_error = audit.as_ref().and_then(|audit| audit.last_error.clone());
            let failures = audit.map_or(0, |audit| audit.failures);
            jobs.push(JobHealth {
                job: UpkeepJob::Audit,
                last_success: written,
                lag: waiting.map_or(Duration::ZERO, |oldest| since(oldest.plus(GATHERING))),
                failures: if queue.writer() == AuditWriter::Failing { failures } else { 0 },
                last_error,
            });
        }
        UpkeepHealth { is_running: state.is_running, jobs }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Returns the latest instant of the next success, after one at `now`.
fn due(now: UnixTime, interval: Duration) -> UnixTime {
    now.plus(interval.saturating_add(interval / 4))
}

fn with_causes(error: &(dyn Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(": ");
        text.push_str(&error.to_string());
        cause = error.source();
    }
    text
}
