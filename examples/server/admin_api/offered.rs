//! What the administrator's API offers, as a catalog.

use std::error::Error;

use grantor::catalog::{ApiCatalog, Endpoint};
use grantor::protocol::ScopeToken;

/// The scope without which there is no administration.
const SCOPE: &str = "admin";

/// What the API offers, and that all of it needs [`SCOPE`].
///
/// # Errors
///
/// What is malformed about an entry.
pub(crate) fn catalog() -> Result<ApiCatalog, Box<dyn Error + Send + Sync>> {
    const OFFERED: [(&str, &str); 14] = [
        ("GET", "/apps"),
        ("POST", "/apps"),
        ("GET", "/apps/{id}"),
        ("PUT", "/apps/{id}"),
        ("DELETE", "/apps/{id}"),
        ("POST", "/apps/{id}/rotate-secret"),
        ("POST", "/apps/{id}/disable"),
        ("POST", "/apps/{id}/enable"),
        ("POST", "/apps/{id}/revoke"),
        ("POST", "/revoke"),
        ("POST", "/withdraw-consent"),
        ("GET", "/audit"),
        ("GET", "/usage/{id}"),
        ("GET", "/metrics"),
    ];
    let scope = ScopeToken::new(SCOPE)?;
    let endpoint = |(method, path)| Endpoint::new(method, path, ScopeToken::clone(&scope));
    let endpoints = OFFERED.into_iter().map(endpoint).collect::<Result<Vec<_>, _>>()?;
    Ok(ApiCatalog::new(endpoints).with_base_path("/admin")?)
}

#[cfg(test)]
mod tests {
    use grantor::catalog::Enforcement;
    use grantor::protocol::Scope;

    use super::*;

    #[test]
    fn everything_needs_the_scope_of_an_administrator() {
        let table = catalog().unwrap().compile().unwrap();
        let admin = Scope::parse(SCOPE).unwrap();
        let others = Scope::parse("files.list */* */*/*").unwrap();
        for (method, path) in [("GET", "/admin/apps"), ("POST", "/admin/apps/a/rotate-secret")] {
            assert_eq!(table.decide(method, path, &admin), Enforcement::Allow);
            assert_ne!(table.decide(method, path, &others), Enforcement::Allow);
        }
    }
}
