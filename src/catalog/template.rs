//! Path templates, and the one spelling of a path that decides.

use std::borrow::Cow;
use std::fmt::Write as _;

/// A segment of a template.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Segment<'a> {
    Literal(&'a str),
    /// `{name}`, possibly with literal text before and after it.
    One {
        before: &'a str,
        name: &'a str,
        after: &'a str,
    },
    /// `{*name}`
    Rest(&'a str),
}

impl<'a> Segment<'a> {
    fn new(text: &'a str) -> Self {
        let braces = text.split_once('{').and_then(|(before, rest)| {
            rest.split_once('}').map(|(name, after)| (before, name, after))
        });
        match braces {
            None => Self::Literal(text),
            Some((before, name, after)) => match name.strip_prefix('*') {
                Some(rest) if before.is_empty() && after.is_empty() => Self::Rest(rest),
                _ => Self::One { before, name, after },
            },
        }
    }

    /// Returns true if a segment of an endpoint scope leaves requests that this segment matches.
    fn admits(self, scope: &str) -> bool {
        match self {
            Self::One { before, after, .. } => {
                let inner = scope.strip_prefix(before).and_then(|it| it.strip_suffix(after));
                scope == "*" || inner.is_some_and(|inner| !inner.is_empty())
            }
            Self::Literal(_) | Self::Rest(_) => true,
        }
    }
}

fn segments(path: &str) -> impl Iterator<Item = Segment<'_>> {
    path.split('/').skip(1).map(Segment::new)
}

/// Returns the problem of a malformed template, or `None`.
pub(super) fn check(path: &str) -> Option<&'static str> {
    if !path.starts_with('/') {
        return Some("the path does not begin with `/`");
    }
    let mut names = Vec::new();
    let mut literal = String::new();
    for text in path.split('/').skip(1) {
        if matches!(names.last(), Some((_, Segment::Rest(_)))) {
            return Some("`{*name}` is not the last segment of the path");
        }
        if let Some(problem) = other_notation(text) {
            return Some(problem);
        }
        literal.push('/');
        let segment = Segment::new(text);
        match segment {
            Segment::Literal(text) => literal.push_str(text),
            Segment::One { name, .. } | Segment::Rest(name) => {
                if let Some(problem) = check_name(name, &names) {
                    return Some(problem);
                }
                names.push((name, segment));
                // Stands for a valid literal.
                let (before, after) = match segment {
                    Segment::One { before, after, .. } => (before, after),
                    Segment::Literal(_) | Segment::Rest(_) => ("", ""),
                };
                if after.contains('{') {
                    return Some("a segment has more than one path parameter");
                }
                literal.extend([before, "x", after]);
            }
        }
    }
    (!is_plain(&literal)).then_some(
        "the path has an empty or dot segment, or is not spelled as in a request: \
         percent escapes in upper-case hex, and only where needed",
    )
}

fn check_name(name: &str, others: &[(&str, Segment<'_>)]) -> Option<&'static str> {
    let in_name = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.');
    if name.starts_with('*') {
        return Some("`{*name}` is not a whole segment");
    }
    let outer_dot = name.starts_with('.') || name.ends_with('.');
    if name.is_empty() || outer_dot || !name.bytes().all(in_name) {
        return Some(
            "the name of a path parameter is not one of letters, digits, `_`, `-` and inner `.`",
        );
    }
    others
        .iter()
        .any(|(other, _)| *other == name)
        .then_some("two path parameters have the same name")
}

/// Returns the problem of a segment that is a parameter in the notation of other routers, and would
/// match only itself here.
fn other_notation(segment: &str) -> Option<&'static str> {
    match segment.bytes().next() {
        Some(b':') => Some("a path parameter is written `{name}`, not `:name`"),
        Some(b'<') => Some("a path parameter is written `{name}`, not `<name>`"),
        Some(b'*') => Some("the rest of a path is written `{*name}`, not `*` or `*name`"),
        _ => None,
    }
}

/// Converts a template for the router, with parameters named by position. Two templates that match
/// the same paths give the same text.
pub(super) fn as_route(path: &str) -> String {
    let mut route = String::with_capacity(path.len());
    for (place, segment) in segments(path).enumerate() {
        route.push('/');
        match segment {
            Segment::Literal(text) => route.push_str(text),
            Segment::One { before, after, .. } => {
                route.extend([before, "{p", &place.to_string(), "}", after]);
            }
            Segment::Rest(_) => route.extend(["{*p", &place.to_string(), "}"]),
        }
    }
    route
}

/// Converts a template for OpenAPI: `{*name}` becomes `{name}`.
pub(super) fn as_openapi(path: &str) -> String {
    path.replace("{*", "{")
}

/// Converts a template to an endpoint scope, and returns true with it if the template ends in
/// `{*name}`. Text beside a parameter is lost, see [`admits`].
pub(super) fn as_pattern(method: &str, path: &str) -> (String, bool) {
    let mut pattern = method.to_owned();
    let mut open_ended = false;
    for segment in segments(path) {
        pattern.push('/');
        match segment {
            Segment::Literal(text) => pattern.push_str(text),
            Segment::One { .. } => pattern.push('*'),
            Segment::Rest(_) => {
                pattern.push('*');
                open_ended = true;
            }
        }
    }
    (pattern, open_ended)
}

/// Returns true if an endpoint scope that [`as_pattern`] covers leaves requests that the template
/// matches.
pub(super) fn admits(path: &str, scope: &str) -> bool {
    segments(path).zip(scope.split('/').skip(1)).all(|(segment, text)| segment.admits(text))
}

/// Returns true if `path` is its own [`canonical`] form.
pub(super) fn is_plain(path: &str) -> bool {
    canonical(path).is_some_and(|canonical| canonical == path)
}

/// Returns the path as an API reads it that decodes each segment once. Escapes remain, in
/// upper-case hex, only for characters that a segment may not contain unescaped.
///
/// This decodes more than RFC 3986 section 6.2.2.2 does, as many routers do: `%40` becomes `@`.
///
/// Returns `None` if an API might read another path: it is relative, has an empty segment before
/// the last, or a dot segment, or a character that needs an escape, or an escape that is malformed
/// or hides a slash, a backslash, a control character, broken UTF-8, a dot segment or another
/// escape.
pub(super) fn canonical(path: &str) -> Option<Cow<'_, str>> {
    let mut previous = 0;
    let (mut has_escapes, mut dots) = (false, false);
    for byte in path.bytes() {
        match byte {
            b'/' if previous == b'/' => return None,
            b'/' => {}
            _ if previous == 0 => return None,
            b'%' => has_escapes = true,
            b'.' => dots |= previous == b'/',
            _ if is_path_character(byte) => {}
            _ => return None,
        }
        previous = byte;
    }
    if previous == 0 || (dots && path.split('/').any(is_dot_segment)) {
        return None;
    }
    if !has_escapes {
        return Some(Cow::Borrowed(path));
    }
    let mut spelled = String::with_capacity(path.len());
    for segment in path.split('/').skip(1) {
        let decoded = decode(segment)?;
        if is_dot_segment(&decoded) {
            return None;
        }
        spelled.push('/');
        for &byte in decoded.as_bytes() {
            if is_path_character(byte) {
                spelled.push(char::from(byte));
            } else {
                // Writing to a string cannot fail.
                _ = write!(spelled, "%{byte:02X}");
            }
        }
    }
    Some(Cow::Owned(spelled))
}

/// Returns the path as an API reads it that drops the text from a `;` to the end of its segment.
pub(super) fn without_matrix_parameters(path: &str) -> String {
    let segments = path.split('/').map(|it| it.split_once(';').map_or(it, |(segment, _)| segment));
    segments.collect::<Vec<_>>().join("/")
}

/// Decodes a segment once. Returns `None` if an escape is malformed, or hides a slash, a backslash,
/// a control character, broken UTF-8 or another escape.
fn decode(segment: &str) -> Option<String> {
    let mut pieces = segment.split('%');
    let mut decoded = pieces.next()?.as_bytes().to_vec();
    for piece in pieces {
        let (hex, rest) = piece.split_at_checked(2)?;
        if !is_hex(hex) {
            return None;
        }
        decoded.push(u8::from_str_radix(hex, 16).ok()?);
        decoded.extend_from_slice(rest.as_bytes());
    }
    let decoded = String::from_utf8(decoded).ok()?;
    let hides_separator = decoded.chars().any(|it| matches!(it, '/' | '\\') || it.is_control());
    let hides_escape = decoded.split('%').skip(1).any(|piece| piece.get(..2).is_some_and(is_hex));
    (!hides_separator && !hides_escape).then_some(decoded)
}

fn is_hex(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_hexdigit())
}

fn is_dot_segment(segment: &str) -> bool {
    matches!(segment, "." | "..")
}

/// Returns true for a `pchar` of RFC 3986 section 3.3, except the percent sign.
const fn is_path_character(byte: u8) -> bool {
    byte.is_ascii_alphanumeric()
        || matches!(byte, b'-' | b'.' | b'_' | b'~')
        || matches!(byte, b'!' | b'$' | b'&'..=b',' | b';' | b'=' | b':' | b'@')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_with_another_spelling_is_not_plain() {
        for good in ["/", "/a", "/a/", "/a.b/..c/.d", "/%20/%C3%A9/%25", "/a:b@c;d=e,f+(g)*!$&'~_-"]
        {
            assert!(is_plain(good), "{good}");
        }
        for bad in [
            "",
            "a",
            "//",
            "/a//b",
            "//a",
            "/.",
            "/..",
            "/a/./b",
            "/a/../b",
            "/a/..",
            "/%2e/a",
            "/%2E%2E/a",
            "/%61",
            "/a%2Fb",
            "/a%2fb",
            "/a%5Cb",
            "/a%5cb",
            "/a%00",
            "/a%0a",
            "/a%7f",
            "/a%",
            "/a%4",
            "/a%zz",
            "/caf%c3%a9",
            "/caf%C3%a9",
            "/a%+1",
            "/a?b",
            "/a#b",
            "/a\\b",
            "/a b",
            "/é",
            "/a\u{0}",
            "/{a}",
            "*",
            "/%C3",
            "/%C0%AF",
            "/%2541",
            "/%25%32%66",
        ] {
            assert!(!is_plain(bad), "{bad}");
        }
    }

    #[test]
    fn each_ascii_character_is_plain_either_unescaped_or_in_one_escape() {
        for byte in 0..0x80 {
            let bare = is_plain(&format!("/x{}", char::from(byte)));
            let upper = format!("/x%{byte:02X}");
            let lower = format!("/x%{byte:02x}");
            let never = byte.is_ascii_control() || b"/\\".contains(&byte);
            assert_eq!(is_plain(&upper), !never && !bare, "{upper}");
            assert_eq!(is_plain(&lower), lower == upper && is_plain(&upper), "{lower}");
        }
    }

    /// Z18: an escape is decoded unless the path might then be read in another way.
    #[test]
    fn a_path_is_decoded_once_or_not_at_all() {
        for (path, canonical_form) in [
            ("/a%40b", "/a@b"),
            ("/%61/%7e", "/a/~"),
            ("/caf%c3%A9", "/caf%C3%A9"),
            ("/%e2%82%ac%20", "/%E2%82%AC%20"),
            ("/100%25", "/100%25"),
            ("/100%25g", "/100%25g"),
            ("/a%3Bb", "/a;b"),
            ("/a%2Eb/%2e.c", "/a.b/..c"),
            ("/%2a", "/*"),
            ("/a/", "/a/"),
        ] {
            assert_eq!(canonical(path).as_deref(), Some(canonical_form), "{path}");
            assert!(is_plain(canonical_form), "{canonical_form}");
        }
        for path in [
            "/%2f",
            "/%2F",
            "/a%5cb",
            "/%00",
            "/%0d%0a",
            "/%7F",
            "/%C2%85", // hides a character
            "/%2e",
            "/%2E%2e",
            "/.%2e",
            "/%2e./a",
            "/a%2F..%2fb", // hides a dot segment
            "/%ff",
            "/%C3",
            "/%a9",
            "/%C3/%A9",
            "/%C0%AF",
            "/%ED%A0%80",
            "/%F5%80%80%80", // no UTF-8
            "/%252f",
            "/%252F",
            "/%25%32%66",
            "/%2541",
            "/%252e%252e",
            "/%25252f", // twice
            "/%",
            "/%4",
            "/%4/1",
            "/%g0",
            "/%+1",
            "/% 1",
            "/%é",
            "/%u002f", // malformed
        ] {
            assert_eq!(canonical(path), None, "{path}");
        }
    }

    #[test]
    fn matrix_parameters_are_cut_from_each_segment() {
        assert_eq!(without_matrix_parameters("/a;x=1;y/b;/..;/c"), "/a/b/../c");
    }

    #[test]
    fn templates_that_match_the_same_paths_give_the_same_route() {
        assert_eq!(as_route("/a/{id}/{*rest}"), as_route("/a/{x}/{*y}"));
        assert_ne!(as_route("/a/{id}"), as_route("/a/{*id}"));
        assert_eq!(as_route("/a/{sid}.json"), as_route("/a/{call-sid}.json"));
        assert_ne!(as_route("/a/{sid}.json"), as_route("/a/{sid}"));
        assert_eq!(as_pattern("GET", "/a/{id}/b"), ("GET/a/*/b".into(), false));
        assert_eq!(as_openapi("/a/{id}/{*rest}"), "/a/{id}/{rest}");
    }
}
