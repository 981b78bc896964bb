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

/// The text of a JWK Set (RFC 7517 section 5) with the public keys among `keys`: what a server
/// answers at its `jwks_uri`. Symmetric keys are left out.
#[must_use]
pub fn jwk_set_json<'a>(keys: impl IntoIterator<Item = &'a VerifyingKey>) -> String {
    let keys: Vec<Value> = keys.into_iter().filter_map(public_jwk).collect();
    json!({ "keys": keys }).to_string()
}

/// The JWK of a public key; `None` for a symmetric one.
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
    /// Keys that are not understood, or not for verifying, are passed over (RFC 7517 section 5).
    /// Broken, weak, private and symmetric ones are refused: whoever brought them should know.
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

/// The members that are looked at; serde refuses one of them given twice.
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

    /// The uncompressed point; each coordinate has the full length (RFC 7518 section 6.2.1.2).
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
            None => Err(S::Error::custom("a symmetric key is never written down")),
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
