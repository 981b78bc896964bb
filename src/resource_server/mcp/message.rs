//! The operations that JSON-RPC messages name. A message that two parsers could read differently is refused.

use std::{fmt, str};

use http::{HeaderMap, HeaderValue, header};
use serde::Deserialize;
use serde::de::{Deserializer, Error as _, IgnoredAny, MapAccess, SeqAccess, Visitor};

/// An operation of the MCP server.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Operation {
    /// The JSON-RPC method. Empty for a response.
    pub(super) method: String,
    /// `name` of the parameters, if it is a text.
    pub(super) name: Option<String>,
}

impl Operation {
    pub(super) fn is_tool_call(&self) -> bool {
        self.method == "tools/call"
    }
}

/// Returns whether the headers say that the body is JSON in UTF-8 and without a content coding.
pub(super) fn is_utf8_json(headers: &HeaderMap) -> bool {
    let mut types = headers.get_all(header::CONTENT_TYPE).into_iter();
    let (Some(one), None) = (types.next(), types.next()) else { return false };
    let mut codings = headers.get_all(header::CONTENT_ENCODING).into_iter();
    is_utf8_json_type(one) && codings.all(|it| it.as_bytes().eq_ignore_ascii_case(b"identity"))
}

/// Returns whether a `Content-Type` is `application/json` with no parameter but `charset=utf-8`.
fn is_utf8_json_type(value: &HeaderValue) -> bool {
    let Ok(value) = value.to_str() else { return false };
    let mut parts = value.split(';').map(str::trim);
    parts.next().is_some_and(|essence| essence.eq_ignore_ascii_case("application/json"))
        && parts.all(|parameter| {
            ["", "charset=utf-8", "charset=\"utf-8\""]
                .iter()
                .any(|allowed| parameter.eq_ignore_ascii_case(allowed))
        })
}

/// Reads a message, or a batch of them.
///
/// # Errors
///
/// The error of `serde_json` if the text is not JSON in UTF-8, if `method`, `params` or the `name` of the parameters
/// appears twice or in another case, or if `method` is not a text.
pub(super) fn operations(json: &[u8]) -> Result<Vec<Operation>, serde_json::Error> {
    // `serde_json` does not look at the bytes of texts that it skips.
    let json = str::from_utf8(json).map_err(serde_json::Error::custom)?;
    serde_json::from_str::<Messages>(json).map(|messages| messages.0)
}

/// Returns whether a parser that ignores case reads `key` as `name`: Go folds U+017F to `s`, too.
fn folds_to(key: &str, name: &str) -> bool {
    let folded = key.chars().map(|it| if it == '\u{17f}' { 's' } else { it.to_ascii_lowercase() });
    folded.eq(name.chars())
}

struct Messages(Vec<Operation>);

impl<'de> Deserialize<'de> for Messages {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(MessagesVisitor)
    }
}

struct MessagesVisitor;

impl<'de> Visitor<'de> for MessagesVisitor {
    type Value = Messages;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON-RPC message or a batch")
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Messages, A::Error> {
        Ok(Messages(vec![read_message(map)?]))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut batch: A) -> Result<Messages, A::Error> {
        let mut all = Vec::new();
        while let Some(Message(operation)) = batch.next_element()? {
            all.push(operation);
        }
        Ok(Messages(all))
    }
}

struct Message(Operation);

impl<'de> Deserialize<'de> for Message {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(MessageVisitor)
    }
}

struct MessageVisitor;

impl<'de> Visitor<'de> for MessageVisitor {
    type Value = Message;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON-RPC message")
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Message, A::Error> {
        read_message(map).map(Message)
    }
}

fn read_message<'de, A: MapAccess<'de>>(mut map: A) -> Result<Operation, A::Error> {
    let (mut method, mut params) = (None, None);
    while let Some(key) = map.next_key::<String>()? {
        match key.as_str() {
            "method" if method.is_none() => method = Some(map.next_value()?),
            "params" if params.is_none() => params = Some(map.next_value::<Params>()?),
            key if folds_to(key, "method") || folds_to(key, "params") => {
                return Err(A::Error::custom("a member appears twice or in another case"));
            }
            _ => _ = map.next_value::<IgnoredAny>()?,
        }
    }
    let name = params.and_then(|Params(name)| name);
    Ok(Operation { method: method.unwrap_or_default(), name })
}

/// The `name` of the parameters. Other members, and parameters of other types, are skipped.
struct Params(Option<String>);

impl<'de> Deserialize<'de> for Params {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ParamsVisitor)
    }
}

struct ParamsVisitor;

impl<'de> Visitor<'de> for ParamsVisitor {
    type Value = Params;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the parameters of a JSON-RPC message")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Params, A::Error> {
        let (mut name, mut seen) = (None, false);
        while let Some(key) = map.next_key::<String>()? {
            if !folds_to(&key, "name") {
                map.next_value::<IgnoredAny>()?;
                continue;
            }
            if key != "name" || std::mem::replace(&mut seen, true) {
                return Err(A::Error::custom("a member appears twice or in another case"));
            }
            name = map.next_value::<Name>()?.0;
        }
        Ok(Params(name))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Params, A::Error> {
        while list.next_element::<IgnoredAny>()?.is_some() {}
        Ok(Params(None))
    }

    fn visit_unit<E>(self) -> Result<Params, E> {
        Ok(Params(None))
    }
}

/// A name that is a text, or any other value.
struct Name(Option<String>);

impl<'de> Deserialize<'de> for Name {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Written {
            Text(String),
            Other(IgnoredAny),
        }
        Ok(match Written::deserialize(deserializer)? {
            Written::Text(name) => Self(Some(name)),
            Written::Other(_) => Self(None),
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn read(json: &str) -> Option<Vec<(String, Option<String>)>> {
        let all = operations(json.as_bytes()).ok()?;
        Some(all.into_iter().map(|it| (it.method, it.name)).collect())
    }

    fn one(method: &str, name: Option<&str>) -> Vec<(String, Option<String>)> {
        vec![(method.to_owned(), name.map(str::to_owned))]
    }

    #[test]
    fn a_message_names_its_method_and_its_tool() {
        let call = r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"add","arguments":{"name":"x"}}}"#;
        assert_eq!(read(call), Some(one("tools/call", Some("add"))));
        let escaped = r#"{"\u006dethod":"tools\/call","params":{"n\u0061me":"\u0061dd"}}"#;
        assert_eq!(read(escaped), Some(one("tools/call", Some("add"))));
        assert_eq!(read(r#"{"params":{"name":"a"},"method":"m"}"#), Some(one("m", Some("a"))));
        for other in [r#"{"name":7}"#, r#"{"name":null}"#, r#"{"name":["a"]}"#, "[1]", "null", "{}"]
        {
            let json = format!(r#"{{"method":"tools/call","params":{other}}}"#);
            assert_eq!(read(&json), Some(one("tools/call", None)), "{other}");
        }
        assert_eq!(read(r#"{"id":1,"result":{}}"#), Some(one("", None)));
        let batch = r#"[{"method":"a"},{"method":"tools/call","params":{"name":"b"}}]"#;
        assert_eq!(read(batch).unwrap().len(), 2);
        assert_eq!(read("[]"), Some(Vec::new()));
    }

    #[test]
    fn an_ambiguous_message_is_refused() {
        let deep = format!(r#"{{"method":"a","params":{{"x":{}}}}}"#, "[".repeat(200));
        for bad in [
            "",
            "tools/call",
            r#""tools/call""#,
            "7",
            r#"{"method":"a","method":"tools/call"}"#,
            r#"{"method":"a","\u006dethod":"b"}"#,
            r#"{"method":"a","params":{},"params":{"name":"b"}}"#,
            r#"{"method":"a","params":{"name":"b","name":"c"}}"#,
            r#"{"method":"a","Method":"tools/call"}"#,
            r#"{"METHOD":"tools/call"}"#,
            r#"{"method":"a","params":{},"Params":{"name":"b"}}"#,
            "{\"method\":\"a\",\"param\u{17f}\":{}}",
            r#"{"method":"a","param\u017f":{}}"#,
            r#"{"method":"a","params":{"name":"b","nAme":"c"}}"#,
            r#"[{"method":"a"},{"Method":"b"}]"#,
            r#"{"method":7}"#,
            r#"{"method":"a","params":7}"#,
            r#"{"method":"a"} {"method":"b"}"#,
            r#"[["a"]]"#,
            r#"[{"method":"a"},7]"#,
            "\u{feff}{\"method\":\"a\"}",
            &deep,
        ] {
            assert_eq!(read(bad), None, "{bad}");
        }
        assert!(operations(b"\x1f\x8b\x08").is_err());
        assert!(operations(b"{\"method\":\"a\",\"x\":\"\xff\"}").is_err());
        let inner = r#"{"method":"a","params":{"arguments":{"Name":"x","METHOD":1}},"id":1}"#;
        assert_eq!(read(inner), Some(one("a", None)), "arguments are the tool's");
    }

    #[test]
    fn only_json_in_utf_8_without_a_coding_is_read() {
        let said = |headers: &[(&'static str, &'static str)]| {
            let mut map = HeaderMap::new();
            for (name, value) in headers {
                map.append(*name, HeaderValue::from_static(value));
            }
            is_utf8_json(&map)
        };
        for good in [
            "application/json",
            "Application/JSON",
            "application/json;charset=utf-8",
            "application/json; Charset=\"UTF-8\";",
        ] {
            assert!(said(&[("content-type", good)]), "{good}");
            assert!(said(&[("content-type", good), ("content-encoding", "Identity")]), "{good}");
        }
        for bad in [
            "",
            "text/plain",
            "application/jsonp",
            "application/json, text/plain",
            "application/json; charset=utf-7",
            "application/json; charset=utf-16le",
            "application/json; charset=utf-8; charset=utf-7",
            "application/json; x=\"; charset=utf-8\"; charset=utf-7",
            "application/json; charset =utf-8",
        ] {
            assert!(!said(&[("content-type", bad)]), "{bad}");
        }
        let json = ("content-type", "application/json");
        for coding in ["gzip", "br", "identity, br", ""] {
            assert!(!said(&[json, ("content-encoding", coding)]), "{coding}");
        }
        let twice = [json, ("content-encoding", "identity"), ("content-encoding", "br")];
        assert!(!said(&twice) && !said(&[json, json]) && !said(&[]));
    }

    proptest! {
        #[test]
        fn no_message_panics(bytes in proptest::collection::vec(any::<u8>(), 0..64)) {
            _ = operations(&bytes);
        }
    }
}
