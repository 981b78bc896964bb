//! Users: the directory of the authorization server, and the passwords of the login page.

use std::collections::HashMap;
use std::num::NonZeroU32;

use grantor::ids::EvidenceIssuer;
use grantor::random::{RandomError, SecureRandom};
use grantor::users::DirectoryError;
use grantor::{Subject, User, UserDirectory};
use ring::pbkdf2;

use crate::seed::SeedUser;

/// Rounds of PBKDF2. The number is low so that a seed with a thousand users starts within seconds.
/// A real user store uses argon2 or hundreds of thousands of rounds.
const ROUNDS: NonZeroU32 = NonZeroU32::new(10_000).unwrap();

/// The users of the seed, with hashed passwords.
pub(crate) struct Users {
    by_name: HashMap<Subject, (User, Password)>,
    /// Subjects by the name and value of a claim other than `sub`.
    by_claim: HashMap<(String, String), Subject>,
    /// Subjects by an issuer and the subject there.
    by_link: HashMap<(EvidenceIssuer, String), Subject>,
    /// Hashed for unknown names, so that they take as long as known ones.
    decoy: Password,
}

struct Password {
    salt: [u8; 16],
    hash: [u8; 32],
}

impl Password {
    fn new(password: &str, random: &dyn SecureRandom) -> Result<Self, RandomError> {
        let (mut salt, mut hash) = ([0; 16], [0; 32]);
        random.fill(&mut salt)?;
        pbkdf2::derive(pbkdf2::PBKDF2_HMAC_SHA256, ROUNDS, &salt, password.as_bytes(), &mut hash);
        Ok(Self { salt, hash })
    }

    /// Compares in constant time.
    fn is(&self, password: &str) -> bool {
        let (algorithm, password) = (pbkdf2::PBKDF2_HMAC_SHA256, password.as_bytes());
        pbkdf2::verify(algorithm, ROUNDS, &self.salt, password, &self.hash).is_ok()
    }
}

impl Users {
    /// Hashes every password.
    ///
    /// # Errors
    ///
    /// A message that names the problem in the seed or the system.
    pub(crate) fn new(seed: &[SeedUser], random: &dyn SecureRandom) -> Result<Self, String> {
        let failed = |error: RandomError| error.to_string();
        let decoy = Password::new("", random).map_err(failed)?;
        let (by_name, by_claim, by_link) = (HashMap::new(), HashMap::new(), HashMap::new());
        let mut all = Self { by_name, by_claim, by_link, decoy };
        for one in seed {
            let user = User::new(one.name.clone())
                .with_groups(one.groups.iter().cloned())
                .with_active(one.active);
            let password = Password::new(&one.password, random).map_err(failed)?;
            if all.by_name.insert(one.name.clone(), (user, password)).is_some() {
                return Err(format!("the seed has two users called {}", one.name));
            }
            for (claim, value) in &one.claims {
                let claim = (claim.clone(), value.clone());
                if all.by_claim.insert(claim, one.name.clone()).is_some() {
                    return Err(format!("the seed has two users with a claim of {}", one.name));
                }
            }
            for link in &one.links {
                let account = (link.issuer.clone(), link.subject.clone());
                if all.by_link.insert(account, one.name.clone()).is_some() {
                    return Err(format!("the seed has two users with a link of {}", one.name));
                }
            }
        }
        Ok(all)
    }

    /// Returns the active user with this name and password. Takes as long for an unknown name, so
    /// that it does not reveal accounts. Blocks for some milliseconds.
    pub(crate) fn log_in(&self, name: &str, password: &str) -> Option<Subject> {
        let found = self.by_name.get(name);
        let stored = found.map_or(&self.decoy, |(_, stored)| stored);
        let matches = stored.is(password);
        found.filter(|(user, _)| matches && user.active).map(|(user, _)| user.subject.clone())
    }

    /// Returns a user for the protected API.
    pub(crate) fn get(&self, name: &str) -> Option<&User> {
        self.by_name.get(name).map(|(user, _)| user)
    }

    /// Returns true if the account exists and is active.
    pub(crate) fn is_active(&self, name: &str) -> bool {
        self.get(name).is_some_and(|user| user.active)
    }

    pub(crate) fn len(&self) -> usize {
        self.by_name.len()
    }
}

impl std::fmt::Debug for Users {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Users").field("users", &self.by_name.len()).finish_non_exhaustive()
    }
}

impl UserDirectory for Users {
    async fn find_user(&self, subject: &Subject) -> Result<Option<User>, DirectoryError> {
        Ok(self.get(subject.as_str()).cloned())
    }

    async fn find_user_by_claim(
        &self,
        claim: &str,
        value: &str,
    ) -> Result<Option<User>, DirectoryError> {
        if claim == "sub" {
            return Ok(self.get(value).cloned());
        }
        let subject = self.by_claim.get(&(claim.to_owned(), value.to_owned()));
        Ok(subject.and_then(|subject| self.get(subject.as_str())).cloned())
    }

    async fn find_linked_user(
        &self,
        issuer: &EvidenceIssuer,
        subject: &str,
    ) -> Result<Option<User>, DirectoryError> {
        let found = self.by_link.get(&(issuer.clone(), subject.to_owned()));
        Ok(found.and_then(|subject| self.get(subject.as_str())).cloned())
    }
}

#[cfg(test)]
mod tests {
    use grantor::random::OsRandom;
    use serde_json::json;

    use super::*;

    #[test]
    fn inactive_and_unknown_users_and_wrong_passwords_are_refused() {
        let seed: Vec<SeedUser> = serde_json::from_value(json!([
            { "name": "ann", "password": "right", "claims": { "email": "ann@example.com" } },
            { "name": "dave", "password": "right", "active": false,
              "links": [{ "issuer": "https://idp.example", "subject": "ann" }] },
        ]))
        .unwrap();
        let users = Users::new(&seed, &OsRandom::new()).unwrap();
        assert_eq!(users.log_in("ann", "right"), Some(Subject::new("ann").unwrap()));
        for (name, password) in
            [("ann", "wrong"), ("ann", ""), ("dave", "right"), ("eve", "right"), ("eve", "")]
        {
            assert_eq!(users.log_in(name, password), None, "{name} {password}");
        }
        let find = |claim, value| {
            pollster::block_on(users.find_user_by_claim(claim, value)).unwrap().is_some()
        };
        assert!(find("email", "ann@example.com") && find("sub", "ann"));
        assert!(!find("email", "ann") && !find("name", "ann"));
        let linked = |issuer, subject| {
            let issuer = EvidenceIssuer::new(issuer).unwrap();
            let found = pollster::block_on(users.find_linked_user(&issuer, subject)).unwrap();
            found.map(|user| user.subject.to_string())
        };
        assert_eq!(linked("https://idp.example", "ann").as_deref(), Some("dave"));
        assert_eq!(linked("https://idp.example", "dave"), None);
        assert_eq!(linked("https://other.example", "ann"), None);
    }
}
