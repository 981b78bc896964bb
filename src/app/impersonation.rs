//! Impersonation policies as data, and the pure function that decides.

use serde::{Deserialize, Serialize};

use crate::protocol::scope::Scope;
use crate::users::{Members, User};

/// Whom an app may impersonate at most.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Impersonable {
    /// Nobody.
    #[default]
    Nobody,
    /// These users. Empty means nobody.
    Members(Members),
    /// Every active user.
    Anyone,
}

/// Whom an app may impersonate through the JWT bearer grant, as the administrator wrote it down.
///
/// The default allows nobody.
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
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct ImpersonationPolicy {
    /// Whom at most.
    pub allow: Impersonable,
    /// Minus these.
    pub except: Members,
    /// What the app may do as another user at most; `None` is the app's own scope.
    pub scope: Option<Scope>,
}

/// Why a policy does not permit a user.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum NotPermitted {
    /// The policy allows nobody.
    Nobody,
    /// The user is not among those listed.
    NotListed,
    /// The user is among those excepted.
    Excepted,
    /// The account is not active.
    Inactive,
}

impl ImpersonationPolicy {
    /// Nobody may be impersonated.
    #[must_use]
    pub fn nobody() -> Self {
        Self::default()
    }

    /// `members` may be impersonated.
    #[must_use]
    pub fn members(members: Members) -> Self {
        Self { allow: Impersonable::Members(members), ..Self::default() }
    }

    /// Every active user may be impersonated.
    #[must_use]
    pub fn anyone() -> Self {
        Self { allow: Impersonable::Anyone, ..Self::default() }
    }

    /// The same policy, without `members`.
    #[must_use]
    pub fn except(mut self, members: Members) -> Self {
        self.except = members;
        self
    }

    /// The same policy, with no more than `scope`.
    #[must_use]
    pub fn with_scope(mut self, scope: Scope) -> Self {
        self.scope = Some(scope);
        self
    }

    /// Decides whether `user` may be impersonated.
    ///
    /// # Errors
    ///
    /// [`NotPermitted`]: who is excepted, inactive or not listed is not permitted, whatever else the
    /// policy says.
    pub fn permits(&self, user: &User) -> Result<(), NotPermitted> {
        if !user.active {
            return Err(NotPermitted::Inactive);
        }
        if user.is_among(&self.except) {
            return Err(NotPermitted::Excepted);
        }
        match &self.allow {
            Impersonable::Nobody => Err(NotPermitted::Nobody),
            Impersonable::Anyone => Ok(()),
            Impersonable::Members(members) if user.is_among(members) => Ok(()),
            Impersonable::Members(members) if members.len() == 0 => Err(NotPermitted::Nobody),
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

    /// J25: an empty policy allows nobody, and so does an empty list.
    #[test]
    fn an_empty_policy_allows_nobody() {
        let ann = user("ann", &["staff"]);
        assert_eq!(ImpersonationPolicy::default().permits(&ann), Err(NotPermitted::Nobody));
        let empty = ImpersonationPolicy::members(Members::default());
        assert_eq!(empty.permits(&ann), Err(NotPermitted::Nobody));
    }

    /// J26: neither a prefix nor another case of a listed subject or group is listed.
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
