//! Tests of the compiled catalog, beside a slow and simple reference.

use std::cmp::Reverse;

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
        assert_eq!(missing("GET", "/rest/users/42", scope), Some("GET/users/*".into()), "{scope}");
    }
    for scope in ["GET/users/*", "*/users/*", "*/*", "GET/users/42", "GET/*/42", "x GET/users/*"] {
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
        ("GET", "/rest/users/m%65"),
        ("GET", "/rest/%75sers/42"),
        ("GET", "/rest/users/42%2F43"),
        ("GET", "/rest/users/42%252F43"),
        ("GET", "/rest/users/..;/42"),
        ("GET", "/rest/users/;/42"),
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

/// S7, Z18: another spelling of a literal does not match the parameter beside it.
#[test]
fn another_spelling_does_not_bypass_a_literal() {
    let table = catalog(&[
        ("GET", "/files/caf%C3%A9", "secret"),
        ("GET", "/files/a@b", "secret"),
        ("GET", "/files/a;b", "secret"),
        ("GET", "/files/{id}", "files"),
        ("GET", "/calls/{sid}.json", "secret"),
        ("GET", "/calls/{sid}", "files"),
        ("GET", "/all/admin", "secret"),
        ("GET", "/all/{*rest}", "files"),
    ]);
    let (table, scope) = (table.compile().unwrap(), Scope::parse("files").unwrap());
    for path in [
        "/files/caf%c3%a9",
        "/files/c%61f%C3%A9",
        "/files/a%40b",
        "/files/a%3Bb",
        "/files/a%3bb",
        "/files/a@b;x=1",
        "/files/a@b%3Bx=1",
        "/calls/7%2Ejson",
        "/calls/7.js%6Fn",
        "/all/%61dmin",
        "/all/admin;x",
        "/all/admin%3Bx",
        "/all/x/..%3B/admin",
    ] {
        assert_eq!(table.decide("GET", path, &scope), Enforcement::Unmapped, "{path}");
    }
    for path in ["/files/caf%C3%A9", "/files/a@b", "/files/a;b", "/calls/7.json", "/all/admin"] {
        let decision = table.decide("GET", path, &scope);
        assert!(matches!(decision, Enforcement::Insufficient { .. }), "{path}: {decision:?}");
    }
    for path in ["/files/caf%C3%A8", "/files/caf%c3%a8", "/calls/7%2Exml", "/all/x/%61dmin"] {
        assert_eq!(table.decide("GET", path, &scope), Enforcement::Allow, "{path}");
    }
    for path in ["/files/caf%c3%a9", "/files/a%40b", "/files/%C3"] {
        assert!(Endpoint::new("GET", path, ScopeToken::new("s").unwrap()).is_err(), "{path}");
    }
}

/// N7: an API that drops the text behind a `;` serves `/files/secret` for each of these.
#[test]
fn a_semicolon_matches_only_one_of_the_template() {
    let table = catalog(&[
        ("GET", "/files/secret", "secret"),
        ("GET", "/files/{id}", "files"),
        ("GET", "/tree/{*path}", "files"),
        ("GET", "/v;1/{id}", "files"),
        ("GET", "/reports/{id};csv", "files"),
    ]);
    let (table, all) = (table.compile().unwrap(), Scope::parse("files secret").unwrap());
    for path in [
        "/files/secret;a=b",
        "/files/secret;",
        "/files;a/secret",
        "/files/;secret",
        "/files/42;v=1",
        "/tree/a;b/c",
        "/tree/..;/c",
        "/v;1/a;b",
        "/v;1;2/a",
        "/v%3B1/a",
        "/v;2/a",
        "/v/a",
        "/reports/a;b;csv",
        "/reports/a;xml",
    ] {
        assert_eq!(table.decide("GET", path, &all), Enforcement::Unmapped, "{path}");
    }
    for path in ["/v;1/a", "/v;1/a%40", "/reports/a;csv", "/files/42%3Bv=1"] {
        assert_eq!(table.decide("GET", path, &all), Enforcement::Allow, "{path}");
    }
}

/// Z18: a narrowed scope is compared with the decoded path.
#[test]
fn an_escaped_segment_matches_a_parameter() {
    for path in ["ann%40example.com", "ann@example.com", "%61nn@example.com"] {
        let path = format!("/rest/users/{path}");
        for enough in ["GET/users/*", "GET/users/ann@example.com"] {
            assert_eq!(missing("GET", &path, enough), None, "{path} {enough}");
        }
        for other in ["GET/users/ann", "GET/users/ann%40example.com", "GET/users/bob@x"] {
            assert!(missing("GET", &path, other).is_some(), "{path} {other}");
        }
    }
    assert_eq!(missing("GET", "/rest/users/caf%c3%a9", "GET/users/caf%C3%A9"), None);
    assert_eq!(missing("GET", "/rest/users/100%25", "GET/users/100%25"), None);
    // An escaped `*` is a name, not a wildcard.
    assert!(missing("GET", "/rest/users/%2A", "GET/users/42").is_some());
}

/// Z18: templates as they stand in the descriptions of large APIs.
#[test]
fn text_beside_a_parameter_is_literal() {
    let table = catalog(&[
        ("GET", "/drives/{drive-id}/items/{item-id}", "drives"),
        ("GET", "/Accounts/{AccountSid}/Calls/{Sid}.json", "calls"),
        ("GET", "/Accounts/{AccountSid}/Calls.json", "calls"),
        ("GET", "/Accounts/{AccountSid}/Calls/{Sid}/Events.json", "calls"),
        ("POST", "/v1/operations/{name}:cancel", "cancel"),
        ("GET", "/v1/operations/{name}", "see"),
        ("GET", "/users/@{name}", "users"),
        ("GET", "/users(id='{user.id}')", "users"),
    ]);
    let table = table.compile().unwrap();
    let all = Scope::parse("drives calls cancel see users").unwrap();
    for (method, path) in [
        ("GET", "/drives/b!1/items/2"),
        ("GET", "/Accounts/1/Calls/2.json"),
        ("GET", "/Accounts/1/Calls/2.3.json"),
        ("GET", "/Accounts/1/Calls.json"),
        ("GET", "/Accounts/1/Calls/2/Events.json"),
        ("POST", "/v1/operations/7:cancel"),
        ("GET", "/v1/operations/7"),
        ("GET", "/v1/operations/7:done"),
        ("GET", "/users/@ann"),
        ("GET", "/users(id='7')"),
    ] {
        assert_eq!(table.decide(method, path, &all), Enforcement::Allow, "{path}");
    }
    for (method, path) in [
        ("GET", "/Accounts/1/Calls/2"),
        ("GET", "/Accounts/1/Calls/.json"),
        ("GET", "/Accounts/1/Calls/2/3.json"),
        ("GET", "/Accounts/1/Calls/2.json/"),
        ("GET", "/Accounts/1/Calls/2.JSON"),
        ("GET", "/Accounts/.json"),
        ("GET", "/v1/operations/7:cancel"),
        ("POST", "/v1/operations/7"),
        ("POST", "/v1/operations/7:cancel:cancel/"),
        ("GET", "/users/ann"),
        ("GET", "/users/@"),
        ("GET", "/users(id='')"),
    ] {
        assert_eq!(table.decide(method, path, &all), Enforcement::Unmapped, "{path}");
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
    let twice = catalog(&[("GET", "/a/{x}", "s"), ("PUT", "/a/{x}", "s"), ("GET", "/a/{y}", "t")]);
    let error = twice.compile().unwrap_err();
    assert_eq!((&*error.entry, error.problem), ("GET /a/{y}", "it is listed twice"));
}

/// Returns the rank of each segment of a matching template, best first, or `None` without a
/// match. Of two parameters with text beside them, the longer text is better.
fn rank(template: &str, path: &str) -> Option<Vec<(u8, Reverse<usize>)>> {
    let mut ranks = Vec::new();
    let mut path = path.split('/').skip(1).peekable();
    for segment in template.split('/').skip(1) {
        let own = path.next()?;
        if segment.starts_with("{*") {
            ranks.push((3, Reverse(0)));
            let rest = path.by_ref().count();
            return (rest > 0 || !own.is_empty()).then_some(ranks);
        }
        let Some((before, after)) = segment.split_once('{') else {
            if segment != own {
                return None;
            }
            ranks.push((0, Reverse(0)));
            continue;
        };
        let after = after.split_once('}').unwrap().1;
        let value = own.strip_prefix(before)?.strip_suffix(after)?;
        if value.is_empty() {
            return None;
        }
        let beside = before.len() + after.len();
        ranks.push((if beside > 0 { 1 } else { 2 }, Reverse(beside)));
    }
    path.next().is_none().then_some(ranks)
}

/// Returns true if a parameter of `template` matches a segment that a sibling with a longer suffix
/// takes.
fn is_shadowed(api: &ApiCatalog, template: &str, path: &str) -> bool {
    let segments = |path: &str| path.split('/').map(str::to_owned).collect::<Vec<_>>();
    let (own, path) = (segments(&template::as_route(template)), segments(path));
    api.endpoints().iter().map(|e| segments(&template::as_route(e.path()))).any(|other| {
        let differ = own.iter().zip(&other).position(|(one, other)| one != other);
        let Some(place) = differ else { return false };
        let suffix = |segments: &[String]| {
            segments[place].split_once('}').map(|(_, suffix)| suffix.to_owned())
        };
        let (Some(suffix), Some(shorter)) = (suffix(&other), suffix(&own)) else {
            return false;
        };
        let value = path.get(place).and_then(|own| own.strip_suffix(&suffix));
        let ends = |segments: &[String]| segments.len() == place + 1;
        suffix.len() > shorter.len()
            && ends(&other) == ends(&path)
            && value.is_some_and(|value| !value.is_empty())
    })
}

/// Returns the entries with the best rank, which differ in the method.
fn best<'a>(api: &'a ApiCatalog, path: &str) -> Vec<&'a Endpoint> {
    let entries = api.endpoints().iter().filter(|e| !is_shadowed(api, e.path(), path));
    let ranked = entries.filter_map(|e| Some((rank(e.path(), path)?, e)));
    let best = ranked.clone().map(|(rank, _)| rank).min();
    ranked.filter(|(rank, _)| Some(rank) == best.as_ref()).map(|(_, e)| e).collect()
}

/// Makes the same decision in a slow and simple way.
fn reference<'a>(api: &'a ApiCatalog, method: &str, path: &str, scope: &Scope) -> Enforcement<'a> {
    let decoded = path
        .replace("%61", "a")
        .replace("%40", "@")
        .replace("%c3%a9", "%C3%A9")
        .replace("%2e", ".");
    let dots = |path: &str| path.split('/').any(|segment| matches!(segment, "." | ".."));
    let odd = dots(path) || dots(&decoded) || path.contains("//") || path.contains("%2f");
    let (raw, found) = (best(api, path), best(api, &decoded));
    let Some(found) = found.iter().find(|e| e.method() == method).filter(|_| !odd && raw == found)
    else {
        return Enforcement::Unmapped;
    };
    let path = decoded;
    let request = ScopeToken::new(&format!("{method}{path}"));
    let enough = scope.tokens().map(|token| ScopeToken::new(token).unwrap()).any(|token| {
        token.covers(found.scope())
            || request.as_ref().is_ok_and(|r| token.covers(r) && found.scope().covers(r))
    });
    if enough { Enforcement::Allow } else { Enforcement::Insufficient { missing: found.scope() } }
}

fn any_catalog() -> impl Strategy<Value = ApiCatalog> {
    let path =
        "(/(a|@|%C3%A9|\\{NAME\\}|\\{NAME\\}\\.a)){0,3}/(a|b|\\{NAME\\}|\\{NAME\\}a|\\{\\*NAME\\})";
    let scope = "(GET|PUT|\\*)(/(a|b|\\*)){1,2}|s|t";
    let entries =
        prop::collection::vec((expression("GET|PUT"), expression(path), expression(scope)), 1..8);
    entries.prop_map(|entries| {
        let endpoints = entries.into_iter().map(|(method, path, scope)| {
            let named = path.split('/').enumerate();
            let path: Vec<_> = named.map(|(i, s)| s.replace("NAME", &format!("n{i}"))).collect();
            Endpoint::new(method, path.join("/"), ScopeToken::new(&scope).unwrap()).unwrap()
        });
        ApiCatalog::new(endpoints)
    })
}

/// Parses the expression once. A string as a strategy is parsed for each text that it makes.
fn expression(pattern: &str) -> impl Strategy<Value = String> + use<> {
    proptest::string::string_regex(pattern).unwrap()
}

proptest! {
    #[test]
    fn the_table_agrees_with_a_slow_reference(
        api in any_catalog(),
        requests in prop::collection::vec((expression("GET|PUT"), expression("(/(a|b|c|@|b\\.a|%C3%A9|\\.\\.|%61|b%2ea|%2e|%40|%c3%a9|%2f|)){1,4}")), 32),
        scope in prop::collection::vec(expression("(GET|PUT|\\*)(/(a|b|c|\\*)){1,3}|s|t"), 0..4)
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
