use p256::elliptic_curve::generic_array::typenum::Unsigned as _;
use p256::elliptic_curve::sec1::{FromEncodedPoint, ModulusSize, ToEncodedPoint};
use p256::elliptic_curve::{AffinePoint, CurveArithmetic, FieldBytesSize, PublicKey, SecretKey};
use pkcs1::ObjectIdentifier;
use pkcs8::PrivateKeyInfo;
use sec1::EcPrivateKey;
use sec1::der::Decode as _;
use zeroize::Zeroizing;

use super::{Algorithm, KeyError, import};

/// An elliptic curve private key: the number, and the point that belongs to it. ring takes both, and
/// derives neither.
pub(super) struct EcKeyPair {
    pub(super) number: Zeroizing<Vec<u8>>,
    /// Uncompressed.
    pub(super) point: Vec<u8>,
}

impl EcKeyPair {
    /// Reads PKCS#8 (RFC 5958), with or without the public key.
    pub(super) fn from_pkcs8(algorithm: Algorithm, der: &[u8]) -> Result<Self, KeyError> {
        let info = PrivateKeyInfo::from_der(der).map_err(|_| KeyError::Malformed)?;
        let (kind, curve) = info.algorithm.oids().map_err(|_| KeyError::Unsupported)?;
        if kind != import::EC {
            return Err(KeyError::AlgorithmMismatch);
        }
        // The curve is named outside, and perhaps inside, too.
        Self::from_der(algorithm, info.private_key, curve)
    }

    /// Reads SEC 1 (RFC 5915).
    pub(super) fn from_sec1(algorithm: Algorithm, der: &[u8]) -> Result<Self, KeyError> {
        Self::from_der(algorithm, der, None)
    }

    fn from_der(
        algorithm: Algorithm,
        der: &[u8],
        outer: Option<ObjectIdentifier>,
    ) -> Result<Self, KeyError> {
        let key = EcPrivateKey::from_der(der).map_err(|_| KeyError::Malformed)?;
        let inner = key.parameters.and_then(sec1::EcParameters::named_curve);
        let curve = outer.or(inner);
        let has =
            |wanted| curve.is_none_or(|it| it == wanted) && inner.is_none_or(|it| it == wanted);
        if algorithm == Algorithm::ES256 && has(import::P256) {
            pair::<p256::NistP256>(&key)
        } else if algorithm == Algorithm::ES384 && has(import::P384) {
            pair::<p384::NistP384>(&key)
        } else {
            Err(KeyError::AlgorithmMismatch)
        }
    }
}

fn pair<C>(key: &EcPrivateKey<'_>) -> Result<EcKeyPair, KeyError>
where
    C: CurveArithmetic,
    AffinePoint<C>: FromEncodedPoint<C> + ToEncodedPoint<C>,
    FieldBytesSize<C>: ModulusSize,
{
    if key.private_key.len() != FieldBytesSize::<C>::USIZE {
        return Err(KeyError::Malformed);
    }
    let secret = SecretKey::<C>::from_slice(key.private_key).map_err(|_| KeyError::Malformed)?;
    let public = secret.public_key();
    if let Some(stated) = key.public_key {
        let stated = PublicKey::<C>::from_sec1_bytes(stated).map_err(|_| KeyError::NotOnCurve)?;
        if stated != public {
            return Err(KeyError::Malformed);
        }
    }
    Ok(EcKeyPair {
        number: Zeroizing::new(key.private_key.to_vec()),
        point: public.to_encoded_point(false).as_bytes().to_vec(),
    })
}
