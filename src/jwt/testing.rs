//! Helpers of the tests.

use std::fs;
use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::Value;

use super::access_token::{self, NewAccessToken};
use super::{Algorithm, SigningKey, jws};
use crate::ids::Issuer;

/// Reads a key of `tests/fixtures`: made for these tests, used nowhere else.
pub(super) fn fixture(name: &str) -> String {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures");
    fs::read_to_string(folder.join(format!("test_only_{name}.pem"))).unwrap()
}

/// Reads the same private key twice.
pub(super) fn another(algorithm: Algorithm, pem: &str) -> [SigningKey; 2] {
    [pem, pem].map(|pem| SigningKey::from_pem(algorithm, pem).unwrap())
}

/// Signs a token with any header and payload.
pub(super) fn signed(key: &SigningKey, header: &str, payload: &str) -> String {
    signed_segment(key, &URL_SAFE_NO_PAD.encode(header), payload.as_bytes())
}

/// Signs a token whose header is encoded already.
pub(super) fn signed_segment(key: &SigningKey, header_segment: &str, payload: &[u8]) -> String {
    let mut token = jws::unsigned(header_segment, payload);
    let signature = key.sign(token.as_bytes()).unwrap();
    jws::append_signature(&mut token, signature.as_ref());
    token
}

/// Signs an access token with a borrowed key, as a server with that key does.
pub(crate) fn access_token(key: &SigningKey, issuer: &Issuer, new: &NewAccessToken<'_>) -> String {
    let header = jws::header_segment(key.algorithm(), access_token::TYPE, key.key_id());
    signed_segment(key, &header, &new.payload(issuer))
}

/// Returns `claims` with each of `changes`; `null` removes the claim.
pub(super) fn with(claims: &Value, changes: &Value) -> Value {
    let mut claims = claims.clone();
    let members = claims.as_object_mut().unwrap();
    for (name, value) in changes.as_object().unwrap() {
        if value.is_null() {
            members.remove(name);
        } else {
            members.insert(name.clone(), value.clone());
        }
    }
    claims
}
