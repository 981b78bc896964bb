//! This library beside `oauth-as` and `oxide-auth`, in one process: CPU time and allocations of
//! each operation, and memory and speed up to a million grants.
//!
//! Figures are ratios to this library at the same layer. All libraries of a table take turns in
//! short rounds, timed by the CPU time of the thread. After each round every answer is verified.
//!
//! ```text
//! cargo run --release --manifest-path benches/peers/Cargo.toml --target-dir target --bin peers
//! cargo run …                                                                      --bin peers -- grow
//! ```
//!
//! `--json` prints one JSON object per line. `--library PART` measures the libraries with that part in
//! their names, and another argument the operations with it. `--rounds N` and `--grants N` change the
//! effort.
#![expect(
    clippy::missing_panics_doc,
    clippy::similar_names,
    reason = "a bench stops at the first failure"
)]

mod contest;
mod grantor_peer;
mod growth;
mod oauth_as_peer;
mod oxide_auth_peer;
mod peer;
mod token;

use std::collections::BTreeMap;

use contest::{AnyContest, Contest, Operation};
use grantor::jwt::Algorithm;
use oauth_as_peer::{OauthAs, Tokens};
use oxide_auth_peer::OxideAuth;

/// The approximate CPU time of a round.
const ROUND_NS: f64 = 2_000_000.0;

/// A library with its configuration.
struct Contestant {
    name: &'static str,
    /// The contestant that this one is divided by.
    base: &'static str,
    make: fn() -> Box<dyn AnyContest>,
    operations: &'static [Operation],
}

const ENDPOINTS: &[Operation] =
    &[Operation::Code, Operation::Refresh, Operation::ClientCredentials, Operation::Introspection];
const ENDPOINTS_OF_OXIDE: &[Operation] =
    &[Operation::Code, Operation::Refresh, Operation::ClientCredentials];
const CHECK: &[Operation] = &[Operation::Check];

const HTTP_ES256: &str = "grantor, http types, ES256";
const HTTP_HS256: &str = "grantor, http types, HS256";
const TEXT_HS256: &str = "grantor, text, HS256";
const CACHED: &str = "grantor, ES256 verified before";

macro_rules! make {
    ($peer:expr) => {
        || Box::new(Contest::new($peer))
    };
}

const CONTESTANTS: [Contestant; 11] = [
    Contestant {
        name: HTTP_ES256,
        base: HTTP_ES256,
        make: make!(grantor_peer::Http::new(Algorithm::ES256)),
        operations: ENDPOINTS,
    },
    Contestant {
        name: "oauth-as, http types, ES256 by ring",
        base: HTTP_ES256,
        make: make!(OauthAs::new(Tokens::Ring)),
        operations: ENDPOINTS,
    },
    Contestant {
        name: "oauth-as, http types, ES256 as shipped",
        base: HTTP_ES256,
        make: make!(OauthAs::new(Tokens::BuiltIn)),
        operations: ENDPOINTS,
    },
    Contestant {
        name: HTTP_HS256,
        base: HTTP_HS256,
        make: make!(grantor_peer::Http::new(Algorithm::HS256)),
        operations: ENDPOINTS,
    },
    Contestant {
        name: "oauth-as, http types, opaque",
        base: HTTP_HS256,
        make: make!(OauthAs::new(Tokens::Opaque)),
        operations: ENDPOINTS,
    },
    Contestant {
        name: TEXT_HS256,
        base: TEXT_HS256,
        make: make!(grantor_peer::Text::new(Algorithm::HS256)),
        operations: ENDPOINTS,
    },
    Contestant {
        name: "oxide-auth, text, opaque",
        base: TEXT_HS256,
        make: make!(OxideAuth::new()),
        operations: ENDPOINTS_OF_OXIDE,
    },
    Contestant {
        name: CACHED,
        base: CACHED,
        make: make!(grantor_peer::Text::caching(Algorithm::ES256, 4_096)),
        operations: CHECK,
    },
    Contestant {
        name: "grantor, ES256 verified each time",
        base: CACHED,
        make: make!(grantor_peer::Text::new(Algorithm::ES256)),
        operations: CHECK,
    },
    Contestant {
        name: "oauth-as, look-up of an opaque token",
        base: CACHED,
        make: make!(OauthAs::new(Tokens::Opaque)),
        operations: CHECK,
    },
    Contestant {
        name: "oxide-auth, look-up of an opaque token",
        base: CACHED,
        make: make!(OxideAuth::new()),
        operations: CHECK,
    },
];

/// The arguments of the program.
struct Options {
    json: bool,
    rounds: usize,
    grants: usize,
    /// A part of the names of the libraries to measure.
    library: String,
    /// Parts of the names of the operations to measure; all if it is empty.
    words: Vec<String>,
}

impl Options {
    fn read(arguments: impl Iterator<Item = String>) -> Self {
        let mut options = Self {
            json: false,
            rounds: 101,
            grants: 1_000_000,
            library: String::new(),
            words: Vec::new(),
        };
        let mut arguments = arguments;
        while let Some(argument) = arguments.next() {
            let mut value = || arguments.next().expect("a value");
            match argument.as_str() {
                "--json" => options.json = true,
                "--rounds" => options.rounds = value().parse().unwrap(),
                "--grants" => options.grants = value().parse().unwrap(),
                "--library" => options.library = value(),
                _ => options.words.push(argument),
            }
        }
        options
    }
}

fn main() {
    let options = Options::read(std::env::args().skip(1));
    match options.words.first().map(String::as_str) {
        Some("grow") => growth::run(&options),
        Some("grow-one") => growth::grow(&options.library, options.grants),
        _ => operations(&options),
    }
}

fn median(values: &mut [f64]) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

/// Returns the quartiles of `values`, which are sorted.
fn quartiles(values: &[f64]) -> [f64; 2] {
    [values[values.len() / 4], values[values.len() * 3 / 4]]
}

fn operations(Options { json, rounds, library, words, .. }: &Options) {
    if !json {
        println!("| operation | library | x grantor | quartiles | us | allocations | bytes |");
        println!("| --- | --- | --: | --: | --: | --: | --: |");
    }
    for operation in Operation::ALL {
        if !words.is_empty() && !words.iter().any(|it| operation.name().contains(it.as_str())) {
            continue;
        }
        // A library needs its base.
        let bases = CONTESTANTS.iter().filter(|it| it.name.contains(library.as_str()));
        let bases: Vec<&str> = bases.map(|it| it.base).collect();
        let mut running: Vec<_> = CONTESTANTS
            .iter()
            .filter(|it| it.operations.contains(&operation))
            .filter(|it| it.name.contains(library.as_str()) || bases.contains(&it.name))
            .map(|it| {
                let mut contest = (it.make)();
                contest.round(operation, 20);
                let trial = contest.round(operation, 50);
                let n = ROUND_NS / (trial.ns / 50.0).max(20.0);
                #[expect(
                    clippy::cast_possible_truncation,
                    clippy::cast_sign_loss,
                    reason = "it is small and positive"
                )]
                let n = (n as usize).clamp(10, 2_000);
                (it, contest, n, Vec::new())
            })
            .collect();
        for _ in 0..*rounds {
            for (_, contest, n, times) in &mut running {
                let round = contest.round(operation, *n);
                #[expect(clippy::cast_precision_loss, reason = "figures are rounded")]
                times.push(round.ns / round.operations as f64);
            }
        }
        let times: BTreeMap<&str, Vec<f64>> =
            running.iter().map(|(it, _, _, times)| (it.name, times.clone())).collect();
        for (it, mut contest, _, mut own) in running {
            // Each lap is a pair of neighbouring rounds.
            let mut ratios: Vec<f64> =
                own.iter().zip(&times[it.base]).map(|(own, base)| own / base).collect();
            let ratio = median(&mut ratios);
            let [low, high] = quartiles(&ratios);
            let us = median(&mut own) / 1_000.0;
            let (allocations, bytes) = contest.allocations(operation);
            let name = operation.name();
            if *json {
                let line = serde_json::json!({
                    "operation": name, "library": it.name, "base": it.base, "ratio": rounded(ratio),
                    "quartiles": [rounded(low), rounded(high)], "us": rounded(us),
                    "allocations": allocations, "bytes": bytes,
                });
                println!("{line}");
            } else {
                println!(
                    "| {name} | {} | {ratio:.2} | {low:.2} – {high:.2} | {us:.2} | {allocations} | {bytes} |",
                    it.name
                );
            }
        }
    }
}

fn rounded(value: f64) -> f64 {
    (value * 1_000.0).round() / 1_000.0
}
