//! Concurrent administrators, exported and imported apps, and the administrator in the audit log.

use std::sync::{Arc, Barrier, mpsc};
use std::time::Duration;

use grantor::admin::{AdminError, AppExport, ImportedApp};
use grantor::app::{AppDraft, Flow};
use grantor::audit::{Action, Actor, AuditQuery};
use grantor::ids::ClientId;
use grantor::secret::ClientSecret;
use grantor::store::RevocationTarget;
use pollster::block_on;
use serde_json::json;

use crate::assertions::backend_jwt;
use crate::faulty_store::{Method, faulty_server};
use crate::support::{App, World, code_app, machine_app, scope, subject};

fn version(world: &World, app: &App) -> u64 {
    block_on(world.server.admin("root").find(&app.id)).unwrap().unwrap().version()
}

/// Deletes an app, and imports it under the same client id with new secrets.
fn replace(world: &World, id: &ClientId) -> App {
    let admin = world.server.admin("eve");
    block_on(admin.delete(id)).unwrap();
    let import = ImportedApp::new(id.clone(), machine_app().build().unwrap());
    App::from(block_on(admin.import(import)).unwrap())
}

fn credentials(world: &World, app: &App) -> u16 {
    world.post(app, &[("grant_type", "client_credentials")]).status
}

/// N9: a change that has read an app is applied to the app that was imported meanwhile under its client
/// id, and brings no secret of the deleted one back. An edit of a version that was read is a conflict.
#[test]
fn a_change_of_a_deleted_app_spares_the_imported_one() {
    type Act<'a> = Box<dyn Fn() -> bool + 'a>;

    let world = Arc::new(World::unlimited());
    let old = world.register(machine_app());
    let faulty = faulty_server(&world);
    let admin = faulty.admin("root");
    let id = &old.id;
    let version = version(&world, &old);
    let acts: [Act<'_>; 4] = [
        Box::new(|| block_on(admin.add_scope(id, &scope("d"))).is_ok()),
        Box::new(|| block_on(admin.remove_superseded_secrets(id)).is_ok()),
        Box::new(|| block_on(admin.regenerate_signature_secret(id)).is_ok()),
        Box::new(|| block_on(admin.edit(id, version, machine_app())).is_err()),
    ];
    let mut now = old.clone();
    for act in acts {
        let (imported, told) = mpsc::channel();
        let (elsewhere, id) = (Arc::clone(&world), old.id.clone());
        faulty.store().meanwhile(Method::FindApp, move || {
            imported.send(replace(&elsewhere, &id)).unwrap();
        });
        assert!(act());
        let before = std::mem::replace(&mut now, told.recv().unwrap());
        for leaked in [&old, &before] {
            assert_eq!(credentials(&world, leaked), 401);
        }
        assert_eq!(credentials(&world, &now), 200);
    }
}

/// N9: an app that is enabled again while it is being deleted is shut again before it goes, so an app
/// imported later under its client id inherits no grant.
#[test]
fn a_deletion_leaves_nothing_that_was_granted_while_it_ran() {
    let world = Arc::new(World::unlimited());
    let app = world.register(code_app());
    let faulty = faulty_server(&world);
    let (granted, told) = mpsc::channel();
    let (elsewhere, its) = (Arc::clone(&world), app.clone());
    // Right after the second revocation of the deletion, which is its last step but one.
    let act = move || {
        block_on(elsewhere.server.admin("eve").enable(&its.id)).unwrap();
        granted.send(elsewhere.tokens(&its)).unwrap();
    };
    let store = Arc::clone(faulty.store());
    faulty.store().meanwhile(Method::UpdateApp, move || store.meanwhile(Method::Revoke, act));
    block_on(faulty.admin("root").delete(&app.id)).unwrap();
    let tokens = told.recv().unwrap();
    let import = ImportedApp::new(app.id.clone(), code_app().build().unwrap())
        .with_client_secret(ClientSecret::new(app.secret.as_deref().unwrap()), None);
    block_on(world.server.admin("root").import(import)).unwrap();
    assert!(world.is_revoked(&tokens));
    world.refresh(&app, tokens.text("refresh_token")).assert_error(400, "invalid_grant");
}

/// Of 16 administrators who read one version, one replaces the settings. The others get both
/// versions in the error, and none of their settings is stored.
#[test]
fn one_of_many_concurrent_edits_of_a_version_wins() {
    let world = World::new();
    let app = world.register(code_app());
    let first = version(&world, &app);
    let start = Barrier::new(16);
    let edit = |name: String| {
        let admin = world.server.admin("root");
        let before = block_on(admin.find(&app.id)).unwrap().unwrap();
        start.wait();
        let draft = AppDraft::from(before.settings()).name(name);
        block_on(admin.edit(&app.id, before.version(), draft))
    };
    let edit = &edit;
    let results: Vec<_> = std::thread::scope(|threads| {
        let threads: Vec<_> =
            (0..16).map(|n| threads.spawn(move || edit(format!("Name {n}")))).collect();
        threads.into_iter().map(|it| it.join().unwrap()).collect()
    });
    let (won, lost): (Vec<_>, Vec<_>) = results.into_iter().partition(Result::is_ok);
    assert_eq!((won.len(), lost.len()), (1, 15));
    for error in lost {
        let conflict = error.unwrap_err();
        let AdminError::Conflict { expected, found } = conflict else { panic!("{conflict:?}") };
        assert_eq!((expected, found), (first, first + 1));
    }
    let stored = block_on(world.server.admin("root").find(&app.id)).unwrap().unwrap();
    let winner = won.into_iter().next().unwrap().unwrap();
    assert_eq!((stored.settings().name(), stored.version()), (winner.settings().name(), first + 1));
}

/// Concurrent calls that each change one thing are all applied.
#[test]
fn concurrent_small_changes_are_all_applied() {
    let world = World::new();
    let app = world.register(code_app());
    let first = version(&world, &app);
    let start = Barrier::new(16);
    std::thread::scope(|threads| {
        for n in 0..16 {
            let (world, app, start) = (&world, &app, &start);
            threads.spawn(move || {
                start.wait();
                let added = scope(&format!("s{n}"));
                block_on(world.server.admin("root").add_scope(&app.id, &added)).unwrap();
            });
        }
    });
    let stored = block_on(world.server.admin("root").find(&app.id)).unwrap().unwrap();
    assert_eq!(stored.version(), first + 16);
    assert!((0..16).all(|n| stored.settings().scope().covers(&scope(&format!("s{n}")))));
}

/// An export holds every setting and no secret. The import is the same app with new secrets.
#[test]
fn an_app_moves_as_json_without_its_secrets() {
    let world = World::new();
    let draft = code_app().flow(Flow::JwtBearer).jwt(backend_jwt()).access_token_lifetime(77);
    let app = world.register(draft);
    let admin = world.server.admin("root");
    let stored = block_on(admin.find(&app.id)).unwrap().unwrap();
    let export = block_on(admin.export(&app.id)).unwrap();
    let text = serde_json::to_string(&export).unwrap();
    let digest = serde_json::to_value(stored.credentials()).unwrap();
    let digest = digest["client_secrets"][0]["digest"]["digest"].as_str().unwrap().to_owned();
    let secrets = [app.secret.clone().unwrap(), app.signature_secret.clone().unwrap(), digest];
    for secret in &secrets {
        assert!(!text.contains(secret.as_str()));
    }
    assert!(!text.contains("client_secrets") && !text.contains("sealed"));

    let elsewhere = World::new();
    let other_admin = elsewhere.server.admin("root");
    let read: AppExport = serde_json::from_str(&text).unwrap();
    assert_eq!(read, export);
    let told = block_on(other_admin.import(ImportedApp::from(read))).unwrap();
    assert_eq!(block_on(other_admin.export(&app.id)).unwrap(), export);
    let secret = told.client_secret.unwrap().expose_secret().to_owned();
    assert_ne!(Some(&secret), app.secret.as_ref());
    let moved = App { secret: Some(secret), ..app.clone() };
    assert_eq!(elsewhere.tokens(&moved).json["expires_in"], 77);
    elsewhere.refresh(&app, "x").assert_error(401, "invalid_client");
    let twice = block_on(other_admin.import(ImportedApp::from(export)));
    assert!(matches!(twice, Err(AdminError::AlreadyExists)));
}

/// An imported client secret works until its stated expiry.
#[test]
fn an_imported_secret_is_refused_after_its_expiry() {
    use grantor::clock::Clock as _;

    let world = World::new();
    let settings = code_app().build().unwrap();
    let id = ClientId::new("legacy").unwrap();
    let end = world.clock.now().plus(Duration::from_secs(100));
    let import = ImportedApp::new(id.clone(), settings)
        .with_client_secret(ClientSecret::new("x"), Some(end));
    let told = block_on(world.server.admin("root").import(import)).unwrap();
    assert!(told.client_secret.is_none());
    let app = App { id, secret: Some("x".to_owned()), signature_secret: None };
    let tokens = world.tokens(&app);
    world.advance(100);
    world.refresh(&app, tokens.text("refresh_token")).assert_error(401, "invalid_client");
}

/// Every call, done or refused, is audited with the administrator's name and the app.
#[test]
fn every_call_is_audited_with_the_administrators_name() {
    let world = World::new();
    let app = world.register(code_app());
    let (id, ann) = (&app.id, subject("ann"));
    let admin = world.server.admin("eve@example.com");
    let unknown = ClientId::new("unknown").unwrap();
    let draft = || code_app().name("Renamed").code_lifetime(30);
    let first = version(&world, &app);
    block_on(admin.edit(id, first, draft())).unwrap();
    block_on(admin.edit(id, first, draft())).unwrap_err();
    block_on(admin.add_scope(id, &scope("d"))).unwrap();
    block_on(admin.rotate_client_secret(id, Duration::ZERO)).unwrap();
    block_on(admin.remove_superseded_secrets(id)).unwrap();
    block_on(admin.regenerate_signature_secret(id)).unwrap();
    block_on(admin.revoke(RevocationTarget::App(id.clone()))).unwrap();
    block_on(admin.withdraw_consent(id, &ann)).unwrap();
    block_on(admin.disable(id)).unwrap();
    block_on(admin.enable(id)).unwrap();
    block_on(admin.delete(id)).unwrap();
    block_on(admin.delete(id)).unwrap_err();
    block_on(admin.disable(&unknown)).unwrap_err();

    let mut events = world.events();
    events.retain(|event| event.actor == Actor::Administrator("eve@example.com".into()));
    events.reverse();
    let said: Vec<_> = events
        .iter()
        .map(|it| (it.action.as_str(), it.outcome.reason().unwrap_or("done")))
        .collect();
    assert_eq!(
        said,
        [
            ("edit_app", "done"),
            ("edit_app", "app_version_conflict"),
            ("edit_app", "done"),
            ("rotate_client_secret", "done"),
            ("remove_superseded_secrets", "done"),
            ("regenerate_signature_secret", "done"),
            ("revoke", "done"),
            ("withdraw_consent", "done"),
            ("disable_app", "done"),
            ("enable_app", "done"),
            ("delete_app", "done"),
            ("delete_app", "app_not_found"),
            ("disable_app", "app_not_found"),
        ]
    );
    let changed = vec!["code_lifetime".to_owned(), "name".to_owned()];
    assert_eq!(events[0].action, Action::EditApp { changed });
    assert!(events[..12].iter().all(|event| event.client_id.as_ref() == Some(id)));
    assert_eq!(events[7].subject, Some(ann));
    let of_app = world.audit.find(&AuditQuery::all().app(unknown));
    assert_eq!(of_app.len(), 1);
    let json = serde_json::to_value(&events[0]).unwrap();
    assert_eq!(json["actor_name"], json!("eve@example.com"));
}
