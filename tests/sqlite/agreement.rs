//! The statements agree with the rules of the contract.

use grantor::clock::UnixTime;
use grantor::ids::{DeviceId, GrantId, SessionId};
use grantor::protocol::Confirmation;
use grantor::random::OsRandom;
use grantor::secret::Digest;
use grantor::store::conformance::Runner as _;
use grantor::store::{
    CodeRedemption, Grant, GrantStore as _, InsertGrant, Polling, RevocationReason, Rotation,
};
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};

use crate::sandbox::Folder;
use crate::support::{Desk, Tokio, at, with};

/// Instants close to each other.
fn instant() -> impl Strategy<Value = UnixTime> {
    (-6_i64..6).prop_map(|step| at(step * 1_000))
}

fn generation() -> impl Strategy<Value = u32> {
    prop_oneof![8 => 0_u32..5, 1 => Just(u32::MAX), 1 => Just(u32::MAX - 1)]
}

fn retries() -> impl Strategy<Value = u8> {
    prop_oneof![2 => 0_u8..4, 1 => 254_u8..=255]
}

fn digest() -> impl Strategy<Value = Digest> {
    prop_oneof![9 => Just(1_u8), 1 => Just(2)].prop_map(|byte| Digest::from_bytes([byte; 32]))
}

/// No key, or one of two.
fn key() -> impl Strategy<Value = Option<Confirmation>> {
    let key = |byte: u8| Confirmation::Key(Digest::from_bytes([byte; 32]));
    prop_oneof![2 => Just(None), 1 => (1_u8..3).prop_map(move |byte| Some(key(byte)))]
}

/// No device, or one of two.
fn device() -> impl Strategy<Value = Option<DeviceId>> {
    let device = |number: u8| DeviceId::new(format!("device {number}")).unwrap();
    prop_oneof![2 => Just(None), 1 => (1_u8..3).prop_map(move |number| Some(device(number)))]
}

fn grants(desk: &Desk) -> impl Strategy<Value = Grant> + use<> {
    let client_id = desk.client_id.clone();
    let instants = (instant(), instant(), instant());
    let counts = (generation(), retries(), 0_u8..6, any::<u64>());
    let ended = proptest::option::weighted(0.1, instant());
    let bound = (key(), 0_u32..4, any::<bool>(), device());
    (instants, counts, digest(), digest(), ended, bound).prop_map(
        move |(
            (code_end, end, rotated_at),
            (generation, retries, mismatches, claim),
            a,
            b,
            ended,
            (confirmation, bound_from, has_session, device),
        )| {
            let id = GrantId::generate(&OsRandom::new()).unwrap();
            let mut grant = crate::support::grant(&client_id, id);
            (grant.code_expires_at, grant.expires_at, grant.rotated_at) =
                (code_end, end, rotated_at);
            (grant.generation, grant.retries, grant.mismatches) = (generation, retries, mismatches);
            (grant.binding, grant.salt_digest, grant.claim) = (a, b, claim);
            grant.revoked = ended.map(|at| (at, RevocationReason::Client));
            grant.confirmation = confirmation;
            grant.device = device;
            grant.bound_from = if confirmation.is_some() { bound_from } else { 0 };
            if has_session {
                grant.circumstances.get_or_insert_default().session =
                    Some(SessionId::new("session").unwrap());
            }
            grant
        },
    )
}

const CASES: u32 = 2_000;

fn runner() -> TestRunner {
    TestRunner::new(Config { cases: CASES, failure_persistence: None, ..Config::default() })
}

/// Stores `grant` and returns it as stored.
fn insert(runtime: &Tokio, desk: &Desk, grant: Grant) -> Grant {
    let answer = runtime.block_on(desk.store.insert_grant(grant.clone())).unwrap();
    let InsertGrant::Inserted { authorized_at } = answer else { unreachable!("a new id") };
    with(grant, |grant| grant.authorized_at = authorized_at)
}

/// Reads the row of a grant.
fn row(runtime: &Tokio, desk: &Desk, grant: &Grant) -> Grant {
    runtime.block_on(desk.store.find_grant(&grant.grant_id)).unwrap().unwrap()
}

#[test]
fn a_redemption_does_what_the_rule_says() {
    let (folder, runtime) = (Folder::in_memory(), Tokio::new());
    let desk = runtime.desk(&folder.file("a.db"));
    let polling = (0_i64..4_000, 0_i64..9_000)
        .prop_map(|(grace_millis, skew_millis)| Polling { grace_millis, skew_millis });
    let polling = proptest::option::of(polling);
    let redemptions =
        (digest(), digest(), instant(), any::<u64>(), key(), any::<bool>(), device(), polling);
    let cases = (grants(&desk), redemptions);
    let judge = |(
        grant,
        (binding, salt_digest, now, claim, confirmation, binds, device, polling),
    ): (Grant, _)| {
        let mut expected = insert(&runtime, &desk, grant);
        let (grant_id, client_id) = (expected.grant_id, expected.client_id.clone());
        let redemption = CodeRedemption {
            grant_id,
            client_id,
            binding,
            salt_digest,
            confirmation,
            binds,
            device,
            polling,
            claim,
            now,
        };
        let answer = runtime.block_on(desk.store.redeem_code(&redemption)).unwrap();
        prop_assert_eq!(answer, expected.redeem(&redemption, false));
        prop_assert_eq!(row(&runtime, &desk, &expected), expected);
        Ok(())
    };
    runner().run(&cases, judge).unwrap();
}

/// The rotation runs alone, or with another in a batch, as one statement.
#[test]
fn a_rotation_does_what_the_rule_says() {
    let (folder, runtime) = (Folder::in_memory(), Tokio::new());
    let desk = runtime.desk(&folder.file("a.db"));
    let idle = proptest::option::of(0_i64..6_000);
    let settings = (0_i64..4_000, idle, 0_i64..9_000, any::<bool>());
    let grants = (grants(&desk), grants(&desk));
    let keys = (key(), any::<bool>());
    let cases = (grants, digest(), generation(), instant(), any::<u64>(), settings, keys);
    let before = desk.store.commits();
    let judge = |((one, two), salt_digest, generation, now, claim, settings, keys): (
        _,
        _,
        _,
        _,
        _,
        _,
        _,
    )| {
        let (mut one, mut two) = (insert(&runtime, &desk, one), insert(&runtime, &desk, two));
        let (grace_millis, idle_millis, skew_millis, proves_reuse) = settings;
        let (confirmation, binds) = keys;
        let rotation = |grant: &Grant| Rotation {
            grant_id: grant.grant_id,
            client_id: grant.client_id.clone(),
            salt_digest,
            generation,
            grace_millis,
            skew_millis,
            idle_millis,
            proves_reuse,
            confirmation,
            binds,
            claim,
            now,
        };
        let (of_one, of_two) = (rotation(&one), rotation(&two));
        // The other two wait while the first commits.
        let (checked, answer_to_one, answer_to_two) = runtime.block_on(async {
            tokio::join!(desk.store.check(), desk.store.rotate(&of_one), desk.store.rotate(&of_two))
        });
        checked.unwrap();
        prop_assert_eq!(answer_to_one.unwrap(), one.rotate(&of_one, false));
        prop_assert_eq!(answer_to_two.unwrap(), two.rotate(&of_two, false));
        prop_assert_eq!(row(&runtime, &desk, &one), one);
        prop_assert_eq!(row(&runtime, &desk, &two), two);
        Ok(())
    };
    runner().run(&cases, judge).unwrap();
    // Most of the five requests of a case have shared a commit.
    let commits = desk.store.commits() - before;
    assert!(commits < u64::from(CASES) * 9 / 2, "{commits} commits");
}
