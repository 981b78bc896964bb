//! The host's root secret, and what is derived from it: keys for handles, the pepper under client
//! secrets, and keys that seal signature secrets.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::{aead, hkdf, hmac};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use zeroize::Zeroizing;

use crate::app::StoredSecret;
use crate::clock::UnixTime;
use crate::ids::ClientId;
use crate::random::{self, RandomError, SecureRandom};
use crate::secret::{ClientSecret, Digest, SignatureSecret, length_prefix};

/// A root of fewer than 32 bytes, or of one byte repeated.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a server secret must have at least 32 bytes of a random source")]
#[non_exhaustive]
pub struct WeakServerSecret;

/// The secret of the server: at least 32 bytes of a random source, kept where the host keeps such
/// things, the same in every process of one server.
///
/// It has three uses, each with keys of its own: *handles* (authorization codes, refresh tokens,
/// consent tickets and login markers), the *pepper* under the digests of client secrets, and the *sealing* of
/// signature secrets. Each use may know older roots beside the newest, so that a root can be
/// replaced without an interruption:
///
/// * handles: until the last grant sealed under the old root has expired;
/// * pepper: until every app has authenticated once, which renews its digest;
/// * sealing: until every signature secret was regenerated.
///
/// ```
/// use grantor::random::OsRandom;
/// use grantor::server_secret::ServerSecret;
///
/// let old = *b"the thirty-two bytes of last year";
/// let new = *b"the thirty-two bytes of this year";
/// let secret = ServerSecret::new(&new)?.accepting(&old)?;
/// # Ok::<(), grantor::server_secret::WeakServerSecret>(())
/// ```
pub struct ServerSecret {
    handles: Roots,
    pepper: Roots,
    sealing: Roots,
}

/// The roots of one use.
#[derive(Clone)]
struct Roots {
    newest: Root,
    older: Vec<Root>,
}

impl Roots {
    /// The keys for `purpose` that `make` derives from each root.
    fn keys<K>(&self, purpose: &str, make: impl Fn(&Root) -> K) -> Keys<K> {
        let key = |root: &Root| (root.key_id(purpose), make(root));
        Keys { newest: key(&self.newest), older: self.older.iter().map(key).collect() }
    }
}

/// The public name of a key.
pub(crate) type KeyTag = [u8; 4];

/// The keys of one use: the newest makes, all of them check.
pub(crate) struct Keys<K> {
    newest: (KeyTag, K),
    older: Vec<(KeyTag, K)>,
}

impl<K> Keys<K> {
    pub(crate) const fn newest(&self) -> &(KeyTag, K) {
        &self.newest
    }

    /// The key with this name.
    pub(crate) fn find(&self, tag: KeyTag) -> Option<&K> {
        let (newest, key) = &self.newest;
        let older = || self.older.iter().find(|(own, _)| *own == tag).map(|(_, key)| key);
        if *newest == tag { Some(key) } else { older() }
    }
}

#[derive(Clone)]
struct Root(Zeroizing<Vec<u8>>);

impl Root {
    fn new(bytes: &[u8]) -> Result<Self, WeakServerSecret> {
        let repeated = bytes.windows(2).all(|pair| matches!(pair, [a, b] if a == b));
        if bytes.len() < 32 || repeated {
            return Err(WeakServerSecret);
        }
        Ok(Self(Zeroizing::new(bytes.to_vec())))
    }

    /// 32 bytes that depend on the root and on every part of `info`.
    fn derive(&self, info: &[&[u8]]) -> Zeroizing<[u8; 32]> {
        let mut framed = Vec::with_capacity(info.len() * 2);
        let lengths: Vec<[u8; 4]> = info.iter().map(|part| length_prefix(part)).collect();
        for (length, part) in lengths.iter().zip(info) {
            framed.push(&length[..]);
            framed.push(part);
        }
        let mut key = Zeroizing::new([0; 32]);
        // 32 bytes of HKDF-SHA256 cannot be too many, the only way for these to fail.
        let _ = hkdf::Salt::new(hkdf::HKDF_SHA256, b"grantor")
            .extract(&self.0)
            .expand(&framed, hkdf::HKDF_SHA256)
            .and_then(|okm| okm.fill(&mut key[..]));
        key
    }

    /// The public name of the key for `purpose`.
    fn key_id(&self, purpose: &str) -> KeyTag {
        let [a, b, c, d, ..] = *self.derive(&[b"key id", purpose.as_bytes()]);
        [a, b, c, d]
    }
}

impl ServerSecret {
    /// A secret with one root for every use.
    ///
    /// # Errors
    ///
    /// [`WeakServerSecret`] when `root` has fewer than 32 bytes, or one byte repeated.
    pub fn new(root: &[u8]) -> Result<Self, WeakServerSecret> {
        let roots = Roots { newest: Root::new(root)?, older: Vec::new() };
        Ok(Self { handles: roots.clone(), pepper: roots.clone(), sealing: roots })
    }

    /// A secret with roots for each use, of which the first makes.
    pub(crate) fn of_roots<'a>(
        handles: impl Iterator<Item = &'a [u8]>,
        pepper: impl Iterator<Item = &'a [u8]>,
        sealing: impl Iterator<Item = &'a [u8]>,
    ) -> Result<Self, WeakServerSecret> {
        let roots = |mut roots: Vec<Root>| {
            let older = roots.split_off(1.min(roots.len()));
            Ok(Roots { newest: roots.pop().ok_or(WeakServerSecret)?, older })
        };
        Ok(Self {
            handles: roots(handles.map(Root::new).collect::<Result<_, _>>()?)?,
            pepper: roots(pepper.map(Root::new).collect::<Result<_, _>>()?)?,
            sealing: roots(sealing.map(Root::new).collect::<Result<_, _>>()?)?,
        })
    }

    /// A fresh secret that nobody else has: for tests and examples. What it seals is lost with the
    /// process.
    ///
    /// # Errors
    ///
    /// [`RandomError`] when the source gave nothing.
    pub fn generate(random: &dyn SecureRandom) -> Result<Self, RandomError> {
        let root = Zeroizing::new(random::array::<32>(random)?);
        Self::new(&root[..]).map_err(|_| RandomError)
    }

    /// The same secret, accepting an older root for every use.
    ///
    /// # Errors
    ///
    /// [`WeakServerSecret`] as for [`new`](Self::new).
    pub fn accepting(self, old_root: &[u8]) -> Result<Self, WeakServerSecret> {
        self.accepting_handles(old_root)?.accepting_pepper(old_root)?.accepting_sealing(old_root)
    }

    /// The same secret, accepting an older root for handles.
    ///
    /// # Errors
    ///
    /// [`WeakServerSecret`] as for [`new`](Self::new).
    pub fn accepting_handles(mut self, old_root: &[u8]) -> Result<Self, WeakServerSecret> {
        self.handles.older.push(Root::new(old_root)?);
        Ok(self)
    }

    /// The same secret, accepting an older root for the digests of client secrets.
    ///
    /// # Errors
    ///
    /// [`WeakServerSecret`] as for [`new`](Self::new).
    pub fn accepting_pepper(mut self, old_root: &[u8]) -> Result<Self, WeakServerSecret> {
        self.pepper.older.push(Root::new(old_root)?);
        Ok(self)
    }

    /// The same secret, accepting an older root for sealed signature secrets.
    ///
    /// # Errors
    ///
    /// [`WeakServerSecret`] as for [`new`](Self::new).
    pub fn accepting_sealing(mut self, old_root: &[u8]) -> Result<Self, WeakServerSecret> {
        self.sealing.older.push(Root::new(old_root)?);
        Ok(self)
    }

    /// HMAC keys for handles of one kind and issuer.
    pub(crate) fn handle_keys(&self, kind: &str, issuer: &str) -> Keys<hmac::Key> {
        self.handles.keys("handle", |root| {
            let key = root.derive(&[b"handle", kind.as_bytes(), issuer.as_bytes()]);
            hmac::Key::new(hmac::HMAC_SHA256, &key[..])
        })
    }
}

impl fmt::Debug for ServerSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ServerSecret([redacted])")
    }
}

fn hex_id(id: [u8; 4]) -> String {
    format!("{:08x}", u32::from_be_bytes(id))
}

/// The HMAC of a client id and its secret, and the name of the key under which it was made.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct KeyedDigest {
    /// Names the key: it is stale when it is not the newest.
    pub key_id: String,
    /// The HMAC.
    pub digest: Digest,
}

/// The keys under the digests of client secrets.
pub(crate) struct Pepper {
    keys: Keys<hmac::Key>,
    /// How the newest is called in digests.
    newest_id: String,
}

/// A secret that was right.
#[derive(Clone, Copy, Debug)]
pub(crate) struct SecretMatch<'a> {
    pub(crate) stored: &'a StoredSecret,
    /// Whether a newer secret of the app is in force.
    pub(crate) superseded: bool,
    /// Whether its digest was made under an older key.
    pub(crate) stale: bool,
}

impl Pepper {
    pub(crate) fn new(secret: &ServerSecret) -> Self {
        let keys = secret.pepper.keys("pepper", |root| {
            hmac::Key::new(hmac::HMAC_SHA256, &root.derive(&[b"pepper"])[..])
        });
        Self { newest_id: hex_id(keys.newest.0), keys }
    }

    /// What storage keeps of `secret`.
    pub(crate) fn digest(&self, client_id: &ClientId, secret: &ClientSecret) -> KeyedDigest {
        let digest = mac(&self.keys.newest.1, client_id.as_str(), secret);
        KeyedDigest { key_id: self.newest_id.clone(), digest }
    }

    /// Finds the stored secret that `presented` is. Costs the same whether there is one or none:
    /// a client id that nobody has costs what a wrong secret costs.
    pub(crate) fn find<'a>(
        &self,
        client_id: &str,
        presented: &ClientSecret,
        stored: &'a [StoredSecret],
        now: UnixTime,
    ) -> Option<SecretMatch<'a>> {
        let newest = mac(&self.keys.newest.1, client_id, presented);
        let mut found = None;
        for (age, secret) in stored.iter().enumerate() {
            let stale = secret.digest.key_id != self.newest_id;
            let computed = if stale {
                let older =
                    self.keys.older.iter().find(|(tag, _)| hex_id(*tag) == secret.digest.key_id);
                older.map(|(_, key)| mac(key, client_id, presented))
            } else {
                Some(newest)
            };
            let matches = computed.is_some_and(|digest| digest.matches(&secret.digest.digest));
            if matches && secret.is_valid(now) && found.is_none() {
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

fn mac(key: &hmac::Key, client_id: &str, secret: &ClientSecret) -> Digest {
    let mut context = hmac::Context::with_key(key);
    context.update(&length_prefix(client_id.as_bytes()));
    context.update(client_id.as_bytes());
    context.update(secret.expose_secret().as_bytes());
    Digest::from_ring(context.sign().as_ref())
}

/// A signature secret under AES-256-GCM: storage keeps it, only the server can open it.
#[derive(Clone, PartialEq, Eq)]
pub struct Sealed {
    key_id: [u8; 4],
    nonce: [u8; aead::NONCE_LEN],
    ciphertext: Vec<u8>,
}

/// A sealed value does not open: another app's, another server's, or altered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a sealed secret does not open")]
pub(crate) struct CannotOpen;

/// The keys that seal signature secrets.
pub(crate) struct Sealing {
    keys: Keys<Zeroizing<[u8; 32]>>,
}

impl Sealing {
    pub(crate) fn new(secret: &ServerSecret) -> Self {
        Self { keys: secret.sealing.keys("sealing", |root| root.derive(&[b"sealing"])) }
    }

    pub(crate) fn seal(
        &self,
        client_id: &ClientId,
        secret: &SignatureSecret,
        random: &dyn SecureRandom,
    ) -> Result<Sealed, RandomError> {
        let nonce: [u8; aead::NONCE_LEN] = random::array(random)?;
        let (key_id, key) = self.keys.newest();
        let key = aes_key(key).map_err(|_| RandomError)?;
        let plain = secret.expose_secret().as_bytes();
        // Room for the tag: a reallocation would leave an unwiped copy behind.
        let mut bytes = Vec::with_capacity(plain.len() + aead::AES_256_GCM.tag_len());
        bytes.extend_from_slice(plain);
        key.seal_in_place_append_tag(
            aead::Nonce::assume_unique_for_key(nonce),
            associated_data(client_id, *key_id),
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
        let key = aes_key(self.keys.find(sealed.key_id).ok_or(CannotOpen)?)?;
        let mut bytes = Zeroizing::new(sealed.ciphertext.clone());
        let nonce = aead::Nonce::assume_unique_for_key(sealed.nonce);
        let plain = key
            .open_in_place(nonce, associated_data(client_id, sealed.key_id), &mut bytes)
            .map_err(|_| CannotOpen)?;
        std::str::from_utf8(plain).map(SignatureSecret::new).map_err(|_| CannotOpen)
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

fn associated_data(client_id: &ClientId, key_id: [u8; 4]) -> aead::Aad<Vec<u8>> {
    let mut data = b"grantor signature secret".to_vec();
    data.extend_from_slice(&key_id);
    data.extend_from_slice(client_id.as_str().as_bytes());
    aead::Aad::from(data)
}

impl fmt::Debug for Sealed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Sealed(key {})", hex_id(self.key_id))
    }
}

impl Serialize for Sealed {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let bytes = [&self.key_id[..], &self.nonce, &self.ciphertext].concat();
        serializer.serialize_str(&URL_SAFE_NO_PAD.encode(bytes))
    }
}

impl<'de> Deserialize<'de> for Sealed {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let bytes = URL_SAFE_NO_PAD
            .decode(String::deserialize(deserializer)?)
            .map_err(|_| serde::de::Error::custom("not base64url"))?;
        let parts = bytes.split_first_chunk::<4>().and_then(|(key_id, rest)| {
            let (nonce, ciphertext) = rest.split_first_chunk()?;
            Some(Self { key_id: *key_id, nonce: *nonce, ciphertext: ciphertext.to_vec() })
        });
        parts.ok_or_else(|| serde::de::Error::custom("too short for a sealed secret"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::OsRandom;

    const OLD: &[u8] = b"0123456789abcdef0123456789abcdef";
    const NEW: &[u8] = b"fedcba9876543210fedcba9876543210";

    fn stored(pepper: &Pepper, id: &ClientId, secret: &str) -> StoredSecret {
        let json = serde_json::json!({
            "digest": pepper.digest(id, &ClientSecret::new(secret)),
            "created_at": 0,
        });
        serde_json::from_value(json).unwrap()
    }

    #[test]
    fn a_weak_root_is_refused() {
        assert_eq!(ServerSecret::new(b"short").unwrap_err(), WeakServerSecret);
        assert_eq!(ServerSecret::new(&[7; 64]).unwrap_err(), WeakServerSecret);
    }

    #[test]
    fn a_pepper_can_retire_because_a_stale_digest_still_matches_and_says_so() {
        let id = ClientId::new("app").unwrap();
        let old = Pepper::new(&ServerSecret::new(OLD).unwrap());
        let secrets = [stored(&old, &id, "s3cret")];
        let both = ServerSecret::new(NEW).unwrap().accepting_pepper(OLD).unwrap();
        let pepper = Pepper::new(&both);
        let now = UnixTime::from_seconds(1);
        let right = ClientSecret::new("s3cret");
        assert!(pepper.find("app", &right, &secrets, now).unwrap().stale);
        assert!(pepper.find("app", &ClientSecret::new("other"), &secrets, now).is_none());
        assert!(pepper.find("App", &right, &secrets, now).is_none());
        let retired = Pepper::new(&ServerSecret::new(NEW).unwrap());
        assert!(retired.find("app", &right, &secrets, now).is_none());
    }

    #[test]
    fn a_sealed_secret_opens_for_its_app_and_under_its_key_only() {
        let random = OsRandom::new();
        let id = ClientId::new("app").unwrap();
        let secret = SignatureSecret::new("the key of the app's assertions!");
        let sealing = Sealing::new(&ServerSecret::new(OLD).unwrap());
        let sealed = sealing.seal(&id, &secret, &random).unwrap();
        let json = serde_json::to_string(&sealed).unwrap();
        let sealed: Sealed = serde_json::from_str(&json).unwrap();
        let opened = sealing.open(&id, &sealed).unwrap();
        assert_eq!(opened.expose_secret(), secret.expose_secret());
        let other = ClientId::new("other").unwrap();
        assert_eq!(sealing.open(&other, &sealed).unwrap_err(), CannotOpen);
        let elsewhere = Sealing::new(&ServerSecret::new(NEW).unwrap());
        assert_eq!(elsewhere.open(&id, &sealed).unwrap_err(), CannotOpen);
    }
}
