//! One server over a file that is killed at random moments.

use super::dice::Dice;
use super::kills::{kill_servers, under_load};
use super::ledger::Ledger;
use super::oracle::Tables;
use super::servers::Servers;

/// G15, T13: everything that was answered is in the file, and the next process goes on with it.
#[test]
fn a_server_over_a_file_is_killed_and_goes_on() {
    let _turn = super::turn();
    let (seed, ledger) = (Dice::seed(), Ledger::default());
    let servers = Servers::over_sqlite();
    under_load(&ledger, &servers, seed, || {
        kill_servers(&ledger, &servers, seed, |killed| killed >= 50);
    });
    ledger.check(&Tables::of_sqlite(servers.file()), &servers);
    ledger.report(seed);
    assert_eq!(ledger.counts.failures.get(), 0, "the file was never missing");
    ledger.assert_clean();
}
