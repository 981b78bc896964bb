//! Public documents (metadata and keys), and cross-origin access to them.

use std::sync::Arc;

use grantor::catalog::{ApiCatalog, Endpoint};
use grantor::http::HttpEndpoints;
use grantor::ids::{ClientId, Resource};
use grantor::protocol::{Paths, RedirectUri, ScopeToken, ServerEndpoint};
use grantor::resource_server::ResourceServer;
use http::Request;
use pollster::block_on;
use serde_json::Value;

use super::Http;
use super::endpoints::with_gateway;
use crate::support::{ISSUER, World, basic, body_of, code_app, scope};

const METADATA: &str = "/.well-known/oauth-authorization-server";

/// M2: each endpoint in the metadata responds, and each endpoint that responds is in the metadata.
#[test]
fn metadata_lists_exactly_the_mounted_endpoints() {
    let http = Http::new();
    let metadata = http.get(METADATA);
    assert_eq!(metadata.header("cache-control"), Some("public, max-age=300"));
    let json = metadata.json();
    assert_eq!(json["issuer"], ISSUER);
    let mut named = 0;
    for (name, url) in json.as_object().unwrap() {
        if name.ends_with("_endpoint") || name == "jwks_uri" {
            let path = url.as_str().unwrap().strip_prefix(ISSUER).unwrap();
            assert!(http.endpoints.endpoint_at(path).is_some(), "{name} {path}");
            named += 1;
        }
    }
    // Except the decision, which belongs to a page, the documents themselves, the three of devices, the two each of
    // the device grant and of registration, and the one for issuers.
    assert_eq!(named, ServerEndpoint::ALL.len() - 11);
    assert_eq!(json["code_challenge_methods_supported"], serde_json::json!(["S256"]));
    assert_eq!(json["authorization_response_iss_parameter_supported"], true);
    assert_eq!(json["response_types_supported"], serde_json::json!(["code"]));
}

#[test]
fn a_server_without_pages_names_no_authorization_endpoint() {
    let world = World::with(|builder| {
        builder.paths(Paths::default().without(ServerEndpoint::Introspection))
    });
    let endpoints = HttpEndpoints::without_interaction(Arc::clone(&world.server));
    let ask = |path: &str| {
        let request = Request::get(path).body("").unwrap();
        block_on(endpoints.handle(request)).map(http::Response::into_body)
    };
    assert!(ask("/oauth/authorize").is_none() && ask("/oauth/introspect").is_none());
    let json: Value = serde_json::from_slice(&ask(METADATA).unwrap()).unwrap();
    for absent in ["authorization_endpoint", "introspection_endpoint", "prompt_values_supported"] {
        assert_eq!(json.get(absent), None, "{absent}");
    }
    let grants = json["grant_types_supported"].as_array().unwrap();
    assert!(!grants.contains(&Value::from("authorization_code")) && grants.len() == 3);
}

#[test]
fn metadata_lists_the_scopes_of_the_catalog_and_the_configured_apis() {
    let endpoint = |scope| Endpoint::new("GET", "/x", ScopeToken::new(scope).unwrap()).unwrap();
    let api = |identifier: &str| {
        let id = ClientId::new("api").unwrap();
        ResourceServer::new(Resource::new(identifier).unwrap(), id)
            .with_name("Files")
            .with_scopes(scope("files.read"))
    };
    let http = Http::of(World::with(|builder| {
        builder
            .catalog(ApiCatalog::new([endpoint("x.read")]))
            .resource_server(api("https://as.example.com/api/files"))
            .resource_server(api("https://elsewhere.example.com/"))
    }));
    let json = http.get(METADATA).json();
    assert_eq!(json["scopes_supported"], serde_json::json!(["files.read", "x.read"]));
    assert_eq!(
        json["protected_resources"],
        serde_json::json!(["https://as.example.com/api/files", "https://elsewhere.example.com/"])
    );
    let own = http.get("/.well-known/oauth-protected-resource/api/files").json();
    assert_eq!(own["resource"], "https://as.example.com/api/files");
    assert_eq!(own["authorization_servers"], serde_json::json!([ISSUER]));
    assert_eq!(own["bearer_methods_supported"], serde_json::json!(["header"]));
    assert_eq!(own["resource_name"], "Files");
    // An API of another origin serves its own document.
    assert_eq!(http.endpoints.endpoint_at("/.well-known/oauth-protected-resource"), None);
}

#[test]
fn head_is_answered_as_get_without_a_body() {
    let http = Http::new();
    let get = http.get("/oauth/jwks");
    let head = http.send(Request::head("/oauth/jwks").body("").unwrap());
    assert_eq!((head.status, head.body.as_str()), (200, ""));
    assert_eq!(head.header("content-length"), Some(get.body.len().to_string().as_str()));
    assert_eq!(get.json()["keys"][0]["kty"], "EC");
}

fn preflight(http: &Http, path: &str) -> Option<String> {
    let request = Request::builder()
        .method("OPTIONS")
        .uri(path)
        .header("origin", "https://app.example.com")
        .header("access-control-request-method", "POST")
        .body("");
    http.send(request.unwrap()).header("access-control-allow-origin").map(str::to_owned)
}

#[test]
fn by_default_no_other_origin_may_read_a_response() {
    let http = Http::new();
    for path in ["/oauth/token", "/oauth/jwks", METADATA] {
        assert_eq!(preflight(&http, path), None);
        let answer =
            http.send(Request::get(path).header("origin", "https://x.test").body("").unwrap());
        assert_eq!(answer.header("access-control-allow-origin"), None);
    }
}

/// A script may read a response to its app if the app has a redirect URI of the script's origin.
#[test]
fn a_script_reads_responses_from_the_origin_of_its_redirect_uri() {
    let (mut http, gateway) = with_gateway();
    http.endpoints = http.endpoints.with_cross_origin(true);
    let app = http.world.register(code_app());
    let body = format!("grant_type=refresh_token&refresh_token=x&{}", body_of(&app, &[]));
    let ask = |origin: &str| {
        let answer = http.post("/oauth/token", &[("origin", origin)], &body);
        assert_eq!(answer.header("vary"), Some("Origin"));
        answer.header("access-control-allow-origin").map(str::to_owned)
    };
    assert_eq!(ask("https://app.example.com").as_deref(), Some("https://app.example.com"));
    for stranger in [
        "https://evil.example.com",
        "http://app.example.com",
        "null",
        "https://app.example.com.evil.test",
    ] {
        assert_eq!(ask(stranger), None, "{stranger}");
    }
    assert_eq!(preflight(&http, "/oauth/token").as_deref(), Some("https://app.example.com"));
    assert_eq!(preflight(&http, "/oauth/jwks").as_deref(), Some("*"));
    for path in ["/oauth/authorize", "/oauth/decision", "/oauth/revocations"] {
        assert_eq!(preflight(&http, path), None, "{path}");
    }
    // An authenticated client that is not an app of that origin gets no CORS headers either.
    let other = http.post(
        "/oauth/token",
        &[("origin", "https://app.example.com"), ("authorization", &gateway)],
        "grant_type=client_credentials",
    );
    assert_eq!((other.status, other.header("access-control-allow-origin")), (200, None));
    let unknown = http.post(
        "/oauth/token",
        &[("origin", "https://app.example.com"), ("authorization", &basic("unknown", "x"))],
        "grant_type=client_credentials",
    );
    assert_eq!(unknown.header("access-control-allow-origin"), None);
}

/// RFC 9728 section 3.1: only a slash right after the host is removed from the path. An API with a
/// query has no path of its own, and two entries of one API share a document.
#[test]
fn each_api_of_the_origin_has_one_document_at_its_own_path() {
    let api = |identifier: &str, app: &str| {
        ResourceServer::new(Resource::new(identifier).unwrap(), ClientId::new(app).unwrap())
    };
    let http = Http::of(World::with(|builder| {
        builder
            .resource_server(api("https://as.example.com/", "root"))
            .resource_server(api("https://as.example.com/files", "files"))
            .resource_server(api("https://as.example.com/files", "gateway"))
            .resource_server(api("https://as.example.com/files/", "slash"))
            .resource_server(api("https://as.example.com/files?all", "query"))
    }));
    let documents =
        http.endpoints.routes().filter(|(_, it)| *it == ServerEndpoint::ResourceMetadata);
    let paths: Vec<_> = documents.map(|(path, _)| path.to_owned()).collect();
    let known = "/.well-known/oauth-protected-resource";
    assert_eq!(paths, [known.to_owned(), format!("{known}/files"), format!("{known}/files/")]);
    let resource = |path: &str| http.get(path).json()["resource"].as_str().unwrap().to_owned();
    assert_eq!(resource(&paths[0]), "https://as.example.com/");
    assert_eq!(resource(&paths[1]), "https://as.example.com/files");
    assert_eq!(resource(&paths[2]), "https://as.example.com/files/");
}

/// Z7: a preflight of a public document admits every header, and one of an endpoint for apps those that
/// it reads.
#[test]
fn a_public_document_is_read_with_any_request_header() {
    let mut http = Http::new();
    http.endpoints = http.endpoints.with_cross_origin(true);
    let ask = |path: &str, headers: Option<&str>| {
        let mut request = Request::builder()
            .method("OPTIONS")
            .uri(path)
            .header("origin", "https://app.example.com")
            .header("access-control-request-method", "GET");
        if let Some(headers) = headers {
            request = request.header("access-control-request-headers", headers);
        }
        let answer = http.send(request.body("").unwrap());
        assert!(answer.header("vary").unwrap().contains("Access-Control-Request-Headers"));
        answer.header("access-control-allow-headers").unwrap().to_owned()
    };
    let fixed = "authorization, content-type";
    for path in ["/oauth/jwks", METADATA] {
        for headers in ["mcp-protocol-version", "x-a, x-b,authorization", "traceparent"] {
            assert_eq!(ask(path, Some(headers)), headers, "{path}");
        }
        assert_eq!(ask(path, None), fixed, "{path}");
    }
    assert_eq!(ask("/oauth/token", Some("mcp-protocol-version")), fixed);
}

/// Z7: native shells and extensions are listed with the app; a default port equals no port.
#[test]
fn an_app_lists_origins_beside_those_of_its_redirect_uris() {
    let mut http = Http::new();
    http.endpoints = http.endpoints.with_cross_origin(true);
    let callback = RedirectUri::parse("https://app.example.com:443/cb").unwrap();
    let origins = [
        "capacitor://localhost",
        "chrome-extension://abcdefghijklmnopabcdefghijklmnop",
        "https://spa.example.com:443",
        "http://localhost:8100",
    ];
    let app = http.world.register(
        code_app().redirect_uris([callback]).origins(origins.map(|origin| origin.parse().unwrap())),
    );
    let body = format!("grant_type=refresh_token&refresh_token=x&{}", body_of(&app, &[]));
    let ask = |origin: &str| {
        let answer = http.post("/oauth/token", &[("origin", origin)], &body);
        answer.header("access-control-allow-origin").map(str::to_owned)
    };
    for origin in [
        "https://app.example.com",
        "https://spa.example.com",
        "capacitor://localhost",
        "chrome-extension://abcdefghijklmnopabcdefghijklmnop",
        "http://localhost:8100",
    ] {
        assert_eq!(ask(origin).as_deref(), Some(origin));
    }
    for stranger in [
        "null",
        "http://localhost",
        "http://localhost:8101",
        "capacitor://evil",
        "ionic://localhost",
        "chrome-extension://b",
        "http://spa.example.com",
        "https://spa.example.com.evil.example",
        "https://spa.example.com:8443",
    ] {
        assert_eq!(ask(stranger), None, "{stranger}");
    }
}
