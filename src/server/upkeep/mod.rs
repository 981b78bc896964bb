//! The background work of a server, as one future.

mod health;
mod issuers;
mod job;
mod keys;

use std::error::Error;
use std::fmt;
use std::future::poll_fn;
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context as TaskContext, Poll};
use std::time::Duration;

pub use health::{JobHealth, UpkeepHandle, UpkeepHealth, UpkeepJob};

use super::AuthorizationServer;
use crate::audit::{AuditQueue, AuditStore};
use crate::clock::UnixTime;
use crate::hooks::{Hooks, NoHooks};
use crate::resource_server::RevocationList;
use crate::server_secret::Rotation;
use crate::store::{Pruning, Store, StoreError};
use crate::users::UserDirectory;
use health::Shared;
use issuers::AllServers;
use job::{Done, Failure, Job};
use keys::FollowedKeyFile;

/// The time between two reads of the key file.
const RELOAD: Duration = Duration::from_secs(10);
/// The shortest time for which a new key is published before it signs: every process reads the file
/// several times meanwhile.
const MIN_PUBLISH_AHEAD: Duration = Duration::from_mins(1);
/// The time between two polls of revocations.
const POLL: Duration = Duration::from_secs(1);
/// The time between two looks for counts of equal events.
const REPEATS: Duration = Duration::from_mins(1);
/// The shortest interval of a job.
const MIN_INTERVAL: Duration = Duration::from_millis(100);
/// The default time for the calls under way when the upkeep stops, and then for the audit log.
const PATIENCE: Duration = Duration::from_secs(5);

type BoxFuture<T> = Pin<Box<dyn Future<Output = T> + Send>>;
type Timer = Arc<dyn Fn(Duration) -> BoxFuture<()> + Send + Sync>;
type Writer = Box<dyn FnOnce(Timer, Arc<Shared>) -> BoxFuture<()> + Send>;
type Servers<S, U, H> = Arc<dyn Fn() -> Vec<Arc<AuthorizationServer<S, U, H>>> + Send + Sync>;
type PruneEvents = Box<dyn FnOnce(&Pruning) -> Job + Send>;

/// The background work of a server: one future, which the host spawns on any runtime.
///
/// ```
/// # use std::sync::Arc;
/// # use std::time::Duration;
/// # use grantor::{AuthorizationServer, Upkeep, UserDirectory};
/// # use grantor::server_secret::Rotation;
/// # use grantor::store::Store;
/// # async fn serve() {}
/// # async fn host<S: Store + 'static, U: UserDirectory + 'static>(
/// #     server: Arc<AuthorizationServer<S, U>>,
/// # ) -> Result<(), Box<dyn std::error::Error>> {
/// let upkeep = Upkeep::of(&server)
///     .rotate_keys("keys.json", Duration::from_hours(30 * 24), Rotation::default())
///     .on_failure(|job, error| eprintln!("{job}: {error}"));
/// let handle = upkeep.handle();
/// let task = tokio::spawn(upkeep.run(tokio::time::sleep));
/// handle.started().await;
/// serve().await;
/// handle.stop();
/// task.await?;
/// # Ok(())
/// # }
/// ```
///
/// | job | if the host calls | interval |
/// | --- | --- | --- |
/// | remove expired rows from the store, and devices, batch by batch, and from those of [further issuers](Self::with_issuers) | always | 5 minutes ([`pruning`](Self::pruning)) |
/// | record the counts of equal audit events | always | 1 minute |
/// | read the key file, and give its keys to the server | [`reload_keys`](Self::reload_keys) or `rotate_keys` | 10 s |
/// | rotate the signing keys in the file | [`rotate_keys`](Self::rotate_keys) | its schedule |
/// | follow revocations | [`revocations`](Self::revocations) | 1 s |
/// | ask what other processes changed in apps | [`refresh_apps`](Self::refresh_apps) | the host's |
/// | write queued audit events, and count usage with them | [`audit`](Self::audit) | 200 ms after an event |
/// | remove old audit events | [`prune_events`](Self::prune_events) | as for rows |
///
/// Verifiers need no job: [`BearerVerifier::following`] reads the keys of the server.
///
/// * The jobs run concurrently inside the future. If one fails, panics or hangs, the others go on. A call
///   without an answer is dropped after 30 s. A failed job is repeated after 1 s, 2 s and so on, up to its
///   interval, or to 10 s if that is longer.
/// * Every wait differs at random by up to a quarter, so that processes that were started together do not
///   prune together.
/// * Any number of processes may run it over one database and one key file. A rotation is in the file, so
///   one process begins it and the others find it there.
/// * Dropping the future loses nothing: the next one goes on. [`stop`](UpkeepHandle::stop) ends it after
///   the audit events are written.
/// * Reads and writes of the key file block the thread for a moment, as files do.
///
/// [`BearerVerifier::following`]: crate::resource_server::BearerVerifier::following
#[must_use = "nothing is done until the future of `run` is spawned"]
pub struct Upkeep<S, U, H = NoHooks> {
    server: Arc<AuthorizationServer<S, U, H>>,
    issuers: Option<Servers<S, U, H>>,
    shared: Arc<Shared>,
    pruning: Pruning,
    keys: Option<FollowedKeyFile>,
    revocations: Option<Arc<RevocationList>>,
    refresh_apps: Option<Duration>,
    writer: Option<(AuditQueue, Writer)>,
    prune_events: Option<PruneEvents>,
    patience: Duration,
}

impl<S, U, H> Upkeep<S, U, H>
where
    S: Store + 'static,
    U: UserDirectory + 'static,
    H: Hooks + 'static,
{
    /// Prepares the upkeep of `server`, with the server's clock.
    pub fn of(server: &Arc<AuthorizationServer<S, U, H>>) -> Self {
        Self {
            server: Arc::clone(server),
            issuers: None,
            shared: Arc::new(Shared::new(Arc::clone(&server.context().clock))),
            pruning: Pruning::new(),
            keys: None,
            revocations: None,
            refresh_apps: None,
            writer: None,
            prune_events: None,
            patience: PATIENCE,
        }
    }

    /// Also removes the expired rows and records the repeated events of further issuers, in the same jobs.
    /// `servers` returns them at each run, such as [`Issuers::servers`](crate::Issuers::servers).
    ///
    /// The stores are pruned one after the other. A process with a thousand idle issuers wakes no more often
    /// than one with a single issuer. Issuers that share a [`KeyRing`](crate::jwt::KeyRing) get its keys with
    /// those of this server; the other jobs are of this server alone.
    pub fn with_issuers(
        mut self,
        servers: impl Fn() -> Vec<Arc<AuthorizationServer<S, U, H>>> + Send + Sync + 'static,
    ) -> Self {
        self.issuers = Some(Arc::new(servers));
        self
    }

    /// Sets the interval and the batch size for rows and audit events. Its clock is not used.
    pub fn pruning(mut self, pruning: Pruning) -> Self {
        self.pruning = pruning;
        self
    }

    /// Gives the server the keys of the key file at `path`, every ten seconds. While the file is missing
    /// or broken, the server keeps its keys.
    pub fn reload_keys(mut self, path: impl Into<PathBuf>) -> Self {
        self.keys = Some(FollowedKeyFile::new(path.into(), self.server.key_ring()));
        self
    }

    /// Reads the file of [`reload_keys`](Self::reload_keys) also if its group may read it, as
    /// [`KeyFile::read_group_readable`](crate::server_secret::KeyFile::read_group_readable) does.
    pub fn reload_group_readable_keys(mut self, path: impl Into<PathBuf>) -> Self {
        let keys = FollowedKeyFile::new(path.into(), self.server.key_ring());
        self.keys = Some(keys.group_readable());
        self
    }

    /// [Reloads](Self::reload_keys) the keys, and rotates those in the file when the newest has signed for
    /// `every`. The new key is published first, and the old one is kept until its last token has expired.
    /// `rotation` sets both times; a new key is published for at least a minute.
    ///
    /// The library generates no RSA keys, so this job fails if an RSA key signs. If 16 keys are kept, the
    /// rotation waits until one retires.
    pub fn rotate_keys(
        mut self,
        path: impl Into<PathBuf>,
        every: Duration,
        rotation: Rotation,
    ) -> Self {
        let keys = FollowedKeyFile::new(path.into(), self.server.key_ring());
        let rotation = rotation.published_at_least(MIN_PUBLISH_AHEAD);
        self.keys = Some(keys.rotating(every, rotation));
        self
    }

    /// Polls the revocations of the store into `list` every second, for the verifiers of this process.
    pub fn revocations(mut self, list: Arc<RevocationList>) -> Self {
        self.revocations = Some(list);
        self
    }

    /// Calls [`AppRegistry::refresh`] regularly, at least 100 ms apart, so that fewer requests wait for
    /// it. Half of the bound of [`CachedApps`] is a good interval. The cache works without this job.
    ///
    /// [`AppRegistry::refresh`]: crate::store::AppRegistry::refresh
    /// [`CachedApps`]: crate::store::CachedApps
    pub fn refresh_apps(mut self, every: Duration) -> Self {
        self.refresh_apps = Some(every);
        self
    }

    /// Writes the events of `queue` into `store`, as [`AuditQueue::run`] does, and closes the queue at the
    /// end.
    pub fn audit<A: AuditStore + 'static>(mut self, queue: &AuditQueue, store: A) -> Self {
        let written = queue.clone();
        let writer = move |timer: Timer, shared: Arc<Shared>| -> BoxFuture<()> {
            let failed = move |error: &StoreError| shared.failed(UpkeepJob::Audit, error);
            Box::pin(written.run(store, move |time| timer(time), failed))
        };
        self.shared.watch(queue.clone());
        self.writer = Some((queue.clone(), Box::new(writer)));
        self
    }

    /// Removes events older than `keep` from `store`. Usage stays.
    pub fn prune_events<A: AuditStore + 'static>(mut self, store: A, keep: Duration) -> Self {
        let store = Arc::new(store);
        let prune = move |now: UnixTime, batch| {
            let store = Arc::clone(&store);
            async move { Ok::<_, Failure>(store.prune_events(now.minus(keep), batch).await?.into()) }
        };
        let job = |pruning: &Pruning| Job::later(UpkeepJob::PruneEvents, pruning, prune);
        self.prune_events = Some(Box::new(job));
        self
    }

    /// Calls `report` on each failure of a job, for the host's log. Its panics are ignored.
    pub fn on_failure(
        self,
        report: impl Fn(UpkeepJob, &(dyn Error + 'static)) + Send + Sync + 'static,
    ) -> Self {
        self.shared.report_to(Box::new(report));
        self
    }

    /// Sets how long [`stop`](UpkeepHandle::stop) waits for calls under way, and then again for the audit
    /// log. Default: 5 s.
    pub fn patience(mut self, time: Duration) -> Self {
        self.patience = time;
        self
    }

    /// Returns a handle that tells the health of the jobs, and stops them. Clones are the same.
    #[must_use]
    pub fn handle(&self) -> UpkeepHandle {
        UpkeepHandle::new(Arc::clone(&self.shared))
    }

    /// Returns the future that does the work until it is [stopped](UpkeepHandle::stop). Spawn it once.
    ///
    /// `sleep` waits, as `tokio::time::sleep` does.
    pub fn run<Z, W>(self, sleep: Z) -> impl Future<Output = ()> + Send + use<S, U, H, Z, W>
    where
        Z: Fn(Duration) -> W + Send + Sync + 'static,
        W: Future<Output = ()> + Send + 'static,
    {
        self.work(Arc::new(move |time| Box::pin(sleep(time))))
    }

    async fn work(mut self, timer: Timer) {
        let (writer, patience) = (self.writer.take(), self.patience);
        let all = AllServers { first: Arc::clone(&self.server), others: self.issuers.clone() };
        let (server, shared) = (Arc::clone(&self.server), Arc::clone(&self.shared));
        let random = Arc::clone(&server.context().random);
        let jobs = self.into_jobs();
        let _running = shared.begin(&jobs);
        let repeat = |job: Job| -> BoxFuture<()> {
            Box::pin(job.repeat(Arc::clone(&shared), Arc::clone(&timer), Arc::clone(&random)))
        };
        let mut jobs: Vec<_> = jobs.into_iter().map(repeat).collect();
        let (queue, mut writing) = match writer {
            Some((queue, writer)) => {
                (Some(queue), Some(writer(Arc::clone(&timer), Arc::clone(&shared))))
            }
            None => (None, None),
        };
        let mut deadline = None;
        poll_fn(|context| {
            // Before the look at the flag: a stop that comes between wakes the task.
            shared.wake_at_stop(context.waker());
            jobs.retain_mut(|job| job.as_mut().poll(context).is_pending());
            _ = poll_writer(&mut writing, context);
            if !shared.is_stopped() {
                Poll::Pending
            } else if jobs.is_empty() {
                Poll::Ready(())
            } else {
                deadline.get_or_insert_with(|| timer(patience)).as_mut().poll(context)
            }
        })
        .await;
        drop(jobs);
        all.each(AuthorizationServer::record_repeats);
        if let Some(queue) = queue {
            queue.close();
        }
        let mut deadline = timer(patience);
        poll_fn(|context| match poll_writer(&mut writing, context) {
            Poll::Pending => deadline.as_mut().poll(context),
            Poll::Ready(()) => Poll::Ready(()),
        })
        .await;
    }

    fn into_jobs(self) -> Vec<Job> {
        let Self {
            server, issuers, pruning, keys, revocations, refresh_apps, prune_events, ..
        } = self;
        let mut jobs = Vec::new();
        if let Some(mut keys) = keys {
            let reload = move |now| std::future::ready(keys.follow(now));
            jobs.push(Job::at_once(UpkeepJob::Keys, RELOAD, reload));
        }
        let of = Arc::clone(&server);
        if let Some(list) = revocations {
            jobs.push(Job::at_once(UpkeepJob::Revocations, POLL, move |now| {
                let (list, server) = (Arc::clone(&list), Arc::clone(&of));
                async move {
                    list.poll(server.store(), now).await?;
                    Ok::<_, Failure>(Done::All)
                }
            }));
        }
        let of = Arc::clone(&server);
        if let Some(every) = refresh_apps {
            jobs.push(Job::at_once(UpkeepJob::Apps, every, move |_| {
                let server = Arc::clone(&of);
                async move {
                    server.store().refresh().await?;
                    Ok::<_, Failure>(Done::All)
                }
            }));
        }
        let all = AllServers { first: server, others: issuers };
        jobs.push(Job::later(UpkeepJob::Prune, &pruning, all.pruning()));
        jobs.extend(prune_events.map(|job| job(&pruning)));
        jobs.push(Job::at_once(UpkeepJob::Repeats, REPEATS, move |_| {
            all.each(AuthorizationServer::record_due_repeats);
            std::future::ready(Ok::<_, Failure>(Done::All))
        }));
        jobs
    }
}

/// Polls the writer of audit events, and drops it at its end.
fn poll_writer(writing: &mut Option<BoxFuture<()>>, context: &mut TaskContext<'_>) -> Poll<()> {
    let Some(writer) = writing else { return Poll::Ready(()) };
    let polled = writer.as_mut().poll(context);
    if polled.is_ready() {
        *writing = None;
    }
    polled
}

impl<S, U, H> fmt::Debug for Upkeep<S, U, H> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Upkeep")
            .field("pruning", &self.pruning)
            .field("keys", &self.keys)
            .field("follows_revocations", &self.revocations.is_some())
            .field("refresh_apps", &self.refresh_apps)
            .field("writes_audit_events", &self.writer.is_some())
            .field("patience", &self.patience)
            .finish_non_exhaustive()
    }
}
