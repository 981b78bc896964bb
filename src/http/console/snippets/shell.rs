//! Programs for a POSIX shell, with `curl` and `openssl`.

use std::fmt::Write as _;

use super::program::{Assertion, CLIENT_SECRET, CodeRequest, Program, Value};
use super::quote::{python, shell};
use crate::http::console::texts::snippets as text;

/// Writes an option as curl reads it, with its value quoted.
const OPTION: &str =
    r#"option() { printf '%s = "%s"\n' "$1" "$(printf %s "$2" | sed 's/["\\]/\\&/g')"; }"#;

// Writing to a string cannot fail.
pub(super) fn write(program: &Program<'_>) -> String {
    let mut out = String::new();
    for assertion in &program.assertions {
        sign(&mut out, assertion);
    }
    if let Some(code) = &program.code {
        ask(&mut out, code);
    }
    let user = program
        .basic
        .as_ref()
        .map(|id| ("user", format!("{}\"${CLIENT_SECRET}\"", shell(&format!("{id}:")))));
    let form = program.form.iter().map(|(name, value)| {
        let word = match value {
            Value::Text(text) => shell(&format!("{name}={text}")),
            Value::Environment(variable) => format!("\"{name}=${variable}\""),
            Value::Local(local) => format!("\"{name}=${}\"", local.to_ascii_uppercase()),
        };
        ("data-urlencode", word)
    });
    request(&mut out, user.into_iter().chain(form), program.url);
    if program.basic.is_some() {
        out.insert_str(0, &format!("# {CLIENT_SECRET}: {}\n", text::ENCODED_SECRET));
    }
    out
}

/// Returns the command with which an API introspects a token.
pub(in super::super) fn introspection(url: &str) -> String {
    let user = ("user", format!("\"$OAUTH_CLIENT_ID:${CLIENT_SECRET}\""));
    let token = ("data-urlencode", "\"token=$TOKEN\"".to_owned());
    let mut out = String::new();
    request(&mut out, [user, token].into_iter(), url);
    out
}

/// Writes a request with options of curl, each with its value as a word of the shell.
fn request(out: &mut String, options: impl Iterator<Item = (&'static str, String)>, url: &str) {
    _ = write!(out, "# {}\n{OPTION}\n{{\n", text::STANDARD_INPUT);
    for (name, word) in options {
        _ = writeln!(out, "  option {name} {word}");
    }
    _ = writeln!(out, "}} | curl -sS --config - {}", shell(url));
}

/// A shell has no tool that signs for every algorithm, so that the assertion comes from another program.
fn sign(out: &mut String, assertion: &Assertion<'_>) {
    let variable = assertion.name.to_ascii_uppercase();
    _ = writeln!(out, "# {variable}: {}", text::signed(assertion.key.algorithm.as_str()));
    if let Some(id) = &assertion.key.id {
        _ = writeln!(out, "#   kid: {}", python(id));
    }
    for (name, value) in &assertion.claims {
        let value = match value {
            Value::Text(text) => python(text),
            Value::Environment(variable) | Value::Local(variable) => format!("${variable}"),
        };
        _ = writeln!(out, "#   {}: {value}", python(name));
    }
    let id = if assertion.has_id { text::RANDOM_ID } else { "" };
    _ = writeln!(out, "#   {}{id}", text::lifetime(assertion.seconds));
}

fn ask(out: &mut String, code: &CodeRequest<'_>) {
    let query = url::form_urlencoded::Serializer::new(String::new())
        .extend_pairs(code.query.iter().map(|(name, value)| (*name, &**value)))
        .finish();
    let url = shell(&format!("{}?{query}&state=", code.url));
    _ = write!(
        out,
        "VERIFIER=$(openssl rand -hex 32)\n\
         CHALLENGE=$(printf %s \"$VERIFIER\" | openssl dgst -sha256 -binary | openssl base64 | tr '/+' '_-' | tr -d '=\\n')\n\
         STATE=$(openssl rand -hex 32)\n\
         printf '%s\\n' {url}\"$STATE&code_challenge=$CHALLENGE&code_challenge_method=S256\"\n\
         # {}\n\
         # state=$STATE iss={}\n\
         read -r CODE\n",
        text::OPEN,
        python(code.issuer),
    );
}
