//! A server that is killed in the middle of rotations.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::Duration;

use grantor::store::{Grant, GrantStore as _, PostgresStore, RedeemCode, Rotate};

use super::cluster::{new_store, own_cluster, pool, runtime};
use super::races::{redemption, rotation};
use super::world::{World, grant, now};

const FAMILIES: usize = 16;
const KILLS: usize = 5;

/// A family, and the greatest generation that was answered.
struct Family {
    grant: Grant,
    answered: AtomicU32,
}

/// Rotates until the store fails, or until it is told to stop.
async fn rotate_on(store: PostgresStore, family: Arc<Family>, stop: Arc<AtomicBool>) -> u32 {
    let mut rotations = 0;
    while !stop.load(Ordering::SeqCst) {
        let generation = family.answered.load(Ordering::SeqCst);
        match store.rotate(&rotation(&family.grant, generation, now())).await {
            Ok(Rotate::Rotated | Rotate::Retried) => {
                family.answered.store(generation + 1, Ordering::SeqCst);
                rotations += 1;
            }
            Ok(other) => panic!("{other:?} for generation {generation}"),
            Err(_) => return rotations,
        }
    }
    rotations
}

/// G15, R21, T13: what was answered is there after a crash, what was not is done or not done, and
/// the same pool goes on.
#[test]
fn what_was_answered_survives_a_crash_and_the_pool_recovers() {
    let Some(cluster) = own_cluster() else { return };
    let runtime = runtime();
    let pool = pool(&runtime, cluster.options(), 8);
    let store = new_store(&runtime, &pool).with_timeout(Duration::from_secs(20));
    let world = World::new(runtime, store.clone());
    let family = || {
        let grant = grant(&world.client_id, "ann");
        let redemption = redemption(&grant, now());
        let redeem = async {
            store.insert_grant(grant.clone()).await.unwrap();
            store.redeem_code(&redemption).await.unwrap()
        };
        assert_eq!(world.runtime.block_on(redeem), RedeemCode::Redeemed);
        Arc::new(Family { grant, answered: AtomicU32::new(1) })
    };
    let families: Vec<_> = (0..FAMILIES).map(|_| family()).collect();
    let mut total = 0;
    for _ in 0..KILLS {
        let stop = Arc::new(AtomicBool::new(false));
        let rotating: Vec<_> = families
            .iter()
            .map(|family| rotate_on(store.clone(), Arc::clone(family), Arc::clone(&stop)))
            .map(|task| world.runtime.spawn(task))
            .collect();
        std::thread::sleep(Duration::from_millis(400));
        cluster.kill();
        cluster.start();
        // Who waited for a connection has got one by now, from the same pool.
        std::thread::sleep(Duration::from_millis(200));
        stop.store(true, Ordering::SeqCst);
        for task in rotating {
            total += world.runtime.block_on(task).unwrap();
        }
        // Each broken connection is noticed once.
        let recovered = world.runtime.block_on(async {
            for _ in 0..100 {
                if store.find_grant(&families[0].grant.grant_id).await.is_ok() {
                    return true;
                }
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
            false
        });
        assert!(recovered, "the pool does not recover");
        for family in &families {
            let answered = family.answered.load(Ordering::SeqCst);
            let row = world.runtime.block_on(async {
                loop {
                    if let Ok(row) = store.find_grant(&family.grant.grant_id).await {
                        return row.unwrap();
                    }
                }
            });
            let done_or_not = row.generation == answered || row.generation == answered + 1;
            assert!(done_or_not, "answered {answered}, found {}", row.generation);
            assert_eq!(row.revoked, None);
        }
    }
    assert!(total > 100, "only {total} rotations were answered");
    eprintln!("{total} rotations answered among {KILLS} crashes, none lost");
}
