//! Any text and any bytes in PEM are rejected or form a key, and the key survives its publication.
#![no_main]

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use grantor::jwt::{Algorithm, SigningKey, VerifyingKey, VerifyingKeys};

const LABELS: [&str; 6] = [
    "PUBLIC KEY",
    "RSA PUBLIC KEY",
    "PRIVATE KEY",
    "RSA PRIVATE KEY",
    "EC PRIVATE KEY",
    "CERTIFICATE",
];

// PEM, or DER, which the target wraps in every label.
libfuzzer_sys::fuzz_target!(|input: &[u8]| {
    if let Ok(text) = std::str::from_utf8(input) {
        check(text);
    }
    let body = STANDARD.encode(input);
    for label in LABELS {
        check(&format!("-----BEGIN {label}-----\n{body}\n-----END {label}-----\n"));
    }
});

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
