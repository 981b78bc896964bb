//! Revocation by disabling, deletion, targets and withdrawn consent.

use super::*;
use crate::store::Consent;

#[test]
fn disabling_revokes_every_grant_and_enabling_restores_none() {
    let world = World::new();
    let (client_id, other) = (world.register(service()).client_id, world.register(phone()));
    let old = world.grant(1, &client_id, "ann");
    let others = world.grant(2, &other.client_id, "ann");
    assert!(!block_on(world.admin().disable(&client_id)).unwrap().is_enabled());
    assert!(!world.is_live(&old));
    assert!(block_on(world.admin().disable(&client_id)).is_ok(), "it can be repeated");
    assert!(block_on(world.admin().enable(&client_id)).unwrap().is_enabled());
    assert!(!world.is_live(&old));
    assert!(world.is_live(&others));
    assert!(world.is_live(&world.grant(3, &client_id, "ann")));
}

#[test]
fn deletion_revokes_every_grant_and_a_later_import_restores_none() {
    let world = World::new();
    let client_id = world.register(service()).client_id;
    let old = world.grant(1, &client_id, "ann");
    let export = block_on(world.admin().export(&client_id)).unwrap();
    block_on(world.admin().delete(&client_id)).unwrap();
    assert!(!world.is_live(&old));
    let again = block_on(world.admin().delete(&client_id));
    assert!(matches!(again, Err(AdminError::NotFound)));
    block_on(world.admin().import(export.into())).unwrap();
    assert!(!world.is_live(&old));
    assert!(world.is_live(&world.grant(2, &client_id, "ann")));
}

#[test]
fn each_revocation_target_revokes_its_grants_and_is_audited() {
    let world = World::new();
    let (one, two) = (world.register(phone()).client_id, world.register(phone()).client_id);
    let (ann, bob) = (Subject::new("ann").unwrap(), Subject::new("bob").unwrap());
    let device = DeviceId::new("phone 41").unwrap();
    let grant_id = GrantId::from_bytes([51; 16]);
    let targets = [
        (RevocationTarget::App(one.clone()), [false, false, true], Some(&one), None),
        (RevocationTarget::Subject(ann.clone()), [false, true, false], None, Some(&ann)),
        (
            RevocationTarget::AppAndSubject(one.clone(), bob.clone()),
            [true, false, true],
            Some(&one),
            Some(&bob),
        ),
        (
            RevocationTarget::Device(one.clone(), ann.clone(), device),
            [false, true, true],
            Some(&one),
            Some(&ann),
        ),
        (RevocationTarget::Grant(grant_id), [false, true, true], None, None),
        (RevocationTarget::Everything, [false, false, false], None, None),
    ];
    for (round, (target, live, client_id, subject)) in (1_u8..).zip(targets) {
        let grants = [(1, &one, "ann"), (2, &one, "bob"), (3, &two, "ann")]
            .map(|(number, app, user)| world.grant(round * 10 + number, app, user));
        block_on(world.admin().revoke(target.clone())).unwrap();
        assert_eq!(grants.map(|grant| world.is_live(&grant)), live, "{target:?}");
        let event = world.last_event();
        assert_eq!(event.client_id.as_ref(), client_id);
        assert_eq!(event.subject.as_ref(), subject);
        assert_eq!(event.action, Action::Revoke { target });
    }
}

#[test]
fn a_withdrawn_consent_is_removed_and_its_grants_are_revoked() {
    let world = World::new();
    let client_id = world.register(phone()).client_id;
    let ann = Subject::new("ann").unwrap();
    let (anns, bobs) = (world.grant(1, &client_id, "ann"), world.grant(2, &client_id, "bob"));
    let consent = Consent {
        client_id: client_id.clone(),
        subject: ann.clone(),
        scope: Scope::empty(),
        resource: None,
        given_at: NOW,
    };
    block_on(world.store.remember_consent(consent)).unwrap();
    block_on(world.admin().withdraw_consent(&client_id, &ann)).unwrap();
    assert_eq!(block_on(world.store.find_consent(&client_id, &ann)).unwrap(), None);
    assert_eq!([anns, bobs].map(|grant| world.is_live(&grant)), [false, true]);
    assert_eq!(world.last_event().subject, Some(ann));
}
