//! Moving apps from another server.
//!
//! [`read`] turns the export of another server into declared apps, and reports everything that is dropped,
//! narrower, wider or left to decide. It writes nothing: the declaration goes to
//! [`Admin::plan`](crate::admin::Admin::plan) and [`Admin::apply`](crate::admin::Admin::apply) if the host's
//! configuration manages the apps from now on, or app by app to
//! [`Admin::import`](crate::admin::Admin::import) if administrators do. Either can be repeated after a failure.
//!
//! ```
//! use grantor::migrate::{self, ExportFormat, Finding};
//!
//! let export = r#"[{
//!     "client_id": "reports", "client_name": "Reports", "client_secret": "a secret of twenty bytes or more",
//!     "grant_types": ["client_credentials", "implicit"], "scope": "files.read",
//!     "token_endpoint_auth_method": "client_secret_basic", "color": "blue"
//! }]"#;
//! let migration = migrate::read(ExportFormat::Hydra, export)?;
//! assert_eq!(migration.declared.apps()[0].client_id().as_str(), "reports");
//! let notes = &migration.report.clients[0].notes;
//! assert!(notes.iter().any(|it| it.field == "grant_types[1]" && it.finding == Finding::Dropped));
//! assert!(notes.iter().any(|it| it.field == "color" && it.finding == Finding::Unknown));
//! # Ok::<(), grantor::migrate::InvalidExport>(())
//! ```
//!
//! # Rules
//!
//! * Client ids are kept, so that clients need no change.
//! * A secret in clear is kept. Of a digest, SHA-256 and SHA-512 are compared in constant time and replaced
//!   by this server's own at the first success; slow ones, such as bcrypt and PBKDF2, go to
//!   [`Hooks::check_slow_digest`](crate::hooks::Hooks::check_slow_digest). A secret that the export lacks is
//!   reported.
//! * Nothing gets wider without a note. A redirect URI with a wildcard or plain `http`, the implicit flow, the
//!   password grant and `plain` PKCE are dropped. A client without a
//!   usable flow is refused.
//! * A member that this module does not know is reported, too.
//! * **Users' refresh tokens do not travel.** Users log in again.

mod auth0;
mod duende;
mod hydra;
mod keycloak;
mod kiteworks;
mod members;
mod report;
mod settings;

use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;

use serde::Serialize;
use serde_json::{Map, Value};

pub use report::{ClientOutcome, ClientReport, Finding, MigrationReport, Note};

use crate::admin::{DeclaredApps, ImportedApp};
use members::Members;
use report::Notes;

/// A server whose exports [`read`] understands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum ExportFormat {
    /// Ory Hydra: the list of clients of its administrator's API or command line.
    Hydra,
    /// Keycloak: a realm, a list of clients, or one client.
    Keycloak,
    /// Duende `IdentityServer` and `IdentityServer4`: the tables of its Entity Framework store as JSON, or the
    /// section `Clients` of `appsettings.json`.
    Duende,
    /// Auth0: the clients of its Management API, or an export of a tenant.
    Auth0,
    /// Kiteworks: the clients of its REST API.
    Kiteworks,
}

impl ExportFormat {
    /// Every format.
    pub const ALL: &[Self] =
        &[Self::Hydra, Self::Keycloak, Self::Duende, Self::Auth0, Self::Kiteworks];

    /// Returns the name, such as `hydra`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Hydra => "hydra",
            Self::Keycloak => "keycloak",
            Self::Duende => "duende",
            Self::Auth0 => "auth0",
            Self::Kiteworks => "kiteworks",
        }
    }
}

impl fmt::Display for ExportFormat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for ExportFormat {
    type Err = InvalidExport;

    fn from_str(name: &str) -> Result<Self, InvalidExport> {
        let mut all = Self::ALL.iter().copied();
        all.find(|format| format.as_str() == name).ok_or_else(|| {
            InvalidExport::new("the format must be hydra, keycloak, duende, auth0 or kiteworks")
        })
    }
}

/// The apps of an export, and the differences between them and the export.
#[derive(Debug)]
#[non_exhaustive]
pub struct Migration {
    /// The apps that could be migrated.
    pub declared: DeclaredApps,
    /// The differences.
    pub report: MigrationReport,
}

/// A text that is no export of the format.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{problem}")]
pub struct InvalidExport {
    problem: String,
}

impl InvalidExport {
    fn new(problem: impl Into<String>) -> Self {
        Self { problem: problem.into() }
    }
}

/// The parts of an export.
struct Export {
    /// The clients, with the paths at which they are.
    clients: Vec<(String, Value)>,
    /// The notes on the rest.
    notes: Notes,
}

/// Reads an export of at most 16 MiB of JSON with at most 10,000 clients. The secrets in it go into the
/// declaration, and never into the report.
///
/// # Errors
///
/// [`InvalidExport`] if the text is too long, no JSON, or has no clients where the format has them. A client
/// that cannot be read is no error: the report has it as refused.
pub fn read(format: ExportFormat, text: &str) -> Result<Migration, InvalidExport> {
    if text.len() > DeclaredApps::MAX_BYTES {
        return Err(InvalidExport::new("the export has more than 16 MiB"));
    }
    let json = serde_json::from_str(text)
        .map_err(|error| InvalidExport::new(format!("the export is not JSON: {error}")))?;
    let mut shared = keycloak::Realm::default();
    let mut grants = auth0::Tenant::default();
    let mut export = match format {
        ExportFormat::Hydra => hydra::split(json),
        ExportFormat::Keycloak => keycloak::split(json, &mut shared),
        ExportFormat::Duende => duende::split(json),
        ExportFormat::Auth0 => auth0::split(json, &mut grants),
        ExportFormat::Kiteworks => kiteworks::split(json),
    }?;
    if export.clients.len() > DeclaredApps::MAX_APPS {
        return Err(InvalidExport::new("the export has more than 10000 clients"));
    }
    let mut apps = Vec::new();
    let mut ids = BTreeSet::new();
    let mut clients = Vec::new();
    for (place, json) in export.clients {
        let mut notes = Notes::default();
        let Value::Object(json) = json else {
            notes.refused("", "it is not an object");
            clients.push(notes.into_client(place, None, false));
            continue;
        };
        let mut members = Members::new(json, format == ExportFormat::Duende);
        let client_id = members.client_id(format);
        let app = match format {
            ExportFormat::Hydra => hydra::client(&mut members, &mut notes),
            ExportFormat::Keycloak => keycloak::client(&mut members, &shared, &mut notes),
            ExportFormat::Duende => duende::client(&mut members, &mut notes),
            ExportFormat::Auth0 => auth0::client(&mut members, &grants, &mut notes),
            ExportFormat::Kiteworks => kiteworks::client(&mut members, &mut notes),
        };
        members.report_rest(&mut notes);
        if let Some(app) = &app
            && !ids.insert(app.client_id().clone())
        {
            notes.refused("", "an earlier client has the same id");
        }
        let app = app.filter(|_| notes.is_sound());
        clients.push(notes.into_client(place, client_id, app.is_some()));
        apps.extend(app);
    }
    export.notes.dropped(
        "refresh tokens",
        "codes, tokens, sessions and consents of users do not travel: users log in again, and apps get new \
         tokens",
    );
    let declared = declare(apps)?;
    let report = MigrationReport { format, clients, notes: export.notes.into_list() };
    Ok(Migration { declared, report })
}

fn declare(apps: Vec<ImportedApp>) -> Result<DeclaredApps, InvalidExport> {
    DeclaredApps::new(apps).map_err(|invalid| InvalidExport::new(invalid.to_string()))
}

/// The top of an export.
enum Top {
    /// It is a list of clients, or one client.
    Clients(Vec<(String, Value)>),
    Object(Map<String, Value>),
}

/// Looks at the top of an export. An object with one of the members `of_client` is a client.
fn top(json: Value, of_client: &[&str]) -> Result<Top, InvalidExport> {
    if let Value::Array(list) = json {
        return Ok(Top::Clients(placed("", list)));
    }
    let Value::Object(object) = json else {
        return Err(InvalidExport::new("the export is no object and no list of clients"));
    };
    if of_client.iter().any(|name| object.contains_key(*name)) {
        return Ok(Top::Clients(vec![("(client)".to_owned(), Value::Object(object))]));
    }
    Ok(Top::Object(object))
}

/// Returns the items of a list at `place` with their paths.
fn placed(place: &str, list: Vec<Value>) -> Vec<(String, Value)> {
    let path = |at: usize| format!("{place}[{at}]");
    list.into_iter().enumerate().map(|(at, json)| (path(at), json)).collect()
}
