//! Apps and trusted issuers that the host's configuration declares.

mod apply;
mod import;
mod issuers;
mod read;
mod read_issuers;
mod revision;
mod secret_reference;

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use serde_json::{Map, Value, json};

pub use apply::{Applied, ApplyError, ChangedApp};
pub use import::{ImportError, ImportPlan, Imported};
pub(super) use issuers::exported;
pub use issuers::{ChangedIssuer, IssuerChanges};
pub use secret_reference::SecretReference;

use super::ImportedApp;
use crate::app::{AppDraft, TrustedIssuer};
use crate::clock::UnixTime;

/// The path of the whole declaration.
const WHOLE: &str = "";
/// The path of the list of apps.
const APPS: &str = "apps";
/// The path of the list of trusted issuers.
const ISSUERS: &str = "trusted_issuers";

/// The apps and trusted issuers that a host's configuration declares, checked. [`Admin::apply`](super::Admin::apply) makes the
/// store agree with them.
///
/// In JSON, an object with the member `apps`, whose items are those of
/// [`AppExport`](super::AppExport) with secrets, and optionally `trusted_issuers`, each the JSON of a
/// [`TrustedIssuer`], whose keys may be a PEM text, too. `docs/declared-apps.schema.json` is its JSON Schema.
///
/// ```
/// use grantor::admin::{DeclaredApps, SecretReference};
///
/// let json = r#"{"apps": [{
///     "client_id": "reports",
///     "client_secret": "a secret of the configuration",
///     "settings": {"name": "Reports", "flows": ["client_credentials"], "scope": "files.read"}
/// }]}"#;
/// let declared = DeclaredApps::from_json(json, SecretReference::read)?;
/// assert_eq!(declared.apps().len(), 1);
///
/// let wrong = json.replace("client_credentials", "implicit");
/// let error = DeclaredApps::from_json(&wrong, SecretReference::read).unwrap_err();
/// assert_eq!(error.problems()[0].path, "apps[0].settings.flows[0]");
/// # Ok::<(), grantor::admin::InvalidDeclaration>(())
/// ```
#[derive(Debug)]
#[must_use = "a declaration has no effect until it is applied"]
pub struct DeclaredApps {
    pub(super) apps: Vec<ImportedApp>,
    pub(super) issuers: Vec<TrustedIssuer>,
    pub(super) overlap: Duration,
}

impl DeclaredApps {
    /// The largest number of apps in a declaration.
    pub const MAX_APPS: usize = 10_000;
    /// The longest accepted JSON text, in bytes.
    pub const MAX_BYTES: usize = 16 * 1024 * 1024;

    /// Declares these apps.
    ///
    /// # Errors
    ///
    /// [`InvalidDeclaration`] if two apps have one client id, a secret does not fit the settings, or there
    /// are too many apps.
    pub fn new(apps: impl IntoIterator<Item = ImportedApp>) -> Result<Self, InvalidDeclaration> {
        let apps: Vec<_> = apps.into_iter().collect();
        let mut problems = InvalidDeclaration::default();
        check_together(&apps, &mut problems);
        problems.unless_any(Self { apps, issuers: Vec::new(), overlap: Duration::from_hours(24) })
    }

    /// Reads a declaration from JSON. `secrets` returns the secret that a reference such as
    /// `{"env": "REPORTS_SECRET"}` stands for, or the reason that there is none;
    /// [`SecretReference::read`] reads environment variables and files.
    ///
    /// # Errors
    ///
    /// [`InvalidDeclaration`] lists every problem with its path. It holds no secret.
    pub fn from_json(
        text: &str,
        secrets: impl Fn(&SecretReference) -> Result<String, String>,
    ) -> Result<Self, InvalidDeclaration> {
        if text.len() > Self::MAX_BYTES {
            return Err(InvalidDeclaration::one(WHOLE, "has more than 16 MiB"));
        }
        match serde_json::from_str(text) {
            Ok(json) => Self::from_value(json, secrets),
            Err(error) => Err(InvalidDeclaration::one(WHOLE, format!("is not JSON: {error}"))),
        }
    }

    /// Reads a declaration from JSON that was parsed, as [`from_json`](Self::from_json) does.
    ///
    /// # Errors
    ///
    /// [`InvalidDeclaration`], as for [`from_json`](Self::from_json).
    pub fn from_value(
        json: Value,
        secrets: impl Fn(&SecretReference) -> Result<String, String>,
    ) -> Result<Self, InvalidDeclaration> {
        let (apps, issuers) = read::declaration(json, &secrets)?;
        Self::new(apps)?.with_trusted_issuers(issuers)
    }

    /// Declares these trusted issuers beside the apps, which are written first. The server needs a
    /// [store](crate::ServerBuilder::trusted_issuers) of them.
    ///
    /// # Errors
    ///
    /// [`InvalidDeclaration`] if a setting is out of its range, two have one name on the wire, or there are more than
    /// [`TrustedIssuer::MAX`].
    pub fn with_trusted_issuers(
        mut self,
        issuers: impl IntoIterator<Item = TrustedIssuer>,
    ) -> Result<Self, InvalidDeclaration> {
        self.issuers = issuers.into_iter().collect();
        let mut problems = InvalidDeclaration::default();
        if self.issuers.len() > TrustedIssuer::MAX {
            problems.add(ISSUERS, "must have at most 100 items");
        }
        let mut places = BTreeMap::new();
        for (at, record) in self.issuers.iter().enumerate().take(TrustedIssuer::MAX) {
            if let Some(first) = places.insert(record.issuer().as_str(), at) {
                let problem = format!("is that of {ISSUERS}[{first}], too");
                problems.add(format!("{ISSUERS}[{at}].issuer"), problem);
            }
            if let Err(invalid) = record.check() {
                problems.add(format!("{ISSUERS}[{at}].{}", invalid.field()), invalid.problem());
            }
        }
        problems.unless_any(self)
    }

    /// Sets how long the secret before stays valid if the declaration brings another one. Default: one day.
    pub const fn with_secret_overlap(mut self, overlap: Duration) -> Self {
        self.overlap = overlap;
        self
    }

    /// Returns the apps, in the order of the declaration.
    pub fn apps(&self) -> &[ImportedApp] {
        &self.apps
    }

    /// Returns the trusted issuers, in the order of the declaration.
    #[must_use]
    pub fn trusted_issuers(&self) -> &[TrustedIssuer] {
        &self.issuers
    }

    /// Returns the apps, for [`Admin::import`](super::Admin::import): administrators then manage them.
    #[must_use]
    pub fn into_apps(self) -> Vec<ImportedApp> {
        self.apps
    }

    /// Writes the declaration as JSON, without the settings that have their defaults. **The text contains
    /// the secrets.**
    #[must_use]
    pub fn to_json(&self) -> String {
        let apps: Vec<_> = self.apps.iter().map(written).collect();
        let json = if self.issuers.is_empty() {
            json!({ "apps": apps })
        } else {
            json!({ "apps": apps, "trusted_issuers": self.issuers })
        };
        format!("{json:#}")
    }
}

/// Returns an app as it is written in a declaration.
fn written(app: &ImportedApp) -> Value {
    let mut json = Map::new();
    json.insert("client_id".to_owned(), json!(app.client_id));
    if let Some((secret, expires_at)) = &app.client_secret {
        json.insert("client_secret".to_owned(), secret.to_json());
        if let Some(at) = expires_at {
            json.insert("client_secret_expires_at".to_owned(), json!(at.to_string()));
        }
    }
    if let Some(secret) = &app.signature_secret {
        json.insert("signature_secret".to_owned(), json!(secret.expose_secret()));
    }
    if !app.enabled {
        json.insert("enabled".to_owned(), json!(false));
    }
    let object = |draft: AppDraft| match serde_json::to_value(draft) {
        Ok(Value::Object(members)) => members,
        _ => Map::new(),
    };
    let defaults = object(AppDraft::confidential(""));
    let mut settings = object(AppDraft::from(&app.settings));
    settings.retain(|name, value| name == "flows" || defaults.get(name) != Some(value));
    json.insert("settings".to_owned(), Value::Object(settings));
    Value::Object(json)
}

/// Checks each app's secrets, and that the client ids differ.
fn check_together(apps: &[ImportedApp], problems: &mut InvalidDeclaration) {
    if apps.len() > DeclaredApps::MAX_APPS {
        problems.add(APPS, "must have at most 10000 items");
        return;
    }
    let mut places = BTreeMap::new();
    for (at, app) in apps.iter().enumerate() {
        if let Some(first) = places.insert(&app.client_id, at) {
            problems.add(format!("apps[{at}].client_id"), format!("is that of apps[{first}], too"));
        }
        if let Err(invalid) = app.check() {
            problems.add(format!("apps[{at}].{}", place_of(invalid.field())), invalid.problem());
        }
    }
}

/// Returns the path, below an app, of a field that a check named.
fn place_of(field: &str) -> String {
    match field {
        "client_id" | "client_secret" | "signature_secret" => field.to_owned(),
        setting => format!("settings.{setting}"),
    }
}

/// One problem of a declaration.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct DeclarationProblem {
    /// The path of the field, such as `apps[2].settings.redirect_uris[0]`. Empty for the whole.
    pub path: String,
    /// The problem, as a clause without its subject. It quotes no secret.
    pub problem: String,
}

impl fmt::Display for DeclarationProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let path = if self.path.is_empty() { "the declaration" } else { &self.path };
        write!(f, "{path}: {}", self.problem)
    }
}

/// A declaration with problems. None of it was applied.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct InvalidDeclaration {
    problems: Vec<DeclarationProblem>,
    omitted: usize,
}

impl InvalidDeclaration {
    /// The largest number of listed problems.
    const MAX_PROBLEMS: usize = 100;

    fn one(path: &str, problem: impl Into<String>) -> Self {
        let mut problems = Self::default();
        problems.add(path, problem);
        problems
    }

    fn add(&mut self, path: impl Into<String>, problem: impl Into<String>) {
        if self.problems.len() < Self::MAX_PROBLEMS {
            let (path, problem) = (path.into(), problem.into());
            self.problems.push(DeclarationProblem { path, problem });
        } else {
            self.omitted = self.omitted.saturating_add(1);
        }
    }

    fn unless_any<T>(self, value: T) -> Result<T, Self> {
        if self.problems.is_empty() { Ok(value) } else { Err(self) }
    }

    /// Returns the problems, at most 100.
    #[must_use]
    pub fn problems(&self) -> &[DeclarationProblem] {
        &self.problems
    }
}

/// One problem a line.
impl fmt::Display for InvalidDeclaration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, problem) in self.problems.iter().enumerate() {
            let line = if at == 0 { "" } else { "\n" };
            write!(f, "{line}{problem}")?;
        }
        if self.omitted > 0 {
            write!(f, "\nand {} more", self.omitted)?;
        }
        Ok(())
    }
}

impl std::error::Error for InvalidDeclaration {}

/// Parses an instant such as `2027-01-01T00:00:00Z`.
fn instant(text: &str) -> Option<UnixTime> {
    let time = humantime::parse_rfc3339_weak(text).ok()?;
    let since = time.duration_since(std::time::UNIX_EPOCH).ok()?;
    Some(UnixTime::EPOCH.plus(since))
}
