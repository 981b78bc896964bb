//! Programs for a POSIX shell, with `curl` and `openssl`.

use std::fmt::Write as _;

use super::program::{Assertion, CLIENT_SECRET, CodeRequest, Program, Value};
use super::quote::{python, shell};
use crate::http::console::texts::snippets as text;

// Writing to a string cannot fail.
pub(super) fn write(program: &Program<'_>) -> String {
    let mut out = String::new();
    for assertion in &program.assertions {
        sign(&mut out, assertion);
    }
    if let Some(code) = &program.code {
        ask(&mut out, code);
    }
    out.push_str("curl -sS");
    if let Some(id) = &program.basic {
        _ = write!(out, " -u {}\"$OAUTH_CLIENT_SECRET\"", shell(&format!("{id}:")));
    }
    for (name, value) in &program.form {
        let argument = match value {
            Value::Text(text) => shell(&format!("{name}={text}")),
            Value::Environment(variable) => format!("\"{name}=${variable}\""),
            Value::Local(local) => format!("\"{name}=${}\"", local.to_ascii_uppercase()),
        };
        _ = write!(out, " \\\n  --data-urlencode {argument}");
    }
    _ = writeln!(out, " \\\n  {}", shell(program.url));
    if program.basic.is_some() {
        out.insert_str(0, &format!("# {CLIENT_SECRET}: {}\n", text::ENCODED_SECRET));
    }
    out
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
