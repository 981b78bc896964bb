//! `docs/declared-apps.schema.json` and the types that are read hold together.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use grantor::admin::DeclaredApps;
use grantor::app::{AppDraft, TrustedIssuer};
use serde_json::{Value, json};

use super::{machine, public_pem};
use crate::assertions::with;
use crate::error_texts::{merge, p256, valid_app};

fn schema() -> Value {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/declared-apps.schema.json");
    serde_json::from_str(&fs::read_to_string(path).unwrap()).unwrap()
}

/// Checks JSON against the part of JSON Schema that the file uses.
struct Validator(Value);

impl Validator {
    fn new() -> Self {
        Self(schema())
    }

    fn errors(&self, json: &Value) -> Vec<String> {
        let mut errors = Vec::new();
        self.check(&self.0, json, "", &mut errors);
        errors
    }

    fn accepts(&self, apps: &Value) -> bool {
        self.errors(&json!({ "apps": apps })).is_empty()
    }

    fn check(&self, rule: &Value, json: &Value, at: &str, errors: &mut Vec<String>) {
        for (keyword, bound) in rule.as_object().unwrap() {
            if !self.holds(rule, keyword, bound, json, at, errors) {
                errors.push(format!("{at}: {keyword} {bound}"));
            }
        }
    }

    fn holds(
        &self,
        rule: &Value,
        keyword: &str,
        bound: &Value,
        json: &Value,
        at: &str,
        errors: &mut Vec<String>,
    ) -> bool {
        let number = |json: &Value| json.as_i64();
        let chars = json.as_str().map(|text| text.chars().count() as u64);
        let items = json.as_array();
        let members = json.as_object();
        let limit = bound.as_u64().unwrap_or_default();
        match keyword {
            "type" => match bound.as_array() {
                Some(kinds) => kinds.iter().any(|kind| is_kind(json, kind)),
                None => is_kind(json, bound),
            },
            "$ref" => {
                let name = bound.as_str().unwrap().strip_prefix("#").unwrap();
                self.check(self.0.pointer(name).unwrap(), json, at, errors);
                true
            }
            "anyOf" => bound.as_array().unwrap().iter().any(|rule| {
                let mut errors = Vec::new();
                self.check(rule, json, at, &mut errors);
                errors.is_empty()
            }),
            "enum" => bound.as_array().unwrap().contains(json),
            "const" => bound == json,
            "minimum" => number(json).is_none_or(|number| number >= bound.as_i64().unwrap()),
            "maximum" => number(json).is_none_or(|number| number <= bound.as_i64().unwrap()),
            "minLength" => chars.is_none_or(|chars| chars >= limit),
            "maxLength" => chars.is_none_or(|chars| chars <= limit),
            "minItems" => items.is_none_or(|items| items.len() as u64 >= limit),
            "maxItems" => items.is_none_or(|items| items.len() as u64 <= limit),
            "minProperties" => members.is_none_or(|members| members.len() as u64 >= limit),
            "maxProperties" => members.is_none_or(|members| members.len() as u64 <= limit),
            "uniqueItems" => items.is_none_or(|items| {
                items.iter().map(Value::to_string).collect::<BTreeSet<_>>().len() == items.len()
            }),
            "pattern" => json.as_str().is_none_or(|text| match bound.as_str().unwrap() {
                "^[ -~]+$" => text.bytes().all(|byte| (b' '..=b'~').contains(&byte)),
                r"^(\*|[!-)+-~]+(\.\*)?)$" => {
                    let own = text.strip_suffix(".*").filter(|own| !own.is_empty());
                    let own = own.unwrap_or(text);
                    text == "*" || own.bytes().all(|it| it.is_ascii_graphic() && it != b'*')
                }
                "-----BEGIN " => text.contains("-----BEGIN "),
                "^https://" => text.starts_with("https://"),
                "^https?://" => text.starts_with("https://") || text.starts_with("http://"),
                _ => {
                    text.len() > 10
                        && text.as_bytes()[4] == b'-'
                        && b"T ".contains(&text.as_bytes()[10])
                }
            }),
            "items" => {
                for (index, item) in items.into_iter().flatten().enumerate() {
                    self.check(bound, item, &format!("{at}[{index}]"), errors);
                }
                true
            }
            "required" => members.is_none_or(|members| {
                let mut names = bound.as_array().unwrap().iter();
                names.all(|name| members.contains_key(name.as_str().unwrap()))
            }),
            "properties" => {
                for (name, member) in members.into_iter().flatten() {
                    if let Some(rule) = bound.get(name) {
                        self.check(rule, member, &format!("{at}.{name}"), errors);
                    }
                }
                true
            }
            "additionalProperties" => {
                assert_eq!(bound, false);
                let known = rule["properties"].as_object().unwrap();
                members.is_none_or(|members| members.keys().all(|name| known.contains_key(name)))
            }
            "$schema" | "$id" | "$defs" | "title" | "description" | "default" | "deprecated" => {
                true
            }
            other => panic!("{other} is not checked"),
        }
    }
}

/// Returns the errors of a declaration under the schema.
pub(crate) fn schema_errors(json: &Value) -> Vec<String> {
    Validator::new().errors(json)
}

fn is_kind(json: &Value, kind: &Value) -> bool {
    match kind.as_str().unwrap() {
        "null" => json.is_null(),
        "boolean" => json.is_boolean(),
        "integer" => json.is_i64() || json.is_u64(),
        "string" => json.is_string(),
        "array" => json.is_array(),
        "object" => json.is_object(),
        other => panic!("{other} is not checked"),
    }
}

fn names(json: &Value) -> BTreeSet<String> {
    json.as_object().unwrap().keys().cloned().collect()
}

/// An app with every member.
fn full() -> Value {
    let mut settings = valid_app();
    merge(
        &mut settings,
        &json!({
            "rate_quota": { "per_minute": 1, "burst": 1 },
            "jwt": { "impersonation": { "allow": { "members": { "groups": ["staff"] } } } },
            "delegation": {
                "users": { "allow": { "members": { "groups": ["staff"] } } },
                "id_jag": [{
                    "audience": "https://other.example.com",
                    "client_id": "one",
                    "scope": "a",
                    "resources": ["https://api.example.com"],
                }],
            },
            "mobile_security": { "block_after_hours": 24, "wipe_after_days": 1 },
        }),
    );
    let draft: AppDraft = serde_json::from_value(settings).unwrap();
    serde_json::to_value(draft.build().unwrap()).unwrap()
}

/// A trusted issuer with every member.
fn full_issuer() -> Value {
    let trust = json!({ "apps": ["one"], "user_claim": "sub", "by_email": true, "requires_resource": true, "policy": {} });
    let json = json!({
        "issuer": "https://idp.example",
        "name": "IdP",
        "keys": { "uri": "https://idp.example/keys" },
        "algorithms": ["ES256"],
        "expires_at": 1_900_000_000_000_i64,
        "tenant": "acme",
        "id_jag": trust,
        "subject_tokens": with(&trust, &json!({ "requires_resource": false })),
        "workloads": [{ "app": "one", "subject": "job:*", "claims": { "ns": "prod" }, "scope": "a" }],
        "workload_audience": "api://acme",
        "global_revocation": { "by_email": true, "users": { "groups": ["staff"] } },
    });
    let record: TrustedIssuer = serde_json::from_value(json).unwrap();
    serde_json::to_value(record).unwrap()
}

/// Z34: the schema has each field of a trusted issuer, and no other, with its default.
#[test]
fn the_schema_has_every_field_of_a_trusted_issuer() {
    let (schema, full) = (schema(), full_issuer());
    let least = json!({
        "issuer": "https://idp.example", "name": "IdP",
        "keys": { "uri": "https://idp.example/keys" }, "algorithms": ["ES256"],
        "id_jag": { "apps": ["one"] }, "global_revocation": {},
        "workloads": [{ "app": "one", "subject": "job:*" }],
    });
    let defaults: TrustedIssuer = serde_json::from_value(least).unwrap();
    let defaults = serde_json::to_value(defaults).unwrap();
    for (place, definition) in [
        ("", "trusted_issuer"),
        ("/id_jag", "user_trust"),
        ("/subject_tokens", "user_trust"),
        ("/workloads/0", "workload_rule"),
        ("/global_revocation", "revocation_trust"),
    ] {
        let properties = &schema["$defs"][definition]["properties"];
        assert_eq!(names(full.pointer(place).unwrap()), names(properties), "{definition}");
        for (name, rule) in properties.as_object().unwrap() {
            if let (Some(default), Some(part)) = (rule.get("default"), defaults.pointer(place)) {
                assert_eq!(default, &part[name], "{definition}.{name}");
            }
        }
    }
    let whole = |issuer: &Value| json!({ "apps": [], "trusted_issuers": [issuer] });
    let read = |json: &Value| DeclaredApps::from_value(json.clone(), |_| Err(String::new()));
    let mut pem = full.clone();
    pem["keys"] = json!({ "keys": public_pem() });
    for good in [&full, &pem] {
        assert_eq!(schema_errors(&whole(good)), [""; 0]);
        let declared = read(&whole(good)).unwrap();
        let again = read(&serde_json::from_str(&declared.to_json()).unwrap()).unwrap();
        assert_eq!(again.trusted_issuers(), declared.trusted_issuers());
    }
    for change in [
        json!({ "color": 1 }),
        json!({ "issuer": "" }),
        json!({ "algorithms": [] }),
        json!({ "algorithms": ["HS256"] }),
        json!({ "max_lifetime": 0 }),
        json!({ "clock_skew": 301 }),
        json!({ "id_jag": { "apps": [] } }),
        json!({ "global_revocation": true }),
        json!({ "keys": { "uri": "http://idp.example" } }),
    ] {
        let mut bad = full.clone();
        for (name, value) in change.as_object().unwrap() {
            bad[name] = value.clone();
        }
        assert!(!schema_errors(&whole(&bad)).is_empty(), "{change}");
        let problems = read(&whole(&bad)).unwrap_err();
        let place = change.as_object().unwrap().keys().next().unwrap();
        let path = &problems.problems()[0].path;
        assert!(path.starts_with(&format!("trusted_issuers[0].{place}")), "{change}: {problems}");
    }
}

/// Z34: the schema has each field of the types, and no other.
#[test]
fn the_schema_has_every_field_of_the_types() {
    let schema = schema();
    let full = full();
    let of = |definition: &str| names(&schema["$defs"][definition]["properties"]);
    for (place, definition) in [
        ("", "settings"),
        ("/jwt", "jwt"),
        ("/jwt/impersonation", "impersonation"),
        ("/jwt/impersonation/except", "members"),
        ("/jwt/impersonation/allow/members", "members"),
        ("/delegation", "delegation"),
        ("/delegation/users", "impersonation"),
        ("/delegation/id_jag/0", "id_jag"),
        ("/mobile_security", "mobile_security"),
        ("/rate_quota", "rate_quota"),
    ] {
        assert_eq!(names(full.pointer(place).unwrap()), of(definition), "{definition}");
    }
    // The members of an app and of a secret are read one by one.
    for (name, value) in [
        ("client_id", json!("one")),
        ("client_secret", json!("x")),
        ("client_secret_digest", Value::Null),
        ("client_secret_expires_at", json!("2027-01-01T00:00:00Z")),
        ("signature_secret", json!("s".repeat(32))),
        ("enabled", json!(true)),
        ("settings", machine("one", "a")["settings"].clone()),
    ] {
        assert!(of("app").remove(name), "{name}");
        let mut app = machine("one", "a");
        app[name] = value;
        assert_eq!(read(&json!([app])), "", "{name}");
    }
    assert_eq!(of("app").len(), 7);
    let forms = names(&schema["$defs"]["secret"]["anyOf"][2]["properties"]);
    let known = ["plain", "sha256", "sha512", "slow", "env", "file"];
    assert_eq!(forms, known.map(str::to_owned).into());
}

/// Returns the problems that the reader finds.
fn read(apps: &Value) -> String {
    let read = DeclaredApps::from_value(json!({ "apps": apps }), |_| Ok("found".to_owned()));
    read.err().map(|invalid| invalid.to_string()).unwrap_or_default()
}

/// Z34: every default in the schema is the one of the type.
#[test]
fn the_defaults_of_the_schema_are_those_of_the_types() {
    let schema = schema();
    let defaults: AppDraft = serde_json::from_value(
        json!({ "name": "x", "flows": [], "jwt": { "keys": "signature_secret" } }),
    )
    .unwrap();
    let defaults = serde_json::to_value(defaults).unwrap();
    let mut compared = 0;
    for (place, definition) in [
        ("", "settings"),
        ("/jwt", "jwt"),
        ("/jwt/impersonation", "impersonation"),
        ("/jwt/impersonation/except", "members"),
        ("/mobile_security", "mobile_security"),
    ] {
        for (name, rule) in schema["$defs"][definition]["properties"].as_object().unwrap() {
            let known = &defaults.pointer(place).unwrap()[name];
            match rule.get("default") {
                Some(default) => {
                    assert_eq!(default, known, "{definition}.{name}");
                    compared += 1;
                }
                None => assert!(
                    known.is_null()
                        || known.is_object()
                        || ["name", "flows", "keys"].contains(&name.as_str()),
                    "{definition}.{name} has a default"
                ),
            }
        }
    }
    assert!(compared > 25, "{compared}");
}

/// Z34: the examples of the repository are valid, and what the schema refuses the reader refuses, too.
#[test]
fn the_schema_and_the_reader_agree() {
    let schema = Validator::new();
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"));
    let seed = fs::read_to_string(folder.join("examples/server/seed.json")).unwrap();
    let mut seed: Value = serde_json::from_str(&seed).unwrap();
    remove_comments(&mut seed);
    assert_eq!(schema_errors(&json!({ "apps": seed["apps"] })), [""; 0]);

    let with = |change: Value| {
        let mut app = machine("one", "a");
        merge(
            &mut app["settings"],
            &json!({ "flows": ["jwt_bearer"], "jwt": { "keys": "signature_secret" } }),
        );
        app["signature_secret"] = json!("s".repeat(32));
        merge(&mut app, &change);
        json!([app])
    };
    let settings = |change: Value| with(json!({ "settings": change }));
    let accepted = [
        settings(full()),
        with(json!({ "client_secret": { "env": "X" } })),
        with(json!({ "client_secret": { "file": "/x" }, "enabled": false })),
        with(json!({ "client_secret": null,
            "settings": { "authentication": { "private_key_jwt": public_pem() } } })),
        settings(json!({ "jwt": { "keys": { "keys": p256() } } })),
        settings(json!({ "mobile_security": { "pin": { "after_idle_minutes": 5 } } })),
        settings(
            json!({ "mobile_security": { "allowed_apps": ["*", "com.*", "com.a.*", "com.a"] } }),
        ),
        settings(
            json!({ "mobile_security": { "block_after_hours": null, "wipe_after_days": 3650 } }),
        ),
        settings(
            json!({ "redirect_uris": [{ "uri": "http://localhost/x", "allow_localhost": true }] }),
        ),
    ];
    for apps in &accepted {
        assert_eq!(schema.errors(&json!({ "apps": apps })), [""; 0]);
        assert_eq!(read(apps), "", "{apps}");
    }
    let refused = [
        json!(5),
        json!([5]),
        json!([{ "client_id": "x" }]),
        with(json!({ "color": 1 })),
        with(json!({ "client_id": "" })),
        with(json!({ "client_id": "é" })),
        with(json!({ "client_id": "x".repeat(256) })),
        with(json!({ "client_secret": { "md5": "x" } })),
        with(json!({ "client_secret": { "env": "X", "file": "Y" } })),
        with(json!({ "client_secret": "x".repeat(256) })),
        with(json!({ "client_secret": 5 })),
        with(json!({ "client_secret_expires_at": "tomorrow" })),
        with(json!({ "enabled": null })),
        settings(json!({ "hue": 1 })),
        settings(json!({ "name": "" })),
        settings(json!({ "name": "x".repeat(101) })),
        settings(json!({ "description": "x".repeat(1001) })),
        settings(json!({ "authentication": "client_secret_jwt" })),
        settings(json!({ "flows": [] })),
        settings(json!({ "flows": ["jwt_bearer", "jwt_bearer"] })),
        settings(json!({ "flows": ["implicit"] })),
        settings(json!({ "redirect_uris": [{ "url": "https://x" }] })),
        settings(json!({ "pkce": "plain" })),
        settings(json!({ "scope": ["a"] })),
        settings(json!({ "scope_policy": "widen" })),
        settings(json!({ "resources": [""] })),
        settings(json!({ "refresh_token": "yes" })),
        settings(json!({ "access_token_lifetime": 0 })),
        settings(json!({ "access_token_lifetime": 2_592_001 })),
        settings(json!({ "refresh_token_lifetime": 63_072_001 })),
        settings(json!({ "refresh_token_idle_lifetime": 0 })),
        settings(json!({ "refresh_grace": 301 })),
        settings(json!({ "code_lifetime": 601 })),
        settings(json!({ "jwt": { "keys": "hs256" } })),
        settings(json!({ "jwt": { "keys": { "keys": { "keys": [] } } } })),
        settings(json!({ "jwt": { "user_claim": "" } })),
        settings(json!({ "jwt": { "max_lifetime": 3601 } })),
        settings(json!({ "jwt": { "clock_skew": 301 } })),
        settings(json!({ "jwt": { "algorithms": ["none"] } })),
        settings(json!({ "jwt": { "impersonation": { "allow": "all" } } })),
        settings(json!({ "jwt": { "impersonation": { "except": { "users": [] } } } })),
        settings(json!({ "mobile_security": { "pin": "sometimes" } })),
        settings(json!({ "mobile_security": { "max_pin_attempts": 21 } })),
        settings(json!({ "mobile_security": { "allowed_apps": [""] } })),
        settings(json!({ "mobile_security": { "allowed_apps": ["com*"] } })),
        settings(json!({ "mobile_security": { "allowed_apps": [".*"] } })),
        settings(json!({ "mobile_security": { "allowed_apps": ["a.*.*"] } })),
        settings(json!({ "mobile_security": { "block_after_hours": 0 } })),
        settings(json!({ "mobile_security": { "block_after_hours": 8761 } })),
        settings(json!({ "mobile_security": { "wipe_after_days": 0 } })),
        settings(json!({ "mobile_security": { "wipe_after_days": 3651 } })),
        settings(json!({ "rate_quota": { "per_minute": 0, "burst": 1 } })),
        settings(json!({ "rate_quota": { "per_minute": 1 } })),
    ];
    for apps in &refused {
        assert!(!schema.accepts(apps), "the schema accepts {apps}");
        assert_ne!(read(apps), "", "the reader accepts {apps}");
    }
}

/// Removes the comments of a seed.
fn remove_comments(json: &mut Value) {
    if let Some(members) = json.as_object_mut() {
        members.retain(|name, _| !name.starts_with('_'));
        members.values_mut().for_each(remove_comments);
    } else if let Some(items) = json.as_array_mut() {
        items.iter_mut().for_each(remove_comments);
    }
}
