//! Servers and their database are killed at random moments, while honest clients go on.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use super::cluster::{Cluster, own_cluster};
use super::dice::Dice;
use super::ledger::Ledger;
use super::load::Worker;
use super::oracle::Tables;
use super::servers::Servers;

const WORKERS: usize = 6;
/// The longest wait of a kill for tokens.
const PATIENCE: Duration = Duration::from_secs(5);

/// Runs the load while `trouble` is made.
pub(crate) fn under_load(ledger: &Ledger, servers: &Servers, seed: u64, trouble: impl FnOnce()) {
    let stop = AtomicBool::new(false);
    thread::scope(|scope| {
        let _at_the_end = Stop(&stop);
        for number in 0..WORKERS {
            let (stop, dice) = (&stop, Dice::new(seed, number));
            scope.spawn(move || Worker::new(ledger, servers, dice).work(stop));
        }
        trouble();
    });
}

/// Stops the load, even if the trouble panics.
struct Stop<'a>(&'a AtomicBool);

impl Drop for Stop<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Waits for a random number of tokens, or some seconds if there are none.
pub(crate) fn moment(ledger: &Ledger, dice: &mut Dice, tokens: u64) {
    let (begun, enough) = (Instant::now(), ledger.counts.tokens() + dice.below(tokens));
    while ledger.counts.tokens() < enough && begun.elapsed() < PATIENCE {
        thread::sleep(Duration::from_millis(1));
    }
    dice.sleep(0..50);
}

/// Kills servers until `enough` returns true. Several may be down at once.
pub(crate) fn kill_servers(
    ledger: &Ledger,
    servers: &Servers,
    seed: u64,
    enough: impl Fn(usize) -> bool + Sync,
) {
    let killed = AtomicUsize::new(0);
    thread::scope(|scope| {
        for index in 0..servers.len() {
            let (mut dice, killed, enough) = (Dice::new(seed, 100 + index), &killed, &enough);
            scope.spawn(move || {
                while !enough(killed.load(Ordering::Relaxed)) {
                    moment(ledger, &mut dice, 60);
                    servers.kill_and_start(index, &mut dice, 200);
                    killed.fetch_add(1, Ordering::Relaxed);
                    ledger.counts.server_kills.one();
                }
            });
        }
    });
}

/// Kills PostgreSQL until `enough` returns true.
pub(crate) fn kill_database(
    ledger: &Ledger,
    cluster: &Cluster,
    seed: u64,
    enough: impl Fn(usize) -> bool,
) {
    let mut dice = Dice::new(seed, 200);
    let mut killed = 0;
    while !enough(killed) {
        moment(ledger, &mut dice, 80);
        cluster.kill();
        dice.sleep(0..100);
        cluster.start();
        killed += 1;
        ledger.counts.database_kills.one();
    }
}

/// G13, R21: each open request of a killed server is done or not done. The other servers and the next
/// one go on, and clients see only broken connections.
#[test]
fn a_server_that_is_killed_loses_answers_and_nothing_else() {
    let _turn = super::turn();
    let Some(cluster) = own_cluster() else { return };
    let (seed, ledger) = (Dice::seed(), Ledger::default());
    let servers = Servers::over_postgres(&cluster, 4);
    under_load(&ledger, &servers, seed, || {
        kill_servers(&ledger, &servers, seed, |killed| killed >= 50);
    });
    ledger.check(&Tables::of_postgres(&cluster.options()), &servers);
    ledger.report(seed);
    assert_eq!(ledger.counts.failures.get(), 0, "the database was never down");
    assert!(servers.kills() >= 50);
    ledger.assert_clean();
}

/// G15, T13, J20 and V8: while the database is killed again and again, servers answer errors and recover
/// by themselves. Everything that they answered is in the database.
#[test]
fn servers_outlive_their_database_and_what_they_answered_is_in_it() {
    let _turn = super::turn();
    let Some(cluster) = own_cluster() else { return };
    let (seed, ledger) = (Dice::seed(), Ledger::default());
    let servers = Servers::over_postgres(&cluster, 4);
    under_load(&ledger, &servers, seed, || {
        kill_database(&ledger, &cluster, seed, |killed| killed >= 50);
    });
    ledger.check(&Tables::of_postgres(&cluster.options()), &servers);
    ledger.report(seed);
    assert!(servers.have_stayed(), "a server ended");
    ledger.assert_clean();
}
