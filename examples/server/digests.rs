//! The hooks of this program: client secrets of another server, known only by a slow digest (PBKDF2, as Django writes
//! it), and the end of a user's sessions.

use std::num::NonZeroU32;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use grantor::Subject;
use grantor::hooks::{HookAnswer, HookError, Hooks, IssueDecision};
use grantor::secret::ClientSecret;
use ring::pbkdf2;

use crate::sessions::Sessions;

/// The most rounds that are computed, about a second.
const MAX_ROUNDS: u32 = 2_000_000;

/// Checks digests such as `pbkdf2_sha256$600000$salt$hash`, ends the logins of a user whose access a trusted issuer ends,
/// and issues every token as decided.
pub(crate) struct HostHooks(pub(crate) Arc<Sessions>);

impl Hooks for HostHooks {
    async fn before_issue(&self, _: &IssueDecision<'_>) -> Result<HookAnswer, HookError> {
        Ok(HookAnswer::Issue)
    }

    async fn preview_issue(&self, _: &IssueDecision<'_>) -> Result<Option<HookAnswer>, HookError> {
        Ok(Some(HookAnswer::Issue))
    }

    async fn check_slow_digest(
        &self,
        digest: &str,
        secret: &ClientSecret,
    ) -> Result<bool, HookError> {
        let Some(digest) = Digest::parse(digest) else { return Ok(false) };
        let secret = ClientSecret::new(secret.expose_secret());
        // It takes a good part of a second, in which other requests go on.
        let checked = tokio::task::spawn_blocking(move || digest.is_of(secret.expose_secret()));
        checked.await.map_err(HookError::new)
    }

    async fn end_sessions(&self, subject: &Subject) -> Result<(), HookError> {
        self.0.log_out_everywhere(subject);
        Ok(())
    }
}

struct Digest {
    rounds: NonZeroU32,
    salt: String,
    hash: Vec<u8>,
}

impl Digest {
    fn parse(text: &str) -> Option<Self> {
        let mut parts = text.strip_prefix("pbkdf2_sha256$")?.splitn(3, '$');
        let rounds =
            parts.next()?.parse().ok().filter(|rounds: &NonZeroU32| rounds.get() <= MAX_ROUNDS)?;
        let (salt, hash) = (parts.next()?.to_owned(), STANDARD.decode(parts.next()?).ok()?);
        (hash.len() == 32).then_some(Self { rounds, salt, hash })
    }

    /// Compares in constant time.
    fn is_of(&self, secret: &str) -> bool {
        let (algorithm, salt) = (pbkdf2::PBKDF2_HMAC_SHA256, self.salt.as_bytes());
        pbkdf2::verify(algorithm, self.rounds, salt, secret.as_bytes(), &self.hash).is_ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn is_of(digest: &str, secret: &str) -> bool {
        let sessions = Sessions::new(false, &grantor::random::OsRandom::new()).unwrap();
        let hooks = HostHooks(Arc::new(sessions));
        hooks.check_slow_digest(digest, &ClientSecret::new(secret)).await.unwrap()
    }

    /// The digest is of Python's `hashlib.pbkdf2_hmac`.
    #[tokio::test]
    async fn a_digest_of_django_is_checked() {
        let digest = "pbkdf2_sha256$1000$salt of it$ApULoHnuE28Oogy1kGJoXxbemdSkzZlCygBhmMQz/S4=";
        assert!(is_of(digest, "a secret of another server").await);
        assert!(!is_of(digest, "a secret of another serves").await);
        let others = [
            digest.replace("1000", "999"),
            digest.replace("salt", "salz"),
            digest.replace("1000", "0"),
            digest.replace("1000", "4000000000"),
            digest.replace("sha256", "sha1"),
            digest.replace("/S4=", ""),
            "pbkdf2_sha256$1000$".to_owned(),
        ];
        for other in others {
            assert!(!is_of(&other, "a secret of another server").await, "{other}");
        }
    }
}
