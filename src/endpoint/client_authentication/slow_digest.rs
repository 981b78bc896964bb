//! Slow digests of imported secrets, which the host checks.

use super::Context;
use crate::clock::UnixTime;
use crate::error::{EndpointError, Fault, Rejection};
use crate::hooks::Hooks;
use crate::rate_limit::RetryAfter;
use crate::secret::ClientSecret;
use crate::server_secret::{SecretDigest, SecretMatch, StoredSecret};

/// The number of secrets whose slow digests are checked at a time.
pub(crate) const MAX_SLOW_CHECKS: usize = 4;

impl<S: Sync, U: Sync, H: Hooks> Context<S, U, H> {
    /// Finds the stored secret whose slow digest `presented` matches. A match is stale: the server
    /// replaces the digest by its own.
    pub(super) async fn find_slow<'a>(
        &self,
        presented: &str,
        stored: &'a [StoredSecret],
        now: UnixTime,
    ) -> Result<Option<SecretMatch<'a>>, EndpointError> {
        for (age, secret) in stored.iter().enumerate() {
            let SecretDigest::Slow { slow } = &secret.digest else { continue };
            if !secret.is_valid(now) {
                continue;
            }
            let Some(_permit) = self.slow_checks.try_acquire() else {
                let retry = RetryAfter { seconds: 1 };
                return Err(EndpointError::limited(Rejection::TooManySlowChecks, retry));
            };
            let presented = ClientSecret::new(presented);
            if self.hooks.check_slow_digest(slow, &presented).await.map_err(Fault::Hook)? {
                let found = SecretMatch { stored: secret, superseded: age > 0, stale: true };
                return Ok(Some(found));
            }
        }
        Ok(None)
    }
}
