//! The three kinds of redirect URI, from the request to the tokens.

use grantor::app::{AppDraft, Flow};
use grantor::endpoint::Caller;
use grantor::protocol::{InstanceHosts, RedirectUri};
use pollster::block_on;

use crate::authorization_request::{assert_shown, query, refuse};
use crate::support::{Answer, App, CALLBACK, World, code_app, code_query, new_verifier, scope};

/// Approves a request with the `redirect_uri` `asked`, if any, and redeems its code with
/// `redeemed`.
fn flow(world: &World, app: &App, asked: Option<&str>, redeemed: Option<&str>) -> (String, Answer) {
    let verifier = new_verifier();
    let mut query = code_query(app, &verifier, &[("redirect_uri", asked.unwrap_or(""))]);
    if asked.is_none() {
        query = query.replace("&redirect_uri=", "");
        assert!(!query.contains("redirect_uri"));
    }
    let request = block_on(world.server.authorization_request(&query, Caller::default())).unwrap();
    let to = request.redirect_uri().as_str().to_owned();
    let code = world.approve(&query).unwrap().remove("code").unwrap();
    let mut form = vec![
        ("grant_type", "authorization_code"),
        ("code", &*code),
        ("code_verifier", verifier.expose_secret()),
    ];
    form.extend(redeemed.map(|uri| ("redirect_uri", uri)));
    (to, world.post(app, &form))
}

/// A30: the redirect URI's own query is kept, and the response is added to it.
#[test]
fn the_query_of_the_redirect_uri_is_kept() {
    let world = World::new();
    let uri = "https://app.example.com/cb?tenant=7&x=%20";
    let app = world.register(code_app().redirect_uris([RedirectUri::parse(uri).unwrap()]));
    let more = [("redirect_uri", uri), ("scope", "d")];
    let error = refuse(&world, &query(&app, &more));
    assert!(error.location().unwrap().starts_with(&format!("{uri}&error=")), "{error:?}");
    let (to, answer) = flow(&world, &app, Some(uri), Some(uri));
    assert_eq!((&*to, answer.status), (uri, 200));
    let parameters = world.approve(&query(&app, &more[..1])).unwrap();
    assert_eq!((&*parameters["tenant"], &*parameters["x"]), ("7", " "));
    assert!(parameters.contains_key("code"));
}

/// A7, G6, G7: a redirect URI in the authorization request must be repeated. Otherwise it may be
/// omitted, or must be the registered one.
#[test]
fn the_token_request_repeats_the_redirect_uri_of_the_authorization_request() {
    let world = World::new();
    let app = world.register(code_app());
    for (asked, redeemed, status) in [
        (Some(CALLBACK), Some(CALLBACK), 200),
        (Some(CALLBACK), None, 400),
        (Some(CALLBACK), Some(""), 400),
        (Some(CALLBACK), Some("https://app.example.com/cb/"), 400),
        (Some(CALLBACK), Some("https://evil.test/"), 400),
        (None, None, 200),
        (None, Some(CALLBACK), 200),
        (None, Some("https://app.example.com/cb?"), 400),
        (None, Some("https://evil.test/"), 400),
    ] {
        let (to, answer) = flow(&world, &app, asked, redeemed);
        assert_eq!(to, CALLBACK);
        assert_eq!(answer.status, status, "{asked:?} {redeemed:?} {answer:?}");
        if status == 400 {
            answer.assert_error(400, "invalid_grant");
        }
    }
}

/// A7: a code for the only redirect URI is redeemed with that URI after a second one was
/// registered.
#[test]
fn a_code_survives_the_registration_of_a_second_redirect_uri() {
    let world = World::new();
    let app = world.register(code_app());
    let verifier = new_verifier();
    let query = code_query(&app, &verifier, &[("redirect_uri", "")]);
    let code = world.approve(&query).unwrap().remove("code").unwrap();
    let admin = world.server.admin("tester");
    let stored = block_on(admin.find(&app.id)).unwrap().unwrap();
    let other = RedirectUri::parse("https://app.example.com/other").unwrap();
    let draft = AppDraft::from(stored.settings()).redirect_uri(other);
    block_on(admin.edit(&app.id, stored.version(), draft)).unwrap();
    assert_eq!(world.redeem(&app, &code, verifier.expose_secret()).status, 200);
}

/// A10, A11, A15, G7: a loopback app chooses its port, and redeems with the same port.
#[test]
fn a_loopback_app_may_use_any_port_and_redeems_with_it() {
    let world = World::new();
    let loopback = |uri| RedirectUri::parse(uri).unwrap();
    let draft = AppDraft::public("Desk")
        .flow(Flow::AuthorizationCode)
        .scope(scope("a"))
        .redirect_uris([loopback("http://127.0.0.1/cb"), loopback("http://[::1]:7000/cb?x=1")]);
    let app = world.register(draft.clone());
    for uri in [
        "http://127.0.0.1:53682/cb",
        "http://127.0.0.1/cb",
        "http://[::1]:1/cb?x=1",
        "http://[::1]:7000/cb?x=1",
        "http://[::1]/cb?x=1",
    ] {
        let (to, answer) = flow(&world, &app, Some(uri), Some(uri));
        assert_eq!((&*to, answer.status), (uri, 200), "{answer:?}");
    }
    let (_, answer) =
        flow(&world, &app, Some("http://127.0.0.1:53682/cb"), Some("http://127.0.0.1:53683/cb"));
    answer.assert_error(400, "invalid_grant");
    let localhost = "http://localhost:7000/cb";
    let allowed = RedirectUri::loopback_with_localhost("http://127.0.0.1/cb").unwrap();
    let lenient = world.register(draft.redirect_uris([allowed]));
    assert_shown(&world, &query(&app, &[("redirect_uri", localhost)]), "invalid_request");
    assert_eq!(flow(&world, &lenient, Some(localhost), Some(localhost)).1.status, 200);
}

/// A12, A13, A14, A15, A18: on loopback only the port may differ.
#[test]
fn a_loopback_request_may_differ_only_in_its_port() {
    let world = World::new();
    let uri = RedirectUri::parse("http://127.0.0.1:7000/cb").unwrap();
    let app = world.register(code_app().redirect_uris([uri]));
    for bad in [
        "http://127.0.0.1:7000/other",
        "http://127.0.0.1:7000/cb?evil=1",
        "http://user@127.0.0.1:7000/cb",
        "http://127.0.0.1:7000@evil.test/cb",
        "http://127.0.0.1.evil.test:7000/cb",
        "https://127.0.0.1:7000/cb",
        "http://localhost:7000/cb",
        "http://[::1]:7000/cb",
        "http://127.0.0.1:70000/cb",
        "http://127.0.0.1:-1/cb",
        "http://127.0.0.1:/cb",
        "http://127.1:7000/cb",
        "http://2130706433:7000/cb",
    ] {
        assert_shown(&world, &query(&app, &[("redirect_uri", bad)]), "invalid_request");
    }
}

/// A17: a custom scheme is compared byte for byte, and works through the whole flow.
#[test]
fn a_custom_scheme_works_through_the_whole_flow() {
    let world = World::new();
    for uri in ["com.example.app:/done", "myapp://127.0.0.1/path?x=1", "myapp:///done"] {
        let draft = AppDraft::public("Phone").flow(Flow::AuthorizationCode).scope(scope("a"));
        let app = world.register(draft.redirect_uri(RedirectUri::parse(uri).unwrap()));
        let (to, answer) = flow(&world, &app, Some(uri), Some(uri));
        assert_eq!((&*to, answer.status), (uri, 200), "{answer:?}");
        for bad in [&format!("{uri}/"), &uri.replace(":/", "://x/"), &uri.to_uppercase()] {
            assert_shown(&world, &query(&app, &[("redirect_uri", bad)]), "invalid_request");
        }
    }
}

/// A18, G7: `%%HOST%%` stands for one of the instance's own names, and the code is bound to the
/// requested one.
#[test]
fn a_host_template_resolves_to_a_name_of_the_instance() {
    let hosts = InstanceHosts::new(["files.example.com", "alias.example.com"]).unwrap();
    let world = World::with(|builder| builder.hosts(hosts));
    let template = RedirectUri::parse("https://%%HOST%%/rest/done.html").unwrap();
    let app = world.register(code_app().redirect_uris([template]));
    let files = "https://files.example.com/rest/done.html";
    let alias = "https://alias.example.com/rest/done.html";
    for (asked, redeemed, to, status) in [
        (Some(files), Some(files), files, 200),
        (Some(alias), Some(alias), alias, 200),
        (Some(alias), Some(files), alias, 400),
        (Some(alias), None, alias, 400),
        (None, None, files, 200),
        (None, Some(files), files, 200),
        (None, Some(alias), files, 400),
    ] {
        let (went, answer) = flow(&world, &app, asked, redeemed);
        assert_eq!((&*went, answer.status), (to, status), "{asked:?} {redeemed:?} {answer:?}");
    }
    for bad in [
        "https://%%HOST%%/rest/done.html",
        "https://evil.test/rest/done.html",
        "https://files.example.com.evil.test/rest/done.html",
        "https://evil.test/files.example.com/rest/done.html",
        "https://files.example.com@evil.test/rest/done.html",
        "https://evil.files.example.com/rest/done.html",
        "https://FILES.example.com/rest/done.html",
        "https://files.example.com:8443/rest/done.html",
        "https:///rest/done.html",
        "http://files.example.com/rest/done.html",
    ] {
        assert_shown(&world, &query(&app, &[("redirect_uri", bad)]), "invalid_request");
    }
}

/// A5, A16, A17: an unsafe redirect URI cannot be registered.
#[test]
fn an_unsafe_redirect_uri_cannot_be_registered() {
    for bad in [
        "https://h.example/cb#f",
        "http://app.example.com/cb",
        "http://localhost/cb",
        "http://127.0.0.1.evil.test/cb",
        "javascript:alert(1)",
        "data:text/html,x",
        "https://*.example.com/cb",
        "https://u:p@h.example/cb",
        "/cb",
        "https://%%HOST%%.evil.test/cb",
    ] {
        assert!(RedirectUri::parse(bad).is_err(), "{bad}");
    }
}
