//! One pool for the store and for the host.

use grantor::store::GrantStore as _;

use super::cluster::{PATIENCE, database, new_store, pool, runtime};
use super::world::{World, grant};

/// While many requests wait, the host's own queries still get connections of the same pool, and the pool
/// grows to its limit. Requests that are dropped keep no connection.
#[test]
fn a_busy_store_leaves_connections_to_the_host_and_to_itself() {
    let Some(database) = database() else { return };
    let runtime = runtime();
    let own = pool(&runtime, database.options(), 3);
    let store = new_store(&runtime, &own);
    let world = World::new(runtime, store.clone());
    world.runtime().block_on(async {
        let grant = grant(&world.app.id, "ann");
        let id = grant.grant_id;
        store.insert_grant(grant).await.unwrap();
        let busy: Vec<_> = (0..64)
            .map(|_| {
                let store = store.clone();
                tokio::spawn(async move {
                    loop {
                        store.find_grant(&id).await.unwrap();
                    }
                })
            })
            .collect();
        for _ in 0..50 {
            let asked = sqlx::query("SELECT 1").fetch_one(&own);
            tokio::time::timeout(PATIENCE, asked).await.unwrap().unwrap();
        }
        assert_eq!(own.size(), 3);
        // Some of them wait and some have a connection.
        for task in &busy {
            task.abort();
        }
        for task in busy {
            assert!(task.await.unwrap_err().is_cancelled());
        }
        for _ in 0..100 {
            let all = (store.find_grant(&id), store.find_grant(&id), store.find_grant(&id));
            let (one, two, three) = tokio::join!(all.0, all.1, all.2);
            assert!(one.unwrap().is_some() && two.unwrap().is_some() && three.unwrap().is_some());
        }
    });
}
