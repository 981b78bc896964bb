//! The consent page: its contents, partial approval, and remembered consent.

use std::sync::Arc;

use grantor::app::{AppDraft, Flow};
use grantor::catalog::{ApiCatalog, Endpoint};
use grantor::endpoint::{
    Approval, AuthorizationError, AuthorizationResponse, Caller, ConsentPrompt, Decision, Login,
    NextStep, Voucher,
};
use grantor::ids::{DeviceId, Resource, SessionId};
use grantor::protocol::{RedirectUri, ScopeToken};
use grantor::store::{Grant, GrantFilter, GrantStore, Page, RevocationTarget};
use pollster::block_on;

use crate::faulty_store::{Method, faulty_server};
use crate::support::{
    App, CALLBACK, ISSUER, World, ann, code_app, code_query, new_verifier, parameters, redirected,
    scope, shown, subject,
};

/// Returns a prompt, and the verifier of its code.
pub(crate) fn ask(world: &World, app: &App, more: &[(&str, &str)]) -> (ConsentPrompt, String) {
    let verifier = new_verifier();
    let query = code_query(app, &verifier, more);
    (world.prompt(&query, &ann()), verifier.expose_secret().to_owned())
}

/// The user `ann`, whose session is checked from now on.
pub(crate) fn here(world: &World) -> Login {
    ann().with_moment(block_on(world.server.moment()).unwrap())
}

/// Checks if `ann` is asked.
pub(crate) fn is_asked(world: &World, app: &App, more: &[(&str, &str)]) -> bool {
    let query = code_query(app, &new_verifier(), more);
    let request = block_on(world.server.authorization_request(&query, Caller::default())).unwrap();
    match block_on(world.server.authorize(request, Some(&here(world)))).unwrap() {
        NextStep::AskConsent(_) => true,
        NextStep::LogIn(_) => panic!("the user has to log in"),
        NextStep::Redirect(response) => {
            assert!(parameters(response.location()).contains_key("code"));
            false
        }
    }
}

pub(crate) fn decide(
    world: &World,
    ticket: &str,
    login: &Login,
    decision: Decision,
) -> Result<AuthorizationResponse, AuthorizationError> {
    block_on(world.server.decide(ticket, login, decision, Caller::default().at(&world.source)))
}

pub(crate) fn approve(world: &World, ticket: &str) -> Result<String, AuthorizationError> {
    decide(world, ticket, &here(world), Decision::approve()).map(|response| code_of(&response))
}

pub(crate) fn code_of(response: &AuthorizationResponse) -> String {
    parameters(response.location()).remove("code").unwrap()
}

pub(crate) fn yes_to(text: &str) -> Decision {
    Decision::Approve(Approval::default().with_scope(scope(text)))
}

pub(crate) fn rows(world: &World) -> Vec<Grant> {
    let admin = world.server.admin("tester");
    block_on(admin.grants(&GrantFilter::all(), Page::first(200))).unwrap().items
}

/// Edits an app.
pub(crate) fn edit(world: &World, app: &App, change: impl FnOnce(AppDraft) -> AppDraft) {
    let admin = world.server.admin("tester");
    let stored = block_on(admin.find(&app.id)).unwrap().unwrap();
    let draft = change(AppDraft::from(stored.settings()));
    block_on(admin.edit(&app.id, stored.version(), draft)).unwrap();
}

/// The consent page gets names and the titles of the catalog.
#[test]
fn a_consent_page_gets_names_and_titles() {
    let endpoint = |method: &str, path: &str, token: &str, title: &str| {
        Endpoint::new(method, path, ScopeToken::new(token).unwrap()).unwrap().with_title(title)
    };
    let catalog = ApiCatalog::new([
        endpoint("GET", "/users", "GET/users", "List users"),
        endpoint("GET", "/users/{id}", "GET/users/*", "Look at a user"),
        endpoint("GET", "/users/{id}/files", "GET/users/*/files", "See a user's <b>files</b>"),
        endpoint("POST", "/mail", "mail.send", "Send mail"),
    ]);
    let world = World::with(|builder| builder.catalog(catalog));
    let app = world.register(code_app().scope(scope("GET/users/* mail.send unknown")));
    let (prompt, _) = ask(&world, &app, &[]);
    assert_eq!(prompt.app_name, "Reports");
    assert_eq!(prompt.app_description, "Writes reports.");
    assert_eq!(prompt.redirect_uri.as_str(), CALLBACK);
    assert_eq!(prompt.subject, subject("ann"));
    assert_eq!(prompt.expires_at.millis_since(world.events()[0].at), 600_000);
    let shown: Vec<_> =
        prompt.scopes.iter().map(|scope| (&*scope.token, scope.titles.join(", "))).collect();
    assert_eq!(
        shown,
        [
            ("GET/users/*", "Look at a user, See a user's <b>files</b>".to_owned()),
            ("mail.send", "Send mail".to_owned()),
            ("unknown", String::new()),
        ]
    );
    let (narrow, _) = ask(&world, &app, &[("scope", "mail.send")]);
    assert_eq!(narrow.scopes.len(), 1);
    let plain = World::new();
    let app = plain.register(code_app());
    let (prompt, _) = ask(&plain, &app, &[("scope", "b a")]);
    let tokens: Vec<_> =
        prompt.scopes.iter().map(|scope| (&*scope.token, scope.titles.len())).collect();
    assert_eq!(tokens, [("a", 0), ("b", 0)]);
}

/// G18: if the user approves part of the scope, tokens and refreshes have that part.
#[test]
fn a_user_may_approve_less() {
    let world = World::new();
    let app = world.register(code_app().scope(scope("GET/users/* a b")));
    let (prompt, verifier) = ask(&world, &app, &[]);
    let response = decide(&world, &prompt.ticket, &ann(), yes_to("GET/users/42 a")).unwrap();
    let answer = world.redeem(&app, &code_of(&response), &verifier);
    assert_eq!(answer.text("scope"), "GET/users/42 a");
    let next = world.refresh(&app, answer.text("refresh_token"));
    assert_eq!(next.text("scope"), "GET/users/42 a");
}

/// An approval beyond the request is refused, even within the app's scope. The ticket stays usable,
/// and the event names the app.
#[test]
fn an_approval_cannot_exceed_the_request() {
    let world = World::new();
    let app = world.register(code_app().scope(scope("GET/users/* a b")));
    let (prompt, _) = ask(&world, &app, &[("scope", "GET/users/42 a")]);
    for wider in ["a b", "b", "GET/users/*", "GET/users/43", "a evil"] {
        let error = decide(&world, &prompt.ticket, &ann(), yes_to(wider)).unwrap_err();
        assert_eq!(shown(&error), "invalid_scope", "{wider}");
        assert_eq!(world.events()[0].client_id.as_ref(), Some(&app.id));
    }
    assert_eq!(rows(&world).len(), 0);
    assert!(decide(&world, &prompt.ticket, &ann(), yes_to("a")).is_ok());
}

/// A27: approving no scope is a denial. If the request had no scope, it is an approval.
#[test]
fn approving_no_scope_is_a_denial() {
    let world = World::new();
    let app = world.register(code_app());
    let (prompt, _) = ask(&world, &app, &[]);
    let error = decide(&world, &prompt.ticket, &ann(), yes_to("")).unwrap_err();
    assert_eq!(redirected(&error).1["error"], "access_denied");
    assert_eq!(world.events()[0].action.as_str(), "deny_authorization");
    assert_eq!(shown(&approve(&world, &prompt.ticket).unwrap_err()), "invalid_request");
    assert!(is_asked(&world, &app, &[]));
    let bare = world.register(code_app().scope(scope("")));
    let (prompt, verifier) = ask(&world, &bare, &[]);
    let response = decide(&world, &prompt.ticket, &ann(), yes_to("")).unwrap();
    assert_eq!(world.redeem(&bare, &code_of(&response), &verifier).status, 200);
}

/// M13: a remembered consent covers the same and narrower scope. Wider scope and `prompt=consent` always
/// ask.
#[test]
fn remembered_consent_is_not_asked_for_again() {
    let world = World::new();
    let app = world.register(code_app().scope(scope("GET/users/* a b")));
    assert!(is_asked(&world, &app, &[("scope", "GET/users/* a")]));
    let (prompt, _) = ask(&world, &app, &[("scope", "GET/users/* a")]);
    approve(&world, &prompt.ticket).unwrap();
    for known in ["a", "GET/users/* a", "GET/users/42"] {
        assert!(!is_asked(&world, &app, &[("scope", known)]), "{known}");
        assert!(is_asked(&world, &app, &[("scope", known), ("prompt", "consent")]), "{known}");
    }
    for more in ["b", "a b", ""] {
        assert!(is_asked(&world, &app, &[("scope", more)]), "{more}");
    }
    let other = world.register(code_app().scope(scope("a")));
    assert!(is_asked(&world, &other, &[("scope", "a")]));
    let query = code_query(&app, &new_verifier(), &[("scope", "a")]);
    let request = block_on(world.server.authorization_request(&query, Caller::default())).unwrap();
    let bob = Login::new(subject("bob"), "session of bob");
    assert!(matches!(
        block_on(world.server.authorize(request, Some(&bob))).unwrap(),
        NextStep::AskConsent(_)
    ));
    // Approvals of two requests add up.
    let (prompt, _) = ask(&world, &app, &[("scope", "b")]);
    approve(&world, &prompt.ticket).unwrap();
    assert!(!is_asked(&world, &app, &[("scope", "a b")]));
    edit(&world, &app, |draft| draft.scope(scope("GET/users/* a b c")));
    assert!(is_asked(&world, &app, &[]));
}

/// An approval is remembered only if the user agreed to that, and a denial withdraws nothing.
#[test]
fn consent_is_remembered_only_if_the_user_agreed_to_that() {
    let world = World::new();
    let app = world.register(code_app());
    let (prompt, _) = ask(&world, &app, &[]);
    let once = Decision::Approve(Approval::default().with_remember(false));
    decide(&world, &prompt.ticket, &ann(), once).unwrap();
    assert!(is_asked(&world, &app, &[]));
    let (prompt, _) = ask(&world, &app, &[]);
    decide(&world, &prompt.ticket, &ann(), yes_to("a")).unwrap();
    assert!(is_asked(&world, &app, &[]));
    let (prompt, _) = ask(&world, &app, &[("scope", "a"), ("prompt", "consent")]);
    decide(&world, &prompt.ticket, &ann(), Decision::Deny).unwrap_err();
    assert!(!is_asked(&world, &app, &[("scope", "a")]));
}

/// RFC 8252 section 8.6: a public app that other software could impersonate always asks. Other apps
/// do not if the administrator or the user said so.
#[test]
fn an_app_that_other_software_could_impersonate_always_asks() {
    let world = World::new();
    let draft = |public: bool, uri: &str| {
        let new = if public { AppDraft::public } else { AppDraft::confidential };
        let uri = RedirectUri::parse(uri).unwrap();
        new("App").flow(Flow::AuthorizationCode).scope(scope("a")).redirect_uri(uri)
    };
    for (public, uri, always) in [
        (true, "com.example.app:/done", true),
        (true, "myapp://127.0.0.1/done", true),
        (true, "http://127.0.0.1:7000/done", true),
        (true, "http://[::1]/done", true),
        (true, "https://app.example.com/done", false),
        (false, "com.example.app:/done", false),
        (false, "http://127.0.0.1:7000/done", false),
    ] {
        let trusted = world.register(draft(public, uri).require_consent(false));
        let named = [("redirect_uri", uri)];
        assert_eq!(is_asked(&world, &trusted, &named), always, "{uri}");
        let app = world.register(draft(public, uri));
        let (prompt, _) = ask(&world, &app, &named);
        approve(&world, &prompt.ticket).unwrap();
        assert_eq!(is_asked(&world, &app, &named), always, "{uri}");
    }
    let trusted = world.register(code_app().require_consent(false));
    assert!(is_asked(&world, &trusted, &[("prompt", "consent")]));
}

/// A code issued without a prompt is bound, redeemed and audited like any other.
#[test]
fn a_code_issued_without_a_prompt_works_like_any_other() {
    let world = World::new();
    let app = world.register(code_app().require_consent(false));
    let verifier = new_verifier();
    let query = code_query(&app, &verifier, &[("scope", "a"), ("state", "s")]);
    let parameters = world.approve(&query).unwrap();
    assert_eq!((&*parameters["state"], &*parameters["iss"]), ("s", ISSUER));
    let event = &world.events()[0];
    assert_eq!((event.action.as_str(), event.outcome.as_str()), ("issue_code", "success"));
    let wrong = new_verifier();
    let code = &parameters["code"];
    world.redeem(&app, code, wrong.expose_secret()).assert_error(400, "invalid_grant");
    let answer = world.redeem(&app, code, verifier.expose_secret());
    assert_eq!(answer.text("scope"), "a");
    world.redeem(&app, code, verifier.expose_secret()).assert_error(400, "invalid_grant");
}

/// R17: a withdrawn consent is asked for again, and its codes and tokens end. Those of other users
/// and apps live.
#[test]
fn withdrawing_a_consent_revokes_its_tokens() {
    let world = World::new();
    let (app, other) = (world.register(code_app()), world.register(code_app()));
    let refresh_token = world.tokens(&app).text("refresh_token").to_owned();
    let others = world.tokens(&other).text("refresh_token").to_owned();
    let (prompt, verifier) = ask(&world, &app, &[]);
    let code = approve(&world, &prompt.ticket).unwrap();
    assert!(!is_asked(&world, &app, &[]));
    let admin = world.server.admin("tester");
    block_on(admin.withdraw_consent(&app.id, &subject("ann"))).unwrap();
    assert!(is_asked(&world, &app, &[]));
    world.refresh(&app, &refresh_token).assert_error(400, "invalid_grant");
    world.redeem(&app, &code, &verifier).assert_error(400, "invalid_grant");
    assert_eq!(world.refresh(&other, &others).status, 200);
    let again = world.tokens(&app);
    assert_eq!(world.refresh(&app, again.text("refresh_token")).status, 200);
}

/// R17: consent after a withdrawal is remembered, even within the same millisecond.
#[test]
fn consent_after_a_withdrawal_is_remembered() {
    let world = World::new();
    let app = world.register(code_app());
    let admin = world.server.admin("tester");
    for _ in 0..3 {
        block_on(admin.withdraw_consent(&app.id, &subject("ann"))).unwrap();
        let (prompt, _) = ask(&world, &app, &[]);
        approve(&world, &prompt.ticket).unwrap();
        assert!(!is_asked(&world, &app, &[]));
        let consent = block_on(world.store.find_consent(&app.id, &subject("ann"))).unwrap();
        let given_at = consent.unwrap().given_at;
        assert!(rows(&world).iter().any(|row| row.authorized_at == given_at));
    }
}

/// The grant records the device that the host names, with and without a prompt.
#[test]
fn a_grant_records_its_device() {
    let world = World::new();
    let app = world.register(code_app());
    let device = DeviceId::new("phone-1").unwrap();
    let login = ann().with_device(device.clone());
    let mut tokens = Vec::new();
    for _ in 0..2 {
        let verifier = new_verifier();
        let query = code_query(&app, &verifier, &[]);
        let request =
            block_on(world.server.authorization_request(&query, Caller::default())).unwrap();
        let response = match block_on(world.server.authorize(request, Some(&login))).unwrap() {
            NextStep::AskConsent(prompt) => {
                let yes = Decision::approve();
                block_on(world.server.decide(&prompt.ticket, &login, yes, Caller::default()))
                    .unwrap()
            }
            NextStep::Redirect(response) => response,
            NextStep::LogIn(_) => panic!("the user has to log in"),
        };
        let code = &parameters(response.location())["code"];
        tokens.push(world.redeem(&app, code, verifier.expose_secret()));
    }
    let target = RevocationTarget::Device(app.id.clone(), subject("ann"), device.clone());
    block_on(world.server.admin("tester").revoke(target)).unwrap();
    for answer in &tokens {
        assert_eq!(answer.claims()["device"], device.as_str());
        assert!(world.is_revoked(answer));
    }
}

/// Access tokens and introspection state how the user authenticated and in which session, after a refresh
/// too. The end of the session ends them, and those of another session live.
#[test]
fn a_grant_records_the_session_and_how_the_user_authenticated() {
    let world = World::new();
    let app = world.register(code_app());
    let in_session = |name: &str| {
        let methods = ["pwd", "otp"].map(|method| method.parse().unwrap());
        let login = ann().with_session_id(name.parse().unwrap());
        login.with_acr("urn:loa:2".parse().unwrap()).with_amr(methods)
    };
    let get = |login: &Login| {
        let verifier = new_verifier();
        let query = code_query(&app, &verifier, &[]);
        let request =
            block_on(world.server.authorization_request(&query, Caller::default())).unwrap();
        let response = match block_on(world.server.authorize(request, Some(login))).unwrap() {
            NextStep::AskConsent(prompt) => {
                let yes = Decision::approve();
                block_on(world.server.decide(&prompt.ticket, login, yes, Caller::default()))
                    .unwrap()
            }
            NextStep::Redirect(response) => response,
            NextStep::LogIn(_) => panic!("the user has to log in"),
        };
        let code = &parameters(response.location())["code"];
        world.redeem(&app, code, verifier.expose_secret())
    };
    let (first, other) = (get(&in_session("one")), get(&in_session("two")));
    let refreshed = world.refresh(&app, first.text("refresh_token"));
    let introspected = world.introspect(&app, refreshed.text("refresh_token"));
    let told = [first.claims(), refreshed.claims(), introspected.json.clone()];
    for claims in told {
        assert_eq!(claims["sid"], "one");
        assert_eq!(claims["acr"], "urn:loa:2");
        assert_eq!(claims["amr"], serde_json::json!(["pwd", "otp"]));
    }
    let one: SessionId = "one".parse().unwrap();
    let of_session = GrantFilter::all().of_session(one.clone());
    let admin = world.server.admin("tester");
    let listed = block_on(admin.grants(&of_session, Page::first(9))).unwrap().items;
    assert_eq!(listed.len(), 1);
    block_on(admin.revoke(RevocationTarget::Session(one))).unwrap();
    assert!(world.is_revoked(&first) && world.is_revoked(&refreshed));
    assert!(!world.is_revoked(&other));
}

/// An empty session would bind a ticket to no session.
#[test]
fn an_empty_session_is_refused() {
    let world = World::new();
    let app = world.register(code_app());
    let query = code_query(&app, &new_verifier(), &[]);
    let request = block_on(world.server.authorization_request(&query, Caller::default())).unwrap();
    let login = Login::new(subject("ann"), "");
    let error = block_on(world.server.authorize(request, Some(&login))).unwrap_err();
    assert_eq!(shown(&error), "server_error");
}

/// Consent for one API skips no prompt for another. A request that names a resource always asks,
/// and its consent is not remembered for requests without one.
#[test]
fn consent_for_a_named_api_is_never_remembered() {
    let world = World::new();
    let api = Resource::new("https://api.example.com").unwrap();
    let app = world.register(code_app().resources([api.clone()]));
    let named = [("resource", api.as_str())];
    let (prompt, _) = ask(&world, &app, &named);
    approve(&world, &prompt.ticket).unwrap();
    assert!(is_asked(&world, &app, &named));
    assert!(is_asked(&world, &app, &[]));
    let (prompt, _) = ask(&world, &app, &[]);
    approve(&world, &prompt.ticket).unwrap();
    assert!(!is_asked(&world, &app, &[]));
    assert!(is_asked(&world, &app, &named));
}

/// An app imported under the client id of a deleted app inherits no consent.
#[test]
fn consent_ends_with_the_deletion_of_its_app() {
    let world = World::new();
    let app = world.register(code_app());
    let (prompt, _) = ask(&world, &app, &[]);
    approve(&world, &prompt.ticket).unwrap();
    assert!(!is_asked(&world, &app, &[]));
    let admin = world.server.admin("tester");
    let export = block_on(admin.export(&app.id)).unwrap();
    block_on(admin.delete(&app.id)).unwrap();
    block_on(admin.import(export.into())).unwrap();
    assert!(is_asked(&world, &app, &[]));
}

/// A withdrawal between the look-up of the consent and the insertion of the grant ends that grant.
#[test]
fn a_consent_withdrawn_during_the_prompt_gives_no_code() {
    let world = World::new();
    let app = world.register(code_app());
    let (prompt, _) = ask(&world, &app, &[]);
    approve(&world, &prompt.ticket).unwrap();
    let server = faulty_server(&world);
    for no_page in [false, true] {
        let (store, id, now) = (Arc::clone(&world.store), app.id.clone(), world.clock_now());
        server.store().meanwhile(Method::FindConsent, move || {
            block_on(store.withdraw_consent(&id, &subject("ann"), now, now)).unwrap();
        });
        let more = if no_page { &[("prompt", "none")][..] } else { &[] };
        let query = code_query(&app, &new_verifier(), more);
        let request = block_on(server.authorization_request(&query, Caller::default())).unwrap();
        let prompted = block_on(server.authorize(request, Some(&ann())));
        let live = || rows(&world).into_iter().filter(|row| row.revoked.is_none()).count();
        match prompted {
            Ok(NextStep::AskConsent(prompt)) if !no_page => {
                assert_eq!(live(), 1);
                let login = here(&world);
                block_on(server.decide(
                    &prompt.ticket,
                    &login,
                    Decision::approve(),
                    Caller::default(),
                ))
                .unwrap();
            }
            Err(error) if no_page => assert_eq!(redirected(&error).1["error"], "consent_required"),
            other => panic!("{other:?}"),
        }
    }
}

/// Z22: the prompt tells whether an answer can be remembered, and what the user agreed to before.
#[test]
fn a_prompt_tells_what_can_be_remembered_and_what_was() {
    let world = World::new();
    let api = Resource::new("https://api.example.com").unwrap();
    let app = world.register(code_app().resources([api.clone()]));
    let agreed = |prompt: &ConsentPrompt| {
        let scopes = prompt.scopes.iter().filter(|scope| scope.agreed);
        scopes.map(|scope| scope.token.clone()).collect::<Vec<_>>()
    };
    let (prompt, _) = ask(&world, &app, &[("scope", "a")]);
    assert!(prompt.can_be_remembered && agreed(&prompt).is_empty());
    assert_eq!(prompt.vouched_by, Voucher::Administrator);
    approve(&world, &prompt.ticket).unwrap();
    let (prompt, _) = ask(&world, &app, &[("scope", "a b")]);
    assert!(prompt.can_be_remembered);
    assert_eq!(agreed(&prompt), ["a"]);
    // An app that names an API is asked each time.
    let (prompt, _) = ask(&world, &app, &[("scope", "a b"), ("resource", api.as_str())]);
    assert!(!prompt.can_be_remembered);
    assert_eq!((agreed(&prompt), prompt.resources), (vec!["a".to_owned()], vec![api]));
    world.edit(&app, |draft| draft.require_consent(false));
    let (prompt, _) = ask(&world, &app, &[("prompt", "consent")]);
    assert!(!prompt.can_be_remembered);
    let admin = world.server.admin("tester");
    block_on(admin.withdraw_consent(&app.id, &subject("ann"))).unwrap();
    let (prompt, _) = ask(&world, &app, &[("prompt", "consent")]);
    assert!(agreed(&prompt).is_empty());
    // RFC 8252 section 8.6: any program on the device may have the redirect URI of such an app.
    let phone = AppDraft::public("Phone")
        .flow(Flow::AuthorizationCode)
        .redirect_uri(RedirectUri::parse("com.example.app:/cb").unwrap())
        .scope(scope("a"));
    let phone = world.register(phone);
    let (prompt, _) = ask(&world, &phone, &[("redirect_uri", "com.example.app:/cb")]);
    assert!(!prompt.can_be_remembered);
}
