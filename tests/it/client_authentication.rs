//! Authentication of an app by a secret, and public apps. Assertions have a file of their own.

use std::time::Duration;

use grantor::admin::ImportedApp;
use grantor::app::{ClientAuthentication, Flow};
use grantor::clock::UnixTime;
use grantor::endpoint::FormRequest;
use grantor::ids::ClientId;
use grantor::jwt::{Algorithm, SigningKey};
use grantor::secret::ClientSecret;
use grantor::server_secret::ServerSecret;
use pollster::block_on;

use crate::faulty_store::{Method, faulty_server};
use crate::support::{
    Answer, App, ROOT, START, Server, World, basic, code_app, encode, machine_app, public_app,
};

const BARE: &str = "grant_type=client_credentials";

fn secret(app: &App) -> &str {
    app.secret.as_deref().unwrap()
}

fn by_basic(world: &World, id: &str, secret: &str) -> Answer {
    world.post_form(Some(&basic(id, secret)), BARE)
}

fn by_post(world: &World, id: &str, secret: &str) -> Answer {
    let form = [("grant_type", "client_credentials"), ("client_id", id), ("client_secret", secret)];
    world.post_form(None, &encode(&form))
}

/// C1, C2, C4, C13, C33: every failure has the same response and the same number of store calls.
/// Only the audit log states the cause.
#[test]
fn failed_authentication_reveals_nothing() {
    let world = World::unlimited();
    let app = world.register(machine_app());
    let disabled = world.register(machine_app());
    block_on(world.server.admin("tester").disable(&disabled.id)).unwrap();
    let keyed = world.register(machine_app().authentication(ClientAuthentication::PrivateKeyJwt(
        SigningKey::generate(Algorithm::EdDSA).unwrap().verifying_key().into(),
    )));
    let public = world.register(public_app());
    let rotated = world.register(machine_app());
    let old = secret(&rotated).to_owned();
    block_on(world.server.admin("tester").rotate_client_secret(&rotated.id, Duration::ZERO))
        .unwrap();
    let server = faulty_server(&world);
    let right = secret(&app);
    let cut = &right[..right.len() - 1];
    let cases = [
        ("unknown", right, "unknown_client", None),
        (app.id.as_str(), "wrong", "wrong_secret", Some("client_secrets")),
        (app.id.as_str(), cut, "wrong_secret", Some("client_secrets")),
        (app.id.as_str(), &right.to_lowercase(), "wrong_secret", Some("client_secrets")),
        (
            app.id.as_str(),
            app.signature_secret.as_deref().unwrap(),
            "wrong_secret",
            Some("client_secrets"),
        ),
        (app.id.as_str(), secret(&disabled), "wrong_secret", Some("client_secrets")),
        (rotated.id.as_str(), &old, "wrong_secret", Some("client_secrets")),
        (disabled.id.as_str(), secret(&disabled), "app_disabled", Some("enabled")),
        (keyed.id.as_str(), right, "wrong_authentication_method", Some("authentication")),
        (public.id.as_str(), right, "wrong_authentication_method", Some("authentication")),
    ];
    let mut bodies = Vec::new();
    for (id, secret, reason, setting) in cases {
        for (header, form) in [
            (Some(basic(id, secret)), BARE.to_owned()),
            (None, encode(&[("client_id", id), ("client_secret", secret)]) + "&" + BARE),
        ] {
            let mut request = FormRequest::new(&form).source(&world.source);
            if let Some(header) = &header {
                request = request.authorization(header);
            }
            let answer = Answer::from(block_on(server.token(&request)));
            answer.assert_error(401, "invalid_client");
            world.assert_refused("client", reason, setting);
            assert_eq!(world.events()[0].actor.kind(), "unknown");
            assert_eq!(server.store().take_calls(), [Method::FindApp]);
            bodies.push(answer.json);
        }
    }
    let empty = by_basic(&world, app.id.as_str(), "");
    empty.assert_error(401, "invalid_client");
    let absent = by_post(&world, app.id.as_str(), "");
    absent.assert_error(401, "invalid_client");
    let nameless = world.post_form(None, BARE);
    nameless.assert_error(401, "invalid_client");
    bodies.extend([empty.json, absent.json, nameless.json]);
    assert!(bodies.iter().all(|body| *body == bodies[0]), "{bodies:?}");
}

/// C5: with an unreadable `Authorization` header, client authentication fails.
#[test]
fn an_unreadable_authorization_header_is_refused() {
    let world = World::unlimited();
    let app = world.register(machine_app());
    let right = basic(app.id.as_str(), secret(&app));
    let cut = &right[..right.len() - 3];
    for header in [
        "",
        " ",
        "Basic",
        "Basic ",
        "Basic !!!!",
        "Basic Og==",
        "Basic bm9jb2xvbg==",
        "Basic //79",
        "Bearer abc",
        "Basic\u{a0}YTpi",
        cut,
        &format!("{right} {right}"),
        &right.replacen("Basic ", "Basic:", 1),
    ] {
        world.post_form(Some(header), BARE).assert_error(401, "invalid_client");
    }
    assert_eq!(world.post_form(Some(&right), BARE).status, 200);
}

/// C6: client id and secret in the header are form-decoded, so that every character is possible.
#[test]
fn special_characters_survive_the_basic_header() {
    let world = World::unlimited();
    let id = ClientId::new("urn:app%41+&=/?~").unwrap();
    let text = "p%s+w:ö \"&=%41~";
    let app = ImportedApp::new(id.clone(), machine_app().build().unwrap())
        .with_client_secret(ClientSecret::new(text), None);
    block_on(world.server.admin("tester").import(app)).unwrap();
    assert_eq!(by_basic(&world, id.as_str(), text).status, 200);
    assert_eq!(by_post(&world, id.as_str(), text).status, 200);
    for near in ["p%s w:ö \"&=%41~", "p%s+w:ö \"&=A~", "p%s+w:o\u{308} \"&=%41~"] {
        by_basic(&world, id.as_str(), near).assert_error(401, "invalid_client");
    }
    let raw = |plain: &str| {
        use base64::Engine as _;
        format!("Basic {}", base64::engine::general_purpose::STANDARD.encode(plain))
    };
    for undecodable in ["app:%", "app:%4", "%zz:x", "app:%ff", "app:a%00b"] {
        world.post_form(Some(&raw(undecodable)), BARE).assert_error(401, "invalid_client");
    }
}

/// C7, C8: the scheme is case-insensitive, and the body may repeat the client id.
#[test]
fn the_scheme_is_case_insensitive_and_the_body_may_repeat_the_client_id() {
    let world = World::unlimited();
    let app = world.register(machine_app());
    let right = basic(app.id.as_str(), secret(&app));
    let repeated = format!("{BARE}&{}", encode(&[("client_id", app.id.as_str())]));
    for scheme in ["Basic ", "bAsIc ", "BASIC  "] {
        let header = right.replacen("Basic ", scheme, 1);
        assert_eq!(world.post_form(Some(&header), BARE).status, 200, "{scheme}");
        assert_eq!(world.post_form(Some(&header), &repeated).status, 200, "{scheme}");
    }
}

/// C9, C10: two client ids or two kinds of credentials in one request are refused, even if both are
/// right.
#[test]
fn a_request_with_two_authentication_methods_is_refused() {
    let world = World::unlimited();
    let app = world.register(machine_app());
    let header = basic(app.id.as_str(), secret(&app));
    let body = encode(&[("client_id", app.id.as_str()), ("client_secret", secret(&app))]);
    let jwt = "client_assertion_type=urn:ietf:params:oauth:client-assertion-type:jwt-bearer\
               &client_assertion=a.b.c";
    for (authorization, more, reason) in [
        (Some(&header), "client_id=other", "client_id_mismatch"),
        (Some(&header), body.as_str(), "two_authentication_methods"),
        (Some(&header), jwt, "two_authentication_methods"),
        (None, &format!("{body}&{jwt}"), "two_authentication_methods"),
        (Some(&header), &format!("{body}&{jwt}"), "two_authentication_methods"),
    ] {
        let answer = world.post_form(authorization.map(String::as_str), &format!("{BARE}&{more}"));
        answer.assert_error(400, "invalid_request");
        world.assert_refused("client", reason, None);
    }
    let nameless = format!("{BARE}&client_secret={}", secret(&app));
    world.post_form(None, &nameless).assert_error(401, "invalid_client");
}

/// C11: header and body are interchangeable, unless the app pins one.
#[test]
fn header_and_body_credentials_are_interchangeable_unless_pinned() {
    let world = World::unlimited();
    for (method, header, body) in [
        (ClientAuthentication::ClientSecret, 200, 200),
        (ClientAuthentication::ClientSecretBasic, 200, 401),
        (ClientAuthentication::ClientSecretPost, 401, 200),
    ] {
        let app = world.register(machine_app().authentication(method));
        assert_eq!(by_basic(&world, app.id.as_str(), secret(&app)).status, header);
        assert_eq!(by_post(&world, app.id.as_str(), secret(&app)).status, body);
    }
}

/// C12, C15: a public app sends no secret and cannot act for itself. A confidential app cannot pass
/// as a public one.
#[test]
fn a_public_app_sends_no_secret_and_a_confidential_one_must() {
    let world = World::unlimited();
    let public = world.register(public_app());
    let id = public.id.as_str();
    for answer in [by_basic(&world, id, "x"), by_post(&world, id, "x")] {
        answer.assert_error(401, "invalid_client");
        world.assert_refused("client", "wrong_authentication_method", Some("authentication"));
    }
    for answer in [by_basic(&world, id, ""), by_post(&world, id, "")] {
        answer.assert_error(400, "unauthorized_client");
        world.assert_refused("grant", "flow_not_allowed", Some("flows"));
    }

    let confidential = world.register(code_app().flow(Flow::ClientCredentials));
    let named = App { secret: None, ..confidential.clone() };
    for form in [
        &[("grant_type", "client_credentials")][..],
        &[("grant_type", "refresh_token"), ("refresh_token", "x")],
    ] {
        world.post(&named, form).assert_error(401, "invalid_client");
        world.assert_refused("client", "no_credentials", None);
    }
    let tokens = world.tokens(&confidential);
    world.refresh(&named, tokens.text("refresh_token")).assert_error(401, "invalid_client");
    assert!(!world.is_revoked(&tokens));
}

/// C13, C14: a rotated secret works until its overlap ends, to the millisecond, and each use is
/// audited.
#[test]
fn a_rotated_secret_works_until_its_overlap_ends() {
    let world = World::unlimited();
    let app = world.register(machine_app());
    let admin = world.server.admin("tester");
    let rotate = |overlap| {
        let new = block_on(admin.rotate_client_secret(&app.id, overlap)).unwrap();
        new.client_secret.unwrap().expose_secret().to_owned()
    };
    let superseded = || world.count("use_superseded_secret");
    let status = |secret: &str| by_basic(&world, app.id.as_str(), secret).status;
    let first = secret(&app);
    let second = rotate(Duration::from_mins(1));
    assert_eq!((status(first), status(&second), superseded()), (200, 200, 1));
    world.clock.advance(Duration::from_millis(59_999));
    assert_eq!((status(first), superseded()), (200, 2));
    world.clock.advance(Duration::from_millis(1));
    assert_eq!((status(first), status(&second), superseded()), (401, 200, 2));

    // A later rotation never extends an older secret.
    let third = rotate(Duration::from_secs(10));
    let fourth = rotate(Duration::from_secs(1_000));
    world.advance(10);
    assert_eq!((status(&second), status(&third), status(&fourth)), (401, 200, 200));
    block_on(admin.remove_superseded_secrets(&app.id)).unwrap();
    assert_eq!((status(first), status(&third), status(&fourth)), (401, 401, 200));
    let fifth = rotate(Duration::ZERO);
    assert_eq!((status(&fourth), status(&fifth)), (401, 200));
}

/// C13: an imported secret works until its stated expiry.
#[test]
fn an_imported_secret_expires() {
    let world = World::unlimited();
    let id = ClientId::new("imported").unwrap();
    let ends = UnixTime::from_seconds(START + 100);
    let app = ImportedApp::new(id.clone(), machine_app().build().unwrap())
        .with_client_secret(ClientSecret::new("short"), Some(ends));
    block_on(world.server.admin("tester").import(app)).unwrap();
    world.advance(99);
    assert_eq!(by_post(&world, "imported", "short").status, 200);
    world.advance(1);
    by_post(&world, "imported", "short").assert_error(401, "invalid_client");
    world.assert_refused("client", "wrong_secret", Some("client_secrets"));
}

const NEXT_ROOT: &[u8] = b"fedcba9876543210fedcba9876543210";

/// C14: a pepper retires. Each secret used while both peppers were known keeps working; an app that
/// used none needs a new secret.
#[test]
fn a_pepper_retires_once_every_digest_was_renewed() {
    let world = World::unlimited();
    let (app, late) = (world.register(machine_app()), world.register(machine_app()));
    let admin = world.server.admin("tester");
    let second = block_on(admin.rotate_client_secret(&app.id, Duration::from_mins(10)));
    let second = second.unwrap().client_secret.unwrap().expose_secret().to_owned();
    let both = ServerSecret::new(NEXT_ROOT).unwrap().accepting_pepper(ROOT).unwrap();
    let both = world.sibling(both);
    let retired = world.sibling(ServerSecret::new(NEXT_ROOT).unwrap());
    let status = |server: &Server, id: &ClientId, secret: &str| {
        let form = encode(&[("client_id", id.as_str()), ("client_secret", secret)]);
        Answer::from(block_on(server.token(&FormRequest::new(&format!("{BARE}&{form}"))))).status
    };
    let renewals = || world.count("renew_digest");
    assert_eq!(status(&retired, &app.id, &second), 401);
    assert_eq!(status(&both, &app.id, "wrong"), 401);
    assert_eq!(renewals(), 0);
    assert_eq!(status(&both, &app.id, &second), 200);
    assert_eq!(status(&both, &app.id, &second), 200);
    assert_eq!(renewals(), 1);
    assert_eq!(status(&retired, &app.id, &second), 200);
    assert_eq!(status(&retired, &app.id, secret(&app)), 401);
    assert_eq!(status(&both, &app.id, secret(&app)), 200);
    assert_eq!(renewals(), 2);
    assert_eq!(status(&retired, &app.id, secret(&app)), 200);
    assert_eq!(status(&retired, &late.id, secret(&late)), 401);
    // The window of the old secret was not extended with its digest.
    world.advance(600);
    assert_eq!(status(&retired, &app.id, secret(&app)), 401);
    assert_eq!(status(&retired, &app.id, &second), 200);
    let given = block_on(retired.admin("tester").rotate_client_secret(&late.id, Duration::ZERO));
    let given = given.unwrap().client_secret.unwrap();
    assert_eq!(status(&retired, &late.id, given.expose_secret()), 200);
}

/// C33: failures are counted for known and unknown client ids, and by source.
#[test]
fn guesses_are_limited_alike_for_known_and_unknown_apps() {
    let world = World::new();
    let app = world.register(machine_app());
    let mut answers = Vec::new();
    for id in [app.id.as_str(), "unknown"] {
        for _ in 0..10 {
            by_basic(&world, id, "guess").assert_error(401, "invalid_client");
        }
        let limited = by_basic(&world, id, "guess");
        limited.assert_error(429, "temporarily_unavailable");
        assert!(limited.retry_after.unwrap() > 0);
        answers.push((limited.json, limited.retry_after));
    }
    assert_eq!(answers[0], answers[1]);
    world.assert_refused("rate_limit", "too_many_failures", Some("rate_limits"));
    // The right secret works, also from the blocked source: it cannot have been guessed.
    assert_eq!(by_basic(&world, app.id.as_str(), secret(&app)).status, 200);
}

/// An edited authentication method applies at once.
#[test]
fn a_new_authentication_method_applies_at_once() {
    let world = World::unlimited();
    let app = world.register(machine_app());
    assert_eq!(by_basic(&world, app.id.as_str(), secret(&app)).status, 200);
    world.edit(&app, |draft| draft.authentication(ClientAuthentication::ClientSecretPost));
    by_basic(&world, app.id.as_str(), secret(&app)).assert_error(401, "invalid_client");
    assert_eq!(by_post(&world, app.id.as_str(), secret(&app)).status, 200);
}

/// Z13: a public client names itself by `Authorization: Basic` with an empty secret.
#[test]
fn basic_with_an_empty_secret_is_no_authentication() {
    let world = World::unlimited();
    let app = world.register(public_app());
    let (code, verifier) = world.code(&app);
    let form = |code: &str| {
        encode(&[
            ("grant_type", "authorization_code"),
            ("code", code),
            ("redirect_uri", crate::support::CALLBACK),
            ("code_verifier", &verifier),
        ])
    };
    let header = basic(app.id.as_str(), "");
    let tokens = world.post_form(Some(&header), &form(&code));
    assert_eq!(tokens.status, 200, "{tokens:?}");
    let refresh = encode(&[
        ("grant_type", "refresh_token"),
        ("refresh_token", tokens.text("refresh_token")),
        ("client_id", app.id.as_str()),
    ]);
    let tokens = world.post_form(Some(&header), &refresh);
    assert_eq!(tokens.status, 200, "{tokens:?}");
    let token = encode(&[("token", tokens.text("refresh_token"))]);
    assert_eq!(world.revoke_form(Some(&header), &token).status, 200);
    assert!(world.is_revoked(&tokens));
    // It authenticates no confidential app, and hides no second method.
    let machine = world.register(machine_app());
    let header = basic(machine.id.as_str(), "");
    world.post_form(Some(&header), BARE).assert_error(401, "invalid_client");
    world.introspect_form(Some(&header), &token).assert_error(401, "invalid_client");
    let beside = format!("{BARE}&client_secret={}", secret(&machine));
    world.post_form(Some(&header), &beside).assert_error(400, "invalid_request");
    world
        .post_form(Some(&header), &format!("{BARE}&client_id={}", app.id))
        .assert_error(400, "invalid_request");
}
