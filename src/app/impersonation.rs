//! Impersonation policies: plain data and one pure function that evaluates them.

use serde::{Deserialize, Serialize};

use crate::protocol::scope::Scope;
use crate::users::{Member, Members, User};

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

/// The rule of a policy that decided about a user.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ImpersonationRule<'a> {
    /// Allowed: every active user is.
    Anyone,
    /// Allowed by this entry of the list.
    Listed(Member<'a>),
    /// Refused: the account is not active.
    Inactive,
    /// Refused by this entry of the exceptions.
    Excepted(Member<'a>),
    /// Refused: the policy allows no user.
    NoneAllowed,
    /// Refused: the user is not listed.
    NotListed,
}

impl ImpersonationRule<'_> {
    /// Returns the answer of the policy.
    ///
    /// # Errors
    ///
    /// [`NotPermitted`] if the rule refuses the user.
    pub const fn outcome(self) -> Result<(), NotPermitted> {
        match self {
            Self::Anyone | Self::Listed(_) => Ok(()),
            Self::Inactive => Err(NotPermitted::Inactive),
            Self::Excepted(_) => Err(NotPermitted::Excepted),
            Self::NoneAllowed => Err(NotPermitted::NoneAllowed),
            Self::NotListed => Err(NotPermitted::NotListed),
        }
    }
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

    /// Returns the rule that decides about `user`. An inactive account is refused first, then an exception;
    /// then the list decides.
    ///
    /// ```
    /// use grantor::app::{ImpersonationPolicy, ImpersonationRule};
    /// use grantor::ids::{Group, Subject};
    /// use grantor::users::{Member, Members, User};
    ///
    /// let admins = Group::new("admins")?;
    /// let policy = ImpersonationPolicy::anyone().except(Members::groups([admins.clone()]));
    /// let root = User::new(Subject::new("root")?).with_groups([admins.clone()]);
    /// assert_eq!(policy.decide(&root), ImpersonationRule::Excepted(Member::Group(&admins)));
    /// # Ok::<(), grantor::ids::InvalidId>(())
    /// ```
    #[must_use]
    pub fn decide(&self, user: &User) -> ImpersonationRule<'_> {
        if !user.active {
            return ImpersonationRule::Inactive;
        }
        if let Some(member) = self.except.find(user) {
            return ImpersonationRule::Excepted(member);
        }
        match &self.allow {
            Impersonable::None => ImpersonationRule::NoneAllowed,
            Impersonable::Anyone => ImpersonationRule::Anyone,
            Impersonable::Members(members) => match members.find(user) {
                Some(member) => ImpersonationRule::Listed(member),
                None if members.len() == 0 => ImpersonationRule::NoneAllowed,
                None => ImpersonationRule::NotListed,
            },
        }
    }

    /// Returns the number of users and groups in the longer of its two lists.
    pub(crate) fn size(&self) -> usize {
        let allowed = match &self.allow {
            Impersonable::Members(members) => members.len(),
            Impersonable::None | Impersonable::Anyone => 0,
        };
        allowed.max(self.except.len())
    }

    /// Checks that `user` may be impersonated.
    ///
    /// # Errors
    ///
    /// [`NotPermitted`], as the rule of [`decide`](Self::decide) says.
    pub fn permits(&self, user: &User) -> Result<(), NotPermitted> {
        self.decide(user).outcome()
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

    /// H11: each rule is named with its entry. The user's own entry comes before those of groups, and an
    /// exception before the list.
    #[test]
    fn the_rule_that_decided_is_named_with_its_entry() {
        use ImpersonationRule as Rule;
        let [ann, root] = ["ann", "root"].map(|name| Subject::new(name).unwrap());
        let [staff, admins] = ["staff", "admins"].map(|name| Group::new(name).unwrap());
        let list = Members::subjects([ann.clone()]).and_groups([staff.clone(), admins.clone()]);
        let except = Members::subjects([root.clone()]).and_groups([admins.clone()]);
        let listed = ImpersonationPolicy::members(list.clone());
        let limited = ImpersonationPolicy::members(list).except(except);
        let anyone = ImpersonationPolicy::anyone();
        let (none, empty) =
            (ImpersonationPolicy::none(), ImpersonationPolicy::members(Members::default()));
        for (policy, user, rule) in [
            (&anyone, user("eve", &[]), Rule::Anyone),
            (&listed, user("ann", &["staff"]), Rule::Listed(Member::Subject(&ann))),
            (&listed, user("bob", &["x", "staff"]), Rule::Listed(Member::Group(&staff))),
            (&listed, user("bob", &["admins", "staff"]), Rule::Listed(Member::Group(&admins))),
            (&listed, user("Ann", &["Staff"]), Rule::NotListed),
            (&limited, user("bob", &["staff"]), Rule::Listed(Member::Group(&staff))),
            (&limited, user("root", &["staff"]), Rule::Excepted(Member::Subject(&root))),
            (&limited, user("ann", &["staff", "admins"]), Rule::Excepted(Member::Group(&admins))),
            (&limited, user("root", &[]).with_active(false), Rule::Inactive),
            (&none, user("ann", &[]), Rule::NoneAllowed),
            (&empty, user("ann", &[]), Rule::NoneAllowed),
        ] {
            assert_eq!(policy.decide(&user), rule);
            assert_eq!(policy.permits(&user), rule.outcome());
            let allows = matches!(rule, Rule::Anyone | Rule::Listed(_));
            assert_eq!(rule.outcome().is_ok(), allows, "{rule:?}");
        }
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
