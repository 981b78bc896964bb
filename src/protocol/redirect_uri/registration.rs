//! The rules for redirect URIs at registration.

use super::{HOST, RedirectUri};

/// Schemes that no app owns: they run script, read files, belong to another protocol, or start a
/// program of the operating system or the browser with the text of the URI.
const FOREIGN_SCHEMES: &[&str] = &[
    "about",
    "admin",
    "afp",
    "android-app",
    "app-prefs",
    "applescript",
    "apt",
    "blob",
    "callto",
    "chrome",
    "chrome-search",
    "chrome-untrusted",
    "cid",
    "cifs",
    "computer",
    "content",
    "data",
    "dav",
    "davs",
    "devtools",
    "edge",
    "facetime",
    "facetime-audio",
    "feed",
    "file",
    "filesystem",
    "ftp",
    "ftps",
    "ghelp",
    "gopher",
    "hcp",
    "help",
    "imessage",
    "intent",
    "irc",
    "ircs",
    "its",
    "jar",
    "javascript",
    "jscript",
    "ldap",
    "ldaps",
    "livescript",
    "local",
    "magnet",
    "mailto",
    "man",
    "market",
    "mhtml",
    "microsoft-edge",
    "mk",
    "mms",
    "mmsto",
    "mocha",
    "moz-icon",
    "nfs",
    "news",
    "nntp",
    "onenote",
    "onenote-cmd",
    "outlookfeed",
    "package",
    "prefs",
    "rdp",
    "read",
    "res",
    "resource",
    "rlogin",
    "rtsp",
    "search",
    "search-ms",
    "sftp",
    "shell",
    "shortcuts",
    "sip",
    "sips",
    "sms",
    "smsto",
    "smb",
    "ssh",
    "steam",
    "stickynotes",
    "svn",
    "tel",
    "telnet",
    "tn3270",
    "trash",
    "urn",
    "vbscript",
    "view-source",
    "vnc",
    "webcal",
    "windowsdefender",
    "workflow",
    "ws",
    "wss",
    "wyciwyg",
    "xbox",
];

/// The beginnings of the schemes of operating systems: `ms-msdt`, `x-apple.systempreferences`,
/// `itms-services` and their like.
const FOREIGN_PREFIXES: &[&str] = &["ms-", "x-apple", "x-man", "itms"];

/// Schemes with such a beginning that an app owns: Windows gives one to each packaged app.
const OWNED_SCHEMES: &[&str] = &["ms-app", "ms-appx-web"];

/// The parts of a URI that passed the checks.
pub(super) struct Parts<'a> {
    pub(super) scheme: &'a str,
    /// Empty if absent. Brackets are included.
    pub(super) host: &'a str,
}

impl<'a> Parts<'a> {
    pub(super) fn of(text: &'a str) -> Result<Self, &'static str> {
        if text.len() > RedirectUri::MAX_BYTES {
            return Err("it is longer than 2000 bytes");
        }
        check_characters(text)?;
        let (scheme, rest) = text.split_once(':').ok_or("it is relative")?;
        check_scheme(scheme)?;
        let (authority, path) = match rest.strip_prefix("//") {
            Some(rest) => {
                let end = rest.find(['/', '?']).unwrap_or(rest.len());
                let (authority, tail) = rest.split_at(end);
                (Some(authority), tail)
            }
            None if rest.starts_with('/') => (None, rest),
            None => return Err("its scheme is not followed by a slash"),
        };
        let path = path.split('?').next().unwrap_or_default();
        if path.split('/').any(|segment| matches!(segment, "." | "..")) {
            return Err("it has a dot segment");
        }
        if path.to_ascii_lowercase().contains("%2e") {
            return Err("its path has an escaped dot");
        }
        let parts = Self { scheme, host: check_authority(authority.unwrap_or_default())? };
        if parts.is_web() && parts.host.is_empty() {
            return Err("it has no host");
        }
        if text.contains(HOST) && (parts.scheme != "https" || parts.host != HOST) {
            return Err("%%HOST%% is not the whole host of an https URI");
        }
        if text.matches(HOST).count() > 1 {
            return Err("%%HOST%% appears twice");
        }
        Ok(parts)
    }

    pub(super) fn is_web(&self) -> bool {
        matches!(self.scheme, "https" | "http")
    }
}

fn check_characters(text: &str) -> Result<(), &'static str> {
    if text.contains('#') {
        return Err("it has a fragment");
    }
    if text.contains('*') {
        return Err("it has a wildcard");
    }
    let allowed =
        |byte: u8| byte.is_ascii_alphanumeric() || b"-._~:/?[]@!$&'()+,;=%".contains(&byte);
    if !text.bytes().all(allowed) {
        return Err("it contains a character that is not allowed in a URI");
    }
    let text = text.replace(HOST, "");
    let escapes = text.split('%').skip(1);
    for escape in escapes {
        if !escape.get(..2).is_some_and(|hex| hex.bytes().all(|byte| byte.is_ascii_hexdigit())) {
            return Err("it has a malformed percent escape");
        }
    }
    Ok(())
}

fn check_scheme(scheme: &str) -> Result<(), &'static str> {
    let tail =
        |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"+-.".contains(&byte);
    if !scheme.starts_with(|first: char| first.is_ascii_alphabetic()) {
        return Err("it is relative");
    }
    if !scheme.bytes().all(tail) {
        return Err("its scheme is malformed or not in lower case");
    }
    let foreign = FOREIGN_SCHEMES.contains(&scheme)
        || FOREIGN_PREFIXES.iter().any(|prefix| scheme.starts_with(prefix));
    if foreign && !OWNED_SCHEMES.contains(&scheme) {
        return Err("its scheme is not one that an app owns");
    }
    Ok(())
}

/// Checks `authority` and returns its host, empty if absent.
fn check_authority(authority: &str) -> Result<&str, &'static str> {
    if authority.contains('@') {
        return Err("it contains user information");
    }
    let after_host = if authority.starts_with('[') {
        authority.find(']').map_or(authority.len(), |end| end + 1)
    } else {
        authority.find(':').unwrap_or(authority.len())
    };
    let (host, port) = authority.split_at(after_host);
    let is_ipv6 = || {
        let literal = host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
        literal.is_some_and(|address| address.parse::<std::net::Ipv6Addr>().is_ok())
    };
    if !(host.is_empty() || host == HOST || is_host_name(host) || is_ipv6()) {
        return Err("its host is malformed");
    }
    match port.strip_prefix(':') {
        Some(number) if is_port(number) => Ok(host),
        None if port.is_empty() => Ok(host),
        _ => Err("its port is malformed"),
    }
}

/// Checks whether `text` is 1 to 65535 in decimal, without sign or leading zero.
pub(super) fn is_port(text: &str) -> bool {
    let digits = text.bytes().all(|byte| byte.is_ascii_digit()) && !text.starts_with('0');
    digits && text.parse::<u16>().is_ok()
}

/// Checks whether `text` is labels of letters, digits, `-` and `_` between dots, at most 253 bytes.
pub(super) fn is_host_name(text: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
    let is_label = |label: &str| (1..=63).contains(&label.len()) && label.bytes().all(allowed);
    text.len() <= 253 && text.split('.').all(is_label)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// N14: a scheme that starts a program of the operating system is refused by name.
    #[test]
    fn handlers_of_the_operating_system_are_not_redirect_schemes() {
        for scheme in [
            "ms-msdt",
            "search-ms",
            "search",
            "ms-appinstaller",
            "ms-officecmd",
            "ms-word",
            "ms-excel",
            "ms-powerpoint",
            "ms-settings",
            "ms-cxh",
            "ms-its",
            "ms-screenclip",
            "ms-quick-assist",
            "microsoft-edge",
            "shell",
            "res",
            "hcp",
            "its",
            "mk",
            "read",
            "x-apple.systempreferences",
            "x-man-page",
            "itms-services",
            "itms-apps",
            "app-prefs",
            "prefs",
            "shortcuts",
            "applescript",
            "help",
            "afp",
            "vnc",
            "intent",
            "android-app",
            "market",
            "content",
            "apt",
            "ghelp",
            "chrome",
            "devtools",
            "edge",
            "view-source",
            "tel",
            "sms",
            "facetime",
            "callto",
            "rdp",
            "telnet",
            "steam",
            "magnet",
        ] {
            for rest in ["//h/cb", "/cb"] {
                let uri = format!("{scheme}:{rest}");
                let problem = RedirectUri::parse(&uri).unwrap_err().problem;
                assert_eq!(problem, "its scheme is not one that an app owns", "{uri}");
            }
        }
        for owned in [
            "ms-app://s-1-15-2-42",
            "ms-appx-web://microsoft.aad.brokerplugin/42",
            "msauth://h/cb",
            "com.example.app:/cb",
            "vscode://example.app/cb",
            "searcher://cb",
            "myapp://cb",
        ] {
            assert!(RedirectUri::parse(owned).is_ok(), "{owned}");
        }
    }

    /// A5, A16: an unsafe URI is refused at registration.
    #[test]
    fn unsafe_uris_cannot_be_registered() {
        let long = format!("https://h.example/{}", "a".repeat(1983));
        for (bad, problem) in [
            ("https://h.example/#f", "it has a fragment"),
            ("https://h.example/cb#", "it has a fragment"),
            ("https://u@h.example/", "it contains user information"),
            ("https://u:p@h.example/", "it contains user information"),
            ("myapp://u@h/", "it contains user information"),
            ("/done", "it is relative"),
            ("//h.example/done", "it is relative"),
            ("", "it is relative"),
            ("h.example/done", "it is relative"),
            ("https:h.example", "its scheme is not followed by a slash"),
            ("https:/h.example", "it has no host"),
            ("https:///done", "it has no host"),
            ("https://:443/", "it has no host"),
            ("https://*.example/", "it has a wildcard"),
            ("https://h.example/*", "it has a wildcard"),
            ("javascript://h.example/%0aalert(1)", "its scheme is not one that an app owns"),
            ("JavaScript:/alert(1)", "its scheme is malformed or not in lower case"),
            ("javascript:alert(1)", "its scheme is not one that an app owns"),
            ("data:text/html,x", "its scheme is not one that an app owns"),
            ("vbscript:/x", "its scheme is not one that an app owns"),
            ("file:///etc/passwd", "its scheme is not one that an app owns"),
            ("blob:https://h.example/x", "its scheme is not one that an app owns"),
            ("wss://h.example/", "its scheme is not one that an app owns"),
            ("urn:ietf:wg:oauth:2.0:oob", "its scheme is not one that an app owns"),
            ("myapp:done", "its scheme is not followed by a slash"),
            ("http://h.example/", "http is allowed on loopback only"),
            ("http://127.0.0.2/", "http is allowed on loopback only"),
            ("http://127.0.0.1.h.example/", "http is allowed on loopback only"),
            ("http://localhost/", "localhost must be allowed expressly"),
            ("https://h.example/a b", "it contains a character that is not allowed in a URI"),
            ("https://h.example/\n", "it contains a character that is not allowed in a URI"),
            ("https://h.example/\\", "it contains a character that is not allowed in a URI"),
            ("https://hé.example/", "it contains a character that is not allowed in a URI"),
            ("https://h.example/%zz", "it has a malformed percent escape"),
            ("https://h.example/%4", "it has a malformed percent escape"),
            ("https://h.example/a/../b", "it has a dot segment"),
            ("https://h.example/.", "it has a dot segment"),
            ("https://h.example/%2E%2e/b", "its path has an escaped dot"),
            ("https://h.example:0/", "its port is malformed"),
            ("https://h.example:65536/", "its port is malformed"),
            ("https://h.example:/", "its port is malformed"),
            ("https://h.example:0443/", "its port is malformed"),
            ("https://h.example:+443/", "its port is malformed"),
            ("https://h..example/", "its host is malformed"),
            ("https://h%2eexample/", "its host is malformed"),
            ("https://[::1", "its host is malformed"),
            ("https://[::1]x/", "its port is malformed"),
            ("https://1.2.3.4.5/", "it is not a URL"),
            ("https://a.%%HOST%%/", "its host is malformed"),
            ("https://%%HOST%%.evil.example/", "its host is malformed"),
            ("https://h.example/%%HOST%%", "%%HOST%% is not the whole host of an https URI"),
            ("myapp://%%HOST%%/", "%%HOST%% is not the whole host of an https URI"),
            ("http://%%HOST%%/", "%%HOST%% is not the whole host of an https URI"),
            ("https://%%HOST%%/%%HOST%%", "%%HOST%% appears twice"),
            ("https://%%host%%/", "it has a malformed percent escape"),
            (&long, "it is longer than 2000 bytes"),
        ] {
            assert_eq!(RedirectUri::parse(bad).unwrap_err().problem, problem, "{bad}");
        }
        for other in ["https://h.example/", "myapp://localhost/", "http://h.example/"] {
            assert!(RedirectUri::loopback_with_localhost(other).is_err(), "{other}");
        }
    }
}
