//! Forms with a file: `multipart/form-data` (RFC 7578), as browsers send it.
//!
//! The parser is strict: every line ending is CRLF, every part has a name, nothing is before the first part, and the
//! last boundary ends the body. Texts and files are UTF-8: keys are PEM or JSON.

use super::fields::MAX_FIELDS;

/// The longest boundary (RFC 2046 section 5.1.1).
const MAX_BOUNDARY: usize = 70;
/// The longest headers of a part.
const MAX_HEADERS: usize = 1024;

/// Reads a body. `parameters` are those of the content type.
pub(super) fn read(parameters: &str, body: &[u8]) -> Option<Vec<(String, String)>> {
    let boundary = boundary(parameters)?;
    let text = std::str::from_utf8(body).ok().filter(|text| !text.contains('\0'))?;
    let first = format!("--{boundary}");
    let delimiter = format!("\r\n--{boundary}");
    let mut rest = text.strip_prefix(&first)?;
    let mut fields = Vec::new();
    loop {
        if let Some(end) = rest.strip_prefix("--") {
            return (end.is_empty() || end == "\r\n").then_some(fields);
        }
        if fields.len() == MAX_FIELDS {
            return None;
        }
        let part = rest.strip_prefix("\r\n")?;
        let (part, after) = part.split_once(&delimiter)?;
        let (headers, value) = part.split_once("\r\n\r\n")?;
        if headers.len() > MAX_HEADERS {
            return None;
        }
        fields.push((name(headers)?, value.to_owned()));
        rest = after;
    }
}

fn boundary(parameters: &str) -> Option<&str> {
    let value = parameters.split(';').find_map(|parameter| {
        let (name, value) = parameter.split_once('=')?;
        name.trim().eq_ignore_ascii_case("boundary").then_some(value.trim())
    })?;
    let value = value.strip_prefix('"').and_then(|it| it.strip_suffix('"')).unwrap_or(value);
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"'()+_,-./:=?".contains(&byte);
    let fits = (1..=MAX_BOUNDARY).contains(&value.len()) && value.bytes().all(allowed);
    fits.then_some(value)
}

/// Returns the name in the one `Content-Disposition` of a part.
fn name(headers: &str) -> Option<String> {
    let mut found = None;
    for line in headers.split("\r\n") {
        let (name, value) = line.split_once(':')?;
        if name.eq_ignore_ascii_case("content-disposition") && found.replace(value).is_some() {
            return None;
        }
    }
    let rest = found?.trim_start().strip_prefix("form-data;")?.trim_start();
    let name = rest.strip_prefix("name=\"")?.split('"').next()?;
    // Browsers escape quotes and line ends with percent signs. The names of our fields have none.
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
    (!name.is_empty() && name.len() <= 64 && name.bytes().all(plain)).then(|| name.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    const BODY: &str = "--b\r\nContent-Disposition: form-data; name=\"a\"\r\n\r\none\r\ntwo\r\n\
        --b\r\nContent-Disposition: form-data; name=\"file\"; filename=\"x.pem\"\r\n\
        Content-Type: application/octet-stream\r\n\r\n--BEGIN\n\r\n--b--\r\n";

    #[test]
    fn parts_are_read_with_texts_and_files() {
        let fields = read(" boundary=b", BODY.as_bytes()).unwrap();
        let expected = [("a", "one\r\ntwo"), ("file", "--BEGIN\n")];
        assert_eq!(fields, expected.map(|(name, value)| (name.to_owned(), value.to_owned())));
        assert!(read("charset=utf-8; Boundary=\"b\"", BODY.as_bytes()).is_some());
        assert_eq!(read("boundary=b", b"--b--").unwrap(), []);
    }

    #[test]
    fn a_malformed_body_is_refused() {
        for (parameters, body) in [
            ("", BODY),
            ("boundary=", BODY),
            ("boundary=c", BODY),
            ("boundary=b", ""),
            ("boundary=b", &BODY[..BODY.len() - 4]),
            ("boundary=b", &BODY.replace("\r\n", "\n")),
            ("boundary=b", &format!("preamble\r\n{BODY}")),
            ("boundary=b", &format!("{BODY}epilogue")),
            ("boundary=b", &BODY.replace("name=\"a\"", "name=a")),
            ("boundary=b", &BODY.replace("name=\"a\"", "name=\"\"")),
            ("boundary=b", &BODY.replace("name=\"a\"", "name=\"a%22\"")),
            ("boundary=b", &BODY.replace("form-data; name=\"a\"", "attachment")),
            ("boundary=b", &BODY.replace("one", "o\0ne")),
            ("boundary=b", &BODY.replace("Content-Type: app", "Content-Disposition: app")),
            (
                "boundary=b",
                &BODY.replace("filename=\"x", &format!("filename=\"{}", "x".repeat(1024))),
            ),
            (&format!("boundary={}", "b".repeat(71)), BODY),
            ("boundary=b\u{e4}", BODY),
        ] {
            assert!(read(parameters, body.as_bytes()).is_none(), "{parameters}: {body}");
        }
        let longest = "b".repeat(MAX_BOUNDARY);
        let body = BODY
            .replace("--b\r", &format!("--{longest}\r"))
            .replace("--b--", &format!("--{longest}--"));
        assert!(read(&format!("boundary={longest}"), body.as_bytes()).is_some());
        let name = "form-data; name=\"a\"";
        let headers = BODY.replace(name, &format!("{name}; x={}", "x".repeat(MAX_HEADERS - 44)));
        assert!(read("boundary=b", headers.as_bytes()).is_some());
        assert!(read("boundary=b", headers.replace("; x=", "; x=x").as_bytes()).is_none());
        assert!(read("boundary=b", &BODY.as_bytes()[..20]).is_none());
        assert!(read("boundary=b", b"--b\xff").is_none());
    }

    #[test]
    fn arbitrary_bytes_never_panic() {
        for end in 0..BODY.len() {
            let _ = read("boundary=b", &BODY.as_bytes()[..end]);
            let _ = read("boundary=b", &BODY.as_bytes()[end..]);
        }
    }
}
