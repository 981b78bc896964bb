//! The rules of an app as its installations on phones read them.

use serde::Serialize;

use super::{MobileSecurity, PinPolicy};
use crate::secret::Digest;

/// The rules of an app as JSON for its installations on phones.
///
/// Each member is always present. One that has no value is `null`:
///
/// ```
/// use grantor::app::{MobileSecurity, PinPolicy};
///
/// let mut rules = MobileSecurity::default();
/// rules.pin = PinPolicy::AfterIdleMinutes(5);
/// let json = r#"{"version":"zfJqu6d6oGGwS5WW","remote_wipe":false,"pin":{"ask":"after_idle","idle_minutes":5},"max_pin_attempts":null,"biometrics":true,"clipboard":true,"allowed_apps":[],"block_after_hours":null,"wipe_after_days":null}"#;
/// assert_eq!(rules.document().as_json(), json);
/// ```
///
/// `ask` of `pin` is `never`, `always`, `when_offline` or `after_idle`. Only the last one has
/// `idle_minutes`. Later versions of this crate may add members.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PolicyDocument {
    version: String,
    json: String,
}

/// The members. The derived order is the one of the digest: that of a `serde_json::Map` would depend on
/// the features of the host.
#[derive(Serialize)]
struct Document<'a> {
    /// Absent in the digest.
    #[serde(skip_serializing_if = "Option::is_none")]
    version: Option<&'a str>,
    remote_wipe: bool,
    pin: Pin,
    max_pin_attempts: Option<u8>,
    biometrics: bool,
    clipboard: bool,
    allowed_apps: &'a [String],
    block_after_hours: Option<u16>,
    wipe_after_days: Option<u16>,
}

/// An object in any case, because Swift and Kotlin read it with a struct and no code.
#[derive(Serialize)]
struct Pin {
    ask: &'static str,
    idle_minutes: Option<u16>,
}

impl PolicyDocument {
    pub(super) fn new(security: &MobileSecurity) -> Self {
        let mut document = Document::from(security);
        let digest = Digest::of_fields(&[document.to_json().as_bytes()]).to_base64url();
        let version: String = digest.chars().take(16).collect();
        document.version = Some(&version);
        let json = document.to_json();
        Self { version, json }
    }

    /// Returns the version: 16 characters of base64url (96 bits of a SHA-256 over the other members). Equal
    /// settings have equal versions at every server with the same version of this crate.
    #[must_use]
    pub fn version(&self) -> &str {
        &self.version
    }

    /// Returns the JSON, an object in one line.
    #[must_use]
    pub fn as_json(&self) -> &str {
        &self.json
    }
}

impl<'a> From<&'a MobileSecurity> for Document<'a> {
    fn from(security: &'a MobileSecurity) -> Self {
        // A new rule does not compile until it is in the document.
        let MobileSecurity {
            remote_wipe,
            pin,
            max_pin_attempts,
            biometrics,
            clipboard,
            allowed_apps,
            block_after_hours,
            wipe_after_days,
        } = security;
        let (ask, idle_minutes) = match *pin {
            PinPolicy::Never => ("never", None),
            PinPolicy::Always => ("always", None),
            PinPolicy::WhenOffline => ("when_offline", None),
            PinPolicy::AfterIdleMinutes(minutes) => ("after_idle", Some(minutes)),
        };
        Self {
            version: None,
            remote_wipe: *remote_wipe,
            pin: Pin { ask, idle_minutes },
            max_pin_attempts: *max_pin_attempts,
            biometrics: *biometrics,
            clipboard: *clipboard,
            allowed_apps,
            block_after_hours: *block_after_hours,
            wipe_after_days: *wipe_after_days,
        }
    }
}

impl Document<'_> {
    fn to_json(&self) -> String {
        // Texts and numbers always serialize.
        serde_json::to_string(self).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    /// Rules that differ from the default in one member each.
    fn changed() -> [MobileSecurity; 12] {
        let with = |change: fn(&mut MobileSecurity)| {
            let mut rules = MobileSecurity::default();
            change(&mut rules);
            rules
        };
        [
            with(|it| it.remote_wipe = true),
            with(|it| it.pin = PinPolicy::Always),
            with(|it| it.pin = PinPolicy::WhenOffline),
            with(|it| it.pin = PinPolicy::AfterIdleMinutes(5)),
            with(|it| it.pin = PinPolicy::AfterIdleMinutes(6)),
            with(|it| it.max_pin_attempts = Some(3)),
            with(|it| it.biometrics = false),
            with(|it| it.clipboard = false),
            with(|it| it.allowed_apps = vec!["a".to_owned(), "b".to_owned()]),
            with(|it| it.allowed_apps = vec!["a\",\"b".to_owned()]),
            with(|it| it.block_after_hours = Some(3)),
            with(|it| it.wipe_after_days = Some(3)),
        ]
    }

    /// W14: a phone that knows the version need not read the rules again.
    #[test]
    fn equal_rules_have_equal_versions_and_each_change_has_one_of_its_own() {
        let default = MobileSecurity::default();
        let mut versions = BTreeSet::from([default.document().version().to_owned()]);
        for rules in changed() {
            let document = rules.document();
            assert_eq!(document.version().len(), 16);
            assert_eq!(document, rules.clone().document());
            let stored = serde_json::to_string(&rules).unwrap();
            let read: MobileSecurity = serde_json::from_str(&stored).unwrap();
            assert_eq!(document, read.document());
            assert!(versions.insert(document.version().to_owned()), "{rules:?}");
        }
    }

    /// W14, W16: the names and forms of the members are those that phones read.
    #[test]
    fn the_document_of_an_example_is_known_to_the_byte() {
        let rules = MobileSecurity {
            remote_wipe: true,
            pin: PinPolicy::AfterIdleMinutes(5),
            max_pin_attempts: Some(10),
            biometrics: false,
            clipboard: false,
            allowed_apps: vec!["com.example.*".to_owned(), "org.example.mail".to_owned()],
            block_after_hours: Some(72),
            wipe_after_days: Some(90),
        };
        let document = rules.document();
        assert_eq!(document.version(), "uflLgcyoGVTujPib");
        assert_eq!(
            document.as_json(),
            "{\"version\":\"uflLgcyoGVTujPib\",\"remote_wipe\":true,\
             \"pin\":{\"ask\":\"after_idle\",\"idle_minutes\":5},\"max_pin_attempts\":10,\
             \"biometrics\":false,\"clipboard\":false,\
             \"allowed_apps\":[\"com.example.*\",\"org.example.mail\"],\
             \"block_after_hours\":72,\"wipe_after_days\":90}"
        );
        for (pin, ask) in [
            (PinPolicy::Never, "never"),
            (PinPolicy::Always, "always"),
            (PinPolicy::WhenOffline, "when_offline"),
        ] {
            let document = MobileSecurity { pin, ..rules.clone() }.document();
            let json: serde_json::Value = serde_json::from_str(document.as_json()).unwrap();
            assert_eq!(json["pin"], serde_json::json!({ "ask": ask, "idle_minutes": null }));
        }
    }
}
