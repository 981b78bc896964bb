//! The pages of the console over a database with many rows, and the statements that each takes.

use std::sync::{Arc, Mutex, Once, PoisonError};
use std::time::Duration;

use grantor::AuthorizationServer;
use grantor::app::{AppDraft, Flow, MobileSecurity};
use grantor::audit::{Action, Actor, AuditEvent, AuditStore, EventId, NewEvent};
use grantor::clock::{Clock as _, SystemClock};
use grantor::hooks::NoHooks;
use grantor::http::console::{Administrator, Console, ConsoleAccess, ConsoleRole};
use grantor::ids::{ClientId, DeviceId, GrantId, Issuer, Subject};
use grantor::jwt::{Algorithm, SigningKey};
use grantor::observe::Outcome;
use grantor::protocol::{GrantType, RedirectUri, Scope};
use grantor::random::OsRandom;
use grantor::secret::Digest;
use grantor::server_secret::ServerSecret;
use grantor::store::{DeviceKey, DeviceSighting, DeviceStore, Grant, GrantStore as _, Store};
use grantor::users::{DirectoryError, MemoryUsers};
use http::request::Parts;
use http::{Request, StatusCode};

/// Each page, by its name and its path below the console. `{app}` is an app with many grants, `{user}` a user
/// with a few, `{grant}` one of them, `{device}` a device of the user, `{lost}` one with an order to wipe it.
pub(crate) const PAGES: &[(&str, &str)] = &[
    ("Apps", "/apps"),
    ("Apps: a search without a result", "/apps?search=no+such+app"),
    ("Apps: disabled ones", "/apps?state=disabled"),
    ("New app", "/new-app"),
    ("Audit log", "/audit"),
    ("Audit log: of a user", "/audit?user={user}"),
    ("Audit log: failures", "/audit?outcome=failed"),
    ("Overview", "/apps/{app}"),
    ("Settings", "/apps/{app}/settings"),
    ("Scopes", "/apps/{app}/scopes"),
    ("Security", "/apps/{app}/security"),
    ("Credentials", "/apps/{app}/credentials"),
    ("Impersonation", "/apps/{app}/impersonation"),
    ("Token preview", "/apps/{app}/preview"),
    ("Users", "/apps/{app}/users"),
    ("Users: one", "/apps/{app}/users?user={user}"),
    ("Users: revoke a grant", "/apps/{app}/users/revoke?grant={grant}"),
    ("Users: revoke a user", "/apps/{app}/users/revoke?user={user}"),
    ("Devices", "/devices"),
    ("Devices: of a user", "/devices?user={user}"),
    ("Devices: to be wiped", "/devices?state=pending"),
    ("Devices of an app", "/apps/{app}/devices"),
    ("Devices of an app: of a user, to be wiped", "/apps/{app}/devices?user={user}&state=pending"),
    ("A device", "/devices/{device}"),
    ("A device: revoke", "/devices/{device}/revoke"),
    ("A device: wipe", "/devices/{device}/wipe"),
    ("A device: give up the wipe", "/devices/{lost}/abandon"),
    ("Usage", "/apps/{app}/usage?days=90"),
    ("Activity", "/apps/{app}/activity"),
    ("Activity: failures", "/apps/{app}/activity?outcome=failed"),
    ("Danger zone", "/apps/{app}/danger"),
    ("Danger zone: delete", "/apps/{app}/danger/delete"),
    ("A user", "/users/{user}"),
    ("A user: revoke everything", "/users/{user}/revoke"),
    ("Server", "/server"),
    ("Server: revoke everything", "/server/revoke"),
    ("Server: import", "/server/import"),
];

/// The devices of the user.
const DEVICE: &str = "phone";
const LOST: &str = "lost-phone";

/// An administrator who may do everything.
pub(crate) struct Staff;

impl ConsoleAccess for Staff {
    async fn administrator(&self, _: &Parts) -> Result<Option<Administrator>, DirectoryError> {
        Ok(Some(Administrator::new("ann", ConsoleRole::Security, "the session of ann")))
    }
}

/// The console of a server over `S`.
pub(crate) struct Pages<S> {
    console: Console<Arc<S>, Arc<MemoryUsers>, NoHooks, Staff>,
    pub(crate) app: ClientId,
    user: Subject,
    grant: GrantId,
}

impl<S: Store + DeviceStore + AuditStore + 'static> Pages<S> {
    /// Registers an app, and makes a few grants of one user, a device and one event.
    pub(crate) async fn new(store: Arc<S>) -> Self {
        let issuer = Issuer::new("https://as.example.com").unwrap();
        let secret = ServerSecret::generate(&OsRandom::new()).unwrap();
        let key = SigningKey::generate(Algorithm::ES256).unwrap();
        let users = Arc::new(MemoryUsers::default());
        let builder = AuthorizationServer::builder(issuer, secret, key, Arc::clone(&store), users);
        let server = Arc::new(builder.devices(Arc::clone(&store)).build());
        let mut rules = MobileSecurity::default();
        rules.remote_wipe = true;
        let scope = Scope::parse("files.read files.write users.read").unwrap();
        let draft = AppDraft::confidential("Archive")
            .description("Keeps what others forget.")
            .flow(Flow::AuthorizationCode)
            .redirect_uri(RedirectUri::parse("https://archive.example.com/back").unwrap())
            .scope(scope.clone())
            .refresh_token(true)
            .mobile_security(rules);
        let app = server.admin("ann").register(draft.build().unwrap()).await.unwrap().client_id;
        let user = Subject::new("3f0c7a52-6f5c-4f0b-9f0e-2d1c5b7a9e10").unwrap();
        let now = SystemClock::new().now();
        let mut grant = GrantId::from_bytes([0; 16]);
        for number in 1..=5 {
            let mut id = [number; 16];
            id[0] = 0;
            grant = GrantId::from_bytes(id);
            let mut new = Grant::new(grant, app.clone(), user.clone(), scope.clone());
            (new.binding, new.salt_digest) =
                (Digest::from_bytes([number; 32]), Digest::from_bytes([number; 32]));
            (new.authorized_at, new.generation, new.rotated_at) = (now, 1, now);
            new.expires_at = now.plus(Duration::from_hours(24 * 60));
            new.code_expires_at = new.expires_at;
            store.insert_grant(new).await.unwrap();
        }
        let key = |device: &str| DeviceKey {
            client_id: app.clone(),
            subject: user.clone(),
            device_id: DeviceId::new(device).unwrap(),
        };
        for (key, grant_id) in [(key(DEVICE), grant), (key(LOST), GrantId::from_bytes([255; 16]))] {
            let sighting = DeviceSighting {
                key,
                name: Some("Ann's phone".to_owned()),
                grant_id,
                salt_digest: Digest::from_bytes([5; 32]),
                authorized_at: now,
                keep_until: now.plus(Duration::from_hours(24 * 90)),
                now,
            };
            store.see_device(&sighting).await.unwrap();
        }
        server.admin("ann").order_wipe(&key(LOST)).await.unwrap();
        let action = Action::IssueToken { grant_type: Some(GrantType::RefreshToken) };
        let event = AuditEvent::new(now, Actor::App(app.clone()), action, Outcome::Success);
        let event = event.with_app(&app).with_subject(&user).with_grant(grant);
        let id = EventId::generate(now, &OsRandom::new()).unwrap();
        store.append(&[NewEvent { id, event }]).await.unwrap();
        let console = Console::new(server, Staff, "/console").unwrap().with_audit_log(store);
        Self { console, app, user, grant }
    }

    /// Requests a page of [`PAGES`] and returns its length.
    pub(crate) async fn visit(&self, path: &str) -> usize {
        let path = path.replace("{app}", self.app.as_str()).replace("{user}", self.user.as_str());
        let path = path.replace("{grant}", &self.grant.to_string());
        let of_user = format!("{}/{}", self.app, self.user);
        let path = path.replace("{device}", &format!("{of_user}/{DEVICE}"));
        let path = path.replace("{lost}", &format!("{of_user}/{LOST}"));
        let request = Request::get(format!("/console{path}")).body(Vec::new()).unwrap();
        let page = self.console.handle(request).await.unwrap();
        assert_eq!(page.status(), StatusCode::OK, "{path}");
        page.body().len()
    }
}

/// The number of rows to add.
pub(crate) struct Rows {
    pub(crate) apps: u32,
    pub(crate) grants: u32,
    pub(crate) events: u32,
}

/// Returns the statements that add rows like those of `app`, for SQLite or for PostgreSQL. A tenth of the grants
/// and of the events are the app's own. There are as many devices as grants. A tenth of the users are cut off.
pub(crate) fn filling(sqlite: bool, prefix: &str, app: &ClientId, rows: &Rows) -> Vec<String> {
    let now = SystemClock::new().now().as_millis();
    let day = now / 86_400_000;
    let Rows { apps, grants, events } = rows;
    let p = prefix;
    let numbers = |most: u32| {
        if sqlite {
            format!(
                "(WITH RECURSIVE i(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM i WHERE n < {most}) \
             SELECT n FROM i) AS i"
            )
        } else {
            format!("generate_series(1, {most}) AS i(n)")
        }
    };
    let numbered = |n: &str| {
        if sqlite {
            format!("printf('z-app-of-this-test-%05d', {n})")
        } else {
            format!("('z-app-of-this-test-' || lpad(({n})::text, 5, '0'))")
        }
    };
    let bytes = |count: u32, seed: &str| bytes(sqlite, count, seed);
    let own =
        format!("CASE WHEN n % 10 = 0 THEN '{app}' ELSE {} END", numbered(&format!("n % {apps}")));
    let user = if sqlite {
        "printf('3f0c7a52-6f5c-4f0b-9f0e-%012d', n % 50000)"
    } else {
        "('3f0c7a52-6f5c-4f0b-9f0e-' || lpad((n % 50000)::text, 12, '0'))"
    };
    let (record, key, key_value) = if sqlite {
        ("record", "subject_key, ", "n * 7919 % 2147483647, ")
    } else {
        ("document", "", "")
    };
    let event_id = if sqlite {
        "unhex(printf('%012x', at) || hex(randomblob(10)))".to_owned()
    } else {
        format!("decode(lpad(to_hex(at), 12, '0'), 'hex') || {}", bytes(10, "event"))
    };
    vec![
        format!(
            "INSERT INTO {p}apps (client_id, enabled, version, {record}) \
             SELECT {id}, enabled, version, replace({record}, '{app}', {id}) \
             FROM {p}apps, {i} WHERE client_id = '{app}'",
            id = numbered("n - 1"),
            i = numbers(*apps),
        ),
        format!(
            "INSERT INTO {p}grants (grant_id, client_id, subject, {key}scope, device, binding, \
                 salt_digest, authorized_at, code_expires_at, expires_at, generation, rotated_at, \
                 claim, retries, mismatches) \
             SELECT {}, {own}, {user}, {key_value}'files.read files.write', 'phone', {}, {}, \
                 {now} - n % 2000000000, {now}, {now} + 5184000000, 1 + n % 9, {now} - n % 86400000, n, 0, 0 \
             FROM {}",
            bytes(16, "grant"),
            bytes(32, "binding"),
            bytes(32, "salt"),
            numbers(*grants),
        ),
        format!(
            "INSERT INTO {p}devices (client_id, subject, device, name, first_seen, last_seen, \
                 installed_at, wipe, ordered_at, ordered_by, grant_id, salt_digest, keep_until) \
             SELECT {own}, {user}, 'tag-' || n, 'A phone', {now} - n * 1000, {now}, {now} - n * 1000, \
                 CASE WHEN n % 50 = 0 THEN 1 ELSE 0 END, CASE WHEN n % 50 = 0 THEN {now} END, \
                 CASE WHEN n % 50 = 0 THEN 'root' END, {}, {}, {now} + 5184000000 FROM {}",
            bytes(16, "device"),
            bytes(32, "salt of a device"),
            numbers(*grants),
        ),
        format!(
            "INSERT INTO {p}revocations (target, at, {}why, until) \
             SELECT 's:' || {user}, {now} + n, {}7, {now} + 5184000000 FROM {}",
            if sqlite { "tie, " } else { "" },
            if sqlite { "n, " } else { "" },
            numbers(5_000),
        ),
        format!(
            "INSERT INTO {p}audit (event_id, at, client_id, subject, severity, event) \
             SELECT {event_id}, at, client_id, subject, 1, event FROM \
             (SELECT n, {now} - n * 1000 AS at, {own} AS client_id, {user} AS subject, event \
              FROM {}, (SELECT event FROM {p}audit LIMIT 1) AS one) AS rows",
            numbers(*events),
        ),
        format!(
            "INSERT INTO {p}usage (client_id, kind, counted, last_at) \
             SELECT {}, kind, n, {now} - n * 1000 FROM {}, (SELECT 0 AS kind UNION SELECT 1 UNION SELECT 2) AS k",
            numbered("n - 1"),
            numbers(*apps),
        ),
        format!(
            "INSERT INTO {p}usage_days (client_id, day, kind, counted) \
             SELECT CASE WHEN n <= 400 THEN '{app}' ELSE {} END, \
                 {day} - CASE WHEN n <= 400 THEN n ELSE n % 10 END, kind, n \
             FROM {}, (SELECT 0 AS kind UNION SELECT 1 UNION SELECT 2 UNION SELECT 4) AS k",
            numbered("n / 10"),
            numbers(10 * apps),
        ),
        "ANALYZE".to_owned(),
    ]
}

/// An expression for `count` bytes of the row `n`.
fn bytes(sqlite: bool, count: u32, seed: &str) -> String {
    if sqlite {
        return format!("randomblob({count})");
    }
    let md5s = vec![format!("md5('{seed}' || n)"); 2].join(" || ");
    format!("decode(substr({md5s}, 1, {}), 'hex')", 2 * count)
}

/// The texts of statements that `sqlx` has run, on connections that report them.
static STATEMENTS: Mutex<Vec<String>> = Mutex::new(Vec::new());

struct Recorder;

struct Text<'t>(&'t mut String);

impl tracing::field::Visit for Text<'_> {
    fn record_str(&mut self, field: &tracing::field::Field, value: &str) {
        // The statement, or if it is short its summary.
        if field.name() == "db.statement" && !value.is_empty()
            || field.name() == "summary" && self.0.is_empty()
        {
            value.trim().clone_into(self.0);
        }
    }

    fn record_debug(&mut self, _: &tracing::field::Field, _: &dyn std::fmt::Debug) {}
}

impl tracing::Subscriber for Recorder {
    fn enabled(&self, metadata: &tracing::Metadata<'_>) -> bool {
        metadata.target() == "sqlx::query"
    }

    fn new_span(&self, _: &tracing::span::Attributes<'_>) -> tracing::span::Id {
        tracing::span::Id::from_u64(1)
    }

    fn record(&self, _: &tracing::span::Id, _: &tracing::span::Record<'_>) {}

    fn record_follows_from(&self, _: &tracing::span::Id, _: &tracing::span::Id) {}

    fn event(&self, event: &tracing::Event<'_>) {
        let mut text = String::new();
        event.record(&mut Text(&mut text));
        STATEMENTS.lock().unwrap_or_else(PoisonError::into_inner).push(text);
    }

    fn enter(&self, _: &tracing::span::Id) {}

    fn exit(&self, _: &tracing::span::Id) {}
}

/// Records the statements of this process from now on.
pub(crate) fn record_statements() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| tracing::subscriber::set_global_default(Recorder).unwrap());
}

/// Takes the recorded statements over tables with this prefix. Other tests run at the same time.
pub(crate) fn statements(prefix: &str) -> Vec<String> {
    let all = std::mem::take(&mut *STATEMENTS.lock().unwrap_or_else(PoisonError::into_inner));
    all.into_iter().filter(|text| text.contains(prefix)).collect()
}
