//! Many apps at once: `export_all`, `plan_import` and `import_all`.

use std::sync::Arc;

use grantor::MemoryStore;
use grantor::admin::{DeclaredApps, ExportError, ImportError, ImportedApp};
use grantor::ids::ClientId;
use pollster::block_on;
use serde_json::{Value, json};

use crate::faulty_store::{FaultyStore, Method};
use crate::support::{World, code_app, machine_app, new_key};

fn read(apps: &Value) -> DeclaredApps {
    let reader = |_: &_| Err("no reference".to_owned());
    DeclaredApps::from_json(&json!({ "apps": apps }).to_string(), reader).unwrap()
}

fn app(client_id: &str, name: &str) -> Value {
    let settings = json!({ "name": name, "flows": ["client_credentials"], "scope": "a" });
    json!({ "client_id": client_id, "settings": settings })
}

fn ids(apps: &[ClientId]) -> Vec<&str> {
    apps.iter().map(ClientId::as_str).collect()
}

/// H14: a plan names each app with its fate and writes nothing; the import does that and no more.
#[test]
fn an_import_of_many_apps_does_what_its_plan_says() {
    let world = World::new();
    let (old, kept) = (world.import("old", machine_app()), world.register(code_app()));
    let admin = world.server.admin("ann");
    let apps = read(&json!([app("old", "New name"), app("new", "New")]));
    let events = world.events().len();
    let plan = block_on(admin.plan_import(&apps)).unwrap();
    assert_eq!((ids(&plan.inserted), ids(&plan.generated)), (vec!["new"], vec!["new"]));
    let changed: Vec<_> = plan.changed.iter().map(|it| it.client_id.as_str()).collect();
    assert_eq!(
        (changed, plan.changed[0].changed.contains(&"name".to_owned())),
        (vec!["old"], true)
    );
    assert!(plan.disabled.is_empty() && plan.unchanged.is_empty() && !plan.is_unchanged());
    assert_eq!(world.events().len(), events);
    assert!(matches!(block_on(admin.import_all(&apps, "")), Err(ImportError::Changed)));
    let done = block_on(admin.import_all(&apps, &plan.fingerprint())).unwrap();
    assert!(done.failed.is_none() && done.inserted[0].client_secret.is_some());
    let after = block_on(admin.find(&old.id)).unwrap().unwrap();
    assert_eq!((after.settings().name(), after.origin().is_declared()), ("New name", false));
    assert!(block_on(admin.find(&kept.id)).unwrap().unwrap().is_enabled());
    let plan = block_on(admin.plan_import(&apps)).unwrap();
    assert!(plan.is_unchanged(), "{plan:?}");
}

/// H14: a secret of the file is set beside the old one, which stays valid for a day.
#[test]
fn an_imported_secret_overlaps_with_the_stored_one() {
    let world = World::new();
    let mut old = world.import("old", machine_app());
    let admin = world.server.admin("ann");
    let mut file = app("old", "Machine");
    file["client_secret"] = json!("a secret of the other server");
    let apps = read(&json!([file]));
    let plan = block_on(admin.plan_import(&apps)).unwrap();
    assert!(plan.changed[0].changed.contains(&"client_secret".to_owned()));
    assert!(block_on(admin.import_all(&apps, &plan.fingerprint())).unwrap().failed.is_none());
    let works = |app: &crate::support::App| {
        world.post(app, &[("grant_type", "client_credentials")]).status == 200
    };
    assert!(works(&old));
    world.advance(86_401);
    assert!(!works(&old));
    old.secret = Some("a secret of the other server".to_owned());
    assert!(works(&old));
    assert!(block_on(admin.plan_import(&apps)).unwrap().is_unchanged());
}

/// H14: a failure on the way keeps what was done, with its secrets, and a new plan goes on.
#[test]
fn an_import_that_fails_on_the_way_says_where_and_goes_on() {
    let world = World::new();
    let store = Arc::new(FaultyStore::new(Arc::<MemoryStore>::clone(&world.store)));
    let server = world.beside(new_key(), Arc::clone(&store), Arc::clone(&world.users)).build();
    let admin = server.admin("ann");
    let apps = read(&json!([app("a", "A"), app("b", "B"), app("c", "C")]));
    let plan = block_on(admin.plan_import(&apps)).unwrap();
    store.fail_before(Method::InsertApp, 2);
    let done = block_on(admin.import_all(&apps, &plan.fingerprint())).unwrap();
    assert_eq!(done.inserted.len(), 1);
    assert!(done.inserted[0].client_secret.is_some());
    assert_eq!(done.failed.unwrap().0.as_str(), "b");
    assert_eq!(world.last_event().outcome.as_str(), "failed");
    assert!(block_on(admin.find(&ClientId::new("c").unwrap())).unwrap().is_none());
    let plan = block_on(admin.plan_import(&apps)).unwrap();
    assert_eq!((ids(&plan.inserted), ids(&plan.unchanged)), (vec!["b", "c"], vec!["a"]));
    let done = block_on(admin.import_all(&apps, &plan.fingerprint())).unwrap();
    assert_eq!((done.inserted.len(), done.failed.is_none()), (2, true));
}

/// H14: an app that another administrator changes between the check and the write is not overwritten.
#[test]
fn an_app_that_changes_during_the_import_is_not_overwritten() {
    let world = World::new();
    let store = Arc::new(FaultyStore::new(Arc::<MemoryStore>::clone(&world.store)));
    let server = world.beside(new_key(), Arc::clone(&store), Arc::clone(&world.users)).build();
    let admin = server.admin("ann");
    let old = world.import("old", machine_app());
    let apps = read(&json!([app("new", "New"), app("old", "Imported")]));
    let plan = block_on(admin.plan_import(&apps)).unwrap();
    let (other, id) = (Arc::clone(&world.server), old.id.clone());
    store.meanwhile(Method::InsertApp, move || {
        let admin = other.admin("bob");
        let before = block_on(admin.find(&id)).unwrap().unwrap();
        let draft = grantor::AppDraft::from(before.settings()).name("Bob's");
        block_on(admin.edit(&id, before.version(), draft)).unwrap();
    });
    let done = block_on(admin.import_all(&apps, &plan.fingerprint())).unwrap();
    assert_eq!((done.inserted.len(), done.changed.len()), (1, 0));
    assert_eq!(done.failed.unwrap().0, old.id);
    let kept = block_on(admin.find(&old.id)).unwrap().unwrap();
    assert_eq!(kept.settings().name(), "Bob's");
}

/// H14: an import that may have ended an app's grants is audited as a disabling that failed, for the host's
/// configuration as for an administrator.
#[test]
fn a_refused_disabling_is_audited() {
    let world = World::new();
    let store = Arc::new(FaultyStore::new(Arc::<MemoryStore>::clone(&world.store)));
    let server = world.beside(new_key(), Arc::clone(&store), Arc::clone(&world.users)).build();
    let admin = server.admin("ann");
    let old = world.import("old", code_app());
    let tokens = world.tokens(&old);
    let mut file = app("old", "Ends");
    file["enabled"] = json!(false);
    let apps = read(&json!([file]));
    let plan = block_on(admin.plan_import(&apps)).unwrap();
    store.fail_before(Method::UpdateApp, 1);
    let done = block_on(admin.import_all(&apps, &plan.fingerprint())).unwrap();
    assert_eq!(done.failed.unwrap().0, old.id);
    assert!(world.is_revoked(&tokens));
    assert!(block_on(admin.find(&old.id)).unwrap().unwrap().is_enabled());
    assert_eq!((world.count("disable_app"), world.count("edit_app")), (1, 1));

    block_on(admin.set_origin(&old.id, grantor::app::AppOrigin::Declared)).unwrap();
    store.fail_before(Method::UpdateApp, 1);
    assert!(block_on(admin.apply(&apps)).is_err());
    assert_eq!((world.count("disable_app"), world.count("edit_app")), (2, 2));
}

/// H14: an export has at most 10,000 apps, and no secret.
#[test]
fn an_export_has_its_documented_bound() {
    let world = World::new();
    let admin = world.server.admin("ann");
    let settings = machine_app().build().unwrap();
    let import = |number: usize| {
        let id = ClientId::new(format!("app-{number}")).unwrap();
        block_on(admin.import(ImportedApp::new(id, settings.clone()))).unwrap();
    };
    (0..DeclaredApps::MAX_APPS).for_each(import);
    let exported = block_on(admin.export_all()).unwrap();
    assert_eq!(exported.apps().len(), 10_000);
    assert!(
        exported.apps().iter().all(|app| !app.has_client_secret() && !app.has_signature_secret())
    );
    import(DeclaredApps::MAX_APPS);
    assert!(matches!(block_on(admin.export_all()), Err(ExportError::TooMany)));
}
