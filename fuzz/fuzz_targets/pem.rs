//! Any text and any bytes in PEM are rejected or form a key, and the key survives its publication.
#![no_main]

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use grantor::jwt::{Algorithm, SigningKey, VerifyingKey, VerifyingKeys};
use grantor_fuzz::PUBLIC_KEYS;

const PRIVATE_KEYS: [&str; 5] = [
    include_str!("../../tests/fixtures/test_only_p256_private.pem"),
    include_str!("../../tests/fixtures/test_only_p384_private.pem"),
    include_str!("../../tests/fixtures/test_only_ed25519_private.pem"),
    include_str!("../../tests/fixtures/test_only_rsa_2048_private.pem"),
    include_str!("../../tests/fixtures/test_only_rsa_2048_private_pkcs1.pem"),
];
const LABELS: [&str; 4] = ["PUBLIC KEY", "RSA PUBLIC KEY", "PRIVATE KEY", "RSA PRIVATE KEY"];

libfuzzer_sys::fuzz_target!(|input: (&str, usize, usize, u8, &[u8])| {
    let (text, key, at, removed, inserted) = input;
    check(text);
    // A good key with some bytes replaced, and those bytes alone.
    let keys = [PUBLIC_KEYS, PRIVATE_KEYS].concat();
    let mut key = der(keys[key % keys.len()]);
    let from = at % (key.len() + 1);
    let until = key.len().min(from + usize::from(removed));
    key.splice(from..until, inserted.iter().copied());
    for label in LABELS {
        for der in [&*key, inserted] {
            let body = STANDARD.encode(der);
            check(&format!("-----BEGIN {label}-----\n{body}\n-----END {label}-----\n"));
        }
    }
});

fn der(pem: &str) -> Vec<u8> {
    let lines: String = pem.lines().filter(|line| !line.starts_with('-')).collect();
    STANDARD.decode(lines).unwrap()
}

fn check(pem: &str) {
    if let Ok(keys) = VerifyingKeys::from_pem(pem) {
        let written = serde_json::to_string(&keys).unwrap();
        assert_eq!(VerifyingKeys::from_jwk_set(&written), Ok(keys));
    }
    for &algorithm in Algorithm::ALL {
        if let Ok(key) = SigningKey::from_pem(algorithm, pem) {
            assert_eq!(key.verifying_key().algorithm(), Some(algorithm));
            assert!(VerifyingKey::from_pem(pem).is_err());
        }
    }
}
