//! The catalog of the administrator's API.

use std::error::Error;

use grantor::catalog::{ApiCatalog, Endpoint};
use grantor::protocol::ScopeToken;

/// The scope of every endpoint.
const SCOPE: &str = "admin";

/// Returns the catalog. Every endpoint needs [`SCOPE`].
///
/// # Errors
///
/// The first malformed entry.
pub(crate) fn catalog() -> Result<ApiCatalog, Box<dyn Error + Send + Sync>> {
    const OFFERED: [(&str, &str); 18] = [
        ("GET", "/apps"),
        ("POST", "/apps"),
        ("GET", "/apps/{id}"),
        ("PUT", "/apps/{id}"),
        ("DELETE", "/apps/{id}"),
        ("POST", "/apps/{id}/rotate-secret"),
        ("POST", "/apps/{id}/set-secret"),
        ("POST", "/apps/{id}/disable"),
        ("POST", "/apps/{id}/enable"),
        ("POST", "/apps/{id}/revoke"),
        ("POST", "/revoke"),
        ("POST", "/withdraw-consent"),
        ("GET", "/devices"),
        ("POST", "/devices/wipe"),
        ("POST", "/devices/withdraw-wipe"),
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
        for (method, path) in [
            ("GET", "/admin/apps"),
            ("POST", "/admin/apps/a/rotate-secret"),
            ("POST", "/admin/devices/wipe"),
        ] {
            assert_eq!(table.decide(method, path, &admin), Enforcement::Allow);
            assert_ne!(table.decide(method, path, &others), Enforcement::Allow);
        }
    }
}
