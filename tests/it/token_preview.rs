//! `Admin::preview_token`: the content of a token that is not issued.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use grantor::admin::{AdminError, PreviewRequest, PreviewedToken, ScopeLimit, TokenPreview};
use grantor::app::{AppDraft, Flow, ImpersonationPolicy, ScopePolicy};
use grantor::clock::UnixTime;
use grantor::error::{Fault, Rejection};
use grantor::hooks::{HookAnswer, HookError, Hooks, IssueDecision};
use grantor::ids::{GrantId, Resource};
use grantor::store::{GrantFilter, Page};
use grantor::users::User;
use pollster::block_on;
use serde_json::{Value, json};

use crate::assertions::{backend_jwt, impersonator};
use crate::support::{
    Answer, App, START, World, code_app, code_query, machine_app, scope, subject,
};

const API: &str = "https://api.example.com";

fn preview<H: Hooks + 'static>(
    world: &World<H>,
    app: &App,
    request: PreviewRequest<'_>,
) -> TokenPreview {
    block_on(world.server.admin("eve").preview_token(&app.id, &request)).unwrap()
}

#[track_caller]
fn token<H: Hooks + 'static>(
    world: &World<H>,
    app: &App,
    request: PreviewRequest<'_>,
) -> PreviewedToken {
    match preview(world, app, request) {
        TokenPreview::Token(token) => *token,
        TokenPreview::Refused(rejection) => panic!("refused: {rejection}"),
    }
}

#[track_caller]
fn refused<H: Hooks + 'static>(
    world: &World<H>,
    app: &App,
    request: PreviewRequest<'_>,
) -> Rejection {
    match preview(world, app, request) {
        TokenPreview::Token(token) => panic!("not refused: {token:?}"),
        TokenPreview::Refused(rejection) => rejection,
    }
}

/// The app of every flow.
fn everything() -> AppDraft {
    code_app()
        .flow(Flow::JwtBearer)
        .flow(Flow::ClientCredentials)
        .jwt(backend_jwt().with_refresh_token(true))
        .resources([Resource::new(API).unwrap()])
        .access_token_lifetime(600)
        .refresh_token_lifetime(86_400)
}

/// The claims of a real token that a preview can have.
fn comparable(answer: &Answer) -> Value {
    let mut claims = answer.claims();
    let members = claims.as_object_mut().unwrap();
    for one in ["jti", "grant_id", "authorized_at"] {
        assert!(members.remove(one).is_some(), "{one}");
    }
    claims
}

fn claims(token: &PreviewedToken) -> Value {
    let mut claims = Value::from(token.claims.clone());
    let members = claims.as_object_mut().unwrap();
    assert_eq!(members.remove("authorized_at"), Some(json!(START * 1_000)));
    for one in ["jti", "grant_id"] {
        assert!(!members.contains_key(one), "{one} would name a token");
    }
    claims
}

/// H12: a preview has the claims of the token that the app then gets, by each flow. It issues and records nothing.
#[test]
fn a_preview_has_the_claims_of_the_token_that_the_app_gets() {
    let world = World::new();
    let app = world.register(everything());
    let events = world.events().len();
    let by_code =
        token(&world, &app, PreviewRequest::new(Flow::AuthorizationCode).with_user("ann"));
    let narrow = PreviewRequest::new(Flow::AuthorizationCode).with_user("ann").with_scope("b a");
    let narrow = token(&world, &app, narrow.with_resource(API));
    let as_bob = PreviewRequest::new(Flow::JwtBearer).with_user("bob");
    let as_bob = token(&world, &app, as_bob.with_scope("c").with_resource(API));
    let own = token(&world, &app, PreviewRequest::new(Flow::ClientCredentials));
    assert_eq!(world.events().len(), events);
    let page = Page::first(10);
    let grants = block_on(world.server.admin("eve").grants(&GrantFilter::all(), page)).unwrap();
    assert!(grants.items.is_empty(), "{grants:?}");

    assert_eq!(claims(&by_code), comparable(&world.tokens(&app)));
    let verifier = crate::support::new_verifier();
    let query = code_query(&app, &verifier, &[("scope", "b a"), ("resource", API)]);
    let code = world.approve(&query).unwrap().remove("code").unwrap();
    let answer = world.redeem(&app, &code, verifier.expose_secret());
    assert_eq!(claims(&narrow), comparable(&answer));
    let assertion = world.assertion(&app, &json!({ "sub": "bob" }));
    let answer = world.present(&app, &assertion, &[("scope", "c"), ("resource", API)]);
    assert_eq!(claims(&as_bob), comparable(&answer));
    assert_eq!(claims(&as_bob)["act"]["sub"], app.id.as_str());
    let answer = world.post(&app, &[("grant_type", "client_credentials")]);
    assert_eq!(claims(&own), comparable(&answer));

    let (issued, day) = (UnixTime::from_seconds(START), UnixTime::from_seconds(START + 86_400));
    for (token, refresh_ends_at) in
        [(&by_code, Some(day)), (&narrow, Some(day)), (&as_bob, Some(day)), (&own, None)]
    {
        assert_eq!((token.issued_at, token.refresh_ends_at), (issued, refresh_ends_at));
        assert_eq!(token.expires_at, UnixTime::from_seconds(START + 600));
        assert!(token.left_out.is_empty() && token.includes_hook);
    }
    assert_eq!(as_bob.scope, scope("c"));
}

/// H12: a refusal is that of the endpoint, with its reason, its text and the setting that decided.
#[test]
fn a_preview_is_refused_as_the_request_would_be() {
    let world = World::unlimited();
    let policy = ImpersonationPolicy::anyone().with_scope(scope("a"));
    let jwt = backend_jwt().with_impersonation(policy);
    let app = world.register(everything().jwt(jwt.with_refresh_token(true)));
    let jwt = |user| PreviewRequest::new(Flow::JwtBearer).with_user(user);
    let own = PreviewRequest::new(Flow::ClientCredentials);
    for (request, user, form) in [
        (jwt("stranger"), "stranger", &[][..]),
        (jwt("gone"), "gone", &[]),
        (jwt("ann").with_scope("b"), "ann", &[("scope", "b")]),
        (jwt("ann").with_scope("x"), "ann", &[("scope", "x")]),
        (jwt("ann").with_scope("a\""), "ann", &[("scope", "a\"")]),
        (jwt("ann").with_resource("x"), "ann", &[("resource", "x")]),
        (
            jwt("ann").with_resource("https://x.example"),
            "ann",
            &[("resource", "https://x.example")],
        ),
        (own.with_scope("x"), "", &[("scope", "x")]),
        (own.with_resource("https://x.example"), "", &[("resource", "https://x.example")]),
    ] {
        let rejection = refused(&world, &app, request);
        let answer = if user.is_empty() {
            world.post(&app, &[&[("grant_type", "client_credentials")], form].concat())
        } else {
            world.present(&app, &world.assertion(&app, &json!({ "sub": user })), form)
        };
        answer.assert_error(400, rejection.error_code().as_str());
        assert_eq!(answer.text("error_description"), rejection.description(), "{request:?}");
        let outcome = world.last_event().outcome;
        let told = (Some(rejection.reason()), rejection.setting());
        assert_eq!((outcome.reason(), outcome.setting()), told, "{request:?}");
    }
    let code = PreviewRequest::new(Flow::AuthorizationCode);
    for (request, reason) in [
        (code, "missing_parameter"),
        (code.with_user("stranger"), "inactive_user"),
        (code.with_user("gone"), "inactive_user"),
        (code.with_user("ann").with_scope("x"), "scope_exceeds_app"),
        (code.with_user("ann").with_scope("\""), "malformed_scope"),
        (code.with_user("ann").with_resource("https://x.example"), "resource_not_allowed"),
        (PreviewRequest::new(Flow::JwtBearer), "missing_parameter"),
        (jwt(app.id.as_str()), "assertion"),
    ] {
        assert_eq!(refused(&world, &app, request).reason(), reason, "{request:?}");
    }
    world.users.put(User::new(subject(app.id.as_str())));
    let own_name = refused(&world, &app, code.with_user(app.id.as_str()));
    assert_eq!(own_name, Rejection::SubjectIsClientId);

    let machine = world.register(machine_app());
    for flow in [Flow::AuthorizationCode, Flow::JwtBearer] {
        let request = PreviewRequest::new(flow).with_user("ann");
        assert!(matches!(refused(&world, &machine, request), Rejection::FlowNotAllowed(_)));
    }
    let admin = world.server.admin("eve");
    block_on(admin.disable(&machine.id)).unwrap();
    assert_eq!(refused(&world, &machine, own), Rejection::AppDisabled);
    block_on(admin.delete(&machine.id)).unwrap();
    let gone = block_on(admin.preview_token(&machine.id, &own));
    assert!(matches!(gone, Err(AdminError::NotFound)));
}

/// H12: each scope that the token lacks is named with the rule that left it out.
#[test]
fn a_preview_names_the_rule_that_left_a_scope_out() {
    let world = World::new();
    let policy = ImpersonationPolicy::anyone().with_scope(scope("a GET/users/*"));
    let draft = impersonator(backend_jwt().with_impersonation(policy))
        .scope(scope("a b GET/users/* GET/groups/*"))
        .scope_policy(ScopePolicy::Reduce);
    let app = world.register(draft);
    let jwt = PreviewRequest::new(Flow::JwtBearer).with_user("ann");
    for (asked, granted, left_out) in [
        (None, "GET/users/* a", &["GET/groups/* policy", "b policy"][..]),
        (Some("  "), "GET/users/* a", &["GET/groups/* policy", "b policy"]),
        (Some("a b x"), "a", &["b policy", "x app"]),
        (Some("a offline_access"), "a", &["offline_access refresh"]),
        (Some("a */users/42"), "GET/users/42 a", &["*/users/42 app"]),
        (Some("GET/users/7"), "GET/users/7", &[]),
    ] {
        let request = asked.map_or(jwt, |asked| jwt.with_scope(asked));
        let token = token(&world, &app, request);
        let limit = |limit| match limit {
            ScopeLimit::App => "app",
            ScopeLimit::ImpersonationPolicy => "policy",
            ScopeLimit::OfflineAccess => "refresh",
            _ => "other",
        };
        let found = token.left_out.iter().map(|it| format!("{} {}", it.token, limit(it.limit)));
        assert_eq!(found.collect::<Vec<_>>(), left_out, "{asked:?}");
        assert_eq!(token.scope, scope(granted), "{asked:?}");
        assert_eq!(token.claims["scope"], scope(granted).as_str());
    }
    let settings = [ScopeLimit::App, ScopeLimit::ImpersonationPolicy, ScopeLimit::OfflineAccess]
        .map(ScopeLimit::setting);
    assert_eq!(settings, [Some("scope"), Some("jwt.impersonation.scope"), None]);
}

/// A host that counts tokens, and tells of them beforehand if `tells` is set.
struct Host {
    issued: AtomicUsize,
    tells: Mutex<Option<Value>>,
}

impl Hooks for Host {
    async fn before_issue(&self, _: &IssueDecision<'_>) -> Result<HookAnswer, HookError> {
        self.issued.fetch_add(1, Ordering::Relaxed);
        Ok(HookAnswer::Issue)
    }

    async fn preview_issue(
        &self,
        decision: &IssueDecision<'_>,
    ) -> Result<Option<HookAnswer>, HookError> {
        assert_eq!(decision.grant_id, GrantId::from_bytes([0; 16]));
        Ok(match self.tells.lock().unwrap().clone() {
            Some(Value::Object(claims)) => Some(HookAnswer::IssueWith(claims)),
            Some(_) => Some(HookAnswer::Veto("tenant_suspended")),
            None => None,
        })
    }
}

/// H12: a preview does not call the hook that sees tokens. The host may tell what that hook would answer.
#[test]
fn a_preview_asks_the_host_without_the_hook_that_sees_tokens() {
    let host = Arc::new(Host { issued: AtomicUsize::new(0), tells: Mutex::new(None) });
    let world = World::with(|builder| builder.hooks(Arc::clone(&host)));
    let app = world.register(machine_app());
    let own = PreviewRequest::new(Flow::ClientCredentials);
    let tell = |answer: Value| *host.tells.lock().unwrap() = Some(answer);
    assert!(!token(&world, &app, own).includes_hook);
    tell(json!({ "tenant": "north", "roles": ["a"] }));
    let told = token(&world, &app, own);
    assert_eq!((told.includes_hook, &told.claims["tenant"]), (true, &json!("north")));
    assert_eq!(told.claims["roles"], json!(["a"]));
    tell(json!("no"));
    assert_eq!(refused(&world, &app, own), Rejection::Vetoed("tenant_suspended"));
    tell(json!({ "sub": "root" }));
    let wrong = block_on(world.server.admin("eve").preview_token(&app.id, &own));
    let Err(AdminError::Preview(Fault::Hook(HookError::ReservedClaim(name)))) = wrong else {
        panic!("{wrong:?}");
    };
    assert_eq!((name.as_str(), host.issued.load(Ordering::Relaxed)), ("sub", 0));
    assert_eq!(world.post(&app, &[("grant_type", "client_credentials")]).status, 200);
    assert_eq!(host.issued.load(Ordering::Relaxed), 1);
}
