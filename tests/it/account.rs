//! A user's own view of the apps that act in the user's name.

use grantor::admin::AuthorizedApp;
use grantor::audit::Actor;
use grantor::catalog::{ApiCatalog, Endpoint};
use grantor::clock::UnixTime;
use grantor::endpoint::{Caller, Decision, Login};
use grantor::ids::{DeviceId, GrantId, RequestId};
use grantor::protocol::ScopeToken;
use grantor::store::{Grant, GrantStore as _};
use pollster::block_on;

use crate::consent::is_asked;
use crate::support::{
    App, CALLBACK, Server, World, code_app, code_query, new_verifier, parameters, public_app,
    scope, subject,
};

/// A world whose catalog knows `a` and `b`.
fn world() -> World {
    let endpoint = |path: &str, scope: &str, title: &str| {
        let scope = ScopeToken::new(scope).unwrap();
        Endpoint::new("GET", path, scope).unwrap().with_title(title)
    };
    let catalog = ApiCatalog::new([endpoint("/a", "a", "Read A"), endpoint("/b", "b", "Read B")]);
    World::with(|builder| builder.catalog(catalog))
}

/// Lets `login` approve `app` with this scope. Returns the refresh token.
fn approve(world: &World, app: &App, login: &Login, asked: &str) -> String {
    let verifier = new_verifier();
    let query = code_query(app, &verifier, &[("scope", asked)]);
    let login = login.clone().with_moment(block_on(world.server.moment()).unwrap());
    let prompt = world.prompt(&query, &login);
    let decided =
        world.server.decide(&prompt.ticket, &login, Decision::approve(), Caller::default());
    let code = parameters(block_on(decided).unwrap().location()).remove("code").unwrap();
    let answer = world.post(
        app,
        &[
            ("grant_type", "authorization_code"),
            ("code", &code),
            ("redirect_uri", CALLBACK),
            ("code_verifier", verifier.expose_secret()),
        ],
    );
    answer.json["refresh_token"].as_str().unwrap().to_owned()
}

fn login(name: &str) -> Login {
    Login::new(subject(name), format!("session of {name}"))
}

fn apps_of(server: &Server, user: &str) -> Vec<AuthorizedApp> {
    let listed = block_on(server.account(subject(user)).apps()).unwrap();
    assert!(!listed.more);
    listed.apps
}

fn refresh(world: &World, app: &App, token: &str) -> u16 {
    world.post(app, &[("grant_type", "refresh_token"), ("refresh_token", token)]).status
}

/// Z36: the list shows each app with its scope in words, devices, the first and the last instant.
#[test]
fn a_user_sees_what_apps_may_do() {
    let world = world();
    let (reports, phone) = (world.register(code_app()), world.register(public_app()));
    assert_eq!(apps_of(&world.server, "ann"), []);
    let first = world.clock_now();
    let token = approve(&world, &reports, &login("ann"), "a c");
    let tablet = login("ann").with_device(DeviceId::new("tablet").unwrap());
    world.advance(60);
    approve(&world, &phone, &tablet, "b");
    let handset = login("ann").with_device(DeviceId::new("handset").unwrap());
    approve(&world, &phone, &handset, "b a");
    approve(&world, &phone, &login("bob"), "a b c");
    world.advance(60);
    assert_eq!(refresh(&world, &reports, &token), 200);

    let apps = apps_of(&world.server, "ann");
    let find = |app: &App| apps.iter().find(|found| found.client_id == app.id).unwrap();
    assert_eq!(apps.len(), 2);
    let found = find(&reports);
    assert_eq!((&*found.name, &*found.description), ("Reports", "Writes reports."));
    let words: Vec<_> = found.scopes.iter().map(|it| (&*it.token, it.titles.join(", "))).collect();
    assert_eq!(words, [("a", "Read A".to_owned()), ("c", String::new())]);
    assert!(found.since <= first && found.since > UnixTime::EPOCH, "{}", found.since);
    assert_eq!(found.last_used, Some(world.clock_now()));
    assert_eq!((found.grants, found.enabled), (1, true));
    assert_eq!((found.remembered, found.impersonates), (true, false));

    let found = find(&phone);
    let tokens: Vec<_> = found.scopes.iter().map(|it| &*it.token).collect();
    let devices: Vec<_> = found.devices.iter().map(DeviceId::as_str).collect();
    assert_eq!((tokens, devices), (vec!["a", "b"], vec!["handset", "tablet"]));
    assert_eq!(found.grants, 2);
    assert_eq!(apps_of(&world.server, "bob").len(), 1);

    // A scope that the app has lost is not shown, nor is a deleted app.
    world.edit(&phone, |draft| draft.scope(scope("a")));
    let apps = apps_of(&world.server, "ann");
    let found = apps.iter().find(|found| found.client_id == phone.id).unwrap();
    let tokens: Vec<_> = found.scopes.iter().map(|it| &*it.token).collect();
    assert_eq!(tokens, ["a"]);
    block_on(world.server.admin("tester").delete(&phone.id)).unwrap();
    assert_eq!(apps_of(&world.server, "ann").len(), 1);
}

/// Z36: an app that the user removes has no access any more and is asked about again; others keep theirs.
/// The audit log names the user and the request.
#[test]
fn a_user_removes_one_app() {
    let world = world();
    let (reports, other) = (world.register(code_app()), world.register(code_app()));
    let token = approve(&world, &reports, &login("ann"), "a");
    let kept = approve(&world, &other, &login("ann"), "a");
    let bobs = approve(&world, &reports, &login("bob"), "a");
    let id = RequestId::new("request-7").unwrap();
    let caller = Caller::default().at(&world.source).with_request_id(&id);
    let account = world.server.account(subject("ann")).requested_by(caller);
    for _ in 0..2 {
        block_on(account.remove(&reports.id)).unwrap();
        let event = world.last_event();
        assert_eq!(event.action.as_str(), "withdraw_consent");
        assert_eq!(event.actor, Actor::User(subject("ann")));
        let about = (event.client_id, event.subject, event.source, event.request_id);
        let ann = Some(subject("ann"));
        let expected =
            (Some(reports.id.clone()), ann, Some(world.source.clone()), Some(id.clone()));
        assert_eq!(about, expected);
    }
    assert_eq!(refresh(&world, &reports, &token), 400);
    assert_eq!(refresh(&world, &other, &kept), 200);
    assert_eq!(refresh(&world, &reports, &bobs), 200);
    let left: Vec<_> = apps_of(&world.server, "ann").into_iter().map(|it| it.client_id).collect();
    assert_eq!(left, std::slice::from_ref(&other.id));
    assert!(is_asked(&world, &reports, &[("scope", "a")]));
    assert!(!is_asked(&world, &other, &[("scope", "a")]));
    approve(&world, &reports, &login("ann"), "a");
}

/// Z36: a user who signs out everywhere ends every token on every device. The consents stay, so that apps
/// come back with a login alone.
#[test]
fn a_user_signs_out_everywhere() {
    let world = world();
    let (reports, phone) = (world.register(code_app()), world.register(public_app()));
    let tokens = [
        (&reports, approve(&world, &reports, &login("ann"), "a")),
        (&phone, approve(&world, &phone, &login("ann"), "a")),
    ];
    let bobs = approve(&world, &reports, &login("bob"), "a");
    block_on(world.server.account(subject("ann")).sign_out_everywhere()).unwrap();
    let event = world.last_event();
    assert_eq!((event.action.as_str(), event.actor.name()), ("revoke", Some("ann")));
    for (app, token) in &tokens {
        assert_eq!(refresh(&world, app, token), 400);
    }
    assert_eq!(refresh(&world, &reports, &bobs), 200);
    let left = apps_of(&world.server, "ann");
    let states: Vec<_> = left.iter().map(|it| (it.grants, it.remembered, it.last_used)).collect();
    assert_eq!(states, [(0, true, None), (0, true, None)]);
    assert!(!is_asked(&world, &reports, &[("scope", "a")]));
}

/// A user with more grants than one list reads is told so: 1,000 are read, and one more is not.
#[test]
fn a_list_reads_at_most_1000_grants() {
    let world = World::new();
    let app = world.register(code_app());
    let account = world.server.account(subject("ann"));
    let make = |number: u128| {
        let id = GrantId::from_bytes(number.to_be_bytes());
        let mut grant = Grant::new(id, app.id.clone(), subject("ann"), scope("a"));
        (grant.generation, grant.expires_at) = (1, UnixTime::MAX);
        block_on(world.store.insert_grant(grant)).unwrap();
    };
    (0..1_000).for_each(make);
    let listed = block_on(account.apps()).unwrap();
    assert_eq!((listed.more, listed.apps[0].grants), (false, 1_000));
    make(1_000);
    let listed = block_on(account.apps()).unwrap();
    assert_eq!((listed.more, listed.apps[0].grants), (true, 1_000));
}

/// Z36: the hints of a request reach the login page, as the app wrote them.
#[test]
fn the_hints_of_a_request_reach_the_login_page() {
    let world = world();
    let app = world.register(code_app());
    let more =
        [("login_hint", "ann@example.com"), ("ui_locales", "de-CH fr"), ("acr_values", "urn:mfa")];
    let query = code_query(&app, &new_verifier(), &more);
    let request = block_on(world.server.authorization_request(&query, Caller::default())).unwrap();
    assert_eq!(request.login_hint().as_deref(), Some("ann@example.com"));
    assert_eq!(request.ui_locales().as_deref(), Some("de-CH fr"));
    assert_eq!(request.acr_values().as_deref(), Some("urn:mfa"));
    let query = code_query(&app, &new_verifier(), &[("login_hint", "")]);
    let request = block_on(world.server.authorization_request(&query, Caller::default())).unwrap();
    assert_eq!((request.login_hint(), request.ui_locales()), (None, None));
}
