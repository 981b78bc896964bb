//! Parts of the shell commands to try.

/// Extracts the access token from a response.
pub(crate) const TOKEN: &str = r#"sed 's/.*"access_token":"\([^"]*\)".*/\1/'"#;

/// Returns the lines that open the authorization `request`, log in as `ann` and approve. They leave the code in
/// `$CODE`, and two temporary files: `$J` with the cookies, and `$P`.
pub(crate) fn approve(issuer: &str, origin: &str, request: &str) -> String {
    let request = quote(request);
    format!(
        r#"J=$(mktemp) P=$(mktemp)
hidden() {{ sed -n "s/.*name=\"$1\" value=\"\([^\"]*\)\".*/\1/p" "$P" | sed 's/&amp;/\&/g'; }}
curl -s -b "$J" -c "$J" -o "$P" {request}
curl -s -b "$J" -c "$J" -o "$P" -L {origin}/login --data-urlencode "token=$(hidden token)" --data-urlencode "return_to=$(hidden return_to)" -d username=ann -d password=ann-demo-password
CODE=$(curl -s -b "$J" -o /dev/null -w '%{{redirect_url}}' {issuer}/oauth/decision --data-urlencode "ticket=$(hidden ticket)" -d scope=profile -d scope=files.list -d decision=approve | sed 's/.*[?&]code=\([^&]*\).*/\1/')"#
    )
}

/// Quotes `text` as one word of a POSIX shell.
pub(crate) fn quote(text: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_./:=%@,+".contains(&byte);
    if !text.is_empty() && text.bytes().all(plain) {
        return text.to_owned();
    }
    format!("'{}'", text.replace('\'', r"'\''"))
}

pub(crate) fn encode(text: &str) -> String {
    url::form_urlencoded::byte_serialize(text.as_bytes()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quoting_preserves_any_text() {
        assert_eq!(quote("http://127.0.0.1:8089/api"), "http://127.0.0.1:8089/api");
        for text in ["", "a b", "a&b", "it's", "$(x)", "\"", "`x`", "a\\b", "*", "~"] {
            let echo = std::process::Command::new("sh")
                .args(["-c", &format!("printf %s {}", quote(text))])
                .output()
                .unwrap();
            assert_eq!(String::from_utf8(echo.stdout).unwrap(), text);
        }
    }
}
