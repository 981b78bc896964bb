//! Endpoint scopes as patterns: the requests that one covers, and the intersection of two.
//!
//! All functions take tokens that [`check`] accepts.

use std::borrow::Cow;

const ANY: &str = "*";

/// Splits an endpoint scope into method and rest, with the slash. Returns `None` for an opaque token.
pub(crate) fn endpoint(token: &str) -> Option<(&str, &str)> {
    let letters = token.bytes().take_while(u8::is_ascii_uppercase).count();
    let end = if letters == 0 { usize::from(token.starts_with('*')) } else { letters };
    let (method, rest) = token.split_at_checked(end)?;
    (end > 0 && rest.starts_with('/')).then_some((method, rest))
}

/// Returns the problem of `token` as a pattern, if any.
pub(super) fn check(token: &str) -> Option<&'static str> {
    let (_, rest) = endpoint(token)?;
    rest.split('/').skip(1).find_map(|segment| match segment {
        "" => Some("an endpoint scope has an empty segment"),
        ANY => None,
        text if text.contains('*') => Some("a `*` of an endpoint scope is not a whole segment"),
        _ => None,
    })
}

/// Checks whether every request that `narrow` matches is matched by `wide`.
pub(crate) fn covers(wide: &str, narrow: &str) -> bool {
    let both_patterns = || endpoint(wide).and(endpoint(narrow)).is_some();
    segments_cover(wide, narrow, both_patterns)
}

/// Checks whether `token` is an endpoint scope that matches a request for `path`, which begins with `/`.
///
/// No token matches a path that ends in a slash: its last segment is empty, and a `*` needs at least one
/// character.
pub(crate) fn covers_request(token: &str, method: &str, path: &str) -> bool {
    endpoint(token).is_some_and(|(wide, segments)| {
        (wide == ANY || wide == method)
            && !path.ends_with('/')
            && segments_cover(segments, path, || true)
    })
}

/// Compares both texts from the start. A `*` of `wide` skips one segment of `narrow` if `is_pattern`
/// says that the `*` is a wildcard.
///
/// `narrow` may be a request's path. Its literal `*` segments match only a `*` of `wide`, as they should.
fn segments_cover(wide: &str, narrow: &str, is_pattern: impl Fn() -> bool) -> bool {
    let (mut wide, mut narrow) = (wide.bytes(), narrow.bytes());
    loop {
        match (wide.next(), narrow.next()) {
            (Some(b'*'), Some(first)) if is_pattern() => match wide.next() {
                None => return true,
                // The slash after the `*` must have one in `narrow`.
                Some(_) if first != b'/' && narrow.any(|byte| byte == b'/') => {}
                Some(_) => return false,
            },
            (Some(one), Some(other)) if one == other => {}
            (None, None) => return true,
            _ => return false,
        }
    }
}

/// Returns the pattern that matches exactly the requests that both match, if there are any.
pub(crate) fn intersection<'a>(a: &'a str, b: &'a str) -> Option<Cow<'a, str>> {
    if covers(a, b) {
        return Some(Cow::Borrowed(b));
    }
    if covers(b, a) {
        return Some(Cow::Borrowed(a));
    }
    endpoint(a).and(endpoint(b))?;
    let mut common = String::with_capacity(a.len().max(b.len()));
    let (mut a, mut b) = (a.split('/').peekable(), b.split('/').peekable());
    loop {
        let (one, other) = match (a.next(), b.next()) {
            (Some(one), Some(other)) => (one, other),
            (None, None) => return Some(Cow::Owned(common)),
            _ => return None,
        };
        if !common.is_empty() {
            common.push('/');
        }
        // A last `*` takes the rest of the other pattern.
        let rest = if one == ANY && a.peek().is_none() {
            Some((other, &mut b))
        } else if other == ANY && b.peek().is_none() {
            Some((one, &mut a))
        } else {
            None
        };
        if let Some((segment, rest)) = rest {
            common.push_str(segment);
            for segment in rest {
                common.push('/');
                common.push_str(segment);
            }
            return Some(Cow::Owned(common));
        }
        match (one, other) {
            (ANY, segment) | (segment, ANY) => common.push_str(segment),
            (one, other) if one == other => common.push_str(one),
            _ => return None,
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Matches the slow way, by every way to take the first segment.
    fn matches(pattern: &[&str], request: &[&str]) -> bool {
        match (pattern, request) {
            (["*"], [_, ..]) => true,
            ([one, pattern @ ..], [segment, request @ ..]) => {
                (*one == "*" || one == segment) && matches(pattern, request)
            }
            (pattern, request) => pattern.is_empty() && request.is_empty(),
        }
    }

    fn matches_text(pattern: &str, request: &str) -> bool {
        let pattern: Vec<_> = pattern.split('/').collect();
        matches(&pattern, &request.split('/').collect::<Vec<_>>())
    }

    /// Lists all requests of up to four segments, over an alphabet with one segment that no pattern names.
    fn requests() -> Vec<String> {
        let mut all: Vec<String> = ["GET", "PUT", "NEW"].map(String::from).into();
        let mut from = 0;
        for _ in 0..4 {
            let to = all.len();
            for index in from..to {
                for segment in ["a", "b", "new"] {
                    all.push(format!("{}/{segment}", all[index]));
                }
            }
            from = to;
        }
        all.retain(|request| request.contains('/'));
        all
    }

    fn pattern() -> impl Strategy<Value = String> {
        let method = prop::sample::select(vec!["GET", "PUT", "*"]);
        let segments = prop::collection::vec(prop::sample::select(vec!["a", "b", "*"]), 1..4);
        (method, segments).prop_map(|(method, rest)| format!("{method}/{}", rest.join("/")))
    }

    proptest! {
        #[test]
        fn a_pattern_covers_another_exactly_when_it_matches_all_its_requests(
            a in pattern(), b in pattern()
        ) {
            let all = requests().iter().all(|r| !matches_text(&b, r) || matches_text(&a, r));
            prop_assert_eq!(covers(&a, &b), all, "{} covers {}", a, b);
        }

        #[test]
        fn the_intersection_matches_exactly_the_requests_that_both_match(
            a in pattern(), b in pattern()
        ) {
            let common = intersection(&a, &b);
            for request in requests() {
                let both = matches_text(&a, &request) && matches_text(&b, &request);
                let found = common.as_deref().is_some_and(|common| matches_text(common, &request));
                prop_assert_eq!(found, both, "{} and {} on {}", a, b, request);
            }
        }

        #[test]
        fn covering_is_reflexive_and_transitive(a in pattern(), b in pattern(), c in pattern()) {
            prop_assert!(covers(&a, &a));
            prop_assert!(!(covers(&a, &b) && covers(&b, &c)) || covers(&a, &c));
        }

        #[test]
        fn a_token_covers_exactly_the_requests_that_its_pattern_matches(a in pattern(), index in 0_usize..360) {
            let all = requests();
            let request = &all[index % all.len()];
            let (method, rest) = request.split_once('/').unwrap();
            let found = covers_request(&a, method, &format!("/{rest}"));
            prop_assert_eq!(found, matches_text(&a, request));
        }
    }

    #[test]
    fn a_star_in_the_path_of_a_request_is_not_a_wildcard() {
        assert!(covers_request("GET/users/*", "GET", "/users/*"));
        assert!(!covers_request("GET/users/42", "GET", "/users/*"));
        assert!(!covers_request("GET/*/42", "GET", "/*"));
        assert!(!covers_request("users.read", "GET", "/users"));
        for slash in ["/", "/users/", "/users/42/"] {
            assert!(!covers_request("*/*", "GET", slash), "{slash}");
        }
    }
}
