//! The seed: users, apps, resource servers, the API catalog, the devices and the device grant, as JSON.
//!
//! It is parsed in two steps: first as JSON, to remove comments and replace placeholders, then into
//! types that reject unknown fields and name their position. The library reads the apps.

use std::collections::BTreeMap;
use std::time::Duration;

use grantor::admin::{DeclaredApps, SecretReference};
use grantor::app::{AppTemplate, TrustedIssuer};
use grantor::catalog::ApiCatalog;
use grantor::endpoint::{Registration, RegistrationAccess};
use grantor::ids::{ClientId, EvidenceIssuer, Group, Resource};
use grantor::jwt::StatementIssuer;
use grantor::resource_server::ResourceServer;
use grantor::secret::InitialAccessToken;
use grantor::{Issuer, Subject};
use serde::Deserialize;
use serde_json::{Value, json};

/// The demo seed, complete and annotated.
pub(crate) const DEMO: &str = include_str!("seed.json");

/// The placeholder for the issuer in API identifiers.
const ISSUER: &str = "%%ISSUER%%";

/// The initial data of the server. It holds secrets and has no `Debug`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Seed {
    #[serde(default)]
    pub(crate) hosts: Vec<String>,
    #[serde(default)]
    pub(crate) users: Vec<SeedUser>,
    pub(crate) catalog: Option<ApiCatalog>,
    #[serde(default)]
    pub(crate) resource_servers: Vec<ResourceServer>,
    /// The registration of apps by themselves. Off if it is absent.
    pub(crate) registration: Option<SeedRegistration>,
    /// Remote wipe and the rules for phones. Off if it is absent.
    pub(crate) devices: Option<SeedDevices>,
    /// The device grant. Off if it is absent.
    pub(crate) device_grant: Option<SeedDeviceGrant>,
    /// Token exchange.
    #[serde(default)]
    pub(crate) token_exchange: bool,
    /// Other issuers whose evidence about users and workloads is accepted. Off if it is absent.
    pub(crate) trusted_issuers: Option<Vec<TrustedIssuer>>,
    /// Apps that describe themselves in a document. Off if it is absent.
    pub(crate) client_documents: Option<SeedDocuments>,
    /// The apps as they are written.
    #[serde(default)]
    pub(crate) apps: Value,
}

/// A user with a password.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct SeedUser {
    pub(crate) name: Subject,
    pub(crate) password: String,
    #[serde(default)]
    pub(crate) groups: Vec<Group>,
    #[serde(default = "yes")]
    pub(crate) active: bool,
    /// Other claims that assertions may use to name the user.
    #[serde(default)]
    pub(crate) claims: BTreeMap<String, String>,
    #[serde(default)]
    pub(crate) links: Vec<SeedLink>,
}

/// The account of a user at a trusted issuer.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct SeedLink {
    pub(crate) issuer: EvidenceIssuer,
    /// The `sub` of the issuer's tokens.
    pub(crate) subject: String,
}

/// Apps that describe themselves in a document at their client id.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(not(feature = "fetch"), expect(dead_code, reason = "read, and then refused"))]
pub(crate) struct SeedDocuments {
    pub(crate) template: AppTemplate,
    #[serde(default)]
    pub(crate) allow_hosts: Vec<String>,
    #[serde(default)]
    pub(crate) deny_hosts: Vec<String>,
    /// The shortest time for which a document is fresh, in seconds. Default: 300.
    pub(crate) shortest_freshness: Option<u64>,
}

/// The devices of apps with mobile security.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct SeedDevices {
    /// The apps whose phones speak Nextcloud's remote wipe. Its paths are not there if the list is empty.
    #[serde(default)]
    pub(crate) nextcloud: Vec<ClientId>,
}

/// The device authorization grant (RFC 8628).
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct SeedDeviceGrant {
    /// The lifetime of the codes, in seconds.
    #[serde(default = "ten_minutes")]
    pub(crate) lifetime: u64,
    /// The least time between two polls, in seconds.
    #[serde(default = "five_seconds")]
    pub(crate) interval: u64,
}

const fn ten_minutes() -> u64 {
    600
}

const fn five_seconds() -> u64 {
    5
}

/// The rules by which apps register themselves.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct SeedRegistration {
    template: AppTemplate,
    #[serde(default)]
    access: SeedAccess,
    #[serde(default)]
    management: bool,
    #[serde(default = "yes")]
    drop_unusable_redirect_uris: bool,
    max_apps: Option<usize>,
    /// In seconds.
    unused_lifetime: Option<u64>,
    /// In seconds.
    idle_lifetime: Option<u64>,
}

/// The callers that may register an app.
#[derive(Default, Deserialize)]
#[serde(rename_all = "snake_case")]
enum SeedAccess {
    #[default]
    Open,
    InitialAccessToken(Vec<String>),
    SoftwareStatement(Vec<StatementIssuer>),
}

impl SeedRegistration {
    /// Returns the rules as the library has them.
    ///
    /// # Errors
    ///
    /// A message with the setting at fault.
    pub(crate) fn rules(self) -> Result<Registration, String> {
        let access = match self.access {
            SeedAccess::Open => RegistrationAccess::Open,
            SeedAccess::InitialAccessToken(tokens) => RegistrationAccess::InitialAccessToken(
                tokens.into_iter().map(InitialAccessToken::new).collect(),
            ),
            SeedAccess::SoftwareStatement(issuers) => {
                RegistrationAccess::SoftwareStatement(issuers)
            }
        };
        let mut rules = Registration::new(self.template, access)
            .map_err(|invalid| format!("the seed, at registration: {invalid}"))?
            .management(self.management)
            .drop_unusable_redirect_uris(self.drop_unusable_redirect_uris);
        if let Some(apps) = self.max_apps {
            rules = rules.max_apps(apps);
        }
        if let Some(seconds) = self.unused_lifetime {
            rules = rules.unused_lifetime(Duration::from_secs(seconds));
        }
        if let Some(seconds) = self.idle_lifetime {
            rules = rules.idle_lifetime(Duration::from_secs(seconds));
        }
        Ok(rules)
    }
}

const fn yes() -> bool {
    true
}

impl Seed {
    /// Parses a seed for a server with this issuer.
    ///
    /// # Errors
    ///
    /// A message with the position, such as `users[0]: missing field ..`.
    pub(crate) fn parse(text: &str, issuer: &Issuer) -> Result<Self, String> {
        let mut json: Value =
            serde_json::from_str(text).map_err(|error| format!("the seed is not JSON: {error}"))?;
        remove_comments(&mut json);
        fill_in(&mut json, issuer);
        serde_path_to_error::deserialize(json).map_err(|error| {
            let path = error.path().to_string();
            format!("the seed, at {path}: {}", error.into_inner())
        })
    }

    /// Returns the apps as the library reads them. Secrets may be in environment variables and files.
    ///
    /// # Errors
    ///
    /// A message with every problem and its position, such as `apps[2].settings.jwt.impersonation.alow`.
    pub(crate) fn declared(&self) -> Result<DeclaredApps, String> {
        let apps = if self.apps.is_null() { json!([]) } else { self.apps.clone() };
        DeclaredApps::from_value(json!({ "apps": apps }), SecretReference::read)
            .map_err(|invalid| format!("the seed, at {invalid}"))
    }

    /// Returns the client secret of an app, if the seed has it in clear.
    pub(crate) fn client_secret(&self, client_id: &str) -> Option<&str> {
        let apps = self.apps.as_array()?;
        apps.iter().find(|app| app["client_id"] == client_id)?["client_secret"].as_str()
    }
}

/// Removes every member with a name that begins with `_`.
fn remove_comments(json: &mut Value) {
    match json {
        Value::Object(members) => {
            members.retain(|name, _| !name.starts_with('_'));
            members.values_mut().for_each(remove_comments);
        }
        Value::Array(items) => items.iter_mut().for_each(remove_comments),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

/// Replaces the issuer placeholder in API identifiers only, because a secret may hold any text.
fn fill_in(json: &mut Value, issuer: &Issuer) {
    let issuer = issuer.as_str().trim_end_matches('/');
    for server in items(json, "/resource_servers") {
        name_issuer(server, "/identifier", issuer);
    }
    for app in items(json, "/apps") {
        for resource in items(app, "/settings/resources") {
            name_issuer(resource, "", issuer);
        }
        for place in ["/settings/default_resource", "/settings/jwt/audience"] {
            name_issuer(app, place, issuer);
        }
    }
}

fn items<'a>(json: &'a mut Value, place: &str) -> &'a mut [Value] {
    json.pointer_mut(place).and_then(Value::as_array_mut).map_or(&mut [], Vec::as_mut_slice)
}

fn name_issuer(json: &mut Value, place: &str, issuer: &str) {
    if let Some(Value::String(text)) = json.pointer_mut(place) {
        *text = text.replace(ISSUER, issuer);
    }
}

/// Returns true if `resource` is the issuer itself or a path below it: an API of this server.
pub(crate) fn is_below(issuer: &Issuer, resource: &Resource) -> bool {
    let below = resource.as_str().strip_prefix(issuer.as_str().trim_end_matches('/'));
    below.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn issuer() -> Issuer {
        Issuer::new("http://127.0.0.1:8089").unwrap()
    }

    fn problem(text: &str) -> String {
        let seed = Seed::parse(text, &issuer());
        seed.and_then(|seed| seed.declared()).err().unwrap()
    }

    #[test]
    fn the_demo_seed_shows_every_setting() {
        let seed = Seed::parse(DEMO, &issuer()).unwrap();
        let mut written: Value = serde_json::from_str(DEMO).unwrap();
        remove_comments(&mut written);
        let names =
            |json: &Value| -> Vec<String> { json.as_object().unwrap().keys().cloned().collect() };
        let declared = seed.declared().unwrap();
        let every = |app: &str, place: &str| {
            let apps = declared.apps();
            let position = apps.iter().position(|it| it.client_id().as_str() == app).unwrap();
            let known = serde_json::to_value(apps[position].settings()).unwrap();
            let written = &written["apps"][position]["settings"];
            let (known, written) = (known.pointer(place).unwrap(), written.pointer(place).unwrap());
            assert_eq!(names(known), names(written), "{app} {place}");
        };
        every("demo-web", "");
        every("demo-native", "/mobile_security");
        every("demo-backend", "/jwt");
        every("demo-backend", "/jwt/impersonation");
    }

    #[test]
    fn an_unknown_field_is_named_with_its_position() {
        for (bad, expected) in [
            (r#"{"user": []}"#, "the seed, at user: unknown field `user`"),
            (r#"{"users": [{"name": "ann"}]}"#, "the seed, at users[0]: missing field `password`"),
            (
                r#"{"apps": [{"client_id": "a", "settings": {"name": "a", "flows": ["implicit"]}}]}"#,
                "the seed, at apps[0].settings.flows[0]: unknown variant `implicit`",
            ),
            (
                r#"{"apps": [{"client_id": "a", "settings": {"name": "a", "flows": [], "color": 1}}]}"#,
                "the seed, at apps[0].settings.color: unknown field `color`",
            ),
            (
                r#"{"apps": [{"client_id": "a", "settings": {"name": "a", "flows": []}}]}"#,
                "the seed, at apps[0].settings.flows: must list at least one flow",
            ),
            (
                r#"{"apps": [{"client_id": "a", "settings": {"name": "a",
                    "flows": ["jwt_bearer"], "jwt": {"keys": {"keys": "no PEM"}}}}]}"#,
                "the seed, at apps[0].settings.jwt.keys.keys: ",
            ),
            ("[1", "the seed is not JSON: "),
        ] {
            let problem = problem(bad);
            assert!(problem.starts_with(expected), "{problem}");
        }
    }

    #[test]
    fn devices_are_off_unless_the_seed_has_them() {
        let nextcloud = |text: &str| {
            let seed = Seed::parse(text, &issuer()).unwrap();
            seed.devices.map(|devices| devices.nextcloud)
        };
        assert_eq!(nextcloud("{}"), None);
        assert_eq!(nextcloud(r#"{"devices": {"_": "a comment"}}"#), Some(Vec::new()));
        let app = ClientId::new("demo-native").unwrap();
        assert_eq!(nextcloud(DEMO), Some(vec![app]));
        let unknown = problem(r#"{"devices": {"nextclouds": []}}"#);
        assert!(unknown.starts_with("the seed, at devices.nextclouds: unknown field"), "{unknown}");
    }

    #[test]
    fn other_issuers_are_trusted_only_if_the_seed_lists_them() {
        assert!(Seed::parse("{}", &issuer()).unwrap().trusted_issuers.is_none());
        let demo = Seed::parse(DEMO, &issuer()).unwrap().trusted_issuers.unwrap();
        assert!(demo.len() == 1 && demo[0].check().is_ok());
        let unknown =
            problem(r#"{"trusted_issuers": [{"issuer": "https://idp.example", "kid": 1}]}"#);
        assert!(unknown.starts_with("the seed, at trusted_issuers[0]"), "{unknown}");
    }

    #[test]
    fn documents_are_off_unless_the_seed_has_a_template() {
        assert!(Seed::parse("{}", &issuer()).unwrap().client_documents.is_none());
        let text = r#"{"client_documents": {"template": {"scope": "a b", "refresh_token": true,
            "custom_schemes": ["cursor"]}, "shortest_freshness": 5}}"#;
        let documents = Seed::parse(text, &issuer()).unwrap().client_documents.unwrap();
        assert!(documents.template.check().is_ok());
        assert_eq!(documents.shortest_freshness, Some(5));
        let unknown = problem(r#"{"client_documents": {"template": {"scope": "a", "flows": []}}}"#);
        assert!(unknown.contains("client_documents.template"), "{unknown}");
    }

    #[test]
    fn registration_is_off_unless_the_seed_has_it() {
        let rules = |text: &str| {
            let seed = Seed::parse(text, &issuer())?;
            seed.registration.map(SeedRegistration::rules).transpose()
        };
        assert!(rules("{}").unwrap().is_none());
        assert!(rules(DEMO).unwrap().is_some());
        let with = |access: &str| {
            rules(&format!(
                r#"{{"registration": {{"template": {{"scope": "a"}}, "access": {access}}}}}"#
            ))
        };
        assert!(with(r#"{"initial_access_token": ["0123456789abcdef012345"]}"#).unwrap().is_some());
        let short = with(r#"{"initial_access_token": ["short"]}"#).err().unwrap();
        assert!(short.starts_with("the seed, at registration: `access` "), "{short}");
        let unknown = with("\"closed\"").err().unwrap();
        assert!(
            unknown.starts_with("the seed, at registration.access: unknown variant"),
            "{unknown}"
        );
    }

    #[test]
    fn comments_are_removed_and_secrets_are_taken_verbatim() {
        let text = r#"{"_": 1, "apps": [{"client_id": "a", "_x": {}, "client_secret": "%%ISSUER%%_\"'<&",
            "settings": {"name": "%%ISSUER%%", "flows": ["client_credentials"], "_": [],
                "resources": ["%%ISSUER%%/api"]}}]}"#;
        let seed = Seed::parse(text, &issuer()).unwrap();
        assert_eq!(seed.client_secret("a"), Some("%%ISSUER%%_\"'<&"));
        let declared = seed.declared().unwrap();
        let settings = declared.apps()[0].settings();
        assert_eq!(settings.name(), "%%ISSUER%%");
        assert_eq!(settings.resources()[0].as_str(), "http://127.0.0.1:8089/api");
    }

    #[test]
    fn an_api_that_merely_shares_a_prefix_with_the_issuer_is_foreign() {
        for issuer in ["http://127.0.0.1:808", "http://127.0.0.1:808/"] {
            let issuer = Issuer::new(issuer).unwrap();
            let is = |name: &str| is_below(&issuer, &Resource::new(name).unwrap());
            assert!(is("http://127.0.0.1:808") && is("http://127.0.0.1:808/api"));
            for other in ["http://127.0.0.1:8089/api", "http://127.0.0.1:8081", "urn:a"] {
                assert!(!is(other), "{other}");
            }
        }
    }
}
