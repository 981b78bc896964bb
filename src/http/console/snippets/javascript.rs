//! Programs in JavaScript for Node 20 and later, without packages.

use std::fmt::Write as _;

use super::program::{Assertion, CLIENT_SECRET, CodeRequest, Program, SIGNATURE_SECRET, Value};
use super::quote::javascript as quoted;
use crate::http::console::texts::snippets as text;
use crate::jwt::Algorithm;

// Writing to a string cannot fail.
pub(super) fn write(program: &Program<'_>) -> String {
    let mut out = format!("// {}\n", text::NODE);
    if program.code.is_some() || !program.assertions.is_empty() {
        out.push_str("import * as crypto from \"node:crypto\";\n");
    }
    if program.assertions.iter().any(|it| !it.key.algorithm.is_symmetric()) {
        out.push_str("import { readFileSync } from \"node:fs\";\n");
    }
    if program.code.is_some() {
        out.push_str("import { createInterface } from \"node:readline/promises\";\n");
    }
    out.push('\n');
    for assertion in &program.assertions {
        sign(&mut out, assertion);
    }
    if let Some(code) = &program.code {
        ask(&mut out, code);
    }
    _ = writeln!(
        out,
        "const response = await fetch({}, {{\n  method: \"POST\",",
        quoted(program.url)
    );
    if let Some(id) = &program.basic {
        _ = writeln!(
            out,
            "  headers: {{\n    Authorization: \"Basic \" + btoa({} + encodeURIComponent(process.env.{CLIENT_SECRET})),\n  }},",
            quoted(&format!("{id}:"))
        );
    }
    out.push_str("  body: new URLSearchParams({\n");
    for (name, value) in &program.form {
        _ = writeln!(out, "    {name}: {},", expression(value));
    }
    out.push_str("  }),\n});\nconsole.log(response.status, await response.text());\n");
    out
}

fn expression(value: &Value<'_>) -> String {
    match value {
        Value::Text(text) => quoted(text),
        Value::Environment(variable) => format!("process.env.{variable}"),
        Value::Local(local) => (*local).to_owned(),
    }
}

fn sign(out: &mut String, assertion: &Assertion<'_>) {
    let Assertion { name: assigned, key, .. } = assertion;
    _ = writeln!(out, "const {assigned} = sign_{assigned}({{");
    for (name, value) in &assertion.claims {
        _ = writeln!(out, "  [{}]: {},", quoted(name), expression(value));
    }
    let id = if assertion.has_id { "  jti: crypto.randomUUID(),\n" } else { "" };
    let kid = key.id.as_ref().map(|id| format!(", kid: {}", quoted(id))).unwrap_or_default();
    let hash = key.algorithm.as_str().get(2..).unwrap_or_default();
    let hash = format!("\"sha{hash}\"");
    let sign = |digest: &str, options: &str| {
        format!(
            "crypto.sign({digest}, input, {{ key: readFileSync(process.env.{}){options} }}).toString(\"base64url\")",
            key.file
        )
    };
    let signature = match key.algorithm {
        Algorithm::HS256 => format!(
            "crypto.createHmac(\"sha256\", process.env.{SIGNATURE_SECRET}).update(input).digest(\"base64url\")"
        ),
        Algorithm::EdDSA => sign("null", ""),
        Algorithm::ES256 | Algorithm::ES384 => sign(&hash, ", dsaEncoding: \"ieee-p1363\""),
        Algorithm::RS256 | Algorithm::RS384 | Algorithm::RS512 => sign(&hash, ""),
        Algorithm::PS256 | Algorithm::PS384 | Algorithm::PS512 => sign(
            &hash,
            ", padding: crypto.constants.RSA_PKCS1_PSS_PADDING, \
             saltLength: crypto.constants.RSA_PSS_SALTLEN_DIGEST",
        ),
    };
    _ = write!(
        out,
        "  iat: Math.floor(Date.now() / 1000),\n  exp: Math.floor(Date.now() / 1000) + {},\n{id}}});\n\n\
         function sign_{assigned}(claims) {{\n  \
           const part = (json) => Buffer.from(JSON.stringify(json)).toString(\"base64url\");\n  \
           const input = Buffer.from(`${{part({{ alg: \"{}\"{kid} }})}}.${{part(claims)}}`);\n  \
           return `${{input}}.${{{signature}}}`;\n}}\n\n",
        assertion.seconds,
        key.algorithm.as_str(),
    );
}

fn ask(out: &mut String, code: &CodeRequest<'_>) {
    out.push_str(
        "const verifier = crypto.randomBytes(32).toString(\"base64url\");\n\
         const state = crypto.randomBytes(32).toString(\"base64url\");\n\
         const query = new URLSearchParams({\n",
    );
    for (name, value) in &code.query {
        _ = writeln!(out, "  {name}: {},", quoted(value));
    }
    _ = write!(
        out,
        "  state,\n  \
           code_challenge: crypto.createHash(\"sha256\").update(verifier).digest(\"base64url\"),\n  \
           code_challenge_method: \"S256\",\n}});\n\
         console.log({} + \"?\" + query);\n\
         // {}\n\
         const input = createInterface({{ input: process.stdin }});\n\
         const answer = new URL(await input.question(\"\")).searchParams;\n\
         input.close();\n\
         if (answer.get(\"state\") !== state || answer.get(\"iss\") !== {} || !answer.has(\"code\")) {{\n  \
           throw new Error(\"{}\");\n}}\n\
         const code = answer.get(\"code\");\n",
        quoted(&code.url),
        text::PASTE,
        quoted(code.issuer),
        text::WRONG_ANSWER,
    );
}
