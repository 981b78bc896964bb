//! Programs in Rust, with the crates `reqwest`, `jsonwebtoken` and `oauth2`.

use std::fmt::Write as _;

use super::program::{Assertion, CLIENT_SECRET, CodeRequest, Program, SIGNATURE_SECRET, Value};
use super::quote::rust as quoted;
use crate::http::console::texts::snippets as text;
use crate::jwt::Algorithm;

// Each program names the versions of crates that it compiles with: others may have another API.

/// The crate that signs in the program. This library does not call it.
const CRATE: &str = "jsonwebtoken";

// Writing to a string cannot fail.
pub(super) fn write(program: &Program<'_>) -> String {
    let mut out = String::from("// cargo add reqwest@0.13 --features blocking,form\n");
    if program.code.is_some() {
        out.push_str("// cargo add oauth2@5 --no-default-features\n// cargo add url@2\n");
    }
    let signs = !program.assertions.is_empty();
    if signs {
        out.push_str(
            "// cargo add jsonwebtoken@11 --features rust_crypto,use_pem\n// cargo add serde_json@1\n",
        );
    }
    if program.assertions.iter().any(|it| it.has_id) {
        out.push_str("// cargo add uuid@1 --features v4\n");
    }
    let environment = |(_, value): &(_, Value<'_>)| matches!(value, Value::Environment(_));
    if signs || program.basic.is_some() || program.form.iter().any(environment) {
        out.push_str("use std::env;\n");
    }
    out.push_str("\nfn main() -> Result<(), Box<dyn std::error::Error>> {\n");
    for assertion in &program.assertions {
        sign(&mut out, assertion);
    }
    if let Some(code) = &program.code {
        ask(&mut out, code);
    }
    out.push_str("    let form = [\n");
    for (name, value) in &program.form {
        _ = writeln!(out, "        (\"{name}\", {}),", expression(value));
    }
    _ = writeln!(
        out,
        "    ];\n    let response = reqwest::blocking::Client::new()\n        .post({})",
        quoted(program.url)
    );
    if let Some(id) = &program.basic {
        _ = writeln!(out, "        // {}", text::ENCODED_SECRET);
        _ = writeln!(
            out,
            "        .basic_auth({}, Some(env::var(\"{CLIENT_SECRET}\")?))",
            quoted(id)
        );
    }
    out.push_str(
        "        .form(&form)\n        .send()?;\n    \
             println!(\"{} {}\", response.status(), response.text()?);\n    Ok(())\n}\n",
    );
    out
}

fn expression(value: &Value<'_>) -> String {
    match value {
        Value::Text(text) => format!("{}.to_owned()", quoted(text)),
        Value::Environment(variable) => format!("env::var(\"{variable}\")?"),
        Value::Local(local) => (*local).to_owned(),
    }
}

fn sign(out: &mut String, assertion: &Assertion<'_>) {
    let Assertion { name, key, .. } = assertion;
    let algorithm = key.algorithm;
    out.push_str("    let claims = serde_json::json!({\n");
    for (name, value) in &assertion.claims {
        let value = match value {
            Value::Text(text) => quoted(text),
            Value::Environment(_) | Value::Local(_) => expression(value),
        };
        _ = writeln!(out, "        {}: {value},", quoted(name));
    }
    out.push_str("        \"iat\": jsonwebtoken::get_current_timestamp(),\n");
    _ = writeln!(
        out,
        "        \"exp\": jsonwebtoken::get_current_timestamp() + {},",
        assertion.seconds
    );
    if assertion.has_id {
        out.push_str("        \"jti\": uuid::Uuid::new_v4().to_string(),\n");
    }
    let is_fixed = key.id.is_none();
    _ = writeln!(
        out,
        "    }});\n    let {}header = jsonwebtoken::Header::new(jsonwebtoken::Algorithm::{});",
        if is_fixed { "" } else { "mut " },
        algorithm.as_str()
    );
    if let Some(id) = &key.id {
        _ = writeln!(out, "    header.kid = Some({}.to_owned());", quoted(id));
    }
    let read = format!("&std::fs::read(env::var(\"{}\")?)?", key.file);
    let signing_key = match algorithm {
        Algorithm::HS256 => format!("from_secret(env::var(\"{SIGNATURE_SECRET}\")?.as_bytes())"),
        Algorithm::ES256 | Algorithm::ES384 => format!("from_ec_pem({read})?"),
        Algorithm::EdDSA => format!("from_ed_pem({read})?"),
        Algorithm::RS256
        | Algorithm::RS384
        | Algorithm::RS512
        | Algorithm::PS256
        | Algorithm::PS384
        | Algorithm::PS512 => format!("from_rsa_pem({read})?"),
    };
    _ = writeln!(
        out,
        "    let key = jsonwebtoken::EncodingKey::{signing_key};\n    \
             let {name} = {CRATE}::encode(&header, &claims, &key)?;"
    );
}

fn ask(out: &mut String, code: &CodeRequest<'_>) {
    out.push_str(
        "    let (challenge, verifier) = oauth2::PkceCodeChallenge::new_random_sha256();\n    \
             let state = oauth2::CsrfToken::new_random();\n",
    );
    _ = writeln!(
        out,
        "    let url = url::Url::parse_with_params(\n        {},\n        [",
        quoted(&code.url)
    );
    for (name, value) in &code.query {
        _ = writeln!(out, "            (\"{name}\", {}),", quoted(value));
    }
    _ = write!(
        out,
        "            (\"state\", state.secret().as_str()),\n            \
                     (\"code_challenge\", challenge.as_str()),\n            \
                     (\"code_challenge_method\", \"S256\"),\n        ],\n    )?;\n    \
             println!(\"{{url}}\");\n    \
             // {}\n    \
             let mut line = String::new();\n    \
             std::io::stdin().read_line(&mut line)?;\n    \
             let answer = url::Url::parse(line.trim())?;\n    \
             let of = |name: &str| answer.query_pairs().find(|(own, _)| own == name).map(|(_, it)| it.into_owned());\n    \
             if of(\"state\").as_ref() != Some(state.secret()) || of(\"iss\").as_deref() != Some({}) {{\n        \
                 return Err(\"{}\".into());\n    }}\n    \
             let code = of(\"code\").ok_or(\"{}\")?;\n    \
             let verifier = verifier.secret().clone();\n",
        text::PASTE,
        quoted(code.issuer),
        text::WRONG_ANSWER,
        text::WRONG_ANSWER,
    );
}
