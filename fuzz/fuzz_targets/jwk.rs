//! An accepted JWK or JWK Set is written and read again as the same key.
#![no_main]

use grantor::jwt::{VerifyingKey, VerifyingKeys, jwk_set_json};

libfuzzer_sys::fuzz_target!(|text: &str| {
    check(text);
    check(&format!(r#"{{"keys":[{text}]}}"#));
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
