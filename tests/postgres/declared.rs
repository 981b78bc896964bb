//! Declared apps in one database.

use grantor::users::MemoryUsers;
use grantor::{AuthorizationServer, Issuer, ServerSecret};

use super::cluster::{database, new_store, pool, runtime};
use super::declaring::apply_at_once;
use super::support::{ISSUER, ROOT, new_key};

/// Z34: processes on one database apply one declaration at once. Each succeeds, and each app is written once.
#[test]
fn processes_on_one_database_apply_one_declaration_at_once() {
    let Some(database) = database() else { return };
    let runtime = runtime();
    let store = new_store(&runtime, &pool(&runtime, database.options(), 6));
    let server = || {
        let (issuer, secret) = (Issuer::new(ISSUER).unwrap(), ServerSecret::new(ROOT).unwrap());
        let users = MemoryUsers::default();
        AuthorizationServer::builder(issuer, secret, new_key(), store.clone(), users).build()
    };
    let [one, two, three] = [Box::new(server()), Box::new(server()), Box::new(server())];
    runtime.block_on(apply_at_once([&*one, &*two, &*three]));
}
