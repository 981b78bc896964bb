//! Impersonation policies: plain data and one pure function that evaluates them.

use serde::{Deserialize, Serialize};

use crate::protocol::scope::Scope;
use crate::users::{Members, User};

/// The users that a policy allows before its exceptions apply.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Impersonable {
    /// No user.
    #[default]
    #[serde(rename = "nobody")]
    None,
    /// The listed users and groups. An empty list allows no user.
    Members(Members),
    /// Every active user.
    Anyone,
}

/// A rule that says which users an app may impersonate through the JWT bearer grant.
///
/// The default allows no user.
///
/// ```
/// use grantor::app::ImpersonationPolicy;
/// use grantor::ids::{Group, Subject};
/// use grantor::users::{Members, User};
///
/// let staff = Group::new("staff")?;
/// let policy = ImpersonationPolicy::members(Members::groups([staff.clone()]))
///     .except(Members::subjects([Subject::new("root@example.com")?]));
///
/// let ann = User::new(Subject::new("ann@example.com")?).with_groups([staff.clone()]);
/// let root = User::new(Subject::new("root@example.com")?).with_groups([staff]);
/// assert!(policy.permits(&ann).is_ok());
/// assert!(policy.permits(&root).is_err());
/// # Ok::<(), grantor::ids::InvalidId>(())
/// ```
#[doc(alias = "may_act")]
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct ImpersonationPolicy {
    /// The users allowed.
    pub allow: Impersonable,
    /// The exceptions. They win over `allow`.
    pub except: Members,
    /// The scope ceiling for impersonation. `None` means the app's own scope.
    pub scope: Option<Scope>,
}

/// The reason for a denied impersonation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum NotPermitted {
    /// The policy allows no user.
    NoneAllowed,
    /// The user is not listed.
    NotListed,
    /// The user is an exception.
    Excepted,
    /// The account is not active.
    Inactive,
}

impl ImpersonationPolicy {
    /// Creates a policy that allows no user.
    #[must_use]
    pub fn none() -> Self {
        Self::default()
    }

    /// Creates a policy that allows `members`.
    #[must_use]
    pub fn members(members: Members) -> Self {
        Self { allow: Impersonable::Members(members), ..Self::default() }
    }

    /// Creates a policy that allows every active user.
    #[must_use]
    pub fn anyone() -> Self {
        Self { allow: Impersonable::Anyone, ..Self::default() }
    }

    /// Excludes `members`.
    #[must_use]
    pub fn except(mut self, members: Members) -> Self {
        self.except = members;
        self
    }

    /// Sets the scope ceiling.
    #[must_use]
    pub fn with_scope(mut self, scope: Scope) -> Self {
        self.scope = Some(scope);
        self
    }

    /// Checks that `user` may be impersonated.
    ///
    /// # Errors
    ///
    /// [`NotPermitted`] if the account is inactive, an exception, or not listed, checked in that
    /// order.
    pub fn permits(&self, user: &User) -> Result<(), NotPermitted> {
        if !user.active {
            return Err(NotPermitted::Inactive);
        }
        if user.is_among(&self.except) {
            return Err(NotPermitted::Excepted);
        }
        match &self.allow {
            Impersonable::None => Err(NotPermitted::NoneAllowed),
            Impersonable::Anyone => Ok(()),
            Impersonable::Members(members) if user.is_among(members) => Ok(()),
            Impersonable::Members(members) if members.len() == 0 => Err(NotPermitted::NoneAllowed),
            Impersonable::Members(_) => Err(NotPermitted::NotListed),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::{Group, Subject};

    fn user(name: &str, groups: &[&str]) -> User {
        User::new(Subject::new(name).unwrap())
            .with_groups(groups.iter().map(|group| Group::new(*group).unwrap()))
    }

    /// J25: an empty policy and an empty list allow no user.
    #[test]
    fn an_empty_policy_allows_no_user() {
        let ann = user("ann", &["staff"]);
        assert_eq!(ImpersonationPolicy::default().permits(&ann), Err(NotPermitted::NoneAllowed));
        let empty = ImpersonationPolicy::members(Members::default());
        assert_eq!(empty.permits(&ann), Err(NotPermitted::NoneAllowed));
    }

    /// J26: a prefix or another case of a listed subject or group does not match.
    #[test]
    fn names_are_compared_exactly() {
        let members = Members::subjects([Subject::new("ann").unwrap()])
            .and_groups([Group::new("staff").unwrap()]);
        let policy = ImpersonationPolicy::members(members);
        assert_eq!(policy.permits(&user("ann", &[])), Ok(()));
        assert_eq!(policy.permits(&user("bob", &["staff"])), Ok(()));
        for (name, groups) in [("an", &[][..]), ("anna", &[]), ("Ann", &[]), ("bob", &["Staff"])] {
            assert_eq!(policy.permits(&user(name, groups)), Err(NotPermitted::NotListed), "{name}");
        }
    }

    #[test]
    fn an_exception_and_an_inactive_account_win_over_everything() {
        let policy =
            ImpersonationPolicy::anyone().except(Members::groups([Group::new("admins").unwrap()]));
        assert_eq!(policy.permits(&user("ann", &[])), Ok(()));
        assert_eq!(policy.permits(&user("ann", &["admins"])), Err(NotPermitted::Excepted));
        let gone = user("ann", &[]).with_active(false);
        assert_eq!(policy.permits(&gone), Err(NotPermitted::Inactive));
    }

    #[test]
    fn a_policy_is_plain_json() {
        let policy = ImpersonationPolicy::members(Members::subjects([Subject::new("a").unwrap()]));
        let json = serde_json::to_value(&policy).unwrap();
        assert_eq!(json["allow"]["members"]["subjects"][0], "a");
        assert_eq!(serde_json::from_value::<ImpersonationPolicy>(json).unwrap(), policy);
        assert!(serde_json::from_str::<ImpersonationPolicy>(r#"{"alow":"anyone"}"#).is_err());
    }
}
