//! *Scopes* of an app.

use grantor::app::AppDraft;
use grantor::hooks::NoHooks;

use super::desk::{Desk, MOUNT, console, registered, reported};
use super::html::{check, tags, value_of};
use crate::support::{World, machine_app, scope};

/// A world with a catalog of files and users, and the scope `reports`.
fn with_catalog() -> World {
    World::<NoHooks>::with(|builder| {
        builder.catalog(
            serde_json::from_str(
                r#"{"endpoints": [
                    {"method": "GET", "path": "/files/{id}", "scope": "GET/files/*", "title": "See a file", "group": "Files"},
                    {"method": "DELETE", "path": "/files/{id}", "scope": "DELETE/files/*", "title": "Delete a <file>", "group": "Files"},
                    {"method": "GET", "path": "/users/{id}", "scope": "GET/users/*", "title": "See a user", "group": "Users"},
                    {"method": "GET", "path": "/reports", "scope": "reports", "title": "See reports", "group": "Reports"}
                ]}"#,
            )
            .unwrap(),
        )
    })
}

fn app() -> AppDraft {
    machine_app().scope(scope("GET/files/* legacy"))
}

fn ticked(page: &str) -> Vec<String> {
    let boxes = tags(page).into_iter().filter(|tag| tag.attribute("name") == Some("scope"));
    let ticked = boxes.filter(|tag| tag.attribute("checked").is_some());
    let mut ticked: Vec<_> = ticked.map(|tag| tag.attribute("value").unwrap().to_owned()).collect();
    ticked.sort();
    ticked
}

fn stored(world: &World, id: &grantor::ids::ClientId) -> String {
    let app = world.block_on(world.server.admin("tester").find(id)).unwrap().unwrap();
    app.settings().scope().to_string()
}

/// H10: the catalog is a grid, what it does not list stands apart, and a sentence says what the app can do.
#[test]
fn scopes_stand_in_a_grid_in_a_list_or_apart() {
    let world = with_catalog();
    let (_, path) = registered(&world, app());
    let console = console(&world);
    let page = Desk::new(&console, "edit").page(&format!("{path}/scopes"));
    check(&page, MOUNT);
    assert_eq!(ticked(&page), ["GET/files/*", "legacy"]);
    let tags = tags(&page);
    let heads = tags.iter().filter(|tag| tag.name == "th").count();
    assert_eq!(heads, 3 + 2, "group, GET and DELETE above Files and Users");
    let place = |text: &str| page.find(text).unwrap_or_else(|| panic!("{text}: {page}"));
    assert!(place("Other scopes of the catalog") < place("value=\"reports\""));
    assert!(place("Scopes that the catalog does not list") < place("value=\"legacy\""));
    assert!(page.contains("It can read <bdi>Files</bdi>."), "{page}");
    // Without a catalog there is a list.
    let world = World::new();
    let (_, path) = registered(&world, machine_app());
    let console = super::desk::console(&world);
    let page = Desk::new(&console, "edit").page(&format!("{path}/scopes"));
    check(&page, MOUNT);
    assert_eq!(ticked(&page), ["a", "b", "c"]);
    assert!(page.contains("has no catalog") && !page.contains("<table"));
}

/// H10: buttons select a row, a column or everything without script, and save nothing.
#[test]
fn a_row_a_column_and_everything_are_selected_without_script() {
    let world = with_catalog();
    let (app, path) = registered(&world, app());
    let console = console(&world);
    let (desk, path) = (Desk::new(&console, "edit"), format!("{path}/scopes"));
    let version = value_of(&desk.page(&path), "version");
    for (select, expected) in [
        ("row:0", &["DELETE/files/*", "GET/files/*"][..]),
        ("column:GET", &["GET/files/*", "GET/users/*"]),
        ("all", &["DELETE/files/*", "GET/files/*", "GET/users/*", "reports"]),
        ("none", &[]),
    ] {
        let typed = [("version", &*version), ("scope", "GET/files/*"), ("more", "x y")];
        let answer = desk.post(&path, &[&typed[..], &[("select", select)]].concat());
        assert_eq!(answer.status, 200, "{select}");
        check(&answer.body, MOUNT);
        assert_eq!(ticked(&answer.body), expected, "{select}");
        assert_eq!(value_of(&answer.body, "more"), "x y");
    }
    assert_eq!(stored(&world, &app.id), "GET/files/* legacy");
    let fields = [("version", &*version), ("scope", "reports"), ("scope", "GET/users/*")];
    let answer = desk.post(&path, &[&fields[..], &[("more", "*/notes/* legacy")]].concat());
    assert_eq!(reported(&answer), format!("{MOUNT}{path}?done=saved"));
    let next = answer.header("location").unwrap().strip_prefix(MOUNT).unwrap();
    assert!(desk.page(next).contains("The settings are saved."));
    let saved = scope(&stored(&world, &app.id));
    assert_eq!(saved, scope("reports GET/users/* */notes/* legacy"));
    assert_eq!(world.last_event().action.as_str(), "edit_app");
}

#[test]
fn a_text_that_is_no_scope_stays_in_its_field_beside_the_mistake() {
    let world = with_catalog();
    let (app, path) = registered(&world, app());
    let console = console(&world);
    let (desk, path) = (Desk::new(&console, "edit"), format!("{path}/scopes"));
    let version = value_of(&desk.page(&path), "version");
    let long = "x".repeat(10_000);
    for more in ["a\"b", "<b>\\", "\u{202e}x", "offline_access", &long] {
        let answer =
            desk.post(&path, &[("version", &version), ("scope", "reports"), ("more", more)]);
        assert_eq!(answer.status, 422, "{more}");
        check(&answer.body, MOUNT);
        assert_eq!(value_of(&answer.body, "more"), more);
        assert_eq!(ticked(&answer.body), ["reports"]);
        assert!(answer.body.contains("id=\"more-error\""));
    }
    assert_eq!(desk.post(&path, &[("version", "x")]).status, 400);
    assert_eq!(desk.post("/apps/unknown/scopes", &[("version", "1")]).status, 404);
    assert_eq!(stored(&world, &app.id), "GET/files/* legacy");
}

/// H8: the second of two administrators sees both versions and can save what was typed.
#[test]
fn a_conflict_shows_both_versions_and_loses_nothing() {
    let world = with_catalog();
    let (app, path) = registered(&world, app());
    let console = console(&world);
    let (desk, path) = (Desk::new(&console, "edit"), format!("{path}/scopes"));
    let version = value_of(&desk.page(&path), "version");
    world.edit(&app, |draft| draft.scope(scope("GET/users/*")));
    let answer = desk.post(&path, &[("version", &version), ("scope", "reports"), ("more", "x")]);
    assert_eq!(answer.status, 409);
    check(&answer.body, MOUNT);
    for expected in ["<bdi class=\"text\">GET/users/*</bdi>", "Nothing was saved", "reports"] {
        assert!(answer.body.contains(expected), "{expected}: {}", answer.body);
    }
    assert_eq!(stored(&world, &app.id), "GET/users/*");
    let hidden = tags(&answer.body);
    let hidden = hidden.iter().filter(|tag| tag.attribute("type") == Some("hidden"));
    let value = |tag: &super::html::Tag, name| tag.attribute(name).unwrap().to_owned();
    let fields: Vec<_> = hidden.map(|tag| (value(tag, "name"), value(tag, "value"))).collect();
    let fields: Vec<_> = fields.iter().map(|(name, value)| (&**name, &**value)).collect();
    assert_eq!(desk.post(&path, &fields).status, 303);
    assert_eq!(scope(&stored(&world, &app.id)), scope("reports x"));
}

/// H2: an administrator who may only look sees the scopes and no button.
#[test]
fn scopes_are_read_only_for_a_role_that_may_only_look() {
    let world = with_catalog();
    let (_, path) = registered(&world, app());
    let console = console(&world);
    let (desk, path) = (Desk::new(&console, "view"), format!("{path}/scopes"));
    let page = desk.page(&path);
    check(&page, MOUNT);
    assert_eq!(ticked(&page), ["GET/files/*", "legacy"]);
    assert!(!page.contains("<form") && !page.contains("type=\"submit\""));
    assert_eq!(desk.post(&path, &[("version", "1"), ("scope", "reports")]).status, 403);
}
