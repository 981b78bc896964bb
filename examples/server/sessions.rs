//! Browser sessions of users.
//!
//! A browser holds a random id in a cookie. The server keeps its SHA-256 digest, the user and the
//! time of the login. The id changes with every login and is removed at logout.

use std::collections::HashMap;
use std::sync::{PoisonError, RwLock};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use grantor::Subject;
use grantor::clock::UnixTime;
use grantor::random::{RandomError, SecureRandom};
use ring::{digest, hmac};

/// The lifetime of a login.
const LIFETIME: Duration = Duration::from_hours(8);
/// The maximum number of logins. Beyond it, the oldest is removed.
const MAX_SESSIONS: usize = 100_000;
/// The lifetime of a login form.
const FORM_LIFETIME: Duration = Duration::from_hours(1);
/// The number of failed logins for one name from one address within the window, and the number of
/// names to track.
const MAX_FAILURES: u32 = 10;
const FAILURE_WINDOW: Duration = Duration::from_mins(1);
const MAX_FAILING: usize = 10_000;

/// The logins of this process.
pub(crate) struct Sessions {
    /// Sessions by the digest of their ids.
    live: RwLock<HashMap<[u8; 32], Session>>,
    failures: RwLock<HashMap<(String, String), (u32, UnixTime)>>,
    /// The key of the login form's anti-forgery token.
    form_key: hmac::Key,
    limits: bool,
}

/// A login.
#[derive(Clone)]
pub(crate) struct Session {
    pub(crate) subject: Subject,
    /// The session's name for the authorization server, and the anti-forgery token of forms. It
    /// does not grant access to the session.
    pub(crate) token: String,
    pub(crate) logged_in_at: UnixTime,
}

impl Sessions {
    /// Creates an empty set of logins. With `limits`, names with many failures have to wait.
    ///
    /// # Errors
    ///
    /// [`RandomError`] if the source of randomness fails.
    pub(crate) fn new(limits: bool, random: &dyn SecureRandom) -> Result<Self, RandomError> {
        let mut key = [0; 32];
        random.fill(&mut key)?;
        Ok(Self {
            live: RwLock::default(),
            failures: RwLock::default(),
            form_key: hmac::Key::new(hmac::HMAC_SHA256, &key),
            limits,
        })
    }

    /// Logs `subject` in and returns the id for the cookie. Ends the browser's earlier login with
    /// the id `before`.
    ///
    /// # Errors
    ///
    /// [`RandomError`] if the source of randomness fails.
    pub(crate) fn log_in(
        &self,
        subject: Subject,
        before: Option<&str>,
        now: UnixTime,
        random: &dyn SecureRandom,
    ) -> Result<String, RandomError> {
        let (id, token) = (random_text(random)?, random_text(random)?);
        let mut sessions = self.live.write().unwrap_or_else(PoisonError::into_inner);
        if let Some(before) = before {
            sessions.remove(&digest_of(before));
        }
        if sessions.len() >= MAX_SESSIONS {
            sessions.retain(|_, session| session.lives(now));
            let oldest = sessions.iter().min_by_key(|(_, it)| it.logged_in_at).map(|(id, _)| *id);
            if let Some(oldest) = oldest.filter(|_| sessions.len() >= MAX_SESSIONS) {
                sessions.remove(&oldest);
            }
        }
        sessions.insert(digest_of(&id), Session { subject, token, logged_in_at: now });
        Ok(id)
    }

    /// Finds the login with this cookie value.
    pub(crate) fn find(&self, id: &str, now: UnixTime) -> Option<Session> {
        let sessions = self.live.read().unwrap_or_else(PoisonError::into_inner);
        sessions.get(&digest_of(id)).filter(|session| session.lives(now)).cloned()
    }

    /// Ends a login.
    pub(crate) fn log_out(&self, id: &str) {
        let mut sessions = self.live.write().unwrap_or_else(PoisonError::into_inner);
        sessions.remove(&digest_of(id));
    }

    /// Ends every login of a user.
    pub(crate) fn log_out_everywhere(&self, subject: &Subject) {
        let mut sessions = self.live.write().unwrap_or_else(PoisonError::into_inner);
        sessions.retain(|_, session| session.subject != *subject);
    }

    /// Returns the anti-forgery token of a login form for the browser with this cookie. There is no
    /// session to bind it to before the login.
    pub(crate) fn form_token(&self, cookie: &str, now: UnixTime) -> String {
        let issued = now.as_seconds().to_string();
        format!("{issued}.{}", URL_SAFE_NO_PAD.encode(self.form_tag(cookie, &issued)))
    }

    /// Returns true if this server made `token` for the browser with this cookie within the last
    /// hour.
    pub(crate) fn accepts_form(&self, cookie: &str, token: &str, now: UnixTime) -> bool {
        let Some((issued, tag)) = token.split_once('.') else { return false };
        let (Ok(tag), Ok(at)) = (URL_SAFE_NO_PAD.decode(tag), issued.parse()) else { return false };
        let lives = UnixTime::from_seconds(at).plus(FORM_LIFETIME) > now;
        let text = form_text(cookie, issued);
        lives && hmac::verify(&self.form_key, text.as_bytes(), &tag).is_ok()
    }

    fn form_tag(&self, cookie: &str, issued: &str) -> hmac::Tag {
        hmac::sign(&self.form_key, form_text(cookie, issued).as_bytes())
    }

    /// Counts a failed login before the password is checked. Returns false, and counts nothing, if logins
    /// with this name have failed too often from this address.
    pub(crate) fn reserve_failure(&self, name: &str, address: &str, now: UnixTime) -> bool {
        if !self.limits {
            return true;
        }
        let mut failures = self.failures.write().unwrap_or_else(PoisonError::into_inner);
        let key = (name.to_owned(), address.to_owned());
        if failures.len() >= MAX_FAILING && !failures.contains_key(&key) {
            failures.retain(|_, (_, since)| since.plus(FAILURE_WINDOW) > now);
            // A flood of new names must not displace a name with many failures.
            let least = failures.iter().min_by_key(|(_, counted)| **counted);
            let least = least.map(|(key, _)| key.clone());
            if let Some(least) = least.filter(|_| failures.len() >= MAX_FAILING) {
                failures.remove(&least);
            }
        }
        let (count, since) = failures.entry(key).or_insert((0, now));
        if since.plus(FAILURE_WINDOW) <= now {
            (*count, *since) = (0, now);
        }
        let reserved = *count < MAX_FAILURES;
        *count += u32::from(reserved);
        reserved
    }

    /// Undoes a reservation, because the login succeeded. A login that is dropped keeps its own.
    pub(crate) fn give_back_failure(&self, name: &str, address: &str) {
        let mut failures = self.failures.write().unwrap_or_else(PoisonError::into_inner);
        if let Some((count, _)) = failures.get_mut(&(name.to_owned(), address.to_owned())) {
            *count = count.saturating_sub(1);
        }
    }
}

impl Session {
    fn lives(&self, now: UnixTime) -> bool {
        self.logged_in_at.plus(LIFETIME) > now
    }
}

impl std::fmt::Debug for Sessions {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Sessions").finish_non_exhaustive()
    }
}

/// Returns 256 random bits as text.
///
/// # Errors
///
/// [`RandomError`] if the source of randomness fails.
pub(crate) fn random_text(random: &dyn SecureRandom) -> Result<String, RandomError> {
    let mut bytes = [0; 32];
    random.fill(&mut bytes)?;
    Ok(URL_SAFE_NO_PAD.encode(bytes))
}

fn digest_of(id: &str) -> [u8; 32] {
    let mut digest = [0; 32];
    digest.copy_from_slice(digest::digest(&digest::SHA256, id.as_bytes()).as_ref());
    digest
}

fn form_text(cookie: &str, issued: &str) -> String {
    format!("login form {issued} {cookie}")
}

#[cfg(test)]
mod tests {
    use grantor::random::OsRandom;

    use super::*;

    const NOW: UnixTime = UnixTime::from_seconds(1_800_000_000);

    fn sessions() -> Sessions {
        Sessions::new(true, &OsRandom::new()).unwrap()
    }

    fn log_in(sessions: &Sessions, before: Option<&str>) -> String {
        let ann = Subject::new("ann").unwrap();
        sessions.log_in(ann, before, NOW, &OsRandom::new()).unwrap()
    }

    #[test]
    fn a_login_ends_with_the_next_login_at_logout_and_by_expiry() {
        let sessions = sessions();
        let first = log_in(&sessions, None);
        let second = log_in(&sessions, Some(&first));
        assert_ne!(first, second);
        assert!(sessions.find(&first, NOW).is_none());
        let found = sessions.find(&second, NOW).unwrap();
        assert_eq!((found.subject.as_str(), found.logged_in_at), ("ann", NOW));
        assert!(sessions.find(&found.token, NOW).is_none(), "a token is no way in");
        assert!(sessions.find(&second, NOW.plus(LIFETIME)).is_none());
        sessions.log_out(&second);
        assert!(sessions.find(&second, NOW).is_none());
    }

    #[cfg(feature = "console")]
    #[test]
    fn a_user_is_logged_out_everywhere_and_others_are_not() {
        let sessions = sessions();
        let (first, second) = (log_in(&sessions, None), log_in(&sessions, None));
        let bob = Subject::new("bob").unwrap();
        let other = sessions.log_in(bob, None, NOW, &OsRandom::new()).unwrap();
        sessions.log_out_everywhere(&Subject::new("ann").unwrap());
        let found = [&first, &second, &other].map(|id| sessions.find(id, NOW).is_some());
        assert_eq!(found, [false, false, true]);
    }

    #[test]
    fn a_form_is_valid_in_its_browser_for_an_hour() {
        let sessions = sessions();
        let token = sessions.form_token("cookie", NOW);
        assert!(sessions.accepts_form("cookie", &token, NOW));
        assert!(!sessions.accepts_form("another", &token, NOW));
        assert!(!sessions.accepts_form("cookie", &token, NOW.plus(FORM_LIFETIME)));
        let (issued, tag) = token.split_once('.').unwrap();
        let later = issued.parse::<i64>().unwrap() + 60;
        for forged in [format!("{later}.{tag}"), format!("{issued}."), issued.to_owned()] {
            assert!(!sessions.accepts_form("cookie", &forged, NOW), "{forged}");
        }
    }

    #[test]
    fn only_a_guessing_address_has_to_wait() {
        let sessions = sessions();
        for _ in 0..50 {
            assert!(sessions.reserve_failure("ann", "10.0.0.1", NOW));
            sessions.give_back_failure("ann", "10.0.0.1");
        }
        for _ in 0..MAX_FAILURES {
            assert!(sessions.reserve_failure("ann", "10.0.0.1", NOW));
        }
        assert!(!sessions.reserve_failure("ann", "10.0.0.1", NOW));
        assert!(sessions.reserve_failure("ann", "10.0.0.2", NOW));
        assert!(sessions.reserve_failure("bob", "10.0.0.1", NOW));
        assert!(sessions.reserve_failure("ann", "10.0.0.1", NOW.plus(FAILURE_WINDOW)));
    }

    #[test]
    fn a_flood_of_names_does_not_hide_guesses() {
        let sessions = sessions();
        for number in 0..MAX_FAILING {
            sessions.reserve_failure(&number.to_string(), "10.0.0.1", NOW);
        }
        for _ in 0..MAX_FAILURES {
            sessions.reserve_failure("ann", "10.0.0.1", NOW);
        }
        sessions.reserve_failure("yet another", "10.0.0.1", NOW);
        assert!(!sessions.reserve_failure("ann", "10.0.0.1", NOW));
        assert_eq!(sessions.failures.read().unwrap().len(), MAX_FAILING);
    }
}
