//! Path templates, and the check that a path has only one spelling.

/// A segment of a template.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Segment<'a> {
    Literal(&'a str),
    /// `{name}`
    One(&'a str),
    /// `{*name}`
    Rest(&'a str),
}

fn segments(path: &str) -> impl Iterator<Item = Segment<'_>> {
    path.split('/').skip(1).map(|text| {
        match text.strip_prefix('{').and_then(|name| name.strip_suffix('}')) {
            Some(name) => name.strip_prefix('*').map_or(Segment::One(name), Segment::Rest),
            None => Segment::Literal(text),
        }
    })
}

/// Returns the problem of a malformed template, or `None`.
pub(super) fn check(path: &str) -> Option<&'static str> {
    let mut names = Vec::new();
    let mut literal = String::new();
    for segment in segments(path) {
        if matches!(names.last(), Some((_, Segment::Rest(_)))) {
            return Some("`{*name}` is not the last segment of the path");
        }
        literal.push('/');
        match segment {
            Segment::Literal(text) => literal.push_str(text),
            Segment::One(name) | Segment::Rest(name) => {
                let in_name = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
                if name.is_empty() || !name.bytes().all(in_name) {
                    return Some("a path parameter has an invalid name");
                }
                if names.iter().any(|(other, _)| *other == name) {
                    return Some("two path parameters have the same name");
                }
                names.push((name, segment));
                // Stands for a valid literal.
                literal.push('x');
            }
        }
    }
    (!path.starts_with('/') || !is_plain(&literal)).then_some("the path is malformed")
}

/// Converts a template for the router, with parameters named by position. Two templates that match
/// the same paths give the same text.
pub(super) fn as_route(path: &str) -> String {
    let mut route = String::with_capacity(path.len());
    for (place, segment) in segments(path).enumerate() {
        route.push('/');
        match segment {
            Segment::Literal(text) => route.push_str(text),
            Segment::One(_) => route.extend(["{p", &place.to_string(), "}"]),
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
/// `{*name}`.
pub(super) fn as_pattern(method: &str, path: &str) -> (String, bool) {
    let mut pattern = method.to_owned();
    let mut open_ended = false;
    for segment in segments(path) {
        pattern.push('/');
        match segment {
            Segment::Literal(text) => pattern.push_str(text),
            Segment::One(_) => pattern.push('*'),
            Segment::Rest(_) => {
                pattern.push('*');
                open_ended = true;
            }
        }
    }
    (pattern, open_ended)
}

/// Returns true if `path` is absolute and has no other spelling that a router might treat as equal:
/// no empty segment but the last, no dot segment, no unescaped character that needs an escape, and
/// no escape in lower-case hex (RFC 3986 section 6.2.2.1), of a character that a segment may
/// contain unescaped (wider than section 6.2.2.2, because many routers unescape `%40`), of a slash,
/// a backslash or a control character.
pub(super) fn is_plain(path: &str) -> bool {
    let mut previous = 0;
    let mut suspicious = false;
    for byte in path.bytes() {
        match byte {
            b'/' if previous == b'/' => return false,
            b'/' => {}
            _ if previous == 0 => return false,
            b'%' => suspicious = true,
            b'.' => suspicious |= previous == b'/',
            _ if is_path_character(byte) => {}
            _ => return false,
        }
        previous = byte;
    }
    previous != 0 && (!suspicious || (has_no_dot_segment(path) && escapes_are_needed(path)))
}

/// Returns true for a `pchar` of RFC 3986 section 3.3, except the percent sign.
const fn is_path_character(byte: u8) -> bool {
    byte.is_ascii_alphanumeric()
        || matches!(byte, b'-' | b'.' | b'_' | b'~')
        || matches!(byte, b'!' | b'$' | b'&'..=b',' | b';' | b'=' | b':' | b'@')
}

fn has_no_dot_segment(path: &str) -> bool {
    !path.split('/').any(|segment| matches!(segment, "." | ".."))
}

fn escapes_are_needed(path: &str) -> bool {
    path.split('%').skip(1).all(|escape| {
        let is_digit = |byte: u8| matches!(byte, b'0'..=b'9' | b'A'..=b'F');
        let hex = escape.get(..2).filter(|hex| hex.bytes().all(is_digit));
        let byte = hex.and_then(|hex| u8::from_str_radix(hex, 16).ok());
        byte.is_some_and(|byte| {
            !is_path_character(byte) && !byte.is_ascii_control() && byte != b'/' && byte != b'\\'
        })
    })
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
        ] {
            assert!(!is_plain(bad), "{bad}");
        }
    }

    #[test]
    fn each_byte_is_plain_either_unescaped_or_in_one_escape() {
        for byte in 0..=u8::MAX {
            let bare = byte.is_ascii() && is_plain(&format!("/x{}", char::from(byte)));
            let upper = format!("/x%{byte:02X}");
            let lower = format!("/x%{byte:02x}");
            let never = byte.is_ascii_control() || b"/\\".contains(&byte);
            assert_eq!(is_plain(&upper), !never && !bare, "{upper}");
            assert_eq!(is_plain(&lower), lower == upper && is_plain(&upper), "{lower}");
        }
    }

    #[test]
    fn templates_that_match_the_same_paths_give_the_same_route() {
        assert_eq!(as_route("/a/{id}/{*rest}"), as_route("/a/{x}/{*y}"));
        assert_ne!(as_route("/a/{id}"), as_route("/a/{*id}"));
        assert_eq!(as_pattern("GET", "/a/{id}/b"), ("GET/a/*/b".into(), false));
        assert_eq!(as_openapi("/a/{id}/{*rest}"), "/a/{id}/{rest}");
    }
}
