//! What several targets share: input that is nearly right, so that the fuzzer gets past the parser.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use grantor::jwt::{VerifyingKey, VerifyingKeys};
use ring::hmac;

/// The instant at which all targets stand still, in seconds.
pub const NOW: i64 = 1_700_000_000;
/// The name of the server.
pub const ISSUER: &str = "https://as.example.com";
/// The root of the server's secret, and the HS256 secret.
pub const SECRET: &[u8] = b"0123456789abcdef0123456789abcdef";

/// Changes to a list of members: at a place, what to write there.
pub type Edits<'a> = Vec<(u8, &'a str)>;

/// `members` with the values at those places replaced; one place further, a `name=value` is added.
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

/// A JSON object of these members, whose values are JSON already. An empty one is left out.
pub fn object(members: &[(&str, &str)]) -> String {
    let members = members.iter().filter(|(_, value)| !value.is_empty());
    let members: Vec<_> = members.map(|(name, value)| format!("\"{name}\":{value}")).collect();
    format!("{{{}}}", members.join(","))
}

/// A form of these parameters.
pub fn form(parameters: &[(&str, &str)]) -> String {
    url::form_urlencoded::Serializer::new(String::new()).extend_pairs(parameters).finish()
}

/// A JWT with any header and payload, signed by HS256 with [`SECRET`].
pub fn signed(header: &str, payload: &str) -> String {
    let message = format!("{}.{}", URL_SAFE_NO_PAD.encode(header), URL_SAFE_NO_PAD.encode(payload));
    let signature = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, SECRET), message.as_bytes());
    format!("{message}.{}", URL_SAFE_NO_PAD.encode(signature))
}

/// What verifies [`signed`].
pub fn keys() -> VerifyingKeys {
    VerifyingKey::from_hmac_secret(SECRET).unwrap().into()
}

/// The public keys of the tests, as PEM.
pub const PUBLIC_KEYS: [&str; 5] = [
    include_str!("../../tests/fixtures/test_only_p256_public.pem"),
    include_str!("../../tests/fixtures/test_only_p384_public.pem"),
    include_str!("../../tests/fixtures/test_only_ed25519_public.pem"),
    include_str!("../../tests/fixtures/test_only_rsa_2048_public.pem"),
    include_str!("../../tests/fixtures/test_only_rsa_2048_public_pkcs1.pem"),
];
