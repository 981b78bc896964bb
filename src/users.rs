//! Users and the host's user directory.

use std::collections::HashMap;
use std::error::Error as StdError;
use std::sync::{Arc, PoisonError, RwLock};

use crossbeam_utils::sync::ShardedLock;
use foldhash::fast::RandomState;
use serde::{Deserialize, Serialize};

use crate::ids::{EvidenceIssuer, Group, Subject};

/// A user of the host.
#[doc(alias = "resource_owner")]
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct User {
    /// The `sub` of the user's tokens.
    pub subject: Subject,
    /// Whether the account is active.
    pub active: bool,
    /// The groups of the user.
    #[serde(default)]
    pub groups: Vec<Group>,
}

impl User {
    /// Creates an active user without groups.
    #[must_use]
    pub fn new(subject: Subject) -> Self {
        Self { subject, active: true, groups: Vec::new() }
    }

    /// Sets the groups.
    #[must_use]
    pub fn with_groups(mut self, groups: impl IntoIterator<Item = Group>) -> Self {
        self.groups = groups.into_iter().collect();
        self
    }

    /// Sets whether the account is active.
    #[must_use]
    pub fn with_active(mut self, active: bool) -> Self {
        self.active = active;
        self
    }
}

/// An entry of a list of users and groups.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_enums, reason = "`Members` has these two lists")]
pub enum Member<'a> {
    /// An individual user.
    Subject(&'a Subject),
    /// A group.
    Group(&'a Group),
}

/// A list of users and groups. Names are compared exactly, without prefixes or case folding.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct Members {
    /// Individual users.
    pub subjects: Vec<Subject>,
    /// Groups. Every member is included.
    pub groups: Vec<Group>,
}

impl Members {
    /// Creates a list of individual users.
    #[must_use]
    pub fn subjects(subjects: impl IntoIterator<Item = Subject>) -> Self {
        Self { subjects: subjects.into_iter().collect(), groups: Vec::new() }
    }

    /// Creates a list of groups.
    #[must_use]
    pub fn groups(groups: impl IntoIterator<Item = Group>) -> Self {
        Self { subjects: Vec::new(), groups: groups.into_iter().collect() }
    }

    /// Adds groups.
    #[must_use]
    pub fn and_groups(mut self, groups: impl IntoIterator<Item = Group>) -> Self {
        self.groups.extend(groups);
        self
    }

    /// Returns the entry that includes `user`: the user's own, else the first of the user's groups that is
    /// listed.
    #[must_use]
    pub fn find(&self, user: &User) -> Option<Member<'_>> {
        let own = self.subjects.iter().find(|subject| **subject == user.subject);
        own.map(Member::Subject).or_else(|| {
            let listed = |group| self.groups.iter().find(|listed| *listed == group);
            user.groups.iter().find_map(listed).map(Member::Group)
        })
    }

    pub(crate) fn len(&self) -> usize {
        self.subjects.len() + self.groups.len()
    }
}

/// A failed lookup in the user directory. The request fails with `server_error`, and no token is
/// issued.
#[derive(Debug, thiserror::Error)]
#[error("the user directory failed")]
pub struct DirectoryError {
    source: Box<dyn StdError + Send + Sync>,
}

impl DirectoryError {
    /// Wraps the directory's error. It reaches the audit log, never a client.
    pub fn new(source: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        Self { source: source.into() }
    }
}

/// The host's user directory.
///
/// The server looks the user up before it issues a token for that user, so a deleted user gets no
/// tokens.
pub trait UserDirectory: Send + Sync {
    /// Finds a user by subject.
    ///
    /// # Errors
    ///
    /// [`DirectoryError`] if the lookup fails.
    fn find_user(
        &self,
        subject: &Subject,
    ) -> impl Future<Output = Result<Option<User>, DirectoryError>> + Send;

    /// Finds the user that an assertion names: `claim` is the app's user claim, for example
    /// `email`, and `value` its value.
    ///
    /// The default implementation calls [`find_user`](Self::find_user) for `sub` and returns `None`
    /// for any other claim: an equal text in another claim does not prove that it is the user's
    /// subject.
    ///
    /// # Errors
    ///
    /// [`DirectoryError`] if the lookup fails.
    fn find_user_by_claim(
        &self,
        claim: &str,
        value: &str,
    ) -> impl Future<Output = Result<Option<User>, DirectoryError>> + Send {
        let subject = if claim == "sub" { Subject::new(value).ok() } else { None };
        async move {
            match subject {
                Some(subject) => self.find_user(&subject).await,
                None => Ok(None),
            }
        }
    }

    /// Finds the user that is linked to `subject` at another issuer, `sub` and `iss` of its tokens: the account with
    /// which the user logs in at the host by that issuer.
    ///
    /// The default implementation returns `None`.
    ///
    /// # Errors
    ///
    /// [`DirectoryError`] if the lookup fails.
    fn find_linked_user(
        &self,
        issuer: &EvidenceIssuer,
        subject: &str,
    ) -> impl Future<Output = Result<Option<User>, DirectoryError>> + Send {
        _ = (issuer, subject);
        async { Ok(None) }
    }
}

impl<T: UserDirectory> UserDirectory for Arc<T> {
    async fn find_linked_user(
        &self,
        issuer: &EvidenceIssuer,
        subject: &str,
    ) -> Result<Option<User>, DirectoryError> {
        T::find_linked_user(self, issuer, subject).await
    }

    async fn find_user(&self, subject: &Subject) -> Result<Option<User>, DirectoryError> {
        T::find_user(self, subject).await
    }

    async fn find_user_by_claim(
        &self,
        claim: &str,
        value: &str,
    ) -> Result<Option<User>, DirectoryError> {
        T::find_user_by_claim(self, claim, value).await
    }
}

/// A user directory in memory, for tests, examples and small services. It finds users by `sub`, by the accounts that
/// are [linked](Self::link) to them, and by the [claims](Self::name) that they were given.
#[derive(Debug, Default)]
pub struct MemoryUsers {
    /// Every token of a user reads it.
    users: ShardedLock<HashMap<Subject, User, RandomState>>,
    /// By an issuer and its subject.
    links: RwLock<HashMap<(String, String), Subject>>,
    /// By a claim and its value.
    names: RwLock<HashMap<(String, String), Subject>>,
}

impl MemoryUsers {
    /// Creates a directory of `users`.
    #[must_use]
    pub fn new(users: impl IntoIterator<Item = User>) -> Self {
        let users = users.into_iter().map(|user| (user.subject.clone(), user));
        Self { users: ShardedLock::new(users.collect()), ..Self::default() }
    }

    /// Links the account `subject` at another issuer to a user.
    pub fn link(&self, issuer: &EvidenceIssuer, subject: impl Into<String>, user: &Subject) {
        let mut links = self.links.write().unwrap_or_else(PoisonError::into_inner);
        links.insert((issuer.as_str().to_owned(), subject.into()), user.clone());
    }

    /// Lets a user be found by the value of a claim, such as `email`.
    pub fn name(&self, claim: impl Into<String>, value: impl Into<String>, user: &Subject) {
        let mut names = self.names.write().unwrap_or_else(PoisonError::into_inner);
        names.insert((claim.into(), value.into()), user.clone());
    }

    fn find(&self, subject: &Subject) -> Option<User> {
        self.users.read().unwrap_or_else(PoisonError::into_inner).get(subject).cloned()
    }

    /// Adds a user, or replaces the user with the same subject.
    pub fn put(&self, user: User) {
        let mut users = self.users.write().unwrap_or_else(PoisonError::into_inner);
        users.insert(user.subject.clone(), user);
    }

    /// Removes a user.
    pub fn remove(&self, subject: &Subject) {
        self.users.write().unwrap_or_else(PoisonError::into_inner).remove(subject);
    }
}

impl UserDirectory for MemoryUsers {
    async fn find_user(&self, subject: &Subject) -> Result<Option<User>, DirectoryError> {
        Ok(self.find(subject))
    }

    async fn find_user_by_claim(
        &self,
        claim: &str,
        value: &str,
    ) -> Result<Option<User>, DirectoryError> {
        let key = (claim.to_owned(), value.to_owned());
        let names = self.names.read().unwrap_or_else(PoisonError::into_inner);
        let of_sub = || Subject::new(value).ok().filter(|_| claim == "sub");
        let subject = names.get(&key).cloned().or_else(of_sub);
        Ok(subject.and_then(|subject| self.find(&subject)))
    }

    async fn find_linked_user(
        &self,
        issuer: &EvidenceIssuer,
        subject: &str,
    ) -> Result<Option<User>, DirectoryError> {
        let key = (issuer.as_str().to_owned(), subject.to_owned());
        let links = self.links.read().unwrap_or_else(PoisonError::into_inner);
        Ok(links.get(&key).and_then(|subject| self.find(subject)))
    }
}

#[cfg(test)]
mod tests {
    use pollster::block_on;

    use super::*;

    #[test]
    fn a_claim_that_the_host_does_not_look_up_finds_no_user() {
        let ann = Subject::new("ann").unwrap();
        let users = Arc::new(MemoryUsers::new([User::new(ann.clone())]));
        let find = |claim, value| block_on(users.find_user_by_claim(claim, value)).unwrap();
        assert_eq!(find("sub", "ann").map(|user| user.subject), Some(ann));
        for (claim, value) in [("sub", "bob"), ("sub", ""), ("email", "ann"), ("SUB", "ann")] {
            assert!(find(claim, value).is_none(), "{claim} {value}");
        }
    }
}
