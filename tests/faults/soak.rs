//! All races and kills for a given time: `bash .ci/soak SECONDS`.

use std::thread;
use std::time::{Duration, Instant};

use super::apps::{ASSERTIONS, Assertion};
use super::cluster::own_cluster;
use super::dice::Dice;
use super::kills::{kill_database, kill_servers, under_load};
use super::ledger::Ledger;
use super::oracle::Tables;
use super::servers::Servers;

/// The length of each period of kills between races.
const KILLING: Duration = Duration::from_secs(30);

/// Races alternate with kills of servers and of the database. The answers are checked against the
/// database after each.
#[test]
fn soak() {
    let Ok(seconds) = std::env::var("GRANTOR_SOAK_SECONDS") else {
        eprintln!("soak: GRANTOR_SOAK_SECONDS is not set");
        return;
    };
    let _turn = super::turn();
    let Some(cluster) = own_cluster() else { return };
    let end = Instant::now() + Duration::from_secs(seconds.parse().unwrap());
    let (seed, ledger) = (Dice::seed(), Ledger::default());
    eprintln!("GRANTOR_SEED={seed}");
    let servers = Servers::over_postgres(&cluster, 4);
    let check = || {
        ledger.check(&Tables::of_postgres(&cluster.options()), &servers);
        eprintln!("{} s are left", (end - Instant::now().min(end)).as_secs());
        ledger.report(seed);
        ledger.assert_clean();
    };
    for turn in seed.. {
        settle(&ledger, &servers);
        let failures = ledger.counts.failures.get();
        super::races::run_all((&ledger, &servers, turn), 200);
        super::revocations::run_all((&ledger, &servers, turn), 100);
        assert_eq!(ledger.counts.failures.get(), failures, "no server was down");
        check();
        let quiet = end.min(Instant::now() + KILLING);
        let enough = |_: usize| Instant::now() >= quiet;
        under_load(&ledger, &servers, turn, || {
            thread::scope(|scope| {
                scope.spawn(|| kill_servers(&ledger, &servers, turn, enough));
                kill_database(&ledger, &cluster, turn, enough);
            });
        });
        check();
        if Instant::now() >= end {
            return;
        }
    }
}

/// Uses all connections of each server. A broken one fails the request that uses it next.
fn settle(ledger: &Ledger, servers: &Servers) {
    for client in &mut servers.clients() {
        for _ in 0..64 {
            ledger.insist(client, &Assertion::new(ASSERTIONS).request);
        }
    }
}
