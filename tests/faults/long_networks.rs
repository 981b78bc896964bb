//! Networks that break at random moments under load.

use super::cluster::own_cluster;
use super::dice::Dice;
use super::kills::{moment, under_load};
use super::ledger::Ledger;
use super::networks::ROTATION;
use super::oracle::Tables;
use super::proxy::Proxy;
use super::servers::Servers;

/// The periods of trouble.
const PERIODS: usize = 40;
/// The longest delay of a packet, below every time limit of the store.
const LONGEST_DELAY: u64 = 300;

/// The rounds of late statements in a period.
const LATE: usize = 10;

/// R12, R24, G13, J16, T13: the network between two servers and PostgreSQL delays, resets and silences
/// connections, loses answers after a commit, and brings statements to the database after their server has
/// lost the connection. Everything that was answered is in the database, nothing is given twice, no family
/// ends without a reason that its client knows, and no server needs a restart.
#[test]
fn servers_outlive_every_fault_of_their_network() {
    let _turn = super::turn();
    let Some(cluster) = own_cluster() else { return };
    let (seed, ledger) = (Dice::seed(), Ledger::default());
    let proxy = Proxy::to(&cluster.socket());
    let servers = Servers::behind(&proxy, 2);
    let mut dice = Dice::new(seed, 400);
    let mut periods = [0; 5];
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
                2 => {
                    proxy.lose_answers(2 + dice.index(20));
                    dice.sleep(500..1_500);
                }
                3 => {
                    for _ in 0..LATE {
                        proxy.hold(ROTATION);
                        dice.sleep(20..200);
                        proxy.cut();
                        proxy.hold_no_more();
                        dice.sleep(100..1_000);
                        proxy.release();
                    }
                }
                _ => {
                    proxy.delay(1 + dice.below(LONGEST_DELAY));
                    dice.sleep(0..300);
                    proxy.silence();
                }
            }
            proxy.heal();
        }
        moment(&ledger, &mut dice, 60);
    });
    ledger.check(&Tables::of_postgres(&cluster.options()), &servers);
    ledger.report(seed);
    let [reset, delayed, lost, late, silent] = periods;
    eprintln!(
        "{reset} resets, {delayed} delays, {lost} periods of lost answers, {late} of late statements, \
         {silent} silences; {}",
        proxy.report()
    );
    assert!(proxy.held() > 0, "no statement was late");
    assert!(ledger.counts.recovered.get() > 0, "no lost answer was asked for again");
    assert!(servers.have_stayed(), "a server ended");
    ledger.assert_clean();
}
