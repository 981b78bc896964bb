//! The APIs that tokens are for: RFC 8707.

use std::sync::Arc;

use grantor::app::Flow;
use grantor::ids::{ClientId, Resource};
use grantor::jwt::VerifyingKeys;
use grantor::resource_server::{BearerVerifier, ResourceServer};
use serde_json::json;

use crate::support::{
    Answer, App, CALLBACK, ISSUER, World, code_app, code_query, encode, machine_app, new_verifier,
    parameters,
};

const API: &str = "https://api.example.org";
const FILES: &str = "https://files.example.org/v1";

fn resource(text: &str) -> Resource {
    Resource::new(text).unwrap()
}

/// A code for these APIs and its verifier, or the error of the redirect.
fn code(world: &World, app: &App, resources: &[&str]) -> Result<(String, String), String> {
    let verifier = new_verifier();
    let mut query = code_query(app, &verifier, &[]);
    for name in resources {
        query += "&";
        query += &encode(&[("resource", name)]);
    }
    match world.approve(&query) {
        Ok(mut answer) => Ok((answer.remove("code").unwrap(), verifier.expose_secret().to_owned())),
        Err(error) => Err(parameters(error.location().unwrap())["error"].clone()),
    }
}

fn redeem(world: &World, app: &App, granted: &[&str], asked: &[&str]) -> Answer {
    let (code, verifier) = code(world, app, granted).unwrap();
    let mut form = vec![
        ("grant_type", "authorization_code"),
        ("code", &code),
        ("redirect_uri", CALLBACK),
        ("code_verifier", &verifier),
    ];
    form.extend(asked.iter().map(|name| ("resource", *name)));
    world.post(app, &form)
}

fn refresh(world: &World, app: &App, tokens: &Answer, asked: &[&str]) -> Answer {
    let token = tokens.text("refresh_token");
    let mut form = vec![("grant_type", "refresh_token"), ("refresh_token", token)];
    form.extend(asked.iter().map(|name| ("resource", *name)));
    world.post(app, &form)
}

/// Z6, M8, M9, M10: spellings of scheme, host, default port and empty path name one API, in the
/// authorization request, the token request and at a refresh. The token names the registered one.
#[test]
fn equivalent_spellings_name_one_api_and_the_token_the_registered_one() {
    let world = World::unlimited();
    let app = world.register(code_app().resources([resource(API), resource(FILES)]));
    let machine = world.register(machine_app().resources([resource(API)]));
    let spellings = [
        API,
        "https://api.example.org/",
        "HTTPS://API.example.ORG",
        "https://api.example.org:443",
        "https://Api.Example.Org:443/",
    ];
    for one in spellings {
        let own = world.post(&machine, &[("grant_type", "client_credentials"), ("resource", one)]);
        assert_eq!(own.claims()["aud"], API, "{one}");
        for other in spellings {
            let tokens = redeem(&world, &app, &[one], &[other]);
            assert_eq!(tokens.claims()["aud"], API, "{one} {other}");
            assert_eq!(refresh(&world, &app, &tokens, &[one]).claims()["aud"], API);
        }
    }
    for other in [
        "https://api.example.org/v1",
        "https://api.example.org//",
        "https://api.example.org/?x",
        "https://api.example.org:8443",
        "http://api.example.org",
        "https://files.example.org/v1/",
        "https://files.example.org/V1",
        "https://files.example.org",
    ] {
        assert_eq!(code(&world, &app, &[other]).unwrap_err(), "invalid_target", "{other}");
        let form = [("grant_type", "client_credentials"), ("resource", other)];
        world.post(&machine, &form).assert_error(400, "invalid_target");
    }
    // The server itself, by another spelling of its issuer.
    let tokens = redeem(&world, &app, &["https://AS.example.com:443/"], &[ISSUER]);
    assert_eq!(tokens.claims()["aud"], ISSUER);
}

/// Z6: the name by which an API knows itself wins over the app's spelling. The API, introspection and
/// the metadata take each as its own.
#[test]
fn an_api_gets_its_own_spelling() {
    let world = World::with(|builder| {
        let api = ResourceServer::new(resource(API), ClientId::new("gateway").unwrap());
        builder.resource_server(api)
    });
    let gateway = world.import("gateway", machine_app());
    let draft = machine_app().resources([resource("https://api.example.org:443/")]);
    let app = world.register(draft.default_resource(Some(resource("https://API.example.org"))));
    for form in [
        &[("grant_type", "client_credentials")][..],
        &[("grant_type", "client_credentials"), ("resource", "https://api.example.org/")],
    ] {
        let answer = world.post(&app, form);
        assert_eq!(answer.claims()["aud"], API);
        let token = answer.text("access_token");
        assert_eq!(world.introspect(&gateway, token).json["active"], json!(true));
        for (own, accepted) in [
            (API, true),
            ("https://api.example.org/", true),
            ("https://API.example.org:443", true),
            ("https://api.example.org/v1", false),
        ] {
            let keys = VerifyingKeys::from_jwk_set(&world.server.jwk_set()).unwrap();
            let verifier = BearerVerifier::new(world.server.issuer().clone(), keys)
                .with_clock(Arc::clone(&world.clock))
                .with_resource(resource(own));
            let header = format!("Bearer {token}");
            assert_eq!(verifier.check(Some(&*header)).is_ok(), accepted, "{own}");
        }
    }
}

/// Z24: an authorization request may name several APIs, and a token request one of them (RFC 8707
/// section 2.2).
#[test]
fn a_token_is_for_one_of_several_granted_apis() {
    let world = World::unlimited();
    let (third, draft) = ("https://third.example.org", code_app());
    let app = world.register(draft.resources([API, FILES, third].map(resource)));
    let granted = ["https://API.example.org/", FILES, API];
    let tokens = redeem(&world, &app, &granted, &[]);
    assert_eq!(tokens.claims()["aud"], API);
    for (asked, audience) in [(FILES, FILES), (API, API), ("https://api.example.org:443/", API)] {
        assert_eq!(redeem(&world, &app, &granted, &[asked]).claims()["aud"], audience);
    }
    let mut tokens = redeem(&world, &app, &granted, &[FILES]);
    for audience in [API, FILES, API] {
        tokens = refresh(&world, &app, &tokens, &[audience]);
        assert_eq!(tokens.claims()["aud"], audience);
    }
    // A token is for one API, however often and however spelled it is named.
    tokens = refresh(&world, &app, &tokens, &[API, "https://api.example.org/", API]);
    assert_eq!(tokens.claims()["aud"], API);
    let several = refresh(&world, &app, &tokens, &[API, FILES]);
    several.assert_error(400, "invalid_target");
    assert!(several.text("error_description").contains("one resource"));
    let ungranted = refresh(&world, &app, &tokens, &[third]);
    ungranted.assert_error(400, "invalid_target");
    world.assert_refused("scope", "resource_not_granted", None);
    // A refusal burns nothing.
    world.edit(&app, |draft| draft.resources([resource(API)]));
    refresh(&world, &app, &tokens, &[FILES]).assert_error(400, "invalid_target");
    world.assert_refused("scope", "resource_not_allowed", Some("resources"));
    assert_eq!(refresh(&world, &app, &tokens, &[API]).status, 200);
    assert_eq!(code(&world, &app, &[API, FILES]).unwrap_err(), "invalid_target");
    assert_eq!(code(&world, &app, &[API, "x"]).unwrap_err(), "invalid_target");
}

/// Z6: equivalent spellings of the issuer name the server's own API.
#[test]
fn equivalent_spellings_of_the_issuer_name_the_server_itself() {
    let world = World::unlimited();
    let app = world.register(machine_app());
    let ask = |spelling: &str| {
        world.post(&app, &[("grant_type", "client_credentials"), ("resource", spelling)])
    };
    let host = ISSUER.strip_prefix("https://").unwrap();
    for spelling in [
        ISSUER.to_owned(),
        format!("HTTPS://{}", host.to_uppercase()),
        format!("{ISSUER}/"),
        format!("{ISSUER}:443"),
    ] {
        assert_eq!(ask(&spelling).claims()["aud"], ISSUER, "{spelling}");
    }
    for other in [format!("{ISSUER}:444"), format!("{ISSUER}/x"), format!("{ISSUER}//")] {
        ask(&other).assert_error(400, "invalid_target");
    }
}

/// Z20: an API that only the token request names was not granted, and the text says so.
#[test]
fn an_api_that_only_the_token_request_names_was_not_granted() {
    let world = World::unlimited();
    let app = world.register(code_app().resources([resource(API)]));
    let refused = redeem(&world, &app, &[], &[API]);
    refused.assert_error(400, "invalid_target");
    let text = refused.text("error_description");
    assert_eq!(text, "resource was not in the authorization request: name it there");
}

/// The text of all APIs of a request has at most 1,024 bytes.
#[test]
fn the_apis_of_a_request_are_bounded() {
    let world = World::unlimited();
    let name = |n: usize, bytes: usize| {
        let start = format!("https://api{n}.example.org/");
        format!("{start}{}", "a".repeat(bytes - start.len()))
    };
    let most: Vec<_> = [(0, 255), (1, 255), (2, 255), (3, 255)].map(|(n, b)| name(n, b)).into();
    let mut beyond = most.clone();
    beyond[0].pop();
    beyond[1].truncate(200);
    beyond.push(name(4, 56));
    let all = most.iter().chain(&beyond).map(|it| resource(it));
    let app = world.register(code_app().flow(Flow::ClientCredentials).resources(all));
    for (names, bytes) in [(&most, 1_023), (&beyond, 1_024)] {
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        assert_eq!(names.join(" ").len(), bytes);
        assert!(code(&world, &app, &names).is_ok(), "{bytes}");
    }
    let one_more = name(5, 57);
    world.edit(&app, |draft| {
        draft.resources(beyond.iter().chain([&one_more]).map(|it| resource(it)))
    });
    *beyond.last_mut().unwrap() = one_more;
    let names: Vec<&str> = beyond.iter().map(String::as_str).collect();
    assert_eq!(names.join(" ").len(), 1_025);
    assert_eq!(code(&world, &app, &names).unwrap_err(), "invalid_target");
    world.assert_refused("parse", "resources_too_long", None);
}
