//! Query plans of the statements of a token: all go by primary key.

use grantor::secret::Digest;
use grantor::store::{
    AccessFacts, AssertionClaim, AssertionPurpose, ClaimAssertion, GrantStore as _,
};
use sqlx::{Executor as _, Row as _};

use super::cluster::{new_store, own_cluster, pool, runtime};
use super::races::{redemption, rotation};
use super::world::{World, grant, now, random_bytes};

/// `GRANTOR_SHOW_PLANS` prints the plans for `docs/storage.md`.
#[test]
fn the_statements_of_a_token_go_by_primary_key() {
    let Some(cluster) = own_cluster() else { return };
    let runtime = runtime();
    let pool = pool(&runtime, cluster.options(), 1);
    let store = new_store(&runtime, &pool);
    let prefix = store.prefix().clone();
    let world = World::new(runtime, store);
    let store = world.server.store().store();
    world.runtime().block_on(async {
        // Enough rows that a scan of the table would cost more.
        for sql in [
            format!(
                "INSERT INTO {prefix}grants SELECT decode(md5(n::text), 'hex'), 'app' || n % 50, \
                 'user' || n, NULL, 'a b', NULL, NULL, NULL, '', '', n, n, n, 1, n, n, 0, 0 \
                 FROM generate_series(1, 20000) n"
            ),
            format!(
                "INSERT INTO {prefix}revocations SELECT 's:user' || n, n, 7, n \
                 FROM generate_series(1, 5000) n"
            ),
            format!(
                "INSERT INTO {prefix}assertions SELECT decode(md5(n::text), 'hex'), 1, 'app', n \
                 FROM generate_series(1, 5000) n"
            ),
            format!(
                "INSERT INTO {prefix}apps SELECT 'app' || n, true, 1, '{{}}' \
                 FROM generate_series(1, 5000) n"
            ),
            "ANALYZE".to_owned(),
        ] {
            pool.execute(sqlx::AssertSqlSafe(sql)).await.unwrap();
        }
        let grant = grant(&world.app.id, "ann");
        store.insert_grant(grant.clone()).await.unwrap();
        store.find_grant(&grant.grant_id).await.unwrap();
        // The first waits for the only connection, and the others join it.
        let held = pool.acquire().await.unwrap();
        let find = || store.find_grant(&grant.grant_id);
        let found = tokio::join!(find(), find(), find(), async { drop(held) });
        assert!([found.0, found.1, found.2].iter().all(|it| it.as_ref().unwrap().is_some()));
        let redemption = redemption(&grant, now());
        store.redeem_code(&redemption).await.unwrap();
        store.rotate(&rotation(&grant, 1, now())).await.unwrap();
        let parent = grant.facts().to_parent();
        store.is_revoked(&AccessFacts { ..grant.facts() }).await.unwrap();
        store.is_revoked(&AccessFacts { via: &[parent], ..grant.facts() }).await.unwrap();
        // To authenticate an app, for a token alone, and for a grant with a refresh token.
        for (grant, makes_row) in [(None, false), (Some("ann"), false), (Some("bob"), true)] {
            let claim = AssertionClaim {
                client_id: world.app.id.clone(),
                purpose: AssertionPurpose::Grant,
                jti: Digest::from_bytes(random_bytes()),
                expires_at: now(),
                grant: grant.map(|subject| super::world::grant(&world.app.id, subject)),
                makes_row,
                now: now(),
            };
            let claimed = store.claim_assertion(&claim).await.unwrap();
            assert!(matches!(claimed, ClaimAssertion::First { .. }), "{claimed:?}");
        }

        let prepared = "SELECT name, statement, cardinality(parameter_types) AS parameters \
             FROM pg_prepared_statements ORDER BY prepare_time";
        let prepared = sqlx::query(prepared).persistent(false).fetch_all(&pool).await.unwrap();
        pool.execute("SET plan_cache_mode = force_generic_plan").await.unwrap();
        let mut looked_at = 0;
        for row in &prepared {
            let (name, sql): (String, String) = (row.get("name"), row.get("statement"));
            if !sql.contains(&format!("{prefix}grants")) && !sql.contains("assertions") {
                continue;
            }
            looked_at += 1;
            let parameters: i32 = row.get("parameters");
            let nulls = vec!["NULL"; usize::try_from(parameters).unwrap()].join(", ");
            let explain = format!("EXPLAIN (COSTS OFF) EXECUTE {name}({nulls})");
            let plan = sqlx::raw_sql(sqlx::AssertSqlSafe(explain)).fetch_all(&pool).await.unwrap();
            let plan: Vec<String> = plan.iter().map(|row| row.get(0)).collect();
            let plan = plan.join("\n").replace(&prefix.to_string(), "grantor_");
            if std::env::var_os("GRANTOR_SHOW_PLANS").is_some() {
                eprintln!("{}\n\n{plan}\n", sql.replace(&prefix.to_string(), "grantor_"));
            }
            for table in ["apps", "grants", "revocations", "assertions"] {
                let scan = format!("Seq Scan on grantor_{table}");
                assert!(!plan.contains(&scan), "{sql}\n{plan}");
                let others = plan.matches(&format!("using grantor_{table}_")).count();
                let primary = plan.matches(&format!("using grantor_{table}_pkey")).count();
                assert_eq!(others, primary, "{sql}\n{plan}");
            }
        }
        assert!(looked_at >= 10, "{looked_at} statements were looked at");
    });
}
