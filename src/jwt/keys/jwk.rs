//! JSON Web Keys, in and out (RFC 7517, RFC 7518 section 6, RFC 8037 section 2).

use std::collections::BTreeMap;
use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::de::{Error as _, IgnoredAny, MapAccess, Visitor};
use serde::ser::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::{Value, json};

use super::verifying_key::{Material, coordinates};
use super::{Algorithm, KeyError, VerifyingKey, VerifyingKeys, import};
use crate::ids::KeyId;

/// Writes a JWK Set (RFC 7517 section 5) of the public keys among `keys`, as a server publishes it at its
/// `jwks_uri`. Symmetric keys are omitted.
#[doc(alias = "jwks")]
#[must_use]
pub fn jwk_set_json<'a>(keys: impl IntoIterator<Item = &'a VerifyingKey>) -> String {
    let keys: Vec<Value> = keys.into_iter().filter_map(public_jwk).collect();
    json!({ "keys": keys }).to_string()
}

/// Returns the JWK of a public key, or `None` for a symmetric one.
fn public_jwk(key: &VerifyingKey) -> Option<Value> {
    let mut jwk = match key.material() {
        Material::P256(point) => ec_jwk("P-256", point),
        Material::P384(point) => ec_jwk("P-384", point),
        Material::Ed25519(point) => {
            json!({ "kty": "OKP", "crv": "Ed25519", "x": URL_SAFE_NO_PAD.encode(point) })
        }
        Material::Rsa { n, e } => {
            json!({ "kty": "RSA", "n": URL_SAFE_NO_PAD.encode(n), "e": URL_SAFE_NO_PAD.encode(e) })
        }
        Material::Hmac(_) => return None,
    };
    let members = jwk.as_object_mut()?;
    members.insert("use".to_owned(), "sig".into());
    if let Some(algorithm) = key.algorithm() {
        members.insert("alg".to_owned(), algorithm.as_str().into());
    }
    if let Some(id) = key.key_id() {
        members.insert("kid".to_owned(), id.as_str().into());
    }
    Some(jwk)
}

fn ec_jwk(curve: &str, point: &[u8]) -> Value {
    let [x, y] = coordinates(point);
    json!({ "kty": "EC", "crv": curve, "x": x, "y": y })
}

pub(super) fn key_from_json(json: &str) -> Result<VerifyingKey, KeyError> {
    parse::<RawJwk>(json)?.key()
}

pub(super) fn keys_from_json(json: &str) -> Result<VerifyingKeys, KeyError> {
    parse::<RawJwkSet>(json)?.into_keys()
}

fn parse<'a, T: Deserialize<'a>>(json: &'a str) -> Result<T, KeyError> {
    if json.len() > import::MAX_TEXT {
        return Err(KeyError::TooLong);
    }
    serde_json::from_str(json).map_err(|_| KeyError::Malformed)
}

#[derive(Deserialize)]
struct RawJwkSet {
    keys: Option<Vec<Element>>,
    /// A member of one JWK, not of a set.
    kty: Option<IgnoredAny>,
}

/// An element of a set. One that is no object is passed over like any other unusable key.
#[derive(Deserialize)]
#[serde(untagged)]
enum Element {
    Jwk(RawJwk),
    Other(IgnoredAny),
}

impl RawJwkSet {
    fn into_keys(self) -> Result<VerifyingKeys, KeyError> {
        let Some(keys) = &self.keys else {
            return Err(self.kty.map_or(KeyError::Malformed, |_| KeyError::NotASet));
        };
        VerifyingKeys::of_usable(keys.iter().map(|element| match element {
            Element::Jwk(jwk) => (jwk.key_id().ok().flatten(), jwk.key()),
            Element::Other(IgnoredAny) => (None, Err(KeyError::Malformed)),
        }))
    }
}

/// The members of a JWK that are not null.
struct RawJwk {
    members: BTreeMap<String, Value>,
    has_duplicates: bool,
}

impl<'de> Deserialize<'de> for RawJwk {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct JwkVisitor;

        impl<'de> Visitor<'de> for JwkVisitor {
            type Value = RawJwk;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a JWK")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<RawJwk, A::Error> {
                let mut jwk = RawJwk { members: BTreeMap::new(), has_duplicates: false };
                while let Some((name, value)) = map.next_entry::<String, Value>()? {
                    if !value.is_null() && jwk.members.insert(name, value).is_some() {
                        jwk.has_duplicates = true;
                    }
                }
                Ok(jwk)
            }
        }

        deserializer.deserialize_map(JwkVisitor)
    }
}

/// The members of a private key (RFC 7518 sections 6.2.2 and 6.3.2).
const PRIVATE: [&str; 7] = ["d", "p", "q", "dp", "dq", "qi", "oth"];

impl RawJwk {
    fn key(&self) -> Result<VerifyingKey, KeyError> {
        let has = |name: &str| self.members.contains_key(name);
        if self.text("kty") == Ok(Some("oct")) || has("k") {
            return Err(KeyError::Symmetric);
        }
        if PRIVATE.iter().any(|name| has(name)) {
            return Err(KeyError::Private);
        }
        if self.has_duplicates {
            return Err(KeyError::Malformed);
        }
        if self.text("use")?.is_some_and(|usage| usage != "sig") || !self.may_verify()? {
            return Err(KeyError::Use);
        }
        let algorithm = match self.text("alg")? {
            Some(name) => Some(Algorithm::from_name(name).ok_or(KeyError::Unsupported)?),
            None => None,
        };
        let kind = self.text("kty")?.ok_or(KeyError::Malformed)?;
        let mut key = match (kind, self.text("crv")?) {
            ("EC", Some("P-256")) => import::p256(&self.point(32)?)?,
            ("EC", Some("P-384")) => import::p384(&self.point(48)?)?,
            ("OKP", Some("Ed25519")) => import::ed25519(&self.number("x")?)?,
            ("RSA", _) => import::rsa(&self.number("n")?, &self.number("e")?)?,
            _ => return Err(KeyError::Unsupported),
        };
        if let Some(algorithm) = algorithm {
            key = key.with_algorithm(algorithm)?;
        }
        if let Some(key_id) = self.key_id()? {
            key = key.with_key_id(key_id);
        }
        Ok(key)
    }

    /// Checks whether `key_ops` is absent or names `verify`.
    fn may_verify(&self) -> Result<bool, KeyError> {
        let Some(operations) = self.members.get("key_ops") else { return Ok(true) };
        let operations = operations.as_array().ok_or(KeyError::Malformed)?;
        Ok(operations.iter().any(|operation| operation == "verify"))
    }

    fn key_id(&self) -> Result<Option<KeyId>, KeyError> {
        let text = self.text("kid")?;
        text.map(KeyId::new).transpose().map_err(|_| KeyError::KeyId)
    }

    fn text(&self, name: &str) -> Result<Option<&str>, KeyError> {
        let member = self.members.get(name);
        member.map(|value| value.as_str().ok_or(KeyError::Malformed)).transpose()
    }

    fn number(&self, name: &str) -> Result<Vec<u8>, KeyError> {
        let text = self.text(name)?.ok_or(KeyError::Malformed)?;
        URL_SAFE_NO_PAD.decode(text).map_err(|_| KeyError::Malformed)
    }

    /// Returns the uncompressed point. A coordinate should have the full length (RFC 7518 section
    /// 6.2.1.2), but Java's `BigInteger` adds a zero or omits zeros in front.
    fn point(&self, length: usize) -> Result<Vec<u8>, KeyError> {
        let mut point = vec![4];
        for name in ["x", "y"] {
            let number = self.number(name)?;
            let digits = import::without_leading_zeros(&number);
            let missing = length.checked_sub(digits.len()).ok_or(KeyError::Malformed)?;
            point.resize(point.len() + missing, 0);
            point.extend_from_slice(digits);
        }
        Ok(point)
    }
}

impl Serialize for VerifyingKey {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match public_jwk(self) {
            Some(jwk) => jwk.serialize(serializer),
            None => Err(S::Error::custom("a symmetric key cannot be serialized")),
        }
    }
}

impl<'de> Deserialize<'de> for VerifyingKey {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        RawJwk::deserialize(deserializer)?.key().map_err(D::Error::custom)
    }
}

impl Serialize for VerifyingKeys {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        #[derive(Serialize)]
        struct JwkSet<'a> {
            keys: &'a [VerifyingKey],
        }
        JwkSet { keys: self.as_slice() }.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for VerifyingKeys {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        RawJwkSet::deserialize(deserializer)?.into_keys().map_err(D::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::super::SigningKey;
    use super::*;
    use crate::jwt::testing::{fixture, with};

    fn ec() -> Value {
        json!({
            "kty": "EC", "crv": "P-256", "kid": "1", "use": "sig", "alg": "ES256",
            "x": "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU",
            "y": "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0",
        })
    }

    fn read(jwk: &Value) -> Result<VerifyingKey, KeyError> {
        VerifyingKey::from_jwk(&jwk.to_string())
    }

    /// Z20: one JWK in place of a set is told apart from a broken text.
    #[test]
    fn one_jwk_is_not_a_set() {
        let lone = ec().to_string();
        assert_eq!(VerifyingKeys::from_jwk_set(&lone), Err(KeyError::NotASet));
        let error = serde_json::from_str::<VerifyingKeys>(&lone).unwrap_err();
        assert!(error.to_string().contains("write {\"keys\": [ ... ]} around it"), "{error}");
        for malformed in ["{}", "[]", "{\"keys\": null}", "{\"keys\": {}}", "{"] {
            assert_eq!(VerifyingKeys::from_jwk_set(malformed), Err(KeyError::Malformed));
        }
        let both = json!({ "keys": [ec()], "kty": "EC" });
        assert!(VerifyingKeys::from_jwk_set(&both.to_string()).is_ok());
    }

    #[test]
    fn an_unusable_jwk_is_refused_with_its_error() {
        assert!(read(&ec()).is_ok());
        assert!(read(&with(&ec(), &json!({ "key_ops": ["verify"], "x5t": 1, "new": {} }))).is_ok());
        for (change, error) in [
            (json!({ "d": "AA" }), KeyError::Private),
            (json!({ "kty": "oct", "k": "AA" }), KeyError::Symmetric),
            (json!({ "k": "AA" }), KeyError::Symmetric),
            (json!({ "use": "enc" }), KeyError::Use),
            (json!({ "key_ops": ["sign"] }), KeyError::Use),
            (json!({ "alg": "ES512" }), KeyError::Unsupported),
            (json!({ "alg": "none" }), KeyError::Unsupported),
            (json!({ "alg": "ES384" }), KeyError::AlgorithmMismatch),
            (json!({ "alg": "HS256" }), KeyError::AlgorithmMismatch),
            (json!({ "crv": "P-384" }), KeyError::NotOnCurve),
            (json!({ "crv": "secp256k1" }), KeyError::Unsupported),
            (json!({ "kty": "ec" }), KeyError::Unsupported),
            (json!({ "kty": 1 }), KeyError::Malformed),
            (json!({ "x": null }), KeyError::Malformed),
            (json!({ "x": "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU=" }), KeyError::Malformed),
            (json!({ "x": "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEV" }), KeyError::Malformed),
            (json!({ "x": "AA" }), KeyError::NotOnCurve),
            (json!({ "x": format!("AQ{}", "A".repeat(42)) }), KeyError::Malformed),
            (json!({ "key_ops": "verify" }), KeyError::Malformed),
            (json!({ "use": 1 }), KeyError::Malformed),
            (json!({ "x": ec()["y"] }), KeyError::NotOnCurve),
            (json!({ "kid": "" }), KeyError::KeyId),
            (json!({ "kid": "a".repeat(129) }), KeyError::KeyId),
        ] {
            assert_eq!(read(&with(&ec(), &change)), Err(error), "{change}");
        }
        let twice = ec().to_string().replacen('{', r#"{"kty":"EC","#, 1);
        assert_eq!(VerifyingKey::from_jwk(&twice), Err(KeyError::Malformed));
        assert_eq!(VerifyingKey::from_jwk(&" ".repeat(70_000)), Err(KeyError::TooLong));
    }

    fn set(keys: &[Value]) -> Result<VerifyingKeys, KeyError> {
        VerifyingKeys::from_jwk_set(&json!({ "keys": keys }).to_string())
    }

    /// Z10: a fault of one key of a set leaves the others usable, and the report names it.
    #[test]
    fn an_unusable_key_of_a_set_is_passed_over_and_reported() {
        for (bad, error) in [
            (json!({ "kty": "AKP", "alg": "ML-DSA-44", "pub": "AA" }), KeyError::Unsupported),
            (with(&ec(), &json!({ "use": "enc", "alg": "ECDH-ES" })), KeyError::Use),
            (with(&ec(), &json!({ "crv": "secp256k1" })), KeyError::Unsupported),
            (json!({ "kty": "OKP", "crv": "Ed448", "x": "AA" }), KeyError::Unsupported),
            (with(&ec(), &json!({ "alg": "ES256K" })), KeyError::Unsupported),
            (with(&ec(), &json!({ "x": ec()["y"] })), KeyError::NotOnCurve),
            (with(&ec(), &json!({ "y": null })), KeyError::Malformed),
            (json!({ "kty": "RSA", "n": "w7s", "e": "AQAB" }), KeyError::RsaSize),
            (json!({ "kty": "OKP", "crv": "Ed25519", "x": "A".repeat(43) }), KeyError::SmallOrder),
            (json!({ "kty": 1 }), KeyError::Malformed),
            (json!({}), KeyError::Malformed),
            (json!("text"), KeyError::Malformed),
            (json!(null), KeyError::Malformed),
            (json!([1]), KeyError::Malformed),
            (with(&ec(), &json!({ "kid": "" })), KeyError::KeyId),
            (ec(), KeyError::DuplicateKeyId),
        ] {
            let read = set(&[ec(), bad.clone()]).unwrap();
            assert_eq!(read, VerifyingKeys::from(self::read(&ec()).unwrap()), "{bad}");
            let [passed_over] = read.passed_over() else { panic!("{bad}") };
            assert_eq!((passed_over.place, passed_over.error), (1, error), "{bad}");
            assert_eq!(set(&[bad.clone(), ec()]).unwrap().iter().count(), 1, "{bad}");
            if error != KeyError::DuplicateKeyId {
                assert_eq!(set(&[bad]), Err(error));
            }
        }
        let named = with(&ec(), &json!({ "kid": "the bad one", "alg": "ES512" }));
        let read = set(&[ec(), named]).unwrap();
        let key_id = read.passed_over()[0].key_id.as_ref().unwrap();
        assert_eq!(key_id.as_str(), "the bad one");
    }

    /// Z10: a set of 100 keys with one usable key.
    #[test]
    fn one_usable_key_of_a_hundred_is_enough() {
        let mut keys = vec![json!({ "kty": "EC", "crv": "secp256k1", "x": "AA", "y": "AA" }); 99];
        keys.insert(57, ec());
        let read = set(&keys).unwrap();
        assert_eq!((read.iter().count(), read.passed_over().len()), (1, 99));
        let json = serde_json::to_string(&json!({ "keys": keys })).unwrap();
        assert_eq!(serde_json::from_str::<VerifyingKeys>(&json).unwrap(), read);
    }

    /// Z10: a secret in a set is an error wherever it stands, and so is a set without keys.
    #[test]
    fn a_secret_in_a_set_refuses_the_set() {
        let mut private = vec![json!({ "kty": "oct", "k": "AA" }), json!({ "kty": "oct" })];
        private.extend(PRIVATE.map(|member| with(&ec(), &json!({ member: "AA" }))));
        private.push(json!({ "kty": "AKP", "d": "AA" }));
        private.push(json!({ "kty": 1, "d": 1 }));
        for secret in private {
            let error = set(&[ec(), secret.clone()]).unwrap_err();
            assert!(matches!(error, KeyError::Private | KeyError::Symmetric), "{secret}");
            assert_eq!(set(&[json!(1), secret]), Err(error));
        }
        let twice = format!(r#"{{"keys":[{{"kty":"EC","kty":"EC","d":"AA"}},{}]}}"#, ec());
        assert_eq!(VerifyingKeys::from_jwk_set(&twice), Err(KeyError::Private));
        assert_eq!(set(&[]), Err(KeyError::NoKey));
        assert_eq!(VerifyingKeys::from_jwk_set("[]"), Err(KeyError::Malformed));
        assert_eq!(VerifyingKeys::from_jwk_set("{}"), Err(KeyError::Malformed));
        // Serializers of Java write absent members as null.
        assert!(read(&with(&ec(), &json!({ "x5u": null }))).is_ok());
        let nulls = ec().to_string().replacen('{', r#"{"d":null,"k":null,"p":null,"#, 1);
        assert!(VerifyingKey::from_jwk(&nulls).is_ok());
    }

    #[test]
    fn a_set_has_at_most_sixteen_usable_keys() {
        let numbered = |id: usize| with(&ec(), &json!({ "kid": id.to_string() }));
        let many = |count| (0..count).map(numbered).collect::<Vec<_>>();
        assert_eq!(set(&many(16)).unwrap().iter().count(), 16);
        assert_eq!(set(&many(17)), Err(KeyError::TooManyKeys));
    }

    /// N14: at most four keys for one algorithm have no id.
    #[test]
    fn at_most_four_keys_for_one_algorithm_have_no_id() {
        let keys = |count: usize| {
            let keys = (0..count).map(|_| SigningKey::generate(Algorithm::EdDSA).unwrap());
            let bare = |key: SigningKey| {
                let jwk = serde_json::to_value(key.verifying_key()).unwrap();
                read(&with(&jwk, &json!({ "kid": null }))).unwrap()
            };
            keys.map(bare).chain([read(&with(&ec(), &json!({ "kid": null }))).unwrap()]).collect()
        };
        assert!(VerifyingKeys::new(keys(4)).is_ok());
        assert_eq!(VerifyingKeys::new(keys(5)), Err(KeyError::TooManyUnnamed));
    }

    /// Z10: one RSA key under one id for two algorithms, and numbers with leading zeros, as Java servers
    /// publish them.
    #[test]
    fn a_set_may_list_one_key_for_two_algorithms() {
        let rsa = VerifyingKey::from_pem(&fixture("rsa_2048_public")).unwrap();
        let rsa = serde_json::to_value(&rsa).unwrap();
        let n = URL_SAFE_NO_PAD.decode(rsa["n"].as_str().unwrap()).unwrap();
        let padded = json!({
            "n": URL_SAFE_NO_PAD.encode([&[0], n.as_slice()].concat()),
            "e": "AAEAAQ", "kid": "1", "x5c": ["MIIB"], "x5t#S256": "AA", "exp": 1,
        });
        let with_alg = |alg: &str| with(&with(&rsa, &padded), &json!({ "alg": alg }));
        let both = set(&[with_alg("RS256"), with_alg("PS256")]).unwrap();
        assert_eq!((both.iter().count(), both.passed_over().len()), (2, 0));
        let plain = with(&rsa, &json!({ "kid": "1", "alg": "RS256" }));
        assert_eq!(both.iter().next(), Some(&read(&plain).unwrap()));
        let open = set(&[with_alg("RS256"), with(&rsa, &json!({ "kid": "1" }))]);
        assert_eq!(open.unwrap().iter().count(), 2);
        let another = with(&padded, &json!({ "n": null, "kty": null, "use": null }));
        assert!(set(&[another, with_alg("RS256")]).is_ok());
    }

    /// Z10: coordinates with a zero in front, or without their zeros, as Java's `BigInteger` writes them.
    #[test]
    fn coordinates_may_have_another_number_of_leading_zeros() {
        let padded = |name: &str| {
            let number = URL_SAFE_NO_PAD.decode(ec()[name].as_str().unwrap()).unwrap();
            URL_SAFE_NO_PAD.encode([&[0], number.as_slice()].concat())
        };
        let longer = with(&ec(), &json!({ "x": padded("x"), "y": padded("y") }));
        assert_eq!(read(&longer), read(&ec()));
        let short = (0..).find_map(|_| {
            let key = SigningKey::generate(Algorithm::ES256).unwrap().verifying_key();
            let jwk = serde_json::to_value(&key).unwrap();
            let x = URL_SAFE_NO_PAD.decode(jwk["x"].as_str().unwrap()).unwrap();
            let x = URL_SAFE_NO_PAD.encode(x.strip_prefix(&[0])?);
            Some((with(&jwk, &json!({ "x": x })), key))
        });
        let (short, key) = short.unwrap();
        assert_eq!(read(&short), Ok(key));
    }

    #[test]
    fn the_same_key_id_is_allowed_for_keys_of_different_algorithms() {
        let with_id = |algorithm| {
            let key = SigningKey::generate(algorithm).unwrap();
            key.verifying_key().with_key_id(KeyId::new("1").unwrap())
        };
        let keys = [Algorithm::ES256, Algorithm::ES384, Algorithm::EdDSA].map(with_id);
        assert!(VerifyingKeys::new(keys.into()).is_ok());
        let twins = vec![with_id(Algorithm::ES256), with_id(Algorithm::ES256)];
        assert_eq!(VerifyingKeys::new(twins), Err(KeyError::DuplicateKeyId));
    }

    #[test]
    fn keys_survive_serialization() {
        let keys: Vec<_> = [Algorithm::ES256, Algorithm::ES384, Algorithm::EdDSA]
            .map(|algorithm| SigningKey::generate(algorithm).unwrap().verifying_key())
            .into();
        let keys = VerifyingKeys::new(keys).unwrap();
        let json = serde_json::to_string(&keys).unwrap();
        assert_eq!(serde_json::from_str::<VerifyingKeys>(&json).unwrap(), keys);
        assert_eq!(json, jwk_set_json(keys.iter()));
        for key in keys.iter() {
            let json = serde_json::to_string(key).unwrap();
            assert_eq!(&serde_json::from_str::<VerifyingKey>(&json).unwrap(), key);
        }
    }

    #[test]
    fn a_symmetric_key_is_neither_published_nor_serialized() {
        let secret = SigningKey::generate(Algorithm::HS256).unwrap().verifying_key();
        let public = SigningKey::generate(Algorithm::ES256).unwrap().verifying_key();
        let published: Value = serde_json::from_str(&jwk_set_json([&secret, &public])).unwrap();
        assert_eq!(published["keys"].as_array().unwrap().len(), 1);
        assert_eq!(jwk_set_json([&secret]), r#"{"keys":[]}"#);
        assert!(serde_json::to_string(&secret).is_err());
        assert!(serde_json::to_string(&VerifyingKeys::from(secret)).is_err());
    }
}
