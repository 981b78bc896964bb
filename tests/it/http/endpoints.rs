//! The endpoints that take forms.

use grantor::ids::{Resource, Source};
use grantor::resource_server::ResourceServer;
use http::Request;

use super::Http;
use crate::support::{World, basic, body_of, code_app, machine_app, scope};

const TOKEN: &str = "/oauth/token";
const OK: &str = "grant_type=client_credentials";

fn with_machine() -> (Http, String) {
    let http = Http::new();
    let app = http.world.register(machine_app());
    let header = basic(app.id.as_str(), app.secret.as_deref().unwrap());
    (http, header)
}

/// T10: neither a success nor an error may be cached.
#[test]
fn tokens_and_refusals_are_not_cached() {
    let (http, header) = with_machine();
    let good = http.post(TOKEN, &[("authorization", &header)], OK);
    assert_eq!(good.status, 200, "{good:?}");
    assert_eq!(good.json()["token_type"], "Bearer");
    let bad = http.post(TOKEN, &[("authorization", &header)], "grant_type=password");
    for answer in [good, bad] {
        assert_eq!(answer.header("cache-control"), Some("no-store"));
        assert_eq!(answer.header("pragma"), Some("no-cache"));
        assert_eq!(answer.header("content-type"), Some("application/json"));
    }
}

/// T1: the token endpoint accepts only POST.
#[test]
fn another_method_is_405_with_the_allowed_ones() {
    let http = Http::new();
    for method in ["GET", "HEAD", "PUT", "DELETE", "PATCH", "TRACE", "PURGE"] {
        let request = Request::builder().method(method).uri(TOKEN).body("").unwrap();
        let answer = http.send(request);
        assert_eq!(answer.header("allow"), Some("POST, OPTIONS"), "{method}");
        if method == "HEAD" {
            assert_eq!((answer.status, answer.body.as_str()), (405, ""));
        } else {
            answer.assert_error(405, "invalid_request");
        }
    }
    let jwks = http.post("/oauth/jwks", &[], "");
    assert_eq!((jwks.status, jwks.header("allow")), (405, Some("GET, HEAD, OPTIONS")));
    let request = Request::builder().method("OPTIONS").uri(TOKEN).body("").unwrap();
    let options = http.send(request);
    assert_eq!((options.status, options.header("allow")), (204, Some("POST, OPTIONS")));
    assert_eq!(options.header("access-control-allow-origin"), None);
}

/// T2: the body must be a form.
#[test]
fn another_content_type_is_an_invalid_request() {
    let (http, header) = with_machine();
    let headers =
        |content_type| [("authorization", header.as_str()), ("content-type", content_type)];
    for content_type in ["application/json", "text/plain", "multipart/form-data", ""] {
        http.post(TOKEN, &headers(content_type), OK).assert_error(400, "invalid_request");
    }
    let type_less = Request::post(TOKEN).header("authorization", header.as_str()).body(OK).unwrap();
    http.send(type_less).assert_error(400, "invalid_request");
    for content_type in [
        "application/x-www-form-urlencoded;charset=UTF-8",
        "Application/X-WWW-Form-Urlencoded ; charset=utf-8",
    ] {
        assert_eq!(http.post(TOKEN, &headers(content_type), OK).status, 200, "{content_type}");
    }
    let empty = Request::post(TOKEN).body("").unwrap();
    http.send(empty).assert_error(400, "invalid_request");
}

/// T8: parameters in the URL are ignored, because URLs are logged.
#[test]
fn parameters_in_the_url_are_not_read() {
    let http = Http::new();
    let app = http.world.register(machine_app());
    let credentials = body_of(&app, &[]);
    let answer = http.post(&format!("{TOKEN}?{credentials}"), &[], OK);
    answer.assert_error(401, "invalid_client");
    let in_url = http.post(&format!("{TOKEN}?{OK}"), &[], &credentials);
    in_url.assert_error(400, "invalid_request");
}

/// T14: an oversized body is 413 with an error body; too many parameters are 400.
#[test]
fn an_oversized_body_is_refused_unread() {
    let http = Http::new();
    let large = format!("{OK}&x={}", "a".repeat(64 * 1024));
    http.post(TOKEN, &[], &large).assert_error(413, "invalid_request");
    http.post(TOKEN, &[("content-type", "text/plain")], &large)
        .assert_error(413, "invalid_request");
    let many: String = (0..65).map(|n| n.to_string() + "=1&").collect();
    http.post(TOKEN, &[], &many).assert_error(400, "invalid_request");
}

/// C3, C5: a 401 names the scheme, also after an unreadable header.
#[test]
fn a_failed_authentication_is_challenged() {
    let (http, header) = with_machine();
    for wrong in ["Basic AAAA", "Basic", "Basic ~~~", &format!("{header}x")] {
        let answer = http.post(TOKEN, &[("authorization", wrong)], OK);
        assert!([400, 401].contains(&answer.status), "{answer:?}");
        if answer.status == 401 {
            answer.assert_error(401, "invalid_client");
            let challenge = answer.header("www-authenticate").unwrap();
            assert!(challenge.starts_with("Basic realm=\"https://as.example.com\""), "{challenge}");
        }
    }
    let two = Request::post(TOKEN)
        .header("content-type", "application/x-www-form-urlencoded")
        .header("authorization", header.as_str())
        .header("authorization", header.as_str());
    http.send(two.body(OK).unwrap()).assert_error(400, "invalid_request");
}

#[test]
fn a_rate_limit_states_when_to_retry() {
    let (http, _) = with_machine();
    let mut last = None;
    for _ in 0..1_000 {
        let mut request = Request::post(TOKEN)
            .header("content-type", "application/x-www-form-urlencoded")
            .header("authorization", "Basic YXBwOndyb25n")
            .body(OK)
            .unwrap();
        request.extensions_mut().insert(Source::new("192.0.2.9").unwrap());
        let answer = http.send(request);
        if answer.status == 429 {
            last = Some(answer);
            break;
        }
        answer.assert_error(401, "invalid_client");
    }
    let limited = last.expect("failures are limited");
    limited.assert_error(429, "temporarily_unavailable");
    assert!(limited.header("retry-after").unwrap().parse::<u64>().unwrap() > 0);
}

/// V2, V7: an unknown token counts as revoked; failed client authentication is an error.
#[test]
fn the_revocation_endpoint_has_an_empty_body() {
    let (http, header) = with_machine();
    let revoked = http.post("/oauth/revoke", &[("authorization", &header)], "token=unknown");
    assert_eq!((revoked.status, revoked.body.as_str()), (200, ""));
    assert_eq!(revoked.header("cache-control"), Some("no-store"));
    http.post("/oauth/revoke", &[], "token=x").assert_error(401, "invalid_client");
    http.post("/oauth/revoke", &[("authorization", &header)], "")
        .assert_error(400, "invalid_request");
}

/// A world with an app that is a gateway for all tokens.
pub(super) fn with_gateway() -> (Http, String) {
    let gateway = "https://gateway.example.com/";
    let id = grantor::ids::ClientId::new("gateway").unwrap();
    let api = ResourceServer::new(Resource::new(gateway).unwrap(), id.clone())
        .with_gateway(true)
        .with_scopes(scope("files.read"));
    let http = Http::of(World::with(|builder| builder.resource_server(api)));
    let settings = machine_app().build().unwrap();
    let app = grantor::admin::ImportedApp::new(id, settings);
    let credentials = pollster::block_on(http.world.server.admin("tester").import(app)).unwrap();
    let secret = credentials.client_secret.unwrap();
    (http, basic("gateway", secret.expose_secret()))
}

/// I1, I3: an authenticated gateway gets the claims of a token, or only that it is inactive.
#[test]
fn a_gateway_introspects_a_token() {
    let (http, header) = with_gateway();
    let app = http.world.register(code_app());
    let tokens = http.world.tokens(&app);
    let ask = |token: &str| {
        http.post("/oauth/introspect", &[("authorization", &header)], &format!("token={token}"))
    };
    let active = ask(tokens.text("access_token"));
    assert_eq!((active.status, active.json()["active"].as_bool()), (200, Some(true)));
    assert_eq!(active.json()["sub"], "ann");
    assert_eq!(active.header("cache-control"), Some("no-store"));
    assert_eq!(ask("nothing").body, r#"{"active":false}"#);
    http.post("/oauth/introspect", &[], "token=x").assert_error(401, "invalid_client");
}

#[test]
fn a_resource_server_follows_the_feed_with_its_cursor() {
    let (http, header) = with_gateway();
    let app = http.world.register(code_app());
    http.world.tokens(&app);
    let admin = http.world.server.admin("tester");
    let target = grantor::store::RevocationTarget::App(app.id.clone());
    pollster::block_on(admin.revoke(target)).unwrap();
    let get = |uri: &str| {
        http.send(Request::get(uri).header("authorization", header.as_str()).body("").unwrap())
    };
    let first = get("/oauth/revocations");
    let feed: grantor::store::RevocationFeed = serde_json::from_str(&first.body).unwrap();
    assert_eq!((first.status, feed.entries.len(), feed.more), (200, 1, false));
    http.world.advance(60);
    let again = get(&format!("/oauth/revocations?cursor={}", feed.next));
    assert_eq!(again.status, 200, "{again:?}");
    for bad in ["x", "1.2.3", "1&cursor=2", "%zz"] {
        let answer = get(&format!("/oauth/revocations?cursor={bad}"));
        answer.assert_error(400, "invalid_request");
    }
    http.get("/oauth/revocations").assert_error(401, "invalid_client");
}
