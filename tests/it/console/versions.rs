//! The version of an app that a form is based on.

use std::sync::Arc;

use grantor::app::AppDraft;
use grantor::store::MemoryStore;

use super::desk::{Desk, console_of, registered};
use super::html::value_of;
use super::settings::typed;
use crate::assertions::backend_app;
use crate::faulty_store::{FaultyStore, Method};
use crate::support::{World, code_app, new_key};

/// H8: a form that guesses the next version saves nothing. If another administrator saves that very version while
/// the form is handled, the edit stays.
#[test]
fn a_guess_of_the_next_version_undoes_no_edit() {
    for (page, draft, changed) in [
        ("settings", code_app(), ("name", "Mine")),
        ("scopes", code_app(), ("more", "mine")),
        ("security", code_app(), ("allowed_apps", "mine")),
        ("impersonation", backend_app(), ("except_subjects", "mine")),
        ("swagger", code_app(), ("url", "https://mine.example.com/")),
    ] {
        let world = World::new();
        let store = Arc::new(FaultyStore::new(Arc::<MemoryStore>::clone(&world.store)));
        let server = world.beside(new_key(), Arc::clone(&store), Arc::clone(&world.users));
        let console = console_of(&Arc::new(server.build()));
        let desk = Desk::new(&console, "security");
        let (app, path) = registered(&world, draft);
        let path = format!("{path}/{page}");
        let form = desk.page(&path);
        let next: u64 = value_of(&form, "version").parse::<u64>().unwrap() + 1;
        let next = next.to_string();
        let mut fields = typed(&form);
        fields.retain(|(name, _)| !["version", "token", changed.0].contains(&&**name));
        let mut fields: Vec<_> = fields.iter().map(|(name, it)| (&**name, &**it)).collect();
        fields.extend([("version", &*next), changed]);
        let (server, id) = (Arc::clone(&world.server), app.id.clone());
        store.meanwhile(Method::FindApp, move || {
            let admin = server.admin("other");
            let stored = pollster::block_on(admin.find(&id)).unwrap().unwrap();
            let draft = AppDraft::from(stored.settings()).description("Theirs.");
            pollster::block_on(admin.edit(&id, stored.version(), draft)).unwrap();
        });
        let answer = desk.post(&path, &fields);
        assert_eq!(answer.status, 409, "{page}: {}", answer.body);
        let stored = world.block_on(world.server.admin("ann").find(&app.id)).unwrap().unwrap();
        let stored = serde_json::to_string(stored.settings()).unwrap();
        assert!(stored.contains("Theirs.") && !stored.contains("mine"), "{page}: {stored}");
        assert!(!stored.contains("Mine"), "{page}: {stored}");
    }
}
