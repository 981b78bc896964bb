use serde_json::json;

use super::*;

fn id(text: &str) -> ClientId {
    ClientId::new(text).unwrap()
}

/// L1, L5: the URL of a document is `https` with a path, in the one spelling that every parser reads the same.
#[test]
fn a_document_url_has_one_spelling() {
    for (good, host) in [
        ("https://app.example/client", "app.example"),
        ("https://app.example/oauth/client.json?v=2", "app.example"),
        ("https://app.example:8443/client/", "app.example"),
        ("https://claude.ai/oauth/claude-code-client-metadata", "claude.ai"),
        ("https://vscode.dev/oauth/client-metadata.json", "vscode.dev"),
        ("https://xn--bcher-kva.example/c", "xn--bcher-kva.example"),
        ("https://127.0.0.1/c", "127.0.0.1"),
        ("https://[::1]:8443/c", "[::1]"),
    ] {
        let id = id(good);
        assert_eq!(DocumentUrl::of(&id).map(DocumentUrl::host), Some(host), "{good}");
    }
    for bad in [
        "app",
        "http://app.example/client",
        "HTTPS://app.example/client",
        "https://app.example",
        "https://app.example/",
        "https://app.example?x",
        "https:///client",
        "https://app.example/client#f",
        "https://app.example/client#",
        "https://user@app.example/client",
        "https://user:p@app.example/client",
        "https://:@app.example/client",
        "https://app.example/./client",
        "https://app.example/a/../client",
        "https://app.example/a/%2e%2e/client",
        "https://app.example/a/%2E/client",
        "https://App.example/client",
        "https://app.example:443/client",
        "https://app.example:/client",
        "https://app.example/a b",
        "https://app.example\\client",
        "https://app.example/a\\b",
        "https:/app.example/client",
        "https:app.example/client",
        " https://app.example/client",
        "https://app.example/client ",
        "https://127.1/c",
        "https://0x7f.0.0.1/c",
        "https://2130706433/c",
        "https://017700000001/c",
        "https://[0:0:0:0:0:0:0:1]/c",
        "https://[::ffff:127.0.0.1]/c",
    ] {
        assert!(DocumentUrl::of(&id(bad)).is_none(), "{bad}");
    }
}

/// L2, L3, L8: a document that names another client, has a secret, shares one or has private keys is refused.
#[test]
fn a_document_that_lies_is_refused() {
    let id = id("https://app.example/client");
    let url = DocumentUrl::of(&id).unwrap();
    let read = |changes: &serde_json::Value| {
        let mut document = json!({
            "client_id": id.as_str(),
            "redirect_uris": ["https://app.example/cb"],
        });
        for (name, value) in changes.as_object().unwrap() {
            document[name] = value.clone();
        }
        url.parse(document.to_string().as_bytes()).map(|_| ())
    };
    assert_eq!(read(&json!({})), Ok(()));
    assert_eq!(read(&json!({"token_endpoint_auth_method": "none"})), Ok(()));
    for other in [
        json!(null),
        json!("https://app.example/Client"),
        json!("https://app.example/client/"),
        json!("https://app.example:443/client"),
    ] {
        assert_eq!(read(&json!({"client_id": other})), Err(DocumentProblem::ClientId), "{other}");
    }
    for secret in [
        json!({"client_secret": "s"}),
        json!({"client_secret_expires_at": 0}),
        json!({"token_endpoint_auth_method": "client_secret_basic"}),
        json!({"token_endpoint_auth_method": "client_secret_post"}),
    ] {
        assert_eq!(read(&secret), Err(DocumentProblem::Secret), "{secret}");
    }
    let private = json!({"jwks": {"keys": [{"kty": "OKP", "crv": "Ed25519", "kid": "1",
        "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo",
        "d": "nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A"}]}});
    assert_eq!(read(&private), Err(DocumentProblem::Member("jwks")));
    assert_eq!(
        read(&json!({"token_endpoint_auth_method": "client_secret_jwt"})),
        Err(DocumentProblem::Member("token_endpoint_auth_method"))
    );
    assert_eq!(
        read(&json!({"client_name": "a\u{202e}b"})),
        Err(DocumentProblem::Member("client_name"))
    );
    assert_eq!(url.parse(b"<html>"), Err(DocumentProblem::Member("metadata")));
}
