//! What the tests of this module share.

use std::fs;
use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::Value;

use super::{SigningKey, jws};

/// A key of `tests/fixtures`: made for these tests, used nowhere else.
pub(super) fn fixture(name: &str) -> String {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures");
    fs::read_to_string(folder.join(format!("test_only_{name}.pem"))).unwrap()
}

/// A token with any header and payload, properly signed.
pub(super) fn signed(key: &SigningKey, header: &str, payload: &str) -> String {
    jws::sign(key, &URL_SAFE_NO_PAD.encode(header), payload.as_bytes()).unwrap()
}

/// `claims` with each of `changes` in it; `null` takes the claim out.
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
