//! Keys from PEM and raw numbers, and the checks that they must pass.

use std::sync::LazyLock;

use p256::elliptic_curve::generic_array::typenum::Unsigned as _;
use p256::elliptic_curve::sec1::{FromEncodedPoint, ModulusSize, ToEncodedPoint};
use p256::elliptic_curve::{AffinePoint, CurveArithmetic, FieldBytesSize, PublicKey};
use pkcs1::der::Decode as _;
use pkcs1::{ObjectIdentifier, RsaPublicKey};
use spki::SubjectPublicKeyInfoRef;
use zeroize::Zeroizing;

use super::certificate::Certificate;
use super::verifying_key::Material;
use super::{KeyError, VerifyingKey};

/// The longest accepted text of keys, in bytes.
pub(super) const MAX_TEXT: usize = 64 * 1024;

/// The labels of X.509 certificates (RFC 7468 section 5), and OpenSSL's own two.
const CERTIFICATE: [&str; 3] = ["CERTIFICATE", "X509 CERTIFICATE", "TRUSTED CERTIFICATE"];

const RSA: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.1");
pub(super) const EC: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.2.1");
pub(super) const P256: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.3.1.7");
pub(super) const P384: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.132.0.34");
const ED25519: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.101.112");

/// Reads every block of a PEM text. Text around the blocks, such as bag attributes, is ignored.
pub(super) fn public_keys(text: &str) -> Result<Vec<Result<VerifyingKey, KeyError>>, KeyError> {
    if text.len() > MAX_TEXT {
        return Err(KeyError::TooLong);
    }
    let blocks = pem::parse_many(text).map_err(|_| KeyError::Pem)?;
    if let Some(at) = blocks.iter().position(|block| block.tag().ends_with("PRIVATE KEY")) {
        blocks.into_iter().skip(at).for_each(|block| drop(Zeroizing::new(block.into_contents())));
        return Err(KeyError::Private);
    }
    let chain: Vec<_> = blocks
        .iter()
        .filter(|block| CERTIFICATE.contains(&block.tag()))
        .filter_map(|block| Certificate::parse(block.contents()).ok())
        .collect();
    let certified = |der: &[u8]| {
        let certificate = Certificate::parse(der)?;
        // The authority of a chain signs certificates, and no assertion of the app.
        if chain.iter().any(|other| other.is_issued_by(&certificate)) {
            return Err(KeyError::Authority);
        }
        subject_public_key_info(certificate.key)
    };
    Ok(blocks
        .iter()
        .map(|block| match block.tag() {
            "PUBLIC KEY" => subject_public_key_info(block.contents()),
            "RSA PUBLIC KEY" => pkcs1_public_key(block.contents()),
            tag if CERTIFICATE.contains(&tag) => certified(block.contents()),
            _ => Err(KeyError::PemLabel),
        })
        .collect())
}

/// A private key in DER.
pub(super) enum PrivateKeyDer {
    Pkcs8(Zeroizing<Vec<u8>>),
    Pkcs1(Zeroizing<Vec<u8>>),
    Sec1(Zeroizing<Vec<u8>>),
}

/// Reads the one private key of a PEM text. Blocks of other kinds, such as its certificate or its curve,
/// are ignored.
pub(super) fn private_key(text: &str) -> Result<PrivateKeyDer, KeyError> {
    if text.len() > MAX_TEXT {
        return Err(KeyError::TooLong);
    }
    let blocks = pem::parse_many(text).map_err(|_| KeyError::Pem)?;
    let found_any = !blocks.is_empty();
    let mut keys: Vec<_> = blocks
        .into_iter()
        .filter(|block| block.tag().ends_with("PRIVATE KEY"))
        .map(|block| {
            let (tag, encrypted) =
                (block.tag().to_owned(), block.headers().get("DEK-Info").is_some());
            (tag, encrypted, Zeroizing::new(block.into_contents()))
        })
        .collect();
    match (keys.pop(), keys.is_empty()) {
        (None, _) if found_any => Err(KeyError::PemLabel),
        (None, _) | (Some(_), false) => Err(KeyError::Pem),
        (Some((tag, encrypted, der)), true) => match tag.as_str() {
            "ENCRYPTED PRIVATE KEY" => Err(KeyError::Encrypted),
            _ if encrypted => Err(KeyError::Encrypted),
            "PRIVATE KEY" => Ok(PrivateKeyDer::Pkcs8(der)),
            "RSA PRIVATE KEY" => Ok(PrivateKeyDer::Pkcs1(der)),
            "EC PRIVATE KEY" => Ok(PrivateKeyDer::Sec1(der)),
            _ => Err(KeyError::Unsupported),
        },
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

/// Creates a P-256 key from its point, compressed or not.
pub(super) fn p256(point: &[u8]) -> Result<VerifyingKey, KeyError> {
    let point = uncompressed::<p256::NistP256>(point)?;
    VerifyingKey::new(Material::P256(point.try_into().map_err(|_| KeyError::Malformed)?))
}

/// Creates a P-384 key from its point, compressed or not.
pub(super) fn p384(point: &[u8]) -> Result<VerifyingKey, KeyError> {
    let point = uncompressed::<p384::NistP384>(point)?;
    VerifyingKey::new(Material::P384(point.try_into().map_err(|_| KeyError::Malformed)?))
}

/// Returns the uncompressed form of a point on the curve. ring checks a point only when it uses it, and a
/// failed verification has no reason.
fn uncompressed<C>(point: &[u8]) -> Result<Vec<u8>, KeyError>
where
    C: CurveArithmetic,
    AffinePoint<C>: FromEncodedPoint<C> + ToEncodedPoint<C>,
    FieldBytesSize<C>: ModulusSize,
{
    let field = FieldBytesSize::<C>::USIZE;
    if point.len() != field + 1 && point.len() != 2 * field + 1 {
        return Err(KeyError::Malformed);
    }
    let key = PublicKey::<C>::from_sec1_bytes(point).map_err(|_| KeyError::NotOnCurve)?;
    Ok(key.to_encoded_point(false).as_bytes().to_vec())
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

/// Checks whether `y`, little-endian, is below the field prime 2^255 - 19.
fn is_canonical(y: &[u8; 32]) -> bool {
    let [low, middle @ .., high] = y;
    *high != 0x7f || *low < 0xed || middle.iter().any(|byte| *byte != 0xff)
}

/// Creates an RSA key from modulus and exponent, big-endian. Leading zeros, which Java's `BigInteger`
/// writes, do not count.
pub(super) fn rsa(n: &[u8], e: &[u8]) -> Result<VerifyingKey, KeyError> {
    let (n, e) = (without_leading_zeros(n), without_leading_zeros(e));
    let (Some(&first), Some(&last)) = (n.first(), n.last()) else {
        return Err(KeyError::Malformed);
    };
    let Some(&e_last) = e.last() else {
        return Err(KeyError::Malformed);
    };
    let bits = n.len() * 8 - first.leading_zeros() as usize;
    if !(2048..=4096).contains(&bits) {
        return Err(KeyError::RsaSize);
    }
    // RSA moduli and exponents are odd, under the exponent 1 every text is its own signature, and
    // exponents over 32 bits only slow the verifier down.
    let even = last % 2 == 0 || e_last % 2 == 0;
    if even || e == [1] || e.len() > 4 || has_small_factor(n) || has_roca_fingerprint(n) {
        return Err(KeyError::RsaWeak);
    }
    VerifyingKey::new(Material::Rsa { n: n.into(), e: e.into() })
}

/// Returns the digits of a big-endian number without leading zeros.
pub(super) fn without_leading_zeros(number: &[u8]) -> &[u8] {
    let zeros = number.iter().take_while(|byte| **byte == 0).count();
    number.get(zeros..).unwrap_or_default()
}

/// Checks whether a prime below 752 divides the modulus, as the rules for web certificates forbid (CA/Browser
/// Forum Baseline Requirements, section 6.1.6). Such a key is broken, or made to be broken.
fn has_small_factor(n: &[u8]) -> bool {
    static PRIMES: LazyLock<Vec<u64>> = LazyLock::new(|| {
        let has_divisor = |number: u64| (2..number).any(|divisor| number.is_multiple_of(divisor));
        (3..752).filter(|number| !has_divisor(*number)).collect()
    });
    // Three primes at a time: their product has less than 32 bits.
    PRIMES.chunks(3).any(|primes| {
        let rest = residue(n, primes.iter().product());
        primes.iter().any(|prime| rest.is_multiple_of(*prime))
    })
}

/// Returns the remainder of a big-endian number by `modulus`, which has at most 32 bits.
fn residue(n: &[u8], modulus: u64) -> u64 {
    n.rchunks(4).rev().fold(0, |rest, word| {
        word.iter().fold(rest, |number, byte| (number << 8) | u64::from(*byte)) % modulus
    })
}

/// Checks whether the modulus comes from the broken generator of CVE-2017-15361 ("ROCA"): modulo each small
/// prime it is a power of 65537. At most one honest key in 2^27 has this property.
fn has_roca_fingerprint(n: &[u8]) -> bool {
    const PRIMES: [u64; 17] =
        [11, 13, 17, 19, 37, 53, 61, 71, 73, 79, 97, 103, 107, 109, 127, 151, 157];
    PRIMES.iter().all(|prime| {
        let residue = residue(n, *prime);
        let mut power = 1;
        (0..*prime).any(|_| {
            power = power * (65537 % prime) % prime;
            power == residue
        })
    })
}

#[cfg(test)]
mod tests {
    use super::super::VerifyingKeys;
    use super::*;
    use crate::jwt::testing::fixture;

    #[test]
    fn public_keys_come_from_spki_pkcs1_and_certificates() {
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
            (fixture("p256_private").as_str(), KeyError::Private),
            (&fixture("p256_private_sec1"), KeyError::Private),
            (&(fixture("p256_certificate") + &fixture("p256_private")), KeyError::Private),
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
        assert_eq!(VerifyingKeys::from_pem(&two).unwrap().iter().count(), 2);
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

    /// N14: an RSA key has 2,048 to 4,096 bits, and no form that is known to be weak.
    #[test]
    fn weak_rsa_keys_are_refused() {
        let modulus = |bytes: usize, first, last| {
            let mut n = vec![0x5a; bytes];
            n[0] = first;
            n[bytes - 1] = last;
            n
        };
        let e = [1, 0, 1];
        assert!(rsa(&prime_like(256), &e).is_ok());
        assert!(rsa(&prime_like(512), &e).is_ok());
        for (n, e, error) in [
            (modulus(256, 0x7f, 1), &e[..], KeyError::RsaSize),
            (modulus(513, 1, 1), &e, KeyError::RsaSize),
            (modulus(1024, 0xff, 1), &e, KeyError::RsaSize),
            (modulus(256, 0, 1), &e, KeyError::RsaSize),
            (vec![0; 300], &e, KeyError::Malformed),
            (Vec::new(), &e, KeyError::Malformed),
            (modulus(256, 0x80, 2), &e, KeyError::RsaWeak),
            (prime_like(256), &[1], KeyError::RsaWeak),
            (prime_like(256), &[4], KeyError::RsaWeak),
            (prime_like(256), &[1, 0, 0, 0, 1], KeyError::RsaWeak),
            (prime_like(256), &[0, 1], KeyError::RsaWeak),
            (prime_like(256), &[], KeyError::Malformed),
            (prime_like(256), &[0, 0], KeyError::Malformed),
        ] {
            assert_eq!(rsa(&n, e), Err(error));
        }
    }

    /// Returns an odd number of so many bytes that no prime below 752 divides.
    fn prime_like(bytes: usize) -> Vec<u8> {
        let mut n = vec![0x5a; bytes];
        n[0] = 0x80;
        let odd = |byte: &u8| byte % 2 == 1;
        for (high, low) in
            (0..=u8::MAX).flat_map(|high| (0..=u8::MAX).filter(odd).map(move |low| (high, low)))
        {
            (n[bytes - 2], n[bytes - 1]) = (high, low);
            if !has_small_factor(&n) {
                return n;
            }
        }
        panic!("a number without a small factor");
    }

    /// N14: a modulus with a small factor is refused, up to the largest prime that is tried.
    #[test]
    fn a_modulus_with_a_small_factor_is_refused() {
        for (factor, refused) in [(3, true), (5, true), (101, true), (751, true), (757, false)] {
            // The factor times a number without small factors.
            let mut carry: u32 = 0;
            let mut n = [0, 0].into_iter().chain(prime_like(256)).collect::<Vec<_>>();
            for digit in n.iter_mut().rev() {
                carry += u32::from(*digit) * factor;
                *digit = u8::try_from(carry % 256).unwrap();
                carry /= 256;
            }
            let expected = if refused { Some(KeyError::RsaWeak) } else { None };
            assert_eq!(rsa(&n, &[1, 0, 1]).err(), expected, "{factor}");
        }
    }

    /// Z10: leading zero bytes of RSA numbers do not change the key.
    #[test]
    fn leading_zeros_of_rsa_numbers_do_not_count() {
        let n = prime_like(256);
        let plain = rsa(&n, &[1, 0, 1]).unwrap();
        for zeros in [1, 2, 7] {
            let padded = |number: &[u8]| [&vec![0; zeros], number].concat();
            assert_eq!(rsa(&padded(&n), &padded(&[1, 0, 1])).unwrap(), plain);
        }
    }

    /// Z10: a certificate gives its key, also with text around it and with the chain of its issuers.
    #[test]
    fn a_certificate_gives_its_key() {
        let (certificate, key) = (fixture("p256_certificate"), fixture("p256_public"));
        let key = VerifyingKey::from_pem(&key).unwrap();
        assert_eq!(VerifyingKey::from_pem(&certificate).unwrap(), key);
        let bag =
            "Bag Attributes\n    localKeyID: 54 69\n    friendlyName: app\nsubject=CN = app\n";
        assert_eq!(VerifyingKey::from_pem(&format!("{bag}{certificate}")).unwrap(), key);
        let windows = certificate.replace('\n', "\r\n");
        assert_eq!(VerifyingKey::from_pem(&windows).unwrap(), key);
        let cut = certificate.replace("CERTIFICATE", "PUBLIC KEY");
        assert_eq!(VerifyingKey::from_pem(&cut), Err(KeyError::Malformed));
        let not_one = fixture("p256_public").replace("PUBLIC KEY", "CERTIFICATE");
        assert_eq!(VerifyingKey::from_pem(&not_one), Err(KeyError::Malformed));
    }

    /// Z10: a block that is no usable key is passed over in a set, and reported.
    #[test]
    fn an_unusable_block_is_passed_over_in_a_set() {
        let request = fixture("p256_public").replace("PUBLIC KEY", "CERTIFICATE REQUEST");
        let text = fixture("rsa_1024_public") + &fixture("p256_public") + &request;
        let keys = VerifyingKeys::from_pem(&(text + &fixture("p256_certificate"))).unwrap();
        assert_eq!(keys, VerifyingKey::from_pem(&fixture("p256_public")).unwrap().into());
        let passed_over: Vec<_> =
            keys.passed_over().iter().map(|it| (it.place, it.error)).collect();
        assert_eq!(
            passed_over,
            [(0, KeyError::RsaSize), (2, KeyError::PemLabel), (3, KeyError::DuplicateKeyId)]
        );
        assert_eq!(VerifyingKeys::from_pem(&request), Err(KeyError::PemLabel));
        let private = fixture("p256_public") + &fixture("rsa_2048_private");
        assert_eq!(VerifyingKeys::from_pem(&private), Err(KeyError::Private));
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
        assert!(has_roca_fingerprint(&n));
        assert_eq!(rsa(&n, &[1, 0, 1]), Err(KeyError::RsaWeak));
        n[299] = 3;
        assert!(!has_roca_fingerprint(&n) && !has_roca_fingerprint(&prime_like(256)));
    }
}
