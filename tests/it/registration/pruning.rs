//! The end of registrations that are not used.

use std::time::Duration;

use grantor::audit::Actor;
use grantor::store::{AppQuery, Page};
use pollster::block_on;
use serde_json::{Value, json};

use super::{app, open, public, register, registered, with, world};
use crate::support::World;

fn apps(world: &World) -> usize {
    let admin = world.server.admin("tester");
    block_on(admin.list(&AppQuery::all(), Page::first(100))).unwrap().items.len()
}

/// Prunes until nothing is left, one app at a time.
fn prune(world: &World) {
    let admin = world.server.admin("tester");
    while block_on(admin.prune(1)).unwrap().more {}
}

fn named(world: &World, name: &str) -> Value {
    registered(world, &with(public(), json!({ "client_name": name })))
}

/// Y11: an app that no user gave access ends after an hour, in a prune that is audited. One with access stays, and so
/// does one that an administrator registered, adopted or disabled.
#[test]
fn an_app_that_no_user_gave_access_ends_after_an_hour() {
    let world = world(open());
    let unused = named(&world, "Unused");
    let used = named(&world, "Used");
    let disabled = named(&world, "Disabled");
    let adopted = named(&world, "Adopted");
    world.register(crate::support::public_app());
    world.tokens(&app(&used));
    let admin = world.server.admin("tester");
    block_on(admin.disable(&app(&disabled).id)).unwrap();
    let registered = grantor::app::AppOrigin::Registered;
    block_on(admin.set_origin(&app(&adopted).id, registered)).unwrap();
    world.advance(3_599);
    prune(&world);
    assert_eq!(apps(&world), 5);
    world.advance(1);
    prune(&world);
    assert_eq!(apps(&world), 4);
    let event = world.last_event();
    assert_eq!((event.action.as_str(), &event.actor), ("delete_app", &Actor::Server));
    assert_eq!(event.client_id.as_ref(), Some(&app(&unused).id));
    world.tokens(&app(&used));
    // The same client id comes again if the source registers again.
    assert_eq!(named(&world, "Unused")["client_id"], unused["client_id"]);
    world.tokens(&app(&unused));
}

/// Y11: an app whose last access has ended stays about 14 days more.
#[test]
fn an_app_without_access_any_more_ends_after_the_idle_lifetime() {
    let day = 24 * 60 * 60;
    let world = world(open());
    let told = named(&world, "Editor");
    let tokens = world.tokens(&app(&told));
    world.advance(3_600);
    prune(&world);
    assert_eq!(apps(&world), 1);
    // Its refresh token lives longer than the idle lifetime, and so does the app.
    world.advance(15 * day);
    prune(&world);
    assert_eq!(apps(&world), 1);
    let refreshed = world.refresh(&app(&told), tokens.text("refresh_token"));
    world.revoke(&app(&told), refreshed.text("refresh_token"));
    // The row of the grant goes at its end.
    world.advance(400 * day);
    prune(&world);
    prune(&world);
    assert_eq!(apps(&world), 0);
}

/// Y11: the lifetimes are settings of the host.
#[test]
fn the_lifetimes_are_settings() {
    let world = world(open().unused_lifetime(Duration::from_mins(2)));
    named(&world, "Editor");
    world.advance(119);
    prune(&world);
    assert_eq!(apps(&world), 1);
    world.advance(1);
    prune(&world);
    assert_eq!(apps(&world), 0);
}

/// Y11: as many apps as the host allows, and no more, until some end. An app that is known costs no place.
#[test]
fn the_number_of_registered_apps_is_bounded() {
    let world = world(open().max_apps(2));
    // An administrator's app does not count.
    world.register(crate::support::public_app());
    let first = named(&world, "1");
    named(&world, "2");
    let metadata = with(public(), json!({ "client_name": "3" }));
    let answer = register(&world, &metadata);
    answer.assert_error(429, "temporarily_unavailable");
    assert_eq!(answer.header("retry-after"), Some("300"));
    world.assert_refused("rate_limit", "too_many_registered_apps", Some("registration"));
    assert_eq!(named(&world, "1")["client_id"], first["client_id"]);
    // Another process has deleted one. This one notices within a minute.
    block_on(world.server.admin("other").delete(&app(&first).id)).unwrap();
    world.advance(59);
    assert_eq!(register(&world, &metadata).status, 429);
    world.advance(1);
    assert_eq!(register(&world, &metadata).status, 201);
    world.advance(3_600);
    prune(&world);
    assert_eq!(apps(&world), 1);
    named(&world, "4");
}
