//! The host's hook before a token is issued.

use std::sync::{Arc, Mutex};

use grantor::app::{AppDraft, Flow};
use grantor::audit::Severity;
use grantor::endpoint::{Caller, Decision};
use grantor::hooks::{HookAnswer, HookError, Hooks, IssueDecision};
use grantor::ids::{DeviceId, Resource};
use grantor::jwt::RESERVED_CLAIMS;
use grantor::observe::Step;
use grantor::protocol::CodeVerifier;
use grantor::random::OsRandom;
use pollster::block_on;
use serde_json::{Map, Value, json};

use crate::assertions::{JWT_BEARER, backend_app, backend_jwt, impersonator};
use crate::support::{Answer, App, CALLBACK, START, World, ann, code_app, code_query, parameters};

/// The next action of a hook.
#[derive(Clone)]
enum Say {
    Issue,
    Add(Value),
    Veto,
    Fail,
}

/// Acts as told, and records each decision it saw.
struct Host {
    say: Mutex<Say>,
    seen: Mutex<Vec<Value>>,
}

impl Hooks for Host {
    async fn before_issue(&self, decision: &IssueDecision<'_>) -> Result<HookAnswer, HookError> {
        self.seen.lock().unwrap().push(json!({
            "app": decision.app.client_id(),
            "app_name": decision.app.settings().name(),
            "grant_type": decision.grant_type.as_str(),
            "grant_id": decision.grant_id,
            "subject": decision.subject,
            "user": decision.user.map(|user| user.subject.as_str()),
            "groups": decision.user.map(|user| user.groups.clone()),
            "actor": decision.actor,
            "scope": decision.scope.as_str(),
            "resource": decision.resource,
            "device": decision.device,
            "now": decision.now.as_seconds(),
            "expires_at": decision.expires_at.as_seconds(),
        }));
        match self.say.lock().unwrap().clone() {
            Say::Issue => Ok(HookAnswer::Issue),
            Say::Add(claims) => Ok(HookAnswer::IssueWith(claims.as_object().unwrap().clone())),
            Say::Veto => Ok(HookAnswer::Veto("tenant_suspended")),
            Say::Fail => Err(HookError::new("planted failure of a hook")),
        }
    }
}

fn world() -> (World<Arc<Host>>, Arc<Host>) {
    let host = Arc::new(Host { say: Mutex::new(Say::Issue), seen: Mutex::default() });
    (World::with(|builder| builder.hooks(Arc::clone(&host))), host)
}

impl Host {
    fn say(&self, say: Say) {
        *self.say.lock().unwrap() = say;
    }
}

fn everything() -> AppDraft {
    code_app()
        .flow(Flow::JwtBearer)
        .flow(Flow::ClientCredentials)
        .jwt(backend_jwt().with_refresh_token(true))
}

/// Requests of every grant that may be repeated.
fn requests(world: &World<Arc<Host>>, app: &App) -> Vec<Vec<(&'static str, String)>> {
    let (code, verifier) = world.code(app);
    let refresh_token = world.tokens(app).text("refresh_token").to_owned();
    let assertion = world.assertion(app, &json!({}));
    vec![
        vec![
            ("grant_type", "authorization_code".to_owned()),
            ("code", code),
            ("redirect_uri", CALLBACK.to_owned()),
            ("code_verifier", verifier),
        ],
        vec![("grant_type", "refresh_token".to_owned()), ("refresh_token", refresh_token)],
        vec![("grant_type", JWT_BEARER.to_owned()), ("assertion", assertion)],
        vec![("grant_type", "client_credentials".to_owned())],
    ]
}

fn send(world: &World<Arc<Host>>, app: &App, form: &[(&'static str, String)]) -> Answer {
    let form: Vec<_> = form.iter().map(|(name, value)| (*name, value.as_str())).collect();
    world.post(app, &form)
}

/// Claims of the host, of any JSON type, stand beside those of the server.
#[test]
fn a_hook_adds_claims() {
    let (world, host) = world();
    let app = world.register(everything());
    let requests = requests(&world, &app);
    let claims = json!({
        "tenant": "acme \"north\"",
        "roles": ["a", { "b": null }],
        "limits": { "depth": { "is": 3 } },
        "vip": true,
        "n": 1.5,
        "": "an empty name",
    });
    host.say(Say::Add(claims.clone()));
    for form in requests {
        let token = send(&world, &app, &form).claims();
        for (name, value) in claims.as_object().unwrap() {
            assert_eq!(&token[name], value, "{name}");
        }
        assert_eq!(token["client_id"], app.id.as_str());
    }
}

/// A hook cannot set a claim of the server: the request fails, and the grant is not consumed.
#[test]
fn a_reserved_claim_is_refused_and_consumes_no_grant() {
    let (world, host) = world();
    let app = world.register(everything());
    for form in requests(&world, &app) {
        for name in RESERVED_CLAIMS {
            let mut claims = Map::new();
            claims.insert("harmless".to_owned(), json!(1));
            claims.insert((*name).to_owned(), json!("planted"));
            host.say(Say::Add(claims.into()));
            let answer = send(&world, &app, &form);
            answer.assert_error(500, "server_error");
            assert_eq!(answer.text("error_description"), "the server failed, try again later");
            let event = world.last_event();
            assert_eq!(event.outcome.step(), Some(Step::Hook));
            assert!(event.outcome.reason().unwrap().contains(&format!("`{name}`")), "{event:?}");
        }
        host.say(Say::Issue);
        assert_eq!(send(&world, &app, &form).status, 200);
    }
}

/// Claims beyond the size of a token are refused before the grant is consumed.
#[test]
fn too_many_claims_are_refused_and_consume_no_grant() {
    let (world, host) = world();
    let app = world.register(everything());
    let (code, verifier) = world.code(&app);
    let much = |bytes: usize| {
        let frame = json!({ "much": "" }).to_string().len();
        Say::Add(json!({ "much": "x".repeat(bytes - frame) }))
    };
    host.say(much(3 * 1_024 + 1));
    world.redeem(&app, &code, &verifier).assert_error(500, "server_error");
    host.say(much(3 * 1_024));
    assert_eq!(world.redeem(&app, &code, &verifier).status, 200);
}

/// Names that RFC 9068, RFC 8693 and RFC 7800 define are reserved.
#[test]
fn claims_defined_by_the_rfcs_are_reserved() {
    for name in
        ["iss", "sub", "aud", "exp", "iat", "nbf", "jti", "client_id", "scope", "act", "cnf"]
    {
        assert!(RESERVED_CLAIMS.contains(&name), "{name}");
    }
    let (world, _) = world();
    let app = world.register(backend_app());
    for name in world.act(&app, &json!({})).claims().as_object().unwrap().keys() {
        assert!(RESERVED_CLAIMS.contains(&name.as_str()), "the server writes {name}");
    }
}

/// A veto is answered with `access_denied`; code, refresh token and assertion stay usable.
#[test]
fn a_veto_consumes_no_grant() {
    let (world, host) = world();
    let app = world.register(everything());
    for form in requests(&world, &app) {
        host.say(Say::Veto);
        for _ in 0..7 {
            let answer = send(&world, &app, &form);
            answer.assert_error(400, "access_denied");
            assert_eq!(answer.text("error_description"), "the request was denied");
            let outcome = world.last_event().outcome;
            assert_eq!(outcome.reason(), Some("tenant_suspended"));
            assert_eq!((outcome.step(), outcome.setting()), (Some(Step::Hook), Some("hooks")));
        }
        host.say(Say::Issue);
        assert_eq!(send(&world, &app, &form).status, 200);
    }
}

/// A failing hook is a server error, its cause stays in the audit log, and the grant is not
/// consumed.
#[test]
fn a_failing_hook_consumes_no_grant() {
    let (world, host) = world();
    let app = world.register(everything());
    for form in requests(&world, &app) {
        host.say(Say::Fail);
        let answer = send(&world, &app, &form);
        answer.assert_error(500, "server_error");
        assert!(!answer.json.to_string().contains("planted"));
        let event = world.last_event();
        assert!(event.outcome.reason().unwrap().contains("planted failure of a hook"));
        assert_eq!(event.severity(), Severity::Error);
        host.say(Say::Issue);
        assert_eq!(send(&world, &app, &form).status, 200);
    }
}

/// A hook sees the whole decision as it will stand in the token. It is called once per request,
/// after every check that could refuse.
#[test]
fn a_hook_sees_the_whole_decision() {
    let (world, host) = world();
    let api = "https://api.example.com";
    let draft = everything().resources([Resource::new(api).unwrap()]).access_token_lifetime(120);
    let app = world.register(draft);
    let verifier = CodeVerifier::generate(&OsRandom::new()).unwrap();
    let query = code_query(&app, &verifier, &[("scope", "a b"), ("resource", api)]);
    let login = ann().with_device(DeviceId::new("phone 1").unwrap());
    let prompt = world.prompt(&query, &login);
    let yes = Decision::approve();
    let sent =
        block_on(world.server.decide(&prompt.ticket, &login, yes, Caller::default())).unwrap();
    let code = parameters(sent.location()).remove("code").unwrap();
    assert!(host.seen.lock().unwrap().is_empty(), "the request asked for no token");

    world.redeem(&app, &code, &"w".repeat(43)).assert_error(400, "invalid_grant");
    assert!(host.seen.lock().unwrap().is_empty(), "the request was refused before the hook");
    let answer = world.redeem(&app, &code, verifier.expose_secret());
    let mut expected = json!({
        "app": app.id, "app_name": "Reports", "grant_type": "authorization_code",
        "grant_id": answer.claims()["grant_id"], "subject": "ann", "user": "ann",
        "groups": ["staff"], "actor": null, "scope": "a b", "resource": api,
        "device": "phone 1", "now": START, "expires_at": START + 120,
    });
    let take = || std::mem::take(&mut *host.seen.lock().unwrap());
    assert_eq!(take(), [expected.clone()]);

    world.advance(30);
    let form = [
        ("grant_type", "refresh_token"),
        ("refresh_token", answer.text("refresh_token")),
        ("scope", "b"),
    ];
    assert_eq!(world.post(&app, &form).status, 200);
    expected["grant_type"] = json!("refresh_token");
    expected["scope"] = json!("b");
    expected["now"] = json!(START + 30);
    expected["expires_at"] = json!(START + 150);
    assert_eq!(take(), [expected]);

    let answer = world.act(&app, &json!({ "sub": "bob", "scope": "c" }));
    assert_eq!(
        take(),
        [json!({
            "app": app.id, "app_name": "Reports", "grant_type": JWT_BEARER,
            "grant_id": answer.claims()["grant_id"], "subject": "bob", "user": "bob",
            "groups": ["staff"], "actor": app.id, "scope": "c", "resource": null,
            "device": null, "now": START + 30, "expires_at": START + 150,
        })]
    );

    let answer = world.post(&app, &[("grant_type", "client_credentials"), ("resource", api)]);
    assert_eq!(
        take(),
        [json!({
            "app": app.id, "app_name": "Reports", "grant_type": "client_credentials",
            "grant_id": answer.claims()["grant_id"], "subject": app.id, "user": null,
            "groups": null, "actor": null, "scope": "a b c", "resource": api,
            "device": null, "now": START + 30, "expires_at": START + 150,
        })]
    );
}

/// A token that the host's claims make too long is not issued: `server_error`, and the assertion is
/// not consumed.
#[test]
fn claims_that_make_a_token_too_long_are_a_server_error() {
    let (world, host) = world();
    let app = world.register(impersonator(backend_jwt()));
    let assertion = world.assertion(&app, &json!({}));
    host.say(Say::Add(json!({ "roles": "r".repeat(10_000) })));
    world.present(&app, &assertion, &[]).assert_error(500, "server_error");
    assert_eq!(world.last_event().outcome.step(), Some(Step::Hook));
    host.say(Say::Issue);
    assert_eq!(world.present(&app, &assertion, &[]).status, 200);
}
