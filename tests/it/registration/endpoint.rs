//! The registration endpoint in open mode: the app that it makes, and the metadata that it refuses.

use std::sync::Arc;

use grantor::app::{AppOrigin, ClientAuthentication};
use grantor::audit::Actor;
use grantor::endpoint::{FormRequest, Voucher};
use grantor::http::HttpEndpoints;
use grantor::ids::Source;
use grantor::protocol::{Paths, RedirectUri, ServerEndpoint};
use grantor::store::{AppQuery, Page};
use http::{Method, Request};
use pollster::block_on;
use serde_json::{Value, json};

use super::{
    REGISTER, app, open, problem, public, register, registered, send, template, with, world,
};
use crate::support::{CALLBACK, Lines, World, code_query, new_verifier};

/// Y4: without rules there is no endpoint, and the metadata name none. The host may move it.
#[test]
fn registration_is_off_by_default() {
    let off = World::new();
    let on = world(open());
    let named = |world: &World| {
        let metadata: Value = serde_json::from_str(&world.server.metadata()).unwrap();
        metadata.get("registration_endpoint").cloned()
    };
    assert_eq!(named(&off), None);
    assert_eq!(named(&on), Some(json!("https://as.example.com/oauth/register")));
    for endpoint in [ServerEndpoint::Registration, ServerEndpoint::ClientConfiguration] {
        assert_eq!(off.server.paths().get(endpoint), None);
    }
    assert_eq!(on.server.paths().get(ServerEndpoint::ClientConfiguration), None);
    let refused = block_on(off.server.register(&FormRequest::new("{}"))).unwrap_err();
    assert_eq!(refused.status(), 404);
    let read = block_on(on.server.read_registration("a", &FormRequest::new(""))).unwrap_err();
    assert_eq!(read.status(), 404);

    let moved = Paths::default().with(ServerEndpoint::Registration, "/apps").unwrap();
    let world = World::with(|builder| builder.registration(open()).paths(moved));
    assert_eq!(named(&world), Some(json!("https://as.example.com/apps")));
    let answer = send(&world, Method::POST, "/apps", None, &public().to_string());
    assert_eq!(answer.status, 201);
}

/// Y5 and Y12: status 201, no cache, and every value as it was set: also the defaults, and the part of the scope that
/// the template has.
#[test]
fn the_answer_states_every_value_as_it_was_set() {
    let world = world(open());
    let metadata = json!({
        "client_name": "Editor",
        "client_uri": "https://editor.example/",
        "logo_uri": "https://editor.example/logo.png",
        "tos_uri": "https://editor.example/tos",
        "policy_uri": "https://editor.example/policy",
        "contacts": ["ops@editor.example"],
        "software_id": "editor",
        "software_version": "7",
        "application_type": "web",
        "redirect_uris": [CALLBACK],
        "token_endpoint_auth_method": "none",
        "scope": "b x offline_access",
        "grant_types": ["authorization_code", "refresh_token", "client_credentials"],
        "response_types": ["code", "token"],
        "vendor": {"unknown": true},
        "client_name#de": "Bearbeiter",
    });
    let answer = register(&world, &metadata);
    assert_eq!((answer.status, answer.header("cache-control")), (201, Some("no-store")));
    assert_eq!(answer.header("content-type"), Some("application/json"));
    let mut told = answer.json();
    let id = told.as_object_mut().unwrap().remove("client_id").unwrap();
    assert_eq!(id.as_str().unwrap().len(), 22);
    let expected = json!({
        "client_id_issued_at": crate::support::START,
        "client_name": "Editor",
        "client_uri": "https://editor.example/",
        "logo_uri": "https://editor.example/logo.png",
        "tos_uri": "https://editor.example/tos",
        "policy_uri": "https://editor.example/policy",
        "contacts": ["ops@editor.example"],
        "software_id": "editor",
        "software_version": "7",
        "application_type": "web",
        "redirect_uris": [CALLBACK],
        "token_endpoint_auth_method": "none",
        "scope": "b",
        "grant_types": ["authorization_code", "refresh_token"],
        "response_types": ["code"],
    });
    assert_eq!(told, expected);

    let least = registered(&world, &json!({ "redirect_uris": [CALLBACK] }));
    assert_eq!(least["scope"], "a b c");
    assert_eq!(least["client_name"], "An app without a name");
    assert_eq!(least["grant_types"], json!(["authorization_code", "refresh_token"]));
    let no_refresh =
        with(public(), json!({ "grant_types": ["authorization_code"], "client_name": "B" }));
    assert_eq!(registered(&world, &no_refresh)["grant_types"], json!(["authorization_code"]));
}

/// Y12: if the host does not let apps narrow the scope, each has that of the template, and the answer tells.
#[test]
fn a_stated_scope_is_replaced_by_the_whole_one_if_the_host_says_so() {
    let world = world(open().narrow_scope(false));
    for stated in ["b", "x", "a b c x"] {
        let told = registered(&world, &with(public(), json!({ "scope": stated })));
        assert_eq!(told["scope"], "a b c", "{stated}");
    }
    let answer = register(&world, &with(public(), json!({ "scope": 7 })));
    problem(&answer, 400, "invalid_client_metadata");
}

/// Y9: the authentication method is the one asked for, and `client_secret_basic` if none is. The secret works.
#[test]
fn the_authentication_method_is_the_one_asked_for() {
    let world = world(open());
    for (asked, set) in [
        (Value::Null, "client_secret_basic"),
        (json!("client_secret_basic"), "client_secret_basic"),
        (json!("client_secret_post"), "client_secret_post"),
        (json!("none"), "none"),
    ] {
        let metadata = with(public(), json!({ "token_endpoint_auth_method": asked }));
        let told = registered(&world, &metadata);
        assert_eq!(told["token_endpoint_auth_method"], set);
        let has_secret = set != "none";
        assert_eq!(told["client_secret"].is_string(), has_secret, "{told}");
        assert_eq!(told.get("client_secret_expires_at") == Some(&json!(0)), has_secret);
        assert!(told.get("registration_access_token").is_none());
        if set == "client_secret_basic" {
            let app = app(&told);
            // An app that has chosen is held to it. Many clients send the secret in the body if they have not.
            let (code, verifier) = world.code(&app);
            let in_body = world.redeem(&app, &code, &verifier).status;
            assert_eq!(in_body, if asked.is_null() { 200 } else { 401 });
            let (code, verifier) = world.code(&app);
            let header = crate::support::basic(app.id.as_str(), app.secret.as_deref().unwrap());
            let form = crate::support::encode(&[
                ("grant_type", "authorization_code"),
                ("code", &code),
                ("redirect_uri", CALLBACK),
                ("code_verifier", &verifier),
            ]);
            assert_eq!(world.post_form(Some(&header), &form).status, 200);
        } else {
            let answer = world.tokens(&app(&told));
            assert_eq!(world.refresh(&app(&told), answer.text("refresh_token")).status, 200);
        }
    }
    let keys = json!({ "keys": [{
        "kty": "OKP", "crv": "Ed25519", "kid": "1", "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo",
    }] });
    let signed = json!({ "token_endpoint_auth_method": "private_key_jwt", "jwks": keys });
    let told = registered(&world, &with(public(), signed));
    assert_eq!(told["token_endpoint_auth_method"], "private_key_jwt");
    assert_eq!(told["jwks"]["keys"][0]["kid"], "1");
    assert!(told.get("client_secret").is_none());
    // This server fetches no keys.
    let fetched = json!({
        "token_endpoint_auth_method": "private_key_jwt", "jwks_uri": "https://app.example.com/keys",
    });
    let answer = register(&world, &with(public(), fetched));
    assert!(problem(&answer, 400, "invalid_client_metadata").starts_with("jwks_uri"));
}

/// Y1 and Y6: unknown members are ignored, an authentication method that the server lacks is replaced, and other unusable
/// values refuse the whole.
#[test]
fn an_unknown_method_is_replaced_and_told() {
    let world = world(open());
    for unknown in ["tls_client_auth", "client_secret_jwt"] {
        let metadata = with(public(), json!({ "token_endpoint_auth_method": unknown }));
        let told = registered(&world, &metadata);
        assert_eq!(told["token_endpoint_auth_method"], "client_secret_basic");
    }
    for (member, value) in [
        ("grant_types", json!(["client_credentials"])),
        ("response_types", json!(["token"])),
        ("scope", json!("x y")),
        ("scope", json!(7)),
        ("contacts", json!("one")),
        ("client_uri", json!("http://editor.example/")),
        ("jwks_uri", json!("http://editor.example/")),
        ("jwks", json!({ "keys": [{ "kty": "oct", "k": "AAAA" }] })),
    ] {
        let answer = register(&world, &with(public(), json!({ member: value })));
        let problem = problem(&answer, 400, "invalid_client_metadata");
        assert!(problem.starts_with(member), "{problem}");
        world.assert_refused("parse", "client_metadata", Some("registration"));
    }
}

/// Y1 and Y7: unusable redirect URIs among usable ones are dropped and told, unless the host wants it strict.
#[test]
fn unusable_redirect_uris_are_dropped_and_told() {
    let cursor = json!({
        "redirect_uris": [
            "cursor://anysphere.cursor-mcp/oauth/callback",
            "zed://callback",
            "http://intranet.example/cb",
            "javascript:alert(1)",
            "http://localhost:8787/callback",
        ],
        "application_type": "web",
        "token_endpoint_auth_method": "none",
    });
    let told = registered(&world(open()), &cursor);
    let kept = ["cursor://anysphere.cursor-mcp/oauth/callback", "http://localhost/callback"];
    let uris: Vec<_> = told["redirect_uris"].as_array().unwrap().iter().collect();
    assert_eq!(uris.len(), 2, "{told}");
    assert_eq!(uris[0], kept[0]);
    assert!(uris[1].as_str().unwrap().starts_with("http://localhost"), "{told}");
    let dropped = told["dropped_redirect_uris"].as_array().unwrap();
    let of = |at: usize| {
        (dropped[at]["uri"].as_str().unwrap(), dropped[at]["problem"].as_str().unwrap())
    };
    assert_eq!(of(0), ("zed://callback", "its scheme is not allowed here"));
    assert_eq!(of(1).0, "http://intranet.example/cb");
    assert_eq!(dropped.len(), 3);

    let strict = world(open().drop_unusable_redirect_uris(false));
    let answer = register(&strict, &cursor);
    assert!(problem(&answer, 400, "invalid_redirect_uri").contains("scheme is not allowed"));
    assert_eq!(registered(&strict, &public())["redirect_uris"], json!([CALLBACK]));
    for uris in [json!([]), json!(["zed://callback"]), Value::Null] {
        let answer = register(&world(open()), &with(public(), json!({ "redirect_uris": uris })));
        problem(&answer, 400, "invalid_redirect_uri");
    }
}

/// Y8: a redirect URI on loopback or `localhost` matches any port, for every kind of app.
#[test]
fn a_registered_loopback_uri_matches_any_port() {
    let world = world(open());
    for kind in [Value::Null, json!("native"), json!("web")] {
        let uris = ["http://localhost/callback", "http://127.0.0.1/callback", "http://[::1]/cb"];
        let metadata = json!({ "redirect_uris": uris, "application_type": kind });
        let told = registered(&world, &with(public(), metadata));
        for requested in [
            "http://localhost:49213/callback",
            "http://127.0.0.1:1/callback",
            "http://[::1]:8080/cb",
        ] {
            let verifier = new_verifier();
            let query = code_query(&app(&told), &verifier, &[("redirect_uri", requested)]);
            let code = world.approve(&query).unwrap().remove("code").unwrap();
            let answer = world.post(
                &app(&told),
                &[
                    ("grant_type", "authorization_code"),
                    ("code", &code),
                    ("redirect_uri", requested),
                    ("code_verifier", verifier.expose_secret()),
                ],
            );
            assert_eq!(answer.status, 200, "{answer:?}");
        }
        let foreign = code_query(&app(&told), &new_verifier(), &[("redirect_uri", CALLBACK)]);
        assert!(world.approve(&foreign).is_err());
    }
}

/// Y10: the same public registration from the same source is the same app, without a second row, event or secret.
/// Another source, other metadata and a secret each make another app.
#[test]
fn a_repeated_public_registration_is_the_same_app() {
    let mut world = world(open());
    let first = registered(&world, &public());
    let reordered = format!(
        r#"{{"token_endpoint_auth_method":"none","x":1,"redirect_uris":["{CALLBACK}"],"client_name":" Editor "}}"#
    );
    let again = send(&world, Method::POST, REGISTER, None, &reordered).json();
    assert_eq!(again, first);
    assert_eq!(world.count("register_app"), 1);
    let other = registered(&world, &with(public(), json!({ "client_name": "Other" })));
    assert_ne!(other["client_id"], first["client_id"]);
    let secret = with(public(), json!({ "token_endpoint_auth_method": "client_secret_basic" }));
    let (one, two) = (registered(&world, &secret), registered(&world, &secret));
    assert_ne!(one["client_id"], two["client_id"]);
    assert_ne!(one["client_secret"], two["client_secret"]);

    world.source = Source::new("192.0.2.8").unwrap();
    world.wire = crate::support::Wire::default();
    assert_ne!(registered(&world, &public())["client_id"], first["client_id"]);
    let listed = block_on(world.server.admin("a").list(&AppQuery::all(), Page::first(10)));
    assert_eq!(listed.unwrap().items.len(), 5);
}

/// Y10: an app that an administrator has edited or adopted is the same for its client, which goes on with what is left
/// of its own description, and learns nothing that the administrator has added.
#[test]
fn a_repeated_registration_tells_nothing_that_an_administrator_added() {
    let world = world(open());
    let first = registered(&world, &public());
    let client = app(&first);
    let internal = RedirectUri::parse("https://internal.example/cb").unwrap();
    world.edit(&client, |draft| {
        draft.name("Secret project").redirect_uri(internal).scope(crate::support::scope("a z"))
    });
    let left = with(first.clone(), json!({ "scope": "a" }));
    assert_eq!(registered(&world, &public()), left);
    let admin = world.server.admin("admin");
    block_on(admin.set_origin(&client.id, AppOrigin::Registered)).unwrap();
    assert_eq!(registered(&world, &public()), left);
    let listed = block_on(admin.list(&AppQuery::all(), Page::first(10)));
    assert_eq!(listed.unwrap().items.len(), 1);
    world.edit(&client, |draft| draft.refresh_token(false));
    let told = registered(&world, &public());
    assert_eq!(told["grant_types"], json!(["authorization_code"]));

    // Its client cannot use a confidential app, or one without its redirect URI.
    world.edit(&client, |draft| draft.authentication(ClientAuthentication::ClientSecret));
    register(&world, &public()).assert_error(403, "access_denied");
    world.assert_refused("grant", "administered_registration", None);
    world.edit(&client, |draft| {
        let other = RedirectUri::parse("https://internal.example/cb").unwrap();
        draft.authentication(ClientAuthentication::None).redirect_uris([other])
    });
    register(&world, &public()).assert_error(403, "access_denied");
}

/// Y13 and L17: the app gets tokens by consent only. A user is asked, and it gets no client credentials and learns
/// nothing of tokens.
#[test]
fn a_registered_app_has_consent_and_nothing_else() {
    let world = world(open());
    let confidential =
        with(public(), json!({ "token_endpoint_auth_method": "client_secret_post" }));
    let app = app(&registered(&world, &confidential));
    let prompt = world.prompt(&code_query(&app, &new_verifier(), &[]), &crate::support::ann());
    assert_eq!(prompt.app_name, "Editor");
    let Voucher::Unverified(facts) = &prompt.vouched_by else { panic!("vouched for") };
    assert_eq!((&facts.client_host, facts.only_loopback), (&None, false));
    assert_eq!(facts.redirect_host.as_deref(), Some("app.example.com"));
    let tokens = world.tokens(&app);
    let credentials = [("grant_type", "client_credentials")];
    world.post(&app, &credentials).assert_error(400, "unauthorized_client");
    world.introspect(&app, tokens.text("access_token")).assert_error(400, "unauthorized_client");
    let assertion =
        [("grant_type", "urn:ietf:params:oauth:grant-type:jwt-bearer"), ("assertion", "a.b.c")];
    world.post(&app, &assertion).assert_error(400, "unauthorized_client");
}

/// Y17: no hidden characters in texts, no URL but `https`, and nothing too long. The description repeats no value.
#[test]
fn hostile_texts_are_refused_by_name() {
    let world = world(open());
    let long = "x".repeat(300);
    for (member, value) in [
        ("client_name", json!("Good\u{202e}liame")),
        ("client_name", json!("two\nlines")),
        ("client_name", json!("x".repeat(101))),
        ("logo_uri", json!("javascript:alert(1)")),
        ("client_uri", json!("data:text/html,x")),
        ("tos_uri", json!("https://user@editor.example/")),
        ("policy_uri", json!("\u{200b}https://editor.example/")),
        ("software_id", json!(long)),
        ("software_version", json!("\u{7f}")),
        ("contacts", json!(["a\u{2066}b"])),
    ] {
        let answer = register(&world, &with(public(), json!({ member: value })));
        let problem = problem(&answer, 400, "invalid_client_metadata");
        assert!(problem.starts_with(member), "{problem}");
        assert!(!problem.contains("liame") && !problem.contains("alert"), "{problem}");
    }
}

/// Y17: a set of keys in the metadata has at most 16.
#[test]
fn a_set_of_keys_has_at_most_sixteen() {
    let world = world(open());
    let keys = |number: usize| {
        let key = |kid: usize| {
            json!({
                "kty": "OKP", "crv": "Ed25519", "kid": kid.to_string(),
                "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo",
            })
        };
        let keys: Vec<_> = (0..number).map(key).collect();
        let metadata = json!({
            "token_endpoint_auth_method": "private_key_jwt", "jwks": { "keys": keys },
        });
        register(&world, &with(public(), metadata))
    };
    let told = keys(16);
    assert_eq!((told.status, told.json()["jwks"]["keys"].as_array().unwrap().len()), (201, 16));
    for number in [17, 0] {
        let problem = problem(&keys(number), 400, "invalid_client_metadata");
        assert!(problem.starts_with("jwks"), "{problem}");
    }
}

/// Y5: the body is one JSON object of at most 16 KiB, with its content type.
#[test]
fn the_body_is_a_bounded_json_object() {
    let world = world(open());
    let padded = |length: usize| {
        let empty = with(public(), json!({ "padding": "" })).to_string().len();
        with(public(), json!({ "padding": "x".repeat(length - empty) })).to_string()
    };
    let post = |body: &str| send(&world, Method::POST, REGISTER, None, body);
    assert_eq!(post(&padded(16 * 1024)).status, 201);
    post(&padded(16 * 1024 + 1)).assert_error(413, "invalid_client_metadata");
    post(&padded(70 * 1024)).assert_error(413, "invalid_client_metadata");
    for bad in ["[]", "null", "{", r#"{"a":1,"a":2}"#, "\u{0}"] {
        post(bad).assert_error(400, "invalid_client_metadata");
    }
    for content_type in ["application/x-www-form-urlencoded", "text/plain", "application/jsonp"] {
        let request = Request::post(REGISTER).header("content-type", content_type);
        let answer = world.send(request.body(public().to_string()).unwrap());
        answer.assert_error(400, "invalid_request");
    }
    let request = Request::post(REGISTER).header("content-type", "Application/JSON; charset=utf-8");
    assert_eq!(world.send(request.body(public().to_string()).unwrap()).status, 201);
    let get = world.send(Request::get(REGISTER).body(String::new()).unwrap());
    assert_eq!((get.status, get.header("allow")), (405, Some("POST, OPTIONS")));
}

/// Administrators see a registered app in list and log, and end it as any other. It stays disabled, also if it
/// registers again.
#[test]
fn administrators_list_disable_and_delete_a_registered_app() {
    let world = world(open());
    let told = registered(&world, &public());
    let client = app(&told);
    let event = world.last_event();
    assert_eq!(event.action.as_str(), "register_app");
    assert_eq!((&event.actor, event.client_id.as_ref()), (&Actor::Unknown, Some(&client.id)));
    assert_eq!(event.source.as_ref(), Some(&world.source));
    let admin = world.server.admin("admin");
    let query = AppQuery::all().self_described(true);
    let listed = block_on(admin.list(&query, Page::first(10))).unwrap().items;
    assert_eq!(listed[0].client_id(), &client.id);
    assert_eq!(listed[0].origin(), AppOrigin::SelfRegistered);

    let tokens = world.tokens(&client);
    block_on(admin.disable(&client.id)).unwrap();
    assert_eq!(registered(&world, &public())["client_id"], told["client_id"]);
    assert_eq!(world.refresh(&client, tokens.text("refresh_token")).status, 401);
    let query = code_query(&client, &new_verifier(), &[]);
    assert!(world.approve(&query).is_err());

    block_on(admin.delete(&client.id)).unwrap();
    let again = registered(&world, &public());
    assert_eq!(again["client_id"], told["client_id"]);
    assert_eq!(world.refresh(&client, tokens.text("refresh_token")).status, 400);
    world.tokens(&app(&again));
}

/// Y4: the apps that register themselves get tokens at the authorization endpoint only. A process without it names and has
/// no registration.
#[test]
fn a_process_without_an_authorization_endpoint_registers_no_apps() {
    let world = world(open().management(true));
    let endpoints = HttpEndpoints::without_interaction(Arc::clone(&world.server));
    let ask = |method: Method, path: &str| {
        let request = Request::builder().method(method).uri(path);
        let request = request.header("content-type", "application/json");
        block_on(endpoints.handle(request.body(public().to_string()).unwrap()))
    };
    let metadata = ask(Method::GET, "/.well-known/oauth-authorization-server").unwrap();
    let metadata: Value = serde_json::from_slice(metadata.body()).unwrap();
    for absent in ["registration_endpoint", "authorization_endpoint"] {
        assert_eq!(metadata.get(absent), None);
    }
    assert_eq!(metadata["token_endpoint"], "https://as.example.com/oauth/token");
    for path in [REGISTER, "/oauth/register/client?client_id=a"] {
        assert!(ask(Method::POST, path).is_none(), "{path} is a path of this process");
    }
}

/// Scripts read the answer from the origins of the app that registered, as at the token endpoint.
#[test]
fn scripts_of_the_apps_own_origin_read_the_answer() {
    let world = world(open());
    let endpoints = HttpEndpoints::new(Arc::clone(&world.server), Lines);
    let endpoints = endpoints.with_cross_origin(true);
    let post = |origin: &str, metadata: &Value| {
        let request = Request::post(REGISTER)
            .header("content-type", "application/json")
            .header("origin", origin)
            .body(metadata.to_string());
        let answer = block_on(endpoints.handle(request.unwrap())).unwrap();
        let readable = answer.headers().get("access-control-allow-origin").cloned();
        (answer.status().as_u16(), readable)
    };
    let own = "https://app.example.com";
    assert_eq!(post(own, &public()), (201, Some(own.parse().unwrap())));
    assert_eq!(post("https://other.example", &public()), (201, None));
    let preflight = Request::options(REGISTER)
        .header("origin", own)
        .header("access-control-request-method", "POST")
        .body(String::new());
    let answer = block_on(endpoints.handle(preflight.unwrap())).unwrap();
    assert_eq!(answer.headers()["access-control-allow-origin"], own);
    assert_eq!(answer.headers()["access-control-allow-methods"], "POST");
}

/// The rules of a host are checked before a server has them.
#[test]
fn a_template_that_makes_no_app_is_refused() {
    use grantor::endpoint::{Registration, RegistrationAccess};

    let bad = template().access_token_lifetime(0);
    let refused = Registration::new(bad, RegistrationAccess::Open).unwrap_err();
    assert_eq!(refused.field(), "access_token_lifetime");
}
