//! Secrets in memory, and digests for storage.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use subtle::ConstantTimeEq as _;
use zeroize::Zeroizing;

use crate::random::{self, RandomError, SecureRandom};

macro_rules! secret_text {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        ///
        /// `Debug` is redacted and memory is zeroized on drop. There is no `Display`, `Clone`,
        /// `PartialEq` or `Serialize`: a secret is exposed deliberately or not at all.
        pub struct $name(Zeroizing<String>);

        impl $name {
            /// Wraps a secret.
            #[must_use]
            pub fn new(value: impl Into<String>) -> Self {
                Self(Zeroizing::new(value.into()))
            }

            /// Returns the secret itself. Review every call site.
            #[must_use]
            pub fn expose_secret(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(concat!(stringify!($name), "([redacted])"))
            }
        }
    };
}

secret_text! {
    /// An app's password at the token endpoint: `client_secret` of RFC 6749 section 2.3.1.
    ///
    /// ```compile_fail
    /// use grantor::secret::ClientSecret;
    /// // The duration of `==` would leak length and prefix of a secret.
    /// assert!(ClientSecret::new("a") == ClientSecret::new("a"));
    /// ```
    ClientSecret
}

secret_text! {
    /// The HS256 key of an app's assertions, as text of at least 32 bytes.
    SignatureSecret
}

secret_text! {
    /// An authorization code (RFC 6749 section 1.3.1): a sealed handle that begins with `gac_`.
    AuthorizationCode
}

secret_text! {
    /// A device code (RFC 8628 section 3.2): a sealed handle that begins with `gdc_`.
    DeviceCode
}

secret_text! {
    /// A refresh token (RFC 6749 section 1.5): a sealed handle that begins with `grt_`.
    RefreshToken
}

secret_text! {
    /// A token with which a caller may register an app (RFC 7591 section 3). The host hands it out.
    InitialAccessToken
}

secret_text! {
    /// A token with which an app manages its own registration (RFC 7592 section 2). It begins with `gra_`.
    RegistrationAccessToken
}

/// An access token (RFC 6749 section 1.4): a JWT in the profile of RFC 9068.
///
/// `Debug` is redacted. Memory is not zeroized, because the response to the client contains a copy that
/// this crate cannot zeroize.
pub struct AccessToken(String);

impl AccessToken {
    /// Wraps a token.
    #[must_use]
    pub fn new(token: impl Into<String>) -> Self {
        Self(token.into())
    }

    /// Returns the token itself. Review every call site.
    #[must_use]
    pub fn expose_secret(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for AccessToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("AccessToken([redacted])")
    }
}

impl ClientSecret {
    /// Generates a secret of 256 random bits, with a prefix for secret scanners.
    pub(crate) fn generate(random: &dyn SecureRandom) -> Result<Self, RandomError> {
        random_text("gcs_", random).map(Self)
    }
}

impl SignatureSecret {
    /// Generates a secret of 256 random bits, with a prefix for secret scanners.
    pub(crate) fn generate(random: &dyn SecureRandom) -> Result<Self, RandomError> {
        random_text("gss_", random).map(Self)
    }
}

impl RegistrationAccessToken {
    /// Generates a token of 256 random bits, with a prefix for secret scanners.
    pub(crate) fn generate(random: &dyn SecureRandom) -> Result<Self, RandomError> {
        random_text("gra_", random).map(Self)
    }
}

fn random_text(prefix: &str, random: &dyn SecureRandom) -> Result<Zeroizing<String>, RandomError> {
    let bytes = Zeroizing::new(random::array::<32>(random)?);
    // Room for the whole text: a reallocation would leave a copy that is not zeroized.
    let mut text = Zeroizing::new(String::with_capacity(prefix.len() + 43));
    text.push_str(prefix);
    URL_SAFE_NO_PAD.encode_string(&bytes[..], &mut text);
    Ok(text)
}

/// A digest of 256 bits, stored in place of a secret.
///
/// Serialized as base64url. `Debug` shows the first three bytes. `==` is for map keys and tests. If an
/// attacker chooses one side, use [`matches`](Self::matches), which compares in constant time.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Digest([u8; 32]);

impl Digest {
    /// The digest with these bytes.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// Returns the bytes, for a database column.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// Returns the bytes as base64url, as they are serialized.
    pub(crate) fn to_base64url(self) -> String {
        URL_SAFE_NO_PAD.encode(self.0)
    }

    /// Compares in constant time.
    #[must_use]
    pub fn matches(&self, other: &Self) -> bool {
        // By words of eight bytes: bytewise, it would take longer than the digest itself.
        let words = |bytes: &[u8; 32]| -> [u64; 4] {
            let (words, _) = bytes.as_chunks::<8>();
            std::array::from_fn(|at| words.get(at).map_or(0, |word| u64::from_ne_bytes(*word)))
        };
        words(&self.0).ct_eq(&words(&other.0)).into()
    }

    /// Computes SHA-256 over `fields`, each preceded by its length, so that no two lists collide.
    pub(crate) fn of_fields(fields: &[&[u8]]) -> Self {
        let mut message = [0; 256];
        let mut used = 0;
        for field in fields {
            for part in [&length_prefix(field)[..], field] {
                let Some(room) = message.get_mut(used..used + part.len()) else {
                    return Self::of_long_fields(fields);
                };
                room.copy_from_slice(part);
                used += part.len();
            }
        }
        let message = message.get(..used).unwrap_or_default();
        Self::from_ring(ring::digest::digest(&ring::digest::SHA256, message).as_ref())
    }

    /// Computes the same for fields that exceed the buffer. The buffer is faster.
    fn of_long_fields(fields: &[&[u8]]) -> Self {
        let mut context = ring::digest::Context::new(&ring::digest::SHA256);
        for field in fields {
            context.update(&length_prefix(field));
            context.update(field);
        }
        Self::from_ring(context.finish().as_ref())
    }

    /// Takes the 32 bytes that `ring` returns for every SHA-256 and HMAC-SHA-256.
    pub(crate) fn from_ring(bytes: &[u8]) -> Self {
        Self(bytes.try_into().unwrap_or_default())
    }
}

/// Returns the length prefix of `field` in every digest and MAC of this crate.
///
/// Every field has a limit far below 4 GiB.
pub(crate) fn length_prefix(field: &[u8]) -> [u8; 4] {
    u32::try_from(field.len()).unwrap_or(u32::MAX).to_be_bytes()
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [a, b, c, ..] = self.0;
        write!(f, "Digest({a:02x}{b:02x}{c:02x}..)")
    }
}

impl Serialize for Digest {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.to_base64url())
    }
}

impl<'de> Deserialize<'de> for Digest {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let bytes = URL_SAFE_NO_PAD
            .decode(String::deserialize(deserializer)?)
            .ok()
            .and_then(|bytes| <[u8; 32]>::try_from(bytes).ok());
        bytes.map(Self).ok_or_else(|| serde::de::Error::custom("not 32 bytes of base64url"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::OsRandom;

    #[test]
    fn generated_secrets_have_256_bits_and_a_prefix_for_scanners() {
        let secret = ClientSecret::generate(&OsRandom::new()).unwrap();
        let text = secret.expose_secret();
        assert_eq!(URL_SAFE_NO_PAD.decode(text.strip_prefix("gcs_").unwrap()).unwrap().len(), 32);
        assert!(!format!("{secret:?}").contains(text));
    }

    #[test]
    fn a_digest_of_fields_depends_on_their_boundaries() {
        assert_ne!(Digest::of_fields(&[b"ab", b"c"]), Digest::of_fields(&[b"a", b"bc"]));
        assert_ne!(Digest::of_fields(&[b""]), Digest::of_fields(&[]));
        for length in [0, 1, 247, 248, 249, 1_000] {
            let long = vec![b'x'; length];
            let fields = [&long[..], b"end"];
            assert_eq!(Digest::of_fields(&fields), Digest::of_long_fields(&fields), "{length}");
        }
    }

    #[test]
    fn a_digest_survives_json() {
        let digest = Digest::of_fields(&[b"x"]);
        let json = serde_json::to_string(&digest).unwrap();
        assert_eq!(serde_json::from_str::<Digest>(&json).unwrap(), digest);
        assert!(serde_json::from_str::<Digest>("\"AAAA\"").is_err());
    }
}
