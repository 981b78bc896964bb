//! The host's users.

use std::collections::HashMap;
use std::error::Error as StdError;
use std::sync::{Arc, PoisonError, RwLock};

use serde::{Deserialize, Serialize};

use crate::ids::{Group, Subject};

/// A user as the host's directory returned it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct User {
    /// The name under which tokens are issued.
    pub subject: Subject,
    /// Whether the account may be used.
    pub active: bool,
    /// The groups to which the user belongs.
    #[serde(default)]
    pub groups: Vec<Group>,
}

impl User {
    /// An active user without groups.
    #[must_use]
    pub fn new(subject: Subject) -> Self {
        Self { subject, active: true, groups: Vec::new() }
    }

    /// The same user, belonging to `groups`.
    #[must_use]
    pub fn with_groups(mut self, groups: impl IntoIterator<Item = Group>) -> Self {
        self.groups = groups.into_iter().collect();
        self
    }

    /// The same user, with the account active or not.
    #[must_use]
    pub fn with_active(mut self, active: bool) -> Self {
        self.active = active;
        self
    }

    pub(crate) fn is_among(&self, members: &Members) -> bool {
        members.subjects.contains(&self.subject)
            || self.groups.iter().any(|group| members.groups.contains(group))
    }
}

/// Users named one by one and by group. Names are compared exactly: no prefix, no case folding.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct Members {
    /// Named one by one.
    pub subjects: Vec<Subject>,
    /// Every member of these groups.
    pub groups: Vec<Group>,
}

impl Members {
    /// These users.
    #[must_use]
    pub fn subjects(subjects: impl IntoIterator<Item = Subject>) -> Self {
        Self { subjects: subjects.into_iter().collect(), groups: Vec::new() }
    }

    /// Every member of these groups.
    #[must_use]
    pub fn groups(groups: impl IntoIterator<Item = Group>) -> Self {
        Self { subjects: Vec::new(), groups: groups.into_iter().collect() }
    }

    /// These users, and every member of `groups` too.
    #[must_use]
    pub fn and_groups(mut self, groups: impl IntoIterator<Item = Group>) -> Self {
        self.groups.extend(groups);
        self
    }

    pub(crate) fn len(&self) -> usize {
        self.subjects.len() + self.groups.len()
    }
}

/// The directory could not tell. The request fails with `server_error`; nothing is issued.
#[derive(Debug, thiserror::Error)]
#[error("the user directory failed")]
pub struct DirectoryError {
    source: Box<dyn StdError + Send + Sync>,
}

impl DirectoryError {
    /// Wraps what the directory said. It reaches the audit log, never a client.
    pub fn new(source: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        Self { source: source.into() }
    }
}

/// Where the host keeps its users. Asked before every token that acts as a user, so that a user
/// who is gone gets none.
pub trait UserDirectory: Send + Sync {
    /// Finds a user by the name under which tokens are issued.
    ///
    /// # Errors
    ///
    /// [`DirectoryError`] when it cannot tell.
    fn find_user(
        &self,
        subject: &Subject,
    ) -> impl Future<Output = Result<Option<User>, DirectoryError>> + Send;

    /// Finds the user whom an assertion names: by `value` of the `claim` that the app is set to,
    /// for example `email`. For `sub` it is [`find_user`](Self::find_user). By any other claim it
    /// finds nobody unless the host overrides it: that a value happens to be somebody's subject
    /// does not make it theirs.
    ///
    /// # Errors
    ///
    /// [`DirectoryError`] when it cannot tell.
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
}

impl<T: UserDirectory> UserDirectory for Arc<T> {
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

/// Users in memory: for tests, examples and servers whose users are few. Found by `sub` only.
#[derive(Debug, Default)]
pub struct MemoryUsers(RwLock<HashMap<Subject, User>>);

impl MemoryUsers {
    /// These users.
    #[must_use]
    pub fn new(users: impl IntoIterator<Item = User>) -> Self {
        let users = users.into_iter().map(|user| (user.subject.clone(), user));
        Self(RwLock::new(users.collect()))
    }

    /// Adds `user`, or replaces the one with that subject.
    pub fn put(&self, user: User) {
        let mut users = self.0.write().unwrap_or_else(PoisonError::into_inner);
        users.insert(user.subject.clone(), user);
    }

    /// Removes a user.
    pub fn remove(&self, subject: &Subject) {
        self.0.write().unwrap_or_else(PoisonError::into_inner).remove(subject);
    }
}

impl UserDirectory for MemoryUsers {
    async fn find_user(&self, subject: &Subject) -> Result<Option<User>, DirectoryError> {
        Ok(self.0.read().unwrap_or_else(PoisonError::into_inner).get(subject).cloned())
    }
}

#[cfg(test)]
mod tests {
    use pollster::block_on;

    use super::*;

    #[test]
    fn a_claim_that_the_host_does_not_look_up_names_nobody() {
        let ann = Subject::new("ann").unwrap();
        let users = Arc::new(MemoryUsers::new([User::new(ann.clone())]));
        let find = |claim, value| block_on(users.find_user_by_claim(claim, value)).unwrap();
        assert_eq!(find("sub", "ann").map(|user| user.subject), Some(ann));
        for (claim, value) in [("sub", "bob"), ("sub", ""), ("email", "ann"), ("SUB", "ann")] {
            assert!(find(claim, value).is_none(), "{claim} {value}");
        }
    }
}
