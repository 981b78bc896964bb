//! New secrets on their way to a page that shows them once.

use std::time::Duration;

use zeroize::Zeroizing;

use super::{Admin, AdminError};
use crate::app::AppCredentials;
use crate::clock::UnixTime;
use crate::ids::ClientId;
use crate::secret::{ClientSecret, SignatureSecret, length_prefix};
use crate::server_secret::{Purpose, Sealed};
use crate::store::Store;

/// The time within which a browser has to follow the redirect.
const LIFETIME: Duration = Duration::from_mins(1);

/// Apps: secrets that a page shows once.
///
/// A page that shows new secrets must not be the answer to the form that made them: reloading it would
/// send the form again. The answer is a redirect, and the secrets travel in a cookie, sealed.
impl<S: Store> Admin<'_, S> {
    /// Seals new secrets for a page of the administrator's session, for a minute. `session` is the session's
    /// key, a text that no other session has.
    ///
    /// The text has only letters, digits, `-` and `_`, so that a cookie can carry it. It is a secret as long
    /// as the session is: it opens again within the minute, so the page forgets the cookie when it has shown
    /// them.
    ///
    /// # Errors
    ///
    /// [`AdminError::Random`].
    pub fn seal_credentials(
        &self,
        credentials: &AppCredentials,
        session: &str,
    ) -> Result<String, AdminError> {
        let until = self.parts.clock.now().plus(LIFETIME).as_millis().to_be_bytes();
        let text = |secret: Option<&str>| secret.unwrap_or_default().as_bytes().to_vec();
        let fields = [
            Zeroizing::new(credentials.client_id.as_str().as_bytes().to_vec()),
            Zeroizing::new(text(
                credentials.client_secret.as_ref().map(ClientSecret::expose_secret),
            )),
            Zeroizing::new(text(
                credentials.signature_secret.as_ref().map(SignatureSecret::expose_secret),
            )),
        ];
        // Room for all: a reallocation would leave a copy that is not zeroized.
        let room = until.len() + fields.iter().map(|field| 4 + field.len()).sum::<usize>();
        let mut plain = Zeroizing::new(Vec::with_capacity(room));
        plain.extend_from_slice(&until);
        for field in &fields {
            plain.extend_from_slice(&length_prefix(field));
            plain.extend_from_slice(field);
        }
        let purpose = Purpose::ShownOnce(session);
        let sealed = self.parts.sealing.seal_for(purpose, &plain, self.parts.random)?;
        Ok(sealed.to_text())
    }

    /// Opens what [`seal_credentials`](Self::seal_credentials) returned. `None` if the minute is over, the
    /// session is another one, or the text was altered.
    #[must_use]
    pub fn open_credentials(&self, sealed: &str, session: &str) -> Option<AppCredentials> {
        let sealed = Sealed::from_text(sealed).ok()?;
        let plain = self.parts.sealing.open_for(Purpose::ShownOnce(session), &sealed).ok()?;
        let (until, mut rest) = plain.split_first_chunk()?;
        if UnixTime::from_millis(i64::from_be_bytes(*until)) <= self.parts.clock.now() {
            return None;
        }
        let client_id = ClientId::new(next(&mut rest)?).ok()?;
        let (client, signature) = (next(&mut rest)?, next(&mut rest)?);
        Some(AppCredentials {
            client_id,
            client_secret: (!client.is_empty()).then(|| ClientSecret::new(client)),
            signature_secret: (!signature.is_empty()).then(|| SignatureSecret::new(signature)),
        })
    }
}

/// Takes the next field.
fn next<'a>(rest: &mut &'a [u8]) -> Option<&'a str> {
    let (length, after) = rest.split_first_chunk()?;
    let length = usize::try_from(u32::from_be_bytes(*length)).ok()?;
    let (field, after) = after.split_at_checked(length)?;
    *rest = after;
    std::str::from_utf8(field).ok()
}

#[cfg(test)]
mod tests {
    use crate::clock::{ManualClock, UnixTime};
    use crate::ids::Issuer;
    use crate::jwt::{Algorithm, SigningKey};
    use crate::server::AuthorizationServer;
    use crate::server_secret::ServerSecret;
    use crate::store::MemoryStore;
    use crate::users::MemoryUsers;

    use super::*;
    use std::sync::Arc;

    /// H6: sealed credentials open in their session, and for a minute.
    #[test]
    fn sealed_credentials_open_in_their_session_and_minute_only() {
        let clock = Arc::new(ManualClock::new(UnixTime::from_seconds(1_700_000_000)));
        let server = |issuer: &str| {
            let secret = ServerSecret::new(b"0123456789abcdef0123456789abcdef").unwrap();
            let key = SigningKey::generate(Algorithm::ES256).unwrap();
            let (issuer, store) = (Issuer::new(issuer).unwrap(), MemoryStore::new());
            AuthorizationServer::builder(issuer, secret, key, store, MemoryUsers::default())
                .clock(Arc::clone(&clock))
                .build()
        };
        let (own, other) = (server("https://as.example.com"), server("https://other.example"));
        let admin = own.admin("ann");
        let credentials = AppCredentials {
            client_id: ClientId::new("app").unwrap(),
            client_secret: Some(ClientSecret::new("planted secret")),
            signature_secret: None,
        };
        let sealed = admin.seal_credentials(&credentials, "session").unwrap();
        assert!(!sealed.contains("planted"));
        assert!(sealed.bytes().all(|it| it.is_ascii_alphanumeric() || b"-_".contains(&it)));
        let opened = admin.open_credentials(&sealed, "session").unwrap();
        let secret = opened.client_secret.as_ref().map(ClientSecret::expose_secret);
        assert_eq!((opened.client_id.as_str(), secret), ("app", Some("planted secret")));
        assert!(opened.signature_secret.is_none());
        let altered = format!("{}A", &sealed[..sealed.len() - 1]);
        for (text, session) in [
            (&*sealed, "another session"),
            (&sealed, ""),
            (&sealed[1..], "session"),
            (&altered[..], "session"),
            ("", "session"),
        ] {
            let is_same = text == sealed && session == "session";
            assert!(is_same || admin.open_credentials(text, session).is_none(), "{session}");
        }
        assert!(other.admin("ann").open_credentials(&sealed, "session").is_none());
        clock.advance(LIFETIME.saturating_sub(Duration::from_millis(1)));
        assert!(admin.open_credentials(&sealed, "session").is_some());
        clock.advance(Duration::from_millis(1));
        assert!(admin.open_credentials(&sealed, "session").is_none());
    }
}
