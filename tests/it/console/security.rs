//! *Security* of an app.

use grantor::app::PinPolicy;

use super::desk::{Desk, MOUNT, console, registered, reported};
use super::html::{check, tags, value_of};
use crate::support::{World, public_app};

/// H2, H15, W16: each rule is saved as typed and audited; a role that may only look changes nothing.
#[test]
fn the_rules_of_a_phone_are_read_and_saved() {
    let world = World::new();
    let (app, path) = registered(&world, public_app());
    let console = console(&world);
    let path = format!("{path}/security");
    let view = Desk::new(&console, "view");
    let page = view.page(&path);
    check(&page, MOUNT);
    assert!(!page.contains("<form") && !page.contains("type=\"submit\""));
    let desk = Desk::new(&console, "edit");
    let page = desk.page(&path);
    check(&page, MOUNT);
    let version = value_of(&page, "version");
    let fields = [
        ("version", &*version),
        ("remote_wipe", "on"),
        ("pin", "after"),
        ("minutes", "15"),
        ("attempts", "5"),
        ("clipboard", "on"),
        ("allowed_apps", "com.example.*\r\n\r\n org.example.mail \r\n"),
        ("block_after", " 72 "),
        ("wipe_after", "90"),
    ];
    assert_eq!(view.post(&path, &fields).status, 403);
    let answer = desk.post(&path, &fields);
    assert_eq!(reported(&answer), format!("{MOUNT}{path}?done=saved"));
    let found = world.block_on(world.server.admin("tester").find(&app.id)).unwrap().unwrap();
    let rules = found.settings().mobile_security();
    assert!(rules.remote_wipe && rules.clipboard && !rules.biometrics);
    assert_eq!((rules.pin, rules.max_pin_attempts), (PinPolicy::AfterIdleMinutes(15), Some(5)));
    assert_eq!(rules.allowed_apps, ["com.example.*", "org.example.mail"]);
    assert_eq!((rules.block_after_hours, rules.wipe_after_days), (Some(72), Some(90)));
    let event = world.last_event();
    assert_eq!((event.action.as_str(), event.outcome.as_str()), ("edit_app", "success"));
    let page = desk.page(&path);
    let ticked: Vec<_> = tags(&page)
        .iter()
        .filter(|tag| tag.attribute("checked").is_some())
        .map(|tag| tag.attribute("id").unwrap().to_owned())
        .collect();
    assert_eq!(ticked, ["remote_wipe", "pin-after", "clipboard"]);
    assert_eq!((&*value_of(&page, "minutes"), &*value_of(&page, "attempts")), ("15", "5"));
    assert_eq!((&*value_of(&page, "block_after"), &*value_of(&page, "wipe_after")), ("72", "90"));
}

/// H5, W15, W16: mistakes stand beside their fields, and what was typed stays.
#[test]
fn mistakes_stand_beside_their_fields_and_what_was_typed_stays() {
    let world = World::new();
    let (_, path) = registered(&world, public_app());
    let console = console(&world);
    let (desk, path) = (Desk::new(&console, "edit"), format!("{path}/security"));
    let version = value_of(&desk.page(&path), "version");
    let fields = [
        ("version", &*version),
        ("pin", "after"),
        ("minutes", "<b>"),
        ("attempts", "21"),
        ("allowed_apps", "ok.*\n</textarea><script>alert(1)</script> x\ncom.example*\n\n*.a"),
        ("block_after", "49"),
        ("wipe_after", "2"),
    ];
    let answer = desk.post(&path, &fields);
    assert_eq!(answer.status, 422);
    check(&answer.body, MOUNT);
    for error in ["minutes-error", "attempts-error", "allowed_apps-error", "wipe_after-error"] {
        assert!(answer.body.contains(&format!("id=\"{error}\"")), "{error}: {}", answer.body);
    }
    assert!(!answer.body.contains("id=\"block_after-error\""));
    for line in [2, 3, 5] {
        assert!(answer.body.contains(&format!("Line {line} is not a name or pattern")), "{line}");
    }
    assert!(!answer.body.contains("Line 1 ") && !answer.body.contains("Line 4 "));
    let tags = tags(&answer.body);
    let area = tags.iter().find(|tag| tag.name == "textarea").unwrap();
    assert_eq!(area.text, fields[4].1);
    assert_eq!(value_of(&answer.body, "minutes"), "<b>");
    assert_eq!(value_of(&answer.body, "wipe_after"), "2");
    let unchanged = desk.page(&path);
    assert_eq!(value_of(&unchanged, "version"), version);
}

/// H8: a conflict names the rules that differ.
#[test]
fn a_conflict_names_the_rules_that_differ() {
    let world = World::new();
    let (app, path) = registered(&world, public_app());
    let console = console(&world);
    let (desk, path) = (Desk::new(&console, "edit"), format!("{path}/security"));
    let version = value_of(&desk.page(&path), "version");
    world.edit(&app, |draft| draft.description("Changed meanwhile."));
    let fields = [
        ("version", &*version),
        ("pin", "always"),
        ("biometrics", "on"),
        ("block_after", "8"),
        ("wipe_after", "9"),
    ];
    let answer = desk.post(&path, &fields);
    assert_eq!(answer.status, 409);
    check(&answer.body, MOUNT);
    let rows = tags(&answer.body);
    let rows = rows.iter().filter(|tag| tag.attribute("scope") == Some("row"));
    assert_eq!(
        rows.map(|tag| &*tag.text).collect::<Vec<_>>(),
        [
            "PIN",
            "Clipboard",
            "Hours offline before the app locks",
            "Days offline before the app wipes its data",
        ]
    );
    let now = value_of(&answer.body, "version");
    let fields = [("version", &*now), ("pin", "always"), ("biometrics", "on")];
    assert_eq!(desk.post(&path, &fields).status, 303);
}
