//! Programs in Python, with the packages `requests` and `PyJWT`.

use std::fmt::Write as _;

use super::program::{Assertion, CLIENT_SECRET, CodeRequest, Program, SIGNATURE_SECRET, Value};
use super::quote::python as quoted;
use crate::http::console::texts::snippets as text;

// Writing to a string cannot fail.
pub(super) fn write(program: &Program<'_>) -> String {
    let mut out = String::new();
    let modules = [
        (program.code.is_some(), "base64"),
        (program.code.is_some(), "hashlib"),
        (true, "os"),
        (program.code.is_some(), "secrets"),
        (!program.assertions.is_empty(), "time"),
        (program.assertions.iter().any(|it| it.has_id), "uuid"),
    ];
    let jwt = !program.assertions.is_empty();
    _ = writeln!(out, "# pip install requests{}", if jwt { " pyjwt[crypto]" } else { "" });
    for (_, module) in modules.iter().filter(|(is_used, _)| *is_used) {
        _ = writeln!(out, "import {module}");
    }
    let mut names = Vec::new();
    if program.code.is_some() {
        names.extend(["parse_qsl", "urlencode", "urlsplit"]);
    }
    if program.basic.is_some() {
        names.push("quote_plus");
    }
    names.sort_unstable();
    if !names.is_empty() {
        _ = writeln!(out, "from urllib.parse import {}", names.join(", "));
    }
    out.push_str(if jwt { "\nimport jwt\nimport requests\n\n" } else { "\nimport requests\n\n" });
    for assertion in &program.assertions {
        sign(&mut out, assertion);
    }
    if let Some(code) = &program.code {
        ask(&mut out, code);
    }
    _ = writeln!(out, "response = requests.post(\n    {},", quoted(program.url));
    if let Some(id) = &program.basic {
        _ = writeln!(
            out,
            "    auth=({}, quote_plus(os.environ[\"{CLIENT_SECRET}\"])),",
            quoted(id)
        );
    }
    out.push_str("    data={\n");
    for (name, value) in &program.form {
        _ = writeln!(out, "        \"{name}\": {},", expression(value));
    }
    out.push_str("    },\n    timeout=10,\n)\nprint(response.status_code, response.text)\n");
    out
}

fn expression(value: &Value<'_>) -> String {
    match value {
        Value::Text(text) => quoted(text),
        Value::Environment(variable) => format!("os.environ[\"{variable}\"]"),
        Value::Local(local) => (*local).to_owned(),
    }
}

fn sign(out: &mut String, assertion: &Assertion<'_>) {
    let Assertion { name, key, .. } = assertion;
    let algorithm = key.algorithm.as_str();
    let secret = if key.algorithm.is_symmetric() {
        format!("os.environ[\"{SIGNATURE_SECRET}\"]")
    } else {
        format!("open(os.environ[\"{}\"]).read()", key.file)
    };
    _ = writeln!(out, "now = int(time.time())\n{name} = jwt.encode(\n    {{");
    for (name, value) in &assertion.claims {
        _ = writeln!(out, "        {}: {},", quoted(name), expression(value));
    }
    _ = writeln!(out, "        \"iat\": now,\n        \"exp\": now + {},", assertion.seconds);
    if assertion.has_id {
        out.push_str("        \"jti\": str(uuid.uuid4()),\n");
    }
    _ = writeln!(out, "    }},\n    {secret},\n    algorithm=\"{algorithm}\",");
    if let Some(id) = &key.id {
        _ = writeln!(out, "    headers={{\"kid\": {}}},", quoted(id));
    }
    out.push_str(")\n");
}

fn ask(out: &mut String, code: &CodeRequest<'_>) {
    out.push_str(
        "verifier = secrets.token_urlsafe(32)\n\
         digest = hashlib.sha256(verifier.encode()).digest()\n\
         state = secrets.token_urlsafe(32)\n\
         query = {\n",
    );
    for (name, value) in &code.query {
        _ = writeln!(out, "    \"{name}\": {},", quoted(value));
    }
    _ = write!(
        out,
        "    \"state\": state,\n    \
             \"code_challenge\": base64.urlsafe_b64encode(digest).decode().rstrip(\"=\"),\n    \
             \"code_challenge_method\": \"S256\",\n\
         }}\n\
         print({} + \"?\" + urlencode(query))\n\
         # {}\n\
         answer = dict(parse_qsl(urlsplit(input()).query))\n\
         if answer.get(\"state\") != state or answer.get(\"iss\") != {} or \"code\" not in answer:\n    \
             raise SystemExit(\"{}\")\n\
         code = answer[\"code\"]\n",
        quoted(&code.url),
        text::PASTE,
        quoted(code.issuer),
        text::WRONG_ANSWER,
    );
}
