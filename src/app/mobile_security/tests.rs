use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::app::{AppDraft, AppSettings, CustomApp, Flow};

fn rules(patterns: &[&str]) -> MobileSecurity {
    let allowed_apps = patterns.iter().map(|it| (*it).to_owned()).collect();
    MobileSecurity { allowed_apps, ..MobileSecurity::default() }
}

fn field(security: &MobileSecurity) -> Option<&'static str> {
    security.check().err().map(|invalid| invalid.field())
}

/// W15: each test vector that the developer of an app uses on a phone.
#[test]
fn the_test_vectors_for_phones_hold() {
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Vector {
        patterns: Vec<String>,
        bundle_id: String,
        allowed: bool,
    }
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/allowed-apps.json");
    let vectors: Vec<Vector> =
        serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
    assert!(vectors.len() >= 25);
    for Vector { patterns, bundle_id, allowed } in vectors {
        let rules = MobileSecurity { allowed_apps: patterns, ..MobileSecurity::default() };
        let found = rules.allows_app(&bundle_id);
        assert_eq!(found, allowed, "{:?} {bundle_id:?}", rules.allowed_apps);
    }
}

/// W15: a star stands alone, or last after a dot. Another one is refused, with a text that says how to write it.
#[test]
fn a_star_elsewhere_is_refused_when_an_app_is_saved() {
    for fits in ["*", "com.*", "com.example.*", "com.example.mail", "a", "a..*"] {
        assert_eq!(field(&rules(&["org.example", fits])), None, "{fits}");
        assert!(MobileSecurity::is_pattern(fits));
    }
    for wrong in [
        "**",
        ".*",
        "com*",
        "com.example*",
        "*.mail",
        "com.*.mail",
        "com.*.*",
        "com.**",
        "*.",
        "a.* ",
        "",
        "a b",
        "é.*",
    ] {
        assert_eq!(field(&rules(&[wrong])), Some("mobile_security.allowed_apps"), "{wrong}");
        assert!(!MobileSecurity::is_pattern(wrong));
    }
    let text = rules(&["com*"]).check().unwrap_err().to_string();
    assert!(text.contains("write com.example.*") && text.contains("com.example.mail"), "{text}");
}

/// W15: an app that an earlier version stored with a star elsewhere is read as it is. Its edit is refused until the
/// pattern is corrected.
#[test]
fn an_app_stored_with_another_pattern_stays_readable() {
    let record = |patterns: Value| {
        json!({
            "client_id": "phone",
            "settings": {
                "name": "Phone",
                "flows": ["client_credentials"],
                "mobile_security": { "allowed_apps": patterns },
            },
            "enabled": true,
            "credentials": { "client_secrets": [] },
            "version": 1, "created_at": 0, "updated_at": 0,
        })
    };
    let read = |record: Value| serde_json::from_value::<CustomApp>(record);
    let app = read(record(json!(["com.example*", "com.example.*"]))).unwrap();
    let stored = app.settings().mobile_security();
    assert_eq!(stored.allowed_apps, ["com.example*", "com.example.*"]);
    assert!(stored.allows_app("com.example*") && !stored.allows_app("com.examples"));
    let again = serde_json::to_value(&app).unwrap();
    assert_eq!(read(again.clone()).unwrap(), app);
    assert!(serde_json::from_value::<AppSettings>(again["settings"].clone()).is_err());
    let refused = AppDraft::from(app.settings()).description("New.").build().unwrap_err();
    assert_eq!(refused.field(), "mobile_security.allowed_apps");
    // Other settings of a record are checked as ever.
    let mut broken = record(json!([]));
    broken["settings"]["mobile_security"]["block_after_hours"] = json!(0);
    assert!(read(broken).unwrap_err().to_string().contains("`mobile_security.block_after_hours`"));
}

/// W16: the limits have bounds, and a phone is blocked before it is wiped.
#[test]
fn offline_limits_have_their_bounds_and_their_order() {
    let limits = |block_after_hours, wipe_after_days| MobileSecurity {
        block_after_hours,
        wipe_after_days,
        ..MobileSecurity::default()
    };
    let (block, wipe) =
        (Some("mobile_security.block_after_hours"), Some("mobile_security.wipe_after_days"));
    for (hours, days, wrong) in [
        (None, None, None),
        (Some(1), None, None),
        (Some(8_760), None, None),
        (Some(0), None, block),
        (Some(8_761), None, block),
        (None, Some(1), None),
        (None, Some(3_650), None),
        (None, Some(0), wipe),
        (None, Some(3_651), wipe),
        (Some(24), Some(1), None),
        (Some(25), Some(1), wipe),
        (Some(8_760), Some(365), None),
        (Some(8_760), Some(364), wipe),
        (Some(1), Some(3_650), None),
        (Some(u16::MAX), Some(u16::MAX), block),
    ] {
        assert_eq!(field(&limits(hours, days)), wrong, "{hours:?} {days:?}");
    }
}

/// W16: a record without limits is one that an earlier version reads, and that it wrote.
#[test]
fn a_record_names_only_the_limits_that_are_set() {
    let stored = serde_json::to_value(MobileSecurity::default()).unwrap();
    assert_eq!(
        stored,
        json!({
            "remote_wipe": false, "pin": "never", "max_pin_attempts": null, "biometrics": true,
            "clipboard": true, "allowed_apps": [],
        })
    );
    assert_eq!(
        serde_json::from_value::<MobileSecurity>(stored).unwrap(),
        MobileSecurity::default()
    );
    let limits = json!({ "block_after_hours": 72, "wipe_after_days": 90 });
    let read: MobileSecurity = serde_json::from_value(limits).unwrap();
    assert_eq!((read.block_after_hours, read.wipe_after_days), (Some(72), Some(90)));
    let stored = serde_json::to_value(&read).unwrap();
    assert_eq!(
        (&stored["block_after_hours"], &stored["wipe_after_days"]),
        (&json!(72), &json!(90))
    );
    let null = json!({ "block_after_hours": null, "wipe_after_days": null });
    assert!(!serde_json::from_value::<MobileSecurity>(null).unwrap().has_rules());
}

#[test]
fn an_app_has_mobile_security_if_one_rule_differs_from_the_default() {
    assert!(!MobileSecurity::default().has_rules());
    let without = AppDraft::public("Phone").flow(Flow::JwtBearer);
    assert!(!without.mobile_security.has_rules());
    for change in [
        json!({ "remote_wipe": true }),
        json!({ "pin": "always" }),
        json!({ "max_pin_attempts": 3 }),
        json!({ "biometrics": false }),
        json!({ "clipboard": false }),
        json!({ "allowed_apps": ["*"] }),
        json!({ "block_after_hours": 3 }),
        json!({ "wipe_after_days": 3 }),
    ] {
        let rules: MobileSecurity = serde_json::from_value(change.clone()).unwrap();
        assert!(rules.has_rules(), "{change}");
    }
}

/// Patterns and ids over few letters, so that many of them match.
fn word() -> impl Strategy<Value = String> {
    "[aA.*\u{e9}]{0,5}"
}

fn patterns() -> impl Strategy<Value = Vec<String>> {
    proptest::collection::vec(word(), 0..4)
}

fn allowing(allowed_apps: Vec<String>) -> MobileSecurity {
    MobileSecurity { allowed_apps, ..MobileSecurity::default() }
}

proptest! {
    /// W15: a text allows itself, as a pattern of any form.
    #[test]
    fn a_pattern_allows_itself(pattern in word()) {
        prop_assert!(allowing(vec![pattern.clone()]).allows_app(&pattern));
    }

    /// W15: a list allows an id if one of its patterns does. So another pattern never forbids an id, and order
    /// does not matter.
    #[test]
    fn a_list_allows_an_id_if_one_of_its_patterns_does(list in patterns(), id in word()) {
        let one = list.iter().any(|it| allowing(vec![it.clone()]).allows_app(&id));
        prop_assert_eq!(allowing(list.clone()).allows_app(&id), one);
    }

    /// W15: a pattern that ends in a star allows each longer id, and none without its beginning.
    #[test]
    fn a_pattern_with_a_star_is_about_the_beginning(
        beginning in "[aA.]{1,4}", other in word(), rest in "[aA.*\u{e9}]{1,4}",
    ) {
        let beginning = format!("{beginning}.");
        let rules = allowing(vec![format!("{beginning}*")]);
        let whole = format!("{beginning}{rest}");
        prop_assert!(rules.allows_app(&whole));
        prop_assert!(!rules.allows_app(&beginning));
        prop_assert_eq!(rules.allows_app(&other), {
            let (own, other) = (beginning.as_bytes(), other.as_bytes());
            other.len() > own.len() && other.iter().zip(own).all(|(a, b)| a == b)
        });
    }

    /// W15: without a star, only the equal id is allowed.
    #[test]
    fn a_pattern_without_a_star_allows_one_id(pattern in "[aA.]{0,4}", id in word()) {
        prop_assert_eq!(allowing(vec![pattern.clone()]).allows_app(&id), pattern == id);
    }

    /// W15: a pattern that cannot be saved allows one id.
    #[test]
    fn a_pattern_of_another_form_allows_one_id(pattern in word(), id in word()) {
        if !allowed_apps::has_form(&pattern) {
            prop_assert_eq!(allowing(vec![pattern.clone()]).allows_app(&id), pattern == id);
        }
    }
}
