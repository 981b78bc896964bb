//! Erasure of a user.

use std::time::Duration;

use grantor::ids::Subject;
use grantor::protocol::Scope;
use grantor::store::{Consent, GrantFilter, GrantStore as _, Page};

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
            let consent = Consent { client_id, subject, scope: Scope::empty(), given_at: now() };
            store.remember_consent(consent).await.unwrap();
        }
        let until = now().plus(Duration::from_hours(24));
        assert_eq!(store.erase_subject(&ann, now(), until).await.unwrap(), 3);
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
