//! The statements agree with the rules of the contract.

use grantor::clock::UnixTime;
use grantor::ids::{ClientId, DeviceId, SessionId};
use grantor::protocol::Confirmation;
use grantor::secret::Digest;
use grantor::store::{
    CodeRedemption, Grant, GrantStore as _, InsertGrant, Polling, PostgresStore, RevocationReason,
    Rotation,
};
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};

use super::cluster::{database, new_store, pool, runtime};
use super::world::{World, grant};

const CASES: u32 = 600;

fn at(millis: i64) -> UnixTime {
    UnixTime::from_millis(1_790_000_000_000 + millis)
}

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
    let key = |byte: u8| Confirmation::Certificate(Digest::from_bytes([byte; 32]));
    prop_oneof![2 => Just(None), 1 => (1_u8..3).prop_map(move |byte| Some(key(byte)))]
}

/// No device, or one of two.
fn device() -> impl Strategy<Value = Option<DeviceId>> {
    let device = |number: u8| DeviceId::new(format!("device {number}")).unwrap();
    prop_oneof![2 => Just(None), 1 => (1_u8..3).prop_map(move |number| Some(device(number)))]
}

fn grants(client_id: &ClientId) -> impl Strategy<Value = Grant> + use<> {
    let client_id = client_id.clone();
    let instants = (instant(), instant(), instant());
    let counts = (generation(), retries(), 0_u8..6, any::<u64>());
    let ended = proptest::option::weighted(0.1, instant());
    let bound = (key(), 0_u32..4, any::<bool>(), device());
    (instants, counts, digest(), digest(), ended, bound).prop_map(
        move |(
            ends,
            counts,
            binding,
            salt,
            ended,
            (confirmation, bound_from, has_session, device),
        )| {
            let mut grant = grant(&client_id, "ann");
            (grant.code_expires_at, grant.expires_at, grant.rotated_at) = ends;
            (grant.generation, grant.retries, grant.mismatches, grant.claim) = counts;
            (grant.binding, grant.salt_digest) = (binding, salt);
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

fn runner() -> TestRunner {
    TestRunner::new(Config { cases: CASES, failure_persistence: None, ..Config::default() })
}

/// Stores `grant` and returns it as stored.
async fn insert(store: &PostgresStore, mut grant: Grant) -> Grant {
    let answer = store.insert_grant(grant.clone()).await.unwrap();
    let InsertGrant::Inserted { authorized_at } = answer else { panic!("{answer:?}") };
    grant.authorized_at = authorized_at;
    grant
}

#[test]
fn a_redemption_does_what_the_rule_says() {
    let Some(database) = database() else { return };
    let runtime = runtime();
    let pool = pool(&runtime, database.options(), 2);
    let store = new_store(&runtime, &pool);
    let world = World::new(runtime, store);
    let store = world.server.store().store();
    let polling = (0_i64..4_000, 0_i64..9_000)
        .prop_map(|(grace_millis, skew_millis)| Polling { grace_millis, skew_millis });
    let polling = proptest::option::of(polling);
    let redemptions =
        (digest(), digest(), instant(), any::<u64>(), key(), any::<bool>(), device(), polling);
    let cases = (grants(&world.app.id), redemptions);
    let judge = |(
        grant,
        (binding, salt_digest, now, claim, confirmation, binds, device, polling),
    ): (Grant, _)| {
        let (answer, expected, mut rule, redemption) = world.runtime().block_on(async {
            let rule = insert(store, grant).await;
            let redemption = CodeRedemption {
                grant_id: rule.grant_id,
                client_id: rule.client_id.clone(),
                binding,
                salt_digest,
                confirmation,
                binds,
                device,
                polling,
                claim,
                now,
            };
            let answer = store.redeem_code(&redemption).await.unwrap();
            let row = store.find_grant(&rule.grant_id).await.unwrap().unwrap();
            (answer, row, rule, redemption)
        });
        prop_assert_eq!(answer, rule.redeem(&redemption, false));
        prop_assert_eq!(expected, rule);
        Ok(())
    };
    runner().run(&cases, judge).unwrap();
}

#[test]
fn a_rotation_does_what_the_rule_says() {
    let Some(database) = database() else { return };
    let runtime = runtime();
    let pool = pool(&runtime, database.options(), 2);
    let store = new_store(&runtime, &pool);
    let world = World::new(runtime, store);
    let store = world.server.store().store();
    let idle = proptest::option::of(0_i64..6_000);
    let settings = (0_i64..4_000, idle, 0_i64..9_000, any::<bool>());
    let request = (digest(), generation(), instant(), any::<u64>(), key(), any::<bool>());
    let cases = (grants(&world.app.id), request, settings);
    let judge = |(grant, request, settings): (Grant, _, _)| {
        let (salt_digest, generation, now, claim, confirmation, binds) = request;
        let (grace_millis, idle_millis, skew_millis, proves_reuse) = settings;
        let (answer, row, mut rule, rotation) = world.runtime().block_on(async {
            let rule = insert(store, grant).await;
            let rotation = Rotation {
                grant_id: rule.grant_id,
                client_id: rule.client_id.clone(),
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
            let answer = store.rotate(&rotation).await.unwrap();
            let row = store.find_grant(&rule.grant_id).await.unwrap().unwrap();
            (answer, row, rule, rotation)
        });
        prop_assert_eq!(answer, rule.rotate(&rotation, false));
        prop_assert_eq!(row, rule);
        Ok(())
    };
    runner().run(&cases, judge).unwrap();
}
