//! N1: grants are dated before the first check of their request, by the database's clock at the latest.

use std::sync::Arc;
use std::time::Duration;

use grantor::clock::{ManualClock, SystemClock, UnixTime};
use grantor::secret::Digest;
use grantor::store::{
    AssertionClaim, AssertionPurpose, CachedApps, ClaimAssertion, GrantStore as _, MemoryStore,
    PostgresStore, Revocation, RevocationReason, RevocationTarget, TablePrefix,
};
use sqlx::postgres::{PgConnectOptions, PgConnection};

use super::cluster::{database, new_store, pool, runtime};
use super::overtaken::nothing_survives_an_end_before_the_claim;
use super::trouble::until_it_waits;
use super::world::{Blocking, World, grant, now, random_bytes};

const HOUR: Duration = Duration::from_hours(1);

/// N1: with a right clock, and with one that is an hour ahead or behind.
#[test]
fn nothing_that_a_revocation_overtakes_survives() {
    let Some(database) = database() else { return };
    let store = || {
        let runtime = runtime();
        let pool = pool(&runtime, database.options(), 2);
        (Arc::new(new_store(&runtime, &pool)), Blocking(runtime))
    };
    let (right, runner) = store();
    nothing_survives_an_end_before_the_claim(right, SystemClock::new(), runner);
    for clock in [now().plus(HOUR), now().minus(HOUR)] {
        let (wrong, runner) = store();
        nothing_survives_an_end_before_the_claim(wrong, ManualClock::new(clock), runner);
    }
    let (cached, runner) = store();
    let cached = Arc::new(CachedApps::new(PostgresStore::clone(&cached)));
    nothing_survives_an_end_before_the_claim(cached, SystemClock::new(), runner);
}

/// N16: hosts that share a database may differ by 10 s, or as set, by an hour at most. One machine has one clock.
#[test]
fn the_difference_of_hosts_has_a_default_and_a_bound() {
    let runtime = runtime();
    let store = PostgresStore::new(pool(&runtime, PgConnectOptions::new(), 1));
    assert_eq!(store.clock_skew(), Duration::from_secs(10));
    let beyond = HOUR + Duration::from_millis(1);
    for (set, kept) in [(Duration::ZERO, Duration::ZERO), (HOUR, HOUR), (beyond, HOUR)] {
        assert_eq!(store.clone().with_host_skew(set).clock_skew(), kept);
    }
    assert_eq!(CachedApps::new(store).clock_skew(), Duration::from_secs(10));
    assert_eq!(MemoryStore::new().clock_skew(), Duration::ZERO);
}

/// The obstacle in the way of a claim while access ends.
#[derive(Clone, Copy, Debug)]
enum Obstacle {
    /// Another claim of the same assertion, which is never committed. The claim is dated by then.
    Claim,
    /// The index of the assertions. The claim has its snapshot by then, and no date.
    Index,
}

/// N1: a claim waits for a lock while access ends. It is dated before the wait, also by a host whose clock is
/// ahead: by `now()`, and not by `clock_timestamp()`.
#[test]
fn a_claim_that_waited_for_a_lock_does_not_survive_a_revocation_meanwhile() {
    let Some(database) = database() else { return };
    let (runtime, name) = (runtime(), "a waiting claim");
    // A plan that is known locks no index before the snapshot.
    let options = database.options().application_name(name);
    let own = pool(&runtime, options.options([("plan_cache_mode", "force_generic_plan")]), 1);
    let hosts = pool(&runtime, database.options(), 3);
    let store = new_store(&runtime, &own);
    let other = PostgresStore::with_prefix(hosts.clone(), store.prefix().clone());
    let world = World::new(runtime, store);
    let store = world.server.store().store().clone();
    let cases = [(true, Duration::ZERO), (true, HOUR), (false, HOUR)];
    let cases =
        cases.into_iter().flat_map(|case| [(case, Obstacle::Claim), (case, Obstacle::Index)]);
    for ((makes_row, ahead), obstacle) in cases {
        let what = format!("{obstacle:?}, {makes_row}, {ahead:?}");
        let claim = |authorized_at: UnixTime| {
            let mut impersonation = grant(&world.app.id, "ann");
            impersonation.authorized_at = authorized_at.plus(ahead);
            impersonation.generation = 1;
            AssertionClaim {
                client_id: world.app.id.clone(),
                purpose: AssertionPurpose::Grant,
                jti: Digest::from_bytes(random_bytes()),
                expires_at: now().plus(HOUR),
                grant: Some(impersonation),
                makes_row,
                now: now(),
            }
        };
        world.runtime().block_on(async {
            store.claim_assertion(&claim(store.instant(now()).await.unwrap())).await.unwrap();
            let claim = claim(store.instant(now()).await.unwrap());
            let mut claimed = claim.grant.clone().unwrap();
            let mut in_its_way = hosts.begin().await.unwrap();
            block(&mut in_its_way, obstacle, &claim, other.prefix()).await;
            let waiting = {
                let store = store.clone();
                tokio::spawn(async move { store.claim_assertion(&claim).await })
            };
            until_it_waits(&hosts, name, &waiting).await;
            let revocation = Revocation {
                target: RevocationTarget::Subject(claimed.subject.clone()),
                at: now(),
                why: RevocationReason::Administrator,
                until: now().plus(HOUR),
            };
            let revoked = other.revoke(&revocation).await.unwrap();
            // A later millisecond by the clock of the database.
            while other.instant(now()).await.unwrap() <= revoked.at.plus(Duration::from_millis(1)) {
            }
            in_its_way.rollback().await.unwrap();
            let answer = waiting.await.unwrap().unwrap();
            let ClaimAssertion::First { authorized_at } = answer else { panic!("{answer:?}") };
            assert!(authorized_at <= revoked.at, "{what}: {authorized_at} is after {}", revoked.at);
            claimed.authorized_at = authorized_at;
            assert!(other.is_revoked(&claimed.facts()).await.unwrap(), "{what}: a claim survives");
        });
    }
}

/// Puts the obstacle in the way of `claim`, until the transaction ends.
async fn block(
    transaction: &mut PgConnection,
    obstacle: Obstacle,
    claim: &AssertionClaim,
    prefix: &TablePrefix,
) {
    let put = match obstacle {
        Obstacle::Claim => format!(
            "INSERT INTO {prefix}assertions (jti, purpose, client_id, expires_at) \
             VALUES ($1, 1, $2, $3)"
        ),
        Obstacle::Index => {
            format!("ALTER INDEX {prefix}assertions_pkey SET TABLESPACE pg_default")
        }
    };
    let put = sqlx::query(sqlx::AssertSqlSafe(put));
    let put = match obstacle {
        Obstacle::Claim => put
            .bind(&claim.jti.as_bytes()[..])
            .bind(claim.client_id.as_str())
            .bind(claim.expires_at.as_millis()),
        Obstacle::Index => put,
    };
    put.execute(transaction).await.unwrap();
}
