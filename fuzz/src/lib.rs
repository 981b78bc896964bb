//! Shared parts of the targets.
//!
//! An input is text, so that a real request or token is a seed as it stands. Several texts in one
//! input are lines. Targets sign a token's header and claims themselves, so that inputs reach the
//! code behind the signature check.

pub mod world;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use grantor::jwt::{VerifyingKey, VerifyingKeys};
use ring::hmac;
use ring::signature::Ed25519KeyPair;

/// The fixed time of all targets, in seconds.
pub const NOW: i64 = 1_700_000_000;
/// The issuer.
pub const ISSUER: &str = "https://as.example.com";
/// The root of the sealed handles in the target `handle`, and the HS256 secret of [`signed`].
pub const SECRET: &[u8] = b"0123456789abcdef0123456789abcdef";

/// Splits an input into its first `N - 1` lines and the rest. Missing parts are empty.
pub fn parts<const N: usize>(input: &str) -> [&str; N] {
    let mut lines = input.splitn(N, '\n');
    std::array::from_fn(|_| lines.next().unwrap_or_default())
}

/// Signs any header and payload as a JWT with [`SECRET`] and HS256.
pub fn signed(header: &str, payload: &str) -> String {
    let message = format!("{}.{}", URL_SAFE_NO_PAD.encode(header), URL_SAFE_NO_PAD.encode(payload));
    let signature = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, SECRET), message.as_bytes());
    format!("{message}.{}", URL_SAFE_NO_PAD.encode(signature))
}

/// Returns the key of the trusted issuer of the [world].
pub fn issuer_key() -> Ed25519KeyPair {
    let pem = include_str!("../../tests/fixtures/test_only_ed25519_private.pem");
    let text: String = pem.lines().filter(|line| !line.starts_with('-')).collect();
    let der = STANDARD.decode(text).unwrap();
    Ed25519KeyPair::from_pkcs8_maybe_unchecked(&der).unwrap()
}

/// Signs any header and payload as a JWT of the trusted issuer of the [world].
pub fn signed_by_issuer(key: &Ed25519KeyPair, header: &str, payload: &str) -> String {
    let message = format!("{}.{}", URL_SAFE_NO_PAD.encode(header), URL_SAFE_NO_PAD.encode(payload));
    let signature = key.sign(message.as_bytes());
    format!("{message}.{}", URL_SAFE_NO_PAD.encode(signature))
}

/// Decodes base64url of a genuine token.
pub fn decoded(text: &str) -> Vec<u8> {
    URL_SAFE_NO_PAD.decode(text).unwrap()
}

/// Returns whether a JWT is exactly one that [`signed`] makes. A fuzzer sees every genuine token
/// that its target compares, and may send it again.
pub fn is_signed(jwt: &str) -> bool {
    let decoded =
        |part| URL_SAFE_NO_PAD.decode(part).ok().and_then(|bytes| String::from_utf8(bytes).ok());
    let mut segments = jwt.split('.').map(decoded);
    match (segments.next().flatten(), segments.next().flatten()) {
        (Some(header), Some(payload)) => jwt == signed(&header, &payload),
        _ => false,
    }
}

/// Returns the keys that verify [`signed`].
pub fn keys() -> VerifyingKeys {
    VerifyingKey::from_hmac_secret(SECRET).unwrap().into()
}
