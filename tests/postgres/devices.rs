//! The table of devices: tables from before it, query plans, and the erasure of a user.

use std::time::Duration;

use grantor::ids::{ClientId, DeviceId, Subject};
use grantor::store::{
    AdvanceWipe, DeviceKey, DeviceSighting, DeviceStore as _, GrantStore as _, PostgresStore,
    RequestWipe, RevocationReason, SeeDevice, WipeAdvance, WipeRequest, WipeStep,
};
use sqlx::{Executor as _, Row as _};

use super::cluster::{
    database, new_prefix, new_store, own_cluster, pool, runtime, schema_of_addition,
};
use super::races::redemption;
use super::world::{World, grant, now};

fn key(client_id: &ClientId, subject: &str, device: &str) -> DeviceKey {
    DeviceKey {
        client_id: client_id.clone(),
        subject: Subject::new(subject).unwrap(),
        device_id: DeviceId::new(device).unwrap(),
    }
}

async fn see(store: &PostgresStore, key: &DeviceKey) {
    let grant = grant(&key.client_id, key.subject.as_str());
    let sighting = DeviceSighting {
        key: key.clone(),
        name: Some("Phone".to_owned()),
        grant_id: grant.grant_id,
        salt_digest: grant.salt_digest,
        authorized_at: grant.authorized_at,
        keep_until: now().plus(Duration::from_hours(1)),
        now: now(),
    };
    assert_eq!(store.see_device(&sighting).await.unwrap(), SeeDevice::Seen);
    assert!(store.find_device_of(&grant.grant_id).await.unwrap().is_some());
}

async fn order(store: &PostgresStore, key: &DeviceKey) {
    let request = WipeRequest {
        key: key.clone(),
        by: Some("root".to_owned()),
        why: RevocationReason::Administrator,
        until: now().plus(Duration::from_hours(24)),
        keep_until: now(),
        now: now(),
    };
    let answer = store.request_wipe(&request).await.unwrap();
    assert!(matches!(answer, RequestWipe::Requested(_)), "{answer:?}");
}

/// Takes a step of the pending order.
async fn advance(store: &PostgresStore, key: &DeviceKey, step: WipeStep) {
    let device = store.find_device(key).await.unwrap().unwrap();
    let ordered_at = device.wipe.order().unwrap().at;
    let (key, now) = (key.clone(), now());
    let advance = WipeAdvance { key, step, ordered_at, keep_until: now, now };
    assert_eq!(store.advance_wipe(&advance).await.unwrap(), AdvanceWipe::Advanced);
}

/// Tables without devices get theirs, and a program that knows none goes on.
#[test]
fn tables_of_the_addition_before_get_devices_and_programs_without_them_go_on() {
    let Some(database) = database() else { return };
    let runtime = runtime();
    let pool = pool(&runtime, database.options(), 4);
    let prefix = new_prefix();
    let created = format!("CREATE TABLE IF NOT EXISTS {prefix}devices");
    let before = schema_of_addition(&prefix, &created, 1);
    runtime.block_on(async {
        pool.execute(sqlx::AssertSqlSafe(before)).await.unwrap();
        let store = PostgresStore::with_prefix(pool.clone(), prefix.clone());
        let cause = store.check().await.unwrap_err().to_string();
        assert!(cause.contains("earlier version"), "{cause}");
        for _ in 0..2 {
            store.migrate().await.unwrap();
            store.check().await.unwrap();
        }
        let asked = format!("SELECT schema_version, revision, additions FROM {prefix}clock");
        let asked = sqlx::query(sqlx::AssertSqlSafe(asked)).fetch_one(&pool).await.unwrap();
        let asked: [i32; 3] = [0, 1, 2].map(|column| asked.get(column));
        assert_eq!(asked[..2], [2, 3], "a program of addition 1 may start");
        assert!(asked[2] > 1, "{asked:?}");
    });
    let world = World::new(runtime, PostgresStore::with_prefix(pool, prefix));
    let store = world.server.store().store();
    world.runtime().block_on(async {
        let key = key(&world.app.id, "ann", "phone");
        let mut grant = grant(&world.app.id, "ann");
        grant.authorized_at = store.instant(now()).await.unwrap();
        store.insert_grant(grant.clone()).await.unwrap();
        let mut redemption = redemption(&grant, now());
        redemption.device = Some(key.device_id.clone());
        store.redeem_code(&redemption).await.unwrap();
        see(store, &key).await;
        order(store, &key).await;
        // A program that does not know the cutoff of a device finds the end of the row.
        let row = store.find_grant(&grant.grant_id).await.unwrap().unwrap();
        assert_eq!(row.device, Some(key.device_id));
        assert_eq!(row.revoked.map(|(_, why)| why), Some(RevocationReason::Administrator));
    });
}

/// No statement reads every device, pruning apart. `GRANTOR_SHOW_PLANS` prints the plans.
#[test]
fn the_statements_of_a_device_use_an_index() {
    let Some(cluster) = own_cluster() else { return };
    let runtime = runtime();
    let pool = pool(&runtime, cluster.options(), 1);
    let store = new_store(&runtime, &pool);
    let prefix = store.prefix().clone();
    let world = World::new(runtime, store);
    let store = world.server.store().store();
    world.runtime().block_on(async {
        for sql in [
            format!(
                "INSERT INTO {prefix}devices (client_id, subject, device, first_seen, last_seen, \
                     installed_at, wipe, grant_id, salt_digest, keep_until) \
                 SELECT 'app' || n % 50, 'user' || n, 'phone', n, n, n, CASE n % 1000 WHEN 0 THEN 1 \
                     ELSE 0 END, decode(md5(n::text), 'hex'), '', n \
                 FROM generate_series(1, 20000) n"
            ),
            format!(
                "INSERT INTO {prefix}grants SELECT decode(md5(n::text), 'hex'), 'app' || n % 50, \
                 'user' || n, NULL, 'a b', NULL, NULL, NULL, '', '', n, n, n, 1, n, n, 0, 0 \
                 FROM generate_series(1, 20000) n"
            ),
            "ANALYZE".to_owned(),
        ] {
            pool.execute(sqlx::AssertSqlSafe(sql)).await.unwrap();
        }
        let key = key(&world.app.id, "ann", "phone");
        see(store, &key).await;
        store.find_device(&key).await.unwrap();
        store.note_policy(&key, "1").await.unwrap();
        order(store, &key).await;
        advance(store, &key, WipeStep::Notify).await;

        let prepared = "SELECT name, statement, cardinality(parameter_types) AS parameters \
             FROM pg_prepared_statements WHERE strpos(statement, $1) > 0 ORDER BY prepare_time";
        let prepared = sqlx::query(prepared).bind(format!("{prefix}devices")).persistent(false);
        let prepared = prepared.fetch_all(&pool).await.unwrap();
        pool.execute("SET plan_cache_mode = force_generic_plan").await.unwrap();
        let mut plans = Vec::new();
        for row in &prepared {
            let (name, sql): (String, String) = (row.get("name"), row.get("statement"));
            let parameters: i32 = row.get("parameters");
            let nulls = vec!["NULL"; usize::try_from(parameters).unwrap()].join(", ");
            plans.push((sql, format!("EXECUTE {name}({nulls})")));
        }
        // The listings are not prepared.
        let list = format!("SELECT * FROM {prefix}devices WHERE client_id > E'\\x1f'");
        for condition in
            [" AND subject = 'user7'", " AND client_id = 'app7'", " AND wipe IN (1, 2)"]
        {
            let sql = format!("{list}{condition} ORDER BY client_id, subject, device LIMIT 20");
            plans.push((sql.clone(), sql));
        }
        assert!(plans.len() >= 8, "{} statements were looked at", plans.len());
        for (sql, run) in plans {
            let explain = format!("EXPLAIN (COSTS OFF) {run}");
            let plan = sqlx::raw_sql(sqlx::AssertSqlSafe(explain)).fetch_all(&pool).await.unwrap();
            let plan: Vec<String> = plan.iter().map(|row| row.get(0)).collect();
            let plan = plan.join("\n").replace(&prefix.to_string(), "grantor_");
            if std::env::var_os("GRANTOR_SHOW_PLANS").is_some() {
                eprintln!("{}\n\n{plan}\n", sql.replace(&prefix.to_string(), "grantor_"));
            }
            for table in ["devices", "grants", "revocations"] {
                assert!(!plan.contains(&format!("Seq Scan on grantor_{table}")), "{sql}\n{plan}");
            }
            if sql.contains("wipe IN (1, 2) ORDER BY client_id") {
                assert!(plan.contains("devices_to_be_wiped"), "{plan}");
            }
        }
    });
}

/// The devices of a user are erased with the user. One that is to be wiped stays until it has
/// reported.
#[test]
fn an_erased_user_leaves_only_devices_that_are_to_be_wiped() {
    let Some(database) = database() else { return };
    let runtime = runtime();
    let pool = pool(&runtime, database.options(), 2);
    let store = new_store(&runtime, &pool);
    runtime.block_on(async {
        let app = ClientId::new("app").unwrap();
        let [idle, wiped, of_bob] = [("ann", "idle"), ("ann", "wiped"), ("bob", "idle")]
            .map(|(subject, device)| key(&app, subject, device));
        for key in [&idle, &wiped, &of_bob] {
            see(&store, key).await;
        }
        order(&store, &wiped).await;
        let ann = Subject::new("ann").unwrap();
        let erase = async || store.erase_subject(&ann, now(), now()).await.unwrap();
        let there = async || {
            let mut there = Vec::new();
            for key in [&idle, &wiped, &of_bob] {
                there.push(store.find_device(key).await.unwrap().is_some());
            }
            there
        };
        assert_eq!(erase().await, 1);
        assert_eq!(there().await, [false, true, true]);
        advance(&store, &wiped, WipeStep::Finish).await;
        assert_eq!(erase().await, 1);
        assert_eq!(there().await, [false, false, true]);
        assert_eq!(erase().await, 0);
    });
}
