//! The cost of the server relative to the work that it cannot avoid: the bare signature of the same
//! bytes.
//!
//! Work and floor alternate in short rounds in one process, timed by the CPU time of the thread.
//! The medians are stable on a noisy machine. Run `cargo bench --bench ratios` for a table, or with
//! `-- --json` for one JSON object per line.
#![expect(clippy::unwrap_used, reason = "a bench stops at the first failure")]
#![expect(clippy::print_stdout, reason = "a bench prints its figures")]
#![expect(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "figures are rounded"
)]

#[expect(dead_code, reason = "another bench uses more of it")]
mod common;
#[path = "../tests/support/mod.rs"]
#[expect(dead_code, unused_imports, reason = "the tests use more of it")]
#[expect(clippy::panic, clippy::indexing_slicing, reason = "a bench stops at the first failure")]
mod support;

use std::hint::black_box;

use cpu_time::ThreadTime;
use grantor::MemoryStore;
use grantor::jwt::Algorithm;
use grantor::secret::ClientSecret;
use grantor::store::AnyStore;
use grantor::test_kit::measure::SecretCheck;

use common::evidence::{Evidence, Kind, verification};
use common::floor::Floor;
use common::world::{self, World, now};

/// The approximate CPU time of a round.
const ROUND_NS: u64 = 200_000;
const ROUNDS: usize = 201;

/// A row of the table.
struct Figure {
    name: &'static str,
    ns: f64,
    floor_ns: f64,
    allocations: f64,
}

/// Times `work` against `floor`. `prepare` makes the inputs of each outside the timed part.
fn figure<I, O>(
    name: &'static str,
    mut prepare: impl FnMut(usize) -> Vec<I>,
    mut work: impl FnMut(I) -> O,
    mut finish: impl FnMut(Vec<O>),
    mut floor: impl FnMut(),
) -> Figure {
    let mut outputs = Vec::new();
    // Allocations are counted separately, because counting takes time.
    let inputs = prepare(50);
    outputs.reserve(50);
    let counted = allocation_counter::measure(|| {
        for input in inputs {
            outputs.push(black_box(work(black_box(input))));
        }
    });
    let allocations = counted.count_total as f64 / 50.0;
    finish(std::mem::take(&mut outputs));
    let mut timed = |n: usize| {
        let inputs = prepare(n);
        let mut outputs = Vec::with_capacity(n);
        let start = ThreadTime::now();
        for input in inputs {
            outputs.push(black_box(work(black_box(input))));
        }
        let ns = start.elapsed().as_nanos() as f64 / n as f64;
        finish(outputs);
        ns
    };
    let mut floored = |n: usize| {
        let start = ThreadTime::now();
        for _ in 0..n {
            floor();
        }
        start.elapsed().as_nanos() as f64 / n as f64
    };
    // Warms up, and determines the number of iterations per round.
    let warm = timed(50);
    let n = ((ROUND_NS as f64 / warm.max(20.0)) as usize).clamp(20, 5_000);
    let floor_n = ((ROUND_NS as f64 / floored(200).max(20.0)) as usize).clamp(20, 20_000);
    let (mut ns, mut floors) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        floors.push(floored(floor_n));
        ns.push(timed(n));
    }
    Figure { name, ns: median(&mut ns), floor_ns: median(&mut floors), allocations }
}

fn median(values: &mut [f64]) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or_default()
}

/// Measures work that needs no input.
fn plain<O>(name: &'static str, mut work: impl FnMut() -> O, floor: impl FnMut()) -> Figure {
    figure(name, |n| vec![(); n], move |()| work(), drop, floor)
}

fn issue(name: &'static str, algorithm: Algorithm) -> Figure {
    let tokens = world::access_tokens(algorithm);
    let floor = Floor::sign(algorithm, world::signed_part(&world::token(algorithm).0));
    let now = now();
    plain(name, || tokens.issue(now), || floor.run())
}

fn verify(name: &'static str, algorithm: Algorithm) -> Figure {
    let (token, header) = world::token(algorithm);
    let floor = Floor::verify(algorithm, &token);
    let verifier = world::verifier(algorithm, 0);
    plain(name, || verifier.check(Some(header.as_str())).unwrap(), || floor.run())
}

fn refresh() -> Figure {
    let world = World::new(Algorithm::HS256);
    let pool = std::cell::RefCell::new(Vec::new());
    let example = world.authorize_and_redeem();
    let floor = world.floor_of(&example);
    figure(
        "grant/refresh/HS256",
        |n| {
            let mut pool = pool.borrow_mut();
            while pool.len() < n {
                pool.push(world.refresh_form(&world.authorize_and_redeem()));
            }
            pool.drain(..n).collect::<Vec<String>>()
        },
        |form| world.token(&form),
        |answers| pool.borrow_mut().extend(answers.iter().map(|json| world.refresh_form(json))),
        || floor.run(),
    )
}

/// A refresh over a store that was chosen at run time, relative to one over the same store.
fn any_store() -> Figure {
    let memory = World::new(Algorithm::HS256);
    let any = World::over(AnyStore::from(MemoryStore::new()), Algorithm::HS256);
    let (mut last, mut last_of_any) = (memory.authorize_and_redeem(), any.authorize_and_redeem());
    plain(
        "any_store/refresh/HS256",
        || last_of_any = any.token(&any.refresh_form(&last_of_any)),
        || last = memory.token(&memory.refresh_form(&last)),
    )
}

/// A refresh on a device that was seen today, relative to one of an app without devices.
fn devices() -> Figure {
    let without = World::new(Algorithm::HS256);
    let with = World::with_a_device(Algorithm::HS256);
    let (mut last, mut last_of_device) =
        (without.authorize_and_redeem(), with.authorize_and_redeem());
    plain(
        "devices/refresh/HS256",
        || last_of_device = with.token(&with.refresh_form(&last_of_device)),
        || last = without.token(&without.refresh_form(&last)),
    )
}

/// A refresh of an app that describes itself, relative to one of the same app after an administrator has adopted it.
fn described() -> Figure {
    let described = World::with_a_document(Algorithm::HS256, false);
    let adopted = World::with_a_document(Algorithm::HS256, true);
    let (mut last, mut last_of_adopted) =
        (described.authorize_and_redeem(), adopted.authorize_and_redeem());
    plain(
        "described/refresh/HS256",
        || last = described.token(&described.refresh_form(&last)),
        || last_of_adopted = adopted.token(&adopted.refresh_form(&last_of_adopted)),
    )
}

fn client_credentials() -> Figure {
    let world = World::new(Algorithm::HS256);
    let form = world.client_credentials_form();
    let floor = world.floor_of(&world.token(&form));
    plain("grant/client_credentials/HS256", || world.token(&form), || floor.run())
}

fn jwt_bearer() -> Figure {
    let world = World::new(Algorithm::ES256);
    // Repeated verification of one signature is faster than of new ones, because its branches are
    // predicted. So the inputs are new, as on a server.
    let examples: Vec<String> = (0..500).map(|_| world.jwt_bearer_form()).collect();
    let verify: Vec<Floor> = examples
        .iter()
        .map(|form| Floor::verify(Algorithm::ES256, world::assertion_of(form)))
        .collect();
    let sign = world.floor_of(&world.token(&world.jwt_bearer_form()));
    let mut verify = verify.iter().cycle();
    figure(
        "grant/jwt_bearer/ES256",
        |n| (0..n).map(|_| world.jwt_bearer_form()).collect::<Vec<String>>(),
        |form| world.token(&form),
        drop,
        || {
            verify.next().unwrap().run();
            sign.run();
        },
    )
}

/// A token request with evidence of a trusted issuer, or the exchange of an access token of this server.
fn evidence(name: &'static str, kind: Kind) -> Figure {
    let server = Evidence::new();
    let verify: Vec<Floor> = (0..500).map(|_| verification(&server.form(kind))).collect();
    let example = server.token(&server.form(kind));
    let token = example.split('"').nth(3).unwrap();
    let sign = Floor::sign(Algorithm::ES256, world::signed_part(token));
    let mut verify = verify.iter().cycle();
    figure(
        name,
        |n| (0..n).map(|_| server.form(kind)).collect::<Vec<String>>(),
        |form| server.token(&form),
        drop,
        || {
            verify.next().unwrap().run();
            sign.run();
        },
    )
}

fn authorization_code() -> Figure {
    let world = World::new(Algorithm::HS256);
    let floor = world.floor_of(&world.authorize_and_redeem());
    figure(
        "grant/authorization_code/HS256",
        |n| (0..n).map(|_| world.code_form(&world.authorize())).collect::<Vec<String>>(),
        |form| world.token(&form),
        drop,
        || floor.run(),
    )
}

fn cycle() -> Figure {
    let world = World::new(Algorithm::HS256);
    let floor = world.floor_of(&world.authorize_and_redeem());
    plain(
        "cycle/authorize_redeem_refresh/HS256",
        || {
            let redeemed = world.authorize_and_redeem();
            world.token(&world.refresh_form(&redeemed))
        },
        || {
            floor.run();
            floor.run();
        },
    )
}

fn cached_check() -> Figure {
    let (token, header) = world::token(Algorithm::ES256);
    let floor = Floor::verify(Algorithm::ES256, &token);
    let verifier = world::verifier(Algorithm::ES256, 1_000);
    plain(
        "check/cached",
        || verifier.authorize("GET", "/files/42", Some(header.as_str())).unwrap(),
        || floor.run(),
    )
}

fn client_secret() -> Figure {
    let text = "gcs_DpJqBHo9y6H0uS6zhRfkF8ZQyGkpQO8W5s7aGq3u0aA";
    let check = SecretCheck::new(
        &world::server_secret(),
        &grantor::Issuer::new(world::ISSUER).unwrap(),
        world::client_id(),
        &ClientSecret::new(text),
    );
    let floor = Floor::hmac(text.as_bytes());
    plain("client_secret", || assert!(check.check(&ClientSecret::new(text), now())), || floor.run())
}

/// The name of a figure and the function that measures it.
type Measured = (&'static str, fn() -> Figure);

const FIGURES: [Measured; 20] = [
    ("issue/ES256", || issue("issue/ES256", Algorithm::ES256)),
    ("issue/EdDSA", || issue("issue/EdDSA", Algorithm::EdDSA)),
    ("issue/RS256", || issue("issue/RS256", Algorithm::RS256)),
    ("issue/HS256", || issue("issue/HS256", Algorithm::HS256)),
    ("verify/ES256", || verify("verify/ES256", Algorithm::ES256)),
    ("verify/HS256", || verify("verify/HS256", Algorithm::HS256)),
    ("grant/refresh/HS256", refresh),
    ("any_store/refresh/HS256", any_store),
    ("devices/refresh/HS256", devices),
    ("described/refresh/HS256", described),
    ("grant/client_credentials/HS256", client_credentials),
    ("grant/jwt_bearer/ES256", jwt_bearer),
    ("evidence/id_jag/ES256", || evidence("evidence/id_jag/ES256", Kind::IdJag)),
    ("evidence/workload/ES256", || evidence("evidence/workload/ES256", Kind::Workload)),
    ("exchange/access_token/ES256", || evidence("exchange/access_token/ES256", Kind::AccessToken)),
    ("exchange/issuer/ES256", || evidence("exchange/issuer/ES256", Kind::SubjectToken)),
    ("grant/authorization_code/HS256", authorization_code),
    ("cycle/authorize_redeem_refresh/HS256", cycle),
    ("check/cached", cached_check),
    ("client_secret", client_secret),
];

fn main() {
    let json = std::env::args().any(|argument| argument == "--json");
    let wanted: Vec<String> =
        std::env::args().skip(1).filter(|argument| !argument.starts_with("--")).collect();
    if !json {
        println!(
            "| {:<36} | {:>9} | {:>9} | {:>6} | {:>9} | {:>11} |",
            "name", "ns", "floor ns", "ratio", "above ns", "allocations"
        );
        println!("| {} | --: | --: | --: | --: | --: |", "-".repeat(36));
    }
    for (name, run) in FIGURES {
        if !wanted.is_empty() && !wanted.iter().any(|part| name.contains(part.as_str())) {
            continue;
        }
        let Figure { name, ns, floor_ns, allocations } = run();
        let ratio = ns / floor_ns;
        if json {
            let line = serde_json::json!({
                "name": name,
                "ns": ns.round(),
                "floor_ns": floor_ns.round(),
                "ratio": (ratio * 1_000.0).round() / 1_000.0,
                "allocations": allocations.round(),
            });
            println!("{line}");
        } else {
            println!(
                "| {name:<36} | {ns:>9.0} | {floor_ns:>9.0} | {ratio:>6.3} | {:>9.0} | {allocations:>11.0} |",
                ns - floor_ns
            );
        }
    }
}
