//! Issuing and verifying by algorithm, and each grant from its form to its JSON, in process.
#![expect(clippy::unwrap_used, reason = "a bench stops at the first failure")]

#[expect(dead_code, reason = "only the ratios use the floors")]
mod common;
#[path = "../tests/support/mod.rs"]
#[expect(dead_code, unused_imports, reason = "the tests use more of it")]
#[expect(clippy::panic, clippy::indexing_slicing, reason = "a bench stops at the first failure")]
mod support;

use std::cell::RefCell;
use std::hint::black_box;

use common::world::{self, World, now};
use criterion::{BatchSize, Criterion, criterion_group, criterion_main};
use grantor::jwt::Algorithm;

const ALGORITHMS: [Algorithm; 4] =
    [Algorithm::ES256, Algorithm::EdDSA, Algorithm::RS256, Algorithm::HS256];

fn tokens(criterion: &mut Criterion) {
    let now = now();
    for algorithm in ALGORITHMS {
        let tokens = world::access_tokens(algorithm);
        criterion.bench_function(&format!("issue/{algorithm}"), |bencher| {
            bencher.iter(|| black_box(&tokens).issue(now));
        });
        let (_, header) = world::token(algorithm);
        let verifier = world::verifier(algorithm, 0);
        criterion.bench_function(&format!("verify/{algorithm}"), |bencher| {
            bencher.iter(|| verifier.check(Some(black_box(header.as_str()))).unwrap());
        });
    }
}

fn grants(criterion: &mut Criterion) {
    let world = World::new(Algorithm::ES256);
    let form = world.client_credentials_form();
    criterion.bench_function("grant/client_credentials/ES256", |bencher| {
        bencher.iter(|| world.token(black_box(&form)));
    });
    criterion.bench_function("grant/jwt_bearer/ES256", |bencher| {
        let prepare = || world.jwt_bearer_form();
        bencher.iter_batched(prepare, |form| world.token(&form), BatchSize::SmallInput);
    });
    criterion.bench_function("grant/authorization_code/ES256", |bencher| {
        let prepare = || world.code_form(&world.authorize());
        bencher.iter_batched(prepare, |form| world.token(&form), BatchSize::SmallInput);
    });
    let last = RefCell::new(world.authorize_and_redeem());
    criterion.bench_function("grant/refresh/ES256", |bencher| {
        bencher.iter_batched(
            || world.refresh_form(&last.borrow()),
            |form| *last.borrow_mut() = world.token(&form),
            BatchSize::PerIteration,
        );
    });
}

criterion_group!(benches, tokens, grants);
criterion_main!(benches);
