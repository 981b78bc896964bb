//! The stored forms of apps' secrets: digests with a pepper, and sealed signature secrets.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::{aead, digest, hmac};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use zeroize::Zeroizing;

use super::{GivenSecret, Keys, ServerSecret, hex_id};
use crate::clock::UnixTime;
use crate::ids::{ClientId, Issuer};
use crate::random::{self, RandomError, SecureRandom};
use crate::secret::{ClientSecret, Digest, SignatureSecret, length_prefix};

/// The HMAC of a client id and its secret, and the name of its key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct KeyedDigest {
    /// The name of the key. A digest is stale if this is not the newest key.
    pub key_id: String,
    /// The HMAC.
    pub digest: Digest,
    /// The input of the HMAC, beside the client id. A digest of anything but the secret is stale.
    #[serde(default, skip_serializing_if = "DigestInput::is_secret")]
    pub of: DigestInput,
}

/// The input of a [`KeyedDigest`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum DigestInput {
    /// The secret.
    #[default]
    Secret,
    /// SHA-256 of the secret, which another server kept.
    Sha256,
    /// SHA-512 of the secret, which another server kept.
    Sha512,
}

impl DigestInput {
    #[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
    const fn is_secret(&self) -> bool {
        matches!(self, Self::Secret)
    }
}

/// The digest of a client secret.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
#[non_exhaustive]
pub enum SecretDigest {
    /// An HMAC of this server.
    Keyed(KeyedDigest),
    /// A digest of another server, such as bcrypt, that the host checks. It is stale.
    Slow {
        /// Its text.
        slow: String,
    },
}

/// A client secret in its stored form.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct StoredSecret {
    /// The digest of the secret.
    pub digest: SecretDigest,
    /// The instant at which it was set.
    pub created_at: UnixTime,
    /// The instant from which it is refused, if any.
    #[serde(default)]
    pub expires_at: Option<UnixTime>,
    /// Whether it was given, and so may be shorter than a generated one.
    #[serde(default)]
    pub imported: bool,
    /// Whether it is known to have at least 22 bytes, as 128 random bits have in base64url.
    #[serde(default)]
    pub long: bool,
}

impl StoredSecret {
    /// Checks whether it is valid at `now`.
    #[must_use]
    pub fn is_valid(&self, now: UnixTime) -> bool {
        self.expires_at.is_none_or(|at| at > now)
    }

    /// Checks whether it may be short enough to guess. A given digest may be, until its secret is first used.
    #[must_use]
    pub fn is_guessable(&self) -> bool {
        self.imported && !self.long
    }
}

/// Checks whether a secret is long enough for 128 random bits (RFC 6749 section 10.10).
pub(crate) fn is_long(secret: &ClientSecret) -> bool {
    secret.expose_secret().len() >= 22
}

/// The keys of the digests of client secrets of one issuer.
pub(crate) struct Pepper {
    keys: Keys<hmac::Key>,
    /// The name of the newest key.
    newest_id: String,
    /// The name of the key of the newest root that is bound to no issuer. It is among the older keys, and its
    /// digests are not stale: processes from before the binding share the store, and could not check others.
    unbound_id: String,
}

/// A presented secret that matches a stored one.
#[derive(Clone, Copy, Debug)]
pub(crate) struct SecretMatch<'a> {
    pub(crate) stored: &'a StoredSecret,
    /// Whether the app has a newer secret.
    pub(crate) superseded: bool,
    /// Whether its digest has the key of an older root, or is of anything but the secret.
    pub(crate) stale: bool,
}

impl Pepper {
    pub(crate) fn new(secret: &ServerSecret, issuer: &Issuer) -> Self {
        let hmac_key = |key: &[u8; 32]| hmac::Key::new(hmac::HMAC_SHA256, key);
        let keys = secret.pepper.keys_of("pepper", issuer, hmac_key);
        let unbound_id = keys.older.first().map(|(tag, _)| hex_id(*tag)).unwrap_or_default();
        Self { newest_id: hex_id(keys.newest.0), unbound_id, keys }
    }

    /// Returns the stored form of `secret`.
    pub(crate) fn digest(&self, client_id: &ClientId, secret: &ClientSecret) -> KeyedDigest {
        self.digest_of(client_id, DigestInput::Secret, secret.expose_secret().as_bytes())
    }

    /// Returns the stored form of a given secret.
    pub(crate) fn digest_given(&self, client_id: &ClientId, secret: &GivenSecret) -> SecretDigest {
        match secret {
            GivenSecret::Plain(secret) => SecretDigest::Keyed(self.digest(client_id, secret)),
            GivenSecret::Sha256(digest) => {
                SecretDigest::Keyed(self.digest_of(client_id, DigestInput::Sha256, digest))
            }
            GivenSecret::Sha512(digest) => {
                SecretDigest::Keyed(self.digest_of(client_id, DigestInput::Sha512, digest))
            }
            GivenSecret::Slow(text) => SecretDigest::Slow { slow: text.clone() },
        }
    }

    /// Returns the digest by which a secret is recognized that is declared again. `declared` is what
    /// [`declared_form`] returns.
    pub(crate) fn mark(&self, client_id: &ClientId, declared: &[u8]) -> KeyedDigest {
        self.digest_of(client_id, DigestInput::Secret, declared)
    }

    /// Checks whether `mark` is of this declared secret, under any key that is still accepted.
    pub(crate) fn is_marked(
        &self,
        mark: &KeyedDigest,
        client_id: &ClientId,
        declared: &[u8],
    ) -> bool {
        let mut keys = std::iter::once(&self.keys.newest).chain(&self.keys.older);
        let key = keys.find(|(tag, _)| hex_id(*tag) == mark.key_id);
        key.is_some_and(|(_, key)| mac(key, client_id.as_str(), declared).matches(&mark.digest))
    }

    /// Checks whether a mark has the key of an older root.
    pub(crate) fn is_stale(&self, mark: &KeyedDigest) -> bool {
        !self.is_of_newest_root(&mark.key_id)
    }

    /// Returns the digest that names the registration of an app without a secret. Only this server can compute it.
    pub(crate) fn registration(&self, source: &[u8], metadata: &[u8]) -> Digest {
        let fields = [&length_prefix(source)[..], source, metadata].concat();
        // No client id is empty, so this is the digest of no secret.
        mac(&self.keys.newest.1, "", &fields)
    }

    fn is_of_newest_root(&self, key_id: &str) -> bool {
        key_id == self.newest_id || key_id == self.unbound_id
    }

    fn digest_of(&self, client_id: &ClientId, of: DigestInput, input: &[u8]) -> KeyedDigest {
        let digest = mac(&self.keys.newest.1, client_id.as_str(), input);
        KeyedDigest { key_id: self.newest_id.clone(), digest, of }
    }

    /// Finds the stored secret that `presented` matches, a guessable one only `with_guessable`. An unknown
    /// client id costs the same as a wrong secret. Slow digests are not compared.
    pub(crate) fn find<'a>(
        &self,
        client_id: &str,
        presented: &str,
        stored: &'a [StoredSecret],
        with_guessable: bool,
        now: UnixTime,
    ) -> Option<SecretMatch<'a>> {
        let presented = presented.as_bytes();
        let newest = mac(&self.keys.newest.1, client_id, presented);
        let mut found = None;
        for (age, secret) in stored.iter().enumerate() {
            let SecretDigest::Keyed(kept) = &secret.digest else { continue };
            let is_newest = kept.key_id == self.newest_id;
            let computed = if is_newest && kept.of.is_secret() {
                Some(newest)
            } else {
                let older = || self.keys.older.iter().find(|(tag, _)| hex_id(*tag) == kept.key_id);
                let key = if is_newest { Some(&self.keys.newest) } else { older() };
                key.map(|(_, key)| match kept.of {
                    DigestInput::Secret => mac(key, client_id, presented),
                    DigestInput::Sha256 => {
                        mac(key, client_id, digest::digest(&digest::SHA256, presented).as_ref())
                    }
                    DigestInput::Sha512 => {
                        mac(key, client_id, digest::digest(&digest::SHA512, presented).as_ref())
                    }
                })
            };
            let matches = computed.is_some_and(|digest| digest.matches(&kept.digest));
            let compared = with_guessable || !secret.is_guessable();
            if matches && compared && secret.is_valid(now) && found.is_none() {
                let stale = !self.is_of_newest_root(&kept.key_id) || !kept.of.is_secret();
                found = Some(SecretMatch { stored: secret, superseded: age > 0, stale });
            }
        }
        found
    }
}

impl fmt::Debug for Pepper {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Pepper([redacted])")
    }
}

/// Returns the input of a mark. The kind ends with a byte that no secret contains, so that a mark is the
/// digest of no secret.
pub(crate) fn declared_form(kind: &str, secret: &[u8]) -> Zeroizing<Vec<u8>> {
    Zeroizing::new([kind.as_bytes(), &[0], secret].concat())
}

fn mac(key: &hmac::Key, client_id: &str, input: &[u8]) -> Digest {
    let mut context = hmac::Context::with_key(key);
    context.update(&length_prefix(client_id.as_bytes()));
    context.update(client_id.as_bytes());
    context.update(input);
    Digest::from_ring(context.sign().as_ref())
}

/// A signature secret encrypted with AES-256-GCM. Only the server can open it.
#[derive(Clone, PartialEq, Eq)]
pub struct Sealed {
    key_id: [u8; 4],
    nonce: [u8; aead::NONCE_LEN],
    ciphertext: Vec<u8>,
}

/// A sealed value of another app or server, or an altered one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a sealed secret does not open")]
pub(crate) struct CannotOpen;

/// The use of a sealed value, which is part of its seal.
#[derive(Clone, Copy)]
pub(crate) enum Purpose<'a> {
    /// The signature secret of this app, in the store.
    SignatureSecret(&'a ClientId),
    /// New secrets on their way to a page of this session.
    ShownOnce(&'a str),
    /// The request of a device under this key, in the store.
    DeviceRequest(&'a Digest),
}

impl Purpose<'_> {
    fn associated_data(self, key_id: [u8; 4]) -> aead::Aad<Vec<u8>> {
        let (purpose, bound_to): (&[u8], &[u8]) = match self {
            Self::SignatureSecret(client_id) => {
                (b"grantor signature secret", client_id.as_str().as_bytes())
            }
            Self::ShownOnce(session) => (b"grantor credentials shown once", session.as_bytes()),
            Self::DeviceRequest(key) => (b"grantor device request", key.as_bytes()),
        };
        aead::Aad::from([purpose, &key_id, bound_to].concat())
    }
}

/// The keys that seal the secrets of one issuer.
pub(crate) struct Sealing {
    keys: Keys<Zeroizing<[u8; 32]>>,
}

impl Sealing {
    pub(crate) fn new(secret: &ServerSecret, issuer: &Issuer) -> Self {
        let key = |key: &[u8; 32]| Zeroizing::new(*key);
        Self { keys: secret.sealing.keys_of("sealing", issuer, key) }
    }

    pub(crate) fn seal(
        &self,
        client_id: &ClientId,
        secret: &SignatureSecret,
        random: &dyn SecureRandom,
    ) -> Result<Sealed, RandomError> {
        let purpose = Purpose::SignatureSecret(client_id);
        self.seal_for(purpose, secret.expose_secret().as_bytes(), random)
    }

    /// Seals `plain`. It opens for the same purpose only.
    pub(crate) fn seal_for(
        &self,
        purpose: Purpose<'_>,
        plain: &[u8],
        random: &dyn SecureRandom,
    ) -> Result<Sealed, RandomError> {
        let nonce: [u8; aead::NONCE_LEN] = random::array(random)?;
        let (key_id, key) = self.keys.newest();
        let key = aes_key(key).map_err(|_| RandomError)?;
        // Room for the tag: a reallocation would leave a copy that is not zeroized.
        let mut bytes = Vec::with_capacity(plain.len() + aead::AES_256_GCM.tag_len());
        bytes.extend_from_slice(plain);
        key.seal_in_place_append_tag(
            aead::Nonce::assume_unique_for_key(nonce),
            purpose.associated_data(*key_id),
            &mut bytes,
        )
        .map_err(|_| RandomError)?;
        Ok(Sealed { key_id: *key_id, nonce, ciphertext: bytes })
    }

    pub(crate) fn open(
        &self,
        client_id: &ClientId,
        sealed: &Sealed,
    ) -> Result<SignatureSecret, CannotOpen> {
        let plain = self.open_for(Purpose::SignatureSecret(client_id), sealed)?;
        std::str::from_utf8(&plain).map(SignatureSecret::new).map_err(|_| CannotOpen)
    }

    /// Opens what [`seal_for`](Self::seal_for) sealed.
    pub(crate) fn open_for(
        &self,
        purpose: Purpose<'_>,
        sealed: &Sealed,
    ) -> Result<Zeroizing<Vec<u8>>, CannotOpen> {
        let key = aes_key(self.keys.find(sealed.key_id).ok_or(CannotOpen)?)?;
        let mut bytes = Zeroizing::new(sealed.ciphertext.clone());
        let nonce = aead::Nonce::assume_unique_for_key(sealed.nonce);
        let plain = key
            .open_in_place(nonce, purpose.associated_data(sealed.key_id), &mut bytes)
            .map_err(|_| CannotOpen)?
            .len();
        bytes.truncate(plain);
        Ok(bytes)
    }
}

impl fmt::Debug for Sealing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Sealing([redacted])")
    }
}

fn aes_key(bytes: &[u8; 32]) -> Result<aead::LessSafeKey, CannotOpen> {
    let key = aead::UnboundKey::new(&aead::AES_256_GCM, bytes).map_err(|_| CannotOpen)?;
    Ok(aead::LessSafeKey::new(key))
}

impl fmt::Debug for Sealed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Sealed(key {})", hex_id(self.key_id))
    }
}

impl Sealed {
    /// Returns the value as base64url.
    pub(crate) fn to_text(&self) -> String {
        URL_SAFE_NO_PAD.encode([&self.key_id[..], &self.nonce, &self.ciphertext].concat())
    }

    /// Reads what [`to_text`](Self::to_text) returns.
    pub(crate) fn from_text(text: &str) -> Result<Self, &'static str> {
        let bytes = URL_SAFE_NO_PAD.decode(text).map_err(|_| "not base64url")?;
        let parts = bytes.split_first_chunk::<4>().and_then(|(key_id, rest)| {
            let (nonce, ciphertext) = rest.split_first_chunk()?;
            Some(Self { key_id: *key_id, nonce: *nonce, ciphertext: ciphertext.to_vec() })
        });
        parts.ok_or("too short for a sealed secret")
    }
}

impl Serialize for Sealed {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.to_text())
    }
}

impl<'de> Deserialize<'de> for Sealed {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::from_text(&text).map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::OsRandom;

    const OLD: &[u8] = b"0123456789abcdef0123456789abcdef";
    const NEW: &[u8] = b"fedcba9876543210fedcba9876543210";

    fn issuer() -> Issuer {
        Issuer::new("https://as.example.com").unwrap()
    }

    fn stored(pepper: &Pepper, id: &ClientId, secret: &str) -> StoredSecret {
        let json = serde_json::json!({
            "digest": pepper.digest(id, &ClientSecret::new(secret)),
            "created_at": 0,
        });
        serde_json::from_value(json).unwrap()
    }

    #[test]
    fn a_pepper_can_retire_because_a_stale_digest_matches_and_is_reported() {
        let id = ClientId::new("app").unwrap();
        let old = Pepper::new(&ServerSecret::new(OLD).unwrap(), &issuer());
        let secrets = [stored(&old, &id, "s3cret")];
        let both = ServerSecret::new(NEW).unwrap().accepting_pepper(OLD).unwrap();
        let pepper = Pepper::new(&both, &issuer());
        let now = UnixTime::from_seconds(1);
        assert!(pepper.find("app", "s3cret", &secrets, true, now).unwrap().stale);
        assert!(pepper.find("app", "other", &secrets, true, now).is_none());
        assert!(pepper.find("App", "s3cret", &secrets, true, now).is_none());
        let retired = Pepper::new(&ServerSecret::new(NEW).unwrap(), &issuer());
        assert!(retired.find("app", "s3cret", &secrets, true, now).is_none());
    }

    /// Z23: a digest of a digest moves to the next pepper like any other, and JSON keeps its input.
    #[test]
    fn a_given_digest_survives_serialization_and_an_older_pepper() {
        let id = ClientId::new("app").unwrap();
        let sha512 = digest::digest(&digest::SHA512, b"s3cret");
        let given = GivenSecret::Sha512(sha512.as_ref().try_into().unwrap());
        let old = Pepper::new(&ServerSecret::new(OLD).unwrap(), &issuer());
        let kept = serde_json::json!({ "digest": old.digest_given(&id, &given), "created_at": 0 });
        let secrets: [StoredSecret; 1] = [serde_json::from_value(kept).unwrap()];
        let both = ServerSecret::new(NEW).unwrap().accepting_pepper(OLD).unwrap();
        let now = UnixTime::from_seconds(1);
        for pepper in [old, Pepper::new(&both, &issuer())] {
            assert!(pepper.find("app", "s3cret", &secrets, true, now).unwrap().stale);
            assert!(pepper.find("app2", "s3cret", &secrets, true, now).is_none());
            assert!(pepper.find("app", "other", &secrets, true, now).is_none());
        }
        let slow = old_slow(&id);
        let json = serde_json::to_string(&slow).unwrap();
        assert_eq!(json, r#"{"slow":"$2b$04$x"}"#);
        assert_eq!(serde_json::from_str::<SecretDigest>(&json).unwrap(), slow);
    }

    fn old_slow(id: &ClientId) -> SecretDigest {
        let pepper = Pepper::new(&ServerSecret::new(OLD).unwrap(), &issuer());
        pepper.digest_given(id, &GivenSecret::Slow("$2b$04$x".to_owned()))
    }

    #[test]
    fn a_sealed_secret_opens_for_its_app_and_under_its_key_only() {
        let random = OsRandom::new();
        let id = ClientId::new("app").unwrap();
        let secret = SignatureSecret::new("the key of the app's assertions!");
        let sealing = Sealing::new(&ServerSecret::new(OLD).unwrap(), &issuer());
        let sealed = sealing.seal(&id, &secret, &random).unwrap();
        let json = serde_json::to_string(&sealed).unwrap();
        let sealed: Sealed = serde_json::from_str(&json).unwrap();
        let opened = sealing.open(&id, &sealed).unwrap();
        assert_eq!(opened.expose_secret(), secret.expose_secret());
        let other = ClientId::new("other").unwrap();
        assert_eq!(sealing.open(&other, &sealed).unwrap_err(), CannotOpen);
        let elsewhere = Sealing::new(&ServerSecret::new(NEW).unwrap(), &issuer());
        assert_eq!(elsewhere.open(&id, &sealed).unwrap_err(), CannotOpen);
    }

    /// Z37: a row that is copied to another issuer with the same secret authenticates no app and opens nothing.
    #[test]
    fn digests_marks_and_sealed_secrets_are_bound_to_the_issuer() {
        let secret = ServerSecret::new(OLD).unwrap().accepting(NEW).unwrap();
        let other = Issuer::new("https://as.example.com/tenant").unwrap();
        let (id, now) = (ClientId::new("app").unwrap(), UnixTime::from_seconds(1));
        let (here, there) = (Pepper::new(&secret, &issuer()), Pepper::new(&secret, &other));
        let secrets = [stored(&here, &id, "s3cret")];
        assert!(!here.find("app", "s3cret", &secrets, true, now).unwrap().stale);
        assert!(there.find("app", "s3cret", &secrets, true, now).is_none());
        let mark = here.mark(&id, b"declared");
        assert!(here.is_marked(&mark, &id, b"declared") && !here.is_stale(&mark));
        assert!(!there.is_marked(&mark, &id, b"declared") && there.is_stale(&mark));
        let (here, there) = (Sealing::new(&secret, &issuer()), Sealing::new(&secret, &other));
        let key = SignatureSecret::new("the key of the app's assertions!");
        let sealed = here.seal(&id, &key, &OsRandom::new()).unwrap();
        assert!(here.open(&id, &sealed).is_ok());
        assert_eq!(there.open(&id, &sealed).unwrap_err(), CannotOpen);
    }

    /// Z37: values from before the binding keep working, and are renewed with their root.
    #[test]
    fn values_that_are_bound_to_no_issuer_still_open() {
        let unbound = |root: &[u8]| {
            let secret = ServerSecret::new(root).unwrap();
            let hmac_key = |root: &super::super::Root| {
                hmac::Key::new(hmac::HMAC_SHA256, &root.derive(&[b"pepper"])[..])
            };
            let keys = secret.pepper.keys("pepper", hmac_key);
            let newest_id = hex_id(keys.newest.0);
            let pepper = Pepper { newest_id, unbound_id: String::new(), keys };
            let keys = secret.sealing.keys("sealing", |root| root.derive(&[b"sealing"]));
            (pepper, Sealing { keys })
        };
        let secret = ServerSecret::new(NEW).unwrap().accepting(OLD).unwrap();
        let pepper = Pepper::new(&secret, &issuer());
        let (id, now) = (ClientId::new("app").unwrap(), UnixTime::from_seconds(1));
        for (root, is_old) in [(NEW, false), (OLD, true)] {
            let (before, sealing) = unbound(root);
            let secrets = [stored(&before, &id, "s3cret")];
            let found = pepper.find("app", "s3cret", &secrets, true, now).unwrap();
            assert_eq!(found.stale, is_old);
            assert!(pepper.find("app", "no", &secrets, true, now).is_none());
            let mark = before.mark(&id, b"declared");
            assert!(pepper.is_marked(&mark, &id, b"declared"));
            assert_eq!(pepper.is_stale(&mark), is_old);
            let key = SignatureSecret::new("the key of the app's assertions!");
            let sealed = sealing.seal(&id, &key, &OsRandom::new()).unwrap();
            assert!(Sealing::new(&secret, &issuer()).open(&id, &sealed).is_ok());
        }
    }
}
