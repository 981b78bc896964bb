//! Keys from PEM and raw numbers, and the checks that they must pass.

use pkcs1::der::Decode as _;
use pkcs1::{ObjectIdentifier, RsaPublicKey};
use ring::agreement;
use spki::SubjectPublicKeyInfoRef;
use zeroize::Zeroizing;

use super::verifying_key::Material;
use super::{KeyError, VerifyingKey, ring_random};

/// The longest accepted text of keys, in bytes.
pub(super) const MAX_TEXT: usize = 64 * 1024;

const RSA: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.1");
const EC: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.2.1");
const P256: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.3.1.7");
const P384: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.132.0.34");
const ED25519: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.101.112");

/// Parses every public key of a PEM text.
pub(super) fn public_keys(text: &str) -> Result<Vec<VerifyingKey>, KeyError> {
    if text.len() > MAX_TEXT {
        return Err(KeyError::TooLong);
    }
    let blocks = pem::parse_many(text).map_err(|_| KeyError::Pem)?;
    blocks
        .into_iter()
        .map(|block| match block.tag() {
            "PUBLIC KEY" => subject_public_key_info(block.contents()),
            "RSA PUBLIC KEY" => pkcs1_public_key(block.contents()),
            private if private.ends_with("PRIVATE KEY") => {
                drop(Zeroizing::new(block.into_contents()));
                Err(KeyError::Private)
            }
            _ => Err(KeyError::PemLabel),
        })
        .collect()
}

/// A private key in DER.
pub(super) enum PrivateKeyDer {
    Pkcs8(Zeroizing<Vec<u8>>),
    Pkcs1(Zeroizing<Vec<u8>>),
}

pub(super) fn private_key(text: &str) -> Result<PrivateKeyDer, KeyError> {
    if text.len() > MAX_TEXT {
        return Err(KeyError::TooLong);
    }
    let block = pem::parse(text).map_err(|_| KeyError::Pem)?;
    match block.tag() {
        "PRIVATE KEY" => Ok(PrivateKeyDer::Pkcs8(Zeroizing::new(block.into_contents()))),
        "RSA PRIVATE KEY" => Ok(PrivateKeyDer::Pkcs1(Zeroizing::new(block.into_contents()))),
        _ => {
            drop(Zeroizing::new(block.into_contents()));
            Err(KeyError::PemLabel)
        }
    }
}

fn subject_public_key_info(der: &[u8]) -> Result<VerifyingKey, KeyError> {
    let info = SubjectPublicKeyInfoRef::from_der(der).map_err(|_| KeyError::Malformed)?;
    let key = info.subject_public_key.as_bytes().ok_or(KeyError::Malformed)?;
    let kind = info.algorithm.oids().map_err(|_| KeyError::Unsupported)?;
    if kind == (RSA, None) {
        pkcs1_public_key(key)
    } else if kind == (EC, Some(P256)) {
        p256(key)
    } else if kind == (EC, Some(P384)) {
        p384(key)
    } else if kind == (ED25519, None) {
        ed25519(key)
    } else {
        Err(KeyError::Unsupported)
    }
}

fn pkcs1_public_key(der: &[u8]) -> Result<VerifyingKey, KeyError> {
    let key = RsaPublicKey::from_der(der).map_err(|_| KeyError::Malformed)?;
    rsa(key.modulus.as_bytes(), key.public_exponent.as_bytes())
}

/// Creates a P-256 key from its uncompressed point.
pub(super) fn p256(point: &[u8]) -> Result<VerifyingKey, KeyError> {
    let point: [u8; 65] = point.try_into().map_err(|_| KeyError::Malformed)?;
    check_on_curve(&agreement::ECDH_P256, &point)?;
    VerifyingKey::new(Material::P256(point))
}

/// Creates a P-384 key from its uncompressed point.
pub(super) fn p384(point: &[u8]) -> Result<VerifyingKey, KeyError> {
    let point: [u8; 97] = point.try_into().map_err(|_| KeyError::Malformed)?;
    check_on_curve(&agreement::ECDH_P384, &point)?;
    VerifyingKey::new(Material::P384(point))
}

fn check_on_curve(curve: &'static agreement::Algorithm, point: &[u8]) -> Result<(), KeyError> {
    // ring checks a point only when it uses it, and a failed verification has no reason. A key agreement
    // with an ephemeral key fails for exactly this reason.
    let ours = agreement::EphemeralPrivateKey::generate(curve, &ring_random())
        .map_err(|_| KeyError::Random)?;
    let theirs = agreement::UnparsedPublicKey::new(curve, point);
    agreement::agree_ephemeral(ours, &theirs, |_| ()).map_err(|_| KeyError::NotOnCurve)
}

/// Creates an Ed25519 key from its encoded point.
///
/// A point off the curve passes, but no signature verifies under it.
pub(super) fn ed25519(point: &[u8]) -> Result<VerifyingKey, KeyError> {
    let point: [u8; 32] = point.try_into().map_err(|_| KeyError::Malformed)?;
    let mut y = point;
    y[31] &= 0x7f;
    if SMALL_ORDER_Y.contains(&y) || !is_canonical(&y) {
        return Err(KeyError::SmallOrder);
    }
    VerifyingKey::new(Material::Ed25519(point))
}

/// The `y` coordinates, little-endian, of the eight points whose order divides 8.
const SMALL_ORDER_Y: [[u8; 32]; 5] = [
    [0; 32],
    {
        let mut one = [0; 32];
        one[0] = 1;
        one
    },
    {
        let mut minus_one = [0xff; 32];
        minus_one[0] = 0xec;
        minus_one[31] = 0x7f;
        minus_one
    },
    [
        0xc7, 0x17, 0x6a, 0x70, 0x3d, 0x4d, 0xd8, 0x4f, 0xba, 0x3c, 0x0b, 0x76, 0x0d, 0x10, 0x67,
        0x0f, 0x2a, 0x20, 0x53, 0xfa, 0x2c, 0x39, 0xcc, 0xc6, 0x4e, 0xc7, 0xfd, 0x77, 0x92, 0xac,
        0x03, 0x7a,
    ],
    [
        0x26, 0xe8, 0x95, 0x8f, 0xc2, 0xb2, 0x27, 0xb0, 0x45, 0xc3, 0xf4, 0x89, 0xf2, 0xef, 0x98,
        0xf0, 0xd5, 0xdf, 0xac, 0x05, 0xd3, 0xc6, 0x33, 0x39, 0xb1, 0x38, 0x02, 0x88, 0x6d, 0x53,
        0xfc, 0x05,
    ],
];

/// Whether `y`, little-endian, is below the field prime 2^255 - 19.
fn is_canonical(y: &[u8; 32]) -> bool {
    let [low, middle @ .., high] = y;
    *high != 0x7f || *low < 0xed || middle.iter().any(|byte| *byte != 0xff)
}

/// Creates an RSA key from modulus and exponent, big-endian without leading zeros.
pub(super) fn rsa(n: &[u8], e: &[u8]) -> Result<VerifyingKey, KeyError> {
    let (Some(&first), Some(&last)) = (n.first(), n.last()) else {
        return Err(KeyError::Malformed);
    };
    let (Some(&e_first), Some(&e_last)) = (e.first(), e.last()) else {
        return Err(KeyError::Malformed);
    };
    if first == 0 || e_first == 0 {
        return Err(KeyError::Malformed);
    }
    let bits = n.len() * 8 - first.leading_zeros() as usize;
    if !(2048..=8192).contains(&bits) {
        return Err(KeyError::RsaSize);
    }
    // RSA moduli and exponents are odd, under the exponent 1 every text is its own signature, and
    // exponents over 32 bits only slow the verifier down.
    let even = last % 2 == 0 || e_last % 2 == 0;
    if even || e == [1] || e.len() > 4 || has_roca_fingerprint(n) {
        return Err(KeyError::RsaWeak);
    }
    VerifyingKey::new(Material::Rsa { n: n.into(), e: e.into() })
}

/// Whether the modulus comes from the broken generator of CVE-2017-15361 ("ROCA"): modulo each small
/// prime it is a power of 65537. At most one honest key in 2^27 has this property.
fn has_roca_fingerprint(n: &[u8]) -> bool {
    const PRIMES: [u32; 17] =
        [11, 13, 17, 19, 37, 53, 61, 71, 73, 79, 97, 103, 107, 109, 127, 151, 157];
    PRIMES.iter().all(|prime| {
        let residue = n.iter().fold(0, |rest, byte| (rest * 256 + u32::from(*byte)) % prime);
        let mut power = 1;
        (0..*prime).any(|_| {
            power = power * (65537 % prime) % prime;
            power == residue
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::jwt::testing::fixture;

    #[test]
    fn public_keys_come_from_spki_and_pkcs1_only() {
        for name in ["p256", "p384", "ed25519", "rsa_2048"] {
            let key = VerifyingKey::from_pem(&fixture(&format!("{name}_public"))).unwrap();
            assert_eq!(key.algorithm().is_none(), name == "rsa_2048");
        }
        assert_eq!(
            VerifyingKey::from_pem(&fixture("rsa_2048_public")),
            VerifyingKey::from_pem(&fixture("rsa_2048_public_pkcs1"))
        );
        let broken = "-----BEGIN PUBLIC KEY-----\nMFkw\n-----END PUBLIC KEY-----\n";
        for (pem, error) in [
            (fixture("p256_certificate").as_str(), KeyError::PemLabel),
            (&fixture("p256_private"), KeyError::Private),
            (&fixture("rsa_2048_private_pkcs1"), KeyError::Private),
            (&fixture("rsa_1024_public"), KeyError::RsaSize),
            (broken, KeyError::Malformed),
            ("", KeyError::Pem),
            (&"-".repeat(70_000), KeyError::TooLong),
        ] {
            assert_eq!(VerifyingKey::from_pem(pem), Err(error));
        }
    }

    #[test]
    fn a_pem_text_may_have_several_keys_for_a_set_but_not_for_one_key() {
        let two = fixture("p256_public") + &fixture("rsa_2048_public");
        assert_eq!(public_keys(&two).unwrap().len(), 2);
        assert_eq!(VerifyingKey::from_pem(&two), Err(KeyError::Pem));
    }

    #[test]
    fn a_point_off_its_curve_is_refused() {
        let mut point = [4; 65];
        assert_eq!(p256(&point), Err(KeyError::NotOnCurve));
        point[0] = 0;
        assert_eq!(p256(&point), Err(KeyError::NotOnCurve));
        assert_eq!(p384(&[4; 97]), Err(KeyError::NotOnCurve));
        assert_eq!(p384(&[4; 65]), Err(KeyError::Malformed));
    }

    #[test]
    fn ed25519_points_of_small_order_and_their_other_spellings_are_refused() {
        let mut p_plus_one = [0xff; 32];
        p_plus_one[0] = 0xee;
        p_plus_one[31] = 0x7f;
        let mut p = p_plus_one;
        p[0] = 0xed;
        for y in SMALL_ORDER_Y.into_iter().chain([p, p_plus_one]) {
            for sign in [0, 0x80] {
                let mut point = y;
                point[31] |= sign;
                assert_eq!(ed25519(&point), Err(KeyError::SmallOrder));
                // Under such a key, one signature of zeros is valid for many messages.
                let [mut r, s] = [[0; 32]; 2];
                r[0] = 1;
                let forged = [r, s].concat();
                let ring =
                    ring::signature::UnparsedPublicKey::new(&ring::signature::ED25519, point);
                let fooled = (0..=u8::MAX).any(|byte| ring.verify(&[byte], &forged).is_ok());
                assert!(fooled || y == p || y == p_plus_one);
            }
        }
    }

    #[test]
    fn weak_rsa_keys_are_refused() {
        let modulus = |bytes: usize, first, last| {
            let mut n = vec![0x5a; bytes];
            n[0] = first;
            n[bytes - 1] = last;
            n
        };
        let e = [1, 0, 1];
        assert!(rsa(&modulus(256, 0x80, 1), &e).is_ok());
        assert!(rsa(&modulus(1024, 0xff, 1), &e).is_ok());
        for (n, e, error) in [
            (modulus(256, 0x7f, 1), &e[..], KeyError::RsaSize),
            (modulus(1025, 1, 1), &e, KeyError::RsaSize),
            (modulus(257, 0, 1), &e, KeyError::Malformed),
            (Vec::new(), &e, KeyError::Malformed),
            (modulus(256, 0x80, 2), &e, KeyError::RsaWeak),
            (modulus(256, 0x80, 1), &[1], KeyError::RsaWeak),
            (modulus(256, 0x80, 1), &[4], KeyError::RsaWeak),
            (modulus(256, 0x80, 1), &[1, 0, 0, 0, 1], KeyError::RsaWeak),
            (modulus(256, 0x80, 1), &[], KeyError::Malformed),
        ] {
            assert_eq!(rsa(&n, e), Err(error));
        }
    }

    /// 1 is a power of 65537 modulo every prime, so a multiple of them all plus 1 has the fingerprint.
    #[test]
    fn the_fingerprint_of_the_roca_generator_is_refused() {
        let product: u128 =
            [11, 13, 17, 19, 37, 53, 61, 71, 73, 79, 97, 103, 107, 109, 127, 151, 157]
                .into_iter()
                .product();
        let mut n = product.to_be_bytes().to_vec();
        n.drain(..n.iter().position(|byte| *byte != 0).unwrap());
        n.resize(300, 0);
        n[299] = 1;
        assert_eq!(rsa(&n, &[1, 0, 1]), Err(KeyError::RsaWeak));
        n[299] = 3;
        assert!(rsa(&n, &[1, 0, 1]).is_ok());
    }
}
