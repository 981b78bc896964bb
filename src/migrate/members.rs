//! The members of a client's JSON. Each is taken once, so that the rest is what is not known.

use serde_json::{Map, Value};

use super::ExportFormat;
use super::report::{Finding, Notes, quoted};

/// The members of an object that were not taken yet.
pub(super) struct Members {
    json: Map<String, Value>,
    /// Whether names are compared without case.
    folds_case: bool,
}

impl Members {
    pub(super) const fn new(json: Map<String, Value>, folds_case: bool) -> Self {
        Self { json, folds_case }
    }

    /// Takes a member. `null` is as absent.
    pub(super) fn take(&mut self, name: &str) -> Option<Value> {
        self.remove(name).filter(|value| !value.is_null())
    }

    fn remove(&mut self, name: &str) -> Option<Value> {
        if !self.folds_case {
            return self.json.remove(name);
        }
        let own = self.json.keys().find(|own| own.eq_ignore_ascii_case(name))?.clone();
        self.json.remove(&own)
    }

    pub(super) fn text(&mut self, name: &str, notes: &mut Notes) -> Option<String> {
        let text = text(self.take(name)?);
        if text.is_none() {
            notes.refused(name, "it must be a text");
        }
        text
    }

    /// Takes `true` or `false`, also as a text, or as the number of a table.
    pub(super) fn flag(&mut self, name: &str, notes: &mut Notes) -> Option<bool> {
        let value = self.take(name)?;
        let text = value.as_str().map(str::to_ascii_lowercase);
        let flag = match (value.as_bool(), text.as_deref(), value.as_u64()) {
            (Some(flag), ..) => Some(flag),
            (_, Some("true"), _) | (.., Some(1)) => Some(true),
            (_, Some("false"), _) | (.., Some(0)) => Some(false),
            _ => None,
        };
        if flag.is_none() {
            notes.refused(name, "it must be true or false");
        }
        flag
    }

    /// Takes a whole number, also as a text. An empty text is as absent.
    pub(super) fn number(&mut self, name: &str, notes: &mut Notes) -> Option<i64> {
        let value = self.take(name).filter(|value| value.as_str() != Some(""))?;
        let number = value.as_i64().or_else(|| value.as_str()?.parse().ok());
        if number.is_none() {
            notes.refused(name, "it must be a whole number");
        }
        number
    }

    /// Takes the number of an enumeration, which may be written by its name.
    pub(super) fn number_or_name(
        &mut self,
        name: &str,
        names: &[&str],
        notes: &mut Notes,
    ) -> Option<usize> {
        let value = self.take(name)?;
        let by_name = |text: &str| names.iter().position(|own| own.eq_ignore_ascii_case(text));
        let number = value.as_u64().and_then(|number| usize::try_from(number).ok());
        let found = number.or_else(|| by_name(value.as_str()?));
        if found.is_none_or(|number| number >= names.len()) {
            notes.refused(name, format!("it must be one of {}", names.join(", ")));
            return None;
        }
        found
    }

    /// Takes a list of texts, with the path of each.
    pub(super) fn texts(&mut self, name: &str, notes: &mut Notes) -> Vec<(String, String)> {
        self.texts_of(name, "", notes)
    }

    /// Takes a list of texts, or of objects with a text in the member `key`.
    pub(super) fn texts_of(
        &mut self,
        name: &str,
        key: &str,
        notes: &mut Notes,
    ) -> Vec<(String, String)> {
        let mut texts = Vec::new();
        for (at, item) in self.list(name, notes).into_iter().enumerate() {
            let path = format!("{name}[{at}]");
            let text = if let Value::Object(row) = item {
                Self::new(row, true).take(key).and_then(text)
            } else {
                text(item)
            };
            match text {
                Some(text) => texts.push((path, text)),
                None => notes.refused(&path, "it must be a text"),
            }
        }
        texts
    }

    pub(super) fn list(&mut self, name: &str, notes: &mut Notes) -> Vec<Value> {
        let Some(value) = self.take(name) else { return Vec::new() };
        if let Value::Array(items) = value {
            return items;
        }
        notes.refused(name, "it must be a list");
        Vec::new()
    }

    pub(super) fn object(&mut self, name: &str, notes: &mut Notes) -> Self {
        let folds_case = self.folds_case;
        let json = match self.take(name) {
            None => Map::new(),
            Some(Value::Object(json)) => json,
            Some(_) => {
                notes.refused(name, "it must be an object");
                Map::new()
            }
        };
        Self { json, folds_case }
    }

    /// Drops members, and notes those that say anything.
    pub(super) fn drop_known(&mut self, place: &str, known: &[(&str, &str)], notes: &mut Notes) {
        for (name, reason) in known {
            if let Some(value) = self.remove(name)
                && !says_nothing(&value)
            {
                notes.dropped(&format!("{place}{name}"), *reason);
            }
        }
    }

    /// Notes the members that were not taken.
    pub(super) fn report_rest(self, notes: &mut Notes) {
        self.report_rest_of("", notes);
    }

    pub(super) fn report_rest_of(self, place: &str, notes: &mut Notes) {
        for name in self.json.keys() {
            let field = format!("{place}{name}");
            notes.add(Finding::Unknown, &field, "it is not known, and left out");
        }
    }

    /// Returns the client id as the export has it, for the report.
    pub(super) fn client_id(&self, format: ExportFormat) -> Option<String> {
        let names: &[&str] = match format {
            ExportFormat::Hydra | ExportFormat::Auth0 => &["client_id"],
            ExportFormat::Keycloak => &["clientId"],
            ExportFormat::Duende => &["ClientId", "clientId"],
            ExportFormat::Kiteworks => &["client_id", "id"],
        };
        let found = names.iter().find_map(|name| self.json.get(*name));
        found.and_then(Value::as_str).map(quoted)
    }

    /// Returns the names of the members that were not taken.
    pub(super) fn names(&self) -> Vec<String> {
        self.json.keys().cloned().collect()
    }

    pub(super) fn has(&self, name: &str) -> bool {
        self.json.contains_key(name)
    }
}

pub(super) fn text(value: Value) -> Option<String> {
    if let Value::String(text) = value { Some(text) } else { None }
}

/// Checks whether a value is the empty one of its type.
fn says_nothing(value: &Value) -> bool {
    match value {
        Value::Null | Value::Bool(false) => true,
        Value::Bool(true) => false,
        Value::Number(number) => number.as_f64() == Some(0.0),
        Value::String(text) => text.is_empty(),
        Value::Array(items) => items.is_empty(),
        Value::Object(members) => members.is_empty(),
    }
}
