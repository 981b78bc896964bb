//! The throughput of `SqliteStore`, and the size of a grant in its file.
//!
//! * Refreshes by 64 concurrent clients, each durable when it returns, beside the same statement
//!   with a commit for each, on the same disk. The ratio is the gain of shared commits.
//! * Bytes of the file per live grant, new and after many rotations.
//!
//! Run `cargo bench --bench sqlite --features sqlite`; `-- --json` prints one JSON object per line.
#![expect(clippy::unwrap_used, reason = "a bench stops at the first failure")]
#![expect(clippy::print_stdout, reason = "a bench prints its figures")]
#![expect(clippy::cast_precision_loss, reason = "figures are rounded")]
#![expect(clippy::disallowed_methods, reason = "a bench measures time")]

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use grantor::clock::UnixTime;
use grantor::ids::{ClientId, GrantId};
use grantor::jwt::Algorithm;
use grantor::random::OsRandom;
use grantor::secret::Digest;
use grantor::store::{
    CodeRedemption, Durability, Grant, GrantStore as _, RedeemCode, Rotate, Rotation,
    SqliteSettings, SqliteStore,
};
use grantor::users::MemoryUsers;
use grantor::{
    AppDraft, AuthorizationServer, Flow, Issuer, Scope, ServerSecret, SigningKey, Subject,
};
use sqlx::sqlite::{SqliteConnectOptions, SqliteSynchronous};
use sqlx::{ConnectOptions as _, Row as _};
use tokio::sync::Mutex;
use tokio::task::JoinSet;

const CLIENTS: usize = 64;
/// The two take turns, because the speed of disks varies.
const ROUNDS: usize = 5;
const TIME: Duration = Duration::from_secs(1);
const GRANTS: usize = 12_800;
/// Beyond 127, because a larger generation takes two bytes.
const ROTATIONS: u32 = 150;

fn at(millis: i64) -> UnixTime {
    UnixTime::from_millis(1_700_000_000_000 + millis)
}

/// Registers an app like the server does.
async fn register(store: &Arc<SqliteStore>) -> ClientId {
    let server = AuthorizationServer::builder(
        Issuer::new("https://as.example.com").unwrap(),
        ServerSecret::generate(&OsRandom::new()).unwrap(),
        SigningKey::generate(Algorithm::EdDSA).unwrap(),
        Arc::clone(store),
        MemoryUsers::default(),
    )
    .build();
    let draft = AppDraft::confidential("Bench").flow(Flow::ClientCredentials);
    server.admin("bench").register(draft.build().unwrap()).await.unwrap().client_id
}

/// Creates a grant with names of production length: 36 characters for the user, two scopes, no
/// device.
fn grant(client_id: &ClientId) -> Grant {
    let id = GrantId::generate(&OsRandom::new()).unwrap();
    let digest: [u8; 32] = [*id.as_bytes(), *id.as_bytes()].concat().try_into().unwrap();
    let subject = Subject::new(format!("{id}-{}", &id.to_string()[..13])).unwrap();
    let scope = Scope::parse("files.read files.write").unwrap();
    let mut grant = Grant::new(id, client_id.clone(), subject, scope);
    (grant.binding, grant.salt_digest) = (Digest::from_bytes(digest), Digest::from_bytes(digest));
    grant.auth_time = Some(at(-60_000));
    grant.authorized_at = at(0);
    grant.code_expires_at = at(60_000);
    grant.expires_at = at(60 * 86_400_000);
    grant
}

async fn redeem(store: &SqliteStore, client_id: &ClientId) -> Grant {
    let grant = grant(client_id);
    store.insert_grant(grant.clone()).await.unwrap();
    let redemption = CodeRedemption {
        grant_id: grant.grant_id,
        client_id: client_id.clone(),
        binding: grant.binding,
        salt_digest: grant.salt_digest,
        confirmation: None,
        binds: true,
        device: None,
        polling: None,
        claim: u64::MAX / 3,
        now: at(1_000),
    };
    assert_eq!(store.redeem_code(&redemption).await.unwrap(), RedeemCode::Redeemed);
    grant
}

async fn rotate(store: &SqliteStore, grant: &Grant, generation: u32) {
    let rotation = Rotation {
        grant_id: grant.grant_id,
        client_id: grant.client_id.clone(),
        salt_digest: grant.salt_digest,
        generation,
        grace_millis: 30_000,
        skew_millis: 0,
        idle_millis: None,
        proves_reuse: true,
        confirmation: None,
        binds: true,
        claim: u64::MAX / 3 + u64::from(generation),
        now: at(2_000),
    };
    assert_eq!(store.rotate(&rotation).await.unwrap(), Rotate::Rotated);
}

/// Creates families with that many concurrent clients.
async fn families(store: &Arc<SqliteStore>, client_id: &ClientId, count: usize) -> Vec<Grant> {
    let mut clients = JoinSet::new();
    for _ in 0..CLIENTS {
        let (store, client_id) = (Arc::clone(store), client_id.clone());
        clients.spawn(async move {
            let mut made = Vec::new();
            for _ in 0..count / CLIENTS {
                made.push(redeem(&store, &client_id).await);
            }
            made
        });
    }
    clients.join_all().await.concat()
}

/// Returns the refreshes per second of 64 clients, and the commits per second.
async fn shared(store: &Arc<SqliteStore>, families: &[Grant]) -> (f64, f64) {
    let mut clients = JoinSet::new();
    let (begun, commits) = (Instant::now(), store.commits());
    for family in families {
        let (store, family) = (Arc::clone(store), family.clone());
        clients.spawn(async move {
            let mut generation = 0;
            while begun.elapsed() < TIME {
                generation += 1;
                rotate(&store, &family, generation).await;
            }
            generation
        });
    }
    let refreshes: u32 = clients.join_all().await.into_iter().sum();
    let seconds = begun.elapsed().as_secs_f64();
    (f64::from(refreshes) / seconds, (store.commits() - commits) as f64 / seconds)
}

/// Returns the same with one commit per refresh: one connection that 64 clients use in turns.
async fn alone(file: &Path, families: &[Grant]) -> f64 {
    let options = SqliteConnectOptions::new().filename(file).synchronous(SqliteSynchronous::Full);
    let connection = options.disable_statement_logging().connect().await.unwrap();
    let connection = Arc::new(Mutex::new(connection));
    let mut clients = JoinSet::new();
    let begun = Instant::now();
    for family in families {
        let (connection, family) = (Arc::clone(&connection), family.clone());
        clients.spawn(async move {
            let mut generation = 0_u32;
            while begun.elapsed() < TIME {
                generation += 1;
                let update = sqlx::query(
                    "UPDATE grantor_grants SET generation = generation + 1, rotated_at = ?3, \
                     claim = ?4 WHERE grant_id = ?1 AND generation = ?2 AND revoked_at IS NULL",
                )
                .bind(family.grant_id.as_bytes().to_vec())
                .bind(generation)
                .bind(at(2_000).as_millis())
                .bind(i64::from(generation));
                let mut connection = connection.lock().await;
                let updated = update.execute(&mut *connection).await.unwrap();
                assert_eq!(updated.rows_affected(), 1);
            }
            generation
        });
    }
    let refreshes: u32 = clients.join_all().await.into_iter().sum();
    f64::from(refreshes) / begun.elapsed().as_secs_f64()
}

/// Returns the bytes of the file that are in use.
async fn bytes(file: &Path) -> i64 {
    let mut connection = SqliteConnectOptions::new().filename(file).connect().await.unwrap();
    let row = sqlx::query(
        "SELECT (page_count - freelist_count) * page_size AS bytes \
         FROM pragma_page_count, pragma_freelist_count, pragma_page_size",
    );
    row.fetch_one(&mut connection).await.unwrap().get("bytes")
}

/// Returns the bytes per live grant, with its first refresh token and after many rotations.
async fn size(file: &Path) -> (f64, f64) {
    let settings = SqliteSettings::new().with_durability(Durability::Normal);
    let store = Arc::new(SqliteStore::open(file, settings).await.unwrap());
    let client_id = register(&store).await;
    let empty = bytes(file).await;
    let families = families(&store, &client_id, GRANTS).await;
    let per_grant = |bytes: i64| (bytes - empty) as f64 / families.len() as f64;
    let new = per_grant(bytes(file).await);
    let mut clients = JoinSet::new();
    for part in families.chunks(families.len().div_ceil(CLIENTS)) {
        let (store, part) = (Arc::clone(&store), part.to_vec());
        clients.spawn(async move {
            for (number, grant) in part.iter().enumerate() {
                let often = if number % 8 == 0 { ROTATIONS } else { 2 };
                for generation in 1..=often {
                    rotate(&store, grant, generation).await;
                }
            }
        });
    }
    clients.join_all().await;
    (new, per_grant(bytes(file).await))
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.swap_remove(values.len() / 2)
}

/// A folder on the disk of this build.
struct Folder(PathBuf);

impl Folder {
    fn new() -> Self {
        let target = Path::new(env!("CARGO_MANIFEST_DIR")).join("target");
        let path = target.join(format!("bench-sqlite-{}", std::process::id()));
        std::fs::create_dir_all(&path).unwrap();
        Self(path)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        // Errors have no receiver here.
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() {
    let folder = Folder::new();
    let file = folder.0.join("speed.db");
    let store = Arc::new(SqliteStore::open(&file, SqliteSettings::new()).await.unwrap());
    let client_id = register(&store).await;
    let families = families(&store, &client_id, 2 * ROUNDS * CLIENTS).await;
    let mut rounds = [const { Vec::new() }; 4];
    for round in families.chunks(2 * CLIENTS) {
        let (ours, others) = round.split_at(CLIENTS);
        let (shared, commits) = shared(&store, ours).await;
        let alone = alone(&file, others).await;
        for (all, value) in rounds.iter_mut().zip([shared, commits, alone, shared / alone]) {
            all.push(value);
        }
    }
    let [shared, commits, alone, ratio] = rounds.map(median);
    let (new, rotated) = size(&folder.0.join("size.db")).await;
    let figures = [
        ("refreshes/shared_commits", shared, "per second, 64 clients, durable"),
        ("refreshes/commits", commits, "per second"),
        ("refreshes/one_commit_each", alone, "per second"),
        ("refreshes/ratio", ratio, "at least 10"),
        ("grant/bytes", new, "at most 300"),
        ("grant/bytes_rotated", rotated, "at most 300, unchanged"),
    ];
    let json = std::env::args().any(|argument| argument == "--json");
    for (name, value, what) in figures {
        if json {
            let value = (value * 10.0).round() / 10.0;
            println!("{}", serde_json::json!({ "name": name, "value": value }));
        } else {
            println!("{name:<26} {value:>9.1}  {what}");
        }
    }
}
