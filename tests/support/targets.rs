//! Revocations of devices, sessions and evidence issuers end what they name, and nothing else.

use grantor::clock::UnixTime;
use grantor::ids::{ClientId, DeviceId, EvidenceIssuer, GrantId, SessionId, Subject};
use grantor::protocol::Scope;
use grantor::secret::Digest;
use grantor::store::{
    AccessFacts, FeedCursor, Grant, GrantRefusal, InsertGrant, Revocation, RevocationReason,
    RevocationTarget, Rotate, Rotation, Store,
};

fn at(millis: i64) -> UnixTime {
    UnixTime::from_millis(1_790_000_000_000 + millis)
}

/// Makes a grant of a device, a session and an evidence issuer, at generation 1.
async fn family<S: Store>(store: &S, n: u8, client_id: &ClientId, of: [&str; 4]) -> Grant {
    let [subject, device, session, evidence] = of;
    let (id, subject) = (GrantId::from_bytes([n; 16]), Subject::new(subject).unwrap());
    let mut grant = Grant::new(id, client_id.clone(), subject, Scope::parse("a b").unwrap());
    (grant.binding, grant.salt_digest) = (Digest::from_bytes([n; 32]), Digest::from_bytes([n; 32]));
    grant.authorized_at = store.instant(at(0)).await.unwrap();
    (grant.code_expires_at, grant.expires_at) = (at(1_000_000), at(10_000_000_000));
    grant.device = Some(DeviceId::new(device).unwrap());
    grant.circumstances.get_or_insert_default().session = Some(SessionId::new(session).unwrap());
    grant.circumstances.get_or_insert_default().evidence_issuer =
        Some(EvidenceIssuer::new(evidence).unwrap());
    (grant.generation, grant.rotated_at, grant.claim) = (1, at(0), 1);
    let answer = store.insert_grant(grant.clone()).await.unwrap();
    let InsertGrant::Inserted { authorized_at } = answer else { panic!("{answer:?}") };
    grant.authorized_at = authorized_at;
    let found = store.find_grant(&id).await.unwrap().unwrap();
    assert_eq!(found, grant, "every member comes back");
    grant
}

async fn rotate<S: Store>(store: &S, grant: &Grant) -> Rotate {
    let rotation = Rotation {
        grant_id: grant.grant_id,
        client_id: grant.client_id.clone(),
        salt_digest: grant.salt_digest,
        generation: 1,
        confirmation: None,
        binds: false,
        grace_millis: 60_000,
        skew_millis: 0,
        idle_millis: None,
        proves_reuse: true,
        claim: 2,
        now: at(10),
    };
    store.rotate(&rotation).await.unwrap()
}

/// Checks each new target over an empty store with two enabled apps.
pub(crate) async fn new_targets_end_what_they_name<S: Store>(store: &S, apps: [&ClientId; 2]) {
    let [app, other] = apps;
    let device = DeviceId::new("phone").unwrap();
    let (session, evidence) =
        (SessionId::new("s").unwrap(), EvidenceIssuer::new("https://idp").unwrap());
    let targets = [
        RevocationTarget::Device(app.clone(), Subject::new("ann").unwrap(), device),
        RevocationTarget::Session(session),
        RevocationTarget::EvidenceIssuer(evidence),
    ];
    for (case, target) in (0_u8..).zip(targets) {
        let n = 10 * (case + 1);
        let ended = ["ann", "phone", "s", "https://idp"];
        let spared: [(&ClientId, [&str; 4]); 3] = match case {
            0 => [
                (other, ended),
                (app, ["bob", "phone", "s", "https://idp"]),
                (app, ["ann", "tablet", "s", "https://idp"]),
            ],
            1 => [
                (app, ["ann", "phone", "t", "https://idp"]),
                (app, ["ann", "s", "s2", "https://idp"]),
                (other, ["s", "phone", "t", "s"]),
            ],
            _ => [
                (app, ["ann", "phone", "s", "https://other"]),
                (app, ["ann", "phone", "https://idp", "https://idp2"]),
                (other, ["https://idp", "https://idp", "t", "s"]),
            ],
        };
        let victim = family(store, n, app, ended).await;
        let mut bystanders = Vec::new();
        for (k, (app, of)) in (1..).zip(spared) {
            bystanders.push(family(store, n + k, app, of).await);
        }
        let why = RevocationReason::Administrator;
        let revocation =
            Revocation { target: target.clone(), at: at(5), why, until: at(10_000_000_000) };
        let revoked = store.revoke(&revocation).await.unwrap();
        let again = store.revoke(&revocation).await.unwrap();
        assert!(revoked.at <= again.at);
        assert!(store.is_revoked(&victim.facts()).await.unwrap(), "{target:?}");
        assert_eq!(rotate(store, &victim).await, Rotate::Refused(GrantRefusal::Revoked));
        // A token without a row, and one that descends from the grant.
        let facts = AccessFacts { grant_id: GrantId::from_bytes([99; 16]), ..victim.facts() };
        assert!(store.is_revoked(&facts).await.unwrap(), "{target:?}");
        let parent = victim.facts().to_parent();
        let derived = AccessFacts {
            client_id: other,
            device: None,
            session: None,
            evidence_issuer: None,
            authorized_at: UnixTime::MAX,
            via: std::slice::from_ref(&parent),
            ..facts
        };
        assert!(store.is_revoked(&derived).await.unwrap(), "{target:?}");
        assert!(!store.is_revoked(&AccessFacts { via: &[], ..derived }).await.unwrap());
        for bystander in &bystanders {
            assert!(!store.is_revoked(&bystander.facts()).await.unwrap(), "{bystander:?}");
            assert_eq!(rotate(store, bystander).await, Rotate::Rotated, "{bystander:?}");
        }
        // A later grant lives.
        let later = family(store, n + 9, app, ended).await;
        assert!(!store.is_revoked(&later.facts()).await.unwrap(), "{target:?}");
        assert_eq!(rotate(store, &later).await, Rotate::Rotated);
        let feed = store.revocations_since(FeedCursor::default(), 1_000, at(20)).await.unwrap();
        let entry = feed.entries.iter().find(|entry| entry.target == target).unwrap();
        assert_eq!((entry.at, entry.why, entry.until), (again.at, why, revocation.until));
        let rest =
            store.revocations_since(FeedCursor { at: again.at, tie: u64::MAX >> 1 }, 10, at(20));
        assert!(rest.await.unwrap().entries.is_empty());
        let end = store.prune(at(10_000_000_001), 1_000).await.unwrap();
        assert!(end.removed > 0 && !end.more);
        assert!(!store.is_revoked(&facts).await.unwrap(), "{target:?} is kept until its end");
    }
}
