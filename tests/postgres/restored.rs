//! A database that is restored to an older state under servers that go on.

use std::fs::{self, File};
use std::time::Duration;

use grantor::secret::Digest;
use grantor::store::{
    AssertionClaim, AssertionPurpose, ClaimAssertion, Grant, GrantRefusal, GrantStore as _,
    PostgresStore, RedeemCode, Revocation, RevocationReason, RevocationTarget, Rotate,
};

use super::cluster::{Cluster, new_store, own_cluster, pool, runtime};
use super::crash::recover;
use super::races::{redemption, rotation};
use super::sandbox::command;
use super::world::{World, grant, now, random_bytes};

/// The way to make a backup and put it back.
#[derive(Clone, Copy, Debug)]
enum Backup {
    /// A copy of the folder of a stopped server.
    Folder,
    /// `pg_dump` and `psql`, while the server runs.
    Dump,
}

impl Backup {
    fn make(self, cluster: &Cluster) {
        match self {
            Self::Folder => {
                cluster.stop();
                copy(cluster, "data", "backup");
                cluster.start();
            }
            Self::Dump => {
                let dump = File::create(cluster.file("backup")).unwrap();
                let mut program = cluster.client("pg_dump");
                program.args(["--clean", "--if-exists", "postgres"]).stdout(dump);
                assert!(program.status().unwrap().success());
            }
        }
    }

    fn put_back(self, cluster: &Cluster) {
        match self {
            Self::Folder => {
                cluster.stop();
                fs::remove_dir_all(cluster.file("data")).unwrap();
                copy(cluster, "backup", "data");
                cluster.start();
            }
            Self::Dump => {
                let dump = File::open(cluster.file("backup")).unwrap();
                let mut program = cluster.client("psql");
                program.args(["--quiet", "--single-transaction", "-v", "ON_ERROR_STOP=1"]);
                let done = program.arg("postgres").stdin(dump).output().unwrap();
                assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
            }
        }
    }
}

fn copy(cluster: &Cluster, from: &str, to: &str) {
    let (from, to) = (cluster.file(from), cluster.file(to));
    assert!(command("cp").arg("-a").args([from, to]).status().unwrap().success());
}

fn claim(grant: &Grant, jti: Digest) -> AssertionClaim {
    AssertionClaim {
        client_id: grant.client_id.clone(),
        purpose: AssertionPurpose::Grant,
        jti,
        expires_at: now().plus(Duration::from_mins(5)),
        grant: None,
        makes_row: false,
        now: now(),
    }
}

async fn inserted(store: &PostgresStore, world: &World) -> Grant {
    let grant = grant(&world.app.id, "ann");
    store.insert_grant(grant.clone()).await.unwrap();
    grant
}

/// Inserts a family at generation 1.
async fn family(store: &PostgresStore, world: &World) -> Grant {
    let grant = inserted(store, world).await;
    let redeemed = store.redeem_code(&redemption(&grant, now())).await.unwrap();
    assert_eq!(redeemed, RedeemCode::Redeemed);
    grant
}

fn ending(grant: &Grant) -> Revocation {
    let until = now().plus(Duration::from_hours(24));
    let target = RevocationTarget::Grant(grant.grant_id);
    Revocation { target, at: now(), why: RevocationReason::Administrator, until }
}

/// R21, T13: the store takes tokens that are ahead of their rows, and the rows catch up. The step in the
/// runbook ends everything from before, and the same pool goes on.
#[test]
fn a_restored_database_takes_what_is_ahead_and_the_runbook_leaves_no_survivor() {
    for backup in [Backup::Folder, Backup::Dump] {
        let Some(cluster) = own_cluster() else { return };
        restore(&cluster, backup);
    }
}

fn restore(cluster: &Cluster, backup: Backup) {
    let runtime = runtime();
    let pool = pool(&runtime, cluster.options(), 4);
    let store = new_store(&runtime, &pool);
    let world = World::new(runtime, store.clone());
    let wait = || (0..pool.size()).for_each(|_| recover(&world, &store));
    let refresh = |token: &str| -> String {
        world.refresh(token).unwrap()["refresh_token"].as_str().unwrap().to_owned()
    };
    let jti = Digest::from_bytes(random_bytes());
    let (code, verifier) = world.code();
    let token = world.redeem(&code, &verifier).unwrap()["refresh_token"].to_string();
    let token = refresh(token.trim_matches('"'));
    let (ahead, pending, ended) = world.runtime().block_on(async {
        (family(&store, &world).await, inserted(&store, &world).await, family(&store, &world).await)
    });
    backup.make(cluster);
    wait();

    // Changes until the database is lost.
    let token = refresh(&refresh(&token));
    world.runtime().block_on(async {
        for generation in 1..5 {
            let rotated = store.rotate(&rotation(&ahead, generation, now())).await.unwrap();
            assert_eq!(rotated, Rotate::Rotated);
        }
        let redeemed = store.redeem_code(&redemption(&pending, now())).await.unwrap();
        assert_eq!(redeemed, RedeemCode::Redeemed);
        let claimed = store.claim_assertion(&claim(&pending, jti)).await.unwrap();
        assert!(matches!(claimed, ClaimAssertion::First { .. }));
        store.revoke(&ending(&ended)).await.unwrap();
    });
    backup.put_back(cluster);
    wait();

    let token = refresh(&token);
    world.runtime().block_on(async {
        let row = async |grant: &Grant| store.find_grant(&grant.grant_id).await.unwrap().unwrap();
        assert_eq!(row(&ahead).await.generation, 1, "{backup:?}");
        let rotate = |generation| rotation(&ahead, generation, now());
        assert_eq!(store.rotate(&rotate(5)).await.unwrap(), Rotate::Ahead);
        assert_eq!(row(&ahead).await.generation, 6);
        assert_eq!(store.rotate(&rotate(5)).await.unwrap(), Rotate::Retried { retries: 1 });
        assert_eq!(store.rotate(&rotate(6)).await.unwrap(), Rotate::Rotated);
        // All other changes since the backup are forgotten, hence the runbook.
        assert!(!store.is_revoked(&row(&ended).await.facts()).await.unwrap());
        let claimed = store.claim_assertion(&claim(&pending, jti)).await.unwrap();
        assert!(matches!(claimed, ClaimAssertion::First { .. }));

        let everything = RevocationTarget::Everything;
        world.server.admin("tester").revoke(everything).await.unwrap();
        let refused = Rotate::Refused(GrantRefusal::Revoked);
        for grant in [&ahead, &pending, &ended] {
            assert!(store.is_revoked(&row(grant).await.facts()).await.unwrap());
            for generation in 1..9 {
                let rotation = rotation(grant, generation, now());
                assert_eq!(store.rotate(&rotation).await.unwrap(), refused, "{generation}");
            }
        }
        let redeemed = store.redeem_code(&redemption(&pending, now())).await.unwrap();
        assert_eq!(redeemed, RedeemCode::Refused(GrantRefusal::Revoked));
    });
    assert_eq!(world.refresh(&token).unwrap_err(), "invalid_grant");
    let (code, verifier) = world.code();
    let token = world.redeem(&code, &verifier).unwrap()["refresh_token"].to_string();
    refresh(token.trim_matches('"'));
}
