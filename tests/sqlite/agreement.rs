//! The statements and the rules of the contract say the same.

use grantor::clock::UnixTime;
use grantor::ids::GrantId;
use grantor::random::OsRandom;
use grantor::secret::Digest;
use grantor::store::conformance::Runner as _;
use grantor::store::{
    CodeRedemption, Grant, GrantStore as _, InsertGrant, RevocationReason, Rotation,
};
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};

use crate::support::{Desk, Folder, Tokio, at, with};

/// Instants that lie around each other.
fn instant() -> impl Strategy<Value = UnixTime> {
    (-6_i64..6).prop_map(|step| at(step * 1_000))
}

fn generation() -> impl Strategy<Value = u32> {
    prop_oneof![8 => 0_u32..5, 1 => Just(u32::MAX), 1 => Just(u32::MAX - 1)]
}

fn digest() -> impl Strategy<Value = Digest> {
    prop_oneof![9 => Just(1_u8), 1 => Just(2)].prop_map(|byte| Digest::from_bytes([byte; 32]))
}

fn grants(desk: &Desk) -> impl Strategy<Value = Grant> + use<> {
    let client_id = desk.client_id.clone();
    let instants = (instant(), instant(), instant());
    let counts = (generation(), 0_u8..4, 0_u8..6, any::<u64>());
    let ended = proptest::option::weighted(0.1, instant());
    (instants, counts, digest(), digest(), ended).prop_map(
        move |(
            (code_end, end, rotated_at),
            (generation, retries, mismatches, claim),
            a,
            b,
            ended,
        )| {
            let id = GrantId::generate(&OsRandom::new()).unwrap();
            let mut grant = crate::support::grant(&client_id, id);
            (grant.code_expires_at, grant.expires_at, grant.rotated_at) =
                (code_end, end, rotated_at);
            (grant.generation, grant.retries, grant.mismatches) = (generation, retries, mismatches);
            (grant.binding, grant.salt_digest, grant.claim) = (a, b, claim);
            grant.revoked = ended.map(|at| (at, RevocationReason::Client));
            grant
        },
    )
}

fn runner() -> TestRunner {
    TestRunner::new(Config { cases: 2_000, failure_persistence: None, ..Config::default() })
}

/// Stores `grant`; answers it as it then is.
fn insert(runtime: &Tokio, desk: &Desk, grant: Grant) -> Grant {
    let answer = runtime.block_on(desk.store.insert_grant(grant.clone())).unwrap();
    let InsertGrant::Inserted { authorized_at } = answer else { unreachable!("a new id") };
    with(grant, |grant| grant.authorized_at = authorized_at)
}

/// The row, but for the instant of an end, which is the store's own.
fn row(runtime: &Tokio, desk: &Desk, grant: &Grant) -> Grant {
    runtime.block_on(desk.store.find_grant(&grant.grant_id)).unwrap().unwrap()
}

#[test]
fn a_redemption_does_what_the_rule_says() {
    let (folder, runtime) = (Folder::in_memory(), Tokio::new());
    let desk = runtime.desk(&folder.file("a.db"));
    let redemptions = (digest(), digest(), instant(), any::<u64>());
    let cases = (grants(&desk), redemptions);
    let judge = |(grant, (binding, salt_digest, now, claim)): (Grant, (_, _, _, _))| {
        let mut expected = insert(&runtime, &desk, grant);
        let (grant_id, client_id) = (expected.grant_id, expected.client_id.clone());
        let redemption = CodeRedemption { grant_id, client_id, binding, salt_digest, claim, now };
        let answer = runtime.block_on(desk.store.redeem_code(&redemption)).unwrap();
        prop_assert_eq!(answer, expected.redeem(&redemption, false));
        prop_assert_eq!(row(&runtime, &desk, &expected), expected);
        Ok(())
    };
    runner().run(&cases, judge).unwrap();
}

#[test]
fn a_rotation_does_what_the_rule_says() {
    let (folder, runtime) = (Folder::in_memory(), Tokio::new());
    let desk = runtime.desk(&folder.file("a.db"));
    let settings = (0_i64..4_000, 0_u8..4, proptest::option::of(0_i64..6_000));
    let cases = (grants(&desk), digest(), generation(), instant(), any::<u64>(), settings);
    let judge = |(grant, salt_digest, generation, now, claim, settings): (Grant, _, _, _, _, _)| {
        let mut expected = insert(&runtime, &desk, grant);
        let (grace_millis, max_retries, idle_millis) = settings;
        let rotation = Rotation {
            grant_id: expected.grant_id,
            client_id: expected.client_id.clone(),
            salt_digest,
            generation,
            grace_millis,
            max_retries,
            idle_millis,
            claim,
            now,
        };
        let answer = runtime.block_on(desk.store.rotate(&rotation)).unwrap();
        prop_assert_eq!(answer, expected.rotate(&rotation, false));
        prop_assert_eq!(row(&runtime, &desk, &expected), expected);
        Ok(())
    };
    runner().run(&cases, judge).unwrap();
}
