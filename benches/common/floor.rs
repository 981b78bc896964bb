//! The bare operation of `ring` on the same bytes, with a parsed key.

use std::hint::black_box;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use grantor::jwt::Algorithm;
use ring::hmac;
use ring::rand::SystemRandom;
use ring::signature::{
    ECDSA_P256_SHA256_FIXED, ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair,
    KeyPair as _, RSA_PKCS1_SHA256, RsaKeyPair, UnparsedPublicKey,
};

use super::world;

/// The cryptographic operation that no implementation can avoid.
pub(crate) enum Floor {
    SignEs256 { pair: Box<EcdsaKeyPair>, random: SystemRandom, bytes: Vec<u8> },
    SignEdDsa { pair: Ed25519KeyPair, bytes: Vec<u8> },
    SignRs256 { pair: Box<RsaKeyPair>, random: SystemRandom, bytes: Vec<u8> },
    SignHs256 { key: hmac::Key, bytes: Vec<u8> },
    VerifyEs256 { key: UnparsedPublicKey<Vec<u8>>, bytes: Vec<u8>, signature: Vec<u8> },
    VerifyHs256 { key: hmac::Key, bytes: Vec<u8>, tag: Vec<u8> },
}

#[expect(clippy::disallowed_methods, reason = "the floor is bare ring")]
fn random() -> SystemRandom {
    SystemRandom::new()
}

fn der(pem: &str) -> Vec<u8> {
    let body: String = pem.lines().filter(|line| !line.starts_with("-----")).collect();
    base64::engine::general_purpose::STANDARD.decode(body).unwrap()
}

fn ecdsa() -> EcdsaKeyPair {
    let der = der(world::ES256_PEM);
    EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &der, &random()).unwrap()
}

impl Floor {
    /// Signs `bytes`.
    #[expect(clippy::wildcard_enum_match_arm, reason = "a bench has keys for four algorithms")]
    pub(crate) fn sign(algorithm: Algorithm, bytes: &str) -> Self {
        let bytes = bytes.as_bytes().to_vec();
        match algorithm {
            Algorithm::ES256 => {
                Self::SignEs256 { pair: Box::new(ecdsa()), random: random(), bytes }
            }
            Algorithm::EdDSA => {
                let pair =
                    Ed25519KeyPair::from_pkcs8_maybe_unchecked(&der(world::EDDSA_PEM)).unwrap();
                Self::SignEdDsa { pair, bytes }
            }
            Algorithm::RS256 => {
                let pair = RsaKeyPair::from_pkcs8(&der(world::RS256_PEM)).unwrap();
                Self::SignRs256 { pair: Box::new(pair), random: random(), bytes }
            }
            other => {
                assert_eq!(other, Algorithm::HS256, "there is no floor for it");
                Self::hmac(&bytes)
            }
        }
    }

    /// Computes the HMAC of `bytes`.
    pub(crate) fn hmac(bytes: &[u8]) -> Self {
        let key = hmac::Key::new(hmac::HMAC_SHA256, world::HS256_SECRET);
        Self::SignHs256 { key, bytes: bytes.to_vec() }
    }

    /// Verifies `token`.
    pub(crate) fn verify(algorithm: Algorithm, token: &str) -> Self {
        let (bytes, signature) = token.rsplit_once('.').unwrap();
        let signature = URL_SAFE_NO_PAD.decode(signature).unwrap();
        let bytes = bytes.as_bytes().to_vec();
        if algorithm == Algorithm::ES256 {
            let public = ecdsa().public_key().as_ref().to_vec();
            let key = UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, public);
            return Self::VerifyEs256 { key, bytes, signature };
        }
        assert_eq!(algorithm, Algorithm::HS256, "there is no floor for it");
        let key = hmac::Key::new(hmac::HMAC_SHA256, world::HS256_SECRET);
        Self::VerifyHs256 { key, bytes, tag: signature }
    }

    pub(crate) fn run(&self) {
        match self {
            Self::SignEs256 { pair, random, bytes } => {
                black_box(pair.sign(random, black_box(bytes)).unwrap());
            }
            Self::SignEdDsa { pair, bytes } => {
                black_box(pair.sign(black_box(bytes)));
            }
            Self::SignRs256 { pair, random, bytes } => {
                let mut signature = vec![0; pair.public().modulus_len()];
                pair.sign(&RSA_PKCS1_SHA256, random, black_box(bytes), &mut signature).unwrap();
                black_box(signature);
            }
            Self::SignHs256 { key, bytes } => {
                black_box(hmac::sign(key, black_box(bytes)));
            }
            Self::VerifyEs256 { key, bytes, signature } => {
                key.verify(black_box(bytes), black_box(signature)).unwrap();
            }
            Self::VerifyHs256 { key, bytes, tag } => {
                hmac::verify(key, black_box(bytes), black_box(tag)).unwrap();
            }
        }
    }
}
