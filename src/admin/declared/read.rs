//! Reading a declaration. Every member is read by itself, so that one error does not hide another.

use serde::Deserialize as _;
use serde_json::{Map, Value, json};

use super::{APPS, ISSUERS, InvalidDeclaration, SecretReference, WHOLE, instant, read_issuers};
use crate::admin::ImportedApp;
use crate::app::{AppDraft, AppSettings, GivenSecret, TrustedIssuer};
use crate::clock::UnixTime;
use crate::ids::ClientId;
use crate::jwt::VerifyingKeys;
use crate::secret::{ClientSecret, SignatureSecret};

type Resolve<'a> = &'a dyn Fn(&SecretReference) -> Result<String, String>;

/// The parts of the settings whose members are read by themselves: their places, and a value that is valid
/// with any one of them.
const PARTS: &[(&str, &str)] = &[
    ("", r#"{"name": "x", "flows": []}"#),
    (".jwt", r#"{"keys": "signature_secret"}"#),
    (".jwt.impersonation", "{}"),
    (".jwt.impersonation.except", "{}"),
    (".mobile_security", "{}"),
];

/// The places of keys that may be a PEM text.
const KEYS: &[&str] = &["/jwt/keys/keys", "/authentication/private_key_jwt"];

const SECRET_FORMS: &str =
    "must be a text, or an object with one of plain, sha256, sha512, slow, env and file";

/// Reads the apps and the trusted issuers of a declaration.
pub(super) fn declaration(
    json: Value,
    resolve: Resolve<'_>,
) -> Result<(Vec<ImportedApp>, Vec<TrustedIssuer>), InvalidDeclaration> {
    let mut problems = InvalidDeclaration::default();
    let Value::Object(mut members) = json else {
        return Err(InvalidDeclaration::one(WHOLE, "must be an object with the member apps"));
    };
    let apps = members.remove(APPS);
    let issuers = members.remove(ISSUERS);
    // Editors read it.
    members.remove("$schema");
    unknown(&members, WHOLE, &mut problems);
    let items = match apps {
        Some(Value::Array(items)) => items,
        Some(_) => return Err(InvalidDeclaration::one(APPS, "must be an array")),
        None => {
            problems.add(APPS, "is missing");
            Vec::new()
        }
    };
    let mut read = Vec::new();
    for (at, item) in items.into_iter().enumerate() {
        read.extend(app(item, &format!("apps[{at}]"), resolve, &mut problems));
    }
    let issuers = issuers.map(|json| read_issuers::issuers(json, &mut problems));
    problems.unless_any((read, issuers.unwrap_or_default()))
}

fn unknown(members: &Map<String, Value>, place: &str, problems: &mut InvalidDeclaration) {
    for name in members.keys() {
        let path = if place.is_empty() { name.clone() } else { format!("{place}.{name}") };
        problems.add(path, "is an unknown member");
    }
}

fn app(
    json: Value,
    place: &str,
    resolve: Resolve<'_>,
    problems: &mut InvalidDeclaration,
) -> Option<ImportedApp> {
    let Value::Object(mut members) = json else {
        problems.add(place, "must be an object");
        return None;
    };
    let path = |name: &str| format!("{place}.{name}");
    let client_id = match members.remove("client_id") {
        Some(Value::String(text)) => ClientId::new(text)
            .map_err(|invalid| problems.add(path("client_id"), invalid.to_string()))
            .ok(),
        Some(_) => {
            problems.add(path("client_id"), "must be a text");
            None
        }
        None => {
            problems.add(path("client_id"), "is missing");
            None
        }
    };
    let enabled = match members.remove("enabled") {
        None => true,
        Some(Value::Bool(enabled)) => enabled,
        Some(_) => {
            problems.add(path("enabled"), "must be true or false");
            true
        }
    };
    let expires_at = members.remove("client_secret_expires_at").and_then(|json| {
        let read = json.as_str().and_then(instant);
        if read.is_none() && !json.is_null() {
            problems.add(
                path("client_secret_expires_at"),
                "must be an instant such as 2027-01-01T00:00:00Z",
            );
        }
        read
    });
    let mut client_secret = None;
    // The second name is the one of the first seeds.
    for name in ["client_secret", "client_secret_digest"] {
        match members.remove(name) {
            None | Some(Value::Null) => {}
            Some(_) if client_secret.is_some() => {
                problems.add(path(name), "must be absent beside client_secret");
            }
            Some(json) => match secret(json, resolve) {
                Ok(secret) => client_secret = Some(secret),
                Err(problem) => problems.add(path(name), problem),
            },
        }
    }
    if expires_at.is_some() && client_secret.is_none() {
        problems.add(path("client_secret_expires_at"), "requires client_secret");
    }
    let signature_secret = match members.remove("signature_secret") {
        None | Some(Value::Null) => None,
        Some(json) => match secret(json, resolve) {
            Ok(GivenSecret::Plain(secret)) => Some(SignatureSecret::new(secret.expose_secret())),
            Ok(_) => {
                problems.add(path("signature_secret"), "must not be a digest: it keys an HMAC");
                None
            }
            Err(problem) => {
                problems.add(path("signature_secret"), problem);
                None
            }
        },
    };
    let settings = if let Some(json) = members.remove("settings") {
        settings(json, &path("settings"), problems)
    } else {
        problems.add(path("settings"), "is missing");
        None
    };
    unknown(&members, place, problems);
    Some(imported(client_id?, settings?, enabled, client_secret, expires_at, signature_secret))
}

fn imported(
    client_id: ClientId,
    settings: AppSettings,
    enabled: bool,
    client_secret: Option<GivenSecret>,
    expires_at: Option<UnixTime>,
    signature_secret: Option<SignatureSecret>,
) -> ImportedApp {
    let mut app = ImportedApp::new(client_id, settings).with_enabled(enabled);
    if let Some(secret) = client_secret {
        app = app.with_client_secret(secret, expires_at);
    }
    if let Some(secret) = signature_secret {
        app = app.with_signature_secret(secret);
    }
    app
}

/// Reads a secret. The error quotes none of it.
fn secret(json: Value, resolve: Resolve<'_>) -> Result<GivenSecret, String> {
    if let Value::String(text) = &json {
        return Ok(GivenSecret::Plain(ClientSecret::new(text.as_str())));
    }
    let Some(members) = json.as_object().filter(|members| members.len() == 1) else {
        return Err(SECRET_FORMS.to_owned());
    };
    let reference = match (members.get("env"), members.get("file")) {
        (Some(Value::String(name)), _) => Some(SecretReference::Env(name.clone())),
        (_, Some(Value::String(path))) => Some(SecretReference::File(path.clone())),
        _ => None,
    };
    if let Some(reference) = reference {
        return resolve(&reference).map(|secret| GivenSecret::Plain(ClientSecret::new(secret)));
    }
    let is_digest =
        ["sha256", "sha512"].iter().any(|kind| json.get(kind).is_some_and(Value::is_string));
    GivenSecret::deserialize(json).map_err(|error| {
        // The text of the digest's own error is fixed. Others quote the value.
        if is_digest { error.to_string() } else { SECRET_FORMS.to_owned() }
    })
}

fn settings(
    mut json: Value,
    place: &str,
    problems: &mut InvalidDeclaration,
) -> Option<AppSettings> {
    if !keys_of_pem(&mut json, KEYS, place, problems) {
        return None;
    }
    let draft = match AppDraft::deserialize(&json) {
        Ok(draft) => draft,
        Err(error) => {
            let probe = |json: Value| match AppDraft::deserialize(json) {
                Ok(_) => None,
                Err(error) => Some(error.to_string()),
            };
            let faults = Faults { parts: PARTS, place, problems, probe: &probe };
            faults.find("", &json, &error.to_string());
            return None;
        }
    };
    let mut valid = true;
    for invalid in draft.problems() {
        problems.add(format!("{place}.{}", invalid.field()), invalid.problem());
        valid = false;
    }
    if valid { draft.build().ok() } else { None }
}

/// Replaces PEM texts at `pointers` by the keys. Returns false if one is not readable.
pub(super) fn keys_of_pem(
    json: &mut Value,
    pointers: &[&str],
    place: &str,
    problems: &mut InvalidDeclaration,
) -> bool {
    let mut readable = true;
    for pointer in pointers {
        if let Some(keys) = json.pointer_mut(pointer)
            && let Some(pem) = keys.as_str()
        {
            match VerifyingKeys::from_pem(pem) {
                Ok(read) => *keys = serde_json::to_value(&read).unwrap_or_default(),
                Err(error) => {
                    problems
                        .add(format!("{place}{}", pointer.replace('/', ".")), error.to_string());
                    readable = false;
                }
            }
        }
    }
    readable
}

/// The search for the members at fault in settings that cannot be read.
pub(super) struct Faults<'a> {
    pub(super) parts: &'static [(&'static str, &'static str)],
    pub(super) place: &'a str,
    pub(super) problems: &'a mut InvalidDeclaration,
    /// Returns the error of a value in the place of the searched one.
    pub(super) probe: &'a dyn Fn(Value) -> Option<String>,
}

impl Faults<'_> {
    /// Adds the errors of `json`, which is at `part` of the settings and whose error is `whole`.
    pub(super) fn find(self, part: &str, json: &Value, whole: &str) {
        let base = self.parts.iter().find(|(place, _)| *place == part);
        let base = base.and_then(|(_, text)| serde_json::from_str::<Map<String, Value>>(text).ok());
        let mut rest = None;
        match (json, base) {
            (Value::Object(members), Some(base)) => {
                let mut sound = members.clone();
                for (name, member) in members {
                    let probe = |json: Value| {
                        let mut with = base.clone();
                        with.insert(name.clone(), json);
                        (self.probe)(Value::Object(with))
                    };
                    let Some(error) = probe(member.clone()) else { continue };
                    match base.get(name) {
                        Some(value) => sound.insert(name.clone(), value.clone()),
                        None => sound.remove(name),
                    };
                    let faults = Faults {
                        parts: self.parts,
                        place: self.place,
                        problems: &mut *self.problems,
                        probe: &probe,
                    };
                    faults.find(&format!("{part}.{name}"), member, &error);
                }
                // Such as a member that is missing.
                rest = (self.probe)(Value::Object(sound));
            }
            (Value::Array(items), _) => {
                let errors = items
                    .iter()
                    .enumerate()
                    .filter_map(|(at, item)| (self.probe)(json!([item])).map(|error| (at, error)));
                let errors: Vec<_> = errors.take(InvalidDeclaration::MAX_PROBLEMS).collect();
                if errors.is_empty() {
                    rest = Some(whole.to_owned());
                }
                for (at, error) in errors {
                    self.problems.add(format!("{}{part}[{at}]", self.place), error);
                }
            }
            _ => rest = Some(whole.to_owned()),
        }
        if let Some(error) = rest {
            self.problems.add(format!("{}{part}", self.place), error);
        }
    }
}
