//! Requests as MCP clients send them.

use http::Request;

use crate::http::Http;
use crate::support::{
    CALLBACK, ISSUER, World, code_app, code_query, encode, machine_app, new_verifier, parameters,
};

/// Parameters of other servers and vendors.
const UNKNOWN: [(&str, &str); 5] = [
    ("audience", "https://mcp.example.com"),
    ("nonce", "n-0S6_WzA2Mj"),
    ("access_type", "offline"),
    ("vendor.hint", "x y"),
    ("token_endpoint_auth_method", "none"),
];

/// M14: unknown parameters are ignored, at both endpoints. The audience stays that of the grant.
#[test]
fn unknown_parameters_are_ignored() {
    let world = World::unlimited();
    let app = world.register(code_app());
    let verifier = new_verifier();
    let mut answer = world.approve(&code_query(&app, &verifier, &UNKNOWN)).unwrap();
    assert!(!answer.contains_key("nonce"));
    let code = answer.remove("code").unwrap();
    let mut form = vec![
        ("grant_type", "authorization_code"),
        ("code", &code),
        ("redirect_uri", CALLBACK),
        ("code_verifier", verifier.expose_secret()),
    ];
    form.extend(UNKNOWN);
    let tokens = world.post(&app, &form);
    assert_eq!((tokens.status, &tokens.claims()["aud"]), (200, &ISSUER.into()));
    assert_eq!(tokens.claims().get("nonce"), None);
    let mut form =
        vec![("grant_type", "refresh_token"), ("refresh_token", tokens.text("refresh_token"))];
    form.extend(UNKNOWN);
    assert_eq!(world.post(&app, &form).claims()["aud"], ISSUER);
    let machine = world.register(machine_app());
    let mut form = vec![("grant_type", "client_credentials")];
    form.extend(UNKNOWN);
    assert_eq!(world.post(&machine, &form).claims()["aud"], ISSUER);
}

/// M16: no header of a request and no inner address gets into a redirect, a page or the metadata.
#[test]
fn redirects_and_pages_have_the_public_origin_for_any_host_in_the_request() {
    let http = Http::new();
    let app = http.world.register(code_app());
    let inner = |request: http::request::Builder| {
        request
            .header("host", "inner.cluster.local:8080")
            .header("x-forwarded-host", "evil.example")
            .header("x-forwarded-proto", "http")
            .header("x-forwarded-prefix", "/evil")
            .header("forwarded", "host=evil.example;proto=http")
    };
    let state = ("state", "s");
    let query = code_query(&app, &new_verifier(), &[state]);
    let at = format!("http://10.0.0.7:8080/oauth/authorize?{query}");
    let login = http.send(inner(Request::get(&at)).body("").unwrap());
    assert_eq!(login.status, 200);
    let (_, return_to) = login.body.split_once('|').unwrap();
    assert!(return_to.starts_with("/oauth/authorize?"), "{return_to}");
    let page = http.send(inner(Request::get(&at)).header("cookie", "ann").body("").unwrap());
    let parts: Vec<_> = page.body.split('|').collect();
    assert_eq!(parts[0], "/oauth/decision");
    for (decision, member) in [("deny", "error"), ("approve", "code")] {
        let page = http.send(inner(Request::get(&at)).header("cookie", "ann").body("").unwrap());
        let ticket = page.body.split('|').nth(1).unwrap();
        let form = encode(&[("ticket", ticket), ("decision", decision), ("scope", "a")]);
        let decided = inner(Request::post("http://10.0.0.7:8080/oauth/decision"))
            .header("content-type", "application/x-www-form-urlencoded")
            .header("origin", ISSUER)
            .header("cookie", "ann");
        let decided = http.send(decided.body(form).unwrap());
        let location = decided.header("location").unwrap();
        let answer = parameters(location);
        assert_eq!(decided.status, 303);
        assert!(location.starts_with(&format!("{CALLBACK}?")), "{location}");
        assert!(answer.contains_key(member), "{location}");
        assert_eq!((answer["iss"].as_str(), answer["state"].as_str()), (ISSUER, "s"));
        assert!(!location.contains("inner") && !location.contains("evil"), "{location}");
    }
    let refused = code_query(&app, &new_verifier(), &[state, ("scope", "unknown")]);
    let refused =
        http.send(inner(Request::get(format!("/oauth/authorize?{refused}"))).body("").unwrap());
    assert!(refused.header("location").unwrap().starts_with(&format!("{CALLBACK}?error=")));
    let metadata = inner(Request::get("/.well-known/oauth-authorization-server"));
    let metadata = http.send(metadata.body("").unwrap());
    assert!(!metadata.body.contains("inner") && !metadata.body.contains("evil"));
    assert_eq!(metadata.json()["authorization_endpoint"], format!("{ISSUER}/oauth/authorize"));
}
