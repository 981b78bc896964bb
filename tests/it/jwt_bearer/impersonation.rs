//! Impersonation policies, and refreshed impersonations.

use std::sync::Arc;

use grantor::AuthorizationServer;
use grantor::app::{Flow, ImpersonationPolicy};
use grantor::ids::{Group, Resource, Subject};
use grantor::store::{GrantFilter, MemoryStore, Page};
use grantor::users::{DirectoryError, Members, User, UserDirectory};
use pollster::block_on;
use serde_json::json;

use crate::assertions::{JWT_BEARER, backend_app, backend_jwt, impersonator};
use crate::support::{Answer, App, ISSUER, World, ask, body_of, new_key, scope, subject};

fn subjects(names: &[&str]) -> Members {
    Members::subjects(names.iter().map(|name| subject(name)))
}

fn groups(names: &[&str]) -> Members {
    Members::groups(names.iter().map(|name| Group::new(*name).unwrap()))
}

fn with_policy(world: &World, policy: ImpersonationPolicy) -> App {
    world.register(impersonator(backend_jwt().with_impersonation(policy)))
}

/// J25: by default, and by an empty list, no user; else the listed users minus the excluded ones.
#[test]
fn an_app_impersonates_only_users_that_its_policy_permits() {
    let world = World::new();
    let table: [(ImpersonationPolicy, &[&str], &[&str]); 7] = [
        (ImpersonationPolicy::default(), &[], &["ann", "bob", "root"]),
        (ImpersonationPolicy::members(Members::default()), &[], &["ann", "bob", "root"]),
        (ImpersonationPolicy::anyone(), &["ann", "bob", "root"], &["gone", "unknown"]),
        (ImpersonationPolicy::members(subjects(&["ann"])), &["ann"], &["bob", "root"]),
        (ImpersonationPolicy::members(groups(&["staff"])), &["ann", "bob"], &["root", "gone"]),
        (
            ImpersonationPolicy::anyone().except(groups(&["admins"])),
            &["ann", "bob"],
            &["root", "gone"],
        ),
        (
            ImpersonationPolicy::members(groups(&["staff"])).except(subjects(&["ann"])),
            &["bob"],
            &["ann"],
        ),
    ];
    for (policy, permitted, refused) in table {
        let app = with_policy(&world, policy);
        for name in permitted {
            assert_eq!(world.act(&app, &json!({ "sub": name })).claims()["sub"], *name);
        }
        for name in refused {
            let answer = world.act(&app, &json!({ "sub": name }));
            answer.assert_error(400, "invalid_grant");
            assert_eq!(answer.text("error_description"), "the app may not act as this user");
        }
    }
}

/// J25: the audit log names the rule that refused; the app gets the same error for all.
#[test]
fn only_the_audit_log_names_the_rule_that_refused() {
    let world = World::new();
    let list = ImpersonationPolicy::members(subjects(&["ann"])).except(groups(&["admins"]));
    for (policy, name, reason) in [
        (ImpersonationPolicy::none(), "ann", "impersonation_none_allowed"),
        (list.clone(), "bob", "impersonation_not_listed"),
        (list.clone(), "root", "impersonation_excepted"),
        (list.clone(), "gone", "impersonation_inactive"),
        (list, "stranger", "unknown_user"),
    ] {
        let app = with_policy(&world, policy);
        world.act(&app, &json!({ "sub": name })).assert_error(400, "invalid_grant");
        let outcome = world.last_event().outcome;
        assert_eq!(outcome.reason(), Some(reason));
        let setting = (reason != "unknown_user").then_some("jwt.impersonation");
        assert_eq!(outcome.setting(), setting);
    }
}

/// J26: a prefix, another case or an extension of a permitted name is refused, even if the account
/// exists.
#[test]
fn names_are_compared_exactly() {
    let world = World::new();
    let variants =
        ["an", "anna", "Ann", "ANN", " ann", "ann ", "ann@example.com", "a", "\u{1d00}nn"];
    for name in variants {
        let staff = Group::new("Staff").unwrap();
        world.users.put(User::new(subject(name)).with_groups([staff]));
    }
    let members = subjects(&["ann"]).and_groups([Group::new("staff").unwrap()]);
    let app = with_policy(&world, ImpersonationPolicy::members(members));
    assert_eq!(world.act(&app, &json!({ "sub": "ann" })).status, 200);
    for name in variants {
        world.act(&app, &json!({ "sub": name })).assert_error(400, "invalid_grant");
    }
}

/// J27: an unknown user and an inactive one get no token, and the app cannot tell them apart.
#[test]
fn a_user_must_exist_and_be_active() {
    let world = World::new();
    let app = world.register(backend_app());
    let unknown = world.act(&app, &json!({ "sub": "stranger" }));
    let inactive = world.act(&app, &json!({ "sub": "gone" }));
    unknown.assert_error(400, "invalid_grant");
    assert_eq!(unknown.json, inactive.json);
    world.users.remove(&subject("ann"));
    world.act(&app, &json!({ "sub": "ann" })).assert_error(400, "invalid_grant");
    world.act(&app, &json!({ "sub": "s".repeat(4_000) })).assert_error(400, "invalid_grant");
    world.act(&app, &json!({ "sub": "line\nbreak" })).assert_error(400, "invalid_grant");
}

/// A directory of a host, in front of the users of `World`.
pub(super) enum Directory {
    /// Knows users by `email`.
    Mail(World),
    /// Folds the case of every name, as many directories do.
    Folding(World),
    /// Fails.
    Down,
}

impl UserDirectory for Directory {
    async fn find_user(&self, subject: &Subject) -> Result<Option<User>, DirectoryError> {
        match self {
            Self::Mail(world) => world.users.find_user(subject).await,
            Self::Folding(world) => {
                let folded = Subject::new(subject.as_str().to_lowercase()).unwrap();
                world.users.find_user(&folded).await
            }
            Self::Down => Err(DirectoryError::new("planted failure of the directory")),
        }
    }

    async fn find_user_by_claim(
        &self,
        claim: &str,
        value: &str,
    ) -> Result<Option<User>, DirectoryError> {
        assert_eq!(claim, "email");
        match value.strip_suffix("@example.com").map(Subject::new) {
            Some(Ok(subject)) => self.find_user(&subject).await,
            _ => Ok(None),
        }
    }
}

pub(super) type Server = AuthorizationServer<Arc<MemoryStore>, Directory>;

/// A second process on the store of `world` with another directory.
pub(super) fn server_with(world: &World, users: Directory) -> Server {
    world.beside(new_key(), Arc::clone(&world.store), users).build()
}

fn act(server: &Server, app: &App, assertion: &str) -> Answer {
    ask(server, &body_of(app, &[("grant_type", JWT_BEARER), ("assertion", assertion)]))
}

/// J27: if the app is set to another claim, the directory finds the user by it, and the token has
/// the user's own name.
#[test]
fn another_claim_may_name_the_user() {
    let world = World::new();
    let server = server_with(&world, Directory::Mail(World::new()));
    let app = world.register(impersonator(backend_jwt().with_user_claim("email")));
    let sign = |change| world.assertion(&app, &change);
    let by_mail = json!({ "sub": null, "email": "bob@example.com" });
    assert_eq!(act(&server, &app, &sign(by_mail)).claims()["sub"], "bob");
    let other_sub = json!({ "sub": "ann", "email": "bob@example.com" });
    assert_eq!(act(&server, &app, &sign(other_sub)).claims()["sub"], "bob");
    for change in [
        json!({ "email": "stranger@example.com" }),
        json!({ "email": "gone@example.com" }),
        json!({ "email": "bob" }),
        json!({ "email": ["bob@example.com"] }),
        json!({}),
    ] {
        act(&server, &app, &sign(change)).assert_error(400, "invalid_grant");
    }
}

/// N14: an app gets no token of a user with the identifier of the app, also if another claim names the user.
#[test]
fn another_claim_names_no_user_with_the_identifier_of_the_app() {
    let (world, directory) = (World::new(), World::new());
    directory.users.put(User::new(subject("seven")));
    let server = server_with(&world, Directory::Mail(directory));
    let app = world.import("seven", impersonator(backend_jwt().with_user_claim("email")));
    let claims = json!({ "sub": null, "email": "seven@example.com" });
    let answer = act(&server, &app, &world.assertion(&app, &claims));
    answer.assert_error(400, "invalid_grant");
    let text = answer.text("error_description");
    assert_eq!(text, "the user has the same identifier as the app");
}

/// J26: a directory that folds case does not widen the policy, which compares names exactly.
#[test]
fn a_case_folding_directory_does_not_widen_the_policy() {
    let world = World::new();
    let server = server_with(&world, Directory::Folding(World::new()));
    let app = world.register(backend_app());
    for name in ["ANN", "Ann"] {
        let assertion = world.assertion(&app, &json!({ "sub": name }));
        act(&server, &app, &assertion).assert_error(400, "invalid_grant");
    }
    let assertion = world.assertion(&app, &json!({}));
    assert_eq!(act(&server, &app, &assertion).claims()["sub"], "ann");
}

/// J27: a directory failure is a server error and does not consume the assertion.
#[test]
fn a_directory_failure_does_not_consume_the_assertion() {
    let world = World::new();
    let server = server_with(&world, Directory::Down);
    let app = world.register(backend_app());
    let assertion = world.assertion(&app, &json!({}));
    let answer = act(&server, &app, &assertion);
    answer.assert_error(500, "server_error");
    assert!(!answer.json.to_string().contains("planted"));
    assert!(world.last_event().outcome.reason().unwrap().contains("planted"));
    assert_eq!(world.present(&app, &assertion, &[]).status, 200);
}

/// J29: a refresh token needs both settings: the app's refresh tokens and the JWT settings'.
#[test]
fn a_refresh_token_needs_two_settings() {
    let world = World::new();
    for (app_says, jwt_says) in [(false, false), (true, false), (false, true), (true, true)] {
        let jwt = backend_jwt().with_refresh_token(jwt_says);
        let draft = impersonator(jwt).refresh_token(app_says);
        if app_says && !jwt_says {
            // Z21: the app would wait for a refresh token in vain.
            assert_eq!(draft.build().unwrap_err().field(), "refresh_token");
            continue;
        }
        let app = world.register(draft);
        let answer = world.act(&app, &json!({}));
        let expected = app_says && jwt_says;
        assert_eq!(answer.json.get("refresh_token").is_some(), expected);
        let filter = GrantFilter::all().of_app(app.id.clone());
        let grants = block_on(world.server.admin("x").grants(&filter, Page::first(9))).unwrap();
        assert_eq!(grants.items.len(), usize::from(expected), "a row only for a refresh token");
    }
}

fn refreshing(policy: ImpersonationPolicy) -> grantor::app::AppDraft {
    impersonator(backend_jwt().with_refresh_token(true).with_impersonation(policy))
        .refresh_token(true)
}

/// J29: a refresh token has a grant that the administrator sees. The token rotates and keeps its
/// actor.
#[test]
fn an_impersonation_can_be_refreshed() {
    let world = World::new();
    let app = world.register(refreshing(ImpersonationPolicy::anyone()));
    let first = world.act(&app, &json!({ "scope": "a b" }));
    let grants = block_on(world.server.admin("x").grants(&GrantFilter::all(), Page::first(9)))
        .unwrap()
        .items;
    assert_eq!(grants.len(), 1);
    assert_eq!(grants[0].actor.as_ref(), Some(&app.id));
    assert_eq!(grants[0].grant_id.to_string(), first.claims()["grant_id"]);
    assert_eq!((grants[0].generation, grants[0].scope.as_str()), (1, "a b"));

    world.advance(600);
    let second = world.refresh(&app, first.text("refresh_token"));
    assert_eq!(second.status, 200, "{second:?}");
    let (before, after) = (first.claims(), second.claims());
    for same in ["sub", "act", "client_id", "grant_id", "authorized_at", "scope"] {
        assert_eq!(before[same], after[same], "{same}");
    }
    assert_ne!(before["jti"], after["jti"]);
    let wider = [
        ("grant_type", "refresh_token"),
        ("refresh_token", second.text("refresh_token")),
        ("scope", "c"),
    ];
    world.post(&app, &wider).assert_error(400, "invalid_scope");

    world.advance(31);
    world.refresh(&app, first.text("refresh_token")).assert_error(400, "invalid_grant");
    world.refresh(&app, second.text("refresh_token")).assert_error(400, "invalid_grant");
    assert!(world.is_revoked(&first) && world.is_revoked(&second));
}

/// M5: a refresh keeps the API of the first token, even if that was the server itself and the app
/// has another default.
#[test]
fn a_refreshed_impersonation_keeps_its_api() {
    let world = World::new();
    let apis = ["https://api.example.com", "https://other.example.com"];
    let resources = apis.map(|api| Resource::new(api).unwrap());
    let draft = refreshing(ImpersonationPolicy::anyone())
        .default_resource(Some(resources[1].clone()))
        .resources(resources);
    let app = world.register(draft);
    for asked in [Some(apis[0]), Some(ISSUER), None] {
        let more: Vec<_> = asked.map(|api| ("resource", api)).into_iter().collect();
        let first = world.present(&app, &world.assertion(&app, &json!({})), &more);
        assert_eq!(first.claims()["aud"], asked.unwrap_or(apis[1]), "{first:?}");
        let second = world.refresh(&app, first.text("refresh_token"));
        assert_eq!(second.claims()["aud"], first.claims()["aud"]);
    }
}

/// J21: the refusal names the policy's scope, not the app's, as too narrow.
#[test]
fn a_scope_beyond_the_policy_names_the_policy() {
    let world = World::new();
    let policy = ImpersonationPolicy::anyone().with_scope(scope("a"));
    let app = world.register(impersonator(backend_jwt().with_impersonation(policy)));
    for (asked, setting) in [("b", "jwt.impersonation.scope"), ("x", "scope")] {
        let assertion = world.assertion(&app, &json!({}));
        let answer = world.present(&app, &assertion, &[("scope", asked)]);
        answer.assert_error(400, "invalid_scope");
        assert_eq!(world.last_event().outcome.setting(), Some(setting));
    }
}

/// J25, J29: the policy is evaluated at every refresh. A refused token works again once the policy
/// permits the user.
#[test]
fn the_policy_is_evaluated_at_every_refresh() {
    let world = World::new();
    let app = world.register(refreshing(ImpersonationPolicy::anyone()));
    let token = world.act(&app, &json!({})).text("refresh_token").to_owned();
    let set = |policy: ImpersonationPolicy| {
        let jwt = backend_jwt().with_refresh_token(true).with_impersonation(policy);
        world.edit(&app, |draft| draft.jwt(jwt));
    };
    for policy in [
        ImpersonationPolicy::none(),
        ImpersonationPolicy::members(subjects(&["bob"])),
        ImpersonationPolicy::anyone().except(groups(&["staff"])),
    ] {
        set(policy);
        let answer = world.refresh(&app, &token);
        answer.assert_error(400, "invalid_grant");
        assert_eq!(answer.text("error_description"), "the app may not act as this user");
    }
    set(ImpersonationPolicy::anyone().with_scope(scope("x")));
    world.refresh(&app, &token).assert_error(400, "invalid_scope");
    set(ImpersonationPolicy::anyone().with_scope(scope("b x")));
    let answer = world.refresh(&app, &token);
    assert_eq!(answer.text("scope"), "b");
    let token = answer.text("refresh_token").to_owned();

    set(ImpersonationPolicy::members(groups(&["staff"])));
    world.users.put(User::new(subject("ann")));
    world.refresh(&app, &token).assert_error(400, "invalid_grant");
    let staff = || User::new(subject("ann")).with_groups([Group::new("staff").unwrap()]);
    world.users.put(staff().with_active(false));
    world.refresh(&app, &token).assert_error(400, "invalid_grant");
    world.users.put(staff());
    assert_eq!(world.refresh(&app, &token).text("scope"), "a b c");
}

/// J29: an app that lost the flow, or its refresh tokens, cannot refresh.
#[test]
fn an_app_that_lost_the_flow_cannot_refresh_through_it() {
    let world = World::new();
    let app = world.register(refreshing(ImpersonationPolicy::anyone()));
    let token = world.act(&app, &json!({})).text("refresh_token").to_owned();
    let callback = grantor::protocol::RedirectUri::parse(crate::support::CALLBACK).unwrap();
    let both = [Flow::JwtBearer, Flow::AuthorizationCode];
    world.edit(&app, |draft| draft.jwt(backend_jwt()).redirect_uri(callback).flows(both));
    world.refresh(&app, &token).assert_error(400, "unauthorized_client");
    let jwt = backend_jwt().with_refresh_token(true);
    world.edit(&app, |draft| draft.jwt(jwt.clone()).flows([Flow::AuthorizationCode]));
    world.refresh(&app, &token).assert_error(400, "unauthorized_client");
    world.edit(&app, |draft| draft.flows([Flow::JwtBearer]));
    assert_eq!(world.refresh(&app, &token).status, 200);
}
