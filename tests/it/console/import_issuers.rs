//! *Import apps*: the trusted issuers of a file.

use grantor::MemoryStore;
use grantor::audit::Actor;
use grantor::ids::EvidenceIssuer;
use grantor::store::{IssuerRecord, IssuerStore, PutIssuer, StoreError};
use serde_json::{Value, json};

use super::desk::{Desk, MOUNT, console};
use super::hostile_texts::{hostile_issuer, texts};
use super::html::{check, tags, words};
use super::import::{app_json, apply, show};
use crate::support::World;
use crate::trusted_issuers::{IDP, idp, trust, world};

/// A store that writes no issuer.
struct FullDisk(MemoryStore);

impl IssuerStore for FullDisk {
    async fn list_issuers(&self) -> Result<Vec<IssuerRecord>, StoreError> {
        self.0.list_issuers().await
    }

    async fn put_issuer(&self, _: &IssuerRecord, _: Option<u64>) -> Result<PutIssuer, StoreError> {
        Err(StoreError::new(std::io::Error::other("the disk is full")))
    }

    async fn remove_issuer(&self, issuer: &EvidenceIssuer) -> Result<bool, StoreError> {
        self.0.remove_issuer(issuer).await
    }
}

/// A file with an app and these issuers.
fn file(issuers: &[Value]) -> Value {
    json!({ "apps": [app_json("one", "One")], "trusted_issuers": issuers })
}

fn issuer(change: &Value) -> Value {
    let mut json = serde_json::to_value(idp()).unwrap();
    json["id_jag"] = json!({ "apps": ["one"], "policy": { "allow": "anyone" } });
    crate::assertions::with(&json, change)
}

fn names(world: &World) -> Vec<String> {
    let all = world.block_on(world.server.admin("x").trusted_issuers()).unwrap();
    all.iter().map(|record| record.settings.name().to_owned()).collect()
}

/// H14, Z60: the page shows new and changed issuers with the settings that differ. Nothing is written before the button,
/// which does exactly that.
#[test]
fn the_issuers_of_a_file_are_shown_and_then_imported() {
    let world = world();
    world.import("one", crate::support::machine_app());
    let console = console(&world);
    let desk = Desk::new(&console, "security");
    let events = world.events().len();
    let shown = show(&desk, &file(&[issuer(&json!({}))]));
    assert_eq!(shown.status, 200, "{}", shown.body);
    check(&shown.body, MOUNT);
    let said = words(&shown.body);
    for text in ["New trusted issuers 1", "They may vouch for users", &format!("Acme {IDP}")] {
        assert!(said.contains(text), "{text}: {said}");
    }
    assert_eq!((world.events().len(), names(&world).len()), (events, 0));
    let edit = Desk::new(&console, "edit");
    assert_eq!(show(&edit, &file(&[issuer(&json!({}))])).status, 403);

    let done = apply(&desk, &shown);
    assert_eq!(done.status, 200, "{}", done.body);
    check(&done.body, MOUNT);
    assert!(words(&done.body).contains(&format!("New trusted issuers 1 {IDP}")), "{}", done.body);
    assert_eq!(names(&world), ["Acme"]);
    assert_eq!(world.count("add_trusted_issuer"), 1);
    let event = world.events().into_iter().find(|it| it.action.as_str() == "add_trusted_issuer");
    assert_eq!(event.unwrap().actor, Actor::Administrator("ann".into()));
    assert!(desk.page("/issuers").contains("Acme"));

    let changed = json!({
        "name": "Blue",
        "tenant": "blue",
        "global_revocation": { "by_email": true, "users": { "groups": ["staff"] } },
    });
    let shown = show(&desk, &file(&[issuer(&changed)]));
    check(&shown.body, MOUNT);
    let said = words(&shown.body);
    for text in [
        "Trusted issuers that change 1",
        "Access on their evidence stays.",
        "name no longer Acme now Blue",
        "tenant now blue",
        "global_revocation.by_email now true",
        "global_revocation.users.groups now staff",
    ] {
        assert!(said.contains(text), "{text}: {said}");
    }
    let done = apply(&desk, &shown);
    check(&done.body, MOUNT);
    assert!(words(&done.body).contains(&format!("Changed trusted issuers 1 {IDP}")));
    assert_eq!((names(&world), world.count("edit_trusted_issuer")), (vec!["Blue".to_owned()], 1));
    let again = words(&show(&desk, &file(&[issuer(&changed)])).body);
    assert!(again.contains("There is nothing to import"), "{again}");
    assert!(again.contains("Trusted issuers that are as in the file: 1"), "{again}");
}

/// H8, H14: an issuer that changed after the page was shown stops the import before anything is written, and the page that
/// comes back has the present plan.
#[test]
fn an_issuer_that_has_changed_stops_the_import() {
    let world = world();
    trust(&world, idp());
    let console = console(&world);
    let desk = Desk::new(&console, "security");
    let shown = show(&desk, &file(&[issuer(&json!({ "name": "Imported" }))]));
    let admin = world.server.admin("ben");
    let stored = world.block_on(admin.trusted_issuers()).unwrap().remove(0);
    let edited = stored.settings.with_tenant("red");
    world.block_on(admin.edit_trusted_issuer(stored.version, edited)).unwrap();
    let refused = apply(&desk, &shown);
    assert_eq!(refused.status, 409, "{}", refused.body);
    check(&refused.body, MOUNT);
    let said = words(&refused.body);
    assert!(said.contains("an app or a trusted issuer has changed"), "{said}");
    assert!(said.contains("tenant no longer red"), "the present plan: {said}");
    assert_eq!(desk.get("/apps/one").status, 404);
    assert_eq!(names(&world), ["Acme"]);
    assert_eq!(apply(&desk, &refused).status, 200);
    assert_eq!(names(&world), ["Imported"]);
    assert_eq!(desk.get("/apps/one").status, 200);
}

/// H14: a record that is out of range, a server without trusted issuers and a store that fails are told by name.
#[test]
fn an_issuer_that_cannot_be_imported_is_named() {
    let full = world();
    let without = World::new();
    for (world, change, problem) in [
        (&full, json!({ "max_lifetime": 0 }), "trusted_issuers[0].max_lifetime"),
        (&full, json!({ "issuer": crate::support::ISSUER }), "must not be this server"),
        (&full, json!({ "keys": {} }), "trusted_issuers[0]"),
        (&without, json!({}), "trusted_issuers"),
    ] {
        let console = console(world);
        let desk = Desk::new(&console, "security");
        let refused = show(&desk, &file(&[issuer(&change)]));
        assert_eq!(refused.status, 422, "{problem}: {}", refused.body);
        check(&refused.body, MOUNT);
        let said = words(&refused.body);
        assert!(said.contains(problem), "{problem}: {said}");
        assert_eq!(desk.get("/apps/one").status, 404);
    }

    let world = World::with(|builder| builder.trusted_issuers(FullDisk(MemoryStore::new())));
    let console = console(&world);
    let desk = Desk::new(&console, "security");
    let shown = show(&desk, &file(&[issuer(&json!({}))]));
    let stopped = apply(&desk, &shown);
    check(&stopped.body, MOUNT);
    let said = words(&stopped.body);
    assert!(said.contains(&format!("The import stopped at {IDP}")), "{said}");
    assert_eq!(desk.get("/apps/one").status, 200, "apps come first");
}

/// H5: hostile texts of the issuers of a file stay texts, before the import, in a conflict and afterwards.
#[test]
fn issuers_with_hostile_texts_are_shown_as_texts() {
    for text in texts() {
        let world = world();
        let console = console(&world);
        let desk = Desk::new(&console, "security");
        let record = hostile_issuer(&text);
        let (issuer, name) = (record.issuer().as_str().to_owned(), record.name().to_owned());
        let json = serde_json::to_value(&record).unwrap();
        let apps: Vec<_> =
            record.workloads().iter().map(|rule| app_json(rule.app().as_str(), &name)).collect();
        let file = json!({ "apps": apps, "trusted_issuers": [json] });
        let shown = show(&desk, &file);
        assert_eq!(shown.status, 200, "{}", shown.body);
        check(&shown.body, MOUNT);
        let isolated = |page: &str, text: &str| {
            tags(page).iter().any(|tag| tag.name == "bdi" && tag.text == text.trim())
        };
        assert!(isolated(&shown.body, &name) && isolated(&shown.body, &issuer));
        let done = apply(&desk, &shown);
        assert_eq!(done.status, 200, "{}", done.body);
        check(&done.body, MOUNT);
        assert!(isolated(&done.body, &issuer), "{}", done.body);
        // The form that is sent again finds another plan.
        check(&apply(&desk, &shown).body, MOUNT);
        let mut other = file.clone();
        other["trusted_issuers"][0]["name"] = json!("Plain");
        other["trusted_issuers"][0]["tenant"] = json!("plain");
        check(&show(&desk, &other).body, MOUNT);
        let mut wrong = file;
        wrong["trusted_issuers"][0]["algorithms"] = json!([&text]);
        check(&show(&desk, &wrong).body, MOUNT);
    }
}
