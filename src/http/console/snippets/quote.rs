//! Literals: any text, as one word or string of a language. Characters beyond ASCII are escaped, so that a program
//! reads as it runs.

use std::fmt::Write as _;

/// Quotes a text as one word of a POSIX shell.
pub(in super::super) fn shell(text: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~:/".contains(&byte);
    if !text.is_empty() && text.bytes().all(plain) {
        return text.to_owned();
    }
    format!("'{}'", text.replace('\'', r"'\''"))
}

/// Quotes a text as a string of Python.
pub(super) fn python(text: &str) -> String {
    quoted(text, |quoted, c| match u32::from(c) {
        code @ 0..=0xff => write!(quoted, "\\x{code:02x}"),
        code @ 0x100..=0xffff => write!(quoted, "\\u{code:04x}"),
        code => write!(quoted, "\\U{code:08x}"),
    })
}

/// Quotes a text as a string of JavaScript.
pub(super) fn javascript(text: &str) -> String {
    quoted(text, |quoted, c| write!(quoted, "\\u{{{:x}}}", u32::from(c)))
}

/// Quotes a text as a string of Rust.
pub(super) fn rust(text: &str) -> String {
    javascript(text)
}

fn quoted(text: &str, escape: impl Fn(&mut String, char) -> std::fmt::Result) -> String {
    let mut quoted = String::from("\"");
    for c in text.chars() {
        match c {
            '"' | '\\' => quoted.extend(['\\', c]),
            ' '..='~' => quoted.push(c),
            // Writing to a string cannot fail.
            c => _ = escape(&mut quoted, c),
        }
    }
    quoted.push('"');
    quoted
}
