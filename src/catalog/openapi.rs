//! The security part of an OpenAPI document.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;
use serde_json::{Value, json};

use super::{ApiCatalog, template};

/// The name of the security scheme.
const SCHEME: &str = "oauth2";

/// The `components.securitySchemes` and the `security` of each operation, for OpenAPI 3.0 and 3.1.
/// Serialize it and merge it into the document.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(transparent)]
pub struct OpenApiSecurity(Value);

impl OpenApiSecurity {
    pub(super) fn new(catalog: &ApiCatalog, authorization_url: &str, token_url: &str) -> Self {
        let mut titles: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
        let mut paths: BTreeMap<String, BTreeMap<String, Value>> = BTreeMap::new();
        for endpoint in &catalog.endpoints {
            let scope = endpoint.scope.as_str();
            let titles = titles.entry(scope).or_default();
            if !endpoint.title.is_empty() {
                titles.insert(&endpoint.title);
            }
            let path = catalog.base_path.clone() + &template::as_openapi(&endpoint.path);
            let security = json!({ "security": [{ SCHEME: [scope] }] });
            paths.entry(path).or_default().insert(endpoint.method.to_ascii_lowercase(), security);
        }
        let describe = |titles: BTreeSet<&str>| titles.into_iter().collect::<Vec<_>>().join("; ");
        let scopes: BTreeMap<_, _> =
            titles.into_iter().map(|(scope, titles)| (scope, describe(titles))).collect();
        Self(json!({
            "components": { "securitySchemes": { SCHEME: { "type": "oauth2", "flows": {
                "authorizationCode": {
                    "authorizationUrl": authorization_url,
                    "tokenUrl": token_url,
                    "refreshUrl": token_url,
                    "scopes": scopes,
                },
                "clientCredentials": { "tokenUrl": token_url, "scopes": scopes },
            } } } },
            "paths": paths,
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalog::Endpoint;
    use crate::protocol::scope::ScopeToken;

    #[test]
    fn schemes_and_operations_name_the_same_scopes() {
        let entry = |method: &str, path: &str, scope: &str, title: &str| {
            Endpoint::new(method, path, ScopeToken::new(scope).unwrap()).unwrap().with_title(title)
        };
        let catalog = ApiCatalog::new([
            entry("GET", "/users/{id}", "GET/users/*", "See a user"),
            entry("GET", "/users", "GET/users/*", "List users"),
            entry("PUT", "/users/{id}", "PUT/users/*", ""),
            entry("GET", "/files/{*path}", "files", "Read files"),
        ]);
        let catalog = catalog.with_base_path("/rest").unwrap();
        let found = serde_json::to_value(catalog.openapi_security("https://as/a", "https://as/t"));
        let scopes = json!({
            "GET/users/*": "List users; See a user", "PUT/users/*": "", "files": "Read files"
        });
        let expected = json!({
            "components": { "securitySchemes": { "oauth2": { "type": "oauth2", "flows": {
                "authorizationCode": {
                    "authorizationUrl": "https://as/a", "tokenUrl": "https://as/t",
                    "refreshUrl": "https://as/t", "scopes": scopes
                },
                "clientCredentials": { "tokenUrl": "https://as/t", "scopes": scopes }
            } } } },
            "paths": {
                "/rest/users/{id}": {
                    "get": { "security": [{ "oauth2": ["GET/users/*"] }] },
                    "put": { "security": [{ "oauth2": ["PUT/users/*"] }] }
                },
                "/rest/users": { "get": { "security": [{ "oauth2": ["GET/users/*"] }] } },
                "/rest/files/{path}": { "get": { "security": [{ "oauth2": ["files"] }] } }
            }
        });
        assert_eq!(found.unwrap(), expected);
    }
}
