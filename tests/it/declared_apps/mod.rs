//! Apps that the host's configuration declares.

mod issuers;
mod reading;
mod schema;
mod secrets;

pub(crate) use schema::schema_errors;

use std::sync::{Arc, Barrier};

use grantor::admin::{Admin, AdminError, Applied, ApplyError, DeclaredApps, ImportedApp};
use grantor::app::{AppDraft, AppOrigin, CustomApp};
use grantor::audit::Actor;
use grantor::ids::ClientId;
use grantor::jwt::{Algorithm, SigningKey};
use grantor::secret::ClientSecret;
use grantor::store::{AppQuery, Page, Store};
use grantor::users::User;
use pollster::block_on;
use serde_json::{Value, json};

use crate::faulty_store::{Method, PLANTED, faulty_server};
use crate::support::{App, World, code_app, machine_app, subject};

const GRANT: (&str, &str) = ("grant_type", "client_credentials");

fn id(name: &str) -> ClientId {
    ClientId::new(name).unwrap()
}

/// Reads a declaration whose secrets are inline.
fn declared(apps: &Value) -> DeclaredApps {
    DeclaredApps::from_value(json!({ "apps": apps }), |it| Err(format!("{it:?}"))).unwrap()
}

/// A machine's declaration, with its id as a part of its secret.
fn machine(name: &str, scope: &str) -> Value {
    json!({
        "client_id": name,
        "client_secret": secret_of(name),
        "settings": { "name": name, "flows": ["client_credentials"], "scope": scope },
    })
}

fn secret_of(name: &str) -> String {
    format!("the declared secret of {name}")
}

fn app(name: &str) -> App {
    App { id: id(name), secret: Some(secret_of(name)), signature_secret: None }
}

fn apply<S: Store>(admin: &Admin<'_, S>, apps: &Value) -> Applied {
    block_on(admin.apply(&declared(apps))).unwrap()
}

fn found(world: &World, name: &str) -> Arc<CustomApp> {
    block_on(world.server.admin("t").find(&id(name))).unwrap().unwrap()
}

/// Returns the report as JSON without its empty lists.
fn shown(applied: &Applied) -> Value {
    let mut json = serde_json::to_value(applied).unwrap();
    json.as_object_mut().unwrap().retain(|_, list| list != &json!([]));
    json
}

/// Returns the actions that `deploy` did, oldest first, with the app and the reason of a refusal.
fn audited(world: &World) -> Vec<String> {
    let mut events = world.events();
    events.retain(|event| event.actor == Actor::Administrator("deploy".into()));
    events.reverse();
    let told = |event: &grantor::audit::AuditEvent| {
        let app = event.client_id.as_ref().map_or("", ClientId::as_str);
        let reason = event.outcome.reason().unwrap_or("done");
        format!("{} {app} {reason}", event.action.as_str())
    };
    events.iter().map(told).collect()
}

/// Z34: a declaration inserts apps under their ids and secrets. Applied again, it writes nothing and makes
/// no event.
#[test]
fn a_declaration_is_applied_once() {
    let world = World::unlimited();
    let faulty = faulty_server(&world);
    let admin = faulty.admin("deploy");
    let apps = json!([machine("one", "a"), machine("two", "b")]);
    assert_eq!(shown(&apply(&admin, &apps)), json!({ "inserted": ["one", "two"] }));
    for name in ["one", "two"] {
        assert_eq!(world.post(&app(name), &[GRANT]).status, 200);
        assert_eq!(found(&world, name).origin(), AppOrigin::Declared);
    }
    let before = [found(&world, "one"), found(&world, "two")];
    assert_eq!(audited(&world), ["import_app one done", "import_app two done"]);
    faulty.store().take_calls();
    for _ in 0..3 {
        let again = apply(&admin, &apps);
        assert!(again.is_unchanged());
        assert_eq!(shown(&again), json!({ "unchanged": ["one", "two"] }));
    }
    assert_eq!(faulty.store().take_calls(), [Method::ListApps; 3], "it only reads");
    assert_eq!(audited(&world).len(), 2);
    assert_eq!([found(&world, "one"), found(&world, "two")], before);
}

/// Z34: settings that differ are replaced and reported, each under the administrator's name. Grants
/// survive.
#[test]
fn a_changed_declaration_changes_the_app_and_its_grants_survive() {
    let world = World::unlimited();
    let admin = world.server.admin("deploy");
    let settings = |draft: AppDraft| serde_json::to_value(draft.build().unwrap()).unwrap();
    let apps = |settings: &Value, secret: &str| json!([{ "client_id": "web", "client_secret": secret, "settings": settings }]);
    let old = settings(code_app());
    apply(&admin, &apps(&old, &secret_of("web")));
    let tokens = world.tokens(&app("web"));

    let new = settings(code_app().name("Renamed").access_token_lifetime(77));
    let other = App { secret: Some("another declared secret".to_owned()), ..app("web") };
    let changed = apply(&admin, &apps(&new, other.secret.as_deref().unwrap()));
    let fields = json!(["access_token_lifetime", "name", "client_secret"]);
    assert_eq!(shown(&changed), json!({ "changed": [{ "client_id": "web", "changed": fields }] }));
    assert_eq!(
        audited(&world),
        ["import_app web done", "edit_app web done", "set_client_secret web done"]
    );
    assert_eq!(found(&world, "web").settings().name(), "Renamed");
    // With either secret, until the overlap of a day ends.
    let next = world.refresh(&app("web"), tokens.text("refresh_token"));
    assert_eq!((next.status, next.json["expires_in"].as_u64()), (200, Some(77)));
    assert_eq!(world.refresh(&other, next.text("refresh_token")).status, 200);
    world.advance(86_400);
    world.refresh(&app("web"), "x").assert_error(401, "invalid_client");
    world.refresh(&other, "x").assert_error(400, "invalid_grant");
}

/// Z34: an app that is no longer declared is disabled and loses its grants. Declared again, it is enabled.
/// It is never deleted.
#[test]
fn an_app_that_is_no_longer_declared_is_disabled() {
    let world = World::unlimited();
    let admin = world.server.admin("deploy");
    let web = json!({
        "client_id": "web",
        "client_secret": secret_of("web"),
        "settings": code_app().build().unwrap(),
    });
    let both = json!([web, machine("two", "b")]);
    apply(&admin, &both);
    let tokens = world.tokens(&app("web"));
    let one = json!([machine("two", "b")]);
    assert_eq!(shown(&apply(&admin, &one)), json!({ "unchanged": ["two"], "disabled": ["web"] }));
    assert!(!found(&world, "web").is_enabled() && world.is_revoked(&tokens));
    assert_eq!(found(&world, "web").origin(), AppOrigin::Withdrawn);
    assert_eq!(audited(&world).last().unwrap(), "disable_app web done");
    assert_eq!(shown(&apply(&admin, &one)), json!({ "unchanged": ["two"] }), "and stays so");

    let again = apply(&admin, &both);
    let changed = json!([{ "client_id": "web", "changed": ["enabled"] }]);
    assert_eq!(shown(&again), json!({ "changed": changed, "unchanged": ["two"] }));
    assert_eq!(audited(&world).last().unwrap(), "enable_app web done");
    assert!(world.is_revoked(&tokens), "its old grants stay revoked");
    assert_eq!(world.tokens(&app("web")).status, 200);
}

/// Z34: `enabled` of a declaration disables an app and enables it again. An app that an administrator
/// disabled stays disabled and is reported, also if it was not declared meanwhile.
#[test]
fn an_app_that_an_administrator_disabled_stays_disabled() {
    let world = World::unlimited();
    let admin = world.server.admin("deploy");
    let with = |enabled: bool| {
        let mut one = machine("one", "a");
        one["enabled"] = json!(enabled);
        json!([one])
    };
    let enabled = || found(&world, "one").is_enabled();
    apply(&admin, &with(false));
    assert!(!enabled());
    apply(&admin, &with(true));
    assert!(enabled());
    apply(&admin, &with(false));
    assert!(!enabled());
    apply(&admin, &with(true));

    block_on(world.server.admin("root").disable(&id("one"))).unwrap();
    let held = json!({ "unchanged": ["one"], "held_disabled": ["one"] });
    assert_eq!(shown(&apply(&admin, &with(true))), held);
    assert_eq!(shown(&apply(&admin, &json!([]))), json!({}));
    assert_eq!(shown(&apply(&admin, &with(false))), json!({ "unchanged": ["one"] }));
    assert_eq!(shown(&apply(&admin, &with(true))), held);
    assert!(!enabled());
    block_on(world.server.admin("root").enable(&id("one"))).unwrap();
    assert_eq!(shown(&apply(&admin, &with(true))), json!({ "unchanged": ["one"] }));
    assert_eq!(world.post(&app("one"), &[GRANT]).status, 200);
}

/// Z34: an app that an administrator registered is never touched. A declaration of its id is refused as a
/// whole, until the administrator hands the app over.
#[test]
fn an_app_of_an_administrator_is_never_touched() {
    let world = World::unlimited();
    let (root, admin) = (world.server.admin("root"), world.server.admin("deploy"));
    let own = ImportedApp::new(id("own"), machine_app().build().unwrap())
        .with_client_secret(ClientSecret::new("its own secret, long enough"), None);
    block_on(root.import(own)).unwrap();
    let before = found(&world, "own");
    let apps = json!([machine("new", "a"), machine("own", "a")]);
    for _ in 0..2 {
        let refused = block_on(admin.apply(&declared(&apps))).unwrap_err();
        let text = "apps[1].client_id: is that of an app that an administrator registered: declare \
                    another one, or hand that app over with Admin::set_origin";
        assert!(matches!(refused, ApplyError::Invalid(_)));
        assert_eq!(refused.to_string(), text);
    }
    assert_eq!(audited(&world), ["import_app own app_already_exists"; 2]);
    assert_eq!(found(&world, "own"), before);
    assert!(block_on(admin.find(&id("new"))).unwrap().is_none(), "nothing is half applied");
    // It is not disabled either, if nothing is declared.
    assert_eq!(shown(&apply(&admin, &json!([]))), json!({}));

    block_on(root.set_origin(&id("own"), AppOrigin::Declared)).unwrap();
    let fields = json!(["name", "scope", "client_secret"]);
    let changed = json!([{ "client_id": "own", "changed": fields }]);
    assert_eq!(shown(&apply(&admin, &apps)), json!({ "inserted": ["new"], "changed": changed }));
    assert_eq!(world.post(&app("own"), &[GRANT]).status, 200);
    // And back: it stays when the configuration no longer declares it.
    block_on(root.set_origin(&id("own"), AppOrigin::Registered)).unwrap();
    assert_eq!(shown(&apply(&admin, &json!([]))), json!({ "disabled": ["new"] }));
    assert!(found(&world, "own").is_enabled());
    assert_eq!(world.count("set_app_origin"), 2);
}

/// Z34: a client id that is the subject of a user is refused for a new app.
#[test]
fn a_declared_id_is_no_users_subject() {
    let world = World::unlimited();
    world.users.put(User::new(subject("one")));
    let refused =
        block_on(world.server.admin("deploy").apply(&declared(&json!([machine("one", "a")]))));
    let text = refused.unwrap_err().to_string();
    assert_eq!(text, "apps[0].client_id: must not be the subject of a user");
    assert_eq!(audited(&world), ["import_app one invalid_setting"]);
}

/// Z34: a dry run reports the same and writes nothing.
#[test]
fn a_dry_run_reports_the_same_and_writes_nothing() {
    let world = World::unlimited();
    let faulty = faulty_server(&world);
    let admin = faulty.admin("deploy");
    apply(&admin, &json!([machine("one", "a"), machine("two", "b"), machine("left", "c")]));
    let apps = json!([machine("one", "a"), machine("two", "b c"), machine("new", "d")]);
    let before = audited(&world);
    faulty.store().take_calls();
    let planned = block_on(admin.plan(&declared(&apps))).unwrap();
    let calls = faulty.store().take_calls();
    assert!(calls.iter().all(|it| [Method::ListApps, Method::FindApp].contains(it)), "{calls:?}");
    assert_eq!(audited(&world), before);
    assert_eq!(apply(&admin, &apps), planned);
    assert_eq!(
        shown(&planned),
        json!({
            "inserted": ["new"],
            "changed": [{ "client_id": "two", "changed": ["scope"] }],
            "unchanged": ["one"],
            "disabled": ["left"],
        })
    );
    assert!(
        block_on(admin.plan(&declared(&json!([{
            "client_id": "one", "settings": { "name": "x", "flows": ["client_credentials"] },
            "client_secret": "other",
        }]))))
        .is_ok()
    );
}

/// Z34: of many processes that apply one declaration at once, all succeed and one inserts each app.
#[test]
fn many_processes_apply_one_declaration_at_once() {
    let world = World::unlimited();
    let names: Vec<_> = (0..20).map(|at| format!("app-{at}")).collect();
    let of = |scope: &str| -> Value { names.iter().map(|name| machine(name, scope)).collect() };
    for (scope, inserts) in [("a", true), ("a b", false)] {
        let apps = of(scope);
        let start = Barrier::new(8);
        let run = || {
            start.wait();
            apply(&world.server.admin("deploy"), &apps)
        };
        let reports: Vec<Applied> = std::thread::scope(|threads| {
            let all: Vec<_> = (0..8).map(|_| threads.spawn(run)).collect();
            all.into_iter().map(|thread| thread.join().unwrap()).collect()
        });
        let sum = |of: fn(&Applied) -> usize| reports.iter().map(of).sum::<usize>();
        let writes = sum(|it| it.inserted.len() + it.changed.len());
        assert_eq!((writes, sum(|it| it.unchanged.len())), (20, 7 * 20));
        assert_eq!(sum(|it| it.inserted.len()), if inserts { 20 } else { 0 });
    }
    assert_eq!((world.count("import_app"), world.count("edit_app")), (20, 20));
    assert_eq!(world.post(&app("app-7"), &[GRANT]).status, 200);
}

/// Z34: an edit of another process between reading and writing costs a round, and an app that is handed
/// over meanwhile is left alone.
#[test]
fn a_change_meanwhile_is_not_overwritten_unseen() {
    let world = Arc::new(World::unlimited());
    let faulty = faulty_server(&world);
    let admin = faulty.admin("deploy");
    apply(&admin, &json!([machine("one", "a")]));
    let other = Arc::clone(&world);
    faulty.store().meanwhile(Method::ListApps, move || {
        let root = other.server.admin("root");
        block_on(root.rotate_client_secret(&id("one"), std::time::Duration::ZERO)).unwrap();
    });
    let report = apply(&admin, &json!([machine("one", "a b")]));
    let changed = json!([{ "client_id": "one", "changed": ["scope"] }]);
    assert_eq!(shown(&report), json!({ "changed": changed }));
    assert_eq!(world.post(&app("one"), &[GRANT]).status, 401, "the rotation stands");

    let other = Arc::clone(&world);
    faulty.store().meanwhile(Method::ListApps, move || {
        block_on(other.server.admin("root").set_origin(&id("one"), AppOrigin::Registered)).unwrap();
    });
    let refused = block_on(admin.apply(&declared(&json!([machine("one", "c")])))).unwrap_err();
    let ApplyError::Failed { error: AdminError::AlreadyExists, client_id, .. } = refused else {
        panic!("{refused:?}")
    };
    assert_eq!(client_id, Some(id("one")));
    assert_eq!(found(&world, "one").settings().scope().to_string(), "a b");
}

/// Z34: a failure of the store on the way tells what was done, and the next call finishes it.
#[test]
fn a_failure_on_the_way_is_finished_by_the_next_call() {
    for after in [false, true] {
        let world = World::unlimited();
        let faulty = faulty_server(&world);
        let admin = faulty.admin("deploy");
        apply(&admin, &json!([machine("old", "a"), machine("left", "a")]));
        let apps = json!([machine("new", "a"), machine("old", "a b"), machine("last", "a")]);
        for (method, name, done) in [
            (Method::InsertApp, Some("new"), json!({})),
            (Method::UpdateApp, Some("old"), json!({ "unchanged": ["new"] })),
            (Method::ListApps, None, json!({})),
        ] {
            if after {
                faulty.store().fail_after(method, 1);
            } else {
                faulty.store().fail_before(method, 1);
            }
            let failed = block_on(admin.apply(&declared(&apps))).unwrap_err();
            let ApplyError::Failed { done: told, client_id, error } = &failed else {
                panic!("{failed:?}")
            };
            assert!(matches!(error, AdminError::Store(_)));
            assert_eq!(client_id.as_ref().map(ClientId::as_str), name);
            assert!(!failed.to_string().contains(PLANTED), "{failed}");
            if name == Some("old") && !after {
                assert_eq!(shown(told), json!({ "inserted": ["new"] }));
            } else {
                assert_eq!(shown(told), done, "{after} {method:?}");
            }
        }
        let finished = apply(&admin, &apps);
        assert_eq!(finished.disabled, [id("left")]);
        assert!(apply(&admin, &apps).is_unchanged());
        for name in ["new", "old", "last"] {
            assert_eq!(world.post(&app(name), &[GRANT]).status, 200);
        }
        assert!(!found(&world, "left").is_enabled());
    }
}

/// Z34: apps of the configuration are listed by themselves, on several pages.
#[test]
fn apps_are_listed_by_their_origin() {
    let world = World::unlimited();
    let admin = world.server.admin("deploy");
    world.register(machine_app());
    let many: Value = (0..7).map(|at| machine(&format!("d{at}"), "a")).collect();
    apply(&admin, &many);
    let listed = |declared: bool, limit: usize| {
        let page = Page::first(limit);
        block_on(admin.list(&AppQuery::all().declared(declared), page)).unwrap()
    };
    assert_eq!((listed(true, 100).items.len(), listed(false, 100).items.len()), (7, 1));
    assert_eq!(listed(true, 3).next, Some(id("d2")));
}

/// Z34: a record of a store from before there were declared apps is one of an administrator, and is written
/// as before.
#[test]
fn a_record_without_an_origin_is_registered() {
    let world = World::unlimited();
    let registered = world.register(machine_app());
    let stored = block_on(world.server.admin("t").find(&registered.id)).unwrap().unwrap();
    let record = serde_json::to_value(&*stored).unwrap();
    assert!(record.get("origin").is_none() && !record.to_string().contains("declared_"));
    let read: CustomApp = serde_json::from_value(record).unwrap();
    assert_eq!(read.origin(), AppOrigin::Registered);
    apply(&world.server.admin("deploy"), &json!([machine("one", "a")]));
    let record = serde_json::to_value(&*found(&world, "one")).unwrap();
    assert_eq!(record["origin"], "declared");
    assert_eq!(serde_json::from_value::<CustomApp>(record).unwrap(), *found(&world, "one"));
}

/// A key of a test, as PEM text.
fn public_pem() -> String {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/test_only_p256_public.pem");
    std::fs::read_to_string(path).unwrap()
}

fn fresh_key() -> SigningKey {
    SigningKey::generate(Algorithm::ES256).unwrap()
}
