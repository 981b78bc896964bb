//! The parts that benches time alone. Not under semver.

use crate::clock::UnixTime;
use crate::ids::{ClientId, GrantId, Issuer};
use crate::jwt::SigningKey;
use crate::jwt::new_access_token::NewAccessToken;
use crate::secret::ClientSecret;
use crate::server_secret::{Pepper, ServerSecret};

/// Issues an access token with the claims that a code flow gives.
#[must_use]
pub fn issue(key: &SigningKey, issuer: &Issuer, client_id: &ClientId, now: UnixTime) -> String {
    let token = NewAccessToken {
        subject: "ann@example.com",
        audience: issuer.as_str(),
        client_id,
        scope: "files.read files.write profile",
        token_id: [7; 16],
        issued_at: now,
        expires_at: UnixTime::from_seconds(now.as_seconds() + 3_600),
        grant_id: GrantId::from_bytes([9; 16]),
        authorized_at: now,
        auth_time: None,
        actor: None,
        device: None,
        extra: &serde_json::Map::new(),
    };
    token.sign(key, issuer).unwrap_or_default()
}

/// A client secret as the server keeps it, to be checked as the server checks it.
#[derive(Debug)]
pub struct SecretCheck {
    pepper: Pepper,
    client_id: ClientId,
    stored: Vec<crate::app::StoredSecret>,
}

impl SecretCheck {
    /// Keeps `secret` for `client_id`.
    #[must_use]
    pub fn new(server: &ServerSecret, client_id: ClientId, secret: &ClientSecret) -> Self {
        let pepper = Pepper::new(server);
        let stored = vec![crate::app::StoredSecret {
            digest: pepper.digest(&client_id, secret),
            created_at: UnixTime::EPOCH,
            expires_at: None,
            imported: false,
        }];
        Self { pepper, client_id, stored }
    }

    /// Whether `presented` is the secret.
    #[must_use]
    pub fn check(&self, presented: &ClientSecret, now: UnixTime) -> bool {
        self.pepper.find(self.client_id.as_str(), presented, &self.stored, now).is_some()
    }
}
