//! The compiled form of a catalog, which decides requests.

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
/// * The path is matched as received. A path with another spelling is
///   [`Unmapped`](Enforcement::Unmapped): an empty or dot segment, `%2F`, `%61` for `a`, `%40` for
///   `@`, `%c3` for `%C3`, or a query. So is a trailing slash, unless an entry ends in one. Escapes
///   must be in upper-case hex, and only of characters that a segment may not contain unescaped
///   (`pchar` of RFC 3986 section 3.3).
/// * From left to right, a literal segment wins over `{name}`, and `{name}` over `{*name}`. The
///   entry found must have the request's method; no other entry is tried. `HEAD` is decided as
///   `GET` unless the entry lists `HEAD` itself (RFC 9110 section 9.3.2).
/// * The scope must cover the token of the entry. If that is an endpoint scope that matches the
///   request, a narrower one that matches the request also suffices: `GET/users/42` allows `GET
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

    /// Decides a request with this method and path, as received and without the query, for a token
    /// with this scope.
    ///
    /// Does not allocate for a path with up to three parameters.
    #[must_use]
    pub fn decide(&self, method: &str, path: &str, scope: &Scope) -> Enforcement<'_> {
        let Some(path) = path.strip_prefix(&*self.base_path) else { return Enforcement::Unmapped };
        let Some(operation) = self.find(method, path) else { return Enforcement::Unmapped };
        let (method, required) = (&*operation.method, &operation.required);
        let narrower = || {
            pattern::covers_request(required.as_str(), method, path)
                && scope.tokens().any(|token| pattern::covers_request(token, method, path))
        };
        if scope.covers_token(required) || narrower() {
            Enforcement::Allow
        } else {
            Enforcement::Insufficient { missing: required }
        }
    }

    fn find(&self, method: &str, path: &str) -> Option<&Operation> {
        if !template::is_plain(path) {
            return None;
        }
        let operations = self.router.at(path).ok()?.value;
        let find = |method| operations.iter().find(|operation| &*operation.method == method);
        find(method).or_else(|| if method == "HEAD" { find("GET") } else { None })
    }
}

impl fmt::Debug for EnforcementTable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EnforcementTable")
            .field("base_path", &self.base_path)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::Endpoint;
    use super::*;

    fn catalog(entries: &[(&str, &str, &str)]) -> ApiCatalog {
        ApiCatalog::new(entries.iter().map(|(method, path, scope)| {
            Endpoint::new(*method, *path, ScopeToken::new(scope).unwrap()).unwrap()
        }))
    }

    fn api() -> EnforcementTable {
        let api = catalog(&[
            ("GET", "/users", "GET/users/*"),
            ("GET", "/users/{id}", "GET/users/*"),
            ("PUT", "/users/{user}", "PUT/users/*"),
            ("GET", "/users/me", "profile"),
            ("GET", "/people/{id}", "GET/users/*"),
            ("GET", "/files/{*path}", "GET/files/*"),
            ("POST", "/slash/", "slash"),
            ("HEAD", "/probe", "probe"),
            ("GET", "/probe", "GET/probe"),
        ]);
        api.with_base_path("/rest").unwrap().compile().unwrap()
    }

    /// Returns the token that `scope` lacks, or `None` if it suffices.
    fn missing(method: &str, path: &str, scope: &str) -> Option<String> {
        match api().decide(method, path, &Scope::parse(scope).unwrap()) {
            Enforcement::Allow => None,
            Enforcement::Insufficient { missing } => Some(missing.to_string()),
            Enforcement::Unmapped => panic!("{method} {path} is unmapped"),
        }
    }

    /// S3: insufficient scope is refused with the missing token.
    #[test]
    fn insufficient_scope_names_the_missing_token() {
        for scope in ["", "PUT/users/*", "GET/files/*", "GET/users/43", "GET/users", "users"] {
            assert_eq!(
                missing("GET", "/rest/users/42", scope),
                Some("GET/users/*".into()),
                "{scope}"
            );
        }
        for scope in
            ["GET/users/*", "*/users/*", "*/*", "GET/users/42", "GET/*/42", "x GET/users/*"]
        {
            assert_eq!(missing("GET", "/rest/users/42", scope), None, "{scope}");
        }
        assert_eq!(missing("GET", "/rest/users/me", "*/*"), Some("profile".into()));
    }

    #[test]
    fn a_narrowed_token_allows_its_own_resource_only() {
        assert_eq!(missing("GET", "/rest/files/a/b", "GET/files/a/*"), None);
        assert!(missing("GET", "/rest/files/b/a", "GET/files/a/*").is_some());
        // The scope of an entry may not resemble its path. Then only the whole scope suffices.
        assert_eq!(missing("GET", "/rest/people/42", "GET/users/*"), None);
        assert!(missing("GET", "/rest/people/42", "GET/people/42").is_some());
        assert!(missing("GET", "/rest/people/42", "GET/users/42").is_some());
        assert!(missing("GET", "/rest/users", "GET/users/42").is_some());
        assert!(missing("GET", "/rest/files/a/", "GET/files/a/*").is_some());
        assert_eq!(missing("GET", "/rest/files/a/", "GET/files/*"), None);
    }

    /// S7: an unmapped request, or one with another spelling, is denied with any scope.
    #[test]
    fn a_request_that_is_not_mapped_exactly_is_denied() {
        let (table, all) = (api(), Scope::parse("*/* profile slash probe").unwrap());
        for (method, path) in [
            ("GET", "/rest/unknown"),
            ("GET", "/users/42"),
            ("GET", "/restusers/42"),
            ("GET", "/rest"),
            ("GET", "/rest/"),
            ("DELETE", "/rest/users/42"),
            ("PUT", "/rest/users/me"),
            ("get", "/rest/users/42"),
            ("", "/rest/users/42"),
            ("OPTIONS", "/rest/users"),
            ("GET", "/rest/users/42/"),
            ("GET", "/rest/users/"),
            ("GET", "/rest//users/42"),
            ("GET", "/rest/users//42"),
            ("GET", "/rest/users/42?x=1"),
            ("GET", "/rest/users/42#x"),
            ("GET", "/rest/users/./42"),
            ("GET", "/rest/users/.."),
            ("GET", "/rest/users/%2e%2e"),
            ("GET", "/rest/users/a%2Fb"),
            ("GET", "/rest/users/%6de"),
            ("GET", "/rest/files/a/../b"),
            ("GET", "/rest/files/"),
            ("GET", "/rest/Users/42"),
            ("POST", "/rest/slash"),
            ("GET", "*"),
            ("GET", ""),
        ] {
            assert_eq!(table.decide(method, path, &all), Enforcement::Unmapped, "{method} {path}");
        }
        assert_eq!(table.decide("POST", "/rest/slash/", &all), Enforcement::Allow);
    }

    /// S7: another spelling of a literal does not match the parameter beside it.
    #[test]
    fn another_spelling_does_not_bypass_a_literal() {
        let table = catalog(&[
            ("GET", "/files/caf%C3%A9", "secret"),
            ("GET", "/files/a@b", "secret"),
            ("GET", "/files/{id}", "files"),
        ]);
        let (table, scope) = (table.compile().unwrap(), Scope::parse("files").unwrap());
        for path in ["/files/caf%c3%a9", "/files/caf%C3%a9", "/files/a%40b"] {
            assert_eq!(table.decide("GET", path, &scope), Enforcement::Unmapped, "{path}");
        }
        for path in ["/files/caf%C3%A9", "/files/a@b"] {
            let decision = table.decide("GET", path, &scope);
            assert!(matches!(decision, Enforcement::Insufficient { .. }), "{path}: {decision:?}");
        }
        assert_eq!(table.decide("GET", "/files/caf%C3%A8", &scope), Enforcement::Allow);
        for path in ["/files/caf%c3%a9", "/files/a%40b"] {
            assert!(Endpoint::new("GET", path, ScopeToken::new("s").unwrap()).is_err(), "{path}");
        }
    }

    #[test]
    fn head_is_decided_as_get_unless_it_is_listed() {
        assert_eq!(missing("HEAD", "/rest/users/42", "GET/users/42"), None);
        assert!(missing("HEAD", "/rest/users/42", "HEAD/users/42").is_some());
        assert_eq!(missing("HEAD", "/rest/probe", "GET/probe"), Some("probe".into()));
        let all = Scope::parse("*/*").unwrap();
        assert_eq!(api().decide("HEAD", "/rest/slash/", &all), Enforcement::Unmapped);
    }

    #[test]
    fn a_duplicate_entry_is_refused() {
        let twice =
            catalog(&[("GET", "/a/{x}", "s"), ("PUT", "/a/{x}", "s"), ("GET", "/a/{y}", "t")]);
        let error = twice.compile().unwrap_err();
        assert_eq!((&*error.entry, error.problem), ("GET /a/{y}", "it is listed twice"));
    }

    /// Returns the rank of each segment of a matching template, best first, or `None` without a
    /// match.
    fn rank(template: &str, path: &str) -> Option<Vec<u8>> {
        let mut ranks = Vec::new();
        let mut path = path.split('/').skip(1).peekable();
        for segment in template.split('/').skip(1) {
            let own = path.next()?;
            if segment.starts_with("{*") {
                ranks.push(2);
                let rest = path.by_ref().count();
                return (rest > 0 || !own.is_empty()).then_some(ranks);
            }
            match segment.starts_with('{') {
                true if own.is_empty() => return None,
                true => ranks.push(1),
                false if segment == own => ranks.push(0),
                false => return None,
            }
        }
        path.next().is_none().then_some(ranks)
    }

    /// Makes the same decision in a slow and simple way.
    fn reference<'a>(
        api: &'a ApiCatalog,
        method: &str,
        path: &str,
        scope: &Scope,
    ) -> Enforcement<'a> {
        let odd = path.split('/').any(|segment| matches!(segment, "." | ".."))
            || path.contains("//")
            || ["%61", "%40", "%c3"].iter().any(|escape| path.contains(escape));
        let ranked = api.endpoints().iter().filter_map(|e| Some((rank(e.path(), path)?, e)));
        let best = ranked.clone().map(|(rank, _)| rank).min();
        let found = ranked.filter(|(rank, _)| Some(rank) == best.as_ref()).map(|(_, e)| e);
        let Some(found) = found.clone().find(|e| e.method() == method).filter(|_| !odd) else {
            return Enforcement::Unmapped;
        };
        let request = ScopeToken::new(&format!("{method}{path}"));
        let enough = scope.tokens().map(|token| ScopeToken::new(token).unwrap()).any(|token| {
            token.covers(found.scope())
                || request.as_ref().is_ok_and(|r| token.covers(r) && found.scope().covers(r))
        });
        if enough {
            Enforcement::Allow
        } else {
            Enforcement::Insufficient { missing: found.scope() }
        }
    }

    fn any_catalog() -> impl Strategy<Value = ApiCatalog> {
        let path = "(/(a|@|%C3|\\{NAME\\})){0,3}/(a|b|\\{NAME\\}|\\{\\*NAME\\})";
        let scope = "(GET|PUT|\\*)(/(a|b|\\*)){1,2}|s|t";
        let entries = prop::collection::vec(("GET|PUT", path, scope), 1..8);
        entries.prop_map(|entries| {
            let endpoints = entries.into_iter().map(|(method, path, scope)| {
                let named = path.split('/').enumerate();
                let path: Vec<_> =
                    named.map(|(i, s)| s.replace("NAME", &format!("n{i}"))).collect();
                Endpoint::new(method, path.join("/"), ScopeToken::new(&scope).unwrap()).unwrap()
            });
            ApiCatalog::new(endpoints)
        })
    }

    proptest! {
        #[test]
        fn the_table_agrees_with_a_slow_reference(
            api in any_catalog(),
            requests in prop::collection::vec(("GET|PUT", "(/(a|b|c|@|%C3|\\.\\.|%61|%40|%c3|)){1,4}"), 32),
            scope in prop::collection::vec("(GET|PUT|\\*)(/(a|b|c|\\*)){1,3}|s|t", 0..4)
        ) {
            let scope = Scope::parse(&scope.join(" ")).unwrap();
            if let Ok(table) = api.compile() {
                for (method, path) in &requests {
                    let expected = reference(&api, method, path, &scope);
                    prop_assert_eq!(table.decide(method, path, &scope), expected, "{} {}", method, path);
                }
            }
        }

        #[test]
        fn no_request_panics(method in ".*", path in "/?.*") {
            let scope = Scope::parse("*/*").unwrap();
            let _ = api().decide(&method, &path, &scope);
            let _ = api().decide("GET", &format!("/rest/users/{path}"), &scope);
        }
    }
}
