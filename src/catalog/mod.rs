//! The API catalog: the scope that each request of the host's API needs.
//!
//! A host lists its endpoints in an [`ApiCatalog`], in code or as JSON. The list is the source of
//! the [`EnforcementTable`] that decides requests, the texts of the consent page, the grid where an
//! administrator selects scopes, and the security part of an OpenAPI document.
//!
//! ```
//! use grantor::catalog::{ApiCatalog, Enforcement};
//! use grantor::protocol::Scope;
//!
//! let catalog: ApiCatalog = serde_json::from_str(
//!     r#"{
//!         "base_path": "/rest",
//!         "endpoints": [{
//!             "method": "GET", "path": "/users/{id}", "scope": "GET/users/*",
//!             "title": "See a user", "group": "Users"
//!         }]
//!     }"#,
//! )?;
//! let table = catalog.compile()?;
//! let narrowed = Scope::parse("GET/users/42")?;
//! assert_eq!(table.decide("GET", "/rest/users/42", &narrowed), Enforcement::Allow);
//! assert_ne!(table.decide("GET", "/rest/users/43", &narrowed), Enforcement::Allow);
//! assert_eq!(table.decide("PUT", "/rest/users/42", &narrowed), Enforcement::Unmapped);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::protocol::scope::{Scope, ScopeToken, pattern};

pub use enforcement::{Enforcement, EnforcementTable};
pub use openapi::OpenApiSecurity;

mod enforcement;
mod openapi;
mod template;

/// An error in a catalog or in one of its entries.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("invalid API catalog at `{entry}`: {problem}")]
#[non_exhaustive]
pub struct InvalidCatalog {
    /// The invalid entry, as method and path.
    pub entry: String,
    /// The problem.
    pub problem: &'static str,
}

/// An operation of the host's API and the scope token that it needs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "WrittenEndpoint")]
pub struct Endpoint {
    method: String,
    path: String,
    scope: ScopeToken,
    title: String,
    group: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct WrittenEndpoint {
    method: String,
    path: String,
    scope: ScopeToken,
    #[serde(default)]
    title: String,
    #[serde(default)]
    group: String,
}

impl Endpoint {
    /// Creates an operation from an HTTP method in upper case, a path template such as
    /// `/users/{id}`, and the scope token that a request needs.
    ///
    /// A segment of the template is literal, `{name}` for any one segment, or `{*name}` for one or
    /// more segments at the end. Literal text may stand beside one parameter, as in `{sid}.json`. A
    /// name has letters, digits, `_`, `-` and inner `.`. Literal text is spelled as in a request: percent
    /// escapes in upper-case hex, and only where needed.
    ///
    /// # Errors
    ///
    /// [`InvalidCatalog`] if the method or the template is malformed.
    pub fn new(
        method: impl Into<String>,
        path: impl Into<String>,
        scope: ScopeToken,
    ) -> Result<Self, InvalidCatalog> {
        let (method, path) = (method.into(), path.into());
        let problem = if method.is_empty() || !method.bytes().all(|b| b.is_ascii_uppercase()) {
            Some("the method is not in upper case")
        } else {
            template::check(&path)
        };
        match problem {
            Some(problem) => Err(InvalidCatalog { entry: format!("{method} {path}"), problem }),
            None => Ok(Self { method, path, scope, title: String::new(), group: String::new() }),
        }
    }

    /// Sets the title for the consent page and for administrators.
    #[must_use]
    pub fn with_title(mut self, title: impl Into<String>) -> Self {
        self.title = title.into();
        self
    }

    /// Sets the group for the consent page and for administrators.
    #[must_use]
    pub fn with_group(mut self, group: impl Into<String>) -> Self {
        self.group = group.into();
        self
    }

    /// Returns the HTTP method.
    #[must_use]
    pub fn method(&self) -> &str {
        &self.method
    }

    /// Returns the path template, below the catalog's base path.
    #[must_use]
    pub fn path(&self) -> &str {
        &self.path
    }

    /// Returns the scope token that a request needs.
    #[must_use]
    pub const fn scope(&self) -> &ScopeToken {
        &self.scope
    }

    /// Returns the title, which may be empty.
    #[must_use]
    pub fn title(&self) -> &str {
        &self.title
    }

    /// Returns the group, which may be empty.
    #[must_use]
    pub fn group(&self) -> &str {
        &self.group
    }

    /// Returns true if `token` allows at least one request of this operation.
    fn is_reached_by(&self, token: &str) -> bool {
        let required = self.scope.as_str();
        if pattern::covers(token, required) {
            return true;
        }
        // A narrower token allows the requests that match it, the template and the scope. A last
        // `*` matches more segments than a last `{name}`, hence the count.
        let (pattern, open_ended) = template::as_pattern(&self.method, &self.path);
        let segments = |text: &str| text.split('/').count();
        pattern::intersection(required, &pattern)
            .and_then(|common| pattern::intersection(token, &common).map(Cow::into_owned))
            .is_some_and(|common| {
                (open_ended || segments(&common) == segments(&pattern))
                    && template::admits(&self.path, &common)
            })
    }
}

impl TryFrom<WrittenEndpoint> for Endpoint {
    type Error = InvalidCatalog;

    fn try_from(written: WrittenEndpoint) -> Result<Self, InvalidCatalog> {
        let endpoint = Self::new(written.method, written.path, written.scope)?;
        Ok(endpoint.with_title(written.title).with_group(written.group))
    }
}

/// The catalog of the host's API: a list of [`Endpoint`]s below one base path.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "WrittenCatalog")]
pub struct ApiCatalog {
    base_path: String,
    endpoints: Vec<Endpoint>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct WrittenCatalog {
    #[serde(default)]
    base_path: String,
    endpoints: Vec<Endpoint>,
}

/// A scope token with the operations that it allows, for the consent page.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ScopeText<'a> {
    /// The token.
    pub token: &'a str,
    /// The operations that it allows, wholly or in part, in the order of the catalog. Empty if the
    /// catalog does not know the token.
    pub endpoints: Vec<&'a Endpoint>,
}

impl ApiCatalog {
    /// Creates a catalog of these operations, directly below the root.
    #[must_use]
    pub fn new(endpoints: impl IntoIterator<Item = Endpoint>) -> Self {
        Self { base_path: String::new(), endpoints: endpoints.into_iter().collect() }
    }

    /// Sets the base path of all operations, such as `/rest`. It is not part of an endpoint scope:
    /// `GET/users/42` then allows `GET /rest/users/42`.
    ///
    /// # Errors
    ///
    /// [`InvalidCatalog`] unless it is empty or a literal path without a trailing slash.
    pub fn with_base_path(mut self, base_path: impl Into<String>) -> Result<Self, InvalidCatalog> {
        self.base_path = base_path.into();
        let base = self.base_path.as_str();
        if base.is_empty() || (template::is_plain(base) && !base.ends_with('/')) {
            return Ok(self);
        }
        Err(InvalidCatalog {
            entry: self.base_path,
            problem: "the base path is not a literal path without a trailing slash",
        })
    }

    /// Returns the base path of all operations, such as `/rest`. It may be empty.
    #[must_use]
    pub fn base_path(&self) -> &str {
        &self.base_path
    }

    /// Returns the operations in the order of the list.
    #[must_use]
    pub fn endpoints(&self) -> &[Endpoint] {
        &self.endpoints
    }

    /// Compiles the table that decides requests.
    ///
    /// # Errors
    ///
    /// [`InvalidCatalog`] if two entries have the same method and the same template, regardless of
    /// parameter names.
    pub fn compile(&self) -> Result<EnforcementTable, InvalidCatalog> {
        EnforcementTable::new(self)
    }

    /// Returns the operations that each token of `scope` allows, for a consent page.
    #[must_use]
    pub fn texts<'a>(&'a self, scope: &'a Scope) -> Vec<ScopeText<'a>> {
        let opened_by = |token| self.endpoints.iter().filter(move |e| e.is_reached_by(token));
        scope
            .tokens()
            .map(|token| ScopeText { token, endpoints: opened_by(token).collect() })
            .collect()
    }

    /// Returns the operations by group, for an administrator's grid.
    #[must_use]
    pub fn by_group(&self) -> BTreeMap<&str, Vec<&Endpoint>> {
        let mut groups: BTreeMap<&str, Vec<&Endpoint>> = BTreeMap::new();
        for endpoint in &self.endpoints {
            groups.entry(&endpoint.group).or_default().push(endpoint);
        }
        groups
    }

    /// Returns the scope tokens of all operations: `scopes_supported` of RFC 8414 section 2.
    #[must_use]
    pub fn scopes_supported(&self) -> BTreeSet<&ScopeToken> {
        self.endpoints.iter().map(Endpoint::scope).collect()
    }

    /// Returns the security part of an OpenAPI 3 document, to merge into the host's.
    ///
    /// The parameters are the URLs of the authorization endpoint and the token endpoint.
    #[must_use]
    pub fn openapi_security(&self, authorization_url: &str, token_url: &str) -> OpenApiSecurity {
        OpenApiSecurity::new(self, authorization_url, token_url)
    }
}

impl TryFrom<WrittenCatalog> for ApiCatalog {
    type Error = InvalidCatalog;

    fn try_from(written: WrittenCatalog) -> Result<Self, InvalidCatalog> {
        Self::new(written.endpoints).with_base_path(written.base_path)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn endpoint(method: &str, path: &str, scope: &str) -> Result<Endpoint, InvalidCatalog> {
        Endpoint::new(method, path, ScopeToken::new(scope).unwrap())
    }

    fn catalog() -> ApiCatalog {
        ApiCatalog::new([
            endpoint("GET", "/users/{id}", "GET/users/*").unwrap().with_title("See a user"),
            endpoint("GET", "/users/{id}/photo", "GET/users/*").unwrap().with_title("See a photo"),
            endpoint("PUT", "/users/{id}", "PUT/users/*").unwrap().with_group("Users"),
            endpoint("GET", "/files/{*path}", "GET/files/*").unwrap(),
            endpoint("GET", "/reports", "reports").unwrap().with_group("Reports"),
            endpoint("GET", "/calls/{call-sid}.json", "GET/calls/*").unwrap(),
        ])
    }

    /// Z18: a token opens an operation if it leaves a request that fits the text beside the parameter.
    #[test]
    fn text_beside_a_parameter_narrows_what_a_token_opens() {
        let catalog = catalog();
        let opened = |token: &str| {
            let scope = Scope::parse(token).unwrap();
            let texts = catalog.texts(&scope).into_iter();
            texts.map(|text| text.endpoints.len()).sum::<usize>()
        };
        for token in ["GET/calls/*", "GET/calls/17.json", "*/calls/*"] {
            assert_eq!(opened(token), 1, "{token}");
        }
        for token in ["GET/calls/17", "GET/calls/.json", "GET/calls/17.json.xml"] {
            assert_eq!(opened(token), 0, "{token}");
        }
    }

    /// Z21: a path in the notation of another router is refused with the notation that was meant.
    #[test]
    fn an_error_names_the_malformed_entry() {
        for bad in [
            "",
            "users",
            "//",
            "/a//b",
            "/{id",
            "/{}",
            "/{a}{b}",
            "/{a}x{b}",
            "/{*a}/b",
            "/{*a}.json",
            "/x{*a}",
            "/{{a}}",
            "/a}b",
            "/{a b}",
            "/{a}%2e",
            "/{a:[0-9]+}",
            "/{+a}",
            "/{a?}",
            "/{path...}",
            "/{a}/{a}",
            "/a/../b",
            "/%41",
            "/a%2fb",
            "/a%40b",
            "/caf%c3%a9",
            "/caf%C3",
            "/a b",
            "/a?b",
            "/é",
            "/{é}",
        ] {
            assert!(endpoint("GET", bad, "s").is_err(), "{bad}");
        }
        let error = endpoint("get", "/users", "s").unwrap_err();
        assert_eq!(
            error.to_string(),
            "invalid API catalog at `get /users`: the method is not in upper case"
        );
        for (other, meant) in [
            ("/a/:id", "`{name}`, not `:name`"),
            ("/:id/a", "`{name}`, not `:name`"),
            ("/a/<id>", "`{name}`, not `<name>`"),
            ("/a/<int:id>", "`{name}`, not `<name>`"),
            ("/a/*", "`{*name}`, not `*`"),
            ("/a/**", "`{*name}`, not `*`"),
            ("/a/*rest", "`{*name}`, not `*`"),
            ("/{*a}/b", "not the last segment"),
            ("/{a}-{b}", "more than one path parameter"),
            ("/{id?}", "the name of a path parameter"),
            ("users", "does not begin with `/`"),
        ] {
            let error = endpoint("GET", other, "s").unwrap_err();
            assert!(error.problem.contains(meant), "{other}: {error}");
        }
        for bad in ["rest", "/rest/", "/", "/{a}", "/a/../b"] {
            assert!(catalog().with_base_path(bad).is_err(), "{bad}");
        }
        let unknown = r#"{"endpoints": [], "base": "/rest"}"#;
        assert!(serde_json::from_str::<ApiCatalog>(unknown).is_err());
    }

    #[test]
    fn json_round_trips() {
        assert_eq!(catalog().base_path(), "");
        let catalog = catalog().with_base_path("/rest").unwrap();
        assert_eq!(catalog.base_path(), "/rest");
        let json = serde_json::to_string(&catalog).unwrap();
        assert_eq!(serde_json::from_str::<ApiCatalog>(&json).unwrap(), catalog);
    }

    #[test]
    fn consent_lists_the_operations_that_a_token_allows_wholly_or_in_part() {
        let catalog = catalog();
        let opened = |scope: &str| {
            let scope = Scope::parse(scope).unwrap();
            let texts = catalog.texts(&scope);
            assert_eq!(texts.len(), 1);
            texts[0]
                .endpoints
                .iter()
                .map(|e| format!("{} {}", e.method, e.path))
                .collect::<Vec<_>>()
        };
        assert_eq!(opened("GET/users/*"), ["GET /users/{id}", "GET /users/{id}/photo"]);
        assert_eq!(opened("GET/users/42"), ["GET /users/{id}"]);
        assert_eq!(opened("*/users/42/photo"), ["GET /users/{id}/photo"]);
        assert_eq!(opened("GET/files/a/b"), ["GET /files/{*path}"]);
        assert_eq!(opened("*/users/*").len(), 3);
        assert_eq!(opened("*/*").len(), 5);
        assert_eq!(opened("reports"), ["GET /reports"]);
        assert_eq!(opened("unknown"), [""; 0]);
        assert_eq!(opened("GET/calls/42.json"), ["GET /calls/{call-sid}.json"]);
        assert_eq!(opened("*/*/42.json").last().unwrap(), "GET /calls/{call-sid}.json");
        for other in ["GET/calls/42", "GET/calls/.json", "GET/calls/42.json/a"] {
            assert_eq!(opened(other), [""; 0], "{other}");
        }
    }

    #[test]
    fn the_grid_and_the_metadata_list_each_entry_once() {
        let catalog = catalog();
        let groups = catalog.by_group();
        assert_eq!(groups.keys().copied().collect::<Vec<_>>(), ["", "Reports", "Users"]);
        assert_eq!(groups.values().map(Vec::len).sum::<usize>(), catalog.endpoints().len());
        let scopes: Vec<_> =
            catalog.scopes_supported().into_iter().map(ScopeToken::as_str).collect();
        assert_eq!(scopes, ["GET/calls/*", "GET/files/*", "GET/users/*", "PUT/users/*", "reports"]);
    }
}
