//! Exports of other servers: the apps that come of them, and the reports of what does not travel.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use grantor::app::{AppSettings, ClientAuthentication, Flow, Pkce};
use grantor::hooks::{HookAnswer, HookError, Hooks, IssueDecision};
use grantor::ids::ClientId;
use grantor::migrate::{self, ClientOutcome, ClientReport, ExportFormat, Finding, Migration};
use grantor::protocol::RedirectUri;
use grantor::rate_limit::RateLimits;
use grantor::secret::ClientSecret;
use pollster::block_on;
use serde_json::{Value, json};

use crate::support::{App, World};

const GRANT: (&str, &str) = ("grant_type", "client_credentials");

fn fixture(name: &str) -> String {
    let folder: PathBuf = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/migrate");
    fs::read_to_string(folder.join(name)).unwrap()
}

fn read(format: ExportFormat, name: &str) -> Migration {
    migrate::read(format, &fixture(name)).unwrap()
}

/// Returns the settings of the migrated app.
fn settings<'m>(migration: &'m Migration, id: &str) -> &'m AppSettings {
    let mut apps = migration.declared.apps().iter();
    apps.find(|app| app.client_id().as_str() == id).unwrap().settings()
}

fn report<'m>(migration: &'m Migration, id: &str) -> &'m ClientReport {
    let mut clients = migration.report.clients.iter();
    clients.find(|client| client.client_id.as_deref() == Some(id)).unwrap()
}

/// Returns the notes of a client as `finding field`, in their order.
fn findings(migration: &Migration, id: &str) -> Vec<String> {
    let notes = &report(migration, id).notes;
    notes.iter().map(|note| format!("{} {}", note.finding.as_str(), note.field)).collect()
}

/// Asserts that the notes of a client are these, in any order.
#[track_caller]
fn assert_findings(migration: &Migration, id: &str, expected: &[&str]) {
    let mut found = findings(migration, id);
    let mut expected: Vec<_> = expected.iter().map(|it| (*it).to_owned()).collect();
    found.sort();
    expected.sort();
    assert_eq!(found, expected, "{id}");
}

#[track_caller]
fn assert_refused(migration: &Migration, place: &str, field: &str, text: &str) {
    let client = migration.report.clients.iter().find(|client| client.place == place).unwrap();
    assert_eq!(client.outcome, ClientOutcome::Refused, "{client:?}");
    let refused = client.notes.iter().filter(|note| note.finding == Finding::Refused);
    let notes: Vec<_> = refused.collect();
    assert!(notes.iter().any(|it| it.field == field && it.text.contains(text)), "{notes:?}");
}

fn ids(migration: &Migration) -> Vec<&str> {
    migration.declared.apps().iter().map(|app| app.client_id().as_str()).collect()
}

fn uris(settings: &AppSettings) -> Vec<&str> {
    settings.redirect_uris().iter().map(RedirectUri::as_str).collect()
}

/// E1, E4: Ory Hydra. Ids are kept; implicit, wildcards and plain http are dropped and listed, and so is every
/// member without a counterpart.
#[test]
fn clients_of_hydra_become_apps() {
    let migration = read(ExportFormat::Hydra, "hydra.json");
    let calendar = "b8a7c6d5-0000-4000-8000-00000000c0de";
    assert_eq!(ids(&migration), [calendar, "robot", "spa"]);
    let app = settings(&migration, calendar);
    assert_eq!(app.name(), "Calendar");
    assert_eq!(uris(app), ["https://calendar.example.com/cb", "http://127.0.0.1/cb"]);
    assert_eq!(app.scope().to_string(), "calendar.read calendar.write openid");
    assert_eq!((app.flows(), app.pkce()), (&[Flow::AuthorizationCode][..], Pkce::Required));
    assert_eq!((app.access_token_lifetime(), app.refresh_token_lifetime()), (1_800, 2_592_000));
    assert!(app.issues_refresh_token() && app.requires_consent());
    assert_eq!(app.resources()[0].as_str(), "https://api.example.com/");
    assert_findings(
        &migration,
        calendar,
        &[
            "dropped grant_types[2]",
            "dropped response_types[1]",
            "dropped redirect_uris[2]",
            "dropped redirect_uris[3]",
            "widened scope",
            "dropped scope",
            "narrowed ",
            "narrowed access_token_strategy",
            "narrowed ",
            "dropped client_uri",
            "dropped subject_type",
            "dropped userinfo_signed_response_alg",
            "dropped created_at",
            "dropped updated_at",
            "dropped backchannel_logout_uri",
            "undecided client_secret",
            "unknown color",
        ],
    );
    let robot = settings(&migration, "robot");
    assert!(matches!(robot.authentication(), ClientAuthentication::PrivateKeyJwt(_)));
    assert_eq!(robot.access_token_lifetime(), 900);
    assert_findings(
        &migration,
        "robot",
        &["undecided grant_types[1]", "widened scope", "dropped token_endpoint_auth_signing_alg"],
    );
    let spa = settings(&migration, "spa");
    assert_eq!((spa.name(), spa.requires_consent()), ("spa", false));
    assert_findings(&migration, "spa", &["widened redirect_uris[0]", "narrowed ", "undecided "]);
    assert_refused(&migration, "[3]", "jwks_uri", "keys are not fetched");
    assert_refused(&migration, "[4]", "token_endpoint_auth_method", "no such method");
    assert_refused(&migration, "[5]", "", "no flow is left");
    assert_refused(&migration, "[6]", "", "same id");
    assert_refused(&migration, "[7]", "client_id", "must be a text");
    assert_eq!(migration.report.refused(), 5);
    let listed = json!({ "items": serde_json::from_str::<Value>(&fixture("hydra.json")).unwrap(),
        "next_page_token": "", "is_last_page": true });
    let listed = migrate::read(ExportFormat::Hydra, &listed.to_string()).unwrap();
    assert_eq!(ids(&listed), ids(&migration));
    assert_eq!(listed.report.clients[0].place, "items[0]");
}

/// E1, E4: Keycloak. Wildcards, `*` origins, direct grants and `fullScopeAllowed` give nothing, and are listed.
#[test]
fn clients_of_keycloak_become_apps() {
    let migration = read(ExportFormat::Keycloak, "keycloak.json");
    assert_eq!(ids(&migration), ["portal", "batch", "mobile"]);
    let portal = settings(&migration, "portal");
    assert_eq!(uris(portal), ["https://portal.example.com/callback", "http://localhost:8080/cb"]);
    assert!(portal.origins().is_empty());
    assert_eq!(portal.scope().to_string(), "files profile");
    assert_eq!(portal.access_token_lifetime(), 600);
    assert_eq!(portal.refresh_token_lifetime(), 36_000);
    assert_eq!(portal.refresh_token_idle_lifetime(), Some(1_800));
    assert_findings(
        &migration,
        "portal",
        &[
            "dropped implicitFlowEnabled",
            "dropped directAccessGrantsEnabled",
            "dropped redirectUris[1]",
            "widened redirectUris[2]",
            "dropped webOrigins[1]",
            "dropped defaultClientScopes[0]",
            "dropped defaultClientScopes[1]",
            "dropped defaultClientScopes[3]",
            "widened optionalClientScopes",
            "narrowed optionalClientScopes",
            "dropped fullScopeAllowed",
            "narrowed ",
            "dropped attributes.post.logout.redirect.uris",
            "dropped attributes.client.secret.creation.time",
            "dropped attributes.backchannel.logout.session.required",
            "unknown attributes.saml.force.post.binding",
            "dropped id",
            "dropped frontchannelLogout",
            "dropped nodeReRegistrationTimeout",
            "dropped protocolMappers",
            "dropped access",
            "unknown favouriteColour",
        ],
    );
    let batch =
        migration.declared.apps().iter().find(|it| it.client_id().as_str() == "batch").unwrap();
    assert!(!batch.is_enabled());
    assert!(matches!(batch.settings().authentication(), ClientAuthentication::PrivateKeyJwt(_)));
    assert_eq!(batch.settings().flows(), [Flow::ClientCredentials]);
    let mobile = settings(&migration, "mobile");
    assert_eq!(mobile.authentication(), &ClientAuthentication::None);
    assert_findings(&migration, "mobile", &["dropped secret"]);
    assert_refused(&migration, "clients[0]", "", "Keycloak itself");
    assert_refused(&migration, "clients[4]", "bearerOnly", "ResourceServer");
    assert_refused(&migration, "clients[5]", "protocol", "OAuth 2.0 alone");
    assert_refused(&migration, "clients[6]", "", "no redirect URI is left");
    let dropped: Vec<_> = migration.report.notes.iter().map(|note| note.field.as_str()).collect();
    assert_eq!(
        dropped,
        ["enabled", "id", "realm", "roles", "sslRequired", "users", "refresh tokens"]
    );
}

/// E1, E4: Duende `IdentityServer`, from tables and from `appsettings.json`.
#[test]
fn clients_of_duende_become_apps() {
    let migration = read(ExportFormat::Duende, "duende.json");
    assert_eq!(ids(&migration), ["interactive", "machine", "spa", "keyed"]);
    let app = settings(&migration, "interactive");
    assert_eq!(uris(app), ["https://app.example.com/signin-oidc"]);
    assert_eq!((app.code_lifetime(), app.refresh_token_idle_lifetime()), (300, Some(1_296_000)));
    assert_eq!(app.pkce(), Pkce::Required);
    assert_findings(
        &migration,
        "interactive",
        &[
            "dropped AllowedGrantTypes[1]",
            "dropped ClientSecrets[0]",
            "narrowed ClientSecrets[0]",
            "widened AllowedScopes",
            "dropped AllowedScopes[0]",
            "narrowed AllowPlainTextPkce",
            "narrowed RequirePkce",
            "narrowed AccessTokenType",
            "narrowed RefreshTokenUsage",
            "dropped Id",
            "dropped Created",
            "dropped AllowRememberConsent",
            "dropped IdentityTokenLifetime",
            "dropped AllowAccessTokensViaBrowser",
            "dropped FrontChannelLogoutUri",
            "dropped FrontChannelLogoutSessionRequired",
            "dropped IncludeJwtId",
            "undecided ClientSecrets",
        ],
    );
    assert_findings(
        &migration,
        "machine",
        &["dropped ClientSecrets[1]", "dropped Id", "undecided ClientSecrets"],
    );
    assert_findings(
        &migration,
        "spa",
        &[
            "widened RedirectUris[1]",
            "widened AllowedScopes",
            "dropped AllowedScopes[0]",
            "dropped Id",
        ],
    );
    assert_findings(&migration, "keyed", &["dropped Id", "unknown Shade"]);
    assert_refused(&migration, "Clients[3]", "", "no redirect URI is left");
    assert_refused(&migration, "Clients[4]", "RequireDPoP", "weaker");
    let notes: Vec<_> =
        migration.report.notes.iter().map(|it| (it.finding, it.field.as_str())).collect();
    assert_eq!(
        notes,
        [
            (Finding::Unknown, "PersistedGrants"),
            (Finding::Dropped, "ClientGrantTypes[3]"),
            (Finding::Dropped, "refresh tokens"),
        ]
    );
    let section = read(ExportFormat::Duende, "duende_appsettings.json");
    assert_eq!(ids(&section), ["worker"]);
    assert_eq!(section.report.clients[0].place, "IdentityServer.Clients[0]");
    assert_findings(&section, "worker", &["undecided ClientSecrets"]);
    let profile = json!({ "Clients": { "MyApp": { "Profile": "IdentityServerSPA" } } }).to_string();
    let profile = migrate::read(ExportFormat::Duende, &profile).unwrap();
    assert_refused(&profile, "Clients[0]", "Profile", "export the client itself");
}

/// E1, E4: Auth0, with client grants and APIs of a tenant.
#[test]
fn clients_of_auth0_become_apps() {
    let migration = read(ExportFormat::Auth0, "auth0.json");
    let (web, machine, spa) = (
        "AaBbCcDdEeFfGgHhIiJjKkLlMmNnOoPp",
        "MachineMachineMachineMachineMach",
        "SpaSpaSpaSpaSpaSpaSpaSpaSpaSpaSp",
    );
    assert_eq!(ids(&migration), [web, machine, spa]);
    let app = settings(&migration, web);
    assert_eq!(uris(app), ["https://web.example.com/callback"]);
    assert_eq!(
        (app.scope().to_string().as_str(), app.access_token_lifetime()),
        ("read:files", 7_200)
    );
    assert_eq!((app.refresh_grace(), app.refresh_token_lifetime()), (300, 2_592_000));
    assert_eq!(app.default_resource().unwrap().as_str(), "https://api.example.com/");
    assert_findings(
        &migration,
        web,
        &[
            "dropped grant_types[2]",
            "dropped grant_types[3]",
            "dropped callbacks[1]",
            "widened ",
            "narrowed ",
            "narrowed refresh_token.leeway",
            "dropped tenant",
            "dropped is_first_party",
            "dropped oidc_conformant",
            "dropped allowed_logout_urls",
            "dropped jwt_configuration",
            "dropped signing_keys",
            "dropped custom_login_page_on",
            "unknown brand_new_member",
        ],
    );
    assert_findings(&migration, machine, &["undecided client_secret"]);
    assert_findings(
        &migration,
        spa,
        &[
            "widened callbacks[0]",
            "undecided ",
            "undecided ",
            "narrowed ",
            "narrowed refresh_token.rotation_type",
            "narrowed refresh_token.expiration_type",
        ],
    );
    assert_eq!(settings(&migration, spa).authentication(), &ClientAuthentication::None);
    assert_refused(&migration, "clients[3]", "global", "tenant itself");
    assert_refused(
        &migration,
        "clients[4]",
        "client_authentication_methods",
        "keys are not in the export",
    );
}

/// E1, E4: Kiteworks, with scopes, lifetimes in hours and mobile settings. The signature flow and the password
/// grant give nothing.
#[test]
fn clients_of_kiteworks_become_apps() {
    let migration = read(ExportFormat::Kiteworks, "kiteworks.json");
    let (mail, phone) =
        ("3c1f0a52-0000-5000-8000-000000000001", "3c1f0a52-0000-5000-8000-000000000002");
    assert_eq!(ids(&migration), [mail, phone]);
    let app = settings(&migration, mail);
    assert_eq!(app.scope().to_string(), "GET/files/* GET/users/* POST/folders/*");
    assert_eq!((app.access_token_lifetime(), app.refresh_token_lifetime()), (86_400, 5_184_000));
    assert!(!app.requires_consent() && app.issues_refresh_token());
    assert_findings(
        &migration,
        mail,
        &[
            "dropped flow",
            "narrowed redirectUri",
            "narrowed ",
            "undecided signatureKey",
            "undecided client_secret",
        ],
    );
    let app = migration.declared.apps().iter().find(|it| it.client_id().as_str() == phone).unwrap();
    assert!(!app.is_enabled());
    let mobile = app.settings().mobile_security();
    assert!(mobile.remote_wipe && !mobile.biometrics && !mobile.clipboard);
    let allowed = ["com.example.editor", "com.example.viewer", "com.example.*"];
    assert_eq!(mobile.allowed_apps, allowed);
    assert_eq!(mobile.max_pin_attempts, Some(20));
    assert_findings(
        &migration,
        phone,
        &[
            "narrowed redirectUri",
            "narrowed ",
            "narrowed accessTokenLifetime",
            "undecided askPin",
            "narrowed maxPinAttempts",
            "dropped whiteList",
            "dropped minVersion",
            "undecided client_secret",
            "unknown shape",
        ],
    );
    let report = migration.report.to_string();
    assert!(report.contains("com.vendor*") && report.contains("last after a dot"), "{report}");
    assert_refused(&migration, "data[2]", "type", "Kiteworks itself");
    assert_refused(&migration, "data[3]", "", "no flow is left");
}

/// E4, E5: a dry run tells the effect first. A second call after the first does nothing, and the same apps can
/// be imported one by one.
#[test]
fn a_migration_is_planned_and_applied() {
    let world = World::unlimited();
    let admin = world.server.admin("migration");
    let migration = read(ExportFormat::Duende, "duende.json");
    let planned = block_on(admin.plan(&migration.declared)).unwrap();
    assert_eq!(planned.inserted.len(), 4);
    assert_eq!(world.events().len(), 0);
    assert_eq!(block_on(admin.apply(&migration.declared)).unwrap(), planned);
    assert!(block_on(admin.apply(&migration.declared)).unwrap().is_unchanged());

    let elsewhere = World::unlimited();
    let admin = elsewhere.server.admin("migration");
    for _ in 0..2 {
        for app in read(ExportFormat::Duende, "duende.json").declared.into_apps() {
            let id = app.client_id().clone();
            let _ = block_on(admin.import(app));
            assert!(block_on(admin.find(&id)).unwrap().is_some());
        }
    }
    assert_eq!(elsewhere.count("import_app"), 8);
    // An app whose secret the export lacks is refused with the way to give it.
    let lacking = read(ExportFormat::Auth0, "auth0.json");
    let refused = block_on(world.server.admin("migration").plan(&lacking.declared)).unwrap_err();
    assert!(refused.to_string().starts_with("apps[1].client_secret: is missing"), "{refused}");
}

/// E2: a digest of Duende authenticates its client, and this server's own replaces it at the first success.
#[test]
fn a_digest_of_duende_is_replaced_at_the_first_success() {
    let world = World::unlimited();
    let migration = read(ExportFormat::Duende, "duende.json");
    block_on(world.server.admin("migration").apply(&migration.declared)).unwrap();
    let machine = ClientId::new("machine").unwrap();
    let app = |secret: &str| App {
        id: machine.clone(),
        secret: Some(secret.to_owned()),
        signature_secret: None,
    };
    let stored = || {
        let app = block_on(world.server.admin("t").find(&machine)).unwrap().unwrap();
        app.credentials().client_secrets[0].digest.clone()
    };
    let before = stored();
    world.post(&app("wrong"), &[GRANT]).assert_error(401, "invalid_client");
    assert_eq!(stored(), before);
    assert_eq!(world.post(&app("the secret of the machine"), &[GRANT]).status, 200);
    assert_ne!(stored(), before);
    assert_eq!(world.count("renew_digest"), 1);
}

/// A host that checks one slow digest.
struct Host;

impl Hooks for Host {
    async fn before_issue(&self, _: &IssueDecision<'_>) -> Result<HookAnswer, HookError> {
        Ok(HookAnswer::Issue)
    }

    async fn check_slow_digest(
        &self,
        digest: &str,
        secret: &ClientSecret,
    ) -> Result<bool, HookError> {
        Ok(digest.starts_with("$pbkdf2-sha256$")
            && secret.expose_secret() == "the calendar's secret")
    }
}

/// E3: a slow digest of Hydra goes to the hook of the host until its first success.
#[test]
fn a_slow_digest_of_hydra_goes_to_the_hook() {
    let host = Arc::new(Host);
    let world: World<Arc<Host>> =
        World::with(|builder| builder.rate_limits(RateLimits::none()).hooks(host));
    let export: Value = serde_json::from_str(&fixture("hydra.json")).unwrap();
    let mut client = export[0].clone();
    client["grant_types"] = json!(["client_credentials"]);
    client["token_endpoint_auth_method"] = json!("client_secret_post");
    let export = json!([client]).to_string();
    let migration = migrate::read(ExportFormat::Hydra, &export).unwrap();
    block_on(world.server.admin("migration").apply(&migration.declared)).unwrap();
    let id = migration.declared.apps()[0].client_id().clone();
    let app = |secret: &str| App {
        id: id.clone(),
        secret: Some(secret.to_owned()),
        signature_secret: None,
    };
    world.post(&app("wrong"), &[GRANT]).assert_error(401, "invalid_client");
    for _ in 0..2 {
        assert_eq!(world.post(&app("the calendar's secret"), &[GRANT]).status, 200);
    }
    assert_eq!(world.count("renew_digest"), 1);
}

/// E6: every report says that refresh tokens do not travel. No report quotes a secret.
#[test]
fn every_report_says_that_refresh_tokens_do_not_travel() {
    for (format, name, secret) in [
        (ExportFormat::Hydra, "hydra.json", "$pbkdf2"),
        (ExportFormat::Keycloak, "keycloak.json", "Wq1bQd0k"),
        (ExportFormat::Duende, "duende.json", "K7gNU3sd"),
        (ExportFormat::Auth0, "auth0.json", "a-secret-of-auth0"),
        (ExportFormat::Kiteworks, "kiteworks.json", "FakeSecret9"),
    ] {
        let migration = read(format, name);
        let last = migration.report.notes.last().unwrap();
        assert_eq!((last.field.as_str(), last.finding), ("refresh tokens", Finding::Dropped));
        let shown = migration.report.to_string();
        assert!(shown.contains("users log in again"), "{shown}");
        let json = serde_json::to_string(&migration.report).unwrap();
        for text in [&shown, &json, &format!("{migration:?}")] {
            assert!(!text.contains(secret), "{format}");
        }
        assert_eq!(format.as_str().parse::<ExportFormat>().unwrap(), format);
        // The declaration is one that the reader takes.
        let declaration = serde_json::from_str(&migration.declared.to_json()).unwrap();
        assert_eq!(crate::declared_apps::schema_errors(&declaration), [""; 0]);
    }
    assert!("okta".parse::<ExportFormat>().is_err());
}

/// E4: hostile text is an error or a report, never a panic, and its member names are shortened.
#[test]
fn a_hostile_export_is_an_error_or_a_report() {
    let error = |text: &str| migrate::read(ExportFormat::Hydra, text).unwrap_err().to_string();
    assert!(error(&"[".repeat(10_000_000)).contains("recursion limit"));
    assert!(error("{").contains("not JSON"));
    let wrong = [json!(null), json!(1), json!("x"), json!([]), json!([[]]), json!({}), json!([{}])];
    for &format in ExportFormat::ALL {
        for top in [json!(5), json!("x"), json!({}), json!({ "clients": 5 }), json!(null)] {
            assert!(migrate::read(format, &top.to_string()).is_err(), "{format} {top}");
        }
        let name = format!("{format}.json");
        let sound: Value = serde_json::from_str(&fixture(&name)).unwrap();
        // Each member of a client in every wrong type.
        let place = ["/clients/1", "/Clients/0", "/data/0", "/0"];
        let place = place.into_iter().find(|place| sound.pointer(place).is_some()).unwrap();
        let members: Vec<_> =
            sound.pointer(place).unwrap().as_object().unwrap().keys().cloned().collect();
        for member in members {
            for value in &wrong {
                let mut export = sound.clone();
                export.pointer_mut(place).unwrap()[&member] = value.clone();
                let migration = migrate::read(format, &export.to_string()).unwrap();
                assert!(!migration.report.clients.is_empty());
            }
        }
        for place in ["", "/clients", "/0"] {
            for value in &wrong {
                let mut export = sound.clone();
                if let Some(json) = export.pointer_mut(place) {
                    *json = value.clone();
                    let _ = migrate::read(format, &export.to_string());
                }
            }
        }
    }
}

/// An export has the bounds of `docs/limits.md`.
#[test]
fn an_export_has_its_documented_bounds() {
    let many = |count: usize| {
        let clients: Value = (0..count).map(|_| json!(1)).collect();
        migrate::read(ExportFormat::Hydra, &clients.to_string())
    };
    assert_eq!(many(10_000).unwrap().report.refused(), 10_000);
    assert_eq!(many(10_001).unwrap_err().to_string(), "the export has more than 10000 clients");
    let text = |bytes: usize| {
        let (start, end) = (r#"[{"client_id": ""#, r#""}]"#);
        format!("{start}{}{end}", "x".repeat(bytes - start.len() - end.len()))
    };
    let longest = migrate::read(ExportFormat::Hydra, &text(16 * 1024 * 1024)).unwrap();
    assert_eq!(longest.report.clients[0].client_id.as_ref().unwrap().chars().count(), 101);
    let long = migrate::read(ExportFormat::Hydra, &text(16 * 1024 * 1024 + 1)).unwrap_err();
    assert_eq!(long.to_string(), "the export has more than 16 MiB");
    let (name, quoted) = ("n".repeat(1_000), format!("{}…", "n".repeat(100)));
    let export = json!([{ "client_id": "a", name: 1, "grant_types": ["a\u{7}b"] }]).to_string();
    let migration = migrate::read(ExportFormat::Hydra, &export).unwrap();
    assert!(migration.report.clients[0].notes.iter().any(|note| note.field == quoted));
    assert!(!migration.report.to_string().contains('\u{7}'));
}

/// E4: the device grant travels as a flow.
#[test]
fn a_client_of_devices_keeps_its_flow() {
    let grant = "urn:ietf:params:oauth:grant-type:device_code";
    let hydra = json!([{ "client_id": "tv", "client_name": "TV", "scope": "a",
        "grant_types": [grant], "token_endpoint_auth_method": "none" }]);
    let duende = json!([{ "ClientId": "tv", "ClientName": "TV", "RequireClientSecret": false,
        "AllowedGrantTypes": [grant], "AllowedScopes": ["a"] }]);
    for (format, export) in [(ExportFormat::Hydra, hydra), (ExportFormat::Duende, duende)] {
        let migration = migrate::read(format, &export.to_string()).unwrap();
        assert_eq!(settings(&migration, "tv").flows(), [Flow::DeviceCode], "{format:?}");
    }
    let attributes = |enabled: &str| {
        let client = json!({ "clientId": "tv", "publicClient": true, "standardFlowEnabled": false,
            "attributes": { "oauth2.device.authorization.grant.enabled": enabled } });
        migrate::read(ExportFormat::Keycloak, &json!([client]).to_string()).unwrap()
    };
    assert_eq!(settings(&attributes("true"), "tv").flows(), [Flow::DeviceCode]);
    assert!(attributes("false").declared.apps().is_empty());
}
