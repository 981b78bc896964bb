//! The compiled form of a catalog, which decides requests.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;

use super::{ApiCatalog, InvalidCatalog, template};
use crate::protocol::scope::{Scope, ScopeToken, pattern};

/// The decision about a request. Everything but [`Allow`](Self::Allow) is a denial.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Enforcement<'table> {
    /// The scope allows the request.
    Allow,
    /// The scope is insufficient (`insufficient_scope` of RFC 6750 section 3.1).
    Insufficient {
        /// A token that would allow the request.
        missing: &'table ScopeToken,
    },
    /// The catalog has no such method and path.
    Unmapped,
}

/// An [`ApiCatalog`] compiled to decide requests.
///
/// # How a request is decided
///
/// * The path is the one that the client sent, with the prefix that a nested router has stripped.
///   An empty or dot segment, a query, or a character that needs an escape makes it
///   [`Unmapped`](Enforcement::Unmapped). So does a trailing slash, unless an entry ends in one.
/// * Literal text of an entry matches only itself. An escape matches a parameter, unless it is
///   malformed or hides a slash, a backslash, a control character, broken UTF-8, a dot segment or
///   another escape (`%252F`). If the decoded path leads to another entry, the request is unmapped:
///   `%61dmin` does not match `{name}` beside a literal `admin`.
/// * A `;` matches only a `;` of an entry, because some APIs drop the text behind it. An escaped
///   one (`%3B`) matches a parameter if the path without that text, up to the end of the segment, leads to the same entry.
/// * From left to right, a literal segment wins over `{name}.json`, that over `{name}`, and `{name}`
///   over `{*name}`. A segment that `{name}.json` matches is not tried as `{name}`. The entry found
///   must have the request's method; no other entry is tried. `HEAD` is decided as `GET` unless the
///   entry lists `HEAD` itself (RFC 9110 section 9.3.2).
/// * The scope must cover the token of the entry. If that is an endpoint scope that matches the
///   decoded path, a narrower one that matches it also suffices: `GET/users/42` allows `GET
///   /users/42` under `GET/users/*`, and no other user. This does not apply to a path that ends in
///   a slash.
pub struct EnforcementTable {
    base_path: Box<str>,
    router: matchit::Router<Vec<Operation>>,
}

struct Operation {
    method: Box<str>,
    required: ScopeToken,
}

impl EnforcementTable {
    pub(super) fn new(catalog: &ApiCatalog) -> Result<Self, InvalidCatalog> {
        let mut by_path: BTreeMap<String, Vec<Operation>> = BTreeMap::new();
        for endpoint in &catalog.endpoints {
            let operations = by_path.entry(template::as_route(&endpoint.path)).or_default();
            if operations.iter().any(|other| *other.method == endpoint.method) {
                let entry = format!("{} {}", endpoint.method, endpoint.path);
                return Err(InvalidCatalog { entry, problem: "it is listed twice" });
            }
            let method = endpoint.method.as_str().into();
            operations.push(Operation { method, required: endpoint.scope.clone() });
        }
        let mut router = matchit::Router::new();
        for (route, operations) in by_path {
            router.insert(route.as_str(), operations).map_err(|_| InvalidCatalog {
                entry: route,
                problem: "the path conflicts with another entry",
            })?;
        }
        Ok(Self { base_path: catalog.base_path.as_str().into(), router })
    }

    /// Decides a request with this method and path, as the client sent it and without the query, for
    /// a token with this scope.
    ///
    /// Does not allocate for a path without escapes and with up to three parameters.
    #[must_use]
    pub fn decide(&self, method: &str, path: &str, scope: &Scope) -> Enforcement<'_> {
        let Some(path) = path.strip_prefix(&*self.base_path) else { return Enforcement::Unmapped };
        let Some((operations, path)) = self.route(path) else { return Enforcement::Unmapped };
        let Some(operation) = with_method(operations, method) else { return Enforcement::Unmapped };
        let (method, required) = (&*operation.method, &operation.required);
        let narrower = || {
            pattern::covers_request(required.as_str(), method, &path)
                && scope.tokens().any(|token| pattern::covers_request(token, method, &path))
        };
        if scope.covers_token(required) || narrower() {
            Enforcement::Allow
        } else {
            Enforcement::Insufficient { missing: required }
        }
    }

    /// Returns the operations of the one entry that every reading of the path leads to, and the
    /// decoded path.
    fn route<'p>(&self, path: &'p str) -> Option<(&[Operation], Cow<'p, str>)> {
        let decoded = template::canonical(path)?;
        let found = self.router.at(path).ok()?;
        if found.params.iter().any(|(_, value)| value.contains(';')) {
            return None;
        }
        let leads_there = |path: &str| {
            self.router.at(path).is_ok_and(|other| std::ptr::eq(other.value, found.value))
        };
        if decoded != path {
            let hides_semicolon = decoded.matches(';').count() > path.matches(';').count();
            let cut = hides_semicolon.then(|| template::without_matrix_parameters(&decoded));
            let cut_leads_there = cut.is_none_or(|it| template::is_plain(&it) && leads_there(&it));
            if !cut_leads_there || !leads_there(&decoded) {
                return None;
            }
        }
        Some((found.value, decoded))
    }
}

fn with_method<'a>(operations: &'a [Operation], method: &str) -> Option<&'a Operation> {
    let find = |method| operations.iter().find(|operation| &*operation.method == method);
    find(method).or_else(|| if method == "HEAD" { find("GET") } else { None })
}

impl fmt::Debug for EnforcementTable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EnforcementTable")
            .field("base_path", &self.base_path)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
#[path = "enforcement_tests.rs"]
mod tests;
