//! One job: when it runs, and what happens if it fails.

use std::error::Error;
use std::future::poll_fn;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use super::health::{Shared, UpkeepJob};
use super::{BoxFuture, MIN_INTERVAL, Timer};
use crate::clock::UnixTime;
use crate::observe::deadline::{DEADLINE, within};
use crate::observe::panics::caught_in;
use crate::random::{self, SecureRandom};
use crate::store::{Pruned, Pruning, yield_now};

/// The wait after the first failure. It doubles with each further one.
const FIRST_WAIT: Duration = Duration::from_secs(1);
/// The longest wait after a failure, unless the interval is longer.
const LONGEST_WAIT: Duration = Duration::from_secs(10);

pub(super) type Failure = Box<dyn Error + Send + Sync>;

/// The outcome of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Done {
    /// Nothing is left until the next interval.
    All,
    /// There is more to do at once.
    More,
    /// Another process is at work; look again in a second.
    Soon,
}

impl From<Pruned> for Done {
    fn from(pruned: Pruned) -> Self {
        if pruned.more && pruned.removed > 0 { Self::More } else { Self::All }
    }
}

/// A job of the upkeep.
pub(super) struct Job {
    pub(super) kind: UpkeepJob,
    pub(super) interval: Duration,
    /// Whether it runs at the start. Otherwise it first waits for a random part of the interval.
    pub(super) at_once: bool,
    run: Box<dyn FnMut(UnixTime) -> BoxFuture<Result<Done, Failure>> + Send>,
}

impl Job {
    pub(super) fn at_once<F>(
        kind: UpkeepJob,
        interval: Duration,
        mut run: impl FnMut(UnixTime) -> F + Send + 'static,
    ) -> Self
    where
        F: Future<Output = Result<Done, Failure>> + Send + 'static,
    {
        let interval = interval.max(MIN_INTERVAL);
        Self { kind, interval, at_once: true, run: Box::new(move |now| Box::pin(run(now))) }
    }

    /// A job that removes batches.
    pub(super) fn later<F>(
        kind: UpkeepJob,
        pruning: &Pruning,
        mut prune: impl FnMut(UnixTime, usize) -> F + Send + 'static,
    ) -> Self
    where
        F: Future<Output = Result<Done, Failure>> + Send + 'static,
    {
        let (interval, batch) = pruning.interval_and_batch();
        Self { at_once: false, ..Self::at_once(kind, interval, move |now| prune(now, batch)) }
    }

    /// Runs the job at every interval, until the upkeep is stopped.
    pub(super) async fn repeat(
        mut self,
        shared: Arc<Shared>,
        timer: Timer,
        random: Arc<dyn SecureRandom>,
    ) {
        let longest = self.interval.max(LONGEST_WAIT);
        let mut backoff = FIRST_WAIT;
        let later = (self.interval / 1024).saturating_mul(dice(&*random, 1024));
        let mut wait = if self.at_once { Duration::ZERO } else { later };
        while pause(&shared, &timer, wait).await {
            // In a block, so that a panic of a job that never waits is caught, too.
            let run = async { within((self.run)(shared.now()), timer(DEADLINE)).await };
            let outcome = match caught_in(run).await {
                Ok(Ok(outcome)) => outcome,
                Ok(Err(no_answer)) => Err(no_answer.into()),
                Err(panicked) => Err(panicked.into()),
            };
            wait = match outcome {
                Ok(Done::More) => Duration::ZERO,
                Ok(Done::Soon) => around(FIRST_WAIT, &*random),
                Ok(Done::All) => {
                    shared.succeeded(self.kind);
                    backoff = FIRST_WAIT;
                    around(self.interval, &*random)
                }
                Err(error) => {
                    shared.failed(self.kind, &*error);
                    let wait = around(backoff, &*random);
                    backoff = backoff.saturating_mul(2).min(longest);
                    wait
                }
            };
        }
    }
}

/// Waits, and then returns true. Returns false as soon as the upkeep is stopped.
async fn pause(shared: &Shared, timer: &Timer, time: Duration) -> bool {
    if time.is_zero() {
        // A store that is always ready at once must not occupy a thread.
        yield_now().await;
        return !shared.is_stopped();
    }
    let mut time = timer(time);
    poll_fn(|context| {
        if shared.is_stopped() {
            return Poll::Ready(false);
        }
        time.as_mut().poll(context).map(|()| true)
    })
    .await
}

/// Returns `time`, changed at random by up to a quarter.
fn around(time: Duration, random: &dyn SecureRandom) -> Duration {
    (time / 1024).saturating_mul(768 + dice(random, 512))
}

/// Returns a random number below `sides`, a power of 2 up to 2^16. Without randomness, the mean.
fn dice(random: &dyn SecureRandom, sides: u32) -> u32 {
    random::array(random).map_or(sides / 2, |bytes| u32::from(u16::from_ne_bytes(bytes)) % sides)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::{OsRandom, RandomError};

    #[derive(Debug)]
    struct Broken;

    impl SecureRandom for Broken {
        fn fill(&self, _: &mut [u8]) -> Result<(), RandomError> {
            Err(RandomError)
        }
    }

    #[test]
    fn waits_differ_by_up_to_a_quarter() {
        let second = Duration::from_secs(1);
        let waits: Vec<_> = (0..2_000).map(|_| around(second, &OsRandom::new())).collect();
        let (least, most) = (waits.iter().min().unwrap(), waits.iter().max().unwrap());
        assert!(*least >= Duration::from_millis(749), "{least:?}");
        assert!(*most < second * 5 / 4, "{most:?}");
        assert!(most.abs_diff(*least) > second / 4, "{least:?} to {most:?}");
        let plain = around(second, &Broken);
        assert!(second.abs_diff(plain) < Duration::from_millis(1), "{plain:?}");
        assert!(around(Duration::MAX, &OsRandom::new()) > Duration::from_hours(1));
    }

    #[test]
    fn a_batch_that_removed_nothing_is_the_last() {
        for (removed, more, done) in [
            (0, false, Done::All),
            (9, false, Done::All),
            (9, true, Done::More),
            (0, true, Done::All),
        ] {
            assert_eq!(Done::from(Pruned { removed, more }), done);
        }
    }
}
