//! Reading the trusted issuers of a declaration.

use serde::Deserialize as _;
use serde_json::Value;

use super::read::{Faults, keys_of_pem};
use super::{ISSUERS, InvalidDeclaration};
use crate::app::TrustedIssuer;

/// The parts of a record whose members are read by themselves: their places, and a value that is valid with any one of
/// them.
const PARTS: &[(&str, &str)] = &[
    (
        "",
        r#"{"issuer": "https://x.example", "name": "x", "keys": {"uri": "https://x.example/keys"}, "algorithms": ["ES256"]}"#,
    ),
    (".id_jag", r#"{"apps": ["x"]}"#),
    (".subject_tokens", r#"{"apps": ["x"]}"#),
    (".global_revocation", "{}"),
];

/// The place of keys that may be a PEM text.
const KEYS: &[&str] = &["/keys/keys"];

/// Reads the trusted issuers.
pub(super) fn issuers(json: Value, problems: &mut InvalidDeclaration) -> Vec<TrustedIssuer> {
    let Value::Array(items) = json else {
        problems.add(ISSUERS, "must be an array");
        return Vec::new();
    };
    let items = items.into_iter().enumerate();
    let read = items.filter_map(|(at, item)| issuer(item, &format!("{ISSUERS}[{at}]"), problems));
    read.collect()
}

fn issuer(
    mut json: Value,
    place: &str,
    problems: &mut InvalidDeclaration,
) -> Option<TrustedIssuer> {
    if !keys_of_pem(&mut json, KEYS, place, problems) {
        return None;
    }
    let probe = |json: Value| TrustedIssuer::deserialize(json).err().map(|it| it.to_string());
    match TrustedIssuer::deserialize(&json) {
        Ok(record) => Some(record),
        Err(error) => {
            let faults = Faults { parts: PARTS, place, problems, probe: &probe };
            faults.find("", &json, &error.to_string());
            None
        }
    }
}
