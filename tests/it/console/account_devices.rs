//! The devices on the user's page.

use grantor::audit::{Action, Actor};

use super::account::{Browser, MOUNT, location, pages};
use super::html::{check, tags};
use crate::phones::{Phone, wiped_app, world_of_phones};
use crate::support::{World, subject};

/// W11: a user sees and wipes own devices on a page that says what happens, and withdraws own orders.
#[test]
fn a_user_wipes_an_own_device() {
    let world = world_of_phones();
    let app = world.register(wiped_app().name("Files"));
    let pages = pages(&world);
    let ann = Browser::new(&pages);
    assert!(ann.page("").contains("No app on a phone keeps data of your account"));
    let phone = Phone::install(&world, &app, "ann", "tag-1");
    let other = Phone::install(&world, &app, "ann", "tag-2");
    let bobs = Phone::install(&world, &app, "bob", "tag-1");
    let page = ann.page("");
    for text in ["Your devices", "Phone of ann", "Files", "14 Nov 2023"] {
        assert!(page.contains(text), "{text}");
    }
    assert!(!page.contains("Phone of bob"));
    let wipe = format!("/devices/{}/tag-1/wipe", app.id);
    let withdraw = format!("/devices/{}/tag-1/withdraw", app.id);
    assert!(page.contains(&format!("href=\"{MOUNT}{wipe}\"")));
    let confirm = ann.page(&wipe);
    for text in ["Phone of ann", "Files", "While the phone is offline", "withdraw the wipe"] {
        assert!(confirm.contains(text), "{text}");
    }
    assert!(phone.is_live() && !phone.asks(), "a page changes nothing");

    assert_eq!(location(&ann.post(&wipe)), "");
    assert!(!phone.is_live() && other.is_live() && bobs.is_live());
    let event = world.events().into_iter().find(|it| it.action.as_str() == "order_wipe").unwrap();
    assert_eq!(event.actor, Actor::User(subject("ann")));
    assert_eq!(event.action, Action::OrderWipe { device: phone.key.device_id.clone() });
    let page = ann.page("");
    assert!(page.contains("You ordered a wipe") && page.contains("Withdraw the wipe"));
    assert_eq!(location(&ann.post(&withdraw)), "");
    assert!(!phone.asks() && !phone.is_live());
    assert_eq!(ann.post(&withdraw).status, 409);

    assert_eq!(location(&ann.post(&wipe)), "");
    assert!(phone.asks());
    assert!(ann.page("").contains("The phone was told to wipe"));
    let late = ann.post(&withdraw);
    check(&late.body, MOUNT);
    assert_eq!(late.status, 409);
    assert!(phone.reports());
    let page = ann.page("");
    assert!(page.contains("that the data is gone") && page.contains(">Wiped<"));
    assert!(bobs.is_live() && !bobs.asks());
}

/// W11: the order of an administrator is not the user's to withdraw, and the page does not name the administrator.
#[test]
fn a_user_does_not_withdraw_the_order_of_an_administrator() {
    let world = world_of_phones();
    let app = world.register(wiped_app());
    let phone = Phone::install(&world, &app, "ann", "tag-1");
    let admin = world.server.admin("the-administrator");
    world.block_on(admin.order_wipe(&phone.key)).unwrap();
    let pages = pages(&world);
    let ann = Browser::new(&pages);
    let page = ann.page("");
    assert!(page.contains("Your administrator ordered a wipe"));
    assert!(!page.contains("the-administrator") && !page.contains("Withdraw"));
    assert_eq!(ann.post(&format!("/devices/{}/tag-1/withdraw", app.id)).status, 409);
    assert!(phone.asks());
}

/// W11: another user's device, one that is not known and one whose app obeys no orders.
#[test]
fn a_user_wipes_nothing_else() {
    let world = world_of_phones();
    let app = world.register(wiped_app());
    let bobs = Phone::install(&world, &app, "bob", "tag-1");
    let pages = pages(&world);
    let ann = Browser::new(&pages);
    for device in ["tag-1", "tag-9", "~!"] {
        let page = format!("/devices/{}/{device}/wipe", app.id);
        let answers = [ann.get(&page), ann.post(&page)];
        for answer in answers {
            check(&answer.body, MOUNT);
            assert_eq!(answer.status, 404, "{device}");
        }
    }
    assert!(bobs.is_live() && !bobs.asks());

    let mine = Phone::install(&world, &app, "ann", "tag-1");
    world.edit(&app, |draft| draft.mobile_security(<_>::default()));
    let page = ann.page("");
    assert!(page.contains("Phone of ann") && !page.contains("/wipe\""));
    let wipe = format!("/devices/{}/tag-1/wipe", app.id);
    assert_eq!([ann.get(&wipe).status, ann.post(&wipe).status], [409, 409]);
    assert!(mine.is_live());
    let without = World::new();
    let pages = super::account::pages(&without);
    let page = Browser::new(&pages).page("");
    assert!(!page.contains("Your devices"));
    assert!(!tags(&page).iter().any(|tag| tag.name == "form"));
}
