//! The token endpoint in general: checks of a request of any grant.

use proptest::prelude::*;
use serde_json::Value;

use crate::faulty_store::{Method, PLANTED, faulty_server, post};
use crate::support::{App, CALLBACK, World, code_app, encode, machine_app};

fn machine(world: &World) -> (App, String) {
    let app = world.register(machine_app());
    let form = encode(&[
        ("grant_type", "client_credentials"),
        ("client_id", app.id.as_str()),
        ("client_secret", app.secret.as_deref().unwrap()),
    ]);
    (app, form)
}

/// T2, T3, T4: a malformed form, an empty one and one without `grant_type` are invalid requests.
#[test]
fn a_malformed_form_or_a_missing_grant_type_is_an_invalid_request() {
    let world = World::unlimited();
    let (_, form) = machine(&world);
    let without = form.replacen("grant_type", "grant-type", 1);
    let json = r#"{"grant_type":"client_credentials"}"#;
    let multipart = "--x\r\nContent-Disposition: form-data; name=\"grant_type\"\r\n\r\nrefresh";
    for body in [
        "",
        "&&&",
        "=",
        "grant_type",
        "grant_type=",
        "Grant_Type=client_credentials",
        json,
        multipart,
        &without,
        &format!("{form}&x=%"),
        &format!("{form}&x=%zz"),
        &format!("{form}&x=%ff"),
        &format!("{form}&x=%00"),
        &format!("{form}&x=\0"),
    ] {
        world.post_form(None, body).assert_error(400, "invalid_request");
    }
    assert_eq!(world.post_form(None, &form).status, 200);
}

/// T5: an unknown grant type, in any spelling.
#[test]
fn an_unknown_grant_type_is_unsupported() {
    let world = World::unlimited();
    let (app, _) = machine(&world);
    for grant_type in [
        "password",
        "implicit",
        "Client_Credentials",
        "client_credentials ",
        "urn:ietf:params:oauth:grant-type:token-exchange",
        "urn:ietf:params:oauth:grant-type:saml2-bearer",
    ] {
        let answer = world.post(&app, &[("grant_type", grant_type)]);
        answer.assert_error(400, "unsupported_grant_type");
        world.assert_refused("parse", "unsupported_grant_type", None);
    }
}

/// T6, R5, J23: an app without the flow is unauthorized for every grant.
#[test]
fn an_app_without_the_flow_is_unauthorized() {
    let world = World::unlimited();
    let (machine, _) = machine(&world);
    let code_only = world.register(code_app().refresh_token(false));
    let verifier = "v".repeat(43);
    let code = [
        ("grant_type", "authorization_code"),
        ("code", "gac_x"),
        ("redirect_uri", CALLBACK),
        ("code_verifier", verifier.as_str()),
    ];
    let bearer =
        [("grant_type", "urn:ietf:params:oauth:grant-type:jwt-bearer"), ("assertion", "not.a.jwt")];
    let refresh = [("grant_type", "refresh_token"), ("refresh_token", "grt_x")];
    let own = [("grant_type", "client_credentials")];
    for (app, form, reason, setting) in [
        (&machine, &code[..], "flow_not_allowed", "flows"),
        (&machine, &bearer[..], "flow_not_allowed", "flows"),
        (&machine, &refresh[..], "refresh_not_allowed", "refresh_token"),
        (&code_only, &own[..], "flow_not_allowed", "flows"),
        (&code_only, &refresh[..], "refresh_not_allowed", "refresh_token"),
    ] {
        world.post(app, form).assert_error(400, "unauthorized_client");
        world.assert_refused("grant", reason, Some(setting));
    }
}

/// T7: a duplicate parameter is refused, known or not, equal or not, and nothing is consumed.
#[test]
fn no_parameter_may_appear_twice() {
    let world = World::unlimited();
    let app = world.register(code_app());
    let (code, verifier) = world.code(&app);
    let form = encode(&[
        ("grant_type", "authorization_code"),
        ("client_id", app.id.as_str()),
        ("client_secret", app.secret.as_deref().unwrap()),
        ("code", &code),
        ("redirect_uri", CALLBACK),
        ("code_verifier", &verifier),
        ("scope", "a"),
        ("vendor", "x"),
    ]);
    for pair in form.split('&') {
        let (name, _) = pair.split_once('=').unwrap();
        let escaped = format!("%{:02x}{}=other", name.as_bytes()[0], &name[1..]);
        for second in [pair.to_owned(), format!("{name}=other"), format!("{name}="), escaped] {
            for body in [format!("{form}&{second}"), format!("{second}&{form}")] {
                let answer = world.post_form(None, &body);
                answer.assert_error(400, "invalid_request");
                world.assert_refused("parse", "duplicate_parameter", None);
                assert!(!answer.text("error_description").contains("vendor"));
            }
        }
    }
    assert_eq!(world.post_form(None, &form).status, 200);
}

/// T9: an empty value counts as absent.
#[test]
fn an_empty_parameter_is_absent() {
    let world = World::unlimited();
    let (app, form) = machine(&world);
    let answer = world.post_form(
        None,
        &format!("{form}&scope=&resource=&client_assertion=&client_assertion_type=&code"),
    );
    assert_eq!(answer.status, 200, "{answer:?}");
    assert_eq!(answer.text("scope"), "a b c");
    world
        .post(&app, &[("grant_type", "refresh_token"), ("refresh_token", "")])
        .assert_error(400, "invalid_request");
}

/// T11: a malformed scope.
#[test]
fn a_malformed_scope_is_an_invalid_scope() {
    let world = World::unlimited();
    let (app, _) = machine(&world);
    for scope in ["a\"", "a\\", "a\n", "a\tb", "\u{e9}", "a  \u{7f}"] {
        let answer = world.post(&app, &[("grant_type", "client_credentials"), ("scope", scope)]);
        answer.assert_error(400, "invalid_scope");
        world.assert_refused("scope", "malformed_scope", None);
    }
}

/// T12: the form, duplicates, the grant type, the parameters of the grant, the authentication
/// method, and then the credentials.
#[test]
fn the_order_of_refusals_is_fixed() {
    let world = World::unlimited();
    let order = [
        ("x=%&grant_type=nope&client_id=unknown", "invalid_request"),
        ("grant_type=nope&client_id=unknown&client_secret=x&a=1&a=2", "invalid_request"),
        ("grant_type=nope&client_id=unknown&client_secret=x", "unsupported_grant_type"),
        ("grant_type=refresh_token&client_id=unknown&client_secret=x", "invalid_request"),
        ("grant_type=client_credentials&a=1&a=2&client_id=unknown", "invalid_request"),
        ("grant_type=client_credentials&resource=x&client_id=unknown", "invalid_target"),
        ("grant_type=client_credentials&client_id=unknown&client_assertion=x", "invalid_request"),
    ];
    for (body, error) in order {
        world.post_form(None, body).assert_error(400, error);
    }
    let unknown = "grant_type=client_credentials&client_id=unknown&scope=%22";
    world.post_form(None, unknown).assert_error(401, "invalid_client");
    let (app, _) = machine(&world);
    let refresh = [("grant_type", "refresh_token"), ("refresh_token", "x"), ("scope", "\"")];
    world.post(&app, &refresh).assert_error(400, "unauthorized_client");
}

/// T13: a store failure is a server error; its cause is in the audit log, not in the response.
#[test]
fn a_store_failure_is_a_server_error_without_its_cause() {
    let world = World::unlimited();
    let (app, _) = machine(&world);
    let server = faulty_server(&world);
    server.store().fail_before(Method::FindApp, 1);
    let answer = post(&server, &app, &[("grant_type", "client_credentials")]);
    answer.assert_error(500, "server_error");
    assert!(!answer.json.to_string().contains(PLANTED));
    let event = &world.events()[0];
    assert_eq!(event.outcome.as_str(), "failed");
    assert_eq!(event.outcome.step().unwrap().as_str(), "client");
    assert!(event.outcome.reason().unwrap().contains(PLANTED));
    assert_eq!(post(&server, &app, &[("grant_type", "client_credentials")]).status, 200);
}

/// T13: a failing source of randomness is a server error, and is audited.
#[test]
fn a_failing_source_of_randomness_is_a_server_error() {
    use grantor::random::{RandomError, SecureRandom};

    #[derive(Debug)]
    struct NoRandom;
    impl SecureRandom for NoRandom {
        fn fill(&self, _: &mut [u8]) -> Result<(), RandomError> {
            Err(RandomError)
        }
    }
    let world = World::with(|builder| builder.random(NoRandom));
    let answer = world.post_form(None, "grant_type=client_credentials&client_id=x");
    answer.assert_error(500, "server_error");
    let events = world.events();
    assert_eq!(events.len(), 1);
    assert_eq!(events[0].outcome.as_str(), "failed");
}

/// T14: size, number and length of parameters are bounded.
#[test]
fn too_large_too_many_or_too_long_parameters_are_refused() {
    let world = World::unlimited();
    let (_, form) = machine(&world);
    let padded = |length: usize| format!("{form}{}", "&".repeat(length - form.len()));
    assert_eq!(world.post_form(None, &padded(64 * 1024)).status, 200);
    world.post_form(None, &padded(64 * 1024 + 1)).assert_error(413, "invalid_request");
    world.assert_refused("parse", "form_too_large", None);
    let with = |count: usize| {
        let more: Vec<String> = (3..count).map(|n| format!("&p{n}=x")).collect();
        world.post_form(None, &format!("{form}{}", more.concat()))
    };
    assert_eq!(with(64).status, 200);
    with(65).assert_error(400, "invalid_request");
    let long = format!("{form}&x={}", "y".repeat(16 * 1024 + 1));
    world.post_form(None, &long).assert_error(400, "invalid_request");
}

/// A token costs the store one look-up of the app, and one read and one write of the grant; client
/// credentials cost the look-up alone. A malformed token costs no read of a grant.
#[test]
fn a_token_costs_one_read_and_one_write() {
    let world = World::unlimited();
    let (machine, _) = machine(&world);
    let app = world.register(code_app());
    let other = world.tokens(&world.register(code_app()));
    let server = faulty_server(&world);
    let calls = || server.store().take_calls();
    let (code, verifier) = world.code(&app);
    post(&server, &machine, &[("grant_type", "client_credentials")]);
    assert_eq!(calls(), [Method::FindApp]);

    let redeem = |code: &str| {
        let form = [
            ("grant_type", "authorization_code"),
            ("code", code),
            ("redirect_uri", CALLBACK),
            ("code_verifier", &verifier),
        ];
        post(&server, &app, &form)
    };
    let refresh = |token: &str| {
        post(&server, &app, &[("grant_type", "refresh_token"), ("refresh_token", token)])
    };
    let tokens = redeem(&code);
    assert_eq!(calls(), [Method::FindApp, Method::FindGrant, Method::RedeemCode]);
    let token = tokens.text("refresh_token");
    assert_eq!(refresh(token).status, 200);
    assert_eq!(calls(), [Method::FindApp, Method::FindGrant, Method::Rotate]);

    let spoilt = format!("{}A", &token[..token.len() - 1]);
    let longer = format!("{token}A");
    let as_code = token.replacen("grt_", "gac_", 1);
    let stranger = other.text("refresh_token");
    for garbage in ["x", "grt_", "grt_AAAA", &spoilt, &longer, &code, stranger, &"g".repeat(9000)] {
        if garbage != token {
            refresh(garbage).assert_error(400, "invalid_grant");
            assert_eq!(calls(), [Method::FindApp], "{garbage}");
        }
    }
    for garbage in ["x", "gac_", "gac_AAAA", token, &as_code, &code[..code.len() - 2]] {
        redeem(garbage).assert_error(400, "invalid_grant");
        assert_eq!(calls(), [Method::FindApp], "{garbage}");
    }
}

/// Every request has one audit event, and no event shows a secret, a token or a code.
#[test]
fn every_request_has_one_event_that_shows_no_secret() {
    let world = World::unlimited();
    let app = world.register(code_app());
    let (code, verifier) = world.code(&app);
    let before = world.events().len();
    let tokens = world.redeem(&app, &code, &verifier);
    let token = tokens.text("refresh_token");
    let next = world.refresh(&app, token);
    let requests = [
        world.refresh(&app, token), // a retry, which is noted
        world.refresh(&app, "grt_planted-garbage"),
        world.redeem(&app, "gac_planted-code", "planted-verifier"),
        world.redeem(&app, &code, &verifier),
        world.post(
            &App { secret: Some("planted-secret".to_owned()), ..app.clone() },
            &[("grant_type", "client_credentials")],
        ),
        world.post_form(Some("Basic planted-header"), "grant_type=client_credentials"),
        world.post_form(None, "planted-name=1&planted-name=2&grant_type=client_credentials"),
        world.post_form(None, "grant_type=planted-type"),
    ];
    let events = world.events();
    assert_eq!(events.len() - before, 2 + requests.len() + 1);
    let json = serde_json::to_string(&events).unwrap();
    let shown = format!("{events:?}");
    for secret in [
        "planted",
        &code,
        &verifier,
        token,
        next.text("refresh_token"),
        tokens.text("access_token"),
        tokens.text("access_token").rsplit('.').next().unwrap(),
        app.secret.as_deref().unwrap(),
        app.signature_secret.as_deref().unwrap(),
    ] {
        assert!(!json.contains(secret) && !shown.contains(secret), "{secret}");
    }
    let retried = &events.iter().find(|event| event.action.as_str() == "retry_refresh").unwrap();
    assert_eq!(retried.source, Some(world.source.clone()));
    assert_eq!(retried.subject.as_ref().unwrap().as_str(), "ann");
    for event in events.iter().filter(|event| event.action.as_str() == "issue_token") {
        assert_eq!(event.source, Some(world.source.clone()));
    }
    let success = events.iter().rfind(|event| event.action.as_str() == "issue_token").unwrap();
    assert_eq!(success.outcome.as_str(), "success");
    assert_eq!(success.client_id, Some(app.id.clone()));
    assert_eq!(
        success.grant_id.unwrap().to_string(),
        tokens.claims()["grant_id"].as_str().unwrap()
    );
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// T2: no body panics or gets anything but an error code of RFC 6749.
    #[test]
    fn arbitrary_forms_are_answered_with_an_error(
        header in prop::option::of("[ -~]{0,40}|Basic [A-Za-z0-9+/=]{0,40}"),
        at in prop::collection::vec((0_usize..200, any::<u8>()), 1..6),
    ) {
        let world = World::unlimited();
        let (app, form) = machine(&world);
        let mut bytes = form.replacen(app.secret.as_deref().unwrap(), "guess", 1).into_bytes();
        let length = bytes.len();
        for (position, byte) in at {
            bytes[position % length] = byte;
        }
        let mut request = grantor::endpoint::FormRequest::new(&bytes);
        if let Some(header) = &header {
            request = request.authorization(header);
        }
        let error = pollster::block_on(world.server.token(&request)).unwrap_err();
        prop_assert!([400, 401].contains(&error.status()));
        let body: Value = serde_json::from_str(&error.to_json()).unwrap();
        let code = body["error"].as_str().unwrap();
        let known = ["invalid_request", "invalid_client", "unsupported_grant_type"];
        prop_assert!(known.contains(&code), "{code}");
    }
}
