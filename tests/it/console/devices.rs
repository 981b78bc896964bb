//! The devices of apps: their lists and pages, the end of access, and the wipe.

use std::time::Duration;

use grantor::app::MobileSecurity;
use grantor::audit::{Action, Actor};
use grantor::ids::{DeviceId, GrantId};
use grantor::secret::Digest;
use grantor::store::{DeviceKey, DeviceSighting, DeviceStore as _};

use super::desk::{Desk, MOUNT, console, registered, reported};
use super::html::{check, tags};
use crate::phones::{Phone, log_in, wiped_app, world_of_phones};
use crate::support::{World, code_app, subject};

/// Stores a device.
pub(super) fn see(world: &World, key: &DeviceKey, name: Option<&str>) {
    let now = world.clock_now();
    let sighting = DeviceSighting {
        key: key.clone(),
        name: name.map(str::to_owned),
        grant_id: GrantId::from_bytes([9; 16]),
        salt_digest: Digest::from_bytes([9; 32]),
        authorized_at: now,
        keep_until: now.plus(Duration::from_hours(24 * 90)),
        now,
    };
    world.block_on(world.store.see_device(&sighting)).unwrap();
}

fn page_of(key: &DeviceKey) -> String {
    format!("/devices/{}/{}/{}", key.client_id, key.subject, key.device_id)
}

/// The texts of a page, without its marks.
fn text_of(page: &str) -> String {
    let words = page.split('<').filter_map(|piece| piece.split_once('>')).map(|(_, text)| text);
    words.collect::<Vec<_>>().concat().split_whitespace().collect::<Vec<_>>().join(" ")
}

/// The names in the first column.
fn names(page: &str) -> Vec<String> {
    let tags = tags(page);
    let rows = tags.windows(3).filter(|it| it[0].attribute("scope") == Some("row"));
    rows.map(|it| it[2].text.clone()).collect()
}

/// W10: the page of a device tells each state of its wipe in words, as the phone goes through them.
#[test]
fn a_wipe_is_ordered_on_a_page_and_each_of_its_states_is_told() {
    let world = world_of_phones();
    let (app, path) = registered(&world, wiped_app());
    let phone = Phone::install(&world, &app, "ann", "tag-1");
    let other = Phone::install(&world, &app, "ann", "tag-2");
    let console = console(&world);
    let desk = Desk::new(&console, "security");
    let page = page_of(&phone.key);
    let lists = ["/devices".to_owned(), format!("{path}/devices")];
    for list in &lists {
        let list = desk.page(list);
        check(&list, MOUNT);
        assert_eq!(names(&list), ["Phone of ann", "Phone of ann"]);
        assert!(list.contains(&format!("href=\"{MOUNT}{page}\"")));
        for text in ["tag-1", "Has not read the rules", "14 Nov 2023", "not ordered"] {
            assert!(list.contains(text), "{text}");
        }
    }
    let first = desk.page(&page);
    check(&first, MOUNT);
    for text in ["Its data stays on the phone.", "Wipe this device", "Revoke access"] {
        assert!(first.contains(text), "{text}");
    }
    let confirm = desk.page(&format!("{page}/wipe"));
    check(&confirm, MOUNT);
    for text in ["Phone of ann", "tag-1", "While it is offline", "two years", "withdraw the order"]
    {
        assert!(confirm.contains(text), "{text}");
    }
    assert!(phone.is_live() && !phone.asks(), "a page changes nothing");

    // W10: the order needs the word.
    let wrong = desk.post(&format!("{page}/wipe"), &[("word", "revoke")]);
    check(&wrong.body, MOUNT);
    assert_eq!(wrong.status, 422);
    assert!(phone.is_live());
    let answer = desk.post(&format!("{page}/wipe"), &[("word", " Wipe ")]);
    assert_eq!(reported(&answer), format!("{MOUNT}{page}?done=wipe-ordered"));
    assert!(!phone.is_live() && other.is_live());
    let event = world.events().into_iter().find(|it| it.action.as_str() == "order_wipe").unwrap();
    assert_eq!(event.actor, Actor::Administrator("ann".into()));
    assert_eq!(event.action, Action::OrderWipe { device: phone.key.device_id.clone() });
    assert_eq!((event.client_id, event.subject), (Some(app.id.clone()), Some(subject("ann"))));

    let told = |text: &str| {
        let shown = desk.page(&page);
        check(&shown, MOUNT);
        assert!(text_of(&shown).contains(text), "{text}: {}", text_of(&shown));
        for list in &lists {
            let shown = desk.page(list);
            check(&shown, MOUNT);
            assert!(text_of(&shown).contains(text), "{text}: {}", text_of(&shown));
        }
        shown
    };
    let shown = told("Wipe ordered by ann, just now. The phone has not asked yet.");
    assert!(shown.contains("Withdraw the wipe"));
    world.advance(3_600);
    assert!(phone.asks());
    let shown =
        told("Told to wipe, just now. The phone has not reported yet. Ordered by ann, 1 hour ago.");
    assert!(shown.contains("The order cannot be withdrawn any more") && !shown.contains("<button"));
    let pending = desk.page("/devices?state=pending");
    assert_eq!(names(&pending).len(), 1);
    assert!(phone.reports());
    told("Wiped: the phone reported, just now, that its data is gone. Ordered by ann, 1 hour ago.");
    let none = desk.page("/devices?state=pending");
    check(&none, MOUNT);
    assert!(none.contains("No device fits"));

    // W12: once it has logged in again, it is a new installation.
    assert_eq!(log_in(&world, &app, "ann", "tag-1").status, 200);
    assert!(desk.page(&page).contains("Wipe this device"));
}

/// W10: the end of access leaves the data on the phone, and orders no wipe.
#[test]
fn the_access_of_a_device_is_revoked_without_a_wipe() {
    let world = world_of_phones();
    let (app, _) = registered(&world, wiped_app());
    let (obeys_not, _) = registered(&world, {
        let mut rules = MobileSecurity::default();
        rules.clipboard = false;
        crate::support::public_app().mobile_security(rules)
    });
    let phone = Phone::install(&world, &app, "ann", "tag-1");
    let kept = Phone::install(&world, &obeys_not, "ann", "tag-1");
    let console = console(&world);
    let desk = Desk::new(&console, "security");
    let page = page_of(&phone.key);
    let confirm = desk.page(&format!("{page}/revoke"));
    check(&confirm, MOUNT);
    assert!(confirm.contains("The data stays on the phone: this is no wipe."));
    let answer = desk.post(&format!("{page}/revoke"), &[("wipe", "on")]);
    assert_eq!(reported(&answer), format!("{MOUNT}{page}?done=access-ended"));
    assert!(!phone.is_live() && !phone.asks());
    assert!(kept.is_live(), "the same name at another app is another device");
    assert_eq!(world.count("order_wipe"), 0);

    // An app that obeys no orders has no button, no page and no form.
    let page = page_of(&kept.key);
    let shown = desk.page(&page);
    check(&shown, MOUNT);
    assert!(shown.contains("does not obey an order") && !shown.contains(&format!("{page}/wipe")));
    let form = desk.get(&format!("{page}/wipe"));
    check(&form.body, MOUNT);
    assert_eq!(form.status, 409);
    let order = desk.post(&format!("{page}/wipe"), &[("word", "wipe")]);
    check(&order.body, MOUNT);
    assert_eq!(order.status, 409);
    assert!(order.body.contains("This app cannot be wiped") && kept.is_live());
}

/// W13: an order is withdrawn until the phone has asked. Two administrators do not confuse each other.
#[test]
fn two_administrators_order_and_withdraw_one_wipe() {
    let world = world_of_phones();
    let (app, _) = registered(&world, wiped_app());
    let phone = Phone::install(&world, &app, "bob", "tag-1");
    let console = console(&world);
    let ann = Desk::new(&console, "security");
    let carl = Desk { console: &console, cookie: "staff=carl.security.session of carl".to_owned() };
    let page = page_of(&phone.key);
    for desk in [&ann, &carl] {
        assert_eq!(desk.post(&format!("{page}/wipe"), &[("word", "wipe")]).status, 303);
        assert!(text_of(&desk.page(&page)).contains("Wipe ordered by ann, just now."));
    }
    let withdrawn = carl.post(&format!("{page}/withdraw"), &[]);
    assert_eq!(reported(&withdrawn), format!("{MOUNT}{page}?done=wipe-withdrawn"));
    let late = ann.post(&format!("{page}/withdraw"), &[]);
    check(&late.body, MOUNT);
    assert_eq!(late.status, 409);
    assert!(late.body.contains("The order cannot be ended"));
    assert!(!phone.asks() && !phone.is_live(), "its access stays revoked");

    assert_eq!(ann.post(&format!("{page}/wipe"), &[("word", "wipe")]).status, 303);
    assert!(phone.asks());
    assert_eq!(carl.post(&format!("{page}/withdraw"), &[]).status, 409);
    assert!(phone.asks() && phone.reports());
}

/// W13: an order that the phone was told and never obeys is given up on a page of its own. The id may log in again.
#[test]
fn an_order_that_a_phone_never_obeys_is_given_up() {
    let world = world_of_phones();
    let (app, _) = registered(&world, wiped_app());
    let phone = Phone::install(&world, &app, "ann", "tag-1");
    let console = console(&world);
    let desk = Desk::new(&console, "security");
    let page = page_of(&phone.key);
    let abandon = format!("{page}/abandon");
    let has_button = |role: &str| {
        let page = Desk::new(&console, role).page(&page);
        check(&page, MOUNT);
        tags(&page).iter().any(|tag| {
            tag.attribute("href") == Some(&format!("{MOUNT}{abandon}"))
                && tag.text == "Give up the wipe"
        })
    };
    let is_refused = || {
        [desk.get(&abandon), desk.post(&abandon, &[])].iter().all(|answer| {
            check(&answer.body, MOUNT);
            answer.status == 409 && answer.body.contains("The order cannot be ended")
        })
    };
    assert!(!has_button("security") && is_refused(), "no order");
    assert_eq!(desk.post(&format!("{page}/wipe"), &[("word", "wipe")]).status, 303);
    assert!(!has_button("security"), "it can be withdrawn");
    assert!(phone.asks());
    assert!(has_button("security") && !has_button("edit") && !has_button("view"));

    let confirm = desk.page(&abandon);
    check(&confirm, MOUNT);
    let said = text_of(&confirm);
    for text in ["Told to wipe, just now.", "Phone of ann", "The data may still be on the phone."] {
        assert!(said.contains(text), "{text}: {said}");
    }
    assert!(phone.asks(), "a page changes nothing");
    assert_eq!(log_in(&world, &app, "ann", "tag-1").status, 400, "the order locks the id");
    let answer = desk.post(&abandon, &[]);
    assert_eq!(reported(&answer), format!("{MOUNT}{page}?done=wipe-abandoned"));
    let next = answer.header("location").unwrap().strip_prefix(MOUNT).unwrap();
    let next = desk.page(next);
    check(&next, MOUNT);
    assert!(next.contains("The order is given up.") && next.contains("Wipe this device"));
    let event = world.events().into_iter().find(|it| it.action.as_str() == "abandon_wipe");
    let event = event.filter(|event| event.outcome.as_str() == "success").unwrap();
    assert_eq!(event.actor, Actor::Administrator("ann".into()));
    assert_eq!(event.action, Action::AbandonWipe { device: phone.key.device_id.clone() });
    assert_eq!((event.client_id, event.subject), (Some(app.id.clone()), Some(subject("ann"))));
    assert!(!phone.asks() && !phone.is_live(), "its access of before stays revoked");
    assert!(is_refused(), "the order is gone");
    assert_eq!(log_in(&world, &app, "ann", "tag-1").status, 200);

    // A report that came first ends the order, and nothing is given up.
    let phone = Phone::install(&world, &app, "ann", "tag-2");
    let abandon = format!("{}/abandon", page_of(&phone.key));
    world.block_on(world.server.admin("root").order_wipe(&phone.key)).unwrap();
    assert!(phone.asks() && phone.reports());
    assert_eq!(desk.post(&abandon, &[]).status, 409);
    assert!(text_of(&desk.page(&page_of(&phone.key))).contains("Wiped: the phone reported"));
}

/// H2: other roles see each page of a device and none that changes something.
#[test]
fn roles_that_may_not_end_access_only_look_at_devices() {
    let world = world_of_phones();
    let (app, path) = registered(&world, wiped_app());
    let phone = Phone::install(&world, &app, "ann", "tag-1");
    let console = console(&world);
    let page = page_of(&phone.key);
    for role in ["view", "edit"] {
        let desk = Desk::new(&console, role);
        for below in ["/devices", &format!("{path}/devices"), &page] {
            let shown = desk.page(below);
            check(&shown, MOUNT);
            assert!(!shown.contains("method=\"post\"") && !shown.contains(&format!("{page}/")));
        }
        for act in ["revoke", "wipe", "abandon"] {
            assert_eq!(desk.get(&format!("{page}/{act}")).status, 403);
        }
        for act in ["revoke", "wipe", "withdraw", "abandon"] {
            assert_eq!(desk.post(&format!("{page}/{act}"), &[("word", "wipe")]).status, 403);
        }
    }
    assert!(phone.is_live());
}

/// W20: the pages that revoke an app, a user in an app and a user everywhere have a box, off by default, that also
/// wipes. The next page says how many.
#[test]
fn a_revocation_wipes_the_devices_only_if_the_box_is_ticked() {
    for of in ["app", "user in app", "user"] {
        for ticked in [false, true] {
            let world = world_of_phones();
            let (app, path) = registered(&world, wiped_app());
            let mut rules = MobileSecurity::default();
            rules.clipboard = false;
            let (other, _) =
                registered(&world, crate::support::public_app().mobile_security(rules));
            let phones = ["1", "2"].map(|tag| Phone::install(&world, &app, "ann", tag));
            let others = Phone::install(&world, &other, "ann", "3");
            let console = console(&world);
            let desk = Desk::new(&console, "security");
            let (page, ask, fields) = match of {
                "app" => (format!("{path}/danger/revoke"), "", vec![]),
                "user in app" => {
                    (format!("{path}/users/revoke"), "?user=ann", vec![("user", "ann")])
                }
                _ => ("/users/ann/revoke".to_owned(), "", vec![]),
            };
            let form = desk.page(&format!("{page}{ask}"));
            check(&form, MOUNT);
            let tags = tags(&form);
            let tick = tags.iter().find(|tag| tag.attribute("name") == Some("wipe")).unwrap();
            assert_eq!(tick.attribute("checked"), None);
            let boxes = if ticked { vec![("wipe", "on")] } else { vec![] };
            let answer = desk.post(&page, &[fields, boxes].concat());
            assert_eq!(answer.status, 303, "{}", answer.body);
            let next = answer.header("location").unwrap().strip_prefix(MOUNT).unwrap();
            let next = desk.page(next);
            check(&next, MOUNT);
            let wiped = "The access ended, and the wipe of 2 devices is ordered.";
            assert_eq!(next.contains(wiped), ticked, "{of}: {next}");
            let kept = "1 device keeps its data, because its app has no remote wipe.";
            assert_eq!(next.contains(kept), ticked && of == "user", "{of}");
            for phone in &phones {
                assert!(!phone.is_live(), "{of}");
                assert_eq!(phone.asks(), ticked, "{of}");
            }
            assert_eq!(others.is_live(), of != "user", "{of}");
            assert!(!others.asks());
        }
    }
}

/// W20: an app that obeys no orders has no box, and neither has a server without devices. A forged box changes nothing.
#[test]
fn there_is_no_box_where_nothing_can_be_wiped() {
    let (with, without) = (world_of_phones(), World::new());
    for (world, draft) in [(&with, code_app()), (&without, wiped_app())] {
        let (_, path) = registered(world, draft);
        let console = console(world);
        let desk = Desk::new(&console, "security");
        for page in [format!("{path}/danger/revoke"), format!("{path}/users/revoke?user=ann")] {
            assert!(!desk.page(&page).contains("name=\"wipe\""), "{page}");
        }
        for act in ["disable", "delete"] {
            assert!(!desk.page(&format!("{path}/danger/{act}")).contains("name=\"wipe\""));
        }
        let answer = desk.post(&format!("{path}/danger/revoke"), &[("wipe", "on")]);
        assert_eq!(answer.status, 303);
        assert!(answer.header("location").unwrap().contains("done=revoked."));
    }
}

#[test]
fn a_server_without_devices_has_no_page_of_them() {
    let world = World::new();
    let (_, path) = registered(&world, wiped_app());
    let console = console(&world);
    let desk = Desk::new(&console, "security");
    for page in ["/apps", &path, "/users/ann", "/users/ann/revoke"] {
        let shown = desk.page(page);
        assert!(!shown.contains("/devices") && !shown.contains("name=\"wipe\""), "{page}");
    }
    for page in ["/devices", &format!("{path}/devices"), "/devices/app/ann/phone"] {
        assert_eq!(desk.get(page).status, 404, "{page}");
    }
}

/// H13: devices are paged by key and narrowed by app, user and state. A device that is not known has a page that says so.
#[test]
fn devices_are_listed_page_by_page_and_narrowed() {
    let world = world_of_phones();
    let (one, path) = registered(&world, wiped_app().name("One"));
    let apps = [("Two", "user"), ("Three", "user"), ("Four", "eve")];
    let others = apps.map(|(name, user)| (registered(&world, wiped_app().name(name)).0, user));
    let key = |app: &crate::support::App, user: &str, number: u32| DeviceKey {
        client_id: app.id.clone(),
        subject: subject(user),
        device_id: DeviceId::new(format!("tag {number:03}")).unwrap(),
    };
    for number in 0..120 {
        see(&world, &key(&one, &format!("user {}", number % 2), number), None);
    }
    for (app, user) in &others {
        see(&world, &key(app, user, 0), Some("Named"));
    }
    let console = console(&world);
    let desk = Desk::new(&console, "view");
    let mut seen = Vec::new();
    let mut next = Some("/devices".to_owned());
    while let Some(below) = next {
        let page = desk.page(&below);
        check(&page, MOUNT);
        seen.extend(names(&page));
        let link = tags(&page).into_iter().find(|tag| tag.text == "Next page");
        next = link
            .map(|tag| tag.attribute("href").unwrap().replace("&amp;", "&").replacen(MOUNT, "", 1));
    }
    assert_eq!(seen.len(), 123);
    let first = desk.page(&format!("{path}/devices"));
    assert_eq!(names(&first).len(), 50);
    let narrowed = desk.page(&format!("/devices?app={}&user=user+1", one.id));
    assert_eq!(names(&narrowed).len(), 50);
    assert!(names(&narrowed).iter().all(|name| name.starts_with("tag ")));
    assert_eq!(names(&desk.page("/devices?user=eve")), ["Named"]);
    assert!(desk.page("/devices?user=eve").contains("Four"), "the app by its name");
    for unknown in ["app=%01", "user=%01", "app=none", "state=pending"] {
        let page = desk.page(&format!("/devices?{unknown}"));
        check(&page, MOUNT);
        assert!(page.contains("No device fits"), "{unknown}");
    }
    for below in ["/devices/app/ann", "/devices/app/ann/phone/other", "/devices/app/ann/~!"] {
        let answer = desk.get(below);
        assert!([403, 404].contains(&answer.status), "{below}");
        check(&answer.body, MOUNT);
    }
    let gone = desk.get("/devices/app/ann/phone");
    assert_eq!(gone.status, 404);
    assert!(gone.body.contains("There is no such device"));
}

/// W14: the list says which devices have read the present rules of their app.
#[test]
fn a_device_has_read_the_present_rules_or_has_not() {
    let world = world_of_phones();
    let (app, path) = registered(&world, wiped_app());
    let phone = Phone::install(&world, &app, "ann", "tag-1");
    let console = console(&world);
    let desk = Desk::new(&console, "view");
    let pages = ["/devices".to_owned(), format!("{path}/devices"), page_of(&phone.key)];
    let all_say = |text: &str| {
        for page in &pages {
            assert!(desk.page(page).contains(text), "{page}: {text}");
        }
    };
    all_say("Has not read the rules");
    let admin = world.server.admin("tester");
    let found = world.block_on(admin.find(&app.id)).unwrap().unwrap();
    let version = found.settings().mobile_security().document().version().to_owned();
    world.block_on(world.store.note_policy(&phone.key, &version)).unwrap();
    all_say("Up to date");
    let mut rules = found.settings().mobile_security().clone();
    rules.clipboard = false;
    world.block_on(admin.set_mobile_security(&app.id, rules)).unwrap();
    all_say("Has not read the new rules");
}
