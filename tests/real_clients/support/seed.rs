//! The seed of the example server.

use std::collections::BTreeSet;
use std::path::PathBuf;

use serde_json::Value;

/// Returns the annotated seed file.
pub(crate) fn seed_file() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("examples/server/seed.json")
}

/// The seed, as JSON.
pub(crate) struct Seed(Value);

impl Seed {
    pub(crate) fn read() -> Self {
        Self(serde_json::from_slice(&std::fs::read(seed_file()).unwrap()).unwrap())
    }

    fn entry(&self, list: &str, name: &str, value: &str) -> &Value {
        let found = self.0[list].as_array().unwrap().iter().find(|entry| entry[name] == value);
        found.unwrap_or_else(|| panic!("the seed has no {value} in {list}"))
    }

    pub(crate) fn password(&self, user: &str) -> &str {
        self.entry("users", "name", user)["password"].as_str().unwrap()
    }

    pub(crate) fn settings(&self, client_id: &str) -> &Value {
        &self.entry("apps", "client_id", client_id)["settings"]
    }

    pub(crate) fn client_secret(&self, client_id: &str) -> Option<&str> {
        self.entry("apps", "client_id", client_id)["client_secret"].as_str()
    }

    pub(crate) fn scope(&self, client_id: &str) -> &str {
        self.settings(client_id)["scope"].as_str().unwrap()
    }

    /// Returns all its secrets, which are passwords, client secrets, signature secrets, and the private
    /// keys beside it.
    pub(crate) fn secrets(&self) -> BTreeSet<String> {
        let texts = |list: &str, name: &str| -> Vec<String> {
            let entries = self.0[list].as_array().unwrap().iter();
            entries.filter_map(|entry| entry[name].as_str().map(str::to_owned)).collect()
        };
        let mut secrets: BTreeSet<_> = texts("users", "password").into_iter().collect();
        secrets.extend(texts("apps", "client_secret"));
        secrets.extend(texts("apps", "signature_secret"));
        for entry in std::fs::read_dir(seed_file().parent().unwrap()).unwrap() {
            let path = entry.unwrap().path();
            if path.extension().is_some_and(|extension| extension == "pem") {
                let pem = std::fs::read_to_string(path).unwrap();
                // A line of base64 in the middle of a long key, or the only one of a short one.
                secrets.extend(pem.lines().filter(|line| line.len() >= 40).map(str::to_owned));
            }
        }
        assert!(secrets.len() > 10, "the seed has too few secrets");
        secrets
    }
}
