use proptest::prelude::*;
use serde_json::json;

use super::*;

fn parse(value: &Value) -> Result<ClientMetadata, InvalidApp> {
    ClientMetadata::parse(value.to_string().as_bytes())
}

fn field(value: &Value) -> &'static str {
    parse(value).unwrap_err().field()
}

#[test]
fn every_parameter_of_rfc_7591_is_read() {
    let metadata = parse(&json!({
        "client_id": "https://app.example/client",
        "redirect_uris": ["https://app.example/cb", "no uri"],
        "token_endpoint_auth_method": "private_key_jwt",
        "grant_types": ["authorization_code", "refresh_token", "urn:example:unknown"],
        "response_types": ["code"],
        "client_name": "  Editor ",
        "client_name#de": "Redakteur",
        "client_uri": "https://app.example",
        "logo_uri": "https://app.example/logo.png?size=1",
        "scope": "files.read offline_access",
        "contacts": ["admin@app.example"],
        "tos_uri": "https://app.example/tos",
        "policy_uri": "https://app.example/policy",
        "jwks_uri": "https://app.example/keys",
        "software_id": "4f1d",
        "software_version": "1.2",
        "application_type": "native",
        "unknown": {"any": [1, null]},
    }))
    .unwrap();
    assert_eq!(metadata.client_id.as_deref(), Some("https://app.example/client"));
    assert_eq!(metadata.redirect_uris, ["https://app.example/cb", "no uri"]);
    assert_eq!(metadata.token_endpoint_auth_method, Some(AuthenticationMethodName::PrivateKeyJwt));
    assert_eq!(metadata.grant_types.map(|types| types.len()), Some(3));
    assert_eq!(metadata.client_name.as_deref(), Some("Editor"));
    assert_eq!(
        metadata.scope.map(|scope| scope.to_string()).as_deref(),
        Some("files.read offline_access")
    );
    assert_eq!(metadata.jwks_uri.as_deref(), Some("https://app.example/keys"));
    assert_eq!(metadata.application_type, Some(ApplicationType::Native));
    assert!(!metadata.states_secret);
}

#[test]
fn null_and_an_empty_text_count_as_absent() {
    let names = [
        "client_id",
        "redirect_uris",
        "token_endpoint_auth_method",
        "grant_types",
        "client_name",
        "client_uri",
        "scope",
        "jwks",
        "jwks_uri",
        "contacts",
        "application_type",
        "client_secret",
    ];
    for value in [Value::Null, "".into()] {
        let all: BTreeMap<_, _> = names.iter().map(|name| (*name, value.clone())).collect();
        let read = parse(&json!(all)).unwrap();
        let secret = !value.is_null();
        assert_eq!(read, ClientMetadata { states_secret: secret, ..ClientMetadata::default() });
    }
}

/// Y17: a known member with an unusable value is refused by its name.
#[test]
fn an_unusable_value_is_refused_by_its_name() {
    let uri = "https://a.example/";
    for (name, values) in [
        ("redirect_uris", vec![json!("https://a.example/"), json!([1]), json!({}), json!([["x"]])]),
        ("token_endpoint_auth_method", vec![json!("client_secret_jwt"), json!(1), json!("None")]),
        ("grant_types", vec![json!("authorization_code"), json!([null])]),
        ("response_types", vec![json!(true)]),
        (
            "client_name",
            vec![
                json!(1),
                json!(["x"]),
                json!("a\u{202e}b"),
                json!("a\u{2066}b"),
                json!("a\u{200f}b"),
                json!("a\u{0}b"),
                json!("a\nb"),
                json!("a\u{200b}b"),
                json!("a\u{feff}b"),
                json!("a\u{2028}b"),
                json!("a\u{e0041}b"),
                json!("\u{3164}"),
                json!("a\u{115f}b"),
                json!("a\u{ffa0}b"),
                json!("a\u{2800}b"),
                json!("a\u{34f}b"),
                json!("a\u{180b}b"),
                json!("a\u{fe00}b"),
                json!("a\u{e0100}b"),
                json!("\u{200d} \u{fe0f}"),
            ],
        ),
        (
            "client_uri",
            vec![
                json!("javascript:alert(1)"),
                json!("data:text/html,x"),
                json!("http://a.example/"),
                json!("//a.example/"),
                json!("https://u:p@a.example/"),
                json!("https://a.example/#f"),
                json!("https://a.example\\@b.example/"),
                json!("https://a.example/ b"),
                json!("https:///"),
                json!(["https://a.example/"]),
            ],
        ),
        ("logo_uri", vec![json!("javascript:alert(1)"), json!("https://a.example/\u{202e}")]),
        ("tos_uri", vec![json!("file:///etc/passwd")]),
        ("policy_uri", vec![json!("blob:https://a.example/x")]),
        ("jwks_uri", vec![json!("http://a.example/keys")]),
        ("scope", vec![json!(["a"]), json!("a\"b")]),
        ("contacts", vec![json!("admin@a.example"), json!(["a\u{7}"])]),
        ("software_id", vec![json!(4)]),
        ("software_version", vec![json!(1.2)]),
        ("application_type", vec![json!("browser")]),
        ("jwks", vec![json!([]), json!({"keys": []}), json!("{}")]),
    ] {
        for value in values {
            assert_eq!(field(&json!({ name: value })), name, "{value}");
        }
    }
    let jwk = json!({"kty": "OKP", "crv": "Ed25519", "kid": "1",
        "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"});
    let keys = json!({"keys": [jwk]});
    assert_eq!(field(&json!({"jwks": keys, "jwks_uri": uri})), "jwks_uri");
    assert!(parse(&json!({"jwks": keys})).is_ok());
}

/// Y17: secrets and private keys are seen, in any shape.
#[test]
fn secrets_and_private_keys_are_seen() {
    for secret in [json!("s"), json!({}), json!(""), json!(0)] {
        assert!(parse(&json!({"client_secret": secret})).unwrap().states_secret);
        assert!(parse(&json!({"client_secret_expires_at": secret})).unwrap().states_secret);
    }
    let public = json!({"kty": "OKP", "crv": "Ed25519", "kid": "1",
        "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"});
    let mut private = public.clone();
    private["d"] = "nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A".into();
    let symmetric = json!({"kty": "oct", "k": "AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-EstJQLr_T"});
    for keys in [json!([private]), json!([public, private]), json!([public, symmetric])] {
        assert_eq!(field(&json!({"jwks": {"keys": keys}})), "jwks");
    }
}

/// Y17: the bounds of a document and of its members.
#[test]
fn metadata_have_their_documented_bounds() {
    let padded = |bytes: usize| {
        let mut text = br#"{"unknown":""#.to_vec();
        text.resize(bytes - 2, b'x');
        text.extend_from_slice(b"\"}");
        ClientMetadata::parse(&text)
    };
    assert!(padded(16_384).is_ok());
    assert_eq!(padded(16_385).unwrap_err().field(), "metadata");
    let repeated = |name: &str, count: usize, text: &str| json!({ name: vec![text; count] });
    for (name, most, longest) in [
        ("redirect_uris", 50, 2_000),
        ("grant_types", 20, 255),
        ("response_types", 20, 255),
        ("contacts", 20, 255),
    ] {
        assert!(parse(&repeated(name, most, "x")).is_ok(), "{name}");
        assert_eq!(field(&repeated(name, most + 1, "x")), name);
        assert!(parse(&repeated(name, 1, &"x".repeat(longest))).is_ok(), "{name}");
        assert_eq!(field(&repeated(name, 1, &"x".repeat(longest + 1))), name);
    }
    assert_eq!(field(&repeated("redirect_uris", 1_000, "x")), "redirect_uris");
    assert!(parse(&json!({"client_name": "é".repeat(100)})).is_ok());
    assert_eq!(field(&json!({"client_name": "é".repeat(101)})), "client_name");
    for name in ["client_id", "software_id", "software_version"] {
        assert!(parse(&json!({ name: "x".repeat(255) })).is_ok());
        assert_eq!(field(&json!({ name: "x".repeat(256) })), name);
    }
    let url = |length: usize| format!("https://a.example/{}", "x".repeat(length - 18));
    for name in ["client_uri", "logo_uri", "tos_uri", "policy_uri", "jwks_uri"] {
        assert!(parse(&json!({ name: url(2_000) })).is_ok());
        assert_eq!(field(&json!({ name: url(2_001) })), name);
    }
}

#[test]
fn a_text_that_is_no_object_or_has_a_member_twice_is_refused() {
    for text in [
        "",
        "null",
        "[]",
        "\"x\"",
        "{",
        "{} {}",
        r#"{"client_name":"a","client_name":"b"}"#,
        r#"{"x":1,"x":1}"#,
        r#"{"x":"\ud800"}"#,
    ] {
        let refused = ClientMetadata::parse(text.as_bytes()).unwrap_err();
        assert_eq!(refused.field(), "metadata", "{text}");
    }
    assert_eq!(ClientMetadata::parse(b"{\"x\":\"\xff\"}").unwrap_err().field(), "metadata");
    let deep = format!("{{\"x\":{}1{}}}", "[".repeat(5_000), "]".repeat(5_000));
    assert_eq!(ClientMetadata::parse(deep.as_bytes()).unwrap_err().field(), "metadata");
}

proptest! {
    #[test]
    fn an_accepted_url_is_https_for_a_browser_too(text in "https?://[a-z.@:/\\\\#?%\u{202e} ]{0,20}") {
        if is_https(&text) {
            let url = url::Url::parse(&text).unwrap();
            prop_assert_eq!((url.scheme(), url.username(), url.fragment()), ("https", "", None));
        }
    }
}
