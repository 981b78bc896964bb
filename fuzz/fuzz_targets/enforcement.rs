//! Whatever the spelling of a path, a narrowed token opens one resource only.
#![no_main]

use std::sync::LazyLock;

use grantor::catalog::{ApiCatalog, Endpoint, Enforcement, EnforcementTable};
use grantor::scope::{Scope, ScopeToken};

static TABLE: LazyLock<EnforcementTable> = LazyLock::new(|| {
    let entry = |path, scope| Endpoint::new("GET", path, ScopeToken::new(scope).unwrap()).unwrap();
    let entries = [
        entry("/users/{id}", "GET/users/*"),
        entry("/users/{id}/photo", "GET/users/*"),
        entry("/users/me", "profile"),
        entry("/files/{*path}", "GET/files/*"),
    ];
    ApiCatalog::new(entries).compile().unwrap()
});

libfuzzer_sys::fuzz_target!(|request: (&str, &str)| {
    let scope = Scope::parse("GET/users/42 GET/files/a/*").unwrap();
    let (method, path) = request;
    for path in [path, &format!("/users/{path}"), &format!("/files/a/{path}")] {
        for method in [method, "GET"] {
            if TABLE.decide(method, path, &scope) == Enforcement::Allow {
                let (path, query) = path.split_once('?').unwrap_or((path, ""));
                assert!(query.is_empty() && matches!(method, "GET" | "HEAD"));
                let file = path.strip_prefix("/files/a/").is_some_and(|rest| !rest.is_empty());
                assert!(
                    path == "/users/42" || (file && !path.split('/').any(|s| s == "..")),
                    "{path}"
                );
            }
        }
    }
});
