//! The authorization request: which errors are shown, and which are redirected.

use grantor::app::{AppDraft, Flow};
use grantor::endpoint::{AuthorizationError, Caller};
use grantor::ids::Resource;
use grantor::protocol::RedirectUri;
use pollster::block_on;
use proptest::prelude::*;
use serde_json::Value;

use crate::faulty_store::{Method, PLANTED, faulty_server};
use crate::support::{
    App, CALLBACK, ISSUER, World, code_app, code_query, encode, new_verifier, parameters,
    redirected, scope, shown,
};

/// A `state` as apps send it.
const STATE: &str = "af0ifjsldkj";

pub(crate) fn query(app: &App, more: &[(&str, &str)]) -> String {
    code_query(app, &new_verifier(), more)
}

fn without(app: &App, name: &str) -> String {
    let query = query(app, &[("state", STATE)]);
    let kept: Vec<_> = query.split('&').filter(|pair| !pair.starts_with(name)).collect();
    assert!(kept.len() < query.split('&').count(), "{name} is not in {query}");
    kept.join("&")
}

pub(crate) fn refuse(world: &World, query: &str) -> AuthorizationError {
    let answer = world.visit(query, "ann");
    let error = block_on(world.server.authorization_request(query, Caller::default())).unwrap_err();
    // The wire gives the same result: a redirect or a page.
    assert_eq!(answer.header("location"), error.location(), "{answer:?}");
    assert_eq!(answer.status == 303, error.location().is_some(), "{answer:?}");
    error
}

#[track_caller]
pub(crate) fn assert_shown(world: &World, query: &str, code: &str) {
    let error = refuse(world, query);
    assert_eq!(shown(&error), code, "{query}");
    let event = &world.events()[0];
    assert_eq!((event.action.as_str(), event.outcome.as_str()), ("authorize", "refused"));
    let AuthorizationError::Show { error, .. } = &error else { panic!("{error:?}") };
    let json: Value = serde_json::from_str(&error.to_json()).unwrap();
    assert_eq!(json["error"], code);
    // The page repeats no part of the request.
    assert!(!error.to_json().contains("evil"), "{error:?}");
}

#[track_caller]
fn assert_redirected(world: &World, query: &str, code: &str) {
    let error = refuse(world, query);
    let (to, parameters) = redirected(&error);
    assert_eq!(to, CALLBACK);
    assert_eq!(parameters["error"], code, "{query}: {parameters:?}");
    assert_eq!(parameters.get("state").map(String::as_str), Some(STATE), "{query}");
    assert_eq!(parameters["iss"], ISSUER);
    assert!(!parameters.contains_key("code"));
    let event = &world.events()[0];
    assert_eq!((event.action.as_str(), event.outcome.as_str()), ("authorize", "refused"));
    assert!(event.client_id.is_some());
}

/// A1, A2, A32: for an unknown app the user is never redirected.
#[test]
fn an_unknown_app_is_shown_an_error_and_redirected_nowhere() {
    let world = World::new();
    let app = world.register(code_app());
    for (id, code) in [
        ("evil", "invalid_client"),
        (&app.id.as_str().to_uppercase(), "invalid_client"),
        (&format!("{} ", app.id), "invalid_client"),
        (&app.id.as_str()[1..], "invalid_client"),
        ("é", "invalid_client"),
        ("\u{1}", "invalid_client"),
        (&"x".repeat(300), "invalid_client"),
        ("", "invalid_request"),
    ] {
        for more in [&[("client_id", id)][..], &[("client_id", id), ("response_type", "evil")]] {
            assert_shown(&world, &query(&app, more), code);
        }
    }
    assert_shown(&world, &without(&app, "client_id"), "invalid_request");
    assert_shown(&world, "", "invalid_request");
}

/// A3, A4, A5, A6, A18, A32: an unregistered redirect URI gets no error, even if it is not the
/// first error.
#[test]
fn an_unregistered_redirect_uri_is_shown_an_error_and_redirected_nowhere() {
    let world = World::new();
    let app = world.register(code_app());
    for uri in [
        "https://evil.test/cb",
        "https://app.example.com/cb/",
        "https://app.example.com/cb?evil=1",
        "https://app.example.com/cb#evil",
        "https://app.example.com/CB",
        "https://app.example.com/%63b",
        "https://app.example.com:443/cb",
        "https://app.example.com.evil.test/cb",
        "https://app.example.com@evil.test/cb",
        "https://evil.test/https://app.example.com/cb",
        "https://app.example.com\\@evil.test/cb",
        "http://app.example.com/cb",
        "//evil.test/cb",
        "/cb",
        "cb",
        "javascript:evil",
        "https://app.example.com/cb\r\nLocation: https://evil.test",
        "%",
    ] {
        for more in [
            &[("redirect_uri", uri)][..],
            &[("redirect_uri", uri), ("response_type", "evil")],
            &[("redirect_uri", uri), ("scope", "evil\"")],
            &[("redirect_uri", uri), ("code_challenge", "evil")],
            &[("redirect_uri", uri), ("prompt", "none"), ("state", STATE)],
        ] {
            assert_shown(&world, &query(&app, more), "invalid_request");
        }
    }
    assert_eq!(world.events()[0].outcome.setting(), Some("redirect_uris"));
}

/// A8, A9: without exactly one registered URI the error is shown.
#[test]
fn an_omitted_redirect_uri_needs_exactly_one_registered() {
    let world = World::new();
    let other = RedirectUri::parse("https://app.example.com/other").unwrap();
    let two = world.register(code_app().redirect_uri(other));
    assert_shown(&world, &without(&two, "redirect_uri"), "invalid_request");
    let none = world
        .register(AppDraft::confidential("Batch").flow(Flow::ClientCredentials).scope(scope("a")));
    assert_shown(&world, &query(&none, &[]), "invalid_request");
    assert_shown(&world, &without(&none, "redirect_uri"), "invalid_request");
    let template = RedirectUri::parse("https://%%HOST%%/cb").unwrap();
    let homeless = world.register(code_app().redirect_uris([template]));
    assert_shown(&world, &without(&homeless, "redirect_uri"), "invalid_request");
}

/// A1, A32: a disabled app is treated as an unknown one.
#[test]
fn a_disabled_app_is_shown_an_error() {
    let world = World::new();
    let app = world.register(code_app());
    block_on(world.server.admin("tester").disable(&app.id)).unwrap();
    assert_shown(&world, &query(&app, &[]), "invalid_client");
}

/// A26: a duplicate parameter is an error. It is shown if it decides the app or the redirect URI.
#[test]
fn a_duplicate_parameter_is_refused() {
    let world = World::new();
    let app = world.register(code_app());
    let valid = query(&app, &[("state", STATE), ("scope", "a")]);
    for (name, value) in [("client_id", app.id.as_str()), ("redirect_uri", CALLBACK)] {
        for second in [value, "evil", ""] {
            let extra = encode(&[(name, second)]);
            assert_shown(&world, &format!("{valid}&{extra}"), "invalid_request");
            assert_shown(&world, &format!("{extra}&{valid}"), "invalid_request");
        }
    }
    for name in [
        "response_type",
        "scope",
        "code_challenge",
        "code_challenge_method",
        "unknown",
        "s%63ope",
        "prompt",
        "max_age",
        "login_after",
        "response_mode",
    ] {
        let doubled = format!("{valid}&{name}=x&{name}=");
        assert_redirected(&world, &doubled, "invalid_request");
    }
    // With two states, neither can be returned.
    let error = refuse(&world, &format!("{valid}&state=evil"));
    let (to, parameters) = redirected(&error);
    assert_eq!((&*to, &*parameters["error"]), (CALLBACK, "invalid_request"));
    assert_eq!(parameters.get("state"), None);
}

/// A19, A20, A22, A23, A24, A31, A33: errors of a request by the app are redirected to the app,
/// with `state` and `iss`.
#[test]
fn an_error_of_the_app_is_redirected_to_it() {
    let world = World::new();
    let app = world.register(code_app());
    assert_redirected(&world, &without(&app, "response_type"), "invalid_request");
    for (name, value, code) in [
        ("response_type", "", "invalid_request"),
        ("response_type", "token", "unsupported_response_type"),
        ("response_type", "id_token", "unsupported_response_type"),
        ("response_type", "code token", "unsupported_response_type"),
        ("response_type", "Code", "unsupported_response_type"),
        ("response_type", "code ", "unsupported_response_type"),
        ("response_type", "none", "unsupported_response_type"),
        ("scope", "d", "invalid_scope"),
        ("scope", "a d", "invalid_scope"),
        ("scope", "A", "invalid_scope"),
        ("scope", "a\"b", "invalid_scope"),
        ("scope", "a\\b", "invalid_scope"),
        ("scope", "a\u{7}", "invalid_scope"),
        ("scope", "a,b", "invalid_scope"),
        ("scope", "é", "invalid_scope"),
        ("response_mode", "fragment", "invalid_request"),
        ("response_mode", "form_post", "invalid_request"),
        ("response_mode", "evil", "invalid_request"),
        ("request", "eyJhbGciOiJub25lIn0.e30.", "invalid_request"),
        ("request_uri", "https://evil.test/r", "invalid_request"),
        ("prompt", "create", "invalid_request"),
        ("prompt", "none login", "invalid_request"),
        ("prompt", "consent none", "invalid_request"),
        ("prompt", "Login", "invalid_request"),
        ("prompt", "login  consent", "invalid_request"),
        ("max_age", "-1", "invalid_request"),
        ("max_age", "1.5", "invalid_request"),
        ("max_age", "+1", "invalid_request"),
        ("max_age", "evil", "invalid_request"),
    ] {
        let query = query(&app, &[("state", STATE), (name, value)]);
        assert_redirected(&world, &query, code);
    }
    for good in [("response_mode", "query"), ("resource", ISSUER), ("scope", "b a"), ("scope", "")]
    {
        assert!(world.approve(&query(&app, &[good])).unwrap().contains_key("code"), "{good:?}");
    }
}

/// M3, M4: a resource that is not an absolute URI, has a fragment or is not the app's is redirected
/// as `invalid_target`. A resource of the app is accepted.
#[test]
fn a_resource_that_the_app_does_not_have_is_an_invalid_target() {
    let world = World::new();
    let api = Resource::new("https://api.example.com").unwrap();
    let app = world.register(code_app().resources([api.clone()]));
    let with = |resource: &str| query(&app, &[("state", STATE), ("resource", resource)]);
    for malformed in ["api", "/api", "//api.example.com", "https://api.example.com#f", "https://"] {
        assert_redirected(&world, &with(malformed), "invalid_target");
        world.assert_refused("parse", "malformed_resource", None);
    }
    for other in ["https://evil.test", "https://api.example.com//", "https://api.example.com/v1"] {
        assert_redirected(&world, &with(other), "invalid_target");
        world.assert_refused("scope", "resource_not_allowed", Some("resources"));
    }
    for good in [api.as_str(), ISSUER] {
        assert!(world.approve(&with(good)).unwrap().contains_key("code"), "{good}");
    }
}

/// A21: an app without the code flow gets `unauthorized_client`.
#[test]
fn an_app_without_the_code_flow_is_unauthorized() {
    let world = World::new();
    let app = world.register(code_app().refresh_token(false).flows([Flow::ClientCredentials]));
    assert_redirected(&world, &query(&app, &[("state", STATE)]), "unauthorized_client");
    assert_eq!(world.events()[0].outcome.setting(), Some("flows"));
}

/// A25: a name such as `scope[]` is another parameter, not an array.
#[test]
fn an_array_style_scope_is_another_parameter() {
    let world = World::new();
    let app = world.register(code_app());
    for name in ["scope[]", "scope[a]", "scope.a", "SCOPE"] {
        let text = query(&app, &[(name, "d"), ("scope", "a")]);
        let request =
            block_on(world.server.authorization_request(&text, Caller::default())).unwrap();
        assert_eq!(request.scope(), &scope("a"));
        // The prompt asks for that scope alone.
        let page = world.visit(&text, "ann");
        assert_eq!((page.status, page.body.rsplit('|').next()), (200, Some("a")), "{page:?}");
    }
}

/// A28: `state` comes back byte for byte, once, and adds no parameter: on success, error and
/// denial.
#[test]
fn state_comes_back_byte_for_byte() {
    let world = World::new();
    let app = world.register(code_app());
    for state in [
        "x",
        " leading and trailing ",
        "a+b%2B%20c",
        "x&code=evil&iss=https://evil.test&error=evil#fragment?",
        "{\"next\":\"/a\\b\",\"n\":[1,2]}",
        "line\r\nfeed\ttab",
        "Ünïcødé ☃ 😀",
        "=;,/?:@&=+$-_.!~*'()",
        "%%HOST%%",
        &"s".repeat(4_096),
        &"\"".repeat(2_048),
        &"\u{1}".repeat(600),
    ] {
        let ok = world.approve(&query(&app, &[("state", state)])).unwrap();
        assert_eq!(ok["state"], state);
        assert_eq!(ok.len(), 3, "{ok:?}");
        let wrong = query(&app, &[("state", state), ("scope", "d")]);
        let (_, refused) = redirected(&refuse(&world, &wrong));
        assert_eq!(refused["state"], state);
        assert_eq!(refused.len(), 4, "{refused:?}");
    }
    let absent = world.approve(&query(&app, &[("state", "")])).unwrap();
    assert_eq!(absent.get("state"), None);
}

/// A28: a `state` that no ticket can hold is refused at the request, not after the user's decision.
/// Every other `state` survives the decision, beside the longest values of all other parameters.
#[test]
fn a_state_is_refused_at_the_request_or_survives_the_decision() {
    let world = World::new();
    let tokens: Vec<_> = (0..32).map(|n| format!("{n:0>126}")).collect();
    let long = RedirectUri::parse(&format!("https://h.example/{:a>1982}", "")).unwrap();
    let lengths = [229, 229, 229, 229];
    let apis = lengths.iter().enumerate().map(|(n, length)| {
        Resource::new(format!("https://api{n}.example.com/{:a>length$}", "")).unwrap()
    });
    let apis: Vec<_> = apis.collect();
    assert!((1_000..=1_024).contains(&apis.iter().map(|it| it.as_str().len() + 1).sum::<usize>()));
    let draft = code_app().scope(scope(&tokens.join(" "))).resources(apis.clone());
    let app = world.register(draft.redirect_uris([long.clone()]));
    let mut survived = 0;
    for unit in ["s", "\"", "\\", "\u{1}", "\n", "\u{7f}", "é", "😀"] {
        for bytes in [680, 1_000, 1_365, 2_000, 2_048, 4_000, 4_096, 4_100, 8_000] {
            let state = unit.repeat(bytes / unit.len());
            let mut more = vec![("state", &*state), ("redirect_uri", long.as_str())];
            more.extend(apis.iter().map(|api| ("resource", api.as_str())));
            match world.approve(&query(&app, &more)) {
                Ok(parameters) => {
                    assert_eq!(parameters["state"], state);
                    survived += 1;
                }
                Err(error) => {
                    let (_, parameters) = redirected(&error);
                    assert_eq!(parameters["error"], "invalid_request");
                    assert_eq!(parameters.get("state"), None);
                    assert!(state.len() > 680, "{bytes} of {unit:?}");
                }
            }
        }
    }
    assert!(survived > 30, "{survived}");
}

/// A31: `iss` is the issuer, on success and on error.
#[test]
fn every_response_names_the_issuer() {
    let world = World::new();
    let app = world.register(code_app());
    let ok = world.approve(&query(&app, &[])).unwrap();
    assert_eq!(ok["iss"], world.server.issuer().as_str());
    let (_, refused) = redirected(&refuse(&world, &query(&app, &[("scope", "d")])));
    assert_eq!(refused["iss"], world.server.issuer().as_str());
}

/// A26, T14: a malformed or oversized query is shown an error.
#[test]
fn a_malformed_query_is_shown_an_error() {
    let world = World::new();
    let app = world.register(code_app());
    let valid = query(&app, &[]);
    let many = "&p=1".repeat(70);
    let large = format!("&x={}", "a".repeat(70_000));
    for more in ["&x=%", "&x=%zz", "&x=%ff", "&x=%00", &many, &large] {
        assert_shown(&world, &format!("{valid}{more}"), "invalid_request");
    }
}

/// A store failure is a server error. It is shown, and only the audit log has the app and the
/// cause.
#[test]
fn a_store_failure_is_shown_without_its_cause() {
    let world = World::new();
    let app = world.register(code_app());
    let server = faulty_server(&world);
    server.store().fail_before(Method::FindApp, 1);
    let text = query(&app, &[("state", STATE)]);
    let error = block_on(server.authorization_request(&text, Caller::default())).unwrap_err();
    assert_eq!(shown(&error), "server_error");
    assert!(!error.to_string().contains(PLANTED));
    let event = &world.events()[0];
    assert!(event.outcome.reason().unwrap().contains(PLANTED));
    assert_eq!(event.client_id.as_ref(), Some(&app.id));
    assert!(block_on(server.authorization_request(&text, Caller::default())).is_ok());
}

proptest! {
    /// A32: no query redirects to an unregistered URI, and none panics.
    #[test]
    fn no_query_redirects_to_an_unregistered_uri(
        edits in prop::collection::vec((0_usize..400, prop::option::of("[ -~]|%0[0-9a]|&[a-z_]{1,13}=")), 1..6)
    ) {
        thread_local! {
            static WORLD: (World, App) = {
                let world = World::new();
                let app = world.register(code_app());
                (world, app)
            };
        }
        WORLD.with(|(world, app)| {
            let mut text = query(app, &[("state", STATE), ("scope", "a b")]);
            for (at, edit) in &edits {
                let at = at % text.len();
                match edit {
                    Some(insert) => text.insert_str(at, insert),
                    None => { text.remove(at); }
                }
            }
            match block_on(world.server.authorization_request(&text, Caller::default())) {
                Ok(request) => prop_assert_eq!(request.redirect_uri().as_str(), CALLBACK),
                Err(error) => if let Some(location) = error.location() {
                    let start = format!("{CALLBACK}?error=");
                    prop_assert!(location.starts_with(&start), "{text} {location}");
                    prop_assert_eq!(&parameters(location)["iss"], ISSUER);
                }
            }
            Ok(())
        })?;
    }
}
