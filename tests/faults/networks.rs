//! Servers behind a network that loses answers of PostgreSQL after it has committed.

use super::apps::{ASSERTIONS, Assertion, CODES, FAMILIES, Session, redeem, refresh};
use super::cluster::own_cluster;
use super::ledger::{Family, Fate, Ledger};
use super::oracle::Tables;
use super::proxy::Proxy;
use super::sandbox::wait_until;
use super::servers::Servers;

/// G13, R12, J16: the database commits, and its answer is lost. A refresh that is sent again gets the one
/// successor, a code or an assertion that is sent again is refused or redeemed once.
#[test]
fn an_answer_lost_after_its_commit_gives_nothing_twice() {
    let _turn = super::turn();
    let Some(cluster) = own_cluster() else { return };
    let ledger = Ledger::default();
    let proxy = Proxy::to(&cluster.socket());
    let servers = Servers::behind(&proxy, 2);
    let mut clients = servers.clients();
    let mut session = Session::new("ann");
    let (mut refreshed, mut refused, mut redeemed) = (0, 0, 0);
    for round in 0..super::RACES / 5 {
        let client = &mut clients[round % 2];
        let first = ledger.insist(client, &Assertion::new(FAMILIES).request);
        let mut family = Family::new(FAMILIES, &first);
        let mut code = None;
        wait_until("there is a code", || {
            code = session.code(client).ok().flatten();
            code.is_some()
        });
        let code = redeem(&code.unwrap());
        let assertion = Assertion::new(ASSERTIONS);

        let lost = proxy.lost_answers();
        proxy.lose_answers(1);
        let request = refresh(FAMILIES, &family.token);
        let unanswered = [&request, &code, &assertion.request].map(|request| {
            let outcome = client.request(request);
            ledger.count(&outcome);
            !outcome.is_ok_and(|answer| answer.is_ok())
        });
        proxy.heal();
        assert_eq!(unanswered, [true; 3], "no answer can come");
        assert!(proxy.lost_answers() > lost);

        let other = &mut clients[(round + 1) % 2];
        let again = ledger.insist(other, &request);
        assert!(again.is_ok(), "{again:?}");
        family.rotate(&again);
        refreshed += 1;
        ledger.keep(family);
        for (request, app) in [(&code, Some(CODES)), (&assertion.request, None)] {
            let answer = ledger.insist(other, request);
            if answer.is_ok() {
                redeemed += 1;
                if let Some(app) = app {
                    ledger.keep(Family::new(app, &answer).with_fate(Fate::Doubtful));
                }
                let twice = ledger.insist(other, request);
                assert!(twice.is_invalid_grant(), "{twice:?}");
            } else {
                assert!(answer.is_invalid_grant(), "{answer:?}");
                refused += 1;
            }
        }
    }
    ledger.check(&Tables::of_postgres(&cluster.options()), &servers);
    eprintln!(
        "{refreshed} refreshes sent again had their one successor; of the codes and assertions, \
         {refused} were spent and {redeemed} were not; {}",
        proxy.report()
    );
    ledger.assert_clean();
}
