//! The redirect URI of Swagger UI.

use grantor::audit::Actor;
use grantor::protocol::RedirectUri;

use super::desk::{Desk, MOUNT, console, registered, reported};
use super::html::{check, value_of};
use crate::support::{App, World, code_app};

const ADDED: &str = "https://docs.example.com/swagger/oauth2-redirect.html";

fn uris(world: &World, app: &App) -> Vec<String> {
    let found = world.block_on(world.server.admin("x").find(&app.id)).unwrap().unwrap();
    found.settings().redirect_uris().iter().map(|uri| uri.as_str().to_owned()).collect()
}

/// H22: the address of Swagger UI is enough to add its redirect URI, checked, versioned and audited.
#[test]
fn one_click_adds_the_redirect_uri_of_swagger_ui() {
    let world = World::new();
    let (app, path) = registered(&world, code_app());
    let console = console(&world);
    let desk = Desk::new(&console, "edit");
    let before = uris(&world, &app);
    let below = format!("{path}/swagger");
    assert!(desk.page(&format!("{path}/settings")).contains(&format!("{MOUNT}{below}")));
    let page = desk.page(&below);
    check(&page, MOUNT);
    let version = value_of(&page, "version");
    let view = Desk::new(&console, "view");
    assert!(!view.page(&format!("{path}/settings")).contains(&below));
    let address = ("url", " https://docs.example.com/swagger/index.html#/Files ");
    assert_eq!(view.get(&below).status, 403);
    assert_eq!(view.post(&below, &[("version", &version), address]).status, 403);
    assert_eq!(desk.post(&below, &[address]).status, 400);
    assert_eq!(uris(&world, &app), before);

    let answer = desk.post(&below, &[("version", &version), address]);
    assert_eq!(reported(&answer), format!("{MOUNT}{path}/settings?done=saved"));
    assert_eq!(uris(&world, &app), [&before[..], &[ADDED.to_owned()]].concat());
    let event = world.last_event();
    assert_eq!((event.action.as_str(), event.outcome.as_str()), ("edit_app", "success"));
    assert_eq!(event.actor, Actor::Administrator("ann".into()));
    let again = desk.post(&below, &[("version", &version), ("url", ADDED)]);
    assert_eq!(reported(&again), format!("{MOUNT}{path}/settings?done=unchanged"));
}

/// H22: a text that is no address stays in its field, and a version that is not current is sent again.
#[test]
fn a_wrong_address_and_an_old_version_change_nothing() {
    let world = World::new();
    let (app, path) = registered(&world, code_app());
    let console = console(&world);
    let desk = Desk::new(&console, "edit");
    let below = format!("{path}/swagger");
    let version = value_of(&desk.page(&below), "version");
    for typed in ["javascript:alert(1)", "\"><script>x</script>", "http://docs.example.com/", ""] {
        let answer = desk.post(&below, &[("version", &version), ("url", typed)]);
        assert_eq!(answer.status, 422, "{typed}");
        check(&answer.body, MOUNT);
        assert_eq!(value_of(&answer.body, "url"), typed);
        assert!(answer.body.contains("url-error"));
    }
    world.edit(&app, |draft| draft.description("Changed meanwhile."));
    let old = desk.post(&below, &[("version", &version), ("url", ADDED)]);
    assert_eq!(old.status, 409);
    check(&old.body, MOUNT);
    assert_eq!(value_of(&old.body, "url"), ADDED);
    let fifty =
        (0..50).map(|n| RedirectUri::parse(&format!("https://app.example.com/{n}")).unwrap());
    world.edit(&app, |draft| draft.redirect_uris(fifty));
    let version = value_of(&desk.page(&below), "version");
    let full = desk.post(&below, &[("version", &version), ("url", ADDED)]);
    assert_eq!(full.status, 422);
    assert!(full.body.contains("at most 50"), "{}", full.body);
    assert_eq!(uris(&world, &app).len(), 50);
}
