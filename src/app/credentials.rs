//! The secrets of an app: returned once, stored as digests or sealed.

use serde::{Deserialize, Serialize};

use crate::clock::UnixTime;
use crate::ids::ClientId;
use crate::secret::{ClientSecret, SignatureSecret};
use crate::server_secret::{KeyedDigest, Sealed, SecretDigest, StoredSecret};

/// The secrets returned by a registration or a rotation. They cannot be read again.
///
/// `Debug` output is redacted, and the memory is zeroized on drop.
#[doc(alias = "client_secret")]
#[derive(Debug)]
#[non_exhaustive]
pub struct AppCredentials {
    /// The client id.
    pub client_id: ClientId,
    /// The client secret, if this call generated one.
    pub client_secret: Option<ClientSecret>,
    /// The HS256 key for assertions, if this call generated one.
    pub signature_secret: Option<SignatureSecret>,
}

/// The secrets of an app as a store keeps them. None of them is usable as a credential.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Credentials {
    /// The client secrets, newest first. Older ones overlap until their rotation window ends.
    #[serde(default)]
    pub client_secrets: Vec<StoredSecret>,
    /// The signature secret, sealed under a key derived from the server secret.
    #[serde(default)]
    pub signature_secret: Option<Sealed>,
    /// A digest of the client secret that the configuration declared last, by which the same declaration
    /// is recognized after a renewal or a rotation.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub declared_client_secret: Option<KeyedDigest>,
    /// A digest of the signature secret that the configuration declared last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub declared_signature_secret: Option<KeyedDigest>,
}

impl Credentials {
    /// The maximum number of client secrets kept.
    pub const MAX_CLIENT_SECRETS: usize = 4;

    /// Removes the client secrets of an app that no longer uses any.
    pub(crate) fn clear_client_secrets(&mut self) {
        self.client_secrets.clear();
        self.declared_client_secret = None;
    }

    /// Removes the signature secret of an app that no longer uses one.
    pub(crate) fn clear_signature_secret(&mut self) {
        self.signature_secret = None;
        self.declared_signature_secret = None;
    }

    /// Puts `secret` first and limits the others to `overlap_end`. Drops expired secrets and those
    /// beyond the maximum.
    pub(crate) fn rotate_client_secret(
        &mut self,
        secret: StoredSecret,
        overlap_end: UnixTime,
        now: UnixTime,
    ) {
        for old in &mut self.client_secrets {
            old.expires_at = Some(old.expires_at.map_or(overlap_end, |at| at.min(overlap_end)));
        }
        self.client_secrets.insert(0, secret);
        self.client_secrets.retain(|secret| secret.is_valid(now));
        self.client_secrets.truncate(Self::MAX_CLIENT_SECRETS);
    }

    /// Replaces the digest `old` by `new`, of the same secret under the current pepper. Now its length is
    /// known.
    pub(crate) fn renew_digest(&mut self, old: &SecretDigest, new: &KeyedDigest, long: bool) {
        for secret in &mut self.client_secrets {
            if secret.digest == *old {
                secret.digest = SecretDigest::Keyed(new.clone());
                secret.long = long;
            }
        }
    }
}
