//! Servers behind a network that silences, delays and resets their connections to PostgreSQL, and loses
//! answers after the database has committed.

use std::time::{Duration, Instant};

use super::apps::{ASSERTIONS, Assertion, CODES, FAMILIES, Session, redeem, refresh};
use super::client::{Answer, Client};
use super::cluster::own_cluster;
use super::ledger::{Family, Fate, Ledger};
use super::oracle::Tables;
use super::proxy::Proxy;
use super::sandbox::wait_until;
use super::servers::Servers;

/// The requests at once that open the connections of a pool.
const CROWD: usize = 32;
/// The longest time without an answer, longer than each time limit of the store.
const PATIENCE: Duration = Duration::from_secs(45);

/// The beginning of the statement of a redemption and of a rotation.
pub(crate) const ROTATION: &str = "UPDATE grantor_grants AS g SET generation";

/// Sends requests at once to the first server, and returns the number of answers with a token.
fn crowd(ledger: &Ledger, servers: &Servers) -> usize {
    let mut clients: Vec<_> = (0..CROWD).map(|_| servers.clients().swap_remove(0)).collect();
    for client in &mut clients {
        client.send(&Assertion::new(ASSERTIONS).request).unwrap();
    }
    let answers = clients.iter_mut().map(Client::receive);
    answers
        .filter(|answer| {
            ledger.count(answer);
            answer.as_ref().is_ok_and(Answer::is_ok)
        })
        .count()
}

/// Z25: all pooled connections die without a word while new ones work. Requests that use a dead one fail
/// within the store's time limit, and soon none is left.
#[test]
fn connections_that_die_silently_are_replaced() {
    let _turn = super::turn();
    let Some(cluster) = own_cluster() else { return };
    let ledger = Ledger::default();
    let proxy = Proxy::to(&cluster.socket());
    let servers = Servers::behind(&proxy, 1);
    assert_eq!(crowd(&ledger, &servers), CROWD);
    let dead = proxy.silence();
    assert!(dead > 1, "the pool has {dead} connections");
    let begun = Instant::now();
    let failed = CROWD - crowd(&ledger, &servers);
    let first = begun.elapsed();
    assert!(first < PATIENCE, "{failed} requests failed after {first:?}");
    // The dead connections are gone: as many requests at once as before are all answered.
    assert_eq!(crowd(&ledger, &servers), CROWD, "dead connections are left");
    let all = begun.elapsed();
    eprintln!(
        "{dead} connections died silently; {failed} of {CROWD} requests failed within {first:.1?}, \
         none after {all:.1?}"
    );
    assert!(servers.have_stayed(), "the server ended");
}

/// R24: the statement of a refresh reaches the database when the client has been served by the other server
/// and has used the successor. The family lives.
#[test]
fn a_refresh_that_reaches_the_database_late_revokes_nothing() {
    let _turn = super::turn();
    let Some(cluster) = own_cluster() else { return };
    let ledger = Ledger::default();
    let proxy = Proxy::to(&cluster.socket());
    let servers = Servers::behind(&proxy, 2);
    let mut clients = servers.clients();
    let [slow, other] = &mut clients[..] else { panic!("two servers") };
    let mut overtaken = 0;
    for round in 0..super::RACES / 5 {
        let first = ledger.insist(other, &Assertion::new(FAMILIES).request);
        let mut family = Family::new(FAMILIES, &first);
        let held = proxy.held();
        proxy.hold(ROTATION);
        slow.send(&refresh(FAMILIES, &family.token)).unwrap();
        wait_until("the statement is on its way", || proxy.held() > held);
        proxy.hold_no_more();
        // The client asks again, and uses what it gets.
        for _ in 0..=1 + round % 3 {
            let answer = ledger.insist(other, &refresh(FAMILIES, &family.token));
            assert!(answer.is_ok(), "{answer:?}");
            family.rotate(&answer);
        }
        proxy.release();
        let late = slow.receive();
        ledger.count(&late);
        let late = late.unwrap();
        assert_eq!(late.text("error"), "temporarily_unavailable", "{late:?}");
        overtaken += 1;
        let next = ledger.insist(other, &refresh(FAMILIES, &family.token));
        assert!(next.is_ok(), "{next:?}");
        family.rotate(&next);
        ledger.keep(family);
    }
    ledger.check(&Tables::of_postgres(&cluster.options()), &servers);
    eprintln!("{overtaken} refreshes reached the database late; {}", proxy.report());
    ledger.assert_clean();
}

/// R24: a client closes its connection before the row of its refresh token is read, asks again at the other
/// server, and goes on. The row is read at last, and the family lives: the server has dropped the request.
#[test]
fn a_refresh_whose_client_has_hung_up_ends_with_it() {
    let _turn = super::turn();
    let Some(cluster) = own_cluster() else { return };
    let ledger = Ledger::default();
    let proxy = Proxy::to(&cluster.socket());
    let servers = Servers::behind(&proxy, 2);
    let mut clients = servers.clients();
    let [slow, other] = &mut clients[..] else { panic!("two servers") };
    for _ in 0..super::RACES / 20 {
        let first = ledger.insist(other, &Assertion::new(FAMILIES).request);
        let mut family = Family::new(FAMILIES, &first);
        let beside = ledger.insist(other, &Assertion::new(FAMILIES).request);
        let held = proxy.held();
        proxy.hold("FROM grantor_grants WHERE grant_id");
        slow.send(&refresh(FAMILIES, &family.token)).unwrap();
        wait_until("the look-up is on its way", || proxy.held() > held);
        proxy.hold_no_more();
        slow.hang_up();
        for _ in 0..2 {
            let answer = ledger.insist(other, &refresh(FAMILIES, &family.token));
            assert!(answer.is_ok(), "{answer:?}");
            family.rotate(&answer);
        }
        proxy.release();
        // Later requests of the same server are answered.
        let mut beside = Family::new(FAMILIES, &beside);
        for _ in 0..2 {
            let answer = ledger.insist(slow, &refresh(FAMILIES, &beside.token));
            assert!(answer.is_ok(), "{answer:?}");
            beside.rotate(&answer);
        }
        let next = ledger.insist(other, &refresh(FAMILIES, &family.token));
        assert!(next.is_ok(), "{next:?}");
        family.rotate(&next);
        ledger.keep(family);
    }
    ledger.check(&Tables::of_postgres(&cluster.options()), &servers);
    eprintln!("{} look-ups came late; {}", super::RACES / 20, proxy.report());
    ledger.assert_clean();
}

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
