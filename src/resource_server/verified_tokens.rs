//! Tokens that were verified before, and the keys that verify them.

use std::sync::Arc;

use super::keys::Keys;
use super::token_cache::TokenCache;
use crate::clock::UnixTime;
use crate::jwt::{AccessTokenClaims, KeyRing, VerifyingKeys};

/// Keys, and the claims of the tokens that they have verified. A removed key takes with it every token.
#[derive(Debug)]
pub(crate) struct VerifiedTokens {
    keys: Keys,
    cache: TokenCache,
}

impl VerifiedTokens {
    /// Keeps up to `capacity` tokens of a server with the keys of `ring`. 0 keeps none.
    pub(crate) fn following(ring: KeyRing, capacity: usize) -> Self {
        Self { keys: Keys::of_ring(ring), cache: TokenCache::new(capacity) }
    }

    /// Keeps up to `capacity` tokens that `keys` verify. 0 keeps none.
    pub(super) fn given(keys: VerifyingKeys, capacity: usize) -> Self {
        Self { keys: Keys::given(keys), cache: TokenCache::new(capacity) }
    }

    /// Sets the capacity.
    pub(super) fn with_capacity(self, capacity: usize) -> Self {
        Self { cache: TokenCache::new(capacity), ..self }
    }

    /// Replaces given keys. When it returns, no token is found that a removed key has verified.
    pub(super) fn replace_keys(&self, keys: VerifyingKeys) {
        self.keys.replace(keys, &self.cache);
    }

    /// Returns the claims of `token`, which `verify` reads unless a present key has verified it before.
    /// `check` decides each time whether they still hold at `now`.
    ///
    /// Only a token that passes both is kept.
    pub(crate) fn check<E>(
        &self,
        token: &str,
        now: UnixTime,
        verify: impl FnOnce(&VerifyingKeys) -> Result<AccessTokenClaims, E>,
        check: impl FnOnce(&AccessTokenClaims) -> Result<(), E>,
    ) -> Result<Arc<AccessTokenClaims>, E> {
        self.keys.follow(now, &self.cache);
        if let Some(claims) = self.cache.get(token) {
            check(&claims)?;
            return Ok(claims);
        }
        // Held until the token is kept: no token enters after the key that verified it is gone.
        let keys = self.keys.read();
        let claims = Arc::new(verify(&keys)?);
        check(&claims)?;
        self.cache.insert(token, &claims, now);
        Ok(claims)
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;
    use crate::jwt::{Algorithm, SigningKey};
    use crate::resource_server::token_cache::tests::{NOW, claims, token};

    fn key() -> SigningKey {
        SigningKey::generate(Algorithm::EdDSA).unwrap()
    }

    /// Counts the verifications.
    #[derive(Default)]
    struct Verifier(Cell<usize>);

    impl Verifier {
        /// Checks the token with this number. A verifier that `fails` refuses every signature.
        fn check(&self, tokens: &VerifiedTokens, number: usize, fails: bool) -> bool {
            let verify = |keys: &VerifyingKeys| {
                assert!(keys.iter().next().is_some());
                self.0.set(self.0.get() + 1);
                if fails { Err(()) } else { Ok((*claims(UnixTime::MAX)).clone()) }
            };
            tokens.check(&token(number), NOW, verify, |_| Ok(())).is_ok()
        }
    }

    #[test]
    fn a_token_is_verified_once_and_checked_each_time() {
        let tokens = VerifiedTokens::following(key().into(), 8);
        let verifier = Verifier::default();
        assert!((0..3).all(|_| verifier.check(&tokens, 1, false)));
        assert_eq!(verifier.0.get(), 1);
        let refused = tokens.check(&token(1), NOW, |_| Err("verified"), |_| Err("expired"));
        assert_eq!(refused, Err("expired"));
        let disabled = VerifiedTokens::following(key().into(), 0);
        assert!((0..3).all(|_| verifier.check(&disabled, 1, false)));
        assert_eq!(verifier.0.get(), 4);
    }

    #[test]
    fn a_token_that_fails_its_first_check_is_not_kept() {
        let tokens = VerifiedTokens::following(key().into(), 8);
        let read = |_: &VerifyingKeys| Ok((*claims(NOW)).clone());
        assert_eq!(tokens.check(&token(1), NOW, read, |_| Err("expired")), Err("expired"));
        assert_eq!(tokens.check(&token(1), NOW, |_| Err("verified"), |_| Ok(())), Err("verified"));
    }

    /// I11: a flood of unknown tokens costs the tokens in use nothing.
    #[test]
    fn refused_tokens_evict_nothing() {
        let tokens = VerifiedTokens::following(key().into(), 8);
        let verifier = Verifier::default();
        assert!((0..8).all(|number| verifier.check(&tokens, number, false)));
        assert!((8..10_000).all(|number| !verifier.check(&tokens, number, true)));
        verifier.0.set(0);
        assert!((0..8).all(|number| verifier.check(&tokens, number, true)));
        assert_eq!(verifier.0.get(), 0);
    }

    #[test]
    fn a_removed_key_takes_its_tokens_with_it_and_a_new_key_does_not() {
        let (old, ring) = (key(), KeyRing::from(key()));
        ring.publish(old.verifying_key());
        let tokens = VerifiedTokens::following(ring.clone(), 8);
        let verifier = Verifier::default();
        assert!(verifier.check(&tokens, 1, false));
        ring.publish(key().verifying_key());
        assert!(verifier.check(&tokens, 1, true), "kept");
        ring.replace(vec![key().into()]).unwrap();
        assert!(!verifier.check(&tokens, 1, true), "gone");
    }
}
