//! What clients were answered, and whether it holds against the database in the end.

use std::collections::BTreeMap;
use std::sync::Mutex;

use super::apps::{grant_of, introspect, refresh};
use super::client::{Answer, Client, Lost};
use super::counts::Counts;
use super::oracle::Tables;
use super::sandbox::wait_until;
use super::servers::Servers;

/// How many families of each fate are tried over HTTP in the end.
const TRIED: usize = 200;

/// How a family stands, as far as its client was told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Fate {
    Alive,
    /// The revocation was answered.
    Revoked,
    /// A request that may end it was not answered.
    Doubtful,
}

/// A grant and the last that its client was given of it.
#[derive(Clone, Debug)]
pub(crate) struct Family {
    pub(crate) app: &'static str,
    pub(crate) grant: String,
    pub(crate) generation: i64,
    pub(crate) token: String,
    /// The refresh token before the one before.
    pub(crate) stale: Option<String>,
    pub(crate) previous: Option<String>,
    pub(crate) access: String,
    pub(crate) fate: Fate,
}

impl Family {
    /// As the first answer has it.
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

    /// The answer to a refresh.
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

/// What all clients write down.
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

    /// An assertion was answered with a token.
    pub(crate) fn keep_assertion(&self, digest: [u8; 32]) {
        self.assertions.lock().unwrap().push(digest);
    }

    /// Something happened that never may.
    pub(crate) fn violation(&self, what: String) {
        eprintln!("VIOLATION: {what}");
        self.counts.violations.one();
        self.violations.lock().unwrap().push(what);
    }

    /// Counts what came of a request, beside the tokens.
    pub(crate) fn count(&self, outcome: &Result<Answer, Lost>) {
        self.counts.requests.one();
        match outcome {
            Ok(answer) if answer.is_failure() => self.counts.failures.one(),
            Err(Lost::Unknown) => self.counts.lost.one(),
            Ok(_) | Err(Lost::NotSent) => {}
        }
    }

    /// Holds what was written down against the database and the servers, and forgets it.
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
            return self
                .violation(format!("the grant of an answer is not there: {}", family.grant));
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
            self.violation(format!("{id} is revoked, for its client knows not what"));
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

    /// Asks until there is an answer that is none of a trouble that has just ended.
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

    /// Says what was counted.
    pub(crate) fn report(&self, seed: u64) {
        eprintln!("GRANTOR_SEED={seed}\n{}", self.counts);
    }

    /// Fails if anything happened that never may.
    pub(crate) fn assert_clean(&self) {
        let violations = self.violations.lock().unwrap();
        assert!(violations.is_empty(), "{violations:#?}");
    }
}
