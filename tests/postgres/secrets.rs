//! No secret is in any table.

use std::fmt::Write as _;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use grantor::audit::AuditQueue;
use grantor::endpoint::FormRequest;
use grantor::random::OsRandom;
use grantor::store::{GrantStore as _, RevocationTarget};
use sqlx::{PgPool, Row as _};

use super::cluster::{database, new_store, pool, runtime};
use super::world::World;

/// Returns every row of every table as text, with bytes as hexadecimal digits.
async fn dump(pool: &PgPool, prefix: &str) -> String {
    let mut dump = String::new();
    for table in [
        "clock",
        "apps",
        "grants",
        "assertions",
        "revocations",
        "consents",
        "audit",
        "usage",
        "roots",
    ] {
        let sql = format!("SELECT row_to_json(t)::text FROM {prefix}{table} AS t");
        for row in sqlx::query(sqlx::AssertSqlSafe(sql)).fetch_all(pool).await.unwrap() {
            dump.push_str(&row.get::<String, _>(0));
            dump.push('\n');
        }
    }
    dump
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        write!(text, "{byte:02x}").unwrap();
        text
    })
}

/// No column holds a code, token, client secret or signature secret, neither as text nor as
/// hexadecimal digits nor decoded from base64url.
#[test]
fn a_leaked_table_holds_nothing_that_can_be_presented() {
    let Some(database) = database() else { return };
    let runtime = runtime();
    let pool = pool(&runtime, database.options(), 4);
    let store = new_store(&runtime, &pool);
    let prefix = store.prefix().to_string();
    let audit = AuditQueue::new(&OsRandom::new()).unwrap();
    let failed = |error: &_| panic!("{error:?}");
    let written = runtime.spawn(audit.run(store.clone(), tokio::time::sleep, failed));
    let world = World::with_audit(runtime, store, audit.clone());
    let (secret, signature_secret) = (&world.app.secret, &world.app.signature_secret);
    let mut secrets = [secret, signature_secret].map(|it| it.clone().unwrap()).to_vec();
    let text = |answer: &serde_json::Value, name: &str| answer[name].as_str().unwrap().to_owned();
    for _ in 0..3 {
        let (code, verifier) = world.code();
        let tokens = world.redeem(&code, &verifier).unwrap();
        let mut refresh_token = text(&tokens, "refresh_token");
        secrets.extend([code.clone(), verifier.clone(), text(&tokens, "access_token")]);
        for _ in 0..3 {
            let refreshed = world.refresh(&refresh_token).unwrap();
            secrets.extend([refresh_token, text(&refreshed, "access_token")]);
            refresh_token = text(&refreshed, "refresh_token");
        }
        world.redeem(&code, &verifier).unwrap_err();
        secrets.push(refresh_token);
    }
    secrets.push(text(&world.impersonate().unwrap(), "access_token"));
    let (code, verifier) = world.code();
    let tokens = world.redeem(&code, &verifier).unwrap();
    secrets.extend([text(&tokens, "access_token"), text(&tokens, "refresh_token")]);
    let form = url::form_urlencoded::Serializer::new(String::new())
        .append_pair("client_id", world.app.id.as_str())
        .append_pair("client_secret", world.app.secret.as_deref().unwrap())
        .append_pair("token", &text(&tokens, "access_token"))
        .finish();
    world.runtime().block_on(world.server.revoke(&FormRequest::new(&form))).unwrap();

    audit.close();
    world.runtime().block_on(written).unwrap();
    let dump = world.runtime().block_on(dump(&pool, &prefix));
    assert!(dump.contains("ann") && dump.lines().count() > 10, "{dump}");
    assert!(
        dump.contains("code_replayed") && dump.contains("\"kind\":"),
        "there is no log: {dump}"
    );
    let feed = world.server.store().store().revocations_since(
        grantor::store::FeedCursor::default(),
        100,
        super::world::now(),
    );
    let feed = world.runtime().block_on(feed).unwrap();
    let is_grant =
        |it: &&grantor::store::Revocation| matches!(it.target, RevocationTarget::Grant(_));
    assert_eq!(feed.entries.iter().filter(is_grant).count(), 4, "three replays, one given back");

    // Ids of grants are not secret. Handles and tokens contain them.
    let ids: Vec<String> = dump
        .match_indices("\"grant_id\":\"\\\\x")
        .map(|(at, found)| dump[at + found.len()..at + found.len() + 32].to_owned())
        .collect();
    assert!(ids.len() > 3, "{dump}");
    for secret in &secrets {
        // The rest after the prefix of a handle or a generated secret.
        let body =
            secret.get(4..).filter(|_| secret.starts_with('g') && secret[3..].starts_with('_'));
        for part in secret.split('.').chain(body) {
            assert!(part.len() > 10 && !dump.contains(part), "{part} in {dump}");
            assert!(!dump.contains(&hex(part.as_bytes())), "{part} in {dump}");
            let Ok(bytes) = URL_SAFE_NO_PAD.decode(part) else { continue };
            for window in bytes.windows(16) {
                let window = hex(window);
                assert!(!dump.contains(&window) || ids.contains(&window), "{window} in {dump}");
            }
        }
    }
}
