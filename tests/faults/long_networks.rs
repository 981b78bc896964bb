//! Networks that break at random moments under load.

use super::cluster::own_cluster;
use super::dice::Dice;
use super::kills::{moment, under_load};
use super::ledger::Ledger;
use super::oracle::Tables;
use super::proxy::Proxy;
use super::servers::Servers;

/// The periods of trouble.
const PERIODS: usize = 40;
/// The longest delay of a packet, below every time limit of the store.
const LONGEST_DELAY: u64 = 300;

/// R12, G13, J16, T13: the network between two servers and PostgreSQL delays and resets connections, and
/// loses answers after a commit. Everything that was answered is in the
/// database, nothing is given twice, and no server needs a restart.
#[test]
fn servers_outlive_every_fault_of_their_network() {
    let _turn = super::turn();
    let Some(cluster) = own_cluster() else { return };
    let (seed, ledger) = (Dice::seed(), Ledger::default());
    let proxy = Proxy::to(&cluster.socket());
    let servers = Servers::behind(&proxy, 2);
    let mut dice = Dice::new(seed, 400);
    let mut periods = [0; 3];
    under_load(&ledger, &servers, seed, || {
        for number in 0..PERIODS {
            moment(&ledger, &mut dice, 60);
            let kind = number % periods.len();
            periods[kind] += 1;
            match kind {
                0 => proxy.reset(),
                1 => {
                    proxy.delay(1 + dice.below(LONGEST_DELAY));
                    dice.sleep(500..1_500);
                }
                _ => {
                    proxy.lose_answers(2 + dice.index(20));
                    dice.sleep(500..1_500);
                }
            }
            proxy.heal();
        }
        moment(&ledger, &mut dice, 60);
    });
    ledger.check(&Tables::of_postgres(&cluster.options()), &servers);
    ledger.report(seed);
    let [reset, delayed, lost] = periods;
    eprintln!(
        "{reset} resets, {delayed} delays, {lost} periods of lost answers; {}",
        proxy.report()
    );
    assert!(ledger.counts.recovered.get() > 0, "no lost answer was asked for again");
    assert!(servers.have_stayed(), "a server ended");
    ledger.assert_clean();
}
