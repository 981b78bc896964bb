//! Rules that admit workloads by the claims of their platform.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::app::InvalidApp;
use crate::ids::ClientId;
use crate::protocol::scope::Scope;

/// A rule that admits workloads of a platform, such as jobs or service accounts, as an app. The app acts as itself.
///
/// ```
/// use grantor::app::{SubjectPattern, WorkloadRule};
/// use grantor::ids::ClientId;
///
/// let rule = WorkloadRule::new(
///     ClientId::new("deploy")?,
///     SubjectPattern::new("repo:acme/site:ref:refs/heads/main")?,
/// )
/// .with_claim("repository_owner_id", "65")
/// .with_authentication(true);
/// assert!(rule.is_in_range());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WorkloadRule {
    app: ClientId,
    subject: SubjectPattern,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    claims: BTreeMap<String, String>,
    #[serde(default)]
    authenticates: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    scope: Option<Scope>,
}

impl WorkloadRule {
    /// Creates a rule that admits workloads whose `sub` matches `subject` as `app`.
    #[must_use]
    pub const fn new(app: ClientId, subject: SubjectPattern) -> Self {
        Self { app, subject, claims: BTreeMap::new(), authenticates: false, scope: None }
    }

    /// Requires that the claim `name` is the string `value`. Names that can be given again to another owner, such as
    /// that of a repository, are better pinned by the id beside them.
    #[must_use]
    pub fn with_claim(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.claims.insert(name.into(), value.into());
        self
    }

    /// Sets whether the token alone authenticates the app. Default: no, a confidential app also presents its own
    /// credentials. A public app has none, so it needs this.
    #[must_use]
    pub const fn with_authentication(mut self, alone: bool) -> Self {
        self.authenticates = alone;
        self
    }

    /// Sets the scope ceiling. Default: the app's own scope.
    #[must_use]
    pub fn with_scope(mut self, scope: Scope) -> Self {
        self.scope = Some(scope);
        self
    }

    /// Returns the app.
    #[must_use]
    pub const fn app(&self) -> &ClientId {
        &self.app
    }

    /// Returns the pattern of `sub`.
    #[must_use]
    pub const fn subject(&self) -> &SubjectPattern {
        &self.subject
    }

    /// Returns the claims that must be equal.
    #[must_use]
    pub const fn claims(&self) -> &BTreeMap<String, String> {
        &self.claims
    }

    /// Returns true if the token alone authenticates the app.
    #[must_use]
    pub const fn authenticates(&self) -> bool {
        self.authenticates
    }

    /// Returns the scope ceiling.
    #[must_use]
    pub const fn scope(&self) -> Option<&Scope> {
        self.scope.as_ref()
    }

    /// Checks whether the rule admits a workload with this `sub` and these claims.
    #[must_use]
    pub fn admits(&self, subject: &str, claims: &BTreeMap<String, String>) -> bool {
        let is_equal = |(name, value): (&String, &String)| claims.get(name) == Some(value);
        self.subject.matches(subject) && self.claims.iter().all(is_equal)
    }

    /// Checks the number of claims (at most 16), and the lengths of their names (1 to 64 bytes) and values (1 to 255
    /// bytes).
    #[must_use]
    pub fn is_in_range(&self) -> bool {
        let fits = |(name, value): (&String, &String)| {
            (1..=64).contains(&name.len()) && (1..=255).contains(&value.len())
        };
        self.claims.len() <= 16 && self.claims.iter().all(fits)
    }
}

/// A pattern of subjects. `:` and `/` separate segments, and a `*` that is a whole segment stands for one segment,
/// at the end for one or more. Everything else is compared as given.
///
/// ```
/// use grantor::app::SubjectPattern;
///
/// let main = SubjectPattern::new("repo:acme/*:ref:refs/heads/main")?;
/// assert!(main.matches("repo:acme/site:ref:refs/heads/main"));
/// assert!(!main.matches("repo:acme/site:ref:refs/heads/mainline"));
/// assert!(!main.matches("repo:acme/site:x:ref:refs/heads/main"));
///
/// let all = SubjectPattern::new("system:serviceaccount:prod:*")?;
/// assert!(all.matches("system:serviceaccount:prod:api"));
/// for bad in ["*", "*:serviceaccount", "repo:acme/si*", ""] {
///     assert!(SubjectPattern::new(bad).is_err());
/// }
/// # Ok::<(), grantor::app::InvalidApp>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct SubjectPattern(String);

/// The characters between segments.
const SEPARATORS: [char; 2] = [':', '/'];

impl SubjectPattern {
    /// Checks `text` and takes it unchanged.
    ///
    /// # Errors
    ///
    /// [`InvalidApp`] if it is not 1 to 255 bytes of printable ASCII, if a `*` is not a whole segment, or if the first
    /// segment is a `*` or empty.
    pub fn new(text: &str) -> Result<Self, InvalidApp> {
        let invalid = |problem| Err(InvalidApp::new("workloads.subject", problem));
        if !(1..=255).contains(&text.len()) || !text.bytes().all(|byte| byte.is_ascii_graphic()) {
            return invalid("must be 1 to 255 bytes of printable ASCII");
        }
        if text.split(SEPARATORS).any(|segment| segment != "*" && segment.contains('*')) {
            return invalid("must have a `*` only as a whole segment");
        }
        // A platform's users choose later segments, so the first must say which kind of subject it is.
        if text.starts_with('*') || text.starts_with(SEPARATORS) {
            return invalid("must not begin with `*` or an empty segment");
        }
        Ok(Self(text.to_owned()))
    }

    /// Returns the pattern as written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Checks whether `subject` matches.
    #[must_use]
    pub fn matches(&self, subject: &str) -> bool {
        let mut rest = subject;
        for segment in self.0.split_inclusive(SEPARATORS) {
            if segment == "*" {
                // The last one.
                return !rest.is_empty() && !rest.starts_with(SEPARATORS);
            }
            let Some(separator) = segment.strip_prefix('*') else {
                let Some(after) = rest.strip_prefix(segment) else { return false };
                rest = after;
                continue;
            };
            let Some(end) = rest.find(SEPARATORS).filter(|end| *end > 0) else { return false };
            let Some(after) = rest.get(end..).and_then(|rest| rest.strip_prefix(separator)) else {
                return false;
            };
            rest = after;
        }
        rest.is_empty()
    }
}

impl FromStr for SubjectPattern {
    type Err = InvalidApp;

    fn from_str(text: &str) -> Result<Self, InvalidApp> {
        Self::new(text)
    }
}

impl TryFrom<String> for SubjectPattern {
    type Error = InvalidApp;

    fn try_from(text: String) -> Result<Self, InvalidApp> {
        Self::new(&text)
    }
}

impl From<SubjectPattern> for String {
    fn from(pattern: SubjectPattern) -> Self {
        pattern.0
    }
}

impl fmt::Display for SubjectPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
