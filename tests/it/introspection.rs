//! Token introspection, RFC 7662.

use std::collections::BTreeSet;

use grantor::app::{AppDraft, Flow};
use grantor::audit::Actor;
use grantor::endpoint::{Caller, FormRequest, Introspection};
use grantor::ids::{ClientId, DeviceId, Resource};
use grantor::rate_limit::RateLimits;
use grantor::resource_server::ResourceServer;
use grantor::store::RevocationTarget;
use pollster::block_on;
use serde_json::{Value, json};

use crate::assertions::{Signer, backend_app, backend_jwt};
use crate::faulty_store::{Method, PLANTED, faulty_server};
use crate::support::{
    Answer, App, CALLBACK, ISSUER, START, World, ann, basic, body_of, code_app, code_query, encode,
    machine_app, new_verifier, parameters, public_app, scope, subject,
};

const FILES: &str = "https://files.example.com";
const MAIL: &str = "https://mail.example.com";

/// A server with two APIs, a gateway, and an app for each.
struct Scene {
    world: World,
    files: App,
    mail: App,
    gateway: App,
}

fn resource(name: &str) -> Resource {
    Resource::new(name).unwrap()
}

fn api(identifier: &str, client_id: &str) -> ResourceServer {
    ResourceServer::new(resource(identifier), ClientId::new(client_id).unwrap())
}

impl Scene {
    fn new() -> Self {
        let world = World::with(|builder| {
            builder
                .rate_limits(RateLimits::none())
                .resource_server(api(FILES, "files"))
                .resource_server(api(MAIL, "mail").with_scopes(scope("b")))
                .resource_server(api(ISSUER, "gateway").with_gateway(true))
        });
        let [files, mail, gateway] = ["files", "mail", "gateway"]
            .map(|id| world.import(id, AppDraft::confidential(id).flow(Flow::ClientCredentials)));
        Self { world, files, mail, gateway }
    }

    /// An app with the code flow and tokens for the files API.
    fn code_app(&self) -> App {
        self.world.register(for_files(code_app()))
    }

    /// Returns the answer; the test fails if the token is not active.
    #[track_caller]
    fn active(&self, app: &App, token: &str) -> Value {
        let answer = self.world.introspect(app, token);
        assert_eq!((answer.status, &answer.json["active"]), (200, &json!(true)), "{answer:?}");
        answer.json
    }

    /// Asserts that the answer is only `"active": false`, and that the audit log gives `reason`.
    #[track_caller]
    fn assert_inactive(&self, app: &App, token: &str, reason: &str) {
        let body = body_of(app, &[("token", token)]);
        let answer = block_on(self.world.server.introspect(&FormRequest::new(&body))).unwrap();
        assert_eq!(answer, Introspection::Inactive, "{token}");
        assert!(!answer.is_active());
        assert_eq!(answer.to_json(), r#"{"active":false}"#);
        self.world.assert_refused("grant", reason, None);
        let event = self.world.last_event();
        assert_eq!(event.action.as_str(), "introspect");
        assert_eq!(event.actor, Actor::App(app.id.clone()));
    }
}

fn for_files(draft: AppDraft) -> AppDraft {
    draft.resources([resource(FILES), resource(MAIL)]).default_resource(Some(resource(FILES)))
}

fn refresh_token(answer: &Answer) -> &str {
    answer.text("refresh_token")
}

fn access_token(answer: &Answer) -> &str {
    answer.text("access_token")
}

/// Asserts that an API gets all claims of an access token that are not internal to this server.
#[track_caller]
fn assert_tells_the_claims(told: &Value, answer: &Answer) {
    let mut expected = answer.claims();
    let members = expected.as_object_mut().unwrap();
    for own in ["grant_id", "authorized_at"] {
        assert!(members.remove(own).is_some());
    }
    members.insert("active".to_owned(), json!(true));
    members.insert("token_type".to_owned(), json!("Bearer"));
    assert_eq!(*told, expected);
}

/// I1, I7: a caller that fails client authentication learns nothing. A public app cannot
/// authenticate, and gets the same answer as an unknown app.
#[test]
fn only_an_authenticated_app_may_introspect() {
    let scene = Scene::new();
    let world = &scene.world;
    let app = scene.code_app();
    let public = world.register(public_app());
    let tokens = world.tokens(&app);
    let of_public = world.tokens(&public);
    let token = ("token", access_token(&tokens));
    let form = encode(&[token]);
    let secret = scene.files.secret.as_deref().unwrap();
    let unknown = App { id: ClientId::new("unknown").unwrap(), ..public.clone() };
    let liar = App { secret: Some("wrong".to_owned()), ..scene.files.clone() };
    let named = App { secret: None, ..scene.files.clone() };
    let mut bodies = BTreeSet::new();
    for (refused, reason) in [
        (world.introspect_form(None, &form), "no_credentials"),
        (world.introspect(&named, token.1), "no_credentials"),
        (world.introspect(&unknown, token.1), "unknown_client"),
        (world.introspect(&public, token.1), "public_app"),
        (world.introspect(&public, refresh_token(&of_public)), "public_app"),
        (world.introspect(&liar, token.1), "wrong_secret"),
        (world.introspect_form(Some(&basic("unknown", secret)), &form), "unknown_client"),
        (world.introspect_form(Some(&basic("files", "wrong")), &form), "wrong_secret"),
        // A token does not authenticate here, neither this one nor another.
        (
            world.introspect_form(Some(&format!("Bearer {}", token.1)), &form),
            "malformed_authorization",
        ),
    ] {
        refused.assert_error(401, "invalid_client");
        bodies.insert(refused.json.to_string());
        let events = world.events();
        let event = events.iter().find(|it| it.outcome.reason() == Some(reason)).unwrap();
        assert_eq!((event.action.as_str(), &event.actor), ("introspect", &Actor::Unknown));
    }
    assert_eq!(bodies.len(), 1, "{bodies:?}");
    block_on(world.server.admin("tester").disable(&scene.files.id)).unwrap();
    let disabled = world.introspect(&scene.files, token.1);
    disabled.assert_error(401, "invalid_client");
    assert!(bodies.contains(&disabled.json.to_string()));
}

/// I7: guesses under an unknown app and under a public app are limited after the same number.
#[test]
fn guesses_are_limited_alike() {
    let world = World::new();
    let public = world.register(public_app());
    let unknown = App { id: ClientId::new("unknown").unwrap(), ..public.clone() };
    let attempts = [&public, &unknown]
        .map(|app| (0..20).map(|_| world.introspect(app, "token").status).collect::<Vec<_>>());
    assert_eq!(attempts[0], attempts[1]);
    assert_eq!((attempts[0][9], attempts[0][10]), (401, 429));
}

/// I2: the token is mandatory.
#[test]
fn a_request_without_a_token_is_malformed() {
    let scene = Scene::new();
    for form in [&[][..], &[("token", "")], &[("token_type_hint", "access_token")]] {
        let answer = scene.world.introspect_form(None, &body_of(&scene.files, form));
        answer.assert_error(400, "invalid_request");
        assert_eq!(answer.text("error_description"), "token is missing");
    }
    let twice = body_of(&scene.files, &[("token", "a"), ("token", "b")]);
    scene.world.introspect_form(None, &twice).assert_error(400, "invalid_request");
}

/// An API gets the claims of a live access token of every flow.
#[test]
fn an_api_gets_the_claims_of_its_token() {
    let scene = Scene::new();
    let world = &scene.world;
    let app = scene.code_app();
    let machine = world.register(for_files(machine_app()));
    let back_end = world.register(for_files(backend_app()));

    let device = ann().with_device(DeviceId::new("phone-1").unwrap());
    let verifier = new_verifier();
    let prompt = world.prompt(&code_query(&app, &verifier, &[("scope", "a")]), &device);
    let yes = grantor::endpoint::Decision::approve();
    let sent =
        block_on(world.server.decide(&prompt.ticket, &device, yes, Caller::default())).unwrap();
    let code = parameters(sent.location()).remove("code").unwrap();
    let by_code = world.redeem(&app, &code, verifier.expose_secret());
    let told = scene.active(&scene.files, access_token(&by_code));
    assert_tells_the_claims(&told, &by_code);
    assert_eq!((&told["device"], &told["scope"]), (&json!("phone-1"), &json!("a")));
    assert_eq!((&told["sub"], &told["aud"]), (&json!("ann"), &json!(FILES)));

    let event = world.last_event();
    assert_eq!((event.action.as_str(), event.outcome.as_str()), ("introspect", "success"));
    assert_eq!(event.actor, Actor::App(scene.files.id.clone()));
    assert_eq!(event.subject, Some(subject("ann")));
    assert_eq!(
        event.grant_id.map(|id| id.to_string()).as_deref(),
        by_code.claims()["grant_id"].as_str()
    );

    let by_itself = world.post(&machine, &[("grant_type", "client_credentials")]);
    let told = scene.active(&scene.files, access_token(&by_itself));
    assert_tells_the_claims(&told, &by_itself);
    assert_eq!(told["sub"], machine.id.as_str());

    let acting = world.act(&back_end, &json!({}));
    let told = scene.active(&scene.files, access_token(&acting));
    assert_tells_the_claims(&told, &acting);
    assert_eq!(told["act"], json!({ "sub": back_end.id.as_str() }));
}

/// I3: a token that is unknown, expired, spent or revoked, or belongs to a disabled or deleted app,
/// is inactive, and the answer says nothing else.
#[test]
fn a_dead_token_is_answered_with_active_false_alone() {
    let scene = Scene::new();
    let (world, files, gateway) = (&scene.world, &scene.files, &scene.gateway);
    let app = scene.code_app();
    let admin = world.server.admin("tester");
    let tokens = world.tokens(&app);
    let (code, _) = world.code(&app);
    let forged = Signer::backend().sign(&tokens.claims());
    let elsewhere = World::unlimited();
    let twin = elsewhere.import(app.id.as_str(), for_files(code_app()));
    let foreign = elsewhere.tokens(&twin);
    let token = refresh_token(&tokens);
    for unknown in [
        "garbage",
        "grt_",
        "grt_AAAA",
        "a.b.c",
        &code,
        &forged,
        access_token(&foreign),
        refresh_token(&foreign),
        &token[..token.len() - 1],
        &access_token(&tokens)[1..],
    ] {
        scene.assert_inactive(files, unknown, "unknown_token");
        scene.assert_inactive(gateway, unknown, "unknown_token");
    }

    let next = world.refresh(&app, token);
    scene.assert_inactive(&app, token, "spent_token");
    scene.assert_inactive(gateway, token, "spent_token");
    scene.active(&app, refresh_token(&next));
    assert_eq!(world.refresh(&app, token).status, 200, "introspection revokes nothing");

    block_on(admin.disable(&app.id)).unwrap();
    scene.assert_inactive(files, access_token(&tokens), "revoked_token");
    scene.assert_inactive(gateway, refresh_token(&next), "revoked_token");
    block_on(admin.enable(&app.id)).unwrap();

    let tokens = world.tokens(&app);
    scene.active(files, access_token(&tokens));
    scene.active(&app, refresh_token(&tokens));
    block_on(admin.revoke(RevocationTarget::Subject(subject("ann")))).unwrap();
    scene.assert_inactive(files, access_token(&tokens), "revoked_token");
    scene.assert_inactive(&app, refresh_token(&tokens), "revoked_token");

    world.advance(1);
    let tokens = world.tokens(&app);
    assert_eq!(world.revoke(&app, refresh_token(&tokens)).status, 200);
    scene.assert_inactive(files, access_token(&tokens), "revoked_token");
    scene.assert_inactive(&app, refresh_token(&tokens), "revoked_token");

    let tokens = world.tokens(&app);
    block_on(admin.delete(&app.id)).unwrap();
    scene.assert_inactive(files, access_token(&tokens), "revoked_token");
    scene.assert_inactive(gateway, refresh_token(&tokens), "revoked_token");
}

/// I3: a token is active up to its last second.
#[test]
fn a_token_is_active_until_it_expires() {
    let scene = Scene::new();
    let world = &scene.world;
    let draft = for_files(code_app()).access_token_lifetime(60).refresh_token_lifetime(600);
    let app = world.register(draft.refresh_token_idle_lifetime(Some(400)));
    let tokens = world.tokens(&app);
    world.advance(59);
    scene.active(&scene.files, access_token(&tokens));
    world.advance(1);
    scene.assert_inactive(&scene.files, access_token(&tokens), "expired_token");

    // The idle lifetime ends at 400; then the grant's expiry counts.
    assert_eq!(scene.active(&app, refresh_token(&tokens))["exp"], START + 400);
    world.advance(339);
    scene.active(&app, refresh_token(&tokens));
    let next = world.refresh(&app, refresh_token(&tokens));
    assert_eq!(scene.active(&app, refresh_token(&next))["exp"], START + 600);
    world.advance(200);
    scene.active(&scene.gateway, refresh_token(&next));
    world.advance(1);
    scene.assert_inactive(&app, refresh_token(&next), "expired_token");

    let tokens = world.tokens(&app);
    world.advance(400);
    for who in [&app, &scene.gateway] {
        scene.assert_inactive(who, refresh_token(&tokens), "expired_token");
    }
    world.refresh(&app, refresh_token(&tokens)).assert_error(400, "invalid_grant");
}

/// I4: the hint has no effect.
#[test]
fn a_token_type_hint_has_no_effect() {
    let scene = Scene::new();
    let app = scene.code_app();
    let tokens = scene.world.tokens(&app);
    for hint in ["access_token", "refresh_token", "id_token", "", "garbage"] {
        for kind in ["access_token", "refresh_token"] {
            let form = [("token", tokens.text(kind)), ("token_type_hint", hint)];
            let answer = scene.world.introspect_form(None, &body_of(&scene.gateway, &form));
            assert_eq!(answer.json["active"], true, "{hint} {kind}");
        }
    }
}

/// I5: a token for another API, or another app's refresh token, is inactive. The app that got an
/// access token is not its audience.
#[test]
fn a_token_for_another_audience_is_inactive() {
    let scene = Scene::new();
    let world = &scene.world;
    let (app, other) = (scene.code_app(), scene.code_app());
    let tokens = world.tokens(&app);
    for stranger in [&scene.mail, &app, &other] {
        scene.assert_inactive(stranger, access_token(&tokens), "foreign_token");
        let event = world.last_event();
        assert_eq!(event.subject, Some(subject("ann")), "the audit log names the user");
    }
    for stranger in [&scene.files, &scene.mail, &other] {
        scene.assert_inactive(stranger, refresh_token(&tokens), "unknown_token");
    }
    // Only the gateway is an audience of tokens for the server itself.
    let plain = world.register(code_app());
    let tokens = world.tokens(&plain);
    assert_eq!(tokens.claims()["aud"], ISSUER);
    for stranger in [&scene.files, &scene.mail] {
        scene.assert_inactive(stranger, access_token(&tokens), "foreign_token");
    }
    assert_tells_the_claims(&scene.active(&scene.gateway, access_token(&tokens)), &tokens);
}

/// I8: an API sees the scopes that it defines, and a gateway sees all.
#[test]
fn an_api_sees_its_own_scopes_only() {
    let scene = Scene::new();
    let world = &scene.world;
    let machine = world.register(for_files(machine_app()));
    let token_for = |resource: &str, scope: &str| {
        let form = [("grant_type", "client_credentials"), ("resource", resource), ("scope", scope)];
        world.post(&machine, &form)
    };
    let for_mail = token_for(MAIL, "a b c");
    assert_eq!(scene.active(&scene.mail, access_token(&for_mail))["scope"], "b");
    assert_eq!(scene.active(&scene.gateway, access_token(&for_mail))["scope"], "a b c");
    let of_files_only = token_for(MAIL, "a c");
    let told = scene.active(&scene.mail, access_token(&of_files_only));
    assert!(told.get("scope").is_none(), "{told}");
    let for_files = token_for(FILES, "a b c");
    assert_eq!(scene.active(&scene.files, access_token(&for_files))["scope"], "a b c");
}

/// An app may introspect its own refresh tokens, and a gateway those of all apps.
#[test]
fn an_app_and_a_gateway_may_introspect_its_refresh_tokens() {
    let scene = Scene::new();
    let world = &scene.world;
    for draft in [code_app(), public_app()] {
        let public =
            draft.clone().build().unwrap().client_type() == grantor::app::ClientType::Public;
        let app = world.register(for_files(draft));
        let verifier = new_verifier();
        let query = code_query(&app, &verifier, &[("resource", MAIL)]);
        let code = world.approve(&query).unwrap().remove("code").unwrap();
        world.advance(5);
        let form = [
            ("grant_type", "authorization_code"),
            ("code", &code),
            ("redirect_uri", CALLBACK),
            ("code_verifier", verifier.expose_secret()),
        ];
        let tokens = world.post(&app, &form);
        let now = world.clock_now().as_seconds();
        let told = scene.active(&scene.gateway, refresh_token(&tokens));
        let expires_at = told["exp"].as_i64().unwrap();
        let expected = json!({
            "active": true, "iss": ISSUER, "sub": "ann", "aud": MAIL,
            "client_id": app.id.as_str(), "scope": "a b c", "iat": now, "exp": expires_at,
        });
        assert_eq!(told, expected);
        assert!(expires_at > now + 3_600);
        if !public {
            assert_eq!(scene.active(&app, refresh_token(&tokens)), expected);
        }
    }
}

/// A handle that names a grant but was not sealed for its app is unknown.
#[test]
fn a_gateway_does_not_trust_a_spliced_handle() {
    let scene = Scene::new();
    let world = &scene.world;
    let (app, other) = (scene.code_app(), scene.code_app());
    let (mine, theirs) = (world.tokens(&app), world.tokens(&other));
    let (mine, theirs) = (refresh_token(&mine), refresh_token(&theirs));
    // The head and the id of one grant, the rest of the other.
    let spliced = format!("{}{}", &mine[..32], &theirs[32..]);
    assert_ne!(spliced, mine);
    scene.assert_inactive(&scene.gateway, &spliced, "unknown_token");
    scene.active(&scene.gateway, mine);
    scene.active(&scene.gateway, theirs);
}

/// One API may have several identifiers, and one identifier several apps.
#[test]
fn an_api_may_have_several_names_and_apps() {
    let world = World::with(|builder| {
        builder
            .resource_server(api(FILES, "one"))
            .resource_server(api(MAIL, "one"))
            .resource_server(api(FILES, "two"))
    });
    let [one, two] = ["one", "two"].map(|id| world.import(id, machine_app()));
    let machine = world.register(for_files(machine_app()));
    let mut expected = [(FILES, [true, true]), (MAIL, [true, false])].into_iter();
    assert!(expected.all(|(name, told)| {
        let form = [("grant_type", "client_credentials"), ("resource", name)];
        let token = world.post(&machine, &form);
        let active = |app| world.introspect(app, access_token(&token)).json["active"] == true;
        [active(&one), active(&two)] == told
    }));
    let names: Vec<_> =
        world.server.resource_servers().iter().map(|it| it.identifier.as_str()).collect();
    assert_eq!(names, [FILES, MAIL, FILES]);
}

/// If the store fails, the answer is an error, neither active nor inactive.
#[test]
fn a_store_failure_is_a_server_error() {
    let world = World::unlimited();
    let app = world.register(code_app());
    let server = faulty_server(&world);
    let tokens = world.tokens(&app);
    let body = body_of(&app, &[("token", refresh_token(&tokens))]);
    let introspect = || Answer::from(block_on(server.introspect(&FormRequest::new(&body))));
    for method in [Method::FindApp, Method::FindGrant, Method::IsRevoked] {
        server.store().fail_before(method, 1);
        let answer = introspect();
        answer.assert_error(500, "server_error");
        assert!(answer.json.get("active").is_none());
        assert!(!answer.json.to_string().contains(PLANTED));
        let event = world.last_event();
        assert_eq!((event.action.as_str(), event.outcome.as_str()), ("introspect", "failed"));
    }
    assert_eq!(introspect().json["active"], true);
}

/// Neither an answer nor an event shows the token.
#[test]
fn nothing_shows_the_token() {
    let scene = Scene::new();
    let app = scene.code_app();
    let tokens = scene.world.tokens(&app);
    for kind in ["access_token", "refresh_token"] {
        let body = body_of(&scene.gateway, &[("token", tokens.text(kind))]);
        let answer = block_on(scene.world.server.introspect(&FormRequest::new(&body))).unwrap();
        let event = scene.world.last_event();
        let event_json = serde_json::to_string(&event).unwrap();
        let shown = format!("{answer:?} {} {event:?} {event_json}", answer.to_json());
        assert!(!shown.contains(&tokens.text(kind)[..30]), "{shown}");
        assert!(!shown.contains(scene.gateway.secret.as_deref().unwrap()));
    }
}

/// I3: a refresh token that its app may not use any more is inactive, and active again once the
/// administrator restores the right.
#[test]
fn a_refresh_token_that_its_app_may_not_use_is_inactive() {
    let scene = Scene::new();
    let app = scene.code_app();
    let tokens = scene.world.tokens(&app);
    let token = refresh_token(&tokens);
    scene.active(&app, token);
    scene.world.edit(&app, |draft| draft.refresh_token(false));
    scene.assert_inactive(&app, token, "revoked_token");
    scene.assert_inactive(&scene.gateway, token, "revoked_token");
    let jwt = backend_jwt().with_refresh_token(true);
    scene.world.edit(&app, |draft| draft.refresh_token(true).flows([Flow::JwtBearer]).jwt(jwt));
    scene.assert_inactive(&scene.gateway, token, "revoked_token");
    scene.world.edit(&app, |draft| draft.flows([Flow::AuthorizationCode]));
    scene.active(&app, token);
}

/// An administrator learns of a token what a gateway does. Nothing is used up or recorded.
#[test]
fn an_administrator_learns_what_a_gateway_does() {
    let scene = Scene::new();
    let world = &scene.world;
    let app = scene.code_app();
    let first = world.tokens(&app);
    let told = |token: &str| {
        let events = world.events().len();
        let told = block_on(world.server.admin("root").introspect(token)).unwrap();
        assert_eq!(world.events().len(), events);
        serde_json::from_str::<Value>(&told.to_json()).unwrap()
    };
    for token in [access_token(&first), refresh_token(&first)] {
        assert_eq!(told(token), scene.active(&scene.gateway, token));
    }
    let second = world.refresh(&app, refresh_token(&first));
    let inactive = json!({ "active": false });
    for dead in [refresh_token(&first), "", "x", "\u{1f469}"] {
        assert_eq!(told(dead), inactive, "{dead}");
    }
    assert_eq!(told(refresh_token(&second))["active"], true);
    block_on(world.server.admin("root").disable(&app.id)).unwrap();
    for token in [access_token(&second), refresh_token(&second)] {
        assert_eq!(told(token), inactive);
    }
}
