//! An accepted JWK or JWK Set is written and read again as the same key.
#![no_main]

use std::sync::LazyLock;

use grantor::jwt::{jwk_set_json, VerifyingKey, VerifyingKeys};
use grantor_fuzz::{Edits, PUBLIC_KEYS, edited, object};
use serde_json::{Map, Value};

static KEYS: LazyLock<Vec<Vec<(String, String)>>> = LazyLock::new(|| {
    let jwk = |pem| serde_json::to_string(&VerifyingKey::from_pem(pem).unwrap()).unwrap();
    let members = |pem| {
        let jwk: Map<String, Value> = serde_json::from_str(&jwk(pem)).unwrap();
        let members = jwk.iter().map(|(name, value)| (name.clone(), value.to_string()));
        members
            .chain(["kid", "key_ops", "d"].map(|name| (name.to_owned(), String::new())))
            .collect()
    };
    PUBLIC_KEYS.into_iter().map(members).collect()
});

libfuzzer_sys::fuzz_target!(|input: (&str, Vec<(u8, Edits<'_>)>)| {
    let (text, keys) = input;
    check(text);
    check(&format!(r#"{{"keys":[{text}]}}"#));
    let nearly = keys.iter().map(|(key, edits)| {
        let members = &KEYS[usize::from(*key) % KEYS.len()];
        let members: Vec<_> = members.iter().map(|(name, value)| (&**name, &**value)).collect();
        object(&edited(&members, edits))
    });
    let nearly: Vec<_> = nearly.collect();
    nearly.iter().for_each(|key| check(key));
    check(&format!(r#"{{"keys":[{}]}}"#, nearly.join(",")));
});

fn check(json: &str) {
    if let Ok(key) = VerifyingKey::from_jwk(json) {
        let written = serde_json::to_string(&key).unwrap();
        assert_eq!(VerifyingKey::from_jwk(&written), Ok(key));
    }
    if let Ok(keys) = VerifyingKeys::from_jwk_set(json) {
        assert_eq!(VerifyingKeys::from_jwk_set(&jwk_set_json(keys.iter())), Ok(keys));
    }
}
