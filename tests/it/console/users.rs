//! The users of an app, and the page of a user.

use std::time::Duration;

use grantor::audit::{Action, Actor};
use grantor::ids::{ClientId, DeviceId, GrantId};
use grantor::store::{Grant, GrantFilter, GrantStore as _, InsertGrant, Page, RevocationTarget};

use super::desk::{Desk, MOUNT, console, registered};
use super::html::{check, tags};
use crate::support::{Answered, World, code_app, encode, scope, subject};

fn grant(world: &World, app: &ClientId, user: &str, number: u16) -> Grant {
    grant_on(world, app, user, &format!("phone {number}"), number)
}

/// Stores a redeemed grant whose id begins with `number`.
pub(super) fn grant_on(
    world: &World,
    app: &ClientId,
    user: &str,
    device: &str,
    number: u16,
) -> Grant {
    let mut id = [0; 16];
    id[..2].copy_from_slice(&number.to_be_bytes());
    let grant_id = GrantId::from_bytes(id);
    let mut grant = Grant::new(grant_id, app.clone(), subject(user), scope("a b"));
    // After every revocation so far: an earlier decision would be refused.
    world.advance(1);
    grant.authorized_at = world.clock_now();
    grant.expires_at = grant.authorized_at.plus(Duration::from_hours(24 * 90));
    grant.code_expires_at = grant.expires_at;
    (grant.generation, grant.rotated_at) = (1, grant.authorized_at);
    grant.device = Some(DeviceId::new(device).unwrap());
    let inserted = world.block_on(world.store.insert_grant(grant)).unwrap();
    assert!(matches!(inserted, InsertGrant::Inserted { .. }), "{inserted:?}");
    world.block_on(world.store.find_grant(&grant_id)).unwrap().unwrap()
}

/// The names in the first column.
fn names(page: &str) -> Vec<String> {
    let tags = tags(page);
    let rows = tags.windows(3).filter(|it| it[0].attribute("scope") == Some("row"));
    rows.map(|it| it[2].text.clone()).collect()
}

/// The path below the console of the link that `text` names.
fn link(page: &str, text: &str) -> Option<String> {
    let found = tags(page).into_iter().find(|tag| tag.name == "a" && tag.text == text)?;
    found.attribute("href")?.strip_prefix(MOUNT).map(str::to_owned)
}

fn location(answer: &Answered) -> String {
    assert_eq!(answer.status, 303, "{}", answer.body);
    answer.header("location").unwrap().strip_prefix(MOUNT).unwrap().to_owned()
}

/// H13: a user is listed with what the app may do, since when, on which device and the last use, until
/// anything ends the grant.
#[test]
fn the_users_of_an_app_are_those_with_a_live_grant() {
    let world = World::new();
    let (app, path) = registered(&world, code_app());
    let (other, _) = registered(&world, code_app().name("Other"));
    let console = console(&world);
    let desk = Desk::new(&console, "view");
    let users = format!("{path}/users");
    let page = desk.page(&users);
    check(&page, MOUNT);
    assert!(page.contains("No user has a live grant"));
    // A code that was not redeemed is no access.
    drop(world.code(&app));
    assert_eq!(names(&desk.page(&users)), [""; 0]);

    let tokens = world.tokens(&app);
    grant(&world, &other.id, "root", 1);
    world.advance(3 * 3_600);
    let refresh_token = tokens.json["refresh_token"].as_str().unwrap();
    assert_eq!(world.refresh(&app, refresh_token).status, 200);
    world.advance(3 * 3_600);
    grant(&world, &app.id, "bob", 2);
    let page = desk.page(&users);
    check(&page, MOUNT);
    let mut found = names(&page);
    found.sort();
    assert_eq!(found, ["ann", "bob"]);
    for text in ["6 hours ago", "3 hours ago", "Authorization code", ">b<", "phone 2"] {
        assert!(page.contains(text), "{text}");
    }
    assert_eq!(names(&desk.page(&format!("{users}?user=bob"))), ["bob"]);
    for unknown in ["carl", "%01", "bo"] {
        let page = desk.page(&format!("{users}?user={unknown}"));
        check(&page, MOUNT);
        assert!(page.contains("This user has no live grant here"), "{unknown}");
    }

    // A cutoff does not touch the row, and still ends it.
    let admin = world.server.admin("tester");
    for target in [
        RevocationTarget::Subject(subject("ann")),
        RevocationTarget::AppAndSubject(app.id.clone(), subject("bob")),
        RevocationTarget::App(app.id.clone()),
        RevocationTarget::Everything,
    ] {
        world.block_on(admin.revoke(target.clone())).unwrap();
        let left = names(&desk.page(&users));
        let expected =
            if matches!(target, RevocationTarget::Subject(_)) { &["bob"][..] } else { &[] };
        assert_eq!(left, expected, "{target:?}");
    }
    drop(world.tokens(&app));
    assert_eq!(names(&desk.page(&users)), ["ann"]);
    world.block_on(admin.disable(&app.id)).unwrap();
    assert_eq!(names(&desk.page(&users)), [""; 0]);
}

/// H9, H13: one grant, or everything of a user in the app, is revoked on a page that names what ends.
#[test]
fn a_grant_or_a_user_is_revoked_on_a_page_that_names_what_ends() {
    let world = World::new();
    let (app, path) = registered(&world, code_app());
    let (first, second) = (grant(&world, &app.id, "ann", 1), grant(&world, &app.id, "ann", 2));
    let bystander = grant(&world, &app.id, "bob", 3);
    let is_live = |grant: &Grant| !world.block_on(world.store.is_revoked(&grant.facts())).unwrap();
    let console = console(&world);
    let desk = Desk::new(&console, "security");
    let users = format!("{path}/users");
    let page = desk.page(&users);
    check(&page, MOUNT);
    let below = link(&page, "Revoke").unwrap();
    let page = desk.page(&below);
    check(&page, MOUNT);
    for text in ["1 live grant.", ">ann<", "phone 1"] {
        assert!(page.contains(text), "{text}");
    }
    assert!(is_live(&first), "a page changes nothing");
    let id = first.grant_id.to_string();
    let answer = desk.post(&format!("{users}/revoke"), &[("grant", &id)]);
    assert!(desk.page(&location(&answer)).contains("The access ended."));
    assert_eq!([&first, &second, &bystander].map(is_live), [false, true, true]);
    let ended = desk.page(&format!("{users}/revoke?grant={id}"));
    check(&ended, MOUNT);
    assert!(ended.contains("this grant has ended already") && !ended.contains("1 live grant."));
    let event = world.last_event();
    assert_eq!(event.actor, Actor::Administrator("ann".into()));
    assert_eq!(event.action, Action::Revoke { target: RevocationTarget::Grant(first.grant_id) });
    assert_eq!((event.client_id, event.subject), (Some(app.id.clone()), Some(subject("ann"))));

    grant(&world, &app.id, "ann", 4);
    let page = desk.page(&format!("{users}?user=ann"));
    let below = link(&page, "Revoke everything of this user in this app").unwrap();
    let page = desk.page(&below);
    check(&page, MOUNT);
    assert!(page.contains("2 live grants.") && page.contains("1 user and 2 devices lose access."));
    let answer = desk.post(&format!("{users}/revoke"), &[("user", "ann")]);
    assert_eq!(names(&desk.page(&location(&answer))), ["bob"]);
    assert_eq!(world.last_event().action, Action::WithdrawConsent);

    // A grant of another app, an unknown one, and no name at all.
    let (other, _) = registered(&world, code_app().name("Other"));
    let foreign = grant(&world, &other.id, "ann", 5).grant_id.to_string();
    let unknown = GrantId::from_bytes([9; 16]).to_string();
    for field in [("grant", &*foreign), ("grant", &*unknown), ("grant", "x"), ("user", "")] {
        assert_eq!(desk.post(&format!("{users}/revoke"), &[field]).status, 404, "{field:?}");
        let query = encode(&[field]);
        assert_eq!(desk.get(&format!("{users}/revoke?{query}")).status, 404, "{field:?}");
    }
}

/// H13: the page of a user looks up 10 apps. A further one has its client id.
#[test]
fn the_page_of_a_user_names_ten_apps() {
    let world = World::new();
    let register = |number: u16| registered(&world, code_app().name(format!("App {number}"))).0;
    let mut apps: Vec<_> = (0..11).map(|number| (register(number), number)).collect();
    for (app, number) in &apps {
        grant(&world, &app.id, "ann", *number);
    }
    let console = console(&world);
    let page = Desk::new(&console, "view").page("/users/ann");
    check(&page, MOUNT);
    let mut found = names(&page);
    found.sort();
    apps.sort_by(|(one, _), (other, _)| one.id.cmp(&other.id));
    let last = apps.pop().unwrap().0.id.to_string();
    let mut expected: Vec<_> = apps.iter().map(|(_, number)| format!("App {number}")).collect();
    expected.push(last);
    expected.sort();
    assert_eq!(found, expected);
}

/// H13: the page of a user has the grants of all apps, and revokes all of them.
#[test]
fn a_user_has_a_page_across_all_apps() {
    let world = World::new();
    let (app, path) = registered(&world, code_app());
    let (other, _) = registered(&world, code_app().name("Other"));
    for (number, (app, user)) in
        [(&app, "a/n n"), (&other, "a/n n"), (&other, "bob")].into_iter().enumerate()
    {
        grant(&world, &app.id, user, u16::try_from(number).unwrap());
    }
    let console = console(&world);
    let desk = Desk::new(&console, "security");
    let users = desk.page(&format!("{path}/users"));
    let mut links = tags(&users)
        .into_iter()
        .filter_map(|tag| tag.attribute("href")?.strip_prefix(MOUNT).map(str::to_owned));
    let page = desk.page(&links.find(|it| it.starts_with("/users/")).unwrap());
    check(&page, MOUNT);
    let mut found = names(&page);
    found.sort();
    assert_eq!(found, ["Other", "Reports"]);
    for app in [&app, &other] {
        let link = format!("{MOUNT}/apps/{}/users?user=a%2Fn+n", app.id);
        assert!(tags(&page).iter().any(|tag| tag.attribute("href") == Some(&link)), "{page}");
    }
    let revoke = link(&page, "Revoke everything of this user").unwrap();
    let page = desk.page(&revoke);
    check(&page, MOUNT);
    assert!(page.contains("2 live grants."));
    let answer = desk.post(&revoke, &[]);
    let page = desk.page(&location(&answer));
    check(&page, MOUNT);
    assert_eq!(names(&page), [""; 0]);
    assert!(page.contains("No app has a live grant as this user"), "{page}");
    assert!(!page.contains("No user has a live grant"));
    assert_eq!(names(&desk.page("/users/bob")), ["Other"]);
    assert_eq!(
        world.last_event().action,
        Action::Revoke { target: RevocationTarget::Subject(subject("a/n n")) }
    );
}

/// H13: a page reads 200 grants at most, however many were cut off.
#[test]
fn the_users_of_an_app_are_paged_by_key() {
    let world = World::new();
    let (app, path) = registered(&world, code_app());
    for number in 0..220 {
        grant(&world, &app.id, "ann", number);
    }
    let admin = world.server.admin("tester");
    world.block_on(admin.revoke(RevocationTarget::Subject(subject("ann")))).unwrap();
    for number in 220..275 {
        grant(&world, &app.id, "bob", number);
    }
    let console = console(&world);
    let desk = Desk::new(&console, "view");
    let first = desk.page(&format!("{path}/users"));
    check(&first, MOUNT);
    assert!(first.contains("No live grant so far"));
    let second = desk.page(&link(&first, "Next page").unwrap());
    check(&second, MOUNT);
    assert_eq!(names(&second).len(), 50);
    let third = desk.page(&link(&second, "Next page").unwrap());
    assert_eq!(names(&third).len(), 5);
    assert_eq!(link(&third, "Next page"), None);
    assert!(link(&third, "First page").is_some());
    // The limit of a page holds for `Admin`, too.
    let listed = world.block_on(admin.live_grants(&GrantFilter::all(), Page::first(1))).unwrap();
    assert_eq!((listed.items.len(), listed.next.is_some()), (0, true));
}

/// H2: access is ended by the highest role only.
#[test]
fn an_administrator_who_may_not_end_access_sees_users_and_no_links_to_end_it() {
    let world = World::new();
    let (app, path) = registered(&world, code_app());
    let own = grant(&world, &app.id, "ann", 1);
    let console = console(&world);
    let events = world.events().len();
    for role in ["view", "edit"] {
        let desk = Desk::new(&console, role);
        for below in [format!("{path}/users?user=ann"), "/users/ann".to_owned()] {
            let page = desk.page(&below);
            check(&page, MOUNT);
            assert!(names(&page).len() == 1 && !page.contains("revoke?"), "{role} {below}");
        }
        let id = own.grant_id.to_string();
        for (below, field) in [
            (format!("{path}/users/revoke"), ("grant", &*id)),
            (format!("{path}/users/revoke"), ("user", "ann")),
            ("/users/ann/revoke".to_owned(), ("x", "y")),
        ] {
            assert_eq!(desk.post(&below, &[field]).status, 403);
            assert_eq!(desk.get(&format!("{below}?{}", encode(&[field]))).status, 403);
        }
    }
    assert_eq!(world.events().len(), events);
}

/// H13: a grant that anything has ended is not told as one that lives.
#[test]
fn a_grant_lives_as_long_as_it_is_listed() {
    let world = World::new();
    let app = world.register(code_app());
    let admin = world.server.admin("tester");
    let is_live = |grant: &Grant| world.block_on(admin.is_live(grant)).unwrap();
    let expiring = grant(&world, &app.id, "ann", 1);
    assert!(is_live(&expiring));
    let mut unredeemed = expiring.clone();
    unredeemed.generation = 0;
    assert!(!is_live(&unredeemed));
    world.advance(90 * 86_400);
    assert!(!is_live(&expiring));
    for (number, target) in [
        (2, RevocationTarget::Subject(subject("ann"))),
        (3, RevocationTarget::App(app.id.clone())),
        (4, RevocationTarget::Everything),
    ] {
        let own = grant(&world, &app.id, "ann", number);
        assert!(is_live(&own), "{number}");
        world.block_on(admin.revoke(target)).unwrap();
        assert!(!is_live(&own), "{number}");
    }
}
