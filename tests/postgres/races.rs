//! Contenders in four pools, as four processes have them, for one row.

use std::sync::Arc;
use std::time::Duration;

use grantor::clock::UnixTime;
use grantor::secret::Digest;
use grantor::store::{
    AssertionClaim, AssertionPurpose, ClaimAssertion, CodeRedemption, Grant, GrantStore as _,
    InsertGrant, PostgresStore, RedeemCode, Rotate, Rotation,
};
use tokio::sync::Barrier;

use super::cluster::{database, new_store, pool, rounds, runtime};
use super::world::{World, grant, now, random_bytes};

/// In each of the four pools.
const CONTENDERS: usize = 8;

/// Runs `act` for every contender at once and answers what each was told.
async fn at_once<T: Send + 'static, F: Future<Output = T> + Send + 'static>(
    stores: &[PostgresStore],
    act: impl Fn(PostgresStore) -> F + Send + Sync,
) -> Vec<T> {
    let barrier = Arc::new(Barrier::new(stores.len() * CONTENDERS));
    let contend = |store: &PostgresStore| {
        let (future, barrier) = (act(store.clone()), Arc::clone(&barrier));
        tokio::spawn(async move {
            barrier.wait().await;
            future.await
        })
    };
    let tasks: Vec<_> =
        stores.iter().flat_map(|store| (0..CONTENDERS).map(|_| contend(store))).collect();
    let mut answers = Vec::new();
    for task in tasks {
        answers.push(task.await.unwrap());
    }
    answers
}

pub(crate) fn redemption(grant: &Grant, now: UnixTime) -> CodeRedemption {
    CodeRedemption {
        grant_id: grant.grant_id,
        client_id: grant.client_id.clone(),
        binding: grant.binding,
        salt_digest: grant.salt_digest,
        claim: u64::from_ne_bytes(random_bytes()),
        now,
    }
}

pub(crate) fn rotation(grant: &Grant, generation: u32, now: UnixTime) -> Rotation {
    Rotation {
        grant_id: grant.grant_id,
        client_id: grant.client_id.clone(),
        salt_digest: grant.salt_digest,
        generation,
        grace_millis: 30_000,
        max_retries: u8::MAX,
        idle_millis: None,
        claim: u64::from_ne_bytes(random_bytes()),
        now,
    }
}

/// G13, R15, J19, A34: of 32 contenders in four pools exactly one wins, whatever they race for.
#[test]
fn one_contender_wins_however_many_processes_there_are() {
    let Some(database) = database() else { return };
    let runtime = runtime();
    let pools: Vec<_> = (0..4).map(|_| pool(&runtime, database.options(), 8)).collect();
    let first = new_store(&runtime, &pools[0]);
    let prefix = first.prefix().clone();
    let stores: Vec<_> = pools
        .iter()
        .map(|pool| {
            PostgresStore::with_prefix(pool.clone(), prefix.clone())
                .with_timeout(Duration::from_secs(60))
        })
        .collect();
    let world = World::new(runtime, first);
    let rounds = rounds(500);
    for _ in 0..rounds {
        world.runtime.block_on(round(&stores, &grant(&world.client_id, "ann")));
    }
    eprintln!("{rounds} races of each of 4 kinds among {} contenders", 4 * CONTENDERS);
}

async fn round(stores: &[PostgresStore], grant: &Grant) {
    let decided = at_once(stores, |store| {
        let grant = grant.clone();
        async move { store.insert_grant(grant).await.unwrap() }
    })
    .await;
    let is_first = |it: &&InsertGrant| matches!(it, InsertGrant::Inserted { .. });
    assert_eq!(decided.iter().filter(is_first).count(), 1, "{decided:?}");

    let bystander = super::world::grant(&grant.client_id, "ann");
    stores[0].insert_grant(bystander.clone()).await.unwrap();
    let redeemed = at_once(stores, |store| {
        let redemption = redemption(&bystander, now());
        async move { store.redeem_code(&redemption).await.unwrap() }
    })
    .await;
    let count = |wanted| redeemed.iter().filter(|it| **it == wanted).count();
    let replays = redeemed.len() - 1;
    let told = (count(RedeemCode::Redeemed), count(RedeemCode::AlreadyRedeemed));
    assert_eq!(told, (1, replays), "{redeemed:?}");

    stores[1].redeem_code(&redemption(grant, now())).await.unwrap();
    let rotated = at_once(stores, |store| {
        let rotation = rotation(grant, 1, now());
        async move { store.rotate(&rotation).await.unwrap() }
    })
    .await;
    let count = |wanted| rotated.iter().filter(|it| **it == wanted).count();
    assert_eq!((count(Rotate::Rotated), count(Rotate::Retried)), (1, replays), "{rotated:?}");

    let jti = Digest::from_bytes(random_bytes());
    let claimed = at_once(stores, |store| {
        let claim = AssertionClaim {
            client_id: grant.client_id.clone(),
            purpose: AssertionPurpose::Grant,
            jti,
            expires_at: now().plus(Duration::from_secs(300)),
            grant: Some(super::world::grant(&grant.client_id, "ann")),
            now: now(),
        };
        async move { store.claim_assertion(&claim).await.unwrap() }
    })
    .await;
    let is_first = |it: &&ClaimAssertion| matches!(it, ClaimAssertion::First { .. });
    assert_eq!(claimed.iter().filter(is_first).count(), 1, "{claimed:?}");
}
