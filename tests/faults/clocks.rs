//! Three hosts whose clocks are 4 s behind that of the database, right, and 4 s ahead (libfaketime).

use serde_json::json;

use super::apps::{
    ASSERTIONS, Assertion, CODES, FAMILIES, Session, administrator, introspect, order, redeem,
    refresh, revoke,
};
use super::client::{Answer, Client};
use super::cluster::{Cluster, own_cluster, skipped};
use super::ledger::{Family, Fate, Ledger};
use super::oracle::Tables;
use super::sandbox::faketime::{self, SharedClocks};
use super::sandbox::wait_until;
use super::servers::{Environment, Servers};

/// The seconds by which the clock of each host differs from that of the database.
const OFFSETS: [&str; HOSTS] = ["-4", "+0", "+4"];
const HOSTS: usize = 3;
/// Refreshes of one token at once.
const CONTENDERS: usize = 6;

fn environment(library: &str, offset: &str) -> Environment {
    vec![
        ("LD_PRELOAD", library.to_owned()),
        ("FAKETIME", format!("{offset}s")),
        ("DONT_FAKE_MONOTONIC", "1".to_owned()),
    ]
}

/// The three hosts and their clients.
struct World {
    cluster: Cluster,
    servers: Servers,
    clients: Vec<Client>,
    sessions: Vec<Session>,
    ledger: Ledger,
    administrators: Vec<String>,
    /// Dropped after the servers.
    _shared: SharedClocks,
}

impl World {
    fn new() -> Option<Self> {
        let Some(library) = faketime::library() else {
            skipped("libfaketime");
            return None;
        };
        let cluster = own_cluster()?;
        let environments = OFFSETS.map(|offset| environment(&library, offset)).to_vec();
        let servers = Servers::in_environments(&cluster, environments);
        let clients = servers.clients();
        let sessions = clients.iter().map(|_| Session::new("ann")).collect();
        let mut world = Self {
            cluster,
            servers,
            clients,
            sessions,
            ledger: Ledger::default(),
            administrators: Vec::new(),
            _shared: SharedClocks,
        };
        world.administrators =
            (0..HOSTS).map(|host| world.ask(host, &administrator()).text("access_token")).collect();
        world.assert_offsets();
        Some(world)
    }

    /// Checks that the clocks differ as they should, by the `Date` of each host.
    fn assert_offsets(&mut self) {
        let seconds: Vec<_> = self.administrators.iter().map(|token| issued_at(token)).collect();
        assert!((6..=10).contains(&(seconds[2] - seconds[0])), "{seconds:?}");
    }

    fn ask(&mut self, host: usize, request: &[u8]) -> Answer {
        let outcome = self.clients[host].request(request);
        self.ledger.count(&outcome);
        let answer = outcome.unwrap();
        assert!(!answer.is_failure(), "{answer:?}");
        answer
    }

    #[track_caller]
    fn family(&mut self, host: usize) -> Family {
        let answer = self.ask(host, &Assertion::new(FAMILIES).request);
        assert!(answer.is_ok(), "host {host}: {answer:?}");
        self.ledger.counts.families.one();
        Family::new(FAMILIES, &answer)
    }

    /// Begins a family. A host learns of a revocation within the poll's bound, and until then refuses what
    /// would be dead.
    fn family_after_a_revocation(&mut self, host: usize) -> Family {
        let mut family = None;
        wait_until("the host issues tokens again", || {
            let answer = self.ask(host, &Assertion::new(FAMILIES).request);
            assert!(answer.is_ok() || answer.is_invalid_grant(), "{answer:?}");
            family = answer.is_ok().then(|| Family::new(FAMILIES, &answer));
            family.is_some()
        });
        self.ledger.counts.families.one();
        family.unwrap()
    }

    fn code(&mut self, host: usize) -> String {
        self.sessions[host].code(&mut self.clients[host]).unwrap().unwrap()
    }

    #[track_caller]
    fn is_active(&mut self, access: &str, expected: bool) {
        for host in 0..HOSTS {
            let facts = self.ask(host, &introspect(access));
            assert_eq!(facts.json()["active"], expected, "at host {host}: {facts:?}");
        }
    }

    #[track_caller]
    fn is_dead(&mut self, family: &Family) {
        self.is_active(&family.access, false);
        for host in 0..HOSTS {
            let answer = self.ask(host, &refresh(family.app, &family.token));
            assert!(answer.is_invalid_grant(), "at host {host}: {answer:?}");
        }
    }

    fn finish(&self) {
        self.ledger.check(&Tables::of_postgres(&self.cluster.options()), &self.servers);
        eprintln!("{}", self.ledger.counts);
        assert!(self.servers.have_stayed(), "a server ended");
        self.ledger.assert_clean();
    }
}

fn issued_at(token: &str) -> i64 {
    super::apps::claims(token)["iat"].as_i64().unwrap()
}

/// Returns every way to choose three hosts one after the other.
fn orders() -> impl Iterator<Item = [usize; 3]> {
    (0..HOSTS).flat_map(|first| {
        (0..HOSTS).flat_map(move |second| (0..HOSTS).map(move |third| [first, second, third]))
    })
}

/// N16: a refresh at one host, the same one again at another, and refreshes at all of them at once. No
/// host takes an honest retry for reuse.
#[test]
fn hosts_eight_seconds_apart_take_no_honest_refresh_for_reuse() {
    let _turn = super::turn();
    let Some(mut world) = World::new() else { return };
    for [issuer, first, second] in orders() {
        let mut family = world.family(issuer);
        let request = refresh(FAMILIES, &family.token);
        let answer = world.ask(first, &request);
        assert!(answer.is_ok(), "{issuer} {first}: {answer:?}");
        family.rotate(&answer);
        let again = world.ask(second, &request);
        assert!(again.is_ok(), "{issuer} {first} {second}: {again:?}");
        assert_eq!(again.text("refresh_token"), family.token);
        world.ledger.counts.retries.one();

        let request = refresh(FAMILIES, &family.token);
        let mut racers: Vec<_> = (0..CONTENDERS).flat_map(|_| world.servers.clients()).collect();
        racers.truncate(CONTENDERS);
        racers.rotate_left(second);
        for racer in &mut racers {
            racer.send(&request).unwrap();
        }
        world.ledger.counts.races.one();
        let answers: Vec<_> = racers.iter_mut().map(|racer| racer.receive().unwrap()).collect();
        for answer in &answers {
            assert!(answer.is_ok(), "{issuer} {first} {second}: {answer:?}");
            assert_eq!(answer.text("refresh_token"), answers[0].text("refresh_token"));
        }
        family.rotate(&answers[0]);
        world.ledger.counts.refreshes.add(2);
        world.ledger.keep(family);
    }
    world.finish();
}

/// N17: a token of any host is active at all of them, may be given back at any of them, and is then dead
/// at all of them.
#[test]
fn a_token_of_any_host_is_taken_and_given_back_at_any_other() {
    let _turn = super::turn();
    let Some(mut world) = World::new() else { return };
    for [issuer, redeemer, other] in orders() {
        let code = redeem(&world.code(issuer));
        let answer = world.ask(redeemer, &code);
        assert!(answer.is_ok(), "{issuer} {redeemer}: {answer:?}");
        world.ledger.counts.codes.one();
        let by_access_token = Family::new(CODES, &answer);
        let by_refresh_token = world.family(redeemer);
        // Without a refresh token there is no row.
        let alone = world.ask(redeemer, &Assertion::new(ASSERTIONS).request).text("access_token");
        for access in [&by_access_token.access, &by_refresh_token.access, &alone] {
            world.is_active(access, true);
        }
        for (app, token) in [
            (CODES, &by_access_token.access),
            (FAMILIES, &by_refresh_token.token),
            (ASSERTIONS, &alone),
        ] {
            assert!(world.ask(other, &revoke(app, token)).is_ok());
            world.ledger.counts.revocations.one();
        }
        for family in [by_access_token, by_refresh_token] {
            world.is_dead(&family);
            world.ledger.keep(family.with_fate(Fate::Revoked));
        }
        world.is_active(&alone, false);
    }
    world.finish();
}

/// N1, N17: a revocation of a user at any host ends every token that any host has issued, and none that
/// is issued afterwards.
#[test]
fn a_revocation_at_any_host_ends_what_every_host_has_issued() {
    let _turn = super::turn();
    let Some(mut world) = World::new() else { return };
    for [first, host, second] in orders() {
        let before = [first, second].map(|host| world.family_after_a_revocation(host));
        let bearer = world.administrators[first].clone();
        let answer = world.ask(host, &order(&bearer, &json!({ "subject": "ann" })));
        assert!(answer.is_ok(), "{first} {host}: {answer:?}");
        world.ledger.counts.revocations.one();
        for family in before {
            world.is_dead(&family);
        }
        for host in [first, second] {
            let family = world.family_after_a_revocation(host);
            world.is_active(&family.access, true);
        }
    }
    world.finish();
}
