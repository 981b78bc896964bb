//! The secrets of an app: handed out once, kept as digests and sealed.

use serde::{Deserialize, Serialize};

use crate::clock::UnixTime;
use crate::ids::ClientId;
use crate::secret::{ClientSecret, Digest, SignatureSecret};
use crate::server_secret::{KeyedDigest, Sealed, StoredSecret};

/// What a registration or a rotation answers, once. Nothing else ever shows these secrets again.
///
/// `Debug` is redacted; memory is wiped on drop.
#[derive(Debug)]
#[non_exhaustive]
pub struct AppCredentials {
    /// The name of the app on the wire.
    pub client_id: ClientId,
    /// Its password at the token endpoint, if it has one and it is new.
    pub client_secret: Option<ClientSecret>,
    /// The key of its HS256 assertions, if it has one and it is new.
    pub signature_secret: Option<SignatureSecret>,
}

/// The secrets of an app as storage keeps them: none of them can be used.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Credentials {
    /// Client secrets, newest first. The older ones are those that a rotation has not ended yet.
    #[serde(default)]
    pub client_secrets: Vec<StoredSecret>,
    /// The signature secret, sealed under a key of the server.
    #[serde(default)]
    pub signature_secret: Option<Sealed>,
}

impl Credentials {
    /// How many client secrets are kept at most.
    pub const MAX_CLIENT_SECRETS: usize = 4;

    /// Puts `secret` first and lets the others live until `overlap_end` at most. What has expired,
    /// and what is too many, goes.
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

    /// Replaces the digest of the secret that stands as `old` by one under the present pepper.
    pub(crate) fn renew_digest(&mut self, old: Digest, new: &KeyedDigest) {
        for secret in &mut self.client_secrets {
            if secret.digest.digest == old {
                secret.digest = new.clone();
            }
        }
    }
}
