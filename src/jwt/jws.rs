//! JWS in compact serialization, read strictly (RFC 7515 section 5.2, RFC 8725).

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::Value;

use super::claims::object;
use super::{Algorithm, SigningError, SigningKey, VerifyingKey, VerifyingKeys};
use crate::ids::KeyId;

/// Header parameters that would change how the token is read, or bring a key along. None is needed,
/// so none is obeyed (RFC 7515 section 4.1.11, RFC 8725 sections 3.10 and 3.11, RFC 7797).
const FORBIDDEN: [&str; 7] = ["crit", "jku", "x5u", "jwk", "x5c", "b64", "zip"];

/// What is wrong with a token before its claims are looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum JwsError {
    /// Too long, not three segments, or not canonical base64url.
    Malformed,
    /// The header is not an object with a string `alg`, or a parameter is of the wrong type.
    Header,
    /// The header holds one of [`FORBIDDEN`].
    ForbiddenHeader,
    /// `alg` is unknown, or neither the keys nor the caller allow it.
    Algorithm,
    /// No key has the token's `kid`.
    UnknownKey,
    /// No key verifies the signature.
    Signature,
}

/// A token taken apart, nothing of it trusted.
pub(super) struct Compact<'a> {
    pub(super) header: &'a str,
    payload: &'a str,
    signing_input: &'a str,
    signature: Vec<u8>,
}

impl<'a> Compact<'a> {
    pub(super) fn parse(token: &'a str, max_bytes: usize) -> Result<Self, JwsError> {
        if token.len() > max_bytes {
            return Err(JwsError::Malformed);
        }
        let (signing_input, signature) = token.rsplit_once('.').ok_or(JwsError::Malformed)?;
        let (header, payload) = signing_input.split_once('.').ok_or(JwsError::Malformed)?;
        let signature = decode(signature)?;
        Ok(Self { header, payload, signing_input, signature })
    }

    /// The payload, not verified.
    pub(super) fn payload(&self) -> Result<Vec<u8>, JwsError> {
        decode(self.payload)
    }

    /// The key among `keys` that verifies the signature, for an algorithm that both it and `allowed`
    /// admit.
    pub(super) fn verify<'k>(
        &self,
        header: &Header,
        keys: &'k VerifyingKeys,
        allowed: &[Algorithm],
    ) -> Result<&'k VerifyingKey, JwsError> {
        let fits = |key: &&VerifyingKey| key.allows(header.algorithm);
        if !allowed.contains(&header.algorithm) || !keys.iter().any(|key| fits(&key)) {
            return Err(JwsError::Algorithm);
        }
        let named = |key: &&VerifyingKey| match (&header.key_id, key.key_id()) {
            (Some(wanted), Some(has)) => wanted == has.as_str(),
            (None, _) | (_, None) => true,
        };
        let mut candidates = keys.iter().filter(fits).filter(named).peekable();
        if candidates.peek().is_none() {
            return Err(JwsError::UnknownKey);
        }
        candidates.find(|key| self.is_signed_by(key, header.algorithm)).ok_or(JwsError::Signature)
    }

    pub(super) fn is_signed_by(&self, key: &VerifyingKey, algorithm: Algorithm) -> bool {
        key.verifies(algorithm, self.signing_input.as_bytes(), &self.signature)
    }
}

/// What of a header is used.
pub(super) struct Header {
    algorithm: Algorithm,
    key_id: Option<String>,
    typ: Option<String>,
}

impl Header {
    pub(super) fn parse(segment: &str) -> Result<Self, JwsError> {
        let members = object(&decode(segment)?).ok_or(JwsError::Header)?;
        if FORBIDDEN.iter().any(|name| members.contains_key(*name)) {
            return Err(JwsError::ForbiddenHeader);
        }
        let text = |name: &str| match members.get(name) {
            None => Ok(None),
            Some(Value::String(text)) => Ok(Some(text.clone())),
            Some(_) => Err(JwsError::Header),
        };
        let algorithm = text("alg")?.ok_or(JwsError::Header)?;
        let (key_id, typ) = (text("kid")?, text("typ")?);
        if key_id.as_ref().is_some_and(|id| id.len() > KeyId::MAX_BYTES) {
            return Err(JwsError::Header);
        }
        let algorithm = Algorithm::from_name(&algorithm).ok_or(JwsError::Algorithm)?;
        Ok(Self { algorithm, key_id, typ })
    }

    /// Whether `typ` is there.
    pub(super) const fn has_type(&self) -> bool {
        self.typ.is_some()
    }

    /// Whether `typ` is `wanted`, a media type without its `application/`, in any case of letters
    /// (RFC 7515 section 4.1.9).
    pub(super) fn is_type(&self, wanted: &str) -> bool {
        const PREFIX: &str = "application/";
        self.typ.as_deref().is_some_and(|typ| {
            let bare = match typ.split_at_checked(PREFIX.len()) {
                Some((prefix, rest)) if prefix.eq_ignore_ascii_case(PREFIX) => rest,
                _ => typ,
            };
            bare.eq_ignore_ascii_case(wanted)
        })
    }
}

/// The header segment of an access token (RFC 9068 section 2.1).
pub(super) fn access_token_header(algorithm: Algorithm, key_id: &KeyId) -> String {
    let kid = Value::from(key_id.as_str());
    URL_SAFE_NO_PAD.encode(format!(r#"{{"alg":"{algorithm}","typ":"at+jwt","kid":{kid}}}"#))
}

/// The token with this header segment and payload.
pub(super) fn sign(
    key: &SigningKey,
    header_segment: &str,
    payload: &[u8],
) -> Result<String, SigningError> {
    // Room for an elliptic curve signature; an RSA signature costs more than growing does.
    let room = header_segment.len() + payload.len().div_ceil(3) * 4 + 2 + 128;
    let mut token = String::with_capacity(room);
    token.push_str(header_segment);
    token.push('.');
    URL_SAFE_NO_PAD.encode_string(payload, &mut token);
    let signature = key.sign(token.as_bytes())?;
    token.push('.');
    URL_SAFE_NO_PAD.encode_string(signature, &mut token);
    Ok(token)
}

fn decode(segment: &str) -> Result<Vec<u8>, JwsError> {
    URL_SAFE_NO_PAD.decode(segment).map_err(|_| JwsError::Malformed)
}
