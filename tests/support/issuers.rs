//! The views of several issuers over one database: log, usage, erasure and versions are apart.

use grantor::app::{AppDraft, Flow};
use grantor::audit::{Action, Actor, AuditEvent, AuditQuery, AuditStore, EventId, NewEvent};
use grantor::clock::UnixTime;
use grantor::ids::{ClientId, GrantId, Issuer, Subject};
use grantor::observe::Outcome;
use grantor::protocol::{GrantType, Scope};
use grantor::random::OsRandom;
use grantor::server_secret::ServerSecret;
use grantor::store::{
    Consent, FeedCursor, Grant, InsertApp, Page, Revocation, RevocationReason, RevocationTarget,
    Store, UpdateApp,
};
use grantor::users::MemoryUsers;
use grantor::{AuthorizationServer, SigningKey};

fn at(millis: i64) -> UnixTime {
    UnixTime::from_millis(1_790_000_000_000 + millis)
}

/// Returns issuers with paths on one host.
pub(crate) fn tenants<const N: usize>(names: [&str; N]) -> [Issuer; N] {
    names.map(|name| Issuer::new(format!("https://example.com/{name}")).unwrap())
}

/// Registers an app at `one`, and one with the same client id at `other`.
async fn same_app<S: Store + Clone>(one: &S, other: &S) -> ClientId {
    let [issuer] = tenants(["any"]);
    let secret = ServerSecret::generate(&OsRandom::new()).unwrap();
    let key = SigningKey::generate(grantor::jwt::Algorithm::ES256).unwrap();
    let users = MemoryUsers::default();
    let server = AuthorizationServer::builder(issuer, secret, key, one.clone(), users).build();
    let draft = AppDraft::confidential("Shared name").flow(Flow::ClientCredentials);
    let app = server.admin("tester").register(draft.build().unwrap()).await.unwrap().client_id;
    let copy = one.find_app(&app).await.unwrap().unwrap();
    assert_eq!(other.insert_app((*copy).clone()).await.unwrap(), InsertApp::Inserted);
    app
}

fn event(client_id: &ClientId, subject: &Subject) -> NewEvent {
    let action = Action::IssueToken { grant_type: Some(GrantType::JwtBearer) };
    let actor = Actor::App(client_id.clone());
    let event = AuditEvent::new(at(0), actor, action, Outcome::Success).with_subject(subject);
    NewEvent { id: EventId::generate(event.at, &OsRandom::new()).unwrap(), event }
}

async fn events<S: AuditStore>(store: &S, client_id: &ClientId, subject: &Subject) -> [usize; 3] {
    let mut counts = [0; 3];
    let queries = [
        AuditQuery::all(),
        AuditQuery::all().app(client_id.clone()),
        AuditQuery::all().subject(subject.clone()),
    ];
    for (count, query) in counts.iter_mut().zip(queries) {
        let page = store.find_events(&query, Page::first(200)).await.unwrap();
        assert!(
            page.items.iter().all(|it| it.event().unwrap().client_id.as_ref() == Some(client_id))
        );
        *count = page.items.len();
    }
    counts
}

/// Makes a grant and a consent of the user, and cutoffs of the user at the app and on a device.
async fn leave_traces<S: Store>(store: &S, client_id: &ClientId, subject: &Subject) -> Grant {
    let id = GrantId::generate(&OsRandom::new()).unwrap();
    let mut grant = Grant::new(id, client_id.clone(), subject.clone(), Scope::empty());
    grant.authorized_at = store.instant(at(0)).await.unwrap();
    (grant.code_expires_at, grant.expires_at) = (at(1_000_000), at(10_000_000_000));
    for target in [
        RevocationTarget::AppAndSubject(client_id.clone(), subject.clone()),
        RevocationTarget::Device(client_id.clone(), subject.clone(), "phone".parse().unwrap()),
    ] {
        let (why, until) = (RevocationReason::Administrator, at(10_000_000_000));
        store.revoke(&Revocation { target, at: at(0), why, until }).await.unwrap();
    }
    grant.authorized_at = store.instant(at(0)).await.unwrap();
    store.insert_grant(grant.clone()).await.unwrap();
    let (client_id, subject) = (client_id.clone(), subject.clone());
    let given_at = grant.authorized_at;
    let consent = Consent { client_id, subject, scope: Scope::empty(), resource: None, given_at };
    store.remember_consent(consent).await.unwrap();
    grant
}

async fn targets<S: Store>(store: &S) -> Vec<RevocationTarget> {
    let feed = store.revocations_since(FeedCursor::default(), 1_000, at(0)).await.unwrap();
    feed.entries.into_iter().map(|entry| entry.target).collect()
}

/// Checks what the conformance kit does not, over two views of one database.
pub(crate) async fn issuers_share_no_records<S, E>(one: &S, other: &S, erase: E)
where
    S: Store + AuditStore + Clone,
    E: AsyncFn(&S, &Subject) -> usize,
{
    // Some names look like the numbers of issuers.
    let names = [["ann", "1", "2"], ["bob", "3", "4"]];
    for ((here, there), names) in [(one, other), (other, one)].into_iter().zip(names) {
        let client_id = same_app(here, there).await;
        for name in names {
            let subject = Subject::new(name).unwrap();
            let kept = leave_traces(there, &client_id, &subject).await;
            leave_traces(here, &client_id, &subject).await;
            here.append(&[event(&client_id, &subject), event(&client_id, &subject)]).await.unwrap();
            there.append(&[event(&client_id, &subject)]).await.unwrap();
            let of_app = |store: S, subject: Subject| {
                let client_id = client_id.clone();
                async move { events(&store, &client_id, &subject).await[2] }
            };
            assert_eq!(of_app(here.clone(), subject.clone()).await, 2, "{name}");
            let before = targets(there).await;
            // A grant, a consent, two events.
            assert_eq!(erase(here, &subject).await, 4, "{name}");
            assert_eq!(of_app(here.clone(), subject.clone()).await, 0, "{name}");
            assert_eq!(of_app(there.clone(), subject.clone()).await, 1, "{name}");
            assert_eq!(targets(there).await, before, "{name}");
            let names_user = |target: &RevocationTarget| {
                use RevocationTarget::{AppAndSubject, Device};
                matches!(target, AppAndSubject(_, user) | Device(_, user, _) if *user == subject)
            };
            assert!(!targets(here).await.iter().any(names_user), "{name}");
            assert!(there.find_grant(&kept.grant_id).await.unwrap().is_some(), "{name}");
            assert!(!there.is_revoked(&kept.facts()).await.unwrap(), "{name}");
            assert!(there.find_consent(&client_id, &subject).await.unwrap().is_some(), "{name}");
            assert!(here.find_consent(&client_id, &subject).await.unwrap().is_none(), "{name}");
        }
        let usage = async |store: &S| {
            store.usage_of(&client_id).await.unwrap().issued[&GrantType::JwtBearer]
        };
        assert_eq!((usage(here).await, usage(there).await), (6, 3));
        let subject = Subject::new(names[0]).unwrap();
        assert_eq!(events(there, &client_id, &subject).await[0], 3);
        here.append(&[event(&client_id, &subject)]).await.unwrap();
        assert_eq!(here.prune_events(at(1), 100).await.unwrap().removed, 1);
        assert_eq!(events(there, &client_id, &subject).await[0], 3);
        assert_eq!(there.prune_events(at(1), 100).await.unwrap().removed, 3);
        assert_apart_versions(here, there, &client_id).await;
        assert_apart_roots(here, there).await;
    }
}

/// A change of an app is counted for its own issuer.
async fn assert_apart_versions<S: Store>(here: &S, there: &S, client_id: &ClientId) {
    let version = async |store: &S| store.apps_version().await.unwrap().version;
    let before = (version(here).await, version(there).await);
    let app = here.find_app(client_id).await.unwrap().unwrap();
    let updated = here.update_app((*app).clone(), app.version()).await.unwrap();
    assert_eq!(updated, UpdateApp::Updated);
    assert_eq!((version(here).await, version(there).await), (before.0 + 1, before.1));
}

/// Each issuer remembers roots of its own.
async fn assert_apart_roots<S: Store>(here: &S, there: &S) {
    let secret = || ServerSecret::generate(&OsRandom::new()).unwrap();
    let (one, other) = (secret().roots_claim(), secret().roots_claim());
    let give_up = |mut claim: grantor::server_secret::RootsClaim, gone: &[_]| {
        claim.given_up.extend_from_slice(gone);
        claim
    };
    assert_eq!(here.claim_roots(&one).await.unwrap(), []);
    assert_eq!(there.claim_roots(&other).await.unwrap(), []);
    assert_eq!(here.claim_roots(&other).await.unwrap(), one.sealing);
    assert_eq!(there.claim_roots(&one).await.unwrap(), other.sealing);
    // The next round begins without roots.
    for (store, claim) in [(here, &one), (there, &other)] {
        let next = give_up(secret().roots_claim(), &claim.sealing);
        assert_eq!(store.claim_roots(&next).await.unwrap(), []);
        let gone = grantor::server_secret::RootsClaim {
            sealing: Vec::new(),
            accepted: Vec::new(),
            given_up: next.sealing.clone(),
        };
        assert_eq!(store.claim_roots(&gone).await.unwrap(), []);
    }
}
