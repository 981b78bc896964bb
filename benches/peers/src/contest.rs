//! Rounds of an operation, timed by the CPU time of the thread.

use std::collections::VecDeque;
use std::hint::black_box;

use cpu_time::ThreadTime;

use crate::peer::{Ask, Peer, code_of, field};

/// An operation.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Operation {
    /// An authorization request without a prompt, and the redemption of its code.
    Code,
    /// A refresh that rotates the refresh token.
    Refresh,
    ClientCredentials,
    /// An introspection request (RFC 7662) for an access token.
    Introspection,
    /// The check of a bearer token at an API in the process of the server.
    Check,
}

impl Operation {
    pub(crate) const ALL: [Self; 5] =
        [Self::Code, Self::Refresh, Self::ClientCredentials, Self::Introspection, Self::Check];

    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Code => "authorize + redeem",
            Self::Refresh => "refresh",
            Self::ClientCredentials => "client credentials",
            Self::Introspection => "introspection",
            Self::Check => "bearer check",
        }
    }
}

/// The grants between two sweeps.
const SWEEP: usize = 50_000;

/// A server under load, and what its client holds.
pub(crate) struct Contest<P> {
    peer: P,
    users: usize,
    /// Live refresh tokens, oldest first.
    refresh_tokens: VecDeque<String>,
    /// Live access tokens.
    access_tokens: Vec<String>,
}

/// The CPU time of one round.
#[derive(Clone, Copy)]
pub(crate) struct Round {
    pub(crate) ns: f64,
    pub(crate) operations: usize,
}

/// The cost of new grants.
#[derive(Clone, Copy, Default)]
pub(crate) struct Growth {
    /// The bytes that the server has requested for them and not given back.
    pub(crate) bytes: i64,
    /// The CPU time of all requests, in nanoseconds.
    pub(crate) ns: f64,
    /// The CPU time of the longest request, in nanoseconds.
    pub(crate) longest_ns: f64,
}

impl Growth {
    fn time<O>(&mut self, work: impl FnOnce() -> O) -> O {
        let start = ThreadTime::now();
        let output = work();
        let ns = start.elapsed().as_secs_f64() * 1e9;
        self.ns += ns;
        self.longest_ns = self.longest_ns.max(ns);
        output
    }
}

/// Runs `work` for each of `inputs`, and returns the CPU time in nanoseconds.
fn timed<I, O>(inputs: Vec<I>, mut work: impl FnMut(I) -> O) -> (f64, Vec<O>) {
    let mut outputs = Vec::with_capacity(inputs.len());
    let start = ThreadTime::now();
    for input in inputs {
        outputs.push(black_box(work(black_box(input))));
    }
    #[expect(clippy::cast_precision_loss, reason = "figures are rounded")]
    let ns = start.elapsed().as_nanos() as f64;
    (ns, outputs)
}

impl<P: Peer> Contest<P> {
    pub(crate) fn new(peer: P) -> Self {
        Self { peer, users: 0, refresh_tokens: VecDeque::new(), access_tokens: Vec::new() }
    }

    /// Returns a new user with a name of 36 characters, as long as a UUID.
    fn new_user(&mut self) -> String {
        self.users += 1;
        format!("user-{:031}", self.users)
    }

    /// Authorizes and redeems `n` times. Verifies every access token.
    fn code(&mut self, n: usize) -> (f64, Vec<String>) {
        let users: Vec<String> = (0..n).map(|_| self.new_user()).collect();
        let requests = users.iter().map(|user| self.peer.authorization(user)).collect();
        let (authorizing, redirects) = timed(requests, |request| self.peer.answer(request));
        let requests = redirects.into_iter().map(|redirect| {
            let code = code_of(&P::text(redirect));
            self.peer.request(Ask::Redeem { code: &code })
        });
        let requests = requests.collect();
        let (redeeming, answers) = timed(requests, |request| self.peer.answer(request));
        let answers: Vec<String> = answers.into_iter().map(P::text).collect();
        for (answer, user) in answers.iter().zip(&users) {
            assert_eq!(self.peer.subject(&field(answer, "access_token")), *user);
        }
        (authorizing + redeeming, answers)
    }

    fn refresh(&mut self, n: usize) -> f64 {
        while self.refresh_tokens.len() < n {
            let missing = n - self.refresh_tokens.len();
            let (_, answers) = self.code(missing);
            self.refresh_tokens.extend(answers.iter().map(|it| field(it, "refresh_token")));
        }
        let spent: Vec<String> = self.refresh_tokens.drain(..n).collect();
        let requests = spent.iter().map(|token| self.peer.request(Ask::Refresh { token }));
        let requests = requests.collect();
        let (ns, answers) = timed(requests, |request| self.peer.answer(request));
        for (answer, spent) in answers.into_iter().zip(spent) {
            let answer = P::text(answer);
            assert!(self.peer.subject(&field(&answer, "access_token")).starts_with("user-"));
            let successor = field(&answer, "refresh_token");
            assert_ne!(successor, spent, "the refresh token has to rotate");
            self.refresh_tokens.push_back(successor);
        }
        ns
    }

    fn client_credentials(&mut self, n: usize) -> f64 {
        let requests = (0..n).map(|_| self.peer.request(Ask::ClientCredentials)).collect();
        let (ns, answers) = timed(requests, |request| self.peer.answer(request));
        for answer in answers {
            let token = field(&P::text(answer), "access_token");
            assert!(!self.peer.subject(&token).starts_with("user-"));
        }
        ns
    }

    /// Returns `n` live access tokens, of at most 2,000 grants.
    fn live_tokens(&mut self, n: usize) -> Vec<String> {
        let wanted = n.min(2_000);
        while self.access_tokens.len() < wanted {
            let (_, answers) = self.code(wanted - self.access_tokens.len());
            self.access_tokens.extend(answers.iter().map(|it| field(it, "access_token")));
        }
        self.access_tokens.iter().take(wanted).cycle().take(n).cloned().collect()
    }

    fn introspection(&mut self, n: usize) -> f64 {
        let tokens = self.live_tokens(n);
        let requests = tokens.iter().map(|token| self.peer.request(Ask::Introspect { token }));
        let requests = requests.collect();
        let (ns, answers) = timed(requests, |request| self.peer.answer(request));
        for answer in answers {
            let answer: serde_json::Value = serde_json::from_str(&P::text(answer)).unwrap();
            assert_eq!(answer["active"], true);
            assert!(answer["sub"].as_str().unwrap().starts_with("user-"));
        }
        ns
    }

    fn check(&mut self, n: usize) -> f64 {
        let tokens = self.live_tokens(n);
        let headers: Vec<String> = tokens.iter().map(|it| format!("Bearer {it}")).collect();
        let mut changed = headers[0].clone();
        changed.insert(changed.len() / 2, 'A');
        assert!(!self.peer.check(&changed), "a token that was changed");
        let (ns, answers) = timed(headers, |header| self.peer.check(&header));
        assert!(answers.into_iter().all(|good| good));
        ns
    }

    /// Runs `operation` `n` times. Every answer is verified after the measured part.
    pub(crate) fn round(&mut self, operation: Operation, n: usize) -> Round {
        let ns = match operation {
            Operation::Code => self.code(n).0,
            Operation::Refresh => self.refresh(n),
            Operation::ClientCredentials => self.client_credentials(n),
            Operation::Introspection => self.introspection(n),
            Operation::Check => self.check(n),
        };
        Round { ns, operations: n }
    }

    /// Returns the allocations and the requested bytes of one operation.
    pub(crate) fn allocations(&mut self, operation: Operation) -> (u64, u64) {
        let mut inner = || match operation {
            Operation::Code => {
                let user = self.new_user();
                let request = self.peer.authorization(&user);
                let mut redirect = None;
                let first = allocation_counter::measure(|| {
                    redirect = Some(self.peer.answer(request));
                });
                let code = code_of(&P::text(redirect.expect("an answer")));
                let request = self.peer.request(Ask::Redeem { code: &code });
                let second = measured(&mut self.peer, request);
                (first.count_total + second.0, first.bytes_total + second.1)
            }
            Operation::Refresh => {
                self.refresh(1);
                let token = self.refresh_tokens.pop_front().expect("a live token");
                let request = self.peer.request(Ask::Refresh { token: &token });
                measured(&mut self.peer, request)
            }
            Operation::ClientCredentials => {
                let request = self.peer.request(Ask::ClientCredentials);
                measured(&mut self.peer, request)
            }
            Operation::Introspection => {
                let token = self.live_tokens(1).remove(0);
                let request = self.peer.request(Ask::Introspect { token: &token });
                measured(&mut self.peer, request)
            }
            Operation::Check => {
                let header = format!("Bearer {}", self.live_tokens(1)[0]);
                let info = allocation_counter::measure(|| {
                    assert!(self.peer.check(&header));
                });
                (info.count_total, info.bytes_total)
            }
        };
        // Tables grow once in a while, so the median counts.
        let mut counts: Vec<(u64, u64)> = (0..51).map(|_| inner()).collect();
        counts.sort_unstable();
        counts[counts.len() / 2]
    }

    /// Adds `n` live grants and keeps every `keep`th refresh token.
    pub(crate) fn grow(&mut self, n: usize, keep: usize) -> Growth {
        let mut growth = Growth::default();
        self.refresh_tokens.reserve(n / keep + 1);
        let kept = self.refresh_tokens.len();
        let info = allocation_counter::measure(|| {
            for index in 0..n {
                let user = self.new_user();
                let request = self.peer.authorization(&user);
                let redirect = growth.time(|| self.peer.answer(request));
                let code = code_of(&P::text(redirect));
                let request = self.peer.request(Ask::Redeem { code: &code });
                let answer = growth.time(|| self.peer.answer(request));
                let answer = P::text(answer);
                if index % keep == 0 {
                    self.refresh_tokens.push_back(field(&answer, "refresh_token"));
                }
                drop(answer);
                if index + 1 == n || index % SWEEP == SWEEP - 1 {
                    self.peer.sweep();
                }
            }
        });
        // The client holds these.
        let tokens = self.refresh_tokens.iter().skip(kept).map(String::capacity).sum::<usize>();
        growth.bytes = info.bytes_current - i64::try_from(tokens).unwrap_or_default();
        growth
    }

    /// Refreshes `n` times, each timed alone, with the oldest tokens. Returns the times in nanoseconds, sorted.
    pub(crate) fn single_refreshes(&mut self, n: usize) -> Vec<f64> {
        let mut times: Vec<f64> = (0..n).map(|_| self.refresh(1)).collect();
        times.sort_by(f64::total_cmp);
        times
    }

    /// Presents refresh tokens that were replaced twice, `n` times. Returns the times in nanoseconds, sorted.
    pub(crate) fn reuses(&mut self, n: usize) -> Vec<f64> {
        let mut once = || {
            let token = self.refresh_tokens.pop_front().expect("a live token");
            let mut live = token.clone();
            for _ in 0..2 {
                let request = self.peer.request(Ask::Refresh { token: &live });
                live = field(&P::text(self.peer.answer(request)), "refresh_token");
            }
            let request = self.peer.request(Ask::Refresh { token: &token });
            let (ns, answers) = timed(vec![request], |request| self.peer.answer(request));
            for answer in answers {
                assert_eq!(field(&P::text(answer), "error"), "invalid_grant");
            }
            ns
        };
        let mut times: Vec<f64> = (0..n).map(|_| once()).collect();
        times.sort_by(f64::total_cmp);
        times
    }
}

/// Returns the allocations and bytes of one answer.
fn measured<P: Peer>(peer: &mut P, request: P::Request) -> (u64, u64) {
    let mut answer = None;
    let info = allocation_counter::measure(|| answer = Some(peer.answer(request)));
    drop(P::text(answer.expect("an answer")));
    (info.count_total, info.bytes_total)
}

/// A contest of any library.
pub(crate) trait AnyContest {
    fn round(&mut self, operation: Operation, n: usize) -> Round;
    fn allocations(&mut self, operation: Operation) -> (u64, u64);
    fn grow(&mut self, n: usize, keep: usize) -> Growth;
    fn single_refreshes(&mut self, n: usize) -> Vec<f64>;
    fn reuses(&mut self, n: usize) -> Vec<f64>;
}

impl<P: Peer> AnyContest for Contest<P> {
    fn round(&mut self, operation: Operation, n: usize) -> Round {
        self.round(operation, n)
    }

    fn allocations(&mut self, operation: Operation) -> (u64, u64) {
        self.allocations(operation)
    }

    fn grow(&mut self, n: usize, keep: usize) -> Growth {
        self.grow(n, keep)
    }

    fn single_refreshes(&mut self, n: usize) -> Vec<f64> {
        self.single_refreshes(n)
    }
    fn reuses(&mut self, n: usize) -> Vec<f64> {
        self.reuses(n)
    }
}
