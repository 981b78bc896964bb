//! N1: grants are dated before the first check of their request, by the database's clock at the latest.

use std::sync::Arc;
use std::time::Duration;

use grantor::clock::{ManualClock, SystemClock};
use grantor::secret::Digest;
use grantor::store::{
    AssertionClaim, AssertionPurpose, CachedApps, ClaimAssertion, GrantStore as _, MemoryStore,
    PostgresStore, Revocation, RevocationReason, RevocationTarget,
};

use sqlx::postgres::PgConnectOptions;

use super::cluster::{database, new_store, pool, runtime};
use super::overtaken::nothing_survives_an_end_before_the_claim;
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
    for (set, kept) in [(Duration::ZERO, Duration::ZERO), (HOUR, HOUR), (HOUR * 2, HOUR)] {
        assert_eq!(store.clone().with_host_skew(set).clock_skew(), kept);
    }
    assert_eq!(CachedApps::new(store).clock_skew(), Duration::from_secs(10));
    assert_eq!(MemoryStore::new().clock_skew(), Duration::ZERO);
}

/// N1: a claim waits for a lock while access ends. It is dated before the wait, also by a host whose clock is
/// ahead: by `now()`, and not by `clock_timestamp()`.
#[test]
fn a_claim_that_waited_for_a_lock_does_not_survive_a_revocation_meanwhile() {
    let Some(database) = database() else { return };
    let (runtime, name) = (runtime(), "a waiting claim");
    let own = pool(&runtime, database.options().application_name(name), 2);
    let hosts = pool(&runtime, database.options(), 2);
    let store = new_store(&runtime, &own);
    let prefix = store.prefix().clone();
    let world = World::new(runtime, store);
    let store = world.server.store().store().clone();
    world.runtime().block_on(async {
        for (makes_row, ahead) in [(true, Duration::ZERO), (true, HOUR), (false, HOUR)] {
            let mut impersonation = grant(&world.app.id, "ann");
            impersonation.authorized_at = store.instant(now()).await.unwrap().plus(ahead);
            impersonation.generation = 1;
            let claim = AssertionClaim {
                client_id: world.app.id.clone(),
                purpose: AssertionPurpose::Grant,
                jti: Digest::from_bytes(random_bytes()),
                expires_at: now().plus(HOUR),
                grant: Some(impersonation.clone()),
                makes_row,
                now: now(),
            };
            // Another claim of the same assertion, which is never committed.
            let mut other = hosts.begin().await.unwrap();
            let insert = format!(
                "INSERT INTO {prefix}assertions (jti, purpose, client_id, expires_at) \
                 VALUES ($1, 1, $2, $3)"
            );
            sqlx::query(sqlx::AssertSqlSafe(insert))
                .bind(&claim.jti.as_bytes()[..])
                .bind(world.app.id.as_str())
                .bind(claim.expires_at.as_millis())
                .execute(&mut *other)
                .await
                .unwrap();
            let waiting = {
                let store = store.clone();
                tokio::spawn(async move { store.claim_assertion(&claim).await })
            };
            let waits = "SELECT 1 FROM pg_stat_activity \
                         WHERE application_name = $1 AND wait_event_type = 'Lock'";
            while sqlx::query(waits).bind(name).fetch_all(&hosts).await.unwrap().is_empty() {
                assert!(!waiting.is_finished(), "the claim does not wait");
            }
            let revocation = Revocation {
                target: RevocationTarget::Subject(impersonation.subject.clone()),
                at: now(),
                why: RevocationReason::Administrator,
                until: now().plus(HOUR),
            };
            let revoked = store.revoke(&revocation).await.unwrap();
            other.rollback().await.unwrap();
            let answer = waiting.await.unwrap().unwrap();
            let ClaimAssertion::First { authorized_at } = answer else { panic!("{answer:?}") };
            assert!(authorized_at <= revoked.at, "{authorized_at} is after {}", revoked.at);
            let mut claimed = impersonation;
            claimed.authorized_at = authorized_at;
            assert!(store.is_revoked(&claimed.facts()).await.unwrap(), "a claim survives");
        }
    });
}
