//! Clients that write until a process is killed, the answers that they got, and a check that these
//! hold afterwards.

use std::collections::BTreeMap;
use std::time::Duration;

use grantor::ids::{ClientId, DeviceId, GrantId};
use grantor::secret::Digest;
use grantor::store::{
    AssertionClaim, AssertionPurpose, ClaimAssertion, Grant, GrantRefusal, GrantStore, InsertGrant,
    PostgresStore, RedeemCode, Revocation, RevocationReason, RevocationTarget, Rotate, Rotation,
    StoreError,
};

use super::child::{Task, say};
use super::races::{redemption, rotation};
use super::world::{grant, now, random_bytes};

/// The number of writers at a time.
pub(crate) const WRITERS: usize = 16;
/// The application name of the connections of a killed client.
pub(crate) const CLIENT: &str = "killed_client";

/// The answers of the store for one grant.
#[derive(Clone, Copy, Default)]
pub(crate) struct Answered {
    pub(crate) generation: u32,
    pub(crate) was_claimed: bool,
    pub(crate) was_revoked: bool,
}

/// The answers of the store. Requests without an answer are not in it.
#[derive(Default)]
pub(crate) struct Ledger {
    pub(crate) grants: BTreeMap<GrantId, Answered>,
    /// The number of answers.
    pub(crate) answers: u64,
}

impl Ledger {
    /// Enters `inserted`, `redeemed`, `rotated`, `claimed` or `revoked`, the grant, its generation.
    pub(crate) fn enter(&mut self, line: &str) {
        let [step, id, generation] = line.split(' ').collect::<Vec<_>>()[..] else {
            panic!("no answer: {line}")
        };
        self.answers += 1;
        let answered = self.grants.entry(id.parse().unwrap()).or_default();
        answered.generation = answered.generation.max(generation.parse().unwrap());
        answered.was_claimed |= step == "claimed";
        answered.was_revoked |= step == "revoked";
    }
}

/// Returns a grant that its id determines.
pub(crate) fn known(client_id: &ClientId, id: GrantId) -> Grant {
    let mut grant = grant(client_id, &format!("user {id}"));
    grant.grant_id = id;
    grant.device = Some(DeviceId::new(format!("device {id}")).unwrap());
    (grant.binding, grant.salt_digest) = (digest(id), digest(id));
    grant
}

fn digest(id: GrantId) -> Digest {
    Digest::from_bytes([*id.as_bytes(), *id.as_bytes()].concat().try_into().unwrap())
}

fn claim(grant: &Grant) -> AssertionClaim {
    AssertionClaim {
        client_id: grant.client_id.clone(),
        purpose: AssertionPurpose::Grant,
        jti: digest(grant.grant_id),
        expires_at: now().plus(Duration::from_hours(1)),
        grant: None,
        makes_row: false,
        now: now(),
    }
}

/// Returns a revocation of the grant. The id determines the target.
fn ending(grant: &Grant) -> Revocation {
    let (client_id, subject) = (grant.client_id.clone(), grant.subject.clone());
    let target = match grant.grant_id.as_bytes()[0] % 4 {
        0 => RevocationTarget::Grant(grant.grant_id),
        1 => RevocationTarget::Subject(subject),
        2 => RevocationTarget::AppAndSubject(client_id, subject),
        _ => RevocationTarget::NamedDevice(grant.device.clone().unwrap()),
    };
    let until = now().plus(Duration::from_hours(24));
    Revocation { target, at: now(), why: RevocationReason::Administrator, until }
}

/// Writes until the store fails or `goes_on` returns `false`, and says each answer.
pub(crate) async fn write(
    store: PostgresStore,
    client_id: ClientId,
    goes_on: impl Fn() -> bool + Send,
    say: impl Fn(&str) + Send,
) -> Result<(), StoreError> {
    while goes_on() {
        let grant = known(&client_id, GrantId::from_bytes(random_bytes()));
        let id = grant.grant_id;
        let inserted = store.insert_grant(grant.clone()).await?;
        assert!(matches!(inserted, InsertGrant::Inserted { .. }), "{inserted:?}");
        say(&format!("inserted {id} 0"));
        let redeemed = store.redeem_code(&redemption(&grant, now())).await?;
        assert_eq!(redeemed, RedeemCode::Redeemed);
        say(&format!("redeemed {id} 1"));
        for generation in 1..4 {
            let rotated = store.rotate(&rotation(&grant, generation, now())).await?;
            assert_eq!(rotated, Rotate::Rotated);
            say(&format!("rotated {id} {}", generation + 1));
        }
        let claimed = store.claim_assertion(&claim(&grant)).await?;
        assert!(matches!(claimed, ClaimAssertion::First { .. }), "{claimed:?}");
        say(&format!("claimed {id} 0"));
        store.revoke(&ending(&grant)).await?;
        say(&format!("revoked {id} 0"));
    }
    Ok(())
}

/// Checks that everything answered for a grant is there, with at most one more step, and that nothing
/// can be spent again. Afterwards the grant is dead.
pub(crate) async fn check(
    store: &PostgresStore,
    client_id: &ClientId,
    id: GrantId,
    answered: Answered,
) -> Result<(), StoreError> {
    let grant = known(client_id, id);
    let Some(row) = store.find_grant(&id).await? else { panic!("{id} is gone") };
    let (least, found) = (answered.generation, row.generation);
    assert!(found == least || found == least + 1, "{id}: answered {least}, found {found}");
    let is_revoked = store.is_revoked(&row.facts()).await?;
    assert!(is_revoked || !answered.was_revoked, "{id}: the revocation is gone");
    assert!(!is_revoked || answered.was_claimed, "{id}: no client has revoked it");
    if answered.was_claimed {
        assert_eq!(store.claim_assertion(&claim(&grant)).await?, ClaimAssertion::Replayed, "{id}");
    }
    let refused = Rotate::Refused(GrantRefusal::Revoked);
    if is_revoked {
        assert_eq!(store.rotate(&rotation(&grant, found, now())).await?, refused, "{id}");
    } else if found > 1 && id.as_bytes()[1].is_multiple_of(2) {
        let spent = Rotation { grace_millis: 0, ..rotation(&grant, found - 1, now()) };
        assert_eq!(store.rotate(&spent).await?, Rotate::Reused, "{id}");
    } else {
        if found == 0 {
            let redeemed = store.redeem_code(&redemption(&grant, now())).await?;
            assert_eq!(redeemed, RedeemCode::Redeemed, "{id}");
        }
        let redeemed = store.redeem_code(&redemption(&grant, now())).await?;
        assert_eq!(redeemed, RedeemCode::AlreadyRedeemed, "{id}");
    }
    let rotated = store.rotate(&rotation(&grant, found.max(1), now())).await?;
    assert_eq!(rotated, refused, "{id}");
    Ok(())
}

#[test]
fn child_that_writes_until_it_is_killed() {
    let settings = [("application_name", CLIENT), ("synchronous_commit", "on")];
    let Some(task) = Task::find(8, &settings) else { return };
    let writers: Vec<_> = (0..WRITERS)
        .map(|_| write(task.store.clone(), task.client_id.clone(), || true, say))
        .map(|writer| task.runtime.spawn(writer))
        .collect();
    for writer in writers {
        task.runtime.block_on(writer).unwrap().unwrap();
    }
}
