//! The scenarios for authorization servers of the MCP conformance repository, under their names.

use grantor::protocol::RedirectUri;
use serde_json::Value;

use crate::http::Http;
use crate::support::{
    App, CALLBACK, ISSUER, code_app, code_query, encode, new_verifier, public_app,
};

/// The port is that of the callback server, and is not registered.
const REDIRECT: &str = "http://127.0.0.1:49213/callback";

fn text<'a>(metadata: &'a Value, member: &str) -> &'a str {
    metadata[member].as_str().unwrap_or_else(|| panic!("no {member}"))
}

fn lists(metadata: &Value, member: &str, value: &str) -> bool {
    metadata[member].as_array().is_some_and(|all| all.contains(&value.into()))
}

/// M6, M7: `authorization-server-metadata-endpoint`. Each of the places that the scenario tries is valid by itself.
/// The member for client metadata documents, whose absence the scenario only warns of, is there exactly if the server
/// takes such documents.
#[test]
fn authorization_server_metadata_endpoint() {
    let http = Http::new();
    for place in ["/.well-known/oauth-authorization-server", "/.well-known/openid-configuration"] {
        let answer = http.get(place);
        assert_eq!(answer.status, 200);
        assert!(answer.header("content-type").unwrap().contains("application/json"));
        let metadata = answer.json();
        assert_eq!(text(&metadata, "issuer"), ISSUER);
        assert!(text(&metadata, "authorization_endpoint").starts_with("https://"));
        assert!(text(&metadata, "token_endpoint").starts_with("https://"));
        assert!(lists(&metadata, "response_types_supported", "code"));
        assert!(lists(&metadata, "code_challenge_methods_supported", "S256"));
        assert_ne!(metadata.get("client_id_metadata_document_supported"), Some(&false.into()));
    }
}

/// The scenario, with an app that authenticates by `method`.
fn code_grant(http: &Http, app: &App, redirect_uri: &str, method: &str) {
    let metadata = http.get("/.well-known/oauth-authorization-server").json();
    assert!(lists(&metadata, "token_endpoint_auth_methods_supported", method), "{method}");
    let path = |member| text(&metadata, member).strip_prefix(ISSUER).unwrap().to_owned();
    let verifier = new_verifier();
    let query = code_query(app, &verifier, &[("state", "state-1"), ("redirect_uri", redirect_uri)]);
    let authorization = format!("{}?{query}", path("authorization_endpoint"));
    let page = http::Request::get(authorization).header("cookie", "ann").body("").unwrap();
    let page = http.send(page);
    let parts: Vec<_> = page.body.split('|').collect();
    let mut form = vec![("ticket", parts[1]), ("decision", "approve")];
    form.extend(parts[2].split(' ').map(|scope| ("scope", scope)));
    let answer = http.post(parts[0], &[("cookie", "ann")], &encode(&form));

    let location = url::Url::parse(answer.header("location").unwrap()).unwrap();
    let all = |name: &str| -> Vec<String> {
        let pairs = location.query_pairs().filter(|(it, _)| it == name);
        pairs.map(|(_, value)| value.into_owned()).collect()
    };
    let (callback, _) = location.as_str().split_once('?').unwrap();
    assert_eq!(callback, redirect_uri);
    assert_eq!((all("error"), all("state")), (vec![], vec!["state-1".to_owned()]));
    assert_eq!(all("iss"), [text(&metadata, "issuer")]);
    let [code] = &all("code")[..] else { panic!("{location}") };
    assert!(!code.is_empty());

    let mut form = vec![
        ("grant_type", "authorization_code"),
        ("code", code),
        ("redirect_uri", redirect_uri),
        ("code_verifier", verifier.expose_secret()),
    ];
    let secret = app.secret.clone().unwrap_or_default();
    let basic = crate::support::basic(app.id.as_str(), &secret);
    let mut headers = vec![];
    match method {
        "none" => form.push(("client_id", app.id.as_str())),
        "client_secret_post" => {
            form.extend([("client_id", app.id.as_str()), ("client_secret", &secret)]);
        }
        _ => headers.push(("authorization", basic.as_str())),
    }
    let tokens = http.post(&path("token_endpoint"), &headers, &encode(&form));
    assert_eq!(tokens.status, 200, "{method}");
    assert!(tokens.header("content-type").unwrap().contains("application/json"));
    assert!(tokens.header("cache-control").unwrap().contains("no-store"));
    assert!(tokens.json()["access_token"].is_string() && tokens.json()["token_type"].is_string());
}

/// `authorization-code-grant`, with each way to authenticate that the scenario knows.
#[test]
fn authorization_code_grant() {
    let http = Http::new();
    let loopback = RedirectUri::parse("http://127.0.0.1/callback").unwrap();
    let public = http.world.register(public_app().redirect_uris([loopback]));
    code_grant(&http, &public, REDIRECT, "none");
    let confidential = http.world.register(code_app());
    for method in ["client_secret_post", "client_secret_basic"] {
        code_grant(&http, &confidential, CALLBACK, method);
    }
}
