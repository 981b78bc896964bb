//! *Import apps*: what would be done, and what was done.

use std::sync::Arc;

use grantor::MemoryStore;
use grantor::audit::Actor;
use grantor::http::console::Console;
use grantor::ids::ClientId;
use grantor::store::Store;
use serde_json::{Value, json};

use super::desk::{Desk, MOUNT, console, console_of, registered};
use super::hostile_texts::texts;
use super::html::{check, tags, value_of};
use crate::faulty_store::{FaultyStore, Method};
use crate::support::{Answered, App, World, basic, code_app, machine_app, new_key, public_app};

/// Sends the form of the import as a browser does.
fn send<S: Store>(desk: &Desk<'_, S>, fields: &[(&str, &str)]) -> Answered {
    let token = desk.token();
    let mut body = String::new();
    for (name, value) in [&[("token", &*token)], fields].concat() {
        let value = value.replace("\r\n", "\n").replace('\n', "\r\n");
        let head = format!("Content-Disposition: form-data; name=\"{name}\"");
        body.extend(["--b\r\n", &head, "\r\n\r\n", &value, "\r\n"]);
    }
    body += "--b--\r\n";
    let request = desk
        .request("POST", &format!("{MOUNT}/server/import"))
        .header("sec-fetch-site", "same-origin")
        .header("content-type", "multipart/form-data; boundary=b");
    desk.send(request.body(body.into_bytes()).unwrap())
}

/// Shows what a file of declared apps would do.
pub(super) fn show<S: Store>(desk: &Desk<'_, S>, apps: &Value) -> Answered {
    send(desk, &[("format", "grantor"), ("text", &format!("{apps:#}"))])
}

/// Sends the form of the page that was shown.
pub(super) fn apply<S: Store>(desk: &Desk<'_, S>, shown: &Answered) -> Answered {
    let fields = ["format", "document", "plan"].map(|name| (name, value_of(&shown.body, name)));
    send(desk, &fields.each_ref().map(|(name, value)| (*name, &**value)))
}

pub(super) fn app_json(client_id: &str, name: &str) -> Value {
    let settings = json!({ "name": name, "flows": ["client_credentials"], "scope": "a" });
    json!({ "client_id": client_id, "settings": settings })
}

/// H14: nothing is written before the page that shows what would be, and exactly that is done.
#[test]
fn an_import_shows_what_it_would_do_and_then_does_it() {
    let world = World::new();
    let (app, path) = registered(&world, machine_app());
    let kept = world.register(public_app());
    let console = console(&world);
    let desk = Desk::new(&console, "security");
    check(&desk.page("/server/import"), MOUNT);
    let events = world.events().len();
    let apps =
        json!({ "apps": [app_json("fresh", "Fresh"), app_json(app.id.as_str(), "Renamed")] });
    let shown = show(&desk, &apps);
    assert_eq!(shown.status, 200, "{}", shown.body);
    check(&shown.body, MOUNT);
    for text in ["New apps", "Fresh", "gets new secrets", "Apps that change", "Renamed"] {
        assert!(shown.body.contains(text), "{text}");
    }
    assert!(!shown.body.contains(kept.id.as_str()));
    assert_eq!(world.events().len(), events);
    assert_eq!(desk.get("/apps/fresh").status, 404);

    let done = apply(&desk, &shown);
    assert_eq!(done.status, 200, "{}", done.body);
    check(&done.body, MOUNT);
    assert!(desk.page("/apps/fresh").contains("Fresh") && desk.page(&path).contains("Renamed"));
    let secrets: Vec<_> = tags(&done.body)
        .into_iter()
        .filter(|tag| tag.attribute("id").is_some_and(|id| id.starts_with("secret-")))
        .map(|tag| tag.text)
        .collect();
    assert_eq!(secrets.len(), 2, "{}", done.body);
    let client = |id: &ClientId, secret: &str| App {
        id: id.clone(),
        secret: Some(secret.to_owned()),
        signature_secret: None,
    };
    let get = |app: &App| world.post(app, &[("grant_type", "client_credentials")]).status;
    let fresh = ClientId::new("fresh").unwrap();
    assert_eq!(get(&client(&fresh, &secrets[0])), 200);
    assert_eq!(get(&app), 200, "a secret that the file lacks stays");
    for (action, count) in [("import_app", 1), ("edit_app", 1)] {
        assert_eq!(world.count(action), count, "{action}");
    }
    let own = |action: &str| ["import_app", "edit_app"].contains(&action);
    let events = world.events();
    let mut written = events.iter().filter(|it| own(it.action.as_str()));
    assert!(written.all(|it| it.actor == Actor::Administrator("ann".into())));
    // The form that is sent again neither shows nor makes a secret.
    let again = apply(&desk, &shown);
    assert_eq!(again.status, 409, "{}", again.body);
    check(&again.body, MOUNT);
    // An import that ran before may be the reason, so that its apps are named with the way to new secrets.
    for text in ["This form imported nothing", "Rotate the secrets", "/apps/fresh/credentials"] {
        assert!(again.body.contains(text), "{text}: {}", again.body);
    }
    assert!(secrets.iter().all(|secret| !again.body.contains(secret)));
    assert_eq!(world.count("import_app"), 1);
    assert!(show(&desk, &apps).body.contains("There is nothing to import"));
}

/// H14: a store that fails says that the app may be there without its secrets, and where new ones are made.
#[test]
fn an_import_that_stops_leads_to_the_secrets_that_were_not_shown() {
    let world = World::new();
    let store = Arc::new(FaultyStore::new(Arc::<MemoryStore>::clone(&world.store)));
    let server = world.beside(new_key(), Arc::clone(&store), Arc::clone(&world.users));
    let console = console_of(&Arc::new(server.build()));
    let desk = Desk::new(&console, "security");
    let shown = show(&desk, &json!({ "apps": [app_json("fresh", "Fresh")] }));
    store.fail_after(Method::InsertApp, 1);
    let stopped = apply(&desk, &shown);
    check(&stopped.body, MOUNT);
    for text in
        ["may or may not have been written", "rotate its secrets", "/apps/fresh/credentials"]
    {
        assert!(stopped.body.contains(text), "{text}: {}", stopped.body);
    }
    assert!(!stopped.body.contains("may have ended"));
    assert_eq!(desk.get("/apps/fresh/credentials").status, 200);

    let app = world.import("ends", machine_app());
    let mut file = app_json("ends", "Ends");
    file["enabled"] = json!(false);
    let shown = show(&desk, &json!({ "apps": [file] }));
    store.fail_before(Method::UpdateApp, 1);
    let stopped = apply(&desk, &shown);
    check(&stopped.body, MOUNT);
    assert!(stopped.body.contains("may have ended already"), "{}", stopped.body);
    let admin = world.server.admin("ann");
    assert!(world.block_on(admin.find(&app.id)).unwrap().unwrap().is_enabled());
}

/// H14: the plan names the apps that lose their secrets, and shows the old and the new values of settings.
#[test]
fn a_plan_shows_the_changes_that_matter() {
    let world = World::new();
    world.import("old", code_app());
    let console = console(&world);
    let desk = Desk::new(&console, "security");
    let mut file: Value = serde_json::from_str(&desk.page("/server/export")).unwrap();
    let settings = &mut file["apps"][0]["settings"];
    settings["authentication"] = json!("none");
    settings["redirect_uris"] = json!(["https://evil.example/cb"]);
    settings["scope"] = json!("new.scope");
    let shown = show(&desk, &file);
    assert_eq!(shown.status, 200, "{}", shown.body);
    check(&shown.body, MOUNT);
    let text = |text: &str| tags(&shown.body).iter().any(|tag| tag.text.contains(text));
    for part in ["Apps that lose their secrets", "https://evil.example/cb", "new.scope"] {
        assert!(text(part), "{part}: {}", shown.body);
    }
    let before = world.server.admin("ann");
    let before = world.block_on(before.find(&ClientId::new("old").unwrap())).unwrap().unwrap();
    let settings = serde_json::to_value(before.settings()).unwrap();
    let uri = settings["redirect_uris"][0].as_str().unwrap();
    assert!(text(uri), "{uri}: {}", shown.body);
    assert!(shown.body.contains("<code>authentication</code>"), "{}", shown.body);
    assert_eq!(apply(&desk, &shown).status, 200);
    let after = world.server.admin("ann");
    let after = world.block_on(after.find(&ClientId::new("old").unwrap())).unwrap().unwrap();
    assert!(after.credentials().client_secrets.is_empty());
    assert!(!show(&desk, &file).body.contains("Apps that lose their secrets"));
}

/// H14: a refused file is not in the form that comes back, beside which a corrected one would be too long. A pasted
/// text is. The script wipes each from a page that is left.
#[test]
fn a_refused_file_does_not_come_back_in_the_form() {
    let world = World::new();
    let console = console(&world);
    let desk = Desk::new(&console, "security");
    let broken = format!("{{{}", "x".repeat(999_000));
    let refused = send(&desk, &[("format", "grantor"), ("file", &broken), ("text", "")]);
    assert_eq!(refused.status, 422);
    assert!(refused.body.len() < 20_000, "{}", refused.body.len());
    let pasted = send(&desk, &[("format", "grantor"), ("file", ""), ("text", "{pasted")]);
    assert!(pasted.body.contains("{pasted</textarea>"), "{}", pasted.body);
    let wiped = |body: &str| {
        let tags = tags(body);
        let once = tags.iter().filter(|tag| tag.attribute("data-once").is_some());
        once.map(|tag| tag.name.clone()).collect::<Vec<_>>()
    };
    assert_eq!(wiped(&pasted.body), ["textarea"]);
    let shown = show(&desk, &json!({ "apps": [app_json("fresh", "Fresh")] }));
    assert_eq!(wiped(&shown.body), ["input"]);
}

/// H14, H8: an app that changed after the page was shown stops the import before anything is written.
#[test]
fn an_import_does_what_was_shown_or_nothing() {
    let world = World::new();
    let (app, path) = registered(&world, machine_app());
    let console = console(&world);
    let desk = Desk::new(&console, "security");
    let apps =
        json!({ "apps": [app_json("fresh", "Fresh"), app_json(app.id.as_str(), "Renamed")] });
    let shown = show(&desk, &apps);
    world.edit(&app, |draft| draft.description("by another administrator"));
    let refused = apply(&desk, &shown);
    assert_eq!(refused.status, 409, "{}", refused.body);
    check(&refused.body, MOUNT);
    assert!(refused.body.contains("an app or a trusted issuer has changed since"));
    assert_eq!(desk.get("/apps/fresh").status, 404);
    assert!(!desk.page(&path).contains("Renamed"));
    // Another document than the one that was shown is not imported, either.
    let [format, plan] = ["format", "plan"].map(|name| value_of(&refused.body, name));
    let other =
        json!({ "apps": [app_json("fresh", "Other"), app_json(app.id.as_str(), "Renamed")] });
    let forged =
        send(&desk, &[("format", &format), ("document", &other.to_string()), ("plan", &plan)]);
    assert_eq!(forged.status, 409);
    assert_eq!(desk.get("/apps/fresh").status, 404);
    // The page that was refused has the present plan.
    assert_eq!(apply(&desk, &refused).status, 200);
    assert!(desk.page(&path).contains("Renamed"));
}

/// H14: the page before the import sends the longest file again, and its form is read.
#[test]
fn the_longest_file_fits_into_the_form_that_imports_it() {
    let world = World::new();
    let console = console(&world);
    let desk = Desk::new(&console, "security");
    // Each quotation mark takes two bytes.
    let app = |number: usize| {
        let mut app = app_json(&format!("app-{number}"), "x");
        app["settings"]["description"] = json!("\"".repeat(1_000));
        app
    };
    let apps: Vec<_> = (0..465).map(app).collect();
    let file = json!({ "apps": apps }).to_string();
    assert!((950_000..1_000_000).contains(&file.len()), "{}", file.len());
    let file = format!("{file}{}", " ".repeat(1_000_000 - file.len()));
    let shown = send(&desk, &[("format", "grantor"), ("file", &file)]);
    assert_eq!(shown.status, 200, "{}", shown.body.len());
    let done = apply(&desk, &shown);
    assert_eq!(done.status, 200, "{}", done.body.len());
    assert_eq!(world.count("import_app"), apps.len());
    let longer = send(&desk, &[("format", "grantor"), ("file", &format!("{file} "))]);
    assert_eq!(longer.status, 422);
}

/// H14: an import disables what the file disables, and enables nothing.
#[test]
fn an_import_disables_and_never_enables() {
    let world = World::new();
    let (ends, stays) = (world.import("ends", code_app()), world.import("stays", code_app()));
    let tokens = world.tokens(&ends);
    world.block_on(world.server.admin("tester").disable(&stays.id)).unwrap();
    let console = console(&world);
    let desk = Desk::new(&console, "security");
    let mut file: Value = serde_json::from_str(&desk.page("/server/export")).unwrap();
    for app in file["apps"].as_array_mut().unwrap() {
        app["enabled"] = json!(app["client_id"] != "ends");
    }
    let shown = show(&desk, &file);
    for text in ["Apps that are disabled", "Apps that stay disabled"] {
        assert!(shown.body.contains(text), "{text}: {}", shown.body);
    }
    assert!(!world.is_revoked(&tokens));
    assert_eq!(apply(&desk, &shown).status, 200);
    assert!(world.is_revoked(&tokens));
    for app in [&ends, &stays] {
        let admin = world.server.admin("tester");
        assert!(!world.block_on(admin.find(&app.id)).unwrap().unwrap().is_enabled());
    }
}

/// H14: the export of another server comes with the list of what is dropped, widened or left to decide.
#[test]
fn the_export_of_another_server_is_shown_with_its_report() {
    let world = World::new();
    let console = console(&world);
    let desk = Desk::new(&console, "security");
    let export = r#"[{
        "client_id": "reports", "client_name": "Reports", "client_secret": "a secret of twenty bytes or more",
        "grant_types": ["client_credentials", "implicit"], "scope": "files.read",
        "token_endpoint_auth_method": "client_secret_basic", "color": "blue"
    }, {"client_id": "none", "grant_types": ["implicit"]}]"#;
    let shown = send(&desk, &[("format", "hydra"), ("text", export)]);
    assert_eq!(shown.status, 200, "{}", shown.body);
    check(&shown.body, MOUNT);
    for text in ["Left out", "grant_types[1]", "Unknown", "color", "Not imported", "log in again"] {
        assert!(shown.body.contains(text), "{text}: {}", shown.body);
    }
    let done = apply(&desk, &shown);
    assert_eq!(done.status, 200, "{}", done.body);
    let header = basic("reports", "a secret of twenty bytes or more");
    let answer = world.post_form(Some(&header), "grant_type=client_credentials");
    assert_eq!(answer.status, 200, "{answer:?}");
    assert_eq!(desk.get("/apps/none").status, 404);
}

/// H14: a file with problems is refused as a whole, with each problem, and comes back.
#[test]
fn a_file_with_problems_is_refused_as_a_whole() {
    let world = World::new();
    let taken = r#"{"apps": [{"client_id": "declared", "client_secret": "a secret of the configuration",
        "settings": {"name": "Declared", "flows": ["client_credentials"], "scope": "a"}}]}"#;
    let reader = |_: &_| Err("none".to_owned());
    let declared = grantor::admin::DeclaredApps::from_json(taken, reader).unwrap();
    world.block_on(world.server.admin("host").apply(&declared)).unwrap();
    let console = console(&world);
    let desk = Desk::new(&console, "security");
    let with = |client_id: &str, member: &str, value: Value| {
        let mut app = app_json(client_id, "x");
        app[member] = value;
        json!({ "apps": [app_json("fresh", "Fresh"), app] }).to_string()
    };
    let env = with("a", "client_secret", json!({ "env": "HOME" }));
    let file = with("a", "client_secret", json!({ "file": "/etc/hostname" }));
    let home = std::env::var("HOME").unwrap_or_else(|_| "/".to_owned());
    for (format, text, problem) in [
        ("grantor", "", "Choose a file, or paste its text."),
        ("grantor", "{", "is not JSON"),
        ("hydra", "{", "is not JSON"),
        ("nothing", "{}", "Choose where the file comes from."),
        ("grantor", &*with("a b\u{e4}", "x", json!(1)), "apps[1].client_id"),
        ("grantor", &env, "names a place on the server"),
        ("grantor", &file, "names a place on the server"),
        ("grantor", &with("declared", "enabled", json!(true)), "configuration declares"),
        ("grantor", &with("ann", "enabled", json!(true)), "subject of a user"),
    ] {
        let refused = send(&desk, &[("format", format), ("text", text)]);
        assert_eq!(refused.status, 422, "{text}: {}", refused.body);
        check(&refused.body, MOUNT);
        assert!(refused.body.contains("Nothing was imported."), "{}", refused.body);
        let said = tags(&refused.body).iter().any(|tag| tag.text.contains(problem));
        assert!(said, "{problem}: {}", refused.body);
        assert!(home.len() < 4 || !refused.body.contains(&home));
        assert_eq!(desk.get("/apps/fresh").status, 404);
    }
}

/// H5: hostile texts of a file stay texts.
#[test]
fn a_file_with_hostile_texts_is_shown_as_texts() {
    for text in texts() {
        let world = World::new();
        let console: super::desk::Desks =
            Console::new(world.server, super::desk::Staff, MOUNT).unwrap();
        let desk = Desk::new(&console, "security");
        let short: String = text.chars().take(90).collect();
        let shown = show(&desk, &json!({ "apps": [app_json("fresh", &short)] }));
        assert_eq!(shown.status, 200, "{}", shown.body);
        check(&shown.body, MOUNT);
        check(&apply(&desk, &shown).body, MOUNT);
        let hydra = json!([{
            "client_id": &short, "client_name": &text, "grant_types": ["client_credentials", &text],
            &text: &text, "scope": &text, "redirect_uris": [&text]
        }]);
        check(&send(&desk, &[("format", "hydra"), ("text", &hydra.to_string())]).body, MOUNT);
        check(&send(&desk, &[("format", &text), ("text", &text)]).body, MOUNT);
    }
}
