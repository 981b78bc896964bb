//! The settings that an import changes, with their old and new values.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::Value;

/// A setting that differs.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Difference {
    pub(super) setting: String,
    /// The values, or members of a list, that are no longer set.
    pub(super) removed: Vec<String>,
    /// The values, or members of a list, that are set now.
    pub(super) added: Vec<String>,
}

/// Returns the settings that differ, by their names in JSON.
pub(super) fn differences<T: Serialize>(before: &T, after: &T) -> Vec<Difference> {
    let members = |settings: &T| {
        let mut found = BTreeMap::new();
        flatten(String::new(), &serde_json::to_value(settings).unwrap_or_default(), &mut found);
        found
    };
    let (mut old, new) = (members(before), members(after));
    let mut found = Vec::new();
    for (setting, added) in new {
        let removed = old.remove(&setting).unwrap_or_default();
        found.push((setting, removed, added));
    }
    found.extend(old.into_iter().map(|(setting, removed)| (setting, removed, Vec::new())));
    let mut differ: Vec<_> = found
        .into_iter()
        .filter(|(_, removed, added)| removed != added)
        .map(|(setting, removed, added)| Difference {
            setting,
            removed: without(&removed, &added),
            added: without(&added, &removed),
        })
        .collect();
    differ.sort_by(|a, b| a.setting.cmp(&b.setting));
    differ
}

/// Collects the members of nested objects by their paths.
fn flatten(path: String, value: &Value, found: &mut BTreeMap<String, Vec<String>>) {
    match value {
        Value::Object(members) => {
            for (name, value) in members {
                let dot = if path.is_empty() { "" } else { "." };
                flatten(format!("{path}{dot}{name}"), value, found);
            }
        }
        Value::Array(items) => {
            found.insert(path, items.iter().map(plain).collect());
        }
        Value::String(tokens) if path == "scope" => {
            found.insert(path, tokens.split_whitespace().map(str::to_owned).collect());
        }
        Value::String(_) | Value::Null | Value::Bool(_) | Value::Number(_) => {
            found.insert(path, vec![plain(value)]);
        }
    }
}

fn plain(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

fn without(all: &[String], others: &[String]) -> Vec<String> {
    all.iter().filter(|item| !others.contains(item)).cloned().collect()
}
