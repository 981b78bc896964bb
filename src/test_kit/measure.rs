//! Internals that benches time separately. Not under semver.

use std::pin::pin;
use std::task::{Context, Poll, Waker};

use crate::clock::UnixTime;
use crate::ids::{ClientId, GrantId, Issuer};
use crate::jwt::SigningKey;
use crate::jwt::access_token::{self, NewAccessToken};
use crate::jwt::keys::Signer;
use crate::secret::ClientSecret;
use crate::server_secret::{Pepper, ServerSecret};

/// An issuer of access tokens with the claims of the authorization code flow.
#[derive(Debug)]
pub struct AccessTokens {
    signer: Signer,
    issuer: Issuer,
    client_id: ClientId,
}

impl AccessTokens {
    /// Creates an issuer of tokens for `client_id`, signed with `key`.
    #[must_use]
    pub fn new(key: SigningKey, issuer: Issuer, client_id: ClientId) -> Self {
        Self { signer: key.into(), issuer, client_id }
    }

    /// Issues a token.
    #[must_use]
    pub fn issue(&self, now: UnixTime) -> String {
        let token = NewAccessToken {
            subject: "ann@example.com",
            audience: self.issuer.as_str(),
            further_audiences: &[],
            client_id: &self.client_id,
            scope: "files.read files.write profile",
            token_id: [7; 16],
            issued_at: now,
            expires_at: UnixTime::from_seconds(now.as_seconds() + 3_600),
            grant_id: GrantId::from_bytes([9; 16]),
            authorized_at: now,
            auth_time: None,
            actor: None,
            device: None,
            circumstances: None,
            via: &[],
            extra: &serde_json::Map::new(),
        };
        let payload = token.payload(&self.issuer);
        let signed = pin!(self.signer.sign(access_token::TYPE, &payload));
        // A local key signs without waiting.
        match signed.poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(Ok(token)) => token,
            Poll::Ready(Err(_)) | Poll::Pending => String::new(),
        }
    }
}

/// A stored client secret and the check that the server performs on it.
#[derive(Debug)]
pub struct SecretCheck {
    pepper: Pepper,
    client_id: ClientId,
    stored: Vec<crate::app::StoredSecret>,
}

impl SecretCheck {
    /// Stores the digest of `secret` for `client_id`.
    #[must_use]
    pub fn new(
        server: &ServerSecret,
        issuer: &Issuer,
        client_id: ClientId,
        secret: &ClientSecret,
    ) -> Self {
        let pepper = Pepper::new(server, issuer);
        let stored = vec![crate::app::StoredSecret {
            digest: crate::server_secret::SecretDigest::Keyed(pepper.digest(&client_id, secret)),
            created_at: UnixTime::EPOCH,
            expires_at: None,
            imported: false,
            long: true,
        }];
        Self { pepper, client_id, stored }
    }

    /// Returns true if `presented` is the secret.
    #[must_use]
    pub fn check(&self, presented: &ClientSecret, now: UnixTime) -> bool {
        self.pepper
            .find(self.client_id.as_str(), presented.expose_secret(), &self.stored, true, now)
            .is_some()
    }
}
