//! For any spelling of a path, a narrowed token allows one resource only.
#![no_main]

use std::sync::LazyLock;

use grantor::catalog::{ApiCatalog, Endpoint, Enforcement, EnforcementTable};
use grantor::protocol::{Scope, ScopeToken};
use grantor_fuzz::parts;

static TABLE: LazyLock<EnforcementTable> = LazyLock::new(|| {
    let entry = |path, scope| Endpoint::new("GET", path, ScopeToken::new(scope).unwrap()).unwrap();
    let entries = [
        entry("/users/{id}", "GET/users/*"),
        entry("/users/{id}/photo", "GET/users/*"),
        entry("/users/me", "profile"),
        entry("/files/{*path}", "GET/files/*"),
        entry("/files/a/caf%C3%A9", "secret"),
        entry("/files/a/b@c", "secret"),
        entry("/calls/{sid}.json", "calls"),
        entry("/calls/{sid}", "GET/files/*"),
    ];
    ApiCatalog::new(entries).compile().unwrap()
});

/// Returns the path as a router reads it that unescapes before it compares.
fn unescaped(path: &str) -> String {
    let mut bytes = Vec::with_capacity(path.len());
    let mut rest = path.as_bytes();
    while let [first, tail @ ..] = rest {
        let hex = (*first == b'%').then(|| tail.get(..2)).flatten();
        let escaped =
            hex.and_then(|hex| u8::from_str_radix(std::str::from_utf8(hex).ok()?, 16).ok());
        bytes.push(escaped.unwrap_or(*first));
        rest = if escaped.is_some() { &tail[2..] } else { tail };
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

libfuzzer_sys::fuzz_target!(|input: &str| {
    let scope = Scope::parse("GET/users/42 GET/files/a/*").unwrap();
    let [method, path] = parts(input);
    for path in [path, &format!("/users/{path}"), &format!("/files/a/{path}")] {
        for method in [method, "GET"] {
            if TABLE.decide(method, path, &scope) == Enforcement::Allow {
                let (path, query) = path.split_once('?').unwrap_or((path, ""));
                assert!(query.is_empty() && matches!(method, "GET" | "HEAD"));
                let file = path.strip_prefix("/files/a/").is_some_and(|rest| !rest.is_empty());
                let read = unescaped(path);
                let hides = ['/', '\\'].iter().any(|c| read.matches(*c).count() != path.matches(*c).count());
                assert!(!hides && !read.chars().any(char::is_control) && !path.contains(';'), "{path}");
                assert!(
                    read == "/users/42" || (file && !read.split('/').any(|s| s == "..")),
                    "{path}"
                );
                // As an API reads it that drops the parameters of each segment (RFC 3986 section 3.3).
                let segments = read.split('/').filter_map(|segment| segment.split(';').next());
                let cut = segments.collect::<Vec<_>>().join("/");
                assert!(!matches!(&*cut, "/files/a/café" | "/files/a/b@c"), "{path}");
            }
        }
    }
});
