//! A trusted issuer ends all access of its users (global token revocation), in the form of Okta's Universal Logout.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Barrier, Mutex};

use grantor::app::{
    AppDraft, Flow, RateQuota, RevocationTrust, SubjectPattern, TrustedIssuer, WorkloadRule,
};
use grantor::audit::Actor;
use grantor::hooks::{HookAnswer, HookError, Hooks, IssueDecision, NoHooks};
use grantor::http::HttpEndpoints;
use grantor::ids::{Group, Subject};
use grantor::protocol::ServerEndpoint;
use grantor::rate_limit::RateLimits;
use grantor::store::MemoryStore;
use grantor::store::conformance::Threads;
use grantor::users::Members;
use http::{Method, Request};
use pollster::block_on;
use serde_json::{Value, json};

use super::{IDP, evidence_issuer, idp, idp_signer, trust, users_of, wiki};
use crate::assertions::{Signer, with};
use crate::issuer_races::no_access_survives_an_issuer;
use crate::rounds::rounds;
use crate::support::{Answer, Answered, App, ISSUER, World, code_app, subject};

const PATH: &str = "/oauth/global-token-revocation";
const TYPE: &str = "global-token-revocation+jwt";

fn world_with<H: Hooks + 'static>(hooks: H) -> World<H> {
    let world = World::with(|builder| {
        let builder = builder.hooks(hooks).rate_limits(RateLimits::none());
        builder.trusted_issuers(MemoryStore::new()).global_token_revocation(MemoryStore::new())
    });
    world.users.link(&evidence_issuer(), "U1", &subject("ann"));
    world
}

/// A server with an issuer that may end the access of the users that the host links to it, and the tokens of `ann`.
fn world(change: impl FnOnce(TrustedIssuer) -> TrustedIssuer) -> (World, App, Answer) {
    let world = world_with(NoHooks);
    let app = world.register(code_app());
    trust(&world, change(idp().with_global_revocation(RevocationTrust::default())));
    let tokens = world.tokens(&app);
    (world, app, tokens)
}

/// The claims that Okta sends, with `change`.
fn claims<H: Hooks + 'static>(world: &World<H>, change: &Value) -> Value {
    static USED: AtomicU64 = AtomicU64::new(0);
    let now = world.clock_now().as_seconds();
    let claims = json!({
        "jti": format!("revocation {}", USED.fetch_add(1, Ordering::Relaxed)),
        "iss": IDP,
        "sub": "0oa1client",
        "aud": format!("{ISSUER}{PATH}"),
        "iat": now,
        "nbf": now - 300,
        "exp": now + 300,
    });
    with(&claims, change)
}

fn token<H: Hooks + 'static>(world: &World<H>, change: &Value) -> String {
    idp_signer().with_typ(Some(TYPE)).sign(&claims(world, change))
}

fn send<H: Hooks + 'static>(world: &World<H>, token: &str, body: &str) -> Answered {
    let request = Request::post(PATH)
        .header("content-type", "application/json; charset=utf-8")
        .header("authorization", format!("Bearer {token}"));
    world.send(request.body(body.to_owned()).unwrap())
}

/// Names `ann` as the host links her.
fn ann() -> Value {
    json!({ "sub_id": { "format": "iss_sub", "iss": IDP, "sub": "U1" } })
}

fn end<H: Hooks + 'static>(world: &World<H>, subject: &Value) -> Answered {
    send(world, &token(world, &json!({})), &subject.to_string())
}

#[track_caller]
fn refused(world: &World, answer: &Answered, status: u16, error: &str, reason: &str) {
    answer.assert_error(status, error);
    let event = world.last_event();
    assert_eq!(event.action.as_str(), "revoke_globally");
    assert_eq!(event.outcome.reason(), Some(reason), "{event:?}");
    let is_bearer = |value: &str| value.starts_with("Bearer realm=");
    assert_eq!(answer.header("www-authenticate").is_some_and(is_bearer), status == 401);
}

/// V10: one request ends every access of the user, also in the name of an app, and of no other user.
#[test]
fn an_issuer_ends_all_access_of_its_user() {
    let world = world_with(NoHooks);
    let web = world.register(code_app());
    let wiki = world.register(wiki());
    let record = idp().with_id_jag(users_of(&wiki));
    trust(&world, record.with_global_revocation(RevocationTrust::default()));
    let tokens = world.tokens(&web);
    let (code, verifier) = world.code(&web);
    let by_issuer = super::ask(&world, &wiki, &json!({ "sub": "U1" }));
    assert_eq!(by_issuer.status, 200, "{by_issuer:?}");
    world.users.link(&evidence_issuer(), "U2", &subject("bob"));
    let bobs = super::ask(&world, &wiki, &json!({ "sub": "U2" }));

    let answer = end(&world, &ann());
    assert_eq!((answer.status, &*answer.body), (204, ""));
    assert_eq!(answer.header("cache-control"), Some("no-store"));
    let event = world.last_event();
    assert_eq!((event.action.as_str(), event.outcome.as_str()), ("revoke_globally", "success"));
    assert_eq!(event.actor, Actor::Issuer(evidence_issuer()));
    assert_eq!(event.subject, Some(subject("ann")));
    assert!(world.is_revoked(&tokens) && world.is_revoked(&by_issuer));
    assert!(!world.is_revoked(&bobs));
    world.refresh(&web, tokens.text("refresh_token")).assert_error(400, "invalid_grant");
    world.redeem(&web, &code, &verifier).assert_error(400, "invalid_grant");
    // She logs in and agrees anew.
    assert!(!world.is_revoked(&world.tokens(&web)));
    // Both audiences name this server.
    let by_name = token(&world, &json!({ "aud": [ISSUER] }));
    assert_eq!(send(&world, &by_name, &ann().to_string()).status, 204);
}

/// V11: other names of users need a setting of the record each. Other formats and more members are malformed.
#[test]
fn a_user_is_named_as_the_record_allows() {
    let own = json!({ "format": "iss_sub", "iss": ISSUER, "sub": "ann" });
    let opaque = json!({ "format": "opaque", "id": "ann" });
    let email = json!({ "format": "email", "email": "ann@example.com" });
    let none = RevocationTrust::default();
    for (allowed, fits) in [
        (none.clone(), [false, false, false]),
        (none.clone().with_subject(true), [true, true, false]),
        (none.with_email(true), [false, false, true]),
    ] {
        let (world, ..) = world(|idp| idp.with_global_revocation(allowed));
        world.users.name("email", "ann@example.com", &subject("ann"));
        for (name, fits) in [&own, &opaque, &email].into_iter().zip(fits) {
            let answer = end(&world, &json!({ "sub_id": name }));
            if fits {
                assert_eq!(answer.status, 204, "{name}");
            } else {
                refused(&world, &answer, 403, "access_denied", "subject_not_allowed");
            }
        }
        for iss in ["https://other.example", &format!("{IDP}/"), ""] {
            let foreign = json!({ "sub_id": { "format": "iss_sub", "iss": iss, "sub": "U1" } });
            let answer = end(&world, &foreign);
            refused(&world, &answer, 403, "access_denied", "subject_not_allowed");
        }
    }
    let (world, _, tokens) = world(|idp| idp);
    for malformed in [
        json!({ "subject": { "format": "iss_sub", "iss": IDP, "sub": "U1" } }),
        json!({ "sub_id": { "format": "iss_sub", "iss": IDP, "sub": "U1" }, "session": "x" }),
        json!({ "sub_id": { "format": "iss_sub", "iss": IDP, "sub": "U1", "more": 1 } }),
        json!({ "sub_id": { "format": "iss_sub", "iss": IDP } }),
        json!({ "sub_id": { "format": "iss_sub", "iss": IDP, "sub": 1 } }),
        json!({ "sub_id": { "format": "account", "uri": "acct:ann@example.com" } }),
        json!({ "sub_id": { "format": "phone_number", "phone_number": "+12065550100" } }),
        json!({ "sub_id": { "format": "aliases", "identifiers": [] } }),
        json!({ "sub_id": { "iss": IDP, "sub": "U1" } }),
        json!({ "sub_id": "U1" }),
        json!({ "sub_id": [ann()["sub_id"]] }),
        json!({}),
        json!([]),
        json!({ "sub_id": { "format": "iss_sub", "iss": IDP, "sub": "U".repeat(8 * 1024) } }),
    ] {
        let answer = end(&world, &malformed);
        refused(&world, &answer, 400, "invalid_request", "subject_identifier");
    }
    let twice =
        format!(r#"{{"sub_id":{{"format":"iss_sub","iss":"{IDP}","sub":"U2","sub":"U1"}}}}"#);
    for text in ["", "sub_id=U1", "{", &twice, "\u{feff}{}"] {
        let answer = send(&world, &token(&world, &json!({})), text);
        refused(&world, &answer, 400, "invalid_request", "subject_identifier");
    }
    assert!(!world.is_revoked(&tokens));
}

/// V12: an unknown user and one that the record does not cover look alike.
#[test]
fn a_user_that_the_issuer_does_not_have_is_not_found() {
    let staff = Members::groups([Group::new("staff").unwrap()]);
    let covered = RevocationTrust::default().with_subject(true).with_users(staff);
    let (world, ..) = world(|idp| idp.with_global_revocation(covered));
    let named = |id: &str| end(&world, &json!({ "sub_id": { "format": "opaque", "id": id } }));
    let unknown = named("eve");
    refused(&world, &unknown, 404, "invalid_request", "issuer_user_unknown");
    let other = named("root");
    refused(&world, &other, 404, "invalid_request", "user_not_covered");
    assert_eq!(unknown.body, other.body);
    for odd in ["", "a\u{0}b", &"x".repeat(256)] {
        refused(&world, &named(odd), 404, "invalid_request", "issuer_user_unknown");
    }
    // The end of an employment may come before the end of access.
    for known in ["bob", "gone"] {
        assert_eq!(named(known).status, 204, "{known}");
    }
    let unlinked = json!({ "sub_id": { "format": "iss_sub", "iss": IDP, "sub": "ann" } });
    let answer = end(&world, &unlinked);
    refused(&world, &answer, 404, "invalid_request", "issuer_user_unknown");
}

/// V13: a token that is not one of a trusted issuer for this ends nothing, and does not tell who is trusted.
#[test]
fn a_token_that_proves_no_issuer_ends_nothing() {
    let (world, _, tokens) = world(|idp| idp);
    let body = ann().to_string();
    let typed = |typ: Option<&str>| idp_signer().with_typ(typ).sign(&claims(&world, &json!({})));
    for typ in [
        None,
        Some("JWT"),
        Some("at+jwt"),
        Some("oauth-id-jag+jwt"),
        Some("authorization-grant+jwt"),
        Some("client-authentication+jwt"),
        Some("logout+jwt"),
        Some("secevent+jwt"),
        Some("global-token-revocation"),
    ] {
        refused(&world, &send(&world, &typed(typ), &body), 401, "invalid_token", "assertion");
    }
    for change in [
        json!({ "aud": "https://other.example" }),
        json!({ "aud": [ISSUER, "https://other.example"] }),
        json!({ "aud": [] }),
        json!({ "aud": null }),
        json!({ "aud": format!("{ISSUER}/oauth/token") }),
        json!({ "exp": world.clock_now().as_seconds() - 11 }),
        json!({ "exp": world.clock_now().as_seconds() + 3_700 }),
        json!({ "exp": null }),
        json!({ "nbf": world.clock_now().as_seconds() + 60 }),
        json!({ "jti": null }),
        json!({ "jti": "" }),
        json!({ "sub": null }),
        json!({ "tenant": "acme" }),
    ] {
        let answer = send(&world, &token(&world, &change), &body);
        refused(&world, &answer, 401, "invalid_token", "assertion");
    }
    let strange = |iss: Value| send(&world, &token(&world, &json!({ "iss": iss })), &body);
    let unknown = strange(json!("https://evil.example"));
    refused(&world, &unknown, 401, "invalid_token", "issuer_unknown");
    refused(&world, &strange(json!(null)), 401, "invalid_token", "issuer_unknown");
    let right = claims(&world, &json!({}));
    let forged = |signer: Signer| signer.with_typ(Some(TYPE)).sign(&right);
    let (signed, other) = (forged(idp_signer()), token(&world, &json!({})));
    let (content, _) = signed.rsplit_once('.').unwrap();
    let (_, signature) = other.rsplit_once('.').unwrap();
    for forged in [
        format!("{content}.{signature}"),
        forged(Signer::backend()),
        forged(Signer::ec(jsonwebtoken::Algorithm::ES384, "p384_private")),
        forged(Signer::hmac(jsonwebtoken::Algorithm::HS256, &[7; 32])),
    ] {
        let answer = send(&world, &forged, &body);
        refused(&world, &answer, 401, "invalid_token", "assertion");
        assert_eq!(answer.body, unknown.body, "a stranger learns that the issuer is trusted");
    }
    let none = format!(r#"{{"alg":"none","typ":"{TYPE}"}}"#);
    let unsigned = idp_signer().sign_raw(&none, &right.to_string());
    refused(&world, &send(&world, &unsigned, &body), 401, "invalid_token", "assertion");
    for token in ["", "x", "a.b.c", tokens.text("access_token"), tokens.text("refresh_token")] {
        refused(&world, &send(&world, token, &body), 401, "invalid_token", "assertion");
    }
    let bare = |authorization: Option<&str>| {
        let mut request = Request::post(PATH).header("content-type", "application/json");
        if let Some(value) = authorization {
            request = request.header("authorization", value);
        }
        world.send(request.body(body.clone()).unwrap())
    };
    for none in [None, Some("Basic YTpi"), Some(&*right.to_string())] {
        let answer = bare(none);
        assert_eq!((answer.status, &*answer.body), (401, ""), "{none:?}");
        let challenge = answer.header("www-authenticate").unwrap();
        assert_eq!(challenge, format!("Bearer realm=\"{ISSUER}\""));
    }
    assert!(!world.is_revoked(&tokens));
    // None of it was used up.
    assert_eq!(send(&world, &signed, &body).status, 204);
}

/// V13: the token proves nothing anywhere else.
#[test]
fn the_token_of_a_revocation_is_no_assertion() {
    let world = world_with(NoHooks);
    let draft: AppDraft = wiki();
    let app = world.register(draft.flow(Flow::ClientCredentials));
    let rule = WorkloadRule::new(app.id.clone(), SubjectPattern::new("0oa1client").unwrap());
    let record = idp().with_id_jag(users_of(&app)).with_workloads([rule]);
    trust(&world, record.with_global_revocation(RevocationTrust::default()));
    for change in [
        json!({ "aud": ISSUER }),
        json!({ "aud": ISSUER, "sub": "U1", "client_id": app.id.as_str() }),
    ] {
        let token = token(&world, &change);
        world.present(&app, &token, &[]).assert_error(400, "invalid_grant");
        assert_eq!(send(&world, &token, &ann().to_string()).status, 204);
    }
    // And an identity assertion ends no access.
    let jag = super::id_jag(&world, &app, &json!({ "sub": "U1" }));
    send(&world, &jag, &ann().to_string()).assert_error(401, "invalid_token");
    assert_eq!(world.present(&app, &jag, &[]).status, 200);
}

/// V13: a record that has expired or was removed ends nothing, from then on.
#[test]
fn an_issuer_that_is_no_longer_trusted_ends_nothing() {
    let until = grantor::clock::UnixTime::from_seconds(crate::support::START + 100);
    let (expiring, ..) = world(|idp| idp.with_expiry(Some(until)));
    assert_eq!(end(&expiring, &ann()).status, 204);
    expiring.advance(100);
    refused(&expiring, &end(&expiring, &ann()), 401, "invalid_token", "issuer_unknown");

    let (world, ..) = world(|idp| idp);
    assert_eq!(end(&world, &ann()).status, 204);
    block_on(world.server.admin("root").remove_trusted_issuer(&evidence_issuer())).unwrap();
    refused(&world, &end(&world, &ann()), 401, "invalid_token", "issuer_unknown");
}

/// V14: a token is good once, also if the record allows reuse, for any user, and among requests at once.
#[test]
fn a_token_is_good_once() {
    let (world, _, tokens) = world(|idp| idp.with_reuse(true));
    world.users.link(&evidence_issuer(), "U2", &subject("bob"));
    let bob = json!({ "sub_id": { "format": "iss_sub", "iss": IDP, "sub": "U2" } }).to_string();
    let used = token(&world, &json!({}));
    assert_eq!(send(&world, &used, &bob).status, 204);
    let again = send(&world, &used, &ann().to_string());
    refused(&world, &again, 401, "invalid_token", "issuer_token_replayed");
    assert!(!world.is_revoked(&tokens));
    // One that names an unknown user is used up, too: it tells about one name.
    let unknown = json!({ "sub_id": { "format": "iss_sub", "iss": IDP, "sub": "U3" } }).to_string();
    let used = token(&world, &json!({}));
    assert_eq!(send(&world, &used, &unknown).status, 404);
    assert_eq!(send(&world, &used, &ann().to_string()).status, 401);
    // Until it can no longer be valid under any setting.
    world.advance(309);
    assert_eq!(send(&world, &used, &ann().to_string()).status, 401);

    let (shared, start) = (token(&world, &json!({})), Barrier::new(8));
    let statuses: Vec<_> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..8)
            .map(|_| {
                scope.spawn(|| {
                    start.wait();
                    send(&world, &shared, &ann().to_string()).status
                })
            })
            .collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    assert_eq!(statuses.iter().filter(|status| **status == 204).count(), 1, "{statuses:?}");
    assert_eq!(statuses.iter().filter(|status| **status == 401).count(), 7, "{statuses:?}");
}

/// V15: a record allows nothing until it says so. Its token is not used up.
#[test]
fn an_issuer_without_the_permission_is_refused() {
    let world = world_with(NoHooks);
    let app = world.register(code_app());
    let added = block_on(world.server.admin("root").add_trusted_issuer(idp())).unwrap();
    let tokens = world.tokens(&app);
    let shown = token(&world, &json!({}));
    let answer = send(&world, &shown, "not read");
    refused(&world, &answer, 403, "access_denied", "issuer_not_allowed");
    assert_eq!(world.last_event().actor, Actor::Issuer(evidence_issuer()));
    assert!(!world.is_revoked(&tokens));
    let allowed = idp().with_global_revocation(RevocationTrust::default());
    block_on(world.server.admin("root").edit_trusted_issuer(added.version, allowed)).unwrap();
    assert_eq!(send(&world, &shown, &ann().to_string()).status, 204);
}

/// V16: the endpoint and its metadata are there if the host offers it and has trusted issuers.
#[test]
fn it_is_mounted_and_in_the_metadata_only_if_it_is_offered() {
    const NAME: &str = "global_token_revocation_endpoint";
    const METHODS: &str = "global_token_revocation_endpoint_auth_methods_supported";
    let (world, ..) = world(|idp| idp);
    let metadata: Value = serde_json::from_str(&world.server.metadata()).unwrap();
    assert_eq!(metadata[NAME], format!("{ISSUER}{PATH}"));
    assert_eq!(metadata[METHODS], json!([TYPE]));
    for method in [Method::GET, Method::PUT, Method::HEAD] {
        let request = Request::builder().method(method).uri(PATH).body(String::new()).unwrap();
        let answer = world.send(request);
        assert_eq!((answer.status, answer.header("allow")), (405, Some("POST, OPTIONS")));
    }
    let form = world.send_form(PATH, Some(&format!("Bearer {}", token(&world, &json!({})))), "a=b");
    form.assert_error(400, "invalid_request");
    for off in [
        World::with(|builder| builder.trusted_issuers(MemoryStore::new())),
        World::with(|builder| builder.global_token_revocation(MemoryStore::new())),
        World::new(),
    ] {
        assert_eq!(off.server.paths().get(ServerEndpoint::GlobalRevocation), None);
        let metadata: Value = serde_json::from_str(&off.server.metadata()).unwrap();
        assert!(metadata.get(NAME).is_none() && metadata.get(METHODS).is_none());
        let endpoints = HttpEndpoints::without_interaction(Arc::clone(&off.server));
        assert_eq!(endpoints.endpoint_at(PATH), None);
        let answer = block_on(endpoints.answer(
            ServerEndpoint::GlobalRevocation,
            Request::post(PATH).header("content-type", "application/json").body("{}").unwrap(),
        ));
        assert_eq!(answer.status(), 404);
    }
}

/// V17: a stranger's failures are charged before a signature is verified. An issuer spends none.
#[test]
fn strangers_spend_the_budget_of_their_source() {
    let world = World::with(|builder| {
        let limits = RateLimits::none().with_source_failures(RateQuota::new(60, 3));
        let builder = builder.rate_limits(limits).trusted_issuers(MemoryStore::new());
        builder.global_token_revocation(MemoryStore::new())
    });
    world.users.link(&evidence_issuer(), "U1", &subject("ann"));
    trust(&world, idp().with_global_revocation(RevocationTrust::default()));
    for _ in 0..5 {
        assert_eq!(end(&world, &ann()).status, 204);
    }
    let forged = Signer::backend().with_typ(Some(TYPE)).sign(&claims(&world, &json!({})));
    for _ in 0..3 {
        assert_eq!(send(&world, &forged, "{}").status, 401);
    }
    let answer = end(&world, &ann());
    answer.assert_error(429, "temporarily_unavailable");
    assert!(answer.header("retry-after").is_some());
    world.advance(1);
    assert_eq!(end(&world, &ann()).status, 204);
}

/// Ends sessions, or fails.
#[derive(Clone, Default)]
struct Sessions(Arc<Mutex<(Vec<Subject>, bool)>>);

impl Hooks for Sessions {
    async fn before_issue(&self, _: &IssueDecision<'_>) -> Result<HookAnswer, HookError> {
        Ok(HookAnswer::Issue)
    }

    async fn end_sessions(&self, subject: &Subject) -> Result<(), HookError> {
        let mut state = self.0.lock().unwrap();
        state.0.push(subject.clone());
        if state.1 { Err(HookError::new("the session store is down")) } else { Ok(()) }
    }
}

/// V19: the hook of the host ends sessions. If it fails, access has ended all the same, and the issuer asks again.
#[test]
fn the_sessions_of_the_host_end_too() {
    let hooks = Arc::new(Sessions::default());
    let world = world_with(Arc::clone(&hooks));
    let app = world.register(code_app());
    let record = idp().with_global_revocation(RevocationTrust::default());
    block_on(world.server.admin("root").add_trusted_issuer(record)).unwrap();
    assert_eq!(end(&world, &ann()).status, 204);
    assert_eq!(hooks.0.lock().unwrap().0, [subject("ann")]);
    let tokens = world.tokens(&app);
    hooks.0.lock().unwrap().1 = true;
    let answer = end(&world, &ann());
    answer.assert_error(503, "temporarily_unavailable");
    assert!(answer.header("retry-after").is_some());
    assert!(!answer.body.contains("session"), "{answer:?}");
    assert!(world.is_revoked(&tokens));
    assert_eq!(world.last_event().outcome.as_str(), "failed");
    // Strangers reach no hook.
    send(&world, "x", &ann().to_string()).assert_error(401, "invalid_token");
    assert_eq!(hooks.0.lock().unwrap().0.len(), 2);
}

/// V18: of what apps have, and of what they ask for meanwhile, nothing survives the answer.
#[test]
fn no_access_survives_an_issuer_that_ends_it() {
    let store = Arc::new(MemoryStore::new());
    no_access_survives_an_issuer(store, Threads, rounds(3));
}
