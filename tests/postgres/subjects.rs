//! Erasure of a user.

use std::time::Duration;

use grantor::ids::{DeviceId, Subject};
use grantor::protocol::Scope;
use grantor::store::{
    Consent, GrantFilter, GrantStore as _, Page, Revocation, RevocationReason, RevocationTarget,
};
use sqlx::Row as _;

use super::cluster::{database, new_store, pool, runtime};
use super::world::{World, grant, now};

#[test]
fn what_is_stored_of_a_user_can_be_erased_and_stays_revoked() {
    let Some(database) = database() else { return };
    let runtime = runtime();
    let pool = pool(&runtime, database.options(), 2);
    let store = new_store(&runtime, &pool);
    let world = World::new(runtime, store);
    let store = world.server.store().store();
    world.runtime().block_on(async {
        let (ann, bob) = (Subject::new("ann").unwrap(), Subject::new("bob").unwrap());
        let token = grant(&world.app.id, "ann");
        for grant in [token.clone(), grant(&world.app.id, "ann"), grant(&world.app.id, "bob")] {
            store.insert_grant(grant).await.unwrap();
        }
        for subject in [&ann, &bob] {
            let (client_id, subject) = (world.app.id.clone(), subject.clone());
            let consent = Consent {
                client_id,
                subject,
                scope: Scope::empty(),
                resource: None,
                given_at: now(),
            };
            store.remember_consent(consent).await.unwrap();
        }
        let until = now().plus(Duration::from_hours(24));
        let device = DeviceId::new("tablet").unwrap();
        for subject in [&ann, &bob] {
            let (app, user) = (world.app.id.clone(), subject.clone());
            for target in [
                RevocationTarget::AppAndSubject(app.clone(), user.clone()),
                RevocationTarget::Device(app, user, device.clone()),
            ] {
                let why = RevocationReason::Administrator;
                store.revoke(&Revocation { target, at: now(), why, until }).await.unwrap();
            }
        }
        assert_eq!(store.erase_subject(&ann, now(), until).await.unwrap(), 3);
        let targets = format!("SELECT target FROM {}revocations ORDER BY target", store.prefix());
        let targets = sqlx::query(sqlx::AssertSqlSafe(targets)).fetch_all(&pool).await.unwrap();
        let targets: Vec<String> = targets.iter().map(|row| row.get(0)).collect();
        let app = &world.app.id;
        let left = [format!("device:{app}\nbob\ntablet"), format!("p:{app}\nbob"), "s:ann".into()];
        assert_eq!(targets, left);
        assert_eq!(store.erase_subject(&ann, now(), until).await.unwrap(), 0);
        let left = store.list_grants(&GrantFilter::all(), Page::first(10)).await.unwrap();
        assert_eq!(left.items.len(), 1);
        assert_eq!(left.items[0].subject, bob);
        assert!(store.find_consent(&world.app.id, &ann).await.unwrap().is_none());
        assert!(store.find_consent(&world.app.id, &bob).await.unwrap().is_some());
        let facts = token.facts();
        assert!(store.is_revoked(&facts).await.unwrap(), "a token issued before is honoured");
    });
}
