//! Races over HTTP at four servers over one database. Eight requests with one code, refresh token or
//! assertion are sent before the first answer is read.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Instant;

use super::apps::{
    ASSERTIONS, Assertion, CODES, FAMILIES, STRICT, Session, claims, redeem, refresh,
};
use super::client::{Answer, Client};
use super::cluster::{own_cluster, rounds};
use super::dice::Dice;
use super::ledger::{Family, Fate, Ledger};
use super::oracle::Tables;
use super::servers::Servers;

const CONTENDERS: usize = 8;
/// Races at a time.
const LANES: usize = 3;
const USERS: [&str; LANES] = ["ann", "bea", "cem"];

/// Runs one race after another.
pub(crate) struct Lane<'a> {
    pub(crate) ledger: &'a Ledger,
    pub(crate) dice: Dice,
    pub(crate) user: &'static str,
    racers: Vec<Client>,
    /// One for each server, beside the racers.
    pub(crate) clients: Vec<Client>,
    sessions: Vec<Session>,
}

impl<'a> Lane<'a> {
    fn new(ledger: &'a Ledger, servers: &Servers, seed: u64, number: usize) -> Self {
        let racers = (0..CONTENDERS).flat_map(|_| servers.clients()).take(CONTENDERS).collect();
        let clients = servers.clients();
        let user = USERS[number % LANES];
        let sessions = clients.iter().map(|_| Session::new(user)).collect();
        let dice = Dice::new(seed, 300 + number);
        Self { ledger, dice, user, racers, clients, sessions }
    }

    /// Asks any server. No server is down, so a failure is a violation.
    pub(crate) fn ask(&mut self, request: &[u8]) -> Answer {
        let index = self.dice.index(self.clients.len());
        self.ledger.counts.requests.one();
        let answer = self.clients[index].request(request).unwrap();
        self.must(!answer.is_failure(), "a failure although no server is down", &answer);
        answer
    }

    /// Sends each request over its own connection, in random order, and then reads the answers.
    pub(crate) fn race(&mut self, requests: &[&[u8]]) -> Vec<Answer> {
        let mut order: Vec<_> = (0..CONTENDERS).collect();
        for last in (1..CONTENDERS).rev() {
            order.swap(last, self.dice.index(last + 1));
        }
        for (request, racer) in requests.iter().zip(&order) {
            self.racers[*racer].send(request).unwrap();
        }
        self.ledger.counts.races.one();
        self.ledger.counts.requests.add(requests.len() as u64);
        let racers = order.iter().take(requests.len());
        let answers: Vec<_> = racers.map(|it| self.racers[*it].receive().unwrap()).collect();
        for answer in &answers {
            self.must(!answer.is_failure(), "a failure although no server is down", answer);
        }
        answers
    }

    pub(crate) fn must(&self, holds: bool, otherwise: &str, answer: &Answer) {
        if !holds {
            self.ledger.violation(format!("{otherwise}: {answer:?}"));
        }
    }

    /// Returns the winners. Checks their number and the refusals of the others.
    fn winners(&self, answers: Vec<Answer>, number: usize) -> Vec<Answer> {
        let (won, refused): (Vec<_>, Vec<_>) = answers.into_iter().partition(Answer::is_ok);
        for answer in &refused {
            self.must(answer.is_invalid_grant(), "the refusal is wrong", answer);
        }
        if won.len() != number {
            self.ledger.violation(format!("{} winners instead of {number}: {won:?}", won.len()));
        }
        won
    }

    pub(crate) fn code(&mut self) -> String {
        let index = self.dice.index(self.clients.len());
        self.ledger.counts.requests.one();
        self.sessions[index].code(&mut self.clients[index]).unwrap().unwrap()
    }

    /// Begins a family with an assertion.
    pub(crate) fn family(&mut self, app: &'static str) -> Family {
        let assertion = Assertion::new(app);
        let answer = self.ask(&assertion.request);
        self.must(answer.is_ok(), "a fresh assertion was refused", &answer);
        self.ledger.counts.families.one();
        self.ledger.keep_assertion(assertion.digest);
        Family::new(app, &answer)
    }

    /// Checks that the race has revoked the family, including the tokens of its winner.
    fn ended(&mut self, family: Family) {
        let answer = self.ask(&refresh(family.app, &family.token));
        self.must(answer.is_invalid_grant(), "a family outlived the race", &answer);
        self.ledger.keep(family.with_fate(Fate::Revoked));
    }

    fn codes(&mut self) {
        let request = redeem(&self.code());
        let answers = self.race(&[&*request; CONTENDERS]);
        for winner in self.winners(answers, 1) {
            self.ledger.counts.codes.one();
            self.ended(Family::new(CODES, &winner));
        }
    }

    /// Races refreshes. Within the grace window all are served; without one all but one are a reuse, which
    /// revokes the family.
    fn refreshes(&mut self, served: usize, mut family: Family) -> Option<Family> {
        let request = refresh(family.app, &family.token);
        let answers = self.race(&[&*request; CONTENDERS]);
        let won = self.winners(answers, served);
        let first = won.first()?;
        for answer in &won {
            let same = answer.text("refresh_token") == first.text("refresh_token");
            self.must(same, "two successors of one refresh token", answer);
        }
        self.ledger.counts.refreshes.one();
        self.ledger.counts.retries.add(won.len() as u64 - 1);
        family.rotate(first);
        if served == CONTENDERS {
            return Some(family);
        }
        self.ledger.counts.reuses.one();
        self.ended(family);
        None
    }

    fn assertions(&mut self) {
        let assertion = Assertion::new(ASSERTIONS);
        let answers = self.race(&[&*assertion.request; CONTENDERS]);
        for winner in self.winners(answers, 1) {
            claims(&winner.text("access_token"));
            self.ledger.counts.assertions.one();
            self.ledger.keep_assertion(assertion.digest);
        }
    }
}

/// Runs `rounds` races, in lanes, and prints the time.
pub(crate) fn run<'a>(
    (ledger, servers, seed): (&'a Ledger, &Servers, u64),
    name: &str,
    rounds: usize,
    race: impl Fn(&mut Lane<'a>) + Sync,
) {
    let (begun, left) = (Instant::now(), AtomicUsize::new(rounds));
    thread::scope(|scope| {
        for number in 0..LANES {
            let (left, race) = (&left, &race);
            scope.spawn(move || {
                let mut lane = Lane::new(ledger, servers, seed, number);
                let next = |left: usize| left.checked_sub(1);
                while left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, next).is_ok() {
                    race(&mut lane);
                }
            });
        }
    });
    eprintln!("{rounds} races of {name}, {:.1} s", begun.elapsed().as_secs_f64());
}

/// Runs every race that has winners and losers.
pub(crate) fn run_all(place @ (ledger, _, _): (&Ledger, &Servers, u64), rounds: usize) {
    run(place, "codes", rounds, Lane::codes);
    run(place, "refresh tokens", rounds / 2, |lane| {
        let mut family = lane.family(FAMILIES);
        for _ in 0..3 {
            let Some(next) = lane.refreshes(CONTENDERS, family) else { return };
            family = next;
        }
        ledger.keep(family);
    });
    run(place, "refresh tokens without a grace", rounds, |lane| {
        let family = lane.family(STRICT);
        lane.refreshes(1, family);
    });
    run(place, "assertions", rounds, Lane::assertions);
}

/// G13, G9, J19, R12, R15: one of eight requests redeems a code or spends an assertion, and one rotates a
/// refresh token. Others within the grace window get the same answer. There is no failure.
#[test]
fn one_of_eight_wins_at_four_servers() {
    let _turn = super::turn();
    let Some(cluster) = own_cluster() else { return };
    let (seed, ledger) = (Dice::seed(), Ledger::default());
    let servers = Servers::over_postgres(&cluster, 4);
    run_all((&ledger, &servers, seed), rounds(super::RACES));
    ledger.check(&Tables::of_postgres(&cluster.options()), &servers);
    ledger.report(seed);
    assert!(servers.have_stayed(), "a server ended");
    ledger.assert_clean();
}
