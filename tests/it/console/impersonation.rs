//! *Impersonation* of an app: the policy as a sentence, *Check a user*, the editor.

use grantor::app::{Impersonable, ImpersonationPolicy};
use grantor::audit::{Action, Actor};
use grantor::ids::Group;
use grantor::store::AppRegistry as _;
use grantor::users::{Members, User};

use super::desk::{Desk, MOUNT, console, registered, reported};
use super::html::{check, tags, value_of, words};
use crate::assertions::{backend_app, backend_jwt, impersonator};
use crate::support::{App, World, code_app, encode, scope, subject};

fn staff_but_root() -> ImpersonationPolicy {
    let staff = Members::groups([Group::new("staff").unwrap()]);
    let except = Members::subjects([subject("root")]).and_groups([Group::new("admins").unwrap()]);
    ImpersonationPolicy::members(staff).except(except).with_scope(scope("a b"))
}

fn policy_of(world: &World, app: &App) -> ImpersonationPolicy {
    let found = world.block_on(world.server.admin("x").find(&app.id)).unwrap().unwrap();
    found.settings().jwt().unwrap().impersonation().clone()
}

/// H11: a name is answered by allowed or refused, and by the rule that decided. An administrator who may only
/// look may not ask about users.
#[test]
fn check_this_user_names_the_rule_that_decided() {
    let world = World::new();
    let jwt = backend_jwt().with_impersonation(staff_but_root());
    let (app, path) = registered(&world, impersonator(jwt));
    let console = console(&world);
    let view = Desk::new(&console, "view");
    let looked = view.page(&format!("{path}/impersonation"));
    check(&looked, MOUNT);
    assert!(!looked.contains("name=\"user\"") && words(&looked).contains("members of staff"));
    assert_eq!(view.get(&format!("{path}/impersonation?user=ann")).status, 403);
    let desk = Desk::new(&console, "edit");
    world.users.put(User::new(subject("eve")).with_groups([Group::new("admins").unwrap()]));
    world.users.put(User::new(subject("plain")));
    let page = desk.page(&format!("{path}/impersonation"));
    check(&page, MOUNT);
    let sentence = "The app may act as members of staff, except root and members of admins.";
    assert!(words(&page).contains(sentence), "{}", words(&page));
    assert!(words(&page).contains("As a user, it gets at most these of its scopes: a b"));
    assert!(!page.contains("role=\"status\""));
    let events = world.events().len();
    for (user, answer) in [
        ("ann", "Allowed: ann ann is a member of staff, which is listed."),
        ("root", "Refused: root root is an exception."),
        ("eve", "Refused: eve eve is a member of admins, which is an exception."),
        ("plain", "Refused: plain Neither plain nor a group of plain is listed."),
        ("gone", "Refused: gone The account of gone is not active."),
        ("Ann", "Refused: Ann There is no user whose sub is Ann."),
        (app.id.as_str(), "is a name of the app itself."),
    ] {
        let query = encode(&[("user", user)]);
        let page = desk.page(&format!("{path}/impersonation?{query}"));
        check(&page, MOUNT);
        let said = words(&page);
        assert!(said.contains(answer), "{user}: {said}");
        let by_policy = answer.starts_with("Refused") && user != "Ann";
        let setting = said.contains("Decided by the setting jwt.impersonation (the users");
        assert_eq!(setting, by_policy, "{user}: {said}");
        assert_eq!(said.contains("Scopes at most a b"), user == "ann", "{user}");
        assert_eq!(value_of(&page, "user"), user);
        let link = format!("{MOUNT}{path}/preview?flow=jwt_bearer&{query}");
        assert!(tags(&page).iter().any(|tag| tag.attribute("href") == Some(&link)), "{page}");
    }
    assert_eq!(world.events().len(), events, "a question is no event");
    world.block_on(world.server.admin("x").disable(&app.id)).unwrap();
    let said = words(&desk.page(&format!("{path}/impersonation?user=ann")));
    assert!(said.contains("The app is disabled, and gets no token at all."), "{said}");
    assert!(said.contains("The policy alone would say: ann is a member of staff"), "{said}");
}

/// H11, H15: the editor saves a policy as it was typed, and the change is in the log under the administrator's
/// name. Only the highest role changes it.
#[test]
fn a_policy_is_edited_by_its_lists() {
    let world = World::new();
    let (app, path) = registered(&world, backend_app());
    let console = console(&world);
    let path = format!("{path}/impersonation");
    let (view, desk) = (Desk::new(&console, "view"), Desk::new(&console, "security"));
    let looked = view.page(&path);
    assert!(!looked.contains("method=\"post\"") && !looked.contains("name=\"version\""));
    let version = value_of(&desk.page(&path), "version");
    let fields = [
        ("version", &*version),
        ("allow", "members"),
        ("subjects", "ann\r\n\r\nbob smith\r\n"),
        ("groups", "staff"),
        ("except_subjects", "root"),
        ("except_groups", ""),
        ("limit", "listed"),
        ("scope", "b\r\na GET/users/*"),
    ];
    let edit = Desk::new(&console, "edit");
    let looked = edit.page(&path);
    check(&looked, MOUNT);
    assert!(!looked.contains("method=\"post\"") && looked.contains("can change the policy"));
    for desk in [&view, &edit] {
        assert_eq!(desk.post(&path, &fields).status, 403);
    }
    assert_eq!(policy_of(&world, &app), ImpersonationPolicy::anyone());
    let answer = desk.post(&path, &fields);
    assert_eq!(reported(&answer), format!("{MOUNT}{path}?done=saved"));
    let list = Members::subjects([subject("ann"), subject("bob smith")])
        .and_groups([Group::new("staff").unwrap()]);
    let expected = ImpersonationPolicy::members(list)
        .except(Members::subjects([subject("root")]))
        .with_scope(scope("a b GET/users/*"));
    assert_eq!(policy_of(&world, &app), expected);
    let event = world.last_event();
    assert_eq!(event.actor, Actor::Administrator("ann".into()));
    let Action::EditApp { changed } = event.action else { panic!("{event:?}") };
    assert_eq!(changed, ["jwt"]);

    let page = desk.page(&path);
    check(&page, MOUNT);
    let again = super::settings::typed(&page);
    let again: Vec<_> = again.iter().map(|(name, value)| (&**name, &**value)).collect();
    let unchanged = desk.post(&path, &again);
    assert_eq!(reported(&unchanged), format!("{MOUNT}{path}?done=unchanged"));
    let version = value_of(&page, "version");
    let none = [("version", &*version), ("allow", "nobody"), ("limit", "app")];
    assert_eq!(desk.post(&path, &none).status, 303);
    assert_eq!(policy_of(&world, &app), ImpersonationPolicy::none());
}

/// H11: mistakes stand beside their fields, what was typed stays, and nothing is saved.
#[test]
fn a_policy_that_cannot_be_read_is_not_saved() {
    let world = World::new();
    let (app, path) = registered(&world, backend_app());
    let console = console(&world);
    let (desk, path) = (Desk::new(&console, "security"), format!("{path}/impersonation"));
    let version = value_of(&desk.page(&path), "version");
    let fields = [
        ("version", &*version),
        ("allow", "members"),
        ("subjects", "ok\n</textarea><script>alert(1)</script>\u{7f}"),
        ("groups", "staff \nx"),
        ("except_groups", " y"),
        ("limit", "listed"),
        ("scope", "a\"b"),
    ];
    let answer = desk.post(&path, &fields);
    assert_eq!(answer.status, 422);
    check(&answer.body, MOUNT);
    for field in ["subjects", "groups", "except_groups", "scope"] {
        assert!(answer.body.contains(&format!("id=\"{field}_error\"")), "{field}");
    }
    assert!(!answer.body.contains("id=\"except_subjects_error\""));
    assert!(words(&answer.body).contains("Line 1, staff : it begins or ends with a space."));
    let areas = tags(&answer.body);
    let subjects = areas.iter().find(|tag| tag.attribute("name") == Some("subjects")).unwrap();
    assert_eq!(subjects.text, fields[2].1);
    for (changed, error) in [
        (("allow", "everyone"), "allow_error"),
        (("subjects", " "), "subjects_error"),
        (("scope", ""), "scope_error"),
    ] {
        let mut fields = vec![("version", &*version), ("allow", "members"), ("limit", "listed")];
        fields.extend([("subjects", "ann"), ("scope", "a")]);
        fields.retain(|(name, _)| *name != changed.0);
        fields.push(changed);
        let answer = desk.post(&path, &fields);
        assert_eq!(answer.status, 422, "{error}");
        assert!(answer.body.contains(&format!("id=\"{error}\"")), "{error}: {}", answer.body);
    }
    assert_eq!(desk.post(&path, &[("version", "x")]).status, 400);
    assert_eq!(policy_of(&world, &app), ImpersonationPolicy::anyone());
}

/// W15: an app that an earlier version stored with an unusable pattern of `allowed_apps` keeps its policy until the
/// pattern is corrected. The page names the field.
#[test]
fn an_old_pattern_of_another_page_is_named() {
    let world = World::new();
    let (app, path) = registered(&world, backend_app());
    let admin = world.server.admin("x");
    let stored = world.block_on(admin.find(&app.id)).unwrap().unwrap();
    world.block_on(admin.delete(&app.id)).unwrap();
    let mut record = serde_json::to_value(&*stored).unwrap();
    record["settings"]["mobile_security"] = serde_json::json!({ "allowed_apps": ["com.example*"] });
    let old = serde_json::from_value(record).unwrap();
    world.block_on(world.store.insert_app(old)).unwrap();
    let console = console(&world);
    let (desk, page) = (Desk::new(&console, "security"), format!("{path}/impersonation"));
    let version = value_of(&desk.page(&page), "version");
    let fields =
        [("version", &*version), ("allow", "members"), ("subjects", "ann"), ("limit", "app")];
    let answer = desk.post(&page, &fields);
    check(&answer.body, MOUNT);
    assert_eq!(answer.status, 422);
    let said = words(&answer.body);
    for text in ["Nothing was saved.", "mobile_security.allowed_apps", "write com.example.*"] {
        assert!(said.contains(text), "{text}: {said}");
    }
    let areas = tags(&answer.body);
    let subjects = areas.iter().find(|tag| tag.attribute("name") == Some("subjects")).unwrap();
    assert_eq!(subjects.text, "ann", "what was typed stays");
    assert_eq!(policy_of(&world, &app), ImpersonationPolicy::anyone());

    let security = format!("{path}/security");
    let fields = [
        ("version", &*version),
        ("pin", "after"),
        ("minutes", "15"),
        ("allowed_apps", "com.example.*"),
    ];
    let corrected = desk.post(&security, &fields);
    assert_eq!(corrected.status, 303, "{}", corrected.body);
    let version = value_of(&desk.page(&page), "version");
    let fields = [("version", &*version), ("allow", "nobody"), ("limit", "app")];
    assert_eq!(desk.post(&page, &fields).status, 303);
}

/// H8: the second of two administrators sees both policies, and saves the own one by one button.
#[test]
fn a_conflict_shows_both_policies() {
    let world = World::new();
    let (app, path) = registered(&world, backend_app());
    let console = console(&world);
    let (desk, path) = (Desk::new(&console, "security"), format!("{path}/impersonation"));
    let version = value_of(&desk.page(&path), "version");
    world.edit(&app, |draft| draft.jwt(backend_jwt().with_impersonation(staff_but_root())));
    let mine = [
        ("version", &*version),
        ("allow", "members"),
        ("subjects", "eve"),
        ("groups", ""),
        ("except_subjects", ""),
        ("except_groups", "admins"),
        ("limit", "app"),
        ("scope", ""),
    ];
    let conflict = desk.post(&path, &mine);
    assert_eq!(conflict.status, 409);
    check(&conflict.body, MOUNT);
    let said = words(&conflict.body);
    for text in ["eve", "staff", "root", "All scopes of the app", "At most these"] {
        assert!(said.contains(text), "{text}: {said}");
    }
    // Both have this exception.
    assert!(!said.contains("Except members of these groups"), "{said}");
    assert_eq!(policy_of(&world, &app), staff_but_root());
    let again = super::settings::typed(&conflict.body);
    let again: Vec<_> = again.iter().map(|(name, value)| (&**name, &**value)).collect();
    assert_eq!(desk.post(&path, &again).status, 303);
    let Impersonable::Members(members) = policy_of(&world, &app).allow else { panic!() };
    assert_eq!((members.subjects, members.groups), (vec![subject("eve")], Vec::new()));
}

/// H11: the page of an app without the flow says so in a sentence. If the flow goes away meanwhile, nothing is
/// saved.
#[test]
fn an_app_without_the_flow_has_no_policy() {
    let world = World::new();
    let (_, path) = registered(&world, code_app());
    let console = console(&world);
    let desk = Desk::new(&console, "security");
    for query in ["", "?user=ann"] {
        let page = desk.page(&format!("{path}/impersonation{query}"));
        check(&page, MOUNT);
        assert!(page.contains("does not have the flow JWT bearer"), "{page}");
        assert!(!page.contains("<form"));
    }
    let fields = [("version", "1"), ("allow", "anyone"), ("limit", "app")];
    let refused = desk.post(&format!("{path}/impersonation"), &fields);
    assert_eq!(refused.status, 409);
    check(&refused.body, MOUNT);
}
