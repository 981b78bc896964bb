//! Clients that behave like honest apps while servers fail, and record the answers that they get.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use serde_json::json;

use super::apps::{
    ASSERTIONS, Assertion, CODES, FAMILIES, Session, administrator, introspect, order, redeem,
    refresh, revoke,
};
use super::client::{Answer, Client, Lost};
use super::dice::Dice;
use super::ledger::{Family, Fate, Ledger};
use super::servers::Servers;

/// The time without any answer after which the servers count as unable to recover.
const PATIENCE: Duration = Duration::from_mins(2);

/// One client that makes one request after another.
pub(crate) struct Worker<'a> {
    ledger: &'a Ledger,
    clients: Vec<Client>,
    sessions: Vec<Session>,
    dice: Dice,
    administrator: String,
}

/// An answer, and the number of earlier tries without one.
struct Insisted {
    answer: Answer,
    unanswered: u32,
}

impl<'a> Worker<'a> {
    pub(crate) fn new(ledger: &'a Ledger, servers: &Servers, dice: Dice) -> Self {
        let clients = servers.clients();
        let sessions = clients.iter().map(|_| Session::new("ann")).collect();
        Self { ledger, clients, sessions, dice, administrator: String::new() }
    }

    /// Works until it is told to stop.
    pub(crate) fn work(&mut self, stop: &AtomicBool) {
        while !stop.load(Ordering::Relaxed) {
            match self.dice.below(8) {
                0..=1 => self.assertion(),
                2..=4 => {
                    if let Some(family) = self.code() {
                        self.live(family);
                    }
                }
                _ => {
                    if let Some(family) = self.family() {
                        self.live(family);
                    }
                }
            }
        }
    }

    /// Asks any of the servers once.
    fn try_once(&mut self, request: &[u8]) -> Result<Answer, Lost> {
        let index = self.dice.index(self.clients.len());
        let outcome = self.clients[index].request(request);
        self.ledger.count(&outcome);
        outcome
    }

    /// Asks once. Returns `None` if the outcome is unknown, after a pause like that of a real client, in
    /// which an open statement can reach the database.
    fn ask(&mut self, request: &[u8]) -> Option<Answer> {
        let answer = self.try_once(request).ok().filter(|answer| !answer.is_failure());
        if answer.is_none() {
            self.dice.sleep(30..80);
        }
        answer
    }

    /// Asks until there is an answer.
    fn insist(&mut self, request: &[u8]) -> Insisted {
        let (mut unanswered, begun) = (0, Instant::now());
        loop {
            match self.try_once(request) {
                Ok(answer) if !answer.is_failure() => return Insisted { answer, unanswered },
                Err(Lost::NotSent) => {}
                Ok(_) | Err(Lost::Unknown) => unanswered += 1,
            }
            assert!(begun.elapsed() < PATIENCE, "no server answers any more");
            self.dice.sleep(30..80);
        }
    }

    /// Uses an assertion for an access token only.
    fn assertion(&mut self) {
        let assertion = Assertion::new(ASSERTIONS);
        let Insisted { answer, unanswered } = self.insist(&assertion.request);
        if answer.is_ok() {
            self.ledger.counts.assertions.one();
            self.ledger.keep_assertion(assertion.digest);
            if self.dice.once_in(4) {
                let again = self.insist(&assertion.request).answer;
                self.expect(again.is_invalid_grant(), "an assertion was taken twice", &again);
                self.ledger.counts.refused_assertions.one();
            }
        } else if unanswered > 0 {
            self.expect(answer.is_invalid_grant(), "an assertion that was sent again", &answer);
            self.ledger.counts.refused_assertions.one();
        } else {
            self.expect(false, "a fresh assertion was refused", &answer);
        }
    }

    /// Begins a family with an assertion.
    fn family(&mut self) -> Option<Family> {
        let assertion = Assertion::new(FAMILIES);
        let Insisted { answer, unanswered } = self.insist(&assertion.request);
        if answer.is_ok() {
            self.ledger.counts.families.one();
            self.ledger.keep_assertion(assertion.digest);
            return Some(Family::new(FAMILIES, &answer));
        }
        let refused = answer.is_invalid_grant() && unanswered > 0;
        self.expect(refused, "a fresh assertion was refused", &answer);
        self.ledger.counts.refused_assertions.one();
        None
    }

    /// Begins a family with a code.
    fn code(&mut self) -> Option<Family> {
        let index = self.dice.index(self.clients.len());
        self.ledger.counts.requests.one();
        let Ok(Some(code)) = self.sessions[index].code(&mut self.clients[index]) else {
            self.dice.sleep(30..80);
            return None;
        };
        let request = redeem(&code);
        let Insisted { answer, unanswered } = self.insist(&request);
        if !answer.is_ok() {
            let refused = answer.is_invalid_grant() && unanswered > 0;
            self.expect(refused, "a fresh code was refused", &answer);
            self.ledger.counts.refused_codes.one();
            return None;
        }
        self.ledger.counts.codes.one();
        let mut family = Family::new(CODES, &answer);
        if unanswered > 0 {
            // An earlier try may still reach the database, and is a replay then.
            family.fate = Fate::Doubtful;
        } else if self.dice.once_in(10) {
            let again = self.insist(&request).answer;
            self.expect(again.is_invalid_grant(), "a code was taken twice", &again);
            self.ledger.counts.refused_codes.one();
            self.ended(&mut family);
        }
        Some(family)
    }

    /// Refreshes for a while, and then revokes the family or leaves it.
    fn live(&mut self, mut family: Family) {
        for _ in 0..=self.dice.below(6) {
            if family.fate == Fate::Revoked || !self.refresh(&mut family) {
                return self.ledger.keep(family);
            }
        }
        match self.dice.below(8) {
            0..=1 => self.revoke(&mut family),
            2 => self.revoke_as_administrator(&mut family),
            3 => self.reuse(&mut family),
            _ => {}
        }
        self.ledger.keep(family);
    }

    /// Gets the next refresh token, with as many tries as that takes.
    fn refresh(&mut self, family: &mut Family) -> bool {
        let request = refresh(family.app, &family.token);
        let Insisted { answer, unanswered } = self.insist(&request);
        if !answer.is_ok() {
            if family.fate == Fate::Alive {
                let why = format!("refused within the grace, unanswered before: {unanswered}");
                self.expect(false, &format!("{why}, {}", family.grant), &answer);
            }
            family.fate = Fate::Doubtful;
            return false;
        }
        self.ledger.counts.refreshes.one();
        if unanswered > 0 {
            self.ledger.counts.recovered.one();
        }
        family.rotate(&answer);
        if unanswered == 0
            && self.dice.once_in(4)
            && let Some(again) = self.ask(&request)
        {
            let same = again.is_ok() && again.text("refresh_token") == family.token;
            if family.fate == Fate::Alive || again.is_ok() {
                self.expect(same, "a retry has another successor", &again);
            }
            self.ledger.counts.retries.one();
        }
        true
    }

    /// Revokes the family as its app (RFC 7009).
    fn revoke(&mut self, family: &mut Family) {
        let token = if self.dice.once_in(2) { &family.token } else { &family.access };
        let answer = self.insist(&revoke(family.app, token)).answer;
        self.expect(answer.is_ok(), "a revocation was refused", &answer);
        self.ledger.counts.revocations.one();
        self.ended(family);
    }

    fn revoke_as_administrator(&mut self, family: &mut Family) {
        if self.administrator.is_empty() {
            let token = self.insist(&administrator()).answer;
            self.administrator = token.text("access_token");
        }
        let request = order(&self.administrator, &json!({ "grant": family.grant }));
        let answer = self.insist(&request).answer;
        self.expect(answer.is_ok(), "a revocation was refused", &answer);
        self.ledger.counts.revocations.one();
        self.ended(family);
    }

    /// Presents an old refresh token, as a thief does, which revokes the family.
    fn reuse(&mut self, family: &mut Family) {
        let Some(stale) = family.stale.clone() else { return };
        let answer = self.insist(&refresh(family.app, &stale)).answer;
        self.expect(answer.is_invalid_grant(), "a spent refresh token was taken", &answer);
        self.ledger.counts.reuses.one();
        self.ended(family);
    }

    /// Checks that no token of the family works at any server.
    fn ended(&mut self, family: &mut Family) {
        family.fate = Fate::Revoked;
        if let Some(answer) = self.ask(&refresh(family.app, &family.token)) {
            self.expect(answer.is_invalid_grant(), "a family outlived its end", &answer);
        }
        if let Some(facts) = self.ask(&introspect(&family.access)) {
            let inactive = facts.is_ok() && facts.json()["active"] == false;
            self.expect(inactive, "an access token outlived its family", &facts);
        }
    }

    fn expect(&self, holds: bool, otherwise: &str, answer: &Answer) {
        if !holds {
            self.ledger.violation(format!("{otherwise}: {answer:?}"));
        }
    }
}
