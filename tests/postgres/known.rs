//! Refreshes of grants that the process knows.

use std::time::Duration;

use grantor::clock::UnixTime;
use grantor::ids::{GrantId, Subject};
use grantor::store::{
    Grant, GrantFilter, GrantStore as _, Page, PostgresStore, Revocation, RevocationReason,
    RevocationTarget, Rotate,
};
use serde_json::Value;

use super::cluster::{database, new_store, pool, runtime};
use super::races::rotation;
use super::world::{World, now};

/// A server that keeps grants, and another process over the same tables.
struct Two {
    world: World,
    other: PostgresStore,
}

impl Two {
    fn new(most: usize) -> Option<Self> {
        let database = database()?;
        let runtime = runtime();
        let pool = pool(&runtime, database.options(), 2);
        let store = new_store(&runtime, &pool);
        let other = store.clone();
        Some(Self { world: World::new(runtime, store.with_known_grants(most)), other })
    }

    /// Returns the newest refresh token of a family that was refreshed twice, and its grant.
    fn family(&self) -> (String, GrantId) {
        let (code, verifier) = self.world.code();
        let mut token = text(&self.world.redeem(&code, &verifier).unwrap());
        for _ in 0..2 {
            token = text(&self.world.refresh(&token).unwrap());
        }
        let rows = GrantFilter::all();
        let page = Page::first(100);
        let rows = self.world.runtime().block_on(self.other.list_grants(&rows, page)).unwrap();
        let newest = rows.items.iter().max_by_key(|row| row.rotated_at).unwrap();
        (token, newest.grant_id)
    }

    fn row(&self, grant_id: GrantId) -> Grant {
        self.world.runtime().block_on(self.other.find_grant(&grant_id)).unwrap().unwrap()
    }

    fn knows(&self, grant_id: GrantId) -> Option<u32> {
        self.world.server.store().known_grant(&grant_id).map(|known| known.generation)
    }

    /// Lets the other process rotate.
    fn rotate(&self, grant_id: GrantId) {
        let row = self.row(grant_id);
        let rotation = rotation(&row, row.generation, now());
        let answer = self.world.runtime().block_on(self.other.rotate(&rotation)).unwrap();
        assert_eq!(answer, Rotate::Rotated);
    }

    fn revoke(&self, target: RevocationTarget) {
        let (at, why) = (now(), RevocationReason::Administrator);
        let revocation = Revocation { target, at, why, until: far() };
        self.world.runtime().block_on(self.other.revoke(&revocation)).unwrap();
    }
}

/// The end of the retention of a revocation.
fn far() -> UnixTime {
    now().plus(Duration::from_hours(24))
}

fn text(answer: &Value) -> String {
    answer["refresh_token"].as_str().unwrap().to_owned()
}

/// A token that another process has spent meanwhile gives nothing. The first request cannot tell whether it was spent
/// before the request began. The next one reads the row, and ends the family.
#[test]
fn a_known_grant_that_another_process_has_rotated_gives_nothing_and_then_ends() {
    let Some(two) = Two::new(100) else { return };
    let (token, grant_id) = two.family();
    assert_eq!(two.knows(grant_id), Some(3));
    two.rotate(grant_id);
    // The predecessor within the grace gets the very same successor, as ever.
    let again = two.world.refresh(&token).unwrap();
    assert_eq!(two.knows(grant_id), Some(4));
    two.rotate(grant_id);
    two.rotate(grant_id);
    let newest = text(&again);
    assert_eq!(two.world.refresh(&newest).unwrap_err(), "temporarily_unavailable");
    assert_eq!(two.knows(grant_id), None);
    assert_eq!(two.row(grant_id).revoked, None);
    assert_eq!(two.world.refresh(&newest).unwrap_err(), "invalid_grant");
    let why = two.row(grant_id).revoked.unwrap().1;
    assert_eq!(why, RevocationReason::RefreshTokenReused);
}

/// A process that has spent a token itself finds its reuse at once.
#[test]
fn a_known_grant_ends_with_the_first_reuse_of_a_token_that_this_process_spent() {
    let Some(two) = Two::new(100) else { return };
    let (first, grant_id) = two.family();
    let second = text(&two.world.refresh(&first).unwrap());
    text(&two.world.refresh(&second).unwrap());
    assert_eq!(two.world.refresh(&first).unwrap_err(), "invalid_grant");
    let why = two.row(grant_id).revoked.unwrap().1;
    assert_eq!(why, RevocationReason::RefreshTokenReused);
    assert_eq!(two.knows(grant_id), None);
}

#[test]
fn a_known_grant_that_another_process_has_ended_gives_nothing() {
    let Some(two) = Two::new(100) else { return };
    let of_all = [
        RevocationTarget::Everything,
        RevocationTarget::App(two.world.app.id.clone()),
        RevocationTarget::Subject(Subject::new("ann").unwrap()),
    ];
    for target in of_all.into_iter().map(Some).chain([None]) {
        let (token, grant_id) = two.family();
        assert_eq!(two.knows(grant_id), Some(3));
        two.revoke(target.clone().unwrap_or(RevocationTarget::Grant(grant_id)));
        assert_eq!(two.world.refresh(&token).unwrap_err(), "invalid_grant", "{target:?}");
        assert_eq!((two.knows(grant_id), two.row(grant_id).generation), (None, 3));
    }
}

/// An erased user is in no memory of the process that erased the user.
#[test]
fn an_erased_user_is_not_known() {
    let Some(two) = Two::new(100) else { return };
    let (token, grant_id) = two.family();
    let store = two.world.server.store().store();
    let user = Subject::new("ann").unwrap();
    two.world.runtime().block_on(store.erase_subject(&user, now(), far())).unwrap();
    assert_eq!(two.knows(grant_id), None);
    assert_eq!(two.world.refresh(&token).unwrap_err(), "invalid_grant");
}

#[test]
fn without_the_setting_no_grant_is_known() {
    let Some(two) = Two::new(0) else { return };
    let (token, grant_id) = two.family();
    assert_eq!(two.knows(grant_id), None);
    two.rotate(grant_id);
    two.rotate(grant_id);
    // The first request with a token that was spent before ends its family.
    assert_eq!(two.world.refresh(&token).unwrap_err(), "invalid_grant");
    assert!(two.row(grant_id).revoked.is_some());
}
