//! The verification of signed access tokens, with `ring` alone.

use std::time::{SystemTime, UNIX_EPOCH};

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use ring::hmac;
use ring::rand::SystemRandom;
use ring::signature::{
    ECDSA_P256_SHA256_FIXED, ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, UnparsedPublicKey,
};

/// The key that a token must be signed with.
pub(crate) enum TokenKey {
    /// An uncompressed point.
    Es256(UnparsedPublicKey<Vec<u8>>),
    Hs256(hmac::Key),
}

impl TokenKey {
    pub(crate) fn es256(point: Vec<u8>) -> Self {
        Self::Es256(UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, point))
    }

    pub(crate) fn hs256(secret: &[u8]) -> Self {
        Self::Hs256(hmac::Key::new(hmac::HMAC_SHA256, secret))
    }

    /// Returns the claims of a JWT that this key has signed and that has not expired.
    ///
    /// # Panics
    ///
    /// If it is not one.
    pub(crate) fn verify(&self, token: &str) -> serde_json::Value {
        let (signed, signature) = token.rsplit_once('.').expect("a JWT");
        let signature = URL_SAFE_NO_PAD.decode(signature).unwrap();
        let verified = match self {
            Self::Es256(key) => key.verify(signed.as_bytes(), &signature).is_ok(),
            Self::Hs256(key) => hmac::verify(key, signed.as_bytes(), &signature).is_ok(),
        };
        assert!(verified, "the signature of {token}");
        let (_, claims) = signed.split_once('.').expect("a JWT");
        let claims: serde_json::Value =
            serde_json::from_slice(&URL_SAFE_NO_PAD.decode(claims).unwrap()).unwrap();
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
        assert!(claims["exp"].as_u64().unwrap() > now, "expired: {claims}");
        claims
    }
}

/// Returns the PKCS#8 bytes of a PEM text.
pub(crate) fn der(pem: &str) -> Vec<u8> {
    let body: String = pem.lines().filter(|line| !line.starts_with("-----")).collect();
    STANDARD.decode(body).unwrap()
}

/// Returns the P-256 key of a PEM text.
pub(crate) fn key_pair(pem: &str, random: &SystemRandom) -> EcdsaKeyPair {
    EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &der(pem), random).unwrap()
}
