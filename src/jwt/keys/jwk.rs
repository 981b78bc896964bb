//! JSON Web Keys, in and out (RFC 7517, RFC 7518 section 6, RFC 8037 section 2).

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::de::{Error as _, IgnoredAny};
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
    parse::<RawJwk>(json)?.into_key()
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
    keys: Vec<RawJwk>,
}

impl RawJwkSet {
    /// Skips keys of unknown kinds and keys that are not for verification (RFC 7517 section 5). Refuses
    /// broken, weak, private and symmetric ones, so that the administrator learns of them.
    fn into_keys(self) -> Result<VerifyingKeys, KeyError> {
        let mut keys = Vec::new();
        for raw in self.keys {
            match raw.into_key() {
                Ok(key) => keys.push(key),
                Err(KeyError::Unsupported | KeyError::Use) => {}
                Err(error) => return Err(error),
            }
        }
        VerifyingKeys::new(keys)
    }
}

/// The used members. serde refuses a duplicate of them.
#[derive(Deserialize)]
struct RawJwk {
    kty: String,
    crv: Option<String>,
    x: Option<String>,
    y: Option<String>,
    n: Option<String>,
    e: Option<String>,
    alg: Option<String>,
    kid: Option<String>,
    #[serde(rename = "use")]
    usage: Option<String>,
    key_ops: Option<Vec<String>>,
    k: Option<IgnoredAny>,
    d: Option<IgnoredAny>,
    p: Option<IgnoredAny>,
    q: Option<IgnoredAny>,
    dp: Option<IgnoredAny>,
    dq: Option<IgnoredAny>,
    qi: Option<IgnoredAny>,
    oth: Option<IgnoredAny>,
}

impl RawJwk {
    fn into_key(self) -> Result<VerifyingKey, KeyError> {
        if self.kty == "oct" || self.k.is_some() {
            return Err(KeyError::Symmetric);
        }
        let private = [&self.d, &self.p, &self.q, &self.dp, &self.dq, &self.qi, &self.oth];
        if private.iter().any(|member| member.is_some()) {
            return Err(KeyError::Private);
        }
        let wrong_use = self.usage.as_ref().is_some_and(|usage| usage != "sig");
        let wrong_operation =
            self.key_ops.as_ref().is_some_and(|ops| !ops.iter().any(|op| op == "verify"));
        if wrong_use || wrong_operation {
            return Err(KeyError::Use);
        }
        let algorithm = match &self.alg {
            Some(name) => Some(Algorithm::from_name(name).ok_or(KeyError::Unsupported)?),
            None => None,
        };
        let mut key = match (self.kty.as_str(), self.crv.as_deref()) {
            ("EC", Some("P-256")) => import::p256(&self.point(32)?)?,
            ("EC", Some("P-384")) => import::p384(&self.point(48)?)?,
            ("OKP", Some("Ed25519")) => import::ed25519(&number(self.x.as_ref())?)?,
            ("RSA", _) => import::rsa(&number(self.n.as_ref())?, &number(self.e.as_ref())?)?,
            _ => return Err(KeyError::Unsupported),
        };
        if let Some(algorithm) = algorithm {
            key = key.with_algorithm(algorithm)?;
        }
        if let Some(kid) = self.kid {
            key = key.with_key_id(KeyId::new(kid).map_err(|_| KeyError::KeyId)?);
        }
        Ok(key)
    }

    /// Returns the uncompressed point. Each coordinate must have the full length (RFC 7518 section
    /// 6.2.1.2).
    fn point(&self, length: usize) -> Result<Vec<u8>, KeyError> {
        let (x, y) = (number(self.x.as_ref())?, number(self.y.as_ref())?);
        if x.len() != length || y.len() != length {
            return Err(KeyError::Malformed);
        }
        Ok([&[4], x.as_slice(), y.as_slice()].concat())
    }
}

fn number(member: Option<&String>) -> Result<Vec<u8>, KeyError> {
    let text = member.ok_or(KeyError::Malformed)?;
    URL_SAFE_NO_PAD.decode(text).map_err(|_| KeyError::Malformed)
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
        RawJwk::deserialize(deserializer)?.into_key().map_err(D::Error::custom)
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
    use crate::jwt::testing::with;

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
            (json!({ "crv": "P-384" }), KeyError::Malformed),
            (json!({ "crv": "secp256k1" }), KeyError::Unsupported),
            (json!({ "kty": "ec" }), KeyError::Unsupported),
            (json!({ "kty": 1 }), KeyError::Malformed),
            (json!({ "x": null }), KeyError::Malformed),
            (json!({ "x": "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU=" }), KeyError::Malformed),
            (json!({ "x": "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEV" }), KeyError::Malformed),
            (json!({ "x": "AA" }), KeyError::Malformed),
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

    #[test]
    fn a_set_skips_unknown_keys_and_refuses_dangerous_ones() {
        let set =
            |keys: &[Value]| VerifyingKeys::from_jwk_set(&json!({ "keys": keys }).to_string());
        let post_quantum = json!({ "kty": "AKP", "alg": "ML-DSA-44", "pub": "AA" });
        let encryption = with(&ec(), &json!({ "use": "enc", "kid": "2", "alg": "ECDH-ES" }));
        let one = set(&[post_quantum.clone(), encryption, ec()]).unwrap();
        assert_eq!(one, VerifyingKeys::from(read(&ec()).unwrap()));

        assert_eq!(set(&[post_quantum]), Err(KeyError::NoKey));
        assert_eq!(set(&[]), Err(KeyError::NoKey));
        assert_eq!(set(&[ec(), json!({ "kty": "oct", "k": "AA" })]), Err(KeyError::Symmetric));
        assert_eq!(set(&[ec(), with(&ec(), &json!({ "d": "AA" }))]), Err(KeyError::Private));
        assert_eq!(set(&[ec(), ec()]), Err(KeyError::DuplicateKeyId));
        assert_eq!(VerifyingKeys::from_jwk_set("[]"), Err(KeyError::Malformed));

        let numbered = |id: usize| with(&ec(), &json!({ "kid": id.to_string() }));
        let many = |count| (0..count).map(numbered).collect::<Vec<_>>();
        assert_eq!(set(&many(16)).unwrap().iter().count(), 16);
        assert_eq!(set(&many(17)), Err(KeyError::TooManyKeys));
    }

    #[test]
    fn the_same_key_id_is_allowed_for_keys_of_different_types() {
        let ed25519 = SigningKey::generate(Algorithm::EdDSA).unwrap();
        let ed25519 = ed25519.verifying_key().with_key_id(KeyId::new("1").unwrap());
        assert!(VerifyingKeys::new(vec![read(&ec()).unwrap(), ed25519]).is_ok());
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
