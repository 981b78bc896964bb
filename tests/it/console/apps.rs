//! The list of apps.

use grantor::app::{AppDraft, AppOrigin, Flow};

use super::desk::{Desk, MOUNT, console, registered};
use super::html::{check, tags};
use crate::support::{World, code_app, machine_app};

fn names(page: &str) -> Vec<String> {
    let tags = tags(page);
    let rows = tags.windows(3).filter(|it| it[0].attribute("scope") == Some("row"));
    rows.map(|it| it[2].text.clone()).collect()
}

#[test]
fn the_empty_list_explains_what_an_app_is() {
    let world = World::new();
    let console = console(&world);
    let page = Desk::new(&console, "edit").page("/apps");
    check(&page, MOUNT);
    assert!(page.contains("There are no apps yet") && page.matches("/new-app").count() == 2);
    assert_eq!(Desk::new(&console, "view").page("/apps").matches("/new-app").count(), 0);
}

/// H17: declared apps are marked, and the list is filtered by state, origin and flow.
#[test]
fn the_list_is_searched_and_filtered_by_links_that_keep_the_rest() {
    let world = World::new();
    world.register(code_app());
    let machine = world.register(machine_app());
    let declared = world.register(machine_app().name("Declared machine"));
    let admin = world.server.admin("tester");
    world.block_on(admin.disable(&machine.id)).unwrap();
    world.block_on(admin.set_origin(&declared.id, AppOrigin::Declared)).unwrap();
    let console = console(&world);
    let desk = Desk::new(&console, "view");
    for (query, found) in [
        ("", &["Declared machine", "Machine", "Reports"][..]),
        ("?search=MACH", &["Declared machine", "Machine"]),
        ("?search=writes+reports", &["Reports"]),
        ("?state=disabled", &["Machine"]),
        ("?state=enabled&flow=client_credentials", &["Declared machine"]),
        ("?origin=declared", &["Declared machine"]),
        ("?origin=registered&flow=authorization_code", &["Reports"]),
        ("?origin=self_described", &[]),
        ("?flow=jwt_bearer", &[]),
        ("?state=nonsense", &["Declared machine", "Machine", "Reports"]),
    ] {
        let page = desk.page(&format!("/apps{query}"));
        check(&page, MOUNT);
        let mut names = names(&page);
        names.sort();
        assert_eq!(names, found, "{query}");
        assert_eq!(page.contains("No app fits"), found.is_empty());
    }
    assert!(desk.page("/apps").contains(">Configuration<"));
    let described = world.register(code_app().name("Described"));
    world.block_on(admin.set_origin(&described.id, AppOrigin::Document)).unwrap();
    assert_eq!(names(&desk.page("/apps?origin=self_described")), ["Described"]);
    assert!(desk.page("/apps?origin=self_described").contains(">Document<"));
    assert!(names(&desk.page("/apps?origin=registered&search=Described")).is_empty());
    let page = desk.page("/apps?search=a%26b&state=enabled");
    let links: Vec<_> =
        tags(&page).iter().filter_map(|it| it.attribute("href").map(str::to_owned)).collect();
    for expected in [
        "?search=a%26b&state=disabled",
        "?search=a%26b",
        "?search=a%26b&state=enabled&flow=jwt_bearer",
    ] {
        assert!(links.contains(&format!("{MOUNT}/apps{expected}")), "{expected}: {links:?}");
    }
}

#[test]
fn the_list_is_paged_by_key_and_shows_each_app_once() {
    let world = World::new();
    for number in 0..60 {
        world.register(machine_app().name(format!("App {number}")));
    }
    let console = console(&world);
    let desk = Desk::new(&console, "view");
    let (mut below, mut seen, mut pages) = ("/apps?state=enabled".to_owned(), Vec::new(), 0);
    loop {
        let page = desk.page(&below);
        seen.extend(names(&page));
        pages += 1;
        let next = tags(&page).into_iter().find(|tag| tag.text == "Next page");
        let Some(next) = next else { break };
        below = next.attribute("href").unwrap().strip_prefix(MOUNT).unwrap().to_owned();
        assert!(below.contains("state=enabled&after="), "{below}");
    }
    seen.sort();
    seen.dedup();
    assert_eq!((pages, seen.len()), (3, 60));
}

#[test]
fn the_overview_says_what_an_app_is_and_whether_it_is_used() {
    let world = World::new();
    let (app, path) = registered(&world, machine_app());
    let console = console(&world);
    let desk = Desk::new(&console, "view");
    assert!(desk.page(&path).contains("No token yet."));
    assert!(desk.page("/apps").contains("not since the server started"));
    assert_eq!(world.post(&app, &[("grant_type", "client_credentials")]).status, 200);
    world.advance(180);
    let page = desk.page(&path);
    check(&page, MOUNT);
    for expected in ["client_credentials", "3 minutes ago", "1 hour", app.id.as_str()] {
        assert!(page.contains(expected), "{expected}: {page}");
    }
    assert!(desk.page("/apps").contains("3 minutes ago"));
    let draft = AppDraft::confidential("Odd id").flow(Flow::ClientCredentials);
    world.import("https://odd.example/id?x#y", draft);
    let odd = desk.page("/apps?search=odd");
    let link = tags(&odd)
        .into_iter()
        .find(|tag| tag.attribute("href").is_some_and(|it| it.contains("/~")));
    let link = link.unwrap().attribute("href").unwrap().strip_prefix(MOUNT).unwrap().to_owned();
    assert!(desk.page(&link).contains("https://odd.example/id?x#y"));
}
