//! Rows that the previous version wrote into tables of revision 2, and its answers about them:
//! `tests/fixtures/revision_2`.

use std::fmt;

use grantor::app::Flow;
use grantor::audit::{AuditQuery, AuditStore};
use grantor::clock::UnixTime;
use grantor::ids::{ClientId, DeviceId, GrantId, Subject};
use grantor::secret::Digest;
use grantor::store::{
    AccessFacts, AssertionClaim, AssertionPurpose, CodeRedemption, Consent, FeedCursor, Grant,
    GrantFilter, Page, Rotation, Store,
};
use serde_json::{Value, json};

/// A century in milliseconds.
pub(crate) const CENTURY: i64 = 3_155_760_000_000;

/// Returns the instant of the rows, and milliseconds after it.
pub(crate) fn at(millis: i64) -> UnixTime {
    UnixTime::from_millis(1_790_000_000_000 + millis)
}

pub(crate) fn id(n: u8) -> GrantId {
    GrantId::from_bytes([n; 16])
}

pub(crate) fn binding(n: u8) -> Digest {
    Digest::from_bytes([n; 32])
}

pub(crate) fn salt(n: u8) -> Digest {
    Digest::from_bytes([n | 0x80; 32])
}

pub(crate) fn redemption(n: u8, client_id: &ClientId) -> CodeRedemption {
    CodeRedemption {
        grant_id: id(n),
        client_id: client_id.clone(),
        binding: binding(n),
        salt_digest: salt(n),
        confirmation: None,
        binds: false,
        device: None,
        polling: None,
        claim: 1,
        now: at(5),
    }
}

pub(crate) fn rotation(
    n: u8,
    client_id: &ClientId,
    generation: u32,
    grace: i64,
    now: i64,
) -> Rotation {
    Rotation {
        grant_id: id(n),
        client_id: client_id.clone(),
        salt_digest: salt(n),
        generation,
        confirmation: None,
        binds: false,
        grace_millis: grace,
        skew_millis: 0,
        idle_millis: None,
        proves_reuse: true,
        claim: 2,
        now: at(now),
    }
}

fn claim(
    n: u8,
    purpose: AssertionPurpose,
    client_id: &ClientId,
    expires: i64,
    now: i64,
    grant: Option<Grant>,
) -> AssertionClaim {
    AssertionClaim {
        client_id: client_id.clone(),
        purpose,
        jti: Digest::from_bytes([n; 32]),
        expires_at: at(expires),
        makes_row: grant.is_some(),
        grant,
        now: at(now),
    }
}

/// Returns the name of an answer, without instants.
fn name(answer: &impl fmt::Debug) -> String {
    let text = format!("{answer:?}");
    text.split(" {").next().unwrap_or_default().to_owned()
}

/// Returns the answers of a store: about all rows first, then as tokens are presented.
async fn questions<S: Store + AuditStore>(store: &S, apps: &[ClientId]) -> Vec<Value> {
    let mut answers = Vec::new();
    let mut grants = Vec::new();
    for n in 1..=30 {
        let found = store.find_grant(&id(n)).await.unwrap();
        answers.push(json!([format!("grant {n}"), found]));
        if let Some(grant) = found {
            let revoked = store.is_revoked(&grant.facts()).await.unwrap();
            answers.push(json!([format!("{n} is revoked"), revoked]));
            grants.push((n, grant));
        }
    }
    answers.extend(questions_about_tokens(store, apps, &grants[0].1).await);
    answers.extend(questions_about_apps(store, apps).await);
    answers.extend(presented(store, apps, &grants).await);
    answers
}

/// Asks about tokens without a row, listings and the feed.
async fn questions_about_tokens<S: Store>(
    store: &S,
    apps: &[ClientId],
    first: &Grant,
) -> Vec<Value> {
    let mut answers = Vec::new();
    let bob = Subject::new("bob").unwrap();
    let device = |name: &str| DeviceId::new(name).unwrap();
    for (n, token) in [27, 40, 41, 42].into_iter().zip([
        ("bob", None, i64::MAX),
        ("bob", None, i64::MAX),
        ("nobody-knows", None, 0),
        ("bob", Some(device("lost")), 0),
    ]) {
        let subject = Subject::new(token.0).unwrap();
        let facts = AccessFacts {
            grant_id: id(n),
            subject: &subject,
            device: token.1.as_ref(),
            authorized_at: UnixTime::from_millis(token.2),
            ..first.facts()
        };
        answers.push(json!([
            format!("token {n} is revoked"),
            store.is_revoked(&facts).await.unwrap()
        ]));
    }
    for (text, filter) in [
        ("all", GrantFilter::all()),
        ("bob's", GrantFilter::all().of_subject(bob)),
        ("the app's", GrantFilter::all().of_app(apps[1].clone())),
        ("on the phone", GrantFilter::all().on_device(device("phone"))),
        ("live", GrantFilter::all().live_at(at(0))),
    ] {
        let page = store.list_grants(&filter, Page::first(200)).await.unwrap();
        let ids: Vec<_> = page.items.iter().map(|grant| grant.grant_id.to_string()).collect();
        answers.push(json!([text, ids]));
    }
    let feed = store.revocations_since(FeedCursor::default(), 1_000, at(0)).await.unwrap();
    answers.push(json!(["feed", feed.entries]));
    answers
}

/// Asks about consents, apps, usage and events.
async fn questions_about_apps<S: Store + AuditStore>(store: &S, apps: &[ClientId]) -> Vec<Value> {
    let mut answers = Vec::new();
    for subject in ["consenting", "pair-user"] {
        for (n, client_id) in apps.iter().enumerate() {
            let subject = Subject::new(subject).unwrap();
            let consent = store.find_consent(client_id, &subject).await.unwrap();
            let scope = consent.map(|consent| (consent.scope.to_string(), consent.given_at));
            answers.push(json!([format!("consent of {} to app {n}", subject.as_str()), scope]));
        }
    }
    for (n, client_id) in apps.iter().enumerate() {
        let app = store.find_app(client_id).await.unwrap();
        let app = app.map(|app| (serde_json::to_value(&*app).unwrap(), app.is_enabled()));
        answers.push(json!([format!("app {n}"), app]));
        let usage = store.usage_of(client_id).await.unwrap();
        answers.push(json!([format!("usage {n}"), format!("{usage:?}")]));
    }
    answers.push(json!(["changes of apps", store.apps_version().await.unwrap().version]));
    for query in [AuditQuery::all(), AuditQuery::all().subject(Subject::new("ann").unwrap())] {
        let events = store.find_events(&query, Page::first(10)).await.unwrap();
        let events: Vec<_> = events.items.into_iter().map(|event| event.json).collect();
        answers.push(json!(["events", events]));
    }
    answers
}

/// Presents every code, token and assertion.
async fn presented<S: Store>(store: &S, apps: &[ClientId], grants: &[(u8, Grant)]) -> Vec<Value> {
    let mut answers = Vec::new();
    for (n, grant) in grants {
        let client_id = &grant.client_id;
        let live = grant.generation;
        let mut done = Vec::new();
        if live == 0 {
            done.push(name(&store.redeem_code(&redemption(*n, client_id)).await.unwrap()));
        } else {
            // First the one before, in its grace, then the live one, then one that is too old
            for generation in [live.saturating_sub(1).max(1), live, live.saturating_sub(2).max(1)] {
                let rotation = rotation(*n, client_id, generation, 30_000, 20);
                done.push(name(&store.rotate(&rotation).await.unwrap()));
            }
            done.push(name(&store.redeem_code(&redemption(*n, client_id)).await.unwrap()));
        }
        let revoked = store.is_revoked(&grant.facts()).await.unwrap();
        answers.push(json!([format!("{n} presented"), done, revoked]));
    }
    for (n, purpose) in [
        (1, AssertionPurpose::Grant),
        (1, AssertionPurpose::ClientAuthentication),
        (2, AssertionPurpose::ClientAuthentication),
        (3, AssertionPurpose::Grant),
        (3, AssertionPurpose::Grant),
    ] {
        let claim = claim(n, purpose, &apps[0], CENTURY, 30, None);
        answers.push(json!([
            format!("assertion {n}"),
            name(&store.claim_assertion(&claim).await.unwrap())
        ]));
    }
    // A request that began before a withdrawal does not write the consent again.
    let subject = Subject::new("pair-user").unwrap();
    let consent = Consent {
        client_id: apps[0].clone(),
        subject: subject.clone(),
        scope: "files.read".parse().unwrap(),
        resource: None,
        given_at: at(0),
    };
    store.remember_consent(consent).await.unwrap();
    answers.push(json!([
        "a late consent",
        store.find_consent(&apps[0], &subject).await.unwrap().is_some()
    ]));
    for n in [2, 27] {
        let mut grant = grants[1].1.clone();
        grant.grant_id = id(n);
        answers
            .push(json!([format!("insert {n}"), name(&store.insert_grant(grant).await.unwrap())]));
        let grant = store.find_grant(&id(n)).await.unwrap().unwrap();
        answers.push(json!([
            format!("{n} is revoked"),
            store.is_revoked(&grant.facts()).await.unwrap()
        ]));
    }
    answers
}

/// Asks a store over the migrated rows what the previous version was asked, and checks that it answers
/// the same.
pub(crate) async fn assert_kept<S: Store + AuditStore>(store: &S, expected: &str) {
    let expected: Vec<Value> =
        expected.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let apps: Vec<ClientId> = serde_json::from_value(expected[0][1].clone()).unwrap();
    let answers = questions(store, &apps).await;
    assert_eq!(answers.len() + 1, expected.len());
    for (before, now) in expected[1..].iter().zip(&answers) {
        assert!(keeps(before, now), "{before}\nis now\n{now}");
    }
    let grants = answers
        .iter()
        .filter(|answer| answer[0].as_str().unwrap().starts_with("grant ") && !answer[1].is_null());
    let mut count = 0;
    for grant in grants {
        let grant: Grant = serde_json::from_value(grant[1].clone()).unwrap();
        assert_eq!(
            (grant.flow, grant.confirmation, grant.bound_from, &grant.circumstances),
            (None, None, 0, &None),
        );
        assert_eq!(grant.made_by() == Flow::JwtBearer, grant.actor.is_some());
        count += 1;
    }
    assert_eq!(count, 28);
}

/// Checks whether `now` has all that `before` had.
fn keeps(before: &Value, now: &Value) -> bool {
    match (before, now) {
        (Value::Object(before), Value::Object(now)) => {
            before.iter().all(|(name, value)| keeps(value, now.get(name).unwrap_or(&Value::Null)))
        }
        (Value::Array(before), Value::Array(now)) => {
            before.len() == now.len()
                && before.iter().zip(now).all(|(one, other)| keeps(one, other))
        }
        (before, now) => before == now,
    }
}

/// Returns the statements of the previous version.
pub(crate) fn statements(json: &str) -> impl Fn(&str) -> String + use<> {
    let all: Value = serde_json::from_str(json).unwrap();
    move |name| all[name].as_str().unwrap_or_else(|| panic!("no statement {name}")).to_owned()
}
