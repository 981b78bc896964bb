//! The answers that clients got, and a check of them against the database.

use std::collections::BTreeMap;
use std::sync::Mutex;

use super::apps::{grant_of, introspect, refresh};
use super::client::{Answer, Client, Lost};
use super::counts::Counts;
use super::oracle::Tables;
use super::sandbox::wait_until;
use super::servers::Servers;

/// The families of each fate that a check tries over HTTP.
const TRIED: usize = 200;

/// The state of a family as its client knows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Fate {
    Alive,
    /// The revocation was answered.
    Revoked,
    /// A request that may revoke it was not answered.
    Doubtful,
}

/// A grant with the latest tokens that its client has.
#[derive(Clone, Debug)]
pub(crate) struct Family {
    pub(crate) app: &'static str,
    pub(crate) grant: String,
    pub(crate) generation: i64,
    pub(crate) token: String,
    /// The refresh token before the previous one.
    pub(crate) stale: Option<String>,
    pub(crate) previous: Option<String>,
    pub(crate) access: String,
    pub(crate) fate: Fate,
}

impl Family {
    /// Creates a family from the first answer.
    pub(crate) fn new(app: &'static str, answer: &Answer) -> Self {
        let access = answer.text("access_token");
        Self {
            app,
            grant: grant_of(&access),
            generation: 1,
            token: answer.text("refresh_token"),
            stale: None,
            previous: None,
            access,
            fate: Fate::Alive,
        }
    }

    /// Takes the tokens of a refresh.
    pub(crate) fn rotate(&mut self, answer: &Answer) {
        self.stale = self.previous.replace(std::mem::take(&mut self.token));
        self.token = answer.text("refresh_token");
        self.access = answer.text("access_token");
        self.generation += 1;
    }

    pub(crate) fn with_fate(mut self, fate: Fate) -> Self {
        self.fate = fate;
        self
    }
}

/// The records of all clients.
#[derive(Default)]
pub(crate) struct Ledger {
    pub(crate) counts: Counts,
    families: Mutex<Vec<Family>>,
    assertions: Mutex<Vec<[u8; 32]>>,
    violations: Mutex<Vec<String>>,
}

impl Ledger {
    pub(crate) fn keep(&self, family: Family) {
        self.families.lock().unwrap().push(family);
    }

    /// Records an assertion that was answered with a token.
    pub(crate) fn keep_assertion(&self, digest: [u8; 32]) {
        self.assertions.lock().unwrap().push(digest);
    }

    /// Records an event that must never happen.
    pub(crate) fn violation(&self, event: String) {
        eprintln!("VIOLATION: {event}");
        self.counts.violations.one();
        self.violations.lock().unwrap().push(event);
    }

    /// Counts the outcome of a request, apart from tokens.
    pub(crate) fn count(&self, outcome: &Result<Answer, Lost>) {
        self.counts.requests.one();
        match outcome {
            Ok(answer) if answer.is_failure() => self.counts.failures.one(),
            Err(Lost::Unknown) => self.counts.lost.one(),
            Ok(_) | Err(Lost::NotSent) => {}
        }
    }

    /// Checks the records against the database and the servers, and clears them.
    pub(crate) fn check(&self, tables: &Tables, servers: &Servers) {
        let families = std::mem::take(&mut *self.families.lock().unwrap());
        for digest in self.assertions.lock().unwrap().drain(..) {
            if !tables.has_assertion(&digest) {
                self.violation("a token was answered for an assertion that is not spent".into());
            }
        }
        for family in &families {
            self.check_row(family, tables);
        }
        let mut by_fate: BTreeMap<Fate, Vec<Family>> = BTreeMap::new();
        for family in families {
            by_fate.entry(family.fate).or_default().push(family);
        }
        let mut clients = servers.clients();
        for fate in [Fate::Revoked, Fate::Alive] {
            let all = by_fate.remove(&fate).unwrap_or_default();
            let step = all.len().div_ceil(TRIED).max(1);
            for (number, family) in all.into_iter().step_by(step).enumerate() {
                let client = &mut clients[number % servers.len()];
                self.check_alive(client, &family, fate == Fate::Alive);
            }
        }
    }

    fn check_row(&self, family: &Family, tables: &Tables) {
        let Some(row) = tables.grant(&family.grant) else {
            return self.violation(format!("the grant of an answer is missing: {}", family.grant));
        };
        let (id, is_revoked) = (&family.grant, tables.is_revoked(&family.grant));
        if row.generation < family.generation {
            let (found, answered) = (row.generation, family.generation);
            self.violation(format!("{id} is at generation {found}, answered was {answered}"));
        }
        if family.fate == Fate::Revoked && !is_revoked {
            self.violation(format!("{id} was revoked and is not"));
        }
        if family.fate == Fate::Alive && is_revoked {
            self.violation(format!("{id} is revoked, without a reason that its client knows"));
        }
    }

    fn check_alive(&self, client: &mut Client, family: &Family, alive: bool) {
        let id = &family.grant;
        let facts = self.insist(client, &introspect(&family.access));
        if facts.json()["active"] != alive {
            self.violation(format!("alive is {alive}, introspected of {id}: {facts:?}"));
        }
        let answer = self.insist(client, &refresh(family.app, &family.token));
        let expected = if alive { answer.is_ok() } else { answer.is_invalid_grant() };
        if !expected {
            self.violation(format!("alive is {alive}, refreshed of {id}: {answer:?}"));
        }
    }

    /// Asks until there is an answer other than a failure, after trouble that has just ended.
    pub(crate) fn insist(&self, client: &mut Client, request: &[u8]) -> Answer {
        let mut answer = None;
        wait_until("the servers have recovered", || {
            let outcome = client.request(request);
            self.count(&outcome);
            answer = outcome.ok().filter(|answer| !answer.is_failure());
            answer.is_some()
        });
        answer.unwrap()
    }

    /// Prints the counters.
    pub(crate) fn report(&self, seed: u64) {
        eprintln!("GRANTOR_SEED={seed}\n{}", self.counts);
    }

    /// Panics if there was a violation.
    pub(crate) fn assert_clean(&self) {
        let violations = self.violations.lock().unwrap();
        assert!(violations.is_empty(), "{violations:#?}");
    }
}
