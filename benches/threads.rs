//! The throughput of two threads relative to one, over one server.
//!
//! Both threads send the same kind of request to one app, each in the name of another user. Lines of memory that both
//! write cost time. Rounds of one thread and of both take turns, and a pair of rounds counts only if no thread lost its
//! core, so that other processes on the machine disturb little. Run `cargo bench --bench threads` on a machine with two
//! cores or more; an argument chooses lines by their name.
#![expect(clippy::unwrap_used, reason = "a bench stops at the first failure")]
#![expect(clippy::print_stdout, reason = "a bench prints its figures")]
#![expect(clippy::cast_precision_loss, reason = "figures are rounded")]

#[expect(dead_code, reason = "another bench uses more of it")]
mod common;
#[path = "../tests/support/mod.rs"]
#[expect(dead_code, unused_imports, reason = "the tests use more of it")]
#[expect(clippy::panic, clippy::indexing_slicing, reason = "a bench stops at the first failure")]
mod support;

use std::hint::{black_box, spin_loop};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use cpu_time::ThreadTime;
use grantor::jwt::Algorithm;

use common::floor::Floor;
use common::world::{self, World};

/// The approximate time of a round of one thread.
const ROUND: Duration = Duration::from_micros(500);
/// The pairs of rounds. On a busy machine few of them count.
const PAIRS: usize = 600;

/// One operation, repeated.
type Work = Box<dyn FnMut() + Send>;
/// The name of a line, and the work of its two threads.
type Line = (&'static str, fn() -> [Work; 2]);

/// When a thread began and ended a round, and its CPU time.
#[derive(Clone, Copy)]
struct Round {
    began: Instant,
    ended: Instant,
    cpu: Duration,
}

#[expect(clippy::disallowed_methods, reason = "the bench sees that its threads overlap")]
fn run(work: &mut Work, operations: u32) -> Round {
    let (began, cpu) = (Instant::now(), ThreadTime::now());
    for _ in 0..operations {
        work();
    }
    let cpu = cpu.elapsed();
    Round { began, ended: Instant::now(), cpu }
}

/// Returns the nanoseconds from the first beginning to the last end, unless a thread lost its core.
fn undisturbed(rounds: &[Round]) -> Option<f64> {
    let began = rounds.iter().map(|round| round.began).min()?;
    let ended = rounds.iter().map(|round| round.ended).max()?;
    let passed = ended.duration_since(began);
    let busy = rounds.iter().map(|round| round.cpu).max()?;
    (passed.saturating_sub(busy) < passed / 20).then_some(passed.as_nanos() as f64)
}

/// Returns the median.
fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}

/// The time of an operation in one thread, the throughput of two threads over one, and the number of pairs of rounds
/// that counted.
fn measure([mut first, mut second]: [Work; 2]) -> (f64, f64, usize) {
    let warm = run(&mut first, 500);
    run(&mut second, 500);
    let each = (warm.ended.duration_since(warm.began) / 500).as_nanos().max(20);
    let operations = u32::try_from(ROUND.as_nanos() / each).unwrap().max(10);
    let arrived = AtomicUsize::new(0);
    let meet = |number: usize| {
        arrived.fetch_add(1, Ordering::SeqCst);
        while arrived.load(Ordering::SeqCst) < 2 * number {
            spin_loop();
        }
    };
    let (alone, together): (Vec<Round>, Vec<[Round; 2]>) = std::thread::scope(|scope| {
        let other = scope.spawn(|| {
            let round = |pair| {
                meet(2 * pair + 1);
                meet(2 * pair + 2);
                run(&mut second, operations)
            };
            (0..PAIRS).map(round).collect::<Vec<_>>()
        });
        let pair = |pair| {
            meet(2 * pair + 1);
            let alone = run(&mut first, operations);
            meet(2 * pair + 2);
            (alone, run(&mut first, operations))
        };
        let (alone, own): (Vec<_>, Vec<_>) = (0..PAIRS).map(pair).unzip();
        let others = other.join().unwrap();
        (alone, own.into_iter().zip(others).map(<[Round; 2]>::from).collect())
    });
    let pairs = alone.iter().zip(&together);
    let times: Vec<(f64, f64)> = pairs
        .filter_map(|(alone, both)| Some((undisturbed(&[*alone])?, undisturbed(both)?)))
        .collect();
    let one = median(times.iter().map(|(one, _)| one / f64::from(operations)).collect());
    let gain = median(times.iter().map(|(one, both)| 2.0 * one / both).collect());
    (one, gain, times.len())
}

fn hmac() -> [Work; 2] {
    let (token, _) = world::token(Algorithm::HS256);
    [(), ()].map(|()| {
        let floor = Floor::sign(Algorithm::HS256, world::signed_part(&token));
        Box::new(move || floor.run()) as Work
    })
}

fn refresh(worlds: [World; 2]) -> [Work; 2] {
    worlds.map(|world| {
        let mut last = world.authorize_and_redeem();
        Box::new(move || last = world.token(&world.refresh_form(&last))) as Work
    })
}

fn client_credentials(worlds: [World; 2]) -> [Work; 2] {
    worlds.map(|world| {
        let form = world.client_credentials_form();
        Box::new(move || _ = black_box(world.token(&form))) as Work
    })
}

fn cached_check() -> [Work; 2] {
    let verifier = Arc::new(world::verifier(Algorithm::ES256, 1_000));
    [(), ()].map(|()| {
        let (verifier, (_, header)) = (Arc::clone(&verifier), world::token(Algorithm::ES256));
        let check = move || {
            black_box(verifier.authorize("GET", "/files/42", Some(header.as_str())).unwrap());
        };
        Box::new(check) as Work
    })
}

/// Two users of one app.
fn shared() -> [World; 2] {
    let world = World::new(Algorithm::HS256);
    [world.of_another_user(), world]
}

/// A server for each thread.
fn apart() -> [World; 2] {
    [World::new(Algorithm::HS256), World::new(Algorithm::HS256)]
}

fn main() {
    let wanted: Vec<String> =
        std::env::args().skip(1).filter(|argument| !argument.starts_with("--")).collect();
    let lines: [Line; 6] = [
        ("bare HMAC", hmac),
        ("refresh/HS256, a server each", || refresh(apart())),
        ("refresh/HS256", || refresh(shared())),
        ("client_credentials/HS256, a server each", || client_credentials(apart())),
        ("client_credentials/HS256", || client_credentials(shared())),
        ("check/cached", cached_check),
    ];
    println!("| {:<40} | {:>9} | {:>15} | {:>5} |", "name", "ns of one", "two over one", "pairs");
    println!("| {} | --: | --: | --: |", "-".repeat(40));
    for (name, works) in lines {
        if wanted.is_empty() || wanted.iter().any(|part| name.contains(part.as_str())) {
            let (one, gain, pairs) = measure(works());
            println!("| {name:<40} | {one:>9.0} | {gain:>15.2} | {pairs:>5} |");
        }
    }
}
