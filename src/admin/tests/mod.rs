mod access;
mod audited;
mod devices;

use pollster::block_on;

use super::*;
use crate::app::{AppDraft, Flow};
use crate::audit::{AuditQuery, MemoryAudit};
use crate::clock::ManualClock;
use crate::ids::{DeviceId, Issuer};
use crate::jwt::{Algorithm, SigningKey};
use crate::protocol::redirect_uri::RedirectUri;
use crate::protocol::scope::Scope;
use crate::random::OsRandom;
use crate::server::AuthorizationServer;
use crate::server_secret::ServerSecret;
use crate::store::{GrantStore as _, MemoryStore};
use crate::users::MemoryUsers;

const NOW: UnixTime = UnixTime::from_seconds(1_700_000_000);
const HOUR: Duration = Duration::from_hours(1);

struct World {
    store: MemoryStore,
    clock: ManualClock,
    random: OsRandom,
    audit: MemoryAudit,
    usage: Usage,
    pepper: Pepper,
    sealing: Sealing,
    server: AuthorizationServer<MemoryStore, MemoryUsers>,
}

impl World {
    fn new() -> Self {
        let secret = ServerSecret::new(b"0123456789abcdef0123456789abcdef").unwrap();
        let issuer: Issuer = "https://as.example.com".parse().unwrap();
        let (pepper, sealing) = (Pepper::new(&secret, &issuer), Sealing::new(&secret, &issuer));
        let key = SigningKey::generate(Algorithm::ES256).unwrap();
        let (store, users) = (MemoryStore::new(), MemoryUsers::default());
        let server = AuthorizationServer::builder(issuer, secret, key, store, users).build();
        Self {
            store: MemoryStore::new(),
            clock: ManualClock::new(NOW),
            random: OsRandom::new(),
            audit: MemoryAudit::default(),
            usage: Usage::default(),
            pepper,
            sealing,
            server,
        }
    }

    fn parts(&self) -> AdminParts<'_, MemoryStore> {
        AdminParts {
            store: &self.store,
            pepper: &self.pepper,
            sealing: &self.sealing,
            clock: &self.clock,
            random: &self.random,
            audit: &self.audit,
            usage: &self.usage,
            inquiries: self.server.context(),
            devices: Some(&self.store),
            pending: [None; 2],
            issuers: None,
        }
    }

    fn admin(&self) -> Admin<'_, MemoryStore> {
        Admin::new(self.parts(), "root")
    }

    fn account(&self, user: &str) -> Account<'_, MemoryStore> {
        Account::new(self.parts(), None, Subject::new(user).unwrap())
    }

    fn register(&self, draft: AppDraft) -> AppCredentials {
        block_on(self.admin().register(draft.build().unwrap())).unwrap()
    }

    fn app(&self, client_id: &ClientId) -> Arc<CustomApp> {
        block_on(self.admin().find(client_id)).unwrap().unwrap()
    }

    /// Returns whether `secret` is superseded, or `None` if it does not authenticate the app.
    fn authenticates(&self, client_id: &ClientId, secret: &ClientSecret) -> Option<bool> {
        let app = self.app(client_id);
        let stored = &app.credentials().client_secrets;
        self.pepper
            .find(client_id.as_str(), secret.expose_secret(), stored, true, self.clock.now())
            .map(|found| found.superseded)
    }

    fn grant(&self, number: u8, client_id: &ClientId, subject: &str) -> Grant {
        let subject = Subject::new(subject).unwrap();
        let grant_id = GrantId::from_bytes([number; 16]);
        let mut grant = Grant::new(grant_id, client_id.clone(), subject, Scope::empty());
        grant.device = Some(DeviceId::new(format!("phone {number}")).unwrap());
        // After every revocation so far: an earlier decision would be refused.
        self.clock.advance(Duration::from_secs(1));
        grant.authorized_at = self.clock.now();
        grant.expires_at = NOW.plus(HOUR);
        grant.code_expires_at = NOW.plus(HOUR);
        block_on(self.store.insert_grant(grant)).unwrap();
        block_on(self.store.find_grant(&grant_id)).unwrap().unwrap()
    }

    fn is_live(&self, grant: &Grant) -> bool {
        !block_on(self.store.is_revoked(&grant.facts())).unwrap()
    }

    fn last_event(&self) -> AuditEvent {
        self.audit.find(&AuditQuery::all().limit(1)).remove(0)
    }
}

fn service() -> AppDraft {
    AppDraft::confidential("Reports").flow(Flow::ClientCredentials).scope(scope("files.read"))
}

fn phone() -> AppDraft {
    let uri = RedirectUri::parse("com.example.app:/done").unwrap();
    AppDraft::public("Phone").flow(Flow::AuthorizationCode).redirect_uri(uri)
}

fn scope(text: &str) -> Scope {
    Scope::parse(text).unwrap()
}

fn id(text: &str) -> ClientId {
    ClientId::new(text).unwrap()
}

fn field(result: Result<impl fmt::Debug, AdminError>) -> &'static str {
    let error = result.unwrap_err();
    let AdminError::Invalid(invalid) = error else { panic!("{error:?}") };
    invalid.field()
}

#[test]
fn a_registration_returns_usable_secrets_that_the_store_does_not_hold() {
    let world = World::new();
    let answer = world.register(service());
    let client_secret = answer.client_secret.unwrap();
    let signature_secret = answer.signature_secret.unwrap();
    assert_eq!(world.authenticates(&answer.client_id, &client_secret), Some(false));
    let app = world.app(&answer.client_id);
    let sealed = app.credentials().signature_secret.as_ref().unwrap();
    let opened = world.sealing.open(&answer.client_id, sealed).unwrap();
    assert_eq!(opened.expose_secret(), signature_secret.expose_secret());

    let stored = serde_json::to_string(&*app).unwrap() + &format!("{app:?}");
    for secret in [client_secret.expose_secret(), signature_secret.expose_secret()] {
        assert!(!stored.contains(secret));
    }
    assert_eq!((app.is_enabled(), app.created_at()), (true, NOW));
    assert!((1..1 << 52).contains(&app.version()));
}

#[test]
fn a_public_app_never_gets_a_secret() {
    let world = World::new();
    let answer = world.register(phone());
    assert!(answer.client_secret.is_none() && answer.signature_secret.is_none());
    let admin = world.admin();
    assert_eq!(
        field(block_on(admin.rotate_client_secret(&answer.client_id, HOUR))),
        "authentication"
    );
    assert_eq!(
        field(block_on(admin.regenerate_signature_secret(&answer.client_id))),
        "authentication"
    );
}

#[test]
fn an_imported_app_keeps_its_client_id_and_a_short_secret_until_that_expires() {
    let world = World::new();
    let app = ImportedApp::new(id("legacy app"), service().build().unwrap())
        .with_client_secret(ClientSecret::new("s3c"), Some(NOW.plus(HOUR)));
    let answer = block_on(world.admin().import(app)).unwrap();
    assert_eq!(answer.client_id, id("legacy app"));
    assert!(answer.client_secret.is_none(), "the import has its own");
    assert!(answer.signature_secret.is_some(), "the import has none");
    assert!(world.app(&answer.client_id).credentials().client_secrets[0].imported);
    let secret = ClientSecret::new("s3c");
    assert_eq!(world.authenticates(&answer.client_id, &secret), Some(false));
    world.clock.advance(HOUR);
    assert_eq!(world.authenticates(&answer.client_id, &secret), None);
}

#[test]
fn an_import_refuses_secrets_that_the_settings_do_not_use() {
    let world = World::new();
    let service = || ImportedApp::new(id("app"), service().build().unwrap());
    let phone = || ImportedApp::new(id("app"), phone().build().unwrap());
    let import = |app| field(block_on(world.admin().import(app)));
    let secret = |text: &str| ClientSecret::new(text);
    assert_eq!(import(service().with_client_secret(secret(""), None)), "client_secret");
    assert_eq!(import(service().with_client_secret(secret("a\nb"), None)), "client_secret");
    let long = "x".repeat(256);
    assert_eq!(import(service().with_client_secret(secret(&long), None)), "client_secret");
    assert_eq!(import(phone().with_client_secret(secret("s"), None)), "authentication");
    let short = SignatureSecret::new("x".repeat(31));
    assert_eq!(import(service().with_signature_secret(short)), "signature_secret");
    let enough = || SignatureSecret::new("x".repeat(32));
    assert_eq!(import(phone().with_signature_secret(enough())), "authentication");
    assert!(block_on(world.admin().import(service().with_signature_secret(enough()))).is_ok());
}

#[test]
fn an_import_under_a_taken_client_id_changes_nothing() {
    let world = World::new();
    let taken = world.register(service());
    let grant = world.grant(1, &taken.client_id, "ann");
    let intruder = ImportedApp::new(taken.client_id.clone(), phone().build().unwrap());
    let result = block_on(world.admin().import(intruder));
    assert!(matches!(result, Err(AdminError::AlreadyExists)));
    assert_eq!(world.app(&taken.client_id).settings().name(), "Reports");
    assert!(world.is_live(&grant));
}

#[test]
fn an_export_has_every_setting_and_no_secret_and_its_import_generates_new_ones() {
    let (here, there) = (World::new(), World::new());
    let old = here.register(service().description("monthly").access_token_lifetime(60));
    block_on(here.admin().disable(&old.client_id)).unwrap();
    let export = block_on(here.admin().export(&old.client_id)).unwrap();
    let json = serde_json::to_string(&export).unwrap();
    let members: serde_json::Value = serde_json::from_str(&json).unwrap();
    let members: Vec<_> = members.as_object().unwrap().keys().collect();
    assert_eq!(members, ["client_id", "enabled", "settings"]);

    let export: AppExport = serde_json::from_str(&json).unwrap();
    let new = block_on(there.admin().import(export.into())).unwrap();
    let (before, after) = (here.app(&old.client_id), there.app(&new.client_id));
    assert_eq!(before.client_id(), after.client_id());
    assert_eq!(before.settings(), after.settings());
    assert!(!after.is_enabled());
    let new_secret = new.client_secret.unwrap();
    assert_eq!(there.authenticates(&new.client_id, &old.client_secret.unwrap()), None);
    assert_eq!(there.authenticates(&new.client_id, &new_secret), Some(false));
}

#[test]
fn the_second_of_two_edits_of_one_version_conflicts_and_changes_nothing() {
    let world = World::new();
    let client_id = world.register(service()).client_id;
    let admin = world.admin();
    let version = world.app(&client_id).version();
    let edit = |name: &str| block_on(admin.edit(&client_id, version, service().name(name)));
    let next = edit("first").unwrap().version();
    assert_eq!(next, version + 1);
    let conflict = edit("second").unwrap_err();
    let AdminError::Conflict { expected, found } = conflict else { panic!("{conflict:?}") };
    assert_eq!((expected, found), (version, next));
    assert_eq!(conflict.to_string(), format!("the app is at version {next}, not {version}"));
    assert_eq!(world.app(&client_id).settings().name(), "first");
}

/// Y3: an edit of an app that was deleted meanwhile fails, and the app stays deleted.
#[test]
fn an_edit_does_not_bring_a_deleted_app_back() {
    let world = World::new();
    let client_id = world.register(service()).client_id;
    let version = world.app(&client_id).version();
    block_on(world.admin().delete(&client_id)).unwrap();
    let edit = block_on(world.admin().edit(&client_id, version, service()));
    assert!(matches!(edit, Err(AdminError::NotFound)));
    let enable = block_on(world.admin().enable(&client_id));
    assert!(matches!(enable, Err(AdminError::NotFound)));
    assert!(block_on(world.admin().find(&client_id)).unwrap().is_none());
}

#[test]
fn concurrent_changes_are_all_applied() {
    let world = World::new();
    let client_id = world.register(service()).client_id;
    let first = world.app(&client_id).version();
    std::thread::scope(|threads| {
        for number in 0..16 {
            let (world, client_id) = (&world, &client_id);
            threads.spawn(move || {
                let added = scope(&format!("s{number}"));
                block_on(world.admin().add_scope(client_id, &added)).unwrap();
                block_on(world.admin().rotate_client_secret(client_id, HOUR)).unwrap();
            });
        }
    });
    let app = world.app(&client_id);
    assert_eq!(app.version(), first + 32);
    assert_eq!(app.settings().scope().tokens().count(), 17);
    assert_eq!(app.credentials().client_secrets.len(), Credentials::MAX_CLIENT_SECRETS);
}

#[test]
fn removing_a_scope_that_a_wider_token_covers_is_refused() {
    let world = World::new();
    let client_id = world.register(service().scope(scope("*/files/* GET/files/1 mail"))).client_id;
    let admin = world.admin();
    let first = world.app(&client_id).version();
    let remove = |text| block_on(admin.remove_scope(&client_id, &scope(text)));
    assert_eq!(field(remove("GET/files/1")), "scope");
    assert_eq!(field(remove("GET/files/2")), "scope");
    assert_eq!(remove("mail").unwrap().settings().scope(), &scope("*/files/* GET/files/1"));
    assert_eq!(remove("*/files/* GET/files/1").unwrap().settings().scope(), &Scope::empty());
    assert_eq!(remove("mail").unwrap().version(), first + 2, "removing an absent token is a no-op");
}

#[test]
fn a_rotated_client_secret_overlaps_for_the_requested_time() {
    let world = World::new();
    let old = world.register(service());
    let client_id = old.client_id;
    let old = old.client_secret.unwrap();
    let rotate = |overlap| {
        let answer = block_on(world.admin().rotate_client_secret(&client_id, overlap)).unwrap();
        assert!(answer.signature_secret.is_none());
        answer.client_secret.unwrap()
    };
    let new = rotate(HOUR);
    assert_eq!(world.authenticates(&client_id, &new), Some(false));
    assert_eq!(world.authenticates(&client_id, &old), Some(true));
    world.clock.advance(HOUR);
    assert_eq!(world.authenticates(&client_id, &old), None);

    let newest = rotate(Duration::ZERO);
    assert_eq!(world.authenticates(&client_id, &new), None);
    assert_eq!(world.authenticates(&client_id, &newest), Some(false));
}

#[test]
fn superseded_secrets_can_be_removed_early() {
    let world = World::new();
    let old = world.register(service());
    let client_id = old.client_id;
    let rotated = block_on(world.admin().rotate_client_secret(&client_id, HOUR)).unwrap();
    block_on(world.admin().remove_superseded_secrets(&client_id)).unwrap();
    assert_eq!(world.authenticates(&client_id, &old.client_secret.unwrap()), None);
    assert_eq!(world.authenticates(&client_id, &rotated.client_secret.unwrap()), Some(false));
}

#[test]
fn an_unused_secret_is_removed_and_does_not_come_back() {
    let world = World::new();
    let answer = world.register(service());
    let (client_id, secret) = (answer.client_id, answer.client_secret.unwrap());
    let admin = world.admin();
    let first = world.app(&client_id).version();
    block_on(admin.edit(&client_id, first, phone())).unwrap();
    assert_eq!(world.app(&client_id).credentials(), &Credentials::default());
    block_on(admin.edit(&client_id, first + 1, service())).unwrap();
    assert_eq!(world.authenticates(&client_id, &secret), None);
    let fresh = block_on(admin.rotate_client_secret(&client_id, HOUR)).unwrap();
    assert_eq!(world.authenticates(&client_id, &fresh.client_secret.unwrap()), Some(false));
}

#[test]
fn apps_are_listed_page_by_page_and_searched_by_name_and_description() {
    let world = World::new();
    for number in 0..5 {
        world.register(service().name(format!("Report {number}")).description("Monthly"));
    }
    world.register(phone());
    let admin = world.admin();
    let first = block_on(admin.list(&AppQuery::all().containing("month"), Page::first(3))).unwrap();
    assert_eq!(first.items.len(), 3);
    let page = Page::first(3).after(first.next.unwrap());
    let second = block_on(admin.list(&AppQuery::all().containing("month"), page)).unwrap();
    assert_eq!((second.items.len(), second.next), (2, None));
    let named = block_on(admin.list(&AppQuery::all().containing("PHONE"), Page::first(9))).unwrap();
    assert_eq!(named.items.len(), 1);
}

#[test]
fn no_debug_output_shows_a_secret() {
    let world = World::new();
    let answer = world.register(service());
    let planted = answer.client_secret.as_ref().unwrap().expose_secret();
    let imported = ImportedApp::new(id("a"), service().build().unwrap())
        .with_client_secret(ClientSecret::new("planted"), None);
    let shown = format!("{answer:?} {imported:?} {:?} {:?}", world.admin(), world.audit);
    assert!(!shown.contains(planted) && !shown.contains("planted"));
}
