//! JWS in compact serialization, parsed strictly (RFC 7515 section 5.2, RFC 8725).

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::Value;

use super::claims::{Member, Object, Text};
use super::{Algorithm, MAX_TOKEN_BYTES, VerifyingKey, VerifyingKeys};
use crate::ids::KeyId;
use crate::protocol::base64url;
use crate::secret::Digest;

/// Header parameters that change the meaning of a token. None is supported, so a token with one is
/// refused (RFC 7515 section 4.1.11, RFC 7797). Every other parameter that is not used is ignored (RFC
/// 7515 section 4), also one that brings a key or its address.
const FORBIDDEN: [&str; 2] = ["crit", "b64"];

/// A token that is refused before its claims are read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum JwsError {
    /// Too long, not three segments, or not canonical base64url.
    Malformed,
    /// The header is not an object with a string `alg`, or a parameter is of the wrong type.
    Header,
    /// The header contains one of [`FORBIDDEN`].
    ForbiddenHeader,
    /// `alg` is unknown, or the keys or the caller do not allow it.
    Algorithm,
    /// No key has the token's `kid`.
    UnknownKey,
    /// The token has no `kid`, and too many keys fit its algorithm.
    KeyIdMissing,
    /// No key verifies the signature.
    Signature,
}

/// The parts of a token, not verified.
pub(super) struct Compact<'a> {
    pub(super) header: &'a str,
    signing_input: &'a str,
    /// The three decoded parts in sequence.
    decoded: Vec<u8>,
    header_end: usize,
    payload_end: usize,
}

impl<'a> Compact<'a> {
    pub(super) fn parse(token: &'a str) -> Result<Self, JwsError> {
        if token.len() > MAX_TOKEN_BYTES {
            return Err(JwsError::Malformed);
        }
        let (signing_input, signature) = token.rsplit_once('.').ok_or(JwsError::Malformed)?;
        let (header, payload) = signing_input.split_once('.').ok_or(JwsError::Malformed)?;
        let mut decoded = Vec::with_capacity(token.len());
        let mut append = |segment| {
            base64url::append_decoded(&mut decoded, segment).ok_or(JwsError::Malformed)?;
            Ok(decoded.len())
        };
        let (header_end, payload_end) = (append(header)?, append(payload)?);
        append(signature)?;
        Ok(Self { header, signing_input, decoded, header_end, payload_end })
    }

    fn header_json(&self) -> &[u8] {
        self.decoded.get(..self.header_end).unwrap_or_default()
    }

    /// Returns the payload, not verified.
    pub(super) fn payload(&self) -> &[u8] {
        self.decoded.get(self.header_end..self.payload_end).unwrap_or_default()
    }

    /// Returns the digest of what is signed. The signature has no part in it: for some algorithms, there are several of
    /// one text.
    pub(super) fn digest(&self) -> Digest {
        Digest::of_fields(&[self.signing_input.as_bytes()])
    }

    fn signature(&self) -> &[u8] {
        self.decoded.get(self.payload_end..).unwrap_or_default()
    }

    /// Finds the key that verifies the signature, with an algorithm that both the key and `allowed`
    /// admit.
    pub(super) fn verify<'k>(
        &self,
        header: &Header<'_>,
        keys: &'k VerifyingKeys,
        allowed: &[Algorithm],
    ) -> Result<&'k VerifyingKey, JwsError> {
        let fits = |key: &&VerifyingKey| key.allows(header.algorithm);
        if !allowed.contains(&header.algorithm) || !keys.iter().any(|key| fits(&key)) {
            return Err(JwsError::Algorithm);
        }
        let verifies = |key: &&VerifyingKey| self.is_signed_by(key, header.algorithm);
        let Some(Text(wanted)) = &header.key_id else {
            // A forged signature must not cost as many verifications as there are keys.
            if keys.iter().filter(fits).count() > VerifyingKeys::MAX_UNNAMED {
                return Err(JwsError::KeyIdMissing);
            }
            return keys.iter().filter(fits).find(verifies).ok_or(JwsError::Signature);
        };
        let has_id = |key: &&VerifyingKey| key.key_id().is_some_and(|id| id.as_str() == wanted);
        let has_none = |key: &&VerifyingKey| key.key_id().is_none();
        let named = keys.iter().filter(fits).filter(has_id);
        let mut candidates = named.chain(keys.iter().filter(fits).filter(has_none)).peekable();
        if candidates.peek().is_none() {
            return Err(JwsError::UnknownKey);
        }
        candidates.find(verifies).ok_or(JwsError::Signature)
    }

    pub(super) fn is_signed_by(&self, key: &VerifyingKey, algorithm: Algorithm) -> bool {
        key.verifies(algorithm, self.signing_input.as_bytes(), self.signature())
    }
}

/// The used parameters of a header.
pub(super) struct Header<'a> {
    algorithm: Algorithm,
    key_id: Option<Text<'a>>,
    typ: Option<Text<'a>>,
}

impl<'a> Header<'a> {
    pub(super) fn of(jws: &'a Compact<'_>) -> Result<Self, JwsError> {
        let mut members = Object::parse(jws.header_json()).ok_or(JwsError::Header)?;
        if FORBIDDEN.iter().any(|name| members.get(name).is_some()) {
            return Err(JwsError::ForbiddenHeader);
        }
        let mut text = |name: &str| match members.take(name) {
            None => Ok(None),
            Some(Member::Text(text)) => Ok(Some(text)),
            Some(Member::Date(_) | Member::Texts(_) | Member::Other) => Err(JwsError::Header),
        };
        let algorithm = text("alg")?.ok_or(JwsError::Header)?;
        let (key_id, typ) = (text("kid")?, text("typ")?);
        // No key has such an id.
        if key_id.as_ref().is_some_and(|id| id.0.len() > KeyId::MAX_BYTES) {
            return Err(JwsError::UnknownKey);
        }
        let algorithm = Algorithm::from_name(&algorithm.0).ok_or(JwsError::Algorithm)?;
        Ok(Self { algorithm, key_id, typ })
    }

    /// Checks whether [`verify`](Compact::verify) would find no key.
    pub(super) fn lacks_key(&self, keys: &VerifyingKeys, allowed: &[Algorithm]) -> bool {
        let fits = |key: &VerifyingKey| {
            let wanted = self.key_id.as_ref().map(|Text(id)| &**id);
            let own = key.key_id().map(KeyId::as_str);
            key.allows(self.algorithm) && (wanted.is_none() || own.is_none() || own == wanted)
        };
        allowed.contains(&self.algorithm) && !keys.iter().any(fits)
    }

    /// Checks whether `typ` is present.
    pub(super) const fn has_type(&self) -> bool {
        self.typ.is_some()
    }

    /// Checks whether `typ` is `wanted`, a media type without its `application/`, in any case of letters
    /// (RFC 7515 section 4.1.9).
    pub(super) fn is_type(&self, wanted: &str) -> bool {
        const PREFIX: &str = "application/";
        self.typ.as_ref().is_some_and(|Text(typ)| {
            let bare = match typ.split_at_checked(PREFIX.len()) {
                Some((prefix, rest)) if prefix.eq_ignore_ascii_case(PREFIX) => rest,
                _ => typ.as_ref(),
            };
            bare.eq_ignore_ascii_case(wanted)
        })
    }
}

/// Encodes the header of a JWT with the type `typ`.
pub(super) fn header_segment(algorithm: Algorithm, typ: &str, key_id: &KeyId) -> String {
    let (typ, kid) = (Value::from(typ), Value::from(key_id.as_str()));
    URL_SAFE_NO_PAD.encode(format!(r#"{{"alg":"{algorithm}","typ":{typ},"kid":{kid}}}"#))
}

/// Returns the JWS signing input (RFC 7515 section 5.1), with room for the signature.
pub(super) fn unsigned(header_segment: &str, payload: &[u8]) -> String {
    // Room for an elliptic curve signature; an RSA signature costs more than growing does.
    let room = header_segment.len() + payload.len().div_ceil(3) * 4 + 2 + 128;
    let mut token = String::with_capacity(room);
    token.push_str(header_segment);
    token.push('.');
    base64url::append(&mut token, payload);
    token
}

/// Completes a token whose signing input is in `token`.
pub(super) fn append_signature(token: &mut String, signature: &[u8]) {
    token.push('.');
    base64url::append(token, signature);
}

#[cfg(test)]
mod tests {
    use super::super::SigningKey;
    use super::super::keys::VERIFICATIONS;
    use super::super::testing::{fixture, signed};
    use super::*;

    fn verify(token: &str, keys: &VerifyingKeys, allowed: &[Algorithm]) -> Result<(), JwsError> {
        let jws = Compact::parse(token)?;
        jws.verify(&Header::of(&jws)?, keys, allowed).map(|_| ())
    }

    /// J2, C28: a token is three canonical segments, and the first is an object.
    #[test]
    fn only_strict_compact_serialization_is_read() {
        let key = SigningKey::generate(Algorithm::EdDSA).unwrap();
        let keys = VerifyingKeys::from(key.verifying_key());
        let good = signed(&key, r#"{"alg":"EdDSA"}"#, "{}");
        assert_eq!(verify(&good, &keys, Algorithm::ALL), Ok(()));
        for bad in [
            String::new(),
            "..".to_owned(),
            "a.b".to_owned(),
            format!("{good}."),
            format!(".{good}"),
            format!("{good}="),
            format!(" {good}"),
            good.replacen('.', "=.", 1),
            good.replace('.', ".."),
            "a".repeat(MAX_TOKEN_BYTES + 1),
        ] {
            assert!(verify(&bad, &keys, Algorithm::ALL).is_err(), "{bad}");
        }
        for header in ["null", "[]", "{}", r#"{"alg":1}"#, r#"{"alg":null}"#, "\"EdDSA\"", "", "{"]
        {
            let token = signed(&key, header, "{}");
            assert_eq!(verify(&token, &keys, Algorithm::ALL), Err(JwsError::Header), "{header}");
        }
        for member in
            [r#""kid":1"#, r#""typ":[]"#, r#""alg":"EdDSA""#, r#""typ":"JWT","typ":"JWT""#]
        {
            let token = signed(&key, &format!(r#"{{"alg":"EdDSA",{member}}}"#), "{}");
            assert_eq!(verify(&token, &keys, Algorithm::ALL), Err(JwsError::Header), "{member}");
        }
        let long = signed(&key, &format!(r#"{{"alg":"EdDSA","kid":"{}"}}"#, "k".repeat(129)), "{}");
        assert_eq!(verify(&long, &keys, Algorithm::ALL), Err(JwsError::UnknownKey));
    }

    /// C27: an unknown or empty `crit`, and every header that changes the meaning.
    #[test]
    fn forbidden_headers_are_refused_despite_a_valid_signature() {
        let key = SigningKey::generate(Algorithm::EdDSA).unwrap();
        let keys = VerifyingKeys::from(key.verifying_key());
        for member in
            [r#""crit":["exp"],"exp":1"#, r#""crit":[]"#, r#""crit":null"#, r#""b64":true"#]
        {
            let token = signed(&key, &format!(r#"{{"alg":"EdDSA",{member}}}"#), "{}");
            assert_eq!(verify(&token, &keys, Algorithm::ALL), Err(JwsError::ForbiddenHeader));
        }
    }

    /// Z20: no key has an id that is too long, so that the header is not malformed.
    #[test]
    fn an_id_that_is_too_long_names_no_key() {
        let key = SigningKey::generate(Algorithm::EdDSA).unwrap();
        let keys = VerifyingKeys::from(key.verifying_key());
        for length in [KeyId::MAX_BYTES, KeyId::MAX_BYTES + 1] {
            let header = format!(r#"{{"alg":"EdDSA","kid":"{}"}}"#, "k".repeat(length));
            let verdict = verify(&signed(&key, &header, "{}"), &keys, Algorithm::ALL);
            assert_eq!(verdict, Err(JwsError::UnknownKey), "{length}");
        }
    }

    /// Z11: a header parameter that is not used is ignored, with any content. The key that it brings
    /// verifies nothing.
    #[test]
    fn unused_headers_are_ignored() {
        let key = SigningKey::generate(Algorithm::EdDSA).unwrap();
        let stranger = SigningKey::generate(Algorithm::EdDSA).unwrap();
        let keys = VerifyingKeys::from(key.verifying_key());
        let jwk = serde_json::to_string(&stranger.verifying_key()).unwrap();
        let embedded = format!(r#""jwk":{jwk}"#);
        for member in [
            r#""jku":"https://evil.example""#,
            r#""x5u":"https://evil.example""#,
            embedded.as_str(),
            r#""jwk":1"#,
            r#""x5c":["MIIB"]"#,
            r#""x5c":{}"#,
            r#""x5t":"y","x5t#S256":"z""#,
            r#""zip":"DEF""#,
            r#""cty":"x","other":[1]"#,
        ] {
            let header = format!(r#"{{"alg":"EdDSA",{member}}}"#);
            let good = verify(&signed(&key, &header, "{}"), &keys, Algorithm::ALL);
            assert_eq!(good, Ok(()), "{member}");
            let forged = verify(&signed(&stranger, &header, "{}"), &keys, Algorithm::ALL);
            assert_eq!(forged, Err(JwsError::Signature), "{member}");
        }
    }

    /// Z9: `Ed25519` and `EdDSA` name one algorithm, in headers and in JWKs.
    #[test]
    fn ed25519_has_two_names() {
        let key = SigningKey::generate(Algorithm::EdDSA).unwrap();
        let jwk = serde_json::to_string(&key.verifying_key()).unwrap();
        for alg in ["EdDSA", "Ed25519"] {
            let key_of = jwk.replace(r#""alg":"EdDSA""#, &format!(r#""alg":"{alg}""#));
            assert!(key_of.contains(alg));
            let keys = VerifyingKeys::from(VerifyingKey::from_jwk(&key_of).unwrap());
            for header in [r#"{"alg":"EdDSA"}"#, r#"{"alg":"Ed25519"}"#] {
                let token = signed(&key, header, "{}");
                assert_eq!(verify(&token, &keys, &[Algorithm::EdDSA]), Ok(()), "{alg} {header}");
                let other = SigningKey::generate(Algorithm::ES256).unwrap().verifying_key();
                let verdict = verify(&token, &other.into(), Algorithm::ALL);
                assert_eq!(verdict, Err(JwsError::Algorithm));
            }
        }
    }

    /// C25, J8: `none`, and HS256 with the bytes of a public key as its secret.
    #[test]
    fn none_and_a_public_key_as_secret_are_refused() {
        let public = fixture("rsa_2048_public");
        let keys = VerifyingKeys::from_pem(&public).unwrap();
        let confused = SigningKey::from_hmac_secret(public.as_bytes()).unwrap();
        let token = signed(&confused, r#"{"alg":"HS256"}"#, "{}");
        assert_eq!(verify(&token, &keys, Algorithm::ALL), Err(JwsError::Algorithm));
        for none in ["none", "None", "NONE", "nOnE", ""] {
            let header = URL_SAFE_NO_PAD.encode(format!(r#"{{"alg":"{none}"}}"#));
            let unsigned = format!("{header}.e30.");
            assert_eq!(verify(&unsigned, &keys, Algorithm::ALL), Err(JwsError::Algorithm));
        }
    }

    /// C26: the key must have the algorithm, and the allow-list must contain it.
    #[test]
    fn the_algorithm_comes_from_the_key_and_the_allow_list() {
        let pem = fixture("rsa_2048_private");
        let key = |algorithm| SigningKey::from_pem(algorithm, &pem).unwrap();
        let open = VerifyingKeys::from_pem(&fixture("rsa_2048_public")).unwrap();
        let fixed = VerifyingKeys::from(key(Algorithm::RS256).verifying_key());
        let rs256 = signed(&key(Algorithm::RS256), r#"{"alg":"RS256"}"#, "{}");
        let ps256 = signed(&key(Algorithm::PS256), r#"{"alg":"PS256"}"#, "{}");
        let mislabelled = signed(&key(Algorithm::PS256), r#"{"alg":"RS256"}"#, "{}");

        assert_eq!(verify(&rs256, &open, &[Algorithm::RS256]), Ok(()));
        assert_eq!(verify(&ps256, &open, &[Algorithm::PS256]), Ok(()));
        assert_eq!(verify(&ps256, &open, &[Algorithm::RS256]), Err(JwsError::Algorithm));
        assert_eq!(verify(&rs256, &open, &[]), Err(JwsError::Algorithm));
        assert_eq!(verify(&rs256, &fixed, Algorithm::ALL), Ok(()));
        assert_eq!(verify(&ps256, &fixed, Algorithm::ALL), Err(JwsError::Algorithm));
        assert_eq!(verify(&mislabelled, &open, Algorithm::ALL), Err(JwsError::Signature));
    }

    /// J6, J7: `kid` chooses among the keys. A key without id is tried for every token.
    #[test]
    fn a_key_is_chosen_by_its_id_if_both_sides_name_one() {
        let named = |id: &str| {
            let key = SigningKey::generate(Algorithm::EdDSA).unwrap();
            key.with_key_id(KeyId::new(id).unwrap())
        };
        let [old, new, stranger] = [named("old"), named("new"), named("old")];
        let unnamed = VerifyingKey::from_pem(&fixture("ed25519_public")).unwrap();
        let keys =
            VerifyingKeys::new(vec![old.verifying_key(), new.verifying_key(), unnamed]).unwrap();
        let token = |key: &SigningKey, header: &str| signed(key, header, "{}");
        let none = r#"{"alg":"EdDSA"}"#;
        let new_id = r#"{"alg":"EdDSA","kid":"new"}"#;
        let old_id = r#"{"alg":"EdDSA","kid":"old"}"#;
        let private = fixture("ed25519_private");
        let fixture_key = SigningKey::from_pem(Algorithm::EdDSA, &private).unwrap();

        for (key, header) in
            [(&old, none), (&new, none), (&old, old_id), (&new, new_id), (&fixture_key, new_id)]
        {
            assert_eq!(verify(&token(key, header), &keys, Algorithm::ALL), Ok(()));
        }
        for (key, header) in [(&old, new_id), (&stranger, old_id), (&stranger, none)] {
            let verdict = verify(&token(key, header), &keys, Algorithm::ALL);
            assert_eq!(verdict, Err(JwsError::Signature));
        }
        let only_old = VerifyingKeys::from(old.verifying_key());
        let verdict = verify(&token(&new, new_id), &only_old, Algorithm::ALL);
        assert_eq!(verdict, Err(JwsError::UnknownKey));
    }

    fn verifications(verify: impl FnOnce()) -> usize {
        let before = VERIFICATIONS.get();
        verify();
        VERIFICATIONS.get() - before
    }

    /// N14: a forged signature costs one verification if it names a key, never one for each key.
    #[test]
    fn sixteen_keys_do_not_cost_sixteen_verifications() {
        let named: Vec<_> = (0..16)
            .map(|id| {
                let key = SigningKey::generate(Algorithm::EdDSA).unwrap();
                key.with_key_id(KeyId::new(format!("{id}")).unwrap())
            })
            .collect();
        let publics = |keys: &[SigningKey]| keys.iter().map(SigningKey::verifying_key).collect();
        let keys = VerifyingKeys::new(publics(&named)).unwrap();
        let stranger = SigningKey::generate(Algorithm::EdDSA).unwrap();
        for (header, cost, error) in [
            (r#"{"alg":"EdDSA","kid":"15"}"#, 1, JwsError::Signature),
            (r#"{"alg":"EdDSA","kid":"16"}"#, 0, JwsError::UnknownKey),
            (r#"{"alg":"EdDSA"}"#, 0, JwsError::KeyIdMissing),
        ] {
            let forged = signed(&stranger, header, "{}");
            let judge = || assert_eq!(verify(&forged, &keys, Algorithm::ALL), Err(error));
            assert_eq!(verifications(judge), cost, "{header}");
        }
        let good = signed(&named[7], r#"{"alg":"EdDSA","kid":"7"}"#, "{}");
        let judge = || assert_eq!(verify(&good, &keys, Algorithm::ALL), Ok(()));
        assert_eq!(verifications(judge), 1);
        // Four keys are tried for a token without an id, and five are not.
        let nameless = signed(&stranger, r#"{"alg":"EdDSA"}"#, "{}");
        for (count, error) in [(4, JwsError::Signature), (5, JwsError::KeyIdMissing)] {
            let keys = VerifyingKeys::new(publics(&named[..count])).unwrap();
            assert_eq!(verify(&nameless, &keys, Algorithm::ALL), Err(error));
        }
    }

    #[test]
    fn a_type_is_compared_without_case_and_without_its_prefix() {
        fn header(typ: &str) -> Header<'_> {
            Header { algorithm: Algorithm::ES256, key_id: None, typ: Some(Text(typ.into())) }
        }
        for same in ["at+jwt", "AT+JWT", "application/at+jwt", "Application/AT+jwt"] {
            assert!(header(same).is_type("at+jwt"), "{same}");
        }
        for other in ["", "jwt", "application/", "text/at+jwt", "application/application/at+jwt"] {
            assert!(!header(other).is_type("at+jwt"), "{other}");
        }
    }
}
