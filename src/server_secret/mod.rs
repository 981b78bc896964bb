//! The host's root secret, and the keys derived from it: for handles, for digests of client secrets
//! (the pepper), and for sealed signature secrets.

mod fingerprint;
mod given_secret;
pub(crate) mod handle;
mod key_file;
mod stored_secret;

use std::fmt;

use ring::{hkdf, hmac};
use zeroize::Zeroizing;

use crate::ids::Issuer;
use crate::random::{self, RandomError, SecureRandom};
use crate::secret::length_prefix;

pub use fingerprint::{InvalidRootPrint, RootPrint, RootsClaim};
pub use given_secret::{GivenSecret, InvalidDigest};
pub use key_file::{
    KeyFile, KeyFileError, KeyState, KeyStatus, RootStatus, RootUse, Rotated, Rotation,
};
pub use stored_secret::{DigestInput, KeyedDigest, Sealed, SecretDigest, StoredSecret};
pub(crate) use stored_secret::{Pepper, Purpose, Sealing, SecretMatch, declared_form, is_long};

/// A root of fewer than 32 bytes, or of one byte repeated.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a server secret must have at least 32 bytes of a random source")]
#[non_exhaustive]
pub struct WeakServerSecret;

/// The secret of the server: at least 32 bytes of a random source, stored with the host's other secrets
/// and the same in every process of one server.
///
/// It has three uses, each with keys of its own: *handles* (authorization codes, refresh tokens,
/// consent tickets and login markers), the *pepper* in the digests of client secrets, and the *sealing*
/// of signature secrets. The keys depend on the issuer, too, so several issuers may share a secret: what one
/// has sealed does not open at another. Each use may accept older roots beside the newest, so that a root can be
/// replaced without interruption. An old root is needed:
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
    given_up: Vec<RootPrint>,
}

/// The roots of one use.
#[derive(Clone)]
struct Roots {
    newest: Root,
    older: Vec<Root>,
}

impl Roots {
    /// Derives the keys for `purpose` from each root.
    fn keys<K>(&self, purpose: &str, make: impl Fn(&Root) -> K) -> Keys<K> {
        let key = |root: &Root| (root.key_id(purpose), make(root));
        Keys { newest: key(&self.newest), older: self.older.iter().map(key).collect() }
    }

    /// Derives the keys for `purpose` of `issuer` from each root. They are followed by keys that are bound to no
    /// issuer, which made the values from before the binding: one after each root, the newest first.
    fn keys_of<K>(&self, purpose: &str, issuer: &Issuer, make: impl Fn(&[u8; 32]) -> K) -> Keys<K> {
        let bound = |root: &Root| {
            let info = [purpose.as_bytes(), issuer.as_str().as_bytes()];
            (root.key_id_of(&[b"key id", info[0], info[1]]), make(&root.derive(&info)))
        };
        let unbound =
            |root: &Root| (root.key_id(purpose), make(&root.derive(&[purpose.as_bytes()])));
        let older = self.older.iter().flat_map(|root| [bound(root), unbound(root)]);
        let older = std::iter::once(unbound(&self.newest)).chain(older).collect();
        Keys { newest: bound(&self.newest), older }
    }
}

/// The public name of a key.
pub(crate) type KeyTag = [u8; 4];

/// The keys of one use. The newest seals, and all open.
pub(crate) struct Keys<K> {
    newest: (KeyTag, K),
    older: Vec<(KeyTag, K)>,
}

impl<K> Keys<K> {
    pub(crate) const fn newest(&self) -> &(KeyTag, K) {
        &self.newest
    }

    /// Returns every key, the newest first.
    pub(crate) fn all(&self) -> impl Iterator<Item = &K> {
        std::iter::once(&self.newest).chain(&self.older).map(|(_, key)| key)
    }

    /// Returns the key with this tag.
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

    /// Derives 32 bytes from the root and every part of `info`.
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

    /// Returns the fingerprint of the root in one use.
    fn print(&self, root_use: RootUse) -> RootPrint {
        let derived = self.derive(&[b"fingerprint", root_use.name().as_bytes()]);
        RootPrint::new(root_use, derived.first_chunk().copied().unwrap_or_default())
    }

    /// Returns the public name of the key for `purpose`.
    fn key_id(&self, purpose: &str) -> KeyTag {
        self.key_id_of(&[b"key id", purpose.as_bytes()])
    }

    fn key_id_of(&self, info: &[&[u8]]) -> KeyTag {
        let [a, b, c, d, ..] = *self.derive(info);
        [a, b, c, d]
    }
}

impl ServerSecret {
    /// Creates a secret with one root for every use.
    ///
    /// # Errors
    ///
    /// [`WeakServerSecret`] if `root` has fewer than 32 bytes, or repeats one byte.
    pub fn new(root: &[u8]) -> Result<Self, WeakServerSecret> {
        let roots = Roots { newest: Root::new(root)?, older: Vec::new() };
        let (pepper, sealing) = (roots.clone(), roots.clone());
        Ok(Self { handles: roots, pepper, sealing, given_up: Vec::new() })
    }

    /// Creates a secret with roots for each use. The first root of a use seals.
    pub(crate) fn of_roots<'a>(
        handles: impl Iterator<Item = &'a [u8]>,
        pepper: impl Iterator<Item = &'a [u8]>,
        sealing: impl Iterator<Item = &'a [u8]>,
        given_up: Vec<RootPrint>,
    ) -> Result<Self, WeakServerSecret> {
        let roots = |mut roots: Vec<Root>| {
            let older = roots.split_off(1.min(roots.len()));
            Ok(Roots { newest: roots.pop().ok_or(WeakServerSecret)?, older })
        };
        Ok(Self {
            handles: roots(handles.map(Root::new).collect::<Result<_, _>>()?)?,
            pepper: roots(pepper.map(Root::new).collect::<Result<_, _>>()?)?,
            sealing: roots(sealing.map(Root::new).collect::<Result<_, _>>()?)?,
            given_up,
        })
    }

    /// Generates a secret for tests and examples. Its handles and sealed secrets are lost with the
    /// process.
    ///
    /// # Errors
    ///
    /// [`RandomError`] if the source fails.
    pub fn generate(random: &dyn SecureRandom) -> Result<Self, RandomError> {
        let root = Zeroizing::new(random::array::<32>(random)?);
        Self::new(&root[..]).map_err(|_| RandomError)
    }

    /// Accepts an older root for every use.
    ///
    /// # Errors
    ///
    /// [`WeakServerSecret`] as for [`new`](Self::new).
    pub fn accepting(self, old_root: &[u8]) -> Result<Self, WeakServerSecret> {
        self.accepting_handles(old_root)?.accepting_pepper(old_root)?.accepting_sealing(old_root)
    }

    /// Accepts an older root for handles.
    ///
    /// # Errors
    ///
    /// [`WeakServerSecret`] as for [`new`](Self::new).
    pub fn accepting_handles(mut self, old_root: &[u8]) -> Result<Self, WeakServerSecret> {
        self.handles.older.push(Root::new(old_root)?);
        Ok(self)
    }

    /// Accepts an older root for the digests of client secrets.
    ///
    /// # Errors
    ///
    /// [`WeakServerSecret`] as for [`new`](Self::new).
    pub fn accepting_pepper(mut self, old_root: &[u8]) -> Result<Self, WeakServerSecret> {
        self.pepper.older.push(Root::new(old_root)?);
        Ok(self)
    }

    /// Accepts an older root for sealed signature secrets.
    ///
    /// # Errors
    ///
    /// [`WeakServerSecret`] as for [`new`](Self::new).
    pub fn accepting_sealing(mut self, old_root: &[u8]) -> Result<Self, WeakServerSecret> {
        self.sealing.older.push(Root::new(old_root)?);
        Ok(self)
    }

    /// States that a root is given up: a store that was written under it is opened without it. What it
    /// sealed is lost: refresh tokens, client secrets or signature secrets, by its use.
    #[must_use]
    pub fn giving_up(mut self, root: RootPrint) -> Self {
        self.given_up.push(root);
        self
    }

    /// Returns the fingerprints of the roots, for
    /// [`GrantStore::claim_roots`](crate::store::GrantStore::claim_roots).
    #[must_use]
    pub fn roots_claim(&self) -> RootsClaim {
        let uses = [
            (RootUse::Handles, &self.handles),
            (RootUse::Pepper, &self.pepper),
            (RootUse::Sealing, &self.sealing),
        ];
        let sealing = uses.iter().map(|(root_use, roots)| roots.newest.print(*root_use)).collect();
        let accepted = uses.iter().flat_map(|(root_use, roots)| {
            let all = std::iter::once(&roots.newest).chain(&roots.older);
            all.map(|root| root.print(*root_use))
        });
        RootsClaim { sealing, accepted: accepted.collect(), given_up: self.given_up.clone() }
    }

    /// Derives the HMAC keys for handles of one kind and issuer.
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_weak_root_is_refused() {
        assert_eq!(ServerSecret::new(b"short").unwrap_err(), WeakServerSecret);
        assert_eq!(ServerSecret::new(&[7; 64]).unwrap_err(), WeakServerSecret);
    }
}
