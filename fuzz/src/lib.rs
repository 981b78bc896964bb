//! Shared parts of the targets: input that is nearly valid, so that the fuzzer gets past the
//! parser.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use grantor::jwt::{VerifyingKey, VerifyingKeys};
use ring::hmac;

/// The fixed time of all targets, in seconds.
pub const NOW: i64 = 1_700_000_000;
/// The issuer.
pub const ISSUER: &str = "https://as.example.com";
/// The root of the server secret, and the HS256 secret.
pub const SECRET: &[u8] = b"0123456789abcdef0123456789abcdef";

/// Edits of a list of members: a position and the new text.
pub type Edits<'a> = Vec<(u8, &'a str)>;

/// Returns `members` with the values at those positions replaced. The position after the last adds
/// a `name=value`.
pub fn edited<'a>(
    members: &[(&'a str, &'a str)],
    edits: &[(u8, &'a str)],
) -> Vec<(&'a str, &'a str)> {
    let mut all = members.to_vec();
    for &(at, text) in edits {
        match all[..members.len()].get_mut(usize::from(at) % (members.len() + 1)) {
            Some(member) => member.1 = text,
            None => all.push(text.split_once('=').unwrap_or((text, ""))),
        }
    }
    all
}

/// Builds a JSON object of these members, with values that are JSON already. Omits members with
/// empty values.
pub fn object(members: &[(&str, &str)]) -> String {
    let members = members.iter().filter(|(_, value)| !value.is_empty());
    let members: Vec<_> = members.map(|(name, value)| format!("\"{name}\":{value}")).collect();
    format!("{{{}}}", members.join(","))
}

/// Builds a form of these parameters.
pub fn form(parameters: &[(&str, &str)]) -> String {
    url::form_urlencoded::Serializer::new(String::new()).extend_pairs(parameters).finish()
}

/// Signs any header and payload as a JWT with [`SECRET`] and HS256.
pub fn signed(header: &str, payload: &str) -> String {
    let message = format!("{}.{}", URL_SAFE_NO_PAD.encode(header), URL_SAFE_NO_PAD.encode(payload));
    let signature = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, SECRET), message.as_bytes());
    format!("{message}.{}", URL_SAFE_NO_PAD.encode(signature))
}

/// Returns the keys that verify [`signed`].
pub fn keys() -> VerifyingKeys {
    VerifyingKey::from_hmac_secret(SECRET).unwrap().into()
}

/// The public keys of the tests as PEM.
pub const PUBLIC_KEYS: [&str; 5] = [
    include_str!("../../tests/fixtures/test_only_p256_public.pem"),
    include_str!("../../tests/fixtures/test_only_p384_public.pem"),
    include_str!("../../tests/fixtures/test_only_ed25519_public.pem"),
    include_str!("../../tests/fixtures/test_only_rsa_2048_public.pem"),
    include_str!("../../tests/fixtures/test_only_rsa_2048_public_pkcs1.pem"),
];
